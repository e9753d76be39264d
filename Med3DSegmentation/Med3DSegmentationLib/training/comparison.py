"""What the model found before and after a training, side by side on a case that it was not trained with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.scene.own_segments import OWN_TAGS
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.segmentation_history import Changes
from Med3DSegmentationLib.scene.segmentation_nodes import labelMapInPieces, newSegmentationNode
from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode
from Med3DSegmentationLib.training.pairs import COMPARISON_ATTRIBUTE

BEFORE, AFTER = "before", "after"
# Orange and blue: apart from each other and from all organs, also for impaired colour vision.
COLOURS = {BEFORE: (0.90, 0.62, 0.0), AFTER: (0.0, 0.45, 0.85)}


def addComparison(
    scene: slicer.vtkMRMLScene, volumeNode: slicer.vtkMRMLScalarVolumeNode, labelMap: LabelMap, when: str
) -> Pieces[slicer.vtkMRMLSegmentationNode]:
    """Put a result beside its volume, as outlines in one colour; yields often.

    Args:
        scene: The scene of the volume.
        volumeNode: The volume; moved meanwhile with its transform, it takes the result along.
        labelMap: What was found.
        when: ``BEFORE`` or ``AFTER``.
    """
    if labelMap.array.shape == volumeNode.GetImageData().GetDimensions()[::-1]:
        labelMap = replace(labelMap, geometry=geometryFromNode(volumeNode))
    node = newSegmentationNode(scene, volumeNode)
    title = _("{volume} before") if when == BEFORE else _("{volume} after")
    node.SetName(scene.GenerateUniqueName(title.format(volume=volumeNode.GetName())))
    node.SetAttribute(COMPARISON_ATTRIBUTE, when)
    yield from labelMapInPieces(Changes(node), labelMap, volumeNode)
    segmentation = node.GetSegmentation()
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        segment.SetColor(*COLOURS[when])
        for tag in OWN_TAGS:  # no result that the next segmentation adds to
            segment.RemoveTag(tag)
    display = node.GetDisplayNode()
    display.SetAllSegmentsVisibility2DFill(False)
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(2)
    return node


def markVolume(volumeNode: slicer.vtkMRMLScalarVolumeNode, folder: str, name: str) -> None:
    """Let a volume be known again as a case of a training, also in the saved scene.

    A name alone would not do: another patient's volume may have it.

    Args:
        volumeNode: The volume.
        folder: Of the training.
        name: Of the case.
    """
    volumeNode.SetAttribute(_mark(folder), name)


def markedVolume(scene: slicer.vtkMRMLScene, folder: str, name: str) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume that :func:`markVolume` marked so, or None."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)
    return next((node for node in nodes if node.GetAttribute(_mark(folder)) == name), None)


def _mark(folder: str) -> str:
    return f"Med3D.training.{Path(folder).name}"
