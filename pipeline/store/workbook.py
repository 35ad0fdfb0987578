"""Read an Excel workbook as a table of texts: stored values, formulas are never calculated."""

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
"""Name of the sheet to read; without it, the first sheet."""

# Limit for the unpacked size: a workbook is a zip file, and a few bytes may unpack to gigabytes.
_MAX_UNPACKED = 100 * 2**20

_ZEROS = re.compile(r"0{2,15}")

Row = tuple[int, list[str]]
"""Row number, as in Excel, and cells."""


def read_workbook(path: Path, max_columns: int, max_rows: int) -> list[Row]:
    """(row, cells) of a sheet's first row, and of each other row that is not empty.

    Dates are written as ``2026-03-01`` or ``2026-03-01T14:30:00``, times as Excel shows them.

    :param path: an existing file. :param max_columns, max_rows: cells beyond are ignored.
    :raises InputError: the file is no workbook, or has a formula without a stored value.
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
        # suppress the library's warnings about unknown styles
        with warnings.catch_warnings(action="ignore"):
            rows = islice(_rows(path, max_columns), max_rows)
            return [(number, cells) for number, cells in rows if number == 1 or any(cells)]
    except InputError:
        raise
    except Exception as error:  # a damaged workbook raises many kinds of errors
        raise InputError(f"{path}: can't be read as an Excel workbook; save it again in Excel.") from error


def _rows(path: Path, max_columns: int) -> Iterator[Row]:
    from openpyxl import load_workbook  # slow import, and few lists are workbooks

    values = load_workbook(path, read_only=True, data_only=True)
    formulas = load_workbook(path, read_only=True)
    try:
        name = next((name for name in values.sheetnames if name.strip().casefold() == SHEET), None)
        sheets = [book[name] if name else book.worksheets[0] for book in (values, formulas)]
        for sheet in sheets:
            sheet.reset_dimensions()  # the size declared in the file may be wrong
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
