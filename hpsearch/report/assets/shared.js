/* What all pages share: light and dark, and tables that are sorted and unfolded. */
const shared = (() => {
"use strict";
const root = document.documentElement;
let changed = () => {};
function isDark() {
  const wanted = root.dataset.theme;
  return wanted ? wanted === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
/* The button says what it turns the page to. */
function nameButton() {
  document.querySelector("#theme .name").textContent = isDark() ? "Light" : "Dark";
}
function retheme() {
  nameButton();
  changed();
}
function remembered(value) {
  try {
    if (value === undefined) return localStorage.getItem("hpsearch-theme");
    localStorage.setItem("hpsearch-theme", value);
  } catch { /* a page from a file may have no storage */ }
  return null;
}
const before = remembered();
if (before === "dark" || before === "light") root.dataset.theme = before;
document.getElementById("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remembered(root.dataset.theme);
  retheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", retheme);
nameButton();

/* Long tables show their first rows until a reader asks for more. */
function unfold(table) {
  const first = Number(table.dataset.first);
  const rows = [...table.tBodies[0].rows];
  if (rows.length <= first + 3) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain more";
  const show = (isAll) => {
    [...table.tBodies[0].rows].forEach((row, i) => { row.hidden = !isAll && i >= first; });
    button.setAttribute("aria-expanded", String(isAll));
    button.textContent = isAll ? `Show the first ${first}` : `Show all ${rows.length}`;
  };
  button.addEventListener("click", () => show(button.getAttribute("aria-expanded") !== "true"));
  table.showAgain = () => show(button.getAttribute("aria-expanded") === "true");
  show(false);
  table.parentElement.after(button);
}
function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads[0].setAttribute("aria-sort", "ascending");
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const isUp = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
    const key = (row) => { const { sort } = row.cells[column].dataset; return sort === undefined ? row.cells[column].textContent.trim() : Number(sort); };
    const isMissing = (value) => value === "-" || value === "";
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (isMissing(x) || isMissing(y)) return Number(isMissing(x)) - Number(isMissing(y));
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
      return isUp ? order : -order;
    });
    table.tBodies[0].append(...rows);
    table.showAgain?.();
  }));
}
for (const table of document.querySelectorAll("table[data-first]")) unfold(table);
for (const table of document.querySelectorAll("table.sortable")) sortable(table);

return {
  /* Have a function called when the colours change. */
  onTheme(call) { changed = call; },
  /* Have a function called with the row of a sortable table that is clicked. */
  onRow(call) {
    for (const table of document.querySelectorAll("table.sortable")) {
      table.tBodies[0].addEventListener("click", (event) => {
        const row = event.target.closest("tr");
        if (row && !String(getSelection())) call(row);
      });
    }
  },
};
})();
