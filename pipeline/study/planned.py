"""Compare what was done with what was planned: marks of comparisons, deviations, missing comparisons."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from pipeline.analysis.summaries import RAW, SummarySettings, read_sessions
from pipeline.reasons import Reason
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import written_sessions
from pipeline.study.comparison_tables import STUDY, read_conditions
from pipeline.study.frozen_plans import FrozenPlans, read_frozen
from pipeline.study.plan_file import AnalysisPlan, Compared
from pipeline.study.session_rows import ComparisonSettings

Mark = Literal["planned", "planned_otherwise", "after_results", "not_planned", "unknown", "no_plan"]
"""Of a comparison. ``planned``: before any session had results; ``planned_otherwise``: the same, but computed
with other settings; ``after_results``: only in a plan that was frozen when sessions had results; ``unknown``:
the frozen plans can't be relied on."""


@dataclass(frozen=True)
class Deviation:
    """A setting that differs from the plan.

    :param sessions: number of sessions processed so; ``None`` for a setting of the analysis.
    """

    setting: str
    planned: str
    used: str
    sessions: int | None = None


@dataclass(frozen=True)
class NotComputed:
    """A planned comparison without a result.

    :param reason: in English, as in the table of comparisons.
    """

    compared: Compared
    reference: str
    reason: str


@dataclass(frozen=True)
class Amendment:
    """What a later plan changed.

    :param number: of the later plan. ``changes``: setting, value before, value after.
    """

    number: int
    changes: tuple[Deviation, ...]


@dataclass(frozen=True)
class Used:
    """The settings behind the tables of a folder.

    :param timelines: setting of the processing → number of sessions by value.
    :param family: number of planned tests for which p-values of these were corrected; 0 without a plan.
    """

    analysis: Mapping[str, str]
    timelines: Mapping[str, Counter[str]]
    family: int = 0


@dataclass(frozen=True)
class Planned:
    """The plans of a folder beside its results."""

    frozen: FrozenPlans
    used: Used
    comparisons: pl.DataFrame
    conditions: frozenset[str]

    @cached_property
    def deviations(self) -> tuple[Deviation, ...]:
        """From the plan in force."""
        return tuple(_deviations(self.frozen.last, self.used)) if self.frozen.last else ()

    @cached_property
    def amendments(self) -> tuple[Amendment, ...]:
        pairs = zip(self.frozen.plans, self.frozen.plans[1:], strict=False)
        return tuple(
            Amendment(after.number, tuple(_changes(before.plan, after.plan)))
            for before, after in pairs
            if before.plan and after.plan
        )

    @cached_property
    def not_computed(self) -> tuple[NotComputed, ...]:
        """Comparisons of the plan before results and of the plan in force."""
        wanted: dict[tuple[Compared, str], None] = {}
        for plan in (self.frozen.before_results, self.frozen.last):
            if plan:
                wanted |= dict.fromkeys((compared, plan.reference) for compared in plan.comparisons)
        reasons = ((*both, self._why_not(*both)) for both in wanted)
        return tuple(NotComputed(*three) for three in reasons if three[2])

    def mark(self, row: Mapping[str, Any]) -> Mark:
        """:param row: of the table of comparisons, of the whole study."""
        frozen = self.frozen
        if frozen.faults:
            return "unknown"
        if not frozen.plans:
            return "no_plan"
        if row["reading"] != RAW:
            return "not_planned"  # plans are of the raw reading
        compared = row["measure"], row["of"], row["condition"]
        early = frozen.before_results
        if early and row["reference"] == early.reference and compared in early.comparisons:
            return "planned_otherwise" if any(_deviations(early, self.used)) else "planned"
        later = [one.plan for one in frozen.plans if one.plan and one.sessions]
        if any(row["reference"] == plan.reference and compared in plan.comparisons for plan in later):
            return "after_results"
        return "not_planned"

    def _why_not(self, compared: Compared, reference: str) -> str:
        """Empty if the comparison has a result."""
        measure, of, condition = compared
        rows = self.comparisons.filter(
            reading=RAW, patient_id=STUDY, measure=measure, of=of, condition=condition, reference=reference
        )
        if rows.height:
            row = rows.row(0, named=True)
            return "" if row["difference"] is not None else str(row["reason"])
        used = self.used.analysis["reference"]
        if used != reference:
            return str(Reason.of("other_reference", used=used, reference=reference))
        if condition not in self.conditions:
            return str(Reason.of("no_condition", condition=condition))
        return str(Reason.of("no_measure", measure=f"{measure} {of}".strip()))


