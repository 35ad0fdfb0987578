"""Rows of the tables of comparisons, ``summaries/conditions.parquet`` and ``summaries/trends.parquet``."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import polars as pl
import pyarrow as pa

from pipeline.analysis.summaries import RAW
from pipeline.stats.holm import holm
from pipeline.store.result_tables import column, has_settings, read_derived

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

STUDY = ""
"""Stands in place of a patient's id for all patients together."""


@dataclass(frozen=True)
class Comparison:
    """A condition compared with the reference; without numbers if ``reason`` states why.

    Shares are in %, their differences in percentage points.

    :param patient_id: the patient; :data:`STUDY` for all patients.
    :param sessions_reference, sessions: number of compared sessions; ``patients``: number of patients.
    :param left_out: sessions of these conditions that were not compared: too little coverage, or too few
        sessions of one condition.
    :param coverage: mean of the sessions compared.
    :param mean_reference, mean: means; ``…_low`` and ``…_high``: the 95 % interval.
    :param difference: ``mean`` less ``mean_reference``.
    :param effect: the difference in standard deviations of sessions of one patient and condition (Hedges' g).
    :param patients_sd: standard deviation of the difference between patients.
    :param p: permutation test, two-sided; ``p_holm``: corrected for all tests of this reading and patient;
        of tests planned before there were results, for these.
    :param permutations: number of permutations behind p; ``exact``: whether these are all permutations.
    :param in_blocks: in each patient one condition came before the other, so time may explain the difference.
    """

    reading: str
    measure: str
    of: str
    unit: str
    patient_id: str
    reference: str
    condition: str
    reason: str = ""
    sessions_reference: int = 0
    sessions: int = 0
    patients: int = 0
    left_out: int = 0
    coverage: float | None = None
    mean_reference: float | None = None
    mean_reference_low: float | None = None
    mean_reference_high: float | None = None
    mean: float | None = None
    mean_low: float | None = None
    mean_high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    patients_sd: float | None = None
    p: float | None = None
    p_holm: float | None = None
    permutations: int | None = None
    exact: bool | None = None
    in_blocks: bool | None = None
    model: str = ""


@dataclass(frozen=True)
class Trend:
    """Change per week among sessions of the same condition; other fields as in :class:`Comparison`.

    :param weeks: longest time from a patient's first session to the last.
    """

    reading: str
    measure: str
    of: str
    unit: str
    patient_id: str
    reason: str = ""
    sessions: int = 0
    patients: int = 0
    left_out: int = 0
    coverage: float | None = None
    weeks: float | None = None
    per_week: float | None = None
    per_week_low: float | None = None
    per_week_high: float | None = None
    patients_sd: float | None = None
    p: float | None = None
    p_holm: float | None = None
    permutations: int | None = None
    exact: bool | None = None
    model: str = ""


RowKey = tuple[str, str, str, str, str]
"""Reading, measure, emotion or group, patient, and condition; in a trend, no condition."""


def correct_planned(
    found: Sequence[Comparison], planned: Collection[tuple[str, str, str]]
) -> tuple[Comparison, ...]:
    """The comparisons; p of the study's planned ones, in the raw reading, is corrected for these alone.

    A planned test that could not be computed counts as p = 1, so that its absence makes no other p smaller.

    :param planned: measure, of and condition of each.
    """
    is_of = [
        one.patient_id == STUDY and one.reading == RAW and (one.measure, one.of, one.condition) in planned
        for one in found
    ]
    tested = [one.p for one, is_it in zip(found, is_of, strict=True) if is_it and one.p is not None]
    corrected = iter(holm(tested, len(planned)))
    return tuple(
        replace(one, p_holm=next(corrected)) if is_it and one.p is not None else one
        for one, is_it in zip(found, is_of, strict=True)
    )


