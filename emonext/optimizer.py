"""Which optimizer moves which parameter."""

import functools
from typing import Any

import torch
from timm.optim import muon
from torch import Tensor, nn

from emonext.device import has_bf16
from emonext.model import EmoNeXt
from emonext.recipe import Settings

# timm's Muon computes in bf16, which costs a processor without it four times the float32 step.
_orthogonalize_in_float32 = functools.partial(muon.zeropower_via_newtonschulz, dtype=torch.float32)


def make_optimizer(model: EmoNeXt, settings: Settings) -> torch.optim.Optimizer:
    """AdamW, or Muon on the trunk's matrices. Biases, norms and scales are not decayed."""
    matrices: list[nn.Parameter] = []
    kernels: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            vectors.append(parameter)
        elif _is_trunk_matrix(name, parameter):
            matrices.append(parameter)
        else:
            kernels.append(parameter)
    decay, rate = settings.weight_decay, settings.learning_rate
    if settings.optimizer == "adamw":
        groups: list[dict[str, Any]] = [
            {"params": matrices + kernels},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)
    groups = [
        {"params": matrices},
        {"params": kernels, "use_fallback": True},
        {"params": vectors, "use_fallback": True, "weight_decay": 0.0},
    ]
    if not has_bf16(matrices[0].device):
        muon.zeropower_via_newtonschulz = _orthogonalize_in_float32
    return muon.Muon(groups, lr=rate, weight_decay=decay, nesterov=True)


def _is_trunk_matrix(name: str, parameter: Tensor) -> bool:
    """Linear maps, 1×1 and downsampling convolutions; not the stem, the head or the spatial transformer."""
    if not name.startswith(("backbone.stages", "attention")):
        return False
    return parameter.ndim == 2 or "downsample" in name
