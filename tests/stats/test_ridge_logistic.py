"""stats.ridge_logistic: beside statsmodels and scikit-learn, and by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from statsmodels.discrete.discrete_model import Logit

from pipeline.stats.ridge_logistic import effective_share, fit_chances, standardised_differences

Floats = NDArray[np.float64]


@pytest.fixture
def sample() -> tuple[Floats, NDArray[np.bool_]]:
    random = np.random.default_rng(0)
    covariates = random.normal(0, 1, (400, 3))
    return covariates, random.random(400) < 1 / (1 + np.exp(-0.5 - covariates @ [1.0, -0.5, 0.0]))


def test_nothing_that_happened_and_all_that_happened() -> None:
    covariates, weights = np.zeros((3, 1)), np.ones(3)
    assert fit_chances(covariates, np.zeros(3, bool), weights, 1.0).tolist() == [0, 0, 0]
    assert fit_chances(covariates, np.ones(3, bool), weights, 1.0).tolist() == [1, 1, 1]


def test_without_covariates_the_chance_is_the_share() -> None:
    happened = np.array([True, False, True, True])
    found = fit_chances(np.empty((4, 0)), happened, np.array([1.0, 2.0, 1.0, 1.0]), 1.0)
    assert found == pytest.approx([0.6] * 4)


def test_without_penalty_as_statsmodels(sample: tuple[Floats, NDArray[np.bool_]]) -> None:
    covariates, happened = sample
    design = np.column_stack([np.ones(400), covariates])
    theirs = Logit(happened.astype(float), design).fit(disp=0).predict()
    assert fit_chances(covariates, happened, np.ones(400), 0.0) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_with_penalty_and_weights_as_scikit_learn(
    sample: tuple[Floats, NDArray[np.bool_]], penalty: float
) -> None:
    covariates, happened = sample
    weights = np.random.default_rng(1).uniform(0.1, 2, 400)
    model = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=1000)
    theirs = model.fit(covariates, happened, sample_weight=weights).predict_proba(covariates)[:, 1]
    assert fit_chances(covariates, happened, weights, penalty) == pytest.approx(theirs, abs=1e-5)


def test_separated_samples_have_chances_too() -> None:
    covariates = np.linspace(-1.7, 1.7, 50)[:, None]
    found = fit_chances(covariates, covariates[:, 0] > 0, np.ones(50), 1.0)
    assert ((found > 0) & (found < 1)).all()
    assert (np.diff(found) > 0).all()


def test_differences_by_hand() -> None:
    """All: mean 2.5, sd √1.25; the part's mean is 1.5, and with weights 1.25."""
    covariates = np.array([[1.0], [2.0], [3.0], [4.0]])
    part = np.array([True, True, False, False])
    plain = standardised_differences(covariates, part, np.ones(4), np.ones(2))
    weighted = standardised_differences(covariates, part, np.ones(4), np.array([3.0, 1.0]))
    assert plain == pytest.approx([-1 / np.sqrt(1.25)])
    assert weighted == pytest.approx([-1.25 / np.sqrt(1.25)])


def test_true_chances_as_weights_balance() -> None:
    random = np.random.default_rng(2)
    covariates = random.normal(0, 1, (100_000, 1))
    chance = 1 / (1 + np.exp(-covariates[:, 0]))
    part = random.random(100_000) < chance
    ones = np.ones(100_000)
    before = standardised_differences(covariates, part, ones, ones[part])
    after = standardised_differences(covariates, part, ones, 1 / chance[part])
    assert before > 0.3
    assert after == pytest.approx([0], abs=0.03)


def test_effective_share_by_hand() -> None:
    assert effective_share(np.ones(7)) == pytest.approx(1)
    assert effective_share(np.array([1.0, 0.0, 0.0, 0.0])) == pytest.approx(0.25)
    assert effective_share(np.array([1.0, 3.0])) == pytest.approx(0.8)
