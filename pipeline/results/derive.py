"""Compute all tables that are derived from a folder's timelines, in order; no video is needed.

``summaries/made.json`` records the source files, and the problems of the study's own files.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.analysis.adaptation import Adaptation, adaptation_path, read_adaptation
from pipeline.analysis.episodes import EpisodeSettings
from pipeline.analysis.events import EVENTS_FILE
from pipeline.analysis.patients import PATIENTS_FILE
from pipeline.analysis.scales import write_scales
from pipeline.analysis.scales_file import SCALES_FILE
from pipeline.analysis.summaries import Source, SummarySettings, read_sessions, summarize_folder
from pipeline.errors import InputError, TimelineError
from pipeline.records import Ids, OnProgress
from pipeline.results.methods_text import write_methods
from pipeline.robustness.covariates import CovariateSettings, write_covariates
from pipeline.robustness.missing_compared import write_missing_compared
from pipeline.robustness.missing_faces import write_missing
from pipeline.robustness.multiverse import multiverse_path, write_multiverse
from pipeline.store.encryption import is_encrypted, key_file
from pipeline.store.files import atomic, state_of_files
from pipeline.store.parquet import read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.result_tables import has_settings
from pipeline.store.timeline import read_timeline, written_sessions
from pipeline.study.conditions import write_conditions
from pipeline.study.event_locked import remove_events, write_events
from pipeline.study.frozen_plans import PLANS
from pipeline.study.plan_file import PLAN_FILE
from pipeline.study.planned import comparison_settings, summary_settings

_OF_PATIENTS = ("characteristics", "covariates")


def derive(
    out: Path,
    settings: SummarySettings | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> tuple[str, ...]:
    """Write all derived tables.

    :param settings: default: those of the study's plan, if one is frozen.
    :returns: problems of the study's own ``events.csv``, ``patients.csv``, ``scales.toml`` and
        ``adaptation.json``, one line each; what they concern is left out.
    :raises InputError: there is no timeline. :raises TimelineError: a timeline can't be read.
    :raises OutputError: a file can't be written.
    """
    return _derive(out, settings or summary_settings(out), [], on_progress)


def update_derived(out: Path, on_progress: OnProgress = lambda done, total: None) -> tuple[str, ...]:
    """Write all derived tables with the last settings, if a source file or a table has changed.

    What depends on unchanged sessions alone is kept; the tables are the same as by :func:`derive`.
    """
    made = _read_stamp(out)
    if made is not None and made == _stamp(out, state_of_files(_sources(out)), made.problems, made.sessions):
        return made.problems
    settings, lost = _settings_of_last_time(out)
    return _derive(out, settings, lost, on_progress, made)


def add_multiverse(out: Path, on_progress: OnProgress = lambda done, total: None) -> None:
    """Write ``summaries/multiverse.parquet``, and the methods again; update the other tables first.

    :func:`derive` and :func:`update_derived` remove the table if they write the others again: it takes too
    long to follow every change, and a table of earlier data must not stand beside new ones.

    :raises InputError: there is no timeline. :raises TimelineError: a timeline can't be read.
    :raises OutputError: a file can't be written.
    """
    problems = update_derived(out)
    settings, _ = _settings_of_last_time(out)
    made = _read_stamp(out)
    write_multiverse(out, settings, comparison_settings(out, settings.baseline_condition), on_progress)
    write_methods(out)
    if made:  # the sources as they were when the tables were made: later changes trigger the next update
        _write_stamp(out, made.sources, problems, made.sessions)


def _derive(
    out: Path,
    settings: SummarySettings,
    problems: list[str],
    on_progress: OnProgress,
    made: "_Stamp | None" = None,
) -> tuple[str, ...]:
    """:param made: of tables from which the rows of unchanged sessions are kept."""
    adaptation, unusable = _adaptation(out)
    sha256 = adaptation.sha256 if adaptation else ""
    settings = replace(settings, adaptation_sha256=sha256)
    comparison = replace(comparison_settings(out, settings.baseline_condition), adaptation_sha256=sha256)
    problems = [*problems, *unusable]
    earlier = _usable(out, made, settings)
    kept: set[Ids] = set()
    patients: set[str] = set()
    after: list[Callable[[], object]] = [
        lambda: write_conditions(out, comparison, patients),
        lambda: write_missing(out, unchanged=kept),
        lambda: write_missing_compared(out, comparison),
        lambda: problems.extend(_write_scales(out, sha256, kept)),
        lambda: problems.extend(_write_events(out, patients)),
        lambda: problems.extend(_write_patients(out, settings)),
        lambda: write_methods(out),
    ]
    total = len(written_sessions(out)) + len(after)
    _stamp_path(out).unlink(missing_ok=True)
    multiverse_path(out).unlink(missing_ok=True)  # of the earlier tables
    sources = state_of_files(
        _sources(out)
    )  # stamp the files before reading: later changes trigger the next update
    found = summarize_folder(out, settings, lambda done, _: on_progress(done, total), adaptation, earlier)
    kept |= {ids for ids, source in found.items() if source == earlier.get(ids)}
    changed = {patient_id for patient_id, _ in set(found) ^ kept | set(earlier) - kept}
    patients |= {patient_id for patient_id, _ in kept} - changed
    problems += _not_adapted(out, adaptation)
    for left, make in zip(reversed(range(len(after))), after, strict=True):
        make()
        on_progress(total - left, total)
    _write_stamp(out, sources, tuple(problems), found)  # last: this file marks the tables as complete
    return tuple(problems)


def _usable(out: Path, made: "_Stamp | None", settings: SummarySettings) -> Mapping[Ids, Source]:
    """The sources of the tables' rows; empty if the tables are of another version, other settings or key."""
    sessions = out / "summaries" / "sessions.parquet"
    is_usable = (
        made is not None
        and made.software_version == version("emonext-care")
        and made.tables == state_of_files(_tables(out))
        and has_settings(sessions, settings)
        # tables that were open before there was a key are encrypted now
        and is_encrypted(sessions) == (key_file() is not None)
    )
    return made.sessions if made and is_usable else {}


