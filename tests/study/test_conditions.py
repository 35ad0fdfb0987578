"""analysis.conditions: simulated studies with known effects, and with too little data."""

from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_sessions import as_tables, made
from scipy.stats import linregress, ttest_ind
from statsmodels.stats.multitest import multipletests

from pipeline.errors import InputError, TimelineError
from pipeline.stats.mixed_model import fit_study
from pipeline.stats.permutation import permutation_test
from pipeline.study.comparison_tables import (
    CONDITIONS_SCHEMA,
    STUDY,
    TRENDS_SCHEMA,
    Comparison,
    Trend,
    read_conditions,
    read_trends,
)
from pipeline.study.conditions import compare_conditions, write_conditions
from pipeline.study.session_rows import ComparisonSettings
from pipeline.study.trends import find_trends

ONE_MEASURE = ComparisonSettings(measures=(("share", "positive"),), permutations=199)

Comparisons = tuple[Comparison, ...]
Tables = tuple[pl.DataFrame, pl.DataFrame]


def study_of(comparisons: tuple[Comparison, ...]) -> Comparison:
    (found,) = [one for one in comparisons if one.patient_id == STUDY]
    return found


def compared(sessions: pl.DataFrame, measures: pl.DataFrame, settings: ComparisonSettings) -> Comparisons:
    """Of the measures that are asked for."""
    found = compare_conditions(sessions, measures, settings)
    return tuple(one for one in found if (one.measure, one.of) in settings.measures)


