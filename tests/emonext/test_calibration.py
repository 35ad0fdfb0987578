import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve

from emonext.calibration import (
    BINS,
    THRESHOLDS,
    Abstaining,
    Bin,
    abstaining,
    calibration_error,
    cross_fitted,
    fit_temperature,
    reliability,
)

# --- nothing to calibrate -------------------------------------------------------------------------------


def test_no_faces_give_no_bins_and_no_probabilities() -> None:
    none = np.zeros((0, 7), np.float32)
    assert reliability(none, none) == []
    assert cross_fitted(none, none).shape == (0, 7)


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_faces_for_five_folds_keep_their_probabilities(count: int) -> None:
    logits, shares = faces(count)
    np.testing.assert_allclose(cross_fitted(logits, shares), softmax(logits, axis=1), atol=1e-6)


# --- the temperature ------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    logits, shares = faces(20_000, temperature)
    assert fit_temperature(logits, shares) == pytest.approx(temperature, rel=0.03)


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_a_known_temperature_is_found_again_from_votes(temperature: float) -> None:
    logits, shares = faces(2_000, temperature, people=10)
    assert ((shares > 0) & (shares < 1)).any()
    assert fit_temperature(logits, shares) == pytest.approx(temperature, rel=0.03)


def test_the_temperature_has_the_lowest_log_loss() -> None:
    logits, shares = faces(500, 3.0, people=10)
    best = fit_temperature(logits, shares)

    def loss(temperature: float) -> float:
        return float(-(shares * log_softmax(logits / temperature, axis=1)).sum())

    assert loss(best) < min(loss(best * 1.02), loss(best / 1.02), loss(1.0))


def test_faces_without_truth_have_no_say_in_the_temperature() -> None:
    logits, shares = faces(300, 3.0)
    alone = fit_temperature(logits, shares)
    among = fit_temperature(
        np.concatenate([logits, 50 * logits]), np.concatenate([shares, np.zeros_like(shares)])
    )
    assert among == pytest.approx(alone, rel=1e-3)


# --- cross-fitting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", [0, 7, 22])
def test_a_temperature_never_sees_its_own_face(face: int) -> None:
    logits, shares = faces(23, 3.0)
    before = cross_fitted(logits, shares)
    shares[face] = np.roll(shares[face], 1)
    changed = (cross_fitted(logits, shares) != before).any(axis=1)
    assert not changed[face]
    # but the other four fifths do
    assert 23 - 5 <= changed.sum() <= 23 - 4


def test_each_fifth_has_the_temperature_of_the_other_four() -> None:
    logits, shares = faces(50, 3.0)
    used = temperatures(cross_fitted(logits, shares), logits)
    folds = [np.abs(used - one) < 1e-3 for one in np.unique(used.round(3))]
    assert [fold.sum() for fold in folds] == [10] * 5
    for fold in folds:
        assert used[fold].mean() == pytest.approx(fit_temperature(logits[~fold], shares[~fold]), rel=1e-3)


def test_cross_fitted_probabilities_stand_in_the_order_of_their_faces() -> None:
    logits, shares = faces(40)
    found = cross_fitted(logits, shares)
    assert np.array_equal(found.argsort(axis=1), logits.argsort(axis=1))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


# --- reliability ----------------------------------------------------------------------------------------


def test_the_error_is_the_one_computed_by_hand() -> None:
    """Bins of 1/15: 0.90 and 0.92 share one; 0.50 and 0.42 have one each."""
    probability = sure([0.90, 0.92, 0.50, 0.42])
    shares = np.eye(7, dtype=np.float32)[[0, 3, 3, 0]]  # right, wrong, wrong, right
    bins = reliability(probability, shares)
    rows = [(one.count, one.confidence, one.accuracy) for one in bins]
    expected = [(1, 0.42, 1.0), (1, 0.50, 0.0), (2, 0.91, 0.5)]
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert calibration_error(bins) == pytest.approx((0.58 + 0.50 + 2 * 0.41) / 4)


def test_an_answer_is_as_right_as_the_share_of_people_who_gave_it() -> None:
    shares = np.array([[0.7, 0.3, 0, 0, 0, 0, 0], [0.1, 0, 0, 0, 0, 0, 0.9]], np.float32)
    bins = reliability(sure([0.81, 0.85]), shares)  # both between 12/15 and 13/15
    assert [(one.count, one.accuracy) for one in bins] == [(2, pytest.approx(0.4))]
    assert calibration_error(bins) == pytest.approx(0.83 - 0.4)


