"""The tab Preview: a scan beside what the network sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.engine.model_choices import ModelChoice
from Med3DSegmentationLib.engine.results import PreviewResult
from Med3DSegmentationLib.panels.panel import Panel, allow
from Med3DSegmentationLib.panels.preview.preview_texts import normalisationText, seenText, stageText
from Med3DSegmentationLib.panels.progress_row import ProgressRow
from Med3DSegmentationLib.panels.selector import Choice, Selector, hidePreviews, modelChoices
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.panels.tables import setTexts
from Med3DSegmentationLib.panels.together import whyNotTogether
from Med3DSegmentationLib.scene.further_volumes import furtherVolumes
from Med3DSegmentationLib.scene.view_layout import ViewLayout

_SCAN = "Med3D.scan"  # role of the reference from a preview to the volume it was made of


class PreviewPanel(Panel):
    """Choose volume, organ, model and stage; shows the prepared volume, the box and what changed.

    Args:
        services: Its collaborators.
    """

    UI = "PreviewPanel"

    def __init__(self, services: PanelServices) -> None:
        super().__init__(services)
        self._result: PreviewResult | None = None
        self._job: Any = None
        ui = self.ui
        self._organs = Selector(ui.organSelector, None, lambda name: self._remember("previewOrgan", name))
        self._models = Selector(ui.modelSelector, None, lambda name: self._remember("model", name))
        self._stages = Selector(ui.stageSelector, ui.stageLabel, lambda name: self._remember("previewStage", name))
        self._images = Selector(ui.imageSelector, None, lambda name: self._remember("previewImage", name))
        self._progress = ProgressRow(ui, lambda: self._job.cancel())
        self._views = ViewLayout(slicer.app.layoutManager, self.refresh)
        ui.showButton.connect("clicked()", self._show)
        ui.installButton.connect("clicked()", self.install)
        ui.layoutButton.connect("clicked()", self._toggleLayout)
        ui.boxCheckBox.connect("toggled(bool)", self._showBox)
        ui.changesTable.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        self.refresh()

    def setParameterNode(self, parameterNode: Any) -> None:
        """Another scene: what was measured in the last one is gone."""
        if parameterNode is None:
            self._result = None
            self._views.restore()
        super().setParameterNode(parameterNode)

    def refresh(self) -> None:
        """Offer what the models offer, and say why no preview can be made."""
        hidePreviews(self.ui.inputSelector, self.services.scene)
        self._offer()
        reason = self._reason()
        allow(self.ui.showButton, reason, _("Prepare the volume as this stage of the model does"))
        self.ui.hintLabel.text = reason if self._job is None else ""
        self.ui.hintLabel.visible = bool(self.ui.hintLabel.text)
        self.ui.installButton.visible = not self.services.installer.isReady()
        self._refreshResult()

    def close(self) -> None:
        """Also bring the former views back."""
        if self._job is not None:
            self._job.cancel()
        super().close()
        self._views.close()

    # -- choices -------------------------------------------------------------------------------------------------------

    def _model(self) -> ModelChoice | None:
        """The model that will be used, also when it is chosen automatically; None if it segments nothing."""
        catalogue, parameters = self.services.catalogue, self.parameterNode
        model = catalogue.find(parameters.model or catalogue.automatic.get(parameters.previewOrgan, ""))
        return model if model and model.organs else None

    def _offer(self) -> None:
        parameters, catalogue = self.parameterNode, self.services.catalogue
        if parameters is None:
            return
        self._models.offer(modelChoices(catalogue))
        self._models.choose(parameters.model)
        model = self._model()
        organs = model.organs if model and parameters.model else self._automaticOrgans()
        self._organs.offer([Choice(name, title, "") for name, title in organs.items()])
        self._organs.choose(parameters.previewOrgan)
        self._stages.offer(self._stageChoices())
        self._stages.choose(parameters.previewStage)
        names = model.channels if model else []
        self.ui.imageLabel.visible = self.ui.imageSelector.visible = bool(names)
        if names:
            self._images.offer([Choice(name, name, "") for name in names])
            self._images.choose(names[self._shownImage(names)])

    def _automaticOrgans(self) -> dict[str, str]:
        titles: dict[str, str] = {}
        for model in self.services.catalogue.segmenting():
            titles |= model.organs
        return {name: titles[name] for name in self.services.catalogue.automatic}

    def _stageChoices(self) -> list[Choice]:
        """The stages of the model that look for the organ; "" is the last of them."""
        model, organ = self._model(), self.parameterNode.previewOrgan
        stages = [stage for stage in model.values["model"]["stages"] if organ in stage["labels"]] if model else []
        last = Choice("", _("The last one"), "")
        if stages:
            last = Choice("", _("The last one ({stage})").format(stage=stages[-1]["name"]), stageText(stages[-1]))
        return [last, *(Choice(stage["name"], stage["name"], stageText(stage)) for stage in stages)]

    def _shownImage(self, names: Sequence[str]) -> int:
        """Which of the images that the model takes of a patient is shown: 0 for the volume."""
        chosen = self.parameterNode.previewImage
        return names.index(chosen) if chosen in names else 0

    def _remember(self, parameter: str, name: str) -> None:
        if self.parameterNode is not None:
            setattr(self.parameterNode, parameter, name)

    def _reason(self) -> str:
        """Why no preview can be made now, or nothing."""
        services, parameters = self.services, self.parameterNode
        if parameters is None:
            return _("There is no scene.")
        if reason := services.whyNotNow():
            return reason
        if parameters.inputVolume is None:
            return _("Choose a volume first: load a CT, or take one from Sample Data.")
        if parameters.inputVolume is parameters.previewVolume:
            return _("This volume is a preview itself; choose the scan that it was made of.")
        if self.scanWatch.reason:
            return self.scanWatch.reason
        if services.catalogue.models is None:
            return str(services.catalogue.error or _("The models are being looked for..."))
        model = self._model()
        if model is None and parameters.model:
            return _("The chosen model is not on this computer any more; choose another one.")
        if model is None or parameters.previewOrgan not in model.organs:
            return _("The chosen model does not find this organ; choose another organ or another model.")
        if parameters.previewStage and parameters.previewStage not in [choice.name for choice in self._stageChoices()]:
            return _("The chosen model has no such stage for this organ; choose another stage.")
        names = model.channels
        reason = names and whyNotTogether(names, self._volumes(names))
        return _("{reason} That is done in the tab Segment.").format(reason=reason) if reason else ""

    def _volumes(self, names: Sequence[str]) -> list[slicer.vtkMRMLScalarVolumeNode | None]:
        """The volumes that the model gets: the chosen one, and the further images of the patient."""
        volume = self.parameterNode.inputVolume
        return [volume, *furtherVolumes(volume, names[1:])]

    # -- preview -------------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        parameters, names = self.parameterNode, self._model().channels
        volumes, shown = self._volumes(names), self._shownImage(names)
        self.services.activity.begin(_("A preview is being made."))
        self._progress.begin()
        try:
            self._job = self.services.logic.preview(
                volumes[0],
                [parameters.previewOrgan],
                model=parameters.model or None,
                stage=parameters.previewStage or None,
                device=parameters.device,
                outputVolumeNode=parameters.previewVolume,
                outputRoiNode=parameters.previewBox,
                channels=volumes[1:],
                channel=shown,
                onProgress=self._progress.advance,
                onFinished=lambda result: self._onFinished(result, parameters, volumes[shown]),
                onError=self._onError,
            )
        except Med3DError as error:
            self._onError(error)
        self.refresh()

    def _onFinished(self, result: PreviewResult, parameters: Any, scan: slicer.vtkMRMLScalarVolumeNode) -> None:
        self._end()
        if self.parameterNode is None:  # a scene is being read: its parameters know nothing of this preview
            return
        result.volumeNode.SetName(_("{volume} preview").format(volume=scan.GetName()))
        result.volumeNode.SetNodeReferenceID(_SCAN, scan.GetID())
        result.roiNode.SetName(_("{volume} preview box").format(volume=scan.GetName()))
        result.roiNode.SetDisplayVisibility(parameters.previewShowsBox)
        self._result = result
        with slicer.util.NodeModify(parameters.parameterNode):  # all panels look again once, not twice
            parameters.previewVolume, parameters.previewBox = result.volumeNode, result.roiNode
        self.services.engine.callSoon(self._compareNew)  # new views take their time: not all in one turn

    def _onError(self, error: Med3DError) -> None:
        self._end()
        self.services.showError(error)

    def _end(self) -> None:
        self._job = None
        self._progress.end()
        self.services.activity.end()

    # -- result --------------------------------------------------------------------------------------------------------

    def _refreshResult(self) -> None:
        parameters, result = self.parameterNode, self._result
        preview = parameters.previewVolume if parameters else None
        hasPreview = preview is not None and preview.GetNodeReference(_SCAN) is not None
        self.ui.viewRow.visible = hasPreview or self._views.isShown
        self.ui.layoutButton.text = _("Back to the former views") if self._views.isShown else _("Compare side by side")
        noBox = "" if hasPreview and parameters.previewBox is not None else _("There is no box to show.")
        allow(self.ui.boxCheckBox, noBox, _("The part of the scan that this stage looks at, as a box in all views"))
        self.ui.resultSection.visible = result is not None
        if result is not None:
            self._fillTable(result)
            self.ui.normalisationLabel.text = f"{seenText(result)} {normalisationText(result.normalisation)}"
            self.ui.warningLabel.text = "\n".join(result.warnings)
            self.ui.warningLabel.visible = bool(result.warnings)

    def _fillTable(self, result: PreviewResult) -> None:
        table = self.ui.changesTable
        table.setRowCount(len(result.rows))
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Scan"), _("Network")])
        table.setVerticalHeaderLabels([row.title for row in result.rows])
        for index, row in enumerate(result.rows):
            setTexts(table, index, [row.before, row.after])
        height = table.verticalHeader().defaultSectionSize * len(result.rows)
        table.setFixedHeight(height + table.horizontalHeader().sizeHint.height() + 2 * table.frameWidth)

    def _toggleLayout(self) -> None:
        if self._views.isShown:
            self._views.restore()
        else:
            self._compare()

    def _compareNew(self) -> None:
        """Show what was just made, if it is still there."""
        if self.parameterNode is not None and self.parameterNode.previewVolume is not None:
            self._compare()

    def _compare(self) -> None:
        """Show scan and preview in the views, the scan in the window that the network tells apart."""
        preview, result = self.parameterNode.previewVolume, self._result
        limits = (result.normalisation.low, result.normalisation.high) if result else (None, None)
        self._views.show(preview.GetNodeReference(_SCAN), preview, None if None in limits else limits)

    def _showBox(self, isShown: bool) -> None:
        if self.parameterNode is not None and self.parameterNode.previewBox is not None:
            self.parameterNode.previewBox.SetDisplayVisibility(isShown)
