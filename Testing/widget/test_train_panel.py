"""The Train panel with a real engine process whose trainings are known, and with a real one."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MRML = ROOT / "Testing" / "mrml"


@pytest.fixture
def host(slicer_gui, monkeypatch, tmp_path):
    """The host, with a private folder for models and trainings, and the module's package on the path."""
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    monkeypatch.syspath_prepend(str(MRML))
    monkeypatch.syspath_prepend(str(ROOT / "Med3DSegmentation"))
    return slicer_gui


@pytest.fixture
def makePanel(host):
    """Makes a panel with its collaborators, as the module does; the engine is known_training_worker.py by default."""
    made = []

    def make(script=MRML / "known_training_worker.py"):
        from Med3DSegmentationLib.engine.model_choices import ModelChoices
        from Med3DSegmentationLib.engine.process import EngineProcess
        from Med3DSegmentationLib.panels.services import PanelServices
        from Med3DSegmentationLib.panels.train.train_panel import TrainPanel
        from Med3DSegmentationLib.segmentation_logic import SegmentationLogic

        engine = EngineProcess([sys.executable, str(script)] if script else None)
        errors = []
        services = PanelServices(
            scene=host.scene,
            logic=SegmentationLogic(host.scene, engine),
            engine=engine,
            catalogue=ModelChoices(engine),
            loadUi=lambda name: loadUi(name),
            showError=errors.append,
            showTab=lambda name: None,
            settings=host.app.settings(),
            installer=SimpleNamespace(isReady=lambda: True, reason=lambda: "", installWithConsent=lambda: True),
        )
        panel = TrainPanel(services)
        panel.errors = errors
        made.append(panel)
        panel.setParameterNode(parameters(host.scene))
        services.catalogue.refresh()
        assert host.process_events(30, until=lambda: services.catalogue.models is not None)
        return panel

    yield make
    for panel in made:
        panel.close()
        panel.services.logic.close()
        panel.services.engine.close()


@pytest.fixture
def panel(makePanel):
    return makePanel()


def loadUi(name):
    import slicer

    widget = slicer.util.loadUI(str(ROOT / "Med3DSegmentation" / "Resources" / "UI" / f"{name}.ui"))
    widget.setMRMLScene(slicer.mrmlScene)
    return widget


def parameters(scene):
    from Med3DSegmentationLib.parameters import Med3DParameters

    node = scene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode")
    return Med3DParameters(node or scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))


def addPairs(scene, count, organs=("liver", "lungs")):
    from test_training_case_nodes import addPair

    return [addPair(scene, f"CT {number + 1}", organs) for number in range(count)]


def texts(table, column):
    return [table.item(row, column).text() for row in range(table.rowCount)]


def wait(host, panel, seconds=60):
    assert host.process_events(seconds, until=lambda: not panel.services.activity.isRunning)


def train(host, panel, title="known", count=3):
    addPairs(host.scene, count)
    panel.ui.allPairsButton.click()
    panel.ui.titleEdit.text = title
    assert panel.ui.trainButton.enabled, panel.ui.trainButton.toolTip
    panel.ui.trainButton.click()


def test_why_it_cannot_begin(host, panel):
    ui, services = panel.ui, panel.services
    assert (ui.trainButton.enabled, ui.trainButton.toolTip) == (False, ui.hintLabel.text)
    assert "Add at least one case" in ui.hintLabel.text
    assert "Choose a segmentation" in ui.addButton.toolTip
    assert "Select the cases" in ui.removeButton.toolTip
    ui.allPairsButton.click()
    assert "No other segmentation" in str(panel.errors.pop())

    pairs = addPairs(host.scene, 3)
    ui.allPairsButton.click()
    assert ui.trainButton.enabled
    services.activity.begin("A segmentation is running.")
    assert (ui.trainButton.enabled, ui.hintLabel.text) == (False, "A segmentation is running.")
    services.activity.end()
    panel.parameterNode.trainingModel = "gone-1.0.0"
    assert "gone-1.0.0 is not on this computer" in ui.trainButton.toolTip
    panel.parameterNode.trainingModel = ""
    panel.setParameterNode(None)
    assert "being closed" in ui.trainButton.toolTip
    panel.setParameterNode(parameters(host.scene))
    for volumeNode, _ in pairs[1:]:
        host.scene.RemoveNode(volumeNode)
    host.process_events(0.1)
    assert ui.casesTable.rowCount == 1
    assert ui.trainButton.enabled
    assert "fewer than three cases" in ui.hintLabel.text


