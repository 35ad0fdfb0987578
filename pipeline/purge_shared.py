"""Results that hold a person among others, and that one command makes again: exports, and ``agree``'s.

They go whole, as figures of several people can't be parted. Whatever else lies beside them stays.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pipeline.audit import read_runs
from pipeline.errors import InputError
from pipeline.leftovers import Words, mentions
from pipeline.spreadsheet import read_table

SHARED = ("agreement", "exports")
"""The folders that hold nothing else."""

_OF_AGREE = ("agreement/disagreements.csv", "agreement/figures.json", "reports/agreement.html")

_DICTIONARY, _WORKBOOK, _BIDS = "dictionary.csv", "emonext-care.xlsx", "dataset_description.json"

# Below a data set's folder, what pipeline.export_bids writes.
_IN_BIDS = re.compile(
    r"README|dataset_description\.json|participants\.(json|tsv)"
    r"|sub-[^/]+/(sub-[^/]+_sessions|ses-[^/]+/beh/[^/]+_events)\.(json|tsv)"
)


def made_by_commands(
    out: Path, files: Collection[Path], words: Words, own_text: Sequence[bytes]
) -> dict[Path, str]:
    """Of these files those that hold the person, whichever session of theirs, and the command of each."""
    person = Words(words.patient_id, None, words.known)

    def holds(path: Path) -> bool:
        short = path.relative_to(out)
        try:
            return person.are_in_path(short) or mentions(path, person, own_text, short)
        except OSError:
            return False  # the search names it

    there = {path for path in files if not path.is_symlink()}
    found: dict[Path, str] = {}
    exported = {path for path in there if path.is_relative_to(out / "exports")}
    for export in _exports(exported):
        if any(map(holds, export)):
            found |= dict.fromkeys(export, "export")
    compared = there & {out / name for name in _OF_AGREE}
    if any(map(holds, compared)) or _was_compared(out, words):
        found |= dict.fromkeys(compared, "agree")
    return found | {path: "people" for path in there & {out / "people.html"} if holds(path)}


def _exports(files: Collection[Path]) -> Iterator[set[Path]]:
    """The files of each export, under whatever name its folder has."""
    for path in files:
        if path.name == _WORKBOOK:
            yield {path}
        elif path.name == _DICTIONARY:
            yield {other for other in files if other.parent == path.parent and other.name in _tables(path)}
        elif path.name == _BIDS:
            yield {other for other in files if _is_in_bids(other, path.parent)}


def _tables(dictionary: Path) -> set[str]:
    """The files of the tables that it explains, and its own."""
    try:
        return {f"{cells[0]}.csv" for _, cells in read_table(dictionary, delimiters=",") if cells} | {
            _DICTIONARY
        }
    except InputError:
        return {_DICTIONARY}


def _is_in_bids(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder) and bool(_IN_BIDS.fullmatch(path.relative_to(folder).as_posix()))


def _was_compared(out: Path, words: Words) -> bool:
    """Whether ``agree`` ever had a session of theirs: its figures name nobody."""
    try:
        return any(run.command == "agree" for run in read_runs(out, words.patient_id))
    except InputError:
        return False  # no log, or nothing of them in it