def read_planned(out: Path) -> Planned:
    """The plans, and the settings of the tables, of a folder.

    :raises TimelineError: a table or timeline is missing or can't be read.
    """
    frozen, comparisons = read_frozen(out), read_conditions(out)
    if not frozen.plans:
        return Planned(frozen, Used({}, {}), comparisons, frozenset())
    conditions = frozenset(read_sessions(out)["condition"].to_list())
    return Planned(frozen, read_used(out), comparisons, conditions)


def read_used(out: Path) -> Used:
    """:raises TimelineError: as :func:`read_planned`."""
    folder = out / "summaries"
    with malformed_as_timeline_error(folder / "sessions.parquet"):
        summaries = read_metadata(folder / "sessions.parquet")["settings"]
        comparisons = read_metadata(folder / "conditions.parquet")["settings"]
        analysis = {
            "reference": comparisons["reference"],
            **{name: comparisons[name] for name in ("min_sessions", "min_patients")},
            **{name: summaries[name] for name in ("min_coverage", "min_observed_s")},
            **{f"episodes.{name}": value for name, value in summaries["episodes"].items()},
        }
    timelines: dict[str, Counter[str]] = {name: Counter() for name in ("sample_fps", "weights")}
    for ids in written_sessions(out):
        path = timeline_path(out, *ids)
        metadata = read_metadata(path)
        with malformed_as_timeline_error(path):
            weights = metadata["weights"]
            timelines["sample_fps"][_text(metadata["settings"]["sample_fps"])] += 1
            timelines["weights"][_weights(weights["name"], weights["sha256"])] += 1
    texts = {name: _text(value) for name, value in analysis.items()}
    return Used(texts, timelines, len(comparisons.get("planned", ())))


def _deviations(plan: AnalysisPlan, used: Used) -> Iterator[Deviation]:
    for name, planned in _analysis(plan).items():
        if name in used.analysis and used.analysis[name] != planned:
            yield Deviation(name, planned, used.analysis[name])
    for name, planned in _processing(plan).items():
        for value, sessions in sorted(used.timelines[name].items()):
            if value != planned:
                yield Deviation(name, planned, value, sessions)


def _changes(before: AnalysisPlan, after: AnalysisPlan) -> Iterator[Deviation]:
    old, new = _flat(before), _flat(after)
    for name, value in old.items():
        if new[name] != value:
            yield Deviation(name, value, new[name])


def _flat(plan: AnalysisPlan) -> dict[str, str]:
    texts = {name: getattr(plan, name) for name in ("hypothesis", "exclusions")}
    lists = {name: ", ".join(getattr(plan, name)) for name in ("conditions", "measures")}
    return texts | lists | _analysis(plan) | _processing(plan)


def _analysis(plan: AnalysisPlan) -> dict[str, str]:
    names = ("reference", "min_sessions", "min_patients", "min_coverage", "min_observed_s")
    values = {name: getattr(plan, name) for name in names}
    episodes = {f"episodes.{name}": value for name, value in asdict(plan.episodes).items()}
    return {name: _text(value) for name, value in (values | episodes).items()}


def _processing(plan: AnalysisPlan) -> dict[str, str]:
    return {"sample_fps": _text(plan.sample_fps), "weights": _weights(plan.weights, plan.weights_sha256)}


def _weights(name: str, sha256: str) -> str:
    return f"{name} (sha256 {sha256[:12]}…)"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


# --- settings of the tables


def summary_settings(out: Path) -> SummarySettings:
    """Those of the plan in force; the defaults without a plan."""
    plan = read_frozen(out).last
    return plan.summary_settings if plan else SummarySettings()


def comparison_settings(out: Path, reference: str) -> ComparisonSettings:
    """Those of the plan in force with this reference, and the tests that were planned before results."""
    frozen = read_frozen(out)
    if frozen.last is None:
        return ComparisonSettings(reference=reference)
    early = frozen.before_results
    planned = early.comparisons if early and early.reference == reference else ()
    return replace(frozen.last.comparison_settings(planned), reference=reference)
