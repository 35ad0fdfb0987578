"use strict";
{
  // Without this script everything is listed; with it, what does not match is hidden.
  const form = document.getElementById("filter");
  const { text, patient, condition, state } = form.elements;
  const found = document.getElementById("found");
  const clear = form.querySelector("[type=reset]");
  const patients = [...document.querySelectorAll(".patient")].map((element) => {
    const details = element.querySelector("details");
    const summary = element.querySelector("summary");
    const rows = [...element.querySelectorAll("tbody tr")].map((row) => {
      const shown = row.querySelector(".state");
      return {
        row,
        words: [row.cells[0], row.querySelector(".condition"), shown].map((cell) => cell?.textContent).join(" ").toLowerCase(),
        states: [...shown.classList, row.hasAttribute("data-needed") ? "needed" : ""],
        kind: row.querySelector(".condition")?.textContent,
      };
    });
    return { element, details, open: details.open, id: element.dataset.id, rows, summary, all: summary.textContent };
  });

  const find = () => {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const isChosen = [patient, condition, state].some((field) => field?.value);
    const isFiltered = isChosen || wanted.length > 0;
    let people = 0;
    let sessions = 0;
    for (const { element, details, open, id, rows, summary, all } of patients) {
      const name = id.toLowerCase();
      const isOther = patient.value && patient.value !== id;
      let hits = 0;
      for (const { row, words, states, kind } of rows) {
        row.hidden =
          isOther ||
          (condition?.value && kind !== condition.selectedOptions[0].textContent) ||
          (state.value && !states.includes(state.value)) ||
          !wanted.every((word) => name.includes(word) || words.includes(word));
        hits += !row.hidden;
      }
      element.hidden = !hits;
      const part = found.dataset.part.replace("{shown}", hits).replace("{all}", rows.length);
      summary.textContent = hits === rows.length ? all : part;
      people += hits > 0;
      sessions += hits;
      // Whoever looks for sessions wants to see them, and whoever searches for a patient does not.
      details.open = open || Boolean(hits && (isChosen || !wanted.every((word) => name.includes(word))));
    }
    const { one, same, many, nothing } = found.dataset;
    const said = sessions === 0 ? nothing : sessions === 1 ? one : people === 1 ? same : many;
    clear.hidden = !isFiltered;
    found.textContent = isFiltered ? said.replace("{sessions}", sessions).replace("{patients}", people) : "";
  };

  // The address keeps the filter: for a reload, a bookmark, and the way back from a session's page.
  const remember = () => {
    const kept = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    history.replaceState(null, "", `#${kept}`);
  };
  const recall = () => {
    const kept = new URLSearchParams(location.hash.slice(1));
    for (const field of [text, patient, condition, state]) {
      if (!field) continue;
      field.value = kept.get(field.name) ?? "";
      // a patient or a state that is no longer there
      if (field.selectedIndex === -1) field.value = "";
    }
    find();
  };
  const update = () => {
    find();
    remember();
  };

  let waiting;
  text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(update, 120);
  });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    text.value = "";
    update();
  });
  form.addEventListener("change", update);
  form.addEventListener("reset", () => setTimeout(update));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.querySelector(".patient:not([hidden]) a")?.focus();
  });
  addEventListener("hashchange", recall);
  form.hidden = false;
  recall();

  const copied = document.getElementById("copied");
  for (const button of document.querySelectorAll(".command button")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const command = button.parentElement.querySelector("code");
      // what is selected can be copied by hand where a browser refuses
      getSelection().selectAllChildren(command);
      try {
        await navigator.clipboard.writeText(command.textContent);
      } catch {
        if (!document.execCommand("copy")) return;
      }
      copied.textContent = "";
      copied.textContent = button.dataset.copied;
      button.classList.add("done");
    });
  }
}
