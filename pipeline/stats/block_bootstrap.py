"""95 % intervals for what was measured on one session, whose samples are anything but independent.

A smile lasts for seconds and samples are a fifth of a second apart: taken as independent they would make
every interval far too narrow. So the session's samples are resampled in blocks (the circular block bootstrap
of Politis & Romano 1992). Its variance has a closed form, that of the means of all blocks that overlap, which
is computed instead of drawn. With few, long blocks that variance is itself uncertain, and the quantiles are
Student's, as fixed-b asymptotics ask for (Kiefer & Vogelsang 2005).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri, stdtrit

Floats = NDArray[np.float64]
Interval = tuple[float, float]

BLOCKS = 10
"""The session's length in blocks: each is long enough to hold whole episodes."""

_LEVEL = 0.95
_TAIL = (1 - _LEVEL) / 2
_STUDENT = float(stdtrit(BLOCKS - 1, 1 - _TAIL))
# Student's quantiles instead of the normal ones, where an interval is computed from a number of observations.
_FEWER = float((ndtri(1 - _TAIL) / _STUDENT) ** 2)

# Of so few stretches the variance can't be known: with them the number of stretches bounds what is known.
_FEW_STRETCHES = 8


def standard_error(totals: Floats, weights: Floats) -> float:
    """Of Σ totals / Σ weights, by blocks.

    :param totals: (m,) what each sample adds. ``weights``: (m,) the time it stands for.
    """
    count, whole = len(weights), weights.sum()
    length = max(count // BLOCKS, 1)
    residual = (totals - weights * (totals.sum() / whole)) / whole
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([residual, residual[:length]]))])
    blocks = sums[length:] - sums[:-length]
    return float(np.sqrt((blocks[:count] ** 2).mean() * count / length))


def effective_count(values: Floats, weights: Floats) -> float:
    """How many independent observations the samples amount to: their variance by that of their mean.

    :param values, weights: (m,)
    """
    mean = values @ weights / weights.sum()
    variance = (values - mean) ** 2 @ weights / weights.sum()
    error = standard_error(values * weights, weights)
    return float(variance / error**2) if error else float(BLOCKS)


def share_interval(present: NDArray[np.bool_], weights: Floats, count: float) -> Interval:
    """Of the share of the weights for which something is present.

    Clopper & Pearson's interval for the number of independent observations that would have the same standard
    error (Korn & Graubard 1998).

    :param present: (m,). ``weights``: (m,) the time that each sample stands for.
    :param count: independent observations that the session amounts to, by :func:`effective_count` of
        something that varied; used where this was never, or always, there.
    """
    # of what was always there, processors add the weights up to a hair more or less than their sum
    share = 1.0 if present.all() else float(weights @ present / weights.sum())
    error = standard_error(present * weights, weights)
    if 0 < share < 1 and error:
        count = share * (1 - share) / error**2
        stretches = int(np.count_nonzero(present[1:] != present[:-1]) / 2 + 1)
        if stretches <= _FEW_STRETCHES:
            # lengths of episodes vary about as much as their mean: k of them count as half as many
            count = min(count, stretches / 2 / min(share, 1 - share))
    count *= _FEWER
    hits, misses = share * count, (1 - share) * count
    low = betaincinv(hits, misses + 1, _TAIL) if hits else 0.0
    high = betaincinv(hits + 1, misses, 1 - _TAIL) if misses else 1.0
    return float(low), float(high)


def mean_interval(values: Floats, weights: Floats) -> Interval:
    """Of a weighted mean.

    :param values, weights: (m,)
    """
    mean = float(values @ weights / weights.sum())
    reach = _STUDENT * standard_error(values * weights, weights)
    return mean - reach, mean + reach


def rate_interval(events: Floats, weights: Floats) -> Interval:
    """Of events per unit of the weights; on a logarithmic scale, so that it never reaches below zero.

    :param events: (m,) how many each sample has. ``weights``: (m,)
    """
    number, whole = float(events.sum()), float(weights.sum())
    if not number:
        return 0.0, -math.log(_TAIL) / whole  # of a Poisson process that brought none
    rate = number / whole
    # not surer than a Poisson process: few events may happen to be spread evenly
    error = max(standard_error(events, weights), math.sqrt(number) / whole)
    reach = math.exp(_STUDENT * error / rate)
    return rate / reach, rate * reach
