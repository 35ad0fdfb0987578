"use strict";
{
  const { films, sample_ms, said, words } = JSON.parse(document.getElementById("review-data").textContent);
  const video = document.querySelector("video");
  const figure = document.querySelector(".figure");
  const cursor = document.querySelector(".cursor");
  const readout = document.querySelector(".now");
  const list = document.querySelector(".list");
  const rows = [...document.querySelectorAll(".stretches tbody tr")];
  const starts = rows.map((row) => Number(row.dataset.start));
  let film = 0;

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

  function jump(ms) {
    const wanted = Math.max(0, lastUntil(film_starts, ms));
    if (wanted !== film) {
      const playing = !video.paused;
      film = wanted;
      video.src = films[film].url;
      if (playing) video.play();
    }
    video.currentTime = Math.max(0, ms - films[film].start_ms) / 1000;
  }

  const mark = document.body.dataset.separators[0];
  const clock = (ms) => {
    const [hours, minutes] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60];
    const seconds = ((ms % 60000) / 1000 - 0.005).toFixed(2).replace("-", "").replace(".", mark).padStart(5, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
  };

  function show() {
    const ms = now();
    const sample = lastUntil(sample_ms, ms);
    readout.textContent = clock(Math.floor(ms / 10) * 10 + 5) + (sample < 0 ? "" : ` · ${words.sample.replace("{number}", sample)} · ${said[sample]}`);
    const row = lastUntil(starts, ms);
    rows.forEach((one, place) => {
      const here = place === row && ms < Number(one.dataset.end);
      if (here && !one.hasAttribute("aria-current")) {
        one.setAttribute("aria-current", "true");
        // Not scrollIntoView: the page must stay where it is.
        if (one.offsetTop < list.scrollTop) list.scrollTop = one.offsetTop;
        else if (one.offsetTop + one.offsetHeight > list.scrollTop + list.clientHeight)
          list.scrollTop = one.offsetTop + one.offsetHeight - list.clientHeight;
      } else if (!here) one.removeAttribute("aria-current");
    });
    const { xaxis, _size } = figure._fullLayout;
    const x = xaxis.c2p(ms);
    cursor.hidden = x < 0 || x > xaxis._length;
    Object.assign(cursor.style, { left: `${xaxis._offset + x}px`, top: `${_size.t}px`, height: `${_size.h}px` });
  }

  function follow() {
    show();
    if (!video.paused) requestAnimationFrame(follow);
  }

  const step = (by) => {
    video.pause();
    const sample = lastUntil(sample_ms, now()) + by;
    if (sample >= 0 && sample < sample_ms.length) jump(sample_ms[sample]);
  };
  // Back leads to the start of this stretch first, unless one is there already.
  const stretch = (by) => {
    const ms = now();
    const place = by > 0 ? lastUntil(starts, ms) + 1 : lastUntil(starts, ms - 300);
    if (place >= 0 && place < starts.length) jump(starts[place]);
  };
  const actions = {
    play: () => (video.paused ? video.play() : video.pause()),
    back: () => step(-1),
    on: () => step(1),
    previous: () => stretch(-1),
    next: () => stretch(1),
  };
  const keys = { " ": "play", ArrowLeft: "back", ArrowRight: "on", "[": "previous", "]": "next" };

  document.addEventListener(
    "keydown",
    (event) => {
      const action = keys[event.key];
      const bracket = event.key === "[" || event.key === "]"; // some keyboards type it with Alt and Control
      if (!action || (!bracket && (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey))) return;
      if (event.key === " " && event.target.closest("button, a, summary")) return;
      event.preventDefault();
      event.stopPropagation();
      actions[action]();
    },
    true,
  );
  for (const button of document.querySelectorAll("[data-go]"))
    button.addEventListener("click", actions[button.dataset.go]);
  for (const row of rows) row.addEventListener("click", () => jump(Number(row.dataset.start)));
  figure.addEventListener("click", (event) => {
    const { xaxis, _size } = figure._fullLayout;
    const box = figure.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - xaxis._offset, event.clientY - box.top - _size.t];
    if (x >= 0 && x <= xaxis._length && y >= 0 && y <= _size.h) jump(xaxis.p2c(x));
  });
  figure.on("plotly_afterplot", show);
  video.addEventListener("play", follow);
  for (const name of ["timeupdate", "seeking", "seeked", "loadedmetadata"]) video.addEventListener(name, show);
  video.addEventListener("ended", () => {
    if (film + 1 < films.length) {
      jump(films[film + 1].start_ms);
      video.play();
    }
  });
  video.addEventListener("error", () => {
    document.querySelector(".unplayable").hidden = false;
  });
  // Other pages lead to a moment: S01.html#t=12.5
  const asked = () => {
    const seconds = Number(/^#t=([0-9.]+)$/.exec(location.hash)?.[1]);
    if (seconds >= 0) jump(1000 * seconds);
  };
  window.addEventListener("hashchange", asked);
  asked();
  show();
}
