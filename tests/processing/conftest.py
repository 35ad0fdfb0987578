"""What the tests of this room share."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from batches import FACE
from session_lists import Read, write

from pipeline.processing.session import Session
from pipeline.processing.sessions_list import Study, read_study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with two videos and two pictures; nothing opens them."""
    for name in ("a.mp4", "b.mp4", "face.jpg", "side.PNG"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def read(folder: Path) -> Read:
    """The study of these rows, each given by its cells."""

    def read_rows(*rows: Mapping[str, str]) -> Study:
        return read_study(write(folder, *rows))

    return read_rows


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def recordings(make_recording: Callable[..., Path]) -> list[Session]:
    """Three sessions of a second each."""
    return [Session("P1", name, make_recording(f"P1_{name}.mp4", FACE)) for name in ("S1", "S2", "S3")]
