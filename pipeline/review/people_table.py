"""Write and read the table of people that a coordinator corrects."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from pipeline.errors import InputError
from pipeline.identity.clustering import describe_tracks
from pipeline.identity.recognition import in_region
from pipeline.identity.roles import patient_from_roles, roles_path
from pipeline.processing.list_cells import YES_OR_NO, read_region
from pipeline.processing.session_tables import read_roles
from pipeline.records import PEOPLE_COLUMNS, ROLES, FrameFaces, Ids, Person
from pipeline.review.people import people_digest, read_session, sessions_with_timeline
from pipeline.store.folders import PEOPLE_FILE
from pipeline.store.paths import faces_path
from pipeline.store.spreadsheet import Problem, plain, read_decimal, read_table, shown, write_rows

# Digits of a track's number; an int32 has no more.
_MAX_DIGITS = 10

_NO_FACE = "no face was found in this session; empty this cell."

_YES = ("yes", "y", "true", "1", "x", "oui", "ja")


def write_people(people: Sequence[Person], out: Path) -> Path:
    """Write the folder's ``people.csv`` for correction in a spreadsheet or on the page of people.

    :raises OutputError: the file can't be written.
    """
    rows = (person.cells() for person in people)
    return write_rows(out / PEOPLE_FILE, PEOPLE_COLUMNS, rows, read_decimal(out))


def read_people(out: Path, table: Path) -> tuple[dict[Ids, dict[int, str] | None], list[Problem]]:
    """Read the confirmed or changed roles of tracks, and all errors of the table.

    A row that was neither changed nor approved is left out. In a session with a ``patient_region``, the
    person who sits there is the patient. A session without a face has one row and no roles; ``None`` instead
    of roles takes its approval back.

    :raises InputError: the file can't be read as such a table.
    """
    (_, header), *lines = read_table(table) or [(1, [])]
    names = [name.strip().casefold() for name in header]
    missing = [name for name in ("patient_id", "session_id", "role", "tracks", "source") if name not in names]
    if missing:
        raise InputError(
            f"{table}: its first line does not name {', '.join(missing)}; "
            "make it again with `emonext people`."
        )
    confirmed: dict[Ids, dict[int, str]] = defaultdict(dict)
    whole: dict[Ids, dict[int, str]] = defaultdict(dict)
    seats: dict[Ids, dict[str, int]] = defaultdict(dict)
    person_of: dict[Ids, dict[int, int]] = defaultdict(dict)
    taken_back: list[Ids] = []
    problems: list[Problem] = []
    sessions = _Sessions(out)
    for number, cells in lines:
        row = dict(zip_longest(names, map(plain, cells), fillvalue=""))
        ids, role, tracks = (
            (row["patient_id"], row["session_id"]),
            row["role"].casefold(),
            row["tracks"].split(),
        )
        fault = sessions.fault(ids, row["source"], role, tracks)
        if fault:
            problems.append(Problem(number, *fault))
            continue
        roles = {int(track): role for track in tracks}
        whole[ids] |= roles
        person_of[ids] |= dict.fromkeys(roles, _person_number(row.get("person", ""), number))
        if row.get("patient_region"):
            seats[ids].setdefault(row["patient_region"], number)
        approved = row.get("approved", "").casefold()
        if not roles and YES_OR_NO.get(approved) is False and sessions.is_approved(ids):
            taken_back.append(ids)
        is_changed = bool(roles) and role != sessions.role_of(ids, list(roles))
        if is_changed or approved in _YES:
            confirmed[ids] |= roles
        if role == "patient" and sessions.two_at_once(ids, whole[ids]):
            problems.append(
                Problem(number, "role", "appears together with another person who is the patient.")
            )
    for ids, cells_of in seats.items():
        try:
            said = confirmed.get(ids, {})
            if sitting := sessions.who_sits_there(ids, list(cells_of), person_of[ids], said):
                confirmed[ids] = {**said, **sitting}
        except InputError as error:
            problems.append(Problem(max(cells_of.values()), "patient_region", str(error)))
    return {**confirmed, **dict.fromkeys(taken_back)}, sorted(problems, key=lambda problem: problem.row)


def _person_number(cell: str, row: int) -> int:
    """As the page shows the person; only messages name it."""
    return int(cell) if cell.isdecimal() and len(cell) <= _MAX_DIGITS else row


class _Sessions:
    """The sessions to check a table of people against. Caches the last one: rows are ordered by session."""

    def __init__(self, out: Path) -> None:
        self._out, self._known = out, set(sessions_with_timeline(out))
        self._ids: Ids = ("", "")
        self._samples: list[FrameFaces] = []
        self._digest = ""
        self._state = ""
        self._roles: dict[int, str] = {}
        self._size = (0, 0)
        """Width and height of the upright picture, px."""

    def fault(self, ids: Ids, source: str, role: str, tracks: Sequence[str]) -> tuple[str, str] | None:
        """The wrong column and the error."""
        if ids not in self._known:
            return "session_id", f"{shown(' '.join(ids))}: there is no such session here."
        samples = self._of(ids)
        if source != self._digest:
            return "source", "the session was processed again since; make the table again."
        if not any(sample.faces for sample in samples):
            return ("role", _NO_FACE) if role else None
        if role not in ROLES:
            return "role", f"{shown(role)}: write {', '.join(ROLES)}."
        if not tracks or not all(track.isdecimal() and len(track) <= _MAX_DIGITS for track in tracks):
            return "tracks", "changed since it was written; make the table again."
        return None

    def role_of(self, ids: Ids, tracks: Sequence[int]) -> str:
        """The role of the longest track, as in :func:`find_people`."""
        seen = Counter(face.track for sample in self._of(ids) for face in sample.faces)
        longest = max(sorted(tracks), key=lambda track: seen[track])
        return self._roles.get(longest, "unknown")

    def is_approved(self, ids: Ids) -> bool:
        self._of(ids)
        return self._state == "confirmed"

    def two_at_once(self, ids: Ids, roles: Mapping[int, str]) -> bool:
        return any(
            sum(roles.get(face.track or 0) == "patient" for face in sample.faces) > 1
            for sample in self._of(ids)
        )

    def who_sits_there(
        self, ids: Ids, cells: Sequence[str], person_of: Mapping[int, int], said: Mapping[int, str]
    ) -> dict[int, str]:
        """The role of the tracks of the person who sits in a region that somebody drew.

        :param cells: ``patient_region`` of the session's rows, each value once.
        :param person_of: track → person, of all rows of the session. ``said``: roles of the table.
        :returns: nothing if somebody has named this person the patient.
        :raises InputError: the region is invalid, it is not clear who sits there, or somebody has named
            another patient.
        """
        if len(cells) > 1:
            raise InputError(f"{', '.join(map(shown, cells))}: keep one region for a session.")
        samples = self._of(ids)
        if not any(sample.faces for sample in samples):
            raise InputError(_NO_FACE)
        earlier = patient_from_roles(samples, roles_path(self._out, *ids))
        named = {**(earlier.roles if earlier else {}), **said}
        tracks = [info for info in describe_tracks(samples, {}) if info.track in person_of]
        found = in_region(tracks, person_of, read_region(cells[0]), *self._size)
        own = [info for info in tracks if person_of[info.track] in found.people]
        patient = {track for track, role in named.items() if role == "patient"}
        if patient:
            if found.state == "recognised" and patient.issuperset(info.track for info in own):
                return {}
            raise InputError("a person named another patient of this session; empty this cell.")
        if found.state != "recognised":
            raise InputError(f"{found.reason}; draw another rectangle, or name the patient by `role`.")
        if any(info.still for info in own):
            raise InputError("the face there never moves, as on a picture; name the patient by `role`.")
        if any(named.get(info.track, "unknown") != "unknown" for info in own):
            raise InputError("a person gave another role to whoever sits there; correct one of the two.")
        return dict.fromkeys((info.track for info in own), "patient")

    def _of(self, ids: Ids) -> list[FrameFaces]:
        if self._ids != ids:
            timeline, self._samples = read_session(self._out, ids)
            self._digest = people_digest(timeline, self._samples)
            self._state = timeline.metadata["patient"]["identity"]
            video = timeline.metadata["video"]
            self._size = int(video["width"]), int(video["height"])
            self._roles = read_roles(faces_path(self._out, *ids))
            self._ids = ids
        return self._samples
