"""Makes the sanitised programs of the cases, runs them, and knows what fake_model.c computes."""

import gzip
import os
import resource
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tap
from tap import BUILD, ROOT, Failure

HERE = ROOT / "tests" / "run"
OUT = BUILD / "tests" / "run"
CC = os.environ.get("NETC_CC", "clang-19")
FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-fopenmp",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
VARIANTS = {"fake": [], "batch4": ["-DFAKE_BATCH=4"], "two": ["-DFAKE_TWO"], "lacks": ["-DFAKE_LACKS"],
            "nan": ["-DFAKE_NAN"], "resize": ["-DFAKE_RESIZE"], "more": ["-DFAKE_MORE"], "map": ["-DFAKE_MAP"],
            "raw": ["-DFAKE_RAW"], "wrong": ["-DFAKE_WRONG"]}
LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
ENV = {"ASAN_OPTIONS": "allocator_may_return_null=1"}
ENDING_EARLY = {"ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=0"}  # fail() leaves all as it is


# ---- making the programs ----

def compile_all():
    OUT.mkdir(parents=True, exist_ok=True)
    sources = sorted((ROOT / "runtime").glob("*.c"))
    objects = [OUT / (source.stem + ".o") for source in sources]
    compiler = [ROOT / "compiler" / name for name in ("build.c", "build_cross.c", "clang.c", "build_files.c", "children.c", "targets/target.c")]
    compiler += sorted((ROOT / "compiler" / "base").glob("*.c"))
    commands = [[CC, *FLAGS, "-c", source, "-o", output] for source, output in zip(sources, objects)]
    commands.append([CC, *FLAGS, "-I", ROOT / "compiler", HERE / "build_fake.c", *compiler, "-o", OUT / "build_fake"])
    in_parallel(commands)
    in_parallel([[CC, *FLAGS, *options, "-I", ROOT / "runtime", HERE / "fake_model.c", *objects, "-o", OUT / name,
                  "-ljansson", "-ljpeg", "-lpng", "-lz", "-lm"] for name, options in VARIANTS.items()])


def in_parallel(commands):
    for command, done in zip(commands, tap.ThreadPoolExecutor(tap.JOBS).map(
            lambda words: subprocess.run([str(word) for word in words], capture_output=True, text=True), commands)):
        if done.returncode or done.stderr:
            print(f"not ok compile - {command[-1]}\n{done.stderr}")
            sys.exit(1)


def program(variant, *arguments, code=0, **options):
    result = tap.run([OUT / variant, *arguments], env=ENDING_EARLY if code else ENV, cwd=options.pop("cwd", OUT),
                     **options)
    if result.code != code:
        raise Failure(f"{variant} {' '.join(map(str, arguments))} ended with {result.code}, not {code}\n{result.err}")
    return result


def refuse(words, variant, *arguments, code=1, **options):
    """One line on stderr that has all the words, nothing on stdout."""
    result = program(variant, *arguments, code=code, **options)
    lines = [line for line in result.err.splitlines() if "WARNING: AddressSanitizer" not in line]
    hint = code == 2 and lines[-1:] == [f"Try '{variant} --help'."]
    if len(lines) != 1 + hint or not (lines[0].startswith(f"{variant}: ")):
        raise Failure(f"not one line of error:\n{result.err}")
    for word in words if isinstance(words, (list, tuple)) else [words]:
        check(word in lines[0], f"'{word}' is not in: {lines[0]}")
    check(not result.out, f"printed {result.out!r}")


def check(good, why):
    if not good:
        raise Failure(why)


class Folder:
    """A folder of its own for a case, empty."""

    def __init__(self, name):
        self.path = OUT / "files" / name
        self.path.mkdir(parents=True, exist_ok=True)
        for old in self.path.iterdir():
            old.unlink()

    def __truediv__(self, name):
        return self.path / name

    def names(self):
        return sorted(file.name for file in self.path.iterdir())


# ---- arrays ----

def some_pictures(*shape, seed=1):
    return np.random.default_rng(seed).integers(-8, 8, shape).astype("<f4")


def logits_of(x):
    flat = x.reshape(-1, 784)
    return np.stack([flat[:, k::10].sum(axis=1) for k in range(10)], axis=1)


def npy_bytes(array, version=(1, 0)):
    header = repr({"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}).encode() + b"\n"
    length = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + array.tobytes()


def same(got, wanted):
    check(got.dtype == np.float32 and got.shape == wanted.shape, f"{got.dtype} {got.shape}, expected {wanted.shape}")
    check(np.array_equal(got, wanted), f"differs: {got.ravel()[:5]} expected {wanted.ravel()[:5]}")


def idx_bytes(array):
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def some_set(folder, n=50, gz=False, spoil=True):
    dice = np.random.default_rng(3)
    labels = dice.integers(0, 10, n).astype(np.uint8)
    answers = labels.copy()
    if spoil:
        answers[::7] = (answers[::7] + 1) % 10
    pixels = dice.integers(0, 40, (n, 784)).astype(np.uint8)
    for i, k in enumerate(answers):
        pixels[i, k::10] += 100
    pack, end = (gzip.compress, ".gz") if gz else (bytes, "")
    (folder / f"images{end}").write_bytes(pack(idx_bytes(pixels.reshape(n, 28, 28))))
    (folder / f"labels{end}").write_bytes(pack(idx_bytes(labels)))
    return labels, answers, f"--dataset={folder / f'images{end}'},{folder / f'labels{end}'}"


def limit_files():
    """From now on this process can write no file beyond 1024 bytes, as on a full disk; libomp needs as many for its mark in /dev/shm."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
