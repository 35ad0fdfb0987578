"""Read header values that FFmpeg does not report."""

import struct
from dataclasses import dataclass
from pathlib import Path

# In the header of ASF one object holds the size of the file, the played time in 100 ns, how much of that is
# before time zero in ms, and flags.
# https://learn.microsoft.com/en-us/windows/win32/medfound/file-properties-object
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


_ASF_PROMISE = struct.Struct("<24xQ16xQ8xQI")


_ASF_HEADER_BYTES = 2**16


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
