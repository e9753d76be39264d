"""The Segment panel in the module, pressed as a user presses it: what becomes of a result in the scene."""

import numpy as np
import pytest
from module_helpers import organMask
from mrml_helpers import GEOMETRIES, addVolume
from segment_panel_helpers import array, press, reason, rows, settle, shown, wait


def test_without_a_volume_it_says_how_to_get_one_and_the_first_volume_is_chosen(module, panel):
    assert "Load a CT first" in reason(panel) and "Load a CT first" in reason(panel, "bothButton")
    volume = addVolume(module.services.scene)
    assert reason(panel) == "" and panel.parameterNode.inputVolume is volume and panel.ui.hintRow.isHidden()
    module.services.scene.RemoveNode(volume)
    assert "Load a CT first" in reason(panel)


def test_one_click_one_organ_and_the_second_joins(module, panel, ct):
    settle(panel)
    press(panel, "liverButton")
    assert module.services.activity.reason == "A segmentation is running." and not panel.ui.progressRow.isHidden()
    assert not panel.ui.liverButton.enabled and panel.ui.liverButton.toolTip == "A segmentation is running."
    wait(panel)
    node = panel.parameterNode.segmentation
    assert node.GetName() == "CT segmentation" and panel.ui.progressRow.isHidden()
    assert np.array_equal(organMask(node, "liver", ct), array(ct) > 60)
    voxelMl = np.prod(ct.GetSpacing()) / 1000
    assert rows(panel) == [["CT", "Liver", f"{(array(ct) > 60).sum() * voxelMl:.1f}"]]
    press(panel, "lungsButton")
    wait(panel)
    assert panel.parameterNode.segmentation is node and [row[1] for row in rows(panel)] == ["Liver", "Lungs"]
    assert "known-1.0.0 on CPU" in panel.ui.resultLabel.text
    assert panel.host.process_events(30, until=lambda: shown(panel, node))
    press(panel, "bothButton")
    wait(panel)
    assert [row[1] for row in rows(panel)] == ["Liver", "Lungs"] and panel.ui.show3DButton.segmentationNode() is node
    assert "devices 2: begin" in panel.ui.logText.plainText and "segment" in panel.ui.logText.plainText


def test_left_and_right_lung_apart(panel, ct):
    settle(panel)
    panel.ui.splitLungsCheckBox.checked = True
    press(panel, "bothButton")
    wait(panel)
    assert [row[1] for row in rows(panel)] == ["Liver", "Left lung"]  # what is one block is one lung
    press(panel, "liverButton")  # to a liver alone it makes no difference
    wait(panel)
    assert [row[1] for row in rows(panel)] == ["Liver", "Left lung"]


def test_undo_goes_back_and_then_removes_what_was_made(module, panel, ct):
    settle(panel)
    assert not panel.ui.undoButton.enabled
    press(panel, "liverButton")
    wait(panel)
    press(panel, "lungsButton")
    wait(panel)
    node = panel.parameterNode.segmentation
    press(panel, "undoButton")
    settle(panel)
    assert [row[1] for row in rows(panel)] == ["Liver"] and not panel.ui.undoButton.enabled
    assert panel.ui.undoButton.toolTip == "There is no result to undo."
    module.services.scene.RemoveNode(node)
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    new = panel.parameterNode.segmentation
    edit(new, ct)
    module.host.dialogs.answer(module.host.qt.QMessageBox.Cancel, module.host.qt.QMessageBox.Ok)
    press(panel, "undoButton")
    assert new.GetScene() is not None and "edited by hand" in module.host.dialogs.texts("question")[0]
    press(panel, "undoButton")
    settle(panel)
    assert new.GetScene() is None and not rows(panel) and panel.parameterNode.segmentation is None


def test_where_nothing_is_found_there_is_no_segmentation_and_it_is_told(module, panel, ct):
    import slicer.util

    slicer.util.updateVolumeFromArray(ct, np.minimum(array(ct), 50))  # no liver
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode", module.services.scene)
    assert panel.parameterNode.segmentation is None and not rows(panel)
    assert not panel.ui.resultSection.isHidden() and "known-1.0.0" in panel.ui.resultLabel.text
    press(panel, "bothButton")
    wait(panel)
    assert [row[1] for row in rows(panel)] == ["Lungs"]
    press(panel, "undoButton")
    press(panel, "liverButton")
    wait(panel)
    assert "known-1.0.0" in panel.ui.resultLabel.text
    volumeId, scene = ct.GetID(), module.services.scene
    scene.Clear(0)
    another = addVolume(scene, name="another patient")
    settle(panel)
    assert another.GetID() == volumeId and panel.parameterNode.inputVolume is another
    assert panel.ui.resultSection.isHidden() and not panel.ui.resultLabel.text  # nothing of the one before


def lackingOffset(volume):
    """Store a CT without its offset."""
    import slicer.util

    slicer.util.updateVolumeFromArray(volume, array(volume) + np.int16(1024))


