"""Segmentations saved and loaded, drawn by others, and made of surfaces."""

import numpy as np
import pytest
from mrml_helpers import GEOMETRIES, addTransform, addVolume, edit, makeVolume, segmentArray, segmentsOf, write

from Med3DCore.labels import find_labels


@pytest.mark.parametrize("name", ["anisotropic", "oblique", "left-handed", "left-handed oblique"])
def test_a_seg_nrrd_brings_everything_back(scene, tmp_path, name):
    import slicer.util

    from Med3DSegmentationLib.scene.own_segments import wasEdited

    volume = addVolume(scene, GEOMETRIES[name])
    node = write(scene, volume, model="med3d-1.0.0").segmentationNode
    assert slicer.util.saveNode(node, str(tmp_path / "organs.seg.nrrd"))
    loaded = slicer.util.loadSegmentation(str(tmp_path / "organs.seg.nrrd"))
    _check_reloaded(loaded, volume)
    assert not any(wasEdited(segment) for segment in segmentsOf(loaded).values())
    written = write(scene, volume, ("liver",), loaded)
    assert written.segmentationNode is loaded and list(segmentsOf(loaded)) == ["Liver", "Lungs"]


@pytest.mark.parametrize("name", ["oblique", "left-handed"])
def test_an_mrb_brings_everything_back(scene, tmp_path, name):
    import slicer
    import slicer.util

    from Med3DSegmentationLib.scene.own_segments import wasEdited

    volume = addVolume(scene, GEOMETRIES[name])
    volume.SetAndObserveTransformNodeID(addTransform(scene).GetID())
    write(scene, volume, model="med3d-1.0.0")
    assert scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    scene.Clear(0)
    assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    volume = slicer.util.getNode("CT")
    node = slicer.util.getNode("CT segmentation")
    _check_reloaded(node, volume)
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role) is volume and node.GetParentTransformNode() is volume.GetParentTransformNode()
    assert not any(wasEdited(segment) for segment in segmentsOf(node).values())
    edit(node, "liver", volume)
    assert write(scene, volume, ("liver",), node).kept == ("Liver (edited)",)


def _check_reloaded(node, volume):
    """A left-handed volume comes back with its slices in the other order: its own voxels say where organs are."""
    import slicer.util

    from Med3DSegmentationLib.scene.terminology import labelOfSegment, tagOfSegment

    segments = segmentsOf(node)
    assert list(segments) == ["Liver", "Lungs"]
    assert [labelOfSegment(segment).name for segment in segments.values()] == ["liver", "lungs"]
    assert tagOfSegment(segments["Liver"], "Med3D.model") == "med3d-1.0.0"
    assert node.GetSegmentation().GetConversionParameter("Smoothing factor") == "0.5"
    array = slicer.util.arrayFromVolume(volume)
    assert np.array_equal(segmentArray(node, "liver", volume) > 0, array > 60)
    assert np.array_equal(segmentArray(node, "lungs", volume) > 0, array < -400)


def test_segments_become_labels_of_the_volume(scene):
    from Med3DCore.errors import SettingError
    from Med3DSegmentationLib.scene.label_maps import labelMapFromSegmentation

    liver, lungs = find_labels(["liver", "lungs"])
    volume = addVolume(scene, GEOMETRIES["left-handed oblique"])
    volume.SetAndObserveTransformNodeID(addTransform(scene, 7).GetID())
    mine = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    mine.SetAndObserveTransformNodeID(addTransform(scene, 8).GetID())
    ids = write(scene, volume, ("liver", "lungs"), mine).segmentIds
    empty = mine.GetSegmentation().AddEmptySegment("empty")
    labels = labelMapFromSegmentation(mine, volume, {ids["lungs"]: lungs, ids["liver"]: liver, empty: liver})
    expected = makeVolume(GEOMETRIES["left-handed oblique"]).array
    assert [label.name for label in labels.labels] == ["lungs", "liver"]
    assert np.array_equal(labels.mask("liver"), expected > 60) and np.array_equal(labels.mask("lungs"), expected < -400)
    with pytest.raises(SettingError, match="mine has no segment 'gone'"):
        labelMapFromSegmentation(mine, volume, {"gone": liver})


def test_surfaces_from_a_file_are_never_replaced_by_voxels(scene, logic):
    import vtk

    from Med3DCore.errors import SettingError

    volume = addVolume(scene)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Implant")
    node.SetSourceRepresentationToClosedSurface()
    sphere = vtk.vtkSphereSource()
    sphere.Update()
    node.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "Implant", [1, 0, 0], "implant")
    with pytest.raises(SettingError, match="Implant consists of surfaces"):
        logic.segment(volume, ["liver"], node, wait=True)
    assert node.GetSegmentation().GetSegment("implant").GetRepresentation("Closed surface").GetNumberOfPoints() > 0
    made = logic.segment(volume, ["liver"], wait=True).segmentationNode
    made.GetSegmentation().CreateRepresentation("Closed surface")
    made.SetSourceRepresentationToClosedSurface()
    assert not logic.canRestorePrevious(made) and not logic.restorePrevious(made) and made.GetScene() is scene
