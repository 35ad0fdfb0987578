"""The multiverse on the study's page, in both languages: sentences, figure and table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from french import FRENCH, assert_no_english
from multiverses import analysis, table_of
from page_text import Page

from pipeline.robustness.multiverse_results import Verdict, verdicts
from reports.figures.multiverse import specification_curve
from reports.pages.study import study_page
from reports.study_data import Study, read_study
from reports.words.language import ENGLISH, Language
from reports.words.multiverse import level_text, moves_text, span_text, verdict_text

TITLE = "What the conclusion hangs on"

ROWS = [
    analysis(3.0, own=True),
    analysis(2.0, counted="probability"),
    analysis(0.5, counted="samples", smoothing_s=3.0),
    analysis(2.5, counted="episodes", smoothing_s=1.0, enter=0.6, leave=0.5, min_duration_s=2.0),
    analysis(-2.0, without_speech=True, every=5),
    analysis(min_coverage=0.8, reason="too few <b>sessions</b>"),
    analysis(-1.0, half=2.0, own=True, condition="garden"),
]


def verdict(*rows: dict[str, Any]) -> Verdict:
    return verdicts(table_of(*rows))[0]


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


# --- sentences


def test_the_sentence_says_how_many_agree_and_how_many_are_missing() -> None:
    found = verdict(*ROWS)
    assert verdict_text(found, ENGLISH) == (
        "The sign holds in 4 of 6 analyses; the interval excludes zero in 3. "
        "In 1, it excludes zero on the other side. 1 could not be computed."
    )
    assert plain(verdict_text(found, FRENCH)) == (
        "Le signe se maintient dans 4 cas sur 6 ; l’intervalle exclut zéro dans 3. "
        "Dans 1, il exclut zéro de l’autre côté. 1 n’a pas pu être calculée."
    )
    assert span_text(found, ENGLISH).startswith("Differences go from −2.0 to +3.0 percentage points")


def test_where_all_agree_nothing_else_is_said() -> None:
    found = verdict(analysis(3.0, own=True), analysis(4.0, every=2))
    assert verdict_text(found, ENGLISH) == (
        "The sign holds in 2 of 2 analyses; the interval excludes zero in 2."
    )
    assert moves_text(found, ENGLISH) == (
        "What moves the difference most is the number of samples: by 1.0 points on average, "
        "all else the same."
    )


def test_without_the_own_analysis_no_sign_can_hold() -> None:
    found = verdict(analysis(own=True), analysis(4.0, every=2), analysis(-0.5, every=5))
    assert verdict_text(found, ENGLISH) == (
        "The study’s own analysis could not be computed. The difference is above zero in 1 and below zero in "
        "1 of 3 analyses; the interval excludes zero in 1. 1 could not be computed."
    )
    assert span_text(found, ENGLISH).endswith("the study’s own is –.")


def test_without_any_result_only_that_is_said() -> None:
    found = verdict(analysis(own=True), analysis(every=2))
    assert verdict_text(found, ENGLISH) == "None of 2 analyses could be computed."
    assert (span_text(found, ENGLISH), moves_text(found, ENGLISH)) == ("", "")


@pytest.mark.parametrize("language", [ENGLISH, FRENCH])
def test_different_values_of_a_choice_have_different_names(language: Language) -> None:
    rows = [
        *ROWS,
        analysis(1.0, smoothing_s=1.0),
        analysis(1.0, counted="episodes", smoothing_s=1.0, enter=0.6, leave=0.5, min_duration_s=1.0),
        analysis(1.0, counted="episodes", smoothing_s=1.0, enter=0.5, leave=0.4, min_duration_s=1.0),
        analysis(1.0, every=2),
    ]
    names = [{level_text(choice, row, language) for row in rows} for choice in ("counting", "every")]
    assert [len(one) for one in names] == [7, 3]


# --- the figure


def test_the_curve_has_every_result_in_order_and_a_mark_for_each_choice() -> None:
    shown = [row for row in table_of(*ROWS).to_dicts() if row["difference"] is not None][:5]
    figure = specification_curve(shown, ENGLISH)
    *estimates, unsure, apart, own = figure["data"]
    points = sorted((x, y) for trace in estimates for x, y in zip(trace["x"], trace["y"], strict=True))
    assert points == [(0, -2.0), (1, 0.5), (2, 2.0), (3, 2.5), (4, 3.0)]
    assert [len(trace["x"]) for trace in estimates] == [1, 3, 1], "zero included; excluded; own"
    assert estimates[2]["error_y"]["array"] == [1.0]
    choices = 3  # all have the same minimum coverage
    assert [len(trace["x"]) for trace in (unsure, apart, own)] == [choices, 3 * choices, choices]
    texts = [note["text"] for note in figure["layout"]["annotations"]]
    assert "<b>Samples</b>" in texts
    assert "<b>Lowest coverage of a session</b>" not in texts
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < -3.0
    assert high > 4.0


def test_a_single_analysis_has_a_figure_without_choices() -> None:
    figure = specification_curve(table_of(analysis(3.0, own=True)).to_dicts(), ENGLISH)
    assert figure["layout"].get("annotations", []) == []


# --- the page


@pytest.fixture(scope="module")
def study(derived_small_study: Path) -> Study:
    return read_study(derived_small_study)


def page(study: Study, language: Language = ENGLISH, **tables: pl.DataFrame) -> str:
    return str(study_page(replace(study, tables={**study.tables, **tables}), language))


def test_without_the_table_one_line_names_the_command(study: Study) -> None:
    text = Page(page(study)).text
    assert TITLE in text
    assert "Run emonext summarize --multiverse with this folder" in text
    assert "The analyses are not independent" not in text


def test_where_nothing_was_compared_there_is_no_section(study: Study) -> None:
    conditions = study.tables["conditions"]
    none = conditions.with_columns(difference=pl.lit(None, pl.Float64))
    assert TITLE not in Page(page(study, conditions=none)).text
    tables = {name: table for name, table in study.tables.items() if name != "conditions"}
    assert TITLE not in Page(str(study_page(replace(study, tables=tables), ENGLISH))).text


def test_the_section_has_sentences_caution_figures_and_table(study: Study) -> None:
    html = page(study, multiverse=table_of(*ROWS))
    found = Page(html)
    for told in (
        "music − baseline The sign holds in 4 of 6 analyses",
        "garden − baseline The sign holds in 1 of 1 analyses; the interval excludes zero in 0.",
        "The analyses are not independent: all are of the same sessions. This is no test",
        "Not computed, 1 analysis: too few <b>sessions</b>",
        "happy most likely, sample by sample (the study’s own analysis) 20 % counted all 8, 8 4 +3.0 (+2.0",
        "episodes of 2 s or longer, from 0.6 down to 0.5 20 % counted all",
        "20 % left out one in 5",
        "80 % counted all 8, 8 4 too few <b>sessions</b>",
    ):
        assert told in found.text
    figures = [tag["data-figure"] for _, tag in found.tags if str(tag.get("data-figure")).startswith("multi")]
    assert figures == ["multiverse-1-data", "multiverse-2-data"]
    assert "emonext summarize --multiverse" not in found.text


def test_a_condition_without_any_result_has_no_figure(study: Study) -> None:
    text = Page(page(study, multiverse=table_of(analysis(own=True), analysis(every=2)))).text
    assert "None of 2 analyses could be computed." in text
    assert "Not computed, 2 analyses: too few" in text
    assert "in ascending order" not in text


def test_names_of_conditions_are_escaped(study: Study) -> None:
    html = page(study, multiverse=table_of(analysis(3.0, own=True, condition="<script>x</script>")))
    assert "<script>x" not in html


def test_a_french_page_holds_no_english(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.html"
    path.write_text(page(study, FRENCH, multiverse=table_of(*ROWS)))
    assert_no_english(path)
