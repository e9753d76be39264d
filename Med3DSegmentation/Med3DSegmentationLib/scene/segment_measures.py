"""What a segment measures by now: its volume and the mean of the scan in it, counted slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.segment_arrays import cropToContent, maskOfSegment
from Med3DSegmentationLib.scene.volume_nodes import (
    LPS_RAS,
    arrayFromVolumeNode,
    indexToWorld,
    toArray,
    worldMatrix,
)


@dataclass(frozen=True)
class Measures:
    """Of a segment.

    Args:
        volumeMl: mL.
        mean: Of the volume's voxels at the segment's, such as HU; None if it is empty or lies outside.
    """

    volumeMl: float
    mean: float | None


def measureSegment(
    segmentationNode: slicer.vtkMRMLSegmentationNode, segmentId: str, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> Pieces[Measures]:
    """Measure a segment in the world, on its own grid; the volume is read at the nearest voxel.

    Yields after each slice, so that the window may breathe.

    Args:
        segmentationNode: Under linear transforms, or none.
        segmentId: A segment with voxels.
        volumeNode: The scan.

    Raises:
        VolumeError: See :func:`.volume_nodes.volumeFromNode`; or the segmentation's transform is not linear.
    """
    found = maskOfSegment(segmentationNode.GetSegmentation().GetSegment(segmentId))
    yield
    mask, start = cropToContent(found[0]) if found else (np.zeros((0, 0, 0), bool), (0, 0, 0))
    yield
    if mask.size == 0:
        return Measures(0.0, None)
    image, matrix = found[1], vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    toWorld = worldMatrix(segmentationNode.GetParentTransformNode(), segmentationNode) @ toArray(matrix)
    toIndex = np.linalg.inv(indexToWorld(volumeNode)) @ LPS_RAS @ toWorld
    scan = arrayFromVolumeNode(volumeNode)
    corner = [first + image.GetExtent()[2 * (2 - axis)] for axis, first in enumerate(start)]
    voxels = inside = 0
    total = 0.0
    for z, plane in enumerate(mask):
        y, x = np.nonzero(plane)
        voxels += x.size
        values = _nearest(scan, toIndex, x + corner[2], y + corner[1], z + corner[0])
        inside += values.size
        total += float(values.sum(dtype=np.float64))
        yield
    voxelMl = abs(np.linalg.det(toWorld[:3, :3])) / 1000
    return Measures(voxels * voxelMl, total / inside if inside else None)


def _nearest(scan: np.ndarray, toIndex: np.ndarray, x: np.ndarray, y: np.ndarray, z: int) -> np.ndarray:
    """The scan's values at voxels of another grid; those outside of the scan are left out."""
    index = [np.rint(row[0] * x + row[1] * y + (row[2] * z + row[3])).astype(np.intp) for row in toIndex[:3]]
    inside = np.ones(x.size, bool)
    for axis, length in zip(index, scan.shape[::-1], strict=True):
        inside &= (axis >= 0) & (axis < length)
    i, j, k = (axis[inside] for axis in index)
    return scan[k, j, i]