def test_cases_and_what_they_mean(host, panel):
    from test_training_case_nodes import drawn

    ui = panel.ui
    pairs = addPairs(host.scene, 2)
    drawn(pairs[1][1], "liver", "Tumour")
    ui.caseSegmentationSelector.setCurrentNode(pairs[1][1])
    assert ui.caseVolumeSelector.currentNode() is pairs[1][0]  # found by itself
    ui.addButton.click()
    assert texts(ui.casesTable, 2) == ["Lungs"]
    assert ui.segmentsTable.visible or not ui.segmentsTable.isHidden()
    assert texts(ui.segmentsTable, 0) == ["Tumour", "Lungs"]
    box = ui.segmentsTable.cellWidget(0, 1)
    assert box.currentText == "Nothing"
    choose(box, "New: Tumour")
    assert texts(ui.casesTable, 2) == ["Tumour, Lungs"]
    ui.allPairsButton.click()
    assert texts(ui.casesTable, 0) == ["CT 1", "CT 2"]
    choose(ui.casesTable.cellWidget(0, 3), "Checking")
    choose(ui.casesTable.cellWidget(1, 3), "Checking")
    assert "at least one for training" in ui.trainButton.toolTip
    ui.casesTable.selectRow(0)
    ui.removeButton.click()
    assert texts(ui.casesTable, 0) == ["CT 2"]
    panel.services.addTrainingCase(*pairs[0])  # the Segment panel's button
    assert texts(ui.casesTable, 0) == ["CT 1", "CT 2"]
    assert [case.name for case in panel._cases.selected()] == ["CT 1"]


def choose(box, title):
    row = box.findText(title)
    assert row >= 0, [box.itemText(i) for i in range(box.count)]
    box.setCurrentIndex(row)
    box.activated.emit(row)


def test_cases_from_a_folder(host, panel, tmp_path):
    from mrml_helpers import GEOMETRIES, makeLabels, makeVolume

    from Med3DCore.io import write_label_map, write_volume

    volume = makeVolume(GEOMETRIES["anisotropic"])
    for name in ("a", "b"):
        write_volume(volume, tmp_path / f"{name}.nrrd")
        write_label_map(makeLabels(volume), tmp_path / f"{name}.seg.nrrd")
    host.dialogs.answer(str(tmp_path), str(tmp_path), "")
    for _ in range(3):  # the same again brings nothing, and so does Cancel
        panel.ui.folderButton.click()
        host.process_events(20, until=lambda: not panel.services.engine.isBusy)
    assert panel.errors == []
    assert texts(panel.ui.casesTable, 0) == ["a", "b"]
    assert texts(panel.ui.casesTable, 2) == ["Liver, Lungs"] * 2
    choose(panel.ui.casesTable.cellWidget(1, 3), "Checking")
    panel.setParameterNode(parameters(host.scene))  # as after loading the scene
    assert panel.ui.casesTable.cellWidget(1, 3).currentText == "Checking"
    panel.ui.casesTable.selectRow(0)
    panel.ui.removeButton.click()
    assert texts(panel.ui.casesTable, 0) == ["b"]
    host.dialogs.answer(str(MRML))
    panel.ui.folderButton.click()
    assert host.process_events(20, until=lambda: panel.errors)
    assert "holds no image with its label" in str(panel.errors[0])


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


def panel_folder():
    return Path(os.environ["MED3D_MODELS"]).parent


