"""What the tests of this room share."""

import pytest
from evaluated_faces import CPU, DATA, TWO_HEADS, weights

from emonext.evaluation import Evaluation, evaluate


@pytest.fixture
def found() -> Evaluation:
    return evaluate(weights(TWO_HEADS), DATA, CPU)
