#!/usr/bin/python3
"""netc sweep --train: what is trained, what is kept, what a failure leaves; and the script's own errors.

Most cases have a stand-in for PyTorch (fake_python), which counts what it is asked for; one trains two variants in earnest, on 64
pictures. Broken by hand, each of these was seen to fail: the check of a result's graph, the resume, the error's last writing.
"""

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import NETC, ROOT, Failure, Skip, expect_done, main, run

DATA = Path("/usr/share/datasets/fashion-mnist")
PYTHON = "/usr/bin/python3"
SCRIPT = ROOT / "tests/torch/train_fashion.py"
NET = """net small(width = 8, classes = 10)
{
    input pixels [1, 28, 28] from picture |> gray |> resize(exact = [28, 28]) |> normalize([0.5], [0.25])
    output logits = pixels |> conv1: conv(width, 3, stride = 4) |> bn1: batch_norm |> relu |> flatten |> fc: linear(classes)
}
"""


class Folder:
    """A scratch folder with small.net; TMPDIR must be empty at the end."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="netc-sweep-train-"))
        self.temporary = self.path / "tmp"
        self.temporary.mkdir()
        self.calls = self.path / "calls"
        (self.path / "small.net").write_text(NET)
        return self

    def __exit__(self, kind, *_):
        left = list(self.temporary.iterdir())
        shutil.rmtree(self.path, ignore_errors=True)
        if left and not kind:
            raise Failure(f"left behind in TMPDIR: {left}")

    def environment(self, **more):
        return {"TMPDIR": str(self.temporary), "NETC_PYTHON": str(HERE / "fake_python"), "FAKE_CALLS": str(self.calls), **more}

    def sweep(self, *arguments, over="width=8,16", db="s.db", code=0, **environment):
        words = [NETC, "sweep", "small.net", "--over", over, "--train", "--json", *arguments]
        got = run(words + ([f"--db={db}"] if db else []), cwd=self.path, env=self.environment(**environment))
        if got.code != code:
            raise Failure(f"{' '.join(map(str, words[1:]))} ended with {got.code}, not {code}\n{got.out[:500]}{got.err[:2000]}")
        got.variants = json.loads(got.out)["variants"] if got.out else []
        return got

    def trained(self):
        """How many trainings there were since it was last asked."""
        n = len(self.calls.read_text().splitlines()) if self.calls.exists() else 0
        self.calls.unlink(missing_ok=True)
        return n


def equal(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: {found}, not {wanted}")


def contains(text, *parts):
    for part in parts:
        if part not in text:
            raise Failure(f"no '{part}' in\n{text[:2000]}")


def accuracies(got):
    return [(v["accuracy"] or {}).get("samples") for v in got.variants]


def needs_torch():
    if not DATA.is_dir():
        raise Skip("Fashion-MNIST is missing (Debian's dataset-fashion-mnist)")
    if subprocess.run([PYTHON, "-c", "import torch"], capture_output=True).returncode:
        raise Skip("PyTorch is missing (Debian's python3-torch)")


def check_resume():
    with Folder() as f:
        equal(accuracies(f.sweep("--seeds=2")), [[91, 92]] * 2, "two seeds")
        equal(f.trained(), 4, "trainings")
        equal(accuracies(f.sweep("--seeds=2")), [[91, 92]] * 2, "the same again")
        equal(f.trained(), 0, "trainings of the same again")
        equal(accuracies(f.sweep("--seeds=2", "--seed=2", over="width=8,16,32")), [[91, 92, 93]] * 2 + [[92, 93]], "one more of both")
        equal(f.trained(), 4, "trainings of a further seed and variant")
        got = f.sweep("--seeds=1", "--epochs=5")
        equal([v["accuracy"]["options"] for v in got.variants], ["epochs=5 rate=0.15"] * 2, "other settings")
        equal(f.trained(), 2, "trainings with more epochs")
        got = f.sweep("--seeds=1")
        equal([v["accuracy"]["options"] for v in got.variants], ["epochs=4 rate=0.15"] * 2, "the first settings again")
        (f.path / "small.net").write_text("# a comment more\n\n" + NET)
        f.sweep("--seeds=2")
        equal(f.trained(), 0, "trainings after another comment in the .net file")
        with sqlite3.connect(f.path / "s.db") as db:
            equal(db.execute("SELECT count(*) FROM variant").fetchone(), (3,), "variants after another comment")


def check_figure():
    with Folder() as f:
        figure = f.sweep("--seeds=3", db=None).variants[0]["accuracy"]
        found = {name: figure[name] for name in ("mean", "sd", "n", "unit", "error", "options", "compiler")}
        equal(found, {"mean": 92, "sd": 1, "n": 3, "unit": "%", "error": None, "options": "epochs=4 rate=0.15",
                      "compiler": "torch 0.0-fake"}, "the figure")
        equal(sorted(path.name for path in f.path.iterdir()), ["calls", "small.net", "tmp"], "files of a sweep without --db")


def check_found_results():
    """Results in the work folder count without a database, if they are of the same graph and settings."""
    with Folder() as f:
        f.sweep("--seeds=2")
        (f.path / "s.db").unlink()
        f.trained()
        equal(accuracies(f.sweep("--seeds=2")), [[91, 92]] * 2, "results found")
        equal(f.trained(), 0, "trainings where results are there")
        for damage, change in enumerate(({"graph": "0123456789abcdef"}, {"epochs": 9}, {"torch": "1"}, {"limit": 64}, {"seed": 3},
                                         {"data": "/"}, {"accuracy": None}, None)):
            (f.path / "s.db").unlink()
            path = sorted((f.path / "s.db.train").glob("*.json"))[damage % 4]
            path.write_text("{" if change is None else json.dumps({**json.loads(path.read_text()), **change}))
            equal(accuracies(f.sweep("--seeds=2")), [[91, 92]] * 2, f"results with {change}")
            equal(f.trained(), 1, f"trainings where one result has {change}")


def check_interrupted():
    for number in (signal.SIGINT, signal.SIGTERM):
        with Folder() as f:
            words = [NETC, "sweep", "small.net", "--over", "width=8,16", "--train", "--seeds=2", "--jobs=1", "--json", "--db=s.db"]
            child = subprocess.Popen(words, cwd=f.path, env=dict(os.environ, **f.environment(FAKE_SLEEP="4")),
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(600):
                if f.calls.exists() and len(f.calls.read_text().splitlines()) == 4:
                    break
                time.sleep(0.05)
            child.send_signal(number)
            out, err = child.communicate(timeout=20)
            equal(child.returncode, -number, f"the end by signal {number}")
            equal([v["accuracy"]["samples"] for v in json.loads(out)["variants"]], [[91, 92], [91]], "what is told at the end")
            f.trained()
            equal(accuracies(f.sweep("--seeds=2")), [[91, 92]] * 2, "the same again")
            equal(f.trained(), 1, "trainings that were missing")


def check_failing_variant():
    with Folder() as f:
        got = f.sweep("--seeds=2", "--jobs=1", over="classes=11,10")
        equal(accuracies(got), [[], [91, 92]], "a variant that fails and one that does not")
        equal([v["status"] for v in got.variants], ["ok", "ok"], "their status")
        equal(got.variants[0]["accuracy"]["error"], "seed 2: ValueError: logits is [11]", "the error")
        equal(got.variants[1]["accuracy"]["error"], None, "the other's error")
        f.trained()
        f.sweep("--seeds=2", over="classes=11,10")
        equal(f.trained(), 2, "trainings that are tried again")
        words = [NETC, "sweep", "small.net", "--over", "classes=11,10", "--train", "--seeds=2", "--jobs=1", "--db=s.db"]
        table = expect_done(run(words, cwd=f.path, env=f.environment()), "netc sweep").out
        contains(table, "training failed: classes=11: seed 2: ValueError: logits is [11]", "of 2 trainings on Fashion-MNIST, epochs=4 rate=0.15")
        lines = expect_done(run(words + ["--csv"], cwd=f.path, env=f.environment()), "netc sweep").out.splitlines()
        equal([line.split(",")[-1] for line in lines[1:]], ["seed 2: ValueError: logits is [11]", ""], "reasons of the CSV")


def check_late_seed():
    """An error of one seed stays though a later one goes well."""
    with Folder() as f:
        f.sweep("--seeds=2", over="width=8")
        (f.path / "s.db").unlink()
        f.trained()
        first = next((f.path / "s.db.train").glob("*seed=1.json"))
        first.unlink()
        first.mkdir()  # cannot be written
        second = next((f.path / "s.db.train").glob("*seed=2.json"))
        second.unlink()
        accuracy = f.sweep("--seeds=2", "--jobs=1", over="width=8").variants[0]["accuracy"]
        equal(accuracy["samples"], [92], "the other seed")
        contains(accuracy["error"] or "", "seed 1: IsADirectoryError")


def check_missing():
    with Folder() as f:
        plain = f.path / "python"  # Debian's modules come in by site
        plain.write_text(f'#!/bin/sh\nexec {PYTHON} -S "$@"\n')
        plain.chmod(0o755)
        got = f.sweep(code=1, NETC_PYTHON=str(plain))
        contains(got.err, "sweep_train", "has no module", "apt install python3-torch python3-numpy", "NETC_PYTHON")
        got = f.sweep(code=1, NETC_PYTHON="/nowhere/python3")
        contains(got.err, "sweep_train", "/nowhere/python3", "cannot be started", "NETC_PYTHON")
        got = f.sweep(code=1, NETC_PYTHON="no-such-python")
        contains(got.err, "sweep_train", "no-such-python")
        if not (f.path / "s.db").exists():
            raise Failure("no database is left")
        got = run([NETC, "sweep", "small.net", "--epochs=2"], cwd=f.path)
        equal(got.code, 2, "the code of --epochs without --train")
        contains(got.err, "of --train")


def check_data():
    needs_torch()
    with Folder() as f:
        got = f.sweep("--data=.", code=1, NETC_PYTHON=PYTHON)
        contains(got.err, "sweep_train", "train-images-idx3-ubyte.gz is not there", "apt install dataset-fashion-mnist", "--data")
        for path in DATA.iterdir():
            shutil.copy(path, f.path)
        images = f.path / "t10k-images-idx3-ubyte.gz"
        for damage in (b"no gzip", gzip.compress(b"\0\0\x08\x03"), images.read_bytes()[:1000], gzip.compress(b"")):
            images.write_bytes(damage)
            got = f.sweep("--data=.", code=1, NETC_PYTHON=PYTHON)
            contains(got.err, "sweep_train", "t10k-images-idx3-ubyte.gz is no IDX file")


def check_trained():
    """In earnest; the same seed gives the same bits, and another one others."""
    needs_torch()
    with Folder() as f:
        words = ("--seeds=2", "--epochs=2", "--train-limit=512")
        python = {"NETC_PYTHON": "python3", "PATH": "/usr/bin:" + os.environ["PATH"]}  # found in PATH
        once = f.sweep(*words, **python)
        results = [json.loads(path.read_text()) for path in sorted((f.path / "s.db.train").glob("*.json"))]
        equal(len(results), 4, "results")
        equal({(r["epochs"], r["pictures"], r["tested"], r["shift"], r["rate"]) for r in results}, {(2, 512, 512, 1, 0.15)}, "settings")
        equal(len({r["loss"] for r in results}), 4, "different losses")
        again = f.sweep(*words, db="t.db", **python)
        for path in (f.path / "t.db.train").glob("*.json"):
            first, second = (json.loads((f.path / db / path.name).read_text()) for db in ("s.db.train", "t.db.train"))
            equal(second["loss"], first["loss"], "the loss of the same seed")
        equal(accuracies(again), accuracies(once), "the same seeds")
        for v in once.variants:
            if v["accuracy"]["n"] != 2 or not 5 < v["accuracy"]["mean"] < 90:
                raise Failure(f"accuracy {v['accuracy']}")


def graph_of(folder, **defines):
    words = [f"-D{name}={value}" for name, value in defines.items()]
    path = folder.path / "graph.json"
    path.write_text(expect_done(run([NETC, "show", "small.net", "--json", *words], cwd=folder.path), "netc show").out)
    return path


def check_script():
    """The script by itself: a network that does not fit, nothing to write, a rate that is too high, a signal."""
    needs_torch()
    with Folder() as f:
        script = lambda *words: run([PYTHON, SCRIPT, *words], cwd=f.path)
        got = script(graph_of(f, classes=11), "--result=r.json", "--limit=64")
        equal(got.code, 1, "eleven outputs")
        contains(got.err, "one output [10]")
        graph = graph_of(f)
        equal(script(graph).code, 2, "nothing to write")
        got = script(graph, "--result=r.json", "--limit=256", "--epochs=8", "--rate=1e30")
        equal(got.code, 1, "a rate that is too high")
        contains(got.err, "the loss is not a number")
        equal(script("nowhere.json", "--result=r.json").err, "train_fashion.py: [Errno 2] No such file or directory: 'nowhere.json'\n",
              "no graph")
        for number in (signal.SIGINT, signal.SIGTERM):
            child = subprocess.Popen([PYTHON, SCRIPT, graph, "--result=r.json", "--output=r.safetensors"], cwd=f.path,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            child.stdout.readline()  # the networks's name: it begins
            child.send_signal(number)
            _, err = child.communicate(timeout=30)
            equal(child.returncode, -number, "the end by a signal")
            contains(err, f"stopped by {signal.Signals(number).name}, nothing written")
        equal(sorted(path.name for path in f.path.iterdir()), ["graph.json", "small.net", "tmp"], "files left")


main([("sweep_train/what is trained already", check_resume),
      ("sweep_train/the figure", check_figure),
      ("sweep_train/results that are there already", check_found_results),
      ("sweep_train/stopped in the middle", check_interrupted),
      ("sweep_train/a variant that fails", check_failing_variant),
      ("sweep_train/a seed that fails", check_late_seed),
      ("sweep_train/no torch, no Python", check_missing),
      ("sweep_train/no pictures", check_data),
      ("sweep_train/two variants in earnest", check_trained),
      ("sweep_train/the script by itself", check_script)])
