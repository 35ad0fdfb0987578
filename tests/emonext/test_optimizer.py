import copy
import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from timm.optim import muon
from torch import nn

from emonext import Architecture, EmoNeXt
from emonext.training.optimizer import Muon, make_optimizer
from emonext.training.recipe import Settings

pytestmark = pytest.mark.usefixtures("bf16")

SMALL = Architecture((1, 1, 1, 1), (16, 16, 32, 32), 32, votes=True)
SETTINGS = Settings(learning_rate=0.01, weight_decay=0.0)
MATRIX, DOWNSAMPLING = "backbone.stages.2.blocks.0.mlp.fc1.weight", "backbone.stages.2.downsample.1.weight"


# --- which optimizer moves which parameter --------------------------------------------------------------


@pytest.mark.parametrize("part", ["", "votes", "spatial_transformer", "squeeze_excitation"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_parameter_is_optimised_once_and_vectors_are_not_decayed(optimizer: str, part: str) -> None:
    model = EmoNeXt(replace(SMALL, **{part: False}) if part else SMALL)
    groups = make_optimizer(model, Settings(optimizer=optimizer, weight_decay=0.07)).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(decay) == len(list(model.parameters()))
    assert {decay[id(p)] for p in model.parameters() if p.ndim < 2} == {0.0}
    assert {decay[id(p)] for p in model.parameters() if p.ndim >= 2} == {0.07}


def test_muon_takes_the_trunks_matrices_alone() -> None:
    model = EmoNeXt(SMALL)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = make_optimizer(model, SETTINGS).param_groups
    orthogonal = {names[id(p)] for group in groups if not group.get("use_fallback") for p in group["params"]}
    stages = {
        f"backbone.stages.{stage}.{layer}.weight"
        for stage in range(4)
        for layer in (
            "blocks.0.mlp.fc1",
            "blocks.0.mlp.fc2",
            "downsample.1",
            "downsample.2.fc1",
            "downsample.2.fc2",
        )
        if stage > 0 or layer.startswith("blocks")
    }
    assert orthogonal == stages | {f"attention.{part}.weight" for part in ("query", "key", "value")}


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_learning_rate_of_zero_moves_nothing_and_another_moves_all(optimizer: str) -> None:
    for rate in (0.0, 0.01):
        model = EmoNeXt(SMALL)
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        step(model, Settings(optimizer=optimizer, learning_rate=rate))
        moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        assert moved == (set(before) if rate else set())


# --- how they move --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [MATRIX, DOWNSAMPLING])
def test_muons_update_is_the_nearest_orthogonal_matrix_but_for_its_scale(bf16: bool, name: str) -> None:
    """Jordan 2024: five Newton–Schulz steps bring the singular values to about 0.7…1.2."""
    gradient, update = updated(name)
    left, _, right = np.linalg.svd(gradient, full_matrices=False)
    scale = 0.01 * 0.2 * max(gradient.shape) ** 0.5  # as large as AdamW's, Liu et al. 2025
    turned = -left.T @ update @ right.T / scale  # diagonal, if the singular vectors are the gradient's
    # five steps of three products each; in bf16 each is rounded by 2⁻⁸ at most, independently
    tolerance = 15**0.5 * 2**-8 if bf16 else 1e-3
    assert np.abs(turned - np.diag(np.diag(turned))).max() < tolerance
    assert 0.65 < np.diag(turned).min() <= np.diag(turned).max() < 1.25


def test_muon_computes_in_bf16_where_the_device_does(bf16: bool) -> None:
    update = torch.from_numpy(updated(MATRIX)[1]) / -(0.01 * 0.2 * 128**0.5)
    rounded = (update - update.bfloat16()).abs() <= 1e-6 * update.abs()
    assert rounded.float().mean() == 1 if bf16 else rounded.float().mean() < 0.01


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_muon_moves_every_parameter_as_timms_does(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_dtype = functools.partial(muon.zeropower_via_newtonschulz, dtype=dtype)
    monkeypatch.setattr(muon, "zeropower_via_newtonschulz", in_dtype)
    torch.manual_seed(0)
    ours = EmoNeXt(SMALL)
    timms = copy.deepcopy(ours)
    before = copy.deepcopy(ours.state_dict())
    groups = [
        make_optimizer(model, replace(SETTINGS, weight_decay=0.07)).param_groups for model in (ours, timms)
    ]
    optimizers = (
        Muon(groups[0], dtype, lr=0.01, weight_decay=0.07),
        muon.Muon(groups[1], lr=0.01, weight_decay=0.07, nesterov=True),
    )
    for _ in range(3):
        for one, other in zip(ours.parameters(), timms.parameters(), strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for (name, one), other in zip(ours.named_parameters(), timms.parameters(), strict=True):
        assert torch.equal(one, other), name
        assert not torch.equal(one, before[name]), name


def test_timms_module_stays_as_it_is(bf16: bool) -> None:
    before = dict(vars(muon))
    step(EmoNeXt(SMALL), SETTINGS)
    assert vars(muon) == before


def test_adamws_first_step_is_the_learning_rate_against_the_gradients_sign() -> None:
    gradient, update = updated(MATRIX, replace(SETTINGS, optimizer="adamw"))
    np.testing.assert_allclose(update, -0.01 * np.sign(gradient), rtol=1e-3)


def test_the_head_moves_as_with_adamw_under_muon_too() -> None:
    """With Nesterov's momentum (Dozat 2016), of which the first step is 1 + β₁ = 1.9 as long."""
    gradient, update = updated("backbone.head.fc.weight")
    np.testing.assert_allclose(update, -0.019 * np.sign(gradient), rtol=0.01)


# --- helpers --------------------------------------------------------------------------------------------


def step(model: nn.Module, settings: Settings) -> None:
    """One step, with gradients of noise."""
    torch.manual_seed(0)
    optimizer = make_optimizer(model, settings)  # type: ignore[arg-type]
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()


def updated(name: str, settings: Settings = SETTINGS) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gradient and update of one parameter, as matrices, one row an output."""
    model = EmoNeXt(SMALL)
    parameter = model.get_parameter(name)
    nn.init.zeros_(parameter)
    step(model, settings)
    assert parameter.grad is not None
    return parameter.grad.flatten(1).numpy(), parameter.detach().flatten(1).numpy()
