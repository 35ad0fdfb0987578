"""Store manual roles of people, so that later runs keep them.

Tracks get other numbers when a session is processed with other settings. A role is therefore stored with
places and times of its face; a face that is found there again gets the role.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.faces.detection import iou
from pipeline.identity.patient import Patient
from pipeline.reasons import Reason
from pipeline.records import ROLES, Face, FrameFaces
from pipeline.stats.spread import spread
from pipeline.store.encryption import is_encrypted, key_id
from pipeline.store.parquet import (
    as_frame,
    malformed_as_timeline_error,
    read_metadata,
    read_table,
    to_table,
    write_table,
)

ROLES_SCHEMA = pa.schema(
    [
        pa.field("role", pa.string(), metadata={"meaning": f"given by a person: {', '.join(ROLES)}"}),
        pa.field("time_s", pa.float64(), metadata={"meaning": "time of a sample of the track", "unit": "s"}),
        *(
            pa.field(edge, pa.float32(), metadata={"meaning": "box of the face then", "unit": "px"})
            for edge in ("x1", "y1", "x2", "y2")
        ),
    ]
)

# Places stored per track, spread over its time.
_MOST_PLACES = 60

# Minimum IoU with a stored place, and maximum difference in time (s), of a face found again.
_SAME_PLACE, _SAME_TIME_S = 0.3, 0.5

# If a smaller share of the patient's places is found again, the session must be checked.
_FOUND_AGAIN = 0.5


def roles_path(out: Path, patient_id: str, session_id: str) -> Path:
    return out / "roles" / f"patient_id={patient_id}" / f"{session_id}.parquet"


def write_roles(
    path: Path, samples: Iterable[FrameFaces], roles: Mapping[int, str], recording: Sequence[str] = ()
) -> None:
    """Write manual roles.

    :param roles: track → one of :data:`pipeline.records.ROLES`; empty if the session has no face.
    :param recording: sha256 of its files; without a face, only it tells what a person looked at.
    :raises OutputError: the file can't be written.
    """
    seen: dict[int, list[tuple[float, Face]]] = defaultdict(list)
    for sample in samples:
        for face in sample.faces:
            if face.track is not None and face.track in roles:
                seen[face.track].append((sample.time_s, face))
    rows: dict[str, list[Any]] = {name: [] for name in ROLES_SCHEMA.names}
    for track, faces in sorted(seen.items()):
        for time_s, face in (faces[n] for n in spread(len(faces), _MOST_PLACES)):
            values = (roles[track], time_s, *face.box_xyxy.tolist())
            for column, value in zip(rows.values(), values, strict=True):
                column.append(value)
    write_table(path, to_table(ROLES_SCHEMA, rows), {"recording": list(recording)})


def encrypt_table(path: Path) -> None:
    """Encrypt a table that was written before there was a key.

    :param path: a missing file is ignored.
    :raises TimelineError: the file is damaged. :raises OutputError: the file can't be written.
    """
    if path.exists() and key_id() and not is_encrypted(path):
        write_table(path, read_table(path), read_metadata(path))


def patient_from_roles(
    samples: Sequence[FrameFaces], kept: Path, recording: Sequence[str] | None = None
) -> Patient | None:
    """The patient by manual roles; ``None`` without manual roles.

    A track gets the role of most of its matching places; with a tie or without a match the role is unknown.
    If a face is found again at less than half of the patient's places, the session must be checked: it may
    have been processed with other settings. So it must if there was no face when a person looked.

    :param kept: from :func:`roles_path`.
    :param recording: sha256 of its files, if it may be another than the person looked at. That another
        recording has no face either was not approved.
    :raises TimelineError: the file is damaged, or encrypted with another key.
    """
    if not kept.exists():
        return None
    places = as_frame(read_table(kept))
    is_empty = places.is_empty() and not any(sample.faces for sample in samples)
    if is_empty and recording is not None and read_metadata(kept).get("recording") != list(recording):
        return None
    with malformed_as_timeline_error(kept):
        return _found_again(samples, places)


def _found_again(samples: Sequence[FrameFaces], places: pl.DataFrame) -> Patient:
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    times = np.array([sample.time_s for sample in samples])
    found = wanted = 0
    for role, time_s, *box in places.select(ROLES_SCHEMA.names).iter_rows():
        sample = samples[int(np.abs(times - time_s).argmin())]
        face = _face_at(sample, np.array(box)) if abs(sample.time_s - time_s) <= _SAME_TIME_S else None
        if face is not None and face.track is not None:
            votes[face.track][role] += 1
        if role not in ROLES:
            raise ValueError(f"{role} is no role")
        wanted += role == "patient"
        found += role == "patient" and face is not None
    roles = {track: _most(counts) for track, counts in votes.items()}
    tracks = frozenset(track for track, role in roles.items() if role == "patient")
    if not wanted:
        seen = {face.track for sample in samples for face in sample.faces if face.track is not None}
        if seen and places.is_empty():
            return Patient(tracks, "hand", "to_check", Reason.of("nobody_before"))
        if seen - {track for track, role in roles.items() if role != "unknown"}:
            return Patient(tracks, "hand", "unknown", Reason.of("roles_incomplete"), roles)
        return Patient(tracks, "hand", "confirmed", Reason.of("roles_without_patient"), roles)
    reason = Reason.of("roles_set", found=found, wanted=wanted)
    sure = found >= _FOUND_AGAIN * wanted
    return Patient(tracks, "hand", "confirmed" if sure else "to_check", reason, roles)


def apply_manual_roles(found: Patient, hand: Patient | None) -> Patient:
    """Let manual roles override the program's result.

    Without a manual patient, the program's result stands, except for people with a manual role.
    """
    if hand is None:
        return found
    if hand.tracks:
        return hand
    named = {track for track, role in hand.roles.items() if role != "unknown"}
    left = found.tracks - named
    if left and hand.state == "to_check":
        return replace(found, state=hand.state, reason=hand.reason)
    return replace(found, tracks=left, roles=hand.roles) if left else hand


def _most(counts: Counter[str]) -> str:
    (role, most), *others = counts.most_common(2)
    return "unknown" if others and others[0][1] == most else role


def _face_at(sample: FrameFaces, box_xyxy: NDArray[np.float64]) -> Face | None:
    over = [
        (float(iou(face.box_xyxy[None], box_xyxy[None])[0]), number)
        for number, face in enumerate(sample.faces)
    ]
    best, number = max(over, default=(0.0, -1))
    return sample.faces[number] if best >= _SAME_PLACE else None
