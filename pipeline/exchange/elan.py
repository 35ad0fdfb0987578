"""Files of ELAN: ratings to be read, and episodes over the video, which a rater corrects.

A rater has a tier for each emotion, or tiers whose annotations are codes. What is written has one tier for all
emotions, with a controlled vocabulary of the seven, rather than a tier for each: another emotion is then chosen
from a list by a double click, a boundary between two episodes is dragged once for both, and no two emotions can
be left on top of each other by mistake.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote, unquote
from xml.parsers import expat

from pipeline.errors import InputError
from pipeline.exchange.code_map import CodeMap
from pipeline.exchange.coded import Coded, CodedSession, Medium, SessionNames, Span, is_sound
from pipeline.exchange.exported import Exported, milliseconds
from pipeline.records import EMOTIONS
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import read_text, shown

RATED_TIER = "rated"
"""The tier whose annotations are the stretches that were rated, whatever their values."""


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
    annotations' values are codes; a tier in which none is known, such as a transcript, is left out. So are
    the unknown values of a tier on which a tier with known codes depends: it parts the session for these.

    :raises InputError: not a file of ELAN, or about an unknown session.
    """
    _refuse_traps(path)
    try:
        file = _File(path, pympi().Eaf(str(path), suppress_version_warning=True))
        ids, rest = names.of(str(path), path.stem, [medium.name for medium in file.media])
        file = file.moved(names.shift_s(str(path), ids, file.media))
        tiers = {name: file.coded(name, codes) for name in file.tiers if not _states_rated(name, codes)}
        rated = [
            (file.annotator_of(name), span)
            for name in file.tiers
            if _states_rated(name, codes)
            for span in file.spans(name)
        ]
        parents = {name: file.parent_of(name) for name in tiers}
        annotators = {name: file.annotator_of(name) for name in tiers}
    except _MALFORMED as error:
        raise InputError(f"{path}: can't be read as a file of ELAN; save it there again.") from error
    used, notes = _codings(tiers, parents, codes)
    by_rater: dict[str, list[Coded]] = {}
    for name, coded in tiers.items():
        if name in used or not coded:
            by_rater.setdefault(annotators[name] or rest, []).extend(used.get(name, ()))
    if any(by_rater.values()):  # an annotator of tiers without annotations is nobody who rated
        by_rater = {rater: coded for rater, coded in by_rater.items() if coded}
    by_rater = by_rater or {rest: []}
    sessions = [
        CodedSession(
            *(*ids, rater, tuple(coded), path.name),
            # what another rater of the file states is that rater's own
            tuple(span for who, span in rated if who == rater or who not in by_rater),
        )
        for rater, coded in by_rater.items()
    ]
    return sessions, notes


_MALFORMED = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


def _codings(
    tiers: Mapping[str, list[Coded]], parents: Mapping[str, str], codes: CodeMap
) -> tuple[dict[str, list[Coded]], list[str]]:
    """The codes of the tiers that rate, and what was left out."""
    used = {name: coded for name, coded in tiers.items() if _is_coding(name, coded, codes)}
    if any(tiers.values()) and not used:
        used = {
            name: coded for name, coded in tiers.items() if coded
        }  # so that its codes are named as unknown
    notes = []
    skipped = sorted(name for name, coded in tiers.items() if coded and name not in used)
    if skipped:
        notes.append(f"tiers without a known code were left out: {', '.join(map(shown, skipped))}")
    for name in _with_dependents(used, parents):
        known = [one for one in used[name] if codes.label(one.code) is not None]
        unknown = Counter(one.code for one in used[name] if codes.label(one.code) is None and one.code)
        if known and unknown:
            named = ", ".join(f"{shown(code)} ({count})" for code, count in sorted(unknown.items()))
            notes.append(f"tier {shown(name)} parts the session for others; left out of it: {named}")
            used[name] = [one for one in used[name] if one.code not in unknown]
    for name, coded in used.items():
        empty = sum(not one.code for one in coded)
        if empty:
            notes.append(f"tier {shown(name)}: {empty} without a code left out")
            used[name] = [one for one in coded if one.code]
    return used, notes


def _is_coding(tier: str, coded: list[Coded], codes: CodeMap) -> bool:
    return codes.label(tier) is not None or any(codes.label(one.code) is not None for one in coded)


def _with_dependents(used: Mapping[str, list[Coded]], parents: Mapping[str, str]) -> Iterator[str]:
    """Those of the tiers on which another of them depends."""
    above: set[str] = set()
    for name in used:
        while (name := parents.get(name, "")) and name not in above:
            above.add(name)
    yield from (name for name in used if name in above)


def _states_rated(tier: str, codes: CodeMap) -> bool:
    return tier.strip().lower() == RATED_TIER and codes.label(tier) is None


