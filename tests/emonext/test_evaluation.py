import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluated_faces import (
    AGES,
    CARD,
    CPU,
    DATA,
    TWO_HEADS,
    ByGrey,
    coloured,
    face_set,
    labels_reading,
    plain,
    weights,
    without,
)
from numpy.typing import NDArray
from small_networks import OTHER_ORDER

from emonext import LABELS, Card, DataError, load_weights
from emonext.checkpoint import Weights
from emonext.corruptions import CORRUPTIONS
from emonext.datasets.data import load_fer2013
from emonext.evaluation import accuracy, evaluate, one_hot
from emonext.inference import predict
from emonext.results import Evaluation, Interval
from emonext.weight_files import DEFAULT, SHIPPED

pytestmark = pytest.mark.usefixtures("few_resamples")

# --- nothing to evaluate --------------------------------------------------------------------------------


@pytest.mark.parametrize("card", [CARD, TWO_HEADS])
def test_a_set_without_faces_or_without_truth_cannot_be_evaluated(card: Card) -> None:
    none = np.full(10, -1)
    for data in (DATA.select(np.zeros(10, bool)), replace(DATA, labels=none, majority=none)):
        with pytest.raises(DataError, match="no labelled face"):
            evaluate(weights(card), data, CPU)


@pytest.mark.parametrize(("columns", "listed"), [({}, "none"), ({"age": AGES, "sex": AGES}, "age, sex")])
def test_a_column_that_is_not_there_lists_those_that_are(
    columns: dict[str, NDArray[np.str_]], listed: str
) -> None:
    with pytest.raises(DataError, match=rf"^`by` race: no such column; the data has {listed}\.$"):
        evaluate(weights(CARD), replace(DATA, groups=columns), CPU, by="race")


@pytest.mark.parametrize("card", [CARD, TWO_HEADS])
def test_a_set_that_was_trained_on_has_no_accuracy_on_unseen_pictures(card: Card) -> None:
    found = evaluate(weights(card), replace(DATA, unseen=np.zeros(10, bool)), CPU)
    assert all(math.isnan(reading.accuracy_unseen) for reading in found.readings)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["readings"][0]["accuracy_unseen"] is None
    assert values["readings"][0]["accuracy"]["value"] == 0.7


def test_one_face_can_be_evaluated() -> None:
    found = evaluate(weights(CARD), DATA.select(np.arange(10) == 4), CPU)
    assert labels_reading(found).accuracy == Interval(1.0, 0.0, 1.0)  # of one face, nothing is sure


# --- which head is held against which truth -------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "missing", "expected"),
    [
        (CARD, "", "labels:labels labels:majority"),
        (CARD, "majority", "labels:labels"),
        (CARD, "labels", "labels:majority"),
        (TWO_HEADS, "", "labels:labels votes:labels votes:majority"),
        (TWO_HEADS, "majority", "labels:labels votes:labels"),
        (TWO_HEADS, "labels", "votes:majority"),
    ],
)
def test_each_pair_of_head_and_truth_that_makes_sense_is_read(
    card: Card, missing: str, expected: str
) -> None:
    found = evaluate(weights(card), without(missing), CPU)
    assert " ".join(f"{reading.head}:{reading.truth}" for reading in found.readings) == expected


def test_a_reading_is_found_by_its_head_and_truth(found: Evaluation) -> None:
    assert found.reading("votes", "majority") is found.readings[2]
    assert found.reading("labels", "majority") is None


def test_each_heads_answers_are_held_against_each_truth(found: Evaluation) -> None:
    figures = {(r.head, r.truth): (r.count, r.accuracy.value, r.accuracy_unseen) for r in found.readings}
    assert figures == {
        ("labels", "labels"): (10, 7 / 10, 5 / 7),
        ("votes", "labels"): (10, 6 / 10, 5 / 7),
        ("votes", "majority"): (8, 6 / 8, 4 / 5),
    }
    # faces of one grey look alike from every corner
    assert [r.accuracy_ten_crops for r in found.readings] == [r.accuracy.value for r in found.readings]
    assert [r.temperature for r in found.readings] == [2.0, 3.0, 3.0]


def test_the_labels_may_stand_in_any_order_and_the_votes_stand_in_ours(found: Evaluation) -> None:
    other = evaluate(weights(replace(TWO_HEADS, labels=OTHER_ORDER)), DATA, CPU)
    assert plain(other) == plain(found)


