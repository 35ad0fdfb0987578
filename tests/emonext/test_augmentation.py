import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from emonext.training.augmentation import Augmentation
from emonext.training.covers import draw_covers

STILL = {
    "rotation_deg": 0.0,
    "scale": (1.0, 1.0),
    "shift": 0.0,
    "brightness": 0.0,
    "contrast": (1.0, 1.0),
    "cover": 0.0,
    "coarse": 0.0,
}
"""Settings under which only the mirror is left to chance."""


def test_the_result_has_the_asked_size_and_range() -> None:
    found, hidden = Augmentation()(torch.rand(5, 1, 48, 48), 80, seeded(0))
    assert hidden.shape == (5,)
    assert found.shape == (5, 1, 80, 80)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()


def test_the_strongest_light_stays_within_range() -> None:
    found = change(torch.rand(100, 1, 24, 24), brightness=1.0, contrast=(0.1, 5.0))
    assert found.min() == 0
    assert found.max() == 1


def test_the_same_seed_gives_the_same_pictures_and_another_gives_others() -> None:
    faces, augment = torch.rand(8, 1, 48, 48), Augmentation()
    one, same, other = (augment(faces, 48, seeded(seed))[0] for seed in (7, 7, 8))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_generator_moves_on_from_call_to_call() -> None:
    faces, generator = torch.rand(8, 1, 48, 48), seeded(7)
    one, other = (Augmentation()(faces, 48, generator)[0] for _ in range(2))
    assert not torch.equal(one, other)


def test_the_pictures_given_are_left_as_they_were() -> None:
    faces = torch.rand(4, 1, 48, 48)
    before = faces.clone()
    Augmentation()(faces, 48, seeded(0))
    assert torch.equal(faces, before)


def test_a_face_is_never_turned_upside_down() -> None:
    face = torch.full((500, 1, 48, 48), 0.2)
    face[:, :, 24:] = 0.8
    found, _ = Augmentation(cover=0)(face, 48, seeded(0))
    assert (found[:, 0, :24].mean(dim=(1, 2)) < found[:, 0, 24:].mean(dim=(1, 2))).all()


