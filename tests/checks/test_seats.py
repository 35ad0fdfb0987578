"""checks.seats: where faces are most of the time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import find_squares
from videos import encode, with_faces

from pipeline.checks.seats import find_seats
from pipeline.checks.snapshots import Snapshot, inspect
from pipeline.faces.detection import CropSpec
from pipeline.records import Face, FrameFaces
from pipeline.video.container import VideoInfo, probe


@pytest.fixture
def info(tmp_path: Path) -> VideoInfo:
    """320 × 180 px, black."""
    return probe(encode(tmp_path / "a.mp4", [np.zeros((180, 320, 3), np.uint8)] * 20, rate=10))


def looks(*faces: tuple[Face, ...]) -> list[Snapshot]:
    return [Snapshot(FrameFaces(n, n, n / 10, True, found), 0.5) for n, found in enumerate(faces)]


def test_the_place_with_a_face_in_most_pictures_comes_first(
    info: VideoInfo, make_face: Callable[..., Face]
) -> None:
    """The patient leans to and fro on the left in all pictures; a carer on the right comes later."""
    carer = make_face(256, 90, 32)
    found = find_seats(
        looks(*[(make_face(62 + 4 * (n % 2), 90, 32), *([carer] if n > 7 else [])) for n in range(20)]), info
    )
    assert list(found.seats) == [1, 2]
    patient, other = found.seats.values()
    assert patient.region == pytest.approx(((62 - 32) / 320, 0.32, (66 + 32) / 320, 0.68), abs=0.01)
    assert (patient.share, other.share) == (1.0, 0.6)
    assert patient.others == other.others == ()
    assert found.time_s == 0.8, "the first picture with both"
    assert found.jpeg is not None
    assert found.jpeg[:2] == b"\xff\xd8"


def test_who_passes_is_no_place(info: VideoInfo, make_face: Callable[..., Face]) -> None:
    patient = make_face(64, 90, 32)
    found = find_seats(looks((patient, make_face(256, 90, 32)), *[(patient,)] * 19), info)
    assert list(found.seats) == [1]
    assert found.seats[1].share == 1.0


def test_without_a_face_there_is_a_picture_and_no_proposal(info: VideoInfo) -> None:
    found = find_seats(looks(*[()] * 20), info)
    assert found.seats == {}
    assert (found.time_s, found.jpeg is None) == (1.0, False)


def test_a_picture_that_is_not_decoded_does_not_count(
    info: VideoInfo, make_face: Callable[..., Face]
) -> None:
    damaged = Snapshot(FrameFaces(0, 0, 0.0, False, ()), 0.0)
    found = find_seats([damaged, *looks(*[(make_face(64, 90, 32),)] * 3)], info)
    assert found.seats[1].share == 1.0


def test_the_region_holds_the_drawn_face(tmp_path: Path) -> None:
    info = probe(encode(tmp_path / "b.mp4", [with_faces([(220, 60)])] * 20, rate=10))
    found = find_seats(inspect(info, find_squares, CropSpec()), info)
    x1, y1, x2, y2 = found.seats[1].region
    assert x1 < 220 / 320 < 280 / 320 < x2
    assert y1 < 60 / 180 < 120 / 180 < y2
    assert x1 > 0.5
