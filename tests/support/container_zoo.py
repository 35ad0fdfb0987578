"""Made recordings, healthy and faulty, whose every picture shows its own number.

One specimen is drawn for each number of a seed. What a decoder must give is known without one: which
numbers are shown, in which order, how the picture is turned, and mostly when.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Matrix = tuple[int, int, int, int]
"""a b c d of a display matrix: the stored point (x, y) is shown at (a·x + c·y, b·x + d·y)."""

SIZE = (192, 108)
_COLUMNS, _ROWS = 6, 3
_DARK, _LIGHT = 40, 210
_CORNERS = {0: True, 5: False, 12: False, 17: False}
_FREE = [cell for cell in range(_COLUMNS * _ROWS) if cell not in _CORNERS]

UPRIGHT: Matrix = (1, 0, 0, 1)
MATRICES: tuple[Matrix, ...] = (
    UPRIGHT,
    *((-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)),
    *((0, 1, -1, 0), (0, -1, 1, 0), (0, 1, 1, 0), (0, -1, -1, 0)),
)


def draw(number: int, size: tuple[int, int] = SIZE) -> Picture:
    """Large dark and light cells: the corners tell which way is up, the others hold the number and a check.

    :param number: 0…255. ``size``: width and height, px.
    """
    bits = {cell: bool(_code(number) >> place & 1) for place, cell in enumerate(_FREE)} | _CORNERS
    levels = np.array([_LIGHT if bits[cell] else _DARK for cell in range(_COLUMNS * _ROWS)], np.uint8)
    across = np.arange(size[0]) * _COLUMNS // size[0]
    down = np.arange(size[1]) * _ROWS // size[1]
    plane = levels.reshape(_ROWS, _COLUMNS)[down][:, across]
    return np.repeat(plane[..., None], 3, axis=2)


def read(picture: Picture) -> int | None:
    """The inverse of :func:`draw`; none where a picture is smeared, turned or mirrored."""
    levels = np.array(
        [
            cell[cell.shape[0] // 4 : -cell.shape[0] // 4, cell.shape[1] // 4 : -cell.shape[1] // 4].mean()
            for row in np.array_split(picture, _ROWS)
            for cell in np.array_split(row, _COLUMNS, axis=1)
        ]
    )
    if np.any(np.abs(levels - (_DARK + _LIGHT) / 2) < (_LIGHT - _DARK) / 4):
        return None
    bits = levels > (_DARK + _LIGHT) / 2
    code = sum(1 << place for place, cell in enumerate(_FREE) if bits[cell])
    upright = all(bits[cell] == light for cell, light in _CORNERS.items())
    return code & 255 if upright and code == _code(code & 255) else None


def _code(number: int) -> int:
    """Ten bits and more: a number, and a check that a wrong cell breaks."""
    return number | (number * 11 + 5) % 61 << 8


def fitted(picture: Picture, size: tuple[int, int]) -> Picture | None:
    """The part of a picture in which one of another shape lies, its proportions kept; else none.

    :param size: width and height, px, of the one that lies in it.
    """
    height, width = picture.shape[:2]
    scale = min(width / size[0], height / size[1])
    left, top = round((width - scale * size[0]) / 2), round((height - scale * size[1]) / 2)
    outside = picture.copy()
    outside[max(0, top - 2) : height - top + 2, max(0, left - 2) : width - left + 2] = 0
    return picture[top : height - top, left : width - left] if outside.max() < _DARK / 2 else None


def turned(upright: Picture, matrix: Matrix) -> Picture:
    """As it must be stored so that the matrix shows it upright."""
    height, width = upright.shape[:2]
    x, y = _shown_at((height, width) if matrix[0] else (width, height), matrix)
    return np.ascontiguousarray(upright[y, x])


def shown(stored: Picture, matrix: Matrix) -> Picture:
    """As the matrix shows what is stored: the inverse of :func:`turned`."""
    x, y = _shown_at(stored.shape[:2], matrix)
    picture = np.zeros((y.max() + 1, x.max() + 1, 3), np.uint8)
    picture[y, x] = stored
    return picture


def _shown_at(shape: tuple[int, ...], matrix: Matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    y, x = np.indices(shape)
    a, b, c, d = matrix
    across, down = a * x + c * y, b * x + d * y
    return across - across.min(), down - down.min()


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


def make(folder: Path, seed: int) -> Specimen:
    """The specimen of a seed."""
    fault, suffix = kind_of(seed)
    random = np.random.default_rng(seed)
    plan, described = _plan(random, fault, suffix)
    path = folder / f"{seed}-{fault}{suffix}"
    made = _FAULTY[fault](path, plan, random)
    if suffix == ".mpg" or "cover" in made.description:
        made = replace(made, stream=_first_stream(path))
    return replace(made, description=f"{path.name}: {described}; {made.description}".rstrip("; "))


def _first_stream(path: Path) -> int:
    """A program stream has no table of streams, and MP4 stores covers last."""
    with av.open(str(path)) as container:
        return int(container.streams.video[0].index)


def _plan(random: np.random.Generator, fault: Fault, suffix: str) -> tuple[Plan, str]:
    form = FORMATS[suffix]
    codings = [name for name in form.codings if _suits(CODINGS[name], name, fault, suffix)]
    name = "mpeg4" if fault == "packed" else str(random.choice(codings))
    count, gop = int(random.integers(50, 120)), int(random.integers(4, 30))
    sound = fault not in ("trimmed", "packed", "turned") and random.random() < 0.5
    options = _options(random, fault, suffix, CODINGS[name].reorders)
    plan = Plan(
        CODINGS[name],
        form,
        gop,
        tuple(range(count)),
        tuple(range(0, 40 * count, 40)),
        sound_s=(0.0, count / 25) if sound else None,
        sound_first=bool(random.random() < 0.5),
        options=options,
    )
    place = ("first" if plan.sound_first else "last") if sound else "none"
    return plan, f"{name}, {count} pictures, gop {gop}, sound {place}, {dict(options)}"


def _suits(coding: Coding, name: str, fault: Fault, suffix: str) -> bool:
    if fault == "as-stored":
        return coding.reorders
    if fault == "resized" and suffix in _MKV:
        return name in (*_WEB, "mjpeg")  # the others' sizes are in the header
    if fault == "resized" and name == "h264-interlaced":
        return False  # half of a picture's height must be even
    if fault == "twice":
        return not coding.reorders
    return coding.any_time or fault != "uneven"


def _options(
    random: np.random.Generator, fault: Fault, suffix: str, reorders: bool
) -> tuple[tuple[str, str], ...]:
    if suffix in _MKV and fault == "set-back":
        return (("cluster_time_limit", "500"), ("write_crc32", "0"))
    if suffix not in _MP4:
        return ()
    fragments = [
        (("movflags", "frag_keyframe+empty_moov"),),
        (("movflags", "frag_keyframe+empty_moov+default_base_moof"),),
        (("movflags", "empty_moov"), ("frag_duration", "300000")),
    ]
    if not reorders:  # FFmpeg writes wrong times into fragments of one picture each
        fragments.append((("movflags", "frag_every_frame+empty_moov"),))
    whole = [
        (),
        (("movflags", "faststart"),),
        (("use_editlist", "0"),),
        (("movflags", "negative_cts_offsets"),),
    ]
    if fault in ("trimmed", "joined"):
        return ()
    if fault == "late":  # only an edit list says when the first picture is shown
        fragments, whole = [], [option for option in whole if option != (("use_editlist", "0"),)]
    choices = fragments if fault == "fragmented" else whole + fragments
    return choices[int(random.integers(len(choices)))]


def _specimen(path: Path, plan: Plan, stream: int, description: str = "", **known: Any) -> Specimen:
    share = -(-len(plan.numbers) // len(plan.sizes))
    sizes = {number: plan.sizes[place // share] for place, number in enumerate(plan.numbers)}
    sound_ms = plan.times_ms[0] if plan.sound_s is None else 1000 * plan.sound_s[0]
    start_ms = min(plan.times_ms[0], sound_ms)
    values = {
        "times_s": tuple((time - start_ms) / 1000 for time in plan.times_ms),
        "matrix": plan.matrix,
        "promises": plan.format.promises and not any("empty_moov" in value for _, value in plan.options),
    }
    return Specimen(path, description, stream, sizes, **{**values, **known})


def _healthy(path: Path, plan: Plan, random: np.random.Generator, description: str = "") -> Specimen:
    return _specimen(path, plan, write(path, plan), description)


def _joined(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """Two or three takes, byte behind byte; each take's clock starts where the way of joining puts it."""
    way = str(random.choice(["repeat", "overlap", "ahead", "back", "close"]))
    count = len(plan.numbers)
    cuts = sorted(random.choice(np.arange(20, count - 20), int(random.integers(1, 3)), replace=False))
    bounds = [*pairwise([0, *map(int, cuts), count])]
    starts_ms = {
        "repeat": [0 for _ in bounds],
        "overlap": [40 * (first // 2) for first, _ in bounds],
        "ahead": [40 * first + 5000 * place for place, (first, _) in enumerate(bounds)],
        "back": [40_000 - 8000 * place for place, _ in enumerate(bounds)],
        "close": [40 * (first - 5 * place) for place, (first, _) in enumerate(bounds)],
    }[way]
    stream = _write_takes(path, plan, bounds, starts_ms)
    times_s = tuple(number / 25 for number in plan.numbers) if way in ("repeat", "back") else None
    description = f"joined at {[first for first, _ in bounds[1:]]}, clocks {way}"
    return _specimen(path, plan, stream, description, times_s=times_s, good_clock=False)


def _resized(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """The picture's size changes, as where a phone is turned."""
    others = [(108, 192), (256, 144), (96, 54), (144, 108)]
    sizes = (SIZE, others[int(random.integers(len(others)))])
    plan = replace(plan, sizes=sizes)
    if plan.format.name in ("matroska", "webm"):
        return _specimen(path, plan, write(path, plan), f"{sizes}")
    half = -(-len(plan.numbers) // 2)
    bounds = [(0, half), (half, len(plan.numbers))]
    stream = _write_takes(path, plan, bounds, [0, 40 * half])
    # a program stream's clock begins before its first picture: the takes' clocks overlap
    times_s: dict[str, Any] = {"times_s": None} if path.suffix == ".mpg" else {}
    return _specimen(path, plan, stream, f"{sizes}, joined", good_clock=False, **times_s)


def _write_takes(path: Path, plan: Plan, bounds: Sequence[tuple[int, int]], starts_ms: Sequence[int]) -> int:
    content, stream = b"", 0
    for place, ((first, end), start_ms) in enumerate(zip(bounds, starts_ms, strict=True)):
        take = replace(
            plan,
            numbers=plan.numbers[first:end],
            times_ms=tuple(start_ms + 40 * k for k in range(end - first)),
            sizes=(plan.sizes[min(place, len(plan.sizes) - 1)],),
            sound_s=(start_ms / 1000, start_ms / 1000 + (end - first) / 25) if plan.sound_s else None,
        )
        part = path.with_name(f"take{place}{path.suffix}")
        stream = write(part, take)
        content += part.read_bytes()
    path.write_bytes(content)
    return stream


def _as_stored(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """Each picture is shown at its place in the file, as ``ffmpeg -fflags +genpts -c copy`` leaves an AVI."""

    def edit(packets: list[av.Packet]) -> list[av.Packet]:
        for place, packet in enumerate(packets):
            packet.pts = packet.dts = place
            packet.time_base = Fraction(1, 25)
        return packets

    return replace(_healthy(path, replace(plan, edit=edit), random), good_clock=False)


def _uneven(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """A rate that varies, and holes."""
    steps = random.choice([20, 33, 41, 70, 2500], len(plan.numbers), p=[0.2, 0.3, 0.3, 0.18, 0.02])
    times_ms = tuple(int(time) for time in np.cumsum(steps) - steps[0])
    sound_s = (0.0, times_ms[-1] / 1000) if plan.sound_s else None
    return _healthy(path, replace(plan, times_ms=times_ms, sound_s=sound_s), random)


def _late(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """The picture begins after the sound."""
    offset_ms = 40 * int(random.integers(12, 75))
    times_ms = tuple(time + offset_ms for time in plan.times_ms)
    sound_s = (0.0, times_ms[-1] / 1000)
    return _healthy(path, replace(plan, times_ms=times_ms, sound_s=sound_s), random, f"late {offset_ms} ms")


def _early(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """The picture ends before the sound."""
    end_s = plan.times_ms[-1] / 1000 + float(random.uniform(0.3, 4))
    return _healthy(path, replace(plan, sound_s=(0.0, end_s)), random, f"sound to {end_s:.2f} s")


def _covered(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """Another video stream."""
    kinds = ["still", "preview", "camera"] if path.suffix != ".mts" else ["preview", "camera"]
    kinds += ["cover"] if path.suffix in _MP4 and not plan.options else []
    extra: Any = str(random.choice(kinds))
    first = bool(random.random() < 0.5) and extra != "camera"
    plan = replace(plan, extra=extra, extra_first=first)
    return _healthy(path, plan, random, f"{extra} {'first' if first else 'last'}")


def _turned(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """A display matrix (ISO/IEC 14496-12, 8.3.2): in a track's header, 40 bytes behind the version."""
    matrix = MATRICES[int(random.integers(1, len(MATRICES)))]
    made = _healthy(path, replace(plan, matrix=matrix), random, f"matrix {matrix}")
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 8 + 36
    a, b, c, d = (value << 16 for value in matrix)
    content[place : place + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(bytes(content))
    return made


def _trimmed(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """An edit list leaves out the beginning, as a phone's editor does (ISO/IEC 14496-12, 8.6.6)."""
    cut = int(random.integers(1, 30))
    made = _healthy(path, plan, random, f"{cut} trimmed")
    with av.open(str(path)) as container:
        ticks = round(1 / 25 / container.streams.video[0].time_base)
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 12
    length, begin = np.frombuffer(content[place : place + 8], ">i4")
    edited = np.array([length - 40 * cut, begin + ticks * cut], ">i4")
    content[place : place + 8] = edited.tobytes()
    path.write_bytes(bytes(content))
    sizes = {number: size for number, size in made.sizes.items() if number >= cut}
    return replace(made, sizes=sizes, times_s=plan_times(len(sizes)))


def plan_times(count: int) -> tuple[float, ...]:
    """At 25 pictures a second."""
    return tuple(number / 25 for number in range(count))


def _truncated(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """The file's end is missing, as where a recorder lost power."""
    made = _healthy(path, plan, random)
    content, share = path.read_bytes(), float(random.uniform(0.3, 0.9))
    path.write_bytes(content[: int(len(content) * share)])
    # where the table of samples lies at the end it is missing
    flags = dict(plan.options).get("movflags", "")
    refusable = path.suffix in _MP4 and "empty_moov" not in flags and "faststart" not in flags
    return replace(made, description=f"first {share:.2f}", hurt=True, refusable=refusable)


def _damaged(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """A packet in the middle is overwritten, as by a failing memory card."""
    place = int(random.integers(10, len(plan.numbers) - 10))
    filling = [b"\x00", b"\xff", None][int(random.integers(3))]

    def edit(packets: list[av.Packet]) -> list[av.Packet]:
        old = packets[place]
        content = bytes(old)
        kept = content[: min(12, len(content) // 3)]
        rest = len(content) - len(kept)
        packets[place] = _with_content(
            old, kept + (random.bytes(rest) if filling is None else filling * rest)
        )
        return packets

    made = _healthy(path, replace(plan, edit=edit), random, f"packet {place} is {filling!r}")
    return replace(made, hurt=True)


def _with_content(old: av.Packet, content: bytes) -> av.Packet:
    packet = av.Packet(content)
    packet.pts, packet.dts, packet.duration = old.pts, old.dts, old.duration
    packet.time_base, packet.is_keyframe = old.time_base, old.is_keyframe
    return packet


def _twice(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """Some pictures have the time of the one before."""
    repeated = set(random.choice(np.arange(1, len(plan.numbers)), 6, replace=False).tolist())

    def edit(packets: list[av.Packet]) -> list[av.Packet]:
        for place, (before, packet) in enumerate(pairwise(packets), start=1):
            if place in repeated:
                packet.pts, packet.dts = before.pts, before.dts
        return packets

    made = _healthy(path, replace(plan, edit=edit), random, f"times twice at {sorted(repeated)}")
    return replace(made, good_clock=False)


def _set_back(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """From some cluster on the clock is set back, as a phone's by the network."""
    made = _healthy(path, plan, random)
    cluster = re.compile(rb"(\x1f\x43\xb6\x75.{1,8}?\xe7)([\x81-\x84])", re.DOTALL)
    content = bytearray(path.read_bytes())
    found = [(match.end(), match[2][0] & 15) for match in cluster.finditer(content)]
    times = [int.from_bytes(content[place : place + length]) for place, length in found]
    from_cluster = int(random.integers(1, len(found)))
    back_ms = int(random.integers(100, 200 + times[from_cluster]))
    for (place, length), time in list(zip(found, times, strict=True))[from_cluster:]:
        content[place : place + length] = max(0, time - back_ms).to_bytes(length)
    path.write_bytes(bytes(content))
    description = f"clusters {times}, {back_ms} ms back from {from_cluster} on"
    return replace(made, description=description, times_s=None, good_clock=False)


def _wrapped(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """The 33 bits of the clock run over, as they do each 26.5 hours (ISO/IEC 13818-1, 2.4.3.7)."""
    start_ms = (2**33 // 90 - int(random.integers(200, 3000))) // 40 * 40
    times_ms = tuple(time + start_ms for time in plan.times_ms)
    sound_s = (start_ms / 1000, times_ms[-1] / 1000) if plan.sound_s else None
    return _healthy(path, replace(plan, times_ms=times_ms, sound_s=sound_s), random, f"from {start_ms} ms")


def _dropped(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """Pictures that the recorder had no time for are empty chunks."""
    steps = random.choice([40, 80, 400], len(plan.numbers), p=[0.8, 0.15, 0.05])
    times_ms = tuple(int(time) for time in np.cumsum(steps) - steps[0])
    sound_s = (0.0, times_ms[-1] / 1000) if plan.sound_s else None
    made = _healthy(path, replace(plan, times_ms=times_ms, sound_s=sound_s), random, "pictures dropped")
    # AVI says when a picture is decoded, not when it is shown
    return replace(made, times_s=None) if plan.coding.reorders else made


_PLACEHOLDER = b"\x00\x00\x01\xb6\x50\x4f"
"""A VOP that is not coded (ISO/IEC 14496-2, 6.2.5), at 25 increments a second."""


def _packed(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """XviD's packed bitstream: a picture shares the packet of the one that it waits for."""

    def edit(packets: list[av.Packet]) -> list[av.Packet]:
        contents = [bytes(packet) for packet in packets]
        # FFmpeg knows a packed stream by the encoder's name
        contents = [
            re.sub(rb"\x00\x00\x01\xb2Lavc[\d.]+", b"\x00\x00\x01\xb2DivX503b1393p", c) for c in contents
        ]
        shown_at = [packet.pts for packet in packets]
        for place in range(len(packets) - 1):
            if shown_at[place + 1] < shown_at[place]:
                contents[place : place + 2] = [contents[place] + contents[place + 1], _PLACEHOLDER]
        made = [_with_content(packet, content) for packet, content in zip(packets, contents, strict=True)]
        for place, packet in enumerate(made):
            packet.pts = packet.dts = place
        return made

    coding = Coding("mpeg4", {"bf": "1", "b_strategy": "0"}, reorders=True)
    return _healthy(path, replace(plan, coding=coding, edit=edit, tag="XVID"), random, "packed")


def _holed(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """Transport packets are missing, as where a stream was received badly."""
    made = _healthy(path, plan, random)
    size = 192 if path.suffix == ".m2ts" else 188
    content = path.read_bytes()
    first, count = int(random.uniform(0.2, 0.7) * len(content) / size), int(random.integers(1, 20))
    path.write_bytes(content[: first * size] + content[(first + count) * size :])
    return replace(made, description=f"{count} transport packets from {first} on are missing", hurt=True)


def _headless(path: Path, plan: Plan, random: np.random.Generator) -> Specimen:
    """The file begins in the middle of a recording, as where a recorder was switched on during one."""
    made = _healthy(path, plan, random)
    content, share = path.read_bytes(), float(random.uniform(0.1, 0.4))
    size = {".m2ts": 192, ".mts": 188, ".mpg": 2048}[path.suffix]
    path.write_bytes(content[int(len(content) * share) // size * size :])
    description = f"first {share:.2f} are missing"
    return replace(made, description=description, times_s=None, hurt=True, promises=False)


_FAULTY: dict[Fault, Callable[[Path, Plan, np.random.Generator], Specimen]] = {
    "none": _healthy,
    "joined": _joined,
    "resized": _resized,
    "as-stored": _as_stored,
    "uneven": _uneven,
    "late": _late,
    "early": _early,
    "covered": _covered,
    "turned": _turned,
    "trimmed": _trimmed,
    "truncated": _truncated,
    "damaged": _damaged,
    "twice": _twice,
    "set-back": _set_back,
    "wrapped": _wrapped,
    "dropped": _dropped,
    "packed": _packed,
    "fragmented": _healthy,
    "holed": _holed,
    "headless": _headless,
}