def test_without_changes_a_picture_is_itself_or_its_mirror_image() -> None:
    face = torch.rand(1, 1, 48, 48).expand(1000, -1, -1, -1)
    found = change(face)
    itself = (found - face).abs().amax(dim=(1, 2, 3)) < 1e-4
    mirrored = (found - face.flip(-1)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert (itself ^ mirrored).all()
    assert itself.float().mean().item() == pytest.approx(0.5, abs=0.05)


# --- geometry -------------------------------------------------------------------------------------------


def test_a_scale_of_two_doubles_the_side_of_things() -> None:
    face = torch.zeros(1, 1, 48, 48)
    face[..., 18:30, 18:30] = 1
    found = change(face, scale=(2.0, 2.0))
    assert found.sum().item() == pytest.approx(24 * 24, rel=0.02)
    assert found[0, 0, 24, 24] == 1


def test_a_shift_is_a_share_of_the_side_either_way() -> None:
    face = torch.zeros(1, 1, 48, 48)
    face[..., 23:25, 23:25] = 1
    moved = centres(change(face.expand(400, -1, -1, -1), shift=0.25)) - 24
    assert moved.abs().max() <= 12 + 0.1
    assert moved.min() < -11
    assert moved.max() > 11
    assert moved.mean(dim=0).abs().max() < 1.5


def test_a_rotation_stays_within_its_degrees_and_goes_both_ways() -> None:
    face = torch.zeros(1, 1, 96, 96)
    face[..., 8:10, 47:49] = 1  # 39 px above the middle
    x, y = (centres(change(face.expand(400, -1, -1, -1), rotation_deg=12.0)) - 48).T
    angle = torch.rad2deg(torch.atan2(x, -y))
    assert angle.abs().max() < 12.5
    assert angle.min() < -11
    assert angle.max() > 11
    assert torch.hypot(x, y).tolist() == pytest.approx([39.0] * 400, abs=0.5)


# --- light ----------------------------------------------------------------------------------------------


def test_brightness_is_added_to_the_picture() -> None:
    found = change(torch.full((400, 1, 8, 8), 0.5), brightness=0.15)[:, 0, 0, 0]
    assert 0.35 <= found.min() < 0.36
    assert 0.64 < found.max() <= 0.65


def test_contrast_stretches_about_the_mean() -> None:
    face = torch.full((400, 1, 8, 8), 0.4)
    face[..., 4:] = 0.6
    found = change(face, contrast=(0.7, 1.3))
    spread = found.amax(dim=(1, 2, 3)) - found.amin(dim=(1, 2, 3))
    assert found.mean(dim=(1, 2, 3)).tolist() == pytest.approx([0.5] * 400, abs=1e-4)
    assert 0.14 - 1e-4 <= spread.min() < 0.15
    assert 0.25 < spread.max() <= 0.26 + 1e-4


# --- how far a face is hidden ---------------------------------------------------------------------------


def test_a_face_as_it_is_is_not_hidden() -> None:
    _, hidden = Augmentation(**STILL)(torch.rand(50, 1, 48, 48), 48, seeded(0))  # type: ignore[arg-type]
    assert hidden.tolist() == [0] * 50


def test_a_cover_over_a_third_of_the_picture_hides_the_face() -> None:
    face = torch.rand(500, 1, 48, 48)
    covered, hidden = Augmentation(**{**STILL, "cover": 1.0})(face, 48, seeded(0))  # type: ignore[arg-type]
    _, share = draw_covers(face, 1.0, seeded(0))
    assert covered.min() >= 0
    assert covered.max() <= 1
    assert 0 < hidden.min() < 0.2
    assert hidden.max() == 1
    assert ((hidden == 1).float().mean() - (share >= 1 / 3).float().mean()).abs() < 0.05


def test_a_face_of_13_pixels_is_hidden_and_one_of_14_is_not() -> None:
    sides: dict[int, set[float]] = {}
    for seed in range(150):
        face = np.random.default_rng(0).random((48, 48), np.float32)
        found, hidden = Augmentation(**{**STILL, "coarse": 1.0})(  # type: ignore[arg-type]
            torch.from_numpy(face)[None, None], 48, seeded(seed)
        )
        sides.setdefault(side_of(found[0, 0].numpy(), face), set()).add(float(hidden[0]))
    assert {side: hidden for side, hidden in sides.items() if side <= 13} == {s: {1.0} for s in range(10, 14)}
    assert set().union(*(hidden for side, hidden in sides.items() if side > 13)) == {0.0}


# --- detail ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_the_asked_share_of_pictures_loses_detail(share: float) -> None:
    lost = [spread(change(lines(100), seed, coarse=share)) < 0.5 for seed in range(20)]
    error = math.sqrt(share * (1 - share) / 2000)
    assert torch.cat(lost).float().mean().item() == pytest.approx(share, abs=4 * error)


def test_a_coarse_picture_keeps_what_is_large() -> None:
    face = torch.full((40, 1, 48, 48), 0.2)
    face[:, :, 24:] = 0.8
    found = change(face, coarse=1.0)
    assert found[:, :, :18].sub(0.2).abs().max() < 0.02
    assert found[:, :, 30:].sub(0.8).abs().max() < 0.02
    assert found[:, :, 23].sub(0.2).abs().min() > 0.05  # but not the edge


def test_detail_is_lost_as_pillow_loses_it_down_to_10_pixels_and_no_further() -> None:
    face = np.random.default_rng(0).random((48, 48), np.float32)
    sides = {
        side_of(change(torch.from_numpy(face)[None, None], seed, coarse=1.0)[0, 0].numpy(), face)
        for seed in range(150)
    }
    assert (min(sides), max(sides)) == (10, 39)


def test_a_picture_with_less_detail_than_that_is_left_alone() -> None:
    face = lines(8)[..., :16, :16]
    assert spread(change(face, coarse=1.0)).tolist() == pytest.approx([1.0] * 8, abs=1e-3)


# --- helpers --------------------------------------------------------------------------------------------


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def change(faces: Tensor, seed: int = 0, **settings: object) -> Tensor:
    """The pictures, at their own size, under nothing but these changes and the mirror."""
    augment = Augmentation(**{**STILL, **settings})  # type: ignore[arg-type]
    return augment(faces, faces.shape[-1], seeded(seed))[0]


def lines(n: int) -> Tensor:
    """Black and white by turns, each 1 px high: the finest detail that 48 px can hold."""
    return (torch.arange(48) % 2).float()[:, None].expand(n, 1, 48, 48)


def spread(pictures: Tensor) -> Tensor:
    """(N,) brightest less darkest, away from the border."""
    inner = pictures[..., 4:-4, 4:-4]
    return inner.amax(dim=(1, 2, 3)) - inner.amin(dim=(1, 2, 3))


def side_of(found: NDArray[np.float32], face: NDArray[np.float32]) -> int:
    """The side in px to which the face was reduced."""
    errors = {}
    for side in range(8, 48):
        one = coarsened(face, side)
        errors[side] = min(np.abs(found - one).max(), np.abs(found[:, ::-1] - one).max())
    side = min(errors, key=lambda side: errors[side])
    assert errors[side] < 1e-3
    return side


def coarsened(face: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    small = Image.fromarray(face).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(face.shape, Image.Resampling.BILINEAR))


def centres(pictures: Tensor) -> Tensor:
    """(N, 2) centre of the light, x and y in px from the top left corner."""
    at = torch.arange(pictures.shape[-1]) + 0.5
    total = pictures.sum(dim=(1, 2, 3))
    x = (pictures[:, 0].sum(dim=1) * at).sum(dim=1) / total
    y = (pictures[:, 0].sum(dim=2) * at).sum(dim=1) / total
    return torch.stack([x, y], dim=1)
