"""The tab Find: what a classifier says of points that the user placed. It is there while there is a classifier."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.engine.model_choices import ModelChoice
from Med3DSegmentationLib.finding.logic import FindingLogic
from Med3DSegmentationLib.finding.points import placedPoints, startPlacing
from Med3DSegmentationLib.finding.step import FindingResult, PointAnswer
from Med3DSegmentationLib.panels.panel import Panel, allow
from Med3DSegmentationLib.panels.progress_row import ProgressRow
from Med3DSegmentationLib.panels.selector import Choice, Selector, hidePreviews
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.tables import fitHeight, setHeader, setTexts
from Med3DSegmentationLib.scene.volume_nodes import LPS_RAS

_MOST_ROWS = 12


class FindPanel(Panel):
    """Choose volume, points and classifier; shows what it says of each point, and takes it back.

    Args:
        services: Its collaborators.
    """

    UI = "FindPanel"

    def __init__(self, services: PanelServices) -> None:
        super().__init__(services)
        self._logic = FindingLogic(services.scene, services.engine)
        self._result: FindingResult | None = None
        self._job: Any = None
        self._watched: tuple[Any, list[int]] | None = None
        self._soon = qt.QTimer()  # one refresh for all steps of a drag
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self.refresh)
        ui = self.ui
        self._models = Selector(ui.modelSelector, ui.modelLabel, self._chooseModel)
        self._progress = ProgressRow(ui, lambda: self._job.cancel())
        ui.placeButton.connect("clicked()", self._place)
        ui.askButton.connect("clicked()", self._ask)
        ui.undoButton.connect("clicked()", self._undo)
        ui.installButton.connect("clicked()", self.install)
        ui.resultTable.connect("cellClicked(int,int)", self._show)
        self.refresh()

    def setParameterNode(self, parameterNode: Any) -> None:
        """Another scene: what was said of the last one's points is gone."""
        if parameterNode is None:
            self._result = None
        super().setParameterNode(parameterNode)

    def refresh(self) -> None:
        """Offer the classifiers, and say why none can be asked."""
        hidePreviews(self.ui.inputSelector, self.services.scene)
        self._watch()
        model = self._model()
        if self.parameterNode is not None:
            self._models.offer(
                [Choice(m.reference, f"{m.title} ({m.reference})", m.description) for m in self._known()]
            )
            self._models.choose(model.reference if model else self.parameterNode.findModel)
        classes = model.classes if model else []
        self.ui.askButton.text = _("{classes}?").format(classes=_(" or ").join(classes).capitalize() or _("What is it"))
        toolTip = _("Asks the classifier about a cube around each point")
        reason = self._reason()
        allow(self.ui.askButton, reason, toolTip)
        allow(
            self.ui.placeButton, self._whyNotPlace(), _("Each click in a slice view then places a point; Esc ends it")
        )
        self.ui.hintLabel.text = reason if self._job is None else ""
        self.ui.hintLabel.visible = bool(self.ui.hintLabel.text)
        self.ui.installButton.visible = not self.services.installer.isReady()
        self.ui.prevalenceBox.suffix = _(" % {name}").format(name=classes[1] if len(classes) > 1 else "")
        self._refreshResult()

    def close(self) -> None:
        """Also stop what runs."""
        self._logic.close()
        self._soon.stop()
        super().close()
        self._unwatch()

    # -- choices -------------------------------------------------------------------------------------------------------

    def _known(self) -> tuple[ModelChoice, ...]:
        return self.services.catalogue.classifying()

    def _model(self) -> ModelChoice | None:
        """The chosen classifier, or the first one."""
        chosen = self.parameterNode.findModel if self.parameterNode else ""
        known = {model.reference: model for model in self._known()}
        return known.get(chosen) if chosen else next(iter(known.values()), None)

    def _chooseModel(self, reference: str) -> None:
        if self.parameterNode is not None:
            self.parameterNode.findModel = reference

    def _reason(self) -> str:
        """Why no classifier can be asked now, or nothing."""
        services, parameters = self.services, self.parameterNode
        if parameters is None:
            return _("There is no scene.")
        if reason := services.whyNotNow():
            return reason
        if self._model() is None:
            return _("The chosen classifier is not on this computer any more; choose another one.")
        if parameters.inputVolume is None:
            return _("Choose a volume first.")
        if parameters.findPoints is None or not placedPoints(parameters.findPoints):
            return _("Place a point in the middle of each finding first.")
        return ""

    def _whyNotPlace(self) -> str:
        return "" if self.parameterNode and self.parameterNode.inputVolume else _("Choose a volume first.")

    def _place(self) -> None:
        scene = self.services.scene
        if self.parameterNode.findPoints is None:
            pointsNode = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", _("Findings"))
            pointsNode.CreateDefaultDisplayNodes()
            self.parameterNode.findPoints = pointsNode
        startPlacing(scene, self.parameterNode.findPoints)

    # -- points that come and go ---------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look again when a point is placed, moved or removed."""
        node = self.parameterNode.findPoints if self.parameterNode else None
        if (self._watched and self._watched[0]) is node:
            return
        self._unwatch()
        if node is not None:
            event = slicer.vtkMRMLMarkupsNode
            placed = event.PointPositionDefinedEvent, event.PointPositionUndefinedEvent
            events = *placed, event.PointRemovedEvent, event.PointModifiedEvent
            self._watched = node, [node.AddObserver(each, self._onPoints) for each in events]

    def _unwatch(self) -> None:
        if self._watched:
            node, tags = self._watched
            for tag in tags:
                node.RemoveObserver(tag)
            self._watched = None

    def _onPoints(self, caller: Any, event: str) -> None:  # noqa: ARG002 - an observer's signature
        self._soon.start(0)

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        parameters = self.parameterNode
        self.services.activity.begin(_("A classifier is being asked."))
        self._progress.begin()
        try:
            self._job = self._logic.classify(
                parameters.inputVolume,
                parameters.findPoints,
                self._model().reference,
                device=parameters.device,
                prevalence=parameters.findPrevalence / 100 or None,
                onProgress=self._progress.advance,
                onFinished=self._onFinished,
                onError=self._onError,
            )
        except Med3DError as error:
            self._onError(error)
        self.refresh()

    def _onFinished(self, result: FindingResult) -> None:
        self._result = result if self.parameterNode is not None else None
        self._end()

    def _onError(self, error: Med3DError) -> None:
        self._end()
        self.services.showError(error)

    def _end(self) -> None:
        self._job = None
        self._progress.end()
        self.services.activity.end()

    # -- result --------------------------------------------------------------------------------------------------------

    def _shownAnswers(self) -> tuple[PointAnswer, ...]:
        """What was said of the chosen points in the chosen volume, as far as they lie where they lay."""
        result, parameters = self._result, self.parameterNode
        if result is None or parameters is None:
            return ()
        isOfOthers = result.volumeNode is not parameters.inputVolume or result.pointsNode is not parameters.findPoints
        return () if isOfOthers else result.current

    def _refreshResult(self) -> None:
        if self._result is not None:
            self._result.takeBackMoved()
        answers, result = self._shownAnswers(), self._result
        self.ui.resultSection.visible = bool(answers)
        if not answers:
            return
        table = self.ui.resultTable
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
        self.ui.noteLabel.text = "\n".join([*sentences, _("For research; not for diagnosis.")])

    def _undo(self) -> None:
        self._result.undo()
        self._result = None
        self.refresh()

    def _show(self, row: int, column: int) -> None:  # noqa: ARG002 - a signal's signature
        """Bring the slice views to a point."""
        x, y, z = LPS_RAS[:3, :3] @ self._shownAnswers()[row].centre
        slicer.vtkMRMLSliceNode.JumpAllSlices(self.services.scene, x, y, z)
