"""Agreement on drawn clips recovers what is true of the whole study."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_ratings import intervals_that_hold
from timelines import THIRTY_SECONDS, make_timeline, put

from pipeline.agreement.clip_accuracy import compare_answers, compare_clips, sample_of
from pipeline.agreement.rated_clips import Clip, RatedClip
from pipeline.agreement.results import ClipAgreement, ClipComparison
from pipeline.errors import InputError
from pipeline.results.derive import derive


def clip(number: int, start_s: float = 0.0, weight: float = 1.0, patient: str = "P1") -> Clip:
    end_s = start_s + 4
    return Clip("d1", number, patient, "S1", "calm", start_s, end_s, "happy", 0.9, weight, ("anna", "ben"))


def of(found: ClipAgreement, first: str, second: str, level: str = "emotions") -> ClipComparison:
    return next(
        one for one in found.comparisons if (one.first, one.second, one.level) == (first, second, level)
    )


def test_without_answers_there_is_nothing_to_compare(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="no clip was rated"):
        compare_clips(tmp_path, [clip(1)], [])


def test_a_clip_counts_with_its_weight() -> None:
    clips = [clip(1, 0, 3.0), clip(2, 4, 1.0), clip(3, 8, 1.0)]
    rated = [RatedClip(one, "anna", code) for one, code in zip(clips, ("happy", "sad", "?"), strict=True)]
    machine = {one.key: "happy" for one in clips}
    found = compare_answers(clips, rated, {"machine": machine})
    same = of(found, "machine", "anna").same
    assert same.value == pytest.approx(0.75)
    assert same.n == 2  # where anna could not tell, nothing is compared
    assert of(found, "machine", "anna", "groups").same.value == pytest.approx(0.75)
    (anna,) = found.raters
    assert anna.unclear is not None
    assert anna.unclear.value == pytest.approx(0.2)
    assert (anna.clips, anna.asked) == (3, 3)


def test_labels_and_parts_are_those_of_the_table() -> None:
    clips = [clip(number, 4.0 * number, patient=f"P{number % 2}") for number in range(8)]
    said = ["happy", "happy", "sad", "neutral", "happy", "sad", "sad", "neutral"]
    machine = ["happy", "sad", "sad", "neutral", "happy", "angry", "sad", "happy"]
    rated = [RatedClip(one, "anna", code) for one, code in zip(clips, said, strict=True)]
    answers = {one.key: code for one, code in zip(clips, machine, strict=True)}
    found = of(compare_answers(clips, rated, {"machine": answers}), "machine", "anna")
    sad = next(one for one in found.labels if one.label == "sad")
    assert [sad.first, sad.second] != [None, None]
    assert (sad.first.value, sad.second.value) == pytest.approx((3 / 8, 3 / 8))  # type: ignore[union-attr]
    assert (sad.of_second.value, sad.of_first.value) == pytest.approx((2 / 3, 2 / 3))  # type: ignore[union-attr]
    angry = next(one for one in found.labels if one.label == "angry")
    assert angry.of_second is None  # anna never said so
    assert {name: part.value for name, part in found.by_patient} == pytest.approx({"P0": 1.0, "P1": 0.25})
    coarse = of(compare_answers(clips, rated, {"machine": answers}), "machine", "anna", "groups")
    assert coarse.same.value == pytest.approx(6 / 8)  # angry is sad's group


def test_draws_count_by_their_clips() -> None:
    first = [clip(1, 0, 100.0), clip(2, 4, 100.0)]
    second = [Clip(**{**vars(clip(1, 8, 5.0)), "draw": "d2"})]
    weights = sample_of([*first, *second]).weights
    assert weights.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_the_machine_is_read_from_the_timelines(tmp_path) -> None:  # type: ignore[no-untyped-def]
    put(tmp_path, make_timeline(THIRTY_SECONDS))
    derive(tmp_path)
    clips = [clip(1, 4.0), clip(2, 12.0), clip(3, 20.5)]  # happy, neutral, not seen
    rated = [RatedClip(one, "anna", "happy") for one in clips]
    found = compare_clips(tmp_path, clips, rated, ["read"])
    assert of(found, "machine", "anna").same.value == pytest.approx(0.5)
    unread = (
        "1 rated clip left out: the machine reads no face there any more, or the patient is another person "
        "than when the clips were drawn"
    )
    assert found.notes == ("read", unread)
    gone = [Clip(**{**vars(one), "session_id": "S9"}) for one in clips]
    with_gone = compare_clips(tmp_path, clips + gone, [*rated, RatedClip(gone[0], "anna", "sad")])
    assert of(with_gone, "machine", "anna").same.n == 2


@pytest.mark.simulation
@pytest.mark.parametrize("stops_after", [1.0, 0.5])
def test_intervals_hold_the_truth(stops_after: float) -> None:
    runs = 60
    found = intervals_that_hold(runs, 90, stops_after)
    least = 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
    assert min(share for share, _ in found.values()) > least, found


def test_a_clip_of_two_draws_is_one_observation() -> None:
    clips = [clip(number, 4.0 * number) for number in range(8)]
    once, twice = sample_of(clips), sample_of([*clips, *(replace(one, draw="d2") for one in clips)])
    so = np.arange(8) < 4
    alone, both = once.share(so, np.ones(8, bool)), twice.share(np.tile(so, 2), np.ones(16, bool))
    assert alone is not None
    assert both is not None
    assert (both.over, both.clusters) == ("clips", 8)
    assert both.high - both.low == pytest.approx(alone.high - alone.low, rel=0.1)
