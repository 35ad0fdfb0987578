"""processing.batch: the results folder, its status, and errors that are not due to a video."""

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from batches import Sessions, partial_files, process, states

from pipeline.errors import InputError, OutputError
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.store.lock import is_held
from pipeline.store.status import is_damaged, overview, read_status
from pipeline.store.timeline import read_timeline

# --- the folder


def test_everything_is_its_owner_s(recordings: Sessions, out: Path, fake_networks: Networks) -> None:
    process(recordings[:1], out, Settings(), fake_networks)
    modes = {path.relative_to(out).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*")}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {mode for path, mode in modes.items() if (out / path).is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if (out / path).is_file()} == {0o600}
    assert set(modes) >= {
        "timelines/patient_id=P1/S1.parquet",
        "faces/patient_id=P1/S1.parquet",
        "status.parquet",
        "logs/P1/S1.log",
    }


def never(images):
    raise AssertionError("work was begun")


@pytest.mark.parametrize("kind", ["a file", "below a file", "below /proc"])
def test_a_folder_that_can_t_be_written_to_is_refused_before_any_work(
    recordings: list[Session], tmp_path: Path, fake_networks: Networks, kind: str
) -> None:
    (tmp_path / "file").touch()
    out = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file" / "out",
        "below /proc": Path("/proc/out"),
    }[kind]
    with pytest.raises(OutputError, match="`out`"):
        process(recordings, out, Settings(), replace(fake_networks, detect=never))


@pytest.mark.parametrize("part", ["reports", "reports/second", "timelines/patient_id=P1"])
def test_a_part_of_other_results_is_refused_before_any_work(
    recordings: Sessions, out: Path, fake_networks: Networks, part: str
) -> None:
    process(recordings[:1], out, Settings(), fake_networks)
    with pytest.raises(InputError, match="is a part of the results in"):
        process(recordings[1:], out / part, Settings(), replace(fake_networks, detect=never))
    process(recordings[1:], out / "second", Settings(), fake_networks)


