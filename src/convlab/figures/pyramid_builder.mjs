const TRAITS = ["box", "k0", "size", "top_down", "cell", "maps"];
const LEVELS = [2, 3, 4, 5];
const LEAST = 4; // pixels of a side of the box
const GRIP = 28; // radius of its corners, and room around the picture
// The maps show 96 pixels, 3 units of C5 in a row: they hold all that flows into a unit in the middle one.
const [PLATE, APART, ROW, TOP] = [124, 176, 152, 22]; // of the drawing
const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

/** The rule for a box: k as it comes out, and held at the levels that exist. */
export function serve([x1, y1, x2, y2], k0, size) {
  const area = (x2 - x1) * (y2 - y1);
  const least = (k) => size ** 2 * 4 ** (k - k0); // area of a box that belongs to level k; exact
  let k = k0;
  while (area >= least(k + 1)) k++;
  while (area < least(k)) k--;
  return [k, clamp(k, 2, 5)];
}

/** First and last pixel of the fields of units of C2 to C5, from first to last of each. */
const hull = (into, fields) => {
  const seen = into.flatMap((ends, n) =>
    ends.map((unit, end) => (unit << LEVELS[n]) + fields[n][0] + end * (fields[n][1] - 1)),
  );
  return [Math.min(...seen), Math.max(...seen)];
};

/** Along one axis: the unit of P on the middle of a box, its sums, what of C2 to C5 enters them, its field, and what it sees of the picture. */
export function follow([from, to], side, level, fields, down) {
  const enter = (sums) => LEVELS.map((n) => (n === level || (down && n > level) ? sums.map((end) => end >> (n - level)) : []));
  const at = Math.floor((from + to) / 2 ** (level + 1));
  const sums = [Math.max(at - 1, 0), Math.min(at + 1, Math.ceil(side / 2 ** level) - 1)];
  const into = enter(sums);
  const [first, last] = hull(enter([at - 1, at + 1]), fields);
  return { at, sums, into, field: last - first + 1, sees: hull(into, fields).map((pixel) => clamp(pixel, 0, side - 1)) };
}

/** All that the figure shows; of two axes, the rows come first. */
export function survey({ maps: { picture, fields }, box, k0, size, top_down, cell: [asking, ...cell] }) {
  const [k, level] = serve(box, k0, size);
  const levels = LEVELS.map((n) =>
    [false, true].map((down) => picture.map((side, axis) => follow([box[1 - axis], box[3 - axis]], side, n, fields, down))),
  );
  const axes = levels[level - 2][+top_down];
  const corner = axes.map(({ at }) => (at >> (5 - level)) - 1); // of the window, in units of C5
  const asked = cell.map((at, axis) => clamp((corner[axis] << (5 - asking)) + at, 0, Math.ceil(picture[axis] / 2 ** asking) - 1));
  const shares = axes.map(({ sums: [first, last], into }, axis) => {
    const found = range(last - first + 1).filter((n) => (first + n) >> (asking - level) === asked[axis]);
    return into[asking - 2].length && found.length;
  });
  return {
    k,
    level,
    levels,
    axes,
    corner,
    asked,
    share: shares[0] * shares[1],
    units: LEVELS.map((_, i) => axes.reduce((product, { into: { [i]: [first, last] } }) => product * (last - first + 1 || 0), 1)),
    whole: axes.every(({ sees }, axis) => sees[0] <= box[1 - axis] && box[3 - axis] - 1 <= sees[1]),
  };
}

const by = (axes) => `${axes[1].field}×${axes[0].field}`;
const ends = ([first, last]) => (first === last ? first : `${first}–${last}`);

