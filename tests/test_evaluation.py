import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.special import log_softmax, softmax
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support
from torch import Tensor, nn

from emonext import LABELS, Architecture, Card, DataError, EmoNeXt, Preprocessing, load_weights
from emonext.checkpoint import DEFAULT, SHIPPED, Weights
from emonext.data import FaceSet, load_fer2013
from emonext.evaluation import Evaluation, evaluate, fit_temperature, predict, predict_ten_crops
from emonext.figures import draw_confusion

CPU = torch.device("cpu")
PLAIN = Preprocessing(size=16, resize=16)
CARD = Card("by-grey", Architecture((1, 1, 1, 1), (16, 16, 32, 32), 32), PLAIN, temperature=2.0)

# Ten faces: what they are, what the network takes them for, whether they stand in the training split too.
TRUTH = np.array([0, 0, 0, 1, 3, 3, 3, 3, 4, 6])
CHOSEN = np.array([0, 0, 4, 0, 3, 3, 3, 6, 4, 6])
UNSEEN = np.array([1, 0, 1, 1, 1, 1, 0, 0, 1, 1], bool)


@pytest.fixture
def found() -> Evaluation:
    return evaluate(WEIGHTS, DATA, CPU)


# --- nothing to evaluate --------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [predict, predict_ten_crops])
def test_no_faces_give_no_rows(run: Callable[..., NDArray[np.float32]]) -> None:
    assert run(ByGrey(), PLAIN, np.zeros((0, 48, 48), np.uint8), CPU).shape == (0, 7)


def test_an_empty_set_cannot_be_evaluated() -> None:
    with pytest.raises(DataError):
        evaluate(WEIGHTS, DATA.select(np.zeros(len(DATA), bool)), CPU)


# --- against hand-computed figures ----------------------------------------------------------------------


def test_shares_are_those_counted_by_hand(found: Evaluation) -> None:
    assert found.count == 10
    assert found.accuracy == 7 / 10
    assert found.accuracy_unseen == 5 / 7
    assert found.accuracy_ten_crops == 7 / 10  # faces of one grey look alike from every corner
    assert found.recall == {
        "angry": pytest.approx(2 / 3),
        "disgust": 0,
        "fear": 0,
        "happy": 3 / 4,
        "sad": 1,
        "surprise": 0,
        "neutral": 1,
    }
    # 2PR / (P + R), and 0 for the three that nothing was taken for rightly
    f1 = [2 * 2 / (3 + 3), 0, 0, 2 * 3 / (4 + 3), 2 * 1 / (1 + 2), 0, 2 * 1 / (1 + 2)]
    assert found.macro_f1 == pytest.approx(sum(f1) / 7)


def test_the_confusion_counts_true_rows_and_predicted_columns(found: Evaluation) -> None:
    expected = np.zeros((7, 7), int)
    for true, chosen in zip(TRUTH, CHOSEN, strict=True):
        expected[true, chosen] += 1
    assert found.confusion == expected.tolist()
    assert found.confusion[0][4] == 1


def test_the_log_loss_is_that_of_calibrated_probabilities(found: Evaluation) -> None:
    logits = -((CHOSEN[:, None] - np.arange(7)) ** 2) / 2.0  # the temperature is 2
    expected = -log_softmax(logits, axis=1)[np.arange(10), TRUTH].mean()
    assert found.log_loss == pytest.approx(expected, rel=1e-5)
    assert found.temperature == 2.0


def test_figures_agree_with_scikit_learn_on_real_noise() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 7, 300)
    chosen = np.where(rng.random(300) < 0.6, truth, rng.integers(0, 7, 300))
    found = evaluate(WEIGHTS, face_set(truth, chosen, np.ones(300, bool)), CPU)
    _, recall, f1, _ = precision_recall_fscore_support(truth, chosen)
    assert list(found.recall.values()) == pytest.approx(recall.tolist())
    assert np.mean(list(found.recall.values())) == pytest.approx(balanced_accuracy_score(truth, chosen))
    assert found.macro_f1 == pytest.approx(f1.mean())
    assert found.accuracy == found.accuracy_unseen == (truth == chosen).mean()


def test_an_evaluation_is_plain_json_with_its_labels(found: Evaluation) -> None:
    values = json.loads(json.dumps(found.to_dict()))
    assert list(values["recall"]) == list(LABELS)
    assert values["faces_per_s"] > 0


