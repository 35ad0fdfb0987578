"""processing.recordings_folder: a new list of a folder, without formulas in its cells."""

import os
import stat
from pathlib import Path

import pytest
from session_lists import COLUMNS, Read, names_of_all_alphabets, put, read_rows, value, write

from pipeline.errors import InputError
from pipeline.processing.sessions_list import read_study, write_sessions_list

# --- formulas


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("'=1+1", "=1+1"), ("'-5", "-5"), ("''@a", "'@a"), ("'quoted'", "'quoted'"), ("=1", "=1"), ("'", "'")],
)
def test_the_apostrophe_before_a_formula_is_taken_off(read: Read, cell: str, expected: str) -> None:
    assert value(read, "notes", cell) == expected


HOSTILE = [
    "=HYPERLINK(1).mp4",
    "+1.mp4",
    "-1.mp4",
    "@a.mp4",
    "\ta.mp4",
    "\ra.mp4",
    " a.mp4",
    "'=a.mp4",
    "'a.mp4",
    'a";b,c\nd\re.mp4',
    "-f/a.mp4",
    "<script>.mp4",
]


def test_no_cell_of_a_new_list_is_a_formula_and_all_names_come_back(tmp_path: Path) -> None:
    for name in HOSTILE:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    path = write_sessions_list(tmp_path)
    rows = read_rows(path)
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    for number, row in enumerate(rows):
        row.update(patient_id="P1", session_id=f"S{number}", consent="yes")
    study = read_study(write(tmp_path, *rows))
    assert study.problems == ()
    assert {session.video for session in study.sessions} == {tmp_path / name for name in HOSTILE}


def test_a_folder_without_videos_gets_no_list(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for folder, why in (
        (tmp_path, "no video in this folder"),
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path / "notes.txt", "is a file"),
    ):
        with pytest.raises(InputError, match=why):
            write_sessions_list(folder)
    assert not (tmp_path / "sessions.csv").exists()


def test_a_new_list_has_all_columns_and_the_ids_that_names_tell(tmp_path: Path) -> None:
    for name in (
        "P2_S1.mp4",
        "P1_S2_left.MOV",
        "monday/P7_S1.mkv",
        "tuesday/P7_S1.mkv",
        "monday.mp4",
        "Marie Curie_S1.mp4",
        "IMG_0012.mp4",
        "P3_.mp4",
        ".hidden/P4_S1.mp4",
        "._P1_S2.mp4",
        "P5_S1.txt",
        "P6_S1.mp4/readme",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    path = write_sessions_list(tmp_path)
    assert path == tmp_path / "sessions.csv"
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = read_rows(path)
    assert list(rows[0]) == COLUMNS
    assert [(row["patient_id"], row["session_id"], row["video"]) for row in rows] == [
        ("", "", "IMG_0012.mp4"),
        ("", "", "Marie Curie_S1.mp4"),
        ("P1", "S2_left", "P1_S2_left.MOV"),
        ("P2", "S1", "P2_S1.mp4"),
        ("", "", "P3_.mp4"),
        ("", "", "monday.mp4"),
        ("", "", "monday/P7_S1.mkv"),
        ("", "", "tuesday/P7_S1.mkv"),
    ]
    assert not any(row[name] for row in rows for name in COLUMNS[3:])


@names_of_all_alphabets
def test_a_new_list_is_filled_in_and_read(tmp_path: Path) -> None:
    for name in ("P1_S1.mp4", "monday/Zoë; früh.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    path = write_sessions_list(tmp_path)
    assert [str(problem) for problem in read_study(path).problems] == [
        "row 2, consent: empty; write yes or no.",
        "row 3 (Zoë; früh.mp4), patient_id, session_id, consent: empty; fill in these cells.",
    ]
    first, second = read_rows(path)
    first |= {"consent": "no", "end_s": "1:00"}
    second |= {"consent": "oui", "patient_id": "P2", "session_id": "S1", "recorded_at": "2026-03-01"}
    study = read_study(write(tmp_path, first, second))
    assert study.problems == ()
    assert [(s.patient_id, s.video, s.consent, s.end_s) for s in study.sessions] == [
        ("P1", tmp_path / "P1_S1.mp4", False, 60),
        ("P2", tmp_path / "monday/Zoë; früh.mp4", True, None),
    ]


def test_a_list_that_is_there_is_not_overwritten(folder: Path) -> None:
    path = put(folder, "precious")
    with pytest.raises(InputError, match=r"sessions\.csv: exists already"):
        write_sessions_list(folder)
    assert path.read_text() == "precious"
    path.unlink()
    path.symlink_to("elsewhere.csv")
    with pytest.raises(InputError, match="exists already"):
        write_sessions_list(folder)


def test_a_video_s_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"P1_\xff.mp4")).touch()
    with pytest.raises(InputError, match="is not text; rename"):
        write_sessions_list(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [os.fsdecode(b"P1_\xff.mp4")]
