"""What comparisons of conditions and changes per week share: settings, rows of sessions, models, and Holm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
import polars as pl

from pipeline.analysis.summaries import RAW
from pipeline.errors import InputError
from pipeline.stats.holm import holm
from pipeline.stats.mixed_model import Fit, Floats, fit_patient, fit_study
from pipeline.study.comparison_tables import STUDY, Comparison, Trend

SESSION_MEASURES = (("share", "positive"), ("share", "neutral"), ("share", "negative"), ("valence", ""))

_DAY_S = 86_400.0
_WEEK_DAYS = 7.0


@dataclass(frozen=True)
class ComparisonSettings:
    """Settings of the comparison.

    :param reference: the condition that all others are compared with.
    :param measures: (measure, of) of ``summaries/measures.parquet``.
    :param min_sessions: per patient and condition; for a trend, twice as many per patient.
    :param min_patients: minimum for a comparison of the study.
    :param permutations: number drawn at random if more exist.
    :param seed: seed of the random draws.
    :param planned: measure, emotion or group, and condition of the tests that were planned before there were
        results; Holm's correction counts them as a family of their own.
    :param adaptation_sha256: as in :class:`pipeline.analysis.summaries.SummarySettings`.
    """

    reference: str = "baseline"
    measures: tuple[tuple[str, str], ...] = SESSION_MEASURES
    min_sessions: int = 2
    min_patients: int = 3
    permutations: int = 9999
    seed: int = 0
    planned: tuple[tuple[str, str, str], ...] = ()
    adaptation_sha256: str = ""

    def __post_init__(self) -> None:
        """:raises InputError: a setting is not usable."""
        if self.min_sessions < 2 or self.min_patients < 2 or self.permutations < 99:
            raise InputError("Comparisons need at least 2 sessions, 2 patients and 99 permutations.")


def by_measure(
    sessions: pl.DataFrame, measures: pl.DataFrame, settings: ComparisonSettings
) -> Iterator[pl.DataFrame]:
    """For each reading and measure: one row per session, in %, with ``week`` and ``used``."""
    is_share = pl.col("measure").is_in(["share", "share_without_speech", "attention", "coverage"])
    of_all = pl.col("measure") == "coverage"
    joined = (
        measures.join(sessions, on=["patient_id", "session_id"], maintain_order="left")
        .with_columns(
            value=pl.when(is_share).then(100 * pl.col("value")).otherwise(pl.col("value")),
            unit=pl.when(is_share).then(pl.lit("%")).otherwise(pl.col("unit")),
            used=of_all
            | (pl.col("enough") & pl.col("value").is_finite().fill_null(False) & (pl.col("observed_s") > 0)),
            weight=pl.when(of_all)
            .then(pl.col("duration_s"))
            .when(pl.col("measure") == "share_without_speech")
            .then(pl.col("observed_s") - pl.col("speaking_s").fill_null(0) - pl.col("chewing_s").fill_null(0))
            .otherwise(pl.col("observed_s"))
            .clip(lower_bound=0.0)
            / pl.col("duration_s"),
            week=(pl.col("recorded_at") - pl.col("recorded_at").min().over("patient_id")).dt.total_seconds()
            / (_WEEK_DAYS * _DAY_S),
        )
        .sort("patient_id", "session_id")
    )
    for reading in joined["reading"].unique().sort(descending=True):
        for measure, of in settings.measures:
            rows = joined.filter(reading=reading, measure=measure, of=of)
            if len(rows):
                yield rows


def key_of_measure(rows: pl.DataFrame) -> tuple[str, str, str]:
    """Reading, measure, and emotion or group of the rows of one measure."""
    reading, measure, of = rows.select("reading", "measure", "of").row(0)
    return reading, measure, of


def as_measure(sessions: pl.DataFrame) -> pl.DataFrame:
    """The coverage of every session, as a row of the measures."""
    fixed = {"reading": RAW, "measure": "coverage", "of": "", "unit": "0…1"}
    return sessions.select("patient_id", "session_id", pl.col("coverage").alias("value")).with_columns(
        pl.lit(value).alias(name) for name, value in fixed.items()
    )


def patients_of(rows: pl.DataFrame) -> list[str]:
    return [STUDY, *rows["patient_id"].unique().sort()]


def of_patient(rows: pl.DataFrame, patient_id: str) -> pl.DataFrame:
    return rows if patient_id == STUDY else rows.filter(patient_id=patient_id)


def names_of(rows: pl.DataFrame, patient_id: str) -> dict[str, Any]:
    return {name: rows[name][0] for name in ("reading", "measure", "of", "unit")} | {"patient_id": patient_id}


def fit_model(patient_id: str, values: Floats, design: Floats, patients: Floats, weights: Floats) -> Fit:
    """Fit the model; the last column of the design is the tested effect."""
    if patient_id == STUDY:
        return fit_study(values, design, design.shape[1] - 1, patients, weights)
    return fit_patient(values, design, weights)


def codes_of(rows: pl.DataFrame, *names: str) -> Floats:
    """(n,) codes: equal rows of these columns get the same number."""
    codes: Floats = rows.select(pl.struct(names).rank("dense")).to_series().to_numpy().astype(np.float64)
    return codes


def mean_of(values: pl.Series) -> float | None:
    return float(values.to_numpy().mean()) if len(values) else None


_Result = TypeVar("_Result", Comparison, Trend)


def holm_by_family(results: Sequence[_Result]) -> tuple[_Result, ...]:
    """The results with p corrected for all tests of one reading and patient (Holm, *Scand J Stat* 1979)."""

    def family(one: _Result) -> tuple[bool, str, bool, str]:
        # raw first, and the study before the patients
        return one.reading != "raw", one.reading, one.patient_id != STUDY, one.patient_id

    corrected: list[_Result] = []
    for _, members in groupby(sorted(results, key=family), family):
        together = list(members)
        corrected_p = iter(holm([one.p for one in together if one.p is not None]))
        corrected += [one if one.p is None else replace(one, p_holm=next(corrected_p)) for one in together]
    return tuple(corrected)
