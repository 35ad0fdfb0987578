"""Ratings from tables: a plain one, and both of BORIS's exports (“tabular events”, “aggregated events”)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.codes import CodeMap
from pipeline.errors import InputError
from pipeline.ratings_boris import paired, point_notes, rater_of
from pipeline.ratings_coded import Coded, CodedSession, SessionNames
from pipeline.spreadsheet import Problem, plain, read_seconds, read_table, shown
from pipeline.timeline import check_id

Row = dict[str, str]
Found = tuple[list[CodedSession], list[str]]

_MAX_ROWS = 200_000

# What a column of a plain table may be called.
_PLAIN = {
    "patient_id": ("patient_id", "patient", "participant", "participant_id"),
    "session_id": ("session_id", "session"),
    "start_s": ("start_s", "start", "begin", "onset"),
    "end_s": ("end_s", "end", "stop", "offset"),
    "code": ("code", "label", "emotion", "behavior"),
    "rater": ("rater", "rater_id", "coder", "annotator"),
}

# Older versions of BORIS write some lines about the observation above the table.
_MOST_LINES_ABOVE = 40


def read_coded_table(path: Path, names: SessionNames, codes: CodeMap) -> Found:
    """The codes of every session and rater in a table, and what was left out.

    :raises InputError: its columns are not those of a known kind, or rows can't be read.
    """
    del codes
    table = [
        (number, [plain(cell) for cell in cells]) for number, cells in read_table(path, _MAX_ROWS, ";,\t")
    ]
    for place, (_, cells) in enumerate(table[:_MOST_LINES_ABOVE]):
        header = [cell.lower() for cell in cells]
        rows = [(number, dict(zip(header, row, strict=False))) for number, row in table[place + 1 :]]
        above = {row[0].lower(): row[1] for _, row in table[:place] if len(row) > 1}
        if {"behavior", "start (s)", "stop (s)"} <= set(header):
            return _aggregated(path, rows, above, names)
        if {"behavior", "time"} <= set(header) and {"behavior type", "status"} & set(header):
            return _tabular(path, rows, above, names)
        if place == 0 and all(set(header) & set(_PLAIN[name]) for name in ("start_s", "end_s", "code")):
            return _plain(path, header, rows, names), []
    raise InputError(
        f"{path}: a table of ratings has the columns patient_id, session_id, start_s, end_s and code "
        "(and rater, where there are several), or is one that BORIS exported."
    )


def _plain(
    path: Path, header: Sequence[str], rows: Sequence[tuple[int, Row]], names: SessionNames
) -> list[CodedSession]:
    columns = {
        ours: next((name for name in theirs if name in header), None) for ours, theirs in _PLAIN.items()
    }
    by_name = names.find(path.stem)
    if by_name is None and not (columns["patient_id"] and columns["session_id"]):
        raise InputError(
            f"{path}: has no columns patient_id and session_id, and its name is not that of a session."
        )
    found: defaultdict[tuple[str, str, str], list[Coded]] = defaultdict(list)

    def take(row: Row) -> None:
        cell = {ours: row.get(name or "", "").strip() for ours, name in columns.items()}
        ids, rest = by_name or (("", ""), "")
        if columns["patient_id"] and columns["session_id"]:
            ids = check_id("patient", cell["patient_id"]), check_id("session", cell["session_id"])
        stretch = Coded(read_seconds(cell["start_s"]), read_seconds(cell["end_s"]), cell["code"])
        if not stretch.code:
            raise InputError("no code")
        found[(*ids, cell["rater"] or rest)].append(_checked(stretch))

    _each(path, rows, take)
    return [CodedSession(*key, tuple(coded), path.name) for key, coded in found.items()]


def _aggregated(path: Path, rows: Sequence[tuple[int, Row]], above: Row, names: SessionNames) -> Found:
    found: defaultdict[tuple[str, str, str], list[Coded]] = defaultdict(list)
    points: Counter[str] = Counter()

    def take(row: Row) -> None:
        key, offset_s = _observation(path, row, above, names)
        if row.get("behavior type", "").upper() == "POINT":
            points[row["behavior"]] += 1
            return
        start_s, end_s = read_seconds(row["start (s)"]), read_seconds(row["stop (s)"])
        found[key].append(_checked(Coded(start_s - offset_s, end_s - offset_s, row["behavior"])))

    _each(path, rows, take)
    return [CodedSession(*key, tuple(coded), path.name) for key, coded in found.items()], point_notes(points)


def _tabular(path: Path, rows: Sequence[tuple[int, Row]], above: Row, names: SessionNames) -> Found:
    """A row for each begin and each end of a state."""
    events: defaultdict[tuple[str, str, str], list[tuple[float, str, str, str]]] = defaultdict(list)
    points: Counter[str] = Counter()

    def take(row: Row) -> None:
        key, offset_s = _observation(path, row, above, names)
        if (row.get("behavior type") or row.get("status", "")).upper() not in ("START", "STOP"):
            points[row["behavior"]] += 1
            return
        modifier = "|".join(value for name, value in row.items() if name.startswith("modifier"))
        events[key].append((read_seconds(row["time"]) - offset_s, "", row["behavior"], modifier))

    _each(path, rows, take)
    sessions = [
        CodedSession(*key, tuple(paired(own, f"{path}, {key[0]} {key[1]}")[""]), path.name)
        for key, own in events.items()
    ]
    return sessions, point_notes(points)


def _observation(path: Path, row: Row, above: Row, names: SessionNames) -> tuple[tuple[str, str, str], float]:
    """Patient, session and rater of a row, and its time offset, s."""
    name = row.get("observation id") or above.get("observation id") or path.stem
    media = row.get("media file name") or row.get("media file path") or row.get("source", "")
    ids, rest = names.of(f"observation {shown(name)}", name, [media.rpartition(":")[2], media])
    offset = row.get("time offset (s)") or above.get("time offset (s)") or "0"
    return (*ids, rest or rater_of(row.get("subject", ""), ids[0])), read_seconds(offset)


def _checked(stretch: Coded) -> Coded:
    if not stretch.start_s < stretch.end_s:
        raise InputError(f"ends at {stretch.end_s:g} s, not after its start at {stretch.start_s:g} s")
    return stretch


def _each(path: Path, rows: Sequence[tuple[int, Row]], take: Callable[[Row], None]) -> None:
    """:raises InputError: some rows can't be read; the first of them are named."""
    problems = list(_problems(rows, take))
    if problems:
        named = "; ".join(map(str, problems[:3]))
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError(f"{path}: {named}{more}.")


def _problems(rows: Sequence[tuple[int, Row]], take: Callable[[Row], None]) -> Iterator[Problem]:
    for number, row in rows:
        try:
            take(row)
        except InputError as error:
            yield Problem(number, "", str(error).rstrip("."))
        except KeyError as error:
            yield Problem(number, "", f"no {error.args[0]}")
