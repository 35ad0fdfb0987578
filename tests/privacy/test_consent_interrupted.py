"""Consent: interrupted withdrawals, folders changed by others, a key, and changed dates."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from consent_study import OTHER, STATUS, WHO, Study, assert_nothing_is_shown, harm_status, traces

from pipeline.analysis.summaries import read_sessions
from pipeline.errors import InputError
from pipeline.exchange.export import export
from pipeline.privacy import consent
from pipeline.privacy.purge import purge
from pipeline.processing.session import Session
from pipeline.review.annotated_video import open_material
from pipeline.store.audit import IDS_FILE, LOG_FILE
from pipeline.store.encryption import use_key, use_no_key, write_key
from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.store.paths import timeline_path
from pipeline.store.refusals import refusal_folder
from pipeline.store.status import read_outcomes, read_status
from pipeline.store.timeline import check_key, unencrypted_tables, written_sessions
from reports import own_text, write_reports
from reports.write import write_status_page

# --- stopped in between


STEPS = ["_set_aside", "plan_purge", "remove_planned", "_worked_on"]


@pytest.mark.parametrize("step", STEPS)
def test_a_withdrawal_that_was_stopped_shows_nothing_and_is_finished_by_the_next_run(
    study: Study, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.restore("everything")

    def die(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(consent, step, die)
        with pytest.raises(KeyboardInterrupt):
            study.process("no")
    harm_status(study.out, "deleted")
    write_reports(study.out)
    page = study.out / "reports" / WHO[0] / f"{WHO[1]}.html"
    assert not page.exists()
    assert WHO[0] not in (study.out / "reports" / "index.html").read_text()
    assert read_outcomes(study.out)[WHO].state in ("withdrawn", "no_consent")
    assert [outcome.state for outcome in study.process("no")] == ["withdrawn", "skipped"]
    assert_nothing_is_shown(study)


def test_a_timeline_that_somebody_put_back_is_set_aside_again(study: Study) -> None:
    study.restore("results")
    kept = timeline_path(study.out, *WHO).read_bytes()
    study.process("no")
    timeline_path(study.out, *WHO).parent.mkdir(parents=True)
    timeline_path(study.out, *WHO).write_bytes(kept)
    write_reports(study.out)
    assert not (study.out / "reports" / WHO[0]).exists()
    assert [outcome.state for outcome in study.process("no")] == ["withdrawn", "skipped"]
    assert_nothing_is_shown(study)


def test_what_is_not_the_program_s_is_named(study: Study) -> None:
    study.restore("results")
    (study.out / "notes").mkdir()
    (study.out / "notes" / "a.txt").write_text("P012 S01 was tired")
    (study.out / "notes" / "b.txt").write_text("P013 S01 was not")
    told: list[tuple[str, ...]] = []
    study.process("no", on_withdrawn=lambda session, found: told.append(found.mentions))
    assert told == [("notes/a.txt",)]
    assert (study.out / "notes" / "a.txt").exists()


@pytest.mark.parametrize("lost", [IDS_FILE, LOG_FILE])
def test_a_comparison_goes_where_the_log_does_not_say_whose_it_was(study: Study, lost: str) -> None:
    study.restore("everything")
    (study.out / "agreement" / "disagreements.csv").unlink()
    (study.out / lost).unlink()
    study.process("no")
    assert not (study.out / "agreement").exists()
    assert not (study.out / "reports" / "agreement.html").exists()


def test_everybody_withdraws(study: Study) -> None:
    study.restore("results")
    sessions = [replace(session, consent=False) for session in study.sessions("yes")]
    assert [outcome.state for outcome in study.run(sessions)] == ["withdrawn"] * 2
    assert traces(study) == []
    assert not list(study.out.glob("reports/**/*.html"))


def test_only_the_session_that_was_withdrawn_goes(study: Study) -> None:
    second = Session(WHO[0], "S02", study.folder / "b.mp4")
    study.run([*study.sessions("yes"), second])
    study.process("no")
    assert written_sessions(study.out) == [(WHO[0], "S02"), OTHER]
    page = (study.out / "reports" / WHO[0] / "index.html").read_text()
    assert "S02" in page
    assert "S01" not in page


def test_a_new_refusal_costs_nobody_an_export(study: Study) -> None:
    study.restore("results")
    export(study.out, "csv", study.out / "exports" / "csv")
    before = sorted((study.out / "exports").rglob("*"))
    study.run([Session(WHO[0], "S09", study.folder / "none.mp4", consent=False)])
    assert sorted((study.out / "exports").rglob("*")) == before


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"coverage": "much"},
        {"seconds_lost": float("nan"), "video": []},
        {"warnings": [{"code": "text", "text": "\ud800"}]},
        *({"warnings": warnings} for warnings in (["no face was found"], [{"code": "of tomorrow"}], None)),
    ],
)
def test_a_lost_status_of_strange_metadata_is_one_of_a_session_that_waits(
    study: Study, metadata: dict[str, Any]
) -> None:
    study.restore("results")
    path = timeline_path(study.out, *WHO)
    described = {**read_metadata(path), **metadata} if metadata else {}
    write_table(path, read_table(path), described)
    harm_status(study.out, "deleted")
    states = {row["patient_id"]: row["state"] for row in read_status(study.out).to_dicts()}
    assert states == {WHO[0]: "waiting", OTHER[0]: "done"}


# --- a purge, and a key


@STATUS
def test_a_purge_finds_what_is_set_aside(study: Study, status: str) -> None:
    study.restore("everything")
    study.process("no")
    harm_status(study.out, status)
    found = purge(study.out, WHO[0], WHO[1], write_reports, own_text())
    assert found.counts["withdrawn"] >= 4
    assert found.mentions == ()
    assert not (study.out / "withdrawn").exists()
    assert WHO not in read_outcomes(study.out)


def test_what_is_encrypted_stays_so(study: Study) -> None:
    try:
        use_key(write_key(study.folder / "study.key"))
        study.process("yes")
        study.process("no")
        (aside,) = study.out.glob(f"withdrawn/{WHO[0]}/{WHO[1]}/timelines/*/*")
        assert aside.read_bytes()[:4] == b"PARE"
        for path in study.out.glob("timelines/*/*.parquet"):
            path.unlink()
        use_no_key()
        with pytest.raises(InputError, match="is encrypted; give its key"):
            check_key(study.out)
    finally:
        use_no_key()


def test_what_was_set_aside_without_a_key_is_told(study: Study) -> None:
    study.restore("results")
    study.process("no")
    try:
        use_key(write_key(study.folder / "study.key"))
        folder = refusal_folder(study.out, *WHO)
        assert [path for path in unencrypted_tables(study.out) if path.is_relative_to(folder)]
    finally:
        use_no_key()


# --- how it is told


def test_the_status_page_says_why_and_not_that_it_failed(study: Study) -> None:
    study.restore("results")
    study.process("no")
    page = write_status_page(study.out, study.folder / "status.html", running=False).read_text()
    assert "1 with consent withdrawn" in page
    assert "consent was withdrawn: earlier results are set aside until they are purged" in page
    assert "failed" not in page.partition("<table")[2]


# --- details that no picture depends on


def test_a_date_or_a_condition_that_changed_is_put_right_without_the_recording(
    study: Study,
) -> None:
    study.restore("results")
    sessions = [replace(session, condition="lunch") for session in study.sessions("yes")]
    rows = pl.read_parquet(timeline_path(study.out, *WHO))

    def never(images: object) -> Any:
        raise AssertionError("the recording was read")

    study.networks = replace(study.networks, detect=never)
    assert [outcome.state for outcome in study.run(sessions)] == ["done", "done"]
    for kind in ("timelines", "faces"):
        path = study.out / kind / f"patient_id={WHO[0]}" / f"{WHO[1]}.parquet"
        assert read_metadata(path)["session"]["condition"] == "lunch"
    assert pl.read_parquet(timeline_path(study.out, *WHO)).equals(rows)
    assert set(read_sessions(study.out)["condition"]) == {"lunch"}
    assert [outcome.state for outcome in study.run(sessions)] == ["skipped", "skipped"]


def test_a_recording_that_moved_is_not_read_again_and_is_found(study: Study) -> None:
    study.restore("results")
    (study.folder / "moved").mkdir()
    moved = study.video.rename(study.folder / "moved" / "a.mp4")
    (outcome,) = study.run([Session(*WHO, moved, condition="music")])
    assert outcome.state == "skipped"
    assert read_outcomes(study.out)[WHO].videos == (str(moved),)
    assert open_material(study.out, *WHO).recording.files[0].path == moved


@pytest.mark.parametrize("change", [{"end_s": 0.5}, {"exclude": ((0.2, 0.4),)}])
def test_what_pictures_depend_on_reads_them_again(study: Study, change: dict[str, Any]) -> None:
    study.restore("results")
    sessions = [replace(session, **change) for session in study.sessions("yes")]
    study.run(sessions)
    assert np.all(pl.read_parquet(timeline_path(study.out, *WHO))["time_s"].to_numpy() <= 1.0)
    assert read_metadata(timeline_path(study.out, *WHO))["session"]["parts"] != [[0.0, 1.0]]