@dataclass(frozen=True)
class _File:
    """A file as the library reads it, with the times of all its annotations.

    :param shift_s: what is added to its times.
    """

    path: Path
    file: Any
    shift_s: float = 0.0

    def moved(self, shift_s: float) -> "_File":
        return _File(self.path, self.file, shift_s)

    @property
    def tiers(self) -> list[str]:
        return list(self.file.tiers)

    @property
    def media(self) -> list[Medium]:
        """A medium's time is that of the file and its origin."""
        found = []
        for one in self.file.media_descriptors:
            name = unquote(str(one.get("MEDIA_URL") or one.get("RELATIVE_MEDIA_URL") or ""))
            sound = is_sound(name) or str(one.get("MIME_TYPE") or "").lower().startswith("audio")
            found.append(Medium(name, int(one.get("TIME_ORIGIN") or 0) / 1000, sound))
        return found

    def parent_of(self, tier: str) -> str:
        return str(self.file.tiers[tier][2].get("PARENT_REF") or "")

    def annotator_of(self, tier: str) -> str:
        return str(self.file.tiers[tier][2].get("ANNOTATOR") or "").strip()

    def coded(self, tier: str, codes: CodeMap) -> list[Coded]:
        """The annotations of a tier; a code is empty where the annotation is."""
        by_name = codes.label(tier) is not None
        return [
            Coded(*self._times(name), tier if by_name else value.strip())
            for name, value in self._values(tier)
        ]

    def spans(self, tier: str) -> list[Span]:
        return [self._times(name) for name, _ in self._values(tier)]

    def _values(self, tier: str) -> Iterator[tuple[str, str]]:
        """Id and value of each annotation."""
        aligned, referring, _, _ = self.file.tiers[tier]
        yield from ((name, value) for name, (_, _, value, _) in aligned.items())
        yield from ((name, value) for name, (_, value, _, _) in referring.items())

    def _times(self, annotation: str) -> Span:
        start_ms, end_ms = self._span_ms(annotation)
        if end_ms < start_ms:
            raise InputError(f"{self.path}: annotation {shown(annotation)} ends before it starts.")
        return start_ms / 1000 + self.shift_s, end_ms / 1000 + self.shift_s

    def _span_ms(self, annotation: str) -> Span:
        """One that refers to another has its time, or where several part it, an equal share of it.

        :raises InputError: it refers to one that is not there.
        """
        tier = self.file.annotations.get(annotation)
        if tier is None:
            raise InputError(
                f"{self.path}: an annotation depends on {shown(annotation)}, which is not there; "
                "save it in ELAN again."
            )
        aligned, referring, _, _ = self.file.tiers[tier]
        if annotation in aligned:
            begin, end = aligned[annotation][:2]
            slots_ms = self._slots_of_dependent_ms.get(tier, self._slots_ms)
            return slots_ms[begin], slots_ms[end]
        parent = referring[annotation][0]
        start, end = self._span_ms(parent)
        place, count = self._places[annotation]
        return start + (end - start) * place / count, start + (end - start) * (place + 1) / count

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Of each annotation that refers to another: its place among those that part it, and their number."""
        siblings: dict[tuple[str, str], list[str]] = {}
        for tier, (_, referring, _, _) in self.file.tiers.items():
            for name, (parent, *_) in referring.items():
                siblings.setdefault((tier, parent), []).append(name)
        found: dict[str, tuple[int, int]] = {}
        for (tier, parent), names in siblings.items():
            if self._is_subdivided(tier, names):
                ordered = self._ordered(tier, names)
                found |= {name: (place, len(ordered)) for place, name in enumerate(ordered)}
            elif len(names) > 1:
                raise InputError(
                    f"{self.path}: several annotations of tier {shown(tier)} refer to {shown(parent)}, and "
                    "which part of it each has is not stated; save it in ELAN again."
                )
            else:
                found[names[0]] = 0, 1
        return found

    def _is_subdivided(self, tier: str, siblings: list[str]) -> bool:
        kind = self.file.linguistic_types.get(self.file.tiers[tier][2].get("LINGUISTIC_TYPE_REF"), {})
        referring = self.file.tiers[tier][1]
        return kind.get("CONSTRAINTS") == "Symbolic_Subdivision" or any(
            referring[name][2] for name in siblings
        )

    def _ordered(self, tier: str, names: list[str]) -> list[str]:
        """:raises InputError: one comes after another that is not there, or two after the same."""
        referring = self.file.tiers[tier][1]
        after = {referring[name][2] or "": name for name in names}
        if not any(after):
            return names
        found: list[str] = []
        previous = ""
        while previous in after and len(found) < len(names):
            previous = after[previous]
            found.append(previous)
        if len(found) < len(names):
            raise InputError(
                f"{self.path}: annotations of tier {shown(tier)} follow none that is there; "
                "save it in ELAN again."
            )
        return found

    @cached_property
    def _slots_ms(self) -> dict[str, float]:
        return self._evenly_ms(list(self.file.timeslots.items()))

    @cached_property
    def _slots_of_dependent_ms(self) -> dict[str, dict[str, float]]:
        """Of each tier that depends on another: only slots of the tier itself are neighbours, as in ELAN."""
        found = {}
        for tier, (aligned, *_) in self.file.tiers.items():
            if self.parent_of(tier):
                own = {slot for row in aligned.values() for slot in row[:2]}
                slots = [(slot, time) for slot, time in self.file.timeslots.items() if slot in own]
                found[tier] = self._evenly_ms(slots)
        return found

    def _evenly_ms(self, slots: Sequence[tuple[str, int | None]]) -> dict[str, float]:
        """Slots without a time lie evenly between their neighbours.

        :raises InputError: the neighbours' times run backwards.
        """
        found = {name: float(value) for name, value in slots if value is not None}
        for before, after in pairwise(place for place, (name, _) in enumerate(slots) if name in found):
            start, end = found[slots[before][0]], found[slots[after][0]]
            if after - before > 1 and end < start:
                raise InputError(f"{self.path}: times in the file are out of order; save it in ELAN again.")
            for place in range(before + 1, after):
                found[slots[place][0]] = start + (end - start) * (place - before) / (after - before)
        return found


def _refuse_traps(path: Path) -> None:
    """XML may name other files and blow up a few bytes to gigabytes; ELAN's declares no such things.

    Of two things of one name the library would keep the last.

    :raises InputError: it has a document type, two things of one name, other units, or is no XML.
    """
    read_text(path, "save it in ELAN again")  # not too large, and in UTF-8
    parser = expat.ParserCreate(namespace_separator="}")  # as the library's own parser will
    seen: set[tuple[str, str]] = set()

    def refuse(*_: object) -> None:
        raise InputError(f"{path}: declares a document type, which ELAN's files do not; not opened.")

    def begin(_: str, attributes: Mapping[str, str]) -> None:
        for kind in _UNIQUE & attributes.keys():
            if (kind, attributes[kind]) in seen:
                raise InputError(
                    f"{path}: two have the {kind} {shown(attributes[kind])}; save it in ELAN again."
                )
            seen.add((kind, attributes[kind]))
        units = attributes.get("TIME_UNITS", _UNITS)
        if units != _UNITS:
            raise InputError(
                f"{path}: its times are in {shown(units)}, not in {_UNITS}; save it in ELAN again."
            )

    handlers: Mapping[str, Any] = {
        "StartDoctypeDeclHandler": refuse,
        "EntityDeclHandler": refuse,
        "StartElementHandler": begin,
    }
    for name, handler in handlers.items():
        setattr(parser, name, handler)
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise InputError(f"{path}: damaged ({error}); save it in ELAN again.") from error


_UNIQUE = {"TIER_ID", "ANNOTATION_ID", "TIME_SLOT_ID"}
_UNITS = "milliseconds"


TIER = "expression"

_VOCABULARY = "expressions"
_LANGUAGE = ("und", "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")

_MIME_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mpg": "video/mpeg", ".mpeg": "video/mpeg"}


def write_elan(session: Exported, path: Path, reading: str) -> Path:
    """One session's episodes as an ``.eaf``, to lie beside the recording.

    ELAN does not play one file after another: of a recording in several files the first is linked.

    :raises InputError: the library is missing. :raises OutputError: it can't be written.
    """
    library = pympi()
    file = library.Eaf(author=f"Emonext Care {version('emonext-care')}")
    file.adocument |= {
        "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
        "FORMAT": "3.0",
        "VERSION": "3.0",
        "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
    }
    file.header |= {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    file.remove_tier("default")
    file.add_language(*_LANGUAGE)
    file.add_controlled_vocabulary(_VOCABULARY)
    for emotion in EMOTIONS:
        file.add_cv_entry(_VOCABULARY, f"cveid_{emotion}", [(emotion, _LANGUAGE[0], None)])
    # the type must name its vocabulary, for which the library has no parameter
    kind = {
        "LINGUISTIC_TYPE_ID": TIER,
        "TIME_ALIGNABLE": "true",
        "GRAPHIC_REFERENCES": "false",
        "CONTROLLED_VOCABULARY_REF": _VOCABULARY,
    }
    file.linguistic_types.clear()
    file.add_linguistic_type(TIER, param_dict=kind)
    file.add_tier(TIER, ling=TIER, part=session.patient_id)
    video = session.media[0].name
    file.add_linked_file(
        quote(video),
        relpath=f"./{quote(video)}",
        mimetype=_MIME_TYPES.get(Path(video).suffix.lower(), "video/*"),
    )
    file.add_property("reading", reading)
    for emotion, start_s, end_s in session.of(reading).select("emotion", "start_s", "end_s").iter_rows():
        if milliseconds(start_s) < milliseconds(end_s):
            file.add_annotation(TIER, milliseconds(start_s), milliseconds(end_s), emotion)
    with atomic(path) as partial:
        # the library's own way of writing would rename what lies there
        partial.write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n' + library.Elan.to_string(file), encoding="utf-8"
        )
    return path
