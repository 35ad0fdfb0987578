"""The commands `key`, `purge` and `audit`."""

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from pipeline.commands.app import PRIVACY, app, audit_app
from pipeline.commands.console import (
    EXIT_BAD_INPUT,
    EXIT_INCOMPLETE,
    err_console,
    on_screen,
    say,
    show_table,
    tell_left_out,
)
from pipeline.commands.options import Directory, KeyFile
from pipeline.store.counts import number_of


@app.command("key", rich_help_panel=PRIVACY)
def make_key(path: Annotated[Path, typer.Argument(help="File to write.", metavar="FILE")]) -> None:
    """Make a key for `process --encrypt`.

    Keep the key apart from the results, and a copy in a safe place: without the key the results cannot be
    read.

    Example: emonext key study.key
    """
    from pipeline.store.encryption import write_key

    say(f"{write_key(path)}: keep a copy in a safe place; without the key the results cannot be read.")


@app.command(rich_help_panel=PRIVACY)
def purge(
    directory: Directory,
    patient: Annotated[str, typer.Option(help="Patient whose data to delete.")],
    session: Annotated[str | None, typer.Option(help="Delete only this session of the patient.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    key: KeyFile = None,
) -> None:
    """Delete all data of a patient, or of one session, from a folder; then search the folder for the id.

    Originals (videos, photos, sessions.csv), backups, snapshots and exports to other folders are not touched.
    Exit code 1: a file still mentions the id, or another session of the same recording remains; the command
    names it. Run an interrupted purge again to complete it.

    Example: emonext purge study --patient P012
    """
    from pipeline.errors import InputError
    from pipeline.exchange.manifest import LIST_FILE
    from pipeline.privacy.purge import plan_purge
    from pipeline.privacy.purge import purge as carry_out
    from pipeline.processing.other_sessions import compare_sessions
    from pipeline.results.derive import update_derived
    from pipeline.review.films import find_video
    from pipeline.store.encryption import use_key
    from reports import own_text, write_reports

    use_key(key)
    plan = plan_purge(directory, patient, session, own_text())
    for path in plan.files:
        say(f"{path}: will be deleted")
    for folder in [path.parent for path in plan.again if path.name == LIST_FILE]:
        count = sum(path.is_relative_to(folder) and path.name != LIST_FILE for path in plan.again)
        say(
            f"{folder}: export will be deleted ({number_of(count, 'file')}); `emonext export` writes it again"
        )
    for path, command in plan.again.items():
        if command != "export":
            say(f"{path}: will be deleted; `emonext {command}` writes it again")
    for path, count in plan.rows.items():
        say(f"{path}: {number_of(count, 'row')} will be deleted")
    for path in plan.pages:
        say(f"{path}: will be written again")
    if not yes and not sys.stdin.isatty():
        raise InputError(
            f"--yes: required without a terminal to ask on; nothing of {plan.words} was deleted."
        )
    if not yes and not typer.confirm(f"Delete this data of {plan.words}? This can't be undone.", err=True):
        err_console.print("Nothing was deleted.")
        raise typer.Exit(EXIT_BAD_INPUT)
    problems: list[str] = []

    def write_pages(out: Path) -> None:
        compare_sessions(out, [patient])  # others may name the session, or be certain without it
        write_reports(out, find_video=find_video)
        problems.extend(update_derived(out))

    found = carry_out(directory, patient, session, write_pages, own_text())
    tell_left_out(problems)
    for line in found.mentions:
        err_console.print(f"Still mentions {plan.words}: {directory / line}", markup=False, soft_wrap=True)
    for held in found.same_recording:
        line = f"Same recording, with the faces of everybody in it: {directory / held}"
        err_console.print(line, markup=False, soft_wrap=True)
    went = (
        ", ".join(f"{kind} {count}" for kind, count in found.counts.items()) or "nothing was left to delete"
    )
    left = "the files above still mention it" if found.mentions else "no file mentions it any more"
    if found.same_recording:
        left += "; other sessions of the same recording still hold faces"
    beyond = "Originals, backups and exports to other folders were not touched."
    say(f"{plan.words}: {went}; {left}. {beyond}")
    if found.failed:
        raise found.failed
    if found.mentions or found.same_recording:
        raise typer.Exit(EXIT_INCOMPLETE)


@audit_app.command("verify")
def audit_verify(
    directory: Directory,
    head: Annotated[str, typer.Option(help="An earlier head of the log, kept outside the folder.")] = "",
) -> None:
    """Check that the audit log was not changed.

    Exit code 1: a line was changed, removed or moved. Keep the head that the command prints outside the
    folder: a person with write access could replace the whole log, and only --head with an earlier head
    detects that.

    Example: emonext audit verify study
    """
    from pipeline.store.audit import verify

    found = verify(directory, head)
    replaced = f"the head {head} is not in this log: the log was replaced, or the head is of another folder"
    for line in (*found.faults, *found.notes, *(() if found.holds_kept_head else (replaced,))):
        err_console.print(f"{directory}: {line}", markup=False, soft_wrap=True)
    chain = "chain broken" if found.faults else "chain intact"
    chain += "" if found.holds_kept_head else ", but not the log of the given head"
    say(f"{number_of(found.entries, 'entry', 'entries')}, {chain}, head {found.head}")
    if found.faults or not found.holds_kept_head:
        raise typer.Exit(EXIT_INCOMPLETE)


@audit_app.command("show")
def audit_show(
    directory: Directory,
    patient: Annotated[str | None, typer.Option(help="Show only commands that touched this patient.")] = None,
) -> None:
    """Show the audit log as a table, one row per command.

    Example: emonext audit show study --patient P012
    """
    from pipeline.store.audit import read_runs

    table = Table("entry", "begun, UTC", "by", "command", "ended", "weights", "sessions", box=SIMPLE)
    for run in read_runs(directory, patient):
        of_patient = [
            f"{session[1]} {how}".strip()
            for session, how in run.sessions
            if session and patient == session[0]
        ]
        states = Counter(how for _, how in run.sessions)
        touched = of_patient or [f"{count} {how}".strip() for how, count in states.items()]
        begun = run.begun[:16].replace("T", " ")
        command = f"{run.command} {run.options['plan']}" if "plan" in run.options else run.command
        cells = (begun, run.who, command, run.how or "not ended", run.weights, ", ".join(touched))
        table.add_row(str(run.number), *map(on_screen, cells))
    show_table(table)
