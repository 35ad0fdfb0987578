"""Weights on disk: safetensors that carry their own card, and the authors' checkpoints made into them.

A file holds the tensors and, in its metadata, one JSON object: everything needed to run them and to
judge them. Shipped files are checked against the sha256 in :data:`SHIPPED`; any other file against
``FILE.sha256`` beside it, where there is one. Nothing is ever unpickled.
"""

import hashlib
import json
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emonext.errors import WeightsError
from emonext.model import LABELS, Architecture, EmoNeXt
from emonext.preprocessing import Preprocessing

METADATA_KEY = "emonext"
FOLDER = Path(__file__).parent / "weights"

SHIPPED: dict[str, str] = {}
"""Name → sha256 of ``weights/NAME.safetensors``."""

DEFAULT = "atto"


@dataclass(frozen=True)
class Card:
    """What is known about one set of weights.

    :param temperature: the logits are divided by it, so that probabilities are calibrated (Guo et al. 2017).
    :param metrics: measured figures by name; see the model card for how.
    """

    name: str
    architecture: Architecture
    preprocessing: Preprocessing
    temperature: float = 1.0
    labels: tuple[str, ...] = LABELS
    licence: str = "unknown"
    data: str = "unknown"
    recipe: str = "unknown"
    metrics: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """:raises ValueError, TypeError, KeyError: the text is not a card."""
        values = json.loads(text)
        shape = values["architecture"]
        return cls(
            **{
                **values,
                "architecture": Architecture(
                    tuple(shape["depths"]), tuple(shape["dims"]), int(shape["image_size"])
                ),
                "preprocessing": Preprocessing.from_dict(values["preprocessing"]),
                "labels": tuple(values["labels"]),
            }
        )


@dataclass(frozen=True)
class Weights:
    """A loaded network in eval mode, its card, and the sha256 of the file it came from."""

    model: EmoNeXt
    card: Card
    sha256: str


def load_model(name_or_file: str | Path = DEFAULT) -> EmoNeXt:
    """The network in eval mode: (N, 3, S, S) float32 as preprocessed → (N, 7) logits.

    :raises WeightsError: no such weights, or they are damaged or of another model.
    """
    return load_weights(name_or_file).model


def load_weights(name_or_file: str | Path = DEFAULT) -> Weights:
    """The network with its card.

    :raises WeightsError: no such weights, or they are damaged, tampered with or of another model.
    """
    path = find_weights(name_or_file)
    digest = verify_weights(path)
    card, tensors = _read(path)
    if card.labels != LABELS:
        raise WeightsError(f"{path}: its labels {card.labels} are not {LABELS}; use weights for these seven.")
    model = EmoNeXt(card.architecture)
    try:
        model.load_state_dict({key: tensor.float() for key, tensor in tensors.items()}, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{path}: not the tensors that its card describes; fetch it again.") from error
    return Weights(model.eval(), card, digest)


def find_weights(name_or_file: str | Path) -> Path:
    """The file of shipped weights by name, or the file itself."""
    if str(name_or_file) in SHIPPED:
        return FOLDER / f"{name_or_file}.safetensors"
    path = Path(name_or_file)
    if not path.is_file():
        names = ", ".join(SHIPPED)
        raise WeightsError(f"{name_or_file}: no such weights. Give a .safetensors file or one of: {names}.")
    return path


def verify_weights(path: Path) -> str:
    """The file's sha256, after comparing it with the expected one where one is known.

    :raises WeightsError: it differs.
    """
    digest = sha256_of(path)
    expected = _expected_sha256(path)
    if expected is not None and expected != digest:
        raise WeightsError(
            f"{path}: its sha256 is {digest[:12]}…, not {expected[:12]}…: damaged or changed; fetch it again."
        )
    return digest


def _expected_sha256(path: Path) -> str | None:
    if path.parent == FOLDER:
        return SHIPPED.get(path.stem)
    beside = path.with_name(path.name + ".sha256")
    return beside.read_text().split()[0] if beside.is_file() else None


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file.

    :raises WeightsError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}.") from error