# --- the whole ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("card", [CARD, TWO_HEADS])
def test_the_agreement_in_bf16_is_that_of_the_head_in_use(card: Card) -> None:
    """A network that takes the second half of the faces for others in bf16, by the head for labels alone."""
    found = evaluate(Weights(ByGrey(confused=True), card, ""), DATA, CPU)
    assert found.bf16_agreement == (1.0 if card is TWO_HEADS else 0.6)


def test_an_evaluation_names_the_weights(found: Evaluation) -> None:
    assert (found.weights, found.sha256, found.count) == ("by-grey", "5ha256", 10)
    assert found.faces_per_s > 0


def test_the_card_carries_seven_figures_of_each_reading(found: Evaluation) -> None:
    metrics = found.metrics()
    assert len(metrics) == 3 * 7
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["labels_labels_accuracy"] == 0.7
    assert metrics["votes_labels_accuracy"] == metrics["votes_labels_accuracy_ten_crops"] == 0.6
    assert metrics["votes_majority_accuracy_unseen"] == 0.8
    reading = found.readings[2]
    assert metrics["votes_majority_macro_f1"] == reading.macro_f1.value
    assert metrics["votes_majority_ece_cross_fitted"] == reading.ece_cross_fitted
    assert metrics["votes_majority_log_loss"] == reading.log_loss


def test_an_evaluation_is_plain_json(found: Evaluation) -> None:
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(values["readings"][0]["recall"]) == list(LABELS)
    assert values["readings"][2]["accuracy"]["value"] == 0.75
    assert (values["groups"], values["as_used"], values["robustness"]) == ([], [], [])


@pytest.mark.parametrize(("recut", "robustness"), [(False, False), (True, False), (True, True)])
def test_progress_never_goes_back_and_ends_at_the_whole(recut: bool, robustness: bool) -> None:
    seen: list[tuple[int, int]] = []
    truth = np.arange(150) % 7
    evaluate(
        weights(CARD),
        face_set(truth, truth),
        CPU,
        lambda done, total: seen.append((done, total)),
        recut=(lambda images: (coloured(images), np.ones(150, bool))) if recut else None,
        robustness=robustness,
    )
    levels = sum(len(corruption.levels) for corruption in CORRUPTIONS)
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {(14 + (2 * levels if robustness else 0)) * 150}
    assert seen[-1][0] == seen[-1][1]
    assert len(seen) >= 6


def test_a_face_counts_once_for_each_crop_that_is_read() -> None:
    seen: list[int] = []
    truth = np.arange(150) % 7
    evaluate(weights(CARD), face_set(truth, truth), CPU, lambda done, total: seen.append(done))
    # batches of 128 and 22: one crop, with the mirror image, ten crops, one crop in bf16
    assert seen == [128, 150, 150 + 256, 450, 450 + 1280, 1950, 1950 + 128, 2100]


# --- the parts ------------------------------------------------------------------------------------------


def test_faces_without_truth_do_not_count() -> None:
    scores = np.eye(7, dtype=np.float32)[[0, 1, 2, 3]]
    assert accuracy(scores, np.array([0, 2, -1, 3])) == pytest.approx(2 / 3)
    assert math.isnan(accuracy(scores, np.full(4, -1)))
    assert math.isnan(accuracy(scores[:0], np.full(0, 0)))


def test_a_face_without_label_is_a_row_of_zeros() -> None:
    assert one_hot(np.array([], int)).shape == (0, 7)
    found = one_hot(np.array([2, -1]))
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 0, 1, 0, 0, 0, 0], [0] * 7]


@pytest.mark.skipif(DEFAULT not in SHIPPED, reason="no weights are shipped yet")
def test_the_default_weights_read_fer2013(shared: Path) -> None:
    """People reach about 65 %; the largest class alone is 25 %. Every fourth face, for time."""
    weights, data = load_weights(), load_fer2013(shared / "data", "val")
    found = predict(weights.model, weights.card.preprocessing, data.images[::4], CPU).ordered(weights.card)
    right = (found.labels.argmax(axis=1) == data.labels[::4]).mean()
    metrics = weights.card.metrics
    assert right >= 0.60
    # by either name: what was shipped before there was a head for votes has the older one
    claimed = metrics.get("labels_labels_accuracy", metrics.get("val_accuracy"))
    assert claimed == pytest.approx(right, abs=0.04)  # of 897 faces, three times what chance gives
