"""Files of raters in which something is unusual, and what must become of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rating_files import aligned, boris, eaf, medium, referring, tier

from pipeline.errors import InputError
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import Recorded, SessionNames
from pipeline.exchange.ratings import Ratings, Stretch, read_ratings, read_span

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")

IDS = ("P012", "S02")
MINUTE = SessionNames(
    frozenset({IDS, ("P012", "S03")}),
    {"p012_s02.mp4": IDS, "p012_s03.mp4": ("P012", "S03"), "second half.mp4": IDS},
    {IDS: Recorded(((0.0, 60.0),), {"p012_s02.mp4": 0.0, "second half.mp4": 30.0})},
)
"""P012 S02 lasts 60 s, in two files of 30 s."""

HAPPY = [(1000, 5000, "happy")]


def read(path: Path, codes: str | None = None, rated: str | None = None, **names: Any) -> Ratings:
    return read_ratings([path], replace(MINUTE, **names), read_codes(codes), read_span(rated))


def stretches(found: Ratings) -> list[tuple[float, float, str]]:
    (rating,) = found.ratings
    assert rating.ids == IDS
    return [(one.start_s, one.end_s, one.label) for one in rating.stretches]


def parts(*spans: tuple[float, float]) -> dict[str, Any]:
    return {"recorded": {IDS: Recorded(spans, {})}}


def refused(path: Path, *arguments: Any, **names: Any) -> str:
    with pytest.raises(InputError) as raised:
        read(path, *arguments, **names)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# --- ELAN


SEGMENTS = tier("segment", aligned("a1", "ts1", "ts2", "x"), aligned("a2", "ts2", "ts3", "y"))
ONE = tier("emotion", aligned("a1", "ts1", "ts2", "happy"))


VIDEO = medium("file:///C:/v/P012_S02.mp4")


@pytest.mark.parametrize(
    ("media", "start_s"),
    [
        ("", 1),
        (VIDEO, 1),
        (medium("file:///C:/v/P012_S02.mp4", origin_ms=-500), 0.5),
        (medium("C:\\v\\P012_S02.mp4", "", 2000), 3),
        (medium("file:///C:/v/sound.wav", "audio/x-wav", 5000) + VIDEO, 1),
        (medium("file:///C:/v/P012_S02.wav", "", 5000) + VIDEO, 1),
        (medium("file:///C:/v/room.mp4", origin_ms=5000) + VIDEO, 1),
        (medium("file:///C:/v/sound.wav", "audio/x-wav", 5000) + medium("file:///C:/v/room.mp4"), 1),
        (medium("file:///C:/v/sound.wav", "audio/x-wav", 2000), 3),
        (medium("file:///v/second%20half.mp4", origin_ms=2000), 33),
        ('<MEDIA_DESCRIPTOR MEDIA_URL="" RELATIVE_MEDIA_URL="./P012_S02.mp4" TIME_ORIGIN="2000"/>', 3),
    ],
)
def test_the_origin_of_elan_s_times_is_that_of_the_session_s_own_medium(
    tmp_path: Path, media: str, start_s: float
) -> None:
    found = read(eaf(tmp_path / "P012_S02.eaf", ONE, media=media))
    assert stretches(found) == [(start_s, start_s + 4, "happy")]


@pytest.mark.parametrize(
    "media",
    [
        medium("file:///a.mp4", origin_ms=0) + medium("file:///b.mp4", origin_ms=4000),
        VIDEO + medium("file:///w/P012_S02.mp4", origin_ms=4000),
        VIDEO + medium("file:///v/second%20half.mp4"),
    ],
)
def test_media_that_disagree_are_refused(tmp_path: Path, media: str) -> None:
    said = refused(eaf(tmp_path / "P012_S02.eaf", ONE, media=media))
    assert "P012_S02.eaf: its media (" in said
    assert "link only the video of P012 S02" in said


def test_a_file_named_after_a_session_with_another_session_s_video_is_refused(tmp_path: Path) -> None:
    said = refused(eaf(tmp_path / "P012_S02.eaf", ONE, media=medium("file:///P012_S03.mp4")))
    assert "named after P012 S02, but its video is that of P012 S03" in said


def test_videos_of_two_sessions_do_not_tell_which_is_rated(tmp_path: Path) -> None:
    media = VIDEO + medium("file:///P012_S03.mp4")
    assert "which session" in refused(eaf(tmp_path / "coded.eaf", ONE, media=media))


@pytest.mark.parametrize("codes", [None, "x=-,y=-", "x=-"])
def test_dependent_annotations_have_their_ancestor_s_time(tmp_path: Path, codes: str | None) -> None:
    emotions = tier(
        "emotion",
        referring("a3", "a1", "happy"),
        referring("a4", "a2", "sad"),
        kind="assoc",
        parent="segment",
    )
    notes = tier("sure", referring("a5", "a3", "very"), kind="assoc", parent="emotion")
    found = read(eaf(tmp_path / "P012_S02_anna.eaf", SEGMENTS + emotions + notes), codes)
    assert stretches(found) == [(1, 5, "happy"), (5, 9, "sad")]
    assert "'sure'" in found.notes[0]
    assert codes == "x=-,y=-" or any("'segment'" in note for note in found.notes)


def test_the_parts_of_a_subdivision_share_its_time_in_their_order(tmp_path: Path) -> None:
    """Of 4 s: 1 s each, the second of which is halved again by a chain of references."""
    emotions = tier(
        "emotion",
        referring("a9", "a1", "neutral", "a6"),
        referring("a6", "a1", "sad", "a5"),
        referring("a5", "a1", "happy"),
        referring("a7", "a1", "fear", "a9"),
        kind="parts",
        parent="segment",
    )
    finer = tier(
        "finer",
        referring("b2", "a6", "angry", "b1"),
        referring("b1", "a6", "surprise"),
        kind="parts",
        parent="emotion",
    )
    found = read(eaf(tmp_path / "P012_S02_anna.eaf", SEGMENTS + emotions + finer))
    assert stretches(found) == [
        *((1, 2, "happy"), (2, 2.5, "surprise"), (2, 3, "sad")),
        *((2.5, 3, "angry"), (3, 4, "neutral"), (4, 5, "fear")),
    ]
    assert any("several labels at once" in note for note in found.notes)


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ([referring("a3", "a9", "happy")], "depends on 'a9', which is not there"),
        ([referring("a3", "a1", "happy", "a8")], "follow none that is there"),
        ([referring("a3", "a1", "happy"), referring("a4", "a1", "sad")] * 2, "two have the ANNOTATION_ID"),
        ([referring("a3", "a4", "happy"), referring("a4", "a3", "sad")], "can't be read as a file of ELAN"),
        (
            [referring("a3", "a1", "happy"), referring("a4", "a1", "sad")],
            "several annotations of tier 'emotion'",
        ),
    ],
)
def test_broken_references_are_refused(tmp_path: Path, annotations: list[str], said: str) -> None:
    emotions = tier("emotion", *annotations, kind="assoc", parent="segment")
    assert said in refused(eaf(tmp_path / "P012_S02.eaf", SEGMENTS + emotions))


def test_two_tiers_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "two have the TIER_ID 'emotion'" in refused(
        eaf(tmp_path / "P012_S02.eaf", ONE + tier("emotion", aligned("a2", "ts2", "ts3", "sad")))
    )


def test_other_units_than_milliseconds_are_refused(tmp_path: Path) -> None:
    assert "'PAL-frames'" in refused(eaf(tmp_path / "P012_S02.eaf", ONE, units="PAL-frames"))


def test_slots_without_a_time_lie_evenly_between_their_neighbours(tmp_path: Path) -> None:
    slots = (
        '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2"/>'
        '<TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="7000"/>'
    )
    emotions = tier(
        "emotion",
        aligned("a1", "ts1", "ts2", "happy"),
        aligned("a2", "ts2", "ts3", "sad"),
        aligned("a3", "ts3", "ts4", "fear"),
    )
    found = read(eaf(tmp_path / "P012_S02.eaf", emotions, slots))
    assert stretches(found) == [(1, 3, "happy"), (3, 5, "sad"), (5, 7, "fear")]


def test_slots_of_a_dependent_tier_lie_between_those_of_the_same_tier(tmp_path: Path) -> None:
    """As ELAN shows it: 1 to 7 s are divided in three, wherever another tier has a time."""
    slots = (
        '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2"/>'
        '<TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts8" TIME_VALUE="1600"/>'
        '<TIME_SLOT TIME_SLOT_ID="ts9" TIME_VALUE="2000"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="7000"/>'
    )
    emotions = tier(
        "emotion",
        aligned("a1", "ts1", "ts2", "happy"),
        aligned("a2", "ts2", "ts3", "sad"),
        aligned("a3", "ts3", "ts4", "fear"),
        parent="segment",
    )
    others = tier("segment", aligned("a4", "ts1", "ts4", "x")) + tier(
        "talk", aligned("a5", "ts8", "ts9", "y")
    )
    found = read(eaf(tmp_path / "P012_S02.eaf", others + emotions, slots))
    assert stretches(found) == [(1, 3, "happy"), (3, 5, "sad"), (5, 7, "fear")]


def test_annotations_without_a_value_or_without_length_are_told(tmp_path: Path) -> None:
    emotions = tier(
        "emotion",
        aligned("a1", "ts1", "ts2", "happy"),
        aligned("a2", "ts2", "ts3", " "),
        aligned("a3", "ts3", "ts3", "sad"),
    )
    found = read(eaf(tmp_path / "P012_S02.eaf", emotions))
    assert stretches(found) == [(1, 5, "happy")]
    assert found.notes[:2] == (
        "P012_S02.eaf: tier 'emotion': 1 without a code left out",
        "P012_S02.eaf: 1 of P012 S02 without length left out",
    )


def test_an_annotation_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    emotions = tier("emotion", aligned("a1", "ts2", "ts1", "happy"))
    assert "'a1' ends before it starts" in refused(eaf(tmp_path / "P012_S02.eaf", emotions))


def test_a_tier_named_rated_states_what_was_rated(tmp_path: Path) -> None:
    rated = tier("Rated", aligned("r1", "ts1", "ts3", ""))
    found = read(eaf(tmp_path / "P012_S02.eaf", ONE + rated), "none=neutral")
    assert found.ratings[0].rated == ((1, 9),)
    assert stretches(found) == [(1, 5, "happy")]
    assert found.notes == ()


def test_what_a_rater_of_a_file_rated_is_not_stated_for_another(tmp_path: Path) -> None:
    def by(annotator: str, text: str) -> str:
        return text.replace("<TIER ", f'<TIER ANNOTATOR="{annotator}" ')

    happy = by("Anna", tier("emotion", aligned("a1", "ts1", "ts2", "happy")))
    sad = by("Bo", tier("emotion-2", aligned("a2", "ts2", "ts3", "sad")))
    rated = by("Anna", tier("rated", aligned("r1", "ts1", "ts2", "")))
    found = read(eaf(tmp_path / "P012_S02.eaf", happy + sad + rated))
    assert [(one.rater, one.rated) for one in found.ratings] == [("Anna", ((1, 5),)), ("Bo", ((5, 9),))]
    assert [one.is_assumed for one in found.ratings] == [False, True]
    (one,) = read(eaf(tmp_path / "P012_S02.eaf", ONE + rated)).ratings
    assert one.rated == ((1, 5),), "the tier of codes names nobody else"


# --- BORIS


ROOM, OWN = "C:/v/room.mp4", "C:/v/P012_S02.mp4"


@pytest.mark.parametrize(
    ("observation", "start_s"),
    [
        ({}, 1),
        ({"time offset": "0.5"}, 0.5),
        ({"time offset": -10}, 11),
        ({"time offset": None}, 1),
        ({"file": {"1": [ROOM], "2": [OWN]}, "media_info": {"offset": {"1": 0.0, "2": -2.0}}}, 3),
        ({"file": {"1": [ROOM], "2": [OWN]}, "media_info": {"offset": {"1": 7.0, "2": "0.5"}}}, 0.5),
        ({"file": {"1": [OWN], "2": [ROOM]}, "media_info": {"offset": {"1": 0.0, "2": 2.0}}}, 1),
        ({"file": {"1": [OWN, "second half.mp4"]}, "media_info": {"length": {OWN: 30.02}}}, 1),
        ({"file": {"1": ["second half.mp4"]}}, 31),
        ({"file": {"1": [ROOM, OWN]}, "media_info": {"length": {ROOM: 0.75}}}, 0.25),
        ({"file": {"1": ["copy 1.mp4", "copy 2.mp4"]}}, 1),
        ({"file": {"1": ["x.wav"], "2": [OWN]}, "media_info": {"offset": {"2": -4}}}, 5),
        (
            {
                "media_creation_date_as_offset": True,
                "media_info": {"media_creation_time": {OWN: 1.7e9}},
                "events": [[1.7e9 + 1, "", "happy", "", ""], [1.7e9 + 5, "", "happy", "", ""]],
            },
            1,
        ),
    ],
)
def test_boris_s_times_are_moved_to_the_session_s_own_video(
    tmp_path: Path, observation: dict[str, Any], start_s: float
) -> None:
    assert stretches(read(boris(tmp_path / "p.boris", **observation))) == [(start_s, start_s + 4, "happy")]


def test_a_player_s_offset_delays_its_video(tmp_path: Path) -> None:
    """As BORIS plays it: at 5 s of the first player the second one is at 3 s."""
    media = {"file": {"1": [ROOM], "2": [OWN]}, "media_info": {"offset": {"1": 0.0, "2": 2.0}}}
    found = read(boris(tmp_path / "p.boris", **media))
    assert stretches(found) == [(0, 3, "happy")]
    assert "1 code cut to the counted time of P012 S02 (0 to 60 s): 'happy' -1 to 3 s" in found.notes[0]


@pytest.mark.parametrize(
    ("observation", "said"),
    [
        ({"type": "IMAGES"}, "rate a video, not pictures"),
        ({"type": "IMAGES", "events": [["NA", "", "happy", "", ""]] * 2}, "rate a video, not pictures"),
        ({"events": [["NA", "", "happy", "", ""]] * 2}, "has no time; rate a video, not pictures"),
        ({"type": "LIVE"}, "on a clock that is not the video's"),
        (
            {"file": {"1": [ROOM], "2": [OWN, "x.mp4"]}, "media_info": {"offset": {"2": 2}}},
            "when they begin is not known",
        ),
        ({"time offset": "soon"}, "its time offset is no time ('soon')"),
        ({"file": {"1": [ROOM, OWN]}}, "begin at different times, or when they begin is not known"),
        ({"file": {"1": [ROOM], "2": ["x.mp4"]}, "media_info": {"offset": {"2": 2}}}, "room.mp4', 'x.mp4'"),
        (
            {"file": {"1": ["second half.mp4", OWN]}, "media_info": {"length": {"second half.mp4": 30}}},
            "begin at",
        ),
        ({"media_creation_date_as_offset": True}, "media creation date as offset"),
        ({"file": {"1": ["P012_S03.mp4"]}}, "its video is that of P012 S03"),
    ],
)
def test_boris_s_times_that_cannot_be_known_are_refused(
    tmp_path: Path, observation: dict[str, Any], said: str
) -> None:
    answer = refused(boris(tmp_path / "p.boris", **observation))
    assert said in answer
    assert "P012_S02" in answer


def test_events_of_behaviors_that_the_project_does_not_have_are_told(tmp_path: Path) -> None:
    events = [
        [1, "", "happy", "", ""],
        [2, "", "glad", "", ""],
        [3, "", "laugh", "", ""],
        [5, "", "happy", "", ""],
    ]
    found = read(boris(tmp_path / "p.boris", events))
    assert found.notes[:2] == (
        "p.boris: point events have no length and were left out: 'laugh' (1)",
        "p.boris: not among the project's behaviors, and left out: 'glad' (1)",
    )


@pytest.mark.parametrize(
    ("interval", "rated"),
    [([0, 0], ((11, 15),)), ([0, 30], ((0, 30),)), ([10, 0], ((10, 60),)), ([10.5, 20], ((10.5, 20),))],
)
def test_an_observation_s_interval_is_what_was_rated(
    tmp_path: Path, interval: list[float], rated: tuple[tuple[float, float], ...]
) -> None:
    events = [[111, "", "happy", "", ""], [115, "", "happy", "", ""]]
    observation = {"observation time interval": interval, "time offset": 100}
    found = read(boris(tmp_path / "p.boris", events, **observation))
    assert found.ratings[0].rated == rated


HEAD = "Observation id,Observation type,Source,Time offset (s),Media duration (s),Subject,Behavior,"


@pytest.mark.parametrize(
    ("source", "lengths", "start_s"),
    [
        (f"player #1:{OWN}", "60.000", 1),
        (f"player #1:{OWN}|player #2:{ROOM}", "60.000|60.000", 1),
        (f"player #1:{ROOM};{OWN}", "0.750;60.000", 0.25),
        (f"player #1:{OWN};second half.mp4", "30.020;30.000", 1),
    ],
)
def test_times_of_boris_s_exports_are_moved_too(
    tmp_path: Path, source: str, lengths: str, start_s: float
) -> None:
    head = f"P012_S02,Media file(s),{source},0,{lengths},,happy"
    aggregated = tmp_path / "a.csv"
    aggregated.write_text(f"{HEAD}Behavior type,Start (s),Stop (s)\n{head},STATE,1.000,5.000\n")
    tabular = tmp_path / "t.csv"
    tabular.write_text(f"{HEAD}Behavior type,Time\n{head},START,1.000\n{head},STOP,5.000\n")
    for path in (aggregated, tabular):
        assert stretches(read(path)) == [(start_s, start_s + 4, "happy")]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (f"P012_S02,Media file(s),player #1:{ROOM}|player #2:{OWN},0,60.000|60.000,,happy", "is not known"),
        (f"P012_S02,Media file(s),player #1:{ROOM};{OWN},0,NA,,happy", "is not known"),
        ("P012_S02,From pictures,x; ,0,NA,,happy", "rate a video, not pictures"),
        ("P012_S02,Live observation,NA,0,NA,,happy", "on a clock that is not the video's"),
        (f"P012_S02,Media file(s),player #1:{OWN},soon,60.000,,happy", "'soon' is no time"),
    ],
)
def test_exports_whose_times_cannot_be_known_are_refused(tmp_path: Path, head: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{HEAD}Behavior type,Start (s),Stop (s)\n{head},STATE,1.000,5.000\n")
    assert said in refused(path)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("STOP,1\nSTART,2\n", "ends without a begin at 1 s"),
        ("START,1\nSTART,2\nSTOP,3\n", "begins again before its end at 2 s"),
        ("START,1\n", "begins at 1 s and never ends"),
    ],
)
def test_states_that_do_not_begin_and_end_in_turn_are_refused(tmp_path: Path, rows: str, said: str) -> None:
    path = tmp_path / "t.csv"
    lines = "".join(f"P012_S02,happy,{row}\n" for row in rows.split())
    path.write_text(f"Observation id,Behavior,Behavior type,Time\n{lines}")
    assert said in refused(path)


# --- tables


@pytest.mark.parametrize(
    "text",
    [
        "start_s,end_s,code,code\n1,5,happy,sad\n",
        "start_s,end_s,code,Code \n1,5,happy,sad\n",
        "observation id,behavior,behavior,start (s),stop (s)\nP012_S02,happy,sad,1,5\n",
        "observation id,behavior,status,time,time\nP012_S02,happy,START,1,5\n",
    ],
)
def test_two_columns_of_one_name_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text(text)
    assert "two columns have this name; keep one." in refused(path)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            "start_s,end_s,code,label",
            "row 1, code: 'code' and 'label' mean the same column; keep one, or begin",
        ),
        ("start_s,end_s,Emotion,code", "row 1, code: 'Emotion' and 'code' mean the same column"),
        ("start_s,end_s,code,onset", "row 1, start_s: 'start_s' and 'onset' mean the same column"),
    ],
)
def test_two_columns_of_one_meaning_are_both_named(tmp_path: Path, header: str, said: str) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text(f"{header}\n1,5,happy,happy\n")
    assert said in refused(path)


def test_other_columns_may_repeat(tmp_path: Path) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text("start_s,end_s,code,note,note,,\n1,5,happy,a,b,,\n")
    assert stretches(read(path)) == [(1, 5, "happy")]


def test_more_cells_than_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text("start_s,end_s,code\n1,5,happy\n1,5,3,5,happy\n")
    assert "row 3: more cells than the header has names" in refused(path)


def test_what_was_rated_has_columns(tmp_path: Path) -> None:
    path = tmp_path / "P012_S02_anna.csv"
    path.write_text("start_s,end_s,code,rated_from_s,rated_to_s\n1,5,happy,0,0:20\n,,,30,40\n6,7,sad,,\n")
    found = read(path, "none=neutral")
    assert found.ratings[0].rated == ((0, 20), (30, 40))
    assert stretches(found) == [(1, 5, "happy"), (6, 7, "sad")]


@pytest.mark.parametrize("cells", ["0,", ",20", "20,0", "x,20"])
def test_half_a_statement_of_what_was_rated_is_refused(tmp_path: Path, cells: str) -> None:
    path = tmp_path / "P012_S02.csv"
    path.write_text(f"start_s,end_s,code,rated_from_s,rated_to_s\n1,5,happy,{cells}\n")
    assert "row 2" in refused(path)


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
    with pytest.raises(InputError, match="--rated"):
        read_span(text)


def test_an_export_that_does_not_hold_the_lengths_of_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "P012_S02,happy,1,5,room.mp4\nP012_S02,sad,31,35,P012_S02.mp4\n"
    path.write_text(f"Observation id,Behavior,Start (s),Stop (s),Media file name\n{rows}")
    assert "row 3: its observation plays several files; give BORIS's project" in refused(path)


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
    assert found.ratings[0].stretches == (Stretch(1, 5, "happy"), Stretch(6, 7, "sad"))
    assert (
        "P012_S02_anna.csv, P012_S02_anna.tsv: anna, P012 S02: 2 ratings were put together" in found.notes[0]
    )
