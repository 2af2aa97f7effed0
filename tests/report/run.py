"""The HTML report in a headless Chromium: it loads offline without a complaint, plot and table show the same variants, and it
is legible in light and dark, on a phone and on paper.

The pages are made of samples.py's sweeps, and of one that `netc sweep` measures, by tests/unit/test_report.c. What a page should
show is computed here from the JSON, apart from the page's own script.
"""

import atexit
import functools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import samples
from browser import PROGRAM, Browser
from tap import BUILD, NETC, ROOT, Failure, Skip, expect_done, main, netc

FOLDER = tempfile.TemporaryDirectory(prefix="netc-report-pages-")
PAGES = Path(FOLDER.name)
LESS, MORE = -1, 1
# What is better, and where the number stands: not taken from the page.
BETTER = {"params": LESS, "macs": LESS, "activations": LESS, "weights_bytes": LESS, "workspace_bytes": LESS, "compile": LESS,
          "latency_1": LESS, "latency_n": LESS, "energy": LESS, "throughput": MORE, "accuracy": MORE, "share_latency_1": MORE,
          "published_top1_error": LESS, "cardinality": 0}


def expect(good, what):
    if not good:
        raise Failure(what)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: {got!r}"[:1500] + f"\nnot {wanted!r}"[:1500])


MAKING = threading.Lock()


@functools.lru_cache
def make_pages_once():
    if not PROGRAM:
        raise Skip("chromium is missing (Debian's chromium)")
    programs = [p for p in [BUILD / "unit/test_report", BUILD / "san/unit/test_report"] if p.exists()]
    expect(programs, "tests/unit/test_report.c did not compile (make units)")
    samples.write(PAGES)
    done = subprocess.run([max(programs, key=lambda p: p.stat().st_mtime), "--filter", "report/pages_of_a_folder"], capture_output=True,
                          env=dict(os.environ, REPORT_PAGES=FOLDER.name, ASAN_OPTIONS="detect_leaks=0"))
    expect(done.returncode == 0, f"the pages were not made\n{done.stderr.decode(errors='replace')[-2000:]}")


def make_pages():
    with MAKING:
        make_pages_once()


def sweep_of(name):
    sweep = json.loads((PAGES / f"{name}.json").read_text())
    return sweep, [v for v in sweep["variants"] if v["status"] == "ok"]


def value(v, key):
    """A quantity of a variant, by the name that a filter has for it."""
    if key in v["parameters"]:
        return v["parameters"][key]
    if key.startswith("published_"):
        return next((p["value"] for p in v["published"] if p["what"] == key[10:]), None)
    if key.startswith("share_"):
        return v[key[6:]] and v[key[6:]]["share"]
    if key == "accuracy":
        return v["accuracy"] and v["accuracy"]["mean"]
    return v[key]["median"] if isinstance(v[key], dict) else v[key]


OWN = threading.local()


def own_browser():
    """Of this thread, for all its cases: each opens a page anew."""
    make_pages()
    if not getattr(OWN, "browser", None):
        OWN.browser = Browser()
        atexit.register(OWN.browser.close)
    return OWN.browser


