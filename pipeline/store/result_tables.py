"""Result tables, which store the meaning of their columns and the settings in the file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.errors import PipelineError, TimelineError
from pipeline.records import Ids
from pipeline.store.parquet import DICTIONARY, as_frame, read_metadata, read_table, to_table, write_table

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
    return write_columns(
        path, schema, {name: [row[name] for row in listed] for name in schema.names}, settings
    )


def write_columns(
    path: Path, schema: pa.Schema, columns: Mapping[str, list[Any]], settings: "DataclassInstance"
) -> Path:
    """As :func:`write_derived`, of columns by name."""
    write_table(path, to_table(schema, columns), _metadata(settings))
    return path


def _metadata(settings: "DataclassInstance") -> dict[str, Any]:
    return {"settings": asdict(settings), "software_version": version("emonext-care")}


def rewrite_sessions(
    path: Path,
    schema: pa.Schema,
    ids: Sequence[Ids],
    fresh: Mapping[Ids, Sequence[Mapping[str, Any]]],
    settings: "DataclassInstance",
) -> Path:
    """Write the table of :func:`write_derived` where the rows of only some sessions were computed again.

    The file has the same bytes as if all had been.

    :param ids: patient and session of all sessions, in order. ``fresh``: rows by session; the rows of all
        other sessions are those that the table holds now.
    :raises TimelineError: such rows can't be read. :raises OutputError: the file can't be written.
    """
    rows = [row for of_session in fresh.values() for row in of_session]
    if len(fresh) == len(ids):
        return write_derived(path, schema, rows, settings)
    tables = [_read(path, schema), to_table(schema, {name: [r[name] for r in rows] for name in schema.names})]
    places = {both: place for place, both in enumerate(ids)}
    order: list[int] = []
    for table, is_fresh in zip(tables, (False, True), strict=True):
        named = zip(table["patient_id"].to_pylist(), table["session_id"].to_pylist(), strict=True)
        order += [places.get(both, -1) if (both in fresh) == is_fresh else -1 for both in named]
    by_session = np.argsort(order, kind="stable")[order.count(-1) :]
    frame = as_frame(pa.concat_tables([_as_texts(table) for table in tables]))[by_session]
    return write_columns(path, schema, frame.to_dict(as_series=False), settings)


def _as_texts(table: pa.Table) -> pa.Table:
    """The table without dictionaries, which differ from file to file."""
    return table.cast(
        pa.schema(
            field.with_type(pa.string()) if field.type == DICTIONARY else field for field in table.schema
        )
    )


def has_settings(path: Path, settings: "DataclassInstance") -> bool:
    """Whether a table is there, was written by this version, and with these settings."""
    try:
        stored = read_metadata(path)
    except PipelineError:
        return False
    return dict(stored) == json.loads(json.dumps(_metadata(settings)))


def read_derived(path: Path, schema: pa.Schema) -> pl.DataFrame:
    """Read a table that was derived from timelines.

    :raises TimelineError: the table is missing, damaged, or has other columns.
    """
    frame = as_frame(_read(path, schema))
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    if not path.exists():
        raise TimelineError(f"{path}: not there; run `emonext summarize` first.")
    table = read_table(path)
    if not table.schema.equals(schema):
        raise TimelineError(f"{path}: of another version; run `emonext summarize` again.")
    return table
