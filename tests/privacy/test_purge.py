"""privacy.purge, privacy.mentions: all data of a patient are deleted, and no other data."""

from functools import partial
from pathlib import Path

import polars as pl
import pytest
from purging import Process, do_purge, files, paths_with

from pipeline.analysis.summaries import SummarySettings, read_measures, read_sessions
from pipeline.errors import InputError
from pipeline.exchange.export import export
from pipeline.privacy.purge import plan_purge, purge
from pipeline.results.derive import add_multiverse, as_settings, derive
from pipeline.review.annotated_video import open_material
from pipeline.review.films import find_video
from pipeline.review.people import find_people
from pipeline.robustness.multiverse import multiverse_path, read_multiverse
from pipeline.store.audit import IDS_FILE, LOG_FILE, read_runs, verify
from pipeline.store.parquet import read_metadata
from pipeline.store.status import read_status
from reports import ReportOptions, last_options, own_text, write_reports


def theirs(out: Path, name: str) -> dict[str, bytes]:
    """But pages, which tell of the whole study how it was made."""
    found = {path: content for path, content in files(out).items() if name in path.split("/")}
    return {path: content for path, content in found.items() if not path.startswith("reports/")}


# --- what follows from the timelines


def test_summaries_are_made_anew_without_them_and_with_the_same_settings(out: Path, process: Process) -> None:
    process("P012/S01", "P012/S02", "P013/S01")
    settings = SummarySettings(min_coverage=0.3, min_rest_s=5.0)
    derive(out, settings)
    (out / "summaries" / "methods.md").write_text("3 sessions of 2 patients")
    (out / "summaries" / "others.parquet").write_bytes(b"of everybody")
    found = do_purge(out, "P012", "S01")
    assert found.mentions == ()
    assert read_sessions(out).select("patient_id", "session_id").rows() == [("P012", "S02"), ("P013", "S01")]
    assert "S01" not in (out / "reports" / "P012" / "index.html").read_text()
    assert not (out / "episodes" / "patient_id=P012" / "S01.parquet").exists()
    assert not (out / "summaries" / "others.parquet").exists()
    metadata = read_metadata(out / "summaries" / "sessions.parquet")
    assert as_settings(metadata["settings"]) == settings
    assert do_purge(out, "P012").mentions == ()
    assert set(read_measures(out)["patient_id"]) == {"P013"}
    assert not (out / "reports" / "P012").exists()
    do_purge(out, "P013")
    assert not (out / "summaries").exists()
    assert not (out / "reports").exists()


def test_where_consent_was_withdrawn_nothing_new_is_made_of_what_is_there(
    out: Path, process: Process
) -> None:
    process("P012/S01", "P012/S02", "P013/S01")
    process("P012/S01", "P013/S01", consent=False)
    states = read_status(out).select("state", "reason").rows()
    assert states == [("withdrawn", ""), ("done", ""), ("withdrawn", "")]
    pages = sorted(path.relative_to(out / "reports").as_posix() for path in out.glob("reports/**/*.html"))
    assert pages == ["P012/S02.html", "P012/index.html", "index.html", "study.html"]
    assert read_sessions(out).select("patient_id", "session_id").rows() == [("P012", "S02")]
    exported = [pl.read_csv(path) for path in export(out, "csv", out.parent / "exports")]
    named = [table["session_id"] for table in exported if "session_id" in table.columns]
    assert {session for column in named for session in column} == {"S02"}
    assert {person.session_id for person in find_people(out, None)} == {"S02"}
    with pytest.raises(InputError, match="consent to P013 S01 was withdrawn"):
        open_material(out, "P013", "S01")
    # it is all still found by a purge, also where nobody else's results may be shown
    process("P012/S02", consent=False)
    assert do_purge(out, "P012").mentions == ()
    assert do_purge(out, "P013").mentions == ()
    assert not (out / "timelines").exists()
    process("P012/S01", consent=False)
    assert read_status(out)["state"].to_list() == ["no_consent"]


def test_consent_that_is_given_again_brings_results_back(out: Path, process: Process) -> None:
    process("P012/S01", "P012/S02")
    process("P012/S01", consent=False)
    assert read_sessions(out)["session_id"].to_list() == ["S02"]
    process("P012/S01")
    assert read_sessions(out)["session_id"].to_list() == ["S01", "S02"]
    assert (out / "reports" / "P012" / "S01.html").exists()


