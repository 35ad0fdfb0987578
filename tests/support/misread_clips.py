"""Simulated studies whose clips are misread in a known way; made without the program's own code."""

import numpy as np

from pipeline.stats.misreading import Confusion

TRUE = np.array([0.22, 0.5, 0.2, 0.08])
"""Mean true shares of positive, neutral, negative and surprise, over patients."""

READ_AS = np.array(
    [
        [0.85, 0.04, 0.05, 0.10],
        [0.08, 0.66, 0.18, 0.12],
        [0.04, 0.26, 0.74, 0.10],
        [0.03, 0.04, 0.03, 0.68],
    ]
)
"""(answer, truth): old faces at rest are read as negative."""


def misread_study(
    seed: int, rated: int = 150, patients: int = 12, sessions: int = 4, clips: int = 120
) -> Confusion:
    """Patients differ in their habits, sessions in how they are read; clips read as others than neutral are
    three times as likely to be rated."""
    random = np.random.default_rng(seed)
    truths, answers, whose = [], [], []
    for patient in range(patients):
        habits = random.dirichlet(30 * TRUE)
        for _ in range(sessions):
            read_as = READ_AS * np.exp(random.normal(0, 0.3, READ_AS.shape))
            truth = random.choice(4, clips, p=habits)
            chance = np.cumsum(read_as / read_as.sum(axis=0), axis=0)[:, truth]
            truths.append(truth)
            answers.append((random.random(clips) > chance).sum(axis=0).clip(max=3))
            whose.append(np.full(clips, patient))
    truth, answer, patient = map(np.concatenate, (truths, answers, whose))
    odds = np.where(answer == 1, 1.0, 3.0)
    inclusion = rated * odds / odds.sum()
    drawn = random.random(len(truth)) < inclusion
    known, read = np.zeros((patients, 4, 4)), np.zeros((patients, 4))
    np.add.at(known, (patient[drawn], answer[drawn], truth[drawn]), 1 / inclusion[drawn])
    np.add.at(read, (patient, answer), 1)
    return Confusion(known, read)
