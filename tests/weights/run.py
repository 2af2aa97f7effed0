"""netc pack and weights files: a retrained checkpoint gives the bits of a program that was built with it, processes share the
mapping, and whatever else a file may be is refused by its name.

The format is written down here a second time, from grammar/WEIGHTS.md and XXH64's definition, so that files can be made that are
whole and yet lie.
"""

import ctypes
import functools
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "torch"))
import safetensors_numpy
from tap import BUILD, FOREIGN, NETC, TARGETS, Failure, Skip, emulator, expect_done, main, netc, run, sysroot

OUT = BUILD / "tests" / "weights"
OUT.mkdir(parents=True, exist_ok=True)
NET = OUT / "small.net"
NET.write_text("""# Every way of packing: pixels, blocks, groups, a norm alone, a table, a constant, a linear layer.
net small(width = 4, classes = 3, image = 12, eps = 1e-5, half = 0.5)
{
    input pixels [3, image, image]
    let gain = constant([[[half + c]] for c in 0 ..< width * 4])
    let body = pixels
        |> conv1: conv(width * 4, 3) |> bn1: batch_norm(eps = eps) |> relu
        |> conv2: conv(width * 4, 3, groups = width) |> relu
        |> avg_pool(3, stride = 2, pad = 1, count_pad = false) |> bn3: batch_norm
    output logits = body * gain |> global_avg_pool |> flatten |> fc: linear(classes)
}
""")
OK, ARGUMENT, ALIGNMENT, PROCESSOR, WEIGHTS, FILE, FORMAT, NETWORK, DAMAGED = range(9)
NATIVE = re.search(r"native\s+(\S+)", netc("build", "--target=help", binary=NETC).out).group(1)


def check(good, why):
    if not good:
        raise Failure(why)


# ---- what is built once ----

@functools.cache
def lock_of(*key):
    return threading.Lock()


def once(function):
    """The first caller makes it, the others wait for it."""
    cached = functools.cache(function)

    @functools.wraps(function)
    def locked(*key):
        with lock_of(function.__name__, *key):
            return cached(*key)
    return locked


@once
def checkpoint(seed):
    """Parameters of small.net as if trained from this seed."""
    shapes = {match[1]: json.loads(match[2]) for match in re.finditer(r"^(\S+)\s+(\[.*\])", netc("show", NET, "--params", binary=NETC).out, re.M)}
    dice = np.random.default_rng(seed)
    values = {name: dice.uniform(0.5 if name.endswith("var") else -1, 1, shape).astype("<f4") for name, shape in shapes.items()}
    safetensors_numpy.save(OUT / f"trained{seed}.safetensors", values)
    return OUT / f"trained{seed}.safetensors"


@once
def packed(seed, *more):
    path = OUT / f"trained{seed}{''.join(more)}.packed".replace("=", "")
    expect_done(netc("pack", NET, f"--weights={checkpoint(seed)}", "-o", path, *more, binary=NETC), "netc pack")
    return path


@once
def library(seed):
    """small.net with the weights of this seed linked in."""
    folder = OUT / f"library{seed}"
    expect_done(netc("build", NET, f"--weights={checkpoint(seed)}", "--kind=shared", "--parts=1", "-o", folder, binary=NETC), "netc build")
    return folder / "libsmall.so"


@once
def program():
    """small.net for all x86-64 with the weights of seed 1 in a file: (program, file)."""
    path, file = OUT / "small", OUT / "beside.packed"
    expect_done(netc("build", NET, f"--weights={checkpoint(1)}", f"--weights-file={file}", "--target=x86-64", "--parts=1", "-o", path,
                     f"--keep={OUT}/kept", binary=NETC), "netc build --weights-file")
    return path, file


@once
def opener():
    """open_files.c with small.net's own code under the sanitizers."""
    folder = OUT / "opener"
    expect_done(netc("build", NET, f"--weights={checkpoint(1)}", "--target=scalar", "--parts=1", f"--emit-c={folder}", binary=NETC), "netc build")
    expect_done(run(["clang-19", "-O1", "-g", "-std=c17", "-D_GNU_SOURCE", "-fopenmp", "-fsanitize=address,undefined",
                     "-fno-sanitize-recover=undefined", "-DNET=small", '-DHEADER="small.h"', f"-I{folder}", HERE / "open_files.c",
                     folder / "small.c", "-lm", "-o", folder / "open_files"], cwd=folder), "clang")
    return folder / "open_files"


