"""Organs in 3D, without the window standing still: a surface at a time, from a coarser copy of the segment.

Slicer's own conversion of a liver and lungs of a 512 x 512 x 400 CT takes seconds at full resolution, in one go, and
again with each new result. At 2.5 mm a surface takes some hundredths of a second. As soon as the user edits a segment,
or switches *Show 3D* off and on, Slicer makes its own.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.segment_arrays import cropToContent, maskOfSegment, voxelTime

_TURN_SECONDS = 0.02
_SPACING_MM = 2.5
_BLOCKS_AT_ONCE = 8
_ITERATIONS, _PASS_BAND = 12, 0.02  # of the smoothing: steps of a voxel go, an organ's shape stays


class Surfaces:
    """Makes the surfaces that segmentations lack.

    Args:
        callSoon: Calls a function when the window had its turn.
    """

    def __init__(self, callSoon: Callable[[Callable[[], None]], None]) -> None:
        self._callSoon = callSoon

    def showLater(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Show all segments in 3D, one after the other; comes back at once."""
        self._goOn(makeSurfaces(segmentationNode))

    def _goOn(self, pieces: Pieces[None]) -> None:
        self._callSoon(lambda: self._next(pieces))

    def _next(self, pieces: Pieces[None]) -> None:
        until = time.monotonic() + _TURN_SECONDS
        for _piece in pieces:
            if time.monotonic() > until:
                self._goOn(pieces)
                return


def makeSurfaces(segmentationNode: slicer.vtkMRMLSegmentationNode) -> Pieces[None]:
    """Give each segment that has no closed surface one, as long as the node is in a scene."""
    name = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    segmentation = segmentationNode.GetSegmentation()
    for segmentId in segmentation.GetSegmentIDs():
        segment, made, looked = segmentation.GetSegment(segmentId), None, None
        while segment is not None and segment.GetRepresentation(name) is None and looked != voxelTime(segment):
            looked = voxelTime(segment)  # again, if somebody edits it meanwhile
            made = yield from surfaceOfSegment(segment)
            if segmentationNode.GetScene() is None:
                return
            segment = segmentation.GetSegment(segmentId)
        if segment is not None and made is not None and segment.GetRepresentation(name) is None:
            segment.AddRepresentation(name, made)
            yield


def removeSurfaces(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Drop the surfaces, which Slicer would convert anew with each segment that changes; False if there were none."""
    name = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    shown = segmentationNode.GetSegmentation().ContainsRepresentation(name)
    if shown:
        segmentationNode.RemoveClosedSurfaceRepresentation()
    return shown


def surfaceOfSegment(segment: slicer.vtkSegment) -> Pieces[vtk.vtkPolyData]:
    """A smooth closed surface in mm of the segmentation node; empty for an empty segment."""
    found = maskOfSegment(segment)
    yield
    mask, start = cropToContent(found[0]) if found else (np.zeros((0, 0, 0), bool), (0, 0, 0))
    yield
    if mask.size == 0:
        return vtk.vtkPolyData()
    image = found[1]
    factors = [min(6, max(1, round(_SPACING_MM / spacing))) for spacing in reversed(image.GetSpacing())]
    toNode = _blocksToNode(image, start, factors)
    counts = yield from _shareInBlocks(mask, factors)
    coarse = vtk.vtkImageData()
    coarse.SetDimensions(counts.shape[::-1])
    coarse.GetPointData().SetScalars(numpy_to_vtk(counts.ravel(), deep=True))
    filters = (*_contour(coarse, toNode), *_smoothing(toNode))
    for before, after in itertools.pairwise(filters):
        after.SetInputConnection(before.GetOutputPort())
    for each in filters:
        each.Update()
        yield
    return filters[-1].GetOutput()


def _contour(coarse: vtk.vtkImageData, toNode: vtk.vtkTransform) -> tuple[vtk.vtkAlgorithm, ...]:
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(coarse)
    contour.SetValue(0, 32.0)
    contour.ComputeNormalsOff()
    contour.ComputeGradientsOff()
    contour.ComputeScalarsOff()
    place = vtk.vtkTransformPolyDataFilter()
    place.SetTransform(toNode)
    return contour, place


def _smoothing(toNode: vtk.vtkTransform) -> tuple[vtk.vtkAlgorithm, ...]:
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetNumberOfIterations(_ITERATIONS)
    smooth.SetPassBand(_PASS_BAND)
    smooth.NormalizeCoordinatesOn()
    normals = vtk.vtkPolyDataNormals()
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.SetFlipNormals(toNode.GetMatrix().Determinant() < 0)
    return smooth, normals


def _shareInBlocks(mask: np.ndarray, factors: list[int]) -> Pieces[np.ndarray]:
    """64 times the share of True voxels in and, less so, around each block of a mask ``[z, y, x]``, float32.

    There are two empty blocks on each side.
    """
    z, y, x = factors
    counts = []
    for first in range(0, len(mask), z * _BLOCKS_AT_ONCE):
        slab = mask[first : first + z * _BLOCKS_AT_ONCE]
        slab = np.pad(slab, [(0, -n % f) for n, f in zip(slab.shape, factors, strict=True)]).view(np.uint8)
        for axis, factor in ((0, z), (1, y), (2, x)):
            slab = sum(slab[(slice(None),) * axis + (slice(i, None, factor),)] for i in range(factor))
        counts.append(slab)
        yield
    share = np.pad(np.concatenate(counts), 2) / np.float32(np.prod(factors))
    for axis in range(3):
        low, middle, high = ((slice(None),) * axis + (slice(i, i - 2 or None),) for i in range(3))
        inner = share[low] + 2 * share[middle] + share[high]
        share = np.pad(inner, [(1, 1) if i == axis else (0, 0) for i in range(3)])
        yield
    return np.ascontiguousarray(share)


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
