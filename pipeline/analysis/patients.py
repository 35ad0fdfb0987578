"""Read what a study knows of each patient, such as age, MMSE or group.

``patients.csv`` in the results folder has one line per patient: the column ``patient_id`` (or ``patient``),
and any other columns. A column is a number if every filled cell of it is one, else a category. Columns that
begin with ``x_`` are ignored. Results hold pseudonyms only, so a column that looks like a name or a date of
birth is refused.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.errors import InputError
from pipeline.store.ids import check_stored_id, folded
from pipeline.store.spreadsheet import MAX_COLUMNS, Problem, as_float, plain, read_table, shown
from pipeline.store.workbook import Row

PATIENTS_FILE = "patients.csv"

Kind = Literal["number", "category"]

EMPTY, ONE_VALUE, SINGLE_OUT = "no value", "one value only", "as many categories as patients"
"""Why a column can't be compared."""

MISSING = ("", "n/a", "na", "nan", "-", "–", "—", ".", "?")
"""Cells that mean a value is not known, in lower case."""

_ID_NAMES = ("patient_id", "patient")
_RESERVED = ("participant_id", "session_id", "session")
_LEFT_ALONE = "x_"
_MAX_USED = 20
_MAX_TEXT = 64

_NUMBER = re.compile(r"[+\-−]?[0-9]{1,9}([.,][0-9]{1,9})?")
_DATE = re.compile(r"[0-9]{1,4}([./-])[0-9]{1,2}\1[0-9]{1,4}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].*")

# Words of a column's name without accents, in English, French and German.
_NAME_WORD = re.compile(
    r"\w*names?|noms?|prenoms?|dob|ddn|geb|initials|initiales|initialen|(birth|geburt|geboren|gebdat|naissance)\w*"
)


@dataclass(frozen=True)
class PatientColumn:
    """One column.

    :param values: patient → value, a ``float`` in a column of numbers; patients without a value are absent.
    """

    name: str
    kind: Kind
    values: Mapping[str, float | str]

    def of(self, patients: Collection[str]) -> "PatientColumn":
        """The column of these patients only."""
        kept = {patient: value for patient, value in self.values.items() if patient in patients}
        return PatientColumn(self.name, self.kind, kept)

    @property
    def unusable(self) -> str:
        """Why patients can't be compared by the column; empty if they can."""
        different = len(set(self.values.values()))
        if different < 2:
            return ONE_VALUE if different else EMPTY
        return SINGLE_OUT if self.kind == "category" and different == len(self.values) else ""


@dataclass(frozen=True)
class PatientTable:
    """:param patients: patients with a row. ``problems``: all errors; what they concern is left out."""

    patients: tuple[str, ...] = ()
    columns: tuple[PatientColumn, ...] = ()
    problems: tuple[Problem, ...] = field(default=())


def read_patients(path: Path) -> PatientTable:
    """Read the table, and all its errors.

    :raises InputError: the file can't be read as such a table, or holds personal data.
    """
    (_, header), *lines = read_table(path) or [(1, [])]
    names = [plain(cell) for cell in header]
    _check_header(path, names)
    place = next(place for place, name in enumerate(names) if _meaning(name) == "patient_id")
    rows, problems = _rows_by_patient(place, len(names), lines)
    columns = []
    for number, name in enumerate(names):
        cells = {patient: (row, cells[number]) for patient, (row, cells) in rows.items()}
        filled = any(cell for _, cell in cells.values())
        if number == place or folded(name).startswith(_LEFT_ALONE) or not (name or filled):
            continue
        reason = _why_no_column(name, names)
        column, wrong = (None, [Problem(1, _shown(name), reason)]) if reason else _read_column(name, cells)
        problems += wrong
        columns += [] if column is None else [column]
    if len(columns) > _MAX_USED:
        reason = f"leave at most {_MAX_USED}, or begin the names of others with {_LEFT_ALONE}."
        raise InputError(f"{path}: {len(columns)} columns; {reason}")
    return PatientTable(tuple(rows), tuple(columns), tuple(problems))


