"""Results that hold a person among others, and that one command makes again: exports, and ``agree``'s.

They go whole, as figures of several people can't be parted. Whatever else lies beside them stays.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.errors import InputError, OutputError
from pipeline.exchange.manifest import LIST_FILE, read_list
from pipeline.privacy.mentions import IdPattern, mentions
from pipeline.store.audit import read_runs

SHARED = ("agreement", "exports")
"""The folders that hold nothing else."""

_OF_AGREE = ("agreement/disagreements.csv", "agreement/figures.json", "reports/agreement.html")


def made_by_commands(
    out: Path, files: Collection[Path], words: IdPattern, own_text: Sequence[bytes]
) -> dict[Path, str]:
    """Of these files those that hold the person, whichever session of theirs, and the command of each."""
    person = IdPattern(words.patient_id, None, words.known)

    def holds(path: Path) -> bool:
        short = path.relative_to(out)
        try:
            return person.are_in_path(short) or mentions(path, person, own_text, short)
        except OSError:
            return False  # the search names it

    there = {path for path in files if not path.is_symlink()}
    found: dict[Path, str] = {}
    for export in _exports(there):
        if any(map(holds, export)):
            found |= dict.fromkeys(export, "export")
    compared = there & {out / name for name in _OF_AGREE}
    if any(map(holds, compared)) or _was_compared(out, words):
        found |= dict.fromkeys(compared, "agree")
    return found | {path: "people" for path in there & {out / "people.html"} if holds(path)}


def _exports(files: Collection[Path]) -> Iterator[list[Path]]:
    """The files of each export, by the list in its folder; a purge that was stopped may have had some.

    The list comes last: by it is found what is left, and which folders are to be empty.
    """
    for listed in (path for path in files if path.name == LIST_FILE):
        with suppress(OutputError):  # the search looks into it as it is
            names = [name for names in read_list(listed.parent).values() for name in names]
            yield [*(listed.parent / name for name in names), listed]


def _was_compared(out: Path, words: IdPattern) -> bool:
    """Whether ``agree`` ever had a session of theirs: its figures name nobody.

    Where the log does not say whose sessions the last comparison had, they may be theirs.
    """
    try:
        compared = [run for run in read_runs(out) if run.command == "agree"]
    except InputError:
        return True  # no log
    whose = {ids and ids[0] for run in compared for ids, _ in run.sessions}
    return not compared or None in {ids for ids, _ in compared[-1].sessions} or words.patient_id in whose
