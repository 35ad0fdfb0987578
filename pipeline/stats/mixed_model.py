"""Linear models of sessions: for one patient, and mixed models for a study.

The residual variance of a session is σ² / weight. statsmodels' mixed model has no weights, but multiplying a
whole row (value, intercept, covariates and design of the random effects) by √weight gives a model with equal
variances and the same parameters, as with ``weights`` in R's lme4 (Pinheiro & Bates, *Mixed-Effects Models in
S and S-PLUS*, 2000, § 5.1). This is exact.

The likelihood (REML) is that of statsmodels' ``MixedLM``, computed for all patients at once, which makes it
hundreds of times faster. The optimiser is another: ``MixedLM.fit`` has no bounds, and fails if a variance is
near zero, which is common with few patients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize
from scipy.stats import t as student
from statsmodels.regression.linear_model import OLS, WLS

from pipeline.errors import NotEnoughError
from pipeline.stats.level import LEVEL

Floats = NDArray[np.float64]

RANDOM_EFFECTS = "mixed model: random intercept and slope for each patient"
ONE_PATIENT = "linear model"

# Bounds of the variances of random effects, in residual variances. The logarithm needs one above zero.
_LEAST, _MOST = 1e-8, 1e6
_STARTS = ((0.5, 0.1), (5.0, 5.0))
_TIGHT = {"ftol": 1e-13, "gtol": 1e-8}

# Largest slope at a maximum: of the log-likelihood, over the logarithm of a variance.
_FLAT = 0.01

# Residuals below this share of the largest value are rounding errors.
_NO_VARIATION = 1e-9


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model.

    :param coefficients: (k,) of the design's columns; ``covariance``: (k, k), of the coefficients.
    :param residual_sd: standard deviation between sessions (of average weight) of one patient.
    :param patient_sd, slope_sd: standard deviation between patients of the level, and of the effect; ``None``
        in a model of one patient.
    :param df: degrees of freedom of Student's t for intervals. ``residual_df``: those of ``residual_sd``.
    """

    coefficients: Floats
    covariance: Floats
    residual_sd: float
    df: int
    residual_df: int
    model: str
    patient_sd: float | None = None
    slope_sd: float | None = None

    def interval(self, *contrast: float) -> Interval:
        """Interval for the contrast (sum of coefficients × ``contrast``), by Student's t."""
        times = np.array(contrast)
        value = float(times @ self.coefficients)
        half = float(student.ppf((1 + LEVEL) / 2, self.df)) * self._error(times)
        return Interval(value, value - half, value + half)

    def standardised(self, *contrast: float) -> Interval:
        """The contrast in residual standard deviations: Hedges' g, with small-sample correction.

        The variance includes that of the difference and that of the estimated standard deviation (Hedges &
        Olkin, *Statistical Methods for Meta-Analysis*, 1985, § 5.E).
        """
        times = np.array(contrast)
        corrected = (1 - 3 / (4 * self.residual_df - 1)) / self.residual_sd
        value = corrected * float(times @ self.coefficients)
        error = np.hypot(corrected * self._error(times), value / np.sqrt(2 * self.residual_df))
        half = float(student.ppf((1 + LEVEL) / 2, self.df) * error)
        return Interval(value, value - half, value + half)

    def _error(self, times: Floats) -> float:
        return float(np.sqrt(times @ self.covariance @ times))


def fit_patient(values: Floats, design: Floats, weights: Floats) -> Fit:
    """Fit weighted least squares to the sessions of one patient.

    :param values: (n,); ``design``: (n, k); ``weights``: (n,), above 0; only ratios matter.
    :raises NotEnoughError: too few sessions, or no variation between sessions.
    """
    df = _check(values, design)
    found = WLS(values, design, _of_mean_one(weights)).fit()
    return Fit(found.params, found.cov_params(), _residual_sd(found.scale, values), df, df, ONE_PATIENT)


