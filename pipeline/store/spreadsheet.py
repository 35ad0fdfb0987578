"""Read and write files that people edit: spreadsheet tables (Excel's CSV, .xlsx), and TOML."""

import csv
import difflib
import io
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice, zip_longest
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.errors import DoubtfulTableError, InputError
from pipeline.store.files import atomic
from pipeline.store.folders import refuse_folder
from pipeline.store.workbook import OWN, Row, first_rows, read_workbook

TABLE_SUFFIXES = (".csv", ".xlsx")
"""Suffixes of lists, case-insensitive."""

# Limits far above any study, and low enough to refuse a wrong file before it fills the memory.
_MAX_BYTES = 50 * 2**20
_MAX_ROWS = 10_000
_MAX_LINES = 2**20  # rows of a spreadsheet, empty ones included
MAX_COLUMNS = 500

# Bytes of a CSV, and of a workbook, that are read to recognise a list of sessions.
_FIRST_BYTES = 2**16
_MAX_PEEK = 5 * 2**20

# Characters. The time to parse a key with thousands of dots grows with their square.
_MAX_TOML = 10_000

# A spreadsheet would run such a text as a formula (OWASP, CSV injection), or trim it. A leading apostrophe
# prevents both; a text with apostrophes gets one more, so that removing one is always correct. The wide signs
# are those of Japanese and Chinese keyboards.
_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\s]")

# A spreadsheet would change such a text into a number or a date: 007, 1e5, 1.10, 3-12, 20260301120000001,
# 2026-03-01 14:30.
_LIKE_NUMBER = re.compile(
    r"'*(0[0-9]+|[0-9]{16,}|[0-9.,]+[eE][0-9]+|[0-9]+(,[0-9]+|([-/.:][0-9]+){1,3}( [0-9]+(:[0-9]+){1,2})?))"
)

# What a formula without a result shows, in every language: #N/A, #NV, #DIV/0!, #BEZUG!, #NOM?; in LibreOffice
# also Err:502.
_ERROR = re.compile(r"#(N/A|N/D|NV|GETTING_DATA|¡?[A-ZÀ-Ü0-9/]{3,16}[!?])|(Err|Fehler):[0-9]{3}")
_BEGIN_OF_ERRORS = ("#", "E", "F", " ")

Decimal = Literal["point", "comma"]
"""Decimal mark of a folder's tables. Cells are separated by a comma; beside decimal commas, by ``;``."""

DECIMALS: tuple[Decimal, ...] = get_args(Decimal)
TABLES_FILE = "tables.toml"
"""Keeps a results folder's choice."""

SIGNIFICANT = 10
"""Digits of numbers in tables: above what any measure means, and below the noise of binary fractions."""

Cell = str | int | float | None

NUMBER = re.compile(r"[0-9]{1,7}([.,][0-9]{1,9})?")
_CLOCK = re.compile(r"(?:([0-9]{1,3}):)?([0-9]{1,4}):([0-9]{1,2}(?:[.,][0-9]{1,9})?)")

# Times below 1 s, as numbers; how near to a whole number of seconds, s.
_BELOW_1 = re.compile(r"0(\.[0-9]*)?")
_WHOLE_S = 0.01
_DAY_S = 86_400

# A first line that tells Excel the delimiter; Excel does not show it.
SEPARATOR_LINE = re.compile(r'"?sep=([;,\t|])"?;*,*\r?\n?', re.IGNORECASE)

# Maximum length of a cell in a message.
MAX_SHOWN = 80


@dataclass(frozen=True)
class Problem:
    """An error in a table.

    :param row: row number as in a spreadsheet: the header is 1.
    :param column: the column's name; empty for the whole row.
    :param called: a further name of the row, such as its video, if the number is not enough.
    """

    row: int
    column: str
    reason: str
    called: str = ""

    def __str__(self) -> str:
        place = f"row {self.row} ({self.called})" if self.called else f"row {self.row}"
        return f"{place}, {self.column}: {self.reason}" if self.column else f"{place}: {self.reason}"


