"""netc compare: what its tables, CSV and JSON say of networks against `netc show`, how stages are found and aligned, --measure.

What is measured here is short and on a machine that does other things, too: nothing depends on which network is faster.
"""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import FOREIGN, NETC, ROOT, SANITISED, Failure, expect_done, main, netc, run

CLANG = HERE.parent / "faults/clang.sh"  # takes no time; what it makes is no program
WIDEST = 116
FOREIGN_TARGET = next(iter(FOREIGN))

NETS = """import "blocks/bottleneck.net"
net flat(width = 8)
{
    input x [3, 12, 12]
    output y = x |> conv1: conv(width, 3, pad = 1) |> relu |> max_pool(2) |> conv2: conv(16, 3) |> relu |> flatten |> fc: linear(5)
}
net groups(width = 32)
{
    input x [width, 14, 14]
    let unit = bottleneck(cardinality = 4, width = 16)
    output logits = x |> conv1: conv(64, 1) |> relu |> first: unit(32) |> max_pool(2) |> second: unit(32) |> global_avg_pool |> flatten
        |> fc: linear(30)
}
net text(kind = "a,b", sizes = [8, 16])
{
    input x [sizes[0], 6, 6]
    assert(kind == "a,b" or kind == "c\\"],", "kind is {kind}")
    output y = x |> conv1: conv(sizes[1], 1)
}
"""


class Folder:
    """A scratch folder with nets.net, in which TMPDIR must be empty at the end."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="netc-compare-"))
        self.temporary = self.path / "tmp"
        self.temporary.mkdir()
        (self.path / "nets.net").write_text(NETS)
        return self

    def __exit__(self, kind, *_):
        left = list(self.temporary.iterdir())
        shutil.rmtree(self.path, ignore_errors=True)
        if left and not kind:
            raise Failure(f"left behind in TMPDIR: {left}")

    def compare(self, *arguments, binary=SANITISED, code=0, **environment):
        got = run([binary, "compare", *arguments], cwd=self.path, env={"TMPDIR": str(self.temporary), **environment}, timeout=600)
        if got.code != code:
            raise Failure(f"netc compare {' '.join(map(str, arguments))} ended with {got.code}, not {code}\n{got.out[:500]}{got.err[:2000]}")
        return got


def compare(*arguments):
    return expect_done(netc("compare", *arguments), f"netc compare {' '.join(arguments)}").out


def compared(*arguments):
    return json.loads(compare(*arguments, "--json"))


def shown(*arguments):
    return json.loads(expect_done(netc("show", *arguments, "--json"), "netc show").out)


def equal(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: {got}, not {wanted}")


def text_of(shape):
    return "x".join(map(str, shape))


def sum_of(stages, what):
    return sum(stage[what] for stage in stages)


# ---- against netc show ----

KNOWN = {  # one of each kind of names, and the stages that a reader would see in them
    "resnet50": "stem layer1 layer2 layer3 layer4 head", "resnest50": "stem layer1 layer2 layer3 layer4 head",
    "cotnet50": "stem layer1 layer2 layer3 layer4 head", "skresnet18": "stem layer1 layer2 layer3 layer4 head",
    "res2net50_v1b": "stem layer1 layer2 layer3 layer4 head", "legacy_senet154": "stem layer1 layer2 layer3 layer4 head",
    "figure3": "stem layer1 layer2 layer3 layer4 head", "botnet26t_256": "stem stages.0 stages.1 stages.2 stages.3 head",
    "halonet26t": "stem stages.0 stages.1 stages.2 stages.3 head", "resnext29_8x64d": "stem layer1 layer2 layer3 head",
    "fashion/sknet": "stem layer1 layer2 head", "fpn": "stem layer1 layer2 layer3 layer4 fpn",
    "deeplabv3": "stem layer1 layer2 layer3 layer4 classifier"}


def totals():
    """Those of netc show, of its buffer plan, and the stages' sums."""
    names = list(KNOWN)
    for some in (names[:7], names[7:]):
        for net in compared(*some)["networks"]:
            name, stages = net["name"], net["stages"]
            wanted, plan = shown(name)["totals"], shown(name, "--plan")
            equal((net["params"], net["macs"]), (wanted["parameters"], wanted["macs"]), name)
            for what in ("params", "macs", "activations"):
                equal(sum_of(stages, what), net[what], f"{name}: the sum of the stages' {what}")
            equal((net["weights_bytes"], net["workspace_bytes"]), (plan["weights_bytes"], plan["workspace_bytes"]), name)
            equal(" ".join(stage["name"] for stage in stages), KNOWN[name], f"{name}: stages")
    # 11.11 million elements of convolutions, as published for it, and the classifier's 1000.
    equal(compared("resnet50", "resnet50")["networks"][0]["activations"], 11113984 + 1000, "activations of resnet50")


