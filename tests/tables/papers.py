"""The tables of papers that `netc sweep` makes again: for each the sweeps that give its rows, and what is published about them.

A row of a table is a variant; what the original definition gives for it stands in computed.tsv, what the paper says in
netdefs/published.tsv, and both are found by the variant's values.
"""

import csv
import io
import json
import subprocess
from functools import cache

import published

CARDINALITIES = [(1, 64), (2, 40), (4, 24), (8, 14), (32, 4)]


class Sweep:
    """A `netc sweep` of one network; `rank` puts its variants into the paper's order."""

    def __init__(self, network, *arguments, rank=None):
        self.network, self.arguments, self.rank = network, arguments, rank

    def output(self, *more):
        words = ["sweep", f"netdefs/{self.network}.net", *self.arguments, *more]
        done = subprocess.run([published.NETC, *words], cwd=published.ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=None if "--measure" in more else subprocess.PIPE)
        if done.returncode != 0:
            raise RuntimeError(f"netc {' '.join(words)} ended with {done.returncode}\n{done.stderr or ''}")
        return done.stdout

    @cache
    def variants(self, *more):
        """Its variants as rows of the CSV, {column: text}; under `all` what JSON has of them, the published facts, too."""
        rows = list(csv.DictReader(io.StringIO(self.output("--csv", *more))))
        for row, variant in zip(rows, self.sweep(*more)["variants"], strict=True):
            row["all"] = variant
        return sorted(rows, key=self.rank) if self.rank else rows

    @cache
    def sweep(self, *more):
        return json.loads(self.output("--json", *more))


def chosen(network, names, rows, *more):
    """Of all combinations of the values of `names` those that are rows: one sweep, so that they are measured in turn."""
    over = [f"--over={name}={','.join(map(str, dict.fromkeys(row[i] for row in rows)))}" for i, name in enumerate(names)]
    where = " or ".join("(" + " and ".join(f"{name} == {value}" for name, value in zip(names, row)) + ")" for row in rows)
    return Sweep(network, *over, f"--where={where}", *more, rank=lambda variant: [
        [str(value) for value in row] for row in rows].index([variant[name] for name in names]))


class Table:
    """`label` names a row by its variant; `measured`: how long its networks take is measured if that is asked for."""

    def __init__(self, name, title, label, sweeps, columns, n_rows, measured=False):
        self.name, self.title, self.label, self.sweeps, self.columns = name, title, label, sweeps, columns
        self.n_rows, self.measured = n_rows, measured

    def rows(self, *more):
        """[(network, label, variant)]"""
        return [(sweep.network, self.label(variant), variant) for sweep in self.sweeps for variant in sweep.variants(*more)]


class Column:
    """A published figure beside ours: of a quantity, from sources that begin with `source`, on such hardware."""

    def __init__(self, head, quantity, source, digits, hardware="", conditions=""):
        self.head, self.digits, self.wanted = head, digits, (quantity, source, hardware, conditions)

    def text(self, variant):
        quantity, source, hardware, conditions = self.wanted
        for fact in variant["all"]["published"]:
            if fact["what"] == quantity and fact["source"].startswith(source) and (fact["hardware"] or "").startswith(hardware) and \
                    conditions in (fact["conditions"] or ""):
                return f"{fact['value']:.{self.digits}f}"
        return "-"


def form_of(network, variant):
    """As published.form() has it."""
    return published.form(network, [f"{name}={variant[name]}" for name in published.defaults(network)])


@cache
def computed_by_form():
    return {published.form(row.network, row.options): row for row in published.computed()}


def computed_of(network, variant):
    return computed_by_form().get(form_of(network, variant))


def layers(variant):
    return 3 * sum(map(int, variant["blocks"].strip("[]").split(","))) + 2


def cardinality_label(variant):
    """As ResNeXt writes it."""
    return f"{variant['cardinality']}x{variant['width']}d"


def res2net_label(variant):
    groups = f"-{variant['cardinality']}c" if variant["cardinality"] != "1" else ""
    return f"{layers(variant)}-{variant['width']}w-{variant['scale']}s{groups}"


RESNEXT, PAPER = "resnext50_32x4d", "ResNeXt (arXiv 1611.05431), table "
RESNEST, RES2NET, TIMM = "resnest50_fast_2s1x64d", "res2net50_26w_4s", "timm"
SPEEDS = [Column("i9-10940X ms", "latency", TIMM, 1, "Intel Core i9-10940X"),
          Column("RTX 3090 img/s", "throughput", TIMM, 0, "NVIDIA RTX 3090", "NHWC")]
