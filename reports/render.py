"""Render templates to self-contained HTML files."""

import base64
import hashlib
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from pipeline.store.counts import clock
from pipeline.store.files import atomic
from reports.words import formatting as words
from reports.words import labels
from reports.words.language import Language

PLOTLY_FILE = "plotly-basic.min.js"
"""Plotly's own smallest bundle (MIT licence, beside it), of the version that plotly.py is made for."""


_SMALL_SCRIPTS = ("marks.js", "search.js", "choices.js", "seat.js", "people.js", "preflight.js", "rate.js")


@cache
def environment(language: Language) -> Environment:
    """The template environment: values are escaped, and an unknown name is an error.

    Texts are translated by ``{% trans %}`` and ``_("…")``; numbers and words are those of the language.
    """
    templates = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    templates.policies["ext.i18n.trimmed"] = True
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    translations = language.translations
    templates.install_gettext_callables(translations.gettext, translations.ngettext, newstyle=True)  # type: ignore[attr-defined]
    templates.filters |= {
        "seconds": partial(words.seconds_text, language=language),
        "clock": clock,
        "count": words.count_text,
        "number": language.number,
        "plain": language.plain,
        "sentence": words.sentence,
        "signed": partial(words.signed, language=language),
    }
    templates.globals |= {
        "language": language,
        "share": partial(words.share_text, language=language),
        "colours": labels.EMOTION_COLOURS,
        "group_colours": labels.GROUP_COLOURS,
        "emotion_words": labels.in_words(labels.EMOTION_WORDS, language),
        "fault_words": labels.in_words(labels.FAULT_WORDS, language),
        "status_words": labels.in_words(labels.STATUS_WORDS, language),
        "state_words": labels.in_words(labels.STATE_WORDS, language),
    }
    return templates


def render(template: str, language: Language, **values: Any) -> Markup:
    """The filled-in template, safe to put into another one.

    :raises ValueError: a value lacks what the template shows of it.
    """
    try:
        # Jinja has escaped the values
        return Markup(environment(language).get_template(template).render(**values))  # noqa: S704
    except UndefinedError as error:
        raise ValueError(f"{template}: {error}") from error


@cache
def style() -> Markup:
    """The style sheet, to be put into the page."""
    return _trusted("templates/style.css")


@cache
def scripts() -> tuple[Markup, ...]:
    """Plotly's script and the one that draws the figures, to be put into the page in this order."""
    return _trusted(f"static/{PLOTLY_FILE}"), _trusted("templates/draw.js")


def own_text() -> tuple[bytes, ...]:
    """What pages bring along that is the same for everybody: scripts and style sheet."""
    small = map(own_script, _SMALL_SCRIPTS)
    texts = (*scripts(), review_script(), *small, style())
    return tuple(str(text).encode() for text in texts)


@cache
def review_script() -> Markup:
    """The one that joins a video to its timeline; it comes after :func:`scripts`."""
    return _trusted("templates/review.js")


@cache
def own_script(file: str) -> Markup:
    """A small script of one kind of page; it comes after :func:`scripts`."""
    return _trusted(f"templates/{file}")


def content_policy(allowed: tuple[Markup, ...] = (), media: str = "'none'", nonce: str | None = None) -> str:
    """A Content-Security-Policy under which only these very scripts run and nothing is fetched.

    Styles stay free because Plotly writes its own.

    :param media: where videos may come from.
    :param nonce: of the scripts beside the page, instead of those in it.
    """
    hashes = [f"'sha256-{_digest(script)}'" for script in allowed]
    own = " ".join(hashes if nonce is None else [f"'nonce-{nonce}'"]) or "'none'"
    beside = "" if nonce is None else " 'self' file:"
    return (
        f"default-src 'none'; script-src {own}; style-src 'unsafe-inline'{beside}; img-src data:; "
        f"media-src {media}; base-uri 'none'; form-action 'none'"
    )


def write_page(path: Path, html: str) -> Path:
    """Write the page: atomic, readable only by the owner.

    :raises pipeline.errors.OutputError: it can't be written.
    """
    with atomic(path) as partial:
        # invalid characters in the data are replaced on the page
        partial.write_text(html, encoding="utf-8", errors="replace", newline="\n")
    return path


def _trusted(file: str) -> Markup:
    """A file of this package as it is: it comes with the program, so it is not escaped."""
    return Markup((resources.files("reports") / file).read_text(encoding="utf-8"))  # noqa: S704


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
