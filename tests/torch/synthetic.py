"""The synthetic fill: weights and inputs from a hash of their name, the same in every implementation.

h(name) is FNV-1a over the UTF-8 name; element i (row-major) is murmur3's finaliser of h + i * 0x9E3779B1, its upper
24 bits as a number in [0, 1). All integer arithmetic is modulo 2^32; what is derived from it is computed in double and
rounded to float32.
"""
import math

import numpy as np


def name_hash(name):
    h = 2166136261
    for byte in name.encode("utf-8"):
        h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
    return h


def uniform(name, count):
    """v_0 .. v_count-1 of the name, float64 in [0, 1)."""
    z = np.uint32(name_hash(name)) + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1)
    z ^= z >> np.uint32(16)
    z *= np.uint32(0x85EBCA6B)
    z ^= z >> np.uint32(13)
    z *= np.uint32(0xC2B2AE35)
    z ^= z >> np.uint32(16)
    return (z >> np.uint32(8)).astype(np.float64) * 2.0 ** -24


def parameter(name, shape):
    """The float32 value of the parameter with this full dotted name."""
    count = int(np.prod(shape, dtype=np.int64))
    v = uniform(name, count).reshape(shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_mean":
        value = 0.2 * v - 0.1
    elif leaf == "running_var":
        value = 0.5 + v
    elif len(shape) >= 2:
        value = (2.0 * v - 1.0) * math.sqrt(3.0 / (count // shape[0]))
    elif leaf == "weight":
        value = 0.5 + 0.5 * v
    else:
        value = 0.2 * v - 0.1
    return value.astype(np.float32)


def network_input(shape, batch=1):
    """[batch, *shape] in [-1, 1), float64 (24 bits, so float32 holds it exactly)."""
    return (2.0 * uniform("input", batch * int(np.prod(shape, dtype=np.int64))) - 1.0).reshape([batch] + list(shape))
