"""A volume searched by a detector; what it finds becomes ROIs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.handing_over import handOver
from Med3DSegmentationLib.finding.lesion_nodes import Lesion, LesionChanges, replaceLesions
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.tilted_volumes import scanInPieces

_MOST = 100


@dataclass(frozen=True)
class DetectionResult:
    """What came of a search.

    Args:
        volumeNode: The volume.
        model: name-version of the detector.
        device: Where it was computed, for people.
        found: How many lesions.
        totalSeconds: Seconds that the engine took.
        warnings: What the user should know.
        undo: Makes the scene what it was before, but for what somebody edited since.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    model: str
    device: str
    found: int
    totalSeconds: float
    warnings: tuple[str, ...]
    undo: Callable[[], None]


@dataclass(eq=False)
class DetectStep:
    """Look for lesions in a volume.

    Args:
        volumeNode: The volume.
        model: name-version of the detector.
        device: Name of a device.
        leastScore: What is less sure is left out, 0..1.
        notCt: Whether to look at a scan of another kind than the model was made for.
        offset: Is added to all values of the scan.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    model: str
    device: str
    leastScore: float
    notCt: bool = False
    offset: float = 0.0
    type: str = field(default="detect", init=False)

    @property
    def title(self) -> str:
        """The volume's name by now."""
        return self.volumeNode.GetName()

    def prepare(self, folder: str) -> Pieces[dict[str, Any]]:
        """Send the volume as it lies in the world."""
        scan = yield from scanInPieces(self.volumeNode)
        volume = yield from handOver(scan, folder, "scan", _("Handing over the volume"))
        fields = {"volume": volume, "model": self.model, "device": self.device, "least_score": self.leastScore}
        return {**fields, "not_ct": self.notCt, "offset": self.offset}

    def place(self, answer: dict[str, Any]) -> Pieces[DetectionResult]:
        """Make a ROI of each lesion."""
        found = [Lesion(each["score"], each["box"], each["key_z"], answer["model"]) for each in answer["lesions"]]
        warnings = list(answer["warnings"])
        if len(found) > _MOST:
            sentence = _("{count} boxes were found; only the {most} surest are shown. Raise the least score.")
            warnings.append(sentence.format(count=len(found), most=_MOST))
        changes: LesionChanges = yield from replaceLesions(self.volumeNode, found[:_MOST])
        return DetectionResult(
            volumeNode=self.volumeNode,
            model=answer["model"],
            device=answer["device"],
            found=len(found),
            totalSeconds=answer["total_seconds"],
            warnings=tuple(warnings),
            undo=changes.undo,
        )

    def needs(self, node: slicer.vtkMRMLNode) -> bool:
        """Only the volume."""
        return node is self.volumeNode
