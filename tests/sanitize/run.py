"""netc and the programs it builds under sanitizers and under valgrind: generated C and runtime together.

A network as a whole on a tensor and a picture; the trained ones also on many pictures, each thread for itself, and layer by layer
as --profile and --dump have it.
Addresses, leaks and undefined behaviour: a network of each family, with ALL=1 every one of netdefs/; netc itself is the sanitised
one there. Data races: libarcher tells the thread sanitizer of OpenMP's barriers; that it can see anything is shown by taking the
barriers out: then it must report. valgrind looks at the very program that netc builds, for AVX2 and one thread: Debian's valgrind
knows no AVX-512.
"""

import json
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import ALL, BUILD, JOBS, NETC, ROOT, TARGETS, Failure, Skip, expect_done, leave_out, main, netc, run

OUT = BUILD / "tests" / "sanitize"
ARCHER = Path("/usr/lib/llvm-19/lib/libarcher.so")
NATIVE = re.search(r"native\s+(\S+)", netc("build", "--target=help", binary=NETC).out).group(1)
WHERE = list(dict.fromkeys((NATIVE, "scalar")))
ADDRESSES = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
THREADS = ["-fsanitize=thread"]
LIBRARIES = re.search(r'"(-ljansson [^"]*)"', (ROOT / "compiler/build.c").read_text()).group(1).split()
TINY = ["-D", "image=32", "-D", "blocks=[1, 1, 1, 1]"]
# The smallest network of each family of README's table.
FAMILIES = {"ResNet": ("resnet18", ["-D", "image=32"]), "Wide ResNet": ("wide_resnet50_2", TINY), "ResNeXt": ("resnext50_32x4d", TINY),
            "SE-ResNet, SE-ResNeXt, SENet": ("seresnext50_32x4d", TINY), "ECA-ResNet": ("ecaresnet50d", TINY),
            "SKNet": ("skresnet18", TINY), "Res2Net, Res2NeXt": ("res2net50_48w_2s", TINY), "ResNeSt": ("resnest14d", ["-D", "image=32"]),
            "CoTNet, CoTNeXt, SE-CoTNetD": ("cotnet50", TINY), "BoTNet": ("botnet26t_256", [*TINY, "-D", "tables=32"]),
            "HaloNet, LambdaResNet": ("halonet26t", [*TINY, "-D", "block_size=1"]),
            "AA-ResNet, stand-alone attention": ("sasa_resnet50", [*TINY, "-D", "kernel=3"])}
FASHION = ("resnext", "res2net")


# ---- making and running programs ----

def compile_runtime():
    """The runtime's objects, for each sanitizer once."""
    jobs = []
    for name, flags in (("address", ADDRESSES), ("thread", THREADS)):
        (OUT / name).mkdir(parents=True, exist_ok=True)
        for source in sorted((ROOT / "runtime").glob("*.c")):
            jobs.append(["clang-19", "-O1", "-g", "-std=c17", "-D_GNU_SOURCE", "-fopenmp", *flags, "-c", source, "-o",
                         OUT / name / f"{source.stem}.o"])
    with ThreadPoolExecutor(JOBS) as pool:
        for done in pool.map(run, jobs):
            expect_done(done, "clang on the runtime")


def program(folder, net, options, target, flags, change=lambda text: text):
    """The network's C, by the sanitised netc, and the runtime, all compiled with a sanitizer; the path of the program."""
    expect_done(netc("build", net, *options, f"--target={target}", "--parts=1", f"--emit-c={folder}"), "netc build --emit-c")
    main_file = next(folder.glob("*.program.c"))
    source = folder / main_file.name.replace(".program.c", ".c")
    source.write_text(change(source.read_text()))
    # What UBSan adds takes an optimiser ten times as long, so it is worth it only where much is computed.
    level = "-O1" if ALL or flags is THREADS or (target == "scalar" and "fashion" in net) else "-O0"
    objects = sorted((OUT / ("thread" if flags is THREADS else "address")).glob("*.o"))
    expect_done(run(["clang-19", level, "-g1", "-std=c17", "-D_GNU_SOURCE", "-ffp-contract=off", "-fopenmp",
                     *TARGETS[target].split(), *flags, f"-I{ROOT}/runtime", f"-I{folder}", main_file, *objects, *LIBRARIES,
                     "-o", folder / "program"], cwd=folder, timeout=1200), "clang")
    return folder / "program"


def start(path, folder, every_way, **environment):
    """What the program says of a tensor, of a picture, then in every other way; the first complaint."""
    tensor = json.loads(run([path, "--info", "--json"], env=environment).out)["inputs"][0]
    pixels = folder / "x.npy"
    np.save(pixels, np.random.default_rng(1).standard_normal((3 if every_way else 1, *tensor["shape"])).astype(np.float32))
    photos = folder / "photos"
    photos.mkdir()
    for i in range(12):
        noise = np.random.default_rng(i).integers(0, 256, (40, 30, 3)).astype(np.uint8)
        (photos / f"{i:02d}.ppm").write_bytes(b"P6 30 40 255\n" + noise.tobytes())
    ways = [[f"--tensor={pixels}", f"--output={folder}/y.npy"], [photos / "03.ppm"]]
    if every_way:
        ways += [[photos, "--quiet"], ["--profile", "--runs=2"], [photos, "--dump=all", f"--output={folder}/all.safetensors"]]
    for arguments in ways:
        got = run([path, *arguments, "--threads=2"], timeout=1800, env=environment)
        if got.code != 0 or got.err:
            break
    return got


def expect_silence(got):
    if got.code != 0 or got.err:
        raise Failure(f"ended with {got.code}\n{got.err[:3000]}")


