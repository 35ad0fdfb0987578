"""What a video's container holds: the picture's size, the time of every frame, and what is wrong with it.

Read by PyAV, never from a frame rate, since phones record with a variable one. A container's times are
believed only where packets and decoder agree (:mod:`pipeline.video.frame_times`).
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.video.frame_order import Packet, ascends, times_of
from pipeline.video.frame_times import FrameTimes, read_times
from pipeline.video.headers import asf_header, second_movie
from pipeline.video.notes import Note, NoteKind
from pipeline.video.orientation import Orientation, pixel_aspect, shown_size
from pipeline.video.streams import (
    Contents,
    choose_stream,
    describe_others,
    open_container,
    read_contents,
    usable_streams,
)

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv")

# decord seeks to a key frame and counts from there. With other codecs, in transport streams, and where frames
# are not shown in the order in which they are decoded, it hands back wrong frames without a word.
_DECORD_CODECS = ("h264", "hevc", "mjpeg")
_INDEXED_CONTAINERS = ("mov", "matroska")

# decord queues packets as fast as it can read them and decodes them all, whoever waits: where the detector
# keeps the processor busy, the pictures of the whole file pile up (4 GB for a minute of 1280×720). So it
# reads only files that may lie in memory whole; PyAV decodes what is asked for, and is no slower.
_DECORD_BYTES = 256 * 2**20

# At least so many frames are decoded to see whether their times can be believed.
_TRIAL_FRAMES = 64

# Steps of a constant rate differ by the rounding of a container that counts in ms.
_SAME_STEP_S = 0.0011

# A header that promises this much more than the packets hold belongs to a file that was cut off. Sound that
# begins so much before the picture, or ends so much after it, leaves time without a picture. So does an end
# that is not read.
_TOLERATED_S = 1.0

# Nor is a longer time than that and so many usual steps between two frames a matter of the rate.
_HOLE_STEPS = 3

# Nobody's recordings in these formats are older.
_FIRST_YEAR = 1990

# Behind the last packet lies an index. More than this share of the file is a recording that was appended,
# and that FFmpeg does not find in some formats; or nothing, where a camera stopped before it filled the file.
_UNREAD_SHARE = 0.1


@dataclass(frozen=True)
class VideoInfo:
    """What a container holds.

    Times count from the container's start, as in players: where the sound or the picture begins, whichever
    is first.

    :param width, height: px, of the upright picture, with square pixels.
    :param pixel_aspect: width ÷ height of a stored pixel.
    :param frame_rate: usual one, 1/s: of the median step. A hole in the recording does not change it.
    :param duration_s: of the container, sound included; the header's claim where the file was cut off.
    :param missing_s: seconds at the end that the file promises and that can't be read.
    :param pts: (F,) int64, ascending, by which a frame is found: its presentation time in the stream's time
        base; where ``by_number``, its place in the decoder's order.
    :param time_s: (F,) float64, ascending: when each frame is shown.
    :param key: (K,) int64, ascending: which of the frames stand alone, so that decoding can begin there.
    :param stream: the session's place among the container's streams. ``others``: the rest, in words.
    :param by_number: the container's times contradict its frames; ``time_s`` was made from their order.
    :param seekable: a seek leads to a key frame before the time that is asked for, or near it.
    :param decord_reads_it: decord is known to return the right frames, and may hold them all.
    """

    path: Path
    codec: str
    width: int
    height: int
    pixel_aspect: float
    orientation: Orientation
    frame_rate: float
    duration_s: float
    missing_s: float
    pts: NDArray[np.int64]
    time_s: NDArray[np.float64]
    key: NDArray[np.int64]
    stream: int
    others: tuple[str, ...]
    by_number: bool
    seekable: bool
    decord_reads_it: bool
    notes: tuple[Note, ...]

    @property
    def constant_rate(self) -> bool:
        """Whether frames follow one another in equal steps, but for the rounding of a container in ms."""
        steps_s = np.diff(self.time_s)
        return not len(steps_s) or bool(np.ptp(steps_s) < _SAME_STEP_S)

    @property
    def without_picture_s(self) -> float:
        """Seconds of sound before the first frame and after the last, and of holes between them."""
        return sum(note.amount for note in self.notes if note.kind in ("late", "holes", "early_end"))


def probe(path: Path) -> VideoInfo:
    """Reads the container, and decodes its beginning; all of it where its times can't be believed.

    :raises VideoError: the file is missing, empty, not a video, or holds no frame.
    """
    if not path.exists():
        raise VideoError(f"{path}: not found.")
    if path.is_file() and path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty.")
    try:
        with open_container(path) as container:
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


def _read_info(path: Path, container: av.container.InputContainer) -> VideoInfo:
    streams = usable_streams(path, container)
    contents = read_contents(container, streams)
    stream = choose_stream(path, streams, contents)
    packets = contents.packets[stream.index]
    # decoding can change what the stream says
    stored, aspect = (stream.width, stream.height), pixel_aspect(stream)
    in_memory = _DECORD_BYTES // (3 * stored[0] * stored[1])
    found, shown = read_times(path, stream, packets, max(_TRIAL_FRAMES, in_memory + 1))
    clock = _read_clock(path, container, stream, contents, found)
    width, height = shown_size(*stored, aspect, shown.orientation)
    seekable = container.format.name.startswith(_INDEXED_CONTAINERS) and not found.by_number
    return VideoInfo(
        path=path,
        codec=stream.codec_context.name,
        width=width,
        height=height,
        pixel_aspect=aspect,
        orientation=shown.orientation,
        frame_rate=1 / clock.step_s,
        duration_s=clock.duration_s,
        missing_s=clock.missing_s,
        pts=found.pts,
        time_s=clock.time_s,
        key=found.key,
        stream=stream.index,
        others=describe_others(container, stream),
        by_number=found.by_number,
        seekable=seekable,
        decord_reads_it=seekable
        and stream.codec_context.name in _DECORD_CODECS
        and len(found.pts) <= in_memory
        and len(container.streams.video) == 1
        and _plain(packets)
        and not (clock.missing_s or shown.damaged or shown.orientation.mirrored)
        and aspect == 1
        and shown.sizes == {stored},
        notes=_notes(found, clock),
    )


def _plain(packets: Sequence[Packet]) -> bool:
    """Whether frames are shown in the order in which they are decoded, and none is hidden."""
    times = times_of(packet for packet in packets if not packet.hidden)
    return len(times) == len(packets) and ascends(times) and packets[0].key


@dataclass(frozen=True)
class _Clock:
    """Times of a video, s from the container's start.

    :param picture_end_s: end of the last frame.
    :param unread_s: of ``missing_s``, what was appended.
    """

    time_s: NDArray[np.float64]
    step_s: float
    picture_end_s: float
    duration_s: float
    missing_s: float
    unread_s: float


def _read_clock(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    contents: Contents,
    found: FrameTimes,
) -> _Clock:
    base = float(stream.time_base or 1)
    start_s = _start_s(container, found, base)
    time_s = found.times * base - start_s
    step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1 / float(stream.guessed_rate or 25)
    picture_end_s = float(time_s[-1]) + (found.last_length * base or step_s)
    unread_s = _unread_s(path, container, contents, picture_end_s)
    # without a picture they have no place in the decoder's order
    lost_s = found.lost * step_s if found.by_number else 0.0
    sound_end_s, missing_s = 0.0, max(unread_s, lost_s if lost_s > _TOLERATED_S else 0.0)
    if found.takes == 1:  # else the sound's clock starts again too, and the header knows one take
        sound_end_s = contents.sound_end_s - start_s if contents.sound_end_s is not None else 0.0
        promised_s, read_s = _own_end_s(container, stream), picture_end_s
        if promised_s is None:
            promised_s, read_s = _container_end_s(path, container), max(picture_end_s, sound_end_s)
        cut_s = promised_s - start_s - read_s
        missing_s = max(missing_s, cut_s if cut_s > _TOLERATED_S else 0.0)
    duration_s = max(picture_end_s + missing_s, sound_end_s)
    return _Clock(time_s, step_s, picture_end_s, duration_s, missing_s, unread_s)


def _start_s(container: av.container.InputContainer, found: FrameTimes, base: float) -> float:
    """Zero on the container's clock.

    AVI has no times of showing: what FFmpeg makes up for frames that wait for others is late. Where clocks
    start again, the container's start is that of any take.
    """
    first_s = float(found.times[0]) * base
    if container.start_time is None or container.format.name == "avi" or found.takes > 1:
        return first_s
    return min(first_s, container.start_time / av.time_base)


def _own_end_s(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """End of the video by its own header, in s of the container's clock; none where only the file has one."""
    name = container.format.name
    if name.startswith("matroska"):
        return _seconds(stream.metadata.get("DURATION", ""))
    # FFmpeg gives all streams of ASF the file's duration
    if stream.duration is None or stream.time_base is None or name == "asf":
        return None
    if name == "avi":  # whose duration FFmpeg takes from what it finds
        return float(stream.frames * stream.time_base)
    return float((stream.duration + (stream.start_time or 0)) * stream.time_base)


