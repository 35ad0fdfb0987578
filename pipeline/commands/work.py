"""Work of a command in a folder of results."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    from pipeline.records import Ids


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
