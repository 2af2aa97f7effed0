"""netc tune, and what takes its files: same bits, same packed weights, other loops; damaged and foreign files; signals.

What is measured here is short and on a machine that does other things, too: nothing depends on who wins. With ALL=1 whole networks are
tuned, and the model must come within 5 % of what was found.
"""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import ALL, NETC, ROOT, SANITISED, TARGETS, Failure, Skip, clang_flags, expect_done, leave_out, main, netc, run

NET = """import "blocks/bottleneck.net"
net small(width = 32)
{
    input x [width, 14, 14]
    let unit = bottleneck(cardinality = 4, width = 16)
    output logits = x |> conv1: conv(64, 1) |> relu |> layer1: unit(32) |> layer2: unit(32, stride = 2)
        |> global_avg_pool |> flatten |> fc: linear(30)
}
"""
WITHIN = 5  # percent that the model may be behind; what is measured on a busy machine has its own share
NOISE = 3


class Folder:
    """A scratch folder with small.net, in which TMPDIR must be empty at the end."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="netc-tune-"))
        self.temporary = self.path / "tmp"
        self.temporary.mkdir()
        (self.path / "small.net").write_text(NET)
        return self

    def __exit__(self, kind, *_):
        left = list(self.temporary.iterdir())
        shutil.rmtree(self.path, ignore_errors=True)
        if left and not kind:
            raise Failure(f"left behind in TMPDIR: {left}")

    def environment(self):
        return {"TMPDIR": str(self.temporary)}

    def netc(self, *arguments, binary=NETC, code=0):
        got = run([binary, *arguments], cwd=self.path, env=self.environment())
        if got.code != code:
            raise Failure(f"netc {' '.join(map(str, arguments))} ended with {got.code}, not {code}\n{got.out[:500]}{got.err[:2000]}")
        return got

    def read(self, name):
        return (self.path / name).read_text()


def lines_of(text):
    """{layer: schedule} of a file."""
    return dict(re.findall(r"^(.+) => (\{[^}]*\})", text, re.M))


def scheduled(shown):
    return re.findall(r"= \w+ .*?(\{(?:direct|spread|local) [^}]*\})", shown)


def check_form(text, target):
    lines = text.splitlines()
    if lines[0] != "netc-tuned 1" or lines[-1] != "end" or f"target {target}" not in lines:
        raise Failure(f"not the form of tuned schedules\n{text[:600]}")
    for word in ("processor ", "network small", "netc ", "measured "):
        if not any(line.startswith(word) for line in lines[:7]):
            raise Failure(f"the head has no {word}\n{text[:600]}")
    layers = lines[lines.index("layers") + 1:-1]
    if not layers or layers != sorted(layers, key=str.encode):
        raise Failure(f"layers that are not sorted, or none\n{text}")
    return layers


def head(target, *layers, version="netc-tuned 1"):
    return "\n".join([version, f"target {target}", "layers", *layers, "end", ""])


def native():
    return re.search(r"^native +(\S+) on this", netc("build", "--target=help").out, re.M).group(1)


def others(folder, target):
    """A file in which every layer has a schedule that the model does not choose."""
    shown = folder.netc("show", "small.net", "--ir=after:choose_schedule", f"--target={target}").out
    folder.netc("tune", "small.net", "--time=1", "-o", "base.tuned", f"--target={target}")
    lines = []
    for layer, schedule in lines_of(folder.read("base.tuned")).items():
        algorithm, rows, cols, channels, rest = re.match(r"\{(\w+) (\d+)x(\d+)x(\d+)(.*)\}", schedule).groups()
        cols = max(1, int(cols) // 2)
        lines.append(f"{layer} => {{{algorithm} {rows}x{cols}x{channels}{rest}}}")
    (folder.path / "others.tuned").write_text(head(target, *lines))
    after = folder.netc("show", "small.net", "--ir=after:choose_schedule", f"--target={target}", "--tuned=others.tuned").out
    if scheduled(shown) == scheduled(after) or len(scheduled(shown)) != len(scheduled(after)):
        raise Failure(f"--tuned changed nothing\n{after[-3000:]}")
    return scheduled(after)


# ---- what comes of it ----

def tunes():
    with Folder() as folder:
        target = native()
        told = folder.netc("tune", "small.net", "--time=2", binary=SANITISED).out
        text = folder.read("small.tuned")
        check_form(text, target)
        if not re.search(r"the model alone comes within -?\d+\.\d %\nsmall.tuned is written: netc build --tuned=small.tuned\n$", told):
            raise Failure(f"no summary\n{told}")
        shown = folder.netc("show", "small.net", "--tuned=small.tuned", "--ir=after:choose_schedule", binary=SANITISED).out
        wanted = lines_of(text).values()
        if not set(scheduled(shown)) <= set(wanted) or not scheduled(shown):
            raise Failure(f"shown are {scheduled(shown)}, the file has {list(wanted)}")
        for layer in lines_of(text):
            if not re.match(r"(conv|linear) f32\[\d+(,\d+)*\] \S+.* -> f32\[", layer):
                raise Failure(f"no layer: {layer}")


def every_target():
    """Each one that this machine runs has candidates that compile, and give the model's bits (which tune itself checks)."""
    with Folder() as folder:
        for target in TARGETS:
            got = run([NETC, "tune", "small.net", "--time=1", f"--target={target}", "-o", "t.tuned"], cwd=folder.path,
                      env=folder.environment())
            if got.code == 2 and "does not run" in got.err:
                continue
            expect_done(got, f"tune for {target}")
            check_form(folder.read("t.tuned"), target)


