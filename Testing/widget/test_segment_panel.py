"""The Segment panel in the module, pressed as a user presses it; a real process behind it, mostly of known answers."""

import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
from module_helpers import addModel, openModule, organMask
from mrml_helpers import GEOMETRIES, addTransform, addVolume


@pytest.fixture
def module(slicer_gui, monkeypatch, tmp_path):
    """The module's widget, with an empty scene."""
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    widget = openModule(slicer_gui)
    widget.host = slicer_gui
    return widget


@pytest.fixture
def panel(module):
    return module.panels["SegmentPanel"]


@pytest.fixture
def ct(module):
    return addVolume(module.services.scene)


def wait(panel, seconds=60):
    """Until nothing runs any more."""
    host = _host(panel)
    assert host.process_events(seconds, until=lambda: not panel.services.activity.isRunning)
    host.process_events(0.05)


def settle(panel):
    _host(panel).process_events(0.05)


def _host(panel):
    return panel.host


@pytest.fixture(autouse=True)
def remember(module, panel):
    panel.host = module.host


def rows(panel, columns=3):
    """What the table shows when it has measured what changed."""
    panel.host.process_events(0.35)
    table = panel.ui.resultTable
    return [[table.item(row, column).text() for column in range(columns)] for row in range(table.rowCount)]


def press(panel, name):
    button = getattr(panel.ui, name)
    assert button.enabled, button.toolTip
    button.click()


def reason(panel, button="liverButton"):
    """Why a button is disabled, as its tool tip and the hint say; "" if it is enabled."""
    settle(panel)
    widget = getattr(panel.ui, button)
    if widget.enabled:
        return ""
    assert widget.toolTip and widget.toolTip == panel.ui.hintLabel.text and not panel.ui.hintRow.isHidden()
    return widget.toolTip


def shown(panel, segmentationNode):
    surface = "Closed surface"
    segmentation = segmentationNode.GetSegmentation()
    count = segmentation.GetNumberOfSegments()
    return count and all(segmentation.GetNthSegment(i).GetRepresentation(surface) for i in range(count))


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


def array(volumeNode):
    import slicer.util

    return slicer.util.arrayFromVolume(volumeNode)


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
    assert dialogs.texts("question") == ["T1 is MR, and known-1.0.0 was made for CT; nothing was segmented."]
    assert "1 of 2 volumes could not be segmented: T1 is MR" in module.ui.messageLabel.text
    assert [row[0] for row in rows(panel)] == ["CT"]
    dialogs.answer(buttons.Yes)
    press(panel, "liverButton")
    wait(panel)
    wait(panel)
    assert [row[0] for row in rows(panel)] == ["CT", "T1"] and not module.ui.messageFrame.visible


def test_after_undo_no_number_of_the_undone_result_is_shown(panel, ct):
    settle(panel)
    for _run in range(2):
        press(panel, "bothButton")
        wait(panel)
    press(panel, "lungsButton")
    wait(panel)
    press(panel, "undoButton")
    settle(panel)
    found = (array(ct) < -400).sum() * np.prod(ct.GetSpacing()) / 1000  # what the undone result had replaced
    assert [row[1:] for row in rows(panel)][1] == ["Lungs", f"{found:.1f}"] and "undone" in panel.ui.resultLabel.text
    assert organMask(panel.parameterNode.segmentation, "lungs", ct).any()


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


def test_the_table_follows_what_is_edited(panel, ct):
    settle(panel)
    press(panel, "bothButton")
    wait(panel)
    node, voxelMl = panel.parameterNode.segmentation, np.prod(ct.GetSpacing()) / 1000
    values, liver = array(ct), array(ct) > 60
    assert rows(panel, 4)[0][1:] == ["Liver", f"{liver.sum() * voxelMl:.1f}", f"{values[liver].mean():.0f}"]
    half = liver.copy()
    half[5:] = False
    import slicer.util

    slicer.util.updateSegmentBinaryLabelmapFromArray(half.astype(np.uint8), node, "liver", ct)
    assert rows(panel, 4)[0][1:] == ["Liver (edited)", f"{half.sum() * voxelMl:.1f}", f"{values[half].mean():.0f}"]
    assert kindOf(node, "liver") == "SEMIAUTOMATIC" and kindOf(node, "lungs") == "AUTOMATIC"
    press(panel, "liverButton")
    wait(panel)
    assert [row[1] for row in rows(panel)] == ["Liver (edited)", "Lungs", "Liver"]
    node.GetSegmentation().RemoveSegment("lungs")
    assert [row[1] for row in rows(panel)] == ["Liver (edited)", "Liver"]


