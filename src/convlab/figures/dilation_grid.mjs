const PRESETS = ["1, 1, 1", "2, 2, 2", "1, 2, 4", "1, 2, 3"];
const LAYERS = 5;
const LEVELS = 8; // of shading
const PHONE = 321; // pixels for all cells on a phone

const range = (count) => [...Array(count).keys()];
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

/** Where the taps of a window lie, from the unit above it, with padding "same". */
export const taps = (rate, kernel) => range(kernel).map((tap) => rate * tap - Math.floor((rate * (kernel - 1)) / 2));

/** What one unit reads after each layer, away from the border: numbers of one axis, shares of both. */
export function table(rates, kernel) {
  let seen = new Set([0]);
  return rates.map((rate) => {
    seen = new Set([...seen].flatMap((at) => taps(rate, kernel).map((tap) => at + tap)));
    const [low, positions] = [Math.min(...seen), seen.size];
    const hull = Math.max(...seen) - low + 1;
    const shared = [...seen].filter((at) => seen.has(at + 1)).length;
    return { low, hull, positions, share: (positions / hull) ** 2, overlap: shared / positions };
  });
}

/** Along one axis of an image: how many paths lead from the unit `at` of the last map to each position. */
export const paths = (rates, kernel, size, at) =>
  rates.reduceRight(
    (counts, rate) => {
      const next = Array(size).fill(0);
      counts.forEach((count, place) => {
        for (const tap of taps(rate, kernel)) if (place + tap in next) next[place + tap] += count;
      });
      return next;
    },
    range(size).map((place) => +(place === at)),
  );

/** What the unit [row, column] reads: counts in reading order, its hull in the image, pixels never read. */
export function survey({ rates, kernel_size: kernel, size, unit }) {
  const axes = unit.map((at) => paths(rates, kernel, size, at));
  const layers = table(rates, kernel);
  const { low, hull } = layers.at(-1);
  const [rows, columns] = unit.map((at) => [at + low, at + low + hull].map((end) => clamp(end, 0, size)));
  const counts = axes[0].flatMap((row) => axes[1].map((column) => row * column));
  const within = (at, [first, end]) => at >= first && at < end;
  const inside = (i) => within(Math.floor(i / size), rows) && within(i % size, columns);
  const unread = [...counts.keys()].filter((i) => !counts[i] && inside(i));
  return { axes, layers, counts, unread, rows, columns };
}

/** What the figure says of a stack and of the chosen unit. */
function describe({ rates, kernel_size: kernel, unit }, { layers, counts, unread, rows, columns }) {
  const { hull, positions, share, overlap } = layers.at(-1);
  const [read, all] = [counts.filter(Boolean).length, kernel ** (2 * rates.length)];
  const outside = all - counts.reduce((sum, count) => sum + count);
  const [from, to] = [rows, columns].map(([first, end]) => `${first} to ${end - 1}`);
  return [
    `Rates ${rates.join(", ")}, kernel ${kernel}×${kernel}: hull ${hull}×${hull}, ${positions} distinct positions per axis, \
${positions ** 2} of ${hull ** 2} pixels read (${percent(share)}). Neighbouring units share ${percent(overlap)} of their positions.`,
    `Output unit (${unit.join(", ")}): rows ${from}, columns ${to}; ${read} pixels read, ${unread.length} never. \
${all - outside} of ${all} paths reach the image, ${outside} end in padding; at most ${Math.max(...counts)} meet in a pixel.`,
  ];
}

const button = (name) => `<button type="button">${name}</button>`;
const field = (low, high, words) =>
  `<label>${words} <input type="number" min="${low}" max="${high}" required></label>`;
