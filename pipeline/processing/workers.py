"""Run each session in a separate process, so that a decoder that crashes or hangs fails only its session."""

import ctypes
import math
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait

import psutil

from pipeline.processing.jobs import Job, OnSession, attempt, failed, write_log
from pipeline.processing.session import Networks
from pipeline.reasons import Reason
from pipeline.store.status import Outcome

# A session without a new sample for this long, s, is stalled; the slowest machine and share are faster.
DEFAULT_STALL_S = 600.0

# Resources of a worker: one core for decoding and one for the networks, which are busy for three quarters of
# the time; memory measured at 1920×1080, rounded up.
WORKER_CORES, _BUSY_CORES = 2, 1.5
WORKER_BYTES = 2 * 2**30

# Sessions per GPU, and a GPU's memory per session; not measured. Decoding for this many takes 16 cores, more
# than most machines have per GPU.
SESSIONS_A_GPU = 8
_GPU_BYTES = 2 * 2**30

_POLL_S = 1.0

# Option of Linux's prctl: signal on the parent's death. On other systems, a worker ends at its next message.
_DIE_WITH_PARENT, _KILL = 1, 9

# Spawn, because a fork copies locks of threads (torch, FFmpeg) that do not exist in the child.
_processes = get_context("spawn")


def default_jobs(device: str = "auto") -> int:
    """Number of parallel sessions for which cores and memory suffice, also of a GPU that they share."""
    room = [math.ceil(usable_cores() / _BUSY_CORES), psutil.virtual_memory().available // WORKER_BYTES]
    free = None if device == "cpu" else free_gpu_bytes()
    if free is not None:
        room += [SESSIONS_A_GPU, free // _GPU_BYTES]
    return max(1, min(room))


def free_gpu_bytes() -> int | None:
    """Free memory of the GPU that PyTorch uses by default; ``None`` without an NVIDIA driver.

    NVIDIA's program is asked, because PyTorch would keep memory of the GPU in this process.
    """
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    ask = ["nvidia-smi", f"--id={first}", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        answer = subprocess.run(  # noqa: S603 — a fixed program
            ask, capture_output=True, encoding="utf-8", check=True, timeout=10
        )
        return int(answer.stdout) * 2**20
    return None


def usable_cores() -> int:
    """Number of cores that this process may use; all cores if the system does not tell."""
    process = psutil.Process()
    return len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count() or 1


class Workers:
    """An engine with several processes. Each loads the networks once, and is replaced if it dies.

    :param make_networks: a module's function, or a partial of one; called in each process.
    :param count: number of parallel sessions.
    :param stall_s: time without progress after which a session is ended, s.
    """

    def __init__(
        self, make_networks: Callable[[], Networks], count: int = 1, stall_s: float = DEFAULT_STALL_S
    ) -> None:
        self._make, self._count, self._stall_s = make_networks, count, stall_s

    def __call__(self, jobs: Sequence[Job], on_session: OnSession) -> Iterator[Outcome]:
        """:raises Exception: any error of ``make_networks``."""
        left, workers = deque(jobs), list[Worker]()
        try:
            while left or any(worker.job for worker in workers):
                while left and sum(worker.job is not None for worker in workers) < self._count:
                    idle = next((worker for worker in workers if worker.job is None), None)
                    if idle is None:
                        workers.append(idle := Worker(self._make))
                    idle.give(left.popleft())
                busy = [worker for worker in workers if worker.job]
                wait([worker.connection for worker in busy], timeout=_POLL_S)
                for worker in busy:
                    outcome = worker.listen(on_session, self._stall_s)
                    if outcome is not None:
                        yield outcome
                workers = [worker for worker in workers if worker.alive]
        finally:
            for worker in workers:
                worker.stop()


class Worker:
    """A worker process and its job."""

    def __init__(self, make_networks: Callable[[], Networks]) -> None:
        self.connection, theirs = _processes.Pipe()
        self.job: Job | None = None
        self.alive = True
        self._heard = time.monotonic()
        self._process = _processes.Process(target=_work, args=(theirs, make_networks), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.job, self._heard = job, time.monotonic()
        with suppress(OSError):  # the process has died; `listen` reports it
            self.connection.send(job)

    def listen(self, on_session: OnSession, stall_s: float) -> Outcome | None:
        """Read the worker's messages; return the outcome of its job, if it ended."""
        job = self.job
        assert job is not None
        try:
            while self.connection.poll():
                self._heard = time.monotonic()
                message = self.connection.recv()
                if isinstance(message, Outcome):
                    self.job = None
                    return message
                if isinstance(message, Exception):
                    raise message
                on_session(job.session, *message)
        except (EOFError, ConnectionResetError):
            self.stop()
            return given_up(job, _ending(self._process.exitcode))
        if time.monotonic() - self._heard > stall_s:
            self.stop()
            return given_up(job, Reason.of("stalled", seconds=round(stall_s)))
        return None

    def stop(self) -> None:
        """Stop the worker, also during a job; finished chunks are kept."""
        self.alive = False
        self.connection.close()
        self._process.join(0.0 if self.job else _POLL_S)
        self._process.kill()
        self._process.join()


def given_up(job: Job, reason: Reason) -> Outcome:
    """The outcome of a session whose process could not report one."""
    write_log(job, str(reason))
    return failed(job, reason)


def _ending(exitcode: int | None) -> Reason:
    if exitcode == -_KILL:
        return Reason.of("killed")
    if exitcode is not None and exitcode < 0:
        return Reason.of("crashed", signal=signal.Signals(-exitcode).name)
    return Reason.of("exited", exitcode=str(exitcode))


def _work(connection: Connection, make_networks: Callable[[], Networks]) -> None:
    """Main loop of a worker: ends when there are no more jobs, or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, _KILL)  # also while a decoder hangs
    parent = parent_process()
    if parent is None or not parent.is_alive():
        return
    try:
        networks = make_networks()
    except Exception as error:  # noqa: BLE001 — raised again where it is waited for
        connection.send(error)
        return
    try:
        while True:
            job = connection.recv()
            connection.send(attempt(job, networks, lambda done, total: connection.send((done, total))))
    except (EOFError, OSError):
        return
