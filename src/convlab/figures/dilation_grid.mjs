const TRAITS = ["rates", "kernel_size", "size", "unit"];
const PRESETS = ["1, 1, 1", "2, 2, 2", "1, 2, 4", "1, 2, 3"];
const LAYERS = 5;
const LEVELS = 8; // of shading
const PHONE = 321; // pixels of cells

const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

/** Where a unit's taps lie, with padding "same". */
export const taps = (rate, kernel) => range(kernel).map((tap) => rate * tap - Math.floor((rate * (kernel - 1)) / 2));

/** What a unit reads after each layer, away from the border: numbers of one axis, shares of both. */
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

/** Along one axis: how many paths lead from the unit `at` to each position of an image. */
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

/** What a unit reads: counts in reading order, its hull in the image, pixels never read. */
export function survey({ rates, kernel_size: kernel, size, unit }) {
  const axes = unit.map((at) => paths(rates, kernel, size, at));
  const layers = table(rates, kernel);
  const { low, hull } = layers.at(-1);
  const [rows, columns] = unit.map((at) => [at + low, at + low + hull].map((end) => clamp(end, 0, size)));
  const counts = axes[0].flatMap((row) => axes[1].map((column) => row * column));
  const within = (at, [first, end]) => first <= at && at < end;
  const unread = counts.flatMap((count, i) =>
    !count && within(Math.floor(i / size), rows) && within(i % size, columns) ? [i] : [],
  );
  return { axes, layers, counts, unread, rows, columns };
}

/** What the figure says. */
function describe({ rates, kernel_size: kernel, unit }, { layers, counts, unread, rows, columns }) {
  const { hull, positions, share, overlap } = layers.at(-1);
  const [read, all] = [counts.filter(Boolean).length, kernel ** (2 * rates.length)];
  const inside = counts.reduce((sum, count) => sum + count);
  const [from, to] = [rows, columns].map(([first, end]) => `${first} to ${end - 1}`);
  return [
    `Rates ${rates.join(", ")}, kernel ${kernel}×${kernel}: hull ${hull}×${hull}, ${positions} distinct positions per axis, \
${positions ** 2} of ${hull ** 2} pixels read (${percent(share)}). Neighbours share ${percent(overlap)} of their positions.`,
    `Output unit (${unit.join(", ")}): rows ${from}, columns ${to}; ${read} pixels read, ${unread.length} never. \
${inside} of ${all} paths reach the image, ${all - inside} end in padding; at most ${Math.max(...counts)} in a pixel.`,
  ];
}

const button = (name) => `<button type="button">${name}</button>`;
const field = (low, high, name) =>
  `<input type="number" min="${low}" max="${high}" required aria-label="${name}">`;
