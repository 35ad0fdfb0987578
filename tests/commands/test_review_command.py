"""`emonext review` of several sessions: what is kept, what fails, and how it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import BAD_INPUT, DONE, INCOMPLETE, Emonext, Ended, assert_one_line_naming
from edited_tables import rewrite
from timelines import make_timeline, put

import pipeline.review.annotated_video
from pipeline.store.audit import read_runs
from pipeline.store.status import read_outcomes


def copies(out: Path) -> dict[str, int]:
    """Patient → when the copy of the first session was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("review/*/S1.mp4")}


@pytest.fixture
def moved(two: Path, tmp_path: Path) -> Iterator[Path]:
    """The first patient's recording, elsewhere; it is put back for other tests."""
    place = Path(read_outcomes(two)["P1", "S1"].videos[0])
    yield place.rename(tmp_path / "moved.mp4")
    (tmp_path / "moved.mp4").rename(place)


def test_all_sessions_are_reviewed_and_what_is_up_to_date_is_kept(emonext: Emonext, two: Path) -> None:
    ended = emonext("review", two, "--blur", "all")
    assert ended.code == DONE
    assert ended.out.splitlines() == [
        "2 done (0 with a video that was up to date), 0 failed",
        f"Reviews: {two / 'review'}",
    ]
    first = copies(two)
    assert set(first) == {"P1", "P2"}
    assert len([*two.glob("review/*/S1.html")]) == 2

    left = two / "review" / "P1" / "S1.mp4.0123abcd.partial"
    left.write_bytes(b"of a killed run")
    (two / "review" / "P2" / "S1.html").unlink()
    assert emonext("review", two, "--blur", "all").out.startswith(
        "2 done (2 with a video that was up to date)"
    )
    assert copies(two) == first
    assert not left.exists()
    assert (two / "review" / "P2" / "S1.html").exists()

    one = emonext("review", two, "P1", "S1", "--blur", "all")
    assert one.out.splitlines()[0] == "The copy of the video is up to date. Use --overwrite to draw it again."
    assert emonext("review", two, "P1", "--blur", "all", "--overwrite").code == DONE
    later = copies(two)
    assert (later["P1"] > first["P1"], later["P2"]) == (True, first["P2"])
    assert emonext("review", two).code == DONE
    assert all(at > later[patient] for patient, at in copies(two).items()), "another blur"


def test_a_session_that_fails_does_not_stop_the_others(emonext: Emonext, two: Path, moved: Path) -> None:
    ended = emonext("review", two, "--blur", "all")
    assert ended.code == INCOMPLETE
    assert_one_line_naming(ended, "P1_S1.mp4: not found; give its new path with --video FILE.")
    assert ended.err.startswith("P1 S1: failed: ")
    assert set(copies(two)) == {"P2"}
    assert ended.out.splitlines()[0] == "1 done (0 with a video that was up to date), 1 failed"
    assert (
        ended.out.splitlines()[-1] == f"Where a recording has moved: emonext review {two} P1 S1 --video FILE"
    )
    assert emonext("review", two, "P1", "S1", "--video", moved).code == DONE
    states = [dict(run.sessions) for run in read_runs(two) if run.command == "review"]
    assert states[0] == {("P1", "S1"): "failed", ("P2", "S1"): "done"}


