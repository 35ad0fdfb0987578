"""Ratings from plain tables, ELAN and BORIS."""

import json
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.exchange.code_map import CodeMap, read_codes
from pipeline.exchange.coded import SessionNames
from pipeline.exchange.ratings import CodedInterval, Rating, Ratings, read_ratings

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")

NAMES = SessionNames(frozenset({("P1", "S1"), ("P1", "S1.b"), ("P2", "S1")}), {"mvi_0001.mov": ("P2", "S1")})


def read(*paths: Path, codes: str | CodeMap | None = None) -> Ratings:
    known = codes if isinstance(codes, CodeMap) else read_codes(codes)
    return read_ratings(paths, NAMES, known)


def the_one(found: Ratings) -> Rating:
    assert len(found.ratings) == 1
    return found.ratings[0]


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# --- names


@pytest.mark.parametrize(
    ("name", "ids", "rest"),
    [
        ("P1_S1", ("P1", "S1"), ""),
        ("P1_S1_anna", ("P1", "S1"), "anna"),
        ("P1-S1 anna", ("P1", "S1"), "anna"),
        ("P1_S1.b", ("P1", "S1.b"), ""),
        ("P1_S1.b.anna", ("P1", "S1.b"), "anna"),
    ],
)
def test_a_name_begins_with_its_session(name: str, ids: tuple[str, str], rest: str) -> None:
    assert NAMES.find(name) == (ids, rest)


@pytest.mark.parametrize("name", ["", "P1", "P1_S12", "P3_S1", "xP1_S1"])
def test_another_name_is_no_session_s(name: str) -> None:
    assert NAMES.find(name) is None


def test_names_are_found_at_once_among_many_sessions() -> None:
    """As each row of a table names one: made anew each time, the patterns take 0.1 s of the processor."""
    ids = [(f"P{number:03}", "S1") for number in range(1000)]
    names = SessionNames(frozenset(ids), {})
    before_s = process_time()
    assert [names.find("_".join(one)) for one in ids[:100]] == [(one, "") for one in ids[:100]]
    assert process_time() - before_s < 2


@pytest.mark.parametrize("file", ["file:///D:/video/MVI_0001.MOV", "C:\\video\\mvi_0001.mov", "x/P2_S1.mp4"])
def test_a_video_tells_its_session(file: str) -> None:
    assert NAMES.of_media([file]) == ("P2", "S1")


# --- plain tables


def test_a_rater_in_two_spellings_is_one(tmp_path: Path) -> None:
    text = "start_s,end_s,code\n0,1,happy\n"
    put(tmp_path / "P1_S1_Zoe\u0308.csv", text)
    put(tmp_path / "P1_S1.b_Zo\u00eb.csv", text)
    assert read(tmp_path).raters == ("Zo\u00eb",)
    put(tmp_path / "P2_S1_ZO\u00cb.csv", text)
    found = read(tmp_path)
    assert found.raters == ("Zo\u00eb",)
    assert found.notes[0] == "'ZO\u00cb', 'Zo\u00eb': spellings of one rater, Zo\u00eb"


def test_an_empty_table_has_no_ratings(tmp_path: Path) -> None:
    path = put(tmp_path / "anna.csv", "patient_id,session_id,start_s,end_s,code\n")
    with pytest.raises(InputError, match="has no row below its header"):
        read(path)


def test_a_plain_table(tmp_path: Path) -> None:
    text = "patient;session;start;end;code\nP1;S1;0:01,5;3,5;happy\nP1;S1;5;6;Smile\n"
    found = the_one(read(put(tmp_path / "anna.csv", text), codes="smile=happy,none=neutral"))
    assert (found.ids, found.rater, found.uncoded) == (("P1", "S1"), "anna", "neutral")
    assert found.stretches == (CodedInterval(1.5, 3.5, "happy"), CodedInterval(5, 6, "happy"))


