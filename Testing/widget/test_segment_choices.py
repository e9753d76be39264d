"""The Segment panel's choices: volume, segmentation, ROI, model, device; and why a button is disabled."""

from types import SimpleNamespace
from unittest import mock

import numpy as np
from module_helpers import addModel, organMask
from mrml_helpers import addTransform, addVolume
from segment_panel_helpers import array, press, reason, rows, settle, wait


def test_why_not_torch_and_installing_it(module, panel, ct):
    ready = []

    def install():
        ready.append(True)
        return True

    module.services.installer = SimpleNamespace(
        isReady=lambda: bool(ready), reason=lambda: "PyTorch is missing.", installWithConsent=install
    )
    panel.refresh()
    assert reason(panel) == "PyTorch is missing." and not panel.ui.installButton.isHidden()
    for name in ("TrainPanel", "PreviewPanel", "ModelsPanel"):
        module.panels[name].refresh()
        assert (
            not module.panels[name].ui.installButton.isHidden() and "PyTorch" in module.panels[name].ui.hintLabel.text
        )
    module.panels["TrainPanel"].ui.installButton.click()
    assert reason(panel) == ""
    assert all(each.ui.installButton.isHidden() for each in module.panels.values())


def test_a_label_map_is_not_chosen_as_the_first_volume(module, panel):
    scene = module.services.scene
    module.host.leave_module("Med3DSegmentation")
    scene.Clear(0)
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    module.host.open_module("Med3DSegmentation")
    assert panel.parameterNode.inputVolume is None
    volume = addVolume(scene)
    settle(panel)
    assert panel.parameterNode.inputVolume is volume


def test_why_not_the_segmentation(module, panel, ct):
    node = module.services.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Implant")
    node.SetSourceRepresentationToClosedSurface()
    settle(panel)
    panel.parameterNode.segmentation = node
    assert "Implant consists of surfaces" in reason(panel)
    panel.ui.severalVolumesCheckBox.click()
    assert "Several volumes" in panel.ui.segmentationSelector.toolTip and panel.ui.keepEditsCheckBox.enabled
    panel.ui.severalVolumesCheckBox.click()
    assert "only the segments of the chosen organs" in panel.ui.segmentationSelector.toolTip


def test_why_not_the_volume_or_the_roi(module, panel, ct):
    import slicer
    import vtk

    scene = module.services.scene
    assert reason(panel) == ""
    bent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    bent.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    ct.SetAndObserveTransformNodeID(bent.GetID())
    panel.refresh()
    assert "CT lies under bent, which is not a linear transform" in reason(panel)
    ct.SetAndObserveTransformNodeID(addTransform(scene).GetID())
    panel.refresh()
    assert reason(panel) == ""
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    panel.ui.roiSelector.setCurrentNode(roi)
    assert "The ROI box is empty" in reason(panel)
    panel.ui.roiSelector.setCurrentNode(None)
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    panel.ui.inputSelector.setCurrentNode(empty)
    assert "empty has no voxels" in reason(panel)
    assert isinstance(empty, slicer.vtkMRMLScalarVolumeNode)


def test_a_roi_is_made_by_the_selector_and_noticed_when_it_is_drawn(module, panel, ct):
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    scene = module.services.scene
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    panel.ui.roiSelector.setCurrentNode(roi)
    assert "The ROI box is empty" in reason(panel)
    roi.SetCenter(0, 0, 0)
    roi.SetSize(20, 20, 20)
    assert reason(panel) == ""
    made = panel.ui.roiSelector.addNode()
    assert panel.parameterNode.roi is made and reason(panel) == "" and not made.GetLocked()
    bounds = np.zeros(6)
    made.GetRASBounds(bounds)
    low, high = geometryFromNode(ct).bounds_of_box((0, 0, 0), geometryFromNode(ct).size)
    assert np.allclose(bounds[1::2] - bounds[::2], high - low)
    press(panel, "liverButton")
    wait(panel)
    assert np.array_equal(organMask(panel.parameterNode.segmentation, "liver", ct), array(ct) > 60)


def test_a_preview_is_offered_nowhere(module, panel, ct):
    from Med3DSegmentationLib.scene.volume_nodes import PREVIEW_ATTRIBUTE, plainVolumes

    seen = addVolume(module.services.scene, name="CT preview")
    seen.SetAttribute(PREVIEW_ATTRIBUTE, "1")
    settle(panel)
    module.services.activity.tell()  # as at the end of a preview
    train, preview = (module.panels[name].ui for name in ("TrainPanel", "PreviewPanel"))
    for box in (panel.ui.inputSelector, preview.inputSelector, train.caseVolumeSelector):
        assert box.nodes() == [ct]
    assert plainVolumes(module.services.scene) == [ct] and panel.ui.volumeList.count == 1