def _adaptation(out: Path) -> tuple[Adaptation | None, list[str]]:
    """The folder's adaptation, and why it can't be used."""
    try:
        return read_adaptation(out), []
    except InputError as error:
        return None, [str(error)]


def _not_adapted(out: Path, adaptation: Adaptation | None) -> list[str]:
    """That sessions were read with other weights than those of the adaptation."""
    sessions = read_sessions(out)
    count = int((~sessions["adapted"]).sum()) if adaptation else 0
    if not count:
        return []
    return [
        f"{adaptation_path(out)}: is for other weights than those of {count} of {sessions.height} sessions, "
        "which have no adapted reading."
    ]


def _write_scales(out: Path, adaptation_sha256: str, unchanged: Collection[Ids]) -> list[str]:
    try:
        write_scales(out, adaptation_sha256, unchanged)
    except InputError as error:
        _scales(out).unlink(missing_ok=True)  # left by another scales.toml
        return [str(error)]
    return []


def _write_events(out: Path, unchanged: Collection[str]) -> list[str]:
    listed = out / EVENTS_FILE
    try:
        if listed.exists():
            return [f"{listed}: {problem}" for problem in write_events(out, listed, unchanged=unchanged)]
        found = []
    except InputError as error:
        found = [str(error)]
    remove_events(out)  # possibly from another list
    return found


def _write_patients(out: Path, settings: SummarySettings) -> tuple[str, ...]:
    for name in _OF_PATIENTS:
        (out / "summaries" / f"{name}.parquet").unlink(missing_ok=True)  # possibly from another list
    listed = out / PATIENTS_FILE
    if not listed.exists():
        missing = f"{listed}: not there, so that nothing was adjusted; write one row for each patient."
        return (missing,) if settings.adjust else ()
    comparison = comparison_settings(out, settings.baseline_condition)
    try:
        return write_covariates(out, CovariateSettings(comparison, settings.adjust))
    except InputError as error:
        return (str(error),)


def _scales(out: Path) -> Path:
    return out / "summaries" / "scales.parquet"


def _settings_of_last_time(out: Path) -> tuple[SummarySettings, list[str]]:
    """The settings of the last tables; those of the plan if there are none; the defaults if unreadable."""
    path = out / "summaries" / "sessions.parquet"
    if not path.exists():
        return summary_settings(out), []
    try:
        return as_settings(read_metadata(path)["settings"]), []
    except (TimelineError, KeyError, TypeError):
        lost = "its settings can't be read; the tables were computed with the default settings"
        return SummarySettings(), [f"{path}: {lost}. Run `emonext summarize` for others."]


