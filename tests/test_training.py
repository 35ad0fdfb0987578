import csv
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import log_softmax
from torch import Tensor

from emonext import ARCHITECTURES, LABELS, Architecture, DataError, EmoNeXt, load_weights
from emonext import training as training_module
from emonext.data import FaceSet, load_fer2013
from emonext.evaluation import fit_temperature, predict
from emonext.training import FER2013_MEAN, FER2013_STD, Run, Settings, make_optimizer, make_run

CPU = torch.device("cpu")
MINI = Settings(size="mini", epochs=2, batch_size=16)


@pytest.fixture(autouse=True)
def _mini(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An architecture small enough to be trained in a test, on one core."""
    monkeypatch.setitem(ARCHITECTURES, "mini", Architecture((1, 1, 1, 1), (16, 16, 32, 32), 32))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 15])
def test_fewer_faces_than_a_batch_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(DataError):
        start(tmp_path, train=faces(count)).train(ignore)


@pytest.mark.parametrize("change", [{"size": "giant"}, {"optimizer": "sgd"}])
def test_an_unknown_setting_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"(giant|sgd).*tiny, .*muon or adamw"):
        start(tmp_path / "run", replace(MINI, **change))
    assert not (tmp_path / "run").exists()


def test_the_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    start(tmp_path).train(ignore, max_minutes=0)
    with pytest.raises(DataError, match=f"{tmp_path}: holds a run with other settings"):
        start(tmp_path, replace(MINI, seed=1))


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


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_resumed_run_is_equal_bit_for_bit(tmp_path: Path, optimizer: str) -> None:
    settings = replace(MINI, optimizer=optimizer)
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
    assert json.loads((tmp_path / "settings.json").read_text()) == asdict(MINI)
    assert not list(tmp_path.glob("*.partial"))


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


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_an_easy_set_is_learnt(tmp_path: Path, optimizer: str) -> None:
    settings = replace(MINI, epochs=10, optimizer=optimizer, learning_rate=4e-3, ema_decay=0.9)
    log = start(tmp_path, settings).train(ignore)
    # with labels smoothed by 0.2, no network can fall below their entropy
    floor = -(0.8 + 0.2 / 7) * math.log(0.8 + 0.2 / 7) - 6 * (0.2 / 7) * math.log(0.2 / 7)
    assert floor < log[-1].loss < floor + 0.3 < log[0].loss
    assert log[-1].accuracy > 0.95


def test_a_step_is_taken_with_a_gradient_of_norm_one_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = training_module.training_loss
    monkeypatch.setattr(training_module, "training_loss", lambda *batch: 100 * loss(*batch))
    run, norms = start(tmp_path), []

    def measure(*step: object) -> None:
        gradients = [p.grad for p in run.model.parameters() if p.grad is not None]
        norms.append(torch.stack([gradient.norm() for gradient in gradients]).norm().item())

    run.optimizer.register_step_pre_hook(measure)
    run.train(ignore, max_minutes=0)
    assert norms == pytest.approx([1.0] * 4, abs=1e-3)


def test_weights_are_finished_that_the_loader_reads(tmp_path: Path) -> None:
    val = faces(40, seed=1)
    val.labels[::4] = 6  # a quarter is labelled wrongly, so that certainty does not pay
    run = start(tmp_path, val=val)
    run.train(ignore)
    path, card = run.finish()
    loaded = load_weights(path)
    logits = predict(run.average.module.eval(), run.prepare, val.images, CPU)
    calibrated = log_softmax(logits / card.temperature, axis=1)

    assert loaded.card == card
    assert (card.labels, card.architecture) == (LABELS, ARCHITECTURES["mini"])
    assert (card.preprocessing.size, card.preprocessing.mean) == (32, FER2013_MEAN)
    assert "muon" in card.recipe
    assert card.metrics.keys() == {"val_accuracy", "val_accuracy_ten_crops", "val_macro_f1", "val_log_loss"}
    assert card.metrics["val_accuracy"] == (logits.argmax(axis=1) == val.labels).mean()
    assert card.metrics["val_log_loss"] == pytest.approx(-calibrated[np.arange(40), val.labels].mean())
    assert card.temperature == pytest.approx(fit_temperature(logits, val.labels))
    averaged = {key: tensor.half().float() for key, tensor in run.average.module.state_dict().items()}
    assert unequal({k: v.float() for k, v in loaded.model.state_dict().items()}, averaged) == []


def test_the_image_size_can_be_asked_for(tmp_path: Path) -> None:
    run = start(tmp_path, replace(MINI, image_size=48))
    assert run.model.architecture.image_size == run.prepare.size == run.prepare.resize == 48


def test_pictures_with_a_twin_in_another_split_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = faces(40)
    twins = replace(data, unseen=np.arange(40) % 4 != 0)
    monkeypatch.setattr(training_module, "load_fer2013", lambda folder, split: twins)
    run = make_run(tmp_path, MINI, tmp_path, CPU)
    assert np.array_equal(run.images.numpy(), data.images[twins.unseen])
    assert np.array_equal(run.labels.numpy(), data.labels[twins.unseen])
    assert len(run.val) == 40


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


# --- the optimizer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_parameter_is_optimised_once_and_vectors_are_not_decayed(optimizer: str) -> None:
    model = EmoNeXt(ARCHITECTURES["mini"])
    groups = make_optimizer(model, replace(MINI, optimizer=optimizer, weight_decay=0.07)).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(decay) == len(list(model.parameters()))
    assert {decay[id(p)] for p in model.parameters() if p.ndim < 2} == {0.0}
    assert {decay[id(p)] for p in model.parameters() if p.ndim >= 2} == {0.07}


def test_muon_takes_the_trunks_matrices_alone() -> None:
    model = EmoNeXt(ARCHITECTURES["mini"])
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = make_optimizer(model, MINI).param_groups
    orthogonal = {names[id(p)] for group in groups if not group.get("use_fallback") for p in group["params"]}
    stages = {
        f"backbone.stages.{stage}.{layer}.weight"
        for stage in range(4)
        for layer in (
            "blocks.0.mlp.fc1",
            "blocks.0.mlp.fc2",
            "downsample.1",
            "downsample.2.fc1",
            "downsample.2.fc2",
        )
        if stage > 0 or layer.startswith("blocks")
    }
    assert orthogonal == stages | {f"attention.{part}.weight" for part in ("query", "key", "value")}


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
    return FaceSet(images, labels, np.eye(7, dtype=np.float32)[labels], np.ones(n, bool))


def start(
    folder: Path, settings: Settings = MINI, train: FaceSet | None = None, val: FaceSet | None = None
) -> Run:
    return Run(folder, settings, faces(64) if train is None else train, val or faces(16, seed=1), CPU)


def ignore(done: int, total: int, loss: float) -> None:
    """No progress is shown."""


def timeless(epoch: training_module.Epoch) -> training_module.Epoch:
    return replace(epoch, seconds=0.0)


def unequal(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that differ in any bit."""
    assert one.keys() == other.keys()
    return [key for key in one if not torch.equal(one[key], other[key])]
