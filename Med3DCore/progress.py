"""Progress, time left, cancelling, and the time line of a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from Med3DCore.errors import Cancelled

ProgressCallback = Callable[[str, float, "float | None"], None]


@dataclass
class Progress:
    """Follows a job of several stages. Give one to any long function of the engine.

    Args:
        callback: Called with (stage, fraction of the whole job 0..1, seconds left or None).
        is_cancelled: Asked between small pieces of work; True stops the job.

    Examples:
        >>> progress = Progress()
        >>> with progress.stage("read", share=0.2):
        ...     progress.update(0.5)
        >>> list(progress.timeline)
        ['read']
    """

    callback: ProgressCallback | None = None
    is_cancelled: Callable[[], bool] = lambda: False
    timeline: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._started = time.perf_counter()
        self._done = 0.0
        self._share = 0.0
        self._stage = ""

    @contextmanager
    def stage(self, name: str, share: float = 0.0) -> Iterator[None]:
        """A named part of the job that takes about ``share`` (0..1) of the whole time. Seconds go to ``timeline``."""
        self._stage, self._share = name, share
        begin = time.perf_counter()
        self.update(0.0)
        try:
            yield
        finally:
            self.timeline[name] = self.timeline.get(name, 0.0) + time.perf_counter() - begin
            self._done = min(1.0, self._done + share)
            self._share = 0.0

    def update(self, fraction: float) -> None:
        """Say how much of the current stage is done, 0..1.

        Raises:
            Cancelled: The user wants to stop.
        """
        self.check()
        if self.callback is None:
            return
        whole = min(1.0, self._done + self._share * fraction)
        elapsed = time.perf_counter() - self._started
        left = elapsed * (1 - whole) / whole if whole > 0.02 else None
        self.callback(self._stage, whole, left)

    def check(self) -> None:
        """Raise Cancelled if the user wants to stop."""
        if self.is_cancelled():
            raise Cancelled("Cancelled; nothing was written.")

    def warn(self, sentence: str) -> None:
        """Record something the user should know about the result."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.perf_counter() - self._started
