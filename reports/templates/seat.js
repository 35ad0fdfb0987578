"use strict";
// A seat is a rectangle on a picture: drawn with the mouse or a finger, moved with the arrow keys, resized with
// Shift and the arrow keys, typed, or proposed. Its edges are in % of the picture with at most one decimal, as
// in the column patient_region of a list.

const LEAST = 2;
const FIRST = [40, 40, 60, 60];
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const tenth = (number) => Math.round(10 * number) / 10;
const within = (number, low, high) => tenth(Math.min(Math.max(number, low), high));

function isSeat([left, top, right, bottom]) {
  return left >= 0 && top >= 0 && right - left >= LEAST && bottom - top >= LEAST && right <= 100 && bottom <= 100;
}
function moved([left, top, right, bottom], [x, y]) {
  const [toLeft, toTop] = [within(left + x, 0, 100 - right + left), within(top + y, 0, 100 - bottom + top)];
  return [toLeft, toTop, tenth(toLeft + right - left), tenth(toTop + bottom - top)];
}
function resized([left, top, right, bottom], [x, y]) {
  return [left, top, within(right + x, left + LEAST, 100), within(bottom + y, top + LEAST, 100)];
}
function between(one, other) {
  const [x, y] = [0, 1].map((axis) => [one[axis], other[axis]].sort((low, high) => low - high));
  return [x[0], y[0], x[1], y[1]];
}

// Lets the reader draw in `element`, from the template seat.html. `onChange` is called with the text of the
// rectangle, or with null, each time that the reader has drawn, moved, typed or taken a proposal.
function drawSeat(element, words, onChange) {
  const still = element.querySelector(".still");
  const frame = element.querySelector(".region");
  const edges = [...element.querySelectorAll(".edges input")];
  const line = element.querySelector(".line input");
  const wrong = element.querySelector(".wrong");

  const values = () => edges.map((edge) => (edge.value === "" ? NaN : Number(edge.value)));
  const region = () => (isSeat(values()) ? values().join(",") : null);
  function show() {
    const [left, top, right, bottom] = values();
    const good = region() !== null;
    const isTyped = edges.every((edge) => edge.value !== "" || edge.validity.badInput);
    wrong.textContent = good || !isTyped ? "" : words.wrong_region;
    frame.hidden = element.querySelector(".line").hidden = !good;
    if (!good) return;
    line.value = region();
    const place = { left, top, width: right - left, height: bottom - top };
    for (const [name, share] of Object.entries(place)) frame.style[name] = `${share}%`;
  }
  function set(numbers) {
    edges.forEach((edge, place) => (edge.value = numbers[place]));
    show();
  }
  function change(numbers) {
    set(numbers);
    onChange(region());
  }

  let from = null;
  let before = null;
  const at = (event) => {
    const box = still.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return share.map((one) => within(100 * one, 0, 100));
  };
  still.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    [from, before] = [at(event), region()];
    still.setPointerCapture(event.pointerId);
    still.focus({ preventScroll: true });
    event.preventDefault();
  });
  still.addEventListener("pointermove", (event) => {
    if (from && isSeat(between(from, at(event)))) set(between(from, at(event)));
  });
  for (const name of ["pointerup", "pointercancel"])
    still.addEventListener(name, () => {
      const isDrawn = from !== null && region() !== before;
      from = null;
      if (isDrawn) onChange(region());
    });
  still.addEventListener("keydown", (event) => {
    const by = KEYS[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (region() === null) change(FIRST);
    else change((event.shiftKey ? resized : moved)(values(), by));
  });
  for (const edge of edges) {
    edge.addEventListener("input", show);
    edge.addEventListener("change", () => onChange(region()));
  }
  for (const button of element.querySelectorAll("[data-region]"))
    button.addEventListener("click", () => change(button.dataset.region.split(",")));
  line.addEventListener("focus", () => line.select());
  return { region, set };
}
