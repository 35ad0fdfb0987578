"""Compare sessions by condition, and estimate change per week: per patient, and for the study.

    summaries/conditions.parquet    each condition compared with the reference, for each measure
    summaries/trends.parquet        change per week, for each measure

The unit is the session. A session's weight is the share of it in which an expression was read, not its
length: sessions differ from day to day regardless of length, and one long session must not outweigh the
others. Comparisons are within patients: a patient with sessions of only one of two conditions is left out of
that comparison.

Each estimate has a 95 % interval (:mod:`pipeline.stats.mixed_model`). P-values
(:mod:`pipeline.stats.permutation`) are given without correction and with Holm's correction for all measures
and conditions of one reading. Raw and corrected readings are never mixed.

Conditions are compared in the raw reading, and in the adapted one if there is one: its parameters are the
same for all conditions of a patient. The corrected reading is computed from the reference's own
sessions, which biases these sessions towards neutral and looks like an effect (p < 0.05 in up to 24 % of
simulated studies without an effect). A comparison within patients needs no correction.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl

from pipeline.analysis.summaries import ADAPTED, RAW, read_measures, read_sessions
from pipeline.errors import NotEnoughError
from pipeline.stats.mixed_model import Floats
from pipeline.stats.permutation import permutation_test
from pipeline.store.result_tables import write_derived
from pipeline.study.comparison_tables import (
    CONDITIONS_SCHEMA,
    STUDY,
    TRENDS_SCHEMA,
    Comparison,
    RowKey,
    Trend,
    correct_planned,
    kept_rows,
)
from pipeline.study.session_rows import (
    ComparisonSettings,
    as_measure,
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
from pipeline.study.trends import find_trends


def write_conditions(
    out: Path, settings: ComparisonSettings | None = None, unchanged: Collection[str] = frozenset()
) -> tuple[Comparison, ...]:
    """Write both tables from the tables of ``emonext summarize``.

    :param unchanged: patients whose sessions have not changed; what the tables hold of such a patient alone
        is kept, if they have the same settings.
    :returns: the comparisons.
    :raises TimelineError: a table is missing or damaged. :raises OutputError: a table can't be written.
    """
    settings = settings or ComparisonSettings()
    sessions, measures = read_sessions(out), read_measures(out)
    conditions, trends = (out / "summaries" / f"{name}.parquet" for name in ("conditions", "trends"))
    of_conditions = kept_rows(conditions, CONDITIONS_SCHEMA, Comparison, settings, unchanged)
    of_trends = kept_rows(trends, TRENDS_SCHEMA, Trend, settings, unchanged)
    found = compare_conditions(sessions, measures, settings, of_conditions)
    changes = find_trends(sessions, measures, settings, of_trends)
    write_derived(conditions, CONDITIONS_SCHEMA, map(vars, found), settings)
    write_derived(trends, TRENDS_SCHEMA, map(vars, changes), settings)
    return found


def compare_conditions(
    sessions: pl.DataFrame,
    measures: pl.DataFrame,
    settings: ComparisonSettings,
    kept: Mapping[RowKey, Comparison] = MappingProxyType({}),
) -> tuple[Comparison, ...]:
    """Compare each condition with the reference: the study, then each patient, for each measure, in the raw
    and the adapted reading.

    Without a test, two more things are compared: the shares without the time in which the patient speaks or
    chews, and the coverage of all sessions. Where coverage differs, faces are not missing at random.

    :param sessions, measures: from :func:`pipeline.analysis.summaries.read_sessions` and ``read_measures``.
    :param kept: comparisons that need not be computed again.
    """
    unbiased = measures.filter(pl.col("reading").is_in([RAW, ADAPTED]))
    shares = (of for measure, of in settings.measures if measure == "share")
    quiet = tuple(pair for of in shares if (pair := ("share_without_speech", of)) not in settings.measures)
    tested = _compare_all(sessions, unbiased, settings, kept, tested=True)
    again = _compare_all(sessions, unbiased, replace(settings, measures=quiet), kept, tested=False)
    is_known = any(one.difference is not None for one in again)
    coverage = replace(settings, measures=(("coverage", ""),))
    seen = _compare_all(sessions, as_measure(sessions), coverage, kept, tested=False)
    return (*correct_planned(holm_by_family(tested), settings.planned), *(again if is_known else []), *seen)


def sessions_compared(
    sessions: pl.DataFrame, measures: pl.DataFrame, condition: str, settings: ComparisonSettings
) -> pl.DataFrame:
    """The sessions that the study's comparison of one measure uses.

    :param settings: with one measure.
    :returns: rows with, among others, ``value`` (shares in %) and ``weight``.
    """
    rows = pl.concat(by_measure(sessions, measures, settings))
    both = rows.filter(pl.col("condition").is_in([settings.reference, condition]))
    return with_both(both.filter("used"), settings)


def _compare_all(
    sessions: pl.DataFrame,
    measures: pl.DataFrame,
    settings: ComparisonSettings,
    kept: Mapping[RowKey, Comparison],
    *,
    tested: bool,
) -> list[Comparison]:
    """Every measure, for the study and each patient, and every condition."""
    found: list[Comparison] = []
    for rows in by_measure(sessions, measures, settings):
        measure = key_of_measure(rows)
        others = _others(rows, settings)
        found += [
            kept.get((*measure, patient_id, other))
            or _compare(of_patient(rows, patient_id), patient_id, other, settings, tested=tested)
            for patient_id in patients_of(rows)
            for other in others
        ]
    return found


def compare_study(
    sessions: pl.DataFrame, measures: pl.DataFrame, settings: ComparisonSettings
) -> tuple[Comparison, ...]:
    """Compare as :func:`compare_conditions`: only the study, without a test, in all given readings."""
    return tuple(
        _compare(rows, STUDY, other, settings, tested=False)
        for rows in by_measure(sessions, measures, settings)
        for other in _others(rows, settings)
    )


def _others(rows: pl.DataFrame, settings: ComparisonSettings) -> list[str]:
    """The conditions beside the reference; an empty one if there is none."""
    return sorted({*rows["condition"].unique()} - {settings.reference, ""}) or [""]


# --- conditions


def _compare(
    rows: pl.DataFrame, patient_id: str, condition: str, settings: ComparisonSettings, *, tested: bool
) -> Comparison:
    both = rows.filter(pl.col("condition").is_in([settings.reference, condition]))
    compared = with_both(both.filter("used"), settings)
    is_other = compared["condition"] == condition
    blank = Comparison(
        **names_of(rows, patient_id),
        reference=settings.reference,
        condition=condition,
        sessions_reference=int((~is_other).sum()),
        sessions=int(is_other.sum()),
        patients=compared["patient_id"].n_unique(),
        left_out=len(both) - len(compared),
        coverage=mean_of(compared["coverage"]),
    )
    try:
        check_conditions(both, compared, patient_id, condition, settings)
        found = _compared(blank, compared)
        return _tested(found, compared, settings) if tested else found
    except NotEnoughError as reason:
        return replace(blank, reason=str(reason))


def with_both(rows: pl.DataFrame, settings: ComparisonSettings) -> pl.DataFrame:
    """The sessions of patients with enough sessions of both conditions."""
    of_one = rows.group_by("patient_id", "condition").len().filter(pl.col("len") >= settings.min_sessions)
    of_both = of_one.group_by("patient_id").len().filter(pl.col("len") == 2)
    return rows.filter(pl.col("patient_id").is_in(of_both["patient_id"].to_list()))


def check_conditions(
    both: pl.DataFrame, compared: pl.DataFrame, patient_id: str, condition: str, settings: ComparisonSettings
) -> None:
    """:raises NotEnoughError: with the reason."""
    if not condition:
        raise NotEnoughError.of("no_other_condition", reference=settings.reference)
    if settings.reference not in {*both["condition"].unique()}:
        raise NotEnoughError.of("no_condition", condition=settings.reference)
    patients = compared["patient_id"].n_unique()
    if patient_id == STUDY and patients < settings.min_patients:
        raise NotEnoughError.of(
            "few_with_both",
            patients=patients,
            wanted=settings.min_patients,
            sessions=settings.min_sessions,
        )
    if not patients:
        raise NotEnoughError.of("few_of_one", sessions=settings.min_sessions)


def _compared(blank: Comparison, rows: pl.DataFrame) -> Comparison:
    values, other, patients, weights = as_arrays(rows, blank.condition)
    design = np.column_stack([np.ones(len(other)), other])
    fit = fit_model(blank.patient_id, values, design, patients, weights)
    reference, mean = fit.interval(1, 0), fit.interval(1, 1)
    difference, effect = fit.interval(0, 1), fit.standardised(0, 1)
    return replace(
        blank,
        mean_reference=reference.value,
        mean_reference_low=reference.low,
        mean_reference_high=reference.high,
        mean=mean.value,
        mean_low=mean.low,
        mean_high=mean.high,
        difference=difference.value,
        difference_low=difference.low,
        difference_high=difference.high,
        effect=effect.value,
        effect_low=effect.low,
        effect_high=effect.high,
        patients_sd=fit.slope_sd,
        in_blocks=_in_blocks(rows),
        model=fit.model,
    )


def _tested(one: Comparison, rows: pl.DataFrame, settings: ComparisonSettings) -> Comparison:
    arrays = as_arrays(rows, one.condition)
    test = permutation_test(*arrays, draws=settings.permutations, seed=settings.seed)
    return replace(one, p=test.p, permutations=test.permutations, exact=test.exact)


def as_arrays(rows: pl.DataFrame, condition: str) -> tuple[Floats, Floats, Floats, Floats]:
    """(n,) each: value, whether of the condition, patient and weight of each session."""
    other = (rows["condition"] == condition).cast(pl.Float64).to_numpy()
    return rows["value"].to_numpy(), other, codes_of(rows, "patient_id"), rows["weight"].to_numpy()


def _in_blocks(rows: pl.DataFrame) -> bool | None:
    """Whether each patient's conditions followed one another in blocks; ``None`` if a date is missing."""
    if rows["recorded_at"].null_count():
        return None
    in_time = rows.sort("patient_id", "recorded_at")
    changes = in_time.group_by("patient_id").agg(blocks=pl.col("condition").rle_id().max())
    return bool((changes["blocks"] <= 1).all())