def same_bits():
    with Folder() as folder:
        others(folder, native())
        x = np.random.default_rng(1).standard_normal((2, 32, 14, 14)).astype("<f4")
        np.save(folder.path / "x.npy", x)
        outputs = []
        for number, options in enumerate(([], ["--tuned=others.tuned"])):
            folder.netc("build", "small.net", "--weights=synthetic", f"--keep=c{number}", "-o", f"p{number}", *options)
            for threads in (1, 2):
                expect_done(run([folder.path / f"p{number}", "--tensor=x.npy", f"--threads={threads}", f"--output=y{number}{threads}.npy"],
                                cwd=folder.path), "the program")
                outputs.append((folder.path / f"y{number}{threads}.npy").read_bytes())
        if any(output != outputs[0] for output in outputs):
            raise Failure("other schedules give other bits")
        if "--tuned=others.tuned" not in folder.read("c1/small.c") or folder.read("c0/small.c") == folder.read("c1/small.c"):
            raise Failure("the C is the same, or does not say what it was made with")


def same_packing():
    with Folder() as folder:
        target = native()
        others(folder, target)
        for number, options in enumerate(([], ["--tuned=others.tuned"])):
            folder.netc("pack", "small.net", "--weights=synthetic", "-o", f"{number}.packed", *options)
        if (folder.path / "0.packed").read_bytes() != (folder.path / "1.packed").read_bytes():
            raise Failure("packed weights depend on schedules")
        folder.netc("build", "small.net", "--weights=synthetic", "--weights-file=own.packed", "-o", "p", "--tuned=others.tuned")
        expect_done(run([folder.path / "p", "--info", "--weights-file=0.packed"], cwd=folder.path), "the program on other packed weights")


def same_again():
    with Folder() as folder:
        others(folder, native())
        for number in range(2):
            folder.netc("build", "small.net", "--weights=synthetic", "--tuned=others.tuned", f"--emit-c={number}")
        for file in sorted((folder.path / "0").iterdir()):
            if file.read_bytes() != (folder.path / "1" / file.name).read_bytes():
                raise Failure(f"{file.name} differs from one run to the next")


def one_of_several():
    """In a program for several processors the file's target has its schedules, the others the model's."""
    if "x86-64-v3" not in TARGETS:
        raise Skip("no x86-64")
    with Folder() as folder:
        if run([NETC, "tune", "small.net", "--target=x86-64-v3", "--time=0"], cwd=folder.path).err.find("does not run") >= 0:
            raise Skip("no AVX2 here")
        others(folder, "x86-64-v3")
        folder.netc("build", "small.net", "--weights=synthetic", "--target=x86-64", "--emit-c=a")
        folder.netc("build", "small.net", "--weights=synthetic", "--target=x86-64", "--emit-c=b", "--tuned=others.tuned")
        calls = {name: [set(re.findall(r"conv\w+__\w+", folder.read(f"{kind}/small.{name}.c"))) for kind in "ab"] for name in ("avx512", "avx2", "scalar")}
        if calls["avx2"][0] == calls["avx2"][1] or calls["avx512"][0] != calls["avx512"][1] or calls["scalar"][0] != calls["scalar"][1]:
            raise Failure("schedules of one target went elsewhere, or nowhere")


