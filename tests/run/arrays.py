"""--tensor and --output: arrays in and out, and all that can be wrong with them."""

import json
import os
import random
import re
import signal
import struct
import subprocess
import time
from pathlib import Path

import numpy as np

import tap
from harness import check, ENDING_EARLY, Folder, logits_of, npy_bytes, OUT, program, refuse, same, some_pictures


def npy_counts(variant):
    folder = Folder(f"npy_counts_{variant}")
    for n in (0, 1, 3, 4, 5, 9):
        x = some_pictures(n, 1, 28, 28, seed=n)
        np.save(folder / "x.npy", x)
        program(variant, f"--tensor={folder / 'x.npy'}", f"--output={folder / 'y.npy'}")
        same(np.load(folder / "y.npy"), logits_of(x))
    check((folder / "y.npy").read_bytes()[:8] == b"\x93NUMPY\x01\x00", "the output is not version 1.0")
    check((folder / "y.npy").read_bytes().index(b"\n") % 64 == 63, "the data is not aligned to 64 bytes")
    check(folder.names() == ["x.npy", "y.npy"], f"left behind: {folder.names()}")


def test_npy_counts():
    npy_counts("fake")


def test_npy_counts_batch4():
    npy_counts("batch4")


def test_npy_one():
    folder = Folder("npy_one")
    x = some_pictures(1, 28, 28)
    np.save(folder / "x.npy", x)
    program("batch4", f"--tensor=pixels:{folder / 'x.npy'}", f"--output={folder / 'y.npy'}")
    same(np.load(folder / "y.npy"), logits_of(x))


def test_npy_versions():
    folder = Folder("npy_versions")
    x = some_pictures(2, 1, 28, 28)
    for version in ((1, 0), (2, 0), (3, 0)):
        (folder / "x.npy").write_bytes(npy_bytes(x, version))
        program("fake", f"--tensor={folder / 'x.npy'}", f"--output={folder / 'y.npy'}")
        same(np.load(folder / "y.npy"), logits_of(x))
    (folder / "x.npy").write_bytes(npy_bytes(x, (4, 0)))
    refuse("version 4.0", "fake", f"--tensor={folder / 'x.npy'}")


def test_npy_header_forms():
    folder = Folder("npy_header_forms")
    x = some_pictures(1, 28, 28)
    forms = ["{'shape':(1L, 28L,28L ,), \"descr\" : '<f4','fortran_order':False}",
             "  {'fortran_order': False, 'descr': '<f4', 'shape': (1, 28, 28)}   \n"]
    for form in forms:
        (folder / "x.npy").write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(form)) + form.encode() + x.tobytes())
        program("fake", f"--tensor={folder / 'x.npy'}", f"--output={folder / 'y.npy'}")
        same(np.load(folder / "y.npy"), logits_of(x))


def test_streams():
    x = some_pictures(3, 1, 28, 28)
    result = program("batch4", "--tensor=-", "--output=-", stdin=npy_bytes(x), binary=True)
    end = result.out.index(b"\n") + 1
    same(np.frombuffer(result.out[end:], "<f4").reshape(3, 10), logits_of(x))


