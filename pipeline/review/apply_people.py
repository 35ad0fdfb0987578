"""Apply manual roles to the timelines, and store references for the patient's other sessions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import TimelineError, VideoError, raise_error
from pipeline.identity.embedding import Embedder
from pipeline.identity.gallery import StoredFaces, read_references, read_session_faces, write_gallery
from pipeline.identity.patient import Patient, by_faces
from pipeline.identity.roles import apply_manual_roles, patient_from_roles, roles_path, write_roles
from pipeline.identity.session_people import people_by_face
from pipeline.processing.other_sessions import OnUnreadable, compare_sessions
from pipeline.processing.session_tables import described_patient, read_roles, write_session
from pipeline.reasons import Reason
from pipeline.records import UNSURE, FrameFaces, Ids, OnProgress
from pipeline.review.people import concatenated, face_pictures, read_session, videos_of
from pipeline.store.audit import audited
from pipeline.store.lock import folder_lock
from pipeline.store.paths import faces_path
from pipeline.store.status import Outcome, read_outcomes, record
from pipeline.store.timeline import sha256s
from pipeline.video.recording import open_recording


def apply_people(
    out: Path,
    said: Mapping[Ids, Mapping[int, str] | None],
    write_pages: Callable[[Path], object] = lambda out: None,
    embed: Embedder | None = None,
    on_session: OnProgress = lambda done, total: None,
    on_unreadable: OnUnreadable = raise_error,
) -> tuple[list[Outcome], list[Outcome]]:
    """Rewrite the timelines of these sessions; later runs keep the roles.

    With ``embed``, faces of a confirmed patient are decoded from the video and stored as references, and the
    patient's other unconfirmed sessions are compared with them. Other sessions that show somebody else are to
    check from now on.

    :param said: roles of tracks; ``None``: take back the approval of a session without a face.
    :param write_pages: called last, while the folder is still locked, so that no purge can run in between.
    :param on_unreadable: called with a table of another session that can't be read, while everything else is
        done; default: raise the error.
    :returns: outcomes of the sessions with manual roles, and of the patient's other sessions that
        changed.
    :raises OutputError: a file can't be written, or a run is using the folder.
    """
    applied, recognised = [], []
    with folder_lock(out):
        before = read_outcomes(out)
        waiting = _to_check(before, said) if embed is not None else []
        total = len(said) + len(waiting)
        with audited(out, "people", [*said, *waiting], {"apply": True}) as ending:
            for done, (ids, roles) in enumerate(said.items(), 1):
                if roles is None:
                    metadata, complete = _take_back(out, ids), True
                else:
                    metadata, complete = _apply_roles(out, ids, roles, videos_of(before.get(ids)), embed)
                if ids in before:
                    # without a fingerprint, the next run processes the session again
                    fingerprint = before[ids].fingerprint if complete else ""
                    applied.append(replace(before[ids].with_result(metadata), fingerprint=fingerprint))
                    record(out, applied[-1])
                    ending.states[ids] = "roles put right"
                on_session(done, total)
            for done, ids in enumerate(waiting, len(said) + 1):
                again = None
                try:
                    again = embed and _recognise_again(out, ids, videos_of(before[ids]), embed)
                except TimelineError as error:
                    on_unreadable(error)
                if again:
                    recognised.append(before[ids].with_result(again))
                    record(out, recognised[-1])
                    ending.states[ids] = "recognised"
                on_session(done, total)
            contradicted = compare_sessions(out, {patient_id for patient_id, _ in said}, on_unreadable)
            ending.states |= {outcome.ids: outcome.state for outcome in contradicted}
            if said:
                try:
                    write_pages(out)
                except TimelineError as error:
                    on_unreadable(error)
    return applied, recognised + contradicted


def _to_check(before: Mapping[Ids, Outcome], said: Mapping[Ids, object]) -> list[Ids]:
    """Other sessions of the same patients with an uncertain identity."""
    patients = {patient_id for patient_id, _ in said}
    return [
        ids
        for ids, outcome in before.items()
        if ids[0] in patients and ids not in said and outcome.identity in UNSURE
    ]


def _apply_roles(
    out: Path, ids: Ids, said: Mapping[int, str], videos: Sequence[Path], embed: Embedder | None
) -> tuple[Mapping[str, Any], bool]:
    """Rewrite the session's timeline with these roles and earlier manual roles.

    :returns: metadata of the timeline; and whether the patient's expression was stored.
    """
    timeline, samples = read_session(out, ids)
    kept = roles_path(out, *ids)
    before = patient_from_roles(samples, kept)
    known = read_roles(faces_path(out, *ids))
    was = described_patient(timeline.metadata)
    # a person who is set to unknown is no longer the patient by a guess
    guessed = frozenset(t for t, role in known.items() if role == "patient" and said.get(t) != "unknown")
    found = replace(was, tracks=guessed, photos=())
    roles = {**(before.roles if before else {}), **said}
    write_roles(kept, samples, roles, sha256s(timeline))
    hand = patient_from_roles(samples, kept)
    assert hand is not None
    # later runs use the places; here the tracks are identical
    tracks = frozenset(track for track, role in roles.items() if role == "patient")
    patient = apply_manual_roles(found, replace(hand, tracks=tracks, roles=roles))
    own = [face for sample in samples for face in sample.faces if face.track in patient.tracks]
    complete = all(face.probabilities is not None for face in own)
    if not complete:
        # the patient's expression is unknown until the video is processed again
        patient = Patient(frozenset(), "hand", "to_check", Reason.of("expression_not_stored"), roles)
    metadata = write_session(out, *ids, samples, patient, timeline.metadata).metadata
    # stored faces are still of the patient
    stored = read_session_faces(out, ids) if was.tracks <= patient.tracks else None
    faces = stored and replace(stored, chosen_by=patient.chosen_by)
    if embed is not None and patient.tracks and patient.state == "confirmed":
        pictures, _ = face_pictures([_with_tracks(sample, patient.tracks) for sample in samples], videos)
        if pictures:
            seen = concatenated([embed(found.chips) for found in pictures.values()])
            faces = StoredFaces.by(embed, seen, "hand")
    write_gallery(out, ids, faces)
    return metadata, complete


def _take_back(out: Path, ids: Ids) -> Mapping[str, Any]:
    """Rewrite the timeline of a session without a face as if nobody had approved it; return its metadata."""
    timeline, samples = read_session(out, ids)
    roles_path(out, *ids).unlink(missing_ok=True)
    rule = timeline.metadata["settings"]["patient_track"]
    nobody = Patient(frozenset(), rule, "unknown", Reason.of("no_face"))
    return write_session(out, *ids, samples, nobody, timeline.metadata).metadata


def _recognise_again(
    out: Path, ids: Ids, videos: Sequence[Path], embed: Embedder
) -> Mapping[str, Any] | None:
    """Rewrite the timeline if faces of confirmed sessions identify the patient; return its metadata."""
    if roles_path(out, *ids).exists() or not videos:
        return None
    gallery = read_references(out, *ids, embed)
    if not len(gallery):
        return None
    timeline, samples = read_session(out, ids)
    try:
        people = people_by_face(samples, open_recording(videos), embed)
    except VideoError:
        return None
    patient = by_faces(people, gallery[:0], gallery, embed)
    if patient.state != "recognised":
        return None
    metadata = write_session(out, *ids, people.samples, patient, timeline.metadata).metadata
    own = people.faces_of(patient.tracks)
    write_gallery(out, ids, StoredFaces.by(embed, own, patient.chosen_by))
    return metadata


def _with_tracks(sample: FrameFaces, tracks: Collection[int]) -> FrameFaces:
    return replace(sample, faces=tuple(face for face in sample.faces if face.track in tracks))
