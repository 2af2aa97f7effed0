/* The page: choices, table, comparison, the network's text, what was swept. What is selected or pointed at in one place
 * is so in all.
 *
 * What would surprise: texts of networks and errors are put in as text nodes only, so nothing in them becomes HTML. */

const $ = (id) => document.getElementById(id);
const letter = (place) => (place < 26 ? String.fromCharCode(65 + place) : String(place + 1));

/** An element with attributes (on...: handlers; null or false: left out) and children, which are elements or texts. */
function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

// ---- selecting and pointing ----

function choose(id) {
    state.chosen = state.chosen.includes(id) ? state.chosen.filter((other) => other !== id) : [...state.chosen, id];
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
    plot?.draw();
}

const rowOf = (id) => $("table").querySelector(`tbody tr[data-id="${id}"]`);

/** From a point, a row's mouse or a row's focus: both sides show it. */
function point(id) {
    if (id === state.hovered) return;
    state.hovered = id;
    $("table").querySelectorAll("tr.hover").forEach((row) => row.classList.remove("hover"));
    rowOf(id)?.classList.add("hover");
    pointInPlot(id);
}

/** Scrolls the table in itself, never the page. */
function showRow(id) {
    const row = rowOf(id), box = $("table-scroll");
    if (!row) return;
    const top = row.offsetTop - $("table").tHead.offsetHeight, bottom = row.offsetTop + row.offsetHeight - box.clientHeight;
    box.scrollTop = Math.min(top, Math.max(bottom, box.scrollTop));
}

// ---- choosing axes and colours ----

/** Is the axis better read as a logarithm, until the reader says otherwise? */
function spansDecades(q) {
    const values = variants.map(q.value).filter(isNumber);
    return q.better !== 0 && Math.min(...values) > 0 && Math.max(...values) > 20 * Math.min(...values);
}

function fillAxis(name, chosen) {
    const label = (q) => withUnit(q.kind === "published" ? fullName(q) : shortName(q), q);
    const option = (q) => make("option", { value: axes.indexOf(q), selected: q === chosen && "" }, label(q));
    $(name).replaceChildren(...unique(axes.map((q) => q.kind)).map((kind) =>
        make("optgroup", { label: kind }, ...axes.filter((q) => q.kind === kind).map(option))));
    const take = (q) => { state[name] = q; $(`${name}-log`).checked = spansDecades(q); };
    take(chosen);
    $(name).addEventListener("change", () => { take(axes[$(name).value]); refresh(); });
    $(`${name}-log`).addEventListener("change", refresh);
}

/** To begin with latency against work, if both are there; what all variants have alike tells nothing on an axis. */
function defaultAxes() {
    const first = (...keys) => keys.map((key) => axes.find((q) => q.key === key)).find(Boolean);
    const x = first(...["macs", "params", "activations"].filter((key) => key !== sweep.equal?.what)) || axes[0];
    const y = first("latency_1", "latency_n", "throughput", "accuracy") || axes.find((q) => q.kind === "measured") ||
        axes.find((q) => q.kind === "published" && 2 * variants.map(q.value).filter(isNumber).length >= variants.length) ||
        first("activations", "params") || x;
    return { y, x };
}

function fillColours() {
    const useful = parameters.filter((p) => unique(variants.map((v) => valueText(p.raw(v)))).length > 1);
    state.colour = useful[0] || null;
    $("colour-label").hidden = !useful.length;
    const options = useful.map((p, i) => make("option", { value: i }, p.label));
    $("colour").replaceChildren(...options, make("option", { value: "" }, "none"));
    $("colour").addEventListener("change", () => { state.colour = useful[$("colour").value] || null; refresh(); });
}

// ---- filter ----

function tellFilter(problem) {
    $("filter-error").textContent = problem || "";
    $("filter-error").hidden = !problem;
    $("filter").setAttribute("aria-invalid", String(Boolean(problem)));
}

function readFilter() {
    try {
        const tests = parseFilter($("filter").value), hopeless = tests.find((test) => test.nothing && !variants.some(test));
        state.matches = (v) => tests.every((test) => test(v));
        tellFilter(hopeless?.nothing());
    } catch (problem) {
        tellFilter(problem.message); // what was shown stays
    }
    refresh();
}

