"""ONNX export: what ONNX's checker says of a model, and what ONNX Runtime computes with it.

A model passes when onnx.checker takes it, onnx.shape_inference finds netc's shapes without having been told them, its initializers are
the checkpoint's tensors, and ONNX Runtime gives the reference interpreter's values within 1e-4 of the largest magnitude, for an image
alone and in a batch of three different ones. That is tried with one net an operator (operators.net; ONNX's own evaluator must agree,
too), with random networks (tests/torch/random_nets.py; EXPORT_NETS=N of them, from EXPORT_SEED on) and with every network of
netdefs: without ALL=1 one of each family, with one unit a stage and small pictures. Two are also judged by the program that netc builds.
"""

import os
import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.append(str(HERE.parent / "torch"))
import safetensors_numpy
from bad_input import bad_input
from judge import BATCH, OUT, check, export, images, loaded, outputs_of, session, values_of
from tap import ALL, NETC, ROOT, SANITISED, Failure, Skip, expect_done, leave_out, main, netc, run

SEED = int(os.environ.get("EXPORT_SEED", "1000"))
COUNT = int(os.environ.get("EXPORT_NETS", "300" if ALL else "30"))
TOLERANCE = 1e-4


# ---- one net an operator ----

def operator_cases():
    names = re.findall(r"^net (\w+)", (HERE / "operators.net").read_text(), re.M)
    for name in names:
        if name == "two_inputs":  # the interpreter's command takes nets with one
            yield name, check_two_inputs
        else:
            yield name, lambda name=name: check(f"{HERE / 'operators.net'}:{name}", f"operators_{name}", binary=SANITISED,
                                                  by_onnx=ALL or name != "sizes")  # it takes 10 s there


def check_two_inputs():
    source, program = f"{HERE / 'operators.net'}:two_inputs", OUT / "two_inputs"
    left, right = images([3, 5, 5]), images([4])[::-1].copy()
    np.save(OUT / "left.npy", left)
    np.save(OUT / "right.npy", right)
    expect_done(netc("build", source, "--weights=synthetic", "--parts=1", "-o", program, binary=NETC), "netc build")
    expect_done(run([program, f"--tensor=left:{OUT / 'left.npy'}", f"--tensor=right:{OUT / 'right.npy'}",
                     f"--output={OUT / 'two.safetensors'}"]), "the program")
    wanted = safetensors_numpy.load(str(OUT / "two.safetensors"))[0]
    got = session(export(source, "two_inputs")).run(["sum_of", "product"], {"left": left, "right": right})
    for name, values in zip(["sum_of", "product"], got):
        values_of(values, wanted[name], TOLERANCE, name)


# ---- random networks ----

def random_case(seed):
    def case():
        expect_done(run([sys.executable, HERE.parent / "torch/random_nets.py", "--seed", seed, "--count", 1, "--out", OUT]), "random_nets.py")
        check(OUT / f"random_{seed}.net", f"random_{seed}", binary=SANITISED)
        (OUT / f"random_{seed}.net").unlink()
    return f"random_{seed}", case


# ---- the networks ----

def family(name):
    """`se_cotnetd` of se_cotnetd_50; the 2 of Res2Net is a part of the word."""
    return re.split(r"_?\d", name.replace("res2ne", "res-two-ne"))[0]


def settings(source, small):
    """-D options with which the network is small; the first that it takes. Attention has tables for certain sizes only."""
    text = source.read_text()
    sizes = [["-D", f"image={image}"] for image in (64, 96, 128, 256)] if re.search(r"\bimage\s*=", text) else []
    units = [["-D", "blocks=[1, 1, 1, 1]"], []] if small and re.search(r"\bblocks\s*=", text) else [[]]
    for size in [*sizes, []]:
        for unit in units:
            if netc("check", source, *size, *unit, binary=NETC).code == 0:
                return size + unit
    raise Failure(f"{source.name} is not valid with any of the sizes")


def network_case(source, small):
    def case():
        options = settings(source, small)
        if re.search(r"\bfeatures\s*=", source.read_text()):
            options += ["-D", "features=true"]
        check(source, f"net_{source.stem}", options, timeout=600, interpreted=[2])
    return source.stem, case


