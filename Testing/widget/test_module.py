"""The module as a whole: opened, reloaded, saved with a scene, translated, used from the console, and for real."""

import contextlib
import json
import os
import sys
import time
from functools import partial

import numpy as np
import pytest
from module_helpers import MODULE, ROOT, openModule, organMask
from mrml_helpers import GEOMETRIES, addVolume, makeLabels, makeVolume

from Med3DCore.models.folders import trainings_folder

MRML = ROOT / "Testing" / "mrml"


@pytest.fixture(autouse=True)
def privateModels(monkeypatch, tmp_path):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))


def test_it_describes_itself_and_opens_with_segment_in_front(slicer_gui, vtk_messages):
    import slicer.util

    widget = openModule(slicer_gui)
    module = slicer.util.getModule("Med3DSegmentation")
    assert (module.title, module.categories) == ("Med3D Segmentation", ["Segmentation"])
    assert "not a medical device" in module.helpText and "1904.00625" in module.acknowledgementText
    tabs = widget.ui.tabs
    assert [tabs.tabText(i) for i in range(tabs.count)] == ["Segment", "Preview", "Train", "Models"]
    assert tabs.currentWidget() is widget.panels["SegmentPanel"].widget and widget.ui.messageFrame.isHidden()
    assert "torch" not in vars(sys.modules["Med3DSegmentation"])
    vtk_messages.expect_clean()


def test_a_slicer_that_is_too_old_is_told_what_is_needed(slicer_gui, monkeypatch):
    import slicer.util

    for name in [name for name in sys.modules if name.startswith("Med3DSegmentation")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("numpy", "slicer.i18n", "slicer.parameterNodeWrapper", "Med3DCore"):  # what it may lack
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(slicer.app, "majorVersion", 5, raising=False)
    monkeypatch.setattr(slicer.app, "minorVersion", 8, raising=False)
    monkeypatch.setattr(slicer.app, "applicationVersion", "5.8.1", raising=False)
    slicer_gui.load_module(MODULE)
    widget = slicer_gui.open_module("Med3DSegmentation")
    module = slicer.util.getModule("Med3DSegmentation")
    said = widget.layout.itemAt(widget.layout.count() - 2).widget().text
    assert "needs 3D Slicer 5.12 or later; this is 5.8.1." in said and module.helpText == said
    assert (module.title, module.categories) == ("Med3D Segmentation", ["Segmentation"])
    slicer_gui.unload_module("Med3DSegmentation")
    for name in [name for name in sys.modules if name.startswith("Med3DSegmentation")]:
        del sys.modules[name]  # the next test has a newer Slicer


def test_the_engine_starts_when_the_module_is_entered_and_ends_with_it(slicer_gui):
    widget = openModule(slicer_gui)
    pid = widget.engine.processId
    assert pid and alive(pid)
    slicer_gui.unload_module("Med3DSegmentation")
    assert until(lambda: not alive(pid))


def alive(pid):
    import os

    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(isDone, seconds=10):
    end = time.monotonic() + seconds
    while not isDone() and time.monotonic() < end:
        time.sleep(0.02)
    return isDone()


def test_reloading_makes_everything_anew_and_keeps_the_settings(slicer_gui, monkeypatch):
    import slicer.util

    saved = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("Med3DCore",)}
    try:
        widget = openModule(slicer_gui)
        volume = addVolume(slicer_gui.scene)
        slicer_gui.process_events(0.05)
        widget.logic.getParameterNode().keepEdits = False
        widget.onReload()
        new = slicer.util.getModuleWidget("Med3DSegmentation")
        assert type(new) is not type(widget) and new.parent is widget.parent
        assert widget.engine.processId is None
        parameters = new.panels["SegmentPanel"].parameterNode
        assert parameters.inputVolume is volume and not new.panels["SegmentPanel"].ui.keepEditsCheckBox.checked
        visible = [child for child in new.parent.findChildren("QTabWidget") if not child.isHidden()]
        assert new.ui.tabs in visible
    finally:
        sys.modules.update(saved)  # the other tests of this process have imported these


