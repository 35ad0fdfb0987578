"""Which pages need not be written again, from what they were made of.

    reports/made.json    for each page of a session or a patient: a key of what it shows

Pages are written again by :func:`reports.write.update_reports` only if their key has changed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.errors import OutputError
from pipeline.reasons import free_text
from pipeline.store.files import atomic, state_of_files
from reports.index_data import Seen
from reports.render import own_text

MADE_FILE = "made.json"


@dataclass(frozen=True)
class MadePage:
    """A page that was written.

    :param seen, enough, condition: what the index shows of a session; none for a patient's page.
    :param file: its state on disk: a page that was changed or restored is written again.
    """

    key: str
    seen: Seen | None = None
    enough: bool = False
    condition: str = ""
    file: str = ""


@dataclass(frozen=True)
class MadePages:
    """The pages of a folder by their path from ``reports/``, as they are, and as they are written now."""

    folder: Path
    earlier: Mapping[str, MadePage]
    now: dict[str, MadePage] = field(default_factory=dict)

    def unchanged(self, page: Path, key: str) -> MadePage | None:
        """The page as it was written, if it is there and its key is this one; it is then kept.

        :param page: its path.
        """
        if not page.is_relative_to(self.folder):
            return None  # ids of a damaged folder, which reading the timeline refuses
        name = self._name(page)
        made = self.earlier.get(name)
        if made is None or made.key != key or made.file != state_of_files([page]):
            return None
        self.now[name] = made
        return made

    def add(self, page: Path, made: MadePage) -> None:
        self.now[self._name(page)] = replace(made, file=state_of_files([page]))

    def forget(self) -> None:
        """Remove the file before the first page is written: a run that is killed leaves pages of other keys.

        :raises pipeline.errors.OutputError: it can't be removed.
        """
        path = self.folder / MADE_FILE
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            message = free_text(error.strerror or error)
            raise OutputError.of("not_written", path=str(path), error=message) from error

    def write(self) -> None:
        """:raises pipeline.errors.OutputError: the file can't be written."""
        stored = {
            name: [made.key, made.file, made.enough, made.condition, *_numbers(made.seen)]
            for name, made in self.now.items()
        }
        with atomic(self.folder / MADE_FILE) as partial:
            partial.write_text(json.dumps(stored), encoding="utf-8")

    def _name(self, page: Path) -> str:
        return page.relative_to(self.folder).as_posix()


def read_made_pages(folder: Path) -> MadePages:
    """The pages of ``reports/``; none if that is not known."""
    try:
        stored = json.loads((folder / MADE_FILE).read_text(encoding="utf-8"))
        return MadePages(folder, {str(name): _made(*row) for name, row in stored.items()})
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return MadePages(folder, {})


def _numbers(seen: Seen | None) -> list[float]:
    return list(vars(seen).values()) if seen else []


def _made(key: str, file: str, enough: bool, condition: str, *seen: float) -> MadePage:
    return MadePage(key, Seen(*seen) if seen else None, enough, condition, file)


def page_key(about: Iterable[Any]) -> str:
    """A key that changes with the values, the version of the program, its scripts and its style.

    :param about: values with a ``repr`` that tells them apart.
    """
    return hashlib.sha256(_program() + repr(list(about)).encode()).hexdigest()


@cache
def _program() -> bytes:
    digest = hashlib.sha256(version("emonext-care").encode())
    for text in own_text():
        digest.update(hashlib.sha256(text).digest())
    return digest.digest()
