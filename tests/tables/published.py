"""published.tsv: what a network costs, beside what `netc show` counts. For `make tables` and the group `nets`.

Parameters are those of the original definitions, exactly, or as a paper prints them (48.9M). Multiply-adds are those of convolutions,
linear layers, matrix products and local convolutions, in 10^9 an image, at the precision that is printed; norms, pools and what
goes element by element count nothing. `scope` takes operators out that the original's count leaves out, too. Rows whose network has
other options than its source stand for a row of a paper's ablation.
"""

import csv
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Row:
    def __init__(self, fields):
        self.network, self.source = fields["network"], fields["source"]
        self.options = fields["options"].split()
        self.parameters, self.gmacs = fields["parameters"], fields["gmacs"]
        self.without = fields["scope"].split()[1:]

    def count(self):
        """(parameters, multiply-adds) by netc."""
        defines = [word for option in self.options for word in ("-D", option)]
        done = subprocess.run([ROOT / "build" / "netc", "show", "--json", *defines, f"netdefs/{self.network}.net"], cwd=ROOT,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"netc show ended with {done.returncode}\n{done.stderr}")
        graph = json.loads(done.stdout)
        return graph["totals"]["parameters"], sum(node["macs"] for node in graph["nodes"] if node["op"] not in self.without)

    def agrees(self, parameters, macs):
        return as_printed(parameters, self.parameters, 1e6 if self.parameters.endswith("M") else 1) and as_printed(macs, self.gmacs, 1e9)


def as_printed(value, text, unit):
    """Is `value` what `text` rounds? An empty text says nothing."""
    digits = text.rstrip("M")
    decimals = len(digits.partition(".")[2])
    return not text or abs(value / unit - float(digits)) <= 0.5000001 * 10**-decimals


def rows():
    with open(HERE / "published.tsv", newline="") as file:
        return [Row(fields) for fields in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
