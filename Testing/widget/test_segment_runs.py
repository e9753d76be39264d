"""Runs of the Segment panel: several volumes, cancelled, killed, and while the user does other things."""

import os
import signal
import time

from module_helpers import addModel
from mrml_helpers import addVolume
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
