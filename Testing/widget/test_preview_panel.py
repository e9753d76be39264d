"""The Preview panel in the module, with the real engine and a tiny model of two stages."""

from types import SimpleNamespace

import numpy as np
import pytest
from module_helpers import openModule
from mrml_helpers import addVolume


@pytest.fixture
def module(slicer_gui, monkeypatch, tmp_path):
    """The module's widget on an empty scene, with the tiny model beside the shipped ones."""
    from tiny_model import saveModel

    from Med3DCore.worker.launch import worker_command

    monkeypatch.setenv("MED3D_MODELS", str(tmp_path))
    saveModel(tmp_path)
    widget = openModule(slicer_gui, worker_command())
    widget.host = slicer_gui
    return widget


@pytest.fixture
def panel(module):
    return module.panels["PreviewPanel"]


@pytest.fixture
def ct(module):
    from tiny_model import makeScan

    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    return volumeToNode(module.services.scene, makeScan(), "CT")


def choose(panel, ct):
    panel.ui.inputSelector.setCurrentNode(ct)
    panel.parameterNode.model = "tiny-1.0.0"
    panel.parameterNode.device = "cpu"


def wait(module):
    assert module.host.process_events(120, until=lambda: not module.services.activity.isRunning)
    module.host.process_events(0.3)


def titles(box):
    return [box.itemText(row) for row in range(box.count)]


def reason(panel):
    """Why no preview can be made: the tool tip and the visible hint agree."""
    button, hint = panel.ui.showButton, panel.ui.hintLabel
    if button.enabled:
        assert hint.isHidden()
        return ""
    assert not hint.isHidden() and hint.text == button.toolTip
    return hint.text


def composite(name):
    import slicer

    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(name).GetSliceCompositeNode()


def test_what_can_be_chosen_and_why_not(module, panel, ct):
    import vtk

    parameters, ui = panel.parameterNode, panel.ui
    assert titles(ui.organSelector) == ["Liver", "Lungs", "Left kidney", "Right kidney", "Spleen"]
    assert titles(ui.stageSelector)[0] == "The last one (liver)" and "coarse" in titles(ui.stageSelector)
    assert "Looks closely, at 2.5" in ui.stageLabel.text
    parameters.inputVolume = None
    assert "Choose a volume" in reason(panel)
    choose(panel, ct)
    assert reason(panel) == "" and titles(ui.stageSelector) == ["The last one (fine)", "coarse", "fine"]
    ui.stageSelector.setCurrentIndex(1)
    ui.stageSelector.activated.emit(1)
    assert parameters.previewStage == "coarse" and "whole scan, at 4" in ui.stageLabel.text
    parameters.previewStage = "finest"
    assert "no such stage" in reason(panel)
    parameters.previewStage, parameters.previewOrgan = "", "heart"
    assert "does not find this organ" in reason(panel)
    parameters.previewOrgan, parameters.model = "lungs", "gone-1.0.0"
    assert "not on this computer" in reason(panel)
    parameters.model = ""
    assert reason(panel) == ""
    module.services.activity.begin("A segmentation is running.")
    assert reason(panel) == "A segmentation is running."
    module.services.activity.end()
    bent = module.services.scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    bent.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    ct.SetAndObserveTransformNodeID(bent.GetID())
    panel.refresh()
    assert "CT lies under bent, which is not a linear transform" in reason(panel)
    ct.SetAndObserveTransformNodeID(None)
    parameters.previewVolume = ct
    assert "is a preview itself" in reason(panel)
    parameters.previewVolume = None
    module.services.installer = SimpleNamespace(isReady=lambda: False, reason=lambda: "PyTorch is missing.")
    panel.refresh()
    assert reason(panel) == "PyTorch is missing."


def test_closing_the_scene_ends_a_preview(module, panel, ct):
    choose(panel, ct)
    panel.ui.showButton.click()
    module.services.scene.Clear(0)
    wait(module)
    assert "scene was closed" in module.ui.messageLabel.text and panel.ui.progressRow.isHidden()
    assert panel.ui.viewRow.isHidden() and panel.ui.resultSection.isHidden() and "Choose a volume" in reason(panel)


def test_without_a_main_window_no_views_change(slicer_gui):
    from Med3DSegmentationLib.scene.view_layout import ViewLayout

    views = ViewLayout(lambda: None, lambda: None)
    volume = addVolume(slicer_gui.scene)
    views.show(volume, volume)
    views.close()
    assert not views.isShown and slicer_gui.scene.GetFirstNodeByClass("vtkMRMLLayoutNode") is None


