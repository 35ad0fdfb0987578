"use strict";
{
  const { key, file, columns, rows, with: seenWith, sessions, roles, words } = JSON.parse(
    document.getElementById("people-data").textContent,
  );
  const [ROLE, APPROVED, NUMBER] = ["role", "approved", "person"].map((name) => columns.indexOf(name));
  const said = document.getElementById("said");
  const people = [...document.querySelectorAll(".person")];
  const elementOf = new Map(people.map((element) => [Number(element.dataset.row), element]));
  const sessionOf = new Map(sessions.flatMap((session, place) => session.rows.map((row) => [row, place])));
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const numbersOf = (some) => some.map((row) => rows[row][NUMBER]).join(", ");

  // What was chosen, by row: { role, approved, same }. Nothing else is kept, and no name.
  let choices = {};
  const before = [];
  const valid = (kept) =>
    Object.fromEntries(
      Object.entries(kept).filter(
        ([row, { role, same }]) =>
          rows[row] && (role === undefined || roles.includes(role)) && (same === undefined || rows[same]),
      ),
    );
  try {
    choices = valid(JSON.parse(localStorage.getItem(key)) ?? {});
  } catch {
    document.getElementById("not-kept").hidden = false;
  }
  const keep = () => {
    try {
      if (Object.keys(choices).length) localStorage.setItem(key, JSON.stringify(choices));
      else localStorage.removeItem(key);
    } catch {
      document.getElementById("not-kept").hidden = false;
    }
  };
  // A change that can be undone; what it returns is announced.
  const change = (make) => {
    const earlier = JSON.stringify(choices);
    const text = make() ?? "";
    if (JSON.stringify(choices) !== earlier) before.push(earlier);
    keep();
    show();
    said.textContent = text;
  };
  const put = (row, values) => {
    choices[row] = { ...choices[row], ...values };
    if (choices[row].role === rows[row][ROLE]) delete choices[row].role;
    if (roleOf(row) === "unknown") delete choices[row].approved;
    if (!Object.keys(choices[row]).length) delete choices[row];
  };

  const roleOf = (row) => choices[row]?.role ?? rows[row][ROLE];
  const isChosen = (row) => choices[row]?.role !== undefined || choices[row]?.approved === true;
  const patientsOf = (session) => session.rows.filter((row) => roleOf(row) === "patient");
  // Whoever approves one of a session's patients approves all of them: the page shows them as one.
  const isSettled = (session) => patientsOf(session).some(isChosen);
  const isApproved = (session) => session.rows.some((row) => choices[row]?.approved);
  const canApprove = (session) =>
    patientsOf(session).length > 0 || session.rows.every((row) => roleOf(row) !== "unknown");
  const isChecked = (session) => isSettled(session) || (isApproved(session) && canApprove(session));
  const counts = (row) => {
    const session = sessions[sessionOf.get(row)];
    return isChosen(row) || (roleOf(row) === "patient" && isSettled(session));
  };

  // Rows that are the same person, by what was chosen.
  function groupOf(row) {
    const group = new Set([row]);
    const mates = sessions[sessionOf.get(row)].rows;
    for (let size = 0; size !== group.size; ) {
      size = group.size;
      for (const mate of mates) {
        const same = choices[mate]?.same;
        if (same !== undefined && (group.has(mate) || group.has(same))) group.add(mate).add(same);
      }
    }
    return [...group];
  }
  const areSeenTogether = (some, others) => some.some((row) => others.some((other) => seenWith[row].includes(other)));

  function setRole(row, role) {
    const group = groupOf(row);
    for (const one of group) put(one, { role });
    if (role !== "patient") return;
    // Two people in one picture are not both the patient.
    const wrong = patientsOf(sessions[sessionOf.get(row)]).filter(
      (other) => !group.includes(other) && areSeenTogether(group, groupOf(other)),
    );
    for (const one of new Set(wrong.flatMap(groupOf))) put(one, { role: "unknown" });
    if (wrong.length) return fill(words.seen_together, { others: numbersOf(wrong), people: numbersOf(group) });
  }
  function setSame(row, other) {
    if (other === undefined) {
      for (const [one, choice] of Object.entries(choices))
        if (Number(one) === row || choice.same === row) {
          delete choice.same;
          put(one, {});
        }
      return;
    }
    const role = roleOf(other);
    put(row, { same: other });
    return setRole(row, role);
  }
  function approve(session, on) {
    for (const row of session.rows)
      if (on && roleOf(row) !== "unknown") put(row, { approved: true });
      else if (choices[row]) {
        delete choices[row].approved;
        put(row, {});
      }
  }

  function show() {
    for (const session of sessions) for (const row of session.rows) showPerson(row, session);
    sessions.forEach((session, place) => showSession(session, document.getElementById(`session-${place}`)));
    const all = sessions.filter((session) => session.check);
    const left = all.filter((session) => !isChecked(session)).length;
    const chosen = rows.filter((_, row) => counts(row)).length;
    document.getElementById("progress").textContent = [
      left ? fill(words.progress, { left, all: all.length }) : words.none_left,
      ...(chosen ? [fill(words.chosen, { count: chosen })] : []),
    ].join(" · ");
    document.getElementById("undo").disabled = !before.length;
  }
  function showPerson(row, session) {
    const element = elementOf.get(row);
    const role = roleOf(row);
    element.dataset.role = role;
    element.classList.toggle("chosen", counts(row));
    for (const button of element.querySelectorAll("[data-role]"))
      button.setAttribute("aria-pressed", String(button.dataset.role === role));
    element.querySelector(".now").textContent = element.querySelector(`[data-role="${role}"]`).textContent;
    const group = groupOf(row);
    const mates = session.rows.filter((mate) => mate !== row && !areSeenTogether(group, groupOf(mate)));
    const linked = group.find((mate) => mate !== row);
    const select = element.querySelector("select");
    const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });
    select.replaceChildren(
      option("", words.nobody),
      ...mates.map((mate) => option(mate, fill(words.person, { number: rows[mate][NUMBER] }))),
    );
    select.value = choices[row]?.same ?? linked ?? "";
    element.querySelector(".same").hidden = !mates.length;
  }
  function showSession(session, element) {
    const patients = patientsOf(session);
    const button = element.querySelector(".approve");
    button.textContent = !canApprove(session)
      ? words.approve_not_yet
      : patients.length
        ? fill(words.approve, { people: numbersOf(patients) })
        : words.approve_nobody;
    button.disabled = !canApprove(session);
    button.setAttribute("aria-pressed", String(isApproved(session) && canApprove(session)));
    const state = element.querySelector(".identity");
    state.dataset.was ??= state.textContent;
    state.textContent = isChecked(session) ? words.checked : state.dataset.was;
    state.classList.toggle("checked", isChecked(session));
  }

  // As Python's csv writes it: a cell is quoted where it holds a mark of the format.
  const cell = (text) => (/[;"\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  function save() {
    const lines = rows.map((row, place) =>
      row.map((text, column) => {
        if (column === ROLE) return roleOf(place);
        return column === APPROVED && counts(place) ? "yes" : text;
      }),
    );
    if (!rows.some((_, row) => counts(row))) {
      said.textContent = words.nothing;
      return;
    }
    const text = [columns, ...lines].map((line) => `${line.map(cell).join(";")}\r\n`).join("");
    const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
    Object.assign(document.createElement("a"), { href: url, download: file }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    said.textContent = fill(words.saved, { file });
  }
  function undo() {
    if (!before.length) return;
    choices = JSON.parse(before.pop());
    keep();
    show();
    said.textContent = words.undone;
  }

  // Where the keyboard is.
  const isSeen = (element) => !element.closest("details:not([open])");
  function move(by) {
    const seen = people.filter(isSeen);
    const here = seen.indexOf(document.activeElement?.closest(".person"));
    const next = here < 0 ? 0 : here + by;
    seen[Math.min(Math.max(next, 0), seen.length - 1)]?.focus();
  }
  function approveHere(row) {
    const place = sessionOf.get(row);
    if (!canApprove(sessions[place])) return;
    change(() => approve(sessions[place], true));
    const last = people.indexOf(elementOf.get(sessions[place].rows.at(-1)));
    people.slice(last + 1).find(isSeen)?.focus();
  }
  document.addEventListener("keydown", (event) => {
    if (!document.getElementById("keys").checked || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.closest("select, input, summary, .seat")) return;
    const person = event.target.closest(".person");
    const row = Number(person?.dataset.row);
    const step = { j: 1, k: -1, ...(person && { ArrowDown: 1, ArrowUp: -1 }) }[event.key];
    const role = /^[1-9]$/.test(event.key) ? roles[Number(event.key) - 1] : undefined;
    if (step) move(step);
    else if (event.key === "u") undo();
    else if (person && role) change(() => setRole(row, role));
    else if (person && event.key === "a") approveHere(row);
    else return;
    event.preventDefault();
  });

  for (const [row, element] of elementOf) {
    for (const button of element.querySelectorAll("[data-role]"))
      button.addEventListener("click", () => change(() => setRole(row, button.dataset.role)));
    const select = element.querySelector("select");
    select.addEventListener("change", () =>
      change(() => setSame(row, select.value === "" ? undefined : Number(select.value))),
    );
  }
  for (const element of document.querySelectorAll(".session")) {
    const session = sessions[Number(element.dataset.session)];
    const button = element.querySelector(".approve");
    button.addEventListener("click", () => change(() => approve(session, !isApproved(session))));
  }
  document.getElementById("undo").addEventListener("click", undo);
  document.getElementById("save").addEventListener("click", save);
  document.getElementById("clear").addEventListener("click", () =>
    change(() => {
      choices = {};
      return words.deleted;
    }),
  );

  // Where the patient sits: a rectangle that is drawn, typed or proposed.
  for (const seat of document.querySelectorAll(".seat")) {
    const still = seat.querySelector(".still");
    const frame = seat.querySelector(".region");
    const edges = [...seat.querySelectorAll(".edges input")];
    const line = seat.querySelector(".line input");
    const wrong = seat.querySelector(".wrong");
    const showRegion = () => {
      const [left, top, right, bottom] = edges.map((edge) => (edge.value === "" ? NaN : Number(edge.value)));
      const good = left >= 0 && top >= 0 && left < right && top < bottom && right <= 100 && bottom <= 100;
      const all = edges.every((edge) => edge.value !== "" || edge.validity.badInput);
      wrong.textContent = good || !all ? "" : words.wrong_region;
      frame.hidden = seat.querySelector(".line").hidden = !good;
      if (!good) return;
      line.value = [left, top, right, bottom].join(",");
      Object.assign(frame.style, {
        left: `${left}%`,
        top: `${top}%`,
        width: `${right - left}%`,
        height: `${bottom - top}%`,
      });
    };
    const set = (values) => {
      edges.forEach((edge, place) => (edge.value = values[place]));
      showRegion();
    };
    let from = null;
    const at = (event) => {
      const box = still.getBoundingClientRect();
      const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      return share.map((one) => Math.round(100 * Math.min(Math.max(one, 0), 1)));
    };
    still.addEventListener("pointerdown", (event) => {
      from = at(event);
      still.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    still.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = at(event);
      const [x, y] = [0, 1].map((axis) => [from[axis], to[axis]].sort((one, other) => one - other));
      if (x[0] < x[1] && y[0] < y[1]) set([x[0], y[0], x[1], y[1]]);
    });
    for (const name of ["pointerup", "pointercancel"]) still.addEventListener(name, () => (from = null));
    for (const edge of edges) edge.addEventListener("input", showRegion);
    for (const button of seat.querySelectorAll("[data-region]"))
      button.addEventListener("click", () => set(button.dataset.region.split(",")));
    line.addEventListener("focus", () => line.select());
    // At first the place of whoever is the patient.
    seat.addEventListener("toggle", () => {
      if (!seat.open || edges.some((edge) => edge.value !== "")) return;
      const session = sessions[Number(seat.closest(".session").dataset.session)];
      const patient = patientsOf(session)[0];
      const button = patient === undefined ? null : seat.querySelector(`[data-person="${rows[patient][NUMBER]}"]`);
      if (button) set(button.dataset.region.split(","));
    });
  }

  for (const hidden of document.querySelectorAll(".keys, .bar, .choose, .approval, .clear")) hidden.hidden = false;
  show();
}
