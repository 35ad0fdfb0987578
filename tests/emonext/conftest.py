"""What the tests of this room share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from evaluated_faces import CPU, DATA, TWO_HEADS, weights
from small_networks import CARD, SMALL

from emonext import ARCHITECTURES, Architecture, EmoNeXt
from emonext import evaluation as evaluation_module
from emonext.checkpoint import save_weights
from emonext.evaluation import evaluate
from emonext.results import Evaluation
from emonext.training import run as training_module

FEW_RESAMPLES = 50
"""1,000 resamples of every figure take a second."""


@pytest.fixture(scope="session")
def found() -> Evaluation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation_module, "BOOTSTRAP_RESAMPLES", FEW_RESAMPLES)
        return evaluate(weights(TWO_HEADS), DATA, CPU)


@pytest.fixture
def model() -> EmoNeXt:
    torch.manual_seed(0)
    return EmoNeXt(SMALL, layer_scale=1.0).eval()


@pytest.fixture
def path(tmp_path: Path, model: EmoNeXt) -> Path:
    """Good weights, with their sha256 beside them."""
    save_weights(model, CARD, tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_module, "BOOTSTRAP_RESAMPLES", FEW_RESAMPLES)


@pytest.fixture
def mini(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An architecture small enough to be trained in a test, on one core, and nothing slow beside it."""
    monkeypatch.setitem(ARCHITECTURES, "mini", Architecture((1, 1, 1, 1), (16, 16, 32, 32), 32))
    monkeypatch.setattr(evaluation_module, "BOOTSTRAP_RESAMPLES", 10)
    monkeypatch.setattr(training_module, "draw_curves", lambda log, path: None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
