"""Average expression around events, compared with matched moments without an event.

    summaries/events.parquet    one row per kind of event, measure and bin

Each average states its number of events. A patient's weight is the number of the patient's events.

The effect of an event is its difference from its matched moments (:mod:`pipeline.study.event_windows`):
expression has its own rhythm, and a smile after the begin of a song may be a coincidence. Both means include
only events with matched moments; if no event has any, events are averaged alone.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.analysis.events import Event, Parts, read_events
from pipeline.records import Ids
from pipeline.stats.cluster_bootstrap import Resampling, averages, mean_of_known, resample
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.result_tables import column, read_derived, write_derived
from pipeline.store.spreadsheet import Problem
from pipeline.store.timeline import read_timeline, written_sessions
from pipeline.study.event_windows import (
    MEASURES,
    UNITS,
    EventSettings,
    Floats,
    Moment,
    Recorded,
    Window,
    find_windows,
    kept_windows,
    recorded_of,
    windows_path,
    write_windows,
)

ALL = ""
"""Stands in place of the kind of event for all events together."""

# Number of timelines in memory at once.
_KEPT = 8


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


def write_events(
    out: Path,
    events_csv: Path,
    settings: EventSettings | None = None,
    unchanged: Collection[str] = frozenset(),
) -> tuple[Problem, ...]:
    """Write averages around the events of a list, from the timelines; remove those of an earlier list.

    :param unchanged: patients whose timelines have not changed since the table of windows was written.
    :returns: the errors of the list. Rows without an error are used; without such a row, or with an error in
        the header, nothing is written.
    :raises InputError: the list can't be read. :raises TimelineError: a timeline can't be read.
    :raises OutputError: the table can't be written.
    """
    settings = settings or EventSettings()
    ids, session = written_sessions(out), cache(partial(_session, out))
    events_path(out).unlink(missing_ok=True)
    events, problems = read_events(events_csv, _OnDemand(ids, lambda both: session(both)[1]))
    if not events or any(problem.row == 1 for problem in problems):
        remove_events(out)
        return problems
    known = kept_windows(out, events, settings, unchanged)
    conditions = _OnDemand(ids, lambda both: session(both)[0])
    windows = find_windows(events, conditions, lru_cache(_KEPT)(partial(_load, out)), settings, known)
    write_windows(out, windows, settings)
    write_derived(events_path(out), EVENTS_SCHEMA, average_windows(events, windows, settings), settings)
    return problems


def remove_events(out: Path) -> None:
    """Remove both tables."""
    for path in (events_path(out), windows_path(out)):
        path.unlink(missing_ok=True)


def events_path(out: Path) -> Path:
    return out / "summaries" / "events.parquet"


def read_event_averages(out: Path) -> pl.DataFrame:
    """In :data:`EVENTS_SCHEMA`'s columns; errors as :func:`pipeline.store.result_tables.read_derived`."""
    return read_derived(events_path(out), EVENTS_SCHEMA)


def average_windows(
    events: Sequence[Event], windows: Mapping[Moment, Window], settings: EventSettings
) -> list[dict[str, Any]]:
    """Rows of :data:`EVENTS_SCHEMA`: all events (if there are several kinds), then each kind.

    :param windows: of every event, from :func:`pipeline.study.event_windows.find_windows`.
    """
    kinds = sorted({event.what for event in events})
    rows: list[dict[str, Any]] = []
    for kind in [ALL, *kinds] if len(kinds) > 1 else kinds:
        chosen = [event for event in events if kind in (ALL, event.what)]
        rows += _rows(kind, chosen, [windows[event.ids, event.time_s] for event in chosen], settings)
    return rows


_T = TypeVar("_T")


class _OnDemand(Mapping[Ids, _T], Generic[_T]):
    """What is known of each session, read when it is asked for."""

    def __init__(self, ids: Collection[Ids], read: Callable[[Ids], _T]) -> None:
        self._ids, self._read = dict.fromkeys(ids), read

    def __getitem__(self, ids: Ids) -> _T:
        self._ids[ids]
        return self._read(ids)

    def __iter__(self) -> Iterator[Ids]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _session(out: Path, ids: Ids) -> tuple[str, Parts]:
    """The session's condition, and its parts that count."""
    path = timeline_path(out, *ids)
    metadata = read_metadata(path)
    with malformed_as_timeline_error(path):
        first, *more = metadata["session"]["parts"]  # in every session some part counts
        parts = [(float(start), float(end)) for start, end in (first, *more)]
        return str(metadata["session"]["condition"]), parts


def _load(out: Path, ids: Ids) -> Recorded:
    path = timeline_path(out, *ids)
    timeline = read_timeline(path)
    with malformed_as_timeline_error(path):
        return recorded_of(timeline)


# --- averages


def _rows(
    what: str, events: Sequence[Event], windows: Sequence[Window], settings: EventSettings
) -> Iterator[dict[str, Any]]:
    """:param windows: of each event."""
    at, own = np.stack([one.at for one in windows]), np.stack([one.matched for one in windows])
    moments = np.stack([one.moments for one in windows])
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
                "unit": UNITS[measure],
                "from_s": float(edges[index]),
                "to_s": float(edges[index + 1]),
                **_named("value", values[:, index, place]),
                "events": int(here.sum()),
                "patients": len(set(patients[here])),
                "matched": _known(matched[index, place]),
                "moments": int(moments[pairs, index].sum()),
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
