"""Delete all data of a patient, or of one session, from a folder; then search the folder for mentions.

Originals (videos, photos, ``sessions.csv``), backups and snapshots are not touched, and no link is followed.
The bytes of a deleted file stay on the disk until the system overwrites them.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.analysis.events import EVENTS_FILE
from pipeline.errors import InputError, OutputError, TimelineError
from pipeline.exchange.manifest import remove_empty
from pipeline.privacy.mentions import IdPattern, find_mentions, mentions
from pipeline.privacy.purge_rows import count_rows, drop_rows, unclear_sessions
from pipeline.privacy.shared_outputs import SHARED, made_by_commands
from pipeline.records import Ids
from pipeline.store.audit import audited, forget, read_ids
from pipeline.store.counts import number_of
from pipeline.store.files import BACKUP_SUFFIX, remove_partials
from pipeline.store.folders import BY_SESSION
from pipeline.store.ids import ID_PATTERN, RESERVED_IDS, check_stored_id
from pipeline.store.lock import folder_lock
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata, read_table, write_table
from pipeline.store.paths import faces_path
from pipeline.store.refusals import set_aside_path
from pipeline.store.status import Outcome, read_outcomes, read_status, repair_status
from pipeline.store.timeline import check_key, stored_timelines, written_sessions

# The program's output; nothing else is ever deleted.
_MADE = (*BY_SESSION, *SHARED)

Known = Mapping[str, Collection[str]]
"""Patient → sessions."""


@dataclass(frozen=True)
class Plan:
    """The data to delete.

    :param sessions: ids of the sessions, for the audit log.
    :param files: files with only this patient. ``rows``: number of rows, by file with several patients.
    :param again: files with several patients that are deleted, and the command that writes each again.
    :param pages: pages that mention the patient or depend on all sessions; written again from the remaining
        data.
    :param unclear: rows that stay and may be of this patient, and the reason.
    :param same_recording: other sessions of the same recordings.
    :param words: the ids to search for afterwards.
    """

    sessions: tuple[Ids, ...]
    files: tuple[Path, ...]
    rows: Mapping[Path, int]
    again: Mapping[Path, str]
    pages: tuple[Path, ...]
    unclear: tuple[str, ...]
    same_recording: tuple[Ids, ...]
    words: IdPattern


@dataclass(frozen=True)
class Purged:
    """Number of deleted items by kind, and remaining mentions, relative to the folder.

    :param same_recording: files of other sessions of the same recordings, with the faces of everybody in the
        recording, relative to the folder.
    :param failed: the error while writing the pages again; the patient's data are deleted nevertheless.
    """

    counts: Mapping[str, int]
    mentions: tuple[str, ...]
    same_recording: tuple[str, ...] = ()
    failed: Exception | None = None


def plan_purge(
    out: Path, patient_id: str, session_id: str | None = None, own_text: Sequence[bytes] = ()
) -> Plan:
    """Plan a purge without deleting anything.

    :param own_text: the program's own text in every page, such as scripts; it mentions no patient.
    :raises InputError: an id is invalid, the folder has no data of it, or the key is not in use.
    :raises OutputError: the ids of the audit log are damaged.
    """
    check_stored_id("`patient_id`", patient_id)
    if session_id is not None:
        check_stored_id("`session_id`", session_id)
    check_key(out)  # timelines are read, also to write the pages again
    known = _known(out)
    words = IdPattern(patient_id, session_id, known)
    paths = list(_files(out))
    again = made_by_commands(out, paths, words, own_text)
    files, rows, pages = [], {}, []
    for path in (path for path in paths if path not in again):
        kind = path.relative_to(out).parts[0]
        patient, session = _whose(path.relative_to(out), known)
        of_several = patient in (None, patient_id) and session is None
        if patient == patient_id and session_id in (None, session):
            files.append(path)
        elif path.is_symlink():
            continue
        elif path == out / f"{EVENTS_FILE}{BACKUP_SUFFIX}":
            if mentions(path, words, own_text, path.relative_to(out)):
                files.append(path)
        elif kind == "summaries" and patient in (None, patient_id):
            pages.append(path)
        elif of_several and (count := count_rows(path, words)):
            rows[path] = count
        elif kind == "reports" and mentions(path, words, own_text, path.relative_to(out)):
            pages.append(path)
    theirs = set(known.get(patient_id, ()))
    sessions = theirs if session_id is None else theirs & {session_id}
    if not (files or rows or sessions or (session_id is None and (again or patient_id in known))):
        raise InputError(_unknown(out, words, own_text))
    ids = tuple((patient_id, session) for session in sorted(sessions))
    unclear, shared = _unclear(out, words), _of_same_recording(out, ids)
    return Plan(ids, tuple(files), rows, again, tuple(pages), unclear, shared, words)


def purge(
    out: Path,
    patient_id: str,
    session_id: str | None,
    write_pages: Callable[[Path], object],
    own_text: Sequence[bytes] = (),
) -> Purged:
    """Delete the data, write the pages again, and search every byte. Run an interrupted purge again.

    :param write_pages: called if a timeline remains. Its error is returned as ``failed``.
    :raises InputError: as :func:`plan_purge`.
    :raises OutputError: another run is using the folder, or a file can't be removed.
    """
    with folder_lock(out):
        repair_status(out)
        plan = plan_purge(out, patient_id, session_id, own_text)
        remove_partials(out)  # the folder is locked, so the writers of partial files are dead
        kinds = Counter(path.relative_to(out).parts[0] for path in (*plan.files, *plan.again))
        counts = dict(kinds) | ({"rows": sum(plan.rows.values())} if plan.rows else {})
        options = {"of": "a patient" if session_id is None else "a session"}
        failed: Exception | None = None
        try:
            with audited(out, "purge", plan.sessions, options) as ending:
                remove_planned(out, plan)
                ending.counts |= counts
                ending.states |= dict.fromkeys(plan.sessions, "purged")
                try:
                    remake_pages(out, write_pages)
                except Exception as error:
                    failed = error  # also record the error in the audit log
                    raise
        except Exception as error:
            if error is not failed:
                raise
        # last: while the ids are known, an interrupted purge can be repeated
        forget(out, patient_id, session_id)
        left = (*mentions_left(out, plan, own_text), *plan.unclear)
        return Purged(counts, left, tuple(_with_faces(out, plan.same_recording)), failed)


def _unknown(out: Path, words: IdPattern, own_text: Sequence[bytes]) -> str:
    found = list(find_mentions(out, words, _MADE, own_text)) if out.is_dir() else []
    mention = "mentions" if len(found) == 1 else "mention"
    also = f" But {number_of(len(found), 'file')} {mention} it: {', '.join(found[:5])}." if found else ""
    return f"{out}: nothing of {words} in this folder.{also}"


def _unclear(out: Path, words: IdPattern) -> tuple[str, ...]:
    return tuple(
        f"{EVENTS_FILE} (does not state whose session {session} is: it now counts as another patient's)"
        for session in unclear_sessions(out / EVENTS_FILE, words)
    )


def _of_same_recording(out: Path, sessions: Collection[Ids]) -> tuple[Ids, ...]:
    """Other sessions with a file of these sessions' recordings."""
    files = {ids: _recording(path) for ids, path in stored_timelines(out).items()}
    theirs = set[str]().union(*(files.get(ids, ()) for ids in sessions))
    return tuple(ids for ids, own in files.items() if ids not in sessions and own & theirs)


