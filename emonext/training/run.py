"""Train EmoNeXt: one folder per run, resumable after every epoch.

RUN/settings.json         the settings, and the commit and versions of the program
RUN/log.csv, curves.png   one row per epoch, and the curves
RUN/checkpoint.pt         state for an exact continuation
RUN/weights.safetensors   the averaged network with its temperature and metrics
"""

import copy
import csv
import json
import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.distributions import Beta
from torchvision.transforms.v2.functional import resize

from emonext.calibration import fit_temperature
from emonext.checkpoint import Card, Weights, load_without_code, save_weights
from emonext.datasets.data import FaceSet, without_twins
from emonext.datasets.forms import load_faces
from emonext.device import has_bf16
from emonext.errors import DataError
from emonext.evaluation import accuracy, evaluate, one_hot
from emonext.figures import draw_curves
from emonext.inference import Scores, predict
from emonext.model import ARCHITECTURES, EmoNeXt, training_loss
from emonext.preprocessing import Preprocessing, to_grey
from emonext.results import Evaluation
from emonext.training.covered_head import fit_covered_head
from emonext.training.optimizer import make_optimizer
from emonext.training.recipe import Epoch, Settings
from emonext.training.starting import start_from

# Mean and standard deviation of FER2013's training pixels, 0…1.
FER2013_MEAN, FER2013_STD = 0.508, 0.255

# Framing of faces in FER2013: side of the picture ÷ √(area of MTCNN's box), and displacement of the
# centre; medians over 513 training pictures, enlarged to 192 px.
FER2013_FACE_SCALE, FER2013_FACE_SHIFT = 1.08, (0.0, -0.01)

MAX_GRADIENT_NORM = 1.0

# Share of the validation faces, as they are, that may be called covered.
FALSE_FLAGS = 0.04

# Epochs whose time decides how many a run of so many minutes has.
_PROBES = 2

# The trunk halves the picture's side five times.
MIN_IMAGE_SIZE = 32

OnBatch = Callable[[int, int, float], None]
"""Called with (steps done, steps in the whole run, loss)."""


def make_run(
    folder: Path, settings: Settings, data: Path, device: torch.device, further: Path | None = None
) -> "Run":
    """Prepare a run; training pictures with a duplicate in another split are left out.

    :param data: anything that :func:`emonext.datasets.forms.load_faces` reads, with a training and a
        validation split.
    :param further: a second set of the same kind, of other people; each batch has a share of its faces.
    :raises DataError: the data cannot be read, a setting is unknown, or the folder holds another run.
    """
    train, val = _load_both(data)
    train = train.select(train.labels >= 0)
    name, more = data.stem, None
    if further is not None:
        name, more = f"{data.stem} and {further.stem}", _load_both(further)
    return Run(folder, settings, train, val, device, further=more, data_name=name)


