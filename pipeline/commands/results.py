"""The commands `report`, `summarize`, `agree` and `export`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.commands.app import SESSIONS, app
from pipeline.commands.console import (
    EXIT_BAD_INPUT,
    err_console,
    is_given,
    progress_bar,
    refuse_given,
    say,
    tell_left_out,
    warn,
)
from pipeline.commands.options import Adapt, Directory, KeyFile, Lang
from pipeline.commands.work import work_in
from pipeline.store.counts import number_of

# torch, polars and decord take seconds to import: each command imports what it uses


@app.command(rich_help_panel=SESSIONS)
def report(
    context: typer.Context,
    directory: Directory,
    lang: Lang = None,
    assets: Annotated[
        Literal["inline", "shared"] | None,
        typer.Option(
            help="Scripts and style in each page, or in one shared folder; default: as last, or else shared "
            "for more than 20 sessions."
        ),
    ] = None,
    thumbnails: Annotated[
        Literal["off", "blur", "plain"],
        typer.Option(
            help="Small pictures of moments: none; all detected faces blurred; or the patient's face shown."
        ),
    ] = "off",
    video: Annotated[
        Literal["copy", "original", "off"] | None,
        typer.Option(
            help="What pages of sessions play: the blurred copy of `review`, if there is one; the recording "
            "itself, which shows everybody; nothing. Default: as last, or else copy."
        ),
    ] = None,
    one: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Only the page of this session, to send away: PATIENT_SESSION.html in this folder.",
            metavar="PATIENT SESSION",
        ),
    ] = None,
    key: KeyFile = None,
) -> None:
    """Write the HTML reports again from the timelines. Needs no model, and videos only for small pictures.

    Small pictures show people: protect such reports as carefully as the recordings. A video is not in the
    page: the page plays the file where it lies. A page written with --one needs no other file, and has no
    pictures and no video; `purge` does not find it. Another language also changes the pages of `review`;
    the labels in their videos change when `review` draws them again.

    Example: emonext report study --lang fr, or emonext report study --one P012 S01
    """
    from pipeline.commands.review import translate_reviews
    from pipeline.results.derive import update_derived
    from pipeline.review.films import find_video
    from pipeline.review.reviews import find_written
    from pipeline.review.thumbnails import Thumbnails
    from pipeline.store.encryption import use_key
    from reports import last_options, write_reports, write_single_page
    from reports.words.language import language

    options = last_options(directory)
    options = replace(
        options,
        language=lang or options.language,
        assets=assets or options.assets,
        thumbnails=thumbnails,
        video=video or options.video,
    )
    if one is not None:
        refuse_given(context, "all pages, not with --one", "assets", "thumbnails", "video")
        use_key(key)
        find_written(directory, *one)  # an unknown session is not logged
        with work_in(directory, "report", key, sessions=[one]):
            page = write_single_page(directory, one, Path(f"{'_'.join(one)}.html"), options.language)
        say(f"Page to send: {page}")
        return
    take_pictures = None if thumbnails == "off" else Thumbnails(directory, thumbnails)
    with work_in(directory, "report", key, options={"thumbnails": thumbnails, "video": options.video}):
        with progress_bar("Summaries") as update:
            problems = update_derived(directory, update)
        translate_reviews(directory, language(options.language))
        with progress_bar("Reports") as update:
            index = write_reports(directory, update, options, take_pictures, find_video)
    tell_left_out(problems)
    say(f"Report: {index}")


@app.command(rich_help_panel=SESSIONS)
def summarize(
    context: typer.Context,
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
    adjust: Annotated[
        str | None,
        typer.Option(help="Columns of DIR/patients.csv to adjust for together: age,mmse.", metavar="COLUMNS"),
    ] = None,
    multiverse: Annotated[
        bool,
        typer.Option(
            "--multiverse",
            help="Also repeat the comparison of conditions with other reasonable choices; up to a minute.",
        ),
    ] = False,
    adapt: Adapt = None,
    key: KeyFile = None,
) -> None:
    """Compute episodes, measures with intervals, and comparisons from the timelines, as tables.

    Needs neither videos nor a model; `report` shows the new results. Options that are not given have their
    default, or the value of the plan if one is frozen (`study plan`).

    --multiverse shows what the comparison of conditions hangs on. Its table is of the current tables: any
    command that writes these again removes it.

    Example: emonext summarize study --min-duration 2
    """
    from pipeline.analysis.adaptation import check_given, use_adaptation
    from pipeline.analysis.summaries import read_sessions
    from pipeline.results.derive import add_multiverse, derive, last_settings, settings_values, with_values
    from pipeline.robustness.multiverse import multiverse_path
    from pipeline.study.planned import summary_settings

    options = {
        "smoothing": ("smoothing_s", smoothing),
        "enter": ("enter", enter),
        "leave": ("leave", leave),
        "min_duration": ("min_duration_s", min_duration),
        "bridge": ("bridge_s", bridge),
        "max_unobserved": ("max_unobserved_s", max_unobserved),
        "min_coverage": ("min_coverage", min_coverage),
        "baseline": ("baseline_condition", baseline),
        "adjust": ("adjust", tuple(name.strip() for name in (adjust or "").split(",") if name.strip())),
    }
    given = {field: value for name, (field, value) in options.items() if is_given(context, name)}
    settings = with_values(summary_settings(directory), given)
    before, now = map(settings_values, (last_settings(directory), settings))
    for name, (field, _) in options.items():
        if field not in given and now[field] != before[field]:
            was, has = (_typed(values[field]) for values in (before, now))
            warn(f"--{name.replace('_', '-')} was not given: {has} again, not {was} as in the last tables.")
    if note := check_given(adapt, directory):
        err_console.print(note, markup=False, soft_wrap=True)
    table = multiverse_path(directory)
    was_there = table.exists()
    with work_in(directory, "summarize", key):
        use_adaptation(directory, adapt)
        with progress_bar("Summaries") as update:
            problems = derive(directory, settings, update)
        if multiverse:
            with progress_bar("Multiverse") as update:
                add_multiverse(directory, update)
    sessions = read_sessions(directory)
    enough, calm = int(sessions["enough"].sum()), int(sessions["corrected"].sum())
    known = f"{enough} with enough coverage, {calm} with the patient's own baseline"
    if adapted := int(sessions["adapted"].sum()):
        known += f", {adapted} adapted to raters"
    say(f"{number_of(sessions.height, 'session')}, {known}.")
    conditions = sorted(filter(None, sessions["condition"].unique()))
    if conditions and settings.baseline_condition not in conditions:
        warn(
            f"no session has the condition {settings.baseline_condition} (--baseline), so none is corrected; "
            f"the conditions are {', '.join(conditions)}."
        )
    tell_patients(directory)
    say(f"Tables: {directory / 'summaries'}")
    _tell_deviations(directory)
    if multiverse:
        _tell_multiverse(directory)
    elif was_there:
        say(f"{table}: removed, as it was of the earlier tables; --multiverse writes it again.")
    if problems:
        tell_left_out(problems)
        raise typer.Exit(EXIT_BAD_INPUT)


def _typed(value: object) -> str:
    """As the user types it."""
    return (",".join(value) if isinstance(value, tuple) else str(value)) or "nothing"


def _tell_deviations(directory: Path) -> None:
    """Print which settings differ from the study's plan."""
    from pipeline.study.plan_text import deviation_text
    from pipeline.study.planned import read_planned

    for deviation in read_planned(directory).deviations:
        warn(f"not as planned: {deviation_text(deviation)}.")


