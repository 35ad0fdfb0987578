"""exchange.boris: unusual BORIS projects and exports."""

import json
from pathlib import Path
from typing import Any

import pytest
from rating_files import IDS, boris, read, refused, stretches

from pipeline.store.spreadsheet import shown

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")


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
        ({"type": "LIVE"}, "not with the video's clock"),
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
        ("P012_S02,Live observation,NA,0,NA,,happy", "not with the video's clock"),
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


def of_two(one: str, other: str) -> list[list[Any]]:
    happy = [[time, one, "happy", "", ""] for time in (1, 5)]
    return [*happy, *([time, other, "happy", "", ""] for time in (20, 30))]


def exported(path: Path, one: str, other: str, kind: str, name: str = "P012_S02") -> Path:
    spans = [(one, 1, 5), (other, 20, 30)]
    if kind == "aggregated":
        rows = [f"{name},{who},happy,STATE,{start},{end}" for who, start, end in spans]
        head = "Observation id,Subject,Behavior,Behavior type,Start (s),Stop (s)"
    else:
        edges = [(who, *edge) for who, *times in spans for edge in zip(("START", "STOP"), times, strict=True)]
        rows = [f"{name},{who},happy,{what},{time}" for who, what, time in edges]
        head = "Observation id,Subject,Behavior,Behavior type,Time"
    path.write_text("\n".join([head, *rows]))
    return path


@pytest.mark.parametrize("kind", ["project", "aggregated", "tabular"])
@pytest.mark.parametrize("patient", ["P012", "patient"])
def test_codes_of_another_subject_than_the_patient_are_no_rating(
    tmp_path: Path, patient: str, kind: str
) -> None:
    path = tmp_path / ("p.boris" if kind == "project" else "t.csv")
    made = (
        boris(path, of_two(patient, "carer")) if kind == "project" else exported(path, patient, "carer", kind)
    )
    found = read(made)
    assert stretches(found) == [(1, 5, "happy")]
    assert (
        found.notes[0] == f"{path.name}: codes of other subjects than the patient were left out: 'carer' (1)"
    )


@pytest.mark.parametrize("kind", ["project", "aggregated", "tabular"])
def test_subjects_are_raters_where_none_is_the_patient(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("p.boris" if kind == "project" else "t.csv")
    made = boris(path, of_two("anna", "ben")) if kind == "project" else exported(path, "anna", "ben", kind)
    assert read(made).raters == ("anna", "ben")
    assert read(made).notes[0] == (
        f"{path.name}: no subject is named as the patient, so they count as raters: 'anna', 'ben'"
    )


@pytest.mark.parametrize(
    ("patient", "said"), [("Mr B", "('carer', 'Mr B')"), ("", "('carer', one without a name)")]
)
def test_two_subjects_of_a_named_rater_are_refused(tmp_path: Path, patient: str, said: str) -> None:
    path = exported(tmp_path / "t.csv", patient, "carer", "tabular", "P012_S02_anna")
    assert f"codes several people {said}; name the patient's subject P012." in refused(path)


ROLES = ["nurse", "Nurse 2", "carer_A", "caregiver1", "other", "the patient's daughter", "Infirmière"]


@pytest.mark.parametrize("name", ["P012_S02", "P012_S02_anna"])
@pytest.mark.parametrize("kind", ["project", "aggregated", "tabular"])
@pytest.mark.parametrize("subject", ROLES)
def test_codes_of_a_carer_alone_are_refused(tmp_path: Path, subject: str, kind: str, name: str) -> None:
    path = tmp_path / ("p.boris" if kind == "project" else "t.csv")
    if kind == "project":
        boris(path, of_two(subject, subject))
        path.write_text(path.read_text("utf-8").replace('"P012_S02"', f'"{name}"'), "utf-8")
    else:
        exported(path, subject, subject, kind, name)
    assert refused(path).endswith(
        f"P012 S02: codes only {shown(subject)}, not the patient; take it away, or, if the codes are the "
        "patient's, name the subject P012."
    )


@pytest.mark.parametrize("kind", ["aggregated", "tabular"])
def test_the_only_subject_of_a_named_rater_is_told(tmp_path: Path, kind: str) -> None:
    path = exported(tmp_path / "t.csv", "Mr B", "Mr B", kind, "P012_S02_anna")
    found = read(path)
    assert found.raters == ("anna",)
    assert found.notes[0] == (
        "t.csv: P012 S02: the only subject is 'Mr B', whose codes are taken as the patient's, P012"
    )


def test_an_observation_of_another_subject_alone_saw_nothing_of_the_patient(tmp_path: Path) -> None:
    path = boris(tmp_path / "p.boris", of_two("carer", "carer"), **{"observation time interval": [0, 40]})
    project = json.loads(path.read_text())
    (own,) = project["observations"].values()
    project["observations"]["P012_S03"] = {**own, "file": {"1": []}, "events": of_two("P012", "carer")}
    path.write_text(json.dumps(project))
    ratings = {one.ids: one for one in read(path, "none=neutral").ratings}
    assert ratings[IDS].stretches == ()
    assert ratings[IDS].rated == ((0, 40),)
    assert [one.start_s for one in ratings["P012", "S03"].stretches] == [1]
