"""faces.mtcnn against facenet-pytorch's detector, and against itself with other boxes and batches."""

from dataclasses import astuple
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou
from videos import first_pictures

from pipeline.checks.facenet_baseline import COMPARED_FACE_PX, FacenetDetector
from pipeline.errors import InputError
from pipeline.faces.detection import Detections
from pipeline.faces.mtcnn import Cascade, _Pooled

EVERY = {
    "single_face.mp4": 15,
    "gesture_720p.mp4": 24,
    "crowd_1080p.mp4": 30,
    "asl_bird.mkv": 20,
    "asl_help.mkv": 15,
    "asl_walk.mkv": 20,
    "three_walk.mp4": 20,
    "face_then_none.mov": 50,
}
"""Clip → frames from one that is looked at to the next."""

FRAMES = 76


@cache
def pictures(clips: Path, name: str) -> NDArray[np.uint8]:
    with av.open(str(clips / name)) as container:
        frames = zip(range(FRAMES), container.decode(video=0), strict=False)
        return np.stack([frame.to_ndarray(format="rgb24") for n, frame in frames if n % EVERY[name] == 0])


def iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return box_iou(torch.from_numpy(one), torch.from_numpy(other)).numpy()


def areas(found: Detections) -> NDArray[np.float32]:
    return (found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]).prod(axis=1)


def large(found: Detections) -> Detections:
    return found.select(np.flatnonzero(areas(found) >= COMPARED_FACE_PX**2))


