"""Export all derived tables: CSV for statistics, a workbook for Excel, and a data dictionary.

CSV is UTF-8. In CSV, a text that a spreadsheet would run as a formula or change into a number gets a leading
apostrophe; in the workbook, texts are stored as texts.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import partial
from math import isfinite
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa

from pipeline.errors import InputError, OutputError
from pipeline.exchange.manifest import Files
from pipeline.store.files import atomic
from pipeline.store.parquet import as_frame, read_table
from pipeline.store.spreadsheet import SIGNIFICANT, Decimal, keep_text, separator

DICTIONARY = "dictionary"
"""Name of the data dictionary."""

_MAX_EXCEL_ROWS = 2**20 - 1
_MAX_SHEET_NAME = 31


@dataclass(frozen=True)
class NamedTable:
    """A table, and the name of its file or sheet."""

    name: str
    table: pa.Table

    def frame(self) -> pl.DataFrame:
        return as_frame(self.table)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """For a workbook, whose numbers are double: 0.1 in single precision stays 0.1, not 0.1000000015."""
        single = pl.col(pl.Float32)
        yield from _rounded(self.frame()).with_columns(single.cast(pl.String).cast(pl.Float64)).iter_rows()


def _rounded(rows: pl.DataFrame) -> pl.DataFrame:
    """Without the noise of binary fractions: 7.6, not 7.6000000000000005. Parquet has every digit."""
    return rows.with_columns(pl.col(pl.Float64).round_sig_figs(SIGNIFICANT))


def derived_tables(out: Path) -> list[NamedTable]:
    """Read the episodes of all sessions, and every table of ``summaries/``.

    :raises InputError: there are no summaries.
    :raises TimelineError: a table can't be read.
    """
    found = [NamedTable(path.stem, read_table(path)) for path in sorted(out.glob("summaries/*.parquet"))]
    episodes = [read_table(path) for path in sorted(out.glob("episodes/patient_id=*/*.parquet"))]
    if not found:
        raise InputError(f"{out}: holds no summaries; run `emonext summarize {quote(str(out))}` first.")
    if episodes:
        found.append(NamedTable("episodes", pa.concat_tables(episodes)))
    order = ("sessions", "measures", "episodes")
    return sorted(found, key=lambda one: (order.index(one.name) if one.name in order else 9, one.name))


def dictionary(tables: Iterable[NamedTable]) -> list[dict[str, str]]:
    """The data dictionary: meaning and unit of each column, from the schemas."""
    return [
        {
            "table": one.name,
            "column": field.name,
            "type": _kind(field.type),
            "unit": _said(field.metadata, b"unit"),
            "meaning": _said(field.metadata, b"meaning"),
        }
        for one in tables
        for field in one.table.schema
    ]


def described(tables: Iterable[NamedTable]) -> NamedTable:
    """The data dictionary as a table."""
    return NamedTable(DICTIONARY, pl.DataFrame(dictionary(tables)).to_arrow())


def _said(metadata: Mapping[bytes, bytes] | None, what: bytes) -> str:
    return (metadata or {}).get(what, b"").decode()


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_boolean(kind):
        return "true or false"
    if pa.types.is_temporal(kind):
        return "date and time, local"
    return "whole number" if pa.types.is_integer(kind) else "number"


def csv_files(tables: list[NamedTable], decimal: Decimal = "point") -> Files:
    """One file per table."""
    return {f"{one.name}.csv": partial(write_csv, one.frame(), decimal) for one in tables}


def write_csv(rows: pl.DataFrame, decimal: Decimal, path: Path) -> Path:
    """Write a table; a byte order mark beside decimal commas only, for Excel.

    :raises OutputError: the file can't be written.
    """
    with atomic(path) as unfinished:
        pl.DataFrame([_as_cells(column) for column in _rounded(rows)]).write_csv(
            unfinished,
            include_bom=decimal == "comma",
            separator=separator(decimal),
            decimal_comma=decimal == "comma",
        )
    return path


def _as_cells(column: pl.Series) -> pl.Series:
    """The column without numbers that are none, with texts that no spreadsheet changes, and with times of day
    where they are known."""
    if column.dtype.is_float():
        return column.set(~column.is_finite(), None)
    if column.dtype == pl.Datetime:
        # spreadsheets read no T
        return column.dt.to_string("%Y-%m-%d %H:%M:%S").str.strip_suffix(" 00:00:00")
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return column
    texts = column.cast(pl.String)
    kept = {text: keep_text(text) or None for text in texts.unique().drop_nulls()}
    return texts.replace(kept) if kept else texts


def write_xlsx(tables: list[NamedTable], path: Path, *, by_rows: bool = False) -> Path:
    """Write a workbook with one sheet per table.

    :param by_rows: keep no more than a row in memory.
    :raises OutputError: the file can't be written, or a table has more rows or a longer text than a sheet
        allows.
    """
    import xlsxwriter

    for one in tables:
        if one.table.num_rows > _MAX_EXCEL_ROWS:
            raise OutputError(
                f"{path}: {one.name} has {one.table.num_rows} rows, more than Excel takes; export as csv."
            )
    # texts are never interpreted as formulas or links
    options = {"strings_to_formulas": False, "strings_to_urls": False}
    with (
        atomic(path) as unfinished,
        _temporary_files(by_rows, path.parent) as place,
        _closing_errors_as_os_errors(),
        xlsxwriter.Workbook(str(unfinished), options | place) as book,
    ):
        book.set_properties({"title": "Emonext Care", "comments": "Automated estimates of expression."})
        head = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        days = [book.add_format({"num_format": kind}) for kind in ("yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss")]
        for one in tables:
            _add_sheet(book, one.name, one.table.column_names, one.rows(), head, days)
    return path


@contextmanager
def _temporary_files(by_rows: bool, folder: Path) -> Iterator[dict[str, Any]]:
    """The library's options for temporary files: none, or beside the workbook, never elsewhere."""
    if not by_rows:
        yield {"in_memory": True}
        return
    with TemporaryDirectory(dir=folder, prefix=".") as place:
        yield {"constant_memory": True, "tmpdir": place}


