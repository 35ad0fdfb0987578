"""Have sessions checked that may show another person than the patient's other sessions."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.identity.gallery import read_gallery, unlike_others
from pipeline.processing.session_tables import described_patient, read_samples, write_session
from pipeline.reasons import Reason
from pipeline.records import Ids
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.status import Outcome, read_outcomes, record
from pipeline.store.timeline import read_timeline

# Sessions that a reason names.
_MOST_NAMED = 4


def compare_sessions(out: Path, patients: Collection[str]) -> list[Outcome]:
    """Compare the stored faces of each patient's sessions; rewrite the sessions whose state changes.

    A session that may show another person than the others is to check, however its patient was chosen,
    unless a person named the patient. When the others do not contradict it any more, it is recognised again.

    :returns: the outcomes of the rewritten sessions.
    :raises TimelineError: a table can't be read. :raises OutputError: a table can't be written.
    """
    before = read_outcomes(out)
    changed = []
    for patient_id in sorted(patients):
        stored = read_gallery(out, patient_id)
        unlike = unlike_others(stored)
        for ids in ((patient_id, session_id) for session_id in stored):
            identity = before[ids].identity if ids in before else None
            if identity != "to_check" and (identity != "recognised" or ids[1] not in unlike):
                continue
            metadata = _rewritten(out, ids, unlike.get(ids[1], ()))
            if metadata is not None:
                changed.append(before[ids].with_result(metadata))
    record(out, *changed)
    return changed


def _rewritten(out: Path, ids: Ids, others: Collection[str]) -> Mapping[str, Any] | None:
    """Rewrite the session's tables if its state changes; return the metadata.

    :param others: sessions that may show somebody else.
    """
    path = timeline_path(out, *ids)
    with malformed_as_timeline_error(path):
        patient = described_patient(read_metadata(path))
    marked = patient.reason is not None and patient.reason.code == "unlike_sessions"
    if patient.state == "to_check" and not marked:
        return None  # for another reason
    reason = Reason.of("unlike_sessions", sessions=_named(others)) if others else None
    if reason == patient.reason if marked else reason is None:
        return None
    now = replace(patient, state="to_check" if others else "recognised", reason=reason)
    timeline = read_timeline(path)
    samples = read_samples(timeline, faces_path(out, *ids))
    return write_session(out, *ids, samples, now, timeline.metadata).metadata


def _named(sessions: Collection[str]) -> str:
    names = sorted(sessions)
    return ", ".join(names if len(names) <= _MOST_NAMED else [*names[:_MOST_NAMED], "…"])
