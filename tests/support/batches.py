"""Sessions processed in this process."""

from pathlib import Path
from typing import Any

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.store.status import Outcome, read_status

FACE = [(40, 60)]
Sessions = list[Session]


def states(out: Path) -> dict[str, str]:
    return dict(read_status(out).select("session_id", "state").rows())


def partial_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.partial*"))


# --- a batch


def process(
    sessions: list[Session], out: Path, settings: Settings, networks: Networks, **options: Any
) -> list[Outcome]:
    """In this process, where a test's own functions can be used."""
    return process_sessions(sessions, out, settings, in_this_process(networks), "0" * 64, **options)
