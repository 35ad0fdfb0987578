"""Made containers, healthy and faulty, against FFmpeg's own decoder: what it gives in order is what is read.

``EMONEXT_CONTAINERS=200 python -m pytest tests/test_container_property.py`` makes so many, else fewer.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from videos import encode, numbered, read_number

from pipeline.container import probe
from pipeline.video import SampledVideo, picture_at

COUNT = int(os.environ.get("EMONEXT_CONTAINERS", "48"))

CODECS: dict[str, tuple[str, dict[str, str]]] = {
    "plain": ("libx264", {"bf": "0"}),
    "reordered": ("libx264", {"x264-params": "bframes=3:b-adapt=0:scenecut=0"}),
    "open": ("libx264", {"x264-params": "bframes=3:b-adapt=0:scenecut=0:open-gop=1"}),
    "hevc": ("libx265", {"x265-params": "open-gop=0:bframes=3:b-adapt=0:scenecut=0:log-level=none"}),
    "hevc open": ("libx265", {"x265-params": "open-gop=1:bframes=3:b-adapt=0:scenecut=0:log-level=none"}),
    "mpeg4": ("mpeg4", {}),
    "mpeg4 reordered": ("mpeg4", {"bf": "2"}),
    "mpeg2": ("mpeg2video", {"bf": "2"}),
    "vp8": ("libvpx", {"deadline": "realtime", "auto-alt-ref": "0"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
}
HOLDS = {
    ".mp4": ["plain", "reordered", "open", "hevc", "hevc open", "mpeg4", "mpeg4 reordered"],
    ".mov": ["plain", "reordered", "hevc open"],
    ".mkv": [*CODECS],
    ".webm": ["vp8", "vp9"],
    ".avi": ["plain", "reordered", "open", "mpeg4", "mpeg4 reordered"],
    ".mts": ["plain", "reordered", "open", "hevc", "mpeg2"],
    ".mpg": ["mpeg2"],
    ".flv": ["plain", "reordered"],
}
# a container of constant rate can't hold the others
FAULTS = [
    "none",
    "none",
    "joined",
    "joined",
    "clock",
    "late",
    "two streams",
    "mirrored",
    "fragmented",
    "holes",
]


@dataclass(frozen=True)
class Made:
    """A file, and whether a healthy clock is promised.

    :param stream: place of the session among the streams.
    """

    path: Path
    healthy: bool
    stream: int = 0
    mirrored: bool = False


def make(folder: Path, seed: int) -> Made:
    """One file; its description is its name."""
    random = np.random.default_rng(seed)
    suffix = str(random.choice([*HOLDS]))
    kind = str(random.choice(HOLDS[suffix]))
    fault = str(random.choice(FAULTS))
    stem = f"{seed} {kind} {fault}".replace(" ", "_")
    codec, options = CODECS[kind]
    gop, count = int(random.integers(5, 30)), int(random.integers(50, 120))
    pictures = numbered(count)

    def write(name: str, part: list[NDArray[np.uint8]], **settings: object) -> Path:
        return encode(folder / f"{name}{suffix}", part, codec=codec, options=options, gop=gop, **settings)

    path = folder / f"{stem}{suffix}"
    match fault:
        case "joined":
            cuts = sorted(random.choice(np.arange(20, count - 20), int(random.integers(1, 3)), replace=False))
            bounds = [0, *map(int, cuts), count]
            # their clocks start again, overlap, or jump ahead; AVI and FLV have a constant rate
            starts_ms = random.choice([0, 0, 500, 3000, 100_000], len(bounds)).tolist()
            timed = suffix in (".mts", ".mkv", ".webm", ".mp4", ".mov") and codec != "mpeg2video"
            takes = []
            for k, (first, end) in enumerate(pairwise(bounds)):
                times = [starts_ms[k] + 40 * n for n in range(end - first)] if timed else None
                takes.append(write(f"take{k}", pictures[first:end], times_ms=times))
            path.write_bytes(b"".join(take.read_bytes() for take in takes))
            return Made(path, healthy=False)
        case "clock" if suffix in (".mp4", ".mkv", ".mov"):
            return Made(stored_as_shown(write("source", pictures), path), healthy=False)
        case "late" if suffix in (".mp4", ".mkv", ".mov", ".mts"):
            offset_ms = int(random.integers(0, 3000))
            return Made(with_sound(write("source", pictures), path, offset_ms), healthy=True, stream=1)
        case "two streams" if suffix in (".mp4", ".mkv", ".mov"):
            return Made(behind_a_preview(write("source", pictures), path), healthy=True, stream=1)
        case "mirrored" if suffix in (".mp4", ".mov"):
            return Made(mirrored(write("source", pictures), path), healthy=True, mirrored=True)
        case "fragmented" if suffix in (".mp4", ".mov"):
            flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
            return Made(write(stem, pictures, container_options=flags), healthy=True)
        case "holes" if suffix in (".mp4", ".mkv", ".mov", ".webm") and codec != "mpeg2video":
            steps = random.choice([20, 40, 70, 2000], count, p=[0.4, 0.4, 0.18, 0.02])
            return Made(write(stem, pictures, times_ms=np.cumsum(steps).tolist()), healthy=True)
        case _:
            return Made(write(stem, pictures), healthy=suffix not in (".avi", ".mpg"))


def stored_as_shown(source: Path, target: Path) -> Path:
    """Each packet is shown at its place in the file, as remuxing an AVI with made-up times leaves it."""
    return rewrite(source, target, lambda number, packet: (40 * number, 40 * number))


def rewrite(source: Path, target: Path, times_ms: Callable[[int, av.Packet], tuple[int, int]]) -> Path:
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(p for p in old.demux(video=0) if p.size):
            packet.pts, packet.dts = times_ms(number, packet)
            packet.time_base, packet.stream = Fraction(1, 1000), copy
            new.mux(packet)
    return target


def with_sound(source: Path, target: Path, offset_ms: int) -> Path:
    """The picture begins so long after the sound."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        sound, copy = new.add_stream("aac", rate=16000), new.add_stream_from_template(stream)
        for block in range(100):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, block * 1024
            new.mux(sound.encode(frame))
        new.mux(sound.encode(None))
        shift = round(offset_ms / 1000 / stream.time_base)
        for packet in (p for p in old.demux(stream) if p.size):
            packet.pts += shift
            packet.dts = packet.dts + shift if packet.dts is not None else None
            packet.stream = copy
            new.mux(packet)
    return target


