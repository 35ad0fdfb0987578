"""Find results of several patients that a command can write again.

They are exports, the multiverse, the checklist, raters' pages, and results of raters' answers.

They are deleted whole, because results of several patients can't be separated. Other files stay.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.analysis.adaptation import ADAPTATION_FILE
from pipeline.errors import InputError, OutputError
from pipeline.exchange.manifest import LIST_FILE, read_list
from pipeline.privacy.mentions import IdPattern, mentions
from pipeline.results.checklist import CHECKLIST_FILES
from pipeline.store.audit import read_runs

SHARED = ("agreement", "exports", "rating")
"""Folders with only such results."""

_OF_RATINGS = {
    "agree": ("agreement/disagreements.csv", "agreement/figures.json", "reports/agreement.html"),
    "adapt": (ADAPTATION_FILE,),
}
"""Command → its results. They contain no ids, but may have been computed from the patient's recordings."""

_OF_EVERYBODY = "agreement/adjusted_shares.csv"
"""Computed by ``adapt`` from all recordings of the folder."""


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
    used = {"agree": _was_compared, "adapt": _was_rated}
    for command, names in _OF_RATINGS.items():
        results = there & {out / name for name in names}
        if any(map(holds, results)) or used[command](out, words):
            found |= dict.fromkeys(results, command)
    if words.patient_id in words.known:
        found |= dict.fromkeys(there & {out / _OF_EVERYBODY}, "adapt")
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
    pages = {out / "people.html": "people", out / "recordings.html": "preflight"}
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


def _was_rated(out: Path, words: IdPattern) -> bool:
    """Whether ``adapt`` ever used a rated clip of the patient.

    Every run counts, because a later run may have left the earlier adaptation in use. Without any run, the
    adaptation is another study's.
    """
    try:
        whose = {
            ids and ids[0] for run in read_runs(out) if run.command == "adapt" for ids, _ in run.sessions
        }
    except InputError:
        return True  # no log
    return None in whose or words.patient_id in whose
