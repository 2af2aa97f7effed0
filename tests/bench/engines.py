"""One engine with one network in a process of its own, so that engines cannot disturb each other: what bench/run starts.

    engines.py ENGINE MODEL INPUT.npy OUTPUT.npy THREADS [CORE...]

It loads the network, runs it, writes what came out, warms up and prints a line of JSON. Then each line on stdin is a number of
seconds: it runs the network that long (three times at least) and prints the milliseconds of each run. Times are those of a call
with the input in memory and the output read, with f32 arithmetic: AMX and bf16 are switched off where an engine would choose them.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

WARM_SECONDS = 1.0


def onnx_runtime(model, pixels, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(f"{model}.onnx", options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: pixels})[0], onnxruntime.__version__


def openvino(model, pixels, threads):
    import openvino
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(f"{model}.onnx"), "CPU",
                                  {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    tensor = openvino.Tensor(pixels, shared_memory=True)
    request.set_input_tensor(tensor)

    def run():
        request.infer()
        return request.get_output_tensor(0).data
    run.keep = core, compiled, tensor  # the request alone does not keep them alive
    return run, openvino.__version__.split("-")[0]


def torch_compile(model, pixels, threads):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "torch"))
    import torch
    import torch._inductor.config
    import net_torch
    torch.set_num_threads(threads)
    torch._inductor.config.freezing = True  # weights as constants, packed once: its fastest way
    net = net_torch.NetModule(f"{model}.json").load("synthetic").eval()
    compiled, x = torch.compile(net), torch.from_numpy(pixels)

    def run():
        with torch.inference_mode():
            return compiled(x).numpy()
    return run, torch.__version__.split("+")[0]


def ncnn(model, pixels, threads):
    import ncnn as engine
    net = engine.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    of_any_batch = model.rsplit("_", 1)[0]
    if net.load_param(f"{of_any_batch}.ncnn.param") or net.load_model(f"{of_any_batch}.ncnn.bin"):
        raise RuntimeError("the converted network does not load")
    images = [engine.Mat(np.ascontiguousarray(image)).clone() for image in pixels]  # a Mat does not keep the array

    def run():
        rows = []
        for image in images:
            extractor = net.create_extractor()
            extractor.input("in0", image)
            rows.append(np.array(extractor.extract("out0")[1]))
        return np.stack(rows)
    return run, engine.__version__


ENGINES = {"ONNX Runtime": onnx_runtime, "OpenVINO": openvino, "torch.compile": torch_compile, "ncnn": ncnn}


def timed(run, seconds):
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return times


def main():
    engine, model, source, result, threads, *cores = sys.argv[1:]
    os.sched_setaffinity(0, {int(core) for core in cores})
    said, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    try:
        run, version = ENGINES[engine](model, np.load(source), int(threads))
        np.save(result, run())
        timed(run, WARM_SECONDS)
    except Exception as why:  # an engine that cannot take a network is a row of its own
        print(json.dumps({"failed": f"{type(why).__name__}: {why}".splitlines()[0][:200]}), file=said, flush=True)
        return
    print(json.dumps({"version": version}), file=said, flush=True)
    for line in sys.stdin:
        print(json.dumps(timed(run, float(line))), file=said, flush=True)


main()
