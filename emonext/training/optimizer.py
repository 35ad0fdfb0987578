"""Assign parameters to optimizers: AdamW, or Muon for the trunk's matrices."""

from collections import defaultdict
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
    """timm's Muon with Nesterov momentum, a configurable precision of the orthogonalisation, and fewer calls.

    timm supports only bf16, which takes four times as long as float32 on a processor without bf16, and moves
    one matrix after the other: hundreds of small products, for each of which a GPU is started.

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
            wide = [] if group.get("use_fallback") else [one for one in group["params"] if _is_wide(one)]
            moved = [(one, one.grad) for one in wide if one.grad is not None]
            self._move(moved, group)
            gradients += moved
            for parameter, _ in moved:
                parameter.grad = None  # timm's step skips parameters without a gradient
        super().step()
        for parameter, gradient in gradients:
            parameter.grad = gradient
        return loss

    def _move(self, moved: Sequence[tuple[nn.Parameter, Tensor]], group: dict[str, Any]) -> None:
        """As timm's ``_single_tensor_muon``, but for all matrices of one shape at once."""
        rate = group["lr"]
        by_shape: defaultdict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
        for parameter, gradient in moved:
            momentum = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
            parameter.mul_(1 - rate * group["weight_decay"])
            momentum.lerp_(gradient, 1 - group["momentum"])
            update = gradient.lerp(momentum, group["momentum"]).flatten(1)
            by_shape[update.shape].append((parameter, update))
        for shape, together in by_shape.items():
            orthogonal = muon.zeropower_via_newtonschulz(
                torch.stack([update for _, update in together]),
                group["ns_steps"],
                muon._COEFFICIENTS[group["ns_coefficients"]],
                eps=group["eps"],
                safety_factor=group["safety_factor"],
                dtype=self._dtype,
            )
            scale = muon.get_lr_scale(shape, group["adjust_lr_fn"])
            for (parameter, _), update in zip(together, orthogonal, strict=True):
                parameter.add_(update.reshape(parameter.shape), alpha=-rate * scale)


def _is_wide(parameter: Tensor) -> bool:
    short, long = sorted(parameter.flatten(1).shape)
    return short >= _MIN_SIDE and long <= _MAX_ASPECT * short


def _is_trunk_matrix(name: str, parameter: Tensor) -> bool:
    """Linear maps, 1×1 and downsampling convolutions; not the stem, the head or the spatial transformer."""
    if not name.startswith(("backbone.stages", "attention")):
        return False
    return parameter.ndim == 2 or "downsample" in name
