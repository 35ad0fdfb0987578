"""commands: plans of the analysis, and the reporting checklist."""

import re
import shutil
from pathlib import Path

import pytest
from command_line import BAD_INPUT, DONE, INCOMPLETE, Emonext, assert_one_line_naming
from plans import PLAN, frozen
from small_studies import make_small_study

from emonext.weight_files import SHIPPED
from pipeline.commands.plan import _cards
from pipeline.store.audit import read_runs
from pipeline.store.encryption import use_no_key
from pipeline.store.parquet import read_metadata
from pipeline.study.frozen_plans import read_frozen
from pipeline.study.plan_file import read_plan, write_plan


@pytest.fixture
def study(small_study: Path, tmp_path: Path) -> Path:
    """Results of four patients."""
    return shutil.copytree(small_study, tmp_path / "results")


@pytest.fixture
def two_patients(tmp_path: Path) -> Path:
    """Less to be made again."""
    return make_small_study(tmp_path / "results", 2)


def fill_in(out: Path) -> None:
    path = out / "plan.toml"
    path.write_text(path.read_text("utf-8").replace("conditions = []", 'conditions = ["music"]'), "utf-8")


# --- plan


def test_a_plan_is_written_filled_in_frozen_and_amended(emonext: Emonext, tmp_path: Path) -> None:
    out = tmp_path / "a study"
    begun = emonext("study", "plan", out)
    assert begun.code == DONE
    (line,) = begun.out.splitlines()
    command = f"emonext study plan '{out}' --freeze"
    assert line == f"Fill in: {out / 'plan.toml'} (in a new folder). Then freeze it: {command}"
    plan = read_plan(out / "plan.toml")
    assert (plan.weights, plan.weights_sha256, plan.sample_fps) == ("atto", SHIPPED["atto"], 5.0)
    for arguments in ((), ("--freeze",)):
        open_ended = emonext("study", "plan", out, *arguments)
        assert open_ended.code == BAD_INPUT
        assert_one_line_naming(open_ended, 'comparison.conditions: name at least one, such as ["music"]')
    fill_in(out)
    assert "complete, not frozen. Freeze it: emonext study plan" in emonext("study", "plan", out).out
    done = emonext("study", "plan", out, "--freeze")
    assert done.code == DONE
    assert re.match(
        r"Plan 1: frozen \S+ \S+ UTC, no session had results; sha256 [0-9a-f]{64}\. Keep", done.out
    )
    assert f"{out / 'plan.toml'}: as frozen. Plan 1: frozen" in emonext("study", "plan", out).out
    write_plan(out, PLAN)
    assert (
        "differs from plan 1, which is frozen. Amend the plan: emonext" in emonext("study", "plan", out).out
    )
    assert emonext("study", "plan", out, "--freeze").out.startswith("Plan 2: frozen")
    shown = emonext("audit", "show", out).out
    assert all(word in shown for word in ("plan 1", "plan 2", "done"))
    assert emonext("audit", "verify", out).code == DONE
    (out / "plan.toml").unlink()
    emonext("study", "plan", out)
    assert read_plan(out / "plan.toml") == PLAN, "the last plan comes back, not the defaults"


def test_a_list_fills_a_new_plan(emonext: Emonext, tmp_path: Path) -> None:
    folder, out = tmp_path / "recordings", tmp_path / "out"
    folder.mkdir()
    rows = ("P1,S1,a.mp4,music,yes", "P1,S2,b.mp4,baseline,yes", "P2,S1,c.mp4,garden,yes", "P2,S2,d.mp4,,yes")
    (folder / "sessions.csv").write_text(
        "\n".join(["patient_id,session_id,video,condition,consent", *rows]), "utf-8"
    )
    (folder / "study.toml").write_text("sample_fps = 10\n", "utf-8")
    assert emonext("study", "plan", out, "--sessions", folder).code == DONE
    plan = read_plan(out / "plan.toml")
    assert (plan.conditions, plan.sample_fps) == (("garden", "music"), 10.0)
    again = emonext("study", "plan", out, "--sessions", folder)
    assert_one_line_naming(again, "--sessions: only valid with a new plan; leave the option out.")
    (out / "plan.toml").unlink()
    assert emonext("study", "plan", out, "--sessions", folder / "sessions.csv").code == DONE
    empty = emonext("study", "plan", tmp_path / "new", "--sessions", out)
    assert empty.code == BAD_INPUT
    assert_one_line_naming(empty, "no list of sessions in this folder; give a list, or its folder.")
    assert not (tmp_path / "new").exists()


def test_recordings_are_no_place_for_a_plan(emonext: Emonext, video: Path) -> None:
    ended = emonext("study", "plan", video.parent)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "holds recordings; give the --out folder")
    assert not (video.parent / "plan.toml").exists()


def test_a_plan_after_results_says_so(emonext: Emonext, study: Path) -> None:
    emonext("study", "plan", study)
    fill_in(study)
    ended = emonext("study", "plan", study, "--freeze")
    assert "planned after 32 sessions had results" in ended.out
    assert ended.out.splitlines()[-1].endswith(f"emonext summarize {study}")


