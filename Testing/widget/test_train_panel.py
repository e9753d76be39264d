"""The Train panel before a training: cases, what their segments mean, choices, why it cannot begin."""

import json

import pytest
from module_helpers import addModel
from train_panel_helpers import MRML, addPairs, panel_folder, parameters, texts, train, wait


@pytest.fixture
def panel(makePanel):
    return makePanel()


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
    addModel(panel, "contrasts", channels=("t1", "t2"))
    panel.parameterNode.trainingModel = "contrasts"
    assert "Contrasts takes 2 images of a patient" in ui.trainButton.toolTip and not ui.trainButton.enabled
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


def test_structures_of_a_clinic_are_asked_for(host, panel, tmp_path):
    """Two CTs with RTSTRUCT whose names nobody knows: what is chosen for one counts for both, and is sent."""
    pytest.importorskip("pydicom")
    from dataclasses import replace

    from test_dicom_references import add_patient

    from Med3DCore.io.label_names import label_for

    strange = tuple(replace(label_for(title, 0), title=title) for title in ("Lg li", "PTV 1"))
    for seed in ("a", "b"):
        add_patient(tmp_path, tmp_path / f"{seed}.rtstruct.dcm", seed, 0, labels=strange)
    host.dialogs.answer(str(tmp_path))
    panel.ui.folderButton.click()
    assert host.process_events(20, until=lambda: panel.errors)
    assert "not known: 'Lg li' (2), 'PTV 1' (2)" in str(panel.errors.pop())
    ui = panel.ui
    assert texts(ui.casesTable, 2) == ["-", "-"]
    assert "No structure in the labels of a means an organ yet" in ui.trainButton.toolTip
    ui.casesTable.selectRow(0)
    assert texts(ui.segmentsTable, 0) == ["lg_li", "ptv_1"]
    choose(ui.segmentsTable.cellWidget(0, 1), "Left lung (new organ)")
    assert texts(ui.casesTable, 2) == ["Left lung"] * 2 and "No structure" not in ui.trainButton.toolTip
    ui.casesTable.selectRow(1)
    assert ui.segmentsTable.cellWidget(0, 1).currentText.startswith("Left lung")
    choose(ui.segmentsTable.cellWidget(1, 1), "Left lung (new organ)")
    panel.setParameterNode(parameters(host.scene))  # as after loading the scene
    cases = panel._cases.all()
    sent = _returned(cases[1].fields("b", "", {}))
    assert (sent["values"], sent["annotated"]) == ({"left_lung": [1, 2]}, ["left_lung"]) and "meanings" not in sent
    choose(ui.segmentsTable.cellWidget(0, 1), "Nothing")
    choose(ui.segmentsTable.cellWidget(1, 1), "Nothing")
    assert texts(ui.casesTable, 2) == ["-", "-"]


def _returned(pieces):
    """What a generator returns."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value


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


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"use": "TRAIN"}', '{"name": 1}'])
def test_what_is_no_case_in_a_scene_is_left_out(host, panel, text):
    good = '{"name": "a", "image": "a.nii.gz", "label": "b.nii.gz", "annotated": ["liver"], "use": 5}'
    panel.parameterNode.trainingFiles = [text, good]
    assert [case.name for case in panel._cases.all()] == ["a"]
