"""Libraries as their callers see them, and --kind=source as somebody without netc sees it.

The callers are here: caller.c, caller.cc, caller.py, errors.c, words.c; $ in them is the network's name, @ the same in capitals.
What they compute must be the bits of the program that netc builds of the same network.
"""

import ctypes
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import ALL, BUILD, NETC, ROOT, TARGETS, Failure, Skip, emulator, expect_done, main, netc, run, sysroot

OUT = BUILD / "tests" / "libraries"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
ARCHER = Path("/usr/lib/llvm-19/lib/libarcher.so")
NATIVE = re.search(r"native\s+(\S+)", netc("build", "--target=help", binary=NETC).out).group(1)
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror"]
FASHION = {net: [f"netdefs/fashion/{net}.net", f"--weights=netdefs/fashion/{net}.safetensors"] for net in ("resnext", "res2net")}
RESNEXT, RES2NET = FASHION["resnext"], FASHION["res2net"]
CLASSES = (ROOT / "netdefs/labels/fashion_mnist.txt").read_text().splitlines()
X = np.random.default_rng(3).standard_normal((6, 1, 28, 28)).astype(np.float32)
np.save(OUT / "x.npy", X)
(OUT / "x.bin").write_bytes(X.tobytes())


def once(function):
    """A build that several cases want is made by the first; the others wait for it."""
    locks, guard = {}, threading.Lock()
    cached = functools.cache(function)

    def wrapper(*key):
        with guard:
            lock = locks.setdefault(key, threading.Lock())
        with lock:
            return cached(*key)
    return wrapper


def build(output, *arguments, **options):
    arguments = arguments if any(str(word).startswith("--parts") for word in arguments) else [*arguments, "--parts=1"]
    return expect_done(netc("build", *arguments, "-o", output, binary=NETC, timeout=300, **options), "netc build")


@once
def library(kind, name, *arguments):
    folder = OUT / f"{kind} {name}"  # every path has a blank
    build(folder, *arguments, f"--kind={kind}", f"--name={name}")
    return folder


@once
def wanted(name, *arguments):
    """What the program says of X: the bits of the logits."""
    program = OUT / f"{name}.program"
    build(program, *arguments)
    expect_done(run([program, f"--tensor={OUT}/x.npy", f"--output={OUT}/{name}.npy"]), "the program")
    return np.load(OUT / f"{name}.npy").tobytes()


def written(template, name, output):
    """The caller with the network's name in it."""
    text = (HERE / template).read_text().replace("$", name).replace("@", name.upper())
    output.write_text(text)
    return output


def compiled(command, what="the compiler"):
    done = expect_done(run(command, timeout=300), what)
    if done.err:
        raise Failure(f"{what} complains\n{done.err[:3000]}")


def same(path, bits, what="the library"):
    if path.read_bytes() != bits:
        raise Failure(f"{what} gives other bits than the program")


def flags_of(folder, name):
    done = expect_done(run(["pkg-config", "--cflags", "--libs", name], env={"PKG_CONFIG_PATH": str(folder)}), "pkg-config")
    return shlex.split(done.out)


# ---- callers ----

def from_c():
    """By pkg-config, from a folder that was moved after it was built, and whose path has blanks."""
    built = OUT / "first place"
    build(built, *RESNEXT, "--kind=static", "--name=moved_net", "--parts=3")
    place = OUT / "a place with blanks"
    built.rename(place)
    source = written("caller.c", "moved_net", OUT / "from_c.c")
    for compiler in ("gcc", "clang-19"):
        compiled([compiler, "-std=c11", "-D_DEFAULT_SOURCE", *STRICT, "-pthread", source, *flags_of(place, "moved_net"), "-o", OUT / "from_c"])
        for threads in ("1", "2"):
            expect_done(run([OUT / "from_c", OUT / "x.bin", OUT / "from_c.bin", threads, "1"]), "the caller")
            same(OUT / "from_c.bin", wanted("resnext", *RESNEXT))


