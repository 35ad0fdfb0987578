"""Read a video's container: picture size, time of every frame, and faults.

Times come from PyAV, never from a frame rate, because phones record with a variable rate. A container's times
are used only if packets and decoder agree (:mod:`pipeline.video.frame_times`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.reasons import Reason, free_text
from pipeline.video.frame_order import Packet, ascends, times_of
from pipeline.video.frame_times import FrameTimes, read_times
from pipeline.video.headers import EditFaults, asf_header, edit_faults, second_movie, second_riff
from pipeline.video.orientation import Orientation, pixel_aspect, shown_size
from pipeline.video.streams import (
    Contents,
    choose_stream,
    describe_others,
    open_container,
    read_contents,
    usable_streams,
)

VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg"),
    *(".mts", ".m2ts", ".ts", ".wmv", ".3gp", ".flv"),
)

# decord seeks to a key frame and counts from there. With other codecs, in transport streams, and with
# reordered frames, it silently returns wrong frames.
_DECORD_CODECS = ("h264", "hevc", "mjpeg")
_INDEXED_CONTAINERS = ("mov", "matroska")

# decord decodes all packets as fast as it can read them: while the detector keeps the processor busy, the
# pictures of the whole file accumulate (4 GB per minute of 1280×720). So decord reads only files whose
# pictures fit into memory; PyAV decodes on demand, and is not slower.
_DECORD_BYTES = 256 * 2**20

# Frames to decode, at least, to check the container's times.
_TRIAL_FRAMES = 64

# Tolerance for steps of a constant rate, s: some containers round to ms.
_SAME_STEP_S = 0.0011

# Tolerance, s. A file is truncated if the header declares this much more than the packets hold. Sound that
# begins this much before the picture, or ends this much after it, leaves time without a picture, as does an
# unread end.
_TOLERATED_S = 1.0

# A step longer than this tolerance and this many usual steps is a hole.
_HOLE_STEPS = 3

# Earlier dates are invalid: no recording in these formats is older.
_FIRST_YEAR = 1990

# An index follows the last packet. More than this share of the file is an appended recording, which FFmpeg
# does not find in some formats, or zeros of a camera that stopped before it filled the file.
_UNREAD_SHARE = 0.1


@dataclass(frozen=True)
class VideoInfo:
    """Content of a container.

    Times count from the container's start, as in players: the begin of sound or picture, whichever is first.

    :param width, height: px, of the upright picture, with square pixels.
    :param pixel_aspect: width ÷ height of a stored pixel.
    :param frame_rate: usual rate, 1/s, from the median step; a hole in the recording does not change it.
    :param duration_s: length of the container, sound included; the header's value if the file is truncated.
    :param missing_s: seconds at the end that the file declares and that can't be read.
    :param pts: (F,) int64, ascending, by which a frame is found: its presentation time in the stream's time
        base; where ``by_number``, its place in the decoder's order.
    :param time_s: (F,) float64, ascending: presentation time of each frame.
    :param key: (K,) int64, ascending: key frames, at which decoding can begin.
    :param stream: index of the video among the container's streams. ``others``: the other streams, in words.
    :param sound_zero_s: time zero on the sound's clock; ``None`` without sound, or if clocks restart.
    :param by_number: the container's times contradict its frames; ``time_s`` was computed from their order.
    :param one_to_one: whether each packet holds one picture, shown at the packet's time.
    :param seekable: whether a seek leads to a key frame before, or near, the requested time.
    :param decord_reads_it: whether decord returns the right frames, and all of them fit into memory.
    :param decoded: number of pictures that were decoded to check the times; ``all_decoded``: whether these
        are all. ``damaged``: whether damage was found, in these pictures or in any packet.
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
    sound_zero_s: float | None
    by_number: bool
    one_to_one: bool
    seekable: bool
    decord_reads_it: bool
    decoded: int
    all_decoded: bool
    damaged: bool
    notes: tuple[Reason, ...]

    @property
    def constant_rate(self) -> bool:
        """Whether all steps between frames are equal, up to rounding to ms."""
        steps_s = np.diff(self.time_s)
        return not len(steps_s) or bool(np.ptp(steps_s) < _SAME_STEP_S)

    @property
    def without_picture_s(self) -> float:
        """Seconds of sound before the first frame and after the last, and of holes between them."""
        notes = (note for note in self.notes if note.code in ("late", "holes", "early_end"))
        return sum(s for note in notes if isinstance(s := note.values["seconds"], float))


