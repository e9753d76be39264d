"""A whole volume asked of a classifier: what it shows, and a map for each answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from Med3DCore.volume import Volume
from Med3DCore.worker.exchange import read_volume_array
from Med3DSegmentationLib.engine.handing_over import handOver
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.tilted_volumes import scanInPieces
from Med3DSegmentationLib.scene.volume_nodes import worldMatrix


@dataclass(frozen=True)
class ScanAnswer:
    """What a classifier said of a scan.

    Args:
        name: A class or label.
        probability: That the scan shows it.
        isCalled: Whether it is said to show it.
        map: What each place adds to that, float32; where it lay in the world when the scan was sent.
        toNode: 4x4 matrix from the world of then to the scan's own coordinates, RAS mm.
    """

    name: str
    probability: float
    isCalled: bool
    map: Volume
    toNode: np.ndarray

    @property
    def highest(self) -> float:
        """The map's highest value; if it is not above 0, nothing in the scan speaks for the answer."""
        return float(self.map.array.max())


@dataclass(frozen=True)
class ScanResult:
    """What came of a question about a whole scan.

    Args:
        volumeNode: The volume.
        model: name-version of the classifier.
        device: Where it was computed, for people.
        isExclusive: Whether a scan is of one class, so that all probabilities add up to 1.
        answers: Likeliest first.
        totalSeconds: Seconds that the engine took.
        warnings: What the user should know.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    model: str
    device: str
    isExclusive: bool
    answers: tuple[ScanAnswer, ...]
    totalSeconds: float
    warnings: tuple[str, ...]


@dataclass(eq=False)
class ClassifyScanStep:
    """Ask a classifier about a whole volume; the scene stays as it is.

    Args:
        volumeNode: The volume.
        model: name-version of the classifier.
        device: Name of a device.
        notCt: Whether to look at a scan of another kind than the model was made for.
        offset: Is added to all values of the scan.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    model: str
    device: str
    notCt: bool = False
    offset: float = 0.0
    type: str = field(default="classify_scan", init=False)
    _toNode: np.ndarray = field(default_factory=lambda: np.eye(4), init=False)

    @property
    def title(self) -> str:
        """The volume's name by now."""
        return self.volumeNode.GetName()

    def prepare(self, folder: str) -> Pieces[dict[str, Any]]:
        """Send the volume as it lies in the world."""
        self._toNode = np.linalg.inv(worldMatrix(self.volumeNode.GetParentTransformNode(), self.volumeNode))
        scan = yield from scanInPieces(self.volumeNode)
        volume = yield from handOver(scan, folder, "scan", _("Handing over the volume"))
        fields = {"volume": volume, "model": self.model, "device": self.device}
        return {**fields, "not_ct": self.notCt, "offset": self.offset}

    def place(self, answer: dict[str, Any]) -> Pieces[ScanResult]:
        """Keep the maps, whose files go with the request."""
        answers = []
        for told in answer["answers"]:
            yield _("Showing the result")
            mapped = read_volume_array(told["map"])
            kept = replace(mapped, array=np.array(mapped.array))
            answers.append(ScanAnswer(told["name"], told["probability"], told["called"], kept, self._toNode))
        return ScanResult(
            volumeNode=self.volumeNode,
            model=answer["model"],
            device=answer["device"],
            isExclusive=answer["exclusive"],
            answers=tuple(sorted(answers, key=lambda each: -each.probability)),
            totalSeconds=answer["total_seconds"],
            warnings=tuple(answer["warnings"]),
        )

    def needs(self, node: slicer.vtkMRMLNode) -> bool:
        """Only the volume."""
        return node is self.volumeNode
