"""Read header values that FFmpeg does not report."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

# In the header of ASF one object holds the size of the file, the played time in 100 ns, how much of that is
# before time zero in ms, and flags.
# https://learn.microsoft.com/en-us/windows/win32/medfound/file-properties-object
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


_ASF_PROMISE = struct.Struct("<24xQ16xQ8xQI")


_HEADER_BYTES = 2**16

# First bytes of H.264 units that no other picture depends on: a slice, additional information, a delimiter,
# and filling, all with a nal_ref_idc of 0 (ITU-T H.264, 7.4.1).
_SLICE = b"\x01"
_DISPOSABLE = {_SLICE, b"\x06", b"\x09", b"\x0c"}


@dataclass(frozen=True)
class AsfHeader:
    """Values of an ASF header; FFmpeg ignores them if the file is truncated."""

    file_bytes: int
    end_s: float


def asf_header(path: Path) -> AsfHeader | None:
    """Read the ASF header; ``None`` without a length, as in a broadcast, which has no end."""
    with path.open("rb") as file:
        _, found, properties = file.read(_HEADER_BYTES).partition(_ASF_FILE_PROPERTIES)
    if not found or len(properties) < _ASF_PROMISE.size:
        return None
    file_bytes, played, preroll_ms, flags = _ASF_PROMISE.unpack_from(properties)
    return None if flags & 1 else AsfHeader(file_bytes, max(0.0, played / 1e7 - preroll_ms / 1e3))


def second_movie(path: Path) -> int | None:
    """Where in an MP4 another one begins (a second ``ftyp`` box, ISO/IEC 14496-12, 4.3); none mostly."""
    place, seen, size = 0, False, path.stat().st_size
    with path.open("rb") as file:
        while place + 8 <= size:
            file.seek(place)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4]), header[4:8]
            if kind == b"ftyp" and seen:
                return place
            seen |= kind == b"ftyp"
            if length == 1:
                length = int.from_bytes(header[8:16])
            if length < 8:  # to the end of the file, or no box
                return None
            place += length
    return None


@dataclass(frozen=True)
class EditFaults:
    """What the edit lists of an MP4's pictures and sound ask for, and FFmpeg does not do.

    :param has_gap: an empty edit after the first edit. ``has_rate``: an edit at another speed.
    """

    has_gap: bool = False
    has_rate: bool = False


def edit_faults(path: Path) -> EditFaults:
    """Read the edit lists (ISO/IEC 14496-12, 8.6.6) of pictures and sound."""
    with path.open("rb") as file:
        edits = [edit for edits in _edit_lists(file, path.stat().st_size) for edit in enumerate(edits)]
    return EditFaults(
        has_gap=any(number > 0 and media_time == -1 for number, (media_time, _) in edits),
        has_rate=any(media_time != -1 and rate != _PLAIN_RATE for _, (media_time, rate) in edits),
    )


_PLAIN_RATE = 1 << 16  # 16.16 fixed point

_MOST_BOXES = 10_000  # on one level; a hostile file can have millions


def _edit_lists(file: BinaryIO, size: int) -> Iterator[list[tuple[int, int]]]:
    """Media time and rate of each edit, for each track of pictures or sound."""
    for track, end in _boxes(file, 0, size, b"moov", b"trak"):
        handlers = [_read(file, *place) for place in _boxes(file, track, end, b"mdia", b"hdlr")]
        if any(handler[8:12] in (b"vide", b"soun") for handler in handlers):
            for place in _boxes(file, track, end, b"edts", b"elst"):
                yield _edits(_read(file, *place))


def _edits(content: bytes) -> list[tuple[int, int]]:
    entry = struct.Struct(">QqI" if content[:1] == b"\1" else ">IiI")
    whole = 8 + (len(content) - 8) // entry.size * entry.size
    count = int.from_bytes(content[4:8])
    return [(time, rate) for _, time, rate in islice(entry.iter_unpack(content[8:whole]), count)]


def _boxes(file: BinaryIO, start: int, end: int, *kinds: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of the content of the boxes at a path of kinds."""
    kind, *inner = kinds
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        file.seek(start)
        header = file.read(16)
        length, head = int.from_bytes(header[:4]), 8
        if length == 1:
            length, head = int.from_bytes(header[8:16]), 16
        elif length == 0:  # to the end
            length = end - start
        if length < head:
            return
        stop = min(start + length, end)
        if header[4:8] == kind:
            yield from _boxes(file, start + head, stop, *inner) if inner else [(start + head, stop)]
        start += length


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(min(end - start, _HEADER_BYTES))


def second_riff(path: Path) -> int | None:
    """Where in an AVI another one begins; none mostly. A large AVI goes on in chunks of the kind AVIX."""
    place, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while place + 12 <= size:
            file.seek(place)
            header = file.read(12)
            if header[:4] != b"RIFF":
                return None
            if place and header[8:] == b"AVI ":
                return place
            length = int.from_bytes(header[4:8], "little")
            place += 8 + length + length % 2
    return None


def disposable(packet: memoryview, extradata: bytes) -> bool:
    """Whether the picture in an H.264 packet is one that no other picture depends on.

    :param extradata: of the stream. If it begins with 1, units begin with their length (ISO/IEC 14496-15,
        5.3.3), otherwise with a start code (ITU-T H.264, annex B).
    """
    if len(extradata) < 5 or extradata[0] != 1:
        units = set(re.findall(rb"\x00\x00\x01(.)", packet, re.DOTALL))
        return _SLICE in units and units <= _DISPOSABLE
    units, place, width = set(), 0, (extradata[4] & 3) + 1
    while place < len(packet):
        start = place + width
        units.add(bytes(packet[start : start + 1]))
        place = start + int.from_bytes(packet[place:start])
    return place == len(packet) and _SLICE in units and units <= _DISPOSABLE
