"""Offsets of single patients on top of a study's recalibration, partially pooled.

A patient's probabilities are p'_c ∝ exp(log(p_c) / T + b_c + u_c): T and b are the study's
(:mod:`pipeline.stats.recalibration`), u is the patient's own. u has a normal prior around 0: few clips leave
a patient near the study's numbers, many do not (partial pooling: Gelman & Hill, *Data Analysis Using
Regression and Multilevel/Hierarchical Models*, 2007, ch. 12).

The test leaves out one session at a time: its clips are read with T and b estimated without it, once alone
and once with u from the patient's other sessions. The interval treats the patients as the observations. Own
offsets are taken for all patients with enough clips, or for none: to choose those for whom it went well would
make the test's result look better than it is.
"""

import numpy as np

from pipeline.stats.recalibration import (
    Floats,
    HeldOutTest,
    Places,
    RatedSamples,
    Shift,
    clip_scores,
    fit_shift,
    tested,
    unchanged,
)

PRIOR_OWN = 0.5
"""Standard deviation of the prior of a patient's own offsets.

Clips of a session share its light and angle, so that a patient's offsets are less certain than the number of
clips says. In simulated studies, 0.7 makes unseen sessions worse where patients do not differ, and is taken
less often where they do; 0.25 gains half as much. A standard deviation chosen by marginal likelihood gains as
much from 600 clips, but is taken less often with 150 (36 instead of 54 % where patients differ by 2).
"""

MIN_OWN_CLIPS, MIN_OWN_SESSIONS = 10, 2
"""Minimum of clips of a patient, and of their sessions."""

MIN_OWN_PATIENTS = 5
"""Minimum of patients with enough clips: they are the observations of the test."""


def patients_with_enough(rated: RatedSamples) -> Places:
    """Clusters with enough clips of enough sessions; clusters must be patients."""
    of_patient = {one: rated.session[rated.cluster == one] for one in np.unique(rated.cluster)}
    enough = [
        one
        for one, sessions in of_patient.items()
        if len(sessions) >= MIN_OWN_CLIPS and len(np.unique(sessions)) >= MIN_OWN_SESSIONS
    ]
    return np.array(enough, np.int64)


def own_offsets(rated: RatedSamples, shift: Shift, patient: int) -> Floats:
    """(c,) offsets of a patient on top of the study's; they add up to 0."""
    own = rated.only(rated.cluster == patient).shifted(shift)
    return fit_shift(own, with_temperature=False, prior_offset=PRIOR_OWN).offsets


def session_test(rated: RatedSamples, shift: Shift, patients: Places) -> HeldOutTest:
    """Leave out one session at a time of each of the patients.

    :param shift: the study's, from all clips.
    :param patients: two or more, each with two sessions or more.
    :returns: the change from the study's parameters to those with own offsets.
    """
    wanted = np.isin(rated.cluster, patients)
    scores = np.zeros((2, 2, len(rated.first)))
    for session in np.unique(rated.session[wanted]):
        out = rated.session == session
        others = rated.only(~out)
        of_study = fit_shift(others, with_offsets=bool(shift.offsets.any()), near=shift)
        own = own_offsets(others, of_study, rated.cluster[out][0])
        held_out = rated.only(out).shifted(of_study)
        without = unchanged(len(own))
        scores[:, :, out] = clip_scores(held_out, without), clip_scores(held_out, Shift(1.0, own))
    return tested(scores[:, :, wanted], rated.only(wanted))
