"""Asking about the whole scan in the tab Find, with the real engine and a tiny classifier of random weights."""

import numpy as np
import pytest
from find_panel_helpers import panelWithScan
from module_helpers import openModule
from scan_classifier import save_scan_classifier

from Med3DCore.inference.classify_scan import ScanClassifier
from Med3DCore.inference.device import choose_device
from Med3DCore.models.package_file import load_package
from Med3DCore.worker.launch import worker_command

CLASSES = ("none", "emphysema", "effusion")


@pytest.fixture
def makeModule(slicer_gui, tmp_path, monkeypatch):
    """Opens the module with such a classifier."""
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path))

    def make(activation="softmax", bias=0.0):
        file = save_scan_classifier(tmp_path, activation, classes=CLASSES, low=-160, high=160, bias=bias)
        widget = openModule(slicer_gui, worker_command())
        widget.host, widget.classifier = slicer_gui, ScanClassifier(load_package(file), choose_device("cpu"))
        return widget

    return make


@pytest.fixture
def module(makeModule):
    return makeModule()


@pytest.fixture
def panel(module):
    """The panel with a scan, and a slice view."""
    panel = panelWithScan(module)
    panel.view = module.services.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    return panel


def ask(module, panel):
    panel.ui.scanButton.click()
    assert not panel.ui.scanButton.enabled and not panel.ui.progressRow.isHidden()
    wait(module)
    assert module.ui.messageFrame.isHidden(), module.ui.messageLabel.text


def wait(module):
    assert module.host.process_events(120, until=lambda: not module.services.activity.isRunning)
    module.host.process_events(0.1)


def shown(panel):
    table = panel.ui.scanTable
    return [tuple(table.item(row, column).text() for column in range(2)) for row in range(table.rowCount)]


def bold(panel):
    table = panel.ui.scanTable
    return [table.item(row, 0).text() for row in range(table.rowCount) if table.item(row, 0).font().bold()]


def mapOf(panel):
    return panel._scan._maps.nodeOf(panel.scan)


def test_answers_are_those_of_the_engine_with_the_likeliest_ones_map_over_the_scan(module, panel):
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    tabs = [module.ui.tabs.tabText(i) for i in range(module.ui.tabs.count)]
    assert tabs == ["Segment", "Preview", "Find", "Train", "Models"]
    assert panel.ui.lesionSection.isHidden() and panel.ui.pointSection.isHidden() and panel.ui.scanResult.isHidden()
    assert not panel.ui.scanSection.isHidden() and panel.ui.scanModelSelector.currentText == "Tiny (tiny-1.0.0)"
    ask(module, panel)
    expected = module.classifier.classify(volumeFromNode(panel.scan))
    ordered = sorted(expected.probabilities.items(), key=lambda each: -each[1])
    assert shown(panel) == [(name, f"{100 * value:.0f} %") for name, value in ordered]
    assert bold(panel) == [expected.likeliest]
    node = mapOf(panel)
    evidence = volumeFromNode(node)
    assert np.allclose(evidence.array, expected.map_on(expected.likeliest, evidence.geometry), atol=1e-3)
    assert panel.view.GetForegroundVolumeID() == node.GetID() and panel.view.GetForegroundOpacity() == 0.5
    note = panel.ui.scanNoteLabel.text
    assert "tiny-1.0.0 on CPU" in note and f"where the model saw \u201c{expected.likeliest}\u201d" in note
    assert "looks at the middle of a scan" in note and "not for diagnosis" in note
    assert node not in panel.ui.inputSelector.nodes()


def test_a_click_shows_where_an_answer_comes_from_and_all_can_be_undone(module, panel):
    ask(module, panel)
    first = panel._scan._maps.shownAnswer(panel.scan)
    panel.ui.scanTable.cellClicked.emit(1, 0)
    module.host.process_events(0.1)
    second = shown(panel)[1][0]
    assert second != first and panel._scan._maps.shownAnswer(panel.scan) == second
    assert [index.row() for index in panel.ui.scanTable.selectionModel().selectedRows()] == [1]
    panel.ui.removeMapButton.click()
    module.host.process_events(0.1)
    assert mapOf(panel) is None and panel.view.GetForegroundVolumeID() is None and shown(panel)
    assert not panel.ui.removeMapButton.enabled and "no map" in panel.ui.removeMapButton.toolTip
    ask(module, panel)
    panel.ui.undoScanButton.click()
    assert shown(panel) and mapOf(panel) is not None, "the first answer is back"
    panel.ui.undoScanButton.click()
    assert panel.ui.scanResult.isHidden() and mapOf(panel) is None and panel.view.GetForegroundOpacity() == 0.0


def test_of_labels_none_of_which_is_likely_no_map_is_shown_unasked(makeModule):
    module = makeModule("sigmoid", bias=-5.0)
    panel = panelWithScan(module)
    ask(module, panel)
    assert bold(panel) == [] and mapOf(panel) is None
    assert panel.ui.scanNoteLabel.text.startswith("Nothing has a probability of a half or more.")
    panel.ui.scanTable.cellClicked.emit(0, 0)
    assert mapOf(panel) is not None


def test_another_patient_has_no_map_and_no_answers_of_this_one(module, panel):
    from tiny_model import makeScan

    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    ask(module, panel)
    other = volumeToNode(module.services.scene, makeScan(), "other")
    panel.parameterNode.inputVolume = other
    assert panel.ui.scanResult.isHidden() and panel.view.GetForegroundVolumeID() is None
    panel.parameterNode.inputVolume = panel.scan
    assert shown(panel) and panel.view.GetForegroundVolumeID() == mapOf(panel).GetID()
    module.services.scene.RemoveNode(mapOf(panel))
    module.host.process_events(0.1)
    assert not panel.ui.removeMapButton.enabled and "where the model saw" not in panel.ui.scanNoteLabel.text


def test_why_not_and_what_is_no_ct(module, panel):
    import slicer.util

    panel.parameterNode.findScanModel = "gone-1.0.0"
    assert not panel.ui.scanButton.enabled and "not on this computer" in panel.ui.scanHintLabel.text
    panel.parameterNode.findScanModel = ""
    panel.parameterNode.inputVolume = None
    assert "Choose a volume" in panel.ui.scanButton.toolTip and panel.ui.scanHintLabel.isHidden()
    panel.parameterNode.inputVolume = panel.scan
    slicer.util.arrayFromVolume(panel.scan)[:] += 1000
    panel.scan.Modified()
    module.host.dialogs.answer(module.host.qt.QMessageBox.Yes)
    panel.ui.scanButton.click()
    module.host.process_events(60, until=lambda: module.host.dialogs.texts("question"))
    wait(module)
    assert "do not trust the result" in panel.ui.scanNoteLabel.text and shown(panel)


def test_it_can_be_cancelled_and_a_removed_volume_cancels(module, panel):
    panel.ui.scanButton.click()
    panel.ui.cancelButton.click()
    wait(module)
    assert "Cancelled" in module.ui.messageLabel.text and panel.ui.scanResult.isHidden()
    panel.ui.scanButton.click()
    module.services.scene.RemoveNode(panel.scan)
    wait(module)
    assert "was removed from the scene" in module.ui.messageLabel.text and not panel.ui.scanButton.enabled