# ---- files that are refused ----

def refused():
    with Folder() as folder:
        target = native()
        folder.netc("tune", "small.net", "--time=1", "-o", "good.tuned")
        good = folder.read("good.tuned")
        layer, schedule = next((layer, schedule) for layer, schedule in lines_of(good).items() if "direct 1x" in schedule)
        line = f"{layer} => {schedule}"
        broken = [  # the text, the check, line and column, words of the message
            ("", "tuned_format", "1:1", "netc-tuned 1"),
            ("hello\n", "tuned_format", "1:1", "'hello', expected is 'netc-tuned 1'"),
            (head(target, line, version="netc-tuned 2"), "tuned_format", "1:1", "version '2' of the format, this netc reads 1"),
            (b"\x7fELF\0\0\xff\xfe".decode("latin-1"), "tuned_format", "1:1", "expected"),
            (f"netc-tuned 1\nlayers\n{line}\nend\n", "tuned_target", "2:1", "`target NAME` is missing"),
            (head("x86-64-v5", line), "tuned_target", "2:1", "is 'x86-64-v4' meant?"),
            (head(target, line).replace("layers", "layer"), "tuned_line", "3:1", "expected is target, processor"),
            ("netc-tuned 1\n" + f"target {target}\n", "tuned_line", "3:1", "before its line `layers`"),
            (good.replace("\nend\n", "\n"), "tuned_line", None, "before its line `end`"),
            (good + "more\n", "tuned_line", None, "behind `end` stands nothing"),
            (head(target, line.replace(" => ", " -> ")), "tuned_line", "4:1", "LAYER => {SCHEDULE}"),
            (head(target, f"{layer} => direct 1x7x16"), "tuned_line", "4:1", "LAYER => {SCHEDULE}"),
            (head(target, f"{layer} => "), "tuned_line", "4:1", "LAYER => {SCHEDULE}"),
            (head(target, line.replace("{direct", "{winogard")), "tuned_line", f"4:{len(layer) + 6}", "'winogard' is no algorithm that is tuned"),
            (head(target, f"{layer} => {{pool 1x1x16 band 1}}"), "tuned_line", f"4:{len(layer) + 6}", "'pool' is no algorithm that is tuned"),
            (head(target, line.replace("band", "bandage")), "graph_text_syntax", None, "'}' is expected"),
            (head(target, re.sub(r"band \d+", "band 99999999999", line)), "graph_text_number", None, ""),
            (head(target, line[:-1]), "graph_text_syntax", None, "'}' is expected"),
            (head(target, line + " 0.1 ms"), "tuned_line", None, "behind a schedule stands nothing, or ; and a remark"),
            (head(target, line, line), "tuned_line", "5:1", "there twice"),
            (head(target, f"{layer} => {{direct 1x999x32 band 1}}"), "tuned_schedule", f"4:{len(layer) + 5}", "columns"),
            (head(target, re.sub(r"band \d+", "band 3", line)), "tuned_schedule", f"4:{len(layer) + 5}", "band 3 does not divide"),
        ]
        for text, check, place, words in broken:
            (folder.path / "bad.tuned").write_text(text, encoding="latin-1")
            for command in (["show", "--ir=after:choose_schedule"], ["build", "--weights=synthetic", "-o", "p"]):
                got = folder.netc(command[0], "small.net", "--tuned=bad.tuned", *command[1:], binary=SANITISED, code=1)
                first = got.err.splitlines()[0]
                if f"[{check}]" not in first or words not in got.err or (place and f"bad.tuned:{place}: error" not in first) or got.out:
                    raise Failure(f"expected {place}, [{check}] and '{words}' for\n{text[:400]}\n{got.err[:1000]}")
            if (folder.path / "p").exists():
                raise Failure("a program was built")
        got = folder.netc("show", "small.net", "--tuned=none.tuned", "--plan", code=1)
        if "none.tuned: error: " not in got.err or "[file_read]" not in got.err:
            raise Failure(got.err)


