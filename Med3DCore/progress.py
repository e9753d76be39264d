"""Progress, time left, cancelling, and the time line of a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from Med3DCore.errors import Cancelled

ProgressCallback = Callable[[str, float, "float | None"], None]
MetricCallback = Callable[[str, int, "float | None", "dict | None", "dict | None"], None]


@dataclass
class Progress:
    """Follows a job of several stages. Give one to any long function of the engine.

    Args:
        callback: Called with (stage, fraction of the whole job 0..1, seconds left or None).
        is_cancelled: Asked between small pieces of work; True stops the job.
        on_metric: Called as :meth:`metric`, the stage first, while something is trained.

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
        self._uncounted: float | None = None
        self._end: float | None = None

    @contextmanager
    def stage(self, name: str, share: float = 0.0) -> Iterator[None]:
        """A named part of the job that takes about ``share`` (0..1) of the whole time. Seconds go to ``timeline``.

        One without a share happens once, such as starting torch: the time left is reckoned as if it had not been, and
        without the wait for the first stage.
        """
        self._stage, self._share = name, share
        begin = time.perf_counter()
        if self._uncounted is None:
            self._uncounted = begin - self._started
        uncounted = self._uncounted
        self.update(0.0)
        try:
            yield
        finally:
            seconds = time.perf_counter() - begin
            self.timeline[name] = self.timeline.get(name, 0.0) + seconds
            if share == 0.0:
                self._uncounted = uncounted + seconds  # those of stages within it, too
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
        self.callback(self._stage, whole, self._seconds_left(whole))

    def within(self, seconds: float) -> None:
        """Say that all shall be done in so many seconds from now; while they last, no more is told as left."""
        self._end = time.perf_counter() + seconds

    def _seconds_left(self, whole: float) -> float | None:
        now = time.perf_counter()
        elapsed, done = now - self._started - (self._uncounted or 0.0), whole - self._skipped
        reckoned = elapsed * (1 - whole) / done if done > 0.02 else None
        given = None if self._end is None or now >= self._end else self._end - now
        return min((each for each in (reckoned, given) if each is not None), default=None)

    def skip(self, fraction: float) -> None:
        """Say how much of the current stage was done before, so that the time left is not thought too short."""
        self._skipped += self._share * fraction

    def metric(
        self, step: int, loss: float | None = None, scores: dict | None = None, false_positive_ml: dict | None = None
    ) -> None:
        """Tell how a training does.

        Args:
            step: Steps done.
            loss: Of the last one.
            scores: On the cases that it is checked on, ``{label: {case: number}}``.
            false_positive_ml: What was found in those of them that do not show a label, ``{label: {case: mL}}``.
        """
        if self.on_metric is not None:
            self.on_metric(self._stage, step, loss, scores, false_positive_ml)

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
