"""A session's recording: one video file, or several consecutive files of a camera."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.reasons import Reason
from pipeline.video.container import VideoInfo, probe
from pipeline.video.decoding import SampledVideo, picture_at, pictures, planes, sample_grid
from pipeline.video.planes import Planes

Span = tuple[float, float]
"""Start and end of an interval, s; the end is excluded."""


@dataclass(frozen=True)
class Recording:
    """Consecutive files without a gap; times and frames count from the start of the first file.

    A file is as long as its container, sound included.
    """

    files: tuple[VideoInfo, ...]

    @property
    def width(self) -> int:
        """Width of the upright picture, px; the same in all files."""
        return self.files[0].width

    @property
    def height(self) -> int:
        return self.files[0].height

    @property
    def duration_s(self) -> float:
        return sum(info.duration_s for info in self.files)

    @property
    def missing_s(self) -> float:
        """Seconds that the headers declare and the files do not hold."""
        return sum(info.missing_s for info in self.files)

    @property
    def without_picture_s(self) -> float:
        """Seconds of sound before the first picture of a file and after its last, and of holes."""
        return sum(info.without_picture_s for info in self.files)

    @property
    def notes(self) -> list[Reason]:
        """Faults of the files, for readers of the results."""
        several = len(self.files) > 1
        return [
            Reason.of("in_file", number=number, reason=note) if several else note
            for number, info in enumerate(self.files, start=1)
            for note in info.notes
        ]

    @property
    def frame_rate(self) -> float:
        """The usual one of the slowest file, 1/s."""
        return min(info.frame_rate for info in self.files)

    @property
    def frames(self) -> int:
        return sum(len(info.time_s) for info in self.files)

    @property
    def starts(self) -> list[tuple[float, int]]:
        """For each file, the seconds and the frames before it."""
        time_s = np.cumsum([0.0, *(info.duration_s for info in self.files)])
        frames = np.cumsum([0, *(len(info.time_s) for info in self.files)])
        return list(zip(time_s[:-1].tolist(), frames[:-1].tolist(), strict=True))

    @property
    def time_s(self) -> NDArray[np.float64]:
        """(F,) of every frame, ascending."""
        files = zip(self.files, self.starts, strict=True)
        return np.concatenate([start_s + info.time_s for info, (start_s, _) in files])

    def sampled(
        self, sample_fps: float, group: int, parts: Sequence[Span]
    ) -> Iterator[tuple[SampledVideo, float, int]]:
        """Each file in which there are samples, with the seconds and the frames before it.

        :param group: as for :class:`pipeline.video.decoding.SampledVideo`.
        :param parts: the stretches of the recording that count.
        """
        for info, index, start_s, first in self._by_file(self.samples(sample_fps, parts)):
            yield SampledVideo(info, sample_fps, group, index), start_s, first

    def samples(self, sample_fps: float, parts: Sequence[Span]) -> NDArray[np.int64]:
        """(n,) ascending: the frames that are samples.

        :param parts: the stretches of the recording that count.
        """
        time_s = self.time_s
        grid = sample_grid(time_s, sample_fps)
        return grid[within(time_s[grid], parts)]

    def picture_at(self, frame: int) -> NDArray[np.uint8] | None:
        """One frame by its number: (H, W, 3) uint8 RGB, upright; none where it can't be decoded.

        :raises VideoError: the file can't be opened any more.
        """
        ((info, (index,), _, _),) = self._by_file(np.array([frame]))
        return picture_at(info, int(index))

    def pictures(
        self, frames: NDArray[np.int64], size: tuple[int, int]
    ) -> Iterator[NDArray[np.uint8] | None]:
        """Frames by their numbers, ascending; as :func:`pipeline.video.decoding.pictures`."""
        for info, index, _, _ in self._by_file(frames):
            yield from pictures(info, index, size)

    def planes(
        self, frames: NDArray[np.int64], size: tuple[int, int], colours: int
    ) -> Iterator[Planes | None]:
        """Frames by their numbers, ascending; as :func:`pipeline.video.decoding.planes`."""
        for info, index, _, _ in self._by_file(frames):
            yield from planes(info, index, size, colours)

    def _by_file(
        self, frames: NDArray[np.int64]
    ) -> Iterator[tuple[VideoInfo, NDArray[np.int64], float, int]]:
        """Each file that holds some of the frames: their numbers in it, the seconds and frames before it."""
        for info, (start_s, first) in zip(self.files, self.starts, strict=True):
            index = frames[(first <= frames) & (frames < first + len(info.time_s))] - first
            if len(index):
                yield info, index, start_s, first


def within(time_s: NDArray[np.float64], parts: Sequence[Span]) -> NDArray[np.bool_]:
    """(n,) whether each time lies in one of the intervals."""
    inside: NDArray[np.bool_] = np.any([(start <= time_s) & (time_s < end) for start, end in parts], axis=0)
    return inside


def open_recording(videos: Sequence[Path]) -> Recording:
    """Read the containers.

    :raises VideoError: a file is no video, or its picture has another size than the first one's.
    """
    files = tuple(probe(video) for video in videos)
    first = files[0]
    for info in files[1:]:
        if (info.width, info.height) != (first.width, first.height):
            raise VideoError.about(
                info.path,
                "other_size",
                width=info.width,
                height=info.height,
                first_width=first.width,
                first_height=first.height,
            )
    return Recording(files)
