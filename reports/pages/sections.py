"""The sections of a page: named, in order, each with a template of its own."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from markupsafe import Markup

from reports.render import render
from reports.words.language import Language

Subject = TypeVar("Subject")
"""What a page is about."""


@dataclass(frozen=True)
class Section(Generic[Subject]):
    """One section of a page.

    :param name: where links lead to, and the end of its template's name.
    :param fill: what the template shows; None where there is nothing to show.
    """

    name: str
    title: str
    fill: Callable[[Subject, Language], Mapping[str, Any] | None]


def render_sections(
    sections: Iterable[Section[Subject]], prefix: str, subject: Subject, language: Language, **shared: Any
) -> list[tuple[str, str, Markup]]:
    """Name, title and HTML of each section that has something to show.

    :param prefix: the templates are ``<prefix>_<name>.html``. ``shared``: what all of them know.
    """
    filled = ((section, section.fill(subject, language)) for section in sections)
    return [
        (
            section.name,
            language.word(section.title),
            render(f"{prefix}_{section.name}.html", language, **shared, **values),
        )
        for section, values in filled
        if values is not None
    ]
