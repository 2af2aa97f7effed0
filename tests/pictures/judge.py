"""The harness behind its pipe, and what Pillow says to the same bytes."""

import io
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tap import BUILD, NETC, ROOT, Failure, clang_flags, expect_done, netc, run

warnings.simplefilter("ignore")  # Pillow's, on pictures of more than half its limit and on damaged Exif data
Image.init()  # loads its formats now: cases run in two threads
HERE = ROOT / "tests" / "pictures"
OUT = BUILD / "tests" / "pictures"
CC = os.environ.get("NETC_CC", "clang-19")
PROGRAM = os.environ.get("PICTURES_HARNESS", str(OUT / "harness")).split()
SANITISED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fopenmp"]
FILES = ("picture", "decode_jpeg", "decode_png", "decode_pnm", "exif", "resize")
SAMPLES = Path("/usr/share/matplotlib/mpl-data/sample_data")  # Debian's python-matplotlib-data


def build(target, folder, *flags):
    """The network of recipes.net as C, for its table of inputs; with the runtime's files and harness.c a program."""
    folder.mkdir(parents=True, exist_ok=True)
    expect_done(netc("build", HERE / "recipes.net", "--weights=synthetic", f"--target={target}", "--parts=1",
                     f"--emit-c={folder}", binary=NETC), "netc build")
    common = [CC, *clang_flags(target), "-std=c17", "-D_GNU_SOURCE", "-I", ROOT / "runtime"]
    expect_done(run([*common, "-O0", "-ffp-contract=off", "-fopenmp", "-I", folder, "-c", folder / "recipes.program.c",
                     "-o", folder / "recipes.o"]), "clang")
    expect_done(run([*common, "-Wall", "-Wextra", "-Werror", *flags, HERE / "harness.c", folder / "recipes.o",
                     *(ROOT / "runtime" / f"{name}.c" for name in FILES), "-ljpeg", "-lpng", "-lz", "-lm", "-o",
                     folder / "harness"]), "clang")
    return folder / "harness"


class Refused(str):
    """Why a picture was not taken."""


class Harness:
    """One process for all that a case asks; ends with the case and then tells of leaks."""

    def __init__(self, **environment):
        self.process = subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=dict(os.environ, **environment))
        self.complaints = b""
        self.reader = threading.Thread(target=self.read_complaints)
        self.reader.start()

    def read_complaints(self):
        self.complaints = self.process.stderr.read()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        code = self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        if kind in (None, BrokenPipeError) and (code != 0 or b"ERROR" in self.complaints):
            raise Failure(f"the harness ended with {code}\n{self.complaints.decode(errors='replace')[:4000]}")

    def ask(self, head, data=b""):
        self.process.stdin.write(head.encode() + b"\n" + data)
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode()
        kind, _, rest = line.rstrip("\n").partition(" ")
        if kind == "refused":
            check(rest and len(rest) < 200 and rest.isprintable(), f"no clear line: {rest!r}")
            return Refused(rest)
        if kind not in ("picture", "tensor"):
            raise BrokenPipeError
        shape = tuple(map(int, rest.split()))
        kind = np.dtype(np.float32 if kind == "tensor" else np.uint8)
        return np.frombuffer(self.process.stdout.read(int(np.prod(shape)) * kind.itemsize), kind).reshape(shape)

    def decode(self, data, exif=False):
        return self.ask(f"decode {int(exif)} {len(data)}", data)

    def memory(self):
        """The most that the process ever held, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def check(good, why):
    if not good:
        raise Failure(why)


def pillow(data, change=lambda image: image):
    """RGB of a file's bytes, or Refused."""
    try:
        return np.asarray(change(Image.open(io.BytesIO(data))).convert("RGB"))
    except Exception as fault:
        return Refused(f"{type(fault).__name__}: {fault}")


def same(got, wanted, what):
    """Both equal, to the last bit, or both refused."""
    if isinstance(got, Refused) or isinstance(wanted, Refused):
        check(isinstance(got, Refused) and isinstance(wanted, Refused),
              f"{what}: {got if isinstance(got, Refused) else 'done'}, but Pillow: "
              f"{wanted if isinstance(wanted, Refused) else 'done'}")
        return
    check(got.shape == wanted.shape and got.dtype == wanted.dtype, f"{what}: {got.shape}, expected {wanted.shape}")
    if got.tobytes() != wanted.tobytes():
        wrong = np.argwhere(got != wanted)
        first = tuple(wrong[0]) if len(wrong) else ()
        raise Failure(f"{what}: {len(wrong)} of {got.size} differ, first at {first}: {got[first]}, not {wanted[first]}")


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo():
    path = SAMPLES / "grace_hopper.jpg"
    check(path.exists(), f"{path} is missing (Debian's python-matplotlib-data)")
    return path.read_bytes()


def some_picture(dice, rows, columns, channels=3):
    """Smooth and rough, light and dark parts."""
    small = dice.integers(0, 256, (max(1, rows // 9), max(1, columns // 7), channels)).astype(np.uint8)
    large = [np.asarray(Image.fromarray(small[..., c]).resize((columns, rows), Image.BICUBIC)) for c in range(channels)]
    noise = dice.integers(-20, 21, (rows, columns, channels)) * dice.integers(0, 2)
    return np.clip(np.stack(large, axis=2) + noise, 0, 255).astype(np.uint8)


def some_image(dice, rows, columns, mode="RGB"):
    pixels = some_picture(dice, rows, columns, {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode])
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)
