"""A study of clips with known truth, and raters who know it."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.agreement.clip_accuracy import compare_answers
from pipeline.agreement.clip_sampling import DrawSettings, Frame, draw
from pipeline.agreement.rated_clips import Clip, RatedClip
from pipeline.agreement.results import ClipComparison
from pipeline.exchange.code_map import UNRATEABLE
from pipeline.records import EMOTIONS
from pipeline.stats.weighted_share import WeightedShare

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")

_SHOWN = [0.03, 0.01, 0.02, 0.15, 0.10, 0.04, 0.65]
"""Mean shares of the expressions that are shown; each patient's own lie around them."""

_MISTAKEN = [0.20, 0.02, 0.05, 0.05, 0.40, 0.05, 0.23]
"""What the machine says where it is wrong."""


def made_clips(
    random: np.random.Generator, patients: int = 12, sessions: int = 6, clips: int = 120, spread: float = 0.5
) -> pl.DataFrame:
    """The rows of a frame, and what each clip shows in ``truth``.

    The machine errs more with some patients and in some sessions, with sad faces, and where it is unsure.

    :param spread: standard deviation of the patients' errors, in logits.
    """
    found = []
    for patient in range(patients):
        shown, skill = random.dirichlet(np.array(_SHOWN) * 40), random.normal(0, spread)
        for session in range(sessions):
            truth = random.choice(7, clips, p=shown)
            logit = 1.0 + skill + random.normal(0, 0.5) + (truth == HAPPY) - 0.8 * (truth == SAD)
            is_right = random.random(clips) < 1 / (1 + np.exp(-logit))
            machine = np.where(is_right, truth, random.choice(7, clips, p=_MISTAKEN))
            sure = np.where(machine == truth, 0.75, 0.55)
            start_s = 4.0 * np.arange(clips)
            found.append(
                pl.DataFrame(
                    {
                        "start_s": start_s,
                        "end_s": start_s + 4,
                        "machine": names(machine),
                        "certainty": np.clip(random.normal(sure, 0.15), 0.2, 1.0),
                        "truth": names(truth),
                    }
                ).with_columns(
                    patient_id=pl.lit(f"P{patient:02}"),
                    session_id=pl.lit(f"S{session}"),
                    condition=pl.lit(("baseline", "music")[session % 2]),
                )
            )
    return pl.concat(found)


def names(places: NDArray[np.int64]) -> list[str]:
    return [EMOTIONS[place] for place in places]


def frame_of(rows: pl.DataFrame) -> Frame:
    return Frame(rows.drop("truth"), {})


def rate(
    rows: pl.DataFrame,
    clips: Sequence[Clip],
    random: np.random.Generator,
    unclear: float = 0.1,
    stops_after: float = 1.0,
) -> list[RatedClip]:
    """Each rater says what a clip shows, or cannot tell.

    :param stops_after: share of a rater's clips after which the rater stops.
    """
    truth = {(row[0], row[1], row[2]): row[3] for row in rows.select(_KEY).iter_rows()}
    found = []
    for rater in sorted({rater for clip in clips for rater in clip.raters}):
        own = [clip for clip in clips if rater in clip.raters]
        for clip in own[: round(stops_after * len(own))]:
            said = UNRATEABLE if random.random() < unclear else truth[(*clip.ids, clip.start_s)]
            found.append(RatedClip(clip, rater, said))
    return found


_KEY = ("patient_id", "session_id", "start_s", "truth")


def intervals_that_hold(
    runs: int, clips: int, stops_after: float = 1.0, spread: float = 0.5, seed: int = 11
) -> dict[str, tuple[float, float]]:
    """Share of the runs in which an interval holds the study's own number, and the mean width.

    Two raters judge the clips, a third of them both; the results are those of one.
    """
    random = np.random.default_rng(seed)
    found: dict[str, list[tuple[bool, float]]] = {}
    for _ in range(runs):
        rows = made_clips(random, spread=spread)
        settings = DrawSettings(clips, 4.0, ("anna", "ben"), clips // 3, int(random.integers(2**31)))
        drawn = draw(frame_of(rows), settings)
        rated = [one for one in rate(rows, drawn, random, stops_after=stops_after) if one.rater == "anna"]
        compared = compare_answers(drawn, rated, {"machine": {one.key: one.machine for one in drawn}})
        for name, share, right in _estimates(compared.comparisons[1], rows):
            found.setdefault(name, []).append((share.low <= right <= share.high, share.high - share.low))
    return {name: tuple(np.mean(each, axis=0).tolist()) for name, each in found.items()}


def _estimates(one: ClipComparison, rows: pl.DataFrame) -> Iterator[tuple[str, WeightedShare, float]]:
    """Name, estimate and right value."""
    truth, machine = (rows[name].to_numpy() for name in ("truth", "machine"))
    assert one.level == "emotions"
    yield "same answer", one.same, (truth == machine).mean()
    happy = next(label for label in one.labels if label.label == "happy")
    for name, share, right in (
        ("happy by the machine", happy.first, (machine == "happy").mean()),
        ("happy by the rater", happy.second, (truth == "happy").mean()),
        ("sensitivity for happy", happy.of_second, (machine[truth == "happy"] == "happy").mean()),
        ("predictive value of happy", happy.of_first, (truth[machine == "happy"] == "happy").mean()),
    ):
        if share is not None:
            yield name, share, right
