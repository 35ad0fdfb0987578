"""The clearest episodes of a session: what a person might look at first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.analysis.measures import GROUP_MEMBERS

AT_MOST = 8
"""Of good and of hard moments each."""


@dataclass(frozen=True)
class Moment:
    """One episode.

    :param start_s, end_s, peak_s: in the video; at the peak the estimate is surest.
    :param mean_p: mean of its smoothed probability, 0…1.
    """

    emotion: str
    start_s: float
    end_s: float
    peak_s: float
    mean_p: float

    @property
    def clearness(self) -> float:
        """The larger, the surer it was read and the longer it lasted: mean probability × √seconds.

        The root, because four times as long is not four times as clear.
        """
        return self.mean_p * math.sqrt(self.end_s - self.start_s)


def clearest_moments(
    episodes: pl.DataFrame, reading: str, at_most: int = AT_MOST
) -> tuple[list[Moment], list[Moment]]:
    """The good and the hard ones, in order of time.

    :param episodes: a session's, from :func:`pipeline.analysis.summaries.read_episodes`.
    """
    of_reading = episodes.filter(pl.col("reading") == reading)
    good, hard = (_clearest(of_reading, GROUP_MEMBERS[of], at_most) for of in ("positive", "negative"))
    return good, hard


def _clearest(episodes: pl.DataFrame, emotions: Sequence[str], at_most: int) -> list[Moment]:
    rows = episodes.filter(pl.col("emotion").is_in(emotions))
    found = [Moment(*row) for row in rows.select("emotion", "start_s", "end_s", "peak_s", "mean_p").rows()]
    clearest = sorted(found, key=lambda moment: (-moment.clearness, moment.start_s))[:at_most]
    return sorted(clearest, key=lambda moment: moment.start_s)
