"""processing.other_sessions: a patient's sessions that show somebody else are not done."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batches import process, states
from coloured_people import BLUE, LEFT, RED, RIGHT, ByColour, seated
from videos import encode

from pipeline.errors import TimelineError
from pipeline.identity.gallery import gallery_path, read_gallery
from pipeline.processing import other_sessions
from pipeline.processing.other_sessions import under_other_ids
from pipeline.processing.session import Networks, Session, Settings
from pipeline.review.apply_people import apply_people
from pipeline.store.parquet import read_table, write_table
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.status import Outcome, read_outcomes, record
from pipeline.store.timeline import read_faces, read_timeline

SEAT = (0.0, 0.0, 0.5, 1.0)
NO_OPTIONS: Mapping[str, Any] = {}

Run = Callable[..., list[Outcome]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recordings of one person each, and of both: the first sits in the seat."""
    folder = tmp_path_factory.mktemp("seen")
    shown = {
        "red": seated((LEFT, RED)),
        "blue": seated((LEFT, BLUE)),
        "red_blue": seated((LEFT, RED), (RIGHT, BLUE)),
    }
    nobody = seated()
    pictures = {name: [picture] * 20 for name, picture in shown.items()}
    pictures |= {f"hardly_{name}": [shown[name]] * 4 + [nobody] * 36 for name in ("red", "blue")}
    return {
        name: encode(folder / f"{name}.mp4", clip, rate=10, options={"crf": "5"})
        for name, clip in pictures.items()
    }


@pytest.fixture
def run(seen: dict[str, Path], out: Path, fake_networks: Networks) -> Run:
    """Process sessions of P1 that show red or blue."""

    def processed(
        embedder: bool = True,
        region: bool = False,
        withdrawn: str = "",
        options: Mapping[str, Any] = NO_OPTIONS,
        **sessions: str,
    ) -> list[Outcome]:
        networks = replace(fake_networks, make_embedder=ByColour) if embedder else fake_networks
        listed = [
            Session("P1", name, seen[who], patient_region=SEAT if region else None, consent=name != withdrawn)
            for name, who in sessions.items()
        ]
        return process(listed, out, Settings(), networks, **options)

    return processed


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.parametrize("region", [False, True])
def test_a_session_of_somebody_else_is_to_check(run: Run, out: Path, region: bool) -> None:
    """The only face, and the only face in the seat, is the carer's."""
    outcomes = run(S1="red", S2="blue", S3="red", region=region)
    assert [(o.state, o.identity) for o in outcomes] == [
        ("done", "recognised"),
        ("to_check", "to_check"),
        ("done", "recognised"),
    ]
    assert outcomes[1].reason == (
        "it is not certain that this is the patient: the face is unlike the patient's in S1, S3: one of them "
        "may be somebody else"
    )
    assert outcomes == list(read_outcomes(out).values())


def test_without_a_majority_every_session_is_to_check(run: Run, out: Path) -> None:
    run(S1="red")
    assert states(out) == {"S1": "done"}
    (outcome,) = run(S2="blue")
    assert "unlike the patient's in S1" in outcome.reason
    assert states(out) == {"S1": "to_check", "S2": "to_check"}, "also the earlier one"


def test_without_a_network_nothing_is_compared(run: Run, out: Path) -> None:
    run(embedder=False, S1="red", S2="blue")
    assert states(out) == {"S1": "done", "S2": "done"}
    assert not (out / "gallery").exists()


def test_later_sessions_decide_and_nothing_is_processed_again(run: Run, out: Path) -> None:
    run(S1="red", S2="blue")
    before = read_outcomes(out)["P1", "S1"]
    outcomes = run(S1="red", S2="blue", S3="red")
    assert [o.state for o in outcomes] == ["done", "to_check", "done"]
    assert "in S1, S3" in outcomes[1].reason
    assert outcomes[0].finished_at == before.finished_at
    assert [o.state for o in run(S1="red", S2="blue", S3="red")] == ["skipped"] * 3


