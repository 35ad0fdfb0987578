"""Check ids: they become folders and files, also on case-insensitive systems."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.errors import InputError
from pipeline.records import Ids


@dataclass(frozen=True)
class Clash:
    """Two sessions with confusable ids.

    :param column: ``patient_id`` or ``session_id``: the column with the different spelling.
    :param first: the first session in the list. ``second``: the later one.
    """

    column: str
    first: Ids
    second: Ids

    def __str__(self) -> str:
        if self.first[0] == self.second[0] or self.column == "patient_id":
            place = ("patient_id", "session_id").index(self.column)
            one, other = self.first[place], self.second[place]
            return (
                f"{other} and {one} differ only in capitals or dots at the end, and would be the same file "
                "on Windows and macOS; write one of the two, or give another id."
            )
        return (
            f"{' '.join(self.second)} and {' '.join(self.first)} would both get files named "
            f"{file_stem(self.second)}; give one of them another id."
        )


def file_stem(ids: Ids) -> str:
    """File name (without suffix) of a session in a folder with several patients."""
    return "_".join(ids)


def folded(text: str) -> str:
    """The text without differences that some file systems ignore."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold()).strip(". ")


def find_clashes(sessions: Iterable[Ids]) -> Iterator[Clash]:
    """Find sessions whose patient, session or file name differs from an earlier one only in case or dots."""
    patients: dict[str, Ids] = {}
    own: dict[tuple[str, str], Ids] = {}
    files: dict[str, Ids] = {}
    for ids in dict.fromkeys(sessions):
        patient = patients.setdefault(folded(ids[0]), ids)
        session = own.setdefault((ids[0], folded(ids[1])), ids)
        file = files.setdefault(folded(file_stem(ids)), ids)
        if patient[0] != ids[0]:
            yield Clash("patient_id", patient, ids)
        elif session != ids:
            yield Clash("session_id", session, ids)
        elif file != ids:
            yield Clash("session_id", file, ids)


ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Ids that are safe in a path; earlier versions also stored ids that :data:`NEW_ID_PATTERN` refuses."""

# Windows keeps names of devices for itself, in any case and with any suffix, and drops dots at the end.
# https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
_DEVICES = "[Cc][Oo][Nn]|[Pp][Rr][Nn]|[Aa][Uu][Xx]|[Nn][Uu][Ll]|[Cc][Oo][Mm][0-9]|[Ll][Pp][Tt][0-9]"
NEW_ID_PATTERN = re.compile(rf"(?!(?:{_DEVICES})(?:\.|$))[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,62}}[A-Za-z0-9_-])?")
"""Ids of new sessions: files and folders of this name can be stored on every system. Also read by scripts."""

# Names of the reports' own pages.
RESERVED_IDS = ("index", "index.html", "study.html", "assets")


def check_id(where: str, value: str) -> str:
    """Return the id of a new session.

    :param where: the option or file of the id, for the message.
    :raises InputError: as :func:`check_stored_id`; or Windows can't store a file of that name.
    """
    check_stored_id(where, value)
    if not NEW_ID_PATTERN.fullmatch(value):
        bare = value.rstrip(".")
        other = bare if NEW_ID_PATTERN.fullmatch(bare) else f"P_{bare}"[:64]
        raise InputError(
            f"{where} {value!r}: Windows can't store a file of that name. Give another id, such as {other}."
        )
    return value


def check_stored_id(where: str, value: str) -> str:
    """Return the id.

    :param where: the option or file of the id, for the message.
    :raises InputError: the id is not safe in a path, or looks like a person's name.
    """
    if not ID_PATTERN.fullmatch(value) or value.lower() in RESERVED_IDS:
        raise InputError(
            f"{where} {value!r}: not a usable id. Give a pseudonym of letters, digits, '.', '_' or '-', "
            "at most 64, starting with a letter or digit; never a person's name."
        )
    return value
