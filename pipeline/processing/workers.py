"""Sessions in processes of their own: a decoder that crashes or hangs fails its session, and no other."""

import ctypes
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait

import psutil

from pipeline.processing.jobs import Job, OnSession, attempt, failed, write_log
from pipeline.processing.session import Networks
from pipeline.store.status import Outcome

# No sample for so long, from loading the weights to the last: the slowest machine and share are faster.
DEFAULT_STALL_S = 600.0

# What a worker needs: decoding takes one core and the networks another; memory as measured at 1920×1080,
# rounded up.
WORKER_CORES = 2
WORKER_BYTES = 2 * 2**30

_POLL_S = 1.0

# Of Linux's prctl: the signal to get when the parent dies. Elsewhere a worker ends at its next message.
_DIE_WITH_PARENT, _KILL = 1, 9

# A fork would share the locks of threads that it does not have: torch's and FFmpeg's.
_processes = get_context("spawn")


def default_jobs() -> int:
    """Sessions at once: as many as cores and memory do for."""
    memory = psutil.virtual_memory().available
    return max(1, min(usable_cores() // WORKER_CORES, memory // WORKER_BYTES))


def usable_cores() -> int:
    """Cores that this process may use; all of the machine where the system does not say."""
    process = psutil.Process()
    return len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count() or 1


class Workers:
    """An engine of several processes. Each loads the networks once, and is replaced when it dies.

    :param make_instruments: a module's function, or a partial of one; called in each process.
    :param count: sessions at once.
    :param stall_s: without progress for so long, a session is given up, s.
    """

    def __init__(
        self, make_instruments: Callable[[], Networks], count: int = 1, stall_s: float = DEFAULT_STALL_S
    ) -> None:
        self._make, self._count, self._stall_s = make_instruments, count, stall_s

    def __call__(self, jobs: Sequence[Job], on_session: OnSession) -> Iterator[Outcome]:
        """:raises Exception: what ``make_instruments`` raised."""
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
    """One process, and the job that it has."""

    def __init__(self, make_instruments: Callable[[], Networks]) -> None:
        self.connection, theirs = _processes.Pipe()
        self.job: Job | None = None
        self.alive = True
        self._heard = time.monotonic()
        self._process = _processes.Process(target=_work, args=(theirs, make_instruments), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.job, self._heard = job, time.monotonic()
        with suppress(OSError):  # it has died: listening will say so
            self.connection.send(job)

    def listen(self, on_session: OnSession, stall_s: float) -> Outcome | None:
        """What it has to say; how its job ended, if it did."""
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
            return given_up(job, f"no progress for {stall_s:.0f} s; it was ended")
        return None

    def stop(self) -> None:
        """Also in the middle of a job: what is finished of it is kept."""
        self.alive = False
        self.connection.close()
        self._process.join(0.0 if self.job else _POLL_S)
        self._process.kill()
        self._process.join()


def given_up(job: Job, reason: str) -> Outcome:
    """Of a session whose process could not say how it ended."""
    write_log(job, reason)
    return failed(job, reason)


def _ending(exitcode: int | None) -> str:
    """In words."""
    if exitcode == -_KILL:
        return "its process was killed, perhaps for want of memory; try again with fewer `jobs`"
    if exitcode is not None and exitcode < 0:
        return f"its process crashed ({signal.Signals(-exitcode).name}); the video may be damaged"
    return f"its process ended by itself (exit code {exitcode})"


def _work(connection: Connection, make_instruments: Callable[[], Networks]) -> None:
    """A worker's life: until there are no more jobs, or nobody left who gives them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that gave the jobs
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, _KILL)  # even where a decoder hangs
    parent = parent_process()
    if parent is None or not parent.is_alive():
        return
    try:
        instruments = make_instruments()
    except Exception as error:  # noqa: BLE001 — raised again where it is waited for
        connection.send(error)
        return
    try:
        while True:
            job = connection.recv()
            connection.send(attempt(job, instruments, lambda done, total: connection.send((done, total))))
    except (EOFError, OSError):
        return
