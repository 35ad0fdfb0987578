"""analysis.events: lists of events, valid ones and every kind of error."""

from pathlib import Path

import pytest

from pipeline.analysis.events import Event, read_events
from pipeline.errors import InputError

PARTS = {("P1", "S01"): [(0.0, 600.0)], ("P1", "S02"): [(0.0, 7200.0)], ("P2", "S02"): [(0.0, 300.0)]}


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    return tmp_path / "events.csv"


def read(path: Path, text: str) -> tuple[tuple[Event, ...], list[str]]:
    path.write_text(text, encoding="utf-8-sig")
    events, problems = read_events(path, PARTS)
    return events, [str(problem) for problem in problems]


def test_an_empty_list_names_what_it_needs(listed: Path) -> None:
    advice = "no column 'session_id'; begin the first line with session_id, time_s, what"
    with pytest.raises(InputError, match=advice):
        read(listed, "")


def test_a_list_without_events_says_so(listed: Path) -> None:
    assert read(listed, "session_id;time_s;what\n") == ((), ["row 2: no event; write one line for each."])


@pytest.mark.parametrize(
    ("time", "seconds"), [("90", 90), ("90.5", 90.5), ("90,5", 90.5), ("1:30", 90), ("0:01:30", 90)]
)
def test_times_are_written_in_three_ways(listed: Path, time: str, seconds: float) -> None:
    found = read(listed, f"session;time;what\nS01;{time};song begins\n")
    assert found == ((Event("P1", "S01", seconds, "song begins"),), [])


def test_the_patient_is_named_where_sessions_have_the_same_id(listed: Path) -> None:
    events, problems = read(
        listed, "patient_id,session_id,time_s,what\nP2,S02,10,a\nP1,S02,1:30:00,b\n,S01,20,c\n"
    )
    assert problems == []
    assert [event.ids for event in events] == [("P2", "S02"), ("P1", "S02"), ("P1", "S01")]
    assert events[1].time_s == 5400


def test_every_problem_is_named_at_once(listed: Path) -> None:
    events, problems = read(
        listed,
        "patient_id;session_id;time_s;what;note;x_own;time_s\n"
        ";S02;10;a;;;\n"
        "P9;S01;10;a;;;\n"
        ";S07;10;a;;;\n"
        ";;10;a;;;\n"
        ";S01;soon;;;;\n"
        ";S01;10:01;a;;;\n"
        f";S01;10;{'a' * 65};;;\n"
        ";S01;10;fine;;anything;\n",
    )
    assert [event.what for event in events] == ["fine"]
    assert problems == [
        "row 1, note: no such column. Begin the names of your own columns with x_.",
        "row 1, time_s: two columns have this name; keep one.",
        "row 2, session_id: 2 patients have a session 'S02'; name one.",
        "row 3, patient_id: this patient has no session 'S01' here.",
        "row 4, session_id: there is no session 'S07' here.",
        "row 5, session_id: empty; give the session's id.",
        "row 6, time_s: 'soon' is no time; write seconds (90 or 90.5), mm:ss or h:mm:ss.",
        "row 6, what: empty; say what happened.",
        "row 7, time_s: 601 s is after the session's end, 600 s.",
        "row 8, what: write one line of at most 64 characters.",
    ]


def test_two_columns_of_one_meaning_are_both_named(listed: Path) -> None:
    _, problems = read(listed, "session_id;time_s;what;Time\nS01;10;song;11\n")
    assert problems == [
        "row 1, time_s: 'time_s' and 'Time' mean the same column; keep one, or begin the other's name "
        "with x_."
    ]


def test_more_cells_than_the_header_has_are_a_problem(listed: Path) -> None:
    _, problems = read(listed, "session_id;time_s;what\nS01;10;song; Ave Maria\n")
    assert problems == [
        'row 2: more cells than the header has names; a cell that holds the separator needs quotes (").'
    ]


def test_a_missing_file_says_so(listed: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_events(listed, PARTS)


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ("59", "59 s is before the session's start, 60 s."),
        ("61", ""),
        ("90", ""),
        (
            "100",
            "100 s is in a part of the session that does not count; what counts is 60 to 90 s, 120 to 180 s.",
        ),
        ("120", ""),
        ("180", ""),
        ("1:00:00", "3600 s is after the session's end, 180 s."),
    ],
)
def test_an_event_outside_what_counts_of_its_session_is_a_problem(
    listed: Path, time: str, reason: str
) -> None:
    listed.write_text(f"session_id;time_s;what\nS1;{time};song\n")
    events, problems = read_events(listed, {("P1", "S1"): [(60.0, 90.0), (120.0, 180.0)]})
    assert [problem.reason for problem in problems] == ([reason] if reason else [])
    assert len(events) == (not reason)


def test_times_as_shares_of_a_day_are_a_problem(listed: Path) -> None:
    text = "session_id;time_s;what\nS01;0;song\nS01;0.001041667;song\n"
    _, (problem,) = read(listed, text)
    assert problem.startswith("row 3, time_s: '0.001041667' looks like a share of a day, 0:01:30; ")
    assert read(listed, text.replace("0.001041667", "0.533333"))[1] == []