def test_raters_have_a_column_or_a_file_of_their_own(tmp_path: Path) -> None:
    put(
        tmp_path / "all.csv",
        "patient_id,session_id,start_s,end_s,code,rater\nP1,S1,0,1,sad,bo\nP1,S1,0,1,sad,cy\n",
    )
    put(tmp_path / "P2_S1_anna.csv", "start_s\tend_s\tcode\n0\t1\tsad\n")
    put(tmp_path / "dan" / "P2_S1.csv", "start_s,end_s,code\n0,1,sad\n")
    found = read(tmp_path)
    assert [(one.patient_id, one.rater) for one in found.ratings] == [
        *(("P1", "bo"), ("P1", "cy"), ("P2", "anna"), ("P2", "dan"))
    ]


def test_left_out_and_unrateable_time(tmp_path: Path) -> None:
    text = "patient_id,session_id,start_s,end_s,code\nP1,S1,0,1,talk\nP1,S1,1,2,away\nP1,S1,2,3,sad\n"
    found = the_one(read(put(tmp_path / "a.csv", text), codes="talk=-,away=?"))
    assert found.stretches == (CodedInterval(2, 3, "sad"),)
    assert found.unrateable == ((1, 2),)


def test_rows_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    rows = "P1,S1,x,1,sad\nP1,S1,2,1,sad\n../..,S1,0,1,sad\nP1,S1,0,1,\nP1,S1\n"
    path = put(tmp_path / "a.csv", f"patient_id,session_id,start_s,end_s,code\n{rows}")
    with pytest.raises(InputError) as raised:
        read(path)
    assert "a.csv: row 2: 'x' is no time" in str(raised.value)
    assert "row 3: ends at 1 s, not after its start at 2 s" in str(raised.value)
    assert "and 2 more" in str(raised.value)


def test_unknown_codes_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", "patient_id,session_id,start_s,end_s,code\nP1,S1,0,1,hapy\n")
    put(tmp_path / "b.csv", "patient_id,session_id,start_s,end_s,code\nP2,S1,0,1,sadd\n")
    with pytest.raises(InputError, match=r"'hapy' in a\.csv \(nearest: happy\); 'sadd' in b\.csv"):
        read(tmp_path)


def test_sessions_without_a_timeline_are_told(tmp_path: Path) -> None:
    rows = "P1,S1,0,1,neutral\nP9,S9,0,1,neutral\n"
    found = read(put(tmp_path / "a.csv", f"patient_id,session_id,start_s,end_s,code\n{rows}"))
    assert the_one(found).ids == ("P1", "S1")
    assert found.notes[:1] == ("Rated, but without a timeline in this folder: P9 S9.",)


def test_who_never_codes_neutral_is_told_what_that_means(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "patient_id,session_id,start_s,end_s,code\nP1,S1,0,1,sad\n")
    assert "--codes none=neutral" in read(path).notes[0]
    assert not any("--codes" in note for note in read(path, codes="none=neutral").notes)


@pytest.mark.parametrize("name", ["a.csv", "a.eaf", "a.boris", "a.txt", "nothing"])
def test_what_is_no_rating_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name != "nothing":
        path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError) as raised:
        read(path)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_folder_without_ratings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ratings in this folder"):
        read(tmp_path)


# --- ELAN


def eaf(
    path: Path, tiers: dict[str, list[tuple[int, int, str]]], annotator: str | None = None, **media: Any
) -> Path:
    import pympi

    file = pympi.Eaf()
    file.remove_tier("default")
    for name, annotations in tiers.items():
        file.add_tier(name, ann=annotator)
        for start, end, value in annotations:
            file.add_annotation(name, start, end, value)
    if media:
        file.add_linked_file(media.pop("video", "x.mp4"), mimetype="video/mp4", **media)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.to_file(str(path))
    return path


def test_an_empty_elan_file_is_a_rating_too(tmp_path: Path) -> None:
    found = the_one(read(eaf(tmp_path / "P1_S1_anna.eaf", {"expression": []})))
    assert (found.rater, found.stretches) == ("anna", ())


