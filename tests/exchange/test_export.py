"""What other programs get: complete, described, opened by them, and read back as it was."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pyarrow as pa
import pytest
from boris_without_screen import AGGREGATED
from lxml import etree
from timelines import make_timeline, put

from pipeline.agreement.compare import agree
from pipeline.analysis.summaries import EPISODES_SCHEMA, RAW, read_episodes, summarize_folder
from pipeline.errors import InputError, OutputError, TimelineError
from pipeline.exchange.bids import labels
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import session_names
from pipeline.exchange.export import FORMATS, Format, export
from pipeline.exchange.manifest import LIST_FILE
from pipeline.exchange.ratings import Ratings, read_ratings
from pipeline.exchange.tables import NamedTable, csv_files, derived_tables, dictionary, write_xlsx
from pipeline.records import EMOTIONS
from pipeline.store.paths import timeline_path

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")

SECONDS = [("happy", 50), ("neutral", 51), ("no_face", 25), ("sad", 33), ("happy", 17)]
PARTS = [{"name": "a b.mp4", "sha256": "", "start_s": 0.0}, {"name": "c.mp4", "sha256": "", "start_s": 20.0}]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two sessions of a patient; the second lies in two files and has a date and a condition."""
    first, second = make_timeline(SECONDS), make_timeline(SECONDS, session_id="S2")
    session = {**second.metadata["session"], "recorded_at": "2026-03-02T10:30:00", "condition": "=music"}
    more = {"session": session, "video": {**second.metadata["video"], "files": PARTS}}
    put(tmp_path, first)
    put(tmp_path, make_timeline(SECONDS, session_id="S2", **more), session_id="S2")
    summarize_folder(tmp_path)
    return tmp_path


def read_back(out: Path, *paths: Path, codes: str | None = None) -> Ratings:
    return read_ratings(paths, session_names(out), read_codes(codes))


def assert_the_same_episodes(out: Path, ratings: Ratings) -> None:
    """To the millisecond; and whoever says so agrees with the episodes in every second that was seen."""
    assert [one.session_id for one in ratings.ratings] == ["S1", "S2"]
    for one in ratings.ratings:
        own = read_episodes(out, *one.ids).filter(pl.col("reading") == RAW)
        theirs = [
            (stretch.label, round(1000 * stretch.start_s), round(1000 * stretch.end_s))
            for stretch in one.stretches
        ]
        ours = [
            (e, round(1000 * start), round(1000 * end))
            for e, start, end in own.select("emotion", "start_s", "end_s").rows()
        ]
        assert theirs == ours
        assert len(theirs) >= 4
    found = agree(out, ratings)
    compared = [one for one in found.comparisons if one.first.name == "machine, episodes"]
    assert [one.kappa.value for one in compared] == [1, 1]
    assert all(matched.first.well_met.value == 1 for one in compared for matched in one.episodes)


# --- nothing


