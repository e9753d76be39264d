"""The module, its logic and its widget, which Slicer finds in Med3DSegmentation.py. Thin: the work is in the rooms."""

from __future__ import annotations

import sys

import slicer
import slicer.util
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from Med3DSegmentationLib.engine.model_choices import ModelChoices
from Med3DSegmentationLib.engine.process import EngineProcess
from Med3DSegmentationLib.engine.torch_installer import TorchInstaller
from Med3DSegmentationLib.panels.find.find_panel import FindPanel
from Med3DSegmentationLib.panels.message_bar import MessageBar
from Med3DSegmentationLib.panels.models.models_panel import ModelsPanel
from Med3DSegmentationLib.panels.narrow import letNamesShrink
from Med3DSegmentationLib.panels.preview.preview_panel import PreviewPanel
from Med3DSegmentationLib.panels.segment.segment_panel import SegmentPanel
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.train.train_panel import TrainPanel
from Med3DSegmentationLib.parameters import Med3DParameters
from Med3DSegmentationLib.sample_data import registerSampleData
from Med3DSegmentationLib.segmentation_logic import SegmentationLogic
from Med3DSegmentationLib.self_test import Med3DSegmentationTest  # noqa: F401 - Slicer looks for it here


class Med3DSegmentation(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent) -> None:
        super().__init__(parent)
        parent.title = _("Med3D Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["Med3D for 3D Slicer contributors"]
        parent.helpText = _(
            "Segments liver and lungs in a CT of chest or abdomen with one click, on this computer: nothing is"
            " uploaded. Correct a few results and teach the model with them in the tab <i>Train</i>."
            " For research and teaching; not a medical device."
        )
        parent.acknowledgementText = _(
            'The networks follow Med3D (<a href="https://arxiv.org/abs/1904.00625">Chen, Ma, Zheng 2019</a>).'
            " Each model names the data that it was trained with in its card, in the tab <i>Models</i>."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


class Med3DSegmentationLogic(SegmentationLogic, ScriptedLoadableModuleLogic):
    """The same as :class:`.segmentation_logic.SegmentationLogic` on Slicer's scene; needs no GUI.

    Args:
        engine: The engine's process; None makes one.

    Examples:
        >>> logic = Med3DSegmentationLogic()  # doctest: +SKIP
        >>> logic.segment(slicer.util.getNode("CTChest"), ["liver"], wait=True)  # doctest: +SKIP
    """

    def __init__(self, engine: EngineProcess | None = None) -> None:
        SegmentationLogic.__init__(self, slicer.mrmlScene, engine)
        ScriptedLoadableModuleLogic.__init__(self)

    def getParameterNode(self):
        """The scene's :class:`.parameters.Med3DParameters`."""
        return Med3DParameters(super().getParameterNode())


class Med3DSegmentationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel: a line for messages, and a tab for each panel of Med3DSegmentationLib.panels.

    Attributes:
        panels: The panels by the name of their class, such as ``"SegmentPanel"``.
    """

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self._isEntered = False

    def setup(self) -> None:
        """Make the panels. The engine is not started before the module is entered."""
        super().setup()
        root = self._loadUi("Med3DSegmentation")
        letNamesShrink(root)
        self.layout.addWidget(root)
        self.ui = slicer.util.childWidgetVariables(root)
        self.engine = EngineProcess()
        self.logic = Med3DSegmentationLogic(self.engine)
        self.messages = MessageBar(self.ui)
        self.services = PanelServices(
            scene=slicer.mrmlScene,
            logic=self.logic,
            engine=self.engine,
            catalogue=ModelChoices(self.engine),
            loadUi=self._loadUi,
            showError=self.messages.show,
            showTab=self._showTab,
            settings=slicer.app.settings(),
            installer=TorchInstaller(onInstalled=self.engine.kill),
        )
        self.panels = {}
        titles = {SegmentPanel: _("Segment"), PreviewPanel: _("Preview"), TrainPanel: _("Train")}
        for panelClass, title in {**titles, ModelsPanel: _("Models")}.items():
            panel = panelClass(self.services)
            self.panels[panelClass.__name__] = panel
            self.ui.tabs.addTab(panel.widget, title)
        self.panels["FindPanel"] = FindPanel(self.services)  # its tab comes with what can be asked
        self.services.catalogue.listeners.append(self._onModels)
        self.services.activity.listeners.append(self._onActivity)
        events = slicer.vtkMRMLScene
        # While a scene is closed or read, selectors must not write what they happen to show into the parameters.
        for event in (events.StartCloseEvent, events.StartImportEvent):
            self.addObserver(slicer.mrmlScene, event, self._onSceneChangeBegins)
        for event in (events.EndCloseEvent, events.EndImportEvent):
            self.addObserver(slicer.mrmlScene, event, self._onSceneChangeEnds)
        self._setParameterNode(self.logic.getParameterNode())

    def cleanup(self) -> None:
        """Let go of everything: the module is reloaded, or Slicer closes."""
        self.removeObservers()
        for panel in self.panels.values():
            panel.close()
        self.logic.close()
        self.engine.close()

    def enter(self) -> None:
        """Follow the scene again, and start the engine, so that the first click finds it warm."""
        self._isEntered = True
        self._setParameterNode(self.logic.getParameterNode())
        if self.services.catalogue.models is None:
            self.services.catalogue.refresh()

    def exit(self) -> None:
        """What runs goes on."""
        self._isEntered = False

    def onReload(self) -> None:
        """Reload the module's own packages too, not only this file."""
        for name in [name for name in sys.modules if name.split(".")[0] in ("Med3DSegmentationLib", "Med3DCore")]:
            del sys.modules[name]
        super().onReload()

    def _loadUi(self, name: str):
        widget = slicer.util.loadUI(self.resourcePath(f"UI/{name}.ui"))
        widget.setMRMLScene(slicer.mrmlScene)
        return widget

    def _showTab(self, panelName: str) -> None:
        self.ui.tabs.setCurrentWidget(self.panels[panelName].widget)

    def _onModels(self) -> None:
        """Show the tab Find while there is a classifier or a detector."""
        tabs, find, catalogue = self.ui.tabs, self.panels["FindPanel"].widget, self.services.catalogue
        isWanted = bool(catalogue.classifying() or catalogue.classifyingScans() or catalogue.detecting())
        index = tabs.indexOf(find)
        if isWanted and index < 0:
            tabs.insertTab(tabs.indexOf(self.panels["TrainPanel"].widget), find, _("Find"))
        elif index >= 0 and not isWanted:
            tabs.removeTab(index)

    def _onActivity(self) -> None:
        if self.services.activity.isRunning:
            self.messages.clear()  # of what was before

    def _setParameterNode(self, parameterNode) -> None:
        for panel in self.panels.values():
            panel.setParameterNode(parameterNode)

    def _onSceneChangeBegins(self, caller, event) -> None:  # noqa: ARG002 - an observer's signature
        self._setParameterNode(None)

    def _onSceneChangeEnds(self, caller, event) -> None:  # noqa: ARG002 - an observer's signature
        if self._isEntered:
            self._setParameterNode(self.logic.getParameterNode())