def test_a_multiverse_of_all_patients_goes_and_its_figures_too(out: Path, process: Process) -> None:
    process("P012/S01", "P012/S02", "P013/S01")
    add_multiverse(out)
    write_reports(out)
    page = out / "reports" / "study.html"
    assert read_multiverse(out).height > 0
    assert "The analyses are not independent" in page.read_text()
    with pytest.raises(InputError, match="nothing of P99"):
        do_purge(out, "P99")
    assert multiverse_path(out).exists()
    assert plan_purge(out, "P012").again == {multiverse_path(out): "summarize --multiverse"}
    found = do_purge(out, "P012", "S01")
    assert (found.mentions, found.counts["summaries"]) == ((), 1)
    assert not multiverse_path(out).exists()
    assert "The analyses are not independent" not in page.read_text()
    assert "reasonable analyses" not in (out / "summaries" / "methods.md").read_text()


def test_damaged_summaries_do_not_keep_a_person(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    (out / "summaries" / "sessions.parquet").write_bytes(b"PAR1 P012")
    assert do_purge(out, "P012").mentions == ()
    assert read_sessions(out)["patient_id"].to_list() == ["P013"]


# --- a whole person


def test_everything_of_a_person_goes_and_of_nobody_else(out: Path, process: Process) -> None:
    process("P012/S01", "P012/S02", "P013/S01")
    kept = theirs(out, "P013") | theirs(out, "patient_id=P013")
    (out / ".unfinished" / "P012" / "S03").mkdir(parents=True)
    (out / ".unfinished" / "P012" / "S03" / "00000.npz").touch()
    for name in ("review/P012/S01.mp4", "withdrawn/P012/S04/a.withdrawn", "summaries/P013_S01.json"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("a")
    (out / "status.parquet.0123abcd.partial").write_text("P012")
    assert paths_with(out, "P012")
    found = do_purge(out, "P012")
    assert found.mentions == ()
    assert paths_with(out, "P012") == []
    assert found.counts == {
        "timelines": 2,
        "faces": 2,
        "logs": 2,
        "reports": 3,
        "episodes": 2,
        ".unfinished": 1,
        "review": 1,
        "withdrawn": 1,
        "rows": 2,
    }
    now = files(out)
    assert kept
    assert all(now[path] == content for path, content in kept.items())
    assert "summaries/P013_S01.json" in now
    assert read_status(out).rows()[0][:3] == ("P013", "S01", "done")
    assert "P013" in (out / "reports/index.html").read_text()
    assert not [path for path in out.rglob("*") if path.is_dir() and not any(path.iterdir())]


def test_the_log_says_that_somebody_was_purged_and_not_who(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    do_purge(out, "P012")
    assert verify(out).faults == ()
    last = read_runs(out)[-1]
    assert (last.command, last.how, last.sessions) == ("purge", "done", ((None, "purged"),))
    assert "P012" not in (out / LOG_FILE).read_text() + (out / IDS_FILE).read_text()
    assert '"timelines": 1' in (out / LOG_FILE).read_text()


def test_of_the_last_person_nothing_is_left_but_the_log(out: Path, process: Process) -> None:
    process("P012/S01")
    assert do_purge(out, "P012").mentions == ()
    assert sorted(files(out)) == [IDS_FILE, ".lock", "audit.head", LOG_FILE]
    assert verify(out).faults == ()


def test_scripts_beside_the_pages_go_with_the_last_person(out: Path, process: Process) -> None:
    process("P012/S01")
    write_reports(out, options=ReportOptions(assets="shared"))
    assert (out / "reports" / "assets" / "style.css").exists()
    assert do_purge(out, "P012").mentions == ()
    assert sorted(files(out)) == [IDS_FILE, ".lock", "audit.head", LOG_FILE]


def test_the_pages_keep_their_language_after_a_purge(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    write_reports(out, options=ReportOptions("fr", "shared"))
    assert do_purge(out, "P012").mentions == ()
    assert '<html lang="fr">' in (out / "reports" / "P013" / "S01.html").read_text()
    assert last_options(out) == ReportOptions("fr", "shared")


def test_a_person_without_a_timeline_can_be_purged(out: Path, process: Process) -> None:
    process("P012/S01", consent=False)
    process("P013/S01")
    assert do_purge(out, "P012").counts == {"rows": 1, "withdrawn": 1}
    assert paths_with(out, "P012") == []


@pytest.mark.parametrize(
    ("purged", "kept"),
    [
        ("P01", "P012"),
        ("P012", "P01"),
        ("P.1", "Px1"),
        ("P.1", "P.1.1"),
        ("P", "P.1"),
        ("P1-b", "P1"),
        ("P1", "P1-b"),
        ("P1", "X_P1"),
        ("parquet", "P1"),
        ("html", "P1"),
        ("S01", "P1"),
        ("timelines", "P1"),
        ("p1", "P1"),
        ("A" * 64, "A" * 63),
    ],
)
def test_ids_that_look_alike_are_kept_apart(out: Path, process: Process, purged: str, kept: str) -> None:
    process(f"{kept}/S01", f"{purged}/S01", f"{kept}/S02")
    before = theirs(out, kept) | theirs(out, f"patient_id={kept}")
    found = do_purge(out, purged)
    now = files(out)
    assert len(before) == 8
    assert {path: now.get(path) for path in before} == before
    assert {f"reports/{kept}/{page}.html" for page in ("index", "S01", "S02")} <= now.keys()
    assert read_status(out)["patient_id"].to_list() == [kept, kept]
    assert not any((out / kind / purged).exists() for kind in ("logs", "reports", ".unfinished"))
    assert not list(out.glob(f"*/patient_id={purged}"))
    if purged not in ("parquet", "html", "S01", "timelines", "P"):  # the methods tell of P-values
        assert found.mentions == ()


@pytest.mark.parametrize("patient", ["../P1", "P1/S1", ".*", "Zoë", "", "index"])
def test_an_id_that_is_none_is_refused(out: Path, process: Process, patient: str) -> None:
    process("P1/S1")
    before = files(out)
    with pytest.raises(InputError, match="`patient_id`"):
        plan_purge(out, patient)
    assert files(out) == before


def test_somebody_unknown_is_told_and_nothing_is_done(out: Path, process: Process) -> None:
    process("P012/S01")
    before = files(out)
    for patient, session in (("P01", None), ("P01", "S01"), ("P012", "S02")):
        with pytest.raises(InputError, match=f"nothing of {patient}.* in this folder.$"):
            plan_purge(out, patient, session)
    (out / "notes.txt").write_text("P01 came late")
    with pytest.raises(InputError, match=r"nothing of P01 in this folder. But 1 file mentions it: notes.txt"):
        plan_purge(out, "P01")
    with pytest.raises(InputError, match="nothing of P1 in this folder"):
        plan_purge(out / "none", "P1")
    assert {path: content for path, content in files(out).items() if path != "notes.txt"} == before


# --- a session


def test_one_session_goes_and_the_others_stay(out: Path, process: Process) -> None:
    process("P1/S01", "P1/S01-b", "P1/S012", "P2/S01", "X-P1/S01")
    before = files(out)
    found = do_purge(out, "P1", "S01")
    assert found.mentions == ()
    gone = before.keys() - files(out).keys()
    assert gone == {
        "timelines/patient_id=P1/S01.parquet",
        "faces/patient_id=P1/S01.parquet",
        "episodes/patient_id=P1/S01.parquet",
        "logs/P1/S01.log",
        "reports/P1/S01.html",
    }
    left = read_status(out).select("patient_id", "session_id").rows()
    assert left == [("P1", "S01-b"), ("P1", "S012"), ("P2", "S01"), ("X-P1", "S01")]
    assert 'href="P1/S01.html"' not in (out / "reports/index.html").read_text()


def test_a_session_named_as_its_patient_is_not_the_whole_folder(out: Path, process: Process) -> None:
    process("P1/P1", "P1/S2")
    do_purge(out, "P1", "P1")
    assert read_status(out)["session_id"].to_list() == ["S2"]
    assert (out / "timelines/patient_id=P1/S2.parquet").exists()


@pytest.mark.parametrize(
    "text",
    ["P1/S01", "P1_S01.mp4", '{"patient_id": "P1", "session_id": "S01"}', "P1;S01", "P1\tS01"],
)
def test_a_session_is_found_by_both_its_ids(out: Path, process: Process, text: str) -> None:
    process("P1/S01", "P1/S02", "P2/S01")
    (out / "notes.txt").write_text(text)
    (out / "other.txt").write_text("P1/S02 P2/S01 P1/S010 XP1/S01 S01")
    assert do_purge(out, "P1", "S01").mentions == ("notes.txt",)


# --- what a page plays, and what was marked beside it


def test_the_previous_list_of_events_goes_with_its_patient(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    rows = "patient_id;session_id;time_s;what\nP012;S01;0.2;song\nP013;S01;0.2;song\n"
    for name in ("events.csv", "events.csv.bak"):
        (out / name).write_text(rows)
    found = do_purge(out, "P012")
    assert found.mentions == ()
    assert not (out / "events.csv.bak").exists()
    assert (out / "events.csv").read_text() == rows.replace("P012;S01;0.2;song\n", "")


def test_pages_that_play_the_same_recording_are_named(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    write = partial(write_reports, find_video=find_video)
    pages = [out / "reports" / patient / "S01.html" for patient in ("P012", "P013")]
    write(out)
    assert not [page for page in pages if b"recording.mp4" in page.read_bytes()]
    write(out, options=ReportOptions(video="original"))
    assert [page for page in pages if b"recording.mp4" in page.read_bytes()] == pages
    found = purge(out, "P012", None, write, own_text())
    assert found.mentions == ()
    assert "reports/P013/S01.html" in found.same_recording
    assert not pages[0].exists()
    purge(out, "P013", None, write, own_text())
    assert paths_with(out, "recording") == []
