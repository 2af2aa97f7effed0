#!/usr/bin/python3
"""netc sweep: its variants against networks shown one by one, what is solved against a search through all values, measurements and
their database, and what happens when something is wrong."""

import csv
import fcntl
import io
import json
import os
import pty
import re
import resource
import select
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tap import BUILD, NETC, ROOT, SANITISED, Failure, Skip, expect_done, main, netc, run

HERE = Path(__file__).resolve().parent
TINY, EIGHTS = HERE / "tiny.net", HERE / "eights.net"
FASHION = ROOT / "netdefs/fashion/resnext.net"


def sweep(*words, expect=0, **options):
    done = netc("sweep", *words, **options)
    if done.code != expect:
        raise Failure(f"netc sweep {' '.join(map(str, words))} ended with {done.code}, not {expect}\n{done.out}{done.err}")
    return done


def sweep_json(*words, **options):
    return json.loads(sweep(*words, "--json", **options).out)


def sweep_csv(*words, **options):
    return list(csv.DictReader(io.StringIO(sweep(*words, "--csv", **options).out)))


def same(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: {got!r}, not {wanted!r}")


def column(variants, name):
    return [variant["parameters"][name] for variant in variants]


# ---- variants ----


def check_ranges():
    for values, wanted in [
        ("1,2,4", [1, 2, 4]),
        ("3..6", [3, 4, 5, 6]),
        ("8..30+8", [8, 16, 24]),
        ("1..32*2", [1, 2, 4, 8, 16, 32]),
        ("1, 2 ,8..12+2,8", [1, 2, 8, 10, 12]),
        ("5..5", [5]),
        ("2*3,min(9, 7)", [6, 7]),
    ]:
        all_of = sweep_json(TINY, "--over", f"width={values}")
        same(column(all_of["variants"], "width"), wanted, f"--over width={values}")


def check_product():
    all_of = sweep_json(TINY, "--over", "groups=1,2", "--over", "width=4..8+4", "--over", "sizes=[16,2],[32, 4]")
    wanted = [(g, w, s) for g in (1, 2) for w in (4, 8) for s in ([16, 2], [32, 4])]
    got = [tuple(v["parameters"][k] for k in ("groups", "width", "sizes")) for v in all_of["variants"]]
    same(got, wanted, "the product, the last --over fastest")
    same(all_of["changed"], ["groups", "width", "sizes"], "changed")
    same(all_of["variants"][0]["name"], "groups=1 width=4 sizes=[16,2]", "a variant's name")


def check_sizes():
    """Every number against the same network shown alone."""
    for network, values in [(FASHION, [{"cardinality": 2}, {"cardinality": 8}]), (TINY, [{"width": 8}, {"width": 20}])]:
        name = list(values[0])[0]
        swept = sweep_json(network, "--over", f"{name}=" + ",".join(str(v[name]) for v in values))["variants"]
        for v, variant in zip(values, swept):
            define = ["-D", f"{name}={v[name]}"]
            shown = json.loads(expect_done(netc("show", network, "--json", *define), "show").out)
            plan = json.loads(expect_done(netc("show", network, "--plan", "--json", *define), "show --plan").out)
            same(variant["params"], shown["totals"]["parameters"], f"{name}={v[name]}: parameters")
            same(variant["macs"], shown["totals"]["macs"], f"{name}={v[name]}: multiply-adds")
            same(variant["workspace_bytes"], plan["workspace_bytes"], f"{name}={v[name]}: workspace")
            written = sum(eval("*".join(map(str, n["type"]["shape"] if "type" in n else n["shape"]))) for n in shown["nodes"] if n["macs"])
            same(variant["activations"], written, f"{name}={v[name]}: activations")
            packed = Path(tempfile.gettempdir()) / f"netc-sweep-{os.getpid()}-{name}-{v[name]}.weights"
            expect_done(netc("pack", network, "--weights=synthetic", "-o", packed, *define), "pack")
            same(variant["weights_bytes"], packed_bytes(packed), f"{name}={v[name]}: weights")
            packed.unlink()


def packed_bytes(path):
    head = path.read_bytes().split(b"\nend\n", 1)[0].decode()
    return int(re.search(r"^blob (\d+)", head, re.M).group(1))


def check_activations():
    """As published (timm's results: millions of activations at 224 pixels)."""
    for network, millions in [("resnet50", 11.11), ("resnext50_32x4d", 14.40), ("resnet18", 2.48), ("wide_resnet50_2", 14.4)]:
        got = sweep_json(network, binary=NETC)["variants"][0]["activations"]
        if abs(got / 1e6 - millions) > 0.0051:
            raise Failure(f"{network}: {got} activations, published are {millions} M")


def check_where():
    kept = sweep_json(TINY, "--over", "width=1..70", "--where", "width % 10 == 0", "--where", "macs < 1.5e6")["variants"]
    every = sweep_json(TINY, "--over", "width=1..64")["variants"]
    wanted = [v["parameters"]["width"] for v in every if v["parameters"]["width"] % 10 == 0 and v["macs"] < 1.5e6]
    same(column([v for v in kept if v["status"] == "ok"], "width"), wanted, "--where")
    if len(wanted) < 2 or len(wanted) > 5:
        raise Failure(f"the test's condition keeps {wanted}: it tells nothing")
    # What is not wanted by its parameters alone is never faulted.
    same(column(sweep_json(TINY, "--over", "width=60..70", "--where", "width <= 62")["variants"], "width"), [60, 61, 62], "--where before faults")
    same(sweep_json(TINY, "--over", "width=8", "--where", "params > 10 and activations > 10 and macs > 10")["variants"][0]["status"], "ok", "all three")


def check_cut():
    got = sweep_json(TINY, "--over", "width=64,65,-1,foo", "--over", "groups=1,3")["variants"]
    status = {v["name"]: (v["status"], v["reason"]) for v in got}
    same(status["width=64 groups=1"], ("ok", None), "width=64")
    same(status["width=65 groups=1"][0], "cut", "what an assertion rules out")
    if "width is at most 64, not 65" not in status["width=65 groups=1"][1]:
        raise Failure(f"the reason of a cut variant is {status['width=65 groups=1'][1]!r}")
    same(status["width=64 groups=3"][0], "failed", "groups that do not divide")
    same(status["width=foo groups=1"][0], "failed", "a value that is none")
    for name, (state, reason) in status.items():
        if (state == "ok") != (reason is None):
            raise Failure(f"{name} is {state} with the reason {reason!r}")
    table = sweep(TINY, "--over", "width=64,65").out
    if "cut: width=65: " not in table:
        raise Failure(f"the table does not tell the reason\n{table}")


def check_all_failed():
    done = sweep(TINY, "--over", "groups=5,7", expect=1)
    if "every variant failed" not in done.err or "failed: groups=7: " not in done.out:
        raise Failure(done.out + done.err)


# ---- solving ----


def quantities(network, what, **fixed):
    words = [word for name, value in fixed.items() for word in ("-D", f"{name}={value}")]
    rows = sweep_csv(network, "--over", "width=1..64", *words)
    return {int(row["width"]): int(row[what]) for row in rows if row["status"] == "ok"}


def check_solve():
    for network, name, values in [(TINY, "groups", (1, 2, 4)), (EIGHTS, "bias", (0, 5))]:
        for what in ("macs", "params"):
            known = {value: quantities(network, what, **{name: value}) for value in values}
            for reference in (1, 900, 2345, 70000, 123456, 10**6):
                got = sweep_json(network, "--over", f"{name}=" + ",".join(map(str, values)), "--solve", "width", "--equal", f"{what}={reference}")
                for variant in got["variants"]:
                    of = known[variant["parameters"][name]]
                    width = variant["parameters"]["width"]
                    if max(of.values()) < reference:
                        continue  # the answer lies beyond what was searched
                    best = min(of, key=lambda w: (abs(of[w] - reference), w))
                    same(width, best, f"{network.name} {name}={variant['parameters'][name]} {what}={reference}: width")
                    if abs(variant["deviation"] - (of[best] / reference - 1)) > 1e-9:
                        raise Failure(f"deviation {variant['deviation']}, not {of[best] / reference - 1}")


def check_reference():
    by_values = sweep_json(TINY, "--over", "groups=2,4", "--solve", "width", "--equal", "macs=width:16,groups=2")
    alone = json.loads(netc("show", TINY, "--json", "-D", "width=16", "-D", "groups=2").out)
    same(by_values["equal"]["value"], alone["totals"]["macs"], "the reference's value")
    same(by_values["variants"][0]["parameters"]["width"], 16, "the variant that is the reference")
    same(by_values["variants"][0]["deviation"], 0, "its deviation")
    unwanted = sweep_json(TINY, "--over", "groups=2,4", "--solve", "width", "--equal", "macs=width:16,groups=2", "--where", "groups == 4")
    same(unwanted["variants"], by_values["variants"][1:], "a reference that --where does not want")
    for text, number in [("12.5k", 12500), ("1e5", 1e5), ("0.3M", 3e5)]:
        same(sweep_json(TINY, "--solve", "width", "--equal", f"macs={text}")["equal"]["value"], number, text)


def check_tolerance():
    of = quantities(EIGHTS, "macs")
    reference = (of[16] + of[24]) // 2 + 10
    done = sweep_json(EIGHTS, "--solve", "width", "--equal", f"macs={reference}", "--tolerance", "1%")["variants"][0]
    same(done["status"], "cut", "a solution that is too far")
    for width in (16, 24):
        words = f"width={width} has {of[width]:,} ({100 * (of[width] / reference - 1):+.2f} %)"
        if words not in done["reason"]:
            raise Failure(f"the reason {done['reason']!r} lacks {words!r}")
    near = sweep_json(EIGHTS, "--solve", "width", "--equal", f"macs={reference}", "--tolerance", "30")["variants"][0]
    same((near["status"], near["parameters"]["width"]), ("ok", 24), "a wide tolerance")
    # Without --solve it is a filter.
    rows = sweep_csv(TINY, "--over", "width=8..16", "--equal", "macs=width:12", "--tolerance", "10%")
    macs = {int(row["width"]): int(row["macs"]) for row in rows}
    for row in rows:
        inside = abs(macs[int(row["width"])] / macs[12] - 1) <= 0.1
        same(row["status"], "ok" if inside else "cut", f"width={row['width']} of 10 %")
    same({row["status"] for row in rows}, {"ok", "cut"}, "the test's filter")


# ---- what is printed ----


def check_forms():
    words = [TINY, "--over", "width=8,65,16", "--over", "groups=1,3,4"]
    told = sweep_json(*words)
    rows = sweep_csv(*words)
    text = sweep(*words).out
    same(len(rows), 9, "rows")
    for variant, row in zip(told["variants"], rows):
        for name, value in variant["parameters"].items():
            same(json.loads(row[name]) if row[name] else None, value, name)
        for name in ("params", "macs", "activations", "weights_bytes", "workspace_bytes"):
            same(int(row[name]) if row[name] else None, variant[name], f"{variant['name']}: {name}")
        same(row["reason"] or None, variant["reason"], "reason")
    head = text.split("\n\n")[0].splitlines()
    same(len({len(line) for line in head}), 1, f"the widths of the table's lines\n{text}")
    same(len(head), 2 + sum(v["status"] == "ok" for v in told["variants"]), "the table's lines")


def check_quoting():
    """A comma, a quote and a newline in a reason stay one field."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "q.net"
        file.write_text(TINY.read_text().replace("width is at most 64, not {width}", 'a \\"quoted\\", comma {width}'))
        rows = sweep_csv(file, "--over", "width=8,65")
        if rows[1]["reason"].split(": ", 1)[1] != 'a "quoted", comma 65':
            raise Failure(f"the reason is {rows[1]['reason']!r}")


# ---- wrong input ----

WRONG = [
    (["--over", "wdth=1"], "sweep_parameter", "did you mean `width`"),
    (["--over", "width=1", "--over", "width=2"], "sweep_parameter", "has values by --over already"),
    (["--over", "width=1", "-D", "width=2"], "sweep_parameter", "has values by -D already"),
    (["--over", "width=1", "--solve", "width", "--equal", "macs=1"], "sweep_parameter", "has values by --over already"),
    (["-D", "nothing=2"], "sweep_parameter", "no parameter `nothing`"),
    (["--solve", "wide", "--equal", "macs=1"], "sweep_parameter", "no parameter `wide`"),
    (["--over", "width=4..2"], "sweep_range", "is empty"),
    (["--over", "width="], "sweep_range", "lacks a value"),
    (["--over", "width=1,,2"], "sweep_range", "lacks a value"),
    (["--over", "width"], "sweep_range", "is not NAME=VALUES"),
    (["--over", "width=1..8*1"], "sweep_range", "never ends"),
    (["--over", "width=0..8*2"], "sweep_range", "never ends"),
    (["--over", "width=1..8+0"], "sweep_range", "never ends"),
    (["--over", "width=1..8/2"], "sweep_range", "is no range"),
    (["--over", "width=1..20000"], "sweep_range", "10000"),
    (["--over", "width=1..9223372036854775807*2,1..200", "--over", "groups=1..200"], "sweep_range", "10000"),
    (["--equal", "mac=3"], "sweep_equal", "not macs=, params= or latency="),
    (["--equal", "macs"], "sweep_equal", "not macs=, params= or latency="),
    (["--equal", "macs=width"], "sweep_equal", "neither a number nor NAME:VALUE"),
    (["--equal", "macs=wide:3"], "sweep_parameter", "no parameter `wide`"),
    (["--equal", "macs=width:65"], "sweep_equal", "width is at most 64, not 65"),
    (["--equal", "macs=width:("], "sweep_equal", "the reference width:( is no network"),
    (["--equal", "latency=width:8"], "sweep_equal", "add --measure"),
    (["--where", "wide > 3"], "sweep_parameter", "`wide` is not known"),
    (["--where", "width >"], "sweep_parameter", "expected a value"),
    (["--where", "width"], "sweep_parameter", "true or false"),
    (["--where", "width > 8"], "sweep_parameter", "no variant meets --where"),
    (["--db=/nonexistent/folder/x.db"], "sweep_database", "cannot be written"),
]

USAGE = [
    (["--solve", "width"], "needs --equal"),
    (["--tolerance", "2%"], "needs --equal"),
    (["--tolerance", "much", "--equal", "macs=1"], "takes percents"),
    (["--csv", "--json"], "choose one"),
    (["--rounds", "0"], "whole number"),
    (["--target", "x86-64-v9"], "unknown target"),
]


def check_wrong():
    for words, check, text in WRONG:
        done = sweep(TINY, *words, expect=1)
        if f"[{check}]" not in done.err or text not in done.err:
            raise Failure(f"{' '.join(words)}: {done.err}")
        if done.err.count("error: ") != 1:
            raise Failure(f"{' '.join(words)}: not one error\n{done.err}")
    for words, text in USAGE:
        done = sweep(TINY, *words, expect=2)
        if text not in done.err:
            raise Failure(f"{' '.join(words)}: {done.err}")
    for file, text in [("nothing.net", "No such file"), ("-", "standard input cannot be")]:
        done = netc("sweep", file)
        if done.code not in (1, 2) or text not in done.err:
            raise Failure(f"{file}: {done.code} {done.err}")


def check_broken_file():
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "broken.net"
        file.write_text("net broken(width = 8)\n{\n    input x [4, 8, 8]\n    output y = x |> conv(\n}\n")
        done = sweep(file, "--over", "width=1,2", expect=1)
        if "broken.net:" not in done.err or "[bracket_open]" not in done.err or done.out:
            raise Failure(done.err)


# ---- measuring ----

QUICK = ["--rounds=3", "--throughput=1"]
MEASURED = [TINY, "--over", "width=8,16", "--measure", *QUICK]


def check_measure(folder):
    db = folder / "sweep.db"
    end_counter = growing_counter(folder)
    try:
        told = sweep_json(*MEASURED, f"--db={db}", env={"NETC_POWERCAP": str(folder)}, binary=NETC, timeout=300)
    finally:
        end_counter()
    known = {}
    for variant in told["variants"]:
        same(variant["status"], "ok", variant["name"])
        for name, least, n in [("compile", 0.01, 1), ("latency_1", 1e-4, 3), ("throughput", 1, 3), ("energy", 0, 3)]:
            figure = variant[name]
            same(figure["n"], n, f"{variant['name']}: samples of {name}")
            samples = figure["samples"]
            same(figure["median"], statistics.median(samples), f"{name}: median")
            same((figure["low"], figure["high"]), (min(samples), max(samples)), f"{name}: spread")
            if not figure["median"] > least:
                raise Failure(f"{variant['name']}: {name} is {figure['median']}")
        if not 0 < variant["latency_1"]["share"] < 5:  # on a busy machine it may be anything
            raise Failure(f"share of the peak: {variant['latency_1']['share']}")
        known[variant["defines"]] = variant
    # The database says the same, by its own view.
    rows = sqlite3.connect(db).execute("SELECT defines, what, threads, n, lowest, median, highest, error FROM result").fetchall()
    for defines, what, threads, n, lowest, median, highest, error in rows:
        name = {"latency": "latency_1" if threads == 1 else "latency_n"}.get(what, what)
        figure = known[defines][name]
        for got, wanted in zip((n, lowest, median, highest), ("n", "low", "median", "high")):
            if abs(got - figure[wanted]) > 1e-9 * abs(got):
                raise Failure(f"{defines} {what}: the view's {wanted} is {got}, not {figure[wanted]}")
    check_resume(db, told)


def count_samples(db):
    return sqlite3.connect(db).execute("SELECT count(*), max(at) FROM sample").fetchone()


def check_resume(db, told):
    before = count_samples(db)
    begin = time.monotonic()
    again = sweep_json(*MEASURED, f"--db={db}", binary=NETC)
    if time.monotonic() - begin > 5:
        raise Failure("the same sweep again measured again")
    same(count_samples(db), before, "samples after the same sweep again")
    same(again["variants"], told["variants"], "the same sweep again")
    one_more = sweep_json(TINY, "--over", "width=8,16", "--measure", "--rounds=4", "--throughput=1", f"--db={db}", binary=NETC, timeout=300)
    for old, new in zip(told["variants"], one_more["variants"]):
        same(new["compile"]["samples"], old["compile"]["samples"], "what is known of compiling")
        if len(new["latency_1"]["samples"]) != 4 or not set(old["latency_1"]["samples"]) < set(new["latency_1"]["samples"]):
            raise Failure(f"a fourth round: {new['latency_1']['samples']} after {old['latency_1']['samples']}")


def in_folder(check):
    def checked():
        with tempfile.TemporaryDirectory() as folder:
            check(Path(folder))

    return checked


def check_interrupted(folder):
    """On a terminal, whose bar is looked at, too."""
    db, temporary = folder / "sweep.db", folder / "tmp"
    temporary.mkdir()
    parent, child = pty.openpty()
    words = [NETC, "sweep", TINY, "--over", "width=8,16,24", "--measure", "--rounds=20", "--throughput=1", f"--db={db}"]
    process = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, stderr=child, env=dict(os.environ, TMPDIR=str(temporary)))
    os.close(child)
    shown, end = b"", time.monotonic() + 200
    while time.monotonic() < end and process.poll() is None and samples_of(db, "latency") < 6:
        if select.select([parent], [], [], 0.2)[0]:
            shown += os.read(parent, 65536)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    while select.select([parent], [], [], 0.2)[0]:
        try:
            shown += os.read(parent, 65536)
        except OSError:  # nobody writes any more
            break
    same(process.returncode, -signal.SIGINT, f"the code of an interrupted sweep\n{shown}")
    kept = samples_of(db, "latency")
    if kept < 6 or b"width" not in out:
        raise Failure(f"{kept} samples were kept, and it said\n{out}")
    same(list(temporary.iterdir()), [], "temporary folders that stayed")
    told = sweep_json(TINY, "--over", "width=8,16,24", f"--db={db}")
    if sum(v["latency_1"]["n"] for v in told["variants"] if v["latency_1"]) < 3:
        raise Failure("what was kept is not told")
    check_bar(shown.decode())


def check_bar(text):
    if not re.search(r"\[[# ]+\] rounds +\d+ %, \d+ \w+ left", text) or "builds" not in text:
        raise Failure(f"no bar: {text[-500:]!r}")
    if text.rstrip(" ").rsplit("\r", 1)[1].strip():
        raise Failure(f"something of the bar stays: {text[-200:]!r}")


def samples_of(db, what):
    try:
        return sqlite3.connect(db).execute("SELECT count(*) FROM sample s JOIN measurement m ON m.id = s.measurement WHERE what = ?", [what]).fetchone()[0]
    except sqlite3.OperationalError:  # not yet
        return 0


def fake_clang(folder):
    """clang-19, but that in a build of width 16 compiles nothing, and of width 24 links a program that fails."""
    path = folder / "clang"
    path.write_text(
        """#!/bin/bash
words=$(tr "\\0" " " < /proc/$PPID/cmdline)
case "$words/$*" in
*--define=width=16*/*" -c "*) echo "kernel.c:1:1: error: no such luck" >&2; exit 1;;
*--define=width=24*/*" -c "*|*--define=width=24*/*--version*) ;;
*--define=width=24*)
    out=
    for word in "$@"; do [ "$out" = next ] && out=$word; [ "$word" = -o ] && out=next; done
    printf "#!/bin/sh\\necho out of luck >&2\\nexit 3\\n" > "$out"; chmod +x "$out"; exit 0;;
esac
exec clang-19 "$@"
"""
    )
    path.chmod(0o755)
    return {"NETC_CC": str(path)}


def check_failing(folder):
    db = folder / "sweep.db"
    words = [TINY, "--over", "width=16,24,8", "--measure", "--rounds=1", "--throughput=1", f"--db={db}"]
    told = sweep_json(*words, env=fake_clang(folder), binary=NETC, timeout=300)["variants"]
    same([v["status"] for v in told], ["failed", "failed", "ok"], "a build that fails, a program that fails")
    for variant, words in zip(told, [["no such luck"], ["its program fails", "out of luck"]]):
        for word in words:
            if word not in variant["reason"]:
                raise Failure(f"{variant['name']}: {variant['reason']!r}")
        row = sqlite3.connect(db).execute("SELECT status, reason FROM variant WHERE defines = ?", [variant["defines"]]).fetchone()
        same(row, ("failed", variant["reason"]), "its row")
    same(told[2]["latency_1"]["n"], 1, "samples of the one that is well")


def growing_counter(folder):
    """Counters of energy that grow; the function that ends it."""
    zone = folder / "intel-rapl:0"
    zone.mkdir()
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    (zone / "energy_uj").write_text("1000000\n")
    done = threading.Event()

    def count():
        joules = 1.0
        while not done.wait(0.001):
            joules += 0.01
            (zone / "fresh").write_text(f"{int(joules * 1e6)}\n")
            (zone / "fresh").rename(zone / "energy_uj")

    thread = threading.Thread(target=count)
    thread.start()
    return lambda: (done.set(), thread.join())


def check_counters(folder):
    """Energy by a program alone: two joules in steps, over the counters' end, are all its runs' but for those beside the peak's."""
    program = folder / "tiny"
    expect_done(netc("build", TINY, "--weights=synthetic", "-o", program, binary=NETC, timeout=200), "build")
    zone = folder / "intel-rapl:0"
    zone.mkdir()
    part = folder / "intel-rapl:0:0"
    part.mkdir()
    (part / "name").write_text("core\n")
    (part / "energy_uj").write_text("5\n")
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    (zone / "energy_uj").write_text(f"{262143328850 - 10**6}\n")
    words = [str(program), "--bench", "--json", "--threads=1"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=dict(os.environ, NETC_POWERCAP=str(folder)))
    time.sleep(1)
    for step in range(1, 201):
        (zone / "fresh").write_text(f"{(262143328850 - 10**6 + 10**4 * step) % 262143328850}\n")
        (zone / "fresh").rename(zone / "energy_uj")
        time.sleep(0.002)
    told = json.loads(process.communicate(timeout=60)[0])
    joules = told["energy_j"] * told["runs"]
    if not 0.05 < joules < 2.001:
        raise Failure(f"{joules} J of the 2 that the counter tells")


def check_latency(folder):
    db = folder / "sweep.db"
    words = [TINY, "--over", "groups=2", "--solve", "width", "--equal", "latency=width:16,groups:1", "--tolerance", "60%", "--measure", "--rounds=2", "--throughput=1", f"--db={db}"]
    words += ["--where", "groups == 2"]  # which the reference need not meet
    told = sweep_json(*words, binary=NETC, timeout=300)
    variant = told["variants"][0]
    same(variant["status"], "ok", f"{variant['reason']}")
    deviation = variant["latency_1"]["median"] / told["equal"]["value"] - 1
    if abs(variant["deviation"] - deviation) > 1e-6 or abs(deviation) > 0.6:
        raise Failure(f"deviation {variant['deviation']}, by the medians {deviation}")
    tried = sqlite3.connect(db).execute("SELECT count(DISTINCT defines) FROM result WHERE what = 'latency' AND n > 0").fetchone()[0]
    if tried < 2:
        raise Failure(f"{tried} variants in the database, the reference and the solution at least")


def check_waves(folder):
    """A disk that holds the programs of two variants: three are measured all the same."""
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], capture_output=True).returncode != 0:
        raise Skip("no file system can be mounted here")
    try:
        told = sweep_json(TINY, "--over", "width=8,16,24", "--measure", "--rounds=1", "--throughput=1", env={"TMPDIR": str(disk)}, binary=NETC, timeout=300)
    finally:
        subprocess.run(["umount", disk], check=True)
    same([v["latency_1"]["n"] for v in told["variants"]], [1, 1, 1], "samples")


# ---- the database ----


def check_database(folder):
    fine, text, other, newer = (folder / name for name in ("fine.db", "text.db", "other.db", "newer.db"))
    text.write_text("this is no database\n" * 100)
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE songs (title TEXT)")
    words = [TINY, "--over", "width=8,16"]
    sweep(*words, f"--db={fine}")
    newer.write_bytes(fine.read_bytes())
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 2")
    for file, message in [(text, "is no SQLite database"), (other, "is a database of something else"), (newer, "is of version 2 of netc's databases")]:
        before = file.read_bytes()
        done = sweep(*words, f"--db={file}", expect=1)
        if message not in done.err or "[sweep_database]" not in done.err or done.out:
            raise Failure(f"{file.name}: {done.out}{done.err}")
        same(file.read_bytes() == before, True, f"{file.name} is as it was")
    same(sqlite3.connect(fine).execute("PRAGMA integrity_check").fetchone(), ("ok",), "the database's own check")
    parameters = [json.loads(row[0]) for row in sqlite3.connect(fine).execute("SELECT parameters FROM variant ORDER BY id")]
    same([p["width"] for p in parameters], [8, 16], "parameters in the database")
    row = sqlite3.connect(fine).execute("SELECT text, network, target, options, netc FROM variant").fetchone()
    same(row[0], TINY.read_text(), "the network's text")


def check_second(folder):
    db = folder / "sweep.db"
    sweep(TINY, "--over", "width=8", f"--db={db}")
    with open(db, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = sweep(TINY, "--over", "width=16", f"--db={db}", expect=1)
    if "another sweep is writing it" not in done.err:
        raise Failure(done.err)
    same(sqlite3.connect(db).execute("SELECT count(*) FROM variant").fetchone(), (1,), "rows")
    # A reader does not stop a sweep.
    reader = sqlite3.connect(db)
    reader.execute("SELECT * FROM variant").fetchone()
    sweep(TINY, "--over", "width=16", f"--db={db}")


def check_full_disk(folder):
    db = folder / "sweep.db"
    sweep(TINY, "--over", "width=8..12", f"--db={db}")
    limit = db.stat().st_size + 2048

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = [str(w) for w in [NETC, "sweep", TINY, "--over", "width=1..60", f"--db={db}"]]
    done = subprocess.run(words, capture_output=True, text=True, preexec_fn=full)
    same(done.returncode, 1, f"the code\n{done.stderr}")
    if "[sweep_database]" not in done.stderr or "what was measured before is kept" not in done.stderr:
        raise Failure(done.stderr)
    if "width" not in done.stdout:
        raise Failure("what is known is not told")
    same(sqlite3.connect(db).execute("PRAGMA integrity_check").fetchone(), ("ok",), "the database's own check")
    same(sqlite3.connect(db).execute("SELECT count(*) FROM variant").fetchone(), (5,), "rows that are kept")
    sweep(TINY, "--over", "width=1..60", f"--db={db}")
    same(sqlite3.connect(db).execute("SELECT count(*) FROM variant").fetchone(), (60,), "rows with room again")


def check_html(folder):
    page = folder / "r.html"
    sweep(TINY, "--over", "width=8,16", f"--html={page}")
    text = page.read_text()
    if "width=16" not in text or not text.startswith("<!"):
        raise Failure(f"the report has {len(text)} characters")
    done = sweep(TINY, "--over", "width=8", f"--html={folder}/nothing/r.html", expect=1)
    if "[build_write]" not in done.err or "width" not in done.out:
        raise Failure(done.out + done.err)


main(
    [
        ("ranges", check_ranges),
        ("combinations", check_product),
        ("sizes as networks shown alone have them", check_sizes),
        ("activations as published", check_activations),
        ("conditions", check_where),
        ("variants that are ruled out", check_cut),
        ("no variant that is a network", check_all_failed),
        ("solved against a search through all", check_solve),
        ("references", check_reference),
        ("tolerance", check_tolerance),
        ("table, CSV and JSON agree", check_forms),
        ("CSV's quotes", check_quoting),
        ("wrong input", check_wrong),
        ("a file with a fault", check_broken_file),
        ("other databases", in_folder(check_database)),
        ("a second sweep", in_folder(check_second)),
        ("a full disk", in_folder(check_full_disk)),
        ("a report", in_folder(check_html)),
        ("measured, then resumed", in_folder(check_measure)),
        ("interrupted on a terminal", in_folder(check_interrupted)),
        ("a build and a program that fail", in_folder(check_failing)),
        ("energy", in_folder(check_counters)),
        ("solved for a latency", in_folder(check_latency)),
        ("waves", in_folder(check_waves)),
    ]
)
