"""Read an Excel workbook as a table of texts: stored values, formulas are never calculated."""

import re
import warnings
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import DoubtfulTableError, InputError

SHEET = "sessions"
"""Name of the sheet to read; without it, the first visible sheet."""

OWN = "x_"
"""Begins the name of a study's own columns, which are ignored."""

# Two of these names in the first row of a sheet: it may be a list, perhaps with a slip in another name.
_OF_A_LIST = {"patient_id", "session_id", "video"}

# Limit for the unpacked size: a workbook is a zip file, and a few bytes may unpack to gigabytes.
_MAX_UNPACKED = 100 * 2**20

# Sheets in a message; columns that are read to recognise a list.
_MAX_NAMED = 5
_MAX_PEEKED = 500

_ZEROS = re.compile(r"0{2,15}")

Row = tuple[int, list[str]]
"""Row number, as in Excel, and cells."""


def read_workbook(path: Path, max_columns: int, max_rows: int) -> list[Row]:
    """(row, cells) of a sheet's first row, and of each other row that is not empty.

    Dates are written as ``2026-03-01`` or ``2026-03-01T14:30:00``, times as Excel shows them.

    :param path: an existing file. :param max_columns, max_rows: cells beyond are ignored.
    :raises InputError: the file is no workbook, or has a formula without a stored value.
    :raises DoubtfulTableError: it is unclear which sheet counts, or merged cells hide what a row lacks.
    """
    _check_file(path)
    try:
        # suppress the library's warnings about unknown styles
        with warnings.catch_warnings(action="ignore"):
            rows = islice(_rows(path, max_columns), max_rows)
            return [(number, cells) for number, cells in rows if number == 1 or any(cells)]
    except InputError:
        raise
    except Exception as error:  # a damaged workbook raises many kinds of errors
        raise InputError(f"{path}: can't be read as an Excel workbook; save it again in Excel.") from error


def first_rows(path: Path, max_columns: int) -> list[list[str]]:
    """The texts of each sheet's first row, also of hidden sheets; none if the file is no workbook."""
    from openpyxl import load_workbook  # slow import, and few lists are workbooks

    try:
        _check_file(path)
        with warnings.catch_warnings(action="ignore"):
            book = load_workbook(path, read_only=True, data_only=True)
            try:
                return [_first_row(sheet, max_columns) for sheet in book.worksheets]
            finally:
                book.close()
    except Exception:  # noqa: BLE001 — a damaged workbook raises many kinds of errors
        return []


def sheet_to_read(path: Path, sheets: Sequence[Any]) -> Any:
    """The sheet that counts: what people see when they open the workbook, and never a hidden one.

    :raises DoubtfulTableError: the sheet that is named sessions is hidden, or several sheets may count.
    """
    named = [sheet for sheet in sheets if sheet.title.strip().casefold() == SHEET]
    for sheet in named:
        if sheet.sheet_state != "visible":
            raise DoubtfulTableError(
                f"{path}: the sheet {sheet.title!r} is hidden; in the spreadsheet, unhide it, or delete it."
            )
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"]
    lists = named or [sheet for sheet in visible if _may_be_a_list(sheet)]
    if len(lists) > 1:
        titles = ", ".join(repr(sheet.title) for sheet in lists[:_MAX_NAMED])
        more = ", …" if len(lists) > _MAX_NAMED else ""
        raise DoubtfulTableError(
            f"{path}: several sheets may be the list of sessions ({titles}{more}); name the one that counts "
            f"{SHEET}, and the others otherwise."
        )
    if not visible:
        raise InputError(f"{path}: no sheet with cells can be seen; in the spreadsheet, unhide the list.")
    return [*named, *visible][0]


def _may_be_a_list(sheet: Any) -> bool:
    return len(_OF_A_LIST.intersection(_names(_first_row(sheet, _MAX_PEEKED)))) > 1


def _first_row(sheet: Any, max_columns: int) -> list[str]:
    if hasattr(sheet, "reset_dimensions"):
        sheet.reset_dimensions()  # the size declared in the file may be wrong
    else:  # a workbook that is changed: the library would add the cells that it lacks
        max_columns = min(max_columns, sheet.max_column)
    cells = next(sheet.iter_rows(max_row=1, max_col=max_columns, values_only=True), ())
    return ["" if cell is None else str(cell) for cell in cells]


def _names(header: Sequence[str]) -> list[str]:
    return [cell.strip().casefold() for cell in header]