def of_prefix(nodes, prefix):
    inside = [node for node in nodes if node["path"].startswith(prefix + ".") or node["path"] == prefix]
    written = [node for node in inside if node["macs"]]
    return {"layers": len(inside), "output": inside[-1]["shape"], "macs": sum(node["macs"] for node in inside),
            "activations": sum(eval(text_of(node["shape"]).replace("x", "*")) for node in written)}


def stages():
    """What each comes to, counted once more from the layers whose names begin so."""
    for name, prefix, of in (("resnet50", "", "layer1 layer2 layer3 layer4"), ("botnet26t_256", "", "stages.0 stages.3"),
                             ("fpn,image=224", "backbone.body.", "layer2 layer3"), ("fashion/resnest", "", "layer1 layer2")):
        file, *defines = name.split(",")
        graph = shown(file, *[f"-D{define}" for define in defines])
        stage_of = {stage["name"]: stage for stage in compared(name, name)["networks"][1]["stages"]}
        shape_of = {p["name"]: p["shape"] for p in json.loads(netc("show", file, "--params", "--json").out)}
        for stage in of.split():
            got = stage_of[stage]
            for what, wanted in of_prefix(graph["nodes"], prefix + stage).items():
                equal(got[what], wanted, f"{name}: {what} of {stage}")
            params = sum(eval("*".join(map(str, shape))) for p, shape in shape_of.items()
                         if p.startswith(prefix + stage + ".") and "running_" not in p)
            equal(got["params"], params, f"{name}: parameters of {stage}")
    shapes = [text_of(stage["output"]) for stage in compared("resnet50", "resnet50")["networks"][0]["stages"]]
    equal(shapes, ["64x56x56", "256x56x56", "512x28x28", "1024x14x14", "2048x7x7", "1000"], "shapes of resnet50")


def other_stages():
    """Without lists of blocks: groups of layers, or layers; a feature extractor has no head."""
    with Folder() as folder:
        nets = json.loads(folder.compare("nets.net:flat", "nets.net:groups", "resnet18,features=true", "--json").out)["networks"]
        equal([stage["name"] for stage in nets[0]["stages"]], ["conv1", "conv2", "fc"], "stages of single layers")
        equal([stage["layers"] for stage in nets[0]["stages"]], [3, 3, 1], "layers of them")
        equal([stage["name"] for stage in nets[1]["stages"]], ["stem", "first", "second", "head"], "stages of groups")
        equal(text_of(nets[1]["stages"][1]["output"]), "128x14x14", "output of a group; the pool behind it leads into the next")
        equal(sum_of(nets[0]["stages"], "macs"), nets[0]["macs"], "sum")
        ir = folder.path / "net.ir"
        ir.write_text(expect_done(netc("show", "resnet18", "--ir=after:fold_batch_norm"), "netc show").out)
        both = json.loads(folder.compare("net.ir", "resnet18", "--json").out)["networks"]
        for what in ("params", "macs"):
            equal(sum_of(both[0]["stages"], what), both[1][what], f"graph IR with folded parameters: {what}")


# ---- rows ----

def rows_of(*networks):
    got = compared(*networks)
    for row in got["rows"]:
        names = [net["stages"][at]["name"] for net, at in zip(got["networks"], row["stages"]) if at is not None]
        equal(row["name"], " / ".join(dict.fromkeys(names)), "a row's name")
    for i, net in enumerate(got["networks"]):
        equal([row["stages"][i] for row in got["rows"] if row["stages"][i] is not None], list(range(len(net["stages"]))),
              f"{net['name']}: its stages, each in one row, in order")
    return [row["name"] for row in got["rows"]]