def settings_values(settings: SummarySettings) -> dict[str, Any]:
    """Each setting by its name, those of the episodes among the others."""
    values = asdict(settings)
    episodes = values.pop("episodes")
    return values | episodes


def with_values(settings: SummarySettings, given: Mapping[str, Any]) -> SummarySettings:
    """The settings with some values of :func:`settings_values`."""
    episodes = {name: value for name, value in given.items() if name in asdict(settings.episodes)}
    others = {name: value for name, value in given.items() if name not in episodes}
    return replace(settings, episodes=replace(settings.episodes, **episodes), **others)


def last_settings(out: Path) -> SummarySettings:
    """The settings of the last tables; those of the plan if there are none; the defaults if unreadable."""
    return _settings_of_last_time(out)[0]


def coding_digests(out: Path, sessions: Collection[Ids]) -> dict[Ids, str]:
    """For each session: a digest that changes with its samples or episodes in the current tables.

    The episodes depend on their settings, the adaptation and the patient's own baseline. Sessions without a
    timeline are left out.

    :raises TimelineError: a timeline can't be read.
    """
    settings, made = last_settings(out), _read_stamp(out)
    of_all = (asdict(settings.episodes), settings.adaptation_sha256)
    digests: dict[Ids, str] = {}
    for ids in written_sessions(out):
        if ids in sessions:
            timeline = read_timeline(timeline_path(out, *ids))
            tracks = timeline.rows["track"].fill_null(-1).to_list()
            source = made.sessions.get(ids) if made else None
            of = (timeline.metadata["created_at"], tracks, *of_all, source.baseline if source else "")
            digests[ids] = hashlib.sha256(json.dumps(of).encode()).hexdigest()
    return digests


def as_settings(stored: Mapping[str, Any]) -> SummarySettings:
    """The inverse of ``asdict``.

    :raises TypeError: the settings are of another version.
    """
    episodes, adjust = EpisodeSettings(**stored["episodes"]), tuple(stored.get("adjust", ()))
    return SummarySettings(**{**stored, "episodes": episodes, "adjust": adjust})


# --- what it was made of


@dataclass(frozen=True)
class _Stamp:
    """What the tables were made of.

    :param sources, tables: state of the input files, and of the output files.
    :param sessions: what the rows of each session were computed from.
    """

    software_version: str
    sources: str
    tables: str
    problems: tuple[str, ...]
    sessions: Mapping[Ids, Source]


def _stamp(out: Path, sources: str, problems: tuple[str, ...], sessions: Mapping[Ids, Source]) -> _Stamp:
    return _Stamp(version("emonext-care"), sources, state_of_files(_tables(out)), problems, sessions)


def _write_stamp(out: Path, sources: str, problems: tuple[str, ...], sessions: Mapping[Ids, Source]) -> None:
    stamp = _stamp(out, sources, problems, sessions)
    stored = vars(stamp) | {"sessions": [[*ids, *vars(source).values()] for ids, source in sessions.items()]}
    with atomic(_stamp_path(out)) as partial:
        partial.write_text(json.dumps(stored), encoding="utf-8")


def _read_stamp(out: Path) -> _Stamp | None:
    try:
        stored = json.loads(_stamp_path(out).read_text(encoding="utf-8"))
        sessions = {(patient, session): Source(*source) for patient, session, *source in stored["sessions"]}
        return _Stamp(**{**stored, "problems": tuple(stored["problems"]), "sessions": sessions})
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _stamp_path(out: Path) -> Path:
    return out / "summaries" / "made.json"


def _sources(out: Path) -> list[Path]:
    timelines = [timeline_path(out, *ids) for ids in written_sessions(out)]
    plans = [out / PLAN_FILE, *sorted((out / PLANS).glob("*.toml"))]
    own = (EVENTS_FILE, PATIENTS_FILE, SCALES_FILE)
    return [*timelines, *(out / name for name in own), adaptation_path(out), *plans]


def _tables(out: Path) -> list[Path]:
    compared = ("conditions", "trends", "missing", "missing_compared", "multiverse", *_OF_PATIENTS)
    names = ("sessions", "measures", *compared, "scales", "events", "event_windows")
    return [*(out / "summaries" / f"{name}.parquet" for name in names), out / "summaries" / "methods.md"]
