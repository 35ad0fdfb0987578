"""stats.block_bootstrap: intervals have the nominal coverage."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from pipeline.stats.block_bootstrap import (
    BLOCKS,
    effective_count,
    mean_interval,
    rate_interval,
    share_interval,
    standard_error,
)

FPS = 5


def test_the_closed_form_is_what_resampling_blocks_gives() -> None:
    """The circular block bootstrap, drawn 20,000 times."""
    random = np.random.default_rng(0)
    values = np.repeat(random.normal(size=50), 10)
    weights = random.uniform(0.1, 0.3, 500)
    length = len(values) // BLOCKS
    starts = random.integers(0, 500, (20_000, BLOCKS))
    taken = (starts[:, :, None] + np.arange(length)) % 500
    totals, whole = (values * weights)[taken].sum((1, 2)), weights[taken].sum((1, 2))
    drawn = (totals / whole).std()
    assert standard_error(values * weights, weights) == pytest.approx(drawn, rel=0.03)


def test_independent_samples_have_the_textbook_error() -> None:
    values = np.random.default_rng(1).normal(size=20_000)
    assert standard_error(values, np.ones(20_000)) == pytest.approx(1 / math.sqrt(20_000), rel=0.3)
    assert effective_count(values, np.ones(20_000)) == pytest.approx(20_000, rel=0.6)


def test_samples_said_ten_times_are_no_surer() -> None:
    values = np.random.default_rng(1).normal(size=500)
    once = standard_error(values, np.ones(500))
    assert standard_error(np.repeat(values, 10), np.ones(5000)) == pytest.approx(once, rel=0.01)


def test_what_never_varied_has_a_count_all_the_same() -> None:
    assert effective_count(np.ones(100), np.ones(100)) == BLOCKS


def test_never_seen_is_not_never() -> None:
    low, high = share_interval(np.zeros(3000, bool), np.full(3000, 0.2), count=50)
    assert low == 0
    # of 50 observations none: Clopper and Pearson's bound, for fewer by Student's quantile
    fewer = 50 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, BLOCKS - 1)) ** 2
    assert high == pytest.approx(1 - 0.025 ** (1 / fewer))
    low, high = share_interval(np.ones(3000, bool), np.full(3000, 0.2), count=50)
    assert (low, high) == (pytest.approx(0.025 ** (1 / fewer)), 1)


def test_a_single_stretch_says_little() -> None:
    present = np.zeros(3000, bool)
    present[1000:1300] = True
    low, high = share_interval(present, np.full(3000, 0.2), count=50)
    assert low < 0.01
    assert high > 0.4


def test_a_session_of_a_few_samples_has_an_interval() -> None:
    low, high = share_interval(np.array([True, False, False]), np.ones(3), count=3)
    assert 0 <= low < 1 / 3 < high <= 1


def test_rates_are_never_below_zero() -> None:
    events, minutes = np.zeros(3000), np.full(3000, 0.2 / 60)
    assert rate_interval(events, minutes) == (0, pytest.approx(-math.log(0.025) / 10))
    events[7] = 1
    low, high = rate_interval(events, minutes)
    assert 0 < low < 0.1 < high


# --- a thousand sessions


def session(
    random: np.random.Generator, share: float, mean_s: float, length_s: int
) -> tuple[NDArray[np.bool_], int]:
    """Present or not, for each sample that could be read, and how often it began."""
    apart_s = mean_s * (1 - share) / share
    count = int(2 * length_s / (mean_s + apart_s) + 60)
    spans = random.exponential([apart_s, mean_s], (count, 2)).ravel()
    edges = np.cumsum(spans) - 120  # so long after its beginning the process has forgotten it
    time_s = np.arange(0, length_s, 1 / FPS)
    present = np.searchsorted(edges, time_s) % 2 == 1
    away = np.cumsum(random.exponential([70, 9], (length_s // 10, 2)).ravel())
    read = np.searchsorted(away, time_s) % 2 == 0
    seen = present[read]
    return seen, int(np.count_nonzero(seen[1:] & ~seen[:-1]))


KINDS = [(0.1, 6, 600), (0.3, 6, 600), (0.6, 20, 900), (0.05, 4, 1200), (0.1, 15, 1800), (0.5, 4, 600)]
"""Share, mean length of an episode in s, length of the session in s."""


@pytest.fixture(scope="module")
def held() -> dict[tuple[float, float, int], float]:
    """Of a thousand sessions of each kind, the share of intervals that hold the truth."""
    return {kind: sum(holds(kind, seed) for seed in range(1000)) / 1000 for kind in KINDS}


def holds(kind: tuple[float, float, int], seed: int) -> bool:
    present, _ = session(np.random.default_rng(seed), *kind)
    weights = np.full(len(present), 1 / FPS)
    low, high = share_interval(present, weights, effective_count(present * 1.0, weights))
    return low <= kind[0] <= high


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.simulation
def test_95_of_100_intervals_hold_the_share(
    held: dict[tuple[float, float, int], float], kind: tuple[float, float, int]
) -> None:
    assert 0.93 <= held[kind] <= 0.97


@pytest.mark.simulation
def test_over_all_kinds_they_do(held: dict[tuple[float, float, int], float]) -> None:
    assert 0.94 <= np.mean(list(held.values())) <= 0.97


@pytest.mark.simulation
def test_of_rare_short_things_some_are_missed() -> None:
    """Two episodes in a session are too few to know how they vary: nine in ten is what can be had."""
    held = np.mean([holds((0.02, 6, 600), seed) for seed in range(1000)])
    assert 0.88 <= held <= 0.97


@pytest.mark.simulation
def test_95_of_100_intervals_hold_the_mean() -> None:
    random = np.random.default_rng(5)
    held = 0
    for _ in range(1000):
        present, _ = session(random, 0.3, 6, 600)
        # valence in and out of it
        values = np.where(present, 0.7, -0.1) + random.normal(0, 0.1, len(present))
        low, high = mean_interval(values, np.full(len(present), 1 / FPS))
        held += low <= 0.3 * 0.7 - 0.7 * 0.1 <= high
    assert 0.93 <= held / 1000 <= 0.97


@pytest.mark.simulation
def test_intervals_of_rates_hold_the_rate() -> None:
    """Rather wider than narrower: few events may be spread evenly by chance."""
    random = np.random.default_rng(6)
    held = 0
    per_minute = 60 / (6 / 0.3)
    for _ in range(1000):
        starts = np.zeros(3000)
        at = np.cumsum(random.exponential([14, 6], (60, 2)).sum(axis=1))
        np.add.at(starts, (at[at < 600] * FPS).astype(int), 1)
        low, high = rate_interval(starts, np.full(3000, 1 / FPS / 60))
        held += low <= per_minute <= high
    assert held / 1000 >= 0.95
