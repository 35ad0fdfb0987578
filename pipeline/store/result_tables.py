"""Result tables, which store the meaning of their columns and the settings in the file."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from pipeline.errors import TimelineError
from pipeline.store.parquet import as_frame, read_table, to_table, write_table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def column(name: str, kind: pa.DataType, meaning: str, unit: str = "", *, nullable: bool = False) -> pa.Field:
    """A column with its meaning and unit."""
    return pa.field(name, kind, nullable, {"meaning": meaning, "unit": unit})


def write_derived(
    path: Path, schema: pa.Schema, rows: Iterable[Mapping[str, Any]], settings: "DataclassInstance"
) -> Path:
    """Write rows as a table with exactly the schema's columns, and the settings.

    :raises OutputError: the file can't be written.
    """
    listed = list(rows)
    columns = {name: [row[name] for row in listed] for name in schema.names}
    metadata = {"settings": asdict(settings), "software_version": version("emonext-care")}
    write_table(path, to_table(schema, columns), metadata)
    return path


def read_derived(path: Path, schema: pa.Schema) -> pl.DataFrame:
    """Read a table that was derived from timelines.

    :raises TimelineError: the table is missing, damaged, or has other columns.
    """
    if not path.exists():
        raise TimelineError(f"{path}: not there; run `emonext summarize` first.")
    table = read_table(path)
    if not table.schema.equals(schema):
        raise TimelineError(f"{path}: of another version; run `emonext summarize` again.")
    frame = as_frame(table)
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
