"""Record the files of an export, so that the next export replaces only these files.

    FOLDER/.exported.json    format → the files that the last export wrote, relative to the folder

Files for ELAN and BORIS are not recorded: a rater may have edited them.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from pipeline.errors import OutputError
from pipeline.records import OnProgress
from pipeline.store.files import atomic

LIST_FILE = ".exported.json"

Files = Mapping[str, Callable[[Path], Path]]
"""Name relative to the folder → function that writes the file."""


def bids_label(one: str) -> str:
    """An id as a BIDS label: only letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", one)


def replace_export(
    folder: Path, kind: str, files: Files, on_progress: OnProgress = lambda done, total: None
) -> list[Path]:
    """Write the files, then remove files of the last export of this kind that are not written again.

    :returns: the written files.
    :raises OutputError: a file exists and is not from such an export (nothing was done), or a file can't be
        written or removed.
    """
    listed = read_list(folder)
    last = dict.fromkeys(listed.get(kind, ()))
    for name in files:
        if name not in last and os.path.lexists(folder / name):
            raise OutputError(f"{folder / name}: exists, and is not from an export; give another `out`.")
    gone = [name for name in last if name not in files]
    # write the list first, so that an interrupted export can be replaced
    _write_list(folder, {**listed, kind: [*files, *gone]})
    written = []
    for name, write in files.items():
        written.append(write(folder / name))
        on_progress(len(written), len(files))
    for path in (folder / name for name in gone):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{path}: can't be removed ({error.strerror}).") from error
        remove_empty(path.parent, folder)
    _write_list(folder, {**listed, kind: [*files]})
    return written


def read_list(folder: Path) -> dict[str, list[str]]:
    """Kind → names; empty without an earlier export.

    :raises OutputError: the list is damaged, or a name leads out of the folder.
    """
    path = folder / LIST_FILE
    try:
        found: dict[str, list[str]] = json.loads(path.read_bytes())
        _check_inside(folder, (name for names in found.values() for name in [*names]))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise OutputError(f"{path}: damaged list of exports; give another `out`.") from error
    return found


def _check_inside(folder: Path, names: Iterable[str]) -> None:
    """:raises ValueError: a name leads out of the folder, also by a link."""
    whole = folder.resolve()
    for name in names:
        if whole not in (folder / name).resolve().parents:
            raise ValueError(f"{name} is elsewhere")


def _write_list(folder: Path, listed: Mapping[str, list[str]]) -> None:
    with atomic(folder / LIST_FILE) as partial:
        partial.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def remove_empty(folder: Path, top: Path) -> None:
    """Remove the folder and its parents while they are empty; never the top."""
    with suppress(OSError):  # not empty
        while folder != top:
            with suppress(FileNotFoundError):
                folder.rmdir()
            folder = folder.parent
