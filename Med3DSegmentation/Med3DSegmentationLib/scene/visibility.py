"""Which segmentations are seen: those of the volume in the views, never another patient's organs across it."""

from __future__ import annotations

import slicer
import slicer.util

from Med3DSegmentationLib.scene.own_segments import sourceVolume

_HIDDEN = "Med3D.hidden"  # by us, so that what the user hid stays hidden


def isInViews(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether a slice view shows a volume."""
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", volumeNode.GetScene())
    return any(volumeNode.GetID() in (view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()) for view in views)


def showOnlyOf(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Hide the segmentations of other volumes, and bring back those of this one that were hidden for another.

    Segmentations of which no volume is known stay as they are.
    """
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", volumeNode.GetScene()):
        display, source = node.GetDisplayNode(), sourceVolume(node)
        if display is None or source is None:
            continue
        if source is not volumeNode and display.GetVisibility():
            display.SetVisibility(False)
            node.SetAttribute(_HIDDEN, "1")
        elif source is volumeNode and node.GetAttribute(_HIDDEN):
            display.SetVisibility(True)
            node.SetAttribute(_HIDDEN, None)
