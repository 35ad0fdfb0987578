"""Averages of expression around events, beside moments of the same patients at which nothing happened.

    summaries/events.parquet    one row for each kind of event, measure and bin

Time is counted from the event. A bin of one event counts where half of it or more was observed; how many
events that are stands beside each average. Patients count by their events.

Each event is matched with moments of the same session at which no event was near, or where it has none, of
the same patient's other sessions of the same condition. What an event did is the difference: expression has
a rhythm of its own, and a smile after a song's begin may be one that would have come anyway.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import norm as normal
from scipy.stats import t as student

from pipeline.episodes import Observed, observed
from pipeline.errors import InputError
from pipeline.events import Event, Ids, read_events
from pipeline.measures import GROUPS
from pipeline.mixed import LEVEL
from pipeline.records import EMOTIONS, NEGATIVE
from pipeline.result_tables import column, read_derived, write_derived
from pipeline.spreadsheet import Problem
from pipeline.timeline import Timeline, read_timeline, timeline_path, understood, written_sessions

Floats = NDArray[np.float64]

MEASURES = (
    *(("probability", of) for of in ("positive", "neutral", "negative", "surprise")),
    *(("share", of) for of in ("positive", "neutral", "negative", "surprise")),
    ("valence", ""),
)
"""Mean probability of a group, share of time in which its classes are the largest, and valence."""

_UNITS = {"probability": "0…1", "share": "0…1", "valence": "−1…1"}

ALL = ""
"""In the place of what happened: all events together."""

_MOST_BINS = 1000


@dataclass(frozen=True)
class EventSettings:
    """How events are averaged.

    :param before_s, after_s: how far from the event. ``bin_s``: the steps.
    :param min_observed: a bin of an event counts if so much of it was observed, 0…1.
    :param matched: moments for each event.
    :param clusters: the interval resamples patients if there are at least so many, else sessions if there
        are; else there is none.
    :param resamples: of the bootstrap. ``seed``: of it and of the matched moments.
    """

    before_s: float = 10.0
    after_s: float = 20.0
    bin_s: float = 1.0
    min_observed: float = 0.5
    matched: int = 5
    clusters: int = 5
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        """:raises InputError: a setting is not usable."""
        steps = [span / self.bin_s if self.bin_s > 0 else -1 for span in (self.before_s, self.after_s)]
        whole = all(step >= 0 and abs(step - round(step)) < 1e-9 for step in steps)
        if not whole or not 1 <= sum(steps) <= _MOST_BINS:
            raise InputError("Events: the time before and after must be whole steps, 1000 at most in all.")
        if not 0 < self.min_observed <= 1 or min(self.matched, self.resamples) < 1 or self.clusters < 2:
            raise InputError("Events: from 0 to 1 of a bin, 1 matched moment and 2 clusters at least.")

    @property
    def edges_s(self) -> Floats:
        """(bins + 1,) from the event."""
        bins = round((self.before_s + self.after_s) / self.bin_s)
        return np.linspace(-self.before_s, self.after_s, bins + 1)


def _limits(name: str, meaning: str) -> list[pa.Field]:
    ends = {"": "", "_low": ", lower end of the 95 % interval", "_high": ", upper end of it"}
    return [
        column(name + end, pa.float64(), meaning + words, "as in unit", nullable=True)
        for end, words in ends.items()
    ]


EVENTS_SCHEMA = pa.schema(
    [
        column("what", pa.string(), "kind of event; empty: all"),
        column("measure", pa.string(), "probability or share of a group, or valence; of the raw reading"),
        column("of", pa.string(), "positive, neutral, negative, surprise, or empty"),
        column("unit", pa.string(), "of the numbers"),
        column("from_s", pa.float64(), "begin of the bin, from the event", "s"),
        column("to_s", pa.float64(), "end of the bin, from the event", "s"),
        *_limits("value", "mean over the events of which the bin was observed"),
        column("events", pa.int32(), "how many events these are"),
        column("patients", pa.int32(), "of how many patients"),
        column("matched", pa.float64(), "mean over the matched moments", "as in unit", nullable=True),
        column("moments", pa.int32(), "how many moments these are"),
        *_limits("difference", "mean over events of event less its matched moments"),
        column("pairs", pa.int32(), "how many events have both"),
        column("clusters", pa.string(), "what the interval resamples: patients, sessions, or nothing"),
    ]
)
"""Columns of ``summaries/events.parquet``."""


@dataclass(frozen=True)
class Recorded:
    """What there is of a session.

    :param values: (m, measures) of each sample that could be read, as :data:`MEASURES`.
    :param begin_s, end_s: of the parts that count.
    """

    samples: Observed
    values: Floats
    begin_s: float
    end_s: float
    condition: str


def write_events(out: Path, events_csv: Path, settings: EventSettings | None = None) -> tuple[Problem, ...]:
    """Averages around the events of a list, from the timelines.

    :returns: what is to be put right in the list; where it is not empty, nothing was written.
    :raises InputError: the list can't be read at all. :raises TimelineError: a timeline can't.
    :raises OutputError: the table can't be written.
    """
    settings = settings or EventSettings()
    recorded = {ids: _recorded(timeline_path(out, *ids)) for ids in written_sessions(out)}
    events, problems = read_events(events_csv, {ids: session.end_s for ids, session in recorded.items()})
    if not problems:
        rows = around_events(events, recorded, settings)
        write_derived(out / "summaries" / "events.parquet", EVENTS_SCHEMA, rows, settings)
    return problems


def read_event_averages(out: Path) -> pl.DataFrame:
    """In :data:`EVENTS_SCHEMA`'s columns; errors as :func:`pipeline.summaries.read_derived`."""
    return read_derived(out / "summaries" / "events.parquet", EVENTS_SCHEMA)


