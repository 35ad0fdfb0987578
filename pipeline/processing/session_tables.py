"""Write the two tables of a session from samples and read samples back without the video."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.faces.quality import QualityLimits
from pipeline.faces.states import Readings, infer_states
from pipeline.identity.patient import Patient
from pipeline.reasons import Reason, read_reason, write_reason
from pipeline.records import EMOTIONS, NO_PICTURE, UNSURE, Face, FaceState, FrameFaces, valence
from pipeline.store.coverage import MIN_COVERAGE, Summary, summarize
from pipeline.store.parquet import as_frame, malformed_as_timeline_error, to_table, write_table
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.timeline import FACES_SCHEMA, TIMELINE_SCHEMA, Timeline, read_faces


def write_session(
    out: Path,
    patient_id: str,
    session_id: str,
    samples: Sequence[FrameFaces],
    patient: Patient,
    metadata: Mapping[str, Any],
) -> Timeline:
    """Write the faces and the timeline of a session; return the written timeline.

    :param samples: with tracks and probabilities of their faces.
    :param metadata: metadata of the video; patient and findings are added.
    :raises OutputError: a file can't be written.
    """
    ids = {"patient_id": patient_id, "session_id": session_id}
    quality = QualityLimits(**metadata["settings"]["quality"])
    table = to_table(TIMELINE_SCHEMA, _timeline_rows(ids, samples, patient, quality))
    summary = summarize(Timeline(as_frame(table), metadata))
    patient = _checked(patient, summary)
    described = {**metadata, "patient": _describe_patient(patient, samples)}
    described |= _findings(described, summary, patient)
    everyone = metadata["settings"].get("score_everyone", False)
    faces = to_table(FACES_SCHEMA, _face_rows(ids, samples, patient, everyone=everyone))
    write_table(faces_path(out, patient_id, session_id), faces, described)
    write_table(timeline_path(out, patient_id, session_id), table, described)
    return Timeline(as_frame(table), described)


def read_samples(timeline: Timeline, faces: Path) -> list[FrameFaces]:
    """Read the written samples, without pictures.

    :param faces: the session's file in ``faces/``.
    :raises TimelineError: the file is missing, damaged, or not of this version.
    """
    found: dict[int, list[Face]] = {}
    rows = read_faces(faces).rows
    with malformed_as_timeline_error(faces):
        for row in rows.iter_rows(named=True):
            found.setdefault(row["sample"], []).append(_face(row))
    columns = timeline.rows.select("sample", "frame", "time_s", pl.col("status").cast(pl.String), "voice")
    return [
        FrameFaces(sample, frame, time_s, status != "decode_error", tuple(found.get(sample, ())), voice)
        for sample, frame, time_s, status, voice in columns.iter_rows()
    ]


def read_roles(faces: Path) -> dict[int, str]:
    """Track → role, from a file in ``faces/``.

    :raises TimelineError: as for :func:`read_samples`.
    """
    rows = read_faces(faces).rows.select("track", pl.col("role").cast(pl.String)).unique("track")
    return dict(rows.iter_rows())


def status_of(sample: FrameFaces, patient: Face | None, quality: QualityLimits) -> str:
    """One of :data:`pipeline.records.STATUSES`."""
    if not sample.decoded:
        return "decode_error"
    if patient is None:
        return "other_person" if sample.faces else "no_face"
    return "ok" if quality.accept(patient) else "low_quality"


def _timeline_rows(
    ids: Mapping[str, str], samples: Sequence[FrameFaces], patient: Patient, quality: QualityLimits
) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {name: [] for name in TIMELINE_SCHEMA.names}
    faces = [next((face for face in s.faces if face.track in patient.tracks), None) for s in samples]
    statuses = [status_of(*both, quality) for both in zip(samples, faces, strict=True)]
    readable = [face if status == "ok" else None for face, status in zip(faces, statuses, strict=True)]
    states = _states(samples, readable)
    for sample, seen, awake, (state, resting) in zip(samples, faces, statuses, states, strict=True):
        status = "eyes_shut" if resting else awake
        values = _sample_values(ids, sample) | {"status": status}
        if seen and status == "low_quality":
            values["fault"] = quality.faults(seen)[0]
        values |= _face_values(seen) if seen else {}
        values |= _emotion_values(seen) if seen and status == "ok" else {}
        _append(rows, values | state)
    return rows


def _states(samples: Sequence[FrameFaces], faces: Sequence[Face | None]) -> list[tuple[dict[str, Any], bool]]:
    """The columns of each sample that depend on its neighbours, or on the sound; whether the patient rests.

    :param faces: of the patient; ``None`` where it is not readable.
    """
    numbers = np.array([_numbers(*both) for both in zip(samples, faces, strict=True)], np.float64)
    readings = Readings(np.array([s.time_s for s in samples]), *numbers.reshape(-1, 6).T)
    of = infer_states(readings)
    columns = (of.eyes_open, of.mouth_motion, readings.voice, of.speaking, of.chewing)
    known = np.stack(columns, axis=1)
    names = ("eyes_open", "mouth_motion", "voice", "speaking", "chewing")
    rows = [
        {name: None if np.isnan(value) else value for name, value in zip(names, row, strict=True)}
        | {"facing": facing}
        for row, facing in zip(known.tolist(), of.facing, strict=True)
    ]
    return list(zip(rows, of.resting.tolist(), strict=True))


def _numbers(sample: FrameFaces, face: Face | None) -> tuple[float, ...]:
    """Of :class:`pipeline.faces.states.Readings`."""
    voice = nan if sample.voice is None else sample.voice
    if face is None or face.state is None:
        return nan, nan, nan, nan, voice, nan
    happy = nan if face.probabilities is None else float(face.probabilities[EMOTIONS.index("happy")])
    return face.state.eye_opening, face.state.jaw_open, face.yaw, face.pitch, voice, happy


def _face_rows(
    ids: Mapping[str, str], samples: Sequence[FrameFaces], patient: Patient, *, everyone: bool
) -> dict[str, list[Any]]:
    """Emotions only of the patient, and of faces that may still turn out to be the patient.

    Carers are at work: the EU's AI Act (2024/1689, art. 5.1 f) forbids inferring emotions of people there.
    """
    rows: dict[str, list[Any]] = {name: [] for name in FACES_SCHEMA.names}
    for sample in samples:
        for face in sample.faces:
            values = _sample_values(ids, sample) | _face_values(face)
            if everyone or patient.state in UNSURE or face.track in patient.tracks:
                values |= _emotion_values(face)
            who = {"role": patient.role_of(face.track), "landmarks": face.landmarks.ravel().tolist()}
            _append(rows, values | who)
    return rows


def _append(rows: dict[str, list[Any]], values: Mapping[str, Any]) -> None:
    for name, column in rows.items():
        column.append(values.get(name))


def _sample_values(ids: Mapping[str, str], sample: FrameFaces) -> dict[str, Any]:
    return {**ids, "sample": sample.sample, "time_s": sample.time_s, "frame": sample.frame}


def _face_values(face: Face) -> dict[str, Any]:
    box = dict(zip(_EDGES, face.box_xyxy.tolist(), strict=True))
    return box | {name: getattr(face, name) for name in _FACE_COLUMNS}


# Share of time without a picture above which a session needs a check. Less is harmless: a camera starts late,
# or a screen does not change.
_MUCH_WITHOUT_PICTURE = 0.05

_EDGES = ("x1", "y1", "x2", "y2")

_FACE_COLUMNS = (
    "track",
    "detection",
    "face_px",
    "sharpness",
    "brightness",
    "yaw",
    "pitch",
    "roll",
    "covered",
)


_STATE_COLUMNS = ("eye_opening", "mouth_open", "jaw_open")


def _emotion_values(face: Face) -> dict[str, Any]:
    if face.probabilities is None:
        return {}
    of = dict(zip(EMOTIONS, face.probabilities.tolist(), strict=True))
    return {f"p_{name}": value for name, value in of.items()} | {
        "emotion": max(of, key=lambda name: of[name]),
        "valence": float(valence(face.probabilities)),
        **(vars(face.state) if face.state else {}),
    }


def _face(row: Mapping[str, Any]) -> Face:
    return Face(
        box_xyxy=np.array([row[edge] for edge in _EDGES], np.float32),
        landmarks=np.array(row["landmarks"], np.float32).reshape(5, 2),
        crop=NO_PICTURE,
        probabilities=None if row["p_happy"] is None else _probabilities(row),
        state=None if row["eye_opening"] is None else FaceState(*(row[name] for name in _STATE_COLUMNS)),
        **{name: row[name] for name in _FACE_COLUMNS},
    )


def _probabilities(row: Mapping[str, Any]) -> NDArray[np.float32]:
    return np.array([row[f"p_{name}"] for name in EMOTIONS], np.float32)


def _describe_patient(patient: Patient, samples: Sequence[FrameFaces]) -> dict[str, Any]:
    """Metadata of the patient: tracks, method, and number of people."""
    tracks = {face.track for sample in samples for face in sample.faces}
    return {
        "track": min(patient.tracks, default=None),
        "also": sorted(patient.tracks)[1:],
        "chosen_by": patient.chosen_by,
        "tracks": len(tracks),
        "identity": patient.state,
        "reason": write_reason(patient.reason),
        **({"photos": list(patient.photos)} if patient.photos else {}),
    }


def described_patient(metadata: Mapping[str, Any]) -> Patient:
    """The patient of a written session, without roles of other people."""
    of = metadata["patient"]
    tracks = frozenset(() if of["track"] is None else (of["track"], *of["also"]))
    photos = tuple(of.get("photos", ()))
    return Patient(tracks, of["chosen_by"], of["identity"], read_reason(of["reason"]), photos=photos)


def _checked(patient: Patient, summary: Summary) -> Patient:
    """Have a session checked of which too little was read: it may be a wrong recording, place or camera."""
    little = _too_little(summary)
    return replace(patient, state="hardly_seen") if little and patient.state == "recognised" else patient


def _too_little(summary: Summary) -> Reason | None:
    if summary.coverage >= MIN_COVERAGE:
        return None
    if not summary.coverage:
        return Reason.of("never_readable")
    return Reason.of("hardly_readable", percent=100 * summary.coverage)


def _findings(metadata: Mapping[str, Any], summary: Summary, patient: Patient) -> dict[str, Any]:
    """Coverage, loss of the video, and warnings for readers."""
    video, little = metadata["video"], _too_little(summary)
    undecoded_s = video["missing_s"] + summary.status_s["decode_error"]
    without_picture_s = video["without_picture_s"]
    much = without_picture_s > _MUCH_WITHOUT_PICTURE * video["duration_s"]
    lost_s = undecoded_s + (without_picture_s if much else 0.0)
    warnings = []
    if not metadata["patient"]["tracks"]:
        warnings.append(Reason.of("no_face_in_video"))
    elif patient.reason is not None and patient.state == "unknown":
        warnings.append(Reason.of("not_recognised", reason=patient.reason))
    elif patient.reason is not None and patient.state == "to_check":
        warnings.append(Reason.of("not_certain", reason=patient.reason))
    elif little is not None:
        warnings.append(little)
    if undecoded_s:
        warnings.append(Reason.of("undecoded", seconds=undecoded_s))
    written = [*video["notes"], *(warning.write() for warning in warnings)]
    return {"coverage": summary.coverage, "seconds_lost": lost_s, "warnings": written}
