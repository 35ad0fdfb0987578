"""Change cells of a list that people keep (CSV or workbook), and leave everything else as it is.

Of a CSV, other cells keep every character, and the file its encoding, separator and line ends. A workbook
keeps formulas, comments and formats.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.store.spreadsheet import csv_form, protect, read_table
from pipeline.store.workbook import SHEET

_BOM = "\ufeff"

ColumnName = Callable[[str], str]
"""A header's cell → the column's name in this program."""


def set_cells(path: Path, column: str, cells: Mapping[int, str]) -> bytes:
    """The list with other cells of one column, which is added at the end if there is none.

    :param cells: by row, as a spreadsheet counts: the header is 1.
    :raises InputError: the file can't be read as a table.
    """
    if path.suffix.lower() == ".xlsx":
        return _set_in_workbook(path, column, cells)
    table = _read_csv(path)
    place = table.place_of(column, _folded)
    for number, cell in cells.items():
        table.put(number - 1, place, cell)
    return table.content()


def add_rows(path: Path, rows: Sequence[Mapping[str, str]], name_of: ColumnName) -> bytes:
    """A CSV with further rows at its end; columns that it lacks are added where a row fills them.

    :raises InputError: the file can't be read as a table.
    """
    table = _read_csv(path)
    wanted = list(dict.fromkeys(name for row in rows for name, cell in row.items() if cell))
    places = {name: table.place_of(name, name_of) for name in wanted}
    for row in rows:
        number = table.add_row()
        for name, place in places.items():
            table.put(number, place, row.get(name, ""))
    return table.content()


def _folded(name: str) -> str:
    return name.strip().casefold()


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

    def place_of(self, column: str, name_of: ColumnName) -> int:
        header = self.rows[0][0]
        names = [name_of(_unquoted(cell)) for cell in header]
        if column not in names:
            header.append(column)
            names.append(column)
        return names.index(column)

    def put(self, row: int, place: int, cell: str) -> None:
        cells = self.rows[row][0]
        cells += [""] * (place + 1 - len(cells))
        cells[place] = self._quoted(protect(cell))

    def add_row(self) -> int:
        """The new row's place; lines end as the first one does."""
        end = self.rows[0][1] or "\n"
        self.rows[-1] = (self.rows[-1][0], self.rows[-1][1] or end)
        self.rows.append(([], end))
        return len(self.rows) - 1

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


def _set_in_workbook(path: Path, column: str, cells: Mapping[int, str]) -> bytes:
    from openpyxl import load_workbook  # slow import, and few lists are workbooks

    read_table(path)  # raises for what is no table
    with warnings.catch_warnings(action="ignore"):
        book = load_workbook(path)
    name = next((name for name in book.sheetnames if name.strip().casefold() == SHEET), None)
    sheet: Any = book[name] if name else book.worksheets[0]
    names = [_folded(str(cell.value or "")) for cell in sheet[1]]
    if column in names:
        place = names.index(column) + 1
    else:
        place = len(names) + 1
        sheet.cell(1, place).value = column
    for number, text in cells.items():
        cell = sheet.cell(number, place)
        cell.value, cell.number_format = text, "@"  # text, or 10-12 becomes a date
    written = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        book.save(written)
    return written.getvalue()
