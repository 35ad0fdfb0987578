"""The page on which a rater judges clips: the patient's face is shown, the machine's answer is not.

The page saves the table that ``emonext agree`` reads. The browser keeps answers by the number of the clip,
and no names.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.agreement.rated_clips import CANT_TELL, FLAGS, GRADED, INTENSITIES, RATED_COLUMNS, Clip
from pipeline.store.encryption import seal_with_password
from pipeline.store.spreadsheet import Cell, Decimal, as_text, separator
from reports.render import choices_key, content_policy, own_script, render, style, write_page
from reports.words.labels import EMOTION_ORDER, EMOTION_WORDS, in_words
from reports.words.language import ENGLISH, Language
from reports.words.watching import FLAG_KEYS, FLAG_WORDS, INTENSITY_WORDS, RATE_SCRIPT_WORDS

SCRIPT_FILES = ("choices.js", "rate.js")

# To watch a clip of 4 s once or twice and answer: an estimate, not measured with raters.
_S_PER_CLIP = 10


def write_rate_page(
    clips: Sequence[Clip],
    films: Mapping[tuple[str, int], bytes],
    rater: str,
    path: Path,
    language: Language = ENGLISH,
    password: str | None = None,
    decimal: Decimal = "point",
) -> Path:
    """Write the page of a rater; return its path.

    :param clips: those that the rater judges, in the order of the page. ``films``: MP4 files by key.
    :param password: with which the clips and their names are encrypted; ``None``: not at all.
    :param decimal: of the table that the page saves.
    :raises pipeline.errors.OutputError: it can't be written.
    """
    return write_page(path, rate_page(clips, films, rater, language, password, decimal))


def rate_page(
    clips: Sequence[Clip],
    films: Mapping[tuple[str, int], bytes],
    rater: str,
    language: Language = ENGLISH,
    password: str | None = None,
    decimal: Decimal = "point",
) -> Markup:
    """The page as HTML; parameters as for :func:`write_rate_page`."""
    words = in_words(EMOTION_WORDS, language)
    answers = [
        {"code": code, "key": str(place), "word": words[code]} for place, code in enumerate(EMOTION_ORDER, 1)
    ]
    answers.append({"code": CANT_TELL, "key": "0", "word": language.gettext("Can’t tell")})
    clear = json.dumps(_data(clips, films, rater, decimal))
    scripts = tuple(map(own_script, SCRIPT_FILES))
    return render(
        "rate.html",
        language,
        answers=answers,
        intensities=in_words(INTENSITY_WORDS, language),
        flags=[(flag, FLAG_KEYS[flag], language.word(FLAG_WORDS[flag])) for flag in FLAGS],
        count=language.ngettext("%(count)s\u00a0clip", "%(count)s\u00a0clips", len(clips)),
        minutes=math.ceil(len(clips) * _S_PER_CLIP / 60),
        file=_file(clips, rater),
        locked=password is not None,
        data={
            "key": choices_key("rate", {"rater": rater, "draws": sorted({clip.draw for clip in clips})}),
            "answers": [answer["code"] for answer in answers],
            "graded": GRADED,
            "intensities": INTENSITIES,
            "flags": FLAGS,
            "words": in_words(RATE_SCRIPT_WORDS, language),
            "clips": None if password else clear,
            "sealed": seal_with_password(clear.encode(), password) if password else None,
        },
        policy=content_policy(scripts, "data:"),
        style=style(),
        scripts=scripts,
    )


def _file(clips: Sequence[Clip], rater: str) -> str:
    """Another name for another draw, so that one table does not replace the other."""
    return f"rating_{rater}_{clips[0].draw}.csv"


def _data(
    clips: Sequence[Clip], films: Mapping[tuple[str, int], bytes], rater: str, decimal: Decimal
) -> dict[str, Any]:
    """The clips and the table that the page saves, without the machine's answers."""
    cells: list[dict[str, Cell]] = [
        {
            "draw": clip.draw,
            "clip": clip.clip,
            "rater": rater,
            "patient_id": clip.patient_id,
            "session_id": clip.session_id,
            "start_s": clip.start_s,
            "end_s": clip.end_s,
        }
        for clip in clips
    ]
    return {
        "file": _file(clips, rater),
        "separator": separator(decimal),
        "columns": RATED_COLUMNS,
        "rows": [[as_text(row.get(name), decimal) for name in RATED_COLUMNS] for row in cells],
        "films": [base64.b64encode(films[clip.key]).decode() for clip in clips],
    }
