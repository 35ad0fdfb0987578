"""processing.sessions_list: a list kept with a spreadsheet, and everything that is wrong with it at once."""

import csv
import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from session_lists import places, put, write

from pipeline.errors import InputError
from pipeline.processing.session import QualityLimits, Session, Settings
from pipeline.processing.sessions_list import Problem, Study, read_study, write_sessions_list
from pipeline.processing.study_settings import read_settings

COLUMNS = [
    *("patient_id", "session_id", "video", "recorded_at", "condition", "start_s", "end_s", "exclude"),
    *("patient_face", "patient_region", "consent", "notes"),
]

PLAIN = {"patient_id": "P1", "session_id": "S1", "video": "a.mp4"}

Read = Callable[..., Study]

names_of_all_alphabets = pytest.mark.skipif(
    sys.getfilesystemencoding() != "utf-8", reason="file names of this system are not in UTF-8"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with two videos and two pictures; nothing opens them."""
    for name in ("a.mp4", "b.mp4", "face.jpg", "side.PNG"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def read(folder: Path) -> Read:
    """The study of these rows, each given by its cells."""

    def read_rows(*rows: Mapping[str, str]) -> Study:
        return read_study(write(folder, *rows))

    return read_rows


def value(read: Read, column: str, cell: str) -> Any:
    """What becomes of a cell that is right."""
    study = read(PLAIN | {column: cell})
    assert not study.problems
    (session,) = study.sessions
    return getattr(session, column)


def reason(read: Read, column: str, cell: str) -> str:
    """Why a cell is refused; nothing else is, and its session is left out."""
    study = read(PLAIN | {column: cell})
    assert places(study) == [(2, column)]
    assert study.sessions == ()
    return study.problems[0].reason


# --- nothing in it, and no table


@pytest.mark.parametrize("lines", ["", "\n;;\n", "\n\n\n"])
def test_a_header_alone_is_no_study(folder: Path, lines: str) -> None:
    study = read_study(put(folder, f"patient_id;session_id;video{lines}"))
    assert study == Study((), (Problem(2, "", "no session in the list; write one row for each."),))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "first line .* must name patient_id, session_id, video"),
        (b"\xef\xbb\xbf", "first line"),
        (b"\n\n", "first line"),
        (b";;\r\n;;\r\n", "first line"),
        (b"\npatient_id;session_id;video\n", "first line"),
        (b"P1;S1;a.mp4\n", "first line"),
        (b"patient_id\tsession_id\tvideo\n", "parted by ; or a comma"),
        (b"patient_id," + b"x_," * 600, "first line"),
        (b"patient_id;session_id;video\nP1;S\0;a.mp4\n", "not text; .*CSV UTF-8"),
        ("patient_id;session_id;video\n".encode("utf-16"), "not text.*CSV UTF-8"),
        ("patient_id;session_id;video\nP1;S1;Zoë.mp4\n".encode("cp1252"), "not text in UTF-8.*CSV UTF-8"),
        (b"PK\x03\x04\x14\x00\x06\x00", "not text"),
        (b'patient_id;session_id;video\nP1;S1;a.mp4\nP1;S2;"b.mp4\n', "line 3.*quote"),
        (b'patient_id;session_id;video\nP1;S1;"a".mp4\n', "line 2.*quote"),
        (b"patient_id;session_id;video\nP1;S1;" + b"a" * 200_000, "line 2.*limit"),
        (b"patient_id\n" + b"P1\n" * 10_001, "more than 10000 rows"),
        (b"patient_id\n" + b"\n" * 2**20, "more than 10000 rows"),
    ],
)
def test_what_is_no_table_is_refused_by_name(folder: Path, content: bytes, expected: str) -> None:
    with pytest.raises(InputError, match=rf"(?s)sessions\.csv.*{expected}"):
        read_study(put(folder, content))


def test_a_file_that_is_not_there_is_refused(folder: Path) -> None:
    for path in (folder / "nowhere.csv", folder, folder / ("n" * 300), Path("/dev/zero")):
        with pytest.raises(InputError, match="no such file"):
            read_study(path)


def test_a_file_of_more_than_50_mb_is_refused_unread(folder: Path) -> None:
    path = put(folder, "patient_id;session_id;video")
    os.truncate(path, 50 * 2**20 + 1)
    with pytest.raises(InputError, match="50 MB, above 50"):
        read_study(path)


# --- a table in the forms that spreadsheets write


FULL = PLAIN | {
    "recorded_at": "2026-03-01T14:30",
    "condition": "music, loud; Mozart",
    "start_s": "1:30",
    "end_s": "600,5",
    "exclude": "120-180;300-310",
    "patient_face": "face.jpg; side.PNG",
    "patient_region": "10,20,55.5,100",
    "consent": "yes",
    "notes": 'He said "hello",\r\nthen <b>slept</b>; see =notes.',
}


@pytest.mark.parametrize("delimiter", [";", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_a_full_row_is_read_in_every_form(folder: Path, delimiter: str, end: str, bom: str) -> None:
    study = read_study(write(folder, FULL, delimiter=delimiter, end=end, bom=bom))
    assert study.problems == ()
    assert study.sessions == (
        Session(
            patient_id="P1",
            session_id="S1",
            video=folder / "a.mp4",
            recorded_at=datetime(2026, 3, 1, 14, 30),
            condition="music, loud; Mozart",
            start_s=90,
            end_s=600.5,
            exclude=((120, 180), (300, 310)),
            patient_face=(folder / "face.jpg", folder / "side.PNG"),
            patient_region=(0.1, 0.2, 0.555, 1),
            consent=True,
            notes='He said "hello",\r\nthen <b>slept</b>; see =notes.',
        ),
    )


def test_what_is_not_given_has_its_default(read: Read, folder: Path) -> None:
    expected = Session("P1", "S1", folder / "a.mp4")
    assert read(PLAIN) == Study((expected,), ())
    empty = dict.fromkeys(COLUMNS, "") | PLAIN | {"consent": "1"}
    assert read(empty) == Study((replace(expected, consent=True),), ())


def test_header_names_may_be_in_any_case_order_and_spacing(folder: Path) -> None:
    study = read_study(put(folder, " Video ,x_Ward,SESSION_ID, Patient_Id\n a.mp4 ,3 East, S1 , P1 \n"))
    assert study.problems == ()
    assert [(s.patient_id, s.session_id, s.video) for s in study.sessions] == [("P1", "S1", folder / "a.mp4")]


def test_empty_lines_and_columns_are_ignored_and_short_lines_filled(folder: Path) -> None:
    table = 'patient_id;session_id;video;notes;;\nP1;S1;a.mp4\n\n;;;;;\nP1;S2;b.mp4;" ";;;;\n\n;;\n \n'
    study = read_study(put(folder, table))
    assert study.problems == ()
    assert [session.session_id for session in study.sessions] == ["S1", "S2"]


def test_rows_are_counted_as_a_spreadsheet_counts_them(folder: Path) -> None:
    """A cell of three lines is one row, and an empty row is one as well."""
    table = 'patient_id;session_id;video;notes\nP1;S1;a.mp4;"one\ntwo\nthree"\n\n;;;\nP1;S2;c.mp4;\n'
    assert places(read_study(put(folder, table))) == [(5, "video")]


@pytest.mark.parametrize("line", ["P1;S1;a.mp4;12;5", "P1;S1;a.mp4;;;;more"])
def test_a_row_with_more_cells_than_the_header_is_a_problem_of_the_whole_row(folder: Path, line: str) -> None:
    study = read_study(put(folder, f"patient_id;session_id;video;start_s;\n{line}\nP1;S2;b.mp4\n"))
    assert [session.session_id for session in study.sessions] == ["S2"]
    assert str(study.problems[0]).startswith("row 2: more cells than the header")


def test_a_huge_note_is_kept_and_a_huge_cell_makes_no_huge_message(read: Read) -> None:
    assert len(value(read, "notes", "a" * 100_000)) == 100_000
    for column in COLUMNS[:-1]:
        assert len(reason(read, column, "9" * 100_000 + "x")) < 500


# --- columns


@pytest.mark.parametrize("missing", ["patient_id", "session_id", "video"])
def test_a_required_column_that_is_missing_is_one_problem(read: Read, missing: str) -> None:
    row = {name: cell for name, cell in PLAIN.items() if name != missing}
    study = read(row)
    assert (study.sessions, places(study)) == ((), [(1, missing)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("patient_regoin", "did you mean patient_region?"),
        ("Patient", "did you mean patient_id?"),
        ("zzz", "there are patient_id, session_id, video"),
        ("q" * 5000, "there are"),
        ("zz\x1b[31m", "there are"),
    ],
)
def test_an_unknown_column_is_a_problem_with_the_nearest_name(read: Read, name: str, expected: str) -> None:
    study = read(PLAIN | {name: "1"})
    (problem,) = study.problems
    assert problem.row == 1
    assert expected in problem.reason
    assert "x_" in problem.reason
    assert len(str(problem)) < 500
    assert "\x1b" not in str(problem)


def test_columns_of_the_study_s_own_are_left_alone(read: Read) -> None:
    assert read(PLAIN | {"x_ward": "3", "X_": "<"}).problems == ()


def test_a_column_named_twice_is_a_problem(folder: Path) -> None:
    study = read_study(put(folder, "patient_id;session_id;video;Video\nP1;S1;a.mp4;nowhere\n"))
    assert places(study) == [(1, "video")]


# --- cells


@pytest.mark.parametrize("column", ["patient_id", "session_id"])
@pytest.mark.parametrize(
    "cell", ["Marie Curie", "", "../P1", "a/b", ".", "-x", "P=1", "Zoë", "index", "a" * 65, "P\t1"]
)
def test_an_id_that_could_be_a_name_or_a_path_is_refused(read: Read, column: str, cell: str) -> None:
    found = reason(read, column, cell)
    assert found.startswith(repr(cell))
    assert "pseudonym" in found
    assert "never a person's name" in found


def test_the_reason_names_row_and_column(read: Read) -> None:
    (problem,) = read(PLAIN | {"patient_id": "Marie Curie"}).problems
    assert str(problem).startswith("row 2, patient_id: 'Marie Curie': not a usable id.")


@pytest.mark.parametrize("cell", ["", "c.mp4", ".", "a.mp4/x", "n" * 300, "a\x1b[31m.mp4", "~"])
def test_a_video_that_is_not_there_is_a_problem(read: Read, cell: str) -> None:
    assert "from the list's folder" in reason(read, "video", cell)


def test_a_path_of_windows_is_told_how_to_write_it(read: Read) -> None:
    assert "write /" in reason(read, "video", r"videos\a.mp4")


@names_of_all_alphabets
def test_a_video_may_be_anywhere(read: Read, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere") / "Zoë, am Montag; früh.mp4"
    other.touch()
    assert read(PLAIN | {"video": str(other)}).sessions[0].video == other
    relative = os.path.relpath(other, folder)
    assert read(PLAIN | {"video": relative}).sessions[0].video.samefile(other)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-03-01", datetime(2026, 3, 1)),
        ("2026-03-01T14:30", datetime(2026, 3, 1, 14, 30)),
        ("2026-03-01 14:30", datetime(2026, 3, 1, 14, 30)),
        ("2026-03-01T14:30:15.25", datetime(2026, 3, 1, 14, 30, 15, 250_000)),
    ],
)
def test_a_date_is_read(read: Read, cell: str, expected: datetime) -> None:
    assert value(read, "recorded_at", cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "01.03.2026",
        "01/03/2026",
        "1/3/26 14:30",
        "01.03.2026 14:30",
        "2026-02-30",
        "2026-03-01T25:00",
        "2026-3-1",
        "20260301",
        "2026-W09-1",
        "2026-03-01T14:30Z",
        "2026-03-01T14:30+02:00",
        "0000-01-01",
        "46082",
        "yesterday",
        "٢٠٢٦-٠٣-٠١",
    ],
)
def test_a_date_that_could_be_read_in_two_ways_is_refused(read: Read, cell: str) -> None:
    assert "write 2026-03-01 or 2026-03-01T14:30" in reason(read, "recorded_at", cell)


def test_a_condition_is_a_short_text(read: Read) -> None:
    assert value(read, "condition", "Musik à quatre <3") == "Musik à quatre <3"
    assert value(read, "condition", "m" * 64) == "m" * 64
    assert "65 characters" in reason(read, "condition", "m" * 65)
    for cell in ("one\ntwo", "a\x1bb", "a\x7fb", "a\tb"):
        assert "control character" in reason(read, "condition", cell)


@pytest.mark.parametrize("column", ["start_s", "end_s"])
@pytest.mark.parametrize(
    ("cell", "expected_s"),
    [
        ("90", 90),
        ("90.5", 90.5),
        ("90,5", 90.5),
        ("1:30", 90),
        ("01:30,25", 90.25),
        ("75:00", 4500),
        ("1:15:00", 4500),
        ("1:02:03.5", 3723.5),
    ],
)
def test_a_time_is_read(read: Read, column: str, cell: str, expected_s: float) -> None:
    assert value(read, column, cell) == expected_s


@pytest.mark.parametrize("column", ["start_s", "end_s"])
@pytest.mark.parametrize(
    "cell",
    [
        "-1",
        "'-1",
        "1:60",
        "1:60:00",
        "1:2:3:4",
        "soon",
        "1e3",
        "nan",
        "inf",
        "1,000.5",
        "٣",
        "5 s",
        ":30",
        "9" * 400,
    ],
)
def test_a_wrong_time_is_refused(read: Read, column: str, cell: str) -> None:
    assert "write seconds (90 or 90.5), mm:ss or h:mm:ss" in reason(read, column, cell)


@pytest.mark.parametrize(("start", "end"), [("10", "10"), ("1:00", "59"), ("0", "0")])
def test_an_end_must_come_after_its_start(read: Read, start: str, end: str) -> None:
    study = read(PLAIN | {"start_s": start, "end_s": end})
    assert (study.sessions, places(study)) == ((), [(2, "end_s")])


def test_a_start_of_zero_is_a_start(read: Read) -> None:
    assert value(read, "start_s", "0") == 0


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("120-180", ((120, 180),)),
        ("120-180;300-310", ((120, 180), (300, 310))),
        (" 2:00 – 3:00 ; 300,5 - 310 ;", ((120, 180), (300.5, 310))),
        ("0-10;10-20", ((0, 10), (10, 20))),
    ],
)
def test_stretches_are_read(read: Read, cell: str, expected: object) -> None:
    assert value(read, "exclude", cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("10", "'10' is no stretch"),
        ("10-Dec", "formatted as text"),
        ("10-20;;30-40", "'' is no stretch"),
        (";", "'' is no stretch"),
        ("5-10-15", "no stretch"),
        ("a-b", "no stretch"),
        ("20-10", "'20-10' does not end after its start"),
        ("10-10", "does not end after"),
        ("30-40;10-20", "in order of time"),
        ("10-30;20-40", "without overlap"),
    ],
)
def test_wrong_stretches_are_refused(read: Read, cell: str, expected: str) -> None:
    assert expected in reason(read, "exclude", cell)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("nowhere.jpg", "'nowhere.jpg' is not there"),
        ("face.jpg;nowhere.jpg", "'nowhere.jpg' is not there"),
        ("a.mp4", "'a.mp4' is no picture; give .jpg, .jpeg, .png"),
        ("face.jpg;;side.PNG", "empty"),
    ],
)
def test_a_wrong_picture_is_refused(read: Read, cell: str, expected: str) -> None:
    assert expected in reason(read, "patient_face", cell)


@pytest.mark.parametrize(
    "cell",
    [
        "10.5,20,60,80",
        "10.5, 20, 60, 80",
        "10,5;20;60;80",
        "10.5 ; 20 ; 60 ; 80",
        "10,5 20 60 80",
        "10.5 20,0 60,0 80",
    ],
)
def test_a_region_is_read_as_shares(read: Read, cell: str) -> None:
    assert value(read, "patient_region", cell) == pytest.approx((0.105, 0.2, 0.6, 0.8))


def test_the_whole_picture_is_a_region(read: Read) -> None:
    assert value(read, "patient_region", "0,0,100,100") == (0, 0, 1, 1)


@pytest.mark.parametrize(
    "cell",
    [
        "10,20,30",
        "1,2,3,4,5",
        "a,b,c,d",
        "60,20,10,80",
        "10,80,60,20",
        "10,20,10,80",
        "0,0,100.1,50",
        "-1,0,50,50",
        "1e1,0,50,50",
        "nan,0,1,1",
    ],
)
def test_a_wrong_region_is_refused(read: Read, cell: str) -> None:
    assert reason(read, "patient_region", cell)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("yes", True),
        ("TRUE", True),
        ("1", True),
        ("Oui", True),
        ("No", False),
        ("FALSE", False),
        ("0", False),
        ("non", False),
    ],
)
def test_consent_is_read(read: Read, cell: str, expected: bool) -> None:
    assert value(read, "consent", cell) is expected


@pytest.mark.parametrize("cell", ["", "  ", "maybe", "y", "2", "yes?"])
def test_consent_must_be_said(read: Read, cell: str) -> None:
    assert "say yes or no" in reason(read, "consent", cell)


# --- several rows


def test_two_patients_of_one_video_are_two_sessions(read: Read) -> None:
    study = read(PLAIN, PLAIN | {"patient_id": "P2"})
    assert study.problems == ()
    assert [(session.patient_id, session.video.name) for session in study.sessions] == [
        ("P1", "a.mp4"),
        ("P2", "a.mp4"),
    ]


def test_a_session_in_several_files_is_one_session(read: Read) -> None:
    first = PLAIN | {"condition": "music", "start_s": "10", "notes": "a"}
    study = read(first, PLAIN | {"session_id": "S2"}, PLAIN | {"video": "b.mp4", "notes": "b"})
    assert study.problems == ()
    one, other = study.sessions
    assert [video.name for video in one.videos] == ["a.mp4", "b.mp4"]
    assert (one.condition, one.start_s, other.session_id) == ("music", 10, "S2")


@pytest.mark.parametrize(
    ("again", "column"),
    [({"video": "a.mp4"}, "video"), ({"condition": "music"}, "condition"), ({"start_s": "5"}, "start_s")],
)
def test_a_file_that_continues_a_session_says_nothing_else_of_it(
    read: Read, again: dict[str, str], column: str
) -> None:
    study = read(PLAIN, PLAIN | {"session_id": "S2"}, PLAIN | {"video": "b.mp4"} | again)
    assert places(study) == [(4, column)]
    assert "row 2" in study.problems[0].reason


def test_all_problems_are_told_at_once_and_the_other_sessions_are_there(read: Read) -> None:
    study = read(
        PLAIN | {"patient_id": "Marie Curie", "start_s": "soon", "consent": "", "wrod": ""},
        PLAIN | {"session_id": "S2", "consent": "yes"},
        PLAIN | {"session_id": "S3", "video": "", "end_s": "1:75", "consent": "no"},
        PLAIN | {"session_id": "S4", "consent": "no"},
        PLAIN | {"session_id": "S4", "video": "b.mp4", "consent": "yes"},
    )
    assert places(study) == [
        (1, "wrod"),
        (2, "patient_id"),
        (2, "start_s"),
        (2, "consent"),
        (4, "video"),
        (4, "end_s"),
        (6, "consent"),
    ]
    assert [session.session_id for session in study.sessions] == ["S2", "S4"]
    assert all(isinstance(problem, Problem) and "\n" not in str(problem) for problem in study.problems)


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


# --- a new list


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def test_a_folder_without_videos_gets_no_list(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="no video in this folder"):
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
        "row 2, consent: empty; say yes or no.",
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


# --- settings


def put_settings(folder: Path, content: bytes | str) -> Path:
    (folder / "study.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_no_file_and_an_empty_one_are_no_settings(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == {}
    assert read_settings(put_settings(tmp_path, "")) == {}


def test_every_setting_can_be_given(tmp_path: Path) -> None:
    text = (
        "\ufeffsample_fps = 10\r\nmin_face_px = 30\nbatch_size = 8\npatient_track = '2'\nmax_gap_s = 0\n"
        "key_interval_s = 0.5\nmodel = 'atto'\ndevice = 'cpu'\njobs = 4\n[quality]\nmax_yaw = 45\n"
    )
    settings = read_settings(put_settings(tmp_path, text))
    assert settings == {
        "sample_fps": 10,
        "min_face_px": 30,
        "batch_size": 8,
        "patient_track": "2",
        "max_gap_s": 0,
        "key_interval_s": 0.5,
        "model": "atto",
        "device": "cpu",
        "jobs": 4,
        "quality": {"max_yaw": 45},
    }
    assert isinstance(settings["sample_fps"], float)


def test_the_defaults_written_down_are_read_as_they_are(tmp_path: Path) -> None:
    """Whatever can be set can be set here."""
    defaults = {
        field.name: field.default
        for field in fields(Settings)
        if isinstance(field.default, int | float | str)
    }
    limits = {field.name: field.default for field in fields(QualityLimits)}
    lines = [f"{name} = {value!r}" for name, value in defaults.items()]
    lines += ["[quality]", *(f"{name} = {value!r}" for name, value in limits.items())]
    assert read_settings(put_settings(tmp_path, "\n".join(lines))) == defaults | {"quality": limits}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sample_fsp = 5", "'sample_fsp' is no setting; did you mean sample_fps?"),
        ("zzz = 5", "'zzz' is no setting; there are sample_fps"),
        ("[quality]\nmax_yow = 5", "'quality.max_yow' is no setting; did you mean max_yaw?"),
        ("[qualiti]\nmax_yaw = 5", "did you mean quality?"),
        ("sample_fps = '5'", "sample_fps: give a number"),
        ("sample_fps = true", "sample_fps: give a number"),
        ("sample_fps = nan", "sample_fps: give a number"),
        ("max_gap_s = -1", "max_gap_s: give a number, 0 or above"),
        ("max_gap_s = inf", "max_gap_s: give a number"),
        (f"max_gap_s = 0x{'f' * 5000}", "max_gap_s: give a number"),
        ("batch_size = 8.0", "batch_size: give a whole number above 0"),
        ("jobs = 0", "jobs: give a whole number above 0"),
        ("jobs = true", "jobs: give a whole number"),
        ("patient_track = 2", "patient_track: give a text in quotes"),
        ("device = []", "device: give a text"),
        ("model = {}", "model: give a text"),
        ("quality = 5", r"quality: give a table: \[quality\]"),
        ("[[quality]]\nmax_yaw = 5", r"quality: give a table"),
        ("[quality]\nmax_yaw = 'x'", "quality.max_yaw: give a number"),
        ("sample_fps = 0", "--fps 0: give samples per second"),
        ("patient_track = 'left'", "give longest, largest or"),
        ("sample_fps 5", "not TOML .*line 1"),
        ("jobs = 1\njobs = 2", "not TOML"),
        ("model = " + "[" * 20_000, "not TOML"),
        (b"model = '\xff'", "not text in UTF-8"),
        (b"model = '\0'", "not text"),
    ],
)
def test_wrong_settings_are_refused_by_file_and_key(tmp_path: Path, text: bytes | str, expected: str) -> None:
    with pytest.raises(InputError, match=rf"study\.toml: .*{expected}"):
        read_settings(put_settings(tmp_path, text))


def test_a_folder_named_like_the_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.toml").mkdir()
    with pytest.raises(InputError, match=r"study\.toml: no such file"):
        read_settings(tmp_path)


# --- whatever comes


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, put in, taken out or repeated."""
    damaged = bytearray(content)
    favourites = b";,\"'\r\n\0\xff\xef:-=0 9\t/"
    for _ in range(rng.integers(1, 8)):
        place = int(rng.integers(len(damaged)))
        byte = int(rng.choice(list(favourites))) if rng.random() < 0.7 else int(rng.integers(256))
        match rng.integers(4):
            case 0:
                damaged[place] = byte
            case 1:
                damaged.insert(place, byte)
            case 2:
                del damaged[place : place + int(rng.integers(1, 20))]
            case _:
                damaged[place:place] = damaged[place : place + int(rng.integers(1, 60))]
    return bytes(damaged)


@pytest.mark.parametrize("delimiter", [";", ","])
def test_a_damaged_list_is_a_study_with_problems_or_refused(folder: Path, delimiter: str) -> None:
    rng = np.random.default_rng(0)
    whole = write(folder, FULL, FULL | {"patient_id": "P2"}, delimiter=delimiter, bom="\ufeff").read_bytes()
    read = 0
    for _ in range(300):
        path = put(folder, damage(whole, rng))
        try:
            study = read_study(path)
        except InputError as error:
            assert "sessions.csv" in str(error)  # noqa: PT017 — most are read, and that is counted
            continue
        read += 1
        assert isinstance(study, Study)
        assert all(problem.row >= 1 and problem.reason for problem in study.problems)
    assert read > 50


def test_damaged_settings_are_settings_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = b"sample_fps = 5.0\npatient_track = 'longest'\njobs = 4\n[quality]\nmax_yaw = 45\n"
    for _ in range(300):
        try:
            assert isinstance(read_settings(put_settings(tmp_path, damage(whole, rng))), dict)
        except InputError as error:
            assert "study.toml" in str(error)  # noqa: PT017 — some are read
