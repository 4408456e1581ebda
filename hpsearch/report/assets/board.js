/* Filters the leaderboard's rows: a choice for each column that has one, and words. */
(() => {
"use strict";
const table = document.getElementById("runs");
const rows = [...table.tBodies[0].rows];
const places = [...table.tHead.rows[0].cells];
const box = document.getElementById("filters");
const status = document.getElementById("shown");
const filters = [];

function labelled(text, input) {
  const label = document.createElement("label");
  label.className = "control";
  label.append(text, input);
  box.append(label);
  input.addEventListener("input", filter);
}
function filter() {
  let n = 0;
  for (const row of rows) {
    const isShown = filters.every((fits) => fits(row));
    row.hidden = !isShown;
    n += isShown ? 1 : 0;
  }
  status.textContent = n === rows.length ? `${n} runs` : `${n} of ${rows.length} runs`;
}
const words = document.createElement("input");
words.type = "search";
words.id = "words";
filters.push((row) => {
  const text = row.textContent.toLowerCase();
  return words.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
});
places.forEach((head, column) => {
  const name = head.dataset.filter;
  const values = [...new Set(rows.map((row) => row.cells[column].textContent.trim()))].sort();
  if (!name || values.length < 2) return;
  const select = document.createElement("select");
  for (const value of ["", ...values]) {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = value || "all";
    select.append(option);
  }
  filters.push((row) => !select.value || row.cells[column].textContent.trim() === select.value);
  labelled(name, select);
});
labelled("Words", words);
filter();
document.documentElement.dataset.drawn = "yes";
})();
