"""Files beside the videos that may be a list of sessions in a form that can't be read."""

import re
import zipfile
from pathlib import Path

import openpyxl
import pytest

from pipeline.errors import InputError
from pipeline.processing.batch import plan_sessions
from pipeline.processing.recordings_folder import find_list

LIST = "patient_id;session_id;video;consent\nP012;S1;P012_S1.mp4;no\n"


def ods(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        cells = "".join(f"<text:p>{cell}</text:p>" for cell in re.split("[;\n]", text))
        file.writestr("content.xml", f"<office:body>{cells}</office:body>")


def xlsx(path: Path, text: str) -> None:
    book = openpyxl.Workbook()
    for row in text.splitlines():
        book.active.append(row.split(";"))
    book.save(path)


UNREAD = {
    "sessions.tsv": lambda path: path.write_text(LIST.replace(";", "\t")),
    "sessions.csv.txt": lambda path: path.write_text(LIST),
    "Sessions.ods": lambda path: path.write_bytes(b"anything"),
    "sessions.xls": lambda path: path.write_bytes(b"anything"),
    "wide.csv": lambda path: path.write_text(LIST, encoding="utf-16"),
    "tabs.csv": lambda path: path.write_text(LIST.replace(";", "\t")),
    "quoted.txt": lambda path: path.write_text(LIST.replace("session_id", '"Session_ID" ').replace(";", ",")),
    "title.csv": lambda path: path.write_text(f"Study list, March;;;\n\n{LIST}"),
    "title.xlsx": lambda path: xlsx(path, f"March\n{LIST}"),
    "list.ods": lambda path: ods(path, LIST),
    "list.xls": lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0" + LIST.replace(";", "\0").encode()),
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_list_in_another_form_is_not_passed_over(tmp_path: Path, name: str) -> None:
    """It may say that there is no consent."""
    video = tmp_path / "P012_S1.mp4"
    video.touch()
    UNREAD[name](tmp_path / name)
    for given in (tmp_path, video):
        with pytest.raises(InputError, match=rf"{re.escape(name)}: seems to be a list of sessions"):
            plan_sessions([given], None, None)
    (tmp_path / "listed.csv").write_text(LIST)
    assert find_list(tmp_path) == tmp_path / "listed.csv", "what counts"


def test_other_files_beside_the_videos_are_no_lists(tmp_path: Path) -> None:
    video = tmp_path / "P012_S1.mp4"
    for path in (video, tmp_path / "scan.ods", tmp_path / "old.numbers"):
        path.touch()
    (tmp_path / "README.txt").write_text("The columns patient_id and session_id give the ids of each video.")
    (tmp_path / "events.tsv").write_text("patient_id\tsession_id\ttime_s\twhat")
    (tmp_path / "raters.xls").write_bytes(b"\xd0\xcf\x11\xe0 patient_id session_id videos")
    ods(tmp_path / "marks.ods", "patient_id;session_id;code")
    assert [session.video for session in plan_sessions([tmp_path], None, None)] == [video]
