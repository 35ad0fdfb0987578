"""Means of clustered observations, such as the events of a patient, with bootstrap intervals.

Whole clusters are resampled, because events of one patient are more similar than those of two patients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from pipeline.stats.level import LEVEL

Floats = NDArray[np.float64]

NOTHING = "nothing"
"""Unit of resampling if there are too few clusters."""

# Minimum share of resamples that contain averaged observations.
_MOST_OF_THEM = 0.99


@dataclass(frozen=True, eq=False)
class Resampling:
    """Resamples of n observations.

    :param unit: unit of resampling, or :data:`NOTHING`.
    :param times: (resamples, n) frequency of each observation in each resample.
    :param tail: share of the resamples beyond each end of the interval.
    """

    unit: str
    times: Floats
    tail: float


def widened_tail(clusters: int) -> float:
    """Share of the resamples of two or more clusters beyond each end of the 95 % interval.

    Smaller than 2.5 %, because with few clusters a bootstrap interval is too narrow (Hesterberg, *The
    American Statistician* 2015, § 3.2).
    """
    wide = np.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, (1 - LEVEL) / 2)
    return float(ndtr(wide))


def resample(units: Mapping[str, Sequence[str]], least: int, resamples: int, seed: int) -> Resampling:
    """Resample by the first unit with enough clusters.

    :param units: name → (n,) cluster of each observation. ``least``: minimum number of clusters.
    """
    count = 0
    for unit, names in units.items():
        _, cluster = np.unique(names, return_inverse=True)
        count = len(names)
        clusters = int(cluster.max(initial=-1)) + 1
        if clusters >= least:
            random = np.random.default_rng(seed)
            times = random.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples)
            return Resampling(unit, times[:, cluster].astype(np.float64), widened_tail(clusters))
    return Resampling(NOTHING, np.empty((0, count)), 0.0)


def averages(values: Floats, resampling: Resampling) -> Floats:
    """(n, …), NaN for missing values → (3, …): mean, lower and upper end of its interval."""
    mean = mean_of_known(values)
    unknown = np.full_like(mean, np.nan)
    if not len(resampling.times):
        return np.stack([mean, unknown, unknown])
    known = ~np.isnan(values)
    sums = np.tensordot(resampling.times, np.where(known, values, 0.0), axes=1)
    counts = np.tensordot(resampling.times, known.astype(np.float64), axes=1)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    # values of few clusters appear in few resamples; an interval from these only would be too narrow
    enough = (counts > 0).mean(axis=0) > _MOST_OF_THEM
    ends = 100 * resampling.tail, 100 * (1 - resampling.tail)
    low, high = np.nanpercentile(np.where(enough, means, 0.0), ends, axis=0)
    return np.stack([mean, np.where(enough, low, np.nan), np.where(enough, high, np.nan)])


def mean_of_known(values: Floats) -> Floats:
    """Mean over the first axis, without NaN; NaN if all values are missing."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full(values.shape[1:], np.nan), where=count > 0)
    return mean
