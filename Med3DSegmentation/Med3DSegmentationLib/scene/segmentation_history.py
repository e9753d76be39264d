"""One step back: what the last result did to a segmentation is undone; what the user drew beside it stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import slicer

from Med3DSegmentationLib.scene.own_segments import ALGORITHM_TAGS, OWN_TAGS, findOwnSegment, otherDivision, wasEdited
from Med3DSegmentationLib.scene.segment_arrays import holdsVoxels, imageOfSegment
from Med3DSegmentationLib.scene.terminology import tagOfSegment


@dataclass(frozen=True)
class _Result:
    """What a result did to a segmentation.

    Args:
        former: Copies of the segments that Med3D had written for the same labels, by their ID.
        written: IDs of the segments that it wrote or removed.
        madeNode: Whether the node was made for it.
    """

    former: dict[str, slicer.vtkSegment]
    written: frozenset[str]
    madeNode: bool


class SegmentationHistory:
    """Remembers of each segmentation what the last result replaced, added and renamed.

    The scene's undo does not cover segmentation nodes. Slicer's own segment history would go back with all segments,
    also with those that the user drew or corrected since then.
    """

    def __init__(self) -> None:
        self._results: dict[str, _Result] = {}

    def remember(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        former: dict[str, slicer.vtkSegment],
        written: Collection[str],
        madeNode: bool,
    ) -> None:
        """Remember a result, in place of the one before.

        Args:
            segmentationNode: Where it was written to.
            former: What :func:`formerSegments` gave before.
            written: IDs of the segments that it wrote or removed.
            madeNode: Whether the node was made for it.
        """
        self._results[segmentationNode.GetID()] = _Result(former, frozenset(written), madeNode)

    def canRestore(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether there is a state to go back to."""
        known = segmentationNode is not None and segmentationNode.GetID() in self._results
        return known and holdsVoxels(segmentationNode)  # the user may have made surfaces of them since

    def losesEdits(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Whether the user edited a segment that going back would take away or replace."""
        written = self._results[segmentationNode.GetID()].written
        segments = (segmentationNode.GetSegmentation().GetSegment(segmentId) for segmentId in written)
        return any(segment is not None and wasEdited(segment) for segment in segments)

    def restore(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Undo the last result; False if there is none to undo.

        A node that was made for it is removed if it holds nothing else.
        """
        if not self.canRestore(segmentationNode):
            return False
        result = self._results.pop(segmentationNode.GetID())
        segmentation = segmentationNode.GetSegmentation()
        for segmentId in result.written - result.former.keys():
            segmentation.RemoveSegment(segmentId)
        for segmentId, former in result.former.items():
            _putBack(segmentationNode, segmentId, former, segmentId in result.written)
        if result.madeNode and segmentation.GetNumberOfSegments() == 0:
            segmentationNode.GetScene().RemoveNode(segmentationNode)
        return True

    def forget(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Drop what was remembered of a node that goes."""
        self._results.pop(segmentationNode.GetID(), None)


def formerSegments(
    segmentationNode: slicer.vtkMRMLSegmentationNode, labelNames: Collection[str]
) -> dict[str, slicer.vtkSegment]:
    """Copies of the segments that a result for these labels will replace, remove or rename, by their ID."""
    segmentation = segmentationNode.GetSegmentation()
    names = [other for name in labelNames for other in (name, *otherDivision(name))]
    found = filter(None, (findOwnSegment(segmentation, name) for name in names))
    return {segmentId: _copy(segmentation.GetSegment(segmentId)) for segmentId in found}


def _copy(segment: slicer.vtkSegment) -> slicer.vtkSegment:
    """The segment with its own voxels only: several may share an image, and surfaces can be made anew."""
    copy = slicer.vtkSegment()
    copy.DeepCopyMetadata(segment)
    copy.SetLabelValue(1)
    name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    copy.AddRepresentation(name, imageOfSegment(segment))
    return copy


def _putBack(
    segmentationNode: slicer.vtkMRMLSegmentationNode, segmentId: str, former: slicer.vtkSegment, voxels: bool
) -> None:
    """Make a segment what it was; its voxels only if the result had replaced them."""
    segmentation, logic = segmentationNode.GetSegmentation(), slicer.vtkSlicerSegmentationsModuleLogic
    segment = segmentation.GetSegment(segmentId)
    if segment is None:
        if voxels:
            segmentation.AddSegment(former, segmentId)
        return
    if voxels:
        name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
        image = former.GetRepresentation(name)
        logic.SetBinaryLabelmapToSegment(image, segmentationNode, segmentId, logic.MODE_REPLACE)
    else:  # it was edited by hand, and stayed under another name
        segment.SetName(former.GetName())
    for tag in (*OWN_TAGS, *ALGORITHM_TAGS):
        segment.SetTag(tag, tagOfSegment(former, tag))
