const TRAITS = [
  ["i", "size", 1, 12],
  ["k", "kernel_size", 1, 7],
  ["s", "stride", 1, 5],
  ["p", "padding", 0, 6],
  ["d", "dilation", 1, 4],
  ["a", "output_padding", 0, 4],
  ["t", "transposed"],
];
// Strokes from the corner of a cell, and what they mean.
const MARKS = {
  pad: ["m0 10l10-10m10 0l-20 20m10 0l10-10", "zeros around"],
  zero: ["m0 10l10 10m10 0l-20-20m10 0l10 10", "zeros between"],
  dropped: ["m4 4l12 12m0-12l-12 12"],
  skipped: ["m4 7h12m-12 6h12"],
  tap: ["m2.5 2.5h15v15h-15z", "read by the unit"],
};

const some = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const outer = (counts) => counts.flatMap((row) => counts.map((column) => row * column));

/** A layer along one axis, in positions from `low` up, and the `cells` of its drawn input. */
export function survey({ i, k, s, p, d, a, t }) {
  const span = d * (k - 1) + 1;
  const [gap, step] = t ? [s, 1] : [1, s]; // of pixels, of windows
  const last = (i - 1) * gap;
  const first = t ? p - span + 1 : -p; // of the first window
  const room = t ? last - 2 * p + span - 1 + a : i + 2 * p - span;
  const outputs = Math.floor(room / step) + 1;
  const end = first + (outputs - 1) * step + span; // of the last window
  const low = Math.min(first, 0);
  const kinds = range(Math.max(end, last + 1 + (t ? 0 : p)) - low).map((n) =>
    n + low < 0 || n + low > last ? "pad" : (n + low) % gap ? "zero" : "pixel",
  );
  const side = kinds.length;
  const taps = (unit) => range(k).map((tap) => first + unit * step + d * tap);
  const pixels = (unit) => taps(unit).filter((at) => kinds[at - low] === "pixel");
  const reads = kinds.map(() => 0);
  for (const at of range(outputs).flatMap(taps)) reads[at - low]++;
  const cells = outer(reads).map((read, n) => {
    const places = [Math.floor(n / side), n % side];
    const kind = ["pad", "zero", "pixel"].find((one) => places.some((at) => kinds[at] === one));
    const outside = places.some((at) => at + low < first || at + low >= end);
    return { kind, read, left: outside ? "dropped" : read ? "" : "skipped" };
  });
  const gets = outer(range(outputs).map((unit) => pixels(unit).length));
  const [dropped, skipped] = ["dropped", "skipped"].map(
    (why) => cells.filter(({ kind, left }) => kind === "pixel" && left === why).length,
  );
  return { span, gap, last, room, outputs, low, side, taps, pixels, reads, cells, dropped, skipped, gets };
}

/** Valid, same (perhaps a half), full padding. */
export const presets = ({ k, d }) => [0, (d * (k - 1)) / 2, d * (k - 1)];

/** Why a layer can't be, or can't be drawn; else nothing. */
export function trouble(layer) {
  const { i, s, p, d, a, t } = layer;
  const { outputs, span, side } = survey(layer);
  if (p > 6 || p % 1) return `p = ${p} must be a whole number, up to 6.`;
  if (t && a >= Math.max(s, d)) return `a = ${a} must be less than s = ${s} or d = ${d}.`;
  if (outputs < 1)
    return t
      ? `2p = ${2 * p} cuts off the whole output.`
      : `The window does not fit: d(k − 1) + 1 = ${span} is more than i + 2p = ${i + 2 * p}.`;
  return side > 24 ? `The spread input is ${side} wide; 24 can be drawn.` : "";
}

/** The rule of the size in three steps; what to say of the layer; of a unit. */
export function tell(layer, unit) {
  const { i, k, s, p, a, t } = layer;
  const { span, gap, last, room, outputs, low, taps, pixels, reads, dropped, skipped, gets } = survey(layer);
  const rule = t ? "(i − 1)·s − 2·p + d·(k − 1) + a + 1" : "⌊(i + 2·p − d·(k − 1) − 1)/s⌋ + 1";
  const numbers = rule.replace(/[ikspda]/g, (letter) => layer[letter]);
  const steps = t
    ? `${last} − ${2 * p} + ${span - 1} + ${a} + 1`
    : `⌊${room}/${s}⌋ + 1 = ${room % s ? `⌊${text(room / s)}⌋ + 1 = ` : ""}${outputs - 1} + 1`;
  const times = (at) => reads[at * gap - low] ** 2;
  const seen = unit.map(pixels);
  const count = gets[unit[0] * outputs + unit[1]];
  const begins = unit.map((at) => `${at}·${s} − ${p}`);
  const [rows, columns] = (t ? seen.map((line) => line.map((at) => at / gap)) : unit.map(taps)).map(
    (line) => line.map(text).join(", ") || "none",
  );
  return [
    [rule, numbers, `${steps} = ${outputs}`],
    `Output: o = ${numbers} = ${outputs}. ` +
      (t ? `Products in a unit: ${Math.min(...gets)} to ${Math.max(...gets)}. ` : "") +
      `Dropped: ${t ? "" : `${some(room % s, "row")} and as many columns, `}` +
      `${dropped} of ${some(i * i, "pixel")}. Skipped: ${skipped}. ` +
      `Times read: corner ${times(0)}, centre ${times(i >> 1)}.`,
    `Unit (${unit.join(", ")}) ${t ? "" : `begins at row ${begins.join(", column ")} and `}reads ` +
      `rows ${rows} and columns ${columns}: ${some(count, "pixel")}, ${some(k * k - count, "zero")}.`,
  ];
}

