"""analysis.methods_text: the text for a paper agrees with the tables."""

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest
from timelines import make_timeline, put

from pipeline.analysis.scales import write_scales
from pipeline.analysis.summaries import summarize_folder
from pipeline.errors import TimelineError
from pipeline.results.methods_text import NOT_ENOUGH, methods, paper_table, write_methods, write_paper_table
from pipeline.store.spreadsheet import TABLES_FILE, keep_decimal
from pipeline.study.comparison_tables import STUDY, read_conditions
from pipeline.study.conditions import write_conditions
from pipeline.study.event_locked import write_events
from pipeline.study.event_windows import EventSettings
from pipeline.study.session_rows import ComparisonSettings

COMPARISONS = ComparisonSettings(measures=(("share", "positive"), ("valence", "")), permutations=333, seed=7)


def summarized(summarized_study: Path, out: Path) -> Path:
    """The made study with summaries alone."""
    for name in ("timelines", "episodes"):
        (out / name).symlink_to(summarized_study / name)
    (out / "summaries").mkdir()
    for name in ("sessions.parquet", "measures.parquet"):
        (out / "summaries" / name).symlink_to(summarized_study / "summaries" / name)
    return out


@pytest.fixture(scope="module")
def told(summarized_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with all tables, and the methods."""
    out = summarized(summarized_study, tmp_path_factory.mktemp("told"))
    write_conditions(out, COMPARISONS)
    events = EventSettings(before_s=4, after_s=6, matched=3, resamples=99)
    assert write_events(out, summarized_study / "events.csv", events) == ()
    write_scales(out)
    write_methods(out)
    return out


def test_without_summaries_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match="emonext summarize"):
        write_methods(tmp_path)


def test_every_setting_is_filled_in(told: Path) -> None:
    text = " ".join(methods(told))
    for part in (
        *("96 video sessions of 12 patients", "5 images per second", "weights made (sha256 000000000000…)"),
        *("at least 20 % and 10 s", "a moving window of 1 s", "reaches 0.5", "falls below 0.4"),
        *("at most 333", "seed 7", "share positive and valence", "“baseline”", "Phipson & Smyth 2010"),
        *("from 4 s before to 6 s after", "up to 3 moments", "99 bootstrap resamples"),
        *("windows of 10 minutes", "happy as pleasure", "3 16 to 59 seconds", "the code 7, not in view"),
        *(
            "step of the unsmoothed probability within 0.5 s",
            "blocks of 1/10",
            "Clopper & Pearson",
            "9 degrees",
        ),
        *(
            "at most 3 from each",
            "below 0.0001",
            "in the raw reading only, because",
            "events, in the raw reading",
        ),
        *("by weighted least squares", "condition or week", "each reading and window"),
        *("open eyes stood for general alertness", "not been validated", "not of what a person feels"),
    ):
        assert part in text
    assert not {"None", "{", "  "} & {part for part in ("None", "{", "  ") if part in text}


def test_what_was_not_done_is_not_told(summarized_study: Path, tmp_path: Path) -> None:
    found = methods(summarized(summarized_study, tmp_path))
    assert len(found) == 3
    assert not any(word in " ".join(found) for word in ("mixed model", "events", "Rating Scale"))


def without_zeros(row: Mapping[str, str]) -> dict[str, str]:
    """A p of the table is a number: 0.940 is written as 0.94."""
    return {name: text.rstrip("0") if name in ("p", "p (Holm)") else text for name, text in row.items()}


def test_the_table_is_the_studys_comparisons(told: Path) -> None:
    with (told / "summaries" / "table.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=","))
    assert [without_zeros(row) for row in rows] == [without_zeros(row) for row in paper_table(told)]
    comparisons = read_conditions(told).filter(patient_id=STUDY)
    assert len(rows) == len(comparisons) == 8
    music = next(row for row in rows if row["condition"] == "music" and row["reading"] == "raw")
    (number,) = comparisons.filter(condition="music", reading="raw", measure="share", of="positive").rows(
        named=True
    )
    shown = (
        f"{number['difference']:.1f} percentage points "
        f"({number['difference_low']:.1f} to {number['difference_high']:.1f})"
    )
    assert music["difference (95 % CI)"] == shown
    assert music["p"] == f"{1 / 334:.3f}"
    assert (music["patients"], music["sessions"], music["reference sessions"]) == ("12", "36", "36")


def test_the_markdown_has_both(told: Path) -> None:
    text = (told / "summaries" / "methods.md").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 8
    assert {line.count("|") for line in lines} == {17}
    assert text.startswith("## Methods\n\n96 video sessions")


def test_too_little_is_told_as_such(summarized_study: Path, tmp_path: Path) -> None:
    out = summarized(summarized_study, tmp_path)
    write_conditions(out, ComparisonSettings(reference="rest|room", permutations=99))
    write_methods(out)
    rows = paper_table(out)
    assert {row["note"] for row in rows} == {f"{NOT_ENOUGH}: no session with the condition rest|room"}
    assert {row["p"] + row["difference (95 % CI)"] for row in rows} == {""}
    text = (out / "summaries" / "methods.md").read_text("utf-8")
    assert "condition rest\\|room |" in text
    assert "of conditions over patients was possible: no session with the condition rest|room. Change" in text
    assert "with week as fixed effect" in text
    assert not any(
        word in text for word in ("Conditions were compared", "Hedges' g in", "permutation of the co")
    )


def test_what_single_patients_alone_have_is_no_mixed_model(summarized_study: Path, tmp_path: Path) -> None:
    out = summarized(summarized_study, tmp_path)
    write_conditions(out, ComparisonSettings(min_patients=13, permutations=99))
    text = " ".join(methods(out))
    for nothing in ("comparison of conditions", "estimate of change per week"):
        assert f"No {nothing} over patients was possible: 12 of the 13 patients it takes have" in text
    assert "Single patients were compared by weighted least squares" in text
    assert not any(word in text for word in ("mixed", "P-values", "Holm"))


def test_without_a_calm_face_nothing_was_corrected(tmp_path: Path) -> None:
    put(tmp_path, make_timeline([("happy", 100)]))
    summarize_folder(tmp_path)
    write_conditions(tmp_path)
    text = " ".join(methods(tmp_path))
    assert "No patient had 60 s of observed time in sessions of the condition “baseline”" in text
    assert "logits" not in text
    assert "weighted least squares" not in text


def test_with_decimal_commas_every_number_of_the_table_has_one(told: Path) -> None:
    keep_decimal(told, "comma")
    try:
        write_paper_table(told)
        text = (told / "summaries" / "table.csv").read_text("utf-8-sig")
    finally:
        (told / TABLES_FILE).unlink()
        write_paper_table(told)
    rows, own = list(csv.DictReader(text.splitlines(), delimiter=";")), paper_table(told)
    assert [row["condition"] for row in rows] == [row["condition"] for row in own]
    for row, one in zip(rows, own, strict=True):
        assert row["difference (95 % CI)"] == one["difference (95 % CI)"].replace(".", ",")
        assert without_zeros({"p": row["p"].replace(",", ".")}) == without_zeros({"p": one["p"]})
