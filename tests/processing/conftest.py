"""What the tests of this room share."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from session_lists import Read, write

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
