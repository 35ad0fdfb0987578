"""Changed cells of a list: every other character stays as it was."""

from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.comments import Comment

from pipeline.analysis.events import column_name
from pipeline.processing.edited_list import add_rows, set_cells
from pipeline.store.spreadsheet import read_table


def listed(folder: Path, content: bytes, name: str = "sessions.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a;exclude\n1;\n2;x\n", b"a;exclude\n1;5-6\n2;x\n"),
        (b"\xef\xbb\xbfa;exclude\r\n1;3-4\r\n", b"\xef\xbb\xbfa;exclude\r\n1;5-6\r\n"),
        (b"sep=,\r\na,Exclude \r\n1,\r\n", b"sep=,\r\na,Exclude \r\n1,5-6\r\n"),
        (b'a,exclude,x_b\n"1,5",,"say ""so""\nand on"\n', b'a,exclude,x_b\n"1,5",5-6,"say ""so""\nand on"\n'),
        (b"a;b\n1;2\n3;4", b"a;b;exclude\n1;2;5-6\n3;4"),
        (b"a;exclude\n1", b"a;exclude\n1;5-6"),
    ],
    ids=["plain", "Excel", "separator", "quotes", "no such column", "short row"],
)
def test_one_cell_changes(tmp_path: Path, before: bytes, after: bytes) -> None:
    assert set_cells(listed(tmp_path, before), "exclude", {2: "5-6"}) == after


def test_a_cell_with_the_separator_is_quoted(tmp_path: Path) -> None:
    path = listed(tmp_path, b"a;exclude\n\n1;\n")
    content = set_cells(path, "exclude", {3: "5-6;8-9"})  # row 2 is empty
    assert content == b'a;exclude\n\n1;"5-6;8-9"\n'
    assert read_table(listed(tmp_path, content))[-1] == (3, ["1", "5-6;8-9"])


def test_rows_are_added_below_their_columns(tmp_path: Path) -> None:
    path = listed(tmp_path, b"What,Session,Time\r\nsong,S1,0:10\r\n", "events.csv")
    rows = [{"session_id": "S2", "time_s": "3.5", "what": "a, b", "patient_id": "P1", "x_end_s": ""}]
    content = add_rows(path, rows, column_name)
    assert content == b'What,Session,Time,patient_id\r\nsong,S1,0:10\r\n"a, b",S2,3.5,P1\r\n'


def test_a_row_after_a_line_without_an_end(tmp_path: Path) -> None:
    path = listed(tmp_path, b"session_id;time_s;what\nS1;1;a", "events.csv")
    row = {"session_id": "S1", "time_s": "2", "what": "=cmd()"}
    assert add_rows(path, [row], column_name) == b"session_id;time_s;what\nS1;1;a\nS1;2;'=cmd()\n"


def test_a_workbook_keeps_formulas_and_comments(tmp_path: Path) -> None:
    book = Workbook()
    book.active.title = "Sessions"
    for row in (["patient_id", "x_sum"], ["P1", "=1+1"], ["P2", None]):
        book.active.append(row)
    book.active["A2"].comment = Comment("look at this", "a coordinator")
    book.create_sheet("own")["B2"] = "kept"
    path = tmp_path / "sessions.xlsx"
    book.save(path)
    # as Excel would have stored it; a formula without a value is refused
    book.active["B2"] = 2
    book.save(path)
    path.write_bytes(set_cells(path, "exclude", {3: "10-12"}))
    changed = load_workbook(path)
    sheet = changed["Sessions"]
    assert [[cell.value for cell in row] for row in sheet] == [
        ["patient_id", "x_sum", "exclude"],
        ["P1", 2, None],
        ["P2", None, "10-12"],
    ]
    assert sheet["C3"].number_format == "@"
    assert sheet["A2"].comment.text == "look at this"
    assert changed["own"]["B2"].value == "kept"
