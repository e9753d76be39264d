"""What runs in the tab Find: one request at a time, asked again with what the user allows for scans that are no CT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.engine.jobs import Job
from Med3DSegmentationLib.panels.progress_row import ProgressRow
from Med3DSegmentationLib.panels.scan_question import askAboutScans, isNotCt
from Med3DSegmentationLib.panels.services import PanelServices


class Search:
    """Begins, follows and ends what the parts of the tab ask of the engine.

    Args:
        services: The panel's.
        ui: Has the widgets of a ProgressRow.
    """

    def __init__(self, services: PanelServices, ui: Any) -> None:
        self._services = services
        self._progress = ProgressRow(ui, self._cancel)
        self._job: Job | None = None
        self._isClosed = False

    @property
    def isRunning(self) -> bool:
        """Whether something was begun here and has not ended."""
        return self._job is not None

    def begin(self, reason: str, start: Callable[..., Job], onFinished: Callable[[Any], None]) -> None:
        """Ask for something.

        Args:
            reason: A sentence for disabled buttons while it runs.
            start: Starts the job; gets its callbacks by name, and what the user allows.
            onFinished: Gets the result before the buttons are enabled again.
        """

        def finished(result: Any) -> None:
            onFinished(result)
            self._end()

        def failed(error: Med3DError) -> None:
            self._end()
            if isNotCt(error):  # not in a callback of the engine, which has its other answers to give
                self._services.engine.callSoon(lambda: again(error))
            else:
                self._services.showError(error)

        def again(error: Med3DError) -> None:
            if self._isClosed or self._services.activity.isRunning:
                return
            allowed = askAboutScans([error], _("Look all the same"))
            if allowed is None:
                self._services.showError(error)
            else:
                go(allowed)

        def go(allowed: dict[str, Any]) -> None:
            self._services.activity.begin(reason)
            self._progress.begin()
            callbacks = {"onProgress": self._progress.advance, "onFinished": finished, "onError": failed}
            try:
                job = start(**allowed, **callbacks)
            except Med3DError as error:
                failed(error)
                return
            self._job = job if job.isRunning else None
            self._services.activity.tell()

        go({})

    def close(self) -> None:
        """Ask nothing more."""
        self._isClosed = True

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def _end(self) -> None:
        self._job = None
        self._progress.end()
        self._services.activity.end()


def howItWent(result: Any) -> list[str]:
    """Which model answered, where and how fast, and its warnings: the last lines under a result."""
    line = _("{model} on {device}, {seconds} s")
    about = line.format(model=result.model, device=result.device, seconds=f"{result.totalSeconds:.1f}")
    return [about, *(f"\u26a0 {warning}" for warning in result.warnings)]