def probe(path: Path) -> VideoInfo:
    """Read the container and decode its begin; decode all of it if the container's times are not reliable.

    :raises VideoError: the file is missing, empty, a folder or no video, or holds no frame.
    """
    if not path.exists():
        raise VideoError.about(path, "not_found")
    if path.is_dir():
        raise VideoError.about(path, "a_folder")
    if path.is_file() and path.stat().st_size == 0:
        raise VideoError.about(path, "empty_file")
    try:
        with open_container(path) as container:
            return _read_info(path, container)
    except (av.error.FFmpegError, OSError) as error:
        code = "unreadable" if isinstance(error, PermissionError) else "no_video_file"
        raise VideoError.about(path, code, error=free_text(error.strerror)) from error


def _read_info(path: Path, container: av.container.InputContainer) -> VideoInfo:
    streams = usable_streams(path, container)
    contents = read_contents(container, streams)
    stream = choose_stream(path, streams, contents)
    packets = contents.packets[stream.index]
    # decoding can change the stream's properties
    stored, aspect = (stream.width, stream.height), pixel_aspect(stream)
    in_memory = _DECORD_BYTES // (3 * stored[0] * stored[1])
    found, shown = read_times(path, stream, packets, max(_TRIAL_FRAMES, in_memory + 1))
    clock = _read_clock(path, container, stream, contents, found)
    width, height = shown_size(*stored, aspect, shown.orientation)
    edits = edit_faults(path) if container.format.name.startswith("mov") else EditFaults()
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
        sound_zero_s=clock.zero_s if contents.sound_end_s is not None and found.takes == 1 else None,
        by_number=found.by_number,
        one_to_one=not found.by_number
        and sorted(times_of(packet for packet in packets if not packet.hidden)) == found.pts.tolist(),
        seekable=seekable,
        decord_reads_it=seekable
        and stream.codec_context.name in _DECORD_CODECS
        and len(found.pts) <= in_memory
        and len(container.streams.video) == 1
        and _plain(packets)
        and not (clock.missing_s or shown.damaged or shown.orientation.mirrored)
        and aspect == 1
        and shown.sizes == {stored},
        decoded=len(shown.pts),
        all_decoded=shown.ended,
        damaged=shown.damaged or found.lost > 0 or any(packet.torn for packet in packets),
        notes=_notes(found, clock, edits),
    )


def _plain(packets: Sequence[Packet]) -> bool:
    """Whether presentation order equals decoding order, and no frame is hidden."""
    times = times_of(packet for packet in packets if not packet.hidden)
    return len(times) == len(packets) and ascends(times) and packets[0].key


@dataclass(frozen=True)
class _Clock:
    """Times of a video, s from the container's start.

    :param zero_s: the container's start on its own clock.
    :param picture_end_s: end of the last frame.
    :param unread_s: of ``missing_s``, what was appended.
    """

    zero_s: float
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
    # packets without a picture have no place in the decoder's order
    lost_s = found.lost * step_s if found.by_number else 0.0
    sound_end_s, missing_s = 0.0, max(unread_s, lost_s if lost_s > _TOLERATED_S else 0.0)
    if found.takes == 1:  # otherwise the sound's clock restarts too, and the header describes only one take
        sound_end_s = contents.sound_end_s - start_s if contents.sound_end_s is not None else 0.0
        promised_s, read_s = _own_end_s(container, stream), picture_end_s
        if promised_s is None:
            promised_s, read_s = _container_end_s(path, container), max(picture_end_s, sound_end_s)
        cut_s = promised_s - start_s - read_s
        missing_s = max(missing_s, cut_s if cut_s > _TOLERATED_S else 0.0)
    duration_s = max(picture_end_s + missing_s, sound_end_s)
    return _Clock(start_s, time_s, step_s, picture_end_s, duration_s, missing_s, unread_s)


