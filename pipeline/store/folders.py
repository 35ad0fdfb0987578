"""What lies in a folder: lists of sessions and of people, and results of earlier runs."""

import os
from pathlib import Path

from pipeline.errors import InputError

PEOPLE_FILE = "people.csv"

SESSIONS_FILE = "sessions.csv"


# Any of these stands in a folder that this program wrote to, also after a purge of all of its patients.
_RESULTS = (
    *("status.parquet", "audit.jsonl", "timelines", "faces", "roles", "episodes", "summaries", "logs"),
    *("reports", "review", "withdrawn", "agreement", "exports", "people.csv", ".unfinished"),
)


def check_results(out: Path) -> Path:
    """The folder itself.

    :raises InputError: it is not there, or this program wrote nothing to it.
    """
    if not os.path.isdir(out):  # noqa: PTH112  # Path.is_dir raises for a name that is too long
        raise InputError(f"{out}: no such folder; give the --out folder of `emonext process`.")
    if not any(os.path.lexists(out / name) for name in _RESULTS):
        raise InputError(f"{out}: holds no results; give the --out folder of `emonext process`.")
    return out
