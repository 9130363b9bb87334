// A click on a column's head sorts its table, a second one turns the order. Cells carry their number in data-v.
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.closest("th"), body = head.closest("table").tBodies[0], i = head.cellIndex;
  const turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
  const value = row => row.cells[i].dataset.v ?? row.cells[i].textContent.trim();
  const compare = (a, b) => a === b ? 0 : a === "" ? 1 : b === "" ? -1 :
    turn * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
  [...body.rows].sort((p, q) => compare(value(p), value(q))).forEach(row => body.append(row));
});

// A mark of a figure says its text where the reader points, taps or walks with the keys. The figures are our own SVG:
// the scripts of a plotting library would make the page four megabytes heavier, and its canvas neither prints nor reads.
const tip = document.getElementById("tip"), REACH_PX = 18;
let shown = null;

const hide = () => {
  shown?.classList.remove("active");
  shown = null;
  tip.hidden = true;
};

const place = () => {
  const at = shown.getBoundingClientRect(), own = tip.getBoundingClientRect(), gap = 10;
  const right = document.documentElement.clientWidth - own.width - gap;
  tip.style.left = Math.max(gap, Math.min(at.x + at.width / 2 - own.width / 2, right)) + "px";
  const fits_below = at.bottom + gap + own.height <= innerHeight;
  tip.style.top = Math.max(gap, fits_below ? at.bottom + gap : at.top - gap - own.height) + "px";
};

const show = mark => {
  if (mark === shown) return;
  hide();
  shown = mark;
  mark.classList.add("active");
  tip.textContent = mark.getAttribute("aria-label");
  tip.hidden = false;
  place();
};

for (const svg of document.querySelectorAll("svg.marked")) {
  const marks = [...svg.querySelectorAll(".mark")];
  const point_at = event => {  // the nearest mark answers, since a dot is smaller than a finger
    let nearest = null, least = REACH_PX;
    for (const mark of marks) {
      const at = mark.getBoundingClientRect();
      const away = Math.hypot(at.x + at.width / 2 - event.clientX, at.y + at.height / 2 - event.clientY);
      if (away < least) [nearest, least] = [mark, away];
    }
    nearest ? show(nearest) : hide();
  };
  svg.addEventListener("pointermove", point_at);
  svg.addEventListener("pointerdown", point_at);
  svg.addEventListener("pointerleave", event => event.pointerType === "touch" || hide());
  const STEPS = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1};
  marks.forEach((mark, i) => {
    mark.addEventListener("focus", () => show(mark));
    mark.addEventListener("blur", hide);
    mark.addEventListener("keydown", event => {
      const next = marks[i + STEPS[event.key]];
      if (event.key === "Escape") hide();
      if (!(event.key in STEPS)) return;
      event.preventDefault();
      if (!next) return;
      mark.setAttribute("tabindex", -1);  // one stop of the Tab key per figure: the mark that was left last
      next.setAttribute("tabindex", 0);
      next.focus();
    });
  });
}
document.addEventListener("pointerdown", event => event.target.closest("svg.marked") || hide());
addEventListener("scroll", () => shown && place(), {passive: true});  // focus scrolls a mark into view after it is shown
addEventListener("beforeprint", () => document.querySelectorAll("details.fold").forEach(fold => fold.open = true));
