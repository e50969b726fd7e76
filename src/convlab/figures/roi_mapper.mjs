const TRAITS = ["box", "stride", "bins", "bin"];
const BINS = 7; // a side of the output has at most as many
const LEAST = 20; // pixels of a side of the box: less could round to a cell outside of the map
const SIDES = ["left", "top", "right", "bottom"];

const sum = (values) => values.reduce((all, value) => all + value, 0);

/** The nearest integer, and of two the larger: C's `round` where nothing is negative. */
const round = (number) => Math.floor(number) + (number % 1 >= 0.5);

/** Cells of the map at the corners of a box. */
export const project = (box, stride) => box.map((number) => round(number / stride));

/** Bins of whole cells, from `first` to `last` included, cut to a map of `size`: [start, stop] of each. */
export function cut(first, last, count, size) {
  const cells = last - first + 1;
  return range(count).map((i) =>
    [Math.floor((i * cells) / count), Math.ceil(((i + 1) * cells) / count)].map((at) => Math.min(first + at, size)),
  );
}

/** RoI max pooling of a map [height, width, values]: the bins of columns and of rows, and the values. */
export function pool([height, width, values], box, stride, count) {
  const [x1, y1, x2, y2] = project(box, stride);
  const [columns, rows] = [cut(x1, x2, count, width), cut(y1, y2, count, height)];
  const pooled = rows.flatMap((down) =>
    columns.map((across) => {
      const lines = range(height).slice(...down);
      const read = lines.flatMap((row) => values.slice(row * width).slice(...across));
      return read.length ? Math.max(...read) : 0;
    }),
  );
  return { columns, rows, values: pooled };
}

/** Sample points in each bin of one axis, in pixels. */
export function points(from, to, stride, count) {
  const side = (to - from) / count;
  const samples = Math.ceil(side / stride);
  return range(count).map((bin) => range(samples).map((n) => from + (bin + (n + 0.5) / samples) * side));
}

/** RoIAlign: the sample points of columns and of rows, and the values. */
export function align([height, width, values], [x1, y1, x2, y2], stride, count) {
  const [columns, rows] = [points(x1, x2, stride, count), points(y1, y2, stride, count)];
  const near = (pixel, size) => {
    const at = clamp(pixel / stride - 0.5, 0, size - 1);
    const low = Math.floor(at);
    return [[low, 1 - at + low], [Math.min(low + 1, size - 1), at - low]];
  };
  const sample = (y, x) => {
    const parts = near(y, height).flatMap(([row, down]) =>
      near(x, width).map(([column, across]) => down * across * values[row * width + column]),
    );
    return sum(parts);
  };
  const mean = (parts) => sum(parts) / parts.length;
  const aligned = rows.flatMap((ys) => columns.map((xs) => mean(ys.flatMap((y) => xs.map((x) => sample(y, x))))));
  return { columns, rows, values: aligned };
}

/** All that the figure shows of a box; pixels as [left, top, right, bottom]. */
export function survey({ photo, box, stride, bins, bin }) {
  const [pooled, aligned] = [pool, align].map((how) => how(photo.maps[stride], box, stride, bins));
  const axes = [pooled.columns, pooled.rows];
  const covered = [0, 1].flatMap((end) => axes.map((axis) => axis.at(-end)[end] * stride));
  const read = axes.map((axis, n) => axis[bin[1 - n]]);
  const centre = (n) => box[n] + ((bin[1 - n] + 0.5) * (box[n + 2] - box[n])) / bins;
  return {
    region: project(box, stride),
    pooled,
    aligned,
    covered,
    off: covered.map((pixel, n) => pixel - box[n]),
    read,
    shift: read.map((ends, n) => (sum(ends) / 2) * stride - centre(n)),
  };
}

const signed = (value) => (value > 0 ? "+" : "") + text(value);

/** What the figure says: about the box, and about a bin. */
function describe({ box, stride, bin, bins }, { region, pooled, aligned, covered, off, read, shift }) {
  const [wide, tall] = read.map(([start, stop]) => stop - start);
  const [ys, xs] = [aligned.rows, aligned.columns].map((axis) => axis[0].length);
  const [most, mean] = [pooled, aligned].map(({ values }) => text(values[bin[0] * bins + bin[1]]));
  const rounding = wide * tall
    ? `rounding takes the largest of ${wide}×${tall} cells, ${most}, whose middle is off by ${signed(shift[0])} pixels across, ${signed(shift[1])} down`
    : "rounding finds no cell and gives 0";
  return [
    `Box (${box.join(", ")}), stride ${stride}. On the map, rounded: (${region.join(", ")}), pixels ${covered[0]} to ${covered[2]} across, ${covered[1]} to ${covered[3]} down; edges off by up to ${Math.max(...off.map(Math.abs))} pixels, with RoIAlign by 0.`,
    `Bin (${bin.join(", ")}): ${rounding}. RoIAlign takes the mean of ${xs}×${ys} samples around the bin's own middle, ${mean}.`,
  ];
}

