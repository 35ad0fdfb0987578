"""stats.mixed_model against statsmodels, and published results of R's lme4."""

import os
import warnings
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from made_sessions import Made, made
from scipy.optimize import approx_fprime
from scipy.stats import binom, ttest_rel
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

from pipeline.errors import NotEnoughError
from pipeline.stats.mixed_model import Fit, Likelihood, fit_patient, fit_study, rows_by_size

# With EMONEXT_TRIALS=1000, twenty minutes.
TRIALS = int(os.environ.get("EMONEXT_TRIALS", "0"))

# Yield of dyestuff from six batches (Davies & Goldsmith 1972); and the made data of Box & Tiao (1973), in
# which batches don't differ. Both come with lme4, and are what its authors' book begins with.
DYESTUFF = (
    *(1545, 1440, 1440, 1520, 1580, 1540, 1555, 1490, 1560, 1495, 1595, 1550, 1605, 1510, 1560),
    *(1445, 1440, 1595, 1465, 1545, 1595, 1630, 1515, 1635, 1625, 1520, 1455, 1450, 1480, 1445),
)
DYESTUFF_2 = (
    *(7.298, 3.846, 2.434, 9.566, 7.990, 5.220, 6.556, 0.608, 11.788, -0.892, 0.110, 10.386, 13.434, 5.510),
    *(8.166, 2.212, 4.852, 7.092, 9.288, 4.980, 0.282, 9.014, 4.458, 9.446, 7.198, 1.722, 4.782, 8.106),
    *(0.758, 3.758),
)
BATCHES = np.repeat(np.arange(6.0), 5)
# Within each batch it has nothing to do with the intercept, which is then as without it.
BESIDE = np.tile([-2.0, -1, 0, 1, 2], 6)