function prepareFilter() {
    const first = parameters.find((p) => p.any);
    const middle = first && variants.map(first.value).filter(isNumber).sort((a, b) => a - b)[variants.length >> 1];
    const timed = quantities.find((q) => q.key === "latency_1"), times = timed && variants.map(timed.value).filter(isNumber);
    const limit = timed && Number((times.reduce((sum, t) => sum + t, 0) / times.length).toPrecision(2));
    const examples = [first && `${first.key}>=${middle}`, timed ? `latency_1<${limit}` : "macs<4.2G"];
    $("filter").placeholder = `words, or conditions: ${examples.filter(Boolean).join(" ")}`;
    $("filter-names").textContent = filterNames.join(", ");
    const units = unique(quantities.filter((q) => q.measurement).map((q) => q.scales[0][1]));
    $("filter-units").textContent = units.map((unit) => `${unit}, `).join("");
    $("filter").addEventListener("input", readFilter);
    $("filter").addEventListener("keydown", (event) => { if (event.key === "Escape") { $("filter").value = ""; readFilter(); } });
}

// ---- table ----

const tabled = quantities.filter((q) => !q.untabled);

/** Columns: what a variant is, then its quantities. Names only where they say more than the changed parameters, machines where
 * there was more than one. */
function tableColumns() {
    const machine = (v) => unique(quantities.map((q) => q.measurement?.(v)?.machine).filter(Boolean)).join(", ");
    const usual = (v) => parameters.map((p) => `${p.key}=${valueText(p.raw(v))}`).join(" ");
    const named = !parameters.length || variants.some((v) => v.name !== usual(v));
    const several = unique(variants.map(machine).filter(Boolean)).length > 1;
    return [...(named ? [{ key: "name", label: "Variant", raw: (v) => v.name }] : []), ...parameters, ...tabled,
        ...(several ? [{ key: "machine", label: "Measured on", raw: machine }] : [])];
}

const columns = tableColumns();

/** Numbers by size, texts by letters, and last, whatever the direction, what is not there. */
function compare(a, b, { column, direction }) {
    const [p, q] = [a, b].map(column.raw || column.value), absent = (n) => n === null || n === undefined;
    if (absent(p) || absent(q)) return absent(p) - absent(q) || a.id - b.id;
    return naturally(...[p, q].map((n) => (isNumber(n) ? n : valueText(n)))) * direction || a.id - b.id;
}

/** Upwards, downwards, and as it was swept. */
function sortBy(column) {
    const { sort } = state;
    if (sort.column !== column) state.sort = { column, direction: 1 };
    else state.sort = sort.direction > 0 ? { column, direction: -1 } : { column: null, direction: 1 };
    refresh();
}

function headCells(column) {
    const numeric = !column.raw || variants.some((v) => isNumber(column.raw(v)));
    const look = `${numeric ? "number" : ""}${column.raw ? " pinned" : ""}`;
    const head = make("th", { scope: "col", class: look, "data-key": column.key, "data-label": column.label },
        make("button", { type: "button", title: "Sort", onclick: () => sortBy(column) }, column.label),
        column.note ? make("span", { class: "remark" }, column.note) : null,
        column.unit ? make("span", { class: "unit" }, column.unit) : null);
    const spread = make("th", { scope: "col", class: "spread" }, column.key === "accuracy" ? "sd" : "range");
    return column.spread ? [head, spread] : [head];
}

function cells(column, v) {
    if (column.raw) {
        const raw = column.raw(v);
        return [make("th", { scope: "row", class: `pinned${isNumber(raw) ? " number" : ""}` }, raw === null ? "" : valueText(raw))];
    }
    const value = column.value(v), failed = column.measurement?.(v)?.error && !isNumber(value);
    const cell = make("td", { class: `number${isNumber(value) ? "" : " absent"}`, title: details(column, v) },
        failed ? "failed" : written(column, value));
    return column.spread ? [cell, make("td", { class: "spread" }, spreadText(column, v))] : [cell];
}

function row(v, look) {
    const front = state.front.has(v.id), mark = make("td", { class: "pinned mark", title: front ? "on the Pareto front" : null },
        symbol(look(v), front), make("span", { class: "letter" }));
    return make("tr", { "data-id": v.id, tabindex: -1, "aria-label": v.name + (front ? ", on the Pareto front" : ""),
        onclick: () => { choose(v.id); point(v.id); }, onkeydown: (event) => rowKey(event, v.id),
        onmouseenter: () => point(v.id), onmouseleave: () => point(null), onfocus: () => point(v.id), onblur: () => point(null) },
    mark, ...columns.flatMap((column) => cells(column, v)));
}

