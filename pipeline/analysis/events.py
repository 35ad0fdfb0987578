"""Read a study's list of events, such as the begin of a song.

``events.csv`` has one line per event:

===============  ====================================================================
session_id       required (or ``session``)
time_s           required (or ``time``): s of the recording, ``mm:ss`` or ``h:mm:ss``
what             required: a short text; events with the same text are averaged
patient_id       if two patients have a session with the same id (or ``patient``)
===============  ====================================================================

The study's own columns begin with ``x_`` and are ignored.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from pipeline.errors import InputError
from pipeline.records import TIME_EPS_S, Ids
from pipeline.store.spreadsheet import (
    MAX_COLUMNS,
    Problem,
    column_of,
    plain,
    read_seconds,
    read_table,
    shown,
    why_repeated,
    why_share_of_day,
)

Parts = Sequence[tuple[float, float]]
"""Intervals (start, end), s."""

EVENTS_FILE = "events.csv"

_MAX_WHAT = 64
_REQUIRED = ("session_id", "time_s", "what")
_SAME = {"session": "session_id", "time": "time_s", "patient": "patient_id"}
_LEFT_ALONE = "x_"


@dataclass(frozen=True)
class Event:
    """:param time_s: s of the recording, from its start."""

    patient_id: str
    session_id: str
    time_s: float
    what: str

    @property
    def ids(self) -> Ids:
        return self.patient_id, self.session_id


def read_events(path: Path, parts: Mapping[Ids, Parts]) -> tuple[tuple[Event, ...], tuple[Problem, ...]]:
    """Read the events in the list's order, and all errors of the list.

    :param parts: session → the intervals of its recording that count.
    :raises InputError: the file can't be read as a list of events.
    """
    (_, header), *lines = read_table(path) or [(1, [])]
    names = [column_name(cell) for cell in header]
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        required = ", ".join(_REQUIRED)
        raise InputError(f"{path}: no column {shown(missing[0])}; begin the first line with {required}.")
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{path}: {len(names)} columns; leave at most {MAX_COLUMNS}.")
    problems = list(_header_problems(names, header))
    sessions = patients_by_session(parts)
    if found := why_share_of_day(column_of(lines, names.index("time_s"))):
        problems.append(Problem(lines[found[0]][0], "time_s", found[1]))
    events = []
    for number, cells in lines:
        if any(cell.strip() for cell in cells[len(names) :]):
            reason = 'more cells than the header has names; a cell that holds the separator needs quotes (").'
            problems.append(Problem(number, "", reason))
            continue
        # if two columns have the same name, use the first
        row = dict(reversed(list(zip_longest(names, map(plain, cells), fillvalue=""))))
        event = _read_event(number, row, sessions, parts)
        if isinstance(event, Event):
            events.append(event)
        else:
            problems += event
    if not lines:
        problems.append(Problem(2, "", "no event; write one line for each."))
    return tuple(events), tuple(problems)


def column_name(cell: str) -> str:
    """The column's name in this program, in lower case."""
    name = cell.strip().casefold()
    return _SAME.get(name, name)


def patients_by_session(ids: Iterable[Ids]) -> dict[str, list[str]]:
    sessions: dict[str, list[str]] = defaultdict(list)
    for patient_id, session_id in ids:
        sessions[session_id].append(patient_id)
    return sessions


def _header_problems(names: Sequence[str], header: Sequence[str]) -> list[Problem]:
    problems = []
    for place, name in enumerate(names):
        known = name in (*_REQUIRED, "patient_id")
        if known and (repeated := why_repeated(name, names[:place], header)):
            problems.append(Problem(1, name, repeated))
        elif name and not known and not name.startswith(_LEFT_ALONE):
            reason = f"no such column. Begin the names of your own columns with {_LEFT_ALONE}."
            problems.append(Problem(1, shown(name, quoted=False), reason))
    return problems


def _read_event(
    number: int, row: Mapping[str, str], sessions: Mapping[str, list[str]], parts: Mapping[Ids, Parts]
) -> Event | list[Problem]:
    problems = []
    patient_id, reason = patient_of(row, sessions)
    if reason:
        problems.append(Problem(number, "patient_id" if row.get("patient_id") else "session_id", reason))
    time_s = 0.0
    try:
        time_s = read_seconds(row["time_s"])
        own = parts.get((patient_id, row["session_id"]))
        outside = "" if own is None else why_outside(time_s, own)
        if outside:
            problems.append(Problem(number, "time_s", outside))
    except InputError as error:
        problems.append(Problem(number, "time_s", str(error)))
    what = row["what"]
    if not what:
        problems.append(Problem(number, "what", "empty; say what happened."))
    elif len(what) > _MAX_WHAT or not what.isprintable():
        problems.append(Problem(number, "what", f"write one line of at most {_MAX_WHAT} characters."))
    return problems or Event(patient_id, row["session_id"], time_s, what)


def why_outside(time_s: float, parts: Parts) -> str:
    """Why a moment lies outside a session; empty if it lies inside.

    :param parts: the intervals of the recording that count, s, in order.
    """
    if any(start_s - TIME_EPS_S <= time_s <= end_s + TIME_EPS_S for start_s, end_s in parts):
        return ""
    begin_s, end_s = parts[0][0], parts[-1][1]
    if time_s < begin_s:
        return f"{time_s:.10g} s is before the session's start, {begin_s:.10g} s."
    if time_s > end_s:
        return f"{time_s:.10g} s is after the session's end, {end_s:.10g} s."
    counted = ", ".join(f"{start_s:.10g} to {end_s:.10g} s" for start_s, end_s in parts)
    return f"{time_s:.10g} s is in a part of the session that does not count; what counts is {counted}."


def patient_of(row: Mapping[str, str], sessions: Mapping[str, list[str]]) -> tuple[str, str]:
    """The patient of the row's session, and an error if there is none or several.

    :param sessions: from :func:`patients_by_session`.
    """
    session, patient = row["session_id"], row.get("patient_id", "")
    of = sessions.get(session, [])
    if not session:
        return patient, "empty; give the session's id."
    if not of:
        return patient, f"there is no session {shown(session)} here."
    if not patient:
        return of[0], "" if len(of) == 1 else f"{len(of)} patients have a session {shown(session)}; name one."
    return patient, "" if patient in of else f"this patient has no session {shown(session)} here."
