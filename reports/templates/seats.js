"use strict";
{
  const { key, file, separator, columns, rows, words } = JSON.parse(document.getElementById("seats-data").textContent);
  const SEAT = columns.indexOf("patient_region");
  const said = document.getElementById("said");
  const articles = [...document.querySelectorAll("article.seat")];

  // The drawn rectangle by row; null where one of the list was taken away.
  const numbers = (region) => region.split(",").map(Number);
  const valid = (kept) =>
    Object.fromEntries(
      Object.entries(kept).filter(([row, region]) => rows[row] && (region === null || isSeat(numbers(region)))),
    );
  const kept = keepChoices(key, valid, () => show(), words);
  const seatOf = (row) => (row in kept.choices ? kept.choices[row] : rows[row][SEAT] || null);
  const setSeat = (row, region) => {
    if (region === (rows[row][SEAT] || null)) delete kept.choices[row];
    else kept.choices[row] = region;
  };

  const drawings = articles.map((article) => {
    const row = Number(article.dataset.row);
    if (!article.querySelector(".still")) return null;
    const drawing = drawSeat(article, words, (region) => kept.change(() => setSeat(row, region)));
    const use = article.querySelector(".use");
    use.addEventListener("click", () =>
      kept.change(() => setSeat(row, seatOf(row) === null ? drawing.region() : null)),
    );
    const first = article.querySelector("[data-region]");
    if (first) drawing.set(numbers(first.dataset.region));
    return drawing;
  });

  function show() {
    articles.forEach((article, place) => {
      const drawing = drawings[place];
      if (!drawing) return;
      const seat = seatOf(Number(article.dataset.row));
      if (seat !== null && drawing.region() !== seat) drawing.set(numbers(seat));
      const use = article.querySelector(".use");
      use.setAttribute("aria-pressed", String(seat !== null));
      use.disabled = drawing.region() === null;
      article.classList.toggle("used", seat !== null);
      const free = drawing.region() === null ? words.empty : words.not_used;
      article.querySelector(".why").textContent = seat === null ? free : words.used;
    });
    const drawn = rows.filter((_, row) => seatOf(row) !== null).length;
    document.getElementById("progress").textContent = fill(words.progress, { drawn, all: rows.length });
    document.getElementById("undo").disabled = !kept.canUndo();
  }
  function save() {
    if (!rows.some((_, row) => seatOf(row) !== null)) {
      said.textContent = words.nothing;
      return;
    }
    const lines = rows.map((row, place) =>
      row.map((text, column) => (column === SEAT ? (seatOf(place) ?? "") : text)),
    );
    downloadTable(file, separator, [columns, ...lines]);
    said.textContent = fill(words.saved, { file });
  }

  document.getElementById("save").addEventListener("click", save);
  for (const hidden of document.querySelectorAll(".bar, .clear, .sit")) hidden.hidden = false;
  show();
}
