"""Agreement on hand-computed sessions, and on the simulated study."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from timelines import THIRTY_SECONDS, make_timeline, put

from pipeline.agreement.compare import _classes, agree
from pipeline.agreement.results import Agreement, Comparison, RatedTime, write_disagreements, write_figures
from pipeline.analysis.summaries import summarize_folder
from pipeline.errors import InputError, TimelineError
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import session_names
from pipeline.exchange.ratings import CodedInterval, Rating, Ratings, read_ratings
from pipeline.stats.reliability import Correlation, confusion
from pipeline.study.event_locked import write_events

pytest.importorskip("krippendorff", reason="needs the packages of the extra agreement")
pytest.importorskip("pingouin", reason="needs the packages of the extra agreement")

"""Ten seconds happy, ten neutral, five away, five sad; five samples a second."""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    put(tmp_path, make_timeline(THIRTY_SECONDS))
    summarize_folder(tmp_path)
    return tmp_path


def rated(rater: str, *stretches: tuple[float, float, str], session_id: str = "S1", **more: object) -> Rating:
    return Rating("P1", session_id, rater, tuple(CodedInterval(*one) for one in stretches), **more)


def between(found: Agreement, first: str, second: str, level: str = "emotions") -> Comparison:
    (one,) = (
        one
        for one in found.comparisons
        if (one.first.name, one.second.name, one.level) == (first, second, level)
    )
    return one


def test_by_hand(out: Path) -> None:
    """Seen were 25 s: 8 happy, 2 neutral but read as happy, 10 neutral, and 5 sad, 1 of them uncoded."""
    anna = rated("anna", (0, 8, "happy"), (8, 20, "neutral"), (20, 29, "sad"))
    found = agree(out, Ratings((anna,)))
    one = between(found, "machine", "anna")
    assert (one.sessions, one.seconds, one.over) == (1, 25, "blocks")
    assert one.coverage == pytest.approx(25 / 30)
    assert found.sessions == (("P1", "S1", pytest.approx(25 / 30)),)
    machine = ["happy"] * 10 + ["neutral"] * 10 + ["sad"] * 5
    person = ["happy"] * 8 + ["neutral"] * 12 + ["sad"] * 4 + ["none"]
    assert one.same.value == pytest.approx(22 / 25)
    assert one.kappa.value == pytest.approx(cohen_kappa_score(machine, person))
    place = one.labels.index
    assert one.matrix[place("happy")][place("neutral")] == 2
    assert one.matrix[place("sad")][place("none")] == 1
    happy = next(each for each in one.classes if each.label == "happy")
    assert (happy.first_s, happy.second_s) == (10, 8)
    assert happy.kappa.value == pytest.approx(
        cohen_kappa_score([name == "happy" for name in machine], [name == "happy" for name in person])
    )
    coarse = between(found, "machine", "anna", "groups")
    ordered = {"sad": 0, "neutral": 1, "happy": 2}
    pairs = [(ordered[m], ordered[p]) for m, p in zip(machine, person, strict=True) if p != "none"]
    assert coarse.weighted_s == 24
    assert coarse.weighted is not None
    assert coarse.weighted.value == pytest.approx(
        cohen_kappa_score(*zip(*pairs, strict=True), weights="quadratic")
    )
    runs = [
        (run.start_s, run.end_s, run.first_label, run.second_label)
        for run in found.disagreements
        if run.first == "machine"
    ]
    assert runs == [(8, 10, "happy", "neutral"), (29, 30, "sad", "none")]


def test_who_says_the_same_agrees_perfectly(out: Path) -> None:
    same = ((0, 10, "happy"), (10, 20, "neutral"), (25, 30, "sad"))
    found = agree(out, Ratings((rated("anna", *same), rated("bo", *same))))
    for first, second in (("machine", "anna"), ("anna", "bo")):
        assert between(found, first, second).kappa.value == 1
    assert all(
        one.alpha.value == pytest.approx(1) for one in found.several if "machine, episodes" not in one.readers
    )
    assert not [run for run in found.disagreements if run.first == "machine"]


def correlations(tables: np.ndarray) -> Correlation:
    """Of the first label."""
    return next(_classes(tables, tables, ["positive", "none"], 1.0)).shares


def test_who_guesses_does_not_agree_because_sessions_differ_in_length() -> None:
    random = np.random.default_rng(0)
    said = [random.integers(0, 2, (2, 60 * minutes)) for minutes in (1, 2, 3, 5, 8, 12, 16, 20)]
    found = correlations(np.stack([confusion(*both, 2) for both in said]))
    for figure in (found.absolute, found.consistent):
        assert figure.value is not None
        assert figure.low is not None
        assert figure.low < 0
        assert figure.value < 0.5


def test_sessions_without_compared_time_are_no_sessions_that_agree() -> None:
    empty = np.zeros((4, 2, 2), int)
    opposed = np.array([[[10, 80], [10, 0]], [[30, 20], [30, 20]], [[10, 10], [80, 0]]])
    with_empty = correlations(np.concatenate([opposed, empty]))
    assert with_empty == correlations(opposed)
    assert with_empty.absolute.value is not None
    assert with_empty.absolute.value < 0
    assert correlations(np.concatenate([opposed[:1], empty])).absolute.why == "fewer than 3 sessions"


def test_one_class_alone_is_said_to_be_undefined(tmp_path: Path) -> None:
    put(tmp_path, make_timeline([("neutral", 100)]))
    summarize_folder(tmp_path)
    found = agree(tmp_path, Ratings((rated("anna", (0, 20, "neutral")),)))
    one = between(found, "machine", "anna")
    assert (one.kappa.value, one.same.value, one.seconds) == (None, 1, 20)
    assert "one class" in one.kappa.why


def test_what_could_not_be_judged_is_left_out(out: Path) -> None:
    anna = rated("anna", (0, 10, "happy"), unrateable=((10.0, 30.0),))
    assert between(agree(out, Ratings((anna,))), "machine", "anna").seconds == 10


def test_only_what_was_rated_is_compared(out: Path) -> None:
    """Seen are 0 to 20 s and 25 to 30 s; the last second that was rated is rated for more than half."""
    stated = rated("anna", (0, 8, "happy"), uncoded="neutral", rated=((0.0, 12.6), (24.0, 27.0)))
    found = agree(out, Ratings((stated, rated("bo", (0, 8, "happy"), uncoded="neutral"))))
    one = between(found, "machine", "anna")
    assert one.seconds == 13 + 2
    place = one.labels.index
    assert one.matrix[place("neutral")][place("neutral")] == 3
    assert one.matrix[place("sad")][place("neutral")] == 2
    assert between(found, "machine", "bo").seconds == 25
    assert found.rated == (
        RatedTime("anna", 1, pytest.approx(15.6), 8.0, is_stated=True, unusable=0),
        RatedTime("bo", 1, 30.0, 8.0, is_stated=False, unusable=0),
    )


def test_episodes_outside_what_was_rated_do_not_count(out: Path) -> None:
    anna = rated("anna", (0, 8, "happy"), uncoded="neutral", rated=((0.0, 20.0),))
    found = between(agree(out, Ratings((anna,))), "machine, episodes", "anna")
    assert [(one.label, one.first.episodes, one.second.episodes) for one in found.episodes] == [
        ("", 1, 1),
        ("happy", 1, 1),
    ]


def test_a_rating_without_a_usable_code_is_not_compared(tmp_path: Path) -> None:
    for session in ("S1", "S2"):
        put(tmp_path, make_timeline(THIRTY_SECONDS, session_id=session), session_id=session)
    summarize_folder(tmp_path)
    anna = rated("anna", (0, 8, "happy")), rated("anna", session_id="S2")
    bo = rated("bo", uncoded="neutral")
    found = agree(tmp_path, Ratings((*anna, bo)))
    assert [session[:2] for session in found.sessions] == [("P1", "S1")]
    assert {one.second.name for one in found.comparisons} == {"anna"}
    assert found.rated == (
        RatedTime("anna", 1, 30.0, 8.0, is_stated=False, unusable=1),
        RatedTime("bo", 0, 0.0, 0.0, is_stated=True, unusable=1),
    )
    with pytest.raises(InputError, match="no rating has a usable code; there is nothing to compare"):
        agree(tmp_path, Ratings((bo,)))


def test_nothing_read_of_what_was_rated_is_nothing_to_compare(out: Path) -> None:
    anna = rated("anna", (21, 24, "happy"), rated=((20.0, 25.0),))
    with pytest.raises(InputError, match="the rated time has no readable face"):
        agree(out, Ratings((anna,)))


def test_groups_are_compared_only_as_groups(out: Path) -> None:
    found = agree(
        out, Ratings((rated("anna", (0, 10, "positive"), (20, 30, "negative"), uncoded="neutral"),))
    )
    assert {one.level for one in found.comparisons} == {"groups"}
    assert between(found, "machine", "anna", "groups").kappa.value == 1


def test_raters_of_different_sessions_are_not_compared_with_each_other(tmp_path: Path) -> None:
    for session in ("S1", "S2"):
        put(tmp_path, make_timeline(THIRTY_SECONDS, session_id=session), session_id=session)
    summarize_folder(tmp_path)
    ratings = rated("anna", (0, 10, "happy")), rated("bo", (0, 10, "happy"), session_id="S2")
    found = agree(tmp_path, Ratings(ratings))
    assert not [one for one in found.comparisons if one.first.name == "anna"]
    assert between(found, "machine", "bo").sessions == 1


def test_nothing_seen_is_nothing_to_compare(tmp_path: Path) -> None:
    put(tmp_path, make_timeline([("no_face", 100)]))
    summarize_folder(tmp_path)
    with pytest.raises(InputError, match="no rated session has a readable face"):
        agree(tmp_path, Ratings((rated("anna", (0, 10, "happy")),)))


def test_without_summaries_it_is_said_what_to_do(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(THIRTY_SECONDS))
    with pytest.raises(TimelineError, match="emonext summarize"):
        agree(tmp_path, Ratings((rated("anna", (0, 10, "happy")),)))


@pytest.mark.parametrize("step_s", [0, -1, 61, float("nan")])
def test_a_step_that_makes_no_sense_is_refused(out: Path, step_s: float) -> None:
    with pytest.raises(InputError, match="`step_s`"):
        agree(out, Ratings((rated("anna", (0, 10, "happy")),)), step_s)


def test_files_of_figures_and_disagreements(out: Path) -> None:
    found = agree(out, Ratings((rated("=anna", (0, 8, "happy")),)))
    figures = json.loads(write_figures(found, out / "agreement" / "figures.json").read_text())
    assert figures["comparisons"][0]["seconds"] == 25
    assert "P1" not in json.dumps(figures), "whose sessions they were is nobody's business"
    path = write_disagreements(found, out / "agreement" / "disagreements.csv")
    rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines(), delimiter=","))
    assert rows[0]["patient_id"] == "P1"
    assert {row["second"] for row in rows} == {"'=anna"}, "no spreadsheet runs it as a formula"


@pytest.mark.slow
def test_the_made_study(summarized_study: Path, tmp_path: Path) -> None:
    """Made raters are a little late, miss some and mistake some; resting faces mislead the raw reading."""
    shutil.copytree(summarized_study, tmp_path, dirs_exist_ok=True)
    ratings = read_ratings([tmp_path / "ratings"], session_names(tmp_path), read_codes("none=neutral"))
    found = agree(tmp_path, ratings)
    raw, corrected = (
        between(found, name, "rater_a", "groups").kappa.value for name in ("machine", "machine, corrected")
    )
    assert raw is not None
    assert corrected is not None
    assert 0.6 < raw < corrected < 1
    people = between(found, "rater_a", "rater_b", "groups")
    assert people.over == "sessions"
    assert people.kappa.value is not None
    assert people.kappa.low is not None
    assert people.kappa.low < people.kappa.value


def test_a_damaged_timeline_in_which_nothing_counts_is_named(tmp_path: Path) -> None:
    timeline = make_timeline(THIRTY_SECONDS)
    timeline.metadata["session"]["parts"] = []
    path = put(tmp_path, timeline)
    (tmp_path / "events.csv").write_text("session_id,time_s,what\nS1,1,song\n")
    for read in (session_names, lambda out: write_events(out, out / "events.csv")):
        with pytest.raises(TimelineError, match=re.escape(str(path))):
            read(tmp_path)
