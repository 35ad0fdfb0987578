"""Changed cells of a list: every other character stays as it was."""

from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.comments import Comment

from pipeline.analysis.events import column_name
from pipeline.processing.edited_list import edited_list
from pipeline.store.spreadsheet import plain, read_table


def listed(folder: Path, content: bytes, name: str = "sessions.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a;exclude\n1;\n2;x\n", b"a;exclude\n1;'5-6\n2;x\n"),
        (b"\xef\xbb\xbfa;exclude\r\n1;3-4\r\n", b"\xef\xbb\xbfa;exclude\r\n1;'5-6\r\n"),
        (b"sep=,\r\na,Exclude \r\n1,\r\n", b"sep=,\r\na,Exclude \r\n1,'5-6\r\n"),
        (
            b'a,exclude,x_b\n"1,5",,"say ""so""\nand on"\n',
            b'a,exclude,x_b\n"1,5",\'5-6,"say ""so""\nand on"\n',
        ),
        (b"a;b\n1;2\n3;4", b"a;b;exclude\n1;2;'5-6\n3;4"),
        (b"a;exclude\n1", b"a;exclude\n1;'5-6"),
    ],
    ids=["plain", "Excel", "separator", "quotes", "no such column", "short row"],
)
def test_one_cell_changes(tmp_path: Path, before: bytes, after: bytes) -> None:
    assert edited_list(listed(tmp_path, before), {2: {"exclude": "5-6"}}) == after


def test_a_cell_with_the_separator_is_quoted(tmp_path: Path) -> None:
    path = listed(tmp_path, b"a;exclude\n\n1;\n")
    content = edited_list(path, {3: {"exclude": "5-6;8-9"}})  # row 2 is empty
    assert content == b'a;exclude\n\n1;"5-6;8-9"\n'
    assert read_table(listed(tmp_path, content))[-1] == (3, ["1", "5-6;8-9"])


def test_rows_are_added_below_their_columns(tmp_path: Path) -> None:
    path = listed(tmp_path, b"What,Session,Time\r\nsong,S1,0:10\r\n", "events.csv")
    rows = [{"session_id": "S2", "time_s": "3.5", "what": "a, b", "patient_id": "P1", "x_end_s": ""}]
    content = edited_list(path, {}, rows, column_name)
    assert content == b'What,Session,Time,patient_id\r\nsong,S1,0:10\r\n"a, b",S2,3.5,P1\r\n'


def test_a_row_after_a_line_without_an_end(tmp_path: Path) -> None:
    path = listed(tmp_path, b"session_id;time_s;what\nS1;1;a", "events.csv")
    row = {"session_id": "S1", "time_s": "2", "what": "=cmd()"}
    assert edited_list(path, {}, [row], column_name) == b"session_id;time_s;what\nS1;1;a\nS1;2;'=cmd()\n"


LIST = (
    "\ufeffsep=;\r\nPatient_ID;session_id;video;x_mine;notes\r\n"
    'P1;S1;a.mp4;"kept";12,5\r\n\r\nP2;;b.mp4;;\'=1+1'
)


@pytest.mark.parametrize(
    "text", [LIST, LIST.replace(";", ","), LIST.replace("\r\n", "\n"), LIST[1:], LIST + "\n"]
)
def test_without_a_change_every_character_stays(tmp_path: Path, text: str) -> None:
    assert edited_list(listed(tmp_path, text.encode()), {}) == text.encode()


def test_only_the_changed_cell_is_written_again(tmp_path: Path) -> None:
    """Other cells keep their quotes and the protection of a formula; rows count as in a spreadsheet."""
    content = edited_list(listed(tmp_path, LIST.encode()), {2: {"notes": "x"}, 4: {"session_id": "S1"}})
    assert content.decode() == LIST.replace("12,5", "x").replace("P2;;b", "P2;S1;b")


def test_a_cell_with_a_mark_of_the_format_is_quoted_and_a_formula_protected(tmp_path: Path) -> None:
    path = listed(tmp_path, b"session_id,notes\nS1,\nS2,\n")
    content = edited_list(path, {2: {"notes": 'a,"b'}, 3: {"notes": "=1+1"}})
    assert content == b'session_id,notes\nS1,"a,""b"\nS2,\'=1+1\n'


def test_a_missing_column_is_added_only_for_a_value(tmp_path: Path) -> None:
    path = listed(tmp_path, b"video;session_id\na.mp4;S1\nb.mp4\n")
    assert edited_list(path, {2: {"consent": ""}}) == path.read_bytes()
    content = edited_list(path, {2: {"consent": "yes"}}, [{"video": "c.mp4"}])
    assert content == b"video;session_id;consent\na.mp4;S1;yes\nb.mp4\nc.mp4\n"


def test_a_cell_with_line_breaks_is_one_row(tmp_path: Path) -> None:
    path = listed(tmp_path, b'video,notes\na.mp4,"one\ntwo"\nb.mp4,\n')
    assert edited_list(path, {3: {"notes": "x"}}) == path.read_bytes().replace(b"b.mp4,", b"b.mp4,x")


def test_a_text_like_a_formula_is_none_in_a_workbook(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["patient_id", "condition"])
    path = tmp_path / "sessions.xlsx"
    book.save(path)
    path.write_bytes(edited_list(path, {}, [{"patient_id": "P1", "condition": "=1+1"}]))
    assert load_workbook(path).active["B2"].data_type == "s"
    assert read_table(path)[1] == (2, ["P1", "=1+1"])


@pytest.mark.parametrize(
    ("cell", "written"), [("3.5", "3.5"), ("0", "0"), ("007", "'007"), ("1.10", "'1.10"), ("5-10", "'5-10")]
)
def test_numbers_stay_numbers_and_other_texts_are_no_dates(tmp_path: Path, cell: str, written: str) -> None:
    content = edited_list(listed(tmp_path, b"a;b\n1;\n"), {2: {"b": cell}})
    assert content.decode() == f"a;b\n1;{written}\n"
    assert plain(read_table(listed(tmp_path, content))[1][1][1]) == cell


def test_a_workbook_keeps_formats_and_comments(tmp_path: Path) -> None:
    book = Workbook()
    book.active.title = "Sessions"
    for row in (["patient_id", "x_sum"], ["P1", 2], ["P2", None]):
        book.active.append(row)
    book.active["A2"].comment = Comment("look at this", "a coordinator")
    book.create_sheet("own")["B2"] = "kept"
    path = tmp_path / "sessions.xlsx"
    book.save(path)
    path.write_bytes(edited_list(path, {3: {"exclude": "10-12"}}))
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
