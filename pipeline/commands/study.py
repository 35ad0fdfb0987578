"""The commands `study` and `status`."""

from collections import Counter
from pathlib import Path
from shlex import join, quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.box import SIMPLE
from rich.table import Table

from pipeline.commands.app import SESSIONS, app, study_app
from pipeline.commands.console import (
    EXIT_BAD_INPUT,
    err_console,
    on_screen,
    out_console,
    progress_bar,
    say,
    show_table,
    tell_problems,
    tell_to_check,
    warn,
    warn_of,
)
from pipeline.commands.options import Directory, KeyFile
from pipeline.commands.process import warn_of_unlisted
from pipeline.processing.list_columns import COLUMNS
from pipeline.store.counts import number_of
from pipeline.store.folders import check_exists, is_folder

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    from pipeline.processing.sessions_list import Study
    from pipeline.review.markers import Change

COLUMN_HELP = "\n".join(f"- **{column.name}**: {column.how}" for column in COLUMNS)


@study_app.command(
    "init",
    help=f"""List a folder's videos in FOLDER/sessions.csv, for you to fill in.

Example: emonext study init recordings/

Columns of the list:

{COLUMN_HELP}

Begin the names of your own columns with x_.""",
)
def study_init(
    folder: Annotated[Path, typer.Argument(help="Folder of recordings.", metavar="FOLDER")],
    decimal: Annotated[
        Literal["point", "comma"] | None,
        typer.Option(
            help="Decimal mark of all tables of the study, kept in FOLDER/study.toml. comma: opens by double "
            "click in Excel in French or German; point: in Excel in English."
        ),
    ] = None,
) -> None:
    from pipeline.processing.recordings_folder import find_videos
    from pipeline.processing.sessions_list import write_sessions_list
    from pipeline.processing.study_settings import choose_decimal, keep_list_decimal

    chosen = choose_decimal(folder, decimal)
    path = write_sessions_list(folder, chosen)
    keep_list_decimal(folder, chosen)
    found = find_videos(folder)
    warn_of(found.unread, "folder", f"{folder}: can't be read")
    for error in found.errors:
        warn(str(error))
    width = max(len(column.name) for column in COLUMNS)
    for column in COLUMNS:
        say(f"{column.name:{width}}  {column.how}")
    if chosen == "point" and decimal is None:
        say("All in one column of the spreadsheet? Delete the list, and run this again with --decimal comma.")
    say(f"Fill in: {path}")


@study_app.command("apply")
def study_apply(
    folder: Annotated[Path, typer.Argument(help="Folder of recordings.", metavar="FOLDER")],
    saved: Annotated[Path, typer.Argument(help="Table that the page's “Save” downloaded.", metavar="SAVED")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also replace cells of the list that hold another value.")
    ] = False,
) -> None:
    """Put what was filled in on the page of `preflight` into the folder's list, and check the list.

    Without a list, FOLDER/sessions.csv is written. Of a list (CSV), only these cells change; the list as it
    was stays beside it as sessions.csv.bak. If cells hold another value, they are shown and nothing is
    changed, unless --replace is given. An empty cell of the table empties no cell of the list. Exit code 2:
    nothing was changed, or the list has errors.

    Example: emonext study apply recordings/ ~/Downloads/recordings-answers.csv
    """
    from pipeline.errors import InputError
    from pipeline.processing.recordings_folder import process_command
    from pipeline.processing.saved_answers import compare_answers, write_answers

    saved = saved.expanduser()  # only some shells replace the ~
    applied = compare_answers(saved, folder)
    if applied.problems:
        tell_problems(saved, applied.problems)
        raise typer.Exit(EXIT_BAD_INPUT)
    for line in applied.replaced:
        err_console.print(f"{applied.listed}: {line}", markup=False, soft_wrap=True)
    if applied.replaced and not replace:
        raise InputError(
            f"{applied.listed}: {number_of(len(applied.replaced), 'cell')} would be replaced; nothing was "
            "done. Give --replace to replace them, or correct them on the page and save again."
        )
    for change in applied.changes:
        cells = ", ".join(f"{name} {cell}" for name, cell in change.filled.items())
        if cells or change.row is None:
            say(f"{'new row' if change.row is None else f'row {change.row}'} ({change.recording}): {cells}")
    if applied.kept:
        say(f"Not emptied: {number_of(applied.kept, 'cell')} of the list that the table leaves empty.")
    if applied.changes:
        backup = write_answers(applied)
        say(f"Written: {applied.listed}" + (f" (as it was: {backup})" if backup else ""))
    else:
        say(f"{applied.listed}: holds all of this already; nothing was changed.")
    study_check(applied.listed)
    say(f"Next: {process_command(folder)}")


