"""Bad input: a diagnostic, a non-zero exit, within a second, and nothing half-written left behind.

Broken .net texts have their verdicts in tests/lang; here is what no file of a repository can show: sizes, files that cannot be
read or written, memory that ends, a compiler that fails.
"""

import json
import os
import re
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import places
from tap import NETC, ROOT, SANITISED, TARGETS, Failure, expect_done, main, run

SMALL = """import "blocks/common.net"
net small(classes = 3)
{
    input pixels [3, 9, 9]
    output logits = pixels |> conv1: conv(5, 3) |> bn1: batch_norm |> relu |> global_avg_pool |> flatten |> fc: linear(classes)
}
"""
PARAMETERS = {"conv1.weight": [5, 3, 3, 3], "bn1.weight": [5], "bn1.bias": [5], "bn1.running_mean": [5], "bn1.running_var": [5],
              "fc.weight": [3, 5], "fc.bias": [3]}


class Folder:
    """A scratch folder with small.net; checks that nothing new stays but what a test names."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="netc-bad-"))
        self.write("small.net", SMALL)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name, content):
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def refused(self, *arguments, check=None, code=1, says=None, seconds=1.0, env=None, stdin=b""):
        before = sorted(os.listdir(self.path))
        temporary = self.path / "tmp"
        temporary.mkdir(exist_ok=True)
        start = time.monotonic()
        got = run([NETC, *arguments], cwd=self.path, timeout=60, stdin=stdin, env=dict(env or {}, TMPDIR=str(temporary)))
        took = time.monotonic() - start
        if got.code != code:
            raise Failure(f"netc {' '.join(map(str, arguments))} ended with {got.code}, not {code}\n{got.out}{got.err}"[:2000])
        if got.out:
            raise Failure(f"it printed to stdout: {got.out[:200]}")
        if not got.err.strip():
            raise Failure("it said nothing")
        if len(got.err) > 100000:
            raise Failure(f"it said {len(got.err)} bytes")
        if check and f"[{check}]" not in got.err:
            raise Failure(f"not the check {check}\n{got.err[:2000]}")
        if says and not re.search(says, got.err):
            raise Failure(f"it does not say {says!r}\n{got.err[:2000]}")
        if took > seconds * 2:  # the promise is a second; two of these run at a time beside whatever else this machine does
            raise Failure(f"it took {took:.2f} s")
        left = sorted(set(os.listdir(self.path)) - set(before) - {"tmp"}) + sorted(os.listdir(temporary))
        if left:
            raise Failure(f"left behind: {', '.join(left)}")
        return got


def safetensors(tensors, header=None, body=None):
    """tensors: {name: shape}, F32 zeros; header and body replace what would be written."""
    entries, offset = {}, 0
    for name, shape in tensors.items():
        size = 4
        for n in shape:
            size *= n
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(entries if header is None else header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(text)) + text + (bytes(offset) if body is None else body)


# ---- texts ----

def text_case(text, check=None, says=None, **options):
    def case():
        with Folder() as folder:
            folder.write("x.net", text)
            folder.refused("check", "x.net", check=check, says=says, **options)
    return case


def net(body, head=""):
    return head + "net x()\n{\n    input pixels [3, 8, 8]\n" + body + "\n}\n"


def huge_file():
    with Folder() as folder:
        with open(folder.path / "x.net", "wb") as file:
            file.truncate(100 << 20)
        folder.refused("check", "x.net", check="file_size")


def unreadable():
    with Folder() as folder:
        folder.refused("check", "missing.net", says="missing.net")
        folder.refused("check", ".", says="directory")
        folder.refused("check", "small.net:nothing", says="small")
        if os.geteuid() != 0:
            folder.write("locked.net", SMALL).chmod(0)
            folder.refused("check", "locked.net", says="locked.net")


def circular():
    with Folder() as folder:
        folder.write("a.net", 'import "b.net"\n' + SMALL.split("\n", 1)[1])
        folder.write("b.net", 'import "a.net"\n')
        folder.refused("check", "a.net", check="import_circular", says="a.net")
        folder.write("c.net", 'import "nowhere.net"\n' + SMALL.split("\n", 1)[1])
        folder.refused("check", "c.net", check="import_missing", says="nowhere.net")
        folder.write("d.net", 'import "d.net"\n' + SMALL.split("\n", 1)[1])
        folder.refused("check", "d.net", check="import_circular", says="d.net")


def pieces_of_a_network():
    """Every prefix of a real file: a diagnostic or a whole network, never a crash; under the sanitizers."""
    text = (ROOT / "netdefs/blocks/bottleneck.net").read_bytes()
    with Folder() as folder:
        for n in range(0, len(text), max(1, len(text) // 40)):
            folder.write("x.net", text[:n])
            got = run([SANITISED, "check", "x.net"], cwd=folder.path)
            if got.code not in (0, 1):
                raise Failure(f"{n} bytes: ended with {got.code}\n{got.err[:1000]}")


TEXTS = {
    "a syntax error": text_case(net("    output y = pixels |> |> relu"), "syntax", r"x\.net:4:"),
    "an unknown name": text_case(net("    output y = pixels |> rleu"), "name_unknown", "relu"),
    "a wrong argument": text_case(net("    output y = pixels |> c: conv(4, 3, strid = 2)"), "argument_unknown", "stride"),
    "a shape that does not fit": text_case(net("    output y = pixels |> c: conv(4, 3, groups = 2)"), "conv_groups_divide_input"),
    "several errors at once": text_case(net("    let a = pixels |> rleu\n    let b = pixels |> cnov(3)\n    output y = pixels"),
                                        says=r"(?s)x\.net:4:.*x\.net:5:"),
    "recursion without end": text_case(net("    output y = pixels |> f", "block x |> f() { return x |> f }\n"), "recursion_limit"),
    "mutual recursion": text_case(net("    output y = pixels |> f", "block x |> f() { return x |> g |> g }\nblock x |> g() { return x |> f |> f }\n"), "recursion_limit"),
    "a function without end": text_case(net("    output y = pixels |> c: conv(f(1), 1)", "function f(n) { return f(n + 1) }\n"), "recursion_limit"),
    "a loop of a billion": text_case(net("    var n = 0\n    for i in 0 ..< 1000000000 { set n = n + i }\n    output y = pixels"), "step_limit"),
    "a list of a billion": text_case(net("    let l = [i for i in 0 ..< 1000000000]\n    output y = pixels"), "list_limit"),
    "lists that double": text_case(net("    var l = [1]\n    for i in 0 ..< 60 { set l = l + l }\n    output y = pixels"), "list_limit"),
    "a loop of a billion layers": text_case(net("    var y = pixels\n    for i in 0 ..< 1000000000 { set y = relu(y) }\n    output z = y"), "node_limit"),
    "a channel too many": text_case(net("    output y = pixels |> c: conv(9000000000000000000, 3)"), "attribute_range"),
    "an overflow": text_case(net("    output y = pixels |> c: conv(9223372036854775807 + 1, 3)"), "int_range"),
    "a division by zero": text_case(net("    output y = pixels |> c: conv(4 / 0, 3)"), "division_by_zero"),
    "no UTF-8": text_case(b"net x() { input p [3, 8, 8] output y = p # \xff\xfe\n}", "encoding", r"x\.net:1:"),
    "a NUL byte": text_case(b"net x() {\0 }", "encoding"),
    "nothing at all": text_case(b""),
    "no network": text_case('block x |> f() { return x }\n'),
    "ten thousand brackets": text_case("net x() { let a = " + "(" * 10000 + "1" + ")" * 10000 + " }"),
    "a sum of a hundred thousand": text_case("net x() { input p [3, 8, 8] let a = " + "1+" * 100000 + "1 }"),
    "a million minus signs": text_case("net x() { input p [3, 8, 8] let a = " + "-" * 1000000 + "1 }"),
    "one line of a megabyte": text_case("net x() { let " + "a" * 1000000 + " = 1 oops }"),
    "fifty thousand errors": text_case("net x() {\n" + "let y = = 3\n" * 50000 + "}\n", says="and [0-9]+ more errors"),
    "a file of 100 MB": huge_file,
    "what cannot be read": unreadable,
    "circular and missing imports": circular,
    "pieces of a network": pieces_of_a_network,
}


# ---- weights ----

def weights_case(content, check=None, says=None):
    def case():
        with Folder() as folder:
            folder.write("w.safetensors", content)
            folder.refused("build", "small.net", "--weights=w.safetensors", "-o", "small", check=check, says=says)
    return case


def entries(**changes):
    whole = json.loads(safetensors(PARAMETERS)[8:].split(b"\0")[0].decode())
    whole.update({name.replace("__", "."): entry for name, entry in changes.items()})
    return whole


def entry(dtype="F32", shape=(5,), offsets=(0, 20)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


GOOD = safetensors(PARAMETERS)
CONV = 4 * 135
BODY = bytes(4 * (135 + 20 + 15 + 3))
WEIGHTS = {
    "empty": weights_case(b""),
    "three bytes": weights_case(b"abc"),
    "cut in the header": weights_case(GOOD[:60]),
    "cut in the data": weights_case(GOOD[:-1]),
    "a header of 4 GB": weights_case(struct.pack("<Q", 1 << 32) + b"{}", "weights_header"),
    "a header of 2^64 - 1": weights_case(b"\xff" * 8 + b"{}", "weights_header"),
    "saved inside a wrapper": weights_case(safetensors({f"model.{name}": t for name, t in PARAMETERS.items()}), "weights_missing",
                                           "all names begin with `model.`"),
    "no JSON": weights_case(safetensors({}, b"hello"), "weights_json"),
    "JSON of another kind": weights_case(safetensors({}, b"[1, 2]")),
    "deep JSON": weights_case(safetensors({}, b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}")),
    "duplicate keys": weights_case(safetensors({}, b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234")),
    "overlapping tensors": weights_case(safetensors({}, entries(bn1__weight=entry(offsets=(0, 20))), BODY), "weights_overlap"),
    "an offset outside": weights_case(safetensors({}, entries(bn1__weight=entry(offsets=(1 << 40, (1 << 40) + 20))), BODY), "weights_range"),
    "offsets that run backwards": weights_case(safetensors({}, entries(bn1__weight=entry(offsets=(CONV + 20, CONV))), BODY)),
    "a shape beyond all memory": weights_case(safetensors({}, entries(bn1__weight=entry(shape=(1 << 62, 1 << 62), offsets=(CONV, CONV + 20))), BODY)),
    "a negative shape": weights_case(safetensors({}, entries(bn1__weight=entry(shape=(-5,), offsets=(CONV, CONV + 20))), BODY)),
    "an unknown dtype": weights_case(safetensors({}, entries(bn1__weight=entry(dtype="F33", offsets=(CONV, CONV + 20))), BODY), "weights_dtype"),
    "a dtype of integers": weights_case(safetensors({}, entries(bn1__weight=entry(dtype="I32", offsets=(CONV, CONV + 20))), BODY), "weights_dtype"),
    "a missing parameter": weights_case(safetensors({k: v for k, v in PARAMETERS.items() if k != "fc.bias"}), "weights_missing", r"fc\.bias"),
    "a surplus tensor": weights_case(safetensors(dict(PARAMETERS, extra=[3])), "weights_surplus", "extra"),
    "a renamed tensor": weights_case(safetensors({k.replace("bn1", "bn_1"): v for k, v in PARAMETERS.items()}), "weights_missing", r"bn_1\.weight"),
    "another shape": weights_case(safetensors(dict(PARAMETERS, **{"conv1.weight": [5, 3, 1, 1]})), "weights_shape", r"conv1\.weight"),
}


def counted_batches_are_ignored():
    with Folder() as folder:
        folder.write("w.safetensors", safetensors(dict(PARAMETERS, **{"bn1.num_batches_tracked": [1]})))
        expect_done(run([NETC, "build", "small.net", "--weights=w.safetensors", "-o", "small"], cwd=folder.path), "netc build")


# ---- the command line and the way out ----

def usage():
    with Folder() as folder:
        folder.refused(code=2)
        folder.refused("buidl", "small.net", code=2, says="build")
        folder.refused("build", code=2)
        folder.refused("build", "small.net", "--wieghts=synthetic", code=2, says="--weights")
        folder.refused("build", "small.net", "-o", "small", says="synthetic", code=2)
        folder.refused("build", "small.net", "--weights=synthetic", "-o", "small", "--emit-c=c", says="-o", code=2)
        folder.refused("build", "small.net", "--weights=synthetic", "--keep=k", "--emit-c=c", says="--keep", code=2)
        folder.refused("check", "small.net", "-D", "clases=4", check="define_unknown", says="classes")
        folder.refused("show", "small.net", "--ir=after:nothing", check="unknown_pass", says="fuse_epilogues")
        folder.refused("check", "small.net", "-D", "classes=", says="classes")
        folder.refused("build", "small.net", "--weights=synthetic", "--target=pdp11", says="pdp11.*target=help", code=2)
        folder.refused("build", "small.net", "--weights=nowhere.safetensors", "-o", "small", says="nowhere.safetensors")
        got = run([NETC, "--help"], cwd=folder.path)
        if got.code != 0 or got.err or "build" not in got.out:
            raise Failure("netc --help")
        for command in ("build", "check", "show"):
            got = run([NETC, command, "--help"], cwd=folder.path)
            if got.code != 0 or got.err or command not in got.out:
                raise Failure(f"netc {command} --help")


def outputs():
    with Folder() as folder:
        build = ("build", "small.net", "--weights=synthetic", "-o")
        folder.refused(*build, "nowhere/small", says="nowhere/small")
        (folder.path / "dir").mkdir()
        folder.refused(*build, "dir", says="dir")
        if Path("/dev/full").exists():
            got = run(["/bin/sh", "-c", f"{NETC} show small.net > /dev/full"], cwd=folder.path)
            if got.code == 0:
                raise Failure("netc show to a full disk ends with 0")


def disk_full():
    """Files are limited to a few blocks, as if the disk were full: wherever a build stops, nothing stays."""
    with Folder() as folder:
        for blocks, output in ((1, "-o small"), (8, "-o small"), (64, "-o small"), (1, "--emit-c=c"), (1, "-o small --keep=c")):
            command = f"ulimit -f {blocks}; exec {NETC} build small.net --weights=synthetic {output}"
            got = run(["/bin/bash", "-c", command], cwd=folder.path, env={"TMPDIR": str(folder.path)})
            if got.code != 1 or not re.search(r"\[build_(write|compile)\]", got.err):
                raise Failure(f"{blocks} blocks, {output}: ended with {got.code}\n{got.err[:1000]}")
            if os.listdir(folder.path) != ["small.net"]:
                raise Failure(f"{blocks} blocks, {output}: left {os.listdir(folder.path)}")


def the_interpreter():
    with Folder() as folder:
        given = ("--weights=synthetic", "--output=y.npy")
        folder.write("two.net", "net two() { input p [3, 8, 8] input q [4] output y = p output z = q |> c: linear(3) }")
        folder.refused("run", "two.net", "--input=synthetic", *given, check="one_input")
        folder.write("x.npy", "abc")
        folder.refused("run", "small.net", "--input=x.npy", *given, check="npy", says="NUMPY")
        folder.refused("run", "small.net", "--input=nowhere.npy", *given, says="nowhere.npy")
        folder.refused("run", "small.net", "--input=synthetic", "--weights=synthetic", "--output=nowhere/y.npy", says="nowhere/y.npy")
        if Path("/dev/full").exists():
            (folder.path / "full.npy").symlink_to("/dev/full")
            folder.refused("run", "small.net", "--input=synthetic", "--weights=synthetic", "--output=full.npy", says="cannot be written")
            if not (folder.path / "full.npy").is_symlink():
                raise Failure("netc run removed what is no ordinary file")


def clang_missing_or_failing():
    with Folder() as folder:
        build = ("build", "small.net", "--weights=synthetic", "-o", "small")
        folder.refused(*build, check="build_compiler", says="apt-get install", env={"PATH": "/nowhere"}, seconds=5)
        fake = folder.path / "fake"
        fake.mkdir()
        (fake / "clang-19").write_text("#!/bin/sh\necho 'fatal error: the disk is on fire' >&2\nexit 1\n")
        (fake / "clang-19").chmod(0o755)
        folder.refused(*build, check="build_compile", says="the disk is on fire", env={"PATH": f"{fake}:/usr/bin:/bin"}, seconds=5)


def memory_ends():
    """Every n-th allocation fails in turn: one line, 70, nothing left."""
    with Folder() as folder:
        n = 0
        while True:
            got = run([SANITISED, "check", "small.net"], cwd=folder.path, env={"NETC_FAIL_ALLOC": str(n)})
            if got.code == 0:
                break
            if got.code != 70 or not re.fullmatch(r"netc: out of memory \(\d+ bytes were asked for\)\n", got.err):
                raise Failure(f"allocation {n}: ended with {got.code}\n{got.err[:1000]}")
            n += 1 + n // 4
        if n < 20:
            raise Failure(f"only {n} allocations")


def memory_ends_in_a_build():
    with Folder() as folder:
        for n in (10, 1000, 5000, 20000):
            got = run([NETC, "build", "small.net", "--weights=synthetic", "-o", "small"], cwd=folder.path,
                      env={"NETC_FAIL_ALLOC": str(n), "TMPDIR": str(folder.path)})
            if got.code == 0:
                break
            if got.code != 70 or sorted(os.listdir(folder.path)) != ["small.net"]:
                raise Failure(f"allocation {n}: ended with {got.code}, left {os.listdir(folder.path)}\n{got.err[:1000]}")


def not_a_number():
    """NaN and infinities go through as in the frameworks: where they are read, and nowhere else."""
    x = np.random.default_rng(1).standard_normal((1, 20, 9, 9)).astype("<f4")
    x[0, 0, 4, 4], x[0, 6, 2, 2], x[0, 12, 3, 3] = np.nan, np.inf, -np.inf
    spots = np.zeros((20, 9, 9), bool)
    spots[0, 4, 4] = True
    wide, grouped, means = (np.zeros(shape, bool) for shape in ((20, 9, 9), (20, 9, 9), (20, 1, 1)))
    wide[0, 3:6, 3:6] = grouped[:5, 3:6, 3:6] = means[0] = True
    with Folder() as folder:
        folder.write("n.net", "net n()\n{\n input p [20, 9, 9]\n output kept = p |> relu\n output wide = p |> max_pool(3, stride = 1, pad = 1)\n"
                              " output grouped = p |> c: conv(20, 3, groups = 4) |> relu\n output means = p |> global_avg_pool\n}\n")
        np.save(folder.path / "x.npy", x)
        target = "x86-64" if "x86-64-v3" in TARGETS else "native"
        expect_done(run([NETC, "build", "n.net", "--weights=synthetic", f"--target={target}", "-o", "n"], cwd=folder.path), "netc build")
        for code in [name for name in TARGETS if target == "x86-64"] or [None]:
            got = run(["./n", "--tensor=x.npy", "--output=y.safetensors", *([f"--target={code}"] if code else [])], cwd=folder.path)
            if got.code == 1 and "lacks" in got.err:
                continue
            if got.code or got.err:
                raise Failure(f"{code}: ended with {got.code}\n{got.err}")
            raw = (folder.path / "y.safetensors").read_bytes()
            length = struct.unpack("<Q", raw[:8])[0]
            for name, wanted in (("kept", spots), ("wide", wide), ("grouped", grouped), ("means", means)):
                place = json.loads(raw[8:8 + length])[name]
                y = np.frombuffer(raw[8 + length:][slice(*place["data_offsets"])], "<f4").reshape(place["shape"])[0]
                if not np.array_equal(np.isnan(y), wanted.reshape(y.shape)):
                    raise Failure(f"{code}: {name} is NaN at {np.argwhere(np.isnan(y)).tolist()}")
                if name == "kept" and (y[6, 2, 2] != np.inf or y[12, 3, 3] != 0):
                    raise Failure(f"{code}: relu of infinities gives {y[6, 2, 2]} and {y[12, 3, 3]}")


def standard_input():
    with Folder() as folder:
        expect_done(run([NETC, "check", "-"], cwd=folder.path, stdin=SMALL.encode()), "netc check -")
        folder.refused("check", "-", stdin=b"net x( {", check="syntax")


cases = [(f"bad/text: {name}", case) for name, case in TEXTS.items()]
cases += [(f"bad/weights: {name}", case) for name, case in WEIGHTS.items()]
cases += [("bad/weights: num_batches_tracked is ignored", counted_batches_are_ignored), ("bad/usage", usage),
          ("bad/outputs", outputs), ("bad/the disk is full", disk_full), ("bad/the interpreter", the_interpreter),
          ("bad/clang missing or failing", clang_missing_or_failing),
          ("bad/memory ends", memory_ends), ("bad/memory ends in a build", memory_ends_in_a_build),
          *places.cases, ("bad/not a number", not_a_number), ("bad/standard input", standard_input)]
main(cases)
