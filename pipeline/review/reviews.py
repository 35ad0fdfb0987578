"""Write the review of a session: an annotated copy of the video, and the page that plays it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from pipeline.errors import InputError, TimelineError
from pipeline.records import Ids, OnProgress
from pipeline.review.annotated_video import (
    CopyOptions,
    is_current,
    open_material,
    options_of_copy,
    read_consented,
    review_folder,
    write_copy,
)
from pipeline.review.drawing import Look
from pipeline.store.timeline import Timeline, written_sessions
from pipeline.video.recording import Recording

WritePage = Callable[[Timeline, Path, CopyOptions | None, Recording | None], Path]
"""Called with the timeline, the page's path, what the copy beside it shows, and the recording to link."""


@dataclass(frozen=True)
class Request:
    """What to write for each session.

    :param copy: ``None``: only the page.
    :param videos: current paths of the recording's files; empty: the paths at processing.
    :param original: whether the page links the recording.
    :param overwrite: whether to draw copies that are up to date.
    """

    copy: CopyOptions | None
    videos: Sequence[Path] = ()
    original: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Review:
    """:param drawn: whether the copy is new. ``shown``: what it shows; ``None`` without a copy."""

    page: Path
    drawn: bool
    shown: CopyOptions | None


def sessions_to_review(out: Path, patient_id: str | None, session_id: str | None) -> list[Ids]:
    """The sessions with a timeline, of all patients or of one, or the one session.

    :raises PipelineError: there is none, or the session can't be shown.
    """
    if patient_id is not None and session_id is not None:
        try:
            read_consented(out, patient_id, session_id)
        except TimelineError:
            find_written(out, patient_id, session_id)  # raises if there is no such session
            raise
        return [(patient_id, session_id)]
    return find_written(out, patient_id)


def find_written(out: Path, patient_id: str | None, session_id: str | None = None) -> list[Ids]:
    """The sessions with a timeline, of all patients or of one, or the one session.

    :raises InputError: there is none.
    """
    found = [
        ids for ids in written_sessions(out) if patient_id in (None, ids[0]) and session_id in (None, ids[1])
    ]
    if not found:
        whose = " ".join(["", "of", patient_id, session_id or ""]).rstrip() if patient_id else ""
        raise InputError(
            f"{out}: no session{whose} with a timeline; look with `emonext status {quote(str(out))}`."
        )
    return found


def in_other_languages(out: Path, language: str) -> list[tuple[Ids, bool]]:
    """Sessions whose page is in another language, and whether the page links the recording.

    :param language: its name, as ``<html lang>`` gives it.
    """
    found = []
    for ids in written_sessions(out):
        path = review_folder(out, ids[0]) / f"{ids[1]}.html"
        page = path.read_text("utf-8", errors="replace") if path.is_file() else ""
        if page and f'<html lang="{language}">' not in page:
            # a copy lies beside its page, and has a relative address
            found.append((ids, 'href="file:' in page or 'src="file:' in page))
    return found


def write_review(
    out: Path,
    ids: Ids,
    look: Look,
    write_page: WritePage,
    request: Request,
    on_progress: OnProgress = lambda done, total: None,
) -> Review:
    """Write a session's page, and the annotated copy if it is not up to date.

    :raises PipelineError: see :func:`open_material` and :func:`write_copy`.
    """
    timeline, _ = read_consented(out, *ids)
    path = review_folder(out, ids[0]) / f"{ids[1]}.mp4"
    wanted = request.copy
    draws = wanted is not None and (request.overwrite or not is_current(path, timeline, wanted))
    material = (
        open_material(out, *ids, request.videos) if draws or request.original or request.videos else None
    )
    if material is not None and draws and wanted is not None:
        write_copy(material, path, look, wanted, on_progress)
    on_progress(1, 1)
    shown = options_of_copy(path, timeline)
    recording = material.recording if material is not None and request.original else None
    return Review(write_page(timeline, path.with_suffix(".html"), shown, recording), draws, shown)
