"""Have sessions checked that may show another person than the patient's other sessions."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.identity.gallery import read_gallery, unlike_others
from pipeline.identity.roles import patient_from_roles, roles_path
from pipeline.processing.session_tables import described_patient, read_samples, write_session
from pipeline.reasons import Reason
from pipeline.records import UNSURE, IdentityState, Ids
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.status import Outcome, read_outcomes, record
from pipeline.store.timeline import read_timeline, written_sessions

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
    written = set(written_sessions(out))
    changed = []
    for patient_id in sorted(patients):
        stored = read_gallery(out, patient_id)
        stored = {name: faces for name, faces in stored.items() if (patient_id, name) in written}
        unlike = unlike_others(stored)
        for ids in ((patient_id, session_id) for session_id in stored):
            if ids not in before or before[ids].identity not in ("recognised", "to_check"):
                continue
            # also if its tables are up to date: a run may have been killed before it recorded the state
            after = before[ids].with_result(_compared(out, ids, unlike.get(ids[1], ())))
            if after != before[ids]:
                record(out, after)
                changed.append(after)
    return changed


def _compared(out: Path, ids: Ids, others: Collection[str]) -> Mapping[str, Any]:
    """Rewrite the session's tables if its state changes; return the metadata.

    :param others: sessions that may show somebody else.
    """
    path = timeline_path(out, *ids)
    metadata = read_metadata(path)
    with malformed_as_timeline_error(path):
        patient = described_patient(metadata)
    marked = patient.reason is not None and patient.reason.code == "unlike_sessions"
    if patient.state == "confirmed" or (patient.state in UNSURE and not marked):
        return metadata
    recognised = _without_others(patient.reason)
    reason = _with_others(recognised, others) if others else recognised
    if reason == patient.reason:
        return metadata
    timeline = read_timeline(path)
    samples = read_samples(timeline, faces_path(out, *ids))
    hand = patient_from_roles(samples, roles_path(out, *ids))
    state: IdentityState = "to_check" if others else "recognised"
    now = replace(patient, state=state, reason=reason, roles=hand.roles if hand else {})
    return write_session(out, *ids, samples, now, timeline.metadata).metadata


def _with_others(recognised: Reason | None, others: Collection[str]) -> Reason:
    """The reason with the earlier one, which is restored when the others agree."""
    told = Reason.of("unlike_sessions", sessions=_named(others))
    return told if recognised is None else replace(told, values={**told.values, "before": recognised})


def _without_others(reason: Reason | None) -> Reason | None:
    if reason is None or reason.code != "unlike_sessions":
        return reason
    before = reason.values.get("before")
    return before if isinstance(before, Reason) else None


def _named(sessions: Collection[str]) -> str:
    names = sorted(sessions)
    return ", ".join(names if len(names) <= _MOST_NAMED else [*names[:_MOST_NAMED], "…"])
