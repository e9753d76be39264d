"""One step back: what the last result did to a segmentation is undone; what the user drew beside it stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import slicer

from Med3DSegmentationLib.scene.frames import frameOf
from Med3DSegmentationLib.scene.own_segments import ALGORITHM_TAGS, OWN_TAGS, wasEdited
from Med3DSegmentationLib.scene.segment_arrays import holdsVoxels, imageOfSegment
from Med3DSegmentationLib.scene.terminology import tagOfSegment


@dataclass
class Changes:
    """What a result does to a segmentation, noted as it is done.

    Args:
        segmentationNode: The segmentation.
        madeNode: Whether the node was made for the result.
        former: Copies of the segments that it replaced, removed or renamed, by their ID.
        written: IDs of the segments that it wrote or removed.
        frame: Which frame of a sequence it was done to.
    """

    segmentationNode: slicer.vtkMRMLSegmentationNode
    madeNode: bool = False
    former: dict[str, slicer.vtkSegment] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    frame: str = ""

    def keep(self, segmentId: str) -> None:
        """Remember a segment that will be replaced, removed or renamed next."""
        if segmentId not in self.former and segmentId not in self.written:
            self.former[segmentId] = _copy(self.segmentationNode.GetSegmentation().GetSegment(segmentId))

    def undo(self) -> None:
        """Make the segmentation what it was; a node that was made for the result goes if it holds nothing else."""
        node, segmentation = self.segmentationNode, self.segmentationNode.GetSegmentation()
        for segmentId in self.written - self.former.keys():
            segmentation.RemoveSegment(segmentId)
        for segmentId, former in self.former.items():
            _putBack(node, segmentId, former, segmentId in self.written)
        if self.madeNode and segmentation.GetNumberOfSegments() == 0:
            node.GetScene().RemoveNode(node)


class SegmentationHistory:
    """Remembers of each segmentation what the last result replaced, added and renamed.

    The scene's undo does not cover segmentation nodes. Slicer's own segment history would go back with all segments,
    also with those that the user drew or corrected since then.
    """

    def __init__(self) -> None:
        self._results: dict[str, Changes] = {}

    @contextmanager
    def noting(self, segmentationNode: slicer.vtkMRMLSegmentationNode, madeNode: bool) -> Iterator[Changes]:
        """Remember a result while it is written, in place of the one before; undone at once if that does not end well.

        Args:
            segmentationNode: Where it is written to.
            madeNode: Whether the node was made for it.
        """
        changes = Changes(segmentationNode, madeNode, frame=frameOf(segmentationNode))
        try:
            yield changes
        except BaseException:  # also where a job is cancelled between two segments
            if segmentationNode.GetScene() is not None:
                changes.undo()
            raise
        if segmentationNode.GetScene() is not None:
            self._results[segmentationNode.GetID()] = changes

    def canRestore(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether there is a state to go back to: of this frame, and of voxels, which may be surfaces by now."""
        changes = segmentationNode and self._results.get(segmentationNode.GetID())
        return bool(changes) and changes.frame == frameOf(segmentationNode) and holdsVoxels(segmentationNode)

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
        self._results.pop(segmentationNode.GetID()).undo()
        return True

    def forget(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Drop what was remembered of a node that goes."""
        self._results.pop(segmentationNode.GetID(), None)


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
