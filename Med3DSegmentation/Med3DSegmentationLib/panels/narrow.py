"""Names of any length in a panel as narrow as the user has made it."""

from __future__ import annotations

import html
from typing import Any

import qt
import slicer.util


def letNamesShrink(root: Any) -> None:
    """Let no name widen a panel, which would push buttons out of sight.

    Labels that wrap may be narrower than their longest word, boxes of nodes than their longest name.

    Args:
        root: A panel's widget.
    """
    for label in slicer.util.findChildren(root, className="QLabel"):
        if label.wordWrap:
            label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
    for box in slicer.util.findChildren(root, className="qMRMLNodeComboBox"):
        box.setProperty("sizeAdjustPolicy", qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)


def notHtml(text: str) -> str:
    """A text for a tool tip or a message box, which Qt would take for HTML if a name in it looks like that."""
    escaped = html.escape(text, quote=False).replace("\n", "<br>")
    return f"<qt>{escaped}</qt>" if "<" in text else text


def showNamesAsTheyAre(root: Any) -> None:
    """Let no name of a volume, case or model be taken for HTML: part of it would be hidden, or a picture loaded.

    Args:
        root: A panel's widget.
    """
    for label in slicer.util.findChildren(root, className="QLabel"):
        label.setTextFormat(qt.Qt.PlainText)
