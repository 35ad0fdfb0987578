"""study.missing_faces: bounds and weighted shares of sessions, and their table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from lost_faces import Loss, lose
from purging import do_purge, paths_with
from scipy.stats import norm
from small_studies import make_small_study
from timelines import TWENTY_SECONDS, Runs, make_timeline, put

from pipeline.analysis.summaries import SummarySettings, read_measures, read_sessions, summarize_folder
from pipeline.errors import InputError, TimelineError
from pipeline.results.derive import derive
from pipeline.robustness.missing_compared import read_missing_compared
from pipeline.robustness.missing_faces import (
    MISSING_SCHEMA,
    TOO_LITTLE,
    missing_rows,
    read_missing,
    write_missing,
)
from pipeline.robustness.reading_weights import WeightSettings
from pipeline.store.encryption import is_encrypted, use_key, use_no_key, write_key


def of_runs(runs: Runs, out: Path, settings: SummarySettings | None = None) -> dict[str, dict[str, Any]]:
    """The rows of one session by share."""
    put(out, make_timeline(runs))
    summarize_folder(out, settings)
    return {row["of"]: row for row in write_missing(out).iter_rows(named=True)}


def rows_of(loss: Loss, seed: int) -> tuple[dict[str, Any], float]:
    """The row of smiles, and their true share."""
    lost = lose(np.random.default_rng(seed), loss)
    ids = {"patient_id": "P1", "session_id": "S1"}
    session = ids | {"duration_s": 600.0, "eyes_shut_s": 0.0, "enough": True}
    return next(missing_rows(lost.timeline, session, WeightSettings())), lost.true_share("happy")


# --- nothing


def test_without_sessions_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match="emonext summarize"):
        write_missing(tmp_path)


@pytest.mark.parametrize("status", ["no_face", "other_person", "decode_error"])
def test_of_what_was_never_seen_anything_is_possible(status: str, tmp_path: Path) -> None:
    for row in of_runs([(status, 100)], tmp_path).values():
        assert (row["none"], row["all"], row["observed_s"], row["unseen_s"]) == (0, 1, 0, pytest.approx(20))
        assert (row["share"], row["weighted"], row["reason"]) == (None, None, TOO_LITTLE)


def test_somebody_asleep_all_the_time_has_no_share(tmp_path: Path) -> None:
    for row in of_runs([("eyes_shut", 100)], tmp_path).values():
        assert (row["none"], row["all"], row["unseen_s"], row["weighted"]) == (None, None, 0, None)


def test_a_session_without_unseen_time_has_one_number(tmp_path: Path) -> None:
    row = of_runs([("happy", 25), ("neutral", 75)], tmp_path)["positive"]
    shares = [row[name] for name in ("share", "none", "all", "weighted")]
    assert shares == pytest.approx([0.25] * 4)
    assert row["weighted_low"] < 0.25 < row["weighted_high"]
    assert (row["reason"], row["unseen_s"]) == ("", 0)


# --- bounds


def test_bounds_by_hand(tmp_path: Path) -> None:
    """20 s: 10 neutral, 4 happy, 2 unseen, 4 sad."""
    found = of_runs(TWENTY_SECONDS, tmp_path)
    bounds = {of: (row["none"], row["all"]) for of, row in found.items()}
    assert bounds["positive"] == pytest.approx((4 / 20, 6 / 20))
    assert bounds["neutral"] == pytest.approx((10 / 20, 12 / 20))
    assert bounds["negative"] == pytest.approx((4 / 20, 6 / 20))
    assert found["positive"]["share"] == pytest.approx(4 / 18)


def test_time_asleep_is_not_unseen_and_does_not_count(tmp_path: Path) -> None:
    """20 s, 5 of them asleep: of the other 15, 4 happy and 3 unseen."""
    row = of_runs([("happy", 20), ("neutral", 40), ("no_face", 15), ("eyes_shut", 25)], tmp_path)["positive"]
    assert (row["none"], row["all"]) == pytest.approx((4 / 15, 7 / 15))


def test_time_without_samples_is_unseen(tmp_path: Path) -> None:
    timeline = make_timeline([("happy", 50), ("neutral", 50)])
    timeline.metadata["session"]["parts"] = [[0.0, 40.0]]
    timeline.metadata["video"]["duration_s"] = 40.0
    put(tmp_path, timeline)
    summarize_folder(tmp_path)
    row = write_missing(tmp_path).row(0, named=True)
    # the last sample lasts two steps at most
    assert row["unseen_s"] == pytest.approx(40 - 20.2)
    assert (row["none"], row["all"]) == pytest.approx((10 / 40, 29.8 / 40))


def test_bounds_stay_where_too_little_was_seen(tmp_path: Path) -> None:
    row = of_runs(TWENTY_SECONDS, tmp_path, SummarySettings(min_coverage=0.95))["positive"]
    assert (row["none"], row["all"]) == pytest.approx((0.2, 0.3))
    assert (row["share"], row["weighted"], row["reason"]) == (None, None, TOO_LITTLE)


@pytest.mark.simulation
@pytest.mark.parametrize("loss", get_args(Loss))
def test_bounds_always_hold_the_truth_and_the_weighted_share(loss: Loss) -> None:
    for seed in range(60):
        row, true = rows_of(loss, seed)
        assert row["none"] <= true <= row["all"]
        assert row["none"] <= row["share"] <= row["all"]
        if row["weighted"] is not None:
            assert row["none"] <= row["weighted"] <= row["all"]


# --- weighted shares


@pytest.mark.simulation
@pytest.mark.parametrize(("loss", "least"), [("at random", 0.9), ("by pose and light", 0.88)])
def test_the_interval_of_a_weighted_share_allows_for_autocorrelation(loss: Loss, least: float) -> None:
    """Of 100 intervals, 95 and 93 hold the share of the process from which the sessions are drawn."""
    turned = np.abs(22 * np.random.default_rng(0).normal(size=10**6) + 6) / 20 - 1
    whole = float(norm.cdf((0.6 * turned - 1) / np.hypot(1, 0.3)).mean())
    assert whole == pytest.approx(0.17, abs=0.01)
    found = [row for seed in range(100) if (row := rows_of(loss, seed)[0])["weighted"] is not None]
    assert len(found) > 90
    assert np.mean([row["weighted_low"] <= whole <= row["weighted_high"] for row in found]) >= least


# --- the table


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make_small_study(tmp_path / "out", 2)


def test_the_table_is_of_every_session_and_agrees_with_the_measures(tmp_path: Path) -> None:
    out = make_small_study(tmp_path, 2, LENGTH_S=600.0)  # in less time, fewer sessions have weights
    summarize_folder(out)
    found = write_missing(out)
    assert found.columns == MISSING_SCHEMA.names
    assert found.equals(read_missing(out))
    assert found.height == 3 * read_sessions(out).height
    assert found["weighted"].count() > 30
    measures = read_measures(out).filter(reading="raw", measure="share").drop("reading", "measure", "unit")
    both = found.join(measures, on=["patient_id", "session_id", "of"])
    of_neutral = both.filter(of="neutral")
    assert both.height == 48
    assert of_neutral.height == 16
    assert both["share"].to_list() == pytest.approx(both["value"].to_list())
    inside = (pl.col("weighted") >= pl.col("none")) & (pl.col("weighted") <= pl.col("all"))
    assert found.drop_nulls("weighted").select(inside.all()).item()
    assert (found["reason"] == "").to_list() == found["weighted"].is_not_null().to_list()


@pytest.fixture
def key(tmp_path: Path) -> Iterator[None]:
    use_key(write_key(tmp_path / "study.key"))
    yield
    use_no_key()


def test_with_a_key_both_tables_are_encrypted(key: None, tmp_path: Path) -> None:
    make_small_study(tmp_path / "encrypted", 2)
    derive(tmp_path / "encrypted")
    for name in ("missing", "missing_compared"):
        assert is_encrypted(tmp_path / "encrypted" / "summaries" / f"{name}.parquet")
    use_no_key()
    for read in (read_missing, read_missing_compared):
        with pytest.raises(InputError, match="--key"):
            read(tmp_path / "encrypted")


def test_a_purged_patient_is_gone_from_both_tables(out: Path) -> None:
    derive(out)
    assert set(read_missing(out)["patient_id"]) == {"P01", "P02"}
    do_purge(out, "P02")
    assert set(read_missing(out)["patient_id"]) == {"P01"}
    assert read_missing_compared(out).height
    assert not [path for path in paths_with(out, "P02") if "missing" in path]
