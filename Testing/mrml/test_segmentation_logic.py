"""What a segmentation does to the scene: organs join, edits stay, the last result can be undone."""

from pathlib import Path

import numpy as np
import pytest
from logic_helpers import until, voxels
from mrml_helpers import GEOMETRIES, addTransform, addVolume, makeVolume, segmentArray
from test_segmentation_nodes import edit, segmentsOf


def test_one_call_from_the_console(scene, logic):
    """No callbacks, no GUI: the result, a segmentation and volumes in mL."""
    volume = addVolume(scene)
    result = logic.segment(volume, ["liver", "lungs"], wait=True)
    liver = makeVolume(GEOMETRIES["anisotropic"]).array > 60
    assert [(organ.name, organ.title) for organ in result.organs] == [("liver", "Liver"), ("lungs", "Lungs")]
    assert result.organs[0].volumeMl == pytest.approx(liver.sum() * 0.7 * 0.8 * 5.0 / 1000)
    assert result.model == "known-1.0.0" and result.device == "CPU" and result.totalSeconds == 0.1
    assert np.array_equal(segmentArray(result.segmentationNode, result.organs[0].segmentId, volume) > 0, liver)
    folders = [line.split(" ", 1)[1] for line in logic.engine.log if line.startswith("folder ")]
    assert folders and not Path(folders[-1]).exists(), "the job's folder must be gone"


def test_an_edit_is_noted_for_exports_whatever_panel_is_shown(scene, logic):
    from Med3DSegmentationLib.scene.terminology import tagOfSegment

    def kind(node, segmentId):
        return tagOfSegment(node.GetSegmentation().GetSegment(segmentId), "DICOM.SegmentAlgorithmType")

    volume = addVolume(scene)
    node = logic.segment(volume, ["liver", "lungs"], wait=True).segmentationNode
    assert {kind(node, "liver"), kind(node, "lungs")} == {"AUTOMATIC"}
    before = segmentArray(node, "liver", volume)
    edit(node, "liver", volume)
    until(lambda: kind(node, "liver") == "SEMIAUTOMATIC")
    assert kind(node, "lungs") == "AUTOMATIC"
    import slicer.util

    slicer.util.updateSegmentBinaryLabelmapFromArray(before, node, "liver", volume)  # as undo does it
    until(lambda: kind(node, "liver") == "AUTOMATIC")
    logic.close()
    edit(node, "liver", volume)
    until(lambda: True)
    assert kind(node, "liver") == "AUTOMATIC"  # nobody looks any more


@pytest.mark.parametrize("name", ["left-handed oblique", "permuted"])
def test_the_engine_is_told_where_the_scan_lies_in_the_world(scene, logic, name):
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    volume = addVolume(scene, GEOMETRIES[name])
    volume.SetAndObserveTransformNodeID(addTransform(scene, 5, addTransform(scene, 6)).GetID())
    result = logic.segment(volume, ["liver"], model="reveal", wait=True)
    assert result.warnings == (f"origin {list(geometryFromNode(volume).origin)}",)
    assert np.array_equal(segmentArray(result.segmentationNode, "liver", volume) > 0, voxels(volume) > 60)


def test_left_and_right_lung_apart_are_together_the_lungs(scene, logic):
    volume = addVolume(scene)
    result = logic.segment(volume, ["lungs", "liver"], splitLungs=True, wait=True)
    titles = ["Left lung", "Right lung", "Liver"]
    assert [organ.title for organ in result.organs] == titles
    found = [organ for organ in result.organs if organ.segmentId]  # what is one block is one lung, the other has none
    assert [organ.title for organ in found] == list(segmentsOf(result.segmentationNode)) == ["Left lung", "Liver"]
    assert result.organs[1].volumeMl == 0
    left = segmentArray(result.segmentationNode, result.organs[0].segmentId, volume) > 0
    assert np.array_equal(left, voxels(volume) < -400)
    (batch,) = logic.segmentBatch([volume], ["lungs"], splitLungs=True, wait=True)
    assert [organ.name for organ in batch.organs] == ["left_lung", "right_lung"]


def idsOf(node):
    """Title of each segment to its ID."""
    segmentation = node.GetSegmentation()
    return {segmentation.GetSegment(i).GetName(): i for i in segmentation.GetSegmentIDs()}


@pytest.mark.parametrize("split", [True, False])
def test_lungs_are_not_there_twice_when_divided_otherwise(scene, logic, split):
    volume = addVolume(scene)
    node = logic.segment(volume, ["lungs", "liver"], splitLungs=not split, wait=True).segmentationNode
    before = {title: segmentArray(node, segmentId, volume) for title, segmentId in idsOf(node).items()}
    logic.segment(volume, ["lungs"], node, splitLungs=split, wait=True)
    assert set(idsOf(node)) == {"Left lung" if split else "Lungs", "Liver"}
    assert logic.restorePrevious(node) and set(idsOf(node)) == set(before)
    for title, segmentId in idsOf(node).items():
        assert np.array_equal(segmentArray(node, segmentId, volume), before[title])


