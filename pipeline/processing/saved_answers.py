"""Put what somebody filled in on the page of `emonext preflight` into the list of sessions."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.processing.edited_list import edited_list
from pipeline.processing.list_cells import READERS, YES_OR_NO, read_region
from pipeline.processing.recordings_folder import FileIdentity, file_identity, find_list, rows_of
from pipeline.records import ANSWER_COLUMNS
from pipeline.store.files import replace_file
from pipeline.store.folders import SESSIONS_FILE
from pipeline.store.spreadsheet import Problem, is_file, plain, read_table, shown, write_rows

_IDS = ("patient_id", "session_id")
_COLUMNS = tuple(name for name in ANSWER_COLUMNS if name in READERS)

_COMMA = re.compile(r"[0-9]+,[0-9]+")


@dataclass(frozen=True)
class Change:
    """A row of the list that changes.

    :param row: its number; ``None``: it is added.
    :param filled: column → value of a cell that was empty.
    :param replaced: column → value before, and after.
    """

    recording: str
    row: int | None
    filled: Mapping[str, str]
    replaced: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Applied:
    """What a saved table changes in a list.

    :param is_new: the list does not exist yet.
    :param problems: of the saved table; if there are any, nothing may be written.
    :param kept: number of cells that are filled in the list, and empty in the table: they stay.
    """

    listed: Path
    is_new: bool
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]
    kept: int = 0

    @property
    def replaced(self) -> list[str]:
        """Each cell that holds another value, with both."""
        return [
            f"row {change.row} ({change.recording}), {column}: {shown(before)} becomes {shown(after)}"
            for change in self.changes
            for column, (before, after) in change.replaced.items()
        ]


def compare_answers(saved: Path, folder: Path) -> Applied:
    """Compare a saved table with the list of a folder; nothing is written.

    :raises InputError: a table can't be read, or the saved one is of another kind or of another folder.
    """
    answers = _read_answers(saved)
    found = find_list(folder)
    listed = found or folder / SESSIONS_FILE
    if found:
        edited_list(found, {})  # raises for a list that can't be changed
    there = [(number, answer["recording"]) for number, answer in answers]
    if not any(is_file(folder / name) for _, name in there):
        raise InputError(
            f"{saved}: none of its recordings is in {folder}; give the folder for which the page was made."
        )
    rows = _rows_by_file(listed) if found else {}
    comma = bool(found) and _has_decimal_commas(listed)
    changes, problems, kept = [], [], 0
    for number, answer in answers:
        own = rows.get(file_identity(folder / answer["recording"]), [])
        cells, wrong = _check(number, answer, folder, [row[1] for row in own])
        if len(own) > 1:  # several sessions of one recording
            own = [row for row in own if all(row[1].get(name, "") == answer[name] for name in _IDS)]
            if not own:
                reason = "the list has no row of this recording with these ids; make the page again."
                wrong.append(Problem(number, "recording", reason, answer["recording"]))
        problems += wrong
        if wrong:
            continue
        if comma and cells.get("patient_region"):
            cells["patient_region"] = cells["patient_region"].replace(",", ";").replace(".", ",")
        before = own[0][1] if own else {}
        kept += sum(not cells[name] and bool(before.get(name)) for name in _COLUMNS)
        change = _change(answer["recording"], own[0][0] if own else None, before, cells)
        changes += [change] if change.row is None or change.filled or change.replaced else []
    return Applied(listed, not found, tuple(changes), tuple(problems), kept)


def write_answers(applied: Applied) -> Path | None:
    """Write the list; return the path of the list as it was, if there was one.

    :raises OutputError: a file can't be written.
    """
    new = sorted((c for c in applied.changes if c.row is None), key=lambda change: change.recording)
    added = [{"video": change.recording, **change.filled} for change in new]
    if applied.is_new:
        write_rows(applied.listed, READERS, added)
        return None
    cells = {
        change.row: {**change.filled, **{name: after for name, (_, after) in change.replaced.items()}}
        for change in applied.changes
        if change.row is not None
    }
    return replace_file(applied.listed, edited_list(applied.listed, cells, added))


def _read_answers(saved: Path) -> list[tuple[int, dict[str, str]]]:
    """Row → its cells by :data:`pipeline.records.ANSWER_COLUMNS`."""
    (_, header), *lines = read_table(saved) or [(1, [])]
    names = [name.strip().casefold() for name in header]
    if not set(ANSWER_COLUMNS) <= set(names):
        raise InputError(
            f"{saved}: not saved by the page of `emonext preflight`; give the file that “Save” downloads."
        )
    empty = dict.fromkeys(ANSWER_COLUMNS, "")
    rows = [
        (number, {**empty, **dict(zip(names, map(plain, cells), strict=False))}) for number, cells in lines
    ]
    if not rows:
        raise InputError(f"{saved}: names no recording; save it again.")
    return rows


def _check(
    number: int, answer: Mapping[str, str], folder: Path, there: Sequence[Mapping[str, str]]
) -> tuple[dict[str, str], list[Problem]]:
    """The cells of a row, and what is wrong with them.

    :param there: the list's rows of this recording: what they hold, `study check` judges.
    """
    name, problems = answer["recording"], []
    path = folder / name
    is_within = not Path(name).is_absolute() and ".." not in Path(name).parts
    if not (name and is_within and is_file(path)):
        reason = "is not there; give the folder for which the page was made, or make the page again."
        problems.append(Problem(number, "recording", f"{shown(name)} {reason}"))
    elif answer["bytes"] != str(path.stat().st_size):
        reason = "is another file than on the page, of another size; make the page again."
        problems.append(Problem(number, "recording", f"{shown(name)} {reason}"))
    for column in _COLUMNS:
        if answer[column] and all(answer[column] != row.get(column) for row in there):
            try:
                READERS[column](answer[column], folder)
            except InputError as error:
                problems.append(Problem(number, column, str(error), name))
    return {column: answer[column] for column in _COLUMNS}, problems


def _change(recording: str, row: int | None, before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    filled, replaced = {}, {}
    for column, cell in after.items():
        if cell and not before.get(column):
            filled[column] = cell
        elif cell and not _is_same(column, before[column], cell):
            replaced[column] = before[column], cell
    return Change(recording, row, filled, replaced)


def _is_same(column: str, one: str, other: str) -> bool:
    """Whether two cells mean the same."""
    if column == "consent":
        return YES_OR_NO.get(one.casefold()) == YES_OR_NO.get(other.casefold())
    if column == "patient_region":
        try:
            return read_region(one) == read_region(other)
        except InputError:  # the list's cell is no region
            return False
    return one == other


def _rows_by_file(
    listed: Path,
) -> Mapping[FileIdentity | None, Sequence[tuple[int, Mapping[str, str]]]]:
    """File → number and cells of each row that names it."""
    found: dict[FileIdentity | None, list[tuple[int, Mapping[str, str]]]] = defaultdict(list)
    numbers = [number for number, _ in read_table(listed)][1:]
    for number, row in zip(numbers, rows_of(listed), strict=True):
        if row["video"] and (file := file_identity(listed.parent / row["video"])):
            found[file].append((number, row))
    return found


def _has_decimal_commas(listed: Path) -> bool:
    """Whether a number of the list is written as 12,5."""
    return any(
        _COMMA.fullmatch(part.strip())
        for row in rows_of(listed)
        for column in ("start_s", "end_s", "patient_region")
        for part in row.get(column, "").split(";")
    )
