"""Write files atomically, readable only by the owner."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pipeline.errors import OutputError
from pipeline.reasons import free_text


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a ``*.partial`` path to write to; rename it to ``path`` on success, remove it on failure.

    Folders get mode 0700 and the file 0600. The partial name is unique per writer: a lost process on another
    machine may still write the same file.

    :raises OutputError: the file can't be written.
    """
    partial = path.with_name(f"{path.name}.{uuid4().hex[:8]}.partial")
    try:
        make_private_folder(path.parent)
        # create the file with its mode before writing, so that others can never read it
        partial.touch(mode=0o600, exist_ok=False)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())  # without fsync, a power cut can leave an empty file with the final name
        os.replace(partial, path)
    except OSError as error:
        message = free_text(error.strerror or error)
        raise OutputError.of("not_written", path=str(path), error=message) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def state_of_files(paths: Iterable[Path]) -> str:
    """A state that differs if a file was added, removed, changed, or replaced by an older one."""
    rows = []
    for path in paths:
        with suppress(FileNotFoundError):
            found = path.stat()
            rows.append((path.parent.name, path.name, found.st_size, found.st_mtime_ns))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


BACKUP_SUFFIX = ".bak"
"""Of the previous version of a file that people keep; no search for lists finds it."""


def replace_file(path: Path, content: bytes) -> Path:
    """Write the changed list; the previous one stays beside it. Both keep the permissions.

    :returns: the path of the previous file.
    :raises OutputError: a file can't be written.
    """
    path = path.resolve()  # a link stays a link
    mode = stat.S_IMODE(path.stat().st_mode)
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    for target, data in ((backup, path.read_bytes()), (path, content)):
        with atomic(target) as partial:
            partial.write_bytes(data)
            partial.chmod(mode)
    return backup


def remove_partials(folder: Path) -> None:
    """Remove partial files that killed processes left, in the folder and below."""
    for partial in folder.rglob("*." + 8 * "[0-9a-f]" + ".partial"):
        partial.unlink(missing_ok=True)


def make_private_folder(folder: Path) -> None:
    """Create the folder and missing parents, accessible only by the owner.

    :raises OSError: a folder can't be created.
    """
    for missing in reversed([folder, *folder.parents]):
        if not missing.exists():
            missing.mkdir(mode=0o700, exist_ok=True)