def test_a_tier_for_each_emotion(tmp_path: Path) -> None:
    tiers = {"Happy": [(1000, 2500, "")], "sad": [(3000, 4000, "weak")], "speech": [(0, 500, "hello")]}
    found = read(eaf(tmp_path / "P1_S1_anna.eaf", tiers))
    assert the_one(found).stretches == (CodedInterval(1, 2.5, "happy"), CodedInterval(3, 4, "sad"))
    assert found.notes[:2] == (
        "P1_S1_anna.eaf: values of tier 'sad' that are ignored: 'weak' (1)",
        "P1_S1_anna.eaf: tiers without a known code were left out: 'speech'",
    )


def test_one_tier_with_codes_its_annotator_and_the_video_s_origin(tmp_path: Path) -> None:
    tiers = {"expression": [(1000, 2500, "smile"), (2500, 3000, "neutral")]}
    path = eaf(tmp_path / "talk.eaf", tiers, "Bo", video="file:///x/MVI_0001.MOV", time_origin=500)
    found = the_one(read(path, codes="smile=happy"))
    assert (found.ids, found.rater) == (("P2", "S1"), "Bo")
    assert found.stretches == (CodedInterval(1.5, 3, "happy"), CodedInterval(3, 3.5, "neutral"))


def test_the_codes_of_a_tier_that_are_unknown_are_named(tmp_path: Path) -> None:
    path = eaf(tmp_path / "P1_S1.eaf", {"expression": [(0, 1, "happy"), (1, 2, "smirk")]})
    with pytest.raises(InputError, match=r"'smirk' in P1_S1\.eaf"):
        read(path)
    with pytest.raises(InputError, match=r"'x' in P1_S1\.eaf"):
        read(eaf(path, {"expression": [(0, 1, "x")]}))


@pytest.mark.parametrize(
    "trap",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd">',
    ],
)
def test_entities_are_never_expanded(tmp_path: Path, trap: str) -> None:
    path = eaf(tmp_path / "P1_S1.eaf", {"expression": [(0, 1, "happy")]})
    declaration, rest = path.read_text().split("?>", 1)
    path.write_text(f"{declaration}?>{trap}{rest.replace('>happy<', '>&x;<')}")
    with pytest.raises(InputError, match="document type"):
        read(path)


@pytest.mark.parametrize(
    "change",
    [
        ("TIME_SLOT_REF1", "X"),
        ("TIER_ID", "X"),
        ("</TIER>", ""),
        ("<TIER ", "<x:TIER "),
        ('TIME_VALUE="', 'TIME_VALUE="x'),
        ('TIME_VALUE="1000', 'TIME_VALUE="' + 400 * "9"),
        ('TIME_ORIGIN="5', 'TIME_ORIGIN="' + 400 * "9"),
    ],
)
def test_a_damaged_elan_file_is_refused_by_name(tmp_path: Path, change: tuple[str, str]) -> None:
    path = eaf(tmp_path / "P1_S1.eaf", {"expression": [(0, 1000, "happy")]}, time_origin=5)
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(InputError, match=r"P1_S1\.eaf"):
        read(path)


# --- BORIS


def boris(path: Path, events: list[list[Any]], name: str = "P1_S1", **observation: Any) -> Path:
    behaviors = {
        "0": {"type": "State event", "code": "happy"},
        "1": {"type": "State event with coding map", "code": "sad"},
        "2": {"type": "Point event", "code": "blink"},
    }
    project = {
        "behaviors_conf": behaviors,
        "observations": {name: {"events": events, "file": {"1": []}, "time offset": 0, **observation}},
    }
    path.write_text(json.dumps(project))
    return path


def test_an_observation_without_events_is_a_rating_too(tmp_path: Path) -> None:
    found = the_one(read(boris(tmp_path / "anna.boris", [])))
    assert (found.rater, found.stretches) == ("anna", ())


