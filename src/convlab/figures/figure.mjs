// What every figure uses; it stands before its own module.

/** The integers from 0 up to `count`, not included. */
const range = (count) => [...Array(Math.max(Math.ceil(count), 0)).keys()];

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
  const note = find("figcaption");
  note.textContent = caption;
  for (const part of el.querySelectorAll("[role=application]")) part.ariaDescribedByElements = [note];
  find("form").onsubmit = () => false;
  return find;
}

/** Paint now, and once per frame when one of these traits has changed; return what ends this. */
function keepPainted(model, names, paint) {
  let waiting;
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

/** Where a key takes you from [row, column] of a grid, with Shift faster; undefined if it is no key for this. */
export function moved({ key, altKey, ctrlKey, metaKey, shiftKey }, place, [rows, columns]) {
  if (altKey || metaKey) return undefined;
  const far = shiftKey ? Math.ceil(Math.max(rows, columns) / 10) : 1;
  const step = {
    ArrowUp: [-far, 0],
    ArrowDown: [far, 0],
    ArrowLeft: [0, -far],
    ArrowRight: [0, far],
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
  for (const kind of ["pointermove", "pointerdown"]) stage.addEventListener(kind, (event) => go(drawn().cellAt(event)));
}
