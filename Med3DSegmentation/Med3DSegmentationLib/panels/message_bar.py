"""A sentence above the tabs, with details to unfold: no window that has to be clicked away."""

from __future__ import annotations

import traceback
from typing import Any

import qt

from Med3DCore.errors import Cancelled, Med3DError


class MessageBar:
    """Shows the last error until it is closed or something else begins.

    Args:
        ui: Has ``messageFrame`` and the widgets in it.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        ui.messageDetailsButton.connect("toggled(bool)", lambda on: ui.messageDetails.setVisible(on))
        ui.messageCloseButton.connect("clicked()", self.clear)

    def show(self, error: Med3DError) -> None:
        """Show an error; Cancelled is what the user wanted, so it gets no warning sign."""
        style = self._ui.messageFrame.style()
        cancelled = isinstance(error, Cancelled)
        kind = qt.QStyle.SP_MessageBoxInformation if cancelled else qt.QStyle.SP_MessageBoxWarning
        self._ui.messageIcon.setPixmap(style.standardIcon(kind).pixmap(24, 24))
        self._ui.messageLabel.text = str(error)
        details = detailsOf(error)
        self._ui.messageDetails.setPlainText(details)
        self._ui.messageDetailsButton.checked = False
        self._ui.messageDetailsButton.visible = bool(details)
        self._ui.messageFrame.visible = True

    def clear(self) -> None:
        """Hide it."""
        self._ui.messageFrame.visible = False


def detailsOf(error: Med3DError) -> str:
    """What a report of the problem needs: the engine's traceback, the log of a dead engine, or our own traceback."""
    details = getattr(error, "details", "") or "\n".join(getattr(error, "log", ()))
    cause = error.__cause__
    return details or ("".join(traceback.format_exception(cause)) if cause else "")
