"""The data of a session's page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

from pipeline.analysis.events import Event, why_outside
from pipeline.analysis.session_results import SessionFacts
from pipeline.analysis.summaries import has_time
from pipeline.records import EMOTIONS, NEGATIVE, UNPLAYABLE_SUFFIXES, UNSURE
from pipeline.store.counts import clock
from pipeline.store.coverage import Summary, seen_too_little
from pipeline.store.timeline import Timeline


@dataclass(frozen=True)
class Pictures:
    """Small pictures of moments.

    :param jpegs: by the moment's peak, s; ``None`` where nothing but blurred faces would be seen; empty where
        the recording is not to be had any more.
    :param faces: whether the patient's face can be recognised in them.
    """

    jpegs: Mapping[float, bytes | None]
    faces: Literal["blur", "plain"]


@dataclass(frozen=True)
class Film:
    """A file that a page plays or leads to.

    :param url: relative to the page, or absolute.
    :param start_s: the recording's time at which it begins.
    """

    url: str
    start_s: float


@dataclass(frozen=True)
class PlayedVideo:
    """What a session's page plays.

    :param films: in order of time; empty: the recording is not where it was.
    :param blur: whose faces are blurred: ``others``, ``all``, or ``none`` in the recording itself.
    :param sound: whether a copy has the recording's sound: voices identify people.
    :param folder: of the results, as commands on the page name it.
    :param outdated: whether there is a copy of an earlier timeline, which is not played.
    """

    films: Sequence[Film]
    blur: str
    folder: str
    sound: bool = False
    outdated: bool = False

    @property
    def unplayable_format(self) -> str:
        """The format of a file that no browser plays, such as ``AVI``; empty if all may be played."""
        suffixes = (PurePosixPath(film.url).suffix.lower() for film in self.films)
        return next((suffix[1:].upper() for suffix in suffixes if suffix in UNPLAYABLE_SUFFIXES), "")


@dataclass(frozen=True)
class SessionMaterial:
    """One session, for :func:`reports.pages.session.session_page`.

    :param facts: from its derived tables; none where there are none.
    :param pictures: none where they were not asked for.
    :param review: the page on which it can be checked by eye, relative to this one; none where there is none.
    :param video: none where the page plays nothing.
    :param alone: whether the page is to be sent away: it leads to no other file.
    """

    timeline: Timeline
    summary: Summary
    facts: SessionFacts | None = None
    pictures: Pictures | None = None
    review: str | None = None
    video: PlayedVideo | None = None
    alone: bool = False

    @property
    def in_folder(self) -> bool:
        """Whether the pages of the study and the patient lie beside the page."""
        return self.facts is not None and not self.alone

    @property
    def playable(self) -> bool:
        """Whether the page has a video to play."""
        return self.video is not None and bool(self.video.films) and not self.video.unplayable_format

    @property
    def events(self) -> Sequence[Event]:
        """What the study noted within what counts of the session, in order of time.

        An event outside is told where the list is read, :mod:`pipeline.results.derive`.
        """
        parts = self.timeline.metadata["session"]["parts"]
        return [
            event
            for event in (self.facts.events if self.facts else ())
            if not why_outside(event.time_s, parts)
        ]

    @property
    def is_unclear(self) -> bool:
        """Whether there are faces, and no expression was counted in doubt who the patient is."""
        patient = self.timeline.metadata["patient"]
        return bool(patient["tracks"]) and patient["identity"] in UNSURE and not self.summary.observed_s

    @property
    def left_out(self) -> list[str]:
        """The intervals of the recording that do not count, such as ``0:11–0:13``."""
        metadata = self.timeline.metadata
        ends_s = [0.0, *(end for part in metadata["session"]["parts"] for end in part)]
        pairs = zip(ends_s[::2], [*ends_s[1::2], metadata["video"]["duration_s"]], strict=True)
        return [f"{clock(start)}–{clock(end)}" for start, end in pairs if end - start > 0.5]

    @property
    def recorded_at(self) -> datetime | None:
        """When the recording begins, local time."""
        text = self.timeline.metadata["session"]["recorded_at"]
        return datetime.fromisoformat(text) if text else None

    @property
    def is_time_known(self) -> bool:
        return has_time(self.recorded_at)

    @property
    def condition(self) -> str:
        """As the study names it, or empty."""
        condition: str = self.timeline.metadata["session"]["condition"]
        return condition

    @property
    def enough(self) -> bool:
        """Whether so much was seen that shares don't mislead."""
        return not seen_too_little(self.summary) if self.facts is None else self.facts.enough

    @property
    def emotion_s(self) -> Mapping[str, float]:
        """Seconds of each emotion, by the reading that words go by."""
        if self.facts is None:
            return self.summary.emotion_s
        found = {name: self.facts.numbers.get((self.facts.reading, "seconds", name)) for name in EMOTIONS}
        seconds = {name: number.value for name, number in found.items() if number is not None}
        return seconds or self.summary.emotion_s

    @property
    def told(self) -> Summary:
        """The summary with :attr:`emotion_s` in it and what they make together."""
        seconds = self.emotion_s
        return replace(
            self.summary,
            emotion_s=seconds,
            positive_s=seconds["happy"],
            neutral_s=seconds["neutral"],
            negative_s=sum(seconds[name] for name in NEGATIVE),
        )
