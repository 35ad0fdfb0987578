"""Count and remove rows of a patient, or of one session, in tables of several patients.

Columns of a CSV may have any of the names allowed in ``events.csv``; other lines stay unchanged.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.analysis.events import EVENTS_FILE, column_name, patient_of, patients_by_session
from pipeline.errors import InputError
from pipeline.privacy.mentions import IdPattern
from pipeline.store.encryption import for_reading, for_writing, is_encrypted
from pipeline.store.files import atomic
from pipeline.store.folders import SESSIONS_FILE
from pipeline.store.spreadsheet import SEPARATOR_LINE, plain

_ID_COLUMNS = ["patient_id", "session_id"]


def count_rows(path: Path, words: IdPattern) -> int:
    """Number of rows in a table of several patients; 0 for other files, and for the study's list."""
    try:
        if path.suffix == ".parquet":
            return _count(_theirs(_open(path).read(_ID_COLUMNS), words))
        if path.suffix == ".csv" and not _is_study_list(path):
            return sum(theirs for _, theirs in _csv_lines(path, words))
    except (InputError, OSError, ValueError, pa.ArrowException, csv.Error):
        return 0  # unreadable: the search checks the raw bytes
    return 0


def _is_study_list(path: Path) -> bool:
    """Whether this is the study's list; an export has a table of the same name, without videos."""
    return path.name == SESSIONS_FILE and any("video" in row for _, row in _csv_rows(path))


def drop_rows(path: Path, words: IdPattern, count: int) -> None:
    """Rewrite the table without these rows; delete it if no row is left."""
    if path.suffix == ".csv":
        header, *kept = [line for line, theirs in _csv_lines(path, words) if not theirs]
        if any(line.strip() for line in kept):
            with atomic(path) as partial:
                partial.write_bytes("".join([header, *kept]).encode(errors="surrogateescape"))
            return
    else:
        table = _open(path).read()
        if table.num_rows > count:
            left = table.filter(pc.invert(_theirs(table, words)))
            key = for_writing() if is_encrypted(path) else None
            with atomic(path) as partial:
                pq.write_table(_without_unused(left), partial, compression="zstd", encryption_properties=key)
            return
    path.unlink()


def unclear_sessions(path: Path, words: IdPattern) -> list[str]:
    """Session ids in an ``events.csv`` that another patient also has, in rows without a patient id.

    These rows stay; after the purge they count as the other patient's.
    """
    try:
        named = {row.get("session_id", "") for _, row in _csv_rows(path) if not row.get("patient_id")}
    except (OSError, csv.Error):
        return []
    theirs = words.known.get(words.patient_id, ())
    wanted = {name for name in theirs if words.session_id in (None, name)}
    sessions = _by_session(words)
    return sorted(name for name in wanted & named if len(sessions[name]) > 1)


def _open(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, decryption_properties=for_reading(path))


def _theirs(table: pa.Table, words: IdPattern) -> pa.ChunkedArray:
    """(rows,) bool, rows of the patient; ``None`` if an id column is missing."""
    wanted = dict(zip(_ID_COLUMNS, filter(None, (words.patient_id, words.session_id)), strict=False))
    if not wanted.keys() <= set(table.column_names):
        return pa.chunked_array([pa.nulls(table.num_rows, pa.bool_()).fill_null(False)])
    same = [
        pc.equal(pc.cast(table[name], pa.string()), value).fill_null(False) for name, value in wanted.items()
    ]
    return same[0] if len(same) == 1 else pc.and_(*same)


def _count(mask: pa.ChunkedArray) -> int:
    return pc.sum(mask).as_py() or 0


def _without_unused(table: pa.Table) -> pa.Table:
    """Remove unused dictionary values, which would be written to the file otherwise."""
    for place, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            again = column.cast(column.type.value_type).dictionary_encode().cast(column.type)
            table = table.set_column(place, table.schema.field(place), again)
    return table


def _csv_lines(path: Path, words: IdPattern) -> Iterator[tuple[str, bool]]:
    """Every line of the file, header included, and whether it is of the patient."""
    sessions = _by_session(words) if path.name == EVENTS_FILE else {}
    for place, (line, row) in enumerate(_csv_rows(path)):
        patient, session = _whose(row, sessions)
        yield line, place > 0 and patient == words.patient_id and words.session_id in (None, session)


def _whose(row: Mapping[str, str], sessions: Mapping[str, list[str]]) -> tuple[str, str]:
    """Patient and session of a row; each empty if missing."""
    patient, session = row.get("patient_id", ""), row.get("session_id", "")
    if not patient:
        found, fault = patient_of({"session_id": session}, sessions)
        patient = "" if fault else found
    return patient, session


def _by_session(words: IdPattern) -> Mapping[str, list[str]]:
    return patients_by_session((patient, name) for patient, names in words.known.items() for name in names)


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Every line of the file, header included, and its cells by column.

    A cell with line breaks joins several lines. Separator ``;`` or ``,``. A line ``sep=;`` is part of the
    header.
    """
    text = path.read_bytes().decode(errors="surrogateescape")
    separator = SEPARATOR_LINE.match(text.removeprefix("\ufeff"))
    skipped = text[: separator.end() + text.startswith("\ufeff")] if separator else ""
    lines = list(io.StringIO(text[len(skipped) :], newline=""))
    header = lines[0] if lines else ""
    reader = csv.reader(iter(lines), delimiter=separator[1] if separator else max(";,", key=header.count))
    start, columns = 0, list[str]()
    for cells in reader:
        columns = columns or [column_name(name.strip("\ufeff \"'")) for name in cells]
        # if two columns have the same name, use the first
        row = dict(reversed(list(zip(columns, map(plain, cells), strict=False))))
        yield skipped + "".join(lines[start : reader.line_num]), row
        skipped = ""
        start = reader.line_num
