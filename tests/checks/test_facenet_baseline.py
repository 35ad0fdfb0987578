"""checks.facenet_baseline: comparison with known boxes and emotions."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from fakes import find_squares
from numpy.typing import NDArray

from pipeline.checks.benchmark import Costs, measure
from pipeline.checks.facenet_baseline import Comparison, FacenetDetector, compare
from pipeline.faces.classification import ClassifyFaces
from pipeline.faces.detection import Detections, Detector
from pipeline.processing.session import Networks, Settings
from pipeline.records import EMOTIONS

SETTINGS = Settings(sample_fps=5)


@pytest.fixture
def costs(make_recording: Callable[..., Path], fake_networks: Networks) -> Costs:
    """Two seconds, ten samples: two faces in the first five, one in the others."""
    path = make_recording("a.mp4", [(40, 40), (200, 80)], [(40, 40)])
    found = measure(path, SETTINGS, fake_networks)
    assert [len(sample.faces) for sample in found.found] == [2] * 5 + [1] * 5
    return found


@pytest.fixture
def compared(
    costs: Costs, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Comparison]:
    """The run, compared with another detector and classifier."""

    def run(
        detect: Detector = find_squares,
        classify: ClassifyFaces = fake_networks.classify,
        **changes: object,
    ) -> Comparison:
        monkeypatch.setattr("pipeline.checks.facenet_baseline.FacenetDetector", lambda device: detect)
        return compare(replace(costs, **changes), SETTINGS, fake_networks, classify)

    return run


def changed(change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Detector:
    """Finds the squares, but their boxes changed, (n, 4) → (m, 4)."""

    def detect(images: NDArray[np.uint8]) -> list[Detections]:
        boxes = [change(found.boxes_xyxy).astype(np.float32) for found in find_squares(images)]
        return [
            Detections(of, np.ones(len(of), np.float32), np.zeros((len(of), 5, 2), np.float32))
            for of in boxes
        ]

    return detect


def aside(px: float) -> Detector:
    """Boxes so far to the right of the squares."""
    return changed(lambda boxes: boxes + np.array([px, 0, px, 0]))


def smaller(px: float) -> Detector:
    """Boxes so much smaller on each side."""
    return changed(lambda boxes: boxes + np.array([px, px, -px, -px]))


def nowhere(images: NDArray[np.uint8]) -> list[Detections]:
    return [Detections.none()] * len(images)


# --- faces


def test_where_the_baseline_finds_no_face_there_is_nothing_to_compare(
    compared: Callable[..., Comparison],
) -> None:
    found = compared(nowhere)
    assert found.baseline_faces == 0
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [told[name] for name in ("face_recall", "mean_iou", "emotion_agreement")] == [None] * 3
    assert told["baseline_faces"] == 0
    assert told["baseline_s"] > 0


def test_the_same_answers_agree_wholly(compared: Callable[..., Comparison]) -> None:
    found = compared()
    assert found.baseline_faces == 15
    assert (found.face_recall, found.mean_iou, found.emotion_agreement) == (1, 1, 1)
    assert found.to_dict()["face_recall"] == 1


def test_what_the_run_did_not_find_lowers_the_recall(
    compared: Callable[..., Comparison], costs: Costs
) -> None:
    blind = [replace(sample, faces=sample.faces[:1]) for sample in costs.found]
    found = compared(found=blind)
    assert found.baseline_faces == 15
    assert found.face_recall == pytest.approx(10 / 15)
    assert found.mean_iou == 1


def test_what_only_the_run_found_does_not_count(compared: Callable[..., Comparison]) -> None:
    found = compared(changed(lambda boxes: boxes[:1]))
    assert (found.baseline_faces, found.face_recall) == (10, 1)


def test_the_overlap_is_the_mean_of_pairs(compared: Callable[..., Comparison]) -> None:
    # of squares a quarter of their side apart: 0.75 ÷ 1.25
    found = compared(aside(16))
    assert (found.face_recall, found.mean_iou) == (1, pytest.approx(0.6, abs=0.02))
    # the second of two only: five pairs of fifteen
    second = compared(changed(lambda boxes: boxes + np.array([[0], [16]])[: len(boxes)] * [1, 0, 1, 0]))
    assert second.mean_iou == pytest.approx((10 * 1 + 5 * 0.6) / 15, abs=0.01)


def test_a_box_that_overlaps_too_little_is_no_pair(compared: Callable[..., Comparison]) -> None:
    # half a side apart: ⅓
    found = compared(aside(32))
    assert (found.baseline_faces, found.face_recall) == (15, 0)
    assert found.to_dict()["mean_iou"] is None
    assert found.to_dict()["emotion_agreement"] is None


def test_a_face_of_the_run_is_the_partner_of_one_only(compared: Callable[..., Comparison]) -> None:
    found = compared(changed(lambda boxes: np.concatenate([boxes, boxes + 2])))
    assert (found.baseline_faces, found.face_recall, found.mean_iou) == (30, 0.5, 1)


def test_small_faces_are_left_out(compared: Callable[..., Comparison]) -> None:
    # 64 px less 8 on each side
    assert compared(smaller(8)).baseline_faces == 0
    assert compared(smaller(1)).baseline_faces == 15


# --- emotions


def saying(*answers: tuple[str, float]) -> ClassifyFaces:
    """A classifier that gives these answers in turn, each with its probability."""
    turn = cycle(answers)

    def classify(crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = np.zeros((len(crops), len(EMOTIONS)), np.float32)
        for row in rows:
            emotion, probability = next(turn)
            row[:] = (1 - probability) / (len(EMOTIONS) - 1)
            row[EMOTIONS.index(emotion)] = probability
        return rows, np.zeros(len(rows), np.float32)

    return classify


def test_agreement_is_the_share_of_pairs_with_the_same_emotion(compared: Callable[..., Comparison]) -> None:
    # the squares are light: happy to the run
    found = compared(classify=saying(("happy", 0.9), ("sad", 0.9), ("happy", 0.6)))
    assert found.emotion_agreement == pytest.approx(2 / 3)


def test_of_what_the_baseline_is_not_sure_nothing_is_expected(compared: Callable[..., Comparison]) -> None:
    found = compared(
        classify=saying(("happy", 0.9), ("sad", 0.9), ("fear", 0.49), ("sad", 0.4), ("sad", 0.5))
    )
    assert found.emotion_agreement == pytest.approx(1 / 3)
    assert compared(classify=saying(("happy", 0.4))).to_dict()["emotion_agreement"] is None


# --- the run


def test_the_ratio_is_of_both_times(compared: Callable[..., Comparison]) -> None:
    found = compared(end_to_end_s=0.125)
    assert found.ratio_to_baseline == pytest.approx(found.baseline_s / 0.125)
    assert found.baseline_s > 0


def test_each_face_is_classified_when_its_turn_comes(compared: Callable[..., Comparison]) -> None:
    counts: list[int] = []

    def classify(crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        counts.append(len(crops))
        return np.eye(7, dtype=np.float32)[:1].repeat(len(crops), axis=0), np.zeros(len(crops), np.float32)

    compared(classify=classify)
    assert counts == [1] * 15


def test_progress_counts_samples(
    costs: Costs, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.checks.facenet_baseline.FacenetDetector", lambda device: find_squares)
    calls: list[tuple[int, int]] = []
    compare(
        costs,
        SETTINGS,
        fake_networks,
        fake_networks.classify,
        lambda done, total: calls.append((done, total)),
    )
    assert calls == [(done, 10) for done in range(1, 11)]


# --- facenet-pytorch's detector


def test_pictures_without_a_face_have_none() -> None:
    found = FacenetDetector()(np.zeros((2, 60, 80, 3), np.uint8))
    assert [one.boxes_xyxy.shape for one in found] == [(0, 4)] * 2
    assert [one.landmarks.shape for one in found] == [(0, 5, 2)] * 2


def test_its_answers_are_floats_largest_first(clips: Path) -> None:
    from videos import first_pictures

    image = first_pictures(clips / "three_walk.mp4", 41)[40]
    (found,) = FacenetDetector(min_face_size=40)(image[None])
    count = len(found.boxes_xyxy)
    assert count >= 3
    assert (found.probability.shape, found.landmarks.shape) == ((count,), (count, 5, 2))
    assert {c.dtype for c in (found.boxes_xyxy, found.probability, found.landmarks)} == {np.dtype(np.float32)}
    assert (np.diff((found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]).prod(axis=1)) <= 0).all()
