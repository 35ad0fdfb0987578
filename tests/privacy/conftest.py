"""What the tests of this room share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from consent_study import VIDEO, Study
from markupsafe import Markup
from purging import Process
from videos import encode, with_faces

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from reports import render, write_reports


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "study"


@pytest.fixture
def process(make_recording: Callable[..., Path], fake_networks: Networks, out: Path) -> Process:
    """Sessions of a second each, by names like P1/S1."""
    video = make_recording("recording.mp4", [(40, 60)])

    def run(*names: str, consent: bool | None = True) -> None:
        sessions = [Session(*name.split("/"), video, consent=consent) for name in names]
        engine = in_this_process(fake_networks)
        process_sessions(sessions, out, Settings(), engine, "0" * 64, write_pages=write_reports)

    return run


@pytest.fixture
def study(tmp_path: Path, fake_networks: Networks) -> Study:
    for name, corner in ((VIDEO, (40, 60)), ("b.mp4", (80, 60))):
        encode(tmp_path / name, [with_faces([corner])] * 10, rate=10)
    return Study(tmp_path, fake_networks)


@pytest.fixture
def without_plotly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages without the 1.1 MB of Plotly's script, where they are written again and again."""
    trusted = render._trusted
    short = lambda file: Markup("var Plotly;") if render.PLOTLY_FILE in file else trusted(file)  # noqa: E731
    monkeypatch.setattr(render, "_trusted", short)
    render.scripts.cache_clear()
    yield
    render.scripts.cache_clear()
