"""study.multiverse: simulated studies with and without an effect; each number checked by another way."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_sessions import as_tables, made
from multiverses import make_small
from plans import frozen
from timelines import make_timeline

from pipeline.analysis.episodes import EpisodeSettings, find_episodes, observed
from pipeline.analysis.summaries import SummarySettings, read_episodes, read_sessions
from pipeline.errors import InputError
from pipeline.records import EMOTIONS
from pipeline.results.derive import add_multiverse, derive, update_derived
from pipeline.robustness.multiverse import compare, multiverse_path, read_multiverse
from pipeline.robustness.multiverse_choices import Analysis, Counting, Measurement, analyses
from pipeline.robustness.multiverse_sessions import Measured, positive_shares, thinned
from pipeline.store.encryption import is_encrypted, use_key, use_no_key, write_key
from pipeline.store.parquet import read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline
from pipeline.study.comparison_tables import read_conditions
from pipeline.study.session_rows import ComparisonSettings

pytestmark = pytest.mark.slow

NUMBERS = ("sessions_reference", "sessions", "patients", "left_out", "mean_reference", "mean", "difference")
ENDS = ("difference_low", "difference_high")
HAPPY = EMOTIONS.index("happy")


@pytest.fixture(scope="module")
def with_effect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients; music doubles smiles and once more. Summaries and multiverse are there."""
    out = make_small(tmp_path_factory.mktemp("effect"), patients=4, smiles_with_music=4.0)
    derive(out)
    add_multiverse(out)
    return out


@pytest.fixture(scope="module")
def without_effect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = make_small(tmp_path_factory.mktemp("null"), patients=4, smiles_with_music=1.0)
    derive(out)
    add_multiverse(out)
    return out


# --- nothing, and too little


def test_a_folder_without_timelines_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no timeline"):
        add_multiverse(tmp_path)


def test_a_study_of_one_condition_has_a_reason_in_every_row(tmp_path: Path) -> None:
    out = make_small(tmp_path, patients=1, smiles_with_music=1.0)
    derive(out, SummarySettings(baseline_condition="rest"))
    add_multiverse(out)
    table = read_multiverse(out)
    assert set(table["condition"]) == {"baseline", "garden", "music"}
    assert table["difference"].null_count() == table.height > 0
    assert set(table["reason"]) == {"no session with the condition rest"}


def hand_measured(coverage: np.ndarray) -> tuple[Measured, pl.DataFrame]:
    """Twelve patients of eight sessions; music adds 8 points."""
    sessions, measures = as_tables(made(np.random.default_rng(0), effect=8))
    seen = sessions.with_columns(coverage=pl.Series(coverage), observed_s=pl.Series(600 * coverage))
    return Measured({1: seen.drop("enough")}, {Measurement(): measures["value"].to_list()}), measures


def test_an_analysis_without_enough_coverage_has_a_reason() -> None:
    """Nine patients are never seen for half of the time; two of the others are, in too few sessions."""
    coverage = np.repeat([0.9, 0.9, *[0.4] * 10], 8)
    measured, _ = hand_measured(coverage)
    settings = ComparisonSettings(measures=(("share", "positive"),))
    enough, strict = (
        compare(measured, Analysis(Measurement(), least), SummarySettings(), settings) for least in (0.2, 0.5)
    )
    assert enough[0].difference is not None
    assert (enough[0].patients, enough[0].left_out) == (12, 0)
    assert strict[0].difference is None
    assert (strict[0].patients, strict[0].sessions, strict[0].left_out) == (2, 8, 80)
    assert strict[0].reason.startswith("2 of the 3 patients it takes")


def test_sessions_observed_for_seconds_count_in_no_analysis() -> None:
    measured, _ = hand_measured(np.full(96, 0.9))
    short = measured.sessions[1].with_columns(
        observed_s=pl.when(pl.col("session_id") == "S01").then(9.9).otherwise("observed_s")
    )
    settings = ComparisonSettings(measures=(("share", "positive"),))
    (one,) = compare(
        replace(measured, sessions={1: short}), Analysis(Measurement(), 0.2), SummarySettings(), settings
    )
    assert one.left_out == 12


# --- the choices


def sessions_of(*coverages: float, speaks: bool = True) -> pl.DataFrame:
    spoken = [1.0 if speaks else None] * len(coverages)
    return pl.DataFrame(
        {"coverage": coverages, "speaking_s": spoken},
        schema_overrides={"coverage": pl.Float64, "speaking_s": pl.Float64},
    )


