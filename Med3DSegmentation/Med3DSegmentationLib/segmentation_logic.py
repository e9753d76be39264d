"""The module's logic: scenes in, segmentations out. No GUI; works from Slicer's Python console."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError, SettingError
from Med3DCore.progress import ProgressCallback
from Med3DSegmentationLib.engine.choices import Choices
from Med3DSegmentationLib.engine.jobs import Job, Step
from Med3DSegmentationLib.engine.preview_step import PreviewStep
from Med3DSegmentationLib.engine.process import EngineProcess, processEventsUntil
from Med3DSegmentationLib.engine.results import PreviewResult, SegmentationResult, SequenceResult
from Med3DSegmentationLib.engine.save_dicom_step import SaveDicomStep
from Med3DSegmentationLib.engine.scene_jobs import SceneJobs, calling
from Med3DSegmentationLib.engine.segment_steps import FrameStep, SegmentStep
from Med3DSegmentationLib.scene.dicom_database import canWrite, exportBySlicer
from Med3DSegmentationLib.scene.edit_watch import EditWatch
from Med3DSegmentationLib.scene.frames import framesOf
from Med3DSegmentationLib.scene.regions import Region
from Med3DSegmentationLib.scene.segmentation_history import SegmentationHistory
from Med3DSegmentationLib.scene.sequence_nodes import SegmentationSequence
from Med3DSegmentationLib.scene.surfaces import Surfaces, removeSurfaces

OnError = Callable[[Med3DError], None]


class SegmentationLogic:
    """Segments and previews volumes of a scene in the engine's process, which goes on while the user works.

    Every method that runs the engine returns a :class:`.jobs.Job` at once; ``onProgress(stage, fraction, secondsLeft)``
    and then either ``onFinished(result)`` or ``onError(error)`` are called on the main thread. With ``wait=True`` they
    return the result itself once it is there, and raise the error. Errors are Med3DError: a sentence for the user, some
    with ``details`` to fold away; cancelled jobs end with Med3DCore.errors.Cancelled.

    While a job runs, nodes may be renamed, moved and removed and the scene may be closed: a job that lost its volume is
    cancelled, a segmentation that was removed is made anew.

    Args:
        scene: The scene, given by who owns it.
        engine: The engine's process, which its owner closes; None makes one.
        waiter: Keeps the event loop going until a function says True, for ``wait=True``.

    Examples:
        >>> logic = SegmentationLogic(slicer.mrmlScene)  # doctest: +SKIP
        >>> result = logic.segment(slicer.util.getNode("CTChest"), ["lungs"], wait=True)  # doctest: +SKIP
        >>> result.organs[0].volumeMl  # doctest: +SKIP
        4310.2
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        engine: EngineProcess | None = None,
        waiter: Callable[[Callable[[], bool]], None] = processEventsUntil,
    ) -> None:
        self.scene = scene
        self.engine = engine or EngineProcess()
        self._ownsEngine = engine is None
        self._history = SegmentationHistory()
        self._surfaces = Surfaces(self.engine.callSoon)
        self._edits = EditWatch(self.engine.callSoon)
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
            self._edits.follow(node)
        self._jobs = SceneJobs(scene, waiter, (self._history.forget, self._edits.forget))
        self._addedTag = scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, calling(self._edits.follow))

    @property
    def isBusy(self) -> bool:
        """Whether a job runs or waits."""
        return bool(self._jobs.running())

    def segment(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        organs: Sequence[str],
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        model: str | None = None,
        device: str = "auto",
        roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
        keepEdits: bool = True,
        splitLungs: bool = False,
        notCt: bool = False,
        offset: float = 0.0,
        fast: bool = False,
        channels: Sequence[slicer.vtkMRMLScalarVolumeNode] = (),
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onFinished: Callable[[SegmentationResult], None] | None = None,
        onError: OnError | None = None,
    ) -> Job | SegmentationResult:
        """Segment organs of a volume.

        Args:
            volumeNode: A CT, anywhere and at any angle, also under linear transforms.
            organs: Names of labels, such as ``["liver", "lungs"]``.
            segmentationNode: Add to this one: segments of an earlier run of the same organs are replaced, all others
                stay. None makes one beside the volume.
            model: Name or file of a model; None takes the one that ships with Med3D, knows the organs and looks
                closest.
            device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
            roiNode: Label only what lies inside; None for all.
            keepEdits: Whether a segment that was edited by hand since stays, as "Liver (edited)".
            splitLungs: Whether the lungs become two segments, "Left lung" and "Right lung".
            notCt: Whether a scan of another kind than the model was made for is segmented all the same; else the error
                has the code ``"not-ct"`` and, if only its offset is missing, that among its ``facts``.
            offset: Is added to all values, such as -1024 for a CT that was stored without its offset.
            fast: Whether an imported model runs in half precision also on a processor that has it.
            channels: Volumes with the further images of the patient, for a model that takes several, in its order; they
                lie on the volume's grid.
            wait: Return only when it is done.
            onProgress: See the class.
            onFinished: See the class.
            onError: See the class.
        """
        self._requireNodes(volumeNode, segmentationNode, roiNode, *channels)

        def makeSteps() -> list[Step]:
            choices = _choices(organs, model, device, roiNode, splitLungs, notCt, offset, fast, channels)
            return [self._segmentStep(volumeNode, choices, segmentationNode, keepEdits)]

        return self._run(makeSteps, _only, wait, onProgress, onFinished, onError)

    def segmentBatch(
        self,
        volumeNodes: Sequence[slicer.vtkMRMLScalarVolumeNode],
        organs: Sequence[str],
        segmentationNodes: Sequence[slicer.vtkMRMLSegmentationNode | None] | None = None,
        model: str | None = None,
        device: str = "auto",
        keepEdits: bool = True,
        splitLungs: bool = False,
        notCt: bool = False,
        offset: float = 0.0,
        fast: bool = False,
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onFinished: Callable[[list[SegmentationResult | Med3DError]], None] | None = None,
        onError: OnError | None = None,
    ) -> Job | list[SegmentationResult | Med3DError]:
        """Segment several volumes in a row, each into a segmentation of its own.

        A volume that fails, or is removed meanwhile, does not stop the others: its error stands in the results, which
        are in the order of the volumes. Cancelling keeps the segmentations that are done. Arguments: see
        :meth:`segment`.
        """
        targets = segmentationNodes or [None] * len(volumeNodes)
        self._requireNodes(*volumeNodes, *targets)

        def makeSteps() -> list[Step]:
            choices = _choices(organs, model, device, None, splitLungs, notCt, offset, fast)
            pairs = zip(volumeNodes, targets, strict=True)
            return [self._segmentStep(volume, choices, target, keepEdits) for volume, target in pairs]

        return self._run(makeSteps, list, wait, onProgress, onFinished, onError, keepGoing=True)

    def segmentSequence(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        organs: Sequence[str],
        model: str | None = None,
        device: str = "auto",
        roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
        splitLungs: bool = False,
        notCt: bool = False,
        offset: float = 0.0,
        fast: bool = False,
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onFinished: Callable[[SequenceResult], None] | None = None,
        onError: OnError | None = None,
    ) -> Job | SequenceResult:
        """Segment all frames of the sequence that a volume shows; its browser then plays both.

        Nothing is added to the scene before all frames are done. Arguments: see :meth:`segment`.
        """
        self._requireNodes(volumeNode, roiNode)
        made: list[SegmentationSequence] = []

        def makeSteps() -> list[Step]:
            browser, sequence = framesOf(self.scene, volumeNode)
            choices = _choices(organs, model, device, roiNode, splitLungs, notCt, offset, fast)
            made.append(SegmentationSequence(browser, sequence, volumeNode))
            frames = range(sequence.GetNumberOfDataNodes())
            return [FrameStep(sequence, index, volumeNode, choices, made[0]) for index in frames]

        def combine(frames: list[SegmentationResult]) -> SequenceResult:
            proxy = made[0].toScene(self.scene)
            self._surfaces.showLater(proxy)
            shown = tuple(replace(frame, segmentationNode=proxy) for frame in frames)
            return SequenceResult(made[0].browserNode, made[0].sequenceNode, proxy, shown)

        return self._run(makeSteps, combine, wait, onProgress, onFinished, onError)

    def preview(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        organs: Sequence[str],
        model: str | None = None,
        stage: str | None = None,
        device: str = "auto",
        roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
        outputVolumeNode: slicer.vtkMRMLScalarVolumeNode | None = None,
        outputRoiNode: slicer.vtkMRMLMarkupsROINode | None = None,
        channels: Sequence[slicer.vtkMRMLScalarVolumeNode] = (),
        channel: int = 0,
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onFinished: Callable[[PreviewResult], None] | None = None,
        onError: OnError | None = None,
    ) -> Job | PreviewResult:
        """Show a volume as a model's network sees it: resampled, windowed, normalised and cropped.

        Args:
            volumeNode: The volume.
            organs: Names of labels; the model and the stage for the first are shown.
            model: See :meth:`segment`.
            stage: Name of a stage of the model; None takes the last one.
            device: For the stages that find the box.
            roiNode: Show what lies inside its bounds, and run no network; None lets the model find the box.
            outputVolumeNode: Write to this one; None makes one.
            outputRoiNode: Show the box with this one; None makes one.
            channels: See :meth:`segment`.
            channel: Which of the images to show: 0 for the volume, 1 for the first of ``channels``.
            wait: See :meth:`segment`.
            onProgress: See the class.
            onFinished: See the class.
            onError: See the class.
        """
        self._requireNodes(volumeNode, roiNode, outputVolumeNode, outputRoiNode, *channels)

        def makeSteps() -> list[Step]:
            choices = _choices(organs, model, device, roiNode, channels=channels)
            return [PreviewStep(self.scene, volumeNode, choices, stage, outputVolumeNode, outputRoiNode, channel)]

        return self._run(makeSteps, _only, wait, onProgress, onFinished, onError)

    def saveToDicom(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onFinished: Callable[[str], None] | None = None,
        onError: OnError | None = None,
    ) -> Job | str:
        """Save a segmentation as DICOM SEG into Slicer's DICOM database, beside the series of its volume.

        All segments that hold something are saved, with names, colours and codes; the result is the new series' UID.

        Args:
            segmentationNode: Of a volume that was loaded from that database.
            wait: See :meth:`segment`.
            onProgress: See the class.
            onFinished: See the class.
            onError: See the class.
        """
        self._requireNodes(segmentationNode)
        if canWrite():
            steps, combine = [SaveDicomStep(segmentationNode)], _only
        else:
            steps, combine = [], lambda _outcomes: exportBySlicer(segmentationNode)
        return self._run(lambda: steps, combine, wait, onProgress, onFinished, onError)

    def cancel(self) -> None:
        """Stop all jobs; each ends with Cancelled within about a second."""
        self._jobs.cancel()

    def canRestorePrevious(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether :meth:`restorePrevious` would do something."""
        return self._history.canRestore(segmentationNode)

    def restorePrevious(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Undo the last result in a segmentation; False if there is nothing to undo.

        Edits by hand of that result go too, see :meth:`restoringLosesEdits`; segments that the user drew stay. A
        segmentation that was made for the result is removed if nothing is left in it.
        """
        shown = self.canRestorePrevious(segmentationNode) and removeSurfaces(segmentationNode)
        restored = self._history.restore(segmentationNode)
        if shown:
            self._surfaces.showLater(segmentationNode)
        return restored

    def restoringLosesEdits(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Whether somebody edited by hand what :meth:`restorePrevious` would take away."""
        return self.canRestorePrevious(segmentationNode) and self._history.losesEdits(segmentationNode)

    def close(self) -> None:
        """Cancel everything, observe the scene no longer, end the engine if it is its own.

        For the end and the reload of the module.
        """
        self.scene.RemoveObserver(self._addedTag)
        self._edits.close()
        self._jobs.close()
        if self._ownsEngine:
            self.engine.close()

    def _run(
        self,
        makeSteps: Callable[[], list[Step]],
        combine: Callable[[list], Any],
        wait: bool,
        onProgress: ProgressCallback | None,
        onFinished: Callable[[Any], None] | None,
        onError: OnError | None,
        keepGoing: bool = False,
    ) -> Any:
        job = Job(self.engine, makeSteps(), combine, onProgress, onFinished, onError, keepGoing)
        return self._jobs.start(job, wait)

    def _segmentStep(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        choices: Choices,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None,
        keepEdits: bool,
    ) -> SegmentStep:
        return SegmentStep(self.scene, volumeNode, choices, segmentationNode, keepEdits, self._history, self._surfaces)

    def _requireNodes(self, *nodes: slicer.vtkMRMLNode | None) -> None:
        if nodes[0] is None:
            raise SettingError(_("No volume is chosen; choose one to work on."))
        for node in filter(None, nodes):
            if node.GetScene() is not self.scene:
                sentence = _("{node} is not in the scene any more; choose another one.")
                raise SettingError(sentence.format(node=node.GetName()))


def _choices(
    organs: Sequence[str],
    model: str | None,
    device: str,
    roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
    splitLungs: bool = False,
    notCt: bool = False,
    offset: float = 0.0,
    fast: bool = False,
    channels: Sequence[slicer.vtkMRMLScalarVolumeNode] = (),
) -> Choices:
    if isinstance(organs, str) or not organs:
        raise SettingError(_('No organ is chosen; choose at least one, such as ["liver"].'))
    region = roiNode and Region.fromNode(roiNode)
    return Choices(tuple(organs), model, device, region, splitLungs, notCt, offset, fast, tuple(channels))


def _only(outcomes: list) -> Any:
    return outcomes[0]