def read_text(path: Path, advice: str) -> str:
    _check_file(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8; {advice}.") from error
    if "\0" in text:
        raise InputError(f"{path}: not text; {advice}.")
    return text


def _check_file(path: Path) -> None:
    """:raises InputError: the file does not exist, is a folder, or is too large to be written by hand."""
    refuse_folder(path)
    if not is_file(path):
        raise InputError(f"{path}: no such file.")
    if path.stat().st_size > _MAX_BYTES:
        size, most = path.stat().st_size / 2**20, _MAX_BYTES // 2**20
        raise InputError(f"{path}: {size:.0f} MB, above {most}; this is another kind of file.")


def read_toml(path: Path, like: str) -> dict[str, Any]:
    """Read the tables and values of a short TOML file.

    :param like: an example line, for the message.
    :raises InputError: the file can't be read, or is no TOML.
    """
    text = read_text(path, "write it as plain text in UTF-8")
    if len(text) > _MAX_TOML:
        raise InputError(f"{path}: too long for a settings file: {len(text)} characters, above {_MAX_TOML}.")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not TOML ({error}); a line is like: {like}") from error


def setting(path: Path, table: str, key: str, value: Any, kind: type, wanted: Mapping[type, str]) -> Any:
    """The value of a TOML file's setting, as a text, a truth value, a number, a table or texts (``tuple``).

    :param table: of the setting, with a dot at the end, or empty. ``wanted``: what to give of each kind.
    :raises InputError: the value is of another kind, or the number is out of range.
    """
    if kind is tuple:
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
    else:  # in Python, bool is an int; and 5 is no float, but users write 5 for 5.0
        fits = type(value) is kind or (kind is float and type(value) is int)
    if fits and kind in (int, float):
        fits = (1 if kind is int else 0) <= value <= 1e9
    if not fits:
        raise InputError(f"{path}: {table}{key}: give {wanted[kind]}.")
    return kind(value)


def read_table(path: Path, max_rows: int = _MAX_ROWS, delimiters: str = ";,") -> list[Row]:
    """(row, cells) of the first line, and of each other line that is not empty.

    Rows are counted as in a spreadsheet: a cell with line breaks is in one row, and a first line ``sep=;``
    does not count. Of a workbook, the sheet named sessions is read, or else the first that is not hidden.

    :raises InputError: the file can't be read as a table.
    :raises DoubtfulTableError: it can, but perhaps not as it was meant.
    """
    table: list[Row] = []
    for number, cells in _rows(path, delimiters):
        if number == 1 or any(cell.strip() for cell in cells):
            table.append((number, cells))
        if len(table) > max_rows + 1 or number > _MAX_LINES:
            raise InputError(f"{path}: more than {max_rows} rows; divide it into several files.")
    _check_errors(path, table)
    return table


def _check_errors(path: Path, table: Sequence[Row]) -> None:
    """:raises DoubtfulTableError: a cell, not of the study's own columns, holds an error of a formula."""
    header = table[0][1] if table else []
    for number, cells in table:
        for name, cell in zip_longest(header, cells[: MAX_COLUMNS + 1], fillvalue=""):
            if cell[:1] in _BEGIN_OF_ERRORS and _ERROR.fullmatch(cell.strip()) and not is_own(name):
                reason = f"{shown(cell)} is an error of a formula; correct it, or write the value itself."
                raise DoubtfulTableError(
                    f"{path}: {Problem(number, shown(name.strip(), quoted=False), reason)}"
                )


def is_own(name: str) -> bool:
    """Whether a column is the study's own, and ignored."""
    return name.strip().casefold().startswith(OWN)


def first_lines(path: Path) -> list[list[str]]:
    """The cells of a table's first line, without reading the rest: of a workbook, those of every sheet.

    No line if the file is no table. What is wrong in a workbook, such as which sheet counts, is left to
    :func:`read_table`: a list with a fault is still a list.
    """
    try:
        if path.suffix.lower() == ".xlsx":
            return [] if path.stat().st_size > _MAX_PEEK else first_rows(path, MAX_COLUMNS + 1)
        with path.open("rb") as file:
            text = file.read(_FIRST_BYTES).decode("utf-8-sig", errors="replace")
        return [cells for _, cells in islice(_parse(text, ";,"), 1)]
    except (InputError, OSError):
        return []


def _rows(path: Path, delimiters: str) -> Iterable[Row]:
    if path.suffix.lower() == ".xlsx":
        _check_file(path)
        return read_workbook(path, MAX_COLUMNS + 1, _MAX_LINES)
    return _parse(read_text(path, "in the spreadsheet, save it as “CSV UTF-8”"), delimiters, path)


def _parse(text: str, delimiters: str, path: Path = Path()) -> Iterator[Row]:
    first, delimiter = csv_form(text, delimiters)
    with io.StringIO(text[len(first) :], newline="") as lines:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            yield from enumerate(reader, start=1)
        except csv.Error as error:
            line = reader.line_num + bool(first)
            raise InputError(
                f"{path}, line {line}: can't be read ({error}); is a quote (\") not closed?"
            ) from error


def csv_form(text: str, delimiters: str = ";,") -> tuple[str, str]:
    """A first line such as ``sep=;``, or nothing; and the delimiter."""
    separator = SEPARATOR_LINE.match(text)
    if separator:
        return separator[0], separator[1]
    with io.StringIO(text, newline="") as lines:
        return "", max(delimiters, key=lines.readline().count)


def write_rows(
    path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Cell]], decimal: Decimal = "point"
) -> Path:
    """Write a table for a spreadsheet, with a byte order mark for Excel; missing cells stay empty.

    :raises OutputError: the file can't be written.
    """
    with (
        atomic(path) as partial,
        # invalid characters become question marks
        partial.open("w", encoding="utf-8-sig", errors="replace", newline="") as file,
    ):
        writer = csv.DictWriter(file, list(columns), restval="", delimiter=separator(decimal))
        writer.writeheader()
        writer.writerows({name: as_text(cell, decimal) for name, cell in row.items()} for row in rows)
    return path


