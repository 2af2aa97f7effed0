"""Decoding: every kind of file against Pillow, pixel for pixel."""

import io
import os

import numpy as np
from PIL import Image, ImageOps

from encode import (PNG_CHANNELS, chunk, exif, jpeg_with_exif, joined, pnm, segments, some_png, with_adobe, without)
from judge import SAMPLES, Harness, Refused, check, encoded, photo, pillow, same, some_image, some_picture

SIZES = ((1, 1), (1, 9), (9, 1), (8, 8), (7, 15), (17, 33), (40, 65), (129, 70))


def judge(harness, data, what):
    wanted = pillow(data)
    check(not isinstance(wanted, Refused), f"{what}: Pillow says {wanted}")
    same(harness.decode(data), wanted, what)


# ---- JPEG ----

def jpegs(mode):
    dice = np.random.default_rng(1)
    with Harness() as harness:
        for rows, columns in SIZES:
            image = some_image(dice, rows, columns, mode)
            for quality in (1, 30, 75, 92, 100):
                for subsampling in (0, 1, 2) if mode == "RGB" else (0,):
                    for progressive in (False, True):
                        data = encoded(image, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
                        judge(harness, data, f"{rows}x{columns} {mode} q{quality} s{subsampling} {progressive}")


def test_jpeg_rgb():
    jpegs("RGB")


def test_jpeg_gray():
    jpegs("L")


def test_jpeg_cmyk():
    jpegs("CMYK")


def test_jpeg_colour_spaces():
    """Adobe's transforms, with and without markers: RGB, YCCK, CMYK that says nothing of inversion; component names."""
    dice = np.random.default_rng(2)
    with Harness() as harness:
        for mode, subsampling in (("RGB", 0), ("RGB", 2), ("CMYK", 0)):
            data = encoded(some_image(dice, 50, 61, mode), "JPEG", subsampling=subsampling)
            for transform in (0, 1, 2):
                judge(harness, with_adobe(data, transform), f"{mode} {subsampling} Adobe {transform}")
            judge(harness, without(data, 0xFFE0, 0xFFEE), f"{mode} {subsampling} without markers")
        found, rest = segments(without(data := encoded(some_image(dice, 50, 61), "JPEG", subsampling=0), 0xFFE0))
        names = bytes.maketrans(b"\1\2\3", b"RGB")
        for s in found:
            if s[0] == 0xFFC0:
                s[1] = s[1][:6] + b"".join(s[1][i:i + 1].translate(names) + s[1][i + 1:i + 3] for i in (6, 9, 12))
        scan = rest[:5] + b"".join(rest[i:i + 1].translate(names) + rest[i + 1:i + 2] for i in (5, 7, 9)) + rest[11:]
        judge(harness, joined(found, scan), "components R, G, B")


def test_jpeg_options():
    dice = np.random.default_rng(3)
    image = some_image(dice, 75, 90)
    with Harness() as harness:
        for options in ({"optimize": True}, {"qtables": [[3] * 64, [90] * 64]}, {"dpi": (300, 300)},
                        {"icc_profile": bytes(1000)}, {"comment": b"hello"}, {"quality": "keep"}):
            source = Image.open(io.BytesIO(encoded(image, "JPEG"))) if options.get("quality") == "keep" else image
            judge(harness, encoded(source, "JPEG", **options), f"{options}")
        data = encoded(image, "JPEG")
        for what, changed in (("what follows the end is ignored", data + b"junk"), ("no end marker", data[:-2]),
                              ("filled markers", data[:2] + b"\xff\xff\xff" + data[2:])):
            same(harness.decode(changed), pillow(changed), what)


# ---- PNG ----

def pngs(kind):
    dice = np.random.default_rng(10 + kind)
    with Harness() as harness:
        for depth in {0: (1, 2, 4, 8, 16), 3: (1, 2, 4, 8)}.get(kind, (8, 16)):
            for interlaced in (False, True):
                for transparent in (False, True) if kind in (0, 2, 3) else (False,):
                    for rows, columns in SIZES[:7]:
                        data = some_png(dice, rows, columns, depth, kind, interlaced, transparent=transparent)
                        judge(harness, data, f"{rows}x{columns} kind {kind} depth {depth} {interlaced} {transparent}")


def test_png_gray():
    pngs(0)


def test_png_rgb():
    pngs(2)


def test_png_palette():
    pngs(3)


def test_png_gray_alpha():
    pngs(4)


def test_png_rgb_alpha():
    pngs(6)


def test_png_short_palette():
    """An index beyond the palette is a gray of its own value."""
    dice = np.random.default_rng(20)
    with Harness() as harness:
        for depth, colours in ((8, 1), (8, 100), (8, 255), (4, 5), (2, 3), (1, 1)):
            for interlaced in (False, True):
                data = some_png(dice, 20, 31, depth, 3, interlaced, colours)
                judge(harness, data, f"{colours} colours of {depth} bits")


def test_png_chunks():
    """What says how to show the colours, and texts, changes nothing."""
    dice = np.random.default_rng(21)
    ahead = [chunk(b"gAMA", (20000).to_bytes(4, "big")), chunk(b"sRGB", b"\0"), chunk(b"tEXt", b"Title\0x"),
             chunk(b"sBIT", b"\5\6\5"), chunk(b"pHYs", bytes(9)), chunk(b"iCCP", b"x\0\0broken"), chunk(b"prIv", b"?")]
    with Harness() as harness:
        judge(harness, some_png(dice, 20, 31, 8, 2, ahead=ahead, behind=[chunk(b"tIME", bytes(7))]), "chunks")
        judge(harness, some_png(dice, 20, 31, 8, 2, pieces=40), "40 pieces")
        judge(harness, some_png(dice, 20, 31, 8, 2, ahead=[chunk(b"prIv", bytes(9 << 20))]), "a chunk of 9 MiB")
        judge(harness, some_png(dice, 20, 31, 8, 2)[:-12], "no end")
        judge(harness, some_png(dice, 20, 31, 8, 2) + b"junk", "junk behind")
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I"):
            image = Image.fromarray(some_picture(dice, 30, 41))
            image = image.convert("L").convert("I") if mode == "I" else image.convert(mode)
            judge(harness, encoded(image, "PNG"), f"Pillow's own, mode {mode}")
        paletted = Image.fromarray(some_picture(dice, 30, 41)).quantize(7)
        judge(harness, encoded(paletted, "PNG", transparency=bytes([0, 100, 255]), bits=4), "palette of 7 with alpha")


def test_png_large():
    """With ALL=1 the largest that there may be: 13,377 x 13,377 pixels."""
    side = 13377 if os.environ.get("ALL") == "1" else 2000
    image = Image.fromarray(np.arange(side) * np.arange(side)[:, None] % 7 < 3)
    with Harness() as harness:
        judge(harness, encoded(image, "PNG", compress_level=1), f"{side} x {side}")


# ---- PNM ----

def test_pnm():
    dice = np.random.default_rng(30)
    with Harness() as harness:
        for kind in range(1, 7):
            channels = 3 if kind in (3, 6) else 1
            for maximum in (1, 2, 7, 100, 254, 255, 256, 1000, 65534, 65535) if kind not in (1, 4) else (1,):
                for rows, columns in SIZES[:6]:
                    samples = dice.integers(0, maximum + 1, (rows, columns, channels))
                    if maximum > 255:
                        samples[::2] = dice.integers(0, 256, samples[::2].shape)  # Pillow clips gray
                    for comment in (False, True):
                        data = pnm(kind, samples, maximum, comment, dice)
                        judge(harness, data, f"P{kind} {rows}x{columns} {maximum} {comment}")
        for data in (b"P5 2 1 100 \xc8\x64", b"P5\n2#x\n1 1 255\n" + bytes(range(21)), b"P1 2 2 1#\n0\n01",
                     b"P2 2 1 9 1#\n 2", b"P2 1 1 255#a\n\n9", b"P6 1 1 255 abc more", b"P4\r1\r1\r\x80"):
            judge(harness, data, f"{data}")


# ---- orientation ----

def test_exif_jpeg():
    dice = np.random.default_rng(40)
    data = encoded(some_image(dice, 33, 50), "JPEG")
    with Harness() as harness:
        for orientation in range(0, 11):
            for big in (False, True):
                for options in ({}, {"kind": 4}, {"kind": 1}, {"first": 40}, {"others": 0}, {"count": 2}, {"count": 0}):
                    file = jpeg_with_exif(data, exif(orientation, big, **options))
                    what = f"orientation {orientation} {big} {options}"
                    same(harness.decode(file, exif=True), pillow(file, ImageOps.exif_transpose), what)
                    same(harness.decode(file), pillow(file), f"{what}, ignored")
        tag = exif(6)
        far = tag[:4] + b"\xff\xff\xff\xff" + tag[8:]
        for broken in (b"", tag[:5], tag[:9], tag[:20], tag[:-20], b"XX" + tag[2:], far):
            file = jpeg_with_exif(data, broken)
            same(harness.decode(file, exif=True), pillow(data), f"broken Exif data {broken}")
        twice = jpeg_with_exif(jpeg_with_exif(data, exif(8)), exif(6))
        same(harness.decode(twice, exif=True), pillow(twice, ImageOps.exif_transpose), "two of them: the first counts")


def test_exif_png():
    dice = np.random.default_rng(41)
    with Harness() as harness:
        for orientation in range(1, 9):
            for place in ("ahead", "behind"):
                for kind in PNG_CHANNELS:
                    file = some_png(dice, 21, 34, 8, kind, **{place: [chunk(b"eXIf", exif(orientation, kind > 2))]})
                    what = f"orientation {orientation} {place} kind {kind}"
                    same(harness.decode(file, exif=True), pillow(file, ImageOps.exif_transpose), what)
                    same(harness.decode(file), pillow(file), f"{what}, ignored")


# ---- real pictures ----

def test_real():
    with Harness() as harness:
        for path in sorted(SAMPLES.glob("*.[jp][pn]g")):
            judge(harness, path.read_bytes(), path.name)
        image = Image.open(io.BytesIO(photo()))
        for size in ((512, 600), (301, 77), (160, 200)):
            part = image.resize(size, Image.LANCZOS)
            for options in ({"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2, "progressive": True}):
                for quality in (20, 90):
                    judge(harness, encoded(part, "JPEG", quality=quality, **options), f"{size} q{quality} {options}")
            for mode in ("L", "CMYK"):
                judge(harness, encoded(part.convert(mode), "JPEG"), f"{size} JPEG {mode}")
            for mode in ("1", "L", "P", "RGBA"):
                judge(harness, encoded(part.convert(mode), "PNG"), f"{size} PNG {mode}")
            for mode in ("1", "L", "RGB"):
                judge(harness, encoded(part.convert(mode), "PPM"), f"{size} PNM {mode}")
