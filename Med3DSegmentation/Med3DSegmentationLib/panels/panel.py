"""What all panels have in common: their .ui file, the scene's parameters, and when to look again."""

from __future__ import annotations

from typing import Any, ClassVar

import slicer.util
import vtk

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.panels.keyboard import letTabLeaveTables
from Med3DSegmentationLib.panels.narrow import letNamesShrink, notHtml, showNamesAsTheyAre
from Med3DSegmentationLib.panels.scan_watch import ScanWatch
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.wheel import letWheelScroll


class Panel:
    """A tab of the module. A subclass names its .ui file, connects signals after this constructor, and refreshes.

    Args:
        services: Its collaborators.

    Attributes:
        widget: The root widget.
        ui: Its named children.
        parameterNode: The scene's parameters, or None while there is no scene.
    """

    UI: ClassVar[str]

    def __init__(self, services: PanelServices) -> None:
        self.services = services
        self.widget = services.loadUi(self.UI)
        letNamesShrink(self.widget)
        showNamesAsTheyAre(self.widget)
        letTabLeaveTables(self.widget)
        letWheelScroll(self.widget)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.parameterNode: Any = None
        self._guiTag = self._observerTag = None
        self.scanWatch = ScanWatch(self.refresh)
        services.activity.listeners.append(self.refresh)
        services.catalogue.listeners.append(self.onModelsChanged)

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show and write other parameters.

        Args:
            parameterNode: A :class:`.parameters.Med3DParameters`, or None.
        """
        if self.parameterNode is not None:
            self.parameterNode.disconnectGui(self._guiTag)
            self.parameterNode.RemoveObserver(self._observerTag)
        self.parameterNode = parameterNode
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self._observerTag = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._refreshOfScan()

    def refresh(self) -> None:
        """Show what can be done now, and why the rest cannot."""

    def onModelsChanged(self) -> None:
        """The models to choose from have changed."""
        self.refresh()

    def install(self) -> None:
        """Ask the user and bring what the engine needs; all panels look again after that."""
        try:
            self.services.installer.installWithConsent()
        except Med3DError as error:
            self.services.showError(error)
        self.services.catalogue.tell()

    def close(self) -> None:
        """Let go of the scene and the services."""
        self.setParameterNode(None)
        self.services.activity.listeners.remove(self.refresh)
        self.services.catalogue.listeners.remove(self.onModelsChanged)

    def _onParametersModified(self, caller: Any, event: str) -> None:  # noqa: ARG002 - an observer's signature
        self._refreshOfScan()

    def _refreshOfScan(self) -> None:
        self.scanWatch.follow(self.parameterNode and self.parameterNode.inputVolume)
        self.refresh()


def allow(button: Any, reason: str, toolTip: str = "") -> None:
    """Enable a button, or say in its tool tip why not.

    Args:
        button: Any widget.
        reason: Why it cannot be pressed now, or "".
        toolTip: What it does.
    """
    button.enabled = not reason
    button.toolTip = notHtml(reason or toolTip)
