"""Weights on disk: safetensors that carry their own card.

A file holds the tensors and, in its metadata, one JSON object: everything needed to run them and to
judge them. Shipped files are checked against the sha256 in :data:`SHIPPED`; any other file against
``FILE.sha256`` beside it, where there is one. Nothing is ever unpickled.
"""

import hashlib
import json
import math
import os
import re
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

METADATA_KEY = "emonext"
FOLDER = Path(__file__).parent / "weights"

SHIPPED = {
    "atto": "13992b0f18957a7fc91d7ca6c9a7cf46f77275b0a581604eee339d1d20796817",
}
"""Name → sha256 of ``weights/NAME.safetensors``."""

DEFAULT = "atto"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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
    """The file of shipped or imported weights by name, or the file itself."""
    if str(name_or_file) in SHIPPED:
        return FOLDER / f"{name_or_file}.safetensors"
    if str(name_or_file) in (names := imported_weights()):
        return imports_folder() / f"{name_or_file}.safetensors"
    path = Path(name_or_file)
    if not path.is_file():
        known = ", ".join([*SHIPPED, *names])
        raise WeightsError(f"{name_or_file}: no such weights. Give a .safetensors file or a name: {known}.")
    return path


def imports_folder() -> Path:
    """Where a user's own weights lie, by the XDG base directory specification."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "emonext-care" / "weights"


def imported_weights() -> list[str]:
    """The names of the weights that :func:`import_weights` brought."""
    return sorted(path.stem for path in imports_folder().glob("*.safetensors"))


def import_weights(source: Path, name: str) -> Path:
    """Copies weights to where they are found by name, after checking them.

    :raises WeightsError: they are not weights of this program, or the name is taken or no name.
    """
    if not NAME.fullmatch(name) or name in SHIPPED:
        raise WeightsError(
            f"--name {name}: taken, or not of letters, digits, '.', '_' and '-'; give another."
        )
    digest = load_weights(source).sha256
    folder = imports_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{name}.safetensors"
        partial = target.with_name(target.name + ".partial")
        shutil.copyfile(find_weights(source), partial)
        target.with_name(target.name + ".sha256").write_text(f"{digest}  {target.name}\n")
        os.replace(partial, target)
    except OSError as error:
        raise WeightsError(f"{folder}: can't be written to ({error.strerror}).") from error
    return target


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
