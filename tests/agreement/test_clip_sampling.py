"""The draw of clips: chances, weights, raters, and what the machine says of a clip."""

import numpy as np
import polars as pl
import pytest
from timelines import make_timeline

from pipeline.agreement.clip_sampling import (
    RANDOM_PART,
    DrawSettings,
    Frame,
    clips_of,
    divided,
    draw,
    inclusion_chances,
    machine_answers,
    systematic,
)
from pipeline.analysis.episodes import Observed
from pipeline.errors import InputError
from pipeline.records import EMOTIONS


def frame_of(*groups: tuple[str, str, str, float, int]) -> Frame:
    """:param groups: patient, condition, answer, certainty and number of clips."""
    rows = [
        {
            "start_s": 4.0 * place,
            "end_s": 4.0 * place + 4,
            "machine": answer,
            "certainty": certainty,
            "patient_id": patient,
            "session_id": f"S-{condition}",
            "condition": condition,
        }
        for patient, condition, answer, certainty, count in groups
        for place in range(count)
    ]
    return Frame(pl.DataFrame(rows), {})


MIXED = frame_of(
    ("P1", "calm", "neutral", 0.9, 400),
    ("P1", "music", "happy", 0.8, 40),
    ("P2", "calm", "neutral", 0.4, 100),
    ("P2", "music", "sad", 0.9, 9),
    ("P3", "calm", "neutral", 0.9, 51),
)


def test_without_clips_there_is_nothing_to_draw() -> None:
    with pytest.raises(InputError, match="No clip can be drawn"):
        draw(Frame(pl.DataFrame(), {}), DrawSettings())


def test_chances_add_up_and_no_clip_is_left_without() -> None:
    chances = inclusion_chances(MIXED.rows, 60)
    assert chances.sum() == pytest.approx(60)
    assert chances.max() <= 1
    assert chances.min() >= RANDOM_PART * 60 / MIXED.rows.height * 0.999
    by_answer = MIXED.rows.select("machine").with_columns(chance=chances)
    drawn = dict(by_answer.group_by("machine").agg(pl.col("chance").sum()).iter_rows())
    assert drawn["sad"] > 3  # in proportion, 0.9 of 60
    assert drawn["happy"] > 8  # in proportion, 4


def test_what_is_rarer_than_its_share_of_the_draw_is_certain() -> None:
    chances = inclusion_chances(MIXED.rows, 580)
    assert chances.sum() == pytest.approx(580)
    assert (chances == 1).sum() > 9


def test_each_clip_is_drawn_as_often_as_its_chance_says() -> None:
    random = np.random.default_rng(3)
    chances = inclusion_chances(MIXED.rows, 60)
    counts = np.zeros(len(chances))
    for _ in range(4000):
        taken = systematic(chances, random)
        assert len(set(taken.tolist())) == 60
        counts[taken] += 1
    off = (counts / 4000 - chances) / np.sqrt(chances * (1 - chances) / 4000 + 1e-12)
    assert np.abs(off).max() < 5


def test_weights_stand_for_the_whole_study() -> None:
    totals = [sum(clip.weight for clip in draw(MIXED, DrawSettings(seed=seed))) for seed in range(200)]
    assert np.mean(totals) == pytest.approx(600, rel=0.02)
    sad = [
        sum(clip.weight for clip in draw(MIXED, DrawSettings(seed=seed)) if clip.machine == "sad")
        for seed in range(400)
    ]
    assert np.mean(sad) == pytest.approx(9, rel=0.1)


def test_the_same_seed_draws_the_same_and_a_further_draw_others() -> None:
    first, again = draw(MIXED, DrawSettings()), draw(MIXED, DrawSettings())
    assert first == again
    further = draw(MIXED, DrawSettings(), earlier=1)
    assert further[0].draw != first[0].draw
    assert {(one.ids, one.start_s) for one in further} != {(one.ids, one.start_s) for one in first}
    assert first[0].draw[0].isalpha()


def test_a_study_with_few_clips_is_drawn_whole() -> None:
    drawn = draw(frame_of(("P1", "", "happy", 0.9, 5)), DrawSettings(clips=60))
    assert [clip.weight for clip in drawn] == [1.0] * 5
    assert [clip.clip for clip in drawn] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("overlap", "alone"), [(0, 30), (20, 20), (60, 0)])
def test_clips_are_divided_among_raters(overlap: int, alone: int) -> None:
    settings = DrawSettings(clips=60, raters=("anna", "ben"), overlap=overlap)
    raters = divided(60, settings, np.random.default_rng(0))
    assert raters.count(("anna", "ben")) == overlap
    assert raters.count(("anna",)) == raters.count(("ben",)) == alone


@pytest.mark.parametrize(
    "changes",
    [
        {"clips": 0},
        {"seconds": 0.5},
        {"overlap": 61},
        {"raters": ("Anna Müller",)},
        {"raters": ("anna", "Anna")},
        {"raters": ("../x",)},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        DrawSettings(**changes)  # type: ignore[arg-type]


def probabilities(*answers: str) -> np.ndarray:
    p = np.full((len(answers), 7), 0.05)
    for row, answer in zip(p, answers, strict=True):
        row[EMOTIONS.index(answer)] = 0.7
    return p


def test_the_machines_answer_is_what_lasts_longest() -> None:
    start_s = np.array([0.0, 1.0, 2.0, 4.0, 6.0])
    seconds = np.array([1.0, 1.0, 2.0, 1.0, 2.0])
    samples = Observed(start_s, seconds, probabilities("happy", "happy", "sad", "angry", "sad"))
    answers, certainty = machine_answers(samples, np.array([0.0, 4.0, 8.0]), 4.0)
    # happy and sad for 2 s each: the first in the order of labels; sad for 2 of 3 s; nothing
    assert [EMOTIONS[one] if one >= 0 else None for one in answers] == ["happy", "sad", None]
    assert certainty[:2] == pytest.approx([(0.7 + 0.05) / 2, (0.05 + 2 * 0.7) / 3])
    assert np.isnan(certainty[2])


def test_clips_lie_in_the_parts_that_count() -> None:
    timeline = make_timeline([("happy", 100)])
    parts = timeline.metadata["session"]["parts"]
    clips = clips_of(timeline, 4.0)
    whole_s = parts[0][1] - parts[0][0]
    assert clips.height == int(whole_s // 4)
    assert set(clips["machine"]) == {"happy"}
    timeline.metadata["session"]["parts"] = [[1.0, 10.0], [12.0, 15.9]]
    assert clips_of(timeline, 4.0)["start_s"].to_list() == [1.0, 5.0]
