"""Ratings from ELAN: a tier for each emotion, or tiers whose annotations are codes."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote
from xml.parsers import expat

from pipeline.codes import CodeMap
from pipeline.errors import InputError
from pipeline.ratings_coded import Coded, CodedSession, SessionNames
from pipeline.spreadsheet import read_text, shown


def pympi() -> ModuleType:
    """The library for ELAN's files.

    :raises InputError: it is not installed.
    """
    try:
        import pympi as library
    except ModuleNotFoundError as error:
        raise InputError(
            f"ELAN files need {error.name}: pip install 'emonext-care[agreement]', then again."
        ) from error
    return library


def read_elan(path: Path, names: SessionNames, codes: CodeMap) -> tuple[list[CodedSession], list[str]]:
    """Each annotator's codes, and which tiers were left out.

    A tier that is named like a code holds that code wherever it has an annotation. Of the other tiers the
    annotations' values are codes; a tier in which none is known, such as a transcript, is left out.

    :raises InputError: not a file of ELAN, or about an unknown session.
    """
    _refuse_traps(path)
    try:
        file = pympi().Eaf(str(path), suppress_version_warning=True)
        tiers = {name: _annotations(file, name, codes) for name in file.get_tier_names()}
        media = [unquote(str(one.get("MEDIA_URL", ""))) for one in file.get_linked_files()]
    except _SENSELESS as error:
        raise InputError(f"{path}: can't be read as a file of ELAN; save it there again.") from error
    ids, rest = names.of(str(path), path.stem, media)
    used = {name for name, coded in tiers.items() if _is_coding(name, coded, codes)}
    if any(tiers.values()) and not used:
        used = {name for name, coded in tiers.items() if coded}  # so that its codes are named as unknown
    by_rater: dict[str, list[Coded]] = {}
    for name in tiers:
        rater = str(file.tiers[name][2].get("ANNOTATOR") or "").strip() or rest
        if name in used or not tiers[name]:
            by_rater.setdefault(rater, []).extend(tiers[name])
    if any(by_rater.values()):  # an annotator of tiers without annotations is nobody who rated
        by_rater = {rater: coded for rater, coded in by_rater.items() if coded}
    skipped = sorted(name for name, coded in tiers.items() if coded and name not in used)
    notes = [f"tiers without a known code were left out: {', '.join(map(shown, skipped))}"] if skipped else []
    sessions = [CodedSession(*ids, rater, tuple(coded), path.name) for rater, coded in by_rater.items()]
    return sessions or [CodedSession(*ids, rest, (), path.name)], notes


_SENSELESS = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


def _annotations(file: Any, tier: str, codes: CodeMap) -> list[Coded]:
    """Of a tier that is aligned to time; others hang on one that is.

    ELAN's times are those of its own line, on which the video may begin earlier by its time origin.
    """
    first: Mapping[str, Any] = next(iter(file.get_linked_files()), {})
    origin_ms = int(first.get("TIME_ORIGIN") or 0)
    found = []
    for begin, end, value, _ in file.tiers[tier][0].values():
        begin_ms, end_ms = file.timeslots[begin], file.timeslots[end]
        code = tier if codes.label(tier) is not None else value.strip()
        if begin_ms is not None and end_ms is not None and end_ms > begin_ms and code:
            found.append(Coded((begin_ms + origin_ms) / 1000, (end_ms + origin_ms) / 1000, code))
    return found


def _is_coding(tier: str, coded: list[Coded], codes: CodeMap) -> bool:
    return codes.label(tier) is not None or any(codes.label(one.code) is not None for one in coded)


def _refuse_traps(path: Path) -> None:
    """XML may name other files and blow up a few bytes to gigabytes; ELAN's declares no such things.

    :raises InputError: it has a document type, or is no XML.
    """
    read_text(path, "save it in ELAN again")  # not too large, and in UTF-8
    parser = expat.ParserCreate(namespace_separator="}")  # as the library's own parser will

    def refuse(*_: object) -> None:
        raise InputError(f"{path}: declares a document type, which ELAN's files do not; not opened.")

    handlers: Mapping[str, Any] = {"StartDoctypeDeclHandler": refuse, "EntityDeclHandler": refuse}
    for name, handler in handlers.items():
        setattr(parser, name, handler)
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise InputError(f"{path}: damaged ({error}); save it in ELAN again.") from error
