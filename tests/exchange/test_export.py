"""Exports are complete, documented, readable by other programs, and equal when read back."""

import csv
import os
from datetime import datetime
from pathlib import Path

import openpyxl
import polars as pl
import pyarrow as pa
import pytest
from exports import SECONDS, names
from timelines import make_timeline, put

from pipeline.analysis.summaries import EPISODES_SCHEMA, read_episodes, summarize_folder
from pipeline.errors import InputError, OutputError, TimelineError
from pipeline.exchange.export import FORMATS, Format, export
from pipeline.exchange.manifest import LIST_FILE
from pipeline.exchange.tables import NamedTable, csv_files, derived_tables, dictionary, write_xlsx
from pipeline.store.paths import timeline_path

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")

pytestmark = pytest.mark.usefixtures("no_bak")


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
    with pytest.raises(OutputError, match=f"{path}: exists, and is not from an export; give another `out`"):
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
    with pytest.raises(OutputError, match=f"{LIST_FILE}: damaged list of exports; give another `out`"):
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


def test_numbers_have_no_noise_of_binary_fractions(tmp_path: Path) -> None:
    single = pa.array([0.1, 7.6], pa.float32())
    named = [
        NamedTable("t", pa.table({"time_s": [0.1 + 0.2, 38 * 0.2], "p": single, "x": [1e-9 / 3, 3600.2]}))
    ]
    assert repr(38 * 0.2) == "7.6000000000000005"
    for decimal, lines in (
        ("point", ["0.3,0.1,3.333333333e-10", "7.6,7.6,3600.2"]),
        ("comma", ["0,3;0,1;3,333333333e-10", "7,6;7,6;3600,2"]),
    ):
        assert csv_files(named, decimal)["t.csv"](tmp_path / "t.csv").read_text().splitlines()[1:] == lines
    sheet = openpyxl.load_workbook(write_xlsx(named, tmp_path / "x.xlsx"))["t"]
    assert [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)] == [
        [0.3, 0.1, 3.333333333e-10],
        [7.6, 7.6, 3600.2],
    ]


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


def test_a_date_without_a_time_of_day_is_written_as_a_date(tmp_path: Path) -> None:
    dates = pa.array([datetime(2026, 3, 2), datetime(2026, 3, 2, 10, 30), None], pa.timestamp("ms"))
    named = [NamedTable("t", pa.table({"recorded_at": dates}))]
    (write,) = csv_files(named).values()
    assert write(tmp_path / "t.csv").read_text().splitlines() == [
        "recorded_at",
        "2026-03-02",
        "2026-03-02 10:30:00",
        "",
    ]
    sheet = openpyxl.load_workbook(write_xlsx(named, tmp_path / "x.xlsx"))["t"]
    assert [sheet[f"A{row}"].number_format for row in (2, 3)] == ["yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"]
