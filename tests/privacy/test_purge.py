"""pipeline.privacy.purge, pipeline.privacy.mentions: a person goes wholly, nobody else loses a byte."""

import csv
import gzip
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import av
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from videos import encode, with_faces

from pipeline.analysis.derive import as_settings, derive
from pipeline.analysis.summaries import SummarySettings, read_measures, read_sessions
from pipeline.errors import InputError, OutputError, TimelineError
from pipeline.exchange.export import export
from pipeline.exchange.manifest import LIST_FILE
from pipeline.privacy.mentions import Words, mentions
from pipeline.privacy.purge import Purged, plan_purge, purge
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Instruments, Session, Settings
from pipeline.review.annotated_video import open_material
from pipeline.review.people import apply_people, find_people, read_people, write_people
from pipeline.store.audit import IDS_FILE, LOG_FILE, read_runs, verify
from pipeline.store.encryption import seal, write_key
from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.store.status import read_status
from reports import ReportOptions, own_text, write_reports
from reports.pages.people import write_people_page

ROOT = Path(__file__).parents[2]

Process = Callable[..., None]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "study"


@pytest.fixture
def process(make_recording: Callable[..., Path], fake_instruments: Instruments, out: Path) -> Process:
    """Sessions of a second each, by names like P1/S1."""
    video = make_recording("recording.mp4", [(40, 60)])

    def run(*names: str, consent: bool | None = True) -> None:
        sessions = [Session(*name.split("/"), video, consent=consent) for name in names]
        engine = in_this_process(fake_instruments)
        process_sessions(sessions, out, Settings(), engine, "0" * 64, write_pages=write_reports)

    return run


def do_purge(out: Path, patient: str, session: str | None = None) -> Purged:
    return purge(out, patient, session, write_reports, own_text())


