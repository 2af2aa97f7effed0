#!/usr/bin/python3
"""Writes random small networks in the language, for comparing netc with PyTorch on shapes nobody would think of.

    random_nets.py --seed N --count K --out DIR [--plain]

The files are DIR/random_N.net .. DIR/random_N+K-1.net; each depends on its own number only, so that a failing one
can be made again alone.
Sizes are odd on purpose: maps down to 1 x 1, channel counts that no vector length divides, windows that hang over
the edge. What PyTorch refuses (a pool padded by more than half its kernel) and what netc refuses (a window larger than
its padded input) is avoided.
--plain keeps to convolutional networks: no permute, reshape, softmax, axis sums, constants or loose parameters, and
nothing of attention.
"""
import argparse
import os
import random

import numpy as np


def conv_size(n, kernel, stride, pad, dilation):
    return (n + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1


def pool_size(n, kernel, stride, pad, ceil):
    if not ceil:
        return (n + 2 * pad - kernel) // stride + 1
    count = -((n + 2 * pad - kernel) // -stride) + 1
    return count - 1 if (count - 1) * stride >= n + pad else count


def nearest_agrees(n, out):
    """Does PyTorch, which multiplies by a rounded n / out, find the row floor(o * n / out)? Of 26 rows made 22 it does not."""
    scale = np.float32(n) / np.float32(out)
    return all(int(np.float32(o) * scale) == o * n // out for o in range(out))


class Value:
    def __init__(self, name, shape):
        self.name, self.shape = name, shape


class Writer:
    """Emits one net, a statement at a time. A step takes a value [C, H, W] and returns one, or None if it cannot."""

    def __init__(self, number, plain):
        self.random = random.Random(number)
        self.number, self.plain = number, plain
        self.lines, self.imports, self.count = [], set(), 0

    def let(self, text, shape):
        """`text` may use {label}, which is new for every statement."""
        self.count += 1
        name = "v%d" % self.count
        self.lines.append("    let %s = %s" % (name, text.replace("{label}", "p%d" % self.count)))
        return Value(name, shape)

    def maybe(self, probability):
        return self.random.random() < probability

    def channels(self):
        return self.random.choice([1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 15, 16, 17, 20, 24, 26, 31, 32, 33])

    # --- convolution ---

    def conv(self, x):
        kernel = self.random.choice([1, 1, 2, 3, 3, 3, 4, 5, 7])
        stride = self.random.choice([1, 1, 1, 2, 2, 3])
        dilation = self.random.choice([1, 1, 1, 2, 3]) if kernel > 1 else 1
        even = dilation * (kernel - 1) % 2 == 1
        states_pad = even or kernel % 2 == 0 or self.maybe(0.3)
        pad = self.random.randint(0, kernel) if states_pad else dilation * (kernel - 1) // 2
        size = [conv_size(n, kernel, stride, pad, dilation) for n in x.shape[1:]]
        if min(size) < 1:
            return None
        out, groups = self.channels(), 1
        if self.maybe(0.4):
            groups = self.random.choice([g for g in range(1, x.shape[0] + 1) if x.shape[0] % g == 0])
            out = groups * self.random.choice([1, 1, 2, 3]) if self.maybe(0.5) else -(-out // groups) * groups
        text = "%s |> {label}: conv(%d, %d" % (x.name, out, kernel)
        for name, value, default in (("stride", stride, 1), ("dilation", dilation, 1), ("groups", groups, 1)):
            if value != default:
                text += ", %s = %d" % (name, value)
        if states_pad:
            text += ", pad = %d" % pad
        if self.maybe(0.4):
            text += ", bias = true"
        return self.let(text + ")", [out] + size)

    def conv_oblong(self, x):
        kernel = [self.random.choice([1, 2, 3, 5]), self.random.choice([1, 2, 3, 7])]
        stride = [self.random.choice([1, 2]), self.random.choice([1, 2, 3])]
        pad = [self.random.randint(0, k - 1) for k in kernel]
        size = [conv_size(n, k, s, p, 1) for n, k, s, p in zip(x.shape[1:], kernel, stride, pad)]
        if min(size) < 1:
            return None
        out = self.channels()
        return self.let("%s |> {label}: conv(%d, %s, stride = %s, pad = %s)" % (x.name, out, kernel, stride, pad),
                        [out] + size)

    def conv_norm(self, x):
        y = self.conv(x)
        return y and self.activation(self.batch_norm(y))

    def batch_norm(self, x):
        eps = "" if self.maybe(0.8) else "(eps = 0.001)"
        return self.let("%s |> {label}: batch_norm%s" % (x.name, eps), x.shape)

    def activation(self, x):
        return self.let("%s |> %s" % (x.name, self.random.choice(["relu", "relu", "relu", "silu", "sigmoid"])), x.shape)

    # --- pools ---

    def pool(self, x):
        kernel = self.random.choice([1, 2, 2, 3, 3, 4, 5])
        stride = self.random.choice([1, 2, 2, 3])
        pad = self.random.randint(0, kernel // 2)
        ceil = self.maybe(0.5)
        if min(x.shape[1:]) + 2 * pad < kernel:
            return None
        size = [pool_size(n, kernel, stride, pad, ceil) for n in x.shape[1:]]
        if min(size) < 1:
            return None
        is_max = self.maybe(0.5)
        text = "%s |> %s(%d" % (x.name, "max_pool" if is_max else "avg_pool", kernel)
        if stride != kernel or self.maybe(0.3):
            text += ", stride = %d" % stride
        if pad:
            text += ", pad = %d" % pad
        if ceil:
            text += ", ceil = true"
        if not is_max and self.maybe(0.5):
            text += ", count_pad = false"
        return self.let(text + ")", [x.shape[0]] + size)

    # --- several values ---

    def residual(self, x):
        y = self.let("%s |> {label}: conv(%d, %d)" % (x.name, x.shape[0], self.random.choice([1, 3, 5])), x.shape)
        if self.maybe(0.7):
            y = self.batch_norm(y)
        left, right = (x, y) if self.maybe(0.5) else (y, x)
        if self.maybe(0.7):
            return self.let("relu(%s + %s)" % (left.name, right.name), x.shape)
        return self.let("%s %s %s" % (left.name, self.random.choice("+-*"), right.name), x.shape)

    def projected(self, x):
        """A residual whose shortcut changes the shape."""
        out, stride = self.channels(), self.random.choice([1, 2])
        size = [conv_size(n, 3, stride, 1, 1) for n in x.shape[1:]]
        branch = self.batch_norm(self.let("%s |> {label}: conv(%d, 3, stride = %d)" % (x.name, out, stride),
                                          [out] + size))
        if stride == 2 and min(x.shape[1:]) >= 2 and self.maybe(0.5):
            text = "%s |> avg_pool(2, ceil = true, count_pad = false) |> {label}: conv(%d, 1)" % (x.name, out)
            shortcut = self.let(text, [out] + size)
        else:
            shortcut = self.let("%s |> {label}: conv(%d, 1, stride = %d)" % (x.name, out, stride), [out] + size)
        return self.let("relu(%s + %s)" % (branch.name, shortcut.name), branch.shape)

    def gate(self, x):
        """Squeeze and excitation; the gate is [C, 1, 1]."""
        inner = max(1, x.shape[0] // self.random.choice([1, 2, 4]))
        squeezed = self.let("%s |> global_avg_pool |> {label}: conv(%d, 1, bias = true) |> relu" % (x.name, inner),
                            [inner, 1, 1])
        gate = self.let("%s |> {label}: conv(%d, 1, bias = true) |> sigmoid" % (squeezed.name, x.shape[0]),
                        [x.shape[0], 1, 1])
        if self.maybe(0.2):
            return self.let("%s / (%s + 1)" % (x.name, gate.name), x.shape)
        return self.let("%s * %s" % ((x.name, gate.name) if self.maybe(0.5) else (gate.name, x.name)), x.shape)

    def sizes(self, total):
        parts = self.random.randint(2, min(4, total))
        cuts = sorted(self.random.sample(range(1, total), parts - 1))
        return [b - a for a, b in zip([0] + cuts, cuts + [total])]

    def split(self, x):
        """Parts of uneven widths, some changed, joined again, perhaps in another order or with one dropped."""
        if x.shape[0] < 2:
            return None
        sizes = self.sizes(x.shape[0])
        self.count += 1
        name = "s%d" % self.count
        self.lines.append("    let %s = %s |> split(%s)" % (name, x.name, sizes))
        parts = []
        for i, size in enumerate(sizes):
            part = Value("%s[%d]" % (name, i), [size] + x.shape[1:])
            kind = self.random.choice(["keep", "conv", "relu", "chain"])
            if kind == "conv":
                out = self.channels()
                part = self.let("%s |> {label}: conv(%d, 3) |> relu" % (part.name, out), [out] + x.shape[1:])
            elif kind == "relu":
                part = self.activation(part)
            elif kind == "chain" and parts and parts[-1].shape == part.shape:
                part = self.let("relu(%s + %s)" % (part.name, parts[-1].name), part.shape)
            parts.append(part)
        if self.maybe(0.4):
            self.random.shuffle(parts)
        if len(parts) > 2 and self.maybe(0.2):
            parts.pop()
        return self.let("concat([%s])" % ", ".join(part.name for part in parts),
                        [sum(part.shape[0] for part in parts)] + x.shape[1:])

    def branches(self, x):
        """Branches of one input, concatenated: what FPN, ASPP and Inception have in common."""
        parts = []
        for _ in range(self.random.randint(2, 3)):
            out = self.channels()
            kernel, dilation = self.random.choice([(1, 1), (3, 1), (3, 2), (5, 1), (3, 3)])
            text = "%s |> {label}: conv(%d, %d, dilation = %d)%s" % (x.name, out, kernel, dilation,
                                                                     " |> relu" if self.maybe(0.5) else "")
            parts.append(self.let(text, [out] + x.shape[1:]))
        if self.maybe(0.5):
            parts.append(x)
        return self.let("concat([%s])" % ", ".join(part.name for part in parts),
                        [sum(part.shape[0] for part in parts)] + x.shape[1:])

    def library_block(self, x):
        stride = self.random.choice([1, 1, 2])
        planes = self.random.choice([4, 6, 8, 12])
        size = [conv_size(n, 3, stride, 1, 1) for n in x.shape[1:]]
        kind = self.random.choice(["bottleneck", "basic", "bottle2neck"])
        self.imports.add("blocks/res2net.net" if kind == "bottle2neck" else "blocks/bottleneck.net")
        if kind == "basic":
            return self.let("%s |> {label}: basic(planes = %d, stride = %d)" % (x.name, planes, stride),
                            [planes] + size)
        if kind == "bottleneck":
            extra = self.random.choice(["", ", cardinality = 4, width = 32", ", cardinality = 3, width = 64"])
            return self.let("%s |> {label}: bottleneck(planes = %d, stride = %d%s)" % (x.name, planes, stride, extra),
                            [planes * 4] + size)
        width, scale = self.random.choice([26, 48, 64]), self.random.choice([2, 3, 4])
        text = "%s |> {label}: bottle2neck(planes = %d, stride = %d, scale = %d, width = %d)" % (x.name, planes, stride,
                                                                                                 scale, width)
        return self.let(text, [planes * 4] + size)

    # --- the rest of the operators ---

    def arithmetic(self, x):
        return self.let(self.random.choice(["%s * 0.5", "%s + 0.25", "1 - %s", "(%s - 0.5) * 2", "%s / 3"]) % x.name,
                        x.shape)

    def swap_axes(self, x):
        c, h, w = x.shape
        axes = self.random.choice([[0, 2, 1], [1, 0, 2], [2, 1, 0], [1, 2, 0]])
        if max(x.shape[axis] for axis in axes[:1]) > 40:
            return None
        return self.let("%s |> permute(%s)" % (x.name, axes), [x.shape[axis] for axis in axes])

    def shuffle_channels(self, x):
        c, h, w = x.shape
        divisors = [g for g in range(2, c) if c % g == 0]
        if not divisors:
            return None
        g = self.random.choice(divisors)
        text = "%s |> reshape(%s) |> permute([1, 0, 2, 3]) |> reshape(%s)" % (x.name, [g, c // g, h, w], x.shape)
        return self.let(text, x.shape)

    def radix_sum(self, x):
        """Softmax over parts, then their weighted sum: the core of split attention and selective kernels."""
        c, h, w = x.shape
        if c % 2:
            return None
        parts = self.let("%s |> reshape([2, %d, %d, %d])" % (x.name, c // 2, h, w), [2, c // 2, h, w])
        weights = self.let("%s |> softmax(axis = %s)" % (parts.name, self.random.choice(["0", "1", "-1"])), parts.shape)
        return self.let("%s * %s |> %s(axis = 0)" % (parts.name, weights.name, self.random.choice(["sum", "mean"])),
                        [c // 2, h, w])

    def loose_parameter(self, x):
        shape = self.random.choice([x.shape, [x.shape[0], 1, 1], [x.shape[2]], [1, x.shape[1], x.shape[2]]])
        p = self.let("{label}: parameter(%s)" % shape, shape)
        return self.let("%s %s %s" % (x.name, self.random.choice("+*-"), p.name), x.shape)

    def fixed_numbers(self, x):
        numbers = [round(self.random.uniform(-1, 1), 3) for _ in range(x.shape[2])]
        return self.let("%s %s constant(%s)" % (x.name, self.random.choice("+*"), numbers), x.shape)

    # --- attention, heads of detection and segmentation ---

    def convolve(self, x):
        """A convolution whose kernel is a value: loose, fixed (a blur), or worked out from the map itself."""
        kernel = [self.random.choice([1, 2, 3, 3, 5]), self.random.choice([1, 3, 3, 4])]
        stride, dilation = self.random.choice([1, 1, 2, 3]), self.random.choice([1, 1, 1, 2, 3])
        pad = [self.random.randint(0, dilation * k) for k in kernel]
        size = [conv_size(n, k, stride, p, dilation) for n, k, p in zip(x.shape[1:], kernel, pad)]
        groups = self.random.choice([g for g in range(1, x.shape[0] + 1) if x.shape[0] % g == 0])
        out, per = groups * self.random.choice([1, 1, 2, 3]), x.shape[0] // groups
        shape = [out, per] + kernel
        elements = out * per * kernel[0] * kernel[1]
        if min(size) < 1 or elements > 600:
            return None
        kind = self.random.choice(["parameter", "constant", "made"])
        if kind == "parameter":
            k = self.let("{label}: parameter(%s)" % shape, shape)
        elif kind == "constant":
            numbers = [round(self.random.uniform(-1, 1), 3) for _ in range(elements)]
            k = self.let("constant(%s) |> reshape(%s)" % (numbers, shape), shape)
        else:
            k = self.let("%s |> global_avg_pool |> flatten |> {label}: linear(%d) |> reshape(%s)"
                         % (x.name, elements, shape), shape)
        text = "%s |> convolve(%s, groups = %d, pad = %s" % (x.name, k.name, groups, pad)
        text += ", stride = %d" % stride if stride > 1 else ""
        text += ", dilation = %d" % dilation if dilation > 1 else ""
        text += ", bias = ({label}: parameter([%d]))" % out if self.maybe(0.3) else ""
        return self.let(text + ")", [out] + size)

    def blur(self, x):
        """Anti-aliased: a border that reflects, then one small fixed kernel a channel."""
        c, h, w = x.shape
        border, kernel, row = self.random.choice([(1, 3, [1, 2, 1]), (2, 5, [1, 4, 6, 4, 1]), (1, 2, [1, 1])])
        stride, reflect = self.random.choice([1, 2]), min(h, w) > border and self.maybe(0.7)
        size = [conv_size(n + 2 * border, kernel, stride, 0, 1) for n in (h, w)]
        if min(size) < 1:
            return None
        one = [[[a * b / sum(row) ** 2 for a in row] for b in row]]
        return self.let("%s |> pad(%d%s) |> convolve(constant([%s for i in 0 ..< %d]), stride = %d, pad = 0, groups = %d)"
                        % (x.name, border, ', mode = "reflect"' if reflect else "", one, c, stride, c), [c] + size)

    def along_channels(self, x):
        """Efficient channel attention: a gate whose channels see their neighbours."""
        c, kernel = x.shape[0], self.random.choice([1, 3, 5, 7])
        bias = ", bias = true" if self.maybe(0.3) else ""
        gate = self.let("%s |> global_avg_pool |> reshape([1, %d]) |> {label}: conv1d(1, %d%s) |> sigmoid |> reshape([%d, 1, 1])"
                        % (x.name, c, kernel, bias, c), [c, 1, 1])
        return self.let("%s * %s" % (x.name, gate.name), x.shape)

    def conv1d(self, x):
        c, h, w = x.shape
        kernel, out = self.random.choice([1, 2, 3, 5, 8]), self.channels()
        pad = self.random.randint(0, kernel)
        length = h * w + 2 * pad - kernel + 1
        if length < 1:
            return None
        return self.let("%s |> reshape([%d, %d]) |> {label}: conv1d(%d, %d, pad = %d) |> reshape([%d, 1, %d])"
                        % (x.name, c, h * w, out, kernel, pad, out, length), [out, 1, length])

    def group_norm(self, x):
        groups = self.random.choice([g for g in range(1, x.shape[0] + 1) if x.shape[0] % g == 0])
        eps = "" if self.maybe(0.7) else ", eps = 0.01"
        y = self.let("%s |> {label}: group_norm(%d%s)" % (x.name, groups, eps), x.shape)
        return self.activation(y) if self.maybe(0.5) else y

    def self_attention(self, x):
        """Every position asks every other one, in several heads; perhaps with a table of positions."""
        c, h, w = x.shape
        heads, width = self.random.choice([1, 2, 3]), self.random.choice([1, 3, 4, 8])
        n, inner = h * w, heads * width
        if n > 150:
            return None
        q, k, v = (self.let("%s |> {label}: conv(%d, 1) |> reshape([%d, %d, %d])" % (x.name, inner, heads, width, n),
                            [heads, width, n]) for _ in range(3))
        scores = "matmul(%s |> permute([0, 2, 1]), %s) * %s" % (q.name, k.name, round(width ** -0.5, 4))
        if self.maybe(0.5):
            table = self.let("{label}: parameter([%d, %d])" % (2 * n - 1, heads), [2 * n - 1, heads])
            index = [[i - j + n - 1 for j in range(n)] for i in range(n)]
            if n <= 40:
                scores = "(%s) + (%s |> take(%s) |> permute([2, 0, 1]))" % (scores, table.name, index)
        attention = self.let("(%s) |> softmax" % scores, [heads, n, n])
        return self.let("matmul(%s, %s |> permute([0, 2, 1])) |> permute([0, 2, 1]) |> reshape(%s)"
                        % (attention.name, v.name, [inner, h, w]), [inner, h, w])

    def matmul_broadcast(self, x):
        """Leading axes of either factor are 1 or missing."""
        c, h, w = x.shape
        columns = self.random.choice([1, 2, 5, 16, 19])
        shape = self.random.choice([[w, columns], [1, w, columns], [c, w, columns]])
        if c * w * columns > 6000:
            return None
        p = self.let("{label}: parameter(%s)" % shape, shape)
        if self.maybe(0.5):
            return self.let("(%s, %s) |> matmul" % (x.name, p.name), [c, h, columns])
        rows = self.random.choice([1, 3, 17])
        left = self.random.choice([[rows, h], [c, rows, h]])
        q = self.let("{label}: parameter(%s)" % left, left)
        return self.let("matmul(%s, %s)" % (q.name, x.name), [c, rows, w])

    def window_attention(self, x):
        """Windows laid open, weighted tap by tap: local attention."""
        c, h, w = x.shape
        kernel = [self.random.choice([1, 2, 3, 3]), self.random.choice([1, 3, 3, 5])]
        stride, dilation = self.random.choice([1, 1, 2]), self.random.choice([1, 1, 2])
        pad = [self.random.randint(0, dilation * k) for k in kernel]
        size = [conv_size(n, k, stride, p, dilation) for n, k, p in zip((h, w), kernel, pad)]
        taps = kernel[0] * kernel[1]
        if min(size) < 1 or c * taps * size[0] * size[1] > 20000:
            return None
        open_ = self.let("%s |> unfold(%s, stride = %d, pad = %s, dilation = %d)" % (x.name, kernel, stride, pad, dilation),
                         [c, taps] + size)
        weights = self.let("{label}: parameter(%s)" % ([taps] + self.random.choice([[1, 1], size])), None)
        weights = "%s |> softmax(axis = 0)" % weights.name if self.maybe(0.5) else weights.name
        return self.let("%s * (%s) |> sum(axis = 1)" % (open_.name, weights), [c] + size)

    def local_conv(self, x):
        """Every position has its own kernels, which channels share modulo their number, as in CoTNet."""
        c, h, w = x.shape
        kernel = [self.random.choice([1, 3, 3, 5]), self.random.choice([1, 2, 3, 3])]
        stride, dilation = self.random.choice([1, 1, 2]), self.random.choice([1, 1, 2])
        pad = [self.random.randint(0, dilation * (k - 1)) for k in kernel]
        size = [conv_size(n, k, stride, p, dilation) for n, k, p in zip((h, w), kernel, pad)]
        taps = kernel[0] * kernel[1]
        if min(size) < 1 or c * taps * size[0] * size[1] > 20000:
            return None
        shared = self.random.choice([g for g in range(1, c + 1) if c % g == 0])
        if size == [h, w]:
            kernels = "%s |> {label}: conv(%d, 1) |> reshape(%s)" % (x.name, shared * taps, [shared, taps] + size)
        else:
            kernels = "{label}: parameter(%s)" % ([shared, taps] + size)
        kernels = self.let(kernels, None)
        return self.let("%s |> unfold(%s, stride = %d, pad = %s, dilation = %d) |> reshape(%s) |> multiply(%s) |> sum(axis = 2) "
                        "|> reshape(%s)" % (x.name, kernel, stride, pad, dilation, [c // shared, shared, taps] + size, kernels.name,
                                            [c] + size), [c] + size)

    def border(self, x):
        c, h, w = x.shape
        if self.maybe(0.5):
            n = [self.random.randint(0, h - 1), self.random.randint(0, w - 1)]
            n = n if self.maybe(0.3) else [min(n[0], 3), min(n[1], 3)]
            text = "%s |> pad(%s, mode = \"reflect\")" % (x.name, n)
        else:
            n = [self.random.randint(0, 4), self.random.randint(0, 4)]
            text = "%s |> pad(%s)" % (x.name, n)
        size = [h + 2 * n[0], w + 2 * n[1]]
        return self.let(text, [c] + size) if c * size[0] * size[1] < 20000 else None

    def resize(self, x):
        """To any size, larger or smaller, in each direction."""
        size = [self.random.randint(1, 2 * n + 3) for n in x.shape[1:]]
        if self.maybe(0.3):
            size = [2 * n for n in x.shape[1:]]
        if x.shape[0] * size[0] * size[1] > 20000 or not all(map(nearest_agrees, x.shape[1:], size)):
            return None
        return self.let("%s |> upsample(%s%s)" % (x.name, size, self.random.choice(["", ', filter = "bilinear"'])),
                        [x.shape[0]] + size)

    def take(self, x):
        c = x.shape[0]
        if self.maybe(0.5):
            index = [self.random.randrange(c) for _ in range(self.random.randint(1, 20))]
            return self.let("%s |> take(%s)" % (x.name, index), [len(index)] + x.shape[1:])
        index = [[self.random.randrange(c) for _ in range(3)] for _ in range(self.random.randint(1, 5))]
        rows = self.let("%s |> take(%s)" % (x.name, index), [len(index), 3] + x.shape[1:])
        return self.let("%s |> mean(axis = 1)" % rows.name, [len(index)] + x.shape[1:])

    def more_axes(self, x):
        """The channels in parts that act as a batch."""
        c, h, w = x.shape
        divisors = [g for g in range(1, c + 1) if c % g == 0]
        parts = self.random.choice(divisors)
        out, kernel = self.random.choice([1, 2, 5, 16]), self.random.choice([1, 3])
        if parts * out * h * w > 20000 or parts * out > 64:
            return None
        bias = ", bias = true" if self.maybe(0.5) else ""
        norm = " |> {label}: group_norm(%d)" % parts if self.maybe(0.5) else ""
        y = self.let("%s |> reshape([%d, %d, %d, %d]) |> {label}: conv(%d, %d%s)"
                     % (x.name, parts, c // parts, h, w, out, kernel, bias), [parts, out, h, w])
        return self.let("%s%s |> reshape(%s)" % (y.name, norm, [parts * out, h, w]), [parts * out, h, w])

    def linear_rows(self, x):
        """A linear layer over the last axis of a map."""
        out = self.random.choice([1, 3, 8, 16, 21])
        bias = "" if self.maybe(0.5) else ", bias = false"
        return self.let("%s |> {label}: linear(%d%s)" % (x.name, out, bias), x.shape[:2] + [out])

    # --- the net ---

    def finish(self, x):
        kind = self.random.choice(["pool", "pool", "flatten", "map"])
        elements = x.shape[0] * x.shape[1] * x.shape[2]
        if kind == "map" or (kind == "flatten" and elements > 3000):
            self.lines.append("    output result = %s" % x.name)
            return
        classes = self.random.choice([1, 3, 7, 10, 16, 17, 33])
        bias = "" if self.maybe(0.7) else ", bias = false"
        middle = "global_avg_pool |> flatten" if kind == "pool" else "flatten"
        tail = " |> softmax" if self.maybe(0.1) else ""
        self.lines.append("    output result = %s |> %s |> fc: linear(%d%s)%s" % (x.name, middle, classes, bias, tail))

    def net(self):
        shape = [self.random.choice([1, 2, 3, 3, 4, 5, 8, 16, 19]), self.random.randint(5, 24),
                 self.random.randint(5, 24)]
        x = Value("pixels", shape)
        steps = [self.conv] * 3 + [self.conv_norm] * 5 + [self.pool] * 3 + [self.residual] * 2 + [self.split] * 2
        steps += [self.projected, self.gate, self.branches, self.conv_oblong, self.library_block, self.activation,
                  self.batch_norm, self.arithmetic]
        if not self.plain:
            steps += [self.swap_axes, self.shuffle_channels, self.radix_sum, self.loose_parameter, self.fixed_numbers]
            steps += [self.convolve, self.blur, self.along_channels, self.conv1d, self.group_norm, self.self_attention,
                      self.matmul_broadcast, self.window_attention, self.local_conv, self.border, self.resize, self.take, self.more_axes,
                      self.linear_rows]
        wanted, tries = self.random.randint(2, 9), 0
        while wanted > 0 and tries < 40:
            tries += 1
            y = self.random.choice(steps)(x)
            if y is not None:
                x, wanted = y, wanted - 1
        if self.maybe(0.15):
            x = self.conv(x) or x
        self.finish(x)
        text = "# Made by tests/torch/random_nets.py --seed %d --count 1%s.\n" % (self.number,
                                                                                  " --plain" if self.plain else "")
        text += "".join('import "%s"\n' % path for path in sorted(self.imports))
        return text + "net random_%d()\n{\n    input pixels %s\n%s\n}\n" % (self.number, shape, "\n".join(self.lines))


def main():
    parser = argparse.ArgumentParser(description="write random networks in the language")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--out", required=True)
    parser.add_argument("--plain", action="store_true")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    for number in range(arguments.seed, arguments.seed + arguments.count):
        with open(os.path.join(arguments.out, "random_%d.net" % number), "w", encoding="utf-8") as file:
            file.write(Writer(number, arguments.plain).net())


if __name__ == "__main__":
    main()
