"""Libraries: their callers, several in one program, what is in them, the folder that they go into."""

import ctypes
import re
import sys
from pathlib import Path

import numpy as np

from harness import (CLASSES, HERE, LOGITS_BYTES, NATIVE, OUT, RES2NET, RESNEXT, STRICT, X_BIN, build, c_caller, call_c,
                     call_python, compiled, emit, fails, flags_of, library, wanted, written)
from tap import NETC, ROOT, TARGETS, Failure, Skip, expect_done, netc, run

ARCHER = Path("/usr/lib/llvm-19/lib/libarcher.so")


# ---- callers ----

def from_c():
    """By pkg-config, from a folder that was moved after it was built, and whose path has blanks."""
    build(OUT / "first place", *RESNEXT, "--kind=static", "--name=moved", "--parts=3")
    place = (OUT / "first place").rename(OUT / "a place with blanks")
    for compiler in ("gcc", "clang-19"):
        caller = c_caller("moved", flags_of(place, "moved"), compiler)
        for threads in (1, 2):
            call_c(caller, wanted(*RESNEXT), threads, 1)


def from_cplusplus():
    folder = library("shared", "fashion_resnext", *RESNEXT)
    source = written("caller.cc", "fashion_resnext", OUT / "from_cplusplus.cc")
    caller, y = OUT / "from_cplusplus", OUT / "from_cplusplus.y"
    flags = ["-std=c++11", *STRICT, "-Wold-style-cast", source, *flags_of(folder, "fashion_resnext")]
    for compiler in ("g++", "clang++-19"):
        compiled([compiler, *flags, "-o", caller], compiler)
        done = expect_done(run([caller, X_BIN, y, 2]), "the caller")
        if y.read_bytes() != wanted(*RESNEXT) or done.out.splitlines() != CLASSES:
            raise Failure(f"other bits than the program's, or other labels: {done.out}")


def from_python():
    logits, labels = call_python(library("shared", "fashion_resnext", *RESNEXT), "fashion_resnext")
    if logits.tobytes() != wanted(*RESNEXT) or labels != CLASSES:
        raise Failure(f"other bits than the program's, or other labels: {labels}")


def examples():
    """README's callers, with the library of the network that they name."""
    folder, place = library("shared", "fashion_resnext", *RESNEXT), OUT / "examples"
    place.mkdir()
    (place / "lib").symlink_to(folder)
    text = (ROOT / "README.md").read_text()
    (c,) = [block for block in re.findall(r"```c\n(.*?)```", text, re.S) if "fashion_resnext.h" in block]
    (python,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "ctypes" in block]
    (place / "application.c").write_text(c)
    flags = flags_of(place / "lib", "fashion_resnext")
    compiled(["gcc", "-Wall", "-Wextra", place / "application.c", *flags, "-o", place / "application"], "gcc")
    done = expect_done(run([place / "application"], cwd=place, env={"LD_LIBRARY_PATH": "lib"}), "README's C")
    labels, logits = zip(*[line.rsplit(None, 1) for line in done.out.splitlines()])
    done = expect_done(run([sys.executable, "-c", python + "print(*logits)"], cwd=place), "README's Python")
    both = [np.array(said, float) for said in (logits, done.out.split())]
    if list(labels) != CLASSES or not np.allclose(*both, atol=1e-4):
        raise Failure(f"README's C says {labels} {logits}, its Python {done.out}")


def from_threads():
    """Four that run at once on one opened net."""
    folder = library("shared", "fashion_resnext", *RESNEXT)
    caller = c_caller("fashion_resnext", flags_of(folder, "fashion_resnext"), "clang-19")
    for threads in (1, 2):
        call_c(caller, wanted(*RESNEXT), threads, 4)


