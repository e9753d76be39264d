"""Finding lesions in the tab Find, with the real engine and a tiny detector of random weights."""

import numpy as np
import pytest
import torch
from find_panel_helpers import panelWithScan
from module_helpers import openModule

from Med3DCore.inference.detect import Detector
from Med3DCore.inference.device import choose_device
from Med3DCore.models import ModelPackage, Stage, load_package, save_package
from Med3DCore.networks import build_network
from Med3DCore.worker.launch import worker_command

NETWORK = {
    "encoder": {"name": "resnet", "depth": 10, "width": 4, "output_stride": 32, "depth_stride": False},
    "decoder": {"name": "detection", "slices": 3, "channels": 8, "hidden": 16, "proposals": 12, "anchor_scale": 2.0},
    "out_channels": 2,
}
PREPROCESSING = {"spacing": [2.0, 2.0, 20.0], "intensity": {"name": "grey_window"}}


@pytest.fixture
def detector(tmp_path, monkeypatch):
    """A package among the user's models; its scores differ from box to box."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("MED3D_MODELS", str(folder))
    torch.manual_seed(28)  # of which several boxes of different scores come
    network = build_network(NETWORK)
    network.decoder.logits.weight.data *= 3000
    stage = Stage("lesions", NETWORK, PREPROCESSING, ("background", "lesion"), "softmax", (3, 64, 64))
    about = {"title": "Boxes", "description": "Bright or dim.", "modality": "CT", "licence": "CC0"}
    package = ModelPackage(name="boxes", version="1.0.0", stages=(stage,), **about)
    return load_package(save_package(package, {"lesions": network.state_dict()}, folder))


@pytest.fixture
def module(make_slicer_gui, detector):
    host = make_slicer_gui(subject_hierarchy=True)
    widget = openModule(host, worker_command())
    widget.host = host
    return widget


@pytest.fixture
def panel(module):
    return panelWithScan(module)


def find(module, panel):
    panel.ui.findButton.click()
    assert not panel.ui.findButton.enabled and not panel.ui.progressRow.isHidden()
    wait(module)
    assert module.ui.messageFrame.isHidden(), module.ui.messageLabel.text


def wait(module):
    assert module.host.process_events(120, until=lambda: not module.services.activity.isRunning)
    module.host.process_events(0.1)


def shown(panel):
    table = panel.ui.lesionTable
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]


def test_lesions_are_those_of_the_engine_and_can_be_undone(module, panel, detector):
    import slicer

    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    tabs = [module.ui.tabs.tabText(i) for i in range(module.ui.tabs.count)]
    assert tabs == ["Segment", "Preview", "Find", "Train", "Models"]
    assert panel.ui.pointSection.isHidden() and not panel.ui.lesionSection.isHidden()
    assert panel.ui.detectorSelector.currentText == "Boxes (boxes-1.0.0)" and panel.ui.lesionResult.isHidden()
    panel.parameterNode.findLeastScore = 0.6
    find(module, panel)
    expected = Detector(detector, choose_device("cpu")).detect(volumeFromNode(panel.scan), 0.6)
    assert len({round(one.score, 2) for one in expected}) > 2  # or it would prove little
    sizes = [" \u00d7 ".join(f"{side:.0f}" for side in one.size) for one in expected]
    texts = [[f"Lesion {n}, {one.score:.2f}", f"{one.score:.2f}"] for n, one in enumerate(expected, start=1)]
    assert shown(panel) == [[*text, size] for text, size in zip(texts, sizes, strict=True)]
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode", module.services.scene)
    bounds = np.zeros(6)
    nodes[0].GetRASBounds(bounds)
    (x, y, low), (left, back, high) = expected[0].low, expected[0].high
    assert np.allclose(bounds, [-left, -x, -back, -y, low, high], atol=0.01)
    assert (
        "boxes-1.0.0 on CPU" in panel.ui.lesionNoteLabel.text and "not for diagnosis" in panel.ui.lesionNoteLabel.text
    )
    panel.ui.copyLesionsButton.click()
    header, first, *_ = module.host.qt.QApplication.clipboard().text().splitlines()
    r, a, s = -expected[0].centre[0], -expected[0].centre[1], expected[0].centre[2]
    assert header.split("\t")[:5] == ["Lesion", "Score", "R (mm)", "A (mm)", "S (mm)"]
    assert first.split("\t")[1:5] == [f"{expected[0].score:.3f}", f"{r:.1f}", f"{a:.1f}", f"{s:.1f}"]
    view = module.services.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    view.SetOrientationToAxial()
    panel.ui.lesionTable.cellClicked.emit(1, 0)
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(expected[1].key_z, abs=0.01)
    panel.ui.undoLesionsButton.click()
    assert not slicer.util.getNodesByClass("vtkMRMLMarkupsROINode", module.services.scene)
    assert panel.ui.lesionResult.isHidden()


def test_edits_are_seen_and_outlast_another_search(module, panel):
    find(module, panel)
    count = len(shown(panel))
    nodes = [row.node for row in panel._lesions._rows]
    nodes[0].SetName("Cyst")
    module.services.scene.RemoveNode(nodes[1])
    module.host.process_events(0.2)
    assert shown(panel)[0][0] == "Cyst (edited)" and len(shown(panel)) == count - 1
    find(module, panel)
    assert shown(panel)[0][0] == "Cyst (edited)" and len(shown(panel)) == count
    panel.parameterNode.inputVolume = None
    assert panel.ui.lesionResult.isHidden() and "Choose a volume" in panel.ui.findButton.toolTip
    assert panel.ui.hintLabel.text == panel.ui.findButton.toolTip


def test_a_scan_that_is_no_ct_is_asked_about(module, panel):
    import slicer.util

    slicer.util.arrayFromVolume(panel.scan)[:] += 1000
    panel.scan.Modified()
    qt = module.host.qt
    module.host.dialogs.answer(qt.QMessageBox.No, qt.QMessageBox.Yes)
    panel.ui.findButton.click()
    wait(module)
    assert "do not look like a CT" in module.host.dialogs.texts("question")[0]
    assert "do not look like a CT" in module.ui.messageLabel.text and panel.ui.lesionResult.isHidden()
    panel.ui.findButton.click()
    module.host.process_events(60, until=lambda: len(module.host.dialogs.texts("question")) == 2)
    wait(module)
    assert "do not trust the result" in panel.ui.lesionNoteLabel.text and shown(panel)


def test_it_can_be_cancelled_and_a_removed_volume_cancels(module, panel):
    panel.ui.findButton.click()
    panel.ui.cancelButton.click()
    wait(module)
    assert "Cancelled" in module.ui.messageLabel.text and panel.ui.lesionResult.isHidden()
    panel.ui.findButton.click()
    module.services.scene.RemoveNode(panel.scan)
    wait(module)
    assert "was removed from the scene" in module.ui.messageLabel.text and not panel.ui.findButton.enabled


def test_a_detector_that_is_gone_is_named(module, panel):
    panel.parameterNode.findDetector = "gone-1.0.0"
    assert not panel.ui.findButton.enabled and "not on this computer" in panel.ui.lesionHintLabel.text
    module.services.catalogue.models = tuple(m for m in module.services.catalogue.models if not m.detects)
    module.services.catalogue.tell()
    assert module.ui.tabs.count == 4
