"""stats.permutation against scipy, hand-computed results, and data without an effect."""

import os

import numpy as np
import pytest
from made_sessions import SESSION_SD, made
from scipy import stats
from scipy.stats import binom
from statsmodels.stats.power import TTestIndPower

from pipeline.errors import NotEnoughError
from pipeline.stats.permutation import permutation_test

ONES = np.ones(8)
ONE_PATIENT = np.zeros(8)
VALUES = np.array([1.0, 4.0, 2.0, 7.0, 3.0, 9.0, 5.0, 8.0])
OTHER = np.array([0.0, 1, 0, 1, 0, 1, 0, 1])

# So many made studies are looked at. The test's own 400 tell 5 % from 2 % and from 9 %, not from 4 %; with
# EMONEXT_TRIALS=10000 a rate between 4 and 6 % is shown.
TRIALS = int(os.environ.get("EMONEXT_TRIALS", "400"))


@pytest.mark.parametrize("values", [np.array([]), np.array([3.0])])
def test_nothing_or_one_session_is_not_enough(values: np.ndarray) -> None:
    with pytest.raises(NotEnoughError):
        permutation_test(values, values, values, values, draws=99, seed=0)


def test_one_condition_is_not_enough() -> None:
    with pytest.raises(NotEnoughError):
        permutation_test(VALUES, ONES, ONE_PATIENT, ONES, draws=99, seed=0)


def test_conditions_that_differ_only_between_patients_are_not_enough() -> None:
    with pytest.raises(NotEnoughError):
        permutation_test(VALUES, OTHER, OTHER, ONES, draws=99, seed=0)


def test_one_patient_is_as_scipys_exact_test() -> None:
    def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return np.abs(a.mean(axis=axis) - b.mean(axis=axis))

    theirs = stats.permutation_test(
        (VALUES[OTHER == 0], VALUES[OTHER == 1]),
        difference,
        vectorized=True,
        n_resamples=np.inf,
        alternative="greater",
    )
    ours = permutation_test(VALUES, OTHER, ONE_PATIENT, ONES, draws=9999, seed=0)
    assert ours.p == pytest.approx(theirs.pvalue)
    assert (ours.permutations, ours.exact) == (70, True)


def test_two_patients_by_hand() -> None:
    """Differences of 1 and 3 within patients, whose levels are far apart: 2 × 2 arrangements.

    Mean differences are (±1 ± 3) / 2, of which +2 and −2 are as far out as the observed one.
    """
    values, patients = np.array([10.0, 11, 90, 93]), np.array([0.0, 0, 1, 1])
    found = permutation_test(values, np.array([0.0, 1, 0, 1]), patients, np.ones(4), draws=99, seed=0)
    assert (found.p, found.permutations, found.exact) == (0.5, 4, True)


def test_pairs_are_as_scipys_test_of_signs() -> None:
    """One session of each condition: what is permuted are the signs of the differences."""
    random = np.random.default_rng(0)
    before, after = random.normal(0, 1, 9), random.normal(0.8, 1, 9)
    theirs = stats.permutation_test(
        (after, before),
        lambda a, b, axis: np.abs((a - b).mean(axis=axis)),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative="greater",
    )
    ours = permutation_test(
        np.concatenate([before, after]),
        np.repeat([0.0, 1.0], 9),
        np.tile(np.arange(9.0), 2),
        np.ones(18),
        draws=9999,
        seed=0,
    )
    assert ours.exact
    assert ours.p == pytest.approx(theirs.pvalue)


def test_many_arrangements_are_drawn_and_the_observed_one_counts() -> None:
    study = made(np.random.default_rng(0), effect=100)
    found = permutation_test(study.values, study.other, study.patients, study.weights, draws=199, seed=0)
    assert (found.p, found.permutations, found.exact) == (pytest.approx(1 / 200), 199, False)


def test_drawing_comes_near_to_going_through_all() -> None:
    study = made(np.random.default_rng(3), patients=3, sessions=4, effect=4)
    given = study.values, study.other, study.patients, study.weights
    exact, drawn = (permutation_test(*given, draws=draws, seed=1) for draws in (216, 215))
    assert (exact.exact, drawn.exact) == (True, False)
    assert exact.permutations == 6**3
    many = permutation_test(
        np.tile(study.values, 1), study.other, study.patients, study.weights, draws=215, seed=2
    )
    assert exact.p == pytest.approx((drawn.p + many.p) / 2, abs=0.07)


def test_many_patients_of_whom_nothing_can_be_permuted_change_no_p() -> None:
    alone = np.arange(100.0)
    found = permutation_test(
        np.concatenate([VALUES, alone]),
        np.concatenate([OTHER, np.ones(100)]),
        np.concatenate([ONE_PATIENT, 1 + alone]),
        np.ones(108),
        draws=9999,
        seed=0,
    )
    assert found == permutation_test(VALUES, OTHER, ONE_PATIENT, ONES, draws=9999, seed=0)


def test_long_series_are_shuffled_and_come_near_to_all_orders() -> None:
    """Fourteen sessions have 3,432 orders, too many to list for each draw."""
    random = np.random.default_rng(0)
    other, weights = np.tile([0.0, 1.0], 7), random.uniform(0.5, 1.5, 14)
    values = random.normal(0, 1, 14) + 0.5 * other
    every = permutation_test(values, other, np.zeros(14), weights, draws=9999, seed=0)
    drawn = permutation_test(values, other, np.zeros(14), weights, draws=3400, seed=0)
    assert (every.exact, drawn.exact) == (True, False)
    assert 0.02 < every.p < 0.5
    assert drawn.p == pytest.approx(every.p, abs=4 * np.sqrt(every.p * (1 - every.p) / 3400))


def test_times_are_dealt_out_as_conditions_are() -> None:
    """Of 4 different times there are 24 orders; rising and falling strictly are the two furthest out."""
    week = np.array([0.0, 1, 2, 3])
    found = permutation_test(week * 2, week, np.zeros(4), np.ones(4), draws=99, seed=0)
    assert (found.p, found.permutations, found.exact) == (pytest.approx(2 / 24), 24, True)


def test_all_values_alike_are_never_far_out() -> None:
    assert permutation_test(ONES, OTHER, ONE_PATIENT, ONES, draws=99, seed=0).p == 1


def rejected(trials: int, **of: object) -> int:
    random = np.random.default_rng(20260302)
    count = 0
    for seed in range(trials):
        study = made(random, **of)
        test = permutation_test(
            study.values, study.other, study.patients, study.weights, draws=999, seed=seed
        )
        count += test.p <= 0.05
    return count


@pytest.mark.parametrize("skewed", [False, True])
def test_where_nothing_differs_it_says_so_in_nineteen_of_twenty_studies(skewed: bool) -> None:
    low, high = binom.interval(0.998, TRIALS, 0.05)
    found = rejected(TRIALS, skewed=skewed)
    assert low <= found <= high
    if TRIALS >= 5000:
        assert 0.04 <= found / TRIALS <= 0.06


def test_what_differs_is_found_with_the_power_that_is_stated() -> None:
    """The effect that a t-test of 48 and 48 sessions finds in 80 of 100 studies."""
    effect = TTestIndPower().solve_power(nobs1=48, power=0.8, alpha=0.05)
    low, high = binom.interval(0.998, TRIALS, 0.8)
    assert low <= rejected(TRIALS, effect=effect * SESSION_SD, alike=True) <= high
