"""The mouse wheel over a panel scrolls it, and changes nothing: no case's use or volume as it comes by."""

from __future__ import annotations

from typing import Any

import qt
import slicer.util

_CLASSES = ("*ComboBox", "*SpinBox", "*Slider")  # what Qt lets the wheel change, even without a click on it


class _WheelScrolls(qt.QObject):
    """Leaves the wheel to what is around the widget."""

    def eventFilter(self, widget: Any, event: Any) -> bool:  # noqa: ARG002 - Qt's signature
        if event.type() != qt.QEvent.Wheel:
            return False
        event.ignore()
        return True


_filter = _WheelScrolls()


def letWheelScroll(root: Any) -> None:
    """Do so with all boxes and sliders of a panel.

    Args:
        root: A panel's widget, or such a box.
    """
    found = [child for kind in _CLASSES for child in slicer.util.findChildren(root, className=kind)]
    for widget in found or [root]:
        widget.installEventFilter(_filter)