def test_a_file_where_a_timeline_s_folder_should_be_fails_by_name(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    out.mkdir()
    (out / "timelines").touch()
    (outcome,) = process(recordings[:1], out, Settings(), fake_networks)
    assert outcome.state == "failed"
    assert "timelines" in outcome.reason
    assert "unexpected" not in outcome.reason
    assert not partial_files(out)


@pytest.mark.parametrize("damage", ["damaged", ""])
def test_a_damaged_status_is_written_again_from_the_timelines(
    recordings: Sessions, out: Path, fake_networks: Networks, damage: str
) -> None:
    process(recordings, out, Settings(), fake_networks)
    before = read_status(out)
    (out / "status.parquet").write_text(damage)
    told = ["patient_id", "session_id", "state", "coverage", "seconds_lost", "video_s", "fingerprint"]
    assert read_status(out).select(told).equals(before.select(told))
    outcomes = process(recordings, out, Settings(), replace(fake_networks, detect=never))
    assert [outcome.state for outcome in outcomes] == ["skipped"] * 3
    known = [*told, "videos", "video_stamp", "video_sha256"]
    assert pl.read_parquet(out / "status.parquet").select(known).equals(before.select(known))


@pytest.mark.parametrize("reasons", [None, "", "no face was found", '[{"code": "of tomorrow"}]'])
def test_a_status_with_reasons_of_another_version_is_read_from_the_timelines(
    recordings: Sessions, out: Path, fake_networks: Networks, reasons: str | None
) -> None:
    process(recordings[:1], out, Settings(), fake_networks)
    stored = pl.read_parquet(out / "status.parquet")
    other = stored.drop("reasons") if reasons is None else stored.with_columns(reasons=pl.lit(reasons))
    other.write_parquet(out / "status.parquet")
    assert is_damaged(out)
    assert states(out) == {"S1": "done"}


def test_a_damaged_status_of_no_session_is_written_again(out: Path, fake_networks: Networks) -> None:
    out.mkdir()
    (out / "status.parquet").write_text("damaged")
    assert process([], out, Settings(), fake_networks) == []
    assert pl.read_parquet(out / "status.parquet").is_empty()


def test_no_thread_holds_the_status_when_python_ends(
    recordings: Sessions, out: Path, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a thread aborts a run that is done: once in 20 times, with exit code 134."""
    process(recordings[:1], out, Settings(), fake_networks)
    given: list[dict[str, object]] = []
    read_table = pq.read_table

    def read(source: object, **options: object) -> object:
        given.append(options)
        return read_table(source, **options)

    monkeypatch.setattr(pq, "read_table", read)
    assert read_status(out).height == 1
    assert given == [{"use_threads": False}]


def test_a_lost_status_of_a_damaged_timeline_waits_for_the_next_run(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    process(recordings[:1], out, Settings(), fake_networks)
    recordings[0].timeline_path(out).write_text("damaged")
    (out / "status.parquet").unlink()
    assert states(out) == {"S1": "waiting"}
    (outcome,) = process(recordings[:1], out, Settings(), fake_networks)
    assert outcome.state == "done"


# --- how they stand


def test_while_a_run_is_at_work_its_status_says_so(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    seen: dict[str, dict[str, str]] = {}

    def look(session: Session, done: int, total: int) -> None:
        seen.setdefault(session.session_id, states(out))
        assert is_held(out)

    engine = in_this_process(fake_networks)
    process_sessions(recordings, out, Settings(), engine, "0" * 64, on_session=look)
    assert seen["S1"] == {"S1": "running", "S2": "waiting", "S3": "waiting"}
    assert seen["S3"] == {"S1": "done", "S2": "done", "S3": "running"}
    assert not is_held(out)
    assert states(out) == dict.fromkeys(("S1", "S2", "S3"), "done")


def test_a_run_that_was_killed_shows_and_is_done_again(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    engine = in_this_process(fake_networks)
    process_sessions(recordings, out, Settings(), engine, "0" * 64)
    changed = Settings(sample_fps=2)

    def die(session: Session, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process_sessions(recordings, out, changed, engine, "0" * 64, on_session=die)
    assert overview(out, running=False)["state"].to_list() == ["interrupted", "waiting", "waiting"]
    outcomes = process_sessions(recordings, out, changed, engine, "0" * 64)
    assert [outcome.state for outcome in outcomes] == ["done"] * 3
    for session in recordings:
        assert read_timeline(session.timeline_path(out)).metadata["settings"]["sample_fps"] == 2


# --- what is not the video's fault


def test_a_video_that_was_away_for_a_while_is_tried_again(
    recordings: Sessions, out: Path, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.processing.stages.STRETCH_S", 0.4)
    video, away = recordings[0].video, recordings[0].video.with_name("away")
    engine = in_this_process(fake_networks)

    def take_away(session: Session, done: int, total: int) -> None:
        if video.exists():
            os.utime(video, ns=(1, 1))
            video.rename(away)

    (outcome,) = process_sessions(
        recordings[:1], out, Settings(), engine, "0" * 64, on_session=take_away, overwrite=True
    )
    assert (outcome.state, outcome.lasting) == ("failed", False)
    assert "not found" in outcome.reason or "No such file" in outcome.reason
    away.rename(video)
    (outcome,) = process_sessions(recordings[:1], out, Settings(), engine, "0" * 64)
    assert outcome.state == "done"


def test_a_disk_that_is_full_fails_with_its_reason_and_leaves_nothing_half_written(
    recordings: Sessions, out: Path, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = in_this_process(fake_networks)

    def full(table: object, where: Path, **options: object) -> None:
        Path(where).write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.store.timeline.pq.write_table", full)
        outcomes = process_sessions(recordings, out, Settings(), engine, "0" * 64)
    assert {outcome.state for outcome in outcomes} == {"failed"}
    assert all("No space left on device" in outcome.reason for outcome in outcomes)
    assert not any(outcome.lasting for outcome in outcomes)
    assert not partial_files(out)
    outcomes = process_sessions(recordings, out, Settings(), engine, "0" * 64)
    assert {outcome.state for outcome in outcomes} == {"done"}
