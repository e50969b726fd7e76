// For the figures that draw arrays as grids of numbers; it stands before their own module.

const CELL = 20; // side of a cell in drawing units

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const set = (element, attributes) => {
  for (const pair of Object.entries(attributes)) element.setAttribute(...pair);
  return element;
};

/** Append a shape to an SVG element. */
const shape = (root, name, attributes) =>
  root.appendChild(set(document.createElementNS(root.namespaceURI, name), attributes));

/** A number with at most two decimals and a true minus sign. */
export const text = (value) => String(Math.round(value * 100) / 100).replace("-", "−");

/** Make `el` the figure `name` with this page of HTML; return a way to find its parts. */
function prepare(el, name, page, caption) {
  el.classList.add("convlab-figure");
  el.dataset.convlabFigure = name;
  el.dataset.lmSuppressShortcuts = "true"; // the arrow keys are ours, not JupyterLab's
  el.innerHTML = page;
  const find = (selector) => el.querySelector(selector);
  find("figcaption").textContent = caption;
  find("form").addEventListener("submit", (event) => event.preventDefault());
  return find;
}

/** Paint now, and once per frame when one of these traits has changed; return what ends this. */
function keepPainted(model, names, paint) {
  let waiting = 0;
  const schedule = () => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      paint();
    });
  };
  for (const name of names) model.on(`change:${name}`, schedule);
  paint();
  return () => {
    for (const name of names) model.off(`change:${name}`, schedule);
    cancelAnimationFrame(waiting);
  };
}

/** Set traits that differ from what they are. */
function update(model, changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (JSON.stringify(value) !== JSON.stringify(model.get(name))) model.set(name, value);
  }
  model.save_changes();
}

/** Where a key takes you from [row, column] of a grid; undefined if it is no key for this. */
export function moved({ key, altKey, ctrlKey, metaKey }, place, [rows, columns]) {
  if (altKey || metaKey) return undefined;
  const step = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    Home: [ctrlKey ? -rows : 0, -columns],
    End: [ctrlKey ? rows : 0, columns],
  }[key];
  return step && place.map((at, axis) => clamp(at + step[axis], 0, [rows, columns][axis] - 1));
}

/** Call `go` with the cell [row, column] that a key, or the pointer, or a finger goes to in a grid. */
function explore(stage, drawn, place, go) {
  stage.addEventListener("keydown", (event) => {
    const next = moved(event, place(), drawn().shape);
    if (!next) return;
    event.preventDefault();
    go(next);
  });
  const follow = (event) => go(drawn().cellAt(event));
  stage.addEventListener("pointermove", follow);
  stage.addEventListener("pointerdown", follow);
}

/** Draw `shape` = [rows, columns] empty cells into an SVG element, quickly if most stood there before. */
function grid(root, [rows, columns]) {
  const before = root.standing ?? new Map();
  const stage = root.querySelector(".cf-cells") ?? shape(root, "g", { class: "cf-cells" });
  set(root, { viewBox: `-2 -2 ${columns * CELL + 4} ${rows * CELL + 4}`, "aria-hidden": true });
  for (const other of [...root.children]) other === stage || other.remove();
  root.standing = new Map();
  for (let i = 0; i < rows * columns; i++) {
    const [y, x] = [Math.floor(i / columns) * CELL, (i % columns) * CELL];
    const at = `${x},${y}`;
    let cell = before.get(at);
    if (!before.delete(at)) {
      const box = shape(stage, "g", {});
      const [face, tint] = ["cf-cell", "cf-tint"].map((name) =>
        shape(box, "rect", { class: name, x, y, width: CELL, height: CELL }),
      );
      cell = { box, face, tint, label: shape(box, "text", { x: x + CELL / 2, y: y + CELL / 2 }) };
    }
    root.standing.set(at, cell);
  }
  for (const { box } of before.values()) box.remove();
  const cells = [...root.standing.values()];
  return {
    shape: [rows, columns],
    cells,
    /** Write numbers (null: an empty cell) in reading order, shaded against the largest size `reach`. */
    write(values, reach = Math.max(...values.map(Math.abs)) || 1) {
      values.forEach((value, i) => {
        const { tint, label } = cells[i];
        const places = 3 - Math.abs(value).toFixed().length; // what fits a cell
        const shown = value === null ? "" : text(+value.toFixed(clamp(places, 0, 2)));
        if (label.textContent !== shown) label.textContent = shown;
        label.classList.toggle("cf-long", shown.length > 3);
        tint.classList.toggle("cf-minus", value < 0);
        tint.style.fillOpacity = Math.min(Math.abs(value ?? 0) / reach, 1) * 0.45;
        tint.style.display = value ? "" : "none"; // painting takes most of the time
      });
    },
    /** Give cells, in reading order, a class or none, beside their own. */
    mark(classes) {
      classes.forEach((name, i) => set(cells[i].face, { class: `cf-cell ${name ?? ""}` }));
    },
    /** Outline the cells [top, left, bottom, right], ends not included; without a box, nothing. */
    outline(name, box) {
      const frame = root.querySelector(`.${name}`);
      if (!box) return frame?.remove();
      const [y, x, bottom, right] = box.map((side) => side * CELL);
      const drawn = frame ?? shape(root, "rect", { class: `cf-frame ${name}` });
      return set(drawn, { x, y, width: right - x, height: bottom - y });
    },
    /** The cell under the pointer, or the nearest. */
    cellAt({ clientX, clientY }) {
      const { left, top, width, height } = root.getBoundingClientRect();
      const at = [(clientY - top) / height, (clientX - left) / width];
      return [rows, columns].map((count, axis) => {
        const units = at[axis] * (count * CELL + 4) - 2;
        return clamp(Math.floor(units / CELL), 0, count - 1);
      });
    },
  };
}