def separator(decimal: Decimal) -> str:
    return ";" if decimal == "comma" else ","


def as_text(cell: Cell, decimal: Decimal = "point") -> str:
    """A cell of a CSV: a number with the decimal mark, a text so that no spreadsheet changes it."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        text = f"{cell:.{SIGNIFICANT}g}" if isfinite(cell) else ""
        return text.replace(".", ",") if decimal == "comma" else text
    return keep_text("" if cell is None else cell) if not isinstance(cell, int) else str(cell)


def read_decimal(out: Path) -> Decimal:
    """The choice of a results folder; point without one.

    :raises InputError: its file can't be read.
    """
    path = out / TABLES_FILE
    like = 'decimal = "comma"'
    chosen = read_toml(path, like).get("decimal", "point") if is_file(path) else "point"
    if chosen not in DECIMALS:
        raise InputError(f'{path}: decimal: write {like}, or "point".')
    return "comma" if chosen == "comma" else "point"


def keep_decimal(out: Path, decimal: Decimal) -> None:
    """Keep the choice for all tables that are written into the folder from now on.

    :raises OutputError: the file can't be written.
    """
    with atomic(out / TABLES_FILE) as partial:
        partial.write_text(f'decimal = "{decimal}"\n', encoding="utf-8")


def is_text(name: str) -> bool:
    """Whether a file's name is valid UTF-8 and can be written as text."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def shown(text: str, *, quoted: bool = True) -> str:
    """A text for a message: short, on one line, without control characters."""
    text = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
    return repr(text) if quoted or not text.isprintable() else text


