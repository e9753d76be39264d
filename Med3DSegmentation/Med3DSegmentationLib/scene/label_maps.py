"""Segmentation nodes to the engine's label maps: what somebody drew or corrected, as a case to train with."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.io.overlay import Overlay
from Med3DCore.labels import Label
from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.scene.segment_arrays import cropToContent, maskOfSegment, orientedImage
from Med3DSegmentationLib.scene.tilted_volumes import scanGeometry, scanGeometryInFile
from Med3DSegmentationLib.scene.volume_nodes import ijkToRasMatrix, toArray, toMatrix, worldMatrix


def labelMapFromSegmentation(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    segments: dict[str, Label],
    inFile: bool = False,
) -> LabelMap:
    """Segments as labels on a volume's grid: a case to train with, or a result to save.

    Args:
        segmentationNode: May lie on another grid and under another linear transform; resampled to the nearest voxel.
        volumeNode: The grid; of a tilted gantry the straight one, see :mod:`.tilted_volumes`.
        segments: Segment ID to label. Several may mean the same; where different ones overlap both are kept.
        inFile: Whether the grid is told as the volume's file has it, instead of where it lies in the world by now.

    Raises:
        SettingError: There is no such segment.
        VolumeError: The volume cannot be used, see :func:`.volume_nodes.volumeFromNode`, or more segments overlap than
            can be kept apart.
    """
    grid, toVolume = scanGeometryInFile(volumeNode), _between(segmentationNode, volumeNode)
    labels = tuple(dict.fromkeys(segments.values()))
    overlay = Overlay(grid.shape, len(labels), segmentationNode.GetName())
    for segmentId, label in segments.items():
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
        if segment is None:
            sentence = _("{segmentation} has no segment '{segment}'; choose another one.")
            raise SettingError(sentence.format(segmentation=segmentationNode.GetName(), segment=segmentId))
        found = maskOfSegment(segment)
        if found is not None:
            _lay(overlay, grid, found, toVolume, labels.index(label) + 1)
    geometry = grid if inFile else scanGeometry(volumeNode)
    return LabelMap(overlay.array, geometry, segmentationNode.GetName(), labels, overlay.overlaps)


def _between(
    segmentationNode: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> np.ndarray:
    """4x4 matrix from below a segmentation's transform to below the volume's."""
    if segmentationNode.GetTransformNodeID() == volumeNode.GetTransformNodeID():
        return np.eye(4)
    ours, theirs = (worldMatrix(node.GetParentTransformNode(), node) for node in (segmentationNode, volumeNode))
    return np.linalg.inv(theirs) @ ours


def _lay(
    overlay: Overlay,
    grid: Geometry,
    found: tuple[np.ndarray, slicer.vtkOrientedImageData],
    toVolume: np.ndarray,
    value: int,
) -> None:
    """Lay a segment's mask over the others, where it lies on a grid."""
    mask, image = found
    part, start = cropToContent(mask)
    if part.size == 0:
        return
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    extent = image.GetExtent()
    start = tuple(first + extent[2 * (2 - axis)] for axis, first in enumerate(start))
    toGrid = toVolume @ toArray(matrix)
    shift = _voxelShift(np.linalg.inv(toArray(ijkToRasMatrix(grid))) @ toGrid)
    if shift is not None:
        place, inside = _place(overlay.array.shape, part, start + shift)
        overlay.lay(inside * np.uint8(value), place)
        return
    source = orientedImage(part, start, toMatrix(toGrid))
    reference = slicer.vtkOrientedImageData()
    reference.SetDimensions(grid.size)
    reference.SetGeometryFromImageToWorldMatrix(ijkToRasMatrix(grid))
    resampled = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(source, reference, resampled)
    values = vtk_to_numpy(resampled.GetPointData().GetScalars())
    overlay.lay((values.reshape(overlay.array.shape) > 0) * np.uint8(value))


def _voxelShift(toReference: np.ndarray) -> np.ndarray | None:
    """Whole voxels (z, y, x) between two grids that are otherwise the same; None if they are not."""
    shift = np.round(toReference[:3, 3])
    moved = np.eye(4)
    moved[:3, 3] = shift
    return shift[::-1].astype(int) if np.allclose(toReference, moved, atol=1e-3) else None


def _place(
    shape: tuple[int, int, int], part: np.ndarray, start: np.ndarray
) -> tuple[tuple[slice, slice, slice], np.ndarray]:
    """Where a part that begins at an index lies in an array of a shape, and that piece of the part."""
    first, last = np.maximum(start, 0), np.minimum(start + part.shape, shape)
    last = np.maximum(first, last)
    here = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    there = tuple(slice(a, b) for a, b in zip(first - start, last - start, strict=True))
    return here, part[there]
