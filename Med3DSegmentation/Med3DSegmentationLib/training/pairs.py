"""Which segmentation of a scene was drawn on which volume."""

from __future__ import annotations

from collections.abc import Mapping

import slicer
import slicer.util
import vtk

from Med3DCore.labels import Label
from Med3DSegmentationLib.scene.own_segments import sourceVolume
from Med3DSegmentationLib.training.cases import SceneCase, addCase, casesOfScene
from Med3DSegmentationLib.training.labels import labelsOfSegmentation

COMPARISON_ATTRIBUTE = "Med3D.comparison"
"""Marks segmentations that a training made to be looked at: no cases to train with."""


def addAllPairs(scene: slicer.vtkMRMLScene, modelLabels: Mapping[str, Label]) -> list[SceneCase]:
    """Add all segmentations that show a known organ and whose volume is found; returns the new ones."""
    added = []
    cases = [case.segmentationNode for case in casesOfScene(scene)]
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
        if node in cases or node.GetAttribute(COMPARISON_ATTRIBUTE) or not labelsOfSegmentation(node, modelLabels):
            continue
        volumeNode = volumeOfSegmentation(scene, node)
        if volumeNode is not None:
            added.append(addCase(volumeNode, node))
    return added


def volumeOfSegmentation(
    scene: slicer.vtkMRMLScene, segmentationNode: slicer.vtkMRMLSegmentationNode
) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume that a segmentation was drawn on.

    That is its reference volume. A segmentation that was loaded from a file has lost it; then it is the one volume of
    the scene that has the same grid, if there is exactly one.
    """
    volumeNode = sourceVolume(segmentationNode)
    if volumeNode is not None:
        return volumeNode if _isPlain(volumeNode) else None
    grid = _gridOf(segmentationNode)
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)
    alike = [node for node in volumes if _isPlain(node) and grid is not None and _hasGrid(node, grid)]
    return alike[0] if len(alike) == 1 else None


def _isPlain(node: slicer.vtkMRMLNode) -> bool:
    return node.GetClassName() == "vtkMRMLScalarVolumeNode" and node.GetImageData() is not None


def _gridOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkOrientedImageData | None:
    """The grid on which a segmentation was stored."""
    text = segmentationNode.GetSegmentation().GetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    )
    grid = slicer.vtkOrientedImageData()
    return grid if text and slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, grid, False) else None


def _hasGrid(volumeNode: slicer.vtkMRMLScalarVolumeNode, grid: slicer.vtkOrientedImageData) -> bool:
    ours, theirs = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ours)
    grid.GetImageToWorldMatrix(theirs)
    near = all(
        abs(ours.GetElement(row, column) - theirs.GetElement(row, column)) < 1e-3
        for row in range(3)
        for column in range(4)
    )
    return near and volumeNode.GetImageData().GetDimensions() == grid.GetDimensions()
