"""Find episodes: uninterrupted stretches of one emotion.

The probabilities are smoothed over a window of time. An emotion begins where its smoothed probability
reaches ``enter`` and lasts until it falls below ``leave`` or another reaches ``enter``; time in between is
"uncertain". Short interruptions are bridged and short episodes left out. A gap without a readable face longer
than ``max_unobserved_s`` ends an episode. Smoothing blurs begin and end, so each edge is moved to the step of
the unsmoothed probability.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.faces.states import LIKELY
from pipeline.records import EMOTIONS, TIME_EPS_S
from pipeline.store.coverage import knows_speech, sample_seconds
from pipeline.store.timeline import Timeline

Floats = NDArray[np.float64]

UNCERTAIN = -1
"""State without a clear emotion; other states are positions in :data:`EMOTIONS`."""


@dataclass(frozen=True)
class EpisodeSettings:
    """Settings that define an episode.

    :param smoothing_s: window of the moving average, s.
    :param enter, leave: smoothed probabilities at which an emotion begins and ends.
    :param min_duration_s: shortest episode, s.
    :param bridge_s: longest interruption between two parts of one episode, s.
    :param max_unobserved_s: longest gap without a readable face inside an episode, s.
    """

    smoothing_s: float = 1.0
    enter: float = 0.5
    leave: float = 0.4
    min_duration_s: float = 1.0
    bridge_s: float = 0.6
    max_unobserved_s: float = 1.0

    def __post_init__(self) -> None:
        """:raises InputError: a setting is out of range, or two settings contradict each other."""
        if not 0 <= self.leave <= self.enter <= 1:
            raise InputError(f"`leave` {self.leave:g} and `enter` {self.enter:g}: 0 ≤ leave ≤ enter ≤ 1.")
        if not 0 <= self.bridge_s <= self.min_duration_s:
            # otherwise an episode of another emotion could lie within a bridge
            raise InputError(f"`bridge_s` {self.bridge_s:g}: from 0 to the shortest episode's length.")
        if self.smoothing_s < 0 or self.max_unobserved_s < 0:
            raise InputError("`smoothing_s` and `max_unobserved_s`: 0 s or more.")


@dataclass(frozen=True)
class Episode:
    """One episode of one emotion.

    :param start_s, end_s: time in the video. ``peak_s``: time of the sample with the highest probability.
    :param observed_s: seconds with a readable face.
    :param mean_p, peak_p: mean and maximum of the smoothed probability.
    """

    emotion: str
    start_s: float
    end_s: float
    peak_s: float
    observed_s: float
    mean_p: float
    peak_p: float


@dataclass(frozen=True)
class Observed:
    """The readable samples of a timeline.

    :param start_s: (m,) begin of each sample, s. ``seconds``: (m,) duration that it represents.
    :param probabilities: (m, 7) in the order of EMOTIONS.
    :param quiet: (m,) whether the person neither speaks nor chews; ``None`` if this is mostly unknown.
    """

    start_s: Floats
    seconds: Floats
    probabilities: Floats
    quiet: NDArray[np.bool_] | None = None

    @property
    def end_s(self) -> Floats:
        """(m,)"""
        return self.start_s + self.seconds


def observed(timeline: Timeline) -> Observed:
    """Select the readable samples of a timeline; samples of zero duration are left out."""
    rows = timeline.rows
    seconds = sample_seconds(timeline)
    read = rows["p_neutral"].is_not_null().to_numpy() & (seconds > 0)
    probabilities = rows.select(f"p_{name}" for name in EMOTIONS).to_numpy().astype(np.float64)
    return Observed(
        rows["time_s"].to_numpy()[read], seconds[read], probabilities[read], _quiet(timeline, read)
    )


def _quiet(timeline: Timeline, read: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    if not knows_speech(timeline):
        return None
    states = timeline.rows.select("speaking", "chewing").filter(read)
    return np.asarray((states.max_horizontal() < LIKELY).fill_null(value=False).to_numpy())


def find_episodes(samples: Observed, settings: EpisodeSettings) -> list[Episode]:
    """Episodes in order of their start."""
    if not len(samples.start_s):
        return []
    smooth = smoothed(samples, settings)
    states = emotional_states(samples, smooth, settings)
    stretches = sorted(_stretches(samples, states, settings), key=lambda stretch: stretch[1])
    return [
        _episode(samples, smooth, emotion, start, end)
        for emotion, start, end in _sharpened(samples, stretches, settings)
        if samples.end_s[end - 1] - samples.start_s[start] >= settings.min_duration_s - TIME_EPS_S
    ]


def smoothed(samples: Observed, settings: EpisodeSettings) -> Floats:
    """(m, 7) mean probabilities over the window around each sample's middle.

    The window ends at a gap longer than ``max_unobserved_s``; across shorter gaps only observed time counts.
    The integral is exact for irregular samples.
    """
    runs = _runs(samples, settings.max_unobserved_s)
    first = np.searchsorted(runs, runs, side="left")
    last = np.searchsorted(runs, runs, side="right") - 1
    middle = samples.start_s + samples.seconds / 2
    half = settings.smoothing_s / 2
    low = np.maximum(middle - half, samples.start_s[first])
    high = np.minimum(middle + half, samples.end_s[last])
    weighted = np.column_stack([np.ones(len(middle)), samples.probabilities]) * samples.seconds[:, None]
    after = np.cumsum(weighted, axis=0)
    knots_s = np.stack([samples.start_s, samples.end_s], 1).ravel()
    levels = np.stack([after - weighted, after], 1).reshape(len(knots_s), -1)
    integral = np.column_stack(
        [np.interp(high, knots_s, level) - np.interp(low, knots_s, level) for level in levels.T]
    )
    whole = integral[:, :1]
    means: Floats = np.divide(
        integral[:, 1:], whole, out=samples.probabilities.copy(), where=whole > TIME_EPS_S
    )
    return means


def emotional_states(samples: Observed, smooth: Floats, settings: EpisodeSettings) -> NDArray[np.int64]:
    """(m,) position of the emotion in :data:`EMOTIONS`, or :data:`UNCERTAIN`, with hysteresis."""
    largest, best = smooth.max(axis=1), smooth.argmax(axis=1)
    runs = _runs(samples, settings.max_unobserved_s)
    states = np.full(len(best), UNCERTAIN)
    state = UNCERTAIN
    for index, (top, emotion) in enumerate(zip(largest.tolist(), best.tolist(), strict=True)):
        if index and runs[index] != runs[index - 1]:
            state = UNCERTAIN
        if top >= settings.enter:
            state = emotion
        elif state != UNCERTAIN and smooth[index, state] < settings.leave:
            state = UNCERTAIN
        states[index] = state
    return states


def _runs(samples: Observed, longest_gap_s: float) -> NDArray[np.int64]:
    """(m,) run number of each sample; a new run begins after each longer gap."""
    gap_s = samples.start_s[1:] - samples.end_s[:-1]
    return np.concatenate([[0], np.cumsum(gap_s > longest_gap_s + TIME_EPS_S)])


def _stretches(
    samples: Observed, states: NDArray[np.int64], settings: EpisodeSettings
) -> list[tuple[int, int, int]]:
    """(emotion, first sample, last sample + 1) of each stretch, after bridging."""
    edges = np.flatnonzero(np.diff(states, prepend=states[0] - 1, append=states[-1] - 1))
    open_: dict[int, tuple[int, int]] = {}
    done: list[tuple[int, int, int]] = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        for first, last in _without_gaps(samples, start, end, settings.max_unobserved_s):
            emotion = int(states[start])
            if emotion == UNCERTAIN:
                continue
            if emotion in open_ and _is_bridged(samples, open_[emotion][1], first, settings):
                open_[emotion] = open_[emotion][0], last
                continue
            if emotion in open_:
                done.append((emotion, *open_[emotion]))
            open_[emotion] = first, last
    return done + [(emotion, *stretch) for emotion, stretch in open_.items()]


def _without_gaps(samples: Observed, start: int, end: int, longest_s: float) -> list[tuple[int, int]]:
    """Split a stretch at gaps that are too long."""
    gap_s = samples.start_s[start + 1 : end] - samples.end_s[start : end - 1]
    cuts = (np.flatnonzero(gap_s > longest_s + TIME_EPS_S) + start + 1).tolist()
    return list(zip([start, *cuts], [*cuts, end], strict=True))


def _is_bridged(samples: Observed, end: int, start: int, settings: EpisodeSettings) -> bool:
    """Whether the interruption between sample ``end`` − 1 and sample ``start`` is short enough."""
    apart_s = samples.start_s[start] - samples.end_s[end - 1]
    unobserved_s = apart_s - samples.seconds[end:start].sum()
    return bool(
        apart_s - unobserved_s <= settings.bridge_s + TIME_EPS_S
        and unobserved_s <= settings.max_unobserved_s + TIME_EPS_S
    )


def _sharpened(
    samples: Observed, stretches: Sequence[tuple[int, int, int]], settings: EpisodeSettings
) -> Iterator[tuple[int, int, int]]:
    """Move each edge to the step of the probability, by at most half a window; stretches do not overlap."""
    runs = _runs(samples, settings.max_unobserved_s)
    last_end = 0
    for emotion, start, end in stretches:
        probability = samples.probabilities[:, emotion]
        first = _step(samples, probability, start, _run_of(runs, start), settings.smoothing_s)
        first = max(first, last_end)
        if first >= end:
            continue  # the preceding stretch now covers it
        last = _step(samples, -probability, end, _run_of(runs, end - 1), settings.smoothing_s)
        last_end = max(last, first + 1)
        yield emotion, first, last_end


def _run_of(runs: NDArray[np.int64], sample: int) -> tuple[int, int]:
    """First sample, and last sample + 1, of a sample's run."""
    low, high = np.searchsorted(runs, runs[sample], "left"), np.searchsorted(runs, runs[sample], "right")
    return int(low), int(high)


