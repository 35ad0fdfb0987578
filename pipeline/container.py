"""What a video's container says: the picture's size, and the time of every frame.

Read by PyAV from the packets, without decoding: never from a frame rate, since phones record with a
variable one.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv")

# decord goes by key frames. With other codecs, in transport streams, and in groups of pictures that are
# open (x265's default), it hands back frames that are up to a second off, without a word.
_DECORD_CODECS = ("h264", "hevc", "mjpeg")
_INDEXED_CONTAINERS = ("mov", "matroska")

# AVI has no presentation times: what FFmpeg makes up for reordered frames is scrambled.
_REORDERING_CODECS = ("h264", "hevc")

# decord queues packets as fast as it can read them and decodes them all, whoever waits: where the detector
# keeps the processor busy, the pictures of the whole file pile up (4 GB for a minute of 1280×720). So it
# reads only files that may lie in memory whole; PyAV decodes what is asked for, and is no slower.
_DECORD_BYTES = 256 * 2**20

# FFmpeg's names of what is opened. Among its others are playlists, which it would follow to anywhere.
_FORMATS = "mov,matroska,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,mxf,dv,h264,hevc,m4v"

# No camera's picture is larger (8K has half as many pixels): a header that says so lies, and what it
# promises would not fit into the memory.
_MAX_PIXELS = 2**26

# The smallest frame takes more. Of frames that are promised and not there FFmpeg makes an index in the
# memory, and a seek takes a time that grows with their square.
_FRAME_BYTES = 4

_SAME_STEP_S = 0.0011

# No camera stretches its pixels more; a header that says so is wrong.
_MOST_STRETCHED = 3.0

# Nobody's recordings in these formats are older.
_FIRST_YEAR = 1990

# A header that promises this much more than the packets hold belongs to a file that was cut off.
_TRUNCATION_S = 1.0


@dataclass(frozen=True)
class VideoInfo:
    """What a container says, without decoding a picture.

    :param pts: (F,) int64, presentation time of every shown frame in the stream's time base, ascending.
    :param time_s: (F,) float64, the same in s from the first.
    :param key: (K,) int64, ascending: which of the frames stand alone, so that decoding can begin there.
    :param duration_s: until the end of the last frame; the header's claim where the file was cut off.
    :param missing_s: seconds that the header promises and the file does not hold.
    :param frame_rate: usual one, 1/s: of the median step. A hole in the recording does not change it.
    :param width, height: px, of the upright picture, with square pixels.
    :param rotation: degrees by which stored frames are turned counterclockwise to stand upright.
    :param seekable: a seek leads to the key frame before the time that is asked for.
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
    key: NDArray[np.int64]
    seekable: bool
    decord_reads_it: bool

    @property
    def constant_rate(self) -> bool:
        """Whether frames follow one another in equal steps, but for the rounding of a container in ms."""
        steps_s = np.diff(self.time_s)
        return not len(steps_s) or bool(np.ptp(steps_s) < _SAME_STEP_S)


def probe(path: Path) -> VideoInfo:
    """Reads the container.

    :raises VideoError: the file is missing, empty, not a video, or holds no frame.
    """
    if not path.exists():
        raise VideoError(f"{path}: not found.")
    if path.is_file() and path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty.")
    try:
        with open_container(path) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: holds no video, only {_stream_kinds(container)}.")
            return _read_info(path, container)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path}: can't be read as a video ({error.strerror}); it may be cut off or of another kind."
        ) from error


def open_container(path: Path) -> av.container.InputContainer:
    """The file, by this process alone: playlists and the like, which lead to other files, are refused.

    :raises av.error.FFmpegError: it is of none of the kinds that cameras write.
    """
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    # a title that is not UTF-8 says nothing of the picture
    return av.open(str(path), container_options=options, metadata_errors="replace")