const field = (name, high, low = 0) =>
  `<input type="number" min="${low}" max="${high}" required aria-label="${name}">`;
const choice = (value) => `<option>${value}</option>`;
const line = (name) => `<tr><th scope="row">${name}</th>${"<td></td>".repeat(4)}</tr>`;
const grips = [0, 2].flatMap((x) => [1, 3].map((y) => `<circle r="13" data-grip="${x}${y}"/>`));
const stage = (title, words, drawing) =>
  `<div><div class="cf-title">${title}</div><div class="cfm-stage" tabindex="0" role="application" ${words}>${drawing}</svg></div></div>`;
const output = (name) => `<div><div class="cf-title">${name}</div><table class="cfm-output"></table></div>`;
const PAGE = `<figure><form>
<div class="cfm-controls"><label>stride of the map <select>${[8, 16, 32].map(choice).join("")}</select></label>
<label>bins per side ${field("bins", BINS, 1)}</label></div>
<div class="cfm-panels">
${stage("Photo: drag the box or its corners", 'data-drive="keys" aria-label="Box: arrow keys move it"', `<svg aria-hidden="true"><image/><path class="cfm-lattice"/>
<path class="cfm-rounded"/><path class="cfm-body" data-grip=""/>${grips.join("")}`)}
${stage("Map: point at a bin", 'aria-label="Bins: arrow keys choose one"', `<canvas></canvas><svg aria-hidden="true" data-drive="pointer">
<path class="cfm-chosen"/><path class="cfm-rounded"/><path class="cfm-exact"/><path class="cfm-dots"/>`)}
</div>
<p class="cfm-key">${["the box", "after rounding", "what rounding reads in the bin", "samples of RoIAlign"].map((name) => `<span><i></i>${name}</span>`).join(" ")}</p>
<div class="cfm-panels">
<div><table><caption class="cf-title">From the box to cells and back to pixels</caption>
<thead><tr><td></td>${SIDES.map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead>
<tbody>${["box, pixels", "÷ stride, cells", "rounded, cells", "in pixels", "off by"].map(line).join("")}</tbody></table><p role="alert"></p></div>
<div class="cfm-outputs">${["RoI max pooling", "RoIAlign"].map(output).join("")}</div>
</div>
<div aria-live="polite"><p></p><p></p></div></form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  const find = prepare(el, "roi-mapper", PAGE, model.get("caption"));
  const all = (part) => [...el.querySelectorAll(part)];
  const photo = model.get("photo");
  const [height, width] = photo.size;
  const [stages, paths, lives] = [".cfm-stage", ".cfm-stage path", "[aria-live] p"].map(all);
  const [[picture, plan], outputs, rows] = ["svg", ".cfm-output", "tbody tr"].map(all);
  const [note, canvas, select] = ["[role=alert]", "canvas", "select"].map(find);
  for (const svg of [picture, plan]) set(svg, { viewBox: `0 0 ${width} ${height}` });
  set(find("image"), { href: photo.image, width, height });
  SIDES.forEach((name, n) => (rows[0].cells[n + 1].innerHTML = field(name, n % 2 ? height : width)));
  const fields = all("input");
  let stride;

  /** Draw the map of another stride. */
  function build() {
    const [tall, wide, values] = photo.maps[stride];
    Object.assign(canvas, { width: wide, height: tall });
    const pixels = new ImageData(wide, tall);
    values.forEach((value, i) => pixels.data.set([value, value, value, 255], 4 * i));
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    const lines = [...range(tall).map((n) => `M0 ${n * stride}h${width}`), ...range(wide).map((n) => `M${n * stride} 0v${height}`)];
    set(paths[0], { d: lines.join("") });
  }

  function paint() {
    const state = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
    const { box, bins, bin } = state;
    if (state.stride !== stride) {
      stride = state.stride;
      build();
    }
    const seen = survey({ photo, ...state });
    const { region, covered, off, pooled, aligned, read } = seen;
    const frame = ([left, top, right, bottom]) => `M${left} ${top}H${right}V${bottom}H${left}z`;
    const cells = ([left, right], [top, bottom]) => frame([left, top, right, bottom].map((at) => at * stride));
    const stepped = pooled.rows.flatMap((down) => pooled.columns.map((across) => cells(across, down))).join("");
    const at = (n, axis) => box[axis] + (n * (box[axis + 2] - box[axis])) / bins;
    const cuts = range(bins).map((n) => `M${at(n, 0)} ${box[1]}V${box[3]}M${box[0]} ${at(n, 1)}H${box[2]}`);
    const exact = frame(box) + cuts.join("");
    const dots = aligned.rows[bin[0]].flatMap((y) => aligned.columns[bin[1]].map((x) => `M${x} ${y}h0`));
    const drawings = [frame(covered), frame(box), cells(...read), stepped, exact, dots.join("")];
    drawings.forEach((d, n) => set(paths[n + 1], { d }));
    for (const one of all("circle")) {
      const [cx, cy] = [...one.dataset.grip].map((n) => box[n]);
      set(one, { cx, cy });
    }
    SIDES.forEach((_, n) => {
      const told = [text(box[n] / stride), region[n], covered[n], signed(off[n])];
      told.forEach((words, row) => (rows[row + 1].cells[n + 1].textContent = words));
    });
    [pooled, aligned].forEach(({ values }, n) => {
      const cell = (value, i) => `<td${i === bin[0] * bins + bin[1] ? ' class="cfm-at"' : ""}>${Math.round(value)}`;
      const cells = values.map((value, i) => (i % bins ? "" : "<tr>") + cell(value, i));
      outputs[n].innerHTML = cells.join("");
    });
    select.value = stride;
    [bins, ...box].forEach((value, n) => (fields[n].value = value));
    note.textContent = "";
    describe(state, seen).forEach((words, n) => (lives[n].textContent = words));
  }

  const pixelAt = (svg, { clientX, clientY }) => {
    const { left, top, width: wide, height: tall } = svg.getBoundingClientRect();
    return [Math.round(((clientX - left) / wide) * width), Math.round(((clientY - top) / tall) * height)];
  };
  /** Move some numbers of a box by this much, no further than the photo and its least size allow. */
  function change(box, step, which = "0123") {
    const next = box.map((number, n) => {
      const [low, high] = [0, 2].map((end) => which.includes((n % 2) + end));
      const [from, to] = [box[n % 2], box[(n % 2) + 2]];
      const least = low ? -from : from + LEAST - to;
      const most = high ? [width, height][n % 2] - to : to - LEAST - from;
      return which.includes(n) ? number + clamp(step[n % 2], least, most) : number;
    });
    update(model, { box: next });
  }

  let drag;
  picture.addEventListener("pointerdown", (event) => {
    const { grip } = event.target.dataset;
    if (grip === undefined || event.button) return;
    drag = [model.get("box"), pixelAt(picture, event), grip || undefined];
    picture.setPointerCapture(event.pointerId);
  });
  picture.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [box, from, which] = drag;
    const to = pixelAt(picture, event);
    change(box, [to[0] - from[0], to[1] - from[1]], which);
  });
  for (const end of ["pointerup", "pointercancel"]) picture.addEventListener(end, () => (drag = undefined));
  const onKeys = (stage, go) =>
    stage.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
      if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(step);
    });
  const go = (bin) => update(model, { bin: bin.map((at) => clamp(at, 0, model.get("bins") - 1)) });
  onKeys(stages[0], (step) => change(model.get("box"), step));
  onKeys(stages[1], ([x, y]) => go([model.get("bin")[0] + y, model.get("bin")[1] + x]));
  const point = (event) => {
    const [box, pixel] = [model.get("box"), pixelAt(plan, event)];
    const share = (n) => (pixel[n] - box[n]) / (box[n + 2] - box[n]);
    go([share(1), share(0)].map((at) => Math.floor(at * model.get("bins"))));
  };
  for (const kind of ["pointermove", "pointerdown"]) plan.addEventListener(kind, point);

  find("form").addEventListener("input", () => {
    const [bins, ...box] = fields.map((part) => part.valueAsNumber);
    const small = box[2] - box[0] < LEAST || box[3] - box[1] < LEAST;
    if (small || fields.some((part) => !part.validity.valid)) {
      return (note.textContent = `1 to ${BINS} bins; the box at least ${LEAST}×${LEAST} whole pixels, on the photo of ${width}×${height}.`);
    }
    const bin = model.get("bin").map((at) => Math.min(at, bins - 1));
    update(model, { box, bins, bin, stride: +select.value });
  });
  find("form").addEventListener("focusout", paint);
  return keepPainted(model, TRAITS, paint);
}

export default { render };
