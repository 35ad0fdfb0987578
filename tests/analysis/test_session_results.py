"""Results of a session from a folder's tables; tables that are missing, old or damaged."""

import os
from pathlib import Path

import pytest
from timelines import make_timeline, put

from pipeline.analysis.events import Event
from pipeline.analysis.session_results import FolderFacts, SessionFacts
from pipeline.errors import TimelineError
from pipeline.results.derive import derive
from pipeline.store.paths import timeline_path

RUNS = [("neutral", 400), ("happy", 100), ("sad", 50), ("no_face", 20)]


def facts_of(out: Path, session: str = "S1", patient: str = "P1") -> SessionFacts:
    found = FolderFacts(out).of(patient, session)
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven sessions alike, and one (S9) in which the patient was happy all the time."""
    for session in range(1, 8):
        runs = [("neutral", 400 + session), ("happy", 100), ("sad", 50), ("no_face", 20)]
        put(tmp_path, make_timeline(runs, session_id=f"S{session}"), session_id=f"S{session}")
    put(tmp_path, make_timeline([("happy", 500)], session_id="S9"), session_id="S9")
    return tmp_path


def test_without_tables_nothing_is_said(folder: Path) -> None:
    assert FolderFacts(folder).of("P1", "S1") is None


def test_a_session_of_another_folder_is_not_known(folder: Path) -> None:
    derive(folder)
    assert FolderFacts(folder).of("P1", "S8") is None


def test_moments_and_numbers_are_those_of_the_tables(folder: Path) -> None:
    derive(folder)
    facts = facts_of(folder)
    assert facts.reading == "raw"
    assert not facts.is_corrected
    assert [moment.emotion for moment in (*facts.good, *facts.hard)] == ["happy", "sad"]
    good = facts.good[0]
    # neutral for 401 samples of 0.2 s, then happy for 100
    assert (good.start_s, good.end_s) == pytest.approx((80.2, 100.2), abs=0.21)
    number = facts.numbers["raw", "share", "positive"]
    assert number.value == pytest.approx(100 / 551, abs=1e-6)
    assert number.low is not None
    assert number.high is not None
    assert number.low < number.value < number.high


def test_what_is_unlike_a_persons_other_sessions_is_told(folder: Path) -> None:
    derive(folder)
    assert facts_of(folder, "S1").unusual == ()
    facts = facts_of(folder, "S9")
    assert facts.others == 7
    assert facts.can_compare
    by_what = {one.of: one for one in facts.unusual}
    assert by_what["positive"].value == pytest.approx(1)
    assert by_what["positive"].high < 0.4
    assert set(by_what) == {"positive", "negative", ""}


def test_with_few_other_sessions_nothing_is_compared(tmp_path: Path) -> None:
    for session in range(1, 6):
        put(tmp_path, make_timeline(RUNS, session_id=f"S{session}"), session_id=f"S{session}")
    # of another person, and one of which too little was seen: neither counts
    put(tmp_path, make_timeline(RUNS, patient_id="P2", session_id="S1"), "P2", "S1")
    put(tmp_path, make_timeline([("happy", 5), ("no_face", 500)], session_id="S8"), session_id="S8")
    derive(tmp_path)
    facts = facts_of(tmp_path)
    assert (facts.others, facts.can_compare, facts.unusual) == (4, False, ())


def test_tables_older_than_the_timeline_say_nothing(folder: Path) -> None:
    derive(folder)
    path = timeline_path(folder, "P1", "S1")
    later = path.stat().st_mtime + 60
    os.utime(path, (later, later))
    assert FolderFacts(folder).of("P1", "S1") is None
    assert FolderFacts(folder).of("P1", "S2") is not None


def test_a_damaged_table_is_an_error_that_names_it(folder: Path) -> None:
    derive(folder)
    (folder / "episodes" / "patient_id=P1" / "S1.parquet").write_text("not parquet")
    with pytest.raises(TimelineError, match=r"S1\.parquet"):
        FolderFacts(folder).of("P1", "S1")


# events


def test_events_belong_to_the_facts(folder: Path) -> None:
    lines = ["patient_id,session_id,time_s,what", "P1,S1,9,song", "P1,S1,4,visit", "P1,S1,soon,nap"]
    (folder / "events.csv").write_text("\n".join(lines))
    derive(folder)
    assert facts_of(folder).events == (Event("P1", "S1", 4.0, "visit"), Event("P1", "S1", 9.0, "song"))
    assert facts_of(folder, "S2").events == ()


def test_scales_belong_to_the_facts(folder: Path) -> None:
    put(folder, make_timeline([("happy", 3000)], session_id="S8"), session_id="S8")
    derive(folder)
    facts = facts_of(folder, "S8")
    assert facts.scale_names == {"oers": "Observed Emotion Rating Scale"}
    pleasure = next(one for one in facts.rated if one.item == "pleasure")
    assert (pleasure.score, pleasure.words, pleasure.kind) == (5, "more than 5 minutes", "item")
    assert (pleasure.start_s, pleasure.end_s) == pytest.approx((0, 600))
    assert facts_of(folder, "S1").rated == (), "shorter than half a window"
