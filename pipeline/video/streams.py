"""Choose the session's stream in a container, and read the packets of all streams."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition, Stream

from pipeline.errors import VideoError
from pipeline.reasons import Reason
from pipeline.video.frame_order import Packet, times_of

# FFmpeg's names of the allowed formats. Others include playlists, which FFmpeg would follow to any file.
_FORMATS = "mov,matroska,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,mxf,dv,h264,hevc,m4v"

# Maximum number of pixels, twice that of 8K: a header with more is wrong, and such pictures would not fit
# into memory.
_MAX_PIXELS = 2**26

# Minimum bytes per frame. FFmpeg keeps an index of declared but missing frames in memory, and the time of a
# seek grows with the square of their number.
_FRAME_BYTES = 4

# Streams shorter than this share of the longest, or with fewer pixels than this share of the largest, are
# covers, previews and thumbnails.
_LONG_ENOUGH, _LARGE_ENOUGH = 0.5, 0.25
_STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


@dataclass
class Contents:
    """Result of one pass over the packets of a container.

    :param packets: of each video stream, by stream index, in file order.
    :param sound_end_s: end of the sound on the container's clock; ``None`` without sound.
    :param read_bytes: position in the file after the last packet.
    """

    packets: dict[int, list[Packet]] = field(default_factory=dict)
    sound_end_s: float | None = None
    read_bytes: int = 0


def open_container(path: Path) -> av.container.InputContainer:
    """Open the file; refuse playlists and other formats that refer to other files.

    :raises av.error.FFmpegError: the file has no format that cameras write.
    """
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    # ignore titles that are not UTF-8
    return av.open(str(path), container_options=options, metadata_errors="replace")


def video_stream(container: av.container.InputContainer, index: int) -> av.VideoStream:
    """The stream at that place among all."""
    stream = container.streams[index]
    assert isinstance(stream, av.VideoStream)
    return stream


def usable_streams(path: Path, container: av.container.InputContainer) -> list[av.VideoStream]:
    """The streams that may be a recording.

    :raises VideoError: there is none, or a header has impossible values.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & _STILL]
    if not videos:
        raise VideoError.about(path, "no_picture_stream", streams=_stream_kinds(container))
    usable = [s for s in videos if s.codec_context is not None and s.time_base and s.width and s.height]
    if not usable:
        raise VideoError.about(path, "no_picture_header")
    for stream in usable:
        if stream.width * stream.height > _MAX_PIXELS:
            raise VideoError.about(path, "impossible_size", width=stream.width, height=stream.height)
        if stream.frames * _FRAME_BYTES > path.stat().st_size:
            raise VideoError.about(path, "impossible_frames", count=stream.frames)
    return usable


def read_contents(container: av.container.InputContainer, videos: Sequence[av.VideoStream]) -> Contents:
    """All packets of the video streams, and where the sound ends; as far as the file can be read."""
    found = Contents({stream.index: [] for stream in videos})
    for packet in demuxed(container, *videos, *container.streams.audio):
        if packet is None or (packet.size == 0 and packet.pts is None):
            continue  # the end of the stream
        if packet.pos is not None:
            found.read_bytes = max(found.read_bytes, packet.pos + packet.size)
        if packet.stream.type == "video":
            found.packets[packet.stream.index].append(_packet(packet))
        elif packet.pts is not None and packet.time_base is not None:
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            found.sound_end_s = max(end_s, found.sound_end_s or end_s)
    return found


def demuxed(container: av.container.InputContainer, *streams: Stream) -> "Iterator[av.Packet[Any] | None]":
    """All packets, as far as the file can be read; then ``None``, which makes a decoder return held pictures.

    The duration shows whether declared packets are missing.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        # at the end PyAV looks for streams that FFmpeg met only while reading; those asked for are complete
        return
    except av.error.FFmpegError:
        yield None


def choose_stream(path: Path, videos: Sequence[av.VideoStream], contents: Contents) -> av.VideoStream:
    """Choose the session's stream: as long as the longest, not much smaller than the largest, then the
    default.

    In some files, covers, previews and thumbnails come first.

    :raises VideoError: no stream holds a frame that is shown.
    """
    spans = {
        stream.index: _span_s(stream, contents.packets[stream.index])
        for stream in videos
        if any(not packet.hidden for packet in contents.packets[stream.index])
    }
    if not spans:
        raise VideoError.about(path, "no_shown_frame")
    longest = max(spans.values())
    whole = [s for s in videos if s.index in spans and spans[s.index] >= _LONG_ENOUGH * longest]
    largest = max(stream.width * stream.height for stream in whole)
    large = [stream for stream in whole if stream.width * stream.height >= _LARGE_ENOUGH * largest]
    return max(large, key=lambda stream: (bool(stream.disposition & Disposition.default), -stream.index))


def describe_others(container: av.container.InputContainer, chosen: av.VideoStream) -> tuple[str, ...]:
    """The other streams, such as ``audio`` and ``video 320 × 180``."""
    return tuple(
        f"video {stream.width} × {stream.height}" if isinstance(stream, av.VideoStream) else stream.type
        for stream in container.streams
        if stream.index != chosen.index
    )


def _packet(packet: "av.Packet[Any]") -> Packet:
    return Packet(
        pts=packet.pts,
        dts=packet.dts,
        length=packet.duration or 0,
        key=packet.is_keyframe,
        hidden=packet.is_discard or packet.size == 0,
        size=packet.size,
        torn=packet.is_corrupt,
    )


def _span_s(stream: av.VideoStream, packets: Sequence[Packet]) -> float:
    """Time from the first frame to the last; estimated from the number of packets if they have no times."""
    times = times_of(packets)
    if len(times) < len(packets) or stream.time_base is None:
        return len(packets) / float(stream.guessed_rate or 25)
    return float((max(times) - min(times)) * stream.time_base)


_KINDS = {
    "audio": Reason.of("sound_stream"),
    "video": Reason.of("cover_stream"),
    "subtitle": Reason.of("subtitle_stream"),
    "data": Reason.of("data_stream"),
    "attachment": Reason.of("attachment_stream"),
}


def _stream_kinds(container: av.container.InputContainer) -> Reason:
    there = {stream.type for stream in container.streams}
    kinds = [reason for kind, reason in _KINDS.items() if kind in there]
    if not kinds:
        return Reason.of("no_known_stream")
    return reduce(lambda one, other: Reason.of("both", one=one, other=other), kinds)