def test_npy_refused():
    folder = Folder("npy_refused")
    x, path = some_pictures(2, 1, 28, 28), folder / "x.npy"

    def case(words, content):
        path.write_bytes(content)
        refuse(words, "fake", f"--tensor={path}", f"--output={folder / 'y.npy'}")
        check(folder.names() == ["x.npy"], f"left behind: {folder.names()}")

    whole = npy_bytes(x)
    case(["dtype", "'<f4'", "'<f8'"], npy_bytes(x.astype("<f8")))
    case(["dtype", "'>f4'"], npy_bytes(x.astype(">f4")))
    case(["dtype", "records"], whole.replace(b"'<f4'", b"[('a', '<f4')]").replace(b"\x01\x00", b"\x01\x00", 1)
         .replace(struct.pack("<H", whole.index(b"\n") - 9), struct.pack("<H", whole.index(b"\n") - 9 + 9), 1))
    case(["shape", "[1,28,28]", "[N,1,28,28]", "[2,1,14,56]"], npy_bytes(x.reshape(2, 1, 14, 56)))
    case(["shape", "found [1568]"], npy_bytes(x.reshape(-1)))
    case(["shape", "found []"], npy_bytes(np.float32(3).reshape(())))
    case("Fortran", whole.replace(b"'fortran_order': False", b"'fortran_order': True "))
    case("truncated", whole[:-1])
    case("too long", whole + b"x")
    case("truncated", whole[:40])
    case("truncated", whole[:9])
    case("no .npy", whole[:7])
    case("no .npy", b"")
    case("no .npy", b"PK\3\4" + whole)
    case("no header", b"\x93NUMPY\2\0\xff\xff\xff\xff" + whole)
    case("malformed", whole.replace(b"'descr'", b"'des\0r'"))
    case("malformed", whole.replace(b"(2, 1,", b"(-2, 1"))
    case("malformed", whole.replace(b"(2, 1, 28, 28)", b"99999999999999"))
    case(["malformed"], npy_bytes(x).replace(b"'shape'", b"'shapf'"))
    case("larger than any file", (lambda h: b"\x93NUMPY\1\0" + struct.pack("<H", len(h)) + h)(
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000000000000, 1, 28, 28)}"))


def test_npy_mutated():
    """Any byte of the header changed: an answer or one line, never a crash."""
    folder = Folder("npy_mutated")
    whole, dice = npy_bytes(some_pictures(1, 1, 28, 28)), random.Random(5)
    end = whole.index(b"\n")
    for i in range(80):
        content = bytearray(whole)
        content[dice.randrange(6, end)] = dice.choice(b"\0\xff'\"(),[]{}:0123456789LTF <")
        (folder / "x.npy").write_bytes(content)
        result = tap.run([OUT / "fake", f"--tensor={folder / 'x.npy'}"], env=ENDING_EARLY)
        check(result.code in (0, 1) and len(result.err.splitlines()) == result.code,
              f"{bytes(content[:end])}: {result.err}")


def test_files_refused():
    folder = Folder("files_refused")
    np.save(folder / "x.npy", some_pictures(1, 28, 28))
    refuse(["absent.npy", "No such file"], "fake", f"--tensor={folder / 'absent.npy'}")
    refuse("directory", "fake", f"--tensor={folder.path}")
    refuse("is truncated", "fake", "--tensor=-", stdin=npy_bytes(some_pictures(2, 1, 28, 28))[:-4])
    huge = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000000, 1, 28, 28)}"
    refuse("out of memory", "fake", "--tensor=-", stdin=b"\x93NUMPY\1\0" + struct.pack("<H", len(huge)) + huge)


def test_outputs_refused():
    folder = Folder("outputs_refused")
    np.save(folder / "x.npy", some_pictures(1, 28, 28))
    (folder / "old.npy").write_bytes(b"old")
    (folder / "broken.npy").write_bytes(npy_bytes(some_pictures(2, 1, 28, 28))[:-400])
    names = folder.names()
    tensor = f"--tensor={folder / 'x.npy'}"
    refuse(["cannot write", "No such file"], "fake", tensor, f"--output={folder / 'none' / 'y.npy'}")
    (OUT / "files" / "directory.npy").mkdir(exist_ok=True)
    refuse("directory", "fake", tensor, f"--output={OUT / 'files' / 'directory.npy'}")
    refuse("truncated", "fake", "--tensor=/dev/stdin", f"--output={folder / 'old.npy'}",
           stdin=(folder / "broken.npy").read_bytes())
    check((folder / "old.npy").read_bytes() == b"old", "the older file was touched")
    check(folder.names() == names, f"left behind: {folder.names()}")
    full = folder / "full.npy"
    full.symlink_to("/dev/full")
    refuse("No space", "fake", tensor, f"--output={full}")
    check(Path("/dev/full").is_char_device(), "/dev/full is gone")
    with open("/dev/full", "wb") as device:
        for arguments in (["--info"], [tensor, "--output=-"], ["--help"], ["--bench", "--json", "--runs=1"]):
            done = subprocess.run([OUT / "fake", *arguments], stdout=device, stderr=subprocess.PIPE, text=True)
            check(done.returncode == 1 and "cannot write" in done.stderr, f"{arguments} to a full disk: {done}")