def from_threads_watched():
    """The same under the thread sanitizer, to which archer tells the barriers of OpenMP."""
    if not ARCHER.exists():
        raise Skip(f"{ARCHER} is missing")
    folder = emit(OUT / "watched", *RESNEXT)
    written("caller.c", "fashion_resnext", folder / "caller.c")
    flags = ["-O0", "-g1", "-std=c17", "-D_DEFAULT_SOURCE", "-ffp-contract=off", "-fopenmp", "-fsanitize=thread"]
    files = ["fashion_resnext.c", "caller.c", "-lm", "-o", "caller"]
    expect_done(run(["clang-19", *flags, *TARGETS[NATIVE].split(), *files], cwd=folder, timeout=300), "clang")
    environment = {"OMP_TOOL_LIBRARIES": str(ARCHER), "TSAN_OPTIONS": "ignore_noninstrumented_modules=1"}
    done = run([folder / "caller", X_BIN, folder / "y", 2, 4], timeout=300, env=environment)
    if done.code or done.err or (folder / "y").read_bytes() != wanted(*RESNEXT):
        raise Failure(f"ended with {done.code}\n{done.err[:3000]}")


def errors(target):
    """All codes, and arrays that are aligned to floats alone, under sanitizers."""
    folder = emit(OUT / f"errors {target}", *RESNEXT, f"--target={target}")
    written("errors.c", "fashion_resnext", folder / "errors.c")
    flags = ["-O0", "-g1", "-std=c17", "-ffp-contract=off", "-fopenmp", "-fsanitize=address,undefined,alignment",
             "-fno-sanitize-recover=all", *TARGETS[target].split()]
    files = ["fashion_resnext.c", "errors.c", "-lm", "-o", "errors"]
    expect_done(run(["clang-19", *flags, *files], cwd=folder, timeout=300), "clang")
    done = run([folder / "errors", X_BIN, folder / "y"], env={"ASAN_OPTIONS": "detect_leaks=0"})
    if done.code or done.err:
        raise Failure(f"ended with {done.code}\n{done.err[:3000]}")
    if target == NATIVE and (folder / "y").read_bytes() != wanted(*RESNEXT)[:LOGITS_BYTES]:
        raise Failure("other bits than the program's")


def batch():
    """Two runs of three images against six of one."""
    folder = library("static", "by_three", *RESNEXT, "--batch=3")
    caller = c_caller("by_three", flags_of(folder, "by_three"))
    for threads in (1, 2):
        call_c(caller, wanted(*RESNEXT), threads, 1)
    header = (folder / "by_three.h").read_text()
    if "on 3 images" not in header or "BATCH 3" not in header:
        raise Failure("the header does not say that a run takes three images")


def weights_outside():
    folder, packed = OUT / "outside", OUT / "outside.weights"
    build(folder, *RESNEXT, "--kind=static", "--name=outside", f"--weights-file={packed}")
    caller = c_caller("outside", flags_of(folder, "outside"))
    done = run([caller, X_BIN, OUT / "outside.y", 1, 1])
    if done.code != 14 or "weights file" not in done.err:
        raise Failure(f"without a file: {done.code} {done.err}")
    call_c(caller, wanted(*RESNEXT), 2, 4, packed)


# ---- names ----

def words():
    """Names that no compiler would take, in the header and in the C; several inputs and outputs, and no labels."""
    folder = library("static", "words", HERE / "words.net", "--weights=synthetic")
    said = set()
    for compiler in ("gcc", "clang-19"):
        caller = OUT / f"words.{compiler}"
        compiled([compiler, "-std=c11", *STRICT, HERE / "words.c", *flags_of(folder, "words"), "-o", caller], compiler)
        said.add(expect_done(run([caller]), "the caller").out)
    if len(said) != 1:
        raise Failure(f"two compilers, two answers: {said}")
    if "_labels" in (folder / "words.h").read_text():
        raise Failure("there are no labels, and the header has some")
    check_header(folder / "words.h")


def tiny(target):
    """Denormal numbers are zero inside, and the caller's mode is his own again."""
    folder = OUT / f"tiny {target}"
    build(folder, HERE / "tiny.net", "--weights=synthetic", f"--target={target}", "--kind=static", "--name=tiny")
    for compiler in ("gcc", "clang-19"):
        caller = OUT / f"tiny.{target}.{compiler}"
        compiled([compiler, "-std=c11", *STRICT, HERE / "tiny.c", *flags_of(folder, "tiny"), "-o", caller], compiler)
        expect_done(run([caller]), f"the caller, by {compiler}")


