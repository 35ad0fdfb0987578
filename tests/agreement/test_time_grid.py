"""Time steps, against hand-computed results."""

import numpy as np
import polars as pl
import pytest
from timelines import make_timeline

from pipeline.agreement.time_grid import (
    LEVELS,
    MISSING,
    Coding,
    Grid,
    by_episodes,
    by_person,
    by_samples,
    covered,
    make_grid,
    steps,
)
from pipeline.analysis.episodes import observed
from pipeline.exchange.code_map import NONE
from pipeline.exchange.rated_extent import united
from pipeline.exchange.ratings import CodedInterval, Rating


def grid(seconds: int) -> Grid:
    return Grid(np.arange(seconds + 1.0), np.ones(seconds, bool), float(seconds))


def said(read: Coding, level: str = "emotions", seconds: int = 4) -> list[str]:
    return [
        "missing" if place == MISSING else LEVELS[level][place]
        for place in steps(read, level, grid(seconds)).tolist()
    ]


def test_no_stretch_covers_nothing() -> None:
    assert covered([], np.arange(3.0)).tolist() == [0, 0]
    assert united([]) == []
    assert said(Coding({})) == [NONE] * 4


def test_overlapping_stretches_cover_once() -> None:
    assert united([(2, 3), (0, 1), (0.5, 2)]) == [(0, 3)]
    assert covered([(0.5, 1.5), (1, 1.75), (2.9, 9)], np.arange(5.0)).tolist() == [0.5, 0.75, 0.1, 1]


def test_a_step_has_the_label_that_covers_most_of_it() -> None:
    read = Coding(
        {"happy": [(0, 0.6), (1, 1.4)], "sad": [(0.6, 1), (2, 2.3), (2.6, 2.9)], "fear": [(3, 3.5)]}
    )
    assert said(read) == ["happy", NONE, "sad", "fear"], "of an equal share, a label stands before none"


def test_what_a_rater_takes_for_granted_fills_the_rest() -> None:
    read = Coding({"happy": [(0, 1)], "neutral": [(1, 1.3)]}, uncoded="neutral")
    assert said(read) == ["happy", "neutral", "neutral", "neutral"]


def test_time_that_could_not_be_judged_is_missing() -> None:
    assert said(Coding({"happy": [(0, 4)]}, missing=((0.6, 2.5),))) == [
        "happy",
        "missing",
        "missing",
        "happy",
    ]


def test_groups_add_up() -> None:
    """Neither sad nor angry covers most of the first second, but negative does."""
    read = Coding(
        {"sad": [(0, 0.3)], "angry": [(0.3, 0.6)], "happy": [(0.6, 1), (1, 2)], "surprise": [(2, 3)]}
    )
    assert said(read, "groups") == ["negative", "positive", "surprise", NONE]
    assert said(read)[0] == "happy"


def test_who_coded_groups_is_compared_by_groups() -> None:
    stretches = (CodedInterval(0, 1, "positive"), CodedInterval(1, 2, "sad"))
    read = by_person(Rating("P1", "S1", "anna", stretches))
    assert read.levels == ("groups",)
    assert said(read, "groups") == ["positive", "negative", NONE, NONE]
    assert by_person(Rating("P1", "S1", "anna", (), uncoded="negative")).levels == ("groups",)


def test_only_steps_that_could_be_read_for_half_count() -> None:
    """A second happy, 0.6 s away and 0.4 s sad, and 0.6 s of a second in which the video ends."""
    timeline = make_timeline([("happy", 5), ("no_face", 3), ("sad", 2), ("sad", 3)])
    samples = observed(timeline)
    found = make_grid(timeline, samples, 1.0)
    assert found.observed.tolist() == [True, False, True]
    assert found.duration_s == pytest.approx(2.6)
    labels = steps(by_samples(samples), "emotions", found)[found.observed]
    assert [LEVELS["emotions"][place] for place in labels] == ["happy", "sad"]


def test_time_that_could_not_be_read_is_not_unsure() -> None:
    """0.2 s of sad and 0.4 s without an episode are read, 0.4 s are not: it was unsure, not away."""
    timeline = make_timeline([("sad", 3), ("no_face", 2)])
    samples = observed(timeline)
    found = make_grid(timeline, samples, 1.0)
    episodes = pl.DataFrame({"emotion": ["sad"], "start_s": [0.0], "end_s": [0.2]})
    assert steps(by_episodes(episodes, samples), "emotions", found).tolist() == [
        LEVELS["emotions"].index(NONE)
    ]
    assert steps(by_samples(samples), "emotions", found).tolist() == [LEVELS["emotions"].index("sad")]
