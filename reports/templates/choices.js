"use strict";
// What a reader chooses on a page: kept in this browser, undone step by step, and saved as a table.

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// `valid` takes what was kept, and returns what still holds; `show` is called after each change.
function keepChoices(key, valid, show, words) {
  const said = document.getElementById("said");
  const before = [];
  const kept = { choices: {}, canUndo: () => before.length > 0, change, undo };
  const tell = () => (document.getElementById("not-kept").hidden = false);
  try {
    kept.choices = valid(JSON.parse(localStorage.getItem(key)) ?? {});
  } catch {
    tell();
  }
  function store() {
    try {
      if (Object.keys(kept.choices).length) localStorage.setItem(key, JSON.stringify(kept.choices));
      else localStorage.removeItem(key);
    } catch {
      tell();
    }
  }
  function after(text) {
    store();
    show();
    said.textContent = text;
  }
  // A change that can be undone; what it returns is announced.
  function change(make) {
    const earlier = JSON.stringify(kept.choices);
    const text = make() ?? "";
    if (JSON.stringify(kept.choices) !== earlier) before.push(earlier);
    after(text);
  }
  function undo() {
    if (!before.length) return;
    kept.choices = JSON.parse(before.pop());
    after(words.undone);
  }
  // the page is open in another tab, which has stored a choice
  addEventListener("storage", (event) => {
    if (event.key !== key) return;
    kept.choices = valid(JSON.parse(event.newValue) ?? {});
    before.length = 0; // undoing would take back the other tab's choices
    show();
  });
  document.getElementById("undo").addEventListener("click", undo);
  document.getElementById("clear").addEventListener("click", () =>
    change(() => {
      kept.choices = {};
      return words.deleted;
    }),
  );
  return kept;
}

// As Python's csv writes it: a cell is quoted where it holds a mark of the format.
function downloadTable(file, lines) {
  const cell = (text) => (/[;"\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const text = lines.map((line) => `${line.map(cell).join(";")}\r\n`).join("");
  const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  Object.assign(document.createElement("a"), { href: url, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
