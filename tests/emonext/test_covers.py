"""emonext.training.covers: things that are drawn before faces."""

import math

import pytest
import torch

from emonext.training import covers
from emonext.training.covers import draw_covers

KINDS = [draw.__name__.removeprefix("_") for draw in covers._KINDS]


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_a_thing_is_drawn_before_the_asked_share_of_faces(probability: float) -> None:
    face = torch.rand(1000, 1, 24, 24)
    found, share = draw_covers(face, probability, seeded(0))
    changed = (found != face).any(dim=-1).any(dim=-1)[:, 0]
    error = math.sqrt(probability * (1 - probability) / 1000)
    assert changed.float().mean().item() == pytest.approx(probability, abs=4 * error)
    assert torch.equal(changed, share > 0)


def test_the_share_is_that_of_the_covered_pixels() -> None:
    face = torch.rand(200, 1, 80, 80) * 0.001
    found, share = draw_covers(face, 1.0, seeded(0))
    bright = (found > 0.01).float().mean(dim=(1, 2, 3))
    # things of the face's own tone, or black ones, are not seen before a dark face; no other pixel changes
    assert (bright <= share + 0.03).all()
    assert ((bright - share).abs() < 0.03).float().mean() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_thing_covers_the_part_of_the_face_that_it_covers_in_life(kind: str) -> None:
    strokes = getattr(covers, f"_{kind}")(300, seeded(1))
    covered = (covers._distance(strokes, torch.zeros(300, dtype=torch.bool), 48) < 0).float()
    often = covered.mean(dim=0)
    eyes, mouth = often[16:20, 8:40].mean(), often[34:39, 18:30].mean()
    assert 0.01 < covered.mean() < 0.5
    if kind in ("cup", "mask", "microphone"):
        assert mouth > 2 * eyes
    if kind in ("glasses", "hair"):
        assert eyes > 2 * mouth
    if kind == "cannula":
        assert often[28:34, 18:30].mean() > 5 * eyes


def test_a_square_patch_is_larger_than_a_round_one() -> None:
    strokes = torch.zeros(2, 6, 5)
    strokes[:, 0] = torch.tensor([0.5, 0.5, 0.5, 0.5, 0.25])
    covered = covers._distance(strokes, torch.tensor([False, True]), 100) < 0
    assert covered.float().mean(dim=(1, 2)).tolist() == pytest.approx([math.pi / 16, 0.25], abs=0.01)


def test_the_same_seed_draws_the_same_things() -> None:
    face = torch.rand(50, 1, 48, 48)
    one, same, other = (draw_covers(face, 1.0, seeded(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_pictures_given_are_left_as_they_were() -> None:
    face = torch.rand(50, 1, 48, 48)
    before = face.clone()
    draw_covers(face, 1.0, seeded(0))
    assert torch.equal(face, before)


def test_values_stay_within_range() -> None:
    found, _ = draw_covers(torch.rand(500, 1, 32, 32), 1.0, seeded(0))
    assert 0 <= found.min() <= found.max() <= 1


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
