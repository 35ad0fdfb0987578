"""Who is on the screen: the people of every session, to be confirmed or corrected by who knows them.

The program proposes; a coordinator looks at small pictures and puts the roles right in a table; the timelines
are then made anew from ``faces/``, without the videos.
"""

import hashlib
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import InputError, VideoError
from pipeline.identity.clustering import TrackInfo, best_faces, describe_tracks, is_mixed, link_tracks
from pipeline.identity.embedding import Embedder, align
from pipeline.identity.recognition import recognise
from pipeline.identity.roles import patient_from_roles, roles_path, write_roles
from pipeline.processing.session_tables import read_roles, read_samples, write_session
from pipeline.records import ROLES, FrameFaces, Ids, Person
from pipeline.store.audit import audited
from pipeline.store.coverage import sample_seconds
from pipeline.store.folders import PEOPLE_FILE
from pipeline.store.lock import folder_lock
from pipeline.store.parquet import malformed_as_timeline_error
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.spreadsheet import Problem, plain, read_table, shown, write_rows
from pipeline.store.status import Outcome, read_outcomes, record
from pipeline.store.timeline import Timeline, read_timeline, written_sessions
from pipeline.video.recording import open_recording

# Each has to be sought in the video: so many of a track are compared, and so many of a person shown.
_MOST_COMPARED, _MOST_SHOWN, _SHOWN_PX = 12, 6, 112

# Of a track's number; more than an int32 has are none that was written.
_MAX_DIGITS = 10

# Between the sessions of one patient there is no place and time.
_NEVER_S = 1e9

_COLUMNS = (
    *("patient_id", "session_id", "person", "role", "alike", "seconds", "first_s", "last_s"),
    *("chosen_by", "confidence", "note", "tracks", "source"),
)


def find_people(
    out: Path, embed: Embedder | None, on_session: Callable[[int, int], None] = lambda done, total: None
) -> list[Person]:
    """The people of every session of a folder, in order of patient and session.

    Their faces are looked up in the videos. With ``embed`` tracks are linked by face, and people across the
    patient's sessions; without, tracks by place and time alone.

    :raises InputError: there is no session.
    :raises TimelineError: a file can't be read.
    """
    before = read_outcomes(out)
    sessions = _sessions(out)
    people: list[Person] = []
    for done, ids in enumerate(sessions, start=1):
        with malformed_as_timeline_error(timeline_path(out, *ids)):
            people += _people_of(out, ids, _videos(before.get(ids)), embed)
        on_session(done, len(sessions))
    if embed is None:
        return people
    by_patient: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        by_patient[person.patient_id].append(person)
    same = embed.same_person
    return [person for row in by_patient.values() for person in _noted(_lettered(row, same), same)]


def write_people(people: Sequence[Person], out: Path) -> Path:
    """``people.csv`` of the folder, to be corrected in a spreadsheet: only ``role`` is read again.

    :raises OutputError: it can't be written.
    """
    return write_rows(out / PEOPLE_FILE, _COLUMNS, (_cells(person) for person in people))


def read_people(out: Path, table: Path) -> tuple[dict[Ids, dict[int, str]], list[Problem]]:
    """The roles that a corrected table gives, track by track; and all that is wrong with it.

    :raises InputError: it can't be read as such a table.
    """
    (_, header), *lines = read_table(table) or [(1, [])]
    names = [name.strip().casefold() for name in header]
    missing = [name for name in ("patient_id", "session_id", "role", "tracks", "source") if name not in names]
    if missing:
        raise InputError(f"{table}: its first line does not name {', '.join(missing)}; make it anew.")
    said: dict[Ids, dict[int, str]] = defaultdict(dict)
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
        said[ids] |= {int(track): role for track in tracks}
        if role == "patient" and sessions.two_at_once(ids, said[ids]):
            problems.append(Problem(number, "role", "is seen together with another one who is the patient."))
    return said, problems


