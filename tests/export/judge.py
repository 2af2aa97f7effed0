"""A model against ONNX's checker, ONNX's shape inference, ONNX Runtime and netc's interpreter."""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.append(str(HERE.parent / "torch"))
import safetensors_numpy
import synthetic
from tap import BUILD, NETC, Failure, expect_done, netc

OUT = BUILD / "tests" / "export"
OUT.mkdir(parents=True, exist_ok=True)
BATCH = 3
TOLERANCE = 1e-4


def images(shape):
    """Three that differ, so that a mix-up of batch and other axes shows."""
    return np.random.default_rng(len(shape)).uniform(-1, 1, [BATCH, *shape]).astype(np.float32)


def outputs_of(source, options=()):
    """`netc show --json`, and its outputs."""
    graph = json.loads(expect_done(netc("show", "--json", source, *options, binary=NETC), "netc show --json").out)
    return graph, graph["outputs"]


def export(source, name, options=(), weights="synthetic", binary=NETC):
    """The model's file."""
    path = OUT / f"{name}.onnx"
    done = expect_done(netc("export", source, *options, f"--weights={weights}", "-o", path, binary=binary, timeout=300), "netc export")
    if done.out or done.err:
        raise Failure(f"netc export said {done.out}{done.err}")
    return path


def loaded(path):
    import onnx
    return onnx.load(str(path))


def session(path):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def values_of(got, wanted, tolerance, what):
    if got.shape != wanted.shape:
        raise Failure(f"{what}: shape {got.shape} against {wanted.shape}")
    if not np.isfinite(wanted).all() or not np.isfinite(got).all():
        raise Failure(f"{what}: values that are not finite")
    largest = np.abs(wanted).max()
    error = np.abs(got.astype(np.float64) - wanted).max() / (largest or 1)
    if error > tolerance:
        raise Failure(f"{what}: error {error:.3g} of the largest magnitude {largest:.6g}")


# ---- shapes ----

def check_shapes(model, graph, batch):
    """ONNX finds netc's shapes by itself, without having been told them; the batch is in front of what depends on an input. The model is
    left without those shapes and without its parameters."""
    import onnx
    told = {value.name: dims(value) for value in [*model.graph.value_info, *model.graph.output]}
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.raw_data) > 1000:  # the scales of a Resize tell its shape
            tensor.ClearField("raw_data")
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    shapes = {value.name: dims(value) for value in [*inferred.graph.value_info, *inferred.graph.output]}
    wanted = {node["name"]: node["shape"] for node in graph["nodes"] if node["op"] not in ("constant", "parameter")}
    wanted.update({output["name"]: output["shape"] for output in graph["outputs"]})
    unknown = [name for name in told if name not in shapes]
    if unknown:
        raise Failure(f"ONNX infers no shape of {unknown[0]}")
    for name, mine in told.items():
        whole = shapes[name]
        if len(whole) != len(mine) or any(a != b and a is not None for a, b in zip(whole, mine)):
            raise Failure(f"{name}: ONNX infers {whole}, the model says {mine}")
        if name in wanted and mine[len(mine) - len(wanted[name]):] != wanted[name]:
            raise Failure(f"{name}: the model says {mine}, netc {wanted[name]}")
        if name in wanted and len(mine) > len(wanted[name]) and mine[0] != batch:
            raise Failure(f"{name}: the batch is {mine[0]}")
    for output in graph["outputs"]:
        if told.get(output["name"]) != [batch, *output["shape"]]:
            raise Failure(f"output {output['name']} is {told.get(output['name'])}")


def dims(value):
    found = []
    for dim in value.type.tensor_type.shape.dim:
        found.append(dim.dim_value if dim.HasField("dim_value") else dim.dim_param if dim.dim_param == "N" else None)
    return found


def check_parameters(model, graph, weights):
    """Under their own names and with the checkpoint's bits."""
    import onnx
    here = {tensor.name: tensor for tensor in model.graph.initializer}
    there = None if weights == "synthetic" else safetensors_numpy.load(str(weights))[0]
    live, used = {output["value"] for output in graph["outputs"]}, set()
    for node in reversed(graph["nodes"]):  # what no output needs is left out
        if node["name"] in live:
            live.update(node["inputs"])
            used.update(node["parameters"].values())
    taken = {value["name"] for value in [*graph["inputs"], *graph["outputs"]]}
    for parameter in graph["parameters"]:
        name = parameter["name"]
        if name not in used or name in taken:
            continue
        if name not in here:
            raise Failure(f"no initializer {name}")
        got = onnx.numpy_helper.to_array(here[name])
        wanted = there[name] if there else synthetic.parameter(name, parameter["shape"])
        if got.dtype != np.float32 or got.shape != tuple(parameter["shape"]) or not np.array_equal(got, np.asarray(wanted, np.float32)):
            raise Failure(f"initializer {name} has other values")


# ---- values ----

def interpret(source, name, options, weights, image, timeout):
    """All outputs, by name."""
    pixels, result = OUT / f"{name}.x.npy", OUT / f"{name}.y.safetensors"
    np.save(pixels, image)
    expect_done(netc("run", source, *options, f"--weights={weights}", "--input", pixels, "--output", result, binary=NETC,
                     timeout=timeout), "the interpreter")
    values = safetensors_numpy.load(str(result))[0]
    pixels.unlink()
    result.unlink()
    return values


def check(source, name, options=(), weights="synthetic", binary=NETC, timeout=120, batch=None, interpreted=(0, 2), by_onnx=False):
    """All of it, for a net with one input: the images of `interpreted` are judged alone (unless the batch is fixed) and among
    three. by_onnx: by ONNX's own evaluator, too, which reads the operators' definitions as they stand and is slow."""
    import onnx.reference
    graph, outputs = outputs_of(source, options)
    path = export(source, name, [*options, f"--batch={batch}"] if batch else options, weights, binary)
    onnx.checker.check_model(str(path), full_check=True)
    model = loaded(path)
    check_parameters(model, graph, weights)
    check_shapes(model, graph, batch or "N")
    del model
    pixels = images(graph["inputs"][0]["shape"])
    runner, port = session(path), graph["inputs"][0]["name"]
    names = [output["name"] for output in outputs]
    if [output.name for output in runner.get_outputs()] != names:
        raise Failure(f"outputs {[output.name for output in runner.get_outputs()]}, not {names}")
    together = dict(zip(names, runner.run(names, {port: pixels})))
    if by_onnx:
        for output, values in zip(names, onnx.reference.ReferenceEvaluator(str(path)).run(names, {port: pixels})):
            values_of(values, together[output], TOLERANCE, f"{output} by ONNX's evaluator")
    path.unlink()
    for i in interpreted:
        wanted = interpret(source, name, options, weights, pixels[i], timeout)
        alone = dict(zip(names, runner.run(names, {port: pixels[i:i + 1]}))) if not batch else {}
        for output in names:
            values_of(together[output][i:i + 1], wanted[output], TOLERANCE, f"{output} of image {i} in a batch")
            if alone:
                values_of(alone[output], wanted[output], TOLERANCE, f"{output} of image {i} alone")