class Page:
    """A page in a browser; the words of its tests."""

    def __init__(self, name, **how):
        self.b, self.name = own_browser(), name
        self.sweep, self.variants = sweep_of(name)
        self.b.open(PAGES / f"{name}.html", **how)

    def js(self, expression):
        return self.b.evaluate(expression)

    def points(self):
        """{variant: (y, x) in the units of the JSON} of what the chart has drawn."""
        rows = self.js("Chart.getChart('plot').data.datasets[0].data.map((p, i) => [p.id, p.y * state.y.factor, p.x * state.x.factor])")
        return {i: (y, x) for i, y, x in rows}

    def spot(self, variant):
        """Where on the screen the point of a variant is; scrolled to where a mouse can be."""
        return self.js(f"""(() => {{
            const chart = Chart.getChart('plot'), i = chart.data.datasets[0].data.findIndex((p) => p.id === {variant});
            chart.canvas.scrollIntoView({{ block: 'center' }});
            const box = chart.canvas.getBoundingClientRect(), at = chart.getDatasetMeta(0).data[i];
            return [box.left + at.x, box.top + at.y]; }})()""")

    def middle(self, selector):
        return self.js(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            element.scrollIntoView({{ block: 'center', inline: 'center' }});
            const box = element.getBoundingClientRect();
            return [box.left + box.width / 2, box.top + box.height / 2]; }})()""")

    def click(self, selector):
        self.b.click(*self.middle(selector))

    def rows(self):
        return self.js("[...document.querySelectorAll('#table tbody tr')].map((tr) => Number(tr.dataset.id))")

    def axes(self, y, x):
        for name, key in [("y", y), ("x", x)]:
            self.js(f"""(() => {{ const menu = document.getElementById('{name}');
                menu.value = axes.findIndex((q) => q.key === {json.dumps(key)});
                menu.dispatchEvent(new Event('change')); }})()""")

    def filter(self, text):
        self.js(f"""(() => {{ const field = document.getElementById('filter'); field.value = {json.dumps(text)};
            field.dispatchEvent(new Event('input')); }})()""")
        self.b.settle()
        return self.text("#filter-error")

    def text(self, selector):
        return self.js(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); return e && !e.hidden ? e.innerText : ''; }})()")

    def quiet(self):
        said = self.b.complaints()
        expect(not said, f"the page {self.name} said: " + "; ".join(said)[:1500])


def in_browser(name, **how):
    """A case that is given a Page."""
    def around(function):
        @functools.wraps(function)
        def case():
            page = Page(name, **how)
            function(page)
            page.quiet()
        return case
    return around


def near(a, b):
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def expect_points(page, y, x, shown=None):
    """Every variant that has both values has a point there, and no other one has any."""
    wanted = {i: (value(v, y), value(v, x)) for i, v in enumerate(page.variants) if shown is None or i in shown}
    wanted = {i: pair for i, pair in wanted.items() if None not in pair}
    got = page.points()
    expect_equal(sorted(got), sorted(wanted), f"points of {y} over {x}")
    for i, pair in wanted.items():
        expect(all(map(near, got[i], pair)), f"the point of {page.variants[i]['name']} stands at {got[i]}, not {pair}")


def loads(name):
    page = Page(name)
    page.quiet()
    expect_equal(page.js("document.title"), f"{page.sweep['network']}: sweep", "the title")
    expect_equal(page.text("h1"), page.sweep["network"], "the heading")
    expect_equal(page.rows(), list(range(len(page.variants))), "rows of the table")
    for status in ["cut", "failed"]:
        wanted = [[v["name"], v["reason"]] for v in page.sweep["variants"] if v["status"] == status]
        got = page.js(f"[...document.querySelectorAll('#{status} tbody tr')].map((tr) => [...tr.cells].map((c) => c.textContent))")
        expect_equal(got, wanted, f"variants {status}")
    if page.variants:
        expect_points(page, page.js("state.y.key"), page.js("state.x.key"))
        expect_equal(page.js("document.getElementById('text').textContent").rstrip("\n"), page.sweep["text"].rstrip("\n"), "the text")
    else:
        expect(not page.js("document.getElementById('results').checkVisibility()"), "an empty plot is shown")
        expect("NaN" not in page.js("document.body.innerText"), "NaN is shown")
    expect_equal(page.js("document.querySelectorAll('b b, h1 *').length"), 0, "elements made of texts")


# ---- plot ----

@in_browser("everything")
def every_pair_of_axes(page):
    kinds = page.js("axes.map((q) => q.key)")
    lacking = set(BETTER) - set(kinds)
    expect(not lacking, f"no axis for {lacking}")
    for y in ["latency_1", "latency_n", "throughput", "compile", "energy", "accuracy", "published_top1_error"]:
        for x in ["macs", "params", "activations", "weights_bytes", "workspace_bytes", "latency_1", "cardinality"]:
            page.axes(y, x)
            expect_points(page, y, x)


@in_browser("unmeasured")
def only_what_exists_is_offered(page):
    kinds = page.js("axes.map((q) => q.key)")
    expect_equal(sorted(kinds), sorted(["params", "macs", "activations", "weights_bytes", "workspace_bytes", "cardinality", "width"]), "axes")
    labels = page.js("[...document.querySelectorAll('#y option')].map((o) => o.textContent)")
    expect_equal(len(labels), len(kinds), "entries of the menu")


@in_browser("everything")
def logarithmic_axes(page):
    expect_equal(page.js("plot.options.scales.x.type"), "linear", "an axis of a small range")
    page.click("#x-log")
    page.click("#y-log")
    expect_equal(page.js("[plot.scales.x.type, plot.scales.y.type]"), ["logarithmic"] * 2, "the axes")
    expect_points(page, "latency_1", "macs")
    for axis in "xy":
        labels = page.js(f"plot.scales.{axis}.ticks.map((t) => t.label).filter(Boolean)")
        expect(len(labels) >= 3, f"the ticks of {axis} are {labels}")
    inside = page.js("plot.getDatasetMeta(0).data.every((p) => p.x > plot.chartArea.left && p.x < plot.chartArea.right)")
    expect(inside, "points lie outside of the axes")


@in_browser("everything")
def pointing_at_a_point(page):
    for i, v in enumerate(page.variants):
        page.b.mouse(*page.spot(i))
        tip = page.text("#tooltip")
        expect(v["name"] in tip, f"the tooltip of {v['name']} says {tip!r}")
        shown = f"{v['latency_1']['median']:.1f} ms"
        expect(shown in tip, f"the tooltip of {v['name']} lacks {shown}: {tip!r}")
        lit = page.js("[...document.querySelectorAll('#table tr.hover')].map((tr) => Number(tr.dataset.id))")
        expect_equal(lit, [i], f"rows that light up with {v['name']}")
    page.b.mouse(2, 2)
    expect_equal(page.text("#tooltip"), "", "the tooltip after the mouse has left")
    expect_equal(page.js("document.querySelectorAll('#table tr.hover').length"), 0, "rows that are lit then")


@in_browser("everything")
def pointing_at_a_row(page):
    for i in [3, 0]:
        page.b.mouse(*page.middle(f"#table tr[data-id='{i}'] th"))
        active = page.js("plot.getActiveElements().map((e) => plot.data.datasets[0].data[e.index].id)")
        expect_equal(active, [i], "points that are lit")
        expect(page.variants[i]["name"] in page.text("#tooltip"), "no tooltip with its name")


@in_browser("everything")
def whiskers(page):
    """Pixels of the point's colour where only the whisker is."""
    v = page.variants[0]["latency_1"]
    page.js("(() => { state.colour = null; refresh(); })()")
    found = page.js(f"""[{v['low']}, {v['high']}].map((value) => {{
        const ratio = plot.currentDevicePixelRatio, spot = plot.getDatasetMeta(0).data[plot.data.datasets[0].data.findIndex((p) => p.id === 0)];
        const y = plot.scales.y.getPixelForValue(value), x = spot.x + 3;
        const copy = new OffscreenCanvas(plot.canvas.width, plot.canvas.height).getContext('2d', {{ willReadFrequently: true }});
        copy.drawImage(plot.canvas, 0, 0);
        const data = copy.getImageData((x - 1) * ratio, (y - 2) * ratio, 3 * ratio, 4 * ratio).data;
        for (let i = 0; i < data.length; i += 4) if (data[i] < 60 && data[i + 2] > 120 && data[i + 3] > 100) return true;
        return false; }})""")
    expect_equal(found, [True, True], "the ends of the whisker, low and high")


