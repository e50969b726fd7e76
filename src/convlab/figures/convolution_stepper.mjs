const SIDE = 34; // of a cell, in pixels
const PRODUCT = 58; // of a cell with a product
const WEIGHT = 99; // the largest, in size
const SETTINGS = ["image", "kernel", "stride", "padding", "flip", "complete"];
const CHOICES = { stride: [1, 2, 3], padding: [0, 1, 2] };

const sizes = (array) => [array.length, array[0].length];
const sum = (taps) => taps.reduce((total, { product }) => total + product, 0);

/** Rows and columns of the output; below 1 where the kernel does not fit. */
export function outputShape({ image, kernel, stride, padding }) {
  const [size, window] = [image, kernel].map(sizes);
  return size.map((side, axis) => Math.floor((side + 2 * padding - window[axis]) / stride) + 1);
}

/** What the window of a unit multiplies, in reading order. */
export function products({ image, kernel, stride, padding, flip }, unit) {
  const [top, left] = unit.map((at) => at * stride - padding);
  const weights = flip ? kernel.flat().reverse() : kernel.flat();
  return weights.map((weight, i) => {
    const width = kernel[0].length;
    const pixel = image[top + Math.floor(i / width)]?.[left + (i % width)] ?? 0;
    return { pixel, weight, product: pixel * weight };
  });
}

/** The whole output, in reading order. */
export function convolve(settings) {
  const [rows, columns] = outputShape(settings);
  const unit = (_, i) => sum(products(settings, [Math.floor(i / columns), i % columns]));
  return Array.from({ length: rows * columns }, unit);
}

/** The unit whose window has its centre nearest to a cell of the padded image. */
export function unitAt(settings, cell) {
  const window = sizes(settings.kernel);
  return outputShape(settings).map((count, axis) =>
    clamp(Math.round((cell[axis] - (window[axis] - 1) / 2) / settings.stride), 0, count - 1),
  );
}

/** "= 3", or "≈ 0.33" where that is rounded. */
export const equals = (value) =>
  `${Math.abs(value * 100 - Math.round(value * 100)) < 1e-6 ? "=" : "≈"} ${text(value)}`;

const menu = (name) => `<label>${name}<select name="${name}"></select></label>`;
const check = (name, label) => `<label class="cfs-switch"><input type="checkbox" name="${name}">${label}</label>`;
const panel = (name, inside) => `<div class="cfs-${name}"><div class="cf-title"><i></i>${name} <b></b></div>${inside}</div>`;
const stage = (name) =>
  panel(
    name,
    `<div class="cfs-stage" data-drive="keys" tabindex="0" role="application" aria-label="${name}: arrow keys move
    the window, Home and End to the ends of the row"><svg data-drive="pointer" class="cf-grid"></svg></div>`,
  );

const PAGE = `
<figure><form>
<div class="cfs-controls">${menu("kernel")}${menu("stride")}${menu("padding")}${check("flip", "Flip the kernel")}</div>
<div class="cfs-panels">
  ${stage("input")}
  ${panel("kernel", '<div class="cfs-weights"></div>')}
  ${panel("products", '<svg class="cf-grid"></svg><p></p>')}
  ${stage("output")}
</div>
<p role="alert"></p>
<div class="cfs-controls">
  <button type="button">Next</button><button type="button">Start again</button>
  ${check("complete", "Show all of the output")}
</div>
<p class="cfs-text" aria-live="polite"></p>
</form><figcaption></figcaption></figure>`;

function draw(svg, size, side) {
  svg.style.width = `${(size[1] + 4 / CELL) * side}px`;
  return grid(svg, size);
}

