"""exchange.bids: a valid BIDS data set."""

import json
from pathlib import Path

import pytest
from exports import SECONDS, tsv
from timelines import make_timeline, put

from pipeline.analysis.summaries import read_episodes, summarize_folder
from pipeline.errors import InputError
from pipeline.exchange.bids import labels
from pipeline.exchange.coded import session_names
from pipeline.exchange.export import Format, export
from pipeline.records import EMOTIONS

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")

pytestmark = pytest.mark.usefixtures("no_bak")


def test_bids(out: Path) -> None:
    export(out, "bids", out / "x")
    events = out / "x/sub-P1/ses-S1/beh/sub-P1_ses-S1_task-care_events.tsv"
    rows = tsv(events)
    own = read_episodes(out, "P1", "S1")
    assert list(rows[0])[:3] == ["onset", "duration", "trial_type"]
    assert [row["trial_type"] for row in rows] == own["emotion"].to_list()
    assert [float(row["onset"]) for row in rows] == pytest.approx(own["start_s"].to_list())
    assert [float(row["onset"]) + float(row["duration"]) for row in rows] == pytest.approx(
        own["end_s"].to_list()
    )
    sidecar = json.loads(events.with_suffix(".json").read_text())
    assert set(rows[0]) <= set(sidecar)
    assert set(sidecar["trial_type"]["Levels"]) == set(EMOTIONS)
    description = json.loads((out / "x/dataset_description.json").read_text())
    assert {"Name", "BIDSVersion", "DatasetType", "GeneratedBy"} <= set(description)
    assert tsv(out / "x/participants.tsv") == [{"participant_id": "sub-P1", "patient_id": "P1"}]
    sessions = tsv(out / "x/sub-P1/sub-P1_sessions.tsv")
    assert [(row["session_id"], row["acq_time"], row["condition"]) for row in sessions] == [
        ("ses-S1", "n/a", "n/a"),
        ("ses-S2", "2026-03-02T10:30:00", "'=music"),
    ], "no spreadsheet runs it as a formula"
    assert set(sessions[0]) - {"session_id", "acq_time"} <= set(
        json.loads((out / "x/sub-P1/sub-P1_sessions.json").read_text())
    )


def test_what_is_known_of_the_participants(tmp_path: Path) -> None:
    """Ages from 89 on are one group, and nothing singles out a patient."""
    for patient in ("P1", "P2", "P3", "P4"):
        put(tmp_path, make_timeline(SECONDS, patient), patient)
    summarize_folder(tmp_path)
    (tmp_path / "patients.csv").write_text(
        "\ufeffpatient_id;Age;sex;mmse;note;z;site\nP1;88,9;w;20;a;-1,5;A\nP2;89;M;;b;0;A\n"
        "P3;102;w;11;c;2;A\nP9;71;m;3;d;2;B\n"
    )
    export(tmp_path, "bids", tmp_path / "x")
    rows = tsv(tmp_path / "x/participants.tsv")
    assert list(rows[0]) == ["participant_id", "patient_id", "age", "sex", "mmse", "z", "site"]
    assert [list(row.values())[1:] for row in rows] == [
        ["P1", "88.9", "female", "20", "-1.5", "A"],
        ["P2", "89+", "male", "n/a", "0", "A"],
        ["P3", "89+", "female", "11", "2", "A"],
        ["P4", *["n/a"] * 5],
    ]
    described = json.loads((tmp_path / "x/participants.json").read_text())
    assert list(described) == list(rows[0])
    assert described["age"]["Units"] == "year"
    assert described["sex"]["Levels"] == {"female": "female", "male": "male"}


def test_a_table_of_patients_that_can_t_be_used_is_left_out(out: Path) -> None:
    (out / "patients.csv").write_text("patient_id;name\nP1;Anna\n")
    export(out, "bids", out / "x")
    assert list(tsv(out / "x/participants.tsv")[0]) == ["participant_id", "patient_id"]


def test_every_name_in_bids_is_a_bids_name(out: Path) -> None:
    bids_validator = pytest.importorskip("bids_validator", reason="needs bids-validator")
    checks = bids_validator.BIDSValidator()
    for path in export(out, "bids", out / "x"):
        assert checks.is_bids(f"/{path.relative_to(out / 'x')}"), path


def test_labels_of_bids() -> None:
    assert labels([], "patients") == {}
    assert labels(["P.01_a", "P02"], "patients") == {"P.01_a": "P01a", "P02": "P02"}
    for same in (["P-1", "P1"], ["p1", "P1"]):
        with pytest.raises(InputError, match="would both be"):
            labels(same, "patients")


def test_ids_that_would_be_the_same_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for patient in ("P-1", "P1"):
        put(tmp_path, make_timeline(SECONDS, patient), patient)
    summarize_folder(tmp_path)
    with pytest.raises(InputError, match="P-1 and P1"):
        export(tmp_path, "bids", tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("kind", ["elan", "boris"])
def test_sessions_whose_files_would_have_one_name_are_refused(tmp_path: Path, kind: Format) -> None:
    for patient, session in (("A_B", "C"), ("A", "B_C")):
        put(tmp_path, make_timeline(SECONDS, patient, session), patient, session)
    summarize_folder(tmp_path)
    with pytest.raises(InputError, match="A_B C and A B_C would both get files named A_B_C"):
        export(tmp_path, kind, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert len(export(tmp_path, "bids", tmp_path / "x")) > 4, "there each has a folder"


def test_a_name_that_two_sessions_have_is_nobody_s(tmp_path: Path) -> None:
    for patient, session in (("A_B", "C"), ("A", "B_C"), ("A", "B")):
        put(tmp_path, make_timeline(SECONDS, patient, session), patient, session)
    names = session_names(tmp_path)
    with pytest.raises(InputError, match="A_B_C anna: may belong to session A B_C or A_B C"):
        names.find("A_B_C anna")
    assert names.find("A_B_anna") == (("A", "B"), "anna")
