"""The commands `study plan` and `study checklist`."""

from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.app import study_app
from pipeline.commands.console import progress_bar, refuse_given, say, tell_left_out, warn
from pipeline.commands.options import DEFAULT_MODEL, Directory, KeyFile
from pipeline.commands.work import work_in
from pipeline.store.counts import number_of
from pipeline.store.folders import check_exists, is_folder, refuse_file

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    from pipeline.results.checklist_facts import ModelCard
    from pipeline.study.frozen_plans import FrozenPlan
    from pipeline.study.plan_file import AnalysisPlan


@study_app.command("plan")
def study_plan(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="The --out folder of `process`; it may be new.", metavar="DIR")
    ],
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Freeze the plan: its hash and time go to the audit log.")
    ] = False,
    sessions: Annotated[
        Path | None,
        typer.Option(
            help="List of sessions, or its folder: its conditions and study.toml fill a new plan.",
            metavar="LIST",
        ),
    ] = None,
) -> None:
    """Plan the comparison of conditions before results are seen; the methods text tells what was planned.

    The first call writes DIR/plan.toml, for you to fill in; --freeze freezes the plan. Later calls report
    whether the file was edited since. To amend the plan, edit the file and freeze it again: every plan is
    kept, with its time and the number of sessions that had results then.

    Example: emonext study plan study --sessions recordings/
    """
    from pipeline.study.frozen_plans import freeze as freeze_plan
    from pipeline.study.frozen_plans import read_frozen
    from pipeline.study.plan_file import PLAN_FILE, write_plan

    refuse_file(directory)
    path, command = directory / PLAN_FILE, f"emonext study plan {quote(str(directory))} --freeze"
    if freeze or path.exists():
        refuse_given(context, "a new plan", "sessions")
    if freeze:
        _tell_frozen(directory, freeze_plan(directory))
    elif path.exists():
        _tell_state(directory, path, command)
    else:
        _refuse_recordings(directory)
        plan = read_frozen(directory).last or _new_plan(sessions)
        new = "" if is_folder(directory) else " (in a new folder)"
        say(f"Fill in: {write_plan(directory, plan)}{new}. Then freeze it: {command}")


def _tell_frozen(directory: Path, frozen: "FrozenPlan") -> None:
    say(f"{_frozen_text(frozen)} Keep this sha256 outside the folder, as in the study's protocol.")
    if frozen.sessions:
        say(f"Compute the results with the plan's settings: emonext summarize {quote(str(directory))}")


def _tell_state(directory: Path, path: Path, command: str) -> None:
    """Print whether the plan is complete, frozen, or edited since.

    :raises InputError: it is invalid or incomplete.
    """
    from pipeline.study.frozen_plans import read_frozen
    from pipeline.study.plan_file import check_complete, read_plan
    from pipeline.study.plan_text import fault_text

    check_complete(path, read_plan(path))
    frozen = read_frozen(directory)
    for fault in frozen.faults:
        warn(f"{fault_text(fault)}.")
    if not frozen.plans:
        say(f"{path}: complete, not frozen. Freeze it: {command}")
    elif frozen.is_edited:
        say(
            f"{path}: differs from plan {frozen.plans[-1].number}, which is frozen. Amend the plan: {command}"
        )
    else:
        say(f"{path}: as frozen. {_frozen_text(frozen.plans[-1])}")


def _frozen_text(frozen: "FrozenPlan") -> str:
    results = (
        f"planned after {number_of(frozen.sessions, 'session')} had results"
        if frozen.sessions
        else "no session had results"
    )
    at = frozen.frozen_at[:16].replace("T", " ")
    return f"Plan {frozen.number}: frozen {at} UTC, {results}; sha256 {frozen.sha256}."


def _refuse_recordings(directory: Path) -> None:
    """:raises InputError: the folder holds recordings and no results."""
    from pipeline.errors import InputError
    from pipeline.processing.recordings_folder import find_list, find_videos
    from pipeline.store.folders import check_results

    if not is_folder(directory) or not (find_list(directory) or find_videos(directory).here):
        return
    try:
        check_results(directory)
    except InputError as error:
        raise InputError(
            f"{directory}: holds recordings; give the --out folder of `emonext process`, which may be new."
        ) from error


def _new_plan(listed: Path | None) -> "AnalysisPlan":
    """The defaults, with the conditions of a list of sessions and the settings of its study.toml.

    :raises InputError: there is no list, or it can't be read.
    """
    from emonext.weight_files import find_weights, verify_weights
    from pipeline.errors import InputError
    from pipeline.processing.recordings_folder import conditions_in, find_list
    from pipeline.processing.study_settings import read_settings
    from pipeline.study.plan_file import AnalysisPlan

    settings: dict[str, object] = {}
    named: set[str] = set()
    if listed is not None:
        check_exists(listed)
        path = find_list(listed) if is_folder(listed) else listed
        if path is None:
            raise InputError(f"{listed}: no list of sessions in this folder; give a list, or its folder.")
        settings = read_settings(path.parent)
        named = conditions_in(path)
    model = str(settings.get("model", DEFAULT_MODEL))
    fps = settings.get("sample_fps", AnalysisPlan.sample_fps)
    assert isinstance(fps, float)
    return AnalysisPlan(
        conditions=tuple(sorted(named - {AnalysisPlan.reference})),
        sample_fps=fps,
        weights=model,
        weights_sha256=verify_weights(find_weights(model)),
    )


@study_app.command("checklist")
def study_checklist(directory: Directory, key: KeyFile = None) -> None:
    """Write a paper's reporting checklist: what the folder shows is filled in, the rest is for the authors.

    Items of STROBE, STARD, GRRAS, TRIPOD+AI, CLAIM, CONSORT-AI and SPIRIT-AI, in English, as Markdown and as
    HTML for a word processor. Every answer is computed from the folder; make the list again after a change.

    Example: emonext study checklist study
    """
    from pipeline.results.checklist import answer_items, outcome, write_checklist
    from pipeline.results.checklist_facts import read_facts
    from pipeline.results.derive import update_derived
    from reports.write import write_checklist_page

    with work_in(directory, "checklist", key):
        with progress_bar("Summaries") as update:
            problems = update_derived(directory, update)
        items = answer_items(read_facts(directory, _cards(directory)))
        write_checklist(directory, items)
        page = write_checklist_page(directory, items)
    tell_left_out(problems)
    say(f"{outcome(items)} {page}")


def _cards(directory: Path) -> "dict[str, ModelCard]":
    """The cards of the used weights that are on this machine, by sha256."""
    from emonext.checkpoint import read_card
    from emonext.errors import WeightsError
    from emonext.weight_files import find_weights, verify_weights
    from pipeline.results.checklist_facts import ModelCard, used_weights

    cards = {}
    for sha256, name in used_weights(directory).items():
        with suppress(WeightsError):  # not on this machine
            path = find_weights(name)
            if verify_weights(path) == sha256:
                card = read_card(path)
                cards[sha256] = ModelCard(card.data, card.licence, card.metrics)
    return cards
