"""The commands `report`, `summarize`, `agree` and `export`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.commands.app import SESSIONS, app
from pipeline.commands.console import (
    EXIT_BAD_INPUT,
    err_console,
    progress_bar,
    refuse_given,
    say,
    tell_left_out,
)
from pipeline.commands.options import Directory, KeyFile
from pipeline.commands.work import work_in
from pipeline.store.counts import number_of


@app.command(rich_help_panel=SESSIONS)
def report(
    directory: Directory,
    lang: Annotated[str | None, typer.Option(help="en or fr; else as the pages were made last.")] = None,
    assets: Annotated[
        Literal["inline", "shared"] | None,
        typer.Option(help="Scripts and style in each page, or once beside them; else as last."),
    ] = None,
    thumbnails: Annotated[
        Literal["off", "blur", "plain"],
        typer.Option(
            help="Small pictures of moments: none, all faces that were found blurred, or the patient's shown."
        ),
    ] = "off",
    key: KeyFile = None,
) -> None:
    """Timelines → HTML reports, anew; needs no model, and the videos only for small pictures.

    Pictures show people: keep the reports then as carefully as the recordings.

    Example: emonext report study --lang fr
    """
    from pipeline.analysis.derive import update_derived
    from pipeline.review.thumbnails import Thumbnails
    from reports import last_options, write_reports

    options = last_options(directory)
    options = replace(
        options, language=lang or options.language, assets=assets or options.assets, thumbnails=thumbnails
    )
    take_pictures = None if thumbnails == "off" else Thumbnails(directory, thumbnails)
    with work_in(directory, "report", key, options={"thumbnails": thumbnails}):
        with progress_bar("Summaries") as update:
            problems = update_derived(directory, update)
        with progress_bar("Reports") as update:
            index = write_reports(directory, update, options, take_pictures)
    tell_left_out(problems)
    say(f"Report: {index}")


@app.command(rich_help_panel=SESSIONS)
def summarize(
    directory: Directory,
    enter: Annotated[float, typer.Option(help="Smoothed probability at which an episode begins.")] = 0.5,
    leave: Annotated[float, typer.Option(help="And at which it ends.")] = 0.4,
    smoothing: Annotated[float, typer.Option(help="Window of the smoothing, s.")] = 1.0,
    min_duration: Annotated[float, typer.Option(help="Shorter episodes are left out, s.")] = 1.0,
    bridge: Annotated[float, typer.Option(help="Interruptions up to so long are bridged, s.")] = 0.6,
    max_unobserved: Annotated[float, typer.Option(help="And so long without a readable face, s.")] = 1.0,
    min_coverage: Annotated[float, typer.Option(help="With less seen, no number is given, 0…1.")] = 0.2,
    baseline: Annotated[
        str, typer.Option(help="Condition of sessions in which patients were calm.")
    ] = "baseline",
    key: KeyFile = None,
) -> None:
    """Timelines → episodes, measures with intervals, comparisons: tables for statistics and for the reports.

    Needs neither video nor model, and can be done again with other settings; `report` then shows them.

    Example: emonext summarize study --min-duration 2
    """
    from pipeline.analysis.derive import derive
    from pipeline.analysis.episodes import EpisodeSettings
    from pipeline.analysis.summaries import SummarySettings, read_sessions

    episodes = EpisodeSettings(smoothing, enter, leave, min_duration, bridge, max_unobserved)
    settings = SummarySettings(episodes, min_coverage, baseline_condition=baseline)
    with work_in(directory, "summarize", key), progress_bar("Summaries") as update:
        problems = derive(directory, settings, update)
    sessions = read_sessions(directory)
    enough, calm = int(sessions["enough"].sum()), int(sessions["corrected"].sum())
    known = f"{enough} seen enough, {calm} with the person's own baseline"
    say(f"{number_of(sessions.height, 'session')}, {known}.")
    say(f"Tables: {directory / 'summaries'}")
    if problems:
        tell_left_out(problems)
        raise typer.Exit(EXIT_BAD_INPUT)


@app.command(rich_help_panel=SESSIONS)
def agree(
    directory: Directory,
    ratings: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files (.eaf, .boris, .csv, .tsv) or folders; else DIR/ratings.", metavar="RATINGS…"
        ),
    ] = None,
    codes: Annotated[
        str | None,
        typer.Option(
            help="What codes mean, such as smile=happy,talk=- (left out),away=? (could not be judged),"
            "none=neutral (time without a code), or a .toml file with [codes]."
        ),
    ] = None,
    step: Annotated[float, typer.Option(help="Length of the steps that are compared, s.")] = 1.0,
    rated: Annotated[
        str | None,
        typer.Option(
            help="What was rated of each session, where a file does not say: such as 0-600, or all; "
            "else from the first code to the last.",
            metavar="FROM-TO",
        ),
    ] = None,
    key: KeyFile = None,
) -> None:
    """How far people who rated sessions agree with the machine, and with each other.

    Files are named after their session, like P012_S01.eaf or P012_S01_anna.eaf; a table has the columns
    patient_id, session_id, start_s, end_s and code. What was rated is stated by a table's columns
    rated_from_s and rated_to_s, by an ELAN tier named rated, or by the interval of a BORIS observation.

    Example: emonext agree study ratings/ --codes smile=happy,none=neutral
    """
    from pipeline.agreement.compare import agree as compare
    from pipeline.agreement.results import write_disagreements, write_figures
    from pipeline.analysis.derive import update_derived
    from pipeline.exchange.code_map import read_codes
    from pipeline.exchange.coded import session_names
    from pipeline.exchange.ratings import read_ratings, read_span
    from pipeline.store.encryption import use_key
    from reports.pages.agreement import lead, rated_lines, write_agreement_page

    use_key(key)
    files = ratings or [directory / "ratings"]
    people = read_ratings(files, session_names(directory), read_codes(codes), read_span(rated))
    for note in people.notes:
        err_console.print(note, markup=False, soft_wrap=True)
    sessions = {rating.ids for rating in people.ratings}
    with work_in(directory, "agree", key, sessions=sessions):
        with progress_bar("Summaries") as update:
            problems = update_derived(directory, update)
        with progress_bar("Comparing") as update:
            found = compare(directory, people, step, update)
        write_figures(found, directory / "agreement" / "figures.json")
        table = write_disagreements(found, directory / "agreement" / "disagreements.csv")
        page = write_agreement_page(found, directory / "reports" / "agreement.html", directory / "review")
    tell_left_out(problems)
    for line in rated_lines(found):
        say(line)
    say(lead(found))
    say(f"Disagreements: {table}")
    say(f"Report: {page}")


@app.command(rich_help_panel=SESSIONS)
def export(
    context: typer.Context,
    directory: Directory,
    kind: Annotated[
        Literal["csv", "xlsx", "elan", "boris", "bids"],
        typer.Option("--format", help="csv and xlsx: all tables; elan, boris: over the video; bids."),
    ],
    out: Annotated[Path | None, typer.Option(help="Where to; else DIR/exports/FORMAT.")] = None,
    reading: Annotated[
        Literal["raw", "corrected"], typer.Option(help="Whose episodes elan and boris show.")
    ] = "raw",
    key: KeyFile = None,
) -> None:
    """Results for other programs: tables with a data dictionary, episodes over the video, or BIDS.

    What is written is not encrypted, and outside DIR no purge finds it. It takes the place of what an earlier
    export wrote there, and of nothing else; files for ELAN and BORIS are never replaced, as somebody may have
    worked on them. They show episodes over videos that lie beside; of a recording in several files ELAN shows
    the first, and BORIS all.

    Example: emonext export study --format elan
    """
    from pipeline.analysis.derive import update_derived
    from pipeline.exchange.export import export as write

    if kind not in ("elan", "boris"):
        refuse_given(context, "--format elan and boris", "reading")
    folder = out or directory / "exports" / kind
    with work_in(directory, "export", key, options={"format": kind}):
        with progress_bar("Summaries") as update:
            problems = update_derived(directory, update)
        with progress_bar("Exporting") as update:
            written = write(directory, kind, folder, reading, update)
    tell_left_out(problems)
    place = written[0] if len(written) == 1 else folder
    say(f"{number_of(len(written), 'file')}: {place}")
