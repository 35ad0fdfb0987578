"""faces.upright with real faces, turned."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from pipeline.faces.detection import Detections, face_size, roll_of
from pipeline.faces.following import Follower
from pipeline.faces.upright import UprightCascade

ANGLES = (0, 20, 35, 45, 90, 180, 270)


@pytest.fixture(scope="module")
def cascade() -> UprightCascade:
    return UprightCascade(40)


def clip(path: Path, count: int) -> list[Image.Image]:
    """The first pictures; every sixth, so five a second."""
    with av.open(str(path)) as container:
        shown = [
            frame.to_image() for _, frame in zip(range(6 * count), container.decode(video=0), strict=False)
        ]
    return shown[::6]


def turned(pictures: list[Image.Image], deg: float) -> NDArray[np.uint8]:
    """Clockwise as seen, with black corners."""
    return np.stack([np.array(one.rotate(-deg, Image.Resampling.BICUBIC, expand=True)) for one in pictures])


def follow(cascade: UprightCascade, images: NDArray[np.uint8]) -> list[Detections]:
    return Follower(cascade, cascade.refine, 5, cascade)(images)


def off(roll: NDArray[np.float32], deg: float) -> NDArray[np.float32]:
    return np.abs((roll - deg + 180) % 360 - 180)


@pytest.mark.parametrize("name", ["single_face.mp4", "asl_please.mkv"])
@pytest.mark.parametrize("deg", ANGLES)
def test_one_face_is_found_at_every_angle(
    clips: Path, cascade: UprightCascade, name: str, deg: float
) -> None:
    pictures = clip(clips / name, 6)
    upright = follow(cascade, turned(pictures, 0))[-1]
    images = turned(pictures, deg)
    follower = Follower(cascade, cascade.refine, 1, cascade)
    found = follower(images)[-1]
    assert len(found.probability) == 1
    assert off(roll_of(found), deg) < 15
    assert face_size(found.boxes_xyxy[0]) == pytest.approx(face_size(upright.boxes_xyxy[0]), rel=0.15)


def test_an_upside_down_face_is_not_taken_for_an_upright_one(clips: Path, cascade: UprightCascade) -> None:
    """The detector alone believes this man's face both ways."""
    image = turned(clip(clips / "single_face.mp4", 1), 180)[0]
    (believed,) = cascade(image[None])
    assert believed.probability[0] > 0.9
    assert off(roll_of(believed), 0) < 20
    found = cascade.upright(image, believed)
    assert len(found.probability) == 1
    assert off(roll_of(found), 180) < 10


@pytest.mark.parametrize("deg", [0, 45, 90, 180])
def test_pictures_without_a_connection_are_searched_too(
    clips: Path, cascade: UprightCascade, deg: float
) -> None:
    pictures = clip(clips / "single_face.mp4", 2)
    empty = Image.new("RGB", pictures[0].size)
    one, none, other = cascade.at_any_angle(turned([pictures[0], empty, pictures[1]], deg))
    assert len(none.probability) == 0
    for found in (one, other):
        assert len(found.probability) == 1
        assert off(roll_of(found), deg) < 15


def test_upright_faces_stay_as_they_are(clips: Path, cascade: UprightCascade) -> None:
    image = np.array(clip(clips / "crowd_1080p.mp4", 1)[0])
    (found,) = cascade(image[None])
    assert len(found.probability) >= 3
    same = cascade.upright(image, found)
    level = np.abs(roll_of(found)) < 20
    np.testing.assert_array_equal(same.boxes_xyxy[: level.sum()], found.boxes_xyxy[level])


def test_an_empty_room_stays_empty_in_every_turn(clips: Path, cascade: UprightCascade) -> None:
    images = turned(clip(clips / "no_face.mp4", 8), 0)
    found = Follower(cascade, cascade.refine, 1, cascade)(images)
    assert [len(of.probability) for of in found] == [0] * 8


def test_refined_boxes_keep_their_order(clips: Path, cascade: UprightCascade) -> None:
    """A face with a large roll is refined apart from the others."""
    upright, lying = (turned(clip(clips / "single_face.mp4", 1), deg)[0] for deg in (0, 90))
    side = max(*upright.shape, *lying.shape)
    images = np.zeros((2, side, side, 3), np.uint8)
    images[0, : lying.shape[0], : lying.shape[1]] = lying
    images[1, : upright.shape[0], : upright.shape[1]] = upright
    (expected,) = cascade(upright[None])
    box = expected.boxes_xyxy[0]
    near = cascade.near(lying, np.array([turned_box(box, upright.shape[0])]), np.array([90], np.float32))
    guesses = np.stack([near.boxes_xyxy[0], box])
    found = cascade.refine(images, guesses, np.array([0, 1]), np.array([90, 0], np.float32))
    assert found.probability.min() > 0.9
    assert off(roll_of(found), np.array([90, 0])).max() < 10


def turned_box(box: NDArray[np.float32], height: int) -> NDArray[np.float32]:
    """The box after a quarter turn clockwise of the picture."""
    x1, y1, x2, y2 = box.tolist()
    return np.array([height - y2, x1, height - y1, x2], np.float32)


def test_nothing_askew_is_found_without_a_search(clips: Path, cascade: UprightCascade) -> None:
    images = turned(clip(clips / "asl_please.mkv", 3), 90)
    assert [len(of.probability) for of in Follower(cascade, cascade.refine, 1)(images)] == [0] * 3


def doubtful(picture: NDArray[np.uint8], box_xyxy: tuple[float, ...], probability: float) -> Detections:
    """A detection with level eyes."""
    x1, y1, x2, y2 = box_xyxy
    across, down = x2 - x1, y2 - y1
    marks = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
    landmarks = np.array([[[x1 + x * across, y1 + y * down] for x, y in marks]], np.float32)
    return Detections(np.array([box_xyxy], np.float32), np.array([probability], np.float32), landmarks)


@pytest.mark.parametrize(
    ("probability", "what", "kept"), [(0.8, "face", 1), (0.8, "cloth", 0), (0.95, "cloth", 1)]
)
def test_a_doubtful_face_needs_a_second_opinion(
    cascade: UprightCascade, monkeypatch: pytest.MonkeyPatch, probability: float, what: str, kept: int
) -> None:
    picture = astronaut()
    box = (180.0, 63.0, 267.0, 179.0) if what == "face" else (300.0, 380.0, 390.0, 490.0)
    monkeypatch.setattr(cascade, "_cascade", lambda images, least: [doubtful(picture, box, probability)])
    (found,) = cascade(picture[None])
    assert len(found.probability) == kept
