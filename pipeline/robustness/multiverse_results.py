"""What the analyses of a multiverse have in common, and which choice moves the estimate most."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.store.counts import number_of

CHOICES: Mapping[str, tuple[str, ...]] = {
    "counting": ("counted", "smoothing_s", "enter", "leave", "min_duration_s"),
    "min_coverage": ("min_coverage",),
    "without_speech": ("without_speech",),
    "every": ("every",),
}
"""Choice → columns of the table that state it."""


@dataclass(frozen=True)
class Verdict:
    """All analyses of one condition.

    :param analyses: their number; ``reasons``: number of those without a result, by reason.
    :param own: difference of the study's own analysis, percentage points; ``None`` without a result.
    :param above, below: analyses with a difference above and below zero. ``apart_above``, ``apart_below``:
        those of them whose 95 % interval excludes zero.
    :param lowest, median, highest: of the differences; ``None`` if there is none.
    :param moves: choice → how far it moves the difference, percentage points; the largest first.
    """

    reference: str
    condition: str
    analyses: int
    reasons: Mapping[str, int]
    own: float | None
    above: int
    below: int
    apart_above: int
    apart_below: int
    lowest: float | None
    median: float | None
    highest: float | None
    moves: Mapping[str, float]

    @property
    def computed(self) -> int:
        return self.analyses - sum(self.reasons.values())

    @property
    def same_sign(self) -> int:
        """Analyses with the sign of the study's own one; of a difference of zero, those of zero."""
        if not self.own:
            return self.computed - self.above - self.below
        return self.above if self.own > 0 else self.below

    @property
    def apart(self) -> int:
        """Analyses with the own sign whose interval excludes zero."""
        if not self.own:
            return 0
        return self.apart_above if self.own > 0 else self.apart_below

    @property
    def apart_opposite(self) -> int:
        """Analyses with the other sign whose interval excludes zero."""
        return self.apart_above + self.apart_below - self.apart


def verdicts(table: pl.DataFrame) -> list[Verdict]:
    """One for each condition.

    :param table: in the columns of :data:`pipeline.robustness.multiverse.MULTIVERSE_SCHEMA`.
    """
    return [_verdict(rows) for _, rows in table.group_by("condition", maintain_order=True)]


def _verdict(rows: pl.DataFrame) -> Verdict:
    found = rows.filter(pl.col("difference").is_not_null())
    differences = found["difference"]
    reasons = Counter(rows.filter(pl.col("difference").is_null())["reason"])
    return Verdict(
        reference=rows["reference"][0],
        condition=rows["condition"][0],
        analyses=rows.height,
        reasons=dict(reasons.most_common()),
        own=rows.filter("own")["difference"][0],
        above=int((differences > 0).sum()),
        below=int((differences < 0).sum()),
        apart_above=int((found["difference_low"] > 0).sum()),
        apart_below=int((found["difference_high"] < 0).sum()),
        lowest=_number(differences.min()),
        median=_number(differences.median()),
        highest=_number(differences.max()),
        moves=_moves(found),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _moves(found: pl.DataFrame) -> dict[str, float]:
    """How far each choice moves the difference while all other choices stay the same.

    The range over the values of the choice, averaged over all combinations of the other choices of which two
    or more values have a result. A mean per value would confound choices where results are missing.
    """
    moves = {}
    for choice in CHOICES:
        others = [name for other, names in CHOICES.items() if other != choice for name in names]
        ranges = (
            found.group_by(others)
            .agg(pl.len().alias("values"), (pl.col("difference").max() - pl.col("difference").min()))
            .filter(pl.col("values") > 1)["difference"]
        )
        if len(ranges):
            moves[choice] = float(ranges.to_numpy().mean())
    return dict(sorted(moves.items(), key=lambda item: -item[1]))


# --- for a paper


def multiverse_methods(table: pl.DataFrame, settings: Mapping[str, Any]) -> str:
    """The methods paragraph, in English.

    :param settings: those stored with the table.
    """
    found, count = verdicts(table), table["analysis"].n_unique()
    reference = settings["comparison"]["reference"]
    combined = "; ".join([_countings(table), _coverages(table), *_speech(table), *_samples(table)])
    return (
        f"The comparison of the share of positive expression with “{reference}” was repeated in "
        f"{number_of(count, 'reasonable analysis', 'reasonable analyses')}, with the same model "
        "and in the raw reading only (specification curve: Simonsohn, Simmons & Nelson 2020; multiverse: "
        f"Steegen et al. 2016). These combined {combined}. Combinations that could not change the result "
        f"were left out. {' '.join(map(_outcome, found))} The analyses share the sessions: the counts are "
        "descriptive and no test."
    )


def _countings(table: pl.DataFrame) -> str:
    rows = table.select(CHOICES["counting"]).unique(maintain_order=True).iter_rows(named=True)
    return "the ways to count positive time (" + "; ".join(dict.fromkeys(map(_counting, rows))) + ")"


def _counting(row: Mapping[str, Any]) -> str:
    if row["counted"] == "probability":
        return "mean probability of happy"
    if row["counted"] == "samples":
        smoothed = "" if row["smoothing_s"] is None else f", smoothed over {row['smoothing_s']:g} s"
        return f"happy as the largest probability{smoothed}"
    return (
        f"episodes of happy from {row['enter']:g} to below {row['leave']:g}, "
        f"{row['min_duration_s']:g} s or longer"
    )


def _coverages(table: pl.DataFrame) -> str:
    levels = [f"{100 * level:g} %" for level in table["min_coverage"].unique().sort()]
    return f"a minimum coverage of {' or '.join(levels)}"


def _speech(table: pl.DataFrame) -> list[str]:
    both = table["without_speech"].n_unique() > 1
    return ["all time or only time without speech and chewing"] if both else []


def _samples(table: pl.DataFrame) -> list[str]:
    fewer = [f"one in {every}" for every in table["every"].unique().sort() if every > 1]
    return [f"all samples or {' or '.join(fewer)}"] if fewer else []


def _outcome(one: Verdict) -> str:
    if not one.computed:
        reason = next(iter(one.reasons), "")
        return f"For “{one.condition}”, no analysis was possible ({reason})."
    count = one.analyses - one.computed
    missing = f" {count} {'was' if count == 1 else 'were'} not possible." if count else ""
    span = f"from {_points(one.lowest)} to {_points(one.highest)} percentage points"
    if one.own is None:
        return (
            f"For “{one.condition}”, the study's own analysis was not possible; differences were {span}, "
            f"above zero in {one.above} and below zero in {one.below} of {one.analyses}.{missing}"
        )
    return (
        f"For “{one.condition}”, differences were {span} (the study's own: {_points(one.own)}), with the "
        f"sign of the study's own in {one.same_sign} of {one.analyses} and an interval beside zero on that "
        f"side in {one.apart}, on the other side in {one.apart_opposite}.{missing}"
    )


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}".replace("-", "−")
