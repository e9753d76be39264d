"""Markups points: where to look, and what was said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import slicer

from Med3DSegmentationLib.scene.volume_nodes import LPS_RAS

_STILL_MM = 0.01


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


def liesAt(pointsNode: slicer.vtkMRMLMarkupsFiducialNode, identifier: str, place: Sequence[float]) -> bool:
    """Whether the point of an ID is there and lies where it lay, world LPS mm."""
    index = pointsNode.GetNthControlPointIndexByID(identifier)
    return index >= 0 and math.dist(placeLps(pointsNode, index), place) < _STILL_MM


def descriptions(pointsNode: slicer.vtkMRMLMarkupsFiducialNode) -> dict[str, str]:
    """The descriptions of all points, by their IDs."""
    indices = range(pointsNode.GetNumberOfControlPoints())
    return {pointsNode.GetNthControlPointID(i): pointsNode.GetNthControlPointDescription(i) for i in indices}


def describe(pointsNode: slicer.vtkMRMLMarkupsFiducialNode, texts: Mapping[str, str]) -> None:
    """Write the descriptions of points, which Markups lists beside their names and saves with them.

    Args:
        pointsNode: The points.
        texts: By the points' IDs; those of points that have gone are left out.
    """
    for identifier, text in texts.items():
        index = pointsNode.GetNthControlPointIndexByID(identifier)
        if index >= 0:
            pointsNode.SetNthControlPointDescription(index, text)


def startPlacing(scene: slicer.vtkMRMLScene, pointsNode: slicer.vtkMRMLMarkupsFiducialNode) -> None:
    """Let each click in a view place another point, until the user stops with the right button or Esc."""
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    interaction = scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    selection.SetReferenceActivePlaceNodeClassName(pointsNode.GetClassName())
    selection.SetReferenceActivePlaceNodeID(pointsNode.GetID())
    interaction.SetPlaceModePersistence(1)
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)
