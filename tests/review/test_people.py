"""review.people and identity.roles: somebody who knows the patients says who is who, and that lasts."""

import csv
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from coloured_people import BLUE, LEFT, RED, RIGHT, ByColour, middle, process, seated
from edited_tables import rewrite
from videos import encode

from pipeline.errors import InputError
from pipeline.identity.roles import apply_manual_roles, patient_from_roles, write_roles
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.reasons import free_text
from pipeline.records import FrameFaces
from pipeline.review.apply_people import apply_people
from pipeline.review.people import find_people
from pipeline.review.people_table import read_people, write_people
from pipeline.store.spreadsheet import keep_decimal, read_table
from pipeline.store.status import read_outcomes
from pipeline.store.timeline import FACES_SCHEMA, read_timeline
from reports.forms.people import people_page


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue, then with swapped seats; red is there first, and guessed to be the patient."""
    folder = tmp_path_factory.mktemp("recorded")
    for number, (red, blue) in enumerate([(LEFT, RIGHT), (RIGHT, LEFT)], start=1):
        pictures = [seated((red, RED))] * 4 + [seated((red, RED), (blue, BLUE))] * 40
        encode(folder / f"{number}.mp4", pictures, rate=10, options={"crf": "5"})
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the results say that the recordings lie."""
    return tmp_path_factory.mktemp("videos")


@pytest.fixture
def sessions(recorded: Path, videos: Path) -> list[Session]:
    """Both recordings, also where the test before deleted them."""
    return in_both(shutil.copytree(recorded, videos, dirs_exist_ok=True))


def in_both(videos: Path) -> list[Session]:
    return [Session("P1", f"S{number}", videos / f"{number}.mp4") for number in (1, 2)]


@pytest.fixture(scope="module")
def processed(recorded: Path, videos: Path, fake_networks: Networks) -> Path:
    sessions = in_both(shutil.copytree(recorded, videos, dirs_exist_ok=True))
    process(recorded.parent / f"{recorded.name}-results", sessions, fake_networks)
    return recorded.parent / f"{recorded.name}-results"


@pytest.fixture
def out(processed: Path, sessions: list[Session], tmp_path: Path) -> Path:
    """A copy of the results, to be changed."""
    return shutil.copytree(processed, tmp_path / "out")


def correct(table: Path, role: Callable[[dict[str, str]], str]) -> Path:
    """The table with another column ``role``."""
    return rewrite(table, lambda row: {"role": role(row)})


def test_people_are_told_apart_and_found_again_in_other_sessions(out: Path) -> None:
    people = find_people(out, ByColour())
    assert [(p.session_id, p.number, p.role, p.alike) for p in people] == [
        ("S1", 1, "patient", "A"),
        ("S1", 2, "unknown", "B"),
        ("S2", 1, "patient", "A"),
        ("S2", 2, "unknown", "B"),
    ]
    assert [person.seconds for person in people] == pytest.approx([4.4, 4.0] * 2, abs=0.01)
    assert all(person.portraits and person.portraits[0][:2] == b"\xff\xd8" for person in people)


def test_without_a_network_they_are_told_apart_by_place(out: Path) -> None:
    people = find_people(out, None)
    assert [(person.number, person.alike) for person in people] == [(1, ""), (2, "")] * 2
    assert all(person.portraits for person in people)


def test_a_corrected_table_makes_the_timelines_anew_without_the_videos(
    out: Path, sessions: list[Session]
) -> None:
    table = write_people(find_people(out, ByColour()), out)
    assert (middle(out, "S1"), middle(out, "S2")) == ({70}, {250})
    for session in sessions:
        session.video.unlink()
    correct(table, lambda row: "patient" if row["alike"] == "B" else "Caregiver ")
    said, problems = read_people(out, table)
    assert problems == []
    outcomes, _ = apply_people(out, said)
    assert (middle(out, "S1"), middle(out, "S2")) == ({250}, {70})
    assert {(o.state, o.identity) for o in outcomes} == {("done", "confirmed")}
    assert [o.identity for o in read_outcomes(out).values()] == ["confirmed"] * 2
    timeline = read_timeline(out / "timelines/patient_id=P1/S1.parquet")
    status = timeline.rows["status"].cast(pl.String).to_list()
    assert status == ["other_person"] * 2 + ["ok"] * 20
    assert timeline.metadata["patient"]["chosen_by"] == "hand"
    assert timeline.metadata["coverage"] == pytest.approx(4.0 / 4.4)
    faces = pl.read_parquet(out / "faces/patient_id=P1/S1.parquet")
    assert set(faces["role"].cast(pl.String)) == {"patient", "caregiver"}
    again, problems = read_people(out, table)
    assert (again, problems) == ({}, []), "the same table says nothing new"


