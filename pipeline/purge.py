"""Everything of a person, or of one session, goes from a folder; then it is searched for what is left.

Originals (videos, photos, ``sessions.csv``), backups and snapshots are not touched, and no link is followed.
A deleted file's bytes stay on the disk until the system writes over them.
"""

import csv
import io
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.audit import SessionId, audited, forget, read_ids
from pipeline.errors import InputError, OutputError, TimelineError
from pipeline.export_list import LIST_FILE, read_list, remove_empty
from pipeline.leftovers import Words, find_mentions, mentions
from pipeline.lock import holding
from pipeline.status import read_status
from pipeline.study import SESSIONS_FILE
from pipeline.timeline import (
    ID_PATTERN,
    RESERVED_IDS,
    atomic,
    check_id,
    check_key,
    read_metadata,
    read_table,
    remove_partials,
    write_table,
    written_sessions,
)

# What the program makes lies below these; nothing else is ever deleted.
_BY_SESSION = (
    *("timelines", "faces", "roles", "episodes", "summaries", "logs", ".unfinished", "reports", "review"),
)
KINDS = (*_BY_SESSION, "thumbnails", "people", "embeddings")

Known = Mapping[str, Collection[str]]
"""Patient → sessions."""


@dataclass(frozen=True)
class Plan:
    """What goes.

    :param sessions: whom the audit log has it of.
    :param files: theirs alone. ``rows``: by file that holds several people's.
    :param pages: mention them, or follow from everybody's sessions; made anew from what is left.
    :param words: what is searched for afterwards.
    """

    sessions: tuple[SessionId, ...]
    files: tuple[Path, ...]
    rows: Mapping[Path, int]
    pages: tuple[Path, ...]
    words: Words


@dataclass(frozen=True)
class Purged:
    """What went, by kind; and what still mentions it, relative to the folder."""

    counts: Mapping[str, int]
    mentions: tuple[str, ...]


def plan_purge(
    out: Path, patient_id: str, session_id: str | None = None, own_text: Sequence[bytes] = ()
) -> Plan:
    """What :func:`purge` would do.

    :param own_text: what every page holds of the program's own, such as scripts; it is about nobody.
    :raises InputError: an id is unusable, or nothing of it is in the folder.
    :raises OutputError: the status or the log's ids are damaged.
    """
    check_id("--patient", patient_id)
    if session_id is not None:
        check_id("--session", session_id)
    known = _known(out)
    words = Words(patient_id, session_id, known)
    exported = _exported(out, Words(patient_id, None, known))
    files, rows, pages = [], {}, []
    for path in _files(out):
        if path in exported:
            continue
        kind, *parts = path.relative_to(out).parts
        patient, session = _whose(parts, known) if kind in KINDS else (None, None)
        of_several = patient in (None, patient_id) and session is None
        if patient == patient_id and session_id in (None, session):
            files.append(path)
        elif path.is_symlink():
            continue
        elif kind == "summaries" and patient in (None, patient_id):
            pages.append(path)
        elif of_several and (count := _count_rows(path, patient_id, session_id)):
            rows[path] = count
        elif not (kind == "reports" or _is_own_page(path, out)):
            continue
        elif mentions(path, words, own_text, path.relative_to(out)):
            pages.append(path)
    theirs = set(known.get(patient_id, ()))
    sessions = theirs if session_id is None else theirs & {session_id}
    if not (files or rows or sessions or (session_id is None and (exported or patient_id in known))):
        raise InputError(_unknown(out, words, own_text))
    ids = tuple((patient_id, s) for s in sorted(sessions))
    return Plan(ids, (*files, *exported), rows, tuple(pages), words)


