"""How much the unseen time could matter: bounds and weights for each session.

    summaries/missing.parquet    for each session, the positive, neutral and negative share; raw reading

Faces are not lost at random: a person who turns away or cries into the hands is seen less. Two answers:

- **Bounds** assume nothing. If none, or all, of the unseen time was the expression, the share of the whole
  time would be ``none``, or ``all`` (Manski, *Am Econ Rev* 1990). They are a fact about the recording, not a
  confidence interval. They take the expressions that were read as right.
- **Weights** assume that a lost face shows the same as a face read in similar light, pose and place
  (:mod:`pipeline.robustness.reading_weights`). Without weights, lost time is taken to be like the time seen.

The whole time is the session without the time asleep or resting, as far as that was seen. If the patient also
slept in the unseen time, the share of the time awake still lies within the bounds.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.analysis.episodes import observed
from pipeline.analysis.measures import GROUP_MEMBERS
from pipeline.analysis.summaries import read_sessions
from pipeline.records import EMOTIONS, TIME_EPS_S, Ids, valence
from pipeline.robustness.reading_weights import ReadingWeights, WeightSettings, weigh
from pipeline.stats.block_bootstrap import effective_count, share_interval
from pipeline.store.parquet import malformed_as_timeline_error
from pipeline.store.paths import timeline_path
from pipeline.store.result_tables import column, has_settings, read_derived, rewrite_sessions
from pipeline.store.timeline import Timeline, read_timeline

GROUPS = ("positive", "neutral", "negative")

TOO_LITTLE = "too little was seen"


def _share(name: str, meaning: str) -> pa.Field:
    return column(name, pa.float64(), meaning, "0…1", nullable=True)


MISSING_SCHEMA = pa.schema(
    [
        column("patient_id", pa.string(), "pseudonym of the patient"),
        column("session_id", pa.string(), "session of that patient"),
        column("of", pa.string(), ", ".join(GROUPS)),
        column("observed_s", pa.float64(), "seconds with a readable expression", "s"),
        column("unseen_s", pa.float64(), "seconds without, except those with eyes shut for long", "s"),
        _share("share", "of the observed time; raw reading"),
        _share("none", "of observed and unseen time, if none of the unseen time was this expression"),
        _share("all", "of observed and unseen time, if all of the unseen time was this expression"),
        _share("weighted", "of observed and unseen time, by weights of the samples"),
        _share("weighted_low", "lower end of the 95 % interval of weighted"),
        _share("weighted_high", "upper end of it"),
        column("reason", pa.string(), "why there is no weighted share; empty where there is"),
        _share("effective", "effective number of readable samples with weights ÷ their number"),
        column("largest_weight", pa.float64(), "the mean weight is 1", nullable=True),
        _share("cut", "readable samples whose weight was cut off at the largest"),
        *(
            column(
                name,
                pa.float64(),
                f"largest difference of a covariate between readable and all samples, {how} weights",
                "standard deviations",
                nullable=True,
            )
            for name, how in (("apart_before", "without"), ("apart", "with"))
        ),
        column("covariate", pa.string(), "the one that differs most with weights"),
    ]
)
"""Columns of ``summaries/missing.parquet``."""


def write_missing(
    out: Path, settings: WeightSettings | None = None, unchanged: Collection[Ids] = frozenset()
) -> pl.DataFrame:
    """Write the table, from the timelines and the table of sessions.

    :param unchanged: sessions whose rows of the table are kept, if it has the same settings.
    :raises TimelineError: a table or a timeline can't be read.
    :raises OutputError: the table can't be written.
    """
    settings, written = settings or WeightSettings(), out / "summaries" / "missing.parquet"
    kept = unchanged if has_settings(written, settings) else frozenset()
    ids: list[Ids] = []
    fresh: dict[Ids, list[dict[str, Any]]] = {}
    for session in read_sessions(out).iter_rows(named=True):
        ids.append((session["patient_id"], session["session_id"]))
        if ids[-1] not in kept:
            path = timeline_path(out, *ids[-1])
            timeline = read_timeline(path)
            with malformed_as_timeline_error(path):
                fresh[ids[-1]] = list(missing_rows(timeline, session, settings))
    rewrite_sessions(written, MISSING_SCHEMA, ids, fresh, settings)
    return read_missing(out)


def read_missing(out: Path) -> pl.DataFrame:
    """In :data:`MISSING_SCHEMA`'s columns; errors as :func:`pipeline.store.result_tables.read_derived`."""
    return read_derived(out / "summaries" / "missing.parquet", MISSING_SCHEMA)


def missing_rows(
    timeline: Timeline, session: dict[str, Any], settings: WeightSettings
) -> Iterator[dict[str, Any]]:
    """Rows of :data:`MISSING_SCHEMA` of one session.

    :param session: its row of ``summaries/sessions.parquet``.
    """
    samples = observed(timeline)
    read_s = float(samples.seconds.sum())
    unseen_s = session["duration_s"] - session["eyes_shut_s"] - read_s
    unseen_s = unseen_s if unseen_s > TIME_EPS_S else 0.0
    weights = weigh(timeline, settings) if session["enough"] else None
    count = effective_count(valence(samples.probabilities), weights.seconds) if weights else 0.0
    largest = samples.probabilities.argmax(axis=1)
    for of in GROUPS:
        present = np.isin(largest, [EMOTIONS.index(name) for name in GROUP_MEMBERS.get(of, (of,))])
        present_s = float(present @ samples.seconds)
        yield {
            **{name: session[name] for name in ("patient_id", "session_id")},
            "of": of,
            "observed_s": read_s,
            "unseen_s": unseen_s,
            "share": present_s / read_s if session["enough"] else None,
            **dict(zip(("none", "all"), _bounds(present_s, read_s, unseen_s), strict=True)),
            **_weighted(present, weights, count),
        }


def _bounds(present_s: float, read_s: float, unseen_s: float) -> tuple[float | None, float | None]:
    """Share of the whole time, if none and if all of the unseen time was the expression."""
    whole_s = read_s + unseen_s
    if not whole_s:
        return None, None  # asleep all the time
    return present_s / whole_s, (present_s + unseen_s) / whole_s


def _weighted(present: NDArray[np.bool_], weights: ReadingWeights | None, count: float) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(("weighted", "weighted_low", "weighted_high"))
    if weights is None:
        blank = dict.fromkeys(("effective", "largest_weight", "cut", "apart_before", "apart"))
        return found | blank | {"covariate": "", "reason": TOO_LITTLE}
    if not weights.reason:
        low, high = share_interval(present, weights.seconds, count)
        share = float(weights.seconds @ present / weights.seconds.sum())
        found = {"weighted": share, "weighted_low": low, "weighted_high": high}
    return found | {
        "reason": weights.reason,
        "effective": weights.effective,
        "largest_weight": weights.largest,
        "cut": weights.cut,
        "apart_before": weights.apart_before,
        "apart": weights.apart,
        "covariate": weights.covariate,
    }
