"""A permutation test that respects the design: labels are permuted only within patients."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NotEnoughError

Floats = NDArray[np.float64]

# Of a stratum with more orders than this, each draw is shuffled by itself.
_MOST_ORDERS = 1000

# Values that are equal up to rounding count as equally extreme.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Permutation:
    """:param p: two-sided; ``permutations``: their number; ``exact``: whether these are all permutations."""

    p: float
    permutations: int
    exact: bool


def permutation_test(
    values: Floats, covariate: Floats, strata: Floats, weights: Floats, *, draws: int, seed: int
) -> Permutation:
    """Test whether values depend on a covariate, by permuting the covariate within each stratum.

    Under the null hypothesis, the sessions of a stratum are exchangeable: value and weight stay together, and
    the covariate (0 and 1 for two conditions, or a time) is permuted. The statistic is the weighted slope
    within strata; with 0 and 1 this is a difference of means.

    All permutations are used if there are at most ``draws``; otherwise ``draws`` are drawn at random, and the
    observed one counts too: p = (b + 1) / (m + 1) (Phipson & Smyth, *Stat Appl Genet Mol Biol*
    2010).

    :param values, covariate, strata, weights: (n,); weights above 0.
    :raises NotEnoughError: there is only one permutation, or all values are equal.
    """
    groups = [
        _Group.of(covariate[own], values[own], weights[own])
        for own in (np.flatnonzero(strata == stratum) for stratum in np.unique(strata))
    ]
    possible = math.prod(_count(group.covariate) for group in groups)
    if possible == 1:
        raise NotEnoughError.of("not_otherwise")
    observed = abs(_slopes([group.parts(group.covariate[None, :]) for group in groups])[0])
    if possible <= draws:
        others = _slopes(_combined([group.parts(_orders(group.covariate)) for group in groups]))
    else:
        rng = np.random.default_rng(seed)
        others = _slopes(group.drawn(draws, rng) for group in groups)
    as_far = int((np.abs(others) >= observed * (1 - _ROUNDING)).sum())
    if possible <= draws:
        return Permutation(as_far / possible, possible, exact=True)
    return Permutation((as_far + 1) / (draws + 1), draws, exact=False)


_Parts = tuple[Floats, Floats]
"""(m,) each: numerator and denominator of the slope, of m permutations."""


@dataclass(frozen=True, eq=False)
class _Group:
    """The sessions of one stratum.

    :param covariate, weights: (k,). ``apart``: (k,) weighted distance of the values from their mean.
    """

    covariate: Floats
    weights: Floats
    apart: Floats

    @classmethod
    def of(cls, covariate: Floats, values: Floats, weights: Floats) -> "_Group":
        return cls(covariate, weights, weights * (values - weights @ values / weights.sum()))

    def parts(self, covariates: Floats) -> _Parts:
        """:param covariates: (m, k), in m orders."""
        above = covariates @ self.apart
        below = covariates**2 @ self.weights - (covariates @ self.weights) ** 2 / self.weights.sum()
        return above, below

    def drawn(self, draws: int, rng: np.random.Generator) -> _Parts:
        if _count(self.covariate) <= _MOST_ORDERS:
            above, below = self.parts(_orders(self.covariate))
            chosen = rng.integers(len(above), size=draws)
            return above[chosen], below[chosen]
        return self.parts(rng.permuted(np.tile(self.covariate, (draws, 1)), axis=1))


def _slopes(parts: Iterable[_Parts]) -> Floats:
    """(m,) weighted slopes within all groups."""
    above, below = np.zeros(1), np.zeros(1)
    for of_group in parts:
        above, below = above + of_group[0], below + of_group[1]
    return above / below


def _combined(parts: Sequence[_Parts]) -> Iterator[_Parts]:
    """Each order of a group with each order of the others."""
    left = np.arange(math.prod(len(above) for above, _ in parts))
    for above, below in parts:
        left, own = np.divmod(left, len(above))
        yield above[own], below[own]


def _count(values: Floats) -> int:
    """Number of different orders of these values."""
    return _count_of(tuple(values.tolist()))


@lru_cache(maxsize=1000)
def _count_of(values: tuple[float, ...]) -> int:
    return math.factorial(len(values)) // math.prod(map(math.factorial, Counter(values).values()))


def _orders(values: Floats) -> Floats:
    """(m, k) the different orders of (k,) values."""
    levels, codes = np.unique(values, return_inverse=True)
    return np.asarray(levels[_codes_of(tuple(sorted(codes.tolist())))])


@lru_cache(maxsize=1000)
def _codes_of(codes: tuple[int, ...]) -> NDArray[np.intp]:
    return np.array(_orders_of(codes), np.intp)


@lru_cache(maxsize=1000)
def _orders_of(codes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The different orders, each once."""
    if not codes:
        return ((),)
    found = []
    for first in sorted(set(codes)):
        place = codes.index(first)
        found += [(first, *rest) for rest in _orders_of(codes[:place] + codes[place + 1 :])]
    return tuple(found)
