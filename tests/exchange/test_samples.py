"""Samples of each session as CSV and Excel: every row, every digit, and texts that stay texts."""

from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from timelines import make_timeline, put

from pipeline.analysis.summaries import read_measures, summarize_folder
from pipeline.errors import InputError, OutputError
from pipeline.exchange.export import export
from pipeline.exchange.samples import sample_files
from pipeline.exchange.tables import NamedTable, write_csv, write_xlsx
from pipeline.records import EMOTIONS
from pipeline.store.paths import timeline_path
from pipeline.store.spreadsheet import Decimal, keep_decimal
from pipeline.store.timeline import TIMELINE_SCHEMA, read_timeline

P = [f"p_{name}" for name in EMOTIONS]


def written(out: Path, decimal: Decimal, session: str = "S2") -> Path:
    keep_decimal(out, decimal)
    export(out, "csv", out / "x", samples=True)
    return out / "x" / "timelines" / f"P1_{session}.csv"


@pytest.mark.parametrize("decimal", ["point", "comma"])
def test_every_sample_is_a_row_with_the_numbers_of_the_timeline(out: Path, decimal: Decimal) -> None:
    path, own = written(out, decimal), read_timeline(timeline_path(out, "P1", "S2")).rows
    form = {"separator": ";", "decimal_comma": True} if decimal == "comma" else {}
    found = pl.read_csv(path, **form, try_parse_dates=True, infer_schema_length=None)
    assert own["time_s"][3] == 0.6000000000000001
    assert found["time_s"].to_list() == own["time_s"].round(9).to_list(), "without the noise"
    assert found["status"].to_list() == own["status"].to_list()
    assert found["emotion"].to_list() == own["emotion"].to_list()
    assert set(TIMELINE_SCHEMA.names) <= set(found.columns)
    for name in P:
        assert found[name].cast(pl.Float32).to_list() == own[name].to_list()
    largest = own.select(pl.max_horizontal(P)).to_series()
    assert found["confidence"].cast(pl.Float32).to_list() == largest.to_list()
    unseen = found.filter(pl.col("status") == "no_face")
    assert unseen.height == 25
    assert unseen.select("emotion", "confidence", *P, "valence").null_count().row(0) == (25,) * 10


@pytest.mark.parametrize("decimal", ["point", "comma"])
def test_pandas_reads_numbers_and_times(out: Path, decimal: Decimal) -> None:
    path = written(out, decimal)
    mark, cells = (",", ";") if decimal == "comma" else (".", ",")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf") == (decimal == "comma"), "Excel needs it, R does not"
    found = pd.read_csv(path, sep=cells, decimal=mark, parse_dates=["clock"])
    assert found["time_s"].dtype == found["p_happy"].dtype == np.float64
    assert found["clock"].iloc[0] == datetime(2026, 3, 2, 10, 30)
    whole = found["time_s"] // 1
    assert ((found["clock"] - datetime(2026, 3, 2, 10, 30)).dt.total_seconds() == whole).all()
    assert found["condition"].eq("'=music").all(), "no spreadsheet runs it as a formula"
    assert path.read_text("utf-8-sig").splitlines()[1].split(cells)[3] == "2026-03-02 10:30:00"


def test_seconds_add_up_to_the_measured_share(out: Path) -> None:
    found = pl.read_csv(written(out, "point"))
    seen = found.filter(pl.col("emotion").is_not_null())
    share = seen.filter(emotion="happy")["seconds"].sum() / seen["seconds"].sum()
    measures = read_measures(out).filter(session_id="S2", reading="raw", measure="share", of="happy")
    assert share == pytest.approx(measures["value"].item(), abs=1e-6)


def test_without_a_time_of_day_there_is_no_clock(out: Path) -> None:
    assert pl.read_csv(written(out, "point", "S1"))["clock"].null_count() == 176


def test_the_dictionary_has_every_column(out: Path) -> None:
    path = written(out, "point")
    said = pl.read_csv(path.parents[1] / "dictionary.csv").filter(table="timelines")
    assert said["column"].to_list() == pl.read_csv(path).columns
    assert said["meaning"].null_count() == 0


