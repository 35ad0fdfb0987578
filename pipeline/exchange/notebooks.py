"""Copy the program's notebooks beside a study, with its folder filled in.

DIR/notebooks/1_first_look.ipynb …    never written over: what a person did in them stays
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import is_text
from pipeline.store.timeline import no_timeline, written_sessions

FOLDER = "notebooks"

ORIGINALS = Path(__file__).parents[2] / FOLDER
"""Beside the packages, in a checkout as in an installed wheel."""

_FIND = "find_results()"
_FIRST = "Run `emonext demo --study` first, or set `EMONEXT_OUT` to the results folder of your own study."


@dataclass(frozen=True)
class Copied:
    """:param written: copied now. ``changed``: exist, and their cells are not those of the originals."""

    folder: Path
    written: tuple[Path, ...]
    changed: tuple[Path, ...]


def copy_notebooks(out: Path) -> Copied:
    """Copy the notebooks that are missing into the results folder.

    :raises InputError: the folder has no timeline, or the program came without its notebooks.
    :raises OutputError: a notebook can't be written.
    """
    if not written_sessions(out):
        raise InputError(no_timeline(out))
    originals = sorted(ORIGINALS.glob("*.ipynb"))
    if not originals:
        raise InputError(f"{ORIGINALS}: no notebooks; install the program again.")
    place = str(out.resolve())
    filled = {
        _FIND: f"find_results({json.dumps(place, ensure_ascii=not is_text(place))})",
        _FIRST: "The results of the folder above this one.",
    }
    written, changed = [], []
    for original in originals:
        path = out / FOLDER / original.name
        notebook = _filled_in(json.loads(original.read_bytes()), filled)
        if not os.path.lexists(path):
            with atomic(path) as partial:
                text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
                partial.write_text(text, encoding="utf-8")
            written.append(path)
        elif _cells(path) != _sources(notebook):
            changed.append(path)
    return Copied(out / FOLDER, tuple(written), tuple(changed))


def _filled_in(notebook: dict[str, Any], filled: Mapping[str, str]) -> dict[str, Any]:
    for cell in notebook["cells"]:
        source = _text(cell["source"])
        for original, own in filled.items():
            source = source.replace(original, own)
        cell["source"] = source.splitlines(keepends=True)
    return notebook


def _cells(path: Path) -> list[str] | None:
    """The sources of a notebook's cells, whatever its outputs; ``None`` if it can't be read."""
    try:
        return _sources(json.loads(path.read_bytes()))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _sources(notebook: Mapping[str, Any]) -> list[str]:
    return [_text(cell["source"]) for cell in notebook["cells"]]


def _text(source: str | list[str]) -> str:
    """A text of the format, which may be a list of lines."""
    return source if isinstance(source, str) else "".join(source)
