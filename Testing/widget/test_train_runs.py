"""The Train panel with a real engine process whose trainings are known, and with a real one."""

import json
import os
import signal
import sys
import time

import numpy as np
import pytest
from train_panel_helpers import MRML, addPairs, panel_folder, parameters, texts, train, wait


@pytest.fixture
def panel(makePanel):
    return makePanel()


@pytest.mark.alone
def test_a_training(host, panel, vtk_messages, tmp_path):
    import slicer

    ui = panel.ui
    train(host, panel, "Ours")
    gaps = gapsOf(host)
    assert not ui.progressRow.isHidden()
    wait(host, panel)
    assert panel.errors == []
    assert max(gaps()) < 0.25  # these trainings last so short that many events come at once
    assert "Ours is ready (ours-1.0.0, 12 steps)" in ui.resultLabel.text
    assert [texts(ui.resultTable, column) for column in range(4)] == [
        ["Liver", "Lungs"],
        ["CT 3"] * 2,
        ["0.800"] * 2,
        ["0.900"] * 2,
    ]
    assert panel.parameterNode.model == "ours-1.0.0"
    before, after = (slicer.util.getNode(f"CT 3 {when}") for when in ("before", "after"))
    shown = [slicer.util.getNode(f"CT {number} segmentation").GetDisplayNode().GetVisibility() for number in (1, 2, 3)]
    assert shown == [0, 0, 1]
    ui.beforeButton.click()
    assert [node.GetDisplayNode().GetVisibility() for node in (before, after)] == [0, 1]
    assert ui.metricLabel.text == "Step 12, loss 0.77, Dice liver 0.900, Dice lungs 0.900"

    chart = slicer.util.getNode("Ours")
    names = [chart.GetNthPlotSeriesNode(i).GetName() for i in range(chart.GetNumberOfPlotSeriesNodes())]
    assert names == ["Loss", "Dice, liver", "Dice, lungs"]
    table = chart.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
    assert [table.GetColumn(0).GetValue(row) for row in range(table.GetNumberOfRows())] == [1, 4, 8, 12]
    manager, usual = slicer.app.layoutManager(), slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
    assert manager.layout == usual and not slicer.util.getNodesByClass("vtkMRMLPlotViewNode")  # nobody asked for it
    ui.chartCheckBox.click()
    views = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
    assert [view.GetPlotChartNodeID() for view in views] == [chart.GetID()]
    shown = manager.layout
    ui.chartCheckBox.click()
    assert manager.layout == usual != shown
    ui.chartCheckBox.click()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)  # by the user, and so it stays
    ui.chartCheckBox.click()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    ui.allPairsButton.click()  # results are no cases to learn from
    assert ui.casesTable.rowCount == 3
    vtk_messages.expect_clean()


def gapsOf(host):
    """Starts to measure how long Qt does not come to its timers, in CPU seconds; the function stops and tells."""
    times, timer = [time.thread_time()], host.qt.QTimer()
    timer.connect("timeout()", lambda: times.append(time.thread_time()))
    timer.start(10)

    def stop():
        timer.stop()
        return np.diff(times)

    return stop


def test_what_the_engine_is_asked_for(host, panel):
    from Med3DCore.models.catalogue import Catalogue

    ui = panel.ui
    assert len([model for model in panel.services.catalogue.segmenting() if model.values["shipped"]]) > 1
    assert ui.titleEdit.placeholderText.endswith(", my cases")
    ui.minutesBox.value, ui.rateBox.value, ui.seedBox.value = 3, 0.002, 7
    ui.freezeCheckBox.click()
    ui.qualityBox.setCurrentIndex(ui.qualityBox.findText("Fast"))
    train(host, panel, "", count=2)
    wait(host, panel)
    (asked,) = (panel_folder() / "trainings").glob("*/request.json")
    asked = json.loads(asked.read_text())
    assert asked["title"] == ui.titleEdit.placeholderText
    assert asked["model"] == Catalogue().default_for([]).reference  # by name, the last of the shipped is the fast one
    assert f"({asked['model']})" in ui.modelSelector.itemText(0)
    assert {name: asked[name] for name in ("minutes", "quality", "seed", "device", "settings")} == {
        "minutes": 3.0,
        "quality": "fast",
        "seed": 7,
        "device": "auto",
        "settings": {"learning_rate": 0.002, "freeze_encoder": True},
    }
    assert [case["name"] for case in asked["cases"]] == ["CT 1", "CT 2"]
    assert "There was no case to check on" in ui.resultLabel.text
    assert ui.resultTable.isHidden()
    assert ui.beforeButton.isHidden()


def test_pause_and_continue_in_another_session(host, makePanel):
    first = makePanel()
    train(host, first, "slow")
    assert host.process_events(30, until=lambda: first.ui.metricLabel.text)
    assert first.ui.folderButton.toolTip == "A training is running." and not first.ui.folderButton.enabled
    first.ui.cancelButton.click()
    assert "Pausing after this step" in first.ui.progressLabel.text
    wait(host, first)
    assert "is paused" in str(first.errors[0])
    assert host.process_events(10, until=lambda: first.ui.earlierTable.rowCount == 1)
    first.services.engine.kill()
    addPairs(host.scene, 1)  # another patient of the name, and first in the scene
    ours = host.scene.GetFirstNodeByName("CT 3")
    ours.SetName("renamed")
    host.scene.GetFirstNodeByName("CT 1").SetName("CT 3")

    panel = makePanel()
    ui = panel.ui
    assert host.process_events(10, until=lambda: ui.earlierTable.rowCount == 1)
    assert not ui.earlierSection.isHidden()
    assert texts(ui.earlierTable, 0) == ["slow"]
    ui.finishButton.click()
    wait(host, panel)
    assert panel.errors == []
    assert "slow is ready" in ui.resultLabel.text
    assert not ui.beforeButton.isHidden() and panel.lastResult.comparisons[0].volumeNode is ours
    assert ui.earlierTable.rowCount == 0  # at once


