"""Volumes of a tilted gantry, which Slicer shows as sheared grids: a straight scan of them for the engine.

Slicer's reader puts the slices where they were taken, each a little aside of the one before. They are shifted back over
each other as the engine does it with DICOM files; what is found then lies on that straight grid, in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom.tilt import Tilt, find_tilt
from Med3DCore.volume import Volume
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.volume_nodes import (
    PERPENDICULAR,
    arrayFromVolumeNode,
    geometryFromNode,
    geometryInFile,
    indexToWorld,
    volumeFromNode,
)


@dataclass(frozen=True)
class TiltedGrid:
    """How a volume's slices lie.

    Args:
        tilt: How they are shifted.
        straight: The straight grid that holds them all, LPS mm in the world.
    """

    tilt: Tilt
    straight: Geometry


def tiltOfVolume(volumeNode: slicer.vtkMRMLVolumeNode, toWorld: np.ndarray | None = None) -> TiltedGrid | None:
    """How a volume's slices are shifted over each other, or None if they are not, or sheared otherwise.

    Args:
        volumeNode: The volume.
        toWorld: See :func:`.volume_nodes.indexToWorld`.

    Raises:
        VolumeError: It has no voxels or no usable grid, or lies under a transform that is not linear.
    """
    size = arrayFromVolumeNode(volumeNode).shape[::-1]
    matrix = indexToWorld(volumeNode, toWorld)
    steps = np.linalg.norm(matrix[:3, :3], axis=0)
    x, y, z = (matrix[:3, :3] / steps).T
    normal = np.cross(x, y)
    if abs(x @ y) > PERPENDICULAR or max(abs(x @ z), abs(y @ z)) <= PERPENDICULAR or normal @ z == 0:
        return None
    normal *= np.sign(normal @ z) / np.linalg.norm(normal)
    axes = np.stack([x, y, normal], axis=1)
    origins = matrix[:3, 3] + np.outer(np.arange(size[2]), matrix[:3, 2])
    tilt, _problem = find_tilt(origins, axes, steps[:2])
    if tilt is None:
        return None
    values = ((*steps[:2], matrix[:3, 2] @ normal), matrix[:3, 3], axes.ravel())
    first = Geometry(tuple(int(n) for n in size), *(tuple(float(v) for v in part) for part in values))
    return TiltedGrid(tilt, tilt.straight_grid(first))


def scanGeometry(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> Geometry:
    """The grid of what the engine gets, LPS mm in the world.

    Raises:
        VolumeError: See :func:`.volume_nodes.volumeFromNode`.
    """
    tilted = tiltOfVolume(volumeNode)
    return tilted.straight if tilted else geometryFromNode(volumeNode)


def whyNotScan(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Why the engine cannot get a volume, or ""."""
    try:
        scanGeometry(volumeNode)
    except VolumeError as error:
        return str(error)
    return ""


def scanGeometryInFile(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> Geometry:
    """The same grid, LPS mm, whatever transform the volume was put under since its file was read.

    Raises:
        VolumeError: See :func:`.volume_nodes.geometryInFile`.
    """
    tilted = tiltOfVolume(volumeNode, np.eye(4))
    return tilted.straight if tilted else geometryInFile(volumeNode)


def scanInPieces(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> Pieces[Volume]:
    """What the engine gets: the node's own voxels, or those of a tilted gantry shifted back; yields often.

    The voxels are those of now, also where the pieces are asked for later.

    Raises:
        VolumeError: See :func:`.volume_nodes.volumeFromNode`.
    """
    tilted = tiltOfVolume(volumeNode)
    if tilted is None:
        return _whole(volumeFromNode(volumeNode))
    return _straightened(arrayFromVolumeNode(volumeNode), tilted, volumeNode.GetName() or "the volume")


def _whole(volume: Volume) -> Pieces[Volume]:
    yield
    return volume


def _straightened(array: np.ndarray, tilted: TiltedGrid, name: str) -> Pieces[Volume]:
    slices = []
    for plane in tilted.tilt.straightened(array, is_ct=True):
        slices.append(plane)
        yield
    return Volume(np.stack(slices), tilted.straight, name)
