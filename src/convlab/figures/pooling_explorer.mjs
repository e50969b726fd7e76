/** The image moved by [rows down, columns to the right]; `beyond` moves in. */
export const shifted = (image, [down, right], beyond = 0) =>
  image.map((row, i) => row.map((_, j) => image[i - down]?.[j - right] ?? beyond));

/** [row, column] of a position in reading order. */
const cell = (at, columns) => [Math.floor(at / columns), at % columns];

const sizes = (image, kernel, stride) =>
  [image, image[0]].map(({ length }) => Math.floor((length - kernel) / stride) + 1);

/** For every output, in reading order: the positions in its window, its value, and where its maximum came from. */
export function pool(image, kernel, stride, mode) {
  const [flat, width, shape] = [image.flat(), image[0].length, sizes(image, kernel, stride)];
  const places = (count, columns) =>
    Array.from({ length: count }, (_, i) => cell(i, columns)).map(([row, column]) => row * width + column);
  const inside = places(kernel ** 2, kernel);
  const windows = places(shape[0] * shape[1], shape[1]).map((corner) => inside.map((at) => corner * stride + at));
  const larger = (best, at) => (flat[at] > flat[best] ? at : best); // the first of equals
  const switches = mode === "max" ? windows.map((all) => all.reduce(larger)) : [];
  const count = mode === "average" ? kernel ** 2 : 1;
  const total = (all) => all.reduce((sum, at) => sum + flat[at], 0) / count;
  const values = mode === "max" ? switches.map((at) => flat[at]) : windows.map(total);
  return { shape, windows, switches, values };
}

/** Put values back into `length` places: maxima at their switches, else evenly; the mean where windows overlap. */
export function unpool({ windows, switches, values }, length, mode) {
  const parts = Array.from({ length }, () => []);
  values.forEach((value, i) => {
    if (mode === "max") parts[switches[i]] = [value];
    else for (const at of windows[i]) parts[at].push(mode === "sum" ? value / windows[i].length : value);
  });
  return parts.map((all) => all.reduce((sum, part) => sum + part, 0) / (all.length || 1));
}

/** What the figure says: the pooling, the chosen unit, the comparison. */
function describe({ image, kernel_size, stride, mode, shift, unit }, now, at, flat, unread, same) {
  const [columns, all, kept] = [image[0].length, now.values.length, same.length];
  const numbers = now.windows[at].map((place) => flat[place]);
  const value = now.values[at];
  const sum = numbers.map(text).join(" + ").replaceAll("+ −", "− ");
  const formula = { max: `max(${numbers.map(text).join(", ")})`, average: `(${sum}) / ${numbers.length}`, sum }[mode];
  let from = "";
  if (mode === "max") {
    const place = now.switches[at];
    const [row, column] = cell(place, columns);
    const equal = numbers.filter((number) => number === value).length;
    from = `, from input (${row}, ${column})${equal > 1 ? `, the first of ${equal} equal ones` : ""}: `;
    from += `switch ${row}·${columns} + ${column} = ${place}`;
  }
  return `${mode} pooling ${kernel_size}×${kernel_size}, stride ${stride}: ${image.length}×${columns} → ${now.shape.join("×")}; \
${unread.length} input cells in no window. Output (${unit.join(", ")}): ${formula} \
${value === Math.round(value * 100) / 100 ? "=" : "≈"} ${text(value)}${from}. \
Shifted ${text(shift[0])} down, ${text(shift[1])} right: ${kept} of ${all} output cells (${Math.round((100 * kept) / all)} %) \
as without shift, ${same.filter((i) => !now.values[i]).length} of them 0.`;
}

const field = (name, low, high) =>
  `<label>${name}<input type="number" min="${low}" max="${high}" required></label>`;
const panel = (name, legend, attributes = "") =>
  `<div><div class="cf-title"><i></i>${name}</div><div ${attributes}><svg class="cf-grid"></svg></div><p>${legend}</p></div>`;
const keys = (what) => `tabindex="0" role="application" aria-label="Arrow keys ${what}"`;
const tile = (mode) =>
  `<label class="cf-choice"><input type="radio" name="mode" value="${mode}"><span>${mode}</span></label>`;
const arrow = (key, i) => `<button type="button" value="Arrow${key}" aria-label="${key}">${"←↑↓→"[i]}</button>`;

