"""Decode a video file to upright frames on the sampling grid, with presentation times.

decord decodes clips; PyAV decodes longer videos, and those for which decord is not reliable.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from pipeline.errors import InputError, VideoError
from pipeline.reasons import free_text
from pipeline.records import Frames
from pipeline.video.container import VideoInfo
from pipeline.video.frame_times import decoded
from pipeline.video.orientation import Orientation, orientation_of, show, usable_aspect
from pipeline.video.planes import Planes, show_planes

try:
    import decord
except (
    ImportError,
    OSError,
):  # decord has no wheel for some systems; PyAV reads everything that decord reads
    decord = None

# Without a limit, decord silently repeats a neighbour of a frame that it can't decode. With the smallest
# possible limit, it raises at the first such frame.
_FAULT_TOLERANCE = 1e-9

# Upper limit, above the rate of any camera in a care session.
_MAX_SAMPLE_FPS = 1000

# Frames per batch, and bytes per batch, which limit the memory for large pictures.
_MAX_BATCH, _BATCH_BYTES = 60, 32 * 2**20

# Maximum of consecutive B-frames of x264 and x265.
_MOST_BIDIRECTIONAL = 16

# Tolerance between times of PyAV and decord, for rounding.
_SAME_TIME_S = 1e-3


def sample_grid(time_s: NDArray[np.float64], sample_fps: float) -> NDArray[np.int64]:
    """Choose the frames that become samples.

    The grid is ``k / sample_fps``; a sample is the first frame at or after its instant, and each frame
    is used at most once.

    :param time_s: (F,) ascending, s.
    :returns: (n,) ascending indices into ``time_s``.
    """
    # number of passed grid instants; times and grid are both rounded
    passed = np.floor(time_s * sample_fps + 1e-6)
    return np.flatnonzero(np.diff(passed, prepend=-1) > 0)


def check_sample_fps(sample_fps: float) -> None:
    """:raises InputError: the sampling rate is out of range."""
    if not 0 < sample_fps <= _MAX_SAMPLE_FPS:
        raise InputError(
            f"`sample_fps` {sample_fps:g}: give samples per second, above 0 and up to {_MAX_SAMPLE_FPS}."
        )


class SampledVideo:
    """The samples of one video, in batches, in order.

    :param group: batch sizes are multiples of this number, if memory allows.
    :param index: (n,) ascending, frames to use as samples; by default those of the sampling grid.
    :param decoders: names of the decoders used so far, in order of first use.
    :raises InputError: the sampling rate is out of range.
    """

    def __init__(
        self,
        info: VideoInfo,
        sample_fps: float,
        group: int = 1,
        index: NDArray[np.int64] | None = None,
    ) -> None:
        check_sample_fps(sample_fps)
        self.info = info
        self.index = sample_grid(info.time_s, sample_fps) if index is None else index
        self.decoders: list[str] = []
        most = _batch_size(info)
        self._batch = most - most % min(group, most)

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Frames]:
        """All samples; see :meth:`read`."""
        return self.read(0, len(self))

    def read(self, first: int, end: int) -> Iterator[Frames]:
        """Samples ``first`` … ``end`` - 1. Memory is one batch, for any length of the video.

        :raises VideoError: the file can't be opened any more.
        """
        done = first
        if self.info.decord_reads_it and decord is not None:
            for frames in self._with_decord(first, end):
                yield frames
                done += len(frames.sample)
        if done < end:
            yield from self._with_pyav(done, end)

    def _with_decord(self, first: int, end: int) -> Iterator[Frames]:
        """Batches until the end, or until a frame that decord can't decode."""
        try:
            reader = decord.VideoReader(str(self.info.path), fault_tol=_FAULT_TOLERANCE)
            if not _same_frames(reader, self.info):
                return
            for start in range(first, end, self._batch):
                sample = np.arange(start, min(start + self._batch, end))
                index = self.index[sample]
                images = reader.get_batch(index).asnumpy()
                if images.shape[1:3] != (self.info.height, self.info.width):
                    return  # the pictures do not have the header's size; PyAV scales them
                self._used("decord")
                yield Frames(sample, index, self.info.time_s[index], images, np.ones(len(index), bool))
        except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError):
            return

    def _with_pyav(self, first: int, end: int) -> Iterator[Frames]:
        """Batches; frames that can't be decoded are marked."""
        self._used("pyav")
        found = pictures(self.info, self.index[first:end])
        for start in range(first, end, self._batch):
            sample = np.arange(start, min(start + self._batch, end))
            yield _frames(self.info, sample, self.index[sample], found)

    def _used(self, decoder: str) -> None:
        if decoder not in self.decoders:
            self.decoders.append(decoder)


