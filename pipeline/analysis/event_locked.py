"""Averages of expression around events, beside moments of the same patients at which nothing happened.

    summaries/events.parquet    one row for each kind of event, measure and bin

Time is counted from the event. A bin of one event counts where half of it or more was observed; how many
events that are stands beside each average. Patients count by their events.

Each event is matched with moments of the same session at which no event was near, or where it has none, of
the same patient's other sessions of the same condition. What an event did is the difference: expression has
a rhythm of its own, and a smile after a song's begin may be one that would have come anyway. Both means are
of the events that have such moments; where none has, events stand alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.analysis.episodes import Observed, observed
from pipeline.analysis.events import Event, Parts, read_events
from pipeline.analysis.measures import GROUP_MEMBERS
from pipeline.errors import InputError
from pipeline.records import EMOTIONS, TIME_EPS_S, Ids, valence
from pipeline.stats.cluster_bootstrap import Resampling, averages, mean_of_known, resample
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.result_tables import column, read_derived, write_derived
from pipeline.store.spreadsheet import Problem
from pipeline.store.timeline import Timeline, read_timeline, written_sessions

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

# Timelines in memory at once.
_KEPT = 8

Moment = tuple[Ids, float]
"""A session and a time in it, s."""


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
        *_limits("value", "mean over events of which the bin was observed; over pairs, where there are any"),
        column("events", pa.int32(), "how many events these are"),
        column("patients", pa.int32(), "of how many patients"),
        column(
            "matched", pa.float64(), "mean over pairs of their matched moments", "as in unit", nullable=True
        ),
        column("moments", pa.int32(), "how many moments these are"),
        *_limits("difference", "mean over pairs of event less its matched moments: value less matched"),
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


Load = Callable[[Ids], Recorded]
"""A session's; asked for more than once."""


def write_events(out: Path, events_csv: Path, settings: EventSettings | None = None) -> tuple[Problem, ...]:
    """Averages around the events of a list, from the timelines.

    :returns: what is to be put right in the list. Rows without a fault are used; nothing is written where
        there is none, or where the header has a fault, which is one of every row.
    :raises InputError: the list can't be read at all. :raises TimelineError: a timeline can't.
    :raises OutputError: the table can't be written.
    """
    settings = settings or EventSettings()
    conditions, parts = _sessions(out)
    events, problems = read_events(events_csv, parts)
    if events and all(problem.row > 1 for problem in problems):
        load = lru_cache(_KEPT)(partial(_load, out))
        rows = around_events(events, conditions, load, settings)
        write_derived(out / "summaries" / "events.parquet", EVENTS_SCHEMA, rows, settings)
    return problems


def read_event_averages(out: Path) -> pl.DataFrame:
    """In :data:`EVENTS_SCHEMA`'s columns; errors as :func:`pipeline.store.result_tables.read_derived`."""
    return read_derived(out / "summaries" / "events.parquet", EVENTS_SCHEMA)


def around_events(
    events: Sequence[Event], conditions: Mapping[Ids, str], load: Load, settings: EventSettings
) -> list[dict[str, Any]]:
    """Rows of :data:`EVENTS_SCHEMA`: all events, where there are several kinds, then each kind.

    :param conditions: of every session there is.
    """
    random = np.random.default_rng(settings.seed)
    free = _Free(events, conditions, load, settings)
    at, moments = [], []
    # session by session: each is loaded once, unless others lack moments of their own
    for place in sorted(range(len(events)), key=lambda place: (events[place].ids, place)):
        event = events[place]
        at.append((place, _bins(load(event.ids), event.time_s, settings)))
        moments.append((place, _matched(free.of(event.ids), load, settings, random)))
    in_bins = np.stack([bins for _, bins in sorted(at, key=itemgetter(0))])
    matched = [bins for _, bins in sorted(moments, key=itemgetter(0))]
    kinds = sorted({event.what for event in events})
    rows: list[dict[str, Any]] = []
    for kind in [ALL, *kinds] if len(kinds) > 1 else kinds:
        chosen = [place for place, event in enumerate(events) if kind in (ALL, event.what)]
        of_kind = [events[place] for place in chosen]
        rows += _rows(kind, of_kind, in_bins[chosen], [matched[place] for place in chosen], settings)
    return rows


def recorded_of(timeline: Timeline) -> Recorded:
    """What :func:`around_events` needs of a timeline."""
    samples = observed(timeline)
    parts = timeline.metadata["session"]["parts"]
    return Recorded(samples, _values(samples.probabilities), float(parts[0][0]), float(parts[-1][1]))


def _sessions(out: Path) -> tuple[dict[Ids, str], dict[Ids, Parts]]:
    """The condition of every session, and the parts of it that count."""
    conditions: dict[Ids, str] = {}
    parts: dict[Ids, Parts] = {}
    for ids in written_sessions(out):
        path = timeline_path(out, *ids)
        metadata = read_metadata(path)
        with malformed_as_timeline_error(path):
            conditions[ids] = str(metadata["session"]["condition"])
            first, *more = metadata["session"]["parts"]  # something counts in every session
            parts[ids] = [(float(start), float(end)) for start, end in (first, *more)]
    return conditions, parts