def front_of(variants, y, x):
    """By sorting, other than the page does it."""
    known = [(BETTER[y] * -value(v, y), BETTER[x] * -value(v, x), i) for i, v in enumerate(variants) if None not in (value(v, y), value(v, x))]
    front, least = [], float("inf")
    for first in sorted({a for a, _, _ in known}):
        second = min(b for a, b, _ in known if a == first)
        if second < least:
            front += [i for a, b, i in known if (a, b) == (first, second)]
            least = second
    return sorted(front)


def pareto(page, y, x):
    page.axes(y, x)
    wanted = front_of(page.variants, y, x)
    expect_equal(sorted(page.js("[...state.front]")), wanted, f"the front of {y} and {x}")
    filled = page.js("plot.data.datasets[0].data.filter((p, i) => plot.data.datasets[0].backgroundColor[i] !== css('ground')).map((p) => p.id)")
    expect_equal(sorted(filled), wanted, f"points drawn as the front of {y} and {x}")
    sizes = page.js("[[...new Set(plot.data.datasets[0].radius)].length, state.front.size < plot.data.datasets[0].data.length ? 2 : 1]")
    expect_equal(*sizes, "sizes of points")
    filled = page.js("[...document.querySelectorAll('#table tbody tr')].filter((tr) => tr.querySelector('svg [fill]:not([fill=none])'))"
                     ".map((tr) => Number(tr.dataset.id))")
    expect_equal(sorted(filled), wanted, f"rows marked as the front of {y} and {x}")