def test_a_preview_is_shown_beside_the_scan_and_the_views_come_back(module, panel, ct, vtk_messages, tmp_path):
    import slicer
    from slicer_host.screenshots import SliceView, grab

    manager, ui, parameters = slicer.app.layoutManager(), panel.ui, panel.parameterNode
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    choose(panel, ct)
    display = ct.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(-1000, 1000)
    pet = addVolume(module.services.scene, name="PET")
    composite("Red").SetForegroundVolumeID(pet.GetID())

    ui.showButton.click()
    assert not ui.showButton.enabled and ui.showButton.toolTip == "A preview is being made."
    assert not ui.progressRow.isHidden()
    ui.cancelButton.click()
    wait(module)
    assert parameters.previewVolume is None and "Cancelled" in module.ui.messageLabel.text and reason(panel) == ""

    ui.showButton.click()
    wait(module)
    preview, box = parameters.previewVolume, parameters.previewBox
    assert (preview.GetName(), box.GetName()) == ("CT preview", "CT preview box")
    table = ui.changesTable
    cells = {table.verticalHeaderItem(row).text(): [table.item(row, column).text() for column in (0, 1)]
             for row in range(table.rowCount)}  # fmt: skip
    assert cells["Spacing (mm)"] == ["1.50 × 1.50 × 2.00", "2.00 × 2.00 × 2.00"]
    assert cells["Intensities"][1].startswith("-1 to")
    text = ui.normalisationLabel.text
    assert "below -160 count as -160" in text and 'stage "fine" of tiny-1.0.0' in text and '"coarse" found' in text
    assert ui.progressRow.isHidden() and not ui.resultSection.isHidden()

    # Side by side: linked, the same place at the same scale, the scan in the network's window, the box around it.
    pairs = [(name, f"Med3D{name}") for name in ("Red", "Yellow", "Green")]
    views = {name: SliceView(module.host, name, (200, 200)) for pair in pairs for name in pair}
    panel._views._fit()
    for above, below in pairs:
        assert composite(above).GetBackgroundVolumeID() == ct.GetID() and composite(above).GetLinkedControl()
        assert composite(above).GetForegroundVolumeID() is None
        assert composite(below).GetBackgroundVolumeID() == preview.GetID() and composite(below).GetLinkedControl()
        upper, lower = views[above].node, views[below].node
        assert upper.GetFieldOfView() == pytest.approx(lower.GetFieldOfView())
        assert upper.GetOrientation() == lower.GetOrientation() and not np.ptp(views[below].pixels()) < 50
        move(views[above].logic, 2.0)
        assert views[below].logic.GetSliceOffset() == pytest.approx(views[above].logic.GetSliceOffset())
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (-160, 160)
    withBox = views["Red"].pixels()
    ui.boxCheckBox.click()
    assert not box.GetDisplayVisibility() and not parameters.previewShowsBox
    assert np.abs(withBox.astype(int) - views["Red"].pixels()).max() > 50  # the outline has gone
    assert grab(module, tmp_path / "preview.png").width() > 0

    assert ui.layoutButton.text == "Back to the former views"
    ui.layoutButton.click()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert not composite("Red").GetLinkedControl() and composite("Red").GetForegroundVolumeID() == pet.GetID()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (-1000, 1000)
    ui.layoutButton.click()
    assert panel._views.isShown and display.GetWindowLevelMax() == 160
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)  # as by Slicer's tool bar
    assert display.GetWindowLevelMax() == 1000 and ui.layoutButton.text == "Compare side by side"

    # Another stage takes the same nodes; the box stays hidden.
    parameters.previewStage = "coarse"
    ui.showButton.click()
    wait(module)
    assert parameters.previewVolume is preview and parameters.previewBox is box and not box.GetDisplayVisibility()
    assert preview.GetSpacing() == pytest.approx((4, 4, 4)) and "whole scan and some air" in ui.normalisationLabel.text

    module.services.scene.RemoveNode(preview)
    assert parameters.previewVolume is None and panel._views.isShown and not ui.viewRow.isHidden()
    module.services.scene.Clear(0)
    module.host.process_events(0.2)
    assert not panel._views.isShown and ui.resultSection.isHidden() and ui.viewRow.isHidden()
    vtk_messages.expect_clean()


