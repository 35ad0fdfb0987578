"""exchange.rated_extent: codes within the session, and the rated part."""

from pathlib import Path

import pytest
from rating_files import MINUTE, boris, parts, read, refused, stretches

from pipeline.errors import InputError
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.ratings import CodedInterval, read_ratings, read_span

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")


# --- within the session


def plain(path: Path, *rows: str) -> Path:
    path.write_text("".join(f"{row}\n" for row in ("start_s,end_s,code", *rows)))
    return path


@pytest.mark.parametrize("row", ["500,5000,happy", "60,61,happy", "59:00,1:00:00,happy"])
def test_a_code_after_the_session_s_end_is_refused(tmp_path: Path, row: str) -> None:
    said = refused(plain(tmp_path / "P012_S02.csv", "1,5,happy", row))
    assert said.startswith("P012_S02.csv: 'happy' ")
    assert "lies outside P012 S02, which lasts from 0 to 60 s" in said
    assert "correct the times" in said


def test_a_code_before_the_session_s_start_is_refused(tmp_path: Path) -> None:
    path = plain(tmp_path / "P012_S02.csv", "1,5,happy")
    assert "'happy' 1 to 5 s lies outside P012 S02, which lasts from 20 to 60 s" in refused(
        path, **parts((20, 60))
    )


def test_unix_times_are_refused(tmp_path: Path) -> None:
    events = [[1.7e9, "", "happy", "", ""], [1.7e9 + 4, "", "happy", "", ""]]
    assert "'happy' 1700000000 to 1700000004 s lies outside" in refused(boris(tmp_path / "p.boris", events))


def test_a_code_over_the_edge_is_cut_and_told(tmp_path: Path) -> None:
    found = read(plain(tmp_path / "P012_S02.csv", "50,5000,happy"), "none=neutral")
    assert stretches(found) == [(50, 60, "happy")]
    assert found.notes[:-1] == (
        "P012_S02.csv: 1 code cut to the counted time of P012 S02 (0 to 60 s): 'happy' 50 to 5000 s",
    )


@pytest.mark.parametrize("row", ["50,60.4,happy", "50,60,happy"])
def test_two_samples_over_the_edge_are_cut_without_a_word(tmp_path: Path, row: str) -> None:
    found = read(plain(tmp_path / "P012_S02.csv", row), "none=neutral", "all")
    assert (stretches(found), found.notes) == ([(50, 60, "happy")], ())


def test_codes_in_time_that_does_not_count_are_told(tmp_path: Path) -> None:
    path = plain(tmp_path / "P012_S02.csv", "1,5,happy", "21,25,sad", "15,35,fear")
    found = read(path, "none=neutral", "all", **parts((0, 20), (30, 60)))
    assert stretches(found) == [(1, 5, "happy"), (15, 20, "fear"), (30, 35, "fear")]
    counted = "the counted time of P012 S02 (0 to 20 s, 30 to 60 s)"
    assert found.notes == (
        f"P012_S02.csv: 1 code left out, outside {counted}: 'sad' 21 to 25 s",
        f"P012_S02.csv: 1 code cut to {counted}: 'fear' 15 to 35 s",
    )


def test_codes_that_are_about_something_else_may_lie_anywhere(tmp_path: Path) -> None:
    path = plain(tmp_path / "P012_S02.csv", "1,5,happy", "70,80,talk")
    found = read(path, "talk=-,none=neutral")
    assert found.ratings[0].rated == ((1, 5),)
    assert read(path, "talk=-,none=neutral", "all").notes == ()


@pytest.mark.parametrize(("codes", "usable"), [("talk=-", False), ("talk=?", False), ("talk=sad", True)])
def test_a_rating_without_a_usable_code_is_told(tmp_path: Path, codes: str, usable: bool) -> None:
    found = read(plain(tmp_path / "P012_S02_anna.csv", "1,5,talk"), codes)
    assert found.ratings[0].is_usable is usable
    assert any("anna, P012 S02: no usable code" in note for note in found.notes) is not usable


def test_nothing_coded_is_a_rating_where_it_is_stated_what_was_rated(tmp_path: Path) -> None:
    """In the file: the option is about all files, and one may be empty by mistake."""
    path = tmp_path / "P012_S02_anna.csv"
    path.write_text("start_s,end_s,code,rated_from_s,rated_to_s\n,,,0,60\n")
    found = read(path, "none=neutral")
    assert found.ratings[0].is_usable
    assert found.notes == (
        "P012_S02_anna.csv: anna, P012 S02: no code; all that was rated counts as neutral",
    )
    assert not read(path).ratings[0].is_usable
    plain(path, "1,5,talk")
    assert not read(path, "talk=-,none=neutral", "0-60").ratings[0].is_usable
    assert not read(path, "talk=-,none=neutral").ratings[0].is_usable