def tell_patients(directory: Path) -> None:
    """Print what was read from ``patients.csv``."""
    from pipeline.robustness.covariate_tables import read_characteristics
    from pipeline.robustness.covariate_words import told_of_patients
    from pipeline.store.parquet import read_metadata

    path = directory / "summaries" / "characteristics.parquet"
    if path.exists():
        say(told_of_patients(read_characteristics(directory), read_metadata(path)["settings"]))


def _tell_multiverse(directory: Path) -> None:
    """Print one sentence per condition."""
    from pipeline.robustness.multiverse import read_multiverse
    from pipeline.robustness.multiverse_results import verdicts
    from reports.words.labels import compared_text
    from reports.words.language import ENGLISH
    from reports.words.multiverse import verdict_text

    for verdict in verdicts(read_multiverse(directory)):
        reason = "" if verdict.computed else f" Most often: {next(iter(verdict.reasons))}."
        compared = compared_text(verdict.condition, verdict.reference, ENGLISH)
        say(f"{compared}: {verdict_text(verdict, ENGLISH)}{reason}")


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
    lang: Lang = None,
    key: KeyFile = None,
) -> None:
    """Measure the agreement between human raters and the machine, and between raters.

    Tables that pages of `rate` save are weighted back to the whole study. Other files hold codes of sessions.
    Name a file after its session, such as P012_S01.eaf or P012_S01_anna.eaf. A table has the columns
    patient_id, session_id, start_s, end_s and code. State the rated part in a table's columns rated_from_s
    and rated_to_s, in an ELAN tier named rated, or in the interval of a BORIS observation.

    Example: emonext agree study ratings/ --codes smile=happy,none=neutral
    """
    from pipeline.agreement.clip_accuracy import compare_clips
    from pipeline.agreement.compare import agree as compare
    from pipeline.agreement.rated_clips import is_clip_table, read_clips, read_rated_clips
    from pipeline.agreement.results import Agreement, write_disagreements, write_figures
    from pipeline.errors import InputError
    from pipeline.exchange.code_map import read_codes
    from pipeline.exchange.coded import session_names
    from pipeline.exchange.ratings import Ratings, rating_files, read_ratings, read_span
    from pipeline.results.derive import coding_digests, update_derived
    from pipeline.store.encryption import use_key
    from pipeline.store.spreadsheet import read_decimal
    from reports.options import language_of
    from reports.pages.agreement import rated_lines, write_agreement_page
    from reports.words.agreement import lead
    from reports.words.language import ENGLISH

    use_key(key)
    spoken = language_of(directory, lang)
    if not ratings and not (directory / "ratings").exists():
        raise InputError(
            f"{directory / 'ratings'}: not there; put the tables of raters in, or name their files."
        )
    files = rating_files(ratings or [directory / "ratings"])
    tables = [path for path in files if is_clip_table(path)]
    coded = [path for path in files if path not in tables]
    people = Ratings(())
    if coded:
        people = read_ratings(coded, session_names(directory), read_codes(codes), read_span(rated))
    drawn = read_clips(directory) if tables else []
    answers, notes = read_rated_clips(tables, {clip.key: clip for clip in drawn})
    for note in (*people.notes, *notes):
        err_console.print(note, markup=False, soft_wrap=True)
    sessions = {rating.ids for rating in people.ratings} | {one.clip.ids for one in answers}
    with work_in(directory, "agree", key, sessions=sessions):
        with progress_bar("Summaries") as update:
            problems = update_derived(directory, update)
        with progress_bar("Comparing") as update:
            found = compare(directory, people, step, update) if coded else Agreement.empty(step)
        if tables:
            with progress_bar("Comparing clips") as update:
                found = replace(found, clips=compare_clips(directory, drawn, answers, notes, update))
        write_figures(found, directory / "agreement" / "figures.json")
        path = directory / "agreement" / "disagreements.csv"
        table = write_disagreements(found, path, read_decimal(directory))
        path = directory / "reports" / "agreement.html"
        digests = coding_digests(directory, sessions)
        page = write_agreement_page(found, path, directory / "review", spoken, digests)
    tell_left_out(problems)
    for line in rated_lines(found):
        say(line)
    say(lead(found, ENGLISH))
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
    samples: Annotated[
        bool,
        typer.Option("--samples", help="csv, xlsx: also every sample, in a file for each session."),
    ] = False,
    decimal: Annotated[
        Literal["point", "comma"] | None,
        typer.Option(
            help="Decimal mark of all tables of DIR from now on. point: cells separated by a comma, for R, "
            "Python and SPSS; comma: by a semicolon, for a double click in Excel in French or German."
        ),
    ] = None,
    key: KeyFile = None,
) -> None:
    """Write results for other programs: tables with a data dictionary, ELAN or BORIS files, or BIDS.

    Exports are not encrypted, and `purge` does not find exports outside DIR. A new export replaces only files
    of an earlier export. ELAN and BORIS files are never replaced, because a rater may have edited them; they
    link to the videos. For a recording in several files, ELAN shows the first file and BORIS all of them.

    Example: emonext export study --format csv --samples
    """
    from pipeline.exchange.export import export as write
    from pipeline.results.derive import update_derived
    from pipeline.results.methods_text import write_paper_table
    from pipeline.store.spreadsheet import keep_decimal, read_decimal

    if kind not in ("elan", "boris"):
        refuse_given(context, "--format elan and boris", "reading")
    if kind not in ("csv", "xlsx"):
        refuse_given(context, "--format csv and xlsx", "samples")
    if kind != "csv":
        refuse_given(context, "--format csv", "decimal")
    folder = out or directory / "exports" / kind
    with work_in(directory, "export", key, options={"format": kind}):
        with progress_bar("Summaries") as update:
            problems = update_derived(directory, update)
        if decimal and decimal != read_decimal(directory):
            keep_decimal(directory, decimal)
            write_paper_table(directory)
        with progress_bar("Exporting") as update:
            written = write(directory, kind, folder, reading, samples=samples, on_progress=update)
    tell_left_out(problems)
    place = written[0] if len(written) == 1 else folder
    say(f"{number_of(len(written), 'file')}: {place}")
    if kind in ("csv", "xlsx") and not samples:
        say("Without the samples of the sessions; --samples adds them.")
