"""Find videos and lists of sessions in folders; refuse a listed video without its list."""

import codecs
import os
import re
import shlex
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.errors import DoubtfulTableError, InputError
from pipeline.processing.list_cells import YES_OR_NO, as_on_disk
from pipeline.processing.list_columns import REQUIRED
from pipeline.store.folders import SESSIONS_FILE, refuse_file
from pipeline.store.spreadsheet import (
    TABLE_SUFFIXES,
    first_lines,
    is_file,
    is_text,
    plain,
    read_table,
)
from pipeline.video.container import VIDEO_SUFFIXES

OTHER_TABLES = (".xls", ".xlsm", ".ods", ".numbers", ".tsv")
"""Suffixes of spreadsheets that can't be read."""

# Of a file, to see whether it may be a list.
_PEEKED_BYTES, _MOST_UNZIPPED_BYTES = 2**18, 2**24


@dataclass(frozen=True)
class FolderVideos:
    """The videos of a folder, in order of their paths.

    :param here: those directly in the folder.
    :param below: those in its sub-folders.
    :param unread: sub-folders that can't be listed.
    :param faults: of files that count as videos by their name, but can't be used; with their folder's path.
    """

    here: tuple[Path, ...]
    below: tuple[Path, ...]
    unread: tuple[Path, ...]
    faults: tuple[tuple[Path, InputError], ...] = ()

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(sorted((*self.here, *self.below)))

    @property
    def errors(self) -> tuple[InputError, ...]:
        return tuple(error for _, error in self.faults)

    def none_found(self, folder: Path) -> InputError:
        """Why no video of the folder can be used."""
        none = f"{folder}: no video in this folder or below ({', '.join(VIDEO_SUFFIXES)})."
        return next(iter(self.errors), InputError(none))


def find_videos(folder: Path) -> FolderVideos:
    """Find the videos of a folder and its sub-folders, by suffix (case-insensitive).

    Hidden files and folders are left out (macOS writes a ``._P1_S1.mp4`` beside a ``P1_S1.mp4``), as are
    results of earlier runs, which contain review copies. Links to folders are not followed.

    :raises InputError: there is no such folder, it can't be listed, or its path is not text.
    """
    refuse_file(folder, "a folder of videos")
    try:
        next(folder.iterdir(), None)
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no such folder; give a folder of videos.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: can't be read; give a folder of videos.") from error
    _check_folder(folder.absolute())
    found: list[Path] = []
    faults: dict[str, tuple[Path, InputError]] = {}
    unread: list[Path] = []
    for top, folders, names in os.walk(folder, onerror=lambda error: unread.append(Path(error.filename))):
        if not {"status.parquet", "audit.jsonl"}.isdisjoint(names):
            folders[:] = [name for name in folders if Path(top) == folder and name != "review"]
            names = names if Path(top) == folder else []
        folders[:] = [name for name in folders if not name.startswith(".")]
        for video in (Path(top, name) for name in sorted(names) if is_video_name(name)):
            try:
                if _is_video(video):
                    found.append(check_name(video))
            except InputError as error:
                faults[str(error)] = video.parent, error  # once for all videos of a folder
    videos = sorted(found)
    here = tuple(video for video in videos if video.parent == folder)
    below = tuple(video for video in videos if video.parent != folder)
    return FolderVideos(here, below, tuple(sorted(unread)), tuple(faults.values()))


def _is_video(path: Path) -> bool:
    """:raises InputError: the path is a link to nothing: its drive may not be mounted."""
    if path.is_symlink() and not os.path.exists(path):  # noqa: PTH110  # Path.exists raises for a loop of links
        raise InputError(f"{str(path)!r}: a link to a file that is not there; correct or delete the link.")
    return is_file(path)


def is_video_name(name: str) -> bool:
    """Whether a file of this name counts as a video of its folder."""
    return not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES


