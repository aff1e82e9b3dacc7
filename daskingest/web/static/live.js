// Refreshes the overview every two seconds, except while it is hidden or paused, or while the
// reader's focus or a selection is inside the part that would be replaced.
const live = document.getElementById("live");
const pause = document.getElementById("pause");
const stale = document.getElementById("stale");
let paused = false;

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
});

async function refresh() {
  const used = live.contains(document.activeElement) || live.querySelector("input:checked");
  if (paused || document.hidden || used) return;
  try {
    const answer = await fetch("live" + location.search);
    if (!answer.ok) throw new Error(answer.status);
    const open = live.querySelector("details")?.open;
    live.innerHTML = await answer.text();
    if (open) live.querySelector("details")?.setAttribute("open", "");
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
