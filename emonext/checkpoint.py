"""Weights on disk: safetensors that carry their own card.

A file holds the tensors and, in its metadata, one JSON object: everything needed to run them and to
judge them. Where files lie and how they are verified: :mod:`emonext.weight_files`. Nothing is ever unpickled.
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

# Of a network's widths, depths and its picture's side: far above any.
_MAX_NUMBER = 10_000


@dataclass(frozen=True)
class Card:
    """What is known about one set of weights.

    :param temperature: FER2013's logits are divided by it, so that probabilities are calibrated
        (Guo et al. 2017).
    :param votes_temperature: the same for the logits of people's votes.
    :param labels: of the logits, in their order; :data:`emonext.LABELS` in any order.
    :param metrics: measured figures by name; see the model card for how.
    """

    name: str
    architecture: Architecture
    preprocessing: Preprocessing
    temperature: float = 1.0
    votes_temperature: float = 1.0
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
        model = build(card.architecture, tensors)
        model.load_state_dict({key: tensor.float() for key, tensor in tensors.items()}, strict=True)
    except (RuntimeError, ValueError, TypeError, ArithmeticError, AssertionError) as error:
        raise WeightsError(f"{path}: not the tensors that its card describes; fetch it again.") from error
    return Weights(model.eval(), card, digest)


def build(architecture: Architecture, tensors: Mapping[str, Tensor]) -> EmoNeXt:
    """A new network that these tensors fit. It takes no memory before it is known that they do.

    :raises RuntimeError, TypeError, ValueError: they don't, or there is no such network.
    """
    numbers = (*architecture.depths, *architecture.dims, architecture.image_size)
    if not all(type(number) is int and 0 < number <= _MAX_NUMBER for number in numbers):
        raise ValueError("its numbers are no network's")
    if sum(architecture.depths) > len(tensors):
        raise ValueError("it has fewer tensors than blocks")
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in EmoNeXt(architecture).state_dict().items()}
    if {key: tensor.shape for key, tensor in tensors.items()} != shapes:
        raise ValueError("its tensors are of other shapes")
    return EmoNeXt(architecture)


def check_labels(labels: Sequence[str], where: str) -> None:
    """:raises WeightsError: they are not the seven classes, each once."""
    if sorted(map(str, labels)) != sorted(LABELS):
        found = ", ".join(map(str, labels))
        raise WeightsError(f"{where}: its labels are {found}; they must be {', '.join(LABELS)}.")


def import_weights(source: Path, name: str) -> Path:
    """Copies weights to where they are found by name, after checking them. No others are replaced.

    :raises WeightsError: they are not weights of this program, or the name is taken or no name.
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
    """The card alone, without loading the network."""
    return _read(path, tensors=False)[0]


def _read(path: Path, *, tensors: bool = True) -> tuple[Card, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: not a whole safetensors file ({error}). An older checkpoint is made into one by "
            "`emonext weights convert`."
        ) from error
    try:
        return Card.from_json(metadata[METADATA_KEY]), state
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
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
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n", "utf-8")
    return digest


def is_whole(value: object, path: Path) -> bool:
    """Whether it is a tensor whose numbers the file holds: a few bytes can be said to stand for terabytes."""
    return isinstance(value, Tensor) and value.numel() <= path.stat().st_size


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
