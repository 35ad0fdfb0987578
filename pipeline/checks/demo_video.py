"""Make the sample session: a synthetic video with every status.

The face is the public-domain NASA portrait of Eileen Collins, ``skimage.data.astronaut()``. Its mirror
image is the second person. Only this module needs scikit-image.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from skimage.data import astronaut

from pipeline.store.files import atomic

WIDTH, HEIGHT = 960, 540
FRAMES_PER_S = 25
LENGTH_S = 36

# A key frame every 2 s, at which damage ends.
_KEY_INTERVAL = 2 * FRAMES_PER_S

_PORTRAIT_PX = 500
_BACKGROUND = (96, 104, 112)


@dataclass(frozen=True)
class _Scene:
    """A scene that begins at ``start_s``.

    :param left: position of the portrait's left edge at begin and end of the scene, in picture widths.
    """

    start_s: float
    left: tuple[float, float]
    light: float = 1.0
    blur_px: float = 0.0
    mirrored: bool = False
    damaged: bool = False


_SCENES = [
    _Scene(0, (0.25, 0.3)),
    _Scene(7, (0.3, 1.0)),  # leaves to the right …
    _Scene(9, (1.0, 1.0)),
    _Scene(10, (1.0, 0.25)),  # … and comes back
    _Scene(12, (0.25, 0.2)),
    _Scene(16, (0.2, 0.2), light=0.14),
    _Scene(19, (0.2, 0.25)),
    _Scene(22, (0.25, 0.25), blur_px=7),
    _Scene(24, (0.25, 0.25)),
    _Scene(26, (0.25, 0.25), damaged=True),
    _Scene(28, (0.25, -0.6)),  # leaves to the left
    _Scene(30.5, (-0.6, -0.6)),
    _Scene(32, (0.5, 0.45), mirrored=True),  # another person
]


def make_demo_video(
    path: Path, on_progress: Callable[[int, int], None] = lambda done, total: None, scale: int = 1
) -> None:
    """Write 36 s of H.264 at 25 frames/s, 960×540 px times ``scale``.

    :param on_progress: called with (frames done, frames in all).
    :raises OutputError: the file can't be written.
    """
    frames = LENGTH_S * FRAMES_PER_S
    portrait = Image.fromarray(astronaut()).resize((_PORTRAIT_PX * scale, _PORTRAIT_PX * scale))
    with atomic(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=FRAMES_PER_S)
        stream.width, stream.height, stream.pix_fmt = WIDTH * scale, HEIGHT * scale, "yuv420p"
        stream.options = {"crf": "20"}
        stream.gop_size = _KEY_INTERVAL
        for number in range(frames):
            picture = _picture(portrait, number / FRAMES_PER_S, scale)
            frame = av.VideoFrame.from_ndarray(np.asarray(picture))
            container.mux([_damaged(packet) for packet in stream.encode(frame)])
            on_progress(number + 1, frames)
        container.mux([_damaged(packet) for packet in stream.encode(None)])


def _picture(portrait: Image.Image, time_s: float, scale: int) -> Image.Image:
    scene, end_s = _scene(time_s)
    start, end = scene.left
    left = start + (end - start) * (time_s - scene.start_s) / (end_s - scene.start_s)
    # a seated person moves slightly
    top = 0.08 + 0.02 * math.sin(2 * math.pi * time_s / 5)
    picture = Image.new("RGB", (WIDTH * scale, HEIGHT * scale), _BACKGROUND)
    shown = portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if scene.mirrored else portrait
    picture.paste(shown, (round(left * picture.width), round(top * picture.height)))
    if scene.blur_px:
        picture = picture.filter(ImageFilter.GaussianBlur(scene.blur_px * scale))
    return ImageEnhance.Brightness(picture).enhance(scene.light)


def _scene(time_s: float) -> tuple[_Scene, float]:
    """The scene at this time, and its end."""
    ends = [scene.start_s for scene in _SCENES[1:]] + [LENGTH_S]
    return next((s, end) for s, end in zip(_SCENES, ends, strict=True) if time_s < end)


def _damaged(packet: "av.Packet[av.VideoStream]") -> "av.Packet[Any]":
    """The packet, with its content overwritten if the scene is damaged."""
    if packet.pts is None or packet.time_base is None:
        return packet
    if not _scene(float(packet.pts * packet.time_base))[0].damaged:
        return packet
    # a slice header, then noise, as from a failing memory card
    broken = av.Packet(b"\x00\x00\x00\x01\x65" + b"\xff" * packet.size)
    broken.pts, broken.dts, broken.duration = packet.pts, packet.dts, packet.duration
    broken.time_base, broken.stream = packet.time_base, packet.stream
    return broken
