"""What the face did around events, such as the begin of a song.

``events.csv`` is a table as people keep it, one line for each event:

===============  ====================================================================
session_id       required; ``session`` will do
time_s           required, ``time`` will do: s of the recording, ``mm:ss`` or ``h:mm:ss``
what             required: a short text; events of the same are averaged
patient_id       where sessions of two patients have the same id; ``patient`` will do
===============  ====================================================================

Columns of the study's own begin with ``x_`` and are left alone.
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
    plain,
    read_seconds,
    read_table,
    shown,
    why_repeated,
)

Parts = Sequence[tuple[float, float]]
"""Start and end of stretches, s."""

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
    """The events in the list's order, and everything that is wrong with it at once.

    :param parts: the sessions there are, and which stretches of their recordings count.
    :raises InputError: the file can't be read as such a table at all.
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
    events = []
    for number, cells in lines:
        if any(cell.strip() for cell in cells[len(names) :]):
            reason = 'more cells than the header has names; a cell that holds the separator needs quotes (").'
            problems.append(Problem(number, "", reason))
            continue
        # of two columns of one name the first
        row = dict(reversed(list(zip_longest(names, map(plain, cells), fillvalue=""))))
        found = _read_event(number, row, sessions, parts)
        if isinstance(found, Event):
            events.append(found)
        else:
            problems += found
    if not lines:
        problems.append(Problem(2, "", "no event; write one line for each."))
    return tuple(events), tuple(problems)


def column_name(cell: str) -> str:
    """As it is called here, whatever its capitals."""
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
    """Why a moment is not of a session; empty if it is.

    :param parts: the stretches of the recording that count, s, in order.
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
    """Whose session it is, and what is wrong with that.

    :param sessions: as :func:`patients_by_session` has them.
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