const [i, k, s, p, d, a] = TRAITS.map(
  ([letter, name, low, high]) => `<label class="cfa-${letter}">${name.replace("_", " ")} ${letter} <b></b>
  <input type="range" name="${letter}" min="${low}" max="${high}"></label>`,
);
const buttons = ["valid", "same", "full"].map((name) => `<button type="button">${name}</button>`).join(" ");
const PAGE = `<figure><form><div class="cfa-controls">${i}${k}${s}${d}<div>${p}${buttons}</div>
<div><label><input type="checkbox" name="t"> transposed</label>${a}</div></div>
<p role="alert"></p><p class="cfa-formula"></p><div class="cfa-panels">
<div><div class="cf-title"><i></i>Input, side <b></b></div><svg class="cf-grid"></svg></div>
<div><div class="cf-title"><i></i>Output, side <b></b></div><div data-drive="keys" tabindex="0" role="application"
  aria-label="Output: arrow keys move the unit"><svg class="cf-grid" data-drive="pointer"></svg></div></div></div>
<ul></ul><p>Numbers: windows that read the pixel; pixels that the unit reads.</p>
<div aria-live="polite"><p></p><p></p></div></form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  const find = prepare(el, "convolution-arithmetic", PAGE, model.get("caption"));
  const all = (selector) => [...el.querySelectorAll(selector)];
  let wanted; // by the controls, possible or not
  let layer, seen, grids;

  function want(changes) {
    wanted = { ...wanted, ...changes };
    for (const slider of all("[type=range]")) {
      slider.value = slider.previousElementSibling.textContent = wanted[slider.name];
    }
    find("[name=t]").checked = wanted.t;
    presets(wanted).forEach((p, n) => set(all("button")[n], { "aria-pressed": p === wanted.p }));
    const problem = trouble(wanted);
    find("[role=alert]").textContent = problem && `${problem} The drawing stays.`;
    if (!problem) update(model, Object.fromEntries(TRAITS.map(([letter, name]) => [name, wanted[letter]])));
  }

  const mark = (name, cells) => grids[0].mark(`cfa-${name}`, cells, () => MARKS[name][0]);
  const place = () => model.get("unit").map((at) => Math.min(at, seen.outputs - 1));

  function paint() {
    const now = Object.fromEntries(TRAITS.map(([letter, name]) => [letter, model.get(name)]));
    if (JSON.stringify(now) !== JSON.stringify(layer)) {
      layer = now;
      seen = survey(layer);
      const { cells, gets, low, last, outputs, side } = seen;
      grids = all(".cf-grid").map((root, n) => grid(root, n ? [outputs, outputs] : [side, side]));
      set(find(".cfa-panels"), { style: `--cfa-input: ${side}; --cfa-output: ${outputs}` });
      grids[0].write(cells.map(({ kind, read }) => (kind === "pixel" && read) || null));
      grids[1].write(gets);
      find("ul").innerHTML = Object.entries(MARKS).map(([name, [strokes, words = name]]) => {
        const marked = range(cells.length).filter((n) => Object.values(cells[n]).includes(name));
        mark(name, marked);
        if (!marked.length && name !== "tap") return "";
        const count = name in seen ? `: ${some(seen[name], "pixel")}` : "";
        return `<li><svg viewBox="0 0 20 20"><path class="cfa-${name}" d="M0 0${strokes}"/></svg>${words}${count}</li>`;
      }).join("");
      grids[0].outline("cf-input", [-low, -low, last + 1 - low, last + 1 - low]);
      all(".cf-title b").forEach((title, n) => (title.textContent = [layer.i, outputs][n]));
      want(layer);
    }
    const unit = place();
    const [rows, columns] = unit.map((at) => seen.taps(at).map((tap) => tap - seen.low));
    mark("tap", rows.flatMap((row) => columns.map((column) => row * seen.side + column)));
    grids[0].outline("cf-kernel", [rows[0], columns[0], rows[0] + seen.span, columns[0] + seen.span]);
    grids[1].outline("cf-output", [unit[0], unit[1], unit[0] + 1, unit[1] + 1]);
    const [formula, ...texts] = tell(layer, unit);
    find(".cfa-formula").innerHTML = `<b>o</b>${formula.map((part) => `<span>= ${part}</span>`).join("")}`;
    all("[aria-live] p").forEach((part, n) => part.textContent === texts[n] || (part.textContent = texts[n]));
  }

  find("form").addEventListener("input", ({ target: { name, checked, value } }) =>
    want({ [name]: name === "t" ? checked : +value }),
  );
  all("button").forEach((button, n) => button.addEventListener("click", () => want({ p: presets(wanted)[n] })));
  explore(find("[data-drive=keys]"), () => grids[1], place, (unit) => update(model, { unit }));
  return keepPainted(model, ["unit", ...TRAITS.map(([, name]) => name)], paint);
}

export default { render };
