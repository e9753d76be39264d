"""Segmentation nodes to the engine's label maps: what somebody drew or corrected, as a case to train with."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.tasks import Label
from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.scene.segment_arrays import cropToContent, maskOfSegment, orientedImage
from Med3DSegmentationLib.scene.volume_nodes import (
    arrayFromVolumeNode,
    geometryFromNode,
    ijkToRasMatrix,
    toArray,
    toMatrix,
    worldMatrix,
)


def labelMapFromSegmentation(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    segments: dict[str, Label],
) -> LabelMap:
    """Segments as labels on a volume's grid: a case to train with.

    Args:
        segmentationNode: May lie on another grid and under another linear transform; resampled to the nearest voxel.
        volumeNode: The grid.
        segments: Segment ID to label. Several may mean the same; where different ones overlap, the later wins.

    Raises:
        SettingError: There is no such segment.
        VolumeError: The volume cannot be used, see :func:`.volume_nodes.volumeFromNode`.
    """
    geometry = geometryFromNode(volumeNode)
    array = np.zeros(arrayFromVolumeNode(volumeNode).shape, np.uint8)
    labels = tuple(dict.fromkeys(segments.values()))
    toWorld = worldMatrix(segmentationNode.GetParentTransformNode(), segmentationNode)
    for segmentId, label in segments.items():
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
        if segment is None:
            sentence = _("{segmentation} has no segment '{segment}'; choose another one.")
            raise SettingError(sentence.format(segmentation=segmentationNode.GetName(), segment=segmentId))
        found = maskOfSegment(segment)
        if found is not None:
            _paint(array, geometry, found, toWorld, labels.index(label) + 1)
    return LabelMap(array, geometry, segmentationNode.GetName(), labels)


def _paint(
    array: np.ndarray,
    geometry: Geometry,
    found: tuple[np.ndarray, slicer.vtkOrientedImageData],
    toWorld: np.ndarray,
    value: int,
) -> None:
    """Write a value where a segment's mask lies on a grid."""
    mask, image = found
    part, start = cropToContent(mask)
    if part.size == 0:
        return
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    extent = image.GetExtent()
    start = tuple(first + extent[2 * (2 - axis)] for axis, first in enumerate(start))
    sourceToWorld, referenceToWorld = toWorld @ toArray(matrix), toArray(ijkToRasMatrix(geometry))
    shift = _voxelShift(np.linalg.inv(referenceToWorld) @ sourceToWorld)
    if shift is not None:
        target, inside = _overlap(array, part, start + shift)
        target[inside] = value
        return
    source = orientedImage(part, start, toMatrix(sourceToWorld))
    reference = slicer.vtkOrientedImageData()
    reference.SetDimensions(geometry.size)
    reference.SetGeometryFromImageToWorldMatrix(ijkToRasMatrix(geometry))
    resampled = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(source, reference, resampled)
    values = vtk_to_numpy(resampled.GetPointData().GetScalars())
    array[values.reshape(array.shape) > 0] = value


def _voxelShift(toReference: np.ndarray) -> np.ndarray | None:
    """Whole voxels (z, y, x) between two grids that are otherwise the same; None if they are not."""
    shift = np.round(toReference[:3, 3])
    moved = np.eye(4)
    moved[:3, 3] = shift
    return shift[::-1].astype(int) if np.allclose(toReference, moved, atol=1e-3) else None


def _overlap(array: np.ndarray, part: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a part that begins at an index lies in an array, and that piece of the part."""
    first, last = np.maximum(start, 0), np.minimum(start + part.shape, array.shape)
    last = np.maximum(first, last)
    here = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    there = tuple(slice(a, b) for a, b in zip(first - start, last - start, strict=True))
    return array[here], part[there]
