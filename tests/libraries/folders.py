"""--kind=source: a folder of C as somebody without netc finds it."""

import os
import re
import shutil
import subprocess

import numpy as np

from harness import NATIVE, OUT, RESNEXT, X, build, c_caller, call_c, call_python, fails, once, runnable, wanted
from tap import NETC, ROOT, Failure, Skip, emulator, expect_done, netc, run, sysroot


@once
def source(*arguments):
    """A folder of C that was moved after it was made; its path has blanks."""
    name = "".join(letter if letter.isalnum() else "_" for letter in "_".join(arguments))
    build(OUT / name, *arguments, "--kind=source")
    return (OUT / name).rename(OUT / f"source of {name}")


def make(folder, compiler, *targets):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "NETC"))}
    command = ["make", "-s", f"CC={compiler}", "CFLAGS=-O3 -Wall -Wextra -Werror", *targets]
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=300)
    if done.returncode or done.stderr:
        raise Failure(f"make CC={compiler} {' '.join(targets)} ended with {done.returncode}\n{done.stderr[:3000]}")


def same_numbers(logits, others, what):
    """Equal bits, and so equal top classes."""
    five = [np.argsort(-values, axis=-1, kind="stable")[..., :5].tolist() for values in (logits, others)]
    if five[0] != five[1] or logits.tobytes() != others.tobytes():
        raise Failure(f"{what}: the numbers differ by up to {np.abs(logits - others).max()} of {np.abs(others).max()}")


def compilers():
    """gcc's program and clang's, for every processor that this one can be, against netc's own; their libraries, too."""
    folder, found = source(*RESNEXT, "--target=x86-64"), {}
    for compiler in ("gcc", "clang-19"):
        make(folder, compiler, "-j2")
        for target in runnable(["x86-64-v4", "x86-64-v3", "scalar"]):
            y = OUT / f"{compiler}.{target}.npy"
            options = [f"--tensor={X}", f"--output={y}", f"--target={target}", "--threads=2"]
            expect_done(run([folder / "fashion_resnext", *options]), "the program")
            found[compiler, target] = np.load(y)
        library = call_python(folder, "fashion_resnext")[0]
        same_numbers(library, found[compiler, NATIVE], f"{compiler}'s library and program")
    for (compiler, target), logits in found.items():
        same_numbers(logits, found["clang-19", target], f"{compiler} and clang, {target}")
    if found["gcc", NATIVE].tobytes() != wanted(*RESNEXT):
        raise Failure("the folder's program gives other bits than netc's")


def by_gcc(net, target, *options):
    """gcc's shared library against netc's, on two pictures."""
    arguments = [f"netdefs/{net}.net", *options, f"--target={target}", "--name=net"]
    ours = OUT / f"{net.replace('/', '_')} {target}"
    build(ours, *arguments, "--kind=shared")
    folder = source(*arguments)
    make(folder, "gcc", "shared")
    shape = re.search(r"NET_PIXELS_SHAPE \{(.*)\}", (folder / "net.h").read_text()).group(1)
    x = folder / "x.npy"
    np.save(x, np.random.default_rng(5).standard_normal((2, *map(int, shape.split(",")))).astype(np.float32))
    same_numbers(call_python(folder, "net", x)[0], call_python(ours, "net", x)[0], "gcc and clang")


