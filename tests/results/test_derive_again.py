"""results.derive: rows of unchanged sessions are kept; the files are those that a full run writes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from multiverses import make_small

from pipeline.analysis import summaries
from pipeline.results.derive import derive, update_derived
from pipeline.store.encryption import is_encrypted, use_key, use_no_key, write_key
from pipeline.store.parquet import read_metadata, to_table, write_table
from pipeline.store.timeline import TIMELINE_SCHEMA, Timeline, read_timeline
from pipeline.study import event_locked
from pipeline.study.event_windows import Recorded


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients of eight sessions, some with music and events; its tables are there."""
    out = make_small(tmp_path_factory.mktemp("study"), patients=3, smiles_with_music=2.0)
    derive(out)
    return out


def timeline(out: Path, patient: str, session: str) -> Path:
    return out / "timelines" / f"patient_id={patient}" / f"{session}.parquet"


def files(out: Path) -> dict[str, bytes]:
    """Every derived file; the stamp holds times of files."""
    found = (path for folder in ("summaries", "episodes") for path in (out / folder).rglob("*.*"))
    return {str(path.relative_to(out)): path.read_bytes() for path in found if path.name != "made.json"}


def _touch_music(out: Path, _: Path) -> None:
    shutil.copyfile(timeline(out, "P02", "S02"), timeline(out, "P02", "S02").with_suffix(".new"))
    timeline(out, "P02", "S02").with_suffix(".new").replace(timeline(out, "P02", "S02"))


def _take_away_rest(out: Path, _: Path) -> None:
    timeline(out, "P02", "S01").unlink()


def _take_away_patient(out: Path, _: Path) -> None:
    shutil.rmtree(timeline(out, "P02", "S01").parent)


def _own_scales(out: Path, _: Path) -> None:
    shipped = Path(summaries.__file__).with_name("scales.toml").read_text(encoding="utf-8")
    (out / "scales.toml").write_text(shipped.replace("window_s = 600", "window_s = 120"), encoding="utf-8")


def _add_event(out: Path, _: Path) -> None:
    with (out / "events.csv").open("a", encoding="utf-8") as file:
        file.write("P02,S05,100,walk\n")


def _nothing(out: Path, _: Path) -> None:
    (out / "events.csv").touch()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "read"),
    [
        (_touch_music, {"P02/S02"}),
        (_take_away_rest, {f"P02/S{n:02}" for n in range(2, 9)}),
        (_take_away_patient, set()),
        (_own_scales, set()),
        (_add_event, set()),
        (_nothing, set()),
    ],
)
def test_only_what_changed_is_computed_and_the_files_are_those_of_all(
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, Path], None],
    read: set[str],
) -> None:
    out = shutil.copytree(study, tmp_path / "kept")
    change(out, study)
    anew = shutil.copytree(out, tmp_path / "anew")
    summarized: set[str] = set()
    compute = summaries._summarize

    def counted(found: Timeline, *rest: object) -> object:
        summarized.add("/".join(found.rows.select("patient_id", "session_id").row(0)))
        return compute(found, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(summaries, "_summarize", counted)
        update_derived(out)
    assert summarized == read
    derive(anew)
    assert files(out) == files(anew)


@pytest.mark.parametrize(
    ("change", "patients"), [(_touch_music, {"P02"}), (_add_event, {"P02"}), (_nothing, set())]
)
def test_only_windows_of_patients_with_changes_are_read(
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, Path], None],
    patients: set[str],
) -> None:
    out = shutil.copytree(study, tmp_path / "kept")
    change(out, study)
    loaded: set[str] = set()
    load = event_locked._load

    def counted(folder: Path, ids: tuple[str, str]) -> Recorded:
        loaded.add(ids[0])
        return load(folder, ids)

    monkeypatch.setattr(event_locked, "_load", counted)
    update_derived(out)
    assert loaded == patients


def test_a_session_that_is_added_is_all_that_is_computed(study: Path, tmp_path: Path) -> None:
    out = shutil.copytree(study, tmp_path / "kept")
    aside = timeline(out, "P03", "S08").rename(tmp_path / "S08.parquet")
    derive(out)
    before = {path: path.stat().st_mtime_ns for path in out.glob("episodes/*/*.parquet")}
    aside.rename(timeline(out, "P03", "S08"))
    update_derived(out)
    assert files(out) == files(study)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_tables_are_encrypted_once_there_is_a_key(study: Path, tmp_path: Path) -> None:
    out = shutil.copytree(study, tmp_path / "kept")
    _touch_music(out, study)
    use_key(write_key(tmp_path / "study.key"))
    try:
        update_derived(out)
        tables = [*out.glob("episodes/*/*.parquet"), *out.glob("summaries/*.parquet")]
        assert [path.name for path in tables if not is_encrypted(path)] == []
    finally:
        use_no_key()


def test_tables_that_were_changed_by_hand_are_made_from_the_timelines(study: Path, tmp_path: Path) -> None:
    out = shutil.copytree(study, tmp_path / "kept")
    wrong = out / "summaries" / "measures.parquet"
    shutil.copyfile(out / "summaries" / "sessions.parquet", wrong)
    _touch_music(out, study)
    update_derived(out)
    assert files(out) == files(study)


@pytest.mark.slow
@pytest.mark.parametrize("session", ["S01", "S02"])
def test_a_timeline_that_is_replaced_while_it_is_read_is_read_again(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: str
) -> None:
    out = shutil.copytree(study, tmp_path / "kept")
    _touch_music(out, study)
    (out / "summaries" / "made.json").unlink()
    compute = summaries._summarize

    def replaced(found: Timeline, *rest: object) -> object:
        if found.rows.select("patient_id", "session_id").row(0) == ("P02", session):
            path = timeline(out, "P02", session)
            rows = read_timeline(path).rows.to_dict(as_series=False)
            rows["p_sad"], rows["p_neutral"] = rows["p_neutral"], rows["p_sad"]
            write_table(path, to_table(TIMELINE_SCHEMA, rows), read_metadata(path))
        return compute(found, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(summaries, "_summarize", replaced)
        update_derived(out)
    anew = shutil.copytree(out, tmp_path / "anew")
    update_derived(out)
    derive(anew)
    assert files(out) == files(anew)


def test_the_stamp_holds_no_number_of_a_face(study: Path) -> None:
    stored = json.loads((study / "summaries" / "made.json").read_text(encoding="utf-8"))
    states = {state for *_, state in stored["sessions"]}
    assert len(states) == 3
    assert all(len(state) == 64 and int(state, 16) for state in states)
