"""Detect faces in frames: boxes, landmarks, crops for the classifier, and quality of each face."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import laplace

from pipeline.faces.warp import around, part, rotation, warp
from pipeline.records import NO_PICTURE, Face, FrameFaces, Frames

DEFAULT_MIN_FACE_PX = 40

# Minimum probability of a face. facenet-pytorch uses 0.7, but on video, detections between are mostly hands,
# patterns and cartoons.
FACE_THRESHOLD = 0.9

STEEP_DEG = 10.0
"""A face whose roll is larger is detected in a picture that is turned upright, as far as possible."""

# Turns of the picture for the search, the likelier ones first: people who lie, heads on a shoulder.
TURNS_DEG = (90.0, -90.0, 180.0, 45.0, -45.0)

# Two boxes with a larger IoU are in one place.
_SAME_PLACE_IOU = 0.3

# A face that is askew by less is cropped without rotation, degrees: the landmarks are no more exact.
_UPRIGHT_DEG = 2.0

# Number of pixels per pixel of the crop before interpolation.
_GAP = 3


@dataclass(frozen=True)
class Detections:
    """The faces of one picture.

    :param boxes_xyxy: (n, 4) float32 px.
    :param probability: (n,) float32, 0…1.
    :param landmarks: (n, 5, 2) float32 px: eyes, nose, corners of the mouth; left ones first, as seen when
        the face is upright.
    """

    boxes_xyxy: NDArray[np.float32]
    probability: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    @classmethod
    def none(cls) -> "Detections":
        """The detections of a picture without a face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    def select(self, rows: NDArray[np.int64]) -> "Detections":
        """Select some of the faces."""
        return Detections(self.boxes_xyxy[rows], self.probability[rows], self.landmarks[rows])


def joined(parts: Sequence[Detections]) -> Detections:
    """The rows of all parts."""
    columns = ([getattr(of, name) for of in parts] for name in ("boxes_xyxy", "probability", "landmarks"))
    return Detections(*map(np.concatenate, columns)) if parts else Detections.none()


def add_missing(found: Detections, others: Detections) -> Detections:
    """``found``, and those of the others that are somewhere else."""
    return joined([found, others.select(np.flatnonzero(elsewhere(others, found.boxes_xyxy)))])


