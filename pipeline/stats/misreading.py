"""Adjust the shares of a classifier's answers for its known confusion.

The classifier's share of answer m is s_m = Σ_k M_mk q_k, with M_mk the share of answer m among cases
that truly are k, and q the true shares. Solving for q is the matrix method (Rogan & Gladen, *Am J Epidemiol*
1978; Buonaccorsi, *Measurement Error*, 2010, ch. 3). The solution is the maximum of the likelihood within
0…1, found by EM (Saerens et al., *Neural Computation* 2002); where M⁻¹ s lies within 0…1, both are equal.

M and s are estimated from the same people, so an interval resamples whole people, with both of theirs. It is
Student's, with the bootstrap's standard error, on the scale of log odds: with a dozen people, percentiles of
the resamples are too narrow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from pipeline.stats.level import LEVEL

Floats = NDArray[np.float64]

RESAMPLES = 500

_STEPS, _ENOUGH = 2000, 1e-7

# Shares nearer to 0 or 1 count as this far from it: their log odds are not finite.
_EDGE = 2e-3


@dataclass(frozen=True, eq=False)
class Shares:
    """(c,) each: estimate, and lower and upper end of the 95 % interval."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of p people; a answers and k truths.

    :param rated: (p, a, k) cases with known truth, weighted to stand for all.
    :param read: (p, a) all cases.
    """

    rated: Floats
    read: Floats


def columns(rated: Floats) -> Floats:
    """(…, a, k) counts → share of each answer among the cases of each truth; NaN without a case."""
    totals = rated.sum(axis=-2, keepdims=True)
    return np.divide(rated, totals, out=np.full(rated.shape, np.nan), where=totals > 0)


def adjusted(matrix: Floats, read: Floats) -> Floats:
    """(…, a, k) columns and (…, a) shares of answers → (…, k) true shares, which add up to 1."""
    start = np.linalg.lstsq(matrix, read)[0] if matrix.ndim == 2 else np.ones(matrix.shape[-1])
    share = np.broadcast_to(np.maximum(start, 1e-3), (*read.shape[:-1], matrix.shape[-1]))
    share = share / share.sum(axis=-1, keepdims=True)
    for _ in range(_STEPS):
        expected = np.einsum("...ak,...k->...a", matrix, share)
        ratio = np.divide(read, expected, out=np.zeros(expected.shape), where=expected > 0)
        following = share * np.einsum("...ak,...a->...k", matrix, ratio)
        following /= following.sum(axis=-1, keepdims=True)
        change, share = np.abs(following - share).max(initial=0.0), following
        if change < _ENOUGH:
            break
    return share


def adjusted_with_interval(cases: Confusion, seed: int = 0) -> tuple[Shares, Shares]:
    """The adjusted shares, and the classifier's own shares; two people or more.

    Resamples in which a truth has no rated case are left out.
    """
    people = len(cases.read)
    random = np.random.default_rng(seed)
    times = random.multinomial(people, np.full(people, 1 / people), size=RESAMPLES).astype(np.float64)
    rated, read = np.tensordot(times, cases.rated, axes=1), times @ cases.read
    whole = read.sum(axis=-1)
    usable = (rated.sum(axis=-2) > 0).all(axis=-1) & (whole > 0)
    shares = read[usable] / whole[usable, None]
    own = cases.read.sum(axis=0) / cases.read.sum()
    value = adjusted(columns(cases.rated.sum(axis=0)), own)
    drawn = adjusted(columns(rated[usable]), shares)
    return _shares(value, drawn, people), _shares(own, shares, people)


def _shares(value: Floats, drawn: Floats, people: int) -> Shares:
    """:param drawn: (resamples, c)"""
    odds, resampled = (logit(np.clip(each, _EDGE, 1 - _EDGE)) for each in (value, drawn))
    reach = student.ppf((1 + LEVEL) / 2, people - 1) * resampled.std(axis=0, ddof=1)
    low = np.where(value <= _EDGE, 0.0, expit(odds - reach))
    high = np.where(value >= 1 - _EDGE, 1.0, expit(odds + reach))
    return Shares(value, low, high)
