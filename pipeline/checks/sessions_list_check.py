"""Check a list of sessions and its recordings before a long run."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations, zip_longest
from math import inf
from pathlib import Path

from PIL import Image

from pipeline.errors import VideoError
from pipeline.processing.session import Session, Settings
from pipeline.processing.sessions_list import Study
from pipeline.records import Ids, OnProgress
from pipeline.store.spreadsheet import Problem, shown
from pipeline.video.container import VideoInfo, created_at, probe
from pipeline.video.file_content import stamp, without_time
from pipeline.video.recording import Recording, Span

# Tolerance for rounded times: a stated end may exceed the recording's end by this, s.
_ROUNDED_S = 1.0

# A purge finds shorter ids by chance when it searches files.
_SHORT_ID = 3

# A spelling is a probable typing error if a similar one is this many times as frequent.
_RARE = 3

# Year before which hardly anybody made a digital video: 26 for 2026, or 1904, from which some clocks count.
_FIRST_YEAR = 1990

# Letters and digits that are easily confused.
_ALIKE = str.maketrans("oil", "011")


@dataclass(frozen=True)
class Checked:
    """Result of the check of a list.

    :param faults: errors, in the order of rows.
    :param warnings: possible mistakes, in the order of rows.
    :param dates: session without a date in the list → the date that the camera stored.
    :param undated: sessions of which no date is known.
    """

    faults: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    dates: Mapping[Ids, datetime]
    undated: tuple[Ids, ...] = ()


def check_study(
    study: Study,
    on_file: OnProgress = lambda done, total: None,
    sample_fps: float = Settings.sample_fps,
) -> Checked:
    """Open each recording and photo once, except those of sessions without consent.

    :param sample_fps: samples per second of the study.
    """
    entries = [_Entry(*entry) for entry in zip(study.sessions, study.rows, strict=True)]
    videos, faults = _open_videos(entries, on_file)
    for entry in entries:
        if not entry.session.refused and all(video in videos for video in entry.session.videos):
            faults += _misfits(entry, [videos[video] for video in entry.session.videos], sample_fps)
    faults += _unreadable_photos(entries)
    shared_faults, warnings = find_shared(study)
    faults += [*study.problems, *shared_faults]
    warnings = [*warnings, *_copies(entries, videos), *find_slips(study)]
    dates = recorded_dates(study.sessions)
    undated = tuple(
        one.ids for one in study.sessions if not (one.refused or one.recorded_at or one.ids in dates)
    )
    return Checked(_in_order(faults), _in_order(warnings), dates, undated)


def recorded_dates(sessions: Iterable[Session]) -> dict[Ids, datetime]:
    """Camera dates of sessions with consent and without a date in the list."""
    undated = (session for session in sessions if not session.refused and session.recorded_at is None)
    found = ((session.ids, created_at(session.video)) for session in undated)
    return {ids: date for ids, date in found if date is not None}


def with_dates(sessions: Iterable[Session]) -> list[Session]:
    """The sessions, with missing dates filled in from :func:`recorded_dates`."""
    sessions = list(sessions)
    dates = recorded_dates(sessions)
    return [replace(one, recorded_at=dates.get(one.ids, one.recorded_at)) for one in sessions]


@dataclass(frozen=True)
class _Entry:
    """A session and the rows of its files."""

    session: Session
    rows: tuple[int, ...]


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: problem.row))


# --- recordings and photos


def _open_videos(
    entries: Sequence[_Entry], on_file: OnProgress
) -> tuple[dict[Path, VideoInfo], list[Problem]]:
    """Probe the containers; add one error per file that can't be read."""
    rows: dict[Path, list[int]] = defaultdict(list)
    for entry in entries:
        if not entry.session.refused:
            for video, row in zip(entry.session.videos, entry.rows, strict=True):
                rows[video].append(row)
    found: dict[Path, VideoInfo] = {}
    faults = []
    for done, (video, named) in enumerate(rows.items(), start=1):
        try:
            found[video] = probe(video)
        except VideoError as error:
            reason = f"{shown(video.name, quoted=False)}: {str(error).removeprefix(f'{video}: ')}"
            faults.append(Problem(named[0], "video", reason + _also_in(named)))
        on_file(done, len(rows))
    return found, faults


def _copies(entries: Sequence[_Entry], opened: Collection[Path]) -> Iterator[Problem]:
    """Warnings for files with the same content, such as a card that was copied twice."""
    row_of: dict[Path, int] = {}
    for entry in entries:
        for video, row in zip(entry.session.videos, entry.rows, strict=True):
            if video in opened:
                row_of.setdefault(video.resolve(), row)
    first: dict[str, Path] = {}
    for video, row in row_of.items():
        if (one := first.setdefault(without_time(stamp([video])), video)) != video:
            name, other = (shown(path.name, quoted=False) for path in (video, one))
            reason = (
                f"{name} is a copy of {other} of row {row_of[one]}; make sure that both rows are correct, or "
                "one recording counts twice."
            )
            yield Problem(row, "video", reason)


