"""What the logic hands back: small values, and the nodes that it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import slicer


@dataclass(frozen=True)
class OrganResult:
    """A row of the result table.

    Args:
        name: Of the label, such as ``"liver"``.
        title: For people.
        segmentId: Of its segment; empty if nothing was found.
        volumeMl: Its volume in mL.
        mean: Mean of the scan in it, such as HU; None if nothing was found.
    """

    name: str
    title: str
    segmentId: str
    volumeMl: float
    mean: float | None = None


@dataclass(frozen=True)
class SegmentationResult:
    """A segmented volume.

    Args:
        volumeNode: The volume.
        segmentationNode: Its segmentation; a sequence's frames share their proxy. None if nothing was found, and there
            was none yet.
        organs: One a label, in the order they were asked for.
        model: name-version of the model.
        device: Where it was computed, for people.
        seconds: Seconds by stage.
        totalSeconds: Seconds that the engine took.
        warnings: What the user should know about the result.
        keptEdits: Names under which segments that were edited by hand stay.
        series: Which DICOM series it was, for people; empty if it is from none.
        fast: Whether an imported model ran in its faster way.
        labelOf: Names of the labels that warnings are about, of those that are about one.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    segmentationNode: slicer.vtkMRMLSegmentationNode | None
    organs: tuple[OrganResult, ...]
    model: str
    device: str
    seconds: dict[str, float]
    totalSeconds: float
    warnings: tuple[str, ...]
    keptEdits: tuple[str, ...] = ()
    series: str = ""
    fast: bool = False
    labelOf: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SequenceResult:
    """A segmented sequence.

    Args:
        browserNode: Plays volumes and segmentations together.
        sequenceNode: The segmentations.
        segmentationNode: Their proxy, which shows the current frame.
        frames: One a frame.
    """

    browserNode: slicer.vtkMRMLSequenceBrowserNode
    sequenceNode: slicer.vtkMRMLSequenceNode
    segmentationNode: slicer.vtkMRMLSegmentationNode
    frames: tuple[SegmentationResult, ...]


@dataclass(frozen=True)
class PreviewRow:
    """A row of the preview's table: what preprocessing changed.

    Args:
        title: Such as "Spacing (mm)".
        before: Of the volume.
        after: Of what the network sees.
    """

    title: str
    before: str
    after: str


@dataclass(frozen=True)
class Normalisation:
    """What a network gets instead of intensities: clipped to [low, high], then (value - mean) / sd.

    Args:
        name: Method, as in Med3DCore.preprocessing.intensity.
        low: Lowest intensity to tell apart, or None for no limit.
        high: Highest, or None.
        mean: What becomes 0.
        sd: What becomes 1.
    """

    name: str
    low: float | None
    high: float | None
    mean: float
    sd: float


@dataclass(frozen=True)
class PreviewResult:
    """What a stage of a model sees.

    Args:
        volumeNode: The prepared volume.
        roiNode: The box that it looks at.
        model: name-version of the model.
        stage: Name of the stage.
        stages: Names of all its stages.
        boxFrom: What gave the box: "region", a stage, or "scan".
        rows: Before and after.
        normalisation: Of the intensities.
        warnings: What the user should know.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    roiNode: slicer.vtkMRMLMarkupsROINode
    model: str
    stage: str
    stages: tuple[str, ...]
    boxFrom: str
    rows: tuple[PreviewRow, ...]
    normalisation: Normalisation
    warnings: tuple[str, ...]
