"""Volumes and transforms in all positions, for the tests of this folder."""

import numpy as np

from Med3DCore.geometry import Geometry
from Med3DCore.labels import find_labels
from Med3DCore.volume import LabelMap, Volume

SIZE = (24, 20, 16)


def rotation(seed):
    """A random right-handed rotation."""
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))


def _geometry(direction, spacing=(1.0, 1.0, 1.0), origin=(11.0, -22.0, 33.0)):
    return Geometry(SIZE, spacing, origin, tuple(float(v) for v in np.ravel(direction)))


GEOMETRIES = {
    "straight": _geometry(np.eye(3)),
    "anisotropic": _geometry(np.eye(3), (0.7, 0.8, 5.0)),
    "permuted": _geometry(np.eye(3)[[1, 2, 0]], (0.9, 1.1, 2.0)),
    "oblique": _geometry(rotation(1), (0.8, 1.0, 2.5)),
    "left-handed": _geometry(np.diag([1.0, 1.0, -1.0]), (0.8, 0.8, 3.0)),
    "left-handed oblique": _geometry(rotation(2) @ np.diag([1.0, -1.0, 1.0]), (0.6, 1.2, 2.0)),
}


def makeVolume(geometry, name="CT"):
    """Noise around 0 with a block of 120 HU (to known_worker.py, the liver) and one of -800 (the lungs)."""
    array = np.random.default_rng(3).normal(0, 10, geometry.shape)
    array[3:8, 4:12, 5:15] = 120
    array[9:14, 3:16, 2:20] = -800
    array[3:5, 4:7, 5:9] = array[9:11, 3:7, 2:6] = 0  # a corner is missing: no flip goes unnoticed
    return Volume(array.astype(np.int16), geometry, name)


def makeLabels(volume, names=("liver", "lungs")):
    """The label map that belongs to :func:`makeVolume`."""
    array = np.zeros(volume.array.shape, np.uint8)
    masks = {"liver": volume.array > 60, "lungs": volume.array < -400}
    for value, name in enumerate(names, start=1):
        array[masks.get(name, np.zeros(array.shape, bool))] = value
    return LabelMap(array, volume.geometry, "labels", find_labels(names))


def addVolume(scene, geometry=GEOMETRIES["anisotropic"], name="CT"):
    """A volume node of :func:`makeVolume`."""
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    return volumeToNode(scene, makeVolume(geometry, name), name)


def addTransform(scene, seed=5, parent=None, scale=1.0):
    """A linear transform node: turned and moved."""
    from Med3DSegmentationLib.scene.volume_nodes import toMatrix

    matrix = np.eye(4)
    matrix[:3, :3] = rotation(seed) * scale
    matrix[:3, 3] = np.random.default_rng(seed).uniform(-50, 50, 3)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(toMatrix(matrix))
    if parent:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def worldPositions(node, indices):
    """World RAS of voxel indices (x, y, z) of a volume node, by MRML's own means."""
    import vtk

    matrix, transform = vtk.vtkMatrix4x4(), vtk.vtkGeneralTransform()
    node.GetIJKToRASMatrix(matrix)
    if node.GetParentTransformNode():
        node.GetParentTransformNode().GetTransformToWorld(transform)
    return np.array([transform.TransformPoint(matrix.MultiplyPoint([*map(float, i), 1.0])[:3]) for i in indices])


def segmentArray(segmentationNode, segmentId, volumeNode):
    """A segment on the volume's grid, as Slicer's own function resamples it."""
    import slicer.util

    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentId, volumeNode)


def write(scene, volumeNode, names=("liver", "lungs"), segmentationNode=None, **options):
    """The organs of a made volume as segments."""
    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    labels = makeLabels(volumeFromNode(volumeNode), names)
    return labelMapToSegmentation(scene, labels, volumeNode, segmentationNode, **options)


def segmentsOf(segmentationNode):
    """Name -> segment."""
    segmentation = segmentationNode.GetSegmentation()
    segments = [segmentation.GetNthSegment(i) for i in range(segmentation.GetNumberOfSegments())]
    return {segment.GetName(): segment for segment in segments}


def edit(segmentationNode, segmentId, volumeNode):
    """Draw one voxel, as a user would."""
    import slicer.util

    array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentId, volumeNode)
    array[0, 0, 0] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, segmentationNode, segmentId, volumeNode)