def other_target():
    with Folder() as folder:
        here = native()
        foreign = next(name for name in ("scalar", "x86-64-v3", "x86-64-v4") if name != here)
        (folder.path / "f.tuned").write_text(head(foreign, "conv f32[1] => {direct 1x1x16 band 1}"))
        got = folder.netc("build", "small.net", "--weights=synthetic", "--tuned=f.tuned", code=1)
        if f"measured for {foreign}, this is for {here}" not in got.err or "[tuned_target]" not in got.err:
            raise Failure(got.err)
        got = folder.netc("show", "small.net", "--plan", "--tuned=f.tuned", f"--target={foreign}")
        if "warning: none of the 1 layers of f.tuned is one of small" not in got.err or "[tuned_unused]" not in got.err:
            raise Failure(f"no warning of a file of which nothing fits\n{got.err}")
        (folder.path / "f.tuned").write_text("netc-tuned 1\n# a remark\n\ntarget " + here + "\r\nlayers\nend\n")
        got = folder.netc("show", "small.net", "--plan", "--tuned=f.tuned", binary=SANITISED)
        if got.err:
            raise Failure(f"a file without layers is fine\n{got.err}")


# ---- the command line ----

def usage():
    with Folder() as folder:
        foreign = "x86-64-v4" if os.uname().machine == "aarch64" else "aarch64"
        for arguments, words in ((["--time=0"], "--time takes a whole number from 1 to 86400, not '0'"),
                                 (["--time=1.5"], "not '1.5'"), (["--time="], "not ''"),
                                 ([f"--target={foreign}"], f"does not run {foreign}"),
                                 (["--target=x86-64"], "name one of them"),
                                 (["--weights=synthetic"], "unknown option '--weights=synthetic'"),
                                 (["--tuned=x.tuned"], "unknown option")):
            got = folder.netc("tune", "small.net", *arguments, code=2)
            if words not in got.err:
                raise Failure(f"{arguments}: {got.err}")
        (folder.path / "d").mkdir()
        for output, words in (("none/x.tuned", "No such file"), ("d", "directory"), ("/dev/full", "no ordinary file")):
            start = time.monotonic()
            got = folder.netc("tune", "small.net", "--time=30", "-o", output, code=1)
            if words not in got.err or "[build_write]" not in got.err or time.monotonic() - start > 10:
                raise Failure(f"-o {output}: {got.err}")
        if folder.netc("tune", "none.net", code=1).out:
            raise Failure("something was printed")
        got = run([NETC, "tune", "small.net", "--time=1"], cwd=folder.path, env=dict(folder.environment(), PATH="/nowhere"))
        if got.code != 1 or "[build_compiler]" not in got.err or (folder.path / "small.tuned").exists():
            raise Failure(f"without clang: {got.code}\n{got.err}")


def nothing_to_tune():
    with Folder() as folder:
        (folder.path / "pool.net").write_text("net pool()\n{\n    input x [16, 8, 8]\n    output y = x |> max_pool(2)\n}\n")
        folder.netc("tune", "pool.net", "--time=5")
        if "layers\nend\n" not in folder.read("pool.tuned"):
            raise Failure(folder.read("pool.tuned"))


def failing():
    """Compilers and memory that fail: one line, an exit code of its kind, an older file as it was."""
    with Folder() as folder:
        older = folder.path / "small.tuned"
        older.write_text("older\n")
        tries = [({"NETC_CC": "/bin/false"}, 1, "[build_compile]"), ({"NETC_CC": "/none"}, 1, "[build_compiler]"),
                 ({"NETC_CC": str(HERE.parent / "faults/clang.sh")}, 1, "cannot be loaded"), ({"TMPDIR": "/none"}, 1, "[build_write]")]
        tries += [({"NETC_FAIL_ALLOC": str(n)}, 70, "out of memory") for n in (1, 50, 500, 2000, 5000)]
        for environment, code, words in tries:
            got = run([NETC, "tune", "small.net", "--time=1"], cwd=folder.path, env=dict(folder.environment(), **environment))
            if got.code != code or words not in got.err or got.out or older.read_text() != "older\n":
                raise Failure(f"{environment}: {got.code}\n{got.out}{got.err}")
            if len(list(folder.path.iterdir())) != 3:
                raise Failure(f"{environment}: left behind {list(folder.path.iterdir())}")