def test_damaged_faces_of_one_patient_stop_no_other(
    seen: dict[str, Path], run: Run, out: Path, fake_networks: Networks
) -> None:
    """Without the faces of S1, S2 would be done: they contradict it."""
    run(S1="red", S2="blue")
    damaged = gallery_path(out, "P1", "S1")
    damaged.write_bytes(b"PAR1 damaged PAR1")
    unreadable: list[TimelineError] = []
    written: list[Path] = []
    networks = replace(fake_networks, make_embedder=ByColour)
    sessions = [Session("P1", "S3", seen["blue"]), Session("P2", "S1", seen["blue"])]
    options = {"on_unreadable": unreadable.append, "write_pages": written.append}
    failed, done = process(sessions, out, Settings(), networks, **options)
    advice = f"{damaged}: not a file of this program, or damaged; run `emonext process` again with the "
    advice += "recording of P1 S1."
    assert (failed.state, failed.reason, done.state) == ("failed", advice, "done")
    assert (list(map(str, unreadable)), written) == ([advice], [out])
    outcomes = read_outcomes(out)
    assert [outcomes["P1", name].state for name in ("S1", "S2")] == ["to_check", "to_check"]
    assert [o.state for o in run(S1="red", S2="blue", S3="blue")] == ["to_check", "done", "done"]


def test_a_damaged_timeline_of_another_session_hides_no_doubt(run: Run, out: Path) -> None:
    run(S1="red", S2="red")
    damaged = timeline_path(out, "P1", "S1")
    damaged.write_bytes(b"PAR1 damaged PAR1")
    unreadable: list[TimelineError] = []
    (outcome,) = run(S3="blue", options={"on_unreadable": unreadable.append})
    assert outcome.state == "to_check"
    assert [str(error) for error in unreadable] == [
        f"{damaged}: not a file of this program, or damaged; run `emonext process` again with the recording "
        "of P1 S1."
    ]
    assert [o.state for o in run(S1="red", S2="red", S3="blue")] == ["done", "skipped", "skipped"]


def test_a_named_patient_decides(run: Run, out: Path) -> None:
    run(S1="red", S2="blue", S3="red")
    applied, others = apply_people(out, {("P1", "S2"): {1: "patient"}}, embed=ByColour())
    assert [o.session_id for o in applied] == ["S2"]
    assert [(o.session_id, o.state) for o in others] == [("S1", "to_check"), ("S3", "to_check")]
    assert states(out) == {"S1": "to_check", "S2": "done", "S3": "to_check"}
    # there is nobody else in these, but the expression of the only person is kept
    rows = read_timeline(out / "timelines/patient_id=P1/S1.parquet").rows
    assert rows["p_happy"].null_count() == 0
    assert read_faces(faces_path(out, "P1", "S1")).rows["p_happy"].null_count() == 0


def test_somebody_else_may_be_named(run: Run, out: Path) -> None:
    """The patient was ill, and only the carer is seen in S2: nothing is left to check."""
    run(S1="red", S2="blue", S3="red")
    apply_people(out, {("P1", "S2"): {1: "caregiver"}}, embed=ByColour())
    assert states(out) == {"S1": "done", "S2": "done", "S3": "done"}
    assert sorted(path.stem for path in (out / "gallery").rglob("*.parquet")) == ["S1", "S3"]
    run(S1="red", S2="blue", S3="red")
    assert states(out) == {"S1": "done", "S2": "done", "S3": "done"}


def test_the_patient_may_be_named_without_a_network(run: Run, out: Path) -> None:
    """The stored faces of S2 are of the person who was named."""
    run(S1="red", S2="blue")
    apply_people(out, {("P1", "S2"): {1: "patient"}})
    assert states(out) == {"S1": "to_check", "S2": "done"}
    run(S1="red", S2="blue")
    assert states(out) == {"S1": "to_check", "S2": "done"}


