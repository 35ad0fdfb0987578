"""Tables that people give: with either separator and decimal mark, with and without a byte order mark."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from timelines import make_timeline, put

from pipeline.analysis.events import read_events
from pipeline.analysis.patients import read_patients
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import session_names
from pipeline.exchange.ratings import read_ratings
from pipeline.processing.sessions_list import read_study

Row = Sequence[str | float]
Write = Callable[[str, *tuple[Row, ...]], Path]


@pytest.fixture(params=["", "\ufeff"], ids=["", "bom"])
def bom(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[",", ";"], ids=["commas", "semicolons"])
def between(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[".", ","], ids=["0.5", "0,5"])
def write(request: pytest.FixtureRequest, bom: str, between: str, tmp_path: Path) -> Write:
    def write(name: str, *rows: Row) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(bom)
            csv.writer(file, delimiter=between).writerows(
                [str(cell).replace(".", request.param) if isinstance(cell, float) else cell for cell in row]
                for row in rows
            )
        return path

    return write


def test_sessions(write: Write, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    path = write(
        "sessions.csv",
        ("patient_id", "session_id", "video", "start_s", "end_s", "exclude", "condition", "consent"),
        ("P1", "S1", "a.mp4", 1.5, "2:05", "10-20;30-40", "thé", "yes"),
    )
    study = read_study(path)
    assert study.problems == ()
    (session,) = study.sessions
    assert (session.start_s, session.end_s, session.condition) == (1.5, 125.0, "thé")
    assert session.exclude == ((10.0, 20.0), (30.0, 40.0))


def test_events(write: Write) -> None:
    rows = ("patient_id", "session_id", "time_s", "what"), ("P1", "S1", 12.25, "chanson, début")
    events, problems = read_events(write("events.csv", *rows), {("P1", "S1"): ((0.0, 20.0),)})
    assert problems == ()
    assert [(event.time_s, event.what) for event in events] == [(12.25, "chanson, début")]


def test_patients(write: Write) -> None:
    found = read_patients(write("patients.csv", ("patient_id", "MMSE"), ("P1", 20.5), ("P2", -1.25)))
    assert found.problems == ()
    assert [(one.kind, one.values) for one in found.columns] == [("number", {"P1": 20.5, "P2": -1.25})]


def test_ratings(write: Write, tmp_path: Path) -> None:
    put(tmp_path, make_timeline([("happy", 100)]))
    columns = ("patient_id", "session_id", "start_s", "end_s", "code", "rated_from_s", "rated_to_s")
    path = write("ratings/anna.csv", columns, ("P1", "S1", 1.5, 2.75, "happy", 0.5, 15.25))
    (rating,) = read_ratings([path], session_names(tmp_path), read_codes(None)).ratings
    assert [(one.start_s, one.end_s) for one in rating.stretches] == [(1.5, 2.75)]
    assert rating.rated == ((0.5, 15.25),)