def _start_s(container: av.container.InputContainer, found: FrameTimes, base: float) -> float:
    """Time zero on the container's clock.

    AVI has no presentation times: FFmpeg's invented times for reordered frames are late. If clocks restart,
    the container's start can be that of any take.
    """
    first_s = float(found.times[0]) * base
    if container.start_time is None or container.format.name == "avi" or found.takes > 1:
        return first_s
    return min(first_s, container.start_time / av.time_base)


def _own_end_s(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """End of the video by its stream header, s on the container's clock, if it declares one."""
    name = container.format.name
    if name.startswith("matroska"):
        return _seconds(stream.metadata.get("DURATION", ""))
    # FFmpeg gives all streams of ASF the file's duration
    if stream.duration is None or stream.time_base is None or name == "asf":
        return None
    if name == "avi":  # FFmpeg computes these durations from the content
        return float(stream.frames * stream.time_base)
    return float((stream.duration + (stream.start_time or 0)) * stream.time_base)


def _container_end_s(path: Path, container: av.container.InputContainer) -> float:
    """End of the longest stream by the header, s on the container's clock; 0 if the header declares none."""
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
    """Approximate length of an appended recording, from its share of the file; 0 without one."""
    size, name = path.stat().st_size, container.format.name
    if not contents.read_bytes:
        return 0.0
    if name == "avi":  # what one recording lacks, its header says; FFmpeg reads most joined ones to the end
        begins = second_riff(path)
        unread = size - max(begins, contents.read_bytes) if begins is not None else 0
    elif name.startswith("mov"):
        begins = second_movie(path)
        unread = size - begins if begins is not None and begins >= contents.read_bytes else 0
    elif name == "asf" and (asf := asf_header(path)) is not None:
        unread = size - asf.file_bytes
    else:
        unread = size - contents.read_bytes
    unread_s = read_s * unread / contents.read_bytes
    return unread_s if unread > _UNREAD_SHARE * size and unread_s > _TOLERATED_S else 0.0


def _notes(found: FrameTimes, clock: _Clock, edits: EditFaults) -> tuple[Reason, ...]:
    late_s = float(clock.time_s[0])
    early_s = clock.duration_s - clock.missing_s - clock.picture_end_s
    counts = {
        "takes": found.takes if found.takes > 1 else 0,
        "decoded_order": len(found.pts) if found.by_number and found.takes == 1 else 0,
        "lost": found.lost,
    }
    times_s = {
        "unread": clock.unread_s,
        "late": late_s if late_s > _TOLERATED_S else 0.0,
        "holes": _holes_s(clock),
        "early_end": early_s if early_s > _TOLERATED_S else 0.0,
    }
    edited = {"edit_gap": edits.has_gap, "edit_rate": edits.has_rate}
    return (
        *(Reason.of(code) for code, is_so in edited.items() if is_so),
        *(Reason.of(code, count=count) for code, count in counts.items() if count),
        *(Reason.of(code, seconds=float(time_s)) for code, time_s in times_s.items() if time_s),
    )


def _holes_s(clock: _Clock) -> float:
    """Seconds of holes: steps between frames that a slow rate does not explain."""
    steps_s = np.diff(clock.time_s)
    return float(steps_s[steps_s > max(_TOLERATED_S, _HOLE_STEPS * clock.step_s)].sum())


def created_at(path: Path) -> datetime | None:
    """Recording time by the camera's clock: local, without a zone; ``None`` if it is not stored.

    Cameras without a clock write 1904 or 1970, the zeros of MP4 and Unix; these and future times are ignored.
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
        # the first tag has the local zone; the second is in UTC
        found = datetime.fromisoformat(local or utc or "")
    except ValueError:
        return None
    if not local and found.tzinfo is not None:
        found = found.astimezone()
    found = found.replace(tzinfo=None, microsecond=0)
    return found if found.year >= _FIRST_YEAR and found <= datetime.now() else None
