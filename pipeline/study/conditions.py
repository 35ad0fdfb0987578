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
same for all conditions. The corrected reading is computed from the reference's own
sessions, which biases these sessions towards neutral and looks like an effect (p < 0.05 in up to 24 % of
simulated studies without an effect). A comparison within patients needs no correction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from pipeline.analysis.summaries import ADAPTED, RAW, read_measures, read_sessions
from pipeline.errors import InputError, NotEnoughError
from pipeline.stats.mixed_model import Fit, Floats, fit_patient, fit_study
from pipeline.stats.permutation import permutation_test
from pipeline.store.result_tables import write_derived
from pipeline.study.comparison_tables import CONDITIONS_SCHEMA, STUDY, TRENDS_SCHEMA, Comparison, Trend

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
    :param adaptation_sha256: as in :class:`pipeline.analysis.summaries.SummarySettings`.
    """

    reference: str = "baseline"
    measures: tuple[tuple[str, str], ...] = SESSION_MEASURES
    min_sessions: int = 2
    min_patients: int = 3
    permutations: int = 9999
    seed: int = 0
    adaptation_sha256: str = ""

    def __post_init__(self) -> None:
        """:raises InputError: a setting is not usable."""
        if self.min_sessions < 2 or self.min_patients < 2 or self.permutations < 99:
            raise InputError("Comparisons need at least 2 sessions, 2 patients and 99 permutations.")


def write_conditions(out: Path, settings: ComparisonSettings | None = None) -> tuple[Comparison, ...]:
    """Write both tables from the tables of ``emonext summarize``.

    :returns: the comparisons.
    :raises TimelineError: a table is missing or damaged. :raises OutputError: a table can't be written.
    """
    settings = settings or ComparisonSettings()
    sessions, measures = read_sessions(out), read_measures(out)
    found = compare_conditions(sessions, measures, settings)
    trends = find_trends(sessions, measures, settings)
    folder = out / "summaries"
    write_derived(folder / "conditions.parquet", CONDITIONS_SCHEMA, map(asdict, found), settings)
    write_derived(folder / "trends.parquet", TRENDS_SCHEMA, map(asdict, trends), settings)
    return found


def compare_conditions(
    sessions: pl.DataFrame, measures: pl.DataFrame, settings: ComparisonSettings
) -> tuple[Comparison, ...]:
    """Compare each condition with the reference: the study, then each patient, for each measure, in the raw
    and the adapted reading.

    Without a test, two more things are compared: the shares without the time in which the patient speaks or
    chews, and the coverage of all sessions. Where coverage differs, faces are not missing at random.

    :param sessions, measures: from :func:`pipeline.analysis.summaries.read_sessions` and ``read_measures``.
    """
    unbiased = measures.filter(pl.col("reading").is_in([RAW, ADAPTED]))
    quiet = tuple(("share_without_speech", of) for measure, of in settings.measures if measure == "share")
    tested = _compare_all(sessions, unbiased, settings, tested=True)
    again = _compare_all(sessions, unbiased, replace(settings, measures=quiet), tested=False)
    is_known = any(one.difference is not None for one in again)
    coverage = replace(settings, measures=(("coverage", ""),))
    seen = _compare_all(sessions, _as_measure(sessions), coverage, tested=False)
    return (*_holm(tested), *(again if is_known else []), *seen)


def _compare_all(
    sessions: pl.DataFrame, measures: pl.DataFrame, settings: ComparisonSettings, *, tested: bool
) -> list[Comparison]:
    """Every measure, for the study and each patient, and every condition."""
    found: list[Comparison] = []
    for rows in _by_measure(sessions, measures, settings):
        others = sorted(set(rows["condition"]) - {settings.reference, ""}) or [""]
        for patient_id in _patients(rows):
            of_them = _of(rows, patient_id)
            found += [_compare(of_them, patient_id, other, settings, tested=tested) for other in others]
    return found


def find_trends(
    sessions: pl.DataFrame, measures: pl.DataFrame, settings: ComparisonSettings
) -> tuple[Trend, ...]:
    """Estimate change per week: the study, then each patient, for each reading and measure."""
    found: list[Trend] = []
    for rows in _by_measure(sessions, measures, settings):
        found += [_trend(_of(rows, patient_id), patient_id, settings) for patient_id in _patients(rows)]
    return _holm(found)


# --- rows


def _by_measure(
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


def _as_measure(sessions: pl.DataFrame) -> pl.DataFrame:
    """The coverage of every session, as a row of the measures."""
    fixed = {"reading": RAW, "measure": "coverage", "of": "", "unit": "0…1"}
    return sessions.select("patient_id", "session_id", pl.col("coverage").alias("value")).with_columns(
        pl.lit(value).alias(name) for name, value in fixed.items()
    )


def _patients(rows: pl.DataFrame) -> list[str]:
    return [STUDY, *rows["patient_id"].unique().sort()]


def _of(rows: pl.DataFrame, patient_id: str) -> pl.DataFrame:
    return rows if patient_id == STUDY else rows.filter(patient_id=patient_id)


def _names(rows: pl.DataFrame, patient_id: str) -> dict[str, Any]:
    return {name: rows[name][0] for name in ("reading", "measure", "of", "unit")} | {"patient_id": patient_id}


# --- conditions


def _compare(
    rows: pl.DataFrame, patient_id: str, condition: str, settings: ComparisonSettings, *, tested: bool
) -> Comparison:
    both = rows.filter(pl.col("condition").is_in([settings.reference, condition]))
    compared = _with_both(both.filter("used"), settings)
    is_other = compared["condition"] == condition
    blank = Comparison(
        **_names(rows, patient_id),
        reference=settings.reference,
        condition=condition,
        sessions_reference=int((~is_other).sum()),
        sessions=int(is_other.sum()),
        patients=compared["patient_id"].n_unique(),
        left_out=len(both) - len(compared),
        coverage=_mean(compared["coverage"]),
    )
    try:
        _check_conditions(both, compared, patient_id, condition, settings)
        found = _compared(blank, compared)
        return _tested(found, compared, settings) if tested else found
    except NotEnoughError as reason:
        return replace(blank, reason=str(reason))


def _with_both(rows: pl.DataFrame, settings: ComparisonSettings) -> pl.DataFrame:
    """The sessions of patients with enough sessions of both conditions."""
    of_one = rows.group_by("patient_id", "condition").len().filter(pl.col("len") >= settings.min_sessions)
    of_both = of_one.group_by("patient_id").len().filter(pl.col("len") == 2)
    return rows.filter(pl.col("patient_id").is_in(of_both["patient_id"].to_list()))


def _check_conditions(
    both: pl.DataFrame, compared: pl.DataFrame, patient_id: str, condition: str, settings: ComparisonSettings
) -> None:
    """:raises NotEnoughError: with the reason."""
    if not condition:
        raise NotEnoughError(f"no session with another condition than {settings.reference}")
    if settings.reference not in set(both["condition"]):
        raise NotEnoughError(f"no session with the condition {settings.reference}")
    patients = compared["patient_id"].n_unique()
    if patient_id == STUDY and patients < settings.min_patients:
        raise NotEnoughError(
            f"{patients} of the {settings.min_patients} patients it takes have {settings.min_sessions} "
            "sessions of both conditions in which enough was seen"
        )
    if not patients:
        raise NotEnoughError(
            f"fewer than {settings.min_sessions} sessions of one of the conditions in which enough was seen"
        )


def _compared(blank: Comparison, rows: pl.DataFrame) -> Comparison:
    values, other, patients, weights = _arrays(rows, blank.condition)
    design = np.column_stack([np.ones(len(other)), other])
    fit = _fit(blank.patient_id, values, design, patients, weights)
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
    arrays = _arrays(rows, one.condition)
    test = permutation_test(*arrays, draws=settings.permutations, seed=settings.seed)
    return replace(one, p=test.p, permutations=test.permutations, exact=test.exact)


def _arrays(rows: pl.DataFrame, condition: str) -> tuple[Floats, Floats, Floats, Floats]:
    """(n,) each: value, whether of the condition, patient and weight of each session."""
    other = (rows["condition"] == condition).cast(pl.Float64).to_numpy()
    return rows["value"].to_numpy(), other, _codes(rows, "patient_id"), rows["weight"].to_numpy()


def _in_blocks(rows: pl.DataFrame) -> bool | None:
    """Whether each patient's conditions followed one another in blocks; ``None`` if a date is missing."""
    if rows["recorded_at"].null_count():
        return None
    in_time = rows.sort("patient_id", "recorded_at")
    changes = in_time.group_by("patient_id").agg(blocks=pl.col("condition").rle_id().max())
    return bool((changes["blocks"] <= 1).all())


