"""faces.detection against FER2013's framing, and hand-computed cases."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from videos import with_faces

from pipeline.faces.detection import CropSpec, Detections, cut, face_size, find_faces, head_pose
from pipeline.faces.mtcnn import Cascade
from pipeline.records import Frames

FRONTAL = np.array([[-30, 0], [30, 0], [0, 0.53 * 70], [-20, 70], [20, 70]], np.float32)


def as_frames(images: NDArray[np.uint8], decoded: list[bool] | None = None) -> Frames:
    count = np.arange(len(images))
    return Frames(count, count * 6, count / 5, images, np.array(decoded or [True] * len(images)))


# --- the stage


def no_detector(images: NDArray[np.uint8]) -> list[Detections]:
    raise AssertionError("there was nothing to look at")


def test_no_frames_give_no_samples() -> None:
    assert list(find_faces([], no_detector, CropSpec())) == []


def test_a_sample_without_a_face_is_a_record(fake_networks) -> None:
    images = np.stack([with_faces([]), with_faces([(40, 60)])])
    none, one = find_faces([as_frames(images)], fake_networks.detect, CropSpec())
    assert (none.sample, none.frame, none.time_s, none.decoded, none.faces) == (0, 0, 0.0, True, ())
    assert (one.sample, one.frame, one.time_s, len(one.faces)) == (1, 6, 0.2, 1)


def test_what_was_not_decoded_is_not_looked_at() -> None:
    samples = list(
        find_faces([as_frames(np.zeros((2, 90, 160, 3), np.uint8), [False, False])], no_detector, CropSpec())
    )
    assert [(sample.decoded, sample.faces) for sample in samples] == [(False, ()), (False, ())]


def test_faces_stay_with_their_frame_when_others_were_not_decoded(fake_networks) -> None:
    images = np.stack([with_faces([]), with_faces([(8, 8)]), with_faces([(200, 100)])])
    samples = list(find_faces([as_frames(images, [False, True, True])], fake_networks.detect, CropSpec()))
    assert [[tuple(face.box_xyxy[:2]) for face in sample.faces] for sample in samples] == [
        [],
        [(8, 8)],
        [(200, 100)],
    ]


def test_no_full_frame_outlives_its_batch(fake_networks) -> None:
    image = with_faces([(40, 60)])
    (sample,) = find_faces([as_frames(image[None])], fake_networks.detect, CropSpec())
    face = sample.faces[0]
    assert not np.shares_memory(face.crop, image)
    owner = face.crop if face.crop.base is None else face.crop.base
    assert getattr(owner, "nbytes", face.crop.nbytes) <= face.crop.nbytes


def test_quality_is_measured_on_the_crop(fake_networks) -> None:
    checkered = with_faces([(40, 60)])
    even = np.zeros_like(checkered)
    even[60:124, 40:104] = 102
    sharp, dull = (
        next(find_faces([as_frames(image[None])], fake_networks.detect, CropSpec())).faces[0]
        for image in (checkered, even)
    )
    assert (sharp.face_px, dull.face_px) == (64, 64)
    assert dull.sharpness == 0 < sharp.sharpness
    assert dull.brightness == pytest.approx(102 / 255, abs=1e-3)
    assert sharp.brightness == pytest.approx(150 / 255, abs=0.02)


@pytest.mark.parametrize("roll", [-120, -35, 20, 90, 180])
def test_an_askew_face_is_cropped_upright(roll: float) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    upright = Image.fromarray(coarse).resize((600, 600), Image.Resampling.BICUBIC)
    askew = np.array(upright.rotate(-roll, Image.Resampling.BICUBIC))
    box, spec = np.array([220, 210, 380, 390], np.float32), CropSpec(48, 1.1, (0.0, 0.0))
    expected = cut(np.array(upright), box, spec).astype(float)
    assert np.abs(cut(askew, box, spec, roll) - expected).mean() < 3


def test_the_shift_of_an_askew_crop_turns_with_the_face() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[190:210, 290:310] = 255  # what is right of an upright face is below a face that lies to the right
    crop = cut(picture, np.array([150, 150, 250, 250], np.float32), CropSpec(10, 0.2, (0.0, -1.0)), 90.0)
    assert crop.min() == 255


# --- cutting


@pytest.fixture
def ramp() -> NDArray[np.uint8]:
    """Red is the column, green the row."""
    rows, columns = np.indices((100, 200), np.uint8)
    return np.stack([columns, rows, rows * 0], axis=2)


def box(*edges: float) -> NDArray[np.float32]:
    return np.array(edges, np.float32)


def test_a_box_of_the_crop_s_size_is_cut_as_it_is(ramp: NDArray[np.uint8]) -> None:
    assert (cut(ramp, box(50, 20, 98, 68), CropSpec(48)) == ramp[20:68, 50:98]).all()


def test_an_oblong_box_is_cut_as_the_square_of_its_area(ramp: NDArray[np.uint8]) -> None:
    # 24 × 54 = 36²; centre (62, 47)
    assert (cut(ramp, box(50, 20, 74, 74), CropSpec(36)) == ramp[29:65, 44:80]).all()


def test_scale_and_shift_move_the_square(ramp: NDArray[np.uint8]) -> None:
    # side 2 · 20 = 40 around (60 + 0.5 · 20, 40 − 0.25 · 20)
    assert (cut(ramp, box(50, 30, 70, 50), CropSpec(40, 2.0, (0.5, -0.25))) == ramp[15:55, 50:90]).all()


def test_beyond_the_edge_the_last_pixels_are_repeated(ramp: NDArray[np.uint8]) -> None:
    crop = cut(ramp, box(-10, -20, 30, 20), CropSpec(40))
    assert (crop[20:, 10:] == ramp[:20, :30]).all()
    assert (crop[:20] == crop[20]).all()
    assert (crop[:, :10] == crop[:, 10:11]).all()


@pytest.mark.parametrize("corner", [(-500, -500), (190, 90), (500, 500)])
def test_a_box_at_or_beyond_the_corner_gives_a_whole_crop(
    ramp: NDArray[np.uint8], corner: tuple[int, int]
) -> None:
    x, y = corner
    crop = cut(ramp, box(x, y, x + 40, y + 40), CropSpec(48))
    assert crop.shape == (48, 48, 3)
    assert (crop[-1, -1] == ramp[min(max(y + 39, 0), 99), min(max(x + 39, 0), 199)]).all()


def test_a_box_without_area_gives_a_crop_too(ramp: NDArray[np.uint8]) -> None:
    assert cut(ramp, box(50, 50, 50, 50), CropSpec(48)).shape == (48, 48, 3)
    assert face_size(box(50, 50, 40, 40)) == 0


def test_a_crop_is_a_copy(ramp: NDArray[np.uint8]) -> None:
    crop = cut(ramp, box(50, 20, 98, 68), CropSpec(48))
    assert not np.shares_memory(crop, ramp)
    crop[:] = 0
    assert ramp[30, 60].any()


def test_crops_frame_a_face_as_fer2013_does(shared: Path, real_detector: Cascade) -> None:
    from emonext.training.run import FER2013_FACE_SCALE

    with Image.open(shared / "data" / "fer2013_train.png") as sheet:
        rows = np.asarray(sheet.crop((0, 0, 64 * 48, 2 * 48)))
    faces = rows.reshape(2, 48, 64, 48).transpose(0, 2, 1, 3).reshape(-1, 48, 48)[:100]
    enlarged = [Image.fromarray(face).resize((192, 192), Image.Resampling.BICUBIC) for face in faces]
    found = real_detector(np.stack([np.asarray(face.convert("RGB")) for face in enlarged]))
    ratios = [
        192 / math.sqrt(float(np.prod(f.boxes_xyxy[0, 2:] - f.boxes_xyxy[0, :2])))
        for f in found
        if len(f.boxes_xyxy)
    ]
    assert len(ratios) > 60
    assert float(np.median(ratios)) == pytest.approx(FER2013_FACE_SCALE, abs=0.05)


# --- head pose


def turned(landmarks: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """Clockwise as seen, with y downwards."""
    angle = math.radians(degrees)
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return (landmarks @ rotation).astype(np.float32)


def poses() -> Iterator[tuple[str, NDArray[np.float32], tuple[float, float, float]]]:
    aside, up = FRONTAL.copy(), FRONTAL.copy()
    aside[2, 0] += 30  # half the distance between the eyes: sin⁻¹ 0.5
    up[2, 1] -= 0.25 * 70  # a quarter of the way to the mouth, twice: sin⁻¹ 0.5
    yield "frontal", FRONTAL, (0, 0, 0)
    yield "frontal elsewhere", FRONTAL * 3 + 500, (0, 0, 0)
    yield "rolled clockwise", turned(FRONTAL, 20), (0, 0, 20)
    yield "rolled back", turned(FRONTAL, -35), (0, 0, -35)
    yield "turned to the right", aside, (30, 0, 0)
    yield "turned and rolled", turned(aside, 20), (30, 0, 20)
    yield "looking up", up, (0, 30, 0)


@pytest.mark.parametrize(("landmarks", "pose"), [p[1:] for p in poses()], ids=[p[0] for p in poses()])
def test_head_pose(landmarks: NDArray[np.float32], pose: tuple[float, float, float]) -> None:
    assert head_pose(landmarks) == pytest.approx(pose, abs=0.01)


def test_landmarks_on_one_point_give_finite_angles() -> None:
    assert all(math.isfinite(angle) for angle in head_pose(np.zeros((5, 2), np.float32)))
