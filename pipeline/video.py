"""A video file → frames on the sampling grid, upright, each with the container's own time.

decord decodes clips; PyAV takes over where decord can't be relied on, and for whatever is longer.
"""

from collections.abc import Iterator
from pathlib import Path

import av
import decord
import numpy as np
from numpy.typing import NDArray

from pipeline.container import VideoInfo, open_container
from pipeline.errors import InputError, VideoError
from pipeline.records import Frames

# decord silently repeats a neighbour for a frame that it can't decode, unless a limit is set; the
# smallest share of the frames it takes makes it raise at the first.
_FAULT_TOLERANCE = 1e-9

# No camera of a care session is faster.
_MAX_SAMPLE_FPS = 1000

# Frames decoded together: so few and so small that memory does not grow with the picture.
_MAX_BATCH, _BATCH_BYTES = 60, 32 * 2**20

# PyAV and decord read the same container; a rounding apart is not a disagreement.
_SAME_TIME_S = 1e-3


def sample_grid(time_s: NDArray[np.float64], sample_fps: float) -> NDArray[np.int64]:
    """Which frames are the samples.

    The grid is ``k / sample_fps``; a sample is the first frame at or after its instant, and each frame
    is used at most once.

    :param time_s: (F,) ascending, s.
    :returns: (n,) ascending indices into ``time_s``.
    """
    # how many instants have passed; times are multiples of a time base, the grid is not, both are rounded
    passed = np.floor(time_s * sample_fps + 1e-6)
    return np.flatnonzero(np.diff(passed, prepend=-1) > 0)


def check_sample_fps(sample_fps: float) -> None:
    """:raises InputError: the sampling rate makes no sense."""
    if not 0 < sample_fps <= _MAX_SAMPLE_FPS:
        raise InputError(
            f"--fps {sample_fps:g}: give samples per second, above 0 and up to {_MAX_SAMPLE_FPS}."
        )


class SampledVideo:
    """The samples of one video, in batches, in order.

    :param group: batches hold a multiple of so many samples, where memory allows.
    :param index: (n,) ascending, the frames that are the samples; without, those of the video's own grid.
    :param decoders: names of the decoders used so far, in order of first use.
    :raises InputError: the sampling rate makes no sense.
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
        """Samples ``first`` … ``end`` - 1. Memory held is one batch, whatever the length of the video.

        :raises VideoError: the file can't be opened any more.
        """
        done = first
        if self.info.decord_reads_it:
            for frames in self._with_decord(first, end):
                yield frames
                done += len(frames.sample)
        if done < end:
            yield from self._with_pyav(done, end)

    def _with_decord(self, first: int, end: int) -> Iterator[Frames]:
        """Batches until the end, or until decord meets a frame it can't decode."""
        try:
            reader = decord.VideoReader(str(self.info.path), fault_tol=_FAULT_TOLERANCE)
            if not _same_frames(reader, self.info):
                return
            for start in range(first, end, self._batch):
                sample = np.arange(start, min(start + self._batch, end))
                index = self.index[sample]
                images = reader.get_batch(index).asnumpy()
                if images.shape[1:3] != (self.info.height, self.info.width):
                    return  # the pictures are not of the header's size; PyAV scales them
                self._used("decord")
                yield Frames(sample, index, self.info.time_s[index], images, np.ones(len(index), bool))
        except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError):
            return

    def _with_pyav(self, first: int, end: int) -> Iterator[Frames]:
        """Batches; what can't be decoded is marked."""
        self._used("pyav")
        found = pictures(self.info, self.index[first:end])
        for start in range(first, end, self._batch):
            sample = np.arange(start, min(start + self._batch, end))
            yield _frames(self.info, sample, self.index[sample], found)

    def _used(self, decoder: str) -> None:
        if decoder not in self.decoders:
            self.decoders.append(decoder)


def picture_at(info: VideoInfo, frame: int) -> NDArray[np.uint8] | None:
    """One frame by its index: (H, W, 3) uint8 RGB, upright; none where it can't be decoded.

    :raises VideoError: the file can't be opened any more.
    """
    return next(pictures(info, np.array([frame])))


