"""reports.pages.study: what was planned, and what was not."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from french import FRENCH, assert_no_english
from page_text import Page
from plans import frozen

from pipeline.results.derive import derive
from pipeline.study.frozen_plans import Fault, FrozenPlans
from pipeline.study.planned import Planned, summary_settings
from reports.pages.study import study_page
from reports.study_data import Study, read_study
from reports.words.language import ENGLISH, Language
from reports.words.plan import _FAULTS, mark_text, plan_values

HYPOTHESIS = "Music <b>moves</b> faces."


@pytest.fixture(scope="module")
def study(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A plan before results, an amendment after, and another setting."""
    out = tmp_path_factory.mktemp("planned") / "out"
    frozen(out, conditions=("music", "singing"), hypothesis=HYPOTHESIS, exclusions="Visits of relatives.")
    shutil.copytree(small_study, out, dirs_exist_ok=True)
    frozen(out, conditions=("music", "singing", "garden"), min_coverage=0.3)
    derive(out, replace(summary_settings(out), min_coverage=0.1))
    return read_study(out)


def section(study: Study, language: Language = ENGLISH) -> str:
    page = str(study_page(study, language))
    return page[page.index('id="plan"') :].partition("<section")[0]


def with_plans(study: Study, frozen: FrozenPlans) -> Study:
    assert study.planned
    return replace(study, planned=replace(study.planned, frozen=frozen))


def test_plans_deviations_and_missing_comparisons_are_shown(study: Study) -> None:
    text = Page(section(study)).text
    for part in (
        *("Plan 1", "when no session in this folder had results.", "Music <b>moves</b> faces."),
        *("Visits of relatives.", "Positive share: music − baseline", "Plan 2, an amendment"),
        *("after 32 sessions had results.", "conditions music, singing music, singing, garden"),
        *("Settings that differ from the plan", "min_coverage 0.3 0.1 –"),
        *("Positive share: singing − baseline (no session with the condition singing)",),
        "p of the 2 comparisons that were planned before results is corrected for these alone",
    ):
        assert part in text, part
    assert "<b>moves" not in section(study)


def test_each_comparison_has_its_mark(study: Study) -> None:
    page = str(study_page(study, ENGLISH))
    table = page[page.index('id="conditions"') : page.index("The same as a table")]
    rows = [Page(row).text for row in table.split("<tr>")[2:]]
    marks = {" ".join(row.split()[:2]): row for row in rows}
    assert len(marks) > 3
    assert [row for row in rows if row.startswith("Positive share planned, other settings music")]
    assert [row for row in rows if row.startswith("Positive share planned after results garden")]
    assert [row for row in rows if row.startswith("Valence not planned music")]


def test_a_french_page_holds_no_english(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.html"
    path.write_text(str(study_page(replace(study, methods=None), FRENCH)), "utf-8")
    assert_no_english(path)
    assert "prévue, autres réglages" in path.read_text("utf-8")


@pytest.mark.parametrize("language", [ENGLISH, FRENCH])
def test_without_a_plan_the_page_says_so_and_marks_nothing(study: Study, language: Language) -> None:
    none = with_plans(study, FrozenPlans())
    assert plan_values(none.planned, language) == {"state": "no_plan"}
    assert "emonext study plan" in section(none, language)
    assert 'class="mark"' not in str(study_page(none, language))


def test_without_comparisons_there_is_nothing_to_mark(study: Study) -> None:
    assert 'id="plan"' not in str(study_page(replace(study, planned=None), ENGLISH))
    assert mark_text(None, {}, ENGLISH) == ""


@pytest.mark.parametrize("language", [ENGLISH, FRENCH])
@pytest.mark.parametrize("code", _FAULTS)
def test_every_fault_has_a_sentence(study: Study, code: str, language: Language) -> None:
    assert study.planned
    broken = with_plans(study, replace(study.planned.frozen, faults=(Fault(code, 3),)))  # type: ignore[arg-type]
    values = plan_values(broken.planned, language)
    assert values
    shown = values["faults"]
    assert len(shown) == 1
    assert "%(" not in shown[0]
    assert shown[0] in Page(section(broken, language)).text.replace("\u00a0", " ") or language is FRENCH
    assert "Plan 1" not in section(broken, language)


def test_an_edited_file_and_a_late_plan_are_caveats(study: Study) -> None:
    assert study.planned
    first, second = study.planned.frozen.plans
    late = with_plans(study, FrozenPlans((replace(first, sessions=3), second), (), is_edited=True))
    text = Page(section(late)).text
    assert "plan.toml was edited after it was frozen." in text
    assert "no comparison counts as planned before results." in text
    assert "after 3 sessions had results" in text
    assert isinstance(late.planned, Planned)