def test_the_patient_may_be_named_when_the_recording_is_away(run: Run, out: Path) -> None:
    run(S1="red", S2="blue")
    record(out, replace(read_outcomes(out)["P1", "S2"], videos=("/nowhere/S2.mp4",)))
    apply_people(out, {("P1", "S2"): {1: "patient"}}, embed=ByColour())
    assert states(out) == {"S1": "to_check", "S2": "done"}


def test_a_session_recognised_again_is_compared_by_its_new_patient(run: Run, out: Path) -> None:
    """Red sits in the seat, but the patient is blue."""
    run(region=True, S1="red_blue")
    run(S2="blue")
    assert states(out) == {"S1": "to_check", "S2": "to_check"}
    apply_people(out, {("P1", "S2"): {1: "patient"}}, embed=ByColour())
    assert states(out) == {"S1": "done", "S2": "done"}
    assert read_gallery(out, "P1")["S1"].chosen_by == "gallery"


def test_a_role_of_another_person_does_not_hide_that_sessions_contradict(run: Run, out: Path) -> None:
    sessions = {"S1": "blue", "S2": "blue", "S3": "red_blue"}
    run(region=True, **sessions)
    rows = read_faces(faces_path(out, "P1", "S3")).rows
    (other,) = rows.filter(rows["role"].cast(str) != "patient")["track"].unique()
    apply_people(out, {("P1", "S3"): {other: "caregiver"}}, embed=ByColour())
    run(region=True, options={"overwrite": True}, **sessions)
    assert states(out) == {"S1": "done", "S2": "done", "S3": "to_check"}
    rows = read_faces(faces_path(out, "P1", "S3")).rows
    assert set(rows.filter(rows["track"] == other)["role"].cast(str)) == {"caregiver"}


def test_a_session_that_is_certain_again_keeps_why(run: Run, out: Path) -> None:
    run(region=True, S1="red")
    why = read_timeline(timeline_path(out, "P1", "S1")).metadata["patient"]
    assert why["reason"]["code"] == "in_region"
    run(region=True, S2="blue")
    assert states(out)["S1"] == "to_check"
    run(region=True, S3="red")
    assert states(out)["S1"] == "done"
    assert read_timeline(timeline_path(out, "P1", "S1")).metadata["patient"] == why


