"""Logistic regression with a ridge penalty, for weights by the chance to be read; and checks of weights."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def fit_chances(covariates: Floats, happened: Bools, weights: Floats, penalty: float) -> Floats:
    """(n,) fitted chances of a logistic regression with intercept.

    Maximises Σ weights · log-likelihood − penalty / 2 · Σ slopes² (Hoerl & Kennard, *Technometrics* 1970; le
    Cessie & van Houwelingen, *J R Stat Soc C* 1992). The intercept has no penalty, so that the weighted mean
    of the chances is the weighted share that happened.

    :param covariates: (n, k), standardised. ``happened``, ``weights``: (n,); weights 0 or more.
    """
    if happened.all() or not happened.any():
        return np.full(len(happened), float(happened.any()))
    design = np.column_stack([np.ones(len(happened)), covariates])
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0
    whole = weights.sum()
    toward = np.where(happened, 1.0, -1.0)

    def lack(slopes: Floats) -> tuple[float, Floats]:
        score = design @ slopes
        loss = ridge @ slopes**2 / 2 - weights @ log_expit(toward * score)
        gradient = ridge * slopes - design.T @ (weights * (happened - expit(score)))
        return float(loss) / whole, gradient / whole

    def curvature(slopes: Floats) -> Floats:
        chance = expit(design @ slopes)
        found: Floats = (design.T * (weights * chance * (1 - chance))) @ design + np.diag(ridge)
        return found / whole

    share = float(weights @ happened / whole)
    start = np.zeros(design.shape[1])
    start[0] = np.log(share / (1 - share))
    found = minimize(lack, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-9})
    return np.asarray(expit(design @ found.x))


def standardised_differences(
    covariates: Floats, part: Bools, weights: Floats, part_weights: Floats
) -> Floats:
    """(k,) mean of a part less the mean of all, in standard deviations of all (Austin, *Stat Med* 2009).

    :param covariates: (n, k), none of them constant. ``part``: (n,), which rows are of the part.
    :param weights: (n,) of all rows. ``part_weights``: (m,) of the rows of the part, in order.
    """
    mean = weights @ covariates / weights.sum()
    sd = np.sqrt(weights @ (covariates - mean) ** 2 / weights.sum())
    return np.asarray((part_weights @ covariates[part] / part_weights.sum() - mean) / sd)


def effective_share(weights: Floats) -> float:
    """Effective number of observations of a weighted mean ÷ their number (Kish, *Survey Sampling*, 1965)."""
    return float(weights.sum() ** 2 / (weights @ weights) / len(weights))
