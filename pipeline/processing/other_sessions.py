"""Have sessions checked that may show another person than the patient's other sessions."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import TimelineError, raise_error
from pipeline.identity.gallery import StoredFaces, has_references, read_gallery, unlike_others
from pipeline.identity.roles import patient_from_roles, roles_path
from pipeline.processing.session import Session
from pipeline.processing.session_tables import described_patient, read_samples, write_session
from pipeline.reasons import Reason
from pipeline.records import UNSURE, IdentityState, Ids
from pipeline.store.coverage import MIN_COVERAGE
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.status import WITHOUT_CONSENT, Outcome, read_outcomes, record
from pipeline.store.timeline import read_timeline, written_sessions

OnUnreadable = Callable[[TimelineError], None]
"""Called with a file of a session that can't be read, while other sessions go on."""


_DOUBTS = ("unlike_sessions", "reference_gone")

# Sessions that a reason names.
_MOST_NAMED = 4


def compare_sessions(
    out: Path, patients: Collection[str], on_unreadable: OnUnreadable = raise_error
) -> list[Outcome]:
    """Compare the stored faces of each patient's sessions; rewrite the sessions whose state changes.

    A session that may show another person than the others is to check, however its patient was chosen,
    unless a person named the patient; so is one that others recognised that do not count any more. When the
    doubt is gone, it is recognised again.

    :param on_unreadable: called with a table that can't be read; default: raise the error. If it holds faces,
        no session of the patient changes: without these faces, a doubt would be lost.
    :returns: the outcomes of the rewritten sessions.
    :raises OutputError: a table can't be written.
    """
    before = read_outcomes(out)
    written = set(written_sessions(out))
    changed = []
    for patient_id in sorted(patients):
        try:
            stored = read_gallery(out, patient_id)
        except TimelineError as error:
            on_unreadable(error)
            continue
        stored = {name: faces for name, faces in stored.items() if (patient_id, name) in written}
        hardly = [name for name in stored if _is_hardly_seen(before.get((patient_id, name)))]
        unlike = unlike_others(stored, hardly)
        for ids in ((patient_id, session_id) for session_id in stored):
            if ids not in before or before[ids].identity not in ("recognised", "hardly_seen", "to_check"):
                continue
            doubt = _doubt(ids[1], stored, unlike)
            try:
                # also if its tables are up to date: a run may have been killed before it recorded the state
                after = before[ids].with_result(_compared(out, ids, doubt))
            except TimelineError as error:
                on_unreadable(error)
                continue
            if after != before[ids]:
                record(out, after)
                changed.append(after)
    return changed


def _is_hardly_seen(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.coverage is not None and outcome.coverage < MIN_COVERAGE


def _doubt(
    session_id: str, stored: Mapping[str, StoredFaces], unlike: Mapping[str, Collection[str]]
) -> Reason | None:
    """Why the session may show somebody else."""
    if session_id in unlike:
        return Reason.of("unlike_sessions", sessions=_named(unlike[session_id]))
    if stored[session_id].chosen_by == "gallery" and not has_references(stored):
        return Reason.of("reference_gone")
    return None


def _compared(out: Path, ids: Ids, doubt: Reason | None) -> Mapping[str, Any]:
    """Rewrite the session's tables if its state changes; return the metadata."""
    path = timeline_path(out, *ids)
    metadata = read_metadata(path)
    with malformed_as_timeline_error(path):
        patient = described_patient(metadata)
    marked = patient.reason is not None and patient.reason.code in _DOUBTS
    if patient.state == "confirmed" or (patient.state in UNSURE and not marked):
        return metadata
    recognised = _before(patient.reason) if marked else patient.reason
    reason = recognised if doubt is None else _after(recognised, doubt)
    if reason == patient.reason:
        return metadata
    timeline = read_timeline(path)
    samples = read_samples(timeline, faces_path(out, *ids))
    hand = patient_from_roles(samples, roles_path(out, *ids))
    state: IdentityState = "recognised" if doubt is None else "to_check"
    now = replace(patient, state=state, reason=reason, roles=hand.roles if hand else {})
    return write_session(out, *ids, samples, now, timeline.metadata).metadata


def _after(recognised: Reason | None, doubt: Reason) -> Reason:
    """The doubt, with the earlier reason, which counts again when the doubt is gone."""
    return doubt if recognised is None else replace(doubt, values={**doubt.values, "before": recognised})


def _before(reason: Reason | None) -> Reason | None:
    before = reason.values.get("before") if reason else None
    return before if isinstance(before, Reason) else None


def _named(sessions: Collection[str]) -> str:
    names = sorted(sessions)
    return ", ".join(names if len(names) <= _MOST_NAMED else [*names[:_MOST_NAMED], "…"])


def under_other_ids(
    sessions: Collection[Session], stored: Iterable[Outcome]
) -> Iterator[tuple[Outcome, tuple[Session, ...]]]:
    """Stored sessions that have a recording of these sessions, but are none of them: perhaps earlier ids.

    By path, because a recording without consent is not opened.
    """
    own: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        for video in session.videos:
            own[str(video.resolve())].append(session)
    ids = {session.ids for session in sessions}
    for outcome in stored:
        same = {session.ids: session for video in outcome.videos for session in own.get(video, ())}
        if same and outcome.ids not in ids and outcome.state not in WITHOUT_CONSENT:
            yield outcome, tuple(same.values())
