"""Read header values that FFmpeg does not report."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

# In the header of ASF one object holds the size of the file, the played time in 100 ns, how much of that is
# before time zero in ms, and flags.
# https://learn.microsoft.com/en-us/windows/win32/medfound/file-properties-object
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


_ASF_PROMISE = struct.Struct("<24xQ16xQ8xQI")


_ASF_HEADER_BYTES = 2**16

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
        _, found, properties = file.read(_ASF_HEADER_BYTES).partition(_ASF_FILE_PROPERTIES)
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