const heads = ["layer", "rate", "hull", "distinct positions", "pixels read", "shared with next unit"];
const rows = range(LAYERS + 1).slice(1).map(
  (n) => `<tr><th scope="row">${n}</th><td>${field(1, 16, `rate of layer ${n}`)}</td>${"<td></td>".repeat(4)}</tr>`,
);
const PAGE = `<figure><form>
<div class="cfd-controls">${PRESETS.map(button).join("")}
<label>kernel ${field(2, 5, "kernel")}</label><label>image ${field(9, 31, "image")}</label></div>
<p role="alert"></p>
<div class="cfd-panels">
<div><div class="cf-title">Paths from output unit to input pixels</div>
<div data-drive="keys" tabindex="0" role="application" aria-label="Output unit: arrow keys move it">
<svg class="cf-grid" data-drive="pointer" aria-hidden="true"></svg></div>
<p><i></i>output unit <i></i>hull <i></i>never read <span>margins: paths per axis; row × column = pixel</span></p></div>
<div><table><caption class="cf-title">Layers, away from the border</caption>
<thead><tr>${heads.map((words) => `<th scope="col">${words}</th>`).join("")}</tr></thead>
<tbody>${rows.join("")}</tbody></table>${button("Add layer")} ${button("Remove layer")}</div>
</div>
<div aria-live="polite"><p></p><p></p></div></form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  const find = prepare(el, "dilation-grid", PAGE, model.get("caption"));
  const all = (part) => [...el.querySelectorAll(part)];
  const [root, form, body, note] = ["svg", "form", "tbody", "[role=alert]"].map(find);
  const [lines, fields, buttons, lives] = ["tbody tr", "input", "button", "[aria-live] p"].map(all);
  let size, drawn, labels;

  /** Draw an empty image of this size. */
  function build() {
    const side = size * CELL;
    const [margin, large] = [0.07 * side + 2, 1.07 * side + 4];
    const style = `width: ${28 * size}px; --cfd-text: ${Math.max(9, (11.4 * side) / PHONE)}px`;
    set(root, { viewBox: `${-margin} ${-margin} ${large} ${large}`, style });
    const lattice = range(size + 1).map((n) => `M0 ${n * CELL}h${side}M${n * CELL} 0v${side}`);
    const kinds = [...Array(LEVELS).fill("cfd-read"), "cfd-unread", "cf-frame cf-kernel", "cf-frame cf-output"];
    const at = (n) => (n + 0.5) * CELL;
    const label = (x, y, name) => `<text x="${x}" y="${y}" class="${name}"></text>`;
    root.innerHTML =
      `<path class="cf-lines" d="${lattice.join("")}"/>` +
      kinds.map((kind, n) => `<path class="${kind}" fill-opacity="${0.15 + 0.05 * n}"/>`).join("") +
      range(size).map((n) => label(-margin / 2, at(n)) + label(at(n), -margin / 2, "cfd-top")).join("") +
      range(size ** 2).map((i) => label(at(i % size), at(Math.floor(i / size)))).join("");
    drawn = all("[data-drive] path").slice(1);
    labels = all("text");
  }

  /** Numbers, where a phone has room. */
  function write(axes, counts) {
    const wide = (values) => String(Math.max(...values)).length * 7 > PHONE / size;
    const shown = wide(counts) ? [] : counts;
    labels.forEach((label, i) => {
      const value = (i < 2 * size ? axes[i % 2][i >> 1] : shown[i - 2 * size]) || "";
      if (label.textContent !== `${value}`) label.textContent = value;
    });
    root.classList.toggle("cfd-upright", wide(axes[1]));
  }

  function paint() {
    const state = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
    if (state.size !== size) {
      size = state.size;
      build();
    }
    const seen = survey(state);
    const { axes, layers, counts, unread } = seen;
    const most = Math.max(...counts);
    const shades = range(LEVELS).map(() => []);
    counts.forEach((count, i) => count && shades[Math.ceil(Math.sqrt(count / most) * LEVELS) - 1].push(i));
    const cells = (some, pen) => some.map((i) => `M${(i % size) * CELL} ${Math.floor(i / size) * CELL}${pen}`).join("");
    const box = ([[top, bottom], [left, right]]) =>
      `M${left * CELL} ${top * CELL}H${right * CELL}V${bottom * CELL}H${left * CELL}z`;
    const boxes = [[seen.rows, seen.columns], state.unit.map((at) => [at, at + 1])].map(box);
    const hatch = cells(unread, "m0 10l10-10m10 0l-20 20m10 0l10-10");
    const fills = shades.map((some) => cells(some, "h20v20h-20z"));
    [...fills, hatch, ...boxes].forEach((d, n) => set(drawn[n], { d }));
    write(axes, counts);
    if (body.rows.length !== layers.length) body.replaceChildren(...lines.slice(0, layers.length));
    layers.forEach(({ hull, positions, share, overlap }, n) => {
      const told = [hull, positions, percent(share), percent(overlap)];
      told.forEach((words, i) => (lines[n].cells[i + 2].textContent = words));
    });
    [state.kernel_size, size, ...state.rates].forEach((value, n) => (fields[n].value = value));
    PRESETS.forEach((name, n) => set(buttons[n], { "aria-pressed": name === state.rates.join(", ") }));
    [buttons.at(-2).disabled, buttons.at(-1).disabled] = [!!layers[LAYERS - 1], !layers[1]];
    note.textContent = "";
    describe(state, seen).forEach((words, n) => (lives[n].textContent = words));
  }

  form.addEventListener("input", () => {
    const used = fields.slice(0, 2 + model.get("rates").length);
    const wrong = used.find((part) => !part.validity.valid);
    if (wrong) return (note.textContent = `Integers from ${wrong.min} to ${wrong.max}.`);
    const [kernel_size, size, ...rates] = used.map((part) => part.valueAsNumber);
    update(model, { rates, kernel_size, size, unit: model.get("unit").map((at) => Math.min(at, size - 1)) });
  });
  form.addEventListener("focusout", paint);
  buttons.forEach((one, n) =>
    one.addEventListener("click", () => {
      const rates = model.get("rates");
      const others = n > PRESETS.length ? rates.slice(0, -1) : [...rates, rates.at(-1)];
      update(model, { rates: PRESETS[n]?.split(",").map(Number) ?? others });
    }),
  );
  const cellAt = ({ clientX, clientY }) => {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(root.getScreenCTM().inverse());
    return [y, x].map((at) => clamp(Math.floor(at / CELL), 0, size - 1));
  };
  explore(root.parentNode, () => ({ shape: [size, size], cellAt }), () => model.get("unit"), (unit) => update(model, { unit }));
  return keepPainted(model, TRAITS, paint);
}

export default { render };