def _container_end_s(path: Path, container: av.container.InputContainer) -> float:
    """End of the longest stream by the header, in s of the container's clock; 0 where it makes no promise."""
    name = container.format.name
    if name == "asf":
        asf = asf_header(path)
        return asf.end_s if asf is not None else 0.0
    if container.duration is None:
        return 0.0
    # Matroska's durations count from 0, whenever the first frame is
    counts_from_0 = name.startswith("matroska")
    return (container.duration + (0 if counts_from_0 else container.start_time or 0)) / av.time_base


def _seconds(clock: str) -> float | None:
    """``00:01:02.500000000`` → 62.5."""
    found = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", clock)
    return 3600 * int(found[1]) + 60 * int(found[2]) + float(found[3]) if found else None


def _unread_s(path: Path, container: av.container.InputContainer, contents: Contents, read_s: float) -> float:
    """Roughly how long an appended recording is, by its share of the file; 0 where there is none."""
    size, name = path.stat().st_size, container.format.name
    if not contents.read_bytes or name == "avi":  # by its header
        return 0.0
    if name.startswith("mov"):
        begins = second_movie(path)
        unread = size - begins if begins is not None and begins >= contents.read_bytes else 0
    elif name == "asf" and (asf := asf_header(path)) is not None:
        unread = size - asf.file_bytes
    else:
        unread = size - contents.read_bytes
    unread_s = read_s * unread / contents.read_bytes
    return unread_s if unread > _UNREAD_SHARE * size and unread_s > _TOLERATED_S else 0.0


def _notes(found: FrameTimes, clock: _Clock) -> tuple[Note, ...]:
    late_s = float(clock.time_s[0])
    early_s = clock.duration_s - clock.missing_s - clock.picture_end_s
    amounts: dict[NoteKind, float] = {
        "takes": found.takes if found.takes > 1 else 0,
        "decoded_order": len(found.pts) if found.by_number and found.takes == 1 else 0,
        "lost": found.lost,
        "unread": clock.unread_s,
        "late": late_s if late_s > _TOLERATED_S else 0,
        "holes": _holes_s(clock),
        "early_end": early_s if early_s > _TOLERATED_S else 0,
    }
    return tuple(Note(kind, float(amount)) for kind, amount in amounts.items() if amount)


def _holes_s(clock: _Clock) -> float:
    """Seconds of steps between frames that no slow rate explains."""
    steps_s = np.diff(clock.time_s)
    return float(steps_s[steps_s > max(_TOLERATED_S, _HOLE_STEPS * clock.step_s)].sum())


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