def fit_study(
    values: Floats, design: Floats, slope: int, patients: Floats, weights: Floats, covariates: int = 0
) -> Fit:
    """Fit a mixed model to the sessions of several patients, by restricted maximum likelihood.

    Random effects of patients: level, and effect of column ``slope`` (independent, with the column centred).
    Without the random slope, the interval would apply only to these patients and be too narrow for others
    (Barr et al., *J Mem Lang* 2013). Student's t has (number of patients − 1 − ``covariates``) degrees of
    freedom, because the effect varies between patients.

    :param patients: (n,) patient of each session, as a number.
    :param covariates: number of columns of the design that are constant within each patient, without the
        intercept: each takes one of the patients' degrees of freedom.
    :raises NotEnoughError: too few sessions or patients, or no variation between sessions.
    """
    left = _check(values, design)
    df = len(np.unique(patients)) - 1 - covariates
    if df < 1 or left <= df:
        raise NotEnoughError.of("few_patients_or_sessions")
    _check_variation(values, design, patients)
    root = np.sqrt(_of_mean_one(weights))
    spread = design[:, slope] - design[:, slope].mean()
    random = np.column_stack([root, root * spread / spread.std()])
    values_w, design_w = values * root, design * root[:, None]
    rows = np.column_stack([values_w, design_w])
    own_rows = rows_by_size(patients)
    variances = _most_likely(Likelihood.of(rows, random, own_rows))
    independent = _whitened(rows, random, own_rows, variances)
    found = OLS(independent[:, 0], independent[:, 1:]).fit()
    residual_sd = _residual_sd(found.scale, values)
    # a variance at the lower bound is zero
    patient_sd, slope_sd = (
        residual_sd * float(np.sqrt(variance)) if variance > 2 * _LEAST else 0.0 for variance in variances
    )
    return Fit(
        coefficients=found.params,
        covariance=found.cov_params(),
        residual_sd=residual_sd,
        df=df,
        residual_df=left - df,
        model=RANDOM_EFFECTS,
        patient_sd=patient_sd,
        slope_sd=slope_sd / float(spread.std()),
    )


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Restricted likelihood of the variances, from sums of products within each patient.

    :param random: (p, 2, 2) of the random effects' design with itself. ``mixed``: (p, 2, 1 + k) of it with
        value and design. ``fixed``: (1 + k, 1 + k) of value and design with themselves, of all patients.
    :param left: sessions less columns of the design.
    """

    random: Floats
    mixed: Floats
    fixed: Floats
    left: int

    @classmethod
    def of(cls, rows: Floats, random: Floats, own_rows: Sequence[NDArray[np.intp]]) -> "Likelihood":
        """:param rows: (n, 1 + k) value and design. ``random``: (n, 2). ``own_rows``: by size."""
        turned = [random[own].transpose(0, 2, 1) for own in own_rows]
        return cls(
            random=np.concatenate([one @ random[own] for one, own in zip(turned, own_rows, strict=True)]),
            mixed=np.concatenate([one @ rows[own] for one, own in zip(turned, own_rows, strict=True)]),
            fixed=rows.T @ rows,
            left=len(rows) - (rows.shape[1] - 1),
        )

    def lack(self, variances: Floats) -> tuple[float, Floats]:
        """Minus the restricted log-likelihood but for a constant, at its maximum over the other parameters;
        and its gradient, (2,).

        Each patient's covariance is inverted and its determinant taken by the Woodbury identity.

        :param variances: (2,) of the random effects ÷ residual variance. Pinheiro & Bates 2000, § 2.2.
        """
        inner = np.eye(2) + self.random * variances
        solved = np.linalg.solve(inner, np.concatenate([self.random, self.mixed], axis=2))
        random, mixed = solved[:, :, :2], solved[:, :, 2:]
        whitened = self.fixed - np.tensordot(self.mixed * variances[:, None], mixed, axes=((0, 1), (0, 1)))
        of_design = whitened[1:, 1:]
        residuals = np.concatenate([[1.0], -np.linalg.solve(of_design, whitened[1:, 0])])
        residual = float(residuals @ whitened @ residuals)
        if not residual > 0:
            return np.inf, np.zeros(2)  # by rounding
        logs = np.linalg.slogdet(inner)[1].sum() + np.linalg.slogdet(of_design)[1]
        of_effect = mixed.transpose(1, 0, 2)
        changes = of_effect.transpose(0, 2, 1) @ of_effect
        gradient = (
            np.einsum("prr->r", random)
            - np.einsum("ij,rji->r", np.linalg.inv(of_design), changes[:, 1:, 1:])
            - self.left / residual * (residuals @ changes @ residuals)
        )
        return 0.5 * float(logs + self.left * np.log(residual)), 0.5 * gradient


def _most_likely(products: Likelihood) -> Floats:
    """(2,) variances of the random effects ÷ residual variance, with the highest likelihood."""

    def lack_of_logs(logs: Floats) -> tuple[float, Floats]:
        lack, gradient = products.lack(np.exp(logs))
        return lack, gradient * np.exp(logs)

    def search(start: tuple[float, float]) -> OptimizeResult:
        # over logarithms first, as variances may be a thousandth or a hundred times the residual one; there
        # zero is never reached
        near = minimize(lack_of_logs, np.log(start), jac=True, method="L-BFGS-B", bounds=np.log(bounds))
        return minimize(
            products.lack, np.exp(near.x), jac=True, method="L-BFGS-B", bounds=bounds, options=_TIGHT
        )

    bounds = [(_LEAST, _MOST)] * 2
    # twice, because an optimisation can stop early on a plateau
    best = min(map(search, _STARTS), key=lambda one: one.fun if np.isfinite(one.fun) else np.inf)
    if not np.isfinite(best.fun) or (best.x >= 0.999 * _MOST).any():
        raise NotEnoughError.of("not_converged")
    found: Floats = best.x
    slope = found * products.lack(found)[1]  # of the logarithms
    # at the lower bound the likelihood may still fall
    if (np.abs(np.where(found > 2 * _LEAST, slope, np.minimum(slope, 0.0))) > _FLAT).any():
        raise NotEnoughError.of("not_converged")
    return found


def rows_by_size(patients: Floats) -> list[NDArray[np.intp]]:
    """(patients, sessions) each: the rows of the patients with one number of sessions."""
    order = np.argsort(patients, kind="stable")
    _, first, count = np.unique(patients[order], return_index=True, return_counts=True)
    return [order[first[count == size, None] + np.arange(size)] for size in np.unique(count)]


def _whitened(
    rows: Floats, random: Floats, own_rows: Sequence[NDArray[np.intp]], variances: Floats
) -> Floats:
    """(n, k) transformed to independent rows of equal variance (generalised least squares).

    Patient by patient: sessions of different patients are independent, and the full matrix would be large.
    Patients with the same number of sessions are solved together.
    """
    found = np.empty_like(rows)
    for places in own_rows:
        own = random[places]
        covariance = np.eye(places.shape[1]) + (own * variances) @ own.transpose(0, 2, 1)
        found[places] = np.linalg.solve(np.linalg.cholesky(covariance), rows[places])
    return found


def _check(values: Floats, design: Floats) -> int:
    """Residual degrees of freedom."""
    rank = int(np.linalg.matrix_rank(design)) if len(values) else 0
    if rank < design.shape[1]:
        raise NotEnoughError.of("not_apart")
    if len(values) <= rank:
        raise NotEnoughError.of("few_sessions")
    return len(values) - rank


def _check_variation(values: Floats, design: Floats, patients: Floats) -> None:
    """:raises NotEnoughError: no variation is left within patients, so the likelihood has no maximum."""
    rows = np.column_stack([values, design])
    for places in rows_by_size(patients):
        rows[places] -= rows[places].mean(axis=1, keepdims=True)
    left = rows[:, 0] - rows[:, 1:] @ np.linalg.lstsq(rows[:, 1:], rows[:, 0])[0]
    _residual_sd(float(left @ left) / len(left), values)


def _of_mean_one(weights: Floats) -> Floats:
    return weights / weights.mean()


def _residual_sd(variance: float, values: Floats) -> float:
    sd = float(np.sqrt(variance))
    if not sd > _NO_VARIATION * float(np.abs(values).max()):
        raise NotEnoughError.of("no_variation")
    return sd