def from_cplusplus():
    folder = library("shared", "fashion_resnext", *RESNEXT)
    source = written("caller.cc", "fashion_resnext", OUT / "from_cplusplus.cc")
    for compiler in ("g++", "clang++-19"):
        compiled([compiler, "-std=c++11", *STRICT, "-Wold-style-cast", source, *flags_of(folder, "fashion_resnext"), f"-Wl,-rpath,{folder}",
                  "-o", OUT / "from_cplusplus"])
        done = expect_done(run([OUT / "from_cplusplus", OUT / "x.bin", OUT / "from_cplusplus.bin", "2"]), "the caller")
        same(OUT / "from_cplusplus.bin", wanted("resnext", *RESNEXT))
        if done.out.splitlines() != CLASSES:
            raise Failure(f"other class labels: {done.out}")


def by_python(folder, name, x=OUT / "x.npy", threads=2):
    """What a shared library says of pictures, and its class labels."""
    y = folder / f"{threading.get_ident()}.npy"
    done = expect_done(run([sys.executable, HERE / "caller.py", folder, name, x, y, threads], timeout=300), "caller.py")
    return np.load(y), done.out.splitlines()


def from_python():
    logits, labels = by_python(library("shared", "fashion_resnext", *RESNEXT), "fashion_resnext")
    if logits.tobytes() != wanted("resnext", *RESNEXT):
        raise Failure("the library gives other bits than the program")
    if labels != CLASSES:
        raise Failure(f"other class labels: {labels}")


def from_threads():
    folder = library("shared", "fashion_resnext", *RESNEXT)
    source = written("caller.c", "fashion_resnext", OUT / "threads.c")
    compiled(["clang-19", "-std=c11", "-D_DEFAULT_SOURCE", *STRICT, "-pthread", source, *flags_of(folder, "fashion_resnext"),
              f"-Wl,-rpath,{folder}", "-o", OUT / "threads"])
    for threads in ("1", "2"):
        expect_done(run([OUT / "threads", OUT / "x.bin", OUT / "threads.bin", threads, "4"]), "four callers")
        same(OUT / "threads.bin", wanted("resnext", *RESNEXT))


def from_threads_watched():
    """The same under the thread sanitizer, to which archer tells the barriers of OpenMP."""
    if not ARCHER.exists():
        raise Skip(f"{ARCHER} is missing")
    folder = OUT / "watched"
    expect_done(netc("build", *RESNEXT, "--parts=1", f"--emit-c={folder}", binary=NETC), "netc build --emit-c")
    written("caller.c", "fashion_resnext", folder / "caller.c")
    expect_done(run(["clang-19", "-O0", "-g1", "-std=c17", "-D_DEFAULT_SOURCE", "-ffp-contract=off", "-fopenmp", "-fsanitize=thread",
                     *TARGETS[NATIVE].split(), "fashion_resnext.c", "caller.c", "-lm", "-o", "caller"], cwd=folder, timeout=300), "clang")
    done = run([folder / "caller", OUT / "x.bin", OUT / "watched.bin", "2", "4"], timeout=300,
               env={"OMP_TOOL_LIBRARIES": str(ARCHER), "TSAN_OPTIONS": "ignore_noninstrumented_modules=1"})
    if done.code or done.err:
        raise Failure(f"ended with {done.code}\n{done.err[:3000]}")
    same(OUT / "watched.bin", wanted("resnext", *RESNEXT))


def errors(target):
    """All codes, and arrays that are aligned to floats alone, under sanitizers."""
    folder = OUT / f"errors {target}"
    expect_done(netc("build", *RESNEXT, "--parts=1", f"--target={target}", f"--emit-c={folder}", binary=NETC), "netc build --emit-c")
    written("errors.c", "fashion_resnext", folder / "errors.c")
    expect_done(run(["clang-19", "-O0", "-g1", "-std=c17", "-ffp-contract=off", "-fopenmp", "-fsanitize=address,undefined,alignment",
                     "-fno-sanitize-recover=all", *TARGETS[target].split(), "fashion_resnext.c", "errors.c", "-lm", "-o", "errors"], cwd=folder,
                    timeout=300), "clang")
    done = run([folder / "errors", OUT / "x.bin", folder / "y.bin"], env={"ASAN_OPTIONS": "detect_leaks=0"})
    if done.code or done.err:
        raise Failure(f"ended with {done.code}\n{done.err[:3000]}")
    if target == NATIVE:
        same(folder / "y.bin", wanted("resnext", *RESNEXT)[:40])