# ---- signals ----

def interrupted(number, early):
    """After some batches what was found is written; before the first one an older file stays."""
    with Folder() as folder:
        (folder.path / "small.tuned").write_text("older\n")
        arguments = [NETC, "tune", "small.net", "--time=60"]
        child = subprocess.Popen(arguments, cwd=folder.path, env=dict(os.environ, **folder.environment()), stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        time.sleep(0.15 if early else 8)
        child.send_signal(number)
        try:
            out, err = child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            raise Failure("it went on after the signal")
        if child.returncode != -number:
            raise Failure(f"ended with {child.returncode}, not by the signal\n{out}{err}")
        text = folder.read("small.tuned")
        if early:
            if text != "older\n" or out or len(list(folder.path.iterdir())) != 3:
                raise Failure(f"{text}{out}{list(folder.path.iterdir())}")
            return
        check_form(text, native())
        if "small.tuned is written" not in out:
            raise Failure(f"does not say that there is a file\n{out}{err}")
        folder.netc("show", "small.net", "--plan", "--tuned=small.tuned")


def on_a_terminal():
    with Folder() as folder:
        master, slave = pty.openpty()
        child = subprocess.Popen([NETC, "tune", "small.net", "--time=2"], cwd=folder.path, stdout=subprocess.PIPE, stderr=slave,
                                 env=dict(os.environ, **folder.environment()))
        os.close(slave)
        seen = b""
        while child.poll() is None or select.select([master], [], [], 0.1)[0]:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    seen += os.read(master, 65536)
                except OSError:  # its other end is closed
                    break
        out = child.communicate()[0].decode()
        os.close(master)
        drawn = seen.decode().split("\r")
        if child.returncode or not any(re.match(r"\[#+ *\] \d+ of 2 s  \d+ schedules of \d+ kernels", line) for line in drawn):
            raise Failure(f"no bar: {drawn[-3:]}")
        if drawn[-1].strip() or drawn[-2].strip() or "within" not in out:
            raise Failure(f"the bar stays: {drawn[-3:]}\n{out}")


# ---- the model ----

def model_comes_near(network, seconds, target, *options):
    """What tuning finds is at most 5 % better than what the model alone gives."""
    with Folder() as folder:
        got = run([NETC, "tune", network, f"--time={seconds}", "-o", "t.tuned", f"--target={target}", *options], cwd=folder.path,
                  env=folder.environment(), timeout=4 * seconds + 100)
        if got.code == 2 and "does not run" in got.err:
            raise Skip(f"no {target} here")
        told = expect_done(got, "tune").out
        within = float(re.search(r"the model alone comes within (-?[\d.]+) %", told).group(1))
        if within > WITHIN + NOISE:
            raise Failure(f"tuning finds {within} % more than the model\n{told}")


cases = [("tune/a small network", tunes), ("tune/every target", every_target), ("tune/same bits", same_bits),
         ("tune/same packing", same_packing), ("tune/same again", same_again), ("tune/one of several targets", one_of_several),
         ("tune/refused files", refused), ("tune/other targets and networks", other_target), ("tune/usage", usage),
         ("tune/nothing to tune", nothing_to_tune), ("tune/what fails", failing), ("tune/on a terminal", on_a_terminal)]
for number in (signal.SIGINT, signal.SIGTERM):
    cases.append((f"tune/{number.name}", lambda number=number: interrupted(number, False)))
    cases.append((f"tune/{number.name} at once", lambda number=number: interrupted(number, True)))
cases.append(("tune/model near fashion_resnext", lambda: model_comes_near(ROOT / "netdefs/fashion/resnext.net", 5, "native")))
if ALL:
    for target in ("x86-64-v4", "x86-64-v3"):
        for name in ("resnet50", "resnext50_32x4d", "res2net50_26w_4s", "cotnet50"):
            cases.append((f"tune/model near {name} {target}", lambda name=name, target=target: model_comes_near(name, 120, target)))
leave_out("tuning of whole networks: that the model comes within 5 % of what is found")
main([case for case in cases if not sys.argv[1:] or any(word in case[0] for word in sys.argv[1:])])
