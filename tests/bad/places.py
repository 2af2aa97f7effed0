"""Where things lie and what they are called: odd paths, folders that may not be written to, streams that are closed."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tap import NETC, ROOT, Failure, Skip, as_a_user

NET = """import "inner.net"
net small(classes = 3, note = "none")
{
    input pixels [3, 9, 9] from picture |> resize(exact = [9, 9]) |> normalize([0, 0, 0], [1, 1, 1])
    output logits = pixels |> stem |> global_avg_pool |> flatten |> fc: linear(classes)
        labels "labels.txt"
}
"""
INNER = "block x |> stem() { return x |> conv1: conv(5, 3) |> relu }\n"
CLANG = ROOT / "tests/faults/clang.sh"  # stands for clang where the program does not matter
ODD = "it's \"odd\" $HOME `x` [a]*? \\n;&|<> # %s ü"


def scratch():
    return tempfile.TemporaryDirectory(prefix="netc-places-")


def expect_line(got, says):
    """Code 1, and one line."""
    if got.returncode != 1 or got.stderr.count("\n") != 1 or not re.search(says, got.stderr):
        raise Failure(f"ended with {got.returncode}\n{got.stderr[:1000]}")


def expect_fine(got, what):
    if got.returncode or got.stderr:
        raise Failure(f"{what} ended with {got.returncode}\n{got.stderr[:2000]}")


def odd_paths():
    """Everything lies in a folder of that name, netc itself, its runtime and its clang with it."""
    with scratch() as temporary:
        odd = Path(temporary) / ODD
        for name in ("bin", "share/netc", "temporary", "include", "path", "photos"):
            (odd / name).mkdir(parents=True)
        shutil.copy(NETC, odd / "bin/netc")
        shutil.copytree(ROOT / "runtime", odd / "share/netc/runtime")
        os.symlink(shutil.which("clang-19"), odd / "path/clang-19")
        (odd / "a 'net'.net").write_text(NET)
        (odd / "include/inner.net").write_text(INNER)
        (odd / "labels.txt").write_text('a "b"\n*/ int x; /*\nc??/\n')
        np.save(odd / "x y.npy", np.ones((1, 3, 9, 9), "<f4"))
        (odd / "photos/p 'q'.ppm").write_bytes(b"P6 3 3 255\n" + bytes(range(27)))
        env = dict(os.environ, TMPDIR=str(odd / "temporary"), PATH=f"{odd}/path:{os.environ['PATH']}")
        netc = [odd / "bin/netc", "build", odd / "a 'net'.net", "-I", odd / "include", "--weights=synthetic", "-D", 'note="*/ \\" ??/"']
        told = {"capture_output": True, "text": True, "env": env, "timeout": 120}
        done = subprocess.run([*netc, "-o", odd / "the program", "--parts=1", f"--keep={odd}/kept c"], **told)
        expect_fine(done, "netc build")
        for words in (["--tensor=x y.npy", "--output=an answer.npy"], [odd / "photos", "--quiet"], ["--tensor=x y.npy", "--top=3"],
                      ["--tensor=x y.npy", "--dump=conv1", f"--output={odd}/d d.npy"]):
            done = subprocess.run([odd / "the program", *words], cwd=odd, **told)
            expect_fine(done, f"the program with {words}")
        for name in ("the program", "an answer.npy", "d d.npy", "kept c/small.c"):
            if not (odd / name).exists():
                raise Failure(f"{name} is not there")
        for kind in ("static", "shared", "source"):
            done = subprocess.run([*netc, f"--kind={kind}", "-o", odd / f"as {kind}"], **dict(told, env=dict(env, NETC_CC=str(CLANG))))
            expect_fine(done, f"netc build --kind={kind}")
        done = subprocess.run([odd / "bin/netc", "pack", *netc[2:], "-o", odd / "w w.packed"], **told)
        expect_fine(done, "netc pack")
        if os.listdir(odd / "temporary"):
            raise Failure(f"left in TMPDIR: {os.listdir(odd / 'temporary')}")


def odd_names_in_messages():
    """A line stays a line, and a terminal is told nothing."""
    with scratch() as folder:
        name = "a\nb\x1b[31m.net"
        got = subprocess.run([NETC, "check", name], cwd=folder, capture_output=True, text=True)
        expect_line(got, r"^a\?b\?\[31m\.net: error: No such file")


def read_only():
    with scratch() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        (folder / "small.net").write_text(NET)
        (folder / "inner.net").write_text(INNER)
        (folder / "labels.txt").write_text("a\nb\nc\n")
        shut = folder / "shut"
        shut.mkdir()
        (shut / "old").write_text("old")
        shut.chmod(0o555)
        (folder / "open").mkdir(mode=0o777)

        def attempt(*words, **more):
            env = {**os.environ, "NETC_CC": str(CLANG), "TMPDIR": str(folder / "open"), **more}
            return subprocess.run([NETC, *words], cwd=folder, capture_output=True, text=True, preexec_fn=as_a_user, env=env)

        build = ("build", "small.net", "--weights=synthetic")
        if attempt(*build, "-o", "shut/small").returncode == 0:
            raise Skip("permissions do not count here")
        for words in (["-o", "shut/small"], ["-o", "shut/old"], ["-o", "open/small", "--keep=shut/c"], ["--emit-c=shut/c"],
                      ["--emit-c=shut"], ["--kind=static", "-o", "shut"], ["--kind=shared", "-o", "shut/l"], ["--kind=source", "-o", "shut/s"],
                      ["-o", "open/small", "--weights-file=shut/w.packed"]):
            expect_line(attempt(*build, *words), "^shut.*: error: .*Permission denied")
            if os.listdir(shut) != ["old"] or (shut / "old").read_text() != "old" or os.listdir(folder / "open"):
                raise Failure(f"{words}: left {os.listdir(shut)}, {os.listdir(folder / 'open')}")
        expect_line(attempt("pack", *build[1:], "-o", "shut/w.packed"), "^shut/w.packed: error: .*Permission denied")
        expect_line(attempt("run", *build[1:], "--input=synthetic", "--output=shut/y.npy"), "^shut/y.npy: error: .*Permission denied")
        expect_line(attempt(*build, "-o", "open/small", TMPDIR=str(shut)), "temporary directory.*Permission denied")


def closed_streams():
    with scratch() as temporary:
        folder = Path(temporary)
        (folder / "small.net").write_text(NET)
        (folder / "inner.net").write_text(INNER)
        (folder / "labels.txt").write_text("a\nb\nc\n")

        def attempt(streams, *words):
            return subprocess.run(["/bin/sh", "-c", f'exec "$0" "$@" {streams}', NETC, *words], cwd=folder, capture_output=True, text=True,
                                  env=dict(os.environ, NETC_CC=str(CLANG)))

        for words in (["show", "small.net"], ["show", "small.net", "--json"], ["--help"], ["build", "--help"], ["--version"], ["list"],
                      ["build", "--target=help"]):
            expect_line(attempt(">&-", *words), "netc: error: standard output cannot be written")
        expect_fine(attempt(">&-", "check", "small.net"), "netc check >&-")
        for streams in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            expect_fine(attempt(streams, "build", "small.net", "--weights=synthetic", "-o", "small"), f"netc build {streams}")
            (folder / "small").unlink()
        got = attempt("2>&-", "check", "nowhere.net")
        if got.returncode != 1 or got.stdout or got.stderr:
            raise Failure(f"ended with {got.returncode}: {got.stdout}{got.stderr}")
        if sorted(os.listdir(folder)) != ["inner.net", "labels.txt", "small.net"]:
            raise Failure(f"left behind: {os.listdir(folder)}")


cases = [("bad/places: odd paths", odd_paths), ("bad/places: odd names in messages", odd_names_in_messages),
         ("bad/places: a folder that may only be read", read_only), ("bad/places: closed streams", closed_streams)]
