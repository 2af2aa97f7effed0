"""Commands that are run undisturbed once, and then with something failing: what may come of that is the same everywhere.

Either all is as if nothing had failed, or: an exit code of its kind, one line that says what is wrong, nothing left behind, and
an older output as it was. Where an output is several files, each is the old one or the new one, whole.
"""

import gzip
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "checkpoints"))
import pickles
from tap import ALL, BUILD, JOBS, NETC, ROOT, Failure, expect_done, run

OUT = BUILD / "tests" / "faults"
CC = "clang-19"
SHIM = OUT / "shim.so"
CLANG = HERE / "clang.sh"
OLD = b"what stood here before\n"
LIBRARIES = re.search(r'"(-l:libjansson[^"]*)"', (ROOT / "compiler/build.c").read_text()).group(1).split()
PICTURES = sorted((ROOT / "tests/fuzz/seeds/picture").glob("rgb.*"))  # a JPEG, a PNG, a PPM

NET = """import "blocks/common.net"
net small(classes = 3)
{
    input pixels [3, 9, 9]
    output logits = pixels |> conv1: conv(5, 3) |> bn1: batch_norm |> relu |> global_avg_pool |> flatten |> fc: linear(classes)
}
"""
TUNED = """netc-tuned 1
target x86-64-v4
layers
conv f32[3,9,9] c3 halo 1 -> f32[5,9,9] c16 {k 3x3 pad 1} | relu => {direct 1x5x16 band 3}
linear f32[5] plain -> f32[3] plain => {direct 0x1x16 band 1}
end
"""
PARAMETERS = {"conv1.weight": [5, 3, 3, 3], "bn1.weight": [5], "bn1.bias": [5], "bn1.running_mean": [5], "bn1.running_var": [5],
              "fc.weight": [3, 5], "fc.bias": [3]}


# ---- what the commands read ----

