"""emonext.training.covered_head: faces that can't be read are told from those that can."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from emonext.checkpoint import load_weights
from emonext.corruptions import CORRUPTIONS
from emonext.datasets.forms import load_faces
from emonext.inference import predict
from emonext.model import ARCHITECTURES, EmoNeXt
from emonext.preprocessing import Preprocessing
from emonext.training.augmentation import Augmentation
from emonext.training.covered_head import _logistic_regression, fit_covered_head

CPU = torch.device("cpu")
SMALL = replace(ARCHITECTURES["atto"], dims=(8, 16, 24, 32), depths=(1, 1, 1, 1), image_size=32, covered=True)
PREPARE = Preprocessing(size=32, resize=32, crop_px=48)
BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}


def drawn_faces(count: int) -> NDArray[np.uint8]:
    """Two eyes and a mouth, of any tone, that are not quite in the same place."""
    random = np.random.default_rng(0)
    faces = np.empty((count, 48, 48), np.uint8)
    for face in faces:
        skin, x, y = random.integers(120, 200), *random.integers(-2, 3, 2)
        face[:] = skin
        for top, left, height, width in ((16, 10, 4, 8), (16, 30, 4, 8), (34, 16, 4, 16)):
            face[top + y : top + y + height, left + x : left + x + width] = skin - 90
    return faces


def test_only_the_head_changes_and_it_finds_turned_and_hidden_faces() -> None:
    torch.manual_seed(0)
    model = EmoNeXt(SMALL).eval()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    faces = drawn_faces(500)
    fit_covered_head(model, PREPARE, faces[:400], Augmentation())
    changed = {name for name, values in model.state_dict().items() if not torch.equal(values, before[name])}
    assert changed == {"covered.weight", "covered.bias"}

    def hidden(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return expit(predict(model, PREPARE, images, CPU, mirrored=True).covered) > 0.5

    assert hidden(faces[400:]).mean() < 0.1
    for name, level in (("rotation", 55), ("occlusion", 0.5)):
        assert hidden(BY_NAME[name].apply(faces[400:], level)).mean() > 0.6


def test_the_same_faces_give_the_same_head() -> None:
    torch.manual_seed(0)
    model, faces = EmoNeXt(SMALL).eval(), drawn_faces(150)
    heads = []
    for _ in range(2):
        fit_covered_head(model, PREPARE, faces, Augmentation(), seed=3)
        heads.append(model.covered.weight.detach().clone())  # type: ignore[union-attr]
    assert torch.equal(*heads)


def test_the_regression_equals_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    features = random.normal(5, (1, 20, 0.1), (400, 3))
    target = random.uniform(size=400) < expit(features[:, 0] - 5 + 0.05 * (features[:, 1] - 5))
    weight, bias = _logistic_regression(torch.from_numpy(features), torch.from_numpy(target).double())
    spread = features.std(axis=0, ddof=1)
    # the penalty is a ridge on scaled features, of the mean loss
    reference = LogisticRegression(C=1 / (2 * 1e-4 * len(target)), tol=1e-10, max_iter=10_000)
    reference.fit((features - features.mean(axis=0)) / spread, target)
    np.testing.assert_allclose(weight, reference.coef_[0] / spread, rtol=1e-3, atol=1e-6)
    ours = features @ weight.numpy() + float(bias)
    theirs = reference.decision_function((features - features.mean(axis=0)) / spread)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.slow
def test_the_shipped_weights_tell_turned_hidden_and_dark_faces(shared: Path, has_weights: bool) -> None:
    if not has_weights:
        pytest.skip("no trained weights come with the program")
    weights = load_weights()
    faces = load_faces(shared / "data", "val").images[:300]

    def covered(images: NDArray[np.uint8]) -> float:
        scores = predict(weights.model, weights.card.preprocessing, images, CPU, mirrored=True)
        return float((scores.covered > weights.card.covered_limit).mean())

    assert covered(faces) < 0.05
    for name, mild, severe in (("rotation", 10, 50), ("occlusion", 0.05, 0.45), ("darkness", 0.25, 0.02)):
        assert covered(BY_NAME[name].apply(faces, mild)) < 0.1
        assert covered(BY_NAME[name].apply(faces, severe)) > 0.5
