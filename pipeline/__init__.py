"""A video → frames → faces → tracks → emotions → timeline. Independent of the classifier's architecture.

    read_timeline(path)                          one session's samples of the patient
    read_faces(path)                             every face of every sample
    read_episodes(out, patient_id, session_id)   one session's episodes
    read_sessions(out)                           one row for each session
    read_measures(out)                           measures of every session, with intervals
    process_session(session, out, …)             a recording → its timeline

Each name is imported on first access: tables and networks take seconds to import.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "read_timeline": "pipeline.store.timeline",
    "read_faces": "pipeline.store.timeline",
    "read_episodes": "pipeline.analysis.summaries",
    "read_sessions": "pipeline.analysis.summaries",
    "read_measures": "pipeline.analysis.summaries",
    "process_session": "pipeline.processing.stages",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
