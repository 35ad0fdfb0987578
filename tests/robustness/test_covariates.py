"""study.covariates against statsmodels and Student's t, and in simulated studies."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from made_sessions import Made, as_tables, made
from scipy.stats import t as student
from scipy.stats import ttest_ind
from small_studies import make_small_study
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

from pipeline.analysis.patients import ONE_VALUE, PatientColumn
from pipeline.analysis.summaries import SummarySettings
from pipeline.errors import InputError
from pipeline.results.derive import derive, update_derived
from pipeline.robustness.covariate_tables import (
    ADJUSTED,
    ALL_PATIENTS,
    EFFECT,
    EFFECT_DIFFERENCE,
    LEVEL,
    LEVEL_DIFFERENCE,
    SAME_PATIENTS,
    Covariate,
    read_characteristics,
    read_covariates,
)
from pipeline.robustness.covariates import CovariateSettings, compare_by_covariates, write_covariates
from pipeline.stats.mixed_model import fit_study
from pipeline.store.parquet import read_metadata
from pipeline.study.session_rows import ComparisonSettings

SETTINGS = CovariateSettings(ComparisonSettings(measures=(("share", "positive"),), permutations=199))


def ids(count: int) -> list[str]:
    return [f"P{number:02}" for number in range(1, count + 1)]


def numbers(name: str, values: Sequence[float]) -> PatientColumn:
    return PatientColumn(name, "number", dict(zip(ids(len(values)), map(float, values), strict=True)))


def groups(name: str, values: Sequence[str]) -> PatientColumn:
    return PatientColumn(name, "category", dict(zip(ids(len(values)), values, strict=True)))


def compared(study: Made, *columns: PatientColumn, settings: CovariateSettings = SETTINGS) -> list[Covariate]:
    return compare_by_covariates(*as_tables(study), columns, settings)


def the(found: Sequence[Covariate], number: str, **other: Any) -> Covariate:
    (one,) = [
        row
        for row in found
        if row.number == number and all(getattr(row, name) == value for name, value in other.items())
    ]
    return one


def three(one: Covariate) -> tuple[float | None, ...]:
    return one.value, one.low, one.high


def error(one: Covariate) -> float:
    assert one.high is not None
    assert one.low is not None
    assert one.df is not None
    return (one.high - one.low) / 2 / float(student.ppf(0.975, one.df))


AGES = (71, 84, 79, 90, 66, 88, 75, 93, 81, 77, 69, 86)
MMSE = (20, 8, 15, 22, 11, 17, 9, 24, 13, 19, 10, 16)


# --- nothing to compare


def test_no_sessions_and_no_columns_are_no_rows() -> None:
    study = made(np.random.default_rng(0))
    sessions, measures = as_tables(study)
    age = numbers("age", AGES)
    assert compare_by_covariates(sessions.clear(), measures.clear(), [age], SETTINGS) == []
    assert compare_by_covariates(sessions, measures, [], SETTINGS) == []
    assert compare_by_covariates(sessions, measures, [numbers("age", [80] * 12)], SETTINGS) == []


def test_a_comparison_that_is_none_keeps_its_reason() -> None:
    (row,) = compared(made(np.random.default_rng(0), patients=2), numbers("age", AGES[:2]))
    assert row.reason.startswith("2 of the 3 patients it takes")
    assert three(row) == (None, None, None)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ((groups("ward", ["A"] * 10 + ["B"] * 2),), "ward B: 2 of the 3 patients a group takes"),
        ((groups("ward", list("AAABBBCCCDDD")),), "12 of the 15 patients that 3 parameters take"),
        ((numbers("age", AGES[:4]),), "4 of the 5 patients that 1 parameters take"),
        ((numbers("age", AGES[:2]),), "2 of the 5 patients that 1 parameters take"),
    ],
)
def test_a_model_with_more_parameters_than_patients_bear_is_not_fitted(
    columns: Sequence[PatientColumn], reason: str
) -> None:
    found = compared(made(np.random.default_rng(0), effect_sd=8), *columns)
    row = the(found, ADJUSTED)
    assert row.reason == reason
    assert three(row) == (None, None, None)
    assert [one.number for one in found] == [ALL_PATIENTS, ADJUSTED]


def test_columns_together_take_more_patients_than_alone() -> None:
    study = made(np.random.default_rng(0), effect_sd=8)
    columns = numbers("age", AGES), groups("ward", list("AAAABBBBCCCC"))
    found = compared(study, *columns, settings=replace(SETTINGS, adjust=("AGE", "ward")))
    assert the(found, ADJUSTED, adjusted_for="age + ward").reason == (
        "12 of the 15 patients that 3 parameters take"
    )
    assert not the(found, ADJUSTED, adjusted_for="age").reason
    assert not the(found, ADJUSTED, adjusted_for="ward").reason


# --- against statsmodels


def as_mixed_lm(study: Made, known: np.ndarray) -> Any:
    """MixedLM as it comes; ``known`` (patients, k) covariates."""
    of_session = known[study.patients.astype(int)]
    design = np.column_stack([study.design, of_session, of_session * study.other[:, None]])
    spread = study.other - study.other.mean()
    random = np.column_stack([np.ones(len(spread)), spread / spread.std()])
    apart = MixedLMParams.from_components(fe_params=np.ones(design.shape[1]), cov_re=np.eye(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MixedLM(study.values, design, study.patients, exog_re=random).fit(reml=True, free=apart)


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_a_model_of_two_columns_is_as_statsmodels_has_it(seed: int) -> None:
    study = made(np.random.default_rng(seed), effect=5, effect_sd=12, alike=True)
    scaled = [(np.array(v) - np.mean(v)) / np.std(v, ddof=1) for v in (AGES, MMSE)]
    theirs = as_mixed_lm(study, np.column_stack(scaled))
    assert theirs.converged
    columns = numbers("age", AGES), numbers("mmse", MMSE)
    found = compared(study, *columns, settings=replace(SETTINGS, adjust=("age", "mmse")))
    ours = [
        the(found, number, adjusted_for="age + mmse", column=column)
        for number, column in (
            (ADJUSTED, ""),
            *((LEVEL_DIFFERENCE, name) for name in ("age", "mmse")),
            *((EFFECT_DIFFERENCE, name) for name in ("age", "mmse")),
        )
    ]
    assert [one.value for one in ours] == pytest.approx(theirs.fe_params[1:], rel=1e-4)
    assert [error(one) for one in ours] == pytest.approx(theirs.bse_fe[1:], rel=1e-4)
    assert {(one.patients, one.parameters, one.df) for one in ours} == {(12, 2, 9)}
    assert the(found, LEVEL_DIFFERENCE, adjusted_for="age").per == pytest.approx(np.std(AGES, ddof=1))


def test_weights_and_missing_values_are_the_models_of_their_sessions() -> None:
    study = made(np.random.default_rng(7), effect=5, effect_sd=12)
    known = {patient: value for patient, value in numbers("age", AGES).values.items() if patient != "P03"}
    found = compared(study, PatientColumn("age", "number", known))
    kept = study.patients != 2
    ages = np.array([age for age in AGES if age != 79])
    scaled = np.insert((ages - ages.mean()) / ages.std(ddof=1), 2, 0)[study.patients.astype(int)][kept]
    other = study.other[kept]
    design = np.column_stack([np.ones(len(other)), other, scaled, scaled * other])
    rest = study.patients[kept], study.weights[kept]
    fit = fit_study(study.values[kept], design, 1, *rest, covariates=1)
    plain = fit_study(study.values[kept], design[:, :2], 1, *rest)
    everybody = fit_study(study.values, study.design, 1, study.patients, study.weights)
    for one, interval, patients in (
        (the(found, ALL_PATIENTS), everybody.interval(0, 1), 12),
        (the(found, SAME_PATIENTS), plain.interval(0, 1), 11),
        (the(found, ADJUSTED), fit.interval(0, 1, 0, 0), 11),
        (the(found, EFFECT_DIFFERENCE), fit.interval(0, 0, 0, 1), 11),
        (the(found, LEVEL_DIFFERENCE), fit.interval(0, 0, 1, 0), 11),
    ):
        assert three(one) == pytest.approx((interval.value, interval.low, interval.high))
        assert one.patients == patients
    adjusted = the(found, ADJUSTED)
    assert (adjusted.left_out, adjusted.sessions, adjusted.sessions_reference) == (1, 44, 44)


# --- against Student's t of the patients' own differences


def differences(study: Made) -> np.ndarray:
    """(patients,) mean of the second condition less that of the first."""
    means = [
        [study.values[(study.patients == patient) & (study.other == other)].mean() for other in (0, 1)]
        for patient in np.unique(study.patients)
    ]
    return np.diff(means, axis=1)[:, 0]


def test_groups_are_a_t_test_of_the_patients_differences() -> None:
    study = made(np.random.default_rng(1), effect=5, effect_sd=12, alike=True)
    whose = list("AABABABABABA")
    found = compared(study, groups("ward", whose))
    own, is_b = differences(study), np.array(whose) == "B"
    test = ttest_ind(own[is_b], own[~is_b])
    low, high = test.confidence_interval(0.95)
    difference = the(found, EFFECT_DIFFERENCE)
    assert (difference.group, difference.against, difference.df) == ("B", "A", 10)
    assert three(difference) == pytest.approx((own[is_b].mean() - own[~is_b].mean(), low, high), rel=1e-5)
    for name, mask in (("A", ~is_b), ("B", is_b)):
        group = the(found, EFFECT, group=name)
        assert group.value == pytest.approx(own[mask].mean())
        assert group.patients_in_group == mask.sum()
    assert the(found, ADJUSTED).value == pytest.approx(own.mean())
    assert the(found, LEVEL, group="B").value == pytest.approx(
        study.values[np.isin(study.patients, np.flatnonzero(is_b)) & (study.other == 0)].mean()
    )


def test_a_number_is_a_regression_of_the_patients_differences() -> None:
    study = made(np.random.default_rng(1), effect=5, effect_sd=12, alike=True)
    found = compared(study, numbers("age", AGES))
    scaled = (np.array(AGES) - np.mean(AGES)) / np.std(AGES, ddof=1)
    theirs = sm.OLS(differences(study), sm.add_constant(scaled)).fit()
    for one, place in ((the(found, ADJUSTED), 0), (the(found, EFFECT_DIFFERENCE), 1)):
        assert three(one) == pytest.approx((theirs.params[place], *theirs.conf_int()[place]), rel=1e-5)


# --- simulated studies


STUDIES = 300
PLANTED = 6.0, -9.0
"""Points by which the effect grows per SD of the number, and in the second group."""


def intervals(planted: tuple[float, float], seed: int) -> np.ndarray:
    """(studies, 2, 2) intervals of the interactions with a number and with a group.

    By the model itself; the tables take longer than it does.
    """
    random = np.random.default_rng(seed)
    found = []
    for _ in range(STUDIES):
        study = made(random, effect=5, effect_sd=6)
        number = random.normal(0, 1, 12)
        known = np.column_stack([(number - number.mean()) / number.std(ddof=1), np.arange(12) % 2 - 0.5])
        of_session = known[study.patients.astype(int)]
        design = np.column_stack([study.design, of_session, of_session * study.other[:, None]])
        values = study.values + design[:, -2:] @ planted
        fit = fit_study(values, design, 1, study.patients, study.weights, covariates=2)
        both = [fit.interval(0, 0, 0, 0, 1, 0), fit.interval(0, 0, 0, 0, 0, 1)]
        found.append([(one.low, one.high) for one in both])
    return np.array(found)


def share_outside(found: np.ndarray, truth: tuple[float, float]) -> np.ndarray:
    """(2,) share of intervals that leave out the truth."""
    outside: np.ndarray = ((found[..., 0] > truth) | (found[..., 1] < truth)).mean(axis=0)
    return outside


@pytest.mark.simulation
def test_planted_interactions_are_covered() -> None:
    missed = share_outside(intervals(PLANTED, seed=11), PLANTED)
    assert (missed >= 0.03).all()
    assert (missed <= 0.07).all()


@pytest.mark.simulation
def test_without_an_interaction_the_interval_seldom_leaves_out_zero() -> None:
    missed = share_outside(intervals((0.0, 0.0), seed=12), (0.0, 0.0))
    assert (missed >= 0.03).all()
    assert (missed <= 0.07).all()


# --- the folder of a study


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make_small_study(tmp_path, 6)


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """One patient, in whom nothing is compared."""
    return make_small_study(tmp_path, 1)


def known(out: Path) -> Mapping[str, Any]:
    return read_metadata(out / "summaries" / "characteristics.parquet")["settings"]


def test_columns_are_described_and_patients_without_a_row_are_told(out: Path) -> None:
    (out / "patients.csv").write_text(
        "\ufeffpatient_id;MMSE;sex;site;note\nP01;20,5;f;A;x\nP02;18;f;A;y\nP03;11;m;A;z\nP04;;f;A;w\nP99;1;f;B;v\n"
    )
    assert derive(out) == ()
    assert known(out) == {"patients": 6, "without_row": ["P05", "P06"], "without_session": ["P99"]}
    rows = read_characteristics(out).to_dicts()
    assert [(row["column"], row["level"], row["patients"], row["missing"]) for row in rows] == [
        ("MMSE", "", 3, 3),
        ("sex", "f", 3, 2),
        ("sex", "m", 1, 2),
        ("site", "", 4, 2),
        ("note", "", 4, 2),
    ]
    assert (rows[0]["mean"], rows[0]["median"]) == pytest.approx((16.5, 18.0))
    assert rows[0]["sd"] == pytest.approx(np.std([20.5, 18, 11], ddof=1))
    assert [row["reason"] for row in rows] == ["", "", "", ONE_VALUE, "as many categories as patients"]
    assert set(read_covariates(out)["adjusted_for"]) == {"", "MMSE", "sex"}


@pytest.mark.slow
def test_what_is_adjusted_for_is_kept(out: Path) -> None:
    (out / "patients.csv").write_text(
        "patient_id,age,mmse\n" + "".join(f"P0{n},{70 + n * n},{20 - n}\n" for n in range(1, 7))
    )
    assert derive(out, SummarySettings(adjust=("age", "mmse"))) == ()
    assert read_metadata(out / "summaries" / "covariates.parquet")["settings"]["adjust"] == ["age", "mmse"]
    (out / "patients.csv").write_text((out / "patients.csv").read_text().replace("P06", "P07"))
    assert update_derived(out) == ()
    assert known(out)["without_session"] == ["P07"]
    assert "age + mmse" in set(read_covariates(out)["adjusted_for"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("patient_id;age\nP01;80\nP01;80\n", "row 3, patient_id: row 2 is of P01 too"),
        ("patient_id;age\nP01;80\n", "`adjust` 'agee': no such column; did you mean age?"),
        ("patient_id;agee\nP01;80\n", "`adjust` 'agee': patients can't be compared by it (one value only)"),
        ("patient_id\nP01\n", "`adjust` 'agee': no such column."),
        ("patient_id;name\nP01;A\n", "the column 'name' looks like a person's name"),
        (None, "not there, so that nothing was adjusted"),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_made(single: Path, text: str | None, problem: str) -> None:
    tables = [single / "summaries" / f"{name}.parquet" for name in ("characteristics", "covariates")]
    tables[0].parent.mkdir()
    for table in tables:
        table.write_bytes(b"of another list")
    path = single / "patients.csv"
    path.unlink() if text is None else path.write_text(text)
    problems = derive(single, SummarySettings(adjust=("agee",)))
    assert any(line.startswith(f"{path}: ") and problem in line for line in problems), problems
    assert update_derived(single) == problems
    assert (single / "summaries" / "conditions.parquet").exists()
    unreadable = text is None or "name" in text
    assert [table.exists() for table in tables] == [not unreadable] * 2


def test_without_the_file_nothing_is_told_of_patients(single: Path) -> None:
    (single / "patients.csv").unlink()
    assert derive(single) == ()
    assert not {"characteristics.parquet", "covariates.parquet"} & {
        path.name for path in (single / "summaries").iterdir()
    }
    assert "Of the patients were known" not in (single / "summaries" / "methods.md").read_text("utf-8")
    with pytest.raises(InputError, match="no such file"):
        write_covariates(single, SETTINGS)


@pytest.mark.slow
def test_the_methods_name_the_models(out: Path) -> None:
    derive(out)
    text = (out / "summaries" / "methods.md").read_text("utf-8")
    assert "Of the patients were known: age (mean " in text
    assert "each model with one of: age; mmse; group." in text
    assert "no p-values" in text
    assert pl.read_parquet(out / "summaries" / "covariates.parquet").filter(adjusted_for="sex").height