class Net(ctypes.Structure):  # small_net of small.h
    _fields_ = [("weights", ctypes.c_void_p), ("bytes", ctypes.c_size_t), ("variant", ctypes.c_int), ("error", ctypes.c_int),
                ("detail", ctypes.c_char_p), ("digest", ctypes.c_char * 17)]


class Library:
    def __init__(self, seed):
        self.code = ctypes.CDLL(str(library(seed)))
        self.code.small_workspace_size.restype = ctypes.c_size_t
        self.net = Net()

    def open(self, path=None):
        return self.code.small_open(ctypes.byref(self.net), str(path).encode() if path else None)

    def close(self):
        self.code.small_close(ctypes.byref(self.net))

    def run(self, pixels):
        room = ctypes.create_string_buffer(self.code.small_workspace_size() + 64)
        workspace = (ctypes.addressof(room) + 63) // 64 * 64
        logits = np.zeros((len(pixels), 3), "<f4")
        for x, y in zip(pixels, logits):
            code = self.code.small_run(ctypes.byref(self.net), ctypes.c_void_p(workspace), x.ctypes.data_as(ctypes.c_void_p),
                                       y.ctypes.data_as(ctypes.c_void_p), 1)
            check(code == OK, f"small_run gave {code}")
        return logits


def pictures(n=3):
    return np.random.default_rng(7).standard_normal((n, 3, 12, 12)).astype("<f4")


def logits_with(seed):
    """Of a library that was built with this seed's weights."""
    own = Library(seed)
    check(own.open() == OK, "the library's own weights")
    return own.run(pictures())


# ---- the format once more ----

