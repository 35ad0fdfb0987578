"use strict";
// Plays a video beside its timeline. `player` is for the scripts that come after this one.
const player = (() => {
  const { films, said_ms, said, stops_ms, step_ms, plays, words } = JSON.parse(
    document.getElementById("player-data").textContent,
  );
  const video = document.querySelector("video");
  const figures = [...document.querySelectorAll(".with-cursor .figure")];
  const readout = document.querySelector(".now");
  const list = document.querySelector(".list");
  const rows = [...document.querySelectorAll("[data-start]")];
  const starts = stops_ms.map(([start]) => start);
  const all = document.querySelector("[data-go=all]");
  let film = 0;
  let playing = null; // which stop, while all are played one after the other

  // Half a millisecond: a player keeps its position a hair off the one it was given.
  const now = () => films[film].start_ms + 1000 * video.currentTime + 0.5;
  const lastUntil = (moments, ms) => {
    let [low, high] = [0, moments.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (moments[middle] <= ms) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };
  const film_starts = films.map((one) => one.start_ms);

  function seek(ms) {
    const wanted = Math.max(0, lastUntil(film_starts, ms));
    if (wanted !== film) {
      const playing = !video.paused;
      film = wanted;
      video.src = films[film].url;
      if (playing) play();
    }
    video.currentTime = Math.max(0, ms - films[film].start_ms) / 1000;
  }
  // A browser may refuse to play, or be told to seek before it has begun.
  const play = () => video.play().catch(() => {});
  function jump(ms) {
    playAll(null);
    seek(ms);
  }

  const mark = document.body.dataset.separators[0];
  const clock = (ms) => {
    const [hours, minutes] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60];
    const seconds = ((ms % 60000) / 1000 - 0.005).toFixed(2).replace("-", "").replace(".", mark).padStart(5, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
  };

  function playAll(stop) {
    playing = stop === null || stop >= starts.length ? null : stop;
    if (all) {
      const told = { place: playing + 1, all: starts.length };
      all.firstElementChild.textContent =
        playing === null ? words.all : words.stop.replace(/\{(\w+)\}/g, (_, name) => told[name]);
      all.setAttribute("aria-pressed", String(playing !== null));
    }
    if (playing !== null) {
      seek(starts[playing]);
      play();
    } else if (stop !== null) video.pause();
  }

  function show() {
    const ms = now();
    if (playing !== null && !video.seeking && ms >= stops_ms[playing][1]) playAll(playing + 1);
    const sample = lastUntil(said_ms, ms);
    const place = step_ms ? "" : ` · ${words.sample.replace("{number}", sample)}`;
    readout.textContent = clock(Math.floor(ms / 10) * 10 + 5) + (said[sample] ? `${place} · ${said[sample]}` : "");
    for (const one of rows) {
      const here = Number(one.dataset.start) <= ms && ms < Number(one.dataset.end);
      if (here && !one.hasAttribute("aria-current")) {
        one.setAttribute("aria-current", "true");
        // Not scrollIntoView: the page must stay where it is.
        if (list && one.offsetTop < list.scrollTop) list.scrollTop = one.offsetTop;
        else if (list && one.offsetTop + one.offsetHeight > list.scrollTop + list.clientHeight)
          list.scrollTop = one.offsetTop + one.offsetHeight - list.clientHeight;
      } else if (!here && one.hasAttribute("aria-current")) one.removeAttribute("aria-current");
    }
    for (const figure of figures) {
      const { xaxis, _size } = figure._fullLayout;
      const x = xaxis.c2p(ms);
      const cursor = figure.nextElementSibling;
      cursor.hidden = x < 0 || x > xaxis._length;
      Object.assign(cursor.style, { left: `${xaxis._offset + x}px`, top: `${_size.t}px`, height: `${_size.h}px` });
    }
  }

  function follow() {
    show();
    if (!video.paused) requestAnimationFrame(follow);
  }

  const step = (by) => {
    if (step_ms) return jump(Math.max(0, now() + by * step_ms));
    video.pause();
    const sample = lastUntil(said_ms, now()) + by;
    if (sample >= 0 && sample < said_ms.length) jump(said_ms[sample]);
  };
  // Back leads to the start of this stretch first, unless one is there already.
  const stop = (by) => {
    const ms = now();
    const place = by > 0 ? lastUntil(starts, ms) + 1 : lastUntil(starts, ms - 300);
    if (place >= 0 && place < starts.length) jump(starts[place]);
  };
  const actions = {
    play: () => (video.paused ? play() : video.pause()),
    back: () => step(-1),
    on: () => step(1),
    previous: () => stop(-1),
    next: () => stop(1),
    all: () => {
      if (playing === null) return playAll(0);
      playAll(null);
      video.pause();
    },
  };
  const keys = { " ": "play", ArrowLeft: "back", ArrowRight: "on", "[": "previous", "]": "next" };
  // A page for reading keeps its keys, as long as nobody works with the video.
  const isHere = (target) =>
    !plays || target.closest("#video, #markers") !== null || document.querySelector("#markers[open]") !== null;

  document.addEventListener(
    "keydown",
    (event) => {
      const action = keys[event.key];
      const bracket = event.key === "[" || event.key === "]"; // some keyboards type it with Alt and Control
      if (!action || (!bracket && (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey))) return;
      if (event.target.closest("input, select") || !isHere(event.target)) return;
      if (event.key === " " && event.target.closest("button, a, summary")) return;
      event.preventDefault();
      event.stopPropagation();
      actions[action]();
    },
    true,
  );
  for (const button of document.querySelectorAll("[data-go]"))
    button.addEventListener("click", actions[button.dataset.go]);
  for (const row of rows)
    row.addEventListener("click", () => {
      jump(Number(row.dataset.start));
      if (plays) play();
    });
  for (const figure of figures) {
    figure.addEventListener("click", (event) => {
      const { xaxis, _size } = figure._fullLayout;
      const box = figure.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left - xaxis._offset, event.clientY - box.top - _size.t];
      if (x >= 0 && x <= xaxis._length && y >= 0 && y <= _size.h) jump(xaxis.p2c(x));
    });
    figure.on("plotly_afterplot", show);
  }
  video.addEventListener("play", follow);
  for (const name of ["timeupdate", "seeking", "seeked", "loadedmetadata"]) video.addEventListener(name, show);
  video.addEventListener("ended", () => {
    if (playing !== null && film + 1 === films.length) playAll(playing + 1);
    else if (film + 1 < films.length) {
      seek(films[film + 1].start_ms);
      play();
    }
  });
  const tell = (wrong) => {
    document.querySelector(".unplayable").hidden = !wrong;
    video.hidden = wrong && films.length === 1;
  };
  video.addEventListener("error", () => tell(true));
  // Sound without a picture: the browser does not know how the picture is encoded.
  video.addEventListener("loadedmetadata", () => tell(!video.videoWidth));
  if (video.error) tell(true); // before this script ran
  // Other pages lead to a moment: S01.html#t=12.5
  const asked = () => {
    const seconds = Number(/^#t=([0-9.]+)$/.exec(location.hash)?.[1]);
    if (seconds >= 0) jump(1000 * seconds);
  };
  window.addEventListener("hashchange", asked);
  asked();
  show();
  return { now, jump, clock };
})();
