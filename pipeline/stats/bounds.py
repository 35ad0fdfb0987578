"""What a difference of means can be at most and at least, where part of each value was not observed.

A session's value is a share of its time, of which a part was not seen. Nothing is assumed about that part:
its share is anything from 0 to 100 % (Manski, *Am Econ Rev* 1990; Horowitz & Manski, *J Am Stat Assoc* 2000).
Bounds are no confidence interval: they hold for these sessions, and more sessions do not narrow them.

The means and their difference are linear in the sessions' values. Their coefficients are those of the mixed
model that was fitted to the shares of the seen time, so that every assumption about the unseen time leads to
the same comparison of the same sessions with the same weights.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import t as student

from pipeline.stats.level import LEVEL
from pipeline.stats.mixed_model import Fit

Floats = NDArray[np.float64]

WHOLE = 100.0
"""Shares are in %."""

# Differences below this are rounding errors, in percentage points.
_ZERO = 1e-9


@dataclass(frozen=True)
class Tipping:
    """Unseen time with which a difference would be zero.

    :param shift: distance of the unseen time from the seen time of the same session, in percentage points.
    :param reference, other: mean share in the unseen time of the reference and of the condition, %; ``None``
        if it has no unseen time.
    """

    shift: float
    reference: float | None
    other: float | None


@dataclass(frozen=True, eq=False)
class PartlySeen:
    """Sessions of two conditions, of which part of the time was not seen.

    :param seen: (n,) share of the seen time, %. ``unseen``: (n,) unseen part of the time, 0…1.
    :param other: (n,) whether a session is of the condition, else of the reference.
    :param coefficients: (2, n) of the sessions' values: mean of the reference, and condition less reference.
    :param patients: (n,) patient of each session, as a number.
    """

    seen: Floats
    unseen: Floats
    other: NDArray[np.bool_]
    coefficients: Floats
    patients: Floats

    def filled(self, share: Floats | float) -> Floats:
        """(n,) share of the whole time, %, if this was the share of the unseen time."""
        return np.asarray((1 - self.unseen) * self.seen + self.unseen * share)

    def means(self, share: Floats | float) -> tuple[float, float]:
        """Means of the reference and of the condition, if this was the share of the unseen time."""
        reference, difference = self.coefficients @ self.filled(share)
        return float(reference), float(reference + difference)

    def difference(self, share: Floats | float) -> float:
        """Condition less reference, if this was the share of the unseen time."""
        return float(self.coefficients[1] @ self.filled(share))

    def bounds(self) -> tuple[float, float]:
        """Least and largest difference: one condition's unseen time is all of it, the other's none of it."""
        return self.difference(self._extreme(-1)), self.difference(self._extreme(1))

    def interval(self) -> tuple[float, float]:
        """95 % interval of the true difference, whatever the unseen time was (:func:`imbens_manski`)."""
        low, high = self.bounds()
        errors = [self._error(self._extreme(sign)) for sign in (-1, 1)]
        reach = imbens_manski(low, high, max(errors), len(np.unique(self.patients)) - 1)
        return max(low - reach * errors[0], -WHOLE), min(high + reach * errors[1], WHOLE)

    def tipping(self) -> Tipping | None:
        """Nearest unseen time that differs between the conditions, so that the difference would be zero.

        In the unseen time of each session the share is lower or higher than in its seen time by the same
        number of points, within 0 and 100 %: lower under the condition with the larger mean, higher under the
        other.

        :returns: ``None`` if the difference can't be zero.
        """
        against = -np.sign(self.difference(self.seen)) * self._raises
        return self._where_zero(lambda shift: np.clip(self.seen + shift * against, 0, WHOLE))

    def tipping_alike(self) -> Tipping | None:
        """Nearest unseen time that is shifted alike in both conditions, so that the difference would be zero.

        It exists only where more was unseen under one condition than under the other.

        :returns: ``None`` if there is none. The shift is negative if the share is lower in the unseen time.
        """
        less = self._where_zero(lambda shift: np.clip(self.seen - shift, 0, WHOLE))
        more = self._where_zero(lambda shift: np.clip(self.seen + shift, 0, WHOLE))
        if less and not (more and more.shift < less.shift):
            return replace(less, shift=-less.shift)
        return more

    def _where_zero(self, share: Callable[[float], Floats]) -> Tipping | None:
        start, end = (self.difference(share(shift)) for shift in (0.0, WHOLE))
        if abs(start) < _ZERO or not self.unseen.any() or start * end > 0:
            return None
        shift = float(brentq(lambda shift: self.difference(share(shift)), 0, WHOLE, xtol=1e-9))
        weights = np.abs(self.coefficients[1]) * self.unseen
        reference, other = (
            float(weights[of] @ share(shift)[of] / weights[of].sum()) if weights[of].any() else None
            for of in (~self.other, self.other)
        )
        return Tipping(shift, reference, other)

    def _extreme(self, sign: int) -> Floats:
        """(n,) share of the unseen time that makes the difference smallest (−1) or largest (1)."""
        return np.asarray(WHOLE * (sign * self._raises > 0), np.float64)

    @property
    def _raises(self) -> Floats:
        """(n,) 1 if a larger value of the session makes the difference larger, −1 if smaller."""
        return np.asarray(np.sign(self.coefficients[1]))

    def _error(self, share: Floats) -> float:
        """Standard error of the difference, with patients as clusters (Liang & Zeger, *Biometrika* 1986)."""
        values = self.filled(share)
        reference, other = self.means(share)
        residuals = self.coefficients[1] * (values - np.where(self.other, other, reference))
        _, patient = np.unique(self.patients, return_inverse=True)
        sums = np.bincount(patient, residuals)
        return float(np.sqrt(sums @ sums * len(sums) / (len(sums) - 1)))


def imbens_manski(low: float, high: float, error: float, df: int) -> float:
    """Number of standard errors outside the bounds, so that an interval holds the true value in 95 %.

    Where the bounds are far apart, the true value can lie near one of them only, and the number is that of a
    one-sided interval (Imbens & Manski, *Econometrica* 2004, eq. 6–7). Student's t stands for the normal
    distribution, as there are few patients.

    :param error: the larger standard error of the two bounds.
    """
    if not error > 0:
        return 0.0
    apart = (high - low) / error

    def lack(reach: float) -> float:
        return float(student.cdf(reach + apart, df) - student.cdf(-reach, df)) - LEVEL

    return float(brentq(lack, *student.ppf([LEVEL - 1e-9, (1 + LEVEL) / 2 + 1e-9], df)))


def session_coefficients(fit: Fit, design: Floats, slope: int, patients: Floats, weights: Floats) -> Floats:
    """(k, n) such that they times the values are the fit's coefficients: generalised least squares.

    :param fit: of :func:`pipeline.stats.mixed_model.fit_study`, with these arguments.
    """
    centred = design[:, slope] - design[:, slope].mean()
    random = np.column_stack([np.full(len(design), fit.patient_sd or 0.0), centred * (fit.slope_sd or 0.0)])
    precise = np.empty_like(design)
    for patient in np.unique(patients):
        own = patients == patient
        variance = np.diag(weights.mean() / weights[own]) + random[own] @ random[own].T / fit.residual_sd**2
        precise[own] = np.linalg.solve(variance, design[own])
    return np.asarray(np.linalg.solve(design.T @ precise, precise.T))
