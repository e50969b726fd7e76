const [ROW, TOP, SIDE] = [46, 38, 18]; // on the screen: from map to map, above the first, height of a cell
const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -99], End: [0, 99] };
const SLIDERS = [
  ["kernel size k", 1, 11],
  ["stride s", 1, 4],
  ["padding p", 0, 8],
  ["dilation d", 1, 8],
  ["input pixels", 1, 32],
];

const some = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** Each map, the input first, by the recurrences for field r, jump j and start. */
export function follow(size, layers) {
  const maps = [{ kind: "input", length: size, r: 1, j: 1, start: 0 }];
  for (const [kind, k, s, p, d] of layers) {
    const { length, r, j, start } = maps.at(-1);
    const units = Math.floor((length + 2 * p - d * (k - 1) - 1) / s) + 1;
    maps.push({ kind, k, s, p, d, length: units, r: r + d * (k - 1) * j, j: j * s, start: start - p * j });
  }
  return maps;
}

/** Middle of a unit's field, in pixels. */
const centre = ({ start, j, r }, unit) => start + unit * j + (r - 1) / 2;

/** From where to where the units of all maps lie, when each reaches so far from its centre. */
const extent = (maps, reach) => [
  Math.min(...maps.map((map) => centre(map, 0) - reach(map))),
  Math.max(...maps.map((map) => centre(map, map.length - 1) + reach(map))),
];

/** Why a stack can't be, or can't be drawn; else nothing. */
export function trouble(size, layers) {
  if (!layers.length) return "One layer must stay.";
  if (layers.length > 8) return "Eight layers are the most.";
  const maps = follow(size, layers);
  for (const [n, { kind, k, p, d, r }] of maps.entries()) {
    const [span, before] = [d * (k - 1) + 1, maps[n - 1]?.length];
    if (kind === "pool" && 2 * p > k) return `Layer ${n}: a pool's padding is at most half its kernel size.`;
    if (before + 2 * p < span) return `Layer ${n}: a window of ${span} does not fit ${some(before, "unit")} and padding ${p}.`;
    if (r > 999) return `Layer ${n}: its field is ${r} pixels wide; 999 can be drawn.`;
  }
  const [first, last] = extent(maps, () => 0);
  return last - first > 47 ? `The units are spread over ${last - first + 1} pixels; 48 can be drawn.` : "";
}

const taps = (units, { k, s, p, d }) =>
  [...new Set(units.flatMap((unit) => range(k).map((tap) => unit * s - p + tap * d)))].sort((a, b) => a - b);

/** What a unit reads in each map, from the input to its own: all places, and those that no border cuts off. */
export function trace(maps, [map, unit]) {
  let [all, read] = [[unit], [unit]];
  const found = [];
  for (let n = map; n >= 0; n--) {
    read = read.filter((at) => at >= 0 && at < maps[n].length);
    found.unshift({ all, read });
    if (n) [all, read] = [all, read].map((units) => taps(units, maps[n]));
  }
  return found;
}

/** How many pixels a unit of a map reads if no border cuts it, and how many of them its neighbour reads too. */
export function overlap(maps, map) {
  const { all } = trace(maps, [map, 0])[0];
  const own = new Set(all);
  return [all.length, all.filter((at) => own.has(at + maps[map].j)).length];
}

/** Places in words: 3 to 5; 2, 4, 6; 11 from 0 to 20. */
export function places(all) {
  const [first, last] = [text(all[0]), text(all.at(-1))];
  if (all.length > 1 && all.at(-1) - all[0] === all.length - 1) return `${first} to ${last}`;
  return all.length < 5 ? all.map(text).join(", ") || "none" : `${all.length} from ${first} to ${last}`;
}

/** What to say of a unit, and of its layer. */
export function tell(maps, [map, unit]) {
  const [{ kind, k, s, p, d, r, j, start }, old] = [maps[map], maps[map - 1]];
  const { all, read } = trace(maps, [map, unit])[0];
  const [count, shared] = overlap(maps, map);
  const from = start + unit * j;
  return [
    `Unit ${unit} of ${map ? `layer ${map}` : "the input"}: its field begins at start + unit · j = \
${text(start)} + ${unit}·${j} = ${text(from)} and ends at ${text(from + r - 1)}: r = ${r}\
${count < r ? `, with holes, ${count} of them read` : ""}. ${
      all.length > read.length
        ? `The border cuts off ${all.length - read.length} (hatched): it reads ${some(read.length, "pixel")}, ${places(read)}.`
        : "No border cuts it."
    }`,
    map
      ? `Layer ${map}, ${kind}: r = ${old.r} + ${d}·(${k} − 1)·${old.j} = ${r}; j = ${old.j}·${s} = ${j}; \
start = ${text(old.start)} − ${p}·${old.j} = ${text(start)}; neighbours share ${shared} of ${count} pixels: \
overlap ${text(shared / count)}.`
      : "",
  ];
}

