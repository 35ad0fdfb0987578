import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision import transforms

from emonext.preprocessing import Preprocessing, to_grey

PUBLISHED = Preprocessing.published()


@pytest.mark.parametrize("shape", [(0, 48, 48), (0, 48, 48, 3)])
def test_no_faces_give_no_pictures(shape: tuple[int, ...]) -> None:
    crops = torch.zeros(shape, dtype=torch.uint8)
    assert PUBLISHED(crops).shape == (0, 3, 224, 224)
    assert PUBLISHED.ten_crops(crops).shape == (0, 10, 3, 224, 224)


# --- one crop -------------------------------------------------------------------------------------------


def test_the_network_sees_the_centre_less_mean_by_std() -> None:
    crop = torch.arange(16, dtype=torch.uint8).view(1, 4, 4)
    found = Preprocessing(size=2, resize=4, mean=0.5, std=0.25)(crop)
    centre = [[(value / 255 - 0.5) / 0.25 for value in row] for row in ([5, 6], [9, 10])]
    np.testing.assert_allclose(found, [[centre] * 3], atol=1e-6)
    assert found.dtype == torch.float32


def test_a_crop_is_enlarged_before_its_centre_is_cut() -> None:
    crop = torch.tensor([[[0, 255], [0, 255]]], dtype=torch.uint8)
    # bilinear with half-pixel centres: 2 → 4 px gives 0, ¼, ¾, 1
    found = Preprocessing(size=2, resize=4)(crop)
    np.testing.assert_allclose(found[0, 0], [[0.25, 0.75], [0.25, 0.75]], atol=1e-6)


def test_published_preprocessing_cuts_224_from_the_middle_of_236() -> None:
    crop = random_crops(1, 236, 236)
    expected = crop[:, 6:230, 6:230] / 255
    np.testing.assert_allclose(PUBLISHED(crop), expected[:, None].expand(-1, 3, -1, -1), atol=1e-6)


@pytest.mark.parametrize("side", [48, 100, 400])
def test_published_preprocessing_agrees_with_the_authors_transforms(side: int) -> None:
    crop = random_crops(1, side, side)
    theirs = transforms.Compose(
        [transforms.Resize(236), transforms.CenterCrop(224), transforms.ToTensor(), repeat_channels]
    )
    # Pillow rounds to whole grey values, twice
    np.testing.assert_allclose(PUBLISHED(crop)[0], theirs(pillow(crop[0])), atol=1.01 / 255)


def test_grey_agrees_with_pillow() -> None:
    crops = random_crops(3, 20, 30, 3)
    theirs = np.stack([np.asarray(pillow(crop).convert("L")) for crop in crops])
    found = to_grey(crops)
    assert found.shape == (3, 1, 20, 30)
    np.testing.assert_allclose(found[:, 0], theirs / 255, atol=1 / 255)


def test_a_grey_crop_and_its_three_equal_channels_are_one() -> None:
    grey = random_crops(2, 48, 48)
    rgb = grey[..., None].expand(-1, -1, -1, 3)
    np.testing.assert_allclose(PUBLISHED(rgb), PUBLISHED(grey), atol=1e-6)


# --- ten crops ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prepare", "resize"), [(PUBLISHED, 236), (Preprocessing(80, 80), 84)])
def test_ten_crops_are_the_authors(prepare: Preprocessing, resize: int) -> None:
    crop = random_crops(1, 48, 48)
    theirs = transforms.Compose([transforms.Resize(resize), transforms.TenCrop(prepare.size)])
    expected = torch.stack([repeat_channels(transforms.ToTensor()(one)) for one in theirs(pillow(crop[0]))])
    # they crop the mirrored picture, we mirror the crops: left and right change places
    expected = expected[[0, 1, 2, 3, 4, 6, 5, 8, 7, 9]]
    found = prepare.ten_crops(crop)
    assert found.shape == (1, 10, 3, prepare.size, prepare.size)
    np.testing.assert_allclose(found[0], expected, atol=1.01 / 255)


def test_ten_crops_are_five_and_their_mirror_images_with_the_top_left_first() -> None:
    crop = random_crops(2, 236, 236)
    found = PUBLISHED.ten_crops(crop)
    np.testing.assert_allclose(found[:, 0, 0], crop[:, :224, :224] / 255, atol=1e-6)
    np.testing.assert_allclose(found[:, 3, 0], crop[:, 12:, 12:] / 255, atol=1e-6)
    assert torch.equal(found[:, 5:], found[:, :5].flip(-1))


def test_the_middle_of_ten_crops_is_what_one_crop_sees() -> None:
    crop = random_crops(2, 48, 48)
    prepare = Preprocessing(size=40, resize=48, mean=0.5, std=0.25)
    assert torch.equal(prepare.ten_crops(crop)[:, 4], prepare(crop))


# --- stored with the weights ----------------------------------------------------------------------------


def test_preprocessing_comes_back_from_json() -> None:
    prepare = Preprocessing(
        80, 84, crop_px=64, face_scale=1.08, face_shift=(0.0, -0.01), mean=0.508, std=0.255
    )
    assert Preprocessing.from_dict(json.loads(json.dumps(prepare.to_dict()))) == prepare


def test_an_unknown_key_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="colour"):
        Preprocessing.from_dict({**PUBLISHED.to_dict(), "colour": True})


@pytest.mark.parametrize("key", ["size", "resize"])
def test_a_missing_key_is_a_type_error(key: str) -> None:
    values = PUBLISHED.to_dict()
    del values[key]
    with pytest.raises(TypeError, match=key):
        Preprocessing.from_dict(values)


# --- helpers --------------------------------------------------------------------------------------------


def random_crops(*shape: int) -> Tensor:
    values: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return torch.from_numpy(values)


def pillow(crop: Tensor) -> Image.Image:
    return Image.fromarray(crop.numpy())


def repeat_channels(picture: Tensor) -> Tensor:
    return picture.repeat(3, 1, 1)
