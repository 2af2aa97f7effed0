"""What networks cost by netc, against the numbers of their original definitions and of papers (see published.py, papers.py).

A row of computed.tsv that no paper's table has; a row of a paper's table, from `netc sweep`; a line `same_as` of published.tsv, whose
two graphs are compared; what is published of a network's size, which has to be near to ours: else a fact stands at the wrong network.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import papers
import published
from tap import Failure, main


def check_numbers(row, parameters, macs):
    if not row.agrees(parameters, macs):
        raise Failure(f"{parameters} parameters and {macs / 1e9:.4f} G multiply-adds; the original: {row.parameters}, {row.gmacs}")


def check_variant(table, network, variant):
    """A row of a paper's table, as the sweep has it."""
    row = papers.computed_of(network, variant)
    if not row:
        raise Failure("computed.tsv has no row with these values")
    if variant["status"] != "ok":
        raise Failure(f"it is {variant['status']}: {variant['reason']}")
    check_numbers(row, int(variant["params"]), int(variant["macs"]))
    for column in table.columns:
        if column.wanted[0].startswith("top1") and column.text(variant) == "-" and row.source != "Res2Net, v1b-152":
            raise Failure(f"no {column.head} is joined to it, though the paper has one")
    for fact in variant["all"]["published"]:
        if fact["what"] == "activations" and abs(int(variant["activations"]) / 1e6 / fact["value"] - 1) > 0.01:
            raise Failure(f"{variant['activations']} activations, {fact['value']} M by {fact['source']}")


def rows_of(table):
    """None where the sweep fails, which check_table() tells."""
    try:
        return table.rows()
    except RuntimeError:
        return []


def check_table(table):
    try:
        rows = table.rows()
    except RuntimeError as error:
        raise Failure(str(error))
    if len(rows) != table.n_rows:
        raise Failure(f"{len(rows)} variants, the paper has {table.n_rows} rows\n" + "\n".join(label for _, label, _ in rows))
    if table.name == "ResNeXt table 2" and [int(variant["width"]) for _, _, variant in rows] != [64, 40, 24, 14, 4]:
        raise Failure("the widths are not those of the paper: 64, 40, 24, 14, 4\n" + "\n".join(label for _, label, _ in rows))


def operators(network, options):
    """A graph without its names: operators with what they take and give."""
    graph = published.shown(network, tuple(options))
    at = {part["name"]: i for i, part in enumerate([*graph["inputs"], *graph["nodes"]])}
    return [(node["op"], [at[name] for name in node["inputs"]], node["attributes"], node["shape"]) for node in graph["nodes"]]


def check_same(row):
    theirs = published.defaults(row.text)
    own = [f"{name}={value}" for name, value in published.defaults(row.network).items()
           if name in theirs and name not in published.INDIFFERENT]
    if operators(row.network, []) != operators(row.text, [*own, *row.options]):
        raise Failure(f"{row.text} with these values is another graph")


def check_size(network, options, facts):
    """Papers count a little more than convolutions, and round; a wrong network is further away than that."""
    parameters, macs = published.count(network, options)
    for fact in facts:
        ours, near = (parameters / 1e6, 0.01) if fact.quantity == "params" else (macs / 1e9, 0.02)
        if not published.as_printed(ours, fact.text) and abs(ours / fact.value - 1) > near:
            raise Failure(f"{fact.quantity} {fact.text} {fact.unit} by {fact.source}, {ours:.3f} here")


def cases():
    covered, sizes = set(), {}
    for table in papers.TABLES:
        yield f"tables/{table.name}", lambda table=table: check_table(table)
        for network, label, variant in rows_of(table):
            if table.name != "ResNeXt table 2":
                covered.add(papers.form_of(network, variant))
                yield f"tables/{table.name}, {label}", lambda t=table, n=network, v=variant: check_variant(t, n, v)
    for row in published.computed():
        if published.form(row.network, row.options) not in covered:
            yield (f"tables/{' '.join([row.network, *row.options])} ({row.source})",
                   lambda row=row: check_numbers(row, *published.count(row.network, row.options, row.without)))
    for row in published.facts()[1]:
        yield f"tables/{row.network} is {' '.join([row.text, *row.options])}", lambda row=row: check_same(row)
    for fact in published.facts()[0]:
        if fact.quantity in ("params", "gmacs"):
            sizes.setdefault((fact.network, fact.all_options()), []).append(fact)
    for (network, options), facts in sizes.items():
        yield f"tables/published sizes of {' '.join([network, *options])}", lambda n=network, o=options, f=facts: check_size(n, o, f)


main(list(cases()))
