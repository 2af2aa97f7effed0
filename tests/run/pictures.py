"""Pictures on the command line: what is printed and written of them, of many at once, and all that can be wrong."""

import errno
import fcntl
import gzip
import json
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

import numpy as np
import PIL.Image

import tap
from harness import (check, ENDING_EARLY, Folder, idx_bytes, LABELS, limit_files, logits_of, OUT, program,
                     refuse, same, some_set)
from tap import as_a_user, ROOT, Skip

ABSENT = "No such file or directory"


# ---- pictures, and what the network written by hand says of them ----

def some_pixels(n, seed=1):
    """Gray pictures of black and white: all sums are exact. Logits lie 4 apart at least, the classes mixed."""
    dice = np.random.default_rng(seed)
    pixels = np.zeros((n, 784), np.uint8)
    for row in pixels:
        for white, k in enumerate(dice.permutation(10)):
            row[dice.choice(np.arange(k, 784, 10), 33 + (white + 1) // 2, replace=False)] = 255
    return pixels.reshape(n, 28, 28)


def answers_of(pixels):
    return logits_of((pixels.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.25))


def best_of(pixels):
    return [LABELS[k] for k in answers_of(pixels).argmax(axis=1)]


def ppm_bytes(gray):
    return b"P6\n28 28\n255\n" + np.repeat(gray[:, :, None], 3, axis=2).tobytes()


def write_pictures(folder, n, seed=1):
    """The pixels and the paths, in order."""
    pixels = some_pixels(n, seed)
    paths = [folder / f"{i:03d}.ppm" for i in range(n)]
    for path, gray in zip(paths, pixels):
        path.write_bytes(ppm_bytes(gray))
    return pixels, paths


def objects_of(result):
    check(not result.out or result.out.endswith("\n"), f"{result.out!r}")
    return [json.loads(line) for line in result.out.splitlines()]


def errors_of(result, variant="fake"):
    """What follows PROG: error: in each line of stderr."""
    lines = [line for line in result.err.splitlines() if "WARNING: AddressSanitizer" not in line]
    for line in lines:
        check(line.startswith(f"{variant}: error: "), f"not a line of error: {line!r}")
    return [line.removeprefix(f"{variant}: error: ") for line in lines]


# ---- what is printed ----

def test_picture_rows():
    folder = Folder("picture_rows")
    pixels, paths = write_pictures(folder, 3)
    logits = answers_of(pixels)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share = 100 * share / share.sum(axis=1, keepdims=True)
    blocks = []
    for i in range(3):
        order = np.argsort(-logits[i], kind="stable")[:5]
        blocks.append("".join(f"{rank + 1:2d}  {share[i, k]:5.1f} %  {LABELS[k]}\n" for rank, k in enumerate(order)))
    check(program("fake", paths[0]).out == blocks[0], "one picture")
    wanted = "\n".join(f"{path}:\n{block}" for path, block in zip(paths, blocks))
    for variant in ("fake", "batch4"):
        for threads in (1, 2, 3, 7):
            result = program(variant, *paths, f"--threads={threads}")
            check(result.out == wanted and not result.err, f"{variant} {threads}: {result.out}\n{result.err}")
    check(program("fake", paths[1], "--top=2").out.splitlines() == blocks[1].splitlines()[:2], "--top")
    check(len(program("fake", paths[1], "--top=99").out.splitlines()) == 10, "--top=99")


def test_picture_json():
    folder = Folder("picture_json")
    pixels, paths = write_pictures(folder, 9)
    logits = answers_of(pixels)
    outs = {program(variant, *paths, "--json", "--top=3", f"--threads={threads}").out
            for variant in ("fake", "batch4") for threads in (1, 2, 5)}
    check(len(outs) == 1, "batch or threads change the answers")
    values = [json.loads(line) for line in outs.pop().splitlines()]
    check([value["picture"] for value in values] == [str(path) for path in paths], "order")
    for value, row in zip(values, logits):
        check(list(value) == ["picture", "answer"] and len(value["answer"]["logits"]) == 3, f"{value}")
        first, k = value["answer"]["logits"][0], int(row.argmax())
        check(first["class"] == k and first["label"] == LABELS[k] and np.float32(first["value"]) == row[k], f"{first}")
        check(abs(first["probability"] - 1 / np.exp(row.astype(float) - row[k]).sum()) < 1e-8, f"{first}")
    value = objects_of(program("more", paths[0], "--json"))[0]["answer"]
    check(list(value) == ["logits", "square"] and
          np.array_equal(np.float32(value["square"]), answers_of(pixels)[0, :4] + 1), f"{value}")


def test_picture_quiet():
    folder = Folder("picture_quiet")
    pixels, paths = write_pictures(folder, 5)
    wanted = [f"{path}\t{name}" for path, name in zip(paths, best_of(pixels))]
    check(program("batch4", *paths, "--quiet").out.splitlines() == wanted, "lines")
    check(program("fake", "--quiet", paths[3]).out == wanted[3] + "\n", "one picture")
    refuse(["--quiet", "'map' [2,5]"], "map", "--quiet", paths[0])
    check(program("map", paths[0]).out.startswith("map [2,5]: "), "an output that is no vector")


def test_picture_names():
    """Spaces, quotes, newlines and bytes that are no UTF-8."""
    folder = Folder("picture_names")
    pixels = some_pixels(1)
    names = [b" two  words .ppm", b"it's \"so\".ppm", b"line\nbreak\t.ppm", b"-top=1.ppm", b"\xc3\xa4\xe2\x82\xac.ppm",
             b"\xff\xc3(\xe2\x82.ppm", b"\x1b[31mred.ppm", b"%s%n.ppm"]
    for name in names:
        (Path(os.fsdecode(bytes(folder.path) + b"/" + name))).write_bytes(ppm_bytes(pixels[0]))
    known = best_of(pixels)[0]
    arguments = ["--", *(os.fsdecode(name) for name in names)]
    for json_given in (False, True):
        done = subprocess.run([OUT / "fake", "--json" if json_given else "--quiet", *arguments], cwd=folder.path,
                              capture_output=True)
        check(done.returncode == 0 and not done.stderr, f"{done}")
        lines = done.stdout.splitlines()
        check(len(lines) == len(names), f"{lines}")
        for line, name in zip(lines, names):
            if json_given:
                value = json.loads(line)
                check(value["picture"] == name.decode(errors="replace") or b"\xe2\x82." in name, f"{value}")
                exact = bytes.fromhex(value["picture_bytes"]) if "picture_bytes" in value else value["picture"].encode()
                check(exact == name and ("picture_bytes" in value) == (b"\xff" in name), f"{value}")
            else:
                shown = name.replace(b"\n", rb"\n").replace(b"\t", rb"\t").replace(b"\x1b", rb"\x1b")
                check(line == shown + b"\t" + known.encode(), f"{line}")
    done = subprocess.run([OUT / "fake", b"no\nsuch \xff\x07'.jpg"], capture_output=True, env=dict(os.environ,
                                                                                               **ENDING_EARLY))
    check(done.returncode == 1 and done.stderr == b"fake: error: no\\nsuch \xff\\x07'.jpg: No such file or directory\n",
          f"{done}")


def test_picture_streams():
    folder = Folder("picture_streams")
    pixels, paths = write_pictures(folder, 2)
    name = best_of(pixels)
    content = paths[1].read_bytes()
    check(program("fake", "-", "--quiet", stdin=content).out == f"-\t{name[1]}\n", "standard input")
    lines = program("fake", paths[0], "-", paths[1], "--quiet", stdin=content).out.splitlines()
    check([line.split("\t")[1] for line in lines] == [name[0], name[1], name[1]], f"{lines}")
    check(errors_of(program("fake", "-", code=1))[0].startswith("-: "), "nothing on standard input")
    os.mkfifo(folder / "pipe")
    feeder = threading.Thread(target=lambda: (folder / "pipe").write_bytes(content))
    feeder.start()
    check(program("fake", folder / "pipe", "--quiet").out == f"{folder / 'pipe'}\t{name[1]}\n", "a FIFO")
    feeder.join()


def test_picture_exif():
    folder = Folder("picture_exif")
    gray = some_pixels(1)[0]
    exif = PIL.Image.Exif()
    exif[0x112] = 6 # to be turned clockwise
    PIL.Image.fromarray(gray).save(folder / "a.png", exif=exif)
    for option, shown in (([], gray), (["--exif"], np.rot90(gray, -1))):
        program("fake", folder / "a.png", f"--output={folder / 'y.npy'}", *option)
        same(np.load(folder / "y.npy"), answers_of(shown[None].copy()))


# ---- folders ----

def tree(folder):
    """A folder of pictures by the way of their names -> what is in it; the names in the order expected."""
    pixels = some_pixels(7, seed=4)
    names = ["A.PPM", "B.JpG", "b.pnm", "sub.d/a.jpeg", "sub.d/deeper.png/x.pgm", "sub.d/z.png", "t.pbm"]
    for name, gray in zip(names, pixels):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(ppm_bytes(gray))
    for name in (".hidden.ppm", "notes.txt", "ppm", "x.ppm.bak", "sub.d/.thumbs/a.ppm"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no picture")
    (folder / "empty").mkdir()
    os.mkfifo(folder / "fifo.jpg")
    return pixels, names


def fresh_tree(name):
    path = OUT / "files" / name
    subprocess.run(["rm", "-rf", path], check=True)
    path.mkdir(parents=True)
    return path


def test_picture_folder():
    folder = fresh_tree("picture_folder")
    pixels, names = tree(folder)
    (folder / "sub.d" / "round").symlink_to("..")
    for given in (folder, f"{folder}/"):
        lines = program("fake", given, "--quiet").out.splitlines()
        wanted = [f"{folder}/{name}\t{best}" for name, best in zip(names, best_of(pixels))]
        check(lines == wanted, f"{lines}\n{wanted}")
    (folder / "sub.d" / "round").unlink()
    result = program("fake", folder / "sub.d", "--top=1", folder / "ppm", folder / "t.pbm", code=1)
    shown = [line for line in result.out.splitlines() if line.endswith(":")]
    check(shown == [f"{folder}/{name}:" for name in names[3:6] + ["t.pbm"]], f"{shown}")
    check(len(errors_of(result)) == 1 and f"{folder}/ppm: " in result.err, "a file that is named is read")
    one = program("fake", folder / "sub.d" / "deeper.png").out
    check(one.startswith(f"{folder}/sub.d/deeper.png/x.pgm:\n 1 "), f"one picture of a folder has its name: {one}")
    (folder / "link").symlink_to(folder / "sub.d" / "deeper.png")
    (folder / "lost.png").symlink_to("nowhere.png")
    result = program("fake", folder, "--quiet", code=1)
    check(errors_of(result) == [f"{folder}/lost.png: No such file or directory"], result.err)
    check(f"{folder}/link/x.pgm\t" in result.out and len(result.out.splitlines()) == 8, result.out)


def test_picture_folder_refused():
    folder = fresh_tree("picture_folder_refused")
    (folder / "empty").mkdir()
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_bytes(b"x")
    for name in ("empty", "notes", "."):
        refuse(["no pictures in this folder", ".jpeg"], "fake", folder / name, f"--output={folder / 'y.npy'}")
    check(not (folder / "y.npy").exists(), "an array of nothing")
    (folder / "a.ppm").write_bytes(ppm_bytes(some_pixels(1)[0]))
    result = program("fake", folder / "empty", folder / "a.ppm", "--quiet", code=1)
    check(len(errors_of(result)) == 1 and len(result.out.splitlines()) == 1, f"{result.out}{result.err}")


def test_picture_permissions():
    folder = fresh_tree("picture_permissions")
    pixels, paths = write_pictures(folder, 3)
    paths[1].chmod(0)
    (folder / "shut").mkdir(mode=0)
    done = subprocess.run([OUT / "fake", folder, folder / "shut", "--quiet"], capture_output=True, text=True,
                          preexec_fn=as_a_user, env=dict(os.environ, **ENDING_EARLY))
    (folder / "shut").chmod(0o755)
    if "Permission denied" not in done.stderr:
        raise Skip("permissions do not count here")
    check(done.returncode == 1 and [line.split("\t")[0] for line in done.stdout.splitlines()] ==
          [str(paths[0]), str(paths[2])], f"{done}")
    wanted = [f"{folder}/shut: Permission denied"] * 2 + [f"{paths[1]}: Permission denied"]
    check(done.stderr.splitlines() == [f"fake: error: {line}" for line in wanted], done.stderr)
    (folder / "shut").chmod(0o555)
    done = subprocess.run([OUT / "fake", paths[0], f"--output={folder / 'shut' / 'y.npy'}"], capture_output=True,
                          text=True, preexec_fn=as_a_user, env=dict(os.environ, **ENDING_EARLY))
    check(done.returncode == 1 and re.fullmatch("fake: error: cannot write .*y.npy: Permission denied\n", done.stderr),
          f"{done}")


# ---- what is broken ----

def test_picture_broken():
    folder = Folder("picture_broken")
    pixels, paths = write_pictures(folder, 9)
    (folder / "text.jpg").write_bytes(b"this is a text")
    (folder / "short.ppm").write_bytes(paths[0].read_bytes()[:-7])
    (folder / "nothing.png").write_bytes(b"")
    broken = [folder / name for name in ("text.jpg", "short.ppm", "nothing.png", "absent.jpg")]
    broken.append(Path("/proc/self/mem"))
    mixed = [broken[0], *paths[:3], broken[1], broken[2], *paths[3:8], broken[3], broken[4], paths[8]]
    best = dict(zip(paths, best_of(pixels)))
    for variant in ("fake", "batch4"):
        for threads in (1, 2, 4, 30):
            result = program(variant, *mixed, "--quiet", f"--threads={threads}", code=1)
            check(result.out.splitlines() == [f"{path}\t{best[path]}" for path in mixed if path in best], result.out)
            lines = errors_of(result, variant)
            wanted = [str(path) for path in mixed if path in broken]
            check([line.split(": ")[0] for line in lines] == wanted, result.err)
            check(lines[3].endswith(ABSENT) and lines[4].endswith("Input/output error"), result.err)
    values = objects_of(program("batch4", *mixed, "--json", code=1))
    check([value["picture"] for value in values] == [str(path) for path in mixed], "order")
    for value, path in zip(values, mixed):
        check(list(value) == ["picture", "answer" if path in best else "error"], f"{value}")
    result = program("batch4", *broken[:4], code=1)
    check(len(errors_of(result, "batch4")) == 4 and not result.out, result.out)


def test_picture_nan():
    folder = Folder("picture_nan")
    pixels, paths = write_pictures(folder, 4)
    pixels[::2, 0, 0], pixels[1::2, 0, 0] = 255, 0  # class 3 is NaN where pixel 0 is dark
    for path, gray in zip(paths, pixels):
        path.write_bytes(ppm_bytes(gray))
    result = program("nan", *paths, "--quiet", code=1)
    wanted = [f"{paths[i]}: the network's answer is not finite" for i in (1, 3)]
    check(errors_of(result, "nan") == wanted, result.err)
    check([line.split("\t")[1] == "none" for line in result.out.splitlines()] == [False, True] * 2, result.out)
    check(" 1    nan %  Dress\n" in program("nan", paths[1], code=1).out, "the value itself is not shown")
    value = objects_of(program("nan", paths[1], "--json", code=1))[0]
    check(value["answer"]["logits"][0]["value"] == "nan" and "not finite" in value["error"], f"{value}")
    check(not program("nan", *paths, f"--output={folder / 'y.npy'}").err, "--output passes NaN through")
    check(np.isnan(np.load(folder / "y.npy")[1, 3]), "NaN")


def test_picture_networks():
    path = Folder("picture_networks") / "a.ppm"
    path.write_bytes(ppm_bytes(some_pixels(1)[0]))
    refuse(["one input", "this has 2", "--tensor=NAME:FILE"], "two", path)
    refuse(["does not say how a picture becomes the input 'pixels' [1,28,28]", "--tensor"], "raw", path)
    refuse("lacks quantum instructions", "lacks", path)


# ---- arrays of answers ----

def test_picture_output():
    folder = Folder("picture_output")
    pixels, paths = write_pictures(folder, 11)
    for variant in ("fake", "batch4"):
        for threads in (1, 2, 20):
            result = program(variant, *paths, f"--output={folder / 'y.npy'}", f"--threads={threads}")
            check(not result.out and not result.err, f"{result.out}{result.err}")
            same(np.load(folder / "y.npy"), answers_of(pixels))
    out = program("fake", *paths, "--output=-", binary=True).out
    check(out == (folder / "y.npy").read_bytes(), "standard output")
    broken = [folder / "absent.jpg", *paths[:6], folder / "absent.png", *paths[6:]]
    result = program("batch4", *broken, f"--output={folder / 'y.npy'}", "--quiet", code=1)
    check(len(errors_of(result, "batch4")) == 2, result.err)
    rows = np.load(folder / "y.npy")
    check(np.isnan(rows[[0, 7]]).all(), "a row of a broken picture is not NaN")
    same(np.delete(rows, [0, 7], axis=0), answers_of(pixels))


def tensors_of(path):
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + length]), raw[8 + length:]
    check(max(entry["data_offsets"][1] for entry in header.values()) == len(data), "surplus data")
    return {name: np.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
            for name, entry in header.items()}


def test_picture_safetensors():
    folder = Folder("picture_safetensors")
    pixels, paths = write_pictures(folder, 7)
    paths.insert(3, folder / "absent.jpg")
    wanted = np.insert(answers_of(pixels), 3, np.nan, axis=0)
    for threads in (1, 20):
        program("more", *paths, f"--output={folder / 'y.safetensors'}", f"--threads={threads}", code=1)
        got = tensors_of(folder / "y.safetensors")
        check(list(got) == ["logits", "square"] and got["square"].shape == (8, 2, 2), f"{got}")
        check(np.array_equal(got["logits"], wanted, equal_nan=True), "logits")
        check(np.array_equal(got["square"].reshape(8, 4), wanted[:, :4] + 1, equal_nan=True), "the second output")
    program("fake", *paths, f"--output={folder / 'y.safetensors'}", code=1)
    check(np.array_equal(tensors_of(folder / "y.safetensors")["logits"], wanted, equal_nan=True), "one output")
    os.mkfifo(folder / "pipe.safetensors")
    reader = threading.Thread(target=(folder / "pipe.safetensors").read_bytes)
    reader.start()
    refuse(["pipe.safetensors", "2 outputs", "regular file"], "more", paths[0],
           f"--output={folder / 'pipe.safetensors'}")
    reader.join()


def test_picture_output_refused():
    folder = Folder("picture_output_refused")
    _, paths = write_pictures(folder, 40)
    (folder / "old.npy").write_bytes(b"old")
    (folder / "full.npy").symlink_to("/dev/full")
    names = folder.names()
    refuse(["cannot write", ABSENT], "fake", *paths, f"--output={folder / 'none' / 'y.npy'}")
    (OUT / "files" / "directory.npy").mkdir(exist_ok=True)
    refuse(["cannot write", "directory"], "fake", *paths, f"--output={OUT / 'files' / 'directory.npy'}")
    refuse(["full.npy", "No space"], "fake", *paths, f"--output={folder / 'full.npy'}")
    for name in ("old.npy", "y.safetensors"):
        done = subprocess.run([OUT / "fake", *paths, f"--output={folder / name}"], capture_output=True, text=True,
                              preexec_fn=limit_files, env=dict(os.environ, **ENDING_EARLY))
        check(done.returncode == 1 and re.search("fake: error: cannot write .*: File too large\n$", done.stderr),
              done.stderr) # libomp, too, complains
    check(folder.names() == names and (folder / "old.npy").read_bytes() == b"old", f"left behind: {folder.names()}")


def test_picture_stdout():
    """Closed, full, and a reader that goes away."""
    folder = Folder("picture_stdout")
    _, paths = write_pictures(folder, 30)
    for options in ([], ["--json"], ["--quiet"], ["--output=-"]):
        for threads in ("--threads=2", "--threads=40"):
            command = [str(OUT / "fake"), *map(str, paths), threads, *options]
            for shell, why in (('exec "$0" "$@" > /dev/full', errno.ENOSPC), ('exec "$0" "$@" >&-', errno.EBADF)):
                done = subprocess.run(["/bin/sh", "-c", shell, *command], capture_output=True, text=True, timeout=60,
                                      env=dict(os.environ, **ENDING_EARLY))
                check(done.returncode == 1 and
                      done.stderr == f"fake: error: cannot write standard output: {os.strerror(why)}\n", f"{done}")
    end, start = os.pipe()
    os.close(end)
    done = subprocess.run([OUT / "fake", *paths], stdout=start, stderr=subprocess.PIPE, text=True, timeout=60,
                          restore_signals=False, env=dict(os.environ, **ENDING_EARLY))
    os.close(start)
    check(done.returncode == 1 and "cannot write standard output: Broken pipe" in done.stderr, f"{done}")


def test_picture_closed_streams():
    """An output must not become the standard stream that was closed."""
    folder = Folder("picture_closed_streams")
    pixels, paths = write_pictures(folder, 3)
    command = [str(OUT / "fake"), *map(str, paths), f"--output={folder / 'y.npy'}", str(folder / "absent.jpg")]
    done = subprocess.run(["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *command], timeout=60,
                          env=dict(os.environ, **ENDING_EARLY))
    check(done.returncode == 1, f"{done}")
    same(np.load(folder / "y.npy")[:3], answers_of(pixels))


# ---- many ----

def test_picture_order():
    """One that comes late holds up the answers of the others."""
    folder = Folder("picture_order")
    pixels, paths = write_pictures(folder, 60)
    os.mkfifo(folder / "late")
    order = [paths[0], folder / "late", *paths[1:]]
    names = best_of(pixels)
    wanted = [f"{path}\t{name}" for path, name in zip(order, [names[0], names[5], *names[1:]])]
    for variant, threads in (("fake", 4), ("fake", 1), ("batch4", 3), ("fake", 100)):
        running = subprocess.Popen([OUT / variant, *order, "--quiet", f"--threads={threads}"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        time.sleep(0.3)
        check(running.poll() is None, "ended before its picture came")
        (folder / "late").write_bytes(paths[5].read_bytes())
        out, err = running.communicate(timeout=60)
        check(running.returncode == 0 and out.splitlines() == wanted, f"{variant} {threads}: {out}\n{err}")


def test_picture_signal():
    folder = Folder("picture_signal")
    _, paths = write_pictures(folder, 3)
    os.mkfifo(folder / "never")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        running = subprocess.Popen([OUT / "fake", *paths, folder / "never", f"--output={folder / 'y.npy'}"])
        for _ in range(100):
            if any(name.endswith(".tmp") for name in folder.names()):
                break
            time.sleep(0.05)
        check(any(name.endswith(".tmp") for name in folder.names()), "no temporary name")
        running.send_signal(number)
        check(running.wait(20) == -number, f"did not end by {number}")
        check(folder.names() == ["000.ppm", "001.ppm", "002.ppm", "never"], f"left behind: {folder.names()}")


def on_a_terminal(*command, out_too=False):
    """What is written on stderr's terminal, 60 columns wide, and what on stdout if that is no terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    running = subprocess.Popen(command, stdout=follower if out_too else subprocess.PIPE, stderr=follower,
                               env=dict(os.environ, **ENDING_EARLY))
    os.close(follower)
    seen = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError: # Linux's way to say that the last writer has closed
            break
        if not piece:
            break
        seen += piece
    os.close(leader)
    out = running.stdout.read().decode() if running.stdout else ""
    running.wait(60)
    return seen.decode(), out


def test_picture_progress():
    folder = Folder("picture_progress")
    pixels, paths = write_pictures(folder, 30)
    wanted = [f"{path}\t{name}" for path, name in zip(paths, best_of(pixels))]
    files = [*paths, folder / "absent.jpg"]
    seen, out = on_a_terminal(OUT / "fake", *files)
    check(re.match(r"\r\[ {30}\]   0 %  0 of 31 *\r", seen), f"{seen!r}")
    check(all(len(part) < 60 for part in seen.split("\r") if part.startswith("[")), "the bar wraps")
    check(re.search(r"\r {59}\rfake: error: .*absent.jpg: No such file or directory\r\n", seen), f"{seen!r}")
    check(seen.endswith("\n") or re.search(r"\r {59}\r$", seen), f"the bar stays: {seen!r}")
    check(len(out.splitlines()) == 30 * 7 - 1, out)
    seen, out = on_a_terminal(OUT / "fake", *paths, "--quiet")
    check(not seen and out.splitlines() == wanted, f"--quiet: {seen!r}")
    seen, _ = on_a_terminal(OUT / "fake", *paths, out_too=True)
    check("[" not in seen and seen.count(":\r\n") == 30, f"mixed with the answers: {seen!r}")
    seen, _ = on_a_terminal(OUT / "fake", *paths, f"--output={folder / 'y.npy'}", out_too=True)
    check("0 of 30" in seen, f"--output: {seen!r}")
    seen, _ = on_a_terminal(OUT / "fake", some_set(folder, 20)[2])
    check("0 of 20" in seen and re.search(r"\r {59}\r$", seen), f"--dataset: {seen!r}")


USAGE = [
    ("only one of pictures, --tensor", ["a.jpg", "--bench"]),
    ("only one of pictures", ["--tensor=x.npy", "a.jpg"]),
    ("only one of pictures", ["--info", "a.jpg"]),
    ("only one of pictures", ["--dataset=a,b", "a.jpg"]),
    ("only one picture can come from standard input", ["-", "a.jpg", "-"]),
    ("an empty argument", ["a.jpg", ""]),
    ("--quiet prints a line", ["a.jpg", "--quiet", "--json"]),
    ("--quiet prints one class", ["a.jpg", "--quiet", "--top=3"]),
    ("--json prints the answers, --output writes them", ["a.jpg", "--output=y.npy", "--json"]),
    ("--top prints the answers, --output writes them", ["a.jpg", "--output=y.npy", "--top=2"]),
    (".npy or .safetensors", ["a.jpg", "--output=y.txt"]),
    ("--quiet goes with pictures", ["--bench", "--quiet"]),
    ("--exif goes with pictures", ["--tensor=x.npy", "--exif"]),
    ("--top goes with pictures, --tensor or --profile", ["--bench", "--top=2"]),
    ("--contact-sheet goes with --dataset", ["a.jpg", "--contact-sheet=s.png"]),
    ("--runs goes with --bench", ["a.jpg", "--runs=2"]),
    ("--threads takes a number from 1 to 1024, not '0'", ["a.jpg", "--threads=0"]),
    ("--threads takes a number from 1 to 1024, not '100000'", ["a.jpg", "--threads=100000"]),
    ("no option -d", ["-dog.jpg"]),
]


def test_picture_usage():
    for word, arguments in USAGE:
        refuse(word, "fake", *arguments, code=2)
    text = program("fake", "--help").out
    check("Usage: fake IMAGE... [OPTION]...\n" in text and "--exif" in text and max(map(len, text.splitlines())) < 120,
          text)


# ---- with a network that netc built ----

def build_demo():
    """The demo's network; its test pictures as PNG files, and as they are."""
    base = Path("/usr/share/datasets/fashion-mnist")
    if not tap.NETC.exists():
        raise Skip("build/netc is not built")
    if not (base / "t10k-images-idx3-ubyte.gz").exists():
        raise Skip("the package dataset-fashion-mnist is not installed")
    net = ROOT / "netdefs" / "fashion" / "resnext"
    tap.expect_done(tap.netc("build", f"{net}.net", f"--weights={net}.safetensors", "-o", OUT / "resnext",
                             binary=tap.NETC), "netc build")
    raw = gzip.decompress((base / "t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(raw[16:], np.uint8).reshape(-1, 28, 28)


def resnext(*arguments, code=0, **options):
    result = tap.run([OUT / "resnext", *arguments], **options)
    check(result.code == code, f"ended with {result.code}, not {code}\n{result.err[:1000]}")
    return result


def limit_memory():
    """Room for the stacks of some threads, not of a thousand. (Not for sanitised programs, which reserve terabytes.)"""
    resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 700 << 20))


def most_memory(*arguments):
    """Resident bytes of the program at its worst."""
    running = subprocess.Popen([OUT / "resnext", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = status
    check(status == 0, f"ended with {status}")
    return usage.ru_maxrss << 10


def test_picture_fashion():
    """Saved as PNG they are classified as --dataset classifies them: its accuracy against our answers is 100 %."""
    pixels = build_demo()[:1000]
    folder = Folder("picture_fashion")
    for i, gray in enumerate(pixels):
        PIL.Image.fromarray(gray).save(folder / f"{i:04d}.png")
    lines = resnext(folder.path, "--quiet").out.splitlines()
    answers = [LABELS.index(line.split("\t")[1]) for line in lines]
    check(len(answers) == 1000 and len(set(answers)) == 10, f"{len(answers)} answers")
    (folder / "images").write_bytes(idx_bytes(pixels))
    (folder / "labels").write_bytes(idx_bytes(np.array(answers, np.uint8)))
    result = json.loads(resnext(f"--dataset={folder / 'images'},{folder / 'labels'}", "--json").out)
    check(result["pictures"] == result["correct"] == 1000, f"{result}")
    arrays = set()
    for threads in (1, 2, 40):
        resnext(folder.path, f"--output={folder / 'y.npy'}", f"--threads={threads}")
        arrays.add((folder / "y.npy").read_bytes())
    resnext(folder / "0007.png", f"--output={folder / 'y.npy'}", "--threads=3")
    check(len(arrays) == 1 and arrays.pop()[128 + 7 * 40:][:40] == (folder / "y.npy").read_bytes()[128:], "other bits")

    few, many = ([folder / f"{i % 1000:04d}.png" for i in range(n)] for n in (1000, 9000))
    check(most_memory(*many, "--quiet") < most_memory(*few, "--quiet") + (4 << 20), "memory grows with the pictures")
    for given, words in (([], ""), (["--threads=1000"], "--threads=1000: this process may start only ")):
        done = subprocess.run([OUT / "resnext", folder / "0000.png", *given], capture_output=True, text=True,
                              preexec_fn=limit_memory)
        check(done.returncode == bool(words) and words in done.stderr and len(done.stderr.splitlines()) == bool(words),
              f"too many threads: {done}")
