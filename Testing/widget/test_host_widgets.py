"""The stand-in host's widgets: .ui files land on them, and they choose as Slicer's do."""

import numpy as np
import pytest
from toy_module import UI


def test_ui_file_lands_on_stand_ins(load_ui, slicer_gui, vtk_messages):
    import slicer

    _widget, ui = load_ui(UI)
    assert ui.inputs.text == "Inputs"
    assert list(ui.inputSelector.nodeTypes) == ["vtkMRMLScalarVolumeNode"]
    assert (ui.inputSelector.noneEnabled, ui.inputSelector.addEnabled) == (True, False)
    assert ui.inputSelector.mrmlScene() is slicer_gui.scene  # by the connection of the .ui file
    got = []
    ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: got.append(node and node.GetName()))
    ct = slicer.util.addVolumeFromArray(np.zeros((2, 3, 4)), name="CT")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert ui.inputSelector.nodeCount() == 1
    ui.inputSelector.setCurrentNode(ct)
    assert ui.inputSelector.currentNodeID == ct.GetID()
    slicer.mrmlScene.RemoveNode(ct)
    assert got == ["CT", None]
    with pytest.raises(RuntimeError, match="does not offer"):
        ui.inputSelector.addNode()
    ui.inputs.collapsed = True
    assert ui.slider.isHidden()
    vtk_messages.expect_clean()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('class="ctkSliderWidget"', 'class="ctkRangeWidget"', "ctkRangeWidget, which has no stand-in"),
        ('name="addEnabled"', 'name="addEnable"', "sets addEnable of inputSelector"),
        ("mrmlSceneChanged(vtkMRMLScene*)", "sceneChanged(vtkMRMLScene*)", "no signal sceneChanged"),
        ("setMRMLScene(vtkMRMLScene*)", "setScene(vtkMRMLScene*)", "which qMRMLNodeComboBox inputSelector lacks"),
        ("<receiver>inputSelector", "<receiver>selector", "connects selector, which it does not contain"),
        ('name="slider"', 'name="organ"', "twice: organ"),
        ("</ui>", "", "not XML"),
        (
            '<property name="text"><string>CT:</string></property>',
            '<property name="alignment"><set>Qt::AlignmentFlag::AlignLeft</set></property>',
            "Qt 5 reads only the short form",
        ),
    ],
)
def test_broken_ui_files_raise(load_ui, old, new, message):
    assert old in UI
    with pytest.raises(RuntimeError, match=message):
        load_ui(UI.replace(old, new))


def test_node_box_chooses_as_slicer_does(slicer_gui):
    import slicer

    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ("vtkMRMLSegmentationNode",)
    box.baseName = "Organs"
    box.setMRMLScene(slicer_gui.scene)
    first = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert (box.currentNode(), box.nodeTypes) == (None, ("vtkMRMLSegmentationNode",))  # not chosen by itself
    node = box.addNode()
    assert (node.GetName(), box.currentNode()) == ("Organs", node)
    box.removeCurrentNode()
    assert box.currentNode() is first  # another one takes its place
    box.setCurrentNode(None)
    assert box.currentNode() is None  # even without a None entry
    only = slicer.qMRMLNodeComboBox()
    only.addEnabled = only.removeEnabled = False
    only.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    only.setMRMLScene(slicer_gui.scene)
    ct = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)))
    assert only.currentNode() is ct  # nothing else to choose


def test_show_3d_and_segments_table(slicer_gui):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.GetSegmentation().AddEmptySegment("liver", "Liver", (1.0, 0.0, 0.0))
    mask = np.zeros((6, 6, 6), np.uint8)
    ct = slicer.util.addVolumeFromArray(mask)
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    mask[2:4, 2:4, 2:4] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "liver", ct)
    button, table = slicer.qMRMLSegmentationShow3DButton(), slicer.qMRMLSegmentsTableView()
    assert not button.enabled
    button.setSegmentationNode(node)
    button.click()
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    table.setSegmentationNode(node)
    node.GetSegmentation().AddEmptySegment("lungs", "Lungs")
    assert [table.item(row, 1).text() for row in range(table.rowCount)] == ["Liver", "Lungs"]
    table.setSelectedSegmentIDs(["lungs"])
    assert table.selectedSegmentIDs() == ["lungs"]
    assert slicer_gui.slot_errors == []


def test_path_slider_and_checkable_combo(slicer_gui):
    import ctk

    qt, got = slicer_gui.qt, []
    path = ctk.ctkPathLineEdit()
    path.filters = ctk.ctkPathLineEdit.Dirs
    path.connect("currentPathChanged(QString)", lambda text: got.append(text))
    slicer_gui.dialogs.answer("/data")
    path.browse()
    assert (path.currentPath, got) == ("/data", ["/data"])
    slider = ctk.ctkSliderWidget()
    slider.maximum = 5
    slider.value = 9
    assert slider.value == 5
    combo = ctk.ctkCheckableComboBox()
    combo.addItems(["liver", "lungs"])
    combo.connect("checkedIndexesChanged()", lambda: got.append("ticked"))
    combo.setCheckState(combo.model().index(1, 0), qt.Qt.Checked)
    assert [index.row() for index in combo.checkedIndexes()] == [1]
    assert got[-1] == "ticked"