def picture_at(info: VideoInfo, frame: int) -> NDArray[np.uint8] | None:
    """One frame by its index: (H, W, 3) uint8 RGB, upright; ``None`` if it can't be decoded.

    :raises VideoError: the file can't be opened any more.
    """
    return next(pictures(info, np.array([frame])))


def pictures(
    info: VideoInfo, index: NDArray[np.int64], size: tuple[int, int] | None = None
) -> Iterator[NDArray[np.uint8] | None]:
    """For each requested frame, in order: (H, W, 3) uint8 RGB, upright; ``None`` if it can't be decoded.

    :param size: width and height of the scaled picture; ``None``: no scaling.
    :raises VideoError: the file can't be opened any more.
    """
    for found in _wanted(info, index):
        yield None if found is None else _picture(found, info, size)


def planes(
    info: VideoInfo, index: NDArray[np.int64], size: tuple[int, int], colours: int
) -> Iterator[Planes | None]:
    """As :func:`pictures`, in YUV, which is faster to encode.

    :param size, colours: as for :func:`pipeline.video.planes.show_planes`.
    :raises VideoError: the file can't be opened any more.
    """
    reformatter = VideoReformatter()
    for found in _wanted(info, index):
        yield (
            None
            if found is None
            else show_planes(found.frame, found.aspect, _orientation(found, info), size, colours, reformatter)
        )


def _wanted(info: VideoInfo, index: NDArray[np.int64]) -> "Iterator[_Found | None]":
    """Each requested frame, in order; ``None`` if it can't be decoded."""
    pts = info.pts[index].tolist()
    frames = _frames_from(info, pts)
    found = next(frames, None)
    for wanted in pts:
        while found is not None and found.pts < wanted:
            found = next(frames, None)
        yield found if found is not None and found.pts == wanted else None


def read_frames(info: VideoInfo, index: NDArray[np.int64]) -> Iterator[Frames]:
    """Frames by ascending index, in batches; seeks to distant frames if the container allows.

    The ``sample`` of a frame is its place in ``index``.

    :raises VideoError: the file can't be opened any more.
    """
    group = np.searchsorted(info.key, index, side="right") if info.seekable else np.zeros(len(index))
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    found = (picture for part in np.split(index, starts[1:]) for picture in pictures(info, part))
    batch = _batch_size(info)
    for start in range(0, len(index), batch):
        sample = np.arange(start, min(start + batch, len(index)))
        yield _frames(info, sample, index[sample], found)


