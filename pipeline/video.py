"""A video file → frames on the sampling grid, upright, each with the container's own time.

decord decodes clips; PyAV takes over where decord can't be relied on, and for whatever is longer. Times
always come from the container's packets, read by PyAV, never from a frame rate: phones record with a
variable one.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import decord
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError, VideoError
from pipeline.records import Frames

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv")

# decord goes by key frames. With other codecs, in transport streams, and in groups of pictures that are
# open (x265's default), it hands back frames that are up to a second off, without a word.
_DECORD_CODECS = ("h264", "hevc", "mjpeg")
_DECORD_CONTAINERS = ("mov", "matroska")

# AVI has no presentation times: what FFmpeg makes up for reordered frames is scrambled.
_REORDERING_CODECS = ("h264", "hevc")

# decord silently repeats a neighbour for a frame that it can't decode, unless a limit is set; the
# smallest share of the frames it takes makes it raise at the first.
_FAULT_TOLERANCE = 1e-9

# decord queues packets as fast as it can read them and decodes them all, whoever waits: where the detector
# keeps the processor busy, the pictures of the whole file pile up (4 GB for a minute of 1280×720). So it
# reads only files that may lie in memory whole; PyAV decodes what is asked for, and is no slower.
_DECORD_BYTES = 256 * 2**20

# A header that promises this much more than the packets hold belongs to a file that was cut off.
_TRUNCATION_S = 1.0

# No camera of a care session is faster.
_MAX_SAMPLE_FPS = 1000

# Frames decoded together never take more than this, so that memory does not grow with the picture.
_BATCH_BYTES = 100 * 2**20

# PyAV and decord read the same container; a rounding apart is not a disagreement.
_SAME_TIME_S = 1e-3


@dataclass(frozen=True)
class VideoInfo:
    """What a container says, without decoding a picture.

    :param pts: (F,) int64, presentation time of every shown frame in the stream's time base, ascending.
    :param time_s: (F,) float64, the same in s from the first.
    :param duration_s: until the end of the last frame; the header's claim where the file was cut off.
    :param missing_s: seconds that the header promises and the file does not hold.
    :param frame_rate: usual one, 1/s: of the median step. A hole in the recording does not change it.
    :param width, height: px, of the upright picture.
    :param rotation: degrees by which stored frames are turned counterclockwise to stand upright.
    :param decord_reads_it: decord is known to return the right frames, and may hold them all.
    """

    path: Path
    codec: str
    width: int
    height: int
    rotation: int
    frame_rate: float
    duration_s: float
    missing_s: float
    pts: NDArray[np.int64]
    time_s: NDArray[np.float64]
    decord_reads_it: bool


def probe(path: Path) -> VideoInfo:
    """Reads the container.

    :raises VideoError: the file is missing, empty, not a video, or holds no frame.
    """
    if not path.exists():
        raise VideoError(f"{path}: not found.")
    if path.is_file() and path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: holds no video, only {_stream_kinds(container)}.")
            return _read_info(path, container)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path}: can't be read as a video ({error.strerror}); it may be cut off or of another kind."
        ) from error


def sha256_of(path: Path) -> str:
    """Hex sha256 of the file.

    :raises VideoError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VideoError(f"{path}: can't be read ({error.strerror}).") from error


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

    :param decoders: names of the decoders used so far, in order of first use.
    :raises InputError: the sampling rate makes no sense.
    """

    def __init__(self, info: VideoInfo, sample_fps: float, max_batch: int = 16) -> None:
        check_sample_fps(sample_fps)
        self.info = info
        self.index = sample_grid(info.time_s, sample_fps)
        self.decoders: list[str] = []
        self._batch = max(1, min(max_batch, _BATCH_BYTES // (3 * info.width * info.height)))

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Frames]:
        """Memory held is one batch, whatever the length of the video.

        :raises VideoError: the file can't be opened any more.
        """
        done = 0
        if self.info.decord_reads_it:
            for frames in self._with_decord():
                yield frames
                done += len(frames.sample)
        if done < len(self):
            yield from self._with_pyav(done)

    def _with_decord(self) -> Iterator[Frames]:
        """Batches until the end, or until decord meets a frame it can't decode."""
        try:
            reader = decord.VideoReader(str(self.info.path), fault_tol=_FAULT_TOLERANCE)
            if not _same_frames(reader, self.info):
                return
            for start in range(0, len(self), self._batch):
                index = self.index[start : start + self._batch]
                images = reader.get_batch(index).asnumpy()
                self._used("decord")
                yield self._frames(start, images, np.ones(len(index), bool))
        except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError):
            return

    def _with_pyav(self, done: int) -> Iterator[Frames]:
        """Batches from sample number ``done``; what can't be decoded is marked."""
        self._used("pyav")
        info, pictures = self.info, _pyav_pictures(self.info, self.index[done:])
        for start in range(done, len(self), self._batch):
            count = min(self._batch, len(self) - start)
            images = np.zeros((count, info.height, info.width, 3), np.uint8)
            decoded = np.zeros(count, bool)
            for row in range(count):
                picture = next(pictures)
                if picture is not None:
                    images[row], decoded[row] = picture, True
            yield self._frames(start, images, decoded)

    def _frames(self, start: int, images: NDArray[np.uint8], decoded: NDArray[np.bool_]) -> Frames:
        sample = np.arange(start, start + len(images))
        index = self.index[sample]
        return Frames(sample, index, self.info.time_s[index], images, decoded)

    def _used(self, decoder: str) -> None:
        if decoder not in self.decoders:
            self.decoders.append(decoder)