def around_events(
    events: Sequence[Event], recorded: Mapping[Ids, Recorded], settings: EventSettings
) -> list[dict[str, Any]]:
    """Rows of :data:`EVENTS_SCHEMA`: all events, then each kind."""
    random = np.random.default_rng(settings.seed)
    at = np.stack([_bins(recorded[event.ids], event.time_s, settings) for event in events])
    moments = [_matched(event, events, recorded, settings, random) for event in events]
    kinds = sorted({event.what for event in events})
    rows: list[dict[str, Any]] = []
    for kind in [ALL, *kinds] if len(kinds) > 1 else kinds:
        chosen = [place for place, event in enumerate(events) if kind in (ALL, event.what)]
        of_kind = [events[place] for place in chosen]
        rows += _rows(kind, of_kind, at[chosen], [moments[place] for place in chosen], settings)
    return rows


def recorded_of(timeline: Timeline) -> Recorded:
    """What :func:`around_events` needs of a timeline."""
    session = timeline.metadata["session"]
    samples = observed(timeline)
    ends = [(float(start), float(end)) for start, end in session["parts"]]
    return Recorded(samples, _values(samples.probabilities), ends[0][0], ends[-1][1], session["condition"])


def _recorded(path: Path) -> Recorded:
    timeline = read_timeline(path)
    with understood(path):
        return recorded_of(timeline)


def _values(probabilities: Floats) -> Floats:
    """(m, 7) → (m, measures)."""
    largest = probabilities.argmax(axis=1)
    columns = []
    for measure, of in MEASURES:
        places = [EMOTIONS.index(name) for name in GROUPS.get(of, (of,)) if name]
        if measure == "probability":
            columns.append(probabilities[:, places].sum(axis=1))
        elif measure == "share":
            columns.append(np.isin(largest, places).astype(np.float64))
        else:
            strongest = probabilities[:, [EMOTIONS.index(name) for name in NEGATIVE]].max(axis=1)
            columns.append(probabilities[:, EMOTIONS.index("happy")] - strongest)
    return np.stack(columns, axis=1)


def _bins(session: Recorded, time_s: float, settings: EventSettings) -> Floats:
    """(bins, measures) around a moment; NaN where too little of a bin was observed."""
    edges = time_s + settings.edges_s
    start, end = session.samples.start_s[:, None], session.samples.end_s[:, None]
    near = ((end > edges[0]) & (start < edges[-1])).ravel()
    seconds = np.clip(np.minimum(end[near], edges[1:]) - np.maximum(start[near], edges[:-1]), 0, None)
    observed_s = seconds.sum(axis=0)[:, None]
    # a hair: times are binary fractions
    counts = observed_s >= settings.min_observed * settings.bin_s - 1e-6
    means = np.full((len(edges) - 1, len(MEASURES)), np.nan)
    return np.divide(seconds.T @ session.values[near], observed_s, out=means, where=counts)


# --- matched moments


def _matched(
    event: Event,
    events: Sequence[Event],
    recorded: Mapping[Ids, Recorded],
    settings: EventSettings,
    random: np.random.Generator,
) -> Floats:
    """(moments, bins, measures); no moment where every one is near an event."""
    own = recorded[event.ids]
    others = [
        ids
        for ids, session in recorded.items()
        if ids != event.ids and ids[0] == event.patient_id and session.condition == own.condition
    ]
    free = [(event.ids, time) for time in _free(event.ids, events, own, settings)]
    if not free:
        free = [(ids, time) for ids in others for time in _free(ids, events, recorded[ids], settings)]
    chosen = random.permutation(len(free))[: settings.matched]
    bins = [_bins(recorded[free[place][0]], free[place][1], settings) for place in chosen]
    return np.stack(bins) if bins else np.empty((0, len(settings.edges_s) - 1, len(MEASURES)))


