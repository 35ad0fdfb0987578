"""Every notebook runs on the simulated study, and is committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_shows_patients_says_what_a_purge_finds(path):
    first, *rest = nbformat.read(path, as_version=4).cells
    if any("find_results()" in cell.source for cell in rest):
        assert "clear them afterwards" in first.source
        assert "EMONEXT_KEY_FILE" in first.source


def test_four_notebooks_show_patients():
    assert sum("find_results()" in path.read_text(encoding="utf-8") for path in NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.notebook
def test_runs_to_the_end_and_shows_something(path, made_study, monkeypatch):
    monkeypatch.setenv("EMONEXT_OUT", str(made_study))
    faces = FOLDER.parents[1] / "shared" / "data"
    if path.stem.startswith("5") and faces.is_dir():
        monkeypatch.setenv("EMONEXT_FACES", str(faces))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert "text/html" in kinds
    assert "application/vnd.plotly.v1+json" in kinds
