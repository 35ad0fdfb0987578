"""stats.recalibration: a planted distortion is found, and what helps nobody is refused."""

from dataclasses import replace

import numpy as np
import pytest
from rated_samples import SAMPLES, Distortion, rated_samples
from scipy.optimize import minimize
from scipy.stats import t as student

from pipeline.records import EMOTIONS
from pipeline.stats import recalibration
from pipeline.stats.recalibration import (
    RatedSamples,
    Shift,
    change,
    clip_answers,
    clip_probabilities,
    fit_shift,
    held_out_test,
    helpful_shift,
    shifted,
    unchanged,
)

SAD = EMOTIONS.index("sad")


def by_hand(rated: RatedSamples, inverse: float, offsets: np.ndarray) -> np.ndarray:
    """(n, 7) the clips' mean probabilities, in loops."""
    found = []
    for clip in range(len(rated.first)):
        own = np.flatnonzero(rated.clip_of == clip)
        powers = [np.exp(rated.logs[k]) ** inverse * np.exp(offsets) for k in own]
        weighted = [rated.seconds[k] * power / power.sum() for k, power in zip(own, powers, strict=True)]
        found.append(np.sum(weighted, axis=0) / rated.seconds[own].sum())
    return np.array(found)


def test_no_change_is_no_change() -> None:
    rated = rated_samples(1, 5)
    assert shifted(rated.logs, unchanged(7)) == pytest.approx(np.exp(rated.logs), abs=2e-3)
    assert rated.only(np.zeros(5, bool)).logs.shape == (0, 7)


def test_a_clips_probability_is_the_mean_of_its_samples() -> None:
    rated = rated_samples(2, 6)
    rated = replace(rated, seconds=np.random.default_rng(0).uniform(0.1, 0.3, 6 * SAMPLES))
    offsets = np.linspace(-1, 1, 7)
    expected = by_hand(rated, 1 / 1.7, offsets)
    assert clip_probabilities(rated, Shift(1.7, offsets)) == pytest.approx(expected)


def test_a_clips_answer_is_the_expression_that_is_there_for_most_of_it() -> None:
    p = np.full((5, 7), 0.05)
    p[[0, 1, 2], 3], p[[3, 4], 4] = 0.7, 0.7
    rated = RatedSamples(
        np.log(p),
        np.array([0.2, 0.2, 0.2, 0.5, 0.2]),
        np.array([0]),
        np.eye(7)[[3]],
        np.ones(1),
        *np.zeros((2, 1)),
    )
    assert clip_answers(rated, unchanged(7)).tolist() == [4]  # 0.7 s of 1.3 s, though 3 of 5 samples differ
    assert clip_answers(replace(rated, seconds=np.full(5, 0.2)), unchanged(7)).tolist() == [3]


def test_the_fit_is_the_most_likely_one_by_another_optimiser() -> None:
    rated = rated_samples(3, 25, distortion=Distortion(1.5, -1))
    scaled = rated.weights * rated.weights.sum() / (rated.weights**2).sum()

    def lack(values: np.ndarray) -> float:
        offsets = np.append(values[1:], -values[1:].sum())
        chance = (by_hand(rated, np.exp(-values[0]), offsets) * rated.votes).sum(axis=1)
        prior = (values[0] / recalibration.PRIOR_LOG_T) ** 2
        prior += (offsets**2).sum() / recalibration.PRIOR_OFFSET**2
        return float(-scaled @ np.log(chance) + prior / 2)

    found = minimize(lack, np.zeros(7), method="Powell", options={"xtol": 1e-4, "ftol": 1e-9, "maxfev": 6000})
    fitted = fit_shift(rated)
    own = np.append(np.log(fitted.temperature), fitted.offsets[:-1])
    assert lack(own) <= found.fun + 1e-4
    assert own == pytest.approx(found.x, abs=0.02)
    assert fitted.offsets.sum() == pytest.approx(0, abs=1e-9)


def test_several_raters_share_a_clips_weight_and_their_answers_count_alike() -> None:
    rated = rated_samples(4, 40)
    twice = replace(rated, weights=3 * rated.weights)
    assert fit_shift(twice).offsets == pytest.approx(fit_shift(rated).offsets, abs=1e-3)
    votes = np.full((40, 7), 1 / 7)
    assert fit_shift(replace(rated, votes=votes)).temperature > 1.3  # raters who guess: less sure


@pytest.mark.parametrize("planted", [Distortion(1.8, -1.2), Distortion(0.6, 0.8)])
def test_with_many_clips_the_planted_distortion_is_found(planted: Distortion) -> None:
    found = fit_shift(rated_samples(5, 2500, patients=80, distortion=planted))
    assert np.log(found.temperature) == pytest.approx(np.log(planted.temperature), abs=0.12)
    assert found.offsets[SAD] == pytest.approx(planted.offsets[SAD], abs=0.2)


def test_the_interval_of_a_change_is_that_of_the_clusters_means() -> None:
    """Clusters of equal size and weight: Student's t interval of their means."""
    random = np.random.default_rng(6)
    cluster = np.repeat(np.arange(8), 5)
    both = np.stack([np.zeros(40), random.normal(0.3, 1, 40) + random.normal(0, 1, 8)[cluster]])
    means = both[1].reshape(8, 5).mean(axis=1)
    error = means.std(ddof=1) / np.sqrt(8)
    low, high = student.interval(0.95, 7, means.mean(), error)
    found = change(both, np.full(40, 2.0), cluster)
    assert (found.difference, found.low, found.high) == pytest.approx((means.mean(), low, high))
    assert found.least == pytest.approx(means.mean() - student.ppf(0.85, 7) * error)
    assert change(both, np.ones(40), cluster, better=-1).least == pytest.approx(
        -means.mean() - student.ppf(0.85, 7) * error
    )


def test_patients_are_judged_by_parameters_from_the_others() -> None:
    rated = rated_samples(7, 60, patients=5)
    loss = np.zeros(60)
    for patient in range(5):
        own = rated.cluster == patient
        p = clip_probabilities(rated.only(own), fit_shift(rated.only(~own)))
        loss[own] = -np.log(p[rated.votes[own] == 1])
    tested = held_out_test(rated)
    assert (tested.clusters, tested.clips) == (5, 60)
    assert tested.log_loss.after == pytest.approx(np.average(loss, weights=rated.weights), abs=1e-3)
    assert tested.log_loss.before == pytest.approx(
        np.average(-np.log(by_hand(rated, 1, np.zeros(7))[rated.votes == 1]), weights=rated.weights)
    )


@pytest.mark.simulation
def test_without_a_distortion_nine_in_ten_are_refused() -> None:
    accepted = [helpful_shift(rated_samples(seed, 70))[1].helps for seed in range(50)]
    assert np.mean(accepted) <= 0.1


@pytest.mark.simulation
def test_a_strong_distortion_is_found_and_helps_unseen_patients() -> None:
    planted = Distortion(sad=-2.0)
    tests = [helpful_shift(rated_samples(seed, 70, distortion=planted))[1] for seed in range(20)]
    assert np.mean([one.helps for one in tests]) >= 0.85
    assert np.mean([one.agreement.difference for one in tests]) > 0.04


@pytest.mark.simulation
def test_a_temperature_is_adapted_where_no_offset_helps() -> None:
    found = [helpful_shift(rated_samples(seed, 70, distortion=Distortion(2.0))) for seed in range(20)]
    assert np.mean([test.helps for _, test in found]) >= 0.9
    alone = [test for shift, test in found if not shift.offsets.any()]
    assert alone
    assert {test.agreement.difference for test in alone} == {0.0}
