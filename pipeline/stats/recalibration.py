"""Recalibrate a classifier's probabilities by raters' answers to clips, and test the result on unseen people.

p'_c ∝ exp(log(p_c) / T + b_c): a temperature (Guo et al., ICML 2017) and one offset per expression, which are
the same for all people, sessions and conditions. A clip holds several samples and one answer of each rater:
its probability of an answer is the mean of its samples' probabilities of that expression. The parameters
maximise the clips' likelihood, weighted by the clips' sampling weights (pseudo-likelihood: Skinner 1989),
with a normal prior towards no change.

The test leaves out one cluster (patient) at a time. Its interval treats the clusters as the observations:
ratio estimator with linearised variance (Cochran, *Sampling Techniques*, 1977, § 6.3) and Student's t.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from scipy.stats import t as student

from pipeline.stats.level import LEVEL

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

PRIOR_LOG_T, PRIOR_OFFSET = 0.5, 0.5
"""Standard deviations of the prior: of log T, and of each offset.

The classifier's temperature was fitted before: 95 % of the prior lies within a factor of 2.7. An offset of
0.5 multiplies the odds by 1.6: from 100 clips, those of rare expressions can't be estimated any better. In
simulated studies with a planted offset of 1.2 on sad, 0.7 finds more of it, but is accepted less often (39 %
instead of 48 % at 100 clips), and so is a standard deviation that is chosen in each study by marginal
likelihood (36 %): an offset of one expression among seven is small on average. With more clips the prior has
less influence.
"""

LEAST_LEVEL = 0.85
"""One-sided confidence with which log loss must fall on unseen clusters.