def direct(study_values: np.ndarray, design: np.ndarray, patients: np.ndarray, weights: np.ndarray) -> Any:
    """MixedLM as it comes, on rows that were multiplied by hand."""
    root = np.sqrt(weights / weights.mean())
    spread = design[:, 1] - design[:, 1].mean()
    random = np.column_stack([root, root * spread / spread.std()])
    model = MixedLM(study_values * root, design * root[:, None], patients, exog_re=random)
    apart = MixedLMParams.from_components(fe_params=np.ones(2), cov_re=np.eye(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(reml=True, free=apart)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_sessions_are_not_enough(count: int) -> None:
    design = np.column_stack([np.ones(count), np.arange(count)])
    with pytest.raises(NotEnoughError):
        fit_patient(np.arange(count, dtype=float), design, np.ones(count))


def test_one_patient_is_no_study() -> None:
    study = made(np.random.default_rng(0), patients=1)
    with pytest.raises(NotEnoughError, match="patients"):
        fit_study(study.values, study.design, 1, study.patients, study.weights)


def test_one_condition_tells_nothing_apart() -> None:
    study = made(np.random.default_rng(0))
    with pytest.raises(NotEnoughError, match="apart"):
        fit_study(study.values, np.ones((len(study.values), 2)), 1, study.patients, study.weights)


@pytest.mark.parametrize("values", [np.full(8, 3.0), np.tile([0.0, 1.0], 4)])
def test_sessions_that_do_not_differ_but_by_condition_have_no_interval(values: np.ndarray) -> None:
    design = np.column_stack([np.ones(8), np.tile([0.0, 1.0], 4)])
    with pytest.raises(NotEnoughError, match="no variation"):
        fit_patient(values, design, np.ones(8))
    with pytest.raises(NotEnoughError, match="no variation"):
        fit_study(values, design, 1, np.repeat([0.0, 1.0], 4), np.ones(8))


def test_a_patient_is_as_statsmodels_weighted_least_squares() -> None:
    study = made(np.random.default_rng(1), patients=1, sessions=12, effect=8)
    ours = fit_patient(study.values, study.design, study.weights)
    theirs = sm.WLS(study.values, study.design, weights=study.weights).fit()
    low, high = theirs.conf_int()[1]
    found = ours.interval(0, 1)
    assert (found.value, found.low, found.high) == pytest.approx((theirs.params[1], low, high))


def test_equal_weights_are_the_t_test() -> None:
    """Student's by hand: means 2 and 6, each with variance 1 of three."""
    design = np.column_stack([np.ones(6), np.repeat([0.0, 1.0], 3)])
    found = fit_patient(np.array([1.0, 2, 3, 5, 6, 7]), design, np.full(6, 0.4))
    reach = 2.776445 * np.sqrt(2 / 3)
    difference = found.interval(0, 1)
    assert (difference.value, difference.low, difference.high) == pytest.approx((4, 4 - reach, 4 + reach))
    assert found.residual_sd == pytest.approx(1)
    # Hedges' g with J = 1 − 3 / (4 · 4 − 1) = 0.8, and its variance by Hedges & Olkin
    effect = found.standardised(0, 1)
    reach = 2.776445 * np.sqrt(0.8**2 * 2 / 3 + 3.2**2 / 8)
    assert (effect.value, effect.low, effect.high) == pytest.approx((3.2, 3.2 - reach, 3.2 + reach))


def test_a_study_is_as_statsmodels_own_fit_where_that_converges() -> None:
    """It does in two of three of these, and to a variance apart from zero."""
    for seed in (2, 3, 4):
        study = made(np.random.default_rng(seed), effect=5, effect_sd=8)
        theirs = direct(study.values, study.design, study.patients, study.weights)
        assert theirs.converged
        ours = fit_study(study.values, study.design, 1, study.patients, study.weights)
        assert ours.coefficients == pytest.approx(theirs.fe_params, rel=1e-4)
        assert np.sqrt(np.diag(ours.covariance)) == pytest.approx(theirs.bse_fe, rel=1e-3)
        assert ours.residual_sd == pytest.approx(np.sqrt(theirs.scale), rel=1e-3)


def test_patients_with_as_many_sessions_are_taken_together() -> None:
    found = rows_by_size(np.array([7.0, 5, 7, 2, 5, 9, 7]))
    assert [rows.tolist() for rows in found] == [[[3], [5]], [[1, 4]], [[0, 2, 6]]]


@pytest.mark.parametrize("others", [0, 3])
def test_the_likelihood_is_that_of_statsmodels(others: int) -> None:
    """Also with patients who have one session, and with further columns of the design."""
    study = made(np.random.default_rng(5), patients=9, effect_sd=5)
    random = np.random.default_rng(6)
    kept = random.permutation([0, *range(10, 72)])
    patients = study.patients[kept]
    assert np.unique(patients, return_counts=True)[1].tolist() == [1, 6, *[8] * 7]
    root = np.sqrt(study.weights[kept])
    effects = np.column_stack([root, root * (study.other[kept] - 0.5)])
    more = random.normal(size=(len(kept), others))
    design = np.column_stack([study.design[kept], more]) * root[:, None]
    theirs = MixedLM(study.values[kept] * root, design, patients, exog_re=effects)
    theirs.reml, theirs.cov_pen, theirs.fe_pen = True, None, None
    rows = np.column_stack([study.values[kept] * root, design])
    ours = Likelihood.of(rows, effects, rows_by_size(patients))
    points = np.exp(random.uniform(np.log(1e-8), np.log(1e6), (50, 2)))
    expected = np.array(
        [theirs.loglike(MixedLMParams.from_components(cov_re=np.diag(point))) for point in points]
    )
    lacks = np.array([ours.lack(point)[0] for point in points])
    # but for a constant
    assert lacks - lacks[0] == pytest.approx(expected[0] - expected, rel=1e-8, abs=1e-8)
    for point in points:
        slope = approx_fprime(np.log(point), lambda logs: ours.lack(np.exp(logs))[0], 1e-6)
        assert point * ours.lack(point)[1] == pytest.approx(slope, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("effect_sd", [8.0, 24.0])
def test_no_other_variances_are_likelier(effect_sd: float) -> None:
    """By a grid, and by the restricted likelihood written out."""
    for seed in range(8):
        study = made(np.random.default_rng(seed), effect=5, effect_sd=effect_sd)
        fit = fit_study(study.values, study.design, 1, study.patients, study.weights)
        assert fit.patient_sd is not None
        assert fit.slope_sd is not None
        found = np.array([fit.patient_sd, fit.slope_sd * study.other.std()]) / fit.residual_sd
        steps = [np.array([a, b]) for a in (0, 0.1, 0.5, 0.8, 1, 1.2, 2, 4) for b in (0, 0.1, 0.4, 1, 2, 4)]
        near = [np.clip(found + step, 0, None) for step in (-0.02, 0.02, (0.02, -0.02), (-0.02, 0.02))]
        assert likelihood(study, found) >= max(likelihood(study, sds) for sds in (*steps, *near)) - 1e-5


def likelihood(study: Made, sds: np.ndarray) -> float:
    """REML, up to a constant (Patterson & Thompson 1971)."""
    weights = study.weights / study.weights.mean()
    spread = (study.other - study.other.mean()) / study.other.std()
    same = study.patients[:, None] == study.patients
    covariance = np.diag(1 / weights) + same * (sds[0] ** 2 + sds[1] ** 2 * np.outer(spread, spread))
    precision = np.linalg.inv(covariance)
    information = study.design.T @ precision @ study.design
    left = study.values - study.design @ np.linalg.solve(
        information, study.design.T @ precision @ study.values
    )
    free = len(left) - 2
    parts = np.linalg.slogdet(covariance)[1], np.linalg.slogdet(information)[1]
    return -0.5 * (free * np.log(left @ precision @ left) + sum(parts))


def beside_something(values: tuple[float, ...]) -> Fit:
    design = np.column_stack([np.ones(30), BESIDE])
    return fit_study(np.array(values, float), design, 1, BATCHES, np.ones(30))


def test_batches_of_dyestuff_are_as_lme4_has_them() -> None:
    """lme4: intercept 1527.50, its standard error 19.38, batches 42.00, residual 49.51.

    The first two are of the batches' means alone; the covariate takes its part of the residual.
    """
    found = beside_something(DYESTUFF)
    assert found.coefficients[0] == pytest.approx(1527.50, abs=0.005)
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(19.38, abs=0.01)
    assert found.patient_sd == pytest.approx(42.0, rel=0.02)
    assert found.residual_sd == pytest.approx(49.51, rel=0.05)


def test_batches_that_do_not_differ_have_no_variance() -> None:
    """lme4: intercept 5.6656, batches 0, residual 3.716."""
    found = beside_something(DYESTUFF_2)
    assert found.coefficients[0] == pytest.approx(5.6656, abs=0.0005)
    assert found.patient_sd == 0
    assert found.residual_sd == pytest.approx(3.716, rel=0.05)


def test_patients_who_differ_are_as_the_paired_t_test_of_their_means() -> None:
    """With as many sessions of each and equal weights the two are the same."""
    study = made(np.random.default_rng(4), effect=5, effect_sd=15, alike=True)
    means = [
        [study.values[(study.patients == patient) & (study.other == side)].mean() for patient in range(12)]
        for side in (0, 1)
    ]
    theirs = ttest_rel(means[1], means[0]).confidence_interval()
    found = fit_study(study.values, study.design, 1, study.patients, study.weights)
    assert found.slope_sd > 0
    ours = found.interval(0, 1)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-3)


def test_patients_who_do_not_differ_in_the_effect_are_as_a_model_with_a_level_for_each() -> None:
    study = made(np.random.default_rng(1), effect=5, alike=True)
    found = fit_study(study.values, study.design, 1, study.patients, study.weights)
    assert found.slope_sd == 0
    levels = (study.patients[:, None] == np.arange(12)).astype(float)
    theirs = sm.OLS(study.values, np.column_stack([study.other, levels])).fit()
    assert found.coefficients[1] == pytest.approx(theirs.params[0])
    assert found.residual_sd == pytest.approx(np.sqrt(theirs.scale), rel=0.02)


def test_only_ratios_of_weights_count() -> None:
    study = made(np.random.default_rng(2), effect=5, effect_sd=5)
    one, other = (
        fit_study(study.values, study.design, 1, study.patients, weights).interval(0, 1)
        for weights in (study.weights, 60 * study.weights)
    )
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-4)


def test_twice_the_weight_is_as_good_as_two_sessions_of_the_same_value() -> None:
    """Exactly so for the estimates of a single patient."""
    values, other = np.array([1.0, 3, 4, 8]), np.array([0.0, 0, 1, 1])
    weighted = fit_patient(values, np.column_stack([np.ones(4), other]), np.array([1.0, 2, 1, 1]))
    twice = fit_patient(
        values[[0, 1, 1, 2, 3]], np.column_stack([np.ones(5), other[[0, 1, 1, 2, 3]]]), np.ones(5)
    )
    assert weighted.coefficients == pytest.approx(twice.coefficients)


@pytest.mark.skipif(not TRIALS, reason="takes minutes; EMONEXT_TRIALS=1000 does it")
@pytest.mark.parametrize("effect_sd", [0.0, 8.0])
def test_intervals_hold_the_truth_in_nineteen_of_twenty_studies(effect_sd: float) -> None:
    """Where patients differ; where they don't, more often: that they don't is not known."""
    random = np.random.default_rng(20260302)
    held = 0
    for _ in range(TRIALS):
        study = made(random, effect=5, effect_sd=effect_sd)
        found = fit_study(study.values, study.design, 1, study.patients, study.weights).interval(0, 1)
        held += found.low <= 5 <= found.high
    low, high = binom.interval(0.998, TRIALS, 0.95)
    assert held >= low
    assert held <= high or not effect_sd
