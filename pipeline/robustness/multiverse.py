"""Repeat the comparison of conditions with other reasonable choices: a specification curve.

    summaries/multiverse.parquet    one row per analysis and condition

A conclusion that hangs on one choice of the analysis is weak. Each condition's share of positive expression
is compared with the reference in every reasonable combination of choices
(:mod:`pipeline.robustness.multiverse_choices`), with the model and rules of :mod:`pipeline.study.conditions`
(Simonsohn, Simmons & Nelson, *Nature Human Behaviour* 2020; "multiverse": Steegen et al., *Perspectives on
Psychological Science* 2016). The analyses share the sessions, so their number is no evidence.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipeline.analysis.summaries import RAW, SummarySettings, read_sessions
from pipeline.records import OnProgress
from pipeline.robustness.multiverse_choices import Analysis, analyses, own_analysis
from pipeline.robustness.multiverse_sessions import Measured, measure_sessions
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.result_tables import column, read_derived, write_derived
from pipeline.store.timeline import written_sessions
from pipeline.study.comparison_tables import Comparison
from pipeline.study.conditions import compare_study
from pipeline.study.session_rows import ComparisonSettings

_OF = "positive"


@dataclass(frozen=True)
class MultiverseSettings:
    """Settings of the study's own analysis, from which the choices differ; stored with the table."""

    summaries: SummarySettings
    comparison: ComparisonSettings


_NUMBERS = {
    "mean_reference": "mean of the reference",
    "mean": "mean of the condition",
    "difference": "condition less reference, percentage points",
    "difference_low": "difference, lower end of the 95 % interval",
    "difference_high": "difference, upper end of it",
}

_COMPARED = ("reference", "condition", "reason", "sessions_reference", "sessions", "patients", "left_out")

MULTIVERSE_SCHEMA = pa.schema(
    [
        column(
            "analysis",
            pa.int32(),
            "1, 2 …; no row for a condition with the sessions of an earlier analysis",
        ),
        column("own", pa.bool_(), "whether it is the analysis of conditions.parquet"),
        column(
            "counted",
            pa.string(),
            "samples: time in which happy has the largest probability; probability: mean probability of "
            "happy; episodes: time in episodes of happy",
        ),
        column("smoothing_s", pa.float64(), "window of the smoothing; null: none", "s", nullable=True),
        column("enter", pa.float64(), "at which an episode begins", "0…1", nullable=True),
        column("leave", pa.float64(), "at which an episode ends", "0…1", nullable=True),
        column("min_duration_s", pa.float64(), "shortest episode", "s", nullable=True),
        column("min_coverage", pa.float64(), "lowest coverage of a session that counts", "0…1"),
        column("without_speech", pa.bool_(), "whether time with speech or chewing is left out"),
        column("every", pa.int32(), "1: all samples; 2: every second sample …"),
        column("reference", pa.string(), "the condition compared with"),
        column("condition", pa.string(), "the condition"),
        column("reason", pa.string(), "why the analysis was not possible; empty where it was"),
        column("sessions_reference", pa.int32(), "sessions of the reference"),
        column("sessions", pa.int32(), "sessions of the condition"),
        column("patients", pa.int32(), "patients compared"),
        column("left_out", pa.int32(), "sessions of these conditions not compared"),
        *(column(name, pa.float64(), meaning, "%", nullable=True) for name, meaning in _NUMBERS.items()),
    ]
)
"""Columns of ``summaries/multiverse.parquet``; the share of positive expression, in the raw reading."""


def multiverse_path(out: Path) -> Path:
    """Path of the table."""
    return out / "summaries" / "multiverse.parquet"


def read_multiverse(out: Path) -> pl.DataFrame:
    """In :data:`MULTIVERSE_SCHEMA`'s columns; errors as :func:`pipeline.store.result_tables.read_derived`."""
    return read_derived(multiverse_path(out), MULTIVERSE_SCHEMA)


def write_multiverse(
    out: Path,
    settings: SummarySettings,
    comparison: ComparisonSettings,
    on_progress: OnProgress = lambda done, total: None,
) -> None:
    """Write the table from the timelines and ``summaries/sessions.parquet``.

    :param settings: of the study's own analysis; those of the table of sessions.
    :param comparison: those of the table of conditions; of its measures, one is compared.
    :raises TimelineError: a timeline or the table of sessions can't be read.
    :raises OutputError: the table can't be written.
    """
    comparison = replace(comparison, measures=(("share", _OF),), planned=())
    rows = _rows(out, settings, comparison, on_progress)
    write_derived(multiverse_path(out), MULTIVERSE_SCHEMA, rows, MultiverseSettings(settings, comparison))


def _rows(
    out: Path, settings: SummarySettings, comparison: ComparisonSettings, on_progress: OnProgress
) -> Iterator[dict[str, Any]]:
    ids = written_sessions(out)
    listed = analyses(settings, _lowest_rate(out), read_sessions(out))
    steps, done = len(ids) + len(listed), count(1)
    ways = list(dict.fromkeys(analysis.measurement for analysis in listed))
    measured = measure_sessions(out, ways, settings, lambda: on_progress(next(done), steps))
    own, seen = own_analysis(settings), set()
    for number, analysis in enumerate(listed, start=1):
        chosen = {"analysis": number, "own": analysis == own, **_choices(analysis)}
        for one in compare(measured, analysis, settings, comparison):
            # a lower or higher minimum coverage may leave the same sessions: this is the same analysis again
            sessions = analysis.measurement, one.condition, one.sessions_reference, one.sessions
            if one.reason or sessions not in seen:
                yield chosen | {name: getattr(one, name) for name in (*_COMPARED, *_NUMBERS)}
            seen.add(sessions)
        on_progress(next(done), steps)


def _lowest_rate(out: Path) -> float:
    """Samples per second; of several rates, the lowest."""
    rates = []
    for ids in written_sessions(out):
        path = timeline_path(out, *ids)
        metadata = read_metadata(path)
        with malformed_as_timeline_error(path):
            rates.append(float(metadata["settings"]["sample_fps"]))
    return min(rates)


def _choices(analysis: Analysis) -> dict[str, Any]:
    measurement = analysis.measurement
    return {
        **asdict(measurement.counting),
        "min_coverage": analysis.min_coverage,
        "without_speech": measurement.without_speech,
        "every": measurement.every,
    }


def compare(
    measured: Measured, analysis: Analysis, settings: SummarySettings, comparison: ComparisonSettings
) -> tuple[Comparison, ...]:
    """Each condition with the reference, in one analysis."""
    measurement = analysis.measurement
    sessions = measured.sessions[measurement.every].with_columns(
        enough=(pl.col("observed_s") > 0)
        & (pl.col("observed_s") >= settings.min_observed_s)
        & (pl.col("coverage") >= analysis.min_coverage)
    )
    measure = "share_without_speech" if measurement.without_speech else "share"
    fixed = {"reading": RAW, "measure": measure, "of": _OF, "unit": "0…1"}
    values = sessions.select(
        "patient_id",
        "session_id",
        pl.Series("value", measured.values[measurement], pl.Float64),
        *(pl.lit(value).alias(name) for name, value in fixed.items()),
    )
    return compare_study(sessions, values, replace(comparison, measures=((measure, _OF),)))
