const LEVELS = 128;
const SIDE = 224; // of a drawn picture
const MARGIN = 20; // around it, for numbers and for a field that reaches beyond
const WHOLE = SIDE + 2 * MARGIN;
const VIEW = [-MARGIN, -MARGIN, WHOLE, WHOLE];
const GREY = "000000 ffffff";
const PURPLE_ORANGE = "2d004b 532687 8073ac b1aad1 d8daeb f7f7f6 fee0b6 fcb761 e08214 b25706 7f3b08";

/** A unit's field as [top, left, bottom, right], ends not included: all of it, and the part on the photo. */
export function region({ start, jump, size, rows, columns }, [row, column]) {
  const [top, left] = [start[0] + row * jump[0], start[1] + column * jump[1]];
  const [from, to] = [0, 1].map((end) => [rows[row][end], columns[column][end]]);
  return { whole: [top, left, top + size[0], left + size[1]], seen: [...from, ...to] };
}

/** The unit of a map of `shape` whose field has its centre nearest to a point of the photo. */
export function unitAt({ start, jump, size }, point, shape) {
  return [0, 1].map((axis) => {
    const place = (point[axis] - start[axis] - size[axis] / 2) / jump[axis];
    return clamp(Math.round(place), 0, shape[axis] - 1);
  });
}

/** The value that a stored level stands for, with no more digits than the levels resolve. */
export function valueAt(level, [low, high]) {
  const step = (high - low) / LEVELS;
  const digits = Math.max(0, Math.ceil(-Math.log10(step)) - 1);
  return (low + level * step).toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace("-", "");
}

/** What the figure says about a unit, in three parts: which map, which unit, what it sees. */
export function describe(photo, layer, map, unit, level, [height, width]) {
  const { whole, seen } = region(layer.field, unit);
  const [top, left, bottom, right] = seen;
  const extent = ([t, l, b, r]) => `${b - t}×${r - l}`;
  const range = (name, from, end) => (end > from + 1 ? `${name}s ${from}–${end - 1}` : `${name} ${from}`);
  const all = seen.join() === [0, 0, height, width].join();
  const part = `${range("row", top, bottom)}, ${range("column", left, right)} of the photo (${extent(seen)})`;
  const rest = extent(whole) === extent(seen) ? "" : `; its field of ${extent(whole)} reaches beyond, into padding`;
  return [
    `${photo}, layer ${layer.name} (${layer.count} maps of ${layer.shape.join("×")}), map ${map.channel}, `,
    `unit (${unit.join(", ")}): value ${valueAt(level, map.scale)}`,
    `; sees ${all ? "the whole photo" : part}${rest}.`,
  ];
}

/** 129 colours as pixels: black to white from 0 up, or purple to orange with 0 in the middle. */
function palette([low]) {
  const stops = (low < 0 ? PURPLE_ORANGE : GREY).split(" ").map((stop) => parseInt(stop, 16));
  return Array.from({ length: LEVELS + 1 }, (_, level) => {
    const place = (level / LEVELS) * (stops.length - 1);
    const before = Math.min(Math.floor(place), stops.length - 2);
    const [red, green, blue] = [16, 8, 0].map((shift) => {
      const [a, b] = [stops[before], stops[before + 1]].map((stop) => (stop >> shift) & 255);
      return Math.round(a + (b - a) * (place - before));
    });
    return (255 << 24) | (blue << 16) | (green << 8) | red;
  });
}

function draw(canvas, levels, [height, width], scale) {
  const colours = palette(scale);
  const pixels = Int32Array.from(levels, (level) => colours[level]);
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width), 0, 0);
}

function copy(canvas, image) {
  Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext("2d").drawImage(image, 0, 0);
}

