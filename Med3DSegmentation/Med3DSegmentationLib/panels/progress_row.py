"""A progress bar with stage and time left, and Cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.progress_texts import timeLeft


class ProgressRow:
    """Shown while something runs.

    Args:
        ui: Has ``progressRow`` with ``progressLabel``, ``progressBar`` (0 to 1000) and ``cancelButton`` in it.
        onCancel: Called when the user presses Cancel.
    """

    def __init__(self, ui: Any, onCancel: Callable[[], None]) -> None:
        self._ui, self._onCancel = ui, onCancel
        ui.cancelButton.connect("clicked()", self._cancel)
        self.end()

    def begin(self) -> None:
        """Something has begun."""
        self._ui.progressLabel.text = _("Starting...")
        self._ui.progressBar.value = 0
        self._ui.cancelButton.enabled = True
        self._ui.progressRow.visible = True

    def advance(self, stage: str, fraction: float, secondsLeft: float | None) -> None:
        """How far it is: a ProgressCallback, with the stage in words."""
        self._ui.progressLabel.text = stage if secondsLeft is None else f"{stage}, {timeLeft(secondsLeft)}"
        self._ui.progressBar.value = round(1000 * fraction)

    def end(self) -> None:
        """It has ended, in one way or another."""
        self._ui.progressRow.visible = False

    def _cancel(self) -> None:
        self._ui.progressLabel.text = _("Cancelling...")
        self._ui.cancelButton.enabled = False
        self._onCancel()
