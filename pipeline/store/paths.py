"""Paths of a session's tables in the results folder."""

from pathlib import Path


def timeline_path(out: Path, patient_id: str, session_id: str) -> Path:
    return _path(out, "timelines", patient_id, session_id)


def faces_path(out: Path, patient_id: str, session_id: str) -> Path:
    return _path(out, "faces", patient_id, session_id)


def _path(out: Path, kind: str, patient_id: str, session_id: str) -> Path:
    return out / kind / f"patient_id={patient_id}" / f"{session_id}.parquet"