const PAGE = `<figure><form>
<div class="cfp-controls">
<fieldset><legend>Pooling</legend>${["max", "average", "sum"].map(tile).join("")}</fieldset>
<fieldset><legend>Window</legend>${field("kernel", 1, 6)}${field("stride", 1, 6)}</fieldset>
<fieldset><legend>Shift of the input</legend>${["Left", "Up", "Down", "Right"].map(arrow).join("")}
${field("down", -3, 3)}${field("right", -3, 3)}</fieldset>
</div>
<p role="alert"></p>
<div class="cfp-panels">
${panel("Input", "<span>□ window</span><span class='cfp-max'>● switches</span><span class='cfp-drop'>╱ in no window</span>", keys("shift the input"))}
${panel("Output", "<span>✓ as without shift</span><span class='cfp-max'>◲ place in window</span>", `data-drive="keys" ${keys("move the unit")}`)}
${panel("Unpooled", "<span class='cfp-max'>maxima at their switches, 0 elsewhere</span><span class='cfp-rest'>spread evenly over the window; the mean where windows overlap</span>")}
</div>
<p aria-live="polite"></p>
</form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  const find = prepare(el, "pooling-explorer", PAGE, model.get("caption"));
  const form = find("form");
  const [input, output, back] = el.querySelectorAll("svg");
  const fields = [...el.querySelectorAll("[type=number]")];
  const names = ["image", "kernel_size", "stride", "mode", "shift", "unit"];
  const look = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  set(output, { "data-drive": "pointer" });

  /** Change traits, and keep the unit inside the output. */
  function go(changes) {
    const { image, kernel_size, stride, unit } = { ...look(), ...changes };
    const ends = sizes(image, kernel_size, stride);
    update(model, { ...changes, unit: unit.map((place, axis) => clamp(place, 0, ends[axis] - 1)) });
  }

  function draw(root, size, values, reach) {
    if (String(root.drawn?.shape) !== String(size)) {
      root.drawn = grid(root, size);
      root.style.width = `calc(var(--cf-side) * ${size[1] + 0.2})`;
    }
    root.drawn.write(values, reach);
  }

  /** Over some cells of a grid, draw what pen(y, x, cell) gives. */
  function over(root, name, cells, pen) {
    const columns = root.drawn.shape[1];
    const path = root.querySelector(`.${name}`) ?? shape(root, "path", { class: name });
    set(path, { d: cells.map((at) => pen(...cell(at, columns).map((i) => i * CELL), at)).join("") });
  }

  function paint() {
    const state = look();
    const { image, kernel_size: kernel, stride, mode, shift, unit } = state;
    const [whole, flat] = [[image.length, image[0].length], shifted(image, shift).flat()];
    const [still, now] = [image, shifted(image, shift)].map((one) => pool(one, kernel, stride, mode));
    const at = unit[0] * now.shape[1] + unit[1];
    const same = [...now.values.keys()].filter((i) => now.values[i] === still.values[i]);
    const read = new Set(now.windows.flat());
    const unread = [...flat.keys()].filter((place) => !read.has(place));
    const box = ([row, column], side) => [row, column, row + side, column + side];
    const reach = Math.max(...image.flat().map(Math.abs)) || 1;

    draw(input, whole, flat, reach);
    draw(back, whole, unpool(now, flat.length, mode), reach);
    draw(output, now.shape, now.values, mode === "sum" ? undefined : reach);
    input.drawn.mark(shifted(image, shift, null).flat().map((value) => value ?? "cfp-moved"));
    for (const root of [input, back]) {
      over(root, "cfp-unread", unread, (y, x) => `M${x + 1} ${y + 6}l5-5M${x + 14} ${y + 19}l5-5`);
      root.drawn.outline("cf-kernel", box(unit.map((i) => i * stride), kernel));
      root.drawn.outline("cf-output", mode === "max" && box(cell(now.switches[at], whole[1]), 1));
    }
    over(input, "cfp-dot", now.switches, (y, x) => `M${x + 16} ${y + 16}h0`);
    over(output, "cfp-tick", same, (y, x) => `M${x + 2.5} ${y + 15}l1.8 2 2.9-4`);
    over(output, "cfp-place", [...now.switches.keys()], (y, x, i) => {
      const side = 6 / kernel;
      const [v, u] = cell(now.windows[i].indexOf(now.switches[i]), kernel).map((n) => n * side);
      return `M${x + 11.5} ${y + 11.5}h7v7h-7zm.5.5v6h6v-6zm${u} ${v}h${side}v${side}h${-side}z`;
    });
    output.drawn.outline("cf-output", box(unit, 1));

    find("[role=alert]").textContent = "";
    find("[aria-live]").textContent = describe(state, now, at, flat, unread, same);
    form.elements.mode.value = mode;
    fields[0].max = Math.min(6, ...whole);
    [kernel, stride, ...shift].forEach((value, i) => {
      if (fields[i].valueAsNumber !== value) fields[i].value = value;
    });
  }

  form.addEventListener("input", () => {
    const [kernel_size, stride, ...shift] = fields.map((part) => part.valueAsNumber);
    const wrong = fields.find((part) => !part.validity.valid);
    if (wrong) find("[role=alert]").textContent = `Integers from ${text(wrong.min)} to ${wrong.max}, please.`;
    else go({ kernel_size, stride, shift, mode: form.elements.mode.value });
  });
  form.addEventListener("focusout", paint); // fields show again what holds
  const shiftBy = (event) => {
    const to = moved(event, model.get("shift").map((by) => by + 3), [7, 7]);
    if (!to) return;
    event.preventDefault?.();
    go({ shift: to.map((by) => by - 3) });
  };
  for (const button of el.querySelectorAll("button")) {
    button.addEventListener("click", () => shiftBy({ key: button.value }));
  }
  input.parentNode.addEventListener("keydown", shiftBy);
  const follow = (event) => {
    const middle = (model.get("kernel_size") - 1) / 2;
    go({ unit: input.drawn.cellAt(event).map((i) => Math.round((i - middle) / model.get("stride"))) });
  };
  input.addEventListener("pointermove", follow);
  input.addEventListener("pointerdown", follow);
  explore(output.parentNode, () => output.drawn, () => model.get("unit"), (unit) => go({ unit }));
  return keepPainted(model, names, paint);
}

export default { render };