@pytest.mark.parametrize("kind", FORMATS)
def test_without_summaries_it_is_said_what_to_do(tmp_path: Path, kind: Format) -> None:
    put(tmp_path, make_timeline(SECONDS))
    with pytest.raises((InputError, TimelineError), match="emonext summarize"):
        export(tmp_path, kind, tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_session_in_which_nobody_was_seen_has_no_episodes(tmp_path: Path, kind: Format) -> None:
    put(tmp_path, make_timeline([("no_face", 50)]))
    summarize_folder(tmp_path)
    assert export(tmp_path, kind, tmp_path / "x")


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_written_is_its_owner_s(out: Path, kind: Format) -> None:
    written = export(out, kind, out / "exports")
    assert written
    assert all(path.stat().st_mode & 0o077 == 0 for path in written)
    assert not list(out.rglob("*.partial"))


# --- again, and beside other files

REPLACED: tuple[Format, ...] = ("csv", "xlsx", "bids")


def names(folder: Path) -> set[str]:
    """Of files and folders."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("kind", REPLACED)
@pytest.mark.parametrize("link", [False, True])
def test_no_other_file_is_overwritten(out: Path, kind: Format, link: bool) -> None:
    path = out / "y" / export(out, kind, out / "x")[-1].relative_to(out / "x")
    path.parent.mkdir(parents=True)
    if link:
        path.symlink_to("nowhere")
    else:
        path.write_text("by hand")
    before = names(out / "y")
    with pytest.raises(OutputError, match=f"{path}: is there, and not from an export; give another --out"):
        export(out, kind, out / "y")
    assert names(out / "y") == before
    assert link or path.read_text() == "by hand"


@pytest.mark.parametrize("kind", REPLACED)
def test_an_export_is_replaced_by_the_next(out: Path, kind: Format) -> None:
    first = export(out, kind, out / "x")
    (out / "x" / "mine.csv").write_text("by hand")
    first[0].write_text("of the first")
    assert export(out, kind, out / "x") == first
    assert first[0].read_bytes() != b"of the first"
    assert (out / "x" / "mine.csv").read_text() == "by hand"


def test_what_an_export_has_no_longer_goes(out: Path) -> None:
    events = out / "summaries" / "events.parquet"
    pa.parquet.write_table(pa.table({"x": [1]}), events)
    for kind in REPLACED:
        export(out, kind, out / "x")
    (out / "x" / "sub-P1" / "ses-S2" / "mine.txt").write_text("by hand")
    before = names(out / "x")
    events.unlink()
    timeline_path(out, "P1", "S2").unlink()
    summarize_folder(out)
    for kind in REPLACED:
        export(out, kind, out / "x")
    beh = "sub-P1/ses-S2/beh"
    gone = {"events.csv", beh, *(f"{beh}/sub-P1_ses-S2_task-care_events.{end}" for end in ("tsv", "json"))}
    assert before - names(out / "x") == gone
    assert names(out / "x") < before


def test_an_export_that_was_stopped_is_done_by_doing_it_again(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace
    left = iter(range(6))

    def stops(*paths: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        replace(*paths)

    monkeypatch.setattr(os, "replace", stops)
    with pytest.raises(KeyboardInterrupt):
        export(out, "bids", out / "x")
    monkeypatch.undo()
    assert len(names(out / "x")) > 6
    assert all(path.is_file() for path in export(out, "bids", out / "x"))


@pytest.mark.parametrize(
    "listed",
    [
        "",
        "[]",
        '{"csv": 1}',
        '{"csv": [1]}',
        '{"csv": ["../a.txt"]}',
        '{"csv": ["link/a.txt"]}',
        '{"csv": ["/a"]}',
    ],
)
def test_a_list_that_names_other_files_removes_none(out: Path, listed: str) -> None:
    (out / "a.txt").write_text("by hand")
    (out / "x").mkdir()
    (out / "x" / "link").symlink_to(out)
    (out / "x" / LIST_FILE).write_text(listed)
    with pytest.raises(OutputError, match=f"{LIST_FILE}: not as an export writes it; give another --out"):
        export(out, "csv", out / "x")
    assert (out / "a.txt").read_text() == "by hand"
    assert names(out / "x") == {"link", LIST_FILE}


# --- tables


def test_csv_holds_every_table_and_what_its_columns_mean(out: Path) -> None:
    paths = {path.name: path for path in export(out, "csv", out / "x")}
    assert list(paths) == ["sessions.csv", "measures.csv", "episodes.csv", "dictionary.csv"]
    sessions = pl.read_csv(paths["sessions.csv"], try_parse_dates=True)
    assert sessions["duration_s"].to_list() == pytest.approx([35.2, 35.2])
    assert sessions["recorded_at"].to_list() == [None, datetime(2026, 3, 2, 10, 30)]
    assert sessions["condition"].to_list() == [None, "'=music"], "no spreadsheet runs it as a formula"
    assert sessions["enough"].to_list() == [True, True]
    episodes = pl.read_csv(paths["episodes.csv"])
    own = pl.concat([read_episodes(out, "P1", session) for session in ("S1", "S2")])
    assert episodes["start_s"].to_list() == pytest.approx(own["start_s"].to_list())
    said = pl.read_csv(paths["dictionary.csv"])
    start = said.filter(table="episodes", column="start_s").to_dicts()[0]
    field = EPISODES_SCHEMA.field("start_s").metadata
    assert (start["type"], start["unit"], start["meaning"].encode()) == ("number", "s", field[b"meaning"])
    for name in ("sessions", "measures", "episodes"):
        own = said.filter(table=name)
        assert own["column"].to_list() == pl.read_csv(paths[f"{name}.csv"]).columns
        assert own["meaning"].null_count() == 0


def test_other_tables_of_the_summaries_come_too(out: Path) -> None:
    table = pa.table({"x": [1]}, pa.schema([pa.field("x", pa.int8(), metadata={"meaning": "a thing"})]))
    pa.parquet.write_table(table, out / "summaries" / "scales.parquet")
    assert [one.name for one in derived_tables(out)] == ["sessions", "measures", "episodes", "scales"]


def test_the_workbook_opens_with_dates_as_dates_and_texts_as_texts(out: Path) -> None:
    (path,) = export(out, "xlsx", out / "x")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["sessions", "measures", "episodes", "dictionary"]
    sheet = book["sessions"]
    assert sheet.freeze_panes == "A2"
    rows = [dict(zip([c.value for c in sheet[1]], row, strict=True)) for row in sheet.iter_rows(min_row=2)]
    assert rows[1]["recorded_at"].value == datetime(2026, 3, 2, 10, 30)
    assert rows[1]["recorded_at"].is_date
    assert (rows[1]["condition"].value, rows[1]["condition"].data_type) == ("=music", "s")
    assert (rows[0]["enough"].value, rows[0]["recorded_at"].value) == (True, None)
    assert isinstance(rows[0]["coverage"].value, float)
    assert sheet.max_row == 3
    assert book["dictionary"].max_row == 1 + sum(len(one.table.column_names) for one in derived_tables(out))


def test_what_no_sheet_can_hold_is_refused(tmp_path: Path) -> None:
    long = NamedTable("long", pa.table({"x": pa.nulls(2**20, pa.int8())}))
    with pytest.raises(OutputError, match="export as csv"):
        write_xlsx([long], tmp_path / "x.xlsx")
    assert not list(tmp_path.iterdir())


def test_hostile_texts_and_numbers_that_are_none(tmp_path: Path) -> None:
    table = pa.table({"=a": ["=1+1", "http://x", None], "b": [float("nan"), float("inf"), -1.5]})
    named = [NamedTable("t", table)]
    written = csv_files(named)["t.csv"](tmp_path / "t.csv").read_text()
    assert list(csv.reader(written.splitlines()))[1:] == [["'=1+1", ""], ["http://x", ""], ["", "-1.5"]]
    sheet = openpyxl.load_workbook(write_xlsx(named, tmp_path / "x.xlsx"))["t"]
    assert [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)] == [
        ["=1+1", None],
        ["http://x", None],
        [None, -1.5],
    ]
    assert sheet["A2"].data_type == "s"
    assert sheet["A3"].hyperlink is None
    assert dictionary(named)[0]["meaning"] == ""


# --- ELAN

ORDER = [
    *("LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT"),
    *("CONTROLLED_VOCABULARY", "LEXICON_REF", "REF_LINK_SET", "EXTERNAL_REF"),
]
"""The parts of an annotation document, in the order that its schema demands."""


def ids(root: Any, path: str, name: str) -> list[str]:
    return [element.get(name) for element in root.iterfind(path)]


@pytest.mark.parametrize("session", ["S1", "S2"])
def test_an_elan_file_keeps_the_rules_of_its_schema(out: Path, session: str) -> None:
    """Those of EAF 3.0: order, what must be there, unique ids, and references that lead somewhere."""
    export(out, "elan", out / "x")
    root = etree.parse(out / "x" / f"P1_{session}.eaf").getroot()
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert {"DATE", "AUTHOR", "VERSION"} <= set(root.attrib)
    assert datetime.fromisoformat(root.get("DATE")).tzinfo is not None
    places = [ORDER.index(child.tag) for child in root]
    assert places == sorted(places)
    assert places.count(ORDER.index("HEADER")) == places.count(ORDER.index("TIME_ORDER")) == 1
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"
    for media in root.iterfind("HEADER/MEDIA_DESCRIPTOR"):
        assert {"MEDIA_URL", "MIME_TYPE"} <= set(media.attrib)
    slots = ids(root, "TIME_ORDER/TIME_SLOT", "TIME_SLOT_ID")
    times = [int(value) for value in ids(root, "TIME_ORDER/TIME_SLOT", "TIME_VALUE")]
    annotations = list(root.iterfind("TIER/ANNOTATION/ALIGNABLE_ANNOTATION"))
    assert annotations
    assert times == sorted(times)
    assert min(times) >= 0
    kinds, languages = ids(root, "LINGUISTIC_TYPE", "LINGUISTIC_TYPE_ID"), ids(root, "LANGUAGE", "LANG_ID")
    vocabularies = ids(root, "CONTROLLED_VOCABULARY", "CV_ID")
    stereotypes = ids(root, "CONSTRAINT", "STEREOTYPE")
    # those of type xsd:ID are unique over the whole file, and none begins with a digit
    unique = slots + [one.get("ANNOTATION_ID") for one in annotations] + languages + stereotypes
    assert len(set(unique)) == len(unique)
    assert all(name[0].isalpha() and " " not in name for name in unique)
    for one in (kinds, vocabularies, ids(root, "TIER", "TIER_ID")):
        assert len(set(one)) == len(one)
    assert set(ids(root, "TIER", "LINGUISTIC_TYPE_REF")) <= set(kinds)
    assert set(ids(root, "LINGUISTIC_TYPE", "CONTROLLED_VOCABULARY_REF")) <= set(vocabularies)
    for vocabulary in root.iterfind("CONTROLLED_VOCABULARY"):
        assert [child.tag for child in vocabulary] == ["CV_ENTRY_ML"] * len(EMOTIONS)
        assert [value.text for value in vocabulary.iterfind("CV_ENTRY_ML/CVE_VALUE")] == list(EMOTIONS)
        assert set(ids(vocabulary, "CV_ENTRY_ML/CVE_VALUE", "LANG_REF")) <= set(languages)
    for one in annotations:
        assert [child.tag for child in one] == ["ANNOTATION_VALUE"]
        begin, end = (slots.index(one.get(name)) for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2"))
        assert times[begin] < times[end]


def test_an_elan_file_is_valid_by_its_schema(out: Path, shared: Path) -> None:
    path = shared / "schemas" / "EAFv3.0.xsd"
    if not path.is_file():
        pytest.skip("the schema of ELAN's files is not on this machine")
    schema = etree.XMLSchema(etree.parse(path))
    for file in export(out, "elan", out / "x"):
        assert schema.validate(etree.parse(file)), schema.error_log


def test_elan_round_trip(out: Path) -> None:
    export(out, "elan", out / "x")
    assert_the_same_episodes(out, read_back(out, out / "x"))


def test_an_elan_file_leads_to_the_first_of_several_videos(out: Path) -> None:
    export(out, "elan", out / "x")
    root = etree.parse(out / "x" / "P1_S2.eaf").getroot()
    assert ids(root, "HEADER/MEDIA_DESCRIPTOR", "RELATIVE_MEDIA_URL") == ["./a%20b.mp4"]


@pytest.mark.parametrize("kind", ["elan", "boris"])
def test_what_somebody_may_have_corrected_is_not_overwritten(out: Path, kind: Format) -> None:
    *_, last = export(out, kind, out / "x")
    last.write_text("corrected")
    with pytest.raises(OutputError, match="perhaps with a rater's corrections"):
        export(out, kind, out / "x")
    assert last.read_text() == "corrected"


def test_a_reading_that_no_session_has_is_refused(out: Path) -> None:
    with pytest.raises(InputError, match="no session has a reading corrected"):
        export(out, "elan", out / "x", "corrected")
    assert not (out / "x").exists()


def test_the_corrected_reading(made_study: Path, tmp_path: Path) -> None:
    assert len(export(made_study, "elan", tmp_path, "corrected")) == 96
    own = read_episodes(made_study, "P03", "S01").filter(pl.col("reading") == "corrected")
    root = etree.parse(tmp_path / "P03_S01.eaf").getroot()
    assert [one.text for one in root.iterfind("TIER/ANNOTATION/*/ANNOTATION_VALUE")] == own[
        "emotion"
    ].to_list()


# --- BORIS


def test_boris_round_trip(out: Path) -> None:
    (path,) = export(out, "boris", out / "x")
    assert_the_same_episodes(out, read_back(out, path))
    project = json.loads(path.read_text())
    assert [one["code"] for one in project["behaviors_conf"].values()] == list(EMOTIONS)
    assert len({one["key"] for one in project["behaviors_conf"].values()}) == len(EMOTIONS)
    second = project["observations"]["P1_S2"]
    assert second["file"]["1"] == ["a b.mp4", "c.mp4"]
    assert second["media_info"]["length"] == pytest.approx({"a b.mp4": 20, "c.mp4": 15.2})
    assert second["date"] == "2026-03-02T10:30:00.000"


def test_boris_s_own_code_opens_checks_and_exports_the_project(out: Path) -> None:
    if importlib.util.find_spec("boris") is None:
        pytest.skip("needs boris-behav-obs (without its dependencies: pip install --no-deps)")
    (path,) = export(out, "boris", out / "x")
    folder = out / "by_boris"
    folder.mkdir()
    program = Path(__file__).parents[1] / "support" / "boris_without_screen.py"
    command = [sys.executable, program, path, folder]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    assert (found["error"], found["message"], found["changed"], found["integrity"]) == ("", "", False, "")
    assert found["paired"] == [[True, "No problem detected"]] * 2
    assert found["exports"] == [[True, ""]] * 2
    tabular, aggregated = sorted(folder.glob("*.tsv")), sorted(folder.glob("*.csv"))
    for files in (tabular, aggregated):
        assert len(files) == 2
        assert_the_same_episodes(out, read_back(out, *files))
    assert len(AGGREGATED) == len(aggregated[0].read_text().splitlines()[1].split(","))


# --- BIDS


def tsv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(), delimiter="\t"))


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
    with pytest.raises(InputError, match="A_B_C anna: can be session A B_C or A_B C"):
        names.find("A_B_C anna")
    assert names.find("A_B_anna") == (("A", "B"), "anna")


@pytest.fixture(autouse=True)
def _no_bak(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.rglob("*.bak"))