const tile = (name, value, words) =>
  `<label class="cf-choice"><input type="radio" name="${name}" value="${value}"><span>${words}</span></label>`;
const PAGE = `<figure><form><div class="cft-both">
<div class="cft-stage" data-drive="keys" tabindex="0" role="application" aria-label="Arrow keys choose a map and its unit">
<svg data-drive="pointer" aria-hidden="true"></svg></div>
<table><thead><tr>${["layer", "k", "s", "p", "d", "units", "r", "j", "start", "overlap"]
  .map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead><tbody></tbody></table></div>
<ul><li><i></i>chosen unit (a click holds it)<li><i></i>units that it reads<li><i></i>pixels<li><i></i>cut off by a border</ul>
<div aria-live="polite"><p></p><p></p></div>
<fieldset><legend></legend><div class="cf-choices">${tile("kind", "conv", "conv")}${tile("kind", "pool", "pool")}
<button type="button">Add a layer after it</button><button type="button">Remove it</button></div>
<div class="cft-sliders">${SLIDERS.map(
  ([name, low, high], n) => `<label>${name} <b></b><input type="range" name="${n}" min="${low}" max="${high}"></label>`,
).join("")}</div></fieldset>
<p role="alert"></p></form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  prepare(el, "receptive-field-tracer", PAGE, model.get("caption"));
  const all = (selector) => el.querySelectorAll(selector);
  const [form, stage, svg, table, legend, alert] = all("form, .cft-stage, svg, tbody, legend, [role=alert]");
  let edited = model.get("layers").length; // the layer that the controls change
  let [width, held, drawn] = [600, false, ""];
  let maps, rows, low, scale; // of the drawing

  const look = () => ["size", "layers"].map((name) => model.get(name));
  const inside = ([map, unit], maps) => {
    const n = Math.min(map, maps.length - 1);
    return [n, clamp(unit, 0, maps[n].length - 1)];
  };
  const place = () => inside(model.get("unit"), maps);

  const go = (unit, changes) => update(model, { ...changes, unit });

  function change(size, layers, unit = place()) {
    const problem = trouble(size, layers);
    alert.textContent = problem && `${problem} Nothing is changed.`;
    if (!problem) go(inside(unit, follow(size, layers)), { size, layers });
    control();
  }

  /** Put so many layers for the edited one, and go to the middle of the last map. */
  function replace(layers, next) {
    const size = model.get("size");
    if (!trouble(size, layers)) edited = next;
    change(size, layers, [layers.length, (follow(size, layers).at(-1).length - 1) >> 1]);
  }

  function control() {
    const [size, layers] = look();
    edited = clamp(edited, 1, layers.length);
    const [kind, ...numbers] = layers[edited - 1];
    legend.textContent = `Change layer ${edited}`;
    for (const radio of all("[type=radio]")) radio.checked = [kind, `${edited}`].includes(radio.value);
    all("[type=range]").forEach((slider, n) => {
      slider.value = slider.previousElementSibling.textContent = [...numbers, size][n];
    });
  }

  const x = (pixel) => (pixel - low) * scale;
  const y = (n) => TOP + n * ROW;
  const half = ({ j }) => Math.min(j, 3) / 2; // of a cell's width, in pixels
  const sides = (n, unit) => [-1, 1].map((way) => x(centre(maps[n], unit) + way * half(maps[n])));
  const box = (n, unit) => {
    const [left, right] = sides(n, unit);
    return `M${left + 0.5} ${y(n)}H${right - 0.5}v${SIDE}H${left + 0.5}z`;
  };
  const hatch = (n, unit) => {
    const [left, right] = sides(n, unit);
    const strokes = range((right - left + SIDE) / 5 - 1).map((i) => {
      const at = left - SIDE + 5 * (i + 1);
      const [from, to] = [Math.max(left - at, 0), Math.min(right - at, SIDE)];
      return `M${at + from} ${y(n) + SIDE - from}l${to - from} ${from - to}`;
    });
    return box(n, unit) + strokes.join("");
  };
  const draw = (path, parts) => set(path, { d: parts.join("") });
  const path = (style) => shape(svg, "path", { class: `cft-${style}` });
  const label = (style, x, y) => shape(svg, "text", { class: `cft-${style}`, x, y });

  /** What stays while the unit moves: axis, cells, table. */
  function lay([size, layers]) {
    maps = follow(size, layers);
    const [units, fields] = [half, ({ r }) => r / 2].map((reach) => extent(maps, reach));
    low = Math.min(units[0], Math.max(fields[0], units[0] - 6));
    scale = width / (Math.max(units[1], Math.min(fields[1], units[1] + 6)) - low);
    svg.setAttribute("height", y(layers.length) + SIDE + 4);
    svg.replaceChildren();
    const step = scale < 9 ? 10 : 5;
    for (const n of range(size / step)) label("tick", x(n * step), 12).textContent = n * step;
    draw(path("border"), [-0.5, size - 0.5].map((at) => `M${x(at)} 18V${y(layers.length) + SIDE}`));
    rows = maps.map(({ length }, n) => {
      const window = path("window");
      draw(path("unit"), range(length).map((unit) => box(n, unit)));
      return { window, cut: path("cut"), read: path(n ? "read" : "pixel") };
    });
    rows.chosen = path("chosen");
    rows.forEach((row, n) => (row.label = label("label", 0, y(n) - 5)));
    if (table.rows.length !== maps.length) {
      table.innerHTML = maps.map((_, n) => `<tr><th scope="row">${n ? tile("layer", n, "") : "input"}</th>${"<td></td>".repeat(9)}</tr>`).join("");
    }
    maps.forEach(({ kind, k, s, p, d, length, r, j, start }, n) => {
      const [count, shared] = overlap(maps, n);
      const [head, ...cells] = table.rows[n].cells;
      if (n) head.querySelector("span").textContent = `${n} ${kind}`;
      [k, s, p, d, length, r, j, text(start), text(shared / count)].forEach((value, i) => (cells[i].textContent = value ?? ""));
    });
    control();
  }

  function paint() {
    const now = JSON.stringify([look(), width]);
    if (now !== drawn) lay(look());
    drawn = now;
    const unit = place();
    const found = trace(maps, unit);
    rows.forEach(({ window, cut, read, label }, n) => {
      const here = found[n] ?? { all: [], read: [] };
      const lost = here.all.filter((at) => !here.read.includes(at));
      const seen = lost.filter((at) => Math.abs(x(centre(maps[n], at))) < 2 * width);
      draw(read, here.read.map((at) => box(n, at)));
      draw(cut, seen.map((at) => hatch(n, at)));
      const words = here.all.length
        ? `: ${n ? "unit" : "pixel"}${here.read.length === 1 ? "" : "s"} ${places(here.read)}${lost.length ? `; ${lost.length} cut off` : ""}`
        : "";
      label.textContent = (n ? `Layer ${n}, ${maps[n].kind}` : "Input") + words;
      const above = found[n + 1]?.all;
      const hull = (n, units) => [sides(n, units[0])[0], sides(n, units.at(-1))[1]];
      const ends = above && [...hull(n, here.all), ...hull(n + 1, above)];
      draw(window, above ? [`M${ends[0]} ${y(n) + SIDE}H${ends[1]}L${ends[3]} ${y(n + 1)}H${ends[2]}z`] : []);
      table.rows[n].className = n === unit[0] ? "cft-here" : "";
    });
    draw(rows.chosen, [box(...unit)]);
    tell(maps, unit).forEach((words, n) => (all("[aria-live] p")[n].textContent = words));
  }

  const nearest = (n, pixel) => inside([n, Math.round((pixel - centre(maps[n], 0)) / maps[n].j)], maps);
  stage.addEventListener("keydown", (event) => {
    const [down, right] = KEYS[event.key] ?? [];
    if (event.altKey || event.metaKey || right === undefined) return;
    event.preventDefault();
    const [n, unit] = place();
    go(down ? nearest(clamp(n + down, 0, maps.length - 1), centre(maps[n], unit)) : inside([n, unit + right], maps));
  });
  const at = ({ clientX, clientY }) => {
    const { left, top } = svg.getBoundingClientRect();
    const n = clamp(Math.round((clientY - top - TOP - SIDE / 2) / ROW), 0, maps.length - 1);
    return nearest(n, (clientX - left) / scale + low);
  };
  svg.addEventListener("pointermove", (event) => (held && !event.buttons) || go(at(event)));
  svg.addEventListener("pointerdown", (event) => {
    held = event.pointerType === "mouse" && !held;
    go(at(event));
    edited = at(event)[0] || edited;
    control();
  });
  form.addEventListener("input", ({ target: { name, value } }) => {
    const [size, layers] = look();
    if (name === "layer") {
      edited = +value;
      control();
    } else if (name === "4") change(+value, layers);
    else {
      const own = name === "kind" ? layers[edited - 1].with(0, value) : layers[edited - 1].with(+name + 1, +value);
      change(size, layers.with(edited - 1, own));
    }
  });
  const [adding, removing] = all("button");
  adding.addEventListener("click", () => replace(model.get("layers").toSpliced(edited, 0, ["conv", 3, 1, 1, 1]), edited + 1));
  removing.addEventListener("click", () => replace(model.get("layers").toSpliced(edited - 1, 1), edited));

  const stop = keepPainted(model, ["size", "layers", "unit"], paint);
  const watch = new ResizeObserver(([{ contentRect }]) => {
    width = contentRect.width || width;
    paint();
  });
  watch.observe(stage);
  return () => {
    stop();
    watch.disconnect();
  };
}

export default { render };