@contextmanager
def _closing_errors_as_os_errors() -> Iterator[None]:
    """Convert the library's wrapper around system errors, such as a full disk, to OSError."""
    from xlsxwriter.exceptions import FileCreateError

    try:
        yield
    except FileCreateError as error:
        raise error.args[0] if isinstance(error.args[0], OSError) else OSError(str(error)) from error


def _add_sheet(
    book: Any, name: str, columns: Iterable[str], rows: Iterable[tuple[Any, ...]], head: Any, days: Any
) -> None:
    """:param head, days: formats of the first row, and of dates without and with a time of day."""
    sheet = book.add_worksheet(name[:_MAX_SHEET_NAME])
    sheet.freeze_panes(1, 0)
    widths = [len(column) for column in columns]
    for column, title in enumerate(columns):
        sheet.write_string(0, column, title, head)
    last = 0
    for last, row in enumerate(rows, start=1):
        for column, cell in enumerate(row):
            _write_cell(sheet, last, column, cell, days)
            if last <= 200:  # column widths from the first rows
                widths[column] = max(widths[column], len(str(cell)))
    sheet.autofilter(0, 0, last, len(widths) - 1)
    for column, width in enumerate(widths):
        sheet.set_column(column, column, min(width + 2, 80))


def _write_cell(sheet: Any, row: int, column: int, cell: Any, days: Any) -> None:
    if cell is None or (isinstance(cell, float) and not isfinite(cell)):
        return
    if isinstance(cell, bool):
        sheet.write_boolean(row, column, cell)
    elif isinstance(cell, date):
        sheet.write_datetime(row, column, cell, days[isinstance(cell, datetime) and cell.time() != time.min])
    elif isinstance(cell, int | float):
        sheet.write_number(row, column, cell)
    elif sheet.write_string(row, column, cell):
        raise OutputError(f"{sheet.name}: a text is longer than Excel takes; export as csv.")