RES2NET_COLUMNS = [Column("M", "params", "Res2Net", 2), Column("G", "gmacs", "Res2Net", 1), Column("top-1 err", "top1_error", "Res2Net", 2),
                   Column("top-5 err", "top5_error", "Res2Net", 2), *SPEEDS]

TABLES = [
    Table("ResNeXt table 2", "widths of equal cost, by the parameters of the whole network",
          lambda v: f"{v['cardinality']}: width {v['width']}",
          [Sweep(RESNEXT, "--over=cardinality=1,2,4,8,32", "--solve=width", "--equal=params=cardinality:1,width:64")], [], 5),
    Table("ResNeXt table 3", "cardinality against width, 50 layers", cardinality_label,
          [chosen(RESNEXT, ("cardinality", "width"), CARDINALITIES)],
          [Column("M", "params", PAPER + "1", 1), Column("G", "gmacs", PAPER + "1", 1), Column("top-1 err", "top1_error", PAPER + "3", 1)], 5),
    Table("ResNeXt table 3, deeper", "cardinality against width, 101 layers", cardinality_label,
          [chosen(RESNEXT, ("cardinality", "width"), CARDINALITIES, "-Dblocks=[3,4,23,3]")],
          [Column("top-1 err", "top1_error", PAPER + "3", 1)], 5),
    Table("ResNeXt table 4", "twice the cost: wider, or of more groups; 101 layers", cardinality_label,
          [chosen("resnext101_32x4d", ("cardinality", "width"), [(1, 64), (32, 4), (1, 100), (2, 64), (64, 4)])],
          [Column("G", "gmacs", "ResNeXt, README", 1), Column("top-1 err", "top1_error", PAPER + "4", 1),
           Column("top-5 err", "top5_error", PAPER + "4", 1)], 5),
    Table("ResNeXt table 7", "CIFAR, 29 layers", lambda v: f"{cardinality_label(v)}, {v['classes']} classes",
          [Sweep("resnext29_8x64d", "--over=cardinality=8,16", "--over=classes=10,100")],
          [Column("M", "params", PAPER + "7", 1), Column("error", "top1_error", PAPER + "7", 2)], 4),
    Table("ResNeXt figure 7", "CIFAR-10, 29 layers: more groups, or wider ones; the figure prints no numbers", cardinality_label,
          [Sweep("resnext29_8x64d", "--over=cardinality=1,2,3,4,8,16"),
           Sweep("resnext29_8x64d", "-Dcardinality=1", "--over=width=96,128,160,192,256,384")], [], 12),
    Table("ResNeSt ablation", "radix, cardinality and width", lambda v: f"{v['radix']}s{cardinality_label(v)}",
          [chosen(RESNEST, ("radix", "cardinality", "width"), [(0, 1, 64), (1, 1, 64), (2, 1, 64), (4, 1, 64), (1, 2, 40), (2, 2, 40),
                                                               (4, 2, 40), (1, 4, 24)])],
          [Column("M", "params", "ResNeSt", 1), Column("G", "gmacs", "ResNeSt", 2), Column("top-1 acc", "top1_accuracy", "ResNeSt", 2),
           Column("V100 img/s", "throughput", "ResNeSt", 1, "NVIDIA V100"), *SPEEDS], 8, measured=True),
    Table("Res2Net ablation", "scale, width, depth and cardinality", res2net_label,
          [chosen(RES2NET, ("blocks", "scale", "width", "cardinality"),
                  [("[3,4,6,3]", 2, 48, 1), ("[3,4,6,3]", 4, 26, 1), ("[3,4,6,3]", 8, 14, 1), ("[3,4,6,3]", 6, 26, 1),
                   ("[3,4,6,3]", 8, 26, 1), ("[3,4,23,3]", 4, 26, 1), ("[3,4,6,3]", 4, 4, 8)])], RES2NET_COLUMNS, 7, measured=True),
    Table("Res2Net v1b", "depth, with stem and shortcuts of ResNet-D", res2net_label,
          [Sweep("res2net50_v1b", "--over=blocks=[3,4,6,3],[3,4,23,3],[3,8,36,3]")], RES2NET_COLUMNS, 3),
]