@in_browser("many")
def pareto_of_many(page):
    for pair in [("latency_1", "macs"), ("throughput", "macs"), ("latency_1", "throughput"), ("throughput", "latency_1"), ("share_latency_1", "params")]:
        pareto(page, *pair)


@in_browser("everything")
def pareto_of_few(page):
    for pair in [("latency_1", "macs"), ("accuracy", "latency_1"), ("published_top1_error", "latency_1"), ("accuracy", "throughput"), ("energy", "compile")]:
        pareto(page, *pair)
    page.axes("latency_1", "cardinality")
    expect_equal(page.js("state.front.size"), 0, "the front where an axis has no better end")


# ---- table ----

@in_browser("everything")
def sorting(page):
    columns = page.js("columns.map((c) => c.key)")
    for number, key in enumerate(columns):
        have = [i for i, v in enumerate(page.variants) if value(v, key) is not None]
        lack = [i for i in range(len(page.variants)) if i not in have]
        by = lambda i: value(page.variants[i], key)
        wanted = [("ascending", sorted(have, key=by) + lack), ("descending", sorted(have, key=by, reverse=True) + lack), ("none", list(range(len(page.variants))))]
        for how, order in wanted:
            page.click(f"#table thead [data-key='{key}'] button")
            if how == "descending" and len({by(i) for i in have}) < len(have):
                continue  # ties keep the order of the sweep
            expect_equal(page.rows(), order, f"rows by {key}, {how}")
            expect_equal(page.js("[...document.querySelectorAll('#table thead [aria-sort]:not([aria-sort=none])')].map((th) => [th.dataset.key, th.ariaSort])"),
                         [] if how == "none" else [[key, how]], f"aria-sort by {key}")
    expect(len(columns) > 14, f"columns are {columns}")


@in_browser("odd_names")
def sorting_texts(page):
    page.click("#table thead [data-key='name'] button")
    page.click("#table thead [data-key='name'] button")
    expect_equal(page.rows(), [2, 1, 0], "rows by name, downwards")


@in_browser("everything")
def values_in_the_table(page):
    cell = lambda row, key: page.js(f"""(() => {{ const head = document.querySelector("#table thead [data-key='{key}']");
        return document.querySelector("#table tr[data-id='{row}']").cells[head.cellIndex].innerText; }})()""")
    first = page.variants[0]
    expect_equal(cell(0, "params"), f"{first['params'] / 1e6:.2f}", "parameters in millions")
    expect_equal(cell(0, "macs"), f"{first['macs'] / 1e9:.3f}", "MACs in G")
    expect_equal(cell(0, "deviation"), "\u22120.22", "a deviation below")
    expect_equal(cell(4, "deviation"), "+0.22", "a deviation above")
    expect_equal(cell(1, "energy"), "failed", "a measurement that failed")
    expect_equal(cell(2, "published_top1_error"), "–", "what nobody published")
    expect_equal(cell(0, "published_top1_error"), "23.9", "what somebody did")
    expect("permission denied" in page.text("#notes"), "the reason is not told")
    head = lambda key: page.text(f"#table thead [data-key='{key}']")
    expect_equal(head("accuracy").split("\n"), ["Accuracy", "trained here: Fashion-MNIST, 4 epochs, rate 0.15, 3 seeds", "%"], "the head of accuracies")
    expect_equal(head("published_top1_error").split("\n"), ["Top-1 error", "published, A paper, table 3", "%"], "the head of published errors")
    expect("published_top1_error_2" not in page.js("columns.map((c) => c.key)"), "what is known of few variants has a column")
    expect("published_top1_error_2" in page.js("axes.map((q) => q.key)"), "what is known of few variants is no axis")
    wanted = [[v["name"], {"top1_error": "Top-1 error", "params": "Parameters"}[p["what"]], f"{p['value']:g}", p["unit"], p["source"],
               ", ".join(filter(None, [p["data"], "image 224", p["conditions"]]))] for v in page.variants for p in v["published"]]
    expect_equal(page.js("[...document.querySelectorAll('#published tbody tr')].map((tr) => [...tr.cells].map((c) => c.innerText))"), wanted, "what was published")
    spread = page.js("document.querySelector('#table tr[data-id=\"0\"]').innerText")
    expect("± 0.21" in spread, f"no standard deviation in {spread!r}")
    summary = page.text("#summary")
    for said in [page.sweep["command"], "cardinality = 1, 2, 4, 8, 32", "25\u202f557\u202f032", "Some Processor 9000", "2026-11-22, 16:20 UTC", "netc 0.1.0"]:
        expect(said in summary, f"the summary lacks {said!r}")
    alignment = page.js("[...new Set([...document.querySelectorAll('#table tbody td.number')].map((c) => getComputedStyle(c).textAlign))]")
    expect_equal(alignment, ["right"], "numbers' alignment")


