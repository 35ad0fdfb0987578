"""The commands `people` and `review`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from pipeline.commands.app import SESSIONS, app
from pipeline.commands.console import (
    EXIT_BAD_INPUT,
    err_console,
    progress_bar,
    refuse_given,
    say,
    tell_problems,
)
from pipeline.commands.networks import find_identity_file, make_embedder
from pipeline.commands.options import Directory, Identity, KeyFile, Lang
from pipeline.commands.work import work_in
from pipeline.store.counts import number_of

if TYPE_CHECKING:
    from pipeline.identity.embedding import Embedder


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

    Example: emonext people study, then emonext people study --apply study/people.csv
    """
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
    if apply is not None:
        refuse_given(context, "a new page, not with --apply", "lang")
        roles, problems = read_people(directory, apply)
        if problems:
            tell_problems(apply, problems)
            raise typer.Exit(EXIT_BAD_INPUT)
        embed = _embedder(identity, "the patients' other sessions are not compared")
        write_pages = partial(write_reports, find_video=find_video)
        with progress_bar("Applying") as update:
            applied, recognised = apply_people(directory, roles, write_pages, embed, update)
        say(f"{number_of(len(applied), 'timeline')} rewritten; {len(recognised)} other sessions recognised.")
        say(f"Report: {directory / 'reports' / 'index.html'}")
        return
    embed = _embedder(identity, "people are distinguished by place and time only")
    with work_in(directory, "people", key, options={"apply": False}):
        with progress_bar("Looking for people") as update:
            found = find_people(directory, embed, update)
        table = write_people(found, directory)
        with progress_bar("Looking for seats") as update:
            stills = find_stills(directory, found, update)
        decimal = read_decimal(directory)
        page = write_people_page(found, table, directory / "people.html", spoken, stills, decimal)
    say(f"Look at: {page}")
    say(f"Correct: {table}")


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
    patient: Annotated[str, typer.Argument(help="Its patient_id.", metavar="PATIENT")],
    session: Annotated[str, typer.Argument(help="Its session_id.", metavar="SESSION")],
    blur: Annotated[
        Literal["others", "all", "none"],
        typer.Option(help="Faces to blur: others (all but the patient's), all, none."),
    ] = "others",
    no_video: Annotated[
        bool, typer.Option("--no-video", help="Write only the page; it plays the existing copy of the video.")
    ] = False,
    video: Annotated[
        list[Path] | None, typer.Option(help="New path of the recording; repeat for each of its files.")
    ] = None,
    original: Annotated[
        bool, typer.Option("--original", help="Link the original recording, which shows all faces.")
    ] = False,
    lang: Lang = None,
    key: KeyFile = None,
) -> None:
    """Write a page to check one session: the video with detections drawn in, beside the timeline.

    Example: emonext review study P012 S01
    """
    from pipeline.faces.detection import FACE_THRESHOLD
    from pipeline.review.annotated_video import blur_of_copy, open_material, review_folder, write_copy
    from pipeline.review.films import find_video
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.lock import folder_lock
    from pipeline.store.status import sessions_in
    from reports.options import language_of
    from reports.pages.review import Film, write_review_page
    from reports.write import update_session_page

    if no_video:
        refuse_given(context, "a new copy of the video, not with --no-video", "blur")
    use_key(key)
    spoken = language_of(directory, lang)
    sessions_in(directory)  # raises if there is no session, before the folder is locked
    shown = {"blur": blur, "video": not no_video, "original": original}
    with folder_lock(directory):
        # before the audit log: an unknown session is not logged
        material = open_material(directory, patient, session, video or ())
        with audited(directory, "review", [(patient, session)], shown):
            folder = review_folder(directory, patient)
            copy = folder / f"{session}.mp4"
            if not no_video:
                with progress_bar("Drawing") as update:
                    write_copy(material, copy, blur, update)
            files = zip(material.recording.files, material.recording.starts, strict=True)
            films = [Film(info.path.resolve().as_uri(), start_s) for info, (start_s, _) in files if original]
            page = write_review_page(
                material.timeline,
                folder / f"{session}.html",
                blur=blur_of_copy(copy, material.timeline),
                face_threshold=FACE_THRESHOLD,
                recording=films,
                language=spoken,
            )
            update_session_page(directory, patient, session, find_video)
    say(f"Review: {page}")
