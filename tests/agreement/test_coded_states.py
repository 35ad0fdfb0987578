"""pipeline.agreement.states: speaking, chewing, asleep and away, by machine and raters."""

from pathlib import Path

import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score
from timelines import make_timeline, put

from pipeline.agreement.compare import agree
from pipeline.agreement.results import Agreement, StateComparison
from pipeline.analysis.summaries import summarize_folder
from pipeline.errors import InputError
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import session_names
from pipeline.exchange.ratings import CodedInterval, Rating, Ratings, read_ratings
from pipeline.store.timeline import Timeline

pytest.importorskip("krippendorff", reason="needs the packages of the extra agreement")
pytest.importorskip("pingouin", reason="needs the packages of the extra agreement")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """30 s: speech at 0–10 s, eyes shut at 10–20 s, a turned head at 20–25 s, as the machine sees it.

    Speech is not known from 25 s on.
    """
    timeline = make_timeline([("happy", 50), ("eyes_shut", 50), ("happy", 50)])
    time_s = pl.col("time_s")
    rows = timeline.rows.with_columns(
        speaking=pl.when(time_s < 25).then(pl.when(time_s < 10).then(0.9).otherwise(0.1)).cast(pl.Float32),
        eyes_open=pl.when(time_s.is_between(10, 19.9)).then(0.2).otherwise(0.9).cast(pl.Float32),
        facing=pl.when(time_s.is_between(20, 24.9)).then(pl.lit("left")).otherwise(pl.lit("camera")),
    )
    put(tmp_path, Timeline(rows, timeline.metadata))
    summarize_folder(tmp_path)
    return tmp_path


def rated(rater: str, *states: tuple[float, float, str], to_s: float = 30) -> Rating:
    coded = tuple(CodedInterval(*one) for one in states)
    return Rating("P1", "S1", rater, (), rated=((0, to_s),), states=coded)


def between(found: Agreement, first: str, second: str, state: str) -> StateComparison:
    (one,) = (one for one in found.states if (one.first, one.second, one.state) == (first, second, state))
    return one


def test_each_state_is_compared_where_it_is_known(out: Path) -> None:
    anna = rated("anna", (0, 8, "speaking"), (10, 20, "asleep"), (22, 27, "away"))
    found = agree(out, Ratings((anna,)))
    assert found.comparisons == ()
    speaking = between(found, "machine", "anna", "speaking")
    assert (speaking.seconds, speaking.first_s, speaking.second_s) == (25, 10, 8)
    assert speaking.same.value == pytest.approx(23 / 25)
    machine, person = [1] * 10 + [0] * 15, [1] * 8 + [0] * 17
    assert speaking.kappa.value == pytest.approx(cohen_kappa_score(machine, person))
    asleep = between(found, "machine", "anna", "asleep")
    assert (asleep.seconds, asleep.kappa.value) == (30, 1)
    away = between(found, "machine", "anna", "away")
    assert (away.first_s, away.second_s, away.same.value) == (5, 5, pytest.approx(26 / 30))
    assert {one.state for one in found.states} == {"speaking", "asleep", "away"}
    longest = found.disagreements[0]
    assert (longest.first, longest.start_s, longest.end_s) == ("machine", 8, 10)
    assert (longest.first_label, longest.second_label) == ("speaking", "not speaking")


def test_raters_are_compared_also_where_the_machine_knows_nothing(out: Path) -> None:
    anna, ben = rated("anna", (0, 30, "chewing")), rated("ben", (0, 15, "chewing"), (15, 20, "away"), to_s=20)
    found = agree(out, Ratings((anna, ben)))
    chewing = between(found, "anna", "ben", "chewing")
    assert (chewing.seconds, chewing.first_s, chewing.second_s) == (20, 20, 15)
    assert between(found, "machine", "anna", "chewing").kappa.why == "nothing to compare"
    assert [one.second for one in found.states if one.state == "away"] == ["ben"], "anna never codes it"


def test_a_session_without_any_state_is_not_compared(out: Path) -> None:
    put(out, make_timeline([("happy", 50)], session_id="S2"), session_id="S2")
    summarize_folder(out)
    none = Rating("P1", "S2", "anna", (CodedInterval(0, 10, "happy"),))
    found = agree(out, Ratings((rated("anna", (0, 8, "speaking")), none)))
    assert between(found, "machine", "anna", "speaking").sessions == 1
    assert found.comparisons


def test_a_sleeping_face_has_no_expression_to_rate_unless_one_is_coded(out: Path) -> None:
    happy = CodedInterval(0, 10, "happy"), CodedInterval(22, 24, "happy")
    away = (CodedInterval(20, 30, "away"),)
    found = agree(out, Ratings((Rating("P1", "S1", "anna", happy, rated=((0, 30),), states=away),)))
    one = next(one for one in found.comparisons if one.level == "emotions")
    assert one.seconds == 12
    assert one.same.value == 1


def test_states_are_read_from_files_beside_or_without_expressions(out: Path, tmp_path: Path) -> None:
    table = tmp_path / "P1_S1_anna.csv"
    table.write_text("start_s,end_s,code\n0,8,smile\n2,6,talk\n10,20,asleep\n", encoding="utf-8")
    codes = read_codes("smile=happy,talk=speaking")
    (rating,) = read_ratings([table], session_names(out), codes).ratings
    assert [one.label for one in rating.states] == ["speaking", "asleep"]
    assert [one.label for one in rating.stretches] == ["happy"]
    table.write_text("start_s,end_s,code\n2,6,talk\n", encoding="utf-8")
    found = read_ratings([table], session_names(out), read_codes("talk=speaking,none=neutral"), (0, 30))
    assert not found.ratings[0].has_expressions, "who codes speech alone rates no expression"
    assert any("only states are compared (speaking)" in note for note in found.notes)


@pytest.mark.parametrize("is_stated", [True, False])
def test_what_no_code_means_depends_on_whether_the_rated_part_is_stated(
    out: Path, tmp_path: Path, is_stated: bool
) -> None:
    put(out, make_timeline([("happy", 150)], session_id="S2"), session_id="S2")
    summarize_folder(out)
    columns, extent = (",rated_from_s,rated_to_s", ",0,30") if is_stated else ("", "")
    rows = ("S1,0,8,happy", "S1,0,5,speaking", "S2,0,8,happy", "S2,8,9,x")
    table = tmp_path / "anna.csv"
    lines = [f"patient_id,session_id,start_s,end_s,code{columns}", *(f"P1,{row}{extent}" for row in rows)]
    table.write_text("\n".join(lines), encoding="utf-8")
    one, two = read_ratings([table], session_names(out), read_codes("x=neutral,none=neutral")).ratings
    assert (one.has_states, two.has_states) == (True, is_stated)
    lines[3:] = [f"P1,S2,8,9,speaking{extent}"]
    table.write_text("\n".join(lines), encoding="utf-8")
    one, two = read_ratings([table], session_names(out), read_codes("none=neutral")).ratings
    assert (one.has_expressions, two.has_expressions) == (True, is_stated)


def test_time_without_a_code_is_no_state() -> None:
    with pytest.raises(InputError, match="none= says"):
        read_codes("none=asleep")