FILTERS = [("cardinality>=8 latency_1<60", lambda v: v["parameters"]["cardinality"] >= 8 and (value(v, "latency_1") or 99) < 60),
           ("macs <= 1.2G", lambda v: v["macs"] <= 1.2e9),
           ("cardinality=3 width!=4", lambda v: v["parameters"]["cardinality"] == 3 and v["parameters"]["width"] != 4),
           ("weights>20M workspace>=6.4M", lambda v: v["weights_bytes"] > 20e6),
           ("width=1", lambda v: v["parameters"]["width"] == 1),
           ("WIDTH=12", None),
           ("blocks=[3, 4, 6, 3] features=false cardinality==7", lambda v: v["parameters"]["cardinality"] == 7),
           ("throughput>3e2", lambda v: value(v, "throughput") > 300),
           ('"width=1"', lambda v: "width=1" in v["name"]),
           ("ty=2", None)]
WRONG = [("cardinality>=", "Behind >="), ("depth>3", '"depth"'), ("macs<many", '"many" is no number'), ("<60", "no condition"), ("a<b<c", "no condition")]


@in_browser("many")
def filtering(page):
    for text, test in FILTERS:
        said = page.filter(text)
        if test is None:
            expect(said, f"nothing is said of {text!r}")
            continue
        wanted = [i for i, v in enumerate(page.variants) if test(v)]
        expect(0 < len(wanted) < len(page.variants), f"the test's {text} divides nothing")
        expect_equal(said, "", f"what is said of {text!r}")
        expect_equal(page.rows(), wanted, f"rows of {text!r}")
        expect_points(page, "latency_1", "macs", set(wanted))
        expect(f"{len(wanted)} of 400" in page.text("#count"), f"the count says {page.text('#count')!r}")
        front = front_of([v if i in wanted else dict(v, macs=None) for i, v in enumerate(page.variants)], "latency_1", "macs")
        expect_equal(sorted(page.js("[...state.front]")), front, f"the front among {text!r}")
    before = page.rows() if page.filter("width=2") == "" else None
    for text, says in WRONG:
        said = page.filter(text)
        expect(says in said, f"of {text!r} is said {said!r}, not {says!r}")
        expect_equal(page.rows(), before, f"rows after {text!r}, which is wrong: those before")
    said = page.filter("latency_1<0.001")
    expect("goes from" in said and page.rows() == [], f"of a condition that nothing fits is said {said!r}")
    page.filter("")
    expect_equal(len(page.rows()), 400, "rows without a filter")


# ---- selection ----

