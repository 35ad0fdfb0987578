"""The commands `people` and `review`."""

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from pipeline.commands.app import SESSIONS, app
from pipeline.commands.console import (
    EXIT_BAD_INPUT,
    EXIT_INCOMPLETE,
    err_console,
    overall_progress,
    progress_bar,
    refuse_given,
    say,
    tell_errors,
    tell_problems,
    warn,
    with_flags,
)
from pipeline.commands.networks import find_identity_file, make_embedder
from pipeline.commands.options import Directory, Identity, KeyFile, Lang
from pipeline.commands.work import work_in
from pipeline.store.counts import number_of

if TYPE_CHECKING:
    from pipeline.errors import TimelineError
    from pipeline.identity.embedding import Embedder
    from pipeline.records import Ids
    from pipeline.review.annotated_video import CopyOptions
    from pipeline.review.drawing import Look
    from pipeline.review.reviews import Request, Review
    from pipeline.store.timeline import Timeline
    from pipeline.video.recording import Recording
    from reports.words.language import Language


@app.command(rich_help_panel=SESSIONS)
def people(
    context: typer.Context,
    directory: Directory,
    apply: Annotated[
        Path | None, typer.Option(help="Table with corrected roles; rewrites the timelines.")
    ] = None,
    identity: Identity = "dlib",
    lang: Lang = None,
    key: KeyFile = None,
) -> None:
    """List the people in each session: a page on which to click who is who (it shows faces), and a table.

    Open the page in a browser, click the roles or draw the patient's seat, and save: the browser downloads a
    table. Or correct the column `role` of the folder's table (patient, caregiver, other, unknown) in a
    spreadsheet. Then give the table with --apply: this rewrites the timelines without the videos, and later
    runs keep the roles.

    Exit code 1: a session's tables can't be read; the others are done.

    Example: emonext people study, then emonext people study --apply study/people.csv
    """
    from pipeline.records import UNSURE
    from pipeline.review.apply_people import apply_people
    from pipeline.review.films import find_video
    from pipeline.review.people import find_people
    from pipeline.review.people_table import read_people, write_people
    from pipeline.review.stills import find_stills
    from pipeline.store.encryption import use_key
    from pipeline.store.spreadsheet import read_decimal
    from reports import write_reports
    from reports.forms.people import write_people_page
    from reports.options import language_of

    use_key(key)
    spoken = language_of(directory, lang)
    unreadable: list[TimelineError] = []
    if apply is not None:
        refuse_given(context, "a new page, not with --apply", "lang")
        roles, problems = read_people(directory, apply)
        if problems:
            tell_problems(apply, problems)
            raise typer.Exit(EXIT_BAD_INPUT)
        embed = _embedder(identity, "the patients' other sessions are not compared")
        pages: list[Path] = []

        def write_pages(out: Path) -> None:
            pages.append(write_reports(out, find_video=find_video))

        with progress_bar("Applying") as update:
            applied, others = apply_people(directory, roles, write_pages, embed, update, unreadable.append)
        doubtful = sum(outcome.identity in UNSURE for outcome in others)
        also = [f"{len(others) - doubtful} other sessions recognised"]
        also += [f"{doubtful} that may show somebody else to check"] if doubtful else []
        say(f"{number_of(len(applied), 'timeline')} rewritten; {', '.join(also)}.")
        if pages or not roles:
            say(f"Report: {directory / 'reports' / 'index.html'}")
        else:
            warn(f"{directory}: the reports are as they were before.")
        _tell_unreadable(unreadable)
        return
    embed = _embedder(identity, "people are distinguished by place and time only")
    with work_in(directory, "people", key, options={"apply": False}):
        with progress_bar("Looking for people") as update:
            found = find_people(directory, embed, update, unreadable.append)
        table = write_people(found, directory)
        with progress_bar("Looking for seats") as update:
            stills = find_stills(directory, found, update)
        decimal = read_decimal(directory)
        page = write_people_page(found, table, directory / "people.html", spoken, stills, decimal)
    say(f"Look at: {page}")
    say(f"Correct: {table}")
    _tell_unreadable(unreadable)


def _tell_unreadable(errors: "Sequence[TimelineError]", told: Container[object] = ()) -> None:
    """Print each error that was not told elsewhere; exit 1 if there is an error."""
    tell_errors(errors, told)
    if errors:
        raise typer.Exit(EXIT_INCOMPLETE)


