"""Search a folder for mentions of a patient or a session: every byte of every file, and every name.

Parquet, zip (also ``.npz``) and gzip files are unpacked, Parquet and ``.npz`` also decrypted with the key in
use; text is also searched in UTF-16 and UTF-32. Ids are compared as words: ``P01`` is not in ``P012``, nor in
``P01-b`` if that is another patient. Pictures, sound and numbers contain short ids by chance, so only
metadata of videos, names of pictures, pages and notebooks without base64 data, and texts of arrays are
searched.
"""

import errno
import gzip
import html
import io
import json
import mmap
import os
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.exchange.manifest import bids_label
from pipeline.store.encryption import ENCRYPTED, for_reading, unseal
from pipeline.store.parquet import as_frame
from pipeline.video.container import VIDEO_SUFFIXES

# Zero bytes between letters in UTF-8, UTF-16 and UTF-32.
_PADS = (b"", b"\0", b"\0\0\0")

Content = bytes | mmap.mmap


class IdPattern:
    """Search pattern for an id, or for both ids of a session, as words.

    :param known: patient → sessions; longer ids that contain this id as a word are skipped.
    """

    def __init__(self, patient_id: str, session_id: str | None, known: Mapping[str, Collection[str]]) -> None:
        self.patient_id, self.session_id, self.known = patient_id, session_id, known
        sessions = known.get(patient_id, ())
        label = bids_label(patient_id)
        # BIDS label; not searched if it may be another patient's
        others = {bids_label(name) for name in known if name != patient_id}
        self._folder = f"sub-{label}" if label not in others else None
        self._patient = [_Word(patient_id, known, pad) for pad in _pads(patient_id)]
        self._session = [_Word(session_id, sessions, pad) for pad in _pads(session_id)] if session_id else []
        self._both = (
            [_Pair(patient_id, known, session_id, sessions, pad) for pad in _PADS] if session_id else []
        )

    def __str__(self) -> str:
        return self.patient_id if self.session_id is None else f"{self.patient_id}/{self.session_id}"

    def are_in(self, content: Content) -> bool:
        return any(word.is_in(content) for word in self._both or self._patient)

    def are_in_path(self, path: Path) -> bool:
        """Whether the last part of the path has the id; folders above are reported themselves."""
        name = os.fsencode(path.name)
        if not self._session:
            return self._patient[0].is_in(name) or path.name == self._folder
        return self._lies_in_their_folder(path) and self._session[0].is_in(name)

    def are_in_file(self, path: Path, content: Content) -> bool:
        """Whether the content has the ids; in the patient's folder, the session's id is enough."""
        if self._session and self._lies_in_their_folder(path):
            return any(word.is_in(content) for word in self._session)
        return self.are_in(content)

    def _lies_in_their_folder(self, path: Path) -> bool:
        return any(self._patient[0].is_in(os.fsencode(part)) for part in path.parts)


class _Word:
    """A word in one text encoding.

    :param others: longer words that may contain the word and are skipped.
    """

    def __init__(self, wanted: str, others: Collection[str], pad: bytes) -> None:
        self._first = pad.join(letter.encode() for letter in wanted)
        body = b"|".join([*_longer(wanted, others, pad), b"(%s)" % _spell(wanted, pad)])
        self._pattern = _as_word(body, pad)

    def is_in(self, content: Content) -> bool:
        if content.find(self._first) < 0:  # much faster than the pattern
            return False
        return any(found.group(1) for found in self._pattern.finditer(content))


class _Pair(_Word):
    """Both ids of a session, in sequence."""

    def __init__(
        self, patient: str, patients: Collection[str], session: str, sessions: Collection[str], pad: bytes
    ) -> None:
        super().__init__(patient, patients, pad)
        between = b"%s[^A-Za-z0-9]{1,%d}" % (pad, 6 * (len(pad) + 1))
        between += b"(?:%s%s)?" % (_spell("session_id", pad), between)
        second = b"|".join([*_longer(session, sessions, pad), b"(%s)" % _spell(session, pad)])
        pair = b"%s%s(?:%s)" % (_spell(patient, pad), between, second)
        self._pattern = _as_word(b"|".join([*_longer(patient, patients, pad), pair]), pad)


def _pads(text: str) -> Sequence[bytes]:
    """Encodings to search: an id of one letter only in UTF-8."""
    return _PADS if len(text) > 1 else _PADS[:1]


def _as_word(body: bytes, pad: bytes) -> re.Pattern[bytes]:
    return re.compile(b"(?<![A-Za-z0-9]%s)(?:%s)(?!%s[A-Za-z0-9])" % (pad, body, pad))


def _spell(text: str, pad: bytes) -> bytes:
    return pad.join(re.escape(letter).encode() for letter in text)


def _longer(wanted: str, others: Collection[str], pad: bytes) -> list[bytes]:
    longer = sorted((name for name in others if wanted in name and name != wanted), key=len, reverse=True)
    return [_spell(name, pad) for name in longer]


def find_mentions(
    out: Path, words: IdPattern, kinds: Collection[str], own_text: Sequence[bytes] = ()
) -> Iterator[str]:
    """Every file, folder and link with a mention, relative to the folder, and the place of the mention.

    :param kinds: folders of results; a link there that leads out of the folder may lead to the patient's
        data.
    :param own_text: the program's own text in pages.
    """
    unread: list[OSError] = []
    for top, folders, files in os.walk(out, onerror=unread.append):
        folders.sort()
        for path in (Path(top, name) for name in (*folders, *sorted(files))):
            short = path.relative_to(out)
            if words.are_in_path(short):
                yield f"{short} (its name)"
            if path.is_symlink():
                yield from _in_link(path, short, out, words, kinds)
            elif path.is_file():
                try:
                    found = mentions(path, words, own_text, short)
                except OSError as error:
                    yield f"{short} (can't be read: {error.strerror})"
                else:
                    if found:
                        yield f"{short}"
    for folder in unread:
        yield f"{folder.filename} (can't be read: {folder.strerror})"


