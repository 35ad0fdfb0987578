"""Read and write weights: safetensors files with a model card in their metadata.

The metadata holds one JSON object with all that is needed to run and to judge the weights. For the location
and verification of files see :mod:`emonext.weight_files`. Nothing is unpickled.
"""

import json
import math
import os
import shutil
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
from emonext.weight_files import (
    DEFAULT,
    NAME,
    SHIPPED,
    find_weights,
    imports_folder,
    sha256_of,
    verify_weights,
)

METADATA_KEY = "emonext"

# Limit of a network's widths, depths and input side, far above any real one.
_MAX_NUMBER = 10_000


@dataclass(frozen=True)
class Card:
    """Model card of one set of weights.

    :param temperature: divisor of the logits for FER2013's labels, which calibrates the probabilities
        (Guo et al. 2017).
    :param votes_temperature: the same for the logits for people's votes.
    :param covered_limit: logit of the head for covers, above which a face is not readable.
    :param labels: class of each logit; :data:`emonext.LABELS` in any order.
    :param metrics: measured values by name.
    """

    name: str
    architecture: Architecture
    preprocessing: Preprocessing
    temperature: float = 1.0
    votes_temperature: float = 1.0
    covered_limit: float = 0.0
    labels: tuple[str, ...] = LABELS
    licence: str = "unknown"
    data: str = "unknown"
    recipe: str = "unknown"
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def columns(self) -> list[int]:
        """Index of the logit of each of :data:`emonext.LABELS`."""
        return [self.labels.index(label) for label in LABELS]

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """:raises ValueError, TypeError, KeyError: the text is not a card."""
        values = json.loads(text)
        shape = values["architecture"]
        depths, dims = tuple(shape["depths"]), tuple(shape["dims"])
        temperatures = (values["temperature"], values.get("votes_temperature", 1.0))
        if len(depths) != 4 or len(dims) != 4 or not all(0 < t < math.inf for t in temperatures):
            raise ValueError("an EmoNeXt has four stages, and a temperature is a positive number")
        return cls(
            **{
                **values,
                "architecture": Architecture(**{**shape, "depths": depths, "dims": dims}),
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

    The logits are in the order of the card's ``labels``; for shipped weights this is :data:`emonext.LABELS`.
    :class:`emonext.Classifier` reorders the classes of any weights to :data:`emonext.LABELS`.

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
        model = build(card.architecture, tensors)
        model.load_state_dict({key: tensor.float() for key, tensor in tensors.items()}, strict=True)
    except (RuntimeError, ValueError, TypeError, ArithmeticError, AssertionError) as error:
        raise WeightsError(f"{path}: its tensors do not match its card; fetch it again.") from error
    return Weights(model.eval(), card, digest)


def build(architecture: Architecture, tensors: Mapping[str, Tensor]) -> EmoNeXt:
    """Build the network from the architecture and load the tensors; check shapes before allocation.

    :raises RuntimeError, TypeError, ValueError: the tensors do not fit, or the architecture is invalid.
    """
    numbers = (*architecture.depths, *architecture.dims, architecture.image_size)
    if not all(type(number) is int and 0 < number <= _MAX_NUMBER for number in numbers):
        raise ValueError("its numbers describe no network")
    if sum(architecture.depths) > len(tensors):
        raise ValueError("it has fewer tensors than blocks")
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in EmoNeXt(architecture).state_dict().items()}
    if {key: tensor.shape for key, tensor in tensors.items()} != shapes:
        raise ValueError("its tensors have other shapes")
    return EmoNeXt(architecture)


def check_labels(labels: Sequence[str], where: str) -> None:
    """:raises WeightsError: the labels are not the seven classes, each once."""
    if sorted(map(str, labels)) != sorted(LABELS):
        found = ", ".join(map(str, labels))
        raise WeightsError(f"{where}: its labels are {found}; they must be {', '.join(LABELS)}.")


def import_weights(source: Path, name: str) -> Path:
    """Check weights and copy them to the folder of imported weights. Existing weights are not replaced.

    :raises WeightsError: the file holds no weights of this program, or the name is invalid or taken.
    """
    folder = imports_folder()
    target = folder / f"{name}.safetensors"
    if not NAME.fullmatch(name):
        raise WeightsError(f"`name` {name}: use letters, digits, '.', '_' and '-', 64 at most.")
    if name in SHIPPED:
        raise WeightsError(f"`name` {name}: the name of weights that come with the program; give another.")
    if target.exists():
        raise WeightsError(f"`name` {name}: taken by {target}; give another, or delete that file first.")
    digest = load_weights(source).sha256
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        shutil.copyfile(find_weights(source), partial)
        target.with_name(target.name + ".sha256").write_text(f"{digest}  {target.name}\n", "utf-8")
        os.replace(partial, target)
    except OSError as error:
        raise WeightsError(f"{folder}: can't be written to ({error.strerror}).") from error
    return target


def read_card(path: Path) -> Card:
    """Read the card without loading the network."""
    return _read(path, tensors=False)[0]


def _read(path: Path, *, tensors: bool = True) -> tuple[Card, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: not a whole safetensors file ({error}). Convert an older checkpoint with "
            "`emonext weights convert`."
        ) from error
    try:
        return Card.from_json(metadata[METADATA_KEY]), state
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise WeightsError(f"{path}: safetensors, but not of this program (no model card in it).") from error


def save_weights(model: EmoNeXt, card: Card, path: Path, *, half: bool = True) -> str:
    """Write ``path`` and ``path.sha256`` atomically; return the sha256.

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
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n", "utf-8")
    return digest


def is_whole(value: object, path: Path) -> bool:
    """Whether the value is a tensor stored in full: a small file can declare a tensor of terabytes."""
    return isinstance(value, Tensor) and value.numel() <= path.stat().st_size


def load_without_code(path: Path, error_type: type[EmoNeXtError], device: torch.device | str = "cpu") -> Any:
    """Load a PyTorch file that holds only tensors and plain values.

    :param error_type: error to raise if the file is missing, damaged, or would run code.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise error_type(f"{path}: not found.") from error
    except Exception as error:  # torch documents no exceptions here; a damaged file raises many kinds
        raise error_type(f"{path}: not a checkpoint that can be read without running code.") from error