def safetensors():
    entries, offset = {}, 0
    for name, shape in PARAMETERS.items():
        size = 4 * int(np.prod(shape))
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + np.arange(offset // 4, dtype="<f4").tobytes()


def state_dict():
    """Under other names, as they come from a wrapped model."""
    sizes = {name: int(np.prod(shape)) for name, shape in PARAMETERS.items()}
    return {f"module.{name.replace('fc.', 'head.')}": np.arange(sizes[name], dtype="<f4").reshape(shape) for name, shape in PARAMETERS.items()}


def npy(*shape):
    array = np.random.default_rng(1).integers(-8, 8, shape).astype("<f4")
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + array.tobytes()


def is_whole_npy(content):
    """Of however many rows: a folder that cannot be asked what it is counts as one picture, which cannot be read."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError):
        return False
    return 10 + struct.unpack_from("<H", content, 8)[0] + array.nbytes == len(content)


def idx(*shape):
    dice = np.random.default_rng(2)
    array = dice.integers(0, 10 if len(shape) == 1 else 256, shape).astype(np.uint8)
    return struct.pack(">BBBB", 0, 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


INPUTS = {"small.net": NET.encode(), "w.safetensors": safetensors(), "w.pth": pickles.torch_zip(state_dict(), method=zipfile.ZIP_DEFLATED),
          "old.pth": pickles.torch_legacy(state_dict()), "map": b"head.* -> fc.*\n", "p.npy": npy(1, 3, 9, 9), "x.npy": npy(9, 1, 28, 28),
          "b.npy": npy(9, 10), "images.gz": gzip.compress(idx(30, 28, 28)), "labels.gz": gzip.compress(idx(30)),
          "s.tuned": TUNED.encode(), **{f"photos/{path.name}": path.read_bytes() for path in PICTURES}}


# ---- what is run ----

def in_parallel(commands):
    with ThreadPoolExecutor(JOBS) as pool:
        for done in pool.map(lambda words: subprocess.run([str(word) for word in words], capture_output=True, text=True), commands):
            if done.returncode or done.stderr:
                print(f"not ok compile - {done.stderr}")
                sys.exit(1)


def compile_all():
    """The shim; the runtime around a network written by hand, and around one by netc with weights to be mapped. No sanitizers: they
    have an allocator of their own."""
    OUT.mkdir(parents=True, exist_ok=True)
    flags = [CC, "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fopenmp", "-I", ROOT / "runtime"]
    sources = sorted((ROOT / "runtime").glob("*.c"))
    objects = [OUT / f"{source.stem}.o" for source in sources]
    for name, content in INPUTS.items():
        (OUT / name).parent.mkdir(exist_ok=True)
        (OUT / name).write_bytes(content)
    weights = ["small.net", "--weights=w.safetensors", "--target=scalar"]
    for words in (["build", *weights, "--parts=1", "--emit-c=generated"], ["pack", *weights, "-o", "w.packed"]):
        expect_done(run([NETC, *words], cwd=OUT), "netc")
    INPUTS["w.packed"] = (OUT / "w.packed").read_bytes()
    in_parallel([flags + ["-shared", "-fPIC", HERE / "shim.c", "-o", SHIM]] +
                [flags + ["-c", source, "-o", to] for source, to in zip(sources, objects)])
    in_parallel([flags + [*define, ROOT / "tests/run/fake_model.c", *objects, "-o", OUT / name, *LIBRARIES]
                 for name, define in (("fake", ["-DFAKE_BATCH=4"]), ("two", ["-DFAKE_TWO"]))] +
                [["env", "-C", OUT / "generated", *flags, "-ffp-contract=off", "-I.", "small.program.c", *objects, "-o", OUT / "small",
                  *LIBRARIES]])


class Scene:
    """A command in a folder of its own, which holds `inputs` and, under the names of the outputs, something older."""

    def __init__(self, name, command, *outputs, memory=1, volatile=False, pictures=False, earlier=None, env=None, stdin=b""):
        self.name, self.command, self.outputs, self.inputs = name, [str(word) for word in command], outputs, INPUTS
        self.memory = memory  # the code when there is none left
        self.volatile = volatile  # it prints times
        self.pictures = pictures  # a picture that cannot be read is a line and code 1, and the others are done
        self.earlier = earlier  # a command that makes what is older: a whole folder, of which all is exchanged or nothing
        self.old = dict.fromkeys(outputs, OLD)
        self.stdin = stdin
        self.env = dict(os.environ, OMP_NUM_THREADS="2", NETC_CC=str(CLANG), **(env or {}))
        self.calm = None
        self.at(name)

    def at(self, place):
        """The same in other folders, for a case that runs beside others."""
        self.path, self.temporary = OUT / place, OUT / f"{place}.tmp"
        self.env["TMPDIR"] = str(self.temporary)
        return self

    def lay_out(self):
        for folder in (self.path, self.temporary):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for name, content in self.before().items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(content)

    def files(self):
        return {str(file.relative_to(self.path)): file.read_bytes() for file in sorted(self.path.rglob("*")) if not file.is_dir()}

    def run(self, before=(), env=None, timeout=60):
        environment = dict(self.env, **(env or {}))
        try:
            done = subprocess.run([*map(str, before), *self.command], cwd=self.path, env=environment, input=self.stdin,
                                  capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: took longer than {timeout} s")
        return done.returncode, done.stdout, done.stderr.decode(errors="replace"), self.files()

    def calm_down(self):
        """The undisturbed run, once."""
        self.lay_out()
        if self.earlier:
            expect_done(run(self.earlier, cwd=self.path), "the earlier build")
            self.old = {name: content for name, content in self.files().items() if name not in self.inputs}
            self.outputs = tuple(self.old)
        self.calm = self.run()
        code, _, said, files = self.calm
        if code != 0 or said:
            raise Failure(f"{self.name} undisturbed: ended with {code}\n{said[:2000]}")
        if any(files.get(name) == OLD for name in self.outputs):
            raise Failure(f"{self.name} undisturbed: an output is still the old one")
        self.lay_out()

    def disturbed(self, what, before=(), env=None, codes=(1,)):
        """Runs it with something failing and judges what came of it. Returns whether it ended well."""
        code, out, said, files = self.run(before, env)
        if self.earlier and code == 0 and said.count("\n") == 1 and "warning: what was in" in said:  # and is told where it is now
            files, said = {name: content for name, content in files.items() if not name.startswith("netc-")}, ""
        try:
            self.judge(code, out, said, files, codes)
        except Failure as failure:
            self.lay_out()
            raise Failure(f"{self.name}, {what}: {failure}\ncode {code}\n{said[:1500]}")
        if files != self.before() or any(self.path.glob("netc-*")):
            self.lay_out()
        return code == 0

    def before(self):
        return {**self.inputs, **self.old}

    def may_be(self, name, content, code):
        """An output that is whole and yet another one: with times in it, or without a picture that could not be read."""
        if name not in self.outputs:
            return False
        if self.volatile and name.endswith(".json"):
            try:
                return json.loads(content) is not None
            except ValueError:
                return False
        if self.volatile and name.endswith(".html"):
            return content.startswith(b"<!DOCTYPE html>") and content.endswith(b"</html>\n")
        return self.pictures and code == 1 and is_whole_npy(content)

    def judge(self, code, out, said, files, codes):
        if self.earlier and files not in (self.before(), self.calm[3]):
            raise Failure(f"a folder that is neither the old one nor the new one: {compare(files, [self.before(), self.calm[3]])}")
        left = sorted(set(files) - set(self.calm[3]) - set(self.before())) + sorted(str(path) for path in self.temporary.rglob("*"))
        if left:
            raise Failure(f"left behind {', '.join(left[:3])}{f' and {len(left) - 3} more' if len(left) > 3 else ''}")
        for name, content in files.items():
            if content not in (self.before().get(name), self.calm[3].get(name)) and not self.may_be(name, content, code):
                raise Failure(f"half of {name} is there" if name in self.outputs else f"{name} was changed")
        if len(files) < min(len(self.calm[3]), len(self.before())):
            raise Failure("a file is gone")
        if code == 0:
            if said or OLD in files.values() or (files != self.calm[3] or out != self.calm[1]) and not self.volatile:
                raise Failure("ended with 0 and not as if undisturbed")
            return
        if code == -6 and "OMP: Error" in said:  # libomp ends a process that gives it no memory or no thread
            return
        if code not in codes:
            raise Failure(f"not code {' or '.join(map(str, codes))}")
        lines = said.splitlines()
        wrong = [line for line in lines if not re.search(r"(^|: )note: |^\s", line)]
        if not wrong or not all(re.search(r"error: |netc: out of memory", line) for line in wrong):
            raise Failure("no line that says what is wrong")
        if len(wrong) > (len(PICTURES) if self.pictures else 1):
            raise Failure("more than one line")
        if self.pictures and not {line for line in out.splitlines() if b'"error"' not in line} <= set(self.calm[1].splitlines()):
            raise Failure("printed what is not so")
        if not self.volatile and not self.pictures and not self.calm[1].startswith(out):
            raise Failure("printed something else")


def compare(files, wanted):
    """In words, how a folder differs from each that it might be."""
    texts = []
    for one in wanted:
        names = sorted(name for name in {**one, **files} if one.get(name) != files.get(name))
        texts.append(f"{', '.join(names)} of one is another")
    return "; ".join(texts)


def netc(name, *arguments, outputs=(), **options):
    return Scene(name, [NETC, *arguments], *outputs, memory=70, **options)


DATASET = "--dataset=images.gz,labels.gz"
EMITTED = ["c/small.c", "c/small.h", "c/small.program.c", "c/small.weights"]


def scenes():
    yield netc("check", "check", "small.net")
    yield netc("show_json", "show", "small.net", "--json")
    yield netc("show_params", "show", "small.net", "--params", "--json")
    yield netc("show_plan", "show", "small.net", "--plan", "--json")
    yield netc("tuned", "show", "small.net", "--target=x86-64-v4", "--tuned=s.tuned", "--ir=after:choose_schedule")
    yield netc("interpret", "run", "small.net", "--weights=w.safetensors", "--input=p.npy", "--output=y.npy", outputs=["y.npy"])
    yield netc("emit", "build", "small.net", "--weights=w.safetensors", "--parts=1", "--emit-c=c", outputs=EMITTED)
    yield netc("build", "build", "small.net", "--weights=w.safetensors", "--parts=2", "--jobs=1", "-o", "small", outputs=["small"])
    yield netc("keep", "build", "small.net", "--weights=w.safetensors", "--parts=1", "--jobs=1", "-o", "small", "--keep=c",
               outputs=["small", *EMITTED])
    for kind, library in (("static", "l/libsmall.a"), ("shared", "l/libsmall.so")):
        yield netc(kind, "build", "small.net", "--weights=w.safetensors", "--parts=2", "--jobs=1", f"--kind={kind}", "-o", "l",
                   outputs=[library, "l/small.h", "l/small.pc"])
    source = ("build", "small.net", "--kind=source", "-o", "s")
    yield netc("source", *source, "--weights=w.safetensors", earlier=[NETC, *source, "--weights=synthetic", "--parts=3"])
    yield netc("pack", "pack", "small.net", "--weights=w.safetensors", "-o", "new.packed", outputs=["new.packed"])
    yield netc("export", "export", "small.net", "--weights=w.safetensors", "-o", "m.onnx", outputs=["m.onnx"])
    yield netc("report", "sweep", "small.net", "--over=classes=2,3", "--html=r.html", outputs=["r.html"], volatile=True)
    yield netc("pickled", "pack", "small.net", "--weights=w.pth", "--rename=map", "-o", "new.packed", outputs=["new.packed"])
    yield netc("pickled_old", "pack", "small.net", "--weights=old.pth", "--rename=map", "-o", "new.packed", outputs=["new.packed"])
    yield netc("split", "build", "small.net", "--weights=w.safetensors", "--parts=1", "--jobs=1", "-o", "small",
               "--weights-file=new.packed", outputs=["small", "new.packed"])
    yield Scene("answers", [OUT / "fake", "--tensor=x.npy"])
    yield Scene("mapped", [OUT / "small", "--tensor=p.npy", "--weights-file=w.packed"])
    yield Scene("pictures", [OUT / "fake", "photos"], pictures=True)
    yield Scene("pictures_json", [OUT / "fake", "photos", "--json"], pictures=True)
    yield Scene("pictures_out", [OUT / "fake", "photos", "--output=y.npy"], "y.npy", pictures=True)
    yield Scene("dump", [OUT / "fake", "--tensor=x.npy", "--dump=all", "--output=d.safetensors"], "d.safetensors")
    yield Scene("profile", [OUT / "fake", "--profile=t.json", "--runs=1", "--threads=2"], "t.json", volatile=True)
    yield Scene("stream", [OUT / "fake", "--tensor=-", "--output=-"], stdin=INPUTS["x.npy"])
    yield Scene("tensor", [OUT / "fake", "--tensor=x.npy", "--output=y.npy"], "y.npy")
    yield Scene("tensors", [OUT / "two", "--tensor=pixels:x.npy", "--tensor=bias:b.npy", "--output=y.safetensors"], "y.safetensors")
    yield Scene("answers_json", [OUT / "fake", "--tensor=x.npy", "--json"])
    yield Scene("dataset", [OUT / "fake", DATASET, "--contact-sheet=s.png"], "s.png", volatile=True)
    yield Scene("dataset_json", [OUT / "fake", DATASET, "--json"], volatile=True)
    yield Scene("bench", [OUT / "fake", "--bench", "--runs=1", "--json", "--threads=2"], volatile=True)
    yield Scene("info", [OUT / "fake", "--info", "--json"])