/** One row is a stop of the Tab key; arrows go on from there, Space and Enter select, Escape clears. */
function rowKey(event, id) {
    const here = event.currentTarget, { firstElementChild: first, lastElementChild: last } = here.parentNode;
    const next = { ArrowDown: here.nextElementSibling, ArrowUp: here.previousElementSibling, Home: first, End: last }[event.key];
    if (event.key === "Escape") clearChosen();
    else if (event.key === " " || event.key === "Enter") choose(id);
    else if (!next) return;
    event.preventDefault();
    if (!next) return;
    here.tabIndex = -1;
    next.tabIndex = 0;
    next.focus({ preventScroll: true });
    showRow(Number(next.dataset.id));
}

/** The columns that say what a variant is stay when the table scrolls sideways, as many as take half of it at most. */
function pinColumns() {
    const rows = [$("table").tHead.rows[0], ...$("table").tBodies[0].rows].map((tr) => tr.querySelectorAll(".pinned"));
    const widths = [...rows[0]].map((cell) => cell.offsetWidth), room = $("table-scroll").clientWidth * 0.5;
    let left = 0;
    widths.forEach((width, i) => {
        const place = left + width <= room ? `${left}px` : "auto";
        rows.forEach((pinned) => { pinned[i].style.left = place; });
        left += width;
    });
}

function drawHead() {
    const mark = make("th", { class: "pinned", scope: "col", "aria-label": "point and selection" });
    $("table").replaceChildren(make("thead", {}, make("tr", {}, mark, ...columns.flatMap(headCells))), make("tbody", {}));
}

function drawTable() {
    const look = looks(), rows = state.shown.map((v) => row(v, look)), { column, direction } = state.sort;
    if (rows.length) rows[0].tabIndex = 0;
    $("table").tBodies[0].replaceChildren(...rows);
    $("no-rows").hidden = rows.length > 0;
    $("no-rows").textContent = variants.length ? "No variant fits the filter." : "There are no variants.";
    for (const cell of $("table").tHead.querySelectorAll("[data-key]"))
        cell.setAttribute("aria-sort", cell.dataset.key !== column?.key ? "none" : direction > 0 ? "ascending" : "descending");
    $("count").textContent = (rows.length < variants.length ? `${rows.length} of ` : "") + plural(variants.length, "variant");
}

/** Why some values are missing. */
function drawNotes() {
    const names = { compile: "compile time", latency_1: "latency (1 thread)", latency_n: "latency (all threads)",
        throughput: "throughput", energy: "energy", accuracy: "accuracy" };
    const failures = Object.keys(names).flatMap((key) => unique(variants.map((v) => v[key]?.error).filter(Boolean)).map((why) => {
        const who = variants.filter((v) => v[key]?.error === why).map((v) => v.name);
        const more = who.length > 5 ? `; and ${who.length - 5} more` : "";
        return `No ${names[key]} of ${who.length === variants.length ? "any variant" : who.slice(0, 5).join("; ") + more}: ${why}`;
    }));
    $("notes").replaceChildren(...failures.map((note) => make("li", {}, note)));
}

