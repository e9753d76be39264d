"""A click on Segment: what was asked for, so that it can be asked again with what the user allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import slicer

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.engine.jobs import Job
from Med3DSegmentationLib.panels.scan_question import isNotCt
from Med3DSegmentationLib.segmentation_logic import SegmentationLogic


@dataclass(frozen=True)
class Run:
    """What was chosen when the user clicked, whatever is chosen since.

    Args:
        volumes: To segment.
        organs: Names of the labels.
        segmentations: Where to, one a volume or None.
        options: Arguments of the logic's method.
        isBatch: Whether the volumes are segmented one after the other, each by itself.
        isSequence: Whether all frames of the one volume are.
        failed: Errors of volumes that were left behind.
    """

    volumes: Sequence[slicer.vtkMRMLScalarVolumeNode]
    organs: Sequence[str]
    segmentations: Sequence[slicer.vtkMRMLSegmentationNode | None]
    options: dict[str, Any]
    isBatch: bool = False
    isSequence: bool = False
    failed: tuple[Med3DError, ...] = ()

    def start(self, logic: SegmentationLogic, **callbacks: Callable) -> Job:
        """Begin.

        Raises:
            Med3DError: See the methods of :class:`.segmentation_logic.SegmentationLogic`.
        """
        if self.isBatch:
            return logic.segmentBatch(self.volumes, self.organs, self.segmentations, **self.options, **callbacks)
        (volume,), (segmentation,) = self.volumes, self.segmentations
        if self.isSequence:
            return logic.segmentSequence(volume, self.organs, **self.options, **callbacks)
        return logic.segment(volume, self.organs, segmentation, **self.options, **callbacks)

    def again(self, outcomes: Sequence[Any], allowed: dict[str, Any]) -> Run:
        """Of a batch, the scans that are no CT; else the same; with what the user allows.

        Args:
            outcomes: One a volume, in their order.
            allowed: From :func:`.scan_question.askAboutScans`.
        """
        options = {**self.options, **allowed}
        if not self.isBatch:
            return replace(self, options=options)
        refused = [index for index, outcome in enumerate(outcomes) if isNotCt(outcome)]
        failed = tuple(each for each in outcomes if isinstance(each, Med3DError) and not isNotCt(each))
        return replace(
            self,
            volumes=[self.volumes[index] for index in refused],
            segmentations=[self.segmentations[index] for index in refused],
            options=options,
            failed=(*self.failed, *failed),
        )
