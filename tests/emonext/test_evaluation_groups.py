"""emonext.evaluation: groups of people, the pipeline's crops, degraded images."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from evaluated_faces import (
    AGES,
    CARD,
    CHOSEN,
    CPU,
    DATA,
    MAJORITY,
    TRUTH,
    TWO_HEADS,
    VOTED,
    ByGrey,
    coloured,
    pictures,
    weights,
    without,
)
from numpy.typing import NDArray
from torch import Tensor

from emonext import Card
from emonext import evaluation as evaluation_module
from emonext.checkpoint import Weights
from emonext.evaluation import evaluate
from emonext.results import Evaluation, Interval

pytestmark = pytest.mark.usefixtures("few_resamples")

# --- groups ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "missing", "expected"),
    [
        (CARD, "", [("old", 4, 4 / 4), ("young", 4, 4 / 4)]),
        (CARD, "majority", [("old", 5, 3 / 5), ("young", 5, 4 / 5)]),
        (TWO_HEADS, "", [("old", 4, 4 / 4), ("young", 4, 2 / 4)]),
        (TWO_HEADS, "labels", [("old", 4, 4 / 4), ("young", 4, 2 / 4)]),
        (TWO_HEADS, "majority", [("old", 5, 4 / 5), ("young", 5, 2 / 5)]),
    ],
)
def test_each_group_is_counted_by_the_head_in_use_and_by_the_majority_where_there_is_one(
    card: Card, missing: str, expected: list[tuple[str, int, float]]
) -> None:
    data = replace(without(missing), groups={"sex": AGES[::-1], "age": AGES})
    groups = evaluate(weights(card), data, CPU, by="age").groups
    assert [(group.name, group.count, group.accuracy.value) for group in groups] == expected
    for group in groups:
        assert group.accuracy.low <= group.accuracy.value <= group.accuracy.high


def test_numbers_are_grouped_by_tens() -> None:
    ages = np.array(["60", "69", "70", "104", *["61"] * 6])
    data = replace(without("majority"), groups={"age": ages})
    groups = evaluate(weights(CARD), data, CPU, by="age").groups
    assert [(group.name, group.count) for group in groups] == [("100–109", 1), ("60–69", 8), ("70–79", 1)]


def test_the_calibration_of_a_group_is_of_its_own_faces() -> None:
    data = replace(without("majority"), groups={"age": AGES})
    for group in evaluate(weights(TWO_HEADS), data, CPU, by="age").groups:
        alone = evaluate(weights(TWO_HEADS), data.select(group.name == AGES), CPU)
        assert group.ece == pytest.approx(alone.readings[-1].ece)


def test_a_groups_recall_is_of_its_own_faces() -> None:
    data = replace(without("majority"), groups={"age": AGES})
    old, young = evaluate(weights(TWO_HEADS), data, CPU, by="age").groups
    assert (old.recall["angry"], old.recall["disgust"], old.recall["happy"]) == (1, 1, 1 / 2)
    assert (young.recall["angry"], young.recall["sad"], young.recall["happy"]) == (0, 1, 1 / 2)


def test_without_a_column_there_are_no_groups(found: Evaluation) -> None:
    assert found.groups == []


def test_a_group_without_any_truth_is_left_out_and_one_of_one_face_is_unsure() -> None:
    names = np.array(["a", *["b"] * 8, "c"])
    labels = np.where(names == "c", -1, TRUTH)
    data = replace(without("majority"), labels=labels, groups={"site": names})
    groups = evaluate(weights(CARD), data, CPU, by="site").groups
    assert [(group.name, group.count) for group in groups] == [("a", 1), ("b", 8)]
    assert groups[0].accuracy == Interval(1.0, 0.0, 1.0)


# --- as used --------------------------------------------------------------------------------------------


def test_the_same_faces_are_compared_as_cut_by_both() -> None:
    given, missed = [], np.arange(10) % 4 != 3

    def recut(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        given.append(images)
        darkened = np.where(np.arange(10) < 2, 40, images[:, 0, 0])  # the first two look disgusted
        return pictures(darkened // 40, images[:, -1, 0] // 40, side=60, colour=True), missed

    found = evaluate(weights(TWO_HEADS), DATA, CPU, recut=recut)
    assert np.array_equal(given, [DATA.images])
    assert [(one.head, one.truth, one.found) for one in found.as_used] == [
        ("labels", "labels", 0.8),
        ("votes", "labels", 0.8),
        ("votes", "majority", 0.8),
    ]
    # of the eight that were found: 0 1 2 4 5 6 8 9
    assert [one.benchmark for one in found.as_used] == [7 / 8, 5 / 8, 5 / 7]
    assert [one.accuracy for one in found.as_used] == [5 / 8, 5 / 8, 5 / 7]


def test_where_no_face_is_found_nothing_is_compared() -> None:
    found = evaluate(weights(CARD), DATA, CPU, recut=lambda images: (coloured(images), np.zeros(10, bool)))
    assert found.as_used == []
    assert evaluate(weights(CARD), DATA, CPU).as_used == []


def test_where_no_face_that_is_found_has_a_majority_the_labels_are_compared() -> None:
    disputed = MAJORITY < 0
    found = evaluate(weights(TWO_HEADS), DATA, CPU, recut=lambda images: (coloured(images), disputed))
    compared = {(one.head, one.truth): one.accuracy for one in found.as_used}
    assert compared["labels", "labels"] == 1 / 2
    assert compared["votes", "labels"] == 1
    assert math.isnan(compared.get(("votes", "majority"), math.nan))


# --- poor pictures --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fade:
    """Makes faces darker by so many classes."""

    name = "fade"
    unit = "classes"
    levels = (0, 1, 2)

    def apply(self, images: NDArray[np.uint8], level: float) -> NDArray[np.uint8]:
        return np.where(images >= 40 * level, images - 40 * level, 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("card", "missing", "truth", "chosen"),
    [
        (CARD, "", MAJORITY, CHOSEN),
        (CARD, "labels", MAJORITY, CHOSEN),
        (CARD, "majority", TRUTH, CHOSEN),
        (TWO_HEADS, "", MAJORITY, VOTED),
        (TWO_HEADS, "majority", TRUTH, VOTED),
    ],
)
def test_every_level_of_a_corruption_is_measured_by_the_head_in_use(
    card: Card,
    missing: str,
    truth: NDArray[np.int64],
    chosen: NDArray[np.int64],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation_module, "CORRUPTIONS", (Fade(), Fade()))
    found = evaluate(weights(card), without(missing), CPU, robustness=True).robustness
    known = truth >= 0
    expected = [(np.maximum(chosen - level, 0) == truth)[known].mean() for level in (0, 1, 2)]
    assert len(set(expected)) > 1
    assert [(one.name, one.unit, one.levels) for one in found] == [("fade", "classes", [0, 1, 2])] * 2
    assert [one.accuracy for one in found] == [pytest.approx(expected)] * 2


class Wary(ByGrey):
    """Calls faces covered that it takes for class 4 or above."""

    def covered_logit(self, features: Tensor) -> Tensor:
        return features[:, 0] * 255 / 40 - 3.5


def test_only_readable_faces_count_in_the_error_of_sure_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_module, "CORRUPTIONS", (Fade(),))
    sure = replace(CARD, temperature=0.2, architecture=replace(CARD.architecture, covered=True))
    found = evaluate(Weights(Wary(), sure, ""), DATA, CPU, robustness=True)
    assert found.robustness[0].readable == pytest.approx([0.6, 0.8, 0.8])
    # with a majority, readable and wrong: none of 5, then 4 of 6
    assert found.robustness[0].sure_error == pytest.approx([0, 4 / 6, 4 / 6])
    assert found.covers is not None
    assert found.covers.false_flags == pytest.approx(0.4)

    unsure = replace(sure, temperature=20.0)
    found = evaluate(Weights(Wary(), unsure, ""), DATA, CPU, robustness=True)
    assert all(math.isnan(error) for error in found.robustness[0].sure_error)


def test_without_being_asked_for_robustness_is_not_measured(found: Evaluation) -> None:
    assert found.robustness == []