@dataclass(frozen=True)
class _Packets:
    """What the packets of the video stream say.

    :param pts: (F,) int64, ascending, of the frames that are shown, in the stream's time base.
    :param last_length: of the last one, in the same; 0 where it is not known.
    :param plain: no frame is hidden by an edit list, and none is shown before the key frame that it follows.
    """

    pts: NDArray[np.int64]
    last_length: int
    plain: bool


def _read_info(path: Path, container: av.container.InputContainer) -> VideoInfo:
    stream = container.streams.video[0]
    codec = stream.codec_context
    if stream.time_base is None or not stream.width:
        raise VideoError(f"{path}: its header does not describe the picture; it may be cut off.")
    packets = _read_packets(path, container, stream)
    if container.format.name == "avi" and codec.name in _REORDERING_CODECS and codec.has_b_frames:
        raise _no_times(path)
    base = float(stream.time_base)
    time_s = (packets.pts - packets.pts[0]) * base
    step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1 / float(stream.guessed_rate or 25)
    end_s = float(time_s[-1]) + (packets.last_length * base or step_s)
    missing_s = _promised_end_s(container, stream) - float(packets.pts[0]) * base - end_s
    missing_s = missing_s if missing_s > _TRUNCATION_S else 0.0
    fits = len(time_s) * stream.width * stream.height * 3 <= _DECORD_BYTES
    known = codec.name in _DECORD_CODECS and container.format.name.startswith(_DECORD_CONTAINERS)
    rotation = _rotation(container, stream)
    sideways = rotation % 180 != 0
    return VideoInfo(
        path=path,
        codec=codec.name,
        width=stream.height if sideways else stream.width,
        height=stream.width if sideways else stream.height,
        rotation=rotation,
        frame_rate=1 / step_s,
        duration_s=end_s + missing_s,
        missing_s=missing_s,
        pts=packets.pts,
        time_s=time_s,
        decord_reads_it=fits and known and packets.plain and not missing_s,
    )


def _read_packets(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> _Packets:
    lengths: dict[int, int] = {}
    plain, key = True, None
    try:
        for packet in container.demux(stream):
            if packet.pts is None and packet.size == 0:
                continue  # the end of the stream
            if packet.pts is None:
                raise _no_times(path)
            key = packet.pts if packet.is_keyframe else key
            plain = plain and not packet.is_discard and key is not None and packet.pts >= key
            if not packet.is_discard:
                lengths[packet.pts] = packet.duration or 0
    except av.error.FFmpegError:
        pass  # the rest can't be read: what was promised and is missing shows in the duration
    if not lengths:
        raise VideoError(f"{path}: holds no frame that can be shown.")
    pts = np.array(sorted(lengths), np.int64)
    return _Packets(pts, lengths[int(pts[-1])], plain)


def _no_times(path: Path) -> VideoError:
    return VideoError(
        f"{path}: its frames carry no usable time; rewrite it with "
        "`ffmpeg -fflags +genpts -i VIDEO -c copy VIDEO.mkv`."
    )


def _promised_end_s(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """End of the video by the header, in s of the container's clock; 0 where it makes no promise."""
    if stream.duration is not None and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    if container.duration is None:
        return 0.0
    # Matroska's and ASF's durations count from 0, whenever the first frame is
    counts_from_0 = container.format.name.startswith(("matroska", "asf"))
    return (container.duration + (0 if counts_from_0 else container.start_time or 0)) / av.time_base


def _rotation(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """Of the first frame that decodes; 0 where none does."""
    try:
        container.seek(0)
        for frame in container.decode(stream):
            return int(frame.rotation)
    except av.error.FFmpegError:
        pass
    return 0


def _stream_kinds(container: av.container.InputContainer) -> str:
    return " and ".join(sorted({stream.type for stream in container.streams})) or "nothing that is known"


def _same_frames(reader: decord.VideoReader, info: VideoInfo) -> bool:
    """Whether decord's frames are the container's, one for one."""
    if len(reader) != len(info.time_s):
        return False
    start_s = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0].astype(np.float64)
    # decord keeps float32 seconds, whose step grows with the time
    tolerance = _SAME_TIME_S + np.spacing(np.float32(start_s[-1])) * 2
    return bool(np.all(np.abs(start_s - start_s[0] - info.time_s) < tolerance))


def _pyav_pictures(info: VideoInfo, index: NDArray[np.int64]) -> Iterator[NDArray[np.uint8] | None]:
    """For each wanted frame, in order: (H, W, 3) uint8 RGB, upright; or nothing where it can't be decoded."""
    decoded = _pyav_frames(info.path)
    frame = next(decoded, None)
    for wanted in info.pts[index]:
        while frame is not None and frame.pts < wanted:
            frame = next(decoded, None)
        yield _upright(frame, info) if frame is not None and frame.pts == wanted else None


def _pyav_frames(path: Path) -> Iterator[av.VideoFrame]:
    """The frames that can be trusted.

    What follows a damaged picture is built on it, up to the next key frame: FFmpeg shows it smeared, and
    unmarked. Those frames are left out.
    """
    damaged_pts: int | None = None
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    damaged_pts = packet.pts
                    continue
                for frame in frames:
                    if frame.pts is None:
                        continue
                    if frame.is_corrupt:
                        damaged_pts = frame.pts
                    elif damaged_pts is not None and frame.key_frame and frame.pts > damaged_pts:
                        damaged_pts = None
                    if damaged_pts is None:
                        yield frame
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: can't be read any more ({error.strerror}).") from error


def _upright(frame: av.VideoFrame, info: VideoInfo) -> NDArray[np.uint8]:
    sideways = info.rotation % 180 != 0
    width, height = (info.height, info.width) if sideways else (info.width, info.height)
    stored = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.rot90(stored, info.rotation // 90)
