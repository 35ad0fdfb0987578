"""Average expression around events, compared with matched moments without an event.

    summaries/events.parquet    one row per kind of event, measure and bin

Time is counted from the event. A bin of an event counts if half or more of it was observed; each average
states its number of events. A patient's weight is the number of the patient's events.

Each event is matched with moments of the same session far from any event; if there is none, with moments of
the patient's other sessions of the same condition. The effect of an event is the difference: expression has
its own rhythm, and a smile after the begin of a song may be a coincidence. Both means include only events
with matched moments; if no event has any, events are averaged alone.
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
"""Mean probability of a group, share of time with the largest probability in the group, and valence."""

_UNITS = {"probability": "0…1", "share": "0…1", "valence": "−1…1"}

ALL = ""
"""Stands in place of the kind of event for all events together."""

_MOST_BINS = 1000

# Number of timelines in memory at once.
_KEPT = 8

Moment = tuple[Ids, float]
"""A session and a time in it, s."""


@dataclass(frozen=True)
class EventSettings:
    """Settings of the averages.

    :param before_s, after_s: time before and after the event. ``bin_s``: length of a bin.
    :param min_observed: smallest observed share of a bin that counts, 0…1.
    :param matched: matched moments per event.
    :param clusters: the interval resamples patients if there are at least this many, else sessions if there
        are at least this many; otherwise there is no interval.
    :param resamples: bootstrap resamples. ``seed``: of the bootstrap and of the matched moments.
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
        """(bins + 1,) bounds of the bins, s from the event."""
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
        column("events", pa.int32(), "number of these events"),
        column("patients", pa.int32(), "number of patients of these events"),
        column(
            "matched", pa.float64(), "mean over pairs of their matched moments", "as in unit", nullable=True
        ),
        column("moments", pa.int32(), "number of these moments"),
        *_limits("difference", "mean over pairs of event less its matched moments: value less matched"),
        column("pairs", pa.int32(), "number of events with matched moments"),
        column("clusters", pa.string(), "what the interval resamples: patients, sessions, or nothing"),
    ]
)
"""Columns of ``summaries/events.parquet``."""


@dataclass(frozen=True)
class Recorded:
    """The observed data of a session.

    :param values: (m, measures) values of each readable sample, in the order of :data:`MEASURES`.
    :param begin_s, end_s: (parts,) bounds of the parts that count, s.
    """

    samples: Observed
    values: Floats
    begin_s: float
    end_s: float


Load = Callable[[Ids], Recorded]
"""Loads a session's data; may be called more than once per session."""


def write_events(out: Path, events_csv: Path, settings: EventSettings | None = None) -> tuple[Problem, ...]:
    """Write averages around the events of a list, from the timelines.

    :returns: the errors of the list. Rows without an error are used; without such a row, or with an error in
        the header, nothing is written.
    :raises InputError: the list can't be read. :raises TimelineError: a timeline can't be read.
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
    """Rows of :data:`EVENTS_SCHEMA`: all events (if there are several kinds), then each kind.

    :param conditions: condition of every session.
    """
    random = np.random.default_rng(settings.seed)
    free = _Free(events, conditions, load, settings)
    at, moments = [], []
    # session by session: each is loaded once, unless other sessions need its moments
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
    """The data of a timeline for :func:`around_events`."""
    samples = observed(timeline)
    parts = timeline.metadata["session"]["parts"]
    return Recorded(samples, _values(samples.probabilities), float(parts[0][0]), float(parts[-1][1]))


def _sessions(out: Path) -> tuple[dict[Ids, str], dict[Ids, Parts]]:
    """The condition of every session, and its parts that count."""
    conditions: dict[Ids, str] = {}
    parts: dict[Ids, Parts] = {}
    for ids in written_sessions(out):
        path = timeline_path(out, *ids)
        metadata = read_metadata(path)
        with malformed_as_timeline_error(path):
            conditions[ids] = str(metadata["session"]["condition"])
            first, *more = metadata["session"]["parts"]  # in every session some part counts
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
    """(bins, measures) around a moment; NaN if too little of a bin was observed."""
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
    """Moments far from any event."""

    def __init__(
        self, events: Sequence[Event], conditions: Mapping[Ids, str], load: Load, settings: EventSettings
    ) -> None:
        self._times: dict[Ids, list[float]] = defaultdict(list)
        for event in events:
            self._times[event.ids].append(event.time_s)
        self._conditions, self._load, self._settings = conditions, load, settings
        self._known: dict[Ids, list[Moment]] = {}

    def of(self, ids: Ids) -> list[Moment]:
        """Moments of the session, else of the patient's other sessions of the same condition."""
        alike = (
            other
            for other, condition in self._conditions.items()
            if other != ids and other[0] == ids[0] and condition == self._conditions[ids]
        )
        return self._own(ids) or [moment for other in alike for moment in self._own(other)]

    def _own(self, ids: Ids) -> list[Moment]:
        """Moments one bin apart, whose window does not overlap with that of an event."""
        if ids not in self._known:
            session, settings = self._load(ids), self._settings
            begin_s, end_s = session.begin_s + settings.before_s, session.end_s - settings.after_s
            times = np.arange(begin_s, end_s + TIME_EPS_S, settings.bin_s)
            for event_s in self._times[ids]:
                times = times[np.abs(times - event_s) >= settings.before_s + settings.after_s]
            self._known[ids] = [(ids, float(time)) for time in times]
        return self._known[ids]


def _matched(free: list[Moment], load: Load, settings: EventSettings, random: np.random.Generator) -> Floats:
    """(moments, bins, measures); empty if all moments are near an event."""
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
