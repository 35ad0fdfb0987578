"""Everything that follows from a folder's timelines, made in its order; nothing of it needs a video."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.conditions import ComparisonSettings, write_conditions
from pipeline.episodes import EpisodeSettings
from pipeline.errors import TimelineError
from pipeline.event_locked import write_events
from pipeline.events import EVENTS_FILE
from pipeline.methods import write_methods
from pipeline.scales import SCALES_FILE, write_scales
from pipeline.spreadsheet import Problem
from pipeline.summaries import SummarySettings, read_sessions, summarize_folder
from pipeline.timeline import read_metadata, timeline_path, written_sessions

OnProgress = Callable[[int, int], None]
"""Called with (sessions done, sessions in all)."""


def derive(
    out: Path,
    settings: SummarySettings | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> tuple[Problem, ...]:
    """Makes all of it anew.

    :returns: what is wrong with the study's ``events.csv``: then there is nothing about events.
    :raises InputError: there is no timeline, or the study's ``events.csv`` or ``scales.toml`` can't be used.
    :raises TimelineError: a timeline can't be read. :raises OutputError: a file can't be written.
    """
    settings = settings or SummarySettings()
    problems: tuple[Problem, ...] = ()

    def make_events() -> None:
        nonlocal problems
        problems = _write_events(out)

    after: list[Callable[[], object]] = [
        lambda: write_conditions(out, ComparisonSettings(reference=settings.baseline_condition)),
        lambda: write_scales(out),
        make_events,
        lambda: write_methods(out),
    ]
    total = len(written_sessions(out)) + len(after)
    summarize_folder(out, settings, lambda done, _: on_progress(done, total))
    for left, make in zip(reversed(range(len(after))), after, strict=True):
        make()
        on_progress(total - left, total)
    return problems


def update_derived(out: Path, on_progress: OnProgress = lambda done, total: None) -> tuple[Problem, ...]:
    """The same, with the settings of the last time, where something changed since."""
    settings = _made_with(out)
    if settings is not None and not _is_stale(out):
        return ()
    return derive(out, settings, on_progress)


def _write_events(out: Path) -> tuple[Problem, ...]:
    listed, made = out / EVENTS_FILE, out / "summaries" / "events.parquet"
    problems = write_events(out, listed) if listed.exists() else ()
    if problems or not listed.exists():
        made.unlink(missing_ok=True)  # of another list
    return problems


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
    sources = [timeline_path(out, *both) for both in ids] + [out / EVENTS_FILE, out / SCALES_FILE]
    if any(path.exists() and path.stat().st_mtime_ns > made for path in sources):
        return True
    return sorted(read_sessions(out).select("patient_id", "session_id").rows()) != ids
