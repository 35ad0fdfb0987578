"""Everything that follows from a folder's timelines, made in its order; nothing of it needs a video."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.episodes import EpisodeSettings
from pipeline.errors import TimelineError
from pipeline.summaries import SummarySettings, read_sessions, summarize_folder
from pipeline.timeline import read_metadata, timeline_path, written_sessions

OnProgress = Callable[[int, int], None]
"""Called with (sessions done, sessions in all)."""


def derive(
    out: Path,
    settings: SummarySettings | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> pl.DataFrame:
    """Makes all of it anew.

    :returns: the table of sessions.
    :raises InputError: there is no timeline. :raises TimelineError: one can't be read.
    :raises OutputError: a file can't be written.
    """
    return summarize_folder(out, settings or SummarySettings(), on_progress)


def update_derived(out: Path, on_progress: OnProgress = lambda done, total: None) -> None:
    """The same, with the settings of the last time, where something changed since."""
    made = _made_with(out)
    if made is None or _is_stale(out):
        derive(out, made, on_progress)


def _made_with(out: Path) -> SummarySettings | None:
    """The settings of the last time; none where it was never, or by another version of the program."""
    path = out / "summaries" / "sessions.parquet"
    if not path.exists():
        return None
    try:
        metadata = read_metadata(path)
        return (
            as_settings(metadata["settings"])
            if metadata["software_version"] == version("emonext-care")
            else None
        )
    except (TimelineError, KeyError, TypeError):
        return None


def as_settings(stored: Mapping[str, Any]) -> SummarySettings:
    """The inverse of ``asdict``.

    :raises TypeError: they are another version's.
    """
    return SummarySettings(**{**stored, "episodes": EpisodeSettings(**stored["episodes"])})


def _is_stale(out: Path) -> bool:
    """Whether timelines, or what else goes in, are not those from which it was made."""
    made = (out / "summaries" / "sessions.parquet").stat().st_mtime_ns
    ids = written_sessions(out)
    sources = [timeline_path(out, *both) for both in ids]
    if any(path.exists() and path.stat().st_mtime_ns > made for path in sources):
        return True
    return sorted(read_sessions(out).select("patient_id", "session_id").rows()) != ids
