// Sorting and filtering of the boards. The tables are whole and sorted without it.
"use strict";
(() => {
  const search = document.querySelector("[name=model]");
  const status = document.querySelector(".status");
  const lines = [...document.querySelectorAll(".board tbody tr")];

  /** Shows the lines whose model, and tags, hold every word, and the boards that have such a line. */
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const line of lines) {
      const text = line.querySelector("th").textContent.toLowerCase();
      line.hidden = !words.every((word) => text.includes(word));
    }
    for (const board of document.querySelectorAll(".board")) {
      board.closest("section").hidden = [...board.tBodies[0].rows].every((line) => line.hidden);
    }
    const shown = lines.filter((line) => !line.hidden).length;
    status.textContent = `${shown} of ${lines.length} runs`;
  }

  const keyOf = (line, column) => {
    const { value } = line.cells[column].dataset;
    return value === undefined ? line.cells[column].textContent.trim().toLowerCase() : Number(value);
  };

  /** Sorts a board by the column of a button; numbers begin with the best, names with A. */
  function sort(button) {
    const head = button.closest("th");
    const column = head.cellIndex;
    const body = head.closest("table").tBodies[0];
    const numeric = body.rows[0]?.cells[column].dataset.value !== undefined;
    const first = head.dataset.first ?? (numeric && column > 0 ? "descending" : "ascending");
    const second = first === "ascending" ? "descending" : "ascending";
    const order = head.ariaSort === first ? second : first;
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    body.append(...[...body.rows].sort((a, b) => sign * compare(keyOf(a, column), keyOf(b, column))));
  }

  if (!search) return;
  for (const button of document.querySelectorAll(".board thead button")) {
    button.addEventListener("click", () => sort(button));
  }
  search.addEventListener("input", filter);
  document.querySelector(".filters").hidden = false;
  filter();
})();
