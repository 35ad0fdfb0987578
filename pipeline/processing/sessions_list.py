"""Read and write a study's list of sessions, ``sessions.csv`` or ``sessions.xlsx``.

One row is one session: a video, or a part of one. :data:`pipeline.processing.list_columns.COLUMNS` describes
the columns; the study's own columns begin with ``x_`` and are ignored.

If a camera split a session into several files, each file has a row with the same ids, in order of time. The
first of these rows has the session's details; seconds count from the start of the first file. Two patients in
one video are two rows with that video.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.processing.list_cells import ABSENT, MONTHS, READERS, YES_OR_NO, as_on_disk, is_date
from pipeline.processing.list_columns import REQUIRED
from pipeline.processing.recordings_folder import find_videos, lists_in
from pipeline.processing.session import Session
from pipeline.records import Ids
from pipeline.store.folders import SESSIONS_FILE, is_folder
from pipeline.store.ids import check_id, find_clashes, folded
from pipeline.store.spreadsheet import (
    MAX_COLUMNS,
    Decimal,
    Problem,
    closest,
    column_of,
    did_you_mean,
    plain,
    read_table,
    shown,
    why_repeated,
    why_share_of_day,
    write_rows,
)

# Maximum number of patients or videos in a message.
_MAX_NAMED = 8

# Decimals of times below 1 s that are no doubt seconds: 0.04, but not 0.0625, which is 1:30 in a spreadsheet.
_DECIMALS = 2

# Dates as written by spreadsheets in most countries; the column determines the order of day and month.
_DAY_AND_MONTH = re.compile(
    r"([0-9]{1,2})([/.-])([0-9]{1,2})\2([0-9]{4})(?:[T ]+([0-9]{1,2})(:[0-9]{2}(?::[0-9]{2})?))?"
)


# Names given by cameras and phones: the part before "_" in IMG_0012.mp4 is no patient id.
_CAMERAS = ("img", "vid", "video", "mvi", "mov", "movie", "dsc", "gopr", "pxl", "dji", "win", "rec", "clip")


@dataclass(frozen=True)
class Study:
    """The valid sessions, in the list's order, and all errors of the list.

    :param rows: for each session, the rows of its files.
    """

    sessions: tuple[Session, ...]
    problems: tuple[Problem, ...]
    rows: tuple[tuple[int, ...], ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class _Row:
    """The valid values of a row, by column."""

    number: int
    values: Mapping[str, Any]
    problems: tuple[Problem, ...]


def read_study(path: Path) -> Study:
    """Read the sessions of a list, and all its errors.

    UTF-8 with or without byte order mark, separator ``;`` or ``,``. Paths are relative to the list's folder.
    Videos and pictures must exist; they are not opened.

    :raises InputError: the file can't be read as a table.
    """
    table = read_table(path)
    columns, problems = _check_header(path, table[0][1] if table else ())
    lines, unclear = _with_iso_dates(table[1:], columns)
    rows = [_read_row(number, cells, columns, path.parent) for number, cells in lines]
    problems += [
        problem
        for row in rows
        for problem in row.problems
        if not (problem.row in unclear and problem.column == "recorded_at")
    ]
    problems += [Problem(row, "recorded_at", reason) for row, reason in unclear.items() if reason]
    problems += _shares_of_a_day(lines, columns)
    whole = [row for row in rows if row.values.keys() == READERS.keys()]
    sessions, numbers, unlike = _join(whole)
    problems += [*unlike, *_mixed_up(sessions, numbers)]
    if not rows:
        problems.append(Problem(2, "", "no session in the list; write one row for each."))
    return Study(tuple(sessions), tuple(sorted(problems, key=lambda problem: problem.row)), tuple(numbers))


def choose_sessions(
    study: Study, path: Path, patient_id: str | None, session_id: str | None
) -> tuple[Session, ...]:
    """The sessions of a patient, with a session id, or both; all sessions by default.

    :raises InputError: there is no such session.
    """
    chosen = tuple(
        session
        for session in study.sessions
        if patient_id in (None, session.patient_id) and session_id in (None, session.session_id)
    )
    if not chosen and study.sessions:
        asked = (("`patient_id`", patient_id), ("`session_id`", session_id))
        options = " ".join(f"{option} {value}" for option, value in asked if value is not None)
        patients = list(dict.fromkeys(session.patient_id for session in study.sessions))
        more = ", …" if len(patients) > _MAX_NAMED else ""
        raise InputError(
            f"{path}: no session for {options}; the list holds the patients "
            f"{', '.join(patients[:_MAX_NAMED])}{more}."
        )
    return chosen


def write_sessions_list(folder: Path, decimal: Decimal = "point") -> Path:
    """Write a list of the folder's videos, for the coordinators to fill in.

    Ids are filled in from names like ``P012_S01.mp4``, unless two videos would get the same ids. Consent
    stays empty: only a person can state it.

    :returns: path of ``sessions.csv`` in the folder.
    :raises InputError: the list exists, there is no such folder, or no video whose name is valid text.
    :raises OutputError: the file can't be written.
    """
    path = folder / SESSIONS_FILE
    for there in [path, *(lists_in(folder) if is_folder(folder) else ())]:
        if os.path.lexists(there):
            raise InputError(f"{there}: exists already; edit it, or move it away.")
    found = find_videos(folder)
    videos = sorted(video.relative_to(folder).as_posix() for video in found.all)
    if not videos:
        raise found.none_found(folder)
    rows = [
        {"patient_id": patient, "session_id": session, "video": video}
        for video, (patient, session) in zip(videos, ids_from_names(videos), strict=True)
    ]
    return write_rows(path, READERS, rows, decimal)


# --- the table


def _check_header(path: Path, header: Sequence[str]) -> tuple[list[str], list[Problem]]:
    """The column of each cell; empty without a name, and :data:`_LEFT_ALONE` for the study's own columns."""
    names = [name.strip().casefold() for name in header]
    if not READERS.keys() & set(names) or len(names) > MAX_COLUMNS:
        raise InputError(
            f"{path}: its first line names no known column. It must name "
            f"{', '.join(REQUIRED)}, separated by ; or a comma."
        )
    missing = [name for name in REQUIRED if name not in names]
    problems: list[Problem] = []
    columns: list[str] = []
    for name in names:
        reason = _why_not(name, columns)
        if reason and (meant := closest(name, READERS)) in missing:
            missing.remove(meant)  # report a misspelt column once, not also as missing
        if reason:
            problems.append(Problem(1, shown(name, quoted=False), reason))
        columns.append(name if not reason and name in ("", *READERS) else _LEFT_ALONE)
    return columns, [*(Problem(1, name, "this column is missing.") for name in missing), *problems]


