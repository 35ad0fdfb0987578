"""emonext.corruptions against scipy, and pictures with hand-computed results."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, label

from emonext.corruptions import CORRUPTIONS, Corruption
from emonext.datasets.data import load_fer2013

BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}

every = pytest.mark.parametrize("corruption", CORRUPTIONS, ids=list(BY_NAME))


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    """Smooth, each unlike the others."""
    noise = np.random.default_rng(0).normal(0, 1, (6, 48, 48))
    smooth = gaussian_filter(noise, (0, 3, 3))
    return (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


@every
def test_no_pictures_stay_none(corruption: Corruption) -> None:
    for level in corruption.levels:
        changed = corruption.apply(np.zeros((0, 48, 48), np.uint8), level)
        assert (changed.shape, changed.dtype) == ((0, 48, 48), np.uint8)


def test_there_are_six_with_five_levels_each() -> None:
    assert len(BY_NAME) == len(CORRUPTIONS) == 6
    assert [len(set(corruption.levels)) for corruption in CORRUPTIONS] == [5] * 6
    assert all(corruption.unit for corruption in CORRUPTIONS)


@every
@pytest.mark.parametrize("side", [16, 31, 48, 112])
def test_pictures_of_any_size_keep_it_and_are_not_changed_in_place(
    corruption: Corruption, side: int, pictures: NDArray[np.uint8]
) -> None:
    images = np.stack([np.asarray(Image.fromarray(picture).resize((side, side))) for picture in pictures])
    before = images.copy()
    changed = corruption.apply(images, corruption.levels[-1])
    assert (changed.shape, changed.dtype) == (before.shape, np.uint8)
    assert (images == before).all()
    assert all((after != image).any() for after, image in zip(changed, images, strict=True))


@every
def test_a_picture_is_changed_the_same_way_whatever_stands_beside_it(
    corruption: Corruption, pictures: NDArray[np.uint8]
) -> None:
    level = corruption.levels[2]
    changed = corruption.apply(pictures, level)
    assert (corruption.apply(pictures, level) == changed).all()
    # every other picture is turned the other way, so an even row is taken
    assert (corruption.apply(pictures[4:5], level)[0] == changed[4]).all()


@every
def test_each_level_changes_faces_more_than_the_one_before(corruption: Corruption, shared: Path) -> None:
    faces = load_fer2013(shared / "data", "val").images[:40]
    distance = [
        float(np.abs(corruption.apply(faces, level).astype(float) - faces).mean())
        for level in corruption.levels
    ]
    assert distance[0] > 0
    assert distance == sorted(set(distance))


# --- one by one


@pytest.mark.parametrize("side", [48, 96])
def test_blur_is_scipy_s_and_grows_with_the_picture(side: int, pictures: NDArray[np.uint8]) -> None:
    images = np.stack([np.asarray(Image.fromarray(picture).resize((side, side))) for picture in pictures])
    for sigma in BY_NAME["blur"].levels:
        scaled = sigma * side / 48
        expected = gaussian_filter(images.astype(float), (0, scaled, scaled), mode="mirror")
        blurred = BY_NAME["blur"].apply(images, sigma)
        np.testing.assert_allclose(blurred.astype(float), expected, atol=2)


@pytest.mark.parametrize("light", [0.5, 0.1])
def test_darkness_follows_the_display_s_gamma_and_adds_noise(light: float) -> None:
    even = np.full((2, 100, 100), 200, np.uint8)
    even[1] += 1
    dark = BY_NAME["darkness"].apply(even, light)
    assert dark[0].mean() == pytest.approx(200 * light ** (1 / 2.2), abs=0.2)
    # that of the sensor, 4 levels, and of rounding, √(1/12)
    assert dark[0].std() == pytest.approx(4.01, abs=0.1)
    assert np.corrcoef(dark[0].ravel(), dark[1].ravel())[0, 1] == pytest.approx(0, abs=0.05)


def test_low_resolution_keeps_what_the_smaller_picture_can_hold() -> None:
    columns = np.arange(48) / 48
    waves = [128 + 100 * np.sin(2 * np.pi * cycles * columns) for cycles in (2, 10)]
    images = np.stack([np.broadcast_to(wave, (48, 48)) for wave in waves]).astype(np.uint8)
    broad, fine = BY_NAME["low resolution"].apply(images, 12).std(axis=(1, 2))
    assert broad > 0.75 * images[0].std()
    assert fine < 0.15 * images[1].std()


def test_low_resolution_never_enlarges(pictures: NDArray[np.uint8]) -> None:
    small = pictures[:, :12, :12]
    assert (BY_NAME["low resolution"].apply(small, 36) == small).all()


@pytest.mark.parametrize(("quality", "step"), [(50, 2), (20, 5), (10, 10)])
def test_compression_rounds_the_mean_of_a_block_as_jpeg_does(
    quality: int, step: int, pictures: NDArray[np.uint8]
) -> None:
    """The table of JPEG's Annex K starts with 16; 8 × the mean of a block is rounded to 16 · 50 / quality."""
    compressed = BY_NAME["compression"].apply(pictures // 2 + 64, quality).astype(float)
    means = compressed.reshape(-1, 6, 8, 6, 8).mean(axis=(2, 4)) - 128
    np.testing.assert_allclose(means, np.round(means / step) * step, atol=0.3)
    assert np.ptp(means) > 40


def test_rotation_alternates(pictures: NDArray[np.uint8]) -> None:
    turned = BY_NAME["rotation"].apply(pictures, 90)
    for number, (after, before) in enumerate(zip(turned, pictures, strict=True)):
        assert (after == np.rot90(before, -1 if number % 2 else 1)).all()


def test_rotation_leaves_no_black_corners() -> None:
    assert (BY_NAME["rotation"].apply(np.full((2, 48, 48), 200, np.uint8), 45) == 200).all()


@pytest.mark.parametrize("share", BY_NAME["occlusion"].levels)
def test_occlusion_covers_its_share_with_one_grey_rectangle(share: float) -> None:
    black = np.zeros((20, 48, 48), np.uint8)
    black[:, 0, 0] = np.arange(20)
    covered = BY_NAME["occlusion"].apply(black, share) == 128
    assert covered.mean(axis=(1, 2)) == pytest.approx(share, rel=0.2)
    for picture in covered:
        rows, columns = picture.any(axis=1).sum(), picture.any(axis=0).sum()
        assert label(picture)[1] == 1
        assert picture.sum() == rows * columns
        assert 0.4 < rows / columns < 2.5
    assert len({picture.tobytes() for picture in covered}) > 15


def test_the_rectangle_grows_in_its_place(pictures: NDArray[np.uint8]) -> None:
    small, large = (BY_NAME["occlusion"].apply(pictures, share) == 128 for share in (0.15, 0.25))
    assert (small & large).sum() > 0.85 * small.sum()
