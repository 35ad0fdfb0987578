"""Weights on disk: safetensors that carry their own card, and the authors' checkpoints made into them.

A file holds the tensors and, in its metadata, one JSON object: everything needed to run them and to
judge them. Shipped files are checked against the sha256 in :data:`SHIPPED`; any other file against
``FILE.sha256`` beside it, where there is one. Nothing is ever unpickled.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emonext.errors import EmoNeXtError, WeightsError
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
    :param labels: of the logits, in their order; :data:`emonext.LABELS` in any order.
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

    @property
    def columns(self) -> list[int]:
        """Where the logit of each of :data:`emonext.LABELS` stands."""
        return [self.labels.index(label) for label in LABELS]

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """:raises ValueError, TypeError, KeyError: the text is not a card."""
        values = json.loads(text)
        shape = values["architecture"]
        depths, dims = tuple(shape["depths"]), tuple(shape["dims"])
        if len(depths) != 4 or len(dims) != 4 or not 0 < values["temperature"] < math.inf:
            raise ValueError("an EmoNeXt has four stages, and a temperature is a positive number")
        return cls(
            **{
                **values,
                "architecture": Architecture(depths, dims, int(shape["image_size"])),
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

    The logits are in the order that the weights were trained with, which their card states. Those of
    shipped weights are in :data:`emonext.LABELS`'; :class:`emonext.Classifier` brings any into it.

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
    check_labels(card.labels, str(path))
    try:
        model = EmoNeXt(card.architecture)
        model.load_state_dict({key: tensor.float() for key, tensor in tensors.items()}, strict=True)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise WeightsError(f"{path}: not the tensors that its card describes; fetch it again.") from error
    return Weights(model.eval(), card, digest)


def check_labels(labels: Sequence[str], where: str) -> None:
    """:raises WeightsError: they are not the seven classes, each once."""
    if sorted(labels) != sorted(LABELS):
        raise WeightsError(f"{where}: its labels are {', '.join(labels)}; they must be {', '.join(LABELS)}.")


def find_weights(name_or_file: str | Path) -> Path:
    """The file of shipped weights by name, or the file itself."""
    if str(name_or_file) in SHIPPED:
        return FOLDER / f"{name_or_file}.safetensors"
    path = Path(name_or_file)
    if not path.is_file():
        names = ", ".join(SHIPPED)
        raise WeightsError(f"{name_or_file}: no such weights. Give a .safetensors file or a name: {names}.")
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
    if not beside.is_file():
        return None
    found = re.match(r"[0-9a-f]{64}\b", beside.read_text(errors="replace"))
    if found is None:
        raise WeightsError(f"{beside}: holds no sha256; delete it, or fetch it again.")
    return found[0]


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
    raise WeightsError(f"it has {key!r}")


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
        raise WeightsError(f"it has no {error}") from error
    # inverse of the spatial transformer's arithmetic, for sizes that divide by 4
    return Architecture(depths, dims, 4 * side + 16)  # type: ignore[arg-type]


# The authors train on folders named after the classes, which torchvision puts in alphabetical order.
PUBLISHED_LABELS = tuple(sorted(LABELS))


def convert_published(source: Path, target: Path, labels: tuple[str, ...] = PUBLISHED_LABELS) -> Card:
    """A checkpoint of the authors' code → weights of this program, with their preprocessing.

    The source is a bare state dict or ``{"model": …, "ema": …}``, of which the average is taken.

    :param labels: the classes in the order of the checkpoint's logits, which it does not state.
    :raises WeightsError: it is not such a checkpoint, or holds anything but tensors and plain values.
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
        model = EmoNeXt(card.architecture)
        model.load_state_dict(remap_published(state), strict=True)
    except (WeightsError, RuntimeError) as error:
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
    # ema_pytorch keeps the average beside the network it follows, and counts its steps
    average = {key: value for key, value in loaded.items() if key.startswith("ema_model.")} or loaded
    if not all(isinstance(value, Tensor) for value in average.values()):
        raise WeightsError(f"{source}: not a state dict. Expected tensors by name.")
    return {re.sub(r"^(ema_model\.|module\.)+", "", key): value for key, value in average.items()}


def load_without_code(path: Path, error_type: type[EmoNeXtError], device: torch.device | str = "cpu") -> Any:
    """What a file of torch's holds, if that is tensors and plain values.

    :param error_type: raised where the file is missing, damaged, or would run code.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise error_type(f"{path}: not found.") from error
    except Exception as error:  # torch documents none, and a damaged file raises nearly anything
        raise error_type(f"{path}: not a checkpoint that can be read without running code.") from error
