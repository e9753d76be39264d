"""A small module and its .ui file, for the tests of the stand-in host."""

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
