"""A model of several images of a patient in the tabs Segment and Preview, with the real engine and hand-set weights."""

import numpy as np
import pytest
from bright_model import GEOMETRY, make_stage, make_volume, save_model
from module_helpers import addModel, openModule
from mrml_helpers import segmentArray
from segment_panel_helpers import press, reason, rows, settle, wait

from Med3DCore.geometry import Geometry
from Med3DCore.inference.segment import segment
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.volume import Volume
from Med3DCore.worker.launch import worker_command

NAMES = ("plain", "late phase", "contrast")
LONG = "a name of an image that is longer than labels may be"


@pytest.fixture
def module(slicer_gui, monkeypatch, tmp_path):
    """The module with a model that finds what is bright in the last of three images."""
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path))
    stages = [
        make_stage("coarse", ("liver",), 4.0, channels=NAMES),
        make_stage("fine", ("liver",), 2.0, {"stage": "coarse", "margin_mm": 6.0}, channels=NAMES),
    ]
    slicer_gui.modelFile = save_model(tmp_path, "three", stages)
    widget = openModule(slicer_gui, worker_command())
    widget.host = slicer_gui
    return widget


@pytest.fixture
def images(module):
    """Nodes by name: noise, noise, and what has a bright box; another patient's scan on another grid."""
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    random = np.random.default_rng(7)
    arrays = {name: random.normal(-60, 30, GEOMETRY.shape).astype(np.int16) for name in ("P", "L")}
    arrays["C"] = make_volume().array
    nodes = {name: volumeToNode(module.services.scene, Volume(each, GEOMETRY), name) for name, each in arrays.items()}
    moved = Geometry(GEOMETRY.size, GEOMETRY.spacing, (-50.0, -40.0, 13.0), GEOMETRY.direction)
    nodes["other"] = volumeToNode(module.services.scene, Volume(arrays["L"], moved), "other")
    return nodes


@pytest.fixture
def panel(module, images):
    """The Segment panel with that model."""
    panel = module.panels["SegmentPanel"]
    panel.host = module.host
    panel.parameterNode.inputVolume, panel.parameterNode.device = images["P"], "cpu"
    panel.parameterNode.model = "three-1.0.0"
    settle(panel)
    return panel


def shown(panel):
    """The texts of the visible rows, and the names of what is chosen in them."""
    visible = [(label, box) for label, box in panel._channels._rows if not label.isHidden()]
    assert all(not box.isHidden() for _label, box in visible)
    return [(label.text, box.currentNode() and box.currentNode().GetName()) for label, box in visible]


def choose(panel, row, node):
    """As a user chooses an entry of a further image."""
    box = panel._channels._rows[row][1]
    box.setCurrentNode(node)
    box.nodeActivated.emit(node)
    settle(panel)


def test_the_rows_are_those_of_the_model_and_of_another_as_before(panel, images):
    assert panel.ui.inputLabel.text == "plain:" and shown(panel) == [("late phase:", None), ("contrast:", None)]
    choose(panel, 1, images["C"])
    panel.parameterNode.model = ""
    assert panel.ui.inputLabel.text == "Volume:" and shown(panel) == [] and reason(panel) == ""
    panel.parameterNode.model = "three-1.0.0"
    assert shown(panel) == [("late phase:", None), ("contrast:", "C")]


def test_a_long_name_does_not_widen_the_panel(panel, module):
    before = panel.widget.minimumSizeHint.width()
    addModel(module, "long", channels=(LONG, f"{LONG}, too"))
    panel.parameterNode.model = "long"
    settle(panel)
    label = panel._channels._rows[0][0]
    assert label.text == "a name of an im\u2026:" and label.toolTip == f"{LONG}, too"
    assert panel.widget.minimumSizeHint.width() <= before and panel.ui.inputLabel.toolTip == LONG


def test_why_not(panel, images):
    def why():
        return reason(panel, "liverButton")

    assert "looks at 3 images of a patient at once; choose the volume for late phase." in why()
    choose(panel, 0, images["P"])
    choose(panel, 1, images["C"])
    assert "P is chosen for plain and for late phase" in why()
    choose(panel, 0, images["other"])
    assert "other lies on another grid than P" in why()
    choose(panel, 0, images["L"])
    assert why() == ""
    panel.ui.severalVolumesCheckBox.click()
    assert "untick Several volumes" in why() and not panel._channels._rows[0][1].enabled
    panel.ui.severalVolumesCheckBox.click()
    assert why() == "" and panel._channels._rows[0][1].enabled


def test_each_scan_has_its_own_and_a_removed_one_leaves_none_in_its_place(panel, images, module):
    choose(panel, 0, images["L"])
    choose(panel, 1, images["C"])
    panel.parameterNode.inputVolume = images["other"]
    settle(panel)
    assert shown(panel) == [("late phase:", None), ("contrast:", None)]
    panel.parameterNode.inputVolume = images["P"]
    module.services.scene.RemoveNode(images["L"])
    settle(panel)
    assert shown(panel) == [("late phase:", None), ("contrast:", "C")]
    assert "choose the volume for late phase" in reason(panel)


def test_it_segments_undoes_and_cancels_as_with_one_image(panel, images, module):
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    choose(panel, 0, images["L"])
    choose(panel, 1, images["C"])
    press(panel, "liverButton")
    assert not panel.ui.progressRow.isHidden() and not panel.ui.liverButton.enabled
    wait(panel, 120)
    scans = [volumeFromNode(images[name]) for name in "PLC"]
    expected = segment(scans[0], ["liver"], str(module.host.modelFile), "cpu", channels=scans[1:])
    result = panel.parameterNode.segmentation
    found = segmentArray(result, "liver", images["P"]) > 0
    assert expected.labels.array.any() and np.mean(found == (expected.labels.array > 0)) > 0.999
    assert "Liver" in rows(panel)[0]
    press(panel, "undoButton")
    assert panel.parameterNode.segmentation is None
    press(panel, "liverButton")
    panel.ui.cancelButton.click()
    wait(panel)
    assert "Cancelled" in module.ui.messageLabel.text and panel.parameterNode.segmentation is None


def test_the_preview_shows_the_image_that_is_chosen(panel, images, module):
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    preview = module.panels["PreviewPanel"]
    assert "choose the volume for late phase. That is done in the tab Segment." in preview.ui.hintLabel.text
    assert not preview.ui.showButton.enabled and not preview.ui.imageSelector.isHidden()
    choose(panel, 0, images["L"])
    choose(panel, 1, images["C"])
    box = preview.ui.imageSelector
    assert [box.itemText(row) for row in range(box.count)] == list(NAMES) and box.currentText == "plain"
    box.setCurrentIndex(2)
    box.activated.emit(2)
    preview.ui.showButton.click()
    wait(panel, 120)
    assert module.ui.messageFrame.isHidden(), module.ui.messageLabel.text
    made = preview.parameterNode.previewVolume
    assert made.GetName() == "C preview" and made.GetNodeReference("Med3D.scan") is images["C"]
    bounds = volumeFromNode(made).geometry.bounds()
    expected = Preprocessing.from_dict(make_stage("s", ("liver",), 2.0).preprocessing)
    assert np.allclose(volumeFromNode(made).array, expected.apply(volumeFromNode(images["C"]), bounds).array, atol=1e-3)
    panel.parameterNode.model = ""
    assert box.isHidden() and preview.ui.imageLabel.isHidden()
