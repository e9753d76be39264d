"""Organs in 3D, without the window standing still: a surface at a time, from a coarser copy of the segment.

Slicer's own conversion of a liver and lungs of a 512 x 512 x 400 CT takes seconds at full resolution, in one go, and
again with each new result. At 2.5 mm a surface takes some hundredths of a second. As soon as the user edits a segment,
or switches *Show 3D* off and on, Slicer makes its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from Med3DSegmentationLib.scene.segment_arrays import cropToContent, maskOfSegment

_SPACING_MM = 2.5
_ITERATIONS, _PASS_BAND = 12, 0.02  # of the smoothing: steps of a voxel go, an organ's shape stays


class Surfaces:
    """Makes the surfaces that a segmentation lacks.

    Args:
        callSoon: Calls a function when the window had its turn.
    """

    def __init__(self, callSoon: Callable[[Callable[[], None]], None]) -> None:
        self._callSoon = callSoon

    def showLater(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Show all segments in 3D, one after the other; comes back at once."""
        self._callSoon(lambda: self._next(segmentationNode))

    def _next(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        if segmentationNode.GetScene() is not None and makeSurface(segmentationNode):
            self.showLater(segmentationNode)


def makeSurface(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Give the first segment that has no closed surface one; False if all have one."""
    name = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    segmentation = segmentationNode.GetSegmentation()
    for i in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(i)
        if segment.GetRepresentation(name) is None:
            segment.AddRepresentation(name, surfaceOfSegment(segment))
            return True
    return False


def removeSurfaces(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Drop the surfaces, which Slicer would convert anew with each segment that changes; False if there were none."""
    name = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    shown = segmentationNode.GetSegmentation().ContainsRepresentation(name)
    if shown:
        segmentationNode.RemoveClosedSurfaceRepresentation()
    return shown


def surfaceOfSegment(segment: slicer.vtkSegment) -> vtk.vtkPolyData:
    """A smooth closed surface in mm of the segmentation node; empty for an empty segment."""
    found = maskOfSegment(segment)
    mask, start = cropToContent(found[0]) if found else (np.zeros((0, 0, 0), bool), (0, 0, 0))
    if mask.size == 0:
        return vtk.vtkPolyData()
    image = found[1]
    factors = [min(6, max(1, round(_SPACING_MM / spacing))) for spacing in reversed(image.GetSpacing())]
    coarse = vtk.vtkImageData()
    counts = _shareInBlocks(mask, factors)
    coarse.SetDimensions(counts.shape[::-1])
    coarse.GetPointData().SetScalars(numpy_to_vtk(counts.ravel(), deep=True))
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(coarse)
    contour.SetValue(0, 32.0)
    contour.ComputeNormalsOff()
    contour.ComputeGradientsOff()
    contour.ComputeScalarsOff()
    toNode = _blocksToNode(image, start, factors)
    place = vtk.vtkTransformPolyDataFilter()
    place.SetInputConnection(contour.GetOutputPort())
    place.SetTransform(toNode)
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(place.GetOutputPort())
    smooth.SetNumberOfIterations(_ITERATIONS)
    smooth.SetPassBand(_PASS_BAND)
    smooth.NormalizeCoordinatesOn()
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(smooth.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.SetFlipNormals(toNode.GetMatrix().Determinant() < 0)
    normals.Update()
    return normals.GetOutput()


def _shareInBlocks(mask: np.ndarray, factors: list[int]) -> np.ndarray:
    """64 times the share of True voxels in and, less so, around each block of a mask ``[z, y, x]``, float32.

    There are two empty blocks on each side.
    """
    padding = [(2 * f, 2 * f + -n % f) for n, f in zip(mask.shape, factors, strict=True)]
    counts = np.pad(mask, padding).view(np.uint8)
    for axis, factor in enumerate(factors):
        counts = sum(counts[(slice(None),) * axis + (slice(i, None, factor),)] for i in range(factor))
    counts = counts / np.float32(np.prod(factors))
    for axis in range(3):
        low, middle, high = ((slice(None),) * axis + (slice(i, i - 2 or None),) for i in range(3))
        inner = counts[low] + 2 * counts[middle] + counts[high]
        counts = np.pad(inner, [(1, 1) if i == axis else (0, 0) for i in range(3)])
    return np.ascontiguousarray(counts)


def _blocksToNode(image: slicer.vtkOrientedImageData, start: tuple, factors: list[int]) -> vtk.vtkTransform:
    """From a block's index (x, y, z) to mm: a block's value stands at its centre; the first two are padding."""
    extent = image.GetExtent()
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    transform = vtk.vtkTransform()
    transform.SetMatrix(matrix)
    corner = [extent[2 * axis] + start[2 - axis] for axis in range(3)]
    x, y, z = reversed(factors)
    first = [at + (f - 1) / 2 - 2 * f for at, f in zip(corner, (x, y, z), strict=True)]
    transform.Translate(first)
    transform.Scale(x, y, z)
    return transform
