"""--profile, its trace, --dump: what a program shows of its inside. The network here is fake_model.c; tests/watch has real ones."""

import json
import re
import struct
import subprocess

import numpy as np

import trace_format
from harness import check, ENDING_EARLY, Folder, limit_files, logits_of, npy_bytes, OUT, program, refuse, same, some_pictures

LAYERS = ["grid", "grid.double", "sum", "finish"]
TASKS = {"grid": 5, "grid.double": 5, "sum": 10, "finish": 1}


def test_profile_json():
    for variant, batch, some in (("fake", 1, (1, 2)), ("batch4", 4, (3,)), ("two", 1, (1,))):
        for threads in some:
            result = program(variant, "--profile", "--json", "--runs=9", f"--threads={threads}")
            value, rest = json.JSONDecoder().raw_decode(result.out)
            check(rest == len(result.out) - 1 and not result.err, f"{result.out!r}\n{result.err}")
            check(value["runs"] == 9 and value["threads"] == threads and value["median_ms"] > 0, f"{value}")
            check([layer["name"] for layer in value["layers"]] == LAYERS, f"{value}")
            total, wait = value["total"], value["waiting"]
            parts = [*value["layers"], wait, value["clock"]]
            check(all(part["ms"] >= 0 for part in parts), f"{value}")
            parts.append(value["disturbed"])
            check(abs(sum(part["ms"] for part in parts) / total["ms"] - 1) < 1e-6, "the rows do not add up to the run")
            check(abs(sum(part["share"] for part in parts) - 1) < 1e-6, "the shares do not add up")
            check(abs(sum(at["ms"] for at in wait["at"]) / wait["ms"] - 1) < 1e-6 and len(wait["at"]) == 4, f"{wait}")
            check(wait["at"][2] == {"before": "finish", "why": "finish needs sum of other threads",
                                    "ms": wait["at"][2]["ms"]}, f"{wait}")
            layer = value["layers"][2]
            check(layer["macs"] == 784 * batch and layer["read_bytes"] == 3136 * batch and layer["written_bytes"] == 40 * batch,
                  f"{layer}")
            for got, wanted in ((layer["gflops"] * layer["ms"], 2e-6 * layer["macs"]),
                                (layer["gigabytes_per_second"] * layer["ms"], 1e-6 * 3176 * batch),
                                (layer["memory_share"] * value["memory_gigabytes_per_second"], layer["gigabytes_per_second"]),
                                (layer["peak_share"] * value["peak_gflops"], layer["gflops"])):
                check(abs(got / wanted - 1) < 1e-6, f"{layer}")


def test_profile_text():
    for arguments in (["--profile"], ["--bench", "--profile"], ["--profile", "--bench", "--top=2"]):
        lines = program("fake", *arguments, "--runs=5", "--threads=2").out.splitlines()
        check(re.search(r"2 threads, 5 runs", lines[0]) and "of the peak of" in lines[2], f"{lines}")
        check(re.fullmatch(r"memory gives [\d.]+ GB/s, measured between the runs", lines.pop(3)), "memory")
        check(lines[4].split() == ["layer", "ms", "share", "GFLOP/s", "of", "peak", "MB", "GB/s", "of", "memory", "kernel"], lines[4])
        check([line.split()[0] for line in lines[5:13]] == [*LAYERS, "waiting", "clock", "disturbed", "total"], f"{lines}")
        check([line.split()[-1] for line in lines[5:9]] == ["grid__scalar", "double__scalar", "sum_mod10__scalar", "finish__scalar"],
              f"{lines}")
        shares = [float(re.search(r"(-?[\d.]+) %", line).group(1)) for line in lines[5:13]]
        check(abs(sum(shares[:-1]) - 100) < 0.4 and shares[-1] == 100, f"{shares}")
        check(len({line.index("%") for line in lines[5:13]}) == 1, "the columns are not aligned")
        most = [line.split(maxsplit=3) for line in lines[15:]]
        check(lines[14] == "most time:" and len(most) == (2 if "--top=2" in arguments else 4), f"{lines}")
        check(all(float(a[1]) >= float(b[1]) for a, b in zip(most, most[1:])), f"{most}")


