// For the figures that draw arrays as grids of numbers; it stands before their own module.

const CELL = 20; // side of a cell in drawing units
const SHADES = 12; // of each sign

/** Draw `shape` = [rows, columns] empty cells into an SVG element: few elements, to be painted quickly. */
function grid(root, [rows, columns]) {
  const [height, width] = [rows * CELL, columns * CELL];
  const corner = (i) => [(i % columns) * CELL, Math.floor(i / columns) * CELL];
  const squares = (cells, pen = () => `h${CELL}v${CELL}h-${CELL}z`) =>
    cells.map((i) => `M${corner(i).join(" ")}${pen(i)}`).join("");
  const lines = [
    ...range(rows + 1).map((n) => `M0 ${n * CELL}h${width}`),
    ...range(columns + 1).map((n) => `M${n * CELL} 0v${height}`),
  ];
  set(root, { viewBox: `-2 -2 ${width + 4} ${height + 4}`, "aria-hidden": true });
  root.innerHTML = `<path class="cf-page" d="M0 0h${width}v${height}h-${width}z"/>`;
  const tints = ["cf-plus", "cf-minus"].map((name) =>
    Array.from({ length: SHADES }, (_, n) =>
      shape(root, "path", { class: `cf-tint ${name}`, "fill-opacity": ((n + 1) / SHADES) * 0.45 }),
    ),
  );
  shape(root, "path", { class: "cf-lines", d: lines.join("") });
  const numbers = shape(root, "g", {});
  return {
    shape: [rows, columns],
    count: rows * columns,
    /** Write numbers (null: an empty cell) in reading order, shaded against the largest size `reach`. */
    write(values, reach = Math.max(...values.map(Math.abs)) || 1) {
      const cells = tints.map((some) => some.map(() => []));
      const lines = Array.from({ length: rows }, () => []);
      values.forEach((value, i) => {
        if (value === null) return;
        const level = Math.ceil(Math.min(Math.abs(value) / reach, 1) * SHADES);
        if (level) cells[+(value < 0)][level - 1].push(i);
        const places = 3 - Math.abs(value).toFixed().length; // what fits a cell
        const shown = text(+value.toFixed(clamp(places, 0, 2)));
        const long = shown.length > 3 ? ' class="cf-long"' : "";
        lines[Math.floor(i / columns)].push(`<tspan x="${(i % columns + 0.5) * CELL}"${long}>${shown}</tspan>`);
      });
      numbers.innerHTML = lines.map((all, row) => `<text y="${(row + 0.5) * CELL}">${all.join("")}</text>`).join("");
      tints.forEach((some, sign) => some.forEach((tint, n) => set(tint, { d: squares(cells[sign][n]) })));
    },
    /** Draw what `pen` gives, a path from its corner, over each of some cells, under the numbers. */
    mark(name, cells, pen) {
      const drawn = root.querySelector(`.${name}`) ?? shape(root, "path", { class: name });
      numbers.before(set(drawn, { d: squares(cells, pen) }));
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
