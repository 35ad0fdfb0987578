"""Initialise a network: randomly, from ImageNet weights, or from other weights."""

import math

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from emonext.checkpoint import is_whole, load_without_code
from emonext.errors import WeightsError
from emonext.model import ARCHITECTURES, EmoNeXt
from emonext.weight_files import find_weights, verify_weights

# timm's trunks of the same widths and depths; the paper starts from ImageNet-22k weights.
_IMAGENET = {
    "tiny": "convnext_tiny.fb_in22k",
    "small": "convnext_small.fb_in22k",
    "base": "convnext_base.fb_in22k",
    "large": "convnext_large.fb_in22k",
    "xlarge": "convnext_xlarge.fb_in22k",
    "atto": "convnext_atto.d2_in1k",
    "femto": "convnext_femto.d1_in1k",
    "pico": "convnext_pico.d1_in1k",
    "nano": "convnext_nano.in12k",
}

# The localisation network's first linear map, whose width depends on the input size.
_AFFINE = "transformer.affine.0.weight"
_AFFINE_CHANNELS = 10
_AFFINE_WIDTHS = {_AFFINE_CHANNELS * side * side for side in range(1, 1000)}

# Noise of repeated channels, as a share of the weight.
_COPY_NOISE = 0.05


def start_from(model: EmoNeXt, source: str) -> set[str]:
    """Copy other weights into a new network; return the names of the copied tensors.

    Parameters without a counterpart keep their initial values: with ImageNet weights, squeeze-and-excitation,
    attention and heads; otherwise a missing head for votes. A spatial transformer of another input size is
    resized. A narrower network of the same depths is widened.

    :param source: ``none``, ``imagenet`` (timm's ConvNeXt of the same widths: from its cache, or fetched),
        shipped weights by name, or a file: weights of this program or a ConvNeXt of timm's.
    :raises WeightsError: the weights are not available, or have other widths or depths.
    """
    if source == "none":
        return set()
    found = _imagenet(model) if source == "imagenet" else _from_file(source)
    ours = model.state_dict()
    if "stem.0.weight" in found:  # a trunk alone, with a head for other classes
        found = {f"backbone.{key}": value for key, value in found.items() if not key.startswith("head.fc")}
    if _AFFINE in found and _AFFINE in ours:
        if found[_AFFINE].ndim != 2 or found[_AFFINE].shape[1] not in _AFFINE_WIDTHS:
            raise WeightsError(
                f"`init` {source}: of another architecture ({_AFFINE} does not fit); give its `size`."
            )
        found[_AFFINE] = _resize_affine(found[_AFFINE], ours[_AFFINE].shape[1])
    # all trunk blocks must match; squeeze-and-excitation is optional
    trunks = [{key for key in state if _is_trunk(key)} for state in (ours, found)]
    found = {key: _as_linear(value, ours[key]) for key, value in found.items() if key in ours}
    found = _widened(found, ours)
    wrong = [key for key, value in found.items() if value.shape != ours[key].shape]
    if wrong or trunks[0] != trunks[1]:
        example = min(wrong or trunks[0] ^ trunks[1])
        raise WeightsError(
            f"`init` {source}: of another architecture ({example} does not fit); give its `size`."
        )
    model.load_state_dict(found, strict=False)
    return set(found)


def _is_trunk(key: str) -> bool:
    return key.startswith("backbone.stages") and "downsample.2" not in key


def _imagenet(model: EmoNeXt) -> dict[str, Tensor]:
    shape = model.architecture
    sizes = [
        name for name, ours in ARCHITECTURES.items() if (ours.depths, ours.dims) == (shape.depths, shape.dims)
    ]
    if not sizes:
        raise WeightsError("`init` imagenet: no ImageNet weights for this architecture; use none.")
    name = _IMAGENET[sizes[0]]
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # the hub's client raises the errors of its transport
        raise WeightsError(
            f"`init` imagenet: {name} is not in timm's cache and can't be fetched; give its file, or none."
        ) from error


def _from_file(source: str) -> dict[str, Tensor]:
    path = find_weights(source)
    verify_weights(path)
    if path.suffix != ".safetensors":
        state = load_without_code(path, WeightsError)
        state = state.get("model", state) if isinstance(state, dict) else state
        if not isinstance(state, dict) or not all(
            isinstance(key, str) and is_whole(value, path) for key, value in state.items()
        ):
            raise WeightsError(f"{path}: not a state dict. Expected tensors by name.")
    else:
        try:
            state = load_file(path)
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{path}: not a whole safetensors file ({error}).") from error
    return {key: value.float() for key, value in state.items()}


def _resize_affine(weight: Tensor, width: int) -> Tensor:
    """(32, 10·s·s) → (32, 10·t·t): scale the map and keep the sum over it."""
    before = math.isqrt(weight.shape[1] // _AFFINE_CHANNELS)
    after = math.isqrt(width // _AFFINE_CHANNELS)
    maps = weight.view(len(weight), _AFFINE_CHANNELS, before, before)
    scaled = F.interpolate(maps, (after, after), mode="bilinear", align_corners=False, antialias=True)
    return scaled.flatten(1) * (before / after) ** 2


def _widened(found: dict[str, Tensor], ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """Repeat channels of a narrower network (Net2Wider; Chen, Goodfellow & Shlens 2016).

    What reads repeated channels shares their weight among them, so that the wider network computes nearly the
    same; a little noise, so that the copies can learn different things.
    """
    generator = torch.Generator().manual_seed(0)
    chosen: dict[tuple[int, int], Tensor] = {}

    def channels(before: int, after: int) -> Tensor:
        if (before, after) not in chosen:
            more = torch.randint(before, (after - before,), generator=generator)
            chosen[before, after] = torch.cat([torch.arange(before), more])
        return chosen[before, after]

    wider = {}
    for key, value in found.items():
        shape = ours[key].shape
        if value.ndim == len(shape) and value.ndim and value.shape[0] < shape[0]:
            value = value[channels(value.shape[0], shape[0])]
        if value.ndim == len(shape) > 1 and value.shape[1] < shape[1]:
            columns = channels(value.shape[1], shape[1])
            copies = columns.bincount()[columns].view(1, -1, *[1] * (value.ndim - 2))
            noise = torch.randn(value[:, columns].shape, generator=generator) * (copies > 1)
            value = value[:, columns] / copies * (1 + _COPY_NOISE * noise)
        wider[key] = value
    return wider


def _as_linear(value: Tensor, ours: Tensor) -> Tensor:
    """timm's small ConvNeXts store linear maps as 1×1 convolutions."""
    return value.flatten(1) if value.ndim == 4 and ours.ndim == 2 else value