def _why_not(name: str, earlier: Sequence[str]) -> str:
    if name in READERS and (repeated := why_repeated(name, earlier)):
        return repeated
    if not name or name in READERS or name.startswith(_LEFT_ALONE):
        return ""
    meant = did_you_mean(name, READERS)
    return f"no such column{meant} Begin the names of your own columns with {_LEFT_ALONE}."


def _read_row(number: int, cells: Sequence[str], columns: Sequence[str], folder: Path) -> _Row:
    """The row's values, with defaults for missing columns."""
    named = list(zip_longest(columns, map(plain, cells), fillvalue=""))
    if any(cell for column, cell in named if not column):
        reason = 'more cells than the header has names; a cell that holds the separator needs quotes (").'
        return _Row(number, {}, (Problem(number, "", reason),))
    values, problems, empty = dict(ABSENT), [], []
    for column, cell in named:
        if column and column != _LEFT_ALONE:
            try:
                values[column] = _read_cell(column, cell, folder, refused=_refuses(named))
            except InputError as error:
                values.pop(column, None)
                problems.append(Problem(number, column, str(error)))
                empty += [column] if not cell else []
    if len(empty) > 1:  # as in a list that is not filled in yet
        problems = [problem for problem in problems if problem.column not in empty]
        problems.append(Problem(number, ", ".join(empty), "empty; fill in these cells."))
    start_s, end_s = values.get("start_s"), values.get("end_s")
    if end_s is not None and end_s <= (0.0 if start_s is None else start_s):
        del values["end_s"]
        start = "the video's start" if start_s is None else f"start_s, {start_s:g} s"
        problems.append(Problem(number, "end_s", f"{end_s:g} s is not after {start}."))
    cells_by_name = dict(named)
    if not (cells_by_name.get("patient_id") and cells_by_name.get("session_id")):
        video = shown(Path(cells_by_name.get("video", "")).name, quoted=False)
        problems = [replace(problem, called=video) for problem in problems]
    return _Row(number, values, tuple(problems))


