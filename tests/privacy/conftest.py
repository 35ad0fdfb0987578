"""What the tests of this room share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from purging import Process

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Instruments, Session, Settings
from reports import write_reports


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "study"


@pytest.fixture
def process(make_recording: Callable[..., Path], fake_instruments: Instruments, out: Path) -> Process:
    """Sessions of a second each, by names like P1/S1."""
    video = make_recording("recording.mp4", [(40, 60)])

    def run(*names: str, consent: bool | None = True) -> None:
        sessions = [Session(*name.split("/"), video, consent=consent) for name in names]
        engine = in_this_process(fake_instruments)
        process_sessions(sessions, out, Settings(), engine, "0" * 64, write_pages=write_reports)

    return run
