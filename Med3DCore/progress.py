"""Progress, time left, cancelling, and the time line of a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from Med3DCore.errors import Cancelled

ProgressCallback = Callable[[str, float, "float | None"], None]
MetricCallback = Callable[[str, int, "float | None", "dict | None"], None]


@dataclass
class Progress:
    """Follows a job of several stages. Give one to any long function of the engine.

    Args:
        callback: Called with (stage, fraction of the whole job 0..1, seconds left or None).
        is_cancelled: Asked between small pieces of work; True stops the job.
        on_metric: Called with (stage, step, loss or None, scores or None) while something is trained.

    Examples:
        >>> progress = Progress()
        >>> with progress.stage("read", share=0.2):
        ...     progress.update(0.5)
        >>> list(progress.timeline)
        ['read']
    """

    callback: ProgressCallback | None = None
    is_cancelled: Callable[[], bool] = lambda: False
    on_metric: MetricCallback | None = None
    timeline: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    flags: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._started = time.perf_counter()
        self._done = 0.0
        self._skipped = 0.0
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
        done = whole - self._skipped
        left = elapsed * (1 - whole) / done if done > 0.02 else None
        self.callback(self._stage, whole, left)

    def skip(self, fraction: float) -> None:
        """Say how much of the current stage was done before, so that the time left is not thought too short."""
        self._skipped += self._share * fraction

    def metric(self, step: int, loss: float | None = None, scores: dict | None = None) -> None:
        """Tell how a training does: the loss of a step, or scores on the cases that it is checked on."""
        if self.on_metric is not None:
            self.on_metric(self._stage, step, loss, scores)

    def check(self) -> None:
        """Raise Cancelled if the user wants to stop."""
        if self.is_cancelled():
            raise Cancelled("Cancelled; nothing was written.")

    def warn(self, sentence: str, label: str = "", flag: str = "") -> None:
        """Record something the user should know about the result.

        Args:
            sentence: For people.
            label: Name of the label that it is about, if it is about one.
            flag: What is wrong with the label, a word for programs such as "cut"; goes to ``flags``.
        """
        if sentence not in self.warnings:
            self.warnings.append(sentence)
            if flag:
                self.flags.append({"label": label, "flag": flag, "sentence": sentence})

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.perf_counter() - self._started
