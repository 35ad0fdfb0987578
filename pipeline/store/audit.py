"""The audit log ``audit.jsonl``: who did what in a folder, and when. Lines are only appended.

In the log a session has a random token; only ``.audit.ids`` maps tokens to ids. A purge deletes the patient
from ``.audit.ids`` and changes no line: the chain stays intact, and the remaining entries are anonymous. A
keyed hash of the id would not be safe: ids are few, so a person with the key can find each of them by trial.

Every line holds the sha256 of the line before it, and ``audit.head`` the number and sha256 of the last line.
This detects an edited, removed, added or moved line, and a truncated log: mistakes, but not deliberate
forgery. A person with write access can replace both files, and user and host are as reported by the system.
Therefore keep the head that :func:`verify` returns in another place, and pass it to the next :func:`verify`.
"""

import errno
import hashlib
import json
import os
import secrets
import socket
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import psutil

from pipeline.errors import InputError, OutputError
from pipeline.records import Ids
from pipeline.store.counts import number_of
from pipeline.store.files import atomic

LOG_FILE, HEAD_FILE, IDS_FILE = "audit.jsonl", "audit.head", ".audit.ids"

_BEFORE_THE_FIRST = "0" * 64

_MIN_HEAD = 16  # characters of a kept head; fewer could match by chance


