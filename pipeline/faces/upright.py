"""Find faces at any angle: tilted heads, people who lie, cameras on their side.

MTCNN finds faces that are upright to about 30°. An upside-down face may pass as an upright one with plausible
landmarks: the same man's face scores 1.00 upright, and 0.99 upside down. Therefore each face is compared in
four orientations, and askew faces are looked at again, turned upright.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.faces.detection import (
    FACE_THRESHOLD,
    STEEP_DEG,
    TURNS_DEG,
    Detections,
    add_missing,
    cut_for_mesh,
    face_size,
    joined,
    roll_of,
)
from pipeline.faces.mesh import StateReader
from pipeline.faces.mtcnn import Cascade
from pipeline.faces.warp import around, rotation, signed, warp

# Side of the turned part of the picture, px, and as a multiple of the face's size: ONet takes 48 px.
_PATCH_PX, _PATCH_SIDE = 96, 2.0

# ONet's landmarks are too upright: of a face that is askew by 35°, the roll may be 14°. The face is turned by
# its roll and looked at again, up to this often, until it is upright within these degrees.
_MOST_LOOKS, _CLOSE_DEG = 4, 5.0

# Size of the face, and side of the part of the picture, px, in which an askew face is detected again.
_NEAR_PX, _AREA_PX = 80, 240

# The other orientations of a face are compared in full only if one of them scores this much.
_SUSPICIOUS = 0.6

# The score of an orientation is that of the face itself, and the mean with these turns. On 103 faces of the
# trial clips, each of the two alone is wrong for one face in thirty, their sum for none.
_AROUND_DEG = (-30.0, 0.0, 30.0)

# A face of a probability between this and FACE_THRESHOLD needs a second opinion, the face mesh's. On FER2013,
# 2 % more faces are found so; on the trial clips, the only such detections are no faces, and are left out.
_DOUBTFUL = 0.7

# The search finds faces larger by this than the detection, in 0.44 of the time.
_SEARCH_LARGER = 1.5


class UprightCascade:
    """MTCNN for faces at any angle: a detector, a refiner and a :class:`pipeline.faces.following.Searcher`.

    :param min_face_px: smallest side of a face to detect, px.
    :raises InputError: the size is below the first network's window, or a file of weights is damaged.
    """

    def __init__(self, min_face_px: int, device: torch.device | str = "cpu") -> None:
        self._cascade = Cascade(min_face_px, device)
        self.read_states = StateReader(device)
        self._near_cascade = Cascade(_NEAR_PX // 2, device)

    def __call__(self, images: NDArray[np.uint8]) -> list[Detections]:
        """(B, H, W, 3) uint8 RGB → the faces of each picture as it is; askew faces may be missed or wrong."""
        found = self._cascade(images, _DOUBTFUL)
        return [self._confirmed(*both) for both in zip(images, found, strict=True)]

    def _confirmed(self, image: NDArray[np.uint8], found: Detections) -> Detections:
        """Without doubtful faces in which the face mesh finds none."""
        doubtful = np.flatnonzero(found.probability <= FACE_THRESHOLD)
        if not len(doubtful):
            return found
        roll = roll_of(found)
        crops = [cut_for_mesh(image, found.boxes_xyxy[row], float(roll[row])) for row in doubtful]
        kept = found.probability > FACE_THRESHOLD
        kept[doubtful] = self.read_states.finds_face(np.stack(crops))
        return found.select(np.flatnonzero(kept))

    def at_any_angle(self, images: NDArray[np.uint8]) -> list[Detections]:
        """As calling it, for pictures without a connection; askew faces are searched where no other is."""
        found = []
        for image, faces in zip(images, self(images), strict=True):
            faces = self.upright(image, faces)
            for turn in TURNS_DEG:
                if len(faces.probability):
                    break
                faces = self.upright(image, self.turned(image, turn))
            found.append(faces)
        return found

    def upright(self, image: NDArray[np.uint8], found: Detections) -> Detections:
        """The same faces in their true orientation; a face that is none when it is upright is left out."""
        kept = []
        for row, roll in enumerate(roll_of(found).tolist()):
            box = found.boxes_xyxy[row]
            turn = self._turn(image, box, roll)
            askew = turn or abs(roll) > STEEP_DEG
            kept.append(self._near(image, box, roll + turn) if askew else found.select(np.array([row])))
        return joined(kept)

    def near(
        self, image: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32], roll: NDArray[np.float32]
    ) -> Detections:
        """Detect faces again near (n, 4) boxes, in parts of the picture turned by their (n,) roll."""
        found = Detections.none()
        for box, deg in zip(boxes_xyxy, roll.tolist(), strict=True):
            found = add_missing(found, self._near(image, box, deg))
        return found

    def turned(self, image: NDArray[np.uint8], turn: float) -> Detections:
        """The faces that are found when the picture is turned counterclockwise by degrees, upright or not."""
        height, width, _ = image.shape
        small = Image.fromarray(image).resize(
            (max(1, round(width / _SEARCH_LARGER)), max(1, round(height / _SEARCH_LARGER)))
        )
        picture = np.array(small.rotate(turn, Image.Resampling.BILINEAR, expand=True))
        (found,) = self._cascade(picture[None])
        matrix = rotation(turn) * (width / small.width)
        shift = np.array([width, height]) / 2 - matrix @ (np.array(picture.shape[1::-1]) / 2)
        return _turned_back(found, matrix, shift, turn)

    def refine(
        self,
        images: NDArray[np.uint8],
        boxes_xyxy: NDArray[np.float32],
        frame: NDArray[np.int64],
        roll: NDArray[np.float32],
    ) -> Detections:
        """Refine approximate boxes.

        :param images: (B, H, W, 3) uint8 RGB.
        :param boxes_xyxy: (n, 4) px.
        :param frame: (n,) row of ``images`` for each box.
        :param roll: (n,) approximate, degrees clockwise as seen.
        :returns: one row per box, in order; probability 0 if a box lies outside the picture.
        """
        steep = np.abs(roll) > STEEP_DEG
        level = self._cascade.refine(images, boxes_xyxy[~steep], frame[~steep])
        if not steep.any():
            return level
        rows = np.flatnonzero(steep)
        turned = [_look(self._cascade, images[frame[row]], boxes_xyxy[row], [roll[row]]) for row in rows]
        both = joined([level, *turned])
        return both.select(np.argsort(np.concatenate([np.flatnonzero(~steep), rows])))

    def _near(self, image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], roll: float) -> Detections:
        """The face nearest to the box's centre, if there is one near, turned until it is upright."""
        found = Detections.none()
        for _ in range(_MOST_LOOKS):
            found = self._turned(image, box_xyxy, roll)
            if not len(found.probability):
                break
            before, roll, box_xyxy = roll, float(roll_of(found)[0]), found.boxes_xyxy[0]
            if abs(signed(roll - before)) < _CLOSE_DEG:
                break
        return found

    def _turned(self, image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], roll: float) -> Detections:
        matrix = rotation(roll) * max(face_size(box_xyxy), 1.0) / _NEAR_PX
        shift = around(box_xyxy.reshape(2, 2).mean(axis=0), matrix, _AREA_PX)
        (found,) = self._near_cascade(warp(image, matrix, shift, _AREA_PX)[None])
        away = np.hypot(*(found.boxes_xyxy.reshape(-1, 2, 2).mean(axis=1) - _AREA_PX / 2).T)
        nearest = [row for row in away.argsort()[:1] if away[row] < _NEAR_PX / 2]
        return _turned_back(found.select(np.array(nearest, np.int64)), matrix, shift, roll)

    def _turn(self, image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], roll: float) -> float:
        """Which of 0°, 90°, 180° and 270° to add to the roll."""
        others = _look(self._cascade, image, box_xyxy, [roll + turn for turn in (90, 180, 270)])
        if others.probability.max() < _SUSPICIOUS:
            return 0.0
        turns = [roll + turn + around for turn in (0, 90, 180, 270) for around in _AROUND_DEG]
        score = _look(self._cascade, image, box_xyxy, turns).probability.reshape(4, len(_AROUND_DEG))
        return 90.0 * int((score[:, 1] + score.mean(axis=1)).argmax())


