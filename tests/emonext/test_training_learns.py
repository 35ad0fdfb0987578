"""training.run: a network learns, and starts from the given weights."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training_runs import MINI, faces, ignore, start, unequal

from emonext import load_weights
from emonext.datasets.data import FaceSet
from emonext.training import run as training_module
from emonext.training.augmentation import Augmentation

pytestmark = [pytest.mark.training, pytest.mark.usefixtures("mini")]


# --- learning -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bf16")
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_an_easy_set_is_learnt(tmp_path: Path, optimizer: str) -> None:
    settings = replace(
        MINI,
        epochs=10,
        optimizer=optimizer,
        learning_rate=4e-3,
        ema_decay=0.9,
        label_smoothing=0.2,
        mixup=0.0,
    )
    log = start(tmp_path, settings).train(ignore)
    # with labels smoothed by 0.2, no network can fall below their entropy; votes that agree add none
    floor = -(0.8 + 0.2 / 7) * math.log(0.8 + 0.2 / 7) - 6 * (0.2 / 7) * math.log(0.2 / 7)
    assert floor < log[-1].loss < floor + 0.6 < log[0].loss
    assert log[-1].accuracy > 0.95
    assert log[-1].majority_accuracy > 0.95


@pytest.mark.usefixtures("bf16")
def test_where_people_agree_and_labels_are_noise_the_head_for_votes_learns(tmp_path: Path) -> None:
    settings = replace(MINI, epochs=10, learning_rate=4e-3, ema_decay=0.9)
    log = start(tmp_path, settings, train=mislabelled(faces(64))).train(ignore)
    assert log[-1].majority_accuracy > 0.9
    assert log[-1].accuracy < 0.7


@pytest.mark.parametrize(
    "change",
    [
        {"spatial_transformer": False},
        {"squeeze_excitation": False},
        {"attention_weight": 0.0},
        {"votes": False},
        {"covered": False},
        {"label_smoothing": 0.0},
        {"drop_path": 0.0, "layer_scale": 1e-6},
        {"image_size": 48},
        {"augmentation": Augmentation(coarse=0.0, cover=0.0)},
    ],
)
def test_whatever_is_left_out_a_network_is_trained_and_finished(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    settings = replace(MINI, epochs=1, **change)
    whole, run = start(tmp_path / "whole", replace(MINI, epochs=1)), start(tmp_path / "part", settings)
    run.train(ignore)
    assert whole.train(ignore)[0].loss != run.log[0].loss
    path, _ = run.finish()
    card = load_weights(path).card
    shape = card.architecture
    assert (shape.spatial_transformer, shape.squeeze_excitation, shape.votes, shape.image_size) == (
        settings.spatial_transformer,
        settings.squeeze_excitation,
        settings.votes,
        settings.image_size or 32,
    )
    for name, value in change.items():
        if name != "augmentation":
            assert f"{name}={value}" in card.recipe
    assert f"coarse={settings.augmentation.coarse}" in card.recipe


@pytest.mark.parametrize("name", ["label_smoothing", "attention_weight"])
def test_a_setting_of_the_loss_reaches_it(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    loss = training_module.training_loss

    def watch(*batch: Any, **options: float) -> Tensor:
        seen.add(options[name])
        return loss(*batch, **options)

    monkeypatch.setattr(training_module, "training_loss", watch)
    start(tmp_path, replace(MINI, epochs=1, **{name: 0.375})).train(ignore)
    assert seen == {0.375}


@pytest.mark.parametrize(("decay", "same"), [(0.0, True), (0.9, False)])
def test_the_average_forgets_as_fast_as_asked(tmp_path: Path, decay: float, same: bool) -> None:
    run = start(tmp_path, replace(MINI, epochs=1, ema_decay=decay))
    run.train(ignore)
    differing = unequal(run.model.state_dict(), run.average.module.state_dict())
    assert (differing == []) is same


def test_a_step_is_taken_with_a_gradient_of_norm_one_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = training_module.training_loss
    monkeypatch.setattr(
        training_module, "training_loss", lambda *args, **options: 100 * loss(*args, **options)
    )
    run, norms = start(tmp_path), []

    step = run.optimizer.step

    def measure() -> None:
        gradients = [p.grad for p in run.model.parameters() if p.grad is not None]
        norms.append(torch.stack([gradient.norm() for gradient in gradients]).norm().item())
        step()

    # a hook would run once for each optimizer class whose step was wrapped before, by whichever test
    monkeypatch.setattr(run.optimizer, "step", measure)
    run.train(ignore, max_minutes=0)
    assert norms == pytest.approx([1.0] * 4, abs=1e-3)


def test_a_run_starts_from_the_weights_it_is_given(tmp_path: Path) -> None:
    first = start(tmp_path / "first", replace(MINI, votes=False))
    first.train(ignore)
    path, _ = first.finish()
    run = start(tmp_path / "second", replace(MINI, init=str(path), seed=1))
    before = {key: tensor.half().float() for key, tensor in first.average.module.state_dict().items()}
    started = {key: tensor.float() for key, tensor in run.model.state_dict().items()}
    own = {key for key in started if key.startswith("votes")}
    assert own
    assert unequal({key: started[key] for key in started.keys() - own}, before) == []
    assert unequal(run.model.state_dict(), run.average.module.state_dict()) == []
    run.train(ignore, max_minutes=0)
    recipe = load_weights(run.finish()[0]).card.recipe
    assert "init=weights.safetensors" in recipe
    assert str(tmp_path) not in recipe  # no one needs to know how a folder is called


def test_the_image_size_can_be_asked_for(tmp_path: Path) -> None:
    run = start(tmp_path, replace(MINI, image_size=48))
    assert run.model.architecture.image_size == run.prepare.size == run.prepare.resize == 48


def mislabelled(data: FaceSet) -> FaceSet:
    """The labels say nothing of the pictures; the votes still do."""
    return replace(data, labels=np.random.default_rng(2).integers(0, 3, len(data)))