def alignment():
    """By name, then by position."""
    equal(rows_of("resnet50", "resnext50_32x4d"), "stem layer1 layer2 layer3 layer4 head".split(), "rows")
    equal(rows_of("resnet50", "resnext29_8x64d", "fashion/resnext"), "stem layer1 layer2 layer3 layer4 head".split(), "rows")
    equal(rows_of("fashion/resnext", "resnet18"), "stem layer1 layer2 layer3 layer4 head".split(), "rows")
    equal(rows_of("resnet18", "botnet26t_256"), ["stem", *(f"layer{i + 1} / stages.{i}" for i in range(4)), "head"], "rows")
    equal(rows_of("botnet26t_256", "fashion/resnext", "resnet18"),
          ["stem", *(f"stages.{i} / layer{i + 1}" for i in range(4)), "head"], "rows")
    equal(rows_of("deeplabv3", "resnet18"), "stem layer1 layer2 layer3 layer4".split() + ["classifier / head"], "rows")


# ---- the three forms ----

def table_of(out, title):
    """A group's columns: {row: cells}, the cells from the columns where its letters stand."""
    found = {}
    lines = out.splitlines()
    for i, line in enumerate(lines):
        if title not in line or not lines[i + 1].startswith("stage"):
            continue
        end = line.index(title) + len(title)
        for row in lines[i + 2:]:
            if not row:
                break
            found[re.split(r"  +", row)[0]] = row, end
        return found
    raise Failure(f"there is no `{title}`\n{out}")


def forms_agree():
    for networks in (("resnet50", "resnext50_32x4d"), ("fashion/resnext", "resnet18", "botnet26t_256")):
        got, out = compared(*networks), compare(*networks)
        rows = list(csv.DictReader(io.StringIO(compare(*networks, "--csv"))))
        for i, net in enumerate(got["networks"]):
            mine = [row for row in rows if row["network"] == net["name"]]
            equal([row["stage"] for row in mine], [stage["name"] for stage in net["stages"]] + ["total"], "CSV: stages")
            for row, stage in zip(mine, net["stages"] + [net]):
                for what in ("params", "macs", "activations"):
                    equal(int(row[what]), stage[what], f"CSV: {what} of {net['name']} {row['stage']}")
                    grouped = f"{stage[what]:,}"
                    if (what != "activations" or row["stage"] == "total") and grouped not in re.split(r"\s+", out):
                        raise Failure(f"the table has no {grouped} ({what} of {net['name']} {row['stage']})\n{out}")
                if row["stage"] != "total":
                    equal(row["output"], text_of(stage["output"]), "CSV: output")
                    equal(got["rows"][int(row["row"]) - 1]["stages"][i], net["stages"].index(stage), "CSV: row")
            for what in ("weights_bytes", "workspace_bytes"):
                equal(int(mine[-1][what]), net[what], f"CSV: {what}")
            equal({row[name] for row in rows for name in row if name.startswith("latency")}, {""}, "times of nothing measured")
        equal(got["machine"], None, "machine")


def ratios():
    """Behind the numbers of all, to those of the first; none where there is nothing to compare with."""
    got = compared("resnet50", "resnext50_32x4d", "resnext50_32x4d,cardinality=8,width=14")["networks"]
    out = compare("resnet50", "resnext50_32x4d", "resnext50_32x4d,cardinality=8,width=14")
    for title, what in (("parameters", "params"), ("MACs", "macs")):
        row, end = table_of(out, title)["total"]
        cells = row[:end].split()
        wanted = [f"{net[what]:,}" for net in got] + [f"{net[what] / got[0][what]:.2f}" for net in got[1:]]
        equal(cells[-5:], wanted, f"the total's {title}")
    row, end = table_of(compare("resnet18", "fashion/resnext"), "MACs")["layer3"]
    if len(row[:end].split()) != 4:  # its name, one shape, one number each of parameters and MACs
        raise Failure(f"a stage that only one network has\n{row}")
    out = compare("fashion/resnext", "fashion/resnext,cardinality=4")
    equal(re.search(r"^activations +([\d,]+) +([\d,]+) +([\d.]+)$", out, re.M).groups()[2],
          f"{185034 / 232074:.2f}", "ratio of activations")


