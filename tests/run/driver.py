"""compiler/build.c: from C to a program, and nothing left behind whatever happens."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

import tap
from harness import check, ENDING_EARLY, Folder, HERE, limit_files, logits_of, OUT, same, some_pictures, some_set
from tap import ROOT


def test_full_disk():
    folder = Folder("full_disk")
    np.save(folder / "x.npy", some_pictures(100, 1, 28, 28))
    labels, answers, option = some_set(folder, 10)
    (folder / "prog").write_bytes(b"old")
    names = folder.names()
    for command in ([OUT / "fake", f"--tensor={folder / 'x.npy'}", f"--output={folder / 'y.npy'}"],
                    [OUT / "fake", f"--tensor={folder / 'x.npy'}", f"--output={folder / 'y.safetensors'}"],
                    [OUT / "fake", option, f"--contact-sheet={folder / 's.png'}"],
                    [OUT / "build_fake", ROOT / "runtime", HERE, folder / "prog"],
                    [OUT / "build_fake", ROOT / "runtime", HERE, folder / "prog", f"--emit={folder.path}"]):
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit_files,
                              env=dict(os.environ, **ENDING_EARLY))
        check(done.returncode == 1 and re.search("cannot (write|be written).*: File too large", done.stderr),
              f"{command}: {done}")
        check(folder.names() == names, f"left behind: {folder.names()}")


def build(folder, output="prog", *more, env=None, runtime=ROOT / "runtime"):
    temporary = folder.path / "tmp"
    temporary.mkdir(exist_ok=True)
    result = tap.run([OUT / "build_fake", runtime, HERE, folder / output, *more], env={"TMPDIR": str(temporary),
                                                                                       **(env or {})})
    check(not list(temporary.iterdir()), f"left in the temporary directory: {list(temporary.iterdir())}")
    temporary.rmdir()
    return result


def fails(result, check_name, words):
    check(result.code == 1 and f"[{check_name}]" in result.err, f"ended with {result.code}: {result.err}")
    for word in words:
        check(word in result.err, f"'{word}' is not in: {result.err}")


def test_build():
    folder = Folder("build")
    (folder / "prog").write_bytes(b"old")
    tap.expect_done(build(folder), "build_fake")
    check(folder.names() == ["prog"] and os.access(folder / "prog", os.X_OK), f"{folder.names()}")
    first = (folder / "prog").read_bytes()
    tap.expect_done(build(folder), "build_fake")
    check(first == (folder / "prog").read_bytes(), "two builds differ")
    x = some_pictures(1, 28, 28)
    np.save(folder / "x.npy", x)
    tap.expect_done(tap.run([folder / "prog", f"--tensor={folder / 'x.npy'}", f"--output={folder / 'y.npy'}"]),
                    "the program")
    same(np.load(folder / "y.npy"), logits_of(x) * np.arange(1, 11, dtype=np.float32))
    needed = re.findall(r"^\s*(lib[a-z0-9]+)", tap.run(["ldd", folder / "prog"]).out, re.M)
    if all(list(Path("/usr/lib").glob(f"*/lib{name}.a")) for name in ("jansson", "png", "z")):
        check(set(needed) <= {"libm", "libomp", "libc"}, f"links {needed}")


def test_build_keep():
    folder = Folder("build_keep")
    keep = OUT / "files" / "build_kept"
    Folder("build_kept")
    result = build(folder, "prog", keep, env={"FAKE_KERNELS": "int f(void) { return x; }"})
    fails(result, "build_compile", ["fake.kernels.0.c: error:", "undeclared identifier 'x'"])
    check("--keep" not in result.err, "advises what was done")
    check(sorted(file.name for file in keep.iterdir()) == ["fake.c", "fake.kernels.0.c", "fake.weights"],
          "the C is not kept")
    check(folder.names() == [], f"left behind: {folder.names()}")
    fails(build(folder, "prog", env={"FAKE_KERNELS": "int f(void) { return x; }"}), "build_compile", ["--keep=DIR"])
    fails(build(folder, "prog", env={"FAKE_KERNELS": ""}), "build_compile", ["fake_scale"])
    check(folder.names() == [], f"left behind: {folder.names()}")


def test_build_emit():
    folder = Folder("build_emit")
    tap.expect_done(build(folder, "prog", f"--emit={folder.path}"), "build_fake --emit")
    check(folder.names() == ["fake.c", "fake.kernels.0.c", "fake.weights"], f"{folder.names()}")
    check(len((folder / "fake.weights").read_bytes()) == 40, "the weights")
    fails(build(folder, "prog", "--emit=/proc/none"), "build_write", ["/proc/none"])
    (folder / "fake.weights").unlink()
    (folder / "fake.weights").mkdir()
    fails(build(folder, "prog", f"--emit={folder.path}"), "build_write", ["fake.weights"])
    check(not [name for name in folder.names() if name.endswith(".tmp")], f"left behind: {folder.names()}")
    (folder / "fake.weights").rmdir()


def test_build_refused():
    folder = Folder("build_refused")
    (folder / "prog").write_bytes(b"old")
    bare = folder.path.parent / "bare_path"
    bare.mkdir(exist_ok=True)
    fails(build(folder, env={"PATH": str(bare), "NETC_CC": ""}), "build_compiler", ["clang was not found",
                                                                                    "apt-get install clang-19"])
    old = bare / "clang"
    old.write_text("#!/bin/sh\necho 14.0.6\n")
    old.chmod(0o755)
    fails(build(folder, env={"PATH": str(bare), "NETC_CC": ""}), "build_compiler", ["14.0.6", "newer is needed"])
    old.unlink()
    fails(build(folder, env={"NETC_CC": "/nowhere/clang"}), "build_compiler", ["/nowhere/clang"])
    fails(build(folder, env={"NETC_CC": "/bin/false"}), "build_compile", ["/bin/false", "exit code 1"])
    fails(build(folder, "none/prog"), "build_write", ["none/prog", "No such file"])
    fails(build(folder, "."), "build_write", ["directory"])
    fails(build(folder, runtime=bare), "build_runtime", ["bare_path"])
    result = tap.run([OUT / "build_fake", ROOT / "runtime", HERE, folder / "prog"], env={"TMPDIR": "/nowhere"})
    fails(result, "build_write", ["temporary directory"])
    check(folder.names() == ["prog"] and (folder / "prog").read_bytes() == b"old", f"the old program: {folder.names()}")


def test_build_cached():
    """ccache, if it is there, compiles all C; what it reports is the compiler's."""
    folder = Folder("build_cached")
    tools = folder.path.parent / "cached_path"
    tools.mkdir(exist_ok=True)
    log = tools / "log"
    log.unlink(missing_ok=True)
    (tools / "ccache").write_text(f'#!/bin/sh\necho "$@" >> "{log}"\nexec "$@"\n')
    (tools / "ccache").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    tap.expect_done(build(folder, "prog", env={"PATH": path}), "build_fake with ccache")
    compiled = log.read_text().splitlines()
    check(compiled and all(" -c " in line for line in compiled), f"ccache was called with {compiled}")
    check(any(" fake.c " in line for line in compiled), f"the generated C is not among {compiled}")
    fails(build(folder, env={"PATH": path, "NETC_CC": "/bin/false"}), "build_compile", ["/bin/false failed"])


