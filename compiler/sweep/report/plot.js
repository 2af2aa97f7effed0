/* The plot: points of Chart.js in one data set, and what belongs to two quantities at once and a plug-in therefore draws:
 * the front, whiskers, the letters of what is selected. The same symbols, as SVG, stand in table and legend.
 *
 * What would surprise: points of the front come last in the data, so that they are drawn on top; `id` says whose a point is. */

const state = {
    shown: variants,                       // what the filter leaves, in the order of the table
    matches: () => true,
    sort: { column: null, direction: 1 },  // no column: in the order of the sweep
    chosen: [],                            // ids, in the order in which they were selected
    hovered: null,                         // an id
    y: null, x: null, colour: null,        // quantities of the axes; a parameter's, or null
    front: new Set(),                      // ids
};

let plot = null;
let printing = false;

// ---- colours and shapes of a parameter's values ----

const SHAPES = [["circle", 0], ["rect", 0], ["triangle", 0], ["rectRot", 0], ["triangle", 180], ["triangle", 90],
    ["triangle", 270]];
/* Okabe and Ito's, told apart by all kinds of eyes; the pale ones darkened on white. More values get a ramp. */
const COLOURS = {
    light: ["#0072b2", "#d55e00", "#008a65", "#b85c94", "#a87000", "#3a8fc7", "#5b5b5b"],
    dark: ["#56b4e9", "#e69f00", "#2fc79a", "#e59bc6", "#f0e442", "#ff8a4c", "#b9b9b9"],
};
const RAMP = { light: ["#440154", "#3b528b", "#21918c", "#2f9a5c"], dark: ["#6f8fe0", "#21a5a0", "#5ec962", "#fde725"] };
const darkness = matchMedia("screen and (prefers-color-scheme: dark)");
const theme = () => (darkness.matches && !printing ? "dark" : "light");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Between the stops of the ramp, 0 to 1. */
function rampColour(share) {
    const stops = RAMP[theme()], place = share * (stops.length - 1), first = Math.min(Math.floor(place), stops.length - 2);
    const channel = (stop, i) => parseInt(stops[stop].slice(1 + 2 * i, 3 + 2 * i), 16);
    const mixed = [0, 1, 2].map((i) => channel(first, i) * (1 + first - place) + channel(first + 1, i) * (place - first));
    return `rgb(${mixed.map(Math.round).join(", ")})`;
}

const colourKey = (v) => { const raw = state.colour.raw(v); return isNumber(raw) ? raw : valueText(raw); };
const naturally = (a, b) => (isNumber(a) && isNumber(b) ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));

/** The different values of the parameter that gives colours, in order. */
const colourValues = () => unique(variants.map(colourKey)).sort(naturally);

function lookAt(place, count) {
    const few = count <= SHAPES.length, [shape, turn] = SHAPES[few ? place : 0];
    return { colour: few ? COLOURS[theme()][place] : rampColour(place / (count - 1)), shape, turn };
}

/** A function that gives a variant's point colour, shape and turn. */
function looks() {
    if (!state.colour) return () => lookAt(0, 1);
    const values = colourValues();
    return (v) => lookAt(values.indexOf(colourKey(v)), values.length);
}

const OUTLINE = { rect: "-5,-5 5,-5 5,5 -5,5", triangle: "0,-6 5.6,4.2 -5.6,4.2", rectRot: "0,-6.6 6.6,0 0,6.6 -6.6,0" };

/** A point for table and legend: filled on the front. */
function symbol(look, filled) {
    const outline = OUTLINE[look.shape];
    const element = (name, attributes) => {
        const made = document.createElementNS("http://www.w3.org/2000/svg", name);
        Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
        return made;
    };
    const svg = element("svg", { viewBox: "-8 -8 16 16", class: "symbol", "aria-hidden": "true" });
    svg.append(element(outline ? "polygon" : "circle", { fill: filled ? look.colour : "none", stroke: look.colour,
        "stroke-width": 1.8, ...(outline ? { points: outline, transform: `rotate(${look.turn})` } : { r: 5.2 }) }));
    return svg;
}