def width():
    """No line is longer than what fits, whatever stands side by side; the last networks' digits are shortened, not cut."""
    many = ["resnet50", "resnext50_32x4d", "senet154", "botnet26t_256", "deeplabv3", "fpn", "cotnet50", "resnet50,blocks=[1,1,1,1]"]
    for n in range(2, 9):
        out = compare(*many[:n])
        long = [line for line in out.splitlines() if len(line) > WIDEST or line != line.rstrip()]
        if long:
            raise Failure(f"{n} networks: lines of {[len(line) for line in long]} columns\n{long[0]}")
        for letter, name in zip("ABCDEFGH", many[:n]):
            if f"{letter}  {name} " not in out:
                raise Failure(f"does not say that {letter} is {name}\n{out}")
    out = compare(*many[:2], "fpn", "cotnet50", "botnet26t_256", "resnet18", "resnet34", "senet154")
    if not re.search(r"^total .* 115\.1 M$", out, re.M) or "/A" in out:
        raise Failure("115,088,984 parameters are not 115.1 M where there is no room")


# ---- variants ----

def differences():
    """What differs between variants of one file, with the values that defaults have."""
    four = ("resnext50_32x4d", "resnext50_32x4d,cardinality=2*4,width=14", "resnet50,image=160", "resnext50_32x4d,classes=10")
    out = compare(*four)
    for wanted in (r"^resnext50_32x4d +A +B +D$", r"^  cardinality +32 +8 +32$", r"^  width +4 +14 +4$", r"^  classes +1000 +1000 +10$"):
        if not re.search(wanted, out, re.M):
            raise Failure(f"{wanted} is not in\n{out}")
    got = compared(*four)
    equal(got["changed"], ["cardinality", "width", "classes"], "changed")
    equal(got["networks"][1]["parameters"]["cardinality"], 8, "a parameter's value")
    equal(got["networks"][0]["parameters"]["blocks"], [3, 4, 6, 3], "a parameter's value")
    if "  image" in out or re.search("differs", out):
        raise Failure(f"tells what does not differ\n{out}")
    equal("nothing differs between A and B" in compare("resnet18", "resnet18,classes=1000"), True, "says that nothing differs")
    equal(compared("resnet18", "resnet18")["changed"], [], "changed")


def values():
    """Commas in brackets and strings belong to a value; -D holds for those that have the parameter and do not give it."""
    got = compared("resnet50", "resnet50,blocks=[1, 2, 1, 1],classes=max(10, 20)", "-D", "image=128")["networks"]
    equal([got[1]["parameters"][name] for name in ("blocks", "classes", "image")], [[1, 2, 1, 1], 20, 128], "values")
    equal(got[0]["parameters"]["image"], 128, "-D")
    got = compared("resnext50_32x4d,width=8", "resnext50_32x4d", "resnet50", "-D", "width=2")["networks"]
    equal([net["parameters"].get("width") for net in got], [8, 2, None], "-D width=2")
    got = json.loads(expect_done(netc("compare", "-Dwidth=16", "--json", "--", "resnet18", "-,width=4", stdin=NETS.split("net groups")[0].encode()),
                                 "netc compare").out)["networks"]
    equal([net["parameters"].get("width") for net in got], [None, 4], "a network on standard input")
    with Folder() as folder:
        got = json.loads(folder.compare('nets.net:text,kind="c\\"],",sizes=[4, 8]', "nets.net:text", "--json").out)["networks"]
        equal([net["parameters"] for net in got],
              [{"kind": 'c"],', "sizes": [4, 8]}, {"kind": "a,b", "sizes": [8, 16]}], "values")
        shutil.copy(folder.path / "nets.net", folder.path / "a,width=9.net")
        folder.compare("a,width=9.net:flat", "nets.net:flat,width=4", "a,width=9.net:flat,width=4", code=1)  # of the last no file
        folder.compare("a,width=9.net:flat", "nets.net:flat,width=4")
        (folder.path / "one,width=9.net").write_text(NETS.split("net groups")[0])
        got = json.loads(folder.compare("one,width=9.net", "nets.net:flat", "--json").out)["networks"]
        equal(got[0]["parameters"], {"width": 8}, "a file whose name has a comma")


