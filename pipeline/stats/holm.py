"""Holm's correction of p-values for several tests (Holm, *Scand J Stat* 1979)."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float], tests: int | None = None) -> list[float]:
    """The corrected p-values, in the same order.

    statsmodels has the same; but its version runs the garbage collector on each call, which is slow.

    :param tests: number of tests in the family, if some of them have no p-value: these count as p = 1.
    """
    p = np.array(p_values, np.float64)
    order, count = p.argsort(), len(p) if tests is None else tests
    stepped = np.minimum(np.maximum.accumulate((count - np.arange(len(p))) * p[order]), 1.0)
    return [float(stepped[place]) for place in order.argsort()]