def foreign():
    """For an ARM board: the cross compiler makes the static library, the emulator calls it."""
    compiler = "aarch64-linux-gnu-gcc-12"
    if not shutil.which(compiler):
        raise Skip(f"{compiler} is missing (Debian's gcc-12-aarch64-linux-gnu)")
    command = f"{compiler} --sysroot={sysroot('aarch64')}"
    folder = source(*RESNEXT, "--target=aarch64")
    make(folder, command, "static")
    flags = [f"-I{folder}", folder / "libfashion_resnext.a", "-fopenmp", "-lm"]
    (OUT / "gomp").mkdir()  # alone: a libc lies beside it that is not the sysroot's
    shutil.copy(run([compiler, "-print-file-name=libgomp.so.1"]).out.strip(), OUT / "gomp")
    before = [*emulator("aarch64"), "-E", f"LD_LIBRARY_PATH={OUT}/gomp"]
    bits = call_c(c_caller("fashion_resnext", flags, command), None, 2, 1, before=before)
    got, want = (np.frombuffer(logits, np.float32) for logits in (bits, wanted(*RESNEXT)))
    if np.abs(got - want).max() > 1e-5 * np.abs(want).max():
        raise Failure(f"off by {np.abs(got - want).max()}")


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def contents():
    """What is in the folder; that it is the same every time, without a trace of this machine; what it may replace."""
    folder = OUT / "contents"
    arguments = [*RESNEXT, "--kind=source", "--name=net", "--target=x86-64-v3"]
    build(folder, *arguments)
    listed = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    runtime = [f"runtime/{path.name}" for path in (ROOT / "runtime").glob("*.[ch]")]
    own = ["LICENSE", "Makefile", "README.md", "net.c", "net.h", "net.program.c", "net.weights", "runtime"]
    if listed != sorted([*own, *runtime]):
        raise Failure(f"in it are {', '.join(listed)}")
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".weights" and str(ROOT) in path.read_text():
            raise Failure(f"{path.name} names a folder of this machine")
    rights = folder.stat().st_mode & 0o777
    if (folder / "LICENSE").read_text() != (ROOT / "LICENSE").read_text() or rights != 0o777 & ~umask():
        raise Failure(f"another licence, or other rights: {rights:o}")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "obj").mkdir()
    for made in ("obj/net.o", "libnet.a", "net"):
        (folder / made).write_text("made by make")
    build(folder, *arguments)  # over its own: as a whole
    if {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} != before:
        raise Failure("the second folder is not the first")
    (folder / "mine.c").write_text("int mine;")
    fails(["--kind=source", "-o", folder], ["mine.c", "[build_write]"])
    (folder / "mine.c").unlink()
    (folder / "Makefile").write_text("all:\n")
    fails(["--kind=source", "-o", folder], ["not empty", "[build_write]"])
    if [path.name for path in OUT.glob("*contents*")] != ["contents"]:
        raise Failure("something stayed behind")


def parts_and_weights():
    """Kernels in files of their own, and weights that come from a file."""
    folder, packed = OUT / "in_parts", OUT / "in_parts.weights"
    build(folder, *RESNEXT, "--kind=source", "--parts=3", f"--weights-file={packed}")
    names = sorted(path.name for path in folder.glob("*.kernels.*.c"))
    if names != [f"fashion_resnext.kernels.{i}.c" for i in (1, 2, 3)] or list(folder.glob("*.weights")):
        raise Failure(f"in it are {sorted(path.name for path in folder.iterdir())}")
    make(folder, "gcc", "-j2", "static")
    archive = folder / "libfashion_resnext.a"
    call_c(c_caller("fashion_resnext", [f"-I{folder}", archive, "-fopenmp", "-lm"]), wanted(*RESNEXT), 2, 2, packed)
    make(folder, "gcc", "clean")
    if (folder / "obj").exists() or archive.exists():
        raise Failure("clean left something")


def whole_or_not():
    """On a disk that fills up at one file after another, and without memory: nothing stays behind."""
    place = OUT / "whole"
    place.mkdir()
    command = ["build", *RESNEXT, "--kind=source", "-o", place / "net"]
    for limit in (0, 1000, 8000, 40000, 200000):
        done = run(["prlimit", f"--fsize={limit}", NETC, *command])
        if done.code != 1 or "cannot be written" not in done.err or len(done.err.splitlines()) != 1:
            raise Failure(f"with {limit} bytes a file: {done.code} {done.err}")
        if list(place.iterdir()):
            raise Failure(f"with {limit} bytes a file: {[path.name for path in place.iterdir()]} stayed behind")
    for n in [10 ** k for k in range(8)]:
        done = netc(*command, binary=NETC, env={"NETC_FAIL_ALLOC": str(n)})
        if done.code == 0:
            return
        stayed = [path.name for path in place.iterdir()]
        if done.code != 70 or stayed:
            raise Failure(f"without memory after {n} allocations: {done.code}, {stayed} stayed behind")
