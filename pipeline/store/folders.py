"""What lies in a folder: recordings, or results of earlier runs."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.store.spreadsheet import is_file, is_text
from pipeline.video.container import VIDEO_SUFFIXES

# Any of these stands in a folder that this program wrote to, also after a purge of all of its patients.
_RESULTS = (
    *("status.parquet", "audit.jsonl", "timelines", "faces", "roles", "episodes", "summaries", "logs"),
    *("reports", "review", "withdrawn", "agreement", "exports", "people.csv", ".unfinished"),
)


@dataclass(frozen=True)
class FolderVideos:
    """The videos of a folder, in order of their paths.

    :param here: those directly in the folder.
    :param below: those in its sub-folders.
    :param unread: sub-folders that can't be listed.
    """

    here: tuple[Path, ...]
    below: tuple[Path, ...]
    unread: tuple[Path, ...]

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(sorted((*self.here, *self.below)))


def find_videos(folder: Path) -> FolderVideos:
    """Which files of a folder and of its sub-folders are videos, by their suffix in any case.

    Hidden files and folders are left out (macOS writes a ``._P1_S1.mp4`` beside a ``P1_S1.mp4``), and so are
    results of earlier runs, which hold copies for review. Links to folders are not followed.

    :raises InputError: the folder can't be listed, or a video's name is not text.
    """
    try:
        next(folder.iterdir(), None)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: not found, or can't be read; give a folder of videos.") from error
    found: list[Path] = []
    unread: list[Path] = []
    for top, folders, names in os.walk(folder, onerror=lambda error: unread.append(Path(error.filename))):
        if not {"status.parquet", "audit.jsonl"}.isdisjoint(names):
            folders[:] = [name for name in folders if Path(top) == folder and name != "review"]
            names = names if Path(top) == folder else []
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(top, name) for name in names if is_video_name(name) and is_file(Path(top, name))]
    videos = sorted(map(check_name, found))
    here = tuple(video for video in videos if video.parent == folder)
    return FolderVideos(here, tuple(v for v in videos if v.parent != folder), tuple(sorted(unread)))


def is_video_name(name: str) -> bool:
    """Whether a file of this name counts as a video of its folder."""
    return not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES


def check_name(video: Path) -> Path:
    """The path itself; it will be written to lists and to the status, which are text.

    :raises InputError: its bytes are no text.
    """
    if not is_text(str(video)):
        raise InputError(f"{str(video)!r}: this name is not text; rename the video.")
    return video


def check_results(out: Path) -> Path:
    """The folder itself.

    :raises InputError: it is not there, or this program wrote nothing to it.
    """
    if not os.path.isdir(out):  # noqa: PTH112  # Path.is_dir raises for a name that is too long
        raise InputError(f"{out}: no such folder; give the --out folder of `emonext process`.")
    if not any(os.path.lexists(out / name) for name in _RESULTS):
        raise InputError(f"{out}: holds no results; give the --out folder of `emonext process`.")
    return out