/** What the figure says: of the level, of what merges, of the field, and of the unit asked about. */
export function tell({ box: [x1, y1, x2, y2], k0, size, top_down, cell }, { k, level, levels, axes, asked, share, units, whole }) {
  const [wide, high, jump, sums] = [x2 - x1, y2 - y1, 2 ** level, units[level - 2]];
  const exact = Math.min(k0 + Math.log2(Math.sqrt(wide * high) / size), k + 0.99);
  const flow = LEVELS.flatMap((n, i) =>
    units[i] ? `C${n} row ${ends(axes[0].into[i])}, column ${ends(axes[1].into[i])} (1×1${", ×2".repeat(n - level)})` : [],
  );
  return [
    `Box ${wide}×${high} at (${x1}, ${y1}): k = ⌊${k0} + log2(√(${wide}·${high}) / ${size})⌋ = ⌊${text(Math.floor(exact * 100) / 100)}⌋ = ${text(k)}${
      k === level ? "" : `, held at ${level}`
    }. P${level} serves it; there it is ${(wide / jump).toFixed(1)}×${(high / jump).toFixed(1)} units of ${jump} pixels.`,
    `On its middle stands unit (${axes.map(({ at }) => at).join(", ")}) of P${level}: a 3×3 over ${sums} sums. Into them flow ${flow.join("; ")}.`,
    `Its field is ${by(axes)} pixels and holds ${whole ? "the whole" : "only a part of the"} box; ${top_down ? "without" : "with"} the top-down path it is ${by(levels[level - 2][+!top_down])}.`,
    `Unit (${asked.join(", ")}) of C${cell[0]} is in ${share || "none"} of the ${sums} sums.`,
  ];
}

const top = (level) => TOP + (5 - level) * ROW;
const paths = (names) => names.map((name) => `<path class="cfy-${name}"/>`).join("");
const arrow = (style, x, y, d, words, dx, dy) =>
  `<path class="cfy-${style}" d="M${x} ${y}${d}"/><text x="${x + dx}" y="${y + dy}">${words}</text>`;
/** Lines between the units of a level in the window. */
const lattice = (level) =>
  `<path class="cfy-lattice" d="${range((96 >> level) + 1).map((n) => `M${n << level} 0v96M0 ${n << level}h96`).join("")}"/>`;
const row = (level) => {
  const [from, y, x] = [top(level), top(level) + PLATE / 2, APART + PLATE];
  const plate = (x) =>
    `<text x="${x}" y="${from - 7}">sums</text><svg x="${x}" y="${from}" width="${PLATE}" height="${PLATE}">${paths(["out", "into"])}${lattice(level)}${paths(["box", "unit", "asked"])}</svg>`;
  return `<g>${plate(0)}${plate(APART)}${arrow("side", PLATE + 5, y, "h40m-7 -5l7 5l-7 5", "1×1", 9, -8)}${
    level < 5 ? arrow("down", x - 30, from - 26, "v22m-5 -7l5 7l5 -7", "×2, +", 10, 17) : ""
  }${arrow("last", x + 5, y, "h28m-7 -5l7 5l-7 5", "3×3", 1, -8)}<rect x="${x + 38}" y="${y - 17}" width="40" height="34" rx="4"/><text x="${x + 50}" y="${y + 5}">P${level}</text></g>`;
};
const KEY = ["object", "its unit of P", "what flows into it", "its field", "field alone", "what the maps show"];
const stage = (style, title, label, drawing) =>
  `<div class="cfy-${style}"><div class="cf-title">${title}</div><div class="cfy-stage" tabindex="0" role="application" aria-label="${label}><svg ${drawing}</svg></div></div>`;
