import inspect
from dataclasses import FrozenInstanceError, fields, replace

import pytest
import torch

from emonext import ARCHITECTURES, DataError
from emonext.training.augmentation import Augmentation
from emonext.training.recipe import PRESETS, Settings, choose_settings

# github.com/yelboudouri/EmoNeXt: train.py's defaults, and models.py's get_model, EmoNeXt and its loss.
PUBLISHED = {
    "size": "tiny",
    "epochs": 20,
    "batch_size": 32,
    "learning_rate": 1e-4,
    "drop_path": 0.1,
    "layer_scale": 1e-6,
    "label_smoothing": 0.2,
    "attention_weight": 1.0,
    "votes": False,
    "spatial_transformer": True,
    "squeeze_excitation": True,
    "init": "imagenet",
    "optimizer": "adamw",
    "mixup": 0.0,
}

PAPER = PRESETS["paper"]


@pytest.mark.parametrize("name", ["", "Best", "papers"])
def test_an_unknown_preset_lists_the_known_ones(name: str) -> None:
    with pytest.raises(DataError, match=rf"^`preset` {name}: unknown; use best or paper\.$"):
        choose_settings(name, {})


@pytest.mark.parametrize("name", ["best", "paper"])
def test_without_changes_it_is_the_preset(name: str) -> None:
    assert choose_settings(name, {}) == PRESETS[name]


def test_changes_are_made_and_the_rest_is_the_presets() -> None:
    found = choose_settings("paper", {"epochs": 3, "size": "pico"})
    assert (found.epochs, found.size) == (3, "pico")
    assert replace(found, epochs=20, size="tiny") == PAPER
    assert PAPER.epochs == 20  # which is itself unchanged


def test_the_paper_has_no_head_for_covers() -> None:
    assert (PAPER.covered, PAPER.augmentation.cover) == (False, 0)


def test_the_best_are_the_defaults() -> None:
    assert PRESETS["best"] == Settings()
    assert PRESETS["best"].augmentation == Augmentation()


@pytest.mark.parametrize("name", ["best", "paper"])
def test_a_preset_is_of_a_known_size_and_optimizer(name: str) -> None:
    settings = PRESETS[name]
    assert settings.size in ARCHITECTURES
    assert settings.optimizer in ("muon", "adamw")
    with pytest.raises(FrozenInstanceError):
        settings.epochs = 1  # type: ignore[misc]


# --- the paper's, but for what is named -----------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_papers_settings_are_the_published_ones(name: str) -> None:
    assert getattr(PAPER, name) == PUBLISHED[name]


def test_the_papers_weight_decay_is_the_one_that_adamw_takes_unasked() -> None:
    assert PAPER.weight_decay == inspect.signature(torch.optim.AdamW).parameters["weight_decay"].default


def test_the_papers_input_is_224_px() -> None:
    assert PAPER.image_size is None
    assert ARCHITECTURES[PAPER.size].image_size == 224


def test_the_average_of_every_step_remembers_as_long_as_theirs_of_every_sixteenth() -> None:
    assert PAPER.ema_decay**16 == pytest.approx(0.99, abs=0.001)


def test_the_papers_crop_moves_as_far_as_224_of_236_px_can() -> None:
    assert PAPER.augmentation.shift * 236 == pytest.approx((236 - 224) / 2, abs=0.15)


def test_the_papers_faces_are_turned_by_20_degrees_and_mirrored_and_no_more() -> None:
    assert PAPER.augmentation.rotation_deg == 20
    assert PAPER.augmentation.scale == (1, 1)
    grey = torch.full((300, 1, 48, 48), 0.3)
    # neither light nor cover: an even picture stays what it is
    assert PAPER.augmentation(grey, 48, seeded())[0].sub(0.3).abs().max() < 1e-6
    still = replace(PAPER.augmentation, rotation_deg=0, shift=0)
    face = torch.rand(1, 1, 48, 48, generator=seeded()).expand(300, -1, -1, -1)
    found, _ = still(face, 48, seeded())
    same, mirrored = ((found - one).abs().amax(dim=(1, 2, 3)) < 1e-4 for one in (face, face.flip(-1)))
    assert (same ^ mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_the_papers_faces_are_not_turned_upside_down() -> None:
    face = torch.full((300, 1, 48, 48), 0.2)
    face[:, :, 24:] = 0.8
    found, _ = PAPER.augmentation(face, 48, seeded())
    assert (found[:, 0, :24].mean(dim=(1, 2)) < found[:, 0, 24:].mean(dim=(1, 2))).all()


def test_every_setting_in_which_the_paper_differs_from_ours_is_checked_here() -> None:
    """But for these, each of which has a test of its own above."""
    others = {"weight_decay", "ema_decay", "augmentation", "covered"}
    differing = {
        one.name for one in fields(Settings) if getattr(PAPER, one.name) != getattr(Settings(), one.name)
    }
    assert differing - others <= PUBLISHED.keys()


# --- helpers --------------------------------------------------------------------------------------------


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
