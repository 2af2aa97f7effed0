/* The page of a sweep: a plot, a table and a text that show the same variants. From top to bottom: the data and its quantities,
 * numbers, the Pareto front, the filter, what is selected, the plot, the table, the comparison, the network's text, the summary.
 *
 * What would surprise: texts of networks and errors are put in as text nodes only, so nothing in them becomes HTML. The plot is one
 * data set of Chart.js; front, whiskers and letters are drawn by a plug-in, because they belong to two quantities at once. */
"use strict";

const sweep = JSON.parse(document.getElementById("data").textContent);
const variants = sweep.variants.filter((v) => v.status === "ok").map((v, id) => ({ ...v, id }));
const leftOut = sweep.variants.filter((v) => v.status !== "ok");

const state = {
    shown: variants,                    // what the filter leaves, in the order of the table
    matches: () => true,
    sort: { key: null, direction: 1 },  // no key: in the order of the sweep
    chosen: [],                         // ids, in the order in which they were selected
    hovered: null,
    y: null, x: null, colour: null,     // quantities of the axes; a quantity of a parameter, or null
    front: new Set(),                   // ids
};

// ---- making HTML ----

const $ = (id) => document.getElementById(id);

/** An element with attributes (on...: handlers; null or false: left out) and children, which are elements or texts. */
function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

const unique = (list) => [...new Set(list)];
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const plural = (n, word) => `${grouped(n, 0)} ${word}${n === 1 ? "" : "s"}`;
const letter = (place) => (place < 26 ? String.fromCharCode(65 + place) : String(place + 1));