def kindOf(node, segmentId):
    from Med3DSegmentationLib.scene.terminology import tagOfSegment

    return tagOfSegment(node.GetSegmentation().GetSegment(segmentId), "DICOM.SegmentAlgorithmType")


def test_mean_and_volume_are_those_of_the_world(module, panel):
    """Volume and segmentation under different transforms, oblique and left-handed."""
    ct = addVolume(module.services.scene, GEOMETRIES["left-handed oblique"])
    ct.SetAndObserveTransformNodeID(addTransform(module.services.scene, 3).GetID())
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    liver, voxelMl = array(ct) > 60, np.prod(ct.GetSpacing()) / 1000
    assert rows(panel, 4)[0][1:] == ["Liver", f"{liver.sum() * voxelMl:.1f}", f"{array(ct)[liver].mean():.0f}"]
    panel.parameterNode.segmentation.SetAndObserveTransformNodeID(None)  # it lies elsewhere now, as large as before
    assert rows(panel, 4)[0][1:3] == ["Liver", f"{liver.sum() * voxelMl:.1f}"]


def test_the_table_is_copied_and_saved(module, panel, ct, tmp_path, monkeypatch):
    settle(panel)
    assert not panel.ui.copyButton.enabled and panel.ui.copyButton.toolTip == "There is no result."
    press(panel, "liverButton")
    wait(panel)
    assert rows(panel)
    press(panel, "copyButton")
    qt = module.host.qt
    copied = qt.QApplication.clipboard().text().splitlines()
    ml = (array(ct) > 60).sum() * np.prod(ct.GetSpacing()) / 1000
    expected = ["CT", "Liver", f"{ml:.3f}", f"{array(ct)[array(ct) > 60].mean():.2f}"]
    assert [line.split("\t") for line in copied] == [["Volume", "Segment", "mL", "Mean HU"], expected]
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(tmp_path / "table"))
    press(panel, "csvButton")
    assert (tmp_path / "table.csv").read_text("utf-8-sig").splitlines() == [line.replace("\t", ",") for line in copied]


def test_another_volume_that_is_picked_during_a_run_stays(module, panel, ct):
    addModel(module, "slow")
    other = addVolume(module.services.scene, name="other")
    settle(panel)
    press(panel, "liverButton")
    panel.ui.inputSelector.setCurrentNode(other)
    wait(panel)
    assert panel.parameterNode.inputVolume is other and panel.parameterNode.segmentation is None and not rows(panel)
    panel.ui.inputSelector.setCurrentNode(ct)
    assert [row[:2] for row in rows(panel)] == [["CT", "Liver"]]
    assert "known-1.0.0 on CPU" in panel.ui.resultLabel.text


def test_why_not_torch_and_installing_it(module, panel, ct):
    ready = []

    def install():
        ready.append(True)
        return True

    module.services.installer = SimpleNamespace(
        isReady=lambda: bool(ready), reason=lambda: "PyTorch is missing.", installWithConsent=install
    )
    panel.refresh()
    assert reason(panel) == "PyTorch is missing." and not panel.ui.installButton.isHidden()
    for name in ("TrainPanel", "PreviewPanel", "ModelsPanel"):
        module.panels[name].refresh()
        assert (
            not module.panels[name].ui.installButton.isHidden() and "PyTorch" in module.panels[name].ui.hintLabel.text
        )
    module.panels["TrainPanel"].ui.installButton.click()
    assert reason(panel) == ""
    assert all(each.ui.installButton.isHidden() for each in module.panels.values())