def sha256_of(path: Path) -> str:
    """Hex sha256 of the file.

    :raises VideoError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VideoError(f"{path}: can't be read ({error.strerror}).") from error


@dataclass(frozen=True)
class _Packets:
    """What the packets of the video stream say.

    :param pts: (F,) int64, ascending, of the frames that are shown, in the stream's time base.
    :param key_pts: (K,) int64, ascending: of those that stand alone.
    :param last_length: of the last one, in the same; 0 where it is not known.
    :param plain: no frame is hidden by an edit list, and none is shown before the key frame that it follows.
    """

    pts: NDArray[np.int64]
    key_pts: NDArray[np.int64]
    last_length: int
    plain: bool


def _read_info(path: Path, container: av.container.InputContainer) -> VideoInfo:
    stream = container.streams.video[0]
    codec = stream.codec_context
    if codec is None or not stream.time_base or not (stream.width and stream.height):
        raise VideoError(f"{path}: its header does not describe the picture; it may be cut off.")
    if stream.width * stream.height > _MAX_PIXELS:
        raise VideoError(
            f"{path}: its header says {stream.width} × {stream.height} px, which no camera records; "
            "it may be damaged."
        )
    if stream.frames * _FRAME_BYTES > path.stat().st_size:
        raise VideoError(
            f"{path}: its header names {stream.frames} frames, more than it can hold; it is damaged."
        )
    # decoding can change what the stream says
    width, height, shown_width = stream.width, stream.height, _shown_width(stream)
    packets = _read_packets(path, container, stream)
    if container.format.name == "avi" and codec.name in _REORDERING_CODECS and codec.has_b_frames:
        raise _no_times(path)
    base = float(stream.time_base)
    time_s = (packets.pts - packets.pts[0]) * base
    step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1 / float(stream.guessed_rate or 25)
    end_s = float(time_s[-1]) + (packets.last_length * base or step_s)
    missing_s = _promised_end_s(container, stream) - float(packets.pts[0]) * base - end_s
    missing_s = missing_s if missing_s > _TRUNCATION_S else 0.0
    fits = len(time_s) * width * height * 3 <= _DECORD_BYTES
    seekable = container.format.name.startswith(_INDEXED_CONTAINERS)
    known = seekable and codec.name in _DECORD_CODECS
    rotation = _rotation(container, stream)
    sideways = rotation % 180 != 0
    return VideoInfo(
        path=path,
        codec=codec.name,
        width=height if sideways else shown_width,
        height=shown_width if sideways else height,
        rotation=rotation,
        frame_rate=1 / step_s,
        duration_s=end_s + missing_s,
        missing_s=missing_s,
        pts=packets.pts,
        time_s=time_s,
        key=np.searchsorted(packets.pts, packets.key_pts),
        seekable=seekable,
        decord_reads_it=fits and known and packets.plain and not missing_s and shown_width == width,
    )


def _shown_width(stream: av.VideoStream) -> int:
    """px, with square pixels: camcorders store 1440×1080 and mean 1920×1080, and faces would be narrow."""
    aspect = float(stream.sample_aspect_ratio or 1)
    usable = 1 / _MOST_STRETCHED <= aspect <= _MOST_STRETCHED
    return max(1, round(stream.width * aspect)) if usable else stream.width


def _read_packets(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> _Packets:
    lengths: dict[int, int] = {}
    keys: set[int] = set()
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
                if packet.is_keyframe:
                    keys.add(packet.pts)
    except av.error.FFmpegError:
        pass  # the rest can't be read: what was promised and is missing shows in the duration
    if not lengths:
        raise VideoError(f"{path}: holds no frame that can be shown.")
    pts = np.array(sorted(lengths), np.int64)
    return _Packets(pts, np.array(sorted(keys), np.int64), lengths[int(pts[-1])], plain)


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
            return round(frame.rotation / 90) * 90 % 360  # a header can say anything
    except av.error.FFmpegError:
        pass
    return 0


def _stream_kinds(container: av.container.InputContainer) -> str:
    return " and ".join(sorted({stream.type for stream in container.streams})) or "nothing that is known"


def created_at(path: Path) -> datetime | None:
    """When the camera says that it recorded: local time without a zone; none where it does not say.

    Cameras without a clock write 1904 or 1970, the zeros of MP4 and of Unix; a time to come is none either.
    """
    try:
        with open_container(path) as container:
            local = container.metadata.get("com.apple.quicktime.creationdate")
            streams = [stream.metadata for stream in container.streams.video]
            times = (tags.get("creation_time") for tags in (container.metadata, *streams))
            utc = next(filter(None, times), None)
    except (av.error.FFmpegError, OSError):
        return None
    try:
        # the first is written with the zone of the place; the second in UTC
        found = datetime.fromisoformat(local or utc or "")
    except ValueError:
        return None
    if not local and found.tzinfo is not None:
        found = found.astimezone()
    found = found.replace(tzinfo=None, microsecond=0)
    return found if found.year >= _FIRST_YEAR and found <= datetime.now() else None
