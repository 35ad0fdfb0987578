"""Read and write Parquet tables with metadata, encrypted if a key is in use."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import TimelineError
from pipeline.store.encryption import WRONG_KEY, for_reading, for_writing
from pipeline.store.files import atomic

METADATA_KEY = b"emonext_care"

DICTIONARY = pa.dictionary(pa.int8(), pa.string())
"""The type of a column with few different texts."""


def to_table(schema: pa.Schema, rows: Mapping[str, list[Any]]) -> pa.Table:
    """Convert columns by name to a table with exactly the schema's columns and types."""
    return pa.table({name: pa.array(rows[name], schema.field(name).type) for name in schema.names}, schema)


def write_table(path: Path, table: pa.Table, metadata: Mapping[str, Any]) -> None:
    """Write a table as Parquet: atomic, readable only by the owner, encrypted if a key is in use.

    :param metadata: JSON values; stored under :data:`METADATA_KEY`.
    :raises OutputError: the file can't be written.
    """
    described = table.replace_schema_metadata({METADATA_KEY: json.dumps(dict(metadata))})
    with atomic(path) as partial:
        pq.write_table(described, partial, compression="zstd", encryption_properties=for_writing())


def read_table(path: Path) -> pa.Table:
    """The inverse of :func:`write_table`.

    :raises TimelineError: the file is missing, damaged, or encrypted with another key.
    :raises InputError: the file is encrypted, and no key is in use.
    """
    # not `pq.read_table`, which looks for a data set first; that takes longer than reading a short table
    with _reading(path), pq.ParquetFile(path, decryption_properties=for_reading(path)) as file:
        return file.read()


def read_metadata(path: Path) -> Mapping[str, Any]:
    """Read a table's metadata without the rows.

    :raises TimelineError: the file is not of this program, or as for :func:`read_table`.
    :raises InputError: as for :func:`read_table`.
    """
    with _reading(path):
        schema = pq.read_schema(path, decryption_properties=for_reading(path))
    with malformed_as_timeline_error(path):
        metadata: dict[str, Any] = json.loads(schema.metadata[METADATA_KEY])
        return metadata


OTHER_KEY = f"is {WRONG_KEY}; give the right one with --key KEYFILE (`process`: --encrypt KEYFILE)."


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """:raises TimelineError: instead of the errors of Parquet's readers for missing or damaged files."""
    try:
        yield
    except FileNotFoundError as error:
        raise TimelineError(f"{path}: not found; {_remedy(path)}") from error
    except (OSError, pa.ArrowException, ValueError) as error:
        if WRONG_KEY in str(error):
            raise TimelineError(f"{path}: {OTHER_KEY}") from error
        if isinstance(error, OSError) and error.errno is not None:  # Parquet's own errors have no number
            raise TimelineError(
                f"{path}: can't be read ({error.strerror}); correct that, then run the same command again."
            ) from error
        raise TimelineError(f"{path}: not a file of this program, or damaged; {_remedy(path)}") from error


def _remedy(path: Path) -> str:
    """What replaces a damaged or missing file of the results."""
    session = f"{path.parent.name.removeprefix('patient_id=')} {path.stem}"
    match path.parent.parent.name:
        case "timelines" | "faces" | "gallery":
            return f"run `emonext process` again with the recording of {session}."
        case "roles":
            return (
                f"delete it, run the same command again, and then say with `emonext people` who is who in "
                f"{session}."
            )
    if path.parent.name == "rating":
        return "move its folder away, and draw other clips with `emonext rate`."
    return "run `emonext summarize` again."


@contextmanager
def malformed_as_timeline_error(path: Path) -> Iterator[None]:
    """Raise errors of the body as TimelineError: the file holds values that this program never writes.

    :raises TimelineError: instead of the errors that a missing or invalid value causes.
    """
    try:
        yield
    except _MALFORMED as error:
        what = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise TimelineError(
            f"{path}: has invalid content ({what}); run `emonext process` again, and if "
            "that does not help, report a bug."
        ) from error


_MALFORMED = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(pa.ArrowException, pl.exceptions.PolarsError),
)


def as_frame(table: pa.Table) -> pl.DataFrame:
    """The table as a polars frame."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
