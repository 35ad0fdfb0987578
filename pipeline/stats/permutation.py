"""A permutation test that respects the design: labels are permuted only within patients."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NotEnoughError

Floats = NDArray[np.float64]

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
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    possible = math.prod(_count(covariate[group]) for group in groups)
    if possible == 1:
        raise NotEnoughError.of("not_otherwise")
    if possible <= draws:
        others = _all(covariate, groups)
    else:
        others = _drawn(covariate, groups, draws, np.random.default_rng(seed))
    observed = abs(_slopes(covariate[None, :], values, groups, weights)[0])
    as_far = int((np.abs(_slopes(others, values, groups, weights)) >= observed * (1 - _ROUNDING)).sum())
    if possible <= draws:
        return Permutation(as_far / possible, possible, exact=True)
    return Permutation((as_far + 1) / (draws + 1), draws, exact=False)


def _slopes(covariates: Floats, values: Floats, groups: list[NDArray[np.intp]], weights: Floats) -> Floats:
    """(m,) weighted slopes within groups, for m permutations (m, n)."""
    above, below = np.zeros(len(covariates)), np.zeros(len(covariates))
    for group in groups:
        x, y, w = covariates[:, group], values[group], weights[group]
        above += x @ (w * (y - w @ y / w.sum()))
        below += x**2 @ w - (x @ w) ** 2 / w.sum()
    return above / below


def _count(values: Floats) -> int:
    """Number of different orders of these values."""
    return math.factorial(len(values)) // math.prod(map(math.factorial, Counter(values.tolist()).values()))


def _all(covariate: Floats, groups: list[NDArray[np.intp]]) -> Floats:
    ways = [list(_orders(tuple(covariate[group].tolist()))) for group in groups]
    places = np.concatenate(groups)
    rows = np.array([list(itertools.chain(*parts)) for parts in itertools.product(*ways)])
    arranged = np.empty_like(rows)
    arranged[:, places] = rows
    return arranged


def _orders(values: tuple[float, ...]) -> Iterator[tuple[float, ...]]:
    """The different orders, each once."""
    if not values:
        yield ()
    for first in sorted(set(values)):
        place = values.index(first)
        for rest in _orders(values[:place] + values[place + 1 :]):
            yield first, *rest


def _drawn(covariate: Floats, groups: list[NDArray[np.intp]], draws: int, rng: np.random.Generator) -> Floats:
    arranged = np.tile(covariate, (draws, 1))
    for group in groups:
        arranged[:, group] = rng.permuted(arranged[:, group], axis=1)
    return arranged
