"""Follow faces in video: full detection on key samples, refined interpolated boxes between them."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torchvision.ops import batched_nms

from pipeline.faces.detection import (
    STEEP_DEG,
    TURNS_DEG,
    Detections,
    Detector,
    add_missing,
    elsewhere,
    iou,
    roll_of,
)
from pipeline.faces.warp import signed

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

# The first key sample without a face is searched in all of these turns; then every sixth in one of them. Of
# those with faces, every fifteenth is searched, as somebody may lie beside others.
_SEARCH_EMPTY, _SEARCH_WITH_FACES = 6, 15

Refiner = Callable[
    [NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]], Detections
]
"""(B, H, W, 3) uint8 RGB, (n, 4) guessed boxes, (n,) picture and (n,) roll of each box → one row per box."""


class Searcher(Protocol):
    """Finds askew faces in a picture, (H, W, 3) uint8 RGB, by turning it."""

    def upright(self, image: NDArray[np.uint8], found: Detections) -> Detections:
        """The same faces in their true orientation: an upside-down face may look like an upright one."""

    def at_any_angle(self, images: NDArray[np.uint8]) -> list[Detections]:
        """The faces of (B, H, W, 3) pictures without a connection; askew ones where no other is."""

    def near(
        self, image: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32], roll: NDArray[np.float32]
    ) -> Detections:
        """The faces near (n, 4) boxes, askew by about (n,) degrees; not always one for each box."""

    def turned(self, image: NDArray[np.uint8], turn: float) -> Detections:
        """The faces that are found when the picture is turned counterclockwise by degrees, upright or not."""


@dataclass(frozen=True)
class _Guesses:
    """Expected positions of faces.

    :param boxes_xyxy: (n, 4) px.
    :param offset: (n, 4) px, box of full detection minus refined box, interpolated between key samples:
        refined boxes are slightly too large or too small, differently for each person.
    :param roll: (n,) degrees.
    :param sample: (n,) sample of each box.
    """

    boxes_xyxy: NDArray[np.float32]
    offset: NDArray[np.float32]
    roll: NDArray[np.float32]
    sample: NDArray[np.int64]


@dataclass(frozen=True)
class _Key:
    """A key sample's faces: boxes, offsets and roll as in :class:`_Guesses`."""

    boxes_xyxy: NDArray[np.float32]
    offset: NDArray[np.float32]
    roll: NDArray[np.float32]


_NO_FACES = _Key(*(np.zeros(shape, np.float32) for shape in ((0, 4), (0, 4), 0)))


