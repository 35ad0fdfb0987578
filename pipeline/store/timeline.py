"""Read and check timelines: one row per sample of the patient, in Parquet. Later steps start from them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import InputError, TimelineError
from pipeline.faces.states import EYES_SHUT, FACINGS
from pipeline.records import EMOTIONS, FAULTS, ROLES, STATUSES
from pipeline.store.encryption import WRONG_KEY, for_reading, is_encrypted, key_id
from pipeline.store.folders import GALLERY
from pipeline.store.ids import check_stored_id
from pipeline.store.parquet import (
    DICTIONARY,
    METADATA_KEY,
    OTHER_KEY,
    as_frame,
    malformed_as_timeline_error,
    read_table,
)
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.refusals import SET_ASIDE_SUFFIX, refused_sessions, set_aside_path

SCHEMA_VERSION = 8


def _field(name: str, kind: pa.DataType, meaning: str, unit: str = "", *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable, {"meaning": meaning, "unit": unit})


_SAMPLE_FIELDS = [
    _field("patient_id", pa.string(), "pseudonym of the patient", nullable=False),
    _field("session_id", pa.string(), "session of that patient", nullable=False),
    _field("sample", pa.int32(), "position on the sampling grid, without a gap", nullable=False),
    _field(
        "time_s",
        pa.float64(),
        "presentation time from the start of the recording, as in players",
        "s",
        nullable=False,
    ),
    _field("frame", pa.int64(), "index in the container, by presentation time", nullable=False),
]

_FACE_FIELDS = [
    _field("track", pa.int32(), "face followed through consecutive samples; not an identity"),
    *(_field(edge, pa.float32(), "box, upright picture", "px") for edge in ("x1", "y1", "x2", "y2")),
    _field("detection", pa.float32(), "probability that this is a face", "0…1"),
    _field("face_px", pa.float32(), "√(width · height) of the box", "px"),
    _field("sharpness", pa.float32(), "variance of the Laplacian of the grey crop", "squared grey levels"),
    _field("brightness", pa.float32(), "mean grey level of the crop", "0…1"),
    *(
        _field(a, pa.float32(), "of the head, approximate; of small faces, from five landmarks", "degrees")
        for a in ("yaw", "pitch", "roll")
    ),
    _field("covered", pa.float32(), "how far the face is hidden; above 0.5, it is not readable", "0…1"),
    *(_field(f"p_{name}", pa.float32(), "calibrated probability", "0…1") for name in EMOTIONS),
    _field("emotion", DICTIONARY, "the class of the largest probability"),
    _field("eye_opening", pa.float32(), "distance of the lids ÷ distance of the eye's corners"),
    _field("mouth_open", pa.float32(), "distance of the lips ÷ distance of the mouth's corners"),
    _field("jaw_open", pa.float32(), "distance of lower lip and nose ÷ distance of the eyes' outer corners"),
    _field("valence", pa.float32(), "p_happy − max(p_angry, p_disgust, p_fear, p_sad)", "−1…1"),
]

TIMELINE_SCHEMA = pa.schema(
    [
        *_SAMPLE_FIELDS,
        _field("status", DICTIONARY, ", ".join(STATUSES), nullable=False),
        _field("fault", DICTIONARY, f"the first reason of low_quality: {', '.join(FAULTS)}"),
        *_FACE_FIELDS,
        _field(
            "eyes_open", pa.float32(), f"eye_opening ÷ the person's own open eye; below {EYES_SHUT:g}: shut"
        ),
        _field("mouth_motion", pa.float32(), "standard deviation of jaw_open within a second"),
        _field("voice", pa.float32(), "probability that a voice is heard, anybody's", "0…1"),
        _field("speaking", pa.float32(), "a voice is heard while the mouth moves", "0…1"),
        _field("chewing", pa.float32(), "the mouth moves in regular cycles, without a voice", "0…1"),
        _field("facing", DICTIONARY, f"where the head is turned: {', '.join(FACINGS)}"),
    ]
)
"""Columns of ``timelines/``. Face columns are null without the face; emotions and openings unless ``ok``."""

FACES_SCHEMA = pa.schema(
    [
        *_SAMPLE_FIELDS,
        _field("role", DICTIONARY, "patient, caregiver, other, unknown", nullable=False),
        *_FACE_FIELDS,
        _field("landmarks", pa.list_(pa.float32(), 10), "x, y of eyes, nose, corners of the mouth", "px"),
    ]
)
"""Columns of ``faces/``: every face of every sample."""


@dataclass(frozen=True)
class Timeline:
    """A timeline: rows in :data:`TIMELINE_SCHEMA`'s columns, and metadata."""

    rows: pl.DataFrame
    metadata: Mapping[str, Any]


def written_sessions(out: Path) -> list[tuple[str, str]]:
    """Patient and session of every timeline, in order, except sessions without consent."""
    paths = out.glob("timelines/patient_id=*/*.parquet")
    stored = {(path.parent.name.removeprefix("patient_id="), path.stem) for path in paths}
    return sorted(stored - refused_sessions(out))


def no_timeline(out: Path) -> str:
    """The message about a folder without :func:`written_sessions`."""
    return f"{out}: no timeline in this folder; run `emonext process` with --out {quote(str(out))} first."


