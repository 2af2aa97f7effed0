/* What a report knows, without anything that is drawn: the variants, their quantities, numbers as text, the Pareto front, the
 * filter's conditions. plot.js and report.js follow it in one script.
 *
 * A quantity is what a column shows and an axis can have:
 *   value(variant)          in the units of the JSON, or null
 *   better                  -1: less is better, 1: more is, 0: neither
 *   kind                    computed, measured, trained here, published, parameter; "" is for no axis
 *   measurement, low, high  of a measured one: where its number comes from, its spread
 * settle() adds factor and unit, in which the page shows it, and decimals. */
"use strict";

const sweep = JSON.parse(document.getElementById("data").textContent);
const variants = sweep.variants.filter((v) => v.status === "ok").map((v, id) => ({ ...v, id }));
const leftOut = sweep.variants.filter((v) => v.status !== "ok");

const unique = (list) => [...new Set(list)];
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const joined = (...texts) => texts.filter(Boolean).join(", ");
const plural = (n, word) => `${grouped(n, 0)} ${word}${n === 1 ? "" : "s"}`;

/** A parameter's value as the language writes it, so far as JSON can say. */
function valueText(value) {
    if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`;
    return typeof value === "string" ? value : String(value ?? "");
}

// ---- quantities ----

const COUNT = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
const BYTES = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]];
const SHARE = [[0.01, "%"]];

function computedQuantities() {
    const rows = [["params", "Parameters", COUNT], ["macs", "MACs", COUNT], ["activations", "Activations", COUNT],
        ["weights_bytes", "Weights", BYTES], ["workspace_bytes", "Workspace", BYTES]];
    const computed = rows.map(([key, label, scales]) =>
        ({ key, label, scales, kind: "computed", better: -1, digits: 4, value: (v) => v[key] }));
    return [...computed, { key: "deviation", label: "Deviation", note: sweep.equal ? `of ${sweep.equal.what}` : "", kind: "",
        scales: SHARE, better: 0, digits: 2, signed: true, value: (v) => v.deviation }];
}

/** "2" or "1 to 2": what the measurements of all variants have in a field. */
function range(key, field) {
    const values = unique(variants.map((v) => v[key]?.[field]).filter((value) => value ?? false));
    if (values.length < 2 || !values.every(isNumber)) return values.join(", ");
    return `${Math.min(...values)} to ${Math.max(...values)}`;
}

function counted(key, field, word) {
    const n = range(key, field);
    return n && `${n} ${word}${n === "1" ? "" : "s"}`;
}

function measuredQuantity(key, label, note, better, usual) {
    const unit = variants.map((v) => v[key]?.unit).find(Boolean) || usual;
    return { key, label, note, kind: "measured", better, digits: 3, scales: [[1, unit]],
        measurement: (v) => v[key], value: (v) => v[key]?.median ?? null, low: (v) => v[key].low, high: (v) => v[key].high };
}

function peakShare(key, note) {
    return { key: `share_${key}`, label: "Share of peak", note, kind: "measured", better: 1, digits: 2, scales: SHARE,
        value: (v) => v[key]?.share ?? null };
}

function measuredQuantities() {
    const batch = range("throughput", "batch"), threads = counted("latency_n", "threads", "thread") || "all threads";
    const at = joined(batch && `batch ${batch}`, counted("throughput", "threads", "thread"));
    return [
        measuredQuantity("latency_1", "Latency", "1 thread", -1, "ms"), peakShare("latency_1", "1 thread"),
        measuredQuantity("latency_n", "Latency", threads, -1, "ms"), peakShare("latency_n", threads),
        { ...measuredQuantity("throughput", "Throughput", at, 1, "images/s"), brief: "" }, peakShare("throughput", "throughput"),
        measuredQuantity("energy", "Energy", "an image", -1, "J"),
        measuredQuantity("compile", "Compile time", "", -1, "s"),
    ];
}

/** What training here came to: mean and standard deviation over seeds, not median and range. */
function trainedQuantity() {
    const words = range("accuracy", "options").split(" "), data = words.find((word) => word.startsWith("data="));
    const settings = words.filter((word) => word !== data).map((word) =>
        word.replace(/^(epoch|picture)s=(\d+)$/, (_, what, n) => plural(Number(n), what)).replace("=", " "));
    const how = joined(`trained here: ${data?.slice(5) || "Fashion-MNIST"}`, ...settings, counted("accuracy", "n", "seed"));
    const mean = (v) => v.accuracy?.mean ?? v.accuracy?.median ?? null;
    const away = (v, sign) => (isNumber(v.accuracy.sd) ? mean(v) + sign * v.accuracy.sd : null);
    return { ...measuredQuantity("accuracy", "Accuracy", how, 1, "%"), kind: "trained here", brief: "trained here", digits: 4,
        value: mean, low: (v) => away(v, -1), high: (v) => away(v, 1) };
}

const published = (v) => v.published || [];
const publishedName = (p) => p.what.replace(/^top(\d)_/, "top-$1 ").replace(/^gmacs$/, "MACs").replace(/^params$/, "parameters")
    .replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());
const EXACT_HERE = /^(params|g?macs|activations)$/;
const ABOUT_PICTURES = /error|accuracy/;
const MORE_IS_BETTER = /accuracy|throughput|images|precision|recall|iou|\bm?ap\b/i;

/** One for each thing that a source printed of two variants or more, if all was alike but the variant: data, image, hardware,
 * conditions. Errors and accuracies come first, what is known of most variants before the others. */
function publishedQuantities() {
    const circumstances = (p) => JSON.stringify([p.what, p.unit, p.source, p.data, p.image, p.hardware, p.conditions]);
    const all = variants.flatMap(published).filter((p) => !EXACT_HERE.test(p.what)), used = new Map();
    const groups = unique(all.map(circumstances)).map((key) => {
        const entry = (v) => published(v).find((p) => circumstances(p) === key);
        return { entry, p: variants.map(entry).find(Boolean), count: variants.filter(entry).length };
    }).filter(({ count }) => count > 1 || variants.length === 1);
    const rank = ({ p, count }) => (ABOUT_PICTURES.test(p.what) ? variants.length : 0) + count;
    return groups.sort((a, b) => rank(b) - rank(a)).map(({ entry, p, count }, place) => {
        const nth = (used.get(p.what) || 0) + 1, others = groups.filter((g) => g.p.what === p.what && g.p.source === p.source);
        used.set(p.what, nth);
        return { key: `published_${p.what}${nth > 1 ? `_${nth}` : ""}`, label: publishedName(p), kind: "published", printed: true,
            note: joined("published", p.source, p.hardware, others.length > 1 && p.conditions), brief: "published",
            better: MORE_IS_BETTER.test(p.what) ? 1 : -1, scales: [[1, p.unit || ""]],
            untabled: place > 0 && 2 * count < variants.length, source: entry, value: (v) => entry(v)?.value ?? null };
    });
}

/** Under which circumstances something was published. */
const circumstancesText = (p) => joined(p.data, p.image && `image ${p.image}`, p.hardware, p.conditions, p.how);

/** A column for each parameter that changed; an axis, too, if it is a number. raw() is the value of any kind. */
function parameterQuantities() {
    const names = sweep.changed?.length ? sweep.changed : unique((sweep.over || []).map((o) => o.name));
    const raw = (v, name) => v.parameters?.[name] ?? null;
    return names.map((name) => ({ key: name, label: name, kind: "parameter", better: 0, printed: true, scales: [[1, ""]],
        raw: (v) => raw(v, name), value: (v) => (isNumber(raw(v, name)) ? raw(v, name) : null) }));
}

const hasSpread = (q, v) =>
    Boolean(q.low && q.measurement(v)) && isNumber(q.low(v)) && isNumber(q.high(v)) && q.measurement(v).n !== 1;

/** The unit by the middle value; so many decimals that it has all its digits and the smallest one lacks one at most, or as
 * many as were printed. */
function settle(q) {
    const values = variants.map(q.value).filter(isNumber);
    const sizes = values.map(Math.abs).filter((n) => n > 0).sort((a, b) => a - b), middle = sizes[sizes.length >> 1] || 0;
    const [factor, unit] = q.scales.find(([size]) => middle >= size) || q.scales[q.scales.length - 1];
    const whole = values.every((n) => Number.isInteger(n / factor));
    const order = (size) => Math.floor(Math.log10((size || 1) / factor));
    const places = q.printed ? Math.max(0, ...values.map((n) => (String(n).split(".")[1] || "").length)) :
        q.digits - 1 - Math.min(order(middle), order(sizes[0]) + 1);
    return { ...q, factor, unit, decimals: whole ? 0 : Math.min(4, Math.max(0, places)), any: values.length > 0,
        spread: variants.some((v) => hasSpread(q, v)) };
}

const parameters = parameterQuantities().map(settle);
const quantities = [...computedQuantities(), ...measuredQuantities(), trainedQuantity(), ...publishedQuantities()]
    .map(settle).filter((q) => q.any);
const axes = [...quantities, ...parameters.filter((p) => p.any)].filter((q) => q.kind);

const fullName = (q) => joined(q.label, q.note);
const shortName = (q) => joined(q.label, q.brief ?? q.note);
const withUnit = (name, q) => name + (q.unit ? ` (${q.unit})` : "");

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
    const m = q.measurement?.(v), value = q.value(v);
    if (m?.error) return m.error;
    if (!isNumber(value)) return null;
    if (q.source) return joined(`published: ${q.source(v).source}`, circumstancesText(q.source(v)));
    if (!m) return q.factor === 1 ? null : grouped(value, Number.isInteger(value) ? 0 : 4);
    return joined(m.n && plural(m.n, q.key === "accuracy" ? "seed" : "round"), spreadText(q, v),
        m.threads && plural(m.threads, "thread"), m.batch && `batch ${m.batch}`, m.options, m.machine);
}

// ---- Pareto front ----

/** The variants that no other one dominates: is at least as good in both quantities and better in one. None where an axis has
 * no better end. */
function paretoFront(list, y, x) {
    if (!y.better || !x.better || y === x) return [];
    const spots = list.map((v) => ({ v, up: y.value(v) * y.better, right: x.value(v) * x.better }));
    const dominates = (a, b) => a.up >= b.up && a.right >= b.right && (a.up > b.up || a.right > b.right);
    return spots.filter((b) => !spots.some((a) => dominates(a, b))).map(({ v }) => v);
}

// ---- filter ----

const ALIASES = new Map([["weights", "weights_bytes"], ["workspace", "workspace_bytes"]]);
const SUFFIX = { "": 1, k: 1e3, M: 1e6, G: 1e9 };
const COMPARE = {
    "=": (a, b) => a === b, "==": (a, b) => a === b, "!=": (a, b) => a !== b,
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};
const parameterNames = unique(variants.flatMap((v) => Object.keys(v.parameters || {})));
const filterNames = unique([...parameters.map((p) => p.key), ...quantities.map((q) => q.key), ...parameterNames]);

/** What a name in a condition stands for: a function of a variant. */
function subject(name) {
    if (parameterNames.includes(name)) return (v) => v.parameters[name] ?? null;
    const quantity = quantities.find((q) => q.key === (ALIASES.get(name) || name));
    if (!quantity) throw new Error(`there is no "${name}" here; known are ${filterNames.join(", ")}`);
    return quantity.value;
}

function parseNumber(text) {
    const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([kMG]?)$/.exec(text);
    return match ? Number(match[1]) * SUFFIX[match[2]] : null;
}

/** How far the numbers go, for who finds none: units are easily mistaken. */
function reach(get) {
    const values = variants.map(get).filter(isNumber);
    const text = (n) => (Math.abs(n) >= 1e5 ? n.toExponential(2).replace("e+", "e") : String(Number(n.toPrecision(4))));
    return values.length ? `: it goes from ${text(Math.min(...values))} to ${text(Math.max(...values))}` : "";
}

function condition(name, operator, text) {
    const get = subject(name), number = parseNumber(text), plain = text.replace(/["\s]/g, ""), order = /[<>]/.test(operator);
    if (!text) throw new Error(`what is ${name} compared with? Behind ${operator} belongs a value`);
    if (order && number === null) throw new Error(`"${text}" is no number, which ${name}${operator} needs`);
    const test = (v) => {
        const value = get(v);
        if (value === null || value === undefined) return false;
        if (isNumber(value)) return number === null ? operator === "!=" : COMPARE[operator](value, number);
        return !order && COMPARE[operator](valueText(value).replace(/["\s]/g, ""), plain);
    };
    test.nothing = () => `no variant has ${name}${operator}${text}${reach(get)}`;
    return test;
}

/** The tests that a filter stands for. Throws what a reader is told. */
function parseFilter(text) {
    const tight = text.replace(/\s*([<>!]=|==|[=<>])\s*/g, "$1");
    return (tight.match(/(?:"[^"]*"|\[[^\]]*\]|\S)+/g) || []).map((word) => {
        const parts = !word.startsWith('"') && /^([^<>=!]+)([<>!]=|==|[=<>])([^<>=!]*)$/.exec(word);
        if (parts) return condition(parts[1], parts[2], parts[3]);
        if (/^[^"]*[<>=!]/.test(word))
            throw new Error(`"${word}" is no condition: write a name, one of = != < <= > >=, and a value`);
        const wanted = word.replaceAll('"', "").toLowerCase();
        return (v) => v.name.toLowerCase().includes(wanted);
    });
}
