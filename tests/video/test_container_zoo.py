"""Made containers against FFmpeg's own decoder: number, order and times of pictures are equal, or it is told.

``EMONEXT_ZOO=all python -m pytest tests/video/test_container_zoo.py`` makes each fault in each container
thrice; a number makes as many specimens. Without, a few are made, and those that have shown mistakes. A
specimen can be made again by its number: ``-k 17-``.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
from container_zoo import make
from numpy.typing import NDArray
from zoo_formats import PAIRS, Specimen, kind_of
from zoo_pictures import SIZE, Picture, fitted, read, shown

from pipeline.errors import VideoError
from pipeline.video.container import VideoInfo
from pipeline.video.decoding import SampledVideo, picture_at, sample_grid
from pipeline.video.frame_times import decoded
from pipeline.video.recording import open_recording

ALL = os.environ.get("EMONEXT_ZOO", "")
COUNT = 3 * len(PAIRS) if ALL == "all" else int(ALL or 40)

# Specimens that have shown mistakes: joined AVIs of which FFmpeg reads only the first; transport streams of
# which a part is missing behind a key frame, in it, and before it.
SHOWN = (5039, 5134, 5229, 1408, 1788, 4543)

# Containers that count in ms, and those whose clocks FFmpeg makes up in part.
_SAME_TIME_S = 1e-3

# Times that are known without a decoder leave out what encoders put before the first sound and picture.
_ENCODER_DELAY_S = 0.25

# Pictures at the end of a file, whose loss need not be told.
_TOLERATED_CUT = 25

_LOSSES = {"lost", "unread"}

THREADS: tuple[Literal["NONE", "AUTO"], ...] = ("NONE", "AUTO")


@dataclass
class Decoded:
    """What FFmpeg gives, in its order.

    :param numbers: that the pictures show; none where one can't be read. ``times_s``: none where not known.
    :param flagged: FFmpeg knows of damage. Without, smeared pictures can't be told from good ones.
    :param hidden: pictures that the file itself asks to leave out.
    """

    numbers: list[int | None] = field(default_factory=list)
    times_s: list[float | None] = field(default_factory=list)
    flagged: bool = False
    hidden: int = 0


@pytest.mark.parametrize("seed", [*range(COUNT), *SHOWN], ids=lambda seed: f"{seed}-{''.join(kind_of(seed))}")
def test_all_that_ffmpeg_decodes_is_read_or_told(tmp_path: Path, seed: int) -> None:
    specimen = make(tmp_path, seed)
    print(specimen.description)  # noqa: T201 - pytest shows it where the test fails
    info = opened(specimen)
    if info is None:
        return
    expected = decoded_in_order(specimen)
    samples = read_all(info)
    check_stream(info, specimen)
    check_order(info, samples, expected, specimen)
    check_times(info, samples, expected, specimen)
    if expected.flagged or not specimen.hurt:  # else what a decoder makes of damage is not the same each time
        check_random_access(info, samples, np.random.default_rng(seed))
        check_against_every_frame(info, samples, specimen)


def opened(specimen: Specimen) -> VideoInfo | None:
    """None where the file is refused, in a line, and FFmpeg has no use for it either."""
    try:
        return open_recording([specimen.path]).files[0]
    except VideoError as error:
        message = str(error)
    assert specimen.refusable or not ffmpeg_decodes(specimen), message
    assert "\n" not in message
    return None


def ffmpeg_decodes(specimen: Specimen) -> bool:
    try:
        return bool(decoded_in_order(specimen).numbers)
    except av.error.FFmpegError:
        return False


@dataclass(frozen=True)
class Samples:
    """:param good: (F,) whether each is decoded. ``numbers``: that they show, as far as it can be read."""

    pictures: list[Picture]
    good: NDArray[np.bool_]
    numbers: list[int | None]


def decoded_in_order(specimen: Specimen) -> Decoded:
    """One thread, no seek; damaged packets are passed over."""
    found = Decoded()
    with av.open(str(specimen.path)) as container:
        stream = container.streams[specimen.stream]
        assert isinstance(stream, av.VideoStream)
        stream.thread_type = "NONE"
        start_s = (container.start_time or 0) / av.time_base
        for packet in packets_of(container, stream):
            try:
                frames = stream.decode(packet)
            except av.error.FFmpegError:
                found.flagged = True
                continue
            if packet is not None:
                found.flagged |= packet.is_corrupt
                found.hidden += packet.is_discard
            for frame in frames:
                assert frame.time_base is not None
                found.flagged |= frame.is_corrupt
                found.numbers.append(read(shown(frame.to_ndarray(format="rgb24"), specimen.matrix)))
                pts = frame.pts
                found.times_s.append(None if pts is None else float(pts * frame.time_base) - start_s)
    return found


def packets_of(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator["av.Packet[av.VideoStream] | None"]:
    """As far as the file can be read; none at last, for which a decoder gives what it holds back."""
    try:
        yield from container.demux(stream)
    except (av.error.FFmpegError, IndexError):  # PyAV fails at a stream that appears in the middle
        yield None


def read_all(info: VideoInfo) -> Samples:
    """Each frame is a sample at 1000 samples a second."""
    batches = list(SampledVideo(info, 1000))
    index = np.concatenate([batch.index for batch in batches])
    assert index.tolist() == list(range(len(info.time_s)))
    assert np.concatenate([batch.sample for batch in batches]).tolist() == index.tolist()
    np.testing.assert_array_equal(np.concatenate([batch.time_s for batch in batches]), info.time_s)
    pictures = [picture for batch in batches for picture in batch.images]
    good = np.concatenate([batch.decoded for batch in batches])
    numbers = [shows(picture) if whole else None for picture, whole in zip(pictures, good, strict=True)]
    return Samples(pictures, good, numbers)


def shows(picture: Picture) -> int | None:
    """The number in a picture, also where one of another shape lies in it."""
    number = read(picture)
    if number is not None:
        return number
    parts = (fitted(picture, size) for size in ((108, 192), (256, 144), (96, 54), (144, 108), SIZE))
    return next((n for n in (read(part) for part in parts if part is not None) if n is not None), None)


def check_stream(info: VideoInfo, specimen: Specimen) -> None:
    assert info.stream == specimen.stream
    assert (info.width, info.height) == next(iter(specimen.sizes.values()))


def check_order(info: VideoInfo, samples: Samples, expected: Decoded, specimen: Specimen) -> None:
    found = [n for n, good in zip(samples.numbers, samples.good, strict=True) if good]
    told = bool(info.missing_s or not samples.good.all() or _LOSSES & {note.code for note in info.notes})
    if not specimen.hurt:
        assert found == expected.numbers
        missing = set(specimen.sizes).difference(found) - before_a_change(specimen)
        at_the_end = {n for n in missing if n > max(n for n in found if n is not None)}
        assert missing == at_the_end or told or expected.hidden
        assert len(at_the_end) <= _TOLERATED_CUT or told
    elif not expected.flagged:
        assert len(found) == len(expected.numbers)
    else:
        readable = [number for number in found if number is not None]
        assert len(readable) == len(found), "a smeared picture is shown as a good one"
        assert readable == sorted(set(readable)), "a picture that was concealed is shown as a good one"
    if specimen.promises and expected.numbers:
        cut = max(specimen.sizes) - max((n for n in expected.numbers if n is not None), default=-1)
        assert cut <= _TOLERATED_CUT or told
    for number, picture in zip(samples.numbers, samples.pictures, strict=True):
        assert number is None or read(proportioned(picture, specimen.sizes[number])) == number


def before_a_change(specimen: Specimen) -> set[int]:
    """A decoder of MPEG-2 gives up the picture that it holds back when the size changes."""
    return {n for n, size in specimen.sizes.items() if specimen.sizes.get(n + 1, size) != size}


def proportioned(picture: Picture, size: tuple[int, int]) -> Picture:
    """The part of the picture in which one of that shape lies."""
    part = fitted(picture, size)
    assert part is not None
    return part


def check_times(info: VideoInfo, samples: Samples, expected: Decoded, specimen: Specimen) -> None:
    assert (np.diff(info.time_s) > 0).all()
    assert info.time_s[0] >= -_SAME_TIME_S
    assert info.time_s[-1] < info.duration_s
    if specimen.times_s is not None and (expected.flagged or not specimen.hurt):
        # else a smeared picture may seem to show another number
        true_s = dict(zip(specimen.sizes, specimen.times_s, strict=True))
        for number, time_s in zip(samples.numbers, info.time_s, strict=True):
            assert number is None or time_s == pytest.approx(true_s[number], abs=_ENCODER_DELAY_S), number
    if specimen.hurt:
        return
    clock_is_good = specimen.good_clock and specimen.path.suffix not in (".avi", ".mpg")
    if clock_is_good and ascending(expected.times_s):
        np.testing.assert_allclose(info.time_s, np.array(expected.times_s, float), rtol=0, atol=_SAME_TIME_S)
        assert {note.code for note in info.notes} <= {"late", "early_end", "holes"}
    elif specimen.times_s is None and len(info.time_s) == len(expected.times_s):
        same = np.allclose(info.time_s, np.array(expected.times_s, float), rtol=0, atol=_ENCODER_DELAY_S)
        assert same or info.notes


def ascending(times_s: list[float | None]) -> bool:
    return None not in times_s and bool(np.all(np.diff(np.array(times_s, float)) > 0))


def check_random_access(info: VideoInfo, samples: Samples, random: np.random.Generator) -> None:
    """Whatever is read first, a frame is the same picture."""
    count = len(samples.pictures)
    for frame in random.choice(count, 6).tolist():
        picture = picture_at(info, frame)
        assert (picture is not None) == samples.good[frame], frame
        assert picture is None or shows(picture) == samples.numbers[frame], frame
    first = int(random.integers(count))
    for batch in SampledVideo(info, 1000).read(first, min(count, first + 15)):
        check_same(batch.index, batch.images, batch.decoded, samples)
    for batch in SampledVideo(info, 3):
        check_same(batch.index, batch.images, batch.decoded, samples)


def check_against_every_frame(info: VideoInfo, samples: Samples, specimen: Specimen) -> None:
    """Frames that nothing depends on are left out between samples; the samples are the same to the bit."""
    every = read_all(replace(info, one_to_one=False))
    # a damaged frame on which no other depends takes no other with it
    assert (every.good <= samples.good).all() if specimen.hurt else (every.good == samples.good).all()
    for sample_fps, first in ((5, 0), (5, len(sample_grid(info.time_s, 5)) // 2), (0.7, 0), (1000, 0)):
        video = SampledVideo(info, sample_fps)
        for batch in video.read(first, len(video)):
            np.testing.assert_array_equal(batch.decoded, samples.good[batch.index])
            for frame, picture in zip(batch.index.tolist(), batch.images, strict=True):
                assert not every.good[frame] or np.array_equal(picture, every.pictures[frame]), frame
    if info.one_to_one and not specimen.hurt:
        check_threads(info)


def check_threads(info: VideoInfo) -> None:
    needed = set(info.pts[sample_grid(info.time_s, 5)].tolist())
    for threads in THREADS:
        found = [
            {a.pts: a.frame.to_ndarray() for a in answers if a.frame is not None and a.pts in needed}
            for answers in (
                decoded(info.path, info.stream, times, threads=threads) for times in (None, needed)
            )
        ]
        assert found[0].keys() == found[1].keys()
        assert all(np.array_equal(picture, found[1][pts]) for pts, picture in found[0].items())


def check_same(
    index: NDArray[np.int64], images: NDArray[np.uint8], good: NDArray[np.bool_], samples: Samples
) -> None:
    for frame, picture, whole in zip(index.tolist(), images, good, strict=True):
        assert whole == samples.good[frame], frame
        assert not whole or shows(picture) == samples.numbers[frame], frame
