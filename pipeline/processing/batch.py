"""Process many sessions: a failure becomes a row in ``status.parquet``, and the other sessions continue."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from pipeline.errors import InputError, OutputError, TimelineError, raise_error
from pipeline.identity.gallery import read_session_faces
from pipeline.privacy.consent import SetAside, leave_out, take_back
from pipeline.privacy.purge import remake_pages
from pipeline.processing.jobs import Engine, Job, OnSession, failed, make_job
from pipeline.processing.other_sessions import OnUnreadable, compare_sessions
from pipeline.processing.recordings_folder import (
    OTHER_TABLES,
    FolderVideos,
    check_name,
    check_unlisted,
    find_list,
    find_videos,
    is_video_name,
    process_command,
)
from pipeline.processing.session import Session, Settings
from pipeline.processing.stages import update_details
from pipeline.reasons import Reason, read_reasons
from pipeline.store.audit import audited
from pipeline.store.coverage import summarize
from pipeline.store.files import make_private_folder, remove_partials
from pipeline.store.folders import check_no_part_of_results
from pipeline.store.ids import check_id, find_clashes
from pipeline.store.lock import folder_lock
from pipeline.store.parquet import malformed_as_timeline_error
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.refusals import refused_sessions
from pipeline.store.spreadsheet import TABLE_SUFFIXES
from pipeline.store.status import (
    WITHOUT_CONSENT,
    Outcome,
    read_outcomes,
    read_status,
    rebuilt_outcome,
    record,
    repair_status,
    without_consent,
)
from pipeline.store.timeline import check_key, read_tables, written_sessions
from pipeline.video.container import VIDEO_SUFFIXES


def is_refused(out: Path, session: Session, before: Outcome | None) -> bool:
    """Whether the session may not be processed.

    If the list states no consent, an earlier refusal applies.
    """
    if session.consent is None:
        return session.ids in refused_sessions(out) or (
            before is not None and before.state in WITHOUT_CONSENT
        )
    return not session.consent


OnOther = Callable[[Outcome], None]
"""Called with a changed session of the same patients that is not among those to process."""

OnWithdrawn = Callable[[Session, SetAside], None]
"""Called with a session that was set aside, if this affected more than its own files."""


OnLeftOut = Callable[[InputError], None]
"""Called with why a video is left out, while the others are processed."""


def plan_sessions(
    inputs: Sequence[Path],
    patient_id: str | None,
    session_id: str | None,
    on_left_out: OnLeftOut = raise_error,
) -> list[Session]:
    """Turn the inputs into sessions.

    One video takes its ids from the options, or from its name; several, or those of a folder, from
    names like ``<patient>_<session>.mp4``. With ``patient_id``, all sessions are of that patient, and a name
    that does not begin with the id is the session id as a whole.

    A video in a list of sessions is refused without its list, because the list states the consent.

    :param on_left_out: called with a video whose name gives no usable ids; default: raise the error.
    :raises InputError: an input does not exist, two sessions are the same or differ only in capitals, or a
        list names a video.
    """
    videos = [video for path in inputs for video in _videos(path, on_left_out)]
    if session_id is not None and len(videos) > 1:
        raise InputError(
            f"`session_id` {session_id}: names one session, but there are {len(videos)} videos; give one "
            "video, or leave the option out."
        )
    check_unlisted(videos)
    sessions = []
    for video in videos:
        try:
            sessions.append(_session(video, patient_id, session_id))
        except InputError as error:
            on_left_out(error)
    seen: dict[tuple[str, str], Path] = {}
    for session in sessions:
        key = session.ids
        if key in seen:
            raise InputError(f"{session.video}: the same patient and session as {seen[key]}; rename one.")
        seen[key] = session.video
    for clash in find_clashes(seen):
        raise InputError(f"{seen[clash.second]}: {clash}")
    return sessions


def check_ids(sessions: Sequence[Session], out: Path) -> None:
    """Refuse a new session whose ids differ from existing ones only in case.

    :raises InputError: there is such a session.
    """
    there = set(written_sessions(out)) | set(read_status(out).select("patient_id", "session_id").rows())
    for clash in find_clashes([*sorted(there), *(session.ids for session in sessions)]):
        if clash.second not in there:
            raise InputError(f"{out} holds {' '.join(clash.first)}: {clash}")


def process_sessions(
    sessions: Sequence[Session],
    out: Path,
    settings: Settings,
    engine: Engine,
    weights_sha256: str,
    *,
    overwrite: bool = False,
    on_session: OnSession = lambda session, done, total: None,
    write_pages: Callable[[Path], object] = lambda out: None,
    on_withdrawn: OnWithdrawn = lambda session, found: None,
    on_other: OnOther = lambda outcome: None,
    on_unreadable: OnUnreadable = raise_error,
    own_text: Sequence[bytes] = (),
) -> list[Outcome]:
    """Process missing and changed sessions; update ``status.parquet``, ``logs/`` and the audit log.

    A session is skipped if video, settings and weights are unchanged since its timeline; a changed date,
    condition or direction of attention is written into its tables. A failed session is tried again, unless
    the video, the settings or the weights are the reason and unchanged.

    Sessions without consent come first: their results are set aside before anything else, and their
    recordings are not opened.

    :param write_pages: called last, if there is a timeline, while the folder is still locked, so that no
        purge can run in between.
    :param on_unreadable: called with a table of earlier results that can't be read, while everything else is
        done; default: raise the error.
    :param own_text: the program's own text in every page, which mentions no patient.
    :returns: the outcome of each session, in order.
    :raises InputError: a name in a video's path is not valid text for the status.
    :raises OutputError: the folder can't be written to, or another run is using it.
    """
    for session in sessions:
        for video in () if session.refused else session.videos:
            check_name(video)
    _claim(out)
    keys = [session.ids for session in sessions]
    options = {"settings": asdict(settings), "overwrite": overwrite}
    with folder_lock(out), audited(out, "process", keys, options, weights_sha256) as ending:
        repair_status(out)
        before = read_outcomes(out)
        ended: dict[tuple[str, str], Outcome] = {}
        set_aside: list[tuple[Session, SetAside]] = []
        refused = [session for session in sessions if is_refused(out, session, before.get(session.ids))]
        for session in refused:
            known = before.get(session.ids)
            set_aside.append((session, leave_out(out, session.ids, known, own_text)))
            ended[session.ids] = _without_consent(out, session, known)
            ending.states[session.ids] = ended[session.ids].state
            on_session(session, 1, 1)
        jobs = []
        for key, session in zip(keys, sessions, strict=True):
            if key in ended:
                continue
            if take_back(out, key):
                before[key] = rebuilt_outcome(out, *key)
            job = make_job(session, out, settings, weights_sha256, before.get(key))
            settled = None if overwrite else _settled(job, before.get(key))
            if settled is None:
                jobs.append(job)
            else:
                ended[key], ending.states[key] = settled, settled.state
                on_session(session, 1, 1)
        for outcome in engine(jobs, _starting(out, jobs, ended, on_session)):
            record(out, outcome)
            ended[outcome.ids], ending.states[outcome.ids] = outcome, outcome.state
        compared = compare_sessions(out, {session.patient_id for session in sessions}, on_unreadable)
        for outcome in compared:
            ended[outcome.ids], ending.states[outcome.ids] = outcome, outcome.state
            if outcome.ids not in keys:
                on_other(outcome)
        for session, found in set_aside:
            left = _still_mention(found, out, compared)
            if left.shared or left.mentions:
                on_withdrawn(session, left)
        remove_partials(out)
        if written_sessions(out) or refused:
            try:
                remake_pages(out, write_pages)
            except TimelineError as error:
                on_unreadable(error)
    return [ended[key] for key in keys]


def _still_mention(found: SetAside, out: Path, compared: Collection[Outcome]) -> SetAside:
    """Without the tables that named the session, and were written again without it."""
    paths = (
        path
        for outcome in compared
        for path in (timeline_path(out, *outcome.ids), faces_path(out, *outcome.ids))
    )
    written = {str(path.relative_to(out)) for path in paths}
    return replace(found, mentions=tuple(line for line in found.mentions if line not in written))


def _without_consent(out: Path, session: Session, before: Outcome | None) -> Outcome:
    """The row of a session without consent; an equal row stays unchanged."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = without_consent(out, *session.ids, now)
    if before is not None and before == replace(found, finished_at=before.finished_at):
        return before
    record(out, found)
    return found