def test_states_are_paired_by_subject_code_and_modifier(tmp_path: Path) -> None:
    events = [
        [9.0, "", "sad", "", "", 1],
        [1.0, "", "happy", "weak", "", 1],
        [2.0, "", "happy", "strong", "", 1],
        [3.0, "", "happy", "weak", "", 1],
        [4.0, "", "happy", "strong", "", 1],
        [4.5, "", "blink", "", "", 1],
        [10.0, "", "sad", "", "", 1],
    ]
    found = read(boris(tmp_path / "anna.boris", events, **{"time offset": 1.0}))
    assert the_one(found).stretches == (
        CodedInterval(0, 2, "happy"),
        CodedInterval(1, 3, "happy"),
        CodedInterval(8, 9, "sad"),
    )
    assert "'blink' (1)" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "subject", "rater"),
    [
        ("P1_S1", "Bo", "Bo"),
        ("P1_S1", "P1", "study"),
        ("P1_S1", "No focal subject", "study"),
        ("P1_S1_anna", "Bo", "anna"),
    ],
)
def test_who_rated_in_boris(tmp_path: Path, name: str, subject: str, rater: str) -> None:
    events = [[0, subject, "sad", "", "", 1], [1, subject, "sad", "", "", 1]]
    assert the_one(read(boris(tmp_path / "study.boris", events, name))).rater == rater


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([[1.0, "", "happy", "", "", 1]], "'happy' begins at 1 s and never ends"),
        ([["NaN", "", "happy", "", "", 1]], "'happy' has no time"),
        ([[int(400 * "9"), "", "happy", "", "", 1]], "can't be read as a BORIS project"),
        ([[1.0, "happy"]], "can't be read as a BORIS project"),
    ],
)
def test_events_that_make_no_sense_are_refused(tmp_path: Path, events: list[list[Any]], said: str) -> None:
    with pytest.raises(InputError) as raised:
        read(boris(tmp_path / "a.boris", events))
    assert said in str(raised.value)


AGGREGATED = (
    "Observation id,Source,Time offset (s),Subject,Behavior,Behavior type,Start (s),Stop (s),"
    "Media file name\n"
    "P1_S1,player #1:x.mp4,0,Bo,happy,STATE,1.25,2.5,x.mp4\n"
    "visit,player #1:/a/MVI_0001.MOV,1.0,No focal subject,sad,STATE,4.000,5.000,MVI_0001.MOV\n"
    "P1_S1,player #1:x.mp4,0,Bo,blink,POINT,3,3,x.mp4\n"
)
TABULAR = (
    "Observation id\tTime offset (s)\tSubject\tBehavior\tModifier #1\tBehavior type\tTime\tMedia file name\n"
    "P1_S1\t0\tBo\thappy\tweak\tSTART\t1.25\tx.mp4\n"
    "visit\t1.0\tNo focal subject\tsad\t\tSTART\t4\t/a/MVI_0001.MOV\n"
    "P1_S1\t0\tBo\thappy\tweak\tSTOP\t2.5\tx.mp4\n"
    "P1_S1\t0\tBo\tblink\t\tPOINT\t3\tx.mp4\n"
    "visit\t1.0\tNo focal subject\tsad\t\tSTOP\t5\t/a/MVI_0001.MOV\n"
)


@pytest.mark.parametrize(("name", "text"), [("cy.csv", AGGREGATED), ("cy.tsv", TABULAR)])
def test_boris_s_exports(tmp_path: Path, name: str, text: str) -> None:
    found = read(put(tmp_path / name, text))
    assert found.ratings == (
        Rating("P1", "S1", "Bo", (CodedInterval(1.25, 2.5, "happy"),), rated=((1.25, 2.5),), is_assumed=True),
        Rating("P2", "S1", "cy", (CodedInterval(3, 4, "sad"),), rated=((3, 4),), is_assumed=True),
    )
    assert "'blink' (1)" in found.notes[0]


def test_an_older_export_with_lines_above_its_table(tmp_path: Path) -> None:
    text = (
        "Observation id\tP1_S1_anna\n\nMedia file(s)\nTime offset (s)\t0\n\n"
        "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tComment\tStatus\n"
        "1\tx.mp4\t20\t25\t\tsad\t\t\tSTART\n2\tx.mp4\t20\t25\t\tsad\t\t\tSTOP\n"
    )
    found = the_one(read(put(tmp_path / "export.tsv", text)))
    assert (found.ids, found.rater, found.stretches) == (("P1", "S1"), "anna", (CodedInterval(1, 2, "sad"),))