def is_personal(name: str) -> bool:
    """Whether a column of this name looks like a person's name or date of birth."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    plainly = unicodedata.normalize("NFKD", spaced).encode("ascii", "ignore").decode().casefold()
    return any(_NAME_WORD.fullmatch(word) for word in re.split(r"[^a-z]+", plainly))


def is_age(name: str) -> bool:
    """Whether a column of this name holds ages, in years."""
    plainly = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    return not {"age", "ages", "alter"}.isdisjoint(re.split(r"[^a-z]+", plainly))


# --- the first line


def _meaning(name: str) -> str:
    return "patient_id" if folded(name) in _ID_NAMES else folded(name)


def _check_header(path: Path, names: Sequence[str]) -> None:
    """:raises InputError: no or two columns of ids, a personal column, or too many columns."""
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{path}: {len(names)} columns; leave at most {MAX_COLUMNS}.")
    ids = [name for name in names if _meaning(name) == "patient_id"]
    if not ids:
        raise InputError(f"{path}: no column 'patient_id'; add it, with one row for each patient.")
    if len(ids) > 1:
        raise InputError(f"{path}: {shown(ids[0])} and {shown(ids[1])} mean the same column; keep one.")
    for name in filter(is_personal, names):
        raise InputError(
            f"{path}: the column {shown(name)} looks like a person's name or date of birth, and results hold "
            "pseudonyms only. Delete the column (write an age instead); rename it if it holds something else."
        )


def _why_no_column(name: str, names: Sequence[str]) -> str:
    if not name:
        return "a column without a name; give it one."
    if len(name) > _MAX_TEXT or not name.isprintable():
        return f"write a name of at most {_MAX_TEXT} characters on one line."
    if folded(name) in _RESERVED:
        return f"this name has another meaning; begin it with {_LEFT_ALONE}, or give another."
    if sum(folded(other) == folded(name) for other in names) > 1:
        return "two columns have this name; neither was used. Keep one."
    return ""


def _shown(name: str) -> str:
    return shown(name, quoted=False) if name else "no name"


# --- rows


def _rows_by_patient(
    place: int, width: int, lines: Sequence[Row]
) -> tuple[dict[str, tuple[int, list[str]]], list[Problem]]:
    """Patient → (row number, cells). Of a patient with several rows, none counts."""
    rows: dict[str, tuple[int, list[str]]] = {}
    problems = []
    twice = set()
    for number, cells in lines:
        texts = [plain(cell) for cell in cells] + [""] * (width - len(cells))
        patient = texts[place]
        reason = _why_no_row(patient, texts[width:])
        if reason:
            problems.append(Problem(number, "patient_id", reason))
        elif patient in rows:
            twice.add(patient)
            reason = f"row {rows[patient][0]} is of {patient} too; neither was used. Keep one."
            problems.append(Problem(number, "patient_id", reason))
        else:
            rows[patient] = number, texts
    if not lines:
        problems.append(Problem(2, "", "no patient; write one line for each."))
    return {patient: row for patient, row in rows.items() if patient not in twice}, problems


def _why_no_row(patient: str, extra: Sequence[str]) -> str:
    if any(extra):
        return 'more cells than the header has names; a cell that holds the separator needs quotes (").'
    if not patient:
        return "empty; give the patient's pseudonym."
    try:
        check_stored_id("patient_id", patient)
    except InputError:  # without the cell, which may be a person's name
        return "not a usable id. Give a pseudonym of letters, digits, '.', '_' or '-', as in the results."
    return ""


# --- cells


def _read_column(
    name: str, cells: Mapping[str, tuple[int, str]]
) -> tuple[PatientColumn | None, list[Problem]]:
    """The column and its errors; no column of dates, which may be dates of birth.

    :param cells: patient → (row number, cell).
    """
    filled = {patient: cell for patient, (_, cell) in cells.items() if cell.casefold() not in MISSING}
    if filled and all(map(_DATE.fullmatch, filled.values())):
        reason = (
            "dates, which were not used: they may be personal. Write an age, or a number of weeks, instead."
        )
        return None, [Problem(1, _shown(name), reason)]
    problems = list(_text_problems(name, cells))
    wrong = {problem.row for problem in problems}
    filled = {patient: cell for patient, cell in filled.items() if cells[patient][0] not in wrong}
    numbers = {patient: _number(cell) for patient, cell in filled.items() if _NUMBER.fullmatch(cell)}
    if len(numbers) == len(filled) and filled:
        return PatientColumn(name, "number", numbers), problems
    if 2 * len(numbers) > len(filled):
        patient = next(patient for patient in filled if patient not in numbers)
        reason = f"{shown(filled[patient])} is no number, unlike most cells; the column counts as categories."
        problems.append(Problem(cells[patient][0], _shown(name), reason))
    problems += _alike(name, {patient: (cells[patient][0], cell) for patient, cell in filled.items()})
    return PatientColumn(name, "category", filled), problems


def _alike(name: str, cells: Mapping[str, tuple[int, str]]) -> Iterator[Problem]:
    """Categories that are probably one, such as f and F."""
    seen: dict[str, str] = {}
    for number, cell in cells.values():
        first = seen.setdefault(folded(cell), cell)
        if first != cell:
            reason = f"{shown(cell)} and {shown(first)} count as two categories; write one of them."
            yield Problem(number, _shown(name), reason)


def _text_problems(name: str, cells: Mapping[str, tuple[int, str]]) -> Iterator[Problem]:
    for number, cell in cells.values():
        if len(cell) > _MAX_TEXT or not (cell.isprintable() or not cell):
            reason = f"write one line of at most {_MAX_TEXT} characters."
            yield Problem(number, _shown(name), reason)


def _number(cell: str) -> float:
    return as_float(cell.replace("−", "-"))


def levels(column: PatientColumn) -> list[tuple[str, int]]:
    """(category, number of patients) of a column of categories, the largest first."""
    counts = Counter(map(str, column.values.values()))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
