"""What came out, and what to do with it: table, warnings, 3D, undo, use as a training case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.results import SegmentationResult
from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.segment.result_table import ResultTable
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.scene.own_segments import sourceVolume


class ResultSection:
    """The lower part of the Segment panel.

    Args:
        services: The panel's.
        ui: Has ``resultSection`` and the widgets in it.
        onChosen: Gets the result of the row that the user clicked.
    """

    def __init__(self, services: PanelServices, ui: Any, onChosen: Callable[[SegmentationResult], None]) -> None:
        self._services, self._ui = services, ui
        self._segmentation: slicer.vtkMRMLSegmentationNode | None = None
        self._table = ResultTable(ui.resultTable, onChosen)
        ui.undoButton.connect("clicked()", self._undo)
        ui.trainingCaseButton.connect("clicked()", self._addTrainingCase)

    def add(self, results: Sequence[SegmentationResult], titles: Sequence[str]) -> None:
        """Show results, each with a title: of what."""
        for result, title in zip(results, titles, strict=True):
            self._table.add(result, title)
        self._ui.resultLabel.text = "\n".join(_summary(results))

    def refresh(self, segmentation: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show what can be done with a segmentation."""
        ui, self._segmentation = self._ui, segmentation
        self._table.forgetRemoved()
        ui.resultTable.visible = ui.resultLabel.visible = not self._table.isEmpty
        ui.resultSection.visible = not self._table.isEmpty or segmentation is not None
        ui.show3DButton.setSegmentationNode(segmentation)
        busy = self._services.activity.reason
        allow(ui.undoButton, busy or self._whyNoUndo(), _("Go back to how it was before the last result"))
        corrected = _("Teach the model with this result, corrected where it was wrong, in the tab Train")
        allow(ui.trainingCaseButton, busy or self._whyNoCase(), corrected)

    def _whyNoUndo(self) -> str:
        possible = self._services.logic.canRestorePrevious(self._segmentation)
        return "" if possible else _("There is no result to undo.")

    def _whyNoCase(self) -> str:
        if self._segmentation is None or sourceVolume(self._segmentation) is None:
            return _("Segment a volume first, and correct the result where it is wrong.")
        return ""

    def _undo(self) -> None:
        lost = self._services.logic.restoringLosesEdits(self._segmentation) and not slicer.util.confirmOkCancelDisplay(
            _("What you edited by hand in this result will be lost too."), windowTitle=_("Undo")
        )
        if not lost:
            self._table.forgetLast(self._segmentation)
            self._ui.resultLabel.text = _("The last result was undone.")
            self._services.logic.restorePrevious(self._segmentation)
            self.refresh(self._segmentation)  # another one by now, or none, if it was removed

    def _addTrainingCase(self) -> None:
        self._services.addTrainingCase(sourceVolume(self._segmentation), self._segmentation)
        self._services.showTab("TrainPanel")


def _summary(results: Sequence[SegmentationResult]) -> list[str]:
    """Lines under the table: with what, what to know."""
    first = results[0]
    lines = [_("{model} on {device}").format(model=first.model, device=first.device)]
    for result in results:
        name = f"{result.volumeNode.GetName()}: " if len(results) > 1 else ""
        lines += [_("Of {series}").format(series=result.series)] if result.series else []
        lines += [f"\u26a0 {name}{warning}" for warning in result.warnings]
        lines += [_('Your edited segment stays as "{name}".').format(name=kept) for kept in result.keptEdits]
    return list(dict.fromkeys(lines))
