"""The middle part of the tab Find: what a classifier says of the whole scan, and where it saw that."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.finding.logic import FindingLogic
from Med3DSegmentationLib.finding.scan_maps import ScanMaps
from Med3DSegmentationLib.finding.scan_step import ScanResult
from Med3DSegmentationLib.panels.find.model_chooser import ModelChooser
from Med3DSegmentationLib.panels.find.search import Search, howItWent
from Med3DSegmentationLib.panels.keyboard import onRow
from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.tables import fitHeight, setHeader, setTexts

_MOST_ROWS = 12
_UNKNOWN = object()  # which volume was chosen before, in a scene that was just read: its views stay as they were saved


class ScanSection:
    """Asks a classifier of whole scans; shows its answers, and the map of the one that is clicked.

    Args:
        services: The panel's.
        ui: Has ``scanSection`` and the widgets in it.
        logic: Asks.
        search: Follows what runs.
        onChange: Called when what is shown has changed.
    """

    def __init__(
        self, services: PanelServices, ui: Any, logic: FindingLogic, search: Search, onChange: Callable[[], None]
    ) -> None:
        self._services, self._ui, self._logic, self._search = services, ui, logic, search
        self._onChange = onChange
        self._parameters: Any = None
        self._maps = ScanMaps(services.scene)
        self._results: dict[str, tuple[ScanResult | None, ScanResult]] = {}  # the one before, the last, by volume's ID
        self._shownVolume: Any = _UNKNOWN
        known = services.catalogue.classifyingScans
        self._models = ModelChooser(ui.scanModelSelector, ui.scanModelLabel, known, "findScanModel")
        ui.scanTable.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        onRow(ui.scanTable, self._choose)
        ui.scanButton.connect("clicked()", self._ask)
        ui.undoScanButton.connect("clicked()", self._undo)
        ui.removeMapButton.connect("clicked()", self._removeMap)

    def refresh(self, parameters: Any, reason: str) -> None:
        """Show what can be asked now, and what was answered.

        Args:
            parameters: The scene's, or None while there is none.
            reason: Why nothing in the tab can be asked, or "".
        """
        ui, self._parameters = self._ui, parameters
        ui.scanSection.visible = bool(self._services.catalogue.classifyingScans())
        model = self._models.refresh(parameters)
        own = "" if model else _("The chosen classifier is not on this computer any more; choose another one.")
        allow(ui.scanButton, reason or own, _("Asks the classifier what the volume shows as a whole"))
        ui.scanHintLabel.text = "" if reason else own
        ui.scanHintLabel.visible = bool(ui.scanHintLabel.text)
        if parameters is not None:
            self._maps.removeOrphans()
            if self._shownVolume not in (_UNKNOWN, self._volume):
                self._maps.showOver(self._volume)
            self._shownVolume = self._volume
        self._show()

    def forget(self) -> None:
        """Another scene: its volumes may have the same IDs."""
        self._results.clear()
        self._maps.forget()
        self._shownVolume = _UNKNOWN

    def close(self) -> None:
        """Nothing is followed."""

    @property
    def _volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        return self._parameters.inputVolume if self._parameters else None

    @property
    def _result(self) -> ScanResult | None:
        """The last one of the chosen volume."""
        _before, last = self._results.get(self._volume.GetID() if self._volume else "", (None, None))
        return last

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        parameters = self._parameters
        model = self._models.model.reference
        start = partial(self._logic.classifyScan, parameters.inputVolume, model, device=parameters.device)
        self._search.begin(_("A classifier is being asked."), start, self._onFinished)

    def _onFinished(self, result: ScanResult) -> None:
        if self._parameters is None or result.volumeNode.GetScene() is None:
            return
        identifier = result.volumeNode.GetID()
        _before, last = self._results.get(identifier, (None, None))
        self._results[identifier] = last, result
        self._showMap(result)

    def _showMap(self, result: ScanResult) -> None:
        """Show the map of what the scan is said to show; of a scan that shows nothing, none."""
        called = [answer for answer in result.answers if answer.isCalled]
        if called and result.volumeNode is self._volume:
            self._maps.show(result.volumeNode, called[0])
        else:
            self._maps.remove(result.volumeNode)

    def _undo(self) -> None:
        before, _last = self._results.pop(self._volume.GetID())
        if before is None:
            self._maps.remove(self._volume)
        else:
            self._results[self._volume.GetID()] = None, before
            self._showMap(before)
        self._services.activity.tell()

    def _removeMap(self) -> None:
        self._maps.remove(self._volume)
        self._onChange()

    def _choose(self, row: int) -> None:
        self._maps.show(self._volume, self._result.answers[row])
        self._onChange()

    # -- result --------------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        ui, result, shown = self._ui, self._result, self._maps.shownAnswer(self._volume)
        ui.scanResult.visible = result is not None or bool(shown)
        ui.scanTable.visible = result is not None
        if result is not None:
            self._fillTable(result, shown)
        ui.scanNoteLabel.text = "\n".join([*_summary(result, shown), _("For research; not for diagnosis.")])
        noUndo = self._services.activity.reason or ("" if result else _("There is no result to undo."))
        allow(ui.undoScanButton, noUndo, _("Go back to how it was before the last answer, its map included"))
        allow(ui.removeMapButton, "" if shown else _("There is no map to remove."), _("The answers stay"))

    def _fillTable(self, result: ScanResult, shown: str) -> None:
        table = self._ui.scanTable
        setHeader(table, [_("The scan shows"), _("Probability")], short=[1])
        table.setRowCount(len(result.answers))
        table.clearSelection()
        for row, answer in enumerate(result.answers):
            share = f"{100 * answer.probability:.0f} %"
            setTexts(table, row, [answer.name, share], _("Click to see where in the slice views"))
            font = table.item(row, 0).font()
            font.setBold(answer.isCalled)
            for column in range(2):
                table.item(row, column).setFont(font)
            if answer.name == shown:
                table.selectRow(row)
        fitHeight(table, _MOST_ROWS)


def _summary(result: ScanResult | None, shown: str) -> list[str]:
    """What to know of the last answer, and of the map."""
    lines = []
    if result is not None:
        if not any(answer.isCalled for answer in result.answers):
            lines.append(_("Nothing has a probability of a half or more."))
        lines += howItWent(result)
    if shown:
        sentence = _("Colours: where the model saw \u201c{name}\u201d, brighter is more; no outline, no certainty.")
        lines.append(sentence.format(name=shown))
    return lines
