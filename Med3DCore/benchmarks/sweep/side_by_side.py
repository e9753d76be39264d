"""Do the runs of a sweep in several processes, on this computer or others, by Dask (https://distributed.dask.org).

Needs the extra ``sweep``. A worker that is killed loses nothing: its run goes on from its checkpoint on another one.
Whoever can reach a Dask scheduler can run programs as the user of its workers, so the one that is started here listens
to this computer alone and to nobody without the key of this sweep (TLS).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, Worker, WorkerPlugin, get_worker, wait

from Med3DCore.benchmarks.sweep.engine import Do, Shares
from Med3DCore.benchmarks.sweep.outcome import Outcome
from Med3DCore.benchmarks.sweep.plan import SweepRun
from Med3DCore.errors import Cancelled, ResourceError, SettingError

_LOOK_SECONDS, _TELL_SECONDS, _PATIENCE_SECONDS = 0.5, 1.0, 20.0
_GONE = "The Dask scheduler is gone; run the same command to go on."
# A killed worker is our affair, see _Work; and no page for a browser, which all users of this computer could open.
_OURS: dict[str, object] = {f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker", "nanny")}
_OURS |= {"distributed.scheduler.allowed-failures": 0}
_STOPPED: set[str] = set()  # in a worker's process: the sweeps that shall stop


@dataclass(frozen=True)
class SideBySide:
    """The engine of several processes.

    Args:
        jobs: How many on this computer; ignored where there is an address.
        address: Of a Dask scheduler, such as ``"tcp://node1:8786"``; empty for processes of this computer.
        say: Told what the user should know meanwhile.
    """

    jobs: int
    address: str = ""
    say: Callable[[str], None] = print

    def __call__(self, runs: Sequence[SweepRun], do: Do, shares: Shares) -> Iterator[Outcome]:
        """As :class:`.Engine`.

        Raises:
            SettingError: No scheduler answers at the address.
            ResourceError: It is gone.
        """
        if not self.address and runs[0].training.threads is None:
            training = replace(runs[0].training, threads=_threads(self.jobs))
            runs = [replace(run, training=training) for run in runs]
        with _quiet(), self._cluster() as cluster, self._connected(cluster) as client:
            yield from _Work(client, do, shares, self.say).all_of(runs)

    @contextmanager
    def _cluster(self) -> Iterator[str | LocalCluster]:
        """The scheduler's address, or one of this computer."""
        if self.address:
            yield self.address
            return
        with (
            dask.config.set(_OURS),
            LocalCluster(
                n_workers=self.jobs,
                threads_per_worker=1,
                host="127.0.0.1",
                security=True,
                dashboard_address="127.0.0.1:0",
                memory_limit=None,
                silence_logs=logging.CRITICAL,
            ) as cluster,
        ):
            yield cluster

    def _connected(self, cluster: str | LocalCluster) -> Client:
        try:
            client = Client(cluster, timeout=_PATIENCE_SECONDS)
        except (OSError, ValueError) as error:
            raise SettingError(
                f"No Dask scheduler answers at {self.address} ({error}); start one with `dask scheduler`, and workers "
                f"with `dask worker {self.address} --nthreads 1`."
            ) from None
        if not self.address:
            client.register_plugin(_LeaveCtrlC())
        return client