@in_browser("everything")
def selecting(page):
    chosen = lambda: page.js("[...document.querySelectorAll('#table tr.chosen')].map((tr) => [Number(tr.dataset.id), tr.querySelector('.letter').textContent, tr.ariaSelected])")
    page.b.click(*page.spot(3))
    page.click("#table tr[data-id='1'] th")
    page.b.click(*page.spot(2))
    expect_equal(chosen(), [[1, "B", "true"], [2, "C", "true"], [3, "A", "true"]], "selected rows and their letters")
    expect_equal(page.js("state.chosen"), [3, 1, 2], "selected points")
    page.axes("throughput", "params")
    page.click("#table thead [data-key='width'] button")
    page.filter("cardinality<8")
    expect_equal([row[0] for row in chosen()], [2, 1], "selected rows after sorting and filtering")
    page.filter("")
    expect_equal(page.js("state.chosen"), [3, 1, 2], "the selection then")
    a, b = page.variants[3], page.variants[1]
    row = lambda key: page.js(f"[...document.querySelector(\"#comparison tr[data-key='{key}']\").cells].slice(1).map((c) => c.innerText)")
    expect_equal(row("latency_1")[:2], [f"{value(a, 'latency_1'):.1f}", f"× {value(b, 'latency_1') / value(a, 'latency_1'):.2f}"], "ratios of latency")
    expect_equal(row("accuracy")[:2], ["91.95", "\u22120.50 pp"], "differences of accuracy")
    expect_equal(row("energy")[1], "–", "a ratio to what could not be measured")
    values = page.js("[...document.querySelectorAll('#parameters tr.changed')].map((tr) => [...tr.cells].map((c) => c.innerText))")
    expect_equal(values, [["cardinality", "8", "2", "4"], ["width", "14", "40", "24"]], "parameters beside the text")
    page.b.click(*page.spot(3))
    expect_equal(page.js("state.chosen"), [1, 2], "the selection after a second click")
    page.click("#clear")
    expect_equal([page.js("state.chosen"), chosen(), page.text("#comparison-table"), page.text("#clear")], [[], [], "", ""], "the selection when cleared")


@in_browser("everything")
def keyboard(page):
    focus = lambda: page.js("[document.activeElement.id || document.activeElement.dataset.id || document.activeElement.closest('[data-key]')?.dataset.key || document.activeElement.tagName]")[0]
    page.js("document.getElementById('filter').focus()")
    stops = []
    for _ in range(40):
        page.b.key("Tab")
        stops.append(focus())
        if stops[-1] == "0":
            break
    for key in ["cardinality", "latency_1", "published_top1_error", "0"]:
        expect(key in stops, f"Tab does not reach {key}: {stops}")
    page.b.key("ArrowDown")
    expect_equal(focus(), "1", "the row after an arrow")
    expect("cardinality=2" in page.text("#tooltip"), "the focused row's point is not shown")
    page.b.key(" ", "Space", " ")
    page.b.key("End")
    page.b.key("Enter", "Enter", "\r")
    expect_equal([focus(), page.js("state.chosen")], ["4", [1, 4]], "rows selected by Space and Enter")
    page.b.key("Escape")
    expect_equal(page.js("state.chosen"), [], "the selection after Escape")
    page.js("document.querySelector(\"#table [data-key='width'] button\").focus()")
    page.b.key("Enter", "Enter", "\r")
    expect_equal(page.rows(), [4, 3, 2, 1, 0], "rows sorted by a key")
    outline = page.js("getComputedStyle(document.activeElement).outlineStyle")
    expect(outline != "none", "the focus is not shown")


@in_browser("everything")
def the_network(page):
    lines = page.js("[...document.querySelectorAll('#text .row')].map((e) => [Number(e.dataset.line), e.textContent.trimEnd()])")
    expect_equal(lines, [[i + 1, line] for i, line in enumerate(page.sweep["text"].rstrip("\n").split("\n"))], "numbered lines")
    marked = page.js("[...document.querySelectorAll('#text .changed')].map((e) => [Number(e.dataset.line), ...[...e.querySelectorAll('mark')].map((m) => m.textContent)])")
    expect_equal(marked, [[4, "cardinality", "width"]], "lines of the changed parameters")
    used = page.js("[...document.querySelectorAll('#text .use')].map((e) => e.closest('.row').dataset.line)")
    expect_equal(used, ["8"] * 4, "where they are used, but for comments")


# ---- how it looks ----

