"""Set aside the results of sessions without consent, so that no command reads them.

    OUT/withdrawn/<patient>/<session>/consent.json       no consent; whether all files are set aside
                                     /timelines/….parquet.withdrawn    files that can't be made again

The existence of this folder means that there is no consent, independent of other files. Files that can't be
made again are moved there with their path: the timeline, the faces, the roles, and files that raters may have
edited. All other files of the session are deleted: pages, episodes, unfinished chunks, the review copy,
exports. ``emonext purge`` also deletes the folder.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.agreement.rated_clips import clips_path
from pipeline.analysis.summaries import episodes_path
from pipeline.errors import OutputError
from pipeline.exchange.manifest import remove_empty
from pipeline.identity.gallery import gallery_path
from pipeline.identity.roles import roles_path
from pipeline.privacy.mentions import mentions
from pipeline.privacy.purge import Plan, mentions_left, plan_purge, remove_planned
from pipeline.records import Ids
from pipeline.store.audit import IDS_FILE
from pipeline.store.files import atomic, make_private_folder
from pipeline.store.folders import PEOPLE_FILE
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.refusals import SET_ASIDE_SUFFIX, refusal_folder, refused_sessions, set_aside_path
from pipeline.store.status import WITHOUT_CONSENT, Outcome


@dataclass(frozen=True)
class SetAside:
    """Effects of setting aside a session beyond its own files.

    :param shared: files that also held other sessions, or that a person may have edited; deleted or moved.
    :param mentions: files of other origin that still mention the session, relative to the folder.
    """

    shared: tuple[Path, ...] = ()
    mentions: tuple[str, ...] = ()


def leave_out(out: Path, ids: Ids, before: Outcome | None = None, own_text: Sequence[bytes] = ()) -> SetAside:
    """Record that there is no consent, and set aside the session's results.

    Order: the record is written, so that no command reads the session; its tables are moved; derived files
    are deleted. The next run completes an interrupted one.

    :param own_text: the program's own text in every page, which mentions no patient.
    :returns: ``None`` if everything was set aside before.
    :raises OutputError: a file can't be moved, removed or written.
    :raises InputError: the folder is encrypted, and its key is not in use.
    """
    own = any(path.exists() for path in _own_paths(out, ids))
    if not own and _is_settled(out, ids):
        return SetAside()
    never_processed = before is None or before.state in WITHOUT_CONSENT
    if not own and never_processed and ids not in refused_sessions(out):
        _write_record(out, ids, settled=True)
        return SetAside()
    _write_record(out, ids, settled=False)
    tables = (timeline_path, faces_path, roles_path, gallery_path)
    for path in (path_of(out, *ids) for path_of in tables):
        _set_aside(out, ids, path)
    plan = plan_purge(out, *ids, own_text)
    worked_on = _worked_on(out, plan)
    for path in worked_on:
        _set_aside(out, ids, path)
    folder = refusal_folder(out, *ids)
    remove_planned(
        out,
        replace(
            plan,
            files=tuple(path for path in plan.files if not path.is_relative_to(folder)),
            # other tables belong to the study
            rows={
                path: count
                for path, count in plan.rows.items()
                if path in (out / PEOPLE_FILE, clips_path(out))
            },
            pages=(*plan.pages, *_overviews(out, ids[0])),
        ),
    )
    own_records = (f"withdrawn{os.sep}", "status.parquet", IDS_FILE)
    left = [line for line in mentions_left(out, plan, own_text) if not line.startswith(own_records)]
    _write_record(out, ids, settled=True)
    return SetAside((*plan.again, *worked_on), tuple(left))


def take_back(out: Path, ids: Ids) -> bool:
    """Restore set-aside files after consent is given again; return whether there were any.

    :raises OutputError: a file can't be moved.
    """
    folder = refusal_folder(out, *ids)
    if not folder.is_dir():
        return False
    _write_record(
        out, ids, settled=False
    )  # if this is interrupted, restored files are set aside again, or the next run continues
    found = sorted(folder.rglob(f"*{SET_ASIDE_SUFFIX}"))
    with _told_as_output_error(folder):
        for path in found:
            target = out / path.relative_to(folder).with_name(path.name.removesuffix(SET_ASIDE_SUFFIX))
            make_private_folder(target.parent)
            os.replace(path, target if target in _own_paths(out, ids) else _free(target))
        shutil.rmtree(folder)
    remove_empty(folder.parent, out)
    return bool(found)


def _own_paths(out: Path, ids: Ids) -> tuple[Path, ...]:
    """Files with only this session."""
    patient, session = ids
    return (
        timeline_path(out, *ids),
        faces_path(out, *ids),
        roles_path(out, *ids),
        gallery_path(out, *ids),
        episodes_path(out, *ids),
        out / ".unfinished" / patient / session,
        out / "logs" / patient / f"{session}.log",
        out / "reports" / patient / f"{session}.html",
        out / "review" / patient / f"{session}.html",
        out / "review" / patient / f"{session}.mp4",
    )


def _overviews(out: Path, patient_id: str) -> tuple[Path, ...]:
    """Pages of several sessions; they are written again without this session."""
    reports = out / "reports"
    return reports / "index.html", reports / "study.html", reports / patient_id / "index.html"


def _worked_on(out: Path, plan: Plan) -> list[Path]:
    """Exported files with this session that a person may have edited, such as ELAN's and BORIS'."""
    exports, again = out / "exports", plan.again.keys()
    if exports.is_symlink():
        return []
    files = (path for path in sorted(exports.rglob("*")) if path.is_file() and not path.is_symlink())
    return [
        path
        for path in files
        if path not in again and (path in plan.files or mentions(path, plan.words, (), path.relative_to(out)))
    ]


def _set_aside(out: Path, ids: Ids, path: Path) -> None:
    if path.exists():
        target = set_aside_path(out, *ids, path)
        with _told_as_output_error(path):
            make_private_folder(target.parent)
            os.replace(path, target)


def _free(path: Path) -> Path:
    """The path, or a free path beside it if it exists."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def _is_settled(out: Path, ids: Ids) -> bool:
    """Whether everything is set aside; an unreadable record counts as no."""
    try:
        record = json.loads((refusal_folder(out, *ids) / "consent.json").read_bytes())
    except (OSError, ValueError):
        return False
    return record == {"consent": False, "settled": True}


def _write_record(out: Path, ids: Ids, *, settled: bool) -> None:
    with atomic(refusal_folder(out, *ids) / "consent.json") as partial:
        partial.write_text(json.dumps({"consent": False, "settled": settled}), encoding="utf-8")


@contextmanager
def _told_as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: can't be moved ({error.strerror}); put that right, then run `emonext process` again."
        ) from error
