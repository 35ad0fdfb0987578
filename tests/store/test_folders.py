"""The results folder of a notebook, from any working folder."""

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.store import folders
from pipeline.store.folders import find_results


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No results but the test's own; the program lies in ``program/``."""
    monkeypatch.delenv("EMONEXT_OUT", raising=False)
    monkeypatch.setattr(folders, "__file__", str(tmp_path / "program" / "pipeline" / "store" / "folders.py"))
    (tmp_path / "elsewhere" / "notebooks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere" / "notebooks")


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "status.parquet").write_bytes(b"")
    return folder


def test_nothing_was_made_yet() -> None:
    with pytest.raises(InputError, match="run `emonext demo --study`, or let EMONEXT_OUT name"):
        find_results()


@pytest.mark.parametrize("place", ["elsewhere/notebooks", "elsewhere", "", "program"])
def test_the_made_study_is_found_here_above_or_beside_the_program(place: str, tmp_path: Path) -> None:
    study = made(tmp_path / place / "demo-study")
    assert find_results() == study


def test_the_nearest_is_taken(tmp_path: Path) -> None:
    made(tmp_path / "demo-study")
    near = made(tmp_path / "elsewhere" / "demo-study")
    assert find_results() == near


def test_the_named_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "demo-study")
    named = made(tmp_path / "own")
    monkeypatch.setenv("EMONEXT_OUT", str(named))
    assert find_results() == named


def test_a_named_folder_without_results_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "demo-study")
    monkeypatch.setenv("EMONEXT_OUT", str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="holds no results"):
        find_results()
