"""analysis.summaries: derived tables of a folder of timelines."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from timelines import chosen, make_timeline, put

from pipeline.analysis.episodes import EpisodeSettings
from pipeline.analysis.summaries import (
    SESSIONS_SCHEMA,
    SummarySettings,
    read_episodes,
    read_measures,
    read_sessions,
    summarize_folder,
)
from pipeline.checks import demo_study
from pipeline.checks.demo_study import make_study
from pipeline.errors import InputError, TimelineError
from pipeline.store.encryption import use_key, use_no_key, write_key
from pipeline.store.parquet import read_metadata, write_table


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients, the third of whom rests sad."""
    out = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_study, "PATIENTS", 3)
        make_study(out)
    summarize_folder(out)
    return out


def share(made: Path, patient: str, reading: str, of: str) -> float:
    rows = read_measures(made).filter(
        pl.col("patient_id") == patient,
        pl.col("reading") == reading,
        pl.col("measure") == "share",
        pl.col("of") == of,
    )
    return float(rows["value"].mean())  # type: ignore[arg-type]


def truth(made: Path) -> pl.DataFrame:
    return pl.read_csv(made / "truth" / "episodes.csv", separator=",")


def test_a_folder_without_timelines_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no timeline"):
        summarize_folder(tmp_path)
    with pytest.raises(TimelineError, match="emonext summarize"):
        read_sessions(tmp_path)


def test_every_session_is_a_row(made: Path) -> None:
    sessions = read_sessions(made)
    assert sessions.height == 24
    assert sessions["condition"].value_counts().sort("condition").rows() == [
        ("baseline", 9),
        ("garden", 6),
        ("music", 9),
    ]
    assert sessions["enough"].all()
    assert sessions["recorded_at"].null_count() == 0


def test_every_number_comes_raw_and_corrected(made: Path) -> None:
    counts = read_measures(made).group_by("patient_id", "session_id", "reading").len()
    assert counts.height == 48
    assert counts["len"].unique().to_list() == [54]


def test_shares_are_what_was_planted(made: Path) -> None:
    lengths = truth(made).with_columns(seconds=pl.col("end_s") - pl.col("start_s"))
    for patient in ("P01", "P02", "P03"):
        planted = lengths.filter(pl.col("patient_id") == patient, pl.col("code") == "happy")["seconds"].sum()
        assert share(made, patient, "raw", "positive") == pytest.approx(planted / 4800, abs=0.02)


def test_who_rests_sad_is_told_from_who_is_sad(made: Path) -> None:
    lengths = truth(made).with_columns(seconds=pl.col("end_s") - pl.col("start_s"))
    sad = lengths.filter(pl.col("patient_id") == "P03", pl.col("code") == "sad")["seconds"].sum() / 4800
    assert share(made, "P03", "raw", "sad") > sad + 0.1
    assert share(made, "P03", "corrected", "sad") == pytest.approx(sad, abs=0.03)


def test_episodes_are_numbered_in_order(made: Path) -> None:
    episodes = read_episodes(made, "P01", "S01").filter(pl.col("reading") == "raw")
    assert episodes["episode"].to_list() == list(range(1, episodes.height + 1))
    assert episodes["start_s"].is_sorted()
    assert (episodes["end_s"][:-1] <= episodes["start_s"][1:]).all()


def test_without_calm_there_is_one_reading(made: Path, tmp_path: Path) -> None:
    (tmp_path / "timelines").symlink_to(made / "timelines")
    summarize_folder(tmp_path, SummarySettings(baseline_condition="rest"))
    sessions = read_sessions(tmp_path)
    assert not sessions["corrected"].any()
    assert read_measures(tmp_path)["reading"].unique().to_list() == ["raw"]


def test_of_what_was_hardly_seen_no_number_is_given(made: Path, tmp_path: Path) -> None:
    (tmp_path / "timelines").symlink_to(made / "timelines")
    summarize_folder(tmp_path, SummarySettings(min_coverage=0.9))
    sessions = read_sessions(tmp_path)
    few = sessions.filter(~pl.col("enough"))
    assert 0 < few.height < 24
    rows = read_measures(tmp_path).join(few, on=["patient_id", "session_id"], how="semi")
    assert rows["value"].null_count() == rows.height
    assert few["low_expressivity"].null_count() == few.height


@pytest.mark.parametrize("identity", ["confirmed", "recognised", "to_check", "unknown"])
def test_it_is_told_whether_it_is_the_patient(tmp_path: Path, identity: str) -> None:
    patient = chosen("photo", 1, 2) | {"identity": identity}
    put(tmp_path, make_timeline([("happy", 100)], patient=patient))
    summarize_folder(tmp_path)
    assert read_sessions(tmp_path)["identity"].to_list() == [identity]


def test_made_again_with_other_settings(made: Path, tmp_path: Path) -> None:
    (tmp_path / "timelines").symlink_to(made / "timelines")
    settings = SummarySettings(episodes=EpisodeSettings(min_duration_s=5))
    summarize_folder(tmp_path, settings)
    episodes = read_episodes(tmp_path, "P01", "S01")
    assert (episodes["end_s"] - episodes["start_s"]).min() >= 5 - 1e-6  # type: ignore[operator]
    stored = read_metadata(tmp_path / "summaries" / "sessions.parquet")
    assert stored["settings"]["episodes"]["min_duration_s"] == 5


def test_a_session_that_is_gone_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_study, "PATIENTS", 1)
    make_study(tmp_path)
    summarize_folder(tmp_path)
    (tmp_path / "timelines" / "patient_id=P01" / "S08.parquet").unlink()
    summarize_folder(tmp_path)
    assert not (tmp_path / "episodes" / "patient_id=P01" / "S08.parquet").exists()
    assert read_sessions(tmp_path).height == 7


def test_another_version_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "summaries" / "sessions.parquet"
    write_table(path, pa.table({"patient_id": ["P1"]}), {})
    with pytest.raises(TimelineError, match="of another version"):
        read_sessions(tmp_path)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(TimelineError, match="damaged"):
        read_sessions(tmp_path)


def test_every_column_says_what_it_means() -> None:
    for field in SESSIONS_SCHEMA:
        assert field.metadata[b"meaning"]


@pytest.mark.parametrize("wrong", [{"min_coverage": 1.5}, {"min_observed_s": -1}, {"min_rest_s": -1}])
def test_unusable_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="`min_coverage`"):
        SummarySettings(**wrong)  # type: ignore[arg-type]


def test_what_follows_from_encrypted_timelines_is_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_study, "PATIENTS", 1)
    use_key(write_key(tmp_path / "study.key"))
    try:
        make_study(tmp_path / "out")
        summarize_folder(tmp_path / "out")
        assert read_sessions(tmp_path / "out").height == 8
    finally:
        use_no_key()
    with pytest.raises(InputError, match="--key"):
        read_sessions(tmp_path / "out")
