"""The clearest moments of a session: selection and order."""

import math
from typing import Any

import polars as pl

from pipeline.analysis.highlights import AT_MOST, Moment, clearest_moments

COLUMNS = {
    "reading": pl.String,
    "emotion": pl.String,
    "start_s": pl.Float64,
    "end_s": pl.Float64,
    "peak_s": pl.Float64,
    "mean_p": pl.Float32,
}


def episodes(*rows: tuple[str, float, float, float], reading: str = "raw") -> pl.DataFrame:
    """Each of an emotion, a start, a length and a mean probability."""
    found: list[dict[str, Any]] = [
        {
            "reading": reading,
            "emotion": emotion,
            "start_s": start,
            "end_s": start + length,
            "peak_s": start + length / 2,
            "mean_p": p,
        }
        for emotion, start, length, p in rows
    ]
    return pl.DataFrame(found, schema=COLUMNS)


def test_without_episodes_there_is_no_moment() -> None:
    assert clearest_moments(episodes(), "raw") == ([], [])


def test_good_and_hard_moments_are_told_apart_and_others_left_out() -> None:
    rows = [("happy", 9, 4, 0.5), ("neutral", 0, 60, 1.0), ("surprise", 5, 4, 1.0), ("fear", 20, 4, 0.5)]
    rows += [(name, 30 + k, 1.0, 0.5) for k, name in enumerate(("angry", "disgust", "sad"))]
    good, hard = clearest_moments(episodes(*rows), "raw")
    assert good == [Moment("happy", 9, 13, 11, 0.5)]
    assert [moment.emotion for moment in hard] == ["fear", "angry", "disgust", "sad"]


def test_a_moment_is_clear_by_probability_and_the_root_of_its_length() -> None:
    assert math.isclose(Moment("happy", 10, 19, 12, 0.5).clearness, 1.5)
    # 0.9 × √1 < 0.5 × √4 < 0.8 × √2 < 0.4 × √9
    rows = [("happy", 0, 1, 0.9), ("happy", 10, 4, 0.5), ("happy", 20, 2, 0.8), ("happy", 30, 9, 0.4)]
    for at_most, starts in ((1, [30]), (2, [20, 30]), (3, [10, 20, 30]), (4, [0, 10, 20, 30])):
        good, _ = clearest_moments(episodes(*rows), "raw", at_most)
        assert [moment.start_s for moment in good] == starts


def test_there_are_not_too_many_and_only_of_one_reading() -> None:
    many = [("sad", 10.0 * k, 5.0, 0.8) for k in range(30)]
    both = pl.concat([episodes(*many), episodes(("sad", 3, 9, 0.9), reading="corrected")])
    assert len(clearest_moments(both, "raw")[1]) == AT_MOST
    assert [moment.start_s for moment in clearest_moments(both, "corrected")[1]] == [3]