def check_header(path):
    """Clean as C11 and C++11, twice, behind headers with macros of their own."""
    again = f'#include "{path.name}"\n' * 2
    users = ((".user.c", "#include <complex.h>\n#include <errno.h>\n", ["-std=c11", "-Wstrict-prototypes"]),
             (".user.cc", "#include <cerrno>\n", ["-std=c++11", "-Wold-style-cast"]))
    for suffix, before, flags in users:
        user = path.with_suffix(suffix)
        user.write_text(before + again)
        for compiler in ("gcc", "clang-19"):
            compiled([compiler, *flags, *STRICT, "-fsyntax-only", user], f"{compiler} {flags[0]}")
        user.unlink()
    long = [line for line in path.read_text().splitlines() if len(line) > 120]
    if long and len(path.stem) < 60:  # a macro is not parted
        raise Failure(f"lines of more than 120: {long[0]}")


def helper_macros():
    """Every macro of the helper headers may be the name of an input, and so may what the functions call their own."""
    names = set("inputs outputs low_bits i code packing variants packed xxh64 forward lacks pick".split())
    for path in (ROOT / "compiler/targets").glob("helpers_*.h"):
        names |= set(re.findall(r"^#define (\w+)", path.read_text(), re.M))
    inputs = "".join(f"    input {name} [2]\n" for name in sorted(names))
    source = OUT / "macros.net"
    source.write_text(f"net macros()\n{{\n{inputs}    output y = {' + '.join(sorted(names))}\n}}\n")
    folder = emit(OUT / "macros", source, "--weights=synthetic", f"--target={NATIVE}")
    flags = ["-std=c17", "-fopenmp", "-Wall", "-Wextra", "-Werror", *TARGETS[NATIVE].split()]
    for compiler in ("gcc", "clang-19"):
        compiled([compiler, *flags, "-c", "macros.c", "-o", "macros.o"], compiler, cwd=folder)


def long_name():
    """A name of a hundred letters; names of graph IR that are none of C."""
    name = "n" * 100
    folder = OUT / "long"
    build(folder, *RESNEXT, "--kind=static", f"--name={name}", "--parts=2")
    check_header(folder / f"{name}.h")
    text = 'graph "a b/c" from "x.net"\ninput %"1 in" f32[4]\n%y f32[4] = relu %"1 in"\noutput "out-put" = %y\n'
    odd = OUT / "odd.ir"
    odd.write_text(text)
    done = netc("build", odd, "--weights=synthetic", "--kind=static", "-o", OUT / "odd", binary=NETC)
    if done.code != 1 or "[build_name]" not in done.err or (OUT / "odd").exists():
        raise Failure(f"a network's name that is none of C: {done.code} {done.err}")
    build(OUT / "odd", odd, "--weights=synthetic", "--kind=static", "--name=odd")
    check_header(OUT / "odd" / "odd.h")


# ---- several in one program ----

TWO = r"""
#include "%(a)s.h"
#include "%(b)s.h"
#include <stdio.h>
#include <stdlib.h>
#define RUN(name, NAME) \
    { \
        name##_net net; \
        float logits[NAME##_LOGITS_ELEMENTS]; \
        void *workspace = aligned_alloc(NAME##_ALIGNMENT, name##_workspace_size()); \
        if (name##_open(&net, NULL) || name##_run(&net, workspace, pixels, logits, 2)) { \
            return 1; \
        } \
        fwrite(logits, sizeof logits, 1, stdout); \
        name##_close(&net); \
        free(workspace); \
    }
int main(int argc, char **argv)
{
    static float pixels[784];
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file || fread(pixels, sizeof pixels, 1, file) != 1) {
        return 2;
    }
    fclose(file);
    RUN(%(a)s, %(A)s)
    RUN(%(b)s, %(B)s)
    return 0;
}
"""