def _misfits(entry: _Entry, videos: Sequence[VideoInfo], sample_fps: float) -> Iterator[Problem]:
    """Times beyond the recording or without a sample, and files that cannot belong to one session."""
    session, row = entry.session, entry.rows[0]
    for info, of_file in zip(videos[1:], entry.rows[1:], strict=True):
        if (info.width, info.height) != (videos[0].width, videos[0].height):
            reason = (
                f"{info.width} × {info.height} px, and the session's first file has {videos[0].width} × "
                f"{videos[0].height}; make it a session of its own."
            )
            yield Problem(of_file, "video", reason)
    length_s = sum(info.duration_s for info in videos)
    of = f"the recording has {length_s:.1f} s"
    if session.start_s is not None and session.start_s >= length_s:
        yield Problem(row, "start_s", f"{session.start_s:g} s is after the end: {of}.")
    elif session.end_s is not None and session.end_s > length_s + _ROUNDED_S:
        yield Problem(row, "end_s", f"{session.end_s:g} s is after the end: {of}; empty means all of it.")
    elif session.exclude and session.exclude[-1][1] > length_s + _ROUNDED_S:
        start_s, end_s = session.exclude[-1]
        yield Problem(row, "exclude", f"{start_s:g}-{end_s:g} is after the end: {of}.")
    elif not (parts := _parts(session, length_s)):
        yield Problem(row, "exclude", f"nothing is left: {of}.")
    elif not len(Recording(tuple(videos)).samples(sample_fps, parts)):
        column = "exclude" if session.exclude else "start_s" if session.end_s is None else "end_s"
        part_s = sum(end_s - start_s for start_s, end_s in parts)
        reason = (
            f"no sample lies in the {part_s:.2f} s that count ({sample_fps:g} samples per second); "
            "write other times."
        )
        yield Problem(row, column, reason)


def _unreadable_photos(entries: Sequence[_Entry]) -> Iterator[Problem]:
    rows: dict[Path, list[int]] = defaultdict(list)
    for entry in entries:
        for photo in () if entry.session.refused else entry.session.patient_face:
            rows[photo].append(entry.rows[0])
    for photo, named in rows.items():
        try:
            with Image.open(photo) as picture:
                picture.load()
        except Exception:  # noqa: BLE001 — a damaged picture raises whatever its decoder stumbles over
            reason = f"{shown(photo.name)} can't be read as a picture; save it again, as .jpg or .png."
            yield Problem(named[0], "patient_face", reason + _also_in(named))


def _also_in(rows: Sequence[int]) -> str:
    """The rows after the first."""
    return f" Also in row {', '.join(map(str, rows[1:]))}." if len(rows) > 1 else ""


# --- one recording in several sessions


def find_shared(study: Study) -> tuple[list[Problem], list[Problem]]:
    """Errors and warnings for sessions that share a part of a recording. No file is opened."""
    entries = [_Entry(*entry) for entry in zip(study.sessions, study.rows, strict=True)]
    by_file: dict[Path, list[_Entry]] = defaultdict(list)
    for entry in entries:
        for video in dict.fromkeys(video.resolve() for video in entry.session.videos):
            by_file[video].append(entry)
    faults: list[Problem] = []
    warnings: list[Problem] = []
    for video, sharing in by_file.items():
        for first, second in combinations(sharing, 2):
            if _overlap(first.session, second.session):
                name = shown(video.name, quoted=False)
                same_patient = first.session.patient_id == second.session.patient_id
                found = _twice(name, first, second) if same_patient else _together(name, first, second)
                (faults if same_patient else warnings).extend(found)
    return faults, warnings


def _twice(name: str, first: _Entry, second: _Entry) -> Iterator[Problem]:
    """Two sessions of one patient in the same part of a recording."""
    consent = first.session.refused == second.session.refused
    column = "video" if consent else "consent"
    reason = f"row {first.rows[0]} has the same part of {name} as session {first.session.session_id}"
    otherwise = "" if consent else f", with consent {'no' if first.session.refused else 'yes'}"
    yield Problem(second.rows[0], column, f"{reason}{otherwise}; keep one, or give start_s and end_s.")


