"""Consent: whoever refused it, or withdrew it, is found nowhere but where the results are set aside.

given, refused, withdrawn, given again × the status whole, damaged, deleted × a list or its folder.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from videos import encode, with_faces

from pipeline.agreement.compare import agree
from pipeline.agreement.results import write_disagreements, write_figures
from pipeline.analysis.derive import derive, update_derived
from pipeline.analysis.summaries import read_sessions
from pipeline.errors import InputError
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import session_names
from pipeline.exchange.export import FORMATS, export
from pipeline.exchange.ratings import read_ratings
from pipeline.privacy import consent
from pipeline.privacy.mentions import Words, mentions
from pipeline.privacy.purge import purge
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Instruments, Session, Settings
from pipeline.processing.sessions_list import read_study
from pipeline.review.annotated_video import open_material
from pipeline.review.people import apply_people, find_people, read_people, write_people
from pipeline.store.audit import IDS_FILE, LOG_FILE, audited, read_runs
from pipeline.store.encryption import use_key, use_no_key, write_key
from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.store.paths import timeline_path
from pipeline.store.refusals import refusal_folder, refused_sessions
from pipeline.store.status import Outcome, is_damaged, overview, read_outcomes, read_status, sessions_in
from pipeline.store.timeline import check_key, left_open, written_sessions
from pipeline.video.container import sha256_of
from reports import own_text, write_reports
from reports.pages.agreement import write_agreement_page
from reports.pages.people import write_people_page
from reports.pages.status import status_page

WHO, OTHER = ("P012", "S01"), ("P013", "S01")
"""Whose consent is asked about, and somebody who gave it."""

VIDEO = "Marie Curie.mp4"


@dataclass
class Study:
    """A folder of two recordings, and the list of both."""

    folder: Path
    instruments: Instruments

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def video(self) -> Path:
        return self.folder / VIDEO

    def sessions(self, said: str) -> list[Session]:
        listed = self.folder / "sessions.csv"
        rows = [(*WHO, VIDEO, "music", said), (*OTHER, "b.mp4", "music", "yes")]
        lines = [("patient_id", "session_id", "video", "condition", "consent"), *rows]
        listed.write_text("".join(f"{';'.join(line)}\n" for line in lines))
        study = read_study(listed)
        assert not study.problems
        return list(study.sessions)

    def process(self, said: str, **options: Any) -> list[Outcome]:
        return self.run(self.sessions(said), **options)

    def run(self, sessions: list[Session], **options: Any) -> list[Outcome]:
        engine = in_this_process(self.instruments)
        given = {"write_pages": write_reports, "own_text": own_text()} | options
        return process_sessions(sessions, self.out, Settings(), engine, "0" * 64, **given)

    def make_everything(self) -> None:
        """All that a person can have made of the results."""
        out = self.out
        (out / "ratings").mkdir()
        for patient, session in (WHO, OTHER):
            (out / "review" / patient).mkdir(parents=True)
            (out / "review" / patient / f"{session}.mp4").write_bytes(b"film")
            (out / "review" / patient / f"{session}.html").write_text(f"{patient} {session}")
            (out / ".unfinished" / patient / session).mkdir(parents=True)
            (out / ".unfinished" / patient / session / "00000.npz").write_bytes(b"")
            (out / "ratings" / f"{patient}_{session}.csv").write_text(
                f"patient_id,session_id,start_s,end_s,code\n{patient},{session},0,1,happy\n"
            )
        found = find_people(out, None)
        table = write_people(found, out)
        write_people_page(found, table, out / "people.html")
        apply_people(out, read_people(out, table)[0])
        for kind in FORMATS:
            export(out, kind, out / "exports" / kind)
        rated = read_ratings([out / "ratings"], session_names(out), read_codes(None))
        with audited(out, "agree", {rating.ids for rating in rated.ratings}):
            compared = agree(out, rated, 1.0)
            write_figures(compared, out / "agreement" / "figures.json")
            write_disagreements(compared, out / "agreement" / "disagreements.csv")
            write_agreement_page(compared, out / "reports" / "agreement.html", out / "review")
        (out / "ratings" / f"{'_'.join(WHO)}.csv").unlink()  # the raters' own


@pytest.fixture
def study(tmp_path: Path, fake_instruments: Instruments) -> Study:
    for name, corner in ((VIDEO, (40, 60)), ("b.mp4", (80, 60))):
        encode(tmp_path / name, [with_faces([corner])] * 10, rate=10)
    return Study(tmp_path, fake_instruments)


def harm_status(out: Path, how: str) -> None:
    path = out / "status.parquet"
    if how == "damaged" and path.exists():
        path.write_bytes(path.read_bytes()[:100])
    elif how == "deleted":
        path.unlink(missing_ok=True)


def traces(study: Study, *, of_recording: bool = True) -> list[str]:
    """Every file in which a byte of the person or of the recording is left, by means of its own."""
    out, video = study.out, study.video
    sha256 = sha256_of(video)
    words = Words(WHO[0], None, {WHO[0]: {WHO[1]}, OTHER[0]: {OTHER[1]}})
    found = []
    for top, folders, files in os.walk(out):
        if Path(top) == out:
            folders[:] = [name for name in folders if name != "withdrawn"]
        names = [name for name in (*folders, *files) if WHO[0] in name or VIDEO in name]
        found += [str(Path(top, name)) for name in names]
        for path in (Path(top, name) for name in files):
            content = path.read_bytes()
            if path.suffix == ".parquet" and not (path.name == "status.parquet" and is_damaged(out)):
                content += str(pl.read_parquet(path).to_dicts()).encode()
            ids = WHO[0].encode() in content or mentions(path, words, own_text())
            if ids and path.name not in (IDS_FILE, "status.parquet"):
                found.append(str(path))
            recording = [text for text in (str(video), VIDEO, sha256) if text.encode() in content]
            if recording and of_recording:
                found.append(f"{path}: {recording}")
    return found


def assert_nothing_is_shown(study: Study) -> None:
    """Whatever the status says, and whatever is run."""
    out = study.out
    assert traces(study) == []
    assert WHO not in written_sessions(out)
    assert WHO not in sessions_in(out)
    rows = {row["patient_id"]: row for row in read_status(out).to_dicts()}
    row = rows[WHO[0]]
    assert row["state"] in ("no_consent", "withdrawn")
    assert (row["reason"], row["videos"], row["video_sha256"], row["fingerprint"]) == ("", [], "", "")
    derive(out)
    assert set(read_sessions(out)["patient_id"]) == {OTHER[0]}
    write_reports(out)
    update_derived(out)
    assert {person.patient_id for person in find_people(out, None)} == {OTHER[0]}
    (exported, *_) = export(out, "csv", out / "exports" / "again")
    assert WHO[0] not in exported.read_text()
    with pytest.raises(InputError, match="consent to P012 S01 was withdrawn or never given"):
        open_material(out, *WHO)
    assert set(pl.read_parquet(f"{out}/timelines/**/*.parquet")["patient_id"]) == {OTHER[0]}
    assert traces(study) == []


# --- the matrix

STATUS = pytest.mark.parametrize("status", ["whole", "damaged", "deleted"])


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
    study.process("yes")
    study.make_everything()
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
    study.process("yes")
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
    study.process("yes")

    def look(session: Session, done: int, total: int) -> None:
        if session.ids == OTHER:
            assert not timeline_path(study.out, *WHO).exists()

    study.run(study.sessions("no")[::-1], on_session=look, overwrite=True)


def test_a_list_may_name_a_recording_that_was_deleted_after_consent_was_withdrawn(study: Study) -> None:
    study.process("yes")
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


# --- stopped in between


STEPS = ["_set_aside", "plan_purge", "remove_planned", "_worked_on"]


@pytest.mark.parametrize("step", STEPS)
def test_a_withdrawal_that_was_stopped_shows_nothing_and_is_finished_by_the_next_run(
    study: Study, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.process("yes")
    study.make_everything()

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
    study.process("yes")
    kept = timeline_path(study.out, *WHO).read_bytes()
    study.process("no")
    timeline_path(study.out, *WHO).parent.mkdir(parents=True)
    timeline_path(study.out, *WHO).write_bytes(kept)
    write_reports(study.out)
    assert not (study.out / "reports" / WHO[0]).exists()
    assert [outcome.state for outcome in study.process("no")] == ["withdrawn", "skipped"]
    assert_nothing_is_shown(study)


def test_what_is_not_the_program_s_is_named(study: Study) -> None:
    study.process("yes")
    (study.out / "notes").mkdir()
    (study.out / "notes" / "a.txt").write_text("P012 S01 was tired")
    (study.out / "notes" / "b.txt").write_text("P013 S01 was not")
    told: list[tuple[str, ...]] = []
    study.process("no", on_withdrawn=lambda session, found: told.append(found.mentions))
    assert told == [("notes/a.txt",)]
    assert (study.out / "notes" / "a.txt").exists()


@pytest.mark.parametrize("lost", [IDS_FILE, LOG_FILE])
def test_a_comparison_goes_where_the_log_does_not_say_whose_it_was(study: Study, lost: str) -> None:
    study.process("yes")
    study.make_everything()
    (study.out / "agreement" / "disagreements.csv").unlink()
    (study.out / lost).unlink()
    study.process("no")
    assert not (study.out / "agreement").exists()
    assert not (study.out / "reports" / "agreement.html").exists()


def test_everybody_withdraws(study: Study) -> None:
    study.process("yes")
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
    study.process("yes")
    export(study.out, "csv", study.out / "exports" / "csv")
    before = sorted((study.out / "exports").rglob("*"))
    study.run([Session(WHO[0], "S09", study.folder / "none.mp4", consent=False)])
    assert sorted((study.out / "exports").rglob("*")) == before


@pytest.mark.parametrize(
    "metadata",
    [{}, {"coverage": "much"}, {"seconds_lost": float("nan"), "video": []}, {"warnings": ["\ud800"]}],
)
def test_a_lost_status_of_strange_metadata_is_one_of_a_session_that_waits(
    study: Study, metadata: dict[str, Any]
) -> None:
    study.process("yes")
    path = timeline_path(study.out, *WHO)
    described = {**read_metadata(path), **metadata} if metadata else {}
    write_table(path, read_table(path), described)
    harm_status(study.out, "deleted")
    states = {row["patient_id"]: row["state"] for row in read_status(study.out).to_dicts()}
    assert states == {WHO[0]: "waiting", OTHER[0]: "done"}


# --- a purge, and a key


@STATUS
def test_a_purge_finds_what_is_set_aside(study: Study, status: str) -> None:
    study.process("yes")
    study.make_everything()
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
    study.process("yes")
    study.process("no")
    try:
        use_key(write_key(study.folder / "study.key"))
        folder = refusal_folder(study.out, *WHO)
        assert [path for path in left_open(study.out) if path.is_relative_to(folder)]
    finally:
        use_no_key()


# --- how it is told


def test_the_status_page_says_why_and_not_that_it_failed(study: Study) -> None:
    study.process("yes")
    study.process("no")
    page = str(status_page(overview(study.out, running=False)))
    assert "1 consent withdrawn" in page
    assert "Consent was withdrawn: earlier results are set aside until they are purged" in page
    assert "failed" not in page.partition("<table")[2]


# --- details that no picture depends on


def test_a_date_or_a_condition_that_changed_is_put_right_without_the_recording(
    study: Study,
) -> None:
    study.process("yes")
    sessions = [replace(session, condition="lunch") for session in study.sessions("yes")]
    rows = pl.read_parquet(timeline_path(study.out, *WHO))

    def never(images: object) -> Any:
        raise AssertionError("the recording was read")

    study.instruments = replace(study.instruments, detect=never)
    assert [outcome.state for outcome in study.run(sessions)] == ["done", "done"]
    for kind in ("timelines", "faces"):
        path = study.out / kind / f"patient_id={WHO[0]}" / f"{WHO[1]}.parquet"
        assert read_metadata(path)["session"]["condition"] == "lunch"
    assert pl.read_parquet(timeline_path(study.out, *WHO)).equals(rows)
    assert set(read_sessions(study.out)["condition"]) == {"lunch"}
    assert [outcome.state for outcome in study.run(sessions)] == ["skipped", "skipped"]


def test_a_recording_that_moved_is_not_read_again_and_is_found(study: Study) -> None:
    study.process("yes")
    (study.folder / "moved").mkdir()
    moved = study.video.rename(study.folder / "moved" / "a.mp4")
    (outcome,) = study.run([Session(*WHO, moved, condition="music")])
    assert outcome.state == "skipped"
    assert read_outcomes(study.out)[WHO].videos == (str(moved),)
    assert open_material(study.out, *WHO).recording.files[0].path == moved


@pytest.mark.parametrize("change", [{"end_s": 0.5}, {"exclude": ((0.2, 0.4),)}])
def test_what_pictures_depend_on_reads_them_again(study: Study, change: dict[str, Any]) -> None:
    study.process("yes")
    sessions = [replace(session, **change) for session in study.sessions("yes")]
    study.run(sessions)
    assert np.all(pl.read_parquet(timeline_path(study.out, *WHO))["time_s"].to_numpy() <= 1.0)
    assert read_metadata(timeline_path(study.out, *WHO))["session"]["parts"] != [[0.0, 1.0]]