def test_a_label_map_is_not_chosen_as_the_first_volume(module, panel):
    scene = module.services.scene
    module.host.leave_module("Med3DSegmentation")
    scene.Clear(0)
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    module.host.open_module("Med3DSegmentation")
    assert panel.parameterNode.inputVolume is None
    volume = addVolume(scene)
    settle(panel)
    assert panel.parameterNode.inputVolume is volume


def test_why_not_the_segmentation(module, panel, ct):
    node = module.services.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Implant")
    node.SetSourceRepresentationToClosedSurface()
    settle(panel)
    panel.parameterNode.segmentation = node
    assert "Implant consists of surfaces" in reason(panel)
    panel.ui.severalVolumesCheckBox.click()
    assert "Several volumes" in panel.ui.segmentationSelector.toolTip and panel.ui.keepEditsCheckBox.enabled
    panel.ui.severalVolumesCheckBox.click()
    assert "only the segments of the chosen organs" in panel.ui.segmentationSelector.toolTip


def test_why_not_the_volume_or_the_roi(module, panel, ct):
    import slicer
    import vtk

    scene = module.services.scene
    assert reason(panel) == ""
    bent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    bent.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    ct.SetAndObserveTransformNodeID(bent.GetID())
    panel.refresh()
    assert "CT lies under bent, which is not a linear transform" in reason(panel)
    ct.SetAndObserveTransformNodeID(addTransform(scene).GetID())
    panel.refresh()
    assert reason(panel) == ""
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    panel.ui.roiSelector.setCurrentNode(roi)
    assert "The ROI box is empty" in reason(panel)
    panel.ui.roiSelector.setCurrentNode(None)
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    panel.ui.inputSelector.setCurrentNode(empty)
    assert "empty has no voxels" in reason(panel)
    assert isinstance(empty, slicer.vtkMRMLScalarVolumeNode)


def test_a_roi_is_made_by_the_selector_and_noticed_when_it_is_drawn(module, panel, ct):
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    scene = module.services.scene
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    panel.ui.roiSelector.setCurrentNode(roi)
    assert "The ROI box is empty" in reason(panel)
    roi.SetCenter(0, 0, 0)
    roi.SetSize(20, 20, 20)
    assert reason(panel) == ""
    made = panel.ui.roiSelector.addNode()
    assert panel.parameterNode.roi is made and reason(panel) == "" and not made.GetLocked()
    bounds = np.zeros(6)
    made.GetRASBounds(bounds)
    low, high = geometryFromNode(ct).bounds_of_box((0, 0, 0), geometryFromNode(ct).size)
    assert np.allclose(bounds[1::2] - bounds[::2], high - low)
    press(panel, "liverButton")
    wait(panel)
    assert np.array_equal(organMask(panel.parameterNode.segmentation, "liver", ct), array(ct) > 60)


def test_a_preview_is_offered_nowhere(module, panel, ct):
    from Med3DSegmentationLib.scene.volume_nodes import PREVIEW_ATTRIBUTE, plainVolumes

    seen = addVolume(module.services.scene, name="CT preview")
    seen.SetAttribute(PREVIEW_ATTRIBUTE, "1")
    settle(panel)
    module.services.activity.tell()  # as at the end of a preview
    train, preview = (module.panels[name].ui for name in ("TrainPanel", "PreviewPanel"))
    for box in (panel.ui.inputSelector, preview.inputSelector, train.caseVolumeSelector):
        assert box.nodes() == [ct]
    assert plainVolumes(module.services.scene) == [ct] and panel.ui.volumeList.count == 1


def test_only_inside_a_roi(module, panel, ct):
    from Med3DSegmentationLib.scene.regions import boxToRoiNode
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    low, high = geometryFromNode(ct).bounds_of_box((0, 0, 0), (12, 20, 16))
    panel.ui.roiSelector.setCurrentNode(boxToRoiNode(module.services.scene, [low.tolist(), high.tolist()], "half"))
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    found = organMask(panel.parameterNode.segmentation, "liver", ct)
    expected = array(ct) > 60
    expected[:, :, 12:] = False
    assert np.array_equal(found, expected) and found.any()


