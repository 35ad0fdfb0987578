"""Shared by the readers of rating files: coded intervals, and the session that a file belongs to."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PureWindowsPath

from pipeline.errors import InputError
from pipeline.records import Ids
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.spreadsheet import as_float, read_seconds, shown
from pipeline.store.timeline import no_timeline, written_sessions

Span = tuple[float, float]
"""Start and end of an interval, s."""

SAME_S = 0.5
"""Tolerance for times of two media, s: programs read lengths slightly differently."""

_SOUNDS = {
    ".aac",
    ".aif",
    ".aiff",
    ".flac",
    ".m4a",
    ".mp3",
    ".oga",
    ".ogg",
    ".opus",
    ".wav",
    ".wma",
}

# Words that name another person than the patient, in English, French and German.
_OTHER_ROLES = {
    *("caregiver", "caregivers", "carer", "carers", "caretaker", "giver"),
    *("other", "others", "unknown", "somebody", "someone"),
    *("nurse", "nurses", "nursing", "staff", "aide", "assistant"),
    *("therapist", "doctor", "physician", "clinician", "psychologist"),
    *("interviewer", "examiner", "experimenter", "researcher", "volunteer", "visitor"),
    *("companion", "partner", "interlocutor"),
    *("family", "relative", "relatives", "spouse", "husband", "wife"),
    *("daughter", "son", "mother", "father", "sister", "brother", "friend"),
    *("soignant", "soignante", "infirmier", "infirmière", "aidant", "aidante"),
    *("médecin", "visiteur", "visiteuse", "proche", "famille", "autre"),
    *("pfleger", "pflegerin", "pflegekraft", "schwester", "arzt", "ärztin"),
    *("angehörige", "angehöriger", "besucher", "andere"),
}

_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]*)?")


@dataclass(frozen=True)
class Coded:
    """A coded interval of the file, in seconds of the session's recording."""

    start_s: float
    end_s: float
    code: str


@dataclass(frozen=True)
class CodedSession:
    """One rater's codes of one session, before the code map.

    :param rater: empty if the file does not state it.
    :param source: the file's name.
    :param rated: the rated intervals, s of the recording; empty if the file does not state them.
    """

    patient_id: str
    session_id: str
    rater: str
    coded: tuple[Coded, ...]
    source: str
    rated: tuple[Span, ...] = ()

    @property
    def ids(self) -> Ids:
        return self.patient_id, self.session_id

    def by(self, rater: str) -> "CodedSession":
        return replace(self, rater=rater)


@dataclass(frozen=True)
class Medium:
    """A media file that the rater watched.

    :param name: path or address.
    :param origin_s: time in the medium at time 0 of the rating file, s; ``None`` if unknown.
    :param is_sound: whether the file has only sound.
    :param is_first: whether no other file is played before this one.
    """

    name: str
    origin_s: float | None
    is_sound: bool
    is_first: bool = True


@dataclass(frozen=True)
class Recorded:
    """Times of a session's recording, to check codes against.

    :param parts: the intervals of the recording that count, s.
    :param starts_s: file of the recording, by :func:`file_key` → start of the file, s.
    """

    parts: tuple[Span, ...]
    starts_s: Mapping[str, float]