@dataclass
class Ending:
    """Outcome of each session, and counts; filled in by the body of :func:`audited`."""

    states: dict[Ids, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One command of the log.

    :param ended: time, UTC; ``None`` if the run was killed or is running. ``how``: done, or the error's name.
    :param sessions: ids (``None`` if purged) and outcome of each session.
    :param options: as :func:`audited` got them.
    """

    number: int
    command: str
    who: str
    begun: str
    ended: str | None
    how: str
    sessions: tuple[tuple[Ids | None, str], ...]
    weights: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The result of :func:`verify`.

    :param faults: breaks of the chain. ``notes``: findings that a power cut explains.
    :param holds_kept_head: true also if none was given.
    """

    entries: int
    head: str
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    holds_kept_head: bool


@contextmanager
def audited(
    out: Path,
    command: str,
    sessions: Collection[Ids],
    options: Mapping[str, Any] | None = None,
    weights_sha256: str = "",
) -> Iterator[Ending]:
    """Write an entry before the body, and one at its end, also after an error; a killed run lacks the latter.

    Use it while the folder is locked (:func:`pipeline.store.lock.folder_lock`).

    :param options: the relevant options; never a path or a note.
    :raises OutputError: the log can't be written.
    """
    tokens = _tokens(out, sessions)
    begun = _append(
        out,
        {"event": "begun", "command": command, "options": dict(options or {})}
        # sorted by token: the order of ids would reveal the neighbours of a purged id
        | {"sessions": sorted(tokens.values()), "weights": weights_sha256[:12]},
    )
    ending = Ending()

    def end(how: str) -> None:
        # of a purged session, which has no id any more, the token is not asked for again
        # a purged session has no id any more, and gets none
        late = _tokens(out, ending.states.keys() - tokens.keys())
        states = sorted(({**tokens, **late}[session], state) for session, state in ending.states.items())
        values = {"event": "ended", "command": command, "begun": begun, "how": how}
        _append(out, values | {"sessions": dict(states), "counts": ending.counts})

    try:
        yield ending
    except BaseException as error:
        with suppress(OutputError):  # the first error matters more
            end(type(error).__name__)
        raise
    end("done")


def forget(out: Path, patient_id: str, session_id: str | None = None) -> None:
    """Delete the ids of a patient, or of a session, so that their entries become anonymous.

    :raises OutputError: the file of ids can't be read or written.
    """
    ids = read_ids(out)
    sessions = ids.pop(patient_id, {})
    left = {name: token for name, token in sessions.items() if session_id not in (None, name)}
    if left != sessions:
        _write_ids(out, ids | ({patient_id: left} if left else {}))


def read_ids(out: Path) -> dict[str, dict[str, str]]:
    """Patient → session → token, without purged ids.

    :raises OutputError: the file is damaged.
    """
    path = out / IDS_FILE
    try:
        ids = json.loads(path.read_bytes())
        ids = {patient: dict(sessions) for patient, sessions in ids.items()}
        if not all(isinstance(token, str) for sessions in ids.values() for token in sessions.values()):
            raise ValueError("a token is no text")  # noqa: TRY301  # told as any other damage
        return ids
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise OutputError(
            f"{path}: can't be read. Put it back from a backup; or delete it: the log stays intact, "
            "but the ids of its entries are lost."
        ) from error


def read_runs(out: Path, patient_id: str | None = None) -> list[Run]:
    """The commands of the log, in order; with ``patient_id``, only those that touched the patient.

    :raises InputError: there is no log, or nothing of this patient in it.
    """
    whose = {token: (p, s) for p, sessions in read_ids(out).items() for s, token in sessions.items()}
    entries = [entry for entry in _read_log(out)[1] if entry is not None]
    ends = {entry.get("begun"): entry for entry in entries if entry.get("event") == "ended"}
    runs = [_run(e, ends.get(e["number"], {}), whose) for e in entries if e.get("event") == "begun"]
    if patient_id is None:
        return runs
    runs = [run for run in runs if any(session and session[0] == patient_id for session, _ in run.sessions)]
    if not runs:
        raise InputError(f"{out / LOG_FILE}: no entry of {patient_id} (purged patients have no id any more).")
    return runs


def verify(out: Path, kept_head: str = "") -> Verdict:
    """Check that the log was not changed.

    :param kept_head: a head of an earlier time, kept in another place; it must still be in the chain.
    :raises InputError: there is no log, or the head is too short.
    """
    if 0 < len(kept_head) < _MIN_HEAD:
        raise InputError(f"`kept_head` {kept_head}: give at least {_MIN_HEAD} characters of it.")
    count, head = _read_head(out)  # read the head before the log: a running command may append to the log
    lines, entries = _read_log(out)
    numbers = _numbers(entries)
    torn = _torn(entries, numbers, count)
    unreadable = {line for line, entry in enumerate(entries, start=1) if entry is None} - torn
    changed = _changed(lines, entries, numbers, count, head) - unreadable
    faults = [f"line {line}: can't be read" for line in sorted(unreadable)]
    faults += [f"line {line}: was changed after it was written" for line in sorted(changed)]
    faults += _misplaced(numbers)
    last = numbers[-1] if numbers else 0
    if count > last:
        faults.append(f"after line {len(lines)}: {_entries(last + 1, count)} missing; the end was cut off")
    elif last > count + 1:
        known = number_of(count, "entry", "entries")
        faults.append(f"{HEAD_FILE} knows {known}, and the log ends with entry {last}")
    notes = [f"line {n}: was truncated while it was written, as by a power cut" for n in sorted(torn)]
    if last == count + 1 and len(lines) not in torn:
        notes.append(f"the last entry is not in {HEAD_FILE} yet: a run was cut off then, or is writing now")
    hashes = [_BEFORE_THE_FIRST, *map(_hash, lines)]
    return Verdict(
        entries=len(entries) - entries.count(None),
        head=hashes[-1],
        faults=tuple(faults),
        notes=tuple(notes),
        holds_kept_head=any(found.startswith(kept_head.lower()) for found in hashes),
    )


def _misplaced(numbers: Sequence[int]) -> list[str]:
    """Faults in the entries' numbers: missing, or not in order."""
    faults, missing, known = [], 0, sorted(numbers)
    for line, number in enumerate(numbers, start=1):
        expected = line + missing
        if number > expected and known[bisect_left(known, expected)] == number:
            faults.append(f"line {line}: before it {_entries(expected, number - 1)} missing")
            missing += number - expected
        elif number != expected:
            faults.append(f"line {line}: is entry {number}, where entry {expected} should be")
    return faults


def _changed(
    lines: Sequence[bytes], entries: "_Entries", numbers: Sequence[int], count: int, head: str
) -> set[int]:
    """Lines that differ from their sha256 in the next line, or in the head."""
    changed: set[int] = set()
    for line in range(len(lines), 0, -1):
        known = [head] if numbers[line - 1] == count else []
        after = entries[line] if line < len(lines) else None
        # a changed or foreign line is no evidence about the line before it
        if after and line + 1 not in changed and numbers[line] == numbers[line - 1] + 1:
            known.append(after["previous"])
        if any(_hash(lines[line - 1]) != sha256 for sha256 in known):
            changed.add(line)
    first = entries[0] if entries else None
    if first and numbers[0] == 1 and first["previous"] != _BEFORE_THE_FIRST:
        changed.add(1)
    return changed


def _torn(entries: "_Entries", numbers: Sequence[int], count: int) -> set[int]:
    """Lines truncated while writing: the next line records the truncation, or there is no next line yet."""
    pairs = zip_longest(entries, entries[1:], numbers)
    return {
        line
        for line, (entry, after, number) in enumerate(pairs, start=1)
        if entry is None and (after.get("torn") if after else line == len(entries) and number > count)
    }


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"


def _numbers(entries: "_Entries") -> list[int]:
    """The number of every line; an unreadable line gets the next number."""
    numbers: list[int] = []
    for entry in entries:
        numbers.append(entry["number"] if entry else (numbers[-1] if numbers else 0) + 1)
    return numbers


def _run(begun: Mapping[str, Any], ended: Mapping[str, Any], whose: Mapping[str, Ids]) -> Run:
    states = ended.get("sessions", {})
    tokens = {*begun.get("sessions", ()), *states}
    sessions = [(whose.get(token), states.get(token, "")) for token in tokens]
    return Run(
        number=begun["number"],
        command=begun.get("command", ""),
        who=f"{begun.get('user', '')}@{begun.get('host', '')}",
        begun=begun.get("at", ""),
        ended=ended.get("at"),
        how=ended.get("how", ""),
        sessions=tuple(sorted(sessions, key=lambda found: found[0] or ("", ""))),
        weights=begun.get("weights", ""),
        options=options if isinstance(options := begun.get("options"), dict) else {},
    )


_Entries = Sequence[dict[str, Any] | None]
"""Of every line; none where it can't be read."""


def _read_log(out: Path) -> tuple[list[bytes], list[dict[str, Any] | None]]:
    """The lines, and the entries that they hold.

    :raises InputError: there is no log.
    """
    path = out / LOG_FILE
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        gone = f"; it was removed: {HEAD_FILE} is there" if (out / HEAD_FILE).exists() else ""
        raise InputError(f"{path}: there is no audit log{gone}.") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}).") from error
    lines = lines if lines[-1] else lines[:-1]
    return lines, [_parse(line) for line in lines]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and _is_entry(entry) else None