def test_the_option_rated_holds_where_a_file_does_not_say(tmp_path: Path) -> None:
    path = plain(tmp_path / "P012_S02_anna.csv", "1,5,happy", "15,30,sad", "40,45,sad")
    found = read(path, "none=neutral", "0-0:20")
    assert found.ratings[0].rated == ((0, 20),)
    assert stretches(found) == [(1, 5, "happy"), (15, 20, "sad")]
    assert found.notes == (
        "P012_S02_anna.csv: anna, P012 S02: 1 code left out, outside what was rated (0 to 20 s): "
        "'sad' 40 to 45 s",
        "P012_S02_anna.csv: anna, P012 S02: 1 code cut to what was rated (0 to 20 s): 'sad' 15 to 30 s",
    )
    assert read(path, None, "0-600").ratings[0].rated == ((0, 60),)
    assert "lies outside P012 S02" in refused(path, None, "100-200")


def test_what_nobody_states_is_rated_from_the_first_code_to_the_last(tmp_path: Path) -> None:
    path = plain(tmp_path / "P012_S02_anna.csv", "12,15,sad", "10,12,happy", "35,40,away", "50,52,talk")
    found = read(path, "away=?,talk=-,none=neutral", **parts((0, 20), (30, 60)))
    assert found.ratings[0].rated == ((10, 20), (30, 40)), "what is left out tells nothing"
    assert found.ratings[0].is_assumed
    (note,) = found.notes
    assert note == (
        "anna: nothing states what was rated of 1 session, so only the time from the first code to the last "
        "counts as rated. Give --rated 0-600, for example, or --rated all where every session was rated as "
        "a whole."
    )


@pytest.mark.parametrize(
    ("option", "rated"), [("all", ((0, 60),)), ("0-600", ((0, 60),)), ("5-20", ((5, 20),))]
)
def test_the_option_states_what_was_rated(
    tmp_path: Path, option: str, rated: tuple[tuple[float, float], ...]
) -> None:
    path = plain(tmp_path / "P012_S02_anna.csv", "10,12,happy", "15,20,sad")
    found = read(path, "none=neutral", option)
    assert (found.ratings[0].rated, found.ratings[0].is_assumed, found.notes) == (rated, False, ())


def test_a_file_of_each_emotion_is_rated_from_the_first_code_of_all(tmp_path: Path) -> None:
    for folder, row in (("happy", "10,12,happy"), ("sad", "30,32,sad")):
        (tmp_path / folder).mkdir()
        plain(tmp_path / folder / "P012_S02_anna.csv", row)
    found = read(tmp_path, "none=neutral")
    assert [one.rated for one in found.ratings] == [((10, 32),)]
    assert sum("nothing states what was rated" in note for note in found.notes) == 1


def test_a_note_for_each_rater_tells_what_nobody_states(tmp_path: Path) -> None:
    for name in ("P012_S02_anna", "P012_S03_anna", "P012_S02_bo"):
        plain(tmp_path / f"{name}.csv", "10,12,happy")
    found = read(tmp_path, "none=neutral")
    assert [note.split(",")[0] for note in found.notes] == [
        "anna: nothing states what was rated of 2 sessions",
        "bo: nothing states what was rated of 1 session",
    ]


@pytest.mark.parametrize("text", ["", "600", "0-", "20-10", "a-b", "0-10-20"])
def test_an_option_rated_that_is_no_stretch_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="`rated`"):
        read_span(text)


def test_an_export_that_does_not_hold_the_lengths_of_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "P012_S02,happy,1,5,room.mp4\nP012_S02,sad,31,35,P012_S02.mp4\n"
    path.write_text(f"Observation id,Behavior,Start (s),Stop (s),Media file name\n{rows}")
    assert "row 3: its observation has several files; give BORIS's project" in refused(path)


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    path = plain(tmp_path / "P012_S02_anna.csv", "1,5,neutral")
    found = read_ratings([path, tmp_path, path], MINUTE, read_codes(None), read_span("all"))
    assert (stretches(found), found.notes) == ([(1, 5, "neutral")], ())


@pytest.mark.parametrize(
    ("first", "second", "rated"),
    [
        ("0,20", "0,20", ((0, 20),)),
        ("0,20", "30,40", ((0, 20), (30, 40))),
        ("0,20", ",", ((0, 20),)),
        ("0,20", "0,10", None),
    ],
)
def test_files_of_one_rater_state_the_same_or_parts(
    tmp_path: Path, first: str, second: str, rated: tuple[tuple[float, float], ...] | None
) -> None:
    for name, cells in (("csv", first), ("tsv", second)):
        text = f"start_s,end_s,code,rated_from_s,rated_to_s\n1,2,sad,{cells}\n"
        (tmp_path / f"P012_S02_anna.{name}").write_text(text)
    if rated is None:
        assert "state different times as rated" in refused(tmp_path)
    else:
        assert read(tmp_path).ratings[0].rated == rated


def test_two_files_of_one_rater_are_told(tmp_path: Path) -> None:
    plain(tmp_path / "P012_S02_anna.csv", "1,5,happy")
    (tmp_path / "P012_S02_anna.tsv").write_text("start_s\tend_s\tcode\n6\t7\tsad\n")
    found = read(tmp_path, "none=neutral")
    assert found.ratings[0].stretches == (CodedInterval(1, 5, "happy"), CodedInterval(6, 7, "sad"))
    assert "P012_S02_anna.csv, P012_S02_anna.tsv: anna, P012 S02: 2 ratings were joined" in found.notes[0]
