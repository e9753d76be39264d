"""The stand-in host's Qt half: as PythonQt does it, and strict where PythonQt is."""

import enum
import textwrap
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

UI = """<ui version="4.0"><class>Toy</class>
<widget class="qMRMLWidget" name="Toy"><layout class="QVBoxLayout" name="rows">
 <item><widget class="ctkCollapsibleButton" name="inputs"><property name="text"><string>Inputs</string></property>
  <layout class="QFormLayout" name="form">
   <item row="0" column="0"><widget class="QLabel" name="label">
     <property name="text"><string>CT:</string></property></widget></item>
   <item row="0" column="1"><widget class="qMRMLNodeComboBox" name="inputSelector">
     <property name="nodeTypes"><stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
     <property name="noneEnabled"><bool>true</bool></property><property name="addEnabled"><bool>false</bool></property>
     <property name="SlicerParameterName" stdset="0"><string notr="true">inputVolume</string></property></widget></item>
   <item row="1" column="1"><widget class="ctkSliderWidget" name="slider">
     <property name="SlicerParameterName" stdset="0"><string notr="true">threshold</string></property></widget></item>
   <item row="2" column="1"><widget class="QComboBox" name="organ">
     <property name="SlicerParameterName" stdset="0"><string notr="true">organ</string></property></widget></item>
  </layout></widget></item>
 <item><widget class="QPushButton" name="applyButton">
   <property name="text"><string>Apply</string></property></widget></item>
</layout></widget>
<connections><connection><sender>Toy</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
 <receiver>inputSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""

MODULE = """
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

class HostToy(ScriptedLoadableModule):
    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = _("Toy")
        slicer.app.connect("startupCompleted()", register)

def register():
    import SampleData
    SampleData.SampleDataLogic.registerCustomSampleDataSource(sampleName="ToyCT", uris="u", fileNames="f")

class HostToyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.events = []

    def setup(self):
        super().setup()
        widget = slicer.util.loadUI(self.resourcePath("UI/HostToy.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, lambda *_: self.events.append("close"))

    def enter(self): self.events.append("enter")
    def exit(self): self.events.append("exit")
    def cleanup(self):
        self.removeObservers()
        self.events.append("cleanup")

    def onApply(self):
        with slicer.util.tryWithErrorDisplay(_("Failed."), waitCursor=True):
            if slicer.util.confirmOkCancelDisplay(_("Sure?")):
                raise ValueError("no liver")
"""


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "Resources" / "UI").mkdir(parents=True)
    (tmp_path / "HostToy.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "Resources" / "UI" / "HostToy.ui").write_text(UI)
    return tmp_path / "HostToy.py"


@pytest.fixture
def load_ui(slicer_gui, tmp_path):
    def load(text):
        import slicer

        path = tmp_path / "some.ui"
        path.write_text(text)
        widget = slicer.util.loadUI(str(path))
        widget.setMRMLScene(slicer_gui.scene)
        return widget, slicer.util.childWidgetVariables(widget)

    return load


def test_properties_are_attributes(slicer_gui):
    qt = slicer_gui.qt
    button = qt.QPushButton("x")
    button.text, button.enabled, button.checkable, button.name = "Go", False, True, "go"
    assert (button.text, button.enabled, button.isCheckable(), button.objectName) == ("Go", False, True, "go")
    assert (button.className(), button.sizeHint.width() > 0) == ("QPushButton", True)
    box = qt.QComboBox()
    box.addItem("a", "data")
    assert (box.count, box.currentText, box.currentData) == (1, "a", "data")


def test_enumerations_are_ints(slicer_gui):
    qt = slicer_gui.qt
    label = qt.QLabel("a")
    assert type(label.alignment) is int
    assert label.alignment == 129
    label.alignment = 132
    assert label.alignment == qt.Qt.AlignCenter
    assert qt.QCheckBox().checkState() == 0
    assert qt.QProcess().state() == qt.QProcess.NotRunning == 0


def test_connect_by_signature(slicer_gui):
    qt, got = slicer_gui.qt, []
    button = qt.QPushButton("x")
    button.checkable = True
    button.connect("clicked(bool)", got.append)
    button.connect("clicked()", lambda: got.append("none"))
    button.connect("toggled(bool)", one := lambda: got.append("fewer"))
    button.click()
    assert got == ["fewer", True, "none"]
    assert button.disconnect("toggled(bool)", one) is True
    assert button.disconnect("toggled(bool)", one) is False
    got.clear()
    button.click()
    assert "fewer" not in got
    with pytest.raises(ValueError, match="no signal clickd"):
        button.connect("clickd(bool)", print)
    with pytest.raises(ValueError, match="no signal"):
        button.connect("clicked(int)", print)


def test_objects_made_by_qt_connect_too(slicer_gui):
    got, box = [], slicer_gui.qt.QComboBox()
    box.setEditable(True)
    box.lineEdit().connect("textChanged(QString)", lambda text: got.append(text))
    box.lineEdit().text = "liver"
    assert got == ["liver"]


def test_unknown_attributes_raise(slicer_gui):
    qt = slicer_gui.qt
    button = qt.QPushButton("x")
    with pytest.raises(AttributeError, match=r"C\+\+ objects is not allowed: QPushButton.tooltip"):
        button.tooltip = "wrong case"
    with pytest.raises(AttributeError, match="cannot be written"):
        button.width = 3
    with pytest.raises(AttributeError):
        button.doesNotExist  # noqa: B018
    with pytest.raises(AttributeError):
        qt.QTimer().singleShot = True
    button.setProperty("SlicerParameterName", "a")
    button.SlicerParameterName = "b"
    assert button.property("SlicerParameterName") == "b"

    class Mine(qt.QWidget):
        def __init__(self):
            super().__init__()
            self.own = 1

    assert Mine().own == 1


def test_find_children_by_class_name(slicer_gui):
    qt = slicer_gui.qt
    window = qt.QWidget()
    layout = qt.QVBoxLayout(window)
    for name in ("a", "b"):
        button = qt.QPushButton(name)
        button.name = name
        layout.addWidget(button)
    assert [child.name for child in window.findChildren("QPushButton")] == ["a", "b"]
    assert window.findChild(qt.QPushButton, "b").text == "b"
    assert window.findChild("QLabel") is None
    window.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        window.show()


def test_process_and_timer(slicer_gui):
    import sys

    qt, got = slicer_gui.qt, []
    process = qt.QProcess()
    process.connect("readyReadStandardOutput()", lambda: got.append(bytes(process.readAllStandardOutput().data())))
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: got.append((code, status)))
    process.start(sys.executable, ["-c", "print('hello')"])
    assert slicer_gui.process_events(20, until=lambda: len(got) == 2)
    assert got[0].strip() == b"hello"
    assert got[1] == (0, 0)
    assert type(got[1][1]) is int
    qt.QTimer.singleShot(0, lambda: got.append("fired"))
    assert slicer_gui.process_events(5, until=lambda: got[-1] == "fired")


def test_settings_are_private(slicer_gui):
    settings = slicer_gui.qt.QSettings()
    settings.setValue("Med3D/x", 3)
    assert settings.fileName().startswith(str(slicer_gui.folder))
    assert slicer_gui.app.settings().value("Med3D/x") in (3, "3")


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


class Organ(enum.Enum):
    LIVER = "liver"
    LUNGS = "lungs"

    def label(self):
        return self.value.title()


def wrapper_class():
    import slicer
    from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

    class Parameters:
        threshold: Annotated[float, WithinRange(-100, 500)] = 100
        organ: Organ = Organ.LUNGS
        flip: bool = True
        folder: Path
        names: list[str]

    Parameters.__annotations__["inputVolume"] = slicer.vtkMRMLScalarVolumeNode
    return parameterNodeWrapper(Parameters)


def test_parameter_node_types_and_checks(slicer_gui, tmp_path):
    import slicer
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "P")
    values = wrapper_class()(node)
    assert (values.threshold, values.organ, values.flip, values.names) == (100.0, Organ.LUNGS, True, [])
    values.organ, values.flip, values.folder, values.names = Organ.LIVER, False, Path("/x"), ["a", "b"]
    values.inputVolume = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)), name="CT")
    for name, bad, error in [
        ("threshold", 501, ValueError),
        ("threshold", "1", TypeError),
        ("flip", None, ValueError),
        ("organ", "liver", TypeError),
        ("inputVolume", node, TypeError),
    ]:
        with pytest.raises(error, match=f"Parameter {name}"):
            setattr(values, name, bad)
    with pytest.raises(NotImplementedError, match="Assign a new list"):
        values.names.append("c")
    slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    again = wrapper_class()(slicer.util.getNode("P"))
    assert (again.organ, again.flip, again.folder, again.names) == (Organ.LIVER, False, Path("/x"), ["a", "b"])
    assert again.inputVolume.GetName() == "CT"
    with pytest.raises(TypeError, match="does not support"):
        parameterNodeWrapper(type("P", (), {"__annotations__": {"x": dict}}))
    with pytest.raises(TypeError, match="lists of nodes"):
        parameterNodeWrapper(type("P", (), {"__annotations__": {"x": list[slicer.vtkMRMLModelNode]}}))
    changes = []
    values.AddObserver("ModifiedEvent", lambda *_: changes.append(1))
    values.names = ["a", "b", "c"]
    assert changes == [1]  # one event an assignment
    with pytest.raises(ValueError, match="reserved"):
        parameterNodeWrapper(type("P", (), {"__annotations__": {"default": int}}))
    assert slicer_gui.slot_errors == []


def test_parameter_node_and_gui_both_ways(load_ui, slicer_gui):
    import slicer

    _widget, ui = load_ui(UI)
    values = wrapper_class()(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
    tag = values.connectGui(ui)
    assert (ui.slider.value, ui.slider.minimum, ui.slider.maximum, ui.organ.currentText) == (100, -100, 500, "Lungs")
    ui.slider.value, ui.organ.currentIndex = 250, 0
    assert (values.threshold, values.organ) == (250, Organ.LIVER)
    values.threshold = 30
    assert ui.slider.value == 30
    ct = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)))
    ui.inputSelector.setCurrentNode(ct)
    assert values.inputVolume is ct
    slicer.mrmlScene.RemoveNode(ct)
    assert values.inputVolume is None
    slicer.mrmlScene.Clear(0)
    values.disconnectGui(tag)
    ui.slider.value = 7
    assert values.threshold != 7
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        values.connectParametersToGui({"organ": ui.slider})
    with pytest.raises(ValueError, match="Cannot find a param"):
        values.connectParametersToGui({"organs": ui.organ})
    assert slicer_gui.slot_errors == []


def test_module_lives_as_in_slicer(slicer_gui, toy, tmp_path):
    import slicer
    from slicer_host.screenshots import PANEL_WIDTH, grab

    module = slicer_gui.load_module(toy)
    assert (module.title, slicer.util.modulePath("HostToy")) == ("Toy", str(toy))
    assert slicer_gui.services.samples[0]["sampleName"] == "ToyCT"
    widget = slicer_gui.open_module("HostToy")
    assert slicer.util.getModuleWidget("HostToy") is widget
    slicer.mrmlScene.Clear(0)
    slicer_gui.leave_module("HostToy")
    assert grab(widget, tmp_path / "panel.png").width() == PANEL_WIDTH
    assert (tmp_path / "panel.png").stat().st_size > 1000
    slicer_gui.unload_module("HostToy")
    assert widget.events == ["enter", "close", "exit", "cleanup"]
    with pytest.raises(AttributeError):
        module.tittle = "x"


def test_messages_are_recorded_and_questions_need_answers(slicer_gui, toy):
    import slicer

    slicer_gui.load_module(toy)
    button = slicer_gui.open_module("HostToy").ui.applyButton
    slicer_gui.dialogs.answer(slicer_gui.qt.QMessageBox.Cancel, slicer_gui.qt.QMessageBox.Ok)
    button.click()
    assert slicer_gui.slot_errors == []
    button.click()
    assert slicer_gui.dialogs.texts("question") == ["Sure?", "Sure?"]
    assert slicer_gui.dialogs.texts("critical") == ["Failed.\n\nno liver"]
    assert "ValueError" in slicer_gui.dialogs.shown[-1].detail
    assert [str(error) for error in slicer_gui.slot_errors] == ["no liver"]
    slicer_gui.slot_errors.clear()
    with pytest.raises(AssertionError, match="would wait for an answer"):
        slicer.util.confirmYesNoDisplay("Really?")
    with pytest.raises(AssertionError, match="would wait for an answer"):
        slicer_gui.qt.QFileDialog.getOpenFileName(None, "Open")
    slicer.util.infoDisplay("Done")
    assert slicer_gui.dialogs.texts("information") == ["Done"]


def test_qt_complaints_fail_the_test(slicer_gui):
    qt = slicer_gui.qt
    window = qt.QWidget()
    qt.QVBoxLayout(window)
    qt.QVBoxLayout(window)
    with pytest.raises(AssertionError, match="already has a layout"):
        slicer_gui.expect_no_slot_errors()
    slicer_gui.qt_warnings.clear()


def test_every_text_can_be_marked_as_translated(make_slicer_gui, toy):
    host = make_slicer_gui(translation=True)
    assert host.load_module(toy).title == "«Toy»"
    ui = host.open_module("HostToy").ui
    assert (ui.applyButton.text, ui.inputs.text, ui.label.text) == ("«Apply»", "«Inputs»", "«CT:»")


def test_services_record(make_slicer_gui):
    host = make_slicer_gui()
    import PyTorchUtils
    import slicer.packaging

    assert not slicer.packaging.pip_check("scipy>=1.13")
    slicer.packaging.pip_ensure(["scipy>=1.13"], requester="Med3D")
    assert slicer.packaging.pip_check("scipy")
    with pytest.raises(TypeError):
        slicer.packaging.pip_install("x", parent=None)
    logic = PyTorchUtils.PyTorchUtilsLogic()
    assert not logic.torchInstalled()
    assert logic.installTorch(askConfirmation=True) is None  # declined
    host.services.installable_torch = object()
    assert logic.torch is host.services.torch is not None
    assert [name for name, _ in host.services.calls] == ["pip_ensure", "installTorch", "installTorch"]


def test_pytorch_extension_may_be_missing(make_slicer_gui):
    make_slicer_gui(pytorch_extension=False)
    with pytest.raises(ImportError):
        import PyTorchUtils  # noqa: F401
