"""Store face embeddings of the person whom each session's timeline shows, and compare sessions by them.

Only embeddings are stored, only of that person, in the study's folder: they are encrypted with the folder and
purged with the patient.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipeline.identity.embedding import Embedder
from pipeline.records import Ids
from pipeline.stats.spread import spread
from pipeline.store.folders import GALLERY
from pipeline.store.parquet import as_frame, malformed_as_timeline_error, read_table, to_table, write_table

GALLERY_SCHEMA = pa.schema(
    [
        pa.field(
            "network", pa.string(), metadata={"meaning": "sha256 of the network that embedded the face"}
        ),
        pa.field(
            "chosen_by",
            pa.string(),
            metadata={"meaning": "how the patient was chosen: hand, photo, region, longest, …"},
        ),
        pa.field(
            "same_person",
            pa.float64(),
            metadata={"meaning": "largest distance between two embeddings of one person"},
        ),
        pa.field(
            "embedding", pa.list_(pa.float32()), metadata={"meaning": "one face of the session's patient"}
        ),
    ]
)

# Faces stored per session, spread over its time. With more faces, a stranger is more likely to be near one.
_MOST_FACES = 12

# Choices that a person made or supported, the surest first. What earlier sessions or a rule chose is no
# reference for other sessions, or an error would spread.
_REFERENCES = ("hand", "photo")


@dataclass(frozen=True, eq=False)
class StoredFaces:
    """Faces of the person whom a session's timeline shows.

    :param embeddings: (n, D).
    :param network: name of the embedder; only faces of one network can be compared.
    :param chosen_by: as in :class:`pipeline.identity.patient.Patient`.
    :param same_person: largest distance between two embeddings of one person.
    """

    embeddings: NDArray[np.float32]
    network: str
    chosen_by: str
    same_person: float

    @classmethod
    def by(cls, embed: Embedder, embeddings: NDArray[np.float32], chosen_by: str) -> "StoredFaces":
        """Faces that this network embedded."""
        return cls(embeddings, embed.name, chosen_by, embed.same_person)

    def is_far_from(self, other: "StoredFaces") -> bool:
        """Whether even the nearest two faces are not surely of one person.

        The nearest faces of one person in two recordings are 0.05 to 0.24 apart, with a limit of 0.40.
        """
        return float(cdist(self.embeddings, other.embeddings).min()) > self.same_person


def gallery_path(out: Path, patient_id: str, session_id: str) -> Path:
    return out / GALLERY / f"patient_id={patient_id}" / f"{session_id}.parquet"


def read_gallery(out: Path, patient_id: str) -> dict[str, StoredFaces]:
    """Session → its stored faces.

    :raises TimelineError: a file is damaged, or encrypted with another key.
    """
    return {
        session_id: _read(gallery_path(out, patient_id, session_id))
        for session_id in _stored(out, patient_id)
    }


def read_session_faces(out: Path, ids: Ids) -> StoredFaces | None:
    """The stored faces of one session, if there are any; errors as :func:`read_gallery`."""
    path = gallery_path(out, *ids)
    return _read(path) if path.exists() else None


def read_references(out: Path, patient_id: str, except_session: str, embed: Embedder) -> NDArray[np.float32]:
    """(g, D) embeddings by which the patient is recognised, from other sessions; g may be 0.

    :raises TimelineError: as for :func:`read_gallery`.
    """
    others = (
        _read(gallery_path(out, patient_id, name))
        for name in _stored(out, patient_id)
        if name != except_session
    )
    found = [
        faces.embeddings for faces in others if faces.network == embed.name and faces.chosen_by in _REFERENCES
    ]
    return np.concatenate(found) if found else np.zeros((0, 0), np.float32)


def write_gallery(out: Path, ids: Ids, faces: StoredFaces | None) -> None:
    """Store some of these faces; without any, remove the session's stored faces.

    :raises OutputError: the file can't be written.
    """
    path = gallery_path(out, *ids)
    if faces is None or not len(faces.embeddings):
        path.unlink(missing_ok=True)
        return
    rows = faces.embeddings[spread(len(faces.embeddings), _MOST_FACES)].tolist()
    of_all = {"network": faces.network, "chosen_by": faces.chosen_by, "same_person": faces.same_person}
    repeated = {name: [value] * len(rows) for name, value in of_all.items()}
    write_table(path, to_table(GALLERY_SCHEMA, {**repeated, "embedding": rows}), {})


def has_references(stored: Mapping[str, StoredFaces]) -> bool:
    """Whether some of these faces recognise the patient in other sessions."""
    return any(faces.chosen_by in _REFERENCES for faces in stored.values())


def unlike_others(
    stored: Mapping[str, StoredFaces], hardly_seen: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """The sessions of a patient that may show another person than the patient's other sessions.

    Sessions are compared with those in which a person named the patient; without any, with those of a photo;
    without any, with each other. If these do not agree, the majority counts; without a majority, every
    session is unlike those that show somebody else.

    :param stored: session → faces, of one patient.
    :param hardly_seen: sessions in which too little was read. If only the program chose the patient, they
        are compared with the other sessions, but no session is compared with them.
    :returns: session → the sessions whose person it does not surely show. Sessions in which a person named
        the patient are never among the keys.
    """
    unlike: dict[str, tuple[str, ...]] = {}
    for network in {faces.network for faces in stored.values()}:
        of = {session_id: faces for session_id, faces in stored.items() if faces.network == network}
        groups = _surest(of, hardly_seen)
        largest = max(groups, key=len)
        if 2 * len(largest) > sum(map(len, groups)):
            groups = [largest]
        for session_id, faces in of.items():
            if faces.chosen_by == "hand":
                continue
            others = [group for group in groups if session_id not in group and _is_far(faces, group, of)]
            if others:
                unlike[session_id] = tuple(sorted(set[str]().union(*others)))
    return unlike


def _surest(of: Mapping[str, StoredFaces], hardly_seen: Collection[str]) -> list[set[str]]:
    """The sessions to compare with, in groups of one person each."""
    for choice in _REFERENCES:
        named = {session_id for session_id, faces in of.items() if faces.chosen_by == choice}
        if named:
            return [named] if choice == "hand" else _groups(of, named)
    return _groups(of, of.keys() - set(hardly_seen) or of)


def _groups(of: Mapping[str, StoredFaces], sessions: Collection[str]) -> list[set[str]]:
    """The sessions, linked where they may show one person."""
    groups: list[set[str]] = []
    for session_id in sorted(sessions):
        near = [group for group in groups if not _is_far(of[session_id], group, of)]
        groups = [*(group for group in groups if group not in near), {session_id}.union(*near)]
    return groups


def _is_far(faces: StoredFaces, group: Collection[str], of: Mapping[str, StoredFaces]) -> bool:
    return all(faces.is_far_from(of[other]) for other in group)


def _stored(out: Path, patient_id: str) -> list[str]:
    """The patient's sessions with stored faces."""
    return sorted(path.stem for path in gallery_path(out, patient_id, "").parent.glob("*.parquet"))


def _read(path: Path) -> StoredFaces:
    rows = as_frame(read_table(path))
    with malformed_as_timeline_error(path):
        network, chosen_by, same_person, _ = rows.select(GALLERY_SCHEMA.names).row(0)
        return StoredFaces(np.array(rows["embedding"].to_list(), np.float32), network, chosen_by, same_person)