def fashion(net):
    return f"netdefs/fashion/{net}.net", [f"--weights=netdefs/fashion/{net}.safetensors"]


def published(name, options):
    return f"netdefs/{name}.net", ["--weights=synthetic", *options]


def small(path):
    """Attention over positions has tables, or blocks, that must fit the picture."""
    text = path.read_text()
    if "image = 32," in text:
        return ["-D", "blocks=[1, 1, 1]"]
    fitting = {"tables": 64, "block_size": 2}
    return ["-D", "image=64", *(word for name, size in fitting.items() if f"{name} = " in text for word in ("-D", f"{name}={size}"))]


# ---- cases ----

def check_addresses(net, options, target, every_way):
    with tempfile.TemporaryDirectory(prefix="netc-sanitize-") as temporary:
        folder = Path(temporary)
        leaks = folder / "leaks"
        leaks.write_text("leak:libomp.so\n")  # it keeps what its threads had until the end, and a little longer
        expect_silence(start(program(folder, net, options, target, ADDRESSES), folder, every_way,
                             LSAN_OPTIONS=f"suppressions={leaks}:print_suppressions=0"))


def races(net, options, target, change=lambda text: text):
    if not ARCHER.exists():
        raise Skip(f"{ARCHER} is missing")
    with tempfile.TemporaryDirectory(prefix="netc-sanitize-") as temporary:
        folder = Path(temporary)
        path = program(folder, net, options, target, THREADS, change)
        return start(path, folder, "fashion" in net, OMP_TOOL_LIBRARIES=str(ARCHER), TSAN_OPTIONS="ignore_noninstrumented_modules=1")


def check_detector():
    got = races(*fashion("res2net"), NATIVE, lambda text: re.sub(r"#pragma omp barrier[^\n]*\n", "", text))
    if "data race" not in got.err:
        raise Failure("no race is reported although there are no barriers")


def check_families():
    table = re.search(r"\| family \|[^\n]*\n\|[- |]*\n((?:\|[^\n]*\n)+)", (ROOT / "README.md").read_text()).group(1)
    rows = [line.split("|")[1].strip() for line in table.splitlines()]
    if set(rows) != set(FAMILIES):
        raise Failure(f"README's families are {rows}, here are {list(FAMILIES)}")


def valgrind(folder, *command, leaks="all"):
    if not shutil.which("valgrind"):
        raise Skip("valgrind is missing")
    done = run(["valgrind", "--error-exitcode=99", "--leak-check=full", f"--show-leak-kinds={leaks}",
                f"--errors-for-leak-kinds={leaks}", f"--suppressions={HERE}/valgrind.supp", f"--log-file={folder}/valgrind.log", *command], cwd=folder, timeout=600)
    said = (folder / "valgrind.log").read_text()
    if done.code != 0 or "ERROR SUMMARY: 0 errors" not in said:
        raise Failure(f"ended with {done.code}\n{said[-3000:]}{done.err[-1000:]}")


def valgrind_program(net):
    file, options = fashion(net)
    with tempfile.TemporaryDirectory(prefix="netc-sanitize-") as temporary:
        folder = Path(temporary)
        expect_done(netc("build", file, *options, "--target=x86-64-v3", "-o", folder / "program", binary=NETC), "netc build")
        if run([folder / "program", "--bench", "--runs=1"]).code != 0:
            raise Skip("this processor has no AVX2")
        np.save(folder / "x.npy", np.random.default_rng(1).standard_normal((2, 1, 28, 28)).astype(np.float32))
        valgrind(folder, "./program", "--tensor=x.npy", "--threads=1", "--output=y.npy")
        valgrind(folder, "./program", "--tensor=x.npy", "--threads=1", "--json")


def valgrind_compiler():
    file, options = fashion("resnext")
    with tempfile.TemporaryDirectory(prefix="netc-sanitize-") as temporary:
        folder = Path(temporary)
        # Its valgrind cannot read the debugging information of this clang, so it gets none. In the tree, where netc finds netdefs.
        binary = BUILD / "netc-bare"
        expect_done(run(["objcopy", "--strip-debug", NETC, binary]), "objcopy")
        given = [ROOT / file, options[0].replace("netdefs", f"{ROOT}/netdefs")]
        for words in (["build", *given, "--target=x86-64-v3", "--emit-c=c"], ["show", ROOT / file, "--json"]):
            valgrind(folder, binary, *words, leaks="definite,possible")  # names and texts live until the end: reachable
        binary.unlink()


def cases():
    chosen = [(f"fashion {net}", *fashion(net), True) for net in FASHION]
    if ALL:
        chosen += [(path.stem, *published(path.stem, small(path)), False)
                   for path in sorted((ROOT / "netdefs").glob("*.net"))]
    else:
        chosen += [(name, *published(name, options), False) for name, options in FAMILIES.values()]
    for name, net, options, every_way in chosen:
        for target in WHERE:
            yield f"{name} {target} addresses", lambda a=(net, options, target, every_way): check_addresses(*a)
    for name, net, options in [(f"fashion {net}", *fashion(net)) for net in FASHION] + [("seresnet18", *published("seresnet18", TINY))]:
        for target in WHERE:
            yield f"{name} {target} races", lambda a=(net, options, target): expect_silence(races(*a))
    yield "races are seen without barriers", check_detector
    yield "every family of README", check_families
    for net in FASHION if ALL else FASHION[:1]:
        yield f"valgrind: fashion {net}", lambda net=net: valgrind_program(net)
    yield "valgrind: netc", valgrind_compiler


if __name__ == "__main__":
    compile_runtime()
    leave_out("all networks but one of each family")
    main([(f"sanitize/{name}", function) for name, function in cases() if not sys.argv[1:] or any(word in name for word in sys.argv[1:])])
