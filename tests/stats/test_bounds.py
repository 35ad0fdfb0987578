"""stats.bounds: closed forms, constructed worlds, and coverage of intervals in simulations."""

from dataclasses import replace

import numpy as np
import pytest
from made_sessions import Made, made
from scipy.optimize import minimize
from scipy.stats import norm, ttest_1samp

from pipeline.stats.bounds import Floats, PartlySeen, imbens_manski, session_coefficients
from pipeline.stats.mixed_model import fit_study


def coefficients(study: Made) -> Floats:
    fit = fit_study(study.values, study.design, 1, study.patients, study.weights)
    return session_coefficients(fit, study.design, 1, study.patients, study.weights)


def partly(study: Made, unseen: Floats) -> PartlySeen:
    seen = np.clip(study.values, 0, 100)
    of = coefficients(replace(study, values=seen))
    return PartlySeen(seen, unseen, study.other == 1, of, study.patients)


@pytest.fixture
def study() -> Made:
    """Twelve patients, eight sessions each; 8 points more under the condition."""
    return made(np.random.default_rng(0), effect=8, effect_sd=3)


@pytest.fixture
def parts(study: Made) -> PartlySeen:
    return partly(study, np.random.default_rng(1).uniform(0.1, 0.5, len(study.values)))


# --- coefficients


@pytest.mark.parametrize("seed", range(4))
def test_coefficients_give_the_means_of_the_model(seed: int) -> None:
    study = made(np.random.default_rng(seed), effect=8, effect_sd=3)
    fit = fit_study(study.values, study.design, 1, study.patients, study.weights)
    # the optimiser's random effects, from which the coefficients are computed again, are rounded
    assert coefficients(study) @ study.values == pytest.approx(fit.coefficients, abs=1e-6)


def test_coefficients_of_equal_sessions_are_the_means_of_patients() -> None:
    """Balanced, all weights equal: a difference of plain means."""
    study = made(np.random.default_rng(0), effect=8, alike=True)
    assert coefficients(study)[1] == pytest.approx(np.where(study.other == 1, 1, -1) / 48)


# --- bounds


def test_nothing_unseen_is_one_number(study: Made) -> None:
    parts = partly(study, np.zeros(len(study.values)))
    difference = parts.difference(parts.seen)
    assert parts.bounds() == pytest.approx((difference, difference))
    assert parts.tipping() is None
    assert parts.tipping_alike() is None


def test_nothing_seen_is_any_difference(study: Made) -> None:
    assert partly(study, np.ones(len(study.values))).bounds() == pytest.approx((-100, 100))


def test_bounds_of_equal_sessions_by_hand() -> None:
    """Of a quarter unseen: seen times three quarters, and the quarter at most to either side."""
    study = made(np.random.default_rng(0), effect=8, alike=True)
    parts = partly(study, np.full(96, 0.25))
    difference = parts.seen[study.other == 1].mean() - parts.seen[study.other == 0].mean()
    assert parts.bounds() == pytest.approx((0.75 * difference - 25, 0.75 * difference + 25))
    reference = parts.seen[study.other == 0].mean()
    assert parts.means(0)[0] == pytest.approx(0.75 * reference)
    assert parts.means(100)[0] == pytest.approx(0.75 * reference + 25)


def test_no_unseen_time_leads_beyond_the_bounds(parts: PartlySeen) -> None:
    random = np.random.default_rng(2)
    low, high = parts.bounds()
    found = [parts.difference(random.choice([0.0, 100.0], len(parts.seen))) for _ in range(500)]
    assert low <= min(found)
    assert max(found) <= high
    against = minimize(parts.difference, np.full(96, 50.0), bounds=[(0, 100)] * 96)
    assert against.fun == pytest.approx(low, abs=1e-3)


# --- intervals of bounds


def test_bounds_that_are_one_number_have_a_two_sided_interval() -> None:
    assert imbens_manski(3.0, 3.0, 1.0, 10**7) == pytest.approx(norm.ppf(0.975), abs=1e-4)


def test_bounds_far_apart_have_a_one_sided_interval() -> None:
    assert imbens_manski(-50.0, 50.0, 1.0, 10**7) == pytest.approx(norm.ppf(0.95), abs=1e-4)


@pytest.mark.parametrize("apart", [0.2, 1.0, 2.5])
def test_the_number_of_standard_errors_solves_imbens_and_manskis_equation(apart: float) -> None:
    reach = imbens_manski(0.0, apart, 1.0, 10**7)
    assert norm.cdf(reach + apart) - norm.cdf(-reach) == pytest.approx(0.95, abs=1e-6)


def test_without_variation_the_interval_is_the_bounds() -> None:
    assert imbens_manski(1.0, 2.0, 0.0, 5) == 0.0