def _shares_of_a_day(lines: Sequence[tuple[int, list[str]]], columns: Sequence[str]) -> Iterator[Problem]:
    """One error for each column of times that holds shares of a day."""
    for column in (name for name in ("start_s", "end_s") if name in columns):
        if found := why_share_of_day(column_of(lines, columns.index(column)), _DECIMALS):
            yield Problem(lines[found[0]][0], column, found[1])


def _refuses(named: Sequence[tuple[str, str]]) -> bool:
    """Whether the row states that there is no consent; its files are then not checked."""
    return any(column == "consent" and YES_OR_NO.get(cell.casefold()) is False for column, cell in named)


def _read_cell(column: str, cell: str, folder: Path, *, refused: bool) -> Any:
    if refused and cell and column == "video":
        return as_on_disk(folder / cell)
    if refused and column == "patient_face":
        return ()
    if not cell and column in ABSENT and column != "consent":
        return ABSENT[column]
    return READERS[column](cell, folder)


def _join(rows: Sequence[_Row]) -> tuple[list[Session], list[tuple[int, ...]], list[Problem]]:
    """Join rows to sessions; also return the rows of each, and errors for rows that contradict the first."""
    first: dict[Ids, _Row] = {}
    sessions: dict[Ids, Session] = {}
    numbers: dict[Ids, tuple[int, ...]] = {}
    problems = []
    for row in rows:
        ids = row.values["patient_id"], row.values["session_id"]
        if ids not in sessions:
            first[ids], sessions[ids], numbers[ids] = row, Session(**row.values), (row.number,)
            continue
        if problem := _unlike(row, sessions[ids], first[ids]):
            problems.append(problem)
        session = sessions[ids]
        sessions[ids] = replace(session, continued=(*session.continued, row.values["video"]))
        numbers[ids] += (row.number,)
    return list(sessions.values()), list(numbers.values()), problems


def _unlike(row: _Row, session: Session, first: _Row) -> Problem | None:
    """Errors of a row that continues a session."""
    values = row.values
    if values["video"] in session.videos:
        return Problem(row.number, "video", f"this session has this file already, since row {first.number}.")
    unlike = [
        column
        for column, absent in ABSENT.items()
        if column != "notes"
        and (values[column] != absent or column == "consent")
        and values[column] != first.values[column]
    ]
    reason = f"row {first.number} has another value for the same session; correct it there."
    return Problem(row.number, ", ".join(unlike), reason) if unlike else None


def _mixed_up(sessions: Sequence[Session], rows: Sequence[tuple[int, ...]]) -> Iterator[Problem]:
    """Ids and conditions that differ only in case, blanks or trailing dots; each pair once."""
    row_of = {session.ids: numbers[0] for session, numbers in zip(sessions, rows, strict=True)}
    told = set()
    for clash in find_clashes(row_of):
        pair = (clash.first[0], clash.second[0]) if clash.column == "patient_id" else clash
        if pair not in told:
            told.add(pair)
            place = row_of[clash.first]
            yield Problem(row_of[clash.second], clash.column, f"{clash} Compare row {place}.")
    conditions: dict[str, Session] = {}
    spelt: set[str] = set()
    for session in sessions:
        first = conditions.setdefault(folded(session.condition), session)
        if first.condition != session.condition and session.condition not in spelt:
            spelt.add(session.condition)
            reason = (
                f"{shown(session.condition)} differs from {shown(first.condition)} of row "
                f"{row_of[first.ids]} only in capitals, blanks or dots at the end; write it in one way."
            )
            yield Problem(row_of[session.ids], "condition", reason)