def apply_people(
    out: Path,
    said: Mapping[Ids, Mapping[int, str]],
    write_pages: Callable[[Path], object] = lambda out: None,
) -> list[Outcome]:
    """Makes the timelines of these sessions anew; what was said is kept for runs to come.

    :param write_pages: called last, while the folder is still held: no purge comes between.
    :raises OutputError: a file can't be written, or a run is at work in the folder.
    """
    outcomes = []
    with folder_lock(out), audited(out, "people", list(said), {"apply": True}) as ending:
        before = read_outcomes(out)
        for ids, roles in said.items():
            timeline, samples = _read(out, ids)
            write_roles(roles_path(out, *ids), samples, roles)
            patient = patient_from_roles(samples, roles_path(out, *ids))
            assert patient is not None
            # the places tell who is who in a run to come; here the tracks are the very same
            tracks = frozenset(track for track, role in roles.items() if role == "patient")
            patient = replace(patient, tracks=tracks, roles=roles)
            found = write_session(out, *ids, samples, patient, timeline.metadata).metadata
            if ids in before:
                outcomes.append(before[ids].with_result(found))
                record(out, outcomes[-1])
                ending.states[ids] = "roles put right"
        write_pages(out)
    return outcomes


def _sessions(out: Path) -> list[Ids]:
    found = written_sessions(out)
    if not found:
        raise InputError(f"{out}: no timeline in this folder; run `emonext process` with --out {out} first.")
    return found


def _videos(before: Outcome | None) -> list[Path]:
    return [Path(video) for video in before.videos] if before else []


def _people_of(out: Path, ids: Ids, videos: Sequence[Path], embed: Embedder | None) -> Iterator[Person]:
    timeline, samples = _read(out, ids)
    chips, note = _chips(samples, videos)
    embeddings = {track: embed(found) for track, found in chips.items()} if embed else {}
    tracks = {info.track: info for info in describe_tracks(samples, embeddings)}
    person_of = link_tracks(tracks.values(), embed.same_person if embed else 0.0)
    lasts_s, roles = sample_seconds(timeline), read_roles(faces_path(out, *ids))
    patient = timeline.metadata["patient"]
    for number in sorted(set(person_of.values())):
        own = [tracks[track] for track, person in sorted(person_of.items()) if person == number]
        present = np.unique(np.concatenate([info.present for info in own]))
        pictures = _together([chips[info.track] for info in own if info.track in chips])
        mixed = embed is not None and any(is_mixed(info.embeddings, embed.same_person) for info in own)
        yield Person(
            patient_id=ids[0],
            session_id=ids[1],
            number=number,
            tracks=tuple(info.track for info in own),
            # whoever leaves the table as it is has not confirmed two people as one
            role="unknown" if mixed else roles[max(own, key=lambda info: info.samples).track],
            seconds=float(lasts_s[present].sum()),
            first_s=min(info.first_s for info in own),
            last_s=max(info.last_s for info in own),
            chosen_by=patient["chosen_by"],
            confidence=patient["confidence"],
            portraits=tuple(_jpeg(picture) for picture in _spread(pictures, _MOST_SHOWN)),
            embeddings=_together([info.embeddings for info in own if len(info.embeddings)]),
            source=_source(samples),
            note="shows more than one person: give the session a photo of the patient" if mixed else note,
        )


def _chips(samples: Sequence[FrameFaces], videos: Sequence[Path]) -> tuple[dict[int, NDArray[np.uint8]], str]:
    """Track → (n, 150, 150, 3) uint8 RGB of its best faces, out of the videos; and why there are none."""
    if not videos:
        return {}, "its video is not known"
    try:
        recording = open_recording(videos)
        chips = {
            track: [
                align(picture, face.landmarks)
                for sample, face in _spread(faces, _MOST_COMPARED)
                if (picture := recording.picture_at(sample.frame)) is not None
            ]
            for track, faces in best_faces(samples).items()
        }
    except VideoError:
        return {}, "its video is not where it was"
    return {track: np.stack(found) for track, found in chips.items() if found}, ""


def _lettered(people: Sequence[Person], same_person: float) -> list[Person]:
    """One patient's, with a letter for those who look the same: A is in most sessions.

    :param same_person: of the :class:`pipeline.identity.embedding.Embedder`.
    """
    sessions = sorted({person.session_id for person in people})
    # as if each session were one sample: two people of one session are never the same
    known = [
        TrackInfo(
            track=number,
            present=np.array([sessions.index(person.session_id)]),
            time_s=np.array([_NEVER_S * sessions.index(person.session_id)]),
            centres=np.zeros((1, 2)),
            face_px=1.0,
            embeddings=person.embeddings,
        )
        for number, person in enumerate(people)
        if len(person.embeddings) and not is_mixed(person.embeddings, same_person)
    ]
    letters = link_tracks(known, same_person)
    return [
        replace(person, alike=_letter(letters[number]) if number in letters else "")
        for number, person in enumerate(people)
    ]