# A note names at most this many sessions.
_MAX_UNDATED = 5


@study_app.command("check")
def study_check(
    path: Annotated[Path, typer.Argument(help="List (.csv, .xlsx), or its folder.", metavar="LIST")],
) -> None:
    """Report all errors of a list of sessions and its recordings at once.

    Opens every recording and photo, except those of sessions without consent, and a patients.csv beside the
    list. Exit code 2: the list has errors. A warning marks a possible mistake.

    Example: emonext study check recordings/sessions.csv
    """
    from pipeline.checks.sessions_list_check import check_study
    from pipeline.errors import InputError
    from pipeline.processing.recordings_folder import find_list
    from pipeline.processing.session import Settings
    from pipeline.processing.sessions_list import read_study
    from pipeline.processing.study_settings import read_settings

    if is_folder(path):
        listed = find_list(path)
        if listed is None:
            raise InputError(
                f"{path}: no list of sessions in this folder; "
                f"run `emonext study init {quote(str(path))}` first."
            )
        path = listed
    check_exists(path)
    study = read_study(path)
    sample_fps = read_settings(path.parent).get("sample_fps", Settings.sample_fps)
    assert isinstance(sample_fps, float)
    with progress_bar("Opening recordings") as update:
        found = check_study(study, update, sample_fps)
    for warning in found.warnings:
        err_console.print(f"{path}: Warning: {warning}", markup=False, soft_wrap=True)
    warn_of_unlisted(path)
    _check_patients(path, study)
    for (patient, session), date in found.dates.items():
        say(f"recorded_at of {patient} {session}: {date:%Y-%m-%d %H:%M}, by the camera's clock")
    if found.undated:
        named = ", ".join(" ".join(ids) for ids in found.undated[:_MAX_UNDATED])
        more = len(found.undated) - _MAX_UNDATED
        rest = f" and {more} more" if more > 0 else ""
        say(f"Without a date: {named}{rest}; changes over weeks leave them out.")
    _tell_counts(study)
    if found.faults:
        tell_problems(path, found.faults, "")
        raise typer.Exit(EXIT_BAD_INPUT)
    patients = len({session.patient_id for session in study.sessions})
    right = number_of(len(found.warnings), "warning") if found.warnings else "no errors"
    say(f"{path}: {number_of(len(study.sessions), 'session')}, {number_of(patients, 'patient')}, {right}.")


def _check_patients(path: Path, study: "Study") -> None:
    """Print the errors of a ``patients.csv`` beside the list, and where it is read."""
    from pipeline.checks.patients_check import check_patients

    found = check_patients(path, {session.patient_id for session in study.sessions})
    if found is None:
        return
    for problem in found.problems:
        err_console.print(f"Warning: {problem}", markup=False, soft_wrap=True)
    if found.without_row:
        say(f"{found.path}: no row of {', '.join(found.without_row)}")
    say(f"{found.path}: was only checked; results are adjusted for the copy in the results folder.")


def _tell_counts(study: "Study") -> None:
    """Print the sessions per condition and consent, and the sessions in several files."""
    conditions = Counter(session.condition or "none" for session in study.sessions)
    consent = Counter("no" if session.refused else "yes" for session in study.sessions)
    for name, counts in (("Conditions", conditions), ("Consent", consent)):
        if counts:
            say(f"{name}: {', '.join(f'{value} {count}' for value, count in sorted(counts.items()))}")
    for session in study.sessions:
        if session.continued:
            files = ", ".join(video.name for video in session.videos)
            say(f"In several files: {' '.join(session.ids)} ({files})")


