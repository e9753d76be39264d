"""Volume nodes to the engine's volumes: where voxels lie in the patient, at any angle and under transforms."""

import numpy as np
import pytest
from mrml_helpers import GEOMETRIES, addTransform, addVolume, makeVolume, worldPositions

from Med3DCore.errors import VolumeError

INDICES = [(0, 0, 0), (23, 0, 0), (0, 19, 0), (0, 0, 15), (7, 5, 3)]


def _physical(geometry, indices):
    points = np.array(indices) @ geometry.index_to_physical[:3, :3].T + geometry.origin
    return points * (-1, -1, 1)  # RAS


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("transforms", [0, 2])
def test_every_voxel_is_where_mrml_has_it(scene, name, transforms):
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    node = addVolume(scene, GEOMETRIES[name])
    if transforms:
        parent = addTransform(scene, 6, scale=1.1)
        node.SetAndObserveTransformNodeID(addTransform(scene, 5, parent).GetID())
    volume = volumeFromNode(node)
    assert np.allclose(_physical(volume.geometry, INDICES), worldPositions(node, INDICES), atol=1e-9)
    if not transforms:
        assert volume.geometry.is_close(GEOMETRIES[name], 1e-9)
    assert np.array_equal(volume.array, makeVolume(GEOMETRIES[name]).array) and volume.name == "CT"


def test_the_voxels_are_not_copied(scene):
    import slicer.util

    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    node = addVolume(scene)
    assert np.shares_memory(volumeFromNode(node).array, slicer.util.arrayFromVolume(node))


@pytest.mark.parametrize("name", ["anisotropic", "oblique"])
def test_a_file_says_the_same_as_the_node(scene, tmp_path, name):
    import SimpleITK as sitk
    import slicer.util

    from Med3DCore.volume import geometry_from_sitk
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    node = addVolume(scene, GEOMETRIES[name])
    assert slicer.util.saveNode(node, str(tmp_path / "ct.nrrd"))
    assert geometry_from_sitk(sitk.ReadImage(str(tmp_path / "ct.nrrd"))).is_close(geometryFromNode(node))


def test_what_cannot_be_used_is_refused_with_a_sentence(scene):
    import vtk

    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    def refused(node, sentence):
        with pytest.raises(VolumeError, match=sentence):
            volumeFromNode(node)

    refused(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty"), "Empty has no voxels")
    refused(scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "L"), "L is not a plain grey-value volume")
    refused(scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "V"), "V is not a plain grey-value volume")
    node = addVolume(scene)
    bent = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "Warp")
    bent.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    node.SetAndObserveTransformNodeID(bent.GetID())
    refused(node, "CT lies under Warp, .* harden it first")
    sheared = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Shear")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 1, 0.3)
    sheared.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(sheared.GetID())
    refused(node, "axes of CT are not perpendicular")
    node.SetAndObserveTransformNodeID(None)
    colours = vtk.vtkImageData()
    colours.SetDimensions(4, 4, 4)
    colours.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node.SetAndObserveImageData(colours)
    refused(node, "not a plain grey-value volume")


def test_an_output_node_is_written_again_in_the_world(scene):
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode, volumeToNode

    node = addVolume(scene, GEOMETRIES["straight"])
    node.SetName("mine")
    node.SetAndObserveTransformNodeID(addTransform(scene).GetID())
    volume = makeVolume(GEOMETRIES["left-handed oblique"])
    assert volumeToNode(scene, volume, "new", node) is node and node.GetName() == "mine"
    assert volumeFromNode(node).geometry.is_close(volume.geometry, 1e-9) and node.GetDisplayNode()
    assert volumeToNode(scene, volume, "mine").GetName() != "mine"