# --- weeks


def _trend(rows: pl.DataFrame, patient_id: str, settings: ComparisonSettings) -> Trend:
    least = 2 * settings.min_sessions
    followed = (
        rows.filter(pl.col("used") & pl.col("week").is_not_null())
        .filter(pl.len().over("patient_id") >= least)
        .filter((pl.col("week").max() - pl.col("week").min()).over("patient_id") >= 1)
    )
    patients = followed["patient_id"].n_unique()
    blank = Trend(
        **_names(rows, patient_id),
        sessions=len(followed),
        patients=patients,
        left_out=len(rows) - len(followed),
        coverage=_mean(followed["coverage"]),
    )
    try:
        _check_weeks(patients, patient_id, least, settings)
        return _followed(blank, followed, settings)
    except NotEnoughError as reason:
        return replace(blank, reason=str(reason))


def _check_weeks(patients: int, patient_id: str, least: int, settings: ComparisonSettings) -> None:
    """:raises NotEnoughError: with the reason."""
    wanted = f"{least} dated sessions, over a week or longer, in which enough was seen"
    if patient_id == STUDY and patients < settings.min_patients:
        raise NotEnoughError(f"{patients} of the {settings.min_patients} patients it takes have {wanted}")
    if not patients:
        raise NotEnoughError(f"fewer than {wanted}")


