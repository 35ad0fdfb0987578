"""The commands `people` and `review`."""

from pathlib import Path
from typing import Annotated, Literal

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
from pipeline.commands.options import Directory, Identity, KeyFile
from pipeline.commands.work import work_in
from pipeline.store.counts import number_of


@app.command(rich_help_panel=SESSIONS)
def people(
    directory: Directory,
    apply: Annotated[
        Path | None, typer.Option(help="The table with its roles put right; rewrites the timelines.")
    ] = None,
    identity: Identity = "dlib",
    key: KeyFile = None,
) -> None:
    """Who is on the screen: a page of small pictures (it shows faces) and a table to correct.

    Put the column `role` right (patient, caregiver, other, unknown) and give the table back with --apply:
    the timelines are made anew, without the videos, and what you said is kept for later runs.

    Example: emonext people study, then emonext people study --apply study/people.csv
    """
    from pipeline.errors import InputError
    from pipeline.review.apply_people import apply_people
    from pipeline.review.people import find_people
    from pipeline.review.people_table import read_people, write_people
    from pipeline.store.encryption import use_key
    from reports import write_reports
    from reports.pages.people import write_people_page

    use_key(key)
    if apply is not None:
        roles, problems = read_people(directory, apply)
        if problems:
            tell_problems(apply, problems)
            raise typer.Exit(EXIT_BAD_INPUT)
        try:
            embed = make_embedder(find_identity_file(identity))
        except InputError as error:
            err_console.print(f"The patients' other sessions are not compared. {escape(str(error))}")
            embed = None
        with progress_bar("Applying") as update:
            applied, recognised = apply_people(directory, roles, write_reports, embed, update)
        say(f"{number_of(len(applied), 'timeline')} made again; {len(recognised)} more recognised by them.")
        say(f"Report: {directory / 'reports' / 'index.html'}")
        return
    network = find_identity_file(identity)
    try:
        embed = make_embedder(network)
    except InputError as error:
        if network:
            raise
        err_console.print(f"People are told apart by place and time alone. {escape(str(error))}")
        embed = None
    with work_in(directory, "people", key, options={"apply": False}):
        with progress_bar("Looking for people") as update:
            found = find_people(directory, embed, update)
        table = write_people(found, directory)
        page = write_people_page(found, table, directory / "people.html")
    say(f"Look at:   {page}")
    say(f"Put right: {table}")


@app.command(rich_help_panel=SESSIONS)
def review(
    context: typer.Context,
    directory: Directory,
    patient: Annotated[str, typer.Argument(metavar="PATIENT")],
    session: Annotated[str, typer.Argument(metavar="SESSION")],
    blur: Annotated[
        Literal["others", "all", "none"],
        typer.Option(help="Whose faces are blurred: those of others than the patient, all, none."),
    ] = "others",
    no_video: Annotated[
        bool, typer.Option("--no-video", help="The page alone; it plays the copy that is there.")
    ] = False,
    video: Annotated[
        list[Path] | None, typer.Option(help="Where the recording lies now; again for each of its files.")
    ] = None,
    original: Annotated[
        bool, typer.Option("--original", help="The page leads to the recording, which shows everybody.")
    ] = False,
    key: KeyFile = None,
) -> None:
    """One session's video beside its timeline, with what was read drawn in, for a person to check.

    Example: emonext review study P012 S01
    """
    from pipeline.faces.detection import FACE_THRESHOLD
    from pipeline.review.annotated_video import blur_of_copy, open_material, review_folder, write_copy
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.lock import folder_lock
    from pipeline.store.status import sessions_in
    from reports.pages.review import Film, write_review_page

    if no_video:
        refuse_given(context, "a new copy of the video, not with --no-video", "blur")
    use_key(key)
    sessions_in(directory)  # or nothing is there to be held
    shown = {"blur": blur, "video": not no_video, "original": original}
    with folder_lock(directory):
        # first: whoever is not here is not logged
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
            )
    say(f"Review: {page}")
