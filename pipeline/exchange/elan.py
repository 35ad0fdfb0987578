"""Read ratings from ELAN files, and write episodes as files in which a rater corrects them.

A rater has one tier per emotion, or tiers whose annotations are codes. Exported files have one tier for all
emotions, with a controlled vocabulary of the seven: the rater chooses another emotion from a list by a double
click, drags a boundary between two episodes once for both, and cannot leave two emotions on top of each
other. A second, empty tier is for states, such as speaking.
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
from pipeline.exchange.coded import Coded, CodedSession, Medium, SessionNames, Span, is_sound, of_others
from pipeline.exchange.exported import Exported, milliseconds
from pipeline.records import EMOTIONS, STATES
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import read_text, shown

RATED_TIER = "rated"
"""Tier whose annotations are the rated intervals; their values are ignored."""


def pympi() -> ModuleType:
    """Import the library for ELAN files.

    :raises InputError: the library is not installed.
    """
    try:
        import pympi as library
    except ModuleNotFoundError as error:
        raise InputError(
            f"ELAN files need {error.name}: pip install 'emonext-care[agreement]', then again."
        ) from error
    return library


def read_elan(path: Path, names: SessionNames, codes: CodeMap) -> tuple[list[CodedSession], list[str]]:
    """Read each annotator's codes, and notes on omitted tiers.

    In a tier named like a code, every annotation has that code. In other tiers, the annotations' values are
    codes; a tier without a known code, such as a transcript, is left out. If a tier with known codes depends
    on another tier, the latter divides the session for it, and its unknown values are left out.

    :raises InputError: no ELAN file, or an unknown session.
    """
    _refuse_traps(path)
    try:
        file = _File(path, pympi().Eaf(str(path), suppress_version_warning=True))
        ids, rest = names.of(str(path), path.stem, [medium.name for medium in file.media])
        file = file.moved(names.shift_s(str(path), ids, file.media))
        tiers = {name: file.coded(name, codes) for name in file.tiers if not _states_rated(name, codes)}
        rated = [
            (file.attribute(name, "ANNOTATOR"), span)
            for name in file.tiers
            if _states_rated(name, codes)
            for span in file.spans(name)
        ]
        parents = {name: file.attribute(name, "PARENT_REF") for name in tiers}
        annotators = {name: file.attribute(name, "ANNOTATOR") for name in tiers}
        people = {name: file.attribute(name, "PARTICIPANT") for name in tiers}
    except _MALFORMED as error:
        raise InputError(f"{path}: can't be read as an ELAN file; save it in ELAN again.") from error
    coding = [name for name, coded in tiers.items() if not coded or _is_coding(name, coded, codes)]
    own = {name: people[name] or people.get(parents[name], "") for name in coding}
    own = {name: person for name, person in own.items() if person or tiers[name]}
    others = of_others(str(path), "participant", own, ids[0])
    tiers = {name: coded for name, coded in tiers.items() if name not in others}
    used, notes = _codings(tiers, parents, codes)
    if others:
        notes.append(f"tiers of other people than the patient were left out: {', '.join(map(shown, others))}")
    by_rater: dict[str, list[Coded]] = {}
    for name, coded in tiers.items():
        if name in used or not coded:
            by_rater.setdefault(annotators[name] or rest, []).extend(used.get(name, ()))
    if any(by_rater.values()):  # an annotator without annotations is no rater
        by_rater = {rater: coded for rater, coded in by_rater.items() if coded}
    by_rater = by_rater or {rest: []}
    sessions = [
        CodedSession(
            *(*ids, rater, tuple(coded), path.name),
            # a rated tier of one rater does not apply to another rater
            tuple(span for who, span in rated if who == rater or who not in by_rater),
        )
        for rater, coded in by_rater.items()
    ]
    return sessions, notes


_MALFORMED = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


def _codings(
    tiers: Mapping[str, list[Coded]], parents: Mapping[str, str], codes: CodeMap
) -> tuple[dict[str, list[Coded]], list[str]]:
    """The codes of the coding tiers, and notes on omitted tiers."""
    used = {name: coded for name, coded in tiers.items() if _is_coding(name, coded, codes)}
    if any(tiers.values()) and not used:
        used = {
            name: coded for name, coded in tiers.items() if coded
        }  # keep the tier, so that the error names its codes as unknown
    notes = []
    skipped = sorted(name for name, coded in tiers.items() if coded and name not in used)
    if skipped:
        notes.append(f"tiers without a known code were left out: {', '.join(map(shown, skipped))}")
    for name in _with_dependents(used, parents):
        known = [one for one in used[name] if codes.label(one.code) is not None]
        unknown = Counter(one.code for one in used[name] if codes.label(one.code) is None and one.code)
        if known and unknown:
            named = ", ".join(f"{shown(code)} ({count})" for code, count in sorted(unknown.items()))
            notes.append(f"tier {shown(name)} divides the session for other tiers; left out of it: {named}")
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
    """The tiers on which another of the tiers depends."""
    above: set[str] = set()
    for name in used:
        while (name := parents.get(name, "")) and name not in above:
            above.add(name)
    yield from (name for name in used if name in above)


def _states_rated(tier: str, codes: CodeMap) -> bool:
    return tier.strip().lower() == RATED_TIER and codes.label(tier) is None


@dataclass(frozen=True)
class _File:
    """An ELAN file with the times of all annotations.

    :param shift_s: seconds to add to the file's times.
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
        """The linked media. Time in a medium is the file's time plus the medium's origin."""
        found = []
        for one in self.file.media_descriptors:
            name = unquote(str(one.get("MEDIA_URL") or one.get("RELATIVE_MEDIA_URL") or ""))
            sound = is_sound(name) or str(one.get("MIME_TYPE") or "").lower().startswith("audio")
            found.append(Medium(name, int(one.get("TIME_ORIGIN") or 0) / 1000, sound))
        return found

    def attribute(self, tier: str, name: str) -> str:
        return str(self.file.tiers[tier][2].get(name) or "").strip()

    def coded(self, tier: str, codes: CodeMap) -> list[Coded]:
        """The annotations of a tier as coded intervals; an empty annotation gives an empty code."""
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
        """Times of an annotation. A reference annotation has the time of its parent, or an equal share of it.

        :raises InputError: the parent annotation is missing.
        """
        tier = self.file.annotations.get(annotation)
        if tier is None:
            raise InputError(
                f"{self.path}: an annotation depends on {shown(annotation)}, which is missing; "
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
        """Reference annotation → its position among those that divide the parent, and their number."""
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
                    "the part of each is not stated; save it in ELAN again."
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
        """:raises InputError: the preceding annotation of one is missing, or is the same for two."""
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
                f"{self.path}: annotations of tier {shown(tier)} follow a missing annotation; "
                "save it in ELAN again."
            )
        return found

    @cached_property
    def _slots_ms(self) -> dict[str, float]:
        return self._evenly_ms(list(self.file.timeslots.items()))

    @cached_property
    def _slots_of_dependent_ms(self) -> dict[str, dict[str, float]]:
        """Times of the slots of each dependent tier; as in ELAN, neighbours are slots of the same tier."""
        found = {}
        for tier, (aligned, *_) in self.file.tiers.items():
            if self.attribute(tier, "PARENT_REF"):
                own = {slot for row in aligned.values() for slot in row[:2]}
                slots = [(slot, time) for slot, time in self.file.timeslots.items() if slot in own]
                found[tier] = self._evenly_ms(slots)
        return found

    def _evenly_ms(self, slots: Sequence[tuple[str, int | None]]) -> dict[str, float]:
        """Spread slots without a time evenly between their neighbours.

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
    """Refuse XML features that can read other files or expand to gigabytes; ELAN uses none of them.

    Also refuse duplicate names, of which the library would silently keep the last.

    :raises InputError: the file has a document type, a duplicate name or other units, or is no XML.
    """
    read_text(path, "save it in ELAN again")  # checks size and UTF-8
    parser = expat.ParserCreate(namespace_separator="}")  # the same parser as the library's
    seen: set[tuple[str, str]] = set()

    def refuse(*_: object) -> None:
        raise InputError(f"{path}: declares a document type, which ELAN's files do not; not opened.")

    def begin(_: str, attributes: Mapping[str, str]) -> None:
        for kind in _UNIQUE & attributes.keys():
            if (kind, attributes[kind]) in seen:
                raise InputError(
                    f"{path}: two elements have the {kind} {shown(attributes[kind])}; save it in ELAN again."
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

# Tier, its vocabulary, and the words of that. The second is empty, for a rater to fill in.
_TIERS = ((TIER, "expressions", EMOTIONS), ("state", "states", STATES))
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
    file.linguistic_types.clear()
    for tier, vocabulary, terms in _TIERS:
        file.add_controlled_vocabulary(vocabulary)
        for term in terms:
            file.add_cv_entry(vocabulary, f"cveid_{term}", [(term, _LANGUAGE[0], None)])
        # the type must name its vocabulary, for which the library has no parameter
        kind = {
            "LINGUISTIC_TYPE_ID": tier,
            "TIME_ALIGNABLE": "true",
            "GRAPHIC_REFERENCES": "false",
            "CONTROLLED_VOCABULARY_REF": vocabulary,
        }
        file.add_linguistic_type(tier, param_dict=kind)
        file.add_tier(tier, ling=tier, part=session.patient_id)
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
