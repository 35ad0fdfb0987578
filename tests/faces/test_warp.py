"""faces.warp against NumPy's and Pillow's rotations."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.faces.warp import around, part, rotation, signed, warp


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    return np.array(Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(("deg", "quarters"), [(0, 0), (90, 1), (180, 2), (270, 3)])
def test_quarter_turns_move_pixels(picture: NDArray[np.uint8], deg: float, quarters: int) -> None:
    """A face with this roll, clockwise as seen, becomes upright: the part turns the other way."""
    matrix = rotation(deg)
    turned = warp(picture, matrix, around((80, 60), matrix, 40), 40)
    expected = np.rot90(picture[40:80, 60:100], quarters)
    assert np.abs(turned.astype(int) - expected).max() <= 1


def test_any_turn_is_as_pillow_turns(picture: NDArray[np.uint8]) -> None:
    matrix = rotation(30)
    turned = warp(picture, matrix, around((80, 60), matrix, 60), 60)
    whole = Image.fromarray(picture).rotate(30, Image.Resampling.BILINEAR)
    assert np.abs(turned.astype(float) - np.array(whole)[30:90, 50:110]).max() <= 2


def test_a_large_part_is_averaged() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[::2] = 200
    matrix = rotation(10) * 4
    assert np.abs(warp(stripes, matrix, around((200, 200), matrix, 50), 50).astype(int) - 100).max() <= 1


def test_outside_of_the_picture_its_edge_goes_on() -> None:
    picture = np.full((20, 20, 3), 200, np.uint8)
    picture[:, :5] = 50
    matrix = rotation(0)
    assert (warp(picture, matrix, np.array([-30, 5]), 10) == 50).all()
    assert (warp(picture, matrix, np.array([40, -60]), 10) == 200).all()
    assert part(picture, -3, -2, 7, 4)[:, :, 0].tolist() == [[50] * 8 + [200] * 2] * 6


def test_angles_are_between_minus_180_and_180() -> None:
    assert [signed(deg) for deg in (-190.0, -90.0, 0.0, 170.0, 190.0, 360.0)] == [170, -90, 0, 170, -170, 0]
