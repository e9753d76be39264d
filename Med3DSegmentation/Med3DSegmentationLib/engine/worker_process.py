"""One process of the engine's worker: started, written to, read from, and ended with all its children."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from Med3DCore.worker.launch import kill_tree, worker_environment
from Med3DCore.worker.protocol import End, Event, LineReader, Ready, Request, decode_event, encode

_PROCESS_FAILED_TO_START = 0  # QProcess::FailedToStart


def findPython() -> str:
    """The Python to run the engine with: PythonSlicer inside Slicer, this interpreter elsewhere."""
    found = shutil.which("PythonSlicer")  # Slicer puts it on its PATH
    app = getattr(sys.modules.get("slicer"), "app", None)
    if found is None and app is not None:
        found = shutil.which("PythonSlicer", path=str(Path(app.slicerHome) / "bin"))
    return found or sys.executable


class WorkerOwner(Protocol):
    """Who started a worker."""

    def onEvent(self, worker: WorkerProcess, event: Event) -> None:
        """An event came."""

    def onLogLine(self, worker: WorkerProcess, line: str) -> None:
        """A line that is no event."""

    def onEnd(self, worker: WorkerProcess, exitCode: int | None) -> None:
        """The process ended, or could not start (exit code None)."""


class WorkerProcess:
    """A QProcess, from its start to its end.

    Args:
        qt: The ``qt`` module.
        command: Program and arguments.
        owner: Told of events, log lines and the end.
    """

    def __init__(self, qt: ModuleType, command: Sequence[str], owner: WorkerOwner) -> None:
        self.ready: Ready | None = None
        self.endedWell = False
        self._command = command
        self._owner = owner
        self._events, self._logLines = LineReader(), LineReader()
        self._process = qt.QProcess()
        environment = qt.QProcessEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self._process.connect("readyReadStandardOutput()", self._readEvents)
        self._process.connect("readyReadStandardError()", self._readLog)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._onProcessError)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)

    def start(self) -> None:
        """Start the process; what is sent before it runs is kept for it."""
        self._process.start(self._command[0], list(self._command[1:]))

    def send(self, request: Request) -> None:
        """Write a request."""
        self._process.write(encode(request))

    def kill(self) -> None:
        """End it with its children, whatever it does."""
        pid = self.ready.pid if self.ready else self._process.processId()
        if pid:
            kill_tree(int(pid))
        self._process.kill()
        self._process.waitForFinished(1000)

    def _readEvents(self) -> None:
        for line in self._events.feed(_bytes(self._process.readAllStandardOutput())):
            event = decode_event(line)
            if event is None:
                self._owner.onLogLine(self, line.decode("utf-8", "replace"))
                continue
            if isinstance(event, Ready):
                self.ready = event
            self.endedWell = self.endedWell or isinstance(event, End)
            self._owner.onEvent(self, event)

    def _readLog(self) -> None:
        for line in self._logLines.feed(_bytes(self._process.readAllStandardError())):
            self._owner.onLogLine(self, line.decode("utf-8", "replace"))

    def _onProcessError(self, error: int) -> None:
        if int(error) == _PROCESS_FAILED_TO_START:  # any other error is followed by the end
            self._owner.onEnd(self, None)

    def _onFinished(self, exitCode: int, exitStatus: int) -> None:  # noqa: ARG002 - the signal's signature
        self._readLog()
        self._readEvents()
        self._owner.onEnd(self, int(exitCode))


def _bytes(array: Any) -> bytes:
    """Bytes of a QByteArray; PythonQt gives None for an empty one."""
    return bytes(array.data() or b"")
