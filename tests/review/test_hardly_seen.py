"""Sessions of which nothing, or too little, was read are to check until a person has looked."""

from pathlib import Path

import pytest
from coloured_people import LEFT, RED, process, seated
from edited_tables import rewrite
from videos import encode

from pipeline.processing.session import Networks, Session
from pipeline.review.apply_people import apply_people
from pipeline.review.people import find_people
from pipeline.review.people_table import read_people, write_people
from pipeline.store.paths import timeline_path
from pipeline.store.status import Outcome, read_outcomes
from pipeline.store.timeline import read_timeline

NOBODY, SOMEBODY = [seated()], [seated((LEFT, RED))]
HARDLY = "the patient's face could be read in only 10.0% of the session"


@pytest.fixture
def session(tmp_path: Path, request: pytest.FixtureRequest) -> Session:
    video = encode(tmp_path / "a.mp4", request.param, rate=10, options={"crf": "5"})
    return Session("P1", "S1", video)


@pytest.fixture
def out(session: Session, fake_networks: Networks, tmp_path: Path) -> Path:
    """The processed session."""
    process(tmp_path / "out", [session], fake_networks)
    return tmp_path / "out"


def approve(out: Path, answer: str = "yes") -> Path:
    """Have the session approved; return the table."""
    table = rewrite(write_people(find_people(out, None), out), lambda row: {"approved": answer})
    roles, problems = read_people(out, table)
    assert not problems
    apply_people(out, roles)
    return table


def outcome_of(out: Path) -> Outcome:
    (outcome,) = read_outcomes(out).values()
    return outcome


@pytest.mark.parametrize(
    ("session", "reason"),
    [(NOBODY * 40, "no face was found in this video"), (SOMEBODY * 4 + NOBODY * 36, HARDLY)],
    indirect=["session"],
    ids=["nobody", "hardly"],
)
def test_to_check_until_approved_and_done_in_later_runs(
    session: Session, out: Path, reason: str, fake_networks: Networks
) -> None:
    assert (outcome_of(out).state, outcome_of(out).reason) == ("to_check", reason)
    assert not outcome_of(out).is_incomplete
    assert read_people(out, write_people(find_people(out, None), out)) == ({}, [])
    approve(out)
    assert outcome_of(out).identity == "confirmed"
    for _ in range(2):
        assert (outcome_of(out).state, outcome_of(out).reason) == ("done", reason)
        process(out, [session], fake_networks)


@pytest.mark.parametrize("session", [NOBODY * 40], indirect=True, ids=["nobody"])
def test_no_takes_the_approval_back(session: Session, out: Path, fake_networks: Networks) -> None:
    before = read_timeline(timeline_path(out, *session.ids))
    approve(out)
    approve(out, "no")
    for _ in range(2):
        assert (outcome_of(out).state, outcome_of(out).identity) == ("to_check", "unknown")
        after = read_timeline(timeline_path(out, *session.ids))
        same_time = {"created_at": before.metadata["created_at"]}  # or a second later
        assert (after.metadata | same_time, after.rows.equals(before.rows)) == (before.metadata, True)
        process(out, [session], fake_networks)
    assert read_people(out, approve(out, "no")) == ({}, []), "there is nothing to take back"
    approve(out)
    assert outcome_of(out).state == "done"


@pytest.mark.parametrize("session", [SOMEBODY * 4 + NOBODY * 36], indirect=True, ids=["hardly"])
def test_of_a_session_with_a_face_no_changes_nothing(out: Path) -> None:
    approve(out)
    approve(out, "no")
    assert (outcome_of(out).state, outcome_of(out).identity) == ("done", "confirmed")


@pytest.mark.parametrize("session", [SOMEBODY * 10 + NOBODY * 30], indirect=True, ids=["a quarter"])
def test_a_quarter_is_enough(out: Path) -> None:
    assert (outcome_of(out).state, outcome_of(out).reason) == ("done", "")


@pytest.mark.parametrize("session", [NOBODY * 10], indirect=True, ids=["nobody"])
def test_nobody_has_pictures_of_the_recording_and_no_role(session: Session, out: Path) -> None:
    (nobody,) = find_people(out, None)
    assert (nobody.number, nobody.tracks, nobody.role, len(nobody.portraits)) == (0, (), "", 5)
    table = rewrite(write_people([nobody], out), lambda row: {"role": "patient"})
    (problem,) = read_people(out, table)[1]
    assert (problem.column, problem.reason) == ("role", "no face was found in this session; empty this cell.")
    session.video.unlink()
    (nobody,) = find_people(out, None)
    assert (nobody.portraits, str(nobody.note)) == ((), "its video is not where it was")


@pytest.mark.parametrize("session", [NOBODY * 40], indirect=True, ids=["nobody"])
def test_a_face_that_is_found_later_is_to_check_again(
    session: Session, out: Path, fake_networks: Networks
) -> None:
    approve(out)
    encode(session.video, SOMEBODY * 40, rate=10, options={"crf": "5"})
    process(out, [session], fake_networks)
    assert outcome_of(out).state == "to_check"
    assert "found nobody; now there is a face" in outcome_of(out).reason


@pytest.mark.parametrize("session", [NOBODY * 40], indirect=True, ids=["nobody"])
def test_another_recording_without_a_face_was_not_approved(
    session: Session, out: Path, fake_networks: Networks
) -> None:
    table = approve(out)
    approved = table.read_bytes()
    encode(session.video, NOBODY * 30, rate=10, options={"crf": "5"})
    process(out, [session], fake_networks)
    assert outcome_of(out).state == "to_check"
    table.write_bytes(approved)  # of the earlier recording
    (problem,) = read_people(out, table)[1]
    assert (problem.column, problem.reason) == (
        "source",
        "the session was processed again since; make the table again.",
    )
    approve(out)
    process(out, [session], fake_networks)
    assert outcome_of(out).state == "done"


@pytest.mark.parametrize("session", [NOBODY * 10], indirect=True, ids=["nobody"])
def test_nobody_sits_in_a_region(out: Path) -> None:
    table = rewrite(write_people(find_people(out, None), out), lambda row: {"patient_region": "0,0,50,50"})
    (problem,) = read_people(out, table)[1]
    assert (problem.column, problem.reason) == (
        "patient_region",
        "no face was found in this session; empty this cell.",
    )
