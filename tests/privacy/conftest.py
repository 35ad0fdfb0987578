"""What the tests of this room share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from consent_study import Study
from markupsafe import Markup
from purging import Process, ProcessedStudies

from pipeline.processing.session import Networks
from reports import render


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "study"


@pytest.fixture(scope="session")
def processed(tmp_path_factory: pytest.TempPathFactory, fake_networks: Networks) -> ProcessedStudies:
    return ProcessedStudies(tmp_path_factory.mktemp("processed"), fake_networks)


@pytest.fixture
def process(processed: ProcessedStudies, out: Path) -> Process:
    """Sessions of a second each, by names like P1/S1."""

    def run(*names: str, consent: bool | None = True) -> None:
        if consent and not out.exists():
            processed.copy(out, *names)
        else:
            processed.process(out, *names, consent=consent)

    return run


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("consent") / "study"
    folder.mkdir()
    return folder


@pytest.fixture
def study(study_folder: Path, fake_networks: Networks) -> Study:
    study = Study(study_folder, fake_networks)
    study.restore("recordings")
    return study


@pytest.fixture
def without_plotly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages without the 1.1 MB of Plotly's script, where they are written again and again."""
    trusted = render._trusted
    short = lambda file: Markup("var Plotly;") if render.PLOTLY_FILE in file else trusted(file)  # noqa: E731
    monkeypatch.setattr(render, "_trusted", short)
    render.scripts.cache_clear()
    yield
    render.scripts.cache_clear()
