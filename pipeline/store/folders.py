"""Names of files in a folder, and checks for results of earlier runs."""

import os
from pathlib import Path

from pipeline.errors import InputError

PEOPLE_FILE = "people.csv"

GALLERY = "gallery"
"""Of embeddings of the patients' faces."""

SESSIONS_FILE = "sessions.csv"

DEMO_FOLDER = "demo-study"
"""Default output folder of `emonext demo --study`."""


BY_SESSION = (
    *("timelines", "faces", "roles", GALLERY, "episodes", "summaries", "logs", ".unfinished", "reports"),
    *("review", "withdrawn"),
)
"""Folders with files of single patients and sessions."""

# A results folder has at least one of these, also after a purge of all patients.
_RESULTS = (*BY_SESSION, "status.parquet", "audit.jsonl", "agreement", "exports", PEOPLE_FILE)


def is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  # Path.is_dir raises for a name that is too long


def refuse_file(path: Path, wanted: str = "a folder") -> None:
    """:raises InputError: the path is a file."""
    if os.path.isfile(path):  # noqa: PTH113  # as for is_folder
        raise InputError(f"{path}: is a file; give {wanted}.")


def refuse_folder(path: Path, wanted: str = "a file") -> None:
    """:raises InputError: the path is a folder."""
    if is_folder(path):
        raise InputError(f"{path}: is a folder; give {wanted}.")


def check_exists(path: Path) -> None:
    """For a path that may be a file or a folder.

    :raises InputError: there is neither.
    """
    if not os.path.exists(path):  # noqa: PTH110  # as for is_folder
        raise InputError(f"{path}: no such file or folder.")


def check_results(out: Path) -> Path:
    """Return the folder.

    :raises InputError: the folder does not exist, or is no results folder.
    """
    refuse_file(out, "the --out folder of `emonext process`")
    if not is_folder(out):
        raise InputError(f"{out}: no such folder; give the --out folder of `emonext process`.")
    if not any(os.path.lexists(out / name) for name in _RESULTS):
        raise InputError(f"{out}: holds no results; give the --out folder of `emonext process`.")
    return out


def check_no_part_of_results(out: Path) -> None:
    """Refuse a folder that the program made within a results folder, such as its ``reports/``.

    :raises InputError: it is one, or lies in one.
    """
    whole = out.resolve()
    for folder in (whole, *whole.parents):
        if folder.name in _RESULTS and (folder.parent / "status.parquet").is_file():
            raise InputError(f"{out}: is a part of the results in {folder.parent}; choose another `out`.")


def find_results(known: str = "") -> Path:
    """Find the results folder for a notebook, independent of the notebook's working folder.

    :param known: the folder that `emonext notebooks` filled in; the study may have been moved since.
    :returns: the known folder; else that of ``EMONEXT_OUT``, unless a folder was known; else the nearest
        results folder above the working folder, or ``demo-study`` there or beside the program.
    :raises InputError: there is none, or ``EMONEXT_OUT`` names no results folder.
    """
    if known and is_folder(Path(known)):
        return check_results(Path(known))
    named = "" if known else os.environ.get("EMONEXT_OUT")
    if named:
        return check_results(Path(named))
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        for found in (folder, folder / DEMO_FOLDER):
            if (found / "status.parquet").is_file():
                return found
    raise InputError(
        f"{here}: no {DEMO_FOLDER} here or above; run `emonext demo --study`, or let EMONEXT_OUT name your "
        "--out folder."
    )