def test_progress_counts_every_face_twice_and_ends() -> None:
    seen: list[tuple[int, int]] = []
    evaluate(WEIGHTS, many(300), CPU, lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (600, 600)
    assert len(seen) >= 4


# --- the network's answers ------------------------------------------------------------------------------


def test_answers_come_in_the_order_of_the_faces_over_several_batches() -> None:
    data = many(300)
    assert np.array_equal(predict(ByGrey(), PLAIN, data.images, CPU).argmax(axis=1), data.labels)


def test_answers_are_those_of_the_prepared_pictures() -> None:
    torch.manual_seed(0)
    model, faces = EmoNeXt(CARD.architecture, layer_scale=1.0).eval(), noise(3)
    prepare = Preprocessing(size=32, resize=34, mean=0.5, std=0.25)
    with torch.inference_mode():
        expected = model(prepare(torch.from_numpy(faces)))
    np.testing.assert_allclose(predict(model, prepare, faces, CPU), expected, atol=1e-5)


def test_ten_crops_are_averaged_as_probabilities() -> None:
    torch.manual_seed(0)
    model, faces = EmoNeXt(CARD.architecture, layer_scale=1.0).eval(), noise(3)
    nn.init.normal_(model.backbone.head.fc.weight, std=0.5)
    prepare = Preprocessing(size=32, resize=32, mean=0.5, std=0.25)
    with torch.inference_mode():
        each = [model(crops).numpy() for crops in prepare.ten_crops(torch.from_numpy(faces))]
    expected = [softmax(logits, axis=1).mean(axis=0) for logits in each]
    np.testing.assert_allclose(predict_ten_crops(model, prepare, faces, CPU), expected, atol=1e-5)


# --- calibration ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (20_000, 7))
    labels = (softmax(honest, axis=1).cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    found = fit_temperature((honest * temperature).astype(np.float32), labels)
    assert found == pytest.approx(temperature, rel=0.03)


def test_the_temperature_has_the_lowest_log_loss() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (500, 7)).astype(np.float32), rng.integers(0, 7, 500)
    logits[np.arange(500), labels] += 3
    best = fit_temperature(logits, labels)

    def loss(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(500), labels].mean())

    assert loss(best) < min(loss(best * 1.02), loss(best / 1.02), loss(1.0))


# --- pictures and real faces ----------------------------------------------------------------------------


def test_the_confusion_is_drawn(found: Evaluation, tmp_path: Path) -> None:
    draw_confusion(found, tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert min(picture.size) > 500


@pytest.mark.skipif(DEFAULT not in SHIPPED, reason="no weights are shipped yet")
def test_the_default_weights_read_fer2013(shared: Path) -> None:
    """People reach about 65 %; the largest class alone is 25 %."""
    weights, data = load_weights(), load_fer2013(shared / "data", "val")
    logits = predict(weights.model, weights.card.preprocessing, data.images, CPU)
    accuracy = (logits.argmax(axis=1) == data.labels).mean()
    assert accuracy >= 0.60
    assert weights.card.metrics["val_accuracy"] == pytest.approx(accuracy, abs=0.005)


# --- helpers --------------------------------------------------------------------------------------------


class ByGrey(nn.Module):
    """Takes a face of grey 40·k for class k; the logits fall with the square of the distance."""

    def forward(self, x: Tensor) -> Tensor:
        return -((x.mean(dim=(1, 2, 3))[:, None] * 255 / 40 - torch.arange(7)) ** 2)


def face_set(truth: NDArray[np.int64], chosen: NDArray[np.int64], unseen: NDArray[np.bool_]) -> FaceSet:
    """Faces that :class:`ByGrey` takes for ``chosen``."""
    images = np.broadcast_to((40 * chosen)[:, None, None], (len(chosen), 48, 48)).astype(np.uint8)
    return FaceSet(images, truth, np.eye(7, dtype=np.float32)[truth], unseen)


def many(n: int) -> FaceSet:
    labels = np.random.default_rng(1).integers(0, 7, n)
    return face_set(labels, labels, np.ones(n, bool))


def noise(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, 48, 48), dtype=np.uint8)


WEIGHTS = Weights(ByGrey(), CARD, "")  # type: ignore[arg-type]
DATA = face_set(TRUTH, CHOSEN, UNSEEN)