def test_a_run_killed_before_the_states_were_recorded_is_completed(
    run: Run, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    run(S1="red")
    monkeypatch.setattr(other_sessions, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        run(S1="red", S2="blue")
    monkeypatch.undo()
    assert [o.state for o in run(S1="red", S2="blue")] == ["to_check", "to_check"]
    assert states(out) == {"S1": "to_check", "S2": "to_check"}


def test_a_changed_session_that_is_not_in_the_run_is_told(run: Run, out: Path) -> None:
    run(S1="blue")
    told: list[Outcome] = []
    outcomes = run(S2="red", S3="red", options={"on_other": told.append})
    assert [o.state for o in outcomes] == ["done", "done"]
    assert [(o.session_id, o.state) for o in told] == [("S1", "to_check")]


@pytest.mark.parametrize("damage", ["no_file", "earlier_version"])
def test_damaged_stored_faces_are_written_again(run: Run, out: Path, damage: str) -> None:
    run(S1="red", S2="blue", S3="red")
    path = out / "gallery/patient_id=P1/S1.parquet"
    if damage == "no_file":
        path.write_bytes(b"PAR1")
    else:
        write_table(path, read_table(path).select(["network", "embedding"]), {})
    run(S1="red", S2="blue", S3="red")
    assert states(out) == {"S1": "done", "S2": "to_check", "S3": "done"}
    assert sorted(read_gallery(out, "P1")) == ["S1", "S2", "S3"]


def test_stored_faces_without_a_timeline_do_not_count(run: Run, out: Path) -> None:
    run(S1="red", S2="blue")
    timeline_path(out, "P1", "S2").unlink()
    run(S1="red")
    assert states(out)["S1"] == "done"


def test_withdrawn_consent_takes_the_session_out_of_the_reasons(run: Run, out: Path) -> None:
    told: list[object] = []
    run(S1="red", S2="blue", S3="red")
    on_withdrawn = {"on_withdrawn": lambda session, found: told.append(found)}
    run(S1="red", S2="blue", S3="red", withdrawn="S3", options=on_withdrawn)
    assert "in S1:" in read_outcomes(out)["P1", "S2"].reason
    assert told == [], "no file mentions S3 any more"


def test_who_was_recognised_by_a_session_that_was_taken_back_is_to_check(run: Run, out: Path) -> None:
    run(S1="blue")
    apply_people(out, {("P1", "S1"): {1: "patient"}}, embed=ByColour())
    run(S2="blue")
    found = read_timeline(timeline_path(out, "P1", "S2")).metadata["patient"]
    assert (found["chosen_by"], found["identity"]) == ("gallery", "recognised")
    _, others = apply_people(out, {("P1", "S1"): {1: "caregiver"}}, embed=ByColour())
    assert [(o.session_id, o.state) for o in others] == [("S2", "to_check")]
    assert "by which the patient was recognised does not count" in others[0].reason
    apply_people(out, {("P1", "S1"): {1: "patient"}}, embed=ByColour())
    run(S1="blue", S2="blue")  # the expression of a caregiver was not kept
    assert states(out) == {"S1": "done", "S2": "done"}
    assert read_timeline(timeline_path(out, "P1", "S2")).metadata["patient"] == found


def test_a_session_hardly_read_makes_no_other_one_doubtful(run: Run, out: Path) -> None:
    run(S1="red", S2="hardly_blue")
    assert states(out) == {"S1": "done", "S2": "to_check"}
    assert "the face is unlike the patient's in S1" in read_outcomes(out)["P1", "S2"].reason


def test_a_session_hardly_read_that_shows_somebody_else_says_so(run: Run, out: Path) -> None:
    run(S1="red", S2="red", S3="hardly_blue", S4="hardly_red")
    reasons = {ids[1]: outcome.reason for ids, outcome in read_outcomes(out).items()}
    assert states(out) == {"S1": "done", "S2": "done", "S3": "to_check", "S4": "to_check"}
    assert "the face is unlike the patient's in S1, S2" in reasons["S3"]
    assert reasons["S4"] == "the patient's face could be read in only 10.0% of the session"
    apply_people(out, {("P1", "S1"): {1: "other"}, ("P1", "S2"): {1: "other"}}, embed=ByColour())
    run(S5="blue", S6="blue")
    assert "only 10.0%" in read_outcomes(out)["P1", "S3"].reason


# --- other ids for one recording


def test_a_recording_that_has_new_ids_is_told_with_its_earlier_ones(
    seen: dict[str, Path], out: Path, fake_networks: Networks
) -> None:
    two = [Session("P1", "S1", seen["red_blue"]), Session("P2", "S1", seen["red_blue"])]
    process([*two, Session("P3", "S1", seen["red"])], out, Settings(), fake_networks)
    stored = read_outcomes(out)
    assert list(under_other_ids(two, stored.values())) == [], "two patients of one recording"
    renamed = Session("P1", "S01", seen["red_blue"], consent=False)
    process([renamed], out, Settings(), fake_networks)
    stored = read_outcomes(out)
    found = [
        (one.ids, [s.ids for s in same]) for one, same in under_other_ids([renamed, two[1]], stored.values())
    ]
    assert found == [(("P1", "S1"), [("P1", "S01"), ("P2", "S1")])]
    assert list(under_other_ids([two[0]], [stored["P1", "S01"]])) == [], "it has no results"