def check_name(video: Path) -> Path:
    """Return the path, if its full name is valid text for lists and the status.

    :raises InputError: its name, or that of a folder above, is not valid text.
    """
    if not is_text(video.name):
        raise InputError(f"{str(video)!r}: this name is not text; rename the video.")
    _check_folder(video.absolute().parent)
    return video


def _check_folder(path: Path) -> None:
    """:raises InputError: a name in a folder's path is not valid text."""
    for folder in (path, *path.parents):
        if not is_text(folder.name):
            raise InputError(f"{str(folder)!r}: this folder's name is not text; rename the folder.")


def lists_in(folder: Path, *, look_into_others: bool = True) -> list[Path]:
    """Lists of sessions in a folder, recognised by name or by their columns.

    :param look_into_others: whether other files are searched for a list in another form.
    :raises InputError: the folder can't be read; or it holds no list but a file that may be one in another
        form, whose consent would be ignored.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.name[0] not in ".~")
    except OSError as error:
        raise InputError(f"{folder}: can't be read ({error.strerror}).") from error
    lists = [path for path in files if path.suffix.lower() in TABLE_SUFFIXES and _is_list(path)]
    others = files if look_into_others and not lists else ()
    if unread := next(filter(_may_be_list, others), None):
        raise InputError(
            f"{unread}: seems to be a list of sessions, but can't be read as one; save it as .csv (UTF-8) or "
            ".xlsx with the names of the columns in the first line, or move it away."
        )
    return lists


def find_list(folder: Path) -> Path | None:
    """The list of a folder.

    :raises InputError: there are several, or the folder can't be read.
    """
    lists = lists_in(folder)
    if len(lists) > 1:
        names = ", ".join(path.name for path in lists)
        raise InputError(f"{folder}: holds several lists of sessions ({names}); give the one that counts.")
    return lists[0] if lists else None


def check_unlisted(videos: Iterable[Path]) -> None:
    """Refuse videos in a list of their folder or of a parent: the list states consent and what counts.

    :raises InputError: a list names a video, or a list in a video's folder can't be read.
    """
    for video, path, rows in _listings(videos):
        ids = rows[0].get("patient_id", ""), rows[0].get("session_id", "")
        raise InputError(
            f"{video}: {path} lists this video; process it from there: {process_command(path, *ids)}"
        )


def without_consent(videos: Iterable[Path]) -> dict[Path, Path]:
    """Videos that a list of their folder or of a parent names without consent; and that list.

    A video of two patients needs the consent of both. A list without the column ``consent`` refuses nothing.

    :raises InputError: a list in a video's folder can't be read.
    """
    return {
        video: path
        for video, path, rows in _listings(videos)
        if any(YES_OR_NO.get(row.get("consent", "yes").casefold()) is not True for row in rows)
    }


def naming_lists(videos: Iterable[Path]) -> list[Path]:
    """Lists of the videos' folders and of their parents that name a video; the nearest first.

    :raises InputError: a list in a video's folder can't be read.
    """
    return list(dict.fromkeys(path for _, path, _ in _listings(videos)))


def process_command(path: Path, patient_id: str = "", session_id: str = "") -> str:
    """The command to process a list, or some of its sessions."""
    options = (("--patient", patient_id), ("--session", session_id))
    words = ["emonext", "process", str(path), *(word for option in options if option[1] for word in option)]
    return f"{shlex.join(words)} --out DIR"


FileIdentity = tuple[int, int]
"""Device and inode of a file, independent of path and links."""


def _listings(videos: Iterable[Path]) -> Iterator[tuple[Path, Path, Sequence[Mapping[str, str]]]]:
    """Each video with a list of its folder or of a parent that names the video, and the rows that do."""
    rows_in = cache(_rows_in)  # cache: a folder may have many videos
    for video in videos:
        for folder in video.absolute().parents:
            for path, rows in rows_in(folder, folder == video.absolute().parent).items():
                if own := rows.get(file_identity(video)):
                    yield video, path, own


def _rows_in(
    folder: Path, beside: bool
) -> Mapping[Path, Mapping[FileIdentity | None, Sequence[Mapping[str, str]]]]:
    """List → file → rows of the list.

    :param beside: whether an unreadable list is an error; it is ignored in parent folders, but not one that
        can be read in two ways: the other way may name the video.
    """
    found: dict[Path, Mapping[FileIdentity | None, list[Mapping[str, str]]]] = {}
    try:
        for path in lists_in(folder, look_into_others=beside):
            rows: dict[FileIdentity | None, list[Mapping[str, str]]] = defaultdict(list)
            for row in rows_of(path):
                if row["video"]:
                    rows[file_identity(path.parent / row["video"])].append(row)
            found[path] = {file: own for file, own in rows.items() if file}
    except InputError as error:
        if beside or isinstance(error, DoubtfulTableError):
            raise
    return found


def unlisted(path: Path) -> tuple[tuple[Path, ...], tuple[InputError, ...]]:
    """Videos in a list's folder and below that are not in the list; and why others can't be.

    :raises InputError: the list can't be read.
    """
    named = {file_identity(path.parent / row["video"]) for row in rows_of(path) if row["video"]}
    found = find_videos(path.parent)
    return tuple(video for video in found.all if file_identity(video) not in named), found.errors


def conditions_in(path: Path) -> set[str]:
    """The conditions that a list names, whatever is wrong with it: the recordings may not be there yet.

    :raises InputError: the list can't be read.
    """
    return {row.get("condition", "") for row in rows_of(path)} - {""}


def _is_list(path: Path) -> bool:
    if path.stem.casefold() == Path(SESSIONS_FILE).stem:
        return True
    return is_file(path) and any(
        {cell.strip().casefold() for cell in cells}.issuperset(REQUIRED) for cells in first_lines(path)
    )


def _may_be_list(path: Path) -> bool:
    """Whether a file that is not read as a list may be one: by its name, or as it names a list's columns."""
    if path.suffix.lower() not in (*TABLE_SUFFIXES, *OTHER_TABLES, ".txt") or not is_file(path):
        return False
    if path.name.casefold().startswith(f"{Path(SESSIONS_FILE).stem}."):
        return True
    try:
        if zipfile.is_zipfile(path):
            return _holds_columns(path)
        with path.open("rb") as file:
            start = file.read(_PEEKED_BYTES)
    except (OSError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        return False
    if path.suffix.lower() in (".xls", ".xlsm", ".ods", ".numbers"):
        return _names_columns(start.decode("latin-1"))
    wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = start.decode("utf-16" if wide else "utf-8-sig", "replace")
    rows = (re.split(r"[;,\t|]", line) for line in text.casefold().splitlines())
    return any({cell.strip(' "') for cell in row}.issuperset(REQUIRED) for row in rows)


def _holds_columns(workbook: Path) -> bool:
    """Whether the texts of a zipped workbook name the columns of a list."""
    with zipfile.ZipFile(workbook) as file:
        parts = [part for part in file.infolist() if part.file_size < _MOST_UNZIPPED_BYTES]
        texts = [file.read(part) for part in parts if part.filename.endswith((".xml", ".iwa"))]
    return _names_columns(b"".join(texts).decode("latin-1"))


def _names_columns(text: str) -> bool:
    return all(re.search(rf"(?<![a-z_]){name}(?![a-z_])", text, re.IGNORECASE) for name in REQUIRED)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The cells of each row by column, whatever is wrong with them; ``video`` is one of them.

    :raises InputError: the list can't be read.
    """
    (_, header), *lines = read_table(path) or [(1, [])]
    names = [name.strip().casefold() for name in header]
    empty = dict.fromkeys(("video", *names), "")
    return [{**empty, **dict(zip(names, map(plain, cells), strict=False))} for _, cells in lines]


def file_identity(path: Path) -> FileIdentity | None:
    """Identity of a file; ``None`` if it does not exist."""
    try:
        found = as_on_disk(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
