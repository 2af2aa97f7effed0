"""What the cases of this group share: libraries that are built once, callers with a network's name in them."""

import functools
import re
import shlex
import shutil
import sys
import threading
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import BUILD, NETC, ROOT, Failure, expect_done, netc, run

OUT = BUILD / "tests" / "libraries"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
NATIVE = re.search(r"native\s+(\S+)", netc("build", "--target=help", binary=NETC).out).group(1)
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror"]
RESNEXT, RES2NET = ([f"netdefs/fashion/{net}.net", f"--weights=netdefs/fashion/{net}.safetensors"]
                    for net in ("resnext", "res2net"))
CLASSES = (ROOT / "netdefs/labels/fashion_mnist.txt").read_text().splitlines()
# Six pictures, what all callers are asked.
X, X_BIN = OUT / "x.npy", OUT / "x.bin"
np.save(X, np.random.default_rng(3).standard_normal((6, 1, 28, 28)).astype(np.float32))
X_BIN.write_bytes(np.load(X).tobytes())
LOGITS_BYTES = 4 * len(CLASSES)


def once(function):
    """A build that several cases want is made by the first; the others wait for it."""
    locks, guard, cached = {}, threading.Lock(), functools.cache(function)

    def wrapper(*key):
        with guard:
            lock = locks.setdefault(key, threading.Lock())
        with lock:
            return cached(*key)
    return wrapper


def build(output, *arguments):
    parts = [] if any(str(word).startswith("--parts") for word in arguments) else ["--parts=1"]
    return expect_done(netc("build", *arguments, *parts, "-o", output, binary=NETC, timeout=300), "netc build")


def emit(folder, *arguments):
    """The C alone, in one file."""
    expect_done(netc("build", *arguments, "--parts=1", f"--emit-c={folder}", binary=NETC), "netc build --emit-c")
    return folder


def fails(arguments, words, environment=None):
    """netc says what is wrong in words that have these, and ends with 1; its lines."""
    done = netc("build", *RESNEXT, *arguments, binary=NETC, env=environment, timeout=300)
    lines = done.err.splitlines()
    if done.code != 1 or not lines or not all(word in done.err for word in words):
        raise Failure(f"{arguments}: ended with {done.code}, not with a line with {words}:\n{done.err}")
    return lines


@once
def library(kind, name, *arguments):
    folder = OUT / f"{kind} {name}"  # every path has a blank
    build(folder, *arguments, f"--kind={kind}", f"--name={name}")
    return folder


def flags_of(folder, name):
    """How a caller is compiled with it."""
    done = run(["pkg-config", "--cflags", "--libs", name], env={"PKG_CONFIG_PATH": str(folder)})
    return [*shlex.split(expect_done(done, "pkg-config").out), f"-Wl,-rpath,{folder}"]


@once
def wanted(*arguments):
    """What the program says of X: the bits of the logits."""
    program, y = OUT / "program", OUT / "program.npy"
    build(program, *arguments)
    expect_done(run([program, f"--tensor={X}", f"--output={y}"]), "the program")
    return np.load(y).tobytes()


# ---- callers ----

def written(template, name, output):
    """The caller with the network's name in it."""
    output.write_text((HERE / template).read_text().replace("$", name).replace("@", name.upper()))
    return output


def compiled(command, what="the compiler", **options):
    done = expect_done(run(command, timeout=300, **options), what)
    if done.err:
        raise Failure(f"{what} complains\n{done.err[:3000]}")


def c_caller(name, flags, compiler="gcc"):
    """caller.c for this network; the path of the program."""
    path = OUT / f"{name}.{threading.get_ident()}.caller"
    source = written("caller.c", name, path.with_suffix(".c"))
    command = compiler.split() + ["-std=c11", "-D_DEFAULT_SOURCE", *STRICT, "-pthread"]
    compiled([*command, source, *flags, "-o", path], compiler)
    return path


def call_c(caller, bits, threads, callers, *weights, before=()):
    """Its answer must be these bits; None: returns it."""
    y = caller.with_suffix(".y")
    expect_done(run([*before, caller, X_BIN, y, threads, callers, *weights], timeout=300), "the caller")
    if bits is not None and y.read_bytes() != bits:
        raise Failure("the library gives other bits than the program")
    return y.read_bytes()


def call_python(folder, name, x=X, threads=2):
    """What a shared library says of pictures, and its class labels."""
    y = OUT / f"{threading.get_ident()}.npy"
    done = run([sys.executable, HERE / "caller.py", folder, name, x, y, threads], timeout=300)
    expect_done(done, "caller.py")
    return np.load(y), done.out.splitlines()


def runnable(members):
    """The targets that this machine runs."""
    for target in members:
        if not (target == "x86-64-v4" and NATIVE != target or target == "x86-64-v3" and NATIVE == "scalar"):
            yield target
