"""The data of the index page."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from pipeline.analysis.longitudinal import PatientHistory
from pipeline.reasons import Reason
from pipeline.store.coverage import Summary
from reports.words.formatting import command_line

RECORDINGS, RECORDING, TRIAL, KEY = "RECORDINGS", "RECORDING", "TRIAL", "KEY"
"""Placeholders in commands: a folder or list, a video, a trial video, and the file of a key."""


@dataclass(frozen=True)
class Seen:
    """What the index shows of a session; fields as in :class:`pipeline.store.coverage.Summary`."""

    duration_s: float
    observed_s: float
    positive_s: float
    neutral_s: float
    negative_s: float

    @classmethod
    def of(cls, summary: Summary) -> "Seen":
        return cls(**{field.name: getattr(summary, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class IndexEntry:
    """One session.

    :param state: ``done``, ``partial``, ``failed`` …, as :func:`pipeline.store.status.overview` gives it.
    :param reasons: may be empty.
    :param summary: in the reading of the session's page; ``None`` if it has no timeline,
        or if only the status is known.
    :param link: the session's page, relative to the index, or ``None``.
    :param enough: whether coverage is high enough for shares.
    :param condition: as the study names it, or empty.
    :param coverage, video_s, identity: as in the status; ``None`` if not known.
    """

    patient_id: str
    session_id: str
    state: str
    reasons: tuple[Reason, ...] = ()
    summary: Summary | Seen | None = None
    link: str | None = None
    enough: bool = False
    condition: str = ""
    coverage: float | None = None
    video_s: float | None = None
    identity: str | None = None

    @property
    def duration_s(self) -> float | None:
        return self.video_s if self.summary is None else self.summary.duration_s

    @property
    def has_face(self) -> bool:
        """Whether a face was found; without one, a person confirmed only that there is none."""
        return all(reason.code != "no_face_in_video" for reason in self.reasons)

    @property
    def read_share(self) -> float | None:
        """Share of the session with a readable face, 0…1; without a summary, also with eyes shut."""
        if self.summary is None:
            return self.coverage
        return self.summary.observed_s / self.summary.duration_s if self.summary.duration_s else 0.0


@dataclass(frozen=True)
class Commands:
    """Commands for a study's folder, to be run in the folder that holds it.

    :param folder: its name; a path may hold a person's name.
    :param encrypted: whether its tables are.
    """

    folder: str = "study"
    encrypted: bool = False

    @property
    def process(self) -> str:
        key = ("--encrypt", KEY) if self.encrypted else ()
        return command_line("emonext", "process", RECORDINGS, "--out", self.folder, *key)

    @property
    def people(self) -> str:
        return command_line("emonext", "people", self.folder, *(("--key", KEY) if self.encrypted else ()))


@dataclass(frozen=True)
class Overview:
    """What the page says of the folder, beside its sessions.

    :param histories: of the patients who have a page of their own.
    :param study: the study's page, relative to the index; ``None`` if there is none.
    :param is_status: whether the coordinator asked for the status: what has to be done is unfolded.
    """

    commands: Commands = Commands()
    histories: Mapping[str, PatientHistory] = field(default_factory=dict)
    study: str | None = None
    is_status: bool = False


NOTHING_KNOWN = Overview()
