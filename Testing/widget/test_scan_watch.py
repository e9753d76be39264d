"""A volume whose voxels come after its node: every panel that wants a scan says so, and can be used as they come."""

import pytest
from module_helpers import openModule
from tiny_model import makeScan, saveModel

from Med3DCore.worker.launch import worker_command

BUTTONS = {"SegmentPanel": "liverButton", "PreviewPanel": "showButton", "FindPanel": None}


@pytest.mark.parametrize("name", BUTTONS)
def test_voxels_that_come_later_or_go_are_noticed(slicer_gui, monkeypatch, tmp_path, name):
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    monkeypatch.setenv("MED3D_MODELS", str(tmp_path))
    saveModel(tmp_path)
    module = openModule(slicer_gui, worker_command())
    panel = module.panels[name]
    assert slicer_gui.process_events(60, until=lambda: not module.engine.isBusy)
    volume = slicer_gui.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "late")
    panel.parameterNode.inputVolume = volume
    slicer_gui.process_events(0.2)

    def hint():
        return "" if panel.ui.hintLabel.isHidden() else panel.ui.hintLabel.text

    assert hint() == "late has no voxels; load or acquire its image first."
    made = volumeToNode(slicer_gui.scene, makeScan(), "made")
    volume.SetAndObserveImageData(made.GetImageData())
    slicer_gui.process_events(0.2)
    assert hint() == ""
    if BUTTONS[name]:
        assert getattr(panel.ui, BUTTONS[name]).enabled
    volume.SetAndObserveImageData(None)
    slicer_gui.process_events(0.2)
    assert "no voxels" in hint()
