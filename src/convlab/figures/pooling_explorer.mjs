/** The image moved by [rows down, columns to the right]; `beyond` moves in. */
export const shifted = (image, [down, right], beyond = 0) =>
  image.map((row, i) => row.map((_, j) => image[i - down]?.[j - right] ?? beyond));

/** [row, column] of a position in reading order. */
const cell = (at, columns) => [Math.floor(at / columns), at % columns];

const sizes = (image, kernel, stride) =>
  [image, image[0]].map(({ length }) => Math.floor((length - kernel) / stride) + 1);

/** For every output, in reading order: the positions in its window, the value, and the maximum's position. */
export function pool(image, kernel, stride, mode) {
  const [flat, width, shape] = [image.flat(), image[0].length, sizes(image, kernel, stride)];
  const places = (count, columns) =>
    Array.from({ length: count }, (_, i) => cell(i, columns)).map(([row, column]) => row * width + column);
  const inside = places(kernel ** 2, kernel);
  const windows = places(shape[0] * shape[1], shape[1]).map((corner) => inside.map((at) => corner * stride + at));
  const larger = (best, at) => (flat[at] > flat[best] ? at : best); // the first of equals
  const switches = mode === "max" ? windows.map((all) => all.reduce(larger)) : [];
  const total = (all) => all.reduce((sum, at) => sum + flat[at], 0) / (mode === "sum" ? 1 : all.length);
  const values = mode === "max" ? switches.map((at) => flat[at]) : windows.map(total);
  return { shape, windows, switches, values };
}

/** Put values back: maxima at their switches, else evenly; the mean where windows overlap. */
export function unpool({ windows, switches, values }, length, mode) {
  const parts = Array.from({ length }, () => []);
  values.forEach((value, i) => {
    if (mode === "max") parts[switches[i]] = [value];
    else for (const at of windows[i]) parts[at].push(value / (mode === "sum" ? windows[i].length : 1));
  });
  return parts.map((all) => all.reduce((sum, part) => sum + part, 0) / (all.length || 1));
}

/** What the figure says: the pooling, the chosen unit, the comparison. */
function describe({ image, kernel_size: kernel, stride, mode, shift, unit }, { shape, windows, switches, values }, at, flat, unread, same) {
  const numbers = windows[at].map((place) => text(flat[place]));
  const [value, all, columns] = [text(values[at]), values.length, image[0].length];
  const sum = numbers.join(" + ").replaceAll("+ −", "− ");
  const formula = { max: `max(${numbers.join(", ")})`, average: `(${sum}) / ${numbers.length}`, sum }[mode];
  let from = "";
  if (mode === "max") {
    const [row, column] = cell(switches[at], columns);
    const equal = numbers.filter((number) => number === value).length;
    from = `, from input (${row}, ${column})${equal > 1 ? `, the first of ${equal} equal ones` : ""}: \
switch ${row}·${columns} + ${column} = ${switches[at]}`;
  }
  return `${mode} pooling ${kernel}×${kernel}, stride ${stride}: ${image.length}×${columns} → ${shape.join("×")}; \
${unread.length} input cells in no window. Output (${unit.join(", ")}): ${formula} \
${values[at] === Number(values[at].toFixed(2)) ? "=" : "≈"} ${value}${from}. Shifted ${text(shift[0])} down, ${text(shift[1])} right: \
${same.length} of ${all} output cells (${Math.round((100 * same.length) / all)} %) as without shift, \
${same.filter((i) => !values[i]).length} of them 0.`;
}

const field = (name, low, high) =>
  `<label>${name}<input type="number" min="${low}" max="${high}" required></label>`;
const panel = (name, legend, attributes = "") =>
  `<div><div class="cf-title"><i></i>${name}</div><div ${attributes}><svg class="cf-grid" data-drive="pointer"></svg></div>
<p>${legend.map((words) => `<span>${words}</span>`).join("")}</p></div>`;
const group = (name, parts) => `<fieldset><legend>${name}</legend>${parts.join("")}</fieldset>`;
const keys = (what) => `tabindex="0" role="application" aria-label="Arrow keys ${what}"`;
const tile = (mode) =>
  `<label class="cf-choice"><input type="radio" name="mode" value="${mode}"><span>${mode}</span></label>`;
const arrow = (key, i) => `<button type="button" value="Arrow${key}" aria-label="${key}">${"←↑↓→"[i]}</button>`;

