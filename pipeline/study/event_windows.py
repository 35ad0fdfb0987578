"""Expression around each event and around matched moments without one.

    summaries/event_windows.parquet    one row per moment with an event and bin

Time is counted from the event. A bin counts if half or more of it was observed.

Each event is matched with moments of the same session far from any event; if there is none, with moments of
the patient's other sessions of the same condition. They are drawn at random, with a seed of the event's own:
its moments do not depend on other patients, so that the rows of unchanged patients can be kept.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.analysis.episodes import Observed, observed
from pipeline.analysis.events import Event
from pipeline.analysis.measures import GROUP_MEMBERS
from pipeline.errors import InputError
from pipeline.records import EMOTIONS, TIME_EPS_S, Ids, valence
from pipeline.stats.cluster_bootstrap import mean_of_known
from pipeline.store.result_tables import column, has_settings, read_derived, write_columns
from pipeline.store.timeline import Timeline

Floats = NDArray[np.float64]

MEASURES = (
    *(("probability", of) for of in ("positive", "neutral", "negative", "surprise")),
    *(("share", of) for of in ("positive", "neutral", "negative", "surprise")),
    ("valence", ""),
)
"""Mean probability of a group, share of time with the largest probability in the group, and valence."""

UNITS = {"probability": "0…1", "share": "0…1", "valence": "−1…1"}

_MOST_BINS = 1000

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


@dataclass(frozen=True, eq=False)
class Window:
    """What was seen around a moment with an event; NaN where too little was observed.

    :param at: (bins, measures). ``matched``: (bins, measures) mean of the matched moments.
    :param moments: (bins,) number of matched moments with this bin.
    """

    at: Floats
    matched: Floats
    moments: NDArray[np.int64]


_COLUMNS = ["_".join(filter(None, names)) for names in MEASURES]
_MATCHED = [f"matched_{name}" for name in _COLUMNS]

WINDOWS_SCHEMA = pa.schema(
    [
        column("patient_id", pa.string(), "pseudonym of the patient"),
        column("session_id", pa.string(), "session of that patient"),
        column("time_s", pa.float64(), "the event, from the start of the recording", "s"),
        column("from_s", pa.float64(), "begin of the bin, from the event", "s"),
        column("to_s", pa.float64(), "end of the bin, from the event", "s"),
        *(
            column(
                name,
                pa.float64(),
                f"{measure} as in events.parquet; {of or 'of all'}",
                UNITS[measure],
                nullable=True,
            )
            for name, (measure, of) in zip(_COLUMNS, MEASURES, strict=True)
        ),
        column("moments", pa.int32(), "number of matched moments of which the bin was observed"),
        *(
            column(name, pa.float64(), "its mean over these moments", UNITS[measure], nullable=True)
            for name, (measure, _) in zip(_MATCHED, MEASURES, strict=True)
        ),
    ]
)
"""Columns of ``summaries/event_windows.parquet``."""


def find_windows(
    events: Sequence[Event],
    conditions: Mapping[Ids, str],
    load: Load,
    settings: EventSettings,
    known: Mapping[Moment, Window] = MappingProxyType({}),
) -> dict[Moment, Window]:
    """The windows of all events, session by session.

    :param conditions: condition of every session.
    :param known: windows that need not be computed again.
    """
    free = _Free(events, conditions, load, settings)
    return {moment: known.get(moment) or free.window(moment) for moment in _moments(events)}


def windows_path(out: Path) -> Path:
    return out / "summaries" / "event_windows.parquet"


def write_windows(out: Path, windows: Mapping[Moment, Window], settings: EventSettings) -> Path:
    """:raises OutputError: the table can't be written."""
    edges = settings.edges_s
    bins, found = len(edges) - 1, windows.values()
    names = [(*ids, time_s) for ids, time_s in windows for _ in range(bins)]
    columns = dict(
        zip(("patient_id", "session_id", "time_s"), map(list, zip(*names, strict=True)), strict=True)
    )
    columns |= {"from_s": [*edges[:-1]] * len(windows), "to_s": [*edges[1:]] * len(windows)}
    columns["moments"] = np.concatenate([one.moments for one in found]).tolist()
    for group, values in (
        (_COLUMNS, np.concatenate([one.at for one in found])),
        (_MATCHED, np.concatenate([one.matched for one in found])),
    ):
        columns |= pl.DataFrame(values, group).fill_nan(None).to_dict(as_series=False)
    return write_columns(windows_path(out), WINDOWS_SCHEMA, columns, settings)


