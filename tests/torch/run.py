#!/usr/bin/python3
"""Random networks in three ways: PyTorch in float64 as the judge, the interpreter, and programs of every target.

First the scripts test themselves (self_test.py). TORCH_NETS=N networks (default 24), of which every fourth is built as a program.
A network depends on its seed only: TORCH_SEED=137 TORCH_NETS=1 runs random_137 again.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import ALL, BUILD, NETC, ROOT, TARGETS, Failure, Skip, expect_done, lacks, leave_out, main, netc, run

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
        if lacks(done):
            continue
        expect_done(done, f"the program of {target}")
        compare(result, judge, 1e-4)
        program.unlink()


def same_numbers(mine, judge, graph, what):
    """Infinities and what is no number stand in the same places, and the rest is close; of each part of the result."""
    import numpy as np
    parts = {node["name"]: node for node in graph["nodes"]}
    mine, judge, start = np.load(mine).astype(np.float64).reshape(-1), np.load(judge).reshape(-1), 0
    for flat in next(node for node in graph["nodes"] if node["op"] == "concat")["inputs"]:
        end, name = start + parts[flat]["shape"][0], parts[flat]["inputs"][0]
        a, b, start = mine[start:end], judge[start:end], end
        finite = np.isfinite(b)
        wrong = ~((a == b) | (np.isnan(a) & np.isnan(b)) | (finite & np.isfinite(a)))
        if wrong.any():
            at = np.flatnonzero(wrong)[0]
            raise Failure(f"{what}, {name}: element {at} of {len(a)} is {a[at]}, PyTorch's {b[at]}; {wrong.sum()} like that")
        if finite.any() and np.abs(a - b)[finite].max() > 1e-5 * np.abs(b[finite]).max():
            raise Failure(f"{what}, {name}: off by {np.abs(a - b)[finite].max():g}")


def check_awkward():
    import json
    import numpy as np
    import synthetic
    source, graph = HERE / "awkward.net", OUT / "awkward.json"
    pixels, judge, mine = OUT / "awkward.npy", OUT / "awkward.torch.npy", OUT / "awkward.eval.npy"
    x = synthetic.network_input([6, 7, 5])[0].astype(np.float32)
    for place, value in (((0, 3, 2), np.nan), ((2, 0, 0), np.inf), ((2, 6, 4), -np.inf), ((4, 1, 3), np.inf),
                         ((5, 2, 0), 1e-42), ((5, 2, 1), -np.inf)):
        x[place] = value
    np.save(pixels, x)
    graph.write_text(expect_done(netc("show", "--json", source), "netc show --json").out)
    parts = json.loads(graph.read_text())
    script("net_torch.py", graph, "--weights", "synthetic", "--input", pixels, "--output", judge, "--double")
    expect_done(netc("run", source, "--weights=synthetic", "--input", pixels, "--output", mine), "the interpreter")
    same_numbers(mine, judge, parts, "the interpreter")
    for target in TARGETS:
        program, result = OUT / f"awkward__{target}", OUT / f"awkward__{target}.npy"
        expect_done(netc("build", source, "--weights=synthetic", f"--target={target}", "-o", program), f"netc build for {target}")
        done = run([program, f"--tensor={pixels}", f"--output={result}"])
        if lacks(done):
            continue
        same_numbers(result, judge, parts, f"the program of {target}")


sys.path.insert(0, str(HERE))
cases = [("torch/the scripts themselves", lambda: script("self_test.py")),
         ("torch/infinities and what is no number", check_awkward)]
for seed in range(SEED, SEED + COUNT):
    built = TARGETS if ALL or seed % 4 == 1 or COUNT == 1 else []
    cases.append((f"torch/random_{seed}", lambda seed=seed, built=built: check_net(seed, built)))
leave_out("random networks beyond 24, and most of their programs")
main(cases)