def _step(samples: Observed, values: Floats, edge: int, run: tuple[int, int], window_s: float) -> int:
    """The sample near ``edge`` at which the values step up: least squares with one change between two means.

    :param run: first sample and last sample + 1 of the gapless run with the edge.
    """
    if edge in run:
        return edge  # the face came into view here, or went out of view
    near_s = samples.start_s[edge] + window_s * np.array([-1, 1])
    low, high = np.clip(np.searchsorted(samples.start_s, near_s), *run)
    near = values[low:high]
    before = np.arange(1, len(near))
    sums = np.cumsum(near)[:-1]
    rise = (near.sum() - sums) / (len(near) - before) - sums / before
    gain = np.where(rise > 0, rise**2 * before * (len(near) - before), 0.0)
    far = np.abs(samples.start_s[low + before] - samples.start_s[edge]) > window_s / 2 + TIME_EPS_S
    gain[far] = -1.0
    return int(low + before[gain.argmax()]) if gain.size and gain.max() > 0 else edge


def _episode(samples: Observed, smooth: Floats, emotion: int, start: int, end: int) -> Episode:
    probability, seconds = smooth[start:end, emotion], samples.seconds[start:end]
    peak = int(probability.argmax())
    return Episode(
        emotion=EMOTIONS[emotion],
        start_s=float(samples.start_s[start]),
        end_s=float(samples.end_s[end - 1]),
        peak_s=float(samples.start_s[start + peak]),
        observed_s=float(seconds.sum()),
        mean_p=float(probability @ seconds / seconds.sum()),
        peak_p=float(probability[peak]),
    )
