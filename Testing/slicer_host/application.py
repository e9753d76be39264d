"""Stand-ins for ``slicer.app`` and ``slicer.modules``: what has no counterpart outside the Slicer application.

Only what a scripted module may sensibly ask is here; anything else raises AttributeError. Needs no Qt; the few methods
that do import it when called, so scene tests run without PySide6.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import slicer
from slicer_host.core_io import CoreIOManager
from slicer_host.dialogs import DIALOGS, Message


class Modules:
    """``slicer.modules``: one attribute a module, in lower case; an unknown module raises AttributeError."""


class Module:
    """A module as ``slicer.modules.volumes`` or ``slicer.util.getModule("Volumes")`` returns it.

    Args:
        name: Its name, such as ``"Volumes"``.
        logic: Its VTK logic, or None for a scripted module.
        path: The file it was loaded from.
    """

    def __init__(self, name: str, logic=None, path: str = "") -> None:
        self.name, self.path, self.title = name, path, name
        self._logic = logic

    def logic(self):
        """The module's VTK logic."""
        return self._logic

    def widgetRepresentation(self):
        """No C++ module has a widget here."""
        raise NotImplementedError(f"The widget of module {self.name} exists only in the Slicer application.")


class Signals:
    """PythonQt's ``connect("signal(types)", function)`` for objects that are not Qt's.

    Args:
        signatures: The signals that exist; connecting to another raises.
    """

    def __init__(self, *signatures: str) -> None:
        self._receivers: dict[str, list] = {signature: [] for signature in signatures}

    def connect(self, signature: str, function) -> bool:
        """Call the function when the signal is emitted."""
        self._of(signature).append(function)
        return True

    def disconnect(self, signature: str, function) -> bool:
        """The opposite of :meth:`connect`; False if it was not connected."""
        receivers = self._of(signature)
        if function not in receivers:
            return False
        receivers.remove(function)
        return True

    def emit(self, signature: str, *arguments) -> None:
        """For tests: what the application would do."""
        for function in list(self._of(signature)):
            function(*arguments)

    def _of(self, signature: str) -> list:
        if signature not in self._receivers:
            raise ValueError(f"{type(self).__name__} has no signal {signature}; it has {sorted(self._receivers)}.")
        return self._receivers[signature]


class ModuleManager(Signals):
    """``slicer.app.moduleManager()``."""

    def __init__(self, modules: Modules) -> None:
        super().__init__("moduleLoaded(QString)", "moduleAboutToBeUnloaded(QString)")
        self._modules = modules

    def module(self, name: str) -> Module | None:
        """The module of that name, or None, as in Slicer."""
        return getattr(self._modules, name.lower(), None)

    def modulesNames(self) -> list[str]:
        """Names of all modules."""
        return [module.name for module in vars(self._modules).values() if isinstance(module, Module)]


class LayoutManager(Signals):
    """``slicer.app.layoutManager()``: real layout and slice logics, but no widgets; records what was asked.

    The layout node and the views of a layout are in the scene from the first :meth:`layoutLogic` or :meth:`setLayout`
    on, and slice views get their logics, as the application's slice widgets would make them. 3D views get none.

    Attributes:
        calls: Names of the requests in order, such as ``"resetSliceViews"``.
    """

    def __init__(self, scene, application_logic) -> None:
        super().__init__("layoutChanged(int)")
        self._scene, self._application_logic = scene, application_logic
        self._logic = None
        self.calls: list[str] = []

    def layoutLogic(self):
        """The vtkMRMLLayoutLogic."""
        if self._logic is None:
            self._logic = slicer.vtkMRMLLayoutLogic()
            self._logic.SetMRMLApplicationLogic(self._application_logic)
            self._logic.SetMRMLScene(self._scene)
            self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
        return self._logic

    @property
    def layout(self) -> int:
        """Number of the layout."""
        return self.layoutLogic().GetLayoutNode().GetViewArrangement()

    def setLayout(self, layout: int) -> None:
        """Show another layout, of which the description must be known."""
        node = self.layoutLogic().GetLayoutNode()
        if not node.IsLayoutDescription(layout):
            raise ValueError(f"There is no layout {layout}; add its description to the layout node first.")
        if node.GetViewArrangement() == layout:
            return
        node.SetViewArrangement(layout)
        views = self._logic.GetViewNodes()
        for view in (views.GetItemAsObject(i) for i in range(views.GetNumberOfItems())):
            if view.IsA("vtkMRMLSliceNode"):
                self.slice_logic(view.GetLayoutName())
        self.emit("layoutChanged(int)", layout)

    def slice_logic(self, name: str):
        """For the host: the vtkMRMLSliceLogic of a slice view, made if there is none yet."""
        logic = self._application_logic.GetSliceLogicByLayoutName(name)
        if logic is None:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self._application_logic)
            self._application_logic.GetSliceLogics().AddItem(logic)
            logic.SetMRMLScene(self._scene)
            node = self._scene.GetSingletonNode(name, "vtkMRMLSliceNode")
            logic.SetSliceNode(node) if node else logic.AddSliceNode(name)
        return logic

    def close(self) -> None:
        """For the host, before it empties the scene: let the views go first, as the application's widgets do."""
        if self._logic is not None:
            self._logic.SetMRMLScene(None)
        self._application_logic.GetSliceLogics().RemoveAllItems()

    def mrmlSliceLogics(self):
        """Collection of the vtkMRMLSliceLogics made by :mod:`slicer_host.screenshots`."""
        return self._application_logic.GetSliceLogics()

    def sliceViewNames(self) -> list[str]:
        """Names of the slice views that exist."""
        logics = self.mrmlSliceLogics()
        return [logics.GetItemAsObject(i).GetSliceNode().GetLayoutName() for i in range(logics.GetNumberOfItems())]

    def resetSliceViews(self) -> None:
        """Fit the slices to the volume, as far as there are slice views."""
        self.calls.append("resetSliceViews")
        logics = self.mrmlSliceLogics()
        for i in range(logics.GetNumberOfItems()):
            logics.GetItemAsObject(i).FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """Recorded only."""
        self.calls.append("resetThreeDViews")

    @property
    def threeDViewCount(self) -> int:
        """Number of 3D views: none, unless :mod:`slicer_host.screenshots` made one."""
        return self._application_logic.GetViewLogics().GetNumberOfItems()


