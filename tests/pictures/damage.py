"""Files that are no pictures, or not whole, or lie: a line each, no crash, no leak, bounded memory."""

import os
import struct
import zlib

import numpy as np

from encode import chunk, png, pnm, segments, some_png, with_size
from judge import Harness, Refused, check, encoded, pillow, same, some_image

LIMIT = "178956970"


def refused(harness, data, words, what=""):
    got = harness.decode(data)
    check(isinstance(got, Refused), f"{what or data[:40]}: taken")
    for word in [words] if isinstance(words, str) else words:
        check(word in got, f"{what or data[:40]}: '{word}' is not in: {got}")


def png_of_size(columns, rows, data=zlib.compress(b""), depth=8, kind=2):
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, depth, kind, 0, 0, 0)) + \
        chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_no_pictures():
    are = "JPEG, PNG and PPM/PGM/PBM are read"
    with Harness() as harness:
        refused(harness, b"", ["it is empty", are])
        refused(harness, b"Hello, world\n" * 9, ["it begins with 'Hello, world'", are])
        refused(harness, b"x", ["it begins with 'x'", are])
        refused(harness, bytes(range(7, 200)), ["it is no picture", are])
        refused(harness, "grüße\n".encode(), ["it is no picture", are])
        for kind, data in (("GIF", b"GIF89a\1\0\1\0"), ("BMP", b"BM123456"), ("WebP", b"RIFF1234WEBPVP8 "),
                           ("TIFF", b"II*\0abcd"), ("TIFF", b"MM\0*abcd"), ("AVIF", b"\0\0\0 ftypavif"),
                           ("HEIC", b"\0\0\0 ftypheic"), ("JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n"),
                           ("PAM", b"P7\nWIDTH 1")):
            refused(harness, data, [f"{kind} is not read", are])
        for data in (b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n",
                     b"P6", b"P6 ", b"P6x", b"\xff\xd8\xff" + b"text, no JPEG at all" * 9,
                     b"\x89PNG\r\n\x1a\n" + b"text, no PNG at all" * 9):
            same(harness.decode(data), pillow(data), f"{data}")


