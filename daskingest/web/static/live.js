// Refreshes the overview every two seconds, except while it is hidden or paused, or while the
// reader's focus or a selection is inside the part that would be replaced.
const live = document.getElementById("live");
const pause = document.getElementById("pause");
const stale = document.getElementById("stale");
const parts = ["now", "cards", "rising"];
let paused = false;

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
});

// A cloud that is there stays, unless its publication has grown much.
function keepClouds(before, after) {
  const clouds = new Map();
  for (const each of before.querySelectorAll(".cloud")) {
    clouds.set(each.dataset.src ?? each.getAttribute("src"), each);
  }
  for (const each of after.querySelectorAll("img.cloud")) {
    const there = clouds.get(each.getAttribute("src"));
    if (there) each.replaceWith(there);
  }
}

function update(name, found) {
  const before = document.getElementById(name);
  const after = found.getElementById(name);
  if (before.contains(document.activeElement) || before.querySelector("input:checked")) return;
  if (before.dataset.seen === after.innerHTML) return;
  const seen = after.innerHTML;
  if (before.querySelector("details[open]")) {
    after.querySelector("details")?.setAttribute("open", "");
  }
  keepClouds(before, after);
  before.replaceChildren(...document.adoptNode(after).childNodes);
  before.dataset.seen = seen;
}

async function refresh() {
  if (paused || document.hidden) return;
  try {
    const answer = await fetch(live.dataset.src + location.search);
    if (!answer.ok) throw new Error(answer.status);
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const name of parts) update(name, found);
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
}

async function forever() {
  await refresh();
  setTimeout(forever, 2000);
}
setTimeout(forever, 2000);
