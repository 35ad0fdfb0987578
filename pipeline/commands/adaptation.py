"""The command `adapt`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from pipeline.commands.app import SESSIONS, app
from pipeline.commands.console import EXIT_INCOMPLETE, err_console, progress_bar, say, tell_left_out
from pipeline.commands.options import Directory, KeyFile
from pipeline.commands.work import work_in
from pipeline.store.counts import number_of


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
    writes DIR/adaptation.json only if they help there. All tables then also hold the reading `adapted`; the
    raw reading and the weights stay as they are. Exit code 1: it did not help, and no adaptation was
    written. Also writes the study's shares, adjusted for misreading, to agreement/adjusted_shares.csv.

    Example: emonext adapt study
    """
    from pipeline.agreement.adapting import clip_tables, estimate, read_rated_study, told
    from pipeline.agreement.adjusted_shares import adjusted_shares, lines, write_adjusted_shares
    from pipeline.analysis.adaptation import adaptation_path, read_adaptation, write_adaptation
    from pipeline.store.encryption import use_key
    from pipeline.study.derive import update_derived

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