def batch():
    """Two runs of three images against six of one."""
    folder = library("static", "by_three", *RESNEXT, "--batch=3")
    source = written("caller.c", "by_three", OUT / "by_three.c")
    compiled(["gcc", "-std=c11", "-D_DEFAULT_SOURCE", *STRICT, "-pthread", source, *flags_of(folder, "by_three"), "-o", OUT / "by_three"])
    for threads in ("1", "2"):
        expect_done(run([OUT / "by_three", OUT / "x.bin", OUT / "by_three.bin", threads, "1"]), "the caller")
        same(OUT / "by_three.bin", wanted("resnext", *RESNEXT))
    header = (folder / "by_three.h").read_text()
    if "on 3 images" not in header or "BATCH 3" not in header:
        raise Failure("the header does not say that a run takes three images")


def weights_outside():
    folder = OUT / "outside"
    build(folder, *RESNEXT, "--kind=static", "--name=outside", f"--weights-file={OUT}/outside.weights")
    source = written("caller.c", "outside", OUT / "outside.c")
    compiled(["gcc", "-std=c11", "-D_DEFAULT_SOURCE", *STRICT, "-pthread", source, *flags_of(folder, "outside"), "-o", OUT / "outside.caller"])
    done = run([OUT / "outside.caller", OUT / "x.bin", OUT / "outside.bin", "1", "1"])
    if done.code != 14 or "weights file" not in done.err:
        raise Failure(f"without a file: {done.code} {done.err}")
    expect_done(run([OUT / "outside.caller", OUT / "x.bin", OUT / "outside.bin", "2", "4", OUT / "outside.weights"]), "the caller")
    same(OUT / "outside.bin", wanted("resnext", *RESNEXT))


def words():
    """Names that no compiler would take, in the header and in the C; it has several inputs and outputs, and no labels."""
    folder = library("static", "words", HERE / "words.net", "--weights=synthetic")
    said = set()
    for compiler, standard in (("gcc", "c11"), ("clang-19", "c11")):
        compiled([compiler, f"-std={standard}", *STRICT, HERE / "words.c", *flags_of(folder, "words"), "-o", OUT / "words"])
        said.add(expect_done(run([OUT / "words"]), "the caller").out)
    if len(said) != 1:
        raise Failure(f"two compilers, two answers: {said}")
    if "_labels" in (folder / "words.h").read_text():
        raise Failure("there are no labels, and the header has some")
    check_header(folder / "words.h")


def check_header(path):
    user = path.parent / "user.c"
    user.write_text(f'#include <complex.h>\n#include <errno.h>\n#include "{path.name}"\n#include "{path.name}"\n')
    plus = path.parent / "user.cc"
    plus.write_text(f'#include <cerrno>\n#include "{path.name}"\n#include "{path.name}"\n')
    for compiler in ("gcc", "clang-19"):
        compiled([compiler, "-std=c11", *STRICT, "-Wstrict-prototypes", "-fsyntax-only", user])
        compiled([compiler, "-std=c++11", *STRICT, "-Wold-style-cast", "-fsyntax-only", plus])
    long = [line for line in path.read_text().splitlines() if len(line) > 120]
    if long and len(path.stem) < 60:  # a macro is not parted
        raise Failure(f"lines of more than 120: {long[0]}")


def helper_macros():
    """Every macro of the helper headers may be the name of an input, and so may what the functions call their own."""
    macros = set()
    for path in (ROOT / "compiler/targets").glob("helpers_*.h"):
        macros |= set(re.findall(r"^#define (\w+)", path.read_text(), re.M))
    own = {"inputs", "outputs", "low_bits", "i", "code", "packing", "variants", "packed", "xxh64", "forward", "lacks", "pick"}
    names = sorted(macros | own)
    path = OUT / "macros.net"
    path.write_text("net macros()\n{\n" + "".join(f"    input {name} [2]\n" for name in names) +
                    f"    output y = {' + '.join(names)}\n}}\n")
    folder = OUT / "macros"
    expect_done(netc("build", path, "--weights=synthetic", "--parts=1", f"--emit-c={folder}", f"--target={NATIVE}", binary=NETC), "netc build")
    for compiler in ("gcc", "clang-19"):
        expect_done(run([compiler, "-std=c17", "-fopenmp", "-Wall", "-Wextra", *TARGETS[NATIVE].split(), "-c", "macros.c", "-o", "macros.o"], cwd=folder),
                    compiler)


