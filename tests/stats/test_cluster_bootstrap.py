"""stats.cluster_bootstrap: means and intervals of clusters, against the t interval of their means."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from pipeline.stats.cluster_bootstrap import NOTHING, averages, mean_of_known, resample, widened_tail


def test_nothing_has_no_mean_and_no_interval() -> None:
    found = averages(np.empty((0, 2)), resample({"patients": []}, 2, 99, 0))
    assert np.isnan(found).all()
    assert found.shape == (3, 2)


def test_what_is_not_known_does_not_count() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    found = mean_of_known(values)
    assert found[0] == 2
    assert np.isnan(found[1])


def test_the_first_unit_of_which_there_are_enough_is_resampled() -> None:
    units = {"patients": ["A", "A", "B"], "sessions": ["A1", "A2", "B1"]}
    assert [resample(units, least, 9, 0).unit for least in (2, 3, 4)] == ["patients", "sessions", NOTHING]


def test_clusters_go_together() -> None:
    times = resample({"patients": ["A", "A", "B", "C"]}, 2, 50, 0).times
    assert (times[:, 0] == times[:, 1]).all()
    assert (times[:, 1:].sum(axis=1) == 3).all()


def test_the_fewer_the_clusters_the_further_out_the_percentiles() -> None:
    """Of five, Student's t of 4 degrees of freedom times √(5 / 4) is 3.10 standard deviations."""
    assert widened_tail(5) == pytest.approx(norm.sf(2.7764 * np.sqrt(5 / 4)), rel=1e-3)
    assert widened_tail(10_000) == pytest.approx(0.025, rel=1e-2)


def test_the_interval_is_nearly_students_where_clusters_are_of_one_value() -> None:
    values = np.random.default_rng(0).normal(0, 1, 12)
    resampling = resample({"patients": [f"{number:02}" for number in range(12)]}, 5, 20_000, 0)
    mean, low, high = averages(values[:, None], resampling)[:, 0]
    reach = student.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((mean - reach, mean + reach), abs=0.08)


def test_what_one_cluster_alone_shows_has_no_interval() -> None:
    values = np.array([[1.0], [2.0], *[[np.nan]] * 8])
    resampling = resample({"patients": list("AABCDEFGHI")}, 5, 500, 0)
    mean, low, high = averages(values, resampling)[:, 0]
    assert mean == 1.5
    assert np.isnan([low, high]).all()
