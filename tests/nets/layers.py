"""Single layers (layers.tsv, made of layers.net) and values inside of networks (taps.tsv) against the original definitions.

A tap is a batch norm, or a block or a stage: then it is the last value of that path. Numbers are compared as those of logits.tsv are.
Layers as programs of this machine's target are those that no network of SMALLEST has; ALL=1: all layers for all targets, and the
taps that are stages as outputs of programs.
"""

import json
from pathlib import Path

import numpy as np

import safetensors_numpy
import synthetic
from golden import judge, networks
from tap import ALL, NETC, TARGETS, Failure, Skip, expect_done, lacks, netc, parameter_count, run

HERE = Path(__file__).resolve().parent
LAYERS = "tests/nets/layers.net"
BUILT = ["coxt_layer", "split_r4_k2", "halo_attn_s2", "lambda_table_6x5"]
STAGES = {"layer1": "c2", "layer2": "c3", "layer3": "c4", "layer4": "c5"}


def rows(file):
    lines = [line.split("\t") for line in (HERE / file).read_text().splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def check_layer(out, row):
    file, path = f"{LAYERS}:{row['net']}", out / f"layer_{row['net']}.npy"
    params = parameter_count(expect_done(netc("show", "--params", file, binary=NETC), "netc show --params").out)
    if params != int(row["params"]):
        raise Failure(f"{params} parameters, {row['params']} were published")
    expect_done(netc("run", file, "--weights=synthetic", "--input=synthetic", "--output", path, binary=NETC), "the interpreter")
    judge(np.load(path), row, 1e-6)
    path.unlink()


def check_layer_program(out, row, target):
    file, program = f"{LAYERS}:{row['net']}", out / f"layer_{row['net']}__{target}"
    pixels, result = program.with_suffix(".in.npy"), program.with_suffix(".npy")
    np.save(pixels, synthetic.network_input([int(n) for n in row["input"].split("x")]).astype(np.float32))
    try:
        run_program(program, target, pixels, result, file)
        judge(np.load(result), row, 2e-4)
    finally:
        for path in (program, pixels, result):
            path.unlink(missing_ok=True)


def run_program(program, target, pixels, result, *words):
    expect_done(netc("build", *words, "--weights=synthetic", f"--target={target}", "-o", program, binary=NETC, timeout=600), "netc build")
    done = run([program, f"--tensor={pixels}", f"--output={result}"], timeout=600)
    if lacks(done):
        raise Skip(f"this processor does not run {target}")
    expect_done(done, "the program")


def check_batch(out):
    """An image has the same bits alone and in a batch, also in a last batch that is not full."""
    pixels, results = out / "chain.in.npy", []
    np.save(pixels, np.random.default_rng(3).standard_normal((4, 64, 8, 8)).astype(np.float32))
    for batch in (1, 3):
        program, result = out / f"chain_{batch}", out / f"chain_{batch}.npy"
        run_program(program, "native", pixels, result, f"{LAYERS}:chain", f"--batch={batch}")
        results.append(np.load(result))
        program.unlink()
        result.unlink()
    pixels.unlink()
    if not np.isfinite(results[0]).all() or results[0].tobytes() != results[1].tobytes():
        raise Failure("batch 1 and batch 3 give different bits")


def check_radix_0(out):
    """ResNeSt without attention is ResNet-50-D."""
    path = out / "radix_0.npy"
    expect_done(netc("run", "netdefs/resnest50.net", "-D", "radix=0", "-D", "image=72", "--weights=synthetic", "--input=synthetic", "--output",
                     path, binary=NETC), "the interpreter")
    next(network for network in networks(out) if network.name == "resnet50d").judge(path, 1e-6)
    path.unlink()


def show(words):
    return json.loads(expect_done(netc("show", "--json", *words, binary=NETC), "netc show --json").out)


def check_taps(out, network, taps):
    """The stages are outputs; for the others the run is told what to write."""
    words = [f"netdefs/{network}.net", "-D", "image=72", "-D", "features=true"]
    path = out / f"taps_{network}.safetensors"
    interpret = ["run", *words, "--weights=synthetic", "--input=synthetic", "--output"]
    expect_done(netc(*interpret, path, binary=NETC, timeout=600), "the interpreter")
    outputs = safetensors_numpy.load(str(path))[0]
    path.unlink()
    names = [node["name"] for node in show(words)["nodes"]]
    path = path.with_suffix(".npy")
    for row in taps:
        if row["tap"] in STAGES:
            value = outputs[STAGES[row["tap"]]]
        else:
            inside = [name for name in names if name == row["tap"] or name.startswith(row["tap"] + ".")]
            if not inside:
                raise Failure(f"{network} has nothing of the name {row['tap']}")
            expect_done(netc(*interpret, path, f"--layer={inside[-1]}", binary=NETC, timeout=600), "the interpreter")
            value = np.load(path)
            path.unlink()
        if list(value.shape[-3:]) != [int(n) for n in row["shape"].split("x")]:
            raise Failure(f"{row['tap']} has the shape {list(value.shape)}, not {row['shape']}")
        try:
            judge(value, row, 1e-6)
        except Failure as failure:
            raise Failure(f"{row['tap']}: {failure}")


def check_stages(out, network, taps, target):
    program = out / f"stages_{network}__{target}"
    pixels, result = program.with_suffix(".in.npy"), program.with_suffix(".safetensors")
    np.save(pixels, synthetic.network_input([3, 72, 72]).astype(np.float32))
    try:
        run_program(program, target, pixels, result, f"netdefs/{network}.net", "-D", "image=72", "-D", "features=true")
        outputs = safetensors_numpy.load(str(result))[0]
        for row in taps:
            judge(outputs[STAGES[row["tap"]]], row, 2e-4)
    finally:
        for path in (program, pixels, result):
            path.unlink(missing_ok=True)


def cases(out):
    for row in rows("layers.tsv"):
        yield f"nets/layer {row['net']} interpreter", lambda r=row: check_layer(out, r)
        for target in TARGETS if ALL else ["native"] if row["net"] in BUILT else []:
            yield f"nets/layer {row['net']} {target}", lambda r=row, t=target: check_layer_program(out, r, t)
    yield "nets/layers in batches", lambda: check_batch(out)
    yield "nets/resnest50 of radix 0", lambda: check_radix_0(out)
    taps = {}
    for row in rows("taps.tsv"):
        taps.setdefault(row["network"], []).append(row)
    for network, own in taps.items():
        yield f"nets/{network} inside, interpreter", lambda n=network, t=own: check_taps(out, n, t)
        for target in TARGETS if ALL else []:
            stages = [row for row in own if row["tap"] in STAGES]
            yield f"nets/{network} stages {target}", lambda n=network, s=stages, t=target: check_stages(out, n, s, t)
