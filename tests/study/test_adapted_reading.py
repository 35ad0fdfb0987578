"""The adapted reading in the tables and texts of a study."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from adaptations import make_adaptation, make_own_offsets
from small_studies import make_small_study

from pipeline.agreement.machine_coding import MachineCoder
from pipeline.analysis.adaptation import (
    NONE,
    adaptation_path,
    read_adaptation,
    use_adaptation,
    write_adaptation,
)
from pipeline.analysis.scales import read_ratings
from pipeline.analysis.session_results import FolderFacts
from pipeline.analysis.summaries import read_episodes, read_measures, read_sessions
from pipeline.exchange.export import export
from pipeline.records import EMOTIONS
from pipeline.results.derive import derive, update_derived
from pipeline.results.methods_text import methods
from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline
from pipeline.study.comparison_tables import STUDY, read_conditions, read_trends


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients of the made study, one of whom looks sad at rest; with an adaptation."""
    out = make_small_study(tmp_path_factory.mktemp("made"), 3, LENGTH_S=600.0)
    write_adaptation(adaptation_path(out), make_adaptation(temperature=1.0))
    assert derive(out) == ()
    return out


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / made.name)  # under another name, tables would be made again


@pytest.fixture(scope="module")
def unadapted(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after the adaptation was removed."""
    out = shutil.copytree(made, tmp_path_factory.mktemp("unadapted") / made.name)
    use_adaptation(out, NONE)
    update_derived(out)
    return out


def sad(out: Path, reading: str) -> float:
    rows = read_measures(out).filter(patient_id="P03", reading=reading, measure="share", of="sad")
    return float(rows["value"].mean())


def test_every_session_has_the_reading_beside_the_raw_one(made: Path) -> None:
    sessions, measures = read_sessions(made), read_measures(made)
    assert sessions["adapted"].all()
    assert set(measures["reading"]) == {"raw", "corrected", "adapted"}
    assert sad(made, "raw") > 0.2
    assert sad(made, "adapted") < 0.5 * sad(made, "raw")
    assert set(read_episodes(made, "P03", "S01")["reading"]) == {"raw", "corrected", "adapted"}
    assert set(read_ratings(made)["reading"]) == {"raw", "corrected", "adapted"}


def test_own_offsets_hold_for_their_patient_alone(made: Path, study: Path) -> None:
    write_adaptation(adaptation_path(study), make_adaptation(temperature=1.0, own=make_own_offsets("P01")))
    assert update_derived(study) == ()

    def adapted(out: Path, patient: str) -> pl.DataFrame:
        return read_measures(out).filter(patient_id=patient, reading="adapted")

    assert adapted(study, "P03").equals(adapted(made, "P03"))
    assert not adapted(study, "P01").equals(adapted(made, "P01"))
    ids = ("P01", "S01")
    timeline = read_timeline(timeline_path(study, *ids))
    ratios = []
    for out in (study, made):
        p = MachineCoder(out).samples(ids, timeline)["machine, adapted"].probabilities
        ratios.append(p[:, EMOTIONS.index("sad")] / p[:, EMOTIONS.index("happy")])
    assert ratios[0] == pytest.approx(ratios[1] * np.exp(-1.2))


def test_every_table_names_it(made: Path) -> None:
    sha256 = read_adaptation(made).sha256
    for name in ("sessions", "measures", "conditions", "trends", "scales"):
        metadata = read_metadata(made / "summaries" / f"{name}.parquet")
        assert metadata["settings"]["adaptation_sha256"] == sha256
    metadata = read_metadata(made / "episodes" / "patient_id=P01" / "S01.parquet")
    assert metadata["settings"]["adaptation_sha256"] == sha256


def test_the_raw_numbers_stay_as_they_are(made: Path, unadapted: Path) -> None:
    raw = read_measures(made).filter(pl.col("reading") != "adapted")
    conditions = read_conditions(made).filter(reading="raw")
    assert read_measures(unadapted).equals(raw)
    assert read_conditions(unadapted).equals(conditions)
    assert not read_sessions(unadapted)["adapted"].any()
    assert read_metadata(unadapted / "summaries" / "sessions.parquet")["settings"]["adaptation_sha256"] == ""


def test_a_new_file_refreshes_the_tables(study: Path) -> None:
    before = sad(study, "adapted")
    update_derived(study)
    assert sad(study, "adapted") == before
    write_adaptation(adaptation_path(study), make_adaptation(temperature=1.0, clips=101))
    table = study / "summaries" / "sessions.parquet"
    earlier = read_metadata(table)["settings"]
    update_derived(study)
    assert read_metadata(table)["settings"] != earlier


def test_conditions_are_compared_in_it_with_a_correction_of_its_own(made: Path) -> None:
    of_study = read_conditions(made).filter(patient_id=STUDY).filter(pl.col("p").is_not_null())
    assert set(of_study["reading"]) == {"raw", "adapted"}
    for _, rows in of_study.group_by("reading"):
        assert len(rows) == 8
        smallest = rows.sort("p").row(0, named=True)
        assert smallest["p_holm"] == pytest.approx(min(1.0, 8 * smallest["p"]))
    assert set(read_trends(made)["reading"]) == {"raw", "corrected", "adapted"}


def test_other_weights_have_no_adapted_reading_and_that_is_told(study: Path) -> None:
    path = timeline_path(study, "P01", "S01")
    metadata = dict(read_metadata(path))
    write_table(path, read_table(path), metadata | {"weights": metadata["weights"] | {"sha256": "1" * 64}})
    (problem,) = update_derived(study)
    assert "for other weights than those of 1 of 24 sessions" in problem
    assert read_sessions(study).filter(~pl.col("adapted")).select("patient_id", "session_id").rows() == [
        ("P01", "S01")
    ]


def test_a_damaged_file_is_told_and_left_out(study: Path) -> None:
    adaptation_path(study).write_text("{}")
    (problem,) = update_derived(study)
    assert "no adaptation, or changed" in problem
    assert set(read_measures(study)["reading"]) == {"raw", "corrected"}


def test_pages_for_carers_keep_their_reading(made: Path, unadapted: Path) -> None:
    for session in ("S01", "S02"):
        found, without = FolderFacts(made).of("P03", session), FolderFacts(unadapted).of("P03", session)
        assert (found.reading, found.still, found.rated) == (without.reading, without.still, without.rated)
        assert (found.good, found.hard, found.unusual) == (without.good, without.hard, without.unusual)


def test_raters_are_held_against_it_too(made: Path) -> None:
    ids = ("P03", "S01")
    samples, reads = MachineCoder(made).reads(ids, read_timeline(timeline_path(made, *ids)))
    raw = read_timeline(timeline_path(made, *ids)).rows["p_sad"].drop_nulls().to_numpy()
    assert samples.probabilities[:, 4] == pytest.approx(raw)
    assert {coder.name for coder in reads} >= {"machine", "machine, adapted", "machine, adapted, episodes"}


def test_the_reading_is_exported(made: Path, tmp_path: Path) -> None:
    assert export(made, "boris", tmp_path / "boris", "adapted")
    assert "adapted" in export(made, "csv", tmp_path / "csv")[0].parent.joinpath("sessions.csv").read_text()


def test_the_methods_tell_of_it(made: Path, study: Path, unadapted: Path) -> None:
    text = " ".join(methods(made))
    for part in (
        "a temperature of 1.00 and an offset for each expression (angry 0.00,",
        "sad −1.20",
        "2 raters to 100 clips of 12 patients",
        "leaving out one patient at a time (12 patients)",
        "from 71 % to 78 % (difference +7.0 percentage points, 95 % interval −1.0 to +15.0)",
        "in the raw and the adapted reading only, because",
    ):
        assert part in text
    assert "Offsets of single patients" not in text
    for patients, part in (
        (["P01", "P02"], "2 patients with enough rated clips (12 each) have offsets of their own on top"),
        ([], "Offsets of single patients were tested too, and are not used, as they did not help"),
    ):
        write_adaptation(adaptation_path(study), make_adaptation(own=make_own_offsets(*patients)))
        text = " ".join(methods(study))
        assert part in text
        assert "of 5 patients, agreement went from 74 % to 79 % (difference +5.0 percentage points" in text
    assert "adapted" not in " ".join(methods(unadapted))