class _Work:
    """As many runs at once as there are workers.

    When a worker is killed, Dask blames each run that it had, also one that had not begun. So all of them are done once
    more when nothing else is left, each alone: only one whose worker is killed then is at fault.
    """

    def __init__(self, client: Client, do: Do, shares: Shares, say: Callable[[str], None]) -> None:
        self._client, self._do, self._shares, self._say = client, do, shares, say
        self._doing: dict[Future, SweepRun] = {}
        self._blamed: list[SweepRun] = []
        self._parts: dict[str, float] = {}
        self._topic = f"med3d-sweep-{uuid.uuid4().hex}"
        self._is_waiting = False
        client.subscribe_topic(self._topic, lambda event: self._parts.update([event[1]]))

    def all_of(self, runs: Sequence[SweepRun]) -> Iterator[Outcome]:
        waiting = list(runs)
        try:
            while waiting or self._doing:
                self._begin(waiting, len(self._client.nthreads()))
                yield from self._ended(may_be_blamed=True)
            while self._blamed or self._doing:
                self._begin(self._blamed, min(1, len(self._client.nthreads())))
                yield from self._ended(may_be_blamed=False)
        except OSError:
            raise ResourceError(_GONE) from None
        except (Cancelled, GeneratorExit):
            self._stop()
            raise

    def _begin(self, waiting: list[SweepRun], most: int) -> None:
        if not most and not self._doing and not self._is_waiting:
            self._is_waiting = True
            self._say("No worker has joined yet; waiting for the first.")
        while waiting and len(self._doing) < most:
            run = waiting.pop(0)
            key = f"{self._topic}-{run.name}-{uuid.uuid4().hex}"
            self._doing[self._client.submit(_do, self._do, run, self._topic, key=key)] = run

    def _ended(self, may_be_blamed: bool) -> Iterator[Outcome]:
        """Wait a moment, then the outcomes of the runs that ended."""
        for future in self._wait():
            run = self._doing.pop(future)
            error = future.exception() if future.status == "error" else None
            if may_be_blamed and isinstance(error, KilledWorker):
                self._blamed.append(run)
                continue
            outcome = self._outcome(future, error, run)
            self._shares.end(run.name)
            yield outcome
        self._shares.show()
        for run in self._doing.values():
            if run.name in self._parts:
                self._shares.tell(run.name, self._parts[run.name])

    def _wait(self) -> list[Future]:
        if self._client.status != "running":
            raise ResourceError(_GONE)
        if not self._doing:
            time.sleep(_LOOK_SECONDS)
            return []
        try:
            return list(wait(list(self._doing), timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return []

    def _outcome(self, future: Future, error: BaseException | None, run: SweepRun) -> Outcome:
        if future.status == "finished":
            return future.result()
        if isinstance(error, KilledWorker):
            sentence = "Each worker that tried it was killed, perhaps since the computer's memory was full."
            return Outcome(run, failed=sentence)
        if error is not None:
            return Outcome(run, failed=f"The worker could not begin it: {error}.")
        raise ResourceError(_GONE)

    def _stop(self) -> None:
        """Have each run save where it is, and wait for that."""
        self._client.run(_stop_here, self._topic)
        if self._doing:
            wait(list(self._doing))


def _stop_here(topic: str) -> None:
    _STOPPED.add(topic)


def _do(do: Do, run: SweepRun, topic: str) -> Outcome | None:
    """A run, in a worker; None if it was stopped."""
    worker, told = get_worker(), [0.0]

    def tell(part: float) -> None:
        if time.monotonic() - told[0] > _TELL_SECONDS:
            told[0] = time.monotonic()
            worker.log_event(topic, (run.name, part))

    try:
        return do(run, tell, lambda: topic in _STOPPED)
    except Cancelled:
        return None


class _LeaveCtrlC(WorkerPlugin):
    """In a terminal Ctrl-C reaches the workers, too; they shall go on until the sweep tells them to stop."""

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's signature
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _quiet() -> Iterator[None]:
    """What Dask tells of workers that end is told by the outcomes."""
    handlers = [handler for name in ("distributed", "tornado") for handler in logging.getLogger(name).handlers]
    with ExitStack() as stack:
        for handler in handlers:
            stack.callback(handler.setLevel, handler.level)
            handler.setLevel(logging.CRITICAL + 1)
        yield


def _threads(jobs: int) -> int:
    """Of each of several trainings on this computer, unless the user says otherwise for all programs."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) else max(1, (os.cpu_count() or 1) // max(1, jobs))
