"""The first tab: choose a volume, press a button, see the organ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.engine.jobs import Job
from Med3DSegmentationLib.engine.results import SegmentationResult, SequenceResult
from Med3DSegmentationLib.engine.scene_jobs import calling
from Med3DSegmentationLib.panels.panel import Panel, allow
from Med3DSegmentationLib.panels.progress_row import ProgressRow
from Med3DSegmentationLib.panels.scan_question import askAboutScans, isNotCt
from Med3DSegmentationLib.panels.segment.channel_selectors import ChannelSelectors
from Med3DSegmentationLib.panels.segment.dicom_button import DicomButton
from Med3DSegmentationLib.panels.segment.fast_choice import FastChoice
from Med3DSegmentationLib.panels.segment.organ_buttons import USUAL, OrganButtons
from Med3DSegmentationLib.panels.segment.result_rows import Pair
from Med3DSegmentationLib.panels.segment.result_section import ResultSection
from Med3DSegmentationLib.panels.segment.roi_choice import RoiChoice
from Med3DSegmentationLib.panels.segment.run import Run
from Med3DSegmentationLib.panels.segment.volume_list import VolumeList
from Med3DSegmentationLib.panels.segment.why_not import whyNot
from Med3DSegmentationLib.panels.selector import Selector, deviceChoices, hidePreviews, modelChoices
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.scene.frames import findBrowser
from Med3DSegmentationLib.scene.further_volumes import furtherVolumes
from Med3DSegmentationLib.scene.own_segments import findSegmentation, sourceVolume
from Med3DSegmentationLib.scene.visibility import isInViews, showOnlyOf
from Med3DSegmentationLib.scene.volume_nodes import plainVolumes


class SegmentPanel(Panel):
    """See the module's docstring.

    Args:
        services: Its collaborators.
    """

    UI = "SegmentPanel"

    def __init__(self, services: PanelServices) -> None:
        super().__init__(services)
        ui = self.ui
        self._job: Job | None = None
        self._run: Run | None = None
        self._startedOn: str | None = None
        self._askedForDevices = False
        self._volumeId: str | None = None
        self._segmentationId: str | None = None
        self._progress = ProgressRow(ui, self._cancel)
        self._models = Selector(ui.modelSelector, ui.modelDescription, lambda name: self._set("model", name))
        self._device = Selector(ui.deviceSelector, ui.deviceDescription, lambda name: self._set("device", name))
        self._models.offer(modelChoices(services.catalogue))
        self._device.offer(deviceChoices(()))
        self._channels = ChannelSelectors(ui.inputBox, ui.inputLabel, ui.inputSelector, services.scene, self.refresh)
        self._volumes = VolumeList(ui.volumeList, services.scene, self.refresh)
        ui.allVolumesButton.connect("clicked()", lambda: self._volumes.tickAll(True))
        ui.noVolumesButton.connect("clicked()", lambda: self._volumes.tickAll(False))
        self._results = ResultSection(services, ui, self._choose)
        self._dicom = DicomButton(services, ui.dicomButton, self._progress, self._results.note)
        self._ofOneVolume = {box: box.toolTip for box in (ui.inputSelector, ui.roiSelector, ui.segmentationSelector)}
        self._organButtons = OrganButtons(ui, services.settings, self._segment, self.refresh)
        self._fast = FastChoice(ui.fastCheckBox, services.settings)
        ui.installButton.connect("clicked()", self.install)
        self._roi = RoiChoice(ui.roiSelector, ui.inputSelector.currentNode, lambda: self._soon.start(0))
        services.engine.logListeners.append(self._addLog)
        self._soon = qt.QTimer()  # one refresh for many nodes
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self.refresh)
        events = (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent)
        self._sceneTags = [services.scene.AddObserver(event, lambda *_: self._soon.start(0)) for event in events]
        self._sceneTags.append(services.scene.AddObserver(events[1], calling(self._results.forget)))
        self.refresh()

    def setParameterNode(self, parameterNode: Any) -> None:
        """See :class:`.panel.Panel`; without a volume, the scene's first one is chosen."""
        if parameterNode is not None:
            if parameterNode.inputVolume is None:
                parameterNode.inputVolume = next(iter(plainVolumes(self.services.scene)), None)
            self._volumeId = _idOf(parameterNode.inputVolume)
        super().setParameterNode(parameterNode)

    def refresh(self) -> None:
        """Show what can be done now, and why the rest cannot."""
        ui, parameters = self.ui, self.parameterNode
        ui.progressRow.visible = self._isRunning
        if parameters is None:
            self._results.refresh([], [], None)
            self._dicom.refresh(None)
            self._roi.follow(None)
            self._allow(_("The scene is being read or closed."))
            return
        hidePreviews(ui.inputSelector, self.services.scene)
        self._roi.follow(parameters.roi)
        self._matchSegmentation()
        if self._job is not None:
            self._hideOthers()
        self._volumes.refresh(parameters)
        self._models.choose(parameters.model)
        self._device.choose(parameters.device)
        self._fast.offer(self.services.catalogue.find(parameters.model), parameters.device)
        ui.volumeList.visible = ui.volumeListRow.visible = parameters.severalVolumes
        ui.allFramesCheckBox.visible = self._isSequence() and not parameters.severalVolumes
        several = _("Several volumes are ticked; each is segmented as a whole, into a segmentation of its own.")
        several = several if parameters.severalVolumes else ""
        for box, toolTip in self._ofOneVolume.items():
            allow(box, several, toolTip)
        self._channels.refresh(self.services.catalogue.channelsOf(parameters.model), parameters.inputVolume, several)
        self._results.refresh(self._chosenVolumes(), self._chosenPairs(), parameters.segmentation)
        self._dicom.refresh(parameters.segmentation)
        self._allow(whyNot(self.services, parameters, self._volumes.chosen(), self._isSequence()))

    def onModelsChanged(self) -> None:
        """Offer the models; the engine is up now, so ask for devices too, which also warms it for the first click."""
        self._models.offer(modelChoices(self.services.catalogue))
        if not self._askedForDevices and self.services.installer.isReady():
            self._askedForDevices = True
            self.services.engine.request("devices", {}, self._onDevices, self._onNoDevices)
        self.refresh()

    def close(self) -> None:
        """Let go of everything."""
        for tag in self._sceneTags:
            self.services.scene.RemoveObserver(tag)
        self._soon.stop()
        self._results.close()
        self._roi.follow(None)
        self.services.engine.logListeners.remove(self._addLog)
        super().close()

    # -- what can be done ----------------------------------------------------------------------------------------------

    def _allow(self, reason: str) -> None:
        """Enable the buttons, or say why not."""
        catalogue, chosen = self.services.catalogue, self.parameterNode and self.parameterNode.model
        unasked = {} if chosen else catalogue.unasked(USUAL)
        hint = self._organButtons.allow(reason, catalogue.find(chosen) if chosen else None, unasked)
        self.ui.hintLabel.text = hint
        self.ui.installButton.visible = not self.services.installer.isReady()
        self.ui.hintRow.visible = bool(hint) and not self._isRunning

    @property
    def _isRunning(self) -> bool:
        return self._job is not None or self._dicom.isRunning

    def _isSequence(self) -> bool:
        volume = self.parameterNode.inputVolume
        return volume is not None and findBrowser(self.services.scene, volume) is not None

    def _matchSegmentation(self) -> None:
        """Never add to the segmentation of another volume; of the volume just chosen, take the one it has.

        Where the chosen one was removed, the selector took its neighbour, which nobody chose.
        """
        parameters = self.parameterNode
        volume, segmentation = parameters.inputVolume, parameters.segmentation
        source = segmentation and sourceVolume(segmentation)
        isOther = _idOf(volume) != self._volumeId
        wasRemoved = self._segmentationId and self.services.scene.GetNodeByID(self._segmentationId) is None
        self._volumeId = _idOf(volume)
        if isOther or wasRemoved or (source is not None and source is not volume):
            self._segmentationId = None  # lest this is called once more by what comes next
            parameters.segmentation = volume and findSegmentation(self.services.scene, volume)
            if isOther and volume is not None:
                self._showVolume(volume)
        self._segmentationId = _idOf(parameters.segmentation)

    def _chosenVolumes(self) -> list[slicer.vtkMRMLScalarVolumeNode]:
        parameters = self.parameterNode
        if parameters.severalVolumes:
            return self._volumes.chosen()
        return [parameters.inputVolume] if parameters.inputVolume is not None else []

    def _chosenPairs(self) -> list[Pair]:
        """The chosen volumes that have a segmentation, with it."""
        parameters, volumes = self.parameterNode, self._chosenVolumes()
        if parameters.severalVolumes:
            pairs = [(volume, findSegmentation(self.services.scene, volume)) for volume in volumes]
        else:
            pairs = [(volume, parameters.segmentation) for volume in volumes]
        return [pair for pair in pairs if None not in pair]

    def _showVolume(self, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Show a volume in the slice views, with its own organs only."""
        slicer.util.setSliceViewerLayers(background=volume)
        showOnlyOf(volume)

    # -- doing it ------------------------------------------------------------------------------------------------------

    def _segment(self, organs: Sequence[str]) -> None:
        parameters = self.parameterNode
        options = {"model": parameters.model or None, "device": parameters.device, "splitLungs": parameters.splitLungs}
        options["fast"] = self._fast.isChosen()
        volumes, segmentations = [parameters.inputVolume], [parameters.segmentation]
        isSequence = not parameters.severalVolumes and parameters.allFrames and self._isSequence()
        if parameters.severalVolumes:
            volumes = self._volumes.chosen()
            segmentations = [findSegmentation(self.services.scene, volume) for volume in volumes]
        else:
            options["roiNode"] = parameters.roi
            if names := self.services.catalogue.channelsOf(parameters.model):
                options["channels"] = furtherVolumes(parameters.inputVolume, names[1:])
        if not isSequence:
            options["keepEdits"] = parameters.keepEdits
        self._startedOn = _idOf(parameters.inputVolume)
        self._begin(Run(volumes, organs, segmentations, options, parameters.severalVolumes, isSequence))

    def _begin(self, run: Run) -> None:
        self._run = run
        self._progress.begin()
        self.services.activity.begin(_("A segmentation is running."))
        callbacks = {"onProgress": self._progress.advance, "onFinished": self._onFinished, "onError": self._onError}
        try:
            job = run.start(self.services.logic, **callbacks)
        except Med3DError as error:
            self._onError(error)
            return
        self._job = job if job.isRunning else None
        self.refresh()

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
        self._dicom.cancel()

    def _onFinished(self, outcome: Any) -> None:
        frames = outcome if isinstance(outcome, SequenceResult) else None
        outcomes = list(frames.frames) if frames else outcome if isinstance(outcome, list) else [outcome]
        results = _inScene(outcomes)
        if results:
            self._results.add(results, frames)
            self._take(results[0])
        self._end()
        if any(map(isNotCt, outcomes)):
            self._askLater(outcomes)
        else:
            self._showErrors(outcomes)

    def _onError(self, error: Med3DError) -> None:
        done = _inScene(self._job.results) if self._job and self._run.isBatch else []
        if done:  # it was cancelled, and they stay
            self._results.add(done)
        self._end()
        if isNotCt(error):
            self._askLater([error])
        else:
            self.services.showError(error)

    def _askLater(self, outcomes: Sequence[Any]) -> None:
        """About scans that are no CT; not in a callback of the engine, which has its other answers to give."""
        self.services.engine.callSoon(lambda: self._ask(outcomes))

    def _ask(self, outcomes: Sequence[Any]) -> None:
        if self.parameterNode is None or self.services.activity.isRunning:
            return
        allowed = askAboutScans(list(filter(isNotCt, outcomes)), _("Segment all the same"))
        if allowed is not None:
            self._begin(self._run.again(outcomes, allowed))
        else:
            self._showErrors(outcomes)

    def _showErrors(self, outcomes: Sequence[Any]) -> None:
        """What is wrong with a volume, or with how many of several."""
        outcomes = [*self._run.failed, *outcomes]
        errors = [error for error in outcomes if isinstance(error, Med3DError)]
        if errors and not self._run.isBatch:
            self.services.showError(errors[0])
        elif errors:
            sentences = " ".join(dict.fromkeys(map(str, errors)))
            left = _("{count} of {all} volumes could not be segmented: {sentences}")
            self.services.showError(Med3DError(left.format(count=len(errors), all=len(outcomes), sentences=sentences)))

    def _hideOthers(self) -> None:
        """Results of other volumes come while several are segmented: not across the chosen one."""
        if self.parameterNode is not None and self.parameterNode.inputVolume is not None:
            showOnlyOf(self.parameterNode.inputVolume)

    def _end(self) -> None:
        self._hideOthers()
        self._job = None
        self.services.activity.end()

    def _take(self, result: SegmentationResult) -> None:
        """Choose what came out, unless the user has chosen another volume meanwhile; that one stays, with its own."""
        chosen = self.parameterNode and self.parameterNode.inputVolume
        if chosen is None or _idOf(chosen) == self._startedOn:
            # What the user put into single views meanwhile, such as an earlier scan to compare with, stays there.
            self._choose(result.volumeNode, result.segmentationNode, isInViews(result.volumeNode))
        elif self.parameterNode.segmentation is None:
            self.parameterNode.segmentation = findSegmentation(self.services.scene, chosen)

    def _choose(
        self,
        volume: slicer.vtkMRMLScalarVolumeNode,
        segmentation: slicer.vtkMRMLSegmentationNode | None,
        isShown: bool = False,
    ) -> None:
        """Make a result the current one: the next organ is added to it, and its volume is shown if it is not yet."""
        if self.parameterNode is None:
            return
        self._volumeId = volume.GetID()
        with slicer.util.NodeModify(self.parameterNode.parameterNode):
            self.parameterNode.inputVolume = volume
            isThere = segmentation is not None and segmentation.GetScene() is not None
            self.parameterNode.segmentation = segmentation if isThere else None
        if not isShown:
            self._showVolume(volume)

    # -- small things --------------------------------------------------------------------------------------------------

    def _set(self, name: str, value: Any) -> None:
        if self.parameterNode is not None:
            setattr(self.parameterNode, name, value)

    def _onDevices(self, answer: dict[str, Any]) -> None:
        self._device.offer(deviceChoices(answer["devices"]))
        self._fast.onDevices(answer["devices"])
        self.refresh()

    def _onNoDevices(self, error: Med3DError) -> None:
        self._askedForDevices = False  # ask again when the models are asked for again
        self._addLog(str(error))

    def _addLog(self, line: str) -> None:
        self.ui.logText.appendPlainText(line)


def _inScene(outcomes: Sequence[Any]) -> list[SegmentationResult]:
    """The results among outcomes, of volumes that nobody has removed meanwhile."""
    results = (outcome for outcome in outcomes if isinstance(outcome, SegmentationResult))
    return [result for result in results if result.volumeNode.GetScene() is not None]


def _idOf(node: slicer.vtkMRMLNode | None) -> str | None:
    return node and node.GetID()