def numbers(result: Comparison | Trend) -> list[object]:
    counts = {"sessions", "sessions_reference", "patients", "left_out", "coverage"}
    return [
        getattr(result, field.name)
        for field in fields(result)
        if field.default is None and field.name not in counts
    ]


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Twelve patients; music adds 8 points."""
    return as_tables(made(np.random.default_rng(0), effect=8))


# --- too little


def test_no_sessions_no_comparisons(tables: Tables) -> None:
    sessions, measures = tables
    assert compared(sessions.clear(), measures.clear(), ONE_MEASURE) == ()
    assert find_trends(sessions.clear(), measures.clear(), ONE_MEASURE) == ()


@pytest.mark.parametrize(
    ("study", "conditions", "reason"),
    [
        ({"patients": 1}, ("baseline", "music"), "1 of the 3 patients it takes"),
        ({}, ("baseline", "baseline"), "no session with another condition than baseline"),
        ({}, ("", ""), "no session with another condition"),
        ({}, ("music", "garden"), "no session with the condition baseline"),
        ({"sessions": 3}, ("baseline", "music"), "0 of the 3 patients"),
    ],
)
def test_where_there_is_too_little_the_reason_stands_in_the_place_of_numbers(
    study: dict[str, int], conditions: tuple[str, str], reason: str
) -> None:
    sessions, measures = as_tables(made(np.random.default_rng(0), **study), conditions)
    for one in compared(sessions, measures, ONE_MEASURE):
        if one.patient_id == STUDY:
            assert reason in one.reason
        assert bool(one.reason) == all(number is None for number in numbers(one))


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_sessions_that_are_all_alike_are_not_enough(tables: Tables, value: float) -> None:
    sessions, measures = tables
    alike = measures.with_columns(value=pl.lit(value))
    for one in (
        *compared(sessions, alike, ONE_MEASURE),
        *find_trends(sessions, alike, ONE_MEASURE),
    ):
        assert one.reason == "no variation between sessions"
        assert set(numbers(one)) == {None}


def test_sessions_without_a_date_have_no_trend(tables: Tables) -> None:
    sessions, measures = tables
    undated = sessions.with_columns(recorded_at=pl.lit(None, pl.Datetime("ms")))
    assert all("dated sessions" in one.reason for one in find_trends(undated, measures, ONE_MEASURE))
    assert all(one.in_blocks is None for one in compared(undated, measures, ONE_MEASURE))


def test_sessions_of_one_day_have_no_trend(tables: Tables) -> None:
    sessions, measures = tables
    one_day = sessions.with_columns(recorded_at=pl.lit(datetime(2026, 3, 2, 10)))
    assert all("over a week" in one.reason for one in find_trends(one_day, measures, ONE_MEASURE))


@pytest.mark.parametrize("wrong", [{"min_sessions": 1}, {"min_patients": 1}, {"permutations": 50}])
def test_settings_that_say_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        ComparisonSettings(**wrong)


# --- what is compared


def test_a_study_is_the_model_and_the_test_of_its_sessions(tables: Tables) -> None:
    study = made(np.random.default_rng(0), effect=8)
    found = study_of(compared(*tables, ONE_MEASURE))
    fit = fit_study(study.values, study.design, 1, study.patients, study.weights)
    test = permutation_test(study.values, study.other, study.patients, study.weights, draws=199, seed=0)
    difference = fit.interval(0, 1)
    assert found.difference == pytest.approx(difference.value)
    assert found.difference_low == pytest.approx(difference.low)
    assert found.p == pytest.approx(test.p)
    assert (found.unit, found.patients, found.sessions, found.sessions_reference) == ("%", 12, 48, 48)
    assert found.mean is not None
    assert found.mean_reference is not None
    assert found.mean - found.mean_reference == pytest.approx(found.difference)
    assert found.coverage == pytest.approx(study.weights.mean())


def test_shares_without_speech_are_compared_too_but_are_no_further_tests(tables: Tables) -> None:
    sessions, measures = tables
    rest = measures.with_columns(measure=pl.lit("share_without_speech"), value=pl.col("value") - 0.05)
    both = compare_conditions(sessions, pl.concat([measures, rest]), ONE_MEASURE)
    assert tuple(one for one in both if one.measure == "share") == compared(*tables, ONE_MEASURE)
    study, quiet = (
        next(one for one in both if one.measure == name and one.patient_id == STUDY)
        for name in ("share", "share_without_speech")
    )
    assert quiet.mean == pytest.approx(study.mean - 5)
    assert quiet.difference == pytest.approx(study.difference)
    assert (quiet.unit, quiet.p, quiet.p_holm, quiet.permutations) == ("%", None, None, None)


def test_coverage_is_compared_of_all_sessions_and_without_a_test(tables: Tables) -> None:
    sessions, measures = tables
    is_music = pl.col("condition") == "music"
    seen = sessions.with_columns(
        coverage=0.6 + 0.2 * is_music + pl.col("coverage") / 10, enough=pl.col("session_id") != "S01"
    )
    found = study_of(
        tuple(one for one in compare_conditions(seen, measures, ONE_MEASURE) if one.measure == "coverage")
    )
    by_condition = seen.group_by("condition").agg(pl.col("coverage").mean()).sort("condition")["coverage"]
    assert (found.sessions, found.sessions_reference, found.unit, found.p) == (48, 48, "%", None)
    assert found.difference == pytest.approx(100 * (by_condition[1] - by_condition[0]), abs=0.1)


def test_what_is_known_to_differ_is_found_and_what_is_not_is_not() -> None:
    music = made(np.random.default_rng(0), effect=8)
    garden = made(np.random.default_rng(1), effect=0)
    both = replace(
        music,
        values=np.concatenate([music.values, garden.values[garden.other == 1]]),
        other=np.concatenate([music.other, np.full(48, 2)]),
        patients=np.concatenate([music.patients, garden.patients[garden.other == 1]]),
        weights=np.concatenate([music.weights, garden.weights[garden.other == 1]]),
    )
    # levels of patients are made anew in the second study: take them off
    level = {patient: music.values[music.patients == patient].mean() for patient in range(12)}
    own = np.array([level[int(patient)] for patient in both.patients])
    second = np.array([garden.values[garden.patients == patient].mean() for patient in range(12)])
    values = both.values - np.where(both.other == 2, second[both.patients.astype(int)] - own + 4, 0)
    found = compared(*as_tables(replace(both, values=values), ("baseline", "music", "garden")), ONE_MEASURE)
    by_name = {one.condition: one for one in found if one.patient_id == STUDY}
    music_found, garden_found = by_name["music"], by_name["garden"]
    assert music_found.difference_low is not None
    assert music_found.difference_high is not None
    assert music_found.difference_low < 8 < music_found.difference_high
    assert music_found.p_holm == pytest.approx(2 / 200)
    assert garden_found.p_holm is not None
    assert garden_found.p_holm > 0.05


def test_sessions_seen_too_little_are_left_out_and_counted(tables: Tables) -> None:
    sessions, measures = tables
    first = pl.col("session_id") == "S01"
    short = sessions.with_columns(enough=~first)
    without = measures.with_columns(
        value=pl.when(first & (pl.col("patient_id") == "P01")).then(None).otherwise("value")
    )
    assert study_of(compared(short, measures, ONE_MEASURE)).left_out == 12
    assert study_of(compared(sessions, without, ONE_MEASURE)).left_out == 1
    changed = measures.with_columns(value=pl.when(first).then(1.0).otherwise("value"))
    as_left_out, as_changed = (
        study_of(compared(short, values, ONE_MEASURE)) for values in (measures, changed)
    )
    assert as_left_out == as_changed


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_value_that_is_none_is_left_out(tables: Tables, value: float | None) -> None:
    sessions, measures = tables
    first = (pl.col("session_id") == "S01") & (pl.col("patient_id") == "P01")
    without = measures.with_columns(value=pl.when(first).then(pl.lit(value, pl.Float64)).otherwise("value"))
    found = study_of(compared(sessions, without, ONE_MEASURE))
    assert found.left_out == 1
    assert found.difference is not None


def test_who_has_one_condition_only_does_not_count(tables: Tables) -> None:
    sessions, measures = tables
    first = pl.col("patient_id") == "P01"
    one_sided = sessions.with_columns(condition=pl.when(first).then(pl.lit("music")).otherwise("condition"))
    found = compared(one_sided, measures, ONE_MEASURE)
    assert (study_of(found).patients, study_of(found).left_out) == (11, 8)
    (patient,) = [one for one in found if one.patient_id == "P01"]
    assert patient.reason.startswith("no session with the condition baseline")


def test_each_patient_alone_is_the_t_test(tables: Tables) -> None:
    """Coverage alike; the interval is Student's."""
    sessions, measures = tables
    found = compared(sessions.with_columns(observed_s=pl.lit(420.0)), measures, ONE_MEASURE)
    (patient,) = [one for one in found if one.patient_id == "P03"]
    rows = measures.join(sessions, on=["patient_id", "session_id"]).filter(patient_id="P03")
    music, baseline = (
        100 * rows.filter(condition=name)["value"].to_numpy() for name in ("music", "baseline")
    )
    theirs = ttest_ind(music, baseline).confidence_interval()
    assert (patient.difference_low, patient.difference_high) == pytest.approx((theirs.low, theirs.high))
    assert (patient.permutations, patient.exact) == (70, True)


