"""The command line: parse → one call → one line of result. The only place that prints, catches and exits."""

import errno
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from shlex import quote
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from pipeline.processing.list_columns import COLUMNS
from pipeline.store.counts import number_of

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emonext.checkpoint import Card
    from emonext.evaluation import Evaluation, Reading, Recut
    from emonext.preprocessing import Preprocessing
    from pipeline.checks.preflight import Finding
    from pipeline.checks.snapshots import Look
    from pipeline.faces.detection import Framing
    from pipeline.identity.embedding import Embedder
    from pipeline.privacy.consent import SetAside
    from pipeline.processing.jobs import Engine, OnSession
    from pipeline.processing.session import Instruments, Session
    from pipeline.processing.sessions_list import Study
    from pipeline.store.spreadsheet import Problem
    from pipeline.store.status import Outcome
    from pipeline.video.container import VideoInfo

EXIT_INCOMPLETE, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

# How the list of commands is grouped.
SESSIONS, PRIVACY, CLASSIFIER, MACHINE = "Sessions", "Privacy", "Classifier", "This machine"

app = typer.Typer(
    add_completion=False,
    help="Reads facial expression in recorded care sessions: video in, emotion timelines and reports out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
weights_app = typer.Typer(
    help="The classifier's weights: list, import, convert, verify.", no_args_is_help=True
)
app.add_typer(weights_app, name="weights", rich_help_panel=CLASSIFIER)
study_app = typer.Typer(help="A study's list of sessions: make it, check it.", no_args_is_help=True)
app.add_typer(study_app, name="study", rich_help_panel=SESSIONS)
audit_app = typer.Typer(help="What was done in a folder, when and by whom.", no_args_is_help=True)
app.add_typer(audit_app, name="audit", rich_help_panel=PRIVACY)
data_app = typer.Typer(help="Labelled faces for training and evaluation.", no_args_is_help=True)
app.add_typer(data_app, name="data", rich_help_panel=CLASSIFIER)

# Narrower than this the columns of a table would vanish.
_MIN_WIDTH = 40

# Where no terminal folds lines, nothing is cut off or folded.
_ANY_WIDTH = 10_000


class _Output(Console):
    """What commands print to: whoever stops reading (``| head``) ends the printing, not the work."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        _discard(self.file)


def _output_width() -> int:
    """Columns of the terminal; any number where the output is none."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return max(shutil.get_terminal_size().columns, _MIN_WIDTH) if is_terminal else _ANY_WIDTH


def _discard(file: IO[str]) -> None:
    """Lets what is still to be written go nowhere: at its end Python would stumble over it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file.fileno())
        os.close(nowhere)


# with a height too, or a dumb terminal counts as one of 80 columns
out_console = _Output(width=_output_width(), height=24)
err_console = _Output(stderr=True)

Model = Annotated[str, typer.Option(help="Weights by name, or a .safetensors file.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SampleFps = Annotated[float, typer.Option("--fps", help="Samples per second of video.")]
MinFace = Annotated[int, typer.Option(help="Smallest face looked for, px.")]
BatchSize = Annotated[int, typer.Option(help="Faces classified together.", min=1)]
LabelMap = Annotated[
    str | None,
    typer.Option(help="Classes: affectnet, rafdb, ckplus, fer2013, or like 0=angry,1=sad,7=- (left out)."),
]
Votes = Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv, beside FER2013's CSV.")]
Jobs = Annotated[int | None, typer.Option(help="Sessions at once; else as cores and memory allow.", min=1)]
EngineName = Annotated[
    Literal["local", "ray"], typer.Option("--engine", help="This machine, or a Ray cluster of several.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(help="The cluster's head, such as 10.0.0.5:6379, or auto; else a new one of this machine."),
]
PatientTrack = Annotated[
    str, typer.Option(help="Who the patient is: longest (seen longest), largest, or a track's number.")
]

Identity = Annotated[
    str, typer.Option(help="Compares faces: dlib, or FILE:SHA256 of facenet-pytorch's InceptionResnetV1.")
]


def _check_results(context: typer.Context, directory: Path) -> Path:
    """Every command that reads results refuses a folder without any, in the same words."""
    from pipeline.store.folders import check_results

    return directory if context.resilient_parsing else check_results(directory)


Directory = Annotated[
    Path, typer.Argument(help="The --out folder of `process`.", metavar="DIR", callback=_check_results)
]
KeyFile = Annotated[Path | None, typer.Option("--key", help="The key, where results are encrypted.")]

DEFAULT_MODEL = "atto"


@app.command(rich_help_panel=SESSIONS)
def process(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Videos, folders of videos, or one list (.csv, .xlsx).", metavar="INPUT…"),
    ],
    out: Annotated[Path, typer.Option(help="Folder for timelines, faces, reports and status.")],
    patient: Annotated[
        str | None, typer.Option(help="Pseudonym, such as P012; of a list, only this patient.")
    ] = None,
    session: Annotated[
        str | None, typer.Option(help="Session, such as S01; of a list, only this session.")
    ] = None,
    fps: SampleFps = 5.0,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    batch_size: BatchSize = 64,
    min_face: MinFace = 40,
    patient_track: PatientTrack = "longest",
    identity: Identity = "dlib",
    jobs: Jobs = None,
    engine: EngineName = "local",
    ray_address: RayAddress = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make existing timelines anew.")] = False,
    encrypt: Annotated[
        Path | None, typer.Option(help="Encrypt timelines and faces with this key (see `key`).")
    ] = None,
) -> None:
    """Videos → emotion timelines (Parquet) and reports (HTML).

    Several videos, or a folder, take their ids from names like P012_S01.mp4; a study lists its sessions in
    a sessions.csv (see `study init`), and its settings in study.toml beside it. A folder that holds such a
    list is processed as the list says.

    Example: emonext process recordings/ --out study
    """
    from emonext.weight_files import find_weights, verify_weights
    from pipeline.processing.batch import check_ids, process_sessions
    from pipeline.processing.session import QualityLimits, Settings
    from pipeline.store.encryption import key_file, use_key
    from pipeline.store.timeline import left_open, written_sessions
    from reports import own_text, update_reports

    if engine != "ray":
        _refuse_given(context, "--engine ray", "ray_address")
    use_key(encrypt)
    options = {
        "sample_fps": ("fps", fps),
        "min_face_px": ("min_face", min_face),
        "batch_size": ("batch_size", batch_size),
        "patient_track": ("patient_track", patient_track),
        "identity": ("identity", identity),
        "model": ("model", model),
        "device": ("device", device),
        "jobs": ("jobs", jobs),
    }
    sessions, chosen = _plan(inputs, patient, session)
    check_ids(sessions, out)
    for name, (option, value) in options.items():
        # study.toml gives way to what was typed, not to what was left out
        if name not in chosen or _is_given(context, option):
            chosen[name] = value
    model, device, jobs = chosen.pop("model"), chosen.pop("device"), chosen.pop("jobs")
    network = _identity_file(chosen["identity"])
    chosen["identity"] = network[1] if network else "dlib"
    settings = Settings(**{**chosen, "quality": QualityLimits(**chosen.get("quality", {}))})
    weights = find_weights(model)
    sha256 = verify_weights(weights)
    if weights == Path(model):
        model = str(weights.absolute())  # the working folder of another machine is another
    make = partial(_instruments, model, device, settings.min_face_px, network, sha256=sha256, key=key_file())
    run = (
        _on_cluster(make, ray_address, jobs, device)
        if engine == "ray"
        else _on_this_machine(make, jobs, len(sessions))
    )
    set_aside: dict[tuple[str, str], SetAside] = {}
    with _progress("Processing") as update:
        outcomes = process_sessions(
            sessions,
            out,
            settings,
            run,
            sha256,
            overwrite=overwrite,
            on_withdrawn=lambda session, found: set_aside.update({session.ids: found}),
            own_text=own_text(),
            on_session=_overall(update, len(sessions)),
            write_pages=lambda out: update_reports(out, lambda done, total: update(done, total, "reports")),
        )
    if written_sessions(out):
        _say(f"Report: {out / 'reports' / 'index.html'}")
    if plain := left_open(out):
        count = f"{number_of(len(plain), 'file')} {'is' if len(plain) == 1 else 'are'}"
        err_console.print(
            f"{out}: {count} not encrypted, from before there was a key ({plain[0].relative_to(out)}); "
            "process their sessions again with --encrypt and --overwrite, or purge them.",
            markup=False,
            soft_wrap=True,
        )
    _tell_without_consent(out, sessions, outcomes, set_aside)
    _tell(sessions, outcomes)


def _on_this_machine(make: "Callable[..., Instruments]", jobs: int | None, sessions: int) -> "Engine":
    """Sessions in processes that share the cores."""
    from pipeline.processing.workers import Workers, default_jobs

    count = min(default_jobs() if jobs is None else jobs, sessions)
    return Workers(partial(make, cores=len(os.sched_getaffinity(0)) // count), count)


def _on_cluster(
    make: "Callable[..., Instruments]", address: str | None, jobs: int | None, device: str
) -> "Engine":
    """Sessions on all machines of a Ray cluster."""
    with _extra("ray"):
        from pipeline.processing.ray_cluster import RayCluster
    from pipeline.processing.workers import WORKER_CORES

    return RayCluster(partial(make, cores=WORKER_CORES), address, jobs, device)


def _plan(
    inputs: list[Path], patient: str | None, session: str | None
) -> "tuple[list[Session], dict[str, Any]]":
    """The sessions of a list, also of one that lies in the given folder, or of videos; and settings."""
    from pipeline.checks.sessions_list_check import with_dates
    from pipeline.processing.batch import plan_sessions
    from pipeline.processing.recordings_folder import find_list, find_videos
    from pipeline.processing.sessions_list import choose_sessions
    from pipeline.processing.study_settings import read_settings
    from pipeline.store.spreadsheet import TABLE_SUFFIXES

    folder = inputs[0] if len(inputs) == 1 and _is_dir(inputs[0]) else None
    listed = find_list(folder) if folder else None
    if folder is None and [path.suffix.lower() in TABLE_SUFFIXES for path in inputs] == [True]:
        listed = inputs[0]
    if listed is None:
        sessions = plan_sessions(inputs, patient, session)
        given = {session.video.resolve() for session in sessions}
        for path in filter(_is_dir, inputs):
            found = find_videos(path)
            below = [video for video in found.below if video.resolve() not in given]
            _warn_of(below, "video", f"{path}: in sub-folders, not processed; give the sub-folders too")
            _warn_of(found.unread, "folder", f"{path}: can't be looked into")
        return sessions, read_settings(folder) if folder else {}
    study = _read_study(listed)
    chosen = choose_sessions(study, listed, patient, session)
    dated = with_dates(chosen)
    count = sum(one.recorded_at != other.recorded_at for one, other in zip(chosen, dated, strict=True))
    if count:
        _warn(
            f"{listed}: {number_of(count, 'session')} without recorded_at: the date is what the camera "
            "stored; `emonext study check` shows the dates."
        )
    return dated, read_settings(listed.parent)


def _is_dir(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  # Path.is_dir raises for a name that is too long


def _read_study(path: Path) -> "Study":
    """A list without faults; exits where it has some, after naming them all."""
    from pipeline.checks.sessions_list_check import find_shared
    from pipeline.processing.sessions_list import read_study

    study = read_study(path)
    faults, warnings = find_shared(study)
    if study.problems or faults:
        _tell_problems(path, sorted([*study.problems, *faults], key=lambda problem: problem.row))
        raise typer.Exit(EXIT_BAD_INPUT)
    for warning in warnings:
        _warn(f"{path}: {warning}")
    _warn_of_unlisted(path)
    return study


def _warn_of_unlisted(path: Path) -> None:
    from pipeline.processing.recordings_folder import unlisted

    _warn_of(unlisted(path), "video", f"{path}: not in the list, and not processed")


def _tell_problems(path: Path, problems: "Sequence[Problem]") -> None:
    for problem in problems:
        err_console.print(f"{path}: {problem}", markup=False, soft_wrap=True)
    err_console.print(f"{len(problems)} to be put right; nothing was done.")


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether a parameter was typed."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _refuse_given(context: typer.Context, only: str, *names: str) -> None:
    """:raises InputError: one of these options was typed, and means nothing here."""
    from pipeline.errors import InputError

    for name in names:
        if _is_given(context, name):
            raise InputError(f"--{name.replace('_', '-')}: only goes with {only}; leave the option out.")


def _warn_of(paths: "Sequence[Path]", kind: str, what: str) -> None:
    """Some files of a kind in one line."""
    if paths:
        named = ", ".join(map(str, paths[:_MAX_NAMED])) + (", …" if len(paths) > _MAX_NAMED else "")
        _warn(f"{what}: {number_of(len(paths), kind)} ({named}).")


def _warn(line: str) -> None:
    err_console.print(f"Note: {line}", markup=False, soft_wrap=True)


# So many files are named in a note.
_MAX_NAMED = 5

_COLUMN_HELP = "\n".join(f"- **{column.name}**: {column.how}" for column in COLUMNS)


@study_app.command(
    "init",
    help=f"""Lists a folder's videos in FOLDER/sessions.csv, to be filled in.

Example: emonext study init recordings/

Columns of the list:

{_COLUMN_HELP}

Columns of your own begin with x_.""",
)
def study_init(
    folder: Annotated[Path, typer.Argument(help="Folder of recordings.", metavar="FOLDER")],
) -> None:
    from pipeline.processing.recordings_folder import find_videos
    from pipeline.processing.sessions_list import write_sessions_list

    path = write_sessions_list(folder)
    _warn_of(find_videos(folder).unread, "folder", f"{folder}: can't be looked into")
    width = max(len(column.name) for column in COLUMNS)
    for column in COLUMNS:
        _say(f"{column.name:{width}}  {column.how}")
    _say(f"Fill in: {path}")


@study_app.command("check")
def study_check(
    path: Annotated[Path, typer.Argument(help="The list (.csv, .xlsx), or its folder.", metavar="LIST")],
) -> None:
    """Says everything that is wrong with a list of sessions and its recordings, at once.

    Opens every recording and photo, but for those of sessions without consent. Exit code 2: something must be
    put right. Warnings name what may be meant.

    Example: emonext study check recordings/sessions.csv
    """
    from pipeline.checks.sessions_list_check import check_study
    from pipeline.errors import InputError
    from pipeline.processing.recordings_folder import find_list
    from pipeline.processing.sessions_list import read_study

    if _is_dir(path):
        listed = find_list(path)
        if listed is None:
            raise InputError(
                f"{path}: holds no list of sessions; run `emonext study init {quote(str(path))}` first."
            )
        path = listed
    study = read_study(path)
    with _progress("Opening recordings") as update:
        found = check_study(study, lambda done, total: update(done, total, ""))
    for warning in found.warnings:
        err_console.print(f"{path}: Warning: {warning}", markup=False, soft_wrap=True)
    _warn_of_unlisted(path)
    for (patient, session), date in found.dates.items():
        _say(f"recorded_at of {patient} {session}: {date:%Y-%m-%d %H:%M}, by the camera's clock")
    _tell_counts(study)
    if found.faults:
        _tell_problems(path, found.faults)
        raise typer.Exit(EXIT_BAD_INPUT)
    patients = len({session.patient_id for session in study.sessions})
    right = number_of(len(found.warnings), "warning") if found.warnings else "nothing to be put right"
    _say(f"{path}: {number_of(len(study.sessions), 'session')}, {number_of(patients, 'patient')}, {right}.")


def _tell_counts(study: "Study") -> None:
    """How many sessions there are of each condition and consent, and which lie in several files."""
    conditions = Counter(session.condition or "none" for session in study.sessions)
    consent = Counter("no" if session.refused else "yes" for session in study.sessions)
    for name, counts in (("Conditions", conditions), ("Consent", consent)):
        if counts:
            _say(f"{name}: {', '.join(f'{value} {count}' for value, count in sorted(counts.items()))}")
    for session in study.sessions:
        if session.continued:
            files = ", ".join(video.name for video in session.videos)
            _say(f"In several files: {' '.join(session.ids)} ({files})")


@app.command(rich_help_panel=SESSIONS)
def status(
    directory: Directory,
    csv: Annotated[Path | None, typer.Option(help="Write it there too.")] = None,
    html: Annotated[Path | None, typer.Option(help="And as a page.")] = None,
) -> None:
    """How every session of a folder ended, and which are at work.

    Example: emonext status study --csv status.csv --html status.html
    """
    from pipeline.store.lock import is_held
    from pipeline.store.spreadsheet import write_rows
    from pipeline.store.status import is_damaged, overview
    from reports.pages.status import write_status_page
    from reports.words.reasons import STATE_REASONS

    if is_damaged(directory):
        err_console.print(
            f"{directory / 'status.parquet'}: can't be read; the states below are those of the timelines. "
            "The next `emonext process` writes it again.",
            markup=False,
            soft_wrap=True,
        )
    found = overview(directory, running=is_held(directory))
    table = Table("patient", "session", "state", "seen", "identity", "× real time", box=SIMPLE)
    rows = found.to_dicts()
    for row in rows:
        table.add_row(
            _on_screen(row["patient_id"]),
            _on_screen(row["session_id"]),
            row["state"].replace("_", " "),
            "–" if row["coverage"] is None else f"{row['coverage']:.0%}",
            "–" if row["identity"] is None else f"{row['identity']:.2f}",
            "–" if row["speed"] is None else f"{row['speed']:.1f}",
        )
    _show(table)
    for row in rows:
        if reason := row["reason"] or STATE_REASONS.get(row["state"]):
            line = f"{row['patient_id']} {row['session_id']}: {reason}"
            out_console.print(_on_screen(line), soft_wrap=True)
    if csv:
        texts = ({name: "" if cell is None else str(cell) for name, cell in row.items()} for row in rows)
        write_rows(csv, found.columns, texts)
    if html:
        write_status_page(found, html)


@app.command(rich_help_panel=SESSIONS)
def people(
    context: typer.Context,
    directory: Directory,
    apply: Annotated[
        Path | None, typer.Option(help="The table with its roles put right; rewrites the timelines.")
    ] = None,
    identity: Identity = "dlib",
    key: KeyFile = None,
) -> None:
    """Who is on the screen: a page of small pictures (it shows faces) and a table to correct.

    Put the column `role` right (patient, caregiver, other, unknown) and give the table back with --apply:
    the timelines are made anew, without the videos, and what you said is kept for later runs.

    Example: emonext people study, then emonext people study --apply study/people.csv
    """
    from pipeline.errors import InputError
    from pipeline.review.people import apply_people, find_people, read_people, write_people
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.lock import holding
    from pipeline.store.status import sessions_in
    from reports import write_reports
    from reports.pages.people import write_people_page

    use_key(key)
    if apply is not None:
        _refuse_given(context, "a new table, not with --apply", "identity")
        roles, problems = read_people(directory, apply)
        if problems:
            _tell_problems(apply, problems)
            raise typer.Exit(EXIT_BAD_INPUT)
        apply_people(directory, roles, write_reports)
        _say(f"{len(roles)} timelines made anew. Report: {directory / 'reports' / 'index.html'}")
        return
    network = _identity_file(identity)
    try:
        embed = _embedder(network)
    except InputError as error:
        if network:
            raise
        err_console.print(f"People are told apart by place and time alone. {escape(str(error))}")
        embed = None
    sessions = sessions_in(directory)
    with holding(directory), audited(directory, "people", sessions, {"apply": False}):
        with _progress("Looking for people") as update:
            found = find_people(directory, embed, lambda done, total: update(done, total, ""))
        table = write_people(found, directory)
        page = write_people_page(found, table, directory / "people.html")
    _say(f"Look at:   {page}")
    _say(f"Put right: {table}")


@app.command(rich_help_panel=SESSIONS)
def review(
    context: typer.Context,
    directory: Directory,
    patient: Annotated[str, typer.Argument(metavar="PATIENT")],
    session: Annotated[str, typer.Argument(metavar="SESSION")],
    blur: Annotated[
        Literal["others", "all", "none"],
        typer.Option(help="Whose faces are blurred: those of others than the patient, all, none."),
    ] = "others",
    no_video: Annotated[
        bool, typer.Option("--no-video", help="The page alone; it plays the copy that is there.")
    ] = False,
    video: Annotated[
        list[Path] | None, typer.Option(help="Where the recording lies now; again for each of its files.")
    ] = None,
    original: Annotated[
        bool, typer.Option("--original", help="The page leads to the recording, which shows everybody.")
    ] = False,
    key: KeyFile = None,
) -> None:
    """One session's video beside its timeline, with what was read drawn in, for a person to check.

    Example: emonext review study P012 S01
    """
    from pipeline.faces.detection import FACE_THRESHOLD
    from pipeline.review.annotated_video import blur_of_copy, open_material, review_folder, write_copy
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.lock import holding
    from pipeline.store.status import sessions_in
    from reports.pages.review import Film, write_review_page

    if no_video:
        _refuse_given(context, "a new copy of the video, not with --no-video", "blur")
    use_key(key)
    sessions_in(directory)  # or nothing is there to be held
    shown = {"blur": blur, "video": not no_video, "original": original}
    with holding(directory):
        # first: whoever is not here is not logged
        material = open_material(directory, patient, session, video or ())
        with audited(directory, "review", [(patient, session)], shown):
            folder = review_folder(directory, patient)
            copy = folder / f"{session}.mp4"
            if not no_video:
                with _progress("Drawing") as update:
                    write_copy(material, copy, blur, lambda done, total: update(done, total, ""))
            files = zip(material.recording.files, material.recording.starts, strict=True)
            films = [Film(info.path.resolve().as_uri(), start_s) for info, (start_s, _) in files if original]
            page = write_review_page(
                material.timeline,
                folder / f"{session}.html",
                blur=blur_of_copy(copy, material.timeline),
                face_threshold=FACE_THRESHOLD,
                recording=films,
            )
    _say(f"Review: {page}")


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
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.lock import holding
    from pipeline.store.status import sessions_in
    from reports import last_options, write_reports

    use_key(key)
    sessions, options = sessions_in(directory), last_options(directory)
    options = replace(
        options, language=lang or options.language, assets=assets or options.assets, thumbnails=thumbnails
    )
    take_pictures = None if thumbnails == "off" else Thumbnails(directory, thumbnails)
    shown = {"thumbnails": thumbnails}
    with holding(directory), audited(directory, "report", sessions, shown):
        with _progress("Summaries") as update:
            problems = update_derived(directory, lambda done, total: update(done, total, ""))
        with _progress("Reports") as update:
            index = write_reports(
                directory, lambda done, total: update(done, total, ""), options, take_pictures
            )
    _tell_left_out(problems)
    _say(f"Report: {index}")


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
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.lock import holding
    from pipeline.store.status import sessions_in

    use_key(key)
    episodes = EpisodeSettings(smoothing, enter, leave, min_duration, bridge, max_unobserved)
    settings = SummarySettings(episodes, min_coverage, baseline_condition=baseline)
    ids = sessions_in(directory)
    with holding(directory), audited(directory, "summarize", ids), _progress("Summaries") as update:
        problems = derive(directory, settings, lambda done, total: update(done, total, ""))
    sessions = read_sessions(directory)
    enough, calm = int(sessions["enough"].sum()), int(sessions["corrected"].sum())
    known = f"{enough} seen enough, {calm} with the person's own baseline"
    _say(f"{number_of(sessions.height, 'session')}, {known}.")
    _say(f"Tables: {directory / 'summaries'}")
    if problems:
        _tell_left_out(problems)
        raise typer.Exit(EXIT_BAD_INPUT)


def _tell_left_out(problems: "Sequence[str]") -> None:
    """What of a study's own files could not be used."""
    for problem in problems:
        err_console.print(f"Left out: {problem}", markup=False, soft_wrap=True)


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
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.lock import holding
    from reports.pages.agreement import lead, rated_lines, write_agreement_page

    use_key(key)
    files = ratings or [directory / "ratings"]
    people = read_ratings(files, session_names(directory), read_codes(codes), read_span(rated))
    for note in people.notes:
        err_console.print(note, markup=False, soft_wrap=True)
    sessions = {rating.ids for rating in people.ratings}
    with holding(directory), audited(directory, "agree", sessions):
        with _progress("Summaries") as update:
            problems = update_derived(directory, lambda done, total: update(done, total, ""))
        with _progress("Comparing") as update:
            found = compare(directory, people, step, lambda done, total: update(done, total, ""))
        write_figures(found, directory / "agreement" / "figures.json")
        table = write_disagreements(found, directory / "agreement" / "disagreements.csv")
        page = write_agreement_page(found, directory / "reports" / "agreement.html", directory / "review")
    _tell_left_out(problems)
    for line in rated_lines(found):
        _say(line)
    _say(lead(found))
    _say(f"Disagreements: {table}")
    _say(f"Report: {page}")


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
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.lock import holding
    from pipeline.store.status import sessions_in

    if kind not in ("elan", "boris"):
        _refuse_given(context, "--format elan and boris", "reading")
    use_key(key)
    folder = out or directory / "exports" / kind
    sessions = sessions_in(directory)
    with holding(directory), audited(directory, "export", sessions, {"format": kind}):
        with _progress("Summaries") as update:
            problems = update_derived(directory, lambda done, total: update(done, total, ""))
        with _progress("Exporting") as update:
            written = write(directory, kind, folder, reading, lambda done, total: update(done, total, ""))
    _tell_left_out(problems)
    place = written[0] if len(written) == 1 else folder
    _say(f"{number_of(len(written), 'file')}: {place}")


@app.command("key", rich_help_panel=PRIVACY)
def make_key(path: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Makes a key with which `process --encrypt` encrypts what it writes.

    Keep it apart from the results, and a copy in a safe place: without it nothing can be read again.

    Example: emonext key study.key
    """
    from pipeline.store.encryption import write_key

    _say(f"{write_key(path)}: keep a copy in a safe place; without it nothing can be read again.")


@app.command(rich_help_panel=PRIVACY)
def purge(
    directory: Directory,
    patient: Annotated[str, typer.Option(help="Whose data goes.")],
    session: Annotated[str | None, typer.Option(help="Only this session of theirs.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    key: KeyFile = None,
) -> None:
    """Deletes everything of a person, or of one session, from a folder, and searches it for what is left.

    Originals (videos, photos, sessions.csv), backups, snapshots and what was exported to elsewhere are not
    touched. Exits 1 where something still mentions the id, or another session was read from the same
    recording, and names it. What was interrupted is done by doing it again.

    Example: emonext purge study --patient P012
    """
    from pipeline.analysis.derive import update_derived
    from pipeline.errors import InputError
    from pipeline.exchange.manifest import LIST_FILE
    from pipeline.privacy.purge import plan_purge
    from pipeline.privacy.purge import purge as carry_out
    from pipeline.store.encryption import use_key
    from reports import own_text, write_reports

    use_key(key)
    plan = plan_purge(directory, patient, session, own_text())
    for path in plan.files:
        _say(f"{path}: goes")
    for folder in [path.parent for path in plan.again if path.name == LIST_FILE]:
        count = sum(path.is_relative_to(folder) and path.name != LIST_FILE for path in plan.again)
        _say(
            f"{folder}: what was exported goes ({number_of(count, 'file')}); `emonext export` makes it again"
        )
    for path, command in plan.again.items():
        if command != "export":
            _say(f"{path}: goes; `emonext {command}` makes it again")
    for path, count in plan.rows.items():
        _say(f"{path}: {number_of(count, 'row')} of it {'goes' if count == 1 else 'go'}")
    for path in plan.pages:
        _say(f"{path}: is made again")
    if not yes and not sys.stdin.isatty():
        raise InputError(f"--yes: is needed where nobody can be asked; nothing of {plan.words} was deleted.")
    if not yes and not typer.confirm(f"Delete this of {plan.words}? It can't be undone.", err=True):
        err_console.print("Nothing was deleted.")
        raise typer.Exit(EXIT_BAD_INPUT)
    problems: list[str] = []

    def write_pages(out: Path) -> None:
        write_reports(out)
        problems.extend(update_derived(out))

    found = carry_out(directory, patient, session, write_pages, own_text())
    _tell_left_out(problems)
    for line in found.mentions:
        err_console.print(f"Still mentions {plan.words}: {directory / line}", markup=False, soft_wrap=True)
    for held in found.same_recording:
        line = f"Of the same recording, with everybody's faces in it: {directory / held}"
        err_console.print(line, markup=False, soft_wrap=True)
    went = (
        ", ".join(f"{kind} {count}" for kind, count in found.counts.items()) or "nothing was left to delete"
    )
    left = "something still mentions it" if found.mentions else "nothing mentions it any more"
    if found.same_recording:
        left += "; other sessions of the same recording still hold faces"
    beyond = "Originals, backups and what was written elsewhere were not touched."
    _say(f"{plan.words}: {went}; {left}. {beyond}")
    if found.failed:
        raise found.failed
    if found.mentions or found.same_recording:
        raise typer.Exit(EXIT_INCOMPLETE)


@audit_app.command("verify")
def audit_verify(
    directory: Directory,
    head: Annotated[str, typer.Option(help="A head of an earlier time that was kept elsewhere.")] = "",
) -> None:
    """Whether the audit log is as it was written.

    Exits 1 where a line was changed, removed or moved. Keep the head that is told outside the folder: whoever
    may write to it could write the whole log anew, and only --head with an earlier head shows that.

    Example: emonext audit verify study
    """
    from pipeline.store.audit import verify

    found = verify(directory, head)
    for line in (*found.faults, *found.notes):
        err_console.print(f"{directory}: {line}", markup=False, soft_wrap=True)
    chain = "chain broken" if found.faults else "chain whole"
    _say(f"{number_of(found.entries, 'entry', 'entries')}, {chain}, head {found.head}")
    if found.faults:
        raise typer.Exit(EXIT_INCOMPLETE)


@audit_app.command("show")
def audit_show(
    directory: Directory,
    patient: Annotated[str | None, typer.Option(help="Only what touched this patient.")] = None,
) -> None:
    """The audit log as a table: one row for each command.

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
        cells = (begun, run.who, run.command, run.how or "not ended", run.weights, ", ".join(touched))
        table.add_row(str(run.number), *map(_on_screen, cells))
    _show(table)


@app.command(rich_help_panel=MACHINE)
def info(video: Annotated[Path, typer.Argument(metavar="VIDEO")]) -> None:
    """What a video's container says.

    Example: emonext info P012_S01.mp4
    """
    from pipeline.video.container import probe

    found = probe(video)
    frames = number_of(len(found.time_s), "frame")
    rows = {
        "picture": _describe_picture(found),
        "length": f"{found.duration_s:.2f} s, {frames}, {found.frame_rate:.2f}/s",
        "time 0": f"start of the recording, as in players; the first picture is at {found.time_s[0]:.2f} s",
        "rate": _describe_rate(found),
        "codec": found.codec,
        "missing": _describe_missing(found),
        "other streams": ", ".join(found.others) or "none",
        "notes": "; ".join(map(str, found.notes)) or "none",
    }
    _print_table(str(video), rows)


@app.command(rich_help_panel=SESSIONS)
def preflight(
    video: Annotated[Path, typer.Argument(help="A trial recording.", metavar="VIDEO")],
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for a few of the pictures, with boxes. They show faces.")
    ] = None,
) -> None:
    """Whether this camera set-up will do, and what to change: before a study, in seconds.

    Film somebody in the patient's chair for some minutes, as the study will. Exit code 1: it won't do.

    Example: emonext preflight trial.mp4
    """
    from emonext.checkpoint import read_card
    from emonext.device import choose_device
    from emonext.weight_files import find_weights
    from pipeline.checks.preflight import SMALLEST_FACE_PX, judge, overall
    from pipeline.checks.snapshots import look, write_pictures
    from pipeline.faces.mtcnn import Cascade
    from pipeline.video.container import probe

    found = probe(video)
    _share_processor()
    detect = Cascade(SMALLEST_FACE_PX, choose_device())
    framing = _framing(read_card(find_weights(DEFAULT_MODEL)).preprocessing)
    with _progress("Looking") as update:
        looks = look(found, detect, framing, lambda done, total: update(done, total, ""))
    findings = judge(looks, found)
    _tell_preflight(video, looks, findings)
    if pictures:
        count = len(write_pictures(found, looks, pictures))
        _say(f"Pictures: {pictures} ({count}; they show faces: delete them when you have looked)")
    if overall(findings) == "will not work":
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command(rich_help_panel=MACHINE)
def demo(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(help="Folder for what is made; else demo, and with --study demo-study.")
    ] = None,
    study: Annotated[
        bool, typer.Option("--study", help="A made study instead: 12 patients, 8 sessions each, no video.")
    ] = False,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
) -> None:
    """Makes a sample session (36 s) and processes it; or makes the results of a whole study.

    Example: emonext demo, or emonext demo --study
    """
    out = out or Path("demo-study" if study else "demo")
    if study:
        _refuse_given(context, "the sample session, not with --study", "model", "device")
        _demo_study(out)
        return
    with _extra("demo"):
        from pipeline.checks.demo_video import make_demo_video
    from pipeline.processing.batch import process_sessions
    from pipeline.processing.jobs import in_this_process
    from pipeline.processing.session import Session, Settings
    from pipeline.store.files import make_private_folder
    from reports import write_reports

    instruments = _instruments(model, device)
    make_private_folder(out)
    sample = Session("DEMO", "S01", out / "DEMO_S01.mp4")
    with _progress("Sample video") as update:
        make_demo_video(sample.video, lambda done, total: update(done, total, ""))
    with _progress("Processing") as update:
        outcomes = process_sessions(
            [sample],
            out,
            Settings(),
            in_this_process(instruments),
            instruments.weights["sha256"],
            overwrite=True,
            on_session=lambda job, done, total: update(done, total, ""),
        )
    if outcomes[0].state == "failed":
        _tell([sample], outcomes)
    index = write_reports(out)
    _say(f"Video:    {sample.video}")
    _say(f"Timeline: {sample.timeline_path(out)}")
    _say(f"Report:   {index}")


