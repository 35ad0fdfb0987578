"""Pictures in YUV 4:2:0, the format of video encoders: half the bytes of RGB, encoded without conversion."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from pipeline.video.orientation import Orientation, fit

# Y, U and V of black.
_BLACK = (16, 128, 128)

# Players take a picture of at least this height for BT.709, a smaller one for BT.601, if it states neither.
_HD_PX = 720

_UNSTATED = 2


@dataclass(frozen=True)
class Planes:
    """A picture in YUV 4:2:0, limited range; width and height are even.

    :param stacked: (3 H / 2, W) uint8: Y, then U, then V.
    """

    stacked: NDArray[np.uint8]

    @property
    def width(self) -> int:
        return int(self.stacked.shape[1])

    @property
    def height(self) -> int:
        return len(self.stacked) * 2 // 3

    @cached_property
    def each(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Views: (H, W) Y, (H / 2, W / 2) U and V."""
        flat, half = self.stacked.reshape(-1), (self.height // 2, self.width // 2)
        y, u, v = np.split(flat, [self.width * self.height, self.width * self.height * 5 // 4])
        return y.reshape(self.height, self.width), u.reshape(half), v.reshape(half)

    @classmethod
    def black(cls, width: int, height: int) -> "Planes":
        picture = cls(np.empty((height * 3 // 2, width), np.uint8))
        for plane, level in zip(picture.each, _BLACK, strict=True):
            plane[:] = level
        return picture

    @classmethod
    def of_rgb(cls, picture: NDArray[np.uint8], colours: int) -> "Planes":
        """:param picture: (H, W, 3) uint8 RGB. ``colours``: as :func:`colours_of` gives them."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        converted = frame.reformat(format="yuv420p", dst_colorspace=colours, dst_color_range=ColorRange.MPEG)
        stacked: Any = converted.to_ndarray()
        return cls(stacked)

    def paste(self, other: "Planes", left: int, top: int) -> None:
        """Put a picture that fits into this one there; ``left`` and ``top`` are even."""
        for own, pasted, step in zip(self.each, other.each, (1, 2, 2), strict=True):
            rows, columns = pasted.shape
            own[top // step : top // step + rows, left // step : left // step + columns] = pasted


def colours_of(height: int) -> int:
    """What players take YUV of a picture of this height for, if it states nothing."""
    return int(Colorspace.ITU709 if height >= _HD_PX else Colorspace.ITU601)


def show_planes(
    frame: av.VideoFrame,
    aspect: float,
    orientation: Orientation,
    size: tuple[int, int],
    colours: int,
    reformatter: VideoReformatter,
) -> Planes:
    """As :func:`pipeline.video.orientation.show`, in YUV.

    :param size: width and height in px of the result, both even.
    :param colours: of the result. ``reformatter``: the same for all frames of a video.
    """
    (width, height), (stored_width, stored_height) = fit(frame, aspect, orientation, size, even=True)
    scaled = reformatter.reformat(
        frame,
        width=stored_width,
        height=stored_height,
        format="yuv420p",
        src_colorspace=colours_of(frame.height) if frame.colorspace == _UNSTATED else None,
        dst_colorspace=colours,
        dst_color_range=ColorRange.MPEG,
        interpolation="BILINEAR",
    )
    stacked: Any = scaled.to_ndarray()
    stored = Planes(stacked)
    if orientation == Orientation() and (width, height) == size:
        return stored
    upright = Planes(np.empty((height * 3 // 2, width), np.uint8))
    for plane, own in zip(upright.each, stored.each, strict=True):
        plane[:] = orientation.upright(own)
    if (width, height) == size:
        return upright
    whole = Planes.black(*size)
    whole.paste(upright, (size[0] - width) // 4 * 2, (size[1] - height) // 4 * 2)
    return whole
