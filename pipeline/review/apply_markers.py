"""Write markers into ``events.csv`` of the results folder, and excluded time into the list of sessions."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipeline.analysis.events import EVENTS_FILE, column_name
from pipeline.processing.edited_list import Cells, edited_list
from pipeline.review.markers import Change, Marker, Spans, plan_changes
from pipeline.store.audit import audited
from pipeline.store.counts import number_of
from pipeline.store.files import replace_file
from pipeline.store.lock import folder_lock
from pipeline.store.spreadsheet import Cell, as_text, plain, read_table, write_rows

_EXCLUDE_COLUMN = "exclude"

_COLUMNS = ("patient_id", "session_id", "time_s", "what", "x_end_s")
"""Of a new ``events.csv``; an end is the study's own knowledge, and no analysis uses it."""


def apply_markers(
    out: Path, markers: Sequence[Marker], sessions_list: Path | None = None
) -> tuple[list[Change], dict[Path, Path | None]]:
    """Write what is new; the previous file stays beside each as ``*.bak``.

    :param sessions_list: as for :func:`pipeline.review.markers.plan_changes`.
    :returns: the changes; and each written file with the previous one, ``None`` if there was none.
    :raises InputError: as :func:`pipeline.review.markers.plan_changes`; nothing is written then.
    :raises OutputError: a file can't be written, or a run is using the folder.
    """
    with folder_lock(out):
        changes = plan_changes(out, markers, sessions_list)
        if not any(change.is_new for change in changes):
            return changes, {}
        with audited(out, "events", [change.ids for change in changes], {"apply": True}) as ending:
            for change in changes:
                ending.states[change.ids] = f"{number_of(len(change.events), 'event')} added"
            return changes, {**_write_excluded(changes), **_write_events(out, changes)}


def _write_excluded(changes: Sequence[Change]) -> dict[Path, Path | None]:
    by_list: dict[Path, dict[int, Cells]] = defaultdict(dict)
    for change in changes:
        if change.listed and change.exclude is not None:
            rows = _rows_to_change(change.listed.path, change.listed.rows)
            cells = {_EXCLUDE_COLUMN: exclude_cell(change.exclude)}
            by_list[change.listed.path] |= dict.fromkeys(rows, cells)
    return {path: replace_file(path, edited_list(path, rows)) for path, rows in by_list.items()}


def _write_events(out: Path, changes: Sequence[Change]) -> dict[Path, Path | None]:
    rows = [_event_row(event) for change in changes for event in change.events]
    path = out / EVENTS_FILE
    if not rows:
        return {}
    if path.exists():
        texts = [{name: as_text(cell) for name, cell in row.items()} for row in rows]
        return {path: replace_file(path, edited_list(path, {}, texts, column_name))}
    return {write_rows(path, _COLUMNS, rows): None}


def exclude_cell(spans: Spans) -> str:
    """As the column ``exclude`` of a list: ``120-180;300-310``, in s."""
    return ";".join(f"{start_s:.10g}-{end_s:.10g}" for start_s, end_s in spans)


def _event_row(event: Marker) -> dict[str, Cell]:
    return {
        "patient_id": event.ids[0],
        "session_id": event.ids[1],
        "time_s": event.start_s,
        "what": event.code,
        "x_end_s": event.end_s,
    }


def _rows_to_change(path: Path, rows: Sequence[int]) -> list[int]:
    """The first row of a session, and of further files those that repeat its value."""
    (_, header), *lines = read_table(path)
    names = [name.strip().casefold() for name in header]
    place = names.index(_EXCLUDE_COLUMN) if _EXCLUDE_COLUMN in names else None
    filled = {
        number for number, cells in lines if place is not None and place < len(cells) and plain(cells[place])
    }
    return [rows[0], *(number for number in rows[1:] if number in filled)]
