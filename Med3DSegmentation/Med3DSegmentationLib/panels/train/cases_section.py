"""The upper part of the tab Train: which cases there are, and what they teach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DCore.labels import Label
from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.selector import hidePreviews
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.train.case_table import CaseTable
from Med3DSegmentationLib.panels.train.meaning_table import MeaningTable
from Med3DSegmentationLib.training.case_list import CaseList
from Med3DSegmentationLib.training.cases import FileCase, TrainingCase, Use
from Med3DSegmentationLib.training.labels import chooseLabel
from Med3DSegmentationLib.training.pairs import volumeOfSegmentation


class CasesSection:
    """See the module's docstring.

    Args:
        services: The panel's.
        ui: Has ``casesSection`` and the widgets in it.
        modelLabels: Gives the labels of the model to start from.
        onChanged: Called when the cases, or what they teach, changed.
    """

    def __init__(
        self,
        services: PanelServices,
        ui: Any,
        modelLabels: Callable[[], dict[str, Label]],
        onChanged: Callable[[], None],
    ) -> None:
        self._services, self._ui, self._modelLabels, self._onChanged = services, ui, modelLabels, onChanged
        self._cases = CaseList(services.scene)
        self._folderTip = ui.folderButton.toolTip
        self._table = CaseTable(ui.casesTable, self._setUse, self._showMeanings)
        self._meanings = MeaningTable(ui.segmentsLabel, ui.segmentsTable, self._setMeaning)
        for button, function in (
            (ui.allPairsButton, self._addAllPairs),
            (ui.folderButton, self._addFolder),
            (ui.allCasesButton, ui.casesTable.selectAll),
            (ui.noCasesButton, ui.casesTable.clearSelection),
            (ui.removeButton, self._remove),
            (ui.addButton, self._addPair),
        ):
            button.connect("clicked()", function)
        ui.caseSegmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onSegmentationChosen)
        ui.caseVolumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda _node: self.refresh())
        services.caseListeners.append(self.add)

    @property
    def parameterNode(self) -> Any:
        """The scene's parameters, or None."""
        return self._cases.parameterNode

    @parameterNode.setter
    def parameterNode(self, parameterNode: Any) -> None:
        self._cases.parameterNode = parameterNode

    def all(self) -> list[TrainingCase]:
        """All cases."""
        return self._cases.all()

    def selected(self) -> list[TrainingCase]:
        """Those that the user selected."""
        return self._table.selected()

    def refresh(self) -> None:
        """Show what there is now, and why something cannot be done."""
        ui = self._ui
        hidePreviews(ui.caseVolumeSelector, self._services.scene)
        if self.parameterNode is not None:
            self._table.show(self.all(), self._modelLabels())
        self._showMeanings()
        chosen = ui.caseSegmentationSelector.currentNode() and ui.caseVolumeSelector.currentNode()
        missing = "" if chosen else _("Choose a segmentation and its volume first.")
        allow(ui.addButton, missing, _("Learn from this segmentation, too"))
        allow(ui.folderButton, self._services.whyNotNow(), self._folderTip)  # else it would wait without a word

    def add(self, volumeNode: slicer.vtkMRMLScalarVolumeNode, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Add a pair and select it."""
        case = self._cases.addPair(volumeNode, segmentationNode)
        self._onChanged()
        self._table.select(case)

    def close(self) -> None:
        """Take no more cases."""
        self._services.caseListeners.remove(self.add)

    def _showMeanings(self) -> None:
        """Of the selected case, or of the first that needs it."""
        selected = self._table.selected() if self.parameterNode else []
        none = "" if self._ui.casesTable.rowCount else _("There is no case yet.")
        allow(self._ui.allCasesButton, none, _("Select all cases"))
        allow(self._ui.noCasesButton, none, _("Select no case"))
        removed = _("Learn from the selected cases no longer; nothing is deleted")
        allow(self._ui.removeButton, "" if selected else _("Select the cases to remove."), removed)
        self._meanings.show(selected[0] if len(selected) == 1 else None, self._modelLabels() if selected else {})

    def _setMeaning(self, case: TrainingCase, segment: slicer.vtkSegment | str, label: Label | None) -> None:
        if isinstance(case, FileCase):
            self._cases.setMeaning(case, segment, label)
        else:
            chooseLabel(segment, label)
        self._onChanged()

    def _setUse(self, case: TrainingCase, use: Use) -> None:
        self._cases.setUse(case, use)
        self._onChanged()

    def _addAllPairs(self) -> None:
        if not self._cases.addAllPairs(self._modelLabels()):
            sentence = _(
                "No other segmentation in the scene shows a known organ and has its volume there;"
                " choose segmentation and volume below the table, and press Add."
            )
            self._services.showError(Med3DError(sentence))
        self._onChanged()

    def _addPair(self) -> None:
        ui = self._ui
        self.add(ui.caseVolumeSelector.currentNode(), ui.caseSegmentationSelector.currentNode())
        ui.caseSegmentationSelector.setCurrentNode(None)

    def _addFolder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self._ui.casesSection, _("A folder of images and labels"))
        if folder:
            self._services.engine.request("data_set", {"path": folder}, self._onFolder, self._services.showError)

    def _onFolder(self, answer: dict[str, Any]) -> None:
        if self.parameterNode is None:
            return
        self._cases.addFiles(FileCase.fromAnswer(values) for values in answer["cases"])
        self._onChanged()
        if answer["warnings"]:
            self._services.showError(Med3DError(" ".join(answer["warnings"])))

    def _remove(self) -> None:
        self._cases.remove(self._table.selected())
        self._ui.casesTable.clearSelection()
        self._onChanged()

    def _onSegmentationChosen(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        volumeNode = node and volumeOfSegmentation(self._services.scene, node)
        if volumeNode is not None:
            self._ui.caseVolumeSelector.setCurrentNode(volumeNode)
        self._onChanged()