def purge(
    out: Path,
    patient_id: str,
    session_id: str | None,
    write_pages: Callable[[Path], object],
    own_text: Sequence[bytes] = (),
) -> Purged:
    """Deletes, has the pages made again, and searches every byte. What was stopped is done by doing it again.

    :param write_pages: called where a timeline is left.
    :raises InputError: as :func:`plan_purge`.
    :raises OutputError: another run is at work in the folder, or a file can't be removed.
    """
    check_key(out)  # the pages are made again from them
    with holding(out):
        plan = plan_purge(out, patient_id, session_id, own_text)
        remove_partials(out)  # the folder is held: whoever wrote them is dead
        kinds = Counter(path.relative_to(out).parts[0] for path in plan.files)
        counts = dict(kinds) | ({"rows": sum(plan.rows.values())} if plan.rows else {})
        options = {"of": "a patient" if session_id is None else "a session"}
        with audited(out, "purge", plan.sessions, options) as ending:
            _remove(out, plan)
            try:
                _remake_pages(out, write_pages)
            except Exception:
                # another's timeline is damaged: this person is gone all the same
                forget(out, patient_id, session_id)
                raise
            ending.counts |= counts
            ending.states |= dict.fromkeys(plan.sessions, "purged")
        # last: as long as the ids are known, a purge that was stopped finds what it has to do
        forget(out, patient_id, session_id)
        return Purged(counts, tuple(find_mentions(out, plan.words, KINDS, own_text)))


def _exported(out: Path, words: Words) -> dict[Path, None]:
    """The files of exports that mention the patient: whole, as they can be made again.

    The list of each comes last: a purge that was stopped finds by it what is left.
    """
    found: dict[Path, None] = {}
    for listed in (path for path in _files(out) if path.name == LIST_FILE and not path.is_symlink()):
        with suppress(OSError, OutputError):  # the search looks into it as it is
            names = [name for names in read_list(listed.parent).values() for name in names]
            paths = [*(listed.parent / name for name in reversed(names)), listed]
            if any(mentions(path, words, (), path.relative_to(out)) for path in paths if path.is_file()):
                found |= dict.fromkeys(paths)
    return found


def _is_own_page(path: Path, out: Path) -> bool:
    """Such as ``people.html``: of several people, and made again when it is asked for."""
    return path.parent == out and path.suffix == ".html"


def _unknown(out: Path, words: Words, own_text: Sequence[bytes]) -> str:
    found = list(find_mentions(out, words, KINDS, own_text)) if out.is_dir() else []
    also = f" But {len(found)} files mention it: {', '.join(found[:5])}." if found else ""
    return f"{out}: nothing of {words} in this folder.{also}"


def _known(out: Path) -> dict[str, set[str]]:
    """Whoever the folder holds something of, by its status, its log's ids and its folders' names."""
    known: defaultdict[str, set[str]] = defaultdict(set)
    for patient, session in read_status(out).select("patient_id", "session_id").rows():
        known[patient].add(session)
    for patient, sessions in read_ids(out).items():
        known[patient].update(sessions)
    for folder in (folder for kind in _BY_SESSION for folder in out.glob(f"{kind}/*/")):
        patient = _bare(folder.name)
        if ID_PATTERN.fullmatch(patient):
            names = {path.name if path.is_dir() else Path(_bare(path.name)).stem for path in folder.iterdir()}
            known[patient].update(filter(ID_PATTERN.fullmatch, names - set(RESERVED_IDS)))
    return dict(known)


def _bare(name: str) -> str:
    """``patient_id=P1`` and ``P1.partial`` are P1's."""
    return name.removesuffix(".partial").rpartition("=")[2]


def _whose(parts: Sequence[str], known: Known) -> tuple[str | None, str | None]:
    """Patient and session of a path below one of the kinds, as far as it tells."""
    patient, rest = _named(parts, known)
    return patient, _named(rest, known[patient])[0] if patient else None


def _named(parts: Sequence[str], ids: Collection[str]) -> tuple[str | None, Sequence[str]]:
    """The one id that the parts name, and what is left of them.

    A folder's whole name first: what lies in somebody's folder is theirs, whatever word its name holds.
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


def _remove(out: Path, plan: Plan) -> None:
    """:raises OutputError: a file can't be removed or written."""
    for path, count in plan.rows.items():
        _drop_rows(path, plan.words, count)
    for path in (*plan.files, *plan.pages):
        try:
            if path == out / "summaries" / "sessions.parquet":
                _empty(path)
            else:
                path.unlink(missing_ok=True)
            if path.relative_to(out).parts[0] not in KINDS:  # of an export; theirs go below
                remove_empty(path.parent, out)
        except OSError as error:
            raise OutputError(f"{path}: can't be removed ({error.strerror}); then purge again.") from error
    for kind in (kind for kind in KINDS if not (out / kind).is_symlink()):
        for folder, _, _ in os.walk(out / kind, topdown=False):
            with suppress(OSError):  # there is something in it
                Path(folder).rmdir()


