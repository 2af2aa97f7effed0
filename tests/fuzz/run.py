"""What the fuzzers' functions do with the project's own files, whole, cut and changed, and with what was found before.

The fuzzing itself is `make fuzz`. An input that it finds belongs into tests/fuzz/found/NAME/, where it is tried at every run.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import BUILD, ROOT, Failure, main, run

SEEDS = {"net": ["netdefs/**/*.net", "tests/lang/*.net"], "graph": ["tests/pass/*.ir"], "loop": ["tests/loop/*.loop"],
         "weights": ["tests/fuzz/seeds/weights/*"], "packed": ["tests/fuzz/seeds/packed/*"]}


def replay(name, files):
    if not files:
        raise Failure("no files to try")
    done = run([BUILD / "san/fuzz" / f"fuzz_{name}_replay", *files], timeout=900, env={"NETDEFS": str(ROOT / "netdefs")})
    if done.code != 0:
        raise Failure(f"ended with {done.code} at {done.err[-1500:]}")


cases = []
for source in sorted(HERE.glob("fuzz_*.c")):
    name = source.stem.removeprefix("fuzz_")
    for pattern in SEEDS.get(name, []) + [f"tests/fuzz/found/{name}/*"]:
        files = sorted(path for path in ROOT.glob(pattern) if path.is_file())
        if files or "found" not in pattern:
            cases.append((f"fuzz/{name} {pattern}", lambda name=name, files=files: replay(name, files)))
main(cases)
