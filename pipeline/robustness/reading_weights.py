"""Weight the readable samples of a session, so that they stand for all: inverse-probability weights.

A face that is turned away, dark or small is lost more often. Where it is still read, these samples count for
those that were lost. Each readable sample stands for itself, and for a part of the lost time in proportion
to its odds to be lost, (1 − p) ÷ p. In sum this is weighting by 1 ÷ p (Horvitz & Thompson, *J Am Stat
Assoc* 1952; Seaman & White, *Stat Methods Med Res* 2013), and a weighted share is never outside the bounds.
The chance p to be read is fitted within the session, because cameras and habits differ between sessions.

What is known of a sample must be known in the same way whether it was read or not. The size or pose of the
sample's own face would not do: a face beyond a limit is never read, so that no readable sample could stand
for it. The time since the face was last seen would not do either, because it almost says whether a face is
seen now. So each covariate is the mean over the patient's faces within a second around the sample, readable
or not; where there is none, it is interpolated between the nearest ones. Covariates enter as normal scores of
their ranks, so that a few extreme faces neither drive the model nor fail the check.

Weights do not correct for a face that is lost because of its expression, such as a face buried in hands.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from pipeline.records import TIME_EPS_S
from pipeline.stats.ridge_logistic import effective_share, fit_chances, standardised_differences
from pipeline.store.coverage import sample_seconds
from pipeline.store.timeline import Timeline

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Covariates that vary less are constant.
_CONSTANT = 1e-6


@dataclass(frozen=True)
class WeightSettings:
    """Settings of the weights. The limits of the check are conventions, not measured thresholds.

    :param around_s: covariates are means over the faces up to so many seconds before and after a sample. A
        longer time blurs what differs, so that the check would pass where it must not.
    :param penalty: ridge penalty of each slope, where a stretch of read or unread time is one observation.
    :param largest: chances below the share read ÷ this are taken as that, so that no weight is much larger;
        the mean weight is 1 (Cole & Hernán, *Am J Epidemiol* 2008).
    :param least_effective: least effective number of readable samples ÷ their number.
    :param most_apart: largest standardised difference of a covariate after weighting (Austin 2009).
    """

    around_s: float = 1.0
    penalty: float = 1.0
    largest: float = 10.0
    least_effective: float = 0.5
    most_apart: float = 0.1


@dataclass(frozen=True, eq=False)
class ReadingWeights:
    """Weights of the readable samples of a session, and the check of them.

    :param seconds: (m,) weighted seconds of each readable sample, in order.
    :param effective: effective number of readable samples ÷ their number.
    :param largest: the largest weight; the mean is 1. ``cut``: share of the weights that were cut off.
    :param apart_before, apart: largest standardised difference of a covariate between the readable and all
        samples, without and with weights. ``covariate``: the one that differs most with weights.
    :param reason: why no number may be taken from the weights; empty if they pass the check.
    """

    seconds: Floats
    effective: float
    largest: float
    cut: float
    apart_before: float
    apart: float
    covariate: str
    reason: str


def weigh(timeline: Timeline, settings: WeightSettings) -> ReadingWeights | None:
    """Weights of the samples that :func:`pipeline.analysis.episodes.observed` selects, in its order.

    Time asleep or resting (status ``eyes_shut``) is no lost time, and does not count.

    :returns: ``None`` if nothing was read.
    """
    seconds = sample_seconds(timeline)
    awake = (timeline.rows["status"].cast(pl.String) != "eyes_shut").to_numpy() & (seconds > 0)
    read = timeline.rows["p_neutral"].is_not_null().to_numpy()[awake]
    if not read.any():
        return None
    names, covariates = _standardised(_covariates(timeline, settings), awake)
    return _checked(names, covariates, read, seconds[awake], settings)


def _checked(
    names: list[str], covariates: Floats, read: Bools, seconds: Floats, settings: WeightSettings
) -> ReadingWeights:
    stretches = int(np.count_nonzero(read[1:] != read[:-1])) + 1
    # samples of a stretch are not independent: together they count as one observation
    chances = fit_chances(covariates, read, seconds * (stretches / seconds.sum()), settings.penalty)
    least = seconds[read].sum() / seconds.sum() / settings.largest
    cut = chances[read] < least
    weights = _weights(np.maximum(chances[read], least), seconds[read], float(seconds[~read].sum()))
    before = np.abs(standardised_differences(covariates, read, seconds, seconds[read]))
    after = np.abs(standardised_differences(covariates, read, seconds, seconds[read] * weights))
    worst = int(after.argmax()) if names else -1
    found = ReadingWeights(
        seconds=seconds[read] * weights,
        effective=effective_share(weights),
        largest=float(weights.max()),
        cut=float(cut.mean()),
        apart_before=float(before.max(initial=0.0)),
        apart=float(after.max(initial=0.0)),
        covariate=names[worst] if names else "",
        reason="",
    )
    return replace(found, reason=_reason(found, settings))


def _weights(chances: Floats, seconds: Floats, lost_s: float) -> Floats:
    """(m,) of mean 1: each readable sample stands for itself and a part of the lost time."""
    odds = (1 - chances) / chances
    weights = 1 + odds * lost_s / (odds @ seconds) if lost_s and odds.any() else np.ones(len(odds))
    return np.asarray(weights * seconds.sum() / (weights @ seconds))


def _reason(found: ReadingWeights, settings: WeightSettings) -> str:
    if found.effective < settings.least_effective:
        return f"the weights are too uneven: {found.effective:.0%} of the readable samples would count"
    if found.apart > settings.most_apart:
        return f"{found.covariate} still differs by {found.apart:.2f} standard deviations after weighting"
    return ""


# --- covariates


def _covariates(timeline: Timeline, settings: WeightSettings) -> dict[str, Floats]:
    """(n,) values of each covariate; NaN if nothing is known in the whole session."""
    rows = timeline.rows
    time_s = rows["time_s"].to_numpy()
    video = timeline.metadata["video"]
    seen = rows.select(
        pl.col("yaw").abs().alias("turn of the head"),
        pl.col("yaw").alias("side of the head"),
        pl.col("pitch").alias("nod of the head"),
        pl.col("roll").abs().alias("tilt of the head"),
        pl.col("face_px").alias("size of the face"),
        "sharpness",
        pl.col("brightness").alias("light"),
        pl.col("covered").alias("cover of the face"),
        ((pl.col("x1") + pl.col("x2")) / 2 / video["width"]).alias("place across"),
        ((pl.col("y1") + pl.col("y2")) / 2 / video["height"]).alias("place down"),
        pl.col("speaking").alias("speech"),
        "chewing",
        pl.col("voice").alias("voice heard"),
    ).cast(pl.Float64)
    near = {name: _around(time_s, seen[name].to_numpy(), settings.around_s) for name in seen.columns}
    return {"time in the session": time_s} | near


def _standardised(covariates: dict[str, Floats], counts: Bools) -> tuple[list[str], Floats]:
    """Names and (n, k) values of the samples that count; constant and unknown covariates are left out."""
    names, columns = list[str](), list[Floats]()
    for name, values in covariates.items():
        own = values[counts]
        own = ndtri(rankdata(own, nan_policy="propagate") / (len(own) + 1))
        sd = float(own.std())
        if sd > _CONSTANT:  # false for NaN
            names.append(name)
            columns.append((own - own.mean()) / sd)
    return names, np.column_stack(columns) if columns else np.empty((int(counts.sum()), 0))


def _around(time_s: Floats, values: Floats, reach_s: float) -> Floats:
    """(n,) mean of the known values up to ``reach_s`` away; interpolated where there is none."""
    sums, counts = _window(time_s, values, reach_s)
    known = counts > 0
    if not known.any():
        return np.full(len(time_s), np.nan)
    return np.interp(time_s, time_s[known], sums[known] / counts[known])


def _window(time_s: Floats, values: Floats, reach_s: float) -> tuple[Floats, Floats]:
    """(n,) sum and number of the known values up to ``reach_s`` away from each sample."""
    known = ~np.isnan(values)
    first = np.searchsorted(time_s, time_s - reach_s - TIME_EPS_S)
    end = np.searchsorted(time_s, time_s + reach_s + TIME_EPS_S)
    totals = (np.concatenate([[0.0], np.cumsum(x)]) for x in (np.where(known, values, 0.0), known))
    sums, counts = (total[end] - total[first] for total in totals)
    return sums, counts