def _settled(job: Job, before: Outcome | None) -> Outcome | None:
    """The updated outcome of a session that needs no processing; ``None`` if it needs processing."""
    if before is None or not before.is_settled or before.fingerprint != job.fingerprint:
        return None
    if not job.video_sha256 and before.video_stamp != job.video_stamp:
        return None  # not read yet
    if before.state == "failed":
        return before
    try:
        if not _is_whole(job):
            return None
        changed = update_details(job.session, job.out)
    except TimelineError:
        return None  # a missing or damaged table is written again
    known = failed(job)
    row = replace(before, videos=known.videos, video_stamp=known.video_stamp, video_sha256=known.video_sha256)
    if changed is not None:
        row = replace(row.with_result(changed), finished_at=known.finished_at)
    if row != before:
        record(job.out, row)
    if changed is not None:
        return row
    return replace(row, state="skipped", reasons=(Reason.of("up_to_date"),))


def _is_whole(job: Job) -> bool:
    """Whether the session's tables are readable and of this job.

    :raises TimelineError: a table can't be read.
    """
    timeline, _ = read_tables(job.out, *job.session.ids)
    with malformed_as_timeline_error(job.session.timeline_path(job.out)):
        summarize(timeline)  # the same checks as in every reader
        read_reasons(timeline.metadata["warnings"])
    read_session_faces(job.out, job.session.ids)
    return timeline.metadata.get("fingerprint") == job.fingerprint


