"""The command `preflight`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from pipeline.commands.app import SESSIONS, app
from pipeline.commands.console import (
    EXIT_INCOMPLETE,
    on_screen,
    out_console,
    progress_bar,
    refuse_given,
    say,
    show_table,
    warn,
    warn_of,
)
from pipeline.commands.networks import crop_of, share_processor
from pipeline.commands.options import DEFAULT_MODEL, LANGUAGES
from pipeline.store.counts import clock, number_of

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    from pipeline.checks.snapshots import Snapshot
    from pipeline.checks.trial_recordings import Checked, Trial
    from pipeline.video.container import VideoInfo


@app.command(rich_help_panel=SESSIONS)
def preflight(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(help="A trial recording, or a folder of recordings.", metavar="VIDEO")
    ],
    pictures: Annotated[
        Path | None,
        typer.Option(help="Write some of the pictures, with boxes, to this folder. They show faces."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            help="Write a page (.html) with the result and a picture of each recording, on which to fill in "
            "the list of sessions. It shows faces."
        ),
    ] = None,
    lang: Annotated[str, typer.Option(help=f"Language of the page: {LANGUAGES}.")] = "en",
) -> None:
    """Check a camera set-up before a study, and name what to change; takes seconds for each recording.

    Film a person in the patient's chair for some minutes, as in the study. Of a folder, every recording is
    checked, and the worst comes first; a recording without consent in the folder's list is not opened. Exit
    code 1: a set-up will not work, or a recording can't be read. On the page, somebody states the ids, the
    condition, the consent and the patient's seat of each recording; `study apply` writes them into the list.

    Example: emonext preflight trial.mp4, or emonext preflight recordings/ --page recordings.html
    """
    from emonext.weight_files import find_weights
    from pipeline.checks.preflight import SMALLEST_FACE_PX, overall
    from pipeline.checks.snapshots import write_pictures
    from pipeline.checks.trial_recordings import check_trial, checked_recordings, find_trial, worst_first
    from pipeline.processing.study_settings import list_decimal

    if page is None:
        refuse_given(context, "--page", "lang")
    else:
        from reports.forms.preflight import check_page_path, write_preflight_page
        from reports.words.language import language

        check_page_path(page)
        spoken = language(lang)
    trial = find_trial(path, may_open_none=page is not None)
    decimal = list_decimal(trial.folder)

    # torch takes seconds to import, and what is wrong with the folder is told before
    from emonext.checkpoint import read_card
    from emonext.device import choose_device
    from pipeline.faces.upright import UprightCascade

    share_processor()
    detect = UprightCascade(SMALLEST_FACE_PX, choose_device()).at_any_angle
    crop_spec = crop_of(read_card(find_weights(DEFAULT_MODEL)).preprocessing)
    written: list[Path] = []

    def keep_pictures(info: "VideoInfo", looks: "Sequence[Snapshot]") -> None:
        if pictures:
            folder = pictures / info.path.relative_to(trial.folder).parent
            written.extend(write_pictures(info, looks, folder))

    with progress_bar("Looking") as update:
        checked = list(check_trial(trial, detect, crop_spec, update, keep_pictures))
    if path == trial.folder:
        _tell_trial(trial, worst_first(checked))
    else:
        _tell_one(checked[0])
    if pictures:
        advice = "they show faces: delete them after you have looked at them"
        say(f"Pictures: {pictures} ({len(written)}; {advice})")
    if page:
        recordings = checked_recordings(trial, checked)
        write_preflight_page(recordings, page, trial.folder, trial.listed, spoken, decimal)
        say(f"Page: {page} (shows faces: delete the page when the list is complete)")
    if trial.errors or any(one.problem or overall(one.findings) == "will not work" for one in checked):
        raise typer.Exit(EXIT_INCOMPLETE)


def _tell_one(checked: "Checked") -> None:
    """Print each finding, the changes (most serious first), and the overall verdict."""
    from pipeline.checks.preflight import overall

    first_s, last_s = checked.span_s
    span = f"from {clock(first_s)} to {clock(last_s)}"
    say(f"{checked.video}: {number_of(checked.pictures, 'picture')} checked, {span}")
    table = Table(show_header=False, box=SIMPLE)
    for finding in checked.findings:
        colour = _VERDICT_COLOURS[finding.verdict]
        table.add_row(finding.name, f"[{colour}]{finding.verdict}[/]", escape(str(finding.measured)))
    show_table(table)
    if checked.advice:
        out_console.print("[bold]What to change[/]", _bullets(map(str, checked.advice)), "", sep="\n")
    verdict = overall(checked.findings)
    out_console.print(f"[bold {_VERDICT_COLOURS[verdict]}]{_VERDICTS[verdict]}[/]")


def _tell_trial(trial: "Trial", checked: "Sequence[Checked]") -> None:
    """Print each recording with what to change, the worst first, and how many there are of each verdict."""
    from pipeline.checks.preflight import overall

    say(f"{trial.folder}: {number_of(len(checked), 'recording')} checked, the worst first")
    counts = Counter(_UNREAD if one.problem else overall(one.findings) for one in checked)
    for one in checked:
        verdict = _UNREAD if one.problem else overall(one.findings)
        name = on_screen(str(one.video.relative_to(trial.folder)))
        out_console.print(f"[bold {_VERDICT_COLOURS[verdict]}]{verdict}[/]: {name}", soft_wrap=True)
        if advice := [str(one.problem)] if one.problem else [*map(str, one.advice)]:
            out_console.print(_bullets(advice))
    warn_of([*trial.refused], "recording", f"{trial.folder}: not opened, because a list states no consent")
    for error in trial.errors:
        warn(str(error))
    if counts:
        say(", ".join(f"{number_of(counts[verdict], 'recording')} {verdict}" for verdict in counts))


def _bullets(lines: "Iterable[str]") -> Table:
    found = Table.grid(padding=(0, 1))
    for line in lines:
        found.add_row(" •", escape(line))
    return found


_UNREAD = "can't be read"
_VERDICT_COLOURS = {"good": "green", "could be better": "yellow", "will not work": "red", _UNREAD: "red"}
_VERDICTS = {
    "good": "This set-up will work.",
    "could be better": "This set-up will work, but could be better.",
    "will not work": "This set-up will not work as it is.",
}
