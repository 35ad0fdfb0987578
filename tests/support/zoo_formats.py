"""Codecs, formats and faults of synthetic containers, and the file of each plan."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.stream import Disposition
from zoo_pictures import SIZE, UPRIGHT, Matrix, Picture, draw, turned


@dataclass(frozen=True)
class Coding:
    """:param reorders: pictures wait for others. ``any_time``: the rate need not be constant."""

    codec: str
    options: dict[str, str]
    pix_fmt: str = "yuv420p"
    reorders: bool = False
    any_time: bool = True


_FIXED = "b-adapt=0:scenecut=0"
_QUICK = {"deadline": "realtime", "cpu-used": "8"}

CODINGS = {
    "h264": Coding("libx264", {"x264-params": "bframes=0"}),
    "h264-b": Coding("libx264", {"x264-params": f"bframes=2:{_FIXED}"}, reorders=True),
    "h264-pyramid": Coding("libx264", {"x264-params": f"bframes=5:b-pyramid=2:{_FIXED}"}, reorders=True),
    "h264-open": Coding("libx264", {"x264-params": f"bframes=2:open-gop=1:{_FIXED}"}, reorders=True),
    "h264-interlaced": Coding("libx264", {"x264-params": f"bframes=2:tff=1:{_FIXED}"}, reorders=True),
    "hevc": Coding("libx265", {"x265-params": f"open-gop=0:{_FIXED}:log-level=none"}, reorders=True),
    "hevc-open": Coding("libx265", {"x265-params": f"open-gop=1:{_FIXED}:log-level=none"}, reorders=True),
    "mpeg4": Coding("mpeg4", {}),
    "mpeg4-b": Coding("mpeg4", {"bf": "2"}, reorders=True),
    "mpeg2": Coding("mpeg2video", {}, any_time=False),
    "mpeg2-b": Coding("mpeg2video", {"bf": "2"}, reorders=True, any_time=False),
    "mjpeg": Coding("mjpeg", {}, "yuvj420p"),
    "vp8": Coding("libvpx", {**_QUICK, "auto-alt-ref": "0"}),
    "vp8-hidden": Coding("libvpx", {"deadline": "good", "cpu-used": "5", "auto-alt-ref": "1"}),
    "vp9": Coding("libvpx-vp9", {**_QUICK, "lag-in-frames": "0"}),
    "vp9-hidden": Coding("libvpx-vp9", {"deadline": "good", "cpu-used": "8", "auto-alt-ref": "1"}),
    "wmv2": Coding("wmv2", {}, any_time=False),
}

_H264 = ["h264", "h264-b", "h264-pyramid", "h264-open", "h264-interlaced"]
_HEVC = ["hevc", "hevc-open"]
_WEB = ["vp8", "vp8-hidden", "vp9", "vp9-hidden"]


@dataclass(frozen=True)
class Format:
    """:param sound: codec of the sound. ``promises``: its header says how long the recording is."""

    name: str
    codings: list[str]
    sound: str
    promises: bool = True


FORMATS = {
    ".mp4": Format("mp4", [*_H264, *_HEVC, "mpeg4", "mpeg4-b"], "aac"),
    ".m4v": Format("mp4", [*_H264, "mpeg4"], "aac"),
    ".mov": Format("mov", [*_H264, "hevc-open", "mjpeg"], "aac"),
    ".mkv": Format("matroska", [*_H264, *_HEVC, *_WEB, "mpeg4-b", "mpeg2-b", "mjpeg"], "aac"),
    ".webm": Format("webm", _WEB, "libopus"),
    ".avi": Format("avi", [*_H264, "mpeg4", "mpeg4-b", "mjpeg"], "mp2"),
    ".mts": Format("mpegts", [*_H264, *_HEVC, "mpeg2", "mpeg2-b"], "aac", promises=False),
    ".m2ts": Format("mpegts", [*_H264, "mpeg2-b"], "aac", promises=False),
    ".mpg": Format("mpeg", ["mpeg2", "mpeg2-b"], "mp2", promises=False),
    ".flv": Format("flv", ["h264", "h264-b", "h264-open"], "aac"),
    ".wmv": Format("asf", ["wmv2"], "mp2"),
}

_MP4 = (".mp4", ".m4v", ".mov")
_MKV = (".mkv", ".webm")
_TS = (".mts", ".m2ts")

Fault = Literal[
    *("none", "joined", "resized", "as-stored", "uneven", "late", "early", "covered", "turned", "trimmed"),
    *(
        "truncated",
        "damaged",
        "twice",
        "set-back",
        "wrapped",
        "dropped",
        "packed",
        "fragmented",
        "holed",
        "headless",
    ),
]

FAULTS: dict[Fault, tuple[str, ...]] = {
    "none": tuple(FORMATS),
    "joined": (*_MP4[:1], *_MKV, *_TS, ".avi", ".mpg", ".flv"),
    "resized": (*_MKV, *_TS, ".mpg"),
    "as-stored": (*_MP4[::2], ".mkv"),
    "uneven": (*_MP4[::2], *_MKV, ".mts", ".flv"),
    "late": (*_MP4[::2], *_MKV, *_TS, ".flv", ".mpg", ".wmv"),
    "early": (*_MP4[::2], *_MKV, ".mts", ".avi", ".flv", ".mpg"),
    "covered": (*_MP4, ".mkv", ".mts"),
    "turned": _MP4,
    "trimmed": _MP4,
    "truncated": tuple(FORMATS),
    "damaged": (*_MP4[:1], *_MKV, ".mts", ".avi", ".mpg", ".flv"),
    "twice": _MKV,
    "set-back": _MKV,
    "wrapped": _TS,
    "dropped": (".avi",),
    "packed": (".avi",),
    "fragmented": (*_MP4,),
    "holed": _TS,
    "headless": (*_TS, ".mpg"),
}

PAIRS = [(fault, suffix) for fault, suffixes in FAULTS.items() for suffix in suffixes]
_ORDER = np.random.default_rng(1).permutation(len(PAIRS))


def kind_of(seed: int) -> tuple[Fault, str]:
    """The fault and the file's suffix; each pair of them comes once in ``len(PAIRS)`` seeds."""
    return PAIRS[_ORDER[seed % len(PAIRS)]]


