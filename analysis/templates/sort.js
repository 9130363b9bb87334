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
