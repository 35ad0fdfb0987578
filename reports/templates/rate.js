"use strict";
// A rater's answers to clips: one clip at a time, by keys or buttons, and saved as a table.
{
  const data = JSON.parse(document.getElementById("rate-data").textContent);
  const { key, answers, graded, intensities, flags, words } = data;
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  // PBKDF2 and AES-GCM, as the program sealed the clips.
  async function opened({ salt, nonce, data: sealed, iterations }, password) {
    const secret = await crypto.subtle.importKey("raw", new TextEncoder().encode(password), "PBKDF2", false, ["deriveKey"]);
    const how = { name: "PBKDF2", hash: "SHA-256", salt: bytesOf(salt), iterations };
    const secretKey = await crypto.subtle.deriveKey(how, secret, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
    const clear = await crypto.subtle.decrypt({ name: "AES-GCM", iv: bytesOf(nonce) }, secretKey, bytesOf(sealed));
    return JSON.parse(new TextDecoder().decode(clear));
  }

  function start({ file, separator, columns, rows, films }) {
    const video = document.querySelector("video");
    const numbers = rows.map((row) => row[columns.indexOf("clip")]);
    const idOf = (place) => `${rows[place][columns.indexOf("draw")]} ${numbers[place]}`;
    const ids = rows.map((_, place) => idOf(place));
    let place = 0;
    let playing = -1;

    // Answers by draw and number of the clip: { code, intensity, flags }.
    const valid = (kept) =>
      Object.fromEntries(
        Object.entries(kept).filter(
          ([id, { code, intensity, flags: also = [] }]) =>
            ids.includes(id) &&
            (code === undefined || answers.includes(code)) &&
            (intensity === undefined || intensities.includes(intensity)) &&
            also.every((flag) => flags.includes(flag)),
        ),
      );
    const kept = keepChoices(key, valid, (undone) => show(undone), words);
    const { change, undo } = kept;
    let before = JSON.stringify(kept.choices);
    const choiceOf = (at) => kept.choices[ids[at]] ?? {};
    const isAnswered = (at) => choiceOf(at).code !== undefined;
    const answered = () => ids.filter((_, at) => isAnswered(at)).length;

    function put(values) {
      const choice = { ...choiceOf(place), ...values };
      for (const name of Object.keys(choice))
        if (choice[name] === undefined || choice[name].length === 0) delete choice[name];
      if (Object.keys(choice).length) kept.choices[ids[place]] = choice;
      else delete kept.choices[ids[place]];
    }
    // Neutral, and a face that can't be judged, have no strength.
    const isGraded = ({ code }) => code === undefined || graded.includes(code);
    const setCode = (code) =>
      change(() => put(isGraded({ code }) ? { code } : { code, intensity: undefined }));
    const setIntensity = (intensity) =>
      isGraded(choiceOf(place)) &&
      change(() => put({ intensity: choiceOf(place).intensity === intensity ? undefined : intensity }));
    const nextIntensity = () =>
      setIntensity(intensities[intensities.indexOf(choiceOf(place).intensity) + 1] ?? choiceOf(place).intensity);
    const toggle = (flag) =>
      change(() => {
        const also = choiceOf(place).flags ?? [];
        put({ flags: also.includes(flag) ? also.filter((one) => one !== flag) : [...also, flag] });
      });

    // After an undo, the clip whose answer has changed.
    function changedPlace() {
      const earlier = JSON.parse(before);
      before = JSON.stringify(kept.choices);
      const changed = ids.flatMap((id, at) =>
        JSON.stringify(earlier[id]) === JSON.stringify(kept.choices[id]) ? [] : [at],
      );
      return changed.length === 0 || changed.includes(place) ? place : changed[0];
    }

    function show(undone = false) {
      const changed = changedPlace();
      if (undone) place = changed;
      const { code, intensity, flags: also = [] } = choiceOf(place);
      const press = (button, is) => button.setAttribute("aria-pressed", String(is));
      for (const button of all("[data-code]")) press(button, button.dataset.code === code);
      for (const button of all("[data-intensity]")) {
        press(button, button.dataset.intensity === intensity);
        button.disabled = !isGraded(choiceOf(place));
      }
      for (const button of all("[data-flag]")) press(button, also.includes(button.dataset.flag));
      const told = { place: place + 1, all: ids.length, answered: answered() };
      byId("progress").textContent = fill(words.progress, told);
      byId("done").firstElementChild.style.width = `${(100 * answered()) / ids.length}%`;
      byId("undo").disabled = !kept.canUndo();
      byId("back").disabled = place === 0;
      byId("save").classList.toggle("main", answered() === ids.length);
      byId("next").classList.toggle("main", code !== undefined && answered() < ids.length);
      if (playing !== place) {
        playing = place;
        video.setAttribute("aria-label", fill(words.clip, told));
        video.src = `data:video/mp4;base64,${films[place]}`;
        video.play().catch(() => {});
      }
    }
    const tell = (text) => (byId("said").textContent = text);
    // A button that was clicked earlier would take the next Enter for itself, and change an answer.
    const letGo = () => document.activeElement.closest(".choices button")?.blur();
    function go(to) {
      place = to;
      letGo();
      tell("");
      show();
      byId("judge").scrollIntoView();
    }
    const leave = () => {
      if (!isAnswered(place)) return tell(words.choose);
      const left = ids.map((_, at) => (place + 1 + at) % ids.length).find((at) => !isAnswered(at));
      if (place + 1 < ids.length) go(place + 1);
      else if (left !== undefined) go(left);
      if (left === undefined) tell(words.none_left);
    };
    const back = () => place > 0 && go(place - 1);

    function save() {
      if (!answered()) return tell(words.nothing);
      const at = (name) => columns.indexOf(name);
      const now = new Date();
      const saved = new Date(now - 60000 * now.getTimezoneOffset()).toISOString().slice(0, 19);
      const lines = ids.flatMap((_, row) => {
        if (!isAnswered(row)) return [];
        const { code, intensity = "", flags: also = [] } = choiceOf(row);
        const line = [...rows[row]];
        Object.assign(line, { [at("code")]: code, [at("intensity")]: intensity, [at("saved_at")]: saved });
        for (const flag of flags) line[at(flag)] = also.includes(flag) ? "yes" : "";
        return [line];
      });
      downloadTable(file, separator, [columns, ...lines]);
      tell(fill(words.saved, { file, answered: answered(), all: ids.length }));
    }

    for (const button of all("[data-code]")) button.addEventListener("click", () => setCode(button.dataset.code));
    for (const button of all("[data-intensity]"))
      button.addEventListener("click", () => setIntensity(button.dataset.intensity));
    for (const button of all("[data-flag]")) button.addEventListener("click", () => toggle(button.dataset.flag));
    byId("next").addEventListener("click", leave);
    byId("back").addEventListener("click", back);
    byId("save").addEventListener("click", save);
    video.addEventListener("error", () => tell(words.not_playing));

    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, summary")) return;
      // by the place of the key: French keyboards write digits with the shift key
      const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code)?.[1] ?? event.key;
      const answer = all("[data-code]").find((button) => button.querySelector("kbd").textContent === digit);
      const letter = event.key.toLowerCase(); // also with caps lock
      const flag = all("[data-flag]").find((button) => button.dataset.key === letter);
      const onButton = event.target.closest("button");
      if (answer || flag || letter === "i" || letter === "u") letGo();
      if (answer) setCode(answer.dataset.code);
      else if (flag) toggle(flag.dataset.flag);
      else if (letter === "i") nextIntensity();
      else if (letter === "u") undo();
      else if (letter === "p") video.paused ? video.play() : video.pause();
      else if (event.key === "ArrowLeft" && event.target !== video) back();
      else if (event.key === "ArrowRight" && event.target !== video) leave();
      // on a button that is pressed already, Enter means to go on
      else if (event.key === "Enter" && (!onButton || onButton.getAttribute("aria-pressed") === "true")) leave();
      else return;
      event.preventDefault();
    });

    for (const hidden of all(".bar, #judge, .clear")) hidden.hidden = false;
    document.querySelector(".how").open = answered() === 0;
    place = Math.max(ids.findIndex((_, at) => !isAnswered(at)), 0);
    show();
  }

  if (data.sealed === null) start(JSON.parse(data.clips));
  else
    byId("unlock").addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const clips = await opened(data.sealed, byId("password").value.trim());
        byId("unlock").hidden = true;
        start(clips);
      } catch {
        byId("refused").textContent = words.wrong_password;
      }
    });
}