def long_name():
    """A name of a hundred letters; names of graph IR that are none of C."""
    name = "n" * 100
    folder = OUT / "long"
    expect_done(netc("build", *RESNEXT, f"--name={name}", f"--emit-c={folder}", binary=NETC), "netc build --emit-c")
    check_header(folder / f"{name}.h")
    text = 'graph "a b/c" from "x.net"\ninput %"1 in" f32[4]\n%y f32[4] = relu %"1 in"\noutput "out-put" = %y\n'
    (OUT / "odd.ir").write_text(text)
    done = netc("build", OUT / "odd.ir", "--weights=synthetic", "--kind=static", "-o", OUT / "odd", binary=NETC)
    if done.code != 1 or "[build_name]" not in done.err or (OUT / "odd").exists():
        raise Failure(f"a network's name that is none of C: {done.code} {done.err}")
    build(OUT / "odd", OUT / "odd.ir", "--weights=synthetic", "--kind=static", "--name=odd")
    check_header(OUT / "odd" / "odd.h")


# ---- several in one program ----

def res2net_bits():
    return by_python(library("shared", "fashion_res2net", *RES2NET), "fashion_res2net")[0].tobytes()



TWO = """
#include "%(a)s.h"
#include "%(b)s.h"
#include <stdio.h>
#include <stdlib.h>
#define RUN(name, NAME)                                                                                                 \\
    {                                                                                                                   \\
        name##_net net;                                                                                                 \\
        float logits[NAME##_LOGITS_ELEMENTS];                                                                           \\
        void *workspace = aligned_alloc(NAME##_ALIGNMENT, name##_workspace_size());                                     \\
        if (name##_open(&net, NULL) || name##_run(&net, workspace, pixels, logits, 2)) {                                \\
            return 1;                                                                                                   \\
        }                                                                                                               \\
        fwrite(logits, sizeof logits, 1, stdout);                                                                       \\
        name##_close(&net);                                                                                             \\
        free(workspace);                                                                                                \\
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


def two(label, a, b, wanted_a, wanted_b):
    source = OUT / f"{label}.c"
    names = [folder.name.split(" ")[1] for folder in (a, b)]
    source.write_text(TWO % {"a": names[0], "b": names[1], "A": names[0].upper(), "B": names[1].upper()})
    compiled(["gcc", "-std=c11", "-D_DEFAULT_SOURCE", *STRICT, source, *flags_of(a, names[0]), *flags_of(b, names[1]), f"-Wl,-rpath,{a}:{b}",
              "-o", OUT / label])
    done = expect_done(run([OUT / label, OUT / "x.bin"], binary=True), "two networks")
    if done.out != wanted_a[:40] + wanted_b[:40]:
        raise Failure("in one program they give other bits than alone")


def two_static():
    two("two_static", library("static", "fashion_resnext", *RESNEXT, "--parts=3"), library("static", "fashion_res2net", *RES2NET, "--parts=3"),
        wanted("resnext", *RESNEXT), res2net_bits())


def two_of_one():
    """The same network, called differently."""
    two("two_of_one", library("static", "fashion_resnext", *RESNEXT, "--parts=3"), library("static", "second", *RESNEXT, "--parts=3"),
        wanted("resnext", *RESNEXT), wanted("resnext", *RESNEXT))


def static_and_shared():
    two("static_and_shared", library("static", "fashion_res2net", *RES2NET, "--parts=3"), library("shared", "fashion_resnext", *RESNEXT),
        res2net_bits(), wanted("resnext", *RESNEXT))


# ---- what is in them ----

API = ["close", "logits_labels", "open", "run", "strerror", "workspace_size"]
# libc's that keep nothing, allocate nothing, print nothing and end nothing; the mapping of weights files; OpenMP; the processor's model.
ALLOWED = r"""__kmpc_\w+ omp_get_\w+ GOMP_\w+ mem(set|cpy|cmp|chr|move) bcmp str(len|n?cmp|str|chr) fmaf? expf? (open|close|fstat|mmap|munmap|madvise)(64)?
              __errno_location __cpu_model __cpu_indicator_init __cpu_features2 _GLOBAL_OFFSET_TABLE_ __stack_chk_fail""".split()


def symbols(archive):
    """(member, letter, name) of every symbol of an archive or object."""
    member, rows = "", []
    for line in expect_done(run(["nm", archive]), "nm").out.splitlines():
        match = re.match(r"(?:[0-9a-f]+)?\s+(\w) (\S+)$", line)
        if match:
            rows.append((member, *match.groups()))
        elif line.endswith(":"):
            member = line[:-1]
    return rows


def check_archive(archive, name):
    rows = symbols(archive)
    defined = {symbol for _, letter, symbol in rows if letter in "TDRBVWC"}
    foreign = {symbol for _, letter, symbol in rows if letter == "U"} - defined
    surplus = sorted(symbol for symbol in foreign if not any(re.fullmatch(pattern, symbol) for pattern in ALLOWED))
    if surplus:
        raise Failure(f"it uses {', '.join(surplus)}")
    strangers = sorted(symbol for symbol in defined if not symbol.startswith(f"{name}_"))
    if strangers:
        raise Failure(f"names that are not the network's: {', '.join(strangers)}")
    sections = expect_done(run(["readelf", "-SW", archive]), "readelf").out
    for section, size in re.findall(r"\] (\.t?(?:data|bss)(?:\.(?!rel\.ro)\S+)?)\s+\w+\s+\w+ \w+ (\w+)", sections):
        if int(size, 16):
            raise Failure(f"it has variables: {int(size, 16)} bytes in {section}")
    visible = set(re.findall(r"GLOBAL\s+DEFAULT\s+\d+ (\S+)", expect_done(run(["readelf", "-sW", archive]), "readelf").out))
    if visible != {f"{name}_{what}" for what in API}:
        raise Failure(f"visible are {', '.join(sorted(visible))}")


def in_static():
    for name, arguments in (("fashion_resnext", ["--parts=3"]), ("several", ["--target=x86-64"]), ("scalar_one", ["--target=scalar"])):
        folder = library("static", name, *RESNEXT, *arguments)
        check_archive(folder / f"lib{name}.a", name)


def in_shared():
    path = library("shared", "fashion_resnext", *RESNEXT) / "libfashion_resnext.so"
    listed = sorted(line.split()[-1] for line in expect_done(run(["nm", "-D", "--defined-only", path]), "nm").out.splitlines())
    if listed != [f"fashion_resnext_{what}" for what in API]:
        raise Failure(f"it shows {', '.join(listed)}")
    dynamic = expect_done(run(["readelf", "-dW", path]), "readelf").out
    needed = re.findall(r"NEEDED.*\[(\S+?)\.so", dynamic)
    if set(needed) - {"libomp", "libm", "libc", "ld-linux-x86-64", "libgcc_s"}:
        raise Failure(f"it needs {', '.join(needed)}")
    if "TEXTREL" in dynamic or "soname: [libfashion_resnext.so]" not in dynamic:
        raise Failure(dynamic)


def runs_anywhere():
    """What a caller may call before the processor is known has no instruction that only newer processors have."""
    newer = re.compile(r"\t(v\w+|andn|bextr|bls\w+|shlx|shrx|sarx|rorx|mulx|pdep|pext|[lt]zcnt|movbe|popcnt|bzhi|k(mov|and|or|xor|sh)\w+)\b")
    for target in ("x86-64-v4", "x86-64-v3"):
        folder = library("static", f"for_{target[-2:]}", *RESNEXT, f"--target={target}")
        name = f"for_{target[-2:]}"
        code = expect_done(run(["objdump", "-d", "--no-show-raw-insn", folder / f"lib{name}.a"]), "objdump").out
        seen = 0
        for function, body in re.findall(r"^[0-9a-f]+ <(\w+)>:\n((?:.+\n)+)", code, re.M):
            if function in {f"{name}_{what}" for what in API} | {"pick", "lacks"}:
                seen += 1
                if newer.search(body):
                    raise Failure(f"{function} for {target}: {newer.search(body).group(1)}")
        if seen < 5:
            raise Failure("the functions were not found")


# ---- their folder ----

def fails(arguments, words, environment=None, code=1, **options):
    done = netc("build", *RESNEXT, *arguments, binary=NETC, env=environment, timeout=300, **options)
    lines = done.err.splitlines()
    if done.code != code or not lines or not all(word in done.err for word in words):
        raise Failure(f"{arguments}: ended with {done.code}, not with a line with {words}:\n{done.err}")
    return lines


def folders():
    place = OUT / "folders"
    place.mkdir()
    (place / "file").write_text("mine")
    for kind in ("static", "shared", "source"):
        for output, word in ((place / "file", "folder"), (place / "no/such", "No such file"), (place / "file/in", "Not a directory"),
                             (Path("/proc/nothing"), "cannot be made")):
            if len(fails([f"--kind={kind}", "-o", output], [word, "[build_write]"])) != 1:
                raise Failure("one line would do")
        if sorted(path.name for path in place.iterdir()) != ["file"] or (place / "file").read_text() != "mine":
            raise Failure("something stayed behind, or was changed")
    for kind in ("static", "shared"):
        fails([f"--kind={kind}", "-o", place / "new"], ["[build_compile]"], {"NETC_CC": "/bin/false"})
        if (place / "new").exists():
            raise Failure("the folder that was made for the library stayed behind")
    (place / "new").mkdir()
    (place / "new/notes").write_text("mine")
    fails(["--kind=static", "-o", place / "new"], ["[build_compile]"], {"NETC_CC": "/bin/false"})
    if [path.name for path in (place / "new").iterdir()] != ["notes"]:
        raise Failure("a folder that was there is left as it was")


def replaced():
    """Files are replaced by renaming: who has the old library open keeps the old one."""
    folder = OUT / "replaced"
    build(folder, *RESNEXT, "--kind=shared", "--name=replaced")
    path = folder / "libreplaced.so"
    before, old = path.stat().st_ino, ctypes.CDLL(str(path))
    bits = path.read_bytes()
    (folder / "notes").write_text("mine")
    build(folder, *RESNEXT, "--kind=shared", "--name=replaced")
    if path.stat().st_ino == before or old.replaced_workspace_size() <= 0:
        raise Failure("it was written in place")
    if path.read_bytes() != bits:
        raise Failure("the same input gives another library")
    if sorted(entry.name for entry in folder.iterdir()) != ["libreplaced.so", "notes", "replaced.h", "replaced.pc"]:
        raise Failure("other files are there")


# ---- --kind=source ----

@once
def source(*arguments):
    """A folder of C, moved to where nothing of netc is; its path has blanks."""
    name = "".join(letter if letter.isalnum() else "_" for letter in "_".join(arguments))
    build(OUT / name, *arguments, "--kind=source")
    return (OUT / name).rename(OUT / f"source of {name}")


def make(folder, compiler, *targets, flags="-O3 -Wall -Wextra -Werror"):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "NETC"))}
    done = subprocess.run(["make", "-s", f"CC={compiler}", f"CFLAGS={flags}", *targets], cwd=folder, env=clean, capture_output=True, text=True,
                          timeout=300)
    if done.returncode or done.stderr:
        raise Failure(f"make CC={compiler} {' '.join(targets)} ended with {done.returncode}\n{done.stderr[:3000]}")


def runnable(members):
    for target in members:
        if not (target == "x86-64-v4" and NATIVE != target or target == "x86-64-v3" and NATIVE == "scalar"):
            yield target


def top(logits, k=5):
    return np.argsort(-logits, axis=-1, kind="stable")[..., :k].tolist()


def compilers():
    """gcc's program and clang's, on every processor that this one can be: the same bits as netc's own, and so the same top classes."""
    folder = source(*RESNEXT, "--target=x86-64")
    found = {}
    for compiler in ("gcc", "clang-19"):
        make(folder, compiler, "-j2")
        for target in runnable(["x86-64-v4", "x86-64-v3", "scalar"]):
            y = OUT / f"{compiler}.{target}.npy"
            expect_done(run([folder / "fashion_resnext", f"--tensor={OUT}/x.npy", f"--output={y}", f"--target={target}", "--threads=2"]), "the program")
            found[compiler, target] = np.load(y)
        if by_python(folder, "fashion_resnext")[0].tobytes() != found[compiler, NATIVE].tobytes():
            raise Failure(f"{compiler}: library and program have other numbers")
    for (compiler, target), logits in found.items():
        clang = found["clang-19", target]
        if top(logits) != top(clang) or logits.tobytes() != clang.tobytes():
            raise Failure(f"{compiler}, {target}: other numbers than clang's, by up to {np.abs(logits - clang).max()}")
    if found["gcc", NATIVE].tobytes() != wanted("resnext", *RESNEXT):
        raise Failure("the folder's program gives other bits than netc's")


