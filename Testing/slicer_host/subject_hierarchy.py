"""Stand-in for Slicer's subject hierarchy plug-in logic: an item for each data node.

The hierarchy node and its whole API are real; only the automatic upkeep lives in Slicer's Qt half. Optional, because
code must also cope with a node that has no item (yet).
"""

from __future__ import annotations

import slicer
import vtk


class SubjectHierarchyItems:
    """Keeps one item a data node, from construction until :meth:`stop`.

    Args:
        scene: The scene to watch.
    """

    def __init__(self, scene) -> None:
        self._scene = scene
        events = slicer.vtkMRMLScene
        self._tags = [
            scene.AddObserver(events.NodeAddedEvent, _with_node(self._add)),
            scene.AddObserver(events.NodeAboutToBeRemovedEvent, _with_node(self._remove)),
            scene.AddObserver(events.EndImportEvent, self._add_missing),
        ]

    def stop(self) -> None:
        """Watch no longer."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)

    def _add(self, node) -> None:
        # A loading scene brings its own items; creating one now would double it.
        if self._scene.IsImporting() or not _is_data(node):
            return
        hierarchy = self._hierarchy()
        if not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    def _remove(self, node) -> None:
        if not _is_data(node):
            return
        item = self._hierarchy().GetItemByDataNode(node)
        if item:
            self._hierarchy().RemoveItem(item, False, False)

    def _add_missing(self, _scene, _event) -> None:
        for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode"):
            self._add(node)

    def _hierarchy(self):
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)


def _is_data(node) -> bool:
    return node.IsA("vtkMRMLDisplayableNode") and not node.GetHideFromEditors()


def _with_node(function):
    def observer(_scene, _event, node) -> None:
        function(node)

    observer.CallDataType = vtk.VTK_OBJECT
    return observer
