"""Runs of the Segment panel: several volumes, cancelled, killed, and while the user does other things."""

import os
import signal
import time

from module_helpers import addModel
from mrml_helpers import GEOMETRIES, addVolume, edit
from segment_panel_helpers import press, reason, rows, settle, wait


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


def test_a_batch_that_is_cancelled_keeps_what_is_done_and_shows_no_other_patients_organs(module, panel, ct):
    import slicer.util

    scene = module.services.scene
    volumes = [ct, *(addVolume(scene, name=name) for name in "BCDEFGHIJKLM")]  # so many that it is not done too early
    panel.ui.severalVolumesCheckBox.checked = True
    panel.ui.allVolumesButton.click()
    press(panel, "liverButton")
    segmentations = lambda: slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)  # noqa: E731
    assert panel.host.process_events(60, until=lambda: len(segmentations()) >= 3)
    panel.host.process_events(0)
    shown = [bool(node.GetDisplayNode().GetVisibility()) for node in segmentations()[:-1]]  # the last is being written
    assert shown == [True] + [False] * (len(shown) - 1)
    panel.ui.cancelButton.click()
    wait(panel)
    done = len(segmentations())
    assert 2 <= done < 13 and module.ui.messageLabel.text == f"Cancelled; {done} of 13 are done and stay."
    assert [row[0] for row in rows(panel)] == [volume.GetName() for volume in volumes[:done]]
    assert panel.ui.resultLabel.text.count("known-1.0.0 on CPU") == done
    assert [bool(node.GetDisplayNode().GetVisibility()) for node in segmentations()] == [True] + [False] * (done - 1)


def test_volumes_and_results_that_are_removed_while_others_are_segmented(module, panel, ct):
    scene = module.services.scene
    other, last = addVolume(scene, GEOMETRIES["oblique"], "other"), addVolume(scene, name="last")
    panel.ui.severalVolumesCheckBox.checked = True
    panel.ui.allVolumesButton.click()
    press(panel, "liverButton")
    assert panel.host.process_events(60, until=lambda: scene.GetFirstNodeByName("CT segmentation"))
    assert panel.host.process_events(60, until=lambda: scene.GetFirstNodeByName("other segmentation"))
    scene.RemoveNode(ct)  # its result is nobody's then
    wait(panel)
    assert panel.parameterNode.inputVolume is other
    assert panel.parameterNode.segmentation is scene.GetFirstNodeByName("other segmentation")
    scene.RemoveNode(panel.parameterNode.segmentation)
    settle(panel)
    assert panel.parameterNode.segmentation is None  # not that of the volume that is gone
    assert [row[0] for row in rows(panel)] == ["last"] and last.GetScene() is scene


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
    browser.SetSelectedItemNumber(1)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    edit(panel.parameterNode.segmentation, "liver", panel.parameterNode.inputVolume)
    assert [row[:2] for row in rows(panel)] == [["Frame 1", "Liver"], ["Frame 2", "Liver (edited)"]]


def test_a_warning_stays_as_long_as_the_segment_that_it_is_about(module, panel, ct):
    addModel(module, "doubt")
    panel.parameterNode.model = "doubt"
    texts = []
    for button in ("liverButton", "lungsButton", "undoButton"):
        press(panel, button)
        wait(panel)
        texts.append([line for line in panel.ui.resultLabel.text.splitlines() if "?" in line or "undone" in line])
    doubts = ["\u26a0 Is it liver?", "\u26a0 Is it lungs?"]
    assert texts == [doubts[:1], doubts[::-1], ["The last result was undone.", doubts[0]]]
    press(panel, "bothButton")
    wait(panel)
    assert panel.ui.resultLabel.text.splitlines()[1:] == doubts


def test_warnings_are_known_again_in_a_saved_scene(module, panel, ct, tmp_path):
    import slicer.util

    addModel(module, "doubt")
    panel.parameterNode.model = "doubt"
    press(panel, "bothButton")
    wait(panel)
    told = panel.ui.resultLabel.text
    assert "\u26a0 Is it liver?" in told
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    module.services.scene.Clear(0)
    settle(panel)
    assert panel.ui.resultLabel.text == ""
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    settle(panel)
    assert panel.ui.resultLabel.text == told and rows(panel)
    panel.parameterNode.inputVolume.SetAttribute("Med3D.notes", '["what a foreign scene may hold"]')
    panel.refresh()
    assert panel.ui.resultLabel.text == ""


def test_views_that_show_another_scan_beside_the_segmented_one_stay(module, panel, ct):
    import slicer

    prior = addVolume(module.services.scene, name="prior")
    settle(panel)
    views = [slicer.app.applicationLogic().GetSliceLogicByLayoutName(name) for name in ("Red", "Yellow", "Green")]
    views = [view.GetSliceCompositeNode() for view in views]
    slicer.util.setSliceViewerLayers(background=ct)
    views[1].SetBackgroundVolumeID(prior.GetID())
    press(panel, "liverButton")
    wait(panel)
    assert [view.GetBackgroundVolumeID() for view in views] == [ct.GetID(), prior.GetID(), ct.GetID()]
    slicer.util.setSliceViewerLayers(background=prior)  # then the result would lie over another scan
    press(panel, "lungsButton")
    wait(panel)
    assert [view.GetBackgroundVolumeID() for view in views] == [ct.GetID()] * 3


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