def test_whoever_is_always_sure_and_right_makes_no_error() -> None:
    bins = reliability(sure([1.0] * 3), np.eye(7, dtype=np.float32)[[0, 0, 0]])
    assert bins == [Bin(3, 1.0, 1.0)]
    assert calibration_error(bins) == 0


def test_the_bins_are_scikit_learns() -> None:
    logits, shares = faces(3_000, 2.0)
    check_against_scikit_learn(softmax(logits, axis=1), shares, people=1)


def test_the_bins_of_votes_are_those_of_each_persons_vote() -> None:
    logits, shares = faces(500, 2.0, people=10)
    check_against_scikit_learn(softmax(logits, axis=1), shares, people=10)


def test_honest_probabilities_err_little_and_boastful_ones_much() -> None:
    logits, shares = faces(20_000)
    assert calibration_error(reliability(softmax(logits, axis=1), shares)) < 0.015
    boastful = softmax(4 * logits, axis=1)
    right = (logits.argmax(axis=1) == shares.argmax(axis=1)).mean()
    # where every bin boasts, the error is by how much they do on average
    assert calibration_error(reliability(boastful, shares)) == pytest.approx(
        boastful.max(axis=1).mean() - right, abs=0.005
    )


# --- abstaining -----------------------------------------------------------------------------------------


def test_abstaining_is_counted_by_hand() -> None:
    found = abstaining(sure([0.30, 0.52, 0.71, 0.72]), np.array([0, 1, 0, 0]))
    by_threshold = {one.threshold: one for one in found}
    assert tuple(by_threshold) == THRESHOLDS
    assert by_threshold[0.0] == Abstaining(0.0, 1.0, 0.75)
    assert by_threshold[0.3] == Abstaining(0.3, 1.0, 0.75)
    assert by_threshold[0.35] == Abstaining(0.35, 0.75, pytest.approx(2 / 3))
    assert by_threshold[0.7] == Abstaining(0.7, 0.5, 1.0)
    assert by_threshold[0.75] == Abstaining(0.75, 0.0, None)  # no answer is neither right nor wrong


def test_thresholds_go_up_by_a_twentieth() -> None:
    np.testing.assert_allclose(THRESHOLDS, np.arange(20) / 20, atol=1e-9)


# --- helpers --------------------------------------------------------------------------------------------


def faces(
    n: int, temperature: float = 1.0, people: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits that are off by a temperature, and the shares of people whose answers follow the honest ones."""
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (n, 7))
    answers = rng.multinomial(people, softmax(honest, axis=1))
    return (honest * temperature).astype(np.float32), (answers / people).astype(np.float32)


def sure(confidences: list[float]) -> NDArray[np.float32]:
    """Probabilities of so much for the first class, and the rest spread over the others."""
    first = np.array(confidences, np.float32)[:, None]
    return np.concatenate([first, np.repeat((1 - first) / 6, 6, axis=1)], axis=1)


def temperatures(probability: NDArray[np.float32], logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) by which each face's logits were divided."""
    return np.ptp(logits, axis=1) / np.ptp(np.log(probability.astype(np.float64)), axis=1)


def check_against_scikit_learn(
    probability: NDArray[np.float32], shares: NDArray[np.float32], people: int
) -> None:
    """scikit-learn knows right and wrong only, so each person's vote is a row to it."""
    confidence = probability.max(axis=1)
    given = (shares[np.arange(len(shares)), probability.argmax(axis=1)] * people).round().astype(int)
    votes = np.arange(people) < given[:, None]
    accuracy, sureness = calibration_curve(votes.ravel(), confidence.repeat(people), n_bins=BINS)
    counts = np.histogram(confidence, BINS, (0, 1))[0]
    counts = counts[counts > 0]
    bins = reliability(probability, shares)

    assert len(bins) > 8
    assert [one.count for one in bins] == counts.tolist()
    np.testing.assert_allclose([one.confidence for one in bins], sureness, atol=1e-6)
    np.testing.assert_allclose([one.accuracy for one in bins], accuracy, atol=1e-6)
    expected = np.average(np.abs(accuracy - sureness), weights=counts)
    assert calibration_error(bins) == pytest.approx(expected, abs=1e-6)
