const OCTAVE = 34; // pixels on the screen
const MOST = 8; // maps in use
const LANES = 4; // side by side

const percent = (part, all) => `${Math.round((100 * part) / all)}\u00a0%`;

/** The smallest and the largest size, in whole pixels, that fit a map of this field. */
export const sizes = (field, [a, b]) => [Math.ceil(field / b - 1e-9), Math.floor(field / a + 1e-9)];

const fits = (size, fields, rule) =>
  fields.some((field) => sizes(field, rule)[0] <= size && size <= sizes(field, rule)[1]);

/** How many objects, [size, count] with sizes rising, fit one of these fields; runs of sizes that don't. */
export function cover(fields, objects, rule) {
  const gaps = [];
  let [all, fit, open] = [0, 0, false];
  for (const [size, count] of objects) {
    all += count;
    if (fits(size, fields, rule)) {
      fit += count;
      open = false;
    } else {
      if (!open) gaps.push((open = [size, size, 0]));
      open[1] = size;
      open[2] += count;
    }
  }
  return { all, fit, gaps };
}

/** Counts of objects for each half of an octave: [number of the half, fitting, in a gap]. */
export function bins(fields, objects, rule) {
  const found = new Map();
  for (const [size, count] of objects) {
    const half = Math.floor(2 * Math.log2(size));
    const bin = found.get(half) ?? found.set(half, [half, 0, 0]).get(half);
    bin[fits(size, fields, rule) ? 1 : 2] += count;
  }
  return [...found.values()];
}

const field = (name) => `<label>${name} = <input type="number" min="0.1" max="20" step="0.1" required></label>`;
const button = (name, sign) => `<button type="button" aria-label="${name}">${sign}</button>`;
const sample = (name, words) => `<span><i class="${name}"></i>${words}</span> `;
const heads = ["mark", "map", "field", "jump", "fits sizes", "objects"].map((words) => `<th scope="col">${words}</th>`);
const PAGE = `<figure><form>
<div class="cfr-controls"><label>network <select></select></label>
<fieldset><legend>Size s fits a map if a·s ≤ field ≤ b·s</legend>${field("a")}${field("b")}</fieldset></div>
<p role="alert"></p>
<div class="cfr-panels"><div class="cf-title">Field of each layer, pixels</div><div class="cf-title"></div>
<div class="cfr-axis"></div>
<div data-drive="keys" tabindex="0" role="application" aria-label="Layers: arrow keys choose one, space uses its map">
<svg data-drive="pointer" aria-hidden="true"></svg></div>
<div class="cfr-objects"></div></div>
<p>${sample("cfr-fit", "map in use, sizes that fit it")}${sample("cfr-bar", "objects that fit")}
${sample("cfr-gap", "in a gap")}${sample("cfr-cursor", "fits the chosen layer")}</p>
<div class="cfr-step">${button("Layer before", "‹")}${button("Next layer", "›")}
<label><input type="checkbox"><span></span></label></div>
<table><thead><tr>${heads.join("")}</tr></thead><tbody></tbody></table>
<div aria-live="polite"><p></p><p></p></div></form><figcaption></figcaption></figure>`;

