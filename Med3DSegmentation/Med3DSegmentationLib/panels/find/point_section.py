"""The lower part of the tab Find: what a classifier says of points that the user placed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.finding.logic import FindingLogic
from Med3DSegmentationLib.finding.points import placedPoints, startPlacing
from Med3DSegmentationLib.finding.step import FindingResult, PointAnswer
from Med3DSegmentationLib.panels.find.model_chooser import ModelChooser
from Med3DSegmentationLib.panels.find.search import Search
from Med3DSegmentationLib.panels.keyboard import onRow
from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.tables import fitHeight, setHeader, setTexts
from Med3DSegmentationLib.scene.volume_nodes import LPS_RAS

_MOST_ROWS = 12


class PointSection:
    """Asks a classifier about points; shows what it says of each, and takes it back.

    Args:
        services: The panel's.
        ui: Has ``pointSection`` and the widgets in it.
        logic: Asks.
        search: Follows what runs.
        onChange: Called when a point was placed, moved or removed.
    """

    def __init__(
        self, services: PanelServices, ui: Any, logic: FindingLogic, search: Search, onChange: Callable[[], None]
    ) -> None:
        self._services, self._ui, self._logic, self._search = services, ui, logic, search
        self._onChange = onChange
        self._parameters: Any = None
        self._result: FindingResult | None = None
        self._watched: tuple[Any, list[int]] | None = None
        self._models = ModelChooser(ui.modelSelector, ui.modelLabel, services.catalogue.classifying, "findModel")
        ui.placeButton.connect("clicked()", self._place)
        ui.askButton.connect("clicked()", self._ask)
        ui.undoButton.connect("clicked()", self._undo)
        onRow(ui.resultTable, self._jump)

    def refresh(self, parameters: Any, reason: str) -> None:
        """Offer the classifiers, and say why none can be asked.

        Args:
            parameters: The scene's, or None while there is none.
            reason: Why nothing in the tab can be asked, or "".
        """
        ui, self._parameters = self._ui, parameters
        self._watch()
        ui.pointSection.visible = bool(self._services.catalogue.classifying())
        model = self._models.refresh(parameters)
        classes = model.classes if model else []
        ui.askButton.text = _("{classes}?").format(classes=_(" or ").join(classes).capitalize() or _("What is it"))
        own = "" if reason else self._reason()
        allow(ui.askButton, reason or own, _("Asks the classifier about a cube around each point"))
        noVolume = "" if parameters and parameters.inputVolume else _("Choose a volume first.")
        allow(ui.placeButton, noVolume, _("Each click in a slice view then places a point; Esc ends it"))
        ui.pointHintLabel.text = own
        ui.pointHintLabel.visible = bool(own)
        ui.prevalenceBox.suffix = _(" % {name}").format(name=classes[1] if len(classes) > 1 else "")
        self._show()

    def forget(self) -> None:
        """Another scene: what was said of the last one's points is gone."""
        self._result = None

    def close(self) -> None:
        """Follow nothing."""
        if self._watched:
            node, tags = self._watched
            for tag in tags:
                node.RemoveObserver(tag)
            self._watched = None

    # -- choices -------------------------------------------------------------------------------------------------------

    def _reason(self) -> str:
        """Why no classifier can be asked about points, or nothing."""
        if self._models.model is None:
            return _("The chosen classifier is not on this computer any more; choose another one.")
        if self._parameters.findPoints is None or not placedPoints(self._parameters.findPoints):
            return _("Place a point in the middle of each finding first.")
        return ""

    def _place(self) -> None:
        scene = self._services.scene
        if self._parameters.findPoints is None:
            pointsNode = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", _("Findings"))
            pointsNode.CreateDefaultDisplayNodes()
            self._parameters.findPoints = pointsNode
        startPlacing(scene, self._parameters.findPoints)

    # -- points that come and go ---------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look again when a point is placed, moved or removed."""
        node = self._parameters.findPoints if self._parameters else None
        if (self._watched and self._watched[0]) is node:
            return
        self.close()
        if node is not None:
            event = slicer.vtkMRMLMarkupsNode
            placed = event.PointPositionDefinedEvent, event.PointPositionUndefinedEvent
            events = *placed, event.PointRemovedEvent, event.PointModifiedEvent
            self._watched = node, [node.AddObserver(each, self._onPoints) for each in events]

    def _onPoints(self, caller: Any, event: str) -> None:  # noqa: ARG002 - an observer's signature
        self._onChange()

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        parameters = self._parameters
        start = partial(
            self._logic.classify,
            parameters.inputVolume,
            parameters.findPoints,
            self._models.model.reference,
            device=parameters.device,
            prevalence=parameters.findPrevalence / 100 or None,
        )
        self._search.begin(_("A classifier is being asked."), start, self._onFinished)

    def _onFinished(self, result: FindingResult) -> None:
        self._result = result if self._parameters is not None else None

    # -- result --------------------------------------------------------------------------------------------------------

    def _shownAnswers(self) -> tuple[PointAnswer, ...]:
        """What was said of the chosen points in the chosen volume, as far as they lie where they lay."""
        result, parameters = self._result, self._parameters
        if result is None or parameters is None:
            return ()
        isOfOthers = result.volumeNode is not parameters.inputVolume or result.pointsNode is not parameters.findPoints
        return () if isOfOthers else result.current

    def _show(self) -> None:
        if self._result is not None:
            self._result.takeBackMoved()
        answers, result = self._shownAnswers(), self._result
        self._ui.resultSection.visible = bool(answers)
        if not answers:
            return
        table = self._ui.resultTable
        setHeader(table, [_("Point"), _("Answer"), _("Probability")], short=[2])
        table.setRowCount(len(answers))
        for row, answer in enumerate(answers):
            share = f"{100 * answer.probabilities[answer.answer]:.0f} %"
            setTexts(table, row, [answer.name, answer.answer, share], _("Click to see it in the slice views"))
        fitHeight(table, _MOST_ROWS)
        sentences = list(result.warnings)
        if result.prevalence is not None:
            second = list(answers[0].probabilities)[1]
            sentence = _("Probabilities where {percent:g} % of findings are {name}.")
            sentences.append(sentence.format(percent=round(100 * result.prevalence, 1), name=second))
        self._ui.noteLabel.text = "\n".join([*sentences, _("For research; not for diagnosis.")])

    def _undo(self) -> None:
        self._result.undo()
        self._result = None
        self._services.activity.tell()

    def _jump(self, row: int) -> None:
        """Bring the slice views to a point."""
        x, y, z = LPS_RAS[:3, :3] @ self._shownAnswers()[row].centre
        slicer.vtkMRMLSliceNode.JumpAllSlices(self._services.scene, x, y, z)
