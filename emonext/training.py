"""Training EmoNeXt: one run, one folder, resumable after every epoch.

RUN/settings.json         what was asked for
RUN/log.csv               a row an epoch
RUN/checkpoint.pt         everything needed to go on, bit for bit
RUN/weights.safetensors   the averaged network with its temperature and its measured figures
"""

import csv
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from timm.optim import Muon
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from emonext.augmentation import Augmentation
from emonext.checkpoint import Card, Weights, load_without_code, save_weights
from emonext.data import FaceSet, load_fer2013
from emonext.errors import DataError
from emonext.evaluation import evaluate, fit_temperature, predict
from emonext.model import ARCHITECTURES, EmoNeXt, training_loss
from emonext.preprocessing import Preprocessing, to_grey

# Mean and standard deviation of FER2013's training pixels, 0…1.
FER2013_MEAN, FER2013_STD = 0.508, 0.255

# How FER2013's pictures frame their faces: side of the picture ÷ √(area of the box that MTCNN finds),
# and displacement of its centre; medians over 513 training pictures, enlarged to 192 px.
FER2013_FACE_SCALE, FER2013_FACE_SHIFT = 1.08, (0.0, -0.01)

MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Settings:
    """One training run.

    :param size: a name in :data:`emonext.ARCHITECTURES`.
    :param image_size: input side in px; none takes the architecture's own.
    :param optimizer: ``muon`` orthogonalises the updates of the trunk's matrices (Jordan 2024) and uses
        AdamW for the rest; ``adamw`` uses it for all.
    :param learning_rate: highest; reached after ``warmup`` of the run, then a cosine to 0.
    :param ema_decay: of the average of the weights, which is what is evaluated and kept.
    """

    size: str = "atto"
    image_size: int | None = None
    epochs: int = 40
    batch_size: int = 64
    optimizer: str = "muon"
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    ema_decay: float = 0.999
    drop_path: float = 0.1
    layer_scale: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """A row of the log."""

    epoch: int
    learning_rate: float
    loss: float
    accuracy: float
    seconds: float


OnBatch = Callable[[int, int, float], None]
"""Called with (steps done, steps in the whole run, loss)."""


def make_run(folder: Path, settings: Settings, data: Path, device: torch.device) -> "Run":
    """A run on FER2013 that trains on no picture with a twin in the other splits.

    :raises DataError: the data can't be read, a setting is unknown, or the folder holds another run.
    """
    train = load_fer2013(data, "train")
    return Run(folder, settings, train.select(train.unseen), load_fer2013(data, "val"), device)


