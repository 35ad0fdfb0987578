"""Translate the reasons of a session's state, written by the pipeline in English, to the page's language.

Other texts, such as messages of the operating system, stay in English, and the page marks them as English.
"""

import re
from functools import cache

from markupsafe import Markup

from reports.words.language import SOURCE, Language, marked

REASONS = (
    marked("no face was found in this video"),
    marked("the patient was not recognised: %(reason)s"),
    marked("the patient's face was found, but never well enough to be read"),
    marked("%(seconds)s s of the video could not be decoded"),
    marked("file %(number)s: %(reason)s"),
    marked("%(count)s recordings were joined in one file; their clocks were put one after the other"),
    marked("the times in the file contradict the order of its %(count)s frames and were put in that order"),
    marked("1 frame of the file could not be decoded"),
    marked("%(count)s frames of the file could not be decoded"),
    marked(
        "about %(seconds)s s at the end of the file can't be read; a recording that was joined to another "
        "needs a file of its own"
    ),
    marked("the picture begins %(seconds)s s after the sound"),
    marked("no picture for %(seconds)s s between the first and the last"),
    marked("the picture ends %(seconds)s s before the sound"),
    marked("it is not certain that this is the patient: %(reason)s"),
    marked("no face was found"),
    marked("%(count)s people may be seen; a rule chose one"),
    marked("a face never moves; it may be a picture on a wall"),
    marked("no face in the video is clear enough to be compared"),
    marked(
        "person %(person)s is %(far)s from the reference faces, and nobody nearer; "
        "one person is %(most)s at most"
    ),
    marked(
        "person %(person)s is %(far)s from the reference faces; one person is %(most)s at most, "
        "two are %(least)s at least"
    ),
    marked(
        "person %(person)s is %(far)s from the reference faces, and person %(next)s %(further)s: "
        "too alike to choose"
    ),
    marked(
        "person %(person)s is %(far)s from the reference faces; the next, person %(next)s, %(further)s; "
        "one person is %(most)s at most"
    ),
    marked(
        "person %(person)s is %(far)s from the reference faces; nobody else is seen; "
        "one person is %(most)s at most"
    ),
    marked("a person set the roles; a face was found at %(found)s of %(wanted)s places"),
    marked("the expression of this person was not stored; process the session again"),
    marked("the person who checked the roles found no patient"),
    marked("the person who checked the roles named no patient, and did not name everybody"),
    marked("nobody is seen in the region"),
    marked(
        "person %(person)s is in the region in %(times)s of %(all)s samples, "
        "and person %(next)s in %(rest)s: too many to choose"
    ),
    marked("person %(person)s is in the region in %(times)s of %(all)s samples: mostly elsewhere"),
    marked(
        "person %(person)s is in the region in %(times)s of %(all)s samples, anybody else in %(rest)s at most"
    ),
    marked("its video is not known"),
    marked("its video is not where it was"),
    marked("shows more than one person: give the session a photo of the patient"),
    marked("looks like the patient of %(sessions)s: please check"),
    marked("does not look, but person %(others)s does, like the patient of %(sessions)s: please check"),
    marked("no frame can be decoded."),
    marked("not found."),
    marked("the file is empty."),
    marked("no progress for %(seconds)s s; it was ended"),
    marked("its process crashed (%(signal)s); the video may be damaged"),
    marked("is up to date; --overwrite processes it again"),
    marked("the status was lost; the next run checks this session"),
)
"""As the pipeline words them, among others in :mod:`pipeline.video.container`."""

STATE_REASONS = {
    "no_consent": marked("there is no consent: nothing is processed"),
    "withdrawn": marked("consent was withdrawn: earlier results are set aside until they are purged"),
}
"""What a state says by itself; its rows have no reason of their own."""

# Names for which several words may stand; all others stand for one word.
_LISTS = ("reason", "sessions", "others")

_DECIMAL = re.compile(r"\d+\.\d+")


def reason_text(reason: str, language: Language) -> str | Markup:
    """The reason in the language; marked as English where there is no translation.

    :returns: safe to be shown: what is no ``Markup`` is escaped by the template.
    """
    translated = reason if language.name == SOURCE else _translated(reason, language)
    return Markup('<span lang="en">{}</span>').format(reason) if translated is None else translated


def _translated(reason: str, language: Language) -> str | None:
    for text, pattern in _patterns():
        if found := pattern.fullmatch(reason):
            values = {name: _written(value, language) for name, value in found.groupdict().items()}
            if "reason" in values:
                values["reason"] = _translated(found["reason"], language) or found["reason"]
            return language.gettext(text, **values)
    # several reasons are joined by what also stands within some of them
    for cut in re.finditer("; ", reason):
        parts = [_translated(part, language) for part in (reason[: cut.start()], reason[cut.end() :])]
        if all(parts):
            return language.gettext("%(one)s; %(other)s", one=parts[0], other=parts[1])
    return None


def _written(value: str, language: Language) -> str:
    """A number with decimals as it is written in the language; anything else as it is."""
    return language.number(float(value), len(value.split(".")[1])) if _DECIMAL.fullmatch(value) else value


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((text, _pattern(text)) for text in REASONS)


def _pattern(text: str) -> re.Pattern[str]:
    """``%(far)s`` stands for one word, ``%(reason)s`` for anything."""
    pieces = re.split(r"%\((\w+)\)s", text)
    for k, piece in enumerate(pieces):
        anything = r".+" if piece in _LISTS else r"\S+"
        pieces[k] = f"(?P<{piece}>{anything})" if k % 2 else re.escape(piece)
    return re.compile("".join(pieces))
