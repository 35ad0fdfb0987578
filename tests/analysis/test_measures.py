"""analysis.measures: measures of a session, against hand-computed results."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.analysis.episodes import Episode, Observed
from pipeline.analysis.measures import Measure, measure_session
from pipeline.records import EMOTIONS


def samples(*stretches: tuple[str, int]) -> Observed:
    """Seconds of an emotion, a sample each, of which it is sure to 0.9; or of nothing at all."""
    rows, times, now = [], [], 0
    for emotion, seconds in stretches:
        if emotion:
            row = np.full(7, 0.1 / 6)
            row[EMOTIONS.index(emotion)] = 0.9
            rows += [row] * seconds
            times += list(range(now, now + seconds))
        now += seconds
    return Observed(np.array(times, float), np.ones(len(times)), np.array(rows).reshape(-1, 7))


def episode(emotion: str, start_s: float, end_s: float) -> Episode:
    return Episode(emotion, start_s, end_s, start_s, end_s - start_s, 0.9, 0.9)


PLAN = samples(("neutral", 100), ("happy", 20), ("neutral", 60), ("", 60), ("sad", 60))
EPISODES = [
    episode("neutral", 0, 100),
    episode("happy", 100, 120),
    episode("neutral", 120, 180),
    episode("sad", 240, 300),
]


def measured(begin_s: float = 0, *, enough: bool = True) -> dict[tuple[str, str], Measure]:
    found = measure_session(PLAN, EPISODES, begin_s=begin_s, enough=enough)
    return {(measure.measure, measure.of): measure for measure in found}


def test_too_little_seen_is_no_number() -> None:
    found = measure_session(samples(), [], begin_s=0, enough=False)
    assert len(found) == 54
    assert {measure.value for measure in found} == {None}


def test_shares_are_told_without_the_time_of_speech_too() -> None:
    """Of 100 s, 40 look happy, 30 of them in speech: 10 of the 70 others."""
    plan = samples(("neutral", 60), ("happy", 40))
    speech = np.arange(100) >= 70
    found = {
        (m.measure, m.of): m.value
        for m in measure_session(replace(plan, quiet=~speech), [], begin_s=0, enough=True)
    }
    assert found["share", "happy"] == pytest.approx(0.4)
    assert found["share_without_speech", "positive"] == pytest.approx(10 / 70)
    assert found["share_without_speech", "neutral"] == pytest.approx(60 / 70)


@pytest.mark.parametrize("quiet", [None, np.arange(100) >= 95], ids=["without_sound", "nearly_all_the_time"])
def test_where_too_little_is_known_without_speech_there_is_no_share(quiet: NDArray[np.bool_] | None) -> None:
    plan = replace(samples(("neutral", 60), ("happy", 40)), quiet=quiet)
    found = measure_session(plan, [], begin_s=0, enough=True)
    assert {m.value for m in found if m.measure == "share_without_speech"} == {None}


def test_every_session_has_the_same_measures_in_the_same_order() -> None:
    names = [(m.measure, m.of, m.unit) for m in measure_session(PLAN, EPISODES, begin_s=0, enough=True)]
    assert names == [(m.measure, m.of, m.unit) for m in measure_session(PLAN, [], begin_s=0, enough=False)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("measure", "of", "value"),
    [
        ("seconds", "happy", 20),
        ("seconds", "positive", 20),
        ("seconds", "negative", 60),
        ("seconds", "neutral", 160),
        ("share", "happy", 20 / 240),
        ("share", "negative", 60 / 240),
        ("share", "fear", 0),
        ("episodes_per_min", "neutral", 2 / 4),
        ("episodes_per_min", "fear", 0),
        ("latency_s", "sad", 240),
        ("latency_s", "fear", None),
        ("longest_s", "neutral", 100),
        ("switches_per_min", "", 3 / 4),
        ("expressive_share", "", 80 / 240),
        ("expressivity", "", (160 * 0.1 + 80 * (1 - 0.1 / 6)) / 240),
        ("valence", "", (20 * (0.9 - 0.1 / 6) + 60 * (0.1 / 6 - 0.9)) / 240),
    ],
)
def test_as_worked_by_hand(measure: str, of: str, value: float | None) -> None:
    assert measured()[measure, of].value == (None if value is None else pytest.approx(value))


def test_switches_vary_from_minute_to_minute() -> None:
    # at 100, 120 and 240 s; of the fourth minute nothing was seen
    assert measured()["switch_variance", ""].value == pytest.approx(np.var([0, 1, 1, 1], ddof=1))


def test_latency_counts_from_the_part_that_counts() -> None:
    assert measured(begin_s=-30)["latency_s", "happy"].value == 130


def test_every_share_has_an_interval_around_it() -> None:
    for measure in measured().values():
        if measure.measure in ("share", "seconds", "valence", "episodes_per_min", "expressivity"):
            assert measure.low is not None
            assert measure.low <= measure.value <= measure.high
        if measure.unit == "0…1" and measure.value is not None:
            assert 0 <= measure.low <= measure.high <= 1


def test_two_of_the_same_in_a_row_are_no_switch() -> None:
    again = [episode("happy", 100, 105), episode("happy", 110, 120)]
    found = measure_session(PLAN, again, begin_s=0, enough=True)
    assert next(m.value for m in found if m.measure == "switches_per_min") == 0
