#!/usr/bin/python3
"""Compares what two programs computed: the largest difference over the largest |value| of the second file, the judge.

    compare.py a.npy b.npy --tolerance 1e-4 [--top5]

Exit code 0: close enough; 1: not, or a NaN, or another shape; 2: a file cannot be read. A missing
batch axis of 1 is no difference. With two .safetensors files every tensor of the second must be in the first.
--top5: the five largest of the last axis must be the same, in the same order (of all, where the axis has fewer).
"""
import argparse
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import safetensors_numpy


def read(path):
    if path.endswith(".safetensors"):
        return safetensors_numpy.load(path)[0]
    return {"": np.load(path, allow_pickle=False)}


def without_batch(array):
    return array[0] if array.ndim > 1 and array.shape[0] == 1 else array


def top(array, count=5):
    """Indices of the largest in descending order; among equal values the lowest index first."""
    return np.argsort(-array, axis=-1, kind="stable")[..., :count]


def judge(a, b, tolerance, top5):
    """(is it fine, what to print)."""
    if a.shape != b.shape and without_batch(a).shape != without_batch(b).shape:
        return False, "shape %s against %s" % (list(a.shape), list(b.shape))
    a, b = without_batch(a).astype(np.float64), without_batch(b).astype(np.float64)
    if a.size == 0:
        return False, "no values"
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False, "values that are not finite: %d against %d" % ((~np.isfinite(a)).sum(), (~np.isfinite(b)).sum())
    difference = np.abs(a - b)
    largest = np.abs(b).max()
    error = difference.max() / largest if largest > 0 else difference.max()
    at = np.unravel_index(difference.argmax(), difference.shape)
    text = "error %.3g of largest %.6g, worst at %s: %.9g against %.9g" % (error, largest, list(map(int, at)), a[at],
                                                                           b[at])
    fine = error <= tolerance
    if top5:
        same = bool((top(a) == top(b)).all())
        text += ", top 5 " + ("equal" if same else "DIFFER")
        fine = fine and same
    return fine, text


def main():
    parser = argparse.ArgumentParser(description="compare two .npy or two .safetensors files")
    parser.add_argument("a", help="what is judged")
    parser.add_argument("b", help="the judge")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--top5", action="store_true")
    arguments = parser.parse_args()
    try:
        a, b = read(arguments.a), read(arguments.b)
    except (OSError, ValueError) as error:
        print("compare.py: %s" % error, file=sys.stderr)
        sys.exit(2)
    all_fine = True
    for name in b:
        if name in a:
            fine, text = judge(a[name], b[name], arguments.tolerance, arguments.top5)
        else:
            fine, text = False, "missing"
        print("%s %s%s" % ("ok" if fine else "FAIL", name + ": " if name else "", text))
        all_fine = all_fine and fine
    sys.exit(0 if all_fine and b else 1)


if __name__ == "__main__":
    main()