def by_gcc(net, target, *options):
    """gcc's shared library against netc's, on two pictures."""
    arguments = [f"netdefs/{net}.net", *options, f"--target={target}", "--name=net"]
    ours = OUT / f"{net.replace('/', '_')} {target}"
    build(ours, *arguments, "--kind=shared")
    folder = source(*arguments)
    make(folder, "gcc", "shared")
    shape = [int(n) for n in re.search(r"NET_PIXELS_SHAPE \{(.*)\}", (folder / "net.h").read_text()).group(1).split(",")]
    x = folder / "x.npy"
    np.save(x, np.random.default_rng(5).standard_normal((2, *shape)).astype(np.float32))
    clang, gcc = (by_python(place, "net", x)[0] for place in (ours, folder))
    if top(clang) != top(gcc) or clang.tobytes() != gcc.tobytes():
        raise Failure(f"gcc's numbers differ by up to {np.abs(clang - gcc).max()} of {np.abs(clang).max()}")


def foreign():
    """For an ARM board: the cross compiler makes the static library, the emulator calls it."""
    compiler = "aarch64-linux-gnu-gcc-12"
    if not shutil.which(compiler):
        raise Skip(f"{compiler} is missing (Debian's gcc-12-aarch64-linux-gnu)")
    command = [compiler, f"--sysroot={sysroot('aarch64')}"]
    folder = source(*RESNEXT, "--target=aarch64")
    make(folder, " ".join(command), "static")
    caller = written("caller.c", "fashion_resnext", OUT / "aarch64.c")
    compiled([*command, "-std=c11", "-D_DEFAULT_SOURCE", *STRICT, "-pthread", f"-I{folder}", caller, folder / "libfashion_resnext.a", "-fopenmp",
              "-lm", "-o", OUT / "caller.aarch64"])
    (OUT / "gomp").mkdir()  # alone: a libc lies beside it that is not the sysroot's
    shutil.copy(run([compiler, "-print-file-name=libgomp.so.1"]).out.strip(), OUT / "gomp")
    expect_done(run([*emulator("aarch64"), "-E", f"LD_LIBRARY_PATH={OUT}/gomp", OUT / "caller.aarch64", OUT / "x.bin", OUT / "aarch64.bin", "2", "1"], timeout=300), "the caller")
    got, want = (np.frombuffer(bits, np.float32) for bits in ((OUT / "aarch64.bin").read_bytes(), wanted("resnext", *RESNEXT)))
    if np.abs(got - want).max() > 1e-5 * np.abs(want).max():
        raise Failure(f"off by {np.abs(got - want).max()}")