def test_models_are_described_and_say_what_they_find(module, panel, ct):
    addModel(module, "spleens", ("spleen", "liver"))
    box = panel.ui.modelSelector
    titles = [box.itemText(i) for i in range(box.count)]
    assert titles[0] == "Automatic" and "Spleens (spleens)" in titles
    choose(box, "spleens")
    assert panel.parameterNode.model == "spleens" and panel.ui.modelDescription.text == "Known for spleens."
    settle(panel)
    assert panel.ui.liverButton.enabled and panel.ui.hintLabel.text == "The chosen model finds only: Spleen, Liver."
    assert not panel.ui.lungsButton.enabled and not panel.ui.allOrgansButton.isHidden()
    assert panel.ui.allOrgansButton.text == "Segment Spleen, Liver"
    press(panel, "allOrgansButton")
    wait(panel)
    assert [row[1] for row in rows(panel)] == ["Liver"]
    panel.parameterNode.model = "gone-1.0.0"
    assert "gone-1.0.0 is not on this computer" in reason(panel)
    choose(box, "")
    assert reason(panel) == "" and panel.ui.allOrgansButton.isHidden()


def choose(box, name):
    """As a user chooses an entry."""
    row = next(i for i in range(box.count) if box.itemData(i) == name)
    box.setCurrentIndex(row)
    box.activated.emit(row)


def test_devices_are_those_that_the_engine_found(panel, ct):
    box = panel.ui.deviceSelector
    assert panel.host.process_events(30, until=lambda: box.count == 3)
    assert [box.itemText(i) for i in range(3)] == ["Automatic: Known GPU", "Known GPU", "CPU"]
    choose(box, "cuda:0")
    assert panel.parameterNode.device == "cuda:0" and panel.ui.deviceDescription.text == "cuda:0 it is."
    panel.parameterNode.device = "cuda:7"  # of another computer, from a saved scene
    assert box.currentText == "cuda:7" and "Not available" in panel.ui.deviceDescription.text


def test_cancel_takes_less_than_a_second(module, panel, ct):
    addModel(module, "slow")
    panel.parameterNode.model = "slow"
    settle(panel)
    press(panel, "bothButton")
    assert panel.host.process_events(30, until=lambda: "waiting" in panel.ui.progressLabel.text)
    begin = time.monotonic()
    press(panel, "cancelButton")
    assert panel.ui.progressLabel.text == "Cancelling..." and not panel.ui.cancelButton.enabled
    wait(panel, 3)
    assert time.monotonic() - begin < 1.5  # a second to obey, else it is killed
    assert module.ui.messageLabel.text.startswith("Cancelled") and panel.parameterNode.segmentation is None
    press(panel, "liverButton")
    assert module.ui.messageFrame.isHidden() and panel.ui.cancelButton.enabled
    panel.ui.cancelButton.click()
    wait(panel, 3)


def test_a_killed_engine_is_told_with_its_log_and_works_again(module, panel, ct):
    addModel(module, "slow")
    panel.parameterNode.model = "slow"
    settle(panel)
    press(panel, "liverButton")
    assert panel.host.process_events(30, until=lambda: "waiting" in panel.ui.progressLabel.text)
    os.kill(module.engine.processId, signal.SIGKILL)
    wait(panel)
    assert "ended unexpectedly" in module.ui.messageLabel.text and not module.ui.messageFrame.isHidden()
    module.ui.messageDetailsButton.click()
    assert "begin" in module.ui.messageDetails.plainText and not module.ui.messageDetails.isHidden()
    module.ui.messageCloseButton.click()
    assert module.ui.messageFrame.isHidden()
    panel.parameterNode.model = ""
    press(panel, "liverButton")
    wait(panel)
    assert rows(panel)


def test_an_error_is_a_sentence(module, panel, ct):
    addModel(module, "refuse")
    panel.parameterNode.model = "refuse"
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    assert module.ui.messageLabel.text == "There is no model 'refuse'; choose another one."
    assert reason(panel) == ""


