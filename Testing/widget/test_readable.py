"""What is shown can be read: contrast in light and dark themes, long names, tool tips."""

import numpy as np
import pytest
from module_helpers import addModel, openModule
from segment_panel_helpers import press, rows, wait

THEMES = {
    "light": (255, 255, 255),
    "light, every other row": (245, 245, 245),
    "dark": (35, 35, 35),
    "darker": (0, 0, 0),
}
THEMES |= {"dark, every other row": (53, 53, 53)}


@pytest.fixture
def module(slicer_gui, monkeypatch, tmp_path):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path))
    widget = openModule(slicer_gui)
    widget.host = slicer_gui
    return widget


@pytest.mark.parametrize("theme", THEMES)
def test_every_colour_of_texts_can_be_read(slicer_gui, theme):
    from Med3DSegmentationLib.panels import colours

    qt = slicer_gui.qt
    table = qt.QTableWidget()
    palette = qt.QPalette()
    palette.setColor(qt.QPalette.Base, qt.QColor(*THEMES[theme]))
    table.setPalette(palette)
    assert colours.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert colours.contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)  # WCAG's own example
    for pair in (colours.GOOD, colours.BAD):
        shown = colours.textColour(pair, table)
        assert colours.contrast((shown.red(), shown.green(), shown.blue()), THEMES[theme]) >= colours.READABLE


def test_long_names_do_not_widen_the_panel_and_buttons_say_what_they_do(module):
    organs = [f"organ_{i}_with_a_long_name" for i in range(12)]
    panel = module.panels["SegmentPanel"]
    before = panel.widget.minimumSizeHint.width()
    addModel(module, "a model whose name is much longer than any panel of the module is wide " * 2, organs)
    panel.parameterNode.model = module.services.catalogue.models[-1].reference
    module.host.process_events(0.1)
    assert panel.ui.chosenOrgansButton.text == "Segment all 12 organs" and not panel.ui.chosenOrgansButton.isHidden()
    assert panel.widget.minimumSizeHint.width() <= before
    panel.parameterNode.model = ""
    from mrml_helpers import addVolume

    addVolume(module.services.scene)
    module.host.process_events(0.1)
    assert panel.ui.liverButton.enabled and "Find Liver" in panel.ui.liverButton.toolTip
    assert "Liver, Lungs" in panel.ui.bothButton.toolTip


NARROW = 320  # pixels
LONG = "Abdomen_portal_venous_1.0_B30f_2026-11-29_series_00004_reconstruction_2_of_3"


def test_long_names_leave_every_panel_narrow(module):
    from segment_panel_helpers import press, rows, wait
    from test_training_case_nodes import addPair

    from Med3DCore.errors import VolumeError

    for number in range(3):
        addPair(module.services.scene, f"{LONG}_{number}")
    segment, train = (module.panels[name] for name in ("SegmentPanel", "TrainPanel"))
    for panel in module.panels.values():
        panel.host = module.host
    module.host.process_events(0.1)
    segment.ui.severalVolumesCheckBox.click()
    segment.ui.allVolumesButton.click()
    press(segment, "bothButton")
    assert module.host.process_events(30, until=lambda: LONG in segment.ui.progressLabel.text)
    assert segment.widget.minimumSizeHint.width() <= NARROW
    wait(segment)
    assert len(rows(segment)) == 6 and LONG in segment.ui.resultLabel.text
    train.ui.allPairsButton.click()
    train.ui.casesTable.selectRow(1)
    assert LONG in train.ui.segmentsLabel.text and not train.ui.segmentsLabel.isHidden()
    for panel in (segment, train):
        for section in (each for each in panel.widget.findChildren("ctkCollapsibleButton") if not each.isHidden()):
            section.collapsed = False
    module.services.showError(VolumeError(f"{LONG} has no voxels."))
    module.host.process_events(0.1)
    for name, panel in module.panels.items():
        assert panel.widget.minimumSizeHint.width() <= NARROW, name
    assert module.ui.messageFrame.minimumSizeHint.width() <= NARROW


def test_all_and_none_of_the_cases(module):
    from test_training_case_nodes import addPair

    ui = module.panels["TrainPanel"].ui
    assert not ui.allCasesButton.enabled and ui.allCasesButton.toolTip == "There is no case yet."
    for number in range(3):
        addPair(module.services.scene, f"CT {number}")
    ui.allPairsButton.click()
    ui.allCasesButton.click()
    assert len(ui.casesTable.selectionModel().selectedRows()) == 3
    ui.noCasesButton.click()
    assert not ui.removeButton.enabled and not ui.casesTable.selectionModel().selectedRows()
    ui.allCasesButton.click()
    ui.removeButton.click()
    assert ui.casesTable.rowCount == 0 and not ui.allCasesButton.enabled


def test_all_and_none_of_the_volumes(module):
    from mrml_helpers import addVolume

    panel = module.panels["SegmentPanel"]
    volumes = [addVolume(module.services.scene, name=name) for name in "ABC"]
    panel.ui.severalVolumesCheckBox.checked = True
    module.host.process_events(0.1)
    assert not panel.ui.volumeListRow.isHidden() and not panel.ui.liverButton.enabled
    panel.ui.allVolumesButton.click()
    assert panel._volumes.chosen() == volumes and panel.ui.liverButton.enabled
    panel.ui.noVolumesButton.click()
    assert panel._volumes.chosen() == [] and not panel.ui.liverButton.enabled


def test_names_that_look_like_html_are_shown_as_they_are(module):
    qt = module.host.qt
    labels = [label for panel in module.panels.values() for label in panel.widget.findChildren(qt.QLabel)]
    labels = [label for label in labels if str(label.objectName).endswith("Label")]
    assert len(labels) > 20
    assert all(int(label.textFormat) == int(qt.Qt.PlainText) for label in labels)


def test_tool_tips_and_questions_take_no_name_for_html(module):
    from mrml_helpers import addVolume

    from Med3DSegmentationLib.scene.volume_nodes import toMatrix

    qt, panel = module.host.qt, module.panels["SegmentPanel"]
    panel.host = module.host
    volume = addVolume(module.services.scene, name="<b>CT</b> & co")
    module.host.process_events(0.1)
    press(panel, "bothButton")
    wait(panel)
    addModel(module, "<i>lesions</i>", channels=["<img src=t1> & co", "T2"])
    panel.parameterNode.model = "<i>lesions</i>"
    panel.parameterNode.segmentation.GetSegmentation().GetNthSegment(0).SetName("<h1>Liver</h1>")
    volume.SetIJKToRASMatrix(toMatrix(np.diag([0.0, 1.0, 1.0, 1.0])))
    rows(panel)
    panel.refresh()
    assert "<b>CT</b> & co has no usable grid" in panel.ui.hintLabel.text
    assert "&lt;b&gt;CT&lt;/b&gt; &amp; co has no usable grid" in panel.ui.liverButton.toolTip
    tips = [widget.toolTip for each in module.panels.values() for widget in each.widget.findChildren(qt.QWidget)]
    tables = [table for each in module.panels.values() for table in each.widget.findChildren(qt.QTableWidget)]
    tips += [table.item(i, k).toolTip() for table in tables for i in range(table.rowCount) for k in range(2)]
    tips = [tip for tip in tips if "lt;" in tip or "<" in tip]
    assert len(tips) > 5 and all(tip.startswith("<qt>") and tip.count("<") == 2 for tip in tips)
    labels = [label for each in module.panels.values() for label in each.widget.findChildren(qt.QLabel)]
    assert all(int(label.textFormat) == int(qt.Qt.PlainText) for label in labels if "<" in label.text)
