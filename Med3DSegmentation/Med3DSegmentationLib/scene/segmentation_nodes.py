"""The engine's label maps to segmentation nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.scene.pieces import Pieces, atOnce
from Med3DSegmentationLib.scene.segment_arrays import LabelPart, holdsVoxels, partsOfLabels
from Med3DSegmentationLib.scene.segment_writing import WrittenSegments, writeSegments
from Med3DSegmentationLib.scene.segmentation_history import Changes
from Med3DSegmentationLib.scene.tilted_volumes import tiltOfVolume
from Med3DSegmentationLib.scene.volume_nodes import LPS_RAS, geometryFromNode, toMatrix, worldMatrix

# Surface nets take a seventh of the time of Slicer's default, flying edges and a windowed sinc filter, during which
# the window would stand still: 0.4 s instead of 3.0 s for an organ of 200 x 260 x 200 voxels.
SURFACE = {"Smoothing factor": "0.5", "Conversion method": "1", "SurfaceNets smoothing": "1"}


def labelMapToSegmentation(
    scene: slicer.vtkMRMLScene,
    labelMap: LabelMap,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
    keepEdits: bool = True,
    model: str = "",
) -> WrittenSegments:
    """Put labels beside a volume, each as a named, coloured and coded segment.

    Segments that an earlier call wrote for the same labels are replaced in place, with the name, colour and visibility
    that they have by now; all other segments stay as they are. A label without voxels gets no segment, and loses the
    one it had.

    Args:
        scene: The scene of the nodes.
        labelMap: Labels of the volume; its geometry is that in the world (LPS).
        volumeNode: The volume they are of.
        segmentationNode: Write to this one; None makes one, under the volume's transform and beside it in the subject
            hierarchy, shown in slice views; see :mod:`.surfaces` for 3D.
        keepEdits: Whether a segment of an earlier call that was edited since stays under another name.
        model: Name of the model, kept in a tag.

    Raises:
        VolumeError: The segmentation or the volume lies under a non-linear transform.
    """
    if segmentationNode is None:
        segmentationNode = newSegmentationNode(scene, volumeNode)
    return atOnce(labelMapInPieces(Changes(segmentationNode), labelMap, volumeNode, keepEdits, model))


def labelMapInPieces(
    changes: Changes,
    labelMap: LabelMap,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    keepEdits: bool = True,
    model: str = "",
    parts: Sequence[LabelPart] | None = None,
    digest: str = "",
) -> Pieces[WrittenSegments]:
    """The same into the segmentation of which the changes are noted, yielding often; see :func:`.writeSegments`.

    Args:
        changes: Of the segmentation, see :mod:`.segmentation_history`.
        labelMap: See :func:`labelMapToSegmentation`; and so on.
        volumeNode: As there.
        keepEdits: As there.
        model: As there.
        parts: The label map's parts, if they are cut out already.
        digest: As :func:`.writeSegments` takes it.
    """
    node = changes.segmentationNode
    matrix = gridMatrix(labelMap.geometry, volumeNode, node)
    referToVolume(node, volumeNode, matrix, labelMap.geometry.size)
    if parts is None:
        parts = yield from partsOfLabels(labelMap)
    return (yield from writeSegments(changes, parts, matrix, keepEdits, model, digest))


def newSegmentationNode(
    scene: slicer.vtkMRMLScene, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLSegmentationNode:
    """An empty segmentation beside a volume: same transform, same folder of the subject hierarchy."""
    name = scene.GenerateUniqueName(_("{volume} segmentation").format(volume=volumeNode.GetName()))
    segmentationNode = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    for parameter, value in SURFACE.items():
        segmentationNode.GetSegmentation().SetConversionParameter(parameter, value)
    segmentationNode.CreateDefaultDisplayNodes()
    segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    placeBeside(scene, segmentationNode, volumeNode)
    return segmentationNode


def placeBeside(scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode, neighbour: slicer.vtkMRMLNode) -> None:
    """Give a node the neighbour's parent in the subject hierarchy, so that a study keeps what belongs to it together.

    Without the neighbour's item, as outside of Slicer's window, nothing happens.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    neighbourItem = hierarchy.GetItemByDataNode(neighbour) if hierarchy else 0
    if not neighbourItem:
        return
    parent = hierarchy.GetItemParent(neighbourItem)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)


def referToVolume(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    ijkToNode: vtk.vtkMatrix4x4,
    size: tuple[int, int, int],
) -> None:
    """Make the volume the segmentation's source and its grid the reference geometry, unless another one is already.

    Args:
        segmentationNode: The segmentation.
        volumeNode: The volume.
        ijkToNode: From the volume's voxel index to mm in the segmentation node.
        size: The volume's number of voxels (x, y, z).
    """
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    if segmentationNode.GetNodeReference(role) is not None:
        return
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    # That resamples the grid to a useless one if the two nodes lie under different transforms (Slicer 5.13).
    grid = slicer.vtkOrientedImageData()
    grid.SetDimensions(size)
    grid.SetGeometryFromImageToWorldMatrix(ijkToNode)
    converter = slicer.vtkSegmentationConverter
    segmentationNode.GetSegmentation().SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(grid)
    )


def requireWritable(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Nothing, if voxels can be written to a segmentation.

    Raises:
        SettingError: It consists of surfaces.
        VolumeError: It lies under a non-linear transform.
    """
    if not holdsVoxels(segmentationNode):
        sentence = _(
            "{segmentation} consists of surfaces, not of voxels; choose another one, or none to get a new one."
        )
        raise SettingError(sentence.format(segmentation=segmentationNode.GetName()))
    worldMatrix(segmentationNode.GetParentTransformNode(), segmentationNode)


def gridMatrix(
    geometry: Geometry,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    segmentationNode: slicer.vtkMRMLSegmentationNode,
) -> vtk.vtkMatrix4x4:
    """From a world grid's voxel index to mm in a segmentation node.

    Raises:
        VolumeError: One of the nodes lies under a non-linear transform.
    """
    sameParent = volumeNode.GetTransformNodeID() == segmentationNode.GetTransformNodeID()
    if sameParent and tiltOfVolume(volumeNode) is None and geometry.is_close(geometryFromNode(volumeNode), 1e-4):
        # Exactly the volume's own, so that Slicer finds that the grids match and need no resampling.
        matrix = vtk.vtkMatrix4x4()
        volumeNode.GetIJKToRASMatrix(matrix)
        return matrix
    toWorld = worldMatrix(segmentationNode.GetParentTransformNode(), segmentationNode)
    return toMatrix(np.linalg.inv(toWorld) @ LPS_RAS @ geometry.index_to_physical)