def _batch_size(info: VideoInfo) -> int:
    return max(1, min(_MAX_BATCH, _BATCH_BYTES // (3 * info.width * info.height)))


def _frames(
    info: VideoInfo,
    sample: NDArray[np.int64],
    index: NDArray[np.int64],
    found: Iterator[NDArray[np.uint8] | None],
) -> Frames:
    """The next frames; frames that can't be decoded are marked."""
    images = np.zeros((len(index), info.height, info.width, 3), np.uint8)
    decoded = np.zeros(len(index), bool)
    for row in range(len(index)):
        picture = next(found)
        if picture is not None:
            images[row], decoded[row] = picture, True
    return Frames(sample, index, info.time_s[index], images, decoded)


def _same_frames(reader: Any, info: VideoInfo) -> bool:
    """Whether decord's frames are the container's, one for one."""
    if len(reader) != len(info.time_s):
        return False
    start_s = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0].astype(np.float64)
    # decord stores times as float32, whose precision falls with time
    tolerance = _SAME_TIME_S + np.spacing(np.float32(start_s[-1])) * 2
    apart_s = start_s - start_s[0] - (info.time_s - info.time_s[0])
    return bool(np.all(np.abs(apart_s) < tolerance))


@dataclass(frozen=True)
class _Found:
    """An undamaged frame.

    :param pts: as in :class:`VideoInfo`, by which it is found. ``aspect``: width ÷ height of its pixels.
    """

    frame: av.VideoFrame
    pts: int
    aspect: float


def _frames_from(info: VideoInfo, wanted: Sequence[int]) -> Iterator[_Found]:
    """Undamaged frames in order, from the first requested one or an earlier one; all requested ones are among
    them.
    """
    needed = frozenset(wanted) if info.one_to_one else None
    # use one thread for reproducible numbers, and for H.264: with several threads, FFmpeg can return a frame
    # before the thread that decodes it has found and marked the damage
    one_thread = info.by_number or info.codec == "h264"
    last: int | None = None
    try:
        try:
            for found in _sought(info, wanted[0], needed, "NONE" if one_thread else "AUTO"):
                last = found.pts
                yield found
        except av.error.FFmpegError:
            # with several threads, a damaged packet is reported some packets late; with one thread, exactly
            for found in _sought(info, wanted[0] if last is None else last, needed, "NONE"):
                if last is None or found.pts > last:
                    yield found
    except av.error.FFmpegError as error:
        raise VideoError.about(info.path, "unreadable_now", error=free_text(error.strerror)) from error


def _sought(
    info: VideoInfo, wanted: int, needed: Container[int] | None, threads: Literal["NONE", "AUTO"]
) -> Iterator[_Found]:
    """Seek further back until the first frame is not later than the requested one.

    Containers are indexed by decoding time, and with open groups of pictures, the first frames after a key
    frame can't be decoded without the frames before it.
    """
    for start_pts in _places_to_begin(info, wanted):
        frames = _trusted(info, needed, threads, start_pts)
        first = next(frames, None)
        if first is not None and (start_pts is None or first.pts <= wanted):
            yield first
            yield from frames
            return


def _places_to_begin(info: VideoInfo, wanted: int) -> Iterator[int | None]:
    """The frame itself, then one, two, four … key frames further back; at last the start of the file."""
    if info.seekable and wanted > info.pts[0]:
        yield wanted
        keys = info.pts[info.key]
        place, back = int(np.searchsorted(keys, wanted, side="right")) - 1, 1
        while place - back > 0:
            yield int(keys[place - back])
            back *= 2
    yield None


def _trusted(
    info: VideoInfo,
    needed: Container[int] | None,
    threads: Literal["NONE", "AUTO"],
    start_pts: int | None,
) -> Iterator[_Found]:
    """Leave out frames that depend on a damaged picture, which FFmpeg returns smeared and unmarked.

    These are all frames decoded after it, up to the next key frame; none if the damaged picture is one that
    no other depends on. B-frames among them can be shown before it, so B-frames are held back until the next
    picture of another kind.

    :raises av.error.FFmpegError: as :func:`pipeline.video.frame_times.decoded`.
    """
    held: list[tuple[_Found, float]] = []
    damage: list[float] = []

    def release() -> Iterator[_Found]:
        yield from (found for found, place in held if not any(at <= place for at in damage))
        held.clear()

    number = -1
    for answer in decoded(info.path, info.stream, needed, start_pts=start_pts, threads=threads):
        frame = answer.frame
        damaged = frame is None or frame.is_corrupt
        if damaged and not answer.alone:
            damage.append(-inf if answer.place is None else answer.place)
        if frame is None:
            continue
        number += 1
        bidirectional = frame.pict_type == av.video.frame.PictureType.B
        if not bidirectional or len(held) == _MOST_BIDIRECTIONAL:
            yield from release()
        # a picture of unknown position depends on all damage so far; a damaged picture invalidates all held
        # ones
        place = inf if answer.place is None else answer.place
        if frame.key_frame and not frame.is_corrupt:
            damage = [at for at in damage if at >= place]
        pts = number if info.by_number else answer.pts
        if pts is not None and not (damaged and answer.alone):
            aspect = info.pixel_aspect if answer.aspect is None else usable_aspect(answer.aspect)
            held.append((_Found(frame, pts, aspect), place))
        if not bidirectional:
            yield from release()
    yield from release()


def _picture(found: _Found, info: VideoInfo, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    return show(found.frame, found.aspect, _orientation(found, info), size or (info.width, info.height))


def _orientation(found: _Found, info: VideoInfo) -> Orientation:
    return orientation_of(found.frame) or info.orientation