def _is_entry(entry: Mapping[str, Any]) -> bool:
    """Whether the values have the types of an entry."""
    kinds = {"number": int, "begun": int} | dict.fromkeys(_TEXTS, str)
    if not {"number", "previous"} <= entry.keys():
        return False
    if not all(type(entry[name]) is kind for name, kind in kinds.items() if name in entry):
        return False
    begun = entry.get("event") == "begun"
    sessions = entry.get("sessions", [] if begun else {})
    texts = sessions.values() if isinstance(sessions, dict) else sessions
    return type(sessions) is (list if begun else dict) and all(isinstance(text, str) for text in texts)


_TEXTS = ("previous", "event", "command", "user", "host", "at", "how", "weights")


def _read_head(out: Path) -> tuple[int, str]:
    """Number and sha256 of the last entry; those of an empty log if the file is missing or damaged."""
    try:
        count, head = (out / HEAD_FILE).read_text("utf-8").split()
        return int(count), head
    except (OSError, ValueError):
        return 0, ""


def _append(out: Path, values: Mapping[str, Any]) -> int:
    """Adds an entry; returns its number.

    :raises OutputError: it can't be written.
    """
    path = out / LOG_FILE
    there = path.exists()
    lines, entries = _read_log(out) if there else ([], [])
    count, head = _read_head(out)
    last = max(_numbers(entries), default=0)
    previous = _hash(lines[-1]) if lines else _BEFORE_THE_FIRST
    cut_off = there and not path.read_bytes().endswith(b"\n")
    entry = {
        "number": max(last, count) + 1,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "user": psutil.Process().username(),  # not from the environment, which the user can set
        "host": socket.gethostname(),
        "software": version("emonext-care"),
        **values,
        # chain to the stored head, not to the current last line, so that later changes stay visible
        "previous": head if count >= max(last, 1) else previous,
    }
    if cut_off and entries and entries[-1] is None:
        entry["torn"] = True
    line = json.dumps(entry).encode()
    try:
        _write_line(path, (b"\n" if cut_off and lines else b"") + line + b"\n")
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}).") from error
    with atomic(out / HEAD_FILE) as partial:
        partial.write_text(f"{entry['number']} {_hash(line)}\n", "utf-8")
    return int(entry["number"])


def _write_line(path: Path, line: bytes) -> None:
    """Append to the file and flush to the disk; do not follow a link."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        if os.write(file, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)


def _tokens(out: Path, sessions: Collection[Ids]) -> dict[Ids, str]:
    """The token of each session; a new session gets a new token."""
    ids = read_ids(out)
    new = [(patient, session) for patient, session in sessions if session not in ids.get(patient, {})]
    for patient, session in new:
        ids.setdefault(patient, {})[session] = secrets.token_hex(8)
    if new:
        _write_ids(out, ids)
    return {(patient, session): ids[patient][session] for patient, session in sessions}


def _write_ids(out: Path, ids: Mapping[str, Mapping[str, str]]) -> None:
    with atomic(out / IDS_FILE) as partial:
        partial.write_text(json.dumps(ids, indent=1, sort_keys=True) + "\n", "utf-8")


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
