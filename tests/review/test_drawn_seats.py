"""review.people_table: a seat that somebody drew names the patient of a session."""

import shutil
from pathlib import Path

import pytest
from coloured_people import ByColour, make_mixed_study, middle
from edited_tables import rewrite

from pipeline.processing.session import Networks
from pipeline.review.apply_people import apply_people
from pipeline.review.people import find_people
from pipeline.review.people_table import read_people, write_people
from pipeline.store.status import read_outcomes

LEFT_HALF, RIGHT_HALF = "0,0,50,100", "50,0,100,100"


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory, fake_networks: Networks) -> Path:
    """P1/S1: red left, blue right; red is guessed to be the patient."""
    return make_mixed_study(tmp_path_factory.mktemp("mixed"), fake_networks)


@pytest.fixture
def out(processed: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return shutil.copytree(processed, tmp_path / "study")


def draw(out: Path, **cells: str) -> Path:
    """The table, with a seat in P1/S1, and other cells of all its rows."""
    table = write_people(find_people(out, ByColour()), out)
    return rewrite(table, lambda row: cells if (row["patient_id"], row["session_id"]) == ("P1", "S1") else {})


def reasons(out: Path, table: Path) -> list[str]:
    return [f"{problem.column}: {problem.reason}" for problem in read_people(out, table)[1]]


def test_whoever_sits_in_the_drawn_seat_is_the_patient(out: Path) -> None:
    assert middle(out, "S1") == {70}
    said, problems = read_people(out, draw(out, patient_region=RIGHT_HALF))
    assert problems == []
    assert {ids: set(roles.values()) for ids, roles in said.items()} == {("P1", "S1"): {"patient"}}
    apply_people(out, said)
    assert middle(out, "S1") == {250}
    states = {ids: outcome.identity for ids, outcome in read_outcomes(out).items()}
    assert states["P1", "S1"] == "confirmed"
    assert states["P1", "S2"] == "to_check"


def test_a_seat_confirms_the_guess(out: Path) -> None:
    apply_people(out, read_people(out, draw(out, patient_region=LEFT_HALF))[0])
    assert middle(out, "S1") == {70}
    assert read_outcomes(out)["P1", "S1"].identity == "confirmed"


def test_a_seat_and_the_role_of_somebody_else_go_together(out: Path) -> None:
    table = draw(out, patient_region=RIGHT_HALF)
    rewrite(
        table, lambda row: {"role": "caregiver"} if row["role"] == "patient" and row["patient_region"] else {}
    )
    said, problems = read_people(out, table)
    assert problems == []
    assert sorted(said["P1", "S1"].values()) == ["caregiver", "patient"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (
            {"patient_region": "0,0,100,100"},
            "too many to choose; draw another rectangle, or name the patient",
        ),
        ({"patient_region": "0,0,5,5"}, "nobody is seen in the region; draw another rectangle, or name"),
        ({"patient_region": "0,0,0.5,1"}, "values from 0 to 1; write % of the picture: 0,10,55.5,100."),
        ({"patient_region": "left"}, "is no region; write left,top,right,bottom in %"),
        ({"patient_region": RIGHT_HALF, "approved": "yes"}, "named another patient of this session; empty"),
        ({"patient_region": RIGHT_HALF, "role": "caregiver"}, "gave another role to whoever sits there"),
    ],
)
def test_an_unclear_seat_changes_nothing(out: Path, cells: dict[str, str], expected: str) -> None:
    (reason,) = reasons(out, draw(out, **cells))
    assert reason.startswith("patient_region: ")
    assert expected in reason


def test_one_session_has_one_seat(out: Path) -> None:
    table = draw(out, patient_region=RIGHT_HALF)
    rewrite(
        table,
        lambda row: {"patient_region": LEFT_HALF} if row["patient_region"] and row["person"] == "2" else {},
    )
    (reason,) = reasons(out, table)
    assert reason.endswith("keep one region for a session.")


def test_a_seat_never_overwrites_what_a_person_said(out: Path) -> None:
    """The guess was approved; a seat that is drawn later, around somebody else, is refused."""
    table = draw(out, approved="yes")
    apply_people(out, read_people(out, table)[0])
    (reason,) = reasons(out, draw(out, patient_region=RIGHT_HALF))
    assert "a person named another patient of this session" in reason
    assert middle(out, "S1") == {70}
    assert read_people(out, draw(out))[0] == {}


def test_the_same_seat_says_nothing_new(out: Path) -> None:
    table = draw(out, patient_region=LEFT_HALF)
    apply_people(out, read_people(out, table)[0])
    assert read_people(out, table) == ({}, [])


def test_a_table_that_was_applied_brings_no_guess_back(out: Path) -> None:
    """Its rows still name red, the guess of that time."""
    table = draw(out, patient_region=RIGHT_HALF)
    apply_people(out, read_people(out, table)[0])
    (reason,) = reasons(out, table)
    assert "a person named another patient of this session" in reason


def test_a_table_without_the_column_is_read_as_before(out: Path) -> None:
    table = draw(out, approved="yes")
    lines = table.read_text("utf-8").replace("patient_region", "x_mine")
    table.write_text(lines, "utf-8")
    said, problems = read_people(out, table)
    assert problems == []
    assert set(said) == {("P1", "S1")}


def test_a_picture_on_the_wall_is_not_taken_for_the_patient(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = draw(out, patient_region=RIGHT_HALF)
    monkeypatch.setattr("pipeline.identity.clustering._STILL_S", 0.5)
    (reason,) = reasons(out, table)
    assert "the face there never moves" in reason