function render({ model, el }) {
  const find = prepare(el, "scale-profiles", PAGE, model.get("caption"));
  const [root, stage, note, list, form] = ["svg", "[data-drive]", "[role=alert]", "select", "form"].map(find);
  const [bars, box, line] = [".cfr-objects", "[type=checkbox]", "tbody"].map(find);
  const [numbers, lives] = ["[type=number]", "[aria-live] p"].map((part) => el.querySelectorAll(part));
  const [profiles, objects] = [model.get("profiles"), model.get("objects")];
  const ends = [...profiles.flatMap(({ layers }) => layers.map((one) => one[1])), ...objects.map((one) => one[0])];
  const [low, high] = [Math.floor(Math.log2(Math.min(...ends))), Math.ceil(Math.log2(Math.max(...ends) + 1))];
  const height = (high - low) * OCTAVE + 1;
  let drawn, name, layers, at; // the profile, the chosen layer

  function look() {
    ({ name, layers } = profiles.find((one) => one.name === model.get("network")));
    at = Math.max(layers.findIndex(([layer]) => layer === model.get("layer")), 0); // a new one may be on its way
    return [0, at];
  }
  const x = (n) => `${(100 * (n + 0.5)) / layers.length}%`;
  const y = (value) => (high - Math.log2(value)) * OCTAVE;

  function build() {
    const lines = layers.map(([, field], n) => {
      const before = layers[n - 1] && `<line x1="${x(n - 1)}" y1="${y(layers[n - 1][1])}" x2="${x(n)}" y2="${y(field)}"/>`;
      return `${before ?? ""}<circle cx="${x(n)}" cy="${y(field)}" r="${layers.length > 60 ? 1.8 : 2.5}"/>`;
    });
    root.innerHTML = `${lines.join("")}<g></g>`;
    drawn = name;
  }

  function paint() {
    look();
    if (drawn !== name) build();
    const [maps, rule] = [model.get("maps"), model.get("rule")];
    const used = layers.flatMap(([map, field, jump], n) => (maps.includes(map) ? [{ map, field, jump, n }] : []));
    const fields = used.map(({ field }) => field);
    const total = cover(fields, objects, rule);
    const [chosen, size, jump] = layers[at];
    const share = (field) => percent(cover([field], objects, rule).fit, total.all);
    const reach = (field) => {
      const [top, bottom] = rule.map((factor) => clamp(y(field / factor), 0, height));
      return `top:${top}px;height:${Math.max(bottom - top, 3)}px`;
    };
    find("g").innerHTML = `<line x1="${x(at)}" x2="${x(at)}" y2="${height}"/>${used
      .map(({ field, n }, i) => `<svg x="${x(n)}" y="${y(field)}"><rect x="-7" y="-7" width="14" height="14"/><text y="4">${i + 1}</text></svg>`)
      .join("")}<circle cx="${x(at)}" cy="${y(size)}" r="10"/>`;
    const counts = bins(fields, objects, rule);
    const most = Math.max(...counts.map(([, fit, gap]) => fit + gap));
    const bar = (kind, half, from, count) =>
      count ? `<div class="${kind}" style="top:${y(2 ** ((half + 1) / 2))}px;--from:${from / most};--count:${count / most}"></div>` : "";
    bars.style.setProperty("--lanes", Math.min(used.length, LANES));
    bars.innerHTML =
      counts.map(([half, fit, gap]) => bar("cfr-bar", half, 0, fit) + bar("cfr-gap", half, fit, gap)).join("") +
      fields.map((field, i) => `<div class="cfr-fit" style="left:${(i % LANES) * 15}px;${reach(field)}">${i + 1}</div>`).join("") +
      `<div class="cfr-cursor" style="${reach(size)}"></div>`;
    line.replaceChildren(
      ...used.map(({ map, field, jump }, i) => {
        const row = document.createElement("tr");
        const told = [i + 1, map, field, jump, sizes(field, rule).join("–"), share(field)];
        for (const part of told) row.insertCell().textContent = part;
        return row;
      }),
    );
    list.value = name;
    box.checked = maps.includes(chosen);
    box.nextSibling.textContent = `use the map of ${chosen}`;
    numbers.forEach((part, n) => (part.value = rule[n]));
    note.textContent = "";
    const gaps = total.gaps.map(([from, to, count]) => `${from === to ? from : `${from} to ${to}`} (${percent(count, total.all)})`);
    lives[0].textContent = `${name}, ${chosen}, layer ${at + 1} of ${layers.length}: field ${size}, jump ${jump}; \
fits sizes ${sizes(size, rule).join(" to ")}, ${share(size)} of the objects.`;
    lives[1].textContent = `Maps in use: ${maps.join(", ") || "none"}. ${total.fit} of ${total.all} objects fit \
(${percent(total.fit, total.all)})${gaps.length ? `; in a gap: sizes ${gaps.join(", ")}` : ""}.`;
  }

  function toggle() {
    look();
    const maps = layers.map(([map]) => map).filter((map, n) => model.get("maps").includes(map) !== (n === at));
    if (maps.length <= MOST) return update(model, { maps });
    // after a painting that may be on its way, which takes messages off
    requestAnimationFrame(() => (note.textContent = `At most ${MOST} maps can be in use.`));
    paint();
  }
  const go = ([, to]) => update(model, { layer: layers[clamp(to, 0, layers.length - 1)][0] });
  const cellAt = ({ clientX }) => {
    const { left, width } = root.getBoundingClientRect();
    return [0, clamp(Math.floor(((clientX - left) / width) * layers.length), 0, layers.length - 1)];
  };

  let armed; // a finger chooses a layer first, and toggles it next
  root.addEventListener("pointerdown", (event) => {
    armed = event.pointerType !== "touch" || cellAt(event)[1] === at;
  });
  root.addEventListener("click", () => armed && toggle());
  stage.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    toggle();
  });
  explore(stage, () => ({ shape: [1, layers.length], cellAt }), look, go);
  el.querySelectorAll("button").forEach((one, n) => one.addEventListener("click", () => go([0, look()[1] + 2 * n - 1])));
  form.addEventListener("input", ({ target }) => {
    if (target === box) return toggle();
    if (target === list) {
      const { name, maps } = profiles[list.selectedIndex];
      return update(model, { network: name, maps, layer: maps[0] });
    }
    const rule = [...numbers].map((part) => part.valueAsNumber);
    if ([...numbers].every((part) => part.validity.valid) && rule[0] < rule[1]) return update(model, { rule });
    note.textContent = "a and b are numbers from 0.1 to 20, a less than b.";
  });
  form.addEventListener("focusout", paint);
  list.replaceChildren(...profiles.map((one) => new Option(one.name)));
  find(".cf-title + .cf-title").textContent = `${cover([], objects, []).all} objects by size`;
  find(".cfr-axis").innerHTML = range(high - low + 1).map((n) => `<span style="top:${n * OCTAVE - 8}px">${2 ** (high - n)}</span>`).join("");
  bars.style.height = `${height}px`;
  set(root, { height });
  return keepPainted(model, ["network", "layer", "maps", "rule"], paint);
}

export default { render };
