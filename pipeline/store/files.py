"""Files that are written whole or not at all, for their owner alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pipeline.errors import OutputError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A ``*.partial`` path to write to, renamed to ``path`` on success and removed on failure.

    Folders are made 0700 and the file 0600. The name is this writer's own: on another machine a process that
    was given up may still be writing the same file.

    :raises OutputError: it can't be written.
    """
    partial = path.with_name(f"{path.name}.{uuid4().hex[:8]}.partial")
    try:
        make_private_folder(path.parent)
        # made before anything is written, so that what is written is never readable by others
        partial.touch(mode=0o600, exist_ok=False)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())  # or a power cut leaves an empty file of the right name
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror or error}).") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_partials(folder: Path) -> None:
    """What killed processes left of :func:`atomic`, in the folder and all below it."""
    for partial in folder.rglob("*." + 8 * "[0-9a-f]" + ".partial"):
        partial.unlink(missing_ok=True)


def make_private_folder(folder: Path) -> None:
    """Creates the folder and what is missing above it, for its owner alone.

    :raises OSError: it can't be created.
    """
    for missing in reversed([folder, *folder.parents]):
        if not missing.exists():
            missing.mkdir(mode=0o700, exist_ok=True)
