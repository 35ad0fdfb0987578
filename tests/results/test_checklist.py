"""study.checklist: every answer is a fact of the folder, and another fact gives another answer."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from plans import MADE, frozen

from pipeline.errors import InputError, TimelineError
from pipeline.results import checklist_answers as answers
from pipeline.results.checklist import (
    FOR_AUTHORS,
    ITEMS,
    Answered,
    answer_items,
    in_topics,
    outcome,
    write_checklist,
)
from pipeline.results.checklist_facts import Facts, ModelCard, read_facts, used_weights
from pipeline.results.derive import derive
from pipeline.store.encryption import use_key, use_no_key, write_key
from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.study.comparison_tables import STUDY
from reports.write import write_checklist_page

CARD = ModelCard(
    "Faces from the web", "research only", {"one_accuracy_mirrored": 0.8757, "one_log_loss": 0.7}
)


@pytest.fixture(scope="module")
def folder(derived_small_study: Path) -> Path:
    """Four patients; to be copied."""
    return derived_small_study


@pytest.fixture(scope="module")
def facts(folder: Path) -> Facts:
    return read_facts(folder, {MADE: CARD})


@pytest.fixture
def out(folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folder, tmp_path / "out")


def with_columns(facts: Facts, **columns: Any) -> Facts:
    return replace(
        facts, sessions=facts.sessions.with_columns(**{name: pl.lit(v) for name, v in columns.items()})
    )


def with_metadata(facts: Facts, change: Mapping[str, Any]) -> Facts:
    """The first session processed otherwise."""
    first, *others = facts.timelines
    return replace(facts, timelines=({**first, **change}, *others))


# --- the list


def test_an_empty_folder_has_no_checklist(tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match="emonext summarize"):
        read_facts(tmp_path, {})
    assert used_weights(tmp_path) == {}
    with pytest.raises(InputError, match="no timeline"):
        derive(tmp_path)


def test_items_are_counted_and_those_of_the_authors_are_open(facts: Facts) -> None:
    items = answer_items(facts)
    assert len(items) == len(ITEMS)
    filled = [one for one in items if one.text is not None]
    assert (
        outcome(items)
        == f"{len(filled)} of {len(ITEMS)} items filled in; {len(ITEMS) - len(filled)} for the authors."
    )
    assert {one.item.asks for one in items if one.text is None} == {
        *(item.asks for item in ITEMS if item.answer is None),
        "Raters, and what they rated",  # there were none
    }
    assert outcome(()) == "0 of 0 items filled in; 0 for the authors."


def test_no_item_is_there_twice_and_each_names_a_guideline() -> None:
    asked = [item.asks for item in ITEMS]
    assert len(set(asked)) == len(asked)
    known = {"STROBE", "STARD", "GRRAS", "TRIPOD+AI", "CLAIM", "CONSORT-AI", "SPIRIT-AI"}
    for item in ITEMS:
        assert {part.split()[0] for part in item.sources.split("; ")} <= known


def test_both_files_hold_every_item(facts: Facts, tmp_path: Path) -> None:
    items = answer_items(replace(facts, states={"do|ne": 1}))
    text = write_checklist(tmp_path, items).read_text("utf-8")
    page = write_checklist_page(tmp_path, items).read_text("utf-8")
    assert page.count("<tr>") == len(ITEMS) + len(in_topics(items))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(ITEMS) + 2 * len(in_topics(items))
    assert {line.replace("\\|", "").count("|") for line in rows} == {4}
    for one in items:
        assert f"| {one.item.asks} |" in text
    assert text.count(FOR_AUTHORS) == page.count(FOR_AUTHORS) == sum(one.text is None for one in items)
    assert outcome(items) in text
    assert "do\\|ne 1" in text


def test_texts_are_escaped_on_the_page(tmp_path: Path) -> None:
    page = write_checklist_page(tmp_path, [Answered(ITEMS[0], "<script>alert(1)</script>")])
    assert "<script>alert" not in page.read_text("utf-8")


# --- participants and data


def test_dates(facts: Facts) -> None:
    first, *_, last = sorted(one["session"]["recorded_at"][:10] for one in facts.timelines)
    assert answers.dates(facts) == f"From {first} to {last}; 32 of 32 sessions have a date."
    nobody = facts.sessions.with_columns(recorded_at=pl.lit(None, facts.sessions.schema["recorded_at"]))
    assert answers.dates(replace(facts, sessions=nobody)) is None
    one = pl.concat([nobody.head(31), facts.sessions.tail(1)])
    assert "; 1 of 32 sessions have a date" in str(answers.dates(replace(facts, sessions=one)))


def test_stages(facts: Facts) -> None:
    assert answers.stages(facts) == (
        "32 sessions of 4 patients have results; 32 of them, of 4 patients, had enough coverage for numbers. "
        "All sessions given to the program: done 32."
    )
    few = facts.sessions.with_columns(enough=pl.col("patient_id") != "P01")
    assert "24 of them, of 3 patients, had enough" in answers.stages(replace(facts, sessions=few))
    assert "is not known: status.parquet is lost" in answers.stages(replace(facts, states=None))


def test_left_out_and_consent(facts: Facts) -> None:
    assert answers.left_out(facts) == "Too little coverage for numbers: 0 sessions. Without results: none."
    states = {"done": 29, "failed": 2, "no_consent": 3, "withdrawn": 1}
    told = answers.left_out(replace(facts, states=states))
    assert told.endswith("Without results: failed 2, no consent 3, withdrawn 1.")
    assert "No consent by the list: 3 sessions" in str(answers.consent(replace(facts, states=states)))
    assert "after processing: 1 session," in str(answers.consent(replace(facts, states=states)))
    lost = replace(facts, states=None)
    assert answers.consent(lost) is None
    assert "not known" in answers.left_out(lost)
    assert "numbers: 32 sessions" in answers.left_out(with_columns(facts, enough=False))


def test_conditions(facts: Facts) -> None:
    assert answers.conditions(facts) == (
        "“baseline”: 12 sessions of 4 patients; “garden”: 8 sessions of 4 patients; "
        "“music”: 12 sessions of 4 patients."
    )
    assert answers.conditions(with_columns(facts, condition="")) is None
    some = facts.sessions.with_columns(condition=pl.col("condition").replace({"garden": ""}))
    assert "without a condition: 8 sessions" in str(answers.conditions(replace(facts, sessions=some)))


def test_coverage(facts: Facts) -> None:
    hours = facts.sessions["observed_s"].sum() / 3600
    assert answers.coverage(facts).startswith(f"2.1 h recorded; the expression was read in {hours:.1f} h.")
    same = with_columns(facts, coverage=0.5, duration_s=3600.0, observed_s=900.0)
    assert answers.coverage(same) == (
        "32.0 h recorded; the expression was read in 8.0 h. Coverage (face read, or eyes shut for long): "
        "median 50 %, lowest 50 %, highest 50 %."
    )
    assert answers.coverage(replace(facts, sessions=facts.sessions.clear())).startswith("0.0 h recorded")


def test_missing_data(facts: Facts) -> None:
    assert "below 20 % or with less than 10 s observed get no numbers (0 sessions)" in answers.missing_data(
        facts
    )
    assert "compared between conditions (2 comparisons)" in answers.missing_data(facts)
    none = facts.planned.comparisons.filter(pl.col("measure") != "coverage")
    without = replace(facts, planned=replace(facts.planned, comparisons=none))
    assert "compared" not in answers.missing_data(without)
    other = replace(facts.used, analysis={**facts.used.analysis, "min_coverage": "0.35"})
    assert "below 35 %" in answers.missing_data(replace(facts, used=other))


def test_identity(facts: Facts) -> None:
    assert answers.identity(facts).startswith("confirmed by a person: 32 sessions; ")
    assert "not certain (to check): 32 sessions" in answers.identity(with_columns(facts, identity="to_check"))


# --- the model


def test_weights_and_their_card(facts: Facts, folder: Path) -> None:
    assert f"made, sha256 {MADE} (32 sessions)" in answers.weights(facts)
    assert used_weights(folder) == {MADE: "made"}
    assert answers.training_data(facts) == "made: Faces from the web. Licence: research only."
    assert answers.accuracy(facts) == (
        "By the model card, not on this study's recordings: made: one_accuracy_mirrored 0.876."
    )


@pytest.mark.parametrize("cards", [{}, {"other": CARD}, {MADE: ModelCard("unknown", "unknown", {})}])
def test_without_a_card_the_authors_say_what_the_weights_learnt(
    facts: Facts, cards: Mapping[str, ModelCard]
) -> None:
    unknown = replace(facts, cards=cards)
    assert answers.training_data(unknown) is None
    assert answers.accuracy(unknown) is None


def test_weights_of_which_some_are_unknown_are_left_to_the_authors(facts: Facts) -> None:
    two = with_metadata(facts, {"weights": {"name": "mine", "sha256": "ab" * 32}})
    assert "made, sha256" in answers.weights(two)
    assert f"mine, sha256 {'ab' * 32} (1 session)" in answers.weights(two)
    assert answers.training_data(two) is None


def test_settings_software_and_devices(facts: Facts) -> None:
    assert answers.settings(facts).startswith("sample_fps 5.0; ")
    settings = {**facts.timelines[0]["settings"], "sample_fps": 10.0}
    changed = with_metadata(facts, {"settings": settings, "software_version": "0.0.9", "device": "cuda"})
    assert answers.settings(changed).startswith("sample_fps 10.0 (1 session), 5.0 (31 sessions); ")
    assert "0.0.9 (1 session)" in answers.software(changed)
    assert "cuda (1 session)" in answers.software(changed)
    assert "(" not in answers.software(facts)


# --- validation


def agreed(out: Path, **changes: Any) -> Path:
    """Two raters, as ``emonext agree`` writes them."""
    figure = {"value": 0.71, "low": 0.6, "high": 0.8, "why": ""}
    machine = {"name": "machine", "kind": "samples", "reading": "raw"}
    anna, ben = ({"name": name, "kind": "person", "reading": ""} for name in ("anna", "ben"))
    shared = {
        "level": "groups",
        "labels": ["positive", "neutral"],
        "sessions": 2,
        "seconds": 1200.0,
        "kappa": figure,
    }
    rated = {"sessions": 2, "rated_s": 1200.0, "coded_s": 600.0, "is_stated": False, "unusable": 0}
    figures = {
        "people": ["anna", "ben"],
        "rated": [{"rater": name, **rated} for name in ("anna", "ben")],
        "comparisons": [
            {"first": machine, "second": anna, **shared},
            {"first": {**machine, "reading": "corrected"}, "second": anna, **shared},
            {"first": {**machine, "kind": "episodes"}, "second": anna, **shared},
            {"first": machine, "second": anna, **shared, "level": "emotions"},
            {"first": anna, "second": ben, **shared, "kappa": {**figure, "value": 0.9}},
        ],
        **changes,
    }
    path = out / "agreement" / "figures.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(figures), encoding="utf-8")
    return path


def test_without_raters_nothing_is_validated(facts: Facts) -> None:
    assert answers.validation(facts).startswith("Not validated on this study's patients")
    assert answers.between_raters(facts).startswith("Not known")
    assert answers.raters(facts) is None


def test_agreement_with_raters_is_given_with_its_interval_and_without_names(out: Path) -> None:
    agreed(out)
    facts = read_facts(out, {})
    assert answers.validation(facts) == (
        "machine and rater 1, labels positive, neutral: Cohen's kappa 0.71 (95 % interval 0.60 to 0.80), "
        "1,200 s of 2 sessions."
    )
    assert "rater 1 and rater 2, labels positive, neutral: Cohen's kappa 0.90" in answers.between_raters(
        facts
    )
    assert str(answers.raters(facts)).startswith(
        "rater 1: 1,200 s of 2 sessions rated (assumed from the first"
    )
    text = write_checklist(out, answer_items(facts)).read_text("utf-8")
    assert "anna" not in text


def test_rated_clips_validate_too_and_raters_stay_unnamed(out: Path) -> None:
    same = {"value": 0.68, "low": 0.55, "high": 0.79}
    shared = {"level": "groups", "clips": 38, "same": same}
    clips = {
        "drawn": 60,
        "seconds": 4.0,
        "raters": [{"rater": "anna", "clips": 40, "asked": 40}, {"rater": "carl", "clips": 30, "asked": 40}],
        "comparisons": [
            {"first": "machine", "second": "carl", **shared},
            {"first": "machine", "second": "carl", **shared, "level": "emotions"},
            {"first": "machine, corrected", "second": "carl", **shared},
            {"first": "anna", "second": "carl", **shared, "clips": 12},
        ],
    }
    agreed(out, comparisons=[], rated=[], people=[], clips=clips)
    facts = read_facts(out, {})
    told = (
        "drawn clips of 4 s, weighted to all readable time: the same of positive, neutral, negative and "
        "surprise in 68 % (95 % interval 55 to 79 %)."
    )
    assert answers.validation(facts) == f"machine and rater 2, 38 of 60 {told}"
    assert answers.between_raters(facts) == f"rater 1 and rater 2, 12 of 60 {told}"
    assert answers.raters(facts) == "rater 1: 40 of 40 clips; rater 2: 30 of 40 clips."


def test_what_can_t_be_computed_is_no_agreement(out: Path) -> None:
    figures = json.loads(agreed(out).read_text("utf-8"))
    first, *_ = figures["comparisons"]
    why = {"value": None, "low": None, "high": None, "why": "undefined: all of it is one class"}
    agreed(out, comparisons=[{**first, "kappa": why}])
    assert "Cohen's kappa undefined: all of it is one class" in answers.validation(read_facts(out, {}))
    few = {"value": 0.5, "low": None, "high": None, "why": ""}
    agreed(out, comparisons=[{**first, "kappa": few}])
    facts = read_facts(out, {})
    assert "kappa 0.50, without an interval (too little data)" in answers.validation(facts)
    assert answers.between_raters(facts).startswith("Not known: no two raters")
    agreed(out, comparisons=[{**first, "seconds": 0.0}])
    assert answers.validation(read_facts(out, {})).startswith("Not validated")


def test_a_comparison_older_than_a_timeline_is_told_as_such(out: Path) -> None:
    agreed(out)
    assert "repeat it" not in answers.validation(read_facts(out, {}))
    os.utime(next(out.glob("timelines/*/*.parquet")), (4e9, 4e9))
    facts = read_facts(out, {})
    for answer in (answers.validation, answers.between_raters, answers.raters):
        assert str(answer(facts)).endswith("Timelines were written after this comparison: repeat it.")


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x00", '"text"'])
def test_damaged_figures_are_an_error_that_names_the_remedy(out: Path, content: str) -> None:
    agreed(out).write_text(content, encoding="utf-8")
    with pytest.raises(TimelineError, match=r"figures\.json: can't be read; run `emonext agree` again"):
        read_facts(out, {})


# --- analysis


def test_methods_results_and_other_analyses(facts: Facts) -> None:
    assert (
        answers.methods(facts)
        == "summaries/methods.md has the paragraphs and settings; 16 tests over patients."
    )
    assert answers.methods(replace(facts, has_methods=False)) is None
    assert "16 of 16 comparisons over patients" in answers.results(facts)
    assert "8 of them with a test" in answers.results(facts)
    assert answers.other_analyses(facts).startswith(
        "In this folder: 8 estimates of change per week; events ("
    )
    none = replace(facts, has_events=False, has_scales=False, trends=facts.trends.clear())
    assert answers.other_analyses(none) == "In this folder: no change per week; no events; no scales."


def test_without_a_comparison_the_reason_is_given(facts: Facts) -> None:
    rows = facts.planned.comparisons.filter(patient_id=STUDY).with_columns(
        difference=pl.lit(None, pl.Float64),
        p=pl.lit(None, pl.Float64),
        reason=pl.lit("no session with music"),
    )
    none = replace(facts, planned=replace(facts.planned, comparisons=rows))
    assert answers.results(none) == (
        "No comparison of conditions over patients was possible: no session with music."
    )
    empty = replace(facts, planned=replace(facts.planned, comparisons=rows.clear()))
    assert answers.results(empty) == "No comparison of conditions over patients was possible."


def test_a_plan_is_told_with_when_it_was_made(facts: Facts, out: Path) -> None:
    assert answers.planned(facts).startswith("No plan of the analysis was frozen in this folder")
    frozen(out)
    derive(out)
    assert "after 32 sessions had results" in answers.planned(read_facts(out, {}))


# --- privacy


def test_pictures_are_looked_for(facts: Facts, out: Path) -> None:
    assert answers.pictures(facts).startswith("None: no picture")
    (out / "review").mkdir()
    (out / "review" / "S01.MP4").write_bytes(b"")
    (out / "reports").mkdir(exist_ok=True)
    (out / "reports" / "S01.html").write_text("<img src='data:image/jpeg;base64,'>", "utf-8")
    (out / "reports" / "plain.html").write_text("<p>data</p>", "utf-8")
    (out / "gallery").mkdir()
    shutil.copy(out / "summaries" / "sessions.parquet", out / "gallery" / "P01.parquet")
    assert answers.pictures(read_facts(out, {})) == (
        "This folder holds: 1 page with pictures; 1 picture or video; 1 table of face embeddings."
    )


def test_the_expression_of_others(facts: Facts) -> None:
    assert "(--score-everyone): 0 sessions" in str(answers.others(facts))
    settings = {**facts.timelines[0]["settings"], "score_everyone": True}
    assert "(--score-everyone): 1 session." in str(
        answers.others(with_metadata(facts, {"settings": settings}))
    )
    assert "32 sessions with an uncertain patient" in str(
        answers.others(with_columns(facts, identity="unknown"))
    )
    del settings["score_everyone"]  # of an earlier version
    assert answers.others(with_metadata(facts, {"settings": settings})) is None


def test_encryption(facts: Facts, out: Path, tmp_path: Path) -> None:
    count = len([*out.rglob("*.parquet")]) - 1  # the status is none of them
    assert answers.encryption(facts) == f"0 of {count} tables encrypted (AES-256)."
    use_key(write_key(tmp_path / "study.key"))
    try:
        again = [*out.glob("timelines/*/*.parquet"), *out.glob("summaries/*.parquet")]
        for path in again:
            write_table(path, read_table(path), read_metadata(path))
        told = answers.encryption(read_facts(out, {}))
    finally:
        use_no_key()
    assert told.startswith(f"{len(again)} of {count} tables encrypted (AES-256). Pages, status")
    with pytest.raises(InputError, match="is encrypted; give its key"):
        read_facts(out, {})
