"""processing.workers: a video that breaks its process fails only its own session."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pyarrow.parquet as pq
import pytest
from fakes import FAKE_WEIGHTS
from videos import encode, with_faces
from worker_parts import CRASH, HANG, OUT_OF_MEMORY, RAISE, make_networks, make_none, make_slow

from pipeline.errors import VideoError
from pipeline.processing import workers
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Session, Settings
from pipeline.processing.workers import Workers, _work, default_jobs, usable_cores
from pipeline.store.status import Outcome, read_status

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make_session(tmp_path: Path) -> Callable[..., Session]:
    def make(name: str, asked: int = 0, seconds: int = 2) -> Session:
        pictures = [with_faces([(40 + n, 60)]) for n in range(10 * seconds)]
        for picture in pictures:
            picture[-16:, -16:] = asked
        return Session("P1", name, encode(tmp_path / f"P1_{name}.mp4", pictures, rate=10))

    return make


def working() -> list[int]:
    """The workers that are left; Python keeps a process of its own that counts what they share."""
    return [child.pid for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def run(sessions: list[Session], out: Path, **options: float) -> list[Outcome]:
    engine = Workers(make_networks, **options)  # type: ignore[arg-type]
    return process_sessions(sessions, out, Settings(), engine, "0" * 64)


@pytest.mark.slow
def test_each_session_that_kills_its_process_fails_alone(
    make_session: Callable[..., Session], tmp_path: Path
) -> None:
    sessions = [
        make_session("S1"),
        make_session("S2", CRASH),
        make_session("S3", HANG),
        make_session("S4", OUT_OF_MEMORY),
        make_session("S5", RAISE),
        make_session("S6"),
    ]
    outcomes = run(sessions, tmp_path / "out", count=2, stall_s=20.0)
    assert [o.state for o in outcomes] == ["done", "failed", "failed", "failed", "failed", "done"]
    reasons = [o.reason for o in outcomes[1:5]]
    told = ("SIGSEGV", "no progress for 20 s", "memory", "ValueError")
    assert all(word in reason for word, reason in zip(told, reasons, strict=True)), reasons
    assert read_status(tmp_path / "out")["state"].to_list() == [o.state for o in outcomes]
    for name, reason in zip(("S2", "S3", "S4"), reasons[:3], strict=True):
        assert reason in (tmp_path / "out" / "logs" / "P1" / f"{name}.log").read_text()
    assert not working()


def test_workers_and_this_process_agree(make_session: Callable[..., Session], tmp_path: Path) -> None:
    sessions = [make_session("S1"), make_session("S2", seconds=3)]
    run(sessions, tmp_path / "workers", count=2)
    process_sessions(
        sessions, tmp_path / "here", Settings(), in_this_process(make_networks()), FAKE_WEIGHTS["sha256"]
    )
    for session in sessions:
        one, other = (pq.read_table(session.timeline_path(tmp_path / out)) for out in ("workers", "here"))
        assert one.equals(other)


def test_progress_and_order_are_told(make_session: Callable[..., Session], tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    sessions = [make_session("S1"), make_session("S2")]
    outcomes = process_sessions(
        sessions,
        tmp_path / "out",
        Settings(),
        Workers(make_networks),
        "0" * 64,
        on_session=lambda session, done, total: calls.append((session.session_id, done, total)),
    )
    assert calls == [(name, done, 10) for name in ("S1", "S2") for done in range(1, 11)]
    assert [o.session_id for o in outcomes] == ["S1", "S2"]


def test_networks_that_can_t_be_had_end_the_run(make_session: Callable[..., Session], tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no GPU here"):
        process_sessions([make_session("S1")], tmp_path / "out", Settings(), Workers(make_none), "0" * 64)
    assert not working()


@pytest.mark.slow
def test_a_crash_is_tried_again_and_a_bad_video_is_not(
    make_session: Callable[..., Session], tmp_path: Path
) -> None:
    crashes, bad = make_session("S1", CRASH), make_session("S2")
    bad.video.write_text("no video")
    first = run([crashes, bad], tmp_path / "out")
    assert [o.state for o in first] == ["failed", "failed"]
    time.sleep(1.1)  # times are kept in whole seconds
    again = run([crashes, bad], tmp_path / "out")
    assert [o.state for o in again] == ["failed", "failed"]
    assert again[0].finished_at > first[0].finished_at
    assert again[1] == first[1]
    make_session("S2")
    assert [o.state for o in run([crashes, bad], tmp_path / "out")] == ["failed", "done"]


def test_there_is_always_room_for_one_session() -> None:
    assert default_jobs() >= 1


@pytest.mark.parametrize(
    ("answer", "device", "jobs"),
    [
        ("echo 81559", "auto", 8),
        ("echo 7900", "cuda", 3),
        ("echo 7900", "cpu", 43),
        ("echo 900", "auto", 1),
        ("echo no devices were found; exit 6", "auto", 43),
        ("exit 9", "auto", 43),
    ],
)
def test_a_gpu_is_shared_as_its_memory_allows(
    answer: str, device: str, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n{answer}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    monkeypatch.setattr(workers, "usable_cores", lambda: 64)
    memory = SimpleNamespace(available=256 * 2**30)
    monkeypatch.setattr(workers.psutil, "virtual_memory", lambda: memory)
    assert default_jobs(device) == jobs
    assert (tmp_path / "asked").exists() == (device != "cpu")
    if device != "cpu":
        assert "--id=2 " in (tmp_path / "asked").read_text()


# --- kill -9

RUN = """
import sys
from functools import partial
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
if __name__ == "__main__":
    import pipeline.processing.session
    from pipeline.processing.batch import process_sessions
    from pipeline.processing.session import Session, Settings
    from pipeline.processing.workers import Workers
    from worker_parts import make_slow
    sessions = [Session("P1", path.stem, path) for path in sorted(Path(sys.argv[4]).glob("*.mp4"))]
    process_sessions(sessions, Path(sys.argv[3]), Settings(), Workers(make_slow), "0" * 64)