def _demo_study(out: Path) -> None:
    """A made study whose truth is known."""
    from pipeline.checks.demo_study import claim, make_study
    from pipeline.store.lock import holding
    from reports import write_reports

    claim(out)
    with holding(out):
        with _progress("Sample study") as update:
            make_study(out, lambda done, total: update(done, total, ""))
        with _progress("Reports") as update:
            index = write_reports(out, lambda done, total: update(done, total, ""))
    _say(f"Truth:   {out / 'truth'}")
    _say(f"Report:  {index}")


@app.command(rich_help_panel=MACHINE)
def bench(
    video: Annotated[Path, typer.Argument(metavar="VIDEO")],
    fps: SampleFps = 5.0,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    batch_size: BatchSize = 64,
    min_face: MinFace = 40,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Compare with facenet-pytorch's detector on every sample.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure there.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw them (PNG, SVG, PDF).")] = None,
) -> None:
    """What this video costs on this machine, stage by stage.

    Example: emonext bench P012_S01.mp4 --baseline --json bench.json --picture bench.png
    """
    from pipeline.checks.benchmark import measure
    from pipeline.checks.facenet_baseline import compare
    from pipeline.processing.session import Settings

    if picture:
        with _extra("train"):
            from pipeline.checks.benchmark_figure import draw_benchmark

    settings, instruments = Settings(fps, min_face, batch_size), _instruments(model, device, min_face)
    with _progress("Measuring") as update:
        costs = measure(video, settings, instruments, lambda done, total: update(done, total, ""))
    result = costs.to_dict()
    if baseline:
        from emonext import Classifier

        in_float32 = Classifier(model, device, bf16=False)
        with _progress("Baseline") as update:
            compared = compare(
                costs, settings, instruments, in_float32, lambda done, total: update(done, total, "")
            )
        result |= compared.to_dict()
    _tell_costs(result)
    if json_file:
        json_file.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    if picture:
        draw_benchmark(costs, picture)


