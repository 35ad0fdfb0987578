"""Read the tables of markers that pages with a video save, and compare them with the study's own lists."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pipeline.analysis.events import EVENTS_FILE, Parts, read_events, why_outside
from pipeline.errors import InputError
from pipeline.processing.recordings_folder import naming_lists
from pipeline.processing.session import Session
from pipeline.processing.sessions_list import Study, read_study
from pipeline.records import EXCLUDE, MARKER_COLUMNS, MAX_CODE, Ids, recording_id
from pipeline.store.ids import check_stored_id
from pipeline.store.parquet import read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.refusals import refused_sessions
from pipeline.store.spreadsheet import Problem, plain, read_seconds, read_table, shown, why_share_of_day
from pipeline.store.status import read_outcomes
from pipeline.store.timeline import written_sessions

Spans = tuple[tuple[float, float], ...]
"""Intervals (start, end), s, in order and without overlap."""


@dataclass(frozen=True)
class Marker:
    """What a person marked beside the video.

    :param start_s, end_s: of the recording, s; a moment has no end.
    """

    ids: Ids
    code: str
    start_s: float
    end_s: float | None


@dataclass(frozen=True)
class Listed:
    """Where the list of sessions has a session.

    :param rows: of its files. ``exclude``: what the list excludes now.
    """

    path: Path
    rows: tuple[int, ...]
    session: Session


@dataclass(frozen=True)
class Change:
    """What the markers of one session change.

    :param events: that ``events.csv`` does not have. ``known``: number of those that it has.
    :param outside: number of events in time that does not count; they are left out.
    :param exclude: what the list is to exclude; ``None`` if it does so already.
    """

    ids: Ids
    events: tuple[Marker, ...]
    known: int
    outside: int
    listed: Listed | None
    exclude: Spans | None

    @property
    def is_new(self) -> bool:
        return bool(self.events) or self.exclude is not None

    @property
    def kinds(self) -> Mapping[str, int]:
        """Number of new events, by code."""
        return dict(sorted(Counter(event.code for event in self.events).items()))


def read_markers(out: Path, tables: Sequence[Path]) -> tuple[list[Marker], dict[Path, list[Problem]]]:
    """The markers of all tables, each once, and the errors of each table.

    :raises InputError: a table is none of markers, or of a session or a recording that is not in the folder.
    """
    known, refused = set(written_sessions(out)), refused_sessions(out)
    found: dict[Marker, None] = {}
    problems: dict[Path, list[Problem]] = {}
    for table in tables:
        rows = _rows(table)
        times = [(number, name, row[name]) for number, row in rows for name in ("start_s", "end_s")]
        if share := why_share_of_day(cell for _, _, cell in times):
            number, name, _ = times[share[0]]
            problems.setdefault(table, []).append(Problem(number, name, share[1]))
        for number, row in rows:
            _check_session(out, table, row, known, refused)
            marker = _read_marker(row)
            if isinstance(marker, Marker):
                found[marker] = None
            else:
                problems.setdefault(table, []).append(Problem(number, *marker))
    return list(found), problems


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    (_, header), *lines = read_table(table) or [(1, [])]
    names = [name.strip().casefold() for name in header]
    missing = [name for name in MARKER_COLUMNS if name not in names]
    if missing:
        raise InputError(
            f"{table}: no table of markers (no column {missing[0]}); save it on the page of a session that "
            "plays a video."
        )
    return [(number, dict(zip_longest(names, map(plain, cells), fillvalue=""))) for number, cells in lines]


def _check_session(
    out: Path, table: Path, row: Mapping[str, str], known: set[Ids], refused: set[Ids]
) -> None:
    """:raises InputError: the markers are not of a session of this folder."""
    ids = check_stored_id("patient_id", row["patient_id"]), check_stored_id("session_id", row["session_id"])
    if ids in refused:
        raise InputError(
            f"{table}: consent to {' '.join(ids)} was withdrawn or never given; nothing of it is added."
        )
    if ids not in known:
        raise InputError(f"{table}: of another study: {out} has no session {' '.join(ids)}.")
    files = read_metadata(timeline_path(out, *ids))["video"]["files"]
    if row["recording"] != recording_id([file["sha256"] for file in files]):
        raise InputError(
            f"{table}: of another study, or saved before the recording was replaced: "
            f"{' '.join(ids)} of {out} is another recording."
        )


def _read_marker(row: Mapping[str, str]) -> Marker | tuple[str, str]:
    """The marker, or the wrong column and the reason."""
    ids, code = (row["patient_id"], row["session_id"]), row["code"]
    if not code or len(code) > MAX_CODE or not code.isprintable():
        return "code", f"{shown(code)}: write one line of at most {MAX_CODE} characters."
    times: dict[str, float | None] = {"end_s": None}
    for column in ("start_s", "end_s"):
        try:
            if row[column] or column == "start_s":
                times[column] = read_seconds(row[column])
        except InputError as error:
            return column, str(error)
    start_s, end_s = times["start_s"], times["end_s"]
    assert start_s is not None
    if end_s is None and code == EXCLUDE:
        return "end_s", "empty; say where the time that does not count ends."
    if end_s is not None and end_s <= start_s:
        return "end_s", f"{end_s:.10g} s is not after the start, {start_s:.10g} s."
    return Marker(ids, code, start_s, end_s)


# --- what they change


def plan_changes(out: Path, markers: Iterable[Marker], sessions_list: Path | None = None) -> list[Change]:
    """The changes of each session, in the order of the markers; nothing is written.

    :param sessions_list: the list with the column ``exclude``; default: the one that names the recording.
    :raises InputError: ``events.csv`` or the list can't be read, no list names the recording, or nothing of
        a session would be left.
    """
    by_session: dict[Ids, list[Marker]] = {}
    for marker in markers:
        by_session.setdefault(marker.ids, []).append(marker)
    there = _events_there(out)
    lists = _Lists(out, sessions_list)
    return [_change(out, ids, own, there, lists) for ids, own in by_session.items()]


def _events_there(out: Path) -> set[tuple[Ids, str, float]]:
    path = out / EVENTS_FILE
    if not path.exists():
        return set()
    parts = {ids: _parts(read_metadata(timeline_path(out, *ids))) for ids in written_sessions(out)}
    return {(event.ids, event.what, round(event.time_s, 2)) for event in read_events(path, parts)[0]}


def _parts(metadata: Mapping[str, Any]) -> Parts:
    return [(float(start_s), float(end_s)) for start_s, end_s in metadata["session"]["parts"]]


def _change(
    out: Path, ids: Ids, markers: Sequence[Marker], there: set[tuple[Ids, str, float]], lists: "_Lists"
) -> Change:
    metadata = read_metadata(timeline_path(out, *ids))
    duration_s, parts = float(metadata["video"]["duration_s"]), _parts(metadata)
    wanted = [
        (marker.start_s, min(marker.end_s, duration_s))
        for marker in markers
        if marker.code == EXCLUDE and marker.end_s is not None and marker.start_s < duration_s
    ]
    listed, exclude = None, None
    if wanted:
        listed = lists.of(ids)
        merged = merged_spans([*listed.session.exclude, *wanted])
        parts = replace(listed.session, exclude=merged).parts(duration_s)
        exclude = merged if merged != listed.session.exclude else None
    events = [marker for marker in markers if marker.code != EXCLUDE]
    inside = [event for event in events if not why_outside(event.start_s, parts)]
    new = [event for event in inside if (ids, event.code, round(event.start_s, 2)) not in there]
    outside = len(events) - len(inside)
    return Change(ids, tuple(new), len(inside) - len(new), outside, listed, exclude)


def merged_spans(spans: Iterable[tuple[float, float]]) -> Spans:
    """The time in any of the intervals, in order."""
    merged: list[tuple[float, float]] = []
    for start_s, end_s in sorted(spans):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end_s)
        else:
            merged.append((start_s, end_s))
    return tuple(merged)


class _Lists:
    """The lists of sessions that name the recordings; each is read once."""

    def __init__(self, out: Path, given: Path | None) -> None:
        self._out, self._given = out, given
        self._studies: dict[Path, Study] = {}

    def of(self, ids: Ids) -> Listed:
        path = self._given or self._find(ids)
        if path not in self._studies:
            self._studies[path] = read_study(path)
        study = self._studies[path]
        for session, rows in zip(study.sessions, study.rows, strict=True):
            if session.ids == ids:
                return Listed(path, rows, session)
        raise InputError(
            f"{path}: has no valid row of {' '.join(ids)}; look with `emonext study check`, or give the list "
            "with `sessions_list`."
        )

    def _find(self, ids: Ids) -> Path:
        outcome = read_outcomes(self._out).get(ids)
        found = naming_lists(map(Path, outcome.videos if outcome else ()))
        if not found:
            raise InputError(
                f"{self._out}: no list of sessions beside the recording of {' '.join(ids)}, so its excluded "
                "time can't be kept; make one with `emonext study init`, or give it with `sessions_list`."
            )
        return found[0]
