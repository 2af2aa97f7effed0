#!/usr/bin/python3
"""Runs a network in PyTorch from the graph that `netc show FILE --json` prints: the judge of what netc computes.

    net_torch.py graph.json --weights synthetic|FILE.safetensors --input synthetic|x.npy --output y.npy
                 [--double] [--all-values DIR]

NetModule is an ordinary nn.Module: it trains, and the keys of its state_dict are the parameter names of the graph.
Surprise: shapes in the graph have no batch, tensors here always have one in front. Constants and parameters
used as values have batch 1, and broadcasting "from the right" puts the missing axes behind the batch.
"""
import argparse
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import safetensors_numpy
import synthetic


class Scope(nn.Module):
    """One element of a dotted parameter name; holds no computation."""


class NetModule(nn.Module):
    def __init__(self, graph):
        super().__init__()
        if isinstance(graph, str):
            with open(graph, encoding="utf-8") as file:
                graph = json.load(file)
        if graph.get("schema") != 1:
            raise ValueError("graph has schema %r, this script reads schema 1" % graph.get("schema"))
        self.graph = graph
        self.nodes = graph["nodes"]
        self.places = {}
        running = set()
        for node in self.nodes:
            for role, name in node.get("parameters", {}).items():
                if role in ("running_mean", "running_var"):
                    running.add(name)
        for entry in graph["parameters"]:
            self._register(entry["name"], entry["shape"], entry["name"] in running)
        self._check_nodes()
        self._count_uses()
        self.reset_parameters()

    # Written into the dictionaries of nn.Module directly: add_module refuses names that are methods, "type" or "half".
    def _register(self, name, shape, is_buffer):
        if name in self.places:
            raise ValueError("parameter %s is there twice" % name)
        scope = self
        *path, leaf = name.split(".")
        for element in path:
            if element not in scope._modules:
                scope._modules[element] = Scope()
            scope = scope._modules[element]
        if is_buffer:
            scope._buffers[leaf] = torch.zeros(shape)
        else:
            scope._parameters[leaf] = nn.Parameter(torch.zeros(shape))
        self.places[name] = (scope, leaf)

    def value_of(self, name):
        scope, leaf = self.places[name]
        found = scope._parameters.get(leaf)
        return found if found is not None else scope._buffers[leaf]

    def _check_nodes(self):
        known = {entry["name"] for entry in self.graph["inputs"]}
        for node in self.nodes:
            if not hasattr(self, "op_" + node["op"]):
                raise ValueError("node %s: no operator %s here" % (node["name"], node["op"]))
            for name in node["inputs"]:
                if name not in known:
                    raise ValueError("node %s: input %s is not defined above it" % (node["name"], name))
            for name in node.get("parameters", {}).values():
                if name not in self.places:
                    raise ValueError("node %s: parameter %s is not declared" % (node["name"], name))
            if node["name"] in known:
                raise ValueError("node %s is there twice" % node["name"])
            known.add(node["name"])
        for output in self.graph["outputs"]:
            if output["value"] not in known:
                raise ValueError("output %s: no node %s" % (output["name"], output["value"]))

    def _count_uses(self):
        """Which values die where, and which ReLUs may overwrite their input in training."""
        self.last_use, uses, producers = {}, {}, {}
        for i, node in enumerate(self.nodes):
            producers[node["name"]] = node["op"]
            for name in node["inputs"]:
                self.last_use[name] = i
                uses[name] = uses.get(name, 0) + 1
        for output in self.graph["outputs"]:
            self.last_use[output["value"]] = len(self.nodes)
            uses[output["value"]] = uses.get(output["value"], 0) + 1
        self.dying = [[] for _ in range(len(self.nodes) + 1)]
        for name, i in self.last_use.items():
            self.dying[i].append(name)
        self.in_place = {node["name"] for node in self.nodes if node["op"] == "relu" and uses[node["inputs"][0]] == 1
                         and producers.get(node["inputs"][0]) in ("batch_norm", "add")}

    def reset_parameters(self):
        """He's normal initialisation (fan out) for convolutions, PyTorch's own for linear, 1, 0 for norms, else 0."""
        with torch.no_grad():
            for name in self.places:
                value = self.value_of(name)
                leaf = name.rsplit(".", 1)[-1]
                if value.dim() >= 3:
                    nn.init.kaiming_normal_(value, mode="fan_out", nonlinearity="relu")
                elif value.dim() == 2:
                    nn.init.kaiming_uniform_(value, a=5 ** 0.5)
                else:
                    value.fill_(1.0 if leaf in ("weight", "running_var") else 0.0)

    def load(self, weights):
        """`weights` is "synthetic" or the path of a safetensors file."""
        if weights == "synthetic":
            tensors = {entry["name"]: synthetic.parameter(entry["name"],
                                                          entry["shape"]) for entry in self.graph["parameters"]}
        else:
            tensors, _ = safetensors_numpy.load(weights)
        with torch.no_grad():
            for name in self.places:
                if name not in tensors:
                    raise ValueError("%s: no tensor %s" % (weights, name))
                value, array = self.value_of(name), tensors[name]
                if list(value.shape) != list(array.shape):
                    raise ValueError("%s: %s is %s, the network needs %s" % (weights, name, list(array.shape),
                                                                             list(value.shape)))
                value.copy_(torch.from_numpy(np.array(array)))
        spare = [name for name in tensors if name not in self.places and not name.endswith("num_batches_tracked")]
        if spare:
            print("note: %s: %d tensors are not used, such as %s" % (weights, len(spare), spare[0]), file=sys.stderr)
        return self

    def forward(self, *inputs, watch=None):
        """One tensor [N, ...] for each input of the graph. Returns one tensor, or a list for several outputs.
        `watch(node, value)` sees every value (and switches the overwriting off)."""
        if len(inputs) != len(self.graph["inputs"]):
            raise ValueError("the network has %d inputs, got %d" % (len(self.graph["inputs"]), len(inputs)))
        values = {entry["name"]: x for entry, x in zip(self.graph["inputs"], inputs)}
        for entry, x in zip(self.graph["inputs"], inputs):
            if list(x.shape[1:]) != entry["shape"]:
                raise ValueError("input %s is %s, the network needs %s" % (entry["name"], list(x.shape[1:]),
                                                                           entry["shape"]))
        batch = inputs[0].shape[0]
        self.dtype_now = inputs[0].dtype
        self.may_overwrite = self.training and watch is None
        for i, node in enumerate(self.nodes):
            arguments = [values[name] for name in node["inputs"]]
            value = getattr(self, "op_" + node["op"])(node, *arguments)
            if list(value.shape[1:]) != node["shape"]:
                raise ValueError("node %s (%s): %s here, %s in the graph" % (node["name"], node["op"],
                                                                             list(value.shape[1:]), node["shape"]))
            if watch:
                watch(node, value)
            values[node["name"]] = value
            for name in self.dying[i]:
                del values[name]
        outputs = []
        for output in self.graph["outputs"]:
            value = values[output["value"]]
            outputs.append(value if value.shape[0] == batch else value.expand([batch] + list(value.shape[1:])))
        return outputs[0] if len(outputs) == 1 else outputs

    # --- operators: (node, *values) -> value -----------------------------------------------------------------------

    def weight(self, node, role):
        name = node.get("parameters", {}).get(role)
        return None if name is None else self.value_of(name)

    def op_conv(self, node, x):
        a = node["attributes"]
        lead = x.shape[:-3]             # axes before [C, H, W] act as batch
        y = F.conv2d(x.reshape([-1] + list(x.shape[-3:])) if len(lead) > 1 else x, self.weight(node, "weight"),
                     self.weight(node, "bias"),
                     stride=a["stride"], padding=a["pad"], dilation=a["dilation"], groups=a["groups"])
        return y.reshape(list(lead) + list(y.shape[1:])) if len(lead) > 1 else y

    def op_convolve(self, node, x, kernel, bias=None):
        a = node["attributes"]
        if kernel.shape[0] == 1:                        # the same for all images of the batch
            y = F.conv2d(x.reshape([-1] + list(x.shape[-3:])), kernel[0], None if bias is None else bias.reshape(-1),
                         stride=a["stride"], padding=a["pad"], dilation=a["dilation"], groups=a["groups"])
            return y.reshape(list(x.shape[:-3]) + list(y.shape[1:]))
        images = []
        for i in range(x.shape[0]):
            y = F.conv2d(x[i].reshape([-1] + list(x.shape[-3:])), kernel[i], None if bias is None else bias[min(i, len(bias) - 1)],
                         stride=a["stride"], padding=a["pad"], dilation=a["dilation"], groups=a["groups"])
            images.append(y.reshape(list(x.shape[1:-3]) + list(y.shape[1:])))
        return torch.stack(images)

    def op_conv1d(self, node, x):
        return F.conv1d(x, self.weight(node, "weight"), self.weight(node, "bias"), padding=node["attributes"]["pad"][1])

    def op_group_norm(self, node, x):
        # not F.group_norm, which refuses groups of one number
        return torch.group_norm(x, node["attributes"]["groups"], self.weight(node, "weight"), self.weight(node, "bias"),
                                node["attributes"]["eps"])

    def op_matmul(self, node, x, y):
        x, y = self.align(x, y)
        return torch.matmul(x, y)

    def op_pad(self, node, x):
        rows, columns = node["attributes"]["pad"]
        if not node["attributes"]["reflect"]:
            return F.pad(x, [columns, columns, rows, rows])
        y = F.pad(x.reshape([1, -1] + list(x.shape[-2:])), [columns, columns, rows, rows], mode="reflect")
        return y.reshape(list(x.shape[:-2]) + list(y.shape[-2:]))

    def op_upsample(self, node, x):
        if node["attributes"]["bilinear"]:
            return F.interpolate(x, size=node["shape"][1:], mode="bilinear", align_corners=False)
        return F.interpolate(x, size=node["shape"][1:], mode="nearest")

    def op_unfold(self, node, x):
        a = node["attributes"]
        y = F.unfold(x, a["kernel"], dilation=a["dilation"], padding=a["pad"], stride=a["stride"])
        return y.reshape([x.shape[0]] + node["shape"])

    def op_local_conv(self, node, x, weights):
        a = node["attributes"]
        y = F.unfold(x, a["kernel"], dilation=a["dilation"], padding=a["pad"], stride=a["stride"])
        y = y.reshape([x.shape[0], -1] + list(weights.shape[1:])) * weights[:, None]
        return y.sum(3).reshape([x.shape[0]] + node["shape"])

    def op_take(self, node, x, index):
        return x[:, index[0].long()]

    def op_linear(self, node, x):
        return F.linear(x, self.weight(node, "weight"), self.weight(node, "bias"))

    def op_batch_norm(self, node, x):
        return F.batch_norm(x, self.weight(node, "running_mean"), self.weight(node, "running_var"),
                            self.weight(node, "weight"),
                            self.weight(node,
                                        "bias"), training=self.training, momentum=0.1, eps=node["attributes"]["eps"])

    def op_relu(self, node, x):
        return F.relu(x, inplace=self.may_overwrite and node["name"] in self.in_place)

    def op_sigmoid(self, node, x):
        return torch.sigmoid(x)

    def op_silu(self, node, x):
        return F.silu(x)

    def align(self, x, y):
        """Equal ranks for broadcasting from the right; axis 0 is the batch."""
        rank = max(x.dim(), y.dim())
        widen = lambda t: t if t.dim() == rank else t.reshape([t.shape[0]] + [1] * (rank - t.dim()) + list(t.shape[1:]))
        return widen(x), widen(y)

    def op_add(self, node, x, y):
        x, y = self.align(x, y)
        return x + y

    def op_sub(self, node, x, y):
        x, y = self.align(x, y)
        return x - y

    def op_mul(self, node, x, y):
        x, y = self.align(x, y)
        return x * y

    def op_div(self, node, x, y):
        x, y = self.align(x, y)
        return x / y

    def op_constant(self, node):
        return torch.tensor(node["attributes"]["value"],
                            dtype=torch.float64).to(self.dtype_now).reshape([1] + node["shape"])

    def op_parameter(self, node):
        return self.weight(node, "value").unsqueeze(0)

    def pooled(self, x, pool):
        y = pool(x.reshape([-1] + list(x.shape[-3:])))
        return y.reshape(list(x.shape[:-3]) + list(y.shape[1:]))

    def op_max_pool(self, node, x):
        a = node["attributes"]
        return self.pooled(x, lambda t: F.max_pool2d(t, a["kernel"], stride=a["stride"], padding=a["pad"],
                                                     ceil_mode=bool(a["ceil"])))

    def op_avg_pool(self, node, x):
        a = node["attributes"]
        return self.pooled(x, lambda t: F.avg_pool2d(t, a["kernel"], stride=a["stride"], padding=a["pad"],
                                                     ceil_mode=bool(a["ceil"]),
                                                     count_include_pad=bool(a["count_pad"])))

    def op_global_avg_pool(self, node, x):
        return x.mean(dim=(-2, -1), keepdim=True)

    def op_reshape(self, node, x):
        return x.reshape([x.shape[0]] + node["shape"])

    def op_permute(self, node, x):
        return x.permute([0] + [axis + 1 for axis in node["attributes"]["axes"]])

    def op_slice(self, node, x):
        a = node["attributes"]
        return x.narrow(a["axis"] + 1, a["start"], a["size"])

    def op_concat(self, node, *xs):
        batch = max(x.shape[0] for x in xs)
        return torch.cat([x.expand([batch] + list(x.shape[1:])) for x in xs], dim=node["attributes"]["axis"] + 1)

    def op_softmax(self, node, x):
        return torch.softmax(x, dim=node["attributes"]["axis"] + 1)

    def op_sum(self, node, x):
        return x.sum(dim=node["attributes"]["axis"] + 1)

    def op_mean(self, node, x):
        return x.mean(dim=node["attributes"]["axis"] + 1)


