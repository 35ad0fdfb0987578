"""What an export wrote into its folder: the next one replaces that, and nothing else.

    FOLDER/.exported.json    format → the files that the last export wrote, relative to the folder

Files for ELAN and BORIS are not in it: somebody may have worked on them.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from pipeline.errors import OutputError
from pipeline.store.files import atomic

LIST_FILE = ".exported.json"

Files = Mapping[str, Callable[[Path], Path]]
"""Name relative to the folder → what writes it there."""


def bids_label(one: str) -> str:
    """An id as BIDS has it, which knows letters and digits alone."""
    return re.sub(r"[^A-Za-z0-9]", "", one)


def replace_export(folder: Path, kind: str, files: Files) -> list[Path]:
    """Writes the files, then removes what the last export of the kind wrote and this one did not.

    :returns: what was written.
    :raises OutputError: a file is there that no such export wrote, and nothing was done; or one can't be
        written or removed.
    """
    listed = read_list(folder)
    last = dict.fromkeys(listed.get(kind, ()))
    for name in files:
        if name not in last and os.path.lexists(folder / name):
            raise OutputError(f"{folder / name}: is there, and not from an export; give another `out`.")
    gone = [name for name in last if name not in files]
    # before anything else: what is stopped halfway is known again
    _write_list(folder, {**listed, kind: [*files, *gone]})
    written = [write(folder / name) for name, write in files.items()]
    for path in (folder / name for name in gone):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{path}: can't be removed ({error.strerror}).") from error
        remove_empty(path.parent, folder)
    _write_list(folder, {**listed, kind: [*files]})
    return written


def read_list(folder: Path) -> dict[str, list[str]]:
    """Kind → names; nothing where nothing was exported to.

    :raises OutputError: it is damaged, or a name leads out of the folder.
    """
    path = folder / LIST_FILE
    try:
        found: dict[str, list[str]] = json.loads(path.read_bytes())
        _check_inside(folder, (name for names in found.values() for name in [*names]))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise OutputError(f"{path}: not as an export writes it; give another `out`.") from error
    return found


def _check_inside(folder: Path, names: Iterable[str]) -> None:
    """:raises ValueError: one leads out of the folder, also by a link."""
    whole = folder.resolve()
    for name in names:
        if whole not in (folder / name).resolve().parents:
            raise ValueError(f"{name} is elsewhere")


def _write_list(folder: Path, listed: Mapping[str, list[str]]) -> None:
    with atomic(folder / LIST_FILE) as partial:
        partial.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def remove_empty(folder: Path, top: Path) -> None:
    """The folder and those above it, as long as nothing is in them; never the top."""
    with suppress(OSError):  # there is something in it
        while folder != top:
            with suppress(FileNotFoundError):
                folder.rmdir()
            folder = folder.parent
