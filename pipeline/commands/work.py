"""Work of a command in a folder of results, and how its sessions ended."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer

from pipeline.commands.console import (
    EXIT_INCOMPLETE,
    err_console,
    out_console,
    say,
    tell_error,
    tell_to_check,
    warn,
    with_flags,
)

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    from pipeline.processing.session import Session
    from pipeline.records import Ids
    from pipeline.store.status import Outcome


@contextmanager
def work_in(
    directory: Path,
    command: str,
    key: Path | None,
    *,
    sessions: "Collection[Ids] | None" = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Uses the key, locks the folder, and writes the command to the audit log while the body runs.

    :param sessions: those that the log names; None is all of the folder.
    :param options: those that the log names; never a path or a note.
    :raises PipelineError: the key can't be used, the folder has no session, or another run holds the folder.
    """
    from pipeline.store.audit import audited
    from pipeline.store.encryption import use_key
    from pipeline.store.lock import folder_lock
    from pipeline.store.status import sessions_in

    use_key(key)
    named = sessions_in(directory) if sessions is None else sessions
    with folder_lock(directory), audited(directory, command, named, options):
        yield


def tell_earlier_ids(sessions: "Sequence[Session]", outcomes: "Sequence[Outcome]", out: Path) -> int:
    """Print which stored sessions have these recordings under other ids; return how many without consent."""
    from pipeline.processing.other_sessions import under_other_ids
    from pipeline.store.status import WITHOUT_CONSENT, read_outcomes

    refused = {outcome.ids for outcome in outcomes if outcome.state in WITHOUT_CONSENT}
    without = 0
    for outcome, same in under_other_ids(sessions, read_outcomes(out).values()):
        (patient, name), names = outcome.ids, ", ".join(" ".join(session.ids) for session in same)
        purge = f"`emonext purge {quote(str(out))} --patient {patient} --session {name}`"
        if refused.issuperset(session.ids for session in same):
            tell_error(
                f"{patient} {name}: has results of the recording of {names}, without consent; delete these "
                f"results with {purge}."
            )
            without += 1
        else:
            warn(
                f"{patient} {name}: has results of the recording of {names}; if those ids are new, delete "
                f"these results: {purge}"
            )
    return without


def _tell_copies(new: "Set[Ids]", stored: "Iterable[Outcome]") -> None:
    """Print which new sessions have the same recording as another session, in a file of its own."""
    by_content: dict[str, list[Outcome]] = {}
    for outcome in stored:
        if outcome.video_sha256:
            by_content.setdefault(outcome.video_sha256, []).append(outcome)
    for same in by_content.values():
        if len({one.videos for one in same}) > 1 and any(one.ids in new for one in same):
            names = ", ".join(" ".join(one.ids) for one in same)
            warn(f"{names}: copies of one recording; make sure that all are correct.")


def tell_outcomes(
    sessions: "list[Session]", outcomes: "list[Outcome]", out: Path, others: "Sequence[Outcome]" = ()
) -> None:
    """Print a line for each session with a reason and a summary.

    Exit 1 if a session failed, is partial, or may show another person than the patient.

    :param others: the patients' other sessions whose state changed.
    """
    told = [(str(session.video), outcome) for session, outcome in zip(sessions, outcomes, strict=True)]
    doubted = [outcome for outcome in others if outcome.state == "to_check"]
    told += [(" ".join(outcome.ids), outcome) for outcome in doubted]
    for name, outcome in told:
        if outcome.state != "skipped" and outcome.reason:
            line = f"{name}: {outcome.state}: {with_flags(outcome.reason)}"
            err_console.print(line, markup=False, soft_wrap=True)
    from pipeline.records import UNSURE
    from pipeline.store.status import read_outcomes

    stored = read_outcomes(out)
    _tell_copies({outcome.ids for outcome in outcomes if outcome.state != "skipped"}, stored.values())
    outcomes = [*outcomes, *doubted]
    states: list[str] = [outcome.state for outcome in outcomes]
    words = {"done": "done", "to_check": "to check", "partial": "partial", "failed": "failed"}
    counts = [f"{states.count(state)} {words.get(state, state)}" for state in (*words, "skipped")]
    refused = states.count("no_consent") + states.count("withdrawn")
    out_console.print(", ".join([*counts, *([f"{refused} without consent"] if refused else [])]))
    if set(states) == {"skipped"}:
        say("Nothing to do: every session is up to date. Use --overwrite to process the sessions again.")
    now = [stored.get(outcome.ids, outcome) for outcome in outcomes]
    kept = [one.state for one, state in zip(now, states, strict=True) if state == "skipped"]
    for state in ("partial", "to_check"):
        if state in kept:
            say(f"Of the skipped sessions, {kept.count(state)} {words[state]}, as before.")
    unsure = sum(one.state == "to_check" or one.identity in UNSURE for one in now)
    if unsure:
        tell_to_check(unsure, out)
    if any(one.is_incomplete for one in now):
        raise typer.Exit(EXIT_INCOMPLETE)
