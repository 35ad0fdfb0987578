"""study.plan_file: plans as coordinators write them."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from plans import PLAN

from pipeline.analysis.episodes import EpisodeSettings
from pipeline.analysis.measures import measure_names
from pipeline.errors import InputError
from pipeline.study.plan_file import AnalysisPlan, check_complete, plan_text, read_plan, write_plan
from pipeline.study.session_rows import SESSION_MEASURES


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_is_the_defaults_and_compares_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    assert read_plan(path) == AnalysisPlan()
    assert AnalysisPlan().comparisons == ()
    with pytest.raises(InputError, match=r'comparison.conditions: name at least one, such as \["music"\]'):
        check_complete(path, read_plan(path))


def test_a_plan_without_a_primary_measure_is_incomplete(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path, replace(PLAN, measures=())))
    with pytest.raises(InputError, match=r"comparison\.measures: name at least one"):
        check_complete(tmp_path, plan)


@pytest.mark.parametrize(
    "plan",
    [
        AnalysisPlan(),
        PLAN,
        replace(
            PLAN,
            hypothesis='“Music”, she said: "more" \\ smiles\nover two lines\t\x7f',
            conditions=("ga|rden", "été"),
            measures=("share happy", "valence"),
            episodes=EpisodeSettings(enter=0.6, bridge_s=1e-05),
            min_coverage=1 / 3,
        ),
    ],
)
def test_what_is_written_is_read(plan: AnalysisPlan, tmp_path: Path) -> None:
    assert read_plan(write_plan(tmp_path, plan)) == plan
    found = tomllib.loads(plan_text(plan))  # another reader sees the same
    assert found["hypothesis"] == plan.hypothesis
    assert tuple(found["comparison"]["conditions"]) == plan.conditions


def test_comments_and_blanks_change_nothing(tmp_path: Path) -> None:
    path = write_plan(tmp_path, PLAN)
    text = path.read_text("utf-8")
    bare = "\r\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    assert read_plan(written(tmp_path, "\ufeff" + bare)) == PLAN


def test_each_primary_measure_is_compared_in_each_condition() -> None:
    plan = replace(PLAN, conditions=("music", "garden"), measures=("share positive", "valence"))
    assert plan.comparisons == (
        ("share", "positive", "music"),
        ("valence", "", "music"),
        ("share", "positive", "garden"),
        ("valence", "", "garden"),
    )


def test_further_measures_are_computed_and_every_measure_of_the_table_can_be_planned(tmp_path: Path) -> None:
    plan = replace(PLAN, measures=("expressivity", "share positive"))
    assert plan.comparison_settings(()).measures == (*SESSION_MEASURES, ("expressivity", ""))
    for name, of, _ in measure_names():
        assert read_plan(write_plan(tmp_path, replace(PLAN, measures=(f"{name} {of}".strip(),))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hypothesis =", "not TOML"),
        ("hypotheses = 'x'", "'hypotheses' is no setting of a plan; did you mean hypothesis?"),
        ("comparison = 3", r"comparison: give a table, such as \[comparison\]"),
        ("[comparison]\ncondition = ['a']", "'comparison.condition' is no setting of a plan; did you mean"),
        ("[comparison]\nconditions = 'music'", "comparison.conditions: give texts in brackets"),
        ("[comparison]\nconditions = [1]", "comparison.conditions: give texts in brackets"),
        ("[comparison]\nconditions = ['a', 'a']", "a name is empty or twice there; remove it"),
        ("[comparison]\nconditions = ['']", "a name is empty or twice there; remove it"),
        ("[comparison]\nconditions = ['baseline']", "'baseline' is the reference; remove it"),
        ("[comparison]\nmeasures = ['share postive']", "no measure; did you mean share positive?"),
        ("[comparison]\nmeasures = ['']", "'' is no measure"),
        ("[comparison]\nreading = 'corrected'", 'compared in "raw" only; write that'),
        ("[comparison]\nmin_sessions = 1", "Comparisons need at least 2 sessions"),
        ("[comparison]\nmin_sessions = true", "min_sessions: give a whole number"),
        ("[comparison]\nreference = 3", "reference: give a text in quotes"),
        ("[exclusion]\nmin_coverage = 20", "min_coverage: from 0 to 1"),
        ("[exclusion]\nmin_coverage = nan", "min_coverage: give a number"),
        ("[episodes]\nenter = 0.1", "enter"),
        ("[episodes]\nsmoothing = 1", "'episodes.smoothing' is no setting of a plan"),
        ("[processing]\nsample_fps = 0", "sample_fps: give a number above 0"),
        ("x = '" + "a" * 20_000 + "'", "too long for a settings file"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=message) as error:
        read_plan(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "`" not in str(error.value)