_SHARED = {
    "reading": (pa.string(), "raw; corrected by the person's own calm face; or adapted to raters", ""),
    "measure": (pa.string(), "as in measures.parquet", ""),
    "of": (pa.string(), "an emotion, positive, negative, or empty", ""),
    "unit": (pa.string(), "of the numbers; a difference of % is in percentage points", ""),
    "patient_id": (pa.string(), "pseudonym; empty: the whole study", ""),
    "reason": (pa.string(), "why there is not enough data to compare; empty where there is", ""),
    "sessions": (pa.int32(), "sessions compared; of two conditions, those of the condition", ""),
    "patients": (pa.int32(), "patients compared", ""),
    "left_out": (pa.int32(), "sessions not compared", ""),
    "coverage": (pa.float64(), "mean of the sessions compared", "0…1"),
    "patients_sd": (pa.float64(), "standard deviation of it between patients", "as in unit"),
    "p": (pa.float64(), "permutation within patients, two-sided", ""),
    "p_holm": (pa.float64(), "Holm's correction over this reading and patient, or the planned tests", ""),
    "permutations": (pa.int32(), "number of permutations behind p", ""),
    "exact": (pa.bool_(), "whether these are all possible permutations", ""),
    "model": (pa.string(), "what the estimate and its interval are of", ""),
}

_LIMITS = {"": "", "_low": ", lower end of the 95 % interval", "_high": ", upper end of it"}


def _with_interval(name: str, meaning: str, unit: str) -> dict[str, tuple[pa.DataType, str, str]]:
    return {name + end: (pa.float64(), meaning + words, unit) for end, words in _LIMITS.items()}


_OF_CONDITIONS = {
    **_SHARED,
    "reference": (pa.string(), "the condition compared with", ""),
    "condition": (pa.string(), "the condition", ""),
    "sessions_reference": (pa.int32(), "sessions of the reference", ""),
    **_with_interval("mean_reference", "mean of the reference", "as in unit"),
    **_with_interval("mean", "mean of the condition", "as in unit"),
    **_with_interval("difference", "condition less reference", "as in unit"),
    **_with_interval("effect", "Hedges' g", "standard deviations within patients"),
    "in_blocks": (pa.bool_(), "in each patient one condition came before the other", ""),
}

_OF_TRENDS = {
    **_SHARED,
    "weeks": (pa.float64(), "longest time from a patient's first session to their last", "weeks"),
    **_with_interval("per_week", "change among sessions of one condition", "as in unit, per week"),
}

_ALWAYS = ("reading", "measure", "of", "unit", "patient_id", "reference", "condition", "reason", "model")


def _schema(result: type, described: dict[str, tuple[pa.DataType, str, str]]) -> pa.Schema:
    names = list(result.__dataclass_fields__)  # type: ignore[attr-defined]
    return pa.schema([column(n, *described[n], nullable=n not in _ALWAYS) for n in names])


CONDITIONS_SCHEMA = _schema(Comparison, _OF_CONDITIONS)
"""Columns of ``summaries/conditions.parquet``: those of :class:`Comparison`."""

TRENDS_SCHEMA = _schema(Trend, _OF_TRENDS)
"""Columns of ``summaries/trends.parquet``: those of :class:`Trend`."""


def read_conditions(out: Path) -> pl.DataFrame:
    """In :data:`CONDITIONS_SCHEMA`'s columns; errors as :func:`pipeline.store.result_tables.read_derived`."""
    return read_derived(out / "summaries" / "conditions.parquet", CONDITIONS_SCHEMA)


def read_trends(out: Path) -> pl.DataFrame:
    """In :data:`TRENDS_SCHEMA`'s columns; errors as :func:`pipeline.store.result_tables.read_derived`."""
    return read_derived(out / "summaries" / "trends.parquet", TRENDS_SCHEMA)


_Row = TypeVar("_Row", Comparison, Trend)


def kept_rows(
    path: Path,
    schema: pa.Schema,
    kind: type[_Row],
    settings: "DataclassInstance",
    patients: Collection[str],
) -> dict[RowKey, _Row]:
    """What a table with these settings holds of these patients, each alone; empty with other settings."""
    if not patients or not has_settings(path, settings):
        return {}
    rows = read_derived(path, schema).filter(pl.col("patient_id").is_in(list(patients)))
    found = {}
    for row in rows.iter_rows(named=True):
        key = (row["reading"], row["measure"], row["of"], row["patient_id"], row.get("condition", ""))
        found[key] = kind(**row)
    return found