def two(label, a, b):
    """a, b: kind, name, arguments and the bits wanted."""
    source, program, flags, bits = OUT / f"{label}.c", OUT / label, [], b""
    for kind, name, arguments, own in (a, b):
        flags += flags_of(library(kind, name, *arguments), name)
        bits += own[:LOGITS_BYTES]
    source.write_text(TWO % {"a": a[1], "b": b[1], "A": a[1].upper(), "B": b[1].upper()})
    compiled(["gcc", "-std=c11", "-D_DEFAULT_SOURCE", *STRICT, source, *flags, "-o", program], "gcc")
    if expect_done(run([program, X_BIN], binary=True), "two networks").out != bits:
        raise Failure("in one program they give other bits than alone")


def static(name, net):
    """A static library whose kernels lie in files of their own, so that their names meet others."""
    return "static", name, [*net, "--parts=3"], wanted(*RESNEXT) if net is RESNEXT else res2net_bits()


def res2net_bits():
    return call_python(library("shared", "fashion_res2net", *RES2NET), "fashion_res2net")[0].tobytes()


def two_static():
    two("two_static", static("fashion_resnext", RESNEXT), static("fashion_res2net", RES2NET))


def two_of_one():
    """The same network, called differently."""
    two("two_of_one", static("fashion_resnext", RESNEXT), static("second", RESNEXT))


def static_and_shared():
    shared = ("shared", "fashion_resnext", RESNEXT, wanted(*RESNEXT))
    two("static_and_shared", static("fashion_res2net", RES2NET), shared)


# ---- what is in them ----

API = ["close", "logits_labels", "open", "run", "strerror", "workspace_size"]
# Of libc what keeps, allocates, prints and ends nothing; what maps weights files; OpenMP; the processor's model.
ALLOWED = r"""mem(set|cpy|cmp|chr|move) bcmp str(len|n?cmp|str|chr) fmaf? __stack_chk_fail _GLOBAL_OFFSET_TABLE_
              (open|close|fstat|mmap|munmap|madvise)(64)? __errno_location
              __kmpc_\w+ omp_get_\w+ __cpu_model __cpu_indicator_init __cpu_features2""".split()


def check_archive(archive, name):
    symbols = re.findall(r"^(?:[0-9a-f]+)?\s+(\w) (\S+)$", expect_done(run(["nm", archive]), "nm").out, re.M)
    defined = {symbol for letter, symbol in symbols if letter in "TDRBVWC"}
    foreign = {symbol for letter, symbol in symbols if letter == "U"} - defined
    surplus = sorted(symbol for symbol in foreign if not any(re.fullmatch(pattern, symbol) for pattern in ALLOWED))
    strangers = sorted(symbol for symbol in defined if not symbol.startswith(f"{name}_"))
    if surplus or strangers:
        raise Failure(f"it uses {surplus}, and names of it that are not the network's are {strangers}")
    sections = expect_done(run(["readelf", "-SW", archive]), "readelf").out
    for section, size in re.findall(r"\] (\.t?(?:data|bss)(?:\.(?!rel\.ro)\S+)?)\s+\w+\s+\w+ \w+ (\w+)", sections):
        if int(size, 16):
            raise Failure(f"it has variables: {int(size, 16)} bytes in {section}")
    table = expect_done(run(["readelf", "-sW", archive]), "readelf").out
    visible = set(re.findall(r"GLOBAL\s+DEFAULT\s+\d+ (\S+)", table))
    if visible != {f"{name}_{what}" for what in API}:
        raise Failure(f"visible are {sorted(visible)}")


def in_static():
    for name, arguments in (("fashion_resnext", ["--parts=3"]), ("several", ["--target=x86-64"]),
                            ("plain", ["--target=scalar"])):
        folder = library("static", name, *RESNEXT, *arguments)
        check_archive(folder / f"lib{name}.a", name)