Below 0.95, because the test errs on the safe side: parameters that are estimated without need make unseen
clusters worse, so that without a bias the expected change is a rise. Of 200 simulated studies without a
bias, 92 % are refused with 60 clips, 96 % with 100, 95 % with 150 (``tests/manual/adaptation_trial.py``). To
try the offsets without a temperature too would accept more biases, but refuse only 89 % with 60 clips.
"""

# Agreement that falls by less than this is the same in whole percent.
_NOT_LESS = -0.005


@dataclass(frozen=True, eq=False)
class RatedSamples:
    """The samples of n rated clips, m in all, c classes.

    :param logs: (m, c) logarithms of the probabilities; ``seconds``: (m,) duration of each sample.
    :param first: (n,) ascending, place of each clip's first sample.
    :param votes: (n, c) share of each clip's answers; rows add up to 1.
    :param weights: (n,) sampling weights; ``cluster``: (n,) person, or session, of each clip, as the test
        leaves them out; ``session``: (n,) session of each clip.
    """

    logs: Floats
    seconds: Floats
    first: Places
    votes: Floats
    weights: Floats
    cluster: Places
    session: Places

    @property
    def clip_of(self) -> Places:
        """(m,) clip of each sample."""
        return np.repeat(np.arange(len(self.first)), np.diff(self.first, append=len(self.seconds)))

    def only(self, wanted: NDArray[np.bool_]) -> "RatedSamples":
        """:param wanted: (n,)"""
        clip_of = self.clip_of
        counts = np.bincount(clip_of, minlength=len(self.first))[wanted]
        samples = wanted[clip_of]
        return RatedSamples(
            self.logs[samples],
            self.seconds[samples],
            np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64),
            self.votes[wanted],
            self.weights[wanted],
            self.cluster[wanted],
            self.session[wanted],
        )

    def shifted(self, shift: "Shift") -> "RatedSamples":
        """The same clips, read with the parameters."""
        logs: Floats = log_softmax(self.logs / shift.temperature + shift.offsets, axis=1)
        return replace(self, logs=logs)


@dataclass(frozen=True, eq=False)
class Shift:
    """:param temperature: above 0. ``offsets``: (c,), which add up to 0."""

    temperature: float
    offsets: Floats


def unchanged(classes: int) -> Shift:
    return Shift(1.0, np.zeros(classes))


def shifted(logs: Floats, shift: Shift) -> Floats:
    """(m, c) logarithms of probabilities → (m, c) probabilities."""
    found: Floats = np.exp(log_softmax(logs / shift.temperature + shift.offsets, axis=1))
    return found


def fit_shift(
    rated: RatedSamples,
    *,
    with_offsets: bool = True,
    with_temperature: bool = True,
    prior_offset: float = PRIOR_OFFSET,
    near: Shift | None = None,
) -> Shift:
    """The most likely parameters, given the prior; or the temperature alone, or the offsets.

    Weights are scaled to their effective number (Kish 1965), so that the prior has its due influence.

    :param prior_offset: standard deviation of the prior of each offset.
    :param near: where the search begins; by default, at no change.
    """
    scaled = rated.weights * rated.weights.sum() / (rated.weights**2).sum()
    parts = rated.seconds / np.add.reduceat(rated.seconds, rated.first)[rated.clip_of]
    clip_of = rated.clip_of

    def lack(values: Floats) -> tuple[float, Floats]:
        inverse = np.exp(-values[0])
        p = np.exp(log_softmax(rated.logs * inverse + values[1:], axis=1))
        joint = p * parts[:, None]
        of_clip = np.add.reduceat(joint, rated.first)
        loss = -(scaled[:, None] * rated.votes * np.log(of_clip)).sum()
        share = joint * (scaled[:, None] * rated.votes / of_clip)[clip_of]
        slope = p * share.sum(axis=1, keepdims=True) - share
        gradient = np.concatenate([[-inverse * (slope * rated.logs).sum()], slope.sum(axis=0)])
        loss += 0.5 * (values[0] / PRIOR_LOG_T) ** 2 + 0.5 * ((values[1:] / prior_offset) ** 2).sum()
        gradient[0] = gradient[0] + values[0] / PRIOR_LOG_T**2 if with_temperature else 0.0
        gradient[1:] = gradient[1:] + values[1:] / prior_offset**2 if with_offsets else 0.0
        return float(loss), gradient

    near = near or unchanged(rated.logs.shape[1])
    start = np.concatenate([[np.log(near.temperature)], near.offsets])
    found = minimize(lack, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-10, "gtol": 1e-6})
    # the likelihood ignores a common constant, and the prior sets it to 0, up to the optimiser's tolerance
    return Shift(float(np.exp(found.x[0])), found.x[1:] - found.x[1:].mean())


def clip_probabilities(rated: RatedSamples, shift: Shift) -> Floats:
    """(n, c) mean probabilities of the clips."""
    weighted = shifted(rated.logs, shift) * rated.seconds[:, None]
    return np.add.reduceat(weighted, rated.first) / np.add.reduceat(rated.seconds, rated.first)[:, None]


def clip_answers(rated: RatedSamples, shift: Shift) -> Places:
    """(n,) class that is the most likely one for most of the clip; the first on a tie."""
    most_likely = (rated.logs / shift.temperature + shift.offsets).argmax(axis=1)
    seconds = np.zeros(rated.votes.shape)
    np.add.at(seconds, (rated.clip_of, most_likely), rated.seconds)
    answers: Places = seconds.round(6).argmax(axis=1)
    return answers


# --- the test


@dataclass(frozen=True)
class Change:
    """Weighted mean before and after, and their difference with its 95 % interval.

    :param least: lower end of the improvement's one-sided interval, of :data:`LEAST_LEVEL`.
    """

    before: float
    after: float
    difference: float
    low: float
    high: float
    least: float


@dataclass(frozen=True)
class HeldOutTest:
    """What the parameters do on clusters that did not help to estimate them.

    :param clusters: number of clusters; ``clips``: number of clips.
    :param agreement: share of raters' answers that the machine's answer equals, 0…1.
    :param log_loss: −log of the probability of a rater's answer; its difference is below 0 if it improves.
    """

    clusters: int
    clips: int
    agreement: Change
    log_loss: Change

    @property
    def helps(self) -> bool:
        """Whether log loss falls by more than chance, and agreement does not fall (in whole percent)."""
        return self.log_loss.least > 0 and self.agreement.difference > _NOT_LESS


def helpful_shift(rated: RatedSamples) -> tuple[Shift, HeldOutTest]:
    """Parameters from all clips, and their test: with offsets if they help, else the temperature alone.

    A temperature changes how sure the machine is, but not which expression is the most likely one. If neither
    helps, both results are those with offsets.
    """
    tests = {with_offsets: held_out_test(rated, with_offsets=with_offsets) for with_offsets in (True, False)}
    with_offsets = tests[True].helps or not tests[False].helps
    return fit_shift(rated, with_offsets=with_offsets), tests[with_offsets]


def clip_scores(rated: RatedSamples, shift: Shift) -> Floats:
    """(2, n) share of each clip's answers that the machine's answer equals, and its log loss."""
    answers = clip_answers(rated, shift)
    agreement = rated.votes[np.arange(len(answers)), answers]
    return np.stack([agreement, -(rated.votes * np.log(clip_probabilities(rated, shift))).sum(axis=1)])


def held_out_test(rated: RatedSamples, *, with_offsets: bool = True) -> HeldOutTest:
    """Leave out one cluster at a time; two clusters or more."""
    none, of_all = unchanged(rated.votes.shape[1]), fit_shift(rated, with_offsets=with_offsets)
    scores = np.zeros((2, 2, len(rated.first)))
    for cluster in np.unique(rated.cluster):
        own = rated.cluster == cluster
        held_out = rated.only(own)
        fitted = fit_shift(rated.only(~own), with_offsets=with_offsets, near=of_all)
        scores[:, :, own] = clip_scores(held_out, none), clip_scores(held_out, fitted)
    return tested(scores, rated)


def tested(scores: Floats, rated: RatedSamples) -> HeldOutTest:
    """:param scores: (2, 2, n), of :func:`clip_scores`, before and after."""
    agreement, loss = scores.swapaxes(0, 1)
    return HeldOutTest(
        len(np.unique(rated.cluster)),
        len(rated.first),
        change(agreement, rated.weights, rated.cluster),
        change(loss, rated.weights, rated.cluster, better=-1),
    )


def change(both: Floats, weights: Floats, cluster: Places, better: int = 1) -> Change:
    """:param both: (2, n) values before and after. ``better``: −1 if smaller values are better."""
    before, after = both @ weights / weights.sum()
    difference = after - before
    residuals = weights * (both[1] - both[0] - difference) / weights.sum()
    sums = np.bincount(np.unique(cluster, return_inverse=True)[1], residuals)
    count = len(sums)
    error = np.sqrt(count / (count - 1) * (sums**2).sum())
    half = error * student.ppf((1 + LEVEL) / 2, count - 1)
    least = better * difference - error * student.ppf(LEAST_LEVEL, count - 1)
    return Change(*map(float, (before, after, difference, difference - half, difference + half, least)))
