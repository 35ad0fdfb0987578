"use strict";
// What a reader chooses on a page: kept in this browser, undone step by step, and saved as a table.

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// `valid` takes what was kept, and returns what still holds; `show` is called after each change, and is told
// whether the change was an undo.
function keepChoices(key, valid, show, words) {
  const said = document.getElementById("said");
  const before = [];
  const kept = { choices: {}, canUndo: () => before.length > 0, change, undo };
  let stored = null;
  let keeps = true;
  function tell() {
    keeps = false;
    document.getElementById("not-kept").hidden = false;
  }
  // Take over what is kept; returns whether another tab of this page has changed it.
  function follow() {
    if (!keeps) return false; // what is kept is older than what this page knows
    try {
      const now = localStorage.getItem(key);
      if (now === stored) return false;
      stored = now;
      kept.choices = valid(JSON.parse(now) ?? {});
      before.length = 0; // undoing would take back the other tab's choices
      return true;
    } catch {
      tell();
      return false;
    }
  }
  function store() {
    try {
      stored = Object.keys(kept.choices).length ? JSON.stringify(kept.choices) : null;
      if (stored === null) localStorage.removeItem(key);
      else localStorage.setItem(key, stored);
    } catch {
      tell();
    }
  }
  function after(text, undone = false) {
    store();
    show(undone);
    said.textContent = text;
  }
  // A change that can be undone; what it returns is announced.
  function change(make) {
    follow();
    const earlier = JSON.stringify(kept.choices);
    const text = make() ?? "";
    if (JSON.stringify(kept.choices) !== earlier) before.push(earlier);
    after(text);
  }
  function undo() {
    if (follow()) show(false);
    if (!before.length) return;
    kept.choices = JSON.parse(before.pop());
    after(words.undone, true);
  }
  follow();
  addEventListener("storage", () => follow() && show(false));
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
function downloadTable(file, separator, lines) {
  const cell = (text) => (/[,;"\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const text = lines.map((line) => `${line.map(cell).join(separator)}\r\n`).join("");
  const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  Object.assign(document.createElement("a"), { href: url, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
