"""The voxels of a segment: to and from arrays, and a fingerprint that tells whether somebody edited them."""

from __future__ import annotations

import hashlib

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from Med3DSegmentationLib.volume_nodes import toArray

Start = tuple[int, int, int]


def cropToContent(mask: np.ndarray) -> tuple[np.ndarray, Start]:
    """Cut a boolean array to the box of its True voxels.

    Returns:
        The box (a view; of size zero if nothing is True) and its first index ``(z, y, x)``.
    """
    slices = []
    for axis in range(3):
        # One axis after the other: what the first cuts off, the next need not look at.
        hits = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        piece = slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else slice(0, 0)
        mask = mask[(slice(None),) * axis + (piece,)]
        slices.append(piece)
    return mask, tuple(piece.start for piece in slices)


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


def fingerprint(segment: slicer.vtkSegment) -> str:
    """A word that changes with any voxel of the segment and with its place, and with nothing else.

    It must survive saving and loading, for which Slicer crops segments and puts several into one image under other
    label values: so only the box of the segment's own voxels counts.
    """
    found = maskOfSegment(segment)
    if found is None:
        return "empty"
    mask, start = cropToContent(found[0])
    if mask.size == 0:
        return "empty"
    image = found[1]
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    corner = [first + image.GetExtent()[2 * axis] for axis, first in enumerate(reversed(start))]
    # Hundredths of a mm; the offset keeps round numbers away from the steps, where a file's last digit would matter.
    place = np.floor(toArray(matrix)[:3] @ [*corner, 1.0] * 100 + 0.3719).astype(int).tolist()
    digest = hashlib.sha1(repr((mask.shape, place)).encode(), usedforsecurity=False)
    digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()
