"""What came out, and what to do with it: table, warnings, 3D, undo, copy, use as a training case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.results import SegmentationResult, SequenceResult
from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.segment.notes import Notes
from Med3DSegmentationLib.panels.segment.result_rows import (
    LiveRows,
    Pair,
    ResultRow,
    rowsAsText,
    rowsOfFrames,
    titleOfFrame,
)
from Med3DSegmentationLib.panels.segment.result_table import ResultTable
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.tables import saveCsv
from Med3DSegmentationLib.scene.own_segments import sourceVolume


class ResultSection:
    """The lower part of the Segment panel.

    Args:
        services: The panel's.
        ui: Has ``resultSection`` and the widgets in it.
        onChosen: Gets volume and segmentation of the row that the user clicked.
    """

    def __init__(self, services: PanelServices, ui: Any, onChosen: Callable[[Any, Any], None]) -> None:
        self._services, self._ui = services, ui
        self._segmentation: slicer.vtkMRMLSegmentationNode | None = None
        self._notes = Notes()
        self._withoutResult: set[str] = set()  # IDs of volumes in which the last run found nothing
        self._frames: SequenceResult | None = None
        self._rowsOfFrames: list[list[ResultRow]] = []
        self._table = ResultTable(ui.resultTable, lambda row: onChosen(row.volumeNode, row.segmentationNode))
        self._rows = LiveRows(self._onRows)
        ui.undoButton.connect("clicked()", self._undo)
        ui.trainingCaseButton.connect("clicked()", self._addTrainingCase)
        ui.copyButton.connect("clicked()", self._copy)
        ui.csvButton.connect("clicked()", self._saveCsv)

    def add(self, results: Sequence[SegmentationResult], frames: SequenceResult | None = None) -> None:
        """Note what is to be known of results.

        Args:
            results: Of volumes, or of all frames of a sequence.
            frames: The sequence, if they are of one.
        """
        if frames is not None:
            self._frames, self._rowsOfFrames = frames, rowsOfFrames(frames)
        for volume in {result.volumeNode for result in results}:
            of = [result for result in results if result.volumeNode is volume]
            self._notes.add(volume, of)
            if any(result.segmentationNode is None for result in of):
                self._withoutResult.add(volume.GetID())
            else:
                self._withoutResult.discard(volume.GetID())
        self._rows.measure()

    def note(self, volume: slicer.vtkMRMLScalarVolumeNode | None, line: str) -> None:
        """Tell what has become of a volume's result, under what is told of it already."""
        if volume is not None:
            self._notes.tell(volume, line)

    def forget(self, node: slicer.vtkMRMLNode) -> None:
        """Drop what was noted of a volume that goes."""
        self._notes.forget(node)
        self._withoutResult.discard(node.GetID())

    def refresh(
        self,
        volumes: Sequence[slicer.vtkMRMLScalarVolumeNode],
        pairs: Sequence[Pair],
        segmentation: slicer.vtkMRMLSegmentationNode | None,
    ) -> None:
        """Show what there is of the chosen volumes.

        Args:
            volumes: The chosen volumes; of one in which nothing was found, that is told.
            pairs: The chosen volumes that have a segmentation, with it.
            segmentation: The chosen one, or None.
        """
        ui, self._segmentation = self._ui, segmentation
        known = {*self._withoutResult, *(volume.GetID() for volume, _segmentation in pairs)}
        ui.resultLabel.text = "\n".join(self._notes.lines([volume for volume in volumes if volume.GetID() in known]))
        ui.resultLabel.visible = bool(ui.resultLabel.text)
        self._rows.follow(pairs)
        if not pairs:
            self._show([])
        ui.show3DButton.setSegmentationNode(segmentation)
        busy = self._services.activity.reason
        name = segmentation.GetName() if segmentation is not None else ""  # of several volumes, only the chosen one's
        before = _("Go back to how {segmentation} was before its last result").format(segmentation=name)
        allow(ui.undoButton, busy or self._whyNoUndo(), before)
        corrected = _("Teach the model with {segmentation}, corrected where it was wrong, in the tab Train")
        allow(ui.trainingCaseButton, busy or self._whyNoCase(), corrected.format(segmentation=name))

    def close(self) -> None:
        """Follow the scene no longer."""
        self._rows.close()

    def _onRows(self, rows: Sequence[ResultRow]) -> None:
        """Show what was measured; of a sequence, the frame that is shown is that by now, the others as they were."""
        frames = self._frames
        if frames is not None and self._segmentation is frames.segmentationNode and rows:
            shown = frames.browserNode.GetSelectedItemNumber()
            if 0 <= shown < len(self._rowsOfFrames):
                self._rowsOfFrames[shown] = [replace(row, title=titleOfFrame(shown)) for row in rows]
            rows = [row for of in self._rowsOfFrames for row in of]
        self._show(rows)

    def _show(self, rows: Sequence[ResultRow]) -> None:
        ui = self._ui
        self._table.show(rows)
        ui.resultTable.visible = bool(rows)
        ui.resultSection.visible = bool(rows) or self._segmentation is not None or bool(ui.resultLabel.text)
        nothing = "" if rows else _("There is no result.")
        allow(ui.copyButton, nothing, _("Copy the table, to paste it into a spreadsheet or a text"))
        allow(ui.csvButton, nothing, _("Save the table as a CSV file"))

    def _copy(self) -> None:
        qt.QApplication.clipboard().setText(rowsAsText(self._table.rows, "\t"))

    def _saveCsv(self) -> None:
        saveCsv(self._ui.resultSection, rowsAsText(self._table.rows, ","), self._services.showError)

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
            volume = sourceVolume(self._segmentation)
            if volume is not None:
                self._notes.undo(volume)
            self._services.logic.restorePrevious(self._segmentation)
            self._rows.measure()
            self._services.activity.tell()  # another segmentation is chosen by now, or none, if it was removed

    def _addTrainingCase(self) -> None:
        self._services.addTrainingCase(sourceVolume(self._segmentation), self._segmentation)
        self._services.showTab("TrainPanel")