def test_readings_are_never_mixed(tables: Tables) -> None:
    sessions, measures = tables
    corrected = measures.with_columns(reading=pl.lit("corrected"), value=pl.lit(0.9) - pl.col("value"))
    both = pl.concat([measures, corrected])
    raw, other = (one for one in find_trends(sessions, both, ONE_MEASURE) if one.patient_id == STUDY)
    assert (raw.reading, other.reading) == ("raw", "corrected")
    assert raw.per_week is not None
    assert other.per_week == pytest.approx(-raw.per_week)


def test_what_is_corrected_by_the_reference_is_not_compared_with_it(tables: Tables) -> None:
    sessions, measures = tables
    corrected = measures.with_columns(reading=pl.lit("corrected"))
    apart = compared(sessions, measures, ONE_MEASURE)
    assert compared(sessions, pl.concat([measures, corrected]), ONE_MEASURE) == apart


def test_several_measures_are_corrected_by_holm_by_hand(tables: Tables) -> None:
    """The smallest p times their number, the next times one less, and never smaller than the one before."""
    sessions, measures = tables
    random = np.random.default_rng(5)
    others = [
        measures.with_columns(of=pl.lit(name), value=pl.Series(random.uniform(0, 1, measures.height)))
        for name in ("neutral", "negative")
    ]
    settings = replace(
        ONE_MEASURE, measures=(("share", "positive"), ("share", "neutral"), ("share", "negative"))
    )
    found = compared(sessions, pl.concat([measures, *others]), settings)
    ordered = sorted((one for one in found if one.patient_id == STUDY), key=lambda one: one.p or 0)
    first, second, third = (one.p or 0 for one in ordered)
    by_hand = [3 * first, max(3 * first, 2 * second), max(3 * first, 2 * second, third)]
    assert [one.p_holm for one in ordered] == pytest.approx([min(p, 1) for p in by_hand])
    theirs = multipletests([one.p for one in ordered], method="holm")[1]
    assert [one.p_holm for one in ordered] == pytest.approx(theirs.tolist())


