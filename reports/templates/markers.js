"use strict";
// What a person marks beside the video: stretches and moments, kept in this browser and saved as a table.
{
  const { key, file, session, codes, columns, exclude, words } = JSON.parse(
    document.getElementById("markers-data").textContent,
  );
  const OWN_CODES = "emonext-marker-codes"; // the same words for every session
  const MAX_OWN = 9; // as many keys as there are digits
  const SAME_S = 0.1; // pressed twice at one place: taken back
  const byId = (id) => document.getElementById(id);
  const panel = byId("markers");
  const isOwn = (code) => /^[\p{L}\p{N}][^\p{C}]{0,63}$/u.test(code);
  const isTime = (time) => Number.isFinite(time) && time >= 0;

  // By number: { code, start } while it goes on, { code, start, end }, and with end null a moment; in seconds.
  const valid = (kept) =>
    Object.fromEntries(
      Object.entries(kept).filter(
        ([, { code, start, end }]) =>
          isOwn(String(code)) && isTime(start) && (end === undefined || end === null || (isTime(end) && end > start)),
      ),
    );
  const kept = keepChoices(key, valid, () => show(), words);
  const marks = () => Object.entries(kept.choices).sort(([, one], [, other]) => one.start - other.start);
  const openOf = (code) => marks().find(([, mark]) => mark.code === code && mark.end === undefined);

  function ownCodes() {
    let stored = [];
    try {
      stored = JSON.parse(localStorage.getItem(OWN_CODES)) ?? [];
    } catch {
      // a browser that keeps nothing: the codes of the markers remain
    }
    const known = codes.map(({ code }) => code);
    const used = marks().map(([, { code }]) => code);
    return [...new Set([...stored, ...used])].filter((code) => isOwn(code) && !known.includes(code));
  }
  let own = [];
  const wordOf = (code) => codes.find((one) => one.code === code)?.word ?? code;

  const here = () => Math.round(player.now() / 10) / 100;
  const clock = (time) => player.clock(1000 * time + 5);
  const span = ({ start, end }) =>
    end === undefined ? `${clock(start)}–…` : end === null ? clock(start) : `${clock(start)}–${clock(end)}`;

  function mark(code, isMoment) {
    kept.change(() => {
      const [word, time, open] = [wordOf(code), here(), openOf(code)];
      if (open && !isMoment) {
        const [id, { start }] = open;
        if (Math.abs(time - start) < SAME_S) {
          delete kept.choices[id];
          return fill(words.taken_back, { word });
        }
        kept.choices[id] = { code, start: Math.min(start, time), end: Math.max(start, time) };
        return fill(words.ended, { word, span: span(kept.choices[id]) });
      }
      const id = 1 + Math.max(0, ...Object.keys(kept.choices).map(Number));
      kept.choices[id] = isMoment && code !== exclude ? { code, start: time, end: null } : { code, start: time };
      const text = isMoment && code !== exclude ? words.marked : words.begun;
      return fill(text, { word, time: clock(time) });
    });
  }
  const isMoment = (event) => event.shiftKey || document.querySelector("[name=marks]:checked").value === "moment";

  function button(text, onClick, label) {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    if (label) made.setAttribute("aria-label", label);
    made.addEventListener("click", onClick);
    return made;
  }
  function codeButton({ code, key: letter, word }) {
    const made = button(` ${word}`, (event) => mark(code, isMoment(event)));
    if (letter) made.prepend(Object.assign(document.createElement("kbd"), { textContent: letter }));
    made.dataset.code = code;
    made.setAttribute("aria-pressed", String(openOf(code) !== undefined));
    return made;
  }
  const allCodes = () => [...codes, ...own.map((code, place) => ({ code, word: code, key: place < MAX_OWN ? String(place + 1) : "" }))];

  function show() {
    own = ownCodes();
    const buttons = byId("codes");
    const focused = document.activeElement?.dataset?.code;
    buttons.replaceChildren(...allCodes().map(codeButton));
    if (focused) [...buttons.children].find((one) => one.dataset.code === focused)?.focus();
    const rows = marks().map(([id, one]) => {
      const row = document.createElement("tr");
      const time = document.createElement("th");
      time.scope = "row";
      time.append(button(span(one), () => player.jump(1000 * one.start)));
      const what = document.createElement("td");
      what.textContent = wordOf(one.code);
      const drop = document.createElement("td");
      drop.append(
        button(words.drop, () => remove(id), fill(words.drop_one, { word: wordOf(one.code), span: span(one) })),
      );
      row.append(time, what, drop);
      return row;
    });
    byId("marked").replaceChildren(...rows);
    byId("marked").parentElement.hidden = rows.length === 0;
    byId("undo").disabled = !kept.canUndo();
  }
  function remove(id) {
    const place = marks().findIndex(([one]) => one === id);
    kept.change(() => {
      const gone = kept.choices[id];
      delete kept.choices[id];
      return gone ? fill(words.dropped, { word: wordOf(gone.code), span: span(gone) }) : "";
    });
    const left = byId("marked").rows;
    (left[Math.min(place, left.length - 1)]?.querySelector("td button") ?? byId("undo")).focus();
  }

  function addOwn(event) {
    event.preventDefault();
    const field = byId("own-code");
    const code = field.value.trim().replace(/\s+/g, " ");
    const same = allCodes().find((one) => [one.code, one.word].some((text) => text.toLowerCase() === code.toLowerCase()));
    if (!same && !isOwn(code)) return tell(words.no_code);
    if (!same) {
      try {
        localStorage.setItem(OWN_CODES, JSON.stringify([...own, code]));
      } catch {
        return tell(words.no_code_kept);
      }
    }
    field.value = "";
    show();
    [...byId("codes").children].find((one) => one.dataset.code === (same?.code ?? code))?.focus();
  }
  const tell = (text) => (byId("said").textContent = text);

  function save() {
    const ended = marks().filter(([, { end }]) => end !== undefined);
    const open = marks().find(([, { end }]) => end === undefined);
    if (open) return tell(fill(words.open, { word: wordOf(open[1].code), time: clock(open[1].start) }));
    if (!ended.length) return tell(words.nothing);
    const now = new Date();
    const saved_at = new Date(now - 60000 * now.getTimezoneOffset()).toISOString().slice(0, 19);
    const lines = ended.map(([, { code, start, end }]) => {
      const cells = { ...session, code, start_s: String(start), end_s: end === null ? "" : String(end), saved_at };
      return columns.map((name) => cells[name]);
    });
    downloadTable(file, ",", [columns, ...lines]);
    tell(fill(words.saved, { file, count: lines.length }));
  }

  byId("save").addEventListener("click", save);
  byId("own").addEventListener("submit", addOwn);
  byId("clear").addEventListener("click", () => {
    localStorage.removeItem(OWN_CODES);
    show();
  });
  addEventListener("storage", (event) => event.key === OWN_CODES && show());
  document.addEventListener("keydown", (event) => {
    if (!panel.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=radio])")) return;
    const letter = event.key.toLowerCase(); // also with caps lock
    // by the place of the key: French keyboards write digits with the shift key
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
    const one = allCodes().find(({ key: own_key }) => own_key && (own_key === letter || own_key === digit));
    if (one) mark(one.code, isMoment(event));
    else if (letter === "u") kept.undo();
    else return;
    event.preventDefault();
  });
  panel.hidden = false;
  panel.open = marks().length > 0;
  show();
}