class Run:
    """A training run in a folder; :meth:`train` goes on from where the folder's checkpoint stands."""

    def __init__(
        self, folder: Path, settings: Settings, train: FaceSet, val: FaceSet, device: torch.device
    ) -> None:
        """:raises DataError: a setting is unknown, or the folder holds a run with other settings."""
        if settings.size not in ARCHITECTURES or settings.optimizer not in ("muon", "adamw"):
            raise DataError(
                f"{settings.size}, {settings.optimizer}: unknown; a size is {', '.join(ARCHITECTURES)}, "
                "an optimizer muon or adamw."
            )
        if len(train) < settings.batch_size:
            raise DataError(f"{len(train)} training faces do not fill a batch of {settings.batch_size}.")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.settings, self.device, self.val = folder, settings, device, val
        torch.manual_seed(settings.seed)
        architecture = ARCHITECTURES[settings.size]
        if settings.image_size:
            architecture = replace(architecture, image_size=settings.image_size)
        model = EmoNeXt(architecture, drop_path=settings.drop_path, layer_scale=settings.layer_scale)
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(self.model, settings)
        self.average = ModelEmaV3(self.model, decay=settings.ema_decay, use_warmup=True)
        side = architecture.image_size
        self.prepare = Preprocessing(
            size=side,
            resize=side,
            face_scale=FER2013_FACE_SCALE,
            face_shift=FER2013_FACE_SHIFT,
            mean=FER2013_MEAN,
            std=FER2013_STD,
        )
        self.augment = Augmentation()
        self.images = torch.from_numpy(train.images).to(device)
        self.labels = torch.from_numpy(train.labels).to(device)
        self.log: list[Epoch] = []
        self._resume()

    def train(self, on_batch: OnBatch, max_minutes: float = math.inf) -> list[Epoch]:
        """Trains until the last epoch, or until the next would outlast ``max_minutes``."""
        deadline = time.monotonic() + 60 * max_minutes
        while len(self.log) < self.settings.epochs:
            started = time.monotonic()
            if self.log and started + self.log[-1].seconds > deadline:
                break
            loss = self._train_epoch(len(self.log), on_batch)
            logits = predict(self.average.module.eval(), self.prepare, self.val.images, self.device)
            accuracy = float((logits.argmax(axis=1) == self.val.labels).mean())
            rate = self.optimizer.param_groups[0]["lr"]
            self.log.append(Epoch(len(self.log) + 1, rate, loss, accuracy, time.monotonic() - started))
            self._save()
        return self.log

    def finish(self) -> tuple[Path, Card]:
        """Writes ``weights.safetensors``: the averaged network, calibrated and measured on validation."""
        model = self.average.module.eval()
        settings = ", ".join(f"{key}={value}" for key, value in asdict(self.settings).items())
        card = Card(
            name=self.settings.size,
            architecture=self.model.architecture,
            preprocessing=self.prepare,
            licence="research use only, as FER2013, which they were trained on",
            data="FER2013, training split without the pictures that have a twin in another split",
            recipe=f"from scratch, {len(self.log)} epochs; {settings}",
        )
        logits = predict(model, self.prepare, self.val.images, self.device)
        card = replace(card, temperature=fit_temperature(logits, self.val.labels))
        found = evaluate(Weights(model, card, ""), self.val, self.device)
        metrics = {
            "val_accuracy": found.accuracy,
            "val_accuracy_ten_crops": found.accuracy_ten_crops,
            "val_macro_f1": found.macro_f1,
            "val_log_loss": found.log_loss,
        }
        path = self.folder / "weights.safetensors"
        card = replace(card, metrics=metrics)
        save_weights(model, card, path)
        return path, card

    def _train_epoch(self, epoch: int, on_batch: OnBatch) -> float:
        """One pass; the mean loss. Random numbers depend on seed and epoch alone: a resumed run is equal."""
        settings = self.settings
        torch.manual_seed(settings.seed * 10_000 + epoch)
        generator = torch.Generator(self.device).manual_seed(settings.seed * 10_000 + epoch)
        steps = len(self.labels) // settings.batch_size
        total, losses = steps * settings.epochs, 0.0
        self.model.train()
        for step, rows in enumerate(_shuffled(len(self.labels), settings.batch_size, generator)):
            done = epoch * steps + step
            self._set_learning_rate(done / total)
            loss = self._step(rows, generator, done)
            losses += loss
            on_batch(done + 1, total, loss)
        return losses / steps

    def _step(self, rows: Tensor, generator: torch.Generator, done: int) -> float:
        grey = self.augment(to_grey(self.images[rows]), self.prepare.size, generator)
        x = self.prepare.normalize(grey).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            loss = training_loss(self.model, x, self.labels[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.model, step=done)
        return loss.item()

    def _set_learning_rate(self, progress: float) -> None:
        warm = min(1.0, progress / self.settings.warmup) if self.settings.warmup else 1.0
        rate = self.settings.learning_rate * warm * (1 + math.cos(math.pi * progress)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _save(self) -> None:
        state = {
            "settings": asdict(self.settings),
            "model": self.model.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "log": [asdict(epoch) for epoch in self.log],
        }
        partial = self.folder / "checkpoint.pt.partial"
        torch.save(state, partial)
        os.replace(partial, self.folder / "checkpoint.pt")
        (self.folder / "settings.json").write_text(json.dumps(asdict(self.settings), indent=2) + "\n")
        with (self.folder / "log.csv").open("w", newline="") as file:
            rows = csv.DictWriter(file, Epoch.__dataclass_fields__)
            rows.writeheader()
            rows.writerows(asdict(epoch) for epoch in self.log)

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = load_without_code(path, DataError, self.device)
        if not isinstance(state, dict) or not {"settings", "model", "average", "optimizer", "log"} <= set(
            state
        ):
            raise DataError(f"{path}: not a checkpoint of this program; name another folder.")
        if state["settings"] != asdict(self.settings):
            raise DataError(f"{self.folder}: holds a run with other settings; name another folder.")
        self.model.load_state_dict(state["model"])
        self.average.module.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.log = [Epoch(**row) for row in state["log"]]


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
    return Muon(groups, lr=rate, weight_decay=decay, nesterov=True)


def _is_trunk_matrix(name: str, parameter: Tensor) -> bool:
    """Linear maps, 1×1 and downsampling convolutions; not the stem, the head or the spatial transformer."""
    if not name.startswith(("backbone.stages", "attention")):
        return False
    return parameter.ndim == 2 or "downsample" in name


def _shuffled(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows in random order, in whole batches."""
    order = torch.randperm(count, generator=generator, device=generator.device)
    yield from order[: count - count % batch_size].split(batch_size)
