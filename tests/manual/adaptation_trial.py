"""How often adaptation is accepted, and how well it finds a planted bias, in many simulated studies.

    PYTHONPATH=.:tests/support python tests/manual/adaptation_trial.py [RUNS]

Each line: clips of 12 patients, the planted distortion, share accepted, mean change of log loss and of
agreement on unseen patients, and bias and RMSE of log T and of the offset of sad. Then, of offsets of
patients on top of the study's: share taken, change on unseen sessions, and the spread over patients of the
offset of sad, planted and left after their own offsets.
"""

import sys

import numpy as np
from rated_samples import Distortion, rated_samples

from pipeline.records import EMOTIONS
from pipeline.stats.own_offsets import MIN_OWN_PATIENTS, own_offsets, patients_with_enough, session_test
from pipeline.stats.recalibration import fit_shift, helpful_shift

PLANTED = (Distortion(), Distortion(sad=-1.2), Distortion(sad=-2.0), Distortion(temperature=2.0))
OF_PATIENTS = (
    Distortion(sad=-2.0, alike=True),
    Distortion(sad=-2.0),
    Distortion(sad=-2.0, own=1.0),
    Distortion(sad=-2.0, own=2.0),
)
SAD = EMOTIONS.index("sad")


def of_study(runs: int, clips: int, planted: Distortion) -> str:
    studies = [rated_samples(seed, clips, distortion=planted) for seed in range(runs)]
    tests = [helpful_shift(study)[1] for study in studies]
    shifts = [fit_shift(study) for study in studies]
    log_t = np.array([np.log(one.temperature) for one in shifts]) - np.log(planted.temperature)
    sad = np.array([one.offsets[SAD] for one in shifts]) - planted.offsets[SAD]
    return (
        f"{clips:5}  T {planted.temperature:g}, sad {planted.sad:+g}: "
        f"accepted {np.mean([one.helps for one in tests]):.3f}, "
        f"agreement before {np.mean([one.agreement.before for one in tests]):.2f}, "
        f"change {np.mean([one.agreement.difference for one in tests]):+.3f}, "
        f"log loss {np.mean([one.log_loss.difference for one in tests]):+.3f}, "
        f"log T {log_t.mean():+.2f} ({np.sqrt((log_t**2).mean()):.2f}), "
        f"sad {sad.mean():+.2f} ({np.sqrt((sad**2).mean()):.2f})"
    )


def of_patients(runs: int, clips: int, planted: Distortion) -> str:
    tests, spread = [], []
    for seed in range(runs):
        rated = rated_samples(seed, clips, distortion=planted)
        shift, test = helpful_shift(rated)
        enough = patients_with_enough(rated)
        if not test.helps or len(enough) < MIN_OWN_PATIENTS:
            continue
        tests.append(session_test(rated, shift, enough))
        own = planted.own_offsets(seed, 12)[enough, SAD]
        found = np.array([own_offsets(rated, shift, patient)[SAD] for patient in enough])
        spread.append((np.std(own), np.std(own - found)))
    before, left = np.mean(spread, axis=0)
    return (
        f"{clips:5}  sad {planted.sad:+g}, of patients {planted.own:g}, alike {planted.alike}: "
        f"of {len(tests)} tested, taken {np.mean([one.helps for one in tests]):.3f}, "
        f"agreement {np.mean([one.agreement.before for one in tests]):.2f}, "
        f"change {np.mean([one.agreement.difference for one in tests]):+.3f}, "
        f"log loss {np.mean([one.log_loss.difference for one in tests]):+.3f}, "
        f"spread {before:.2f}, left {left:.2f}"
    )


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for planted in PLANTED:
        for clips in (60, 100, 150):
            print(of_study(runs, clips, planted), flush=True)  # noqa: T201
    for planted in OF_PATIENTS:
        for clips in (150, 300, 600):
            print(of_patients(runs, clips, planted), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