def protect(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def keep_text(cell: str) -> str:
    """As :func:`protect`; a text that a spreadsheet would make a number or a date stays a text too."""
    return f"'{cell}" if _LIKE_NUMBER.fullmatch(cell.rstrip()) else protect(cell)


def plain(cell: str) -> str:
    """The cell without surrounding blanks and without the apostrophe of :func:`keep_text`."""
    cell = cell.lstrip()
    # strip trailing blanks last: in a cell of blanks, the apostrophe protects the blanks
    kept = cell.startswith("'") and (_FORMULA.match(cell) or _LIKE_NUMBER.fullmatch(cell.rstrip()))
    return (cell[1:] if kept else cell).rstrip()


def why_repeated(column: str, earlier: Sequence[str], header: Sequence[str] = ()) -> str:
    """Error for a column with the same meaning as an earlier one; empty if there is none.

    :param header: the names in the file, up to this column's, where several names mean the same column.
    """
    if column not in earlier:
        return ""
    first, own = (header[earlier.index(column)], header[len(earlier)]) if header else (column, column)
    if first.strip().casefold() == own.strip().casefold():
        return "two columns have this name; keep one."
    names = f"{shown(first)} and {shown(own)}"
    return f"{names} mean the same column; keep one, or begin the other's name with x_."


def is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or a folder without permission
        return False


def read_seconds(cell: str) -> float:
    """Parse ``90``, ``90.5``, ``mm:ss`` or ``h:mm:ss`` → seconds.

    :raises InputError: the cell is no time; the message is the reason.
    """
    clock = _CLOCK.fullmatch(cell)
    if clock:
        hours, minutes, seconds = (as_float(part or "0") for part in clock.groups())
        if seconds < 60 and (minutes < 60 or clock[1] is None):
            return 3600 * hours + 60 * minutes + seconds
    elif NUMBER.fullmatch(cell):
        return as_float(cell)
    raise InputError(f"{shown(cell)} is no time; write seconds (90 or 90.5), mm:ss or h:mm:ss.")


def column_of(lines: Iterable[Row], place: int) -> list[str]:
    """The plain cells of a column; empty where a row is shorter."""
    return [plain(cells[place]) if place < len(cells) else "" for _, cells in lines]


def why_share_of_day(cells: Iterable[str], decimals: int = 4) -> tuple[int, str] | None:
    """Where times look like a spreadsheet's shares of a day: the place among the cells, and the reason.

    :param cells: all times of a column, or of the columns of a table that belong together.
    :param decimals: so many may be meant as seconds.
    """
    # A spreadsheet keeps 0:01:30 as 90/86400 = 0.001041667. Evidence is a time of more decimals that is a
    # whole number of seconds as a share of a day, if all times of the column are numbers below 1. Of other
    # times with six decimals or more, one in fifty is like that; 0.25 and 0.533333 are not.
    filled = [(place, cell.strip().replace(",", ".")) for place, cell in enumerate(cells)]
    filled = [(place, cell) for place, cell in filled if re.search("[0-9]", cell)]
    if not all(_BELOW_1.fullmatch(cell) for _, cell in filled):
        return None
    for place, cell in filled:
        seconds = round(float(cell) * _DAY_S)
        is_whole = seconds and abs(float(cell) * _DAY_S - seconds) < _WHOLE_S
        if is_whole and len(cell.rstrip("0")) > len("0.") + decimals:
            return place, (
                f"{shown(cell)} looks like a share of a day, {timedelta(seconds=seconds)}; format the column "
                "as text, then write times like 0:01:30 (if it is seconds, write at most "
                f"{decimals} decimals)."
            )
    return None


def as_float(number: str) -> float:
    return float(number.replace(",", "."))


def closest(name: str, known: Iterable[str]) -> str:
    """The most similar known name; empty if there is none."""
    return next(iter(difflib.get_close_matches(name[:MAX_SHOWN].casefold(), list(known), n=1)), "")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The end of a message about an unknown name."""
    close = closest(name, known)
    return f"; did you mean {close}?" if close else f"; there are {', '.join(known)}."