def test_readings_stand_beside_the_raw_one(tmp_path: Path) -> None:
    """A patient whose calm face is read as sad: corrected, the calm samples are neutral."""
    for session, condition in (("S1", "baseline"), ("S2", "")):
        calm = make_timeline([("sad", 700)], session_id=session)
        more = {"session": {**calm.metadata["session"], "condition": condition}}
        put(tmp_path, make_timeline([("sad", 700)], session_id=session, **more), session_id=session)
    put(tmp_path, make_timeline([("sad", 5)], patient_id="P2"), patient_id="P2")
    summarize_folder(tmp_path)
    export(tmp_path, "csv", tmp_path / "x", samples=True)
    found = pl.read_csv(tmp_path / "x" / "timelines" / "P1_S2.csv")
    assert set(found["emotion"]) == {"sad"}
    assert set(found["emotion_corrected"]) == {"neutral"}
    sums = found.select(pl.sum_horizontal(f"{name}_corrected" for name in P)).to_series()
    assert sums.to_list() == pytest.approx([1] * 700, abs=1e-6)
    other = pl.read_csv(tmp_path / "x" / "timelines" / "P2_S1.csv")
    assert other.columns == found.columns, "tables of all sessions can be stacked"
    assert other["emotion_corrected"].null_count() == 5
    assert "emotion_adapted" not in found.columns


def test_a_workbook_of_a_session_has_dates_and_texts(out: Path) -> None:
    export(out, "xlsx", out / "x", samples=True)
    sheet = openpyxl.load_workbook(out / "x" / "timelines" / "P1_S2.xlsx")["timeline"]
    head = [cell.value for cell in sheet[1]]
    first = dict(zip(head, sheet[2], strict=True))
    assert sheet.max_row == 1 + 176
    assert (first["clock"].value, first["clock"].is_date) == (datetime(2026, 3, 2, 10, 30), True)
    assert (first["condition"].value, first["condition"].data_type) == ("=music", "s")
    own = read_timeline(timeline_path(out, "P1", "S2")).rows
    shown = [row[head.index("time_s")].value for row in sheet.iter_rows(min_row=2)]
    assert shown == pytest.approx(own["time_s"].to_list(), abs=1e-12)
    assert first["p_happy"].value == float(str(own["p_happy"].to_numpy()[0])), "0.1, not 0.1000000015"
    assert {path.suffix for path in (out / "x").rglob("*") if path.is_file()} == {".xlsx", ".json"}


def test_the_next_export_without_samples_takes_them_away(out: Path) -> None:
    path = written(out, "point")
    export(out, "csv", out / "x")
    assert not path.parent.exists()


def test_a_session_is_read_only_when_its_file_is_written(out: Path) -> None:
    """So that memory holds one session at a time."""
    _, files = sample_files(out, "csv", "point")
    timeline_path(out, "P1", "S1").unlink()
    assert files["timelines/P1_S2.csv"](out / "a.csv").exists()


def test_two_sessions_never_share_a_file(tmp_path: Path) -> None:
    for ids in (("P1", "A_B"), ("P1_A", "B")):
        put(tmp_path, make_timeline([("happy", 5)], patient_id=ids[0], session_id=ids[1]), *ids)
    summarize_folder(tmp_path)
    with pytest.raises(InputError, match="P1_A"):
        export(tmp_path, "csv", tmp_path / "x", samples=True)


@pytest.mark.parametrize("name", ["007", "1e5", "1.10", "3-12", "12345678901234567", "2026-03-01"])
def test_an_id_like_a_number_stays_a_text(name: str, tmp_path: Path) -> None:
    rows = pl.DataFrame({"patient_id": [name, "P1", "12"], "value": [1.5, 2.5, 3.5]})
    path = write_csv(rows, "point", tmp_path / "x.csv")
    assert pd.read_csv(path)["patient_id"].to_list() == [f"'{name}", "P1", "12"]
    book = write_xlsx([NamedTable("t", rows.to_arrow())], tmp_path / "x.xlsx")
    cell = openpyxl.load_workbook(book)["t"]["A2"]
    assert (cell.value, cell.data_type) == (name, "s")


def test_a_text_that_no_cell_holds_is_refused(tmp_path: Path) -> None:
    table = NamedTable("t", pa.table({"x": ["a" * 32_768]}))
    with pytest.raises(OutputError, match="export as csv"):
        write_xlsx([table], tmp_path / "x.xlsx")
    assert not list(tmp_path.iterdir())
