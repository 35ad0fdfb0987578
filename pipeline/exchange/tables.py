"""Export all derived tables: CSV for statistics, a workbook for Excel, and a data dictionary.

CSV uses commas, UTF-8 and decimal points, as R and pandas expect. In CSV, a text that a spreadsheet would run
as a formula gets a leading apostrophe; in the workbook, texts are stored as texts.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from math import isfinite
from pathlib import Path
from shlex import quote
from typing import Any

import pyarrow as pa

from pipeline.errors import InputError, OutputError
from pipeline.exchange.manifest import Files
from pipeline.store.files import atomic
from pipeline.store.parquet import read_table
from pipeline.store.spreadsheet import protect

DICTIONARY = "dictionary"
"""Name of the data dictionary."""

DICTIONARY_COLUMNS = ("table", "column", "type", "unit", "meaning")

_MAX_EXCEL_ROWS = 2**20 - 1
_MAX_SHEET_NAME = 31


@dataclass(frozen=True)
class NamedTable:
    """A table, and the name of its file or sheet."""

    name: str
    table: pa.Table

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for batch in self.table.to_batches(max_chunksize=10_000):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


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


def csv_files(tables: list[NamedTable]) -> Files:
    """One file per table, and ``dictionary.csv``."""
    rows = (tuple(row.values()) for row in dictionary(tables))
    described = {f"{DICTIONARY}.csv": partial(_write_csv, DICTIONARY_COLUMNS, rows)}
    return {
        f"{one.name}.csv": partial(_write_csv, one.table.column_names, one.rows()) for one in tables
    } | described


def _write_csv(columns: Iterable[str], rows: Iterable[tuple[Any, ...]], path: Path) -> Path:
    with (
        atomic(path) as unfinished,
        unfinished.open("w", encoding="utf-8", errors="replace", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([_as_text(cell) for cell in row] for row in rows)
    return path


def _as_text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and not isfinite(cell)):
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="seconds")
    if isinstance(cell, float):
        return f"{cell:.10g}"
    return protect(cell) if isinstance(cell, str) else str(cell)


def write_xlsx(tables: list[NamedTable], path: Path) -> Path:
    """Write a workbook with one sheet per table, and the data dictionary.

    :raises OutputError: the file can't be written, or a table has more rows than a sheet allows.
    """
    import xlsxwriter

    for one in tables:
        if one.table.num_rows > _MAX_EXCEL_ROWS:
            raise OutputError(
                f"{path}: {one.name} has {one.table.num_rows} rows, more than Excel takes; export as csv."
            )
    # no temporary files outside the results folder; no texts interpreted as formulas or links
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with (
        atomic(path) as unfinished,
        _closing_errors_as_os_errors(),
        xlsxwriter.Workbook(str(unfinished), options) as book,
    ):
        book.set_properties({"title": "Emonext Care", "comments": "Automated estimates of expression."})
        head = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        day = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        for one in tables:
            _add_sheet(book, one.name, one.table.column_names, one.rows(), head, day)
        rows = (tuple(row.values()) for row in dictionary(tables))
        _add_sheet(book, DICTIONARY, DICTIONARY_COLUMNS, rows, head, day)
    return path


@contextmanager
def _closing_errors_as_os_errors() -> Iterator[None]:
    """Convert the library's wrapper around system errors, such as a full disk, to OSError."""
    from xlsxwriter.exceptions import FileCreateError

    try:
        yield
    except FileCreateError as error:
        raise error.args[0] if isinstance(error.args[0], OSError) else OSError(str(error)) from error


def _add_sheet(
    book: Any, name: str, columns: Iterable[str], rows: Iterable[tuple[Any, ...]], head: Any, day: Any
) -> None:
    sheet = book.add_worksheet(name[:_MAX_SHEET_NAME])
    sheet.freeze_panes(1, 0)
    widths = [len(column) for column in columns]
    for column, title in enumerate(columns):
        sheet.write_string(0, column, title, head)
    last = 0
    for last, row in enumerate(rows, start=1):
        for column, cell in enumerate(row):
            _write_cell(sheet, last, column, cell, day)
            if last <= 200:  # column widths from the first rows
                widths[column] = max(widths[column], len(_as_text(cell)))
    sheet.autofilter(0, 0, last, len(widths) - 1)
    for column, width in enumerate(widths):
        sheet.set_column(column, column, min(width + 2, 80))


def _write_cell(sheet: Any, row: int, column: int, cell: Any, day: Any) -> None:
    if cell is None or (isinstance(cell, float) and not isfinite(cell)):
        return
    if isinstance(cell, bool):
        sheet.write_boolean(row, column, cell)
    elif isinstance(cell, date):
        sheet.write_datetime(row, column, cell, day)
    elif isinstance(cell, int | float):
        sheet.write_number(row, column, cell)
    else:
        sheet.write_string(row, column, str(cell))
