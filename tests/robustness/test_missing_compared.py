"""study.missing_compared: a study under assumptions about its unseen time, in worlds that are known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from lost_faces import Loss, Lost, lose
from made_sessions import as_tables, made
from timelines import put

from pipeline.analysis.summaries import summarize_folder
from pipeline.robustness.missing_compared import (
    MISSING_COMPARED_SCHEMA,
    MissingComparison,
    compare_missing,
    missing_methods,
    partly_seen,
    read_missing_compared,
    write_missing_compared,
)
from pipeline.robustness.missing_faces import write_missing
from pipeline.robustness.reading_weights import WeightSettings
from pipeline.store.timeline import Timeline
from pipeline.study.comparison_tables import STUDY, read_conditions
from pipeline.study.conditions import compare_conditions, write_conditions
from pipeline.study.session_rows import ComparisonSettings

SETTINGS = ComparisonSettings(measures=(("share", "positive"),), permutations=99)


def tables(
    seed: int = 0, effect: float = 8.0, unseen: tuple[float, float] = (0.3, 0.3)
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sessions and missing time of a made study: the unseen part of the reference, and of the condition."""
    study = made(np.random.default_rng(seed), effect=effect)
    part = np.where(study.other == 1, unseen[1], unseen[0])
    sessions, measures = as_tables(replace(study, weights=1 - part))
    missing = measures.select("patient_id", "session_id", "of", share="value", weighted="value").with_columns(
        observed_s=pl.Series(600 * (1 - part)), unseen_s=pl.Series(600 * part), reason=pl.lit("")
    )
    return sessions, missing


def compared(sessions: pl.DataFrame, missing: pl.DataFrame) -> MissingComparison:
    (found,) = compare_missing(sessions, missing, conditions_of(sessions, missing), SETTINGS)
    return found


def conditions_of(sessions: pl.DataFrame, missing: pl.DataFrame) -> pl.DataFrame:
    measures = missing.select(
        *("patient_id", "session_id", "of"),
        value="share",
        reading=pl.lit("raw"),
        measure=pl.lit("share"),
        unit=pl.lit("0…1"),
    )
    found = compare_conditions(sessions, measures, SETTINGS)
    return pl.DataFrame([vars(one) for one in found], infer_schema_length=None)


def difference_in_world(sessions: pl.DataFrame, missing: pl.DataFrame, unseen: pl.Expr) -> float:
    """The program's own comparison, if the unseen time had been seen, with this share.

    :param unseen: from the columns ``share`` and ``condition``.
    """
    part = pl.col("unseen_s") / (pl.col("observed_s") + pl.col("unseen_s"))
    filled = (
        missing.join(
            sessions.select("patient_id", "session_id", "condition"), on=["patient_id", "session_id"]
        )
        .with_columns(share=(1 - part) * pl.col("share") + part * unseen.clip(0, 1))
        .drop("condition")
    )
    found = conditions_of(sessions, filled).filter(measure="share", patient_id=STUDY)
    return float(found["difference"].item())


IS_MUSIC = pl.col("condition") == "music"


# --- too little


def test_no_sessions_no_rows() -> None:
    sessions, missing = tables()
    conditions = conditions_of(sessions, missing).clear()
    assert compare_missing(sessions.clear(), missing.clear(), conditions, SETTINGS) == ()


def test_what_was_not_compared_has_its_reason() -> None:
    sessions, missing = tables()
    one = compared(sessions.with_columns(condition=pl.lit("baseline")), missing)
    assert one.reason == one.weighted_reason == "no session with another condition than baseline"
    assert (one.bound_low, one.tipping, one.weighted_difference) == (None, None, None)


def test_without_weighted_shares_the_rest_is_told() -> None:
    sessions, missing = tables()
    one = compared(sessions, missing.with_columns(weighted=pl.lit(None, pl.Float64)))
    assert one.weighted_reason == "too few sessions have weighted shares"
    assert (one.weighted_left_out, one.weighted_difference) == (96, None)
    assert one.bound_low is not None


def test_without_unseen_time_every_number_is_the_same() -> None:
    one = compared(*tables(unseen=(0.0, 0.0)))
    assert one.difference == pytest.approx(one.bound_low)
    assert one.difference == pytest.approx(one.bound_high)
    assert (one.tipping, one.alike_shift, one.unseen) == (None, None, 0)
    assert one.mean == pytest.approx(one.mean_none)
    assert one.mean == pytest.approx(one.mean_all)


# --- worlds


def test_the_numbers_of_the_seen_time_are_those_of_the_comparison() -> None:
    sessions, missing = tables()
    (row,) = conditions_of(sessions, missing).filter(measure="share", patient_id=STUDY).to_dicts()
    one = compared(sessions, missing)
    for name in ("mean_reference", "mean", "difference", "difference_low", "difference_high", "sessions"):
        assert getattr(one, name) == row[name]
    assert (one.unseen_reference, one.unseen) == pytest.approx((0.3, 0.3))
    # weighted as without weights
    assert (one.weighted_difference, one.same_difference) == pytest.approx((one.difference,) * 2, abs=1e-6)


