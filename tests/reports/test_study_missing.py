"""The section of a study's page on its unseen time, and the caveat of differences by coverage."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from french import FRENCH, NBSP
from page_text import Page

from reports.figures.missing import missing_figure
from reports.pages.study import study_page
from reports.pages.study_parts.missing import explained_by_coverage, missing_section, tipping_sentence
from reports.study_data import Study, read_study
from reports.words.language import ENGLISH

CAVEAT = "More was seen under one condition"


@pytest.fixture(scope="module")
def study(derived_small_study: Path) -> Study:
    return read_study(derived_small_study)


def changed(study: Study, **columns: Any) -> Study:
    """With other values in the rows of positive expression."""
    table = study.tables["missing_compared"]
    is_it = pl.col("of") == "positive"
    values = {name: pl.when(is_it).then(pl.lit(value)).otherwise(name) for name, value in columns.items()}
    return replace(study, tables={**study.tables, "missing_compared": table.with_columns(**values)})


def test_without_the_table_the_command_is_told(study: Study) -> None:
    without = replace(study, tables={})
    assert missing_section(without, ENGLISH) == {"rows": None}
    assert explained_by_coverage(without, ENGLISH) == []


def test_what_could_not_be_compared_is_told_with_the_reason(study: Study) -> None:
    table = study.tables["missing_compared"]
    none = table.with_columns(reason=pl.lit("too <few> patients"))
    found = missing_section(replace(study, tables={"missing_compared": none}), ENGLISH)
    assert (found["rows"], found["figure"], found["sentences"]) == ([], None, [])
    page = study_page(replace(study, tables={**study.tables, "missing_compared": none}), ENGLISH)
    assert "music − baseline: too <few> patients" in Page(str(page)).text


def test_every_share_stands_with_its_bounds(study: Study) -> None:
    found = missing_section(study, ENGLISH)
    rows = found["rows"]
    (music,) = study.tables["missing_compared"].filter(of="positive", condition="music").to_dicts()
    assert len(rows) == 6
    assert [row["measure"] for row in rows[::2]] == ["Positive share", "Neutral share", "Negative share"]
    low, high = (f"{music[name]:+.1f}".replace("-", "−") for name in ("bound_low", "bound_high"))
    assert rows[1]["bounds"].startswith(f"{low} to {high} (−")
    assert rows[1]["difference"].startswith(f"+{music['difference']:.1f} (")
    assert rows[1]["means"][1]["none"] == f"{music['mean_none']:.1f}{NBSP}%"


def test_the_picture_shows_bounds_and_both_means(study: Study) -> None:
    rows = study.tables["missing_compared"].filter(of="positive").to_dicts()
    bars, seen, weighted = missing_figure(rows, ENGLISH)["data"]
    assert bars["base"] == pytest.approx(
        [row[n] for row in rows for n in ("mean_reference_none", "mean_none")]
    )
    ends = [base + length for base, length in zip(bars["base"], bars["x"], strict=True)]
    assert ends == pytest.approx([row[n] for row in rows for n in ("mean_reference_all", "mean_all")])
    assert seen["x"] == pytest.approx([row[n] for row in rows for n in ("mean_reference", "mean")])
    assert len(weighted["x"]) == 4
    rows[0]["weighted_mean"] = rows[0]["weighted_mean_reference"] = None
    assert len(missing_figure(rows, ENGLISH)["data"][2]["x"]) == 2


TIPPING = {
    "condition": "music",
    "reference": "baseline",
    "difference": 7.84,
    "difference_low": 5.0,
    "difference_high": 10.0,
    "bound_low": -1.5,
    "bound_high": 16.4,
    "tipping": 0.0,
    "tipping_reference": 82.4,
}


def test_the_tipping_point_is_one_sentence() -> None:
    assert tipping_sentence(TIPPING, ENGLISH).replace(NBSP, " ") == (
        "music − baseline: the difference in the seen time is +7.8 points. It would be zero over the whole "
        "time if it were −82 points in the unseen time: a positive face in 0 % of that time with music, and "
        "in 82 % with baseline."
    )
    french = tipping_sentence(TIPPING, FRENCH).replace(NBSP, " ")
    assert "l’écart, en points, est de +7,8. Il serait nul sur tout le temps s’il était de −82 dans" in french
    assert french.startswith("musique − référence : ")
    assert french.endswith("pour « musique », et 82 % pour « référence ».")


def test_a_difference_that_stays_is_told_with_its_bounds() -> None:
    stays = TIPPING | {"tipping": None, "tipping_reference": None, "bound_low": 1.5}
    assert tipping_sentence(stays, ENGLISH).endswith("the difference lies between +1.5 and +16.4.")


def test_a_difference_that_chance_may_explain_needs_no_tipping_point() -> None:
    assert tipping_sentence(TIPPING | {"difference_low": -1.0}, ENGLISH).endswith(
        "its interval includes zero."
    )


@pytest.mark.parametrize(
    ("low", "shift", "is_marked"), [(5.0, 31.2, True), (5.0, None, False), (-1.0, 31.2, False)]
)
def test_a_difference_that_coverage_may_explain_is_marked(
    study: Study, low: float, shift: float | None, is_marked: bool
) -> None:
    """If its interval leaves out zero, and it would be zero with the same unseen time in both conditions."""
    table = study.tables["missing_compared"].with_columns(alike_shift=pl.lit(None, pl.Float64))
    only = replace(study, tables={**study.tables, "missing_compared": table})
    found = changed(only, difference_low=low, difference_high=10.0, alike_shift=shift)
    text = Page(str(study_page(found, ENGLISH))).text
    assert (CAVEAT in text) is is_marked
    assert ("music − baseline (positive, +31)" in text) is is_marked


def test_the_simulated_study_has_no_such_caveat(study: Study) -> None:
    assert explained_by_coverage(study, ENGLISH) == []
