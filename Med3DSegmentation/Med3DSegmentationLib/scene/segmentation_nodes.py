"""The engine's label maps to segmentation nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.tasks import Label
from Med3DCore.volume import LabelMap
from Med3DSegmentationLib.scene.own_segments import findOwnSegment, giveToUser, mark, otherDivision, wasEdited
from Med3DSegmentationLib.scene.segment_arrays import LabelPart, holdsVoxels, orientedImage, partsOfLabels
from Med3DSegmentationLib.scene.terminology import LABEL_TAG, serializeLabel
from Med3DSegmentationLib.scene.volume_nodes import LPS_RAS, geometryFromNode, toMatrix, worldMatrix

# Surface nets take a seventh of the time of Slicer's default, flying edges and a windowed sinc filter, during which
# the window would stand still: 0.4 s instead of 3.0 s for an organ of 200 x 260 x 200 voxels.
SURFACE = {"Smoothing factor": "0.5", "Conversion method": "1", "SurfaceNets smoothing": "1"}


@dataclass(frozen=True)
class WrittenSegments:
    """What :func:`labelMapToSegmentation` did.

    Args:
        segmentationNode: The node; None if there was nothing to write, and no node for it.
        segmentIds: Label name to segment ID, of the labels that have voxels.
        voxels: Label name to its number of voxels.
        kept: Names under which segments that were edited by hand stay.
        removed: IDs of segments of labels without voxels, and of those whose tissue is now divided otherwise, such as
            the lungs into left and right.
    """

    segmentationNode: slicer.vtkMRMLSegmentationNode | None
    segmentIds: dict[str, str]
    voxels: dict[str, int]
    kept: tuple[str, ...]
    removed: tuple[str, ...] = ()


def labelMapToSegmentation(
    scene: slicer.vtkMRMLScene,
    labelMap: LabelMap,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
    keepEdits: bool = True,
    model: str = "",
    parts: Sequence[LabelPart] | None = None,
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
        parts: The label map's parts, if they are cut out already.

    Raises:
        VolumeError: The segmentation or the volume lies under a non-linear transform.
    """
    if segmentationNode is None:
        segmentationNode = newSegmentationNode(scene, volumeNode)
    matrix = gridMatrix(labelMap.geometry, volumeNode, segmentationNode)
    modifying = segmentationNode.StartModify()
    try:
        written = writeSegments(segmentationNode, parts or partsOfLabels(labelMap), matrix, keepEdits, model)
    finally:
        segmentationNode.EndModify(modifying)
    referToVolume(segmentationNode, volumeNode, matrix, labelMap.geometry.size)
    return written


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
    if sameParent and geometry.is_close(geometryFromNode(volumeNode), 1e-4):
        # Exactly the volume's own, so that Slicer finds that the grids match and need no resampling.
        matrix = vtk.vtkMatrix4x4()
        volumeNode.GetIJKToRASMatrix(matrix)
        return matrix
    toWorld = worldMatrix(segmentationNode.GetParentTransformNode(), segmentationNode)
    return toMatrix(np.linalg.inv(toWorld) @ LPS_RAS @ geometry.index_to_physical)


def writeSegments(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    parts: Iterable[LabelPart],
    ijkToNode: vtk.vtkMatrix4x4,
    keepEdits: bool = True,
    model: str = "",
) -> WrittenSegments:
    """Write each label to its segment; see :func:`labelMapToSegmentation`.

    Args:
        segmentationNode: Also one that is in no scene.
        parts: Of a label map.
        ijkToNode: From its voxel index to mm in the node.
        keepEdits: As there.
        model: As there.
    """
    segmentIds: dict[str, str] = {}
    voxels: dict[str, int] = {}
    kept: list[str] = []
    removed: list[str] = []
    segmentation = segmentationNode.GetSegmentation()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    for part in parts:
        name = part.label.name
        voxels[name] = int(np.count_nonzero(part.mask))
        former = [*otherDivision(name), *(() if voxels[name] else (name,))]  # of these, nothing is there any more
        for formerId in filter(None, (findOwnSegment(segmentation, each) for each in former)):
            if keepEdits and wasEdited(segmentation.GetSegment(formerId)):
                kept.append(giveToUser(segmentation, segmentation.GetSegment(formerId)))
            else:
                segmentation.RemoveSegment(formerId)
                removed.append(formerId)
        if not voxels[name]:
            continue
        segmentId = findOwnSegment(segmentation, name)
        if segmentId and keepEdits and wasEdited(segmentation.GetSegment(segmentId)):
            kept.append(giveToUser(segmentation, segmentation.GetSegment(segmentId)))
            segmentId = ""
        image = orientedImage(part.mask, part.start, ijkToNode)
        if segmentId:
            logic.SetBinaryLabelmapToSegment(image, segmentationNode, segmentId, logic.MODE_REPLACE)
        else:
            segmentId = _addSegment(segmentation, part.label, image)
        mark(segmentation.GetSegment(segmentId), model)
        segmentIds[name] = segmentId
    return WrittenSegments(segmentationNode, segmentIds, voxels, tuple(kept), tuple(removed))


def _addSegment(segmentation: slicer.vtkSegmentation, label: Label, image: slicer.vtkOrientedImageData) -> str:
    segment = slicer.vtkSegment()
    segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), image)
    segment.SetName(label.title)
    segment.SetColor(*(channel / 255 for channel in label.colour))
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), serializeLabel(label))
    segment.SetTag(LABEL_TAG, label.name)
    segmentId = segmentation.GenerateUniqueSegmentID(label.name)
    segmentation.AddSegment(segment, segmentId)
    return segmentId
