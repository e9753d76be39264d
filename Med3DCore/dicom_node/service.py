"""The node as a whole: receive in threads, process and send one after the other, stop at any time."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from Med3DCore.dicom_node.processing import FILES, Segmenter
from Med3DCore.dicom_node.queue import DONE, FAILED, SENDING, WAITING, Job, Queue
from Med3DCore.dicom_node.receiver import Receiver
from Med3DCore.dicom_node.sender import NotSent, context, send
from Med3DCore.dicom_node.settings import NodeSettings
from Med3DCore.errors import Med3DError, ModelError, OutputError, ResourceError, SettingError
from Med3DCore.io.files import as_path
from Med3DCore.system.locks import locked

# A series that ends the process again and again is given up; so many, since a computer may be switched off often, too.
_ATTEMPTS = 10
_SECONDS_BETWEEN_LOOKS = 0.2
_LONGEST_WAIT = 600.0
_log = logging.getLogger(__name__)


def serve(settings: NodeSettings, stop: Callable[[], bool], started: Callable[[int], None]) -> None:
    """Run a node until told to stop.

    Args:
        settings: What it does.
        stop: Asked a few times a second.
        started: Told the port once associations are accepted.

    Raises:
        SettingError: The port is taken, or there is no such model.
        InUse: Another node has this folder.
    """
    folder = as_path(settings.folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder / "node.lock", f"Another node runs in {folder}", "stop it, or give this one its own folder"):
        Node(settings, Queue(folder)).run(stop, started)


class Node:
    """A running node.

    Args:
        settings: What it does.
        queue: Its folder.
    """

    def __init__(self, settings: NodeSettings, queue: Queue) -> None:
        self._settings, self._queue = settings, queue
        self._receiver = Receiver(settings, queue)
        self._segmenter = Segmenter(settings)
        self._told = ""
        for key, _, _ in queue.arriving():
            self._receiver.suspect(key)

    def run(self, stop: Callable[[], bool], started: Callable[[int], None]) -> None:
        """See :func:`serve`."""
        entity = self._receiver.application_entity()
        try:
            server: Any = entity.start_server(
                (self._settings.host, self._settings.port),
                block=False,
                evt_handlers=self._receiver.handlers(),
                ssl_context=context(self._settings.tls, ssl.Purpose.CLIENT_AUTH),
            )
        except OSError as error:
            raise SettingError(
                f"Port {self._settings.port} of {self._settings.host} cannot be listened at: {error.strerror}."
            ) from None
        threading.Thread(target=_import_torch, daemon=True).start()
        try:
            started(server.socket.getsockname()[1])
            while not stop():
                if not self._step_or_wait():
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
        finally:
            server.shutdown()

    def _step_or_wait(self) -> bool:
        """A step; a queue that cannot be written, such as on a full disk, is waited for, and nothing in it is lost."""
        try:
            worked, self._told = self.step(), ""
        except (OutputError, OSError) as error:
            if str(error) != self._told:  # once, not five times a second
                _log.error("the queue cannot be written, which is tried again: %s", error)
            worked, self._told = False, str(error)
        return worked

    def step(self) -> bool:
        """One job further, if there is one; whether there was."""
        now = time.time()
        for key, last, count in list(self._queue.arriving()):
            if self._receiver.ready(key, last, now):
                job = self._queue.complete(key, last)
                _log.info("%s: complete, %d slices%s", key, count, ", done before" if job.state == DONE else "")
        due = self._queue.next_job()
        if due is None:
            return False
        if due.state == WAITING:
            self._segment(due)
        else:
            self._send(due)
        return True

    def _segment(self, job: Job) -> None:
        if job.attempts >= _ATTEMPTS:
            self._fail(job, job.error or f"it ended the process {_ATTEMPTS} times")
            return
        job, start = self._queue.save(job, attempts=job.attempts + 1), time.monotonic()
        try:
            self._segmenter.make(self._queue.slices_of(job.key), self._queue.results / job.key)
        except (ResourceError, MemoryError) as error:  # which may be over in a minute
            self._try_later(job, error)
        # A full disk, or a model that was removed or is just replaced, is no reason to give a series up.
        except (OutputError, ModelError, OSError) as error:
            self._try_later(job, error, attempts=min(job.attempts, _ATTEMPTS - 1))
        except Med3DError as error:
            self._fail(job, str(error))
        except Exception as error:
            _log.exception("%s", job.key)
            self._fail(job, f"{type(error).__name__}: {error}")
        else:
            _log.info("%s: segmented in %.1f s", job.key, time.monotonic() - start)
            self._queue.save(job, state=SENDING, error="", attempts=0)

    def _try_later(self, job: Job, error: BaseException, **changes: int) -> None:
        _log.error("%s: %s", job.key, error)
        wait = min(_LONGEST_WAIT, 15.0 * 4**job.attempts)
        self._queue.save(job, error=str(error), not_before=time.time() + wait, **changes)

    def _send(self, job: Job) -> None:
        """Send what no peer has taken yet; what one has taken is written down at once."""
        if not self._segmenter.is_made(self._queue.results / job.key):  # before the settings were changed
            self._queue.save(job, state=WAITING, attempts=0)
            return
        error = ""
        for peer in self._settings.send_to:
            for kind in peer.kinds:
                name = f"{peer.ae_title} {FILES[kind]}"
                if name in job.sent:
                    continue
                try:
                    send(self._settings, peer, self._queue.results / job.key / FILES[kind])
                except NotSent as problem:
                    error = str(problem)
                    break
                job = self._queue.save(job, sent=(*job.sent, name))
                _log.info("%s: sent %s to %s", job.key, kind, peer.ae_title)
        if not error:
            self._queue.finish(job, DONE)
        elif time.time() - job.received > self._settings.retry_hours * 3600:
            self._fail(job, error)
        else:
            wait = min(_LONGEST_WAIT, 5.0 * 2 ** min(job.attempts, 9))
            self._queue.save(job, error=error, attempts=job.attempts + 1, not_before=time.time() + wait)
            _log.warning("%s: %s Tried again in %.0f s.", job.key, error, wait)

    def _fail(self, job: Job, error: str) -> None:
        _log.error("%s: given up: %s", job.key, error)
        self._queue.finish(job, FAILED, error)


def _import_torch() -> None:
    with suppress(Exception):  # who needs it is told
        import Med3DCore.inference.segment  # noqa: F401
