"""Points and whole volumes asked of classifiers, lesions found by detectors. No GUI; works from Slicer's console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError, SettingError
from Med3DCore.progress import ProgressCallback
from Med3DSegmentationLib.engine.jobs import Job
from Med3DSegmentationLib.engine.process import EngineProcess, processEventsUntil
from Med3DSegmentationLib.engine.scene_jobs import SceneJobs
from Med3DSegmentationLib.finding.detect_step import DetectionResult, DetectStep
from Med3DSegmentationLib.finding.points import placedPoints
from Med3DSegmentationLib.finding.scan_step import ClassifyScanStep, ScanResult
from Med3DSegmentationLib.finding.step import ClassifyStep, FindingResult


class FindingLogic:
    """Asks classifiers and detectors in the engine's process; its methods are as those of SegmentationLogic.

    Args:
        scene: The scene, given by who owns it.
        engine: The engine's process.
        waiter: Keeps the event loop going until a function says True, for ``wait=True``.
        onNodeRemoved: Called with each node that goes, or None.

    Examples:
        >>> logic = FindingLogic(slicer.mrmlScene, engine)  # doctest: +SKIP
        >>> logic.classify(volumeNode, pointsNode, "nodules-0.1.0", wait=True).answers[0].text  # doctest: +SKIP
        'malignant 83 %'
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        engine: EngineProcess,
        waiter: Callable[[Callable[[], bool]], None] = processEventsUntil,
        onNodeRemoved: Callable[[slicer.vtkMRMLNode], None] | None = None,
    ) -> None:
        self._engine = engine
        self._jobs = SceneJobs(scene, waiter, [onNodeRemoved] if onNodeRemoved else [])

    def classify(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        pointsNode: slicer.vtkMRMLMarkupsFiducialNode,
        model: str,
        device: str = "auto",
        prevalence: float | None = None,
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onFinished: Callable[[FindingResult], None] | None = None,
        onError: Callable[[Med3DError], None] | None = None,
    ) -> Job | FindingResult:
        """Ask a classifier what is at each point; the answers are written into the points' descriptions.

        Args:
            volumeNode: The volume.
            pointsNode: Points, each in the middle of what to look at.
            model: name-version of the classifier.
            device: Such as ``"auto"`` or ``"cpu"``.
            prevalence: How common the second class is, 0..1; None as in the classifier's training.
            wait: Return the result, not the job.
            onProgress: Gets (stage, fraction, seconds left or None).
            onFinished: Gets the result.
            onError: Gets the error; Cancelled too.

        Raises:
            SettingError: No point has a place yet.
        """
        if not placedPoints(pointsNode):
            raise SettingError(_("Place a point in the middle of what to look at first."))
        step = ClassifyStep(volumeNode, pointsNode, model, device, prevalence)
        return self._start(step, wait, onProgress, onFinished, onError)

    def classifyScan(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        model: str,
        device: str = "auto",
        notCt: bool = False,
        offset: float = 0.0,
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onFinished: Callable[[ScanResult], None] | None = None,
        onError: Callable[[Med3DError], None] | None = None,
    ) -> Job | ScanResult:
        """Ask a classifier what a whole volume shows; :class:`.scan_maps.ScanMaps` shows where it saw that.

        Args:
            volumeNode: The volume.
            model: name-version of the classifier.
            device: Such as ``"auto"`` or ``"cpu"``.
            notCt: Look also at a scan of another kind than the model was made for; else it is refused.
            offset: Is added to all values of the scan.
            wait: Return the result, not the job.
            onProgress: Gets (stage, fraction, seconds left or None).
            onFinished: Gets the result.
            onError: Gets the error; Cancelled too.
        """
        step = ClassifyScanStep(volumeNode, model, device, notCt, offset)
        return self._start(step, wait, onProgress, onFinished, onError)

    def detect(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        model: str,
        device: str = "auto",
        leastScore: float = 0.3,
        notCt: bool = False,
        offset: float = 0.0,
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onFinished: Callable[[DetectionResult], None] | None = None,
        onError: Callable[[Med3DError], None] | None = None,
    ) -> Job | DetectionResult:
        """Look for lesions in a volume; each becomes a ROI in a folder beside the volume.

        ROIs of an earlier result are replaced, but for those that somebody renamed, moved, locked or described.

        Args:
            volumeNode: The volume.
            model: name-version of the detector.
            device: Such as ``"auto"`` or ``"cpu"``.
            leastScore: What is less sure is left out, 0..1.
            notCt: Look also at a scan of another kind than the model was made for; else it is refused.
            offset: Is added to all values of the scan.
            wait: Return the result, not the job.
            onProgress: Gets (stage, fraction, seconds left or None).
            onFinished: Gets the result.
            onError: Gets the error; Cancelled too.
        """
        step = DetectStep(volumeNode, model, device, leastScore, notCt, offset)
        return self._start(step, wait, onProgress, onFinished, onError)

    def _start(self, step: Any, wait: bool, *callbacks: Callable[..., None] | None) -> Any:
        return self._jobs.start(Job(self._engine, [step], lambda results: results[0], *callbacks), wait)

    def close(self) -> None:
        """Cancel what runs."""
        self._jobs.close()