@pytest.mark.parametrize(("music", "rest", "name"), [(0.0, 1.0, "bound_low"), (1.0, 0.0, "bound_high")])
def test_the_bounds_are_the_comparisons_of_the_extreme_worlds(music: float, rest: float, name: str) -> None:
    sessions, missing = tables()
    world = pl.when(IS_MUSIC).then(music).otherwise(rest)
    found = getattr(compared(sessions, missing), name)
    assert difference_in_world(sessions, missing, world) == pytest.approx(found, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("effect", [8.0, -8.0])
def test_in_the_world_of_the_tipping_point_conditions_do_not_differ(seed: int, effect: float) -> None:
    sessions, missing = tables(seed, effect)
    one = compared(sessions, missing)
    assert one.tipping_shift is not None
    shift = one.tipping_shift / 100 * (-1 if effect > 0 else 1)
    world = pl.col("share") + pl.when(IS_MUSIC).then(shift).otherwise(-shift)
    assert difference_in_world(sessions, missing, world) == pytest.approx(0, abs=0.01)
    # the shares told are those of that world
    shares = missing.join(sessions, on=["patient_id", "session_id"]).select(IS_MUSIC, world.clip(0, 1) * 100)
    for music, told in ((True, one.tipping), (False, one.tipping_reference)):
        assert shares.filter(condition=music)["share"].mean() == pytest.approx(told, abs=0.05)


def test_in_the_world_that_is_shifted_alike_conditions_do_not_differ() -> None:
    """With music, 50 % was unseen, else 10 %; then 8 points may come of the amount that was seen."""
    sessions, missing = tables(unseen=(0.1, 0.5))
    one = compared(sessions, missing)
    assert one.alike_shift is not None
    assert -40 < one.alike_shift < 0
    world = pl.col("share") + one.alike_shift / 100
    # the variance between sessions is another in that world, and with it the model's weights a little
    assert difference_in_world(sessions, missing, world) == pytest.approx(0, abs=0.2)
    assert compared(*tables(unseen=(0.3, 0.3))).alike_shift is None


# --- simulated studies


def study_with(loss: Loss, out: Path, seed: int = 0) -> float:
    """Write sessions of four patients, who smile more with music; → the true difference, points."""
    random = np.random.default_rng(seed)
    true: dict[str, list[float]] = {"baseline": [], "music": []}
    for patient in range(4):
        for number in range(4):
            condition = ("baseline", "music")[number % 2]
            lost = lose(random, loss, 1500, more_smiles=0.5 if condition == "music" else 0.0)
            true[condition].append(100 * lost.true_share("happy"))
            _put(out, lost, f"P{patient}", f"S{number}", condition)
    summarize_folder(out)
    write_missing(out)
    write_conditions(out, ComparisonSettings(permutations=99))
    write_missing_compared(out)
    return float(np.mean(true["music"]) - np.mean(true["baseline"]))


def _put(out: Path, lost: Lost, patient_id: str, session_id: str, condition: str) -> None:
    ids = {"patient_id": pl.lit(patient_id), "session_id": pl.lit(session_id)}
    session = lost.timeline.metadata["session"] | {"condition": condition}
    metadata: dict[str, Any] = {**lost.timeline.metadata, "session": session}
    put(out, Timeline(lost.timeline.rows.with_columns(**ids), metadata), patient_id, session_id)


@pytest.mark.simulation
@pytest.mark.parametrize("loss", ["by pose and light", "by expression"])
def test_bounds_hold_the_true_difference_and_weights_help_where_they_can(loss: Loss, tmp_path: Path) -> None:
    true = study_with(loss, tmp_path)
    (row,) = read_missing_compared(tmp_path).filter(of="positive").to_dicts()
    assert row["bound_low"] <= true <= row["bound_high"]
    assert row["truth_low"] <= row["bound_low"] < row["difference"] < row["bound_high"] <= row["truth_high"]
    off, off_weighted = abs(row["difference"] - true), abs(row["weighted_difference"] - true)
    if loss == "by expression":
        assert off > 3
        assert off_weighted > 0.8 * off
    else:
        assert off_weighted < off


def test_the_table_is_read_as_it_was_written(derived_small_study: Path) -> None:
    found = read_missing_compared(derived_small_study)
    assert found.columns == MISSING_COMPARED_SCHEMA.names == list(MissingComparison.__dataclass_fields__)
    assert found.select("of", "condition").rows() == [
        (of, condition) for of in ("positive", "neutral", "negative") for condition in ("garden", "music")
    ]
    (music,) = found.filter(of="positive", condition="music").to_dicts()
    theirs = read_conditions(derived_small_study).filter(
        measure="share", of="positive", condition="music", patient_id=""
    )
    assert music["difference"] == theirs["difference"].item()
    # faces of the made study are lost at random
    assert music["weighted_difference"] == pytest.approx(music["same_difference"], abs=0.5)


def test_sessions_of_different_length_of_sight_weigh_as_in_the_comparison() -> None:
    study = made(np.random.default_rng(0), effect=8)
    sessions, measures = as_tables(study)
    missing = measures.select("patient_id", "session_id", "of", share="value", weighted="value").with_columns(
        observed_s=pl.Series(600 * study.weights), unseen_s=pl.Series(600 * (1 - study.weights))
    )
    rows = sessions.join(missing, on=["patient_id", "session_id"], maintain_order="left").with_columns(
        value=100 * pl.col("share"), weight=pl.col("observed_s") / 600
    )
    parts = partly_seen(rows, "music")
    assert parts.difference(parts.seen) == pytest.approx(compared(sessions, missing).difference, abs=1e-6)


def test_every_setting_is_in_the_methods() -> None:
    settings = WeightSettings(around_s=7, penalty=3, largest=13, most_apart=0.17, least_effective=0.61)
    told = missing_methods(vars(settings))
    for part in (
        "within 7 s",
        "penalty 3 per",
        "divided by 13 ",
        "above 0.17,",
        "below 61 %",
        "Imbens & Manski",
    ):
        assert part in told
