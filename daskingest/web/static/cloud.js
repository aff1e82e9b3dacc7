// Puts each word cloud that has loaded into the page itself, so that its words are links: one of
// them is reached with the Tab key, the others from there with the arrow keys.
async function inline(image) {
  const answer = await fetch(image.src); // from the browser's cache
  if (!answer.ok) return;
  const text = (await answer.text()).replace(/<style>.*?<\/style>/s, ""); // the page's apply
  const cloud = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (cloud.nodeName !== "svg") return;
  for (const [place, link] of cloud.querySelectorAll("a").entries()) {
    link.setAttribute("href", new URL(link.getAttribute("href"), image.src));
    link.setAttribute("tabindex", place ? "-1" : "0");
  }
  cloud.dataset.src = image.getAttribute("src");
  image.replaceWith(document.adoptNode(cloud));
}

const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

document.addEventListener("keydown", (event) => {
  const link = event.target.closest?.("svg.cloud a");
  if (!link || !(event.key in steps)) return;
  event.preventDefault();
  const links = [...link.closest("svg").querySelectorAll("a")];
  const next = links.at((links.indexOf(link) + steps[event.key]) % links.length);
  link.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
});

const isCloud = (element) => element.matches?.("img.cloud");
document.addEventListener("load", (event) => isCloud(event.target) && inline(event.target), true);
for (const image of document.querySelectorAll("img.cloud")) {
  if (image.complete && image.naturalWidth) inline(image);
}