def stored_timelines(out: Path) -> dict[tuple[str, str], Path]:
    """Patient and session → path of every timeline, set-aside ones included."""
    aside = {ids: set_aside_path(out, *ids, timeline_path(out, *ids)) for ids in refused_sessions(out)}
    written = {ids: timeline_path(out, *ids) for ids in written_sessions(out)}
    return {ids: path for ids, path in sorted((aside | written).items()) if path.exists()}


def check_key(out: Path) -> None:
    """Refuse to write plaintext, or with another key, into an encrypted folder.

    :raises InputError: one of its timelines is encrypted, and its key is not in use.
    """
    aside = out.glob(f"withdrawn/**/*.parquet{SET_ASIDE_SUFFIX}")
    for written in (*out.glob("timelines/*/*.parquet"), *aside):
        try:
            pq.read_schema(written, decryption_properties=for_reading(written))
        except (OSError, pa.ArrowException, ValueError) as error:
            # unreadable files are reported by their readers
            if WRONG_KEY in str(error):
                raise InputError(f"{written}: {OTHER_KEY}") from error


def unencrypted_tables(out: Path) -> list[Path]:
    """Plaintext tables in a folder with a key; empty if no key is in use."""
    kinds = ("timelines", "faces", "roles", GALLERY, "episodes", "summaries")
    if not key_id():
        return []
    paths = [path for kind in kinds for path in sorted(out.glob(f"{kind}/**/*.parquet"))]
    paths += sorted(out.glob(f"withdrawn/**/*.parquet{SET_ASIDE_SUFFIX}"))
    return [path for path in paths if path.is_file() and not is_encrypted(path)]


def read_timeline(path: Path) -> Timeline:
    """:raises TimelineError: the file is no timeline of this version, or as for :func:`read_table`."""
    return _read(path, TIMELINE_SCHEMA)


def reading_digest(timeline: Timeline) -> str:
    """Changes when the session is processed again, and when its patient is corrected.

    A corrected role changes only the patient and the tracks.
    """
    tracks = timeline.rows["track"].fill_null(-1).to_list()
    read = [timeline.metadata["created_at"], timeline.metadata["patient"], tracks]
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()


def sha256s(timeline: Timeline) -> list[str]:
    """Of the recording's files, in order of time."""
    return [file["sha256"] for file in timeline.metadata["video"]["files"]]


def ids_of(path: Path, timeline: Timeline) -> tuple[str, str]:
    """Patient and session, from the timeline's rows.

    :raises TimelineError: there is no row, or the rows and the path disagree.
    :raises InputError: an id is not safe in a path.
    """
    ids = timeline.rows.select("patient_id", "session_id").unique().rows()
    if not ids:
        raise TimelineError(f"{path}: holds no sample; process the video again.")
    if ids != [(path.parent.name.removeprefix("patient_id="), path.stem)]:
        patient_id, session_id = ids[0]
        raise TimelineError(
            f"{path}: holds patient {patient_id}, session {session_id}; move it back to "
            f"patient_id={patient_id}/{session_id}.parquet or process the video again."
        )
    for value in ids[0]:
        check_stored_id(f"{path}:", value)  # otherwise a patient named .. would be written outside the folder
    patient_id, session_id = ids[0]
    return patient_id, session_id


def read_faces(path: Path) -> Timeline:
    """Every face of every sample, in :data:`FACES_SCHEMA`'s columns; errors as :func:`read_timeline`."""
    return _read(path, FACES_SCHEMA)


def read_tables(out: Path, patient_id: str, session_id: str) -> tuple[Timeline, Timeline]:
    """Read timeline and faces of a session, and check that they belong together.

    :raises TimelineError: a table can't be read, is in the wrong place, or the two are of different runs.
    :raises InputError: as for :func:`ids_of`.
    """
    path = timeline_path(out, patient_id, session_id)
    timeline, faces = read_timeline(path), read_faces(faces_path(out, patient_id, session_id))
    ids_of(path, timeline)
    if timeline.metadata != faces.metadata:
        path = faces_path(out, patient_id, session_id)
        raise TimelineError(f"{path}: of another run than the timeline; process the video again.")
    return timeline, faces


def _read(path: Path, schema: pa.Schema) -> Timeline:
    table = read_table(path)
    try:
        metadata = json.loads((table.schema.metadata or {})[METADATA_KEY])
        version = metadata["schema_version"]
    except (KeyError, TypeError, ValueError) as error:
        raise TimelineError(
            f"{path}: not a timeline of this program; run `emonext process` again."
        ) from error
    if version != SCHEMA_VERSION or not table.schema.equals(schema):
        raise TimelineError(
            f"{path}: schema version {version}, not {SCHEMA_VERSION}; process the video again."
        )
    with malformed_as_timeline_error(path):
        table.validate(full=True)
        for field in schema:
            if table[field.name].null_count and not field.nullable:
                raise ValueError(f"{field.name} is missing")
        for name in _WORDS.keys() & set(schema.names):
            if not {*pc.unique(table[name].drop_null()).to_pylist()} <= {*_WORDS[name]}:
                raise ValueError(f"{name} has an unknown value")
        times = pc.drop_null(table["time_s"])
        if not pc.all(pc.is_finite(times)).as_py() and len(times):
            raise ValueError("a time is no number")
    return Timeline(as_frame(table), metadata)


_WORDS = {"status": STATUSES, "fault": FAULTS, "emotion": EMOTIONS, "role": ROLES, "facing": FACINGS}