def test_what_was_said_is_kept_when_it_is_processed_again(
    out: Path, sessions: list[Session], fake_networks: Networks
) -> None:
    table = write_people(find_people(out, ByColour()), out)
    correct(table, lambda row: "patient" if row["alike"] == "B" else "other")
    apply_people(out, read_people(out, table)[0])
    process(out, sessions, fake_networks, sample_fps=2)
    assert (middle(out, "S1"), middle(out, "S2")) == ({250}, {70})
    _, problems = read_people(out, table)
    assert [problem.column for problem in problems] == ["source"] * 4
    assert "make the table again" in problems[0].reason


def test_a_table_that_nobody_changed_changes_nothing(out: Path, sessions: list[Session]) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in out.rglob("*.parquet")}

    before = contents()
    table = write_people(find_people(out, ByColour()), out)
    said, problems = read_people(out, table)
    assert (said, problems) == ({}, [])
    assert apply_people(out, said) == ([], [])
    assert contents() == before


def approve(table: Path, which: Callable[[dict[str, str]], bool]) -> Path:
    """The table with ``approved`` ticked in some rows."""
    return rewrite(table, lambda row: {"approved": "Yes" if which(row) else ""})


def test_a_row_that_is_approved_is_confirmed_and_no_other(out: Path) -> None:
    table = write_people(find_people(out, ByColour()), out)
    assert {o.state for o in read_outcomes(out).values()} == {"to_check"}
    approve(table, lambda row: row["session_id"] == "S1" and row["role"] == "patient")
    (outcome,), _ = apply_people(out, read_people(out, table)[0])
    assert (outcome.session_id, outcome.state, outcome.identity) == ("S1", "done", "confirmed")
    assert [o.identity for o in read_outcomes(out).values()] == ["confirmed", "to_check"]
    people = find_people(out, ByColour())
    assert [person.session_id for person in people[:2]] == ["S2", "S2"], "first what is to be checked"


def test_what_a_person_said_before_is_not_overwritten_by_what_they_say_later(out: Path) -> None:
    table = write_people(find_people(out, ByColour()), out)
    correct(table, lambda row: "caregiver" if row["alike"] == "B" else row["role"])
    apply_people(out, read_people(out, table)[0])
    roles = {(p.session_id, p.alike): p.role for p in find_people(out, ByColour())}
    assert roles["S1", "B"] == "caregiver"
    approve(write_people(find_people(out, ByColour()), out), lambda row: row["role"] == "patient")
    apply_people(out, read_people(out, out / "people.csv")[0])
    roles = {(p.session_id, p.alike): p.role for p in find_people(out, ByColour())}
    assert roles == {(s, a): r for s in ("S1", "S2") for a, r in (("A", "patient"), ("B", "caregiver"))}


def test_confirmed_faces_recognise_the_patient_in_other_sessions(out: Path) -> None:
    """Blue is the patient; the rule took red, who was there first."""
    table = write_people(find_people(out, ByColour()), out)
    correct(table, lambda row: "patient" if row["alike"] == "B" else "other")
    said, _ = read_people(out, table)
    applied, recognised = apply_people(out, {("P1", "S1"): said["P1", "S1"]}, embed=ByColour())
    assert [o.session_id for o in applied] == ["S1"]
    assert [(o.session_id, o.state, o.identity) for o in recognised] == [("S2", "done", "recognised")]
    assert (middle(out, "S1"), middle(out, "S2")) == ({250}, {70})
    assert sorted(path.stem for path in (out / "gallery").rglob("*.parquet")) == ["S1", "S2"]
    apply_people(out, {("P1", "S1"): dict.fromkeys(said["P1", "S1"], "other")}, embed=ByColour())
    assert [path.stem for path in (out / "gallery").rglob("*.parquet")] == ["S2"], "S1 is not the patient's"


def test_who_looks_like_the_confirmed_patient_of_another_session_is_noted(out: Path) -> None:
    table = write_people(find_people(out, ByColour()), out)
    said, _ = read_people(out, correct(table, lambda row: "patient" if row["alike"] == "B" else "other"))
    apply_people(out, {("P1", "S1"): said["P1", "S1"]})
    notes = {(p.session_id, p.alike): p.cells()["note"] for p in find_people(out, ByColour())}
    assert notes["S1", "A"] == notes["S1", "B"] == ""
    assert notes["S2", "B"] == "looks like the patient of S1: please check"
    assert notes["S2", "A"].startswith("does not look, but person 2 does,")