def test_an_interrupted_run_keeps_what_is_whole(
    emonext: Emonext, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[object] = []
    real = pipeline.review.annotated_video._drawn

    def interrupted(material: object, *given: object, **options: object):  # type: ignore[no-untyped-def]
        drawn.append(material)
        for number, picture in enumerate(real(material, *given, **options)):  # type: ignore[arg-type]
            if len(drawn) == 2 and number == 5:
                raise KeyboardInterrupt
            yield picture

    monkeypatch.setattr(pipeline.review.annotated_video, "_drawn", interrupted)
    assert emonext("review", two, "--blur", "all").code == 130
    assert sorted(path.name for path in (two / "review").rglob("*.*")) == ["S1.html", "S1.mp4"]
    kept = copies(two)
    assert emonext("review", two, "--blur", "all").code == DONE
    assert copies(two)["P1"] == kept["P1"]


def test_a_recording_is_given_for_one_session_only(emonext: Emonext, two: Path) -> None:
    for ids in ([], ["P1"]):
        ended = emonext("review", two, *ids, "--video", "a.mp4")
        assert ended.code == BAD_INPUT
        assert_one_line_naming(ended, "--video: only valid with PATIENT and SESSION")


@pytest.mark.parametrize("ids", [["P9"], ["P9", "S1"], ["P1", "S9"]], ids=" ".join)
def test_a_session_that_is_not_there_is_refused(emonext: Emonext, two: Path, ids: list[str]) -> None:
    ended = emonext("review", two, *ids)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, f"no session of {' '.join(ids)} with a timeline; look with")


def test_many_sessions_that_fail_for_one_reason_are_told_together(emonext: Emonext, tmp_path: Path) -> None:
    for number in range(1, 6):
        put(tmp_path, make_timeline([("happy", 5)], "P1", f"S{number}"), "P1", f"S{number}")
    ended = emonext("review", tmp_path)
    first, others, *_ = ended.err.splitlines()
    assert first.endswith(
        "faces/patient_id=P1/S1.parquet: not found; run `emonext process` again with the recording of P1 S1."
    )
    assert others == "4 other sessions failed for the same reason: P1 S2, P1 S3, P1 S4, …"


def test_that_a_recording_has_no_sound_is_said(emonext: Emonext, two: Path) -> None:
    ended = emonext("review", two, "P1", "S1", "--sound")
    assert (ended.code, ended.err) == (DONE, "Note: the recording has no sound: P1 S1.\n")
    assert "The copy has no sound." in (two / "review" / "P1" / "S1.html").read_text("utf-8")


# --- a damaged timeline of one session


@pytest.fixture
def damaged(two: Path) -> Path:
    """The second patient's timeline."""
    path = two / "timelines/patient_id=P2/S1.parquet"
    path.write_bytes(b"PAR1 damaged PAR1")
    return path


def assert_told(ended: Ended, path: Path) -> None:
    assert ended.code == INCOMPLETE
    assert f"{path}: not a file of this program, or damaged; run `emonext process` again" in ended.err
    assert ended.err.count(str(path)) == 1


def test_the_others_are_reviewed(emonext: Emonext, two: Path, damaged: Path) -> None:
    ended = emonext("review", two, "--blur", "all")
    assert_told(ended, damaged)
    assert ended.out.startswith("1 done (0 with a video that was up to date), 1 failed\n")
    assert (two / "review" / "P1" / "S1.html").exists()


def test_the_people_of_the_others_are_listed_and_their_roles_applied(
    emonext: Emonext, two: Path, damaged: Path
) -> None:
    listed = emonext("people", two)
    assert_told(listed, damaged)
    assert [line.split(":")[0] for line in listed.out.splitlines()] == ["Look at", "Correct"]
    page = (two / "people.html").read_text("utf-8")
    assert "Patient P1" in page
    assert "Patient P2" not in page
    rewrite(two / "people.csv", lambda row: {"approved": "yes"})
    applied = emonext("people", two, "--apply", two / "people.csv")
    assert_told(applied, damaged)
    assert applied.out.startswith("1 timeline rewritten;")
    assert "the reports are as they were before" in applied.err
    assert read_outcomes(two)["P1", "S1"].identity == "confirmed"


def test_without_any_timeline_that_can_be_read_people_fails(
    emonext: Emonext, two: Path, damaged: Path
) -> None:
    (two / "timelines/patient_id=P1/S1.parquet").write_bytes(b"PAR1 damaged PAR1")
    ended = emonext("people", two)
    assert ended.code == BAD_INPUT
    assert not ended.out
