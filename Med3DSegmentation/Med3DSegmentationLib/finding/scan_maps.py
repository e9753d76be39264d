"""The map of an answer over its scan in the slice views: one a scan, and never over another one."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DSegmentationLib.finding.scan_step import ScanAnswer
from Med3DSegmentationLib.scene.pieces import atOnce
from Med3DSegmentationLib.scene.segmentation_nodes import placeBeside
from Med3DSegmentationLib.scene.volume_nodes import (
    LPS_RAS,
    PREVIEW_ATTRIBUTE,
    imageInPieces,
    showImage,
    toArray,
    toMatrix,
)

_ANSWER, _SCAN = "Med3D.map", "Med3D.scan"  # attribute with the answer's name; role of the reference to the scan
_COLOURS = "vtkMRMLColorTableNodeIron"
_OPACITY = 0.5
_FROM = 0.5  # part of the highest value from which on the map is seen: a faint one would lie over the whole scan


class ScanMaps:
    """Makes, shows and removes maps, and brings back what the views showed over the scan before.

    Args:
        scene: The scene.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self._former: dict[str, tuple[str | None, float]] = {}  # foreground and its opacity, by the view's node

    def nodeOf(self, volumeNode: slicer.vtkMRMLScalarVolumeNode | None) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The map of a scan, or None."""
        return next((node for node in self._nodes() if node.GetNodeReference(_SCAN) is volumeNode), None)

    def shownAnswer(self, volumeNode: slicer.vtkMRMLScalarVolumeNode | None) -> str:
        """Name of the answer that a scan's map is of; "" without one."""
        node = self.nodeOf(volumeNode)
        return node.GetAttribute(_ANSWER) if node else ""

    def show(self, volumeNode: slicer.vtkMRMLScalarVolumeNode, answer: ScanAnswer) -> None:
        """Show the map of an answer in place of the scan's former one, and bring the views to its highest place.

        An answer for which nothing in the scan speaks has no map to show.
        """
        if answer.highest <= 0:
            self.remove(volumeNode)
            return
        window, name = (0.0, answer.highest), _("{volume}: {answer}, where it was seen")
        image = atOnce(imageInPieces(answer.map))
        node = showImage(self._scene, image, answer.map.geometry, "map", self.nodeOf(volumeNode), window)
        node.SetName(name.format(volume=volumeNode.GetName(), answer=answer.name))
        node.SetAttribute(PREVIEW_ATTRIBUTE, "1")
        node.SetAttribute(_ANSWER, answer.name)
        node.SetNodeReferenceID(_SCAN, volumeNode.GetID())
        node.SetIJKToRASMatrix(toMatrix(answer.toNode @ LPS_RAS @ answer.map.geometry.index_to_physical))
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        placeBeside(self._scene, node, volumeNode)
        display = node.GetDisplayNode()
        display.SetAndObserveColorNodeID(_COLOURS)
        display.SetThreshold(_FROM * answer.highest, answer.highest)
        display.SetApplyThreshold(True)
        self.showOver(volumeNode)
        slicer.vtkMRMLSliceNode.JumpAllSlices(self._scene, *_highestPlace(node, answer))

    def remove(self, volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Remove the map of a scan, and show what was over the scan before."""
        node = self.nodeOf(volumeNode)
        if node is not None:
            self._takeOff()
            self._scene.RemoveNode(node)

    def showOver(self, volumeNode: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Show the map of this scan, if it has one, and no other: not across another patient."""
        self._takeOff()
        node = self.nodeOf(volumeNode) if volumeNode is not None else None
        for view in self._views() if node is not None else ():
            self._former[view.GetID()] = view.GetForegroundVolumeID(), view.GetForegroundOpacity()
            view.SetBackgroundVolumeID(volumeNode.GetID())
            view.SetForegroundVolumeID(node.GetID())
            view.SetForegroundOpacity(_OPACITY)

    def removeOrphans(self) -> None:
        """Remove maps whose scan has gone."""
        for node in self._nodes():
            if node.GetNodeReference(_SCAN) is None:
                self._takeOff()
                self._scene.RemoveNode(node)

    def forget(self) -> None:
        """Another scene: its views are as they were saved."""
        self._former.clear()

    def _takeOff(self) -> None:
        """Take maps out of the views, where the user has not done so, and show again what was there before."""
        maps = [node.GetID() for node in self._nodes()]
        for view in self._views():
            if view.GetForegroundVolumeID() in maps:
                former, opacity = self._former.get(view.GetID(), (None, 0.0))
                view.SetForegroundVolumeID(former if former and self._scene.GetNodeByID(former) else None)
                view.SetForegroundOpacity(opacity)
        self._former.clear()

    def _nodes(self) -> list[slicer.vtkMRMLScalarVolumeNode]:
        nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", self._scene)
        return [node for node in nodes if node.GetAttribute(_ANSWER)]

    def _views(self) -> list[slicer.vtkMRMLSliceCompositeNode]:
        return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", self._scene)


def _highestPlace(node: slicer.vtkMRMLScalarVolumeNode, answer: ScanAnswer) -> np.ndarray:
    """Where a map is highest, RAS mm in the world."""
    array = answer.map.array
    index = np.unravel_index(int(array.argmax()), array.shape)[::-1]
    matrix = toMatrix(np.eye(4))
    node.GetIJKToRASMatrix(matrix)
    place, world = toArray(matrix) @ [*map(float, index), 1.0], [0.0, 0.0, 0.0]
    node.TransformPointToWorld(place[:3].tolist(), world)
    return np.array(world)
