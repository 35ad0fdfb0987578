"""How a network is trained: every setting of a run, and two sets of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from emonext.errors import DataError
from emonext.training.augmentation import Augmentation


@dataclass(frozen=True)
class Epoch:
    """A row of the log; the accuracies are of the averaged network on the validation split, one crop."""

    epoch: int
    learning_rate: float
    loss: float
    accuracy: float
    majority_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Settings:
    """One training run.

    :param size: a name in :data:`emonext.ARCHITECTURES`.
    :param image_size: input side in px; none takes the architecture's own.
    :param init: what the network starts from; see :func:`emonext.training.starting.start_from`.
    :param optimizer: ``muon`` orthogonalises the updates of the trunk's matrices (Jordan 2024) and uses
        AdamW for the rest; ``adamw`` uses it for all.
    :param learning_rate: highest; reached after ``warmup`` of the run, then a cosine to 0.
    :param ema_decay: of the average of the weights, which is what is evaluated and kept.
    :param mixup: each picture is blended with another, by a share from Beta(mixup, mixup), and so are their
        labels (Zhang et al. 2018): noisy labels are learnt by heart less easily; 0 leaves it out.
    :param votes: learn from the FER+ votes too, with a head of their own.
    :param attention_weight: of the paper's attention term in the loss; 0 leaves it out.
    :param spatial_transformer: false leaves it out of the network.
    :param squeeze_excitation: likewise.
    """

    size: str = "atto"
    image_size: int | None = None
    init: str = "none"
    epochs: int = 40
    batch_size: int = 128
    optimizer: str = "muon"
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    ema_decay: float = 0.999
    drop_path: float = 0.1
    layer_scale: float = 1.0
    label_smoothing: float = 0.2
    mixup: float = 0.3
    votes: bool = True
    attention_weight: float = 1.0
    spatial_transformer: bool = True
    squeeze_excitation: bool = True
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0


PRESETS = {
    "best": Settings(),
    "paper": Settings(
        size="tiny",
        init="imagenet",
        epochs=20,
        batch_size=32,
        optimizer="adamw",
        learning_rate=1e-4,
        weight_decay=0.01,
        ema_decay=0.9994,
        drop_path=0.1,
        layer_scale=1e-6,
        label_smoothing=0.2,
        mixup=0.0,
        votes=False,
        augmentation=Augmentation(
            rotation_deg=20, scale=(1.0, 1.0), shift=0.025, brightness=0, contrast=(1, 1), erase=0, coarse=0
        ),
    ),
}
"""``best`` is ours. ``paper`` is the authors' published code, but for what follows.

- Faces are not turned upside down: no patient is, and it costs accuracy.
- Validation takes the centre of the picture; a random crop measures another thing each time.
- The learning rate is the one asked for and falls once, as a cosine. Their scheduler ignores ``--lr``: it
  goes to 1e-3 and back every 1,024 steps.
- All epochs are run. Stopping at the best validation accuracy selects on the set that is then reported.
- Training pictures with a twin in another split are left out.
- The whole picture is shown, not 224 of 236 px, and its grey values are standardised.
- The average of the weights takes every step (0.9994), not every sixteenth (0.99): the same memory.
"""


def choose_settings(preset: str, changes: Mapping[str, Any]) -> Settings:
    """A preset with some of its settings changed.

    :raises DataError: there is no such preset.
    """
    if preset not in PRESETS:
        raise DataError(f"`preset` {preset}: unknown; use {' or '.join(PRESETS)}.")
    return replace(PRESETS[preset], **changes)