// ---- axes ----

/** The ends of an axis: all points and whiskers, with some room. */
function ends(q, list, logarithmic) {
    const all = list.flatMap((v) => [q.value(v), ...(hasSpread(q, v) ? [q.low(v), q.high(v)] : [])]).map((n) => n / q.factor);
    if (!all.length) return {};
    const low = Math.min(...all), high = Math.max(...all), times = Math.max(1.05, (high / low) ** 0.06);
    if (logarithmic) return { min: low / times, max: high * times };
    const room = (high - low || Math.abs(high) || 1) * 0.07;
    return { min: low >= 0 ? Math.max(0, low - room) : low - room, max: high + room };
}

/** With as many decimals as the ticks of this axis need. */
function tickText(value, _, ticks) {
    const places = (n) => (String(Number(n.toPrecision(6))).split(".")[1] || "").length;
    return grouped(value, Math.max(...ticks.map((tick) => places(tick.value))));
}

/** 1, 2 ... 9 of each decade; where there is not even half of one, the round numbers that a linear axis would have. */
function logTicks(scale) {
    const { min, max } = scale, ticks = [], size = 10 ** Math.floor(Math.log10((max - min) / 2)), narrow = max < 4 * min;
    for (let n = Math.ceil(min / size); narrow && n * size <= max; n++) ticks.push({ value: n * size });
    for (let decade = 10 ** Math.floor(Math.log10(min)); !narrow && decade <= max; decade *= 10)
        for (let n = 1; n < 10; n++) if (n * decade >= min && n * decade <= max) ticks.push({ value: n * decade });
    scale.ticks = ticks;
}

/** Which of them have a label: the more decades, the fewer. */
function logTick(value, _, ticks) {
    const first = Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
    const wide = ticks[ticks.length - 1].value / ticks[0].value;
    return wide < 5 || (wide < 2000 ? [1, 2, 5] : [1]).includes(first) ? tickText(value, 0, [{ value }]) : "";
}

/** In lines of so many letters, parted at commas. */
function folded(text, most) {
    return text.split(", ").reduce((lines, piece) => {
        const last = lines[lines.length - 1];
        return last && `${last}, ${piece}`.length <= most ? [...lines.slice(0, -1), `${last}, ${piece}`] : [...lines, piece];
    }, []);
}

