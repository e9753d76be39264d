"""The tab Find in the module, with the real engine and a tiny classifier of random weights."""

import numpy as np
import pytest
import torch
from find_panel_helpers import panelWithScan
from module_helpers import openModule
from tiny_model import makeScan

from Med3DCore.inference.classify import Classifier
from Med3DCore.inference.device import choose_device
from Med3DCore.models import ModelPackage, Stage, load_package, save_package
from Med3DCore.networks import build_network
from Med3DCore.worker.launch import worker_command

NETWORK = {
    "encoder": {"name": "resnet", "depth": 10, "width": 4},
    "decoder": {"name": "classification"},
    "out_channels": 2,
}
PREPROCESSING = {"spacing": [2.0] * 3, "intensity": {"name": "window", "low": -1000, "high": 400}}


@pytest.fixture
def classifier(tmp_path, monkeypatch):
    """A package among the user's models."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("MED3D_MODELS", str(folder))
    torch.manual_seed(1)
    stage = Stage("nodule", NETWORK, PREPROCESSING, ("benign", "malignant"), "softmax", (16, 16, 16))
    about = {"title": "Balls", "description": "Bright or dim.", "modality": "CT", "licence": "CC0"}
    package = ModelPackage(
        name="balls",
        version="1.0.0",
        stages=(stage,),
        provenance={"training": {"nodule": {"foreground": 0.5}}},
        **about,
    )
    return load_package(save_package(package, {"nodule": build_network(NETWORK).state_dict()}, folder))


@pytest.fixture
def module(slicer_gui, classifier):
    widget = openModule(slicer_gui, worker_command())
    widget.host = slicer_gui
    return widget


@pytest.fixture
def panel(module):
    return panelWithScan(module)


def place(module, panel, count=2):
    """Points inside of the scan, where it lies in the world; returns their node."""
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    panel.ui.placeButton.click()
    node = panel.parameterNode.findPoints
    geometry = volumeFromNode(panel.scan).geometry
    for share in np.linspace(0.4, 0.7, count):
        index = [*(np.array(geometry.size) * [share, 0.5, 1 - share]), 1.0]
        x, y, z = (geometry.index_to_physical @ index)[:3]
        node.AddControlPointWorld([-x, -y, z])
    module.host.process_events(0.1)
    return node


def ask(module, panel):
    panel.ui.askButton.click()
    assert module.host.process_events(120, until=lambda: not module.services.activity.isRunning)
    assert module.ui.messageFrame.isHidden(), module.ui.messageLabel.text


def tabs(module):
    return [module.ui.tabs.tabText(i) for i in range(module.ui.tabs.count)]


def test_the_tab_is_there_while_there_is_a_classifier(module, classifier):
    assert tabs(module) == ["Segment", "Preview", "Find", "Train", "Models"]
    module.services.catalogue.models = tuple(m for m in module.services.catalogue.models if not m.classes)
    module.services.catalogue.tell()
    assert tabs(module) == ["Segment", "Preview", "Train", "Models"]


def test_a_disabled_button_says_why(module, panel):
    button = panel.ui.askButton
    assert button.text == "Benign or malignant?"
    assert not button.enabled and button.toolTip == panel.ui.pointHintLabel.text
    assert "Place a point" in button.toolTip
    node = place(module, panel)
    assert button.enabled and panel.ui.hintLabel.isHidden() and panel.ui.pointHintLabel.isHidden()
    node.RemoveAllControlPoints()
    module.host.process_events(0.1)
    assert not button.enabled
    panel.parameterNode.findModel = "gone-1.0.0"
    assert "not on this computer" in button.toolTip
    panel.parameterNode.findModel = ""
    empty = module.services.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    panel.parameterNode.inputVolume = empty
    assert "empty has no voxels" in button.toolTip and button.toolTip == panel.ui.hintLabel.text
    panel.parameterNode.inputVolume = None
    assert "Choose a volume" in button.toolTip and "Choose a volume" in panel.ui.placeButton.toolTip


def test_placing_is_slicers_own(module, panel):
    place(module, panel, count=0)
    scene = module.services.scene
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    interaction = scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    assert selection.GetActivePlaceNodeID() == panel.parameterNode.findPoints.GetID()
    assert interaction.GetCurrentInteractionMode() == interaction.Place


def test_answers_are_those_of_the_engine_at_these_points_and_can_be_undone(module, panel, classifier):
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    node = place(module, panel, count=3)
    node.SetNthControlPointDescription(1, "seen before")
    ask(module, panel)
    centres = [(str(i), tuple(np.array(node.GetNthControlPointPositionWorld(i)) * [-1, -1, 1])) for i in range(3)]
    expected = Classifier(classifier, choose_device("cpu")).classify(volumeFromNode(panel.scan), centres)
    assert len({round(answer.probabilities["malignant"], 4) for answer in expected}) == 3  # or it would prove little
    for row, answer in enumerate(expected):
        share = f"{100 * answer.probabilities[answer.label]:.0f} %"
        shown = [panel.ui.resultTable.item(row, column).text() for column in range(3)]
        assert shown == [node.GetNthControlPointLabel(row), answer.label, share]
        assert node.GetNthControlPointDescription(row) == f"{answer.label} {share}"
    found = [answer.probabilities["malignant"] for answer in panel._points._result.answers]
    assert found == pytest.approx([answer.probabilities["malignant"] for answer in expected], abs=1e-4)
    assert "50 % of findings are malignant" in panel.ui.noteLabel.text
    panel.ui.undoButton.click()
    assert [node.GetNthControlPointDescription(i) for i in range(3)] == ["", "seen before", ""]
    assert panel.ui.resultSection.isHidden()


def test_prevalence_changes_what_is_said(module, panel):
    place(module, panel)
    ask(module, panel)
    before = panel._points._result.answers[0].probabilities["malignant"]
    panel.parameterNode.findPrevalence = 5.0
    ask(module, panel)
    odds = before / (1 - before) * 0.05 / 0.95
    assert panel._points._result.answers[0].probabilities["malignant"] == pytest.approx(odds / (1 + odds), abs=1e-6)
    assert "5 % of findings" in panel.ui.noteLabel.text


def test_a_click_brings_the_views_to_the_point(module, panel):
    import slicer

    place(module, panel)
    ask(module, panel)
    slice_node = module.services.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    slice_node.SetOrientationToAxial()
    panel.ui.resultTable.cellClicked.emit(1, 0)
    where = panel.parameterNode.findPoints.GetNthControlPointPositionWorld(1)
    assert slice_node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(where[2])
    assert slicer.mrmlScene is module.services.scene


def test_what_moves_or_goes_meanwhile_is_left_alone(module, panel):
    node = place(module, panel, count=3)
    panel.ui.askButton.click()
    module.host.process_events(10, until=lambda: panel._search._job._requestId is not None)
    node.SetNthControlPointPositionWorld(0, [0.0, 0.0, 0.0])
    node.RemoveNthControlPoint(2)
    assert module.host.process_events(120, until=lambda: not module.services.activity.isRunning)
    assert node.GetNthControlPointDescription(0) == "" and node.GetNthControlPointDescription(1) != ""
    assert "Moved or removed meanwhile" in panel.ui.noteLabel.text


def test_points_outside_are_named_and_a_closed_scene_cancels(module, panel):
    node = place(module, panel, count=1)
    node.SetNthControlPointLabel(0, "lower left")
    node.SetNthControlPointPositionWorld(0, [5000.0, 0.0, 0.0])
    panel.ui.askButton.click()
    assert module.host.process_events(120, until=lambda: not module.services.activity.isRunning)
    assert "'lower left'" in module.ui.messageLabel.text
    panel.ui.askButton.click()
    module.services.scene.Clear(0)
    assert module.host.process_events(60, until=lambda: not module.services.activity.isRunning)
    assert panel._points._result is None


def test_what_was_said_of_another_place_is_taken_back(module, panel):
    node = place(module, panel, count=3)
    ask(module, panel)
    node.SetNthControlPointDescription(2, "my own words")
    node.SetNthControlPointPositionWorld(0, [1.0, 2.0, 3.0])
    module.host.process_events(0.2)
    assert node.GetNthControlPointDescription(0) == "" and node.GetNthControlPointDescription(1) != ""
    assert panel.ui.resultTable.rowCount == 2
    panel.ui.undoButton.click()
    assert [node.GetNthControlPointDescription(i) for i in range(3)] == ["", "", "my own words"]


def test_answers_are_shown_with_their_volume_and_points_only(module, panel):
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    node = place(module, panel)
    ask(module, panel)
    assert not panel.ui.resultSection.isHidden()
    panel.parameterNode.inputVolume = volumeToNode(module.services.scene, makeScan(), "another")
    assert panel.ui.resultSection.isHidden()
    panel.parameterNode.inputVolume = panel.scan
    assert not panel.ui.resultSection.isHidden()
    panel.parameterNode.findPoints = None
    assert panel.ui.resultSection.isHidden()
    panel.parameterNode.findPoints = node
    module.services.scene.RemoveNode(node)
    module.host.process_events(0.1)
    assert panel.ui.resultSection.isHidden()
