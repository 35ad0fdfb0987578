"""Find what the page of a session can play: the annotated copy, or the recording where it was processed."""

from pathlib import Path

from pipeline.errors import InputError, VideoError
from pipeline.processing.session import Session
from pipeline.records import UNPLAYABLE_SUFFIXES, SessionVideo
from pipeline.review.annotated_video import find_recording, options_of_copy, review_folder
from pipeline.store.timeline import Timeline


def find_video(
    out: Path, patient_id: str, session_id: str, timeline: Timeline, *, original: bool
) -> SessionVideo | None:
    """The video of a session; ``None`` if nothing was asked for.

    A copy in which nobody is blurred is played only by the page of ``review``.

    :param original: the recording itself, with the face and voice of everybody in it; a blurred copy, if the
        recording is not there or no browser plays its format. Else only a blurred copy.
    """
    copy = review_folder(out, patient_id) / f"{session_id}.mp4"
    shown = options_of_copy(copy, timeline)
    outdated = shown is None and copy.is_file()
    recording = _recording(out, patient_id, session_id, timeline, outdated) if original else None
    if recording and not any(path.suffix.lower() in UNPLAYABLE_SUFFIXES for path, _ in recording.files):
        return recording
    if shown and shown.blur != "none":
        return SessionVideo(((copy, 0.0),), shown.blur, sound=shown.sound)
    if recording:
        return recording
    return SessionVideo((), "none", outdated=outdated) if original or outdated else None


def _recording(
    out: Path, patient_id: str, session_id: str, timeline: Timeline, outdated: bool
) -> SessionVideo | None:
    try:
        videos = find_recording(out, Session(patient_id, session_id, Path()), timeline)
    except (InputError, VideoError):
        return None  # moved, deleted or replaced
    starts_s = [float(file["start_s"]) for file in timeline.metadata["video"]["files"]]
    return SessionVideo(tuple(zip(videos, starts_s, strict=True)), "none", outdated=outdated)
