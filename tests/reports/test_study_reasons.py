"""Reasons on a study's page: in its language, and once for all sessions and comparisons that share one."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from french import FRENCH, NBSP
from page_text import Page

from pipeline.reasons import Reason
from reports.figures.study import event_figure
from reports.pages.study import study_page
from reports.study_data import Study, read_study
from reports.words.language import ENGLISH, Language

FEW = "2 of the 6 patients it takes have 2 sessions of both conditions in which enough was seen"


@pytest.fixture(scope="module")
def study(derived_small_study: Path) -> Study:
    return read_study(derived_small_study)


def section(study: Study, name: str, language: Language = ENGLISH) -> Page:
    page = str(study_page(study, language))
    return Page(page[page.index(f'id="{name}"') :].partition("<section")[0])


def failed(study: Study, *reasons: Reason) -> Study:
    rows = [
        {
            "patient_id": "P1",
            "session_id": f"S{k}",
            "state": "failed",
            "reasons": json.dumps([reason.write()]),
        }
        for k, reason in enumerate(reasons)
    ]
    status = pl.DataFrame(rows).with_columns(seconds_lost=pl.lit(None, pl.Float64))
    return replace(study, status=status, warnings=tuple(("P1", f"S{k}", r) for k, r in enumerate(reasons)))


def test_sessions_with_one_reason_are_told_together(study: Study) -> None:
    found = failed(study, *[Reason.of("empty_file")] * 8, Reason.of("not_found"))
    finished = section(found, "finished")
    assert finished.text.count("The file is empty.") == 1
    assert "8 sessions P1 S0, P1 S1, P1 S2, P1 S3, P1 S4, P1 S5, P1 S6, P1 S7 Failed" in finished.text
    assert "P1 S8 Failed – Not found." in finished.text
    details = section(found, "details").text
    assert "Warnings (9)" in details
    assert details.count("8 sessions: the file is empty. (P1 S0, P1 S1") == 2, "among warnings and errors"
    assert details.count("P1 S8: not found.") == 2
    french = section(found, "details", FRENCH).text.replace(NBSP, " ")
    assert "8 séances : le fichier est vide. (P1 S0, P1 S1" in french


def without_results(study: Study, name: str) -> Study:
    table = study.tables[name]
    numbers = [column for column in table.columns if column.startswith(("difference", "per_week"))]
    blank = [pl.lit(None, table.schema[column]).alias(column) for column in numbers]
    return replace(study, tables={**study.tables, name: table.with_columns(*blank, reason=pl.lit(FEW))})


def test_comparisons_with_one_reason_are_told_in_one_sentence(study: Study) -> None:
    page = section(without_results(study, "conditions"), "conditions")
    # of the study and, folded, of its patients
    assert page.text.count(FEW) == 2
    assert "Not compared: Positive share (garden − baseline), " in page.text
    assert page.count("table") == 0
    french = section(without_results(study, "conditions"), "conditions", FRENCH).text
    assert french.lower().count("trop peu de patients ont 2 séances") == 2


def test_few_events_are_not_drawn(study: Study) -> None:
    """Without an interval a line of averages would look like a result."""
    table = study.tables["events"]
    ends = [pl.lit(None, pl.Float64).alias(name) for name in ("value_low", "value_high")]
    few = replace(study, tables={**study.tables, "events": table.with_columns(*ends)})
    page = section(few, "events")
    assert not [about for _, about in page.tags if "data-figure" in about]
    assert "Too few to compare: an average needs an interval, which takes events of 5 patients" in page.text
    is_first = pl.col("from_s") == table["from_s"].min()
    first = pl.when(~is_first).then("value_low").alias("value_low")
    rows = table.filter(measure="share", of="positive", what=table["what"][0])
    rows = rows.sort("from_s").with_columns(first).to_dicts()
    assert rows[0]["value"] is not None
    lines = event_figure(rows, ENGLISH)["data"]
    assert [line["y"][0] for line in lines] == [None] * 4
    assert None not in [line["y"][1] for line in lines]


def test_changes_with_one_reason_are_told_in_one_sentence(study: Study) -> None:
    found = without_results(study, "trends")
    readings = found.tables["trends"]["reading"].n_unique()
    assert section(found, "trends").text.count(FEW) == readings
    assert section(found, "trends").count("table") == 0


def test_what_was_compared_stays_in_the_table(study: Study) -> None:
    table = study.tables["conditions"]
    is_garden = pl.col("condition") == "garden"
    found = table.with_columns(reason=pl.when(is_garden).then(pl.lit(FEW)).otherwise("reason"))
    page = section(replace(study, tables={**study.tables, "conditions": found}), "conditions")
    assert "Positive share music − baseline" in page.text
    assert "Positive share garden − baseline" not in page.text
