#!/usr/bin/python3
"""Do variants that were trained with several seeds differ by more than the seeds do?

    seeds.py results.csv --by cardinality [--value accuracy] [--against 1]

Reads a line a training: the column of --by names the variant, `seed` the seed, --value what is compared. Tells mean and standard
deviation of each variant, the analysis of variance over all, and each variant against one of them: Welch's t test, the paired one
where both have the same seeds, with the difference that a 95 % interval of either reaches. Holm's correction counts how many were
compared. Student's and Fisher's distributions by the incomplete beta function, since numpy has neither.
"""
import argparse
import csv
import math


def incomplete_beta(a, b, x):
    """Regularised, a and b at least 1/2: Simpson's rule over the angle whose squared sine is the variable, which has no poles."""
    steps = 4000
    f = lambda angle: 2 * math.sin(angle) ** (2 * a - 1) * math.cos(angle) ** (2 * b - 1)
    h = math.asin(math.sqrt(x)) / steps
    total = sum((1 if i in (0, steps) else 4 if i % 2 else 2) * f(i * h) for i in range(steps + 1))
    return total * h / 3 * math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))


def p_of_t(t, freedom):
    """Two-sided."""
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def p_of_f(f, between, within):
    return incomplete_beta(within / 2, between / 2, within / (within + between * f))


def t_of_p(p, freedom):
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if p_of_t(middle, freedom) > p else (low, middle)
    return high


def mean(values):
    return sum(values) / len(values)


def variance(values):
    return sum((v - mean(values)) ** 2 for v in values) / (len(values) - 1)


def ratio(a, b):
    return a / b if b else math.inf if a else 0.0


def analysis_of_variance(groups):
    """F, its degrees of freedom, p; and the pooled standard deviation."""
    everything = [v for group in groups for v in group]
    between, within = len(groups) - 1, len(everything) - len(groups)
    pooled = sum(variance(group) * (len(group) - 1) for group in groups) / within
    f = sum(len(group) * (mean(group) - mean(everything)) ** 2 for group in groups) / between
    f = ratio(f, pooled)
    return f, between, within, p_of_f(f, between, within), math.sqrt(pooled)


def welch(a, b):
    """Difference of the means, half of its 95 % interval, p."""
    va, vb = variance(a) / len(a), variance(b) / len(b)
    error = math.sqrt(va + vb)
    freedom = ratio((va + vb) ** 2, va ** 2 / (len(a) - 1) + vb ** 2 / (len(b) - 1)) or 1.0
    difference = mean(a) - mean(b)
    return difference, error * t_of_p(0.05, freedom), p_of_t(ratio(difference, error), freedom)


def paired(a, b):
    differences = [x - y for x, y in zip(a, b)]
    error, freedom = math.sqrt(variance(differences) / len(differences)), len(differences) - 1
    return error * t_of_p(0.05, freedom), p_of_t(ratio(mean(differences), error), freedom)


def holm(values):
    """p values, corrected for how many there are."""
    order, corrected, least = sorted(range(len(values)), key=lambda i: values[i]), [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(values) - rank) * values[i]))
        corrected[i] = least
    return corrected


def read(path, by, value):
    """{variant: {seed: value}}"""
    variants = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            variants.setdefault(row[by], {})[row["seed"]] = float(row[value])
    return variants


def main():
    parser = argparse.ArgumentParser(description="compare variants that were trained with several seeds")
    parser.add_argument("results")
    parser.add_argument("--by", required=True)
    parser.add_argument("--value", default="accuracy")
    parser.add_argument("--against", help="the variant that the others are compared with (default: the first)")
    arguments = parser.parse_args()
    variants = read(arguments.results, arguments.by, arguments.value)
    short = [name for name, runs in variants.items() if len(runs) < 2]
    against = arguments.against or next(iter(variants), None)
    if short or len(variants) < 2 or against not in variants:
        parser.error("two variants or more with two seeds or more are needed, and --against is one of them")
    groups = {name: [runs[seed] for seed in sorted(runs)] for name, runs in variants.items()}
    for name, group in groups.items():
        print("%s %-4s mean %7.3f  sd %5.3f  of %d: %s"
              % (arguments.by, name, mean(group), math.sqrt(variance(group)), len(group), " ".join("%.2f" % v for v in group)))
    print("all: F(%d, %d) = %.2f, p = %.3f; standard deviation over seeds, pooled: %.3f"
          % tuple(analysis_of_variance(list(groups.values()))[i] for i in (1, 2, 0, 3, 4)))
    others = [name for name in groups if name != against]
    tests = [welch(groups[name], groups[against]) for name in others]
    for name, (difference, reach, p), corrected in zip(others, tests, holm([test[2] for test in tests])):
        text = "%s against %s: %+.3f +- %.3f, Welch's p = %.3f, %.3f by Holm" % (name, against, difference, reach, p, corrected)
        if set(variants[name]) == set(variants[against]):
            text += "; paired +- %.3f, p = %.3f" % paired(groups[name], groups[against])
        print(text)


if __name__ == "__main__":
    main()
