"""Everything that follows from a folder's timelines, made in its order; nothing of it needs a video."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.conditions import ComparisonSettings, write_conditions
from pipeline.episodes import EpisodeSettings
from pipeline.errors import InputError, TimelineError
from pipeline.event_locked import write_events
from pipeline.events import EVENTS_FILE
from pipeline.methods import write_methods
from pipeline.scales import SCALES_FILE, write_scales
from pipeline.summaries import SummarySettings, read_sessions, summarize_folder
from pipeline.timeline import read_metadata, timeline_path, written_sessions

OnProgress = Callable[[int, int], None]
"""Called with (sessions done, sessions in all)."""


def derive(
    out: Path,
    settings: SummarySettings | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> tuple[str, ...]:
    """Makes all of it anew.

    :returns: what is wrong with the study's own ``events.csv`` and ``scales.toml``, a line each; what they
        are for is left out then.
    :raises InputError: there is no timeline. :raises TimelineError: one can't be read.
    :raises OutputError: a file can't be written.
    """
    settings = settings or SummarySettings()
    problems: list[str] = []
    after: list[Callable[[], object]] = [
        lambda: write_conditions(out, ComparisonSettings(reference=settings.baseline_condition)),
        lambda: problems.extend(_write_scales(out)),
        lambda: problems.extend(_write_events(out)),
        lambda: write_methods(out),  # last: that it is there says that all is
    ]
    total = len(written_sessions(out)) + len(after)
    _stamp(out).unlink(missing_ok=True)
    summarize_folder(out, settings, lambda done, _: on_progress(done, total))
    for left, make in zip(reversed(range(len(after))), after, strict=True):
        make()
        on_progress(total - left, total)
    return tuple(problems)


def update_derived(out: Path, on_progress: OnProgress = lambda done, total: None) -> tuple[str, ...]:
    """The same, with the settings of the last time, where something changed since."""
    settings = _made_with(out)
    if settings is not None and not _is_stale(out):
        return ()
    return derive(out, settings, on_progress)


def _write_scales(out: Path) -> list[str]:
    try:
        write_scales(out)
    except InputError as error:
        _scales(out).unlink(missing_ok=True)  # by another file
        return [str(error)]
    return []


def _write_events(out: Path) -> list[str]:
    listed, problems = out / EVENTS_FILE, []
    if listed.exists():
        try:
            problems = [f"{listed}: {problem}" for problem in write_events(out, listed)]
        except InputError as error:
            problems = [str(error)]
    if problems or not listed.exists():
        _events(out).unlink(missing_ok=True)  # of another list
    return problems


def _stamp(out: Path) -> Path:
    return out / "summaries" / "methods.md"


def _events(out: Path) -> Path:
    return out / "summaries" / "events.parquet"


def _scales(out: Path) -> Path:
    return out / "summaries" / "scales.parquet"


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
    if not _stamp(out).exists() or not _scales(out).exists():
        return True
    if (out / EVENTS_FILE).exists() != _events(out).exists():
        return True
    made = _stamp(out).stat().st_mtime_ns
    ids = written_sessions(out)
    sources = [timeline_path(out, *both) for both in ids] + [out / EVENTS_FILE, out / SCALES_FILE]
    if any(path.exists() and path.stat().st_mtime_ns > made for path in sources):
        return True
    return sorted(read_sessions(out).select("patient_id", "session_id").rows()) != ids