def test_profile_wrong():
    for arguments in (["--profile"], ["--profile=t.json"]):
        refuse(["another 'logits'", "a defect of netc"], "wrong", *arguments, "--runs=1", cwd=Folder("profile_wrong").path)
    check(Folder("profile_wrong").names() == [], "a trace was left behind")
    program("wrong", "--bench", "--runs=1")


def trace_of(folder, variant, threads):
    out = program(variant, f"--profile={folder / 't.json'}", "--runs=3", f"--threads={threads}").out
    check("most time:" in out and folder.names() == ["t.json"], f"{folder.names()}\n{out}")
    return json.loads((folder / "t.json").read_text())


def test_trace():
    for variant, batch, some in (("fake", 1, (1, 3)), ("batch4", 4, (2,))):
        for threads in some:
            trace = trace_of(Folder("trace"), variant, threads)
            events = trace_format.check(trace)
            check(trace["otherData"]["batch"] == batch and trace["otherData"]["threads"] == threads, f"{trace['otherData']}")
            check(sorted({event["tid"] for event in events}) == list(range(threads)), "threads")
            tasks = [event for event in events if event["cat"] == "task"]
            done = sorted((e["name"], e["args"].get("image", 0), *e["args"]["task"]) for e in tasks)
            wanted = sorted((name, n, i // 2, i % 2) if name == "sum" else (name, n, i, 0)
                            for name in LAYERS for n in range(batch) for i in range(TASKS[name]))
            check(done == wanted, "not every task once")
            one = next(e for e in tasks if e["name"] == "sum")
            check(one["args"]["kernel"] == "sum_mod10__scalar" and one["args"]["macs"] == 78 and one["args"]["bytes"] == 317, f"{one}")
            check("dur" in one and abs(one["args"].get("gflops", 0) * one["dur"] - 2e-3 * 78.4) < 1e-6, f"{one}")
            waits = [(e["name"], e["args"].get("why")) for e in events if e["cat"] == "waiting" and e["tid"] == threads - 1]
            check(waits == [("starting", None), ("waiting", "sum comes later"), ("waiting", "finish needs sum of other threads"),
                            ("waiting", "the end of the run")], f"{waits}")
            trace_format.check_whole(trace)


def test_trace_stdout():
    result = program("fake", "--profile=-", "--runs=2", "--threads=1")
    trace_format.check(json.loads(result.out))
    check(not result.err, result.err)


def test_trace_refused():
    folder = Folder("trace_refused")
    (folder / "old.json").write_bytes(b"old")
    (folder / "full.json").symlink_to("/dev/full")
    names = folder.names()
    refuse(["cannot write", "No such file"], "fake", f"--profile={folder / 'none' / 't.json'}")
    refuse(["cannot write", "No space"], "fake", f"--profile={folder / 'full.json'}", "--runs=1")
    for name in ("old", "new"):
        done = subprocess.run([OUT / "fake", f"--profile={folder / name}.json", "--runs=1"], capture_output=True, text=True,
                              preexec_fn=limit_files, env=ENDING_EARLY)
        check(done.returncode == 1 and re.search(r"^fake: error: cannot write .*too large$", done.stderr, re.M), f"{done}")
    check((folder / "old.json").read_bytes() == b"old" and folder.names() == names, f"left behind: {folder.names()}")
    with open("/dev/full", "wb") as device:
        for arguments in (["--profile"], ["--profile", "--json"], ["--profile=-"], ["--dump=help"]):
            done = subprocess.run([OUT / "fake", *arguments, "--runs=1"], stdout=device, stderr=subprocess.PIPE, text=True)
            check(done.returncode == 1 and "cannot write" in done.stderr, f"{arguments} to a full disk: {done}")


# ---- --dump ----

def values_of(x):
    grid = x.reshape(-1, 784)[:, :90].reshape(-1, 6, 5, 3)
    return {"row": x.reshape(-1, 784)[:, 28:56], "grid": grid, "part": grid[:, 5:], "grid.double": 2 * grid,
            "sum": logits_of(x), "finish": logits_of(x)}


def read_safetensors(path):
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + length]), raw[8 + length:]
    return {name: np.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
            for name, entry in header.items()}


