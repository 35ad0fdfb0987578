"""Collect the sessions of a folder for all export formats."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.analysis.summaries import read_episodes, read_sessions
from pipeline.errors import InputError
from pipeline.records import OnProgress
from pipeline.store.ids import check_stored_id, file_stem
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path


@dataclass(frozen=True)
class Media:
    """A file of a recording: its name, and its start and end in the session, s."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Exported:
    """A session to export.

    :param media: the files of its recording, by name: programs search for them in the folder of the export.
    :param facts: row of the sessions table.
    :param episodes: with the columns of ``EPISODES_SCHEMA``, all readings.
    """

    patient_id: str
    session_id: str
    media: tuple[Media, ...]
    frame_rate: float
    width: int
    height: int
    facts: dict[str, Any]
    episodes: pl.DataFrame

    @property
    def name(self) -> str:
        return file_stem((self.patient_id, self.session_id))

    @property
    def duration_s(self) -> float:
        """Length of the recording, s."""
        return self.media[-1].end_s

    def of(self, reading: str) -> pl.DataFrame:
        return self.episodes.filter(pl.col("reading") == reading).sort("start_s")


def sessions_to_export(out: Path, on_progress: OnProgress) -> Iterator[Exported]:
    rows = read_sessions(out).sort("patient_id", "session_id").to_dicts()
    if not rows:
        raise InputError(f"{out}: no session in its summaries; run `emonext process`, then `summarize`.")
    for done, facts in enumerate(rows, start=1):
        ids = check_stored_id("patient", facts["patient_id"]), check_stored_id("session", facts["session_id"])
        path = timeline_path(out, *ids)
        with malformed_as_timeline_error(path):
            video = read_metadata(path)["video"]
            starts = [float(file["start_s"]) for file in video["files"]]
            ends = [*starts[1:], float(video["duration_s"])]
            names = [Path(file["name"]).name for file in video["files"]]
            media = tuple(map(Media, names, starts, ends))
            size = int(video["width"]), int(video["height"])
            yield Exported(*ids, media, float(video["frame_rate"]), *size, facts, read_episodes(out, *ids))
        on_progress(done, len(rows))


def milliseconds(time_s: float) -> int:
    """Time in whole milliseconds, the unit of annotation programs."""
    return round(1000 * time_s)
