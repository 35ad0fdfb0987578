"""One run at a time in a folder: two would overwrite each other's status."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import OutputError


@contextmanager
def holding(out: Path) -> Iterator[None]:
    """Holds the folder while the body runs.

    The system lets go of it when the process ends, however it ends: what a dead run left is no lock.

    :param out: an existing folder.
    :raises OutputError: another run holds it; the message says which.
        Or its lock can't be written, or is a link.
    """
    path = out / ".lock"
    try:
        file = os.fdopen(
            os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600),
            "r+",
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise OutputError(
            f"{path}: can't be written ({error.strerror}); make it a file that you may write to, "
            "or move it away while no run is at work in the folder."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = file.read(200).strip() or "another run"
            raise OutputError(f"{out}: {holder} is at work in this folder; wait for it to end.") from error
        started = datetime.now(UTC).isoformat(timespec="seconds")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}, since {started},\n")
        file.flush()
        yield


def is_held(out: Path) -> bool:
    """Whether a run is at work in the folder."""
    try:
        with (out / ".lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