def move(logic, millimetres):
    """As dragging the slice slider."""
    logic.StartSliceOffsetInteraction()
    logic.SetSliceOffset(logic.GetSliceOffset() + millimetres)
    logic.EndSliceOffsetInteraction()


def test_an_imported_model_is_shown_by_its_own_rules(module, panel, ct, tmp_path):
    from nnunet_folders import write_results

    from Med3DCore.models.nnunet.importing import import_nnunet
    from Med3DCore.models.package_file import save_package
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    package, weights = import_nnunet(write_results(tmp_path / "results"))
    save_package(package, weights, tmp_path, half=False)
    module.services.catalogue.refresh()
    assert module.host.process_events(60, until=lambda: module.services.catalogue.find(package.reference))
    choose(panel, ct)
    panel.parameterNode.model, ui = package.reference, panel.ui
    assert titles(ui.stageSelector) == ["The last one (nnunet)", "nnunet"] and reason(panel) == ""
    assert ui.stageLabel.text == "Looks at the whole scan, at 2.4 × 2 × 3 mm."
    ui.showButton.click()
    wait(module)
    assert not module.ui.messageLabel.text
    seen = volumeFromNode(panel.parameterNode.previewVolume)
    scan = volumeFromNode(ct)
    assert seen.geometry.direction == pytest.approx(scan.geometry.direction)
    assert seen.spacing == pytest.approx((2.4, 2.0, 2.963), abs=1e-3)
    assert np.allclose(seen.geometry.bounds(), scan.geometry.bounds(), atol=0.01)
    assert seen.array.max() == pytest.approx((scan.array.max() - 60) / 90, abs=0.01)
    text = ui.normalisationLabel.text
    assert f"This is what {package.reference} sees: the whole scan, prepared as in nnU-Net. Intensities below" in text
    assert "below -150 count as -150, those above 220 as 220. Then 60 becomes 0" in text
    assert "the same for every scan" in text


def test_a_saved_scene_knows_its_preview(module, panel, ct, tmp_path):
    import slicer.util

    from Med3DSegmentationLib.scene.regions import boxToRoiNode

    scene, parameters = module.services.scene, panel.parameterNode
    preview = addVolume(scene, name="CT preview")
    preview.SetNodeReferenceID("Med3D.scan", ct.GetID())
    parameters.inputVolume, parameters.previewVolume = ct, preview
    parameters.previewBox = boxToRoiNode(scene, [[0, 0, 0], [10, 10, 10]], "box")
    parameters.previewOrgan, parameters.previewStage, parameters.previewShowsBox = "lungs", "coarse", False
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    module.host.process_events(0.1)
    parameters = panel.parameterNode
    assert (parameters.previewOrgan, parameters.previewStage, parameters.previewShowsBox) == ("lungs", "coarse", False)
    assert panel.ui.organSelector.currentText == "Lungs" and panel.ui.stageSelector.currentText == "coarse"
    panel.ui.layoutButton.click()
    assert composite("Red").GetBackgroundVolumeID() == slicer.util.getNode("CT").GetID()
    assert composite("Med3DRed").GetBackgroundVolumeID() == parameters.previewVolume.GetID()


def test_normalisation_in_words(slicer_gui):
    from Med3DSegmentationLib.engine.results import Normalisation
    from Med3DSegmentationLib.panels.preview.preview_texts import normalisationText

    assert "above 240 as 240" in normalisationText(Normalisation("window", -160, 240, 40, 200))
    assert "measured on this scan" in normalisationText(Normalisation("percentile", -1000, 300, -400, 350.5))
    assert normalisationText(Normalisation("nnunet_none", None, None, 0, 1)) == "Intensities stay as they are."
    text = normalisationText(Normalisation("nnunet_z_score_nonzero", None, None, 310.25, 120))
    assert text.startswith("310.2 becomes 0, a step of 120 is 1.") and "voxels of exactly 0 stay 0" in text
    assert "sigmoid" in normalisationText(Normalisation("monai_range", None, None, 25, 225))
    text = normalisationText(Normalisation("medicalnet", None, None, 310.25, 120))
    assert "count as" not in text and "310.2" in text and "exactly 0 stay 0" in text


def test_all_texts_can_be_translated(make_slicer_gui, monkeypatch, tmp_path):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path))
    host = make_slicer_gui(translation=True)
    ui = openModule(host).panels["PreviewPanel"].ui
    for text in (ui.showButton.text, ui.hintLabel.text, ui.introLabel.text, ui.boxCheckBox.text, ui.stageLabel.text):
        assert text.startswith("«")
