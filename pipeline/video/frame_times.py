"""Presentation time of each frame of a stream, verified by a decoder if the packets are not conclusive."""

import errno
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.video.frame_order import Packet, ascends, in_order, times_in_decoded_order, times_of
from pipeline.video.headers import disposable
from pipeline.video.orientation import Orientation, orientation_of
from pipeline.video.streams import demuxed, open_container, video_stream

# A packet without a picture of its own, as a hidden reference or the second field of an interlaced picture,
# lies within so much of a step of a picture that is shown.
_SAME_PICTURE = 0.6

# XviD fills the place of a picture that was packed with another with so few bytes.
_PLACEHOLDER_BYTES = 8

# A decoder gives a picture back before it has taken so many more packets.
_LONGEST_DELAY = 256

_Packet: TypeAlias = "av.Packet[Any] | None"


@dataclass(frozen=True)
class FrameTimes:
    """Presentation times of the frames of a stream.

    :param pts: (F,) int64 ascending, by which a frame is found: its presentation time in the stream's time
        base, or where ``by_number``, its place in the decoder's order.
    :param times: (F,) float64 ascending, on the stream's clock.
    :param key: (K,) int64 ascending: key frames.
    :param last_length: duration of the last frame; 0 if unknown.
    :param takes: number of recordings with separate clocks.
    :param lost: number of packets without a picture.
    """

    pts: NDArray[np.int64]
    times: NDArray[np.float64]
    key: NDArray[np.int64]
    last_length: float
    lost: int
    takes: int = 1
    by_number: bool = False


@dataclass
class Shown:
    """A decoder's output, in its order.

    :param pts: time of each picture, or ``None``. ``key``: whether it is a key frame.
    :param sizes: stored width and height of the pictures, px.
    :param damaged: whether a packet can't be decoded, or a picture is marked as damaged.
    :param ended: whether the decoder reached the end of the file.
    """

    pts: list[int | None] = field(default_factory=list)
    key: list[bool] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    orientation: Orientation = field(default_factory=Orientation)
    damaged: bool = False
    ended: bool = False

    @property
    def times(self) -> list[int]:
        """Times of the pictures that have one."""
        return [pts for pts in self.pts if pts is not None]

    @property
    def ascending(self) -> bool:
        """Whether every picture has a time, later than the one before."""
        return len(self.times) == len(self.pts) and ascends(self.times)

    def complete(self, packets: Sequence[Packet]) -> bool:
        """Whether each packet gave a picture: all packets, or those up to the last picture so far."""
        due = {packet.pts for packet in packets if not packet.hidden and packet.pts is not None}
        if not self.ended:
            due = {pts for pts in due if self.times and pts <= self.times[-1]}
        return due <= set(self.times)


def read_times(
    path: Path, stream: av.VideoStream, packets: Sequence[Packet], trial_frames: int
) -> tuple[FrameTimes, Shown]:
    """Presentation time of each frame, and the decoder's output.

    Decodes the begin of the file; decodes all of it if packets or these pictures are not conclusive. The
    container's times are used if the decoder returns the pictures in their order; otherwise the decoder's
    order is used.

    :param trial_frames: number of frames of the begin.
    :raises VideoError: no frame can be shown.
    """
    step = _usual_step(stream, packets)
    shown = decode(path, stream.index, trial_frames)
    reorders = stream.codec_context is not None and stream.codec_context.has_b_frames
    # a reordered picture can't have its decoding time as presentation time
    plausible = in_order(packets) and not (reorders and ascends(times_of(packets)))
    whole = shown.damaged or shown.complete(packets)
    if not shown.ended and not (plausible and shown.ascending and whole):
        shown = decode(path, stream.index)
    made_up = stream.container.format.name == "avi"
    if shown.pts and shown.ascending and shown.ended and not shown.damaged:
        return _by_presentation(packets, shown.times, step, made_up), shown
    due = [packet for packet in packets if not packet.hidden]
    stored = times_of(due)
    # damage puts pictures out of their order too, and takes some away, which count as frames all the same
    damaged = shown.damaged or any(packet.torn for packet in packets)
    if len(set(stored)) == len(due) and (shown.ascending or (plausible and damaged)):
        return _by_presentation(packets, stored, step, made_up), shown
    if not shown.pts:
        raise VideoError.about(path, "no_shown_frame")
    return _by_decoding(shown, packets, step), shown


