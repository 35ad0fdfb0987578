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
from pipeline.commands.options import Adapt, Directory, KeyFile
from pipeline.commands.work import work_in
from pipeline.store.counts import number_of


@app.command(rich_help_panel=SESSIONS)
def report(
    directory: Directory,
    lang: Annotated[str | None, typer.Option(help="en or fr; default: as in the last reports.")] = None,
    assets: Annotated[
        Literal["inline", "shared"] | None,
        typer.Option(help="Scripts and style in each page, or in one shared folder; default: as last."),
    ] = None,
    thumbnails: Annotated[
        Literal["off", "blur", "plain"],
        typer.Option(
            help="Small pictures of moments: none; all detected faces blurred; or the patient's face shown."
        ),
    ] = "off",
    key: KeyFile = None,
) -> None:
    """Write the HTML reports again from the timelines. Needs no model, and videos only for small pictures.

    Small pictures show people: protect such reports as carefully as the recordings.

    Example: emonext report study --lang fr
    """
    from pipeline.review.thumbnails import Thumbnails
    from pipeline.study.derive import update_derived
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
    leave: Annotated[float, typer.Option(help="Smoothed probability at which an episode ends.")] = 0.4,
    smoothing: Annotated[float, typer.Option(help="Window of the smoothing, s.")] = 1.0,
    min_duration: Annotated[float, typer.Option(help="Shortest episode, s.")] = 1.0,
    bridge: Annotated[float, typer.Option(help="Longest interruption that is bridged, s.")] = 0.6,
    max_unobserved: Annotated[float, typer.Option(help="Longest gap without a readable face, s.")] = 1.0,
    min_coverage: Annotated[float, typer.Option(help="Lowest coverage for a result, 0…1.")] = 0.2,
    baseline: Annotated[
        str, typer.Option(help="Condition of the sessions in which patients were calm.")
    ] = "baseline",
    adapt: Adapt = None,
    key: KeyFile = None,
) -> None:
    """Compute episodes, measures with intervals, and comparisons from the timelines, as tables.

    Needs neither videos nor a model. To change the settings, run it again; `report` shows the new results.

    Example: emonext summarize study --min-duration 2
    """
    from pipeline.analysis.adaptation import check_given, use_adaptation
    from pipeline.analysis.episodes import EpisodeSettings
    from pipeline.analysis.summaries import SummarySettings, read_sessions
    from pipeline.study.derive import derive

    episodes = EpisodeSettings(smoothing, enter, leave, min_duration, bridge, max_unobserved)
    settings = SummarySettings(episodes, min_coverage, baseline_condition=baseline)
    check_given(adapt)
    with work_in(directory, "summarize", key), progress_bar("Summaries") as update:
        use_adaptation(directory, adapt)
        problems = derive(directory, settings, update)
    sessions = read_sessions(directory)
    enough, calm = int(sessions["enough"].sum()), int(sessions["corrected"].sum())
    known = f"{enough} with enough coverage, {calm} with the patient's own baseline"
    if adapted := int(sessions["adapted"].sum()):
        known += f", {adapted} adapted to raters"
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
            help="Files (.eaf, .boris, .csv, .tsv) or folders; default: DIR/ratings.", metavar="RATINGS…"
        ),
    ] = None,
    codes: Annotated[
        str | None,
        typer.Option(
            help="Label of each code: smile=happy,talk=speaking,laugh=- (omitted),hidden=? (could not be "
            "judged),none=neutral (time without a code); or a .toml file with [codes]."
        ),
    ] = None,
    step: Annotated[float, typer.Option(help="Time step of the comparison, s.")] = 1.0,
    rated: Annotated[
        str | None,
        typer.Option(
            help="Rated part of each session, if a file does not state it: 0-600, or all; "
            "default: from the first code to the last.",
            metavar="FROM-TO",
        ),
    ] = None,
    key: KeyFile = None,
) -> None:
    """Measure the agreement between human raters and the machine, and between raters.

    Name a file after its session, such as P012_S01.eaf or P012_S01_anna.eaf. A table has the columns
    patient_id, session_id, start_s, end_s and code. State the rated part in a table's columns rated_from_s
    and rated_to_s, in an ELAN tier named rated, or in the interval of a BORIS observation.

    Example: emonext agree study ratings/ --codes smile=happy,none=neutral
    """
    from pipeline.agreement.compare import agree as compare
    from pipeline.agreement.results import write_disagreements, write_figures
    from pipeline.exchange.code_map import read_codes
    from pipeline.exchange.coded import session_names
    from pipeline.exchange.ratings import read_ratings, read_span
    from pipeline.store.encryption import use_key
    from pipeline.study.derive import update_derived
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
        typer.Option("--format", help="csv, xlsx: all tables; elan, boris: episodes; bids: events."),
    ],
    out: Annotated[Path | None, typer.Option(help="Output folder; default: DIR/exports/FORMAT.")] = None,
    reading: Annotated[
        Literal["raw", "corrected", "adapted"],
        typer.Option(help="Episodes for elan and boris: raw, baseline-corrected, or adapted to raters."),
    ] = "raw",
    key: KeyFile = None,
) -> None:
    """Write results for other programs: tables with a data dictionary, ELAN or BORIS files, or BIDS.

    Exports are not encrypted, and `purge` does not find exports outside DIR. A new export replaces only files
    of an earlier export. ELAN and BORIS files are never replaced, because a rater may have edited them; they
    link to the videos. For a recording in several files, ELAN shows the first file and BORIS all of them.

    Example: emonext export study --format elan
    """
    from pipeline.exchange.export import export as write
    from pipeline.study.derive import update_derived

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