def test_dump():
    folder = Folder("dump")
    for variant in ("fake", "batch4"):
        for n in (1, 3, 9):
            x = some_pictures(n, 1, 28, 28, seed=n)
            np.save(folder / "x.npy", x)
            for name, wanted in values_of(x).items():
                out = program(variant, f"--tensor={folder / 'x.npy'}", f"--dump={name}", f"--output={folder / 'y.npy'}",
                              f"--threads={1 + n % 2}").out
                same(np.load(folder / "y.npy"), wanted)
                check(out.startswith(f"{name}: ") and len(out.splitlines()) == 1, out)
    check(folder.names() == ["x.npy", "y.npy"], f"left behind: {folder.names()}")


def test_dump_forms():
    folder = Folder("dump_forms")
    x = some_pictures(5, 1, 28, 28)
    np.save(folder / "x.npy", x)
    tensor, wanted = f"--tensor={folder / 'x.npy'}", values_of(x)
    program("batch4", tensor, "--dump=grid.double", cwd=folder.path)
    same(np.load(folder / "grid.double.npy"), wanted["grid.double"])
    result = program("batch4", "--tensor=-", "--dump=part", "--output=-", stdin=npy_bytes(x), binary=True)
    same(np.frombuffer(result.out[result.out.index(b"\n") + 1:], "<f4").reshape(5, 1, 5, 3), wanted["part"])
    check(result.err == "part: slice of grid -> f32[1,5,3] c4 halo 1\n", result.err)
    some = program("batch4", tensor, "--dump=sum", "--dump=grid", f"--output={folder / 's.safetensors'}").out
    check([line.split(":")[0] for line in some.splitlines()] == ["sum", "grid"], some)
    found = read_safetensors(folder / "s.safetensors")
    check(list(found) == ["sum", "grid"], f"{list(found)}")
    every = program("batch4", tensor, "--dump=all", f"--output={folder / 'a.safetensors'}").out
    check(every == program("batch4", "--dump=help").out, "all is not what help lists")
    found = {**read_safetensors(folder / "a.safetensors"), **found}
    check(list(found) == ["row", "grid", "part", "grid.double", "sum", "finish"], f"{list(found)}")
    for name, value in found.items():
        same(value, wanted[name])
    told = json.loads(program("batch4", tensor, "--dump=part", f"--output={folder / 'y.npy'}", "--json").out)
    check(told == {"network": "fake", "file": str(folder / "y.npy"),
                   "values": [{"layer": "part", "what": "part: slice of grid -> f32[1,5,3] c4 halo 1", "shape": [5, 1, 5, 3]}]},
          f"{told}")
    check(program("lacks", "--dump=help").out == every, "--dump=help needs the processor")


def test_dump_pictures():
    """What --tensor gives for the same values; of a broken picture NaN and a line."""
    folder = Folder("dump_pictures")
    pixels = np.random.default_rng(4).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    for i in range(5):
        (folder / f"{i}.pgm").write_bytes(b"P5 28 28 255\n" + pixels[i].tobytes())
    np.save(folder / "x.npy", ((pixels / 255 - 0.5) / 0.25).astype(np.float32)[:, None])
    for variant in ("fake", "batch4"):
        program(variant, folder.path, "--dump=grid.double", f"--output={folder / 'y.npy'}")
        program(variant, f"--tensor={folder / 'x.npy'}", "--dump=grid.double", f"--output={folder / 'z.npy'}")
        got, wanted = np.load(folder / "y.npy"), np.load(folder / "z.npy")
        check(got.shape == (5, 6, 5, 3) and np.abs(got - wanted).max() < 1e-5, "pictures give other values than tensors")
        (folder / "2.pgm").write_bytes(b"P5 28 28 255\n")
        result = program(variant, folder.path, "--dump=grid.double", f"--output={folder / 'y.npy'}", code=1)
        check("2.pgm: " in result.err and len(result.err.splitlines()) == 1, result.err)
        wanted = got.copy()
        wanted[2] = np.nan
        check(np.array_equal(np.load(folder / "y.npy"), wanted, equal_nan=True), "not NaN, or others are wrong")
        (folder / "2.pgm").write_bytes(b"P5 28 28 255\n" + pixels[2].tobytes())
    refuse("pictures need a network of one input", "two", folder / "1.pgm", "--dump=sum", cwd=folder.path)
    refuse("No such file", "fake", folder / "9.pgm", "--dump=sum", cwd=folder.path)
    check(sorted({name.split(".")[-1] for name in folder.names()}) == ["npy", "pgm"] and "sum.npy" not in folder.names(),
          f"left behind: {folder.names()}")


