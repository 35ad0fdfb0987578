"""study.planned, study.plan_text: what was done beside what was planned."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from plans import PLAN, frozen, without_setting
from statsmodels.stats.multitest import multipletests

from pipeline.analysis.summaries import SummarySettings
from pipeline.results.derive import derive, update_derived
from pipeline.results.methods_text import methods, paper_table
from pipeline.study.comparison_tables import STUDY, Comparison, correct_planned, read_conditions
from pipeline.study.conditions import write_conditions
from pipeline.study.frozen_plans import freeze
from pipeline.study.plan_file import write_plan
from pipeline.study.planned import Planned, comparison_settings, read_planned, summary_settings

Make = Callable[..., Path]


@pytest.fixture
def planned_before(small_study: Path, tmp_path: Path) -> Make:
    """A study of four patients whose plan was frozen before there were results."""

    def make(**changes: Any) -> Path:
        out = tmp_path / "out"
        frozen(out, **changes)
        return shutil.copytree(small_study, out, dirs_exist_ok=True)

    return make


@pytest.fixture
def compared_as_planned(derived_small_study: Path, tmp_path: Path) -> Make:
    """The same with tables, of which those that the plan changes are written again, as `derive` does."""

    def make(**changes: Any) -> Path:
        out = tmp_path / "out"
        frozen(out, **changes)
        shutil.copytree(derived_small_study, out, dirs_exist_ok=True)
        compare_again(out)
        return out

    return make


def compare_again(out: Path) -> None:
    write_conditions(out, comparison_settings(out, SummarySettings().baseline_condition))


@pytest.fixture
def unplanned(derived_small_study: Path) -> Path:
    """The same without a plan, and with its tables; to be copied."""
    return derived_small_study


def marks(out: Path) -> dict[tuple[str, str], str]:
    return {(row["measure"], row["condition"]): row["planned"] for row in paper_table(out)}


def of_study(out: Path) -> pl.DataFrame:
    return read_conditions(out).filter(patient_id=STUDY).filter(pl.col("p").is_not_null())


def plan_of(out: Path) -> str:
    return " ".join(text for text in methods(out) if "plan" in text.casefold())


def missing(planned: Planned) -> list[tuple[str, str]]:
    return [(one.compared[2], one.reason) for one in planned.not_computed]


# --- without a plan


def test_without_a_plan_nothing_differs_and_the_text_says_so(unplanned: Path) -> None:
    assert set(marks(unplanned).values()) == {"no plan"}
    assert "No plan of the analysis was frozen in this folder" in plan_of(unplanned)
    found = read_planned(unplanned)
    assert (found.deviations, found.amendments, found.not_computed) == ((), (), ())
    assert summary_settings(unplanned) == SummarySettings()
    assert comparison_settings(unplanned, "rest").reference == "rest"


def test_tables_of_an_earlier_version_have_no_planned_tests(unplanned: Path, tmp_path: Path) -> None:
    out = shutil.copytree(unplanned, tmp_path / "old")
    without_setting(out / "summaries" / "conditions.parquet", "planned")
    assert set(marks(out).values()) == {"no plan"}
    frozen(out)
    assert read_planned(out).used.family == 0


# --- planned before results


def test_planned_comparisons_are_marked_and_the_others_are_exploratory(planned_before: Make) -> None:
    out = planned_before()
    update_derived(out)
    found = marks(out)
    assert found["share positive", "music"] == "planned"
    assert {mark for key, mark in found.items() if key != ("share positive", "music")} == {"not planned"}
    text = plan_of(out)
    assert "when no session in this folder had results" in text
    assert "It compares “music” with “baseline” in the raw reading; primary: share positive." in text
    assert "All settings used are those of the plan." in text
    assert (
        "P-values of the 1 comparison planned before results have Holm's correction for these alone" in text
    )
    with (out / "summaries" / "table.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["planned"] for row in csv.DictReader(file, delimiter=",")] == [
            row["planned"] for row in paper_table(out)
        ]


def test_holm_is_over_the_planned_tests_alone(compared_as_planned: Make) -> None:
    out = compared_as_planned(conditions=("music", "garden"))
    rows = of_study(out)
    is_planned = (pl.col("measure") == "share") & (pl.col("of") == "positive")
    own = rows.filter(is_planned)
    assert own.height == 2
    assert own["p_holm"].to_list() == pytest.approx(multipletests(own["p"].to_numpy(), method="holm")[1])
    everything = multipletests(rows["p"].to_numpy(), method="holm")[1]
    others = [
        p for p, is_it in zip(everything, rows.select(is_planned).to_series(), strict=True) if not is_it
    ]
    assert rows.filter(~is_planned)["p_holm"].to_list() == pytest.approx(others)
    assert rows.filter(is_planned)["p_holm"].to_list() != pytest.approx(
        [p for p, is_it in zip(everything, rows.select(is_planned).to_series(), strict=True) if is_it]
    )


def test_a_planned_test_that_can_t_be_computed_makes_no_other_p_smaller(compared_as_planned: Make) -> None:
    out = compared_as_planned(conditions=("music", "garden", "singing"))
    own = of_study(out).filter(measure="share", of="positive")
    expected = multipletests([*own["p"].to_list(), 1.0], method="holm")[1][:2]
    assert own["p_holm"].to_list() == pytest.approx(expected.tolist())
    assert missing(read_planned(out)) == [("singing", "no session with the condition singing")]
    assert "Planned and not computed: share positive, singing − baseline (no session with" in plan_of(out)


def test_correction_leaves_patients_and_missing_tests_alone() -> None:
    def one(of: str, patient_id: str, p: float | None) -> Comparison:
        shared = ("raw", "share", of, "%", patient_id, "baseline", "music")
        return Comparison(*shared, p=p, p_holm=None if p is None else 0.9)

    rows = [one("positive", STUDY, 0.02), one("positive", "P1", 0.02), one("negative", STUDY, None)]
    planned = [("share", "positive", "music"), ("share", "negative", "music")]
    assert [row.p_holm for row in correct_planned(rows, planned)] == [0.04, 0.9, None]
    # the adapted reading has tests of its own, and none of them was planned
    adapted = [replace(row, reading="adapted") for row in rows]
    assert [row.p_holm for row in correct_planned([*rows, *adapted], planned)] == [
        0.04,
        0.9,
        None,
        0.9,
        0.9,
        None,
    ]
    assert correct_planned(rows, []) == tuple(rows)
    assert correct_planned([], planned) == ()


@pytest.mark.slow
def test_the_plan_s_settings_are_used_until_others_are_given(planned_before: Make) -> None:
    out = planned_before(min_coverage=0.3, min_patients=4, reference="garden", conditions=("music",))
    update_derived(out)
    assert read_planned(out).deviations == ()
    assert marks(out)["share positive", "music"] == "planned"
    derive(out, replace(summary_settings(out), min_coverage=0.1))
    (deviation,) = read_planned(out).deviations
    assert (deviation.setting, deviation.planned, deviation.used) == ("min_coverage", "0.3", "0.1")
    assert marks(out)["share positive", "music"] == "planned, other settings"
    assert "Settings that differ from the plan: min_coverage 0.1 instead of 0.3." in plan_of(out)


def test_another_reference_is_another_comparison(planned_before: Make) -> None:
    out = planned_before()
    derive(out, SummarySettings(baseline_condition="garden"))
    assert marks(out)["share positive", "music"] == "not planned"
    assert missing(read_planned(out)) == [
        ("music", "conditions were compared with garden, not with baseline")
    ]
    rows = of_study(out)
    assert rows["p_holm"].to_list() == pytest.approx(multipletests(rows["p"].to_numpy(), method="holm")[1])


def test_too_few_patients_is_the_reason_of_the_table(compared_as_planned: Make) -> None:
    out = compared_as_planned(min_patients=5)
    ((condition, reason),) = missing(read_planned(out))
    assert (condition, reason.split(" have")[0]) == ("music", "4 of the 5 patients it takes")


def test_processing_that_differs_is_told_with_its_sessions(compared_as_planned: Make) -> None:
    out = compared_as_planned(sample_fps=10.0, weights="atto", weights_sha256="ab" * 32)
    found = {one.setting: one for one in read_planned(out).deviations}
    assert (found["sample_fps"].planned, found["sample_fps"].used, found["sample_fps"].sessions) == (
        "10",
        "5",
        32,
    )
    assert found["weights"].used.startswith("made (sha256 000000000000")
    assert marks(out)["share positive", "music"] == "planned, other settings"
    assert "sample_fps 5 instead of 10 (32 sessions)" in plan_of(out)


def test_a_further_measure_is_computed_and_planned(compared_as_planned: Make) -> None:
    out = compared_as_planned(measures=("expressivity", "share_without_speech positive"))
    found = marks(out)
    assert found["expressivity", "music"] == found["share_without_speech positive", "music"] == "planned"
    rows = read_conditions(out).filter(patient_id=STUDY, condition="music", measure="share_without_speech")
    assert rows.filter(of="positive").height == 1, "not once more without a test"


# --- amendments


def test_what_an_amendment_adds_after_results_is_no_plan_before_results(compared_as_planned: Make) -> None:
    out = compared_as_planned()
    before = of_study(out)
    frozen(out, conditions=("garden",), measures=("valence",), hypothesis="Gardens calm.")
    compare_again(out)
    found = marks(out)
    assert found["share positive", "music"] == "planned", "an amendment can't take back a plan"
    assert found["valence", "garden"] == "planned after results"
    assert found["valence", "music"] == "not planned"
    assert of_study(out)["p_holm"].to_list() == before["p_holm"].to_list()
    text = plan_of(out)
    assert "An amendment (plan 2) was frozen" in text
    assert "after 32 sessions had results; it changed hypothesis from “” to “Gardens calm.”;" in text
    assert "conditions from “music” to “garden”" in text


def test_a_plan_after_results_says_so_and_buys_no_smaller_p(unplanned: Path, tmp_path: Path) -> None:
    out = shutil.copytree(unplanned, tmp_path / "late")
    before = of_study(out)
    frozen(out)
    update_derived(out)
    assert marks(out)["share positive", "music"] == "planned after results"
    assert of_study(out)["p_holm"].to_list() == before["p_holm"].to_list()
    text = plan_of(out)
    assert "after 32 sessions had results" in text
    assert "no comparison counts as planned before results" in text
    assert "Holm's correction for these alone" not in text


def test_a_new_plan_is_taken_up_without_a_changed_timeline(unplanned: Path, tmp_path: Path) -> None:
    out = shutil.copytree(unplanned, tmp_path / unplanned.name)
    update_derived(out)
    stamp = (out / "summaries" / "made.json").stat().st_mtime_ns
    update_derived(out)
    assert (out / "summaries" / "made.json").stat().st_mtime_ns == stamp
    frozen(out)
    update_derived(out)
    assert (out / "summaries" / "made.json").stat().st_mtime_ns > stamp


# --- tampering


@pytest.mark.parametrize("how", ["copy", "log"])
def test_a_changed_plan_or_log_leaves_nothing_planned(compared_as_planned: Make, how: str) -> None:
    out = compared_as_planned()
    assert set(marks(out).values()) == {"planned", "not planned"}
    path = out / "plans" / "1.toml" if how == "copy" else out / "audit.jsonl"
    if how == "copy":
        path.write_text(path.read_text("utf-8").replace("music", "garden"), "utf-8")
    else:
        write_plan(out, replace(PLAN, min_coverage=0.1))
        freeze(out)
        lines = path.read_text("utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[2:]), "utf-8")  # without the first plan
    compare_again(out)
    assert set(marks(out).values()) == {"unknown: plan or log changed"}
    rows = of_study(out)
    assert rows["p_holm"].to_list() == pytest.approx(multipletests(rows["p"].to_numpy(), method="holm")[1])
    assert "What was planned can't be told: the" in plan_of(out)


def test_an_edited_file_is_told_and_counts_for_nothing(planned_before: Make) -> None:
    out = planned_before()
    write_plan(out, replace(PLAN, conditions=("garden",), min_coverage=0.9))
    update_derived(out)
    assert marks(out)["share positive", "garden"] == "not planned"
    assert read_planned(out).deviations == ()
    assert "plan.toml was edited later without being frozen; these edits do not count." in plan_of(out)