def test_several_volumes_one_after_the_other(module, panel, ct):
    scene = module.services.scene
    other, empty = addVolume(scene, name="other"), scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    panel.ui.severalVolumesCheckBox.checked = True
    assert reason(panel) == "Tick the volumes to segment." and not panel.ui.volumeList.isHidden()
    items = [panel.ui.volumeList.item(row) for row in range(panel.ui.volumeList.count)]
    assert [item.text() for item in items] == ["CT", "other", "empty"]
    for item in items:
        item.setCheckState(module.host.qt.Qt.Checked)
    assert reason(panel) == ""
    press(panel, "liverButton")
    wait(panel)
    assert [row[:2] for row in rows(panel)] == [["CT", "Liver"], ["other", "Liver"]]
    assert "1 of 3 volumes could not be segmented: empty has no voxels" in module.ui.messageLabel.text
    panel.ui.resultTable.cellClicked.emit(1, 0)
    assert panel.parameterNode.inputVolume is other
    items[2].setCheckState(module.host.qt.Qt.Unchecked)
    scene.RemoveNode(empty)
    settle(panel)
    press(panel, "lungsButton")
    wait(panel)
    assert len(rows(panel)) == 4 and scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2


def test_all_frames_of_a_sequence(module, panel):
    import slicer

    scene = module.services.scene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "frames")
    for index in range(2):
        frame = addVolume(scene)
        sequence.SetDataNodeAtValue(frame, str(index))
        scene.RemoveNode(frame)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.AddSynchronizedSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    panel.ui.inputSelector.setCurrentNode(browser.GetProxyNode(sequence))
    settle(panel)
    assert not panel.ui.allFramesCheckBox.isHidden()
    panel.ui.allFramesCheckBox.checked = True
    press(panel, "liverButton")
    wait(panel)
    assert [row[:2] for row in rows(panel)] == [["Frame 1", "Liver"], ["Frame 2", "Liver"]]
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 2


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


def test_closing_the_scene_during_a_run(module, panel, ct):
    addModel(module, "slow")
    panel.parameterNode.model = "slow"
    settle(panel)
    press(panel, "liverButton")
    assert panel.host.process_events(30, until=lambda: "waiting" in panel.ui.progressLabel.text)
    module.services.scene.Clear(0)
    wait(panel)
    assert module.ui.messageLabel.text == "Cancelled, because the scene was closed."
    assert "Load a CT first" in reason(panel) and panel.parameterNode.model == ""
    addVolume(module.services.scene)
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    assert rows(panel)


def test_the_window_never_waits(module, panel):
    """CPU seconds of the main thread between two turns of the event loop: how busy the computer is does not count."""
    from Med3DCore.geometry import Geometry
    from Med3DCore.volume import Volume
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    z, y, x = np.ogrid[:200, :400, :400]
    array = np.full((200, 400, 400), -100, np.int16)
    array[((z - 60) / 50) ** 2 + ((y - 200) / 120) ** 2 + ((x - 130) / 100) ** 2 < 1] = 120
    array[((z - 150) / 45) ** 2 + ((y - 200) / 120) ** 2 + ((x - 280) / 100) ** 2 < 1] = -800
    geometry = Geometry((400, 400, 200), (0.8, 0.8, 1.5), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    node = volumeToNode(module.services.scene, Volume(array, geometry, "large"), "large")
    settle(panel)
    ticks = []
    timer = module.host.qt.QTimer()
    timer.setInterval(10)
    timer.connect("timeout()", lambda: ticks.append(time.thread_time()))
    for _ in range(2):  # a new segmentation, then again into the same one
        timer.start()
        press(panel, "bothButton")
        wait(panel)
        segmentation = panel.parameterNode.segmentation
        assert panel.host.process_events(30, until=lambda s=segmentation: shown(panel, s))
        panel.host.process_events(0.1)
        timer.stop()
        assert max(np.diff(ticks)) < 0.1, np.sort(np.diff(ticks))[-5:]
        ticks.clear()
    assert np.array_equal(organMask(segmentation, "liver", node), array > 60)