WIDE = sessions_of(0.1, 0.3, 0.4, 0.6, 0.9)


def test_all_choices_of_a_usual_study_are_138_different_analyses() -> None:
    found = analyses(SummarySettings(), 5.0, WIDE)
    assert len(found) == len(set(found)) == 3 * (2 * 8 * 3 - 2)
    assert found[0] == Analysis(Measurement(), 0.2)
    windows = {(one.measurement.every, one.measurement.counting.smoothing_s) for one in found}
    assert (5, 3.0) in windows
    assert not any(
        one.measurement.every == 5 and one.measurement.counting == Counting("samples", 1.0) for one in found
    ), "a window of one second holds one sample of one per second"


@pytest.mark.parametrize(
    ("settings", "fps", "sessions", "every", "speech", "coverages"),
    [
        (SummarySettings(), 5.0, sessions_of(0.9, 0.95), {1, 2, 5}, {False, True}, {0.2}),
        (SummarySettings(), 5.0, sessions_of(0.3, 0.95), {1, 2, 5}, {False, True}, {0.2, 0.5}),
        (SummarySettings(min_coverage=0.8), 5.0, sessions_of(0.9), {1, 2, 5}, {False, True}, {0.8}),
        (SummarySettings(min_coverage=0.6), 2.0, WIDE, {1, 2}, {False, True}, {0.2, 0.5, 0.6}),
        (SummarySettings(), 1.0, sessions_of(0.9, speaks=False), {1}, {False}, {0.2}),
        (SummarySettings(), 5.0, sessions_of(), {1, 2, 5}, {False}, {0.2}),
    ],
)
def test_only_choices_that_can_change_the_result_are_made(
    settings: SummarySettings,
    fps: float,
    sessions: pl.DataFrame,
    every: set[int],
    speech: set[bool],
    coverages: set[float],
) -> None:
    found = analyses(settings, fps, sessions)
    if settings.min_coverage == 0.6:
        coverages = {0.6, 0.2}  # 0.5 leaves out the same sessions
    assert {one.measurement.every for one in found} == every
    assert {one.measurement.without_speech for one in found} == speech
    assert {one.min_coverage for one in found} == coverages
    assert len(found) == len(set(found))


def test_the_studys_own_settings_are_always_among_the_choices() -> None:
    own = EpisodeSettings(2.0, 0.7, 0.3, 1.5, 1.2)
    found = analyses(SummarySettings(own, min_coverage=0.35), 5.0, WIDE)
    countings = {one.measurement.counting for one in found}
    assert Counting("episodes", 2.0, 0.7, 0.3, 1.5) in countings
    assert Counting("samples", 2.0) in countings
    assert {one.min_coverage for one in found} == {0.2, 0.35, 0.5}
    shortest = {counting.min_duration_s for counting in countings} - {None}
    assert shortest == {1.5, 2.0}, "an interruption of 1.2 s can't be bridged in an episode of one second"
    for counting in countings:
        if counting.counted == "episodes":
            EpisodeSettings(2.0, counting.enter or 0, counting.leave or 0, counting.min_duration_s or 0, 1.2)


# --- the numbers of a session


def test_thinned_shares_are_those_computed_row_by_row(with_effect: Path) -> None:
    """Each kept sample lasts until the next kept one, at most two steps; the last until the end."""
    timeline = read_timeline(timeline_path(with_effect, "P02", "S03"))
    length_s = timeline.metadata["video"]["duration_s"]
    for every in (1, 2, 5):
        rows = timeline.rows.select("time_s", *(f"p_{name}" for name in EMOTIONS)).rows()[::every]
        happy_s = seen_s = probability_s = 0.0
        for place, (time_s, *probabilities) in enumerate(rows):
            until_s = rows[place + 1][0] if place + 1 < len(rows) else length_s
            seconds = min(until_s - time_s, 2 * every / 5)
            if probabilities[0] is not None:
                seen_s += seconds
                happy_s += seconds * (max(probabilities) == probabilities[HAPPY])
                probability_s += seconds * probabilities[HAPPY]
        samples = observed(thinned(timeline, every))
        shares = positive_shares(samples, [Counting(), Counting("probability")], EpisodeSettings())
        assert samples.seconds.sum() == pytest.approx(seen_s)
        assert shares[Counting()] == pytest.approx(happy_s / seen_s)
        assert shares[Counting("probability")] == pytest.approx(probability_s / seen_s)


