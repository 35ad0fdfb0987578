"""processing.ray_cluster: the same results as on one machine, also after the loss of a machine."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from types import ModuleType
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from fakes import FAKE_WEIGHTS
from videos import encode, with_faces
from worker_parts import CRASH, HANG, RAISE, make_networks, make_none, make_slow

from pipeline.errors import InputError, VideoError
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import Job, in_this_process, make_job
from pipeline.processing.session import Networks, Session, Settings
from pipeline.store.status import Outcome, read_status

# Ray listens on all of the machine's addresses. It reads this when it is imported.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
ray = pytest.importorskip("ray", reason="ray is not installed")

from pipeline.processing import ray_cluster as ray_engine  # noqa: E402 — it imports ray
from pipeline.processing.ray_cluster import CRASH_TRIES, RayCluster, places  # noqa: E402

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make_session(tmp_path: Path) -> Callable[..., Session]:
    def make(name: str, asked: int = 0, seconds: int = 2) -> Session:
        pictures = [with_faces([(40 + n % 200, 60)]) for n in range(10 * seconds)]
        for picture in pictures:
            picture[-16:, -16:] = asked
        return Session("P1", name, encode(tmp_path / f"P1_{name}.mp4", pictures, rate=10))

    return make


# --- how many on which machine


@pytest.mark.parametrize(
    ("resources", "device", "expected"),
    [
        ({}, "auto", 0),
        ({"CPU": 1.0, "memory": 8 * 2**30}, "auto", 0),
        ({"CPU": 16.0, "memory": 64 * 2**30}, "auto", 8),
        ({"CPU": 16.0, "memory": 5 * 2**30}, "auto", 2),
        ({"CPU": 16.0, "memory": 64 * 2**30}, "cuda", 0),
        ({"CPU": 64.0, "memory": 256 * 2**30, "GPU": 1.0}, "cuda", 8),
        ({"CPU": 64.0, "memory": 256 * 2**30, "GPU": 2.0}, "auto", 16),
        ({"CPU": 64.0, "memory": 256 * 2**30, "GPU": 1.0}, "cpu", 32),
    ],
)
def test_a_machine_takes_what_its_cores_memory_and_gpu_do_for(
    resources: dict[str, float], device: str, expected: int
) -> None:
    assert places(resources, device) == expected


# --- the node's side, without a cluster


@pytest.fixture
def make_our_job(tmp_path: Path) -> Callable[[Session], Job]:
    """A job in a folder that a run holds."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".lock").touch()
    return lambda session: make_job(session, tmp_path / "out", Settings(), "0" * 64, None)


def watch(job: Job, make: Callable[[], Networks] = make_networks, stall_s: float = 60.0) -> list[Any]:
    return list(ray_engine.RemoteWorker(make, stall_s).process(job, ray_engine._versions()))


def test_progress_is_told_now_and_then_and_at_the_end(
    make_session: Callable[..., Session], make_our_job: Callable[[Session], Job]
) -> None:
    *progress, (outcome, lost) = watch(make_our_job(make_session("S1", seconds=6)))
    assert (outcome.state, lost) == ("done", False)
    assert progress[-1] == (30, 30)
    assert len(progress) < 30


def test_a_hang_is_ended(
    make_session: Callable[..., Session], make_our_job: Callable[[Session], Job]
) -> None:
    outcome, lost = watch(make_our_job(make_session("S1", HANG)), stall_s=10.0)[-1]
    assert outcome.state == "failed"
    assert "no progress for 10 s" in outcome.reason
    assert lost


def test_a_machine_that_is_not_like_the_others_is_named(
    make_session: Callable[..., Session], make_our_job: Callable[[Session], Job]
) -> None:
    job, versions = make_our_job(make_session("S1")), ray_engine._versions()
    with pytest.raises(InputError, match=r"numpy .* 0\.1 elsewhere"):
        ray_engine._check_this_machine(job, {**versions, "numpy": "0.1"})
    (job.out / ".lock").unlink()
    with pytest.raises(InputError, match=r"\.lock is not there"):
        ray_engine._check_this_machine(job, versions)
    (job.out / ".lock").touch()
    job.session.video.unlink()
    with pytest.raises(InputError, match=r"P1_S1\.mp4 is not there"):
        ray_engine._check_this_machine(job, versions)