def decode(path: Path, stream: int, at_most: int | None = None) -> Shown:
    """Decode the first frames, or all of them."""
    shown = Shown()
    for answer in decoded(path, stream):
        frame = answer.frame
        if frame is None:
            shown.damaged = True
            continue
        if not shown.pts:
            shown.orientation = orientation_of(frame) or Orientation()
        shown.damaged |= frame.is_corrupt
        shown.pts.append(answer.pts)
        shown.key.append(bool(frame.key_frame))
        shown.sizes.add((frame.width, frame.height))
        if at_most is not None and len(shown.pts) >= at_most:
            return shown
    shown.ended = True
    return shown


@dataclass(frozen=True)
class Decoded:
    """One output of a decoder.

    :param frame: ``None`` for a packet that can't be decoded, or of which a part is lost.
    :param pts: of the frame, or of the packet.
    :param place: position of the packet in decoding order; ``None`` if the decoder does not state it.
    :param aspect: width ÷ height of a pixel, if it has changed since the first frame.
    :param alone: whether no other frame depends on this one; ``False`` if unknown.
    """

    frame: av.VideoFrame | None
    pts: int | None
    place: int | None
    aspect: Fraction | None = None
    alone: bool = False


def decoded(
    path: Path,
    index: int,
    needed: Container[int] | None = None,
    *,
    start_pts: int | None = None,
    threads: Literal["NONE", "AUTO"] = "NONE",
) -> Iterator[Decoded]:
    """Frames of a stream in the decoder's order.

    :param needed: times of the frames that are needed, if packets and frames match one to one. Of the others,
        those are left out on which no other frame depends. ``None``: decode every frame.
    :param start_pts: decoding begins at a key frame that the container finds near it; else at the start.
    :param threads: with ``NONE``, damaged packets are passed over, damage is marked most reliably, and frames
        have the same numbers each time; with ``AUTO`` decoding is faster.
    :raises av.error.FFmpegError: the file can't be opened; or a packet is damaged, and ``threads`` is not
        ``NONE``.
    """
    with open_container(path) as container:
        stream = video_stream(container, index)
        stream.thread_type = threads
        if start_pts is not None:
            container.seek(start_pts, stream=stream)
        first: Fraction | None = None
        stored: dict[int | None, tuple[int | None, bool]] = {}
        packets = _with_losses(demuxed(container, stream))
        for place, (packet, torn, alone) in enumerate(_needed(packets, stream, needed)):
            pts = packet.pts if packet else None
            try:
                if packet is not None:
                    # a decoder gives a packet's time back with its picture: the place is as good, and unique
                    packet.pts, stored[place] = place, (pts, alone)
                    stored.pop(place - _LONGEST_DELAY, None)
                if torn and threads != "NONE":
                    raise av.error.InvalidDataError(errno.EINVAL, "a part of a packet is lost", str(path))
                frames = stream.decode(packet)
            except av.error.FFmpegError:
                if threads != "NONE":
                    raise
                yield Decoded(None, pts, place, alone=alone)
                continue
            if torn and packet is not None:
                yield Decoded(None, pts, place)
            for frame in frames:
                aspect = stream.codec_context.sample_aspect_ratio
                first = first or aspect
                own_pts, alone = stored.get(frame.pts, (None, False))
                yield Decoded(frame, own_pts, frame.pts, aspect if aspect != first else None, alone)


