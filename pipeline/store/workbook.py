"""An Excel workbook as a table of texts: what a cell shows, never what its formula would calculate."""

import re
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import InputError

SHEET = "sessions"
"""The sheet that is read; the first one where none has this name."""

# A workbook is a zip file: a few bytes may unpack to gigabytes.
_MAX_UNPACKED = 100 * 2**20

_ZEROS = re.compile(r"0{2,15}")

Row = tuple[int, list[str]]
"""Number, as Excel counts it, and cells."""


def read_workbook(path: Path, max_columns: int, max_rows: int) -> list[Row]:
    """(row, cells) of one sheet's first row, and of each other that is not empty.

    Dates are written as ``2026-03-01`` or ``2026-03-01T14:30:00``, times as Excel shows them.

    :param path: an existing file. :param max_columns, max_rows: cells beyond them are not looked at.
    :raises InputError: it is no workbook, or a formula in it was never calculated.
    """
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
    try:
        # the program's own output stays one line: the library warns of styles that it does not know
        with warnings.catch_warnings(action="ignore"):
            rows = islice(_rows(path, max_columns), max_rows)
            return [(number, cells) for number, cells in rows if number == 1 or any(cells)]
    except InputError:
        raise
    except Exception as error:  # a damaged workbook raises whatever its reader stumbles over
        raise InputError(f"{path}: can't be read as an Excel workbook; save it again in Excel.") from error


def _rows(path: Path, max_columns: int) -> Iterator[Row]:
    from openpyxl import load_workbook  # takes a while, and few lists are workbooks

    values = load_workbook(path, read_only=True, data_only=True)
    formulas = load_workbook(path, read_only=True)
    try:
        name = next((name for name in values.sheetnames if name.strip().casefold() == SHEET), None)
        sheets = [book[name] if name else book.worksheets[0] for book in (values, formulas)]
        for sheet in sheets:
            sheet.reset_dimensions()  # what the file says of its size may be wrong
        rows = zip(*(sheet.iter_rows(max_col=max_columns) for sheet in sheets), strict=True)
        for number, (shown, written) in enumerate(rows, start=1):
            for cell, source in zip(shown, written, strict=True):
                if source.data_type == "f" and cell.value is None:
                    raise InputError(
                        f"{path}: the formula in {source.coordinate} has no result; open the workbook in "
                        "Excel and save it, or write the value itself."
                    )
            yield number, _without_empty_end([_text(cell.value, cell.number_format) for cell in shown])
    finally:
        values.close()
        formulas.close()


def _without_empty_end(cells: list[str]) -> list[str]:
    """The library fills every row up to the last column that was asked for."""
    last = max((place for place, cell in enumerate(cells, start=1) if cell), default=0)
    return cells[:last]


def _text(value: Any, number_format: str) -> str:
    """A cell's value as Excel shows it, but for dates, which are ISO whatever the format."""
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
    """``1:30`` of a cell that shows hours and minutes: whoever types 1:30 sees that, and means it."""
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
