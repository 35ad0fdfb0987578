"""emonext.evaluation: metrics, intervals and calibration against hand-computed results."""

from dataclasses import replace

import numpy as np
import pytest
from evaluated_faces import (
    CARD,
    CHOSEN,
    CPU,
    DATA,
    MAJORITY,
    TRUTH,
    TWO_HEADS,
    VOTED,
    VOTES,
    face_set,
    labels_reading,
    plain,
    weights,
)
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support
from sklearn.model_selection import KFold

from emonext import evaluation as evaluation_module
from emonext.calibration import THRESHOLDS, fit_temperature
from emonext.evaluation import evaluate, one_hot
from emonext.results import Evaluation, Interval

pytestmark = pytest.mark.usefixtures("few_resamples")

# --- against hand-computed figures ----------------------------------------------------------------------


def test_recall_and_f1_are_those_counted_by_hand(found: Evaluation) -> None:
    reading = labels_reading(found)
    assert reading.recall == {
        "angry": pytest.approx(2 / 3),
        "disgust": 0,
        "fear": 0,
        "happy": 3 / 4,
        "sad": 1,
        "surprise": 0,
        "neutral": 1,
    }
    # 2PR / (P + R), and 0 for the three that nothing was taken for rightly
    f1 = [2 * 2 / (3 + 3), 0, 0, 2 * 3 / (4 + 3), 2 * 1 / (1 + 2), 0, 2 * 1 / (1 + 2)]
    assert reading.macro_f1.value == pytest.approx(sum(f1) / 7)


@pytest.mark.parametrize(
    ("head", "truth"), [("labels", "labels"), ("votes", "labels"), ("votes", "majority")]
)
def test_the_confusion_counts_true_rows_and_predicted_columns(
    found: Evaluation, head: str, truth: str
) -> None:
    expected = np.zeros((7, 7), int)
    for true, chosen in zip(
        TRUTH if truth == "labels" else MAJORITY, CHOSEN if head == "labels" else VOTED, strict=True
    ):
        if true >= 0:
            expected[true, chosen] += 1
    reading = found.reading(head, truth)  # type: ignore[arg-type]
    assert reading is not None
    assert reading.confusion == expected.tolist()


def test_the_log_loss_is_that_of_calibrated_probabilities(found: Evaluation) -> None:
    """Over all faces with votes, where there are votes: also of those on which people disagree."""
    expected = [
        np.mean(-(np.eye(7)[TRUTH] * log_softmax(grey_logits(CHOSEN) / 2, axis=1)).sum(axis=1)),
        np.mean(-(np.eye(7)[TRUTH] * log_softmax(grey_logits(VOTED) / 3, axis=1)).sum(axis=1)),
        np.mean(-(VOTES * log_softmax(grey_logits(VOTED) / 3, axis=1)).sum(axis=1)[VOTES.any(axis=1)]),
    ]
    assert [reading.log_loss for reading in found.readings] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("temperature", [2.0, 0.05])
def test_the_log_loss_of_whoever_is_all_too_sure_is_a_number(temperature: float) -> None:
    found = evaluate(weights(replace(CARD, temperature=temperature)), DATA, CPU)
    expected = -log_softmax(grey_logits(CHOSEN) / temperature, axis=1)[np.arange(10), TRUTH].mean()
    assert labels_reading(found).log_loss == pytest.approx(expected, rel=1e-4)


def test_figures_agree_with_scikit_learn_on_real_noise() -> None:
    truth, chosen = noisy_answers(300)
    reading = labels_reading(evaluate(weights(CARD), face_set(truth, chosen), CPU))
    _, recall, f1, _ = precision_recall_fscore_support(truth, chosen)
    assert list(reading.recall.values()) == pytest.approx(recall.tolist())
    assert np.mean(list(reading.recall.values())) == pytest.approx(balanced_accuracy_score(truth, chosen))
    assert reading.macro_f1.value == pytest.approx(f1.mean())
    assert reading.accuracy.value == reading.accuracy_unseen == (truth == chosen).mean()


# --- intervals ------------------------------------------------------------------------------------------


