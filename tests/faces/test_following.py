"""faces.following with a detector and a refiner with known output."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from fakes import find_squares
from numpy.typing import NDArray

from pipeline.faces.detection import Detections
from pipeline.faces.following import Follower, _guess, _Key

SIDE = 30


@dataclass
class Looked:
    """Counts what is asked of the real faces, which are light squares."""

    full: list[int] = field(default_factory=list)
    refined: int = 0

    def detect(self, images: NDArray[np.uint8]) -> list[Detections]:
        self.full += [int(image[0, 0, 0]) for image in images]  # its number, in the corner
        return find_squares(images)

    def refine(
        self,
        images: NDArray[np.uint8],
        boxes: NDArray[np.float32],
        frame: NDArray[np.int64],
        roll: NDArray[np.float32],  # noqa: ARG002
    ) -> Detections:
        """The square nearest to the guess, if it is within half its side; else the guess, without belief."""
        self.refined += len(boxes)
        rows = [_nearest(find_squares(images[[n]])[0], box) for box, n in zip(boxes, frame, strict=True)]
        return Detections(
            np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[1] for row in rows], np.float32),
            np.zeros((len(rows), 5, 2), np.float32),
        )


def _nearest(found: Detections, guess: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    distance = np.abs(found.boxes_xyxy - guess).max(axis=1, initial=0)
    if not len(distance) or distance.min() > SIDE / 2:
        return guess, 0.1
    return found.boxes_xyxy[distance.argmin()], 0.99


@pytest.fixture
def looked() -> Looked:
    return Looked()


def follow(looked: Looked, *samples: list[tuple[int, int]], every: int = 5) -> list[list[tuple[int, int]]]:
    """Left upper corners of the faces found in each sample."""
    found = Follower(looked.detect, looked.refine, every)(pictures(*samples))
    return [sorted((int(x), int(y)) for x, y, _, _ in one.boxes_xyxy.tolist()) for one in found]


def pictures(*samples: list[tuple[int, int]]) -> NDArray[np.uint8]:
    images = np.zeros((len(samples), 200, 300, 3), np.uint8)
    for number, corners in enumerate(samples):
        images[number, 0, 0] = number
        for x, y in corners:
            images[number, y : y + SIDE, x : x + SIDE] = 200
    return images


def test_no_pictures_need_no_look(looked: Looked) -> None:
    assert Follower(looked.detect, looked.refine, 5)(pictures()) == []
    assert (looked.full, looked.refined) == ([], 0)


def test_without_faces_only_key_samples_are_looked_at(looked: Looked) -> None:
    assert follow(looked, *[[]] * 8) == [[]] * 8
    assert looked.full == [0, 5, 7]
    assert looked.refined == 0


def test_one_picture_is_a_key_sample(looked: Looked) -> None:
    assert follow(looked, [(50, 60)]) == [[(50, 60)]]
    assert looked.full == [0]
    assert looked.refined == 1


def test_every_sample_can_be_a_key_sample(looked: Looked) -> None:
    assert follow(looked, *[[(50, 60)]] * 3, every=1) == [[(50, 60)]] * 3
    assert looked.full == [0, 1, 2]


def test_a_face_on_its_way_is_found_in_between_without_full_detection(looked: Looked) -> None:
    way = [[(20 + 4 * step, 60 + (step % 2))] for step in range(11)]
    assert follow(looked, *way) == way
    assert looked.full == [0, 5, 10]
    assert looked.refined == 8 + 3


def test_the_box_between_is_the_refined_one_not_the_guess(looked: Looked) -> None:
    # still at both ends, aside in between: less than half a face
    way = [[(50, 60)], [(60, 60)], [(62, 60)], [(60, 60)], [(50, 60)]]
    assert follow(looked, *way) == way
    assert looked.full == [0, 4]


def test_the_next_call_goes_on_from_the_last(looked: Looked) -> None:
    way = [[(20 + 4 * step, 60)] for step in range(20)]
    follower = Follower(looked.detect, looked.refine, 5)
    images = pictures(*way)
    found = [one for start in (0, 10) for one in follower(images[start : start + 10])]
    assert [[tuple(box[:2]) for box in one.boxes_xyxy.tolist()] for one in found] == way
    assert looked.full == [0, 5, 9, 14, 19]


def test_two_people_keep_apart(looked: Looked) -> None:
    way = [[(20 + 3 * step, 20), (200 - 3 * step, 120)] for step in range(6)]
    assert follow(looked, *way) == way
    assert looked.full == [0, 5]


def test_a_face_that_is_not_where_it_is_expected_gets_full_detection(looked: Looked) -> None:
    way = [[(50, 60)], [(50, 60)], [(150, 60)], [(50, 60)], [(50, 60)], [(50, 60)]]
    assert follow(looked, *way) == way
    assert looked.full == [0, 5, 2]


def test_whoever_leaves_is_followed_to_the_last(looked: Looked) -> None:
    way = [[(50, 60)], [(50, 60)], [(52, 60)], [], [], []]
    assert follow(looked, *way) == way


def test_whoever_comes_is_found_from_the_first(looked: Looked) -> None:
    way = [[], [], [(48, 60)], [(50, 60)], [(50, 60)], [(50, 60)]]
    assert follow(looked, *way) == way


def test_whoever_comes_while_another_stays_is_seen_by_the_next_key_sample(looked: Looked) -> None:
    stays, comes = (50, 60), (150, 60)
    found = follow(looked, *[[stays]] * 3, *[[stays, comes]] * 4)
    assert found == [[stays]] * 3 + [[stays, comes]] * 4


def test_a_face_that_jumps_between_two_key_samples_is_one_face_in_each(looked: Looked) -> None:
    # too far to be one person's way: both guesses are held, and one of them is always wrong
    way = [[(20, 60)], [(20, 60)], [(20, 60)], [(200, 60)], [(200, 60)], [(200, 60)]]
    assert follow(looked, *way) == way


def test_two_guesses_of_one_face_give_one_face(looked: Looked) -> None:
    # sizes differ too much to be paired, so that both ends are held; the refiner brings both to the same box
    images = pictures([(50, 60)], [(50, 60)], [(50, 60)])
    images[2] = 0
    images[2, 45:105, 35:95] = 200
    (found,) = Follower(looked.detect, _to_one_place, 2)(images)[1:2]
    assert found.boxes_xyxy.tolist() == [[50, 60, 80, 90]]


def _to_one_place(
    images: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    frame: NDArray[np.int64],
    roll: NDArray[np.float32],
) -> Detections:
    place = np.tile(np.array([50, 60, 80, 90], np.float32), (len(boxes), 1))
    return Detections(
        place, np.linspace(0.95, 0.99, len(boxes), dtype=np.float32), np.zeros((len(boxes), 5, 2))
    )


# --- a refiner that is off in a way of its own


@dataclass
class Biased(Looked):
    """Refined boxes are so many px too small on each side: by the picture's number."""

    too_small_px: tuple[float, ...] = ()
    unsure: tuple[int, ...] = ()

    def refine(
        self,
        images: NDArray[np.uint8],
        boxes: NDArray[np.float32],
        frame: NDArray[np.int64],
        roll: NDArray[np.float32],
    ) -> Detections:
        found = super().refine(images, boxes, frame, roll)
        inwards = np.array(self.too_small_px, np.float32)[frame, None] * np.float32([1, 1, -1, -1])
        doubted = np.isin(frame, self.unsure)
        return Detections(
            found.boxes_xyxy + inwards, np.where(doubted, np.float32(0.1), found.probability), found.landmarks
        )


