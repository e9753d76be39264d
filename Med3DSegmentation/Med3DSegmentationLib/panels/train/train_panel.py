"""The tab Train: choose cases, press Train, and get a model that has learned from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DCore.labels import Label
from Med3DCore.worker.protocol import Metric
from Med3DCore.worker.requests.train import UNTOUCHED_RESULTS
from Med3DSegmentationLib.engine.model_choices import ModelChoice, ModelChoices
from Med3DSegmentationLib.panels.narrow import notHtml
from Med3DSegmentationLib.panels.panel import Panel, allow
from Med3DSegmentationLib.panels.progress_row import ProgressRow
from Med3DSegmentationLib.panels.selector import Choice, Selector
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.train.cases_section import CasesSection
from Med3DSegmentationLib.panels.train.earlier_table import EarlierTable
from Med3DSegmentationLib.panels.train.training_outcome import TrainingOutcome
from Med3DSegmentationLib.training.chart import TrainingChart
from Med3DSegmentationLib.training.logic import EarlierTraining, TrainingLogic, adviceOn, problemOf
from Med3DSegmentationLib.training.step import TrainingChoices, TrainingResult


class TrainPanel(Panel):
    """See the module's docstring.

    Args:
        services: Its collaborators.

    Attributes:
        lastResult: A TrainingResult, or None before the first.
    """

    UI = "TrainPanel"

    def __init__(self, services: PanelServices) -> None:
        super().__init__(services)
        ui = self.ui
        self._logic = TrainingLogic(services.scene, services.engine)
        self._cases = CasesSection(services, ui, self._modelLabels, self.refresh)
        self._chart: TrainingChart | None = None
        self._chartTitle = ""
        self._takeUntouched: Callable[[], None] | None = None
        self.lastResult: TrainingResult | None = None
        self._models = Selector(ui.modelSelector, ui.modelDescription, self._setModel)
        self._progress = ProgressRow(ui, self._pause)
        self._outcome = TrainingOutcome(ui)
        self._earlier = EarlierTable(ui, self._continue, self._delete)
        self._models.offer(_startingPoints(services.catalogue))
        ui.trainButton.connect("clicked()", self._train)
        ui.installButton.connect("clicked()", self.install)
        ui.chartCheckBox.connect("toggled(bool)", self._toggleChart)
        self._soon = qt.QTimer()  # one refresh for many nodes
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self.refresh)
        events = (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent)
        self._isClosed = False
        self._sceneTags = [services.scene.AddObserver(event, lambda *_: self._soon.start(0)) for event in events]
        self.refresh()

    def setParameterNode(self, parameterNode: Any) -> None:
        """See :class:`.panel.Panel`; with another scene, what the last one showed is gone."""
        self._cases.parameterNode = parameterNode
        if parameterNode is None:
            self._outcome.hide()
        super().setParameterNode(parameterNode)

    def refresh(self) -> None:
        """Show what can be done now, and why the rest cannot."""
        ui, parameters = self.ui, self.parameterNode
        busy = self.services.activity.reason
        reason = _("The scene is being closed.") if parameters is None else self._whyNot()
        self._cases.refresh()
        if parameters is not None:
            self._models.choose(parameters.trainingModel)
            ui.titleEdit.placeholderText = self._title()
        allow(ui.trainButton, reason, _("Make a new model that has learned from these cases"))
        ui.hintLabel.text = reason or adviceOn(self._cases.all(), self._modelLabels())
        ui.hintLabel.visible = bool(ui.hintLabel.text) and not self._logic.isBusy
        ui.installButton.visible = not self.services.installer.isReady()
        ui.trainButton.visible = not self._logic.isBusy
        self._earlier.refresh(busy)

    def onModelsChanged(self) -> None:
        """Offer the models to start from; the engine is up now, so ask for paused trainings too."""
        self._models.offer(_startingPoints(self.services.catalogue))
        self._listEarlier()
        self.refresh()

    def close(self) -> None:
        """Pause what runs, and let go of everything."""
        for tag in self._sceneTags:
            self.services.scene.RemoveObserver(tag)
        self._soon.stop()
        self._isClosed = True
        self._cases.close()
        super().close()
        self._logic.close()

    # -- what can be done ----------------------------------------------------------------------------------------------

    def _whyNot(self) -> str:
        """Why nothing can be trained now, or ""."""
        services = self.services
        if not services.installer.isReady():
            return services.installer.reason()
        if services.activity.isRunning:
            return services.activity.reason
        name = self.parameterNode.trainingModel
        if name and services.catalogue.models is not None and services.catalogue.find(name) is None:
            return _("The model {name} is not on this computer; choose another one.").format(name=name)
        model = self._startModel()
        if model and model.channels:
            text = _(
                "{model} takes {count} images of a patient; models of one image can be fine-tuned. Choose another one."
            )
            return text.format(model=model.title, count=len(model.channels))
        return problemOf(self._cases.all(), self._modelLabels())

    def _startModel(self) -> ModelChoice | None:
        """The model to start from; by default the one that the engine would take."""
        catalogue = self.services.catalogue
        return catalogue.find(self.parameterNode.trainingModel) or catalogue.find(catalogue.start)

    def _modelLabels(self) -> dict[str, Label]:
        model = self.parameterNode and self._startModel()
        labels = (model.values["model"] or {}).get("labels", ()) if model else ()
        return {label["name"]: Label.from_dict(label) for label in labels}

    def _title(self) -> str:
        """The new model's name if the user gives none."""
        model = self._startModel()
        return _("{model}, my cases").format(model=model.title) if model else _("My cases")

    # -- training ------------------------------------------------------------------------------------------------------

    def _train(self) -> None:
        parameters, model = self.parameterNode, self._startModel()
        settings = {"learning_rate": parameters.trainingRate} if parameters.trainingRate > 0 else {}
        if parameters.trainingFreezesEncoder:
            settings["freeze_encoder"] = True
        choices = TrainingChoices(
            title=parameters.trainingTitle.strip() or self._title(),
            model=model and model.reference,
            minutes=parameters.trainingMinutes,
            quality=parameters.trainingQuality.value,
            seed=parameters.trainingSeed,
            device=parameters.device,
            settings=settings,
        )
        cases, labels = self._cases.all(), self._modelLabels()

        def begin(choices: TrainingChoices) -> None:
            self._begin(choices.title, lambda callbacks: self._logic.train(cases, choices, labels, **callbacks))

        self._takeUntouched = lambda: begin(replace(choices, takeUntouched=True))
        begin(choices)

    def _continue(self, training: EarlierTraining, finish: bool) -> None:
        self._begin(training.title, lambda callbacks: self._logic.resume(training.folder, finish, **callbacks))

    def _delete(self, training: EarlierTraining) -> None:
        question = _(
            "Delete the training {title} with its copies of the cases?\n\nYour scans, segmentations and models stay."
        )
        if slicer.util.confirmYesNoDisplay(notHtml(question.format(title=training.title)), parent=self.widget):
            self._logic.remove(training.folder, self._listEarlier, self.services.showError)

    def _begin(self, title: str, start: Callable[[dict[str, Callable]], object]) -> None:
        self._outcome.hide()
        self._chart, self._chartTitle = None, title  # the last one stays in the scene, for who wants to compare
        if self.ui.chartCheckBox.checked:  # now, not later: views change only when the user presses something
            self._chart = TrainingChart(self.services.scene, title)
            self._chart.show()
        self._progress.begin()
        self.ui.metricLabel.text = ""
        self.services.activity.begin(_("A training is running."))
        try:
            start(
                {
                    "onProgress": self._progress.advance,
                    "onMetric": self._onMetric,
                    "onFinished": self._onFinished,
                    "onError": self._onError,
                }
            )
        except Med3DError as error:
            self._onError(error)
        self.refresh()

    def _pause(self) -> None:
        self.ui.progressLabel.text = _("Pausing after this step...")
        self._logic.pause()

    def _onMetric(self, metric: Metric) -> None:
        if self._chart is None:
            self._chart = TrainingChart(self.services.scene, self._chartTitle)
        self._chart.add(metric)
        self.ui.metricLabel.text = self._chart.summary

    def _onFinished(self, result: TrainingResult) -> None:
        self._end()
        self.lastResult = result
        self._earlier.drop(result.folder)
        if self.parameterNode is not None:
            if not result.unproven:
                self.parameterNode.model = result.model
            self._outcome.show(result)
        self.services.catalogue.refresh()

    def _onError(self, error: Med3DError) -> None:
        self._end()
        if error.code == UNTOUCHED_RESULTS:  # to be asked about, but not in a callback of the engine
            self.services.engine.callSoon(lambda: self._askAboutResults(error))
        else:
            self.services.showError(error)
        self._listEarlier()

    def _askAboutResults(self, error: Med3DError) -> None:
        """Whether results that nobody has changed are right as they are."""
        if self._isClosed or self.services.activity.isRunning:
            return
        question = _("{problem}\n\nAre they right as they are, and shall the model learn from them?")
        if slicer.util.confirmYesNoDisplay(
            notHtml(question.format(problem=error)), windowTitle=_("Results that nobody changed")
        ):
            self._takeUntouched()
        else:
            self.services.showError(error)

    def _end(self) -> None:
        self._progress.end()
        self.services.activity.end()

    def _listEarlier(self) -> None:
        if not self._isClosed and not self._logic.isBusy and self.services.installer.isReady():
            self._logic.listEarlier(self._earlier.show, self.services.showError)

    # -- small things --------------------------------------------------------------------------------------------------

    def _setModel(self, name: str) -> None:
        self.parameterNode.trainingModel = name

    def _toggleChart(self, on: bool) -> None:
        if self._chart is None:
            return
        if on:
            self._chart.show()
        else:
            self._chart.hide()


def _startingPoints(catalogue: ModelChoices) -> list[Choice]:
    """Entries for the models and encoders that can be trained on; the first, "", takes what came with Med3D."""
    start = catalogue.find(catalogue.start)
    title = _("Automatic: {model}").format(model=f"{start.title} ({start.reference})") if start else _("Automatic")
    choices = [Choice("", title, _("Of the models that came with Med3D, the one that looks closest."))]
    for model in catalogue.models or ():
        if not model.problem:
            title = model.title if model.organs else _("{title} (encoder)").format(title=model.title)
            choices.append(Choice(model.reference, f"{title} ({model.reference})", model.description))
    return choices
