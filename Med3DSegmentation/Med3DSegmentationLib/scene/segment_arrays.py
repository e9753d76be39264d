"""The voxels of a segment: to and from arrays, and a fingerprint that tells whether somebody edited them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from scipy.ndimage import find_objects
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from Med3DCore.labels import Label
from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.volume_nodes import toArray

Start = tuple[int, int, int]
Box = tuple[slice, slice, slice]
_SLICES_AT_ONCE = 8  # whole bytes of bits, whatever the size of a slice
_NOWHERE = (slice(0, 0), slice(0, 0), slice(0, 0))


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


def partsOfLabels(labelMap: LabelMap) -> Pieces[list[LabelPart]]:
    """Cut out each label, where others are, too, included; yields often, as each may take some hundredths of a second.

    Each voxel is looked at once to find the boxes, however many labels there are.
    """
    boxes = yield from _boxesOfValues(labelMap.array)
    parts = []
    for value, label in enumerate(labelMap.labels, start=1):
        meaning = labelMap.with_overlaps([value])
        box = _around([boxes[each] for each in meaning if each in boxes])
        content = labelMap.array[box]
        mask = np.isin(content, meaning) if len(meaning) > 1 else content == value
        parts.append(LabelPart(label, np.ascontiguousarray(mask), tuple(axis.start for axis in box)))
        yield
    return parts


def _boxesOfValues(array: np.ndarray) -> Pieces[dict[int, Box]]:
    """The box of each value that there is in a label map ``[z, y, x]``, but 0."""
    boxes: dict[int, Box] = {}
    for first in range(0, len(array), _SLICES_AT_ONCE):
        for value, found in enumerate(find_objects(array[first : first + _SLICES_AT_ONCE]), start=1):
            if found is not None:
                z, y, x = found
                here = (slice(z.start + first, z.stop + first), y, x)
                boxes[value] = _around([boxes[value], here]) if value in boxes else here
        yield
    return boxes


def _around(boxes: Sequence[Box]) -> Box:
    """The box around boxes."""
    if not boxes:
        return _NOWHERE
    return tuple(slice(min(a.start for a in axis), max(a.stop for a in axis)) for axis in zip(*boxes, strict=True))


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


def voxelTime(segment: slicer.vtkSegment) -> tuple[int, int]:
    """Changes with the image that a segment lives in, and with its value there."""
    name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    image = segment.GetRepresentation(name)
    return image.GetMTime() if image else 0, segment.GetLabelValue()


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


def fingerprint(segment: slicer.vtkSegment) -> Pieces[str]:
    """A word that changes with any voxel of the segment and with its place, and with nothing else.

    It must survive saving and loading, for which Slicer crops segments and puts several into one image under other
    label values: so only the box of the segment's own voxels counts. Yields after some slices; the word is of the
    segment as it was before the first.
    """
    found = maskOfSegment(segment)
    if found is None:
        return "empty"
    yield
    mask, start = cropToContent(found[0])
    yield
    extent, matrix = found[1].GetExtent(), vtk.vtkMatrix4x4()
    found[1].GetImageToWorldMatrix(matrix)
    corner = tuple(first + extent[2 * (2 - axis)] for axis, first in enumerate(start))
    return (yield from _digest(mask, corner, matrix))


def fingerprintOfPart(part: LabelPart, ijkToNode: vtk.vtkMatrix4x4) -> Pieces[str]:
    """That of the segment which a label becomes; ``ijkToNode`` as for :func:`orientedImage`."""
    return (yield from _digest(part.mask, part.start, ijkToNode))


def _digest(mask: np.ndarray, corner: Start, ijkToNode: vtk.vtkMatrix4x4) -> Pieces[str]:
    """Of the box of a segment's voxels, and of the place of its first one, whose index is ``(z, y, x)``."""
    if mask.size == 0:
        return "empty"
    # Hundredths of a mm; the offset keeps round numbers away from the steps, where a file's last digit would matter.
    place = np.floor(toArray(ijkToNode)[:3] @ [*reversed(corner), 1.0] * 100 + 0.3719).astype(int).tolist()
    digest = hashlib.sha1(repr((mask.shape, place)).encode(), usedforsecurity=False)
    for first in range(0, len(mask), _SLICES_AT_ONCE):
        digest.update(np.packbits(mask[first : first + _SLICES_AT_ONCE]).tobytes())
        yield
    return digest.hexdigest()