def test_output_link():
    folder = Folder("output_link")
    x = some_pictures(1, 28, 28)
    np.save(folder / "x.npy", x)
    (folder / "real.npy").write_bytes(b"old")
    (folder / "y.npy").symlink_to("real.npy")
    program("fake", f"--tensor={folder / 'x.npy'}", f"--output={folder / 'y.npy'}")
    check((folder / "y.npy").is_symlink(), "the link was replaced")
    same(np.load(folder / "real.npy"), logits_of(x))


def test_output_signal():
    folder = Folder("output_signal")
    running = subprocess.Popen([OUT / "fake", "--tensor=-", f"--output={folder / 'y.npy'}"], stdin=subprocess.PIPE)
    running.stdin.write(npy_bytes(some_pictures(9, 1, 28, 28))[:9000])
    running.stdin.flush()
    for _ in range(100):
        if folder.names():
            break
        time.sleep(0.05)
    check(folder.names() and folder.names()[0].endswith(".tmp"), f"no temporary name: {folder.names()}")
    running.send_signal(signal.SIGTERM)
    check(running.wait(20) == -signal.SIGTERM, "did not end by the signal")
    running.stdin.close()
    check(folder.names() == [], f"left behind: {folder.names()}")


def test_several():
    folder = Folder("several")
    x, b = some_pictures(3, 1, 28, 28), some_pictures(3, 10, seed=2)
    np.save(folder / "x.npy", x)
    np.save(folder / "b.npy", b)
    inputs = [f"--tensor=bias:{folder / 'b.npy'}", f"--tensor=pixels:{folder / 'x.npy'}"]
    program("two", *inputs, f"--output={folder / 'y.safetensors'}")
    raw = (folder / "y.safetensors").read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + length]), raw[8 + length:]
    check(length % 8 == 0 and list(header) == ["logits", "square"], f"header {header}")
    wanted = {"logits": logits_of(x) + b, "square": (logits_of(x) + b)[:, :4].reshape(3, 2, 2) + 1}
    for name, value in wanted.items():
        first, last = header[name]["data_offsets"]
        check(header[name]["dtype"] == "F32", "dtype")
        same(np.frombuffer(data[first:last], "<f4").reshape(header[name]["shape"]), value)
    check(max(entry["data_offsets"][1] for entry in header.values()) == len(data), "surplus data")
    program("two", *inputs, f"--output={folder / 'y.npy'}")
    same(np.load(folder / "y.npy"), wanted["logits"])
    answers = json.loads(program("two", *inputs, "--json").out)["answers"]
    check(len(answers) == 3 and answers[2]["square"] == wanted["square"][2].ravel().tolist(), f"{answers}")
    check("square [2,2]: " in program("two", *inputs).out, "values are not printed")
    refuse("'bias' is missing", "two", inputs[1], code=2)
    refuse("names no input", "two", f"--tensor={folder / 'x.npy'}", code=2)
    refuse("given twice", "two", inputs[0], inputs[0], code=2)
    refuse("only one input", "two", "--tensor=bias:-", "--tensor=pixels:-", code=2)
    np.save(folder / "b.npy", b[:2])
    refuse(["holds 3 images", "holds 2"], "two", *inputs)
    refuse("one input", "two", "--dataset=a,b")