@dataclass(frozen=True)
class SessionNames:
    """Recognise the sessions of a folder in names of files and observations.

    :param media: name of a video, by :func:`file_key` → its session.
    :param recorded: recording times by session; times of other sessions are not checked.
    """

    known: frozenset[Ids]
    media: Mapping[str, Ids]
    recorded: Mapping[Ids, Recorded] = field(default_factory=dict)

    @cached_property
    def _begins(self) -> list[tuple[Ids, re.Pattern[str]]]:
        """Patterns for the begin of each session's names; cached, because a table has a name in every row."""
        return [
            (
                (patient, session),
                re.compile(rf"{re.escape(patient)}[ _.,-]+{re.escape(session)}(?![A-Za-z0-9])"),
            )
            for patient, session in self.known
        ]

    def find(self, name: str) -> tuple[Ids, str] | None:
        """The session that a name begins with, and the rest of the name.

        :param name: without suffix, such as ``P012_S01`` or ``P012-S01 anna``.
        :raises InputError: the name begins with the names of two sessions.
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
            raise InputError(f"{name}: may belong to session {both}; rename it after patient and session.")
        return nearest[0] if nearest else None

    def of_medium(self, file: str) -> Ids | None:
        """The session of a video file, with or without its folder."""
        if ids := self.media.get(file_key(file)):
            return ids
        found = self.find(_file_name(file).stem)
        return found[0] if found else None

    def of_media(self, files: Iterable[str]) -> Ids | None:
        """The session of all videos together; ``None`` if they belong to different sessions."""
        found = {ids for file in files if (ids := self.of_medium(file))}
        return found.pop() if len(found) == 1 else None

    def of(self, source: str, name: str, media: Sequence[str]) -> tuple[Ids, str]:
        """The session, from the name or else from the videos, and the rest of the name.

        :raises InputError: neither names a session, or the name and the videos disagree.
        """
        found = self.find(name)
        if found:
            ids, _ = found
            others = {self.media[file_key(file)] for file in media if file_key(file) in self.media}
            if others and ids not in others and not any(self._is_of(ids, file) for file in media):
                raise InputError(
                    f"{source}: is named after {' '.join(ids)}, but its video is that of "
                    f"{' '.join(min(others))}; rename it, or link the session's own video."
                )
            return found
        if ids_of_media := self.of_media(media):
            return ids_of_media, ""
        raise InputError(
            f"{source}: which session of this folder is it about? Name it after patient and session, like "
            "P012_S01_rater, link the video that was processed, or take it away."
        )

    def shift_s(self, source: str, ids: Ids, media: Sequence[Medium]) -> float:
        """Seconds to add to a rating file's times, so that they count from the start of the session's
        recording.

        Uses the media of the session, else media with a picture, else all media.

        :raises InputError: these media disagree, or their times are unknown.
        """
        seen = [medium for medium in media if not medium.is_sound] or list(media)
        own = [medium for medium in seen if self._is_of(ids, medium.name)]
        recorded = self.recorded.get(ids)
        starts_s = recorded.starts_s if recorded else {}
        shifts = [
            None
            if medium.origin_s is None
            else medium.origin_s + (starts_s.get(file_key(medium.name), 0.0) if own else 0.0)
            for medium in own or [medium for medium in seen if medium.is_first]
        ]
        known = [shift for shift in shifts if shift is not None]
        if len(known) < len(shifts) or (known and max(known) - min(known) > SAME_S):
            named = ", ".join(shown(_file_name(medium.name).name) for medium in own or seen)
            raise InputError(
                f"{source}: its media ({named}) begin at different times, or when they begin is not known; "
                f"link only the video of {' '.join(ids)}."
            )
        return known[0] if known else 0.0

    def _is_of(self, ids: Ids, file: str) -> bool:
        recorded = self.recorded.get(ids)
        return (recorded is not None and file_key(file) in recorded.starts_s) or self.of_medium(file) == ids


def session_names(out: Path) -> SessionNames:
    """The names of all sessions with a timeline in a folder.

    :raises InputError: there is no timeline.
    """
    known = written_sessions(out)
    if not known:
        raise InputError(no_timeline(out))
    media: dict[str, Ids] = {}
    recorded: dict[Ids, Recorded] = {}
    double: set[str] = set()
    for ids in known:
        path = timeline_path(out, *ids)
        metadata = read_metadata(path)
        with malformed_as_timeline_error(path):
            files = {file_key(file["name"]): float(file["start_s"]) for file in metadata["video"]["files"]}
            first, *more = metadata["session"]["parts"]  # something counts in every session
            parts = tuple((float(start), float(end)) for start, end in (first, *more))
        recorded[ids] = Recorded(parts, files)
        for name in files:
            if media.setdefault(name, ids) != ids:
                double.add(name)  # two sessions may have the same file name: cameras restart at MVI_0001
    one_session = {name: ids for name, ids in media.items() if name not in double}
    return SessionNames(frozenset(known), one_session, recorded)


def file_key(file: str) -> str:
    """A file's name without folder, normalised across systems: case and composed accents."""
    return unicodedata.normalize("NFC", _file_name(file).name).lower()


def is_sound(file: str) -> bool:
    return _file_name(file).suffix.lower() in _SOUNDS


def is_patient(person: str, patient_id: str) -> bool:
    """Whether a rating file's name of an observed person is the patient's."""
    return person.strip().lower() in (patient_id.lower(), "patient")


def of_others(
    where: str, kind: str, people: Mapping[str, str], patient_id: str
) -> tuple[list[str], list[str]]:
    """The keys of other people than the patient, and notes; no key if all are one person.

    :param people: name of the observed person, or nothing.
    :raises InputError: there are several people, and nothing says which one is the patient; or the only one
        has another role than the patient.
    """
    several = sorted(set(people.values()), reverse=True)
    if not several or (len(several) == 1 and (not several[0] or is_patient(several[0], patient_id))):
        return [], []
    if len(several) == 1:
        refuse_role(where, kind, several[0], patient_id)
        name = shown(several[0])
        return [], [f"the only {kind} is {name}, whose codes are taken as the patient's, {patient_id}"]
    if not any(is_patient(name, patient_id) for name in several):
        named = ", ".join(shown(name) if name else "one without a name" for name in several)
        raise InputError(f"{where}: codes several people ({named}); name the patient's {kind} {patient_id}.")
    return [key for key, name in people.items() if name and not is_patient(name, patient_id)], []


def refuse_role(where: str, kind: str, person: str, patient_id: str) -> None:
    """:raises InputError: the name of the only observed person is a role other than the patient's."""
    if set(re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", person).casefold())) & _OTHER_ROLES:
        raise InputError(
            f"{where}: codes only {shown(person)}, not the patient; take it away, or, if the codes are the "
            f"patient's, name the {kind} {patient_id}."
        )


def _file_name(file: str) -> PureWindowsPath:
    return PureWindowsPath(file)  # accepts both kinds of slashes


def signed_seconds(text: str) -> float:
    """Seconds, from the formats of :func:`read_seconds` or any number, also below 0.

    :raises InputError: the text is no time.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return as_float(text)
    return -read_seconds(text[1:]) if text.startswith("-") else read_seconds(text)
