"""stats.holm: Holm's correction, against statsmodels and by hand."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from pipeline.stats.holm import holm


def test_of_no_test_there_is_nothing() -> None:
    assert holm([]) == []
    assert holm([], tests=3) == []


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_it_is_statsmodels_holm(count: int) -> None:
    p = np.random.default_rng(count).uniform(size=count) ** 3
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1].tolist())


def test_missing_tests_count_as_p_1() -> None:
    p = [0.04, 0.01]
    filled = multipletests([*p, 1.0, 1.0], method="holm")[1]
    assert holm(p, tests=4) == pytest.approx(filled[:2].tolist())
    assert holm(p, tests=4) == pytest.approx([3 * 0.04, 4 * 0.01])