def _empty(path: Path) -> None:
    """The settings in it stay: with them the summaries are made anew."""
    try:
        write_table(path, read_table(path).slice(0, 0), read_metadata(path))
    except TimelineError:
        path.unlink()  # damaged


def _remake_pages(out: Path, write_pages: Callable[[Path], object]) -> None:
    if written_sessions(out):
        write_pages(out)
        return
    reports = out / "reports"
    # the innermost first: what is left of a folder keeps those around it
    left = ((reports / "assets", "*.*"), (reports, "*.html"), (out / "summaries", "sessions.parquet"))
    for folder, names in left:
        if not (folder.is_symlink() or folder.parent.is_symlink()):
            for page in folder.glob(names):
                page.unlink()
            with suppress(OSError):  # there is something else in it, or it is not there
                folder.rmdir()


def _count_rows(path: Path, patient_id: str, session_id: str | None) -> int:
    """Of a table of several people; 0 for whatever is none, and for the study's own list."""
    if path.name == SESSIONS_FILE:
        return 0
    try:
        if path.suffix == ".parquet":
            return _count(_theirs(pq.ParquetFile(path).read(_ID_COLUMNS), patient_id, session_id))
        if path.suffix == ".csv":
            return sum(theirs for _, theirs in _csv_lines(path, patient_id, session_id))
    except (OSError, pa.ArrowException, csv.Error):
        return 0  # the search looks into it as it is
    return 0


_ID_COLUMNS = ["patient_id", "session_id"]


def _drop_rows(path: Path, words: Words, count: int) -> None:
    """Rewrites the table without them; without any row left, it goes."""
    if path.suffix == ".csv":
        lines = list(_csv_lines(path, words.patient_id, words.session_id))
        kept = [line for line, theirs in lines if not theirs]
        if len(kept) > 1:
            with atomic(path) as partial:
                partial.write_bytes("".join(kept).encode(errors="surrogateescape"))
            return
    else:
        table = pq.ParquetFile(path).read()
        if table.num_rows > count:
            left = table.filter(pc.invert(_theirs(table, words.patient_id, words.session_id)))
            with atomic(path) as partial:
                pq.write_table(_without_unused(left), partial, compression="zstd")
            return
    path.unlink()


def _theirs(table: pa.Table, patient_id: str, session_id: str | None) -> pa.ChunkedArray:
    """(rows,) bool; none where a column that would tell is missing."""
    wanted = {"patient_id": patient_id} | ({} if session_id is None else {"session_id": session_id})
    if not wanted.keys() <= set(table.column_names):
        return pa.chunked_array([pa.nulls(table.num_rows, pa.bool_()).fill_null(False)])
    same = [
        pc.equal(pc.cast(table[name], pa.string()), value).fill_null(False) for name, value in wanted.items()
    ]
    return same[0] if len(same) == 1 else pc.and_(*same)


def _count(mask: pa.ChunkedArray) -> int:
    return pc.sum(mask).as_py() or 0


def _without_unused(table: pa.Table) -> pa.Table:
    """A dictionary keeps values of which no row is left, and would be written with them."""
    for place, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            again = column.cast(column.type.value_type).dictionary_encode().cast(column.type)
            table = table.set_column(place, table.schema.field(place), again)
    return table


def _csv_lines(path: Path, patient_id: str, session_id: str | None) -> Iterator[tuple[str, bool]]:
    """Every line as it stands in the file, the header too, and whether it is theirs.

    A cell may hold line breaks: then several make one. Parted by ``;`` or ``,``.
    """
    text = path.read_bytes().decode(errors="surrogateescape")
    lines = list(io.StringIO(text, newline=""))
    header = lines[0] if lines else ""
    reader = csv.reader(iter(lines), delimiter=";" if header.count(";") > header.count(",") else ",")
    start, columns = 0, list[str]()
    for cells in reader:
        columns = columns or [name.strip("\ufeff \"'") for name in cells]
        values = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        theirs = values.get("patient_id") == patient_id and session_id in (None, values.get("session_id"))
        yield "".join(lines[start : reader.line_num]), theirs
        start = reader.line_num
