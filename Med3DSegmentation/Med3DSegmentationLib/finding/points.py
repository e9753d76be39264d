"""Markups points: where to look, and what was said of them."""

from __future__ import annotations

from collections.abc import Mapping

import slicer

from Med3DSegmentationLib.scene.volume_nodes import LPS_RAS


def placedPoints(pointsNode: slicer.vtkMRMLMarkupsFiducialNode) -> list[int]:
    """Indices of the points that have a place."""
    placed = slicer.vtkMRMLMarkupsNode.PositionDefined
    count = pointsNode.GetNumberOfControlPoints()
    return [i for i in range(count) if pointsNode.GetNthControlPointPositionStatus(i) == placed]


def placeLps(pointsNode: slicer.vtkMRMLMarkupsFiducialNode, index: int) -> list[float]:
    """Where a point lies in the world, LPS mm."""
    position = [0.0, 0.0, 0.0]
    pointsNode.GetNthControlPointPositionWorld(index, position)
    return (LPS_RAS[:3, :3] @ position).tolist()


def describe(pointsNode: slicer.vtkMRMLMarkupsFiducialNode, texts: Mapping[str, str]) -> dict[str, str]:
    """Write the descriptions of points, which Markups lists beside their names and saves with them.

    Args:
        pointsNode: The points.
        texts: By the points' IDs; those of points that have gone are left out.

    Returns:
        The descriptions before, with which the same call takes it back.
    """
    former = {}
    for index in range(pointsNode.GetNumberOfControlPoints()):
        identifier = pointsNode.GetNthControlPointID(index)
        if identifier in texts:
            former[identifier] = pointsNode.GetNthControlPointDescription(index)
            pointsNode.SetNthControlPointDescription(index, texts[identifier])
    return former


def startPlacing(scene: slicer.vtkMRMLScene, pointsNode: slicer.vtkMRMLMarkupsFiducialNode) -> None:
    """Let each click in a view place another point, until the user stops with the right button or Esc."""
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    interaction = scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    selection.SetReferenceActivePlaceNodeClassName(pointsNode.GetClassName())
    selection.SetReferenceActivePlaceNodeID(pointsNode.GetID())
    interaction.SetPlaceModePersistence(1)
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)