def contents():
    """What is in the folder, and that it is the same every time, without a trace of this machine."""
    folder = OUT / "contents"
    arguments = [*RESNEXT, "--kind=source", "--name=net", "--target=x86-64-v3"]
    build(folder, *arguments)
    listed = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    runtime = sorted(f"runtime/{path.name}" for path in (ROOT / "runtime").glob("*.[ch]"))
    if listed != sorted(["LICENSE", "Makefile", "README.md", "net.c", "net.h", "net.program.c", "net.weights", "runtime", *runtime]):
        raise Failure(f"in it are {', '.join(listed)}")
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".weights" and str(ROOT) in path.read_text():
            raise Failure(f"{path.name} names a folder of this machine")
    if (folder / "LICENSE").read_text() != (ROOT / "LICENSE").read_text() or folder.stat().st_mode & 0o777 != 0o777 & ~umask():
        raise Failure("another licence, or other rights")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "obj").mkdir()
    (folder / "obj/net.o").write_text("made by make")
    (folder / "libnet.a").write_text("made by make")
    build(folder, *arguments)  # over its own: as a whole
    if {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} != before:
        raise Failure("the second folder is not the first")
    (folder / "mine.c").write_text("int mine;")
    fails(["--kind=source", "-o", folder], ["mine.c", "[build_write]"])
    (folder / "mine.c").unlink()
    (folder / "Makefile").write_text("all:\n")
    fails(["--kind=source", "-o", folder], ["not empty", "[build_write]"])
    if sorted(path.name for path in OUT.glob("*contents*")) != ["contents"] or list(OUT.glob("netc-*")):
        raise Failure("something stayed behind")


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def parts_and_weights():
    """Kernels in files of their own, and weights that come from a file."""
    folder = OUT / "in_parts"
    build(folder, *RESNEXT, "--kind=source", "--parts=3", f"--weights-file={OUT}/in_parts.weights")
    names = sorted(path.name for path in folder.glob("*.kernels.*.c"))
    if names != [f"fashion_resnext.kernels.{i}.c" for i in (1, 2, 3)] or list(folder.glob("*.weights")):
        raise Failure(f"in it are {sorted(path.name for path in folder.iterdir())}")
    make(folder, "gcc", "-j2", "static")
    caller = written("caller.c", "fashion_resnext", OUT / "in_parts.c")
    compiled(["gcc", "-std=c11", "-D_DEFAULT_SOURCE", *STRICT, "-pthread", f"-I{folder}", caller, folder / "libfashion_resnext.a", "-fopenmp", "-lm",
              "-o", OUT / "in_parts.caller"])
    expect_done(run([OUT / "in_parts.caller", OUT / "x.bin", OUT / "in_parts.bin", "2", "2", OUT / "in_parts.weights"]), "the caller")
    same(OUT / "in_parts.bin", wanted("resnext", *RESNEXT))
    make(folder, "gcc", "clean")
    if (folder / "obj").exists() or (folder / "libfashion_resnext.a").exists():
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
        if done.code != 70 or list(place.iterdir()):
            raise Failure(f"without memory after {n} allocations: {done.code}, {[path.name for path in place.iterdir()]}")


