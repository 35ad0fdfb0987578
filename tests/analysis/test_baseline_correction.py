"""analysis.baseline_correction: a face that looks sad at rest counts as calm; smiles stay smiles."""

import numpy as np
import pytest

from pipeline.analysis.baseline_correction import TYPICAL_REST, corrected, own_baseline, resting
from pipeline.analysis.episodes import Observed
from pipeline.checks.demo_study import Shown, as_classified
from pipeline.records import EMOTIONS

HAPPY, SAD, NEUTRAL = (EMOTIONS.index(name) for name in ("happy", "sad", "neutral"))


def observed(shown: list[Shown], rest: dict[str, float], length_s: float = 300, seed: int = 0) -> Observed:
    time_s = np.arange(0, length_s, 0.2)
    logits = np.array([rest.get(name, 0.0) for name in EMOTIONS])
    probabilities = as_classified(time_s, shown, logits, np.random.default_rng(seed)).astype(float)
    return Observed(time_s, np.full(len(time_s), 0.2), probabilities)


def share(samples: Observed, emotion: int) -> float:
    return float((samples.probabilities.argmax(axis=1) == emotion).mean())


def test_the_typical_face_is_a_distribution() -> None:
    assert set(TYPICAL_REST) == set(EMOTIONS)
    assert sum(TYPICAL_REST.values()) == pytest.approx(1)


def test_a_face_that_rests_as_most_do_is_left_alone() -> None:
    typical = np.tile([TYPICAL_REST[name] for name in EMOTIONS], (500, 1))
    samples = Observed(np.arange(500) * 0.2, np.full(500, 0.2), typical)
    baseline = own_baseline([resting(samples)], 100)
    assert baseline.shift == pytest.approx(np.zeros(7), abs=1e-9)
    assert corrected(samples, baseline).probabilities == pytest.approx(typical)


def test_what_looks_sad_at_rest_is_neutral_even_where_neutral_never_led() -> None:
    calm = observed([], {"sad": 5.5})
    assert share(calm, SAD) > 0.9
    own = corrected(calm, own_baseline([resting(calm)], 300))
    assert share(own, NEUTRAL) > 0.97
    assert own.probabilities.sum(axis=1) == pytest.approx(np.ones(1500))


def test_its_smiles_stay_smiles_and_its_sadness_can_still_be_seen() -> None:
    baseline = own_baseline([resting(observed([], {"sad": 3.2}))], 300)
    shown = [Shown("happy", 50, 80), Shown("sad", 150, 200)]
    later = corrected(observed(shown, {"sad": 3.2}, seed=1), baseline)
    assert share(later, HAPPY) == pytest.approx(30 / 300, abs=0.01)
    assert share(later, SAD) == pytest.approx(50 / 300, abs=0.03)


def test_smiles_in_the_calm_do_not_move_it() -> None:
    calm = observed([], {"sad": 3.2})
    with_smiles = observed([Shown("happy", 20, 120)], {"sad": 3.2}, seed=2)
    ours = [own_baseline([resting(samples)], 300).shift for samples in (calm, with_smiles)]
    assert np.abs(ours[0] - ours[1])[[SAD, NEUTRAL]].max() < 0.4


def test_no_correction_is_boundless() -> None:
    frozen = np.full((100, 7), 1e-9)
    frozen[:, SAD] = 1
    samples = Observed(np.arange(100.0), np.ones(100), frozen)
    assert np.abs(own_baseline([resting(samples)], 100).shift).max() == 3


def test_long_sessions_are_thinned() -> None:
    assert len(resting(observed([], {}, length_s=3600))) <= 2001