def test_a_process_run_comes_after_the_plan(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    out = frozen_out(tmp_path)
    assert emonext("process", video, "--out", out, *model).code in (DONE, INCOMPLETE)
    found = read_frozen(out)
    assert found.faults == ()
    assert found.before_results == PLAN
    assert "Planned and not planned" in (out / "reports" / "study.html").read_text("utf-8")
    write_plan(out, PLAN.__class__(conditions=("garden",)))
    assert "planned after 1 session had results" in emonext("study", "plan", out, "--freeze").out


def frozen_out(tmp_path: Path) -> Path:
    frozen(tmp_path / "out")
    return tmp_path / "out"


def test_a_plan_in_an_encrypted_folder_needs_no_key(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    out, key = frozen_out(tmp_path), tmp_path / "study.key"
    assert emonext("key", key).code == DONE
    assert emonext("process", video, "--out", out, "--encrypt", key, *model).code in (DONE, INCOMPLETE)
    use_no_key()
    assert "as frozen" in emonext("study", "plan", out).out
    locked = emonext("study", "checklist", out)
    assert locked.code == BAD_INPUT
    assert_one_line_naming(locked, "is encrypted; give its key with --key KEYFILE")
    assert emonext("study", "checklist", out, "--key", key).code == DONE
    use_no_key()
    assert "tables encrypted" in (out / "summaries" / "checklist.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [("copy", "the copy of plan 1 was changed"), ("log", "the audit log was changed"), ("gone", "is lost")],
)
def test_tampering_is_told(emonext: Emonext, tmp_path: Path, damage: str, message: str) -> None:
    out = frozen_out(tmp_path)
    path = out / ("audit.jsonl" if damage == "log" else "plans/1.toml")
    if damage == "gone":
        path.unlink()
    else:
        path.write_text(
            path.read_text("utf-8").replace('"baseline"', '"rest"').replace("done", "dine"), "utf-8"
        )
    ended = emonext("study", "plan", out)
    assert message in ended.err


# --- summarize


def test_summarize_takes_the_plan_s_settings_and_tells_what_differs(
    emonext: Emonext, two_patients: Path
) -> None:
    study = two_patients
    frozen(study, min_coverage=0.3)
    as_planned = emonext("summarize", study)
    assert as_planned.code == DONE
    assert as_planned.err == ""
    settings = read_metadata(study / "summaries" / "sessions.parquet")["settings"]
    assert settings["min_coverage"] == 0.3
    other = emonext("summarize", study, "--min-coverage", 0.2, "--min-duration", 2)
    assert other.code == DONE
    assert other.err_lines == [
        "Note: not as planned: min_coverage 0.2 instead of 0.3.",
        "Note: not as planned: episodes.min_duration_s 2 instead of 1.",
    ]


# --- checklist


def test_a_checklist_is_written_and_counted(emonext: Emonext, study: Path) -> None:
    ended = emonext("study", "checklist", study)
    assert ended.code == DONE
    (line,) = ended.out.splitlines()
    page = study / "summaries" / "checklist.html"
    assert re.fullmatch(rf"\d+ of 37 items filled in; \d+ for the authors\. {re.escape(str(page))}", line)
    assert (study / "summaries" / "checklist.md").exists()
    assert read_runs(study)[-1].command == "checklist"


def test_only_the_card_of_the_very_weights_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    used = {SHIPPED["atto"]: "atto", "0" * 64: "atto", "1" * 64: "nowhere"}
    monkeypatch.setattr("pipeline.results.checklist_facts.used_weights", lambda out: used)
    cards = _cards(tmp_path)
    assert cards.keys() == {SHIPPED["atto"]}
    assert "FER2013" in cards[SHIPPED["atto"]].data
    assert cards[SHIPPED["atto"]].metrics


def test_an_empty_folder_has_no_checklist_and_a_planned_one_neither(emonext: Emonext, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", frozen_out(tmp_path)):
        ended = emonext("study", "checklist", out)
        assert ended.code == BAD_INPUT
        assert_one_line_naming(ended, "emonext process")
        assert not (out / "summaries").exists()


# --- purge


def test_a_purge_finds_a_patient_in_a_plan_and_leaves_the_plan(
    emonext: Emonext, two_patients: Path, tmp_path: Path
) -> None:
    study = two_patients
    frozen(study, hypothesis="P01 will smile more.")
    emonext("study", "checklist", study)
    copy = (study / "plans" / "1.toml").read_bytes()
    ended = emonext("purge", study, "--patient", "P01", "--yes")
    assert ended.code == INCOMPLETE
    named = [line.removeprefix("Still mentions P01: ") for line in ended.err_lines]
    assert {str(study / "plan.toml"), str(study / "plans" / "1.toml")} <= set(named)
    assert (study / "plans" / "1.toml").read_bytes() == copy
    assert read_frozen(study).faults == ()
    assert f"{study / 'summaries' / 'checklist.md'}: will be deleted; `emonext study checklist`" in ended.out
    assert not (study / "summaries" / "checklist.html").exists()


def test_a_plan_that_names_nobody_is_no_mention(emonext: Emonext, two_patients: Path) -> None:
    frozen(two_patients)
    emonext("study", "checklist", two_patients)
    assert "nothing of P99 in this folder" in emonext("purge", two_patients, "--patient", "P99", "--yes").err
    assert (two_patients / "summaries" / "checklist.md").exists()
    ended = emonext("purge", two_patients, "--patient", "P01", "--yes")
    assert ended.code == DONE, ended.err
    assert read_frozen(two_patients).faults == ()
    assert len(read_frozen(two_patients).plans) == 1
    shutil.rmtree(two_patients)
