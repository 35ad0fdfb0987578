"use strict";
{
  const page = JSON.parse(document.getElementById("preflight-data").textContent);
  const { columns, rows, words, fields } = page;
  const FIELDS = Object.keys(fields);
  const NEEDED = ["patient_id", "session_id", "consent"];
  const said = document.getElementById("said");
  const filter = document.getElementById("filter");
  const articles = [...document.querySelectorAll("article.recording")];
  const forms = [...document.querySelectorAll(".row")].map((element) => ({
    element,
    row: Number(element.dataset.row),
    inputs: [...element.querySelectorAll("[data-field]")],
  }));

  // What was changed, by row and column; the rest is as the list has it.
  const numbers = (region) => region.split(",").map(Number);
  const isAllowed = (field, text) =>
    FIELDS.includes(field) && typeof text === "string" && (field !== "patient_region" || !text || isSeat(numbers(text)));
  const valid = (kept) =>
    Object.fromEntries(
      Object.entries(kept)
        .filter(([row]) => rows[row])
        .map(([row, cells]) => [row, Object.fromEntries(Object.entries(cells).filter((cell) => isAllowed(...cell)))]),
    );
  const kept = keepChoices(page.key, valid, () => show(), words);
  const given = (row, field) => rows[row][columns.indexOf(field)];
  const cell = (row, field) => kept.choices[row]?.[field] ?? given(row, field);
  function setCell(row, field, text) {
    const cells = { ...kept.choices[row], [field]: text };
    if (text === given(row, field)) delete cells[field];
    kept.choices[row] = cells;
    if (!Object.keys(cells).length) delete kept.choices[row];
  }

  const ID = new RegExp(`^(?:${page.idPattern})$`);
  const DATE = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?$/;
  const isDate = (text) => DATE.test(text) && !Number.isNaN(Date.parse(text.replace(" ", "T")));
  const isWrong = (row, field) => {
    const text = cell(row, field);
    if (text === "") return false;
    // the list may have other forms of dates: `study check` judges it
    if (field === "recorded_at") return text !== given(row, field) && !isDate(text);
    return field.endsWith("_id") && (!ID.test(text) || page.reserved.includes(text.toLowerCase()));
  };
  // As others read it aloud: without capitals, accents, blanks and signs.
  const spoken = (text) => text.normalize("NFD").toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  const otherwise = (row) => {
    const own = cell(row, "condition");
    const others = rows.map((_, other) => cell(other, "condition"));
    return [...new Set(others)].filter((text) => text && own && text !== own && spoken(text) === spoken(own));
  };
  const missing = (row) => NEEDED.filter((field) => cell(row, field) === "" || isWrong(row, field));
  const names = (some) => some.map((field) => fields[field]).join(", ");

  for (const { element, row, inputs } of forms) {
    for (const input of inputs)
      input.addEventListener("change", () => kept.change(() => setCell(row, input.dataset.field, input.value.trim())));
  }
  const drawings = forms.map(({ element, row }) => {
    if (!element.querySelector(".still")) return null;
    const drawing = drawSeat(element, words, (region) =>
      kept.change(() => setCell(row, "patient_region", region ?? "")),
    );
    element.querySelector(".use").addEventListener("click", () =>
      kept.change(() => setCell(row, "patient_region", cell(row, "patient_region") ? "" : drawing.region())),
    );
    const first = element.querySelector("[data-region]");
    if (first) drawing.set(numbers(first.dataset.region));
    return drawing;
  });

  function showSeat({ element, row }, drawing) {
    const seat = cell(row, "patient_region");
    if (seat && drawing.region() !== seat) drawing.set(numbers(seat));
    const use = element.querySelector(".use");
    use.setAttribute("aria-pressed", String(seat !== ""));
    use.disabled = drawing.region() === null;
    element.classList.toggle("used", seat !== "");
    const free = drawing.region() === null ? words.empty : words.not_used;
    element.querySelector(".why").textContent = seat ? words.used : free;
  }
  function showForm({ element, row, inputs }, recordingsOf) {
    for (const input of inputs) {
      const text = cell(row, input.dataset.field);
      if (input.type === "radio") input.checked = input.value === text;
      else {
        input.value = text;
        input.setAttribute("aria-invalid", String(isWrong(row, input.dataset.field)));
      }
    }
    const left = missing(row);
    const emptied = page.listed ? FIELDS.filter((field) => given(row, field) && !cell(row, field)) : [];
    const others = recordingsOf(row);
    element.classList.toggle("complete", !left.length);
    const wrong = inputs.find((one) => isWrong(row, one.dataset.field))?.dataset.field;
    element.querySelector(".wrong-id").textContent =
      wrong === undefined ? "" : wrong === "recorded_at" ? words.wrong_date : words.wrong_id;
    const alike = otherwise(row);
    element.querySelector(".alike").textContent = alike.length ? fill(words.alike, { others: alike.join(", ") }) : "";
    element.querySelector(".still-missing").textContent = [
      left.length ? fill(words.missing, { fields: names(left) }) : words.complete,
      emptied.length ? fill(words.keeps, { fields: names(emptied) }) : "",
      others.length ? fill(words.same, { others: others.join(", ") }) : "",
    ]
      .filter(Boolean)
      .join(" ");
  }
  function showConditions() {
    const found = new Set(rows.map((_, row) => cell(row, "condition")).filter(Boolean));
    document.getElementById("conditions").replaceChildren(
      ...[...found].sort().map((value) => Object.assign(document.createElement("option"), { value })),
    );
  }
  const incomplete = (article) => [...article.querySelectorAll(".row:not(.complete)")].length > 0;
  function showFiltered() {
    const fits = (article) =>
      filter.value === "incomplete" ? incomplete(article) : !filter.value || article.dataset.verdict === filter.value;
    for (const article of articles) article.hidden = !fits(article);
    const shown = articles.filter((article) => !article.hidden).length;
    document.getElementById("shown").textContent = filter.value
      ? fill(words.shown, { shown, all: articles.length })
      : "";
  }
  function show() {
    const byIds = new Map();
    rows.forEach((_, row) => {
      const ids = JSON.stringify([cell(row, "patient_id"), cell(row, "session_id")]);
      if (cell(row, "patient_id") && cell(row, "session_id")) byIds.set(ids, [...(byIds.get(ids) ?? []), row]);
    });
    const recordingsOf = (row) =>
      (byIds.get(JSON.stringify([cell(row, "patient_id"), cell(row, "session_id")])) ?? [])
        .filter((other) => other !== row)
        .map((other) => given(other, "recording"));
    forms.forEach((form, place) => {
      showForm(form, recordingsOf);
      if (drawings[place]) showSeat(form, drawings[place]);
    });
    showConditions();
    const done = rows.filter((_, row) => !missing(row).length).length;
    document.getElementById("progress").textContent = fill(words.progress, { done, all: rows.length });
    document.getElementById("undo").disabled = !kept.canUndo();
  }
  // A spreadsheet would run such a text as a formula.
  const protect = (text) => (/^'*[=+\-@＝＋－＠\s]/.test(text) ? `'${text}` : text);
  function save() {
    const wrong = forms.flatMap(({ row, inputs }) => inputs.filter((input) => isWrong(row, input.dataset.field)))[0];
    if (wrong) {
      said.textContent = words.correct;
      wrong.closest("article").hidden = false;
      wrong.focus();
      return;
    }
    const lines = rows.map((texts, row) =>
      columns.map((name, place) => protect(FIELDS.includes(name) ? cell(row, name) : texts[place])),
    );
    downloadTable(page.file, page.separator, [columns, ...lines]);
    const left = rows.filter((_, row) => missing(row).length).length;
    said.textContent = fill(left ? words.saved_part : words.saved, { file: page.file, left });
  }

  document.getElementById("save").addEventListener("click", save);
  filter.addEventListener("change", showFiltered);
  for (const link of document.querySelectorAll(".glance a"))
    link.addEventListener("click", () => (document.querySelector(link.hash).hidden = false));
  for (const hidden of document.querySelectorAll(".bar, .clear, .sit, .filter")) hidden.hidden = false;
  show();
}
