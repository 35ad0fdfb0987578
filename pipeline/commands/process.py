"""The command `process`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.app import SESSIONS, app
from pipeline.commands.console import (
    EXIT_BAD_INPUT,
    EXIT_INCOMPLETE,
    err_console,
    is_given,
    needing_extra,
    on_screen,
    overall_progress,
    own_requirement,
    progress_bar,
    refuse_given,
    say,
    tell_errors,
    tell_problems,
    warn,
    warn_of,
    with_flags,
)
from pipeline.commands.networks import find_identity_file, make_networks
from pipeline.commands.options import (
    DEFAULT_MODEL,
    Adapt,
    BatchSize,
    Device,
    EngineName,
    Identity,
    Jobs,
    MinFace,
    Model,
    PatientTrack,
    RayAddress,
    SampleFps,
)
from pipeline.commands.work import tell_earlier_ids, tell_outcomes
from pipeline.store.counts import number_of
from pipeline.store.folders import is_folder

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    from pipeline.errors import InputError, TimelineError
    from pipeline.privacy.consent import SetAside
    from pipeline.processing.jobs import Engine
    from pipeline.processing.session import Networks, Session
    from pipeline.processing.sessions_list import Study
    from pipeline.store.status import Outcome


@app.command(rich_help_panel=SESSIONS)
def process(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Videos, folders of videos, or one list (.csv, .xlsx).", metavar="INPUT…"),
    ],
    out: Annotated[Path, typer.Option(help="Folder for timelines, faces, reports and status.")],
    patient: Annotated[
        str | None, typer.Option(help="Pseudonym, such as P012; with a list, process only this patient.")
    ] = None,
    session: Annotated[
        str | None, typer.Option(help="Session id, such as S01; with a list, process only this session.")
    ] = None,
    fps: SampleFps = 5.0,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    batch_size: BatchSize = 16,
    min_face: MinFace = 40,
    patient_track: PatientTrack = "longest",
    identity: Identity = "dlib",
    score_everyone: Annotated[
        bool,
        typer.Option(
            "--score-everyone",
            help="Store the expression of everybody in the picture; only where all of them consented.",
        ),
    ] = False,
    jobs: Jobs = None,
    engine: EngineName = "local",
    ray_address: RayAddress = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also process sessions that are up to date.")
    ] = False,
    adapt: Adapt = None,
    encrypt: Annotated[
        Path | None, typer.Option(help="Encrypt timelines and faces with this key (see `key`).")
    ] = None,
) -> None:
    """Turn videos into emotion timelines (Parquet) and reports (HTML).

    Without a list, the ids come from file names such as P012_S01.mp4. A study lists its sessions in
    sessions.csv (see `study init`) and its settings in study.toml beside that list. If a folder holds a
    list, the list decides which sessions are processed.

    Example: emonext process recordings/ --out study
    """
    from emonext.weight_files import find_weights, verify_weights
    from pipeline.analysis.adaptation import check_given, use_adaptation
    from pipeline.processing.batch import check_ids, process_sessions
    from pipeline.processing.session import QualityLimits, Settings
    from pipeline.review.films import find_video
    from pipeline.store.encryption import key_file, use_key
    from pipeline.store.spreadsheet import keep_decimal
    from pipeline.store.timeline import unencrypted_tables, written_sessions
    from reports import own_text, update_reports, write_reports

    if engine != "ray":
        refuse_given(context, "--engine ray", "ray_address")
    use_key(encrypt)
    if note := check_given(adapt, out):
        err_console.print(note, markup=False, soft_wrap=True)
    options = {
        "sample_fps": ("fps", fps),
        "min_face_px": ("min_face", min_face),
        "batch_size": ("batch_size", batch_size),
        "patient_track": ("patient_track", patient_track),
        "identity": ("identity", identity),
        "score_everyone": ("score_everyone", score_everyone),
        "model": ("model", model),
        "device": ("device", device),
        "jobs": ("jobs", jobs),
    }
    sessions, chosen, left_out = _plan(inputs, patient, session)
    check_ids(sessions, out)
    for name, (option, value) in options.items():
        # an option that was typed overrides study.toml; a default does not
        if name not in chosen or is_given(context, option):
            chosen[name] = value
    decimal = chosen.pop("decimal", None)
    model, device, jobs = chosen.pop("model"), chosen.pop("device"), chosen.pop("jobs")
    network = find_identity_file(chosen["identity"])
    chosen["identity"] = network[1] if network else "dlib"
    settings = Settings(**{**chosen, "quality": QualityLimits(**chosen.get("quality", {}))})
    weights = find_weights(model)
    sha256 = verify_weights(weights)
    if weights == Path(model):
        model = str(weights.absolute())  # other machines have other working folders
    make = partial(make_networks, model, device, settings.min_face_px, network, sha256=sha256, key=key_file())
    run = (
        _on_cluster(make, ray_address, jobs, device)
        if engine == "ray"
        else _on_this_machine(make, jobs, device, len(sessions))
    )
    set_aside: dict[tuple[str, str], SetAside] = {}
    others: list[Outcome] = []
    unreadable: list[TimelineError] = []
    pages: list[Path] = []

    def write_pages(out: Path) -> None:
        if decimal:
            keep_decimal(out, decimal)
        use_adaptation(out, adapt)
        # the pages depend on the adaptation, also where no session was processed
        write = update_reports if adapt is None else write_reports
        pages.append(write(out, lambda done, total: update(done, total, "reports"), find_video=find_video))

    with progress_bar("Processing") as update:
        outcomes = process_sessions(
            sessions,
            out,
            settings,
            run,
            sha256,
            overwrite=overwrite,
            on_other=others.append,
            on_unreadable=unreadable.append,
            on_withdrawn=lambda session, found: set_aside.update({session.ids: found}),
            own_text=own_text(),
            on_session=overall_progress(update, len(sessions)),
            write_pages=write_pages,
        )
    if pages:
        say(f"Report: {pages[-1]}")
    elif written_sessions(out):
        warn(f"{out}: the reports are as they were before this run.")
    if plain := unencrypted_tables(out):
        count = f"{number_of(len(plain), 'file')} {'is' if len(plain) == 1 else 'are'}"
        err_console.print(
            f"{out}: {count} not encrypted, from runs without a key ({plain[0].relative_to(out)}); "
            "process their sessions again with --encrypt and --overwrite, or purge them.",
            markup=False,
            soft_wrap=True,
        )
    _tell_without_consent(out, sessions, outcomes, set_aside)
    if network is None and find_spec("dlib") is None:
        _tell_not_compared(sessions)
    _tell_left_out(left_out)
    tell_errors(unreadable, {outcome.reason for outcome in outcomes})
    # of a part of a list, the other rows may be what has the recording too
    without = tell_earlier_ids(sessions, outcomes, out) if (patient, session) == (None, None) else 0
    tell_outcomes(sessions, outcomes, out, others)
    if left_out or unreadable or without:
        raise typer.Exit(EXIT_INCOMPLETE)


def _on_this_machine(
    make: "Callable[..., Networks]", jobs: int | None, device: str, sessions: int
) -> "Engine":
    """An engine that processes sessions in several processes, which share the cores."""
    from pipeline.processing.workers import Workers, default_jobs, usable_cores

    count = min(default_jobs(device) if jobs is None else jobs, sessions)
    return Workers(partial(make, cores=usable_cores() // count), count)


def _on_cluster(
    make: "Callable[..., Networks]", address: str | None, jobs: int | None, device: str
) -> "Engine":
    """An engine that processes sessions on all machines of a Ray cluster."""
    with needing_extra("ray"):
        from pipeline.processing.ray_cluster import RayCluster
    from pipeline.processing.workers import WORKER_CORES

    return RayCluster(partial(make, cores=WORKER_CORES), address, jobs, device)


def _plan(
    inputs: list[Path], patient: str | None, session: str | None
) -> "tuple[list[Session], dict[str, Any], list[InputError]]":
    """Sessions from a list (given, or in the given folder) or from videos; the settings of study.toml; and
    why videos are left out.
    """
    from pipeline.checks.sessions_list_check import with_dates
    from pipeline.processing.batch import plan_sessions
    from pipeline.processing.recordings_folder import find_list, find_videos
    from pipeline.processing.sessions_list import choose_sessions
    from pipeline.processing.study_settings import read_settings
    from pipeline.store.spreadsheet import TABLE_SUFFIXES

    folder = inputs[0] if len(inputs) == 1 and is_folder(inputs[0]) else None
    listed = find_list(folder) if folder else None
    if folder is None and [path.suffix.lower() in TABLE_SUFFIXES for path in inputs] == [True]:
        listed = inputs[0]
    if listed is None:
        left_out: list[InputError] = []
        sessions = plan_sessions(inputs, patient, session, left_out.append)
        if left_out and not sessions:
            _tell_left_out(left_out)
            raise typer.Exit(EXIT_BAD_INPUT)
        given = {session.video.resolve() for session in sessions}
        for path in filter(is_folder, inputs):
            found = find_videos(path)
            below = [video for video in found.below if video.resolve() not in given]
            warn_of(below, "video", f"{path}: in sub-folders, not processed; give the sub-folders too")
            warn_of(found.unread, "folder", f"{path}: can't be read")
            for error in (error for top, error in found.faults if top != path):
                warn(str(error))
        return sessions, read_settings(folder) if folder else {}, left_out
    study = _read_study(listed)
    chosen = choose_sessions(study, listed, patient, session)
    dated = with_dates(chosen)
    count = sum(one.recorded_at != other.recorded_at for one, other in zip(chosen, dated, strict=True))
    if count:
        warn(
            f"{listed}: {number_of(count, 'session')} without recorded_at: the date that the camera stored "
            "is used; `emonext study check` shows the dates."
        )
    return dated, read_settings(listed.parent), []


def _tell_left_out(errors: "Sequence[InputError]") -> None:
    for error in errors:
        err_console.print(f"Not processed: {on_screen(with_flags(str(error)))}", soft_wrap=True)


def _read_study(path: Path) -> "Study":
    """Read a list; print all its errors and exit if it has any."""
    from pipeline.checks.sessions_list_check import find_shared
    from pipeline.processing.sessions_list import read_study

    study = read_study(path)
    faults, warnings = find_shared(study)
    if study.problems or faults:
        tell_problems(path, sorted([*study.problems, *faults], key=lambda problem: problem.row))
        raise typer.Exit(EXIT_BAD_INPUT)
    for warning in warnings:
        warn(f"{path}: {warning}")
    warn_of_unlisted(path)
    return study


def warn_of_unlisted(path: Path) -> None:
    from pipeline.processing.recordings_folder import unlisted

    videos, errors = unlisted(path)
    warn_of(videos, "video", f"{path}: not in the list, and not processed")
    for error in errors:
        warn(str(error))


def _tell_without_consent(
    out: Path,
    sessions: "Sequence[Session]",
    outcomes: "Sequence[Outcome]",
    set_aside: "Mapping[tuple[str, str], SetAside]",
) -> None:
    """Print what happened to the results of sessions without consent, and what to do."""
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


def _tell_not_compared(sessions: "Sequence[Session]") -> None:
    """Print that nobody notices if only the carer was filmed, where a patient has several sessions."""
    if len({session.patient_id for session in sessions}) < len(sessions):
        err_console.print(
            "Note: nothing tells whether a patient's sessions show the same person, because no face "
            f"recognition network is installed: pip install {own_requirement('identity')}",
            markup=False,
            soft_wrap=True,
        )
