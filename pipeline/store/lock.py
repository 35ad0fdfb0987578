"""Lock a folder: only one run at a time, because two would overwrite each other's status."""

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
    """Lock the folder while the body runs.

    The system releases the lock when the process ends in any way, so a dead run leaves no lock.

    :param out: an existing folder.
    :raises OutputError: another run has the lock (the message names it), or the lock file can't be written or
        is a link.
    """
    path = out / ".lock"
    lock = _lock(path)
    try:
        path.parent.stat()  # without this check, the file would be created
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
        with suppress(OSError):  # on Windows, a locked file can't be written
            path.write_text(
                f"process {os.getpid()} on {socket.gethostname()}, since {started},\n", encoding="utf-8"
            )
        yield
    finally:
        lock.release()


def is_held(out: Path) -> bool:
    """Whether a run is using the folder; ``False`` if the lock file can't be opened."""
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
    """The description of the run that has the lock."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(200).strip() or "another run"
    except OSError:
        return "another run"