/** A parameter's value as the language writes it, so far as JSON can say. */
function valueText(value) {
    if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`;
    return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

// ---- quantities ----
// A quantity is what a column shows and an axis can have: value(variant) in the units of the JSON, or null. better: -1 where less
// is better, 1 where more is, 0 where neither. measurement(variant), if it is measured, has its spread. kind is said in menus.

const COUNT = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
const BYTES = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]];
const SMALLER = { ms: [[1, "ms"], [1e-3, "µs"]], s: [[1, "s"], [1e-3, "ms"]], J: [[1, "J"], [1e-3, "mJ"]] };

function computedQuantities() {
    const rows = [["params", "Parameters", COUNT], ["macs", "MACs", COUNT], ["activations", "Activations", COUNT],
        ["weights_bytes", "Weights", BYTES], ["workspace_bytes", "Workspace", BYTES]];
    return rows.map(([key, label, scales]) => ({ key, label, scales, kind: "computed", better: -1, digits: 4,
        value: (v) => v[key] }));
}

/** How far a variant is from what it should equal: a column, not an axis. */
function deviation() {
    const what = sweep.equal ? sweep.equal.what : "";
    return { key: "deviation", label: "Deviation", note: `of ${what}`, scales: [[0.01, "%"]], kind: "", better: 0, digits: 2,
        signed: true, value: (v) => v.deviation };
}

/** "2" or "1 to 2": what the measurements of all variants have under a name. */
function range(key, field) {
    const values = unique(variants.map((v) => v[key] && v[key][field]).filter((value) => value ?? false));
    if (values.length < 2 || !values.every(isNumber)) return values.join(", ");
    return `${Math.min(...values)} to ${Math.max(...values)}`;
}

const threadsOf = (key) => {
    const n = range(key, "threads");
    return n ? `${n} ${n === "1" ? "thread" : "threads"}` : "";
};

function measuredQuantity(key, label, note, better, unit) {
    const samples = variants.map((v) => v[key]).find((m) => m && m.unit);
    const written = (samples && samples.unit) || unit;
    return { key, label, note, kind: "measured", better, digits: 3, scales: SMALLER[written] || [[1, written]],
        measurement: (v) => v[key], value: (v) => (v[key] ? v[key].median : null),
        low: (v) => v[key].low, high: (v) => v[key].high };
}

function shareQuantity(key, label, note) {
    return { key: `share_${key}`, label: `Share of peak`, note: [label, note].filter(Boolean).join(", "), kind: "measured",
        better: 1, digits: 2, scales: [[0.01, "%"]], value: (v) => (v[key] ? v[key].share : null) };
}

function measuredQuantities() {
    const batch = range("throughput", "batch");
    const at = [batch && `batch ${batch}`, threadsOf("throughput")].filter(Boolean).join(", ");
    const many = threadsOf("latency_n") || "all threads";
    return [
        measuredQuantity("latency_1", "Latency", "1 thread", -1, "ms"),
        shareQuantity("latency_1", "", "1 thread"),
        measuredQuantity("latency_n", "Latency", many, -1, "ms"),
        shareQuantity("latency_n", "", many),
        { ...measuredQuantity("throughput", "Throughput", at, 1, "images/s"), aside: "" },
        shareQuantity("throughput", "throughput", ""),
        measuredQuantity("energy", "Energy", "an image", -1, "J"),
        measuredQuantity("compile", "Compile time", "", -1, "s"),
    ];
}

/** What training here came to: mean and standard deviation over seeds, not median and range. */
function trainedQuantity() {
    const epochs = range("accuracy", "options").replace(/epochs=([\d.]+)/, (_, n) => plural(Number(n), "epoch"));
    const seeds = range("accuracy", "n");
    const how = ["trained here: Fashion-MNIST", epochs, seeds && `${seeds} seed${seeds === "1" ? "" : "s"}`];
    const mean = (v) => (v.accuracy ? v.accuracy.mean ?? v.accuracy.median : null);
    const away = (v, sign) => (isNumber(v.accuracy.sd) ? mean(v) + sign * v.accuracy.sd : null);
    return { ...measuredQuantity("accuracy", "Accuracy", how.filter(Boolean).join(", "), 1, "%"), kind: "trained here",
        aside: "trained here", digits: 4, value: mean, low: (v) => away(v, -1), high: (v) => away(v, 1) };
}

const published = (v) => v.published || [];
const publishedName = (what) => what.replace(/^top(\d)_/, "top-$1 ").replaceAll("_", " ");
const MORE_IS_BETTER = /accuracy|throughput|images|precision|recall|iou|\bm?ap\b/i;

/** One for each thing that papers printed, of each data set; of each paper, too, where two differ about a variant. */
function publishedQuantities() {
    const kind = (p) => JSON.stringify([p.what, p.data ?? "", p.unit ?? ""]);
    const disagree = variants.flatMap((v) => published(v).map(kind).filter((k, i, all) => all.indexOf(k) !== i));
    const key = (p) => kind(p) + (disagree.includes(kind(p)) ? p.source : "");
    const first = new Map(variants.flatMap(published).map((p) => [key(p), p]).reverse());
    return [...first].reverse().map(([k, p]) => {
        const entry = (v) => published(v).find((other) => key(other) === k);
        const name = publishedName(p.what);
        return { key: `published_${p.what}`, label: name[0].toUpperCase() + name.slice(1), kind: "published", digits: 3,
            note: ["published", p.data, disagree.includes(kind(p)) ? p.source : ""].filter(Boolean).join(", "),
            aside: disagree.includes(kind(p)) ? undefined : "published", better: MORE_IS_BETTER.test(p.what) ? 1 : -1, scales: [[1, p.unit || ""]], source: (v) => entry(v)?.source,
            value: (v) => entry(v)?.value ?? null };
    });
}

/** A column for each parameter that changed; an axis, too, if it is a number. */
function parameterQuantities() {
    const names = sweep.changed && sweep.changed.length ? sweep.changed : unique((sweep.over || []).map((o) => o.name));
    return names.map((name) => ({ key: name, label: name, kind: "parameter", better: 0, digits: 1, scales: [[1, ""]],
        raw: (v) => v.parameters[name] ?? null,
        value: (v) => (isNumber(v.parameters[name]) ? v.parameters[name] : null) }));
}

const hasSpread = (q, v) => q.low && q.measurement(v) && isNumber(q.low(v)) && isNumber(q.high(v)) && q.measurement(v).n !== 1;

/** Settles the unit that the page shows, by the middle value, and as many decimals as tell the smallest value apart. */
function settle(quantity) {
    const values = variants.map(quantity.value).filter(isNumber);
    const sizes = values.map(Math.abs).filter((n) => n > 0).sort((a, b) => a - b);
    const middle = sizes[Math.floor(sizes.length / 2)] || 0;
    const scale = quantity.scales.find(([factor]) => middle >= factor * 0.1 && middle >= (factor > 1 ? factor : 0));
    const [factor, unit] = scale || quantity.scales[quantity.scales.length - 1];
    const places = quantity.digits - 1 - Math.floor(Math.log10((sizes[0] || 1) / factor));
    const whole = values.every((n) => Number.isInteger(n / factor));
    return { ...quantity, factor, unit, decimals: whole ? 0 : Math.min(3, Math.max(0, places)), any: values.length > 0,
        spread: variants.some((v) => hasSpread(quantity, v)) };
}

const parameters = parameterQuantities().map(settle);
const quantities = [...computedQuantities(), deviation(), ...measuredQuantities(), trainedQuantity(), ...publishedQuantities()]
    .map(settle).filter((q) => q.any);
const axes = [...quantities.filter((q) => q.kind), ...parameters.filter((p) => p.any)];
/* Names say what a variant is; where they only repeat the changed parameters, those columns say it better. */
const named = !parameters.length ||
    variants.some((v) => v.name !== parameters.map((p) => `${p.key}=${valueText(p.raw(v))}`).join(" "));

const spoken = (q) => [q.label, q.note].filter(Boolean).join(", ");
const short = (q) => [q.label, q.aside ?? q.note].filter(Boolean).join(", ");
const withUnit = (q, name = short(q)) => name + (q.unit ? ` (${q.unit})` : "");

// ---- numbers ----

/** 25603016 as 25 603 016 with narrow spaces, and a minus as long as a plus. */
function grouped(number, decimals) {
    const [whole, rest] = Math.abs(number).toFixed(decimals).split(".");
    const text = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (rest ? `.${rest}` : "");
    return (Number(number.toFixed(decimals)) < 0 ? "\u2212" : "") + text;
}

function written(q, value) {
    if (!isNumber(value)) return "–";
    return (q.signed && value > 0 ? "+" : "") + grouped(value / q.factor, q.decimals);
}

/** Beside a measured value: the range of the rounds, of trainings the standard deviation. */
function spreadText(q, v) {
    if (!hasSpread(q, v)) return "";
    if (q.key === "accuracy") return `± ${grouped(v.accuracy.sd / q.factor, Math.max(q.decimals, 2))}`;
    return `${written(q, q.low(v))} to ${written(q, q.high(v))}`;
}

/** All that is known of a value, for the pointer that rests on it. */
function details(q, v) {
    const m = q.measurement && q.measurement(v);
    if (m && m.error) return m.error;
    const value = q.value(v);
    if (!isNumber(value)) return null;
    if (q.source) return `published: ${q.source(v)}`;
    if (!m) return value / q.factor === value ? null : grouped(value, Number.isInteger(value) ? 0 : 4);
    const samples = m.n ? `${m.n} ${q.key === "accuracy" ? "seeds" : "rounds"}` : "";
    const threads = m.threads && plural(m.threads, "thread");
    return [samples, spreadText(q, v), threads, m.batch && `batch ${m.batch}`, m.options, m.machine].filter(Boolean).join(", ");
}

// ---- Pareto front ----

/** Is a at least as good as b in both quantities and better in one? */
function dominates(a, b, y, x) {
    const dy = (y.value(a) - y.value(b)) * y.better, dx = (x.value(a) - x.value(b)) * x.better;
    return dy >= 0 && dx >= 0 && (dy > 0 || dx > 0);
}

/** The variants that no other one dominates; none where an axis has no better end. */
function paretoFront(list, y, x) {
    if (!y.better || !x.better || y === x) return [];
    return list.filter((b) => !list.some((a) => dominates(a, b, y, x)));
}

const onPlot = () => state.shown.filter((v) => isNumber(state.y.value(v)) && isNumber(state.x.value(v)));

// ---- filter ----

const ALIASES = { weights: "weights_bytes", workspace: "workspace_bytes" };
const SUFFIX = { "": 1, k: 1e3, M: 1e6, G: 1e9 };
const COMPARE = {
    "=": (a, b) => a === b, "==": (a, b) => a === b, "!=": (a, b) => a !== b,
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};
const parameterNames = unique(variants.flatMap((v) => Object.keys(v.parameters || {})));
const filterNames = unique([...parameters.map((p) => p.key), ...quantities.map((q) => q.key)]);

/** What a name in a condition stands for: a function of a variant. */
function subject(name) {
    const key = ALIASES[name] || name;
    const quantity = quantities.find((q) => q.key === key);
    if (parameterNames.includes(name)) return (v) => v.parameters[name] ?? null;
    if (quantity) return quantity.value;
    throw new Error(`there is no "${name}" here; known are ${filterNames.join(", ")}`);
}

function parseNumber(text) {
    const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([kMG]?)$/.exec(text);
    return match ? Number(match[1]) * SUFFIX[match[2]] : null;
}

/** Says why nothing fits one condition, as units are easily mistaken. */
function reach(get) {
    const values = variants.map(get).filter(isNumber);
    const short = (n) => (Math.abs(n) >= 1e5 ? n.toExponential(2).replace("e+", "e") : String(Number(n.toPrecision(4))));
    return values.length ? `, which goes from ${short(Math.min(...values))} to ${short(Math.max(...values))}` : "";
}

function condition(name, operator, text) {
    const get = subject(name), number = parseNumber(text);
    if (!text) throw new Error(`what is "${name}" compared with? A value belongs behind ${operator}`);
    if (/[<>]/.test(operator) && number === null) throw new Error(`"${text}" is no number, which "${name}${operator}" needs`);
    const plain = text.replace(/["\s]/g, "");
    const test = (v) => {
        const value = get(v);
        if (value === null) return false;
        if (isNumber(value)) return number !== null && COMPARE[operator](value, number);
        return /[<>]/.test(operator) ? false : COMPARE[operator](valueText(value).replace(/\s/g, ""), plain);
    };
    test.empty = () => `no variant has ${name}${operator}${text}${reach(get)}`;
    return test;
}

/** The tests that a filter stands for. Throws what a reader is told. */
function parseFilter(text) {
    const tight = text.replace(/\s*([<>!]=|==|[=<>])\s*/g, "$1");
    return (tight.match(/(?:"[^"]*"|\[[^\]]*\]|[^\s])+/g) || []).map((word) => {
        const parts = /^([^<>=!]+)([<>!]=|==|[=<>])([^<>=!]*)$/.exec(word);
        if (parts) return condition(parts[1], parts[2], parts[3]);
        if (/[<>=!]/.test(word)) throw new Error(`"${word}" is no condition: write NAME, one of = != < <= > >=, and a value`);
        const wanted = word.replaceAll('"', "").toLowerCase();
        return (v) => v.name.toLowerCase().includes(wanted);
    });
}

function tellFilter(problem) {
    $("filter-error").textContent = problem || "";
    $("filter-error").hidden = !problem;
    $("filter").setAttribute("aria-invalid", String(Boolean(problem)));
}

function readFilter() {
    try {
        const tests = parseFilter($("filter").value);
        const hopeless = tests.find((test) => test.empty && !variants.some(test));
        state.matches = (v) => tests.every((test) => test(v));
        tellFilter(hopeless && hopeless.empty());
    } catch (problem) {
        tellFilter(problem.message); // what was shown stays
    }
    refresh();
}

// ---- colours and shapes of a parameter's values ----

const SHAPES = [["circle", 0], ["rect", 0], ["triangle", 0], ["rectRot", 0], ["triangle", 180], ["triangle", 90], ["triangle", 270]];
/* Okabe and Ito's, told apart by all kinds of eyes; the pale ones darkened on white. More values get a ramp. */
const COLOURS = {
    light: ["#0072b2", "#d55e00", "#008a65", "#b85c94", "#a87000", "#3a8fc7", "#5b5b5b"],
    dark: ["#56b4e9", "#e69f00", "#2fc79a", "#e59bc6", "#f0e442", "#ff8a4c", "#b9b9b9"],
};
const RAMP = { light: ["#440154", "#3b528b", "#21918c", "#3fae6b"], dark: ["#6f8fe0", "#21a5a0", "#5ec962", "#fde725"] };
const darkness = matchMedia("screen and (prefers-color-scheme: dark)");
let printing = false;
const theme = () => (darkness.matches && !printing ? "dark" : "light");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function mixed(from, to, share) {
    const channel = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
    return `rgb(${[0, 1, 2].map((i) => Math.round(channel(from, i) * (1 - share) + channel(to, i) * share)).join(", ")})`;
}

function ramp(share) {
    const stops = RAMP[theme()], place = share * (stops.length - 1), i = Math.min(Math.floor(place), stops.length - 2);
    return mixed(stops[i], stops[i + 1], place - i);
}

/** The different values of the parameter that gives colours, in order. */
function colourValues() {
    const order = (a, b) => (isNumber(a) && isNumber(b) ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
    const values = unique(variants.map((v) => { const raw = state.colour.raw(v); return isNumber(raw) ? raw : valueText(raw); }));
    return values.sort(order);
}

function lookAt(place, count) {
    const few = count <= SHAPES.length;
    const [shape, turn] = SHAPES[few ? place : 0];
    return { colour: few ? COLOURS[theme()][place] : ramp(place / (count - 1)), shape, turn };
}

/** look(variant): colour, shape and turn of its point. */
function looks() {
    if (!state.colour) return () => lookAt(0, 1);
    const values = colourValues();
    return (v) => { const raw = state.colour.raw(v); return lookAt(values.indexOf(isNumber(raw) ? raw : valueText(raw)), values.length); };
}

const OUTLINE = { circle: null, rect: "-5,-5 5,-5 5,5 -5,5", triangle: "0,-6 5.6,4.2 -5.6,4.2", rectRot: "0,-6.6 6.6,0 0,6.6 -6.6,0" };

/** The point of the plot, small, for table and legend: filled on the front. */
function symbol(look, filled) {
    const SVG = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(SVG, "svg"), outline = OUTLINE[look.shape];
    const shape = document.createElementNS(SVG, outline ? "polygon" : "circle");
    const set = (element, attributes) => Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
    set(shape, outline ? { points: outline, transform: `rotate(${look.turn})` } : { r: 5.2 });
    set(shape, { fill: filled ? look.colour : "none", stroke: look.colour, "stroke-width": 1.8 });
    set(svg, { viewBox: "-8 -8 16 16", class: "symbol", "aria-hidden": "true" });
    svg.append(shape);
    return svg;
}

// ---- selecting and pointing ----

function choose(id) {
    const place = state.chosen.indexOf(id);
    if (place < 0) state.chosen.push(id);
    else state.chosen.splice(place, 1);
    showChosen();
}

function clearChosen() {
    state.chosen = [];
    showChosen();
}

function showChosen() {
    for (const row of $("table").tBodies[0].rows) {
        const place = state.chosen.indexOf(Number(row.dataset.id));
        row.classList.toggle("chosen", place >= 0);
        row.setAttribute("aria-selected", String(place >= 0));
        row.querySelector(".letter").textContent = place < 0 ? "" : letter(place);
    }
    drawComparison();
    drawParameters();
    pinColumns();
    if (plot) plot.draw();
}

function rowOf(id) {
    return $("table").querySelector(`tbody tr[data-id="${id}"]`);
}

/** From a point, a row's mouse or a row's focus: both sides show it. */
function point(id) {
    if (id === state.hovered) return;
    state.hovered = id;
    $("table").querySelectorAll("tr.hover").forEach((row) => row.classList.remove("hover"));
    if (id !== null && rowOf(id)) rowOf(id).classList.add("hover");
    pointInPlot(id);
}

/** Scrolls the table in itself, never the page. */
function showRow(id) {
    const row = rowOf(id), box = $("table-scroll"), head = $("table").tHead.offsetHeight;
    if (!row) return;
    if (row.offsetTop < box.scrollTop + head) box.scrollTop = row.offsetTop - head;
    else if (row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight)
        box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight;
}

// ---- plot ----

let plot = null;
const coordinates = (v) => ({ x: state.x.value(v) / state.x.factor, y: state.y.value(v) / state.y.factor, id: v.id });
const variantOf = (element) => variants[plot.data.datasets[0].data[element.index].id];

/** The ends of an axis: all points and whiskers with some room. */
function ends(q, list, logarithmic) {
    const reachOf = (v) => [q.value(v), ...(hasSpread(q, v) ? [q.low(v), q.high(v)] : [])].map((value) => value / q.factor);
    const all = list.flatMap(reachOf), low = Math.min(...all), high = Math.max(...all);
    if (!all.length) return {};
    if (logarithmic) return { min: low / Math.max(1.05, (high / low) ** 0.06), max: high * Math.max(1.05, (high / low) ** 0.06) };
    const room = (high - low || Math.abs(high) || 1) * 0.07;
    return { min: low >= 0 ? Math.max(0, low - room) : low - room, max: high + room };
}

/** With as many decimals as the ticks of this axis need. */
function tickText(value, _, ticks) {
    const places = (n) => (String(Number(n.toPrecision(6))).split(".")[1] || "").length;
    return grouped(value, Math.max(...ticks.map((tick) => places(tick.value))));
}

/** 1, 2 ... 9 of each decade; within less than a half of one, the round numbers that a linear axis would have. */
function logTicks(scale) {
    const { min, max } = scale, ticks = [], size = 10 ** Math.floor(Math.log10((max - min) / 2));
    for (let n = Math.ceil(min / size); max < 4 * min && n * size <= max; n++) ticks.push({ value: n * size });
    for (let decade = 10 ** Math.floor(Math.log10(min)); max >= 4 * min && decade <= max; decade *= 10)
        for (let n = 1; n < 10; n++) if (n * decade >= min && n * decade <= max) ticks.push({ value: n * decade });
    scale.ticks = ticks;
}

/** Which of them have a label: the more decades, the fewer. */
function logTick(value, _, ticks) {
    const first = Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
    const wide = ticks[ticks.length - 1].value / ticks[0].value;
    return wide < 5 || (wide < 2000 ? [1, 2, 5] : [1]).includes(first) ? tickText(value, 0, [{ value }]) : "";
}

function axis(q, list, logarithmic) {
    return { type: logarithmic ? "logarithmic" : "linear", ...ends(q, list, logarithmic),
        afterBuildTicks: logarithmic ? logTicks : undefined,
        title: { display: true, text: spoken(q).length < 45 ? withUnit(q, spoken(q)) : [withUnit(q, q.label), q.note], color: css("text"), font: { size: 13 } },
        grid: { color: css("line") }, border: { color: css("muted") },
        ticks: { color: css("muted"), includeBounds: false, maxRotation: 0, autoSkip: !logarithmic, autoSkipPadding: 12,
            callback: logarithmic ? logTick : tickText } };
}

/** A logarithm needs numbers over 0. */
function isLog(name, q, list) {
    const box = $(`${name}-log`);
    box.disabled = list.some((v) => q.value(v) <= 0 || (hasSpread(q, v) && q.low(v) <= 0));
    box.title = box.disabled ? "Some values are not over 0" : "";
    return box.checked && !box.disabled;
}

function points(list) {
    const look = looks(), each = list.map((v) => ({ ...look(v), front: state.front.has(v.id) }));
    return { data: list.map(coordinates), clip: false, hitRadius: 6, hoverBorderWidth: 3,
        pointStyle: each.map((p) => p.shape), rotation: each.map((p) => p.turn),
        radius: each.map((p) => (p.front ? 6.5 : 4.5)), hoverRadius: 8.5, borderWidth: 1.8,
        borderColor: each.map((p) => p.colour), hoverBorderColor: css("text"),
        backgroundColor: each.map((p) => (p.front ? p.colour : css("ground"))),
        hoverBackgroundColor: each.map((p) => (p.front ? p.colour : css("ground"))) };
}

/** Between two points of the front lies what one of them still dominates: steps, not slopes. */
function drawFront(chart, context) {
    const spots = chart.getDatasetMeta(0).data.filter((_, i) => state.front.has(chart.data.datasets[0].data[i].id));
    spots.sort((a, b) => a.x - b.x || (b.y - a.y) * state.x.better * state.y.better);
    context.strokeStyle = css("front");
    context.lineWidth = 1.5;
    context.beginPath();
    spots.forEach((spot, i) => {
        const last = spots[i - 1] || spot;
        if (state.x.better < 0) context.lineTo(spot.x, last.y);
        else context.lineTo(last.x, spot.y);
        context.lineTo(spot.x, spot.y);
    });
    context.stroke();
}

function drawWhiskers(chart, context) {
    const line = (x0, y0, x1, y1) => { context.moveTo(x0, y0); context.lineTo(x1, y1); };
    const at = (scale, q, value) => scale.getPixelForValue(value / q.factor);
    chart.getDatasetMeta(0).data.forEach((spot, i) => {
        const v = variants[chart.data.datasets[0].data[i].id];
        context.strokeStyle = chart.data.datasets[0].borderColor[i];
        context.lineWidth = 1.2;
        context.beginPath();
        if (hasSpread(state.y, v)) {
            const [low, high] = [state.y.low(v), state.y.high(v)].map((value) => at(chart.scales.y, state.y, value));
            line(spot.x, low, spot.x, high); line(spot.x - 4, low, spot.x + 4, low); line(spot.x - 4, high, spot.x + 4, high);
        }
        if (hasSpread(state.x, v)) {
            const [low, high] = [state.x.low(v), state.x.high(v)].map((value) => at(chart.scales.x, state.x, value));
            line(low, spot.y, high, spot.y); line(low, spot.y - 4, low, spot.y + 4); line(high, spot.y - 4, high, spot.y + 4);
        }
        context.stroke();
    });
}

function drawLetters(chart, context) {
    context.font = `bold 13px ${getComputedStyle(document.body).fontFamily}`;
    chart.getDatasetMeta(0).data.forEach((spot, i) => {
        const place = state.chosen.indexOf(chart.data.datasets[0].data[i].id);
        if (place < 0) return;
        context.strokeStyle = context.fillStyle = css("text");
        context.lineWidth = 2;
        context.beginPath();
        context.arc(spot.x, spot.y, 10.5, 0, 2 * Math.PI);
        context.stroke();
        context.fillText(letter(place), spot.x + 12, spot.y - 8);
    });
}

const marks = {
    id: "marks",
    beforeDatasetsDraw(chart) {
        chart.ctx.save();
        if (state.front.size) drawFront(chart, chart.ctx);
        drawWhiskers(chart, chart.ctx);
        chart.ctx.restore();
    },
    afterDatasetsDraw(chart) {
        chart.ctx.save();
        drawLetters(chart, chart.ctx);
        chart.ctx.restore();
    },
};

/** What stands beside a point: the variant's name, the values of both axes, and the first few others. */
function tooltipContent(v) {
    const others = quantities.filter((q) => ["params", "macs", "latency_1", "accuracy"].includes(q.key));
    const rows = unique([state.y, state.x, ...others]).filter((q) => q.kind !== "parameter").map((q) => {
        const spread = spreadText(q, v);
        return make("tr", {}, make("td", {}, short(q)),
            make("td", { class: "number" }, `${written(q, q.value(v))}${q.unit ? ` ${q.unit}` : ""}`), make("td", { class: "spread" }, spread));
    });
    const front = state.front.has(v.id) ? make("span", { class: "remark" }, "on the Pareto front") : null;
    return [make("b", {}, v.name), make("table", {}, make("tbody", {}, ...rows)), front];
}

/** Inside of the frame, beside the point, on the side that has room. */
function showTooltip({ chart, tooltip }) {
    const box = $("tooltip"), element = tooltip.opacity && tooltip.dataPoints && tooltip.dataPoints[0] && tooltip.dataPoints[0].element;
    box.hidden = !element || !chart.data.datasets[0].data[tooltip.dataPoints[0].dataIndex];
    if (box.hidden) return;
    box.replaceChildren(...tooltipContent(variantOf({ index: tooltip.dataPoints[0].dataIndex })).filter(Boolean));
    const right = element.x + 16, fits = right + box.offsetWidth < chart.width;
    box.style.left = `${Math.max(0, fits ? right : Math.min(element.x - 16 - box.offsetWidth, chart.width - box.offsetWidth))}px`;
    const above = element.y - box.offsetHeight - 14, beside = fits || element.x - 16 - box.offsetWidth >= 0;
    box.style.top = `${Math.max(0, beside ? Math.min(element.y - 12, chart.height - box.offsetHeight) : above < 0 ? element.y + 14 : above)}px`;
}

function pointInPlot(id) {
    if (!plot) return;
    const index = plot.data.datasets[0].data.findIndex((spot) => spot.id === id);
    const active = index < 0 ? [] : [{ datasetIndex: 0, index }];
    plot.setActiveElements(active);
    plot.tooltip.setActiveElements(active, { x: 0, y: 0 });
    plot.update("none");
}

function onPlotHover(event, elements) {
    event.native.target.style.cursor = elements.length ? "pointer" : "";
    const id = elements.length ? variantOf(elements[0]).id : null;
    if (id !== state.hovered) point(id);
}

function onPlotClick(event, elements) {
    if (!elements.length) return;
    const { id } = variantOf(elements[0]);
    choose(id);
    showRow(id);
}

function makePlot() {
    return new Chart($("plot"), {
        type: "scatter",
        data: { datasets: [points([])] },
        plugins: [marks],
        options: { animation: false, responsive: true, maintainAspectRatio: false, layout: { padding: { top: 8, right: 14 } },
            interaction: { mode: "nearest", intersect: true }, onHover: onPlotHover, onClick: onPlotClick,
            plugins: { legend: { display: false }, tooltip: { enabled: false, external: showTooltip } } },
    });
}

function updatePlot() {
    if (!plot) return;
    const all = onPlot(), front = paretoFront(all, state.y, state.x);
    const list = [...all.filter((v) => !front.includes(v)), ...front]; // the front is drawn last, on top
    state.front = new Set(front.map((v) => v.id));
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    plot.setActiveElements([]);
    plot.tooltip.setActiveElements([], { x: 0, y: 0 });
    state.hovered = null;
    plot.data.datasets[0] = points(list);
    plot.options.scales = { y: axis(state.y, list, isLog("y", state.y, list)), x: axis(state.x, list, isLog("x", state.x, list)) };
    plot.update("none");
    $("no-points").hidden = list.length > 0;
    $("no-points").textContent = variants.length && !state.shown.length ? "No variant fits the filter." :
        "No variant that is shown has both values.";
    drawLegend();
    drawCaption(list);
}

function drawLegend() {
    const plain = state.colour ? { ...lookAt(0, 1), colour: css("muted") } : lookAt(0, 1);
    const entry = (sign, text) => make("span", {}, sign, ` ${text}`);
    const values = state.colour ? colourValues() : [];
    const picked = values.length > 12 ? [0, 1, 2, 3, 4].map((i) => Math.round(i * (values.length - 1) / 4)) : values.map((_, i) => i);
    const entries = picked.map((i) => entry(symbol(lookAt(i, values.length), true), `${state.colour.label} ${values[i]}`));
    if (state.front.size)
        entries.push(make("span", {}, symbol(plain, true), make("i", { class: "front-line" }), " Pareto front"));
    if (state.front.size && state.front.size < plot.data.datasets[0].data.length) entries.push(entry(symbol(plain, false), "others"));
    $("legend").replaceChildren(...entries);
}

/** Which direction of the axes is better, what the whiskers are, who is missing. */
function drawCaption(list) {
    const { y, x } = state, words = [];
    const wish = (q) => `${q.better > 0 ? "higher" : "lower"} ${q.label.startsWith("MAC") ? q.label : q.label.toLowerCase()}`;
    if (state.front.size && list.length > 1)
        words.push(`Pareto front of ${wish(y)} and ${wish(x)}: no other variant shown is as good in both and better in one.`);
    const ranges = [y, x].filter((q) => list.some((v) => hasSpread(q, v)));
    if (ranges.some((q) => q.key !== "accuracy")) words.push("Points are medians, whiskers go from the lowest to the highest round.");
    if (ranges.some((q) => q.key === "accuracy")) words.push("Accuracies are means over seeds, their whiskers one standard deviation.");
    const missing = state.shown.length - list.length;
    if (missing && list.length) words.push(`${plural(missing, "variant")} without a value of both axes ${missing === 1 ? "is" : "are"} not in the plot.`);
    $("caption").textContent = words.join(" ");
}

// ---- choosing axes ----

function fillAxis(name, chosen) {
    const options = unique(axes.map((q) => q.kind)).map((kind) => make("optgroup", { label: kind },
        ...axes.map((q, i) => (q.kind === kind ? make("option", { value: i, selected: q === chosen && "" }, withUnit(q)) : null))));
    $(name).replaceChildren(...options);
    const choose = (q) => { state[name] = q; $(`${name}-log`).checked = spansDecades(q); };
    choose(chosen);
    $(name).addEventListener("change", () => { choose(axes[Number($(name).value)]); refresh(); });
    $(`${name}-log`).addEventListener("change", refresh);
}

/** Is the axis better read as a logarithm, until the reader says otherwise? */
function spansDecades(q) {
    const values = variants.map(q.value).filter(isNumber);
    return q.better !== 0 && Math.min(...values) > 0 && Math.max(...values) > 20 * Math.min(...values);
}

function firstAxis(...keys) {
    return keys.map((key) => axes.find((q) => q.key === key)).find(Boolean);
}

/** Latency against work, if both are there; what all variants have alike is no axis to begin with. */
function defaultAxes() {
    const alike = sweep.equal ? sweep.equal.what : "";
    const x = firstAxis(...["macs", "params", "activations", "weights_bytes"].filter((key) => key !== alike)) || axes[0];
    const y = firstAxis("latency_1", "latency_n", "throughput", "accuracy", "published_top1_error", "compile") ||
        axes.find((q) => q.kind === "published") || firstAxis("activations", "params") || x;
    return { y, x };
}

function fillColours() {
    const useful = parameters.filter((p) => unique(variants.map((v) => valueText(p.raw(v)))).length > 1);
    state.colour = useful[0] || null;
    $("colour-label").hidden = !useful.length;
    $("colour").replaceChildren(...useful.map((p, i) => make("option", { value: i }, p.label)), make("option", { value: "" }, "none"));
    $("colour").addEventListener("change", () => { state.colour = useful[$("colour").value] || null; refresh(); });
}

// ---- table ----

/** Columns: what a variant is, then its quantities; the machine where there was more than one. */
function tableColumns() {
    const machine = (v) => unique(quantities.map((q) => q.measurement && q.measurement(v)?.machine).filter(Boolean)).join(", ");
    const texts = named ? [{ key: "name", label: "Variant", raw: (v) => v.name }] : [];
    const machines = unique(variants.map(machine).filter(Boolean));
    return [...texts, ...parameters.map((p) => ({ ...p, pinned: true })), ...quantities,
        ...(machines.length > 1 ? [{ key: "machine", label: "Measured on", raw: machine }] : [])];
}

const columns = tableColumns();
const sortValue = (column, v) => { const value = column.raw ? column.raw(v) : column.value(v);
    return isNumber(value) || value === null || value === undefined ? value : valueText(value); };

/** Numbers by size, texts by letters, and last, whatever the direction, what is not there. */
function compare(a, b, column, direction) {
    const [p, q] = [sortValue(column, a), sortValue(column, b)];
    const missing = (p === null || p === undefined) - (q === null || q === undefined);
    if (missing || p === q || p === null || p === undefined) return missing || a.id - b.id;
    const order = isNumber(p) && isNumber(q) ? p - q : String(p).localeCompare(String(q), "en", { numeric: true });
    return order * direction || a.id - b.id;
}

function sortBy(key) {
    const { sort } = state;
    if (sort.key !== key) state.sort = { key, direction: 1 };
    else state.sort = sort.direction > 0 ? { key, direction: -1 } : { key: null, direction: 1 };
    refresh();
}

const SORTED = { "1": "ascending", "-1": "descending" };

function headCell(column) {
    const numeric = !column.raw || variants.some((v) => isNumber(column.raw(v)));
    return make("th", { scope: "col", class: `${numeric ? "number" : "text"}${column.raw ? " pinned" : ""}`, "data-key": column.key, "aria-sort": "none" },
        make("button", { type: "button", title: "Sort", onclick: () => sortBy(column.key) }, column.label),
        column.note ? make("span", { class: "remark" }, column.note) : null,
        column.unit ? make("span", { class: "unit" }, column.unit) : null);
}

function cells(column, v) {
    if (column.raw) {
        const raw = column.raw(v);
        return [make("th", { scope: "row", class: `pinned${isNumber(raw) ? " number" : ""}` }, raw === null ? "" : isNumber(raw) ? String(raw) : valueText(raw))];
    }
    const value = column.value(v), failed = column.measurement && column.measurement(v)?.error;
    const text = failed && !isNumber(value) ? "failed" : written(column, value);
    const first = make("td", { class: `number${isNumber(value) ? "" : " absent"}`, title: details(column, v) }, text);
    return column.spread ? [first, make("td", { class: "spread" }, spreadText(column, v))] : [first];
}

function drawHead() {
    $("table").replaceChildren(make("caption", { hidden: "" }, "Variants and their quantities"),
        make("thead", {}, make("tr", {}, make("th", { class: "pinned text", scope: "col", "aria-label": "point and selection" }), ...columns.flatMap((column) => [headCell(column),
            column.spread ? make("th", { class: "spread", scope: "col" }, column.key === "accuracy" ? "sd" : "range") : null]).filter(Boolean))),
        make("tbody", {}));
}

function row(v, look) {
    const front = state.front.has(v.id);
    const mark = make("td", { class: "pinned mark", title: front ? "on the Pareto front" : null }, symbol(look(v), front), make("span", { class: "letter" }));
    return make("tr", { "data-id": v.id, tabindex: -1, "aria-label": v.name + (front ? ", on the Pareto front" : ""),
        onclick: () => { choose(v.id); point(v.id); }, onmouseenter: () => point(v.id), onmouseleave: () => point(null),
        onfocus: () => point(v.id), onblur: () => point(null), onkeydown: (event) => rowKey(event, v.id) },
        mark, ...columns.flatMap((column) => cells(column, v)));
}

/** One row is a stop of the Tab key; arrows go on from there, Space and Enter select, Escape clears. */
function rowKey(event, id) {
    const here = event.currentTarget, all = [...here.parentNode.rows];
    const steps = { ArrowDown: here.nextElementSibling, ArrowUp: here.previousElementSibling, Home: all[0], End: all[all.length - 1] };
    if (event.key === "Escape") clearChosen();
    else if (event.key === " " || event.key === "Enter") choose(id);
    else if (!(event.key in steps)) return;
    event.preventDefault();
    const next = steps[event.key];
    if (!next) return;
    here.tabIndex = -1;
    next.tabIndex = 0;
    next.focus({ preventScroll: true });
    showRow(Number(next.dataset.id));
}

/** Where they leave room for others, the columns that say what a variant is stay when the table scrolls sideways; else the first. */
function pinColumns() {
    const head = [...$("table").tHead.rows[0].cells].filter((cell) => cell.classList.contains("pinned"));
    const widths = head.map((cell) => cell.getBoundingClientRect().width), room = $("table-scroll").clientWidth * 0.5;
    let left = 0;
    widths.forEach((width, i) => {
        const place = left + width <= room ? `${left}px` : "auto";
        for (const tr of [$("table").tHead.rows[0], ...$("table").tBodies[0].rows]) tr.querySelectorAll(".pinned")[i].style.left = place;
        left += width;
    });
}

function drawTable() {
    const look = looks(), rows = state.shown.map((v) => row(v, look));
    if (rows.length) rows[0].tabIndex = 0;
    const nothing = make("tr", { class: "nothing" }, make("td", { colspan: 99 }, variants.length ? "No variant fits the filter." : "There are no variants."));
    $("table").tBodies[0].replaceChildren(...rows);
    $("table").tFoot?.remove();
    if (!rows.length) $("table").append(make("tfoot", {}, nothing));
    for (const cell of $("table").tHead.rows[0].cells)
        if (cell.dataset.key) cell.setAttribute("aria-sort", cell.dataset.key === state.sort.key ? SORTED[state.sort.direction] : "none");
    $("count").textContent = rows.length === variants.length ? plural(rows.length, "variant") :
        `${grouped(rows.length, 0)} of ${plural(variants.length, "variant")}`;
}

/** Where values come from and why some are missing. */
function drawNotes() {
    const notes = quantities.filter((q) => q.source).map((q) =>
        `${spoken(q)}: ${unique(variants.map(q.source).filter(Boolean)).join("; ")}.`);
    for (const key of ["compile", "latency_1", "latency_n", "throughput", "energy", "accuracy"]) {
        const failed = variants.filter((v) => v[key] && v[key].error);
        for (const why of unique(failed.map((v) => v[key].error))) {
            const who = failed.filter((v) => v[key].error === why).map((v) => v.name);
            const names = who.length === variants.length ? "all variants" : who.slice(0, 5).join("; ") + (who.length > 5 ? ` and ${who.length - 5} more` : "");
            notes.push(`No ${{ latency_1: "latency (1 thread)", latency_n: "latency (all threads)" }[key] || key} of ${names}: ${why}`);
        }
    }
    $("notes").replaceChildren(...notes.map((note) => make("li", {}, note)));
}

// ---- comparison ----

/** What two variants differ by: a ratio; of percentages, which are shares already, the difference in points. */
function difference(q, value, reference) {
    if (!isNumber(value) || !isNumber(reference)) return "–";
    if (q.unit === "%") return `${value > reference ? "+" : ""}${grouped((value - reference) / q.factor, Math.max(1, q.decimals))} points`;
    return reference ? `× ${grouped(value / reference, 2)}` : "–";
}

function comparisonRow(q, chosen) {
    const [first, ...others] = chosen;
    const cells = others.map((v) => make("td", { class: "number ratio", title: written(q, q.value(v)) },
        difference(q, q.value(v), q.value(first))));
    return make("tr", { "data-key": q.key }, make("th", { scope: "row", title: q.note }, short(q), q.unit ? make("span", { class: "aside" }, `\u00a0${q.unit}`) : null),
        make("td", { class: "number" }, written(q, q.value(first))), ...cells);
}

function drawComparison() {
    const chosen = state.chosen.map((id) => variants[id]);
    $("clear").hidden = !chosen.length;
    $("comparison-title").textContent = chosen.length ? `Selected: ${chosen.length}` : "Selected";
    $("comparison-hint").hidden = chosen.length > 1;
    $("comparison-hint").textContent = chosen.length ? "Select another one to see it as a ratio to this one." :
        "Click points or rows to compare them with the first one. On a row, Space selects and Escape clears.";
    if (!chosen.length) return $("comparison-table").replaceChildren();
    const head = chosen.map((v, i) => make("th", { scope: "col", class: "letter", title: v.name }, letter(i)));
    const what = parameters.map((p) => make("tr", {}, make("th", { scope: "row" }, p.label),
        ...chosen.map((v) => make("td", { class: "number" }, valueText(p.raw(v))))));
    const names = named ? [make("tr", {}, make("th", { scope: "row" }, "Variant"),
        ...chosen.map((v) => make("td", { class: "number" }, v.name)))] : [];
    return $("comparison-table").replaceChildren(make("thead", {}, make("tr", {}, make("th", {}), ...head)),
        make("tbody", {}, ...names, ...what, ...quantities.filter((q) => q.kind).map((q) => comparisonRow(q, chosen))));
}

// ---- the network's text ----

/** Where the parameters of the net stand in the text: from behind its opening bracket to the closing one. */
function parameterSpan(text) {
    const exact = new RegExp(`\\bnet\\s+${sweep.network.replace(/\W/g, "\\$&")}\\s*\\(`).exec(text) || /\bnet\s+\w+\s*\(/.exec(text);
    if (!exact) return null;
    const start = exact.index + exact[0].length;
    let depth = 1, end = start;
    for (; end < text.length && depth > 0; end++) {
        if (text[end] === "#") end = (text.indexOf("\n", end) + text.length + 1) % (text.length + 1) || text.length;
        if ("([".includes(text[end])) depth++;
        if (")]".includes(text[end])) depth--;
    }
    return { start, end };
}

/** Pieces of a line: the changed parameters where they are defined, and where they are used. Not in comments. */
function markLine(line, offset, span, names) {
    const comment = line.search(/#/), code = comment < 0 ? line : line.slice(0, comment);
    const word = new RegExp(`(?<![\\w.])(${names.join("|")})(?!\\w)`, "g"), parts = [];
    let from = 0, defines = false;
    for (const match of names.length && span ? code.matchAll(word) : []) {
        const at = offset + match.index, rest = code.slice(match.index + match[0].length);
        const defined = at >= span.start && at < span.end && /^\s*=(?!=)/.test(rest);
        if (at < span.start) continue;
        parts.push(line.slice(from, match.index), make(defined ? "mark" : "span", { class: defined ? null : "use" }, match[0]));
        from = match.index + match[0].length;
        defines ||= defined;
    }
    return { parts: [...parts, line.slice(from)], defines };
}

function drawText() {
    const text = sweep.text || "", span = parameterSpan(text), names = parameters.map((p) => p.key).filter((name) => /^\w+$/.test(name));
    let offset = 0;
    const lines = text.replace(/\n$/, "").split("\n").map((line, i) => {
        const { parts, defines } = markLine(line, offset, span, names);
        offset += line.length + 1;
        return make("span", { class: defines ? "row changed" : "row", "data-line": i + 1 }, ...parts, "\n");
    });
    $("source").hidden = !text;
    $("source-title").textContent = `The network: ${sweep.file || sweep.network}`;
    $("text").replaceChildren(make("pre", { tabindex: 0, "aria-label": "the network's text" }, make("code", {}, ...lines)));
}

/** Beside the text: the values that the selected variants give to all its parameters. */
function drawParameters() {
    const chosen = state.chosen.map((id) => variants[id]);
    if (!chosen.length) return $("parameters").replaceChildren(make("p", { class: "remark" }, variants.length ?
        "Select a variant to see here what its parameters are." : ""));
    const changed = new Set(parameters.map((p) => p.key));
    const rows = parameterNames.map((name) => make("tr", { class: changed.has(name) ? "changed" : null }, make("th", { scope: "row" }, name),
        ...chosen.map((v) => make("td", { class: "number" }, name in v.parameters ? valueText(v.parameters[name]) : "–"))));
    const head = chosen.map((v, i) => make("th", { scope: "col", class: "letter", title: v.name }, letter(i)));
    return $("parameters").replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "Parameter"), ...head)),
        make("tbody", {}, ...rows)));
}

// ---- what was left out ----

function drawLeftOut() {
    const group = (status, title) => {
        const list = leftOut.filter((v) => v.status === status);
        if (!list.length) return [];
        const rows = list.map((v) => make("tr", { "data-status": status }, make("td", {}, v.name), make("td", {}, v.reason || "no reason is known")));
        return [make("h3", {}, `${title}: ${list.length}`), make("div", { class: "scroll" }, make("table", {},
            make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Variant"), make("th", { scope: "col" }, "Why"))), make("tbody", {}, ...rows)))];
    };
    $("left-out").hidden = !leftOut.length;
    $("left-out-title").textContent = "Left out";
    $("left-out-lists").replaceChildren(...group("cut", "Cut, by what the network asserts or the sweep asks for"), ...group("failed", "Failed"));
}

// ---- summary ----

const day = (date) => (date || "").replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*/, "$1, $2 UTC");

function equalText() {
    const { equal } = sweep;
    if (!equal) return null;
    const value = isNumber(equal.value) ? grouped(equal.value, Number.isInteger(equal.value) ? 0 : 3) : "–";
    const reference = /[a-z]/i.test(equal.reference || "") ? `, as with ${equal.reference.replaceAll(",", ", ").replaceAll(":", " = ")}` : "";
    const away = isNumber(equal.tolerance) ? `within ${Number((equal.tolerance * 100).toPrecision(3))} %` : "the nearest variants";
    return `${equal.what} = ${value}${reference}; ${away}`;
}

function machineText() {
    const m = sweep.machine;
    return m ? [m.processor, m.cores && plural(m.cores, "core"), m.threads && `${plural(m.threads, "thread")} used`, m.system].filter(Boolean).join(", ") : null;
}

function drawSummary() {
    const over = (sweep.over || []).map((o) => `${o.name} = ${o.values.join(", ")}`).join(";  ");
    const rows = [
        ["Command", sweep.command && make("code", {}, sweep.command)],
        ["Over", over], ["Solved", sweep.solve && `${sweep.solve}${sweep.equal ? "" : ", freely"}`], ["Equal", equalText()],
        ["Where", (sweep.where || []).join(";  ")], ["Target", [sweep.target, sweep.options].filter(Boolean).join(" ")],
        ["Machine", machineText()], ["Date", [day(sweep.date), sweep.netc && `netc ${sweep.netc}`].filter(Boolean).join(", ")],
    ];
    $("summary").replaceChildren(...rows.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function drawHeader() {
    const count = (status) => sweep.variants.filter((v) => v.status === status).length;
    document.title = `${sweep.network}: sweep`;
    $("network").textContent = sweep.network;
    $("lead").textContent = [plural(variants.length, "variant"), count("cut") && `${count("cut")} cut`, count("failed") && `${count("failed")} failed`]
        .filter(Boolean).join(", ");
    $("made").textContent = `Made by netc ${sweep.netc || ""}, plotted by Chart.js ${Chart.version} (MIT). Nothing of this page is loaded from elsewhere.`;
}

function prepareFilter() {
    const known = (key) => filterNames.includes(key), first = parameters.find((p) => p.any);
    const values = first ? variants.map(first.value).filter(isNumber).sort((a, b) => a - b) : [];
    const middle = values[Math.floor(values.length / 2)];
    const examples = [first && `${first.key}>=${middle}`, known("latency_1") && "latency_1<60", known("macs") && "macs<4.2G"].filter(Boolean);
    $("filter").placeholder = `words, or conditions: ${examples.slice(0, 2).join(" ")}`;
    $("filter-names").textContent = unique([...filterNames, ...parameterNames]).join(", ");
    $("filter-units").textContent = unique(quantities.map((q) => q.measurement && q.scales[0][1]).filter(Boolean)).join(", ") || "shares.";
    $("filter").addEventListener("input", readFilter);
    $("filter").addEventListener("keydown", (event) => { if (event.key === "Escape") { $("filter").value = ""; readFilter(); } });
}

// ---- all together ----

/** After any change of filter, order, axes, colours or palette. */
function refresh() {
    const column = columns.find((c) => c.key === state.sort.key);
    state.shown = variants.filter(state.matches);
    if (column) state.shown.sort((a, b) => compare(a, b, column, state.sort.direction));
    updatePlot();
    drawTable();
    showChosen();
}

/** Paper is light and of one width, and has to be drawn before the browser takes its picture. */
function preparePaper(now) {
    if (printing === now) return;
    printing = now;
    if (plot) plot.options.devicePixelRatio = now ? 2 : undefined;
    if (plot && now) plot.resize(1000, 430);
    else if (plot) plot.resize();
    refresh();
}

function start() {
    drawHeader();
    drawSummary();
    drawLeftOut();
    drawText();
    drawHead();
    drawNotes();
    $("results").hidden = !axes.length;
    if (axes.length) {
        const chosen = defaultAxes();
        fillAxis("y", chosen.y);
        fillAxis("x", chosen.x);
        fillColours();
        prepareFilter();
        plot = makePlot();
    }
    $("table-section").hidden = !variants.length && leftOut.length > 0;
    $("filter").parentElement.hidden = !axes.length;
    $("clear").addEventListener("click", clearChosen);
    darkness.addEventListener("change", refresh);
    addEventListener("beforeprint", () => preparePaper(true));
    addEventListener("afterprint", () => preparePaper(false));
    addEventListener("resize", pinColumns);
    refresh();
}

start();
