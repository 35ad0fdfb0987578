"""Process sessions on a Ray cluster whose nodes share the folders.

On a node, each session runs in a separate process (:mod:`pipeline.processing.workers`), supervised by an
actor. A crash by a video is reported as on one machine, and a lost actor means a lost node.
"""

import os
import secrets
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import wait
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.errors import InputError
from pipeline.processing.jobs import Job, OnSession
from pipeline.processing.session import Networks
from pipeline.processing.workers import (
    DEFAULT_STALL_S,
    SESSIONS_A_GPU,
    WORKER_BYTES,
    WORKER_CORES,
    Worker,
    given_up,
)
from pipeline.reasons import Reason
from pipeline.store.status import Outcome

# Tries after a crash: a damaged video crashes each time, but a crash by lack of memory may not recur.
CRASH_TRIES = 2

# Tries after a lost node: a session that crashes its machine must not crash all machines.
NODE_TRIES = 4

# Failed starts on a live node before the run ends.
_START_TRIES = 3

# Interval of progress reports, s.
_POLL_S = 0.5

# An actor ends a stalled session; an actor that does not do so within this time, s, has stalled itself.
_GRACE_S = 60.0

_CONNECT_S = 10.0

# Ray's object store, bytes: near the minimum, because only jobs, progress and outcomes pass through it.
_STORE_BYTES = 80 * 2**20

# Packages that influence the results.
_PACKAGES = ("emonext-care", "torch", "timm", "facenet-pytorch", "numpy", "scipy", "av", "decord")


class RayCluster:
    """An engine on several machines: a session goes to a node with enough free cores, memory and GPU.

    A session that crashes or hangs is tried :data:`CRASH_TRIES` times, a session on a lost node
    :data:`NODE_TRIES` times; each try continues from the last finished chunk.

    :param make_networks: a module's function, or a partial of one; called on the nodes.
    :param address: of the head, such as ``10.0.0.5:6379``; ``auto``: the cluster of this machine; ``None``: a
        new cluster of this machine only.
    :param count: maximum of parallel sessions.
    :param device: ``auto`` uses a node's GPU if there is one; ``cuda`` uses only nodes with a GPU.
    :param stall_s: time without progress after which a session is ended, s.
    """

    def __init__(
        self,
        make_networks: Callable[[], Networks],
        address: str | None = None,
        count: int | None = None,
        device: str = "auto",
        stall_s: float = DEFAULT_STALL_S,
    ) -> None:
        self._make, self._address, self._count = make_networks, address, count
        self._device, self._stall_s = device, stall_s

    def __call__(self, jobs: Sequence[Job], on_session: OnSession) -> Iterator[Outcome]:
        """:raises InputError: no such cluster, no room in it, or a node that differs from this machine.
        :raises Exception: any error of ``make_networks``.
        """
        left, seats = deque(map(_absolute, jobs)), list[RemoteSlot]()
        tries, failed_starts = Counter[tuple[str, str, int]](), Counter[str]()
        seated = float("-inf")
        if not left:
            return
        _connect(self._address)
        try:
            while left or any(seat.job for seat in seats):
                seats += self._new_seats(seats, len(left))
                if not seats:
                    self._wait_for_room(seated)
                    continue
                seated = time.monotonic()
                for seat in seats:
                    if left and seat.idle:
                        seat.give(left.popleft())
                awaited = [seat.awaited for seat in seats if seat.awaited is not None]
                ray.wait(awaited, num_returns=len(awaited), timeout=_POLL_S)
                for seat in seats:
                    end = seat.listen(on_session)
                    if end is not None and _is_tried_again(end, tries):
                        left.append(end.job)
                    elif end is not None:
                        yield end.outcome
                _check_starts(seats, failed_starts)
                seats = [seat for seat in seats if seat.alive]
        finally:
            for seat in seats:
                seat.stop()
            ray.shutdown()

    def _new_seats(self, seats: "Sequence[RemoteSlot]", jobs_left: int) -> "list[RemoteSlot]":
        """New slots for the remaining jobs, as far as there is room; nodes can join and leave."""
        wanted = sum(seat.job is not None for seat in seats) + jobs_left
        wanted = min(wanted, self._count or wanted) - len(seats)
        if wanted <= 0:
            return []
        taken = Counter(seat.node for seat in seats)
        room = [
            (place, node)
            for node in ray.nodes()
            if node["Alive"]
            for place in range(taken[node["NodeID"]], places(node["Resources"], self._device))
        ]
        # fill the first place of each node before the second of any
        room.sort(key=lambda place_and_node: place_and_node[0])
        return [
            RemoteSlot(node, _gpu_share(node["Resources"], self._device), self._make, self._stall_s)
            for _, node in room[:wanted]
        ]

    def _wait_for_room(self, seated: float) -> None:
        """Wait for a node to return.

        :raises InputError: there was no room from the start, or for longer than ``stall_s``.
        """
        if time.monotonic() - seated > self._stall_s:
            raise InputError(
                f"No machine of the Ray cluster has room for a session: {WORKER_CORES} cores, "
                f"{WORKER_BYTES / 2**30:.0f} GiB of memory{', a GPU' if self._device == 'cuda' else ''}."
            )
        time.sleep(_POLL_S)


