"""Shares of weighted samples: against formulas of other sources."""

import numpy as np
import pytest
from scipy.stats import t as student
from statsmodels.stats.proportion import proportion_confint

from pipeline.stats.weighted_share import MOST_GAINED, Sample, WeightedShare


def alone(n: int, weights: list[float] | None = None) -> Sample:
    """A sample without clusters and strata."""
    return Sample(np.array(weights or [1.0] * n), np.zeros(n, np.int64), [("clips", np.arange(n))])


def share(sample: Sample, so: list[int], among: list[int] | None = None) -> WeightedShare:
    inside = np.ones(len(so), bool) if among is None else np.array(among, bool)
    found = sample.share(np.array(so, bool), inside)
    assert found is not None
    return found


def test_without_observations_there_is_no_share() -> None:
    assert alone(3).share(np.zeros(3, bool), np.zeros(3, bool)) is None
    assert (
        Sample(np.zeros(0), np.zeros(0, np.int64), [("clips", np.zeros(0, np.int64))]).share(
            np.zeros(0, bool), np.zeros(0, bool)
        )
        is None
    )


@pytest.mark.parametrize("so", [3, 50, 400])
def test_a_plain_sample_has_wilsons_interval(so: int) -> None:
    n = 1000
    found = share(alone(n), [1] * so + [0] * (n - so))
    assert found.value == so / n
    assert found.effective == pytest.approx(n, rel=0.002)
    assert (found.low, found.high) == pytest.approx(
        proportion_confint(so, n, method="wilson"), abs=0.0005
    )  # with t of 999 degrees of freedom, nearly normal


def test_where_all_agree_the_interval_still_has_a_width() -> None:
    found = share(alone(20), [1] * 20)
    t = student.ppf(0.975, 19)
    assert found.low == pytest.approx(20 / (20 + t**2))  # Wilson's lower end for all of n
    assert (found.value, found.high) == (1.0, pytest.approx(1.0))


@pytest.mark.parametrize("weight", [1.0, 1.1, 1.3, 2.7, 3.3])
def test_strata_without_any_variance_do_not_make_it_certain(weight: float) -> None:
    stratum = np.repeat([0, 1], [15, 10])
    sample = Sample(np.where(stratum, 0.7, weight), stratum, [("clips", np.arange(25))])
    found = share(sample, (1 - stratum).tolist())
    weights = sample.weights
    assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())  # Kish
    assert found.high - found.low > 0.2


def test_one_observation_says_nothing() -> None:
    found = share(alone(3), [1, 0, 0], [1, 0, 0])
    assert (found.low, found.high) == pytest.approx((0.0, 1.0), abs=0.2)


def test_the_variance_is_the_jackknifes_over_clusters() -> None:
    random = np.random.default_rng(1)
    cluster = np.repeat(np.arange(40), 6)
    weights = random.uniform(1, 5, 240)
    so = random.random(240) < 0.3 + 0.4 * (cluster % 2)
    sample = Sample(weights, np.zeros(240, np.int64), [("patients", cluster)])
    found = share(sample, so.astype(int).tolist())
    without = [np.average(so[cluster != one], weights=weights[cluster != one]) for one in range(40)]
    jackknife = 39 / 40 * ((np.array(without) - np.mean(without)) ** 2).sum()
    assert found.value * (1 - found.value) / found.effective == pytest.approx(jackknife, rel=0.03)
    assert (found.over, found.clusters) == ("patients", 40)


def test_a_doubled_sample_of_the_same_clusters_says_no_more() -> None:
    cluster = np.arange(12)
    so = [1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 0]
    once = Sample(np.ones(12), np.zeros(12, np.int64), [("patients", cluster)])
    twice = Sample(np.ones(24), np.zeros(24, np.int64), [("patients", np.tile(cluster, 2))])
    assert share(twice, so * 2).low == pytest.approx(share(once, so).low, abs=0.01)


def test_strata_that_explain_all_make_it_surer_but_not_certain() -> None:
    stratum = np.repeat([0, 1], 20)
    so = stratum.tolist()
    plain = Sample(np.ones(40), np.zeros(40, np.int64), [("clips", np.arange(40))])
    known = Sample(np.ones(40), stratum, [("clips", np.arange(40))])
    assert share(plain, so).high - share(plain, so).low > 0.29
    surer = share(known, [*so[:-1], 0])
    assert surer.effective == MOST_GAINED * 40
    t = student.ppf(0.975, 39)
    assert surer.high - surer.low == pytest.approx(
        2 * t * np.sqrt(0.25 / 120) / np.sqrt(1 + t**2 / 120), rel=0.01
    )


def test_few_patients_are_not_the_clusters() -> None:
    units = [("patients", np.repeat([0, 1], 6)), ("sessions", np.repeat(np.arange(6), 2))]
    sample = Sample(np.ones(12), np.zeros(12, np.int64), [*units, ("clips", np.arange(12))])
    assert share(sample, [1, 0] * 6).over == "sessions"
    assert share(sample, [1, 0] * 6, [1] * 4 + [0] * 8).over == "clips"


def test_how_much_more_halves_the_interval() -> None:
    random = np.random.default_rng(2)
    so = (random.random(200) < 0.5).astype(int).tolist()
    more = share(alone(200), so).more
    assert more == pytest.approx(4.0, rel=0.01)
    same = np.repeat(random.random(20) < 0.5, 10)  # clusters of one kind: more of them say nothing
    sample = Sample(np.ones(200), np.zeros(200, np.int64), [("patients", np.repeat(np.arange(20), 10))])
    assert share(sample, same.astype(int).tolist()).more is None