@dataclass(frozen=True)
class Specimen:
    """A file, and what is known of it.

    :param description: all that was drawn, in a line.
    :param stream: the session's place among the streams.
    :param sizes: of each picture that the file shows, by its number: width and height, px, upright.
    :param times_s: when each of them is shown, from the container's start; none where no time is right.
    :param good_clock: the file's own times are true.
    :param promises: what is missing at the end can be known.
    :param hurt: pictures are damaged.
    :param refusable: whether the file can be of no use at all.
    """

    path: Path
    description: str
    stream: int
    sizes: dict[int, tuple[int, int]]
    times_s: tuple[float, ...] | None
    matrix: Matrix = UPRIGHT
    good_clock: bool = True
    promises: bool = True
    hurt: bool = False
    refusable: bool = False


Edit = Callable[[list[av.Packet]], list[av.Packet]]


@dataclass(frozen=True)
class Plan:
    """What is written into one file.

    :param numbers: of the pictures. ``times_ms``: when each is shown.
    :param sound_s: start and end of the sound; none without sound. ``sound_first``: its place.
    :param extra: another video stream: a cover, a still picture, a small preview or a second camera.
    :param edit: changes the packets before they are stored.
    """

    coding: Coding
    format: Format
    gop: int
    numbers: tuple[int, ...]
    times_ms: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...] = (SIZE,)
    matrix: Matrix = UPRIGHT
    sound_s: tuple[float, float] | None = None
    sound_first: bool = False
    extra: Literal["cover", "still", "preview", "camera"] | None = None
    extra_first: bool = False
    edit: Edit | None = None
    options: tuple[tuple[str, str], ...] = ()
    tag: str | None = None