def joined(found: list[Detections]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All boxes, and the picture that each is on."""
    counts = [len(one.boxes_xyxy) for one in found]
    return np.concatenate([one.boxes_xyxy for one in found]), np.repeat(np.arange(len(found)), counts)


@pytest.fixture(scope="module")
def face(clips: Path) -> NDArray[np.uint8]:
    """(360, 640, 3): one man."""
    return first_pictures(clips / "single_face.mp4", 1)[0]


@pytest.fixture(scope="module")
def crowd(clips: Path) -> NDArray[np.uint8]:
    return pictures(clips, "crowd_1080p.mp4")


@pytest.fixture(scope="module")
def crowd_found(crowd: NDArray[np.uint8], real_detector: Cascade) -> list[Detections]:
    return real_detector(crowd)


# --- full detection


def test_no_pictures_have_no_faces(real_detector: Cascade) -> None:
    assert real_detector(np.zeros((0, 360, 640, 3), np.uint8)) == []


@pytest.mark.slow
def test_faces_are_those_of_facenet_pytorch(clips: Path, real_detector: Cascade) -> None:
    facenet = FacenetDetector("cpu", min_face_size=40, thresholds=[0.6, 0.7, 0.9])
    overlap, landmarks_off, theirs_count, ours_count = [], [], 0, 0
    for name in EVERY:
        images = pictures(clips, name)
        for ours, theirs in zip(real_detector(images), map(large, facenet(images)), strict=True):
            shared = iou(theirs.boxes_xyxy, ours.boxes_xyxy)
            rows, columns = (shared >= 0.5).nonzero()
            assert len(set(rows)) == len(set(columns)) == len(rows)
            off = np.abs(ours.landmarks[columns] - theirs.landmarks[rows]).max(axis=(1, 2))
            overlap += shared[rows, columns].tolist()
            landmarks_off += (off / np.sqrt(areas(theirs)[rows])).tolist()
            theirs_count += len(theirs.boxes_xyxy)
            ours_count += len(large(ours).boxes_xyxy)
    assert theirs_count > 30
    assert len(overlap) >= theirs_count - 1
    assert ours_count == pytest.approx(theirs_count, abs=2)
    assert np.mean(overlap) >= 0.95
    assert np.median(landmarks_off) < 0.025


def test_the_left_eye_as_seen_comes_first(face: NDArray[np.uint8], real_detector: Cascade) -> None:
    found = real_detector(face[None])[0]
    (left, right, nose, mouth_left, mouth_right), (x1, y1, x2, y2) = found.landmarks[0], found.boxes_xyxy[0]
    assert x1 < left[0] < nose[0] < right[0] < x2
    assert mouth_left[0] < mouth_right[0]
    assert y1 < left[1] < nose[1] < mouth_left[1] < y2


@pytest.mark.parametrize("name", ["three_walk.mp4", "asl_bird.mkv"])
def test_a_picture_s_faces_are_the_same_whatever_else_is_in_the_batch(
    clips: Path, real_detector: Cascade, name: str
) -> None:
    images = pictures(clips, name)
    together = real_detector(images)
    assert len(images) > 1
    assert sum(len(found.boxes_xyxy) for found in together) > 2
    for image, found in zip(images, together, strict=True):
        for one, other in zip(astuple(real_detector(image[None])[0]), astuple(found), strict=True):
            np.testing.assert_allclose(one, other, atol=0.01)


def test_the_largest_face_comes_first(crowd_found: list[Detections]) -> None:
    for found in crowd_found:
        assert len(found.boxes_xyxy) > 1
        assert (np.diff(areas(found)) <= 0).all()


def test_smaller_faces_are_found_if_they_are_looked_for(
    crowd: NDArray[np.uint8], crowd_found: list[Detections]
) -> None:
    usual, larger = crowd_found[0], Cascade(120)(crowd[:1])[0]
    assert 0 < len(larger.boxes_xyxy) < len(usual.boxes_xyxy)


def test_a_picture_without_a_face_has_none_even_beside_one_that_has(
    face: NDArray[np.uint8], real_detector: Cascade
) -> None:
    none, some, none_again = real_detector(np.stack([face * 0, face, face * 0 + 128]))
    assert len(some.boxes_xyxy) == 1
    for empty in (none, none_again):
        assert_shapes(empty, 0)


@pytest.mark.parametrize("side", [1, 11, 12, 20, 39, 40, 45])
def test_a_picture_too_small_for_a_face_has_none(real_detector: Cascade, side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, side, side + 1, 3), np.uint8)
    assert [len(found.boxes_xyxy) for found in real_detector(images)] == [0, 0]


@pytest.mark.parametrize("min_face_px", [-1, 0, 11])
def test_a_smallest_face_below_the_detector_s_window_is_refused(min_face_px: int) -> None:
    with pytest.raises(InputError, match="`min_face_px`"):
        Cascade(min_face_px)


# --- looking again


def assert_shapes(found: Detections, count: int) -> None:
    shapes = [(count, 4), (count,), (count, 5, 2)]
    assert [column.shape for column in astuple(found)] == shapes
    assert {column.dtype for column in astuple(found)} == {np.dtype(np.float32)}


def refined(cascade: Cascade, image: NDArray[np.uint8], *boxes: list[float]) -> Detections:
    """On one picture."""
    boxes_xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return cascade.refine(image[None], boxes_xyxy, np.zeros(len(boxes), np.int64))


def same(found: Detections, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) overlap of row with row."""
    return iou(found.boxes_xyxy, boxes).diagonal()


def test_no_boxes_have_no_rows(face: NDArray[np.uint8], real_detector: Cascade) -> None:
    assert_shapes(refined(real_detector, face), 0)


@pytest.mark.parametrize("name", ["single_face.mp4", "gesture_720p.mp4", "asl_help.mkv"])
def test_a_box_that_is_right_stays(clips: Path, real_detector: Cascade, name: str) -> None:
    images = pictures(clips, name)
    boxes, frame = joined([large(found) for found in real_detector(images)])
    found = real_detector.refine(images, boxes, frame)
    assert_shapes(found, len(images))
    assert same(found, boxes).min() > 0.85
    assert found.probability.min() > 0.7


@pytest.mark.parametrize("across", [-0.1, 0.1])
@pytest.mark.parametrize("down", [-0.1, 0.1])
@pytest.mark.parametrize("name", ["single_face.mp4", "gesture_720p.mp4", "asl_help.mkv"])
def test_a_box_that_is_a_little_off_comes_back(
    clips: Path, real_detector: Cascade, name: str, across: float, down: float
) -> None:
    images = pictures(clips, name)
    boxes, frame = joined([large(found) for found in real_detector(images)])
    sides = boxes[:, 2:] - boxes[:, :2]
    moved = (boxes + np.tile(sides * [across, down], 2)).astype(np.float32)
    found = real_detector.refine(images, moved, frame)
    overlap = same(found, boxes)
    assert same(Detections(moved, found.probability, found.landmarks), boxes).max() < 0.7
    assert overlap.min() > 0.8
    assert overlap.mean() > 0.88
    assert found.probability.min() > 0.7


def test_landmarks_lie_in_the_refined_box(face: NDArray[np.uint8], real_detector: Cascade) -> None:
    box = real_detector(face[None])[0].boxes_xyxy[0]
    found = refined(real_detector, face, (box + 12).tolist())
    x1, y1, x2, y2 = found.boxes_xyxy[0]
    left, right, nose, _, _ = found.landmarks[0]
    assert x1 < left[0] < nose[0] < right[0] < x2
    assert y1 < left[1] < nose[1] < y2


@pytest.mark.parametrize("box", [[10, 10, 130, 130], [500, 20, 620, 150], [-60, 200, 60, 330]])
def test_a_box_without_a_face_is_improbable(
    face: NDArray[np.uint8], real_detector: Cascade, box: list[float]
) -> None:
    assert refined(real_detector, face, box).probability[0] < 0.3


@pytest.mark.parametrize(
    "outside", [[-300, 40, -100, 240], [700, 40, 900, 240], [300, -400, 400, -300], [300, 400, 420, 530]]
)
def test_a_box_outside_of_the_picture_keeps_its_row(
    face: NDArray[np.uint8], real_detector: Cascade, outside: list[float]
) -> None:
    right = real_detector(face[None])[0].boxes_xyxy[0]
    found = refined(real_detector, face, right.tolist(), outside, (right + 10).tolist())
    assert_shapes(found, 3)
    assert found.probability[1] == 0
    assert found.probability[[0, 2]].min() > 0.7
    assert iou(found.boxes_xyxy[[0, 2]], right[None]).min() > 0.8


def test_boxes_outside_of_the_picture_alone_have_rows_too(
    face: NDArray[np.uint8], real_detector: Cascade
) -> None:
    found = refined(real_detector, face, [-300, 40, -100, 240], [700, 40, 701, 41])
    assert_shapes(found, 2)
    assert found.probability.tolist() == [0, 0]


def test_boxes_come_back_in_their_order(
    crowd: NDArray[np.uint8], crowd_found: list[Detections], real_detector: Cascade
) -> None:
    boxes, frame = joined([large(found) for found in crowd_found])
    ordered = real_detector.refine(crowd, boxes, frame)
    order = np.random.default_rng(0).permutation(len(boxes))
    assert len(boxes) > 8
    mixed = real_detector.refine(crowd, boxes[order], frame[order])
    for one, other in zip(astuple(mixed), astuple(ordered), strict=True):
        np.testing.assert_allclose(one, other[order], atol=0.01)
    assert same(ordered, boxes).min() > 0.5


def test_a_face_is_looked_for_in_its_own_picture(face: NDArray[np.uint8], real_detector: Cascade) -> None:
    box = real_detector(face[None])[0].boxes_xyxy
    images, frame = np.stack([face * 0, face, face * 0 + 128]), np.array([2, 1, 0])
    found = real_detector.refine(images, box.repeat(3, axis=0), frame)
    assert found.probability[1] > 0.9
    assert found.probability[[0, 2]].max() < 0.3


def test_pooling_before_prelu_gives_the_same_numbers() -> None:
    torch.manual_seed(0)
    convolution, act = torch.nn.Conv2d(3, 9, 3), torch.nn.PReLU(9)
    pool = torch.nn.MaxPool2d(2, 2, ceil_mode=True)
    act.weight.data = torch.linspace(-1.3, 1.2, 9)  # as PNet's
    x = torch.randn(2, 3, 24, 31)
    with torch.inference_mode():
        torch.testing.assert_close(
            _Pooled(convolution, act, pool)(x), pool(act(convolution(x))), rtol=0, atol=0
        )