def _load(out: Path, ids: Ids) -> Recorded:
    path = timeline_path(out, *ids)
    timeline = read_timeline(path)
    with malformed_as_timeline_error(path):
        return recorded_of(timeline)


def _values(probabilities: Floats) -> Floats:
    """(m, 7) → (m, measures)."""
    largest = probabilities.argmax(axis=1)
    columns = []
    for measure, of in MEASURES:
        places = [EMOTIONS.index(name) for name in GROUP_MEMBERS.get(of, (of,)) if name]
        if measure == "probability":
            columns.append(probabilities[:, places].sum(axis=1))
        elif measure == "share":
            columns.append(np.isin(largest, places).astype(np.float64))
        else:
            columns.append(valence(probabilities))
    return np.stack(columns, axis=1)


def _bins(session: Recorded, time_s: float, settings: EventSettings) -> Floats:
    """(bins, measures) around a moment; NaN where too little of a bin was observed."""
    edges = time_s + settings.edges_s
    start, end = session.samples.start_s[:, None], session.samples.end_s[:, None]
    near = ((end > edges[0]) & (start < edges[-1])).ravel()
    seconds = np.clip(np.minimum(end[near], edges[1:]) - np.maximum(start[near], edges[:-1]), 0, None)
    observed_s = seconds.sum(axis=0)[:, None]
    counts = observed_s >= settings.min_observed * settings.bin_s - TIME_EPS_S
    means = np.full((len(edges) - 1, len(MEASURES)), np.nan)
    return np.divide(seconds.T @ session.values[near], observed_s, out=means, where=counts)


# --- matched moments


class _Free:
    """Moments at which no event is near."""

    def __init__(
        self, events: Sequence[Event], conditions: Mapping[Ids, str], load: Load, settings: EventSettings
    ) -> None:
        self._times: dict[Ids, list[float]] = defaultdict(list)
        for event in events:
            self._times[event.ids].append(event.time_s)
        self._conditions, self._load, self._settings = conditions, load, settings
        self._known: dict[Ids, list[Moment]] = {}

    def of(self, ids: Ids) -> list[Moment]:
        """Of the session, or where it has none, of the patient's others of the same condition."""
        alike = (
            other
            for other, condition in self._conditions.items()
            if other != ids and other[0] == ids[0] and condition == self._conditions[ids]
        )
        return self._own(ids) or [moment for other in alike for moment in self._own(other)]

    def _own(self, ids: Ids) -> list[Moment]:
        """A bin apart, each so that nothing of what is looked at is of an event too."""
        if ids not in self._known:
            session, settings = self._load(ids), self._settings
            begin_s, end_s = session.begin_s + settings.before_s, session.end_s - settings.after_s
            times = np.arange(begin_s, end_s + TIME_EPS_S, settings.bin_s)
            for event_s in self._times[ids]:
                times = times[np.abs(times - event_s) >= settings.before_s + settings.after_s]
            self._known[ids] = [(ids, float(time)) for time in times]
        return self._known[ids]


def _matched(free: list[Moment], load: Load, settings: EventSettings, random: np.random.Generator) -> Floats:
    """(moments, bins, measures); no moment where every one is near an event."""
    chosen = random.permutation(len(free))[: settings.matched]
    bins = [_bins(load(free[place][0]), free[place][1], settings) for place in chosen]
    return np.stack(bins) if bins else np.empty((0, len(settings.edges_s) - 1, len(MEASURES)))


# --- averages


def _rows(
    what: str,
    events: Sequence[Event],
    at: Floats,
    moments: Sequence[Floats],
    settings: EventSettings,
) -> Iterator[dict[str, Any]]:
    """:param at: (events, bins, measures)."""
    own = np.stack([mean_of_known(of_event) for of_event in moments])
    of_each = np.stack([(~np.isnan(of_event)).sum(axis=0) for of_event in moments])
    paired = ~np.isnan(at - own)
    counted = np.where(paired.any(axis=0), paired, ~np.isnan(at))
    patients = np.array([event.patient_id for event in events])
    resampling = _resampling(events, settings)
    values = averages(np.where(counted, at, np.nan), resampling)
    differences = averages(at - own, resampling)
    matched = mean_of_known(np.where(paired, own, np.nan))
    edges = settings.edges_s
    for place, (measure, of) in enumerate(MEASURES):
        for index in range(len(edges) - 1):
            here, pairs = counted[:, index, place], paired[:, index, place]
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
                "moments": int(of_each[pairs, index, place].sum()),
                **_named("difference", differences[:, index, place]),
                "pairs": int(pairs.sum()),
                "clusters": resampling.unit,
            }


def _resampling(events: Sequence[Event], settings: EventSettings) -> Resampling:
    units = {
        "patients": [event.patient_id for event in events],
        "sessions": ["/".join(event.ids) for event in events],
    }
    return resample(units, settings.clusters, settings.resamples, settings.seed)


def _named(name: str, three: Floats) -> dict[str, float | None]:
    ends = ("", "_low", "_high")
    return {name + end: _known(number) for end, number in zip(ends, three, strict=True)}


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
