"""Whether a session was unlike the same person's other ones."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

MIN_OTHERS = 5
"""With fewer other sessions nobody knows what is usual for a person."""

MIN_DIFFERENCE = 0.05
"""A share that differs by less from the middle of the others is not worth a word."""

_LEVEL, _TRIFLE = 0.95, 0.01


def usual_range(others: Sequence[float]) -> tuple[float, float] | None:
    """Where another session's share is expected; none with too few of them.

    The 95 % prediction interval for one more value, on the angular scale arcsin √share, on which shares
    spread alike wherever they lie (Bartlett 1947, *Biometrics* 3:39-52).

    :param others: shares of the person's other sessions, 0…1.
    """
    if len(others) < MIN_OTHERS:
        return None
    # sums of seconds can come out a hair above the whole
    angles = np.arcsin(np.sqrt(np.clip(others, 0.0, 1.0)))
    count = len(angles)
    reach = student.ppf((1 + _LEVEL) / 2, count - 1) * angles.std(ddof=1) * math.sqrt(1 + 1 / count)
    ends = np.clip([angles.mean() - reach, angles.mean() + reach], 0, math.pi / 2)
    low, high = np.sin(ends) ** 2
    return float(low), float(high)


def is_unusual(share: float, others: Sequence[float]) -> bool:
    """Whether a share lies outside the usual range, by more than a trifle."""
    usual = usual_range(others)
    if usual is None or abs(share - float(np.median(others))) < MIN_DIFFERENCE:
        return False
    return not usual[0] - _TRIFLE <= share <= usual[1] + _TRIFLE
