"""Paths of records of sessions without consent, and of their set-aside files."""

from pathlib import Path

SET_ASIDE_SUFFIX = ".withdrawn"
"""Suffix of set-aside files, so that no search for tables finds them."""


def refusal_folder(out: Path, patient_id: str, session_id: str) -> Path:
    """Folder of a session without consent, with its set-aside files; exists only without consent."""
    return out / "withdrawn" / patient_id / session_id


def refused_sessions(out: Path) -> set[tuple[str, str]]:
    """Patient and session of all sessions without consent."""
    folders = (folder for folder in out.glob("withdrawn/*/*") if folder.is_dir())
    return {(folder.parent.name, folder.name) for folder in folders}


def set_aside_path(out: Path, patient_id: str, session_id: str, path: Path) -> Path:
    """Path of a session's file while there is no consent.

    :param path: the file's usual path in the folder.
    """
    short = path.relative_to(out)
    return refusal_folder(out, patient_id, session_id) / short.with_name(short.name + SET_ASIDE_SUFFIX)