def read_windows(out: Path) -> pl.DataFrame:
    """In :data:`WINDOWS_SCHEMA`'s columns; errors as :func:`pipeline.store.result_tables.read_derived`."""
    return read_derived(windows_path(out), WINDOWS_SCHEMA)


def kept_windows(
    out: Path, events: Sequence[Event], settings: EventSettings, patients: Collection[str]
) -> dict[Moment, Window]:
    """The windows that the table holds of these patients, with these settings and the patient's same events.

    All events of a patient, because the moments of each are far from all of them.
    """
    if not patients or not has_settings(windows_path(out), settings):
        return {}
    rows = read_windows(out)
    bins = len(settings.edges_s) - 1
    of_events = rows.select("patient_id", "session_id", "time_s").gather_every(bins).iter_rows()
    at, matched = (
        rows.select(names).fill_null(np.nan).to_numpy().reshape(-1, bins, len(MEASURES))
        for names in (_COLUMNS, _MATCHED)
    )
    moments = rows["moments"].to_numpy().reshape(-1, bins)
    stored: dict[str, dict[Moment, Window]] = defaultdict(dict)
    for place, (patient_id, session_id, time_s) in enumerate(of_events):
        stored[patient_id][(patient_id, session_id), time_s] = Window(
            at[place], matched[place], moments[place]
        )
    now: dict[str, set[Moment]] = defaultdict(set)
    for ids, time_s in _moments(events):
        now[ids[0]].add((ids, time_s))
    same = [patient_id for patient_id in patients if stored[patient_id].keys() == now[patient_id]]
    return {moment: window for patient_id in same for moment, window in stored[patient_id].items()}


def _moments(events: Sequence[Event]) -> list[Moment]:
    return sorted({(event.ids, event.time_s) for event in events})


def recorded_of(timeline: Timeline) -> Recorded:
    """The data of a timeline for :func:`around_events`."""
    samples = observed(timeline)
    parts = timeline.metadata["session"]["parts"]
    return Recorded(samples, _values(samples.probabilities), float(parts[0][0]), float(parts[-1][1]))


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


class _Free:
    """Moments far from any event."""

    def __init__(
        self, events: Sequence[Event], conditions: Mapping[Ids, str], load: Load, settings: EventSettings
    ) -> None:
        self._times: dict[Ids, list[float]] = defaultdict(list)
        for event in events:
            self._times[event.ids].append(event.time_s)
        self._sessions: dict[str, list[Ids]] = defaultdict(list)
        for ids in conditions:
            self._sessions[ids[0]].append(ids)
        self._conditions, self._load, self._settings = conditions, load, settings
        self._known: dict[Ids, list[Moment]] = {}

    def window(self, moment: Moment) -> Window:
        """Around the moment, and around moments that match it."""
        ids, time_s = moment
        free, settings = self._of(ids), self._settings
        drawn = _random(moment, settings).permutation(len(free))[: settings.matched]
        around = np.full((len(drawn), len(settings.edges_s) - 1, len(MEASURES)), np.nan)
        for place, (other, other_s) in enumerate(free[number] for number in drawn):
            around[place] = _bins(self._load(other), other_s, settings)
        return Window(
            at=_bins(self._load(ids), time_s, settings),
            matched=mean_of_known(around),
            moments=(~np.isnan(around)).any(axis=2).sum(axis=0),
        )

    def _of(self, ids: Ids) -> list[Moment]:
        """Moments of the session, else of the patient's other sessions of the same condition."""
        own = self._own(ids)
        if own:
            return own
        condition = self._conditions[ids]
        return [
            moment
            for other in self._sessions[ids[0]]
            if other != ids and self._conditions[other] == condition
            for moment in self._own(other)
        ]

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


def _random(moment: Moment, settings: EventSettings) -> np.random.Generator:
    """Of the moment's own, whatever other events there are."""
    (patient_id, session_id), time_s = moment
    key = hashlib.sha256(f"{patient_id}/{session_id}/{time_s!r}".encode()).digest()
    return np.random.default_rng([settings.seed, *key])
