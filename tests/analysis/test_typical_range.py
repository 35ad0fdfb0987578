"""The usual range of a patient's shares."""

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.analysis.typical_range import MIN_OTHERS, is_unusual, usual_range

OTHERS = [0.05, 0.06, 0.08, 0.10, 0.12, 0.07, 0.09]


@pytest.mark.parametrize("count", range(MIN_OTHERS))
def test_of_few_sessions_nobody_knows_what_is_usual(count: int) -> None:
    assert usual_range(OTHERS[:count]) is None
    assert not is_unusual(1.0, OTHERS[:count])


def test_the_range_is_a_prediction_interval() -> None:
    """Against scipy's own t distribution, with the spread and the middle that a prediction has."""
    angles = np.arcsin(np.sqrt(OTHERS))
    expected = stats.t(df=6, loc=angles.mean(), scale=angles.std(ddof=1) * np.sqrt(8 / 7)).interval(
        1 - 0.05 / 3
    )
    assert usual_range(OTHERS) == pytest.approx(np.sin(expected) ** 2)


def test_the_range_stays_within_shares() -> None:
    low, high = usual_range([0.0, 0.0, 0.9, 0.0, 1.0]) or (math.nan, math.nan)
    assert (low, high) == (0, 1)
    low, high = usual_range([1.0, 1.0 + 1e-15] * 3) or (math.nan, math.nan)
    assert low < high == 1


def test_sessions_that_are_all_alike_say_little_of_the_next() -> None:
    low, high = usual_range([0.0] * 5) or (math.nan, math.nan)
    assert (low, high) == (0, pytest.approx(0.016, abs=0.003))
    assert is_unusual(0.2, [0.0] * 5)


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.08, False), (0.16, False), (0.2, True), (0.25, True), (0.03, False), (0.0, True)],
)
def test_unusual_is_outside_the_range_by_more_than_a_trifle(share: float, expected: bool) -> None:
    assert is_unusual(share, OTHERS) is expected


def test_a_sure_but_small_difference_is_not_worth_a_word() -> None:
    others = [0.5] * 10_000
    assert usual_range(others) == pytest.approx((0.43, 0.57), abs=0.01)
    assert not is_unusual(0.57, others)
    assert is_unusual(0.6, others)


def test_one_of_sixty_usual_shares_looks_unusual() -> None:
    """Three are compared in each session: one of twenty; with fewer words for small differences, less."""
    random = np.random.default_rng(1)
    shares = random.beta(8, 24, (2000, 8))
    found = np.mean([is_unusual(row[0], row[1:].tolist()) for row in shares])
    assert 0.004 < found < 0.02
