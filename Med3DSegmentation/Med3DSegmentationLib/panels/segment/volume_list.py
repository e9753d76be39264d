"""The volumes of the scene with a tick each: those to segment one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
import slicer.util

from Med3DSegmentationLib.panels.narrow import notHtml
from Med3DSegmentationLib.scene.volume_nodes import plainVolumes

_ROLE = "severalVolumes"  # of the parameter node's references; the wrapper's lists of nodes keep removed ones


class VolumeList:
    """Keeps the ticks as references of the parameter node, so that they are saved with the scene.

    Args:
        view: A QListWidget.
        scene: The scene.
        onChanged: Called when the user ticked something.
    """

    def __init__(self, view: Any, scene: slicer.vtkMRMLScene, onChanged: Callable[[], None]) -> None:
        self._view, self._scene, self._onChanged = view, scene, onChanged
        self._parameters: Any = None
        self._node: slicer.vtkMRMLScriptedModuleNode | None = None
        self._shown: list[tuple[str, str, bool]] = []
        view.connect("itemChanged(QListWidgetItem*)", self._onItemChanged)

    def chosen(self) -> list[slicer.vtkMRMLScalarVolumeNode]:
        """The ticked volumes."""
        return [node for node in plainVolumes(self._scene) if node.GetID() in self._ids()]

    def refresh(self, parameterNode: Any) -> None:
        """Show the volumes that there are by now."""
        self._parameters, self._node = parameterNode, parameterNode.parameterNode
        shown = [(node.GetID(), node.GetName(), node.GetID() in self._ids()) for node in plainVolumes(self._scene)]
        if shown == self._shown:
            return
        self._shown = shown
        blocked = self._view.blockSignals(True)
        self._view.clear()
        for nodeId, name, ticked in shown:
            item = qt.QListWidgetItem(name)
            item.setToolTip(notHtml(name))  # a long one is cut
            item.setData(qt.Qt.UserRole, nodeId)
            item.setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)
            self._view.addItem(item)
        self._view.blockSignals(blocked)

    def tickAll(self, ticked: bool) -> None:
        """Tick all volumes, or none."""
        self._keep([nodeId for nodeId, _name, _ticked in self._shown] if ticked else [])
        self.refresh(self._parameters)
        self._onChanged()

    def _ids(self) -> set[str]:
        count = self._node.GetNumberOfNodeReferences(_ROLE)
        return {self._node.GetNthNodeReferenceID(_ROLE, i) for i in range(count)}

    def _onItemChanged(self, changed: Any) -> None:  # noqa: ARG002 - the signal's argument
        items = (self._view.item(row) for row in range(self._view.count))
        ticked = [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Checked]
        # First of all, lest the list is filled anew while its item still tells of its change.
        self._shown = [(nodeId, name, nodeId in ticked) for nodeId, name, _ticked in self._shown]
        self._keep(ticked)
        self._onChanged()

    def _keep(self, ticked: Sequence[str]) -> None:
        with slicer.util.NodeModify(self._node):
            self._node.RemoveNodeReferenceIDs(_ROLE)
            for nodeId in ticked:
                self._node.AddNodeReferenceID(_ROLE, nodeId)
