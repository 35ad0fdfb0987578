import csv
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import log_softmax
from torch import Tensor

from emonext import ARCHITECTURES, LABELS, Architecture, Classifier, DataError, load_weights
from emonext import evaluation as evaluation_module
from emonext.calibration import fit_temperature
from emonext.datasets.data import FaceSet, load_fer2013
from emonext.errors import WeightsError
from emonext.figures import draw_curves
from emonext.inference import predict
from emonext.training import run as training_module
from emonext.training.augmentation import Augmentation
from emonext.training.recipe import PRESETS, Epoch, Settings
from emonext.training.run import FER2013_MEAN, FER2013_STD, Run, make_run

CPU = torch.device("cpu")
MINI = Settings(size="mini", epochs=2, batch_size=16)


@pytest.fixture(autouse=True)
def _mini(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An architecture small enough to be trained in a test, on one core, and nothing slow beside it."""
    monkeypatch.setitem(ARCHITECTURES, "mini", Architecture((1, 1, 1, 1), (16, 16, 32, 32), 32))
    monkeypatch.setattr(evaluation_module, "BOOTSTRAP_RESAMPLES", 10)
    monkeypatch.setattr(training_module, "draw_curves", lambda log, path: None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 15])
def test_fewer_faces_than_a_batch_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(DataError, match=f"--batch-size 16: the {count} training faces do not fill"):
        start(tmp_path, train=faces(count)).train(ignore)


@pytest.mark.parametrize("change", [{"size": "giant"}, {"optimizer": "sgd"}])
def test_an_unknown_setting_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"(giant|sgd).*tiny, .*muon or adamw"):
        start(tmp_path / "run", replace(MINI, **change))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_size": 0}, "--image-size 0: give 32 px or more"),
        ({"image_size": 31}, "--image-size 31: give 32 px or more"),
        ({"learning_rate": 0.0}, "--lr 0: give a positive number"),
        ({"learning_rate": -1.0}, "--lr -1: give a positive number"),
        ({"learning_rate": math.nan}, "--lr nan: give a positive number"),
        ({"learning_rate": math.inf}, "--lr inf: give a positive number"),
    ],
)
def test_a_number_that_no_run_can_have_is_refused(
    tmp_path: Path, change: dict[str, float], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        start(tmp_path / "run", replace(MINI, **change))
    assert not (tmp_path / "run").exists()


def test_the_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    start(tmp_path).train(ignore, max_minutes=0)
    for change in ({"seed": 1}, {"votes": False}, {"augmentation": Augmentation(coarse=0.0)}):
        with pytest.raises(DataError, match=f"{tmp_path}: holds a run with other settings"):
            start(tmp_path, replace(MINI, **change))


def test_the_checkpoint_of_another_program_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match=r"checkpoint\.pt: not a checkpoint of this program"):
        start(tmp_path)


def test_a_start_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nowhere: no such weights"):
        start(tmp_path, replace(MINI, init="nowhere"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half of one"])
def test_a_broken_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"checkpoint\.pt"):
        start(tmp_path)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({"settings": Bomb(tmp_path / "ran")}, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match=r"checkpoint\.pt"):
        start(tmp_path)
    assert not (tmp_path / "ran").exists()


# --- going on -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bf16")
@pytest.mark.parametrize("change", [{}, {"optimizer": "adamw"}, {"votes": False}])
def test_a_resumed_run_is_equal_bit_for_bit(tmp_path: Path, change: dict[str, Any]) -> None:
    settings = replace(MINI, **change)
    straight = start(tmp_path / "straight", settings)
    straight.train(ignore)
    first = start(tmp_path / "resumed", settings)
    first.train(ignore, max_minutes=0)
    resumed = start(tmp_path / "resumed", settings)
    resumed.train(ignore)

    assert len(first.log) == 1
    assert [timeless(epoch) for epoch in resumed.log] == [timeless(epoch) for epoch in straight.log]
    for one, other in ((straight.model, resumed.model), (straight.average, resumed.average)):
        assert unequal(one.state_dict(), other.state_dict()) == []
    # and the second epoch did something
    assert unequal(first.model.state_dict(), resumed.model.state_dict()) != []


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    settings = replace(MINI, epochs=1)
    one, other = start(tmp_path / "0", settings), start(tmp_path / "1", replace(settings, seed=1))
    assert one.train(ignore)[0].loss != other.train(ignore)[0].loss


def test_no_time_makes_one_epoch_and_then_none(tmp_path: Path) -> None:
    assert len(start(tmp_path).train(ignore, max_minutes=0)) == 1
    assert len(start(tmp_path).train(ignore, max_minutes=0)) == 1
    assert len(start(tmp_path).train(ignore)) == 2
    assert len(start(tmp_path).train(ignore)) == 2


def test_the_folder_tells_what_was_asked_for_and_what_happened(tmp_path: Path) -> None:
    log = start(tmp_path).train(ignore)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{key: float(value) for key, value in row.items()} for row in rows] == [asdict(e) for e in log]
    assert [epoch.epoch for epoch in log] == [1, 2]
    asked = json.loads((tmp_path / "settings.json").read_text())
    assert asked.pop("made_with").keys() == {"commit", "emonext-care", "torch", "device"}
    assert asked == json.loads(json.dumps(asdict(MINI)))
    assert asked["augmentation"]["scale"] == list(MINI.augmentation.scale)
    assert not list(tmp_path.glob("*.partial"))


def test_the_folder_tells_with_what_it_was_made(tmp_path: Path) -> None:
    start(tmp_path).train(ignore, max_minutes=0)
    made_with = json.loads((tmp_path / "settings.json").read_text())["made_with"]
    assert (made_with["device"], made_with["torch"]) == ("cpu", torch.__version__)
    assert made_with["emonext-care"] == version("emonext-care")
    folder = Path(training_module.__file__).parent
    head = subprocess.run(
        ["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout
    assert head[:7] in made_with["commit"] if head else made_with["commit"] == "not a checkout"


def test_without_git_the_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    start(tmp_path).train(ignore, max_minutes=0)
    assert json.loads((tmp_path / "settings.json").read_text())["made_with"]["commit"] == "not a checkout"


def test_the_curves_are_drawn_anew_after_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def count(log: list[Epoch], path: Path) -> None:
        drawn.append(len(log))
        draw_curves(log, path)

    monkeypatch.setattr(training_module, "draw_curves", count)
    start(tmp_path).train(ignore)
    assert drawn == [1, 2]
    with Image.open(tmp_path / "curves.png") as picture:
        assert min(picture.size) > 300
        assert np.asarray(picture.convert("L")).std() > 5  # something is on it


def test_every_batch_is_reported(tmp_path: Path) -> None:
    seen: list[tuple[int, int, float]] = []
    log = start(tmp_path, train=faces(70)).train(lambda *batch: seen.append(batch))
    assert [batch[:2] for batch in seen] == [(step, 8) for step in range(1, 9)]
    losses = [loss for _, _, loss in seen]
    assert [epoch.loss for epoch in log] == pytest.approx([sum(losses[:4]) / 4, sum(losses[4:]) / 4])


def test_the_learning_rate_rises_to_its_highest_then_falls_as_a_cosine(tmp_path: Path) -> None:
    settings = replace(MINI, warmup=0.5, learning_rate=0.1)
    run = start(tmp_path, settings)
    rates = []
    run.train(lambda *batch: rates.append(run.optimizer.param_groups[-1]["lr"]))
    warm = [min(1, step / 4) for step in range(8)]
    expected = [0.1 * w * (1 + math.cos(math.pi * step / 8)) / 2 for step, w in enumerate(warm)]
    assert rates == pytest.approx(expected)
    assert [epoch.learning_rate for epoch in run.log] == pytest.approx([expected[3], expected[7]])


# --- learning -------------------------------------------------------------------------------------------


def test_a_rate_without_warmup_is_highest_at_once(tmp_path: Path) -> None:
    run, rates = start(tmp_path, replace(MINI, warmup=0.0, learning_rate=0.1)), []
    run.train(lambda *batch: rates.append(run.optimizer.param_groups[0]["lr"]))
    assert rates == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)])


# --- as the paper, but for what is named ----------------------------------------------------------------


def test_the_papers_run_is_what_its_description_says(tmp_path: Path) -> None:
    settings = replace(PRESETS["paper"], size="mini", init="none", batch_size=16, epochs=3)
    run, rates = start(tmp_path, settings, train=faces(330)), []
    log = run.train(lambda *batch: rates.append(run.optimizer.param_groups[0]["lr"]))
    # all epochs are run
    assert len(log) == 3
    # the rate is the one asked for and falls once
    peak = int(np.argmax(rates))
    assert rates[peak] == pytest.approx(1e-4, rel=0.02)
    assert peak < 0.1 * len(rates)
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] < 0.01 * rates[peak]
    # the whole picture is shown, and its grey values are standardised
    assert (run.prepare.resize, run.prepare.size) == (32, 32)
    assert (run.prepare.mean, run.prepare.std) == (FER2013_MEAN, FER2013_STD)
    assert isinstance(run.optimizer, torch.optim.AdamW)
    assert run.model.votes is None


# --- learning -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bf16")
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_an_easy_set_is_learnt(tmp_path: Path, optimizer: str) -> None:
    settings = replace(
        MINI,
        epochs=10,
        optimizer=optimizer,
        learning_rate=4e-3,
        ema_decay=0.9,
        label_smoothing=0.2,
        mixup=0.0,
    )
    log = start(tmp_path, settings).train(ignore)
    # with labels smoothed by 0.2, no network can fall below their entropy; votes that agree add none
    floor = -(0.8 + 0.2 / 7) * math.log(0.8 + 0.2 / 7) - 6 * (0.2 / 7) * math.log(0.2 / 7)
    assert floor < log[-1].loss < floor + 0.6 < log[0].loss
    assert log[-1].accuracy > 0.95
    assert log[-1].majority_accuracy > 0.95


@pytest.mark.usefixtures("bf16")
def test_where_people_agree_and_labels_are_noise_the_head_for_votes_learns(tmp_path: Path) -> None:
    settings = replace(MINI, epochs=10, learning_rate=4e-3, ema_decay=0.9)
    log = start(tmp_path, settings, train=mislabelled(faces(64))).train(ignore)
    assert log[-1].majority_accuracy > 0.9
    assert log[-1].accuracy < 0.7


@pytest.mark.parametrize(
    "change",
    [
        {"spatial_transformer": False},
        {"squeeze_excitation": False},
        {"attention_weight": 0.0},
        {"votes": False},
        {"label_smoothing": 0.0},
        {"drop_path": 0.0, "layer_scale": 1e-6},
        {"image_size": 48},
        {"augmentation": Augmentation(coarse=0.0, erase=0.0)},
    ],
)
def test_whatever_is_left_out_a_network_is_trained_and_finished(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    settings = replace(MINI, epochs=1, **change)
    whole, run = start(tmp_path / "whole", replace(MINI, epochs=1)), start(tmp_path / "part", settings)
    run.train(ignore)
    assert whole.train(ignore)[0].loss != run.log[0].loss
    path, _ = run.finish()
    card = load_weights(path).card
    shape = card.architecture
    assert (shape.spatial_transformer, shape.squeeze_excitation, shape.votes, shape.image_size) == (
        settings.spatial_transformer,
        settings.squeeze_excitation,
        settings.votes,
        settings.image_size or 32,
    )
    for name, value in change.items():
        if name != "augmentation":
            assert f"{name}={value}" in card.recipe
    assert f"coarse={settings.augmentation.coarse}" in card.recipe


@pytest.mark.parametrize("name", ["label_smoothing", "attention_weight"])
def test_a_setting_of_the_loss_reaches_it(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    loss = training_module.training_loss

    def watch(*batch: Any, **options: float) -> Tensor:
        seen.add(options[name])
        return loss(*batch, **options)

    monkeypatch.setattr(training_module, "training_loss", watch)
    start(tmp_path, replace(MINI, epochs=1, **{name: 0.375})).train(ignore)
    assert seen == {0.375}


@pytest.mark.parametrize(("decay", "same"), [(0.0, True), (0.9, False)])
def test_the_average_forgets_as_fast_as_asked(tmp_path: Path, decay: float, same: bool) -> None:
    run = start(tmp_path, replace(MINI, epochs=1, ema_decay=decay))
    run.train(ignore)
    differing = unequal(run.model.state_dict(), run.average.module.state_dict())
    assert (differing == []) is same


def test_a_step_is_taken_with_a_gradient_of_norm_one_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = training_module.training_loss
    monkeypatch.setattr(
        training_module, "training_loss", lambda *args, **options: 100 * loss(*args, **options)
    )
    run, norms = start(tmp_path), []

    def measure(*step: object) -> None:
        gradients = [p.grad for p in run.model.parameters() if p.grad is not None]
        norms.append(torch.stack([gradient.norm() for gradient in gradients]).norm().item())

    run.optimizer.register_step_pre_hook(measure)
    run.train(ignore, max_minutes=0)
    assert norms == pytest.approx([1.0] * 4, abs=1e-3)


def test_a_run_starts_from_the_weights_it_is_given(tmp_path: Path) -> None:
    first = start(tmp_path / "first", replace(MINI, votes=False))
    first.train(ignore)
    path, _ = first.finish()
    run = start(tmp_path / "second", replace(MINI, init=str(path), seed=1))
    before = {key: tensor.half().float() for key, tensor in first.average.module.state_dict().items()}
    started = {key: tensor.float() for key, tensor in run.model.state_dict().items()}
    own = {key for key in started if key.startswith("votes")}
    assert own
    assert unequal({key: started[key] for key in started.keys() - own}, before) == []
    assert unequal(run.model.state_dict(), run.average.module.state_dict()) == []
    run.train(ignore, max_minutes=0)
    recipe = load_weights(run.finish()[0]).card.recipe
    assert "init=weights.safetensors" in recipe
    assert str(tmp_path) not in recipe  # no one needs to know how a folder is called


def test_the_image_size_can_be_asked_for(tmp_path: Path) -> None:
    run = start(tmp_path, replace(MINI, image_size=48))
    assert run.model.architecture.image_size == run.prepare.size == run.prepare.resize == 48


# --- a head for votes, or none --------------------------------------------------------------------------


def test_a_head_for_votes_that_would_never_see_one_is_left_out(tmp_path: Path) -> None:
    run = start(tmp_path, train=voteless(faces(64)))
    run.train(ignore)
    path, _ = run.finish()
    assert run.model.votes is None
    card = load_weights(path).card
    assert (card.architecture.votes, card.votes_temperature) == (False, 1.0)


@pytest.mark.parametrize("votes", [True, False])
def test_a_set_without_votes_is_trained_on(tmp_path: Path, votes: bool) -> None:
    settings = replace(MINI, votes=votes)
    run = start(tmp_path, settings, train=voteless(faces(64)), val=voteless(faces(16, seed=1)))
    log = run.train(ignore)
    assert len(log) == 2
    assert all(math.isnan(epoch.majority_accuracy) for epoch in log)  # and its curve is not drawn
    _, found = run.finish()
    assert [(reading.head, reading.truth) for reading in found.readings] == [("labels", "labels")]


def test_validation_without_labels_measures_the_votes_alone(tmp_path: Path) -> None:
    val = faces(16, seed=1)
    run = start(tmp_path, val=replace(val, labels=np.full(16, -1)))
    log = run.train(ignore)
    assert math.isnan(log[-1].accuracy)
    assert 0 <= log[-1].majority_accuracy <= 1
    _, found = run.finish()
    assert [(reading.head, reading.truth) for reading in found.readings] == [("votes", "majority")]


def test_a_temperature_that_nothing_tells_is_one(tmp_path: Path) -> None:
    run = start(tmp_path, val=voteless(faces(16, seed=1)))
    run.train(ignore, max_minutes=0)
    card = load_weights(run.finish()[0]).card
    assert card.architecture.votes
    assert card.votes_temperature == 1.0


# --- the weights ----------------------------------------------------------------------------------------


def test_weights_are_finished_that_the_loader_reads(tmp_path: Path) -> None:
    run = start(tmp_path, val=doubtful(faces(40, seed=1)))
    run.train(ignore)
    path, _ = run.finish()
    loaded = load_weights(path)
    card = loaded.card
    shape = replace(ARCHITECTURES["mini"], votes=True)
    assert (card.name, card.labels, card.architecture) == ("mini", LABELS, shape)
    assert (card.preprocessing.size, card.preprocessing.mean) == (32, FER2013_MEAN)
    assert card.recipe.startswith("2 epochs; ")
    assert "optimizer=muon" in card.recipe
    averaged = {key: tensor.half().float() for key, tensor in run.average.module.state_dict().items()}
    assert unequal({k: v.float() for k, v in loaded.model.state_dict().items()}, averaged) == []


def test_each_head_has_the_temperature_of_its_own_truth(tmp_path: Path) -> None:
    val = doubtful(faces(40, seed=1))
    run = start(tmp_path, val=val)
    run.train(ignore)
    card = load_weights(run.finish()[0]).card
    scores = predict(run.average.module.eval(), run.prepare, val.images, CPU)
    assert card.temperature == pytest.approx(
        fit_temperature(scores.labels, np.eye(7, dtype=np.float32)[val.labels])
    )
    assert card.votes_temperature == pytest.approx(fit_temperature(scores.votes, val.votes))
    assert card.temperature != pytest.approx(card.votes_temperature, rel=0.02)


def test_the_card_carries_what_was_measured(tmp_path: Path) -> None:
    val = doubtful(faces(40, seed=1))
    run = start(tmp_path, val=val)
    run.train(ignore)
    path, found = run.finish()
    card = load_weights(path).card
    scores = predict(run.average.module.eval(), run.prepare, val.images, CPU)
    calibrated = log_softmax(scores.labels / card.temperature, axis=1)

    assert card.metrics == found.metrics()
    assert card.metrics["labels_labels_accuracy"] == (scores.labels.argmax(axis=1) == val.labels).mean()
    assert card.metrics["votes_labels_accuracy"] == (scores.votes.argmax(axis=1) == val.labels).mean()
    assert card.metrics["votes_majority_accuracy"] == (scores.votes.argmax(axis=1) == val.majority).mean()
    assert card.metrics["labels_labels_log_loss"] == pytest.approx(
        -calibrated[np.arange(40), val.labels].mean(), rel=1e-4
    )
    assert [reading.temperature for reading in found.readings] == [
        card.temperature,
        card.votes_temperature,
        card.votes_temperature,
    ]
    assert card.metrics["labels_labels_accuracy"] == run.log[-1].accuracy
    assert card.metrics["votes_majority_accuracy"] == run.log[-1].majority_accuracy


@pytest.mark.usefixtures("bf16")
def test_what_is_finished_classifies(tmp_path: Path) -> None:
    val = faces(40, seed=1)
    run = start(tmp_path, replace(MINI, epochs=10, learning_rate=4e-3, ema_decay=0.9), val=val)
    run.train(ignore)
    classify = Classifier(run.finish()[0], "cpu")
    found = classify(val.images[..., None].repeat(3, axis=3))
    assert (found.argmax(axis=1) == val.majority).mean() > 0.95


# --- the data -------------------------------------------------------------------------------------------


def test_pictures_with_a_twin_in_another_split_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that the data marks, those that stand in validation, and those without a label."""
    train, val = faces(64), faces(16, seed=1)
    train.images[3], train.images[11] = val.images[0], val.images[15]
    train.labels[21] = -1
    train.unseen[::5] = False
    monkeypatch.setattr(
        training_module, "load_faces", lambda data, split: {"train": train, "val": val}[split]
    )
    run = make_run(tmp_path, MINI, Path("some/set.csv"), CPU)
    kept = [row for row in range(64) if row % 5 and row not in (3, 11, 21)]
    assert np.array_equal(run.images.numpy(), train.images[kept])
    assert np.array_equal(run.labels.numpy(), train.labels[kept])
    assert run.votes is not None
    assert np.array_equal(run.votes.numpy(), train.votes[kept])
    assert len(run.val) == 16
    run.train(ignore, max_minutes=0)
    assert load_weights(run.finish()[0]).card.data == (
        "set, training split without the pictures that have a twin in another split"
    )


def test_missing_data_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found"):
        make_run(tmp_path / "run", MINI, tmp_path / "nowhere", CPU)
    assert not (tmp_path / "run").exists()


def test_the_mean_and_deviation_are_fer2013s(shared: Path) -> None:
    images = load_fer2013(shared / "data", "train").images
    counts = np.array(Image.fromarray(images.reshape(-1, 48)).histogram())
    grey = np.arange(256) / 255
    mean = np.average(grey, weights=counts)
    assert mean == pytest.approx(FER2013_MEAN, abs=0.001)
    assert np.average((grey - mean) ** 2, weights=counts) ** 0.5 == pytest.approx(FER2013_STD, abs=0.001)


# --- helpers --------------------------------------------------------------------------------------------


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def faces(n: int, seed: int = 0) -> FaceSet:
    """Three classes no one can mix up, even mirrored: bright above, bright below, bright in the middle."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    patterns = np.full((3, 48, 48), 40.0)
    patterns[0, :20] = patterns[1, 28:] = patterns[2, 14:34, 14:34] = 210
    images = np.clip(patterns[labels] + rng.normal(0, 10, (n, 48, 48)), 0, 255).astype(np.uint8)
    return FaceSet(images, labels, np.eye(7, dtype=np.float32)[labels], labels.copy(), np.ones(n, bool))


def mislabelled(data: FaceSet) -> FaceSet:
    """The labels say nothing of the pictures; the votes still do."""
    return replace(data, labels=np.random.default_rng(2).integers(0, 3, len(data)))


def voteless(data: FaceSet) -> FaceSet:
    return replace(data, votes=np.zeros_like(data.votes), majority=np.full(len(data), -1))


def doubtful(data: FaceSet) -> FaceSet:
    """A quarter is labelled wrongly and two people of five disagree, so that certainty does not pay."""
    labels = np.where(np.arange(len(data)) % 4, data.labels, 6)
    return replace(
        data, labels=labels, votes=0.6 * data.votes + np.float32(0.4) * np.roll(data.votes, 1, axis=1)
    )


def start(
    folder: Path, settings: Settings = MINI, train: FaceSet | None = None, val: FaceSet | None = None
) -> Run:
    return Run(folder, settings, faces(64) if train is None else train, val or faces(16, seed=1), CPU)


def ignore(done: int, total: int, loss: float) -> None:
    """No progress is shown."""


def timeless(epoch: Epoch) -> Epoch:
    return replace(epoch, seconds=0.0)


def unequal(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that differ in any bit."""
    assert one.keys() == other.keys()
    return [key for key in one if not torch.equal(one[key], other[key])]


# --- mixup ----------------------------------------------------------------------------------------------


def test_a_blend_keeps_more_of_each_picture_than_it_takes_of_the_other() -> None:
    torch.manual_seed(0)
    shares = [float(training_module._share(0.3, torch.device("cpu"))) for _ in range(200)]
    assert min(shares) >= 0.5
    assert max(shares) > 0.99
    blended = training_module._blend(torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor(0.75))
    assert blended.tolist() == [[1.0], [1.0], [3.0]]


def test_pictures_labels_and_votes_are_blended_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    loss = training_module.training_loss

    def watch(model: Any, x: Tensor, target: Tensor, votes: Tensor | None, **options: Any) -> Tensor:
        seen.append((target, votes))
        return loss(model, x, target, votes, **options)

    monkeypatch.setattr(training_module, "training_loss", watch)
    monkeypatch.setattr(training_module, "_share", lambda *_: torch.tensor(0.75))
    start(tmp_path, replace(MINI, epochs=1, mixup=0.3)).train(ignore)
    assert seen
    for target, votes in seen:
        assert set(target.flatten().tolist()) <= {0, 0.25, 0.75, 1}
        torch.testing.assert_close(target.sum(dim=1), torch.ones(len(target)))
        assert votes is not None
        assert votes.shape == target.shape
