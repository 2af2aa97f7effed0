"""--bench, --info, the processor that lacks something, wrong usage."""

import json
import re
import subprocess

import numpy as np

from harness import check, Folder, OUT, program, refuse, some_pictures


def test_bench():
    for arguments, runs in ((["--runs=7", "--threads=1"], 7), (["--runs=2", "--threads=2"], 2)):
        result = program("batch4", "--bench", "--json", *arguments)
        value, rest = json.JSONDecoder().raw_decode(result.out)
        check(rest == len(result.out) - 1 and result.out.endswith("\n") and not result.err, f"{result.out!r}")
        wanted = {"network", "target", "median_ms", "min_ms", "p10_ms", "p90_ms", "threads", "batch", "runs", "gflops",
                  "peak_gflops", "share"}
        check(wanted <= set(value), f"missing: {wanted - set(value)}")
        check(value["runs"] == runs and value["batch"] == 4 and value["threads"] == int(arguments[1][-1]), f"{value}")
        check(0 < value["min_ms"] <= value["p10_ms"] <= value["median_ms"] <= value["p90_ms"], f"{value}")
        check(abs(value["gflops"] / (2e-6 * 784 * 4 / value["median_ms"]) - 1) < 1e-6 and value["peak_gflops"] > 0,
              f"{value}")
        check(abs(value["share"] - value["gflops"] / value["peak_gflops"]) < 1e-6, f"{value}")
    text = program("fake", "--bench", "--runs=3").out
    check(re.search(r"median .* ms .*minimum .*\n.* GFLOP/s, .* % of the peak", text), text)


def test_stale_mark():
    """libomp's mark in /dev/shm, left empty by a killed process that had this one's number."""
    command = 'mark=/dev/shm/__KMP_REGISTERED_LIB_$$_$(id -u); : > $mark && exec "$0" --bench --runs=1 --json'
    done = subprocess.run(["/bin/sh", "-c", command, OUT / "fake"], capture_output=True, text=True)
    check(done.returncode == 0 and json.loads(done.stdout)["runs"] == 1, f"ended with {done.returncode}\n{done.stderr}")


def test_info():
    value = json.loads(program("two", "--info", "--json").out)
    check(value["network"] == "fake" and value["macs"] == 784 and value["weights_digest"] == "123456789abcdef0",
          f"{value}")
    check(value["inputs"][1] == {"name": "bias", "shape": [10]} and value["outputs"][1]["shape"] == [2, 2], f"{value}")
    check({"parameters", "target", "netc_version", "workspace_bytes", "weights_bytes", "batch"} <= set(value),
          f"{value}")
    text = program("two", "--info").out
    check("pixels [1,28,28], from pictures" in text and "digest 123456789abcdef0" in text, text)


def test_lacks():
    np.save(Folder("lacks") / "x.npy", some_pictures(1, 28, 28))
    for arguments in (["--bench"], [f"--tensor={OUT / 'files' / 'lacks' / 'x.npy'}"], ["--dataset=a,b"]):
        refuse(["built for scalar", "lacks quantum instructions"], "lacks", *arguments)
    check("lacks quantum instructions" in program("lacks", "--info").out, "--info does not say so")
    check(json.loads(program("lacks", "--info", "--json").out)["processor_lacks"] == "quantum instructions", "json")


WRONG_USAGE = [
    ("nothing to do", []),
    ("no option --frobnicate", ["--frobnicate"]),
    ("no option -x", ["-xy"]),
    ("takes no value", ["--bench=3"]),
    ("--tensor needs a value", ["--tensor"]),
    ("only one of", ["--bench", "--info"]),
    ("--threads", ["--bench", "--threads=0"]),
    ("--threads", ["--bench", "--threads=99999"]),
    ("--runs", ["--bench", "--runs=x"]),
    ("--runs goes", ["--info", "--runs=3"]),
    ("--top", ["--tensor=x", "--top="]),
    (".npy or .safetensors", ["--tensor=x", "--output=y.txt"]),
    ("goes with pictures or --tensor", ["--bench", "--output=y.npy"]),
    ("goes with --dataset", ["--bench", "--contact-sheet=s.png"]),
    ("give one", ["--tensor=x", "--output=y.npy", "--json"]),
]


def test_usage():
    for word, arguments in WRONG_USAGE:
        refuse(word, "fake", *arguments, code=2)
    check("--tensor" in program("fake", "--help").out, "help")
    check(program("fake", "--version").out == "fake, compiled by netc 0.0 for scalar\n", "version")
