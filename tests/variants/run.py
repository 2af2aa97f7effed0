"""One program for several processors (--target=x86-64): each variant gives the bits of the program made for it alone, the best that
the processor runs is picked, and asking for more than it has is one line.

qemu-user plays the processors that this machine is not: Haswell has AVX2, Nehalem has neither AVX2 nor AVX, so that an instruction of
theirs outside of their variant ends the program.
"""

import functools
import platform
import shutil
import sys
import threading
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import BUILD, NETC, Failure, Skip, expect_done, main, netc, run

OUT = BUILD / "tests" / "variants"
OUT.mkdir(parents=True, exist_ok=True)
MEMBERS = ["x86-64-v4", "x86-64-v3", "scalar"]
NETS = {"resnext": ["netdefs/fashion/resnext.net"],
        "res2net": ["netdefs/fashion/res2net.net", "--batch=3"],
        "seresnet18": ["netdefs/seresnet18.net", "-D", "image=64"]}
PROCESSORS = {"Haswell": "x86-64-v3", "Nehalem": "scalar"}


@functools.cache
def lock_of(*key):
    return threading.Lock()


@functools.cache
def built(net, target, *more):
    output = OUT / "_".join([net, target, *more]).replace("=", "")
    expect_done(netc("build", *NETS[net], "--weights=synthetic", f"--target={target}", *more, "-o", output, binary=NETC,
                     timeout=600), "netc build")
    return output


def build(*key):
    with lock_of(*key):
        return built(*key)


def on(processor, *words, **options):
    """Runs a command on a processor that qemu plays; the lines in which it says what it leaves out are taken away."""
    done = run(["qemu-x86_64", "-cpu", processor, *words], **options)
    done.err = "".join(line for line in done.err.splitlines(True) if not line.startswith("qemu-x86_64: warning:"))
    return done


def pixels(net):
    path = OUT / f"{net}.{threading.get_ident()}.npy"
    shape = (5, 3, 64, 64) if net == "seresnet18" else (5, 1, 28, 28)
    np.save(path, np.random.default_rng(1).standard_normal(shape).astype(np.float32))
    return path


def target_of(done):
    return next(line.split()[1].rstrip(",") for line in expect_done(done, "--info").out.splitlines() if line.startswith("target"))


def check_bits(net):
    program, x, y = build(net, "x86-64"), pixels(net), OUT / f"{net}.out.npy"
    alone_bytes = 0
    for member in MEMBERS:
        alone = build(net, member)
        alone_bytes += alone.stat().st_size
        first = run([alone, f"--tensor={x}", f"--output={y}"])
        if "lacks" in first.err:
            continue
        expect_done(first, member)
        wanted = y.read_bytes()
        for threads in (1, 2):
            expect_done(run([program, f"--tensor={x}", f"--output={y}", f"--target={member}", f"--threads={threads}"]), "the program")
            if y.read_bytes() != wanted:
                raise Failure(f"{member}, {threads} threads: other bits than the program made for it alone")
    if net == "seresnet18" and program.stat().st_size > 0.6 * alone_bytes:
        raise Failure("the packed weights seem to be in the program more than once")


def check_pick(processor):
    member, y, wanted = PROCESSORS[processor], OUT / f"{processor}.npy", OUT / f"{processor}.wanted.npy"
    program, x = build("resnext", "x86-64"), pixels("resnext")
    if target_of(on(processor, program, "--info")) != member:
        raise Failure(f"{member} should be picked on {processor}")
    expect_done(on(processor, program, f"--tensor={x}", f"--output={y}", timeout=300), "the program")
    expect_done(run([program, f"--tensor={x}", f"--output={wanted}", f"--target={member}"]), "the program here")
    if y.read_bytes() != wanted.read_bytes():
        raise Failure(f"other bits on {processor} than here")
    expect_done(on(processor, program, "--bench", "--runs=1", timeout=300), "--bench")


def one_line(done, words):
    if done.code != 1 or done.out or len(done.err.splitlines()) != 1 or not all(word in done.err for word in words):
        raise Failure(f"not one line with {words}, exit 1:\n{done.code} {done.out}{done.err}")


def check_asking():
    several = build("resnext", "x86-64")
    one_line(on("Haswell", several, "--bench", "--target=x86-64-v4"), ["x86-64-v4", "lacks AVX-512 F"])
    one_line(on("Nehalem", several, "--bench", "--target=x86-64-v3"), ["x86-64-v3", "lacks AVX2"])
    for member, processor, missing in (("x86-64-v4", "Haswell", "AVX-512 F"), ("x86-64-v4", "Nehalem", "AVX2"),
                                       ("x86-64-v3", "Nehalem", "AVX2")):
        alone = build("resnext", member)
        one_line(on(processor, alone, "--bench"), [member, f"lacks {missing}"])
        if target_of(on(processor, alone, "--info")) != member:
            raise Failure("--info must run anywhere")
    wrong = run([several, "--bench", "--target=x86-64-v5"])
    if wrong.code != 2 or "x86-64-v4, x86-64-v3, scalar" not in wrong.err:
        raise Failure(f"an unknown target must name those that are there:\n{wrong.err}")
    alone = build("resnext", "scalar")
    if run([alone, "--bench", "--target=x86-64-v3"]).code != 2:
        raise Failure("a program for one processor has no other code")


LIBRARY = """
#include <stdio.h>
#include <string.h>
#include "fashion_resnext.h"
int main(void)
{
    fashion_resnext_net net;
    const int code = fashion_resnext_open(&net, NULL);
    printf("%d %d %s\\n", code, code ? -1 : net.variant, net.detail ? net.detail : "");
    fashion_resnext_close(&net);
    return 0;
}
"""


def check_library():
    """What open() says of processors: 0 and the variant, or the error and what is lacking."""
    source = OUT / "open.c"
    source.write_text(LIBRARY)
    for target, expected in (("x86-64", {"Haswell": "0 1 ", "Nehalem": "0 2 "}),
                             ("x86-64-v4", {"Haswell": "3 -1 AVX-512 F", "Nehalem": "3 -1 AVX2"})):
        folder = build("resnext", target, "--kind=static")
        omp = run(["clang-19", "-print-file-name=libomp.so"]).out.strip()
        expect_done(run(["gcc", source, f"-I{folder}", folder / "libfashion_resnext.a", omp, "-lm", "-o", OUT / "open"]), "gcc")
        for processor, line in expected.items():
            got = expect_done(on(processor, OUT / "open"), "the caller").out
            if got != line + "\n":
                raise Failure(f"{target} on {processor}: '{got.strip()}' instead of '{line}'")


def refuse_set():
    done = netc("show", "netdefs/resnet18.net", "--target=x86-64", binary=NETC)
    if done.code != 2 or "name one of them" not in done.err:
        raise Failure(done.err)


cases = [(f"variants/{net} bits", lambda net=net: check_bits(net)) for net in NETS]
cases += [(f"variants/picked on {processor}", lambda processor=processor: check_pick(processor)) for processor in PROCESSORS]
cases += [("variants/asking for what is not there", check_asking), ("variants/library", check_library),
          ("variants/not for show", refuse_set)]
if platform.machine() != "x86_64" or not shutil.which("qemu-x86_64"):
    print("skip variants - qemu-x86_64 is missing, or this is no x86-64")
    sys.exit(0)
main(cases)