def _recording(timeline: Path) -> set[str]:
    """The sha256 of the recording's files; empty for a damaged timeline."""
    try:
        metadata = read_metadata(timeline)
        with malformed_as_timeline_error(timeline):
            return {file["sha256"] for file in metadata["video"]["files"]}
    except TimelineError:
        return set()


def _with_faces(out: Path, sessions: Sequence[Ids]) -> Iterator[str]:
    """Files that contain or show the faces of all people."""
    outcomes = read_outcomes(out)
    for ids in sessions:
        faces, copy = faces_path(out, *ids), out / "review" / ids[0] / f"{ids[1]}.mp4"
        for path in (faces, set_aside_path(out, *ids, faces), copy):
            if path.exists():
                yield str(path.relative_to(out))
        page = out / "reports" / ids[0] / f"{ids[1]}.html"
        if page.exists() and _plays_recording(page, outcomes.get(ids)):
            yield str(page.relative_to(out))


def _plays_recording(page: Path, outcome: Outcome | None) -> bool:
    """Whether a page plays the recording itself, as `report --video original` asks for."""
    content = page.read_bytes()
    return any(Path(video).as_uri().encode() in content for video in (outcome.videos if outcome else ()))


def _known(out: Path) -> dict[str, set[str]]:
    """All patients and sessions of the folder, from status, audit ids and folder names."""
    known: defaultdict[str, set[str]] = defaultdict(set)
    for patient, session in read_status(out).select("patient_id", "session_id").rows():
        known[patient].add(session)
    for patient, sessions in read_ids(out).items():
        known[patient].update(sessions)
    for folder in (folder for kind in BY_SESSION for folder in out.glob(f"{kind}/*/")):
        patient = _bare(folder.name)
        if ID_PATTERN.fullmatch(patient):
            names = {path.name if path.is_dir() else Path(_bare(path.name)).stem for path in folder.iterdir()}
            known[patient].update(filter(ID_PATTERN.fullmatch, names - set(RESERVED_IDS)))
    return dict(known)


