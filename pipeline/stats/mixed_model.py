"""Linear models of sessions: of one patient, and of a study whose patients differ.

A session counts by its weight: its residual variance is σ² / weight. statsmodels' mixed model knows no
weights, but multiplying all of a row (value, intercept, covariates and the random effects' design) by √weight
gives a model with one variance for all rows and the same parameters: what ``weights`` means to R's lme4
(Pinheiro & Bates, *Mixed-Effects Models in S and S-PLUS*, 2000, § 5.1). Nothing is approximated.

The likelihood (REML) is statsmodels' own, of ``MixedLM``. Only the search is not: that of ``MixedLM.fit`` has
no bounds, and stops without an answer where a variance is near zero, as it often is with few patients.
"""

from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import OptimizeResult, minimize
from scipy.stats import t as student
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

from pipeline.errors import NotEnoughError
from pipeline.stats.level import LEVEL

Floats = NDArray[np.float64]

RANDOM_EFFECTS = "mixed model: random intercept and slope for each patient"
ONE_PATIENT = "linear model"

# Between so many residual ones the variances of random effects are sought. MixedLM can't take zero.
_LEAST, _MOST = 1e-8, 1e6
_STARTS = ((0.5, 0.1), (5.0, 5.0))
_TIGHT = {"ftol": 1e-13, "gtol": 1e-8}

# Values are far apart from rounding: a residual below this part of the largest value is none.
_NO_VARIATION = 1e-9


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Fit:
    """A model fitted.

    :param coefficients: (k,) of the design's columns; ``covariance``: (k, k) of these.
    :param residual_sd: standard deviation of a session of average weight, beside the same patient's others.
    :param patient_sd, slope_sd: by how much patients differ in their level, and in the effect; none in a
        model of one patient.
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
        """Of the sum of coefficients times ``contrast``, by Student's t."""
        times = np.array(contrast)
        value = float(times @ self.coefficients)
        half = float(student.ppf((1 + LEVEL) / 2, self.df)) * self._error(times)
        return Interval(value, value - half, value + half)

    def standardised(self, *contrast: float) -> Interval:
        """The same in residual standard deviations: Hedges' g, corrected for few sessions.

        Its variance is that of the difference and that of the standard deviation, which is an estimate too
        (Hedges & Olkin, *Statistical Methods for Meta-Analysis*, 1985, § 5.E).
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
    """Weighted least squares over the sessions of one patient.

    :param values: (n,); ``design``: (n, k); ``weights``: (n,), above 0; only their ratios count.
    :raises NotEnoughError: fewer sessions than it takes, or sessions that don't differ.
    """
    df = _check(values, design)
    found = sm.WLS(values, design, _of_mean_one(weights)).fit()
    return Fit(found.params, found.cov_params(), _residual_sd(found.scale, values), df, df, ONE_PATIENT)


def fit_study(values: Floats, design: Floats, slope: int, patients: Floats, weights: Floats) -> Fit:
    """A mixed model over the sessions of several patients, by restricted maximum likelihood.

    Patients differ in their level and in the effect of column ``slope`` (independently of each other, the
    column centred). Without the second the interval would be of these patients alone, and too narrow for
    others (Barr et al., *J Mem Lang* 2013). Student's t has as many degrees of freedom as there are patients,
    less one: the effect is told from patient to patient.

    :param patients: (n,) whose session it is, as any numbers.
    :raises NotEnoughError: fewer sessions or patients than it takes, or sessions that don't differ.
    """
    left = _check(values, design)
    df = len(np.unique(patients)) - 1
    if df < 1 or left <= df:
        raise NotEnoughError("too few patients or sessions")
    _check_variation(values, design, patients)
    root = np.sqrt(_of_mean_one(weights))
    spread = design[:, slope] - design[:, slope].mean()
    random = np.column_stack([root, root * spread / spread.std()])
    values_w, design_w = values * root, design * root[:, None]
    model = MixedLM(values_w, design_w, patients, exog_re=random)
    variances = _most_likely(model)
    rows = np.column_stack([values_w, design_w])
    independent = np.concatenate(
        [_whitened(rows[own], random[own], variances) for own in _rows_of_each(patients)]
    )
    found = sm.OLS(independent[:, 0], independent[:, 1:]).fit()
    residual_sd = _residual_sd(found.scale, values)
    # at the lower bound it is zero
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


def _most_likely(model: MixedLM) -> Floats:
    """(2,) variances of the random effects, by the residual one."""

    def lack(variances: Floats) -> float:
        parameters = MixedLMParams.from_components(cov_re=np.diag(variances))
        return -float(model.loglike(parameters, profile_fe=True))

    def search(start: tuple[float, float]) -> OptimizeResult:
        # over logarithms first, as variances may be a thousandth or a hundred times the residual one; there
        # zero is never reached
        near = minimize(
            lambda logs: lack(np.exp(logs)), np.log(start), method="L-BFGS-B", bounds=np.log(bounds)
        )
        return minimize(lack, np.exp(near.x), method="L-BFGS-B", bounds=bounds, options=_TIGHT)

    bounds = [(_LEAST, _MOST)] * 2
    # what MixedLM.fit sets before its own search
    model.reml, model.cov_pen, model.fe_pen = True, None, None
    # twice: a search can stop on a ledge and call it the top
    best = min(map(search, _STARTS), key=lambda one: one.fun if np.isfinite(one.fun) else np.inf)
    if not np.isfinite(best.fun) or (best.x >= 0.999 * _MOST).any():
        raise NotEnoughError("the model did not converge")
    found: Floats = best.x
    return found


def _rows_of_each(patients: Floats) -> list[NDArray[np.intp]]:
    order = np.argsort(patients, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(patients[order])) + 1)


def _whitened(rows: Floats, random: Floats, variances: Floats) -> Floats:
    """(n, k) of one patient, so that its rows are independent and of one variance: generalised least squares.

    Patient by patient: the sessions of two have nothing in common, and the matrix of all would be large.
    """
    covariance = np.eye(len(rows)) + (random * variances) @ random.T
    found: Floats = solve_triangular(np.linalg.cholesky(covariance), rows, lower=True)
    return found


def _check(values: Floats, design: Floats) -> int:
    """Degrees of freedom that are left."""
    rank = int(np.linalg.matrix_rank(design)) if len(values) else 0
    if rank < design.shape[1]:
        raise NotEnoughError("the sessions do not tell the effects apart")
    if len(values) <= rank:
        raise NotEnoughError("too few sessions")
    return len(values) - rank


def _check_variation(values: Floats, design: Floats, patients: Floats) -> None:
    """:raises NotEnoughError: within patients the design explains all; the likelihood has no maximum then."""
    rows = np.column_stack([values, design])
    for own in _rows_of_each(patients):
        rows[own] -= rows[own].mean(axis=0)
    left = rows[:, 0] - rows[:, 1:] @ np.linalg.lstsq(rows[:, 1:], rows[:, 0])[0]
    _residual_sd(float(left @ left) / len(left), values)


def _of_mean_one(weights: Floats) -> Floats:
    return weights / weights.mean()


def _residual_sd(variance: float, values: Floats) -> float:
    sd = float(np.sqrt(variance))
    if not sd > _NO_VARIATION * float(np.abs(values).max()):
        raise NotEnoughError("no variation between sessions")
    return sd
