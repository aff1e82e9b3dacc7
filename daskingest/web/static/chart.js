// Draws the page's chart, in the reader's preferred colour scheme.
const place = document.getElementById("chart");
const dark = matchMedia("(prefers-color-scheme: dark)");

// BokehJS creates style elements; the page's policy accepts those with its nonce.
const { nonce } = document.currentScript;
const create = document.createElement.bind(document);
document.createElement = (name, options) => {
  const element = create(name, options);
  if (name === "style") element.nonce = nonce;
  return element;
};

async function draw() {
  const answer = await fetch(place.dataset.src + "&theme=" + (dark.matches ? "dark" : "light"));
  if (!answer.ok) return;
  place.replaceChildren();
  await Bokeh.embed.embed_item(await answer.json(), "chart");
}

if (place) {
  document.addEventListener("DOMContentLoaded", draw); // BokehJS is there by then
  dark.addEventListener("change", draw);
}
