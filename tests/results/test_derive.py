"""analysis.derive: all derived tables are written, and written again after a change."""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from small_studies import make_small_study

from pipeline.analysis.episodes import EpisodeSettings
from pipeline.analysis.scales import read_ratings
from pipeline.analysis.summaries import SummarySettings
from pipeline.errors import InputError
from pipeline.results.derive import as_settings, derive, update_derived
from pipeline.store.parquet import read_metadata


@pytest.fixture(scope="module")
def one_patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_study(tmp_path_factory.mktemp("study"), 1)


@pytest.fixture
def out(one_patient: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return shutil.copytree(one_patient, tmp_path / "study")


def made(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "summaries").iterdir()}


def test_a_folder_without_timelines_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no timeline"):
        update_derived(tmp_path)


def test_every_table_is_made_and_the_progress_ends_at_all(out: Path) -> None:
    calls: list[tuple[int, int]] = []
    assert derive(out, on_progress=lambda done, total: calls.append((done, total))) == ()
    compared = ("conditions", "trends", "missing", "missing_compared", "characteristics", "covariates")
    tables = ("sessions", "measures", *compared, "scales", "events", "event_windows")
    others = {"methods.md", "table.csv", "made.json"}
    assert {f"{name}.parquet" for name in tables} | others == made(out).keys()
    assert [done for done, _ in calls] == list(range(1, 16))
    assert {total for _, total in calls} == {15}


def test_nothing_changed_is_nothing_made(out: Path) -> None:
    update_derived(out)
    before = made(out)
    update_derived(out)
    assert made(out) == before


@pytest.mark.parametrize("changed", ["timelines/patient_id=P01/S03.parquet", "events.csv", "patients.csv"])
def test_what_changed_is_taken_up_with_the_settings_of_the_last_time(out: Path, changed: str) -> None:
    settings = SummarySettings(EpisodeSettings(min_duration_s=3), min_coverage=0.3)
    derive(out, settings)
    before = made(out)
    os.utime(out / changed)
    update_derived(out)
    assert made(out)["sessions.parquet"] > before["sessions.parquet"]
    stored = read_metadata(out / "summaries" / "sessions.parquet")["settings"]
    assert as_settings(stored) == settings


def test_an_older_file_in_its_place_is_taken_up(out: Path) -> None:
    derive(out)
    os.utime(out / "timelines" / "patient_id=P01" / "S03.parquet", (1, 1))
    before = made(out)
    update_derived(out)
    assert made(out)["sessions.parquet"] > before["sessions.parquet"]


def test_scales_that_are_taken_away_are_gone(out: Path) -> None:
    own = out / "scales.toml"
    own.write_text(Path("pipeline/analysis/scales.toml").read_text().replace("oers", "ours"))
    derive(out)
    own.unlink()
    update_derived(out)
    assert "ours" not in read_ratings(out)["scale"].to_list()


def test_another_version_keeps_the_settings(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SummarySettings(EpisodeSettings(min_duration_s=3), baseline_condition="garden")
    derive(out, settings)
    before = made(out)
    monkeypatch.setattr("pipeline.results.derive.version", lambda _: "9.9")
    assert update_derived(out) == ()
    assert made(out)["sessions.parquet"] > before["sessions.parquet"]
    assert as_settings(read_metadata(out / "summaries" / "sessions.parquet")["settings"]) == settings


def test_problems_are_told_again_without_making_it_again(out: Path) -> None:
    (out / "events.csv").write_text("session_id;time_s;what\nS99;10;song\n")
    problems = update_derived(out)
    before = made(out)
    assert len(problems) == 1
    assert update_derived(out) == problems
    assert made(out) == before


def test_a_session_that_is_gone_is_gone_everywhere(out: Path) -> None:
    derive(out)
    (out / "timelines" / "patient_id=P01" / "S03.parquet").unlink()
    problems = update_derived(out)
    # music's events stand in other sessions; the list names none that is gone
    assert problems == ()
    assert not (out / "episodes" / "patient_id=P01" / "S03.parquet").exists()


def test_what_is_wrong_with_the_events_is_told_and_the_rest_is_made(out: Path) -> None:
    derive(out)
    (out / "events.csv").write_text("session_id;time_s;what\nS99;10;song\nS01;never;song\n")
    problems = update_derived(out)
    assert [problem.split(",")[0] for problem in problems] == [
        f"{out / 'events.csv'}: row 2",
        f"{out / 'events.csv'}: row 3",
    ]
    assert "events.parquet" not in made(out)
    assert update_derived(out) == problems, "told until it is put right"
    assert "conditions.parquet" in made(out)


def test_events_without_a_fault_are_used_beside_one_with(out: Path) -> None:
    with (out / "events.csv").open("a", encoding="utf-8") as file:
        file.write("P01,S99,10,song begins\n")
    (problem,) = derive(out)
    assert problem.startswith(f"{out / 'events.csv'}: row ")
    assert "events.parquet" in made(out)
    assert update_derived(out) == (problem,)


@pytest.mark.parametrize("name", ["events.csv", "scales.toml"])
def test_a_file_of_another_kind_stops_nothing(out: Path, name: str) -> None:
    derive(out)
    (out / name).write_bytes(b"\xff\xfe\0")
    [problem] = update_derived(out)
    assert str(out / name) in problem
    assert f"{Path(name).stem}.parquet" not in made(out)
    assert "methods.md" in made(out)


def test_what_was_broken_off_is_made(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    derive(out)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.results.derive.write_scales", fail)
        with pytest.raises(KeyboardInterrupt):
            derive(out)
    update_derived(out)
    assert "methods.md" in made(out)


def test_without_events_there_is_nothing_about_them(out: Path) -> None:
    derive(out)
    (out / "events.csv").unlink()
    derive(out)
    assert "events.parquet" not in made(out)


@pytest.mark.parametrize("damage", [b"", b"PAR1 and no more"])
def test_a_damaged_summary_is_made_anew(out: Path, damage: bytes) -> None:
    derive(out)
    path = out / "summaries" / "sessions.parquet"
    path.write_bytes(damage)
    [problem] = update_derived(out)
    assert problem.startswith(f"{path}: its settings can't be read")
    assert read_metadata(path)["settings"]["min_coverage"] == 0.2


def test_settings_survive_being_stored() -> None:
    settings = SummarySettings(EpisodeSettings(smoothing_s=2), baseline_condition="rest", adjust=("age",))
    assert as_settings(json.loads(json.dumps(asdict(settings)))) == settings
    older = {name: value for name, value in asdict(settings).items() if name != "adjust"}
    assert as_settings(older) == replace(settings, adjust=())