def read_card(path: Path) -> Card:
    """The card alone, without loading the network."""
    return _read(path, tensors=False)[0]


def _read(path: Path, *, tensors: bool = True) -> tuple[Card, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path}: not a whole safetensors file ({error}). An older checkpoint is made into one by "
            "`emonext weights convert`."
        ) from error
    try:
        return Card.from_json(metadata[METADATA_KEY]), state
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: safetensors, but not of this program (no model card in it).") from error


def save_weights(model: EmoNeXt, card: Card, path: Path, *, half: bool = True) -> str:
    """Writes ``path`` and ``path.sha256``, whole or not at all; returns the sha256.

    :param half: store floating-point tensors in half precision.
    """
    state = {
        key: (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()
        for key, tensor in model.state_dict().items()
    }
    partial = path.with_name(path.name + ".partial")
    save_file(state, partial, {METADATA_KEY: card.to_json()})
    digest = sha256_of(partial)
    os.replace(partial, path)
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return digest


def with_metrics(card: Card, metrics: Mapping[str, float], temperature: float) -> Card:
    """The card with what an evaluation measured."""
    return replace(card, metrics=dict(metrics), temperature=temperature)


# Published key → ours, in order; the first pattern that matches the whole key applies.
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
    """Tensors in the authors' key layout → ours.

    :raises WeightsError: a key that their model does not have.
    """
    return dict(_remap_one(key, tensor) for key, tensor in state.items())


def _remap_one(key: str, tensor: Tensor) -> tuple[str, Tensor]:
    for pattern, ours in _PUBLISHED_KEYS:
        match = re.fullmatch(pattern, key)
        if match:
            # timm's squeeze-and-excitation block holds its linear maps as 1×1 convolutions
            is_excitation = re.search(r"downsample\.2\.fc", match.expand(ours)) is not None
            return match.expand(ours), tensor[:, :, None, None] if is_excitation else tensor
    raise WeightsError(f"{key}: not a tensor of the published EmoNeXt.")


def published_architecture(state: Mapping[str, Tensor]) -> Architecture:
    """Depths, widths and input size, read off the shapes of the authors' tensors.

    :raises WeightsError: a tensor that says so is missing.
    """
    try:
        dims = tuple(len(state[f"stages.{stage}.0.gamma"]) for stage in range(4))
        depths = tuple(
            sum(bool(re.fullmatch(rf"stages\.{stage}\.\d+\.gamma", key)) for key in state)
            for stage in range(4)
        )
        side = round((state["fc_loc.0.weight"].shape[1] / 10) ** 0.5)
    except KeyError as error:
        raise WeightsError(f"not a checkpoint of the published EmoNeXt: it has no {error}.") from error
    # inverse of the spatial transformer's arithmetic, for sizes that divide by 4
    return Architecture(depths, dims, 4 * side + 16)  # type: ignore[arg-type]


def convert_published(source: Path, target: Path) -> Card:
    """A checkpoint of the authors' code → weights of this program, with their preprocessing.

    The source is a bare state dict or ``{"model": …, "ema": …}``, of which the average is taken.

    :raises WeightsError: it is not such a checkpoint, or holds anything but tensors and plain values.
    """
    state = _published_state(source)
    card = Card(
        name=target.stem,
        architecture=published_architecture(state),
        preprocessing=Preprocessing.published(),
        recipe="converted from the authors' code",
    )
    model = EmoNeXt(card.architecture)
    try:
        model.load_state_dict(remap_published(state), strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{source}: its tensors do not make an EmoNeXt ({error}).") from error
    save_weights(model, card, target, half=False)
    return card


def _published_state(source: Path) -> dict[str, Tensor]:
    try:
        loaded: Any = torch.load(source, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"{source}: not found.") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise WeightsError(f"{source}: not a checkpoint that can be read without running code.") from error
    for wrapper in ("ema", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{source}: not a state dict. Expected tensors by name.")
    return {key.removeprefix("module."): value for key, value in loaded.items()}
