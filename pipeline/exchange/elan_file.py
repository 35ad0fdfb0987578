"""Read an ELAN file: its tiers and media, and the times of all annotations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote
from xml.parsers import expat

from pipeline.errors import InputError
from pipeline.exchange.code_map import CodeMap
from pipeline.exchange.coded import Coded, Medium, Span, is_sound
from pipeline.store.spreadsheet import read_text, shown

MALFORMED = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What reading a malformed file raises."""


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


@dataclass(frozen=True)
class ElanFile:
    """An ELAN file with the times of all annotations.

    :param shift_s: seconds to add to the file's times.
    """

    path: Path
    file: Any
    shift_s: float = 0.0

    def moved(self, shift_s: float) -> "ElanFile":
        return ElanFile(self.path, self.file, shift_s)

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

    def values(self, tier: str) -> list[str]:
        """The values of a tier's annotations, in the order of :meth:`coded`."""
        return [value.strip() for _, value in self._values(tier)]

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


def refuse_traps(path: Path) -> None:
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
