"""What the readers of rating files have in common: coded stretches, and whose session a file is about."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PureWindowsPath

from pipeline.errors import InputError
from pipeline.timeline import read_metadata, timeline_path, understood, written_sessions

SessionIds = tuple[str, str]
"""Patient and session."""


@dataclass(frozen=True)
class Coded:
    """A stretch as it stands in the file, in seconds of the video."""

    start_s: float
    end_s: float
    code: str


@dataclass(frozen=True)
class CodedSession:
    """One session as one person coded it, before the code map.

    :param rater: empty where the file does not say.
    :param source: the file's name.
    """

    patient_id: str
    session_id: str
    rater: str
    coded: tuple[Coded, ...]
    source: str

    @property
    def ids(self) -> SessionIds:
        return self.patient_id, self.session_id

    def by(self, rater: str) -> "CodedSession":
        return replace(self, rater=rater)


@dataclass(frozen=True)
class SessionNames:
    """The sessions of a folder, to be recognised in names of files and observations.

    :param media: name of a video, in small letters → the session that was made of it.
    """

    known: frozenset[SessionIds]
    media: Mapping[str, SessionIds]

    @cached_property
    def _begins(self) -> list[tuple[SessionIds, re.Pattern[str]]]:
        """How names of each session begin: a table has one in every row."""
        return [
            (
                (patient, session),
                re.compile(rf"{re.escape(patient)}[ _.,-]+{re.escape(session)}(?![A-Za-z0-9])"),
            )
            for patient, session in self.known
        ]

    def find(self, name: str) -> tuple[SessionIds, str] | None:
        """The session that a name begins with, and what else the name says.

        :param name: without suffix, such as ``P012_S01`` or ``P012-S01 anna``.
        :raises InputError: it begins with the names of two sessions.
        """
        found = [
            (ids, name[match.end() :].strip(" _-.,"))
            for ids, begin in self._begins
            if (match := begin.match(name))
        ]
        # P1_S1 and P1_S1.b may both be sessions; and A_B_C be B_C of A as well as C of A_B
        least = min((len(rest) for _, rest in found), default=0)
        nearest = [one for one in found if len(one[1]) == least]
        if len(nearest) > 1:
            both = " or ".join(sorted(" ".join(ids) for ids, _ in nearest))
            raise InputError(f"{name}: can be session {both}; rename it after patient and session.")
        return nearest[0] if nearest else None

    def of_media(self, files: Sequence[str]) -> SessionIds | None:
        """By the videos that a rater had before them, with or without their folders."""
        for file in files:
            name = PureWindowsPath(file).name  # knows both kinds of slashes
            if ids := self.media.get(name.lower()):
                return ids
            if found := self.find(PureWindowsPath(name).stem):
                return found[0]
        return None

    def of(self, source: str, name: str, media: Sequence[str]) -> tuple[SessionIds, str]:
        """By the name, else by the videos; and what else the name says.

        :raises InputError: by neither.
        """
        if found := self.find(name):
            return found
        if ids := self.of_media(media):
            return ids, ""
        raise InputError(
            f"{source}: which session is it about? Name it after patient and session, like P012_S01_rater, "
            "or link the video that was processed."
        )


def session_names(out: Path) -> SessionNames:
    """Of every timeline of a folder.

    :raises InputError: there is none.
    """
    known = written_sessions(out)
    if not known:
        raise InputError(f"{out}: no timeline in this folder; run `emonext process` with --out {out} first.")
    media: dict[str, SessionIds] = {}
    double: set[str] = set()
    for ids in known:
        path = timeline_path(out, *ids)
        with understood(path):
            files = [file["name"].lower() for file in read_metadata(path)["video"]["files"]]
        for name in files:
            if media.setdefault(name, ids) != ids:
                double.add(name)  # cameras begin anew at MVI_0001
    return SessionNames(frozenset(known), {name: ids for name, ids in media.items() if name not in double})
