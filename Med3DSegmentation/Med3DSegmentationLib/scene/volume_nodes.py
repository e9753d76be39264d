"""Scalar volume nodes to and from the engine's volumes, through physical space.

Slicer keeps a volume's grid as an IJK-to-RAS matrix under a chain of transforms; the engine wants LPS geometry in the
patient. The voxels are not copied on the way out.
"""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.volume import Volume
from Med3DSegmentationLib.scene.pieces import Pieces, atOnce

# The same matrix leads from LPS to RAS and back.
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_PIECE_BYTES = 8_000_000
PERPENDICULAR = 1e-2
"""Cosine of the largest angle that axes may be off from a right one."""


def volumeFromNode(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> Volume:
    """The node as the engine sees it, where it lies in the world: parent transforms are applied.

    Args:
        volumeNode: A plain scalar volume; oblique, left-handed and anisotropic ones are fine.

    Returns:
        A Volume whose array is a view of the node's voxels: do not change it, and use it only while the node lives.

    Raises:
        VolumeError: It is another kind of volume, has no voxels, lies under a non-linear transform, or is sheared.
    """
    return Volume(arrayFromVolumeNode(volumeNode), geometryFromNode(volumeNode), volumeNode.GetName() or "the volume")


PREVIEW_ATTRIBUTE = "Med3D.preview"
"""Marks volumes that show what a network sees, or where it saw something: nothing to segment."""


def plainVolumes(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The scalar volumes that users see, but for previews.

    Label maps and vector volumes are scalar volumes too, to MRML.
    """
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)
    return [
        node
        for node in nodes
        if node.GetClassName() == "vtkMRMLScalarVolumeNode"
        and not node.GetHideFromEditors()
        and not node.GetAttribute(PREVIEW_ATTRIBUTE)
    ]


def arrayFromVolumeNode(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """View of the node's voxels ``[z, y, x]``.

    Raises:
        VolumeError: It is no plain scalar volume, or has no voxels.
    """
    name = volumeNode.GetName()
    image = volumeNode.GetImageData()
    scalars = image.GetPointData().GetScalars() if image else None
    # Label maps and vector, tensor and streaming volumes are scalar volumes too, to MRML.
    if volumeNode.GetClassName() != "vtkMRMLScalarVolumeNode" or (scalars and scalars.GetNumberOfComponents() != 1):
        raise VolumeError(
            _("{volume} is not a plain grey-value volume; choose a scalar volume such as a CT.").format(volume=name)
        )
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        raise VolumeError(_("{volume} has no voxels; load or acquire its image first.").format(volume=name))
    return vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])


def geometryFromNode(
    volumeNode: slicer.vtkMRMLVolumeNode, transformNode: slicer.vtkMRMLTransformNode | None = None
) -> Geometry:
    """The node's grid in the world, LPS mm.

    Args:
        volumeNode: A volume with an image.
        transformNode: Take this one as its parent; None takes its own. A sequence's frames lie under their proxy's.

    Raises:
        VolumeError: Its transform is not linear, or its axes are not perpendicular in the world.
    """
    return _geometry(volumeNode, worldMatrix(transformNode or volumeNode.GetParentTransformNode(), volumeNode))


def geometryInFile(volumeNode: slicer.vtkMRMLVolumeNode) -> Geometry:
    """The node's grid as its file has it, LPS mm, whatever transform it was put under since.

    Raises:
        VolumeError: Its axes are not perpendicular.
    """
    return _geometry(volumeNode, np.eye(4))


def indexToWorld(volumeNode: slicer.vtkMRMLVolumeNode, toWorld: np.ndarray | None = None) -> np.ndarray:
    """4x4 float64 from voxel index (x, y, z) to LPS mm, whatever angles its axes have.

    Args:
        volumeNode: A volume with an image.
        toWorld: From the node to the world, RAS; None takes its transform.

    Raises:
        VolumeError: Its transform is not linear, or its grid is flat.
    """
    if toWorld is None:
        toWorld = worldMatrix(volumeNode.GetParentTransformNode(), volumeNode)
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    matrix = LPS_RAS @ toWorld @ toArray(ijkToRas)
    if not np.isfinite(matrix).all() or np.linalg.norm(matrix[:3, :3], axis=0).min() <= 0:
        sentence = _("{volume} has no usable grid: a spacing is zero or not a number.")
        raise VolumeError(sentence.format(volume=volumeNode.GetName()))
    return matrix


def _geometry(volumeNode: slicer.vtkMRMLVolumeNode, toWorld: np.ndarray) -> Geometry:
    matrix = indexToWorld(volumeNode, toWorld)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    direction = matrix[:3, :3] / spacing
    if not np.allclose(direction.T @ direction, np.eye(3), atol=PERPENDICULAR):
        sentence = _(
            "The axes of {volume} are not perpendicular (shear in its header or its transform);"
            " resample it to a straight grid first, with the module Resample Scalar/Vector/DWI Volume."
        )
        raise VolumeError(sentence.format(volume=volumeNode.GetName()))
    size = volumeNode.GetImageData().GetDimensions()
    values = (tuple(float(v) for v in part) for part in (spacing, matrix[:3, 3], direction.ravel()))
    return Geometry(tuple(int(n) for n in size), *values)


def worldMatrix(transformNode: slicer.vtkMRMLTransformNode | None, node: slicer.vtkMRMLNode) -> np.ndarray:
    """4x4 float64 matrix from below a transform to the world, RAS; the identity for None.

    Args:
        transformNode: A parent transform, or None.
        node: The node below it, for the message.

    Raises:
        VolumeError: It, or one of its parents, is not linear.
    """
    if transformNode is None:
        return np.eye(4)
    if not transformNode.IsTransformToWorldLinear():
        sentence = _(
            "{node} lies under {transform}, which is not a linear transform;"
            " harden it first (Data module, right-click on the transform column: Harden transform)."
        )
        raise VolumeError(sentence.format(node=node.GetName(), transform=transformNode.GetName()))
    matrix = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToWorld(matrix)
    return toArray(matrix)


def ijkToRasMatrix(geometry: Geometry) -> vtk.vtkMatrix4x4:
    """A grid's matrix from voxel index to world RAS."""
    return toMatrix(LPS_RAS @ geometry.index_to_physical)


def volumeToNode(
    scene: slicer.vtkMRMLScene,
    volume: Volume,
    name: str,
    volumeNode: slicer.vtkMRMLScalarVolumeNode | None = None,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Show an engine's volume in the scene. Copies the voxels.

    Args:
        scene: Where to.
        volume: The volume; its geometry is that in the world.
        name: Name of a new node.
        volumeNode: Write to this one, which keeps its name; None makes one. It is taken out of any transform.
    """
    return showImage(scene, atOnce(imageInPieces(volume)), volume.geometry, name, volumeNode)


def imageInPieces(volume: Volume) -> Pieces[vtk.vtkImageData]:
    """A copy of a volume's voxels as VTK has them, without a place; yields often."""
    array = volume.array
    scalars = vtk.vtkDataArray.CreateDataArray(get_vtk_array_type(array.dtype))
    scalars.UnRegister(None)
    scalars.SetNumberOfTuples(array.size)
    copy = vtk_to_numpy(scalars).reshape(array.shape)
    slices = max(1, _PIECE_BYTES * len(array) // array.nbytes)
    for first in range(0, len(array), slices):
        copy[first : first + slices] = array[first : first + slices]
        yield
    image = vtk.vtkImageData()
    image.SetDimensions(volume.geometry.size)
    image.GetPointData().SetScalars(scalars)
    return image


def showImage(
    scene: slicer.vtkMRMLScene,
    image: vtk.vtkImageData,
    geometry: Geometry,
    name: str,
    volumeNode: slicer.vtkMRMLScalarVolumeNode | None = None,
    window: tuple[float, float] | None = None,
) -> slicer.vtkMRMLScalarVolumeNode:
    """The node of :func:`volumeToNode` for an image that is made already.

    Args:
        scene: As there.
        image: Its voxels.
        geometry: Where they lie in the world.
        name: As there.
        volumeNode: As there.
        window: Values from black to white; None lets Slicer look through all voxels for them, which takes a while.
    """
    if volumeNode is None:
        volumeNode = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    volumeNode.SetAndObserveTransformNodeID(None)
    volumeNode.SetIJKToRASMatrix(ijkToRasMatrix(geometry))
    if window is not None:
        volumeNode.CreateDefaultDisplayNodes()
        volumeNode.GetDisplayNode().SetAutoWindowLevel(False)
        volumeNode.GetDisplayNode().SetWindowLevelMinMax(*window)
    volumeNode.SetAndObserveImageData(image)
    volumeNode.CreateDefaultDisplayNodes()
    return volumeNode


def toArray(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """4x4 float64 array of a VTK matrix."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def toMatrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """VTK matrix of a 4x4 array."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(array.ravel().tolist())
    return matrix