def places(resources: Mapping[str, float], device: str) -> int:
    """Number of parallel sessions on a node.

    :param resources: Ray's resources of the node: ``CPU``, ``memory`` in bytes, ``GPU``.
    """
    if device == "cuda" and not resources.get("GPU"):
        return 0
    room = [resources.get("CPU", 0) / WORKER_CORES, resources.get("memory", 0) / WORKER_BYTES]
    if _gpu_share(resources, device):
        room.append(resources["GPU"] * SESSIONS_A_GPU)
    return int(min(room))


def _gpu_share(resources: Mapping[str, float], device: str) -> float:
    """Share of a GPU per session."""
    return 1 / SESSIONS_A_GPU if device != "cpu" and resources.get("GPU") else 0.0


# --- the driver's side


@dataclass(frozen=True)
class _End:
    """End of one try of a job.

    :param tries: number of such ends after which the job ends.
    """

    job: Job
    outcome: Outcome
    tries: int = 1


class RemoteSlot:
    """The driver's handle of an actor on a node, and its job.

    :ivar awaited: the pending message; ``None`` while idle.
    """

    def __init__(
        self,
        node: Mapping[str, Any],
        gpu_share: float,
        make_networks: Callable[[], Networks],
        stall_s: float,
    ) -> None:
        self.node, self.host = node["NodeID"], node["NodeManagerHostname"]
        self.alive, self.ready, self.error = True, False, ""
        self.job: Job | None = None
        self._stall_s, self._heard = stall_s, 0.0
        actor: Any = ray.remote(RemoteWorker).options(
            num_cpus=WORKER_CORES,
            num_gpus=gpu_share,
            memory=WORKER_BYTES,
            scheduling_strategy=NodeAffinitySchedulingStrategy(self.node, soft=False),
        )
        self._actor = actor.remote(make_networks, stall_s)
        self.awaited: Any = self._actor.__ray_ready__.remote()

    @property
    def idle(self) -> bool:
        return self.ready and self.job is None

    def give(self, job: Job) -> None:
        self.job, self._heard = job, time.monotonic()
        self.awaited = self._actor.process.options(num_returns="streaming").remote(job, _versions())

    def listen(self, on_session: OnSession) -> _End | None:
        """Read the actor's messages; return the end of this try, if it ended.

        :raises Exception: an error of the node.
        """
        try:
            while self.awaited is not None and ray.wait([self.awaited], timeout=0)[0]:
                self._heard = time.monotonic()
                if self.job is None:
                    ray.get(self.awaited)
                    self.ready, self.awaited = True, None
                    return None
                first, second = ray.get(next(self.awaited))
                if isinstance(first, Outcome):
                    return self._end(first, CRASH_TRIES if second else 1)
                on_session(self.job.session, first, second)
        except RayTaskError as error:
            error.cause.args = (f"{self.host}: {error.cause}",)
            raise error.cause from error
        except RayError as error:
            self.error = str(error).strip().rpartition("\n")[2]
            return self._lost(Reason.of("machine_lost", machine=self.host))
        if self.job is not None and time.monotonic() - self._heard > self._stall_s + _GRACE_S:
            return self._lost(Reason.of("machine_silent", machine=self.host))
        return None

    def stop(self) -> None:
        """Stop the actor, also during a job; finished chunks are kept."""
        self.alive = False
        with suppress(RayError):
            ray.kill(self._actor)

    def _lost(self, reason: Reason) -> _End | None:
        self.stop()
        return self._end(given_up(self.job, reason), NODE_TRIES) if self.job else None

    def _end(self, outcome: Outcome, tries: int) -> _End:
        job, self.job, self.awaited = self.job, None, None
        assert job is not None
        if tries > 1:
            outcome = replace(outcome, reasons=(*outcome.reasons, Reason.of("tried", times=tries)))
        return _End(job, outcome, tries)