function axis(q, list, logarithmic) {
    const title = fullName(q).length < 45 ? withUnit(fullName(q), q) : [withUnit(q.label, q), ...folded(q.note, 45)];
    return { type: logarithmic ? "logarithmic" : "linear", ...ends(q, list, logarithmic),
        afterBuildTicks: logarithmic ? logTicks : undefined,
        title: { display: true, text: title, color: css("text"), font: { size: 13 } },
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

// ---- points, and what is drawn around them ----

const variantAt = (index) => variants[plot.data.datasets[0].data[index].id];
const onPlot = () => state.shown.filter((v) => isNumber(state.y.value(v)) && isNumber(state.x.value(v)));

function points(list) {
    const look = looks(), each = list.map((v) => ({ ...look(v), front: state.front.has(v.id) }));
    const ground = css("ground"), fill = each.map((p) => (p.front ? p.colour : ground));
    return { data: list.map((v) => ({ x: state.x.value(v) / state.x.factor, y: state.y.value(v) / state.y.factor, id: v.id })),
        clip: false, hitRadius: 6, hoverRadius: 8.5, hoverBorderWidth: 3, borderWidth: 1.8,
        pointStyle: each.map((p) => p.shape), rotation: each.map((p) => p.turn), radius: each.map((p) => (p.front ? 6.5 : 4.5)),
        borderColor: each.map((p) => p.colour), hoverBorderColor: css("text"), backgroundColor: fill, hoverBackgroundColor: fill };
}

/** Between two points of the front lies what one of them still dominates: steps, not slopes. */
function drawFront(context, spots) {
    const front = spots.filter((_, i) => state.front.has(variantAt(i).id));
    front.sort((a, b) => a.x - b.x || (b.y - a.y) * state.x.better * state.y.better);
    context.strokeStyle = css("front");
    context.lineWidth = 1.5;
    context.beginPath();
    front.forEach((spot, i) => {
        const last = front[i - 1] || spot;
        context.lineTo(...(state.x.better < 0 ? [spot.x, last.y] : [last.x, spot.y]));
        context.lineTo(spot.x, spot.y);
    });
    context.stroke();
}

function drawWhiskers(context, spots) {
    const line = (x0, y0, x1, y1) => { context.moveTo(x0, y0); context.lineTo(x1, y1); };
    const pixels = (name, v) => [state[name].low(v), state[name].high(v)]
        .map((value) => plot.scales[name].getPixelForValue(value / state[name].factor));
    context.lineWidth = 1.2;
    spots.forEach(({ x, y }, i) => {
        const v = variantAt(i);
        const [low, high] = hasSpread(state.y, v) ? pixels("y", v) : [y, y];
        const [left, right] = hasSpread(state.x, v) ? pixels("x", v) : [x, x];
        context.strokeStyle = plot.data.datasets[0].borderColor[i];
        context.beginPath();
        line(x, low, x, high);
        line(left, y, right, y);
        for (const end of low === high ? [] : [low, high]) line(x - 4, end, x + 4, end);
        for (const end of left === right ? [] : [left, right]) line(end, y - 4, end, y + 4);
        context.stroke();
    });
}

function drawLetters(context, spots) {
    context.font = `bold 13px ${Chart.defaults.font.family}`;
    context.strokeStyle = context.fillStyle = css("text");
    context.lineWidth = 2;
    spots.forEach((spot, i) => {
        const place = state.chosen.indexOf(variantAt(i).id);
        if (place < 0) return;
        context.beginPath();
        context.arc(spot.x, spot.y, 10.5, 0, 2 * Math.PI);
        context.stroke();
        context.fillText(letter(place), spot.x + 12, spot.y - 8);
    });
}

function drawAround(chart, ...draw) {
    if (!plot) return; // its first drawing, without points
    chart.ctx.save();
    draw.forEach((one) => one(chart.ctx, chart.getDatasetMeta(0).data));
    chart.ctx.restore();
}

const marks = {
    id: "marks",
    beforeDatasetsDraw: (chart) => drawAround(chart, drawFront, drawWhiskers),
    afterDatasetsDraw: (chart) => drawAround(chart, drawLetters),
    afterEvent: (_, { replay, inChartArea }) => { if (!replay && !inChartArea) point(null); }, // onHover is not told of leaving
};

// ---- pointing ----

/** What stands beside a point: the variant's name, the values of both axes, and the first few others. */
function tooltipContent(v) {
    const others = quantities.filter((q) => ["params", "macs", "latency_1", "accuracy"].includes(q.key));
    const rows = unique([state.y, state.x, ...others]).filter((q) => q.kind !== "parameter").map((q) =>
        make("tr", {}, make("td", {}, shortName(q)),
            make("td", { class: "number" }, `${written(q, q.value(v))}${q.unit ? ` ${q.unit}` : ""}`),
            make("td", { class: "spread" }, spreadText(q, v))));
    return [make("b", {}, v.name), make("table", {}, make("tbody", {}, ...rows)),
        make("span", { class: "remark" }, state.front.has(v.id) ? "on the Pareto front" : "")];
}

/** Inside of the frame, beside the point where there is room, else over or under it. */
function showTooltip({ chart, tooltip }) {
    const box = $("tooltip"), at = tooltip.opacity ? tooltip.dataPoints?.[0] : null;
    box.hidden = !at || !chart.data.datasets[0].data[at.dataIndex];
    if (box.hidden) return;
    box.replaceChildren(...tooltipContent(variantAt(at.dataIndex)));
    const { x, y } = at.element, width = box.offsetWidth, height = box.offsetHeight;
    const right = x + 16 + width < chart.width, left = x - 16 - width >= 0;
    const over = y - height - 14 >= 0 ? y - height - 14 : y + 14;
    box.style.left = `${right ? x + 16 : left ? x - 16 - width : Math.max(0, chart.width - width)}px`;
    box.style.top = `${right || left ? Math.max(0, Math.min(y - 12, chart.height - height)) : over}px`;
}

/** Makes the variant's point, or none, the active one, as if the pointer were on it. */
function pointInPlot(id) {
    if (!plot) return;
    const index = plot.data.datasets[0].data.findIndex((spot) => spot.id === id);
    const active = index < 0 ? [] : [{ datasetIndex: 0, index }];
    plot.setActiveElements(active);
    plot.tooltip.setActiveElements(active, { x: 0, y: 0 });
    plot.draw();
}

function onPlotHover(event, elements) {
    event.native.target.style.cursor = elements.length ? "pointer" : "";
    point(elements.length ? variantAt(elements[0].index).id : null);
}

function onPlotClick(event, elements) {
    if (!elements.length) return;
    const { id } = variantAt(elements[0].index);
    choose(id);
    showRow(id);
}

// ---- the whole ----

function makePlot() {
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    return new Chart($("plot"), {
        type: "scatter",
        data: { datasets: [{ data: [] }] },
        plugins: [marks],
        options: { animation: false, responsive: true, maintainAspectRatio: false, layout: { padding: { top: 8, right: 14 } },
            interaction: { mode: "nearest", intersect: true }, onHover: onPlotHover, onClick: onPlotClick,
            plugins: { legend: { display: false }, tooltip: { enabled: false, external: showTooltip } } },
    });
}

function updatePlot() {
    if (!plot) return;
    const all = onPlot(), front = paretoFront(all, state.y, state.x);
    state.front = new Set(front.map((v) => v.id));
    const list = [...all.filter((v) => !state.front.has(v.id)), ...front];
    state.hovered = null;
    plot.setActiveElements([]);
    plot.tooltip.setActiveElements([], { x: 0, y: 0 });
    plot.data.datasets[0] = points(list);
    plot.options.scales = { y: axis(state.y, list, isLog("y", state.y, list)), x: axis(state.x, list, isLog("x", state.x, list)) };
    plot.update("none");
    $("no-points").hidden = list.length > 0;
    $("no-points").textContent = state.shown.length ? "No variant that is shown has both values." : "No variant fits the filter.";
    drawLegend(list);
    drawCaption(list);
}

/** Of many values a few; what being filled means. */
function drawLegend(list) {
    const plain = { ...lookAt(0, 1), ...(state.colour ? { colour: css("muted") } : {}) };
    const values = state.colour ? colourValues() : [];
    const some = values.length > 12 ? [0, 1, 2, 3, 4].map((i) => Math.round(i * (values.length - 1) / 4)) : values.map((_, i) => i);
    const entry = (...parts) => make("span", {}, ...parts);
    const entries = some.map((i) => entry(symbol(lookAt(i, values.length), true), ` ${state.colour.label} ${values[i]}`));
    if (state.front.size) entries.push(entry(symbol(plain, true), make("i", { class: "front-line" }), " Pareto front"));
    if (state.front.size && state.front.size < list.length) entries.push(entry(symbol(plain, false), " others"));
    $("legend").replaceChildren(...entries);
}

/** Which ends of the axes are the better ones, what the whiskers are, who is missing. */
function drawCaption(list) {
    const words = [], missing = state.shown.length - list.length, pair = [state.y, state.x];
    const wish = (q) => `${q.better > 0 ? "higher" : "lower"} ${q.label.replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase())}`;
    const spread = pair.filter((q) => list.some((v) => hasSpread(q, v)));
    if (state.front.size && list.length > 1)
        words.push(`Pareto front of ${pair.map(wish).join(" and ")}: no other variant shown is as good in both and better in one.`);
    if (spread.some((q) => q.key !== "accuracy"))
        words.push("Points are medians, whiskers go from the lowest to the highest round.");
    if (spread.some((q) => q.key === "accuracy"))
        words.push("Accuracies are means over seeds, their whiskers one standard deviation.");
    if (missing && list.length) words.push(`${plural(missing, "variant")} without both values: not in the plot.`);
    $("caption").textContent = words.join(" ");
}
