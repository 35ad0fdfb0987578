from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from small_networks import OTHER_ORDER
from torch import nn

from emonext import LABELS, Architecture, Card, EmoNeXt, Preprocessing
from emonext.inference import BATCH_SIZE, Scores, predict, predict_ten_crops

CPU = torch.device("cpu")
PREPARE = Preprocessing(size=32, resize=34, mean=0.5, std=0.25)
CARD = Card("small", Architecture((1, 1, 1, 1), (16, 16, 32, 32), 32, votes=True, covered=True), PREPARE)


@pytest.fixture
def model() -> EmoNeXt:
    """A small network whose two heads differ from each other, and from face to face."""
    torch.manual_seed(0)
    model = EmoNeXt(CARD.architecture, layer_scale=1.0).eval()
    assert model.votes is not None
    for head in (model.backbone.head.fc, model.votes):
        nn.init.normal_(head.weight, std=0.5)
    return model


@pytest.mark.parametrize("run", [predict, predict_ten_crops])
def test_no_faces_give_no_rows(run: Callable[..., Scores], model: EmoNeXt) -> None:
    found = run(model, PREPARE, noise(0), CPU)
    assert found.labels.shape == found.votes.shape == (0, 7)
    assert found.labels.dtype == found.votes.dtype == np.float32


def test_answers_are_those_of_the_prepared_pictures_by_each_head(model: EmoNeXt) -> None:
    with torch.inference_mode():
        features = model.features(PREPARE(torch.from_numpy(noise(3)))).numpy()
    found = predict(model, PREPARE, noise(3), CPU)
    assert model.votes is not None
    np.testing.assert_allclose(found.labels, linear(model.backbone.head.fc, features), atol=1e-4)
    np.testing.assert_allclose(found.votes, linear(model.votes, features), atol=1e-4)
    assert np.abs(found.labels - found.votes).max() > 0.1


def test_ten_crops_are_averaged_as_probabilities_by_each_head(model: EmoNeXt) -> None:
    found = predict_ten_crops(model, PREPARE, noise(3), CPU)
    for face in range(3):
        with torch.inference_mode():
            crops = PREPARE.ten_crops(torch.from_numpy(noise(3)[face : face + 1]))[0]
            features = model.features(crops).numpy()
        assert model.votes is not None
        for head, answer in ((model.backbone.head.fc, found.labels), (model.votes, found.votes)):
            each = softmax(linear(head, features), axis=1)
            assert np.ptp(each, axis=0).max() > 0.01  # the crops are not read alike
            np.testing.assert_allclose(answer[face], each.mean(axis=0), atol=1e-5)


def test_a_face_and_its_mirror_image_are_averaged_as_logits(model: EmoNeXt) -> None:
    faces = noise(3)
    one, other = (predict(model, PREPARE, images, CPU) for images in (faces, faces[:, :, ::-1].copy()))
    found = predict(model, PREPARE, faces, CPU, mirrored=True)
    for name in ("labels", "votes", "covered"):
        mean = (getattr(one, name) + getattr(other, name)) / 2
        np.testing.assert_allclose(getattr(found, name), mean, atol=1e-4)
    assert np.abs(one.votes - other.votes).max() > 1e-3
    assert np.ptp(found.covered) > 1e-3


def test_one_head_stands_for_both(model: EmoNeXt) -> None:
    model.votes = None
    for run in (predict, predict_ten_crops):
        found = run(model, PREPARE, noise(3), CPU)
        assert np.array_equal(found.labels, found.votes)


def test_colour_and_grey_are_read_alike(model: EmoNeXt) -> None:
    grey = noise(3)
    colour = grey[..., None].repeat(3, axis=3)
    np.testing.assert_allclose(
        predict(model, PREPARE, colour, CPU).labels, predict(model, PREPARE, grey, CPU).labels, atol=1e-3
    )


@pytest.mark.parametrize(("run", "count"), [(predict, 300), (predict_ten_crops, 140)])
def test_answers_come_in_the_order_of_the_faces_over_several_batches(
    run: Callable[..., Scores], count: int
) -> None:
    seen: list[int] = []
    levels = np.random.default_rng(0).integers(0, 7, count)
    images = np.broadcast_to((40 * levels)[:, None, None], (count, 48, 48)).astype(np.uint8)
    found = run(ByGrey(), Preprocessing(16, 16), images, CPU, seen.append)
    assert np.array_equal(found.labels.argmax(axis=1), levels)
    assert np.array_equal(found.votes.argmax(axis=1), 6 - levels)
    assert seen == [*range(BATCH_SIZE, count, BATCH_SIZE), count]


def test_answers_in_bf16_are_given_in_float32_and_nearly_the_same(model: EmoNeXt) -> None:
    """In bf16 a rounding is off by 2⁻⁸ at most, and twenty that follow each other by √20 × 2⁻⁸ = 1.7 %."""
    exact = predict(model, PREPARE, noise(3), CPU)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = predict(model, PREPARE, noise(3), CPU)
    assert rounded.labels.dtype == np.float32
    assert 0 < np.abs(rounded.labels - exact.labels).max() < 0.1 * np.abs(exact.labels).max()


# --- the order of the classes ---------------------------------------------------------------------------


def test_the_labels_are_brought_into_order_and_the_votes_are_in_it() -> None:
    labels, votes = np.random.default_rng(0).random((2, 4, 7), np.float32)
    found = Scores(labels, votes, np.zeros(4, np.float32)).ordered(replace(CARD, labels=OTHER_ORDER))
    for column, label in enumerate(LABELS):
        assert np.array_equal(found.labels[:, column], labels[:, OTHER_ORDER.index(label)])
    assert np.array_equal(found.votes, votes)


def test_where_one_head_stands_for_both_both_are_brought_into_order(model: EmoNeXt) -> None:
    model.votes = None
    card = replace(CARD, labels=OTHER_ORDER, architecture=replace(CARD.architecture, votes=False))
    raw = predict(model, PREPARE, noise(3), CPU)
    found = raw.ordered(card)
    assert np.array_equal(found.labels[:, LABELS.index("sad")], raw.labels[:, OTHER_ORDER.index("sad")])
    assert np.array_equal(found.labels, found.votes)


def test_a_head_is_asked_for_by_its_name() -> None:
    scores = Scores(np.zeros((1, 7), np.float32), np.ones((1, 7), np.float32), np.zeros(1, np.float32))
    assert scores.of("labels").sum() == 0
    assert scores.of("votes").sum() == 7


# --- helpers --------------------------------------------------------------------------------------------


class ByGrey(EmoNeXt):
    """Takes a face of grey 40·k for class k; its people's votes run the other way."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.covered = None

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return -((x.mean(dim=(1, 2, 3))[:, None] * 255 / 40 - torch.arange(7)) ** 2)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        return features

    def vote_logits(self, features: torch.Tensor) -> torch.Tensor:
        return features.flip(1)


def noise(n: int) -> NDArray[np.uint8]:
    """(n, 48, 48) blocks, so that there is something to see at every scale."""
    blocks = np.random.default_rng(0).integers(0, 256, (n, 6, 6), dtype=np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def linear(layer: nn.Linear, features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