def test_a_track_that_goes_over_to_another_person_is_noted(tmp_path: Path, fake_networks: Networks) -> None:
    (tmp_path / "out").mkdir()
    pictures = [seated((LEFT, RED))] * 40 + [seated((LEFT, BLUE))] * 40
    video = encode(tmp_path / "a.mp4", pictures, rate=10, options={"crf": "5"})
    process(tmp_path / "out", [Session("P1", "S1", video)], fake_networks)
    (person,) = find_people(tmp_path / "out", ByColour())
    assert "more than one person" in str(person.note)


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"role": "doctor"}, "role", "write patient, caregiver, other, unknown"),
        ({"session_id": "S9"}, "session_id", "no such session"),
        ({"patient_id": "../../etc"}, "session_id", "no such session"),
        ({"tracks": "1;2"}, "tracks", "changed since it was written"),
        ({"tracks": ""}, "tracks", "changed since it was written"),
        ({"source": "0"}, "source", "processed again"),
    ],
)
def test_what_is_wrong_in_the_table_is_told_by_row(
    out: Path, change: dict[str, str], column: str, reason: str
) -> None:
    table = write_people(find_people(out, None), out)
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=","))
    rows[2] |= change
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=",")
        writer.writeheader()
        writer.writerows(rows)
    _, problems = read_people(out, table)
    assert [(problem.row, problem.column) for problem in problems] == [(4, column)]
    assert reason in problems[0].reason


def test_a_table_with_decimal_commas_is_read_back(out: Path) -> None:
    people = find_people(out, None)
    keep_decimal(out, "comma")
    table = write_people(people, out)
    (_, *rows), first = read_table(table), people[0]
    assert table.read_text("utf-8-sig").splitlines()[0].startswith("patient_id;session_id;")
    assert [float(cells[6].replace(",", ".")) for _, cells in rows] == [
        round(one.first_s, 1) for one in people
    ]
    assert "." not in "".join(cells[6] + cells[7] for _, cells in rows)
    roles, problems = read_people(
        out, correct(table, lambda row: "other" if row["person"] == "1" else row["role"])
    )
    assert problems == []
    assert set(roles[first.ids].values()) == {"other"}


def test_two_who_are_seen_at_once_are_not_both_the_patient(out: Path) -> None:
    table = correct(write_people(find_people(out, None), out), lambda row: "patient")
    _, problems = read_people(out, table)
    assert [(problem.row, problem.column) for problem in problems] == [(3, "role"), (5, "role")]


