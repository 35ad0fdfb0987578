"""exchange.rating_tables: columns that repeat, are missing or have the same meaning."""

import re
from pathlib import Path

import pytest
from rating_files import IDS, read, refused, stretches

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")


# --- tables


@pytest.mark.parametrize(
    "text",
    [
        "start_s,end_s,code,code\n1,5,happy,sad\n",
        "start_s,end_s,code,Code \n1,5,happy,sad\n",
        "observation id,behavior,behavior,start (s),stop (s)\nP012_S02,happy,sad,1,5\n",
        "observation id,behavior,status,time,time\nP012_S02,happy,START,1,5\n",
    ],
)
def test_two_columns_of_one_name_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text(text)
    assert "two columns have this name; keep one." in refused(path)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            "start_s,end_s,code,label",
            "row 1, code: 'code' and 'label' mean the same column; keep one, or begin",
        ),
        ("start_s,end_s,Emotion,code", "row 1, code: 'Emotion' and 'code' mean the same column"),
        ("start_s,end_s,code,onset", "row 1, start_s: 'start_s' and 'onset' mean the same column"),
    ],
)
def test_two_columns_of_one_meaning_are_both_named(tmp_path: Path, header: str, said: str) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text(f"{header}\n1,5,happy,happy\n")
    assert said in refused(path)


def test_other_columns_may_repeat(tmp_path: Path) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text("start_s,end_s,code,note,note,,\n1,5,happy,a,b,,\n")
    assert stretches(read(path)) == [(1, 5, "happy")]


def test_more_cells_than_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text("start_s,end_s,code\n1,5,happy\n1,5,3,5,happy\n")
    assert "row 3: more cells than the header has names" in refused(path)


def test_what_was_rated_has_columns(tmp_path: Path) -> None:
    path = tmp_path / "P012_S02_anna.csv"
    path.write_text("start_s,end_s,code,rated_from_s,rated_to_s\n1,5,happy,0,0:20\n,,,30,40\n6,7,sad,,\n")
    found = read(path, "none=neutral")
    assert found.ratings[0].rated == ((0, 20), (30, 40))
    assert stretches(found) == [(1, 5, "happy"), (6, 7, "sad")]


@pytest.mark.parametrize("cells", ["0,", ",20", "20,0", "x,20"])
def test_half_a_statement_of_what_was_rated_is_refused(tmp_path: Path, cells: str) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text(f"start_s,end_s,code,rated_from_s,rated_to_s\n1,5,happy,{cells}\n")
    assert "row 2" in refused(path)


def test_rows_of_another_session_than_the_file_s_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text("patient_id,session_id,start_s,end_s,code\nP012,S03,1,5,happy\n")
    assert "is named after P012 S02, but its rows are of P012 S03; rename it, or" in refused(path)
    path.write_text(path.read_text() + "P012,S02,6,7,sad\n")
    assert [one.ids for one in read(path).ratings] == [IDS, ("P012", "S03")]


@pytest.mark.parametrize("head", ["subject", "Person", "role"])
def test_a_plain_table_s_codes_of_others_are_not_the_patient_s(tmp_path: Path, head: str) -> None:
    path = tmp_path / "P012_S02_anna.csv"
    rows = f"start_s,end_s,code,{head}\n1,5,happy,P012\n"
    path.write_text(rows + "5,6,sad,carer\n")
    found = read(path)
    assert stretches(found) == [(1, 5, "happy")]
    assert found.notes[0] == (
        "P012_S02_anna.csv: codes of other subjects than the patient were left out: 'carer' (1)"
    )
    path.write_text(rows.replace("P012", "carer"))
    assert "P012 S02: codes only 'carer', not the patient" in refused(path)
    path.write_text(rows.replace("P012", "Mr B"))
    assert "the only subject is 'Mr B', whose codes are taken as the patient's" in read(path).notes[0]
    path.write_text(rows.replace("P012", "Mr B") + "5,6,sad,carer\n")
    assert "codes several people" in refused(path)
    path.write_text(rows.replace("P012", ""))
    assert not any("subject" in note for note in read(path).notes)


def test_a_table_without_a_row_is_told(tmp_path: Path) -> None:
    path = tmp_path / "P012_S02_anna.csv"
    path.write_text("start_s,end_s,code\n")
    found = read(path)
    assert found.notes == (
        "P012_S02_anna.csv: anna, P012 S02: no usable code, so this rating is not compared",
    )


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("start_s,end_s,code", "0,{},happy"),
        ("onset,offset,code", "0,{},happy"),
        ("start_s,end_s,code,rated_from_s,rated_to_s", "0,0.0001,happy,0,{}"),
        ("observation id,behavior,start (s),stop (s)", "P012_S02,happy,0,{}"),
        ("observation id,behavior,status,time", "P012_S02,happy,START,0\nP012_S02,happy,STOP,{}"),
    ],
)
def test_times_as_shares_of_a_day_are_refused(header: str, cells: str, tmp_path: Path) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text(f"{header}\n{cells.format('0.000011574')}\n")
    assert re.search(
        r"csv: row [23], .*: '0.000011574' looks like a share of a day, 0:00:01; ", refused(path)
    )
    path.write_text(f"{header}\n{cells.format('0.533333')}\n")
    read(path)
