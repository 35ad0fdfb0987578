"""stats.own_offsets: patients who differ get offsets of their own, and others do not."""

from dataclasses import replace

import numpy as np
import pytest
from rated_samples import Distortion, rated_samples

from pipeline.records import EMOTIONS
from pipeline.stats import own_offsets as module
from pipeline.stats.own_offsets import own_offsets, patients_with_enough, session_test
from pipeline.stats.recalibration import Shift, clip_scores, fit_shift, unchanged

SAD = EMOTIONS.index("sad")


def test_without_clips_no_patient_has_enough() -> None:
    rated = rated_samples(1, 5)
    assert len(patients_with_enough(rated.only(np.zeros(5, bool)))) == 0


def test_enough_are_clips_of_two_sessions() -> None:
    rated = rated_samples(2, 40, patients=4)
    cluster = np.repeat([0, 1, 2, 3], [9, 10, 10, 11])
    session = np.concatenate([np.arange(9), 10 + np.arange(10) % 2, np.full(10, 20), 30 + np.arange(11) % 3])
    assert patients_with_enough(replace(rated, cluster=cluster, session=session)).tolist() == [1, 3]


def test_read_with_the_parameters_a_clip_scores_as_with_them() -> None:
    rated, shift = rated_samples(3, 20), Shift(1.7, np.linspace(-1, 1, 7))
    assert clip_scores(rated.shifted(shift), unchanged(7)) == pytest.approx(clip_scores(rated, shift))


def test_own_offsets_come_from_the_patients_clips_alone() -> None:
    rated, shift = rated_samples(4, 150, patients=3), Shift(1.3, np.linspace(0.3, -0.3, 7))
    others = replace(rated, votes=np.where(rated.cluster[:, None] == 1, rated.votes, np.eye(7)[3]))
    found = own_offsets(rated, shift, 1)
    assert found == pytest.approx(own_offsets(others, shift, 1))
    assert found.sum() == pytest.approx(0, abs=1e-9)


def test_few_clips_leave_a_patient_near_the_study_and_many_do_not() -> None:
    """Partial pooling: of a planted offset of −2, more is found from more clips."""
    found = []
    for clips in (10, 40, 1500):
        rated = rated_samples(5, clips, patients=1, sessions=40, distortion=Distortion(sad=-2.0, alike=True))
        found.append(own_offsets(rated, unchanged(7), 0)[SAD])
    planted = Distortion(sad=-2.0).offsets[SAD]
    assert 0 > found[0] > found[1] > found[2]
    assert found[2] == pytest.approx(planted, abs=0.25)


def test_a_session_is_judged_by_parameters_from_the_others() -> None:
    rated = rated_samples(6, 60, patients=3, sessions=2, distortion=Distortion(sad=-1.0))
    shift = fit_shift(rated)
    scores = np.zeros((2, 2, 60))
    for session in range(2, 6):  # of the second and the third patient
        out = rated.session == session
        of_study = fit_shift(rated.only(~out))
        own = fit_shift(
            rated.only(~out & (rated.cluster == session // 2)).shifted(of_study),
            with_temperature=False,
            prior_offset=module.PRIOR_OWN,
        )
        both = Shift(of_study.temperature, of_study.offsets + own.offsets)
        scores[:, :, out] = clip_scores(rated.only(out), of_study), clip_scores(rated.only(out), both)
    judged = rated.cluster > 0
    found = session_test(rated, shift, np.array([1, 2]))
    assert (found.clusters, found.clips) == (2, judged.sum())
    for change, row in ((found.agreement, 0), (found.log_loss, 1)):
        expected = scores[:, row, judged] @ rated.weights[judged] / rated.weights[judged].sum()
        assert (change.before, change.after) == pytest.approx(tuple(expected), abs=1e-3)


def taken(seed: int, distortion: Distortion) -> bool:
    rated = rated_samples(seed, 200, distortion=distortion)
    enough = patients_with_enough(rated)
    assert len(enough) >= module.MIN_OWN_PATIENTS
    return session_test(rated, fit_shift(rated), enough).helps


@pytest.mark.simulation
def test_patients_who_do_not_differ_are_refused_in_nine_of_ten() -> None:
    assert np.mean([taken(seed, Distortion(sad=-2.0, alike=True)) for seed in range(40)]) <= 0.1


@pytest.mark.simulation
def test_a_planted_bias_of_patients_is_found() -> None:
    planted = Distortion(sad=-2.0, own=2.0)
    assert np.mean([taken(seed, planted) for seed in range(20)]) >= 0.6
    far, near = [], []
    for seed in range(10):
        rated = rated_samples(seed, 600, distortion=planted)
        shift, own = fit_shift(rated), planted.own_offsets(seed, 12)[:, SAD]
        found = np.array([own_offsets(rated, shift, patient)[SAD] for patient in range(12)])
        assert np.corrcoef(found, own)[0, 1] > 0.5
        far.append(np.std(own))
        near.append(np.std(own - found))
    assert np.mean(near) < 0.8 * np.mean(far)
