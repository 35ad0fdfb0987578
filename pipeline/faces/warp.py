"""Rotate and scale parts of a picture."""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Margin in pixels for interpolation and averaging.
_RIM_PX = 3


def warp(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    shift: NDArray[np.float64],
    side_px: int,
    resample: Image.Resampling = Image.Resampling.BILINEAR,
) -> NDArray[np.uint8]:
    """Square part of a picture, rotated and scaled: its pixel p is the picture's at ``matrix @ p + shift``.

    A part larger than the result is averaged first. Outside the picture, the edge pixels are repeated.

    :param image: (H, W, 3) uint8.
    :param matrix: (2, 2) rotation times scale. ``shift``: (2,) px.
    :returns: (side_px, side_px, 3) uint8.
    """
    corners = np.array([[0, 0], [side_px, 0], [0, side_px], [side_px, side_px]]) @ matrix.T + shift
    scale = max(1, round(float(np.hypot(*matrix[0]))))
    # process only the needed part of the picture
    rim = _RIM_PX * scale
    left, top = (math.floor(edge) - rim for edge in corners.min(axis=0))
    right, bottom = (math.ceil(edge) + rim for edge in corners.max(axis=0))
    picture = Image.fromarray(part(image, left, top, right, bottom)).reduce(scale)
    (a, b), (d, e) = matrix / scale
    c, f = (shift - (left, top)) / scale
    turned = picture.transform((side_px, side_px), Image.Transform.AFFINE, (a, b, c, d, e, f), resample)
    return np.array(turned)


def part(image: NDArray[np.uint8], left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """The pixels in [left, right) × [top, bottom); outside the picture, the edge pixels are repeated."""
    rows, above, below = _inside(top, bottom, image.shape[0])
    columns, before, after = _inside(left, right, image.shape[1])
    inside = image[rows, columns]
    if above or below or before or after:
        return np.pad(inside, ((above, below), (before, after), (0, 0)), "edge")
    return inside


def _inside(first: int, end: int, length: int) -> tuple[slice, int, int]:
    """The part of [first, end) within [0, length), at least one pixel; and how many lie before and after."""
    start = min(max(first, 0), length - 1)
    stop = max(min(end, length), start + 1)
    outside = end - first - (stop - start)
    after = min(max(end - stop, 0), outside)
    return slice(start, stop), outside - after, after


def around(
    middle: NDArray[np.floating] | tuple[float, float], matrix: NDArray[np.float64], side_px: int
) -> NDArray[np.float64]:
    """(2,) shift with which the middle of a warped square shows this point of the picture, px."""
    return np.asarray(middle, np.float64) - matrix @ [side_px / 2, side_px / 2]


_Angle = TypeVar("_Angle", float, NDArray[np.float32])


def signed(deg: _Angle) -> _Angle:
    """The same angles from -180° to 180°."""
    return (deg + 180) % 360 - 180


def rotation(deg: float) -> NDArray[np.float64]:
    """(2, 2) matrix that turns (x, y) px clockwise as seen, because y points down."""
    cos, sin = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    return np.array([[cos, -sin], [sin, cos]])
