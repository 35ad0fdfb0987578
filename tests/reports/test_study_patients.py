"""reports.pages.study_parts.patients: who the patients are, and adjusted beside unadjusted differences."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from french import FRENCH, assert_no_english
from made_sessions import as_tables, made
from page_text import Page

from pipeline.analysis.patients import PatientColumn
from pipeline.robustness.characteristics import describe_patients
from pipeline.robustness.covariate_tables import (
    ADJUSTED,
    CHARACTERISTICS_SCHEMA,
    COVARIATES_SCHEMA,
    EFFECT_DIFFERENCE,
    SAME_PATIENTS,
)
from pipeline.robustness.covariates import CovariateSettings, compare_by_covariates
from pipeline.study.session_rows import ComparisonSettings
from reports.pages.sections import Section, render_sections
from reports.pages.study_parts.patients import fill_patients
from reports.study_data import Study
from reports.words.language import ENGLISH, Language
from reports.words.study import interval

SETTINGS = CovariateSettings(ComparisonSettings(measures=(("share", "positive"),)), adjust=("age", "ward"))
IDS = [f"P{number:02}" for number in range(1, 13)]
AGES = (71, 84, 79, 90, 66, 88, 75, 93, 81, 77, 69, 86)
COLUMNS = (
    PatientColumn("age", "number", dict(zip(IDS, map(float, AGES), strict=True))),
    PatientColumn("ward", "category", dict(zip(IDS[:11], "ABABABABABA", strict=True))),
    PatientColumn("stage", "category", dict(zip(IDS, "AAAABBBBCCCC", strict=True))),
    PatientColumn("<b>site</b>", "category", dict.fromkeys(IDS, "one")),
    PatientColumn("secret", "category", {patient: f"note of {patient}" for patient in IDS}),
)


@pytest.fixture(scope="module")
def study() -> Study:
    sessions, measures = as_tables(made(np.random.default_rng(0), effect=8, effect_sd=8))
    known = describe_patients(COLUMNS, 13)
    found = compare_by_covariates(sessions, measures, COLUMNS, replace(SETTINGS, patients_per_parameter=6))
    return Study(
        status=pl.DataFrame(),
        sessions=sessions,
        tables={
            "characteristics": pl.DataFrame(
                list(map(asdict, known)), CHARACTERISTICS_SCHEMA.names, orient="row"
            ),
            "covariates": pl.DataFrame(list(map(asdict, found)), infer_schema_length=None).select(
                COVARIATES_SCHEMA.names
            ),
        },
        rows_of_patients={"patients": 13, "without_row": ["P13"], "without_session": ["P98", "P99"]},
    )


def section(study: Study, language: Language = ENGLISH) -> str:
    ((_, _, html),) = render_sections((Section("patients", "", fill_patients),), "study", study, language)
    return str(html)


def test_without_a_table_it_is_said_what_to_write() -> None:
    text = Page(section(Study(pl.DataFrame(), pl.DataFrame()))).text
    assert "Put a table as patients.csv into the folder" in text


def test_columns_are_described_and_nobody_is_singled_out(study: Study) -> None:
    text = Page(section(study)).text
    assert f"age a number 12 1 mean {np.mean(AGES):.1f}, SD {np.std(AGES, ddof=1):.1f}, median 80.0" in text
    assert "ward groups 11 2 A 6, B 5" in text
    assert "<b>site</b> groups 12 1 not compared: one value only" in text
    assert "secret groups 12 1 not compared: as many groups as patients" in text
    assert "note of" not in text
    assert "Without a row in patients.csv, and in no adjusted comparison: P13." in text
    assert "Rows of patients without a session here: P98 and P99." in text


def test_adjusted_stands_beside_unadjusted_of_the_same_patients(study: Study) -> None:
    text = Page(section(study)).text
    table = study.tables["covariates"]
    for column, left_out in (("age", 0), ("ward", 1)):
        of_it = {row["number"]: row for row in table.filter(adjusted_for=column).to_dicts()}
        unadjusted, adjusted = (
            interval(row["value"], row["low"], row["high"], "%", ENGLISH)
            for row in (of_it[SAME_PATIENTS], of_it[ADJUSTED])
        )
        assert f"{column} {12 - left_out} {left_out} {unadjusted} {adjusted}" in text
    assert "age + ward 11 1 11 of the 12 patients that 2 parameters take" in text
    difference = table.filter(adjusted_for="ward", number=EFFECT_DIFFERENCE).row(0, named=True)
    shown = interval(*(difference[name] for name in ("value", "low", "high")), "%", ENGLISH)
    assert "ward B − A 5" in text
    assert shown in text


def test_how_many_would_leave_out_zero_by_chance_is_said(study: Study) -> None:
    """One interval of the number, one of two groups, and two of three."""
    assert "Of the 4 intervals for how the effect differs between patients, about 0.2 would" in (
        Page(section(study)).text
    )


def test_a_study_whose_conditions_can_t_be_compared_has_its_patients(study: Study) -> None:
    nothing = study.tables["covariates"].clear()
    text = Page(section(replace(study, tables={**study.tables, "covariates": nothing}))).text
    assert "age a number" in text
    assert "Exploratory" not in text


def test_in_french_there_is_no_english(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(f'<!DOCTYPE html><html lang="fr"><body>{section(study, FRENCH)}</body></html>')
    assert_no_english(path)
