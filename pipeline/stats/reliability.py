"""Coefficients of agreement from established libraries, with bootstrap intervals.

Cohen's kappa (1960) and weighted kappa (1968) are scikit-learn's, Krippendorff's alpha is that of the package
``krippendorff``, intraclass correlations (Shrout & Fleiss 1979; McGraw & Wong 1996) are pingouin's. They are
imported on use and may be missing. Intervals are percentiles of a bootstrap over sessions, widened for small
numbers; with few sessions, over blocks. In simulated studies the intervals cover the true value in 90 % of
the cases with 5 sessions, 93 % with 8, 94 % with 30. Only for these intervals, the coefficients are computed
here with the same formulas, for all resamples at once.
"""

import importlib
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.reasons import Reason
from pipeline.stats.cluster_bootstrap import widened_tail

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

RESAMPLES = 2000
FEWEST_UNITS = 5
"""Minimum number of resampled units for an interval."""

FEWEST_RATED = 3
"""Minimum number of sessions for an intraclass correlation."""

ONE_CLASS = str(Reason.of("one_class"))
ONLY_ONE = str(Reason.of("only_one"))
NOTHING = str(Reason.of("nothing_compared"))
_SAME = str(Reason.of("same_everywhere"))
_UNSURE = str(Reason.of("unsure"))


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval, or the reason for a missing one."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Correlation:
    """Single-rater intraclass correlations of a label's share of each session.

    Shares, not seconds: sessions differ in length, so even coders who guess would agree on seconds.

    :param absolute: ICC2, ICC(A,1): agreement of the shares. ``consistent``: ICC3, ICC(C,1): agreement of the
        differences between sessions.
    """

    absolute: Figure
    consistent: Figure