def test_only_inside_a_roi(module, panel, ct):
    from Med3DSegmentationLib.scene.regions import boxToRoiNode
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    low, high = geometryFromNode(ct).bounds_of_box((0, 0, 0), (12, 20, 16))
    panel.ui.roiSelector.setCurrentNode(boxToRoiNode(module.services.scene, [low.tolist(), high.tolist()], "half"))
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    found = organMask(panel.parameterNode.segmentation, "liver", ct)
    expected = array(ct) > 60
    expected[:, :, 12:] = False
    assert np.array_equal(found, expected) and found.any()


def test_models_are_described_and_say_what_they_find(module, panel, ct):
    addModel(module, "spleens", ("spleen", "liver"))
    box = panel.ui.modelSelector
    titles = [box.itemText(i) for i in range(box.count)]
    assert titles[0] == "Automatic" and "Spleens (spleens)" in titles
    choose(box, "spleens")
    assert panel.parameterNode.model == "spleens" and panel.ui.modelDescription.text == "Known for spleens."
    settle(panel)
    assert panel.ui.liverButton.enabled and panel.ui.hintLabel.text == "The chosen model finds only: Spleen, Liver."
    assert not panel.ui.lungsButton.enabled and not panel.ui.chosenOrgansButton.isHidden()
    assert panel.ui.chosenOrgansButton.text == "Segment Spleen, Liver"
    press(panel, "chosenOrgansButton")
    wait(panel)
    assert [row[1] for row in rows(panel)] == ["Liver"]
    panel.parameterNode.model = "gone-1.0.0"
    assert "gone-1.0.0 is not on this computer" in reason(panel)
    choose(box, "")
    assert reason(panel) == "" and panel.ui.chosenOrgansButton.text == "Segment Spleen, Left kidney, Right kidney"
    assert panel.ui.modelDescription.text.endswith("the one that looks closest.")  # as Catalogue.default_for takes it


def test_what_another_model_finds_unasked_has_a_button_too(module, panel, ct):
    assert reason(panel) == "" and not panel.ui.chosenOrgansButton.isHidden()
    assert panel.ui.chosenOrgansButton.text == "Segment Spleen, Left kidney, Right kidney"
    with mock.patch.object(panel, "_begin") as begin:
        press(panel, "chosenOrgansButton")
        press(panel, "liverButton")
    runs = [call.args[0] for call in begin.call_args_list]
    assert [tuple(run.organs) for run in runs] == [("spleen", "left_kidney", "right_kidney"), ("liver",)]
    choose(panel.ui.modelSelector, module.services.catalogue.automatic["liver"])
    settle(panel)
    assert panel.ui.chosenOrgansButton.isHidden(), "who chose a model is offered what it finds"


MANY = ["liver", "lungs", "spleen", "left_kidney", "right_kidney", *(f"rib_left_{number}" for number in range(1, 13))]


def listed(panel):
    """Titles of the organs that the list shows, and those that are ticked, hidden ones included."""
    view = panel.ui.organList
    items = [view.item(row) for row in range(view.count)]
    shown = [item.text() for item in items if not item.isHidden()]
    return shown, [item.text() for item in items if item.checkState() == panel.host.qt.Qt.Checked]


