"""The stand-in host's scene: real MRML, booted clean, with Slicer's own load and save functions on top."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import vtk

TESTING = Path(__file__).parent.parent


def add_ct(slicer, shape=(20, 30, 40)):
    """A dark box with a bright ball right of the middle; 1.5 x 1.5 x 2 mm."""
    z, y, x = np.indices(shape)
    array = np.where((x - 24) ** 2 + (y - 15) ** 2 + (z - 10) ** 2 < 8**2, 200, -200).astype(np.int16)
    matrix = np.diag([-1.5, -1.5, 2.0, 1.0])
    matrix[:3, 3] = 30, 22, -20
    node = slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name="CT")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(1000, 0)
    return node


def add_segmentation(slicer, volume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("liver", "Liver", (0.0, 1.0, 0.0))
    mask = (slicer.util.arrayFromVolume(volume) > 0).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "liver", volume)
    return node, mask


def test_boot_is_clean_and_fresh(slicer_scene, vtk_messages):
    import slicer

    assert slicer.mrmlScene is slicer_scene.scene
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []
    assert slicer.modules.segmentations.logic().IsA("vtkSlicerSegmentationsModuleLogic")
    assert slicer.util.getModuleLogic("Volumes") is slicer.modules.volumes.logic()
    vtk_messages.expect_clean(warnings=True)


def test_scene_tests_need_no_qt():
    code = "import sys, slicer_host.mrml as m; m.Host().close(); print({'PySide6', 'qt'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTING, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_unknown_things_raise(slicer_scene, monkeypatch):
    import slicer

    with pytest.raises(AttributeError):
        slicer.modules.doesnotexist  # noqa: B018
    with pytest.raises(RuntimeError, match="Could not find module"):
        slicer.util.getModule("DoesNotExist")
    with pytest.raises(AttributeError):
        slicer.app.doesNotExist()
    with pytest.raises(ValueError, match="no signal"):
        slicer_scene.app.connect("doesNotExist()", print)
    with pytest.raises(NotImplementedError, match="no reader for TableFile"):
        slicer.util.loadTable("x.csv")
    monkeypatch.delitem(sys.modules, "qt", raising=False)  # another test may have loaded it
    with pytest.raises(RuntimeError, match="needs Qt"):
        slicer.app.processEvents()


def test_volume_and_segmentation_round_trip(slicer_scene, vtk_messages, tmp_path):
    import slicer

    ct = add_ct(slicer)
    organs, mask = add_segmentation(slicer, ct)
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(organs, "liver", ct), mask)

    assert slicer.util.saveNode(ct, str(tmp_path / "ct.nii.gz"))
    again = slicer.util.loadVolume(tmp_path / "ct.nii.gz", properties={"name": "Again"})
    assert again.GetName() == "Again"
    assert np.array_equal(slicer.util.arrayFromVolume(again), slicer.util.arrayFromVolume(ct))
    assert slicer_scene.application_logic.GetSelectionNode().GetActiveVolumeID() == again.GetID()

    assert slicer.util.saveNode(organs, str(tmp_path / "organs.seg.nrrd"))
    loaded = slicer.util.loadSegmentation(tmp_path / "organs.seg.nrrd", properties={})
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(loaded, "liver", ct), mask)
    vtk_messages.expect_clean()


@pytest.mark.usefixtures("slicer_scene")
def test_scene_survives_an_mrb(vtk_messages, tmp_path):
    import slicer

    organs, mask = add_segmentation(slicer, add_ct(slicer))
    name = slicer.vtkSegment.GetTerminologyEntryTagName()
    tag = "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
    tag += "~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
    organs.GetSegmentation().GetSegment("liver").SetTag(name, tag)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    again = slicer.util.getNode("Organs")
    found = vtk.reference("")
    assert again.GetSegmentation().GetSegment("liver").GetTag(name, found)
    assert str(found) == tag
    assert slicer.util.arrayFromSegmentBinaryLabelmap(again, "liver", slicer.util.getNode("CT")).sum() == mask.sum()
    vtk_messages.expect_clean()


@pytest.mark.usefixtures("slicer_scene")
def test_missing_file_is_an_error_with_vtk_messages(vtk_messages, tmp_path):
    import slicer

    with pytest.raises(RuntimeError, match=r"missing\.nrrd"):
        slicer.util.loadVolume(tmp_path / "missing.nrrd")
    with pytest.raises(AssertionError, match="does not exist"):
        vtk_messages.expect_clean()


@pytest.mark.usefixtures("slicer_scene")
def test_terminology_is_loaded():
    import slicer

    entry = slicer.vtkSlicerTerminologyEntry()
    logic = slicer.modules.terminologies.logic()
    context = "Segmentation category and type - 3D Slicer General Anatomy list"
    assert logic.FindTypeInTerminologyBy3dSlicerLabel(context, "liver", entry) or logic.IsTerminologyContextLoaded(
        context
    )
    tag = f"{context}~SCT^123037004^Anatomical Structure~SCT^39607008^Lung~SCT^7771000^Left~~^^~^^"
    assert logic.DeserializeTerminologyEntry(tag, entry)
    assert (entry.GetTypeObject().GetCodeMeaning(), entry.GetTypeModifierObject().GetCodeMeaning()) == ("Lung", "Left")


@pytest.mark.parametrize("subject_hierarchy", [False, True])
def test_subject_hierarchy_items_are_an_option(vtk_messages, subject_hierarchy):
    import slicer
    from slicer_host.mrml import Host

    vtk_messages.clear()
    host = Host(subject_hierarchy=subject_hierarchy)
    ct = add_ct(slicer)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.scene)
    assert bool(hierarchy.GetItemByDataNode(ct)) is subject_hierarchy
    slicer.mrmlScene.RemoveNode(ct)
    assert hierarchy.GetNumberOfItems() == 0
    host.close()
    vtk_messages.expect_clean()


@pytest.mark.usefixtures("vtk_messages")
def test_host_leaves_nothing_behind():
    import slicer
    from slicer_host.mrml import Host

    host = Host()
    folder = host.folder
    host.close()
    assert not folder.exists()
    assert not hasattr(slicer, "mrmlScene")


def test_slices_and_3d_show_volume_and_segment(slicer_scene, vtk_messages, tmp_path):
    import slicer
    from slicer_host.screenshots import SliceView, ThreeDView, save

    ct = add_ct(slicer)
    organs, _ = add_segmentation(slicer, ct)
    centre, radius = np.array([-6.0, -0.5, 0.0]), np.array([12.0, 12.0, 16.0])  # of the ball, mm RAS
    for name, axes in {"Red": (0, 1), "Green": (0, 2), "Yellow": (1, 2)}.items():
        view = SliceView(slicer_scene, name)
        view.show(ct, through=centre)
        pixels = view.pixels().astype(int)
        for step in [sign * radius * unit for unit in np.eye(3)[list(axes)] for sign in (-1, 1)]:
            red, green, blue = pixels[view.pixel_of(centre + 0.8 * step)]
            assert green > max(red, blue) + 50, (name, step)
            red, green, blue = pixels[view.pixel_of(centre + 1.1 * step)]
            assert red == green == blue == pytest.approx((-200 + 500) / 1000 * 255, abs=2)  # window 1000, level 0
    view.show(ct, through=(15.0, -0.5, 0.0))  # sagittal, beside the ball
    assert len(set(view.pixels()[view.pixel_of(centre)])) == 1
    organs.CreateClosedSurfaceRepresentation()
    pixels = ThreeDView(slicer_scene).pixels().astype(int)
    assert (pixels[..., 1] > pixels[..., 0] + 100)[100:220, 100:220].mean() > 0.5
    assert save(pixels.astype(np.uint8), tmp_path / "3d.png").stat().st_size > 1000
    assert slicer.app.layoutManager().sliceViewNames() == ["Red", "Green", "Yellow"]
    vtk_messages.expect_clean()
