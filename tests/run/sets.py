"""--dataset and --contact-sheet: IDX pairs."""

import gzip
import json
import random
import re
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from harness import check, Folder, idx_bytes, LABELS, logits_of, program, refuse, some_set
from tap import Skip


def classify(variant, gz):
    folder = Folder(f"dataset_{variant}_{gz}")
    labels, answers, option = some_set(folder, 50, gz)
    accuracy = 100 * np.mean(labels == answers)
    out = program(variant, option).out
    line = out.splitlines()[0]
    check(re.fullmatch(rf"fake  parameters 0  macs 784  accuracy {accuracy:.2f} %  \d+ pictures/s", line), line)
    check(len(re.findall(r"accuracy [\d.]+ %", out)) == 1, "accuracy stands in a second line")
    rows = out.splitlines()[3:]
    check(len({len(row) for row in out.splitlines()[2:]}) == 1, "the matrix is not aligned")
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (labels, answers), 1)
    for k, row in enumerate(rows):
        check(row.startswith(LABELS[k]) and row[16:].split() == [str(v) for v in matrix[k]], f"row {k}: {row}")
    runs = [json.loads(program(variant, option, "--json", f"--threads={threads}").out) for threads in (1, 3)]
    for run in runs:
        check(run.pop("pictures_per_second") > 0, "speed")
    check(runs[0] == runs[1] and runs[0]["confusion"] == matrix.tolist() and runs[0]["classes"] == LABELS, f"{runs}")


def test_dataset():
    classify("fake", False)


def test_dataset_gzip_batch4():
    classify("batch4", True)


def test_dataset_normalized():
    """gray and normalize: (x / 255 - mean) / std, seen through the sums."""
    folder = Folder("dataset_normalized")
    pixels = np.random.default_rng(9).integers(0, 256, (4, 784)).astype(np.uint8)
    x = (pixels.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.25)
    labels = logits_of(x).argmax(axis=1).astype(np.uint8)
    (folder / "images").write_bytes(idx_bytes(pixels.reshape(4, 28, 28)))
    (folder / "labels").write_bytes(idx_bytes(labels))
    check("accuracy 100.00 %" in program("fake", f"--dataset={folder / 'images'},{folder / 'labels'}").out, "accuracy")
    coloured = np.repeat(pixels.reshape(4, 28, 28, 1), 3, axis=3)
    (folder / "images").write_bytes(idx_bytes(coloured))
    check("accuracy 100.00 %" in program("fake", f"--dataset={folder / 'images'},{folder / 'labels'}").out, "coloured")


def test_dataset_resized():
    """Pictures of another size are resized as Pillow does, gray as coloured."""
    folder = Folder("dataset_resized")
    for variant, size, filter in (("fake", (32, 32), Image.BILINEAR), ("fake", (11, 40), Image.BILINEAR),
                                  ("resize", (56, 56), Image.BICUBIC)):
        pixels = np.random.default_rng(9).integers(0, 256, (20, *size)).astype(np.uint8)
        resized = np.stack([np.asarray(Image.fromarray(p).resize((28, 28), filter)) for p in pixels])
        x = (resized.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.25)
        (folder / "labels").write_bytes(idx_bytes(logits_of(x).argmax(axis=1).astype(np.uint8)))
        for images in (pixels, np.repeat(pixels[..., None], 3, axis=3)):
            (folder / "images").write_bytes(idx_bytes(images))
            out = program(variant, f"--dataset={folder / 'images'},{folder / 'labels'}").out
            check("accuracy 100.00 %" in out, f"{variant} {size}: {out.splitlines()[0]}")


def test_dataset_nan():
    folder = Folder("dataset_nan")
    labels, answers, option = some_set(folder, 20,
                                       spoil=False)  # pixel 0 is dark in most of them: -2, so class 3 is NaN
    result = program("nan", option)
    bad = int(re.search(r"(\d+) pictures gave logits that are not finite", result.err).group(1))
    check(0 < bad <= 20 and f"accuracy {100 * (20 - bad) / 20:.2f} %" in result.out, result.out)
    check(result.out.splitlines()[2].endswith("none"), "no column for them")


