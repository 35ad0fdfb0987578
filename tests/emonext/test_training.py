import csv
import json
import math
import shutil
import subprocess
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from training_runs import CPU, MINI, faces, ignore, start, unequal
from traps import Trap

from emonext import DataError, load_weights
from emonext.datasets.data import FaceSet, load_fer2013
from emonext.errors import WeightsError
from emonext.figures import draw_curves
from emonext.training import run as training_module
from emonext.training.augmentation import Augmentation
from emonext.training.recipe import PRESETS, Epoch, Settings
from emonext.training.run import FER2013_MEAN, FER2013_STD, Run, make_run

pytestmark = [pytest.mark.training, pytest.mark.usefixtures("mini")]


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 15])
def test_fewer_faces_than_a_batch_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(DataError, match=f"`batch_size` 16: the {count} training faces do not fill"):
        start(tmp_path, train=faces(count)).train(ignore)


@pytest.mark.parametrize("change", [{"size": "giant"}, {"optimizer": "sgd"}])
def test_an_unknown_setting_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"(giant|sgd).*tiny, .*muon or adamw"):
        start(tmp_path / "run", replace(MINI, **change))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_size": 0}, "`image_size` 0: give 32 px or more"),
        ({"image_size": 31}, "`image_size` 31: give 32 px or more"),
        ({"learning_rate": 0.0}, "`learning_rate` 0: give a positive number"),
        ({"learning_rate": -1.0}, "`learning_rate` -1: give a positive number"),
        ({"learning_rate": math.nan}, "`learning_rate` nan: give a positive number"),
        ({"learning_rate": math.inf}, "`learning_rate` inf: give a positive number"),
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
    torch.save({"settings": Trap(tmp_path / "ran")}, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match=r"checkpoint\.pt"):
        start(tmp_path)
    assert not (tmp_path / "ran").exists()


# --- further faces --------------------------------------------------------------------------------------


def with_further(folder: Path, settings: Settings, further: FaceSet) -> Run:
    return Run(folder, settings, faces(64), faces(16, seed=1), CPU, further=(further, further))


def test_a_share_of_each_batch_is_of_the_further_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The further faces have votes alone, so that they are known by their empty labels."""
    seen = []
    loss = training_module.training_loss

    def watch(model: Any, *batch: Any, **options: Any) -> Tensor:
        seen.append(batch[1])
        return loss(model, *batch, **options)

    monkeypatch.setattr(training_module, "training_loss", watch)
    further = replace(faces(40, seed=2), labels=np.full(40, -1))
    run = with_further(tmp_path, replace(MINI, epochs=1, further_share=0.25, mixup=0.0), further)
    (epoch,) = run.train(ignore)
    assert len(seen) == 64 // 12
    for target in seen:
        assert len(target) == 16
        assert (target.sum(dim=1) == 0).sum() == 4
    assert epoch.further_accuracy is not None
    assert 0 <= epoch.further_accuracy <= 1
    assert start(tmp_path / "alone").train(ignore, max_minutes=0)[0].further_accuracy is None


def test_further_faces_get_the_size_of_the_others(tmp_path: Path) -> None:
    """Otherwise sharpness would tell the two sets apart."""
    further = faces(40, seed=2)
    larger = replace(further, images=further.images.repeat(2, axis=1).repeat(2, axis=2))
    run = with_further(tmp_path, MINI, larger)
    assert run.further is not None
    assert run.further.images.shape == (40, 48, 48)
    assert (run.further.images.float() - torch.from_numpy(further.images).float()).abs().mean() < 6


def test_rare_further_faces_are_drawn_more_often_than_they_are(tmp_path: Path) -> None:
    further = faces(100, seed=2)
    labels = np.where(np.arange(100) < 90, 0, 1)
    run = with_further(tmp_path, MINI, replace(further, labels=np.full(100, -1), majority=labels))
    assert run.further is not None
    drawn = run.further.draw(20_000, torch.Generator().manual_seed(0))
    # in the ratio of the square roots: 3 to 1
    assert (drawn >= 90).float().mean().item() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("share", [-0.1, 1.0, 0.99])
def test_a_share_that_leaves_no_other_face_is_refused(share: float, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="further_share"):
        with_further(tmp_path, replace(MINI, further_share=share), faces(40, seed=2))


# --- the initial weights in the saved ones --------------------------------------------------------------


def test_the_initial_weights_have_their_share_in_the_saved_ones(tmp_path: Path) -> None:
    """But not in the head for covers, which is fitted last."""
    first = start(tmp_path / "first", replace(MINI, covered=False))
    first.train(ignore, max_minutes=0)
    path, _ = first.finish()
    run = start(tmp_path / "run", replace(MINI, epochs=1, init=str(path), init_share=0.25))
    run.train(ignore)
    initial, saved = (load_weights(file).model.state_dict() for file in (path, run.finish()[0]))
    trained = run.average.module.state_dict()
    for name, values in trained.items():
        if name.startswith("covered."):
            continue
        expected = values
        if values.is_floating_point():
            expected = 0.75 * values + 0.25 * initial[name]
        torch.testing.assert_close(saved[name].float(), expected.float(), atol=2e-3, rtol=2e-3)
    assert "covered.weight" not in initial
    assert unequal({k: v.float() for k, v in saved.items()}, {k: v.float() for k, v in trained.items()})


# --- a run of so many minutes ---------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "expected"), [(10.0, 20), (10.4, 20), (0.0, 2), (0.6, 2)])
def test_the_first_two_epochs_decide_how_many_end_in_time(
    minutes: float, expected: int, tmp_path: Path
) -> None:
    run = start(tmp_path, replace(MINI, minutes=minutes, epochs=7))
    assert run.epochs == 7
    epochs = [Epoch(n, 1e-3, 1.0, 0.5, 0.5, seconds) for n, seconds in ((1, 20.0), (2, 40.0))]
    run.log = epochs[:1]
    assert run.epochs == 7
    run.log = epochs
    assert run.epochs == expected
    run.log = [*epochs, Epoch(3, 1e-3, 1.0, 0.5, 0.5, 500.0)]
    assert run.epochs == expected


def test_a_run_of_no_time_ends_after_two_epochs(tmp_path: Path) -> None:
    assert len(start(tmp_path, replace(MINI, minutes=0.0, epochs=30)).train(ignore)) == 2


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
    found = [{key: float(value) if value else None for key, value in row.items()} for row in rows]
    assert found == [asdict(epoch) for epoch in log]
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
    assert np.array_equal(run.faces.images.numpy(), train.images[kept])
    assert np.array_equal(run.faces.labels.argmax(dim=1).numpy(), train.labels[kept])
    assert np.array_equal(run.faces.votes.numpy(), train.votes[kept])
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


def timeless(epoch: Epoch) -> Epoch:
    return replace(epoch, seconds=0.0)


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

    def watch(
        model: Any, x: Tensor, target: Tensor, votes: Tensor | None, *rest: Any, **options: Any
    ) -> Tensor:
        seen.append((target, votes))
        return loss(model, x, target, votes, *rest, **options)

    monkeypatch.setattr(training_module, "training_loss", watch)
    monkeypatch.setattr(training_module, "_share", lambda *_: torch.tensor(0.75))
    start(tmp_path, replace(MINI, epochs=1, mixup=0.3)).train(ignore)
    assert seen
    for target, votes in seen:
        assert set(target.flatten().tolist()) <= {0, 0.25, 0.75, 1}
        torch.testing.assert_close(target.sum(dim=1), torch.ones(len(target)))
        assert votes is not None
        assert votes.shape == target.shape
