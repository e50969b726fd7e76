// Runs a figure's front-end module on a page without a kernel, once the figure comes near the view.

async function start(root) {
  const text = (type) => root.querySelector(`:scope > script[type="${type}"]`).textContent;
  const state = JSON.parse(text("application/json"));
  const listeners = {};
  const model = {
    get: (name) => state[name],
    set(name, value) {
      state[name] = value;
      for (const listener of listeners[`change:${name}`] ?? []) listener();
    },
    on: (event, listener) => (listeners[event] ??= []).push(listener),
    off: (event, listener) => {
      listeners[event] = listeners[event]?.filter((other) => other !== listener);
    },
    save_changes() {},
  };
  const url = URL.createObjectURL(new Blob([text("text/plain")], { type: "text/javascript" }));
  const { default: figure } = await import(url);
  URL.revokeObjectURL(url);
  root.replaceChildren();
  await figure.render({ model, el: root });
}

const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      start(target);
    }
  },
  { rootMargin: "100% 0px" },
);

for (const root of document.querySelectorAll("[data-convlab-figure]:not([data-hosted])")) {
  if (!root.querySelector(':scope > script[type="application/json"]')) continue; // a live one
  root.dataset.hosted = "";
  near.observe(root);
}
