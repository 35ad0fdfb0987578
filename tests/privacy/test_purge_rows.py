"""privacy.purge_rows: tables, exports and events of several patients lose only the patient's rows."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from purging import Process, do_purge, files

from pipeline.exchange.export import export
from pipeline.exchange.manifest import LIST_FILE
from pipeline.privacy.purge import plan_purge
from pipeline.robustness.covariate_tables import read_characteristics
from pipeline.store.parquet import read_metadata
from pipeline.store.status import read_status
from reports import write_reports

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
    assert mention.startswith("events.csv (does not state whose session S01 is")


# --- what is known of the patients


@pytest.mark.parametrize("start", ["", "\ufeff", "sep=;\r\n", "\ufeffsep=;\r\n"])
def test_what_is_known_of_a_patient_goes_with_him(out: Path, process: Process, start: str) -> None:
    process("P012/S01", "P013/S01", "P014/S01")
    head, one, other = "Patient;MMSE;sex\r\n", "P012;20,5;f\r\n", "P013;18,5;m\r\n"
    (out / "patients.csv").write_bytes(f"{start}{head}{one}{other}".encode())
    write_reports(out)
    known = read_metadata(out / "summaries" / "characteristics.parquet")["settings"]
    assert known["without_row"] == ["P014"]
    assert plan_purge(out, "P012").rows[out / "patients.csv"] == 1
    assert do_purge(out, "P012").mentions == ()
    assert (out / "patients.csv").read_bytes() == f"{start}{head}{other}".encode()
    assert read_characteristics(out)["patients"].to_list() == [1, 1]
    assert read_metadata(out / "summaries" / "characteristics.parquet")["settings"] == {
        "patients": 2,
        "without_row": ["P014"],
        "without_session": [],
    }
    do_purge(out, "P013")
    assert not (out / "patients.csv").exists()
    assert not (out / "summaries" / "characteristics.parquet").exists()
    assert not (out / "summaries" / "covariates.parquet").exists()


def test_what_is_known_of_a_patient_stays_when_a_session_goes(out: Path, process: Process) -> None:
    process("P012/S01", "P012/S02")
    (out / "patients.csv").write_text("patient_id;age\nP012;80\n")
    assert do_purge(out, "P012", "S01").mentions == ()
    assert (out / "patients.csv").read_text() == "patient_id;age\nP012;80\n"


@pytest.mark.parametrize("patient", ["P1.", "CON.1"])
def test_a_patient_whose_id_is_not_taken_any_more_can_be_purged(
    out: Path, process: Process, patient: str
) -> None:
    process(f"{patient}/S1", "P2/S1")
    do_purge(out, patient)
    assert read_status(out)["patient_id"].to_list() == ["P2"]
    assert not [path for path in files(out) if patient in str(path)]