def mentions(path: Path, words: IdPattern, own_text: Sequence[bytes] = (), short: Path | None = None) -> bool:
    """Whether the file's content mentions the ids.

    :param short: path relative to the output folder; parts above are not searched.
    :raises OSError: the file can't be read or decrypted.
    """
    if not path.stat().st_size:
        return False
    return any(words.are_in_file(short or Path(path.name), content) for content in _contents(path, own_text))


def _in_link(path: Path, short: Path, out: Path, words: IdPattern, kinds: Collection[str]) -> Iterator[str]:
    if words.are_in(os.fsencode(path.readlink())):
        yield f"{short} (where it leads to)"
    elif not path.resolve().is_relative_to(out.resolve()) and (short.parts[0] in kinds or not path.is_dir()):
        yield f"{short} (a link out of the folder: search its target yourself)"


def _contents(path: Path, own_text: Sequence[bytes]) -> Iterator[Content]:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        yield _video_metadata(path)
        return
    with path.open("rb") as file:
        begins = file.read(4)
    if begins[:3] in _PICTURES:
        return
    if path.suffix == ".npz" and begins != b"PK\3\4":
        yield from _sealed(path)
        return
    unpack = _UNPACK.get(begins, _gzip if begins[:2] == b"\x1f\x8b" else None)
    if unpack is not None:
        try:
            yield from list(unpack(path))
            return
        except _NOT_UNPACKED:
            pass  # search the raw bytes instead
    if path.suffix == ".ipynb":
        try:
            yield from list(_notebook(path))
            return
        except (ValueError, RecursionError):
            pass  # search the raw bytes instead
    if path.suffix == ".html":
        page = path.read_bytes()
        for text in own_text:
            page = page.replace(text, b"")
        yield _BASE64.sub(rb"\1", page)
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content
    if begins == ENCRYPTED:
        raise OSError(errno.EACCES, "encrypted, and not with the key in use")


# First bytes of JPEG, PNG and GIF.
_PICTURES = (b"\xff\xd8\xff", b"\x89PN", b"GIF")

# Base64 data in a page: pictures and plotly's arrays.
_BASE64 = re.compile(rb'(;base64,|"bdata": *")[A-Za-z0-9+/=]+')


def _video_metadata(path: Path) -> bytes:
    """Metadata of the container and its streams; empty if the file is no video."""
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            found = [container.metadata, *(stream.metadata for stream in container.streams)]
    except (av.error.FFmpegError, OSError, ValueError):
        return b""
    return "\n".join(f"{key}\n{value}" for values in found for key, value in values.items()).encode()


def _sealed(path: Path) -> Iterator[Content]:
    """Decrypt an unfinished chunk.

    :raises OSError: the key in use does not decrypt the file.
    """
    try:
        yield from _unzipped(io.BytesIO(unseal(path.read_bytes())))
    except (ValueError, zipfile.BadZipFile) as error:
        raise OSError(errno.EACCES, "encrypted, and not with the key in use") from error


# Errors for a file that is damaged, of another kind, or locked with a password or another key.
_NOT_UNPACKED = (
    InputError,
    ValueError,
    pa.ArrowException,
    pl.exceptions.PolarsError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
)


def _parquet(path: Path) -> Iterator[bytes]:
    """Metadata of the table, and its rows without numbers."""
    file = pq.ParquetFile(path, decryption_properties=for_reading(path))
    schema = file.schema_arrow
    yield b"\n".join([*map(str.encode, schema.names), *(schema.metadata or {}).values()])
    names = [field.name for field in schema if not pa.types.is_primitive(field.type)]
    yield as_frame(file.read(names)).unique().write_ndjson().encode()


def _unzipped(packed: Path | io.BytesIO) -> Iterator[bytes]:
    with zipfile.ZipFile(packed) as file:
        for name in file.namelist():
            yield name.encode()
            content = file.read(name)
            yield _texts(content) if name.endswith(".npy") else content


def _texts(content: bytes) -> bytes:
    """Texts of an array, separated, because texts of equal length have no separator; empty for numbers."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError:
        return content
    return "\n".join(array.ravel()).encode() if array.dtype.kind == "U" else b""


def _notebook(path: Path) -> Iterator[bytes]:
    """The texts of a notebook, one by one: in JSON, an id after a line break would read as ``nP012``.

    Of plotly's arrays and of pictures, base64 is left out. In tables, the ids of a session lie in two cells.
    """
    kept = (text for name, text in _strings(json.loads(path.read_bytes())) if not _IS_DATA.match(name))
    texts = "\n".join(kept)
    for found in (texts, re.sub(r"\s+", " ", html.unescape(_TAG.sub(" ", texts)))):
        yield _BASE64.sub(rb"\1", found.encode(errors="replace"))


_TAG = re.compile(r"<[^<>]*>")


_IS_DATA = re.compile(r"image/(?!svg)|bdata$")


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The texts in a value of JSON, names included, each with the name under which it stands."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield "", key
            yield from _strings(one, key)
    elif isinstance(value, list):
        if value and all(isinstance(one, str) for one in value):
            yield name, "".join(value) if value[0].endswith("\n") else "\n".join(value)
        else:
            for one in value:
                yield from _strings(one, name)
    elif isinstance(value, str):
        yield name, value


def _gzip(path: Path) -> Iterator[bytes]:
    yield gzip.decompress(path.read_bytes())


_UNPACK = {b"PAR1": _parquet, ENCRYPTED: _parquet, b"PK\3\4": _unzipped}