def _free(ids: Ids, events: Sequence[Event], session: Recorded, settings: EventSettings) -> list[float]:
    """Moments, a bin apart, around which no event's time and the moment's overlap."""
    span = settings.before_s + settings.after_s
    last_s = session.end_s - settings.after_s
    moments = np.arange(session.begin_s + settings.before_s, last_s + 1e-6, settings.bin_s)
    for event in events:
        if event.ids == ids:
            moments = moments[np.abs(moments - event.time_s) >= span]
    return [float(moment) for moment in moments]


# --- averages


def _rows(
    what: str,
    events: Sequence[Event],
    at: Floats,
    moments: Sequence[Floats],
    settings: EventSettings,
) -> Iterator[dict[str, Any]]:
    """:param at: (events, bins, measures)."""
    own = np.stack([_nanmean(of_event) for of_event in moments])
    together = np.concatenate(list(moments))
    patients = np.array([event.patient_id for event in events])
    resampling = _resampling(events, settings)
    values, differences = _averages(at, resampling), _averages(at - own, resampling)
    matched = _nanmean(together)
    seen = ~np.isnan(at)
    edges = settings.edges_s
    for place, (measure, of) in enumerate(MEASURES):
        for index in range(len(edges) - 1):
            here = seen[:, index, place]
            yield {
                "what": what,
                "measure": measure,
                "of": of,
                "unit": _UNITS[measure],
                "from_s": float(edges[index]),
                "to_s": float(edges[index + 1]),
                **_named("value", values[:, index, place]),
                "events": int(here.sum()),
                "patients": len(set(patients[here])),
                "matched": _known(matched[index, place]),
                "moments": int((~np.isnan(together[:, index, place])).sum()),
                **_named("difference", differences[:, index, place]),
                "pairs": int((here & ~np.isnan(own[:, index, place])).sum()),
                "clusters": resampling.unit,
            }


@dataclass(frozen=True)
class _Resampling:
    """:param unit: what is resampled. ``times``: (resamples, events) how often an event is in each.

    :param tail: the part of resamples beyond each end of the interval.
    """

    unit: str
    times: Floats
    tail: float


def _resampling(events: Sequence[Event], settings: EventSettings) -> _Resampling:
    """Percentiles are widened for few clusters (Hesterberg, *The American Statistician* 2015, § 3.2)."""
    for unit, names in (
        ("patients", [event.patient_id for event in events]),
        ("sessions", ["/".join(event.ids) for event in events]),
    ):
        _, cluster = np.unique(names, return_inverse=True)
        count = int(cluster.max()) + 1
        if count >= settings.clusters:
            random = np.random.default_rng(settings.seed)
            times = random.multinomial(count, np.full(count, 1 / count), size=settings.resamples)
            wide = np.sqrt(count / (count - 1)) * student.ppf((1 - LEVEL) / 2, count - 1)
            return _Resampling(unit, times[:, cluster].astype(np.float64), float(normal.cdf(wide)))
    return _Resampling("nothing", np.empty((0, len(events))), 0.0)


def _averages(values: Floats, resampling: _Resampling) -> Floats:
    """(events, bins, measures) → (3, bins, measures): mean, and the percentile interval of resamples."""
    weights = resampling.times
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    mean = _nanmean(values)
    if not len(weights):
        return np.stack([mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)])
    sums = np.tensordot(weights, filled, axes=1)
    counts = np.tensordot(weights, known.astype(np.float64), axes=1)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    # where a bin was seen in too few clusters, resamples without any would be left out silently
    enough = (counts > 0).mean(axis=0) > 0.99
    ends = 100 * resampling.tail, 100 * (1 - resampling.tail)
    low, high = np.nanpercentile(np.where(enough, means, 0.0), ends, axis=0)
    return np.stack([mean, np.where(enough, low, np.nan), np.where(enough, high, np.nan)])


def _nanmean(values: Floats) -> Floats:
    """Over the first axis; NaN where nothing is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.divide(
        np.where(known, values, 0.0).sum(axis=0),
        count,
        out=np.full(values.shape[1:], np.nan),
        where=count > 0,
    )


def _named(name: str, three: Floats) -> dict[str, float | None]:
    ends = ("", "_low", "_high")
    return {name + end: _known(number) for end, number in zip(ends, three, strict=True)}


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
