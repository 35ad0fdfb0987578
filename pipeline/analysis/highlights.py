"""Select the clearest episodes of a session, to look at first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.analysis.measures import GROUP_MEMBERS

AT_MOST = 8
"""Number of good moments, and of hard moments."""


@dataclass(frozen=True)
class Moment:
    """One episode.

    :param start_s, end_s, peak_s: time in the video; the probability is highest at the peak.
    :param mean_p: mean of the smoothed probability, 0…1.
    """

    emotion: str
    start_s: float
    end_s: float
    peak_s: float
    mean_p: float

    @property
    def clearness(self) -> float:
        """Rank of an episode: mean probability × √seconds.

        The root, because an episode of four times the length is not four times as clear.
        """
        return self.mean_p * math.sqrt(self.end_s - self.start_s)


def clearest_moments(
    episodes: pl.DataFrame, reading: str, at_most: int = AT_MOST
) -> tuple[list[Moment], list[Moment]]:
    """The clearest good and hard moments, in order of time.

    :param episodes: episodes of a session, from :func:`pipeline.analysis.summaries.read_episodes`.
    """
    of_reading = episodes.filter(pl.col("reading") == reading)
    good, hard = (_clearest(of_reading, GROUP_MEMBERS[of], at_most) for of in ("positive", "negative"))
    return good, hard


def _clearest(episodes: pl.DataFrame, emotions: Sequence[str], at_most: int) -> list[Moment]:
    rows = episodes.filter(pl.col("emotion").is_in(emotions))
    found = [Moment(*row) for row in rows.select("emotion", "start_s", "end_s", "peak_s", "mean_p").rows()]
    clearest = sorted(found, key=lambda moment: (-moment.clearness, moment.start_s))[:at_most]
    return sorted(clearest, key=lambda moment: moment.start_s)