# --- two nodes


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head with room for one session; tests add nodes. Lost nodes are noticed within seconds."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests/support'}")
        quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
        cluster = Cluster(
            initialize_head=True, head_node_args={**NODE, "include_dashboard": False, "_system_config": quick}
        )
        yield cluster
        cluster.shutdown()


NODE = {"num_cpus": 2, "num_gpus": 0, "memory": 2 * 2**30, "object_store_memory": 80 * 2**20}


@pytest.fixture
def node(cluster: Any) -> Iterator[Any]:
    """A second node with room for one session."""
    node = cluster.add_node(**NODE)
    yield node
    if node in cluster.list_all_nodes():
        cluster.remove_node(node)


def run(
    cluster: Any,
    sessions: list[Session],
    out: Path,
    make: Callable[[], Networks] = make_networks,
    on_session: Callable[[Session, int, int], None] = lambda session, done, total: None,
) -> list[Outcome]:
    engine = RayCluster(make, cluster.address)
    return process_sessions(sessions, out, Settings(), engine, "0" * 64, on_session=on_session)


def assert_as_on_this_machine(sessions: list[Session], out: Path, networks: Networks) -> None:
    here = out.with_name("here")
    process_sessions(sessions, here, Settings(), in_this_process(networks), FAKE_WEIGHTS["sha256"])
    for session in sessions:
        for path_in in (session.timeline_path, session.faces_path):
            one, other = pq.read_table(path_in(out)), pq.read_table(path_in(here))
            assert one.num_rows
            assert one.equals(other)


def test_sessions_end_as_on_one_machine_and_those_that_kill_their_process_fail_alone(
    cluster: Any, node: Any, make_session: Callable[..., Session], tmp_path: Path
) -> None:
    sessions = [
        make_session("S1"),
        make_session("S2", CRASH),
        make_session("S3", RAISE),
        make_session("S4", seconds=3),
        make_session("S5"),
    ]
    told: dict[str, tuple[int, int]] = {}
    outcomes = run(
        cluster,
        sessions,
        tmp_path / "out",
        on_session=lambda session, done, total: told.update({session.session_id: (done, total)}),
    )
    assert [o.state for o in outcomes] == ["done", "failed", "failed", "done", "done"]
    assert "SIGSEGV" in outcomes[1].reason
    assert f"tried {CRASH_TRIES} times" in outcomes[1].reason
    assert "ValueError" in outcomes[2].reason
    assert "tried" not in outcomes[2].reason
    assert told == {"S1": (10, 10), "S4": (15, 15), "S5": (10, 10)}
    assert_as_on_this_machine([sessions[0], *sessions[3:]], tmp_path / "out", make_networks())


