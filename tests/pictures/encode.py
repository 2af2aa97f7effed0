"""Files that Pillow does not write: every kind of PNG, plain and stretched PNM, edited JPEG, Exif data."""

import struct
import zlib

import numpy as np

ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


# ---- PNG ----

def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed_rows(samples, depth):
    """[rows, columns, channels] to rows of bytes."""
    rows = samples.shape[0]
    if depth == 16:
        return samples.astype(">u2").reshape(rows, -1).view(np.uint8)
    flat = samples.reshape(rows, -1).astype(np.uint8)
    if depth == 8:
        return flat
    bits = np.unpackbits(flat[:, :, None], axis=2)[:, :, 8 - depth:]
    return np.packbits(bits.reshape(rows, -1), axis=1)


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))


def filtered(rows, step, dice):
    """Every row with a filter by chance."""
    out, before = [], np.zeros(rows.shape[1], int)
    for row in rows.astype(int):
        left = np.concatenate([np.zeros(step, int), row])[:len(row)]
        corner = np.concatenate([np.zeros(step, int), before])[:len(row)]
        kind = int(dice.integers(0, 5))
        guess = (0, left, before, (left + before) // 2, paeth(left, before, corner))[kind]
        out.append(bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes())
        before = row
    return b"".join(out)


def png(samples, depth, kind, dice, interlaced=False, ahead=(), behind=(), header=None, pieces=3):
    """samples: [rows, columns, channels]. ahead, behind: chunks before and after the data."""
    rows, columns, channels = samples.shape
    step = max(1, channels * depth // 8)
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    data = b""
    for y, x, down, right in passes:
        part = samples[y::down, x::right]
        if part.size:
            data += filtered(packed_rows(part, depth), step, dice)
    data = zlib.compress(data, 1)
    cuts = sorted(dice.integers(0, len(data) + 1, pieces - 1)) if pieces > 1 else []
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
    head = struct.pack(">IIBBBBB", *(header or (columns, rows)), depth, kind, 0, 0, interlaced)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *ahead, *(chunk(b"IDAT", part) for part in parts),
                     *behind, chunk(b"IEND", b"")])


def some_png(dice, rows, columns, depth, kind, interlaced=False, colours=None, transparent=False, **more):
    channels = PNG_CHANNELS[kind]
    colours = colours or 1 << min(depth, 8)
    samples = dice.integers(0, 1 << depth, (rows, columns, channels))
    ahead = list(more.pop("ahead", ()))
    if depth == 16 and kind == 0:
        samples[::2] = dice.integers(0, 300, samples[::2].shape)  # Pillow clips: some below 255
    if kind == 3:
        ahead.append(chunk(b"PLTE", dice.integers(0, 256, 3 * colours).astype(np.uint8).tobytes()))
    if transparent:
        of = {0: 2, 2: 6, 3: max(1, colours // 2)}[kind]
        ahead.append(chunk(b"tRNS", dice.integers(0, 256, of).astype(np.uint8).tobytes() if kind == 3 else
                           samples[0, 0].astype(">u2").tobytes()))
    return png(samples, depth, kind, dice, interlaced, ahead, **more)


# ---- PNM ----

def pnm(kind, samples, maximum=255, comment=False, dice=None):
    """samples: [rows, columns, channels]; P1 and P4 take bits."""
    rows, columns, _ = samples.shape
    gap = (lambda: [b" ", b"\n", b"\t ", b"\r\n", b" # so\n "][dice.integers(0, 5)]) if comment else (lambda: b"\n")
    head = b"P%d" % kind + (b"\n# made by hand\n" if comment else b" ") + b"%d" % columns + gap() + b"%d" % rows
    if kind not in (1, 4):
        head += gap() + b"%d" % maximum
    flat = samples.reshape(-1)
    if kind == 4:
        return head + b"\n" + np.packbits(samples[..., 0].astype(np.uint8), axis=1).tobytes()
    if kind in (5, 6):
        return head + b"\n" + flat.astype(np.uint8 if maximum < 256 else ">u2").tobytes()
    between = [gap() for _ in flat]
    if kind == 1 and not comment:
        between = [b""] * len(flat)
    return head + b"\n" + b"".join(b"%d" % v + space for v, space in zip(flat, between)) + b"\n"


# ---- JPEG ----

def segments(data):
    """[marker, body] up to the first scan, and what is left from there on."""
    at, found = 2, []
    while True:
        marker, length = struct.unpack(">HH", data[at:at + 4])
        if marker == 0xFFDA:
            return found, data[at:]
        found.append([marker, data[at + 4:at + 2 + length]])
        at += 2 + length


def joined(found, rest):
    return b"\xff\xd8" + b"".join(struct.pack(">HH", marker, len(body) + 2) + body for marker, body in found) + rest


def without(data, *markers):
    found, rest = segments(data)
    return joined([s for s in found if s[0] not in markers], rest)


def with_adobe(data, transform):
    """Without JFIF and Adobe segments but for this one."""
    found, rest = segments(without(data, 0xFFE0, 0xFFEE))
    return joined([[0xFFEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform])], *found], rest)


def with_size(data, columns, rows):
    found, rest = segments(data)
    for s in found:
        if s[0] in (0xFFC0, 0xFFC1, 0xFFC2):
            s[1] = s[1][:1] + struct.pack(">HH", rows, columns) + s[1][5:]
    return joined(found, rest)


# ---- Exif ----

def exif(orientation, big=False, kind=3, first=8, count=1, others=2):
    """A TIFF structure with the tag among others; kind: 1 byte, 3 short, 4 long."""
    order = ">" if big else "<"
    value = struct.pack(order + {1: "B", 3: "H", 4: "I"}[kind], orientation).ljust(4, b"\0")
    entries = [struct.pack(order + "HHI", 0x0100 + i, 3, 1) + b"\0\0\0\0" for i in range(others)]
    entries.append(struct.pack(order + "HHI", 0x0112, kind, count) + value)
    return ((b"MM\0*" if big else b"II*\0") + struct.pack(order + "I", first) + bytes(first - 8) +
            struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4))


def jpeg_with_exif(data, tiff):
    found, rest = segments(data)
    return joined([*found[:1], [0xFFE1, b"Exif\0\0" + tiff], *found[1:]], rest)