@app.command(rich_help_panel=SESSIONS)
def events(
    directory: Directory,
    files: Annotated[
        list[Path], typer.Argument(help="Tables of markers that pages with a video saved.", metavar="FILE…")
    ],
    apply: Annotated[bool, typer.Option("--apply", help="Write the changes.")] = False,
    sessions_list: Annotated[
        Path | None,
        typer.Option("--list", help="List of sessions; default: the one that names the recordings."),
    ] = None,
    key: KeyFile = None,
) -> None:
    """Show what markers of a video would change, or add them: events to DIR/events.csv, excluded time to the
    list of sessions.

    The page of a session that plays a video, and the page of `review`, save the markers. Nothing is ever
    removed: to take an event or an excluded interval back, edit the file. The previous file stays beside the
    new one as *.bak.

    Example: emonext events study markers_P012_S01.csv --apply
    """
    from pipeline.review.apply_markers import apply_markers
    from pipeline.review.markers import plan_changes, read_markers
    from pipeline.store.encryption import use_key

    use_key(key)
    files = [file.expanduser() for file in files]  # only some shells replace the ~
    markers, problems = read_markers(directory, files)
    for path, found in problems.items():
        tell_problems(path, found)
    if problems:
        raise typer.Exit(EXIT_BAD_INPUT)
    written: dict[Path, Path | None] = {}
    if apply:
        changes, written = apply_markers(directory, markers, sessions_list)
    else:
        changes = plan_changes(directory, markers, sessions_list)
    for change in changes:
        say(_changed(change))
    lists = dict.fromkeys(
        change.listed.path for change in changes if change.listed and change.exclude is not None
    )
    if not any(change.is_new for change in changes):
        say("Nothing to add.")
        return
    if not apply:
        words = ["emonext", "events", str(directory), *map(str, files)]
        words += ["--list", str(sessions_list)] if sessions_list else []
        say(f"Nothing is written yet. To add this: {join([*words, '--apply'])}")
        return
    for path, backup in written.items():
        say(f"Written: {path}" + (f" (before: {backup})" if backup else ""))
    for path in lists:
        say(f"Next: emonext process {quote(str(path))} --out {quote(str(directory))}")
    if lists and (directory / "review").is_dir():
        say(f"Then, for the copies of the videos: emonext review {quote(str(directory))}")
    if not lists:
        say(f"Next: emonext report {quote(str(directory))}")


def _changed(change: "Change") -> str:
    """What the markers of a session change, on one line."""
    from pipeline.review.apply_markers import exclude_cell

    told = [f"{number_of(len(change.events), 'event')} to add"]
    if change.events:
        told[0] += f" ({', '.join(f'{code} {count}' for code, count in change.kinds.items())})"
    if change.known:
        told.append(f"{change.known} there already")
    if change.outside:
        told.append(f"{change.outside} left out, in time that does not count")
    if change.listed and change.exclude is not None:
        before = exclude_cell(change.listed.session.exclude) or "none"
        told.append(f"exclude {exclude_cell(change.exclude)} s, until now {before} ({change.listed.path})")
    return f"{' '.join(change.ids)}: {'; '.join(told)}"


@app.command(rich_help_panel=SESSIONS)
def status(
    directory: Directory,
    csv: Annotated[Path | None, typer.Option(help="Also write the overview as CSV.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write the page of all sessions, with what has to be done.")
    ] = None,
) -> None:
    """Show the state of every session of a folder.

    seen: the share of the time in which the face could be seen, eyes closed or not; what pages call read
    leaves out closed eyes.

    Example: emonext status study --csv status.csv --html status.html
    """
    from pipeline.records import UNSURE
    from pipeline.store.lock import is_held
    from pipeline.store.spreadsheet import read_decimal, write_rows
    from pipeline.store.status import STATE_REASONS, is_damaged, overview

    if is_damaged(directory):
        err_console.print(
            f"{directory / 'status.parquet'}: can't be read; the states below are those of the timelines. "
            "The next `emonext process` writes it again.",
            markup=False,
            soft_wrap=True,
        )
    running = is_held(directory)
    found = overview(directory, running=running).drop("reasons")
    table = Table("patient", "session", "state", "seen", "identity", "× real time", box=SIMPLE)
    rows = found.to_dicts()
    for row in rows:
        table.add_row(
            on_screen(row["patient_id"]),
            on_screen(row["session_id"]),
            row["state"].replace("_", " "),
            "–" if row["coverage"] is None else f"{row['coverage']:.0%}",
            "–" if row["identity"] is None else row["identity"].replace("_", " "),
            "–" if row["speed"] is None else f"{row['speed']:.1f}",
        )
    show_table(table)
    for row in rows:
        if reason := row["reason"] or STATE_REASONS.get(row["state"]):
            line = f"{row['patient_id']} {row['session_id']}: {reason}"
            out_console.print(on_screen(line), soft_wrap=True)
    unsure = sum(row["state"] == "to_check" or row["identity"] in UNSURE for row in rows)
    if unsure:
        tell_to_check(unsure, directory)
    if csv:
        write_rows(csv, found.columns, rows, read_decimal(directory))
    if html:
        from reports.write import write_status_page  # takes a second

        write_status_page(directory, html, running=running)
