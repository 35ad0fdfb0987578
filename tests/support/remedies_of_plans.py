"""Carry out the advice of messages about plans and checklists."""

import re
import shlex
from dataclasses import replace

from plans import PLAN
from remedies import Ended, Kit, Steps, remedy, works

from pipeline.study.frozen_plans import freeze
from pipeline.study.plan_file import plan_text, write_plan


def advised(kit: Kit, ended: Ended) -> Ended:
    """The last command that a line of result names, as it stands there."""
    return kit.run(*shlex.split(re.findall(r"emonext (study plan .+|summarize .+)", ended.text)[-1]))


def plan(message: str, bad: str, *good: str) -> None:
    """Enters a case: a plan that is refused, and plans as advised."""

    def case(kit: Kit) -> Steps:
        for text in (bad, *good):
            kit.table("plan.toml", plan_text(PLAN).replace(*text.split(" -> ")), folder=kit.out)
            yield kit.run("study", "plan", kit.out, "--freeze")

    case.__name__ = f"plan {bad}"
    remedy(message)(case)


plan(
    ": comparison.conditions: {} is the reference; remove it from the conditions, or name another reference.",
    '["music"] -> ["music", "baseline"]',
    '["music"] -> ["music"]',
    'reference = "baseline" -> reference = "rest"',
)

plan(
    ": comparison.{}: a name is empty or twice there; remove it.",
    '["music"] -> ["music", "music"]',
    '["music"] -> ["music"]',
)

plan(
    ': comparison.reading: conditions are compared in "{}" only; write that.',
    '"raw" -> "corrected"',
    '"raw" -> "raw"',
)

plan(": processing.sample_fps: give a number above 0.", "5.0 -> 0", "5.0 -> 10")

plan(
    ': comparison.{}: name at least one, such as ["{}"], then freeze the plan.',
    'conditions = ["music"] -> conditions = []',
    'conditions = ["music"] -> conditions = ["garden"]',
)

plan(
    'texts in brackets, such as ["music", "garden"]',
    '["music"] -> "music"',
    '["music"] -> ["music", "garden"]',
)


@remedy(": no plan; run `emonext study plan {}` first, and fill it in.")
def a_plan_that_is_not_there(kit: Kit) -> Steps:
    said = kit.run("study", "plan", kit.out, "--freeze")
    yield said
    assert kit.named(said).code == 0
    path = kit.out / "plan.toml"
    path.write_text(path.read_text("utf-8").replace("conditions = []", 'conditions = ["music"]'), "utf-8")
    yield kit.run("study", "plan", kit.out, "--freeze")


@remedy(": the same as plan {}, which is frozen; to amend it, edit the file and freeze it again.")
def a_plan_that_is_frozen_already(kit: Kit) -> Steps:
    kit.out.mkdir()
    write_plan(kit.out, PLAN)
    freeze(kit.out)
    yield kit.run("study", "plan", kit.out, "--freeze")
    write_plan(kit.out, replace(PLAN, conditions=("garden",)))
    yield kit.run("study", "plan", kit.out, "--freeze")


@remedy(
    "emonext study plan {} --freeze",
    "#     emonext study plan DIR --freeze",
)
def a_plan_that_is_not_frozen(kit: Kit) -> Steps:
    kit.out.mkdir()
    write_plan(kit.out, PLAN)
    said = kit.run("study", "plan", kit.out)
    # the message is on no line of its own: the command is at the end of three messages
    yield Ended(said.code, said.text)
    done = advised(kit, said)
    assert "no session had results" in done.text
    yield works(done, kit.run("study", "plan", kit.out))


@remedy("Compute the results with the plan's settings: emonext summarize {}")
def a_plan_that_other_results_stand_beside(kit: Kit) -> Steps:
    kit.study()
    kit.run("summarize", kit.out)
    write_plan(kit.out, replace(PLAN, min_coverage=0.35))
    said = kit.run("study", "plan", kit.out, "--freeze")
    yield said
    done = advised(kit, said)
    assert "min_coverage" not in done.text
    yield done


@remedy(": holds recordings; give the --out folder of `emonext process`, which may be new.")
def a_plan_among_recordings(kit: Kit) -> Steps:
    kit.video()
    yield kit.run("study", "plan", kit.folder)
    yield kit.run("study", "plan", kit.folder / "new")
    yield kit.run("study", "plan", kit.study())


@remedy(": no list of sessions in this folder; give a list, or its folder.")
def a_plan_from_a_folder_without_a_list(kit: Kit) -> Steps:
    kit.folder.joinpath("empty").mkdir()
    yield kit.run("study", "plan", kit.out, "--sessions", kit.folder / "empty")
    listed = kit.sessions("P1;S1;P1_S1.mp4;yes")
    for number, given in enumerate((listed, listed.parent)):
        yield kit.run("study", "plan", kit.folder / f"out{number}", "--sessions", given)


@remedy("the audit log was changed (`emonext audit verify` tells where)")
def a_plan_in_a_changed_log(kit: Kit) -> Steps:
    kit.out.mkdir()
    write_plan(kit.out, PLAN)
    freeze(kit.out)
    log = kit.out / "audit.jsonl"
    whole = log.read_text("utf-8")
    log.write_text(whole.replace(PLAN.reference, "x").replace('"plan": 1', '"plan":  1'), "utf-8")
    yield kit.run("study", "plan", kit.out)
    assert "line 1: was changed" in kit.run("audit", "verify", kit.out).text
    log.write_text(whole, "utf-8")
    yield kit.run("study", "plan", kit.out)


@remedy(": can't be read; run `emonext agree` again.")
def damaged_figures_of_agreement(kit: Kit) -> Steps:
    kit.study()
    ratings = kit.table("ratings.csv", "patient_id;session_id;start_s;end_s;code", "P1;S1;0;1;happy")
    agree = ("agree", kit.out, ratings)
    kit.run(*agree)
    path = kit.out / "agreement" / "figures.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{", "utf-8")
    yield kit.run("study", "checklist", kit.out)
    yield works(kit.run(*agree), kit.run("study", "checklist", kit.out))


@remedy(
    "Not validated on this study's patients: this folder holds no comparison with raters "
    "(`emonext agree` makes one)."
)
def a_checklist_without_raters(kit: Kit) -> Steps:
    kit.study()

    def told() -> Ended:
        done = kit.run("study", "checklist", kit.out)
        return Ended(done.code, (kit.out / "summaries" / "checklist.md").read_text("utf-8"))

    yield told()
    ratings = kit.table("ratings.csv", "patient_id;session_id;start_s;end_s;code", "P1;S1;0;1;happy")
    yield works(kit.run("agree", kit.out, ratings), told())