const heads = ["layer", "rate", "hull", "distinct positions", "pixels read", "shared with next unit"];
const rows = range(LAYERS).map(
  (n) => `<tr><th scope="row">${n + 1}</th><td><input type="number" min="1" max="16" required
aria-label="Rate of layer ${n + 1}"></td>${"<td></td>".repeat(4)}</tr>`,
);
const PAGE = `<figure><form>
<div class="cfdg-controls">${PRESETS.map(button).join("")}${field(2, 5, "kernel")}${field(9, 31, "image")}</div>
<p role="alert"></p>
<div class="cfdg-panels">
<div><div class="cf-title">Paths from the output unit to each input pixel</div>
<div data-drive="keys" tabindex="0" role="application" aria-label="Output unit: arrow keys move it">
<svg class="cf-grid" data-drive="pointer" aria-hidden="true"></svg></div>
<p><i></i>output unit <i></i>hull <i></i>never read <span>margins: paths per axis; row × column = pixel</span></p></div>
<div><table><caption class="cf-title">After each layer, away from the border</caption>
<thead><tr>${heads.map((words) => `<th scope="col">${words}</th>`).join("")}</tr></thead>
<tbody>${rows.join("")}</tbody></table>${button("Add a layer")} ${button("Remove the last")}</div>
</div>
<div aria-live="polite"><p></p><p></p></div></form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  const find = prepare(el, "dilation-grid", PAGE, model.get("caption"));
  const all = (selector) => [...el.querySelectorAll(selector)];
  const names = ["rates", "kernel_size", "size", "unit"];
  const [root, form] = [find("svg"), find("form")];
  const [lines, fields, buttons] = ["tbody tr", "input", "button"].map(all);
  let size, drawn, labels;

  /** Draw an image of this side, without what depends on the unit. */
  function build() {
    const side = size * CELL;
    const margin = 0.07 * side + 2;
    const view = [-margin, -margin, side + margin + 2, side + margin + 2].join(" ");
    set(root, { viewBox: view, style: `width: ${32 * size}px; --cfdg-text: ${Math.max(8, (11.2 * side) / PHONE)}px` });
    const lattice = range(size + 1).map((n) => `M0 ${n * CELL}H${side}M${n * CELL} 0V${side}`);
    const kinds = [...Array(LEVELS).fill("cfdg-read"), "cfdg-unread", "cf-frame cf-kernel", "cf-frame cf-output"];
    const at = (n) => (n + 0.5) * CELL;
    const label = (x, y) => `<text x="${x}" y="${y}"></text>`;
    root.innerHTML =
      `<path class="cf-cell" d="${lattice.join("")}"/>` +
      kinds.map((kind, n) => `<path class="${kind}" fill-opacity="${0.15 + 0.05 * n}"/>`).join("") +
      range(size).map((n) => label(-margin / 2, at(n)) + label(at(n), -margin / 2)).join("") +
      range(size ** 2).map((i) => label(at(i % size), at(Math.floor(i / size)))).join("");
    drawn = all("[data-drive] path").slice(1);
    labels = all("text");
  }

  /** Numbers, where a phone has room for them. */
  function write(axes, counts) {
    const wide = (values) => String(Math.max(...values)).length * 7 > PHONE / size;
    const shown = wide(counts) ? [] : counts;
    labels.forEach((label, i) => {
      const value = (i < 2 * size ? axes[i % 2][i >> 1] : shown[i - 2 * size]) || "";
      if (label.textContent !== `${value}`) label.textContent = value;
    });
    root.classList.toggle("cfdg-upright", wide(axes[1]));
  }

  function paint() {
    const state = Object.fromEntries(names.map((name) => [name, model.get(name)]));
    if (state.size !== size) {
      size = state.size;
      build();
    }
    const seen = survey(state);
    const { axes, layers, counts, unread } = seen;
    const most = Math.max(...counts);
    const shades = range(LEVELS).map(() => []);
    counts.forEach((count, i) => count && shades[Math.ceil(Math.sqrt(count / most) * LEVELS) - 1].push(i));
    const cells = (pen) => (some) =>
      some.map((i) => `M${(i % size) * CELL} ${Math.floor(i / size) * CELL}${pen}`).join("");
    const box = ([[top, bottom], [left, right]]) =>
      `M${left * CELL} ${top * CELL}H${right * CELL}V${bottom * CELL}H${left * CELL}z`;
    const unit = box(state.unit.map((at) => [at, at + 1]));
    const marks = [cells("m0 10l10-10m10 0l-20 20m10 0l10-10")(unread), box([seen.rows, seen.columns]), unit];
    [...shades.map(cells("h20v20h-20z")), ...marks].forEach((d, n) => set(drawn[n], { d }));
    write(axes, counts);
    lines.forEach((line, n) => {
      line.hidden = !layers[n];
      const { hull, positions, share, overlap } = layers[n] ?? {};
      [hull, positions, percent(share), percent(overlap)].forEach((told, i) => (line.cells[i + 2].textContent = told));
    });
    [state.kernel_size, size, ...state.rates].forEach((value, n) => (fields[n].value = value));
    PRESETS.forEach((name, n) => set(buttons[n], { "aria-pressed": name === state.rates.join(", ") }));
    [buttons.at(-2).disabled, buttons.at(-1).disabled] = [!!layers[LAYERS - 1], !layers[1]];
    find("[role=alert]").textContent = "";
    describe(state, seen).forEach((words, n) => (all("[aria-live] p")[n].textContent = words));
  }

  form.addEventListener("input", () => {
    const used = fields.slice(0, 2 + model.get("rates").length);
    const wrong = used.find((part) => !part.validity.valid);
    if (wrong) return (find("[role=alert]").textContent = `Integers from ${wrong.min} to ${wrong.max}.`);
    const [kernel_size, size, ...rates] = used.map((part) => part.valueAsNumber);
    update(model, { rates, kernel_size, size, unit: model.get("unit").map((at) => Math.min(at, size - 1)) });
  });
  form.addEventListener("focusout", paint); // fields show again what holds
  buttons.forEach((one, n) =>
    one.addEventListener("click", () => {
      const rates = model.get("rates");
      const others = n > PRESETS.length ? rates.slice(0, -1) : [...rates, rates.at(-1)];
      update(model, { rates: PRESETS[n]?.split(", ").map(Number) ?? others });
    }),
  );
  const cellAt = ({ clientX, clientY }) => {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(root.getScreenCTM().inverse());
    return [y, x].map((at) => clamp(Math.floor(at / CELL), 0, size - 1));
  };
  explore(root.parentNode, () => ({ shape: [size, size], cellAt }), () => model.get("unit"), (unit) => update(model, { unit }));
  return keepPainted(model, names, paint);
}

export default { render };