def test_a_saved_scene_restores_every_setting(slicer_gui, tmp_path):
    import slicer
    import slicer.util

    from Med3DSegmentationLib.scene.regions import boxToRoiNode

    widget = openModule(slicer_gui)
    scene = slicer_gui.scene
    volumes = [addVolume(scene, name=name) for name in ("A", "B", "C")]
    roi = boxToRoiNode(scene, [[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]], "box")
    panel = widget.panels["SegmentPanel"]
    slicer_gui.process_events(0.05)
    panel.ui.inputSelector.setCurrentNode(volumes[1])
    panel.ui.roiSelector.setCurrentNode(roi)
    panel.parameterNode.model, panel.parameterNode.device = "mine-1.0.0", "cpu"
    for box in ("keepEditsCheckBox", "allFramesCheckBox", "severalVolumesCheckBox"):
        getattr(panel.ui, box).click()
    panel.ui.volumeList.item(2).setCheckState(slicer_gui.qt.Qt.Checked)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    scene.Clear(0)
    slicer_gui.process_events(0.05)
    assert panel.parameterNode.model == "" and panel.ui.keepEditsCheckBox.checked
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    slicer_gui.process_events(0.05)
    ui, parameters = panel.ui, panel.parameterNode
    assert ui.inputSelector.currentNode().GetName() == "B" and ui.roiSelector.currentNode().GetName() == "box"
    assert (parameters.model, parameters.device) == (
        "mine-1.0.0",
        "cpu",
    ) and ui.modelSelector.currentText == "mine-1.0.0"
    assert not ui.keepEditsCheckBox.checked and ui.allFramesCheckBox.checked and ui.severalVolumesCheckBox.checked
    ticked = [ui.volumeList.item(i).checkState() == slicer_gui.qt.Qt.Checked for i in range(ui.volumeList.count)]
    assert ticked == [False, False, True]


def test_a_scene_that_is_closed_while_another_module_is_open(slicer_gui):
    widget = openModule(slicer_gui)
    panel = widget.panels["SegmentPanel"]
    slicer_gui.leave_module("Med3DSegmentation")
    slicer_gui.scene.Clear(0)
    slicer_gui.process_events(0.05)
    assert panel.parameterNode is None and not panel.ui.liverButton.enabled
    volume = addVolume(slicer_gui.scene)
    slicer_gui.open_module("Med3DSegmentation")
    slicer_gui.process_events(0.05)
    assert panel.parameterNode.inputVolume is volume and panel.ui.liverButton.enabled


def test_every_text_of_the_window_and_of_the_segment_panel_is_translated(make_slicer_gui):
    host = make_slicer_gui(translation=True)
    widget = openModule(host)
    addVolume(host.scene, name="«CT»")
    host.process_events(0.05)
    panel = widget.panels["SegmentPanel"]
    texts = [panel.ui.hintLabel.text, *(widget.ui.tabs.tabText(i) for i in range(4))]
    for name, child in vars(panel.ui).items():
        kinds = {"QLabel": "text", "QPushButton": "text", "QCheckBox": "text", "ctkCollapsibleButton": "text"}
        if child.className() in kinds and name != "deviceDescription":  # that is the engine's
            texts += [child.text, child.toolTip]
    wrong = [text for text in texts if text and not (text.startswith("«") and text.endswith("»"))]
    assert wrong == [] and len(texts) > 30


BOTH_WORKERS = """
import known_training_worker, known_worker, sys
known_worker.find_handler = known_training_worker.find
sys.exit(known_worker.Server(known_worker.Connection.take_over(), 600.0, known_worker.find).run())
"""


