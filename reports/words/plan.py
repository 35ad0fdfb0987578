"""What the study's page says of the plan of the analysis."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pipeline.study.frozen_plans import Fault, FaultCode, FrozenPlan
from pipeline.study.plan_file import Compared
from pipeline.study.planned import Deviation, Mark, Planned
from reports.words.labels import compared_text
from reports.words.language import Language, marked
from reports.words.reasons import result_reason
from reports.words.study import measure_label

MARK_WORDS: Mapping[Mark, str] = {
    "planned": marked("planned"),
    "planned_otherwise": marked("planned, other settings"),
    "after_results": marked("planned after results"),
    "not_planned": marked("not planned"),
    "unknown": marked("unknown whether planned"),
}
"""Beside a comparison; without a plan there is no mark."""

_FAULTS: Mapping[FaultCode, str] = {
    "log_lost": marked("The audit log is lost, which would show when the plans were frozen."),
    "log_changed": marked("The audit log was changed after it was written."),
    "plan_lost": marked("The copy of plan %(number)s is lost."),
    "plan_changed": marked("The copy of plan %(number)s was changed after it was frozen."),
    "plan_unlogged": marked(
        "The audit log does not know plan %(number)s: the freezing was cut off, or the log was changed."
    ),
}


def mark_text(planned: Planned | None, row: Mapping[str, Any], language: Language) -> str:
    """The mark of a comparison of the study; empty without a plan."""
    mark = "no_plan" if planned is None else planned.mark(row)
    return language.word(MARK_WORDS[mark]) if mark in MARK_WORDS else ""


def plan_values(planned: Planned | None, language: Language) -> Mapping[str, Any] | None:
    """What the template of the plan shows; ``None`` where there are no comparisons."""
    if planned is None:
        return None
    frozen = planned.frozen
    if frozen.faults:
        return {"state": "faults", "faults": [_fault(fault, language) for fault in frozen.faults]}
    if not frozen.plans:
        return {"state": "no_plan"}
    return {
        "state": "plans",
        "plans": list(_plans(planned, language)),
        "is_edited": frozen.is_edited,
        "is_late": frozen.before_results is None,
        "deviations": [_deviation(one, language) for one in planned.deviations],
        "missing": [
            (_compared(one.compared, one.reference, language), result_reason(one.reason, language))
            for one in planned.not_computed
        ],
        "family": planned.used.family,
    }


def _fault(fault: Fault, language: Language) -> str:
    return language.gettext(_FAULTS[fault.code], number=fault.number)


def _plans(planned: Planned, language: Language) -> Iterator[dict[str, Any]]:
    changes = {one.number: one.changes for one in planned.amendments}
    for one in planned.frozen.plans:
        assert one.plan  # without faults, every plan is there
        yield {
            "title": _title(one, language),
            "sha256": one.sha256[:12],
            "when": _when(one, language),
            "hypothesis": one.plan.hypothesis,
            "exclusions": one.plan.exclusions,
            "compared": [_compared(each, one.plan.reference, language) for each in one.plan.comparisons],
            "changes": [_deviation(change, language) for change in changes.get(one.number, ())],
        }


def _title(one: FrozenPlan, language: Language) -> str:
    if one.number == 1:
        return language.gettext("Plan 1")
    return language.gettext("Plan %(number)s, an amendment", number=one.number)


def _when(one: FrozenPlan, language: Language) -> str:
    at = datetime.fromisoformat(one.frozen_at)
    day, time = language.long_date(at), language.time(at)
    if not one.sessions:
        return language.gettext(
            "Frozen on %(day)s, %(time)s UTC, when no session in this folder had results.", day=day, time=time
        )
    return language.ngettext(
        "Frozen on %(day)s, %(time)s UTC, after %(count)s session had results.",
        "Frozen on %(day)s, %(time)s UTC, after %(count)s sessions had results.",
        one.sessions,
        day=day,
        time=time,
    )


def _compared(compared: Compared, reference: str, language: Language) -> str:
    """``Positive share: music − baseline``."""
    measure, of, condition = compared
    return language.gettext(
        "%(measure)s: %(compared)s",
        measure=measure_label(measure, of, language),
        compared=compared_text(condition, reference, language),
    )


def _deviation(one: Deviation, language: Language) -> dict[str, str]:
    sessions = "–" if one.sessions is None else language.number(one.sessions)
    return {
        "setting": one.setting,
        "planned": one.planned or "–",
        "used": one.used or "–",
        "sessions": sessions,
    }
