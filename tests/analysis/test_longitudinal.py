"""analysis.longitudinal: order of sessions, comparisons, and too little data."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW
from summary_tables import made, measure_rows, session_row, tables

from pipeline.analysis.history_parts import parts
from pipeline.analysis.longitudinal import (
    PatientHistory,
    against_reference,
    by_weekday_and_daytime,
    compare,
    conditions,
    good_times,
    histories,
    mean_of,
    moving_median,
    recent_change,
    shares_of,
    underpowered_conditions,
)

MONDAY = datetime(2026, 3, 2, 10, 30)


def history(*sessions: tuple[float, float], **columns: list[Any]) -> PatientHistory:
    """Sessions of P1 with these shares of positive and negative, a week apart; other columns by name."""
    rows, measures = [], []
    for number, (positive, negative) in enumerate(sessions):
        other: dict[str, Any] = {"recorded_at": MONDAY + timedelta(weeks=number)}
        other |= {name: values[number] for name, values in columns.items()}
        row = session_row(f"S{number + 1:02}", **other)
        rows.append(row)
        measures += measure_rows(row, positive, negative)
    found = histories(*tables(rows, measures), "baseline")
    return found[0] if found else PatientHistory("P1", (), "baseline")


def test_of_nothing_nothing_is_said() -> None:
    assert histories(*tables([], []), "baseline") == ()
    nobody = PatientHistory("P1", (), "baseline")
    assert (
        nobody.seen,
        nobody.readings,
        recent_change(nobody),
        good_times(nobody),
        by_weekday_and_daytime(nobody),
    ) == (
        (),
        (),
        None,
        {},
        {},
    )
    assert parts(nobody, 60) == ("session", ())
    assert mean_of([]) is None
    assert moving_median([]) == []
    assert against_reference(None, "P1") == {}


def test_sessions_are_in_order_of_their_dates_and_else_of_their_ids() -> None:
    dates = [MONDAY + timedelta(days=days) for days in (5, 1, 3)]
    found = history((0.1, 0.1), (0.1, 0.1), (0.1, 0.1), recorded_at=dates)
    assert [visit.session_id for visit in found.visits] == ["S02", "S03", "S01"]
    found = history((0.1, 0.1), (0.1, 0.1), (0.1, 0.1), recorded_at=[dates[0], None, dates[2]])
    assert [visit.session_id for visit in found.visits] == ["S01", "S02", "S03"]
    assert not found.dated
    assert recent_change(found) is None


def test_a_session_seen_too_little_is_never_a_zero() -> None:
    found = history((0.4, 0.1), (0.4, 0.1), enough=[True, False])
    assert [visit.enough for visit in found.visits] == [True, False]
    assert found.visits[1].shares == {}
    assert found.visits[1].balance == {}
    (both,) = parts(found, 1)[1]
    assert (both.sessions, both.seen) == (2, 1)
    assert both.shares["positive"] == pytest.approx(0.4)


def test_the_interval_of_a_difference_is_welchs() -> None:
    """Against statsmodels' own, also at the level of three comparisons."""
    first, second = [0.31, 0.22, 0.35, 0.4], [0.1, 0.12, 0.18, 0.08, 0.15, 0.11]
    apart = CompareMeans(DescrStatsW(first), DescrStatsW(second))
    for compared in (1, 3):
        found = compare(first, second, compared)
        assert found is not None
        wanted = apart.tconfint_diff(alpha=0.05 / compared, usevar="unequal")
        np.testing.assert_allclose((found.value.low, found.value.high), wanted)
        assert found.direction == 1
    assert compare([0.1], second) is None
    assert compare([0.2, 0.2], [0.2, 0.2]) is None


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.1, 0.3, 0.2, 0.25]
    found = mean_of(values)
    assert found is not None
    np.testing.assert_allclose((found.low, found.high), DescrStatsW(values).tconfint_mean())
    for without in (values[:2], [0.2, 0.2, 0.2]):
        few = mean_of(without)
        assert few is not None
        assert few.low is None


def test_lately_is_the_last_quarter_against_all_before() -> None:
    before = [(0.10 + 0.01 * (k % 3), 0.2) for k in range(9)]
    after = [(0.30 + 0.01 * k, 0.2) for k in range(3)]
    found = recent_change(history(*before, *after))
    assert found is not None
    visits, differences = found
    assert [visit.session_id for visit in visits] == ["S10", "S11", "S12"]
    assert {of: difference.direction for of, difference in differences.items()} == {
        "positive": 1,
        "neutral": -1,
    }
    assert recent_change(history(*before[:7])) is None


def test_a_good_time_needs_sessions_in_it_and_outside() -> None:
    mornings = [MONDAY + timedelta(days=7 * k) for k in range(6)]
    evenings = [MONDAY + timedelta(days=7 * k + 2, hours=9) for k in range(6)]
    shares = [(0.5 + 0.01 * k, 0.1) for k in range(6)] + [(0.1 + 0.01 * k, 0.1) for k in range(6)]
    found = good_times(history(*shares, recorded_at=mornings + evenings))
    assert {name: difference.direction for name, difference in found.items()} == {
        "morning": 1,
        "evening": -1,
        0: 1,
        2: -1,
    }
    assert good_times(history(*shares[:9], recorded_at=(mornings + evenings)[:9])) == {}