def _followed(blank: Trend, rows: pl.DataFrame, settings: ComparisonSettings) -> Trend:
    values, weights, week = (rows[name].to_numpy() for name in ("value", "weight", "week"))
    conditions = sorted(set(rows["condition"]))
    # one mean per condition, instead of an intercept
    design = np.column_stack([(rows["condition"] == name).cast(pl.Float64) for name in conditions] + [week])
    fit = _fit(blank.patient_id, values, design, _codes(rows, "patient_id"), weights)
    strata = _codes(rows, "patient_id", "condition")
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


# --- both


def _fit(patient_id: str, values: Floats, design: Floats, patients: Floats, weights: Floats) -> Fit:
    """Fit the model; the last column of the design is the tested effect."""
    if patient_id == STUDY:
        return fit_study(values, design, design.shape[1] - 1, patients, weights)
    return fit_patient(values, design, weights)


def _codes(rows: pl.DataFrame, *names: str) -> Floats:
    """(n,) codes: equal rows of these columns get the same number."""
    codes: Floats = rows.select(pl.struct(names).rank("dense")).to_series().to_numpy().astype(np.float64)
    return codes


def _mean(values: pl.Series) -> float | None:
    return float(values.to_numpy().mean()) if len(values) else None


_Result = TypeVar("_Result", Comparison, Trend)


def _holm(results: Sequence[_Result]) -> tuple[_Result, ...]:
    """The results with p corrected for all tests of one reading and patient (Holm, *Scand J Stat* 1979)."""

    def family(one: _Result) -> tuple[bool, str, bool, str]:
        # raw first, and the study before the patients
        return one.reading != "raw", one.reading, one.patient_id != STUDY, one.patient_id

    corrected: list[_Result] = []
    for _, members in groupby(sorted(results, key=family), family):
        together = list(members)
        holm = iter(_stepped([one.p for one in together if one.p is not None]))
        corrected += [one if one.p is None else replace(one, p_holm=next(holm)) for one in together]
    return tuple(corrected)


def _stepped(tested: Sequence[float]) -> list[float]:
    """Holm's p-values. statsmodels' version runs the garbage collector on each call, which is slow."""
    p = np.array(tested)
    order = p.argsort()
    stepped = np.minimum(np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]), 1.0)
    return [float(stepped[place]) for place in order.argsort()]
