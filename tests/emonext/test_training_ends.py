"""training.run: weights and model card at the end of a run."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax
from training_runs import CPU, MINI, faces, ignore, start, unequal

from emonext import ARCHITECTURES, LABELS, Classifier, load_weights
from emonext.calibration import fit_temperature
from emonext.datasets.data import FaceSet
from emonext.inference import predict
from emonext.training.run import FER2013_MEAN

pytestmark = [pytest.mark.training, pytest.mark.usefixtures("mini")]


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
    shape = replace(ARCHITECTURES["mini"], votes=True, covered=True)
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
    scores = predict(run.average.module.eval(), run.prepare, val.images, CPU, mirrored=True)
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
    mirrored = predict(run.average.module.eval(), run.prepare, val.images, CPU, mirrored=True)
    calibrated = log_softmax(mirrored.labels / card.temperature, axis=1)

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


def voteless(data: FaceSet) -> FaceSet:
    return replace(data, votes=np.zeros_like(data.votes), majority=np.full(len(data), -1))


def doubtful(data: FaceSet) -> FaceSet:
    """A quarter is labelled wrongly and two people of five disagree, so that certainty does not pay."""
    labels = np.where(np.arange(len(data)) % 4, data.labels, 6)
    return replace(
        data, labels=labels, votes=0.6 * data.votes + np.float32(0.4) * np.roll(data.votes, 1, axis=1)
    )