"""


@pytest.mark.parametrize("whom", ["the group", "the parent"])
@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_to_the_same_result(tmp_path: Path, whom: str) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("S1", "S2"):
        pictures = [with_faces([(2 * n, 60)]) for n in range(60)]
        encode(videos / f"{name}.mp4", pictures, rate=10)
    sessions = [Session("P1", path.stem, path) for path in sorted(videos.glob("*.mp4"))]
    start = partial(
        subprocess.Popen,
        [
            sys.executable,
            "-c",
            RUN,
            str(ROOT),
            str(ROOT / "tests" / "support"),
            str(tmp_path / "cut"),
            str(videos),
        ],
        start_new_session=True,
    )
    for after_s in (1.5, 3.0):
        process = start()
        time.sleep(after_s)
        below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        if whom == "the group":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        assert not psutil.wait_procs(below, timeout=20)[1]  # nobody works on without whom to tell
        for path in (tmp_path / "cut").rglob("*.parquet"):
            pq.read_table(path)  # what exists is whole
    assert start().wait(60) == 0
    assert read_status(tmp_path / "cut")["state"].to_list() == ["done", "done"]
    process_sessions(
        sessions, tmp_path / "whole", Settings(), in_this_process(make_slow()), FAKE_WEIGHTS["sha256"]
    )
    for session in sessions:
        one, other = (pq.read_table(session.timeline_path(tmp_path / out)) for out in ("cut", "whole"))
        assert one.equals(other)
    assert not (tmp_path / "cut" / ".unfinished").exists()
    assert not list((tmp_path / "cut").rglob("*.partial"))


HANG_LATER = """
import sys
from pathlib import Path
if __name__ == "__main__":
    from pipeline.processing.batch import process_sessions
    from pipeline.processing.session import Session, Settings
    from pipeline.processing.workers import Workers
    from worker_parts import make_networks
    sessions, tell = [Session("P1", "S1", Path(sys.argv[1]))], lambda *_: print("progress", flush=True)
    engine = Workers(make_networks)
    process_sessions(sessions, Path(sys.argv[2]), Settings(), engine, "0" * 64, on_session=tell)
"""


@pytest.mark.slow
def test_a_decoder_that_hangs_dies_with_the_run(tmp_path: Path) -> None:
    pictures = [with_faces([(40, 60)]) for _ in range(200)]
    for picture in pictures[100:]:
        picture[-16:, -16:] = HANG
    video = encode(tmp_path / "P1_S1.mp4", pictures, rate=10)
    process = subprocess.Popen(
        [sys.executable, "-c", HANG_LATER, str(video), str(tmp_path / "out")],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "progress\n"
    time.sleep(2.0)
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert not psutil.wait_procs(below, timeout=20)[1]


def test_cores_are_counted_where_the_system_does_not_say_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(psutil.Process, "cpu_affinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_a_worker_works_where_there_is_no_prctl(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS and Windows."""
    monkeypatch.setattr("pipeline.processing.workers.ctypes.CDLL", lambda name: object())
    sent: list[object] = []
    connection = SimpleNamespace(send=sent.append)
    monkeypatch.setattr("pipeline.processing.workers.parent_process", lambda: None)
    _work(connection, make_networks)  # type: ignore[arg-type]
    assert sent == []
