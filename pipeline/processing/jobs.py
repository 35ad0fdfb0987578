"""A session as a unit of work: fingerprint of its inputs, and outcome."""

import hashlib
import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, PipelineError, VideoError
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.reasons import Reason, free_text
from pipeline.records import OnProgress
from pipeline.store.encryption import key_id
from pipeline.store.files import atomic
from pipeline.store.status import Outcome
from pipeline.store.timeline import SCHEMA_VERSION
from pipeline.video.file_content import joined, known_sha256, read_content, stamp, surely_differ


@dataclass(frozen=True)
class Job:
    """A session to process.

    :param video_stamp: from :func:`pipeline.video.file_content.stamp`.
    :param video_sha256: sha256 of the file, or of several files' sha256s; empty if a file can't be read, or
        was not read yet: that is done where the session is processed.
    :param others: all other inputs that the result depends on.
    """

    session: Session
    out: Path
    settings: Settings
    video_stamp: str
    video_sha256: str
    others: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """sha256 of all inputs that the result depends on."""
        depends = {**self.others, "video": self.video_sha256}
        return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


OnSession = Callable[[Session, int, int], None]
"""Called with (session, samples done, total samples)."""

Engine = Callable[[Sequence[Job], OnSession], Iterator[Outcome]]
"""Runs jobs in any order and place; yields each outcome at once."""


def make_job(
    session: Session, out: Path, settings: Settings, weights_sha256: str, before: Outcome | None
) -> Job:
    """:param before: the last outcome; a video is read only if that can spare processing it."""
    found = stamp(session.videos)
    decisive = asdict(settings)
    del decisive["batch_size"]  # for speed alone: it changes no more than the last digits
    others = {
        "schema": SCHEMA_VERSION,
        "session": _relevant(session),
        "settings": decisive,
        "weights": weights_sha256,
        "key": key_id(),
    }
    return Job(session, out, settings, found, _known_sha256(session, found, before), others)


def _known_sha256(session: Session, found: str, before: Outcome | None) -> str:
    """The recording's sha256; empty if the session is processed in any case."""
    if before is None or not before.is_settled:
        return ""
    if before.video_stamp == found:
        return before.video_sha256
    if surely_differ(before.video_stamp, found):
        return ""
    return joined([known_sha256(video) for video in session.videos])  # perhaps only copied


def in_this_process(networks: Networks) -> Engine:
    """An engine that runs one job after the other in this process."""

    def run(jobs: Sequence[Job], on_session: OnSession) -> Iterator[Outcome]:
        for job in jobs:
            yield attempt(job, networks, partial(on_session, job.session))

    return run


def attempt(job: Job, networks: Networks, on_progress: OnProgress) -> Outcome:
    """Process the session; an error becomes its outcome, with details in the log."""
    session, started = job.session, time.monotonic()
    content = read_content(session.videos, lambda: on_progress(0, 1))  # a message, so that it is not stalled
    job = replace(job, video_stamp=content.stamp, video_sha256=content.sha256)
    try:
        timeline = process_session(
            session, job.out, job.settings, networks, on_progress, job.fingerprint, content
        )
    except PipelineError as error:
        write_log(job, str(error))
        reason = error.reason or free_text(_without_paths(session, str(error)))
        outcome = failed(job, reason, lasting=_is_lasting(job, error))
    except Exception as error:  # noqa: BLE001 — whatever it is, the night's other sessions go on
        write_log(job, traceback.format_exc())
        # the log has the file's name and the number of the error
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        message = free_text(_without_paths(session, text))
        outcome = failed(job, Reason.of("unexpected", error=type(error).__name__, reason=message))
    else:
        outcome = failed(job).with_result(timeline.metadata)
        write_log(job, outcome.reason or "done")
    return replace(outcome, took_s=time.monotonic() - started)


def _is_lasting(job: Job, error: PipelineError) -> bool:
    """Whether the error will recur; not for a disk or network error, or a file that changed meanwhile."""
    if not isinstance(error, VideoError | InputError) or isinstance(error.__cause__, OSError):
        return False
    return stamp(job.session.videos) == job.video_stamp


def failed(job: Job, *reasons: Reason, lasting: bool = False) -> Outcome:
    """:param lasting: whether the same video with the same settings would fail again."""
    return Outcome(
        patient_id=job.session.patient_id,
        session_id=job.session.session_id,
        state="failed",
        reasons=reasons,
        coverage=None,
        seconds_lost=None,
        video_s=None,
        took_s=0.0,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        identity=None,
        lasting=lasting,
        videos=tuple(str(video.resolve()) for video in job.session.videos),
        video_stamp=job.video_stamp,
        video_sha256=job.video_sha256,
        fingerprint=job.fingerprint,
    )


def write_log(job: Job, text: str) -> None:
    """Write details of an error, too long for the session's row."""
    with atomic(job.out / "logs" / job.session.patient_id / f"{job.session.session_id}.log") as partial:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        partial.write_text(f"{now}\n{job.settings}\n{text}\n", encoding="utf-8")


def _relevant(session: Session) -> dict[str, Any]:
    """The parts of a session's description that influence its samples or the patient's identity."""
    return {
        "parts": [session.start_s, session.end_s, session.exclude],
        "patient": [session.patient_region, [known_sha256(photo) for photo in session.patient_face]],
    }


def _without_paths(session: Session, message: str) -> str:
    """The error without file names, which may contain a person's name: the reason appears in reports."""
    called = dict.fromkeys(session.videos, "the video") | dict.fromkeys(session.patient_face, "the photo")
    for video in session.videos:
        message = message.removeprefix(f"{video}: ")
    for path, name in called.items():
        message = message.replace(str(path), name).replace(path.name, name)
    return message
