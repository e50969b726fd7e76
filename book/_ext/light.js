// Loads what an interactive figure is made of, from files, once the figure comes near the view.
{
  window.convlabParts = {};

  const load = (root) =>
    Promise.all(
      JSON.parse(root.dataset.parts).map(
        ([type, address]) =>
          new Promise((resolve) => {
            const file = document.createElement("script"); // which a page may load from disk, too
            file.src = address;
            file.onload = () => {
              const part = document.createElement("script");
              part.type = type;
              part.textContent = window.convlabParts[address.split("/").pop()];
              file.remove();
              resolve(part);
            };
            document.head.append(file);
          }),
      ),
    ).then((parts) => root.append(...parts));

  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        load(target);
      }
    },
    { rootMargin: "100% 0px" },
  );

  for (const root of document.querySelectorAll("[data-parts]")) near.observe(root);
}
