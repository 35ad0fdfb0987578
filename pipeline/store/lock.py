"""One run at a time in a folder: two would overwrite each other's status."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import OutputError


@contextmanager
def folder_lock(out: Path) -> Iterator[None]:
    """Holds the folder while the body runs.

    The system lets go of it when the process ends, however it ends: what a dead run left is no lock.

    :param out: an existing folder.
    :raises OutputError: another run holds it; the message says which.
        Or its lock can't be written, or is a link.
    """
    path = out / ".lock"
    lock = _lock(path)
    try:
        path.parent.stat()  # or it would be made
        lock.acquire()
    except Timeout as error:
        raise OutputError(f"{out}: {_holder(path)} is at work in this folder; wait for it to end.") from error
    except OSError as error:
        raise OutputError(
            f"{path}: can't be written ({error.strerror}); make it a file that you may write to, "
            "or move it away while no run is at work in the folder."
        ) from error
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        with suppress(OSError):  # Windows lets nobody write to a file that is locked
            path.write_text(
                f"process {os.getpid()} on {socket.gethostname()}, since {started},\n", encoding="utf-8"
            )
        yield
    finally:
        lock.release()


def is_held(out: Path) -> bool:
    """Whether a run is at work in the folder; not where its lock may not be opened."""
    path = out / ".lock"
    if not path.exists():
        return False
    try:
        with _lock(path):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _lock(path: Path) -> FileLock:
    return FileLock(path, mode=0o600, blocking=False)


def _holder(path: Path) -> str:
    """As the run that holds the folder wrote it."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(200).strip() or "another run"
    except OSError:
        return "another run"
