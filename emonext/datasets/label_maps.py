"""Map the class names and numbers of other data sets to the seven labels, explicitly."""

from collections.abc import Mapping

from emonext.errors import DataError
from emonext.model import LABELS

LEFT_OUT = "-"
"""Target of a class whose faces are omitted, such as contempt."""

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
"""Label → class names that are known without a map, in lower case."""

LABEL_MAPS: Mapping[str, Mapping[str, str]] = {
    name: {str(number): label for number, label in enumerate(labels.split(), start=first)}
    for name, first, labels in (
        ("fer2013", 0, "angry disgust fear happy sad surprise neutral"),
        ("affectnet", 0, "neutral happy sad surprise fear disgust angry -"),
        ("rafdb", 1, "surprise fear disgust happy sad angry neutral"),
        ("ckplus", 0, "angry disgust fear happy sad surprise neutral -"),
    )
}
"""Class numbers of known data sets. 7 of AffectNet and CK+ is contempt, which has no label here."""


def parse_label_map(text: str) -> Mapping[str, str]:
    """Parse the name of a map in :data:`LABEL_MAPS`, or a map such as ``0=angry,1=disgust,7=-``.

    :returns: class of the data → label, or :data:`LEFT_OUT`.
    :raises DataError: the text is neither, maps a class twice, or names an unknown label.
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
    """Each class of the data → index of the label; ``None`` if the class is omitted.

    Known names need no map, and a map adds names. Numbers differ between data sets, so a map replaces the
    numbers that the format suggests.

    :param places: class name of the data → a place where the class occurs.
    :param label_map: as of :func:`parse_label_map`.
    :param numbers: label of each number in this format, used without a map.
    :param source: name of the data in messages.
    :raises DataError: a class is neither known nor mapped, or the user's map names a class that the data
        lacks (allowed in :data:`LABEL_MAPS`: some copies of a data set lack a class).
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
                f"{source}: `label_map` names {min(absent)!r}, which the data does not have; "
                f"its classes are {', '.join(sorted(places))}."
            )
    ours = {name: table[name.casefold()] for name in places}
    return {name: None if label == LEFT_OUT else LABELS.index(label) for name, label in ours.items()}


def _ours(name: str, label: str) -> str:
    ours = NAMES.get(label.casefold(), label)
    if ours not in (*LABELS, LEFT_OUT):
        raise DataError(
            f"`label_map`: {name}={label}: no such label; map to {', '.join(LABELS)}, "
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