def write(path: Path, plan: Plan) -> int:
    """Writes the file, and returns the session's place among its streams."""
    with av.open(str(path), "w", format=plan.format.name, options=dict(plan.options)) as container:
        sound = _add_sound(container, plan) if plan.sound_first else None
        extra = _add_extra(container, plan) if plan.extra_first else None
        stream = container.add_stream(plan.coding.codec, rate=25, options=plan.coding.options)
        extra = extra or _add_extra(container, plan)
        sound = sound or _add_sound(container, plan)
        if plan.tag is not None:
            stream.codec_context.codec_tag = plan.tag
        packets = _film(stream.codec_context, plan)
        packets = plan.edit(packets) if plan.edit is not None else packets
        for packet in packets:
            packet.stream = stream
        packets += _extra(extra, plan) + _sound(sound, plan)
        for packet in packets:
            container.mux(packet)
        index = int(stream.index)
    if path.suffix != ".mpg" and plan.extra != "cover":
        return index
    with av.open(
        str(path)
    ) as container:  # a program stream has no table of streams, and MP4 stores covers last
        return int(container.streams.video[0].index)


def _film(context: av.VideoCodecContext, plan: Plan) -> list[av.Packet]:
    """Packets of the pictures; each size has an encoder of its own."""
    packets = []
    share = -(-len(plan.numbers) // len(plan.sizes))
    for place, size in enumerate(plan.sizes):
        part = slice(place * share, (place + 1) * share)
        if place:
            context = av.CodecContext.create(plan.coding.codec, "w")  # type: ignore[assignment]
            context.framerate, context.options = Fraction(25), plan.coding.options
        pictures = [turned(draw(number, size), plan.matrix) for number in plan.numbers[part]]
        packets += encoded(context, pictures, plan.times_ms[part], plan.coding, plan.gop)
    return packets


def encoded(
    context: av.VideoCodecContext,
    pictures: Sequence[Picture],
    times_ms: Sequence[int],
    coding: Coding,
    gop: int = 12,
) -> list[av.Packet]:
    """Packets of pictures of one size, of a constant rate where times allow it."""
    base = Fraction(1, 1000) if any(time % 40 for time in times_ms) else Fraction(1, 25)
    context.height, context.width = pictures[0].shape[:2]
    context.pix_fmt, context.gop_size, context.time_base = coding.pix_fmt, gop, base
    context.thread_count = 1
    packets = []
    for picture, time_ms in zip(pictures, times_ms, strict=True):
        frame = av.VideoFrame.from_ndarray(picture)
        frame.pts, frame.time_base = round(Fraction(time_ms, 1000) / base), base
        packets += context.encode(frame)
    return [*packets, *context.encode(None)]


def _add_sound(container: av.container.OutputContainer, plan: Plan) -> Any:
    if plan.sound_s is None:
        return None
    stream = container.add_stream(plan.format.sound, rate=48000)
    stream.codec_context.layout = "mono"
    return stream


def _sound(stream: Any, plan: Plan) -> list[av.Packet]:
    """Silence."""
    if stream is None or plan.sound_s is None:
        return []
    stream.codec_context.open(strict=False)
    block = stream.codec_context.frame_size
    start, end = (round(second * 48000) for second in plan.sound_s)
    packets = []
    for first in range(start, end, block):
        kind = stream.codec_context.format.name
        silence = np.zeros((1, block), np.float32 if kind.startswith("flt") else np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format=kind, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, first, Fraction(1, 48000)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def _add_extra(container: av.container.OutputContainer, plan: Plan) -> Any:
    if plan.extra is None:
        return None
    still = plan.extra in ("cover", "still")
    stream = container.add_stream("mjpeg" if still else "libx264", rate=25)
    stream.width, stream.height = (300, 300) if still else (64, 36) if plan.extra == "preview" else SIZE
    stream.pix_fmt = "yuvj420p" if still else "yuv420p"
    if plan.extra == "cover":
        stream.disposition = Disposition.attached_pic
    return stream


def _extra(stream: Any, plan: Plan) -> list[av.Packet]:
    """Pictures of another stream: their numbers are others than the session's."""
    if stream is None:
        return []
    count = 1 if plan.extra in ("cover", "still") else len(plan.numbers)
    pictures = [draw(255 - number, (stream.width, stream.height)) for number in range(count)]
    coding = Coding(stream.codec_context.name, {}, stream.pix_fmt)
    packets = encoded(stream.codec_context, pictures, range(0, 40 * count, 40), coding)
    for packet in packets:
        packet.stream = stream
    return packets
