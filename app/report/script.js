// Tables that sort by a click on a heading. The page is whole without this.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const value = (row) => {
        const data = row.cells[column].querySelector("data");
        return data ? parseFloat(data.value) : row.cells[column].textContent;
      };
      const order = (a, b) => (typeof a === "number" && typeof b === "number"
        ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
      const last = (a) => Number.isNaN(a); // what is no number, a dash, either way
      const rows = [...body.rows].map((row) => [value(row), row]).sort(([a], [b]) => (last(a) || last(b)
        ? last(a) - last(b) : order(a, b) * (down ? -1 : 1))).map(([, row]) => row);
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}
// A button that stops all animations: the picture that paper gets takes their place. Where the system asks for less
// motion they stand still from the beginning.
const stills = document.querySelectorAll("picture > source");
if (stills.length > 0) {
  const button = document.createElement("button");
  let moving = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  const show = () => {
    for (const still of stills) still.media = moving ? "print" : "all";
    button.textContent = moving ? "Stop motion" : "Play motion";
  };
  button.className = "motion";
  button.type = "button";
  button.addEventListener("click", () => { moving = !moving; show(); });
  show();
  document.body.append(button);
}