def test_of_a_scan_that_is_no_ct_the_user_is_asked(module, panel, ct):
    dialogs, buttons = module.host.dialogs, module.host.qt.QMessageBox
    found = (array(ct) > 60).sum() * np.prod(ct.GetSpacing()) / 1000
    lackingOffset(ct)
    settle(panel)
    dialogs.answer(buttons.No)
    press(panel, "liverButton")
    wait(panel)
    (question,) = dialogs.texts("question")
    assert "do not look like a CT" in question and "offset of -1024" in question
    assert module.ui.messageFrame.visible and "do not look like a CT" in module.ui.messageLabel.text
    assert not rows(panel) and panel.parameterNode.segmentation is None
    dialogs.answer(buttons.Apply)
    press(panel, "liverButton")
    wait(panel)
    wait(panel)
    assert rows(panel)[0][1:] == ["Liver", f"{found:.1f}"] and not module.ui.messageFrame.visible
    dialogs.answer(buttons.Yes)
    press(panel, "liverButton")  # all of it is "bright" then
    wait(panel)
    wait(panel)
    assert float(rows(panel)[0][2]) > 2 * found


def test_an_mr_whose_values_pass_is_known_by_its_modality_and_of_several_only_those_are_asked_for(module, panel, ct):
    import slicer

    mr = addVolume(module.services.scene, name="T1")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(module.services.scene)
    modality = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), mr)
    hierarchy.SetItemAttribute(item, modality, "MR")
    dialogs, buttons = module.host.dialogs, module.host.qt.QMessageBox
    panel.ui.severalVolumesCheckBox.checked = True
    settle(panel)
    for row in range(2):
        panel.ui.volumeList.item(row).setCheckState(module.host.qt.Qt.Checked)
    dialogs.answer(buttons.No)
    press(panel, "liverButton")
    wait(panel)
    assert dialogs.texts("question") == ["T1 is MR, and known-1.0.0 was made for CT; nothing was computed."]
    assert "1 of 2 volumes could not be segmented: T1 is MR" in module.ui.messageLabel.text
    assert [row[0] for row in rows(panel)] == ["CT"]
    dialogs.answer(buttons.Yes)
    press(panel, "liverButton")
    wait(panel)
    wait(panel)
    assert [row[0] for row in rows(panel)] == ["CT", "T1"] and not module.ui.messageFrame.visible


def edit(segmentationNode, volumeNode):
    import slicer.util

    changed = organMask(segmentationNode, "liver", volumeNode).astype(np.uint8)
    changed[0, 0, 0] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(changed, segmentationNode, "liver", volumeNode)


@pytest.mark.parametrize("keep", [True, False])
def test_what_was_edited_by_hand_is_kept_if_wished(panel, ct, keep):
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    edit(panel.parameterNode.segmentation, ct)
    panel.ui.keepEditsCheckBox.checked = keep
    press(panel, "liverButton")
    wait(panel)
    segmentation = panel.parameterNode.segmentation.GetSegmentation()
    names = [segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())]
    assert names == (["Liver (edited)", "Liver"] if keep else ["Liver"])
    assert ('stays as "Liver (edited)"' in panel.ui.resultLabel.text) is keep


def test_a_second_volume_gets_its_own_segmentation_and_the_first_one_is_found_again(module, panel, ct):
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    first = panel.parameterNode.segmentation
    other = addVolume(module.services.scene, GEOMETRIES["oblique"], "other")
    panel.ui.inputSelector.setCurrentNode(other)
    assert panel.parameterNode.segmentation is None
    panel.ui.segmentationSelector.setCurrentNode(first)  # of another volume: not taken
    assert panel.parameterNode.segmentation is None
    press(panel, "liverButton")
    wait(panel)
    assert panel.parameterNode.segmentation is not first
    second = panel.parameterNode.segmentation
    assert [row[0] for row in rows(panel)] == ["other"] and visible(first, second) == [False, True]
    second.GetDisplayNode().SetVisibility(False)  # by the user, and so it stays
    panel.ui.inputSelector.setCurrentNode(ct)
    assert panel.parameterNode.segmentation is first and [row[0] for row in rows(panel)] == ["CT"]
    assert visible(first, second) == [True, False]
    panel.ui.inputSelector.setCurrentNode(other)
    assert visible(first, second) == [False, False]


def visible(*nodes):
    return [bool(node.GetDisplayNode().GetVisibility()) for node in nodes]


def test_a_result_becomes_a_training_case_in_one_click(module, panel, ct):
    settle(panel)
    assert not panel.ui.trainingCaseButton.enabled
    press(panel, "liverButton")
    wait(panel)
    got = []
    module.services.caseListeners.append(lambda *nodes: got.append(nodes))
    press(panel, "trainingCaseButton")
    assert got == [(ct, panel.parameterNode.segmentation)]
    assert module.ui.tabs.currentWidget() is module.panels["TrainPanel"].widget
