"""Faults of synthetic containers, made by hand."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from zoo_formats import _MP4, Coding, Fault, Plan, Specimen, write
from zoo_pictures import MATRICES, SIZE


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
    # of a late start, AVI makes a hole after the first picture
    follows = way == "repeat" or (way == "back" and path.suffix != ".avi")
    times_s = tuple(number / 25 for number in plan.numbers) if follows else None
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