def test_relative_paths_are_found_and_a_session_without_consent_never_gets_to_a_node(
    cluster: Any, make_session: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a node the working folder is another. The second file and the photo are the session's, too."""
    monkeypatch.chdir(tmp_path)
    first, second = (Path(make_session(name).video.name) for name in ("S1", "S2"))
    split = Session("P1", "S1", first, continued=(second,))
    refused = Session("P2", "S1", Path("Marie Curie.mp4"), consent=False)
    told: list[str] = []
    outcomes = run(
        cluster, [split, refused], Path("out"), on_session=lambda session, *_: told.append(session.patient_id)
    )
    assert [outcome.state for outcome in outcomes] == ["done", "no_consent"]
    assert outcomes[0].videos == (str(tmp_path / first), str(tmp_path / second))
    assert told.count("P2") == 1
    assert read_status(Path("out"))["videos"].to_list()[1] == []
    assert b"Marie" not in (tmp_path / "out" / "status.parquet").read_bytes()
    withdrawn = Session("P1", "S1", first, continued=(second,), consent=False)
    assert [outcome.state for outcome in run(cluster, [withdrawn], Path("out"))] == ["withdrawn"]
    assert not list(Path("out").glob("timelines/**/*.parquet"))


def test_every_path_of_a_session_is_made_absolute() -> None:
    session = Session("P1", "S1", Path("a.mp4"), continued=(Path("b.mp4"),), patient_face=(Path("c.jpg"),))
    found = session.with_absolute_paths()
    paths = (*found.videos, *found.patient_face)
    assert paths == tuple(Path.cwd() / name for name in ("a.mp4", "b.mp4", "c.jpg"))


def test_a_lost_machine_costs_no_session(
    cluster: Any, node: Any, make_session: Callable[..., Session], tmp_path: Path
) -> None:
    sessions = [make_session(f"S{n}", seconds=6) for n in range(3)]
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    lost: list[int] = []

    def lose_the_node(session: Session, done: int, total: int) -> None:
        if not lost and done > 10:
            processes = [raylet, *raylet.children(recursive=True)]
            lost.extend(process.pid for process in processes if "spawn_main" in " ".join(process.cmdline()))
            for process in processes if lost else ():
                process.kill()

    outcomes = run(cluster, sessions, tmp_path / "out", make_slow, lose_the_node)
    assert lost
    assert [o.state for o in outcomes] == ["done"] * 3
    assert read_status(tmp_path / "out")["state"].to_list() == ["done"] * 3
    assert_as_on_this_machine(sessions, tmp_path / "out", make_slow())
    assert not (tmp_path / "out" / ".unfinished").exists()
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_networks_that_can_t_be_had_end_the_run_and_the_machine_is_named(
    cluster: Any, make_session: Callable[..., Session], tmp_path: Path
) -> None:
    with pytest.raises(VideoError, match=rf"^{socket.gethostname()}: no GPU here"):
        run(cluster, [make_session("S1")], tmp_path / "out", make_none)


def test_a_machine_without_the_program_is_named(
    cluster: Any, make_session: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> Networks:
        return make_networks()

    make.__module__, make.__qualname__ = "only_here", "make"
    only_here = ModuleType("only_here")
    only_here.make = make  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    with pytest.raises(InputError, match=f"^{socket.gethostname()}: .*'only_here'"):
        run(cluster, [make_session("S1")], tmp_path / "out", make)


def test_without_room_nothing_is_begun(
    cluster: Any, make_session: Callable[..., Session], tmp_path: Path
) -> None:
    engine = RayCluster(make_networks, cluster.address, device="cuda")
    with pytest.raises(InputError, match="room for a session: 2 cores, 2 GiB of memory, a GPU"):
        process_sessions([make_session("S1")], tmp_path / "out", Settings(), engine, "0" * 64)


def test_nobody_answers(make_session: Callable[..., Session], tmp_path: Path) -> None:
    for address in ("127.0.0.1:1", "nonsense"):
        with pytest.raises(InputError, match=f"`ray_address` {address}"):
            process_sessions(
                [make_session("S1")],
                tmp_path / "out",
                Settings(),
                RayCluster(make_networks, address),
                "0" * 64,
            )


# --- Ctrl-C


@pytest.fixture
def hangs_later(tmp_path: Path) -> Session:
    """Ten seconds of a video like others, then those at which its decoder hangs."""
    pictures = [with_faces([(40, 60)]) for _ in range(200)]
    for picture in pictures[100:]:
        picture[-16:, -16:] = HANG
    return Session("P1", "S1", encode(tmp_path / "P1_S1.mp4", pictures, rate=10))


def test_ctrl_c_ends_a_decoder_that_hangs(cluster: Any, hangs_later: Session, tmp_path: Path) -> None:
    raylet = psutil.Process(cluster.head_node.all_processes["raylet"][0].process.pid)
    at_work: list[psutil.Process] = []

    def interrupt() -> None:
        at_work.extend(p for p in raylet.children(recursive=True) if "spawn_main" in " ".join(p.cmdline()))
        os.kill(os.getpid(), signal.SIGINT)

    timer = Timer(3.0, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(
            cluster,
            [hangs_later],
            tmp_path / "out",
            on_session=lambda *_: timer.start() if not timer.ident else None,
        )
    assert at_work
    assert not psutil.wait_procs(at_work, timeout=10)[1]


RUN = """
import sys
from pathlib import Path
import worker_parts
from pipeline.processing.batch import process_sessions
from pipeline.processing.ray_cluster import RayCluster
from pipeline.processing.session import Session, Settings
sessions = [Session("P1", "S1", Path(sys.argv[2]))]
process_sessions(sessions, Path(sys.argv[1]), Settings(), RayCluster(worker_parts.make_networks), "0" * 64,
    on_session=lambda session, done, total: print(done, flush=True))
"""


def test_ctrl_c_leaves_nothing_running(hangs_later: Session, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "out"), str(hangs_later.video)],
        env=env | {"HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 0
    at_work = psutil.Process(process.pid).children(recursive=True)
    assert any("spawn_main" in " ".join(child.cmdline()) for child in at_work)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err
    assert not (tmp_path / ".ray").exists()  # where Ray would leave its secret
    assert not psutil.wait_procs(at_work, timeout=20)[1]
