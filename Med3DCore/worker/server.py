"""The worker: one thread reads requests, one watches over the process, the main thread works through the queue."""

from __future__ import annotations

import argparse
import faulthandler
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import Med3DCore
from Med3DCore.errors import Cancelled, Med3DError, OutputError, system_refusal
from Med3DCore.io.memory import is_out_of_memory
from Med3DCore.system.allocator import keep_freed_memory, return_freed_memory
from Med3DCore.system.threads import wait_asleep
from Med3DCore.worker.connection import Connection
from Med3DCore.worker.exchange import remove_forgotten_folders
from Med3DCore.worker.fields import read_fields
from Med3DCore.worker.job import Job
from Med3DCore.worker.protocol import End, Failure, Id, ProtocolError, Ready, Request, Result, decode_request
from Med3DCore.worker.registry import Handler, find_handler
from Med3DCore.worker.warm import Warm

IDLE_MINUTES = 10.0
_WATCH_SECONDS = 0.25
_GRACE_SECONDS = 1.0


class Server:
    """Answers requests one after the other, until it is told to end, is idle for long, or its client is gone.

    Args:
        connection: To the client.
        idle_seconds: End after so long without a request.
        find: Gives the handler of a type of request.
    """

    def __init__(
        self, connection: Connection, idle_seconds: float, find: Callable[[str], Handler] = find_handler
    ) -> None:
        self._connection = connection
        self._idle_seconds = idle_seconds
        self._find = find
        self._warm = Warm()
        self._changed = threading.Condition()  # guards the five below
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._idle_since = time.monotonic()
        self._ending = threading.Event()
        self._reason, self._exit_code = "", 0  # of the end
        self._signal = 0

    def run(self) -> int:
        """Serve; returns the exit code."""
        parent = os.getppid()
        remove_forgotten_folders()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note_signal)
        self._connection.send(Ready(os.getpid(), _versions()))
        threading.Thread(target=self._read, name="read", daemon=True).start()
        threading.Thread(target=self._watch, args=(parent,), name="watch", daemon=True).start()
        while (job := self._next()) is not None:
            self._work(job)
            with self._changed:
                self._running, self._idle_since = None, time.monotonic()
        self._connection.send(End(self._reason))
        remove_forgotten_folders()  # its client may have crashed
        _log(f"end: {self._reason}")
        return self._exit_code

    # -- main thread ---------------------------------------------------------------------------------------------------

    def _next(self) -> Job | None:
        with self._changed:
            while not self._waiting and not self._ending.is_set():
                self._changed.wait()
            if self._ending.is_set():
                return None
            self._running = self._waiting.popleft()
            return self._running

    def _work(self, job: Job) -> None:
        """Run a job; whatever happens becomes its answer, and the worker lives on."""
        request, begin = job.request, time.monotonic()
        _log(f"{request.type} {request.id}: begin")
        try:
            handler = self._find(request.type)
            result = handler.run(read_fields(handler.Fields, request.fields, request.type), job)
            self._connection.send(Result(request.id, result))
            outcome = "done"
        except Med3DError as error:
            outcome = self._fail(job, error.code, str(error), error.facts)
        except (Exception, SystemExit) as error:
            if is_out_of_memory(error):
                outcome = self._out_of_memory(job)
            elif refusal := system_refusal(error):
                outcome = self._fail(job, OutputError.code, refusal)
            else:
                sentence = "Med3D came upon something unexpected and stopped; please report it with the details."
                outcome = self._fail(job, "unexpected", sentence)
        self._warm.rest()
        return_freed_memory()
        _log(f"{request.type} {request.id}: {outcome} after {time.monotonic() - begin:.2f} s")

    def _fail(self, job: Job, code: str, sentence: str, facts: dict[str, Any] | None = None) -> str:
        if code == Cancelled.code and self._ending.is_set():
            sentence = f"Cancelled, because the engine ends. {self._reason}"
        details = "" if code == Cancelled.code else traceback.format_exc()
        if code == "unexpected":
            _log(details)
        self._connection.send(Failure(job.request.id, code, sentence, details, facts or {}))
        return code

    def _out_of_memory(self, job: Job) -> str:
        self._warm.forget()
        sentence = "There is not enough memory for this; close other programs, or crop the volume to a region."
        return self._fail(job, "no-resource", sentence)

    # -- reader thread -------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        for line in self._connection.lines():
            try:
                self._take(decode_request(line))
            except ProtocolError as error:
                self._connection.send(Failure(error.id, error.code, str(error)))
        self._stop("The connection was closed.")

    def _take(self, request: Request) -> None:
        """Queue a request, or do at once what must not wait."""
        if request.type == "cancel":
            self._connection.send(Result(request.id, {"requests": self._cancel(request.fields.get("request"))}))
        elif request.type == "shutdown":
            self._connection.send(Result(request.id, {}))
            self._stop("It was asked to end.")
        else:
            with self._changed:
                if self._ending.is_set():
                    sentence = "The engine is about to end; start it again for further requests."
                    self._connection.send(Failure(request.id, "ending", sentence))
                    return
                if any(job.request.id == request.id for job in (self._running, *self._waiting) if job):
                    raise ProtocolError(f"There already is a request with the id {request.id!r}.", request.id)
                self._waiting.append(Job(request, self._connection, self._warm))
                self._changed.notify()

    def _cancel(self, id: Id | None) -> list[Id]:
        """Cancel one request, or all for None. Waiting ones are answered at once, the running one when it stopped."""
        with self._changed:
            jobs = [job for job in (self._running, *self._waiting) if job and id in (None, job.request.id)]
            for job in jobs:
                job.cancelled.set()
                if job is not self._running:
                    self._waiting.remove(job)
                    self._connection.send(Failure(job.request.id, Cancelled.code, "Cancelled before it began."))
            return [job.request.id for job in jobs]

    # -- watching thread -----------------------------------------------------------------------------------------------

    def _watch(self, parent: int) -> None:
        """Find reasons to end; once there is one, give the main thread a moment, then end without it."""
        while not self._ending.wait(_WATCH_SECONDS):
            if self._signal:
                self._stop(f"It was stopped by signal {self._signal}.", 128 + self._signal)
            elif self._connection.lost or os.getppid() != parent:
                self._stop("Its client is gone.")
            else:
                self._stop_if_idle()
        time.sleep(_GRACE_SECONDS)
        _log(f"end at once: {self._reason}")
        _kill_children()
        remove_forgotten_folders()
        os._exit(self._exit_code)

    def _stop_if_idle(self) -> None:
        with self._changed:
            idle = self._running is None and not self._waiting
            if idle and time.monotonic() - self._idle_since >= self._idle_seconds:
                self._stop(f"Nothing was asked for {self._idle_seconds / 60:g} minutes.")

    def _stop(self, reason: str, code: int = 0) -> None:
        """Cancel everything and end. Only the first reason counts."""
        with self._changed:
            if not self._ending.is_set():
                self._reason, self._exit_code = reason, code
                self._ending.set()
                self._cancel(None)
                self._changed.notify()

    def _note_signal(self, number: int, frame: object) -> None:  # noqa: ARG002 - signal's signature
        self._signal = number  # nothing else is safe here: the main thread may hold any lock


def serve(idle_minutes: float) -> int:
    """Be the worker on this process's stdin and stdout; returns the exit code.

    Args:
        idle_minutes: End after so many minutes without a request.
    """
    keep_freed_memory()
    wait_asleep()
    faulthandler.enable()  # a crash in native code leaves its stack in the log
    if hasattr(os, "setpgid") and not os.isatty(0):
        with suppress(PermissionError):  # it leads a session already
            os.setpgid(0, 0)  # one signal then reaches all its children, see launch.kill_tree
    return Server(Connection.take_over(), idle_minutes * 60).run()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The worker's options."""
    parser.add_argument(
        "--idle-minutes",
        type=float,
        default=IDLE_MINUTES,
        metavar="N",
        help=f"end after so many minutes without a request (default {IDLE_MINUTES:g})",
    )


def _versions() -> dict[str, str | None]:
    """Versions without importing anything."""
    found: dict[str, str | None] = {"Med3DCore": Med3DCore.__version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "SimpleITK", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _kill_children() -> None:
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        for child in multiprocessing.active_children():
            child.kill()


def _log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