def test_a_date_without_a_time_has_a_weekday_and_no_time_of_day() -> None:
    found = history((0.1, 0.1), (0.1, 0.1), recorded_at=[datetime(2026, 3, 2), MONDAY])
    assert list(by_weekday_and_daytime(found)) == [(0, "morning")]
    assert by_weekday_and_daytime(found)[0, "morning"].sessions == 1


def test_a_field_is_shown_against_the_persons_usual() -> None:
    dates = [MONDAY, MONDAY + timedelta(days=1)]
    found = by_weekday_and_daytime(history((0.4, 0.0), (0.0, 0.4), recorded_at=dates))
    assert found[0, "morning"].against_usual == pytest.approx(0.4)
    assert found[1, "morning"].against_usual == pytest.approx(-0.4)


def test_many_sessions_are_taken_together_by_week_and_month() -> None:
    """Shares are weighted by the time observed: 300 s at 0.1 and 100 s at 0.5 make 0.2."""
    dates = [MONDAY, MONDAY + timedelta(days=2), MONDAY + timedelta(days=9)]
    found = history((0.1, 0), (0.5, 0), (0.3, 0), recorded_at=dates, observed_s=[300.0, 100.0, 300.0])
    kind, weeks = parts(found, 2)
    assert (kind, [week.sessions for week in weeks]) == ("week", [2, 1])
    assert weeks[0].shares["positive"] == pytest.approx(0.2)
    assert parts(found, 1)[0] == "month"
    undated = history(*[(0.1, 0.1)] * 25, recorded_at=[None] * 25)
    assert [part.sessions for part in parts(undated, 10)[1]] == [10, 10, 5]


def test_the_baseline_comes_first_and_no_condition_is_none() -> None:
    found = history(*[(0.1, 0.1)] * 4, condition=["music", "", "baseline", "art"])
    assert list(conditions(found)) == ["baseline", "art", "music"]
    assert underpowered_conditions(found) == ["art", "music"]
    enough = history(*[(0.1, 0.1)] * 6, condition=["music", "baseline"] * 3)
    assert underpowered_conditions(enough) == []


def test_the_reference_is_the_one_that_the_study_names() -> None:
    found = replace(history(*[(0.1, 0.1)] * 6, condition=["art", "rest"] * 3), reference="rest")
    assert list(conditions(found)) == ["rest", "art"]
    assert underpowered_conditions(found) == []


def test_comparisons_are_those_of_the_study() -> None:
    blank = {"patient_id": "P1", "reading": "raw", "measure": "share", "reason": "", "condition": "music"}
    row = {"of": "positive", "mean": 30.0, "mean_reference": 10.0, "difference": 20.0, "difference_low": 5.0}
    row |= {"difference_high": 35.0, "sessions": 3, "sessions_reference": 4, "p_holm": 0.03}
    other = [{**blank, **row, "reading": "corrected"}, {**blank, **row, "patient_id": ""}]
    few = {**blank, **dict.fromkeys(row), "of": "negative", "reason": "too few"}
    two = {**blank, **row, "condition": "garden", "sessions": 2}
    table = pl.DataFrame([{**blank, **row}, *other, few, two])
    found = against_reference(table, "P1")
    assert found.keys() == {"music"}
    assert found["music"].keys() == {"positive"}
    difference = found["music"]["positive"]
    assert (difference.first, difference.counts, difference.direction) == (pytest.approx(0.3), (3, 4), 1)


def test_corrected_is_compared_only_where_every_session_is() -> None:
    rows, measures = [], []
    for number in range(2):
        rows.append(session_row(f"S{number}", corrected=True))
        measures += [*measure_rows(rows[-1], 0.1, 0.4), *measure_rows(rows[-1], 0.1, 0.2, "corrected")]
    (found,) = histories(*tables(rows, measures), "baseline")
    assert found.reading == "corrected"
    assert shares_of(found.seen, "negative") == [0.2, 0.2]
    assert shares_of(found.seen, "negative", "raw") == [0.4, 0.4]
    (found,) = histories(
        *tables(rows, [row for row in measures if row["session_id"] == "S0" or row["reading"] == "raw"]),
        "baseline",
    )
    assert found.reading == "raw"
    assert shares_of(found.seen, "negative") == [0.4, 0.4]


def test_a_moving_median_is_of_five_neighbours() -> None:
    assert moving_median([1, 9, 2, 8, 3, 7]) == [2, 5, 3, 7, 5, 7]


def test_each_patient_has_a_course() -> None:
    found = histories(*made(3, 4), "baseline")
    assert [(one.patient_id, len(one.visits)) for one in found] == [("P001", 4), ("P002", 4), ("P003", 4)]
    assert [one.readings for one in found] == [("raw", "corrected"), ("raw", "corrected"), ("raw",)]
