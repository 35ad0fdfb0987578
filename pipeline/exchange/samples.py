"""Export every sample of every session: a row for each sample, seen or not.

Each session has a file of its own, because a sheet of Excel ends at 1,048,576 rows: at 5 samples per second,
these are 58 h, more than any session, and less than the sessions of many a patient.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.analysis.adaptation import read_adaptation, with_adaptation
from pipeline.analysis.baseline_correction import OwnBaseline, corrected
from pipeline.analysis.episodes import Observed
from pipeline.analysis.summaries import ADAPTED, CORRECTED, baseline_of, has_time, read_sessions
from pipeline.errors import InputError
from pipeline.exchange.manifest import Files
from pipeline.exchange.tables import NamedTable, write_csv, write_xlsx
from pipeline.records import EMOTIONS, Ids
from pipeline.results.derive import as_settings
from pipeline.store.coverage import sample_seconds
from pipeline.store.ids import file_stem, find_clashes
from pipeline.store.parquet import DICTIONARY, malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.result_tables import column
from pipeline.store.spreadsheet import Decimal
from pipeline.store.timeline import TIMELINE_SCHEMA, Timeline, ids_of, read_timeline, written_sessions

FOLDER = "timelines"

_P = [f"p_{name}" for name in EMOTIONS]

_ADDED = {
    field.name: field
    for field in (
        column("condition", pa.string(), "as the study names it; may be empty"),
        column(
            "clock",
            pa.timestamp("ms"),
            "recorded_at + time_s, without fractions of a second; empty if the time of day is not known",
            nullable=True,
        ),
        column("seconds", pa.float64(), "time that the sample stands for; add it up for shares of time", "s"),
        column("confidence", pa.float32(), "the largest probability", "0…1", nullable=True),
    )
}

# Columns that most people look for; the others follow in the order of the timeline.
_FIRST = (
    *("patient_id", "session_id", "condition", "clock", "sample", "time_s", "seconds", "frame"),
    *("status", "fault", "emotion", "confidence", *_P, "valence"),
)

_READINGS = {CORRECTED: "corrected by the person's own calm face", ADAPTED: "adapted to raters"}


def sample_files(out: Path, kind: str, decimal: Decimal) -> tuple[NamedTable, Files]:
    """The files of all sessions, and an empty table with their columns for the data dictionary.

    :param kind: csv or xlsx. Memory holds one session at a time.
    :raises InputError: two sessions would get the same file.
    :raises TimelineError: a table can't be read; also raised by the functions that write the files.
    """
    sessions = written_sessions(out)
    for clash in find_clashes(sessions):
        raise InputError(f"{out}: {clash}")
    of_study = read_sessions(out)
    readings = [reading for reading in _READINGS if of_study[reading].any()]
    columns = NamedTable(FOLDER, _schema(readings).empty_table())
    read = partial(_read, _Sources(out, readings))
    return columns, {
        f"{FOLDER}/{file_stem(ids)}.{kind}": partial(_write, read, ids, decimal, kind) for ids in sessions
    }


def _write(read: "partial[pl.DataFrame]", ids: Ids, decimal: Decimal, kind: str, path: Path) -> Path:
    rows = read(ids)
    if kind == "csv":
        return write_csv(rows, decimal, path)
    return write_xlsx([NamedTable("timeline", rows.to_arrow())], path, by_rows=True)


class _Sources:
    """What a reading needs beside the timeline. Keeps the last patient's baseline: files come by patient."""

    def __init__(self, out: Path, readings: Sequence[str]) -> None:
        self.out, self.readings = out, readings
        self.adaptation = read_adaptation(out) if ADAPTED in readings else None
        settings = as_settings(read_metadata(out / "summaries" / "sessions.parquet")["settings"])

        def baseline(patient_id: str) -> OwnBaseline | None:
            sessions = (ids for ids in written_sessions(out) if ids[0] == patient_id)
            return baseline_of([timeline_path(out, *ids) for ids in sessions], settings)

        self.baseline = lru_cache(maxsize=1)(baseline)


def _schema(readings: Sequence[str]) -> pa.Schema:
    known = {field.name: field for field in TIMELINE_SCHEMA} | _ADDED
    first = [known.pop(name) for name in _FIRST]
    return pa.schema([*first, *(field for one in readings for field in _of_reading(one)), *known.values()])


def _of_reading(reading: str) -> Iterator[pa.Field]:
    how = _READINGS[reading]
    largest = f"the largest probability, {how}"
    yield column(f"emotion_{reading}", DICTIONARY, f"the class of {largest}", nullable=True)
    yield column(f"confidence_{reading}", pa.float32(), largest, "0…1", nullable=True)
    for name in _P:
        yield column(f"{name}_{reading}", pa.float32(), f"probability, {how}", "0…1", nullable=True)


def _read(sources: _Sources, ids: Ids) -> pl.DataFrame:
    """A session's samples in the columns of :func:`_schema`; a reading that it lacks is empty."""
    path = timeline_path(sources.out, *ids)
    timeline = read_timeline(path)
    ids_of(path, timeline)
    with malformed_as_timeline_error(path):
        session = timeline.metadata["session"]
        recorded_at = datetime.fromisoformat(session["recorded_at"]) if session["recorded_at"] else None
        clock = pl.lit(recorded_at if has_time(recorded_at) else None, pl.Datetime("ms"))
        since = pl.duration(milliseconds=(1000 * pl.col("time_s")).round().cast(pl.Int64))
        rows = timeline.rows.with_columns(
            pl.lit(session["condition"]).alias("condition"),
            (clock + since).dt.truncate("1s").cast(pl.Datetime("ms")).alias("clock"),
            pl.Series("seconds", sample_seconds(timeline).round(6)),
            pl.max_horizontal(_P).alias("confidence"),
        )
        found = _probabilities(timeline, sources, ids)
        for reading in sources.readings:
            rows = rows.hstack(_columns(reading, found.get(reading), rows.height))
    return rows.select(_schema(sources.readings).names)


def _probabilities(timeline: Timeline, sources: _Sources, ids: Ids) -> Mapping[str, NDArray[np.float64]]:
    """Reading → (n, 7) probabilities; NaN without a readable face."""
    raw = timeline.rows.select(_P).to_numpy().astype(np.float64)
    read = ~np.isnan(raw).any(axis=1)
    samples = Observed(np.zeros(read.sum()), np.zeros(read.sum()), raw[read])
    found = {}
    if baseline := sources.baseline(ids[0]):
        found[CORRECTED] = corrected(samples, baseline)
    adaptation = sources.adaptation
    if adaptation and timeline.metadata["weights"]["sha256"] == adaptation.weights_sha256:
        found[ADAPTED] = with_adaptation(samples, adaptation, ids[0])
    whole = {}
    for reading, observed in found.items():
        whole[reading] = np.full_like(raw, np.nan)
        whole[reading][read] = observed.probabilities
    return whole


def _columns(reading: str, p: NDArray[np.float64] | None, count: int) -> pl.DataFrame:
    values = np.full((count, len(EMOTIONS)), np.nan) if p is None else p
    frame = pl.DataFrame(values.astype(np.float32), schema=_P, nan_to_null=True)
    largest = pl.max_horizontal(_P)
    emotion = pl.coalesce(
        pl.when(pl.col(one) == largest).then(pl.lit(name)) for one, name in zip(_P, EMOTIONS, strict=True)
    )
    named = frame.select(emotion.alias("emotion"), largest.alias("confidence"), *_P)
    return named.rename({name: f"{name}_{reading}" for name in named.columns})