def bad_input():
    for arguments, code, *words in (
            ([], 2, "networks are missing"),
            (["resnet50"], 2, "one network: name another one"),
            (["resnet50,", "resnet50"], 2, "behind a comma stands a parameter"),
            (["resnet50", "resnext50_32x4d,cardinality="], 2, "cardinality= has no value"),
            (["resnet50", "resnext50_32x4d,cardinality"], 2, "NAME=VALUE, not 'cardinality'"),
            (["resnet50", ",width=3"], 2, "does not begin with a network"),
            (["resnet50", ""], 2, "does not begin with a network"),
            (["resnet18"] * 9, 2, "9 networks are too many"),
            (["-", "-"], 2, "standard input"),
            (["-", "resnet18", "--measure"], 2, "standard input"),
            (["resnet18", "resnet18", "--csv", "--json"], 2, "--csv and --json"),
            (["resnet18", "resnet18", "--rounds=3"], 2, "--rounds has no meaning without --measure"),
            (["resnet18", "resnet18", "--threads=3"], 2, "--threads has no meaning without --measure"),
            (["resnet18", "resnet18", "--measure", "--rounds=0"], 2, "--rounds takes a whole number"),
            (["resnet18", "resnet18", "--measure", f"--target={FOREIGN_TARGET}"], 2, f"does not run {FOREIGN_TARGET}"),
            (["resnet50", "resnet51"], 1, "a network `resnet50`", "[file_read]"),
            (["resnet50", "deeplabv3:deeplab"], 1, "there is no net `deeplab`", "[net_unknown]"),
            (["resnet50", "resnext50_32x4d,cardinalty=8"], 1, "did you mean `cardinality`", "[define_unknown]", "B of this comparison"),
            (["resnet50", "resnet18", "-D", "clases=8"], 1, "none of the networks has", "did you mean `classes`", "[define_unknown]"),
            (["resnet50", "resnext50_32x4d,width=4,width=8"], 1, "given twice", "[argument_bound_twice]"),
            (["resnet50,blocks=[3,4", "resnet18"], 1, "is not closed", "[bracket_open]", "A of this comparison"),
            (["resnext50_32x4d,width=0", "resnet50", "resnet51"], 1, "[assertion]", "A of this comparison is resnext50_32x4d,width=0",
             "C of this comparison is resnet51"),
            (["resnet18", "resnet18", "--tolerance=2"], 2, "unknown option '--tolerance=2'")):
        got = netc("compare", *arguments)
        missing = [word for word in words if word not in got.err]
        if got.code != code or missing or got.out:
            raise Failure(f"netc compare {' '.join(arguments)}: code {got.code}, without {missing}\n{got.out[:300]}{got.err}")


# ---- measuring ----

def near(a, b, what):
    if abs(a - b) > 1e-6 * max(abs(a), abs(b), 1e-3):
        raise Failure(f"{what}: {a}, not {b}")


