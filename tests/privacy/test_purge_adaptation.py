"""privacy.shared_outputs: an adaptation goes with the patients whose ratings it was estimated from."""

from pathlib import Path

import pytest
from adaptations import make_adaptation, make_own_offsets
from purging import Process, do_purge

from pipeline.analysis.adaptation import adaptation_path, write_adaptation
from pipeline.privacy.purge import plan_purge
from pipeline.store.audit import LOG_FILE, audited


@pytest.fixture
def study(out: Path, process: Process) -> Path:
    process("P1/S1", "P2/S1", "P3/S1")
    write_adaptation(adaptation_path(out), make_adaptation())
    (out / "agreement").mkdir()
    (out / "agreement" / "adjusted_shares.csv").write_text("condition;of;clips\n")
    return out


def adapted_from(out: Path, *patients: str) -> None:
    with audited(out, "adapt", [(patient, "S1") for patient in patients]):
        pass


def test_it_is_deleted_with_a_patient_whose_ratings_were_used(study: Path) -> None:
    adapted_from(study, "P1", "P2")
    assert plan_purge(study, "P2").again == {
        adaptation_path(study): "adapt",
        study / "agreement" / "adjusted_shares.csv": "adapt",
    }
    do_purge(study, "P2")
    assert not adaptation_path(study).exists()
    assert not (study / "agreement").exists()


def test_it_stays_where_only_others_were_rated(study: Path) -> None:
    adapted_from(study, "P1", "P2")
    do_purge(study, "P3")
    assert adaptation_path(study).exists()
    assert not (study / "agreement" / "adjusted_shares.csv").exists()  # of all recordings


def test_an_earlier_run_counts_because_a_refused_one_leaves_its_file(study: Path) -> None:
    adapted_from(study, "P1", "P2")
    adapted_from(study, "P1", "P3")
    assert adaptation_path(study) in plan_purge(study, "P2").again


def test_another_studys_stays_unless_it_names_the_patient(study: Path) -> None:
    assert adaptation_path(study) not in plan_purge(study, "P1").again
    path = adaptation_path(study)
    write_adaptation(path, make_adaptation(own=make_own_offsets("P1")))
    assert path in plan_purge(study, "P1").again
    assert path not in plan_purge(study, "P2").again


def test_without_a_log_it_is_deleted(study: Path) -> None:
    (study / LOG_FILE).unlink()
    assert adaptation_path(study) in plan_purge(study, "P1").again
