"""checks.benchmark and its figure, with pipeline stages of known duration."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import find_squares, judge_by_light
from numpy.typing import NDArray
from PIL import Image
from videos import encode, with_faces

from pipeline.checks import benchmark
from pipeline.checks.benchmark import Costs, measure
from pipeline.errors import VideoError
from pipeline.faces.detection import Detections
from pipeline.processing.session import Networks, Settings

SETTINGS = Settings(sample_fps=5)

STAGES = {"waiting", "detection", "tracking", "classification"}


@pytest.fixture
def recording(make_recording: Callable[..., Path]) -> Path:
    """Three seconds, fifteen samples; somebody is there in the last two of them."""
    return make_recording("a.mp4", [], [(40, 40)], [(40, 40), (200, 80)])


@pytest.fixture
def costs(recording: Path, fake_networks: Networks) -> Costs:
    return measure(recording, SETTINGS, fake_networks)


# --- what is measured


def test_a_missing_video_is_a_video_error(tmp_path: Path, fake_networks: Networks) -> None:
    with pytest.raises(VideoError, match="gone"):
        measure(tmp_path / "gone.mp4", SETTINGS, fake_networks)


def test_a_video_without_a_face_has_no_cost_of_faces(
    make_recording: Callable[..., Path], fake_networks: Networks
) -> None:
    found = measure(make_recording("a.mp4", [], []), SETTINGS, fake_networks)
    assert found.by_faces.shape == (0, 2)
    assert (len(found.found), found.faces) == (10, 0)
    assert found.to_dict()["ms_per_sample_by_faces"] == {}


def test_every_sample_passes_every_stage(costs: Costs) -> None:
    assert [sample.sample for sample in costs.found] == list(range(15))
    assert [len(sample.faces) for sample in costs.found] == [0] * 5 + [1] * 5 + [2] * 5
    assert costs.faces == 15
    faces = [face for sample in costs.found for face in sample.faces]
    assert {face.track for face in faces} == {1, 2}
    assert all(face.probabilities is not None for face in faces)


def test_the_stages_are_the_whole(costs: Costs) -> None:
    assert costs.stages_s.keys() == STAGES
    assert min(costs.stages_s.values()) >= 0
    assert sum(costs.stages_s.values()) == pytest.approx(costs.end_to_end_s)


def test_progress_goes_up_to_the_end(costs: Costs) -> None:
    assert costs.progress.shape == (15, 2)
    np.testing.assert_allclose(costs.progress[:, 0], np.arange(15) / 5, atol=1e-3)
    assert (np.diff(costs.progress[:, 1]) >= 0).all()
    assert 0 < costs.progress[0, 1] <= costs.progress[-1, 1] <= costs.end_to_end_s


def test_progress_is_told_of_both_passes(recording: Path, fake_networks: Networks) -> None:
    calls: list[tuple[int, int]] = []
    measure(recording, SETTINGS, fake_networks, lambda done, total: calls.append((done, total)))
    assert {total for _, total in calls} == {30}
    done = [done for done, _ in calls]
    assert done == sorted(done)
    assert 15 in done
    assert done[-15:] == list(range(16, 31))


@pytest.mark.parametrize("stage", ["detection", "classification"])
def test_time_is_charged_to_the_stage_that_takes_it(
    recording: Path, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """On a clock that one stage alone moves on."""
    now_s = [0.0]
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: now_s[0])

    def detect(images: NDArray[np.uint8]) -> list[Detections]:
        now_s[0] += 1
        return find_squares(images)

    def classify(crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        now_s[0] += 1
        return judge_by_light(crops)

    slow = {"detection": {"detect": detect}, "classification": {"classify": classify}}[stage]
    found = measure(recording, SETTINGS, replace(fake_networks, **slow))
    assert found.stages_s[stage] == found.end_to_end_s
    assert found.stages_s[stage] >= 1
    assert all(seconds == 0 for name, seconds in found.stages_s.items() if name != stage)


def test_the_first_face_is_multiplied(tmp_path: Path, fake_networks: Networks) -> None:
    """A face is 180 px high with its margins: three fit side by side, in two rows."""
    drawn: list[float] = []

    def detect(images: NDArray[np.uint8]) -> list[Detections]:
        drawn.append(float((images[0] != 128).any(axis=2).mean()))
        return find_squares(images)

    path = encode(tmp_path / "a.mp4", [with_faces([(300, 150)], 640, 360)] * 5, rate=5)
    found = measure(path, SETTINGS, replace(fake_networks, detect=detect))
    assert found.by_faces[:, 0].tolist() == [0, 1, 2, 4, 8, 16]
    assert (found.by_faces[:, 1] > 0).all()
    # after the look for a face: two calls for each number
    one = 180 * 180 / (640 * 360)
    expected = np.repeat([0, 1, 2, 4, 6, 6], 2) * one
    np.testing.assert_allclose(drawn[1:13], expected, rtol=0.05)


# --- what is told


def test_all_figures_go_into_json(costs: Costs) -> None:
    told = json.loads(json.dumps(costs.to_dict(), allow_nan=False))
    assert {"end_to_end_fps", "decode_fps", "ratio_to_decode", "peak_rss_mb"} <= told.keys()
    assert (told["width"], told["height"], told["frames"]) == (320, 180, 30)
    assert (told["samples"], told["faces"]) == (15, 15)
    assert told["video_s"] == pytest.approx(3, abs=0.01)
    assert told["peak_rss_mb"] > 50
    assert told["stages"].keys() == STAGES
    assert told["ms_per_sample_by_faces"].keys() == {"0", "1", "2", "4", "8", "16"}


def test_a_gpu_is_named_with_its_memory(
    recording: Path, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = measure(recording, SETTINGS, fake_networks).to_dict()
    assert (told["device"], told["peak_gpu_mb"]) == ("cpu", None)
    kept_mb = [9_000.0]
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: kept_mb.append(0.0))
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device: int(1e6 * (kept_mb[-1] + 1.5)))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"the card {device}")
    told = measure(recording, SETTINGS, replace(fake_networks, device="cuda")).to_dict()
    assert (told["device"], told["peak_gpu_mb"]) == ("the card cuda", 1.5), "of this run alone"


def test_speeds_count_the_frames_of_the_file(costs: Costs) -> None:
    known = replace(
        costs,
        decode_s=0.5,
        end_to_end_s=2.0,
        stages_s={"detection": 1.5, "tracking": 0.5},
        by_faces=np.array([[2, 0.004]]),
    )
    told = known.to_dict()
    assert (told["decode_fps"], told["end_to_end_fps"], told["ratio_to_decode"]) == (60, 15, 4)
    assert told["real_time_factor"] == pytest.approx(1.5, abs=0.01)
    assert told["stages"]["detection"] == {"seconds": 1.5, "share": 0.75, "samples_per_s": 10}
    assert told["ms_per_sample_by_faces"] == {"2": 4}


# --- the picture


@pytest.mark.parametrize("seconds", [[[(40, 40)]], [[]]], ids=["a face", "no face"])
def test_a_picture_is_drawn(
    make_recording: Callable[..., Path],
    fake_networks: Networks,
    tmp_path: Path,
    seconds: list[list[tuple[int, int]]],
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    from pipeline.checks.benchmark_figure import draw_benchmark

    draw_benchmark(
        measure(make_recording("a.mp4", *seconds), SETTINGS, fake_networks), tmp_path / "bench.png"
    )
    with Image.open(tmp_path / "bench.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 3 * picture.height > 900
        assert len(set(np.asarray(picture.convert("L")).ravel().tolist())) > 10


def test_every_stage_is_in_the_picture(costs: Costs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    from pipeline.checks.benchmark_figure import draw_benchmark

    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")
    draw_benchmark(costs, tmp_path / "bench.svg")
    drawn = (tmp_path / "bench.svg").read_text()
    for name in [*STAGES, "decoding alone", "end to end"]:
        assert f">{name}<" in drawn
