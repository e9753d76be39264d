"""A real Slicer scene with real module logics, without the Slicer application.

Everything here comes from the ``slicer-core`` wheel: nodes, storage, logics, events. What only the application has
(``slicer.app``, ``slicer.modules``) is stood in by :mod:`slicer_host.application`, thin and strict.
Follows slicer_runtime.md, section 1.1; needs no Qt.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import slicer
import slicer.util
import vtk
from slicer_host.application import Application, Module, Modules
from slicer_host.services import i18n
from slicer_host.subject_hierarchy import SubjectHierarchyItems

TERMINOLOGY_FOLDER = Path(__file__).parent / "terminology"

# Module name -> class of its logic. Terminologies comes before Segmentations, which asks for it.
LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Models": "vtkSlicerModelsLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Data": "vtkSlicerDataModuleLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
}


class Host:
    """One booted scene. Sets ``slicer.mrmlScene``, ``slicer.app`` and ``slicer.modules``; a later one replaces them.

    Args:
        subject_hierarchy: Create a subject hierarchy item for each data node that is added, as Slicer's Qt plug-in
            logic does. Off by default: code must cope with nodes that have no item yet.
        testing: What ``slicer.app.testingEnabled()`` says. Slicer's own message boxes are skipped when True.

    Attributes:
        scene: The vtkMRMLScene.
        application_logic: The vtkSlicerApplicationLogic.
        folder: A private temporary folder, removed by :meth:`close`.
    """

    def __init__(self, *, subject_hierarchy: bool = False, testing: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slicer_host-"))
        self.scene = slicer.vtkMRMLScene()
        self.application_logic = _application_logic(self.scene, self.folder)
        self._data_io = _data_io(self.scene, self.application_logic, self.folder)
        modules = Modules()
        for name, class_name in LOGICS.items():
            logic = _module_logic(name, class_name, self.application_logic, self.scene)
            setattr(modules, name.lower(), Module(name, logic))
        slicer.mrmlScene = self.scene
        slicer.modules = modules
        slicer.app = Application(self.scene, self.application_logic, modules, self.folder, testing=testing)
        sys.modules["slicer.i18n"] = slicer.i18n = i18n()
        if not hasattr(slicer, "qSlicerScriptedLoadableModule"):
            slicer.qSlicerScriptedLoadableModule = type("qSlicerScriptedLoadableModule", (Module,), {})
        self._items = SubjectHierarchyItems(self.scene) if subject_hierarchy else None

    @property
    def app(self) -> Application:
        """The stand-in application, also ``slicer.app``."""
        return slicer.app

    def close(self) -> None:
        """Empty the scene, take the globals away and remove the temporary folder."""
        if self._items:
            self._items.stop()
        self.app.layoutManager().close()
        self.scene.Clear(1)
        self.application_logic.SetMRMLScene(None)
        for name in ("mrmlScene", "app", "modules", "dicomDatabase"):
            if hasattr(slicer, name):
                delattr(slicer, name)
        shutil.rmtree(self.folder, ignore_errors=True)


def _application_logic(scene: slicer.vtkMRMLScene, folder: Path) -> slicer.vtkSlicerApplicationLogic:
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.SetTemporaryPath(str(folder))
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    return logic


def _data_io(scene: slicer.vtkMRMLScene, logic: slicer.vtkSlicerApplicationLogic, folder: Path) -> tuple:
    """What reading an .mrb asks for; the caller keeps the returned objects alive."""
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(str(folder))
    manager = slicer.vtkDataIOManager()
    manager.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(manager)
    io_logic = slicer.vtkDataIOManagerLogic()
    io_logic.SetMRMLApplicationLogic(logic)
    io_logic.SetAndObserveDataIOManager(manager)
    return cache, manager, io_logic


def _module_logic(
    name: str, class_name: str, application: slicer.vtkSlicerApplicationLogic, scene: slicer.vtkMRMLScene
):
    logic = getattr(slicer, class_name)()
    if name == "Terminologies":  # before the scene is set: that is when it loads its files
        logic.SetModuleShareDirectory(str(TERMINOLOGY_FOLDER))
    logic.SetMRMLApplicationLogic(application)
    logic.SetMRMLScene(scene)
    application.SetModuleLogic(name, logic)
    return logic
