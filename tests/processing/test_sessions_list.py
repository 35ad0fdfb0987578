"""processing.sessions_list: spreadsheet lists, and all errors at once."""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from session_lists import COLUMNS, PLAIN, Read, damage, places, put, reason, value, write

from pipeline.errors import InputError
from pipeline.processing.session import Session
from pipeline.processing.sessions_list import Problem, Study, read_study

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
        (b"patient_id\tsession_id\tvideo\n", "separated by ; or a comma"),
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
        with pytest.raises(InputError, match=r"no such file|is a folder; give a file"):
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
    "attention_to": "Left",
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
            attention_to="left",
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


def test_times_as_shares_of_a_day_are_an_error_of_their_column(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").touch()
    lines = "P1;S1;a.mp4;yes;{};{}\nP1;S2;b.mp4;yes;0;600\n"

    def problems(start: str, end: str, head: str = "patient_id;session_id;video;consent") -> list[str]:
        study = read_study(put(tmp_path, f"{head};start_s;end_s\n{lines.format(start, end)}"))
        return [str(problem) for problem in study.problems]

    (problem,) = problems("0.001041667", "300")
    assert problem.startswith("row 2, start_s: '0.001041667' looks like a share of a day, 0:01:30; ")
    assert problems("0:01:30", "300") == problems("0.5", "300") == []


@pytest.mark.parametrize(
    ("end", "clock"), [("0,03125", "0:45:00"), ("0.0625", "1:30:00"), ("0.125", "3:00:00")]
)
def test_an_end_as_a_share_of_a_day_is_an_error(end: str, clock: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    head, row = "patient_id;session_id;video;consent;end_s", "P1;S1;a.mp4;yes"
    (problem,) = read_study(put(tmp_path, f"{head}\n{row};{end}\n")).problems
    assert f"row 2, end_s: '{end.replace(',', '.')}' looks like a share of a day, {clock}; " in str(problem)
    for seconds in ("0.04", "0.200", "0.533", "1.125"):
        assert read_study(put(tmp_path, f"{head}\n{row};{seconds}\n")).problems == ()
