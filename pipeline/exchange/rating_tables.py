"""Read ratings from tables: plain ones, and BORIS's exports (“tabular events”, “aggregated events”)."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from pipeline.errors import InputError
from pipeline.exchange.boris import (
    FIRST_PLAYER,
    LIVE,
    StateEvent,
    media_of_players,
    of_patients,
    paired,
    point_notes,
)
from pipeline.exchange.code_map import CodeMap
from pipeline.exchange.coded import Coded, CodedSession, SessionNames, Span, file_key, signed_seconds
from pipeline.store.ids import check_stored_id
from pipeline.store.spreadsheet import (
    Problem,
    plain,
    read_seconds,
    read_table,
    shown,
    why_repeated,
    why_share_of_day,
)

Row = dict[str, str]
Found = tuple[list[CodedSession], list[str]]

_Key = tuple[str, str, str]
"""Patient, session and rater."""

_MAX_ROWS = 200_000

# Accepted names of the columns of a plain table.
_PLAIN = {
    "patient_id": ("patient_id", "patient", "participant", "participant_id"),
    "session_id": ("session_id", "session"),
    "start_s": ("start_s", "start", "begin", "onset"),
    "end_s": ("end_s", "end", "stop", "offset"),
    "code": ("code", "label", "emotion", "behavior"),
    "subject": ("subject", "person", "role"),
    "rater": ("rater", "rater_id", "coder", "annotator"),
    "rated_from_s": ("rated_from_s", "rated_from"),
    "rated_to_s": ("rated_to_s", "rated_to"),
}

# Columns of BORIS's exports that are read, besides those that begin with "modifier".
_BORIS = (
    "observation id",
    "observation type",
    "source",
    "time offset (s)",
    "media duration (s)",
    "subject",
    "behavior",
    "behavior type",
    "status",
    "time",
    "start (s)",
    "stop (s)",
    "media file name",
    "media file path",
)

# Columns of times, which one program wrote.
_TIMES = ("start_s", "end_s", "rated_from_s", "rated_to_s", "time", "start (s)", "stop (s)")

# Older BORIS versions write lines about the observation above the table.
_MOST_LINES_ABOVE = 40


def read_coded_table(path: Path, names: SessionNames, codes: CodeMap) -> Found:
    """Read the codes of every session and rater in a table, and notes on omitted codes.

    :raises InputError: the columns are of no known kind, or rows can't be read.
    """
    del codes
    table = [
        (number, [plain(cell) for cell in cells]) for number, cells in read_table(path, _MAX_ROWS, ";,\t")
    ]
    for place, (_, cells) in enumerate(table[:_MOST_LINES_ABOVE]):
        header = [cell.lower() for cell in cells]
        above = {row[0].lower(): row[1] for _, row in table[:place] if len(row) > 1}
        if {"behavior", "start (s)", "stop (s)"} <= set(header):
            rows = _rows(path, header, table[place:], _of_boris(header))
            _refuse_unknown_order(path, rows)
            return _aggregated(path, rows, above, names)
        if {"behavior", "time"} <= set(header) and {"behavior type", "status"} & set(header):
            rows = _rows(path, header, table[place:], _of_boris(header))
            _refuse_unknown_order(path, rows)
            return _tabular(path, rows, above, names)
        if place == 0 and all(set(header) & set(_PLAIN[name]) for name in ("start_s", "end_s", "code")):
            ours = {theirs: name for name, several in _PLAIN.items() for theirs in several}
            columns = [ours.get(name, name) for name in header]
            return _plain(path, columns, _rows(path, columns, table, tuple(_PLAIN)), names)
    raise InputError(
        f"{path}: a table of ratings has the columns patient_id, session_id, start_s, end_s and code "
        "(and rater, where there are several), or is one that BORIS exported."
    )


def _of_boris(header: Sequence[str]) -> list[str]:
    return [name for name in header if name in _BORIS or name.startswith("modifier")]


def _rows(
    path: Path, header: Sequence[str], table: Sequence[tuple[int, list[str]]], read: Collection[str]
) -> list[tuple[int, Row]]:
    """The lines below the header.

    :param header: meaning of each column. ``read``: the columns that are read.
    :raises InputError: two of these columns have the same name, a line has more cells than the header, or
        the times are shares of a day.
    """
    number = table[0][0]
    for place, name in enumerate(header):
        if name in read and (repeated := why_repeated(name, header[:place], table[0][1])):
            raise InputError(f"{path}: {Problem(number, name, repeated)}")
    for number, cells in table[1:]:
        if any(cells[len(header) :]):
            reason = 'more cells than the header has names; a cell that holds the separator needs quotes (").'
            raise InputError(f"{path}: {Problem(number, '', reason)}")
    rows = [(number, dict(zip(header, cells, strict=False))) for number, cells in table[1:]]
    times = [(number, name, row.get(name, "")) for number, row in rows for name in _TIMES]
    if found := why_share_of_day(cell for _, _, cell in times):
        number, name, _ = times[found[0]]
        raise InputError(f"{path}: {Problem(number, name, found[1])}")
    return rows


def _refuse_unknown_order(path: Path, rows: Sequence[tuple[int, Row]]) -> None:
    """Refuse exports without the lengths of several consecutive files (column Source), which times need.

    :raises InputError: an observation has several files, and its rows do not state all of them.
    """
    played: dict[str, str] = {}
    for number, row in rows:
        file = file_key(row.get("media file name") or row.get("media file path", ""))
        if file and "player #" not in row.get("source", ""):
            name = row.get("observation id", "")
            if played.setdefault(name, file) != file:
                reason = "its observation has several files; give BORIS's project (.boris)."
                raise InputError(f"{path}: {Problem(number, '', reason)}")


def _plain(path: Path, columns: Sequence[str], rows: Sequence[tuple[int, Row]], names: SessionNames) -> Found:
    by_name = names.find(path.stem)
    has_ids = {"patient_id", "session_id"} <= set(columns)
    if by_name is None and not has_ids:
        raise InputError(
            f"{path}: has no columns patient_id and session_id, and its name is not that of a session of "
            "this folder, like P012_S01_rater.csv; add the columns, rename the file, or take it away."
        )
    found: defaultdict[tuple[str, _Key], list[Coded]] = defaultdict(list)
    rated: defaultdict[_Key, list[Span]] = defaultdict(list)

    def take(row: Row) -> None:
        cell = {name: row.get(name, "").strip() for name in _PLAIN}
        ids, rest = by_name or (("", ""), "")
        if has_ids:
            ids = (
                check_stored_id("patient", cell["patient_id"]),
                check_stored_id("session", cell["session_id"]),
            )
        key = (*ids, cell["rater"] or rest)
        if cell["rated_from_s"] or cell["rated_to_s"]:
            rated[key].append(_span(cell["rated_from_s"], cell["rated_to_s"]))
            if not (cell["start_s"] or cell["end_s"] or cell["code"]):
                found[cell["subject"], key] += []  # a rated interval without codes
                return
        stretch = Coded(*_span(cell["start_s"], cell["end_s"]), cell["code"])
        if not stretch.code:
            raise InputError("no code")
        found[cell["subject"], key].append(stretch)

    _each(path, rows, take)
    if by_name and found and not any(key[:2] == by_name[0] for _, key in found):
        (patient, session), _ = by_name
        other = min(key[:2] for _, key in found)
        raise InputError(
            f"{path}: is named after {patient} {session}, but its rows are of {' '.join(other)}; "
            "rename it, or correct the rows."
        )
    if by_name and not found:  # told as a rating without a code
        (patient, session), rest = by_name
        found["", (patient, session, rest)] = []
    if not found:
        raise InputError(f"{path}: has no row below its header; take it away, or fill it in.")
    return of_patients(
        path,
        [
            (subject, CodedSession(*key, tuple(coded), path.name, tuple(rated[key])))
            for (subject, key), coded in found.items()
        ],
    )


def _span(start: str, end: str) -> Span:
    start_s, end_s = read_seconds(start), read_seconds(end)
    if not start_s < end_s:
        raise InputError(f"ends at {end_s:g} s, not after its start at {start_s:g} s")
    return start_s, end_s


def _aggregated(path: Path, rows: Sequence[tuple[int, Row]], above: Row, names: SessionNames) -> Found:
    found: defaultdict[tuple[str, _Key], list[Coded]] = defaultdict(list)
    points: Counter[str] = Counter()

    def take(row: Row) -> None:
        key, shift_s = _observation(path, row, above, names)
        if row.get("behavior type", "").upper() == "POINT":
            points[row["behavior"]] += 1
            return
        start_s, end_s = signed_seconds(row["start (s)"]), signed_seconds(row["stop (s)"])
        if end_s < start_s:
            raise InputError(f"ends at {end_s:g} s, before its start at {start_s:g} s")
        code = Coded(start_s + shift_s, end_s + shift_s, row["behavior"])
        found[row.get("subject", ""), key].append(code)

    _each(path, rows, take)
    sessions, others = of_patients(
        path,
        [(subject, CodedSession(*key, tuple(coded), path.name)) for (subject, key), coded in found.items()],
    )
    return sessions, [*point_notes(points), *others]


def _tabular(path: Path, rows: Sequence[tuple[int, Row]], above: Row, names: SessionNames) -> Found:
    """Read a table with one row per begin and end of a state."""
    events: defaultdict[_Key, list[StateEvent]] = defaultdict(list)
    points: Counter[str] = Counter()

    def take(row: Row) -> None:
        key, shift_s = _observation(path, row, above, names)
        status = (row.get("behavior type") or row.get("status", "")).upper()
        if status not in ("START", "STOP"):
            points[row["behavior"]] += 1
            return
        modifier = "|".join(value for name, value in row.items() if name.startswith("modifier"))
        time_s = signed_seconds(row["time"]) + shift_s
        events[key].append(StateEvent(time_s, row.get("subject", ""), row["behavior"], modifier, status))

    _each(path, rows, take)
    sessions, others = of_patients(
        path,
        [
            (subject, CodedSession(*key, tuple(coded), path.name))
            for key, own in events.items()
            for subject, coded in paired(own, f"{path}, {key[0]} {key[1]}").items()
        ],
    )
    return sessions, [*point_notes(points), *others]


def _observation(path: Path, row: Row, above: Row, names: SessionNames) -> tuple[_Key, float]:
    """Patient, session and the name's rater of a row, and seconds to add to its times."""
    name = row.get("observation id") or above.get("observation id") or path.stem
    where = f"observation {shown(name)}"
    if "picture" in row.get("observation type", "").lower() or "directories" in row.get("source", "").lower():
        raise InputError(f"{where}: codes pictures; rate a video, not pictures")
    if "live" in row.get("observation type", "").lower():
        raise InputError(f"{where}: {LIVE}")
    players = _players(row)
    media = [file for files in players.values() for file in files]
    ids, rest = names.of(where, name, media)
    offset_s = signed_seconds(row.get("time offset (s)") or above.get("time offset (s)") or "0")
    shift_s = -offset_s
    if "player #" in row.get("source", ""):  # otherwise the row names only the played file
        # an export has no offsets of other players
        unknown = dict.fromkeys(players.keys() - {FIRST_PLAYER})
        lengths_s = _lengths_s(row, players)
        shift_s += names.shift_s(where, ids, list(media_of_players(players, lengths_s, unknown, {})))
    return (*ids, rest), shift_s


_PLAYER = re.compile(r"player #([0-9]+):(.*)", re.DOTALL)


def _players(row: Row) -> dict[str, list[str]]:
    """Player → files in order, from text such as ``player #1:a.mp4;b.mp4|player #2:c.mp4``."""
    found = [_PLAYER.fullmatch(part.strip()) for part in row.get("source", "").split("|")]
    players = {match[1]: match[2].split(";") for match in found if match and match[2]}
    file = row.get("media file name") or row.get("media file path") or row.get("source", "")
    return players or {FIRST_PLAYER: [file] if file else []}


def _lengths_s(row: Row, players: dict[str, list[str]]) -> dict[str, float]:
    """Lengths of all files, s, from text such as ``60.000;60.000|30.000``; ``None`` without them."""
    cells = re.split(r"[;|]", row.get("media duration (s)", ""))
    files = [file for several in players.values() for file in several]
    if len(cells) != len(files):
        return {}
    return {file: signed_seconds(cell) for file, cell in zip(files, cells, strict=True) if cell[:1].isdigit()}


def _each(path: Path, rows: Sequence[tuple[int, Row]], take: Callable[[Row], None]) -> None:
    """:raises InputError: rows can't be read; the message names the first of them."""
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
