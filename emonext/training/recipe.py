"""Settings of a training run, and two presets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from emonext.errors import DataError
from emonext.training.augmentation import Augmentation


@dataclass(frozen=True)
class Epoch:
    """A row of the log. Accuracies: averaged network, validation split, one crop.

    :param further_accuracy: majority accuracy on the further faces, if there are any.
    """

    epoch: int
    learning_rate: float
    loss: float
    accuracy: float
    majority_accuracy: float
    seconds: float
    further_accuracy: float | None = None


@dataclass(frozen=True)
class Settings:
    """One training run.

    :param size: a name in :data:`emonext.ARCHITECTURES`.
    :param image_size: input side, px; ``None``: the architecture's default.
    :param init: initial weights; see :func:`emonext.training.starting.start_from`.
    :param init_share: share of the initial weights in the saved ones, which keeps what they know of pictures
        that this run has few of (Wortsman et al. 2022, *Robust fine-tuning of zero-shot models*).
    :param minutes: choose the number of epochs by the time of the first two, so that the run ends in time;
        until then, ``epochs`` is assumed.
    :param optimizer: ``muon`` orthogonalises the updates of the trunk's matrices (Jordan 2024) and uses
        AdamW for the rest; ``adamw`` uses it for all.
    :param learning_rate: peak value; reached after the share ``warmup`` of the run, then a cosine to 0.
    :param ema_decay: decay of the moving average of the weights; the average is evaluated and saved.
    :param mixup: blend each picture and label with another, with a share from Beta(mixup, mixup)
        (Zhang et al. 2018), against memorising noisy labels; 0: no mixup.
    :param votes: also train a second head on the FER+ votes.
    :param further_share: share of each batch that is drawn from the further faces, if there are any.
    :param covered: also train a head that tells how far the face is hidden.
    :param attention_weight: weight of the paper's attention loss; 0: no attention loss.
    :param spatial_transformer: ``False`` omits it from the network.
    :param squeeze_excitation: ``False`` omits it from the network.
    """

    size: str = "atto"
    image_size: int | None = None
    init: str = "none"
    init_share: float = 0.0
    epochs: int = 40
    minutes: float | None = None
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
    further_share: float = 0.2
    covered: bool = True
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
        covered=False,
        augmentation=Augmentation(
            rotation_deg=20, scale=(1.0, 1.0), shift=0.025, brightness=0, contrast=(1, 1), cover=0, coarse=0
        ),
    ),
}
"""``best`` is this project's recipe. ``paper`` follows the authors' published code, except:

- Faces are not flipped upside down: no patient is upside down, and the flip costs accuracy.
- Validation uses the centre crop; a random crop gives another result each time.
- The learning rate follows ``--lr`` and falls once, as a cosine. The authors' scheduler ignores ``--lr``: it
  cycles to 1e-3 and back every 1,024 steps.
- All epochs are run. Stopping at the best validation accuracy would select on the reported set.
- Training pictures with a duplicate in another split are left out.
- The network sees the whole picture, not 224 of 236 px, with standardised grey values.
- The average of the weights is updated every step (0.9994), not every sixteenth (0.99): same time constant.
"""


def choose_settings(preset: str, changes: Mapping[str, Any]) -> Settings:
    """A preset with some settings changed.

    :raises DataError: there is no such preset.
    """
    if preset not in PRESETS:
        raise DataError(f"`preset` {preset}: unknown; use {' or '.join(PRESETS)}.")
    return replace(PRESETS[preset], **changes)