def _starting(
    out: Path, jobs: Sequence[Job], ended: Collection[tuple[str, str]], on_session: OnSession
) -> OnSession:
    """Also record which sessions are running or waiting, from the start of the first session."""
    left = {job.session.ids: failed(job) for job in jobs}

    def on_progress(session: Session, done: int, total: int) -> None:
        begun = left.pop(session.ids, None)
        if begun is not None:
            waiting = [replace(row, state="waiting") for key, row in left.items() if key not in ended]
            record(out, replace(begun, state="running"), *waiting)
        on_session(session, done, total)

    return on_progress


def _videos(path: Path, on_left_out: OnLeftOut) -> tuple[Path, ...]:
    if not _is_folder(path):
        if path.suffix.lower() in OTHER_TABLES:
            raise InputError(
                f"{path}: a list of sessions is a .csv or .xlsx file; in the spreadsheet, save it as one of "
                "these."
            )
        if path.suffix.lower() in TABLE_SUFFIXES:
            raise InputError(f"{path}: a list of sessions is given alone: {process_command(path)}")
        try:
            return (check_name(path),)
        except InputError as error:
            on_left_out(error)
            return ()
    if (listed := find_list(path)) is not None:
        raise InputError(
            f"{path}: holds a list of sessions; give the list, and nothing else: {process_command(listed)}"
        )
    found = find_videos(path)
    faults = [error for folder, error in found.faults if folder == path]
    for fault in faults:
        on_left_out(fault)
    if not (found.here or faults):
        raise InputError(f"{path}: no video in this folder{_below(found)} ({', '.join(VIDEO_SUFFIXES)}).")
    return found.here


def _below(found: FolderVideos) -> str:
    folders = sorted({str(video.parent) for video in found.below})
    return f" itself; give its sub-folders: {', '.join(folders)}" if folders else ""


def _is_folder(path: Path) -> bool:
    """:raises InputError: the path is neither a folder nor a file."""
    try:
        # not path.exists(): of a name that is too long it says nothing, and raises
        next(path.iterdir(), None)
    except NotADirectoryError:
        return False
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not found, or can't be read.") from error
    return True


def _session(video: Path, patient_id: str | None, session_id: str | None) -> Session:
    named_patient, separator, named_session = video.stem.partition("_")
    if patient_id is None:
        if not (separator or is_video_name(video.name)):
            raise InputError(
                f"{video}: not named as a video ({', '.join(VIDEO_SUFFIXES)}). Give a video; if this is one, "
                "give `patient_id` too."
            )
        if not separator:
            raise InputError(
                f"{video}: patient unknown. Name it <patient>_<session>{video.suffix}, or give `patient_id`."
            )
        patient = check_id(f"{video}:", named_patient)
    else:
        patient = check_id("`patient_id`", patient_id)
    if session_id is None:
        # keep the whole name, so that no part is lost
        session = check_id(f"{video}:", named_session if named_patient == patient else video.stem)
    else:
        session = check_id("`session_id`", session_id)
    return Session(patient, session, video)


def _claim(out: Path) -> None:
    """Check the output folder before the first session.

    :raises OutputError: the folder can't be written to.
    :raises InputError: the folder is encrypted, and no key is in use, or it is a part of other results.
    """
    check_no_part_of_results(out)
    try:
        make_private_folder(out)
        TemporaryFile(dir=out).close()
        check_key(out)
    except OSError as error:
        raise OutputError(f"{out}: can't be written to ({error.strerror}); choose another `out`.") from error
