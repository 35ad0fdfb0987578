"""How much the unseen time could matter for the comparison of conditions over the study.

    summaries/missing_compared.parquet    each condition compared with the reference, for each share

Beside the difference as compared stand: its bounds, if nothing is assumed about the unseen time; the unseen
time with which the difference would be zero (tipping point; Liublinska & Rubin, *Stat Med* 2014); and the
comparison of weighted shares, where sessions have them. All are of the sessions compared: sessions of which
too little was seen stay left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.analysis.summaries import RAW, read_sessions
from pipeline.errors import NotEnoughError
from pipeline.robustness.missing_faces import read_missing
from pipeline.stats.bounds import WHOLE, PartlySeen, session_coefficients
from pipeline.stats.mixed_model import Fit, Floats, fit_study
from pipeline.store.result_tables import column, read_derived, write_derived
from pipeline.study.comparison_tables import STUDY, read_conditions
from pipeline.study.conditions import sessions_compared
from pipeline.study.session_rows import ComparisonSettings


@dataclass(frozen=True)
class MissingComparison:
    """A condition compared with the reference over the study, under assumptions about the unseen time.

    Shares are in % of the time, differences in percentage points. Without numbers if ``reason`` states why.

    :param of: positive, neutral or negative; shares of the raw reading.
    :param unseen_reference, unseen: unseen part of the time, means of the sessions compared, 0…1.
    :param mean_reference, mean, difference: of the seen time, as in ``conditions.parquet``.
    :param mean_reference_none, mean_none: means, if none of the unseen time was the expression; ``…_all``: if
        all of it was.
    :param bound_low, bound_high: least and largest difference, whatever the unseen time was.
    :param truth_low, truth_high: 95 % interval of the true difference, whatever the unseen time was.
    :param tipping_reference, tipping: mean shares in the unseen time with which the difference would be
        zero. ``tipping_shift``: points by which each session's unseen time then differs from its seen time.
        ``None`` if the difference can't be zero.
    :param alike_shift: the same, if the unseen time is shifted alike in both conditions; then the difference
        comes from the amount that was seen. ``None`` if it can't be zero so.
    :param weighted_reason: why the weighted shares are not compared; empty where they are.
    :param weighted_left_out: sessions compared that have no weighted share.
    :param weighted_difference: of weighted shares. ``same_difference``: of the same sessions without weights.
    """

    of: str
    reference: str
    condition: str
    reason: str = ""
    sessions_reference: int = 0
    sessions: int = 0
    patients: int = 0
    left_out: int = 0
    unseen_reference: float | None = None
    unseen: float | None = None
    mean_reference: float | None = None
    mean: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    mean_reference_none: float | None = None
    mean_reference_all: float | None = None
    mean_none: float | None = None
    mean_all: float | None = None
    bound_low: float | None = None
    bound_high: float | None = None
    truth_low: float | None = None
    truth_high: float | None = None
    tipping_reference: float | None = None
    tipping: float | None = None
    tipping_shift: float | None = None
    alike_shift: float | None = None
    weighted_reason: str = ""
    weighted_left_out: int | None = None
    weighted_mean_reference: float | None = None
    weighted_mean: float | None = None
    weighted_difference: float | None = None
    weighted_difference_low: float | None = None
    weighted_difference_high: float | None = None
    same_difference: float | None = None


_POINTS = "percentage points"

_DESCRIBED: dict[str, tuple[pa.DataType, str, str]] = {
    "of": (pa.string(), "positive, neutral, negative; shares of the raw reading", ""),
    "reference": (pa.string(), "the condition compared with", ""),
    "condition": (pa.string(), "the condition", ""),
    "reason": (pa.string(), "why there is not enough data to compare; empty where there is", ""),
    "sessions_reference": (pa.int32(), "sessions of the reference", ""),
    "sessions": (pa.int32(), "sessions of the condition", ""),
    "patients": (pa.int32(), "patients compared", ""),
    "left_out": (pa.int32(), "sessions not compared", ""),
    "unseen_reference": (pa.float64(), "unseen part of the time, mean of the reference", "0…1"),
    "unseen": (pa.float64(), "unseen part of the time, mean of the condition", "0…1"),
    "mean_reference": (pa.float64(), "mean of the reference, of the seen time", "%"),
    "mean": (pa.float64(), "mean of the condition, of the seen time", "%"),
    "difference": (pa.float64(), "condition less reference, of the seen time", _POINTS),
    "difference_low": (pa.float64(), "lower end of its 95 % interval", _POINTS),
    "difference_high": (pa.float64(), "upper end of its 95 % interval", _POINTS),
    "mean_reference_none": (pa.float64(), "mean of the reference, if none of the unseen time was it", "%"),
    "mean_reference_all": (pa.float64(), "mean of the reference, if all of the unseen time was it", "%"),
    "mean_none": (pa.float64(), "mean of the condition, if none of the unseen time was it", "%"),
    "mean_all": (pa.float64(), "mean of the condition, if all of the unseen time was it", "%"),
    "bound_low": (pa.float64(), "least difference, whatever the unseen time was; no interval", _POINTS),
    "bound_high": (pa.float64(), "largest difference, whatever the unseen time was; no interval", _POINTS),
    "truth_low": (pa.float64(), "lower end of the 95 % interval, whatever the unseen time was", _POINTS),
    "truth_high": (pa.float64(), "upper end of the 95 % interval, whatever the unseen time was", _POINTS),
    "tipping_reference": (
        pa.float64(),
        "share in the reference's unseen time with which the difference would be zero; null: it can't be",
        "%",
    ),
    "tipping": (pa.float64(), "share in the condition's unseen time then", "%"),
    "tipping_shift": (
        pa.float64(),
        "points by which each session's unseen time then differs from its seen time",
        _POINTS,
    ),
    "alike_shift": (
        pa.float64(),
        "shift of the unseen time, alike in both conditions, with which the difference would be zero",
        _POINTS,
    ),
    "weighted_reason": (pa.string(), "why weighted shares are not compared; empty where they are", ""),
    "weighted_left_out": (pa.int32(), "sessions compared that have no weighted share", ""),
    "weighted_mean_reference": (pa.float64(), "mean of the reference's weighted shares", "%"),
    "weighted_mean": (pa.float64(), "mean of the condition's weighted shares", "%"),
    "weighted_difference": (pa.float64(), "condition less reference, of weighted shares", _POINTS),
    "weighted_difference_low": (pa.float64(), "lower end of its 95 % interval", _POINTS),
    "weighted_difference_high": (pa.float64(), "upper end of its 95 % interval", _POINTS),
    "same_difference": (pa.float64(), "of the same sessions without weights", _POINTS),
}

MISSING_COMPARED_SCHEMA = pa.schema(
    [column(name, *described, nullable=described[0] != pa.string()) for name, described in _DESCRIBED.items()]
)
"""Columns of ``summaries/missing_compared.parquet``: those of :class:`MissingComparison`."""


def write_missing_compared(
    out: Path, settings: ComparisonSettings | None = None
) -> tuple[MissingComparison, ...]:
    """Write the table, from ``sessions.parquet``, ``missing.parquet`` and ``conditions.parquet``.

    :param settings: those of ``conditions.parquet``.

    :raises TimelineError: a table is missing or damaged. :raises OutputError: the table can't be written.
    """
    settings = settings or ComparisonSettings()
    found = compare_missing(read_sessions(out), read_missing(out), read_conditions(out), settings)
    path = out / "summaries" / "missing_compared.parquet"
    write_derived(path, MISSING_COMPARED_SCHEMA, map(vars, found), settings)
    return found


def read_missing_compared(out: Path) -> pl.DataFrame:
    """In :data:`MISSING_COMPARED_SCHEMA`'s columns; errors as
    :func:`pipeline.store.result_tables.read_derived`."""
    return read_derived(out / "summaries" / "missing_compared.parquet", MISSING_COMPARED_SCHEMA)


def compare_missing(
    sessions: pl.DataFrame, missing: pl.DataFrame, conditions: pl.DataFrame, settings: ComparisonSettings
) -> tuple[MissingComparison, ...]:
    """Each share, and each condition against the reference.

    :param sessions, missing, conditions: as the tables of these names are read.
    """
    rows = conditions.filter(reading=RAW, measure="share", patient_id=STUDY)
    return tuple(
        _compare(row, sessions, missing.filter(of=row["of"]), settings) for row in rows.iter_rows(named=True)
    )


_SAME = (
    *("of", "reference", "condition", "reason", "sessions_reference", "sessions", "patients", "left_out"),
    *("mean_reference", "mean", "difference", "difference_low", "difference_high"),
)
"""Columns that are as in ``conditions.parquet``."""


def _compare(
    row: dict[str, Any], sessions: pl.DataFrame, missing: pl.DataFrame, settings: ComparisonSettings
) -> MissingComparison:
    one = MissingComparison(**{name: row[name] for name in _SAME}, weighted_reason=row["reason"])
    if one.reason:
        return one
    settings = replace(settings, measures=(("share", one.of),))
    seen, weighted = (_as_measure(missing, name) for name in ("share", "weighted"))
    rows = sessions_compared(sessions, seen, one.condition, settings)
    by_weights = sessions_compared(sessions, weighted, one.condition, settings)
    one = _under_assumptions(one, rows.join(missing, on=_IDS, maintain_order="left"))
    try:
        return _with_weights(one, by_weights, rows.join(by_weights, on=_IDS, how="semi"), settings)
    except NotEnoughError as reason:
        return replace(one, weighted_reason=str(reason), weighted_left_out=len(rows) - len(by_weights))


def _with_weights(
    one: MissingComparison, weighted: pl.DataFrame, same: pl.DataFrame, settings: ComparisonSettings
) -> MissingComparison:
    """:param same: the same sessions, with their shares without weights."""
    if weighted["patient_id"].n_unique() < settings.min_patients:
        raise NotEnoughError.of("few_weighted")
    fit = _fit(weighted, one.condition)[0]
    difference = fit.interval(0, 1)
    return replace(
        one,
        weighted_left_out=one.sessions + one.sessions_reference - len(weighted),
        weighted_mean_reference=fit.interval(1, 0).value,
        weighted_mean=fit.interval(1, 1).value,
        weighted_difference=difference.value,
        weighted_difference_low=difference.low,
        weighted_difference_high=difference.high,
        same_difference=_fit(same, one.condition)[0].interval(0, 1).value,
    )


_IDS = ["patient_id", "session_id"]


def _as_measure(missing: pl.DataFrame, name: str) -> pl.DataFrame:
    """A column of the table as rows of the measures."""
    fixed = {"reading": RAW, "measure": "share", "unit": "0…1"}
    return missing.select(*_IDS, "of", pl.col(name).alias("value")).with_columns(
        pl.lit(value).alias(name) for name, value in fixed.items()
    )


def _under_assumptions(one: MissingComparison, rows: pl.DataFrame) -> MissingComparison:
    """:param rows: the sessions compared, with ``value``, ``weight`` and the columns of the missing time."""
    parts = partly_seen(rows, one.condition)
    none, whole = parts.means(0.0), parts.means(WHOLE)
    bounds, interval = parts.bounds(), parts.interval()
    tipping, alike = parts.tipping(), parts.tipping_alike()
    reference, difference = parts.coefficients @ parts.unseen
    return replace(
        one,
        unseen_reference=float(reference),
        unseen=float(reference + difference),
        mean_reference_none=none[0],
        mean_reference_all=whole[0],
        mean_none=none[1],
        mean_all=whole[1],
        bound_low=bounds[0],
        bound_high=bounds[1],
        truth_low=interval[0],
        truth_high=interval[1],
        tipping_reference=tipping.reference if tipping else None,
        tipping=tipping.other if tipping else None,
        tipping_shift=tipping.shift if tipping else None,
        alike_shift=alike.shift if alike else None,
    )


def partly_seen(rows: pl.DataFrame, condition: str) -> PartlySeen:
    """The sessions of a comparison with their unseen time.

    :param rows: with patient_id, condition, value (share of the seen time, %), weight, observed_s, unseen_s.
    """
    fit, design, patients = _fit(rows, condition)
    coefficients = session_coefficients(fit, design, 1, patients, rows["weight"].to_numpy())
    unseen = rows.select(pl.col("unseen_s") / (pl.col("observed_s") + pl.col("unseen_s")))
    return PartlySeen(
        seen=rows["value"].to_numpy(),
        unseen=unseen.to_series().to_numpy(),
        other=design[:, 1] == 1,
        coefficients=coefficients,
        patients=patients,
    )


def _fit(rows: pl.DataFrame, condition: str) -> tuple[Fit, Floats, Floats]:
    """The model of the study's comparison, its design, and the patients as numbers."""
    other = (rows["condition"] == condition).cast(pl.Float64).to_numpy()
    design = np.column_stack([np.ones(len(rows)), other])
    patients = rows["patient_id"].rank("dense").cast(pl.Float64).to_numpy()
    values, weights = rows["value"].to_numpy(), rows["weight"].to_numpy()
    return fit_study(values, design, 1, patients, weights), design, patients


def missing_methods(settings: Mapping[str, Any]) -> str:
    """The paragraph of a paper's methods.

    :param settings: of ``summaries/missing.parquet``.
    """
    return (
        "To find out how much the unseen time could matter, each share was bounded by taking none or "
        "all of the unseen time to be that expression (Manski 1990; Horowitz & Manski 2000), time "
        "asleep or resting left out; intervals of differences under these bounds are those of Imbens & "
        "Manski (2004), with patients as clusters. The tipping point is the unseen time, nearest to "
        "the seen time, with which a difference is zero. Shares were also weighted by the inverse of "
        "each image's chance to be read (Horvitz & Thompson 1952), from a ridge logistic regression "
        "within each session on time, speech, and size, place, pose, light, sharpness and cover of the "
        f"patient's faces within {settings['around_s']:g} s, as normal scores (penalty "
        f"{settings['penalty']:g} per slope, each stretch of read or unread time counting as one "
        f"observation). Chances below the session's mean chance divided by {settings['largest']:g} were "
        "set to that value. A session has no weighted share if a covariate's standardised difference "
        f"between read and all images stayed above {settings['most_apart']:g}, or if the effective "
        f"number of images was below {100 * settings['least_effective']:.0f} % of the read ones."
    )
