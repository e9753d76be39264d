"""The upper part of the tab Find: a detector's boxes in the chosen volume, and what to do with them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from Med3DSegmentationLib.finding.detect_step import DetectionResult
from Med3DSegmentationLib.finding.lesion_nodes import ShownLesion, chooseLesion, shownLesions
from Med3DSegmentationLib.finding.logic import FindingLogic
from Med3DSegmentationLib.panels.find.model_chooser import ModelChooser
from Med3DSegmentationLib.panels.find.search import Search, howItWent
from Med3DSegmentationLib.panels.keyboard import onRow
from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.tables import fitHeight, saveCsv, setHeader, setTexts

_MOST_ROWS = 12


class LesionSection:
    """Finds lesions with a detector; shows those of the chosen volume, as they are in the scene now.

    Args:
        services: The panel's.
        ui: Has ``lesionSection`` and the widgets in it.
        logic: Finds.
        search: Follows what runs.
        onChange: Called when a lesion was moved, renamed or removed.
    """

    def __init__(
        self, services: PanelServices, ui: Any, logic: FindingLogic, search: Search, onChange: Callable[[], None]
    ) -> None:
        self._services, self._ui, self._logic, self._search = services, ui, logic, search
        self._onChange = onChange
        self._parameters: Any = None
        self._results: dict[str, DetectionResult] = {}  # the last one of each volume, by its ID
        self._rows: list[ShownLesion] = []
        self._tags: list[tuple[Any, int]] = []
        self._models = ModelChooser(ui.detectorSelector, ui.detectorLabel, services.catalogue.detecting, "findDetector")
        table = ui.lesionTable
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        onRow(table, self._choose)
        ui.findButton.connect("clicked()", self._find)
        ui.copyLesionsButton.connect("clicked()", self._copy)
        ui.saveLesionsButton.connect("clicked()", self._save)
        ui.undoLesionsButton.connect("clicked()", self._undo)

    def refresh(self, parameters: Any, reason: str) -> None:
        """Show what can be done now, and what there is.

        Args:
            parameters: The scene's, or None while there is none.
            reason: Why nothing in the tab can be asked, or "".
        """
        ui, self._parameters = self._ui, parameters
        ui.lesionSection.visible = bool(self._services.catalogue.detecting())
        model = self._models.refresh(parameters)
        own = "" if model else _("The chosen detector is not on this computer any more; choose another one.")
        allow(ui.findButton, reason or own, _("Puts boxes around what may be lesions, and lists them, surest first"))
        ui.lesionHintLabel.text = "" if reason else own
        ui.lesionHintLabel.visible = bool(ui.lesionHintLabel.text)
        self._show()

    def forget(self) -> None:
        """Another scene: its volumes may have the same IDs."""
        self._results.clear()

    def close(self) -> None:
        """Follow nothing."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags = []

    # -- choices -------------------------------------------------------------------------------------------------------

    @property
    def _volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        return self._parameters.inputVolume if self._parameters else None

    # -- finding -------------------------------------------------------------------------------------------------------

    def _find(self) -> None:
        parameters = self._parameters
        start = partial(
            self._logic.detect,
            parameters.inputVolume,
            self._models.model.reference,
            device=parameters.device,
            leastScore=parameters.findLeastScore,
        )
        self._search.begin(_("Lesions are being looked for."), start, self._onFinished)

    def _onFinished(self, result: DetectionResult) -> None:
        if self._parameters is not None and result.volumeNode.GetScene() is not None:
            self._results[result.volumeNode.GetID()] = result

    # -- result --------------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        ui, volume = self._ui, self._volume
        self._rows = shownLesions(volume)
        self._follow([row.node for row in self._rows])
        result = self._results.get(volume.GetID()) if volume else None
        ui.lesionResult.visible = bool(self._rows) or result is not None
        table = ui.lesionTable
        table.visible = bool(self._rows)
        setHeader(table, [_("Lesion"), _("Score"), _("Size (mm)")], short=[1, 2])
        table.setRowCount(len(self._rows))
        for row, each in enumerate(self._rows):
            name = each.node.GetName() + (_(" (edited)") if each.isEdited else "")
            size = " \u00d7 ".join(f"{side:.0f}" for side in each.size)
            texts = [name, f"{each.lesion.score:.2f}", size]
            setTexts(table, row, texts, _("Click to see it in the slice views and to correct its box"))
        fitHeight(table, _MOST_ROWS)
        ui.lesionNoteLabel.text = "\n".join([*_summary(result), _("For research; not for diagnosis.")])
        nothing = "" if self._rows else _("There is no lesion.")
        allow(ui.copyLesionsButton, nothing, _("Copy the table, to paste it into a spreadsheet or a text"))
        allow(ui.saveLesionsButton, nothing, _("Save the table as a CSV file"))
        noUndo = self._services.activity.reason or ("" if result else _("There is no result to undo."))
        allow(ui.undoLesionsButton, noUndo, _("Go back to how it was before the last result; what you edited stays"))

    def _follow(self, nodes: Sequence[slicer.vtkMRMLMarkupsROINode]) -> None:
        """Look again when one of them is moved, resized or renamed."""
        self.close()
        for node in nodes:
            for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLMarkupsNode.PointModifiedEvent):
                self._tags.append((node, node.AddObserver(event, self._onNode)))

    def _onNode(self, caller: Any, event: str) -> None:  # noqa: ARG002 - an observer's signature
        self._onChange()

    def _choose(self, row: int) -> None:
        chooseLesion(self._volume, self._rows[row])

    def _undo(self) -> None:
        self._results.pop(self._volume.GetID()).undo()
        self._services.activity.tell()

    def _copy(self) -> None:
        qt.QApplication.clipboard().setText(lesionsAsText(self._rows, "\t"))

    def _save(self) -> None:
        saveCsv(self._ui.lesionSection, lesionsAsText(self._rows, ","), self._services.showError)


def lesionsAsText(rows: Sequence[ShownLesion], delimiter: str) -> str:
    """The lesions with a header, for a spreadsheet: middle and sides of each box, where Slicer shows it (RAS)."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    middle = [f"{axis} (mm)" for axis in "RAS"]
    writer.writerow(
        [_("Lesion"), _("Score"), *middle, *(_("Size {axis} (mm)").format(axis=a) for a in "RAS"), _("Model")]
    )
    for row in rows:
        places = [f"{value:.1f}" for value in (*row.centre, *row.size)]
        writer.writerow([row.node.GetName(), f"{row.lesion.score:.3f}", *places, row.lesion.model])
    return text.getvalue()


def _summary(result: DetectionResult | None) -> list[str]:
    """What to know of the last search."""
    if result is None:
        return []
    found = [] if result.found else [_("Nothing was found; a lower least score may show more.")]
    return [*found, *howItWent(result)]
