"""One request on its way: its progress, its log, and whether it was cancelled."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from Med3DCore.progress import Progress
from Med3DCore.worker.protocol import Advance, Log, Metric, Request

if TYPE_CHECKING:
    from Med3DCore.worker.connection import Connection
    from Med3DCore.worker.warm import Warm

_SECONDS_BETWEEN_EVENTS = 0.1
_SECONDS_BETWEEN_LOSSES = 1.0


class Job:
    """What a request handler gets.

    Args:
        request: The request.
        connection: Where its events go.
        warm: What stays loaded from request to request.
    """

    def __init__(self, request: Request, connection: Connection, warm: Warm) -> None:
        self.request = request
        self.warm = warm
        self.cancelled = threading.Event()
        self.progress = Progress(self._advance, self.cancelled.is_set, self._measure)
        self._connection = connection
        self._stage = ""
        self._sent = 0.0
        self._loss_sent = 0.0

    def log(self, sentence: str) -> None:
        """Send a sentence to the client's log."""
        self._connection.send(Log(self.request.id, sentence))

    def _advance(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        now = time.monotonic()
        if stage == self._stage and now - self._sent < _SECONDS_BETWEEN_EVENTS:
            return
        self._stage, self._sent = stage, now
        left = None if seconds_left is None else round(seconds_left, 1)
        self._connection.send(Advance(self.request.id, stage, round(fraction, 4), left))

    def _measure(self, stage: str, step: int, loss: float | None, scores: dict | None, _wrong: dict | None) -> None:
        now = time.monotonic()
        if scores is None and now - self._loss_sent < _SECONDS_BETWEEN_LOSSES:
            return
        self._loss_sent = now
        self._connection.send(Metric(self.request.id, stage, step, loss, scores))
