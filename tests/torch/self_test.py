#!/usr/bin/python3
"""Tests of the scripts here, without netc: every operator against numpy, the fill, the file format, the verdicts."""
import os
import sys
import tempfile

import numpy as np
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare
import net_torch
import random_nets
import safetensors_numpy
import seeds
import synthetic


def graph(nodes, shape, parameters=()):
    return {"schema": 1, "network": "test", "inputs": [{"name": "x", "shape": shape}], "nodes": nodes,
            "parameters": [{"name": name, "shape": size} for name, size in parameters],
            "outputs": [{"name": "y", "value": nodes[-1]["name"], "shape": nodes[-1]["shape"], "labels": None}]}


def node(name, op, inputs, shape, attributes=None, parameters=None):
    return {"name": name, "op": op, "inputs": inputs, "shape": shape, "attributes": attributes or {},
            "parameters": parameters or {}}


def run(nodes, x, parameters=()):
    net = net_torch.NetModule(graph(nodes, list(x.shape[1:]), parameters)).load("synthetic").double().eval()
    with torch.no_grad():
        return net(torch.from_numpy(x)).numpy()


def naive_conv(x, w, b, stride, pad, dilation, groups):
    n, c, h, width = x.shape
    out, per, kh, kw = w.shape
    padded = np.zeros((n, c, h + 2 * pad[0], width + 2 * pad[1]))
    padded[:, :, pad[0]:pad[0] + h, pad[1]:pad[1] + width] = x
    oh = (h + 2 * pad[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (width + 2 * pad[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, out, oh, ow)) + b[None, :, None, None]
    for o in range(out):
        first = o // (out // groups) * per
        for oy in range(oh):
            for ox in range(ow):
                cells = padded[:, first:first + per,
                               oy * stride[0]:oy * stride[0] + dilation[0] * (kh - 1) + 1:dilation[0],
                               ox * stride[1]:ox * stride[1] + dilation[1] * (kw - 1) + 1:dilation[1]]
                y[:, o, oy, ox] += (cells * w[o]).sum(axis=(1, 2, 3))
    return y


def naive_pool(x, kernel, stride, pad, ceil, mode):
    """mode: max, counting (padding counts) or inside (only cells of the image count)."""
    n, c, h, w = x.shape
    oh, ow = (random_nets.pool_size(size, kernel, stride, pad, ceil) for size in (h, w))
    y = np.zeros((n, c, oh, ow))
    for oy in range(oh):
        for ox in range(ow):
            y0, x0 = oy * stride - pad, ox * stride - pad
            y1, x1 = min(y0 + kernel, h + pad), min(x0 + kernel, w + pad)
            counted = (y1 - y0) * (x1 - x0)
            cells = x[:, :, max(y0, 0):min(y1, h), max(x0, 0):min(x1, w)]
            if mode == "max":
                y[:, :, oy, ox] = cells.max(axis=(2, 3))
            else:
                inside = cells.shape[2] * cells.shape[3]
                y[:, :, oy, ox] = cells.sum(axis=(2, 3)) / (counted if mode == "counting" else inside)
    return y


def same(a, b, what):
    assert a.shape == b.shape, "%s: %s against %s" % (what, a.shape, b.shape)
    assert np.allclose(a, b, rtol=1e-12, atol=1e-12), what


def test_fill():
    assert synthetic.name_hash("input") == 4191711099
    assert synthetic.uniform("input", 3).tolist() == [0.7990331053733826, 0.11162024736404419, 0.06251806020736694]
    assert synthetic.name_hash("conv1.weight") == 3184444564
    assert synthetic.uniform("conv1.weight", 1)[0] == 0.9544188380241394


def test_conv(x):
    for kernel, stride, pad, dilation, groups, out in (([3, 3], [1, 1], [1, 1], [1, 1], 1, 5),
                                                       ([2, 3], [2, 1], [0, 2], [1, 2], 2, 4),
                                                       ([1, 1], [3, 2], [0, 0], [1, 1], 4, 8)):
        shape = [out, x.shape[1] // groups] + kernel
        w, b = synthetic.parameter("c.weight", shape), synthetic.parameter("c.bias", [out])
        want = naive_conv(x, w.astype(float), b.astype(float), stride, pad, dilation, groups)
        attributes = {"kernel": kernel, "stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
        nodes = [node("c", "conv", ["x"], list(want.shape[1:]), attributes, {"weight": "c.weight", "bias": "c.bias"})]
        same(run(nodes, x, [("c.weight", shape), ("c.bias", [out])]), want, "conv %s" % attributes)


def test_pools(x):
    for kernel, stride, pad, ceil in ((2, 2, 0, False), (3, 2, 1, True), (3, 3, 1, True), (4, 1, 2, False),
                                      (2, 3, 1, True), (1, 2, 0, False)):
        for mode in ("max", "counting", "inside"):
            want = naive_pool(x, kernel, stride, pad, ceil, mode)
            attributes = {"kernel": [kernel] * 2, "stride": [stride] * 2, "pad": [pad] * 2, "ceil": ceil,
                          "count_pad": mode == "counting"}
            nodes = [node("p", "max_pool" if mode == "max" else "avg_pool", ["x"], list(want.shape[1:]), attributes)]
            same(run(nodes, x), want, "%s pool %s" % (mode, attributes))


def test_elementwise(x):
    c, h, w = x.shape[1:]
    sigmoid = 1 / (1 + np.exp(-x))
    for op, want in (("relu", np.maximum(x, 0)), ("sigmoid", sigmoid), ("silu", x * sigmoid)):
        same(run([node("e", op, ["x"], [c, h, w])], x), want, op)
    for shape in ([c, h, w], [c, 1, 1], [w], [1], []):
        numbers = np.arange(1, 1 + int(np.prod(shape, dtype=int))) / 7.0
        k = node("k", "constant", [], shape, {"value": numbers.tolist()})
        for op, function in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("div", np.divide)):
            same(run([k, node("e", op, ["x", "k"], [c, h, w])], x), function(x, numbers.reshape(shape)),
                 "%s %s" % (op, shape))
    p = synthetic.parameter("p", [w])
    nodes = [node("p", "parameter", [], [w], parameters={"value": "p"}), node("e", "sub", ["p", "x"], [c, h, w])]
    same(run(nodes, x, [("p", [w])]), p.astype(float) - x, "parameter")


def test_shapes(x):
    n, c, h, w = x.shape
    same(run([node("r", "reshape", ["x"], [c * h, w])], x), x.reshape(n, c * h, w), "reshape")
    same(run([node("r", "permute", ["x"], [w, c, h], {"axes": [2, 0, 1]})], x), x.transpose(0, 3, 1, 2), "permute")
    same(run([node("r", "slice", ["x"], [c, 2, w], {"axis": 1, "start": 1, "size": 2})], x), x[:, :, 1:3], "slice")
    same(run([node("r", "concat", ["x", "x"], [c, h, 2 * w], {"axis": 2})], x), np.concatenate([x, x], 3), "concat")
    same(run([node("r", "global_avg_pool", ["x"], [c, 1, 1])], x), x.mean((2, 3), keepdims=True), "global_avg_pool")
    same(run([node("r", "sum", ["x"], [c, w], {"axis": 1})], x), x.sum(2), "sum")
    same(run([node("r", "mean", ["x"], [h, w], {"axis": 0})], x), x.mean(1), "mean")
    e = np.exp(x)
    same(run([node("r", "softmax", ["x"], [c, h, w], {"axis": 0})], x), e / e.sum(1, keepdims=True), "softmax")
    names = {"weight": "f.weight", "bias": "f.bias"}
    weight, bias = synthetic.parameter("f.weight", [3, w]), synthetic.parameter("f.bias", [3])
    same(run([node("r", "linear", ["x"], [c, h, 3], None, names)], x, [("f.weight", [3, w]), ("f.bias", [3])]),
         x @ weight.astype(float).T + bias, "linear")


def test_batch_norm(x):
    c = x.shape[1]
    names = {role: "layer.0.bn." + role for role in ("weight", "bias", "running_mean", "running_var")}
    nodes = [node("b", "batch_norm", ["x"], list(x.shape[1:]), {"eps": 1e-3}, names)]
    v = {role: synthetic.parameter(name, [c]).astype(float).reshape(1, c, 1, 1) for role, name in names.items()}
    want = (x - v["running_mean"]) / np.sqrt(v["running_var"] + 1e-3) * v["weight"] + v["bias"]
    same(run(nodes, x, [(name, [c]) for name in names.values()]), want, "batch_norm")

    net = net_torch.NetModule(graph(nodes, list(x.shape[1:]), [(name, [c]) for name in names.values()]))
    assert sorted(net.state_dict()) == sorted(names.values()), "state_dict"
    assert sorted(name for name, _ in net.named_parameters()) == [names["bias"], names["weight"]], "parameters"
    net.double().train()(torch.from_numpy(x))
    same(net.state_dict()[names["running_mean"]].numpy(), 0.1 * x.mean((0, 2, 3)), "running mean after a step")


def test_convolve(x):
    c, h, w = x.shape[1:]
    attributes = {"kernel": [2, 3], "stride": [2, 1], "pad": [1, 2], "dilation": [1, 2], "groups": 2}
    shape = [6, c // 2, 2, 3]
    k, b = synthetic.parameter("k", shape), synthetic.parameter("b", [6])
    want = naive_conv(x, k.astype(float), b.astype(float), [2, 1], [1, 2], [1, 2], 2)
    nodes = [node("k", "parameter", [], shape, parameters={"value": "k"}),
             node("b", "parameter", [], [6], parameters={"value": "b"}),
             node("y", "convolve", ["x", "k", "b"], list(want.shape[1:]), attributes)]
    same(run(nodes, x, [("k", shape), ("b", [6])]), want, "convolve")

    # a kernel that each image of the batch has for itself
    nodes = [node("s", "slice", ["x"], [c, h, 3], {"axis": 2, "start": 0, "size": 3}),
             node("k", "slice", ["s"], [c, 1, 3], {"axis": 1, "start": 1, "size": 1}),
             node("r", "reshape", ["k"], [c, 1, 1, 3]),
             node("y", "convolve", ["x", "r"], [c, h, w], dict(attributes, kernel=[1, 3], stride=[1, 1], pad=[0, 1],
                                                               dilation=[1, 1], groups=c))]
    want = np.concatenate([naive_conv(x[i:i + 1], x[i, :, 1, :3].reshape(c, 1, 1, 3), np.zeros(c), [1, 1], [0, 1], [1, 1], c)
                           for i in range(len(x))])
    same(run(nodes, x), want, "convolve, a kernel an image")


def test_attention(x):
    n, c, h, w = x.shape
    weight, bias = synthetic.parameter("f.weight", [3, c, 2]).astype(float), synthetic.parameter("f.bias", [3]).astype(float)
    flat = np.zeros((n, c, h * w + 2))
    flat[:, :, 1:-1] = x.reshape(n, c, -1)
    want = sum(np.einsum("oi,nil->nol", weight[:, :, k], flat[:, :, k:k + h * w + 1]) for k in range(2)) + bias[:, None]
    nodes = [node("r", "reshape", ["x"], [c, h * w]),
             node("y", "conv1d", ["r"], [3, h * w + 1], {"kernel": [1, 2], "pad": [0, 1]}, {"weight": "f.weight", "bias": "f.bias"})]
    same(run(nodes, x, [("f.weight", [3, c, 2]), ("f.bias", [3])]), want, "conv1d")

    p = synthetic.parameter("p", [w, 6]).astype(float)
    nodes = [node("p", "parameter", [], [w, 6], parameters={"value": "p"}), node("y", "matmul", ["x", "p"], [c, h, 6])]
    same(run(nodes, x, [("p", [w, 6])]), x @ p, "matmul")

    open_ = np.zeros((n, c, 6, 3, 3))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    for ky in range(2):
        for kx in range(3):
            open_[:, :, ky * 3 + kx] = padded[:, :, ky:ky + 5:2, 2 * kx:2 * kx + 3]
    attributes = {"kernel": [2, 3], "stride": [2, 1], "pad": [1, 0], "dilation": [1, 2]}
    same(run([node("y", "unfold", ["x"], [c, 6, 3, 3], attributes)], x), open_, "unfold")

    k = synthetic.parameter("k", [2, 6, 3, 3]).astype(float)
    nodes = [node("k", "parameter", [], [2, 6, 3, 3], parameters={"value": "k"}), node("y", "local_conv", ["x", "k"], [c, 3, 3], attributes)]
    same(run(nodes, x, [("k", [2, 6, 3, 3])]), (open_ * k[np.arange(c) % 2]).sum(2), "local_conv")

    k = node("k", "constant", [], [2, 2], {"value": [1, 0, 3, 1]})
    same(run([k, node("y", "take", ["x", "k"], [2, 2, h, w])], x), x[:, [[1, 0], [3, 1]]], "take")


def test_group_norm(x):
    n, c, h, w = x.shape
    names = {"weight": "g.weight", "bias": "g.bias"}
    gamma, beta = (synthetic.parameter(name, [c]).astype(float).reshape(c, 1, 1) for name in ("g.weight", "g.bias"))
    for groups in (1, 2, c):
        parts = x.reshape(n, groups, -1)
        want = (parts - parts.mean(2, keepdims=True)) / np.sqrt(parts.var(2, keepdims=True) + 1e-3)
        nodes = [node("y", "group_norm", ["x"], [c, h, w], {"groups": groups, "eps": 1e-3}, names)]
        same(run(nodes, x, [(name, [c]) for name in names.values()]), want.reshape(x.shape) * gamma + beta, "group_norm")


def linear_positions(size, out):
    at = np.maximum((np.arange(out) + 0.5) * size / out - 0.5, 0)
    first = at.astype(int)
    return first, np.minimum(first + 1, size - 1), at - first


def test_maps(x):
    n, c, h, w = x.shape
    for mode, reflect in (("constant", False), ("reflect", True)):
        want = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)), mode=mode)
        same(run([node("y", "pad", ["x"], [c, h + 2, w + 4], {"pad": [1, 2], "reflect": reflect})], x), want, "pad " + mode)
    for oh, ow in ((2 * h, 3 * w), (h - 2, w + 4), (1, 1)):
        want = x[:, :, np.arange(oh) * h // oh][:, :, :, np.arange(ow) * w // ow]
        same(run([node("y", "upsample", ["x"], [c, oh, ow], {"bilinear": False})], x), want, "nearest")
        y0, y1, down = linear_positions(h, oh)
        x0, x1, across = linear_positions(w, ow)
        rows = x[:, :, y0] * (1 - down)[:, None] + x[:, :, y1] * down[:, None]
        want = rows[:, :, :, x0] * (1 - across) + rows[:, :, :, x1] * across
        same(run([node("y", "upsample", ["x"], [c, oh, ow], {"bilinear": True})], x), want, "bilinear")


def test_files():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.safetensors")
        tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.arange(3, dtype=np.int64),
                   "t": np.ones((2, 3), np.float32).T}
        safetensors_numpy.save(path, tensors, {"who": "test"})
        read, metadata = safetensors_numpy.load(path)
        assert list(read) == list(tensors) and metadata == {"who": "test"}
        for name in tensors:
            assert read[name].dtype == tensors[name].dtype and (read[name] == tensors[name]).all(), name


def test_verdicts():
    a = np.array([[0.0, 10.0, 3.0, 4.0, 5.0, 6.0]])
    assert compare.judge(a, a, 0, True)[0]
    assert compare.judge(a[0], a, 0, True)[0]
    assert compare.judge(a + 9e-4, a, 1e-4, True)[0]
    assert not compare.judge(a + 1.1e-3, a, 1e-4, False)[0]
    assert not compare.judge(a[:, :5], a, 1, False)[0]
    assert not compare.judge(a * np.nan, a, 1, False)[0]
    swapped = a[:, [0, 1, 3, 2, 4, 5]]
    assert compare.judge(swapped, a, 1, False)[0] and not compare.judge(swapped, a, 1, True)[0]


def test_seeds():
    near = lambda a, b: abs(a - b) < 2e-4 * max(1, abs(b))
    # tables of Student's and Fisher's distributions
    for t, freedom, p in ((12.706, 1, 0.05), (2.306, 8, 0.05), (3.250, 9, 0.01), (0.0, 5, 1.0)):
        assert near(seeds.p_of_t(t, freedom), p) and (t == 0 or near(seeds.t_of_p(p, freedom), t)), (t, freedom)
    for f, between, within, p in ((3.4780, 4, 10, 0.05), (5.9943, 4, 10, 0.01), (161.45, 1, 1, 0.05)):
        assert near(seeds.p_of_f(f, between, within), p), (f, between, within)
    a, b = [90.0, 92.0, 91.0, 93.0], [90.5, 92.5, 91.4, 93.6]
    assert near(seeds.welch(a, b)[0], -0.5) and near(seeds.welch(a, b)[2], 0.61089)
    assert near(seeds.paired(a, b)[1], 0.00117)        # t = -12.247, 3 degrees
    assert near(seeds.analysis_of_variance([a, b])[0], 2 * 0.5 ** 2 / ((5 + 5.42) / 6))  # t squared
    assert seeds.holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]


def main():
    x = synthetic.network_input([4, 5, 7], batch=2)
    test_fill()
    for test in (test_conv, test_pools, test_elementwise, test_shapes, test_batch_norm, test_convolve, test_attention,
                 test_group_norm, test_maps):
        test(x)
    test_files()
    test_verdicts()
    test_seeds()
    texts, again = ([random_nets.Writer(number, number % 2 == 1).net() for number in range(200)] for _ in range(2))
    assert texts == again, "random nets are not repeatable"
    print("ok")


if __name__ == "__main__":
    main()