def _embedder(identity: str, without: str) -> "Embedder | None":
    """The face embedder; ``None``, with a note, if dlib is not installed.

    :param without: what that means, for the note.
    :raises InputError: another embedder was asked for, and its file is not usable.
    """
    from pipeline.errors import InputError

    network = find_identity_file(identity)
    try:
        return make_embedder(network)
    except InputError as error:
        if network:
            raise
        err_console.print(f"Note: {without}. {escape(str(error))}")
        return None


@app.command(rich_help_panel=SESSIONS)
def review(
    context: typer.Context,
    directory: Directory,
    patient: Annotated[
        str | None, typer.Argument(help="A patient_id; default: all patients.", metavar="[PATIENT]")
    ] = None,
    session: Annotated[
        str | None, typer.Argument(help="A session_id; default: all of the patient.", metavar="[SESSION]")
    ] = None,
    blur: Annotated[
        Literal["others", "all", "none"],
        typer.Option(help="Faces to blur: others (all but the patient's), all, none."),
    ] = "others",
    ribbon: Annotated[
        bool,
        typer.Option("--ribbon", help="For a talk: draw the session's emotions below the picture."),
    ] = False,
    sound: Annotated[
        bool, typer.Option("--sound", help="Keep the sound; voices identify people. Default: no sound.")
    ] = False,
    no_video: Annotated[
        bool, typer.Option("--no-video", help="Write only the page; it plays the existing copy of the video.")
    ] = False,
    video: Annotated[
        list[Path] | None,
        typer.Option(help="New path of the session's recording; repeat for each of its files."),
    ] = None,
    original: Annotated[
        bool, typer.Option("--original", help="Link the original recording, which shows all faces.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also draw copies of videos that are up to date.")
    ] = False,
    lang: Lang = None,
    key: KeyFile = None,
) -> None:
    """Write a page to check a session: the video with detections drawn in, beside the timeline.

    Without SESSION, a page for each session. A copy of the video that is up to date is kept. For a talk, give
    --ribbon and --blur all, and take the video from DIR/review. Exit code 1: one of several sessions failed.

    Example: emonext review study P012 S01
    """
    from pipeline.errors import TimelineError
    from pipeline.review.annotated_video import CopyOptions
    from pipeline.review.films import find_video
    from pipeline.review.reviews import Request, sessions_to_review
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.files import remove_partials
    from pipeline.store.lock import folder_lock
    from pipeline.store.status import sessions_in
    from reports.options import language_of
    from reports.write import update_session_pages

    if no_video:
        new = ("blur", "ribbon", "sound", "overwrite")
        refuse_given(context, "a new copy of the video, not with --no-video", *new)
    if session is None:
        refuse_given(context, "PATIENT and SESSION", "video")
    use_key(key)
    spoken = language_of(directory, lang)
    sessions_in(directory)  # raises if there is no session, before the folder is locked
    copy = CopyOptions(blur, sound=sound, ribbon=ribbon, language=spoken.name)
    request = Request(None if no_video else copy, video or (), original=original, overwrite=overwrite)
    unreadable: list[TimelineError] = []
    shown = asdict(copy) | {"video": not no_video, "original": original}
    with folder_lock(directory):
        chosen = sessions_to_review(directory, patient, session)  # an unknown session is not logged
        remove_partials(directory / "review")
        with audited(directory, "review", chosen, shown) as ending:
            written, failed = _review(directory, chosen, request, spoken, alone=session is not None)
            try:
                update_session_pages(directory, written, find_video)
            except TimelineError as error:  # of any session of the folder
                unreadable.append(error)
            ending.states.update({ids: "failed" if ids in failed else "done" for ids in chosen})
    silent = [" ".join(ids) for ids, one in written.items() if sound and one.shown and not one.shown.sound]
    if silent:
        warn(f"the recording has no sound: {', '.join(silent)}.")
    if session is not None:
        (one,) = written.values()
        if not (one.drawn or no_video):
            say("The copy of the video is up to date. Use --overwrite to draw it again.")
        say(f"Review: {one.page}")
    else:
        _tell_reviews(directory, written, failed)
    _tell_unreadable(unreadable, failed.values())
    if failed:
        raise typer.Exit(EXIT_INCOMPLETE)