def _check_file(path: Path) -> None:
    """:raises InputError: the file is no workbook, or too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"{path}: not an Excel workbook (.xlsx), or protected by a password; in the spreadsheet, save it "
            "as “Excel workbook (.xlsx)” without a password, or as “CSV UTF-8”."
        ) from error
    if unpacked > _MAX_UNPACKED:
        raise InputError(f"{path}: {unpacked / 2**20:.0f} MB unpacked; this is another kind of workbook.")


def _rows(path: Path, max_columns: int) -> Iterator[Row]:
    from openpyxl import load_workbook  # slow import, and few lists are workbooks

    values = load_workbook(path, read_only=True, data_only=True)
    formulas = load_workbook(path, read_only=True)
    try:
        shown_sheet = sheet_to_read(path, values.worksheets)
        sheets = [shown_sheet, formulas[shown_sheet.title]]
        for sheet in sheets:
            sheet.reset_dimensions()  # the size declared in the file may be wrong
        rows = zip(*(sheet.iter_rows(max_col=max_columns) for sheet in sheets), strict=True)
        header: list[str] = []
        filled: list[int] = []
        for number, (shown, written) in enumerate(rows, start=1):
            for cell, source in zip(shown, written, strict=True):
                if source.data_type == "f" and cell.value is None:
                    raise InputError(
                        f"{path}: the formula in {source.coordinate} has no result; open the workbook in "
                        "Excel and save it, or write the value itself."
                    )
            cells = _without_empty_end([_text(cell.value, cell.number_format) for cell in shown])
            header = cells if number == 1 else header
            filled += [number] if cells else []
            yield number, cells
        _check_merged(path, shown_sheet, header, filled)
    finally:
        values.close()
        formulas.close()


def _check_merged(path: Path, sheet: Any, header: Sequence[str], filled: Sequence[int]) -> None:
    """:raises DoubtfulTableError: merged cells look like a value of several rows, or of several columns.

    Only the first of the merged cells holds the value. The study's own columns may hold merged cells.

    :param filled: the rows with a text, in order.
    """
    from openpyxl.utils import range_boundaries

    read = [bool(name) and not name.startswith(OWN) for name in _names(header)]
    lost = []
    for cells in _merged(sheet):
        left, top, right, bottom = range_boundaries(cells)
        rows = bisect_right(filled, bottom) - bisect_left(filled, top)
        columns = sum(read[left - 1 : right])
        if rows and columns and (rows > 1 or columns > 1):
            lost.append((top, left, cells))
    if lost:
        cells = min(lost)[2]
        more = f" ({len(lost) - 1} more like it)" if len(lost) > 1 else ""
        raise DoubtfulTableError(
            f"{path}: the cells {cells} are merged{more}, and only {cells.partition(':')[0]} has the value; "
            "in the spreadsheet, unmerge the cells, then fill in each row."
        )


def _merged(sheet: Any) -> Iterator[str]:
    """Ranges such as ``D2:D3``; a sheet that is only read does not give them."""
    from openpyxl.xml.functions import iterparse

    with sheet._get_source() as file:
        for _, element in iterparse(file):
            if element.tag.endswith("}mergeCell"):
                yield element.get("ref")
            element.clear()


def _without_empty_end(cells: list[str]) -> list[str]:
    """Remove trailing empty cells: the library fills every row up to the last requested column."""
    last = max((place for place, cell in enumerate(cells, start=1) if cell), default=0)
    return cells[:last]


def _text(value: Any, number_format: str) -> str:
    """A cell's value as shown by Excel, except dates, which are always ISO."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time | timedelta):
        return _clock(value, number_format)
    if isinstance(value, int | float):
        return _number(value, number_format)
    return str(value)


def _clock(value: time | timedelta, number_format: str) -> str:
    """A time as shown, such as ``1:30`` for a cell that shows hours and minutes."""
    if isinstance(value, time):
        value = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second)
    seconds = round(value.total_seconds())
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    if "s" not in number_format.lower() and not rest:
        return f"{hours}:{minutes:02}"
    return f"{hours}:{minutes:02}:{rest:02}"


def _number(value: float, number_format: str) -> str:
    if _ZEROS.fullmatch(number_format) and value == int(value) >= 0:
        return f"{int(value):0{len(number_format)}}"
    if number_format.endswith("%"):
        return f"{100 * value:.15g}%"
    text = f"{value:.15g}"
    return f"{value:.9f}".rstrip("0").rstrip(".") if "e" in text else text
