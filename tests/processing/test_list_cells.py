"""processing.list_cells: valid cells of a list, and reasons for refused cells."""

import os
from datetime import datetime
from pathlib import Path

import pytest
from session_lists import PLAIN, Read, names_of_all_alphabets, places, reason, value

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


def test_attention_has_a_direction_by_default_the_camera_s(read: Read) -> None:
    assert value(read, "attention_to", "") == "camera"
    assert value(read, "attention_to", "Right") == "right"
    assert "write camera, left, right or down" in reason(read, "attention_to", "window")


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
        ("10", "'10' is no interval"),
        ("10-Dec", "formatted as text"),
        ("10-20;;30-40", "'' is no interval"),
        (";", "'' is no interval"),
        ("5-10-15", "no interval"),
        ("a-b", "no interval"),
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
        "0,0.1,0.555,1",
        "0,0,1,1",
    ],
)
def test_a_wrong_region_is_refused(read: Read, cell: str) -> None:
    assert reason(read, "patient_region", cell)


def test_a_small_region_is_no_region_in_shares(read: Read) -> None:
    assert value(read, "patient_region", "0,0,1.1,1") == pytest.approx((0, 0, 0.011, 0.01))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("yes", True),
        ("TRUE", True),
        ("1", True),
        ("Oui", True),
        ("y", True),
        ("Ja", True),
        ("No", False),
        ("FALSE", False),
        ("0", False),
        ("non", False),
        ("N", False),
        ("nein", False),
    ],
)
def test_consent_is_read(read: Read, cell: str, expected: bool) -> None:
    assert value(read, "consent", cell) is expected


@pytest.mark.parametrize("cell", ["", "  ", "maybe", "ye", "2", "yes?"])
def test_consent_must_be_said(read: Read, cell: str) -> None:
    assert "write yes or no" in reason(read, "consent", cell)
