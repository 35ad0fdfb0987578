"""study.reading_weights: faces lost in known ways, and what the check refuses."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from lost_faces import Loss, Lost, lose
from timelines import TWENTY_SECONDS, make_timeline

from pipeline.robustness.reading_weights import ReadingWeights, WeightSettings, weigh

SETTINGS = WeightSettings()


def weighed(lost: Lost, settings: WeightSettings = SETTINGS) -> ReadingWeights:
    found = weigh(lost.timeline, settings)
    assert found is not None
    return found


def weighted_share(lost: Lost, emotion: str) -> float:
    weights = weighed(lost).seconds
    return float(weights @ (lost.shown == emotion)[lost.read] / weights.sum())


# --- nothing to weigh


def test_nothing_read_has_no_weights() -> None:
    assert weigh(make_timeline([("no_face", 50)]), SETTINGS) is None
    assert weigh(make_timeline([("eyes_shut", 50)]), SETTINGS) is None


@pytest.mark.parametrize("asleep", [0, 100])
def test_nothing_lost_is_no_weighting(asleep: int) -> None:
    """Time asleep is not lost."""
    found = weigh(make_timeline([("neutral", 30), ("eyes_shut", asleep), ("happy", 20)]), SETTINGS)
    assert found is not None
    assert found.seconds == pytest.approx([0.2] * 50)
    assert (found.effective, found.largest, found.apart, found.reason) == pytest.approx((1, 1, 0, ""))


def test_of_faces_that_are_all_alike_only_the_time_tells() -> None:
    found = weigh(make_timeline(TWENTY_SECONDS), SETTINGS)
    assert found is not None
    assert found.covariate == "time in the session"
    assert len(found.seconds) == 90


# --- the check


def test_the_weighted_time_is_the_time_read() -> None:
    lost = lose(np.random.default_rng(0), "by pose and light")
    weights = weighed(lost)
    assert weights.seconds.sum() == pytest.approx(0.2 * lost.read.sum())
    assert weights.seconds.min() > 0
    assert 0.2 * weights.largest == pytest.approx(weights.seconds.max())


def test_covariates_are_nearer_after_weighting() -> None:
    for seed in range(5):
        weights = weighed(lose(np.random.default_rng(seed), "by pose and light"))
        assert weights.apart < 0.4 * weights.apart_before
        assert weights.reason == ""


def late(lost: Lost) -> Lost:
    """With nothing read in the last third."""
    gone = np.arange(len(lost.read)) >= 2 * len(lost.read) // 3
    status = pl.when(pl.Series(gone)).then(pl.lit("no_face")).otherwise(pl.col("status").cast(pl.String))
    emptied = [
        pl.when(pl.Series(gone)).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("yaw", "brightness", "face_px", "p_neutral")
    ]
    rows = lost.timeline.rows.with_columns(status.alias("status"), *emptied)
    return Lost(replace(lost.timeline, rows=rows), lost.shown, lost.read & ~gone)


def test_a_part_of_the_session_that_nothing_stands_for_gives_no_number() -> None:
    weights = weighed(late(lose(np.random.default_rng(0), "at random")))
    assert weights.reason
    assert "time in the session" in weights.reason or "too uneven" in weights.reason


@pytest.mark.parametrize(
    ("strict", "reason"),
    [({"most_apart": 0.001}, "still differs by"), ({"least_effective": 0.99}, "the weights are too uneven")],
)
def test_what_the_check_refuses_is_told(strict: dict[str, float], reason: str) -> None:
    lost = lose(np.random.default_rng(0), "by pose and light")
    assert reason in weighed(lost, replace(SETTINGS, **strict)).reason


def test_a_weight_that_is_too_large_is_cut() -> None:
    """Chances below the share read ÷ 2 become that."""
    lost = lose(np.random.default_rng(0), "by pose and light")
    loose, cut = weighed(lost), weighed(lost, replace(SETTINGS, largest=1.5))
    assert loose.largest > cut.largest
    assert (loose.cut, cut.cut > 0) == (0, True)


def test_almost_nothing_seen_gives_no_number_or_a_wide_one() -> None:
    lost = lose(np.random.default_rng(0), "by pose and light", samples=600)
    few = np.flatnonzero(lost.read)[5:]
    gone = np.isin(np.arange(600), few)
    status = pl.when(pl.Series(gone)).then(pl.lit("no_face")).otherwise(pl.col("status").cast(pl.String))
    rows = lost.timeline.rows.with_columns(
        status.alias("status"),
        pl.when(pl.Series(gone)).then(None).otherwise(pl.col("p_neutral")).alias("p_neutral"),
    )
    found = weigh(replace(lost.timeline, rows=rows), SETTINGS)
    assert found is not None
    assert len(found.seconds) == 5
    assert found.reason


# --- simulations with known truth


def biases(loss: Loss, sessions: int = 60) -> tuple[float, float]:
    """Mean error of the share of smiles, without and with weights."""
    made = [lose(np.random.default_rng(seed), loss) for seed in range(sessions)]
    raw = [one.raw_share("happy") - one.true_share("happy") for one in made]
    weighted = [weighted_share(one, "happy") - one.true_share("happy") for one in made]
    return float(np.mean(raw)), float(np.mean(weighted))


@pytest.mark.simulation
def test_faces_lost_at_random_need_no_weights() -> None:
    raw, weighted = biases("at random")
    assert abs(raw) < 0.005
    assert abs(weighted) < 0.005


@pytest.mark.simulation
def test_of_faces_lost_by_pose_and_light_weights_remove_most_of_the_bias() -> None:
    """Smiles are 17 % of the time; 2.7 points of them are lost, 0.8 with weights."""
    raw, weighted = biases("by pose and light")
    assert raw < -0.02
    assert abs(weighted) < 0.4 * abs(raw)


@pytest.mark.simulation
def test_of_faces_that_are_never_read_beyond_a_limit_half_the_bias_stays() -> None:
    """3.8 points of smiles are lost, 1.9 with weights."""
    raw, weighted = biases("beyond 40 degrees")
    assert raw < -0.03
    assert 0.3 * abs(raw) < abs(weighted) < 0.6 * abs(raw)


@pytest.mark.simulation
def test_of_faces_lost_by_their_expression_weights_remove_next_to_nothing() -> None:
    raw, weighted = biases("by expression")
    assert raw < -0.08
    assert weighted < 0.9 * raw
