"""The page's one script: sorts, filters, and switches between light and dark. Everything is readable without it.

It makes its own buttons, so that without it there are none that do nothing; and it makes them from text alone, never
from HTML.
"""

SCRIPT = r"""
(() => {
  "use strict";
  const make = (name, text, attributes) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const key of Object.keys(attributes)) made.setAttribute(key, attributes[key]);
    return made;
  };

  const root = document.documentElement;
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = make("button", "", { type: "button", id: "theme" });
  const label = () => { theme.textContent = isDark() ? "Light theme" : "Dark theme"; };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
  label();
  document.getElementById("tools").append(theme);

  const key = (row, column) => {
    const cell = row.cells[column];
    if ("v" in cell.dataset) return Number(cell.dataset.v);
    return cell.classList.contains("n") ? NaN : cell.textContent.toLowerCase();
  };
  const compare = (one, other) => {
    if (typeof one === "string") return one < other ? -1 : one > other ? 1 : 0;
    return one - other;
  };
  const sort = (table, column, header) => {
    const ascending = header.getAttribute("aria-sort")
      ? header.getAttribute("aria-sort") === "descending" : !header.classList.contains("n");
    const keyed = Array.from(table.tBodies[0].rows, (row) => [key(row, column), row]);
    const missing = (item) => Number.isNaN(item[0]);
    keyed.sort((one, other) => missing(one) || missing(other)
      ? missing(one) - missing(other) : (ascending ? 1 : -1) * compare(one[0], other[0]));
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    table.tBodies[0].append(...keyed.map((item) => item[1]));
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const rows = table.tBodies[0].rows;
    Array.from(table.tHead.rows[0].cells, (header, column) => {
      if (table.tBodies[0].querySelector(`tr > :nth-child(${column + 1}) > .spark`)) return;
      const button = make("button", header.textContent, { type: "button" });
      button.addEventListener("click", () => sort(table, column, header));
      header.replaceChildren(button);
    });
    if (rows.length < 6) continue;
    const caption = table.caption.textContent;
    const field = make("input", "", { type: "search", "aria-label": `Filter: ${caption}`, placeholder: "Filter" });
    const count = make("span", "", { role: "status" });
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = wanted ? `${shown} of ${rows.length} rows` : "";
    });
    const bar = make("div", "", { class: "filter" });
    bar.append(field, count);
    table.parentElement.before(bar);
  }
})();
"""