def test_organs_of_many_are_searched_ticked_and_remembered(module, panel, ct):
    addModel(module, "few", ("spleen", "liver"))
    addModel(module, "total", MANY)
    ui, box = panel.ui, panel.ui.modelSelector
    assert ui.organChoice.isHidden() and not ui.liverButton.isHidden()
    choose(box, "total")
    settle(panel)
    assert not ui.organChoice.isHidden() and ui.liverButton.isHidden() and ui.hintRow.isHidden()
    shown, ticked = listed(panel)
    assert shown == ticked == [name.title() for name in MANY]
    assert ui.chosenOrgansButton.text == "Segment all 17 organs"
    ui.noneListedButton.click()
    assert reason(panel, "chosenOrgansButton") == "Tick the organs to segment."

    ui.organSearch.text = "left RIB"
    assert listed(panel) == ([f"Rib_Left_{number}" for number in range(1, 13)], [])
    ui.allListedButton.click()
    assert ui.chosenOrgansButton.text == "Segment 12 of 17 organs"
    ui.noneListedButton.click()
    ui.organSearch.text = "kidney"
    ui.allListedButton.click()
    ui.organSearch.text = ""
    ui.organList.item(0).setCheckState(panel.host.qt.Qt.Checked)
    wanted = ["Liver", "Left_Kidney", "Right_Kidney"]
    assert listed(panel) == (shown, wanted) and reason(panel, "chosenOrgansButton") == ""
    assert ui.chosenOrgansButton.text == "Segment Liver, Left_Kidney, Right_Kidney"
    press(panel, "chosenOrgansButton")
    wait(panel)
    assert [row[1] for row in rows(panel)] == ["Liver"]

    choose(box, "few")
    assert ui.organChoice.isHidden() and ui.chosenOrgansButton.text == "Segment Spleen, Liver"
    choose(box, "total")
    assert listed(panel)[1] == wanted


def test_ticks_are_kept_by_model_in_the_users_settings(module, panel, ct):
    addModel(module, "total", MANY)
    module.services.settings.setValue("Med3DSegmentation/Organs/total", "spleen,organ of an older version")
    choose(panel.ui.modelSelector, "total")
    settle(panel)
    assert listed(panel)[1] == ["Spleen"] and panel.ui.chosenOrgansButton.text == "Segment Spleen"


def choose(box, name):
    """As a user chooses an entry."""
    row = next(i for i in range(box.count) if box.itemData(i) == name)
    box.setCurrentIndex(row)
    box.activated.emit(row)


def test_devices_are_those_that_the_engine_found(panel, ct):
    box = panel.ui.deviceSelector
    assert panel.host.process_events(30, until=lambda: box.count == 3)
    assert [box.itemText(i) for i in range(3)] == ["Automatic: Known GPU", "Known GPU", "CPU"]
    choose(box, "cuda:0")
    assert panel.parameterNode.device == "cuda:0" and panel.ui.deviceDescription.text == "cuda:0 it is."
    panel.parameterNode.device = "cuda:7"  # of another computer, from a saved scene
    assert box.currentText == "cuda:7" and "Not available" in panel.ui.deviceDescription.text


def test_the_faster_way_is_offered_for_imported_models_and_remembered_by_model(module, panel, ct):
    addModel(module, "spleens", ("spleen", "liver"))
    addModel(module, "total", ("spleen", "liver"), imported=True)
    addModel(module, "brain", ("spleen", "liver"), imported=True)
    ui, box = panel.ui, panel.ui.fastCheckBox
    assert panel.host.process_events(30, until=lambda: ui.deviceSelector.count == 3)
    choose(ui.deviceSelector, "cpu")
    for own in ("", "spleens"):
        choose(ui.modelSelector, own)
        settle(panel)
        assert box.isHidden()
    choose(ui.modelSelector, "total")
    settle(panel)
    assert not box.isHidden() and box.enabled and not box.checked and "Half precision" in box.toolTip
    assert lastLine(panel) == "total-1.0.0 on CPU, 0.1 s"
    box.click()
    assert lastLine(panel) == "total-1.0.0 on CPU, in half precision, 0.1 s"
    choose(ui.modelSelector, "brain")
    settle(panel)
    assert not box.checked
    choose(ui.modelSelector, "")
    assert "half" not in lastLine(panel, "liverButton")
    choose(ui.modelSelector, "total")
    settle(panel)
    assert box.checked
    choose(ui.deviceSelector, "cuda:0")
    settle(panel)
    assert not box.enabled and box.checked and "no faster way on this device" in box.toolTip
    assert "half" not in lastLine(panel)


def lastLine(panel, button="chosenOrgansButton"):
    """What is told of a result."""
    press(panel, button)
    wait(panel)
    return panel.ui.resultLabel.text


def test_several_volumes_take_the_faster_way_too(module, panel, ct):
    addModel(module, "total", ("spleen", "liver"), imported=True)
    assert panel.host.process_events(30, until=lambda: panel.ui.deviceSelector.count == 3)
    choose(panel.ui.deviceSelector, "cpu")
    choose(panel.ui.modelSelector, "total")
    settle(panel)
    panel.ui.fastCheckBox.click()
    panel.ui.severalVolumesCheckBox.click()
    panel.ui.allVolumesButton.click()
    settle(panel)
    assert "half precision" in lastLine(panel)
