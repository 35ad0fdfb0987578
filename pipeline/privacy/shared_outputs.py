"""Find results of several patients that a command can write again.

They are exports, the multiverse, the results of ``agree``, and raters' pages.

They are deleted whole, because results of several patients can't be separated. Other files stay.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.errors import InputError, OutputError
from pipeline.exchange.manifest import LIST_FILE, read_list
from pipeline.privacy.mentions import IdPattern, mentions
from pipeline.results.checklist import CHECKLIST_FILES
from pipeline.store.audit import read_runs

SHARED = ("agreement", "exports", "rating")
"""Folders with only such results."""

_OF_AGREE = ("agreement/disagreements.csv", "agreement/figures.json", "reports/agreement.html")


def made_by_commands(
    out: Path, files: Collection[Path], words: IdPattern, own_text: Sequence[bytes]
) -> dict[Path, str]:
    """The files with any session of the patient, and the command that writes each."""
    person = IdPattern(words.patient_id, None, words.known)

    def holds(path: Path) -> bool:
        short = path.relative_to(out)
        try:
            return person.are_in_path(short) or mentions(path, person, own_text, short)
        except OSError:
            return False  # the search reports it

    there = {path for path in files if not path.is_symlink()}
    found: dict[Path, str] = {}
    for export in _exports(there):
        if any(map(holds, export)):
            found |= dict.fromkeys(export, "export")
    compared = there & {out / name for name in _OF_AGREE}
    if any(map(holds, compared)) or _was_compared(out, words):
        found |= dict.fromkeys(compared, "agree")
    to_rate = {path for path in there if path.parent == out / "rating" and path.suffix == ".html"}
    # a page that is locked with a password does not tell whose clips it holds
    if words.patient_id in words.known or any(map(holds, to_rate)):
        found |= dict.fromkeys(to_rate, "rate")
    if words.patient_id in words.known:  # counts and figures of everybody
        checklists = there & {out / "summaries" / name for name in CHECKLIST_FILES}
        found |= dict.fromkeys(checklists, "study checklist")
    multiverse = out / "summaries" / "multiverse.parquet"
    if multiverse in there and words.patient_id in words.known:
        found[multiverse] = "summarize --multiverse"  # of all sessions, without ids
    pages = {out / "people.html": "people", out / "seats.html": "preflight"}
    return found | {path: command for path, command in pages.items() if path in there and holds(path)}


def _exports(files: Collection[Path]) -> Iterator[list[Path]]:
    """The files of each export, from its list; an interrupted purge may have deleted some.

    The list comes last, because it names the remaining files and the folders to empty.
    """
    for listed in (path for path in files if path.name == LIST_FILE):
        with suppress(OutputError):  # unreadable: the search checks the raw bytes
            names = [name for names in read_list(listed.parent).values() for name in names]
            yield [*(listed.parent / name for name in names), listed]


def _was_compared(out: Path, words: IdPattern) -> bool:
    """Whether ``agree`` ever used a session of the patient; its results contain no ids.

    If the log does not name the sessions of the last comparison, assume that it used one.
    """
    try:
        compared = [run for run in read_runs(out) if run.command == "agree"]
    except InputError:
        return True  # no log
    whose = {ids and ids[0] for run in compared for ids, _ in run.sessions}
    return not compared or None in {ids for ids, _ in compared[-1].sessions} or words.patient_id in whose
