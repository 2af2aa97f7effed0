#!/usr/bin/python3
"""Random networks in three ways: PyTorch in float64 as the judge, the interpreter, and programs of every target.

First the scripts test themselves (self_test.py). TORCH_NETS=N networks (default 24), of which every fourth is built as a program.
A network depends on its seed only: TORCH_SEED=137 TORCH_NETS=1 runs random_137 again.
"""

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import ALL, BUILD, NETC, ROOT, TARGETS, Failure, Skip, expect_done, main, netc, run

OUT = BUILD / "tests" / "torch"
OUT.mkdir(parents=True, exist_ok=True)
PYTHON = os.environ.get("PYTHON", "/usr/bin/python3")
SEED = int(os.environ.get("TORCH_SEED", "1"))
COUNT = int(os.environ.get("TORCH_NETS", "200" if ALL else "24"))


def script(name, *arguments, what=None, **options):
    return expect_done(run([PYTHON, HERE / name, *arguments], timeout=600, **options), what or name)


def compare(path, judge, tolerance):
    done = run([PYTHON, HERE / "compare.py", path, judge, "--tolerance", tolerance])
    if done.code != 0:
        raise Failure(f"{path.name} against PyTorch: {done.out.strip()} {done.err.strip()}")


def check_net(seed, targets):
    name = f"random_{seed}"
    source, graph = OUT / f"{name}.net", OUT / f"{name}.json"
    pixels, judge, mine = OUT / f"{name}.in.npy", OUT / f"{name}.torch.npy", OUT / f"{name}.eval.npy"
    script("random_nets.py", "--seed", seed, "--count", 1, "--out", OUT)
    graph.write_text(expect_done(netc("show", "--json", source), "netc show --json").out)
    script("net_torch.py", graph, "--weights", "synthetic", "--input", "synthetic", "--output", judge, "--double")
    expect_done(netc("run", source, "--weights=synthetic", "--input=synthetic", "--output", mine), "the interpreter")
    compare(mine, judge, 1e-6)
    if targets:
        import json
        import numpy as np
        import synthetic
        shape = json.loads(graph.read_text())["inputs"][0]["shape"]
        np.save(pixels, synthetic.network_input(shape).astype(np.float32))
    for target in targets:
        program, result = OUT / f"{name}__{target}", OUT / f"{name}__{target}.npy"
        expect_done(netc("build", source, "--weights=synthetic", f"--target={target}", "-o", program), f"netc build for {target}")
        done = run([program, f"--tensor={pixels}", f"--output={result}"])
        if done.code != 0 and re.search(r"this processor|not supported|lacks", done.err):
            continue
        expect_done(done, f"the program of {target}")
        compare(result, judge, 1e-4)
        program.unlink()


sys.path.insert(0, str(HERE))
cases = [("torch/the scripts themselves", lambda: script("self_test.py"))]
for seed in range(SEED, SEED + COUNT):
    built = TARGETS if ALL or seed % 4 == 1 or COUNT == 1 else []
    cases.append((f"torch/random_{seed}", lambda seed=seed, built=built: check_net(seed, built)))
main(cases)
