"""study.multiverse_results: counts, and which choice moves the difference, by hand."""

import pytest
from multiverses import analysis, table_of

from pipeline.robustness.multiverse_results import multiverse_methods, verdicts

SETTINGS = {"comparison": {"reference": "baseline"}}


def test_of_no_analysis_there_is_no_verdict() -> None:
    assert verdicts(table_of()) == []


def test_signs_and_intervals_are_counted() -> None:
    """Of seven, four have the own sign, two of them beside zero; one is beside zero on the other side."""
    rows = [
        analysis(3.0, own=True),
        analysis(2.0, every=2),
        analysis(0.5, every=5),
        analysis(0.5, half=0.6, min_coverage=0.5),
        analysis(-2.0, without_speech=True),
        analysis(-0.5, without_speech=True, every=2),
        analysis(without_speech=True, every=5),
    ]
    (found,) = verdicts(table_of(*rows))
    assert (found.reference, found.condition) == ("baseline", "music")
    assert (found.analyses, found.computed, found.reasons) == (7, 6, {"too few": 1})
    assert (found.above, found.below, found.same_sign) == (4, 2, 4)
    assert (found.apart, found.apart_opposite) == (2, 1)
    assert (found.own, found.lowest, found.median, found.highest) == (3.0, -2.0, 0.5, 3.0)


def test_with_a_negative_effect_the_sign_that_holds_is_the_negative_one() -> None:
    (found,) = verdicts(table_of(analysis(-3.0, own=True), analysis(-0.5, every=2), analysis(2.0, every=5)))
    assert (found.same_sign, found.apart, found.apart_opposite) == (2, 1, 1)


def test_without_the_own_analysis_nothing_is_said_to_hold() -> None:
    (found,) = verdicts(table_of(analysis(own=True), analysis(2.0, every=2), analysis(-2.0, every=5)))
    assert found.own is None
    assert (found.same_sign, found.apart) == (0, 0)
    assert (found.above, found.below, found.apart_above, found.apart_below) == (1, 1, 1, 1)


def test_without_any_result_there_is_only_the_reason() -> None:
    (found,) = verdicts(table_of(analysis(own=True), analysis(every=2), analysis(every=5, reason="other")))
    assert (found.computed, found.lowest, found.moves) == (0, None, {})
    assert list(found.reasons.items()) == [("too few", 2), ("other", 1)]


def test_conditions_are_counted_apart() -> None:
    rows = [analysis(3.0, own=True), analysis(-1.0, half=2, own=True, condition="garden")]
    music, garden = verdicts(table_of(*rows))
    assert (music.condition, music.apart) == ("music", 1)
    assert (garden.condition, garden.same_sign, garden.apart) == ("garden", 1, 0)


def test_what_a_choice_moves_is_measured_while_the_others_stay_the_same() -> None:
    """Speech moves by 4 and by 2; the rate by 1 (all time) and by 3 (without speech): 3 and 2 on average."""
    rows = [
        analysis(10.0, own=True),
        analysis(11.0, every=2),
        analysis(6.0, without_speech=True),
        analysis(9.0, without_speech=True, every=2),
    ]
    (found,) = verdicts(table_of(*rows))
    assert found.moves == {"without_speech": pytest.approx(3.0), "every": pytest.approx(2.0)}
    assert list(found.moves) == ["without_speech", "every"]


def test_what_is_missing_does_not_look_like_a_move() -> None:
    """Without the third, means per rate would be 10 and 6: but only speech differs where both are known."""
    rows = [
        analysis(10.0, own=True),
        analysis(every=2),
        analysis(6.0, without_speech=True),
        analysis(6.0, without_speech=True, every=2),
    ]
    (found,) = verdicts(table_of(*rows))
    assert found.moves == {"without_speech": pytest.approx(4.0), "every": pytest.approx(0.0)}


def test_the_range_of_a_choice_with_several_values_is_that_of_the_farthest() -> None:
    rows = [
        analysis(10.0, own=True),
        analysis(7.0, counted="probability"),
        analysis(12.0, counted="episodes", smoothing_s=1.0, enter=0.5, leave=0.4, min_duration_s=1.0),
        analysis(11.0, counted="episodes", smoothing_s=1.0, enter=0.5, leave=0.4, min_duration_s=2.0),
    ]
    (found,) = verdicts(table_of(*rows))
    assert found.moves == {"counting": pytest.approx(5.0)}


def test_the_methods_state_the_choices_the_counts_and_the_caution() -> None:
    rows = [
        analysis(3.0, own=True),
        analysis(2.0, counted="probability"),
        analysis(2.5, counted="episodes", smoothing_s=1.0, enter=0.6, leave=0.5, min_duration_s=2.0),
        analysis(-2.0, without_speech=True, every=5),
        analysis(min_coverage=0.8),
        analysis(own=True, condition="garden", reason="nobody was there"),
        analysis(own=True, condition="walk"),
        analysis(1.0, every=5, condition="walk"),
    ]
    text = multiverse_methods(table_of(*rows), SETTINGS)
    for told in (
        "with “baseline” was repeated in 8 reasonable analyses",
        "Simonsohn, Simmons & Nelson 2020",
        "Steegen et al. 2016",
        "mean probability of happy; episodes of happy from 0.6 to below 0.5, 2 s or longer",
        "a minimum coverage of 20 % or 80 %",
        "all time or only time without speech and chewing",
        "all samples or one in 5",
        "from −2.0 to +3.0 percentage points (the study's own: +3.0)",
        "with the sign of the study's own in 3 of 5",
        "beside zero on that side in 3, on the other side in 1. 1 was not possible.",
        "For “garden”, no analysis was possible (nobody was there).",
        "For “walk”, the study's own analysis was not possible",
        "above zero in 1 and below zero in 0 of 2. 1 was not possible.",
        "descriptive and no test",
    ):
        assert told in text


def test_a_choice_that_was_not_made_is_not_stated() -> None:
    text = multiverse_methods(table_of(analysis(3.0, own=True)), SETTINGS)
    assert "repeated in 1 reasonable analysis," in text
    assert "a minimum coverage of 20 %." in text
    assert "speech" not in text
    assert "samples" not in text
