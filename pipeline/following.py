"""Detect rarely, follow always: full detection on key samples, refined boxes between them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torchvision.ops import batched_nms

from pipeline.faces import FACE_THRESHOLD, Detections, Detector

# Whoever comes in is seen after this at the latest, s.
KEY_INTERVAL_S = 1.0

# Two faces at consecutive key samples are the same if their centres are within one face size, and their
# sizes alike: as in tracking.
_MAX_DISTANCE = 1.0
_MAX_SIZE_RATIO = 1.5

# A refined box that has less than this in common with its guess is another face, or none.
_MIN_IOU = 0.3

# Two guesses that end up this near to one another are one face.
_SAME_FACE_IOU = 0.5

Refiner = Callable[[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]], Detections]
"""(B, H, W, 3) uint8 RGB, (n, 4) guessed boxes, (n,) which picture each lies in → one row for each box."""


@dataclass(frozen=True)
class _Guesses:
    """Where faces should be: (n, 4) boxes, and (n,) the sample each belongs to."""

    boxes_xyxy: NDArray[np.float32]
    sample: NDArray[np.int64]


class Follower:
    """A detector for the consecutive samples of one video; it remembers where the last call ended.

    Between two key samples a face's box is interpolated and refined, all of a call in one batch. A sample
    where that does not find every expected face again gets full detection.

    :param every: samples from one key sample to the next.
    """

    def __init__(self, detect: Detector, refine: Refiner, every: int) -> None:
        self._detect, self._refine, self._every = detect, refine, max(1, every)
        self._before: Detections | None = None

    def __call__(self, images: NDArray[np.uint8]) -> list[Detections]:
        """(B, H, W, 3) uint8 RGB → the faces of each picture. The last one is a key sample."""
        if len(images) == 0:
            return []
        first = 0 if self._before is None else self._every - 1
        keys = np.unique([*range(first, len(images), self._every), len(images) - 1])
        found = dict(zip(keys.tolist(), self._detect(images[keys]), strict=True))
        guesses = _guess(found if self._before is None else {-1: self._before, **found})
        if len(guesses.sample):
            found |= self._follow(images, guesses)
        self._before = found[len(images) - 1]
        return [found.get(sample, Detections.none()) for sample in range(len(images))]

    def _follow(self, images: NDArray[np.uint8], guesses: _Guesses) -> dict[int, Detections]:
        refined = self._refine(images, guesses.boxes_xyxy, guesses.sample)
        sure = (refined.probability >= FACE_THRESHOLD) & (
            _iou(refined.boxes_xyxy, guesses.boxes_xyxy) >= _MIN_IOU
        )
        unsure = np.unique(guesses.sample[~sure])
        found = dict(zip(unsure.tolist(), self._detect(images[unsure]), strict=True)) if len(unsure) else {}
        once = _without_doubles(refined, guesses.sample)
        for sample in np.setdiff1d(guesses.sample, unsure).tolist():
            found[sample] = refined.select(once[guesses.sample[once] == sample])
        return found


def _guess(found: dict[int, Detections]) -> _Guesses:
    """The faces of all samples between the key ones."""
    keys = sorted(found)
    boxes, samples = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.int64)]
    for first, last in itertools.pairwise(keys):
        starts, ends = _paired(found[first].boxes_xyxy, found[last].boxes_xyxy)
        for sample in range(first + 1, last):
            share = (sample - first) / (last - first)
            boxes.append((starts + share * (ends - starts)).astype(np.float32))
            samples.append(np.full(len(starts), sample))
    return _Guesses(np.concatenate(boxes), np.concatenate(samples))


def _paired(
    first: NDArray[np.float32], last: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes of the same faces at both ends; a face that has only one stays where it is."""
    rows, columns = _match(first, last)
    gone = np.setdiff1d(np.arange(len(first)), rows)
    new = np.setdiff1d(np.arange(len(last)), columns)
    return (
        np.concatenate([first[rows], first[gone], last[new]]),
        np.concatenate([last[columns], first[gone], last[new]]),
    )


def _match(
    first: NDArray[np.float32], last: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the two that are the same face, by the smallest total distance (Hungarian method)."""
    size, other = _sizes(first)[:, None], _sizes(last)[None]
    distance = cdist(_centres(first), _centres(last)) / np.maximum(size, other)
    possible = (distance <= _MAX_DISTANCE) & (np.maximum(size / other, other / size) <= _MAX_SIZE_RATIO)
    # an impossible pair costs more than all possible ones together, but is finite, as the solver needs
    rows, columns = linear_sum_assignment(np.where(possible, distance, 10.0 * distance.size + 1))
    kept = possible[rows, columns]
    return rows[kept], columns[kept]


def _centres(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    return boxes.reshape(-1, 2, 2).mean(axis=1, dtype=np.float64)


def _sizes(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """√(width · height), px; at least 1: a box can be without area at the picture's edge."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.sqrt(sides.prod(axis=1)).astype(np.float32)


def _iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) overlap of row with row: intersection ÷ union."""
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    areas = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1) for boxes in (one, other)]
    overlap: NDArray[np.float32] = (shared / np.maximum(areas[0] + areas[1] - shared, 1e-6)).astype(
        np.float32
    )
    return overlap


def _without_doubles(found: Detections, sample: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows that are left when of two boxes of one face in one sample the less probable goes."""
    kept = batched_nms(
        torch.from_numpy(found.boxes_xyxy),
        torch.from_numpy(found.probability),
        torch.from_numpy(sample),
        _SAME_FACE_IOU,
    )
    return np.sort(kept.numpy())
