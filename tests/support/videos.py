"""Videos for the tests: drawn ones with frame numbers, and real ones re-timed, looped or cut."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Pictures = Iterable[NDArray[np.uint8]]

BITS = 8
_DARK, _LIGHT = 40, 210

FACE_PX = 64
FACE_LEVEL = 150
_TEXTURE = np.where(np.indices((FACE_PX, FACE_PX)).sum(axis=0) // 8 % 2, FACE_LEVEL + 60, FACE_LEVEL - 60)


def numbered(count: int, width: int = 256, height: int = 64) -> list[NDArray[np.uint8]]:
    """Pictures with their own number in eight dark or light columns, which survive any compression."""
    pictures = []
    for number in range(count):
        bits = [_LIGHT if number >> bit & 1 else _DARK for bit in range(BITS)]
        row = np.repeat(np.array(bits, np.uint8), width // BITS)
        pictures.append(np.broadcast_to(row[None, :, None], (height, width, 3)).copy())
    return pictures


def read_number(picture: NDArray[np.uint8]) -> int:
    """The inverse of :func:`numbered`."""
    columns = picture.mean(axis=(0, 2)).reshape(BITS, -1).mean(axis=1)
    return sum(1 << bit for bit, level in enumerate(columns) if level > (_DARK + _LIGHT) / 2)


def with_faces(corners: Sequence[tuple[int, int]], width: int = 320, height: int = 180) -> NDArray[np.uint8]:
    """A black picture with a checkered square, left and top at each corner: what ``find_squares`` finds."""
    picture = np.zeros((height, width, 3), np.uint8)
    for left, top in corners:
        picture[top : top + FACE_PX, left : left + FACE_PX] = _TEXTURE[..., None]
    return picture


def encode(
    path: Path,
    pictures: Pictures,
    *,
    rate: int = 25,
    times_ms: Sequence[int] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    gop: int = 12,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    damage: Callable[[int], bool] = lambda number: False,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Writes the pictures at a constant rate, or at the given times.

    :param damage: frame's number → whether its packet is overwritten, as by a failing memory card.
    :param pixel_aspect: width ÷ height of a pixel.
    """
    time_base = Fraction(1, 1000) if times_ms is not None else Fraction(1, rate)
    with _own_priority(), av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.pix_fmt, stream.gop_size = pix_fmt, gop
        stream.time_base = stream.codec_context.time_base = time_base
        packets, times = [], []
        for number, picture in enumerate(pictures):
            if not times:
                stream.height, stream.width = picture.shape[:2]
                if pixel_aspect is not None:
                    stream.codec_context.sample_aspect_ratio = pixel_aspect
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = times_ms[number] if times_ms is not None else number
            frame.time_base = time_base
            times.append(frame.pts)
            packets.extend(stream.encode(frame))
        packets.extend(stream.encode(None))
        for packet in packets:
            hurt = damage(times.index(round(packet.pts * packet.time_base / time_base)))
            container.mux(_broken(packet) if hurt else packet)
    return path


@contextmanager
def _own_priority() -> Iterator[None]:
    """SVT-AV1 gives the thread that starts it real-time priority, for which everything else has to wait."""
    if sys.platform != "linux":
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, priority)


def remux(
    source: Path,
    target: Path,
    *,
    copies: int = 1,
    seconds: float = float("inf"),
    frame_ms: int | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """The packets of a video of constant rate again and again, without decoding.

    :param seconds: stop after as many. ``frame_ms``: from one frame to the next; none keeps it.
    """
    with av.open(str(source)) as old, av.open(str(target), "w", options=container_options or {}) as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        packets = [packet for packet in old.demux(stream) if packet.size]
        first = min(packet.pts for packet in packets)
        step = (max(packet.pts for packet in packets) - first) // (len(packets) - 1)
        step_ms = frame_ms or float(1000 * step * stream.time_base)
        for number in range(copies * len(packets)):
            packet, shift = packets[number % len(packets)], number // len(packets) * len(packets)
            times = [round(((t - first) / step + shift) * step_ms) for t in (packet.pts, packet.dts)]
            if times[0] < seconds * 1000:
                new.mux(_copy(packet, bytes(packet), copy, times, round(step_ms)))
    return target


def cut_off(source: Path, target: Path, share: float) -> Path:
    """The first bytes of a file, as when a recorder lost power."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


def sound_only(path: Path) -> Path:
    """A second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@cache
def decoded_pts(path: Path) -> tuple[list[int], Fraction]:
    """The presentation times that PyAV gives to decoded frames, and their time base."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return [frame.pts for frame in container.decode(stream)], stream.time_base


def first_pictures(path: Path, count: int) -> list[NDArray[np.uint8]]:
    """The first frames as they are stored: (H, W, 3) uint8 RGB."""
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.video[0])
        return [frame.to_ndarray(format="rgb24") for _, frame in zip(range(count), frames, strict=False)]


def _copy(
    packet: av.Packet, content: bytes, stream: av.VideoStream, times_ms: Sequence[int], duration_ms: int
) -> av.Packet:
    copy = av.Packet(content)
    (copy.pts, copy.dts), copy.duration = times_ms, duration_ms
    copy.time_base, copy.is_keyframe, copy.stream = Fraction(1, 1000), packet.is_keyframe, stream
    return copy


def _broken(packet: av.Packet) -> av.Packet:
    broken = av.Packet(b"\x00\x00\x00\x01\x65" + b"\xff" * packet.size)
    broken.pts, broken.dts, broken.duration = packet.pts, packet.dts, packet.duration
    broken.time_base, broken.stream = packet.time_base, packet.stream
    broken.is_keyframe = packet.is_keyframe
    return broken
