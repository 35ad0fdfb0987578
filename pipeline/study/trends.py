"""Estimate change per week: per patient, and for the study."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import polars as pl

from pipeline.errors import NotEnoughError
from pipeline.stats.permutation import permutation_test
from pipeline.study.comparison_tables import STUDY, RowKey, Trend
from pipeline.study.session_rows import (
    ComparisonSettings,
    by_measure,
    codes_of,
    fit_model,
    holm_by_family,
    key_of_measure,
    mean_of,
    names_of,
    of_patient,
    patients_of,
)


def find_trends(
    sessions: pl.DataFrame,
    measures: pl.DataFrame,
    settings: ComparisonSettings,
    kept: Mapping[RowKey, Trend] = MappingProxyType({}),
) -> tuple[Trend, ...]:
    """Estimate change per week: the study, then each patient, for each reading and measure.

    :param kept: trends that need not be computed again.
    """
    found: list[Trend] = []
    for rows in by_measure(sessions, measures, settings):
        measure = key_of_measure(rows)
        found += [
            kept.get((*measure, patient_id, "")) or _trend(of_patient(rows, patient_id), patient_id, settings)
            for patient_id in patients_of(rows)
        ]
    return holm_by_family(found)


def _trend(rows: pl.DataFrame, patient_id: str, settings: ComparisonSettings) -> Trend:
    least = 2 * settings.min_sessions
    followed = (
        rows.filter(pl.col("used") & pl.col("week").is_not_null())
        .filter(pl.len().over("patient_id") >= least)
        .filter((pl.col("week").max() - pl.col("week").min()).over("patient_id") >= 1)
    )
    patients = followed["patient_id"].n_unique()
    blank = Trend(
        **names_of(rows, patient_id),
        sessions=len(followed),
        patients=patients,
        left_out=len(rows) - len(followed),
        coverage=mean_of(followed["coverage"]),
    )
    try:
        _check_weeks(patients, patient_id, least, settings)
        return _followed(blank, followed, settings)
    except NotEnoughError as reason:
        return replace(blank, reason=str(reason))


def _check_weeks(patients: int, patient_id: str, least: int, settings: ComparisonSettings) -> None:
    """:raises NotEnoughError: with the reason."""
    if patient_id == STUDY and patients < settings.min_patients:
        raise NotEnoughError.of(
            "few_with_dates", patients=patients, wanted=settings.min_patients, sessions=least
        )
    if not patients:
        raise NotEnoughError.of("few_dates", sessions=least)


def _followed(blank: Trend, rows: pl.DataFrame, settings: ComparisonSettings) -> Trend:
    values, weights, week = (rows[name].to_numpy() for name in ("value", "weight", "week"))
    conditions = sorted(set(rows["condition"]))
    # one mean per condition, instead of an intercept
    design = np.column_stack([(rows["condition"] == name).cast(pl.Float64) for name in conditions] + [week])
    fit = fit_model(blank.patient_id, values, design, codes_of(rows, "patient_id"), weights)
    strata = codes_of(rows, "patient_id", "condition")
    test = permutation_test(values, week, strata, weights, draws=settings.permutations, seed=settings.seed)
    per_week = fit.interval(*[0.0] * len(conditions), 1.0)
    return replace(
        blank,
        weeks=float(week.max()),
        per_week=per_week.value,
        per_week_low=per_week.low,
        per_week_high=per_week.high,
        patients_sd=fit.slope_sd,
        p=test.p,
        permutations=test.permutations,
        exact=test.exact,
        model=fit.model,
    )