def _together(name: str, first: _Entry, second: _Entry) -> Iterator[Problem]:
    """Two patients in the same part of a recording."""
    one, other = first.session, second.session
    if one.refused != other.refused:
        refused = one if one.refused else other
        reason = (
            f"{name} shows {refused.patient_id} too (row {first.rows[0]}), who gave no consent; "
            "make sure that the recording may be processed."
        )
        yield Problem(second.rows[0], "consent", reason)
    elif not one.refused and not all(s.patient_face or s.patient_region for s in (one, other)):
        reason = (
            f"{name} is {one.patient_id}'s in row {first.rows[0]}; give both a patient_face or a "
            "patient_region, or both sessions may show the same person."
        )
        yield Problem(second.rows[0], "video", reason)


def _overlap(one: Session, other: Session) -> bool:
    """Whether two sessions share counted time; assumed for recordings in several files."""
    if one.continued or other.continued:
        return True
    parts = _parts(one, inf), _parts(other, inf)
    return any(max(a[0], b[0]) < min(a[1], b[1]) for a in parts[0] for b in parts[1])


def _parts(session: Session, length_s: float) -> list[Span]:
    """The intervals that count, s; empty if nothing is left."""
    start_s = 0.0 if session.start_s is None else session.start_s
    end_s = length_s if session.end_s is None else min(session.end_s, length_s)
    edges = [start_s, *(min(max(edge, start_s), end_s) for span in session.exclude for edge in span), end_s]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


# --- typing errors


def find_slips(study: Study) -> Iterator[Problem]:
    """Warnings: similar ids and conditions, ids that occur in files by chance, unlikely dates."""
    first_row: dict[tuple[str, ...], int] = {}
    for session, rows in zip(study.sessions, study.rows, strict=True):
        first_row.setdefault((session.patient_id,), rows[0])
        first_row.setdefault(session.ids, rows[0])
        if session.recorded_at is not None and (when := _unlikely(session.recorded_at)):
            yield Problem(rows[0], "recorded_at", f"{session.recorded_at.date()} is {when}.")
    yield from _alike_ids("patient_id", {ids: row for ids, row in first_row.items() if len(ids) == 1})
    yield from _alike_ids("session_id", {ids: row for ids, row in first_row.items() if len(ids) > 1})
    yield from _alike_conditions(study)
    short = [ids[0] for ids in first_row if len(ids) == 1 and (len(ids[0]) < _SHORT_ID or ids[0].isdecimal())]
    if short:
        more = f" and {len(short) - 5} more" if len(short) > 5 else ""
        reason = (
            f"{', '.join(short[:5])}{more}: short ids and plain numbers occur in files by chance, where a "
            "purge finds them; ids like P012 do not."
        )
        yield Problem(first_row[short[0],], "patient_id", reason)


def _unlikely(date: datetime) -> str:
    """Why nobody films at this date; empty if somebody may."""
    if date > datetime.now():
        return "in the future"
    return f"before {_FIRST_YEAR}" if date.year < _FIRST_YEAR else ""


def _alike_ids(column: str, rows: Mapping[tuple[str, ...], int]) -> Iterator[Problem]:
    """Similar ids, such as ``PO12``, ``P012``, ``P12`` and ``P-12``; session ids within each patient."""
    seen: dict[tuple[str, ...], tuple[str, ...]] = {}
    for ids, row in rows.items():
        other = seen.setdefault((*ids[:-1], _read_hastily(ids[-1])), ids)
        if other != ids and other[-1].casefold() != ids[-1].casefold():
            reason = f"{ids[-1]} is nearly {other[-1]} of row {rows[other]}; make sure that both are correct."
            yield Problem(row, column, reason)


def _read_hastily(one: str) -> str:
    """An id with confusable parts unified: O and 0; I, l and 1; leading zeros; signs."""
    letters = re.sub(r"[._-]", "", one.casefold()).translate(_ALIKE)
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", letters)


def _alike_conditions(study: Study) -> Iterator[Problem]:
    counts = Counter(session.condition for session in study.sessions if session.condition)
    row_of: dict[str, int] = {}
    for session, rows in zip(study.sessions, study.rows, strict=True):
        row_of.setdefault(session.condition, rows[0])
    for one, other in combinations(sorted(counts, key=lambda name: counts[name]), 2):
        rare = counts[one] == 1 or _RARE * counts[one] <= counts[other]
        if rare and _one_slip_apart(one.casefold(), other.casefold()):
            reason = f"{shown(one)} is nearly {shown(other)} of row {row_of[other]}; they count as two."
            yield Problem(row_of[one], "condition", reason)


def _one_slip_apart(one: str, other: str) -> bool:
    """Whether two words differ by one inserted, missing, replaced or swapped letter (not by a digit)."""
    if one == other or min(len(one), len(other)) < _SHORT_ID:
        return False
    alike = next(place for place, (a, b) in enumerate(zip_longest(one, other)) if a != b)
    a, b = one[alike:], other[alike:]
    if a[:1].isdigit() or b[:1].isdigit():
        return False  # week1 and week2 are two conditions
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
