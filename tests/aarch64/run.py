"""aarch64: cross-compiled, run by qemu-user, and the assembly of the inner loops counted (inner_loops.py).

Programs give the bits of this machine's own, and for one thread and two; the logits are those of the published networks.
netc itself, cross-compiled, writes the same C and packs the same weights there. ALL=1: every network.
What is missing (sysroot, qemu, the cross gcc) is a skip that says how to get it.
"""

import filecmp
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "nets")]
from golden import build_fashion, networks
from inner_loops import faults, main_loops
from tap import (ALL, BUILD, FOREIGN, NETC, ROOT, Failure, Skip, clang_flags, emulator, expect_done, leave_out, main, netc, run, sysroot)

TARGET = "aarch64"
OUT = BUILD / "tests" / "aarch64"
FLAGS = ["-std=c17", "-O3", "-ffp-contract=off", "-fopenmp", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/runtime"]
GCC = "aarch64-linux-gnu-gcc-12"


def emit(net, folder, *options):
    expect_done(netc("build", f"netdefs/{net}.net", "--weights=synthetic", f"--target={TARGET}", "--parts=1", *options,
                     f"--emit-c={folder}", binary=NETC), "netc build --emit-c")
    return next(path for path in folder.glob("*.c") if not path.name.endswith(".program.c"))


def assembly(compiler, source):
    output = source.with_suffix(".s")
    got = run([*compiler, *FLAGS, f"-I{source.parent}", "-S", source.name, "-o", output], cwd=source.parent, timeout=300)
    if got.code != 0 or got.err:
        raise Failure(f"{source.name} does not compile cleanly\n{got.err[:3000]}")
    return output.read_text()


def clang():
    return ["clang-19", *clang_flags(TARGET)]


def gcc():
    if not shutil.which(GCC):
        raise Skip(f"{GCC} is missing (Debian's gcc-12-aarch64-linux-gnu)")
    return [GCC, f"--sysroot={sysroot(TARGET)}", *FOREIGN[TARGET][1].split()]


# ---- inner loops ----

def complaints(text):
    return [f"{kernel} {fault}: {loop}" for kernel, loops in main_loops(text).items() for loop in loops
            for fault in faults(kernel, loop)]


def check_loops(net, families):
    with tempfile.TemporaryDirectory(prefix="netc-aarch64-") as temporary:
        text = assembly(clang(), emit(net, Path(temporary)))
    kernels = main_loops(text)
    for family in families:
        if not any(re.match(family, kernel) for kernel in kernels):
            raise Failure(f"no kernel {family} with an inner loop was found")
    found = complaints(text)
    if found:
        raise Failure(f"{len(found)} loops are not as they should be\n" + "\n".join(found))


def check_gcc(net):
    """gcc, the second compiler: multiplies by lane too, and keeps the tile in registers."""
    with tempfile.TemporaryDirectory(prefix="netc-aarch64-") as temporary:
        kernels = main_loops(assembly(gcc(), emit(net, Path(temporary))))
    if not kernels:
        raise Failure("no inner loop was found")
    for kernel, loops in kernels.items():
        for loop in loops:
            if loop.by_lane < 0.95 * loop.multiply_adds or loop.count(r"(?:ld|st)[rp]\s+q.*\[sp\b"):
                raise Failure(f"{kernel}: {loop}")


def check_counting():
    """The loops of a small network are right; the counts notice a tile that is too large for the registers, and inputs that
    are spread before they are multiplied."""
    with tempfile.TemporaryDirectory(prefix="netc-aarch64-") as temporary:
        source = emit("fashion/resnext", Path(temporary))
        text = source.read_text()
        found = complaints(assembly(clang(), source))
        if found:
            raise Failure("loops are not as they should be\n" + "\n".join(found))
        tall = re.sub(r"(kernel void conv1x1_256to128_7x7_relu__neon_1x7x8.*?\n}\n)",
                      lambda kernel: re.sub(r"\[7\](?=[;\[])", "[14]", kernel.group(1).replace("p < 7", "p < 14")), text, flags=re.S)
        spread = text.replace("{ return vdupq_n_f32(v[l]); }",
                              '{ f32x4 d = vdupq_n_f32(v[l]); __asm__("" : "+w"(d)); return d; }')
        for what, changed, kernel, wanted in (
                ("a tile of 14 x 8", tall, "conv1x1_256to128_7x7_relu__neon_1x7x8 ", "goes to the stack"),
                ("inputs that are spread", spread, "", "does not multiply by lane"),
                ("inputs that are spread", spread, "", "spreads or copies"),
                ("inputs that are spread", spread, "", "is to multiply-add in")):
            if changed == text:
                raise Failure(f"{what}: the generated C has nothing to change")
            source.write_text(changed)
            found = complaints(assembly(clang(), source))
            if not any(kernel in line and wanted in line for line in found):
                raise Failure(f"{what} was not noticed: {wanted}")


# ---- programs ----

def check_fashion(net):
    """Three pictures have the bits that this machine's own program gives, with one thread and with two."""
    before, results = emulator(TARGET), []
    pixels = OUT / f"{net}.npy"
    np.save(pixels, np.random.default_rng(5).standard_normal((3, 1, 28, 28)).astype(np.float32))
    for name, target, words in (("own", "native", []), ("cross", TARGET, before)):
        program, result = OUT / f"{net}_{name}", OUT / f"{net}_{name}.npy"
        build_fashion(net, program, f"--target={target}")
        for threads in (1, 2):
            expect_done(run([*words, program, f"--tensor={pixels}", f"--output={result}", f"--threads={threads}"], timeout=600),
                        f"the program of {target}")
            results.append(result.read_bytes())
        program.unlink()
        result.unlink()
    pixels.unlink()
    if len(set(results)) != 1:
        raise Failure("the bits differ")


def check_network(net):
    emulator(TARGET)
    net.check_program(TARGET)


USER = r"""
#include <stdio.h>
#include <stdlib.h>
#include "fashion_resnext.h"
int main(void)
{
    static float pixels[FASHION_RESNEXT_PIXELS_ELEMENTS], logits[FASHION_RESNEXT_LOGITS_ELEMENTS];
    fashion_resnext_net net;
    if (fashion_resnext_open(&net, NULL) || fashion_resnext_run(&net, aligned_alloc(64, fashion_resnext_workspace_size()), pixels,
                                                                logits, 2))
        return 1;
    for (int i = 0; i < FASHION_RESNEXT_LOGITS_ELEMENTS; i++)
        printf("%a\n", logits[i]);
    return 0;
}
"""


def check_libraries():
    """Static and shared, called from a program in C."""
    before, printed = emulator(TARGET), set()
    with tempfile.TemporaryDirectory(prefix="netc aarch64 ") as temporary:
        folder = Path(temporary)
        (folder / "user.c").write_text(USER)
        for kind, library in (("static", "libfashion_resnext.a"), ("shared", "libfashion_resnext.so")):
            build_fashion("resnext", folder, f"--target={TARGET}", f"--kind={kind}")
            expect_done(run([*clang(), "-fuse-ld=lld", f"-L{sysroot(TARGET)}/usr/lib/llvm-19/lib", f"-I{folder}", folder / "user.c",
                             folder / library, f"-Wl,-rpath,{folder}", "-lomp", "-lm", "-o", folder / "user"]), f"clang with {library}")
            printed.add(expect_done(run([*before, folder / "user"]), f"the program with {library}").out)
    if len(printed) != 1 or printed.pop().count("\n") != 10:
        raise Failure("the static library and the shared one do not give the same ten logits")


def check_missing():
    """Where there are no libraries, an error says how to get them."""
    got = netc("build", "netdefs/fashion/resnext.net", "--weights=synthetic", f"--target={TARGET}", "--sysroot=tests", "-o",
               OUT / "never", binary=NETC)
    if got.code != 1 or "tests: error:" not in got.err or "[build_sysroot]" not in got.err or "make sysroot-aarch64" not in got.err:
        raise Failure(f"ended with {got.code}\n{got.err}")


def check_compiler():
    """netc for aarch64: knows where it is, and writes what the native one writes."""
    before = emulator(TARGET)
    expect_done(run(["make", "-j2", "SKIP_DEPS=1", f"CROSS={TARGET}", "CFLAGS=-O0", f"build/{TARGET}/netc"],
                    timeout=900, env={"MAKEFLAGS": "", "MAKELEVEL": "0"}), "make CROSS=aarch64")
    there = [*before, BUILD / TARGET / "netc"]
    got = expect_done(run([*there, "build", "--target=help"]), "netc build --target=help").out
    if not re.match(r"native +aarch64 on this machine\n", got):
        raise Failure(got)
    with tempfile.TemporaryDirectory(prefix="netc-aarch64-") as temporary:
        words = ["build", "netdefs/seresnet18.net", "-D", "image=72", "--weights=synthetic"]
        expect_done(run([*there, *words, f"--emit-c={temporary}/there"], timeout=600), "netc under qemu")
        expect_done(netc(*words, f"--target={TARGET}", f"--emit-c={temporary}/here", binary=NETC), "netc")
        here, other = ({path.name for path in Path(temporary, name).iterdir()} for name in ("here", "there"))
        _, differ, errors = filecmp.cmpfiles(f"{temporary}/here", f"{temporary}/there", here | other, shallow=False)
        if differ or errors:
            raise Failure(f"not the same: {', '.join(differ + errors)}")


def bound(check, *arguments):
    return lambda: check(*arguments)


if TARGET not in FOREIGN:
    print(f"skip aarch64 - this machine is {TARGET}: the other groups test it")
    sys.exit(0)
OUT.mkdir(parents=True, exist_ok=True)
FEW = ["seresnet18", "resnext50_32x4d"]
MAIN = {"resnext50_32x4d": ("conv7x7s2", "conv1x1_", "conv1x1s2", r"gconv3x3_\w+_spread", r"gconv3x3s2_\w+_spread",
                            r"gconv3x3_\w+_1x7x8$", "linear"),
        "res2net50_14w_8s": ("conv3x3_14to14_56x56", "conv3x3s2", "conv3x3_112to112_7x7")}
cases = [
    ("aarch64/counting notices bad loops", check_counting),
    ("aarch64/gcc", bound(check_gcc, "resnext50_32x4d")),
    ("aarch64/libraries", check_libraries),
    ("aarch64/no libraries", check_missing),
    ("aarch64/netc itself", check_compiler),
]
cases += [(f"aarch64/loops of {net.name}", bound(check_loops, net.name, MAIN.get(net.name, ["conv", "linear"])))
          for net in networks(OUT) if ALL or net.name in MAIN]
cases += [(f"aarch64/fashion_{net}", bound(check_fashion, net)) for net in ("resnext", "res2net")]
cases += [(f"aarch64/{net.name}", bound(check_network, net)) for net in networks(OUT) if ALL or net.name in FEW]
leave_out(f"all networks but {len(FEW)}, inner loops of all but {len(MAIN)}")
main(cases)