def behind_a_preview(source: Path, target: Path) -> Path:
    """A small preview of the same length lies first."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        preview = new.add_stream("libx264", rate=25)
        preview.width, preview.height, preview.pix_fmt = 64, 16, "yuv420p"
        copy = new.add_stream_from_template(stream)
        packets = [p for p in old.demux(stream) if p.size]
        for number in range(len(packets)):
            frame = av.VideoFrame.from_ndarray(np.full((16, 64, 3), 128, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            new.mux(preview.encode(frame))
        new.mux(preview.encode(None))
        for packet in packets:
            packet.stream = copy
            new.mux(packet)
    return target


def mirrored(source: Path, target: Path) -> Path:
    """The display matrix mirrors the picture, as phones' front cameras write it."""
    content = bytearray(source.read_bytes())
    place = content.index(b"tkhd") + 8 + 36
    matrix = np.array([-1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4")
    content[place : place + 36] = matrix.tobytes()
    target.write_bytes(bytes(content))
    return target


def decoded(made: Made) -> tuple[list[int], list[float]]:
    """Numbers and times (s, from the container's start) of all pictures, as FFmpeg decodes them in order."""
    with av.open(str(made.path)) as container:
        stream = container.streams[made.stream]
        stream.thread_type = "NONE"
        start_s = (container.start_time or 0) / av.time_base
        numbers, times = [], []
        for frame in container.decode(stream):
            picture = frame.to_ndarray(format="rgb24")
            numbers.append(read_number(picture[:, ::-1] if made.mirrored else picture))
            times.append(np.nan if frame.pts is None else float(frame.pts * stream.time_base) - start_s)
    return numbers, times


@pytest.mark.parametrize("seed", range(COUNT))
def test_what_the_decoder_gives_in_order_is_what_is_read(tmp_path: Path, seed: int) -> None:
    made = make(tmp_path, seed)
    expected, times = decoded(made)
    info = probe(made.path)
    batches = list(SampledVideo(info, 1000))
    index = np.concatenate([batch.index for batch in batches])
    good = np.concatenate([batch.decoded for batch in batches])
    images = [image for batch in batches for image in batch.images]
    found = [read_number(image) for image, whole in zip(images, good, strict=True) if whole]
    told = bool(info.notes or info.missing_s or not good.all())
    assert index.tolist() == list(range(len(info.time_s)))
    assert (np.diff(info.time_s) > 0).all()
    assert info.time_s[-1] < info.duration_s
    assert found == expected or (told and subsequence(found, expected)), made.path.name
    if made.healthy:
        assert found == expected
        assert {note.kind for note in info.notes} <= {"late", "holes", "early_end"}
        assert ("holes" in {note.kind for note in info.notes}) == (np.diff(times) > 1).any()
        np.testing.assert_allclose(info.time_s, times, rtol=0, atol=1e-3)
    for frame in np.random.default_rng(seed).choice(len(index), 6):
        picture = picture_at(info, int(frame))
        assert (picture is not None) == good[frame], (made.path.name, int(frame))
        assert picture is None or read_number(picture) == read_number(images[frame])


def subsequence(found: list[int], expected: list[int]) -> bool:
    rest = iter(expected)
    return all(number in rest for number in found)
