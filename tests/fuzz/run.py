"""libFuzzer on every reader of bytes that somebody else wrote: 15 seconds each, two at a time, after all that was found before.

`run.py long` (make fuzz) goes on for FUZZ_SECONDS each and keeps what it learnt in build/fuzz/corpus/. What is found stands in
build/fuzz/found/NAME/: put it into tests/fuzz/found/NAME/, where it is tried at every run, then mend it.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import BUILD, ROOT, Failure, main, run

LONG = sys.argv[1:] == ["long"]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "20")) if LONG else 15
LARGEST = 20000
# The first inputs; of readers that are not named here they lie in seeds/NAME/.
SEEDS = {"net": ["netdefs/**/*.net" if LONG else "netdefs/*/*.net", "tests/lang/*.net"], "graph": ["tests/pass/*.ir", "tests/unit/programs/*.ir"],
         "loop": ["tests/loop/*.loop", "tests/unit/*.loop"], "weights": ["tests/fuzz/seeds/weights/*", "tests/fuzz/seeds/npy/*"]}
OPTIONS = ["-timeout=30", "-rss_limit_mb=3000", f"-max_len={LARGEST}", "-print_final_stats=1"]


def program(name):
    return BUILD / "fuzz/fuzz" / f"fuzz_{name}"


def fuzzed(name, *arguments, timeout):
    options = {"NETDEFS": str(ROOT / "netdefs"), "ASAN_OPTIONS": "allocator_may_return_null=1"}
    try:
        return run([program(name), *OPTIONS, *arguments], timeout=timeout, env=options)
    except Failure as failure:
        saved = re.search(r"Test unit written to (\S+)", str(failure))
        raise Failure(f"{f'{saved[1]} shows: ' if saved else ''}{failure}")


def found_before(name, files):
    done = fuzzed(name, *files, timeout=300)
    if done.code != 0:
        raise Failure(f"ended with {done.code}\n{done.err[-3000:]}")


def now(name):
    found = BUILD / "fuzz/found" / name
    found.mkdir(parents=True, exist_ok=True)
    corpus = BUILD / "fuzz/corpus" / name if LONG else Path(tempfile.mkdtemp(prefix=f"netc-fuzz-{name}-"))
    with tempfile.TemporaryDirectory(prefix="netc-fuzz-seeds-") as seeds:
        for pattern in SEEDS.get(name, [f"tests/fuzz/seeds/{name}/*"]):
            for path in ROOT.glob(pattern):
                if path.is_file() and path.stat().st_size <= LARGEST:
                    shutil.copy(path, Path(seeds) / str(path.relative_to(ROOT)).replace("/", "-"))
        if not any(Path(seeds).iterdir()):
            raise Failure("no inputs to begin with")
        corpus.mkdir(parents=True, exist_ok=True)
        words = [f"-dict={path}" for path in HERE.glob(f"{name}.dict")]
        done = fuzzed(name, f"-max_total_time={SECONDS}", f"-artifact_prefix={found}/", *words, corpus, seeds, timeout=SECONDS + 120)
    if not LONG:
        shutil.rmtree(corpus)
    tried = re.search(r"number_of_executed_units: *(\d+)", done.err)
    if done.code != 0 or not tried:
        raise Failure(f"ended with {done.code}\n{done.err[-3000:]}")
    reached = re.findall(r"cov: (\d+)", done.err)
    print(f"{name}: {tried[1]} inputs in {SECONDS} s, {reached[-1] if reached else 'no'} branches reached")


names = sorted(path.stem.removeprefix("fuzz_") for path in [*HERE.glob("fuzz_*.c"), *HERE.glob("*/fuzz_*.c")])
cases = []
for name in names:
    files = sorted(path for path in (HERE / "found" / name).glob("*") if path.is_file())
    if files:
        cases.append((f"fuzz/{name}: what was found before", lambda name=name, files=files: found_before(name, files)))
cases += [(f"fuzz/{name}: {SECONDS} s", lambda name=name: now(name)) for name in names]
main(cases)
