"""Many sessions, one after the other: what fails is a row in ``status.parquet`` and the others go on."""

import re
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.container import VIDEO_SUFFIXES
from pipeline.errors import InputError, OutputError, PipelineError
from pipeline.session import Instruments, Session, Settings, process_session
from pipeline.status import Outcome, State, read_status, record
from pipeline.timeline import atomic, make_private_folder

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# Names that the reports' own pages have.
RESERVED_IDS = ("index", "index.html")

_Ending = tuple[State, str, Mapping[str, Any]]

OnSession = Callable[[Session, int, int], None]
"""Called with (session, samples done, samples in all)."""


def check_id(where: str, value: str) -> str:
    """The id itself.

    :param where: the option or the file that it comes from, for the message.
    :raises InputError: it could not safely become part of a path, or looks like a name.
    """
    if not ID_PATTERN.fullmatch(value) or value.lower() in RESERVED_IDS:
        raise InputError(
            f"{where} {value!r}: not a usable id. Give a pseudonym of letters, digits, '.', '_' or '-', "
            "at most 64, starting with a letter or digit; never a person's name."
        )
    return value


def plan_sessions(inputs: Sequence[Path], patient_id: str | None, session_id: str | None) -> list[Session]:
    """Which sessions the inputs are.

    One video takes its ids from the options, or from its name; several, or those of a folder, from
    names like ``<patient>_<session>.mp4``. Where ``patient_id`` is given all are that patient's, and a name
    that does not begin with it is the session's as a whole.

    :raises InputError: an input does not exist, an id is missing or unusable, or two sessions are the same.
    """
    videos = [video for path in inputs for video in _videos(path)]
    if session_id is not None and len(videos) > 1:
        raise InputError(f"--session {session_id}: names one session, but there are {len(videos)} videos.")
    sessions = [_session(video, patient_id, session_id) for video in videos]
    seen: dict[tuple[str, str], Path] = {}
    for session in sessions:
        key = (session.patient_id, session.session_id)
        if key in seen:
            raise InputError(f"{session.video}: the same patient and session as {seen[key]}; rename one.")
        seen[key] = session.video
    return sessions


def process_sessions(
    sessions: Iterable[Session],
    out: Path,
    settings: Settings,
    instruments: Instruments,
    *,
    overwrite: bool = False,
    on_session: OnSession = lambda session, done, total: None,
) -> list[Outcome]:
    """Processes each session that has no timeline yet; keeps ``status.parquet`` and ``logs/`` up to date.

    :raises OutputError: the folder can't be written to.
    """
    _claim(out)
    outcomes = []
    for session in sessions:
        outcome = _process_one(session, out, settings, instruments, overwrite, on_session)
        outcomes.append(outcome)
        if outcome.state != "skipped":
            record(out, outcome)
    return outcomes


def _videos(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: not found.")
    if not path.is_dir():
        return [path]
    videos = sorted(file for file in path.iterdir() if file.suffix.lower() in VIDEO_SUFFIXES)
    if not videos:
        raise InputError(f"{path}: no video in this folder ({', '.join(VIDEO_SUFFIXES)}).")
    return videos


def _session(video: Path, patient_id: str | None, session_id: str | None) -> Session:
    named_patient, separator, named_session = video.stem.partition("_")
    if patient_id is None:
        if not separator:
            raise InputError(
                f"{video}: whose is it? Name it <patient>_<session>{video.suffix}, or give --patient."
            )
        patient = check_id(f"{video}:", named_patient)
    else:
        patient = check_id("--patient", patient_id)
    if session_id is None:
        # a name that begins otherwise says something that must not be lost
        session = check_id(f"{video}:", named_session if named_patient == patient else video.stem)
    else:
        session = check_id("--session", session_id)
    return Session(patient, session, video)


def _claim(out: Path) -> None:
    """Better now than after the first session.

    :raises OutputError: the folder can't be written to, or its status can't be read.
    """
    try:
        make_private_folder(out)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
        read_status(out)
    except OSError as error:
        raise OutputError(f"{out}: can't be written to ({error.strerror}); choose another --out.") from error


def _process_one(
    session: Session,
    out: Path,
    settings: Settings,
    instruments: Instruments,
    overwrite: bool,
    on_session: OnSession,
) -> Outcome:
    started = time.monotonic()
    if not overwrite and session.timeline_path(out).exists():
        ending: _Ending = ("skipped", "has a timeline already; --overwrite makes it anew", {})
    else:
        ending = _attempt(session, out, settings, instruments, on_session)
    state, reason, found = ending
    return Outcome(
        patient_id=session.patient_id,
        session_id=session.session_id,
        state=state,
        reason=reason,
        coverage=found.get("coverage"),
        seconds_lost=found.get("seconds_lost"),
        video_s=found.get("video", {}).get("duration_s"),
        took_s=time.monotonic() - started,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _attempt(
    session: Session, out: Path, settings: Settings, instruments: Instruments, on_session: OnSession
) -> _Ending:
    """State, reason, and the timeline's metadata where there is one; the log says more."""
    try:
        timeline = process_session(
            session, out, settings, instruments, lambda done, total: on_session(session, done, total)
        )
    except PipelineError as error:
        _log(out, session, settings, str(error))
        return "failed", _without_path(session.video, error), {}
    except Exception as error:  # noqa: BLE001 — whatever it is, the night's other sessions go on
        _log(out, session, settings, traceback.format_exc())
        what = f"unexpected {type(error).__name__}: {_without_path(session.video, error)}"
        return "failed", f"{what}; the log has the details", {}
    reason = "; ".join(timeline.metadata["warnings"])
    _log(out, session, settings, reason or "done")
    return "partial" if timeline.metadata["seconds_lost"] else "done", reason, timeline.metadata


def _log(out: Path, session: Session, settings: Settings, text: str) -> None:
    with atomic(out / "logs" / session.patient_id / f"{session.session_id}.log") as partial:
        partial.write_text(f"{datetime.now(UTC).isoformat(timespec='seconds')}\n{settings}\n{text}\n")


def _without_path(video: Path, error: Exception) -> str:
    """The error without the video's name: that can hold a person's, and the reason gets into reports."""
    return (
        str(error)
        .removeprefix(f"{video}: ")
        .replace(str(video), "the video")
        .replace(video.name, "the video")
    )