def _noted(people: Sequence[Person], same_person: float) -> list[Person]:
    """One patient's, with a note where somebody else looks like who was recognised in another session."""
    sure = [p for p in people if p.role == "patient" and p.confidence and len(p.embeddings)]
    if not sure:
        return list(people)
    references = np.concatenate([person.embeddings for person in sure])
    sessions = ", ".join(sorted({person.session_id for person in sure}))
    by_session: dict[str, dict[int, NDArray[np.float32]]] = defaultdict(dict)
    for person in people:
        by_session[person.session_id][person.number] = person.embeddings
    found = {name: recognise(row, references, same_person).person for name, row in by_session.items()}
    noted = []
    for person in people:
        like = found[person.session_id]
        alike = like == person.number
        if not person.confidence and alike != (person.role == "patient") and like is not None:
            looks = "looks" if alike else f"does not look, but person {like} does,"
            person = replace(person, note=f"{looks} like the patient of {sessions}: please check")
        noted.append(person)
    return noted


class _Sessions:
    """What a table of people is checked against. The last one is kept: rows come session by session."""

    def __init__(self, out: Path) -> None:
        self._out, self._known = out, set(_sessions(out))
        self._samples: tuple[Ids, list[FrameFaces]] = (("", ""), [])

    def fault(self, ids: Ids, source: str, role: str, tracks: Sequence[str]) -> tuple[str, str] | None:
        """The column and what is wrong with it."""
        if ids not in self._known:
            return "session_id", f"{shown(' '.join(ids))}: there is no such session here."
        if source != _source(self._of(ids)):
            return "source", "the session was processed again since; make the table anew."
        if role not in ROLES:
            return "role", f"{shown(role)}: write {', '.join(ROLES)}."
        if not tracks or not all(track.isdecimal() and len(track) <= _MAX_DIGITS for track in tracks):
            return "tracks", "not as it was written; make the table anew."
        return None

    def two_at_once(self, ids: Ids, roles: Mapping[int, str]) -> bool:
        return any(
            sum(roles.get(face.track or 0) == "patient" for face in sample.faces) > 1
            for sample in self._of(ids)
        )

    def _of(self, ids: Ids) -> list[FrameFaces]:
        if self._samples[0] != ids:
            self._samples = ids, _read(self._out, ids)[1]
        return self._samples[1]


def _cells(person: Person) -> dict[str, str]:
    return {
        "patient_id": person.patient_id,
        "session_id": person.session_id,
        "person": str(person.number),
        "role": person.role,
        "alike": person.alike,
        "seconds": f"{person.seconds:.0f}",
        "first_s": f"{person.first_s:.1f}",
        "last_s": f"{person.last_s:.1f}",
        "chosen_by": person.chosen_by,
        "confidence": "" if person.confidence is None else f"{person.confidence:.2f}",
        "note": person.note,
        "tracks": " ".join(map(str, person.tracks)),
        "source": person.source,
    }


def _source(samples: Sequence[FrameFaces]) -> str:
    places = [
        (sample.sample, face.track or 0, *face.box_xyxy.tolist())
        for sample in samples
        for face in sample.faces
    ]
    return hashlib.sha256(np.array(places, np.float64).tobytes()).hexdigest()[:12]


def _read(out: Path, ids: Ids) -> tuple[Timeline, list[FrameFaces]]:
    timeline = read_timeline(timeline_path(out, *ids))
    return timeline, read_samples(timeline, faces_path(out, *ids))


def _letter(number: int) -> str:
    """1 → A, 26 → Z, 27 → AA."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).resize((_SHOWN_PX, _SHOWN_PX)).save(file, "JPEG", quality=80)
    return file.getvalue()


def _spread(row: Sequence[Any] | NDArray[Any], most: int) -> list[Any]:
    """At most so many of them, from first to last."""
    if not len(row):
        return []
    return [row[n] for n in np.unique(np.linspace(0, len(row) - 1, most).round().astype(int))]


def _together(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
