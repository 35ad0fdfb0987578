"""Episode matching, against hand-computed results."""

import pytest

from pipeline.agreement.episode_matching import match
from pipeline.agreement.time_grid import Coding

WHOLE = ((0.0, 100.0),)


def test_no_session_has_no_shares() -> None:
    (both,) = match([], "emotions", ["happy"])
    assert (both.first.episodes, both.first.met.value) == (0, None)


def test_met_and_well_met_in_both_directions() -> None:
    """IoU of 0–10 with 5–15 is 5/15; of 20–30 with 29–60 it is 1/40; 70–80 is alone."""
    first = Coding({"happy": [(0, 10), (20, 30), (70, 80)], "sad": [(90, 95)]})
    second = Coding({"happy": [(5, 15), (29, 60)]})
    both, happy, sad = match([(first, second, WHOLE)], "emotions", ["happy", "sad", "fear"])
    assert (happy.label, happy.first.episodes, happy.second.episodes) == ("happy", 3, 2)
    assert (happy.first.iou_matched.value, happy.first.met.value) == pytest.approx((1 / 3, 2 / 3))
    assert (happy.second.iou_matched.value, happy.second.met.value) == pytest.approx((1 / 2, 1))
    assert (sad.first.met.value, sad.second.met.value) == (0, None)
    assert (both.first.episodes, both.first.met.value) == (4, 0.5)


def test_what_could_not_be_read_or_judged_does_not_count() -> None:
    first = Coding({"happy": [(0, 10), (20, 30), (40, 50)]})
    second = Coding({"happy": [(0, 10)]}, missing=((20, 26),))
    (both, _) = match([(first, second, ((0, 44),))], "emotions", ["happy"])
    assert (both.first.episodes, both.first.met.value) == (1, 1)


def test_episodes_of_a_group_that_touch_are_one() -> None:
    machine, person = Coding({"sad": [(0, 5)], "angry": [(5, 10)]}), Coding({"negative": [(0, 10)]})
    (_, negative) = match([(machine, person, WHOLE)], "groups", ["negative"])
    assert (negative.first.episodes, negative.first.iou_matched.value) == (1, 1)
