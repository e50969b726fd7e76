const SIDE = 30; // of a cell, in pixels
const NAMES = ["image", "kernels", "bias", "names", "active", "unit"];

const sizes = (array) => [array.length, array[0].length];

/** Rows and columns of the maps. */
export function mapShape({ image, kernels }) {
  const [size, window] = [image[0], kernels[0]].map(sizes);
  return size.map((side, axis) => side - window[axis] + 1);
}

/** The intermediate map of every channel, in reading order. */
export function intermediate(settings) {
  const [rows, columns] = mapShape(settings);
  return settings.kernels.map((kernel, c) =>
    Array.from({ length: rows * columns }, (_, i) => {
      const [top, left] = [Math.floor(i / columns), i % columns];
      const pixel = (u, v) => settings.image[c][top + u][left + v];
      return kernel.flatMap((row, u) => row.map((weight, v) => weight * pixel(u, v))).reduce((a, b) => a + b);
    }),
  );
}

/** The output map: the sum of the maps of the active channels, and the bias. */
export function output({ active, bias }, maps) {
  return maps[0].map((_, i) => maps.reduce((sum, map, c) => sum + (active[c] ? map[i] : 0), bias));
}

/** The unit whose window has its centre nearest to a cell of the channel. */
export function unitAt(settings, cell) {
  const window = sizes(settings.kernels[0]);
  return mapShape(settings).map((count, axis) => clamp(Math.round(cell[axis] - (window[axis] - 1) / 2), 0, count - 1));
}

/** A sum as one writes it: "7 − 3 + 0.33 ≈ 4.33". */
export function addition(terms) {
  const total = terms.reduce((a, b) => a + b, 0);
  const exact = [...terms, total].every((value) => Math.abs(value * 100 - Math.round(value * 100)) < 1e-6);
  const signed = terms.map((term, i) => (i ? `${term < 0 ? "−" : "+"} ${text(Math.abs(term))}` : text(term)));
  return [signed.join(" "), `${exact ? "=" : "≈"} ${text(total)}`];
}

const PAGE = `
<figure><form>
<div class="cff-parts">
  <div class="cff-rows">
    <div class="cff-row">
      <div class="cf-title"><i></i>Channel <b></b></div>
      <div class="cf-title cff-kernel"><i></i>Kernel <b></b></div>
      <div class="cf-title">Its map <b></b></div>
    </div>
  </div>
  <div>
    <div class="cf-title cff-output"><i></i>Output: sum of the maps + bias <b></b></div>
    <div class="cff-stage" data-drive="keys" tabindex="0" role="application"
      aria-label="Output: arrow keys move the unit, Home and End to the ends of the row"><svg class="cf-grid"></svg></div>
    <p aria-live="polite"></p>
  </div>
</div>
</form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  const find = prepare(el, "filter-anatomy", PAGE, model.get("caption"));
  const [rows, stage, live] = [".cff-rows", ".cff-stage", "[aria-live]"].map(find);
  const titles = el.querySelectorAll(".cf-title b");

  let now; // as painted
  let layout, channels, total; // the grids, drawn again for another image or filter

  const draw = (svg, size) => {
    svg.style.width = `${(size[1] + 4 / CELL) * SIDE}px`;
    return grid(svg, size);
  };

  /** Draw channel, kernel and map of each channel, and the output. */
  function build() {
    const { image, kernels, names } = now;
    const shapes = [sizes(image[0]), sizes(kernels[0]), mapShape(now)];
    [...shapes, shapes[2]].forEach((size, i) => (titles[i].textContent = size.join("×")));
    total = draw(stage.firstChild, shapes[2]);
    const columns = shapes.map(([, width]) => Math.max(width, 2) + 4 / CELL); // 2: room for the title
    rows.style.setProperty("--cff-columns", columns.map((width) => `minmax(0, ${width}fr)`).join(" "));
    rows.style.maxWidth = `calc(${columns.reduce((a, b) => a + b) * SIDE}px + 2 * var(--cff-gap))`;
    while (rows.children[1]) rows.lastChild.remove();
    const reach = (arrays) => Math.max(...arrays.flat(2).map(Math.abs)) || 1;
    channels = names.map((name, c) => {
      const row = rows.appendChild(document.createElement("div"));
      row.className = "cff-channel";
      row.innerHTML = `<label><input type="checkbox" name="${c}"><span></span></label>
        <div class="cff-row"><svg class="cf-grid" data-drive="pointer"></svg><svg class="cf-grid"></svg><svg class="cf-grid"></svg></div>`;
      row.querySelector("span").textContent = name;
      const [input, kernel, map] = [...row.querySelectorAll("svg")].map((svg, i) => draw(svg, shapes[i]));
      input.write(image[c].flat(), reach(image));
      kernel.write(kernels[c].flat(), reach(kernels));
      kernel.outline("cf-kernel", [0, 0, ...shapes[1]]);
      const cellAt = (event) => unitAt(now, input.cellAt(event));
      explore(row.querySelector("svg"), () => ({ shape: shapes[2], cellAt }), place, go);
      explore(row.querySelector("svg:last-child"), () => map, place, go);
      return { row, input, map };
    });
  }

  function paint() {
    now = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
    const { image, kernels, bias, names, active } = now;
    const shape = mapShape(now);
    const wanted = JSON.stringify([image, kernels, names]);
    if (wanted !== layout) {
      layout = wanted;
      build();
    }
    const maps = intermediate(now);
    const sums = output(now, maps);
    const reach = Math.max(...[...maps, sums].flat().map(Math.abs)) || 1;
    const [row, column] = place();
    const here = [row, column, row + 1, column + 1];
    const value = (map) => map[row * shape[1] + column];
    total.write(sums, reach);
    total.outline("cf-output", here);
    channels.forEach((channel, c) => {
      channel.input.outline("cf-input", [row, column, row + kernels[c].length, column + kernels[c][0].length]);
      channel.map.write(maps[c], reach);
      channel.map.outline("cff-here", here);
      channel.row.classList.toggle("cff-off", !active[c]);
      channel.row.querySelector("input").checked = active[c];
    });
    const parts = names.map((name, c) => `${name} ${active[c] ? text(value(maps[c])) : "left out"}`);
    const [terms, result] = addition([...maps.map(value).filter((_, c) => active[c]), bias]);
    const strong = document.createElement("b");
    strong.textContent = result;
    live.replaceChildren(
      `Unit (${row}, ${column}) of the intermediate maps: ${parts.join(", ")}. With the bias ${text(bias)}: ${terms} `,
      strong,
      ".",
    );
  }

  const place = () => model.get("unit").map((at, axis) => Math.min(at, total.shape[axis] - 1));
  const go = (unit) => update(model, { unit });
  find("form").addEventListener("change", ({ target: { name, checked } }) => {
    update(model, { active: model.get("active").map((on, c) => (String(c) === name ? checked : on)) });
  });
  explore(stage, () => total, place, go);
  return keepPainted(model, NAMES, paint);
}

export default { render };
