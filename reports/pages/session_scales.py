"""The section of a session's page with machine ratings of observation scales."""

from collections.abc import Sequence
from typing import Any

from pipeline.analysis.scales import BESIDE, BUDGET, ITEM, NOT_ASSESSED, NOT_IN_VIEW
from pipeline.analysis.session_results import Rated
from reports.session_data import SessionMaterial
from reports.words.labels import EMOTION_WORDS, READING_WORDS
from reports.words.language import Language, marked

_ALERTNESS = "general alertness"

SCALE_WORDS = (
    marked("pleasure"),
    marked("anger"),
    marked("anxiety or fear"),
    marked("sadness"),
    marked("general alertness"),
    marked("never seen"),
    marked("less than 16 seconds"),
    marked("16 to 59 seconds"),
    marked("1 to 5 minutes"),
    marked("more than 5 minutes"),
    marked("not in view"),
    marked("positive"),
    marked("negative"),
)
"""What stands in the program's ``scales.toml``; the words of a study's own stay as they are."""


def scales(material: SessionMaterial, language: Language) -> dict[str, Any] | None:
    """A table for each scale and reading, with a row for each window; none where there is none."""
    if material.facts is None or not material.facts.rated:
        return None
    rated = material.facts.rated
    readings = list(dict.fromkeys(one.reading for one in rated))
    return {
        "tables": [
            {
                "name": material.facts.scale_names.get(scale, scale),
                "reading": language.word(READING_WORDS[reading]) if len(readings) > 1 else "",
                **_table([o for o in rated if (o.scale, o.reading) == (scale, reading)], language),
            }
            for scale in dict.fromkeys(one.scale for one in rated)
            for reading in readings
        ]
    }


def _table(rated: Sequence[Rated], language: Language) -> dict[str, Any]:
    def named(*kinds: str) -> list[str]:
        return list(dict.fromkeys(one.item for one in rated if one.kind in kinds))

    by_cell = {(one.window, one.kind, one.item): one for one in rated}
    windows = {one.window: one for one in rated}
    items, beside = named(ITEM), [(kind, item) for kind in (BESIDE, BUDGET) for item in named(kind)]
    return {
        "items": [language.word(item) for item in items],
        "beside": [_word(item, language) for _, item in beside],
        "not_in_view": next(
            (one.score for one in rated if one.words == NOT_IN_VIEW and one.kind == ITEM), None
        ),
        "alertness": _ALERTNESS in items,
        "not_assessed": language.listed([language.word(item) for item in named(NOT_ASSESSED)]),
        "rows": [
            {
                "start_s": one.start_s,
                "end_s": one.end_s,
                "coverage": one.coverage,
                "scores": [_score(by_cell[window, ITEM, item], language) for item in items],
                "seconds": [by_cell[window, kind, item].seconds for kind, item in beside],
            }
            for window, one in windows.items()
        ],
    }


def _score(one: Rated, language: Language) -> tuple[int | None, str]:
    """The form's code for “not in view” is no score, though it is above the highest."""
    return None if one.words == NOT_IN_VIEW else one.score, language.word(one.words)


def _word(item: str, language: Language) -> str:
    """An expression's, or that of several together."""
    return language.word(EMOTION_WORDS.get(item, item))
