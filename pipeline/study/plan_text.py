"""What the methods text and the command line say of a study's plan, in English."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.store.counts import number_of
from pipeline.study.frozen_plans import Fault, FaultCode, FrozenPlan
from pipeline.study.plan_file import PLAN_FILE, AnalysisPlan
from pipeline.study.planned import Amendment, Deviation, Mark, NotComputed, Planned

MARKS: Mapping[Mark, str] = {
    "planned": "planned",
    "planned_otherwise": "planned, other settings",
    "after_results": "planned after results",
    "not_planned": "not planned",
    "unknown": "unknown: plan or log changed",
    "no_plan": "no plan",
}
"""Words for the column ``planned`` of the table."""

FAULTS: Mapping[FaultCode, str] = {
    "log_lost": "the audit log is lost, which would show when the plans were frozen",
    "log_changed": "the audit log was changed (`emonext audit verify` tells where)",
    "plan_lost": "the copy of plan %d is lost",
    "plan_changed": "the copy of plan %d was changed after it was frozen",
    "plan_unlogged": "the audit log does not know plan %d: the freezing was cut off, or the log was changed",
}


def fault_text(fault: Fault) -> str:
    text = FAULTS[fault.code]
    return text % fault.number if "%d" in text else text


def plan_paragraph(planned: Planned) -> str:
    """A paragraph of a paper's methods: what was planned, when, and what was done otherwise."""
    frozen = planned.frozen
    if frozen.faults:
        why = "; ".join(map(fault_text, frozen.faults))
        return f"What was planned can't be told: {why}. No comparison counts as planned."
    if not frozen.plans:
        return (
            "No plan of the analysis was frozen in this folder, so that planned comparisons can't be told "
            "from others; all count as exploratory."
        )
    return " ".join(_sentences(planned))


def _sentences(planned: Planned) -> Iterator[str]:
    first, *later = planned.frozen.plans
    assert first.plan  # without faults, every plan is there
    yield f"A plan of the analysis was frozen {_when(first)}. {_content(first.plan)}"
    for one, amendment in zip(later, planned.amendments, strict=True):
        yield f"An amendment (plan {one.number}) was frozen {_when(one)}; it changed {_changed(amendment)}."
    if planned.frozen.is_edited:
        yield f"{PLAN_FILE} was edited later without being frozen; these edits do not count."
    yield _differences(planned.deviations)
    if planned.not_computed:
        yield f"Planned and not computed: {'; '.join(map(missing_text, planned.not_computed))}."
    if planned.frozen.before_results is None:
        yield "As sessions had results before, no comparison counts as planned before results."
    if planned.used.family:
        yield (
            f"P-values of the {number_of(planned.used.family, 'comparison')} planned before results have "
            "Holm's correction for these alone, comparisons that could not be computed included; all other "
            "p-values are corrected for all tests."
        )
    yield (
        "All other comparisons, and those of single patients, weeks, events and scales, were not planned "
        "and are exploratory."
    )


def _when(one: FrozenPlan) -> str:
    results = (
        f"after {number_of(one.sessions, 'session')} had results"
        if one.sessions
        else "when no session in this folder had results"
    )
    return f"on {one.frozen_at[:16].replace('T', ' ')} UTC (sha256 {one.sha256[:12]}…), {results}"


def _content(plan: AnalysisPlan) -> str:
    conditions = " and ".join(f"“{name}”" for name in plan.conditions)
    told = (
        f"It compares {conditions} with “{plan.reference}” in the {plan.reading} reading; primary: "
        f"{' and '.join(plan.measures)}."
    )
    if plan.hypothesis:
        told += f" Hypothesis: “{plan.hypothesis.strip()}”"
    if plan.exclusions:
        told += f" Exclusions by hand: “{plan.exclusions.strip()}”"
    return told


def _changed(amendment: Amendment) -> str:
    return "; ".join(f"{one.setting} from “{one.planned}” to “{one.used}”" for one in amendment.changes)


def _differences(deviations: Sequence[Deviation]) -> str:
    if not deviations:
        return "All settings used are those of the plan."
    return f"Settings that differ from the plan: {'; '.join(map(deviation_text, deviations))}."


def deviation_text(one: Deviation) -> str:
    """``min_coverage 0.3 instead of 0.2``."""
    sessions = "" if one.sessions is None else f" ({number_of(one.sessions, 'session')})"
    return f"{one.setting} {one.used} instead of {one.planned}{sessions}"


def missing_text(one: NotComputed) -> str:
    """``share positive, music − baseline (no session with the condition music)``."""
    measure, of, condition = one.compared
    return f"{measure} {of}".strip() + f", {condition} − {one.reference} ({one.reason})"
