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

# Columns of names: another text is another patient, session or condition.
_NAMES_OF = ("patient_id", "session_id", "condition")

# Number formats of which the text is certain: 0, 000, 0.00, 0%, with fixed texts such as "P"000 or 0\\ s.
_FIXED = r'(?:"[^"]*"|\\.|[- ()])*'
_NUMBER_FORMAT = re.compile(rf"({_FIXED})#*(0+)(\.0+)?(%?)({_FIXED})")
_FIXED_LETTERS = re.compile(r'"[^"]*[^\W_][^"]*"|\\[^\W_]')

# Excel keeps 15 digits of a number.
_MAX_EXACT = 1e15

Row = tuple[int, list[str]]
"""Row number, as in Excel, and cells."""


def read_workbook(path: Path, max_columns: int, max_rows: int) -> list[Row]:
    """(row, cells) of a sheet's first row, and of each other row that is not empty.

    Numbers and times are written as Excel shows them, if that is the whole value: ``P012`` for 12 in the
    format ``"P"000``, but ``1.55`` also in the format ``0.0``. Dates are written as ``2026-03-01`` or
    ``2026-03-01T14:30:00``.

    :param path: an existing file. :param max_columns, max_rows: cells beyond are ignored.
    :raises InputError: the file is no workbook, or has a formula without a stored value.
    :raises DoubtfulTableError: it is unclear which sheet counts, merged cells hide what a row lacks, or the
        name of a patient, session or condition is not what Excel shows.
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
            f"“{SHEET}”, and no other."
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
            texts = [_text(cell.value, cell.number_format) for cell in shown]
            cells = _without_empty_end([text for text, _ in texts])
            header = cells if number == 1 else header
            for name, cell, (text, is_as_shown) in zip(_names(header), shown, texts, strict=False):
                if not is_as_shown and number > 1 and _matters(name, cell):
                    raise DoubtfulTableError(
                        f"{path}: {cell.coordinate} holds {text}, and the spreadsheet may show another text; "
                        f"format the column {name} as text, then write its cells again."
                    )
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


def _matters(name: str, cell: Any) -> bool:
    """Whether a cell must be as shown: in a column of names, or a number with letters, as in 2 min for 2."""
    if not name or name.startswith(OWN):
        return False
    is_number = isinstance(cell.value, int | float)
    return name in _NAMES_OF or (is_number and bool(_FIXED_LETTERS.search(cell.number_format)))


def _text(value: Any, number_format: str) -> tuple[str, bool]:
    """A cell's value as text, and whether it is certain that Excel shows this text."""
    if value is None:
        return "", True
    if isinstance(value, bool):
        return str(value).upper(), True
    if isinstance(value, datetime | date):
        return _date(value), re.sub(r"\[[^\]]*\]|[\\\"]|;@$", "", number_format).lower() == "yyyy-mm-dd"
    if isinstance(value, time | timedelta):
        return _clock(value, number_format), False
    if isinstance(value, int | float):
        return _number(value, number_format)
    return str(value), not _alters_texts(number_format)


def _date(value: datetime | date) -> str:
    if isinstance(value, datetime) and value.time() != time():
        return value.isoformat(timespec="seconds")
    return value.isoformat()[:10]


def _clock(value: time | timedelta, number_format: str) -> str:
    """A time as shown, such as ``1:30`` for a cell that shows hours and minutes, to the millisecond."""
    if isinstance(value, time):
        value = timedelta(
            hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
        )
    seconds, ms = divmod(round(value.total_seconds() * 1000), 1000)
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    if "s" not in number_format.lower() and not (rest or ms):
        return f"{hours}:{minutes:02}"
    return f"{hours}:{minutes:02}:{rest:02}" + (f".{ms:03}".rstrip("0") if ms else "")


def _number(value: float, number_format: str) -> tuple[str, bool]:
    """As :func:`_text`. If Excel rounds, the whole value, and that this is not what Excel shows."""
    if number_format.lower() in ("general", "@"):
        return _plain_number(value), abs(value) < _MAX_EXACT
    form = _NUMBER_FORMAT.fullmatch(number_format)
    share = number_format.endswith("%")
    stored = _plain_number(100 * value if share else value)
    if form and 0 <= value < _MAX_EXACT:
        before, zeros, decimals, percent, after = form.groups(default="")
        width = len(zeros) + len(decimals)
        digits = f"{float(stored):0{width}.{max(len(decimals) - 1, 0)}f}"
        if float(digits) == float(stored) and share == bool(percent):
            return _fixed_text(before) + digits + percent + _fixed_text(after), True
    return f"{stored}%" if share else stored, False


def _plain_number(value: float) -> str:
    text = f"{value:.15g}"
    return f"{value:.9f}".rstrip("0").rstrip(".") if "e" in text else text


def _fixed_text(part: str) -> str:
    """The text that a part of a number format shows: ``P`` for ``"P"`` and for ``\\P``."""
    return re.sub(r'"([^"]*)"|\\(.)', lambda found: found[1] if found[1] is not None else found[2], part)


def _alters_texts(number_format: str) -> bool:
    """Whether a format such as ``"P"@`` shows a text with another text."""
    forms = (form for form in number_format.split(";") if "@" in form)
    return any(re.search(r"\w", re.sub(r"\[[^\]]*\]|[_*].", "", form)) for form in forms)
