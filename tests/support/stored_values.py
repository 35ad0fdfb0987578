"""Every number and text that is stored in the tables of a study's folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def stored_values(out: Path) -> Iterator[tuple[str, set[Any]]]:
    """``file: column`` and its values, of every Parquet file; lists and structs are taken apart."""
    for path in sorted(out.rglob("*.parquet")):
        table = pq.ParquetFile(path).read()
        for name in table.column_names:
            yield f"{path.relative_to(out)}: {name}", set(_flat(table[name].to_pylist()))


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    elif value is not None:
        yield value