const page = ([height, width]) => `<figure><form>
${stage("picture", `Picture, ${width}×${height}: drag the object`, 'Object: arrow keys move it, with Shift they size it" data-drive="keys"', `viewBox="-${GRIP} -${GRIP} ${width + 2 * GRIP} ${height + 2 * GRIP}" aria-hidden="true"><rect width="${width}" height="${height}"/>${lattice(5)}${paths(["alone", "field", "unit", "asked", "box"])}<path class="cfy-body" data-grip=""/>
<text class="cfy-name"/>${["01", "03", "21", "23"].map((edges) => `<circle r="${GRIP}" data-grip="${edges}"/>`).join("")}`)}
<div class="cfy-controls">${[["left", 0, width], ["top", 0, height], ["width", LEAST, width], ["height", LEAST, height], ["k0", 0, 9], ["size", 8, 999]]
  .map(([name, low, high]) => `<label>${name} <input type="number" min="${low}" max="${high}" required></label>`).join("")}
<label><input type="checkbox">top-down path</label><p role="alert"></p>
<p class="cfy-key">${KEY.map((name) => `<span><i></i>${name}</span>`).join(" ")}</p></div>
${stage("pyramid", "Its middle, 96×96 pixels, in each map", 'Units: arrow keys choose one"', `viewBox="0 0 380 ${4 * ROW - 4}" data-drive="pointer" aria-hidden="true">${LEVELS.map(row).join("")}`)}
<table><thead><tr><td></td>${["jump", "object in units", "field alone", "top-down"].map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead>
<tbody>${[5, 4, 3, 2].map((n) => `<tr><th scope="row">P${n}</th>${"<td></td>".repeat(4)}</tr>`).join("")}</tbody></table>
<div aria-live="polite">${"<p></p>".repeat(4)}</div></form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  const maps = model.get("maps");
  const [height, width] = maps.picture;
  const find = prepare(el, "pyramid-builder", page(maps.picture), model.get("caption"));
  const all = (selector) => [...el.querySelectorAll(selector)];
  const [stages, [picture, pyramid], fields] = [".cfy-stage", ".cfy-stage > svg", "[type=number]"].map(all);
  const [grips, groups, lines, lives] = ["circle", "g", "tbody tr", "[aria-live] p"].map(all);
  const [form, note, check, name] = ["form", "[role=alert]", "[type=checkbox]", ".cfy-name"].map(find);

  const frame = ([top, bottom], [left, right]) => `M${left} ${top}H${right}V${bottom}H${left}z`;
  /** Outline of units from first to last of a level. */
  const cells = (level, axes) => frame(...axes.map(([first, last]) => [first << level, (last + 1) << level]));
  const draw = (root, drawings) => {
    for (const [name, d] of Object.entries(drawings)) set(root.querySelector(`.cfy-${name}`), { d });
  };

  function paint() {
    const state = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
    const [x1, y1, x2, y2] = state.box;
    const [wide, high] = [x2 - x1, y2 - y1];
    const seen = survey(state);
    const { level, levels, axes, corner, units } = seen;
    const edges = [[y1, y2], [x1, x2]];
    const box = frame(...edges);
    const unit = cells(level, axes.map(({ at }) => [at, at]));
    const asked = cells(state.cell[0], seen.asked.map((at) => [at, at]));
    const view = (axes) => cells(0, axes.map(({ sees }) => sees));
    const from = corner.map((at) => at * 32);
    const [y, x] = from;
    for (const path of all(".cfy-lattice")) set(path, { transform: `translate(${x} ${y})` });
    draw(picture, { alone: view(levels[level - 2][0]), field: view(axes), unit, asked, box, body: box });
    /** An outline as far as it lies near the window. */
    const near = (...axes) => frame(...axes.map((ends, axis) => ends.map((at) => clamp(at, from[axis] - 9, from[axis] + 105))));
    const [dx, dy] = [wide, high].map((side) => clamp(GRIP - side / 4, 0, GRIP));
    grips.forEach((circle, n) => set(circle, { cx: n < 2 ? x1 - dx : x2 + dx, cy: n % 2 ? y2 + dy : y1 - dy }));
    name.textContent = `${wide}×${high}: P${level}`;
    set(name, { x: clamp((x1 + x2) / 2, 100, width - 100), y: y1 > 60 + dy ? y1 - dy - 34 : Math.min(y2 + dy + 60, height - 12) });

    LEVELS.forEach((n, i) => {
      const jump = 2 ** n;
      const into = units[i] ? cells(n, axes.map((axis) => axis.into[i])) : "";
      const map = maps.picture.map((side) => [0, Math.ceil(side / jump) * jump]);
      for (const plate of groups[i].querySelectorAll("svg")) {
        set(plate, { viewBox: `${x} ${y} 96 96` });
        draw(plate, { out: near([-99, 999], [-99, 999]) + near(...map), into, box: near(...edges), unit: n === level ? unit : "", asked: n === state.cell[0] ? asked : "" });
      }
      groups[i].querySelector("text").textContent = `C${n}: ${units[i]} unit${units[i] === 1 ? "" : "s"}`;
      const style = n === level ? "cfy-here" : units[i] ? "cfy-reads" : "";
      set(groups[i], { class: style });
      lines[3 - i].className = style;
      [jump, `${(wide / jump).toFixed(1)}×${(high / jump).toFixed(1)}`, ...levels[i].map(by)].forEach((words, at) => (lines[3 - i].cells[at + 1].textContent = words));
    });
    pyramid.classList.toggle("cfy-cut", !state.top_down);
    check.checked = state.top_down;
    [x1, y1, wide, high, state.k0, state.size].forEach((value, n) => (fields[n].value = value));
    tell(state, seen).forEach((words, n) => (lives[n].textContent = words));
  }

  /** Move some edges of the box, no further than the picture and its least size allow. */
  function change(box, step, which) {
    const next = box.map((edge, n) => {
      const [from, to, side] = [box[n % 2], box[(n % 2) + 2], [width, height][n % 2]];
      if (!which) return edge + clamp(step[n % 2], -from, side - to);
      const [low, high] = n < 2 ? [0, to - LEAST] : [from + LEAST, side];
      return which.includes(n) ? clamp(edge + step[n % 2], low, high) : edge;
    });
    update(model, { box: next });
  }
  const place = (svg, { clientX, clientY }) => {
    const { left, top, width } = svg.getBoundingClientRect();
    return [clientX - left, clientY - top].map((at) => (at / width) * svg.viewBox.baseVal.width);
  };
  const pixel = (event) => place(picture, event).map(Math.round);
  picture.onpointerdown = (event) => {
    const { grip } = event.target.dataset;
    if (grip === undefined || event.button) return;
    const [box, from] = [model.get("box"), pixel(event)];
    picture.setPointerCapture(event.pointerId);
    picture.onpointermove = (event) => change(box, pixel(event).map((at, axis) => at - from[axis]), grip);
  };
  picture.onlostpointercapture = () => (picture.onpointermove = null);

  const ask = (level, ...at) => update(model, { cell: [level, ...at.map((at) => clamp(Math.floor(at), 0, (96 >> level) - 1))] });
  const before = (level) => (96 >> level) - 3; // rows of cells above a level
  const onKeys = (stage, go) => {
    stage.onkeydown = (event) => {
      const step = ARROWS[event.key];
      if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(step, event.shiftKey);
    };
  };
  onKeys(stages[0], (step, resize) => change(model.get("box"), step.map((way) => way * (resize ? 1 : LEAST)), resize && "23"));
  onKeys(stages[1], ([x, y]) => {
    const [level, row, column] = model.get("cell");
    const line = clamp(before(level) + row + y, 0, 44);
    const next = 5 - Math.floor(Math.log2(line / 3 + 1));
    ask(next, line - before(next), (column + x) * 2 ** (level - next));
  });
  pyramid.onpointermove = pyramid.onpointerdown = (event) => {
    const [x, y] = place(pyramid, event);
    const level = 5 - clamp(Math.floor(y / ROW), 0, 3);
    ask(level, ...[y - top(level), x < 150 ? x : x - APART].map((at) => (at / PLATE) * (96 >> level)));
  };

  form.oninput = () => {
    const [left, top, wide, high, k0, size] = fields.map((part) => part.valueAsNumber);
    const fits = left + wide <= width && top + high <= height && fields.every((part) => part.validity.valid);
    note.textContent = fits ? "" : "Whole numbers: box at least 4×4, on the picture; k0 0 to 9; size 8 to 999.";
    if (fits) update(model, { box: [left, top, left + wide, top + high], k0, size, top_down: check.checked });
  };
  form.addEventListener("focusout", () => {
    note.textContent = "";
    paint();
  });
  return keepPainted(model, TRAITS, paint);
}

export default { render };