class Application(Signals):
    """``slicer.app``.

    Args:
        scene: The scene.
        application_logic: The vtkSlicerApplicationLogic.
        modules: What becomes ``slicer.modules``.
        folder: A private folder for temporary files.
        testing: What :meth:`testingEnabled` says.
    """

    applicationName = mainApplicationName = "Slicer"
    applicationVersion = "5.13.0-2026-11-20"
    majorVersion, minorVersion, revision = 5, 13, "31053"
    documentationBaseUrl = "https://slicer.readthedocs.io/en/latest/"
    os = {"linux": "linux", "darwin": "macosx", "win32": "win"}.get(sys.platform, sys.platform)

    def __init__(self, scene, application_logic, modules: Modules, folder: Path, *, testing: bool) -> None:
        super().__init__("startupCompleted()", "aboutToQuit()", "lastWindowClosed()", "mrmlSceneChanged(vtkMRMLScene*)")
        self.temporaryPath = str(folder)
        self.slicerHome = str(folder / "SlicerHome")
        self.slicerUserSettingsFilePath = str(folder / "Slicer.ini")
        self.commandTestingEnabled = testing
        self._scene, self._application_logic = scene, application_logic
        self._modules = ModuleManager(modules)
        self._layout = LayoutManager(scene, application_logic)
        self._io = CoreIOManager(scene, application_logic, self._show_volume)
        self._render_pauses = 0

    def mrmlScene(self):
        """The scene."""
        return self._scene

    def applicationLogic(self):
        """The vtkSlicerApplicationLogic."""
        return self._application_logic

    def moduleManager(self) -> ModuleManager:
        """The module manager."""
        return self._modules

    def layoutManager(self) -> LayoutManager:
        """The layout manager."""
        return self._layout

    def coreIOManager(self) -> CoreIOManager:
        """Loads and saves nodes."""
        return self._io

    def ioManager(self) -> CoreIOManager:
        """The same: its dialogs do not exist here."""
        return self._io

    def testingEnabled(self) -> bool:
        """Whether Slicer was started with ``--testing``; Slicer's message boxes are skipped then."""
        return self.commandTestingEnabled

    def startupEnvironment(self) -> dict[str, str]:
        """Environment of the shell that started the application."""
        return dict(os.environ)

    def moduleDocumentationUrl(self, name: str) -> str:
        """Where the documentation of a module is."""
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def openExtensionsManagerDialog(self) -> None:
        """Recorded as a message."""
        DIALOGS.tell(Message("ExtensionsManager"))

    def pauseRender(self) -> None:
        """Counted, so that :meth:`resumeRender` without a pause is an error."""
        self._render_pauses += 1

    def resumeRender(self) -> None:
        """The opposite of :meth:`pauseRender`."""
        if not self._render_pauses:
            raise RuntimeError("resumeRender() without pauseRender().")
        self._render_pauses -= 1

    def translate(self, context: str, text: str) -> str:
        """Text in the application's language; see :func:`slicer_host.host.marking_translation`."""
        if "qt" not in sys.modules:
            return text
        return sys.modules["qt"].QCoreApplication.translate(context, text)

    def processEvents(self) -> None:
        """Let Qt deliver what is waiting."""
        _qt().QApplication.processEvents()

    def setOverrideCursor(self, cursor) -> None:
        """Show another cursor everywhere."""
        _qt().QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        """The opposite of :meth:`setOverrideCursor`."""
        _qt().QApplication.restoreOverrideCursor()

    def topLevelWidgets(self) -> list:
        """All windows."""
        return _qt().QApplication.topLevelWidgets()

    def settings(self):
        """The application's QSettings, isolated in the test's folder."""
        return _qt().QSettings()

    def userSettings(self):
        """The same: one file here."""
        return self.settings()

    def revisionUserSettings(self):
        """The same: one file here."""
        return self.settings()

    def _show_volume(self, node) -> None:
        selection = self._application_logic.GetSelectionNode()
        if node.IsA("vtkMRMLLabelMapVolumeNode"):
            selection.SetActiveLabelVolumeID(node.GetID())
        else:
            selection.SetActiveVolumeID(node.GetID())
        self._application_logic.PropagateVolumeSelection()


def _qt():
    if "qt" not in sys.modules:
        raise RuntimeError("This needs Qt: use the `slicer_gui` fixture.")
    return sys.modules["qt"]
