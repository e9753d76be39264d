"""Points of a volume, asked of a classifier; its answers go beside the points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.handing_over import handOver
from Med3DSegmentationLib.finding.points import describe, descriptions, liesAt, placedPoints, placeLps
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.tilted_volumes import scanInPieces


@dataclass(frozen=True)
class PointAnswer:
    """What a classifier said of a point.

    Args:
        identifier: The point's ID in its node.
        name: What it was called.
        centre: Where it was, world LPS mm.
        probabilities: Of each class; their sum is 1.
    """

    identifier: str
    name: str
    centre: tuple[float, float, float]
    probabilities: dict[str, float]

    @property
    def answer(self) -> str:
        """The likeliest class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def text(self) -> str:
        """Such as "malignant 83 %"."""
        return f"{self.answer} {100 * self.probabilities[self.answer]:.0f} %"


@dataclass(frozen=True)
class FindingResult:
    """What came of looking at points.

    Args:
        volumeNode: The volume.
        pointsNode: The points.
        model: name-version of the classifier.
        answers: One a point.
        prevalence: How common the second class was taken to be, 0..1, or None if nobody knows.
        warnings: What the user should know.
        former: Descriptions of the points before, by their IDs.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    pointsNode: slicer.vtkMRMLMarkupsFiducialNode
    model: str
    answers: tuple[PointAnswer, ...]
    prevalence: float | None
    warnings: tuple[str, ...]
    former: dict[str, str]

    @property
    def current(self) -> tuple[PointAnswer, ...]:
        """Answers for points that lie where they lay; those of others say nothing of where they lie now."""
        return tuple(one for one in self.answers if liesAt(self.pointsNode, one.identifier, one.centre))

    def undo(self) -> None:
        """Give the points their former descriptions; what somebody wrote since stays."""
        self._takeBack(self.answers)

    def takeBackMoved(self) -> None:
        """The same for points that were moved since."""
        current = self.current
        self._takeBack([one for one in self.answers if one not in current])

    def _takeBack(self, answers: Sequence[PointAnswer]) -> None:
        written = descriptions(self.pointsNode)
        ours = [one.identifier for one in answers if written.get(one.identifier) == one.text]
        describe(self.pointsNode, {identifier: self.former[identifier] for identifier in ours})


@dataclass(eq=False)
class ClassifyStep:
    """Ask a classifier about the points of a node that have a place.

    Args:
        volumeNode: The volume.
        pointsNode: The points.
        model: name-version of the classifier.
        device: Name of a device.
        prevalence: How common the second class is, 0..1; None as in the classifier's training.
    """

    volumeNode: slicer.vtkMRMLScalarVolumeNode
    pointsNode: slicer.vtkMRMLMarkupsFiducialNode
    model: str
    device: str
    prevalence: float | None
    type: str = field(default="classify", init=False)
    _asked: list[str] = field(default_factory=list, init=False)

    @property
    def title(self) -> str:
        """The volume's name by now."""
        return self.volumeNode.GetName()

    def prepare(self, folder: str) -> Pieces[dict[str, Any]]:
        """Send the volume as it lies in the world, and where the points are now."""
        scan = yield from scanInPieces(self.volumeNode)
        volume = yield from handOver(scan, folder, "scan", _("Handing over the volume"))
        indices = placedPoints(self.pointsNode)
        self._asked = [self.pointsNode.GetNthControlPointID(index) for index in indices]
        points = [
            {"name": self.pointsNode.GetNthControlPointLabel(index), "centre": placeLps(self.pointsNode, index)}
            for index in indices
        ]
        fields = {"volume": volume, "points": points, "model": self.model, "device": self.device}
        return {**fields, "prevalence": self.prevalence}

    def place(self, answer: dict[str, Any]) -> FindingResult:
        """Write each answer into its point's description; points that moved meanwhile are left alone."""
        answers = tuple(
            PointAnswer(identifier, point["name"], tuple(point["centre"]), point["probabilities"])
            for identifier, point in zip(self._asked, answer["points"], strict=True)
        )
        former = descriptions(self.pointsNode)
        result = FindingResult(
            self.volumeNode, self.pointsNode, answer["model"], answers, answer["prevalence"], (), former
        )
        still, warnings = result.current, list(answer["warnings"])
        if len(still) < len(answers):
            moved = ", ".join(one.name for one in answers if one not in still)
            warnings.append(_("Moved or removed meanwhile, so nothing was written to: {points}.").format(points=moved))
        describe(self.pointsNode, {one.identifier: one.text for one in still})
        return replace(result, warnings=tuple(warnings))

    def needs(self, node: slicer.vtkMRMLNode) -> bool:
        """The volume and the points."""
        return node is self.volumeNode or node is self.pointsNode
