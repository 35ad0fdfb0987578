"""The machine's codings of sessions that are compared with raters."""

from functools import cache
from pathlib import Path

import polars as pl

from pipeline.agreement.time_grid import Coder, Coding, by_episodes, by_samples
from pipeline.analysis.baseline_correction import OwnBaseline, corrected
from pipeline.analysis.episodes import Observed, observed
from pipeline.analysis.summaries import CORRECTED, RAW, baseline_of, read_episodes, read_sessions
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
        self._baseline = cache(self._find_baseline)

    def reads(self, ids: tuple[str, str], timeline: Timeline) -> tuple[Observed, dict[Coder, Coding]]:
        """Readable time, and codings by samples and by episodes, raw and corrected.

        :raises TimelineError: the session's episodes are missing or damaged.
        """
        samples = observed(timeline)
        episodes = read_episodes(self._out, *ids)
        found: dict[Coder, Coding] = {}
        for reading, probabilities in self._readings(ids, samples).items():
            name = _name(reading)
            found[Coder(name, "samples", reading)] = by_samples(probabilities)
            own = episodes.filter(pl.col("reading") == reading)
            found[Coder(f"{name}, episodes", "episodes", reading)] = by_episodes(own, samples)
        return samples, found

    def samples(self, ids: tuple[str, str], timeline: Timeline) -> dict[str, Observed]:
        """Name of the coder by samples → its readable samples, raw and corrected."""
        readings = self._readings(ids, observed(timeline))
        return {_name(reading): samples for reading, samples in readings.items()}

    def _readings(self, ids: tuple[str, str], samples: Observed) -> dict[str, Observed]:
        baseline = self._baseline(ids[0]) if ids in self._corrected else None
        return {RAW: samples} | ({CORRECTED: corrected(samples, baseline)} if baseline else {})

    def _find_baseline(self, patient_id: str) -> OwnBaseline | None:
        own = [ids for ids in written_sessions(self._out) if ids[0] == patient_id]
        return baseline_of([timeline_path(self._out, *ids) for ids in own], self._settings)


def _name(reading: str) -> str:
    return "machine" if reading == RAW else f"machine, {reading}"
