"""Consent: whoever refused it, or withdrew it, is found nowhere but where the results are set aside.

given, refused, withdrawn, given again × the status whole, damaged, deleted × a list or its folder.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from consent_study import OTHER, STATUS, VIDEO, WHO, Study, assert_nothing_is_shown, harm_status, traces

from pipeline.analysis.summaries import read_sessions
from pipeline.exchange.export import FORMATS
from pipeline.processing.session import Session
from pipeline.processing.sessions_list import read_study
from pipeline.store.audit import read_runs
from pipeline.store.paths import timeline_path
from pipeline.store.refusals import refused_sessions
from pipeline.store.status import is_damaged, overview, read_outcomes
from pipeline.video.file_content import sha256_of
from reports import write_reports


@STATUS
def test_given(study: Study, status: str) -> None:
    assert [outcome.state for outcome in study.process("yes")] == ["done", "done"]
    harm_status(study.out, status)
    states = {row["patient_id"]: row["state"] for row in overview(study.out, running=False).to_dicts()}
    assert states == {WHO[0]: "done", OTHER[0]: "done"}
    write_reports(study.out)
    assert (study.out / "reports" / WHO[0] / f"{WHO[1]}.html").exists()
    # nothing is read again, and the row knows its recording again
    assert [outcome.state for outcome in study.process("yes")] == ["skipped", "skipped"]
    row = read_outcomes(study.out)[WHO]
    assert (row.state, row.videos, row.video_sha256) == ("done", (str(study.video),), sha256_of(study.video))
    assert not is_damaged(study.out)


@STATUS
def test_refused(study: Study, status: str) -> None:
    assert [outcome.state for outcome in study.process("no")] == ["no_consent", "done"]
    assert not (study.out / "logs" / WHO[0]).exists()
    harm_status(study.out, status)
    assert_nothing_is_shown(study)
    assert [outcome.state for outcome in study.process("no")] == ["no_consent", "skipped"]
    assert_nothing_is_shown(study)


@STATUS
def test_withdrawn(study: Study, status: str) -> None:
    study.restore("everything")
    assert len(traces(study)) > 20
    harm_status(study.out, status)
    told: list[Path] = []
    outcomes = study.process("no", on_withdrawn=lambda session, found: told.extend(found.shared))
    assert [outcome.state for outcome in outcomes] == ["withdrawn", "skipped"]
    assert {path.relative_to(study.out).parts[:2] for path in told} >= {
        ("agreement", "figures.json"),
        *(("exports", kind) for kind in FORMATS),
        ("people.html",),
    }
    assert_nothing_is_shown(study)
    harm_status(study.out, status)
    assert_nothing_is_shown(study)
    again = study.process("no")
    assert [outcome.state for outcome in again] == ["withdrawn", "skipped"]
    assert_nothing_is_shown(study)
    assert read_runs(study.out, WHO[0])[-1].sessions[0] == (WHO, "withdrawn")
    # what others have lost nothing by it
    for path in (f"review/{OTHER[0]}/{OTHER[1]}.mp4", f"reports/{OTHER[0]}/{OTHER[1]}.html", "people.csv"):
        assert (study.out / path).exists()


@STATUS
def test_given_again(study: Study, status: str) -> None:
    study.restore("results")
    before = timeline_path(study.out, *WHO).read_bytes()
    study.make_everything()
    roles = study.out / "roles" / f"patient_id={WHO[0]}" / f"{WHO[1]}.parquet"
    said = roles.read_bytes()
    study.process("no")
    assert not roles.exists()
    harm_status(study.out, status)
    assert [outcome.state for outcome in study.process("yes")] == ["skipped", "skipped"]
    assert refused_sessions(study.out) == set()
    assert not (study.out / "withdrawn").exists()
    assert roles.read_bytes() == said
    assert len(timeline_path(study.out, *WHO).read_bytes()) >= len(before)
    assert (study.out / "reports" / WHO[0] / f"{WHO[1]}.html").exists()
    assert (study.out / "exports" / "elan" / f"{'_'.join(WHO)}.eaf").exists()
    assert (study.out / "exports" / "boris" / "emonext-care.boris").exists()
    assert set(read_sessions(study.out)["patient_id"]) == {WHO[0], OTHER[0]}
    row = read_outcomes(study.out)[WHO]
    assert (row.state, row.videos) == ("done", (str(study.video),))


# --- what is not looked at


def test_nothing_of_a_recording_without_consent_is_looked_at(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = study.sessions("no")
    sessions[0] = replace(sessions[0], patient_face=(study.folder / "photo.jpg",))
    study.video.unlink()
    looked: list[str] = []
    for name in ("stat", "open", "resolve", "exists", "absolute"):
        method = getattr(Path, name)

        def watched(path: Path, *args: Any, method: Any = method, **options: Any) -> Any:
            looked.append(path.name)
            return method(path, *args, **options)

        monkeypatch.setattr(Path, name, watched)
    assert [outcome.state for outcome in study.run(sessions)] == ["no_consent", "done"]
    assert "b.mp4" in looked
    assert VIDEO not in looked
    assert "photo.jpg" not in looked


def test_a_refusal_comes_before_any_recording_is_read(study: Study) -> None:
    """The list has the one without consent last."""
    study.restore("results")

    def look(session: Session, done: int, total: int) -> None:
        if session.ids == OTHER:
            assert not timeline_path(study.out, *WHO).exists()

    study.run(study.sessions("no")[::-1], on_session=look, overwrite=True)


def test_a_list_may_name_a_recording_that_was_deleted_after_consent_was_withdrawn(study: Study) -> None:
    study.restore("results")
    study.video.unlink()
    listed = study.folder / "sessions.csv"
    rows = [f"{';'.join(WHO)};{VIDEO};photo.jpg;no", f"{';'.join(OTHER)};b.mp4;;yes"]
    listed.write_text("\n".join(["patient_id;session_id;video;patient_face;consent", *rows]) + "\n")
    found = read_study(listed)
    assert found.problems == ()
    assert [outcome.state for outcome in study.run(list(found.sessions))] == ["withdrawn", "done"]


# --- who says so


@pytest.mark.parametrize("processed", [False, True])
@STATUS
def test_a_recording_that_is_given_without_a_list_gives_no_consent_again(
    study: Study, processed: bool, status: str
) -> None:
    if processed:
        study.process("yes")
    study.process("no")
    harm_status(study.out, status)
    unsaid = Session(*WHO, study.video)
    (outcome,) = study.run([unsaid], overwrite=True)
    assert outcome.state == ("withdrawn" if processed else "no_consent")
    assert_nothing_is_shown(study)
    assert [o.state for o in study.run([replace(unsaid, consent=True)], overwrite=True)] == ["done"]


def test_a_list_that_does_not_say_gives_no_consent_again(study: Study) -> None:
    study.process("no")
    listed = study.folder / "sessions.csv"
    listed.write_text(f"patient_id;session_id;video\n{';'.join(WHO)};{VIDEO}\n")
    (outcome,) = study.run(list(read_study(listed).sessions))
    assert outcome.state == "no_consent"