def _bare(name: str) -> str:
    """The id in a name such as ``patient_id=P1`` or ``P1.partial``."""
    return name.removesuffix(".partial").rpartition("=")[2]


def _whose(path: Path, known: Known) -> tuple[str | None, str | None]:
    """Patient and session of a relative path, as far as known."""
    kind, *parts = path.parts
    if kind == "exports" and path.suffix == ".eaf":
        parts = parts[-1:]
    elif kind not in BY_SESSION:
        return None, None
    patient, rest = _named(parts, known)
    return patient, _named(rest, known[patient])[0] if patient else None


def _named(parts: Sequence[str], ids: Collection[str]) -> tuple[str | None, Sequence[str]]:
    """The id in the parts of a name, and the remaining parts.

    Whole folder names come first: a file in a patient's folder belongs to this patient, whatever its name.
    """
    for place, part in enumerate(parts):
        if _bare(part) in ids:
            return _bare(part), parts[place + 1 :]
    stem = Path(_bare(parts[-1])).stem if parts else ""
    if stem in ids:
        return stem, ()
    longest_first = "|".join(map(re.escape, sorted(ids, key=len, reverse=True)))
    for place, part in enumerate(parts):
        found = set(re.findall(f"(?<![A-Za-z0-9])(?:{longest_first})(?![A-Za-z0-9])", part)) if ids else set()
        if len(found) == 1:
            return found.pop(), parts[place:]
    return None, ()


def _files(out: Path) -> Iterator[Path]:
    """Files and links below the folder, in order; links are not followed."""
    for top, folders, files in os.walk(out):
        folders.sort()
        links = [name for name in folders if Path(top, name).is_symlink()]
        yield from (Path(top, name) for name in sorted([*files, *links]))


def remove_planned(out: Path, plan: Plan) -> None:
    """Delete the data of the plan; the pages are written again later.

    :raises OutputError: a file can't be removed or written."""
    for path, count in plan.rows.items():
        drop_rows(path, plan.words, count)
    for path in (*plan.files, *plan.again, *plan.pages):
        try:
            if path == out / "summaries" / "sessions.parquet":
                _empty(path)
            else:
                path.unlink(missing_ok=True)
            if path.relative_to(out).parts[0] not in _MADE:  # from an export under another name
                remove_empty(path.parent, out)
        except OSError as error:
            raise OutputError(
                f"{path}: can't be removed ({error.strerror}); put that right, then purge again."
            ) from error
    for kind in (kind for kind in _MADE if not (out / kind).is_symlink()):
        for folder, _, _ in os.walk(out / kind, topdown=False):
            with suppress(OSError):  # not empty
                Path(folder).rmdir()


def _empty(path: Path) -> None:
    """Empty a table but keep its settings, which the next summaries use."""
    try:
        write_table(path, read_table(path).slice(0, 0), read_metadata(path))
    except TimelineError:
        path.unlink()  # damaged


def mentions_left(out: Path, plan: Plan, own_text: Sequence[bytes]) -> Iterator[str]:
    """Files that still mention the ids of the plan, relative to the folder, and the place of the mention."""
    return find_mentions(out, plan.words, _MADE, own_text)


def remake_pages(out: Path, write_pages: Callable[[Path], object]) -> None:
    """Write the pages; without any timeline left, remove the remaining pages and tables."""
    if written_sessions(out):
        write_pages(out)
        return
    reports = out / "reports"
    # innermost first: a folder that is not empty keeps its parents
    left = (
        *((reports / "assets", "*.*"), (reports, "*.json"), (reports, "*.html")),
        (out / "summaries", "sessions.parquet"),
    )
    for folder, names in left:
        if not (folder.is_symlink() or folder.parent.is_symlink()):
            for page in folder.glob(names):
                page.unlink()
            with suppress(OSError):  # not empty, or missing
                folder.rmdir()
