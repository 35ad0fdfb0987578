"""commands: `adapt`, and the option `--adapt`."""

import shutil
from pathlib import Path

import pytest
from adaptations import make_adaptation, make_own_offsets
from command_line import BAD_INPUT, DONE, INCOMPLETE, Emonext, assert_one_line_naming
from simulated_raters import rate_as_the_machine_expects, rate_truly
from small_studies import make_small_study

from pipeline.analysis.adaptation import adaptation_path, read_adaptation, write_adaptation
from pipeline.analysis.summaries import read_sessions
from pipeline.store.audit import read_runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_study(tmp_path_factory.mktemp("made"), 6)


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "a study")


def test_without_clips_it_names_the_command_that_draws_them(emonext: Emonext, study: Path) -> None:
    ended = emonext("adapt", study)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "draw clips with `emonext rate")
    shutil.copy(study / "ratings" / "rater_a.csv", study / "ratings" / "x.csv")
    (study / "ratings" / "x.csv").write_text("draw;clip;rater;code\n")
    ended = emonext("adapt", study)
    assert_one_line_naming(ended, "no clips were drawn in this folder; run `emonext rate")
    assert not adaptation_path(study).exists()


@pytest.mark.slow
def test_an_adaptation_that_helps_is_written_and_used(emonext: Emonext, study: Path) -> None:
    clips = rate_truly(study, 120)
    ended = emonext("adapt", study)
    assert (ended.code, ended.err) == (DONE, "")
    found = read_adaptation(study)
    assert found is not None
    assert "120 clips of 6 patients, rated by 1 person." in ended.out
    assert "On patients that it had not seen, agreement went from" in ended.out
    assert "own offsets" in ended.out
    assert f"Adaptation {found.name}: {adaptation_path(study)}" in ended.out.replace("\n", " ")
    assert read_sessions(study)["adapted"].all()
    (run,) = (run for run in read_runs(study) if run.command == "adapt")
    used = {(clip["patient_id"], clip["session_id"]) for clip in clips}
    assert {ids for ids, _ in run.sessions} == used


def test_one_that_does_not_help_is_refused_and_an_older_one_stays(emonext: Emonext, study: Path) -> None:
    rate_as_the_machine_expects(study)
    write_adaptation(adaptation_path(study), make_adaptation(temperature=1.0))
    before = adaptation_path(study).read_bytes()
    ended = emonext("adapt", study)
    assert ended.code == INCOMPLETE
    assert "Not adapted: on unseen recordings, that is no improvement beyond chance." in ended.out
    said = " ".join(ended.out.split())
    assert "stays in use" in said
    assert f"emonext summarize '{study}' --adapt none" in said
    assert adaptation_path(study).read_bytes() == before
    assert emonext("summarize", study, "--adapt", "none").code == DONE
    assert not adaptation_path(study).exists()


def test_another_studys_adaptation_is_copied_and_removed(emonext: Emonext, tmp_path: Path) -> None:
    study = make_small_study(tmp_path / "one patient", 1)
    other, own = tmp_path / "other.json", tmp_path / "own.json"
    write_adaptation(own, make_adaptation(own=make_own_offsets("P01")))
    ended = emonext("summarize", study, "--adapt", own)
    assert ended.code == DONE
    assert_one_line_naming(ended, "own offsets of 1 patient are left out")
    assert read_adaptation(study).own is None
    write_adaptation(other, make_adaptation())
    ended = emonext("summarize", study, "--adapt", other)
    assert (ended.code, ended.err) == (DONE, "")
    assert "8 adapted to raters" in ended.out
    assert adaptation_path(study).read_bytes() == other.read_bytes()
    assert emonext("summarize", study).code == DONE
    assert read_sessions(study)["adapted"].all()
    ended = emonext("summarize", study, "--adapt", "none")
    assert "adapted" not in ended.out
    assert not read_sessions(study)["adapted"].any()


def test_a_file_that_is_none_is_refused_before_any_work(
    emonext: Emonext, study: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    for command in (
        ("summarize", study, "--adapt", other),
        ("process", study / "no.mp4", "--out", tmp_path / "new", "--adapt", other),
    ):
        ended = emonext(*command)
        assert ended.code == BAD_INPUT
        assert_one_line_naming(ended, str(other))
    assert not (study / "summaries").exists()
    assert not (tmp_path / "new").exists()


def test_a_recording_is_processed_with_an_adaptation(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    out, other = tmp_path / "out", tmp_path / "other.json"
    write_adaptation(other, make_adaptation("2" * 64))
    ended = emonext("process", video, "--out", out, "--adapt", other, *model)
    assert ended.code == DONE
    assert read_adaptation(out) == read_adaptation(tmp_path / "out")
    assert not read_sessions(out)["adapted"].any()  # of other weights
    assert emonext("process", video, "--out", out, "--adapt", "none", *model).code == DONE
    assert not adaptation_path(out).exists()
