"""A client without an event loop, for tests and programs; Slicer's module uses QProcess with the same protocol."""

from __future__ import annotations

import itertools
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BufferedReader
from typing import IO, Any, NoReturn

from Med3DCore.errors import Cancelled, Med3DError
from Med3DCore.progress import MetricCallback, ProgressCallback
from Med3DCore.worker.launch import kill_tree, worker_command, worker_environment
from Med3DCore.worker.protocol import (
    Advance,
    End,
    Event,
    Failure,
    Id,
    LineReader,
    Log,
    Metric,
    Ready,
    Request,
    Result,
    decode_event,
    encode,
)

LOG_LINES = 50


class WorkerDied(Med3DError):
    """The worker ended in the midst of a request.

    Args:
        exit_code: Of the process; negative for a signal.
        log: The last lines that it wrote.
    """

    code = "worker-died"

    def __init__(self, exit_code: int | None, log: Sequence[str]) -> None:
        last = f" Its last line: {log[-1]}" if log else ""
        super().__init__(
            f"The engine ended unexpectedly (exit code {exit_code}); try again, it restarts by itself.{last}"
        )
        self.exit_code = exit_code
        self.log = tuple(log)


class RequestError(Med3DError):
    """The worker's answer to a request that failed.

    Args:
        failure: The answer.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence, failure.code, failure.facts)
        self.details = failure.details


class WorkerClient:
    """Starts a worker with the first request and again after one ended; a context manager.

    Args:
        command: Program and arguments of the worker; by default this Python's.
        on_log: Told each line of the worker's log as it comes, from another thread.
    """

    def __init__(self, command: Sequence[str] | None = None, on_log: Callable[[str], None] | None = None) -> None:
        self._command = list(command or worker_command())
        self._on_log = on_log
        self._ids = itertools.count(1)
        self._one_at_a_time = threading.Lock()
        self._sending = threading.Lock()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._process: subprocess.Popen | None = None
        self._current: Id | None = None
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.ready: Ready | None = None

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def request(
        self,
        type: str,
        on_progress: ProgressCallback | None = None,
        on_metric: MetricCallback | None = None,
        **fields: Any,
    ) -> dict:
        """Ask and wait for the answer.

        Args:
            type: Such as ``"segment"``.
            on_progress: Called with (stage, fraction, seconds left or None).
            on_metric: Called as :meth:`.Progress.metric`, the stage first, while something is trained.
            fields: What the request needs.

        Returns:
            The result.

        Raises:
            Cancelled: By :meth:`cancel`.
            RequestError: The worker's answer is an error.
            WorkerDied: There is no answer, because the worker crashed or was killed.
        """
        with self._one_at_a_time:
            try:
                return self._ask(type, fields, on_progress, on_metric)
            except _Ended:  # it was idle and ended just now
                return self._ask(type, fields, on_progress, on_metric)
            finally:
                self._current = None

    def cancel(self) -> None:
        """Stop the request that another thread waits for, if there is one."""
        with self._sending:  # not before the request itself is sent
            if self._process is not None and self._current is not None:
                _send(self._process, Request(next(self._ids), "cancel", {"request": self._current}))

    def kill(self) -> None:
        """End the worker and its children at once; the next request starts a new one."""
        process = self._process
        if process is not None and process.poll() is None:
            kill_tree(self.ready.pid if self.ready else process.pid)
            process.kill()
            process.wait()

    def close(self, timeout: float = 5.0) -> None:
        """Let the worker end in good order; kill it if it does not."""
        if self._process is None:
            return
        with suppress(OSError):
            _opened(self._process.stdin).close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def _ask(
        self,
        type: str,
        fields: dict[str, Any],
        on_progress: ProgressCallback | None,
        on_metric: MetricCallback | None,
    ) -> dict:
        with self._sending:
            process = self._process
            if process is None or process.poll() is not None:
                process = self._process = self._start()
            request = Request(next(self._ids), type, fields)
            self._current = request.id
            _send(process, request)
        while (event := self._events.get()) is not None:
            if isinstance(event, Ready):
                self.ready = event
            elif isinstance(event, Log) and event.id == request.id:
                self._tell(event.sentence)
            elif isinstance(event, Advance) and event.id == request.id and on_progress:
                on_progress(event.stage, event.fraction, event.seconds_left)
            elif isinstance(event, Metric) and event.id == request.id and on_metric:
                on_metric(event.stage, event.step, event.loss, event.scores, None)
            elif isinstance(event, Result) and event.id == request.id:
                return event.result
            elif isinstance(event, Failure) and event.id == request.id:
                _raise(event, process)
            elif isinstance(event, End):
                process.wait()
                raise _Ended
        raise WorkerDied(process.wait(), self.log)

    def _start(self) -> subprocess.Popen:
        self.ready = None
        self.log.clear()
        self._events = queue.SimpleQueue()
        pipe = subprocess.PIPE
        # A session of its own: Ctrl-C in a terminal is the client's to handle.
        process = subprocess.Popen(
            self._command, stdin=pipe, stdout=pipe, stderr=pipe, env=worker_environment(), start_new_session=True
        )
        log = threading.Thread(target=self._follow_log, args=(process.stderr,), daemon=True)
        log.start()
        threading.Thread(target=self._follow_events, args=(process.stdout, self._events, log), daemon=True).start()
        return process

    def _follow_events(self, stdout: BufferedReader, events: queue.SimpleQueue, log: threading.Thread) -> None:
        reader = LineReader()
        with stdout:
            while data := stdout.read1(1 << 16):
                for line in reader.feed(data):
                    event = decode_event(line)
                    if event is None:
                        self._keep(line)
                    else:
                        events.put(event)
        log.join(1.0)  # the last lines of a crash are in before the client hears of it
        events.put(None)

    def _follow_log(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                self._keep(line)

    def _keep(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        self.log.append(text)
        self._tell(text)

    def _tell(self, text: str) -> None:
        if self._on_log is not None:
            self._on_log(text)


class _Ended(Exception):
    """The worker ended in good order before it took the request."""


def _raise(failure: Failure, process: subprocess.Popen) -> NoReturn:
    if failure.code == Cancelled.code:
        raise Cancelled(failure.sentence)
    if failure.code == "ending":
        process.wait()
        raise _Ended
    raise RequestError(failure)


def _send(process: subprocess.Popen, request: Request) -> None:
    with suppress(OSError):  # a worker that is gone is noticed when its answer does not come
        stdin = _opened(process.stdin)
        stdin.write(encode(request))
        stdin.flush()


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    """A pipe of a process that was started with one."""
    if pipe is None:
        raise ValueError("the worker was started without this pipe")
    return pipe
