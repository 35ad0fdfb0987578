"use strict";
{
  const { key, file, separator, columns, rows, with: seenWith, sessions, roles, words } = JSON.parse(
    document.getElementById("people-data").textContent,
  );
  const [ROLE, APPROVED, NUMBER, SEAT] = ["role", "approved", "person", "patient_region"].map((name) =>
    columns.indexOf(name),
  );
  const said = document.getElementById("said");
  const people = [...document.querySelectorAll(".person")];
  const elementOf = new Map(people.map((element) => [Number(element.dataset.row), element]));
  const sessionOf = new Map(sessions.flatMap((session, place) => session.rows.map((row) => [row, place])));
  const numbersOf = (some) => some.map((row) => rows[row][NUMBER]).join(", ");

  // What was chosen, by row: { role, approved, same }, and in a session's first row { seat }. No name is kept.
  const valid = (kept) =>
    Object.fromEntries(
      Object.entries(kept).filter(
        ([row, { role, same, seat }]) =>
          rows[row] &&
          (role === undefined || roles.includes(role)) &&
          (same === undefined || rows[same]) &&
          (seat === undefined || isSeat(seat.split(",").map(Number))),
      ),
    );
  const kept = keepChoices(key, valid, () => show(), words);
  const { change, undo } = kept;
  const put = (row, values) => {
    kept.choices[row] = { ...kept.choices[row], ...values };
    if (kept.choices[row].role === rows[row][ROLE]) delete kept.choices[row].role;
    if (roleOf(row) === "unknown") delete kept.choices[row].approved;
    if (!Object.keys(kept.choices[row]).length) delete kept.choices[row];
  };

  const roleOf = (row) => kept.choices[row]?.role ?? rows[row][ROLE];
  const isChosen = (row) => kept.choices[row]?.role !== undefined || kept.choices[row]?.approved === true;
  const patientsOf = (session) => session.rows.filter((row) => roleOf(row) === "patient");
  // Whoever approves one of a session's patients approves all of them: the page shows them as one.
  const isSettled = (session) => patientsOf(session).some(isChosen);
  const isApproved = (session) => session.rows.some((row) => kept.choices[row]?.approved);
  const canApprove = (session) =>
    patientsOf(session).length > 0 || session.rows.every((row) => roleOf(row) !== "unknown");
  const seatOf = (session) => kept.choices[session.rows[0]]?.seat;
  // Who the patient is was said by name, or that the patient is nobody of those seen.
  const isNamed = (session) => isSettled(session) || isApproved(session);
  const isChecked = (session) =>
    isSettled(session) || seatOf(session) !== undefined || (isApproved(session) && canApprove(session));
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
        const same = kept.choices[mate]?.same;
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
    const session = sessions[sessionOf.get(row)];
    const dropped = dropSeat(session);
    // Two people in one picture are not both the patient.
    const wrong = patientsOf(session).filter(
      (other) => !group.includes(other) && areSeenTogether(group, groupOf(other)),
    );
    for (const one of new Set(wrong.flatMap(groupOf))) put(one, { role: "unknown" });
    if (wrong.length) return fill(words.seen_together, { others: numbersOf(wrong), people: numbersOf(group) });
    return dropped;
  }
  function setSame(row, other) {
    if (other === undefined) {
      for (const [one, choice] of Object.entries(kept.choices))
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
    const dropped = on ? dropSeat(session) : "";
    for (const row of session.rows)
      if (on && roleOf(row) !== "unknown") put(row, { approved: true });
      else if (kept.choices[row]) {
        delete kept.choices[row].approved;
        put(row, {});
      }
    return dropped;
  }
  function setSeat(session, region) {
    const [first] = session.rows;
    if (region !== null) put(first, { seat: region });
    else if (kept.choices[first]) {
      delete kept.choices[first].seat;
      put(first, {});
    }
  }
  // Who is named by a person is the patient, wherever they sit.
  function dropSeat(session) {
    if (seatOf(session) === undefined) return "";
    setSeat(session, null);
    return words.seat_dropped;
  }

  function show() {
    for (const session of sessions) for (const row of session.rows) showPerson(row, session);
    sessions.forEach((session, place) => showSession(session, document.getElementById(`session-${place}`)));
    sessions.forEach(showSeat);
    const all = sessions.filter((session) => session.check);
    const left = all.filter((session) => !isChecked(session)).length;
    const chosen = rows.filter((_, row) => counts(row)).length + sessions.filter(seatOf).length;
    document.getElementById("progress").textContent = [
      left ? fill(words.progress, { left, all: all.length }) : words.none_left,
      ...(chosen ? [fill(words.chosen, { count: chosen })] : []),
    ].join(" · ");
    document.getElementById("undo").disabled = !kept.canUndo();
  }
  function showPerson(row, session) {
    const element = elementOf.get(row);
    const role = roleOf(row);
    element.dataset.role = role;
    element.classList.toggle("chosen", counts(row));
    for (const button of element.querySelectorAll("[data-role]"))
      button.setAttribute("aria-pressed", String(button.dataset.role === role));
    if (!element.querySelector(".choose")) return; // nobody was found: there is no role to choose
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
    select.value = kept.choices[row]?.same ?? linked ?? "";
    element.querySelector(".same").hidden = !mates.length;
  }
  function showSession(session, element) {
    const patients = patientsOf(session);
    const button = element.querySelector(".approve");
    button.textContent = !canApprove(session)
      ? words.approve_not_yet
      : patients.length
        ? fill(words.approve, { people: numbersOf(patients) })
        : session.rows.some((row) => rows[row][NUMBER])
          ? words.approve_nobody
          : words.approve_empty;
    button.disabled = !canApprove(session);
    button.setAttribute("aria-pressed", String(isApproved(session) && canApprove(session)));
    const state = element.querySelector(".identity");
    state.dataset.was ??= state.textContent;
    const checked = seatOf(session) === undefined ? words.checked : words.checked_by_seat;
    state.textContent = isChecked(session) ? checked : state.dataset.was;
    state.classList.toggle("checked", isChecked(session));
  }

  function save() {
    const lines = rows.map((row, place) =>
      row.map((text, column) => {
        if (column === ROLE) return roleOf(place);
        if (column === SEAT) return seatOf(sessions[sessionOf.get(place)]) ?? "";
        return column === APPROVED && counts(place) ? "yes" : text;
      }),
    );
    if (!rows.some((_, row) => counts(row)) && !sessions.some(seatOf)) {
      said.textContent = words.nothing;
      return;
    }
    downloadTable(file, separator, [columns, ...lines]);
    said.textContent = fill(words.saved, { file });
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
    const role = person?.querySelectorAll("[data-role]")[Number(event.key) - 1]?.dataset.role;
    if (step) move(step);
    else if (event.key === "u") undo();
    else if (role) change(() => setRole(row, role));
    else if (person && event.key === "a") approveHere(row);
    else return;
    event.preventDefault();
  });

  for (const [row, element] of elementOf) {
    for (const button of element.querySelectorAll("[data-role]"))
      button.addEventListener("click", () => change(() => setRole(row, button.dataset.role)));
    const select = element.querySelector("select");
    select?.addEventListener("change", () =>
      change(() => setSame(row, select.value === "" ? undefined : Number(select.value))),
    );
  }
  for (const element of document.querySelectorAll(".session")) {
    const session = sessions[Number(element.dataset.session)];
    const button = element.querySelector(".approve");
    button.addEventListener("click", () => change(() => approve(session, !isApproved(session))));
  }
  document.getElementById("save").addEventListener("click", save);

  // Where the patient sits. In a session to check, whoever sits there can be made the patient.
  const drawings = sessions.map((session, place) => {
    const element = document.querySelector(`#session-${place} .seat`);
    if (!element) return null;
    const drawing = drawSeat(element, words, (region) => {
      if (session.check && !isNamed(session)) change(() => setSeat(session, region));
    });
    element.querySelector(".use")?.addEventListener("click", () =>
      change(() => setSeat(session, seatOf(session) === undefined ? drawing.region() : null)),
    );
    // At first the place of whoever is the patient.
    element.addEventListener("toggle", () => {
      if (!element.open || drawing.region() !== null) return;
      const patient = patientsOf(session)[0];
      const number = patient === undefined ? "" : rows[patient][NUMBER];
      const button = element.querySelector(`[data-person="${number}"]`);
      if (button) drawing.set(button.dataset.region.split(","));
      show();
    });
    return drawing;
  });
  function showSeat(session, place) {
    const drawing = drawings[place];
    const button = document.querySelector(`#session-${place} .use`);
    if (!drawing || !button) return;
    const seat = seatOf(session);
    if (seat !== undefined && drawing.region() !== seat) drawing.set(seat.split(","));
    button.setAttribute("aria-pressed", String(seat !== undefined));
    button.disabled = isNamed(session) || drawing.region() === null;
    button.closest(".seat").classList.toggle("used", seat !== undefined);
    document.querySelector(`#session-${place} .why`).textContent = isNamed(session)
      ? words.seat_named
      : words.seat_means;
  }

  for (const hidden of document.querySelectorAll(".keys, .bar, .choose, .approval, .clear, .sit")) hidden.hidden = false;
  show();
}
