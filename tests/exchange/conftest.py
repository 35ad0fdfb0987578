"""What the tests of this room share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from exports import PARTS, SECONDS
from timelines import make_timeline, put

from pipeline.analysis.summaries import summarize_folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two sessions of a patient; the second lies in two files and has a date and a condition."""
    first, second = make_timeline(SECONDS), make_timeline(SECONDS, session_id="S2")
    session = {**second.metadata["session"], "recorded_at": "2026-03-02T10:30:00", "condition": "=music"}
    more = {"session": session, "video": {**second.metadata["video"], "files": PARTS}}
    put(tmp_path, first)
    put(tmp_path, make_timeline(SECONDS, session_id="S2", **more), session_id="S2")
    summarize_folder(tmp_path)
    return tmp_path


@pytest.fixture
def no_bak(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.rglob("*.bak"))
