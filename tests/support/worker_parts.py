"""Faulty networks, for processes that tests start."""

import os
import signal
import time
from dataclasses import replace

import numpy as np
from fakes import FAKE_WEIGHTS, find_squares, judge_by_light
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.faces.detection import CropSpec, Detections
from pipeline.processing.session import Networks

# What a picture's corner asks of the detector.
CRASH, HANG, OUT_OF_MEMORY, RAISE = 50, 100, 150, 200


def obey(images: NDArray[np.uint8]) -> list[Detections]:
    """A detector that dies as its picture asks."""
    asked = int(images[0, -8:, -8:].mean())
    for level, do in (
        (CRASH, lambda: os.kill(os.getpid(), signal.SIGSEGV)),
        (HANG, lambda: time.sleep(600)),
        (OUT_OF_MEMORY, lambda: os.kill(os.getpid(), signal.SIGKILL)),
        (RAISE, lambda: images.reshape(7)),
    ):
        if abs(asked - level) < 15:
            do()
    images[:, -8:, -8:] = 0
    return find_squares(images)


def make_networks() -> Networks:
    return Networks(obey, judge_by_light, CropSpec(), FAKE_WEIGHTS, "cpu")


def make_none() -> Networks:
    raise VideoError("no GPU here")


def detect_slowly(images: NDArray[np.uint8]) -> list[Detections]:
    time.sleep(0.05 * len(images))
    return find_squares(images)


def make_slow() -> Networks:
    import pipeline.processing.session

    pipeline.processing.stages.STRETCH_S = 1.0
    return replace(make_networks(), detect=detect_slowly)