def library(name: str) -> Any:
    """Import a package of the extra ``agreement``.

    :raises InputError: the package is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"Comparing with raters needs {error.name}: pip install 'emonext-care[agreement]', then again."
        ) from error


def confusion(first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]], labels: int) -> Counts:
    """(labels, labels) frequency of each pair of labels."""
    if not len(first):
        return np.zeros((labels, labels), np.int64)
    counts: Counts = library("sklearn.metrics").confusion_matrix(first, second, labels=range(labels))
    return counts.astype(np.int64)


def kappa(tables: Counts | Floats, weights: str | None = None) -> Figure:
    """Cohen's kappa of two coders.

    :param tables: (units, labels, labels) counts or sampling weights, one table per resampled unit.
    :param weights: ``None``; or ``linear`` or ``quadratic`` for ordered labels.
    """
    total = tables.sum(axis=0)
    if not total.sum():
        return Figure(None, why=NOTHING)
    if (total.sum(0) + total.sum(1) > 0).sum() < 2:
        return Figure(None, why=ONE_CLASS)
    if len(total) == 2 and not (total.sum(0).all() and total.sum(1).all()):
        return Figure(None, why=ONLY_ONE)
    first, second = np.nonzero(total)
    with warnings.catch_warnings(action="ignore"):
        value = library("sklearn.metrics").cohen_kappa_score(
            first,
            second,
            labels=range(len(total)),
            weights=weights,
            sample_weight=total[first, second],
        )
    return _with_interval(float(value), tables, lambda resampled: kappas(resampled, weights))


def kappas(tables: Floats, weights: str | None = None) -> Floats:
    """(n,) kappas of (n, labels, labels) tables; NaN if undefined."""
    labels = tables.shape[-1]
    apart = np.abs(np.subtract.outer(np.arange(labels), np.arange(labels))).astype(float)
    cost = {None: np.sign(apart), "linear": apart, "quadratic": apart**2}[weights]
    whole = tables.sum(axis=(1, 2))
    by_chance = np.einsum("ni,nj,ij->n", tables.sum(2), tables.sum(1), cost)
    return 1 - _ratio((tables * cost).sum(axis=(1, 2)) * whole, by_chance)


def alpha(counts: list[Counts]) -> Figure:
    """Krippendorff's alpha for nominal labels, for any number of coders, with missing values.

    :param counts: for each resampled unit (steps, labels): number of coders that chose each label.
    """
    everything = np.concatenate(counts) if counts else np.zeros((0, 1), np.int64)
    pairable = everything[everything.sum(axis=1) > 1]
    if not len(pairable):
        return Figure(None, why=NOTHING)
    if (pairable.sum(axis=0) > 0).sum() < 2:
        return Figure(None, why=ONE_CLASS)
    value = library("krippendorff").alpha(value_counts=pairable, level_of_measurement="nominal")
    return _with_interval(float(value), np.stack([_coincidences(unit) for unit in counts]), _alphas)


def _coincidences(counts: Counts) -> Floats:
    """(labels, labels): coincidences of pairs of labels in a step, with each coder counting once."""
    said = counts.sum(axis=1)
    pairable, others = counts[said > 1].astype(float), (said[said > 1] - 1)[:, None]
    table: Floats = pairable.T @ (pairable / others)
    return table - np.diag((pairable / others).sum(axis=0))


def _alphas(tables: Floats) -> Floats:
    """(n,) alphas of (n, labels, labels) coincidence tables; Krippendorff (2011), nominal."""
    said = tables.sum(axis=2)
    whole = said.sum(axis=1)
    observed = whole - np.trace(tables, axis1=1, axis2=2)
    expected = whole**2 - (said**2).sum(axis=1)
    return 1 - _ratio(observed * (whole - 1), expected)


def share(parts: Counts, wholes: Counts) -> Figure:
    """Ratio of parts to wholes, (units,) each, one value per resampled unit."""
    if not wholes.sum():
        return Figure(None, why=NOTHING)
    both = np.stack([parts, wholes], axis=1)[:, :, None]
    return _with_interval(
        float(parts.sum() / wholes.sum()),
        both,
        lambda resampled: _ratio(resampled[:, 0, 0], resampled[:, 1, 0]),
    )


def correlation(shares: Floats) -> Correlation:
    """Intraclass correlations.

    :param shares: (sessions, coders), for sessions with compared time.
    """
    why = ""
    if len(shares) < FEWEST_RATED:
        why = str(Reason.of("fewer_rated", sessions=FEWEST_RATED))
    elif not shares.any(axis=0).all():
        why = ONLY_ONE
    elif not (shares.max(axis=0) > shares.min(axis=0)).any():
        why = _SAME
    if why:
        return Correlation(Figure(None, why=why), Figure(None, why=why))
    pandas, pingouin = library("pandas"), library("pingouin")
    sessions, readers = np.indices(shares.shape)
    table = pandas.DataFrame(
        {"session": sessions.ravel(), "reader": readers.ravel(), "share": shares.ravel()}
    )
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        rows = pingouin.intraclass_corr(table, "session", "reader", "share").set_index("Type")
    return Correlation(_icc(rows, "ICC(A,1)", "ICC2"), _icc(rows, "ICC(C,1)", "ICC3"))


def _icc(rows: Any, *names: str) -> Figure:
    """The row of an ICC, whose name differs between pingouin's versions."""
    row = rows.loc[next(name for name in names if name in rows.index)]
    low, high = next(row[name] for name in ("CI95", "CI95%") if name in row.index)
    if not math.isfinite(row["ICC"]):
        return Figure(None, why=_SAME)
    if not (math.isfinite(low) and math.isfinite(high)):
        return Figure(float(row["ICC"]), why=_UNSURE)
    return Figure(float(row["ICC"]), float(low), float(high))


def _with_interval(value: float, tables: Counts | Floats, of: Callable[[Floats], Floats]) -> Figure:
    """:param tables: (units, …), resampled with replacement and summed; empty ones are left out."""
    if not math.isfinite(value):
        return Figure(None, why=ONE_CLASS)
    tables = tables[tables.any(axis=(1, 2))]
    units = len(tables)
    if units < FEWEST_UNITS:
        return Figure(value, why=_UNSURE)
    random = np.random.default_rng(0)  # fixed seed: the same data give the same interval
    drawn = random.multinomial(units, [1 / units] * units, RESAMPLES).astype(float)
    found = of((drawn @ tables.reshape(units, -1)).reshape(RESAMPLES, *tables.shape[1:]))
    found = found[np.isfinite(found)]
    if len(found) < 0.95 * RESAMPLES:
        return Figure(value, why=_UNSURE)
    tail = widened_tail(units)
    low, high = np.quantile(found, [tail, 1 - tail])
    return Figure(value, float(low), float(high))


def _ratio(part: Floats, whole: Floats) -> Floats:
    nothing = np.full(np.broadcast(part, whole).shape, np.nan)
    ratio: Floats = np.divide(part, whole, out=nothing, where=whole > 0)
    return ratio
