"""Other people's names and numbers for emotions → our seven classes, explicitly and checked."""

from collections.abc import Mapping

from emonext.errors import DataError
from emonext.model import LABELS

LEFT_OUT = "-"
"""What a class is mapped to whose faces are left out, such as contempt."""

_SYNONYMS = {
    "angry": ("anger",),
    "disgust": ("disgusted",),
    "fear": ("fearful", "scared", "afraid"),
    "happy": ("happiness", "joy"),
    "sad": ("sadness",),
    "surprise": ("surprised",),
    "neutral": ("neutrality",),
}

NAMES: Mapping[str, str] = {name: label for label, others in _SYNONYMS.items() for name in (label, *others)}
"""The names that are known without a map, in lower case, by what we call them."""

LABEL_MAPS: Mapping[str, Mapping[str, str]] = {
    name: {str(number): label for number, label in enumerate(labels.split(), start=first)}
    for name, first, labels in (
        ("fer2013", 0, "angry disgust fear happy sad surprise neutral"),
        ("affectnet", 0, "neutral happy sad surprise fear disgust angry -"),
        ("rafdb", 1, "surprise fear disgust happy sad angry neutral"),
        ("ckplus", 0, "angry disgust fear happy sad surprise neutral -"),
    )
}
"""The numbers of known sets. AffectNet's and CK+'s 7 is contempt, which has no class here."""


def parse_label_map(text: str) -> Mapping[str, str]:
    """A map by its name in :data:`LABEL_MAPS`, or as ``0=angry,1=disgust,7=-``.

    :returns: class of the data → one of our labels, or :data:`LEFT_OUT`.
    :raises DataError: it is neither, maps a class twice, or to none of ours.
    """
    if text.strip().casefold() in LABEL_MAPS:
        return LABEL_MAPS[text.strip().casefold()]
    found: dict[str, str] = {}
    for entry in text.split(","):
        name, _, label = (part.strip() for part in entry.partition("="))
        if not name or not label:
            names = ", ".join(LABEL_MAPS)
            raise DataError(f"`label_map`: {entry.strip()!r} is not like 0=angry; or give one of {names}.")
        if name.casefold() in (known.casefold() for known in found):
            raise DataError(f"`label_map`: {name!r} is mapped twice.")
        found[name] = label
    return {name: _ours(name, label) for name, label in found.items()}


def classes_of(
    places: Mapping[str, str],
    label_map: Mapping[str, str] | None,
    numbers: Mapping[str, str],
    source: str,
) -> dict[str, int | None]:
    """Each class of the data → the index of our label; None where it is left out.

    Names are known by themselves, and a map adds to them. Numbers mean something else in every set, so that
    a map replaces those which the form of the data suggests.

    :param places: the classes as the data calls them, each with a place where it stands.
    :param label_map: as of :func:`parse_label_map`.
    :param numbers: what the numbers mean in this form of data if there is no map.
    :param source: what the messages call the data.
    :raises DataError: a class is neither known nor mapped, or the map names one that the data has not. The
        maps of known sets may: not every copy has every class.
    """
    given = {
        key.strip().casefold(): _ours(key, label)
        for key, label in (numbers if label_map is None else label_map).items()
    }
    table = {**NAMES, **given}
    for name, place in places.items():
        if name.casefold() not in table:
            raise DataError(_unknown(name, place))
    if label_map and label_map not in LABEL_MAPS.values():
        absent = given.keys() - {name.casefold() for name in places}
        if absent:
            raise DataError(
                f"{source}: `label_map` names {min(absent)!r}, which the data has not; "
                f"its classes are {', '.join(sorted(places))}."
            )
    ours = {name: table[name.casefold()] for name in places}
    return {name: None if label == LEFT_OUT else LABELS.index(label) for name, label in ours.items()}


def _ours(name: str, label: str) -> str:
    ours = NAMES.get(label.casefold(), label)
    if ours not in (*LABELS, LEFT_OUT):
        raise DataError(
            f"`label_map`: {name}={label}: no such class here; map to {', '.join(LABELS)}, "
            f"or {LEFT_OUT} to leave it out."
        )
    return ours


def _unknown(name: str, place: str) -> str:
    return (
        f"{place}: class {name!r} is not known. Map every number of the data, and names like this one, by "
        f"`label_map` of `evaluate` or `data import`: {name}=happy (or "
        f"{', '.join(label for label in LABELS if label != 'happy')}), {name}={LEFT_OUT} to leave it out; "
        f"or take a map of {', '.join(LABEL_MAPS)}."
    )
