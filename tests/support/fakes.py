"""Plain functions in place of the trained networks."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

from pipeline.faces.detection import Detections

LANDMARKS = np.array([[-0.2, -0.15], [0.2, -0.15], [0, 0.062], [-0.15, 0.25], [0.15, 0.25]], np.float32)
"""A frontal face: eyes, nose, corners of the mouth, from the centre of a box of side 1."""


def find_squares(images: NDArray[np.uint8]) -> list[Detections]:
    """A detector whose faces are light squares on black."""
    return [_squares(image) for image in images]


def _squares(image: NDArray[np.uint8]) -> Detections:
    red, green, blue = image.astype(np.uint16).transpose(2, 0, 1)
    areas = find_objects(label(red + green + blue > 120)[0])
    boxes = [[s[1].start, s[0].start, s[1].stop, s[0].stop] for s in areas if s[0].stop - s[0].start > 8]
    boxes_xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    centres = (boxes_xyxy[:, None, :2] + boxes_xyxy[:, None, 2:]) / 2
    sides = (boxes_xyxy[:, None, 2:] - boxes_xyxy[:, None, :2]).max(axis=2, keepdims=True)
    return Detections(boxes_xyxy, np.full(len(boxes), 0.99, np.float32), centres + sides * LANDMARKS)


def judge_by_light(crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A classifier to which bright faces are happy, and dark ones sad."""
    light = crops.mean(axis=(1, 2, 3)) / 255
    logits = np.zeros((len(crops), 7))
    logits[:, 3], logits[:, 4] = 6 * light, 6 * (1 - light)
    shares = np.exp(logits)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32), np.zeros(len(crops), np.float32)


FAKE_WEIGHTS = {"name": "by-light", "sha256": "0" * 64, "temperature": 1.0}