def test_before_and_after_are_on_no_other_volume_of_the_name(host, makePanel):
    panel = makePanel()
    train(host, panel, "slow")
    assert host.process_events(30, until=lambda: panel.ui.metricLabel.text)
    panel.ui.cancelButton.click()
    wait(host, panel)
    assert host.process_events(10, until=lambda: panel.ui.earlierTable.rowCount == 1)
    host.scene.RemoveNode(host.scene.GetFirstNodeByName("CT 3"))
    host.scene.GetFirstNodeByName("CT 1").SetName("CT 3")
    panel.ui.finishButton.click()
    wait(host, panel)
    assert panel.ui.beforeButton.isHidden() and panel.lastResult.comparisons == ()
    assert "in the scene when the training began; not on CT 3." in panel.ui.resultLabel.text


def test_a_paused_training_is_deleted_when_the_user_says_so(host, makePanel):
    panel = makePanel()
    ui, folder = panel.ui, panel_folder() / "trainings"
    train(host, panel, "slow")
    assert host.process_events(30, until=lambda: ui.metricLabel.text)
    ui.cancelButton.click()
    wait(host, panel)
    assert host.process_events(10, until=lambda: ui.earlierTable.rowCount == 1)
    host.dialogs.answer(host.qt.QMessageBox.No)
    ui.deleteButton.click()
    host.process_events(0.2)
    assert ui.earlierTable.rowCount == 1 and len(list(folder.iterdir())) == 1
    host.dialogs.answer(host.qt.QMessageBox.Yes)
    ui.deleteButton.click()
    assert host.process_events(10, until=lambda: ui.earlierSection.isHidden())
    assert not list(folder.iterdir()) and len(panel.errors) == 1  # that it was paused


def test_a_dead_engine_and_a_refusal(host, panel):
    ui = panel.ui
    train(host, panel, "slow")
    assert host.process_events(30, until=lambda: ui.metricLabel.text)
    os.kill(panel.services.engine.processId, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    wait(host, panel)
    assert "ended" in str(panel.errors.pop())
    assert host.process_events(20, until=lambda: ui.earlierTable.rowCount == 1)  # it can be continued
    ui.titleEdit.text = "refuse"
    ui.trainButton.click()
    wait(host, panel)
    assert "No case shows the liver" in str(panel.errors.pop())
    assert ui.trainButton.enabled


def test_the_scene_is_closed_and_cases_removed_meanwhile(host, panel):
    train(host, panel, "known")
    host.scene.RemoveNode(host.scene.GetFirstNodeByName("CT 2"))  # before the engine has it
    wait(host, panel)
    assert "CT 2 was removed" in str(panel.errors.pop())

    panel.ui.trainButton.click()
    assert host.process_events(30, until=lambda: panel.ui.metricLabel.text)
    panel.setParameterNode(None)
    host.scene.Clear(0)
    panel.setParameterNode(parameters(host.scene))
    wait(host, panel)
    assert panel.errors == []
    assert "is ready" in panel.ui.resultLabel.text


def test_what_is_found_where_there_is_none_is_told(host, panel):
    train(host, panel, "wrong")
    wait(host, panel)
    told = panel.ui.resultLabel.text.split("\n")
    assert "CT 3 shows no liver, and 12.0 mL of it are found (30.5 mL before)." in told
    assert "CT 4 shows no liver, and 0.0 mL of it are found." in told
    assert told[-1].startswith("Dice of the cases")  # above its table


@pytest.mark.parametrize(
    ("before", "after", "colour"),
    [
        (0.968, 0.965, "red"),
        (0.965, 0.968, "green"),
        (0.9, 0.9, None),
        (0.9001, 0.9004, None),
        (None, 0.9, None),
        (0.9, None, None),
        (1.0, 0.982, None),  # the model's own result, nobody changed it
    ],
)
def test_only_a_higher_number_is_green(host, before, after, colour):
    from Med3DSegmentationLib.panels.train.training_outcome import _colour
    from Med3DSegmentationLib.training.step import ScoreRow

    pair = _colour(ScoreRow("Liver", "CT", before, after)) or ()
    assert {"green" if green > red else "red" for red, green, _blue in pair} == ({colour} if colour else set())


def test_in_the_module_and_its_end(host):
    from module_helpers import openModule

    widget = openModule(host, [sys.executable, str(MRML / "known_training_worker.py")])
    panel, engine = widget.panels["TrainPanel"], widget.engine
    (pair,) = addPairs(host.scene, 1)
    widget.services.addTrainingCase(*pair)
    panel.ui.titleEdit.text = "slow"
    panel.ui.trainButton.click()
    assert host.process_events(30, until=lambda: panel.ui.metricLabel.text)
    segment = widget.panels["SegmentPanel"].ui
    assert (segment.liverButton.enabled, segment.liverButton.toolTip) == (False, "A training is running.")
    host.unload_module("Med3DSegmentation")
    host.process_events(1)
    assert engine.processId is None
    assert not engine.isBusy
