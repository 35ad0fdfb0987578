"""What a study's coordinator has to do, by the command that helps: a part of the index page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.reasons import Reason
from pipeline.records import UNSURE
from reports.index_data import RECORDING, TRIAL, Commands, IndexEntry
from reports.words.formatting import command_line
from reports.words.language import Language, marked
from reports.words.reasons import reasons_text

UNREADABLE = (
    *("not_found", "empty_file", "no_video_file", "unreadable", "unreadable_now", "no_picture_stream"),
    *("no_picture_header", "impossible_size", "impossible_frames", "no_shown_frame", "no_decoded_frame"),
    *("other_size", "in_file"),
)
"""Codes of :data:`pipeline.reasons.TEXTS`: the recording is at fault."""


MAX_REASONS = 50
"""Of a task; of thousands of sessions, each with its own numbers, the page would grow too large."""


@dataclass(frozen=True)
class Task:
    """Sessions that need the same.

    :param sessions: by what is to be said of them: the reasons, in the page's language.
    :param is_urgent: whether these sessions are not done without it.
    """

    title: str
    advice: str
    commands: tuple[str, ...]
    sessions: Sequence[tuple[str, Sequence[IndexEntry]]] = field(default=())
    is_urgent: bool = True


@dataclass(frozen=True)
class _Kind:
    title: str
    advice: str
    commands: Callable[[Commands], tuple[str, ...]]
    is_urgent: bool = True


_KINDS: Mapping[str, _Kind] = {
    "unsure": _Kind(
        marked("Is it the patient, and can the patient be seen?"),
        marked(
            "Make the page of people, look at the pictures, and say who is who, or approve what is right. It "
            "shows faces, and names the command that applies your choices."
        ),
        lambda of: (of.people,),
    ),
    "unreadable": _Kind(
        marked("The recording can’t be read"),
        marked(
            "Copy it again from the camera, or correct its place in the list. The first command says whether "
            "it can be read now; the second processes what is new, changed, or failed."
        ),
        lambda of: (command_line("emonext", "preflight", RECORDING), of.process),
    ),
    "broken_off": _Kind(
        marked("Processing broke off"),
        marked(
            "Put right what the reason names, and process again: what is done is kept. If it breaks off "
            "again, the session’s file in the folder logs says more; with --jobs 1 less memory is needed."
        ),
        lambda of: (of.process,),
    ),
    "unprocessed": _Kind(
        marked("Not processed to the end"),
        marked("The same command as before goes on where it stopped: what is done is kept."),
        lambda of: (of.process,),
    ),
    "partial": _Kind(
        marked("A part of the recording is damaged"),
        marked(
            "If there is a better copy, put it in the recording’s place and process again. If there is none, "
            "nothing is left to do: the pages say how much is missing."
        ),
        lambda of: (of.process,),
    ),
    "unseen": _Kind(
        marked("Read too little to say"),
        marked(
            "Before the next session, check light, distance and seat with a short recording of a person in "
            "the patient’s chair."
        ),
        lambda of: (command_line("emonext", "preflight", TRIAL),),
        is_urgent=False,
    ),
}
"""In the order of the page."""


def find_tasks(entries: Iterable[IndexEntry], commands: Commands, language: Language) -> list[Task]:
    """The tasks that the sessions' states and reasons ask for; a session may be in several."""
    entries = list(entries)
    is_running = any(entry.state == "running" for entry in entries)
    found: dict[str, list[IndexEntry]] = {name: [] for name in _KINDS}
    for entry in entries:
        for name in _tasks_of(entry, is_running=is_running):
            found[name].append(entry)
    return [
        Task(
            title=language.word(kind.title),
            advice=language.word(kind.advice),
            commands=kind.commands(commands),
            sessions=_by_reason(found[name], language),
            is_urgent=kind.is_urgent,
        )
        for name, kind in _KINDS.items()
        if found[name]
    ]


def _tasks_of(entry: IndexEntry, *, is_running: bool) -> list[str]:
    codes = {reason.code for reason in _flat(entry.reasons)}
    found = []
    if entry.state == "failed":
        found.append("unreadable" if codes & {*UNREADABLE} else "broken_off")
    elif entry.state == "interrupted" or (entry.state == "waiting" and not is_running):
        found.append("unprocessed")
    elif entry.state == "to_check" or entry.identity in UNSURE:
        # its video has to be read again, whoever is the patient
        found.append("unprocessed" if "expression_not_stored" in codes else "unsure")
    if entry.state == "partial":
        found.append("partial")
    # a short recording in which the face was read needs no other camera
    is_unread = 2 * (entry.read_share or 0.0) < 1
    is_read_little = entry.summary is not None and not entry.enough and is_unread
    if entry.state in ("done", "to_check") and is_read_little:
        found.append("unseen")
    return found


def _flat(reasons: Iterable[Reason]) -> Iterable[Reason]:
    """The reasons, and those within them."""
    for reason in reasons:
        yield reason
        yield from _flat(value for value in reason.values.values() if isinstance(value, Reason))


def _by_reason(entries: Sequence[IndexEntry], language: Language) -> list[tuple[str, Sequence[IndexEntry]]]:
    """Sessions of one reason together, which is said once; the most frequent reasons first.

    Beyond :data:`MAX_REASONS`, sessions come without their reason, which their rows in the lists have.
    """
    found: dict[str, list[IndexEntry]] = {}
    for entry in entries:
        found.setdefault(reasons_text(entry.reasons, language), []).append(entry)
    groups = sorted(found.items(), key=lambda group: -len(group[1]))
    others = [entry for _, rest in groups[MAX_REASONS:] for entry in rest]
    return [*groups[:MAX_REASONS], *([("", sorted(others, key=_ids))] if others else [])]


def _ids(entry: IndexEntry) -> tuple[str, str]:
    return entry.patient_id, entry.session_id