function render({ model, el }) {
  const find = prepare(el, "convolution-stepper", PAGE, model.get("caption"));
  const [stages, buttons] = [".cfs-stage", "button"].map((name) => el.querySelectorAll(name));
  const [weights, live, alert] = [".cfs-weights", ".cfs-text", "[role=alert]"].map(find);
  const presets = Object.fromEntries(model.get("presets"));
  const options = { kernel: ["edited", ...Object.keys(presets)], ...CHOICES };
  for (const menu of el.querySelectorAll("select")) menu.append(...options[menu.name].map((name) => new Option(name)));

  let now, size; // as painted: settings, shape of the output
  let layout, input, taps, formulas, output; // the grids, drawn again for another layout
  let visited; // numbers of units

  const place = () => model.get("unit").map((at, axis) => Math.min(at, size[axis] - 1));
  const number = () => place()[0] * size[1] + place()[1]; // in reading order

  function build() {
    const { image, kernel, padding } = now;
    const [rows, columns] = sizes(image);
    const wide = columns + 2 * padding;
    input = draw(find(".cfs-input svg"), [rows + 2 * padding, wide], SIDE);
    const pixel = (_, i) => image[Math.floor(i / wide) - padding]?.[(i % wide) - padding];
    const pixels = Array.from({ length: input.count }, pixel);
    input.write(pixels.map((pixel) => pixel ?? 0));
    input.mark("cfs-padding", pixels.flatMap((pixel, i) => (pixel === undefined ? [i] : [])));
    input.outline("cfs-edge", [padding, padding, padding + rows, padding + columns]);
    taps = draw(find(".cfs-products svg"), sizes(kernel), PRODUCT);
    formulas = kernel.flatMap((row, u) =>
      row.map((_, v) =>
        shape(find(".cfs-products svg"), "text", { class: "cfs-formula", x: (v + 0.5) * CELL, y: (u + 0.5) * CELL }),
      ),
    );
    output = draw(find(".cfs-output svg"), size, SIDE);
    const width = kernel[0].length;
    weights.style.gridTemplateColumns = `repeat(${width}, 44px)`;
    const field = (_, i) => `<input type="number" step="any" min="-${WEIGHT}" max="${WEIGHT}" required
      aria-label="weight in row ${Math.floor(i / width)}, column ${i % width}">`;
    weights.innerHTML = kernel.flat().map(field).join("");
  }

  function paint() {
    now = Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]));
    const { image, kernel, stride, padding } = now;
    size = outputShape(now);
    const unit = place();
    const wanted = [sizes(image), image, sizes(kernel), stride, padding].join();
    if (wanted !== layout) {
      layout = wanted;
      visited = new Set(Array(number()).keys());
      build();
    }
    visited.add(number());

    const [top, left] = unit.map((at) => at * stride);
    input.outline("cf-input", [top, left, top + kernel.length, left + kernel[0].length]);

    const multiplied = products(now, unit);
    const result = equals(sum(multiplied));
    taps.write(multiplied.map(({ product }) => product));
    multiplied.forEach(({ pixel, weight }, i) => {
      formulas[i].textContent = `${text(pixel)} · ${text(weight)}`;
    });
    find(".cfs-products p").textContent = `sum ${result}`;

    const values = convolve(now);
    const shown = values.map((value, i) => (now.complete || visited.has(i) ? value : null));
    output.write(shown, Math.max(...values.map(Math.abs)) || 1);
    output.outline("cf-output", [...unit, unit[0] + 1, unit[1] + 1]);
    paintControls();

    const factor = (value) => (value < 0 ? `(${text(value)})` : text(value));
    const terms = multiplied.map(({ pixel, weight }) => `${factor(pixel)}·${factor(weight)}`);
    live.innerHTML = `Output unit (${unit.join(", ")}): the ${now.flip ? "turned " : ""}kernel begins at row
      ${text(top - padding)}, column ${text(left - padding)} of the input. ${terms.join(" + ")} <b>${result}</b>.`;
  }

  function paintControls() {
    const { image, kernel, flip } = now;
    const notes = [sizes(image), sizes(kernel), flip ? ["(kernel turned)"] : [], size];
    el.querySelectorAll(".cf-title b").forEach((note, i) => (note.textContent = notes[i].join("×")));
    kernel.flat().forEach((weight, i) => {
      const field = weights.children[i];
      const typing = field.matches(":focus") && (!field.validity.valid || +field.value === weight);
      if (!typing) field.value = Math.round(weight * 100) / 100;
    });
    for (const box of el.querySelectorAll("[type=checkbox]")) box.checked = now[box.name];
    for (const option of el.querySelectorAll("option")) {
      const choice = choose(option.parentNode.name, option.value);
      option.disabled = Math.min(...outputShape({ ...now, ...choice })) < 1;
      const [[name, value]] = Object.entries(choice);
      if (String(value) === String(now[name])) option.selected = true; // "edited" only where no other is
    }
    find("option").hidden = !find("option").selected;
  }

  const choose = (name, value) => ({ [name]: name === "kernel" ? (presets[value] ?? now.kernel) : Number(value) });
  find("form").addEventListener("change", ({ target: { name, value, type, checked } }) => {
    if (name) update(model, type === "checkbox" ? { [name]: checked } : choose(name, value));
  });
  weights.addEventListener("input", ({ target }) => {
    const { valid } = target.validity;
    alert.textContent = valid ? "" : `A weight is a number from −${WEIGHT} to ${WEIGHT}; the last one is kept.`;
    const edit = (row, u) =>
      row.map((weight, v) => (weights.children[u * row.length + v] === target ? +target.value : weight));
    if (valid) update(model, { kernel: model.get("kernel").map(edit) });
  });
  weights.addEventListener("focusout", () => setTimeout(paint)); // shows the weights that are in use

  const go = (unit) => update(model, { unit });
  buttons[0].addEventListener("click", () => {
    const next = (number() + 1) % output.count;
    go([Math.floor(next / size[1]), next % size[1]]);
    paint(); // marks each unit as visited, however fast the steps
  });
  buttons[1].addEventListener("click", () => {
    layout = ""; // forgets the visited
    update(model, { unit: [0, 0], complete: false });
    paint();
  });
  const cellAt = (event) => unitAt(now, input.cellAt(event));
  explore(stages[0], () => ({ shape: size, cellAt }), place, go);
  explore(stages[1], () => output, place, go);
  return keepPainted(model, [...SETTINGS, "unit"], paint);
}

export default { render };
