"""study.frozen_plans: plans in the audit log."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from plans import PLAN, frozen

from pipeline.errors import InputError
from pipeline.store.audit import HEAD_FILE, LOG_FILE, audited, forget, read_runs, verify
from pipeline.store.paths import timeline_path
from pipeline.study.frozen_plans import Fault, FrozenPlans, freeze, read_frozen, sessions_with_results
from pipeline.study.plan_file import read_plan, write_plan


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_folder_without_a_plan_has_none(out: Path) -> None:
    assert read_frozen(out) == FrozenPlans()
    out.mkdir()
    assert read_frozen(out) == FrozenPlans()
    with audited(out, "report", ()):  # as of an earlier version
        pass
    assert read_frozen(out) == FrozenPlans()
    assert sessions_with_results(out) == 0
    write_plan(out, PLAN)  # a plan that is not frozen is none
    assert read_frozen(out) == FrozenPlans()


def test_without_a_file_there_is_nothing_to_freeze(out: Path) -> None:
    out.mkdir()
    with pytest.raises(InputError, match="no plan; run `emonext study plan"):
        freeze(out)
    assert not (out / LOG_FILE).exists()


def test_a_frozen_plan_is_in_the_log_with_its_hash(out: Path) -> None:
    one = frozen(out)
    assert (one.number, one.sessions, one.plan) == (1, 0, PLAN)
    copy = (out / "plans" / "1.toml").read_bytes()
    assert hashlib.sha256(copy).hexdigest() == one.sha256
    entry = json.loads((out / LOG_FILE).read_text("utf-8").splitlines()[0])
    assert entry["options"] == {"plan": 1, "sha256": one.sha256, "sessions_with_results": 0}
    assert verify(out).faults == ()
    found = read_frozen(out)
    assert (found.last, found.before_results, found.faults, found.is_edited) == (PLAN, PLAN, (), False)


def test_the_same_plan_is_not_frozen_twice(out: Path) -> None:
    frozen(out)
    with pytest.raises(InputError, match="the same as plan 1"):
        frozen(out)
    assert len(read_frozen(out).plans) == 1


def test_edits_are_noticed_and_freezing_them_is_an_amendment(out: Path) -> None:
    frozen(out)
    path = write_plan(out, PLAN)
    path.write_text(path.read_text("utf-8") + "# a comment is no edit\n", "utf-8")
    assert not read_frozen(out).is_edited
    path.write_text(path.read_text("utf-8").replace("0.2", "0.25"), "utf-8")
    assert read_frozen(out).is_edited
    assert read_frozen(out).last == PLAN
    assert freeze(out).number == 2
    found = read_frozen(out)
    assert [one.plan.min_coverage for one in found.plans if one.plan] == [0.2, 0.25]
    assert not found.is_edited
    assert read_plan(out / "plans" / "1.toml") == PLAN
    path.write_text("no plan", "utf-8")
    assert read_frozen(out).is_edited
    path.unlink()
    assert not read_frozen(out).is_edited


@pytest.mark.parametrize("change", [lambda text: text.replace("music", "garden"), lambda text: text + "\n"])
def test_a_changed_copy_is_a_fault(out: Path, change: object) -> None:
    frozen(out)
    path = out / "plans" / "1.toml"
    path.write_text(change(path.read_text("utf-8")), "utf-8")  # type: ignore[operator]
    found = read_frozen(out)
    assert found.faults == (Fault("plan_changed", 1),)
    assert (found.last, found.before_results) == (None, None)


def test_a_lost_copy_is_a_fault(out: Path) -> None:
    frozen(out)
    shutil.rmtree(out / "plans")
    assert read_frozen(out).faults == (Fault("plan_lost", 1),)


def test_a_changed_log_is_a_fault(out: Path) -> None:
    frozen(out)
    with audited(out, "report", ()):
        pass
    path = out / LOG_FILE
    path.write_text(
        path.read_text("utf-8").replace('"sessions_with_results": 0', '"sessions_with_results":  0')
    )
    found = read_frozen(out)
    assert found.faults == (Fault("log_changed"),)
    assert found.before_results is None


def test_a_lost_log_is_a_fault(out: Path) -> None:
    frozen(out)
    (out / LOG_FILE).unlink()
    (out / HEAD_FILE).unlink()
    assert read_frozen(out) == FrozenPlans(faults=(Fault("log_lost"),))


def test_a_log_without_the_plan_s_entries_is_a_fault(out: Path) -> None:
    frozen(out)
    path = out / LOG_FILE
    path.write_text(path.read_text("utf-8").replace("done", "died"), "utf-8")
    assert read_frozen(out).faults == (Fault("log_changed"), Fault("plan_unlogged", 1))
    shutil.rmtree(out / "plans")
    assert read_frozen(out).faults == (Fault("log_changed"),), "who knows what was there"
    path.unlink()
    assert read_frozen(out).faults == (Fault("log_lost"),)


def test_options_of_another_form_are_no_plan(out: Path) -> None:
    out.mkdir()
    with audited(out, "plan", (), {"plan": "1", "sha256": 3}):
        pass
    assert read_frozen(out) == FrozenPlans()


def test_a_freeze_that_was_cut_off_froze_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.study.frozen_plans.atomic", fail)
        with pytest.raises(KeyboardInterrupt):
            frozen(out)
    assert read_frozen(out) == FrozenPlans()
    (out / "plans").mkdir()
    (out / "plans" / "1.toml").write_text("cut off later", "utf-8")
    assert read_frozen(out).faults == (Fault("plan_unlogged", 1),)
    assert frozen(out).number == 1
    assert read_frozen(out).faults == ()
    assert [run.how for run in read_runs(out)] == ["KeyboardInterrupt", "done"]


# --- how many sessions had results


def test_sessions_with_a_timeline_had_results(small_study: Path, out: Path) -> None:
    shutil.copytree(small_study, out, dirs_exist_ok=True)
    assert frozen(out).sessions == 32
    found = read_frozen(out)
    assert found.last == PLAN
    assert found.before_results is None


def run(out: Path, **states: str) -> None:
    ids = {("P1", session): state for session, state in states.items()}
    with audited(out, "process", ids) as ending:
        ending.states |= ids


def test_deleted_and_purged_results_were_results(out: Path) -> None:
    out.mkdir()
    run(out, S1="done", S2="failed", S3="to_check")
    assert sessions_with_results(out) == 2
    run(out, S1="skipped", S3="skipped", S4="partial")
    assert sessions_with_results(out) == 3
    forget(out, "P1")  # what a purge does: the entries have no ids any more
    assert sessions_with_results(out) == 3
    assert frozen(out).sessions == 3
    assert read_frozen(out).before_results is None


def test_failed_sessions_and_those_without_consent_had_none(out: Path) -> None:
    out.mkdir()
    run(out, S1="failed", S2="no_consent")
    assert frozen(out).sessions == 0


def test_a_plan_before_results_stays_the_measure_of_what_was_planned(small_study: Path, out: Path) -> None:
    frozen(out)
    frozen(out, conditions=("garden",))
    shutil.copytree(small_study, out, dirs_exist_ok=True)
    frozen(out, conditions=("garden", "music"))
    found = read_frozen(out)
    assert [one.sessions for one in found.plans] == [0, 0, 32]
    assert found.before_results is not None
    assert found.before_results.conditions == ("garden",)
    assert found.last is not None
    assert found.last.conditions == ("garden", "music")
    timeline_path(out, "P01", "S01").unlink()
    assert sessions_with_results(out) == 31