def pictures(
    info: VideoInfo, index: NDArray[np.int64], size: tuple[int, int] | None = None
) -> Iterator[NDArray[np.uint8] | None]:
    """For each wanted frame, in order: (H, W, 3) uint8 RGB, upright; or nothing where it can't be decoded.

    :param size: width and height that the picture is scaled to; none is its own.
    :raises VideoError: the file can't be opened any more.
    """
    pts = info.pts[index]
    decoded = _pyav_frames(info, int(pts[0]))
    frame = next(decoded, None)
    for wanted in pts:
        while frame is not None and frame.pts < wanted:
            frame = next(decoded, None)
        yield _upright(frame, info, size) if frame is not None and frame.pts == wanted else None


def read_frames(info: VideoInfo, index: NDArray[np.int64]) -> Iterator[Frames]:
    """Frames by their index, ascending, in batches; those far apart are sought where the container allows.

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
    """The next pictures; what can't be decoded is marked."""
    images = np.zeros((len(index), info.height, info.width, 3), np.uint8)
    decoded = np.zeros(len(index), bool)
    for row in range(len(index)):
        picture = next(found)
        if picture is not None:
            images[row], decoded[row] = picture, True
    return Frames(sample, index, info.time_s[index], images, decoded)


def _same_frames(reader: decord.VideoReader, info: VideoInfo) -> bool:
    """Whether decord's frames are the container's, one for one."""
    if len(reader) != len(info.time_s):
        return False
    start_s = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0].astype(np.float64)
    # decord keeps float32 seconds, whose step grows with the time
    tolerance = _SAME_TIME_S + np.spacing(np.float32(start_s[-1])) * 2
    return bool(np.all(np.abs(start_s - start_s[0] - info.time_s) < tolerance))


def _pyav_frames(info: VideoInfo, from_pts: int) -> Iterator[av.VideoFrame]:
    """The frames that can be trusted, in order, from that time on or from a little before."""
    path, last_pts = info.path, None
    start_pts = from_pts if info.seekable and from_pts > info.pts[0] else None
    try:
        try:
            for frame in _trusted_frames(path, "AUTO", start_pts):
                last_pts = frame.pts
                yield frame
        except av.error.InvalidDataError:
            # several threads report a damaged packet some packets late; one says which it is
            again = start_pts if last_pts is None else last_pts
            yield from _trusted_frames(path, "SLICE", again, last_pts)
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: can't be read any more ({error.strerror}).") from error


def _trusted_frames(
    path: Path, threads: str, start_pts: int | None = None, after_pts: int | None = None
) -> Iterator[av.VideoFrame]:
    """Leaves out what follows a damaged picture, up to the next key frame.

    It is built on the damaged one: FFmpeg shows it smeared, and unmarked.

    :param start_pts: decoding begins at the key frame before it.
    :param after_pts: frames up to it were seen before.
    :param threads: PyAV's ``thread_type``; with ``SLICE`` damaged packets are passed over.
    :raises av.error.InvalidDataError: a packet is damaged, and ``threads`` is not ``SLICE``.
    """
    damaged_pts: int | None = None
    with open_container(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = threads
        if start_pts is not None:
            container.seek(start_pts, stream=stream)
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                if threads != "SLICE":
                    raise
                damaged_pts = packet.pts
                continue
            for frame in frames:
                if frame.pts is None or (after_pts is not None and frame.pts <= after_pts):
                    continue
                if frame.is_corrupt:
                    damaged_pts = frame.pts
                elif damaged_pts is not None and frame.key_frame and frame.pts > damaged_pts:
                    damaged_pts = None
                if damaged_pts is None:
                    yield frame


def _upright(frame: av.VideoFrame, info: VideoInfo, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    width, height = size or (info.width, info.height)
    if info.rotation % 180 != 0:
        width, height = height, width
    stored = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.rot90(stored, info.rotation // 90)
