"""Render templates to self-contained HTML files."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateNotFound, UndefinedError
from markupsafe import Markup, escape

from pipeline.store.counts import clock
from pipeline.store.files import atomic
from reports.words import formatting as words
from reports.words import labels
from reports.words.language import Language

PLOTLY_FILE = "plotly-basic.min.js"
"""Plotly's own smallest bundle (MIT licence, beside it), of the version that plotly.py is made for."""


_SMALL_SCRIPTS = (
    *("marks.js", "index.js", "choices.js", "seat.js", "people.js", "preflight.js", "rate.js"),
    *("player.js", "markers.js"),
)


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
        "ms": words.milliseconds,
        "seconds": partial(words.seconds_text, language=language),
        "clock": clock,
        "condition": partial(labels.condition_word, language=language),
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
        html = environment(language).get_template(template).render(**values)
        return Markup(with_labels(html))  # noqa: S704
    except UndefinedError as error:
        raise ValueError(f"{template}: {error}") from error
    except TemplateNotFound as error:  # an OSError; those are told as the disk's
        raise RuntimeError(f"reports/templates/{error}: missing") from error


_STACKED = re.compile(r'<table class="stacks\b.*?</table>', re.DOTALL)
_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<(?P<tag>t[hd])(?P<attributes>\b[^>]*)>(?P<content>.*?)(?=</?t[hdr]\b)", re.DOTALL)
_SPAN = re.compile(r'\bcolspan="(\d+)"')


def with_labels(html: str) -> str:
    """The page; cells of tables of the class ``stacks`` name their column in ``data-label``.

    On narrow screens these cells stand below each other. A cell over several columns, and one that has a
    label, stay as they are.
    """
    return _STACKED.sub(_labelled, html)


def _labelled(table: re.Match[str]) -> str:
    head, end, body = table[0].partition("</thead>")
    labels = [
        _label(cell["content"])
        for cell in _CELL.finditer(head.rpartition("<tr")[2])
        for _ in range(_columns(cell))
    ]

    def label_row(row: re.Match[str]) -> str:
        column = 0

        def label_cell(cell: re.Match[str]) -> str:
            nonlocal column
            first, column = column, column + _columns(cell)
            label = labels[first] if first < len(labels) and _columns(cell) == 1 else ""
            if cell["tag"] == "th" or not label or "data-label=" in cell["attributes"]:
                return cell[0]
            return f'<td data-label="{label}"{cell["attributes"]}>{cell["content"]}'

        return _CELL.sub(label_cell, row[0])

    return head + end + _ROW.sub(label_row, body)


def _columns(cell: re.Match[str]) -> int:
    found = _SPAN.search(cell["attributes"])
    return int(found[1]) if found else 1


def _label(content: str) -> str:
    return str(escape(Markup(content).striptags()))  # noqa: S704 — escaped already


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
    texts = (*scripts(), *small, style())
    return tuple(str(text).encode() for text in texts)


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


def data_uri(jpeg: bytes) -> str:
    """A picture as part of the page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def choices_key(page: str, about: Mapping[str, Any]) -> str:
    """The name under which the browser keeps choices; another one if they are about something else."""
    digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    return f"emonext-{page}-{digest[:32]}"
