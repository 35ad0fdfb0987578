"""Notebooks beside a study: with its folder, from anywhere, and never written over."""

import json
from pathlib import Path

import pytest
from timelines import make_timeline, put

from pipeline.errors import InputError
from pipeline.exchange.notebooks import ORIGINALS, copy_notebooks
from pipeline.store.folders import find_results

NAMES = sorted(path.name for path in ORIGINALS.glob("*.ipynb"))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    out = tmp_path / 'a "study"'
    put(out, make_timeline([("happy", 5)]))
    (out / "status.parquet").touch()
    return out


def code(path: Path) -> str:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no timeline in this folder"):
        copy_notebooks(tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_notebook_knows_its_study(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = copy_notebooks(study)
    assert sorted(path.name for path in found.written) == NAMES
    assert found.changed == ()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMONEXT_OUT", str(tmp_path / "another"))
    for path in found.written[:4]:
        (line,) = (line for line in code(path).splitlines() if line.startswith("OUT = "))
        assert eval(line.removeprefix("OUT = "), {"find_results": find_results}) == study  # noqa: S307
        assert path.stat().st_mode & 0o077 == 0


def test_a_study_that_was_moved_is_found_from_its_notebooks(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = str(study)
    copy_notebooks(study)
    moved = study.rename(tmp_path / "moved")
    monkeypatch.chdir(moved / "notebooks")
    assert find_results(before) == moved


def test_what_a_person_wrote_stays_and_is_named(study: Path) -> None:
    first, second, third, *_ = copy_notebooks(study).written
    run = json.loads(first.read_text("utf-8"))
    run["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["5"]}]
    run["cells"][1]["source"] = "".join(run["cells"][1]["source"])
    first.write_text(json.dumps(run), "utf-8")
    second.write_text(second.read_text("utf-8").replace("import polars", "import my_polars"), "utf-8")
    third.unlink()
    before = first.read_bytes(), second.read_bytes()
    found = copy_notebooks(study)
    assert found.written == (third,)
    assert found.changed == (second,), "of the first, only the output is new"
    assert (first.read_bytes(), second.read_bytes()) == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": [1]}'])
def test_another_file_of_the_name_stays_too(study: Path, content: str) -> None:
    path = study / "notebooks" / NAMES[0]
    path.parent.mkdir()
    path.write_text(content)
    assert copy_notebooks(study).changed == (path,)
    assert path.read_text() == content
