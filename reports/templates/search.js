"use strict";
{
  // Without this script everything is listed; with it, what does not match is hidden.
  const field = document.getElementById("search-field");
  const count = document.getElementById("search-count");
  const patients = [...document.querySelectorAll(".patient")].map((element) => ({
    element,
    id: element.dataset.words.toLowerCase(),
    sessions: [...element.querySelectorAll("tr[data-words]")].map((row) => [row, row.dataset.words.toLowerCase()]),
    details: element.querySelector("details"),
    open: element.querySelector("details").open,
  }));
  const find = () => {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let people = 0;
    let sessions = 0;
    for (const { element, id, sessions: rows, details, open } of patients) {
      let found = 0;
      for (const [row, words] of rows) {
        const hit = wanted.every((word) => id.includes(word) || words.includes(word));
        row.hidden = !hit;
        found += hit;
      }
      element.hidden = !found;
      people += found > 0;
      sessions += found;
      // Whoever searches for a session wants to see it, and whoever searches for a patient does not.
      details.open = wanted.length && found && !wanted.every((word) => id.includes(word)) ? true : open;
    }
    const { one, same, many, nothing } = count.dataset;
    const text = sessions === 0 ? nothing : sessions === 1 ? one : people === 1 ? same : many;
    count.textContent = wanted.length ? text.replace("{sessions}", sessions).replace("{patients}", people) : "";
  };
  let waiting;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(find, 120);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    field.value = "";
    find();
  });
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.querySelector(".patient:not([hidden]) a")?.focus();
  });
  document.getElementById("search").hidden = false;
}
