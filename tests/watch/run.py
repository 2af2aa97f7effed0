"""What programs show of their inside, on real networks: --dump, --profile, traces. tests/run/watch.py has the forms and the faults.

Every value that --dump=all writes is compared with the reference interpreter (netc run --after --layer): so the order in which layers
run there, the layouts, and where values lie are right, also those that are overwritten in place later. The last ones are the outputs,
bit for bit. --profile compares the bits of its watched forward with the network's own before it measures; here it does so on every
target, alone and in batches, with one thread and with two.
"""

import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import trace_format
from tap import ALL, NETC, TARGETS, Failure, Skip, expect_done, main, netc, run

NATIVE = re.search(r"native\s+(\S+)", netc("build", "--target=help", binary=NETC).out).group(1)
NETS = {"odd": ["tests/watch/odd.net", "--weights=synthetic", "-I", "netdefs"],
        "resnext": ["netdefs/fashion/resnext.net", "--weights=netdefs/fashion/resnext.safetensors"],
        "res2net": ["netdefs/fashion/res2net.net", "--weights=netdefs/fashion/res2net.safetensors"]}
SHAPE = {"odd": (3, 19, 17)}
TOLERANCE = 1e-5  # of the largest magnitude of a value, in float32 through all layers before it


class Folder:
    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="netc-watch-")
        self.path = Path(self.temporary.name)
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def __truediv__(self, name):
        return self.path / name

    def build(self, net, target, *options):
        expect_done(netc("build", *NETS[net], f"--target={target}", *options, "-o", self / "program", binary=NETC, timeout=600), "netc build")
        got = run([self / "program", "--bench", "--runs=1", "--json"], timeout=300)
        if got.code != 0 and "this processor lacks" in got.err:
            raise Skip(f"this processor does not run {target}")
        expect_done(got, "the program")

    def run(self, *arguments):
        return expect_done(run([self / "program", *arguments], timeout=300), f"the program {' '.join(map(str, arguments))}")

    def dump_all(self, pixels, *options):
        np.save(self / "x.npy", pixels)
        self.run(f"--tensor={self / 'x.npy'}", "--dump=all", f"--output={self / 'all.safetensors'}", *options)
        raw = (self / "all.safetensors").read_bytes()
        length = struct.unpack("<Q", raw[:8])[0]
        header, data = json.loads(raw[8:8 + length]), raw[8 + length:]
        return {name: np.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"]) for name, entry in header.items()}

    def outputs(self, *options):
        self.run(f"--tensor={self / 'x.npy'}", f"--output={self / 'y.npy'}", *options)
        return np.load(self / "y.npy")


def some_pixels(net, n):
    return np.random.default_rng(3).standard_normal((n, *SHAPE.get(net, (1, 28, 28)))).astype(np.float32)


@lru_cache(maxsize=None)
def interpreted(net, name):
    """A value of the first picture."""
    with Folder() as folder:
        np.save(folder / "x.npy", some_pixels(net, 1))
        expect_done(netc("run", *NETS[net], f"--input={folder / 'x.npy'}", "--after=choose_schedule", f"--layer={name}",
                         "--output", folder / "y.npy", binary=NETC), f"netc run --layer={name}")
        return np.load(folder / "y.npy")


def compare(net, values):
    for name, value in values.items():
        wanted = interpreted(net, name)
        if value[:1].shape != wanted.shape:
            raise Failure(f"{name} has the shape {value.shape}, in the interpreter it is {wanted.shape}")
        off = np.abs(value[:1] - wanted).max() / max(np.abs(wanted).max(), 1e-30)
        if not off <= TOLERANCE:
            raise Failure(f"{name} differs from the interpreter's by {off:.1e}")


def check_profile(folder, net, threads):
    value = json.loads(folder.run("--profile", "--json", "--runs=3", f"--threads={threads}").out)
    if value["threads"] != threads or not value["layers"]:
        raise Failure(f"{value}")
    parts = [*value["layers"], value["waiting"], value["clock"], value["disturbed"]]
    if abs(sum(part["ms"] for part in parts) / value["total"]["ms"] - 1) > 1e-6:
        raise Failure("the rows of --profile do not add up")
    return value


def check_alone(net, target):
    with Folder() as folder:
        folder.build(net, target)
        values = folder.dump_all(some_pixels(net, 2))
        compare(net, values)
        one = folder.dump_all(some_pixels(net, 2), "--threads=1")
        if any(one[name].tobytes() != value.tobytes() for name, value in values.items()):
            raise Failure("one thread and two dump different bits")
        outputs = folder.outputs()
        if not any(value.shape == outputs.shape and value.tobytes() == outputs.tobytes() for value in values.values()):
            raise Failure("no value that was dumped is the network's output")
        macs = json.loads(folder.run("--info", "--json").out)["macs"]
        for threads in (1, 2):
            if sum(layer["macs"] for layer in check_profile(folder, net, threads)["layers"]) != macs:
                raise Failure(f"the layers' multiply-adds are not {macs}")


def check_batch(net, target):
    with Folder() as folder:
        folder.build(net, target)
        alone = folder.dump_all(some_pixels(net, 4))
        folder.build(net, target, "--batch=3")
        batch = folder.dump_all(some_pixels(net, 4))
        for name, value in alone.items():
            if value.tobytes() != batch[name].tobytes():
                raise Failure(f"{name} has other bits in a batch")
        for threads in (1, 2):
            check_profile(folder, net, threads)


def check_variants(net):
    """One program for several processors, its weights in a file: what is seen is the code that --target names."""
    with Folder() as folder:
        weights = f"--weights-file={folder / 'w'}"
        expect_done(netc("build", *NETS[net], "--target=x86-64", weights, "-o", folder / "program", binary=NETC, timeout=600), "netc build")
        for target in ("x86-64-v4", "x86-64-v3", "scalar"):
            if run([folder / "program", "--bench", "--runs=1", weights, f"--target={target}"]).code != 0:
                continue  # this processor does not run it
            values = folder.dump_all(some_pixels(net, 1), weights, f"--target={target}")
            compare(net, values)
            if set(folder.run("--dump=help", f"--target={target}").out.split(":")[0].split()) - set(values):
                raise Failure("--dump=help lists other names")
            value = json.loads(folder.run("--profile", "--json", "--runs=1", weights, f"--target={target}").out)
            isa = {"x86-64-v4": "avx512", "x86-64-v3": "avx2"}.get(target, target)
            if value["target"] != target or not all(isa in layer["kernel"] for layer in value["layers"]):
                raise Failure(f"--profile --target={target} shows {value['target']}")


def check_trace(net):
    with Folder() as folder:
        folder.build(net, NATIVE)
        folder.run(f"--profile={folder / 't.json'}", "--threads=2", "--runs=5")
        trace = json.loads((folder / "t.json").read_text())
        trace_format.check_whole(trace)
        layers = [layer["name"] for layer in check_profile(folder, net, 2)["layers"]]
        met = [event for event in trace_format.check(trace) if event["cat"] == "task"]
        if {event["name"] for event in met} != set(layers):
            raise Failure("the trace has other layers than the profile")


def check_time():
    """Watching takes little: a reading of the clock a task, and a call by a table. Medians of runs in turn, so that noise meets both."""
    with Folder() as folder:
        folder.build("resnext", NATIVE)
        value = json.loads(folder.run("--profile", "--json", "--threads=1", "--runs=400").out)
        ratio = value["total"]["ms"] / value["median_ms"]
        print(f"# watched {value['total']['ms']:.4f} ms, unwatched {value['median_ms']:.4f} ms: {100 * (ratio - 1):+.1f} %; "
              f"the clock {100 * value['clock']['share']:.1f} %", flush=True)
        if not 0.8 < ratio < 1.25:
            raise Failure(f"a watched run takes {ratio:.2f} times as long as one that is not")


def check_names():
    """The names of --dump are those of the graph after choose_schedule, and the interpreter says so if a name is none."""
    got = netc("run", *NETS["odd"], "--input=synthetic", "--after=choose_schedule", "--layer=concot", "-o", "/nowhere/y.npy")
    if got.code != 1 or "`netc show --ir=after:choose_schedule` lists them; did you mean 'concat'?  [unknown_layer]" not in got.err:
        raise Failure(got.err)
    got = netc("run", *NETS["odd"], "--input=synthetic", "--after=nothing", "-o", "/nowhere/y.npy")
    if got.code != 1 or "[unknown_pass]" not in got.err:
        raise Failure(got.err)


def check_size():
    """An executable without weights is below 1 MB, and a run keeps its weights once, its buffers, and 8 MB besides."""
    with Folder() as folder:
        plan = json.loads(expect_done(netc("show", "netdefs/resnet50.net", "--plan", "--json", binary=NETC), "netc show").out)
        for where in ("inside", "outside"):
            outside = [f"--weights-file={folder / 'weights'}"] if where == "outside" else []
            program = folder / where
            expect_done(netc("build", "netdefs/resnet50.net", "--weights=synthetic", *outside, "-o", program, binary=NETC, timeout=600), "netc build")
            size = program.stat().st_size - (0 if outside else plan["weights_bytes"])
            if size > 1_000_000:
                raise Failure(f"the executable with its weights {where} has {size} bytes besides them")
            child = subprocess.Popen([program, "--bench", "--runs=3", "--threads=2", *outside], stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = status
            allowed = plan["weights_bytes"] + 1.2 * plan["workspace_bytes"] + (8 << 20)
            if status or used.ru_maxrss * 1024 > allowed:
                raise Failure(f"with weights {where} it took {used.ru_maxrss * 1024} bytes of memory, {allowed:.0f} are allowed (status {status})")


cases = []
for target in TARGETS:
    for net in NETS if ALL or target == NATIVE else ("odd",):
        cases.append((f"watch/{net} {target}", lambda net=net, target=target: check_alone(net, target)))
    for net in NETS if ALL else ("odd",):
        cases.append((f"watch/{net} {target} in batches", lambda net=net, target=target: check_batch(net, target)))
cases += [("watch/odd for several processors", lambda: check_variants("odd"))] if "x86-64-v3" in TARGETS else []
cases += [("watch/res2net trace", lambda: check_trace("res2net")), ("watch/time", check_time), ("watch/names", check_names), ("watch/size", check_size)]
main(cases)