MASK = (1 << 64) - 1
PRIMES = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def xxh64(data):
    """XXH64 with seed 0, from the specification (doc/xxhash_spec.md of the xxHash project)."""
    p1, p2, p3, p4, p5 = PRIMES

    def rotate(x, n):
        return (x << n | x >> (64 - n)) & MASK

    def one(lane, word):
        return rotate((lane + word * p2) & MASK, 31) * p1 & MASK

    at, hash_ = 0, p5
    if len(data) >= 32:
        lane = [(p1 + p2) & MASK, p2, 0, -p1 & MASK]
        for at in range(0, len(data) // 32 * 32, 32):
            lane = [one(old, word) for old, word in zip(lane, struct.unpack_from("<4Q", data, at))]
        at = len(data) // 32 * 32
        hash_ = sum(rotate(value, n) for value, n in zip(lane, (1, 7, 12, 18))) & MASK
        for value in lane:
            hash_ = ((hash_ ^ one(0, value)) * p1 + p4) & MASK
    hash_ = (hash_ + len(data)) & MASK
    while len(data) - at >= 8:
        hash_ = (rotate(hash_ ^ one(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & MASK
        at += 8
    if len(data) - at >= 4:
        hash_ = (rotate(hash_ ^ struct.unpack_from("<I", data, at)[0] * p1 & MASK, 23) * p2 + p3) & MASK
        at += 4
    for byte in data[at:]:
        hash_ = rotate(hash_ ^ byte * p5 & MASK, 11) * p1 & MASK
    hash_ = (hash_ ^ hash_ >> 33) * p2 & MASK
    hash_ = (hash_ ^ hash_ >> 29) * p3 & MASK
    return hash_ ^ hash_ >> 32


def taken_apart(path):
    """(text from `blob` to `end`, blob) of a whole file."""
    raw = path.read_bytes()
    first, second, rest = raw.split(b"\n", 2)
    check(first == b"netc-weights 1", f"the first line is {first}")
    length = int(re.fullmatch(rb"text (\d+) ([0-9a-f]{16})", second)[1])
    start = (len(first) + len(second) + 2 + length + 4095) // 4096 * 4096
    return rest[:length].decode(), raw[start:]


def put_together(text, blob, version="1", length=None, sums=True, pad=b"\0"):
    """A file of this text; {blob} in it becomes the right line about the blob. sums=False: keeps wrong checksums out of it."""
    text = text.replace("{blob}", f"blob {len(blob)} {xxh64(blob):016x}").encode("utf-8", "surrogateescape")
    head = f"netc-weights {version}\ntext {len(text) if length is None else length} {xxh64(text) if sums else 0:016x}\n".encode() + text
    return head + pad * (-len(head) % 4096) + blob


def whole():
    """The parts of a good file, to be spoilt: text with {blob} for its first line, blob."""
    text, blob = taken_apart(packed(1))
    return re.sub(r"^blob .*", "{blob}", text), blob


def check_format():
    for data, wanted in ((b"", 0xEF46DB3751D8E999), (b"a", 0xD24EC4F1A98C6E5B), (b"abc", 0x44BC2CF5AD770999)):
        check(xxh64(data) == wanted, "the test's own XXH64 is wrong")
    text, blob = taken_apart(packed(1))
    raw = packed(1).read_bytes()
    check(put_together(*whole()) == raw, "a file made from the document differs from netc's")
    lines = text.split("\n")
    check(lines[1:4] == ["network small", "options", "netc " + netc("--version", binary=NETC).out.split()[1]], f"{lines[:6]}")
    check(lines[5] == "layers" and lines[-2:] == ["end", ""], f"{lines}")
    expect_done(netc("build", NET, f"--weights={checkpoint(1)}", "--parts=1", f"--emit-c={OUT}/format", binary=NETC), "netc build")
    check((OUT / "format/small.weights").read_bytes() == blob, "the blob is not what would have been linked")
    at = 0
    for line in lines[6:-2]:
        match = re.fullmatch(r"(\S+)( \[[\d,]+\])? (\w+) (panels|spread|vector|plain)( groups \d+)?( in c\d+( seg \d+)?)?( out c\d+( seg \d+)?)?"
                             r" as f32(\[[\d,]+\]) at (\d+) = \S.*", line)
        check(match, f"not the document's form: {line}")
        check(int(match[11]) == at, f"parts do not follow one another: {line}")
        at += (4 * int(np.prod(json.loads(match[10]))) + 63) // 64 * 64
    check(at == len(blob), f"the lines tell of {at} bytes, there are {len(blob)}")
    text, _ = taken_apart(packed(1, "-Dhalf=0.25", "-Dimage=8"))
    check(text.split("\n")[2] == "options -D half=0.25 -D image=8", "the options are not told")


# ---- the same bits ----

def check_retrained():
    mapped = Library(1)
    wanted = {seed: logits_with(seed) for seed in (1, 2)}
    check(not np.array_equal(wanted[1], wanted[2]), "two checkpoints give the same")
    for seed in (2, 1):
        check(mapped.open(packed(seed)) == OK, f"not opened: {mapped.net.detail}")
        check(np.array_equal(mapped.run(pictures()), wanted[seed]), "other bits than those of the library built with the checkpoint")
        digest = re.search(r"^parameters (\w+)$", taken_apart(packed(seed))[0], re.M)[1]
        check(mapped.net.digest.decode() == digest, f"digest {mapped.net.digest}")
        mapped.close()
    check(mapped.open() == OK and np.array_equal(mapped.run(pictures()), wanted[1]), "its own weights are lost")
    header = (library(1).parent / "small.h").read_text()
    check(re.search(r'_DIGEST "(\w+)"', header)[1] == mapped.net.digest.decode(), "the digest of its own weights")


def check_program():
    prog, file = program()
    x, y = OUT / "x.npy", OUT / "y.npy"
    np.save(x, pictures())
    got = run([prog, f"--tensor={x}"])
    check(got.code == 1 and len(got.err.splitlines()) == 1 and "no weights of its own: --weights-file=FILE" in got.err, f"{got.code}: {got.err}")
    check(b"conv1.w" in file.read_bytes()[:4096] and file.read_bytes() == packed(1).read_bytes(), "build writes another file than pack")
    check(sorted(p.name for p in (OUT / "kept").iterdir() if "weights" in p.name) == [], "the kept C has weights beside it")
    for seed in (1, 2):
        close = logits_with(seed)
        members = ["x86-64-v4", "x86-64-v3", "scalar"]
        for member in members:
            got = run([prog, f"--tensor={x}", f"--output={y}", f"--weights-file={packed(seed)}", f"--target={member}"])
            if "lacks" in got.err and member != "scalar":
                continue
            expect_done(got, member)
            check(np.allclose(np.load(y), close, rtol=1e-5, atol=1e-5), f"{member}: other answers")
            check(member != NATIVE or np.array_equal(np.load(y), close), f"{member}: other bits")
    info = run([prog, "--info"])
    check(re.search(r"^weights +0\.0 MB, in a file: --weights-file=FILE$", info.out, re.M), info.out)
    digest = re.search(r"^parameters (\w+)$", taken_apart(packed(2))[0], re.M)[1]
    info = run([prog, "--info", f"--weights-file={packed(2)}"])
    check(f"digest {digest}, in {packed(2)}" in info.out, info.out)
    told = json.loads(run([prog, "--info", "--json", f"--weights-file={packed(2)}"]).out)
    check(told["weights_digest"] == digest and told["weights_file"] == str(packed(2)), f"{told}")
    told = json.loads(run([prog, "--info", "--json"]).out)
    check(told["weights_digest"] is None and told["weights_file"] is None, f"{told}")
    got = run([prog, "--info", f"--weights-file={x}"])
    check(got.code == 1 and not got.out and "no weights file" in got.err, f"--info takes anything: {got.out}{got.err}")


def check_targets():
    """One file for every target, and the network's C agrees in every target."""
    tables = set()
    for target in (*TARGETS, *FOREIGN):
        check(packed(1, f"--target={target}").read_bytes() == packed(1).read_bytes(), f"{target}: another file")
        expect_done(netc("build", NET, "--weights=synthetic", f"--target={target}", "--parts=1", f"--emit-c={OUT}/c_{target}", binary=NETC), "netc build")
        source = (OUT / f"c_{target}/small.c").read_text()
        tables.add(re.search(r"packing\[\] = \{.*?\n\};", source, re.S)[0])
    check(len(tables) == 1, "the tables of two targets differ")
    check(packed(1, "--target=x86-64").read_bytes() == packed(1).read_bytes(), "x86-64: another file")
    text, blob = taken_apart(packed(1, "--batch=3"))
    check("options --batch=3\n" in text and (text.split("layers")[1], blob) == (whole()[0].split("layers")[1], whole()[1]), "--batch=3 packs otherwise")


WINOGRAD = OUT / "tiles.net"
WINOGRAD.write_text("net tiles() { input x [20, 16, 16]  output y = x |> conv: conv(36, 3, bias = true) }\n")


def check_winograd():
    """Transformed weights: one file for every target, refused by a program of other tiles."""
    def pack(*options):
        path = OUT / f"tiles{''.join(options)}.packed".replace("=", "")
        expect_done(netc("pack", WINOGRAD, "--weights=synthetic", "-o", path, *options, binary=NETC), "netc pack")
        return path

    forms = {(): "conv.weight [36,20,3,3] winograd winograd in c16 out c16 as f32[3,36,2,16,16]",
             ("--max-error=1e-06",): "conv.weight [36,20,3,3] winograd winograd in c16 out c16 as f32[3,16,2,16,16]",
             ("--winograd=off",): "conv.weight [36,20,3,3] direct panels in c16 out c16 as f32[3,2,3,3,16,16]"}
    for options, line in forms.items():
        text, _ = taken_apart(pack(*options))
        check(f"\n{line}" in text and f"\noptions{''.join(' ' + o for o in options)}\n" in text, f"{options}: {text}")
        for target in (*TARGETS, *FOREIGN):
            check(pack(*options, f"--target={target}").read_bytes() == pack(*options).read_bytes(), f"{options}, {target}: another file")
        path = OUT / f"tiles{''.join(options)}"
        expect_done(netc("build", WINOGRAD, "--weights=synthetic", "--parts=1", *options, "-o", path, binary=NETC), "netc build")
        for other in forms:
            got = run([path, "--info", f"--weights-file={pack(*other)}"])
            check(got.code == (other != options) and (other == options or "conv.weight: expected" in got.err), f"{options}, {other}: {got.err}")


def check_foreign(target):
    """A program for another architecture maps the file that was packed on this one."""
    start = emulator(target)
    prog, x, y = OUT / f"small_{target}", OUT / f"x_{target}.npy", OUT / f"y_{target}.npy"
    expect_done(netc("build", NET, "--weights=synthetic", f"--target={target}", f"--sysroot={sysroot(FOREIGN[target][0])}", "--parts=1",
                     f"--weights-file={OUT}/{target}.packed", "-o", prog, binary=NETC), "netc build")
    np.save(x, pictures())
    expect_done(run([*start, prog, f"--tensor={x}", f"--output={y}", f"--weights-file={packed(2)}"]), "the program")
    check(np.allclose(np.load(y), logits_with(2), rtol=1e-5, atol=1e-5), "other answers")
    got = run([*start, prog, "--info", f"--weights-file={OUT}/{target}.packed"])
    check(got.code == 0 and f"in {OUT}/{target}.packed" in got.out, got.err)


def check_no_compiler():
    bare = OUT / "bare_path"
    bare.mkdir(exist_ok=True)
    expect_done(netc("pack", NET, f"--weights={checkpoint(1)}", "-o", OUT / "bare.packed", env={"PATH": str(bare), "NETC_CC": ""}), "netc pack")
    check((OUT / "bare.packed").read_bytes() == packed(1).read_bytes(), "two runs differ")


# ---- the mapping ----

def maps_of(path):
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(path))]


def descriptors_of(path):
    """Of this process; other cases open and close files meanwhile."""
    links = ("/proc/self/fd/" + name for name in os.listdir("/proc/self/fd"))
    return [link for link in links if os.path.realpath(link) == os.path.realpath(path)]


def check_closed():
    mapped = Library(1)
    for _ in range(20):
        check(mapped.open(packed(2)) == OK, "not opened")
        check(len(maps_of(packed(2))) == 1, "mapped otherwise than once")
        check(mapped.net.weights % 4096 == 0, "not aligned")
        mapped.close()
        check(not maps_of(packed(2)), "still mapped after close")
        check(mapped.open(OUT / "small.net") == FORMAT and not maps_of(OUT / "small.net"), "an error leaves it mapped")
    check(not descriptors_of(packed(2)) and not descriptors_of(OUT / "small.net"), "files stay open")


def check_replaced():
    """A file may be replaced while it is mapped: who has it keeps the old one."""
    path = OUT / "replaced.packed"
    for seed in (1, 2):
        expect_done(netc("pack", NET, f"--weights={checkpoint(seed)}", "-o", path, binary=NETC), "netc pack")
        if seed == 1:
            mapped = Library(1)
            check(mapped.open(path) == OK, "not opened")
    check(np.array_equal(mapped.run(pictures()), logits_with(1)), "its weights changed under it")
    mapped.close()
    check(mapped.open(path) == OK and np.array_equal(mapped.run(pictures()), logits_with(2)), "the new file is not taken")
    mapped.close()


def memory_of(process, path):
    """Of the process's mapping of the file, in kB."""
    text = Path(f"/proc/{process.pid}/smaps").read_text()
    part = re.search(rf"^[0-9a-f]+-[0-9a-f]+ r--p .* {re.escape(str(path))}\n((?:\w+: +.*\n)+)", text, re.M)
    return {key: int(value) for key, value in re.findall(r"^(\w+): +(\d+) kB", part[1], re.M)} if part else None


def shared(memory):
    """A file that was just written is dirty until the disk has it."""
    return memory["Shared_Clean"] + memory["Shared_Dirty"]


def check_shared():
    """Two processes at once: the pages of the weights are one another's."""
    file = OUT / "shared.packed"  # nobody else maps it
    file.write_bytes(packed(1).read_bytes())
    running = [subprocess.Popen([program()[0], "--tensor=-", f"--weights-file={file}"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
               for _ in range(2)]
    try:
        for _ in range(400):  # until both wait for their input
            memory = [memory_of(process, file) for process in running]
            if all(m and shared(m) >= m["Size"] for m in memory):
                break
            time.sleep(0.05)
        for m in memory:
            check(m is not None, "the file is not mapped")
            size = (file.stat().st_size + 4095) // 4096 * 4
            check(m["Size"] == size and m["Rss"] == size, f"not all of it is there: {m}")
            check(shared(m) == size and m["Private_Clean"] == m["Private_Dirty"] == 0, f"pages of its own: {m}")
            check(m["Pss"] == size // 2, f"not shared by two: {m}")
    finally:
        for process in running:
            process.stdin.close()
            process.wait(20)


# ---- what is refused ----

def opened(*paths):
    """(code, errno, digest, detail, message) of each, by the sanitised code."""
    got = expect_done(run([opener(), *paths], env={"ASAN_OPTIONS": "detect_leaks=0"}), "open_files")
    return [(int(code), int(error), digest, detail, message) for code, error, digest, detail, message in
            (line.split("\t") for line in got.out.splitlines())]


def refused(name, content, code, detail, error=0):
    path = content if isinstance(content, Path) else OUT / f"refused_{name}.packed"
    if isinstance(content, bytes):
        path.write_bytes(content)
    got = opened(path)[0]
    check(got[0] == code and got[1] == error and detail in got[3] and not got[2], f"{name}: {got}, not {code}, {error}, '{detail}'")
    return got


def check_networks():
    """Another network, by the first layer that differs."""
    cases = {"-Dwidth=8": "constant [16,1,1]", "-Deps=1e-3": "conv1.w [16,3,3,3]", "-Dclasses=4": "fc.weight [3,16]",
             "-Dimage=20": "avg_pool.reciprocals [6,6]", "-Dhalf=0.25": "constant [16,1,1]"}
    for option, line in cases.items():
        path = OUT / f"other{option}.packed".replace("=", "")
        expect_done(netc("pack", NET, "--weights=synthetic", option, "-o", path, binary=NETC), "netc pack")
        refused(option, path, NETWORK, line)
    path = OUT / "fashion.packed"
    expect_done(netc("pack", "netdefs/fashion/resnext.net", "--weights=synthetic", "-o", path, binary=NETC), "netc pack")
    refused("resnext", path, NETWORK, "constant [16,1,1]")
    text, blob = whole()
    longer = text.replace("\nend\n", "\nfc.more [3] direct vector as f32[16] at 5632 = fc.more\nend\n")
    refused("longer", put_together(longer, blob), NETWORK, "more layers")
    refused("shorter", put_together(re.sub(r"\nfc\.bias .*", "", text), blob), NETWORK, "fc.bias [3]")
    refused("empty table", put_together(re.sub(r"\nlayers\n.*", "\nlayers\nend\n", text, flags=re.S), blob), NETWORK, "constant")
    # the program tells both sides
    got = run([program()[0], "--info", f"--weights-file={OUT}/other-Dclasses4.packed"])
    check(got.code == 1 and len(got.err.splitlines()) == 1 and "fc.weight: expected [3,16] direct panels as f32[1,1,16,16] at 4544, found [4,16] direct"
          in got.err, got.err)
    got = run([program()[0], "--info", f"--weights-file={OUT}/other-Deps1e-3.packed"])
    check("conv1.w: expected fold_weight(conv1.weight, bn1.weight, bn1.running_var; eps 1e-05), found fold_weight(conv1.weight, bn1.weight, "
          "bn1.running_var; eps 0.001);" in got.err, got.err)
    got = run([program()[0], "--info", f"--weights-file={path}"])
    check("constant is not in it; pack them from this program's network" in got.err, got.err)
    got = run([program()[0], "--info", f"--weights-file={OUT}/refused_longer.packed"])
    check(got.code == 1 and "more layers" in got.err, got.err)


def check_files():
    """What is no weights file at all, by the library and by the program."""
    (OUT / "empty.packed").write_bytes(b"")
    (OUT / "text.packed").write_bytes(NET.read_bytes())
    fifo = OUT / "fifo.packed"
    if not fifo.is_fifo():
        os.mkfifo(fifo)
    (OUT / "format").mkdir(exist_ok=True)
    raw = packed(1).read_bytes()
    blob = OUT / "blob.packed"
    blob.write_bytes(taken_apart(packed(1))[1])
    cases = [("missing", OUT / "nowhere.packed", FILE, "", 2, "No such file"), ("directory", OUT / "format", FILE, "", 21, "Is a directory"),
             ("fifo", fifo, FORMAT, "no ordinary file", 0, "no ordinary file"), ("device", Path("/dev/null"), FORMAT, "empty or no", 0, "no ordinary"),
             ("proc", Path("/proc/self/maps"), FORMAT, "empty", 0, "empty"), ("empty", OUT / "empty.packed", FORMAT, "empty", 0, "empty"),
             ("text", OUT / "text.packed", FORMAT, "netc pack", 0, "netc pack writes such files"),
             ("checkpoint", checkpoint(1), FORMAT, "netc pack", 0, "netc pack"), ("raw", blob, FORMAT, "netc pack", 0, "netc pack")]
    for name, path, code, detail, error, words in cases:
        refused(name, path, code, detail, error)
        got = run([program()[0], "--bench", "--runs=1", f"--weights-file={path}"])
        check(got.code == 1 and not got.out and len(got.err.splitlines()) == 1 and words in got.err and str(path) in got.err, f"{name}: {got.err}")
    refused("version", raw.replace(b"weights 1", b"weights 2", 1), FORMAT, "version is not 1")
    refused("version ten", raw.replace(b"weights 1", b"weights 10", 1), FORMAT, "version is not 1")
    refused("carriage return", raw.replace(b"\n", b"\r\n", 1), FORMAT, "version is not 1")


def check_unreadable():
    if os.geteuid() != 0:
        path = OUT / "locked.packed"
        path.write_bytes(packed(1).read_bytes())
        path.chmod(0)
        refused("locked", path, FILE, "", 13)
        path.unlink()
        return
    try:  # root reads everything: somebody else tries
        got = subprocess.run([opener(), "/root/locked.packed"], capture_output=True, text=True, user=65534, env={"ASAN_OPTIONS": "detect_leaks=0"})
    except OSError:
        raise Skip("root reads everything, and nobody else may run programs in this folder")
    check(got.stdout.startswith(f"{FILE}\t13\t"), f"{got}")


def check_flips():
    got = run([opener(), "--flip", packed(1)], timeout=300, env={"ASAN_OPTIONS": "detect_leaks=0"})
    check(got.code == 0 and int(got.out.split()[-2]) > 10000, got.out[:2000])


def check_lies():
    """Files whose checksums are right and whose text is not."""
    text, blob = whole()
    line = f"blob {len(blob)} {xxh64(blob):016x}"
    digest = re.search(r"parameters (\w+)", text)[1]
    cases = {
        "text too long": put_together(text, blob, length=10**17), "text of 18 digits": put_together(text, blob, length=10**18 - 1),
        "text of 19 digits": put_together(text, blob, length=10**18), "text longer than the file": put_together(text, blob, length=1 << 20),
        "text negative": put_together(text, blob, length=-1), "text is not summed": put_together(text, blob, sums=False),
        "no text": put_together("", blob), "only a newline": put_together("\n", blob), "text ends early": put_together(text[:40], blob),
        "blob of zero": put_together(text.replace("{blob}", line.replace(str(len(blob)), "0")), blob),
        "blob of 18 digits": put_together(text.replace("{blob}", line.replace(str(len(blob)), "9" * 18)), blob),
        "blob without a number": put_together(text.replace("{blob}", "blob  " + "0" * 16), blob),
        "blob with capitals": put_together(text.replace("{blob}", f"blob {len(blob)} {xxh64(blob):016X}"), blob),
        "blob short": put_together(text.replace("{blob}", line), blob[:-1]), "blob long": put_together(text.replace("{blob}", line), blob + b"\0"),
        "blob short and said so": put_together(text, blob[:-64]), "no blob": put_together(text, b""),
        "padding": put_together(text, blob, pad=b"x"), "digest with an escape": put_together(text.replace(digest, "\x1b[31m" + digest[5:]), blob),
        "digest short": put_together(text.replace(digest, digest[:15]), blob), "no network": put_together(text.replace("network small\n", ""), blob),
        "no layers": put_together(text.replace("layers\n", ""), blob), "NUL": put_together(text.replace("network small", "network sm\0ll"), blob),
    }
    for name, content in cases.items():
        if name == "NUL":  # a name is a note
            path = OUT / "lie.packed"
            path.write_bytes(content)
            check(opened(path)[0][0] == OK, "the network's name decides")
            continue
        refused(name.replace(" ", "_"), content, DAMAGED, "")
    refused("no end", put_together(text.replace("\nend\n", "\n"), blob), NETWORK, "more layers")
    refused("behind the end", put_together(text + "more\n", blob), NETWORK, "more layers")
    spoilt = re.sub(r"^fc\.bias \[3\].*", "fc.bias [3] \x1b]0;owned\x07 = " + "x" * 5000, text, flags=re.M)
    refused("control characters", put_together(spoilt, blob), NETWORK, "fc.bias [3]")
    got = run([program()[0], "--info", f"--weights-file={OUT}/refused_control characters.packed"])
    check("fc.bias: expected" in got.err and "\x1b" not in got.err and len(got.err) < 3000, got.err)


# ---- netc's own outputs ----

def refuse(*arguments, says, check_name=None, code=1, **options):
    got = netc(*arguments, binary=NETC, **options)
    check(got.code == code and says in got.err and (not check_name or f"[{check_name}]" in got.err), f"{got.code}: {got.err}, not '{says}'")


def listing(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def limit_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4500, 4500))


def check_outputs():
    folder = OUT / "outputs"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    trained = folder / "t.safetensors"
    trained.write_bytes(checkpoint(1).read_bytes())
    (folder / "old.packed").write_bytes(b"old")
    (folder / "prog").write_bytes(b"old")
    before = listing(folder)
    pack, build = ["pack", NET, f"--weights={trained}"], ["build", NET, f"--weights={trained}", "--target=scalar"]
    refuse(*pack, "-o", folder, says="it is a directory", check_name="build_write")
    refuse(*pack, "-o", folder / "none/x", says="No such file", check_name="build_write")
    refuse(*pack, "-o", "/dev/full", says="no ordinary file", check_name="build_write")
    refuse(*pack, "-o", trained, says="it is the checkpoint", check_name="build_write")
    refuse(*pack, says="--weights and --output are needed", code=2)
    refuse("pack", NET, "-o", folder / "x", says="--weights and --output are needed", code=2)
    refuse(*build, f"--weights-file={trained}", "-o", folder / "p", says="it is the checkpoint", check_name="build_write")
    refuse(*build, f"--weights-file={folder}/none/x", "-o", folder / "p", says="No such file", check_name="build_write")
    refuse(*build, f"--weights-file={folder}/p", "-o", folder / "p", says="another output has this name", check_name="build_write")
    refuse(*build, f"--weights-file={folder}/old.packed", "-o", folder / "prog", says="/bin/false", env={"NETC_CC": "/bin/false"})
    refuse(*build, f"--weights-file={folder}", f"--emit-c={folder}/c", says="it is a directory", check_name="build_write")
    for n in (0, 5, 50, 200):
        got = netc(*pack, "-o", folder / "old.packed", env={"NETC_FAIL_ALLOC": str(n)})
        check(got.code == 70 and "out of memory" in got.err, f"{n}: {got.code} {got.err}")
    done = subprocess.run([NETC, *pack, "-o", folder / "old.packed"], capture_output=True, text=True, preexec_fn=limit_files)
    check(done.returncode == 1 and "File too large" in done.stderr, f"{done}")
    check(listing(folder) == before, f"changed or left behind: {sorted(listing(folder))}")
    expect_done(netc(*build, f"--weights-file={folder}/new.packed", "--parts=1", f"--emit-c={folder}/c", binary=NETC), "netc build --emit-c")
    check((folder / "new.packed").read_bytes() == packed(1).read_bytes(), "--emit-c writes another file")
    check(sorted(path.name for path in (folder / "c").iterdir()) == ["small.c", "small.h", "small.program.c"], "weights lie beside the C")
    check(".incbin" not in (folder / "c/small.c").read_text(), "the C wants weights beside it")
    for path in (folder / "c").iterdir():
        path.unlink()
    (folder / "c").rmdir()


main([("weights/the format", check_format), ("weights/flipped bits and cut files", check_flips),
      ("weights/a retrained checkpoint", check_retrained), ("weights/programs", check_program),
      ("weights/one file for all targets", check_targets), ("weights/transformed weights", check_winograd),
      *((f"weights/{target}", lambda target=target: check_foreign(target)) for target in FOREIGN), ("weights/packing needs no compiler", check_no_compiler),
      ("weights/closing", check_closed), ("weights/replacing a mapped file", check_replaced), ("weights/processes share it", check_shared),
      ("weights/other networks", check_networks), ("weights/no weights files", check_files), ("weights/unreadable", check_unreadable),
      ("weights/whole files that lie", check_lies), ("weights/outputs", check_outputs)])
