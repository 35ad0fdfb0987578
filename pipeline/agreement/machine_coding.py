"""The machine's codings of sessions that are compared with raters."""

from functools import cache
from pathlib import Path

import polars as pl

from pipeline.agreement.time_grid import Coder, Coding, by_episodes, by_samples
from pipeline.analysis.adaptation import read_adaptation
from pipeline.analysis.baseline_correction import OwnBaseline
from pipeline.analysis.episodes import Observed
from pipeline.analysis.summaries import RAW, baseline_of, read_episodes, read_sessions, readings_of
from pipeline.results.derive import as_settings
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import Timeline, written_sessions


class MachineCoder:
    """Read a folder's timelines and episodes as codings, on demand.

    :raises TimelineError: there are no summaries.
    """

    def __init__(self, out: Path) -> None:
        rows = read_sessions(out).filter("corrected").select("patient_id", "session_id").rows()
        path = out / "summaries" / "sessions.parquet"
        with malformed_as_timeline_error(path):
            self._settings = as_settings(read_metadata(path)["settings"])
        self._out, self._corrected = out, set(rows)
        self._adaptation = read_adaptation(out) if self._settings.adaptation_sha256 else None
        self._baseline = cache(self._find_baseline)

    def reads(self, ids: tuple[str, str], timeline: Timeline) -> tuple[Observed, dict[Coder, Coding]]:
        """Readable time, and codings by samples and by episodes, in each reading.

        :raises TimelineError: the session's episodes are missing or damaged.
        """
        episodes, readings = read_episodes(self._out, *ids), self._readings(ids, timeline)
        found: dict[Coder, Coding] = {}
        for reading, samples in readings.items():
            name = _name(reading)
            found[Coder(name, "samples", reading)] = by_samples(samples)
            own = episodes.filter(pl.col("reading") == reading)
            found[Coder(f"{name}, episodes", "episodes", reading)] = by_episodes(own, readings[RAW])
        return readings[RAW], found

    def samples(self, ids: tuple[str, str], timeline: Timeline) -> dict[str, Observed]:
        """Name of the coder by samples → its readable samples, in each reading."""
        return {_name(reading): samples for reading, samples in self._readings(ids, timeline).items()}

    def _readings(self, ids: tuple[str, str], timeline: Timeline) -> dict[str, Observed]:
        baseline = self._baseline(ids[0]) if ids in self._corrected else None
        return readings_of(timeline, baseline, self._adaptation, ids[0])

    def _find_baseline(self, patient_id: str) -> OwnBaseline | None:
        own = [ids for ids in written_sessions(self._out) if ids[0] == patient_id]
        return baseline_of([timeline_path(self._out, *ids) for ids in own], self._settings)


def _name(reading: str) -> str:
    return "machine" if reading == RAW else f"machine, {reading}"
