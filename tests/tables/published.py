"""What networks cost and what was published about them, for `make tables` and the group `tables`. It stands in two files:

computed.tsv            what the original definitions give when they are run: parameters exactly, and multiply-adds of convolutions,
                        linear layers, matrix products and local convolutions, in 10^9 an image; norms, pools and what goes element
                        by element count nothing. `scope` takes operators out that the original's count leaves out, too. Rows whose
                        network has other options than its source stand for a row of a paper's ablation.
netdefs/published.tsv   what papers and packages printed, as they printed it: accuracies, sizes, times. Its head says how it is read;
                        `netc sweep` joins it to variants.
"""

import csv
import json
import subprocess
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NETC = ROOT / "build" / "netc"
INDIFFERENT = ("shorter", "features")  # parameters of which no fact speaks, as compiler/sweep/published.c has it


@cache
def shown(network, options):
    """The graph by netc, as JSON."""
    defines = [word for option in options for word in ("-D", option)]
    done = subprocess.run([NETC, "show", "--json", *defines, f"netdefs/{network}.net"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"netc show {network} {' '.join(options)} ended with {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


@cache
def defaults(network):
    """{parameter: text of its default} of netdefs/NETWORK.net."""
    done = subprocess.run([NETC, "--complete", "show", f"netdefs/{network}.net", "-D", ""], cwd=ROOT, capture_output=True, text=True)
    lines = [line.partition("=\tdefault ") for line in done.stdout.splitlines()]
    return {name: value.replace(" ", "") for name, _, value in lines if value}


def count(network, options=(), without=()):
    """(parameters, multiply-adds) by netc."""
    graph = shown(network, tuple(options))
    return graph["totals"]["parameters"], sum(node["macs"] for node in graph["nodes"] if node["op"] not in without)


def as_printed(value, text):
    """Is `value` what `text` rounds? An empty text says nothing."""
    return not text or abs(value - float(text)) <= 0.5000001 * 10 ** -len(text.partition(".")[2])


class Computed:
    def __init__(self, fields):
        self.network, self.source, self.gmacs = fields["network"], fields["source"], fields["gmacs"]
        self.options = fields["options"].split()
        self.parameters = int(fields["parameters"])
        self.without = fields["scope"].split()[1:]

    def agrees(self, parameters, macs):
        return parameters == self.parameters and as_printed(macs / 1e9, self.gmacs)


class Fact:
    def __init__(self, fields):
        self.network, self.quantity, self.source, self.data = (fields[name] or "" for name in ("network", "quantity", "source", "data"))
        self.hardware, self.conditions, self.how = (fields[name] or "" for name in ("hardware", "conditions", "how"))
        self.options, self.image = fields["parameters"].split(), fields["image"]
        self.text, _, self.unit = fields["value"].partition(" ")
        self.value = float(self.text) if self.quantity != "same_as" else None

    def all_options(self):
        return (*self.options, *([f"image={self.image}"] if self.image else []))


def rows_of(path):
    with open(path, newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


@cache
def computed():
    return [Computed(fields) for fields in rows_of(HERE / "computed.tsv")]


@cache
def facts():
    """(facts, lines of same_as)"""
    rows = [Fact(fields) for fields in rows_of(ROOT / "netdefs" / "published.tsv")]
    return [row for row in rows if row.quantity != "same_as"], [row for row in rows if row.quantity == "same_as"]


def form(network, options):
    """Network and values in the one form in which rows are compared: under the name of what the network is the same as."""
    values = {**defaults(network), **dict(option.split("=") for option in options)}
    for row in facts()[1]:
        if row.network == network:
            values.update(option.split("=") for option in row.options)
            network = row.text
    values = {**defaults(network), **values}
    return network, tuple(sorted((name, value) for name, value in values.items() if name not in INDIFFERENT))