def main_cases():
    cases = [("from C", from_c), ("from C++", from_cplusplus), ("from Python", from_python), ("from four threads", from_threads),
             ("from four threads, watched", from_threads_watched), ("a batch", batch), ("weights outside", weights_outside),
             ("words of C", words), ("macros", helper_macros), ("a long name", long_name), ("two static", two_static), ("two of one", two_of_one),
             ("static and shared", static_and_shared), ("in static ones", in_static), ("in shared ones", in_shared),
             ("what runs anywhere", runs_anywhere), ("folders", folders), ("replaced", replaced), ("source: contents", contents),
             ("source: parts, weights", parts_and_weights), ("source: whole or not", whole_or_not), ("source: aarch64", foreign)]
    cases += [(f"errors {target}", functools.partial(errors, target)) for target in runnable(TARGETS)]
    cases += [("source: resnext by gcc and clang", compilers)]
    several = [("fashion/res2net", NATIVE), ("resnet18", NATIVE), ("seresnet18", "scalar")]
    if ALL:
        several = [(net, target) for net in ("fashion/res2net", "resnet18", "seresnet18", "resnext50_32x4d", "res2net50_26w_4s", "resnet50d")
                   for target in runnable(TARGETS)]
    for net, target in several:
        size = ["--weights=netdefs/fashion/res2net.safetensors"] if "/" in net else ["-D", f"image={64 if ALL else 32}", "--weights=synthetic"]
        cases.append((f"source: {net} for {target} by gcc", functools.partial(by_gcc, net, target, *size)))
    return [(f"libraries/{name}", function) for name, function in cases if not sys.argv[1:] or any(word in name for word in sys.argv[1:])]


main(main_cases())
