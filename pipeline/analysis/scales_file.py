"""The definitions of observation scales: ``scales.toml``, read and checked.

The file beside this module defines the program's scales (windows, items, bands); a file of that name in the
results folder replaces them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.records import EMOTIONS
from pipeline.store.spreadsheet import read_toml, shown

SCALES_FILE = "scales.toml"

_LEAST_WINDOW_S, _MOST_S = 1, 10**6

# Tolerance for sums of binary fractions, so that 80 samples of 0.2 s are 16 s.
_DIGITS = 3


@dataclass(frozen=True)
class Band:
    """Durations with the same score: below ``below_s``, or at most ``up_to_s``; with neither, all."""

    score: int
    words: str
    below_s: float | None = None
    up_to_s: float | None = None

    def holds(self, seconds: float) -> bool:
        if self.below_s is not None:
            return seconds < self.below_s
        return self.up_to_s is None or seconds <= self.up_to_s


@dataclass(frozen=True)
class Scale:
    """The definition of a scale.

    :param key: name in the file. ``source``: publication.
    :param min_coverage: minimum coverage of a window, 0…1; below it, the rating is ``not_in_view``.
    :param items: item → the expression that represents the item.
    :param bands: in order; the first that holds a duration gives the score.
    :param beside: expressions without an item. ``not_assessed``: items without an expression.
    :param eyes_open: the item for which the time with open eyes stands; empty: none.
    """

    key: str
    name: str
    source: str
    window_s: float
    min_coverage: float
    not_in_view: int
    items: Mapping[str, str]
    bands: tuple[Band, ...]
    beside: tuple[str, ...] = ()
    not_assessed: tuple[str, ...] = ()
    eyes_open: str = ""

    def band(self, seconds: float) -> Band:
        """The band of the summed duration of an item's episodes in a window."""
        rounded = round(seconds, _DIGITS)
        return next(band for band in self.bands if band.holds(rounded))


@dataclass(frozen=True)
class Scales:
    """The content of the file, stored with the ratings.

    :param adaptation_sha256: of the adaptation behind the adapted reading's ratings; empty without one.
    """

    scales: tuple[Scale, ...]
    file: str
    adaptation_sha256: str = ""


def read_scales(out: Path) -> Scales:
    """Read the study's own scales, or else the program's.

    :raises InputError: the file is no TOML, or a table is no scale.
    """
    own = out / SCALES_FILE
    path = own if own.exists() else Path(__file__).with_name(SCALES_FILE)
    found = read_toml(path, "window_s = 600")
    scales = []
    for key, table in found.items():
        try:
            scales.append(_scale(key, table))
        except ValueError as error:
            raise InputError(
                f"{path}: {shown(key)} is no scale: {error}; compare it with {SCALES_FILE} of the program."
            ) from error
    if not scales:
        raise InputError(f"{path}: holds no scale; remove it, or copy the program's.")
    return Scales(tuple(scales), own.name if path == own else "that of the program")


def _scale(key: str, table: Any) -> Scale:
    """:raises ValueError: what is wrong with it."""
    _check_names("it", table, Scale)
    bands = enumerate(_must("bands", table["bands"], _LIST), start=1)
    scale = Scale(
        key=key,
        name=_must("name", table["name"], _TEXT),
        source=_must("source", table["source"], _TEXT),
        window_s=float(_must("window_s", table["window_s"], _WINDOW)),
        min_coverage=float(_must("min_coverage", table["min_coverage"], _SHARE)),
        not_in_view=_must("not_in_view", table["not_in_view"], _SCORE),
        items={
            item: _must(f"items, {shown(item)}", emotion, _EMOTION)
            for item, emotion in _must("items", table["items"], _TABLE).items()
        },
        bands=tuple(_band(f"band {number}", band) for number, band in bands),
        beside=_each("beside", table.get("beside", []), _EMOTION),
        not_assessed=_each("not_assessed", table.get("not_assessed", []), _TEXT),
        eyes_open=_must("eyes_open", table["eyes_open"], _TEXT) if "eyes_open" in table else "",
    )
    _check_bands(scale.bands)
    return scale


def _band(where: str, table: Any) -> Band:
    """:raises ValueError: what is wrong with it."""
    _check_names(where, table, Band)
    ends = {
        name: float(_must(f"{where}, {name}", table[name], _SECONDS))
        for name in ("below_s", "up_to_s")
        if name in table
    }
    score = _must(f"{where}, score", table["score"], _SCORE)
    return Band(score, _must(f"{where}, words", table["words"], _TEXT), **ends)


def _check_names(where: str, table: Any, shape: type[Scale] | type[Band]) -> None:
    """:raises ValueError: the value is no table, or its keys are not the fields of the class."""
    names = {field.name: field.default is MISSING for field in fields(shape) if field.name != "key"}
    for name in sorted(_must(where, table, _TABLE).keys() ^ names.keys()):
        if name not in names:
            raise ValueError(f"{where} has {shown(name)}, and may have {', '.join(names)}")
        if names[name]:
            raise ValueError(f"{where} has no {shown(name)}")


def _check_bands(bands: Sequence[Band]) -> None:
    """:raises ValueError: the bands are not in order, or do not cover all durations."""
    if not bands or bands[-1].below_s is not None or bands[-1].up_to_s is not None:
        raise ValueError("the last band must have no end")
    for number, band in enumerate(bands[:-1], start=1):
        if (band.below_s is None) == (band.up_to_s is None):
            raise ValueError(f"band {number} must have one of below_s and up_to_s")
    ends = [end for band in bands for end in (band.below_s, band.up_to_s) if end is not None]
    if ends != sorted(set(ends)):
        raise ValueError("bands must be in order of their ends")


@dataclass(frozen=True)
class _Kind:
    """A kind of value in the file: a description, and a check."""

    words: str
    fits: Callable[[Any], bool]


def _number(words: str, within: Callable[[float], bool]) -> _Kind:
    return _Kind(
        words, lambda value: type(value) in (int, float) and within(value)
    )  # bool is a subclass of int


_TEXT = _Kind("a text", lambda value: isinstance(value, str) and bool(value.strip()))
_LIST = _Kind("a list", lambda value: isinstance(value, list))
_TABLE = _Kind("a table", lambda value: isinstance(value, dict))
_EMOTION = _Kind(f"one of {', '.join(EMOTIONS)}", lambda value: value in EMOTIONS)
_SCORE = _Kind("a whole number from -128 to 127", lambda value: type(value) is int and -128 <= value <= 127)
_SHARE = _number("a number above 0 and at most 1", lambda value: 0 < value <= 1)
_SECONDS = _number(f"a number of seconds up to {_MOST_S}", lambda value: 0 <= value <= _MOST_S)
_WINDOW = _number(
    f"a number of seconds from {_LEAST_WINDOW_S} to {_MOST_S}",
    lambda value: _LEAST_WINDOW_S <= value <= _MOST_S,
)


def _must(where: str, value: Any, be: _Kind) -> Any:
    """Return the value.

    :raises ValueError: the value is of another kind.
    """
    if not be.fits(value):
        raise ValueError(f"{where} must be {be.words}, not {shown(repr(value), quoted=False)}")
    return value


def _each(where: str, values: Any, be: _Kind) -> tuple[Any, ...]:
    return tuple(_must(where, value, be) for value in _must(where, values, _LIST))