def test_conditions_in_blocks_are_said_to_be(tables: Tables) -> None:
    sessions, measures = tables
    late = pl.col("session_id") > "S04"
    blocks = sessions.with_columns(
        condition=pl.when(late).then(pl.lit("music")).otherwise(pl.lit("baseline"))
    )
    assert study_of(compared(blocks, measures, ONE_MEASURE)).in_blocks is True
    assert study_of(compared(sessions, measures, ONE_MEASURE)).in_blocks is False


def test_a_missing_condition_among_the_measures_of_interest_is_no_fault(tables: Tables) -> None:
    settings = replace(ONE_MEASURE, measures=(("share", "positive"), ("nothing", "such")))
    assert len(compared(*tables, settings)) == 13


# --- weeks


def test_a_trend_is_found_beside_what_conditions_do(tables: Tables) -> None:
    """Two points a week, though music comes later in most."""
    sessions, measures = tables
    week = pl.col("session_id").str.slice(1).cast(pl.Int64) - 1
    rising = measures.with_columns(value=pl.col("value") + 0.02 * week)
    found = find_trends(sessions, rising, ONE_MEASURE)
    of_study = found[0]
    assert (of_study.patient_id, of_study.patients, of_study.sessions) == (STUDY, 12, 96)
    assert of_study.weeks == 7
    assert of_study.per_week_low is not None
    assert of_study.per_week_high is not None
    assert of_study.per_week_low < 2 < of_study.per_week_high
    assert of_study.p == pytest.approx(1 / 200)
    assert len(found) == 13


def test_a_patients_trend_is_the_slope_of_a_line(tables: Tables) -> None:
    """All of one condition and one coverage."""
    sessions, measures = tables
    same = sessions.with_columns(condition=pl.lit("baseline"), observed_s=pl.lit(300.0))
    (found,) = [one for one in find_trends(same, measures, ONE_MEASURE) if one.patient_id == "P02"]
    values = 100 * measures.filter(patient_id="P02")["value"].to_numpy()
    assert found.per_week == pytest.approx(linregress(np.arange(8), values).slope)


# --- tables


def test_tables_hold_what_was_found(tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.study.conditions.read_sessions", lambda out: tables[0])
    monkeypatch.setattr("pipeline.study.conditions.read_measures", lambda out: tables[1])
    found = write_conditions(tmp_path, ONE_MEASURE)
    read = read_conditions(tmp_path)
    assert read.columns == CONDITIONS_SCHEMA.names
    assert [Comparison(**row) for row in read.iter_rows(named=True)] == list(found)
    assert read_trends(tmp_path).columns == TRENDS_SCHEMA.names


def test_without_summaries_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match="emonext summarize"):
        write_conditions(tmp_path)
