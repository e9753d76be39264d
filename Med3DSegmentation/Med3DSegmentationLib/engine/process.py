"""The engine as a process beside Slicer, so that the window never waits and a crash takes nothing along.

Everything is called back on the main thread, from QProcess's signals.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from slicer.i18n import tr as _

from Med3DCore.errors import Cancelled, Med3DError, ResourceError
from Med3DCore.progress import ProgressCallback
from Med3DCore.worker.client import LOG_LINES, RequestError, WorkerDied
from Med3DCore.worker.launch import worker_command
from Med3DCore.worker.protocol import Advance, Event, Failure, Log, Metric, Request, Result
from Med3DSegmentationLib.engine.worker_process import WorkerProcess, findPython

SECONDS_TO_CANCEL = 1.0


def processEventsUntil(isDone: Callable[[], bool]) -> None:
    """Keep the window alive until something is done: for the Python console and tests."""
    import qt

    while not isDone():
        qt.QCoreApplication.processEvents()
        time.sleep(0.005)


@dataclass(eq=False)
class _Asked:
    """A request and who wants to know."""

    request: Request
    onResult: Callable[[dict], None]
    onError: Callable[[Med3DError], None]
    onProgress: ProgressCallback | None
    onMetric: Callable[[Metric], None] | None
    secondsToCancel: float
    cancelled: bool = False


class EngineProcess:
    """Starts the engine with the first request and again after it ended; sends one request after the other.

    Args:
        command: Program and arguments of the worker; None runs Med3DCore.worker with :func:`findPython`.
        qt: The ``qt`` module; None imports it.

    Attributes:
        logListeners: Functions that are told each line of the engine's log as it comes.
        log: The last lines of the log.

    Examples:
        >>> engine = EngineProcess()  # doctest: +SKIP
        >>> engine.request("devices", {}, onResult=print, onError=print)  # doctest: +SKIP
    """

    def __init__(self, command: Sequence[str] | None = None, qt: ModuleType | None = None) -> None:
        if qt is None:
            import qt
        self._qt = qt
        self._command = list(command or worker_command(findPython()))
        self._ids = itertools.count(1)
        self._waiting: deque[_Asked] = deque()
        self._current: _Asked | None = None
        self._worker: WorkerProcess | None = None
        self._patience = qt.QTimer()
        self._patience.setSingleShot(True)
        self._patience.connect("timeout()", self._killIfNotCancelled)
        self.logListeners: list[Callable[[str], None]] = []
        self.log: deque[str] = deque(maxlen=LOG_LINES)

    @property
    def isBusy(self) -> bool:
        """Whether a request runs or waits."""
        return self._current is not None or bool(self._waiting)

    @property
    def processId(self) -> int | None:
        """The worker's own process ID once it is ready, None while there is none."""
        return self._worker.ready.pid if self._worker and self._worker.ready else None

    def request(
        self,
        type: str,
        fields: dict[str, Any],
        onResult: Callable[[dict], None],
        onError: Callable[[Med3DError], None],
        onProgress: ProgressCallback | None = None,
        onMetric: Callable[[Metric], None] | None = None,
        secondsToCancel: float = SECONDS_TO_CANCEL,
    ) -> int:
        """Ask the engine; returns at once. Exactly one of onResult and onError is called later.

        Args:
            type: Such as ``"segment"``; see ``docs/worker_protocol.md``.
            fields: What it needs.
            onResult: Gets the result.
            onError: Gets Cancelled; WorkerDied, with the last lines of the log; RequestError, with the details; or
                ResourceError, if the engine cannot be started.
            onProgress: Gets (stage, fraction, seconds left or None).
            onMetric: Gets what a training measures on its way.
            secondsToCancel: How long the engine may take to stop when cancelled, before it is killed.

        Returns:
            A number for :meth:`cancel`.
        """
        request = Request(next(self._ids), type, fields)
        self._waiting.append(_Asked(request, onResult, onError, onProgress, onMetric, secondsToCancel))
        self.callSoon(self._sendNext)  # not at once: the caller must know the number before anything is called back
        return request.id

    def callSoon(self, function: Callable[[], None]) -> None:
        """Call a function when Qt has done what it has to do now."""
        self._qt.QTimer.singleShot(0, function)

    def cancel(self, requestId: int) -> None:
        """Stop a request; its onError gets Cancelled. If the engine does not listen in time, it is killed."""
        waiting = next((asked for asked in self._waiting if asked.request.id == requestId), None)
        if waiting:
            self._waiting.remove(waiting)
            waiting.onError(Cancelled(_("Cancelled before it began.")))
        elif self._current and self._current.request.id == requestId and not self._current.cancelled:
            self._current.cancelled = True
            self._worker.send(Request(next(self._ids), "cancel", {"request": requestId}))
            self._patience.start(round(1000 * self._current.secondsToCancel))

    def kill(self) -> None:
        """End the engine and its children at once; the next request starts it again."""
        if self._worker:
            self._worker.kill()

    def close(self) -> None:
        """End the engine; requests get Cancelled. For the end of Slicer and for reloading the module."""
        self._patience.stop()
        worker, self._worker = self._worker, None
        if worker:
            worker.kill()
        left = [self._current] if self._current else []
        left += self._waiting
        self._current = None
        self._waiting.clear()
        for asked in left:
            asked.onError(Cancelled(_("Cancelled, because the engine was closed.")))

    def _sendNext(self) -> None:
        if self._current is not None or not self._waiting:
            return
        self._current = self._waiting.popleft()
        self._send()

    def _send(self) -> None:
        if self._worker is None:
            self.log.clear()
            self._worker = WorkerProcess(self._qt, self._command, self)
            self._worker.start()
        if self._worker is not None:  # starting may have failed already
            self._worker.send(self._current.request)

    def _killIfNotCancelled(self) -> None:
        if self._current and self._current.cancelled:
            self._addLog("The engine did not stop in time and is ended.")
            self.kill()

    def _answer(self, callback: Callable[[Any], None], value: Any) -> None:
        """The end of the current request."""
        self._current = None
        self._patience.stop()
        try:
            callback(value)
        finally:
            self._sendNext()

    # -- told by the worker --------------------------------------------------------------------------------------------

    def onEvent(self, worker: WorkerProcess, event: Event) -> None:
        """An event came."""
        asked = self._current
        if worker is not self._worker or asked is None or getattr(event, "id", None) != asked.request.id:
            return
        if isinstance(event, Advance) and asked.onProgress and not asked.cancelled:
            asked.onProgress(event.stage, event.fraction, event.seconds_left)
        elif isinstance(event, Metric) and asked.onMetric and not asked.cancelled:
            asked.onMetric(event)
        elif isinstance(event, Log):
            self._addLog(event.sentence)
        elif isinstance(event, Result):
            self._answer(asked.onResult, event.result)
        elif isinstance(event, Failure) and event.code != "ending":  # at its end it is asked again
            cancelled = event.code == Cancelled.code
            self._answer(asked.onError, Cancelled(event.sentence) if cancelled else RequestError(event))

    def onLogLine(self, worker: WorkerProcess, line: str) -> None:
        """A line that is no event."""
        if worker is self._worker:
            self._addLog(line)

    def onEnd(self, worker: WorkerProcess, exitCode: int | None) -> None:
        """The process ended, or could not start (exit code None)."""
        if worker is not self._worker:
            return
        self._worker = None
        asked = self._current
        if asked is None:
            return
        if asked.cancelled:
            self._answer(asked.onError, Cancelled(_("Cancelled; nothing was written.")))
        elif worker.endedWell:  # it was idle and ended just when the request was on its way
            self._send()
        elif exitCode is None:
            sentence = _("The engine cannot be started: {program} does not run. Install the extension again.")
            self._answer(asked.onError, ResourceError(sentence.format(program=self._command[0])))
        else:
            self._answer(asked.onError, WorkerDied(exitCode, self.log))

    def _addLog(self, line: str) -> None:
        self.log.append(line)
        for listener in list(self.logListeners):
            listener(line)