def test_printed():
    folder = Folder("printed")
    x = np.zeros((2, 1, 28, 28), "<f4")
    x[0, 0, 0, 7] = 3
    x[1, 0, 0, 2] = 1
    np.save(folder / "x.npy", x)
    out = program("fake", f"--tensor={folder / 'x.npy'}", "--top=2").out
    share = 100 * np.exp(3) / (np.exp(3) + 9)
    check(out.startswith(f"1:\n 1   {share:.1f} %  Sneaker\n 2 "), out)
    check(f"\n\n2:\n 1   {100 * np.e / (np.e + 9):.1f} %  Pullover\n" in out, out)
    answers = json.loads(program("fake", f"--tensor={folder / 'x.npy'}", "--json").out)
    first = answers["answers"][0]["logits"][0]
    check(first["class"] == 7 and first["label"] == "Sneaker" and first["value"] == 3, f"{first}")
    check(abs(first["probability"] - share / 100) < 1e-6 and len(answers["answers"][0]["logits"]) == 5, f"{answers}")
    x[0, 0, 0, 0] = -1
    np.save(folder / "x.npy", x[:1])
    out = program("nan", f"--tensor={folder / 'x.npy'}", "--top=99").out
    check(len(out.splitlines()) == 10 and re.match(r" 1 +nan %  Dress\n", out), out)
    answers = json.loads(program("nan", f"--tensor={folder / 'x.npy'}", "--json").out)
    check(answers["answers"][0]["logits"][0]["value"] == "nan", f"{answers}")


def test_closed_streams():
    folder = Folder("closed_streams")
    x = some_pictures(2, 1, 28, 28)
    np.save(folder / "x.npy", x)

    def start(streams, *words):
        return subprocess.run(["/bin/sh", "-c", f'exec "$0" "$@" {streams}', OUT / "fake", f"--tensor={folder / 'x.npy'}", *words],
                              capture_output=True, text=True, env=dict(os.environ, **ENDING_EARLY))

    for words in ([], ["--json"], ["--output=-"]):
        done = start(">&-", *words)
        check(done.returncode == 1 and done.stderr == "fake: error: cannot write standard output: Bad file descriptor\n", f"{done}")
    for streams in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = start(streams, f"--output={folder / 'y.npy'}")
        check(done.returncode == 0 and not done.stderr and not done.stdout, f"{streams}: {done}")
        same(np.load(folder / "y.npy"), logits_of(x))
        (folder / "y.npy").unlink()


def test_read_only_folder():
    folder = Folder("read_only_folder")
    np.save(folder / "x.npy", some_pictures(1, 28, 28))
    (folder / "y.npy").write_bytes(b"old")
    folder.path.chmod(0o555)
    try:
        for words in (["--output=y.npy"], ["--output=z.safetensors"], ["--dump=all", "--output=z.safetensors"]):
            done = subprocess.run([OUT / "fake", "--tensor=x.npy", *words], cwd=folder.path, capture_output=True, text=True,
                                  preexec_fn=tap.as_a_user, env=dict(os.environ, **ENDING_EARLY))
            if done.returncode == 0:
                raise tap.Skip("permissions do not count here")
            check(done.returncode == 1 and re.fullmatch(r"fake: error: cannot write \w\.\w+: Permission denied\n", done.stderr), f"{done}")
            check(folder.names() == ["x.npy", "y.npy"] and (folder / "y.npy").read_bytes() == b"old", f"{folder.names()}")
    finally:
        folder.path.chmod(0o755)


def test_nan_passes():
    folder = Folder("nan_passes")
    x = some_pictures(2, 1, 28, 28)
    x[1, 0, 0, 4], x[0, 0, 0, 5] = np.nan, np.inf
    np.save(folder / "x.npy", x)
    result = program("fake", f"--tensor={folder / 'x.npy'}", f"--output={folder / 'y.npy'}")
    check(not result.err, result.err)
    y = np.load(folder / "y.npy")
    check(np.argwhere(np.isnan(y)).tolist() == [[1, 4]] and y[0, 5] == np.inf, f"{y}")