def test_dump_refused():
    folder = Folder("dump_refused")
    np.save(folder / "x.npy", some_pictures(4, 1, 28, 28))
    (folder / "short.npy").write_bytes(npy_bytes(some_pictures(2, 1, 28, 28)))
    (folder / "old.npy").write_bytes(b"old")
    (folder / "full.npy").symlink_to("/dev/full")
    names = folder.names()
    tensor = f"--tensor={folder / 'x.npy'}"
    refuse(["--dump=grid.doubel", "did you mean 'grid.double'", "--dump=help"], "fake", tensor, "--dump=grid.doubel", code=2)
    refuse(["--dump=relu: no layer has this name, --dump=help lists"], "fake", tensor, "--dump=relu", code=2)
    refuse(["--dump=: no layer"], "fake", tensor, "--dump=", code=2)
    refuse(["--dump=sum is given twice"], "fake", tensor, "--dump=sum", "--dump=sum", "--output=y.safetensors", code=2)
    refuse(["2 layers go into one file: --output=FILE.safetensors"], "fake", tensor, "--dump=sum", "--dump=grid", code=2)
    refuse(["6 layers go into one file"], "fake", tensor, "--dump=all", "--output=y.npy", code=2)
    refuse(["must end in .npy or .safetensors"], "fake", tensor, "--dump=sum", "--output=y.bin", code=2)
    refuse(["--json and --output=-"], "fake", tensor, "--dump=sum", "--output=-", "--json", code=2)
    refuse(["--dump goes with pictures or --tensor"], "fake", "--bench", "--dump=sum", code=2)
    refuse(["--dump goes with pictures or --tensor"], "fake", "--dump=sum", code=2)
    refuse(["cannot write", "No such file"], "fake", tensor, "--dump=sum", f"--output={folder / 'none' / 'y.npy'}")
    refuse(["cannot write", "No space"], "fake", tensor, "--dump=sum", f"--output={folder / 'full.npy'}")
    refuse(["lacks quantum instructions"], "lacks", tensor, "--dump=sum")
    refuse(["truncated"], "fake", "--tensor=/dev/stdin", "--dump=sum", f"--output={folder / 'old.npy'}",
           stdin=(folder / "short.npy").read_bytes()[:-4])
    done = subprocess.run([OUT / "fake", tensor, "--dump=grid", f"--output={folder / 'old.npy'}"], capture_output=True, text=True,
                          preexec_fn=limit_files, env=ENDING_EARLY)
    check(done.returncode == 1 and "File too large" in done.stderr, f"{done}")
    check((folder / "old.npy").read_bytes() == b"old" and folder.names() == names, f"left behind: {folder.names()}")


WRONG_USAGE = [
    ("must end in .json", ["--profile=trace"]),
    ("--profile=trace.json", ["--profile", "trace.json"]),
    ("--json prints the profile", ["--profile=-", "--json"]),
    ("only one of", ["--profile", "--tensor=x.npy"]),
    ("only one of", ["--dataset=a,b", "--profile"]),
    ("--dump needs a value", ["--dump"]),
    ("--quiet prints answers", ["a.png", "--quiet", "--dump=sum"]),
    ("--top prints answers", ["--tensor=x.npy", "--top=3", "--dump=sum"]),
]


def test_watch_usage():
    for word, arguments in WRONG_USAGE:
        refuse(word, "fake", *arguments, code=2)
    refuse("lacks quantum instructions", "lacks", "--profile")
    out = program("fake", "--help").out
    check("--profile=FILE.json" in out and "--dump=LAYER" in out and max(map(len, out.splitlines())) <= 120, out)