def _look(
    cascade: Cascade, image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], rolls: list[float]
) -> Detections:
    """One face, refined at several angles: one row per angle."""
    middle = box_xyxy.reshape(2, 2).mean(axis=0)
    scale = _PATCH_SIDE * max(face_size(box_xyxy), 1.0) / _PATCH_PX
    matrices = [scale * rotation(roll) for roll in rolls]
    shifts = [around(middle, matrix, _PATCH_PX) for matrix in matrices]
    patches = [warp(image, matrix, shift, _PATCH_PX) for matrix, shift in zip(matrices, shifts, strict=True)]
    edge = _PATCH_PX / 2 * (1 - 1 / _PATCH_SIDE)
    guess = np.array([[edge, edge, _PATCH_PX - edge, _PATCH_PX - edge]], np.float32)
    found = cascade.refine(np.stack(patches), guess.repeat(len(rolls), axis=0), np.arange(len(rolls)))
    rows = [
        _turned_back(found.select(np.array([row])), matrices[row], shifts[row], roll)
        for row, roll in enumerate(rolls)
    ]
    return joined(rows)


def _turned_back(
    found: Detections, matrix: NDArray[np.float64], shift: NDArray[np.float64], roll: float
) -> Detections:
    """The detections of a turned part in the picture. Boxes keep their sides, swapped if the face lies."""
    boxes = found.boxes_xyxy.reshape(-1, 2, 2)
    middle = boxes.mean(axis=1) @ matrix.T + shift
    half = np.hypot(*matrix[0]) * (boxes[:, 1] - boxes[:, 0]) / 2
    if abs(np.sin(np.radians(roll))) > np.sqrt(0.5):
        half = half[:, ::-1]
    return Detections(
        np.hstack([middle - half, middle + half]).astype(np.float32),
        found.probability,
        (found.landmarks @ matrix.T + shift).astype(np.float32),
    )
