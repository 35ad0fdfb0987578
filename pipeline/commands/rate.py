"""The commands `rate` and `adapt`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from pipeline.commands.app import SESSIONS, app
from pipeline.commands.console import (
    EXIT_INCOMPLETE,
    err_console,
    progress_bar,
    refuse_given,
    say,
    tell_left_out,
)
from pipeline.commands.options import Directory, KeyFile, Lang
from pipeline.commands.work import work_in
from pipeline.store.counts import number_of

# most of the sessions that are left out are so for one reason: the rest is counted
_NAMED = 3


@app.command(rich_help_panel=SESSIONS)
def rate(
    context: typer.Context,
    directory: Directory,
    clips: Annotated[int, typer.Option(help="Number of clips.")] = 60,
    seconds: Annotated[float, typer.Option(help="Length of a clip, s.")] = 4.0,
    rater: Annotated[
        list[str] | None, typer.Option(help="Pseudonym of a rater; repeat for each; default: rater.")
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(help="Number of clips that all raters judge; default: a third, with several raters."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.", min=0)] = 0,
    new: Annotated[
        bool, typer.Option("--new", help="Draw further clips; those of earlier draws still count.")
    ] = False,
    lang: Lang = None,
    key: KeyFile = None,
) -> None:
    """Draw short clips from the study, and write a page for each rater to judge them (it shows faces).

    Give each rater the page, and put the table that the page saves into DIR/ratings; `agree` then measures
    the agreement with the machine, weighted back to the whole study. Clips come from sessions with enough
    coverage in which it is certain who the patient is. With a key, each page has a password, which is shown
    only once. Run the command again to write the pages of the newest draw again, with new passwords.

    Example: emonext rate study --rater anna --rater ben
    """
    from pipeline.agreement.clip_sampling import DrawSettings
    from pipeline.agreement.rated_clips import clips_path
    from pipeline.errors import InputError
    from pipeline.results.derive import update_derived
    from pipeline.review.rating_clips import cut_clips, draw_clips
    from pipeline.store.encryption import key_file, new_password, use_key
    from pipeline.store.spreadsheet import read_decimal
    from reports.forms.rate import write_rate_page
    from reports.options import language_of

    use_key(key)
    raters = tuple(rater or ["rater"])
    shared = overlap if overlap is not None else clips // 3 if len(raters) > 1 else 0
    settings = DrawSettings(clips, seconds, raters, shared, seed)
    if clips_path(directory).exists() and not new:
        refuse_given(context, "--new, for a further draw", "clips", "seconds", "rater", "overlap", "seed")
    spoken = language_of(directory, lang)
    with work_in(directory, "rate", key, options={"clips": clips, "new": new}):
        with progress_bar("Summaries") as update:
            problems = update_derived(directory, update)
        with progress_bar("Looking for clips") as update:
            drawn = draw_clips(directory, settings, again=new, on_session=update)
        with progress_bar("Cutting clips") as update:
            films, unshown = cut_clips(directory, drawn.clips, update)
        pages = {}
        clips_shown = [clip for clip in drawn.clips if clip.key in films]
        for name in sorted({name for clip in clips_shown for name in clip.raters}):
            own = [clip for clip in clips_shown if name in clip.raters]
            password = new_password() if key_file() else None
            path = directory / "rating" / f"{name}_{own[0].draw}.html"
            page = write_rate_page(own, films, name, path, spoken, password, read_decimal(directory))
            pages[page] = len(own), password
    tell_left_out(problems)
    left_out = {**drawn.left_out, **unshown}
    for ids, why in list(left_out.items())[:_NAMED]:
        err_console.print(f"Left out: {' '.join(ids)}: {why}", markup=False, soft_wrap=True)
    if len(left_out) > _NAMED:
        say(f"Left out: {number_of(len(left_out) - _NAMED, 'more session')}.")
    if not clips_shown:
        raise InputError(f"{directory}: no clip can be shown; put the recordings back where they were.")
    patients = number_of(len({clip.patient_id for clip in clips_shown}), "patient")
    source = "drawn earlier" if drawn.of is None else f"drawn from {drawn.of:,}"
    say(f"{number_of(len(clips_shown), 'clip')} of {patients}, {source}.")
    for path, (count, password) in pages.items():
        say(f"{path}: {number_of(count, 'clip')}" + (f", password {password}" if password else ""))
    say(
        f"Put the tables that raters save into {directory / 'ratings'}, then run: "
        f"emonext agree {quote(str(directory))}"
    )


@app.command(rich_help_panel=SESSIONS)
def adapt(
    directory: Directory,
    ratings: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Tables of rated clips (.csv) or folders; default: DIR/ratings.", metavar="RATINGS…"
        ),
    ] = None,
    key: KeyFile = None,
) -> None:
    """Calibrate the expressions of a study by its raters' answers to drawn clips (see `rate`).

    Estimates a temperature and an offset per expression, tests them on patients that were left out, and
    writes DIR/adaptation.json only if they help there. With enough clips, patients also get offsets of their
    own, if these help on sessions that were left out. All tables then also hold the reading `adapted`; the
    raw reading and the weights stay as they are. Exit code 1: it did not help, and no adaptation was
    written. Also writes the study's shares, adjusted for misreading, to agreement/adjusted_shares.csv.

    Example: emonext adapt study
    """
    from pipeline.agreement.adapting import clip_tables, estimate, read_rated_study, told, told_of_own
    from pipeline.agreement.adjusted_shares import adjusted_shares, lines, write_adjusted_shares
    from pipeline.analysis.adaptation import adaptation_path, read_adaptation, write_adaptation
    from pipeline.results.derive import update_derived
    from pipeline.store.encryption import use_key

    use_key(key)
    rated = read_rated_study(directory, clip_tables(directory, ratings or []))
    for note in rated.notes:
        err_console.print(note, markup=False, soft_wrap=True)
    path = adaptation_path(directory)
    problems: tuple[str, ...] = ()
    with work_in(directory, "adapt", key, sessions=rated.sessions):
        found = estimate(rated)
        earlier = read_adaptation(directory) if path.exists() and not found.test.helps else None
        with progress_bar("Adjusting shares") as update:
            shares = adjusted_shares(directory, rated, update)
        table = write_adjusted_shares(directory, shares)
        if found.test.helps:
            found = write_adaptation(path, found)
            with progress_bar("Summaries") as update:
                problems = update_derived(directory, update)
    say(
        f"{number_of(found.clips, 'clip')} of {number_of(found.patients, 'patient')}, rated by "
        f"{number_of(found.raters, 'person', 'people')}."
    )
    say(told(found))
    if found.test.helps:
        say(told_of_own(found))
    for line in lines(shares):
        say(line)
    say(f"Adjusted shares: {table}")
    if found.test.helps:
        tell_left_out(problems)
        say(f"Adaptation {found.name}: {path}")
        return
    say("Not adapted: on unseen recordings, that is no improvement beyond chance. No adaptation was written.")
    if earlier:
        say(
            f"The adaptation of {earlier.created_at[:10]} stays in use ({path}); to remove it: "
            f"emonext summarize {quote(str(directory))} --adapt none"
        )
    raise typer.Exit(EXIT_INCOMPLETE)