def network_cases():
    chosen = {}
    for source in sorted((ROOT / "netdefs").glob("*.net")):
        key = source.stem if ALL else family(source.stem)
        chosen.setdefault(key, source)
    for source in chosen.values():
        yield network_case(source, small=not ALL)


def check_fashion(source):
    """The trained one: a checkpoint's bits as initializers, and the logits of the program that netc builds."""
    weights = source.with_suffix(".safetensors")
    if not weights.exists():
        return check(source, f"fashion_{source.stem}")
    check(source, f"fashion_{source.stem}", weights=weights)
    program, pixels, logits = OUT / f"fashion_{source.stem}", OUT / f"fashion_{source.stem}.x.npy", OUT / f"fashion_{source.stem}.y.npy"
    expect_done(netc("build", source, f"--weights={weights}", "-o", program, binary=NETC), "netc build")
    np.save(pixels, images([1, 28, 28]))
    expect_done(run([program, f"--tensor={pixels}", f"--output={logits}"]), "the program")
    got = session(export(source, f"fashion_{source.stem}", weights=weights)).run(None, {"pixels": np.load(pixels)})[0]
    values_of(got, np.load(logits), TOLERANCE, "logits against the program")
    for path in (program, pixels, logits):
        path.unlink()


def check_batch():
    """--batch=N: sizes are numbers everywhere, and the values the same."""
    source = ROOT / "netdefs/fashion/resnext.net"
    path = export(source, "fixed", ["--batch=3"])
    model = loaded(path)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in [*model.graph.input, *model.graph.output]}
    if shapes != {"pixels": [BATCH, 1, 28, 28], "logits": [BATCH, 10]}:
        raise Failure(f"with --batch=3: {shapes}")
    pixels = images([1, 28, 28])
    fixed = session(path).run(None, {"pixels": pixels})[0]
    free = session(export(source, "free")).run(None, {"pixels": pixels})[0]
    values_of(fixed, free, 1e-6, "logits")
    for net in ("loose", "kernels_of_images"):
        check(f"{HERE / 'operators.net'}:{net}", f"fixed_{net}", batch=BATCH)


def check_properties():
    """What the model says about itself, as `netc show --json` says it; the same bytes at each export."""
    import json
    source = ROOT / "netdefs/fashion/resnext.net"
    path = export(source, "properties")
    model = loaded(path)
    said, graph = {entry.key: json.loads(entry.value) for entry in model.metadata_props}, outputs_of(source)[0]
    wanted = {"netc.preprocess.pixels": graph["inputs"][0]["preprocess"], "netc.labels.logits": graph["outputs"][0]["labels"]}
    if said != wanted:
        raise Failure(f"properties {said}, not {wanted}")
    about = (model.ir_version, model.opset_import[0].version, model.producer_name, model.producer_version, model.graph.name)
    if about != (8, 17, "netc", graph["netc"], graph["network"]):
        raise Failure(f"the model is of {about}")
    if export(source, "again").read_bytes() != path.read_bytes():
        raise Failure("two exports differ")


def cases():
    for name, case in operator_cases():
        yield f"operators/{name}", case
    for seed in range(SEED, SEED + COUNT):
        yield random_case(seed)
    for source in sorted((ROOT / "netdefs/fashion").glob("*.safetensors")):
        yield f"fashion/{source.stem}", lambda source=source: check_fashion(source.with_suffix(".net"))
    yield "batch", check_batch
    yield "properties", check_properties
    yield from network_cases()
    yield from bad_input()


def possible(case):
    try:
        import onnx
        import onnxruntime
    except ImportError as lacking:
        raise Skip(f"{lacking.name} is missing (build/venv)")
    case()


if __name__ == "__main__":
    wanted = sys.argv[1:]
    leave_out("all networks but one of each family, cut short; most random ones")
    main([(f"export/{name}", lambda case=case: possible(case)) for name, case in cases() if not wanted or any(word in name for word in wanted)])
