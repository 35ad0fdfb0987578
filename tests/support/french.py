"""Pages in French."""

import re
from pathlib import Path

from babel.messages.pofile import read_po
from messages import Message
from page_text import Page

from reports.words.language import catalogues, language


def translations(name: str) -> dict[Message, str | tuple[str, ...]]:
    """Each English text of the catalogues, and what stands for it."""
    found: dict[Message, str | tuple[str, ...]] = {}
    for file in catalogues(name):
        for message in read_po(file.open("rb")):
            if message.id:
                assert not message.fuzzy, message.id
                assert message.id not in found, f"twice: {message.id}"
                found[message.id] = message.string
    return found


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


FRENCH = language("fr")


NBSP = "\u00a0"


def assert_no_english(path: Path) -> None:
    """No text of the page is one that has another in French."""
    # what is said to be English may be
    page = Page(re.sub(r'<(\w+)[^>]* lang="en"[^>]*>.*?</\1>', "", path.read_text(), flags=re.DOTALL))
    english = {
        form.replace(NBSP, " ").lower()
        for message, text in translations("fr").items()
        for form, other in zip(forms(message), forms(text), strict=False)
        if form.lower() != other.lower()
    }
    shown = [" ".join(word.replace(NBSP, " ").split()) for word in page.words]
    shown += [value for _, tag in page.tags for name, value in tag.items() if name in _SHOWN and value]
    # names of columns and values of settings, as the study writes them
    data = {"group", "none", "baseline"}
    found = [text for text in shown if text.lower().rstrip(".:") in english - data]
    assert not found, found
    parts = [re.split(r"%\(\w+\)s|%%|<[^>]+>", text) for text in english]
    telling = {part.strip() for pieces in parts for part in pieces if len(part.split()) > 3}
    found = [part for part in telling if part in page.text.lower()]
    assert not found, found
    assert page.tags[1] == ("html", {"lang": "fr"}) or page.tags[0] == ("html", {"lang": "fr"})


_SHOWN = ("aria-label", "data-label", "alt", "title")
