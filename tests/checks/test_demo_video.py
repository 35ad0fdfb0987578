"""checks.demo_video: the sample video shows every status at the planned time."""

from pathlib import Path

import polars as pl
import pytest

from pipeline.checks.demo_video import make_demo_video
from pipeline.faces.detection import CropSpec
from pipeline.faces.mtcnn import Cascade
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.records import STATUSES
from pipeline.store.timeline import Timeline
from pipeline.video.container import probe

pytest.importorskip("skimage", reason="the demo needs scikit-image")
pytestmark = pytest.mark.slow

PLAN = [
    (0.0, 7.0, "ok"),
    (9.0, 9.9, "no_face"),
    (12.0, 15.9, "ok"),
    (16.0, 18.9, "low_quality"),
    (19.0, 21.9, "ok"),
    (22.0, 23.9, "low_quality"),
    (24.0, 25.9, "ok"),
    (26.0, 27.9, "decode_error"),
    (30.6, 31.9, "no_face"),
    (32.0, 36.0, "other_person"),
]
"""From s, to s, status; between them somebody is leaving or coming."""


@pytest.fixture(scope="module")
def timeline(
    tmp_path_factory: pytest.TempPathFactory, real_detector: Cascade, fake_networks: Networks
) -> Timeline:
    folder = tmp_path_factory.mktemp("demo")
    calls: list[tuple[int, int]] = []
    make_demo_video(folder / "demo.mp4", lambda done, total: calls.append((done, total)))
    assert calls[-1] == (900, 900)
    classify = fake_networks.classify
    networks = Networks(real_detector, classify, CropSpec(), fake_networks.weights, "cpu")
    return process_session(Session("DEMO", "S01", folder / "demo.mp4"), folder, Settings(), networks)


@pytest.mark.parametrize(("start_s", "end_s", "status"), PLAN)
def test_statuses_come_as_planned(timeline: Timeline, start_s: float, end_s: float, status: str) -> None:
    stretch = timeline.rows.filter(pl.col("time_s").is_between(start_s, end_s))
    assert stretch["status"].cast(pl.String).unique().to_list() == [status]


def test_every_status_occurs(timeline: Timeline) -> None:
    """But that of a sleeper: the portrait's eyes are open."""
    assert set(timeline.rows["status"].cast(pl.String)) == set(STATUSES) - {"eyes_shut"}
    assert len(timeline.rows) == 180


def test_the_loss_is_told(timeline: Timeline) -> None:
    assert timeline.metadata["seconds_lost"] == pytest.approx(2, abs=0.3)


def test_a_larger_demo_is_larger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.checks.demo_video.LENGTH_S", 1)
    make_demo_video(tmp_path / "a.mp4", scale=2)
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height, len(info.time_s)) == (1920, 1080, 25)