def _needed(
    packets: Iterable[tuple[_Packet, bool]], stream: av.VideoStream, needed: Container[int] | None
) -> Iterator[tuple[_Packet, bool, bool]]:
    """Each packet to decode, whether a part of it is lost, and whether no other frame depends on this one."""
    context = stream.codec_context
    extradata = context.extradata or b""
    for packet, torn in packets:
        if needed is None or packet is None or not packet.size or torn or context.name != "h264":
            yield packet, torn, False
            continue
        alone = disposable(memoryview(packet), extradata)
        if not alone or packet.pts is None or packet.pts in needed:
            yield packet, torn, alone


def _with_losses(packets: Iterable[_Packet]) -> Iterator[tuple[_Packet, bool]]:
    """Each packet, and whether a part of it is lost, or of what follows it.

    In transport streams, FFmpeg marks the packet before: the parser ends a picture when the next one begins.
    So the packet after the mark is taken as damaged too. If recordings were joined, no part is lost: only the
    packet count jumps, just before the first key frame of the second recording.
    """
    ahead: deque[_Packet] = deque()
    marked = False
    for newest in chain(packets, [None, None, None]):
        ahead.append(newest)
        if len(ahead) > 3:
            packet = ahead.popleft()
            torn = packet is not None and packet.is_corrupt and not _joined(ahead[1], ahead[2])
            yield packet, packet is not None and (torn or marked)
            marked = torn


def _joined(first: _Packet, second: _Packet) -> bool:
    """Whether a recording can begin with these packets: a key frame, and no frame that is shown before it."""
    if first is None or not first.is_keyframe:
        return False
    if second is None or second.is_keyframe or first.pts is None or second.pts is None:
        return True
    return first.pts < second.pts


def _by_presentation(
    packets: Sequence[Packet], times: Sequence[int], step: float, made_up: bool
) -> FrameTimes:
    """Order frames by presentation time.

    :param times: of the frames that are shown, in any order.
    :param made_up: the container stores times of decoding alone. The frames are shown at these, in order; the
        times of showing that FFmpeg makes up are wrong where pictures are left out.
    """
    pts = np.array(sorted(times), np.int64)
    shown, decoding = set(times), pts
    if made_up:
        stored = sorted(p.dts for p in packets if p.pts in shown and p.dts is not None)
        decoding = np.array(stored, np.int64) if len(stored) == len(pts) else pts
    lengths = {packet.pts: packet.length for packet in packets}
    keys = np.array(times_of(packet for packet in packets if packet.key), np.int64)
    due = np.array(times_of(packet for packet in packets if not packet.hidden), np.int64)
    return FrameTimes(
        pts=pts,
        times=decoding.astype(np.float64),
        key=np.flatnonzero(np.isin(pts, keys)),
        last_length=lengths.get(int(pts[-1]), 0),
        lost=int(np.sum(_distance(due, pts) > _SAME_PICTURE * step)),
    )


def _by_decoding(shown: Shown, packets: Sequence[Packet], step: float) -> FrameTimes:
    times, starts = times_in_decoded_order(shown.pts, step)
    due = sum(not packet.hidden and packet.size > _PLACEHOLDER_BYTES for packet in packets)
    return FrameTimes(
        pts=np.arange(len(times)),
        times=times,
        key=np.flatnonzero(shown.key),
        last_length=step,
        lost=max(0, due - len(times)),
        takes=1 + len(starts),
        by_number=True,
    )


def _distance(values: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) from each value to the nearest of the others."""
    after = np.clip(np.searchsorted(ascending, values), 0, len(ascending) - 1)
    before = np.clip(after - 1, 0, None)
    nearest: NDArray[np.int64] = np.minimum(
        np.abs(values - ascending[before]), np.abs(values - ascending[after])
    )
    return nearest


def _usual_step(stream: av.VideoStream, packets: Sequence[Packet]) -> float:
    """From one frame to the next, in the stream's time base."""
    times = np.unique(times_of(packets))
    if len(times) > 1:
        return float(np.median(np.diff(times)))
    return 1 / float(stream.guessed_rate or 25) / float(stream.time_base or 1)
