"""Whether a session was unlike the same person's other ones."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

MIN_OTHERS = 5
"""With fewer other sessions nobody knows what is usual for a person."""

MIN_DIFFERENCE = 0.05
"""A share that differs by less from the middle of the others is not worth a word."""

COMPARED = (("share", "positive"), ("share", "negative"), ("expressive_share", ""))
"""What is compared with a person's other sessions. In one usual session of twenty one of them stands out."""

_LEVEL = 1 - 0.05 / len(COMPARED)

_TRIFLE = 0.01

# On the angular scale: sessions without a single negative moment are alike, and still say little of the next.
_LEAST_SPREAD = 0.03


def usual_range(others: Sequence[float]) -> tuple[float, float] | None:
    """Where another session's share is expected; none with too few of them.

    The prediction interval for one more value, on the angular scale arcsin √share, on which shares spread
    alike wherever they lie (Bartlett 1947, *Biometrics* 3:39-52); at 95 % for all of :data:`COMPARED`.

    :param others: shares of the person's other sessions, 0…1.
    """
    if len(others) < MIN_OTHERS:
        return None
    # sums of seconds can come out a hair above the whole
    angles = np.arcsin(np.sqrt(np.clip(others, 0.0, 1.0)))
    count = len(angles)
    spread = max(float(angles.std(ddof=1)), _LEAST_SPREAD)
    reach = student.ppf((1 + _LEVEL) / 2, count - 1) * spread * math.sqrt(1 + 1 / count)
    ends = np.clip([angles.mean() - reach, angles.mean() + reach], 0, math.pi / 2)
    low, high = np.sin(ends) ** 2
    return float(low), float(high)


def is_unusual(share: float, others: Sequence[float]) -> bool:
    """Whether a share lies outside the usual range, by more than a trifle."""
    usual = usual_range(others)
    if usual is None or abs(share - float(np.median(others))) < MIN_DIFFERENCE:
        return False
    return not usual[0] - _TRIFLE <= share <= usual[1] + _TRIFLE