CONTRAST = """(() => {
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const luminance = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
    const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] !== 0) return c; } };
    const ratio = (a, b) => { const [p, q] = [luminance(a), luminance(b)].sort((m, n) => n - m); return (p + 0.05) / (q + 0.05); };
    const texts = [...document.body.querySelectorAll('*')].filter((e) => e.checkVisibility() &&
        [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()));
    const hex = (c) => c.startsWith('#') ? [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)) : parse(c);
    const page = ground(document.body);
    const drawn = [...new Set([plot.options.scales.x.title.color, plot.options.scales.y.ticks.color])];
    return {
        page, least: Math.min(...texts.map((e) => ratio(parse(getComputedStyle(e).color), ground(e)))), texts: texts.length,
        worst: texts.map((e) => [ratio(parse(getComputedStyle(e).color), ground(e)), e.tagName + '.' + e.className + '#' + e.id]).sort((a, b) => a[0] - b[0])[0],
        drawn: Math.min(...drawn.map((c) => ratio(hex(c), page))),
        points: Math.min(...plot.data.datasets[0].borderColor.map((c) => ratio(hex(c), page))),
    }; })()"""


def contrast(page, dark):
    page.js("choose(1); point(2); 0")
    page.filter("depth=1")
    page.js("document.getElementById('filter-help').open = true")
    page.b.settle()
    got = page.js(CONTRAST)
    expect(got["texts"] > 100, f"only {got['texts']} texts were seen")
    expect(got["least"] >= 4.5, f"a text has a contrast of {got['worst']}")
    expect(got["drawn"] >= 4.5, f"words of the plot have a contrast of {got['drawn']:.2f}")
    expect(got["points"] >= 3, f"points have a contrast of {got['points']:.2f}")
    expect((max(got["page"][:3]) < 60) if dark else (min(got["page"][:3]) > 200), f"the page is {got['page']}")


@in_browser("everything")
def contrast_in_light(page):
    contrast(page, False)


@in_browser("everything", dark=True)
def contrast_in_dark(page):
    contrast(page, True)


@in_browser("many", dark=True)
def contrast_of_many_colours(page):
    contrast(page, True)
    before = page.js("plot.options.scales.x.title.color")
    page.b.media("", False)
    page.b.settle()
    expect(page.js("plot.options.scales.x.title.color") != before, "the plot keeps its colours when the page changes from dark to light")
    contrast(page, False)


def phone(name):
    page = Page(name, width=390, height=844, mobile=True)
    for _ in range(2):
        width = page.js("document.scrollingElement.scrollWidth")
        expect(width <= 390, f"the page is {width} px wide")
        wide = page.js("""[...document.querySelectorAll('main *')].filter((e) => e.checkVisibility() && !e.closest('.scroll, #parameters, svg, option')
            && e.getBoundingClientRect().right > 390.5).map((e) => e.tagName + '#' + e.id)""")
        expect_equal(wide, [], "elements that stick out")
        if page.variants:
            page.js("variants.slice(0, 5).forEach((v) => choose(v.id)); document.getElementById('filter-help').open = true")
    if page.variants:
        page.js("point(variants.length - 1)")
        box = page.js("(() => { const b = document.getElementById('tooltip').getBoundingClientRect(); return [b.left, b.right]; })()")
        expect(box[0] >= 0 and box[1] <= 390, f"the tooltip goes from {box}")
    if name == "everything":
        expect(page.js("(() => { const s = document.getElementById('table-scroll'); return s.scrollWidth > s.clientWidth; })()"), "the table does not scroll in itself")
    page.quiet()


