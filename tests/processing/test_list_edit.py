"""processing.list_edit: cells of a list change, and nothing else of the file."""

import stat
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.processing.list_edit import edited_list, write_list
from pipeline.store.spreadsheet import read_table

LIST = (
    "\ufeffsep=;\r\nPatient_ID;session_id;video;x_mine;notes\r\n"
    'P1;S1;a.mp4;"kept";12,5\r\n\r\nP2;;b.mp4;;\'=1+1'
)


def write(folder: Path, text: str) -> Path:
    path = folder / "sessions.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    "text", [LIST, LIST.replace(";", ","), LIST.replace("\r\n", "\n"), LIST[1:], LIST + "\n"]
)
def test_without_a_change_every_character_stays(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    assert edited_list(path, {}) == text
    assert edited_list(path, {}, []) == text


def test_only_the_line_of_a_changed_cell_is_written_again(tmp_path: Path) -> None:
    """Its other cells stay, with the protection of a formula; rows count as in a spreadsheet."""
    text = edited_list(write(tmp_path, LIST), {4: {"session_id": "S1"}})
    assert text == LIST.replace("P2;;b", "P2;S1;b") + "\r\n"


def test_a_cell_with_a_mark_of_the_format_is_quoted(tmp_path: Path) -> None:
    path = write(tmp_path, "session_id,notes\nS1,\nS2,\n")
    assert edited_list(path, {2: {"notes": 'a,"b'}}) == 'session_id,notes\nS1,"a,""b"\nS2,\n'
    assert edited_list(path, {2: {"notes": "=1+1"}}).splitlines()[1] == "S1,'=1+1"


def test_rows_are_added_at_the_end(tmp_path: Path) -> None:
    text = edited_list(write(tmp_path, LIST), {}, [{"video": "c.mp4", "patient_id": "P3"}])
    assert text == LIST + "\r\nP3;;c.mp4;;\r\n"


def test_a_missing_column_is_added_only_for_a_value(tmp_path: Path) -> None:
    path = write(tmp_path, "video;session_id\na.mp4;S1\nb.mp4\n")
    assert edited_list(path, {2: {"consent": ""}}) == path.read_text()
    text = edited_list(path, {2: {"consent": "yes"}}, [{"video": "c.mp4"}])
    assert text == "video;session_id;consent\na.mp4;S1;yes\nb.mp4;;\nc.mp4;;\n"


def test_a_cell_with_line_breaks_is_one_row(tmp_path: Path) -> None:
    text = 'video,notes\na.mp4,"one\ntwo"\nb.mp4,\n'
    assert edited_list(write(tmp_path, text), {3: {"notes": "x"}}) == text.replace("b.mp4,", "b.mp4,x")


def test_a_workbook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"sessions\.xlsx: a workbook can't be changed here; .* as “CSV UTF-8”"
    ):
        edited_list(tmp_path / "sessions.xlsx", {})


def test_the_list_as_it_was_stays_and_is_no_second_list(tmp_path: Path) -> None:
    path = write(tmp_path, LIST)
    path.chmod(0o640)
    backup = write_list(path, edited_list(path, {2: {"notes": "new"}}))
    assert backup.read_bytes() == LIST.encode()
    assert (backup.name, stat.S_IMODE(backup.stat().st_mode)) == ("sessions.csv.bak", 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert read_table(path)[1][1][-1] == "new"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["sessions.csv", "sessions.csv.bak"]
