"""Built programs under sanitizers: generated C and runtime together, two threads, the trained networks on one picture.

As a whole, and layer by layer as --profile and --dump have it.
Address and undefined behaviour; and data races, where libarcher tells the thread sanitizer of OpenMP's barriers. That the race
detector can see anything is shown by taking the barriers out: then it must report.
"""

import re
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import NETC, ROOT, TARGETS, Failure, Skip, expect_done, main, netc, run

ARCHER = Path("/usr/lib/llvm-19/lib/libarcher.so")
NATIVE = re.search(r"native\s+(\S+)", netc("build", "--target=help", binary=NETC).out).group(1)


def program(folder, net, target, sanitizer, change=lambda text: text):
    """The network's C and the runtime, compiled in `folder` with a sanitizer; its path."""
    expect_done(netc("build", f"netdefs/fashion/{net}.net", f"--weights=netdefs/fashion/{net}.safetensors", f"--target={target}",
                     "--parts=1", f"--emit-c={folder}", binary=NETC), "netc build --emit-c")
    source = folder / f"fashion_{net}.c"
    source.write_text(change(source.read_text()))
    source = folder / f"fashion_{net}.program.c"
    expect_done(run(["clang-19", "-O1", "-g", "-std=c17", "-D_GNU_SOURCE", "-ffp-contract=off", *TARGETS[target].split(), f"-fsanitize={sanitizer}",
                     "-fno-sanitize-recover=undefined", "-fopenmp", f"-I{ROOT}/runtime", f"-I{folder}", source,
                     *sorted((ROOT / "runtime").glob("*.c")), "-ljansson", "-ljpeg", "-lz", "-lpng", "-lm", "-o", folder / "program"], timeout=300),
                "clang")
    return folder / "program"


def start(path, folder, **environment):
    """What the program says of a tensor, then of many pictures (each thread for itself) and of one; the first complaint."""
    pixels = folder / "x.npy"
    np.save(pixels, np.random.default_rng(1).standard_normal((3, 1, 28, 28)).astype(np.float32))
    photos = folder / "photos"
    photos.mkdir()
    for i in range(12):
        noise = np.random.default_rng(i).integers(0, 256, (40, 30, 3)).astype(np.uint8)
        (photos / f"{i:02d}.ppm").write_bytes(b"P6 30 40 255\n" + noise.tobytes())
    for arguments in ([f"--tensor={pixels}", f"--output={folder}/y.npy"], [photos, "--quiet"], [photos / "03.ppm"],
                      ["--profile", "--runs=2"], [photos, "--dump=all", f"--output={folder}/all.safetensors"]):
        got = run([path, *arguments, "--threads=2"], timeout=300, env=environment)
        if got.code != 0 or got.err:
            break
    return got


def check_addresses(net, target):
    with tempfile.TemporaryDirectory(prefix="netc-sanitize-") as temporary:
        folder = Path(temporary)
        got = start(program(folder, net, target, "address,undefined"), folder, ASAN_OPTIONS="detect_leaks=0")
        if got.code != 0 or got.err:
            raise Failure(got.err[:3000])


def races(net, target, change=lambda text: text):
    if not ARCHER.exists():
        raise Skip(f"{ARCHER} is missing")
    with tempfile.TemporaryDirectory(prefix="netc-sanitize-") as temporary:
        folder = Path(temporary)
        path = program(folder, net, target, "thread", change)
        return start(path, folder, OMP_TOOL_LIBRARIES=str(ARCHER), TSAN_OPTIONS="ignore_noninstrumented_modules=1")


def check_races(net, target):
    got = races(net, target)
    if got.code != 0 or got.err:
        raise Failure(got.err[:3000])


def check_detector():
    got = races("res2net", NATIVE, lambda text: re.sub(r"#pragma omp barrier[^\n]*\n", "", text))
    if "data race" not in got.err:
        raise Failure("no race is reported although there are no barriers")


cases = []
for net in ("resnext", "res2net"):
    for target in dict.fromkeys((NATIVE, "scalar")):
        cases.append((f"sanitize/{net} {target} addresses", lambda net=net, target=target: check_addresses(net, target)))
        cases.append((f"sanitize/{net} {target} races", lambda net=net, target=target: check_races(net, target)))
cases.append(("sanitize/races are seen without barriers", check_detector))
main(cases)
