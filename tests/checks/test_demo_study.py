"""checks.demo_study: a simulated study with known truth."""

from pathlib import Path

import polars as pl
import pytest

from pipeline.checks import demo_study
from pipeline.checks.demo_study import CONDITIONS, LENGTH_S, make_study
from pipeline.records import EMOTIONS, STATUSES
from pipeline.store.paths import timeline_path
from pipeline.store.status import read_status
from pipeline.store.timeline import read_timeline, written_sessions


def table(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, separator=",")


def test_every_session_is_a_timeline_of_this_program(raw_study: Path) -> None:
    assert len(written_sessions(raw_study)) == 96
    assert set(read_status(raw_study)["state"]) == {"done"}
    timeline = read_timeline(timeline_path(raw_study, "P03", "S02"))
    assert timeline.rows.height == 3000
    assert set(timeline.rows["status"].cast(pl.String)) <= set(STATUSES)
    assert timeline.metadata["session"]["condition"] == CONDITIONS[1]


def test_the_truth_is_episodes_in_order_and_apart(raw_study: Path) -> None:
    for _, episodes in table(raw_study / "truth" / "episodes.csv").group_by("patient_id", "session_id"):
        assert (episodes["end_s"] > episodes["start_s"]).all()
        assert (episodes["start_s"][1:] >= episodes["end_s"][:-1]).all()
        assert episodes["end_s"].max() <= LENGTH_S  # type: ignore[operator]
        assert set(episodes["code"]) <= set(EMOTIONS) - {"neutral"}


def test_music_brings_smiles_and_the_garden_none(raw_study: Path) -> None:
    episodes = table(raw_study / "truth" / "episodes.csv").filter(pl.col("code") == "happy")
    condition = {f"S{number:02}": name for number, name in enumerate(CONDITIONS, start=1)}
    per_session = {
        name: episodes.filter(pl.col("session_id").replace(condition) == name).height / CONDITIONS.count(name)
        for name in set(CONDITIONS)
    }
    assert per_session["music"] > 1.6 * per_session["baseline"]
    assert per_session["garden"] == pytest.approx(per_session["baseline"], rel=0.2)


def test_raters_are_not_quite_of_one_mind(raw_study: Path) -> None:
    first, second = (table(raw_study / "ratings" / f"rater_{name}.csv") for name in "ab")
    assert set(first["session_id"]) == set(second["session_id"]) == {"S02"}
    assert first.height > second.height > 0.7 * first.height


def test_the_same_seed_makes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_study, "PATIENTS", 1)
    calls: list[tuple[int, int]] = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_study(tmp_path / name, lambda done, total: calls.append((done, total)), seed)
    a, b, c = (read_timeline(timeline_path(tmp_path / name, "P01", "S01")).rows for name in "abc")
    assert a.equals(b)
    assert not a.equals(c)
    assert calls[-1] == (8, 8)