def test_cut_short():
    """Wherever Pillow says so, and (PNG) not far behind that: its last checksum must be there, too."""
    dice = np.random.default_rng(1)
    image = some_image(dice, 40, 57)
    jpegs = [encoded(image, "JPEG"), encoded(image, "JPEG", progressive=True), encoded(image.convert("CMYK"), "JPEG")]
    others = [encoded(image, "PNG"), some_png(dice, 30, 41, 16, 6, True), encoded(image, "PPM"),
              pnm(3, dice.integers(0, 256, (9, 9, 3))), pnm(1, dice.integers(0, 2, (9, 9, 1)))]
    with Harness() as harness:
        for k, data in enumerate(jpegs + others):
            for n in {*range(0, len(data), max(1, len(data) // 60)), *range(len(data) - 24, len(data))}:
                got, wanted, what = harness.decode(data[:n]), pillow(data[:n]), f"file {k}, {n} of {len(data)} bytes"
                check(k < 3 or not isinstance(wanted, Refused) or isinstance(got, Refused), f"{what}: taken")
                if k < 3 or not isinstance(got, Refused):
                    same(got, wanted, what)
        refused(harness, jpegs[0][:-300], "the JPEG data end before the picture does")
        refused(harness, others[0][:-300], "the PNG data end before the picture does")
        refused(harness, others[2][:-1], "it ends before the picture does")
        refused(harness, others[3][:-8], "it ends before a pixel")
        refused(harness, b"P6 12", "it ends before the height")


def test_changed():
    """Bytes changed: what both take is equal, and what Pillow refuses is refused.

    Two exceptions: PNG's checksums are believed in pixels, too; and a marker FF01 among JPEG's headers, which libjpeg
    passes over, lets Pillow not identify the file.
    """
    dice = np.random.default_rng(2)
    image = some_image(dice, 48, 64)
    jpegs = [encoded(image, "JPEG"), encoded(image, "JPEG", progressive=True), encoded(image.convert("CMYK"), "JPEG")]
    others = [encoded(image, "PNG"), some_png(dice, 30, 41, 4, 3, True), encoded(image, "PPM")]
    taken = 0
    with Harness() as harness:
        for k, data in enumerate(jpegs + others):
            for turn in range(4000 if os.environ.get("ALL") == "1" else 250):
                changed = bytearray(data)
                for _ in range(dice.integers(1, 4)):
                    reach = len(data) if turn % 2 else min(len(data), 700)
                    changed[dice.integers(0, reach)] = dice.integers(0, 256)
                changed = bytes(changed)
                got, wanted = harness.decode(changed), pillow(changed)
                if b"\xff\1" in changed and isinstance(wanted, Refused) and "cannot identify" in wanted:
                    continue
                if k < 3 or not isinstance(got, Refused) or isinstance(wanted, Refused):
                    same(got, wanted, f"file {k}, turn {turn}")
                taken += not isinstance(got, Refused)
    check(taken > 300, f"only {taken} were taken")


def test_sizes():
    """Headers that lie, sizes that nobody wants."""
    dice = np.random.default_rng(3)
    data = encoded(some_image(dice, 40, 57), "JPEG")
    samples = dice.integers(0, 256, (40, 57, 3))
    with Harness() as harness:
        for columns, rows in ((30000, 30000), (65500, 65500)):
            words = [f"{columns} x {rows} pixels", LIMIT]
            refused(harness, with_size(data, columns, rows), words)
            refused(harness, png_of_size(columns, rows), words)
            refused(harness, b"P6 %d %d 255 " % (columns, rows), words)
        refused(harness, png_of_size(13377, 13378), LIMIT)
        refused(harness, png_of_size(13377, 13377), "Not enough image data", "as large as may be, but empty")
        refused(harness, with_size(data, 65535, 65535), "65500")
        refused(harness, png_of_size(2**31 - 1, 2**31 - 1), "a side above 1000000")
        refused(harness, png_of_size(2000000, 1), "a side above 1000000")
        refused(harness, b"P5 9999999999 9999999999 255\n", "a side above 1000000")
        refused(harness, b"P5 99999999999 1 255\n", "more than 10 digits")
        for columns, rows in ((0, 5), (5, 0)):
            refused(harness, with_size(data, columns, rows), "", "JPEG without pixels")
            refused(harness, png_of_size(columns, rows), "", "PNG without pixels")
            refused(harness, b"P5 %d %d 255 x" % (columns, rows), f"{columns} x {rows} pixels is none")
        for columns, rows in ((56, 40), (57, 39), (200, 90), (57, 41), (3000, 2500)):
            lying = with_size(data, columns, rows)
            same(harness.decode(lying), pillow(lying), f"JPEG that says {columns} x {rows}")
            lying = png(samples, 8, 2, dice, header=(columns, rows))
            got, wanted = harness.decode(lying), pillow(lying)
            if rows * (3 * columns + 1) > 40 * 172:
                check(isinstance(got, Refused), f"PNG that says {columns} x {rows}: taken")
            elif not isinstance(got, Refused):
                same(got, wanted, f"PNG that says {columns} x {rows}")
            lying = b"P6 %d %d 255\n" % (columns, rows) + samples.astype(np.uint8).tobytes()
            same(harness.decode(lying), pillow(lying), f"PPM that says {columns} x {rows}")
        check(harness.memory() < 400 << 20, f"{harness.memory() >> 20} MB for pictures that are not there")


def gigabyte():
    """A zlib stream of 1,073,741,824 zeros: a block of a mebibyte that needs nothing of what precedes it, repeated."""
    packer = zlib.compressobj(9)
    first, again = (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * 1023 + b"\3\0" + struct.pack(">HH", (1 << 30) % 65521, 1)


def test_bombs():
    """Small files that unpack to gigabytes."""
    dice = np.random.default_rng(4)
    with Harness() as harness:
        rows = gigabyte()
        refused(harness, png_of_size(30000, 12000, rows), LIMIT)
        text = some_png(dice, 9, 9, 8, 2, ahead=[chunk(b"zTXt", b"x\0\0" + rows), chunk(b"iCCP", b"x\0\0" + rows)])
        check(harness.decode(text).shape == (9, 9, 3), "a picture with a gigabyte of text")
        behind = some_png(dice, 9, 9, 8, 2, behind=[chunk(b"zTXt", b"x\0\0" + rows), chunk(b"eXIf", bytes(1 << 20))])
        check(harness.decode(behind, exif=True).shape == (9, 9, 3), "a picture with a gigabyte of text behind it")
        more = png_of_size(100, 100, rows)
        check(harness.decode(more).shape == (100, 100, 3), "a gigabyte where 30,000 bytes are wanted")
        scans = encoded(some_image(dice, 40, 57), "JPEG", progressive=True)
        last = scans.rindex(b"\xff\xda")
        refused(harness, scans[:-2] + scans[last:-2] * 2000 + scans[-2:], "more than 1000 scans")
        check(harness.memory() < 300 << 20, f"{harness.memory() >> 20} MB")


def test_memory():
    """Allocations that fail: the picture is refused, the program goes on."""
    dice = np.random.default_rng(5)
    image = some_image(dice, 3, 3).resize((1800, 1700))
    with Harness(ASAN_OPTIONS="allocator_may_return_null=1:max_allocation_size_mb=8") as harness:
        for data in (encoded(image, "JPEG"), encoded(image.convert("CMYK"), "JPEG"), encoded(image, "PNG"),
                     encoded(image.convert("L"), "PPM")):
            refused(harness, data, "out of memory")
        small = encoded(image.crop((0, 0, 100, 100)), "JPEG")
        same(harness.decode(small), pillow(small), "a smaller one, afterwards")
        rest = " 0 0 0 0 1 1 1 1 3\n"
        way = f"step 0 0 40000 100 1 0{rest}step 1 0 9 9 0 0{rest}step 5 0 0 0 0 0{rest}tensor 3 9 9 100 100 3"
        check("out of memory" in harness.ask(way, bytes(100 * 100 * 3)), "a large picture between two steps")


def test_text_pixels():
    with Harness() as harness:
        for data, words in ((b"P2 2 1 9 1 x", "a byte 0x78 stands where a pixel should"),
                            (b"P1 2 1 1 2", "a byte 0x32 stands where a pixel should"),
                            (b"P2 2 1 9 1 10", "above the maximum 9"), (b"P2 a 1 9 1", "where the width should"),
                            (b"P2 1 -1 9 1", "where the height should"), (b"P2 1 1 0 1", "is 1 to 65535, this is 0"),
                            (b"P2 1 1 65536 1", "this is 65536"), (b"P2 1 1 9 12345678901", "more than 10 digits"),
                            (b"P3 1 1 255 1 2 ", "ends before"), (b"P6 1 1 255", "ends before"),
                            (b"P5 3 3 255 \n#", "ends before")):
            refused(harness, data, words)
            check(isinstance(pillow(data), Refused), f"Pillow takes {data}")
