"""Drawn people, told apart by the colour of their faces, and sessions in which they are seen."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from videos import encode, with_faces

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.store.timeline import read_timeline

RED, BLUE, GREEN = (1.0, 0.3, 0.3), (0.3, 0.3, 1.0), (0.3, 1.0, 0.3)
LEFT, RIGHT, MIDDLE = (40, 60), (220, 60), (130, 100)


@dataclass
class ByColour:
    """Who has the same colour is the same person."""

    name: str = "by-colour"
    same_person: float = 0.2
    perhaps: float = 0.3

    def __call__(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        mean = chips.mean(axis=(1, 2)) + 1e-6
        return (mean / mean.sum(axis=1, keepdims=True)).astype(np.float32)


def seated(*people: tuple[tuple[int, int], tuple[float, float, float]]) -> NDArray[np.uint8]:
    """A picture of coloured faces."""
    picture = np.zeros((180, 320, 3), np.float64)
    for corner, colour in people:
        picture += with_faces([corner]) * np.array(colour)
    return picture.astype(np.uint8)


def process(out: Path, sessions: list[Session], networks: Networks, sample_fps: float = 5.0) -> None:
    settings = Settings(sample_fps=sample_fps)
    engine = in_this_process(networks)
    outcomes = process_sessions(sessions, out, settings, engine, "0" * 64, overwrite=True)
    # where a second person is seen, a rule does not know who is who
    assert {outcome.state for outcome in outcomes} <= {"done", "to_check"}, outcomes


def middle(out: Path, session: str) -> set[int]:
    """Where the patient's face was, px."""
    rows = read_timeline(out / f"timelines/patient_id=P1/{session}.parquet").rows.drop_nulls("x1")
    return {round(x, -1) for x in (rows["x1"] + rows["x2"]) / 2}


def make_mixed_study(folder: Path, networks: Networks) -> Path:
    """P1: red and blue; then with swapped seats; then blue, and red before green. P2: red alone, and certain.

    Red is there first in P1/S1 and P1/S2, blue in P1/S3; each is guessed to be the patient.
    """
    alone, both = [seated((LEFT, RED))], [seated((LEFT, RED), (RIGHT, BLUE))]
    shown = {
        ("P1", "S1"): alone * 4 + both * 30,
        ("P1", "S2"): [seated((RIGHT, RED))] * 4 + [seated((RIGHT, RED), (LEFT, BLUE))] * 30,
        ("P1", "S3"): [seated((RIGHT, BLUE))] * 4 + both * 20 + [seated((RIGHT, BLUE), (MIDDLE, GREEN))] * 20,
        ("P2", "S1"): alone * 20,
    }
    sessions = [
        Session(*ids, encode(folder / f"{'_'.join(ids)}.mp4", pictures, rate=10, options={"crf": "5"}))
        for ids, pictures in shown.items()
    ]
    (folder / "study").mkdir()
    process(folder / "study", sessions, networks)
    return folder / "study"