class Follower:
    """A detector for consecutive samples of one video; it keeps the last key sample between calls.

    Between two key samples, boxes are interpolated and refined, in one batch per call. Samples in which an
    expected face is not found get full detection. An askew face that full detection misses is looked for
    where it was; others are searched for in the turned picture.

    :param every: distance between key samples, in samples.
    :param search: without it, only faces that are nearly upright are found.
    """

    def __init__(self, detect: Detector, refine: Refiner, every: int, search: Searcher | None = None) -> None:
        self._detect, self._refine, self._every, self._search = detect, refine, max(1, every), search
        self._before: _Key | None = None
        # turns in which it has searched, and key samples since the last search
        self._searched, self._idle = 0, 0

    def __call__(self, images: NDArray[np.uint8]) -> list[Detections]:
        """(B, H, W, 3) uint8 RGB → the faces of each picture. The last picture is a key sample."""
        if len(images) == 0:
            return []
        first = 0 if self._before is None else self._every - 1
        samples = np.unique([*range(first, len(images), self._every), len(images) - 1])
        found: dict[int, Detections] = {}
        before = self._before or _NO_FACES
        boxes, roll = before.boxes_xyxy, before.roll
        for sample, of in zip(samples.tolist(), self._detect(images[samples]), strict=True):
            found[sample] = self._with_askew(images[sample], of, boxes, roll)
            boxes, roll = found[sample].boxes_xyxy, roll_of(found[sample])
        keys = self._measured(images, found)
        guesses = _guess(keys if self._before is None else {-1: self._before, **keys})
        if len(guesses.sample):
            found |= self._follow(images, guesses)
        self._before = keys[len(images) - 1]
        return [found.get(sample, Detections.none()) for sample in range(len(images))]

    def _with_askew(
        self,
        image: NDArray[np.uint8],
        found: Detections,
        boxes: NDArray[np.float32],
        roll: NDArray[np.float32],
    ) -> Detections:
        """The faces of a key sample in their true orientation, with those that only a turned picture shows.

        The orientation of a face is determined when the face comes; later it is expected.

        :param boxes, roll: (n, 4) and (n,), of the faces of the key sample before.
        """
        if self._search is None:
            return found
        askew = np.abs(roll) > STEEP_DEG
        new = elsewhere(found, boxes)
        expected = found.select(np.flatnonzero(~new & elsewhere(found, boxes[askew])))
        tilted = np.abs(roll_of(expected)) > STEEP_DEG
        again = self._search.near(
            image,
            np.concatenate([boxes[askew], expected.boxes_xyxy[tilted]]),
            np.concatenate([roll[askew], roll_of(expected)[tilted]]),
        )
        upright = self._search.upright(image, found.select(np.flatnonzero(new)))
        faces = add_missing(add_missing(again, expected), upright)
        lost = len(boxes) > 0 and not len(faces.probability)
        for turn in self._turns(seen=len(faces.probability) > 0, lost=lost):
            more = self._search.turned(image, turn)
            more = more.select(np.flatnonzero(elsewhere(more, faces.boxes_xyxy)))
            more = self._search.upright(image, more)
            if len(more.probability):
                return add_missing(faces, more)
        return faces

    def _turns(self, *, seen: bool, lost: bool) -> Sequence[float]:
        """The turns in which to search this key sample, degrees."""
        self._idle += 1
        if lost or (self._searched == 0 and not seen):
            self._searched, self._idle = len(TURNS_DEG), 0
            return TURNS_DEG
        if self._idle < (_SEARCH_WITH_FACES if seen else _SEARCH_EMPTY):
            return ()
        self._searched, self._idle = self._searched + 1, 0
        return (TURNS_DEG[(self._searched - 1) % len(TURNS_DEG)],)

    def _measured(self, images: NDArray[np.uint8], found: dict[int, Detections]) -> dict[int, _Key]:
        """The key samples, with the offset of the refined boxes."""
        boxes = np.concatenate([of.boxes_xyxy for of in found.values()])
        roll = np.concatenate([roll_of(of) for of in found.values()])
        sample = np.repeat(list(found), [len(of.boxes_xyxy) for of in found.values()])
        offset = np.zeros_like(boxes)
        if len(boxes) and self._every > 1:  # without samples between key samples, nobody needs the offset
            refined = self._refine(images, boxes, sample, roll)
            offset = np.where(_sure(refined, boxes)[:, None], boxes - refined.boxes_xyxy, np.float32(0))
        return {
            key: _Key(of.boxes_xyxy, offset[sample == key], roll[sample == key]) for key, of in found.items()
        }

    def _follow(self, images: NDArray[np.uint8], guesses: _Guesses) -> dict[int, Detections]:
        refined = self._refine(images, guesses.boxes_xyxy, guesses.sample, guesses.roll)
        sure = _sure(refined, guesses.boxes_xyxy)
        unsure = np.unique(guesses.sample[~sure])
        found = dict(zip(unsure.tolist(), self._detect(images[unsure]), strict=True)) if len(unsure) else {}
        refined = replace(refined, boxes_xyxy=refined.boxes_xyxy + guesses.offset)
        # full detection misses askew faces
        askew = sure & (np.abs(guesses.roll) > STEEP_DEG)
        for sample in unsure.tolist():
            found[sample] = add_missing(
                found[sample], refined.select(np.flatnonzero(askew & (guesses.sample == sample)))
            )
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
    rows, samples = [np.zeros((0, 9), np.float32)], [np.zeros(0, np.int64)]
    for first, last in itertools.pairwise(sorted(keys)):
        starts, ends = _paired(keys[first], keys[last])
        for sample in range(first + 1, last):
            share = (sample - first) / (last - first)
            rows.append((starts + share * (ends - starts)).astype(np.float32))
            samples.append(np.full(len(starts), sample))
    all_rows = np.concatenate(rows)
    return _Guesses(all_rows[:, :4], all_rows[:, 4:8], all_rows[:, 8], np.concatenate(samples))


def _paired(first: _Key, last: _Key) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(m, 9) boxes, offsets and roll of the faces at both key samples.

    A face of only one of them does not move.
    """
    rows, columns = _match(first.boxes_xyxy, last.boxes_xyxy)
    gone = np.setdiff1d(np.arange(len(first.boxes_xyxy)), rows)
    new = np.setdiff1d(np.arange(len(last.boxes_xyxy)), columns)
    starts, ends = (np.hstack([key.boxes_xyxy, key.offset, key.roll[:, None]]) for key in (first, last))
    turned = ends[columns]
    # the shorter way round
    turned[:, 8] = starts[rows, 8] + signed(turned[:, 8] - starts[rows, 8])
    return (
        np.concatenate([starts[rows], starts[gone], ends[new]]),
        np.concatenate([turned, starts[gone], ends[new]]),
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