/** All that was published of the variants, each with its source. */
function drawPublished() {
    const head = ["Variant", "What", "Published", "", "Source", "Circumstances"].map((text) => make("th", { scope: "col" }, text));
    const text = (content) => make("td", {}, content || "");
    const row = (v, p) => make("tr", {}, text(v.name), text(publishedName(p)), make("td", { class: "number" }, String(p.value ?? "–")),
        make("td", { class: "spread" }, p.unit || ""), text(p.source), text(circumstancesText(p)));
    const rows = variants.flatMap((v) => published(v).map((p) => row(v, p)));
    $("published").hidden = !rows.length;
    $("published-table").replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

// ---- comparison ----

/** What two variants differ by: a ratio; of percentages, which are shares already, the difference in points. */
function difference(q, value, reference) {
    if (!isNumber(value) || !isNumber(reference)) return "–";
    const points = grouped((value - reference) / q.factor, Math.max(1, q.decimals));
    if (q.unit === "%") return `${value > reference ? "+" : ""}${points} pp`;
    return reference ? `× ${grouped(value / reference, 2)}` : "–";
}

function comparisonRow(q, [first, ...others]) {
    const unit = q.unit ? make("span", { class: "aside" }, `\u00a0${q.unit}`) : null;
    const ratio = (v) => make("td", { class: "number ratio", title: written(q, q.value(v)) },
        difference(q, q.value(v), q.value(first)));
    return make("tr", { "data-key": q.key }, make("th", { scope: "row", title: q.note }, shortName(q), unit),
        make("td", { class: "number" }, written(q, q.value(first))), ...others.map(ratio));
}

/** A table with a column for each selected variant. */
function chosenTable(chosen, corner, rows) {
    const letters = chosen.map((v, i) => make("th", { scope: "col", class: "letter", title: v.name }, letter(i)));
    return [make("thead", {}, make("tr", {}, make("th", {}, corner), ...letters)), make("tbody", {}, ...rows)];
}

function drawComparison() {
    const chosen = state.chosen.map((id) => variants[id]);
    const what = columns.filter((column) => column.raw).map((column) => make("tr", {}, make("th", { scope: "row" }, column.label),
        ...chosen.map((v) => make("td", { class: "number" }, valueText(column.raw(v))))));
    $("clear").hidden = !chosen.length;
    $("comparison-title").textContent = chosen.length ? `Selected: ${chosen.length}` : "Selected";
    $("comparison-hint").textContent = ["Click points or rows to compare them. On a row, Space selects and Escape clears.",
        "Select another one to see it beside this one."][chosen.length] ||
        "Ratios to A; of percentages the difference to A in points (pp).";
    $("comparison-table").replaceChildren(...(chosen.length ?
        chosenTable(chosen, "", [...what, ...tabled.filter((q) => q.kind).map((q) => comparisonRow(q, chosen))]) : []));
}

// ---- the network's text ----

/** Where the parameters of the net stand in the text: from behind its opening bracket to the closing one. */
function parameterSpan(text) {
    const name = sweep.network.replace(/\W/g, "\\$&");
    const net = new RegExp(`\\bnet\\s+${name}\\s*\\(`).exec(text) || /\bnet\s+\w+\s*\(/.exec(text);
    if (!net) return null;
    const start = net.index + net[0].length, code = text.replace(/#.*/g, (comment) => " ".repeat(comment.length));
    let depth = 1, end = start;
    for (; end < code.length && depth > 0; end++) depth += "([".includes(code[end]) - ")]".includes(code[end]);
    return { start, end };
}

/** A line in pieces: the changed parameters where they are defined, and where they are used. Not in comments. */
function markedLine(line, offset, span, names) {
    const word = new RegExp(`(?<![\\w.])(${names.join("|")})(?!\\w)`, "g"), code = line.replace(/#.*/, ""), pieces = [];
    let from = 0, defines = false;
    for (const match of names.length && span ? code.matchAll(word) : []) {
        const at = offset + match.index, end = match.index + match[0].length;
        if (at < span.start) continue;
        const defined = at < span.end && /^\s*=(?!=)/.test(code.slice(end));
        pieces.push(line.slice(from, match.index), make(defined ? "mark" : "span", { class: defined ? null : "use" }, match[0]));
        from = end;
        defines ||= defined;
    }
    return { pieces: [...pieces, line.slice(from), "\n"], defines };
}

function drawText() {
    const text = sweep.text || "", span = parameterSpan(text);
    const names = parameters.map((p) => p.key).filter((name) => /^\w+$/.test(name));
    let offset = 0;
    const lines = text.replace(/\n$/, "").split("\n").map((line, i) => {
        const { pieces, defines } = markedLine(line, offset, span, names);
        offset += line.length + 1;
        return make("span", { class: defines ? "row changed" : "row", "data-line": i + 1 }, ...pieces);
    });
    $("source").hidden = !text;
    $("source-title").textContent = `The network: ${sweep.file || sweep.network}`;
    $("text").replaceChildren(make("pre", { tabindex: 0, "aria-label": "the network's text" }, make("code", {}, ...lines)));
}

/** Beside the text: the values that the selected variants give to all its parameters. */
function drawParameters() {
    const chosen = state.chosen.map((id) => variants[id]), changed = new Set(parameters.map((p) => p.key));
    const rows = parameterNames.map((name) => make("tr", { class: changed.has(name) ? "changed" : null },
        make("th", { scope: "row" }, name), ...chosen.map((v) => make("td", { class: "number" }, valueText(v.parameters[name])))));
    const hint = make("p", { class: "remark" }, "The parameters of selected variants are listed here.");
    $("parameters").hidden = !variants.length;
    $("parameters").replaceChildren(chosen.length ? make("table", {}, ...chosenTable(chosen, "Parameter", rows)) : hint);
}

// ---- what was left out, what was swept ----

function leftOutGroup(status, title) {
    const list = leftOut.filter((v) => v.status === status);
    const rows = list.map((v) => make("tr", {}, make("td", {}, v.name), make("td", {}, v.reason || "no reason is known")));
    const head = make("tr", {}, make("th", { scope: "col" }, "Variant"), make("th", { scope: "col" }, "Why"));
    return list.length ? [make("h3", {}, `${title}: ${list.length}`),
        make("div", { class: "scroll" }, make("table", { id: status }, make("thead", {}, head), make("tbody", {}, ...rows)))] : [];
}

function drawLeftOut() {
    $("left-out").hidden = !leftOut.length;
    $("left-out-lists").replaceChildren(...leftOutGroup("cut", "Cut, by what the network asserts or the sweep asks for"),
        ...leftOutGroup("failed", "Failed"));
}

function equalText() {
    const { what, value, tolerance } = sweep.equal, reference = sweep.equal.reference || "";
    const as = /[a-z]:/i.test(reference) ? `, as with ${reference.replaceAll(",", ", ").replaceAll(":", " = ")}` : "";
    const away = isNumber(tolerance) ? `within ${Number((tolerance * 100).toPrecision(3))} %` : "the nearest variants";
    return `${what} = ${isNumber(value) ? grouped(value, Number.isInteger(value) ? 0 : 3) : "–"}${as}; ${away}`;
}

function machineText(m) {
    return joined(m.processor, m.cores && plural(m.cores, "core"), m.threads && `${plural(m.threads, "thread")} used`, m.system);
}

function drawSummary() {
    const date = (sweep.date || "").replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*/, "$1, $2 UTC");
    const rows = [
        ["Command", sweep.command && make("code", {}, sweep.command)],
        ["Over", (sweep.over || []).map((o) => `${o.name} = ${o.values.join(", ")}`).join(";  ")], ["Solved", sweep.solve],
        ["Equal", sweep.equal && equalText()], ["Where", (sweep.where || []).join(";  ")],
        ["Target", [sweep.target, sweep.options].filter(Boolean).join(" ")],
        ["Machine", sweep.machine && machineText(sweep.machine)], ["Date", joined(date, sweep.netc && `netc ${sweep.netc}`)],
    ];
    $("summary").replaceChildren(...rows.filter(([, value]) => value)
        .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function drawHeader() {
    const count = (status) => { const n = leftOut.filter((v) => v.status === status).length; return n && `${n} ${status}`; };
    document.title = `${sweep.network}: sweep`;
    $("network").textContent = sweep.network;
    $("lead").textContent = joined(plural(variants.length, "variant"), count("cut"), count("failed"));
    $("made").textContent = `Made by netc ${sweep.netc}, plotted by Chart.js ${Chart.version} (MIT). ` +
        "Nothing of this page is loaded from elsewhere.";
}

// ---- all together ----

/** After any change of filter, order, axes, colours or palette. */
function refresh() {
    state.shown = variants.filter(state.matches);
    if (state.sort.column) state.shown.sort((a, b) => compare(a, b, state.sort));
    updatePlot();
    drawTable();
    showChosen();
}

/** Paper is light and of one width, and the plot has to be drawn before the browser takes its picture. */
function preparePaper(now) {
    if (printing === now) return;
    printing = now;
    document.documentElement.toggleAttribute("data-paper", now);
    if (plot) plot.options.devicePixelRatio = now ? 2 : undefined;
    plot?.resize(...(now ? [1000, 430] : []));
    refresh();
}

function startPlot() {
    const { y, x } = defaultAxes();
    fillAxis("y", y);
    fillAxis("x", x);
    fillColours();
    prepareFilter();
    plot = makePlot();
}

function start() {
    drawHeader();
    drawSummary();
    drawLeftOut();
    drawText();
    drawHead();
    drawNotes();
    drawPublished();
    $("results").hidden = $("filter-form").hidden = !axes.length;
    $("table-section").hidden = !variants.length && leftOut.length > 0;
    if (axes.length) startPlot();
    $("clear").addEventListener("click", clearChosen);
    darkness.addEventListener("change", refresh);
    addEventListener("beforeprint", () => preparePaper(true));
    addEventListener("afterprint", () => preparePaper(false));
    addEventListener("resize", pinColumns);
    refresh();
}

start();