@app.command(rich_help_panel=CLASSIFIER)
def train(
    data: Annotated[Path, typer.Argument(help="FER2013, or another set; see `data import`.", metavar="DATA")],
    out: Annotated[Path, typer.Option(help="Folder of the run; an unfinished one goes on.")],
    preset: Annotated[str, typer.Option(help="best (ours) or paper; the other options change it.")] = "best",
    size: Annotated[str | None, typer.Option(help="Architecture: atto … nano, tiny … xlarge.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the input, px.")] = None,
    init: Annotated[str | None, typer.Option(help="Start: none, imagenet, weights or a file.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=2)] = None,
    optimizer: Annotated[str | None, typer.Option(help="muon or adamw.")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    no_votes: Annotated[bool, typer.Option("--no-votes", help="Learn from the labels alone.")] = False,
    no_transformer: Annotated[bool, typer.Option("--no-stn", help="No spatial transformer.")] = False,
    no_excitation: Annotated[bool, typer.Option("--no-se", help="No squeeze-and-excitation.")] = False,
    no_attention: Annotated[bool, typer.Option("--no-attention", help="No attention term.")] = False,
    max_minutes: Annotated[float, typer.Option(help="Stop after the last epoch that fits.")] = float("inf"),
    device: Device = "auto",
) -> None:
    """Trains EmoNeXt; stopped runs go on where they were.

    Example: emonext train fer2013/ --out runs/atto --max-minutes 120
    """
    with _extra("train"):
        from emonext.device import choose_device
        from emonext.training.recipe import choose_settings
        from emonext.training.run import make_run

    changes = {
        "size": size,
        "image_size": image_size,
        "init": init,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": lr,
        "seed": seed,
        "votes": False if no_votes else None,
        "spatial_transformer": False if no_transformer else None,
        "squeeze_excitation": False if no_excitation else None,
        "attention_weight": 0.0 if no_attention else None,
    }
    settings = choose_settings(preset, {name: value for name, value in changes.items() if value is not None})
    run = make_run(out, settings, data, choose_device(device))
    with _progress("Training") as update:
        log = run.train(lambda done, total, loss: update(done, total, f"loss {loss:.3f}"), max_minutes)
    if len(log) < settings.epochs:
        out_console.print(f"{len(log)} of {settings.epochs} epochs; the same command goes on.")
        return
    path, found = run.finish()
    _print_evaluation(str(path), found)


@app.command(rich_help_panel=CLASSIFIER)
def evaluate(
    weights: Annotated[str, typer.Argument(help="Weights by name, or a file.", metavar="WEIGHTS")],
    data: Annotated[Path, typer.Argument(help="FER2013, or another set; see `data import`.", metavar="DATA")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    labels: LabelMap = None,
    votes: Votes = None,
    by: Annotated[str | None, typer.Option(help="Figures for each value of this column, too.")] = None,
    as_used: Annotated[bool, typer.Option("--as-used", help="Also out of a video, by the detector.")] = False,
    robustness: Annotated[bool, typer.Option("--robustness", help="Also in poor pictures.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure there.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page there.")] = None,
    card: Annotated[Path | None, typer.Option(help="Write the model card there (.md).")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for the figures (PNG).")] = None,
    device: Device = "auto",
) -> None:
    """How good weights are on a labelled set.

    Example: emonext evaluate atto fer2013/ --as-used --robustness --html atto.html
    """
    with _extra("train"):
        from emonext.device import choose_device
        from emonext.evaluation import evaluate as measure
        from emonext.figures import draw_evaluation

        if html:
            from reports.pages.evaluation import write_evaluation_page
        if card:
            from emonext.model_card import model_card
        if as_used:
            import pipeline.checks.video_crops
            import pipeline.faces.mtcnn  # noqa: F401  # before the minutes that an evaluation takes
    from emonext.checkpoint import load_weights
    from emonext.datasets.forms import check_split, load_faces
    from emonext.datasets.label_maps import parse_label_map

    loaded = load_weights(weights)
    label_map = None if labels is None else parse_label_map(labels)
    faces = load_faces(data, check_split(split), label_map=label_map, votes=votes)
    with _progress("Evaluating") as update:
        found = measure(
            loaded,
            faces,
            choose_device(device),
            lambda done, total: update(done, total, ""),
            by=by,
            recut=_recut(loaded.card, device) if as_used else None,
            robustness=robustness,
        )
    _print_evaluation(weights, found)
    if json_file:
        json_file.write_text(json.dumps(found.to_dict(), indent=2) + "\n", "utf-8")
    if html:
        write_evaluation_page(found.to_dict(), html)
    drawn = draw_evaluation(found, pictures) if pictures else []
    if card:
        described = f"{data.stem}, {split} split, {number_of(len(faces), 'face')}"
        card.write_text(model_card(loaded, found, described, drawn), encoding="utf-8")


@data_app.command("import")
def data_import(
    source: Annotated[Path, typer.Argument(help="Folder or CSV.", metavar="SOURCE")],
    out: Annotated[Path, typer.Option(help="File to write (.npz).")],
    labels: LabelMap = None,
    votes: Votes = None,
    size: Annotated[int, typer.Option(help="Side at which faces are kept, px.", min=16)] = 48,
) -> None:
    """Labelled faces in the forms people hold them → one file for `train` and `evaluate`.

    FER2013 (fer2013.csv, icml_face_data.csv), class folders, AffectNet, RAF-DB, CK+, or your own frames:
    a CSV of image, label and, if you like, split and others such as age_group.

    Example: emonext data import frames.csv --out frames.npz
    """
    from emonext.datasets.forms import import_faces
    from emonext.datasets.label_maps import parse_label_map
    from emonext.model import LABELS

    label_map = None if labels is None else parse_label_map(labels)
    with _progress("Importing") as update:
        counts = import_faces(
            source,
            out,
            label_map=label_map,
            votes=votes,
            size=size,
            on_progress=lambda done, total: update(done, total, ""),
        )
    others = [name for name in ("no label", "left out") if any(name in found for found in counts.values())]
    table = Table("split", "faces", *LABELS, *others)
    for split, by_class in counts.items():
        kept = sum(count for name, count in by_class.items() if name != "left out")
        table.add_row(split, str(kept), *(str(by_class.get(name, 0)) for name in (*LABELS, *others)))
    _say(str(out))
    _show(table)


@weights_app.command("list")
def weights_list() -> None:
    """The weights that come with the program, and those that were imported.

    Example: emonext weights list
    """
    from emonext.checkpoint import read_card
    from emonext.weight_files import SHIPPED, find_weights, imported_weights

    table = Table("name", "input", "FER2013", "FER+ majority", "data", "licence")
    for name in [*SHIPPED, *imported_weights()]:
        card = read_card(find_weights(name))
        accuracy = [card.metrics.get(f"{kind}_accuracy") for kind in ("labels_labels", "votes_majority")]
        table.add_row(
            name,
            f"{card.preprocessing.size} px",
            *("" if share is None else f"{share:.1%}" for share in accuracy),
            card.data,
            card.licence,
        )
    _show(table)


@weights_app.command("import")
def weights_import(
    file: Annotated[Path, typer.Argument(help="Weights of this program (.safetensors).", metavar="FILE")],
    name: Annotated[str, typer.Option(help="What to call them; `--model NAME` then takes them.")],
) -> None:
    """Your own weights, or larger ones, by a name; they are checked first.

    Example: emonext weights import runs/tiny/weights.safetensors --name tiny
    """
    from emonext.checkpoint import import_weights

    _say(f"{name}: {import_weights(file, name)}")


@weights_app.command("convert")
def weights_convert(
    old: Annotated[Path, typer.Argument(help="Checkpoint of the published code (.pt).", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="File to write (.safetensors).", metavar="NEW")],
    labels: Annotated[
        str, typer.Option(help="The checkpoint's classes in the order of its logits.")
    ] = "angry,disgust,fear,happy,neutral,sad,surprise",
) -> None:
    """A checkpoint trained with the authors' code → weights for this program.

    Example: emonext weights convert best.pt mine.safetensors
    """
    from emonext.published import convert_published

    card = convert_published(old, new, tuple(labels.split(",")))
    shape = card.architecture
    _say(f"{new}: depths {shape.depths}, widths {shape.dims}, {shape.image_size} px.")


@weights_app.command("verify")
def weights_verify(
    weights: Annotated[str, typer.Argument(help="By name, or a file.", metavar="WEIGHTS")],
) -> None:
    """Checks weights against their sha256 and against the model they claim to be.

    Example: emonext weights verify atto
    """
    from emonext.checkpoint import load_weights

    _say(f"{weights}: whole, sha256 {load_weights(weights).sha256}.")


@app.command(rich_help_panel=MACHINE)
def doctor() -> None:
    """What this machine has: device, decoders, weights.

    Example: emonext doctor
    """
    import platform
    from importlib.metadata import version

    import av
    import torch

    from emonext.device import choose_device, has_bf16
    from emonext.weight_files import SHIPPED, find_weights, verify_weights

    packages = ("emonext-care", "torch", "timm", "facenet-pytorch", "polars", "plotly")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none; the CPU is used"
    threads = f"{torch.get_num_threads()} threads used, {torch.backends.cpu.get_cpu_capability()}"
    rows = {
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "processor": f"{os.cpu_count()} cores, {threads}",
        "GPU": gpu,
        "precision": "bf16" if has_bf16(choose_device()) else "float32: this processor has no bf16",
        "decoders": f"decord {version('decord')}, PyAV {version('av')} (FFmpeg {av.ffmpeg_version_info})",
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
        "weights": ", ".join(f"{name} ({verify_weights(find_weights(name))[:12]}…)" for name in SHIPPED),
    }
    _print_table("this machine", rows)


def main() -> None:
    """The entry point of ``emonext`` and of ``python cli.py``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet shows a question mark instead
            stream.reconfigure(errors="replace")
    try:
        app()
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:
            err_console.print("Interrupted. What is finished is kept; the same command goes on from there.")
        raise
    except OSError as error:  # the disk, a share or a pipe: of files of our own other errors tell
        _discard(sys.stdout)
        where = "output" if error.filename is None else error.filename
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room on the disk" if full else "give another path, or put that right"
        _tell_error(f"{where}: {error.strerror or error}; {advice}, then run again.")
        sys.exit(EXIT_BAD_INPUT)
    except Exception as error:
        if not isinstance(error, _expected_errors()):
            raise
        _tell_error(str(error))
        sys.exit(EXIT_BAD_INPUT)


def _tell_error(message: str) -> None:
    try:
        err_console.print(f"[red]Error:[/red] {_on_screen(message)}", soft_wrap=True)
    except OSError:
        _discard(sys.stderr)  # nobody can be told


def _expected_errors() -> tuple[type[Exception], ...]:
    """Of the packages that were imported: no other can have raised one, and training needs few of them."""
    bases = {
        "emonext.errors": "EmoNeXtError",
        "pipeline.errors": "PipelineError",
        "reports.errors": "ReportError",
    }
    return tuple(getattr(sys.modules[home], name) for home, name in bases.items() if home in sys.modules)


def _instruments(
    model: str,
    device: str,
    min_face_px: int = 40,
    network: tuple[Path, str] | None = None,
    *,
    cores: int | None = None,
    sha256: str | None = None,
    key: Path | None = None,
) -> "Instruments":
    """Where the two trained parts meet: the detector and the classifier, on one device.

    :param network: for faces, as :func:`_identity_file` gives it.
    :param cores: of the processor; none is all of them.
    :param sha256: what the weights must be.
    :param key: with which this process encrypts; other machines read it from the same path.
    """
    import decord

    from emonext import Classifier
    from emonext.errors import WeightsError
    from pipeline.faces.mtcnn import Cascade
    from pipeline.processing.session import Instruments
    from pipeline.store.encryption import use_key

    use_key(key)
    # its messages about damaged frames say nothing that the timeline does not
    decord.logging.set_level(decord.logging.QUIET)
    _share_processor(cores)
    classify = Classifier(model, device)
    if sha256 not in (None, classify.sha256):
        raise WeightsError(
            f"{model}: its sha256 is {classify.sha256[:12]}…, not {sha256[:12]}… as elsewhere."
        )
    prepare = classify.card.preprocessing
    cascade = Cascade(min_face_px, classify.device)
    return Instruments(
        detect=cascade,
        refine=cascade.refine,
        classify=classify,
        framing=_framing(prepare),
        weights={
            "name": classify.card.name,
            "sha256": classify.sha256,
            "reads": "votes" if classify.card.architecture.votes else "labels",
            "temperature": classify.temperature,
            "preprocessing": prepare.to_dict(),
        },
        device=str(classify.device),
        make_embedder=partial(_embedder, network),
    )


def _identity_file(identity: str) -> tuple[Path, str] | None:
    """File and sha256 of :data:`Identity`, checked; none for dlib."""
    from pipeline.errors import InputError
    from pipeline.identity.embedding import check_sha256

    if identity == "dlib":
        return None
    path, _, sha256 = identity.rpartition(":")
    if not path:
        raise InputError(f"--identity {identity}: give dlib, or FILE:SHA256.")
    return check_sha256(
        Path(path).absolute(), sha256, "give the sha256 that its maker states"
    ), sha256.lower()


def _embedder(file: tuple[Path, str] | None) -> "Embedder":
    """To compare faces with."""
    if file is None:
        from pipeline.identity.embedding import DlibEmbedder

        return DlibEmbedder()
    from pipeline.identity.facenet import FacenetEmbedder

    return FacenetEmbedder(*file)


def _share_processor(cores: int | None = None) -> None:
    """Decoding goes on meanwhile and needs half: more threads than cores wait for each other."""
    import torch

    # of more jobs than cores each gets none, and still one thread
    torch.set_num_threads(max(1, (len(os.sched_getaffinity(0)) if cores is None else cores) // 2))


def _framing(prepare: "Preprocessing") -> "Framing":
    """How a classifier wants its faces cut, in the pipeline's terms."""
    from pipeline.faces.detection import Framing

    return Framing(prepare.crop_px, prepare.face_scale, prepare.face_shift)


def _tell_without_consent(
    out: Path,
    sessions: "Sequence[Session]",
    outcomes: "Sequence[Outcome]",
    set_aside: "Mapping[tuple[str, str], SetAside]",
) -> None:
    """What became of the results of sessions without consent, and what to do."""
    lines = []
    for session, outcome in zip(sessions, outcomes, strict=True):
        patient, name = session.ids
        if found := set_aside.get(session.ids):
            lines += [f"{path}: held {patient} {name}; it was deleted or set aside." for path in found.shared]
            lines += [f"{out / line}: still mentions {patient} {name}." for line in found.mentions]
        if outcome.state == "withdrawn":
            lines.append(
                f"{patient} {name}: consent was withdrawn; its results are set aside in {out / 'withdrawn'}. "
                f"Delete them with `emonext purge {quote(str(out))} --patient {patient} --session {name}`."
            )
        if outcome.state in ("no_consent", "withdrawn") and session.consent is None:
            lines.append(
                f"{patient} {name}: consent was refused in this folder before; to process it, give a "
                "sessions.csv that says consent yes."
            )
    for line in lines:
        err_console.print(line, markup=False, soft_wrap=True)


def _tell(sessions: "list[Session]", outcomes: "list[Outcome]") -> None:
    """One line for each session of which there is news, one for all; exits 1 where some are incomplete."""
    for session, outcome in zip(sessions, outcomes, strict=True):
        if outcome.state != "skipped" and outcome.reason:
            line = f"{session.video}: {outcome.state}: {outcome.reason}"
            err_console.print(line, markup=False, soft_wrap=True)
    states = [outcome.state for outcome in outcomes]
    counts = (f"{states.count(state)} {state}" for state in ("done", "partial", "failed", "skipped"))
    refused = states.count("no_consent") + states.count("withdrawn")
    out_console.print(", ".join([*counts, *([f"{refused} without consent"] if refused else [])]))
    if set(states) == {"skipped"}:
        _say("Nothing to do: every session is up to date. Use --overwrite to process the sessions again.")
    kept_partial = sum(outcome.state == "skipped" and bool(outcome.seconds_lost) for outcome in outcomes)
    if kept_partial:
        _say(f"Of the skipped sessions, {kept_partial} partial, as before.")
    if kept_partial or "failed" in states or "partial" in states:
        raise typer.Exit(EXIT_INCOMPLETE)


class _TimeLeft(ProgressColumn):
    """By the mean speed so far: results come in bursts, which mislead a momentary speed."""

    def render(self, task: Task) -> Text:
        done = task.completed - task.fields["first"]
        if not task.total or done <= 0:
            return Text("")
        left_s = (task.elapsed or 0.0) * (task.total - task.completed) / done
        return Text(f"{timedelta(seconds=round(left_s))} left")


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar with the time that is left, on a terminal; nothing elsewhere."""
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        _TimeLeft(),
        TextColumn("{task.fields[note]}"),
    ]
    with Progress(*columns, console=err_console, disable=not err_console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=None, note="", first=0)
        last = 0

        def update(done: int, total: int, note: str) -> None:
            nonlocal last
            if done < last or (last == 0 and done > 1):  # the next video, or a run that goes on
                bar.reset(task, first=done - 1, note=note)
            last = done
            bar.update(task, completed=done, total=total, note=note)

        yield update


def _overall(update: Callable[[int, int, str], None], count: int) -> "OnSession":
    """One bar for sessions of which several are at work at once."""
    shares: dict[tuple[str, str], float] = {}

    def on_session(session: "Session", done: int, total: int) -> None:
        key = session.ids
        shares[key] = max(shares.get(key, 0.0), done / total)  # a second try does not take the bar back
        ended = sum(share == 1 for share in shares.values())
        note = f"{session.patient_id} {session.session_id}, {ended} of {number_of(count, 'session')}"
        update(round(1000 * sum(shares.values())), 1000 * count, note)

    return on_session


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """Imports that need an optional part of the program."""
    try:
        yield
    except ModuleNotFoundError as error:
        _tell_error(f"This needs {error.name}: pip install {_own_requirement(name)}")
        raise typer.Exit(EXIT_BAD_INPUT) from error


def _own_requirement(extra: str) -> str:
    """What pip takes for this program with an optional part; it knows the name of an installed one alone."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("emonext-care")
    except PackageNotFoundError:
        return f"--editable '{Path(__file__).parent}[{extra}]'"
    return f"'emonext-care[{extra}]'"


def _print_table(title: str, rows: dict[str, str]) -> None:
    _say(title)
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, escape(value))
    _show(table)


def _tell_preflight(video: Path, looks: "Sequence[Look]", findings: "Sequence[Finding]") -> None:
    """What was judged, what to change (what will not work first), and the verdict on all."""
    from pipeline.checks.preflight import clock, overall

    span = f"from {clock(looks[0].sample.time_s)} to {clock(looks[-1].sample.time_s)}"
    _say(f"{video}: {number_of(len(looks), 'picture')} looked at, {span}")
    table = Table(show_header=False, box=SIMPLE)
    for finding in findings:
        colour = _VERDICT_COLOURS[finding.verdict]
        table.add_row(finding.name, f"[{colour}]{finding.verdict}[/]", escape(finding.measured))
    _show(table)
    to_change = sorted((f for f in findings if f.advice), key=lambda f: f.verdict != "will not work")
    changes = Table.grid(padding=(0, 1))
    for finding in to_change:
        changes.add_row(" •", escape(finding.advice))
    if to_change:
        out_console.print("[bold]What to change[/]", changes, "", sep="\n")
    verdict = overall(findings)
    out_console.print(f"[bold {_VERDICT_COLOURS[verdict]}]{_VERDICTS[verdict]}[/]")


_VERDICT_COLOURS = {"good": "green", "could be better": "yellow", "will not work": "red"}
_VERDICTS = {
    "good": "This set-up will work.",
    "could be better": "This set-up will work, and could be better.",
    "will not work": "This set-up will not work as it is.",
}


def _tell_costs(found: dict[str, Any]) -> None:
    """Of a benchmark, with or without the baseline."""
    rows = {"decoding alone": f"{found['decode_fps']:.0f} frames/s"}
    for stage, cost in found["stages"].items():
        speed = f", {cost['samples_per_s']:.0f} samples/s" if stage != "waiting" else " for decoding"
        rows[stage] = f"{cost['share']:.0%} of the time{speed}"
    rows["end to end"] = (
        f"{found['end_to_end_fps']:.0f} frames/s, {found['real_time_factor']:.1f} times real time; "
        f"{found['ratio_to_decode']:.2f} times as long as decoding alone"
    )
    rows["peak memory"] = f"{found['peak_rss_mb']:.0f} MB"
    if "ratio_to_baseline" in found:
        rows["baseline"] = f"{found['ratio_to_baseline']:.1f} times as long"
    if found.get("baseline_faces"):
        rows["its faces"] = (
            f"{found['face_recall']:.2%} of {found['baseline_faces']} found, mean IoU {found['mean_iou']:.3f}"
        )
    if found.get("emotion_agreement") is not None:
        rows["its emotions"] = f"{found['emotion_agreement']:.2%} the same, where it is sure"
    title = f"{found['video_s']:.1f} s of {found['width']} × {found['height']} px: " + ", ".join(
        number_of(found[f"{one}s"], one) for one in ("frame", "sample", "face")
    )
    _print_table(title, rows)


def _print_evaluation(weights: str, found: "Evaluation") -> None:
    _say(f"{weights} on {number_of(found.count, 'face')}, {found.faces_per_s:.0f} a second")
    heads = {"labels": "FER2013's labels", "votes": "people's votes"}
    columns = [
        f"{heads[r.head]} →\n{'labels' if r.truth == 'labels' else 'majority'}" for r in found.readings
    ]
    table = Table("learnt from → asked for", *columns, box=SIMPLE)
    rows: dict[str, Callable[[Reading], str]] = {
        "faces": lambda r: str(r.count),
        "accuracy, one crop": lambda r: f"{r.accuracy.value:.2%}",
        "… 95 % interval": lambda r: f"{r.accuracy.low:.1%}–{r.accuracy.high:.1%}",
        "… without twins in training": lambda r: f"{r.accuracy_unseen:.2%}",
        "accuracy, ten crops": lambda r: f"{r.accuracy_ten_crops:.2%}",
        "macro F1": lambda r: f"{r.macro_f1.value:.3f}",
        "calibration error, raw": lambda r: f"{r.ece_raw:.3f}",
        "… with temperature": lambda r: f"{r.ece:.3f} at {r.temperature:.2f}",
        "… by cross-fitting": lambda r: f"{r.ece_cross_fitted:.3f}",
        "log loss": lambda r: f"{r.log_loss:.3f}",
    }
    for name, show in rows.items():
        table.add_row(name, *map(show, found.readings))
    for label in found.readings[0].recall:
        table.add_row(f"recall, {label}", *(f"{r.recall[label]:.0%}" for r in found.readings))
    _show(table)
    _say(f"Same class in bf16 as in float32: {found.bf16_agreement:.2%}")
    for used in found.as_used:
        _say(
            f"Out of a video ({heads[used.head]} → {used.truth}): {used.found:.1%} of the faces found, "
            f"{used.accuracy:.2%} of them right; cut as the benchmark does {used.benchmark:.2%}, "
            f"{100 * (used.benchmark - used.accuracy):.1f} points more"
        )
    for group in found.groups:
        share = group.accuracy
        interval = f"{share.low:.1%}–{share.high:.1%}"
        _say(f"{group.name}: {number_of(group.count, 'face')}, {share.value:.1%} ({interval})")
    for poor in found.robustness:
        steps = zip(poor.levels, poor.accuracy, strict=True)
        _say(f"{poor.name} ({poor.unit}): " + ", ".join(f"{level:g} → {share:.1%}" for level, share in steps))


def _recut(card: "Card", device: str) -> "Recut":
    """Benchmark pictures through the pipeline's own detector, as a session's video would show them."""
    from emonext.device import choose_device
    from pipeline.checks.video_crops import recut
    from pipeline.faces.mtcnn import Cascade

    framing = _framing(card.preprocessing)
    detect = Cascade(device=choose_device(device))

    def cut(images: "NDArray[np.uint8]") -> "tuple[NDArray[np.uint8], NDArray[np.bool_]]":
        with _progress("Finding faces") as update:
            found = recut(images, detect, framing, lambda done, total: update(done, total, ""))
        return found.crops, found.found

    return cut


def _describe_picture(found: "VideoInfo") -> str:
    turned, mirrored = found.orientation.degrees, ", mirrored" if found.orientation.mirrored else ""
    return f"{found.width} × {found.height} px upright, turned by {turned}°{mirrored}"


def _describe_missing(found: "VideoInfo") -> str:
    missing = [f"{found.missing_s:.1f} s that the file promises"] if found.missing_s else []
    missing += [f"{found.without_picture_s:.1f} s without a picture"] if found.without_picture_s else []
    return ", ".join(missing) or "nothing"


def _describe_rate(found: "VideoInfo") -> str:
    if len(found.time_s) < 2:
        return "one frame"
    steps_ms = (found.time_s[1:] - found.time_s[:-1]) * 1000
    kind = "constant" if found.constant_rate else "variable"
    return f"{kind}, {steps_ms.min():.1f}–{steps_ms.max():.1f} ms between frames"


def _on_screen(text: str) -> str:
    """Text of a file, with nothing in it that a terminal would obey or could not write."""
    return escape("".join(letter if letter.isprintable() else " " for letter in text))


def _show(table: Table) -> None:
    """A table whose cells are whole: a narrow terminal folds them, and cuts nothing off."""
    for column in table.columns:
        column.overflow = "fold"
    out_console.print(table)


def _say(line: str) -> None:
    """One line of result, as it is: a path may hold brackets, and is never folded."""
    out_console.print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    import cli  # as the installed command: processes on other machines look for its functions in this module

    cli.main()
