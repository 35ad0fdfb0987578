"""What the tests of this room share."""

from pathlib import Path

import pytest
import torch
from evaluated_faces import CPU, DATA, TWO_HEADS, weights
from small_networks import CARD, SMALL

from emonext import EmoNeXt
from emonext.checkpoint import save_weights
from emonext.evaluation import Evaluation, evaluate


@pytest.fixture
def found() -> Evaluation:
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
