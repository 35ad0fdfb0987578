"""Follow faces in video: full detection on key samples, refined interpolated boxes between them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torchvision.ops import batched_nms

from pipeline.faces.detection import Detections, Detector, iou

# Two faces at consecutive key samples match if their centres are within one face size and their sizes
# similar, as in tracking.
_MAX_DISTANCE = 1.0
_MAX_SIZE_RATIO = 1.5

# Minimum probability at an expected place, lower than for a new face: facenet-pytorch's threshold.
_FOLLOWED_THRESHOLD = 0.7

# Minimum IoU of a refined box and its guess; below, the box is of another face, or of none.
_MIN_IOU = 0.3

# IoU from which two refined boxes are of the same face.
_SAME_FACE_IOU = 0.5

Refiner = Callable[[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]], Detections]
"""(B, H, W, 3) uint8 RGB, (n, 4) guessed boxes, (n,) picture of each box → one row per box."""


@dataclass(frozen=True)
class _Guesses:
    """Expected positions of faces.

    :param boxes_xyxy: (n, 4) px.
    :param offset: (n, 4) px, box of full detection minus refined box, interpolated between key samples:
        refined boxes are slightly too large or too small, differently for each person.
    :param sample: (n,) sample of each box.
    """

    boxes_xyxy: NDArray[np.float32]
    offset: NDArray[np.float32]
    sample: NDArray[np.int64]


@dataclass(frozen=True)
class _Key:
    """A key sample's faces: (n, 4) boxes and offsets as in :class:`_Guesses`."""

    boxes_xyxy: NDArray[np.float32]
    offset: NDArray[np.float32]


class Follower:
    """A detector for consecutive samples of one video; it keeps the last key sample between calls.

    Between two key samples, boxes are interpolated and refined, in one batch per call. Samples in which an
    expected face is not found get full detection.

    :param every: distance between key samples, in samples.
    """

    def __init__(self, detect: Detector, refine: Refiner, every: int) -> None:
        self._detect, self._refine, self._every = detect, refine, max(1, every)
        self._before: _Key | None = None

    def __call__(self, images: NDArray[np.uint8]) -> list[Detections]:
        """(B, H, W, 3) uint8 RGB → the faces of each picture. The last picture is a key sample."""
        if len(images) == 0:
            return []
        first = 0 if self._before is None else self._every - 1
        samples = np.unique([*range(first, len(images), self._every), len(images) - 1])
        found = dict(zip(samples.tolist(), self._detect(images[samples]), strict=True))
        keys = self._measured(images, found)
        guesses = _guess(keys if self._before is None else {-1: self._before, **keys})
        if len(guesses.sample):
            found |= self._follow(images, guesses)
        self._before = keys[len(images) - 1]
        return [found.get(sample, Detections.none()) for sample in range(len(images))]

    def _measured(self, images: NDArray[np.uint8], found: dict[int, Detections]) -> dict[int, _Key]:
        """The key samples, with the offset of the refined boxes."""
        boxes = np.concatenate([of.boxes_xyxy for of in found.values()])
        sample = np.repeat(list(found), [len(of.boxes_xyxy) for of in found.values()])
        refined = self._refine(images, boxes, sample) if len(boxes) else Detections.none()
        sure = _sure(refined, boxes)[:, None]
        offset = np.where(sure, boxes - refined.boxes_xyxy, np.float32(0))
        return {key: _Key(of.boxes_xyxy, offset[sample == key]) for key, of in found.items()}

    def _follow(self, images: NDArray[np.uint8], guesses: _Guesses) -> dict[int, Detections]:
        refined = self._refine(images, guesses.boxes_xyxy, guesses.sample)
        unsure = np.unique(guesses.sample[~_sure(refined, guesses.boxes_xyxy)])
        found = dict(zip(unsure.tolist(), self._detect(images[unsure]), strict=True)) if len(unsure) else {}
        refined = replace(refined, boxes_xyxy=refined.boxes_xyxy + guesses.offset)
        once = _without_doubles(refined, guesses.sample)
        for sample in np.setdiff1d(guesses.sample, unsure).tolist():
            found[sample] = refined.select(once[guesses.sample[once] == sample])
        return found


def _sure(refined: Detections, guess_xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n,) whether a face was found at the expected place."""
    near = iou(refined.boxes_xyxy, guess_xyxy) >= _MIN_IOU
    return near & (refined.probability >= _FOLLOWED_THRESHOLD)


def _guess(keys: dict[int, _Key]) -> _Guesses:
    """Interpolated faces of all samples between key samples."""
    boxes, samples = [np.zeros((0, 8), np.float32)], [np.zeros(0, np.int64)]
    for first, last in itertools.pairwise(sorted(keys)):
        starts, ends = _paired(keys[first], keys[last])
        for sample in range(first + 1, last):
            share = (sample - first) / (last - first)
            boxes.append((starts + share * (ends - starts)).astype(np.float32))
            samples.append(np.full(len(starts), sample))
    both = np.concatenate(boxes)
    return _Guesses(both[:, :4], both[:, 4:], np.concatenate(samples))


def _paired(first: _Key, last: _Key) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(m, 8) boxes and offsets of the faces at both key samples; a face of only one of them does not move."""
    rows, columns = _match(first.boxes_xyxy, last.boxes_xyxy)
    gone = np.setdiff1d(np.arange(len(first.boxes_xyxy)), rows)
    new = np.setdiff1d(np.arange(len(last.boxes_xyxy)), columns)
    starts, ends = (np.hstack([key.boxes_xyxy, key.offset]) for key in (first, last))
    return (
        np.concatenate([starts[rows], starts[gone], ends[new]]),
        np.concatenate([ends[columns], starts[gone], ends[new]]),
    )


def _match(
    first: NDArray[np.float32], last: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match rows of the same face by the smallest total distance (Hungarian method)."""
    size, other = _sizes(first)[:, None], _sizes(last)[None]
    distance = cdist(_centres(first), _centres(last)) / np.maximum(size, other)
    possible = (distance <= _MAX_DISTANCE) & (np.maximum(size / other, other / size) <= _MAX_SIZE_RATIO)
    # an impossible pair costs more than all possible pairs together; the solver needs a finite cost
    rows, columns = linear_sum_assignment(np.where(possible, distance, 10.0 * distance.size + 1))
    kept = possible[rows, columns]
    return rows[kept], columns[kept]


def _centres(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    return boxes.reshape(-1, 2, 2).mean(axis=1, dtype=np.float64)


def _sizes(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """√(width · height), px; at least 1, because a box at the picture's edge can have no area."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.sqrt(sides.prod(axis=1)).astype(np.float32)


def _without_doubles(found: Detections, sample: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows without duplicates: of two boxes of one face in a sample, keep the more probable one."""
    kept = batched_nms(
        torch.from_numpy(found.boxes_xyxy),
        torch.from_numpy(found.probability),
        torch.from_numpy(sample),
        _SAME_FACE_IOU,
    )
    return np.sort(kept.numpy())