def _review(
    directory: Path, chosen: "Sequence[Ids]", request: "Request", language: "Language", *, alone: bool
) -> "tuple[dict[Ids, Review], dict[Ids, str]]":
    """The review of each session, and why the others failed.

    :param alone: whether there is one session, whose error is raised.
    """
    from pipeline.errors import PipelineError
    from pipeline.processing.session import Session
    from pipeline.review.reviews import write_review
    from reports.errors import ReportError

    look = look_in(language)
    write_page = partial(_write_page, language=language)
    written: dict[Ids, Review] = {}
    failed: dict[Ids, str] = {}
    with progress_bar("Drawing") as update:
        on_session = overall_progress(update, len(chosen))
        for ids in chosen:
            on_picture = partial(on_session, Session(*ids, Path()))
            try:
                written[ids] = write_review(directory, ids, look, write_page, request, on_picture)
            except (PipelineError, ReportError) as error:
                if alone:
                    raise
                failed[ids] = str(error)
                on_picture(1, 1)
    return written, failed


def _write_page(
    timeline: "Timeline",
    path: Path,
    shown: "CopyOptions | None",
    recording: "Recording | None",
    language: "Language",
) -> Path:
    from pipeline.faces.detection import FACE_THRESHOLD
    from reports.pages.review import write_review_page
    from reports.session_data import Film

    films = []
    if recording is not None:
        files = zip(recording.files, recording.starts, strict=True)
        films = [Film(info.path.resolve().as_uri(), start_s) for info, (start_s, _) in files]
    return write_review_page(
        timeline,
        path,
        blur=shown.blur if shown else None,
        face_threshold=FACE_THRESHOLD,
        recording=films,
        sound=shown is not None and shown.sound,
        language=language,
    )


def look_in(language: "Language") -> "Look":
    """What is written into copies of videos, in a language."""
    from pipeline.review.drawing import Look
    from reports.words.labels import DRAWN_WORDS, EMOTION_COLOURS, EMOTION_ORDER, EMOTION_WORDS, in_words

    words = in_words(EMOTION_WORDS, language)
    return Look(
        {name: words[name] for name in EMOTION_ORDER},
        EMOTION_COLOURS,
        in_words(DRAWN_WORDS, language),
        language.separators[0],
    )


def translate_reviews(directory: Path, language: "Language") -> None:
    """Write review pages that are in another language again; a copy's labels stay until it is drawn again."""
    from pipeline.review.reviews import Request, in_other_languages

    found = in_other_languages(directory, language.name)
    failed: dict[Ids, str] = {}
    for original in (False, True):
        chosen = [ids for ids, links_it in found if links_it == original]
        if chosen:
            failed |= _review(directory, chosen, Request(None, original=original), language, alone=False)[1]
    for ids, error in failed.items():
        warn(f"the review of {' '.join(ids)} stays in its language: {with_flags(error)}")


# Above this number, sessions that failed for one reason share a line, which names as many.
_MAX_ALIKE = 3


def _tell_reviews(directory: Path, written: "dict[Ids, Review]", failed: "dict[Ids, str]") -> None:
    """Print a line for each failed session, or for many with one cause, and a summary."""
    alike: defaultdict[str, list[Ids]] = defaultdict(list)
    for ids, error in failed.items():
        alike[error.partition(": ")[2].replace(" ".join(ids), "")].append(ids)  # without path and session
    for same in alike.values():
        told = same if len(same) <= _MAX_ALIKE else same[:1]
        for ids in told:
            line = f"{' '.join(ids)}: failed: {with_flags(failed[ids])}"
            err_console.print(line, markup=False, soft_wrap=True)
        if others := same[len(told) :]:
            named = ", ".join(map(" ".join, others[:_MAX_ALIKE])) + (", …" if others[_MAX_ALIKE:] else "")
            line = f"{number_of(len(others), 'other session')} failed for the same reason: {named}"
            err_console.print(line, markup=False, soft_wrap=True)
    kept = sum(not one.drawn for one in written.values())
    say(f"{len(written)} done ({kept} with a video that was up to date), {len(failed)} failed")
    say(f"Reviews: {directory / 'review'}")
    if failed:
        one = " ".join(map(quote, (str(directory), *next(iter(failed)))))
        say(f"Where a recording has moved: emonext review {one} --video FILE")