def read_input(text, shape, batch):
    """[N, *shape], float64: synthetic, or a .npy file with or without the batch axis."""
    if text == "synthetic":
        return synthetic.network_input(shape, batch)
    array = np.load(text).astype(np.float64)
    return array[None] if array.ndim == len(shape) else array


def save_output(path, tensors):
    """.npy: the only output; .safetensors: every output by name. float64 stays float64."""
    if path.endswith(".safetensors"):
        safetensors_numpy.save(path, tensors)
    elif len(tensors) == 1:
        np.save(path, next(iter(tensors.values())))
    else:
        raise SystemExit("the network has %d outputs: give --output a .safetensors file" % len(tensors))


def main():
    parser = argparse.ArgumentParser(description="run a netc graph in PyTorch")
    parser.add_argument("graph", help="what `netc show FILE --json` printed")
    parser.add_argument("--weights", default="synthetic", help='"synthetic" or a .safetensors file')
    parser.add_argument("--input", action="append", default=[],
                        help='"synthetic" or a .npy file; once for each input of the network')
    parser.add_argument("--batch", type=int, default=1, help="size of a synthetic batch")
    parser.add_argument("--output", help=".npy, or .safetensors for several outputs; without it a summary is printed")
    parser.add_argument("--double", action="store_true", help="compute in float64")
    parser.add_argument("--all-values", metavar="DIR", help="write every node's value as DIR/NAME.npy")
    arguments = parser.parse_args()

    torch.set_grad_enabled(False)
    dtype = torch.float64 if arguments.double else torch.float32
    net = NetModule(arguments.graph).load(arguments.weights).to(dtype).eval()
    sources = arguments.input or ["synthetic"] * len(net.graph["inputs"])
    if len(sources) != len(net.graph["inputs"]):
        raise SystemExit("the network has %d inputs, --input was given %d times" % (len(net.graph["inputs"]),
                                                                                    len(sources)))
    inputs = [torch.from_numpy(read_input(source, entry["shape"], arguments.batch)).to(dtype)
              for source, entry in zip(sources, net.graph["inputs"])]

    watch = None
    if arguments.all_values:
        os.makedirs(arguments.all_values, exist_ok=True)
        watch = lambda node, value: np.save(os.path.join(arguments.all_values, node["name"].replace("/", "_") + ".npy"),
                                            value.numpy())
    result = net(*inputs, watch=watch)
    result = result if isinstance(result, list) else [result]
    tensors = {output["name"]: value.numpy() for output, value in zip(net.graph["outputs"], result)}
    if arguments.output:
        save_output(arguments.output, tensors)
    else:
        for name, value in tensors.items():
            flat = value.astype(np.float64).ravel()
            print("%s %s first %.9e %.9e last %.9e sum %.9e sum_abs %.9e" % (name, list(value.shape), flat[0],
                                                                             flat[min(1, flat.size - 1)],
                                                                            flat[-1], flat.sum(), np.abs(flat).sum()))


if __name__ == "__main__":
    main()
