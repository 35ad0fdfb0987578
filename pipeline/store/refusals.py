"""Where sessions without consent are recorded, and what is set aside of them."""

from pathlib import Path

SET_ASIDE_SUFFIX = ".withdrawn"
"""Ends the name of what is set aside: no search for tables finds it."""


def refusal_folder(out: Path, patient_id: str, session_id: str) -> Path:
    """Exists where there is no consent to the session, and holds what was set aside of it."""
    return out / "withdrawn" / patient_id / session_id


def refused_sessions(out: Path) -> set[tuple[str, str]]:
    """Patient and session to which there is no consent, whatever was made of them before."""
    folders = (folder for folder in out.glob("withdrawn/*/*") if folder.is_dir())
    return {(folder.parent.name, folder.name) for folder in folders}


def set_aside_path(out: Path, patient_id: str, session_id: str, path: Path) -> Path:
    """Where a file of the session lies while there is no consent.

    :param path: where it lies else, below the folder.
    """
    short = path.relative_to(out)
    return refusal_folder(out, patient_id, session_id) / short.with_name(short.name + SET_ASIDE_SUFFIX)
