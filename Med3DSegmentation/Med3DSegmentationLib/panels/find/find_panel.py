"""The tab Find: lesions that a detector finds, what classifiers say of a scan and of points; there while one is."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.finding.logic import FindingLogic
from Med3DSegmentationLib.panels.find.lesion_section import LesionSection
from Med3DSegmentationLib.panels.find.point_section import PointSection
from Med3DSegmentationLib.panels.find.scan_section import ScanSection
from Med3DSegmentationLib.panels.find.search import Search
from Med3DSegmentationLib.panels.panel import Panel
from Med3DSegmentationLib.panels.selector import hidePreviews
from Med3DSegmentationLib.panels.services import PanelServices


class FindPanel(Panel):
    """Choose a volume; its parts find lesions in it, and ask about it as a whole and about points.

    Args:
        services: Its collaborators.
    """

    UI = "FindPanel"

    def __init__(self, services: PanelServices) -> None:
        super().__init__(services)
        self._soon = qt.QTimer()  # one refresh for all steps of a drag
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self.refresh)
        self._search = Search(services, self.ui)
        self._logic = FindingLogic(services.scene, services.engine, onNodeRemoved=self._onNodeRemoved)
        collaborators = services, self.ui, self._logic, self._search, self._lookSoon
        self._lesions, self._scan = LesionSection(*collaborators), ScanSection(*collaborators)
        self._points = PointSection(*collaborators)
        self._parts = self._lesions, self._scan, self._points
        self.ui.installButton.connect("clicked()", self.install)
        self.refresh()

    def setParameterNode(self, parameterNode: Any) -> None:
        """Another scene: what was found in the last one is gone."""
        if parameterNode is None:
            for part in self._parts:
                part.forget()
        super().setParameterNode(parameterNode)

    def refresh(self) -> None:
        """Say why nothing can be asked, or what can, and show what was found."""
        hidePreviews(self.ui.inputSelector, self.services.scene)
        reason = self._reason()
        self.ui.hintLabel.text = "" if self._search.isRunning else reason
        self.ui.hintLabel.visible = bool(self.ui.hintLabel.text)
        self.ui.installButton.visible = not self.services.installer.isReady()
        for part in self._parts:
            part.refresh(self.parameterNode, reason)

    def close(self) -> None:
        """Also stop what runs."""
        self._search.close()
        self._logic.close()
        self._soon.stop()
        super().close()
        for part in self._parts:
            part.close()

    def _reason(self) -> str:
        """Why nothing can be asked now, or nothing."""
        if self.parameterNode is None:
            return _("There is no scene.")
        if reason := self.services.whyNotNow():
            return reason
        return self.scanWatch.reason if self.parameterNode.inputVolume else _("Choose a volume first.")

    def _lookSoon(self) -> None:
        self._soon.start(0)

    def _onNodeRemoved(self, node: slicer.vtkMRMLNode) -> None:
        if self.parameterNode is not None and any(map(node.IsA, ("vtkMRMLMarkupsROINode", "vtkMRMLScalarVolumeNode"))):
            self._lookSoon()