@in_browser("many", dark=True)
def paper(page):
    page.js("addEventListener('beforeprint', () => { window.seen = [plot.options.scales.x.title.color, css('ground')]; })")
    pdf = PAGES / "many.pdf"
    page.b.pdf(pdf)
    expect(pdf.read_bytes()[:5] == b"%PDF-", "no PDF came")
    expect_equal(page.js("window.seen"), ["#1b1e23", "#ffffff"], "colours of the plot on paper")
    expect_equal(page.js("[plot.options.scales.x.title.color, css('ground')]"), ["#e7e9ec", "#14171b"], "colours after printing")
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
        row = re.compile(r"^\s*(\d+) +(\d+) +\d+\.\d+ +\d\.\d{3} ", re.M)
        rows = set(row.findall(text))
        wanted = {(str(v["parameters"]["cardinality"]), str(v["parameters"]["width"])) for v in page.variants}
        expect_equal(sorted(wanted - rows), [], "rows that are not in the PDF")
        headless = [i for i, sheet in enumerate(text.split("\f")) if row.search(sheet) and "Throughput" not in sheet]
        expect_equal(headless, [], "sheets with rows and without the table's head")
    page.b.media("print", True)
    cut = page.js("""[...document.querySelectorAll('#table tbody tr')].filter((tr) => !tr.checkVisibility() || (() => {
        for (let e = tr.parentElement; e !== document.body; e = e.parentElement) {
            const style = getComputedStyle(e);
            if (style.overflowY !== 'visible' && e.scrollHeight > e.clientHeight + 1) return true;
        } return false; })()).length""")
    expect_equal(cut, 0, "rows that are cut off on paper")
    expect_equal(page.js("getComputedStyle(document.documentElement).backgroundColor"), "rgb(255, 255, 255)", "the colour of paper")
    expect(not page.js("document.getElementById('filter').checkVisibility()"), "fields are printed")


# ---- a sweep as users make it ----

def sweep_real():
    """Measured in a minute or less: the numbers are bad, what the page makes of them is what counts."""
    make_pages()
    done = expect_done(netc("sweep", "netdefs/fashion/resnext.net", "--over", "cardinality=1,8", "--over", "width=0,16", "--measure", "--rounds=2",
                            "--threads=2", f"--html={PAGES / 'real.html'}", "--json", binary=NETC, timeout=900), "netc sweep")
    (PAGES / "real.json").write_text(done.out)


def real():
    sweep_real()
    loads("real")
    page = Page("real")
    page.axes("latency_n", "workspace_bytes")
    expect_points(page, "latency_n", "workspace_bytes")
    expect_equal(len(page.points()), 2, "points")
    pareto(page, "latency_1", "macs")
    page.b.mouse(*page.spot(1))
    expect("cardinality=8 width=16" in page.text("#tooltip"), f"the tooltip says {page.text('#tooltip')!r}")
    expect("width 0 leaves a group no channel" in page.text("#cut"), "why a variant was cut is not told")
    expect(page.sweep["machine"]["processor"] in page.text("#summary"), "the processor is not named")
    page.quiet()


def not_written():
    sweep = ["sweep", "netdefs/fashion/resnext.net", "--over", "cardinality=1,8"]
    make_pages()
    older = PAGES / "older.html"
    older.write_text("older")
    limit = lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000)))
    for path, more in [(PAGES, None), (PAGES / "none/page.html", None), (older, limit)]:
        before = sorted(PAGES.iterdir())
        got = subprocess.run([NETC, *sweep, f"--html={path}"], cwd=ROOT, capture_output=True, text=True, timeout=60, preexec_fn=more)
        expect_equal([got.returncode, "[build_write]" in got.stderr, str(path) in got.stderr], [1, True, True], f"what is said of {path}: {got.stderr}")
        expect_equal(sorted(PAGES.iterdir()), before, "files beside it")
    expect_equal(older.read_text(), "older", "an older report when the disk is full")


@in_browser("everything")
def nothing_is_asked_for(page):
    """What a page cannot do even if its script wanted to; and how the complaints of other cases come to be."""
    refused = page.js("fetch('http://127.0.0.1:1/').then(() => false, () => true)")
    expect(refused, "the page may ask for things")
    said = " ".join(page.b.complaints())
    expect("Content Security Policy" in said, f"the browser said {said!r}")
    page.b.events.clear()


CASES = [("report/real", real)]  # takes longest
CASES += [(f"report/loads/{name}", functools.partial(loads, name)) for name in samples.PAGES]
CASES += [(f"report/phone/{name}", functools.partial(phone, name)) for name in ["everything", "many", "odd_names", "all_cut"]]
CASES += [(f"report/{case.__name__}", case) for case in [
    every_pair_of_axes, only_what_exists_is_offered, logarithmic_axes, pointing_at_a_point, pointing_at_a_row, whiskers, pareto_of_many,
    pareto_of_few, sorting, sorting_texts, values_in_the_table, filtering, selecting, keyboard, the_network, contrast_in_light,
    contrast_in_dark, contrast_of_many_colours, paper, nothing_is_asked_for, not_written]]

if __name__ == "__main__":
    main(CASES)
