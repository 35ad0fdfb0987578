"""Assign parameters to optimizers: AdamW, or Muon for the trunk's matrices."""

from collections.abc import Sequence
from typing import Any

import torch
from timm.optim import muon
from torch import Tensor, nn

from emonext.device import has_bf16
from emonext.model import EmoNeXt
from emonext.training.recipe import Settings

# Beyond this aspect ratio, timm's Muon uses AdamW for a matrix.
_MIN_SIDE, _MAX_ASPECT = 4, 128


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
    dtype = torch.bfloat16 if has_bf16(matrices[0].device) else torch.float32
    return Muon(groups, dtype, lr=rate, weight_decay=decay)


class Muon(muon.Muon):
    """timm's Muon with Nesterov momentum and a configurable precision of the orthogonalisation.

    timm supports only bf16, which takes four times as long as float32 on a processor without bf16.

    :param groups: as in timm; groups with ``use_fallback`` use NAdamW.
    :param dtype: precision of the Newton–Schulz iteration.
    """

    def __init__(
        self, groups: Sequence[dict[str, Any]], dtype: torch.dtype, *, lr: float, weight_decay: float
    ) -> None:
        super().__init__(groups, lr=lr, weight_decay=weight_decay, nesterov=True)
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update every parameter that has a gradient.

        :returns: the loss, if a ``closure`` computes it.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients: list[tuple[nn.Parameter, Tensor]] = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and not group.get("use_fallback") and _is_wide(parameter):
                    self._move(parameter, parameter.grad, group)
                    gradients.append((parameter, parameter.grad))
                    parameter.grad = None  # timm's step skips parameters without a gradient
        super().step()
        for parameter, gradient in gradients:
            parameter.grad = gradient
        return loss

    def _move(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        """As timm's ``_single_tensor_muon``."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        rate, momentum = group["lr"], state["momentum_buffer"]
        parameter.mul_(1 - rate * group["weight_decay"])
        momentum.lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(momentum, group["momentum"]).flatten(1)
        orthogonal = muon.zeropower_via_newtonschulz(
            update,
            group["ns_steps"],
            muon._COEFFICIENTS[group["ns_coefficients"]],
            eps=group["eps"],
            safety_factor=group["safety_factor"],
            dtype=self._dtype,
        )
        scale = muon.get_lr_scale(orthogonal.shape, group["adjust_lr_fn"])
        parameter.add_(orthogonal.reshape(parameter.shape), alpha=-rate * scale)


def _is_wide(parameter: Tensor) -> bool:
    short, long = sorted(parameter.flatten(1).shape)
    return short >= _MIN_SIDE and long <= _MAX_ASPECT * short


def _is_trunk_matrix(name: str, parameter: Tensor) -> bool:
    """Linear maps, 1×1 and downsampling convolutions; not the stem, the head or the spatial transformer."""
    if not name.startswith(("backbone.stages", "attention")):
        return False
    return parameter.ndim == 2 or "downsample" in name