def read_if_there(path):
    try:
        return path.read_bytes()
    except OSError: # the process has ended
        return b""


def test_build_signal():
    folder = Folder("build_signal")
    temporary = OUT / "files" / "build_signal_tmp"
    temporary.mkdir(exist_ok=True)
    slow = OUT / "files" / "slow_clang"
    slow.write_text("#!/bin/sh\ntouch started\nsleep 57.31\n")
    slow.chmod(0o755)
    for number in (signal.SIGINT, signal.SIGTERM):
        running = subprocess.Popen([OUT / "build_fake", ROOT / "runtime", HERE, folder / "prog"],
                                   env=dict(os.environ, TMPDIR=str(temporary), NETC_CC=str(slow)))
        for _ in range(200):
            if list(temporary.glob("*/started")):
                break
            time.sleep(0.05)
        running.send_signal(number)
        check(running.wait(20) == -number, f"did not end by {number}")
        check(not list(temporary.iterdir()) and folder.names() == [], "left behind")
    for _ in range(100): # a signal takes its time to arrive
        listing = b"".join(read_if_there(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
        if b"sleep\x0057.31" not in listing:
            break
        time.sleep(0.05)
    check(b"sleep\x0057.31" not in listing, "children live on")
    temporary.rmdir()


def test_build_memory():
    folder = Folder("build_memory")
    for n in (0, 5, 20, 60, 150):
        result = build(folder, env={"NETC_FAIL_ALLOC": str(n)})
        check(result.code == 70 and "out of memory" in result.err, f"{n}: {result.code} {result.err}")
        check(folder.names() == [], f"left behind: {folder.names()}")
