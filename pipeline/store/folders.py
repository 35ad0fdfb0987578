"""What lies in a folder: lists of sessions and of people, and results of earlier runs."""

import os
from pathlib import Path

from pipeline.errors import InputError

PEOPLE_FILE = "people.csv"

GALLERY = "gallery"
"""Of embeddings of the patients' faces."""

SESSIONS_FILE = "sessions.csv"

DEMO_FOLDER = "demo-study"
"""Where `emonext demo --study` writes, unless told otherwise."""


# Any of these stands in a folder that this program wrote to, also after a purge of all of its patients.
_RESULTS = (
    *(
        "status.parquet",
        "audit.jsonl",
        "timelines",
        "faces",
        "roles",
        GALLERY,
        "episodes",
        "summaries",
        "logs",
    ),
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


def find_results() -> Path:
    """The folder of results that a notebook reads, from whatever folder the notebook is opened.

    :returns: what ``EMONEXT_OUT`` names; else the nearest ``demo-study`` in the working folder, above it, or
        beside the program.
    :raises InputError: there is none, or ``EMONEXT_OUT`` names no folder of results.
    """
    named = os.environ.get("EMONEXT_OUT")
    if named:
        return check_results(Path(named))
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        if (folder / DEMO_FOLDER / "status.parquet").is_file():
            return folder / DEMO_FOLDER
    raise InputError(
        f"{here}: no {DEMO_FOLDER} here or above; run `emonext demo --study`, or let EMONEXT_OUT name your "
        "--out folder."
    )
