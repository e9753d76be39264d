"""Names of any length in a panel as narrow as the user has made it."""

from __future__ import annotations

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


def showNamesAsTheyAre(root: Any) -> None:
    """Let no name of a volume, case or model be taken for HTML: part of it would be hidden, or a picture loaded.

    Args:
        root: A panel's widget.
    """
    for label in slicer.util.findChildren(root, className="QLabel"):
        label.setTextFormat(qt.Qt.PlainText)
