"""processing: which videos are read to learn whether they changed, where, and how often."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from batches import Sessions, process

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import Engine, Job, OnSession, in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.store.status import Outcome, read_outcomes
from pipeline.store.timeline import read_timeline
from pipeline.video import file_content


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read whole, in order."""
    found: list[str] = []
    read = file_content.sha256_of

    def counted(path: Path, on_read: Callable[[], object] = lambda: None) -> str:
        found.append(path.name)
        return read(path, on_read)

    monkeypatch.setattr(file_content, "sha256_of", counted)
    return found


def engine_after(check: Callable[[], object], networks: Networks) -> Engine:
    """An engine that checks something before the first session."""

    def run(jobs: Sequence[Job], on_session: OnSession) -> Iterator[Outcome]:
        check()
        yield from in_this_process(networks)(jobs, on_session)

    return run


def sha256(video: Path) -> str:
    return hashlib.sha256(video.read_bytes()).hexdigest()


def stored(out: Path, session: Session) -> str:
    (file,) = read_timeline(session.timeline_path(out)).metadata["video"]["files"]
    return str(file["sha256"])


def with_box(video: Path, letters: bytes) -> None:
    """The video with a box at its end that players skip; with the same time as before."""
    before = video.stat()
    video.write_bytes(video.read_bytes().partition(b"\0\0\0\x10free")[0] + b"\0\0\0\x10free" + letters)
    os.utime(video, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_new_videos_are_read_once_by_the_workers(
    recordings: Sessions, out: Path, fake_networks: Networks, hashed: list[str]
) -> None:
    before: list[str] = []
    engine = engine_after(lambda: before.extend(hashed), fake_networks)
    process_sessions(recordings, out, Settings(), engine, "0" * 64)
    assert before == []
    assert hashed == [session.video.name for session in recordings]
    rows = read_outcomes(out)
    for session in recordings:
        assert rows[session.ids].video_sha256 == stored(out, session) == sha256(session.video)


def test_an_interrupted_run_reads_only_what_it_processes(
    recordings: Sessions, out: Path, fake_networks: Networks, hashed: list[str]
) -> None:
    def stop(session: Session, done: int, total: int) -> None:
        if session is recordings[1]:
            raise KeyboardInterrupt

    engine = in_this_process(fake_networks)
    with pytest.raises(KeyboardInterrupt):
        process_sessions(recordings, out, Settings(), engine, "0" * 64, on_session=stop)
    hashed.clear()
    before: list[str] = []
    outcomes = process_sessions(
        recordings, out, Settings(), engine_after(lambda: before.extend(hashed), fake_networks), "0" * 64
    )
    assert [outcome.state for outcome in outcomes] == ["skipped", "done", "done"]
    assert before == []
    assert hashed == ["P1_S2.mp4", "P1_S3.mp4"]


def test_other_bytes_with_the_same_size_and_time_are_processed_again(
    recordings: Sessions, out: Path, fake_networks: Networks, hashed: list[str]
) -> None:
    first = recordings[0]
    with_box(first.video, b"AAAAAAAA")
    process(recordings, out, Settings(), fake_networks)
    before = first.video.stat()
    with_box(first.video, b"BBBBBBBB")
    now = first.video.stat()
    assert (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    hashed.clear()
    outcomes = process(recordings, out, Settings(), fake_networks)
    assert [outcome.state for outcome in outcomes] == ["done", "skipped", "skipped"]
    assert hashed == [first.video.name]
    assert stored(out, first) == sha256(first.video)


def test_a_copy_with_another_time_is_read_and_not_processed(
    recordings: Sessions, out: Path, fake_networks: Networks, hashed: list[str]
) -> None:
    process(recordings, out, Settings(), fake_networks)
    os.utime(recordings[1].video, ns=(1, 1))
    hashed.clear()
    for read in (["P1_S2.mp4"], []):
        outcomes = process(recordings, out, Settings(), replace(fake_networks, detect=None))  # type: ignore[arg-type]
        assert [outcome.state for outcome in outcomes] == ["skipped"] * 3
        assert hashed == read
        hashed.clear()


def test_a_video_that_is_replaced_while_it_is_read_is_told_and_read_again(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    first = recordings[0]

    def swap(session: Session, done: int, total: int) -> None:
        with_box(first.video, b"BBBBBBBB")

    with_box(first.video, b"AAAAAAAA")
    engine = in_this_process(fake_networks)
    (outcome,) = process_sessions([first], out, Settings(), engine, "0" * 64, on_session=swap)
    assert (outcome.state, outcome.lasting) == ("failed", False)
    assert outcome.reason == "was changed while it was read; the next run reads it again."
    assert not first.timeline_path(out).exists()
    (outcome,) = process([first], out, Settings(), fake_networks)
    assert outcome.state == "done"
    assert stored(out, first) == sha256(first.video)


def test_without_consent_no_byte_is_read(
    recordings: Sessions,
    out: Path,
    fake_networks: Networks,
    hashed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stamped: list[str] = []
    take = file_content._stamp
    monkeypatch.setattr(file_content, "_stamp", lambda video: stamped.append(video.name) or take(video))
    sessions = [replace(recordings[0], consent=False), recordings[1]]
    process(sessions, out, Settings(), fake_networks)
    assert set(hashed) == set(stamped) == {"P1_S2.mp4"}
    assert read_outcomes(out)[sessions[0].ids].video_stamp == ""
