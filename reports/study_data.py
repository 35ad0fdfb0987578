"""The data of a study's page."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.agreement.adjusted_shares import AdjustedShare, read_adjusted_shares
from pipeline.analysis.adaptation import Adaptation, read_adaptation
from pipeline.analysis.scales import rated_scales
from pipeline.analysis.summaries import read_sessions
from pipeline.errors import InputError
from pipeline.reasons import Reason, read_reasons
from pipeline.store.parquet import as_frame, malformed_as_timeline_error, read_metadata, read_table
from pipeline.store.paths import timeline_path
from pipeline.store.status import overview
from pipeline.store.timeline import written_sessions
from pipeline.study.planned import Planned, read_planned

TABLES = (
    *("conditions", "trends", "missing", "missing_compared", "multiverse"),
    *("events", "scales", "characteristics", "covariates"),
)


@dataclass(frozen=True)
class Study:
    """The data of the page.

    :param status: :func:`pipeline.store.status.overview`. ``sessions``: the table of that name.
    :param tables: the other tables by name, as far as they were made.
    :param rows_of_patients: which patients have a row in ``patients.csv``; empty where there is no such file.
    :param scale_names: by the key under which the table has them.
    :param methods: the methods paragraph; none where none was written.
    :param made: how the timelines were made: software, weights, settings; each with how many sessions.
    :param problems: what is wrong with the study's own files.
    :param planned: the plans beside the comparisons; none where there are no comparisons.
    :param adaptation: that of the adapted reading; ``None`` without one.
    :param adjusted: the shares, adjusted for misreading; empty if there are none, or they are out of date.
    :param has_agreement: whether the page of agreement with raters lies beside it.
    """

    status: pl.DataFrame
    sessions: pl.DataFrame
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    rows_of_patients: Mapping[str, Any] = field(default_factory=dict)
    scale_names: Mapping[str, str] = field(default_factory=dict)
    methods: str | None = None
    made: Mapping[str, Counter[str]] = field(default_factory=dict)
    warnings: tuple[tuple[str, str, Reason], ...] = ()
    problems: tuple[str, ...] = ()
    has_agreement: bool = False
    planned: Planned | None = None
    adaptation: Adaptation | None = None
    adjusted: tuple[AdjustedShare, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def read_study(out: Path) -> Study:
    """Read all data of a folder that the page shows.

    :raises pipeline.errors.TimelineError: a table can't be read.
    """
    made, warnings = _made(out)
    about = summaries_about(out)
    methods = out / "summaries" / "methods.md"
    return Study(
        status=overview(out, running=False),
        sessions=read_sessions(out),
        tables={name: as_frame(read_table(path)) for name in TABLES if (path := _table(out, name)).exists()},
        rows_of_patients=_rows_of_patients(_table(out, "characteristics")),
        scale_names=rated_scales(out),
        methods=methods.read_text(encoding="utf-8") if methods.exists() else None,
        made=made,
        warnings=warnings,
        about=about,
        adaptation=_adaptation(out, about),
        adjusted=_adjusted(out),
        has_agreement=(out / "reports" / "agreement.html").is_file(),
        planned=read_planned(out) if _table(out, "conditions").exists() else None,
    )


def _adaptation(out: Path, about: Mapping[str, Any]) -> Adaptation | None:
    """The adaptation, if the tables were made with it."""
    with suppress(InputError):  # `pipeline.results.derive` reports it
        found = read_adaptation(out)
        if found and found.sha256 == about["settings"].get("adaptation_sha256"):
            return found
    return None


def _adjusted(out: Path) -> tuple[AdjustedShare, ...]:
    with suppress(InputError):  # changed by hand
        return tuple(read_adjusted_shares(out))
    return ()


def _table(out: Path, name: str) -> Path:
    return out / "summaries" / f"{name}.parquet"


def _rows_of_patients(path: Path) -> dict[str, Any]:
    return dict(read_metadata(path)["settings"]) if path.exists() else {}


def summaries_about(out: Path) -> dict[str, Any]:
    """With which version and settings the summaries were made.

    :raises pipeline.errors.TimelineError: there are none.
    """
    metadata = read_metadata(out / "summaries" / "sessions.parquet")
    return {"version": metadata["software_version"], "settings": flat(metadata["settings"])}


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"episodes": {"window_s": 1}}`` → ``{"episodes.window_s": 1}``."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def _made(out: Path) -> tuple[dict[str, Counter[str]], tuple[tuple[str, str, Reason], ...]]:
    """How the timelines were made, and what was to be warned of."""
    made: dict[str, Counter[str]] = {}
    warnings = []
    for patient, session in written_sessions(out):
        path = timeline_path(out, patient, session)
        metadata = read_metadata(path)
        weights = metadata["weights"]
        facts = {
            "software_version": f"Emonext Care {metadata['software_version']}",
            "device": metadata["device"],
            "weights.name": f"{weights['name']}, sha256 {weights['sha256'][:12]}",
            **flat(metadata["settings"]),
        }
        for name, value in facts.items():
            made.setdefault(name, Counter())[str(value)] += 1
        with malformed_as_timeline_error(path):
            warnings += [(patient, session, reason) for reason in read_reasons(metadata["warnings"])]
    return made, tuple(warnings)