async function load(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

/** The levels that an image stores as shades of grey. */
async function loadLevels(url) {
  const canvas = document.createElement("canvas");
  copy(canvas, await load(url));
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Uint8Array.from({ length: data.length / 4 }, (_, i) => Math.min(data[4 * i], LEVELS));
}

/** A projection, drawn: from −1 to 1. */
async function loadView(url) {
  const { width, height } = await load(url);
  const canvas = document.createElement("canvas");
  draw(canvas, await loadLevels(url), [height, width], [-1, 1]);
  return canvas;
}

/** A tile of a radio group: a picture and the value, or the value and a note. */
function choice(name, value, note = "") {
  const tile = document.createElement("label");
  tile.className = "cf-choice";
  tile.innerHTML = `<input type="radio" name="${name}"><span>${note ? "" : "<canvas></canvas>"}</span><small></small>`;
  const [input, face, small] = tile.children;
  input.value = value;
  small.textContent = note;
  const parts = String(value).split(/(?<=\.)/); // a long path may break after a dot
  face.append(...parts.flatMap((part) => [part, document.createElement("wbr")]), small);
  return tile;
}

const PAGE = `
<figure><form>
<div class="cfb-controls">
  <fieldset class="cfb-photo"><legend>Photo</legend><div class="cf-choices"></div></fieldset>
  <fieldset class="cfb-layer"><legend>Layer, shallow to deep (maps × height × width)</legend>
    <div class="cf-choices"></div></fieldset>
</div>
<div class="cfb-panels">
  <div>
    <div class="cf-title"><i></i>Input: <b></b></div>
    <div class="cfb-stage"><canvas></canvas><svg viewBox="${VIEW}" aria-hidden="true">
      <path class="cfb-dim" fill-rule="evenodd"/><rect class="cfb-beyond"/>
      <rect class="cfb-edge"/><rect class="cfb-casing"/><rect class="cfb-field"/></svg></div>
    <label class="cfb-view"><input type="checkbox" name="view"> <span></span></label>
  </div>
  <div>
    <div class="cf-title"><i></i>Output: <b></b></div>
    <div class="cfb-stage" data-drive="keys" tabindex="0" role="application"
      aria-label="Feature map: arrow keys move the unit, with Shift faster; Home and End: ends of the row">
      <canvas class="cfb-pixels"></canvas><svg viewBox="${VIEW}" aria-hidden="true" data-drive="pointer">
      <path class="cfb-guide"/><text text-anchor="end" dominant-baseline="central"/><text text-anchor="middle"/>
      <rect class="cfb-edge"/><rect class="cfb-casing"/><rect class="cfb-unit"/></svg></div>
    <div class="cfb-legend"><span></span><div><i></i><canvas></canvas><b>0</b></div><span></span>
      <button type="button">Strongest unit</button></div>
  </div>
</div>
<div class="cfb-readout">
  <canvas class="cfb-patch" width="96" height="96"></canvas>
  <p aria-live="polite"></p>
</div>
<fieldset class="cfb-map"><legend></legend><div class="cf-choices"></div></fieldset>
</form><figcaption></figcaption></figure>`;

async function render({ model, el }) {
  const { size, photos, layers, rule } = model.get("content");
  const all = (list, get) => Promise.all(list.map(get));
  const [images, levels, views] = await Promise.all([
    all(photos, (photo) => load(photo.image)),
    all(layers, (layer) => loadLevels(layer.levels)),
    all(layers, ({ maps }) => all(maps, ({ views = [] }) => all(views, loadView))), // [layer][map][photo]
  ]);

  const find = prepare(el, "feature-map-browser", PAGE, model.get("caption"));
  const [photoStage, mapStage] = el.querySelectorAll(".cfb-stage");
  const titles = el.querySelectorAll(".cf-title b");

  /** Everything about a selection that the drawing needs. */
  function look({ photo, layer, map, unit, view } = model.get("selection")) {
    const p = photos.findIndex(({ name }) => name === photo);
    const l = layers.findIndex(({ name }) => name === layer);
    const m = layers[l].maps.findIndex(({ channel }) => channel === map);
    const [rows, columns] = layers[l].shape;
    const plane = (k) => {
      const from = (p * layers[l].maps.length + k) * rows * columns;
      return levels[l].subarray(from, from + rows * columns);
    };
    const level = plane(m)[unit[0] * columns + unit[1]];
    const projection = view && views[l][m][p];
    return { p, l, m, unit, layer: layers[l], map: layers[l].maps[m], plane, level, projection };
  }

  function select(change) {
    const now = model.get("selection");
    update(model, { selection: { ...now, ...change } });
  }

  let drawn = {};
  const chosen = {}; // the map that the reader last saw of each layer
  function paint() {
    const { p, l, m, unit, layer, map, plane, level, projection } = look();
    const { shape, maps } = layer;
    const picture = projection || images[p];
    if (picture !== drawn.picture) {
      copy(photoStage.querySelector("canvas"), picture);
      titles[0].textContent = `${photos[p].name}, ${projection ? "projection" : `${size.join("×")} pixels`}`;
      el.querySelectorAll("[name=view]").forEach((box) => (box.checked = Boolean(projection)));
    }
    if (l !== drawn.l) {
      find(".cfb-map legend").textContent = `Maps: ${maps.length} of the layer’s ${layer.count}`;
      find(".cfb-map .cf-choices").replaceChildren(...maps.map(({ channel }) => choice("map", channel)));
    }
    const others = p !== drawn.p || l !== drawn.l;
    if (others) {
      el.querySelectorAll(".cfb-map canvas").forEach((canvas, k) => draw(canvas, plane(k), shape, maps[k].scale));
    }
    if (others || m !== drawn.m) {
      draw(mapStage.querySelector("canvas"), plane(m), shape, map.scale);
      draw(find(".cfb-legend canvas"), Array(LEVELS + 1).keys(), [1, LEVELS + 1], map.scale);
      const ends = el.querySelectorAll(".cfb-legend span");
      ends.forEach((end, i) => (end.textContent = valueAt(i * LEVELS, map.scale)));
      find(".cfb-legend b").hidden = map.scale[0] === 0;
      titles[1].textContent = `map ${map.channel}, ${shape.join("×")} units`;
      Object.entries({ photo: p, layer: l, map: m }).forEach(([name, i]) => {
        el.querySelectorAll(`[name=${name}]`)[i].checked = true;
      });
    }
    drawn = { p, l, m, picture };
    chosen[layer.name] = map;
    paintUnit(unit, layer);
    find(".cfb-legend i").style.left = `${(level / LEVELS) * 100}%`;
    const [where, which, sees] = describe(photos[p].name, layer, map, unit, level, size);
    const strong = document.createElement("b");
    strong.textContent = which;
    const instead = projection ? ` The photo is covered by the projection of the map’s strongest unit (${rule}).` : "";
    find("[aria-live]").replaceChildren(where, strong, sees, instead);
    paintPatch(picture, region(layer.field, unit).whole);
  }

  const place = (stage, names, x, y, width, height) =>
    names.forEach((name) => set(stage.querySelector(`.cfb-${name}`), { x, y, width, height }));

  function paintUnit(unit, { field, shape }) {
    const { whole, seen } = region(field, unit);
    const box = ([top, left, bottom, right]) => [left, top, right - left, bottom - top];
    const scaled = (box) => box.map((pixels, i) => (pixels * SIDE) / size[1 - (i % 2)]);
    const [x, y, width, height] = scaled(box(seen));
    place(photoStage, ["beyond"], ...scaled(box(whole)));
    place(photoStage, ["edge", "casing", "field"], x, y, width, height);
    const hole = `M${x} ${y}h${width}v${height}h${-width}z`;
    set(find(".cfb-dim"), { d: `M0 0h${SIDE}v${SIDE}h${-SIDE}z${hole}` });

    const [row, column] = unit.map((i, axis) => ((i + 0.5) * SIDE) / shape[axis]);
    const [high, wide] = shape.map((count) => Math.max(SIDE / count, 6));
    place(mapStage, ["edge", "casing", "unit"], column - wide / 2, row - high / 2, wide, high);
    set(find(".cfb-guide"), { d: `M${column} -4V0M-4 ${row}H0` });
    const numbers = mapStage.querySelectorAll("text");
    numbers.forEach((number, axis) => (number.textContent = unit[axis]));
    set(numbers[0], { x: -5, y: row });
    set(numbers[1], { x: column, y: -7 });
  }

  function paintPatch(image, [top, left, bottom, right]) {
    const canvas = find(".cfb-patch");
    const context = canvas.getContext("2d");
    const scale = canvas.width / Math.max(bottom - top, right - left);
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, -left * scale, -top * scale, size[1] * scale, size[0] * scale);
  }

  /** Go to the same place in another layer: in the map last seen there, or the one that answers most. */
  function selectLayer(layer) {
    const now = look();
    const [top, left, bottom, right] = region(now.layer.field, now.unit).whole;
    const unit = unitAt(layer.field, [(top + bottom) / 2, (left + right) / 2], layer.shape);
    const there = (map) => ({ ...model.get("selection"), layer: layer.name, map: map.channel, unit });
    const [first] = layer.maps.slice().sort((a, b) => look(there(b)).level - look(there(a)).level);
    select(there(chosen[layer.name] ?? first));
  }

  find("form").addEventListener("change", ({ target: { name, value, checked } }) => {
    if (name === "view") select({ view: checked });
    if (name === "photo") select({ photo: value });
    if (name === "map") select({ map: Number(value) });
    if (name === "layer") selectLayer(layers.find((layer) => layer.name === value));
  });
  find("button").addEventListener("click", () => {
    const { layer, plane, m } = look();
    const best = plane(m).indexOf(Math.max(...plane(m)));
    select({ unit: [Math.floor(best / layer.shape[1]), best % layer.shape[1]] });
  });

  /** Explore a picture; `toUnit` takes a place in it, from 0 to 1, of a layer. */
  function drive(stage, toUnit) {
    const cellAt = ({ clientX, clientY }) => {
      const { left, top, width, height } = stage.getBoundingClientRect();
      const at = [(clientY - top) / height, (clientX - left) / width];
      return toUnit(at.map((part) => (part * WHOLE - MARGIN) / SIDE), look().layer);
    };
    const drawn = () => ({ shape: look().layer.shape, cellAt });
    explore(stage, drawn, () => look().unit, (unit) => select({ unit }));
  }
  drive(mapStage, (at, { shape }) => shape.map((count, axis) => clamp(Math.floor(at[axis] * count), 0, count - 1)));
  drive(photoStage, (at, { field, shape }) => unitAt(field, [at[0] * size[0], at[1] * size[1]], shape));

  find(".cfb-view span").textContent = `Projection of the strongest unit (${rule})`;
  if (!rule) find(".cfb-view").remove();
  find(".cfb-photo .cf-choices").append(...photos.map(({ name }) => choice("photo", name)));
  el.querySelectorAll(".cfb-photo canvas").forEach((canvas, i) => copy(canvas, images[i]));
  find(".cfb-layer .cf-choices").append(
    ...layers.map(({ name, count, shape }) => choice("layer", name, [count, ...shape].join("×"))),
  );
  return keepPainted(model, ["selection"], paint);
}

export default { render };
