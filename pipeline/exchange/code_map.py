"""Map raters' codes to this program's labels."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.records import EMOTIONS, NEGATIVE, STATES
from pipeline.store.spreadsheet import closest, read_toml, shown

NONE = "none"
"""Label of time without a code; in a code map, the key for the label of such time."""

LEFT_OUT, UNRATEABLE = "-", "?"
"""In place of a label: a code to ignore; time that could not be judged."""

COARSE_LABELS = ("positive", "neutral", "negative", "surprise")
"""Coarse labels, on which people agree best. Surprise is neither positive nor negative."""

_MOST_NAMED = 30  # a transcript mistaken for codes has thousands

WITHOUT_EXPRESSION = ("asleep", "away")
"""States in which there is no expression to rate."""

LABELS = (*EMOTIONS, "positive", "negative", *STATES)

GROUP_OF: Mapping[str, str] = {
    **dict.fromkeys(NEGATIVE, "negative"),
    "happy": "positive",
    "surprise": "surprise",
    "neutral": "neutral",
    "positive": "positive",
    "negative": "negative",
    NONE: NONE,
}


_SIGNS = "-–—−().,!"

_NEGATIONS = {
    *("", "0", "n", "no", "none", "not", "never", "false", "off", "absent", "without", "n/a", "na", "0.0"),
    *("non", "pas", "aucun", "aucune", "sans", "nein", "nicht", "kein", "keine", "ohne"),
}
"""Words that deny a code, in English, French and German; empty: a dash or another sign alone."""


@dataclass(frozen=True)
class CodeMap:
    """Map of codes, in lower case → one of LABELS, LEFT_OUT or UNRATEABLE.

    :param uncoded: label of time without a code: NONE, or the default expression of a rater who codes only
        other expressions, such as ``neutral``.
    """

    labels: Mapping[str, str]
    uncoded: str = NONE

    def label(self, code: str) -> str | None:
        """The label of a code; ``None`` if the code is unknown."""
        return self.labels.get(_key(code))

    def contradicts(self, value: str, code: str) -> bool:
        """Whether a value in a place named after a code says another label than the code's, or denies it.

        A group and an expression of it, such as positive and happy, do not contradict each other.
        """
        words = _key(value).replace("_", " ").split()
        if not words or self.label(value) == LEFT_OUT:
            return False
        if self.label(value) is None:
            first, rest = words[0].strip(_SIGNS), " ".join(words[1:])
            return first in _NEGATIONS and (not rest or rest == _key(code) or self.label(rest) is not None)
        own, other = self.labels[_key(code)], self.labels[_key(value)]
        return own != other and other != GROUP_OF.get(own) and own != GROUP_OF.get(other)

    def check(self, codes: Iterable[tuple[str, str]]) -> None:
        """:param codes: pairs of code and file.

        :raises InputError: codes are unknown; the message names them together.
        """
        where: dict[str, str] = {}
        for code, file in codes:
            if self.label(code) is None:
                where.setdefault(code.strip(), file)
        if where:
            first = sorted(where.items())[:_MOST_NAMED]
            named = "; ".join(f"{shown(code)} in {file}{_nearest(code, self.labels)}" for code, file in first)
            more = f"; and {len(where) - _MOST_NAMED} more" if len(where) > _MOST_NAMED else ""
            raise InputError(
                f"Unknown codes: {named}{more}. Say what they mean with `codes`, "
                "such as 'smile=happy,talk=speaking,hidden=?' (- is left out, ? could not be judged)."
            )


DEFAULT_CODES = CodeMap({name: name for name in LABELS})


def read_codes(text: str | None) -> CodeMap:
    """Read a map such as ``smile=happy,cry=sad,talk=-``, or a TOML file with the map under ``[codes]``.

    The program's own labels keep their meaning unless the map changes it. ``none=neutral`` counts time
    without a code as neutral.

    :raises InputError: the map can't be read, or has unknown labels; the message names all of them.
    """
    if not text:
        return DEFAULT_CODES
    pairs = _from_toml(Path(text)) if text.lower().endswith(".toml") else _from_option(text)
    unknown = sorted(set(pairs.values()) - {*LABELS, NONE, LEFT_OUT, UNRATEABLE})
    if unknown:
        named = (f"{shown(label)}{_nearest(label, LABELS)}" for label in unknown)
        raise InputError(
            f"`codes`: {', '.join(named)}: a code means one of {', '.join(LABELS)}, - (left out) "
            "or ? (could not be judged)."
        )
    uncoded = pairs.pop(NONE, NONE)
    if uncoded in (LEFT_OUT, UNRATEABLE, *STATES) or NONE in pairs.values():
        raise InputError("`codes`: none= says what time without a code is taken for, such as none=neutral.")
    return CodeMap({**DEFAULT_CODES.labels, **pairs}, uncoded)


def _from_option(text: str) -> dict[str, str]:
    parts = [part.rpartition("=") for part in text.split(",") if part.strip()]
    if not all(equals and code.strip() for code, equals, _ in parts):
        raise InputError(
            f"`codes` {shown(text)}: write CODE=LABEL, separated by commas, or give a .toml file."
        )
    return {_key(code): label.strip().lower() for code, _, label in parts}


def _from_toml(path: Path) -> dict[str, str]:
    like = '[codes] and, below it, "smile" = "happy"'
    table = read_toml(path, like).get("codes")
    if not isinstance(table, dict) or not all(isinstance(label, str) for label in table.values()):
        raise InputError(f"{path}: not a map of codes; write {like}")
    return {_key(code): label.strip().lower() for code, label in table.items()}


def _key(code: str) -> str:
    return unicodedata.normalize("NFC", code.strip().lower())


def _nearest(word: str, known: Iterable[str]) -> str:
    near = closest(_key(word), known)
    return f" (nearest: {near})" if near else ""