def _is_tried_again(end: _End, tries: Counter[tuple[str, str, int]]) -> bool:
    key = (end.job.session.patient_id, end.job.session.session_id, end.tries)
    tries[key] += 1
    return tries[key] < end.tries


def _check_starts(seats: Sequence[RemoteSlot], failed: Counter[str]) -> None:
    """:raises InputError: sessions can't be started on a live node."""
    for seat in seats:
        if seat.alive or seat.ready:
            continue
        failed[seat.node] += 1
        lives = any(node["Alive"] for node in ray.nodes() if node["NodeID"] == seat.node)
        if lives and failed[seat.node] >= _START_TRIES:
            raise InputError(
                f"{seat.host}: no session can be started there ({seat.error}); install the same versions."
            )


def _absolute(job: Job) -> Job:
    """The job with absolute paths: a node has another working folder."""
    return replace(job, out=job.out.absolute(), session=job.session.with_absolute_paths())


def _connect(address: str | None) -> None:
    """:raises InputError: no cluster answers at this address."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            # Ray listens on all addresses and admits clients with this token; without it, Ray writes a token
            # file
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            options |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
        elif ":" in address:  # Ray itself would try for more than a minute, and then end this process
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), _CONNECT_S).close()
        ray.init(address or "local", **options)
    except Exception as error:
        ray.shutdown()
        if address is None:
            raise InputError(f"`engine` ray: Ray can't be started on this machine ({error}).") from error
        raise InputError(
            f"`ray_address` {address}: no Ray cluster answers there ({error}). Start one with "
            "`ray start`; this machine must belong to it, and have the same RAY_AUTH_MODE."
        ) from error


# --- the node's side


class RemoteWorker:
    """The actor: runs the session in a separate process and reports its progress."""

    def __init__(self, make_networks: Callable[[], Networks], stall_s: float) -> None:
        self._make, self._stall_s = make_networks, stall_s
        self._worker: Worker | None = None

    def process(
        self, job: Job, versions: Mapping[str, str]
    ) -> Iterator[tuple[int, int] | tuple[Outcome, bool]]:
        """Yield (samples done, total) at intervals; at the end the outcome, and whether the process was lost.

        :raises InputError: this node differs from the driver's machine.
        """
        _check_this_machine(job, versions)
        if self._worker is None or not self._worker.alive:
            self._worker = Worker(self._make)
        worker = self._worker
        worker.give(job)
        news, told, outcome = list[tuple[int, int]](), 0.0, None
        while outcome is None:
            wait([worker.connection], timeout=_POLL_S)
            outcome = worker.listen(lambda _, done, total: news.append((done, total)), self._stall_s)
            if news and (outcome or time.monotonic() - told > _POLL_S):
                yield news[-1]
                news.clear()
                told = time.monotonic()
        yield outcome, not worker.alive


def _check_this_machine(job: Job, versions: Mapping[str, str]) -> None:
    """Check this node before any session fails or writes to a wrong folder.

    :raises InputError: packages differ from the driver's machine, or a folder is missing.
    """
    here = _versions()
    for name in versions:
        if here[name] != versions[name]:
            raise InputError(f"{name} {here[name]} is installed, and {versions[name]} elsewhere; the same?")
    stamps = job.video_stamp.split(" ")
    there = [video for video, found in zip(job.session.videos, stamps, strict=True) if found]
    for path in [job.out / ".lock", *there, *(job.session.patient_face if there else ())]:
        if not path.exists():
            raise InputError(
                f"{path} is not there; all machines must see the same folders by the same names."
            )


def _versions() -> dict[str, str]:
    """Package → version, without the build (CPU or CUDA)."""
    return {name: _version(name).partition("+")[0] for name in _PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not"