def _with_iso_dates(
    lines: Sequence[tuple[int, list[str]]], columns: Sequence[str]
) -> tuple[list[tuple[int, list[str]]], dict[int, str]]:
    """Rewrite dates like 15/03/2026 as ISO, if a date of the column shows the order of day and month.

    :returns: the rows; and the rows with an ambiguous date, with the reason at the first of them.
    """
    if "recorded_at" not in columns:
        return list(lines), {}
    place = columns.index("recorded_at")
    dates = {
        number: match
        for number, cells in lines
        if place < len(cells) and (match := _DAY_AND_MONTH.fullmatch(plain(cells[place])))
    }
    day_first = {number for number, date in dates.items() if int(date[1]) > MONTHS}
    month_first = {number for number, date in dates.items() if int(date[3]) > MONTHS}
    order = "day" if day_first and not month_first else "month" if month_first and not day_first else ""
    clear = {number for number, date in dates.items() if order or int(date[1]) == int(date[3])}
    rewritten = [
        (number, [*cells[:place], _iso(dates[number], order), *cells[place + 1 :]])
        if number in clear and is_date(_iso(dates[number], order))
        else (number, cells)  # for 31/02/2026, the message quotes the original text
        for number, cells in lines
    ]
    unclear = dict.fromkeys((number for number in dates if number not in clear), "")
    if unclear:
        first = next(iter(unclear))
        both = [dates[min(numbers)][0] for numbers in (day_first, month_first) if numbers]
        unclear[first] = _two_readings(dates[first], len(unclear), both if len(both) > 1 else ())
    return rewritten, unclear


def _iso(date: re.Match[str], order: str) -> str:
    day, month = (date[3], date[1]) if order == "month" else (date[1], date[3])
    time = f"T{date[5]:0>2}{date[6]}" if date[5] else ""
    return f"{date[4]}-{month:0>2}-{day:0>2}{time}"


def _two_readings(date: re.Match[str], count: int, both: Sequence[str]) -> str:
    """:param both: a date of the column with the day first, and one with the month first; if there are."""
    more = f" ({count - 1} more like it)" if count > 1 else ""
    readings = f"{_iso(date, 'day')[:10]} (day first) or {_iso(date, 'month')[:10]} (month first)"
    why = f"can be {readings}, and no date of this column shows which"
    if both:
        why = f"may have the day or the month first, as {' and '.join(map(shown, both))} of this column have"
    return f"{shown(date[0])}{more} {why}; write 2026-03-01 or 2026-03-01T14:30, in local time."


# --- cells. Each raises InputError with the reason; row and column are added later


_LEFT_ALONE = "x_"


# --- a new list


def ids_from_names(videos: Sequence[str]) -> list[Ids]:
    """Ids of each video, from names like ``P012_S01.mp4``; empty if there are none, or two are the same.

    A name without a digit before the underscore may be a person's: ``Dupont_Marie.mp4`` gives no ids.
    """
    ids = [_ids_from(video) for video in videos]
    times = Counter(ids)
    return [pair if times[pair] == 1 else ("", "") for pair in ids]


def _ids_from(video: str) -> tuple[str, str]:
    patient, _, session = Path(video).stem.partition("_")
    try:
        check_id(video, patient)
        check_id(video, session)
    except InputError:
        return "", ""
    is_pseudonym = any(map(str.isdigit, patient)) and patient.casefold() not in _CAMERAS
    return (patient, session) if is_pseudonym else ("", "")


# --- settings


# --- texts
