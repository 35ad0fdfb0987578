"""Results for other programs: tables, annotations over the video, and BIDS."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from pipeline.analysis.summaries import RAW, read_episodes, read_sessions
from pipeline.errors import InputError, OutputError
from pipeline.exchange.manifest import replace_export
from pipeline.store.ids import check_id, file_stem, find_clashes
from pipeline.store.parquet import read_metadata, understood
from pipeline.store.timeline import timeline_path

Format = Literal["csv", "xlsx", "elan", "boris", "bids"]
FORMATS: tuple[Format, ...] = get_args(Format)

Progress = Callable[[int, int], None]
"""Called with (sessions done, sessions in all)."""


@dataclass(frozen=True)
class Media:
    """A file of a recording: its name, and from where to where in the session it lies, s."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Exported:
    """A session as it is exported.

    :param media: the files of its recording, by name: they are looked for beside the exported file.
    :param facts: its row of the sessions' table.
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
        """Of the recording."""
        return self.media[-1].end_s

    def of(self, reading: str) -> pl.DataFrame:
        return self.episodes.filter(pl.col("reading") == reading).sort("start_s")


def export(
    out: Path,
    kind: Format,
    folder: Path,
    reading: str = RAW,
    on_progress: Progress = lambda done, total: None,
) -> list[Path]:
    """Writes a folder's results for another program, in place of what an earlier export wrote there.

    :param folder: where to; made where it is missing.
    :param reading: whose episodes ELAN and BORIS show, of sessions that have it; the others hold all.
    :returns: what was written.
    :raises InputError: there is no such reading, or two sessions would get the same name.
    :raises TimelineError: results can't be read.
    :raises OutputError: a file can't be written, or is there and not from an export, or somebody may have
        worked on it.
    """
    if kind in ("csv", "xlsx"):
        from pipeline.exchange.tables import csv_files, derived_tables, write_xlsx

        tables = derived_tables(out)
        book = {"emonext-care.xlsx": partial(write_xlsx, tables)}
        return replace_export(folder, kind, csv_files(tables) if kind == "csv" else book)
    sessions = sessions_to_export(out, on_progress)
    if kind == "bids":
        from pipeline.exchange.bids import bids_files

        return replace_export(folder, kind, bids_files(list(sessions)))
    rateable = [one for one in sessions if reading == RAW or one.facts["corrected"]]
    if not rateable:
        raise InputError(f"{out}: no session has a reading {reading}; leave out --reading.")
    for clash in find_clashes((one.patient_id, one.session_id) for one in rateable):
        raise InputError(f"{out}: {clash}")
    if kind == "boris":
        from pipeline.exchange.boris_writing import write_boris

        return [write_boris(rateable, _new(folder / "emonext-care.boris"), reading)]
    from pipeline.exchange.elan_writing import write_elan

    paths = [_new(folder / f"{one.name}.eaf") for one in rateable]
    return [write_elan(one, path, reading) for one, path in zip(rateable, paths, strict=True)]


def _new(path: Path) -> Path:
    """:raises OutputError: it is there, and somebody may have worked on it."""
    if path.exists():
        raise OutputError(
            f"{path}: is there, perhaps with a rater's corrections; move it away, or give another --out."
        )
    return path


def sessions_to_export(out: Path, on_progress: Progress) -> Iterator[Exported]:
    rows = read_sessions(out).sort("patient_id", "session_id").to_dicts()
    if not rows:
        raise InputError(f"{out}: no session in its summaries; run `emonext process`, then `summarize`.")
    for done, facts in enumerate(rows, start=1):
        ids = check_id("patient", facts["patient_id"]), check_id("session", facts["session_id"])
        path = timeline_path(out, *ids)
        with understood(path):
            video = read_metadata(path)["video"]
            starts = [float(file["start_s"]) for file in video["files"]]
            ends = [*starts[1:], float(video["duration_s"])]
            names = [Path(file["name"]).name for file in video["files"]]
            media = tuple(map(Media, names, starts, ends))
            size = int(video["width"]), int(video["height"])
            yield Exported(*ids, media, float(video["frame_rate"]), *size, facts, read_episodes(out, *ids))
        on_progress(done, len(rows))


def milliseconds(time_s: float) -> int:
    """As annotation programs count; nobody sees finer."""
    return round(1000 * time_s)
