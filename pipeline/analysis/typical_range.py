"""Check whether a session differs from the patient's other sessions."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

MIN_OTHERS = 5
"""Minimum of other sessions for a usual range."""

MIN_DIFFERENCE = 0.05
"""Smallest difference from the middle of the other sessions that is reported."""

COMPARED = (("share", "positive"), ("share", "negative"), ("expressive_share", ""))
"""The compared shares. By chance, one usual session in twenty has an unusual share."""

_LEVEL = 1 - 0.05 / len(COMPARED)

_TRIFLE = 0.01

# Minimum of the standard deviation on the angular scale: some sessions without any negative moment do not
# guarantee that the next has none.
_LEAST_SPREAD = 0.03


def usual_range(others: Sequence[float]) -> tuple[float, float] | None:
    """Expected range of another session's share; ``None`` with too few sessions.

    The prediction interval for one more value, on the angular scale arcsin √share, which stabilises
    the variance (Bartlett 1947, *Biometrics* 3:39-52); 95 % for all of :data:`COMPARED` together.

    :param others: shares of the patient's other sessions, 0…1.
    """
    if len(others) < MIN_OTHERS:
        return None
    # rounding errors can lift a share slightly above 1
    angles = np.arcsin(np.sqrt(np.clip(others, 0.0, 1.0)))
    count = len(angles)
    spread = max(float(angles.std(ddof=1)), _LEAST_SPREAD)
    reach = student.ppf((1 + _LEVEL) / 2, count - 1) * spread * math.sqrt(1 + 1 / count)
    ends = np.clip([angles.mean() - reach, angles.mean() + reach], 0, math.pi / 2)
    low, high = np.sin(ends) ** 2
    return float(low), float(high)


def is_unusual(share: float, others: Sequence[float]) -> bool:
    """Whether a share lies clearly outside the usual range."""
    usual = usual_range(others)
    if usual is None or abs(share - float(np.median(others))) < MIN_DIFFERENCE:
        return False
    return not usual[0] - _TRIFLE <= share <= usual[1] + _TRIFLE
