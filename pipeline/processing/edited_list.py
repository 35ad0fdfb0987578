"""Change cells of a list that people keep (CSV or workbook), and leave everything else as it is.

Of a CSV, other cells keep every character, and the file its encoding, separator and line ends. A workbook
keeps comments and formats.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.store.spreadsheet import csv_form, keep_text, read_table
from pipeline.store.workbook import sheet_to_read

_BOM = "\ufeff"

# Stays a number: 3.5. Other texts stay texts: 007, 5-10.
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]*[1-9])?")

Cells = Mapping[str, str]
"""Column → text."""


def edited_list(
    path: Path,
    cells: Mapping[int, Cells],
    added: Sequence[Cells] = (),
    name_of: Callable[[str], str] = lambda cell: cell.strip().casefold(),
) -> bytes:
    """The list with other cells, and with rows added at its end.

    A column that the list lacks is added if one of its cells is not empty.

    :param cells: by row, as a spreadsheet counts: the header is 1.
    :param name_of: a header's cell → the column's name in this program.
    :raises InputError: the file can't be read as a table, or is a workbook with a formula.
    """
    filled = dict.fromkeys(name for row in (*cells.values(), *added) for name, cell in row.items() if cell)
    table = _Workbook(path) if path.suffix.lower() == ".xlsx" else _read_csv(path)
    names = [name_of(cell) for cell in table.header()]
    new = [name for name in filled if name not in names]
    for name in new:
        table.put(1, len(names), name)
        names.append(name)
    last = table.last_row()
    for number, row in [*cells.items(), *enumerate(added, start=last + 1)]:
        for name, cell in row.items():
            if name in names:
                table.put(number, names.index(name), cell)
    return table.content()


# --- CSV


@dataclass
class _Csv:
    """A CSV as it is written: quotes belong to the cells.

    :param begin: byte order mark and ``sep=``.
    :param rows: raw cells, and the line's end; the last line may have none.
    """

    begin: str
    delimiter: str
    rows: list[tuple[list[str], str]]

    def header(self) -> list[str]:
        return [_unquoted(cell) for cell in self.rows[0][0]]

    def last_row(self) -> int:
        return len(self.rows)

    def put(self, row: int, place: int, cell: str) -> None:
        if row > len(self.rows):  # lines end as the first one does
            end = self.rows[0][1] or "\n"
            self.rows[-1] = (self.rows[-1][0], self.rows[-1][1] or end)
            self.rows.append(([], end))
        cells = self.rows[row - 1][0]
        cells += [""] * (place + 1 - len(cells))
        cells[place] = self._quoted(cell if _NUMBER.fullmatch(cell) else keep_text(cell))

    def content(self) -> bytes:
        lines = (self.delimiter.join(cells) + end for cells, end in self.rows)
        return (self.begin + "".join(lines)).encode()

    def _quoted(self, cell: str) -> str:
        needs_quotes = any(mark in cell for mark in (self.delimiter, '"', "\r", "\n"))
        return '"' + cell.replace('"', '""') + '"' if needs_quotes else cell


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell


def _read_csv(path: Path) -> _Csv:
    read_table(path)  # raises for what is no table
    text = path.read_bytes().decode()
    begin = _BOM if text.startswith(_BOM) else ""
    first, delimiter = csv_form(text[len(begin) :])
    begin += first
    text = text[len(begin) :]
    mark = re.escape(delimiter)
    cell = re.compile(rf'("(?:[^"]|"")*"|[^{mark}\r\n]*)({mark}|\r\n|\r|\n|\Z)')
    rows: list[tuple[list[str], str]] = []
    cells: list[str] = []
    at = 0
    while at < len(text) or cells:
        found = cell.match(text, at)
        assert found is not None  # read_table has read the same cells
        cells.append(found[1])
        at = found.end()
        if found[2] != delimiter:
            rows.append((cells, found[2]))
            cells = []
    return _Csv(begin, delimiter, rows or [([], "")])


# --- workbook


class _Workbook:
    """The workbook's sheet of sessions, as :func:`read_table` chooses it."""

    def __init__(self, path: Path) -> None:
        from openpyxl import load_workbook  # slow import, and few lists are workbooks

        self._rows = read_table(path)  # raises for what is no table
        with warnings.catch_warnings(action="ignore"):
            self._book = load_workbook(path)
        self._sheet: Any = sheet_to_read(path, self._book.worksheets)
        formulas = (cell for row in self._sheet.iter_rows() for cell in row if cell.data_type == "f")
        if formula := next(formulas, None):  # openpyxl writes no results of formulas
            raise InputError(
                f"{path}: the result of the formula in {formula.coordinate} would be lost; in the "
                "spreadsheet, replace formulas by their values, then run this again."
            )

    def header(self) -> list[str]:
        return [str(cell.value or "") for cell in self._sheet[1]]

    def last_row(self) -> int:
        """Of the rows with a text: a workbook may have formats far below."""
        return self._rows[-1][0] if self._rows else 1

    def put(self, row: int, place: int, text: str) -> None:
        cell = self._sheet.cell(row, place + 1)
        cell.value, cell.data_type = text, "s"  # a string: =1+1 is no formula
        if row > 1:
            cell.number_format = "@"  # text, or 10-12 becomes a date

    def content(self) -> bytes:
        written = io.BytesIO()
        with warnings.catch_warnings(action="ignore"):
            self._book.save(written)
        return written.getvalue()