def test_thinning_halves_the_rate_and_keeps_the_timeline_whole(with_effect: Path) -> None:
    timeline = read_timeline(timeline_path(with_effect, "P02", "S03"))
    half = thinned(timeline, 2)
    assert half.metadata["settings"]["sample_fps"] == 2.5
    assert half.rows["sample"].to_list() == list(range(0, timeline.rows.height, 2))
    assert timeline.metadata["settings"]["sample_fps"] == 5.0


def test_time_in_episodes_is_that_of_the_table_of_episodes(with_effect: Path) -> None:
    ids = "P01", "S02"
    row = read_sessions(with_effect).filter(patient_id=ids[0], session_id=ids[1])
    table = read_episodes(with_effect, *ids).filter(reading="raw", emotion="happy")
    samples = observed(read_timeline(timeline_path(with_effect, *ids)))
    own = Counting("episodes", 1.0, 0.5, 0.4, 1.0)
    longer = Counting("episodes", 1.0, 0.5, 0.4, 2.0)
    shares = positive_shares(samples, [own, longer], EpisodeSettings())
    seen_s = row["observed_s"][0]
    assert shares[own] == pytest.approx(table["observed_s"].sum() / seen_s)
    anew = find_episodes(samples, EpisodeSettings(min_duration_s=2.0))
    assert len(anew) < len(find_episodes(samples, EpisodeSettings()))
    assert shares[longer] == pytest.approx(
        sum(one.observed_s for one in anew if one.emotion == "happy") / seen_s
    )


def test_a_smile_of_one_sample_is_smoothed_away() -> None:
    """12 s without a gap: one sample of happy alone, and 2 s of happy later."""
    timeline = make_timeline([("neutral", 20), ("happy", 1), ("neutral", 20), ("happy", 10), ("neutral", 9)])
    sharp, smooth, episodes = (
        Counting(),
        Counting("samples", 1.0),
        Counting("episodes", 1.0, 0.5, 0.4, 1.0),
    )
    shares = positive_shares(observed(timeline), [sharp, smooth, episodes], EpisodeSettings())
    assert shares[sharp] == pytest.approx(11 / 60)
    assert shares[smooth] == pytest.approx(10 / 60)
    assert shares[episodes] == pytest.approx(10 / 60)


# --- the study


def test_the_own_analysis_is_that_of_the_table_of_conditions(with_effect: Path) -> None:
    table = read_multiverse(with_effect)
    conditions = read_conditions(with_effect).filter(patient_id="", of="positive")
    plain = table.filter(counted="samples", every=1, min_coverage=0.2).filter(pl.col("smoothing_s").is_null())
    for measure, rows in (
        ("share", table.filter("own")),
        ("share", plain.filter(~pl.col("without_speech"))),
        ("share_without_speech", plain.filter("without_speech")),
    ):
        wanted = conditions.filter(measure=measure).sort("condition")
        columns = ["condition", "reason", *NUMBERS, *ENDS]
        assert rows.sort("condition").select(columns).rows() == wanted.select(columns).rows()
        assert rows.height == 2


def test_the_own_analysis_follows_the_settings_of_the_study(tmp_path: Path) -> None:
    out = make_small(tmp_path, patients=3, smiles_with_music=4.0)
    settings = SummarySettings(EpisodeSettings(smoothing_s=2.0), min_coverage=0.85)
    sessions = derive(out, settings) or read_sessions(out)
    assert 0 < int(sessions["enough"].sum()) < sessions.height
    add_multiverse(out)
    own = read_multiverse(out).filter("own").sort("condition")
    wanted = read_conditions(out).filter(patient_id="", of="positive", measure="share").sort("condition")
    columns = ["condition", "reason", *NUMBERS, *ENDS]
    assert own.select(columns).rows() == wanted.select(columns).rows()
    assert set(own["min_coverage"]) == {0.85}
    stored = read_metadata(multiverse_path(out))["settings"]
    assert stored["summaries"]["episodes"]["smoothing_s"] == 2.0
    assert stored["comparison"]["reference"] == "baseline"


def test_the_own_analysis_follows_the_plan_of_the_study(with_effect: Path, tmp_path: Path) -> None:
    """The plan asks for more patients than the study has, so that no comparison is possible."""
    out = shutil.copytree(with_effect, tmp_path / "planned")
    frozen(out, min_patients=5)
    add_multiverse(out)
    columns = ["condition", "reason", *NUMBERS, *ENDS]
    wanted = read_conditions(out).filter(patient_id="", of="positive", measure="share").sort("condition")
    own = read_multiverse(out).filter("own").sort("condition")
    assert own.select(columns).rows() == wanted.select(columns).rows()
    assert all(reason.startswith("4 of the 5 patients it takes") for reason in own["reason"])
    assert read_metadata(multiverse_path(out))["settings"]["comparison"]["min_patients"] == 5


