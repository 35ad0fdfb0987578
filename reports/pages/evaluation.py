"""The page of one evaluation of the classifier: its reliability and its limits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reports.pages.evaluation_sections import SECTIONS
from reports.pages.sections import render_sections
from reports.render import content_policy, render, scripts, style, write_page
from reports.words.evaluation import Values, key_sentence
from reports.words.language import ENGLISH, Language

NOTHING: Values = {
    "weights": "–",
    "sha256": "–",
    "count": 0,
    "readings": [],
    "faces_per_s": None,
    "bf16_agreement": None,
    "groups": [],
    "as_used": [],
    "robustness": [],
}
"""An evaluation without results."""


def write_evaluation_page(found: Mapping[str, Any], path: Path, language: Language = ENGLISH) -> None:
    """Writes the page of one evaluation.

    :param found: ``emonext.evaluation.Evaluation.to_dict()``, or what ``evaluate --json`` wrote.
    :raises pipeline.errors.OutputError: it can't be written.
    """
    write_page(path, evaluation_page(found, language))


def evaluation_page(found: Mapping[str, Any], language: Language = ENGLISH) -> Markup:
    """The page of one evaluation as HTML."""
    found = {**NOTHING, **found}
    page_scripts = scripts() if found["readings"] or found["robustness"] else ()
    return render(
        "evaluation.html",
        language,
        weights=found["weights"],
        answer=key_sentence(found, language),
        sections=render_sections(SECTIONS, "evaluation", found, language),
        policy=content_policy(page_scripts),
        style=style(),
        scripts=page_scripts,
    )
