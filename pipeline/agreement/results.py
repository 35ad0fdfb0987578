"""What a comparison of coders finds, and the files that hold it."""

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
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import write_rows


@dataclass(frozen=True)
class OneClass:
    """One label against all others.

    :param first_s, second_s: seconds of it, by each reader.
    :param kappa: of this label against the rest; of two classes, the weighted one is the same.
    :param shares: of its share of each session's compared time.
    """

    label: str
    first_s: float
    second_s: float
    kappa: Figure
    shares: Correlation


@dataclass(frozen=True)
class Comparison:
    """Two readers on the sessions and seconds that both have.

    :param level: ``groups`` or ``emotions``.
    :param seconds: compared. ``coverage``: share of these sessions' time that they are.
    :param over: what the intervals are over: ``sessions`` or ``blocks``.
    :param same: share of the seconds with the same label.
    :param weighted: quadratic kappa over negative, neutral, positive, of ``weighted_s`` seconds.
    :param matrix: labels × labels, seconds; rows are the first reader's.
    :param episodes: none of readings by samples.
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
class Several:
    """Krippendorff's alpha of all people, alone or with one way of taking the machine's answer."""

    readers: tuple[str, ...]
    level: str
    sessions: int
    seconds: float
    over: str
    alpha: Figure


@dataclass(frozen=True)
class Disagreement:
    """A run of steps in which two readers say two different things."""

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
    """How much somebody rated, of the sessions that are compared.

    :param rated_s: of the sessions' counted time. ``coded_s``: of it with a label.
    :param is_stated: whether it is stated for each session what was rated; else it may be from the first code
        to the last.
    :param unusable: sessions without a usable code, which are not compared.
    """

    rater: str
    sessions: int
    rated_s: float
    coded_s: float
    is_stated: bool
    unusable: int


@dataclass(frozen=True)
class Agreement:
    """All comparisons.

    :param rated: of each of the people, in the same order.
    :param sessions: rated, with the share of each that could be read.
    """

    step_s: float
    people: tuple[str, ...]
    rated: tuple[RatedTime, ...]
    sessions: tuple[tuple[str, str, float], ...]
    comparisons: tuple[Comparison, ...]
    several: tuple[Several, ...]
    disagreements: tuple[Disagreement, ...]
    notes: tuple[str, ...]


DISAGREEMENT_COLUMNS = tuple(Disagreement.__dataclass_fields__)


def write_disagreements(found: Agreement, path: Path) -> Path:
    """All of them as a table.

    :raises OutputError: it can't be written.
    """
    rows = ({name: _cell(value) for name, value in asdict(one).items()} for one in found.disagreements)
    return write_rows(path, DISAGREEMENT_COLUMNS, rows)


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"


def write_figures(found: Agreement, path: Path) -> Path:
    """Every figure as JSON, without what is said of single sessions.

    :raises OutputError: it can't be written.
    """
    figures: dict[str, Any] = {
        "step_s": found.step_s,
        "people": found.people,
        "rated": [asdict(one) for one in found.rated],
        "sessions": len(found.sessions),
        "comparisons": [asdict(one) for one in found.comparisons],
        "several": [asdict(one) for one in found.several],
    }
    with atomic(path) as partial:
        partial.write_text(json.dumps(figures, indent=1, allow_nan=False), encoding="utf-8")
    return path