def test_lungs_edited_by_hand_stay_when_divided_otherwise(scene, logic):
    volume = addVolume(scene)
    node = logic.segment(volume, ["lungs"], wait=True).segmentationNode
    edit(node, idsOf(node)["Lungs"], volume)
    logic.segment(volume, ["lungs"], node, splitLungs=True, wait=True)
    assert set(idsOf(node)) == {"Left lung", "Lungs (edited)"}


def test_the_second_organ_joins_edits_are_kept_and_the_last_result_can_be_undone(scene, logic):
    volume = addVolume(scene)
    assert not logic.canRestorePrevious(None)
    new = logic.segment(volume, ["liver"], wait=True).segmentationNode
    assert logic.restorePrevious(new) and new.GetScene() is None  # it was made for the result
    node = logic.segment(volume, ["liver"], wait=True).segmentationNode
    edit(node, "liver", volume)
    edited = segmentArray(node, "liver", volume)
    result = logic.segment(volume, ["lungs", "liver"], node, wait=True)
    assert result.segmentationNode is node and result.keptEdits == ("Liver (edited)",)
    assert list(segmentsOf(node)) == ["Liver (edited)", "Lungs", "Liver"]
    assert logic.canRestorePrevious(node) and logic.restorePrevious(node)
    assert list(segmentsOf(node)) == ["Liver"] and np.array_equal(segmentArray(node, "liver", volume), edited)
    assert logic.segment(volume, ["liver"], node, keepEdits=False, wait=True).keptEdits == ()
    scene.RemoveNode(node)
    assert not logic.canRestorePrevious(node)


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_undo_leaves_what_the_user_drew_beside_the_result(scene, logic, made, shared):
    import slicer.util

    volume = addVolume(scene)
    node = logic.segment(volume, ["liver"], wait=True).segmentationNode
    edit(node, "liver", volume)
    if not made:
        logic.segment(volume, ["liver", "lungs"], node, wait=True)
    segmentation = node.GetSegmentation()
    drawn = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    drawn[2:5, 3:6, 4:7] = 1
    names = ["mine"] if made else ["mine", "liver"]  # "liver": by now "Liver (edited)", and edited further
    segmentation.AddEmptySegment("mine", "Mine")
    masks = {name: np.roll(drawn, shift, axis=2) for shift, name in zip((0, 5), names, strict=False)}
    for name, mask in masks.items():
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, name, volume)
    if shared:
        segmentation.CollapseBinaryLabelmaps(False)
    assert logic.restoringLosesEdits(node) == made
    assert logic.restorePrevious(node) and node.GetScene() is scene
    assert list(segmentation.GetSegmentIDs()) == (["mine"] if made else ["liver", "mine"])
    for name, mask in masks.items():
        assert np.array_equal(segmentArray(node, name, volume), mask), name
    assert made or segmentation.GetSegment("liver").GetName() == "Liver"


@pytest.mark.parametrize("turned", [False, True])
def test_only_what_lies_in_the_roi_is_labelled(scene, logic, turned):
    from mrml_helpers import worldPositions

    from Med3DSegmentationLib.scene.regions import boxToRoiNode
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    volume = addVolume(scene, GEOMETRIES["oblique"])
    volume.SetAndObserveTransformNodeID(addTransform(scene).GetID())
    geometry = geometryFromNode(volume)
    centre = (geometry.index_to_physical @ (9.0, 8.0, 5.0, 1.0))[:3]
    half = np.array((3, 4, 5))
    roi = boxToRoiNode(scene, [(centre - half).tolist(), (centre + half).tolist()], "ROI")
    if turned:
        roi.SetAndObserveTransformNodeID(addTransform(scene, 9).GetID())
        import vtk

        roi.SetCenterWorld(vtk.vtkVector3d(*(centre * (-1, -1, 1))))
    toRoi = vtkInverse(roi.GetObjectToWorldMatrix())
    indices = np.argwhere(np.ones(voxels(volume).shape, bool))
    world = np.c_[worldPositions(volume, indices[:, ::-1]), np.ones(len(indices))]
    inside = (np.abs(world @ toRoi[:3].T) <= np.array(roi.GetSize()) / 2).all(axis=1).reshape(voxels(volume).shape)
    result = logic.segment(volume, ["liver"], roiNode=roi, wait=True)
    found = segmentArray(result.segmentationNode, "liver", volume) > 0
    assert np.array_equal(found, inside & (voxels(volume) > 60)) and 0 < found.sum() < (voxels(volume) > 60).sum()
    assert result.organs[0].volumeMl == pytest.approx(found.sum() * geometry.voxel_volume_ml)


def vtkInverse(matrix):
    from Med3DSegmentationLib.scene.volume_nodes import toArray

    return np.linalg.inv(toArray(matrix))
