"""What to do with scans of another kind than the model was made for: the user decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DCore.preprocessing.hounsfield import NOT_CT
from Med3DSegmentationLib.panels.narrow import notHtml


def isNotCt(outcome: Any) -> bool:
    """Whether a scan was refused because it is of another kind than the model was made for."""
    return isinstance(outcome, Med3DError) and outcome.code == NOT_CT


def askAboutScans(errors: Sequence[Med3DError], allTheSame: str) -> dict[str, Any] | None:
    """Ask what to do with scans that are no CT.

    Args:
        errors: Why they were refused.
        allTheSame: The button to do it, such as "Segment all the same".

    Returns:
        More arguments of the logic's method, or None to leave it. The offset that is missing is offered only where the
        engine recognised it in all of them.
    """
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.windowTitle = _("Not a CT?")
    box.icon = qt.QMessageBox.Question
    box.text = notHtml("\n".join(dict.fromkeys(map(str, errors))))
    box.informativeText = _("A model for CT finds little of use in other images.")
    offsets = {error.facts.get("offset") for error in errors}
    offset = offsets.pop() if len(offsets) == 1 else None
    buttons = qt.QMessageBox.Yes | qt.QMessageBox.No
    box.setStandardButtons(buttons | qt.QMessageBox.Apply if offset else buttons)
    box.button(qt.QMessageBox.Yes).text = allTheSame
    if offset:
        box.button(qt.QMessageBox.Apply).text = _("It is a CT: add {offset}").format(offset=offset)
    box.setDefaultButton(qt.QMessageBox.No)
    choice = box.exec_()
    if choice == qt.QMessageBox.Yes:
        return {"notCt": True}
    return {"offset": offset} if choice == qt.QMessageBox.Apply else None