def files(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def theirs(out: Path, name: str) -> dict[str, bytes]:
    """But pages, which tell of the whole study how it was made."""
    found = {path: content for path, content in files(out).items() if name in path.split("/")}
    return {path: content for path, content in found.items() if not path.startswith("reports/")}


def paths_with(out: Path, text: str) -> list[str]:
    """By another means than the program's: grep, and names."""
    command = ["grep", "-rlaw", "--", text, "."]
    found = subprocess.run(command, cwd=out, capture_output=True, text=True, check=False).stdout.split("\n")
    names = [path for path in files(out) if text in path]
    tables = [p.name for p in out.rglob("*.parquet") if text in str(pq.ParquetFile(p).read().to_pydict())]
    return [*filter(None, found), *names, *tables]


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
    for name in (
        "thumbnails/P012_S01_3.jpg",
        "people/P012.html",
        "embeddings/P012.npz",
        "summaries/P013_S01.json",
    ):
        (out / name).parent.mkdir(exist_ok=True)
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
        "thumbnails": 1,
        "people": 1,
        "embeddings": 1,
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
    with pytest.raises(InputError, match="--patient"):
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
    with pytest.raises(InputError, match="nothing of P1"):
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


# --- tables of several people


def test_tables_of_several_people_lose_rows_and_nothing_else(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    lines = [
        '\ufeffpatient_id;"note"\r\n',
        'P013;"a ""b""; c\r\nP012"\r\n',
        "P012;x\r\n",
        ' "P014";\udcff\r\n',
    ]
    (out / "people.csv").write_bytes("".join(lines).encode(errors="surrogateescape"))
    (out / "only.csv").write_text("session_id,patient_id\nS01,P012\n")
    table = pa.table({"patient_id": ["P012", "P013"], "x": [1, 2]}).replace_schema_metadata({"by": "hand"})
    names = table["patient_id"].combine_chunks().dictionary_encode()
    pq.write_table(table.set_column(0, "patient_id", names), out / "ratings.parquet", compression="none")
    plan = plan_purge(out, "P012")
    assert {path.name: count for path, count in plan.rows.items()} == {
        "people.csv": 1,
        "only.csv": 1,
        "ratings.parquet": 1,
        "status.parquet": 1,
    }
    found = do_purge(out, "P012")
    assert (out / "people.csv").read_bytes() == (lines[0] + lines[1] + lines[3]).encode(
        errors="surrogateescape"
    )
    assert not (out / "only.csv").exists()
    ratings = pq.read_table(out / "ratings.parquet")
    assert ratings.to_pydict() == {"patient_id": ["P013"], "x": [2]}
    assert ratings.schema.metadata[b"by"] == b"hand"
    assert b"P012" not in (out / "ratings.parquet").read_bytes()
    assert found.mentions == ("people.csv",), "somebody's note mentions them"


def test_a_table_without_sessions_keeps_its_person_when_a_session_goes(out: Path, process: Process) -> None:
    process("P1/S1", "P1/S2")
    (out / "people.csv").write_text("patient_id,seat\nP1,left\n")
    assert do_purge(out, "P1", "S1").mentions == ()
    assert (out / "people.csv").exists()


def test_the_study_s_list_is_told_from_the_table_of_an_export(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    for folder in ("recordings", "moved"):
        (out / folder).mkdir()
    (out / "recordings" / "sessions.csv").write_text("Patient_ID;session_id;Video\nP012;S01;a.mp4\n")
    (out / "moved" / "sessions.csv").write_text("patient_id,session_id,coverage\nP012,S01,1\nP013,S01,1\n")
    assert do_purge(out, "P012").mentions == ("recordings/sessions.csv",)
    assert (out / "moved" / "sessions.csv").read_text() == ("patient_id,session_id,coverage\nP013,S01,1\n")


@pytest.mark.parametrize("session", [None, "S-01"])
def test_exports_that_hold_them_go_whole(out: Path, process: Process, session: str | None) -> None:
    pytest.importorskip("pympi", reason="needs the packages of the extra agreement")
    process("P-012/S-01", "P-012/S-02", "P013/S-01")
    for kind in ("csv", "xlsx", "elan", "boris", "bids"):
        export(out, kind, out / "exports" / f"of_{kind}")
    mine = ("of_csv/merged.csv", "of_csv/a.R", "of_bids/sub-P013/notes.txt")
    for name in mine:
        (out / "exports" / name).write_text("my own")
    plan = plan_purge(out, "P-012", session)
    commands = {path.relative_to(out / "exports").parts[0]: name for path, name in plan.again.items()}
    assert commands == {"of_csv": "export", "of_xlsx": "export", "of_bids": "export"}
    assert do_purge(out, "P-012", session).mentions == ("exports/of_boris/emonext-care.boris",)
    eaf = (
        ["of_elan/P013_S-01.eaf"] if session is None else ["of_elan/P-012_S-02.eaf", "of_elan/P013_S-01.eaf"]
    )
    left = sorted(path.relative_to(out / "exports").as_posix() for path in (out / "exports").rglob("*.*"))
    assert left == sorted([*mine, *eaf, "of_boris/emonext-care.boris"])
    export(out, "bids", out / "exports" / "of_bids")


def test_exports_of_others_stay(out: Path, process: Process) -> None:
    process("P013/S01")
    for kind in ("csv", "xlsx", "bids"):
        export(out, kind, out / "exports" / kind)
    before = files(out / "exports")
    process("P012/S01")
    assert do_purge(out, "P012").mentions == ()
    assert files(out / "exports") == before


def test_a_folder_of_theirs_in_a_data_set_is_found_by_its_label(out: Path, process: Process) -> None:
    process("P-012/S01", "P013/S01")
    (out / "bids" / "sub-P012").mkdir(parents=True)
    assert do_purge(out, "P-012").mentions == ("bids/sub-P012 (its name)",)
    process("P-012/S01", "P012/S01")
    assert do_purge(out, "P-012").mentions == (), "it may be somebody else's"


def test_originals_stay_and_are_named(out: Path, process: Process) -> None:
    process("P012/S01")
    (out / "P012_S01.mp4").write_bytes(b"video")
    (out / "P012").mkdir()
    (out / "P012" / "photo.jpg").write_bytes(b"photo")
    with (out / "sessions.csv").open("w") as file:
        csv.writer(file).writerows([("patient_id", "session_id", "video"), ("P012", "S01", "a.mp4")])
    found = do_purge(out, "P012")
    assert found.mentions == ("P012 (its name)", "P012_S01.mp4 (its name)", "sessions.csv")
    assert (out / "P012" / "photo.jpg").exists()


def test_a_damaged_list_of_an_export_keeps_nobody(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    export(out, "csv", out / "exports" / "csv")
    (out / "exports" / "csv" / LIST_FILE).write_text('{"csv": ["../../notes.txt"]}')
    (out / "notes.txt").write_text("P012")
    assert "notes.txt" in do_purge(out, "P012").mentions
    assert read_status(out)["patient_id"].to_list() == ["P013"]


# --- events


def test_events_lose_rows_by_the_rules_of_their_reader(out: Path, process: Process) -> None:
    """By the patient under any name of the column, and by the session where nobody else has it."""
    process("P012/S01", "P012/S07", "P013/S01")
    (out / "events.csv").write_text(
        "\ufeffSession;Time;What;PATIENT\nS07;0;song;\nS01;0;song;P013\nS01;0;song;P012\nS01;0.2;song;P013\n"
    )
    assert plan_purge(out, "P012").rows[out / "events.csv"] == 2
    assert do_purge(out, "P012").mentions == ()
    assert (out / "events.csv").read_text() == (
        "\ufeffSession;Time;What;PATIENT\nS01;0;song;P013\nS01;0.2;song;P013\n"
    )
    assert (out / "summaries" / "events.parquet").exists()


def test_events_of_one_session_go_with_it(out: Path, process: Process) -> None:
    process("P012/S01", "P012/S07", "P013/S09")
    (out / "events.csv").write_text("session,time,what\nS07,0,song\nS01,0,song\nS09,0,song\n")
    assert do_purge(out, "P012", "S07").mentions == ()
    assert (out / "events.csv").read_text() == "session,time,what\nS01,0,song\nS09,0,song\n"
    do_purge(out, "P013")
    do_purge(out, "P012")
    assert not (out / "events.csv").exists()


def test_an_event_that_may_be_theirs_is_named(out: Path, process: Process) -> None:
    """Two people have a session of this name: with one of them gone the row would become the other's."""
    process("P012/S01", "P013/S01")
    (out / "events.csv").write_text("session;time;what\nS01;0;song\n")
    (mention,) = do_purge(out, "P012").mentions
    assert mention.startswith("events.csv (does not say whose session S01 is")


# --- links


def test_no_link_is_followed_out_of_the_folder(out: Path, process: Process, tmp_path: Path) -> None:
    process("P012/S01", "P013/S01")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "S09.parquet").write_text("P012")
    (outside / "P012.csv").write_text("patient_id\nP012\n")
    (outside / "empty").mkdir()
    (out / "timelines/patient_id=P012/link.parquet").symlink_to(outside / "S09.parquet")
    (out / "faces/patient_id=P012/folder").symlink_to(outside)
    (out / "thumbnails").symlink_to(outside)
    (out / "people.csv").symlink_to(outside / "P012.csv")
    (out / "recordings").symlink_to(outside)
    found = do_purge(out, "P012")
    assert sorted(path.name for path in outside.iterdir()) == ["P012.csv", "S09.parquet", "empty"]
    assert (outside / "P012.csv").read_text() == "patient_id\nP012\n"
    assert not (out / "timelines/patient_id=P012").exists()
    assert not (out / "faces/patient_id=P012").exists()
    assert found.mentions == (
        "thumbnails (a link out of the folder: look there yourself)",
        "people.csv (where it leads to)",
    )


def test_the_folder_itself_may_be_a_link(out: Path, process: Process, tmp_path: Path) -> None:
    process("P012/S01")
    (tmp_path / "link").symlink_to(out)
    assert do_purge(tmp_path / "link", "P012").mentions == ()
    assert paths_with(out, "P012") == []


# --- what is left


@pytest.mark.parametrize(
    "content",
    [
        b"a P012 b",
        b"\0\1P012\2",
        "P012".encode("utf-16"),
        "x;P012;y".encode("utf-16-le"),
        "x;P012;y".encode("utf-16-be"),
        "P012".encode("utf-32"),
        gzip.compress(b"P012_S01", mtime=0),
        b"\x1f\x8bP012",
        b"PAR1 P012",
        b"PK\3\4 P012",
        "é-P012-é".encode(),
        b"x" * 5_000_000 + b" P012",
    ],
)
def test_what_still_mentions_them_is_named(out: Path, process: Process, content: bytes) -> None:
    process("P012/S01", "P013/S01")
    (out / "left").write_bytes(content)
    assert do_purge(out, "P012").mentions == ("left",)


def test_packed_tables_are_looked_into(out: Path, tmp_path: Path) -> None:
    words = Words("P012", None, {})
    names = [f"P{number:03}" for number in range(100)]
    path = tmp_path / "a.parquet"
    pl.DataFrame({"who": pl.Series(names, dtype=pl.Categorical), "n": range(100)}).write_parquet(path)
    assert mentions(path, words)
    pl.DataFrame({"who": [["P011"], ["P012", "P013"]]}).write_parquet(path)
    assert mentions(path, words)
    pq.write_table(pa.table({"n": [1]}).replace_schema_metadata({"video": "P012_S01.mp4"}), path)
    assert mentions(path, words)
    pl.DataFrame({"who": ["P011", "P0123"]}).write_parquet(path)
    assert not mentions(path, words)
    np.savez_compressed(tmp_path / "a.npz", who=np.array(names))
    assert mentions(tmp_path / "a.npz", words)


def test_a_short_id_is_not_found_by_chance_in_pictures_sound_and_numbers(
    tmp_path: Path, make_recording: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = b"\0 7 \0"
    recording = make_recording("recording.mp4", [(40, 60)])
    (tmp_path / "a.mp4").write_bytes(recording.read_bytes() + chance)
    (tmp_path / "b.MKV").write_bytes(b"no video" + chance)
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8\xff" + chance)
    np.savez(tmp_path / "d.npz", numbers=np.frombuffer(chance, np.uint8))
    (tmp_path / "e.html").write_text(
        '<img src="data:image/jpeg;base64,ab+7/cd=="> {"bdata":"ab+7/cd==", "dtype": "f8"}'
    )
    monkeypatch.setenv("EMONEXT_KEY_FILE", str(write_key(tmp_path / "study.key")))
    packed = io.BytesIO()
    np.savez(packed, numbers=np.frombuffer(64 * chance, np.uint8))
    (tmp_path / "f.npz").write_bytes(seal(packed.getvalue()))
    words = Words("7", None, {"7": set()})
    assert [name for name in "abcdef" if mentions(next(tmp_path.glob(f"{name}.*")), words)] == []
    (tmp_path / "e.html").write_text("<p>patient 7, data:image/jpeg;base64,ab+7/cd==</p>")
    assert mentions(tmp_path / "e.html", words)


def test_what_a_video_says_of_itself_is_searched(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", [with_faces([])] * 5, rate=10)
    titled = tmp_path / "titled.mkv"
    with av.open(str(path)) as old, av.open(str(titled), "w") as new:
        new.metadata["title"] = "P012 sings"
        copy = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    words = Words("P012", None, {"P012": set()})
    assert mentions(titled, words)
    assert not mentions(path, words)


def test_what_can_t_be_read_is_named(out: Path, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process("P012/S01", "P013/S01")
    (out / "locked").write_text("x")
    opened = Path.open

    def refuse(path: Path, *args: object, **options: object) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert do_purge(out, "P012").mentions == ("locked (can't be read: Permission denied)",)


def test_the_program_s_own_scripts_are_about_nobody(out: Path, process: Process) -> None:
    """Plotly has variables called P1 and S1."""
    process("P1/S1", "P2/S1")
    assert b"P1" in (out / "reports/P2/S1.html").read_bytes()
    pages = {page.relative_to(out).as_posix() for page in plan_purge(out, "P1", None, own_text()).pages}
    assert {page for page in pages if page.startswith("reports/")} == {
        "reports/index.html",
        "reports/study.html",
    }
    assert do_purge(out, "P1").mentions == ()


# --- interruptions


def test_a_purge_that_was_stopped_anywhere_is_done_by_doing_it_again(
    out: Path, process: Process, tmp_path: Path
) -> None:
    process("P012/S01", "P012/S02", "P013/S01")
    for step in count():
        study = shutil.copytree(out, tmp_path / f"stopped{step}")
        finished = purge_in_steps(study, step)
        with suppress(InputError):  # it had been done
            assert do_purge(study, "P012").mentions == ()
        assert paths_with(study, "P012") == [], step
        assert "P013" in (study / "reports/index.html").read_text(), step
        assert verify(study).faults == (), step
        if finished:
            break
    assert step > 30


def test_a_purge_of_an_export_that_was_stopped_is_done_by_doing_it_again(
    out: Path, process: Process, tmp_path: Path
) -> None:
    process("P012/S01", "P013/S01")
    export(out, "bids", tmp_path / "exported" / "bids")
    for step in count():
        study = shutil.copytree(tmp_path / "exported", tmp_path / f"stopped{step}")
        finished = purge_in_steps(study, step)
        with suppress(InputError):  # it had been done
            assert do_purge(study, "P012").mentions == ()
        assert not any(study.glob("bids/*")), step
        if finished:
            break
    assert step > 15


def purge_in_steps(out: Path, count: int) -> bool:
    """Whether so many changes of the disk were enough; after them nothing is done, as by a killed process."""

    def stops(do: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            count -= 1
            if count < 0:
                raise KeyboardInterrupt
            return do(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((Path, "unlink"), (Path, "rmdir"), (os, "replace"), (os, "fsync")):
            patch.setattr(module, name, stops(getattr(module, name)))
        try:
            do_purge(out, "P012")
        except KeyboardInterrupt:
            return False
    return True


def test_somebody_else_s_damaged_timeline_keeps_nothing_of_this_person(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    (out / "timelines/patient_id=P013/S01.parquet").write_bytes(b"damaged")
    (out / "notes.txt").write_text("P012 likes music")
    found = do_purge(out, "P012")
    assert isinstance(found.failed, TimelineError)
    assert "P013" in str(found.failed)
    assert found.mentions == ("notes.txt",), "it is searched all the same"
    (out / "notes.txt").unlink()
    assert not [path for path, content in files(out).items() if b"P012" in content or "P012" in path]
    assert read_runs(out)[-1].how == "TimelineError"


def test_a_folder_at_work_is_not_purged(out: Path, process: Process) -> None:
    process("P012/S01")
    before = files(out)
    program = """
import sys
from pathlib import Path
from pipeline.store.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(OutputError, match="at work"):
        do_purge(out, "P012")
    holder.communicate()
    assert {**files(out), ".lock": b""} == {**before, ".lock": b""}


def test_a_file_that_can_t_be_removed_is_named(
    out: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    process("P012/S01")
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == "S01.log":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match=r"S01\.log: can't be removed \(Permission denied\)"):
        do_purge(out, "P012")
    monkeypatch.undo()
    assert do_purge(out, "P012").mentions == ()
    assert paths_with(out, "P012") == []


def test_whoever_was_purged_can_come_again(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    do_purge(out, "P012")
    process("P012/S01")
    assert read_status(out)["state"].to_list() == ["done", "done"]
    assert len(read_runs(out, "P012")) == 1


def test_roles_reviews_and_the_people_s_page_go_too(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    write_people_page(people := find_people(out, None), write_people(people, out), out / "people.html")
    apply_people(out, read_people(out, out / "people.csv")[0])
    for patient in ("P012", "P013"):
        (out / "review" / patient).mkdir(parents=True)
        (out / "review" / patient / "S01.mp4").touch()
    assert paths_with(out, "P012")
    found = do_purge(out, "P012")
    assert found.mentions == ()
    assert paths_with(out, "P012") == []
    assert found.counts["roles"] == found.counts["review"] == 1
    assert not (out / "people.html").exists()
    assert "P013" in (out / "people.csv").read_text()
    assert (out / "roles/patient_id=P013/S01.parquet").exists()
    assert (out / "review/P013/S01.mp4").exists()


def test_what_another_session_holds_of_the_same_recording_is_named(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01", "P014/S01", "P014/S02")
    rewrite_sha256(out / "timelines/patient_id=P014/S01.parquet")
    (out / "timelines/patient_id=P014/S02.parquet").write_bytes(b"damaged")
    (out / "review" / "P013").mkdir(parents=True)
    (out / "review" / "P013" / "S01.mp4").touch()
    assert plan_purge(out, "P012").same_recording == (("P013", "S01"),)
    assert do_purge(out, "P012").same_recording == (
        "faces/patient_id=P013/S01.parquet",
        "review/P013/S01.mp4",
    )
    assert plan_purge(out, "P013").same_recording == ()


def test_of_a_recording_that_withdrawn_sessions_share_nothing_is_kept_quiet(
    out: Path, process: Process
) -> None:
    """Neither where the purged session counts nowhere any more, nor where the other one does."""
    process("P012/S01", "P013/S01", "P014/S01")
    process("P012/S01", "P013/S01", consent=False)
    assert plan_purge(out, "P012").same_recording == (("P013", "S01"), ("P014", "S01"))


def rewrite_sha256(path: Path) -> None:
    """As if it were of another recording."""
    metadata = dict(read_metadata(path))
    files = [{**file, "sha256": "f" * 64} for file in metadata["video"]["files"]]
    write_table(path, read_table(path), metadata | {"video": {**metadata["video"], "files": files}})