def test_a_planted_effect_is_positive_in_all_analyses(with_effect: Path) -> None:
    music = read_multiverse(with_effect).filter(condition="music")
    assert 46 <= music.height <= 138
    assert set(music["reason"]) == {""}
    assert (music["difference_low"] > 0).all()
    truth = pl.read_csv(with_effect / "truth" / "episodes.csv", separator=",").filter(code="happy")
    seconds = truth.group_by("patient_id", "session_id").agg(s=(pl.col("end_s") - pl.col("start_s")).sum())
    sessions = read_sessions(with_effect).join(seconds, on=["patient_id", "session_id"], how="left")
    shown = sessions.with_columns(percent=100 * pl.col("s").fill_null(0) / pl.col("duration_s"))
    means = shown.group_by("patient_id", "condition").agg(pl.col("percent").mean())
    of = {
        condition: means.filter(condition=condition).sort("patient_id")["percent"].to_numpy()
        for condition in ("music", "baseline")
    }
    true = float((of["music"] - of["baseline"]).mean())
    own = music.filter("own").to_dicts()[0]
    assert own["difference_low"] < true < own["difference_high"]


def test_where_there_is_no_effect_the_own_interval_includes_zero(without_effect: Path) -> None:
    table = read_multiverse(without_effect)
    for own in table.filter("own").iter_rows(named=True):
        assert own["difference_low"] < 0 < own["difference_high"]
    apart = (table["difference_low"] > 0) | (table["difference_high"] < 0)
    assert apart.mean() < 0.25


def test_an_analysis_with_the_same_sessions_is_listed_once(with_effect: Path) -> None:
    table = read_multiverse(with_effect)
    others = [name for name in table.columns if name not in ("analysis", "min_coverage", "own")]
    assert table.select(others).unique().height == table.height


# --- among the other tables


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    out = make_small(tmp_path / "study", patients=1, smiles_with_music=1.0)
    derive(out)
    yield out
    use_no_key()


def times(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "summaries").iterdir()}


def test_progress_ends_at_all(small: Path) -> None:
    calls: list[tuple[int, int]] = []
    add_multiverse(small, lambda done, total: calls.append((done, total)))
    total = 8 + read_multiverse(small)["analysis"].n_unique()
    assert [done for done, _ in calls] == list(range(1, total + 1))
    assert {total for _, total in calls} == {total}


def test_a_table_that_is_there_changes_nothing_for_an_update(small: Path) -> None:
    add_multiverse(small)
    before = times(small)
    update_derived(small)
    assert times(small) == before
    assert "multiverse.parquet" in before


def test_problems_of_the_studys_files_are_kept(small: Path) -> None:
    (small / "events.csv").write_text("session_id;time_s;what\nS99;10;song\n")
    problems = update_derived(small)
    add_multiverse(small)
    before = times(small)
    assert update_derived(small) == problems != ()
    assert times(small) == before


def test_a_table_of_earlier_data_is_removed_and_no_longer_told(small: Path) -> None:
    add_multiverse(small)
    assert "reasonable analyses" in (small / "summaries" / "methods.md").read_text()
    (small / "timelines" / "patient_id=P01" / "S03.parquet").unlink()
    update_derived(small)
    assert not multiverse_path(small).exists()
    assert "reasonable analyses" not in (small / "summaries" / "methods.md").read_text()
    add_multiverse(small)
    derive(small, SummarySettings(min_coverage=0.5))
    assert not multiverse_path(small).exists()


def test_a_table_of_an_interrupted_run_is_removed(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is whole or missing, and the others are marked as complete only after it."""

    def fail(out: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.results.derive.write_methods", fail)
        with pytest.raises(KeyboardInterrupt):
            add_multiverse(small)
    update_derived(small)
    assert not multiverse_path(small).exists()


def test_the_table_is_encrypted_where_a_key_is_used(small: Path, tmp_path: Path) -> None:
    use_key(write_key(tmp_path / "study.key"))
    derive(small)
    add_multiverse(small)
    assert is_encrypted(multiverse_path(small))
    assert read_multiverse(small).height > 0
    use_no_key()
    with pytest.raises(InputError, match="key"):
        read_multiverse(small)
