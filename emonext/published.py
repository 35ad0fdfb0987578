"""Convert checkpoints of the authors' code to weights of this program.

Tensor names in the authors' code: ``localization…``, ``downsample_layers…``, ``stages…`` and so on.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from emonext.checkpoint import Card, build, check_labels, is_whole, load_without_code, save_weights
from emonext.errors import WeightsError
from emonext.model import LABELS, Architecture
from emonext.preprocessing import Preprocessing

# Published key → key here; the first pattern that matches the whole key applies.
_PUBLISHED_KEYS = [
    (r"localization\.(.+)", r"transformer.localization.\1"),
    (r"fc_loc\.(.+)", r"transformer.affine.\1"),
    (r"downsample_layers\.0\.(.+)", r"backbone.stem.\1"),
    (r"downsample_layers\.(\d)\.([01])\.(.+)", r"backbone.stages.\1.downsample.\2.\3"),
    (r"downsample_layers\.(\d)\.2\.fc\.0\.weight", r"backbone.stages.\1.downsample.2.fc1.weight"),
    (r"downsample_layers\.(\d)\.2\.fc\.2\.weight", r"backbone.stages.\1.downsample.2.fc2.weight"),
    (r"stages\.(\d)\.(\d+)\.gamma", r"backbone.stages.\1.blocks.\2.gamma"),
    (r"stages\.(\d)\.(\d+)\.dwconv\.(.+)", r"backbone.stages.\1.blocks.\2.conv_dw.\3"),
    (r"stages\.(\d)\.(\d+)\.norm\.(.+)", r"backbone.stages.\1.blocks.\2.norm.\3"),
    (r"stages\.(\d)\.(\d+)\.pwconv([12])\.(.+)", r"backbone.stages.\1.blocks.\2.mlp.fc\3.\4"),
    (r"norm\.(.+)", r"backbone.head.norm.\1"),
    (r"head\.(.+)", r"backbone.head.fc.\1"),
    (r"(attention\..+)", r"\1"),
]


def remap_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors from the authors' keys to the keys here.

    :raises WeightsError: a key that the authors' model does not have.
    """
    return dict(_remap_one(key, tensor) for key, tensor in state.items())


def _remap_one(key: str, tensor: Tensor) -> tuple[str, Tensor]:
    for pattern, ours in _PUBLISHED_KEYS:
        match = re.fullmatch(pattern, key)
        if match:
            # timm's squeeze-and-excitation block holds its linear maps as 1×1 convolutions
            is_excitation = re.search(r"downsample\.2\.fc", match.expand(ours)) is not None
            return match.expand(ours), tensor[:, :, None, None] if is_excitation else tensor
    raise WeightsError(f"it has {key!r}")


def published_architecture(state: Mapping[str, Tensor]) -> Architecture:
    """Depths, widths and input size, from the shapes of the authors' tensors.

    :raises WeightsError: a tensor that is needed for this is missing.
    """
    try:
        dims = tuple(len(state[f"stages.{stage}.0.gamma"]) for stage in range(4))
        depths = tuple(
            sum(bool(re.fullmatch(rf"stages\.{stage}\.\d+\.gamma", key)) for key in state)
            for stage in range(4)
        )
        side = round((state["fc_loc.0.weight"].shape[1] / 10) ** 0.5)
    except KeyError as error:
        raise WeightsError(f"it has no {error}") from error
    # inverse of the spatial transformer's arithmetic, for sizes that divide by 4
    return Architecture(depths, dims, 4 * side + 16)  # type: ignore[arg-type]


# The authors train on folders named after the classes, which torchvision puts in alphabetical order.
PUBLISHED_LABELS = tuple(sorted(LABELS))


def convert_published(source: Path, target: Path, labels: tuple[str, ...] = PUBLISHED_LABELS) -> Card:
    """Convert a checkpoint of the authors' code to weights of this program, with the authors' preprocessing.

    The source is a bare state dict or ``{"model": …, "ema": …}``, of which the average (ema) is used.

    :param labels: the classes in the order of the checkpoint's logits; the file does not state them.
    :raises WeightsError: the file is no such checkpoint, or holds other values than tensors and plain values.
    """
    check_labels(labels, str(source))
    state = _published_state(source)
    try:
        card = Card(
            name=target.stem,
            architecture=published_architecture(state),
            preprocessing=Preprocessing.published(),
            labels=labels,
            recipe="converted from the authors' code",
        )
        tensors = remap_published(state)
        model = build(card.architecture, tensors)
        model.load_state_dict(tensors, strict=True)
    except (WeightsError, RuntimeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise WeightsError(f"{source}: not a checkpoint of the published EmoNeXt ({error}).") from error
    save_weights(model, card, target, half=False)
    return card


def _published_state(source: Path) -> dict[str, Tensor]:
    loaded = load_without_code(source, WeightsError)
    for wrapper in ("ema", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise WeightsError(f"{source}: not a state dict. Expected tensors by name.")
    # ema_pytorch stores the average, the network and a step counter
    average = {key: value for key, value in loaded.items() if key.startswith("ema_model.")} or loaded
    if not all(is_whole(value, source) for value in average.values()):
        raise WeightsError(f"{source}: not a state dict. Expected tensors by name.")
    return {re.sub(r"^(ema_model\.|module\.)+", "", key): value for key, value in average.items()}