def check_times(got, rounds):
    for net in got["networks"]:
        for latency in ("latency_1", "latency_n"):
            whole = net[latency]
            if whole is None:
                continue
            samples = sorted(whole["samples"])
            name = f"{net['name']} {latency}"
            equal((len(samples), whole["n"], whole["unit"]), (rounds, rounds, "ms"), name)
            near(whole["median"], (samples[(rounds - 1) // 2] + samples[rounds // 2]) / 2, f"{name}: median")
            equal((whole["low"], whole["high"]), (samples[0], samples[-1]), f"{name}: spread")
            if not 0 < samples[0]:
                raise Failure(f"{name}: {samples}")
            parts = [stage[latency] for stage in net["stages"]] + [net["outside"][latency]]
            near(sum(part["ms"] for part in parts), whole["median"], f"{name}: the sum of its rows")
            for r in range(rounds):
                near(sum(part["samples"][r] for part in parts), whole["samples"][r], f"{name}: the sum of round {r}")
            for stage in net["stages"]:
                time_of = stage[latency]
                if not 0 < time_of["low"] <= time_of["ms"] <= time_of["high"]:
                    raise Failure(f"{name}: {stage['name']} takes {time_of}")


def measured():
    with Folder() as folder:
        networks = ["fashion/resnext", "fashion/resnext,cardinality=2"]
        got = json.loads(folder.compare(*networks, "--measure", "--rounds=2", "--threads=2", "--json", binary=NETC).out)
        check_times(got, 2)
        equal([net["latency_n"]["threads"] for net in got["networks"]], [2, 2], "threads")
        if not all(got["machine"].get(word) for word in ("processor", "cores", "system", "threads")) or not got["target"]:
            raise Failure(f"machine: {got['machine']}, target {got['target']}")


def measured_table():
    """One thread, a batch, a folder of networks of one's own, seen from another folder; all rows of the table add up."""
    with Folder() as folder:
        (folder.path / "mine.net").write_text(NETS.split("net groups")[0].replace("net flat", "net mine"))
        out = folder.compare("mine", "nets.net:groups", "-I.", "-Dwidth=32", "--measure", "--rounds=1", "--threads=1", "--batch=2",
                             "--winograd=off", "-j1", binary=NETC).out
        times = table_of(out, "ms, 1 thread")
        cells = {name: row[len(name):end].split() for name, (row, end) in times.items()}
        equal(list(times), ["conv1 / stem", "conv2 / first", "fc / second", "head", "outside", "total"], "rows")
        total = [float(cell) for cell in cells.pop("total")[:2]]
        head = cells.pop("head")
        first = sum(float(row[0]) for row in cells.values())
        second = sum(float(row[1]) for row in cells.values()) + float(head[0])
        for got, wanted in zip((first, second), total):
            if not wanted > 0 or abs(got - wanted) > 6 * 0.5e-4:
                raise Failure(f"rows come to {got}, the total is {wanted}\n{out}")
        for wanted in (r"^target \S+, -D width=32 --batch=2 --winograd=off on .+, \d+ cores?, Linux ", "a run of 2 images", "ms, 1 thread "):
            if not re.search(wanted, out, re.M):
                raise Failure(f"{wanted} is not in\n{out}")
        if "2 threads" in out:
            raise Failure(out)


def does_not_build():
    """Which network it is, what its build or its program said, the name of the check; no table."""
    with Folder() as folder:
        for environment, *words in (
                ({"NETC_CC": "/bin/false"}, " does not build: ", "/bin/false", "[compare_build]"),
                ({"NETC_CC": str(CLANG)}, "nets.net:flat: error: A is built and does not run", "[compare_run]"),
                ({"TMPDIR": "/none"}, "no temporary directory can be made", "[build_write]")):
            got = folder.compare("nets.net:flat", "nets.net:groups", "--measure", binary=NETC, code=1, **environment)
            missing = [word for word in words if word not in got.err]
            if missing or got.out:
                raise Failure(f"{environment}: without {missing}\n{got.out}{got.err}")


def children_of(folder):
    """Processes whose environment has this TMPDIR."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder.temporary}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def interrupted(number, building):
    """Ends by the signal; no file and no process stays."""
    with Folder() as folder:
        environment = dict(os.environ, TMPDIR=str(folder.temporary))
        if building:
            environment |= {"NETC_CC": str(CLANG), "CLANG_TAKES": "30"}
        child = subprocess.Popen([NETC, "compare", "nets.net:flat", "nets.net:groups", "--measure", "--rounds=100"], cwd=folder.path,
                                 env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        begin = time.monotonic()
        sign = "sleep 30" if building else "--profile"
        while not any(sign in words for words in children_of(folder)):
            if time.monotonic() > begin + 300 or child.poll() is not None:
                child.kill()
                raise Failure(f"no `{sign}` runs: {children_of(folder)}\n{child.communicate()}")
            time.sleep(0.05)
        child.send_signal(number)
        try:
            out, err = child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            raise Failure("it went on after the signal")
        if child.returncode != -number or out:
            raise Failure(f"ended with {child.returncode}, not by the signal\n{out}{err}")
        time.sleep(0.2)
        if children_of(folder):
            raise Failure(f"goes on: {children_of(folder)}")


cases = [("compare/totals and families of stages", totals), ("compare/stages counted again", stages), ("compare/other stages", other_stages),
         ("compare/alignment", alignment), ("compare/table, CSV and JSON agree", forms_agree), ("compare/ratios", ratios),
         ("compare/width", width), ("compare/differences", differences), ("compare/values", values), ("compare/bad input", bad_input),
         ("compare/measured", measured), ("compare/measured, as a table", measured_table), ("compare/what does not build", does_not_build)]
for number in (signal.SIGINT, signal.SIGTERM):
    cases.append((f"compare/{number.name} while it builds", lambda number=number: interrupted(number, True)))
cases.append(("compare/SIGINT while it measures", lambda: interrupted(signal.SIGINT, False)))
main([case for case in cases if not sys.argv[1:] or any(word in case[0] for word in sys.argv[1:])])
