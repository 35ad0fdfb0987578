"""Memory does not grow with the length of a video."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest
from videos import remux

from pipeline.video.container import probe
from pipeline.video.decoding import SampledVideo

ROOT = Path(__file__).parents[2]

PROGRAM = """
import resource, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from fakes import FAKE_WEIGHTS, judge_by_light
from pipeline.faces.detection import Detections, CropSpec
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
import numpy as np

def one_face(images):
    box = np.array([[500, 200, 700, 440]], np.float32)
    marks = np.array([[[560, 290], [640, 290], [600, 340], [570, 390], [630, 390]]], np.float32)
    return [Detections(box, np.ones(1, np.float32), marks) for _ in images]

video, out = Path(sys.argv[3]), Path(sys.argv[4])
networks = Networks(one_face, judge_by_light, CropSpec(), FAKE_WEIGHTS, "cpu")
timeline = process_session(Session("P1", video.stem, video), out, Settings(), networks)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(len(timeline.rows), timeline.metadata["video"]["duration_s"], peak)
"""


def peak_mb(video: Path, out: Path, minutes: int) -> float:
    """Peak resident memory of a process that does nothing but this session."""
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        str(ROOT),
        str(ROOT / "tests" / "support"),
        str(video),
        str(out),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, duration_s, peak = map(float, ended.stdout.split())
    assert rows == 300 * minutes
    assert duration_s == pytest.approx(60 * minutes, abs=0.1)
    return peak


def test_pictures_are_freed_without_waiting_for_a_garbage_collection(clips: Path) -> None:
    video = SampledVideo(probe(clips / "gesture_720p.mp4"), 5)
    gc.collect()
    gc.disable()
    try:
        for _ in video.read(0, 10):
            pass
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.slow
def test_ten_minutes_take_no_more_memory_than_one(clips: Path, tmp_path: Path) -> None:
    """1280×720 at 5 frames per second, so that the packets of ten minutes decode in seconds."""
    source = clips / "gesture_720p.mp4"
    peaks = [
        peak_mb(
            remux(source, tmp_path / f"{minutes}.mp4", copies=40, seconds=60 * minutes, frame_ms=200),
            tmp_path,
            minutes,
        )
        for minutes in (1, 10)
    ]
    assert peaks[1] - peaks[0] < 200, peaks
