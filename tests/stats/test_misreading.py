"""stats.misreading: shares of truths from shares of answers, with intervals that know how they came about."""

import numpy as np
import pytest
from misread_clips import READ_AS, TRUE, misread_study

from pipeline.stats import misreading
from pipeline.stats.misreading import Confusion, adjusted, adjusted_with_interval, columns


def test_without_cases_a_column_is_unknown() -> None:
    assert np.isnan(columns(np.zeros((2, 2)))).all()
    assert columns(np.array([[3.0, 0.0], [1.0, 2.0]])).tolist() == [[0.75, 0.0], [0.25, 1.0]]


def test_two_classes_are_rogan_and_gladens() -> None:
    """(read + specificity − 1) ÷ (sensitivity + specificity − 1)."""
    sensitivity, specificity, read = 0.9, 0.8, 0.34
    matrix = np.array([[sensitivity, 1 - specificity], [1 - sensitivity, specificity]])
    expected = (read + specificity - 1) / (sensitivity + specificity - 1)
    assert adjusted(matrix, np.array([read, 1 - read])) == pytest.approx([expected, 1 - expected])


def test_inside_the_simplex_it_is_the_inverse() -> None:
    read = READ_AS @ TRUE
    assert adjusted(READ_AS, read) == pytest.approx(TRUE, abs=1e-4)
    several = adjusted(np.stack([READ_AS, READ_AS]), np.stack([read, READ_AS @ np.full(4, 0.25)]))
    assert several == pytest.approx(np.stack([TRUE, np.full(4, 0.25)]), abs=1e-3)


def test_beyond_the_simplex_it_is_the_most_likely_point_of_it() -> None:
    """Fewer positive answers than false positives alone would give: the true share is 0."""
    matrix = np.array([[0.9, 0.3], [0.1, 0.7]])
    assert adjusted(matrix, np.array([0.2, 0.8])) == pytest.approx([0, 1], abs=1e-4)


def test_a_truth_that_is_left_out_leaves_its_answer() -> None:
    three = READ_AS[:, :3]
    shares = np.array([0.3, 0.5, 0.2])
    assert adjusted(three, three @ shares) == pytest.approx(shares, abs=1e-4)


def test_resamples_without_a_truth_are_left_out() -> None:
    rated = np.zeros((6, 2, 2))
    rated[:, 0, 0], rated[:2, 1, 1] = 5, 5
    found, own = adjusted_with_interval(Confusion(rated, np.full((6, 2), 10.0)))
    assert found.value == pytest.approx([0.5, 0.5], abs=1e-4)
    assert np.isfinite([found.low, found.high]).all()
    assert own.low == pytest.approx(own.high)


@pytest.mark.simulation
def test_intervals_hold_the_true_share_and_those_of_the_answers_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """300 runs in tests/manual/misreading_trial.py; fewer here."""
    monkeypatch.setattr(misreading, "RESAMPLES", 200)
    adjusted_holds, read_holds = [], []
    for seed in range(60):
        found, own = adjusted_with_interval(misread_study(seed))
        adjusted_holds.append((found.low <= TRUE) & (found.high >= TRUE))
        read_holds.append((own.low <= TRUE) & (own.high >= TRUE))
    assert np.mean(adjusted_holds) == pytest.approx(0.95, abs=0.03)
    assert np.mean(read_holds, axis=0)[1:3].max() < 0.3
