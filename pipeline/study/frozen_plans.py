"""Freeze plans in the audit log, and read them back.

    plan.toml       the plan that a coordinator edits
    plans/1.toml    the first frozen plan; later ones are amendments

An entry of the audit log holds the sha256 of the frozen file, the time, and how many sessions had results:
facts that the program finds, not statements of its user. The chain of the log protects them, and the hash
protects the file (:mod:`pipeline.store.audit`). The software does not know results in other folders.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Literal

from pipeline.errors import InputError
from pipeline.store.audit import HEAD_FILE, Run, audited, read_runs, verify
from pipeline.store.files import atomic, make_private_folder
from pipeline.store.lock import folder_lock
from pipeline.store.timeline import stored_timelines
from pipeline.study.plan_file import PLAN_FILE, AnalysisPlan, check_complete, plan_text, read_plan

PLANS = "plans"
_COMMAND = "plan"

# Outcomes in the log of sessions that had a timeline.
_WITH_RESULTS = ("done", "partial", "to_check", "skipped", "withdrawn")

FaultCode = Literal["log_lost", "log_changed", "plan_lost", "plan_changed", "plan_unlogged"]


@dataclass(frozen=True)
class Fault:
    """Why frozen plans can't be relied on.

    :param number: of the plan; 0 for the log.
    """

    code: FaultCode
    number: int = 0


@dataclass(frozen=True)
class FrozenPlan:
    """One plan of the log.

    :param frozen_at: UTC, ISO 8601.
    :param sessions: number of sessions that had results then, at least: purged ones are counted as the log
        allows.
    :param plan: ``None`` if the file was lost or changed.
    """

    number: int
    frozen_at: str
    sha256: str
    sessions: int
    plan: AnalysisPlan | None


@dataclass(frozen=True)
class FrozenPlans:
    """All plans of a folder, in order; those after the first are amendments.

    :param faults: if there are any, nothing counts as planned. A freeze that was cut off leaves a
        ``plan_unlogged``, until the plan is frozen again.
    :param is_edited: ``plan.toml`` differs from the last frozen plan.
    """

    plans: tuple[FrozenPlan, ...] = ()
    faults: tuple[Fault, ...] = ()
    is_edited: bool = False

    @property
    def last(self) -> AnalysisPlan | None:
        """The plan in force, or ``None`` if there is none that can be relied on."""
        return self.plans[-1].plan if self.plans and not self.faults else None

    @property
    def before_results(self) -> AnalysisPlan | None:
        """The last plan that was frozen when no session had results."""
        early = [one for one in self.plans if not one.sessions]
        return early[-1].plan if early and not self.faults else None


def freeze(out: Path) -> FrozenPlan:
    """Freeze ``plan.toml``: write a copy, and its hash and time to the audit log.

    :raises InputError: the plan is missing, invalid or incomplete, or the last frozen plan is the same.
    :raises OutputError: a file can't be written, or another run is at work in the folder.
    """
    if not (out / PLAN_FILE).exists():
        raise InputError(
            f"{out / PLAN_FILE}: no plan; run `emonext study plan {quote(str(out))}` first, and fill it in."
        )
    plan = read_plan(out / PLAN_FILE)
    check_complete(out / PLAN_FILE, plan)
    make_private_folder(out)
    with folder_lock(out):
        before = read_frozen(out)
        if before.last == plan:
            raise InputError(
                f"{out / PLAN_FILE}: the same as plan {len(before.plans)}, which is frozen; to amend it, "
                "edit the file and freeze it again."
            )
        number, text = len(before.plans) + 1, plan_text(plan).encode()
        sha256, sessions = hashlib.sha256(text).hexdigest(), sessions_with_results(out)
        options = {"plan": number, "sha256": sha256, "sessions_with_results": sessions}
        with audited(out, _COMMAND, (), options), atomic(_copy(out, number)) as partial:
            partial.write_bytes(text)
    (*_, frozen) = read_frozen(out).plans
    return frozen


def read_frozen(out: Path) -> FrozenPlans:
    """The plans of a folder; none in a folder without, as of an earlier version."""
    copies = {int(path.stem) for path in (out / PLANS).glob("*.toml") if path.stem.isdecimal()}
    try:
        runs = read_runs(out)
    except InputError:  # without a log, the copies prove nothing
        is_lost = bool(copies) or (out / HEAD_FILE).exists()
        return FrozenPlans(faults=(Fault("log_lost"),) if is_lost else ())
    plans = tuple(_frozen(out, runs))
    # also without a plan: its entries may have been removed
    faults = [Fault("log_changed")] if verify(out).faults else []
    faults += [Fault("plan_unlogged", number) for number in sorted(copies - {one.number for one in plans})]
    for one in plans:
        if one.plan is None:
            faults.append(
                Fault("plan_changed" if _copy(out, one.number).exists() else "plan_lost", one.number)
            )
    return FrozenPlans(plans, tuple(faults), bool(plans) and _is_edited(out, plans[-1].plan))


def _frozen(out: Path, runs: list[Run]) -> Iterator[FrozenPlan]:
    for run in runs:
        # a killed run froze nothing: its copy may be missing
        if run.command == _COMMAND and run.how == "done":
            number, sha256, sessions = (
                run.options.get(name) for name in ("plan", "sha256", "sessions_with_results")
            )
            if isinstance(number, int) and isinstance(sha256, str) and isinstance(sessions, int):
                plan = _read_copy(_copy(out, number), sha256)
                yield FrozenPlan(number, run.begun, sha256, sessions, plan)


def _copy(out: Path, number: int) -> Path:
    return out / PLANS / f"{number}.toml"


def _read_copy(path: Path, sha256: str) -> AnalysisPlan | None:
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            return None
        return read_plan(path)
    except (OSError, InputError):
        return None


def _is_edited(out: Path, frozen: AnalysisPlan | None) -> bool:
    if not (out / PLAN_FILE).exists():
        return False
    try:
        return read_plan(out / PLAN_FILE) != frozen
    except InputError:
        return True


def sessions_with_results(out: Path) -> int:
    """Number of sessions that have, or by the log had, a timeline in this folder.

    A purged session has no id in the log, so that two runs may tell of the same one: the largest number of
    one run is counted.
    """
    known, purged = set(stored_timelines(out)), 0
    try:
        runs = [run for run in read_runs(out) if run.command == "process"]
    except InputError:
        return len(known)
    for run in runs:
        had = [ids for ids, how in run.sessions if how in _WITH_RESULTS]
        known |= {ids for ids in had if ids is not None}
        purged = max(purged, had.count(None))
    return len(known) + purged
