"""Train EmoNeXt: one folder per run, resumable after every epoch.

RUN/settings.json         the settings, and the commit and versions of the program
RUN/log.csv, curves.png   one row per epoch, and the curves
RUN/checkpoint.pt         state for an exact continuation
RUN/weights.safetensors   the averaged network with its temperature and metrics
"""

import csv
import json
import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional as F

from emonext.calibration import fit_temperature
from emonext.checkpoint import Card, Weights, load_without_code, save_weights
from emonext.datasets.data import FaceSet, without_twins
from emonext.datasets.forms import load_faces
from emonext.device import has_bf16
from emonext.errors import DataError
from emonext.evaluation import Evaluation, accuracy, evaluate, one_hot
from emonext.figures import draw_curves
from emonext.inference import predict
from emonext.model import ARCHITECTURES, LABELS, EmoNeXt, training_loss
from emonext.preprocessing import Preprocessing, to_grey
from emonext.training.optimizer import make_optimizer
from emonext.training.recipe import Epoch, Settings
from emonext.training.starting import start_from

# Mean and standard deviation of FER2013's training pixels, 0…1.
FER2013_MEAN, FER2013_STD = 0.508, 0.255

# Framing of faces in FER2013: side of the picture ÷ √(area of MTCNN's box), and displacement of the
# centre; medians over 513 training pictures, enlarged to 192 px.
FER2013_FACE_SCALE, FER2013_FACE_SHIFT = 1.08, (0.0, -0.01)

MAX_GRADIENT_NORM = 1.0

# The trunk halves the picture's side five times.
MIN_IMAGE_SIZE = 32

OnBatch = Callable[[int, int, float], None]
"""Called with (steps done, steps in the whole run, loss)."""


def make_run(folder: Path, settings: Settings, data: Path, device: torch.device) -> "Run":
    """Prepare a run; training pictures with a duplicate in another split are left out.

    :param data: anything that :func:`emonext.datasets.forms.load_faces` reads, with a training and a
        validation split.
    :raises DataError: the data cannot be read, a setting is unknown, or the folder holds another run.
    """
    train, val = load_faces(data, "train"), load_faces(data, "val")
    usable = train.unseen & without_twins(train, val) & (train.labels >= 0)
    return Run(folder, settings, train.select(usable), val, device, data_name=data.stem)