def test_another_file_is_no_such_table(out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a;b\n1;2\n")
    with pytest.raises(InputError, match=r"does not name patient_id, session_id, role, tracks, source"):
        read_people(out, other)
    with pytest.raises(InputError, match=r"no timeline in this folder"):
        find_people(tmp_path, None)


def test_a_role_holds_where_most_of_its_places_are(
    make_face: Callable[..., object], make_samples: Callable[..., list[FrameFaces]], tmp_path: Path
) -> None:
    before = make_samples(*[(make_face(50, 50, track=1), make_face(200, 50, track=2))] * 10)
    write_roles(tmp_path / "roles", before, {1: "patient", 2: "caregiver"})
    # other numbers, a small shift, and one who was not there before
    after = make_samples(
        *[(make_face(205, 52, track=1), make_face(53, 48, track=7), make_face(120, 120, track=3))] * 10
    )
    found = patient_from_roles(after, tmp_path / "roles")
    assert found is not None
    assert found.tracks == {7}
    assert [found.role_of(track) for track in (1, 3, 7)] == ["caregiver", "unknown", "patient"]
    assert found.state == "confirmed"
    gone = patient_from_roles(make_samples(*[(make_face(205, 52, track=1),)] * 10), tmp_path / "roles")
    assert gone is not None
    assert (gone.tracks, gone.state) == (frozenset(), "to_check")
    assert patient_from_roles(after, tmp_path / "nothing") is None


def test_whom_a_person_called_a_caregiver_no_photo_makes_the_patient(
    make_face: Callable[..., object], make_samples: Callable[..., list[FrameFaces]], tmp_path: Path
) -> None:
    from pipeline.identity.patient import Patient

    samples = make_samples(*[(make_face(50, 50, track=1), make_face(200, 50, track=2))] * 5)
    write_roles(tmp_path / "roles", samples, {1: "caregiver", 2: "unknown"})
    hand = patient_from_roles(samples, tmp_path / "roles")
    by_photo = Patient(frozenset({1, 2}), "photo", "recognised")
    assert apply_manual_roles(by_photo, hand).tracks == {2}
    assert apply_manual_roles(Patient(frozenset({1}), "longest", "recognised"), hand).tracks == frozenset()
    assert apply_manual_roles(by_photo, None) is by_photo


def test_the_page_shows_everybody_and_escapes_what_it_shows(out: Path) -> None:
    people = find_people(out, ByColour())
    page = people_page(
        [replace(people[0], note=free_text("<b>x</b>"), role="patient"), *people[1:]], "people.csv"
    )
    assert page.count("<img ") == sum(len(person.portraits) for person in people)
    assert "<b>x</b>" not in page
    assert "a guess: seen longest" in page
    assert not re.search(r"https?://|/tmp/", page)


def expressions(out: Path, session: str) -> dict[str, set[bool]]:
    """Role → whether its faces have an expression stored."""
    faces = pl.read_parquet(out / f"faces/patient_id=P1/{session}.parquet")
    roles = faces["role"].cast(pl.String)
    return {role: set(faces.filter(roles == role)["p_happy"].is_not_null()) for role in roles.unique()}


def test_after_confirmation_only_the_patient_s_expression_is_stored(out: Path) -> None:
    assert expressions(out, "S1") == {"patient": {True}, "unknown": {True}}, "either may be the patient"
    approve(write_people(find_people(out, ByColour()), out), lambda row: row["role"] == "patient")
    apply_people(out, read_people(out, out / "people.csv")[0])
    for session in ("S1", "S2"):
        assert expressions(out, session) == {"patient": {True}, "unknown": {False}}
        columns = [name for name in FACES_SCHEMA.names if name.startswith("p_")] + ["emotion", "valence"]
        others = pl.read_parquet(out / f"faces/patient_id=P1/{session}.parquet").filter(
            pl.col("role").cast(pl.String) != "patient"
        )
        assert others.select(columns).null_count().row(0) == (others.height,) * len(columns)


def test_who_is_named_after_their_expression_was_left_out_is_read_again(
    out: Path, sessions: list[Session], fake_networks: Networks
) -> None:
    approve(write_people(find_people(out, ByColour()), out), lambda row: row["role"] == "patient")
    apply_people(out, read_people(out, out / "people.csv")[0])
    table = write_people(find_people(out, ByColour()), out)
    correct(table, lambda row: "patient" if row["alike"] == "B" else "other")
    outcomes, _ = apply_people(out, read_people(out, table)[0])
    assert {(o.state, o.identity) for o in outcomes} == {("to_check", "to_check")}
    assert "process the session again" in outcomes[0].reason
    timeline = read_timeline(out / "timelines/patient_id=P1/S1.parquet")
    assert timeline.rows["emotion"].null_count() == timeline.rows.height
    again = process_sessions(sessions, out, Settings(), in_this_process(fake_networks), "0" * 64)
    assert {(o.state, o.identity) for o in again} == {("done", "confirmed")}
    assert (middle(out, "S1"), middle(out, "S2")) == ({250}, {70})


def test_everybody_is_scored_where_the_study_says_so(
    tmp_path: Path, sessions: list[Session], fake_networks: Networks
) -> None:
    settings = Settings(score_everyone=True)
    process_sessions(sessions, tmp_path / "out", settings, in_this_process(fake_networks), "0" * 64)
    approve(write_people(find_people(tmp_path / "out", None), tmp_path / "out"), lambda row: True)
    apply_people(tmp_path / "out", read_people(tmp_path / "out", tmp_path / "out" / "people.csv")[0])
    assert expressions(tmp_path / "out", "S1") == {"patient": {True}, "unknown": {True}}


def test_a_patient_who_is_set_to_unknown_is_the_patient_no_longer(out: Path) -> None:
    table = write_people(find_people(out, ByColour()), out)
    correct(table, lambda row: "unknown" if row["session_id"] == "S1" else row["role"])
    (outcome,), _ = apply_people(out, read_people(out, table)[0])
    assert (outcome.state, outcome.identity) == ("to_check", "unknown")
    assert middle(out, "S1") == set()
    assert [p.role for p in find_people(out, ByColour()) if p.session_id == "S1"] == ["unknown"] * 2
    assert read_people(out, table) == ({}, []), "the same table says nothing new"


def test_nobody_is_the_patient_only_if_everybody_is_named(out: Path) -> None:
    table = write_people(find_people(out, ByColour()), out)
    correct(table, lambda row: "caregiver" if row["role"] == "patient" else "unknown")
    outcomes, _ = apply_people(out, read_people(out, table)[0])
    assert {outcome.identity for outcome in outcomes} == {"unknown"}
    correct(write_people(find_people(out, ByColour()), out), lambda row: "other")
    outcomes, _ = apply_people(out, read_people(out, table)[0])
    assert {outcome.identity for outcome in outcomes} == {"confirmed"}
    assert middle(out, "S1") == set()


def test_people_know_when_they_are_seen_and_with_whom(out: Path) -> None:
    people = find_people(out, ByColour())
    assert [person.seen_with for person in people] == [(2,), (1,)] * 2
    for person in people:
        assert len(person.portrait_s) == len(person.portraits) > 0
        assert list(person.portrait_s) == sorted(person.portrait_s)
        assert person.first_s <= person.portrait_s[0] <= person.portrait_s[-1] <= person.last_s
    assert {str(person.reason) for person in people} == {"2 people may be seen; a rule chose one"}