def elsewhere(found: Detections, boxes_xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n,) whether a face overlaps none of the (m, 4) boxes."""
    n, m = len(found.boxes_xyxy), len(boxes_xyxy)
    pairs = iou(found.boxes_xyxy.repeat(m, axis=0), np.tile(boxes_xyxy, (n, 1))).reshape(n, m)
    return np.asarray((pairs < _SAME_PLACE_IOU).all(axis=1))


def roll_of(found: Detections) -> NDArray[np.float32]:
    """(n,) roll of each face, degrees clockwise as seen, -180…180."""
    return np.array([head_pose(landmarks)[2] for landmarks in found.landmarks], np.float32)


Detector = Callable[[NDArray[np.uint8]], list[Detections]]
"""(B, H, W, 3) uint8 RGB → the faces of each picture."""


@dataclass(frozen=True)
class CropSpec:
    """Geometry of a face crop, the same as in the classifier's training.

    :param crop_px: side of the crop.
    :param scale: side of the square crop ÷ √(area of the box).
    :param shift: displacement (x, y) of its centre from the box's, ÷ √(area of the box).
    """

    crop_px: int = 48
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


# Side of the face mesh's crop, px, and as a multiple of the face's size. Smaller faces, px, show too
# little of eyes and mouth.
_MESH_PX, _MESH_SIDE, _MESH_MIN_PX = 192, 1.5, 48.0


def find_faces(
    frames: Iterable[Frames], detect: Detector, crop_spec: CropSpec, *, for_mesh: bool = False
) -> Iterator[FrameFaces]:
    """Detect and crop the faces of each sample; a sample without a face is a record too.

    The crops are copies, so that the pictures can be freed after each batch.

    :param for_mesh: whether to crop large enough faces for the face mesh too.
    """
    for batch in frames:
        readable = batch.images if batch.decoded.all() else batch.images[batch.decoded]
        found = iter(detect(readable) if len(readable) else [])
        for row, image in enumerate(batch.images):
            decoded = bool(batch.decoded[row])
            detections = next(found) if decoded else Detections.none()
            yield FrameFaces(
                sample=int(batch.sample[row]),
                frame=int(batch.index[row]),
                time_s=float(batch.time_s[row]),
                decoded=decoded,
                faces=tuple(_faces(image, detections, crop_spec, for_mesh=for_mesh)),
            )


def cut(
    image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], crop_spec: CropSpec, roll: float = 0.0
) -> NDArray[np.uint8]:
    """Crop a face upright for the classifier: (H, W, 3) uint8 → (crop_px, crop_px, 3) uint8.

    Outside the picture, the edge pixels are repeated.

    :param roll: of the head, degrees clockwise as seen.
    """
    x1, y1, x2, y2 = (float(edge) for edge in box_xyxy)
    size = face_size(box_xyxy)
    side = max(1, round(size * crop_spec.scale))
    if abs(roll) < _UPRIGHT_DEG:
        left = round((x1 + x2) / 2 + size * crop_spec.shift[0] - side / 2)
        top = round((y1 + y2) / 2 + size * crop_spec.shift[1] - side / 2)
        square = part(image, left, top, left + side, top + side)
    else:
        fewer = max(1, side // (_GAP * crop_spec.crop_px))
        side_px = max(1, round(side / fewer))
        matrix = rotation(roll) * (side / side_px)
        middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) + size * rotation(roll) @ crop_spec.shift
        square = warp(image, matrix, around(middle, matrix, side_px), side_px)
    size_px = (crop_spec.crop_px, crop_spec.crop_px)
    # average over whole pixels first, down to three times the size: twice as fast, with a difference of 0.3
    # grey levels
    small = Image.fromarray(square).resize(size_px, Image.Resampling.BILINEAR, reducing_gap=_GAP)
    return np.array(small)


def cut_for_mesh(image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], roll: float) -> NDArray[np.uint8]:
    """Crop a face upright, and a quarter of its size around it: (H, W, 3) uint8 → (192, 192, 3) uint8."""
    matrix = rotation(roll) * (max(1.0, face_size(box_xyxy)) * _MESH_SIDE / _MESH_PX)
    middle = box_xyxy.reshape(2, 2).mean(axis=0)
    return warp(image, matrix, around(middle, matrix, _MESH_PX), _MESH_PX)


def face_size(box_xyxy: NDArray[np.float32]) -> float:
    """√(width · height) of a box, px."""
    x1, y1, x2, y2 = (float(edge) for edge in box_xyxy)
    return math.sqrt(max(x2 - x1, 0) * max(y2 - y1, 0))


def head_pose(landmarks: NDArray[np.float32]) -> tuple[float, float, float]:
    """Approximate yaw, pitch and roll in degrees from the five landmarks.

    Roll is the slope of the line between the eyes. Yaw and pitch take the nose's displacement from the
    midpoints of the eyes and of the mouth, in the face's own upright axes, as the sine of the angle; a
    frontal face has the nose in the middle, 0.53 of the way from eyes to mouth (median of FER2013).

    :param landmarks: (5, 2) px: eyes, nose, corners of the mouth; left ones first as seen.
    :returns: yaw (positive: nose to the right of the picture), pitch (positive: up), roll (positive:
        clockwise as seen).
    """
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    across = landmarks[1] - landmarks[0]
    roll = math.atan2(across[1], across[0])
    cos, sin = math.cos(-roll), math.sin(-roll)
    upright = np.array([[cos, -sin], [sin, cos]])
    down, nose = upright @ (mouth - eyes), upright @ (landmarks[2] - eyes)
    eye_distance, height = max(float(np.hypot(*across)), 1e-6), max(float(down[1]), 1e-6)
    yaw = math.asin(float(np.clip(nose[0] / eye_distance, -1, 1)))
    pitch = math.asin(float(np.clip(2 * (0.53 - nose[1] / height), -1, 1)))
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def _faces(
    image: NDArray[np.uint8], found: Detections, crop_spec: CropSpec, *, for_mesh: bool
) -> Iterator[Face]:
    for box, probability, landmarks in zip(found.boxes_xyxy, found.probability, found.landmarks, strict=True):
        yaw, pitch, roll = head_pose(landmarks)
        crop = cut(image, box, crop_spec, roll)
        size_px = face_size(box)
        large = for_mesh and size_px >= _MESH_MIN_PX
        grey = np.asarray(Image.fromarray(crop).convert("L"), np.float32)
        yield Face(
            box_xyxy=box,
            detection=float(probability),
            landmarks=landmarks,
            crop=crop,
            face_px=size_px,
            sharpness=float(laplace(grey).var()),
            brightness=float(grey.mean() / 255),
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            mesh_crop=cut_for_mesh(image, box, roll) if large else NO_PICTURE,
        )


def iou(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, 4), (n, 4) boxes x1, y1, x2, y2 → (n,) overlap of row with row: intersection ÷ union."""
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    areas = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1) for boxes in (one, other)]
    overlap: NDArray[np.float32] = (shared / np.maximum(areas[0] + areas[1] - shared, 1e-6)).astype(
        np.float32
    )
    return overlap