def in_shared():
    path = library("shared", "fashion_resnext", *RESNEXT) / "libfashion_resnext.so"
    shown = expect_done(run(["nm", "-D", "--defined-only", path]), "nm").out
    if sorted(line.split()[-1] for line in shown.splitlines()) != [f"fashion_resnext_{what}" for what in API]:
        raise Failure(f"it shows\n{shown}")
    dynamic = expect_done(run(["readelf", "-dW", path]), "readelf").out
    needed = set(re.findall(r"NEEDED.*\[(\S+?)\.so", dynamic))
    needed -= {"libomp", "libm", "libc", "ld-linux-x86-64", "libgcc_s"}
    if needed or "TEXTREL" in dynamic or "soname: [libfashion_resnext.so]" not in dynamic:
        raise Failure(f"it needs {needed}\n{dynamic}")


NEWER = re.compile(r"\t(v\w+|andn|bextr|bls\w+|shlx|shrx|sarx|rorx|mulx|pdep|pext|[lt]zcnt|movbe|popcnt|bzhi"
                   r"|k(?:mov|and|or|xor|sh)\w+)\b")


def runs_anywhere():
    """What a caller may call before the processor is known has no instruction that only newer processors have."""
    for target in ("x86-64-v4", "x86-64-v3"):
        name = f"for_{target[-2:]}"
        archive = library("static", name, *RESNEXT, f"--target={target}") / f"lib{name}.a"
        code = expect_done(run(["objdump", "-d", "--no-show-raw-insn", archive]), "objdump").out
        functions = dict(re.findall(r"^[0-9a-f]+ <(\w+)>:\n((?:.+\n)+)", code, re.M))
        for what in [f"{name}_{what}" for what in API if what != "logits_labels"]:
            if NEWER.search(functions[what]):
                raise Failure(f"{what} for {target}: {NEWER.search(functions[what]).group(1)}")
        if not any(NEWER.search(body) for body in functions.values()):
            raise Failure("no such instruction is seen anywhere: is it looked for?")


# ---- their folder ----

def folders():
    place = OUT / "folders"
    place.mkdir()
    (place / "file").write_text("mine")
    nowhere = ((place / "file", "folder"), (place / "no/such", "No such file"), (place / "file/in", "Not a directory"),
               (Path("/proc/nothing"), "cannot be made"))
    for kind in ("static", "shared", "source"):
        for output, word in nowhere:
            if len(fails([f"--kind={kind}", "-o", output], [word, "[build_write]"])) != 1:
                raise Failure("one line would do")
        if sorted(path.name for path in place.iterdir()) != ["file"] or (place / "file").read_text() != "mine":
            raise Failure("something stayed behind, or was changed")
    new = place / "new"
    for kind in ("static", "shared"):
        fails([f"--kind={kind}", "-o", new], ["[build_compile]"], {"NETC_CC": "/bin/false"})
        if new.exists():
            raise Failure("the folder that was made for the library stayed behind")
    new.mkdir()
    (new / "notes").write_text("mine")
    fails(["--kind=static", "-o", new], ["[build_compile]"], {"NETC_CC": "/bin/false"})
    if [path.name for path in new.iterdir()] != ["notes"]:
        raise Failure("a folder that was there is to be left as it was")


def replaced():
    """Files are replaced by renaming: who has the old library open keeps the old one."""
    folder = OUT / "replaced"
    path = folder / "libreplaced.so"
    build(folder, *RESNEXT, "--kind=shared", "--name=replaced")
    before, bits, old = path.stat().st_ino, path.read_bytes(), ctypes.CDLL(str(path))
    (folder / "notes").write_text("mine")
    build(folder, *RESNEXT, "--kind=shared", "--name=replaced")
    if path.stat().st_ino == before or old.replaced_workspace_size() <= 0:
        raise Failure("it was written in place")
    if path.read_bytes() != bits:
        raise Failure("the same input gives another library")
    if sorted(entry.name for entry in folder.iterdir()) != ["libreplaced.so", "notes", "replaced.h", "replaced.pc"]:
        raise Failure("other files are there")