const PAGE = `<figure><form>
<div class="cfp-controls">
${group("Pooling", ["max", "average", "sum"].map(tile))}
${group("Window", [field("kernel", 1, 6), field("stride", 1, 6)])}
${group("Shift of the input", [...["Left", "Up", "Down", "Right"].map(arrow), field("down", -3, 3), field("right", -3, 3)])}
</div>
<p role="alert"></p>
<div class="cfp-panels">
${panel("Input", ["□ window", "● switches", "╱ in no window"], keys("shift the input"))}
${panel("Output", ["✓ as without shift", "◲ place in window"], `data-drive="keys" ${keys("move the unit")}`)}
${panel("Unpooled", ["", "maxima at their switches, 0 elsewhere", "spread evenly over the window; the mean where windows overlap"])}
</div>
<p aria-live="polite"></p>
</form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  const find = prepare(el, "pooling-explorer", PAGE, model.get("caption"));
  const form = find("form");
  const [note, live] = el.querySelectorAll("form > p");
  const [input, output, back] = el.querySelectorAll("svg");
  const fields = [...el.querySelectorAll("[type=number]")];
  const names = ["image", "kernel_size", "stride", "mode", "shift", "unit"];

  /** The traits with some changes, and with the unit inside the output. */
  function look(changes) {
    const state = Object.fromEntries(names.map((name) => [name, changes?.[name] ?? model.get(name)]));
    const ends = sizes(state.image, state.kernel_size, state.stride);
    return { ...state, unit: state.unit.map((place, axis) => clamp(place, 0, ends[axis] - 1)) };
  }
  const go = (changes) => update(model, look(changes));

  function draw(root, size, values, reach) {
    if (root.drawn?.shape.join() !== size.join()) {
      root.drawn = grid(root, size);
      root.style.width = `calc(var(--cf-side) * ${size[1] + 0.2})`;
    }
    root.drawn.write(values, reach);
  }

  function paint() {
    const state = look();
    const { image, kernel_size: kernel, stride, mode, shift, unit } = state;
    const [still, now] = [image, shifted(image, shift)].map((one) => pool(one, kernel, stride, mode));
    const [whole, flat] = [sizes(image, 1, 1), shifted(image, shift).flat()];
    const at = unit[0] * now.shape[1] + unit[1];
    const same = [...now.values.keys()].filter((i) => now.values[i] === still.values[i]);
    const unread = [...flat.keys()].filter((i) => !now.windows.some((places) => places.includes(i)));
    const box = ([row, column], side) => [row, column, row + side, column + side];
    const reach = Math.max(...image.flat().map(Math.abs)) || 1;

    draw(input, whole, flat, reach);
    draw(back, whole, unpool(now, flat.length, mode), reach);
    draw(output, now.shape, now.values, mode === "sum" ? undefined : reach);
    const empty = shifted(image, shift, null).flat().flatMap((value, i) => (value === null ? [i] : []));
    input.drawn.mark("cfp-moved", empty);
    for (const root of [input, back]) {
      root.drawn.mark("cfp-unread", unread, () => "m1 6l5-5m8 18l5-5");
      root.drawn.outline("cf-kernel", box(unit.map((i) => i * stride), kernel));
      root.drawn.outline("cf-output", mode === "max" && box(cell(now.switches[at], whole[1]), 1));
    }
    input.drawn.mark("cfp-dot", now.switches, () => "m16 16h0");
    output.drawn.mark("cfp-tick", same, () => "m2.5 15l1.8 2 2.9-4");
    output.drawn.mark("cfp-place", [...now.switches.keys()], (i) => {
      const side = 6 / kernel;
      const [v, u] = cell(now.windows[i].indexOf(now.switches[i]), kernel).map((n) => n * side);
      return `m11.5 11.5h7v7h-7zm.5.5v6h6v-6zm${u} ${v}h${side}v${side}h${-side}z`;
    });
    output.drawn.outline("cf-output", box(unit, 1));

    note.textContent = "";
    live.textContent = describe(state, now, at, flat, unread, same);
    form.elements.mode.value = mode;
    fields[0].max = Math.min(6, ...whole);
    [kernel, stride, ...shift].forEach((value, i) => (fields[i].value = value));
  }

  form.addEventListener("input", () => {
    const [kernel_size, stride, ...shift] = fields.map((part) => part.valueAsNumber);
    const wrong = fields.find((part) => !part.validity.valid);
    if (wrong) note.textContent = `Integers from ${text(wrong.min)} to ${wrong.max}.`;
    else go({ kernel_size, stride, shift, mode: form.elements.mode.value });
  });
  form.addEventListener("focusout", paint); // fields show again what holds
  const shiftBy = (event) => {
    const to = moved(event, look().shift.map((by) => by + 3), [7, 7]);
    if (!to) return;
    event.preventDefault?.();
    go({ shift: to.map((by) => by - 3) });
  };
  form.addEventListener("click", ({ target }) => shiftBy({ key: target.value }));
  input.parentNode.addEventListener("keydown", shiftBy);
  const unit = () => look().unit;
  explore(output.parentNode, () => output.drawn, unit, (unit) => go({ unit }));
  for (const root of [input, back]) {
    explore(root, () => root.drawn, unit, (place) => go({ unit: place.map((i) => Math.floor(i / look().stride)) }));
  }
  return keepPainted(model, names, paint);
}

export default { render };