def test_the_interval_of_an_accuracy_is_the_binomials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces drawn anew are right as often as coins that fall so: the bootstrap of a share is a binomial."""
    monkeypatch.setattr(evaluation_module, "BOOTSTRAP_RESAMPLES", 500)
    truth, chosen = noisy_answers(150)
    reading = labels_reading(evaluate(weights(CARD), face_set(truth, chosen), CPU))
    share = (truth == chosen).mean()
    low, high = binom.ppf([0.025, 0.975], 150, share) / 150
    assert reading.accuracy.value == share
    assert (reading.accuracy.low, reading.accuracy.high) == pytest.approx((low, high), abs=0.02)
    assert reading.macro_f1.low < reading.macro_f1.value < reading.macro_f1.high
    width = reading.macro_f1.high - reading.macro_f1.low
    assert width == pytest.approx(high - low, rel=0.35)


def test_the_interval_of_whoever_is_always_right_has_no_width() -> None:
    truth = np.arange(21) % 7
    reading = labels_reading(evaluate(weights(CARD), face_set(truth, truth), CPU))
    assert reading.accuracy == Interval(1.0, 1.0, 1.0)


def test_an_interval_is_the_same_each_time(found: Evaluation) -> None:
    assert plain(evaluate(weights(TWO_HEADS), DATA, CPU)) == plain(found)


# --- calibration ----------------------------------------------------------------------------------------


def test_the_calibration_error_is_measured_before_and_after_the_temperature() -> None:
    truth, chosen = noisy_answers(400)
    reading = labels_reading(evaluate(weights(CARD), face_set(truth, chosen), CPU))
    logits, right = grey_logits(chosen), chosen == truth
    assert reading.ece_raw == pytest.approx(np_ece(softmax(logits, axis=1).max(axis=1), right), abs=1e-4)
    assert reading.ece == pytest.approx(np_ece(softmax(logits / 2, axis=1).max(axis=1), right), abs=1e-4)
    assert reading.ece_raw != pytest.approx(reading.ece, abs=0.02)
    assert sum(one.count for one in reading.reliability) == 400
    assert sum(one.count * one.accuracy for one in reading.reliability) == pytest.approx(right.sum())
    assert sum(one.count * abs(one.confidence - one.accuracy) for one in reading.reliability) / 400 == (
        pytest.approx(reading.ece)
    )


def test_the_cross_fitted_error_knows_nothing_of_the_cards_temperature() -> None:
    truth, chosen = noisy_answers(200)
    data = face_set(truth, chosen)
    one, other = (
        labels_reading(evaluate(weights(replace(CARD, temperature=t)), data, CPU)) for t in (2.0, 9.0)
    )
    assert one.ece != pytest.approx(other.ece, abs=0.02)
    assert (one.ece_raw, one.ece_cross_fitted) == (other.ece_raw, other.ece_cross_fitted)


def test_the_cross_fitted_error_is_of_temperatures_fitted_to_the_other_four_fifths() -> None:
    truth, chosen = noisy_answers(200)
    reading = labels_reading(evaluate(weights(CARD), face_set(truth, chosen), CPU))
    logits, confidence = grey_logits(chosen).astype(np.float32), np.zeros(200)
    for others, fold in KFold(5, shuffle=True, random_state=0).split(logits):
        temperature = fit_temperature(logits[others], one_hot(truth[others]))
        confidence[fold] = softmax(logits[fold] / temperature, axis=1).max(axis=1)
    assert reading.ece_cross_fitted == pytest.approx(np_ece(confidence, chosen == truth), abs=1e-3)


def test_an_answer_is_as_right_as_the_share_of_people_who_gave_it(found: Evaluation) -> None:
    reading = found.reading("votes", "majority")
    assert reading is not None
    judged = VOTES.any(axis=1)
    assert judged.sum() == 9  # one more than have a majority
    given = VOTES[np.arange(10), VOTED][judged]
    confidence = softmax(grey_logits(VOTED) / 3, axis=1).max(axis=1)[judged]
    assert sum(one.count for one in reading.reliability) == 9
    assert sum(one.count * one.accuracy for one in reading.reliability) == pytest.approx(given.sum())
    assert reading.ece == pytest.approx(np_ece(confidence, given), abs=1e-4)


def test_abstaining_is_from_the_calibrated_confidence_on() -> None:
    truth, chosen = noisy_answers(300)
    reading = labels_reading(evaluate(weights(CARD), face_set(truth, chosen), CPU))
    confidence = softmax(grey_logits(chosen) / 2, axis=1).max(axis=1)
    assert [one.threshold for one in reading.abstaining] == list(THRESHOLDS)
    assert reading.abstaining[0].answered == 1
    assert reading.abstaining[0].accuracy == pytest.approx(reading.accuracy.value)
    answered = [(confidence >= one.threshold).mean() for one in reading.abstaining]
    assert [one.answered for one in reading.abstaining] == pytest.approx(answered)
    some = next(one for one in reading.abstaining if 0 < one.answered < 1)
    sure = confidence >= some.threshold
    assert some.accuracy == pytest.approx((chosen == truth)[sure].mean())


def noisy_answers(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What n faces are, and what three of five are taken for."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 7, n)
    return truth, np.where(rng.random(n) < 0.6, truth, rng.integers(0, 7, n))


def grey_logits(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    return -((chosen[:, None] - np.arange(7.0)) ** 2)


def np_ece(confidence: NDArray[np.floating], right: NDArray[np.generic]) -> float:
    """Guo et al. 2017, bin by bin."""
    error = 0.0
    for low in np.arange(15) / 15:
        rows = (confidence >= low) & ((confidence < low + 1 / 15) | (low > 14 / 15 - 1e-9))
        if rows.any():
            error += rows.mean() * abs(confidence[rows].mean() - right[rows].mean())
    return float(error)
