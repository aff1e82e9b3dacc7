// Shows what a picture's marks tell, to the mouse and to the keyboard; chooses months by dragging;
// saves pictures as PNG. Without it the marks' titles, the links and the forms do the same.

// What a mark tells stands beside it, within the picture.
function tell(mark, picture) {
  const room = picture.parentElement;
  const note = room.querySelector(".tells");
  note.hidden = !mark;
  if (!mark) return;
  note.textContent = mark.getAttribute("aria-label");
  const [box, all] = [mark.getBoundingClientRect(), room.getBoundingClientRect()];
  const left = box.left + box.width / 2 - all.left - note.offsetWidth / 2;
  const above = box.top - all.top - note.offsetHeight - 8;
  note.style.left = `${Math.max(0, Math.min(left, all.width - note.offsetWidth))}px`;
  note.style.top = `${above < -40 ? box.bottom - all.top + 8 : above}px`;
}

// The mark that is nearest to the pointer, from left to right first: lines are read that way.
function nearest(marks, event) {
  const distance = (mark) => {
    const box = mark.getBoundingClientRect();
    const x = Math.max(box.left - event.clientX, event.clientX - box.right, 0);
    const y = Math.max(box.top - event.clientY, event.clientY - box.bottom, 0);
    return Math.hypot(x, y);
  };
  return marks.map((mark) => [distance(mark), mark]).reduce((a, b) => (b[0] < a[0] ? b : a))[1];
}

function watch(picture) {
  const marks = [...picture.querySelectorAll(".mark")];
  if (!marks.length) return;
  for (const mark of marks) { // or the browser would show the title, too
    const title = mark.querySelector("title");
    mark.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  let near = null;
  const show = (mark) => {
    near?.classList.remove("near");
    mark?.classList.add("near");
    near = mark;
    tell(mark, picture);
  };
  picture.addEventListener("pointermove", (event) => show(nearest(marks, event)));
  picture.addEventListener("pointerleave", () => show(null));
  picture.addEventListener("focusin", (event) => show(event.target.closest(".mark")));
  picture.addEventListener("focusout", () => show(null));

  // One stop for the keyboard, and arrows from there.
  marks.forEach((mark, place) => mark.setAttribute("tabindex", place ? "-1" : "0"));
  picture.addEventListener("keydown", (event) => {
    const place = marks.indexOf(document.activeElement);
    const last = marks.length - 1;
    const to = { ArrowRight: place + 1, ArrowLeft: place - 1, ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: last }[event.key];
    if (place < 0 || to === undefined) return;
    event.preventDefault();
    const next = marks[Math.min(Math.max(to, 0), last)];
    marks[place].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
  if ("range" in picture.dataset) choose(picture, marks);
}

// From the mark where the button goes down to the one where it goes up; with the keyboard,
// Shift+Enter takes a mark as the other end.
function choose(picture, marks) {
  const form = document.getElementById("since").form;
  let from = null;
  let taken = false;
  const between = (a, b) => {
    const [first, last] = [marks.indexOf(a), marks.indexOf(b)].sort((x, y) => x - y);
    return marks.slice(first, last + 1);
  };
  const take = (chosen) => {
    form.elements.since.value = chosen[0].dataset.since;
    form.elements.until.value = chosen.at(-1).dataset.until;
    form.requestSubmit();
  };
  const pick = (chosen) => marks.forEach((each) => each.classList.toggle("picked", chosen.includes(each)));
  picture.addEventListener("dragstart", (event) => event.preventDefault());
  picture.addEventListener("pointerdown", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (event.button === 0 && event.pointerType === "mouse" && plain) from = nearest(marks, event);
  });
  picture.addEventListener("pointermove", (event) => {
    if (from) pick(between(from, nearest(marks, event)));
  });
  picture.addEventListener("pointerleave", () => {
    from = null;
    pick([]);
  });
  picture.addEventListener("pointerup", (event) => {
    if (from) take(between(from, nearest(marks, event)));
    taken = from !== null;
    from = null;
  });
  picture.addEventListener("click", (event) => {
    if (taken) event.preventDefault(); // the form leads there
    taken = false;
  });
  picture.addEventListener("keydown", (event) => {
    const mark = document.activeElement.closest(".mark");
    if (event.key === "Enter" && event.shiftKey && mark) {
      event.preventDefault();
      const other = picture.querySelector(".picked");
      if (other) take(between(other, mark));
      else pick([mark]);
    }
  });
}

async function save(event) {
  event.preventDefault();
  const link = event.currentTarget;
  const image = new Image();
  image.src = link.href;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * image.naturalWidth, 2 * image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => {
    const file = document.createElement("a");
    file.href = URL.createObjectURL(blob);
    file.download = link.dataset.name;
    file.click();
    setTimeout(() => URL.revokeObjectURL(file.href), 60000);
  });
}

for (const picture of document.querySelectorAll(".picture")) watch(picture);
for (const link of document.querySelectorAll("a.png")) {
  link.hidden = false;
  link.addEventListener("click", save);
}