def boxes_of(looked: Looked, *samples: list[tuple[int, int]], every: int = 5) -> list[list[list[float]]]:
    found = Follower(looked.detect, looked.refine, every)(pictures(*samples))
    return [sorted(one.boxes_xyxy.tolist()) for one in found]


def squares(*samples: list[tuple[int, int]]) -> list[list[list[float]]]:
    return [[[x, y, x + SIDE, y + SIDE] for x, y in corners] for corners in samples]


def test_boxes_between_key_samples_are_as_large_as_the_detector_s() -> None:
    biased = Biased(too_small_px=(4,) * 11)
    way = [[(20 + 4 * step, 60 + (step % 2)), (200 - step, 150)] for step in range(11)]
    assert boxes_of(biased, *way) == squares(*way)
    assert biased.full == [0, 5, 10]


def test_the_difference_is_interpolated_where_it_changes() -> None:
    biased = Biased(too_small_px=(0, 1, 2, 3, 4))
    way = [[(50, 60)]] * 5
    for found, expected in zip(boxes_of(biased, *way, every=4), squares(*way), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert biased.full == [0, 4]


def test_the_difference_is_remembered_until_the_next_call() -> None:
    biased = Biased(too_small_px=(4,) * 5)
    way = [[(20 + 4 * step, 60)] for step in range(10)]
    follower, images = Follower(biased.detect, biased.refine, 5), pictures(*way)
    found = [one for start in (0, 5) for one in follower(images[start : start + 5])]
    assert [one.boxes_xyxy.tolist() for one in found] == squares(*way)
    assert biased.full == [0, 4, 9]


def test_an_unsure_look_at_a_key_sample_says_nothing_about_the_difference() -> None:
    biased = Biased(too_small_px=(4, 0, 0, 0, 0, 4), unsure=(0, 5))
    way = [[(50, 60)]] * 6
    assert boxes_of(biased, *way) == squares(*way)
    assert biased.full == [0, 5]


def test_a_look_that_ends_elsewhere_says_nothing_about_the_difference() -> None:
    # 10 px off on each side leave 10 × 10 of 30 × 30 px: sure of itself, and of something else
    biased = Biased(too_small_px=(10, 0, 0, 0, 0, 10))
    way = [[(50, 60)]] * 6
    assert boxes_of(biased, *way) == squares(*way)
    assert biased.full == [0, 5]


# --- askew faces


@dataclass
class Turning:
    """A searcher whose askew face is a light square; it is found in one turn only."""

    visible_in: float
    turns: list[float] = field(default_factory=list)
    oriented: int = 0

    def upright(self, image: NDArray[np.uint8], found: Detections) -> Detections:  # noqa: ARG002
        self.oriented += len(found.probability)
        return found

    def near(
        self,
        image: NDArray[np.uint8],
        boxes: NDArray[np.float32],
        roll: NDArray[np.float32],  # noqa: ARG002
    ) -> Detections:
        (found,) = find_squares(image[None])
        return lying(found) if len(boxes) else Detections.none()

    def turned(self, image: NDArray[np.uint8], turn: float) -> Detections:
        self.turns.append(turn)
        return lying(find_squares(image[None])[0]) if turn == self.visible_in else Detections.none()


def lying(found: Detections) -> Detections:
    centre = found.landmarks.mean(axis=1, keepdims=True)
    x, y = np.moveaxis(found.landmarks - centre, 2, 0)
    return Detections(found.boxes_xyxy, found.probability, centre + np.stack([-y, x], axis=2))


def blind(images: NDArray[np.uint8]) -> list[Detections]:
    return [Detections.none()] * len(images)


def search(looked: Looked, turning: Turning, samples: int, *, sees: bool = False) -> list[int]:
    """The number of faces in each sample; each is a key sample, and the detector itself may see none."""

    follower = Follower(looked.detect if sees else blind, looked.refine, 1, turning)
    return [len(of.probability) for of in follower(pictures(*[[(50, 60)]] * samples))]


def test_the_first_empty_picture_is_searched_in_every_turn_until_a_face_is_found(looked: Looked) -> None:
    turning = Turning(visible_in=180)
    assert search(looked, turning, 6) == [1] * 6
    assert turning.turns == [90, -90, 180]


def test_after_all_turns_in_vain_the_search_is_rare(looked: Looked) -> None:
    turning = Turning(visible_in=1)
    assert search(looked, turning, 1 + 12) == [0] * 13
    assert turning.turns == [90, -90, 180, 45, -45, 90, -90]


def test_pictures_with_faces_are_rarely_searched(looked: Looked) -> None:
    turning = Turning(visible_in=1)
    assert search(looked, turning, 30, sees=True) == [1] * 30
    assert turning.turns == [90, -90]


def test_a_face_that_is_lost_is_searched_in_every_turn(looked: Looked) -> None:
    turning = Turning(visible_in=1)
    follower = Follower(looked.detect, looked.refine, 1, turning)
    follower(pictures([(50, 60)], [], []))
    assert turning.turns == [90, -90, 180, 45, -45]


def test_the_orientation_of_a_face_is_determined_when_it_comes(looked: Looked) -> None:
    turning = Turning(visible_in=1)
    search(looked, turning, 10, sees=True)
    assert turning.oriented == 1


def test_an_askew_face_between_key_samples_is_refined_with_its_roll(looked: Looked) -> None:
    asked: list[float] = []

    def refine(images, boxes, frame, roll):
        asked.extend(roll.tolist())
        return looked.refine(images, boxes, frame, roll)

    follower = Follower(blind, refine, 5, Turning(visible_in=90))
    found = follower(pictures(*[[(50, 60)]] * 6))
    assert [len(of.probability) for of in found] == [1] * 6
    assert asked == pytest.approx([90] * 6)


def test_the_roll_turns_the_shorter_way() -> None:
    keys = {
        sample: _Key(
            np.array([[50, 60, 80, 90]], np.float32),
            np.zeros((1, 4), np.float32),
            np.array([roll], np.float32),
        )
        for sample, roll in ((0, 170), (4, -170))
    }
    assert _guess(keys).roll.tolist() == [175, 180, 185]
