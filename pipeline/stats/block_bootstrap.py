"""95 % intervals for measures of one session, whose samples are not independent.

A smile lasts for seconds, and samples are 0.2 s apart: intervals that assume independence would be far too
narrow. So the samples are resampled in blocks (circular block bootstrap, Politis & Romano 1992). The variance
has a closed form, the variance of the means of all overlapping blocks, which is computed without random
draws. With few, long blocks this variance is uncertain, so the quantiles are Student's (fixed-b asymptotics,
Kiefer & Vogelsang 2005).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri, stdtrit

Floats = NDArray[np.float64]
Interval = tuple[float, float]

BLOCKS = 10
"""Number of blocks per session; each block is long enough for whole episodes."""

_LEVEL = 0.95
_TAIL = (1 - _LEVEL) / 2
_STUDENT = float(stdtrit(BLOCKS - 1, 1 - _TAIL))
# Student's quantiles instead of normal ones, for intervals from an effective number of observations.
_FEWER = float((ndtri(1 - _TAIL) / _STUDENT) ** 2)

# With fewer runs than this, the variance can't be estimated, and the number of runs limits the effective
# count.
_FEW_STRETCHES = 8


def standard_error(totals: Floats, weights: Floats) -> float:
    """Standard error of Σ totals / Σ weights, by blocks.

    :param totals: (m,) contribution of each sample. ``weights``: (m,) duration of each sample.
    """
    count, whole = len(weights), weights.sum()
    length = max(count // BLOCKS, 1)
    residual = (totals - weights * (totals.sum() / whole)) / whole
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([residual, residual[:length]]))])
    blocks = sums[length:] - sums[:-length]
    return float(np.sqrt((blocks[:count] ** 2).mean() * count / length))


def effective_count(values: Floats, weights: Floats) -> float:
    """Effective number of independent observations: variance of the samples ÷ variance of their mean.

    :param values, weights: (m,)
    """
    mean = values @ weights / weights.sum()
    variance = (values - mean) ** 2 @ weights / weights.sum()
    error = standard_error(values * weights, weights)
    # chance, or a repeated stretch, can make the mean look more certain than independent samples would be
    return min(float(variance / error**2) if error else float(BLOCKS), float(len(values)))


def share_interval(present: NDArray[np.bool_], weights: Floats, count: float) -> Interval:
    """Interval for the weighted share of samples in which something is present.

    Clopper & Pearson's interval for the number of independent observations that would have the same standard
    error (Korn & Graubard 1998).

    :param present: (m,). ``weights``: (m,) duration of each sample.
    :param count: effective number of observations, by :func:`effective_count` of a varying quantity; used if
        ``present`` is constant.
    """
    # rounding: for a constant `present`, the summed weights can differ slightly from the total
    share = 1.0 if present.all() else float(weights @ present / weights.sum())
    error = standard_error(present * weights, weights)
    if 0 < share < 1 and error:
        count = share * (1 - share) / error**2
        stretches = int(np.count_nonzero(present[1:] != present[:-1]) / 2 + 1)
        if stretches <= _FEW_STRETCHES:
            # the standard deviation of episode lengths is about their mean, so k episodes count as k / 2
            # observations
            count = min(count, stretches / 2 / min(share, 1 - share))
    count *= _FEWER
    hits, misses = share * count, (1 - share) * count
    low = betaincinv(hits, misses + 1, _TAIL) if hits else 0.0
    high = betaincinv(hits + 1, misses, 1 - _TAIL) if misses else 1.0
    return float(low), float(high)


def mean_interval(values: Floats, weights: Floats) -> Interval:
    """Interval for a weighted mean.

    :param values, weights: (m,)
    """
    mean = float(values @ weights / weights.sum())
    reach = _STUDENT * standard_error(values * weights, weights)
    return mean - reach, mean + reach


def rate_interval(events: Floats, weights: Floats) -> Interval:
    """Interval for events per unit of weight, on a logarithmic scale, so that it is never negative.

    :param events: (m,) number of events in each sample. ``weights``: (m,)
    """
    number, whole = float(events.sum()), float(weights.sum())
    if not number:
        return 0.0, -math.log(_TAIL) / whole  # interval of a Poisson process without events
    rate = number / whole
    # never narrower than for a Poisson process: few events may be evenly spread by chance
    error = max(standard_error(events, weights), math.sqrt(number) / whole)
    reach = math.exp(_STUDENT * error / rate)
    return rate / reach, rate * reach
