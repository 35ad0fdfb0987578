"""Attention: the share of the time in which the face is turned to where the list says."""

import polars as pl
import pytest

from pipeline.analysis.measures import measure_attention
from pipeline.store.timeline import Timeline
from tests.support.timelines import make_timeline


def turned(*facing: str | None, to: str = "camera") -> Timeline:
    timeline = make_timeline([("happy", len(facing))])
    yaw = {"left": -40.0, "right": 40.0}
    rows = timeline.rows.with_columns(
        facing=pl.Series(facing, dtype=pl.String),
        yaw=pl.Series([None if way is None else yaw.get(way, 0.0) for way in facing], dtype=pl.Float32),
    )
    session = {**timeline.metadata["session"], "attention_to": to}
    return Timeline(rows, {**timeline.metadata, "session": session})


@pytest.mark.parametrize(("to", "share"), [("camera", 0.5), ("left", 0.3), ("right", 0.2), ("down", 0.0)])
def test_the_share_is_of_the_time_with_a_known_pose(to: str, share: float) -> None:
    found = measure_attention(turned(*["camera"] * 50, *["left"] * 30, *["right"] * 20, *[None] * 40, to=to))
    assert found is not None
    assert found.value == pytest.approx(share)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= share <= found.high < 1


def test_a_sleeping_face_attends_to_nothing() -> None:
    timeline = turned(*["camera"] * 60)
    status = pl.when(pl.col("sample") < 30).then(pl.lit("eyes_shut")).otherwise(pl.lit("ok"))
    facing = pl.when(pl.col("sample") < 45).then(pl.lit("camera")).otherwise(pl.lit("left"))
    found = measure_attention(
        Timeline(timeline.rows.with_columns(status=status, facing=facing), timeline.metadata)
    )
    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_without_a_pose_attention_is_not_known() -> None:
    assert measure_attention(turned(*[None] * 20)) is None
