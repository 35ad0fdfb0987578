"""Convert stored pictures to displayed ones: mirrored, rotated, with square pixels, of one size."""

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from numpy.typing import NDArray

_MATRIX = struct.Struct("=9i")

# Limit of the pixel aspect; no camera has a larger one.
_MOST_STRETCHED = 3.0

# Tolerance, px, for sizes of the same aspect, because of rounding.
_ROUNDING_PX = 2


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways in which a picture can be stored.

    :param mirrored: the stored picture is first mirrored, left to right;
    :param quarter_turns: then turned counterclockwise so many times by 90°, 0…3.
    """

    mirrored: bool = False
    quarter_turns: int = 0

    @property
    def degrees(self) -> int:
        """Counterclockwise."""
        return 90 * self.quarter_turns

    @property
    def sideways(self) -> bool:
        """Whether stored rows become columns."""
        return self.quarter_turns % 2 == 1

    def upright(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h, w, 3) as stored → (H, W, 3) as shown; a view."""
        return np.rot90(stored[:, ::-1] if self.mirrored else stored, self.quarter_turns)


def orientation_of(frame: av.VideoFrame) -> Orientation | None:
    """The orientation by the frame's display matrix; ``None`` without a matrix.

    The matrix maps a stored point (x, y), y downwards, to (a·x + c·y, b·x + d·y); it is stored as
    a b u c d v x y w (ISO/IEC 14496-12, 8.5.2). Another angle than 90° is rounded to the next one.
    """
    # frame.side_data creates a reference cycle, which would keep the frame until a garbage collection
    container: Any = SideDataContainer
    data = container(frame).get("DISPLAYMATRIX")
    if data is None or data.buffer_size < _MATRIX.size:
        return None
    a, b, _, c, d, *_ = _MATRIX.unpack_from(bytes(data))
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return Orientation(mirrored, round(math.atan2(-b, a) / (math.pi / 2)) % 4)


def pixel_aspect(stream: av.VideoStream) -> float:
    """Width ÷ height of a stored pixel by the header; 1 without a valid value.

    Camcorders store 1920×1080 as 1440×1080; without correction, faces would be narrow.
    """
    return usable_aspect(stream.sample_aspect_ratio)


def usable_aspect(stated: Fraction | None) -> float:
    """As :func:`pixel_aspect`, of a ratio as PyAV states it."""
    aspect = float(stated) if stated else 1.0
    return aspect if 1 / _MOST_STRETCHED <= aspect <= _MOST_STRETCHED else 1.0


def shown_size(width: int, height: int, aspect: float, orientation: Orientation) -> tuple[int, int]:
    """Width and height in px of the upright picture with square pixels.

    :param width, height: px, as stored. ``aspect``: width ÷ height of a stored pixel.
    """
    wide = max(1, round(width * aspect))
    return (height, wide) if orientation.sideways else (wide, height)


def show(
    frame: av.VideoFrame, aspect: float, orientation: Orientation, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The frame as displayed by players: (H, W, 3) uint8 RGB.

    A frame of another shape than the session's, as after a rotation of the phone, is centred on black.

    :param aspect: width ÷ height of a stored pixel.
    :param size: width and height in px of the result.
    """
    fitted, (width, height) = fit(frame, aspect, orientation, size)
    stored: Any = frame.to_ndarray(format="rgb24", width=width, height=height)
    picture = orientation.upright(stored)
    if fitted == size:
        return picture
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - fitted[0]) // 2, (size[1] - fitted[1]) // 2
    whole[top : top + fitted[1], left : left + fitted[0]] = picture
    return whole


def fit(
    frame: av.VideoFrame,
    aspect: float,
    orientation: Orientation,
    size: tuple[int, int],
    *,
    even: bool = False,
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height in px of the largest picture that fits into ``size``, upright; and the same as stored.

    :param even: whether the lengths must be even, as those of ``size`` are.
    """
    own = shown_size(frame.width, frame.height, aspect, orientation)
    scale = min(size[0] / own[0], size[1] / own[1])
    step = 2 if even else 1
    width, height = (
        whole
        if abs(whole - scale * length) <= _ROUNDING_PX
        else max(step, round(scale * length / step) * step)
        for length, whole in zip(own, size, strict=True)
    )
    return (width, height), (height, width) if orientation.sideways else (width, height)