class Run:
    """A training run in a folder; :meth:`train` continues from the folder's checkpoint."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        train: FaceSet,
        val: FaceSet,
        device: torch.device,
        *,
        data_name: str = "",
    ) -> None:
        """:raises DataError: a setting is unknown, or the folder holds a run with other settings."""
        if settings.size not in ARCHITECTURES or settings.optimizer not in ("muon", "adamw"):
            raise DataError(
                f"`size` {settings.size}, `optimizer` {settings.optimizer}: unknown; "
                f"a size is {', '.join(ARCHITECTURES)}, an optimizer muon or adamw."
            )
        if settings.image_size is not None and settings.image_size < MIN_IMAGE_SIZE:
            raise DataError(f"`image_size` {settings.image_size}: give {MIN_IMAGE_SIZE} px or more.")
        if not 0 < settings.learning_rate < math.inf:
            raise DataError(f"`learning_rate` {settings.learning_rate:g}: give a positive number.")
        if len(train) < settings.batch_size:
            raise DataError(
                f"`batch_size` {settings.batch_size}: the {len(train)} training faces do not fill a batch; "
                "give a smaller one, or more faces."
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.settings, self.device, self.val = folder, settings, device, val
        self._data_name = data_name
        # without votes in the data, omit the head for votes: an untrained head must not be used
        votes = settings.votes and bool(train.votes.any())
        torch.manual_seed(settings.seed)
        architecture = replace(
            ARCHITECTURES[settings.size],
            image_size=ARCHITECTURES[settings.size].image_size
            if settings.image_size is None
            else settings.image_size,
            votes=votes,
            spatial_transformer=settings.spatial_transformer,
            squeeze_excitation=settings.squeeze_excitation,
        )
        model = EmoNeXt(architecture, drop_path=settings.drop_path, layer_scale=settings.layer_scale)
        start_from(model, settings.init)
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
        self.augment = settings.augmentation
        self.images = torch.from_numpy(train.images).to(device)
        self.labels = torch.from_numpy(train.labels).to(device)
        self.votes = torch.from_numpy(train.votes).to(device) if votes else None
        self.log: list[Epoch] = []
        self._resume()

    def train(self, on_batch: OnBatch, max_minutes: float = math.inf) -> list[Epoch]:
        """Train until the last epoch, or until the next epoch would exceed ``max_minutes``."""
        deadline = time.monotonic() + 60 * max_minutes
        while len(self.log) < self.settings.epochs:
            started = time.monotonic()
            if self.log and started + self.log[-1].seconds > deadline:
                break
            loss = self._train_epoch(len(self.log), on_batch)
            found = predict(self.average.module.eval(), self.prepare, self.val.images, self.device)
            self.log.append(
                Epoch(
                    epoch=len(self.log) + 1,
                    learning_rate=self.optimizer.param_groups[0]["lr"],
                    loss=loss,
                    accuracy=accuracy(found.labels, self.val.labels),
                    majority_accuracy=accuracy(found.votes, self.val.majority),
                    seconds=time.monotonic() - started,
                )
            )
            self._save()
        return self.log

    def finish(self) -> tuple[Path, Evaluation]:
        """Write ``weights.safetensors``: the averaged network, calibrated and evaluated on validation."""
        model = self.average.module.eval()
        scores = predict(model, self.prepare, self.val.images, self.device)
        epochs = "1 epoch" if len(self.log) == 1 else f"{len(self.log)} epochs"
        card = Card(
            name=self.settings.size,
            architecture=self.model.architecture,
            preprocessing=self.prepare,
            temperature=fit_temperature(scores.labels, one_hot(self.val.labels)),
            votes_temperature=1.0 if self.votes is None else fit_temperature(scores.votes, self.val.votes),
            licence="research use only, unless the data allow more",
            data=f"{self._data_name}, training split without the pictures that have a twin in another split",
            recipe=f"{epochs}; {_one_line(self.settings)}",
        )
        found = evaluate(Weights(model, card, ""), self.val, self.device)
        path = self.folder / "weights.safetensors"
        save_weights(model, replace(card, metrics=found.metrics()), path)
        return path, found

    def _train_epoch(self, epoch: int, on_batch: OnBatch) -> float:
        """Train one epoch → mean loss. Random numbers depend on seed and epoch only, for exact resuming."""
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
        labels = F.one_hot(self.labels[rows], len(LABELS)).float()
        votes = None if self.votes is None else self.votes[rows]
        if self.settings.mixup:
            share = _share(self.settings.mixup, grey.device)
            grey, labels = _blend(grey, share), _blend(labels, share)
            votes = None if votes is None else _blend(votes, share)
        x = self.prepare.normalize(grey).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bf16(self.device)):
            loss = training_loss(
                self.model,
                x,
                labels,
                votes,
                label_smoothing=self.settings.label_smoothing,
                attention_weight=self.settings.attention_weight,
            )
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
        asked = {**asdict(self.settings), "made_with": _provenance(self.device)}
        (self.folder / "settings.json").write_text(json.dumps(asked, indent=2) + "\n", "utf-8")
        draw_curves(self.log, self.folder / "curves.png")
        with (self.folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
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


def _shuffled(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers in random order, in full batches."""
    order = torch.randperm(count, generator=generator, device=generator.device)
    yield from order[: count - count % batch_size].split(batch_size)


def _share(concentration: float, device: torch.device) -> Tensor:
    """Share of each picture in its blend, 0.5…1, drawn from Beta(concentration, concentration)."""
    drawn = Beta(concentration, concentration).sample()
    return torch.maximum(drawn, 1 - drawn).to(device)


def _blend(values: Tensor, share: Tensor) -> Tensor:
    """Blend each row with the row from the other end; the batch is in random order."""
    return share * values + (1 - share) * values.flip(0)


def _one_line(settings: Settings) -> str:
    """The settings as text for the card; of an initial-weights file, only the name."""
    values = {**asdict(settings), "init": Path(settings.init).name, **asdict(settings.augmentation)}
    del values["augmentation"]
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _provenance(device: torch.device) -> dict[str, str]:
    """Commit (in a checkout), versions, and kind of machine."""
    git = shutil.which("git")
    asked = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"] if git else ["false"]
    commit = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False).stdout.strip()  # noqa: S603
    return {
        "commit": commit or "not a checkout",
        "emonext-care": _own_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


def _own_version() -> str:
    """Version of the installed program; in a checkout without installation, the commit states the version."""
    try:
        return version("emonext-care")
    except PackageNotFoundError:
        return "not installed"