def test_an_interval_of_equal_sessions_is_students() -> None:
    """Nothing unseen, balanced: the t-test of the patients' differences."""
    study = made(np.random.default_rng(0), effect=8, effect_sd=5, alike=True)
    parts = partly(study, np.zeros(96))
    own = [
        parts.seen[(study.patients == p) & (study.other == 1)].mean()
        - parts.seen[(study.patients == p) & (study.other == 0)].mean()
        for p in range(12)
    ]
    theirs = ttest_1samp(own, 0).confidence_interval(0.95)
    assert parts.interval() == pytest.approx((theirs.low, theirs.high))


@pytest.mark.simulation
@pytest.mark.parametrize("unseen", [0.0, 0.02, 0.3])
def test_the_interval_covers_the_true_difference_at_an_end_of_the_bounds(unseen: float) -> None:
    """In the worst world, the true difference is the least that the bounds allow."""
    covered = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        study = made(random, effect=8, effect_sd=3, alike=True)
        of = np.vstack([np.zeros(96), np.where(study.other == 1, 1, -1) / 48])
        parts = PartlySeen(study.values, np.full(96, unseen), study.other == 1, of, study.patients)
        low, high = parts.interval()
        true = (1 - unseen) * 8 - 100 * unseen
        covered += low <= true <= high
    assert 0.92 <= covered / 300 <= 0.98


# --- tipping points


def test_in_the_world_of_the_tipping_point_there_is_no_difference(parts: PartlySeen) -> None:
    tipping = parts.tipping()
    assert tipping is not None
    sign = np.where(parts.other, -1, 1)
    world = np.clip(parts.seen + tipping.shift * sign, 0, 100)
    assert parts.difference(world) == pytest.approx(0, abs=1e-6)
    # nearer to the seen time, there is one
    nearer = np.clip(parts.seen + 0.9 * tipping.shift * sign, 0, 100)
    assert parts.difference(nearer) > 0.1
    assert tipping.other is not None
    assert tipping.reference is not None
    assert tipping.other < tipping.reference


def test_a_negative_difference_tips_to_the_other_side(parts: PartlySeen) -> None:
    turned = replace(parts, seen=100 - parts.seen)
    one, other = parts.tipping(), turned.tipping()
    assert one is not None
    assert other is not None
    assert other.shift == pytest.approx(one.shift)
    assert other.reference == pytest.approx(100 - (one.reference or 0))


def test_the_tipping_point_of_equal_sessions_by_hand() -> None:
    """A fifth unseen, 40 and 50 %: (0.8 · 10) + 0.2 · (10 − 2 · shift) = 0, so 25 points to each side."""
    other = np.tile([0.0, 1.0], 12)
    seen = np.where(other == 1, 50.0, 40.0)
    of = np.vstack([np.where(other == 0, 1, 0) / 12, np.where(other == 1, 1, -1) / 12])
    parts = PartlySeen(seen, np.full(24, 0.2), other == 1, of, np.repeat(np.arange(6.0), 4))
    tipping = parts.tipping()
    assert tipping is not None
    assert (tipping.shift, tipping.reference, tipping.other) == pytest.approx((25, 65, 25))
    assert parts.tipping_alike() is None, "as much was seen under both"


def test_a_difference_that_the_bounds_keep_from_zero_has_no_tipping_point(parts: PartlySeen) -> None:
    little = replace(parts, unseen=np.full(96, 0.01))
    assert little.bounds()[0] > 0
    assert little.tipping() is None


def test_what_more_was_seen_of_may_explain_a_difference_alone() -> None:
    """60 % unseen against none, 30 and 20 %: 0.4 · 30 + 0.6 · u = 20 at u = 13.3, so 16.7 points less."""
    other = np.tile([0.0, 1.0], 12)
    of = np.vstack([np.where(other == 0, 1, 0) / 12, np.where(other == 1, 1, -1) / 12])
    seen, unseen = np.where(other == 1, 30.0, 20.0), np.where(other == 1, 0.6, 0.0)
    parts = PartlySeen(seen, unseen, other == 1, of, np.repeat(np.arange(6.0), 4))
    alike, tipping = parts.tipping_alike(), parts.tipping()
    assert alike is not None
    assert alike.shift == pytest.approx(-50 / 3)
    assert tipping is not None
    assert (tipping.reference, tipping.other) == (None, pytest.approx(40 / 3))


def test_no_difference_needs_no_tipping() -> None:
    other = np.tile([0.0, 1.0], 12)
    of = np.vstack([np.where(other == 0, 1, 0) / 12, np.where(other == 1, 1, -1) / 12])
    parts = PartlySeen(np.full(24, 30.0), np.full(24, 0.2), other == 1, of, np.repeat(np.arange(6.0), 4))
    assert parts.tipping() is None