def _load_both(data: Path) -> tuple[FaceSet, FaceSet]:
    train, val = load_faces(data, "train"), load_faces(data, "val")
    return train.select(train.unseen & without_twins(train, val)), val


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
        further: tuple[FaceSet, FaceSet] | None = None,
        data_name: str = "",
    ) -> None:
        """
        :param further: training and validation faces of a second set.
        :raises DataError: a setting is unknown, or the folder holds a run with other settings.
        """
        if settings.size not in ARCHITECTURES or settings.optimizer not in ("muon", "adamw"):
            raise DataError(
                f"`size` {settings.size}, `optimizer` {settings.optimizer}: unknown; "
                f"a size is {', '.join(ARCHITECTURES)}, an optimizer muon or adamw."
            )
        if settings.image_size is not None and settings.image_size < MIN_IMAGE_SIZE:
            raise DataError(f"`image_size` {settings.image_size}: give {MIN_IMAGE_SIZE} px or more.")
        if not 0 < settings.learning_rate < math.inf:
            raise DataError(f"`learning_rate` {settings.learning_rate:g}: give a positive number.")
        self._further = round(settings.further_share * settings.batch_size) if further else 0
        self._main = settings.batch_size - self._further
        if not 0 <= settings.further_share < 1 or self._main < 1:
            raise DataError(f"`further_share` {settings.further_share:g}: give a number from 0 to 1.")
        if not 0 <= settings.init_share < 1:
            raise DataError(f"`init_share` {settings.init_share:g}: give a number from 0 to 1.")
        if len(train) < self._main:
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
            covered=settings.covered,
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
            crop_px=train.images.shape[1],
            mean=FER2013_MEAN,
            std=FER2013_STD,
        )
        self.augment = settings.augmentation
        # at one size, so that sharpness does not tell the two sets apart
        size = train.images.shape[1:]
        self.faces = _Faces(train, size, device)
        self.further = None if further is None else _Faces(further[0], size, device)
        self.further_val = None if further is None else further[1]
        self.log: list[Epoch] = []
        self._resume()

    @property
    def epochs(self) -> int:
        """Epochs of the whole run, by the settings or by the time that the first two took."""
        if self.settings.minutes is None or len(self.log) < _PROBES:
            return self.settings.epochs
        seconds = sum(epoch.seconds for epoch in self.log[:_PROBES]) / _PROBES
        return max(_PROBES, int(60 * self.settings.minutes / seconds))

    def train(self, on_batch: OnBatch, max_minutes: float = math.inf) -> list[Epoch]:
        """Train until the last epoch, or until the next epoch would exceed ``max_minutes``."""
        deadline = time.monotonic() + 60 * max_minutes
        while len(self.log) < self.epochs:
            started = time.monotonic()
            if self.log and started + self.log[-1].seconds > deadline:
                break
            loss = self._train_epoch(len(self.log), on_batch)
            found = self._predict(self.val)
            more = self.further_val
            self.log.append(
                Epoch(
                    epoch=len(self.log) + 1,
                    learning_rate=self.optimizer.param_groups[0]["lr"],
                    loss=loss,
                    accuracy=accuracy(found.labels, self.val.labels),
                    majority_accuracy=accuracy(found.votes, self.val.majority),
                    seconds=time.monotonic() - started,
                    further_accuracy=None
                    if more is None
                    else accuracy(self._predict(more).votes, more.majority),
                )
            )
            self._save()
        return self.log

    def finish(self) -> tuple[Path, Evaluation]:
        """Write ``weights.safetensors``: the averaged network, calibrated and evaluated on validation."""
        model = self._with_initial().eval()
        if self.model.architecture.covered:
            fit_covered_head(model, self.prepare, self.faces.images.cpu().numpy(), self.augment)
        scores = predict(model, self.prepare, self.val.images, self.device, mirrored=True)
        epochs = "1 epoch" if len(self.log) == 1 else f"{len(self.log)} epochs"
        card = Card(
            name=self.settings.size,
            architecture=self.model.architecture,
            preprocessing=self.prepare,
            temperature=fit_temperature(scores.labels, one_hot(self.val.labels)),
            votes_temperature=fit_temperature(scores.votes, self.val.votes)
            if self.model.architecture.votes
            else 1.0,
            covered_limit=float(np.quantile(scores.covered, 1 - FALSE_FLAGS))
            if self.model.architecture.covered
            else 0.0,
            licence="research use only, unless the data allow more",
            data=f"{self._data_name}, training split without the pictures that have a twin in another split",
            recipe=f"{epochs}; {_one_line(self.settings)}",
        )
        found = evaluate(Weights(model, card, ""), self.val, self.device)
        path = self.folder / "weights.safetensors"
        save_weights(model, replace(card, metrics=found.metrics()), path)
        return path, found

    def _predict(self, faces: FaceSet) -> Scores:
        return predict(self.average.module.eval(), self.prepare, faces.images, self.device)

    def _with_initial(self) -> EmoNeXt:
        """The averaged network, blended with the initial one by ``init_share``."""
        if not self.settings.init_share:
            return self.average.module
        blended = copy.deepcopy(self.average.module)
        copied, trained = start_from(blended, self.settings.init), self.average.module.state_dict()
        initial = blended.state_dict()
        for name in copied & {name for name, values in trained.items() if values.is_floating_point()}:
            trained[name] = trained[name].lerp(initial[name], self.settings.init_share)
        blended.load_state_dict(trained)
        return blended

    def _train_epoch(self, epoch: int, on_batch: OnBatch) -> float:
        """Train one epoch → mean loss. Random numbers depend on seed and epoch only, for exact resuming."""
        settings = self.settings
        torch.manual_seed(settings.seed * 10_000 + epoch)
        generator = torch.Generator(self.device).manual_seed(settings.seed * 10_000 + epoch)
        steps = len(self.faces) // self._main
        total, losses = steps * self.epochs, 0.0
        self.model.train()
        for step, rows in enumerate(_shuffled(len(self.faces), self._main, generator)):
            done = epoch * steps + step
            self._set_learning_rate(done / total)
            loss = self._step(rows, generator, done)
            losses += loss
            on_batch(done + 1, total, loss)
        return losses / steps

    def _step(self, rows: Tensor, generator: torch.Generator, done: int) -> float:
        batch = self._augmented(self.faces, rows, generator)
        if self.further is not None and self._further:
            drawn = self.further.draw(self._further, generator)
            both = zip(batch, self._augmented(self.further, drawn, generator), strict=True)
            order = torch.randperm(self.settings.batch_size, generator=generator, device=self.device)
            batch = tuple(torch.cat(parts)[order] for parts in both)
        if self.settings.mixup:
            share = _share(self.settings.mixup, self.device)
            batch = tuple(_blend(values, share) for values in batch)
        grey, labels, votes, hidden = batch
        x = self.prepare.normalize(grey).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bf16(self.device)):
            loss = training_loss(
                self.model,
                x,
                labels,
                votes if self.model.architecture.votes else None,
                hidden,
                label_smoothing=self.settings.label_smoothing,
                attention_weight=self.settings.attention_weight,
            )
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.model, step=done)
        return loss.item()

    def _augmented(self, faces: "_Faces", rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Grey pictures (n, 1, S, S), labels and votes (n, 7), and how far each face is hidden (n,)."""
        grey, hidden = self.augment(to_grey(faces.images[rows]), self.prepare.size, generator)
        return grey, faces.labels[rows], faces.votes[rows], hidden

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


class _Faces:
    """A set of training faces on the device."""

    def __init__(self, faces: FaceSet, size: Sequence[int], device: torch.device) -> None:
        """:param size: height and width to which the pictures are resized, px."""
        self.images = resize(torch.from_numpy(faces.images)[:, None], list(size))[:, 0].to(device)
        self.labels = torch.from_numpy(one_hot(faces.labels)).to(device)
        self.votes = torch.from_numpy(faces.votes).to(device)
        # a class with a quarter of the faces is drawn half as often, so that rare ones are seen
        classes = np.where(faces.labels >= 0, faces.labels, faces.majority)
        _, number, count = np.unique(classes, return_inverse=True, return_counts=True)
        self._weights = torch.from_numpy(count[number] ** -0.5).to(device)

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """(n,) rows, with rare classes more often than they are."""
        return torch.multinomial(self._weights, n, replacement=True, generator=generator)


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
