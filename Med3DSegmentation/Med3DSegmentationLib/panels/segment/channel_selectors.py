"""A selector for each further image that a model takes of a patient, below that of the volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.panels.keyboard import letTabFollow
from Med3DSegmentationLib.panels.narrow import notHtml
from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.selector import hidePreviews
from Med3DSegmentationLib.panels.wheel import letWheelScroll
from Med3DSegmentationLib.scene.further_volumes import furtherVolumes, rememberFurther

_FIRST_ROW = 1  # of the form; above it is the volume's own
_LONGEST = 16  # characters of a name, which must not widen the panel


class ChannelSelectors:
    """Shows a row for each image, named as the model names it; with a model of one image, none, and all is as without.

    Args:
        form: Widget whose layout is a form with the volume's selector in its first row.
        label: Of that row; it tells which image the volume is.
        selector: Of that row.
        scene: The scene.
        onChosen: Called when the user chose a volume.
    """

    def __init__(
        self, form: Any, label: Any, selector: Any, scene: slicer.vtkMRMLScene, onChosen: Callable[[], None]
    ) -> None:
        self._form, self._label, self._selector, self._scene, self._onChosen = form, label, selector, scene, onChosen
        self._plainText = label.text
        self._rows: list[tuple[Any, Any]] = []
        self._names: Sequence[str] = ()
        self._volumeNode: slicer.vtkMRMLScalarVolumeNode | None = None

    def refresh(self, names: Sequence[str], volumeNode: slicer.vtkMRMLScalarVolumeNode | None, reason: str) -> None:
        """Show the rows of a model, and what is chosen beside a volume.

        Args:
            names: Of the images that the model takes, the volume's first; none for a model of one.
            volumeNode: The chosen volume, or None.
            reason: Why nothing can be chosen now, or "".
        """
        self._names, self._volumeNode = names[1:], volumeNode
        if names:
            _name(self._label, names[0])
        else:
            self._label.text, self._label.toolTip = self._plainText, ""
        while len(self._rows) < len(self._names):
            self._addRow()
        chosen = furtherVolumes(volumeNode, self._names)
        for index, (label, box) in enumerate(self._rows):
            label.visible = box.visible = index < len(self._names)
            if index >= len(self._names):
                continue
            _name(label, self._names[index])
            hidePreviews(box, self._scene)
            box.setCurrentNode(chosen[index])
            toolTip = _("The image {name} of the same patient, on the same grid as {first}")
            allow(box, reason, toolTip.format(name=self._names[index], first=names[0]))

    def _addRow(self) -> None:
        index, label, box = len(self._rows), qt.QLabel(), slicer.qMRMLNodeComboBox()
        label.setTextFormat(qt.Qt.PlainText)
        box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        box.showChildNodeTypes = box.addEnabled = box.removeEnabled = False
        box.noneEnabled = True
        box.setProperty("sizeAdjustPolicy", qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        box.setMRMLScene(self._scene)
        # What the user chose, and not the neighbour that the box takes for a volume that was removed.
        box.connect("nodeActivated(vtkMRMLNode*)", lambda node: self._choose(index, node))
        self._form.layout().insertRow(_FIRST_ROW + index, label, box)
        letTabFollow(box, self._rows[-1][1] if self._rows else self._selector)
        letWheelScroll(box)
        self._rows.append((label, box))

    def _choose(self, index: int, node: slicer.vtkMRMLNode | None) -> None:
        if self._volumeNode is not None and index < len(self._names):
            rememberFurther(self._volumeNode, self._names[index], node)
            self._onChosen()


def _name(label: Any, name: str) -> None:
    """Show a name, cut if it is long, and whole in the tool tip."""
    label.text = f"{name}:" if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\u2026:"
    label.toolTip = notHtml(name)
