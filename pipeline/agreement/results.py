"""Results of a comparison of coders, and the files that store them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.agreement.episode_matching import Matched
from pipeline.agreement.time_grid import (
    Coder,
)
from pipeline.stats.reliability import (
    Correlation,
    Figure,
)
from pipeline.stats.weighted_share import WeightedShare
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import Decimal, write_rows


@dataclass(frozen=True)
class OneClass:
    """Agreement on one label against all others.

    :param first_s, second_s: seconds with this label, by coder.
    :param kappa: this label against the rest; with two classes, weighted and unweighted kappa are equal.
    :param shares: agreement on the label's share of each session's compared time.
    """

    label: str
    first_s: float
    second_s: float
    kappa: Figure
    shares: Correlation


@dataclass(frozen=True)
class Comparison:
    """Agreement of two coders on the sessions and seconds that both judged.

    :param level: ``groups`` or ``emotions``.
    :param seconds: compared seconds. ``coverage``: their share of these sessions' time.
    :param over: resampling unit of the intervals: ``sessions`` or ``blocks``.
    :param same: share of the seconds with the same label.
    :param weighted: quadratic kappa over negative, neutral, positive, from ``weighted_s`` seconds.
    :param matrix: labels × labels, seconds; rows: first coder.
    :param episodes: match rates; empty for codings by samples.
    """

    first: Coder
    second: Coder
    level: str
    labels: tuple[str, ...]
    sessions: int
    seconds: float
    coverage: float
    over: str
    same: Figure
    kappa: Figure
    weighted: Figure | None
    weighted_s: float
    classes: tuple[OneClass, ...]
    matrix: tuple[tuple[float, ...], ...]
    episodes: tuple[Matched, ...]


@dataclass(frozen=True)
class StateComparison:
    """Agreement of two readers on one state, such as speaking.

    :param first, second: a rater's name, or ``machine``.
    :param seconds: compared seconds; ``first_s``, ``second_s``: those with the state, by reader.
    :param over: resampling unit of the intervals: ``sessions`` or ``blocks``.
    :param same: share of the seconds in which both say the same.
    """

    state: str
    first: str
    second: str
    sessions: int
    seconds: float
    first_s: float
    second_s: float
    over: str
    same: Figure
    kappa: Figure


@dataclass(frozen=True)
class Several:
    """Krippendorff's alpha of all raters, alone or with one coding of the machine."""

    readers: tuple[str, ...]
    level: str
    sessions: int
    seconds: float
    over: str
    alpha: Figure


@dataclass(frozen=True)
class Disagreement:
    """A run of steps in which two coders chose two different labels."""

    patient_id: str
    session_id: str
    first: str
    second: str
    start_s: float
    end_s: float
    first_label: str
    second_label: str


@dataclass(frozen=True)
class RatedTime:
    """How much of the compared sessions a rater rated.

    :param rated_s: rated seconds of the sessions' counted time. ``coded_s``: rated seconds with a label.
    :param is_stated: whether the rated part is stated for each session; otherwise it may be assumed to last
        from the first code to the last.
    :param unusable: number of sessions without a usable code; they are not compared.
    """

    rater: str
    sessions: int
    rated_s: float
    coded_s: float
    is_stated: bool
    unusable: int


@dataclass(frozen=True)
class ClipLabel:
    """Agreement on one label; shares are of the study's readable time.

    :param first, second: share of the label by reader.
    :param of_second: share of the clips with this label by the second reader that the first labels alike: if
        the second is a rater and the first the machine, its sensitivity. ``of_first``: likewise of the first
        reader's; the machine's positive predictive value.
    """

    label: str
    first: WeightedShare | None
    second: WeightedShare | None
    of_second: WeightedShare | None
    of_first: WeightedShare | None


@dataclass(frozen=True)
class ClipComparison:
    """Agreement of two readers on the clips that both answered.

    :param first, second: a rater, or the machine in one reading.
    :param level: ``groups`` or ``emotions``.
    :param same: share of the study's readable time with the same label.
    :param by_patient, by_condition: the same for parts of the study.
    """

    first: str
    second: str
    level: str
    clips: int
    patients: int
    same: WeightedShare
    kappa: Figure
    labels: tuple[ClipLabel, ...]
    by_patient: tuple[tuple[str, WeightedShare], ...]
    by_condition: tuple[tuple[str, WeightedShare], ...]


@dataclass(frozen=True)
class ClipRater:
    """What a rater answered.

    :param unclear: share of the time in which the rater could not tell. ``flags``: share with each of FLAGS.
    """

    rater: str
    clips: int
    asked: int
    unclear: WeightedShare | None
    flags: tuple[tuple[str, WeightedShare | None], ...]


@dataclass(frozen=True)
class ClipAgreement:
    """All results of rated clips.

    :param drawn: number of clips that were drawn. ``of``: number of clips in the study, about.
    :param seconds: length of a clip, s.
    """

    drawn: int
    of: int
    seconds: float
    raters: tuple[ClipRater, ...]
    comparisons: tuple[ClipComparison, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Agreement:
    """All comparisons.

    :param rated: rated time of each rater, in the order of the raters.
    :param sessions: sessions with rated expressions, each with its readable share.
    :param clips: agreement on clips that were drawn from the study; ``None`` without any.
    """

    step_s: float
    people: tuple[str, ...]
    rated: tuple[RatedTime, ...]
    sessions: tuple[tuple[str, str, float], ...]
    comparisons: tuple[Comparison, ...]
    states: tuple[StateComparison, ...]
    several: tuple[Several, ...]
    disagreements: tuple[Disagreement, ...]
    notes: tuple[str, ...]
    clips: ClipAgreement | None = None

    @classmethod
    def empty(cls, step_s: float) -> "Agreement":
        """Without any coded session."""
        return cls(step_s, (), (), (), (), (), (), (), ())


DISAGREEMENT_COLUMNS = tuple(Disagreement.__dataclass_fields__)


def write_disagreements(found: Agreement, path: Path, decimal: Decimal = "point") -> Path:
    """Write all disagreements as a table.

    :raises OutputError: it can't be written.
    """
    return write_rows(path, DISAGREEMENT_COLUMNS, map(asdict, found.disagreements), decimal)


def write_figures(found: Agreement, path: Path) -> Path:
    """Write all results as JSON, without those of single sessions and patients.

    :raises OutputError: it can't be written.
    """
    figures: dict[str, Any] = {
        "step_s": found.step_s,
        "people": found.people,
        "rated": [asdict(one) for one in found.rated],
        "sessions": len(found.sessions),
        "comparisons": [asdict(one) for one in found.comparisons],
        "states": [asdict(one) for one in found.states],
        "several": [asdict(one) for one in found.several],
        "clips": asdict(found.clips) if found.clips else None,
    }
    if found.clips:
        for one in figures["clips"]["comparisons"]:
            del one["by_patient"]
    with atomic(path) as partial:
        partial.write_text(json.dumps(figures, indent=1, allow_nan=False), encoding="utf-8")
    return path
