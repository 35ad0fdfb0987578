"""identity.session_people: where another person takes over a track, the patient's rows end."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from coloured_people import BLUE, LEFT, RED, ByColour, seated
from numpy.typing import NDArray
from videos import encode

from pipeline.identity.session_people import people_by_face
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.records import Face, FrameFaces
from pipeline.store.timeline import Timeline

REGION = (0.0, 0.0, 0.5, 1.0)


@pytest.fixture
def seat(tmp_path: Path) -> Path:
    """One seat: red for 8 s, nobody for 1 s, blue for 3 s, nobody for 1 s, red for 8 s."""
    seen = [RED] * 80 + [None] * 10 + [BLUE] * 30 + [None] * 10 + [RED] * 80
    corners = [(LEFT[0] + 2 * (n % 3), LEFT[1]) for n in range(len(seen))]
    pictures = [seated((at, who)) if who else seated() for at, who in zip(corners, seen, strict=True)]
    return encode(tmp_path / "seat.mp4", pictures, rate=10, options={"crf": "5"})


def of_blue(timeline: Timeline) -> int:
    """Rows with a face while blue has the seat."""
    within = timeline.rows.filter(pl.col("time_s").is_between(8.9, 12.1))
    return within["x1"].count()


def process(video: Path, out: Path, networks: Networks, **given: object) -> Timeline:
    session = replace(Session("P1", "S1", video), **given)  # type: ignore[arg-type]
    return process_session(session, out, Settings(), networks)


def test_a_region_is_of_the_person_who_sits_there_not_of_who_takes_the_seat(
    seat: Path, tmp_path: Path, fake_networks: Networks
) -> None:
    networks = replace(fake_networks, make_embedder=ByColour)
    timeline = process(seat, tmp_path / "out", networks, patient_region=REGION)
    assert timeline.metadata["patient"]["identity"] == "recognised"
    assert dict(timeline.rows["status"].cast(pl.String).value_counts().iter_rows()) == {
        "ok": 80,
        "no_face": 10,
        "other_person": 15,
    }
    assert of_blue(timeline) == 0


def test_a_rule_knows_that_two_people_had_the_seat(
    seat: Path, tmp_path: Path, fake_networks: Networks
) -> None:
    timeline = process(seat, tmp_path / "out", replace(fake_networks, make_embedder=ByColour))
    assert timeline.metadata["patient"]["identity"] == "to_check"
    assert timeline.metadata["patient"]["reason"] == {"code": "several_people", "count": 2}
    assert of_blue(timeline) == 0


def test_without_an_embedder_a_track_stays_whole(seat: Path, tmp_path: Path, fake_networks: Networks) -> None:
    timeline = process(seat, tmp_path / "out", fake_networks)
    assert timeline.metadata["patient"]["tracks"] == 1
    assert of_blue(timeline) == 15


# --- where exactly a track is divided


@dataclass
class ByNumber:
    """A recording whose pictures show their number, and an embedder that knows which face is in which."""

    faces: NDArray[np.float32]
    name: str = "by-number"
    same_person: float = 0.4
    perhaps: float = 0.55

    def picture_at(self, frame: int) -> NDArray[np.uint8]:
        return np.full((180, 320, 3), frame, np.uint8)

    def __call__(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.faces[chips[:, 75, 75, 0]]


def test_an_expression_that_is_nearer_to_another_person_stays_with_its_own(
    make_face: Callable[..., Face], make_samples: Callable[..., list[FrameFaces]]
) -> None:
    """The last samples before a cut: 0.6 from the portrait before the cut, 0.52 from the person after."""
    calm, smiling, laughing, other = (0.0, 0.0), (0.3, 0.0), (0.6, 0.0), (0.6, 0.52)
    shown = [laughing] * 8 + [smiling] * 8 + ([calm] * 7 + [laughing] * 4) * 4 + [other] * 60
    best = {calm: 200.0, smiling: 150.0, laughing: 100.0, other: 100.0}
    faces = [(make_face(160, 90, track=1, sharpness=best[face]),) for face in shown]
    samples = [replace(sample, frame=sample.sample) for sample in make_samples(*faces)]
    known = ByNumber(np.array(shown, np.float32))
    people = people_by_face(samples, known, known)  # type: ignore[arg-type]
    first, second = (track.present.tolist() for track in people.tracks)
    assert (first, second) == (list(range(60)), list(range(60, 120)))