def test_dataset_refused():
    folder = Folder("dataset_refused")
    labels, answers, option = some_set(folder, 10)
    images, names = (folder / "images").read_bytes(), (folder / "labels").read_bytes()

    def case(words, images=images, names=names, variant="fake"):
        (folder / "images").write_bytes(images)
        (folder / "labels").write_bytes(names)
        refuse(words, variant, option)

    case(["images", "truncated"], images=images[:-1])
    case(["images", "truncated"], images=images[:9])
    case(["labels", "truncated"], names=names[:-1])
    case(["labels", "truncated"], names=b"")
    case("too long", names=names + b"\1")
    case("truncated", images=gzip.compress(images)[:-2000])
    case("truncated", images=gzip.compress(images)[:-4])
    spoiled = bytearray(gzip.compress(images))
    spoiled[-6] ^= 1
    case("incorrect data check", images=bytes(spoiled))
    spoiled[len(spoiled) // 2] ^= 0xff
    case("images", images=bytes(spoiled))
    case("no IDX file", images=b"\x89PNG" + images)
    case("type 0x0d", images=images[:2] + b"\x0d" + images[3:])
    case("9 dimensions", images=images[:3] + b"\x09" + images[4:])
    case("pictures are [N,H,W]", images=names)
    case("labels are [N]", names=images)
    case(["10 pictures", "9 labels"], names=idx_bytes(labels[:9]))
    case("no pictures", images=idx_bytes(np.zeros((0, 28, 28), np.uint8)), names=idx_bytes(labels[:0]))
    case(["label 10 of picture 4", "10 classes"], names=idx_bytes(np.where(np.arange(10) == 3, 10,
                                                                           labels).astype(np.uint8)))
    case("truncated", images=struct.pack(">BBBBIII", 0, 0, 8, 3, 0xffffffff, 16384, 16384))
    case("no picture", images=struct.pack(">BBBBIII", 0, 0, 8, 3, 10, 0, 28))
    case("no picture", images=struct.pack(">BBBBIII", 0, 0, 8, 3, 10, 1 << 30, 28))
    case("becomes [1,28,42], but the input 'pixels' takes [1,28,28]", variant="resize",
         images=idx_bytes(np.zeros((10, 14, 21), np.uint8)))
    (folder / "images").unlink()
    refuse("No such file", "fake", option)
    refuse("directory", "fake", f"--dataset={folder.path},{folder / 'labels'}")
    for bad in ("a", ",b", "a,", ","):
        refuse("two files", "fake", f"--dataset={bad}", code=2)


def read_png(content):
    """Size and rows of an 8 bit RGB picture; every chunk's checksum is looked at."""
    check(content[:8] == b"\x89PNG\r\n\x1a\n", "no PNG")
    at, data, kinds = 8, b"", []
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at:at + 8])
        body = content[at + 8:at + 8 + length]
        check(struct.unpack(">I", content[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body), "checksum")
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        data += body if kind == b"IDAT" else b""
        kinds.append(kind)
        at += 12 + length
    check(kinds[-1] == b"IEND" and (depth, colour) == (8, 2), f"{kinds} {depth} {colour}")
    check(len(zlib.decompress(data)) == height * (1 + 3 * width), "size of the data")
    return width, height


def test_sheet():
    folder = Folder("sheet")
    labels, answers, option = some_set(folder, 200)
    program("fake", option, f"--contact-sheet={folder / 's.png'}")
    width, height = read_png((folder / "s.png").read_bytes())
    check(width >= 10 * 60 and height >= 8 * 60, f"{width} x {height}")
    first = (folder / "s.png").read_bytes()
    program("fake", option, f"--contact-sheet={folder / 's.png'}", "--threads=1")
    check(first == (folder / "s.png").read_bytes(), "another picture with one thread")
    names = folder.names()
    refuse("cannot write", "fake", option, f"--contact-sheet={folder / 'none' / 's.png'}")
    refuse("directory", "fake", option, f"--contact-sheet={folder.path}")
    check(folder.names() == names, f"left behind: {folder.names()}")


def test_fashion():
    base = Path("/usr/share/datasets/fashion-mnist")
    images, labels = base / "t10k-images-idx3-ubyte.gz", base / "t10k-labels-idx1-ubyte.gz"
    if not images.exists():
        raise Skip("the package dataset-fashion-mnist is not installed")
    result = json.loads(program("batch4", f"--dataset={images},{labels}", "--json").out)
    check(result["pictures"] == 10000 and [sum(row) for row in result["confusion"]] == [1000] * 10, f"{result}")
