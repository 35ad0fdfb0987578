"""What a page says in its language: the text, what assistive technology reads, figures and scripts' words."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}

NOT_SAID = {"script", "style", "code", "kbd", "q"}
"""Scripts, names of files and options, keys, and what a study wrote itself."""

ATTRIBUTES = ("alt", "aria-label", "data-label", "placeholder", "title")

# of Plotly's objects, and of the data for the pages' own scripts
_SAID_KEYS = {"text", "ticktext", "hovertext", "name", "said", "words", "label", "labels"}


class VisibleText(HTMLParser):
    """Parts of another language than the page's, and :data:`NOT_SAID`, are left out.

    :ivar language: of the page. ``text``: its running text. ``further``: attributes and strings of figures.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.language = ""
        self.further: list[str] = []
        self._said: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self._data: list[str] | None = None
        self.feed(html)
        self.text = " ".join("".join(self._said).split())

    @property
    def parts(self) -> list[str]:
        """The texts between tags, and the further ones."""
        return [part for part in (" ".join(said.split()) for said in [*self._said, *self.further]) if part]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "html":
            self.language = found.get("lang") or ""
        said = self._is_said and tag not in NOT_SAID and found.get("lang") in (None, self.language)
        if said:
            self.further += [value for name in ATTRIBUTES if (value := found.get(name))]
        if tag == "script" and found.get("type") == "application/json":
            self._data = []
        if tag not in VOID:
            self._open.append((tag, said))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An empty element, such as a path."""

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        if tag == "script" and self._data is not None:
            self.further += _strings(json.loads("".join(self._data)), said=False)
            self._data = None
        if tag not in ("b", "i", "span", "strong", "a", "em", "sub", "sup"):
            self._said.append(" ")

    def handle_data(self, data: str) -> None:
        if self._data is not None:
            self._data.append(data)
        elif self._is_said:
            self._said.append(data)

    @property
    def _is_said(self) -> bool:
        return not self._open or self._open[-1][1]


def _strings(value: Any, *, said: bool) -> Iterator[str]:
    """The strings below a key that is said."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from _strings(inside, said=said or key in _SAID_KEYS)
    elif isinstance(value, list):
        for inside in value:
            yield from _strings(inside, said=said)
    elif isinstance(value, str) and said:
        yield re.sub(r"<[^>]*>", " ", value)