def test_the_block_for_the_console_in_the_docs_runs(slicer_gui, monkeypatch, capsys):
    import slicer

    slicer_gui.load_module(MODULE)
    from page_commands import blocks

    from Med3DSegmentationLib.engine.process import EngineProcess
    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation

    monkeypatch.setenv("PYTHONPATH", str(MRML), prepend=os.pathsep)
    (example,) = blocks(ROOT / "docs" / "commands.md", "python")
    engine = EngineProcess([sys.executable, "-c", BOTH_WORKERS])
    module = sys.modules["Med3DSegmentation"]
    monkeypatch.setattr(module, "Med3DSegmentationLogic", partial(module.Med3DSegmentationLogic, engine))
    volumeNode = addVolume(slicer_gui.scene, name="CTChest")
    labels = makeLabels(makeVolume(GEOMETRIES["anisotropic"]))
    corrected = [(volumeNode, labelMapToSegmentation(slicer_gui.scene, labels, volumeNode).segmentationNode)]
    names = {"__name__": "console", "slicer": slicer, "corrected": corrected}
    exec(compile(example, "commands.md", "exec"), names)
    assert names["result"].organs[0].volumeMl > 0 and str(names["result"].organs[0].volumeMl) in capsys.readouterr().out
    assert names["logic"].getParameterNode().device == "auto"
    previews = [node.GetName() for node in slicer_gui.scene.GetNodesByClass("vtkMRMLScalarVolumeNode")]
    assert len(previews) == 2
    (training,) = trainings_folder().glob("*/state.json")
    assert json.loads(training.read_text())["state"] == "finished"
    names["logic"].close()
    engine.close()


def test_for_real_and_the_overlay_lies_on_the_organ(slicer_gui, tmp_path, monkeypatch):
    """The real engine, with two tiny networks: what is coloured in the slice view is what the networks found."""
    from slicer_host.screenshots import SliceView
    from tiny_model import makeScan, saveModel

    from Med3DCore.inference.segment import segment
    from Med3DSegmentationLib.engine.process import EngineProcess
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    (tmp_path / "models").mkdir()
    path = saveModel(tmp_path / "models")
    widget = openModule(slicer_gui, EngineProcess()._command)
    panel = widget.panels["SegmentPanel"]
    volumeNode = volumeToNode(slicer_gui.scene, makeScan(), "boxes")
    view = SliceView(slicer_gui, "Red")
    slicer_gui.process_events(0.1)
    panel.parameterNode.model, panel.parameterNode.device = "tiny-1.0.0", "cpu"
    panel.ui.bothButton.click()
    assert slicer_gui.process_events(120, until=lambda: not widget.services.activity.isRunning)
    assert widget.ui.messageFrame.isHidden(), widget.ui.messageLabel.text
    node = panel.parameterNode.segmentation
    expected = segment(makeScan(), ["liver", "lungs"], str(path), "cpu").labels
    found = organMask(node, "liver", volumeNode)
    assert np.mean(found == expected.mask("liver")) > 0.999 and found.any()
    before, after = overlay(view, volumeNode, node)
    coloured = np.abs(after.astype(int) - before).max(axis=2) > 20
    hits = checkPixels(view, volumeNode, found, coloured)
    assert hits > 200


def overlay(view, volumeNode, segmentationNode):
    """Pixels of a slice view without and with the liver's overlay, without outlines."""
    display = segmentationNode.GetDisplayNode()
    display.SetAllSegmentsVisibility(False)
    view.show(volumeNode)
    before = view.pixels()
    display.SetSegmentVisibility("liver", True)
    display.SetVisibility2DOutline(False)
    return before, view.pixels()


def checkPixels(view, volumeNode, mask, coloured):
    """Each voxel of the shown slice whose neighbours agree has its colour; returns how many were looked at."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    toIjk = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(matrix, toIjk)
    height, width = coloured.shape
    count = 0
    for row in range(4, height, 8):
        for column in range(4, width, 8):
            ras = view.node.GetXYToRAS().MultiplyPoint((column, height - 1 - row, 0, 1))
            x, y, z = np.rint(toIjk.MultiplyPoint(ras)[:3]).astype(int)
            if min(x, y, z) < 1 or z >= mask.shape[0] - 1 or y >= mask.shape[1] - 1 or x >= mask.shape[2] - 1:
                continue
            near = mask[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2]
            if near.all() or not near.any():
                assert coloured[row, column] == near.all(), (row, column, ras)
                count += 1
    return count