def test_pause_and_continue_in_another_session(host, makePanel):
    first = makePanel()
    train(host, first, "slow")
    assert host.process_events(30, until=lambda: first.ui.metricLabel.text)
    first.ui.cancelButton.click()
    assert "Pausing after this step" in first.ui.progressLabel.text
    wait(host, first)
    assert "is paused" in str(first.errors[0])
    assert host.process_events(10, until=lambda: first.ui.earlierTable.rowCount == 1)
    first.services.engine.kill()

    panel = makePanel()
    ui = panel.ui
    assert host.process_events(10, until=lambda: ui.earlierTable.rowCount == 1)
    assert not ui.earlierSection.isHidden()
    assert texts(ui.earlierTable, 0) == ["slow"]
    ui.finishButton.click()
    wait(host, panel)
    assert panel.errors == []
    assert "slow is ready" in ui.resultLabel.text
    assert not ui.beforeButton.isHidden()  # the case was found again by its name
    assert host.process_events(10, until=lambda: ui.earlierTable.rowCount == 0)


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


def test_results_that_nobody_changed_are_taken_only_when_the_user_says_that_they_are_right(host, panel):
    from test_training_case_nodes import addPair

    addPair(host.scene, "CT 1", model="known-1.0.0")
    addPair(host.scene, "CT 2")
    panel.ui.allPairsButton.click()
    panel.ui.titleEdit.text = "known"
    yes, no = host.qt.QMessageBox.Yes, host.qt.QMessageBox.No

    def press(answer):
        host.dialogs.answer(answer)
        panel.ui.trainButton.click()
        wait(host, panel)
        host.process_events(0.1)
        wait(host, panel)

    press(no)
    (question,) = host.dialogs.texts("question")
    assert "The labels of CT 1 are results of a model that nobody has changed" in question
    assert [str(error) for error in panel.errors] == [question.split("\n")[0]] and panel.lastResult is None
    press(yes)
    assert panel.lastResult is not None and len(panel.errors) == 1
    asked = [json.loads(path.read_text()) for path in (panel_folder() / "trainings").glob("*/request.json")]
    assert [(each["take_untouched"], [case["untouched"] for case in each["cases"]]) for each in asked] == [
        (True, [True, False])
    ]


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


def test_settings_come_back_with_the_scene(host, panel, tmp_path):
    panel.ui.titleEdit.text, panel.ui.minutesBox.value = "Mine", 25
    panel.ui.chartCheckBox.click()
    path = str(tmp_path / "scene.mrml")
    host.scene.SetURL(path)
    assert host.scene.Commit(path)
    panel.setParameterNode(None)
    host.scene.Clear(1)
    host.scene.SetURL(path)
    assert host.scene.Connect()
    panel.setParameterNode(parameters(host.scene))
    assert (panel.ui.titleEdit.text, panel.ui.minutesBox.value, panel.ui.chartCheckBox.checked) == ("Mine", 25, True)


def test_an_unproven_model_is_not_chosen_by_itself(host, panel):
    panel.parameterNode.model = "mine-1.0.0"
    train(host, panel, "unproven")
    wait(host, panel)
    assert panel.parameterNode.model == "mine-1.0.0"
    assert "not chosen in the tab Segment: It learned from one case." in panel.ui.resultLabel.text


@pytest.mark.parametrize(
    ("before", "after", "isGreen"), [(0.968, 0.965, False), (0.965, 0.968, True), (0.9, 0.9, True)]
)
def test_a_lower_number_is_never_green(host, before, after, isGreen):
    from Med3DSegmentationLib.panels.train.training_outcome import _colour
    from Med3DSegmentationLib.training.step import ScoreRow

    pair = _colour(ScoreRow("Liver", "CT", before, after))
    assert [green > red for red, green, _blue in pair] == [isGreen, isGreen]  # in the light theme and in the dark one


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"use": "TRAIN"}', '{"name": 1}'])
def test_what_is_no_case_in_a_scene_is_left_out(host, panel, text):
    good = '{"name": "a", "image": "a.nii.gz", "label": "b.nii.gz", "annotated": ["liver"], "use": 5}'
    panel.parameterNode.trainingFiles = [text, good]
    assert [case.name for case in panel._cases.all()] == ["a"]


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
