"""The voxels of a segment: to and from arrays, and a fingerprint that tells whether somebody edited them."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from Med3DCore.tasks import Label
from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.scene.volume_nodes import toArray

Start = tuple[int, int, int]
_SLICES_AT_ONCE = 8  # whole bytes of bits, whatever the size of a slice


@dataclass(frozen=True)
class LabelPart:
    """A label's voxels, cut out of a label map.

    Args:
        label: The label.
        mask: Boolean ``[z, y, x]``; the box of its voxels, of size zero if there are none.
        start: First index of the box in the label map, ``(z, y, x)``.
    """

    label: Label
    mask: np.ndarray
    start: Start


def cropToContent(mask: np.ndarray) -> tuple[np.ndarray, Start]:
    """Cut an array of integers or bool to the box of its voxels that are not 0.

    Returns:
        The box (a view; of size zero if there are none) and its first index ``(z, y, x)``.
    """
    z = _span([plane.any() for plane in mask])
    flat = np.bitwise_or.reduce(mask[z], axis=0)
    y = _span(flat.any(axis=1))
    x = _span(flat[y].any(axis=0))
    return mask[z, y, x], (z.start, y.start, x.start)


def partsOfLabels(labelMap: LabelMap) -> Iterator[LabelPart]:
    """Cut out each label, one at a time: of a large scan, each takes some hundredths of a second."""
    content, start = cropToContent(labelMap.array)
    for value, label in enumerate(labelMap.labels, start=1):
        mask, offset = cropToContent(content == value)
        yield LabelPart(label, np.ascontiguousarray(mask), tuple(a + b for a, b in zip(start, offset, strict=True)))


def _span(hits: Sequence[bool] | np.ndarray) -> slice:
    """From the first True to the last."""
    found = np.flatnonzero(hits)
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)


def orientedImage(mask: np.ndarray, start: Start, ijkToNode: vtk.vtkMatrix4x4) -> slicer.vtkOrientedImageData:
    """A mask as a segmentation stores it, uint8.

    Args:
        mask: Boolean ``[z, y, x]``, part of a grid.
        start: Its first index on that grid ``(z, y, x)``.
        ijkToNode: From the grid's index (x, y, z) to mm in the segmentation node.
    """
    if mask.size == 0:
        mask = np.zeros((2, 2, 2), bool)  # VTK's filters complain of images with less than three dimensions
    image = slicer.vtkOrientedImageData()
    extent = [bound for i in (2, 1, 0) for bound in (start[i], start[i] + mask.shape[i] - 1)]
    image.SetExtent(extent)
    values = np.ascontiguousarray(mask).view(np.uint8).ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR))
    image.SetGeometryFromImageToWorldMatrix(ijkToNode)
    return image


def maskOfSegment(segment: slicer.vtkSegment) -> tuple[np.ndarray, slicer.vtkOrientedImageData] | None:
    """Boolean array ``[z, y, x]`` of a segment, on the extent of the image it lives in (which it may share).

    Returns:
        The array and the image; None if the segment has no binary label map, or an empty one.
    """
    name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    image = segment.GetRepresentation(name)
    scalars = image.GetPointData().GetScalars() if image else None
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        return None
    array = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
    return array == segment.GetLabelValue(), image


def holdsVoxels(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether its segments are voxels; those of an STL file are surfaces, which voxels would take the place of."""
    name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    return segmentationNode.GetSegmentation().GetSourceRepresentationName() == name


def imageOfSegment(segment: slicer.vtkSegment) -> slicer.vtkOrientedImageData:
    """A segment's own voxels in an image of their own, uint8."""
    found = maskOfSegment(segment)
    if found is None:
        return orientedImage(np.zeros((0, 0, 0), bool), (0, 0, 0), vtk.vtkMatrix4x4())
    mask, image = found
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return orientedImage(mask, image.GetExtent()[4::-2], matrix)


def fingerprint(segment: slicer.vtkSegment) -> str:
    """A word that changes with any voxel of the segment and with its place, and with nothing else.

    It must survive saving and loading, for which Slicer crops segments and puts several into one image under other
    label values: so only the box of the segment's own voxels counts.
    """
    pieces = fingerprintInPieces(segment)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value


def fingerprintInPieces(segment: slicer.vtkSegment) -> Generator[None, None, str]:
    """The same, yielding after some slices."""
    found = maskOfSegment(segment)
    if found is None:
        return "empty"
    yield
    mask, start = cropToContent(found[0])
    if mask.size == 0:
        return "empty"
    yield
    image = found[1]
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    corner = [first + image.GetExtent()[2 * axis] for axis, first in enumerate(reversed(start))]
    # Hundredths of a mm; the offset keeps round numbers away from the steps, where a file's last digit would matter.
    place = np.floor(toArray(matrix)[:3] @ [*corner, 1.0] * 100 + 0.3719).astype(int).tolist()
    digest = hashlib.sha1(repr((mask.shape, place)).encode(), usedforsecurity=False)
    for first in range(0, len(mask), _SLICES_AT_ONCE):
        digest.update(np.packbits(mask[first : first + _SLICES_AT_ONCE]).tobytes())
        yield
    return digest.hexdigest()
